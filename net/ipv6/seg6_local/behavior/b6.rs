// SPDX-License-Identifier: GPL-2.0-or-later

//! End.B6.Insert and End.B6.Encaps (RFC 8986, Section 4.13): endpoints bound to an SRv6 policy.

use super::{
    Decision,
    Endpoint, //
};
use crate::{
    encap,
    encap::Encapsulation,
    packet::{
        SrPacket,
        SrhSpan, //
    },
    verdict::{
        Discard,
        Verdict, //
    }, //
};
use kernel::{
    net::{
        ipv6,
        ipv6::{
            Lookup,
            Routing, //
        },
        skbuff::SkBuff, //
    },
    prelude::*,
    softirq::BhDisabled, //
};

/// Puts an SRH on the packet.
#[derive(PartialEq, Eq)]
pub(crate) struct EndB6 {
    /// A valid SRH: the segments of the policy.
    pub(crate) srh: KVec<u8>,
    /// Whether the SRH gets an IPv6 header of its own.
    pub(crate) encapsulation: Encapsulation,
}

impl Endpoint for EndB6 {
    /// Replaces `input_action_end_b6()` and `input_action_end_b6_encap()`.
    #[inline(always)]
    fn process<'a>(&'a self, mut skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        match self.encapsulation {
            Encapsulation::Insert => find(skb.as_mut(), bh)?,
            Encapsulation::Push => SrPacket::find_and_advance(skb.as_mut(), bh)?,
        };
        encap::encapsulate(skb, self.encapsulation, &self.srh, bh).map_err(Discard::unspecified)?;
        Ok(Verdict::Forward(Lookup::default()))
    }
}

/// Checks that there is an SRH with a segment left.
#[inline(never)]
fn find(skb: Pin<&mut SkBuff>, bh: &BhDisabled) -> Result<SrhSpan, Discard> {
    SrPacket::find(skb, Routing::SegmentsLeft, bh).map(|packet| packet.srh())
}

impl EndB6 {
    /// Returns the octets that are added to a packet.
    pub(crate) fn headroom(&self) -> u16 {
        let header_len = match self.encapsulation {
            Encapsulation::Insert => 0,
            Encapsulation::Push => ipv6::HEADER_LEN,
        };

        // OVERFLOW: An SRH has at most 2048 octets.
        header_len + self.srh.len() as u16
    }
}
