// SPDX-License-Identifier: GPL-2.0-or-later

//! IPv6 headers and routes.
//!
//! Addresses are those of [`core::net`]; they are the 16 octets of the wire.
//!
//! C headers: [`include/net/ipv6.h`](srctree/include/net/ipv6.h),
//! [`include/net/ip6_route.h`](srctree/include/net/ip6_route.h)

use crate::{
    bindings,
    error::to_result,
    net::{
        device::Namespace,
        dst::DstEntry,
        skbuff::SkBuff, //
    },
    prelude::*,
    softirq::BhDisabled, //
};
use core::ptr;

#[cfg(CONFIG_IPV6_SEG6_LOCAL_RUST)]
mod known;
mod route;

pub use route::{
    LocalDelivery,
    Lookup, //
};

/// The length of an IPv6 header in octets.
pub const HEADER_LEN: u16 = 40;

/// Where the type of the next header is.
const NEXT_HEADER: usize = 6;

/// Next header value of an IPv6 packet in an IPv6 packet.
pub const PROTO_IPV6: u8 = bindings::IPPROTO_IPV6 as u8;
/// Next header value of a routing header.
pub const PROTO_ROUTING: u8 = bindings::IPPROTO_ROUTING as u8;

/// A network namespace in which IPv6 is on: it is in none with `ipv6.disable=1`, nor before the stack
/// is initialized.
///
/// # Invariants
///
/// All that IPv6 and SRv6 keep in the namespace is there.
///
/// # Examples
///
/// ```
/// use kernel::{
///     net::{
///         device::Namespace,
///         ipv6::Net, //
///     },
///     softirq::BhDisabled,
/// };
///
/// let net = Net::of(Namespace::init_net());
///
/// if let Some(blackhole) = net.map(Net::blackhole) {
///     // SAFETY: A test is a task, with interrupts on.
///     let bh = unsafe { BhDisabled::new() };
///
///     assert_eq!(blackhole.error(), Err(EINVAL));
///     assert!(blackhole.dev(&bh).is_loopback());
///     assert!(!blackhole.is_ipv4());
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Net<'a>(&'a Namespace);

impl<'a> Net<'a> {
    /// Returns the namespace, if IPv6 is on.
    #[inline]
    pub fn of(net: &'a Namespace) -> Option<Self> {
        // SAFETY: The namespace is valid.
        let is_on = unsafe { bindings::ipv6_is_on(net.as_raw()) };

        // INVARIANT: What the function looks at is set up last, and goes with the namespace.
        is_on.then_some(Self(net))
    }

    /// Returns the route that discards packets with `EINVAL`.
    #[inline]
    pub fn blackhole(self) -> &'a DstEntry {
        // SAFETY: By the type invariant the namespace has the entry, to which it owns a reference.
        unsafe { DstEntry::from_raw(bindings::ip6_blk_hole_entry(self.as_raw())) }
    }

    #[inline]
    fn as_raw(self) -> *mut bindings::net {
        self.0.as_raw()
    }
}

/// Returns the IPv6 header that the packet starts with; `None` if it is not the network header, or
/// not linear.
#[inline]
fn first_header(skb: &SkBuff) -> Option<&[u8; HEADER_LEN as usize]> {
    if skb.network_offset() != 0 {
        return None;
    }
    skb.data().first_chunk()
}

/// Which routing headers [`find_header`] passes over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// None.
    Any,
    /// Those that have no segments left.
    SegmentsLeft,
}

/// Returns the offset of the first header of type `proto`.
///
/// Fails with `ENOENT` if there is none, and with `EBADMSG` if the packet does not start with an
/// IPv6 header or the chain of extension headers is malformed or longer than the limit. Wraps
/// `ipv6_find_hdr()`.
///
/// # Examples
///
/// ```
/// use kernel::net::{ipv6, skbuff::OwnedSkBuff};
///
/// // An IPv6 header, a destination options header of 8 octets, and a routing header.
/// let mut packet = [0u8; 40 + 8 + 8];
/// packet[0] = 0x60;
/// packet[6] = 60;
/// packet[40] = 43;
/// let skb = OwnedSkBuff::with_data(&packet, 0, GFP_KERNEL)?;
///
/// let any = ipv6::Routing::Any;
/// assert_eq!(ipv6::find_header(&skb, ipv6::PROTO_ROUTING, any), Ok(48));
/// assert!(ipv6::find_header(&skb, ipv6::PROTO_IPV6, any).is_err());
/// # Ok::<(), Error>(())
/// ```
#[inline]
pub fn find_header(skb: &SkBuff, proto: u8, routing: Routing) -> Result<u32> {
    match find_near(skb, proto, routing) {
        Some(found) => found,
        None => find_far(skb, proto, routing),
    }
}

/// Answers for a packet whose first header behind that of IPv6 is a routing header that is linear and
/// the last extension header, or no extension header at all; `None` for all others.
#[inline]
fn find_near(skb: &SkBuff, proto: u8, routing: Routing) -> Option<Result<u32>> {
    let found = |kind, offset| {
        Some(if kind == proto {
            Ok(offset)
        } else {
            Err(ENOENT)
        })
    };
    let start = u32::from(HEADER_LEN);
    let next = first_header(skb)?[NEXT_HEADER];

    if !is_extension(next) {
        return found(next, start);
    }
    let &[last, hdr_len, _, segments_left] = skb.data().get(start as usize..)?.first_chunk()?;

    if next != PROTO_ROUTING {
        return None;
    }
    if proto == PROTO_ROUTING && (routing == Routing::Any || segments_left != 0) {
        return Some(Ok(start));
    }
    let end = start + (u32::from(hdr_len) + 1) * 8;

    if end > skb.len() || is_extension(last) {
        return None;
    }
    found(last, end)
}

/// Returns the offset of a packet of type `proto` directly behind the IPv6 header, or behind a routing
/// header without segments left that follows that; `None` for all others, which may have one as well.
#[inline]
pub fn find_inner_near(skb: &SkBuff, proto: u8) -> Option<u32> {
    let found = find_near(skb, proto, Routing::Any)?.ok()?;
    let start = u32::from(HEADER_LEN);

    // A routing header that is not the first one has been left to C.
    if found == start {
        return Some(found);
    }
    let &[_, _, _, segments_left] = skb.data().get(start as usize..)?.first_chunk()?;
    (segments_left == 0).then_some(found)
}

/// Whether a header of this type says what follows it. Replaces `ipv6_ext_hdr()`.
#[inline]
fn is_extension(proto: u8) -> bool {
    matches!(
        proto.into(),
        bindings::NEXTHDR_HOP
            | bindings::NEXTHDR_ROUTING
            | bindings::NEXTHDR_FRAGMENT
            | bindings::NEXTHDR_AUTH
            | bindings::NEXTHDR_DEST
    )
}

#[inline(never)]
fn find_far(skb: &SkBuff, proto: u8, routing: Routing) -> Result<u32> {
    let flags = match routing {
        Routing::Any => 0,
        Routing::SegmentsLeft => bindings::IP6_FH_F_SKIP_RH as c_int,
    };

    find(skb, proto.into(), flags)
}

/// Returns the offset of the first header that is no extension header.
///
/// Fails as [`find_header`].
pub fn find_transport(skb: &SkBuff) -> Result<u32> {
    find(skb, -1, 0)
}

#[inline]
fn find(skb: &SkBuff, target: c_int, mut flags: c_int) -> Result<u32> {
    if first_header(skb).is_none() {
        return Err(EBADMSG);
    }
    let mut offset = 0;

    // SAFETY: The packet is valid and starts with an IPv6 header; the pointers are to locals, and
    // the function takes a null pointer for the fragment offset.
    let found = unsafe {
        bindings::ipv6_find_hdr(
            skb.as_raw(),
            &mut offset,
            target,
            ptr::null_mut(),
            &mut flags,
        )
    };

    if found < 0 {
        return Err(Error::from_errno(found));
    }
    Ok(offset)
}

/// Inserts the SRH `srh` behind the IPv6 header, with the current destination as last segment.
///
/// The first segment becomes the destination. `srh` must have a header length that says its length
/// and a last entry that is inside, or else the function fails with `EINVAL`; so it does where the
/// SRH asks for an HMAC and the packet has no route, or none in a namespace with IPv6, or where the
/// packet does not start with an IPv6 header. The other errors are those of `seg6_do_srh_inline()`,
/// which it calls. On an error the packet is as before.
///
/// # Examples
///
/// ```
/// use kernel::{
///     net::{
///         ipv6,
///         skbuff::OwnedSkBuff, //
///     },
///     softirq::BhDisabled,
/// };
///
/// // SAFETY: A test is a task, with interrupts on.
/// let bh = unsafe { BhDisabled::new() };
/// let mut packet = [0u8; 40];
/// packet[0] = 0x60;
/// packet[6] = 59;
/// let mut skb = OwnedSkBuff::with_data(&packet, 0, GFP_KERNEL)?;
/// // One segment.
/// let mut srh = [0u8; 24];
/// srh[1] = 2;
/// srh[2] = 4;
///
/// // A packet without a route has no source for a new header, and no key for an HMAC.
/// assert_eq!(ipv6::push_srh(skb.as_mut(), &srh, ipv6::PROTO_IPV6, &bh), Err(EINVAL));
/// srh[5] = 8;
/// assert_eq!(ipv6::insert_srh(skb.as_mut(), &srh, &bh), Err(EINVAL));
/// assert_eq!(skb.data(), packet);
/// srh[5] = 0;
/// ipv6::insert_srh(skb.as_mut(), &srh, &bh)?;
/// assert_eq!(skb.len(), 64);
/// # Ok::<(), Error>(())
/// ```
pub fn insert_srh(skb: Pin<&mut SkBuff>, srh: &[u8], bh: &BhDisabled) -> Result {
    let has_hmac = srh_flags(srh)? & bindings::SR6_FLAG1_HMAC as u8 != 0;

    let (len, header) = (skb.len(), *first_header(&skb).ok_or(EINVAL)?);

    if has_hmac {
        require_net(&skb, bh)?;
    }
    // SAFETY: The packet is valid and borrowed exclusively. `srh_flags()` has checked all lengths
    // that the function takes from `srh`, which it only reads. With an HMAC, the packet has a route,
    // IPv6 is on, and bottom halves are off, which keeps the device of the route.
    let status =
        unsafe { bindings::seg6_do_srh_inline(skb.as_raw(), srh.as_ptr().cast_mut().cast()) };

    if status != 0 {
        skb.take_back(len, &header);
    }
    to_result(status)
}

/// Pushes an IPv6 header and the SRH `srh` in front of a packet of protocol `proto`.
///
/// The first segment becomes the destination. Fails with `EINVAL` if `srh` is not as
/// [`insert_srh`] wants it, if an IPv6 packet does not start with its header, or if the packet has
/// no route in a namespace with IPv6, from which the source address is taken. The other errors are
/// those of `seg6_do_srh_encap()`, which it calls. On an error the packet is as before.
#[inline]
pub fn push_srh(mut skb: Pin<&mut SkBuff>, srh: &[u8], proto: u8, bh: &BhDisabled) -> Result {
    let is_ipv6 = u32::from(skb.protocol()) == bindings::ETH_P_IPV6;

    srh_flags(srh)?;
    require_net(&skb, bh)?;
    if is_ipv6 && first_header(&skb).is_none() {
        return Err(EINVAL);
    }
    let len = skb.len();
    // SAFETY: As in `insert_srh()`, with a route.
    to_result(unsafe {
        bindings::seg6_do_srh_encap(skb.as_raw(), srh.as_ptr().cast_mut().cast(), proto.into())
    })
    .inspect_err(|_| skb.as_mut().take_back(len, &[]))
}

/// Fails with `EINVAL` unless the packet has a route, in a namespace in which IPv6 is on.
#[inline]
fn require_net(skb: &SkBuff, bh: &BhDisabled) -> Result {
    skb.dst()
        .and_then(|dst| Net::of(dst.dev(bh).namespace(bh)))
        .map(|_| ())
        .ok_or(EINVAL)
}

/// Whether `data` starts with an SRH whose lengths are right.
#[cfg(CONFIG_IPV6_SEG6_HMAC)]
#[inline]
fn starts_with_srh(data: &[u8]) -> bool {
    let srh = data
        .get(1)
        .and_then(|&hdr_len| data.get(..8 * (usize::from(hdr_len) + 1)));

    srh.is_some_and(|srh| srh_flags(srh).is_ok())
}

/// Checks the lengths of an SRH and returns its flags.
#[inline]
fn srh_flags(srh: &[u8]) -> Result<u8> {
    let &[_, hdr_len, _, _, last_entry, flags, _, _] = srh.first_chunk().ok_or(EINVAL)?;

    if srh.len() != 8 * (usize::from(hdr_len) + 1)
        || srh.len() < 8 + 16 * (usize::from(last_entry) + 1)
    {
        return Err(EINVAL);
    }
    Ok(flags)
}

/// Whether the SRH at `offset` satisfies the HMAC policy of the device that received the packet.
///
/// Returns false if there is no device; or, where there is something to check, no SRH of linear bytes
/// that fits its header length.
#[inline]
pub fn hmac_is_acceptable(skb: Pin<&mut SkBuff>, offset: u16, bh: &BhDisabled) -> bool {
    #[cfg(CONFIG_IPV6_SEG6_HMAC)]
    {
        const FLAGS: usize = 5;

        let Some(policy) = hmac_policy(&skb, bh) else {
            return false;
        };
        let flags = skb.data().get(usize::from(offset) + FLAGS);

        // What follows would find nothing to check.
        if policy < 0
            || policy == 0 && flags.is_some_and(|flags| flags & bindings::SR6_FLAG1_HMAC as u8 == 0)
        {
            return true;
        }
        hmac_is_valid(skb, offset, bh)
    }
    #[cfg(not(CONFIG_IPV6_SEG6_HMAC))]
    {
        let _ = (skb, offset, bh);
        true
    }
}

/// Whether the device that received the packet only takes SRHs with an HMAC, or there is no such device.
pub fn hmac_is_required(skb: &SkBuff, bh: &BhDisabled) -> bool {
    #[cfg(CONFIG_IPV6_SEG6_HMAC)]
    {
        hmac_policy(skb, bh).is_none_or(|policy| policy > 0)
    }
    #[cfg(not(CONFIG_IPV6_SEG6_HMAC))]
    {
        let _ = (skb, bh);
        false
    }
}

/// Returns `seg6_require_hmac` of the device that received the packet, if there is one.
#[cfg(CONFIG_IPV6_SEG6_HMAC)]
#[inline]
fn hmac_policy(skb: &SkBuff, bh: &BhDisabled) -> Option<c_int> {
    let dev = skb.dev(bh)?;

    // SAFETY: The device is valid, and bottom halves are off, which RCU waits for.
    Some(unsafe { bindings::seg6_require_hmac(dev.as_raw()) })
}

/// Wraps `seg6_hmac_validate_skb()`, which expects the SRH at the transport header.
#[cfg(CONFIG_IPV6_SEG6_HMAC)]
#[cold]
#[inline(never)]
fn hmac_is_valid(mut skb: Pin<&mut SkBuff>, offset: u16, bh: &BhDisabled) -> bool {
    let srh = skb.data().get(offset.into()..);

    if skb.dev(bh).is_none() || first_header(&skb).is_none() || !srh.is_some_and(starts_with_srh) {
        return false;
    }
    skb.as_mut()
        .with_transport_header(offset, |skb| {
            // SAFETY: The packet is valid, borrowed exclusively and has a device, and bottom halves
            // are off, which RCU waits for. All that the function reads of the SRH is linear: as
            // far as its header length says, with the last entry inside.
            unsafe { bindings::seg6_hmac_validate_skb(skb.as_raw()) }
        })
        .unwrap_or(false)
}
