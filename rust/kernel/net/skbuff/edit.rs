// SPDX-License-Identifier: GPL-2.0-or-later

//! Changes of the data of a packet.
//!
//! A packet may come with a checksum of all its octets (`CHECKSUM_COMPLETE`), from a device or from
//! a tunnel. It follows all changes that safe code can make.

use super::{
    SkBuff,
    MAX_INSERT, //
};
use crate::{
    bindings,
    error::to_result,
    prelude::*, //
};
use core::ptr;

/// More bytes than C adds to a headroom that it enlarges, for its alignment (`NET_SKB_PAD`).
const MAX_ALIGN: u32 = 256;

impl SkBuff {
    /// Lets `f` change the first `len` octets, keeping a checksum of the packet up to date.
    ///
    /// Fails with `ENOMEM` if the packet is shorter or memory is short, and with `EINVAL` if `f`
    /// returns `None`.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::{bindings, net::skbuff::OwnedSkBuff};
    ///
    /// let mut skb = OwnedSkBuff::with_data(b"checksummed", 64, GFP_KERNEL)?;
    ///
    /// // SAFETY: The packet is valid and owned. It gets the sum of its octets.
    /// unsafe { bindings::__skb_checksum_complete(skb.as_raw()) };
    /// skb.as_mut().modify(5, |data| {
    ///     data[2] = b'E';
    ///     data[3..5].copy_from_slice(b"CK");
    ///     Some(())
    /// })?;
    /// skb.as_mut().insert_zeroed(3, 4)?;
    /// skb.as_mut().remove(1, 4)?;
    /// skb.as_mut().remove(5, 2)?;
    /// assert_eq!(skb.data(), b"c\0\0CKmmed");
    ///
    /// // Without any octets the sum is one of the two zeros that it knows.
    /// let len = skb.len();
    /// skb.as_mut().pull_rcsum(len)?;
    /// // SAFETY: The packet is valid and owned.
    /// assert!(matches!(unsafe { bindings::__skb_checksum_complete(skb.as_raw()) }, 0 | 0xffff));
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    pub fn modify(
        mut self: Pin<&mut Self>,
        len: u32,
        f: impl FnOnce(&mut [u8]) -> Option<()>,
    ) -> Result {
        self.as_mut().ensure_writable(len)?;
        let is_summed = self.is_summed();

        if is_summed {
            // SAFETY: `ensure_writable()` has just made these octets linear.
            unsafe { self.as_mut().leave_out_of_sum(len) };
        }
        // SAFETY: As above; it also made them private.
        let result = f(unsafe { self.as_mut().data_mut(len as usize) });
        if is_summed {
            // SAFETY: As above.
            unsafe { self.take_into_sum(len) };
        }
        result.ok_or(EINVAL)
    }

    /// Whether the packet carries a checksum of all its octets.
    #[inline]
    fn is_summed(&self) -> bool {
        // SAFETY: The packet is valid.
        let ip_summed = unsafe { bindings::skb_get_ip_summed(self.as_raw()) };

        u32::from(ip_summed) == bindings::CHECKSUM_COMPLETE
    }

    /// Takes the first `len` octets out of a checksum of the packet.
    ///
    /// # Safety
    ///
    /// They must be linear.
    #[cold]
    unsafe fn leave_out_of_sum(self: Pin<&mut Self>, len: u32) {
        let skb = self.as_raw();

        // SAFETY: The packet is valid, borrowed exclusively and linear as far as `len`.
        unsafe { bindings::__skb_postpull_rcsum(skb, (*skb).data.cast(), len, 0) };
    }

    /// Adds the first `len` octets to a checksum of the packet.
    ///
    /// # Safety
    ///
    /// They must be linear.
    #[cold]
    unsafe fn take_into_sum(self: Pin<&mut Self>, len: u32) {
        let skb = self.as_raw();

        // SAFETY: As in `leave_out_of_sum()`.
        unsafe { bindings::skb_postpush_rcsum(skb, (*skb).data.cast(), len) };
    }

    /// Takes the IPv4 header that the packet starts with, of `len` octets, out of a checksum of the
    /// packet: the IPv4 stack takes the sum of its header for zero, as that of a valid one is.
    #[inline]
    pub(in crate::net) fn leave_ipv4_out_of_sum(self: Pin<&mut Self>, len: u16) {
        if self.is_summed() && self.data().len() >= len.into() {
            // SAFETY: `len` octets are linear.
            unsafe { self.leave_out_of_sum(len.into()) };
        }
    }

    /// Gives a checksum of the packet up, for the receiver to sum up itself, if the number of octets
    /// that were inserted or removed is odd: those behind are in the other halves of the 16-bit
    /// words now.
    #[inline]
    fn forget_odd_sum(self: Pin<&mut Self>, len: u32) {
        if len % 2 != 0 {
            // SAFETY: The packet is valid and borrowed exclusively.
            unsafe { bindings::skb_forward_csum(self.as_raw()) };
        }
    }

    /// Inserts `len` zero octets before the octet at `offset`.
    ///
    /// Headers before that place keep their distance to the start of the data, headers from there on
    /// keep theirs to the end; the link layer header ends where the data starts then. Fails with
    /// `EINVAL` if `offset` is not in the linear part, if `len` is greater than [`MAX_INSERT`], if the
    /// network header is in front of the data, or if a header would be so far from the start of the
    /// buffer that its place cannot be told; and with `ENOMEM` if memory is short.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::net::skbuff::OwnedSkBuff;
    ///
    /// let mut skb = OwnedSkBuff::with_data(&[0; 100], 0, GFP_KERNEL)?;
    ///
    /// assert_eq!(skb.as_mut().insert_zeroed(0, 0xffff), Err(EINVAL));
    /// assert_eq!(skb.network_offset(), 0);
    /// skb.as_mut().insert_zeroed(0, 65_000)?;
    /// assert_eq!(skb.network_offset(), 65_000);
    ///
    /// // Nor can a header be told that is where no data are left in front of it.
    /// let mut skb = OwnedSkBuff::with_data(&[0; 1024], 65_000, GFP_KERNEL)?;
    ///
    /// assert_eq!(skb.as_mut().remove(0, 600), Err(EINVAL));
    /// skb.as_mut().remove(0, 500)?;
    /// assert_eq!(skb.network_offset(), 0);
    /// skb.as_mut().pull_rcsum(10)?;
    /// assert_eq!(skb.as_mut().insert_zeroed(0, 8), Err(EINVAL));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn insert_zeroed(mut self: Pin<&mut Self>, offset: u32, len: u32) -> Result {
        let end = offset.checked_add(len).ok_or(EINVAL)? as usize;

        if len > MAX_INSERT || offset as usize > self.data().len() {
            return Err(EINVAL);
        }
        let (has_mac, room) = (self.has_mac_header(), len + u32::from(self.mac_len()));
        let missing = room.saturating_sub(self.headroom());
        if self.network_offset() < 0 || missing > 0 && !self.headers_may_move(missing + MAX_ALIGN) {
            return Err(EINVAL);
        }
        // They move, and what is inserted takes their place.
        self.as_mut().ensure_writable(offset)?;
        // SAFETY: The packet is valid and borrowed exclusively. The sum of two 16-bit numbers is far
        // from where the sum of headroom and alignment overflows.
        to_result(unsafe { bindings::skb_cow_head(self.as_raw(), room) })?;

        let headers = HeaderOffsets::read(&self);
        // SAFETY: `skb_cow_head()` made private room for `len` octets in front of the data.
        unsafe { bindings::skb_push(self.as_raw(), len) };
        // SAFETY: And for the link layer header.
        unsafe { self.as_mut().rebuild_mac_header(has_mac) };

        // SAFETY: The linear part starts `len` octets earlier now, so it is at least `end` octets
        // long, and `skb_cow_head()` made the headers private.
        let data = unsafe { self.as_mut().data_mut(end) };
        data.copy_within(len as usize.., 0);
        data.split_at_mut(offset as usize).1.fill(0);

        let (start, inserted) = (i64::from(offset), i64::from(len));
        headers
            .map(|at| if at >= start { at + inserted } else { at })
            .write(self.as_mut());
        self.forget_odd_sum(len);
        Ok(())
    }

    /// Removes the `len` octets from `offset` on.
    ///
    /// Headers move as in [`SkBuff::insert_zeroed`]; those that are removed start at `offset` then.
    /// Fails with `ENOMEM` if the packet is shorter or memory is short, and with `EINVAL` as that does.
    pub fn remove(mut self: Pin<&mut Self>, offset: u32, len: u32) -> Result {
        let end = offset.checked_add(len).ok_or(ENOMEM)?;

        if !self.headers_may_move(len) {
            return Err(EINVAL);
        }
        self.as_mut().ensure_writable(end)?;
        let (has_mac, headers) = (self.has_mac_header(), HeaderOffsets::read(&self));
        let skb = self.as_raw();
        // SAFETY: The packet is valid.
        let old = unsafe { (*skb).data };

        // SAFETY: `ensure_writable()` made at least `len` octets linear.
        unsafe { bindings::skb_pull(skb, len) };
        // SAFETY: The `len` octets from `offset` on are linear and not overwritten yet.
        unsafe {
            bindings::__skb_postpull_rcsum(skb, old.add(offset as usize).cast(), len, offset)
        };
        // SAFETY: Both ranges are inside the `end` octets that `ensure_writable()` made linear and
        // private.
        unsafe { ptr::copy(old, old.add(len as usize), offset as usize) };
        // SAFETY: It was in front of the data, where there is more room now; `ensure_writable()`
        // made all that is in front of `end` private.
        unsafe { self.as_mut().rebuild_mac_header(has_mac) };

        let (start, removed) = (i64::from(offset), i64::from(len));
        headers
            .map(|at| {
                if at > start {
                    (at - removed).max(start)
                } else {
                    at
                }
            })
            .write(self.as_mut());
        self.forget_odd_sum(len);
        Ok(())
    }

    /// Cuts the first `len` octets off, keeping a checksum of the packet up to date.
    ///
    /// Fails with `ENOMEM` if the packet is shorter or memory is short.
    #[inline]
    pub fn pull_rcsum(mut self: Pin<&mut Self>, len: u32) -> Result {
        self.as_mut().may_pull(len)?;
        let skb = self.as_raw();
        // SAFETY: The packet is valid.
        let old = unsafe { (*skb).data };

        // SAFETY: `may_pull()` made `len` octets linear.
        unsafe { bindings::__skb_pull(skb, len) };
        // SAFETY: The octets that were cut off are still in the buffer.
        unsafe { bindings::__skb_postpull_rcsum(skb, old.cast(), len, 0) };
        Ok(())
    }

    /// Takes back what was pushed in front of the packet since it had `len` octets, and puts
    /// `header`, which was pulled before, back to its start.
    #[cold]
    #[inline(never)]
    pub(in crate::net) fn take_back(mut self: Pin<&mut Self>, len: u32, header: &[u8]) {
        let pushed = self.len().saturating_sub(len);
        let skb = self.as_raw();

        if pushed == 0 || pushed as usize > self.data().len() {
            return;
        }
        // SAFETY: The octets are linear.
        unsafe { bindings::skb_pull(skb, pushed) };
        self.as_mut().set_network_header(0);
        // SAFETY: The packet is valid and borrowed exclusively. What is in front of the data was
        // just pulled, which is more than a link layer header.
        unsafe { bindings::skb_mac_header_rebuild(skb) };
        if self.as_mut().ensure_writable(header.len() as u32).is_ok() {
            // SAFETY: `ensure_writable()` has just made these octets linear and private.
            unsafe { self.as_mut().data_mut(header.len()) }.copy_from_slice(header);
            // SAFETY: As above.
            unsafe { self.take_into_sum(header.len() as u32) };
        }
    }

    /// Whether the 16-bit offsets of the headers, from the start of the buffer, may grow `by` that.
    #[inline]
    fn headers_may_move(&self, by: u32) -> bool {
        // SAFETY: The packet is valid.
        unsafe { bindings::skb_headers_may_move(self.as_raw(), by) }
    }

    /// Whether the link layer header is in front of the data.
    #[inline]
    fn has_mac_header(&self) -> bool {
        let skb = self.as_raw();

        // SAFETY: The packet is valid.
        let was_set = unsafe { bindings::skb_mac_header_was_set(skb) };

        // SAFETY: As above.
        was_set && unsafe { bindings::skb_mac_offset(skb) } + c_int::from(self.mac_len()) <= 0
    }

    /// Returns the length of the link layer header.
    #[inline]
    fn mac_len(&self) -> u16 {
        // SAFETY: The packet is valid.
        unsafe { bindings::skb_get_mac_len(self.as_raw()) }
    }

    /// Moves the link layer header to where the data starts now, if the packet `has` one.
    ///
    /// # Safety
    ///
    /// There must be room for it, in a private part of the buffer.
    #[inline]
    unsafe fn rebuild_mac_header(self: Pin<&mut Self>, has: bool) {
        if has {
            // SAFETY: The packet is valid and borrowed exclusively, and by the safety requirement.
            unsafe { bindings::skb_mac_header_rebuild(self.as_raw()) };
        } else {
            // SAFETY: The packet is valid and borrowed exclusively.
            unsafe { bindings::skb_unset_mac_header(self.as_raw()) };
        }
    }
}

/// Where the headers of a packet start, `None` where that was not set.
struct HeaderOffsets {
    network: i64,
    transport: Option<i64>,
}

impl HeaderOffsets {
    fn read(skb: &SkBuff) -> Self {
        let network = skb.network_offset().into();
        let skb = skb.as_raw();

        Self {
            network,
            // SAFETY: The packet is valid.
            transport: unsafe { bindings::skb_transport_header_was_set(skb) }
                // SAFETY: As above.
                .then(|| unsafe { bindings::skb_transport_offset(skb) }.into()),
        }
    }

    /// Lets each header start where `f` says.
    #[inline(always)]
    fn map(self, f: impl Fn(i64) -> i64) -> Self {
        Self {
            network: f(self.network),
            transport: self.transport.map(f),
        }
    }

    fn write(self, skb: Pin<&mut SkBuff>) {
        let skb = skb.as_raw();

        // SAFETY: The packet is valid and borrowed exclusively.
        unsafe { bindings::skb_set_network_header(skb, self.network as c_int) };
        if let Some(at) = self.transport {
            // SAFETY: As above.
            unsafe { bindings::skb_set_transport_header(skb, at as c_int) };
        }
    }
}
