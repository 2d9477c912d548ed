// SPDX-License-Identifier: GPL-2.0-or-later

//! Where a packet goes next.

use crate::verdict::Discard;
use core::{
    net::{
        Ipv4Addr,
        Ipv6Addr, //
    },
    num::NonZeroU32, //
};
use kernel::{
    net::{
        ipv4,
        ipv6,
        skbuff::SkBuff, //
    },
    prelude::*,
    softirq::BhDisabled, //
};

/// How the route of a packet is looked up.
///
/// The default looks the destination address up as for any packet that is received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lookup {
    /// The next hop, instead of the destination address.
    pub(crate) next_hop: Option<Ipv6Addr>,
    /// The only table to look at, instead of what the rules say.
    pub(crate) table: Option<NonZeroU32>,
    /// Index of the device to send to; without a table, the packet then is routed like one that
    /// this host sends.
    pub(crate) oif: Option<NonZeroU32>,
    /// Whether the packet may be for this host.
    pub(crate) local: LocalDelivery,
}

/// What becomes of a packet to this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LocalDelivery {
    /// It is dropped.
    #[default]
    Deny,
    /// It is delivered.
    Allow,
}

impl Lookup {
    /// Gives the packet a route, and returns the error of that route.
    ///
    /// A packet to this host that it may not be for, or to a table that does not exist, gets the
    /// blackhole route (`EINVAL`). Replaces `seg6_lookup_any_nexthop()`.
    #[inline]
    pub(crate) fn attach(&self, mut skb: Pin<&mut SkBuff>, bh: &BhDisabled) -> Result {
        let dev = skb.dev(bh).ok_or(EINVAL)?;
        let net = dev.namespace();
        let flow = self.flow(&skb, dev.ifindex())?;

        let found = match (self.table, self.oif) {
            (None, None) => Some(ipv6::route_input(dev, flow, &skb)),
            (Some(table), _) => ipv6::route_table(net, table.get(), flow, &skb),
            (None, Some(_)) => Some(ipv6::route_output(net, flow)),
        };
        let dst = found
            .filter(|dst| {
                self.local == LocalDelivery::Allow
                    || dst.error().is_err()
                    || !dst.dev(bh).is_loopback()
            })
            .unwrap_or_else(|| ipv6::blackhole(net));
        let result = dst.error();

        skb.as_mut().set_dst(dst);
        result
    }

    fn flow(&self, skb: &SkBuff, iif: i32) -> Result<ipv6::Flow> {
        let header = skb.data().first_chunk::<40>().ok_or(EINVAL)?;
        let &[version_class, class_label, label_0, label_1, _, _, proto, _, ref addrs @ ..] =
            header;
        let (saddr, daddr) = addrs.split_at(16);
        let addr = |octets: &[u8]| octets.first_chunk::<16>().copied().map(Ipv6Addr::from);

        Ok(ipv6::Flow {
            iif,
            oif: self.oif.map_or(0, |oif| oif.get() as i32),
            daddr: self.next_hop.or_else(|| addr(daddr)).ok_or(EINVAL)?,
            saddr: addr(saddr).ok_or(EINVAL)?,
            flowinfo: [version_class & 0x0f, class_label, label_0, label_1],
            proto,
            mark: skb.mark(),
            next_hop: self.next_hop.is_some(),
        })
    }
}

/// How the route of an IPv4 packet is looked up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ipv4Lookup {
    /// The next hop, instead of the destination address.
    pub(crate) next_hop: Option<Ipv4Addr>,
}

impl Ipv4Lookup {
    /// Gives the packet a route.
    pub(crate) fn attach(&self, mut skb: Pin<&mut SkBuff>, bh: &BhDisabled) -> Result<(), Discard> {
        let dev = skb.dev(bh).ok_or(Discard::INVALID)?;

        ipv4::route_input(skb.as_mut(), dev, self.next_hop)?;
        // RFC 8986, Section 4.5: to the adjacency, also where that is on the link.
        if let Some(next_hop) = self.next_hop {
            ipv4::set_gateway(skb.as_mut(), next_hop, bh)?;
        }
        ipv4::read_options(skb, dev)?;
        Ok(())
    }
}
