// SPDX-License-Identifier: GPL-2.0-or-later

//! Endpoint behaviors (RFC 8986, Section 4), each with exactly what it is configured with.

mod bpf;
mod end;

pub(crate) use bpf::EndBpf;
pub(crate) use end::{
    End,
    EndT,
    EndX, //
};

use crate::verdict::{
    Discard,
    Verdict, //
};
use kernel::{
    net::skbuff::SkBuff,
    prelude::*,
    softirq::BhDisabled, //
};

/// What a SID does with the packets that are sent to it.
pub(crate) enum Behavior {
    /// Endpoint.
    End(End),
    /// Endpoint with L3 cross-connect.
    EndX(EndX),
    /// Endpoint with a specific IPv6 table lookup.
    EndT(EndT),
    /// Endpoint with a BPF program.
    EndBpf(EndBpf),
}

impl Behavior {
    /// Processes a packet and decides where it goes.
    #[inline]
    pub(crate) fn process(
        &self,
        skb: Pin<&mut SkBuff>,
        bh: &BhDisabled,
    ) -> Result<Verdict, Discard> {
        match self {
            Self::End(end) => end.process(skb),
            Self::EndX(end_x) => end_x.process(skb),
            Self::EndT(end_t) => end_t.process(skb),
            Self::EndBpf(end_bpf) => end_bpf.process(skb, bh),
        }
    }
}
