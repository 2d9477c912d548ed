// SPDX-License-Identifier: GPL-2.0-or-later

//! End.DX2, End.DX4 and End.DX6 (RFC 8986, Sections 4.4, 4.5 and 4.9): decapsulation and
//! cross-connect.

use super::{
    Decision,
    Endpoint, //
};
use crate::{
    encap,
    route::Ipv4Lookup,
    verdict,
    verdict::{
        Discard,
        Verdict, //
    }, //
};
use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};
use kernel::{
    net::{
        device::NetDevice,
        ipv6::Lookup,
        l3mdev::Family,
        lwtunnel,
        lwtunnel::InputStatus,
        skbuff::{
            OwnedSkBuff,
            SkBuff, //
        },
        tunnel::Inner, //
    },
    prelude::*,
    softirq::BhDisabled,
    uapi, //
};

/// Octets of an Ethernet header.
const ETH_HLEN: usize = uapi::ETH_HLEN as usize;

/// Removes the outer headers and sends the Ethernet frame inside from a device.
#[derive(PartialEq, Eq)]
pub(crate) struct EndDx2 {
    /// Index of the device.
    pub(crate) oif: u32,
}

impl Endpoint for EndDx2 {
    /// Replaces `input_action_end_dx2()`.
    #[inline(always)]
    fn process<'a>(&'a self, mut skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        let net = skb.dev(bh).ok_or(Discard::INVALID)?.namespace(bh);

        encap::terminate(skb.as_mut(), Inner::Ethernet, bh)?;
        let frame = skb.data().first_chunk().ok_or(Discard::INVALID)?;
        let protocol = Protocol::of(frame);
        let dev = net.find_device(self.oif, bh).filter(|dev| {
            dev.is_ethernet() && dev.is_running() && !skb.is_lro() && fits(&skb, protocol, dev)
        });

        skb.set_protocol(protocol.number());
        Ok(Verdict::Transmit(dev.ok_or(Discard::INVALID)?))
    }
}

/// What the type field of an Ethernet frame says.
#[derive(Clone, Copy)]
enum Protocol {
    /// The EtherType.
    Type(u16),
    /// A length, so an LLC header follows (IEEE 802.2).
    Llc,
}

impl Protocol {
    fn of(header: &[u8; ETH_HLEN]) -> Self {
        let &[.., a, b] = header;

        match u16::from_be_bytes([a, b]) {
            number if u32::from(number) >= uapi::ETH_P_802_3_MIN => Self::Type(number),
            _ => Self::Llc,
        }
    }

    fn number(self) -> u16 {
        match self {
            Self::Type(number) => number,
            Self::Llc => uapi::ETH_P_802_2 as u16,
        }
    }

    /// Returns the octets of a VLAN tag, which do not count for the MTU.
    fn tag_len(self) -> u32 {
        match u32::from(self.number()) {
            uapi::ETH_P_8021Q | uapi::ETH_P_8021AD => 4,
            _ => 0,
        }
    }
}

/// Whether a device can send a frame of this length.
fn fits(skb: &SkBuff, protocol: Protocol, dev: &NetDevice) -> bool {
    // OVERFLOW: The header of the frame is in the packet.
    let len = skb.len().saturating_sub(ETH_HLEN as u32);

    skb.is_gso() || len.saturating_sub(protocol.tag_len()) <= dev.mtu()
}

/// Removes the outer headers and sends the IPv6 packet inside to a neighbor.
#[derive(PartialEq, Eq)]
pub(crate) struct EndDx6 {
    /// The neighbor; the unspecified address stands for the destination of the packet.
    pub(crate) next_hop: Ipv6Addr,
}

impl Endpoint for EndDx6 {
    /// Replaces `input_action_end_dx6()`.
    #[inline(always)]
    fn process<'a>(&'a self, skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        cross_connect(skb, Family::Ipv6, self.verdict(), bh)
    }
}

impl EndDx6 {
    /// Goes on with a packet that netfilter has seen.
    #[inline(never)]
    pub(crate) fn resume(&self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        verdict::execute(Ok(self.verdict()), skb, bh)
    }

    /// Replaces `input_action_end_dx6_finish()`.
    #[inline(always)]
    fn verdict(&self) -> Verdict<'_> {
        Verdict::Forward(Lookup {
            next_hop: Some(&self.next_hop).filter(|addr| !addr.is_unspecified()),
            ..Lookup::default()
        })
    }
}

/// Removes the outer headers and sends the IPv4 packet inside to a neighbor.
#[derive(PartialEq, Eq)]
pub(crate) struct EndDx4 {
    /// The neighbor; the unspecified address stands for the destination of the packet.
    pub(crate) next_hop: Ipv4Addr,
}

impl Endpoint for EndDx4 {
    /// Replaces `input_action_end_dx4()`.
    #[inline(always)]
    fn process<'a>(&'a self, skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        cross_connect(skb, Family::Ipv4, self.verdict(), bh)
    }
}

impl EndDx4 {
    /// Goes on with a packet that netfilter has seen.
    #[inline(never)]
    pub(crate) fn resume(&self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        verdict::execute(Ok(self.verdict()), skb, bh)
    }

    /// Replaces `input_action_end_dx4_finish()`.
    #[inline(always)]
    fn verdict(&self) -> Verdict<'_> {
        Verdict::ForwardIpv4(Ipv4Lookup {
            next_hop: Some(self.next_hop).filter(|addr| !addr.is_unspecified()),
        })
    }
}

/// Removes the outer headers of a packet that `verdict` is about, unless netfilter wants it first.
#[inline]
fn cross_connect<'a>(
    skb: Pin<&mut SkBuff>,
    family: Family,
    verdict: Verdict<'a>,
    bh: &BhDisabled,
) -> Decision<'a> {
    encap::terminate_ip(skb, family, bh)?;
    if lwtunnel::has_hooks() {
        return Ok(Verdict::Prerouting(family));
    }
    Ok(verdict)
}
