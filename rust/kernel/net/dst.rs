// SPDX-License-Identifier: GPL-2.0-or-later

//! Routes as packets carry them.
//!
//! C header: [`include/net/dst.h`](srctree/include/net/dst.h)

use crate::{
    bindings,
    error::to_result,
    net::device::NetDevice,
    prelude::*,
    softirq::BhDisabled,
    types::Opaque, //
};
use core::{
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull, //
};

/// The result of a route lookup, `struct dst_entry`.
///
/// # Examples
///
/// ```
/// use kernel::{
///     net::{device::Namespace, ipv6},
///     softirq::BhDisabled,
/// };
///
/// let blackhole = ipv6::blackhole(Namespace::init_net());
/// assert_eq!(blackhole.error(), Err(EINVAL));
/// assert!(blackhole.dev(&BhDisabled::new()).is_loopback());
/// assert!(!blackhole.is_ipv4());
/// ```
#[repr(transparent)]
pub struct DstEntry(Opaque<bindings::dst_entry>);

impl DstEntry {
    /// Borrows a route.
    ///
    /// # Safety
    ///
    /// `ptr` must point to an entry that is valid for the whole of `'a`.
    #[inline]
    pub unsafe fn from_raw<'a>(ptr: *const bindings::dst_entry) -> &'a Self {
        // SAFETY: By the safety requirement; the cast is right because of `repr(transparent)`.
        unsafe { &*ptr.cast::<Self>() }
    }

    /// Returns the C object.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::dst_entry {
        self.0.get()
    }

    /// Returns the reason for which packets of this route are discarded, if they are.
    #[inline]
    pub fn error(&self) -> Result {
        // SAFETY: The entry is valid, and `error` does not change after the lookup.
        let error = unsafe { (*self.as_raw()).error };

        to_result(error.into())
    }

    /// Whether this is a route of IPv4, `struct rtable`.
    #[inline]
    pub fn is_ipv4(&self) -> bool {
        // SAFETY: The entry is valid, and its operations are static.
        let family = unsafe { (*(*self.as_raw()).ops).family };

        u32::from(family) == bindings::AF_INET
    }

    /// Returns the device of the route.
    #[inline]
    pub fn dev<'bh>(&self, _bh: &'bh BhDisabled) -> &'bh NetDevice {
        // SAFETY: The entry is valid.
        let dev = unsafe { bindings::dst_dev(self.as_raw()) };

        // SAFETY: A device lives for an RCU grace period after an entry that had it was seen, and
        // bottom halves are off for all of `'bh`.
        unsafe { NetDevice::from_raw(dev) }
    }
}

/// A reference to a route.
///
/// There is no safe way to make one of a route that a packet carries: that may be without a
/// reference, and about to go.
///
/// # Invariants
///
/// The pointer is valid, and the value owns one reference to the entry.
pub struct OwnedDst(NonNull<DstEntry>);

impl OwnedDst {
    /// Takes a reference over from C.
    ///
    /// # Safety
    ///
    /// `ptr` must point to a valid entry; the caller gives a reference to it up.
    #[inline]
    pub unsafe fn from_raw(ptr: *mut bindings::dst_entry) -> Self {
        // SAFETY: By the safety requirement the pointer is valid, so not null.
        // INVARIANT: By the safety requirement.
        Self(unsafe { NonNull::new_unchecked(ptr.cast()) })
    }

    /// Gives the reference to C.
    #[inline]
    pub fn into_raw(self) -> *mut bindings::dst_entry {
        ManuallyDrop::new(self).as_raw()
    }
}

impl Deref for OwnedDst {
    type Target = DstEntry;

    #[inline]
    fn deref(&self) -> &DstEntry {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for OwnedDst {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant the value owns a reference.
        unsafe { bindings::dst_release(self.as_raw()) };
    }
}
