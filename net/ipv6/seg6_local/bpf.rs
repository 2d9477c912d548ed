// SPDX-License-Identifier: GPL-2.0-or-later

//! The edit of an SRH by a BPF program, and the bodies of the helpers that do it.
//!
//! While a program of type `BPF_PROG_TYPE_LWT_SEG6LOCAL` runs, a per-CPU state says where the SRH
//! is and whether it was validated after its last change. The state belongs to one packet: programs
//! run with bottom halves off and under a lock, so none nests in another on the same CPU, and a
//! helper that is called for another packet (by a test run) finds no SRH. It holds offsets; nothing
//! in it points into the packet.

use crate::{
    encap,
    encap::Encapsulation,
    packet::update_payload_length,
    srh,
    srh::Form, //
};
use core::{
    net::Ipv6Addr,
    ops::Range, //
};
use kernel::{
    bindings,
    bpf::Memory,
    net::{
        ipv6,
        ipv6::{
            LocalDelivery,
            Lookup,
            Routing, //
        },
        skbuff::SkBuff,
        tunnel,
        tunnel::Inner, //
    },
    prelude::*,
    softirq::BhDisabled,
    uapi, //
};

mod edit;

pub(crate) use edit::SrhStateGuard;
use edit::{
    SrhState,
    SrhStateLock, //
};

/// Writes to the flags, the tag or the TLVs of the SRH: `from` at `offset` of the packet.
///
/// Fails with `EINVAL` if there is no SRH and with `EFAULT` if the place is another one or memory
/// is short. Replaces `bpf_lwt_seg6_store_bytes()`.
#[inline]
pub(crate) fn store_bytes(
    skb: Pin<&mut SkBuff>,
    offset: u32,
    from: &Memory<'_>,
    bh: &BhDisabled,
) -> Result {
    let state = SrhState::this_cpu(bh);
    let mut edit = state.load(&skb).ok_or(EINVAL)?;
    let end = u32::try_from(from.len())
        .ok()
        .and_then(|len| offset.checked_add(len));
    let end = end.ok_or(EFAULT)?;
    let fields = edit.offset + srh::FLAGS as u32..=edit.offset + srh::FIXED_LEN as u32;

    if offset >= edit.tlvs_start(&skb)? && end <= edit.end() {
        edit.is_valid = false;
    } else if !fields.contains(&offset) || !fields.contains(&end) {
        return Err(EFAULT);
    }
    state.store(&skb, Some(edit));

    if from.is_in_packet() {
        return store_copy(state, skb, offset..end, from);
    }
    skb.modify(end, |data| {
        from.copy_outside(data.get_mut(offset as usize..)?).ok()
    })
    .map_err(|_| EFAULT)
}

/// Writes bytes of the packet itself, on which a program runs, to another place of it.
#[cold]
#[inline(never)]
fn store_copy(
    state: &SrhState,
    skb: Pin<&mut SkBuff>,
    to: Range<u32>,
    from: &Memory<'_>,
) -> Result {
    // SAFETY: The program holds the lock, and a helper makes one copy.
    let from = unsafe { state.copy(&skb, from) }?;

    skb.modify(to.end, |data| {
        let to = data.get_mut(to.start as usize..)?;

        (to.len() == from.len()).then(|| to.copy_from_slice(from))
    })
    .map_err(|_| EFAULT)
}

/// Grows the TLVs by `delta` zero octets, or shrinks them, at `offset` of the packet.
///
/// Fails with `EINVAL` if there is no SRH or if it, or the packet, would be longer than a header
/// can say; with `EFAULT` if the place is not in the TLVs; and with `ENOMEM` if memory is short.
/// Replaces `bpf_lwt_seg6_adjust_srh()`.
pub(crate) fn adjust_srh(
    mut skb: Pin<&mut SkBuff>,
    offset: u32,
    delta: i32,
    bh: &BhDisabled,
) -> Result {
    let state = SrhState::this_cpu(bh);
    let mut edit = state.load(&skb).ok_or(EINVAL)?;
    let removed = if delta < 0 { delta.unsigned_abs() } else { 0 };

    if offset < edit.tlvs_start(&skb)?
        || offset
            .checked_add(removed)
            .is_none_or(|end| end > edit.end())
    {
        return Err(EFAULT);
    }
    let len = edit.len.checked_add_signed(delta).ok_or(EINVAL)?;
    if len > srh::MAX_LEN as u32 {
        return Err(EINVAL);
    }

    if delta > 0 {
        let payload_len = i64::from(skb.len()) + i64::from(delta) - i64::from(ipv6::HEADER_LEN);
        if payload_len > u16::MAX.into() && !skb.is_gso() {
            return Err(EINVAL);
        }
        skb.as_mut().insert_zeroed(offset, delta.unsigned_abs())?;
    } else {
        skb.as_mut().remove(offset, removed)?;
    }
    // What was resized is private to the packet, so that this does not fail.
    update_payload_length(skb.as_mut())?;
    edit.len = len;
    edit.is_valid = false;
    state.store(&skb, Some(edit));
    Ok(())
}

/// Applies a behavior to the packet.
///
/// | action | parameter | effect |
/// |---|---|---|
/// | End.X | address of the next hop | route |
/// | End.T | table, `int` | route |
/// | End.DT6 | table, `int` | outer headers removed, route |
/// | End.B6 | SRH | SRH inserted, route |
/// | End.B6.Encaps | SRH | IPv6 header and SRH pushed, route |
///
/// Fails with `EBADMSG` if the SRH is not valid, with `EINVAL` if the action or the parameter is
/// not or no program of the type runs on the packet, and else with the error of the route. The parameter is read first, as it may be in the
/// packet. Replaces `bpf_lwt_seg6_action()`.
pub(crate) fn action(
    skb: Pin<&mut SkBuff>,
    action: u32,
    param: &Memory<'_>,
    bh: &BhDisabled,
) -> Result {
    match action {
        uapi::SEG6_LOCAL_ACTION_END_X => end_x(skb, param, bh),
        uapi::SEG6_LOCAL_ACTION_END_T => end_t(skb, param, bh),
        uapi::SEG6_LOCAL_ACTION_END_DT6 => end_dt6(skb, param, bh),
        uapi::SEG6_LOCAL_ACTION_END_B6 => end_b6(skb, Encapsulation::Insert, param, bh),
        uapi::SEG6_LOCAL_ACTION_END_B6_ENCAP => end_b6(skb, Encapsulation::Push, param, bh),
        _ => Err(EINVAL),
    }
}

#[inline(never)]
fn end_x(mut skb: Pin<&mut SkBuff>, param: &Memory<'_>, bh: &BhDisabled) -> Result {
    let next_hop = param.read::<16>(&skb);

    SrhState::this_cpu(bh).require_valid(skb.as_mut())?;
    Lookup {
        next_hop: Some(&Ipv6Addr::from(next_hop?)),
        ..Lookup::default()
    }
    .attach(skb, bh)
}

#[inline(never)]
fn end_t(mut skb: Pin<&mut SkBuff>, param: &Memory<'_>, bh: &BhDisabled) -> Result {
    let table = param.read(&skb);

    SrhState::this_cpu(bh).require_valid(skb.as_mut())?;
    Lookup {
        // 0 stands for what the rules say.
        table: u32::from_ne_bytes(table?),
        ..Lookup::default()
    }
    .attach(skb, bh)
}

#[inline(never)]
fn end_dt6(mut skb: Pin<&mut SkBuff>, param: &Memory<'_>, bh: &BhDisabled) -> Result {
    let table = param.read(&skb);

    decapsulate(skb.as_mut(), &table, bh)?;
    Lookup {
        table: u32::from_ne_bytes(table?),
        local: LocalDelivery::Allow,
        ..Lookup::default()
    }
    .attach(skb, bh)
}

/// Removes the outer headers, if the parameter is what End.DT6 takes, and edits the SRH inside from
/// then on.
#[inline(never)]
fn decapsulate(mut skb: Pin<&mut SkBuff>, param: &Result<[u8; 4]>, bh: &BhDisabled) -> Result {
    let state = SrhState::this_cpu(bh);

    state.require_valid(skb.as_mut())?;
    (*param)?;
    let inner = ipv6::find_header(&skb, Inner::Ipv6.protocol(), Routing::Any);
    let inner = inner.map_err(|_| EBADMSG)?;

    // SAFETY: The end of the edit, which there is as there is a valid SRH, resets the control block:
    // `decapsulated` says so.
    unsafe { tunnel::decapsulate_in_program(skb.as_mut(), inner, Inner::Ipv6) }
        .map_err(|_| EBADMSG)?;
    skb.as_mut().reset_conntrack();
    state.update(&skb, |raw| bindings::seg6_bpf_srh_edit {
        decapsulated: true,
        ..raw
    });
    state.refresh(skb);
    Ok(())
}

/// Adds an SRH to a packet that has none or a valid one, edits the new one from then on, and routes
/// the packet to the first segment.
#[inline(never)]
fn end_b6(
    mut skb: Pin<&mut SkBuff>,
    encapsulation: Encapsulation,
    header: &Memory<'_>,
    bh: &BhDisabled,
) -> Result {
    encapsulate(skb.as_mut(), encapsulation, header, bh)?;
    // An error of the route comes after the headers have changed.
    route(skb, bh)
}

/// Routes the packet by its destination.
#[inline(never)]
fn route(skb: Pin<&mut SkBuff>, bh: &BhDisabled) -> Result {
    Lookup::default().attach(skb, bh)
}

#[inline(never)]
fn encapsulate(
    mut skb: Pin<&mut SkBuff>,
    encapsulation: Encapsulation,
    header: &Memory<'_>,
    bh: &BhDisabled,
) -> Result {
    let state = SrhState::this_cpu(bh);

    if !state.is_of(&skb) {
        return Err(EINVAL);
    }
    // The header is read first, as it may be in the packet.
    // SAFETY: The program that runs on the packet holds the lock, and a helper makes one copy.
    let header = unsafe { state.copy(&skb, header) };

    state.validate(skb.as_mut())?;
    push_srh(skb.as_mut(), encapsulation, header?, bh)?;
    state.refresh(skb);
    Ok(())
}

/// Adds an SRH to the packet and routes it to the first segment.
///
/// Fails with `EINVAL` if `header` is not a valid SRH, with `EBADMSG` if one is to be inserted in a
/// packet that is not IPv6, and else with the error of the route. Replaces
/// `bpf_push_seg6_encap()`.
pub(crate) fn push_encap(
    mut skb: Pin<&mut SkBuff>,
    encapsulation: Encapsulation,
    header: &Memory<'_>,
    bh: &BhDisabled,
) -> Result {
    push_copy(skb.as_mut(), encapsulation, header, bh)?;
    route(skb, bh)
}

#[inline(never)]
fn push_copy(
    skb: Pin<&mut SkBuff>,
    encapsulation: Encapsulation,
    header: &Memory<'_>,
    bh: &BhDisabled,
) -> Result {
    let lock = SrhStateLock::new(bh);

    // SAFETY: The lock is held, and a helper makes one copy.
    let header = unsafe { lock.copy(&skb, header) }?;

    push_srh(skb, encapsulation, header, bh)
}

/// Adds an SRH that is no program's any more to the packet.
fn push_srh(
    skb: Pin<&mut SkBuff>,
    encapsulation: Encapsulation,
    header: &[u8],
    bh: &BhDisabled,
) -> Result {
    if !srh::is_valid(header, Form::Full) {
        return Err(EINVAL);
    }
    encap::encapsulate(skb, encapsulation, header, bh)
}
