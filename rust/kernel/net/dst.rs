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
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    num::NonZeroUsize,
    ops::Deref,
    ptr::NonNull, //
};

pub mod cache;

/// The result of a route lookup, `struct dst_entry`.
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

    /// Whether packets of this route are discarded.
    #[inline]
    pub fn has_error(&self) -> bool {
        // SAFETY: The entry is valid, and `error` does not change after the lookup.
        unsafe { (*self.as_raw()).error != 0 }
    }

    /// Whether a lightweight tunnel processes packets of this route.
    #[inline]
    pub fn has_tunnel(&self) -> bool {
        // SAFETY: The entry is valid, and its tunnel does not change.
        unsafe { !(*self.as_raw()).lwtstate.is_null() }
    }

    /// Whether packets of this route are for this host: its device is a loopback device.
    #[inline]
    pub fn is_for_this_host(&self, bh: &BhDisabled) -> bool {
        !self.has_error() && self.dev(bh).is_loopback()
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
        // SAFETY: The entry is valid. Its operations are static or in its namespace, which outlives
        // the entry.
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

/// A reference to a route, for a packet or for the cache.
///
/// There is no safe way to make one of a route that a packet carries: that may be without a
/// reference, and about to go. And there is none at all outside of these modules: the operations of
/// the entry are in its namespace, which a reference does not keep.
///
/// # Invariants
///
/// The pointer is valid, and the value owns one reference to the entry.
pub(in crate::net) struct OwnedDst(NonNull<DstEntry>, NotThreadSafe);

impl OwnedDst {
    /// Takes a reference over from C.
    ///
    /// # Safety
    ///
    /// `ptr` must point to a valid entry; the caller gives a reference to it up.
    #[inline]
    pub(in crate::net) unsafe fn from_raw(ptr: *mut bindings::dst_entry) -> Self {
        // SAFETY: By the safety requirement the pointer is valid, so not null.
        // INVARIANT: By the safety requirement.
        Self(unsafe { NonNull::new_unchecked(ptr.cast()) }, NotThreadSafe)
    }

    /// Gives the reference to C.
    #[inline]
    pub(in crate::net) fn into_raw(self) -> *mut bindings::dst_entry {
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

/// A route as packets have it: with a reference of their own, or without one, as RCU keeps the route
/// for as long as bottom halves are off.
///
/// # Invariants
///
/// The value is that of `sk_buff._skb_refdst`: a pointer to a valid entry, and [`NOREF`] in the lowest
/// bit unless the value owns a reference.
pub(in crate::net) struct Route<'bh> {
    refdst: NonZeroUsize,
    _bh: PhantomData<&'bh DstEntry>,
}

/// Without a reference.
const NOREF: usize = bindings::SKB_DST_NOREF as usize;

impl<'bh> Route<'bh> {
    /// A route without a reference.
    #[inline]
    pub(in crate::net) fn borrow(dst: &'bh DstEntry) -> Self {
        // INVARIANT: The entry is valid for all of `'bh`.
        Self::new(dst.as_raw() as usize | NOREF)
    }

    /// Takes the result of a lookup with `RT6_LOOKUP_F_DST_NOREF` over, which has a reference only if
    /// no table has one, or of [`bindings::ip6_route_output`], which always has one.
    ///
    /// # Safety
    ///
    /// The entry must be such a result; RCU must keep it for all of `'bh`.
    #[inline]
    pub(in crate::net) unsafe fn from_lookup(
        dst: NonNull<bindings::dst_entry>,
        is_owned: bool,
    ) -> Self {
        // SAFETY: By the safety requirement the entry is valid.
        let is_uncached = unsafe { !(*dst.as_ptr()).rt_uncached_list.is_null() };
        let noref = if is_owned || is_uncached { 0 } else { NOREF };

        // INVARIANT: By the safety requirement.
        Self::new(dst.as_ptr() as usize | noref)
    }

    #[inline]
    fn new(refdst: usize) -> Self {
        Self {
            // SAFETY: Not null, as it is a pointer to an entry.
            refdst: unsafe { NonZeroUsize::new_unchecked(refdst) },
            _bh: PhantomData,
        }
    }

    /// Gives the route to C, as `_skb_refdst` has it.
    #[inline]
    pub(in crate::net) fn into_raw(self) -> usize {
        ManuallyDrop::new(self).refdst.get()
    }

    /// Returns the route with a reference; `None` if it is about to go.
    #[inline]
    pub(in crate::net) fn into_owned(self) -> Option<OwnedDst> {
        let dst = self.as_raw();

        // SAFETY: By the type invariant the entry is valid.
        if self.is_borrowed() && !unsafe { bindings::dst_hold_safe(dst) } {
            return None;
        }
        let _ = ManuallyDrop::new(self);
        // SAFETY: The reference was just taken, or was that of the value, which does not drop it.
        Some(unsafe { OwnedDst::from_raw(dst) })
    }

    #[inline]
    fn is_borrowed(&self) -> bool {
        self.refdst.get() & NOREF != 0
    }
}

impl Deref for Route<'_> {
    type Target = DstEntry;

    #[inline]
    fn deref(&self) -> &DstEntry {
        // SAFETY: By the type invariant.
        unsafe { DstEntry::from_raw((self.refdst.get() & !NOREF) as *const bindings::dst_entry) }
    }
}

impl Drop for Route<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_borrowed() {
            // SAFETY: By the type invariant the value owns a reference.
            unsafe { bindings::dst_release(self.as_raw()) };
        }
    }
}
