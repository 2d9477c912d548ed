// SPDX-License-Identifier: GPL-2.0-or-later

//! IPv4 headers and routes.
//!
//! C headers: [`include/net/ip.h`](srctree/include/net/ip.h),
//! [`include/net/route.h`](srctree/include/net/route.h)

use crate::{
    bindings,
    net::{
        device::NetDevice,
        dst::OwnedDst,
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

/// Gives a packet that `dev` received a route, to `next_hop` or to its destination.
///
/// Fails with the reason for which the packet is to be dropped. Wraps `ip_route_input()`.
#[inline]
pub fn route_input(
    mut skb: Pin<&mut SkBuff>,
    dev: &NetDevice,
    next_hop: Option<Ipv4Addr>,
) -> Result<(), DropReason> {
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
/// A route to a neighbor on the link sends a packet to the neighbor that has its destination.
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
    // SAFETY: A route of IPv4 is an `rtable`. What an ICMP message may change is read once.
    let (gw_family, uses_gateway, expires, rt_type) = unsafe {
        (
            read_volatile(&raw const (*rt).rt_gw_family),
            read_volatile(&raw const (*rt).rt_uses_gateway),
            read_volatile(&raw const (*rt).dst.expires),
            (*rt).rt_type,
        )
    };

    if gw_family != 0 || u32::from(rt_type) != bindings::RTN_UNICAST {
        return Ok(());
    }
    // SAFETY: The route and its device are valid.
    let new = unsafe { bindings::rt_dst_clone(old.dev(bh).as_raw(), rt) };
    let new = NonNull::new(new).ok_or(DropReason::NOMEM)?.as_ptr();
    // SAFETY: The new route was just allocated and nobody else knows of it; the old one is valid.
    // What `rt_dst_clone()` leaves out is set: `rt_uses_gateway`, and until when the MTU holds. From
    // the list it is taken when it is freed; by then it may have lost its device.
    unsafe {
        (*new).rt_uses_gateway = uses_gateway;
        (*new).dst.expires = expires;
        (*new).rt_gw_family = bindings::AF_INET as u8;
        (*new).__bindgen_anon_1.rt_gw4 = u32::from(gateway).to_be();
        #[cfg(CONFIG_IP_ROUTE_CLASSID)]
        {
            (*new).dst.tclassid = (*rt).dst.tclassid;
        }
        bindings::ip_dst_copy_metrics(&raw mut (*new).dst, old.as_raw());
        bindings::rt_add_uncached_list(new);
    }
    // SAFETY: `dst` is a part of `rtable`, and the reference of the allocation goes to the packet.
    skb.set_dst(unsafe { OwnedDst::from_raw(&raw mut (*new).dst) });
    Ok(())
}

/// Reads the options of an IPv4 packet that `dev` received, as the IPv4 stack wants to know them
/// before it forwards or delivers the packet.
///
/// Fails with the reason for which the packet is to be dropped: malformed options, and source
/// routes, which are not followed. Replaces `ip_rcv_options()`.
pub fn read_options(mut skb: Pin<&mut SkBuff>, dev: &NetDevice) -> Result<(), DropReason> {
    let header = header(&skb).ok_or(DropReason::NOT_SPECIFIED)?;
    let header_len = u16::from(header[0] & 0x0f) * 4;

    let Some(options_len) = header_len.checked_sub(HEADER_LEN).filter(|&len| len > 0) else {
        return Ok(());
    };
    if skb.dst().is_some_and(|dst| !dst.is_ipv4()) {
        return Err(DropReason::NOT_SPECIFIED);
    }
    skb.as_mut()
        .ensure_writable(header_len.into())
        .map_err(|_| DropReason::NOMEM)?;
    // SAFETY: The packet is valid and borrowed exclusively, so is its control block.
    let options = unsafe { &mut (*skb.control::<bindings::inet_skb_parm>()).opt };

    options.optlen = options_len as u8;
    // SAFETY: All is valid, and the packet starts with its header, which is linear and private.
    let status =
        unsafe { bindings::ip_options_compile(dev.namespace().as_raw(), options, skb.as_raw()) };
    if status != 0 {
        return Err(DropReason::IP_INHDR);
    }
    if options.srr != 0 {
        return Err(DropReason::NOT_SPECIFIED);
    }
    Ok(())
}
