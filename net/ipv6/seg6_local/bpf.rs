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
    packet::{
        update_payload_length,
        SrhSpan, //
    },
    route::{
        LocalDelivery,
        Lookup, //
    },
    srh,
    srh::Form,
    verdict::Discard, //
};
use core::{
    mem::MaybeUninit,
    net::Ipv6Addr,
    num::NonZeroU32,
    ops::Range,
    ptr, //
};
use kernel::{
    bindings,
    bpf::Memory,
    net::{
        ipv6,
        ipv6::Routing,
        skbuff::SkBuff,
        tunnel,
        tunnel::Inner, //
    },
    prelude::*,
    softirq::BhDisabled,
    types::Opaque,
    uapi, //
};

/// The SRH that a program edits.
///
/// # Invariants
///
/// `len` is at most [`srh::MAX_LEN`], and the SRH is in the linear part of the packet.
#[derive(Clone, Copy)]
struct Edit {
    offset: u32,
    /// In octets; the header length in the packet follows when the SRH is validated.
    len: u32,
    is_valid: bool,
}

impl From<SrhSpan> for Edit {
    fn from(span: SrhSpan) -> Self {
        // INVARIANT: A span is at most as long, linear and valid.
        Self {
            offset: span.offset.into(),
            len: span.len.into(),
            is_valid: true,
        }
    }
}

impl Edit {
    fn end(self) -> u32 {
        // OVERFLOW: Both are less than the length of a packet.
        self.offset.saturating_add(self.len)
    }

    /// Returns the octets of the SRH.
    fn octets<'a>(&self, skb: &'a SkBuff) -> Option<&'a [u8]> {
        skb.data().get(self.offset as usize..self.end() as usize)
    }

    /// Returns where the TLVs start in the packet.
    fn tlvs_start(self, skb: &SkBuff) -> Result<u32> {
        let last_entry = self
            .octets(skb)
            .and_then(|srh| srh.get(srh::LAST_ENTRY))
            .ok_or(EINVAL)?;

        Ok(self
            .offset
            .saturating_add(srh::tlvs_offset(*last_entry) as u32))
    }

    /// Brings the header length up to date and validates the SRH, unless nothing was changed.
    ///
    /// Replaces `seg6_bpf_has_valid_srh()`.
    fn validate(&mut self, skb: Pin<&mut SkBuff>) -> Result {
        if self.is_valid {
            return Ok(());
        }
        if self.len % 8 != 0 {
            return Err(EBADMSG);
        }
        let hdr_len = self.len.checked_sub(8).ok_or(EBADMSG)? / 8;
        let hdr_len = u8::try_from(hdr_len).map_err(|_| EBADMSG)?;

        skb.modify(self.end(), |data| {
            let octets = data.get_mut(self.offset as usize..)?;

            *octets.get_mut(srh::HDR_LEN)? = hdr_len;
            srh::is_valid(octets, Form::Reduced).then_some(())
        })
        .map_err(|_| EBADMSG)?;
        self.is_valid = true;
        Ok(())
    }
}

/// The per-CPU state of the edit.
#[repr(transparent)]
pub(crate) struct SrhState(Opaque<bindings::seg6_bpf_srh_state>);

impl SrhState {
    /// Returns the state of this CPU, which stays the same while bottom halves are off.
    #[inline]
    fn this_cpu(_bh: &BhDisabled) -> &Self {
        // SAFETY: With bottom halves off the task stays on this CPU, so no other uses this state.
        // The cast is right because of `repr(transparent)`.
        unsafe { &*bindings::seg6_bpf_srh_state_this_cpu().cast::<Self>() }
    }

    #[inline]
    fn get(&self) -> bindings::seg6_bpf_srh_edit {
        // SAFETY: The state is valid, and its user is this CPU with bottom halves off.
        unsafe { (*self.0.get()).edit }
    }

    #[inline]
    fn set(&self, raw: bindings::seg6_bpf_srh_edit) {
        // SAFETY: As in `get()`.
        unsafe { (*self.0.get()).edit = raw };
    }

    /// Changes the state, unless no program runs on `skb`.
    #[inline]
    fn update(
        &self,
        skb: &SkBuff,
        f: impl FnOnce(bindings::seg6_bpf_srh_edit) -> bindings::seg6_bpf_srh_edit,
    ) {
        let raw = self.get();

        if ptr::eq(raw.skb, skb.as_raw()) {
            self.set(f(raw));
        }
    }

    /// Returns the SRH of `skb`; `None` if it has none or if no program runs on it.
    #[inline]
    fn load(&self, skb: &SkBuff) -> Option<Edit> {
        let raw = self.get();

        (raw.present && ptr::eq(raw.skb, skb.as_raw())).then_some(Edit {
            offset: raw.srh_offset,
            len: raw.srh_len,
            is_valid: raw.valid,
        })
    }

    /// Sets the SRH of `skb`; has no effect if no program runs on it.
    #[inline]
    fn store(&self, skb: &SkBuff, edit: Option<Edit>) {
        self.update(skb, |raw| bindings::seg6_bpf_srh_edit {
            srh_offset: edit.map_or(0, |edit| edit.offset),
            srh_len: edit.map_or(0, |edit| edit.len),
            present: edit.is_some(),
            valid: edit.is_some_and(|edit| edit.is_valid),
            ..raw
        });
    }

    /// Finds the SRH of `skb` again after its headers have changed.
    ///
    /// Replaces `bpf_update_srh_state()`.
    fn refresh(&self, mut skb: Pin<&mut SkBuff>) {
        let span = SrhSpan::locate(skb.as_mut(), Routing::Any);

        self.store(&skb, span.map(Edit::from));
    }

    /// Validates the SRH of `skb` and returns whether it has one.
    ///
    /// Fails with `EBADMSG` if it is malformed.
    fn validate(&self, mut skb: Pin<&mut SkBuff>) -> Result<bool> {
        let Some(mut edit) = self.load(&skb) else {
            return Ok(false);
        };

        edit.validate(skb.as_mut())?;
        self.store(&skb, Some(edit));
        Ok(true)
    }

    /// Fails with `EBADMSG` unless `skb` has a valid SRH.
    fn require_valid(&self, skb: Pin<&mut SkBuff>) -> Result {
        self.validate(skb)?.then_some(()).ok_or(EBADMSG)
    }
}

/// Holds the lock of the state while a program runs on a packet.
pub(crate) struct SrhStateGuard<'a>(&'a SrhState);

impl<'a> SrhStateGuard<'a> {
    /// Starts the edit of the SRH at `span`.
    #[inline]
    pub(crate) fn new(skb: &SkBuff, span: SrhSpan, _bh: &'a BhDisabled) -> Self {
        // SAFETY: Bottom halves are off, and no program of the type runs inside another.
        let state = unsafe { &*bindings::seg6_bpf_srh_state_lock().cast::<SrhState>() };

        state.set(bindings::seg6_bpf_srh_edit {
            skb: skb.as_raw(),
            ..pin_init::zeroed()
        });
        state.store(skb, Some(span.into()));
        Self(state)
    }

    /// Ends the edit; the packet is to be dropped if its SRH is not valid any more.
    #[inline]
    pub(crate) fn finish(self, mut skb: Pin<&mut SkBuff>) -> Result<(), Discard> {
        if self.0.get().decapsulated {
            tunnel::reset_control(skb.as_mut(), Inner::Ipv6);
        }
        match self.0.validate(skb) {
            Ok(_) => Ok(()),
            Err(_) => Err(Discard::INVALID),
        }
    }
}

impl Drop for SrhStateGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.set(pin_init::zeroed());
        // SAFETY: The lock was taken in `new()`, on this CPU.
        unsafe { bindings::seg6_bpf_srh_state_unlock() };
    }
}

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

    if from.is_in(&skb) {
        return store_copy(skb, offset..end, from);
    }
    skb.modify(end, |data| {
        from.copy_to(data.get_mut(offset as usize..)?).ok()
    })
    .map_err(|_| EFAULT)
}

/// Writes octets of the packet itself to another place of it.
#[cold]
fn store_copy(skb: Pin<&mut SkBuff>, to: Range<u32>, from: &Memory<'_>) -> Result {
    let mut buffer = [MaybeUninit::uninit(); srh::MAX_LEN];
    let from = from.copy(&mut buffer)?;

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
    edit.len = len;
    edit.is_valid = false;
    state.store(&skb, Some(edit));
    update_payload_length(skb)
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
/// not, and else with the error of the route. The parameter is read first, as it may be in the
/// packet. Replaces `bpf_lwt_seg6_action()`.
pub(crate) fn action(
    mut skb: Pin<&mut SkBuff>,
    action: u32,
    param: &Memory<'_>,
    bh: &BhDisabled,
) -> Result {
    let state = SrhState::this_cpu(bh);

    match action {
        uapi::SEG6_LOCAL_ACTION_END_X => {
            let next_hop = param.read::<16>();

            state.require_valid(skb.as_mut())?;
            Lookup {
                next_hop: Some(Ipv6Addr::from(next_hop?)),
                ..Lookup::default()
            }
            .attach(skb, bh)
        }
        uapi::SEG6_LOCAL_ACTION_END_T => {
            let lookup = table_lookup(param);

            state.require_valid(skb.as_mut())?;
            lookup?.attach(skb, bh)
        }
        uapi::SEG6_LOCAL_ACTION_END_DT6 => {
            let lookup = table_lookup(param);

            state.require_valid(skb.as_mut())?;
            let lookup = Lookup {
                local: LocalDelivery::Allow,
                ..lookup?
            };

            encap::decapsulate(skb.as_mut(), Inner::Ipv6)?;
            skb.as_mut().reset_conntrack();
            state.update(&skb, |raw| bindings::seg6_bpf_srh_edit {
                decapsulated: true,
                ..raw
            });
            state.refresh(skb.as_mut());
            lookup.attach(skb, bh)
        }
        uapi::SEG6_LOCAL_ACTION_END_B6 => encapsulate(skb, Encapsulation::Insert, param, bh),
        uapi::SEG6_LOCAL_ACTION_END_B6_ENCAP => encapsulate(skb, Encapsulation::Push, param, bh),
        _ => Err(EINVAL),
    }
}

/// Parses a table number; 0 stands for what the rules say.
fn table_lookup(param: &Memory<'_>) -> Result<Lookup> {
    let table = u32::from_ne_bytes(param.read()?);

    Ok(Lookup {
        table: NonZeroU32::new(table),
        ..Lookup::default()
    })
}

/// Adds an SRH to a packet that has none or a valid one, and edits the new one from then on.
fn encapsulate(
    mut skb: Pin<&mut SkBuff>,
    encapsulation: Encapsulation,
    header: &Memory<'_>,
    bh: &BhDisabled,
) -> Result {
    let state = SrhState::this_cpu(bh);
    let mut buffer = [MaybeUninit::uninit(); srh::MAX_LEN];
    let header = header.copy(&mut buffer);

    state.validate(skb.as_mut())?;
    let len = skb.len();
    let result = push_srh(skb.as_mut(), encapsulation, header?, bh);

    // Also a failure, that of the route, may come after the headers have changed.
    if skb.len() != len {
        state.refresh(skb);
    }
    result
}

/// Adds an SRH to the packet and routes it to the first segment.
///
/// Fails with `EINVAL` if `header` is not a valid SRH, with `EBADMSG` if one is to be inserted in a
/// packet that is not IPv6, and else with the error of the route. Replaces
/// `bpf_push_seg6_encap()`.
pub(crate) fn push_encap(
    skb: Pin<&mut SkBuff>,
    encapsulation: Encapsulation,
    header: &Memory<'_>,
    bh: &BhDisabled,
) -> Result {
    let mut buffer = [MaybeUninit::uninit(); srh::MAX_LEN];

    push_srh(skb, encapsulation, header.copy(&mut buffer)?, bh)
}

/// Does what [`push_encap`] does, with a header that is no program's any more.
fn push_srh(
    mut skb: Pin<&mut SkBuff>,
    encapsulation: Encapsulation,
    header: &[u8],
    bh: &BhDisabled,
) -> Result {
    if !srh::is_valid(header, Form::Full) {
        return Err(EINVAL);
    }
    encap::encapsulate(skb.as_mut(), encapsulation, header)?;
    Lookup::default().attach(skb, bh)
}
