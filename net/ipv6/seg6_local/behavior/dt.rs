// SPDX-License-Identifier: GPL-2.0-or-later

//! End.DT4, End.DT6 and End.DT46 (RFC 8986, Sections 4.6 to 4.8): decapsulation and table lookup.

use super::{
    Decision,
    Endpoint, //
};
use crate::{
    encap,
    verdict::{
        Discard,
        Verdict, //
    }, //
};
use kernel::{
    net::{
        device::{
            Namespace,
            NetDevice, //
        },
        ipv6,
        ipv6::{
            LocalDelivery,
            Lookup,
            Routing, //
        },
        l3mdev,
        l3mdev::Family,
        skbuff::SkBuff,
        tunnel::Inner, //
    },
    prelude::*,
    softirq::BhDisabled, //
};

/// The VRF of a routing table.
pub(crate) struct Vrf {
    /// The number of the table.
    pub(crate) table: u32,
    /// The index of the device that had the table when the SID was made.
    ifindex: u32,
}

/// As routes compare VRFs: by table.
impl PartialEq for Vrf {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table
    }
}

impl Eq for Vrf {}

impl Vrf {
    /// Finds the VRF of a table; fails as [`l3mdev::find_vrf`].
    pub(crate) fn find(net: &Namespace, table: u32) -> Result<Self> {
        let ifindex = l3mdev::find_vrf(net, table)?;

        Ok(Self { table, ifindex })
    }

    /// Returns the device, unless it is gone or another one has its index now.
    ///
    /// Replaces `end_dt_get_vrf_rcu()`.
    #[inline]
    fn device<'bh>(&self, net: &Namespace, bh: &'bh BhDisabled) -> Option<&'bh NetDevice> {
        net.find_device(self.ifindex, bh)
            .filter(|dev| dev.l3_table(bh) == self.table)
    }

    /// Removes the outer headers and lets the VRF receive the packet inside.
    ///
    /// Replaces `end_dt_vrf_core()`.
    #[inline(always)]
    fn process<'a>(
        &self,
        skb: Pin<&mut SkBuff>,
        family: Family,
        bh: &'a BhDisabled,
    ) -> Decision<'a> {
        let net = skb.dev(bh).ok_or(Discard::INVALID)?.namespace(bh);

        encap::terminate_ip(skb, family, bh)?;
        let dev = self.device(net, bh).ok_or(Discard::INVALID)?;
        Ok(Verdict::Receive(dev, family))
    }
}

/// Routes the IPv4 packet inside by the table of a VRF.
#[derive(PartialEq, Eq)]
pub(crate) struct EndDt4 {
    /// The VRF.
    pub(crate) vrf: Vrf,
}

impl Endpoint for EndDt4 {
    /// Replaces `input_action_end_dt4()`.
    #[inline(always)]
    fn process<'a>(&'a self, skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        self.vrf.process(skb, Family::Ipv4, bh)
    }
}

/// Where End.DT6 looks a packet up.
#[derive(PartialEq, Eq)]
pub(crate) enum EndDt6 {
    /// In the table of this number; 0 stands for what the rules say.
    Table(u32),
    /// In the table of a VRF.
    Vrf(Vrf),
}

impl Endpoint for EndDt6 {
    /// Replaces `input_action_end_dt6()`.
    #[inline(always)]
    fn process<'a>(&'a self, skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        match self {
            Self::Table(table) => {
                encap::terminate(skb, Inner::Ipv6, bh)?;
                Ok(Verdict::Forward(Lookup {
                    table: *table,
                    local: LocalDelivery::Allow,
                    ..Lookup::default()
                }))
            }
            Self::Vrf(vrf) => vrf.process(skb, Family::Ipv6, bh),
        }
    }
}

/// Routes the IPv4 or IPv6 packet inside by the table of a VRF.
#[derive(PartialEq, Eq)]
pub(crate) struct EndDt46 {
    /// The VRF.
    pub(crate) vrf: Vrf,
}

impl Endpoint for EndDt46 {
    /// Replaces `input_action_end_dt46()`.
    #[inline(always)]
    fn process<'a>(&'a self, skb: Pin<&mut SkBuff>, bh: &'a BhDisabled) -> Decision<'a> {
        let is_ipv4 = ipv6::find_header(&skb, Inner::Ipv4.protocol(), Routing::Any).is_ok();

        self.vrf
            .process(skb, if is_ipv4 { Family::Ipv4 } else { Family::Ipv6 }, bh)
    }
}
