// SPDX-License-Identifier: GPL-2.0-or-later

//! Network devices and namespaces.
//!
//! C headers: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use crate::{
    bindings,
    prelude::*,
    softirq::BhDisabled,
    types::Opaque, //
};
use core::ptr::NonNull;

/// A network namespace, `struct net`.
///
/// # Examples
///
/// ```
/// use kernel::net::device::Namespace;
///
/// assert_eq!(Namespace::init_net().loopback().ifindex(), 1);
/// ```
#[repr(transparent)]
pub struct Namespace(Opaque<bindings::net>);

impl Namespace {
    /// Returns the namespace of the init process.
    pub fn init_net() -> &'static Self {
        // SAFETY: `init_net` is a static.
        unsafe { Self::from_raw(&raw const bindings::init_net) }
    }

    /// Borrows a namespace.
    ///
    /// # Safety
    ///
    /// `ptr` must point to a namespace that is valid for the whole of `'a`.
    #[inline]
    pub unsafe fn from_raw<'a>(ptr: *const bindings::net) -> &'a Self {
        // SAFETY: By the safety requirement; the cast is right because of `repr(transparent)`.
        unsafe { &*ptr.cast::<Self>() }
    }

    /// Returns the loopback device, which lives as long as the namespace.
    pub fn loopback(&self) -> &NetDevice {
        // SAFETY: The namespace is valid, and its loopback device is set before it can be seen.
        let dev = unsafe { (*self.as_raw()).loopback_dev };

        // SAFETY: The loopback device goes away together with its namespace.
        unsafe { NetDevice::from_raw(dev) }
    }

    /// Returns the device with the index `ifindex`.
    #[inline]
    pub fn find_device<'bh>(&self, ifindex: u32, _bh: &'bh BhDisabled) -> Option<&'bh NetDevice> {
        // SAFETY: The namespace is valid, and bottom halves are off, which RCU waits for.
        let dev = unsafe { bindings::dev_get_by_index_rcu(self.as_raw(), ifindex as c_int) };

        // SAFETY: The device lives for an RCU grace period after it was found, and bottom halves
        // are off for all of `'bh`.
        Some(unsafe { NetDevice::from_raw(NonNull::new(dev)?.as_ptr()) })
    }

    /// Returns the C object.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::net {
        self.0.get()
    }
}

/// A network device, `struct net_device`.
#[repr(transparent)]
pub struct NetDevice(Opaque<bindings::net_device>);

impl NetDevice {
    /// Borrows a device.
    ///
    /// # Safety
    ///
    /// `ptr` must point to a device that is valid for the whole of `'a`.
    #[inline]
    pub unsafe fn from_raw<'a>(ptr: *const bindings::net_device) -> &'a Self {
        // SAFETY: By the safety requirement; the cast is right because of `repr(transparent)`.
        unsafe { &*ptr.cast::<Self>() }
    }

    /// Returns the C object.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::net_device {
        self.0.get()
    }

    /// Returns the index of the interface in its namespace.
    #[inline]
    pub fn ifindex(&self) -> i32 {
        // SAFETY: The device is valid.
        unsafe { bindings::dev_ifindex(self.as_raw()) }
    }

    /// Whether frames of this device have an Ethernet header.
    #[inline]
    pub fn is_ethernet(&self) -> bool {
        // SAFETY: The device is valid.
        let ty = unsafe { bindings::dev_type(self.as_raw()) };

        u32::from(ty) == bindings::ARPHRD_ETHER
    }

    /// Whether the device is up and has a carrier.
    #[inline]
    pub fn is_running(&self) -> bool {
        // SAFETY: The device is valid.
        let flags = unsafe { bindings::dev_flags(self.as_raw()) };

        // SAFETY: As above.
        let has_carrier = unsafe { bindings::netif_carrier_ok(self.as_raw()) };

        flags & bindings::net_device_flags_IFF_UP != 0 && has_carrier
    }

    /// Returns the most octets that a packet may have behind the header of the link.
    #[inline]
    pub fn mtu(&self) -> u32 {
        // SAFETY: The device is valid.
        unsafe { bindings::dev_mtu(self.as_raw()) }
    }

    /// Whether this is a loopback device.
    #[inline]
    pub fn is_loopback(&self) -> bool {
        // SAFETY: The device is valid.
        let flags = unsafe { bindings::dev_flags(self.as_raw()) };

        flags & bindings::net_device_flags_IFF_LOOPBACK != 0
    }

    /// Returns the namespace that the device is in, which it may leave at any time: when the namespace
    /// goes, for one.
    #[inline]
    pub fn namespace<'bh>(&self, _bh: &'bh BhDisabled) -> &'bh Namespace {
        // SAFETY: The device is valid.
        let net = unsafe { bindings::dev_net_bh(self.as_raw()) };

        // SAFETY: A namespace lives for an RCU grace period after its last device has left it, and
        // bottom halves are off for all of `'bh`.
        unsafe { Namespace::from_raw(net) }
    }
}
