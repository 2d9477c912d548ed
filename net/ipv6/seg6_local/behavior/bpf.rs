// SPDX-License-Identifier: GPL-2.0-or-later

//! End.BPF: a BPF program decides.

use crate::{
    bpf::SrhStateGuard,
    packet::SrPacket,
    route::Lookup,
    verdict::{
        Discard,
        Verdict, //
    }, //
};
use kernel::{
    bpf::Prog,
    net::{
        ipv6::Routing,
        skbuff::SkBuff, //
    },
    pr_warn_once,
    prelude::*,
    softirq::BhDisabled,
    str::CString,
    uapi, //
};

/// Advances to the next segment and runs a program, which may edit the SRH.
pub(crate) struct EndBpf {
    /// The program.
    pub(crate) prog: Prog,
    /// What the administrator calls it.
    pub(crate) name: CString,
}

/// As routes compare programs: by name.
impl PartialEq for EndBpf {
    fn eq(&self, other: &Self) -> bool {
        *self.name == *other.name
    }
}

impl Eq for EndBpf {}

impl EndBpf {
    /// Replaces `input_action_end_bpf()`.
    #[inline]
    pub(crate) fn process<'bh>(
        &self,
        skb: Pin<&mut SkBuff>,
        bh: &'bh BhDisabled,
    ) -> Result<Verdict<'bh>, Discard> {
        let packet = SrPacket::find(skb, Routing::SegmentsLeft, bh)?.advance()?;
        let (mut skb, srh) = packet.into_parts();

        let guard = SrhStateGuard::new(&skb, srh, bh);
        let verdict = match self.prog.run_save_cb(skb.as_mut(), bh) {
            uapi::bpf_ret_code_BPF_OK => Verdict::Forward(Lookup::default()),
            uapi::bpf_ret_code_BPF_REDIRECT => Verdict::KeepRoute,
            uapi::bpf_ret_code_BPF_DROP => return Err(Discard::INVALID),
            value => {
                pr_warn_once!("bpf-seg6local: Illegal return value {value}\n");
                return Err(Discard::INVALID);
            }
        };

        guard.finish(skb)?;
        Ok(verdict)
    }
}
