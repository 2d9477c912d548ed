// SPDX-License-Identifier: GPL-2.0-or-later

//! IPv4 headers and routes.
//!
//! C headers: [`include/net/ip.h`](srctree/include/net/ip.h),
//! [`include/net/route.h`](srctree/include/net/route.h)

use crate::{
    bindings,
    net::{
        dst::{
            cache,
            cache::{
                Key,
                Place, //
            },
            DstEntry,
            OwnedDst,
            Route, //
        },
        skbuff::{
            DropReason,
            SkBuff, //
        }, //
    },
    prelude::*,
    softirq::BhDisabled, //
};
use core::{
    net::Ipv4Addr,
    ptr::{
        read_volatile,
        NonNull, //
    }, //
};

/// The length of an IPv4 header without options in octets.
pub const HEADER_LEN: u16 = 20;

/// Returns the header, if the packet starts with one that is linear.
#[inline]
fn header(skb: &SkBuff) -> Option<[u8; HEADER_LEN as usize]> {
    let header = *skb.data().first_chunk()?;

    (skb.network_offset() == 0).then_some(header)
}

/// Gives a packet that was received a route, to `next_hop` or to its destination.
///
/// Fails with the reason for which the packet is to be dropped, also if it has no device. Wraps
/// `ip_route_input()`.
#[inline]
pub fn route_input(
    mut skb: Pin<&mut SkBuff>,
    next_hop: Option<Ipv4Addr>,
    bh: &BhDisabled,
) -> Result<(), DropReason> {
    let dev = skb.dev(bh).ok_or(DropReason::NOT_SPECIFIED)?;
    let header = header(&skb).ok_or(DropReason::NOT_SPECIFIED)?;
    let &[.., s0, s1, s2, s3, d0, d1, d2, d3] = &header;
    let daddr = next_hop.unwrap_or(Ipv4Addr::new(d0, d1, d2, d3));

    skb.as_mut().clear_dst();
    // SAFETY: Packet and device are valid, the packet is borrowed exclusively, has no route and
    // starts with an IPv4 header.
    let reason = unsafe {
        bindings::ip_route_input(
            skb.as_raw(),
            u32::from(daddr).to_be(),
            u32::from_ne_bytes([s0, s1, s2, s3]),
            dev.as_raw(),
        )
    };

    match DropReason::from_raw(reason) {
        Some(reason) => Err(reason),
        None => Ok(()),
    }
}

/// Makes `gateway` the neighbor that an IPv4 packet goes to, if its route names none.
///
/// A route to a neighbor on the link sends a packet to the neighbor that has its destination. The
/// route that does not is stored for the next packet.
pub fn set_gateway(
    skb: Pin<&mut SkBuff>,
    gateway: Ipv4Addr,
    bh: &BhDisabled,
) -> Result<(), DropReason> {
    let old = skb
        .dst()
        .filter(|dst| dst.is_ipv4())
        .ok_or(DropReason::NOT_SPECIFIED)?;
    let rt = old.as_raw().cast::<bindings::rtable>();
    // SAFETY: A route of IPv4 is an `rtable`.
    let rt_type = unsafe { (*rt).rt_type };
    // SAFETY: As above. An ICMP message may change it.
    let gw_family = unsafe { read_volatile(&raw const (*rt).rt_gw_family) };

    if gw_family != 0 || u32::from(rt_type) != bindings::RTN_UNICAST {
        return Ok(());
    }
    let key = Key([
        u32::from(gateway).into(),
        0,
        old.dev(bh).as_raw() as u64,
        // SAFETY: A route of IPv4 is an `rtable`.
        unsafe { (*rt).rt_iif } as u64,
        0,
    ]);
    let known = cache::find(&key, key.hash(), SERNUM, bh)
        // SAFETY: With this serial number there are routes of IPv4 alone, and both are valid.
        .filter(|dst| unsafe { bindings::rt_is_clone(dst.as_raw().cast(), rt) })
        .and_then(|dst| Route::borrow(dst).into_owned());
    let new = match known {
        Some(new) => new,
        None => {
            let new = clone_with_gateway(old, gateway, bh).ok_or(DropReason::NOMEM)?;

            // One with a tunnel would hold that, and its module.
            if !new.has_tunnel() {
                if let Some(place) = Place::reserve(key.hash(), SERNUM, bh) {
                    place.store(&key, &new, |_| true, bh);
                }
            }
            new
        }
    };
    skb.set_dst(new);
    Ok(())
}

/// The serial number of routes of IPv4 in the cache: none of IPv6. What they depend on is compared.
const SERNUM: i32 = -1;

/// Returns a copy of `old`, a route of IPv4 without a gateway, that has one; `None` if memory is short.
#[inline(never)]
fn clone_with_gateway(old: &DstEntry, gateway: Ipv4Addr, bh: &BhDisabled) -> Option<OwnedDst> {
    let rt = old.as_raw().cast::<bindings::rtable>();
    // SAFETY: The route and its device are valid.
    let new = unsafe { bindings::rt_dst_clone(old.dev(bh).as_raw(), rt) };
    let new = NonNull::new(new)?.as_ptr();

    // SAFETY: The new route was just allocated and nobody else knows of it; the old one is valid.
    // What `rt_dst_clone()` leaves out is set. From the list it is taken when it is freed; by then it
    // may have lost its device.
    unsafe {
        (*new).rt_uses_gateway = 0;
        (*new).dst.expires = read_volatile(&raw const (*rt).dst.expires);
        (*new).rt_gw_family = bindings::AF_INET as u8;
        (*new).__bindgen_anon_1.rt_gw4 = u32::from(gateway).to_be();
        #[cfg(CONFIG_IP_ROUTE_CLASSID)]
        {
            (*new).dst.tclassid = (*rt).dst.tclassid;
        }
        bindings::ip_dst_copy_metrics(&raw mut (*new).dst, old.as_raw());
        bindings::rt_add_uncached_list(new);
    }
    // SAFETY: `dst` is a part of `rtable`, and the reference of the allocation goes to the caller.
    Some(unsafe { OwnedDst::from_raw(&raw mut (*new).dst) })
}

/// Reads the options of an IPv4 packet that was received, as the IPv4 stack wants to know them before
/// it forwards or delivers the packet.
///
/// Fails with the reason for which the packet is to be dropped: malformed options, and source
/// routes, which are not followed; and options where there is no device, whose address some of them
/// ask for. Replaces `ip_rcv_options()`.
///
/// # Examples
///
/// ```
/// use kernel::{
///     net::{
///         ipv4,
///         skbuff::{
///             DropReason,
///             OwnedSkBuff, //
///         },
///     },
///     softirq::BhDisabled,
/// };
///
/// // SAFETY: A test is a task, with interrupts on.
/// let bh = unsafe { BhDisabled::new() };
/// // A packet that nobody has received, with room for a route to be recorded.
/// let mut packet = [0u8; 28];
/// packet[0] = 0x47;
/// packet[20..23].copy_from_slice(&[7, 7, 4]);
/// let mut skb = OwnedSkBuff::with_data(&packet, 0, GFP_KERNEL)?;
///
/// assert_eq!(ipv4::read_options(skb.as_mut(), &bh), Err(DropReason::NOT_SPECIFIED));
/// assert_eq!(ipv4::route_input(skb.as_mut(), None, &bh), Err(DropReason::NOT_SPECIFIED));
/// # Ok::<(), Error>(())
/// ```
pub fn read_options(mut skb: Pin<&mut SkBuff>, bh: &BhDisabled) -> Result<(), DropReason> {
    let header = header(&skb).ok_or(DropReason::NOT_SPECIFIED)?;
    let header_len = u16::from(header[0] & 0x0f) * 4;

    let Some(options_len) = header_len.checked_sub(HEADER_LEN).filter(|&len| len > 0) else {
        return Ok(());
    };
    let net = match skb.dev(bh) {
        Some(dev) if skb.dst().is_none_or(DstEntry::is_ipv4) => dev.namespace(bh),
        _ => return Err(DropReason::NOT_SPECIFIED),
    };
    skb.as_mut()
        .ensure_writable(header_len.into())
        .map_err(|_| DropReason::NOMEM)?;
    // SAFETY: The packet is valid and borrowed exclusively, so is its control block.
    let options = unsafe { &mut (*skb.control::<bindings::inet_skb_parm>()).opt };

    options.optlen = options_len as u8;
    // SAFETY: All is valid; the packet starts with its header, which is linear and private, and has a
    // device; bottom halves are off, which is what RCU protects its addresses with.
    let status = unsafe { bindings::ip_options_compile(net.as_raw(), options, skb.as_raw()) };
    if status != 0 {
        return Err(DropReason::IP_INHDR);
    }
    if options.srr != 0 {
        return Err(DropReason::NOT_SPECIFIED);
    }
    Ok(())
}
