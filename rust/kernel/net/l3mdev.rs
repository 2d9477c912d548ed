// SPDX-License-Identifier: GPL-2.0-or-later

//! Devices that stand for a routing table: VRFs.
//!
//! C header: [`include/net/l3mdev.h`](srctree/include/net/l3mdev.h)

use crate::{
    bindings,
    net::{
        device::{
            Namespace,
            NetDevice, //
        },
        ipv4,
        ipv6,
        skbuff::OwnedSkBuff,
        tunnel::Inner, //
    },
    prelude::*,
    softirq::BhDisabled, //
};
use core::ptr;

/// The family of a packet that a VRF receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl From<Family> for Inner {
    #[inline]
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4,
            Family::Ipv6 => Self::Ipv6,
        }
    }
}

/// Returns the index of the VRF device of the routing table numbered `table`.
///
/// Fails with `ENODEV` if there is none, with `EPERM` if several VRFs may share a table (unless
/// `net.vrf.strict_mode` is set), and with `EINVAL` if there are no VRFs at all. Wraps
/// `l3mdev_ifindex_lookup_by_table_id()`, whose lock only tasks take, so it is not for softirqs.
///
/// # Examples
///
/// ```
/// use kernel::net::{device::Namespace, l3mdev};
///
/// // Nobody has made one.
/// assert!(l3mdev::find_vrf(Namespace::init_net(), 4711).is_err());
/// ```
pub fn find_vrf(net: &Namespace, table: u32) -> Result<u32> {
    // SAFETY: The namespace is valid.
    let found = unsafe {
        bindings::l3mdev_ifindex_lookup_by_table_id(
            bindings::l3mdev_type_L3MDEV_TYPE_VRF,
            net.as_raw(),
            table,
        )
    };

    u32::try_from(found).map_err(|_| Error::from_errno(found))
}

impl NetDevice {
    /// Returns the number of the table that packets of this device, a VRF or a member of one, are
    /// routed by; `0` for other devices.
    #[inline]
    pub fn l3_table(&self, _bh: &BhDisabled) -> u32 {
        // SAFETY: The device is valid, and bottom halves are off, which RCU waits for.
        unsafe { bindings::l3mdev_fib_table_rcu(self.as_raw()) }
    }
}

impl OwnedSkBuff {
    /// Lets the VRF device `dev` receive the packet: it counts and shows it to those who listen, and
    /// netfilter may drop it or keep it.
    ///
    /// Returns the packet, if it came out again, which is one of `dev` now. Fails with `EINVAL` if
    /// the packet does not start with a header of `family`, if IPv6 is off and that is the family, or if
    /// the device is no VRF or leaves the packet to another one.
    #[inline]
    pub fn receive_l3(
        mut self,
        dev: &NetDevice,
        family: Family,
        bh: &BhDisabled,
    ) -> Result<Option<Self>> {
        let (family, header_len) = match family {
            Family::Ipv4 => (bindings::AF_INET, ipv4::HEADER_LEN),
            Family::Ipv6 => (bindings::AF_INET6, ipv6::HEADER_LEN),
        };

        // SAFETY: The device is valid.
        if !unsafe { bindings::netif_is_l3_receiver(dev.as_raw()) }
            || self.network_offset() != 0
            || self.data().len() < header_len.into()
            || family == bindings::AF_INET6 && ipv6::Net::of(dev.namespace(bh)).is_none()
        {
            return Err(EINVAL);
        }
        self.as_mut().clear_dst();
        // SAFETY: The packet is valid and owned.
        unsafe { bindings::skb_unset_mac_header(self.as_raw()) };
        // SAFETY: The device is a receiver and valid; the packet has a linear header and is given to
        // the function.
        let skb = unsafe { bindings::l3mdev_l3_rcv(dev.as_raw(), self.into_raw(), family as u16) };
        if skb.is_null() {
            return Ok(None);
        }
        // SAFETY: The function returned a packet that is the caller's.
        let skb = unsafe { Self::from_raw(skb) };
        // SAFETY: The packet is valid.
        let iif = unsafe { bindings::skb_get_iif(skb.as_raw()) };

        if !skb.dev(bh).is_some_and(|got| ptr::eq(got, dev)) || iif != dev.ifindex() {
            return Err(EINVAL);
        }
        Ok(Some(skb))
    }
}
