// SPDX-License-Identifier: GPL-2.0-or-later

//! Where an IPv4 packet goes next.

use crate::verdict::Discard;
use core::net::Ipv4Addr;
use kernel::{
    net::{
        ipv4,
        skbuff::SkBuff, //
    },
    prelude::*,
    softirq::BhDisabled, //
};

/// How the route of an IPv4 packet is looked up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ipv4Lookup {
    /// The next hop, instead of the destination address.
    pub(crate) next_hop: Option<Ipv4Addr>,
}

impl Ipv4Lookup {
    /// Gives the packet a route.
    pub(crate) fn attach(&self, mut skb: Pin<&mut SkBuff>, bh: &BhDisabled) -> Result<(), Discard> {
        ipv4::route_input(skb.as_mut(), self.next_hop, bh)?;
        // RFC 8986, Section 4.5: to the adjacency, also where that is on the link.
        if let Some(next_hop) = self.next_hop {
            ipv4::set_gateway(skb.as_mut(), next_hop, bh)?;
        }
        ipv4::read_options(skb, bh)?;
        Ok(())
    }
}
