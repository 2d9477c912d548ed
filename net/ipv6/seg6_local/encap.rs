// SPDX-License-Identifier: GPL-2.0-or-later

//! Headers around a packet: removing and adding them, for behaviors and for the helpers of programs.

use crate::{
    packet::SrhSpan,
    srh,
    verdict::Discard, //
};
use kernel::{
    net::{
        ipv6,
        ipv6::Routing,
        l3mdev::Family,
        skbuff::SkBuff,
        tunnel,
        tunnel::Inner, //
    },
    prelude::*,
    softirq::BhDisabled,
    uapi, //
};

/// Removes the headers in front of `inner`, as the endpoint where the path of segments ends.
///
/// No segment may be left in any routing header, and an SRH that comes first has to satisfy the HMAC
/// policy.
/// Replaces `decap_and_validate()`.
pub(crate) fn terminate(
    mut skb: Pin<&mut SkBuff>,
    inner: Inner,
    bh: &BhDisabled,
) -> Result<(), Discard> {
    let offset = match ipv6::find_inner_near(&skb, inner.protocol()) {
        Some(offset) => {
            let first = u32::from(ipv6::HEADER_LEN);

            if offset != first && !is_finished(skb.as_mut(), first, bh) {
                return Err(Discard::INVALID);
            }
            offset
        }
        None => find_inner_far(skb.as_mut(), inner, bh)?,
    };

    tunnel::decapsulate(skb, offset, inner).map_err(|_| Discard::INVALID)
}

/// Returns the offset of the packet inside, behind any headers.
#[inline(never)]
fn find_inner_far(
    mut skb: Pin<&mut SkBuff>,
    inner: Inner,
    bh: &BhDisabled,
) -> Result<u32, Discard> {
    if let Ok(offset) = ipv6::find_header(&skb, ipv6::PROTO_ROUTING, Routing::Any) {
        let is_active = ipv6::find_header(&skb, ipv6::PROTO_ROUTING, Routing::SegmentsLeft).is_ok();

        if is_active || !is_finished(skb.as_mut(), offset, bh) {
            return Err(Discard::INVALID);
        }
    }
    ipv6::find_header(&skb, inner.protocol(), Routing::Any).map_err(|_| Discard::INVALID)
}

/// Does the same in front of an IP packet, which connection tracking is to take for a new one.
pub(crate) fn terminate_ip(
    mut skb: Pin<&mut SkBuff>,
    family: Family,
    bh: &BhDisabled,
) -> Result<(), Discard> {
    terminate(skb.as_mut(), family.into(), bh)?;
    skb.reset_conntrack();
    Ok(())
}

/// Whether the routing header at `offset`, without segments left, may be removed.
///
/// It is passed over, whatever it is and says (RFC 8200, Section 4.4; RFC 8754, Section 4.3.1.1, ends
/// before its last entry and TLVs are looked at). The HMAC policy is that of SRHs: one that is valid has
/// to satisfy it, and where an HMAC is required, one that is not valid does not have it.
fn is_finished(mut skb: Pin<&mut SkBuff>, offset: u32, bh: &BhDisabled) -> bool {
    match SrhSpan::at(skb.as_mut(), offset) {
        Some(srh) => ipv6::hmac_is_acceptable(skb, srh.offset, bh),
        None => is_passed_over(&skb, offset, bh),
    }
}

/// The same for a routing header that is not a valid SRH.
#[cold]
#[inline(never)]
fn is_passed_over(skb: &SkBuff, offset: u32, bh: &BhDisabled) -> bool {
    skb.data()
        .get(offset as usize..)
        .and_then(|header| header.first_chunk::<{ srh::FIXED_LEN }>())
        .is_some_and(|header| {
            header[srh::TYPE] != srh::ROUTING_TYPE || !ipv6::hmac_is_required(skb, bh)
        })
}

/// How an SRH is added to a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encapsulation {
    /// Behind a new IPv6 header (H.Encaps).
    Push,
    /// Behind the IPv6 header of the packet.
    Insert,
}

/// Adds a valid SRH to the packet, and makes the first segment the destination.
///
/// Fails with `EBADMSG` if the packet is not IPv6, with `EINVAL` if the SRH is to be signed and the
/// HMAC is not its last TLV, and else with the errors of [`ipv6::insert_srh`] and
/// [`ipv6::push_srh`]; the packet is as before then.
#[inline]
pub(crate) fn encapsulate(
    mut skb: Pin<&mut SkBuff>,
    encapsulation: Encapsulation,
    header: &[u8],
    bh: &BhDisabled,
) -> Result {
    if u32::from(skb.protocol()) != uapi::ETH_P_IPV6 {
        return Err(EBADMSG);
    }
    if cfg!(CONFIG_IPV6_SEG6_HMAC) && !srh::is_signable(header) {
        return Err(EINVAL);
    }
    match encapsulation {
        Encapsulation::Insert => ipv6::insert_srh(skb.as_mut(), header, bh)?,
        Encapsulation::Push => tunnel::encapsulate(skb.as_mut(), |skb| {
            ipv6::push_srh(skb, header, Inner::Ipv6.protocol(), bh)
        })?,
    }
    skb.set_transport_header(ipv6::HEADER_LEN);
    Ok(())
}
