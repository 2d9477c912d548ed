// SPDX-License-Identifier: GPL-2.0-or-later

//! Endpoint behaviors (RFC 8986, Section 4), each with exactly what it is configured with.

mod b6;
mod bpf;
mod dt;
mod dx;
mod end;

pub(crate) use b6::EndB6;
pub(crate) use bpf::EndBpf;
pub(crate) use dt::{
    EndDt4,
    EndDt46,
    EndDt6,
    Vrf, //
};
pub(crate) use dx::{
    EndDx2,
    EndDx4,
    EndDx6, //
};
pub(crate) use end::{
    End,
    EndT,
    EndX, //
};

use crate::verdict::{
    self,
    Discard,
    Verdict, //
};
use kernel::{
    net::{
        lwtunnel::InputStatus,
        skbuff::{
            OwnedSkBuff,
            SkBuff, //
        }, //
    },
    prelude::*,
    softirq::BhDisabled, //
};

/// A decision about a packet.
pub(crate) type Decision<'a> = Result<Verdict<'a>, Discard>;

/// A behavior, with what it is configured with.
pub(crate) trait Endpoint {
    /// Processes a packet and decides where it goes.
    fn process<'a>(&'a self, skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a>;

    /// Processes a packet and does what is decided.
    ///
    /// Each behavior is a function of its own, with a stack frame of its own, which ends before the
    /// packet goes on: to the next SID, perhaps.
    #[inline(never)]
    fn input(&self, mut skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        let decision = self.process(skb.as_mut(), bh);

        verdict::execute(decision, skb, bh)
    }
}

/// What a SID does with the packets that are sent to it.
#[derive(PartialEq, Eq)]
pub(crate) enum Behavior {
    /// Endpoint.
    End(End),
    /// Endpoint with L3 cross-connect.
    EndX(EndX),
    /// Endpoint with a specific IPv6 table lookup.
    EndT(EndT),
    /// Endpoint with decapsulation and L2 cross-connect.
    EndDx2(EndDx2),
    /// Endpoint with decapsulation and IPv6 cross-connect.
    EndDx6(EndDx6),
    /// Endpoint with decapsulation and IPv4 cross-connect.
    EndDx4(EndDx4),
    /// Endpoint with decapsulation and IPv6 table lookup.
    EndDt6(EndDt6),
    /// Endpoint with decapsulation and IPv4 table lookup.
    EndDt4(EndDt4),
    /// Endpoint bound to an SRv6 policy, with insertion or encapsulation.
    EndB6(EndB6),
    /// Endpoint with a BPF program.
    EndBpf(EndBpf),
    /// Endpoint with decapsulation and IP table lookup.
    EndDt46(EndDt46),
}

impl Behavior {
    /// Processes a packet and does what is decided.
    #[inline(always)]
    pub(crate) fn input(&self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        match self {
            Self::End(end) => end.input(skb, bh),
            Self::EndBpf(end_bpf) => end_bpf.input(skb, bh),
            Self::EndX(end_x) => end_x.input(skb, bh),
            Self::EndT(end_t) => end_t.input(skb, bh),
            Self::EndDx2(end_dx2) => end_dx2.input(skb, bh),
            Self::EndDx6(end_dx6) => end_dx6.input(skb, bh),
            Self::EndDx4(end_dx4) => end_dx4.input(skb, bh),
            Self::EndDt6(end_dt6) => end_dt6.input(skb, bh),
            Self::EndDt4(end_dt4) => end_dt4.input(skb, bh),
            Self::EndB6(end_b6) => end_b6.input(skb, bh),
            Self::EndDt46(end_dt46) => end_dt46.input(skb, bh),
        }
    }

    /// Returns the octets that are added to a packet.
    pub(crate) fn headroom(&self) -> u16 {
        match self {
            Self::EndB6(end_b6) => end_b6.headroom(),
            _ => 0,
        }
    }

    /// Goes on with a packet that netfilter has let through [`Verdict::Prerouting`].
    #[inline]
    pub(crate) fn resume(&self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        match self {
            Self::EndDx6(end_dx6) => end_dx6.resume(skb, bh),
            Self::EndDx4(end_dx4) => end_dx4.resume(skb, bh),
            _ => verdict::execute(Err(Discard::INVALID), skb, bh),
        }
    }
}
