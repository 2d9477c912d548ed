// SPDX-License-Identifier: GPL-2.0-or-later

//! Packets.
//!
//! A packet is used as [`Pin<&mut SkBuff>`](SkBuff) by code that works on it and as [`OwnedSkBuff`]
//! by code that decides where it goes. Methods that may move its data take `Pin<&mut SkBuff>`, so
//! that no slice into the old data survives the call.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use crate::{
    alloc::{AllocError, Flags},
    bindings,
    net::{
        device::NetDevice,
        dst::{
            DstEntry,
            OwnedDst, //
        }, //
    },
    prelude::*,
    softirq::BhDisabled,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};
use core::{
    mem::{
        offset_of,
        ManuallyDrop, //
    },
    ptr,
    ptr::NonNull,
    slice, //
};

mod edit;

/// The longest piece that [`SkBuff::insert_zeroed`] inserts, in octets.
pub const MAX_INSERT: u32 = 0xffff;

/// Why a packet is dropped, `enum skb_drop_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropReason(bindings::skb_drop_reason);

impl DropReason {
    /// No reason is given.
    pub const NOT_SPECIFIED: Self = Self(bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED);
    /// Memory could not be allocated.
    pub const NOMEM: Self = Self(bindings::skb_drop_reason_SKB_DROP_REASON_NOMEM);
    /// The IP header is malformed.
    pub const IP_INHDR: Self = Self(bindings::skb_drop_reason_SKB_DROP_REASON_IP_INHDR);

    /// Returns the reason that C gave, `None` if that is not to drop the packet.
    #[inline]
    pub fn from_raw(reason: bindings::skb_drop_reason) -> Option<Self> {
        (reason != bindings::skb_drop_reason_SKB_NOT_DROPPED_YET).then_some(Self(reason))
    }
}

/// A packet, `struct sk_buff`.
///
/// All offsets are in octets from the first octet of the data.
///
/// # Examples
///
/// ```
/// use kernel::net::skbuff::OwnedSkBuff;
///
/// let mut skb = OwnedSkBuff::with_data(&[1, 2, 3, 4], 64, GFP_KERNEL)?;
///
/// skb.as_mut().insert_zeroed(2, 3)?;
/// assert_eq!(skb.data(), [1, 2, 0, 0, 0, 3, 4]);
///
/// skb.as_mut().modify(7, |data| {
///     data[6] = 9;
///     Some(())
/// })?;
/// skb.as_mut().remove(1, 4)?;
/// assert_eq!(skb.data(), [1, 3, 9]);
///
/// assert_eq!(skb.as_mut().may_pull(4).err(), Some(ENOMEM));
/// # Ok::<(), Error>(())
/// ```
#[repr(transparent)]
pub struct SkBuff(Opaque<bindings::sk_buff>);

impl SkBuff {
    /// Borrows a packet from C.
    ///
    /// # Safety
    ///
    /// `ptr` must point to a packet that is valid, and that nobody else uses, for the whole of
    /// `'a`.
    #[inline]
    pub unsafe fn from_raw<'a>(ptr: *mut bindings::sk_buff) -> Pin<&'a mut Self> {
        // SAFETY: By the safety requirement; the cast is right because of `repr(transparent)`. A
        // packet is never moved.
        unsafe { Pin::new_unchecked(&mut *ptr.cast::<Self>()) }
    }

    /// Returns the C object.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::sk_buff {
        self.0.get()
    }

    /// Returns the length of the packet in octets, with what is not in the linear part.
    #[inline]
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> u32 {
        // SAFETY: The packet is valid.
        unsafe { (*self.as_raw()).len }
    }

    /// Returns the linear part of the data.
    #[inline]
    pub fn data(&self) -> &[u8] {
        let skb = self.as_raw();
        // SAFETY: The packet is valid.
        let len = unsafe { bindings::skb_headlen(skb) };

        // SAFETY: The first `skb_headlen()` octets from `data` are initialized. They change or move
        // only by methods that take `Pin<&mut Self>`, which the borrow of `self` rules out.
        unsafe { slice::from_raw_parts((*skb).data, len as usize) }
    }

    /// Returns the linear part of the data as far as `len` for writing.
    ///
    /// # Safety
    ///
    /// `len` octets must be linear and not be shared with another packet.
    #[inline]
    unsafe fn data_mut(self: Pin<&mut Self>, len: usize) -> &mut [u8] {
        // SAFETY: By the safety requirement; `self` is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut((*self.as_raw()).data, len) }
    }

    /// Makes the first `len` octets linear and returns them.
    ///
    /// Fails with `ENOMEM` if the packet is shorter or memory is short.
    #[inline]
    pub fn may_pull(self: Pin<&mut Self>, len: u32) -> Result<&[u8]> {
        // SAFETY: The packet is valid and borrowed exclusively.
        if !unsafe { bindings::pskb_may_pull(self.as_raw(), len) } {
            return Err(ENOMEM);
        }
        self.into_ref()
            .get_ref()
            .data()
            .get(..len as usize)
            .ok_or(ENOMEM)
    }

    /// Makes the first `len` octets linear and private to this packet, for C functions that change
    /// them and keep a checksum of the packet up to date.
    ///
    /// Fails with `ENOMEM` if the packet is shorter or memory is short.
    #[inline]
    pub fn ensure_writable(self: Pin<&mut Self>, len: u32) -> Result {
        // SAFETY: The packet is valid and borrowed exclusively.
        if len > self.len() || unsafe { bindings::skb_make_writable(self.as_raw(), len) } != 0 {
            return Err(ENOMEM);
        }
        Ok(())
    }

    /// Returns how many bytes are in front of the data.
    #[inline]
    fn headroom(&self) -> u32 {
        // SAFETY: The packet is valid.
        unsafe { bindings::skb_headroom(self.as_raw()) }
    }

    /// Returns the offset of the network header, which may be negative.
    #[inline]
    pub fn network_offset(&self) -> i32 {
        // SAFETY: The packet is valid.
        unsafe { bindings::skb_network_offset(self.as_raw()) }
    }

    /// Lets the network header start at `offset`, which the linear part has to reach; else it stays.
    #[inline]
    pub fn set_network_header(self: Pin<&mut Self>, offset: u16) {
        if self.data().len() < offset.into() {
            return;
        }
        // SAFETY: The packet is valid and borrowed exclusively.
        unsafe { bindings::skb_set_network_header(self.as_raw(), offset.into()) };
    }

    /// Lets the transport header start at `offset`, which the linear part has to reach; else it stays.
    #[inline]
    pub fn set_transport_header(self: Pin<&mut Self>, offset: u16) {
        if self.data().len() < offset.into() {
            return;
        }
        // SAFETY: The packet is valid and borrowed exclusively.
        unsafe { bindings::skb_set_transport_header(self.as_raw(), offset.into()) };
    }

    /// Runs `f` with the transport header at `offset`, then puts it back. Returns `None` if that is
    /// so far from the start of the buffer that it cannot be told.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::net::skbuff::OwnedSkBuff;
    ///
    /// let mut skb = OwnedSkBuff::with_data(&[0; 1024], 65_000, GFP_KERNEL)?;
    ///
    /// skb.as_mut().set_transport_header(0);
    /// assert_eq!(skb.as_mut().with_transport_header(534, |skb| skb.len()), Some(1024));
    /// assert_eq!(skb.as_mut().with_transport_header(535, |skb| skb.len()), None);
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    pub fn with_transport_header<R>(
        mut self: Pin<&mut Self>,
        offset: u16,
        f: impl FnOnce(Pin<&mut Self>) -> R,
    ) -> Option<R> {
        // SAFETY: The packet is valid.
        let old = unsafe { bindings::skb_transport_offset(self.as_raw()) };

        if self.headroom().saturating_add(offset.into()) >= u16::MAX.into() {
            return None;
        }
        self.as_mut().set_transport_header(offset);
        let result = f(self.as_mut());
        // SAFETY: The packet is valid and borrowed exclusively.
        unsafe { bindings::skb_set_transport_header(self.as_raw(), old) };
        Some(result)
    }

    /// Returns where the protocol that has the packet keeps what it knows of it, `skb->cb`, as that
    /// protocol's type.
    #[inline]
    pub(super) fn control<T>(&self) -> *mut T {
        const {
            assert!(size_of::<T>() <= 48);
            assert!(offset_of!(bindings::sk_buff, cb) % align_of::<T>() == 0);
        }
        // SAFETY: The packet is valid.
        unsafe { (&raw mut (*self.as_raw()).cb).cast() }
    }

    /// Returns the EtherType.
    #[inline]
    pub fn protocol(&self) -> u16 {
        // SAFETY: The packet is valid.
        u16::from_be(unsafe { bindings::skb_get_protocol(self.as_raw()) })
    }

    /// Sets the EtherType.
    #[inline]
    pub fn set_protocol(self: Pin<&mut Self>, protocol: u16) {
        // SAFETY: The packet is valid and borrowed exclusively.
        unsafe { bindings::skb_set_protocol(self.as_raw(), protocol.to_be()) };
    }

    /// Whether the packet consists of several segments that are to be sent one by one.
    #[inline]
    pub fn is_gso(&self) -> bool {
        // SAFETY: The packet is valid.
        unsafe { bindings::skb_is_gso(self.as_raw()) }
    }

    /// Whether the packet was merged on reception in a way that forbids to forward it.
    #[inline]
    pub fn is_lro(&self) -> bool {
        // SAFETY: The packet is valid.
        unsafe { bindings::skb_warn_if_lro(self.as_raw()) }
    }

    /// Lets connection tracking take the packet for a new one.
    #[inline]
    pub fn reset_conntrack(self: Pin<&mut Self>) {
        // SAFETY: The packet is valid and borrowed exclusively.
        unsafe { bindings::nf_reset_ct(self.as_raw()) };
    }

    /// Returns the mark that routing rules may look at.
    #[inline]
    pub fn mark(&self) -> u32 {
        // SAFETY: The packet is valid.
        unsafe { bindings::skb_get_mark(self.as_raw()) }
    }

    /// Returns the device that received the packet.
    #[inline]
    pub fn dev<'bh>(&self, _bh: &'bh BhDisabled) -> Option<&'bh NetDevice> {
        // SAFETY: The packet is valid.
        let dev = NonNull::new(unsafe { bindings::skb_get_dev(self.as_raw()) })?;

        // SAFETY: A device lives for an RCU grace period after the last packet that it received was
        // seen, and bottom halves are off for all of `'bh`.
        Some(unsafe { NetDevice::from_raw(dev.as_ptr()) })
    }

    /// Returns the route of the packet.
    #[inline]
    pub fn dst(&self) -> Option<&DstEntry> {
        // SAFETY: The packet is valid.
        let dst = NonNull::new(unsafe { bindings::skb_dst(self.as_raw()) })?;

        // SAFETY: The packet keeps its route alive, and only `set_dst()`, which takes
        // `Pin<&mut Self>`, replaces it.
        Some(unsafe { DstEntry::from_raw(dst.as_ptr()) })
    }

    /// Takes the route of the packet away.
    #[inline]
    pub fn clear_dst(self: Pin<&mut Self>) {
        // SAFETY: The packet is valid and borrowed exclusively.
        unsafe { bindings::skb_dst_drop(self.as_raw()) };
    }

    /// Replaces the route of the packet.
    #[inline]
    pub(in crate::net) fn set_dst(mut self: Pin<&mut Self>, dst: OwnedDst) {
        self.as_mut().clear_dst();
        // SAFETY: The packet is valid, borrowed exclusively and has no route; the reference that
        // `dst` owns goes to it.
        unsafe { bindings::skb_dst_set(self.as_raw(), dst.into_raw()) };
    }
}

/// A packet that the holder owns, and frees unless it hands it on.
///
/// It stays with its thread: it holds no reference to its device, and not always one to its route, so
/// they may be gone when bottom halves are on again.
///
/// # Invariants
///
/// The pointer is valid, and nobody else uses the packet.
pub struct OwnedSkBuff(NonNull<SkBuff>, NotThreadSafe);

impl OwnedSkBuff {
    /// Takes over a packet from C.
    ///
    /// # Safety
    ///
    /// `ptr` must point to a valid packet that the caller owns and does not use any more.
    #[inline]
    pub unsafe fn from_raw(ptr: *mut bindings::sk_buff) -> Self {
        // SAFETY: By the safety requirement the pointer is valid, so not null.
        // INVARIANT: By the safety requirement.
        Self(unsafe { NonNull::new_unchecked(ptr.cast()) }, NotThreadSafe)
    }

    /// Allocates a packet that holds `data` and has `headroom` octets in front of it.
    pub fn with_data(data: &[u8], headroom: u16, flags: Flags) -> Result<Self, AllocError> {
        let len = u32::try_from(data.len()).map_err(|_| AllocError)?;
        let size = len.checked_add(headroom.into()).ok_or(AllocError)?;
        let mut skb = Self::with_room(size, flags)?;

        // SAFETY: The packet is empty and has `size` octets of room.
        unsafe { bindings::skb_reserve(skb.as_raw(), headroom.into()) };
        // SAFETY: There is room for `len` octets behind the headroom.
        let tail = unsafe { bindings::skb_put(skb.as_raw(), len) };
        // SAFETY: `tail` is valid for `len` octets, and nobody else knows of the packet yet.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), tail.cast(), data.len()) };
        skb.as_mut().set_network_header(0);
        Ok(skb)
    }

    /// Allocates an empty packet with room for at least `size` octets of data, as messages have it.
    pub fn with_room(size: u32, flags: Flags) -> Result<Self, AllocError> {
        // What C adds would make it a small one again.
        if size > i32::MAX as u32 {
            return Err(AllocError);
        }
        // SAFETY: The function takes any size and any flags.
        let skb = NonNull::new(unsafe { bindings::alloc_skb(size, flags.as_raw()) });

        // SAFETY: The packet is valid and owned by this function.
        Ok(unsafe { Self::from_raw(skb.ok_or(AllocError)?.as_ptr()) })
    }

    /// Borrows the packet for work on it.
    #[inline]
    pub fn as_mut(&mut self) -> Pin<&mut SkBuff> {
        // SAFETY: By the type invariant the packet is valid, and `self` is borrowed exclusively.
        unsafe { SkBuff::from_raw(self.0.as_ptr().cast()) }
    }

    /// Gives the packet to C, which frees it.
    #[inline]
    pub fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr().cast()
    }

    /// Drops the packet for the given reason.
    #[inline]
    pub fn free(self, reason: DropReason) {
        // SAFETY: By the type invariant the packet is valid and owned.
        unsafe { bindings::kfree_skb_reason(self.into_raw(), reason.0) };
    }

    /// Drops a packet that cannot be handed on.
    #[cold]
    #[inline(never)]
    pub(in crate::net) fn refuse(self) -> c_int {
        self.free(DropReason::NOT_SPECIFIED);
        EINVAL.to_errno()
    }

    /// Sends the packet, an Ethernet frame, from `dev`, and returns what that returned: 0, a negative
    /// error number or a `NET_XMIT_` code. A packet without an Ethernet header is dropped, as is one for
    /// a device of another kind.
    ///
    /// Segments that are still to be cut are those of the protocol whose checksum is still to be
    /// computed.
    #[inline]
    pub fn transmit(self, dev: &NetDevice, _bh: &BhDisabled) -> c_int {
        if self.data().len() < bindings::ETH_HLEN as usize || !dev.is_ethernet() {
            return self.refuse();
        }
        let skb = self.into_raw();

        // SAFETY: By the type invariant the packet is valid and owned.
        unsafe { bindings::skb_orphan(skb) };
        // SAFETY: As above.
        unsafe { bindings::skb_forward_csum(skb) };
        // SAFETY: As above.
        unsafe { bindings::skb_partial_csum_to_transport_header(skb) };
        // SAFETY: As above.
        unsafe { bindings::skb_set_mac_header(skb, 0) };
        // SAFETY: As above.
        unsafe { bindings::skb_reset_mac_len(skb) };
        // SAFETY: As above; the device is valid.
        unsafe { bindings::skb_set_dev(skb, dev.as_raw()) };
        // SAFETY: As above; the packet is given to the function.
        unsafe { bindings::dev_queue_xmit(skb) }
    }
}

impl core::ops::Deref for OwnedSkBuff {
    type Target = SkBuff;

    #[inline]
    fn deref(&self) -> &SkBuff {
        // SAFETY: By the type invariant the packet is valid and nobody else uses it.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for OwnedSkBuff {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant the packet is valid and owned.
        unsafe { bindings::kfree_skb_reason(self.0.as_ptr().cast(), DropReason::NOT_SPECIFIED.0) };
    }
}
