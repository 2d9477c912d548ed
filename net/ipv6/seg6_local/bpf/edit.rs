// SPDX-License-Identifier: GPL-2.0-or-later

//! The state of an edit.

use crate::{
    packet::SrhSpan,
    srh,
    srh::Form,
    verdict::Discard, //
};
use core::{
    mem::MaybeUninit,
    ops::Deref,
    ptr, //
};
use kernel::{
    bindings,
    bpf::Memory,
    net::{
        ipv6::Routing,
        skbuff::SkBuff,
        tunnel,
        tunnel::Inner, //
    },
    prelude::*,
    softirq::BhDisabled,
    types::Opaque, //
};

/// The SRH that a program edits.
///
/// # Invariants
///
/// `len` is at most [`srh::MAX_LEN`], and the SRH is in the linear part of the packet.
#[derive(Clone, Copy)]
pub(super) struct Edit {
    pub(super) offset: u32,
    /// In bytes; the header length in the packet follows when the SRH is validated.
    pub(super) len: u32,
    pub(super) is_valid: bool,
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
    pub(super) fn end(self) -> u32 {
        // OVERFLOW: Both are less than the length of a packet.
        self.offset.saturating_add(self.len)
    }

    /// Returns the bytes of the SRH.
    fn octets<'a>(&self, skb: &'a SkBuff) -> Option<&'a [u8]> {
        skb.data().get(self.offset as usize..self.end() as usize)
    }

    /// Returns where the TLVs start in the packet.
    pub(super) fn tlvs_start(self, skb: &SkBuff) -> Result<u32> {
        let last_entry = self
            .octets(skb)
            .and_then(|srh| srh.get(srh::LAST_ENTRY))
            .ok_or(EINVAL)?;

        Ok(self
            .offset
            .saturating_add(srh::tlvs_offset(*last_entry) as u32))
    }

    /// Brings the header length up to date and validates the SRH.
    ///
    /// Replaces `seg6_bpf_has_valid_srh()`.
    fn validate(&mut self, skb: Pin<&mut SkBuff>) -> Result {
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
pub(super) struct SrhState(Opaque<bindings::seg6_bpf_srh_state>);

impl SrhState {
    /// Returns the state of this CPU, which stays the same while bottom halves are off.
    #[inline]
    pub(super) fn this_cpu(_bh: &BhDisabled) -> &Self {
        // SAFETY: With bottom halves off the task stays on this CPU, so no other uses this state.
        // The cast is right because of `repr(transparent)`.
        unsafe { &*bindings::seg6_bpf_srh_state_this_cpu().cast::<Self>() }
    }

    /// Returns whether this is the state of a program that runs on `skb`.
    #[inline]
    pub(super) fn is_of(&self, skb: &SkBuff) -> bool {
        ptr::eq(self.get().skb, skb.as_raw())
    }

    #[inline]
    fn get(&self) -> bindings::seg6_bpf_srh_edit {
        // SAFETY: The state is valid, and its user is the program that holds its lock and runs on this
        // CPU. With PREEMPT_RT others may come in between, which run on other packets.
        unsafe { (*self.0.get()).edit }
    }

    #[inline]
    fn set(&self, raw: bindings::seg6_bpf_srh_edit) {
        // SAFETY: As in `get()`.
        unsafe { (*self.0.get()).edit = raw };
    }

    /// Changes the state, unless no program runs on `skb`.
    #[inline]
    pub(super) fn update(
        &self,
        skb: &SkBuff,
        f: impl FnOnce(bindings::seg6_bpf_srh_edit) -> bindings::seg6_bpf_srh_edit,
    ) {
        if self.is_of(skb) {
            self.set(f(self.get()));
        }
    }

    /// Returns the SRH of `skb`; `None` if it has none or if no program runs on it.
    #[inline]
    pub(super) fn load(&self, skb: &SkBuff) -> Option<Edit> {
        let raw = self.get();

        (raw.present && self.is_of(skb)).then_some(Edit {
            offset: raw.srh_offset,
            len: raw.srh_len,
            is_valid: raw.valid,
        })
    }

    /// Sets the SRH of `skb`; has no effect if no program runs on it.
    #[inline]
    pub(super) fn store(&self, skb: &SkBuff, edit: Option<Edit>) {
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
    pub(super) fn refresh(&self, mut skb: Pin<&mut SkBuff>) {
        let span = SrhSpan::locate(skb.as_mut(), Routing::Any);

        self.store(&skb, span.map(Edit::from));
    }

    /// Validates the SRH of `skb` and returns whether it has one.
    ///
    /// Fails with `EBADMSG` if it is malformed.
    #[inline]
    pub(super) fn validate(&self, skb: Pin<&mut SkBuff>) -> Result<bool> {
        match self.load(&skb) {
            None => Ok(false),
            Some(edit) if edit.is_valid => Ok(true),
            Some(edit) => self.validate_change(skb, edit),
        }
    }

    #[inline(never)]
    fn validate_change(&self, mut skb: Pin<&mut SkBuff>, mut edit: Edit) -> Result<bool> {
        edit.validate(skb.as_mut())?;
        self.store(&skb, Some(edit));
        Ok(true)
    }

    /// Fails with `EBADMSG` unless `skb` has a valid SRH.
    #[inline]
    pub(super) fn require_valid(&self, skb: Pin<&mut SkBuff>) -> Result {
        self.validate(skb)?.then_some(()).ok_or(EBADMSG)
    }

    /// Copies the parameter of a helper, which others may change at any time, to the state.
    ///
    /// Fails with `EINVAL` if it is longer than an SRH can be.
    ///
    /// # Safety
    ///
    /// The lock of the state must be held, and no copy be made while another one is in use.
    pub(super) unsafe fn copy(&self, skb: &SkBuff, param: &Memory<'_>) -> Result<&[u8]> {
        // SAFETY: By the safety requirement nobody else uses these bytes; any are valid.
        param.copy(skb, unsafe {
            &mut *(&raw mut (*self.0.get()).copy).cast::<Buffer>()
        })
    }
}

/// Room for a parameter of a helper.
type Buffer = [MaybeUninit<u8>; srh::MAX_LEN];
const _: () = assert!(srh::MAX_LEN == bindings::SEG6_BPF_SRH_MAX_LEN as usize);

/// Holds the lock of the state.
pub(super) struct SrhStateLock<'a>(&'a SrhState);

impl<'a> SrhStateLock<'a> {
    /// Takes the lock: for a program of the type, or for a helper that none has called.
    #[inline]
    pub(super) fn new(_bh: &'a BhDisabled) -> Self {
        // SAFETY: Bottom halves are off, and no program of the type runs around this code.
        Self(unsafe { &*bindings::seg6_bpf_srh_state_lock().cast::<SrhState>() })
    }
}

impl Deref for SrhStateLock<'_> {
    type Target = SrhState;

    #[inline]
    fn deref(&self) -> &SrhState {
        self.0
    }
}

impl Drop for SrhStateLock<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The lock was taken in `new()`, on this CPU.
        unsafe { bindings::seg6_bpf_srh_state_unlock() };
    }
}

/// The edit of a packet on which a program runs.
pub(crate) struct SrhStateGuard<'a>(SrhStateLock<'a>);

impl<'a> SrhStateGuard<'a> {
    /// Starts the edit of the SRH at `span`.
    #[inline]
    pub(crate) fn new(skb: &SkBuff, span: SrhSpan, bh: &'a BhDisabled) -> Self {
        let lock = SrhStateLock::new(bh);

        lock.set(bindings::seg6_bpf_srh_edit {
            skb: skb.as_raw(),
            srh_offset: span.offset.into(),
            srh_len: span.len.into(),
            present: true,
            valid: true,
            decapsulated: false,
        });
        Self(lock)
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
        self.0.set(bindings::seg6_bpf_srh_edit {
            // Without a packet, the rest is of no use to anybody.
            skb: ptr::null(),
            ..self.0.get()
        });
    }
}
