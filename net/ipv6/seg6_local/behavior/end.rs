// SPDX-License-Identifier: GPL-2.0-or-later

//! End, End.X and End.T (RFC 8986, Sections 4.1 to 4.3) and their flavors.

use super::{
    Decision,
    Endpoint, //
};
use crate::{
    csid::Lengths,
    flavors::{
        srh_fate,
        Flavors,
        SrhFate, //
    },
    packet::{
        SrPacket,
        DESTINATION, //
    },
    verdict::{
        Discard,
        Verdict, //
    }, //
};
use core::net::Ipv6Addr;
use kernel::{
    net::{
        ipv6::{
            Lookup,
            Routing,
            HEADER_LEN, //
        },
        skbuff::SkBuff, //
    },
    prelude::*,
    softirq::BhDisabled, //
};

/// Advances to the next segment.
#[derive(PartialEq, Eq)]
pub(crate) struct End {
    /// The flavors, if some were given.
    pub(crate) flavors: Option<Flavors>,
}

impl Endpoint for End {
    /// Replaces `input_action_end()`.
    #[inline(always)]
    fn process<'a>(&'a self, skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        endpoint(skb, self.flavors, bh)?;
        Ok(Verdict::Forward(Lookup::default()))
    }
}

/// Advances to the next segment and sends the packet to a neighbor.
#[derive(PartialEq, Eq)]
pub(crate) struct EndX {
    /// The neighbor.
    pub(crate) next_hop: Ipv6Addr,
    /// Index of the device to the neighbor, if it was given.
    pub(crate) oif: Option<u32>,
    /// The flavors, if some were given.
    pub(crate) flavors: Option<Flavors>,
}

impl Endpoint for EndX {
    /// Replaces `input_action_end_x()`.
    #[inline(always)]
    fn process<'a>(&'a self, skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        endpoint(skb, self.flavors, bh)?;
        Ok(Verdict::Forward(Lookup {
            next_hop: Some(&self.next_hop),
            oif: self.oif.unwrap_or(0),
            ..Lookup::default()
        }))
    }
}

/// Advances to the next segment and looks it up in a table.
#[derive(PartialEq, Eq)]
pub(crate) struct EndT {
    /// The number of the table; 0 stands for what the rules say.
    pub(crate) table: u32,
}

impl Endpoint for EndT {
    /// Replaces `input_action_end_t()`.
    #[inline(always)]
    fn process<'a>(&'a self, skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        endpoint(skb, None, bh)?;
        Ok(Verdict::Forward(Lookup {
            table: self.table,
            ..Lookup::default()
        }))
    }
}

/// Makes the next segment the destination, in the way that the flavors ask for.
#[inline(always)]
fn endpoint(
    mut skb: Pin<&mut SkBuff>,
    flavors: Option<Flavors>,
    bh: &BhDisabled,
) -> Result<(), Discard> {
    let flavors = flavors.unwrap_or_default();

    // RFC 9800, Section 4.1.1: the argument of the destination comes before the SRH.
    if let Some(lengths) = flavors.csid() {
        if advance_csid(skb.as_mut(), lengths)? {
            return Ok(());
        }
    }
    let routing = if flavors.has_psp() {
        Routing::Any
    } else {
        Routing::SegmentsLeft
    };
    let packet = SrPacket::find(skb, routing, bh)?;
    let fate = srh_fate(flavors, packet.segments_left());
    let packet = packet.advance()?;

    match fate {
        SrhFate::Keep => Ok(()),
        SrhFate::Pop => packet.pop_srh().map_err(|_| Discard::INVALID),
    }
}

/// Makes the next compressed SID of the destination active; returns false if there is none.
///
/// Replaces `end_next_csid_core()`.
#[inline(never)]
fn advance_csid(skb: Pin<&mut SkBuff>, lengths: Lengths) -> Result<bool, Discard> {
    let container = skb
        .data()
        .get(DESTINATION)
        .and_then(|octets| octets.first_chunk());
    let Some(next) = container.and_then(|&container| lengths.advance(container)) else {
        return Ok(false);
    };

    skb.modify(HEADER_LEN.into(), |data| {
        data.get_mut(DESTINATION)?.copy_from_slice(&next);
        Some(())
    })?;
    Ok(true)
}
