// SPDX-License-Identifier: GPL-2.0-or-later

//! Where an IPv4 packet goes next.

use core::net::Ipv4Addr;
use kernel::{
    net::{
        ipv4,
        lwtunnel::InputStatus,
        skbuff::OwnedSkBuff, //
    },
    softirq::BhDisabled, //
};

/// How the route of an IPv4 packet is looked up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ipv4Lookup {
    /// The next hop, instead of the destination address.
    pub(crate) next_hop: Option<Ipv4Addr>,
}

impl Ipv4Lookup {
    /// Sends the packet where its route says.
    ///
    /// RFC 8986, Section 4.5: to the adjacency, also where that is on the link.
    #[inline]
    pub(crate) fn forward(self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        InputStatus::new(ipv4::forward(skb, self.next_hop, bh))
    }
}
