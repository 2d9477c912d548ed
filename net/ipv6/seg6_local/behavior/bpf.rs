// SPDX-License-Identifier: GPL-2.0-or-later

//! End.BPF: a BPF program decides.

use super::{
    Decision,
    Endpoint, //
};
use crate::{
    bpf::SrhStateGuard,
    packet::SrPacket,
    verdict::{
        Discard,
        Verdict, //
    }, //
};
use kernel::{
    bpf::Prog,
    net::{
        ipv6::Lookup,
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

impl Endpoint for EndBpf {
    /// Replaces `input_action_end_bpf()`.
    #[inline(always)]
    fn process<'a>(&'a self, skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        match self.run(skb, bh)? {
            Way::Lookup => Ok(Verdict::Forward(Lookup::default())),
            Way::Kept => Ok(Verdict::KeepRoute),
        }
    }
}

/// Where a program wants the packet to go.
enum Way {
    /// Where a lookup of its destination says.
    Lookup,
    /// Where the route says that it carries.
    Kept,
}

impl EndBpf {
    /// Not inline, so that what a program needs of the stack is free again when the packet goes on.
    #[inline(never)]
    fn run(&self, mut skb: Pin<&mut SkBuff>, bh: &BhDisabled) -> Result<Way, Discard> {
        let srh = SrPacket::find_and_advance(skb.as_mut(), bh)?;
        let guard = SrhStateGuard::new(&skb, srh, bh);
        let way = match self.prog.run_save_cb(skb.as_mut(), bh) {
            uapi::bpf_ret_code_BPF_OK => Way::Lookup,
            uapi::bpf_ret_code_BPF_REDIRECT => Way::Kept,
            uapi::bpf_ret_code_BPF_DROP => return Err(Discard::INVALID),
            value => {
                warn_illegal(value);
                return Err(Discard::INVALID);
            }
        };

        guard.finish(skb)?;
        Ok(way)
    }
}

#[cold]
#[inline(never)]
fn warn_illegal(value: u32) {
    pr_warn_once!("bpf-seg6local: Illegal return value {value}\n");
}
