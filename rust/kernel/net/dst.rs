// SPDX-License-Identifier: GPL-2.0-or-later

//! Routes as packets carry them.
//!
//! C header: [`include/net/dst.h`](srctree/include/net/dst.h)

use crate::{
    bindings,
    error::to_result,
    net::device::NetDevice,
    prelude::*,
    sync::aref::AlwaysRefCounted,
    types::Opaque, //
};
use core::ptr::NonNull;

/// The result of a route lookup, `struct dst_entry`.
///
/// # Examples
///
/// ```
/// use kernel::net::{device::Namespace, ipv6};
///
/// let blackhole = ipv6::blackhole(Namespace::init_net());
/// assert_eq!(blackhole.error(), Err(EINVAL));
/// assert!(blackhole.dev().is_loopback());
/// ```
#[repr(transparent)]
pub struct DstEntry(Opaque<bindings::dst_entry>);

// SAFETY: The reference count is atomic, and the last reference may be dropped on any CPU.
unsafe impl Send for DstEntry {}
// SAFETY: All methods that take `&self` only read what is constant after the lookup.
unsafe impl Sync for DstEntry {}

// SAFETY: `dst_hold()` and `dst_release()` keep the count that keeps the entry alive.
unsafe impl AlwaysRefCounted for DstEntry {
    #[inline]
    fn inc_ref(&self) {
        // SAFETY: The borrow proves that the entry is alive.
        unsafe { bindings::dst_hold(self.as_raw()) };
    }

    #[inline]
    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: By the safety requirement of this function the caller gives up a reference.
        unsafe { bindings::dst_release(obj.as_ptr().cast()) };
    }
}

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

    /// Returns the device of the route.
    #[inline]
    pub fn dev(&self) -> &NetDevice {
        // SAFETY: The entry is valid.
        let dev = unsafe { bindings::dst_dev(self.as_raw()) };

        // SAFETY: The entry holds a reference to its device, or, when that is unregistered, to one
        // that outlives it.
        unsafe { NetDevice::from_raw(dev) }
    }
}
