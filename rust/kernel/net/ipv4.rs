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
            OwnedSkBuff,
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

/// Sends a packet that was received where its route says, to `next_hop` or to its destination, and
/// returns what that returned: 0, a negative error number or a `NET_XMIT_` code.
///
/// With `next_hop` the packet goes to that neighbor, also where its route names none. Its options are
/// those that it has now, whatever the control block says. A packet without a route, with malformed
/// options or a source route, or that nobody has received, is dropped with the reason of that.
///
/// # Examples
///
/// ```
/// use kernel::{
///     net::{
///         ipv4,
///         skbuff::OwnedSkBuff, //
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
/// let skb = OwnedSkBuff::with_data(&packet, 0, GFP_KERNEL)?;
///
/// assert_eq!(ipv4::forward(skb, None, &bh), EINVAL.to_errno());
/// # Ok::<(), Error>(())
/// ```
pub fn forward(mut skb: OwnedSkBuff, next_hop: Option<Ipv4Addr>, bh: &BhDisabled) -> c_int {
    match prepare(skb.as_mut(), next_hop, bh) {
        // SAFETY: The packet is valid and given up; it has a device, a route of IPv4, a header, and what
        // the control block says of its options is right.
        Ok(()) => unsafe { bindings::dst_input(skb.into_raw()) },
        Err(reason) => {
            skb.free(reason);
            EINVAL.to_errno()
        }
    }
}

/// Gives a packet all that its route needs. Not inline, so that the stack is free again when the packet
/// goes on.
#[inline(never)]
fn prepare(
    mut skb: Pin<&mut SkBuff>,
    next_hop: Option<Ipv4Addr>,
    bh: &BhDisabled,
) -> Result<(), DropReason> {
    route_input(skb.as_mut(), next_hop, bh)?;
    if let Some(next_hop) = next_hop {
        set_gateway(skb.as_mut(), next_hop, bh)?;
    }
    read_options(skb, bh)
}

/// Gives a packet that was received a route, to `next_hop` or to its destination.
///
/// Fails with the reason for which the packet is to be dropped, also if it has no device. Wraps
/// `ip_route_input()`.
#[inline]
fn route_input(
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
fn set_gateway(
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
    let known = cache::this_cpu(bh)
        .and_then(|slots| slots.find(&key, key.hash(), SERNUM, bh))
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

/// Reads the options of a packet with a route, as the IPv4 stack wants to know them before it forwards
/// or delivers the packet.
///
/// Fails with the reason for which the packet is to be dropped: malformed options, and source
/// routes, which are not followed. Replaces `ip_rcv_options()`.
#[inline]
fn read_options(mut skb: Pin<&mut SkBuff>, bh: &BhDisabled) -> Result<(), DropReason> {
    let header = header(&skb).ok_or(DropReason::NOT_SPECIFIED)?;
    let header_len = u16::from(header[0] & 0x0f) * 4;
    let options_len = header_len
        .checked_sub(HEADER_LEN)
        .ok_or(DropReason::IP_INHDR)?;
    let control = skb.control::<bindings::inet_skb_parm>();

    // SAFETY: The packet is valid and borrowed exclusively, so is its control block, for whose options
    // zeros are valid.
    unsafe { (&raw mut (*control).opt).write_bytes(0, 1) };
    if options_len > 0 {
        compile_options(skb.as_mut(), header_len, bh)?;
    }
    skb.set_transport_header(header_len);
    Ok(())
}

#[cold]
#[inline(never)]
fn compile_options(
    mut skb: Pin<&mut SkBuff>,
    header_len: u16,
    bh: &BhDisabled,
) -> Result<(), DropReason> {
    let net = skb.dev(bh).ok_or(DropReason::NOT_SPECIFIED)?.namespace(bh);

    skb.as_mut()
        .ensure_writable(header_len.into())
        .map_err(|_| DropReason::NOMEM)?;
    // SAFETY: The packet is valid and borrowed exclusively, so is its control block.
    let options = unsafe { &mut (*skb.control::<bindings::inet_skb_parm>()).opt };

    // OVERFLOW: A header has at most 60 bytes.
    options.optlen = (header_len - HEADER_LEN) as u8;
    // SAFETY: All is valid; the packet starts with its header, which is linear and private, and has a
    // route of IPv4 and a device; bottom halves are off, which is what RCU protects the addresses of
    // that with.
    let status = unsafe { bindings::ip_options_compile(net.as_raw(), options, skb.as_raw()) };

    if status != 0 {
        return Err(DropReason::IP_INHDR);
    }
    if options.srr != 0 {
        return Err(DropReason::NOT_SPECIFIED);
    }
    Ok(())
}
