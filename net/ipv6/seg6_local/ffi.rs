// SPDX-License-Identifier: GPL-2.0-or-later

//! What C calls: the tunnel, and the bodies of the BPF helpers for `net/core/lwt_seg6local.c`.

use crate::{
    bpf,
    encap::Encapsulation,
    Sid, //
};
use kernel::{
    bindings,
    bpf::Memory,
    net::{
        lwtunnel::Registration,
        skbuff::SkBuff, //
    },
    prelude::*,
    softirq::BhDisabled,
    uapi, //
};

/// Registers the tunnel; the result is for the module to keep until its exit.
pub(crate) fn register(module: &'static ThisModule) -> Result<Registration<Sid>> {
    // SAFETY: The exit of the module drops the registration; no route refers to the module then.
    // Before that nothing that can fail follows in its initialization.
    unsafe { Registration::new(module) }
}

/// The registration of the helpers.
///
/// # Invariants
///
/// The helpers are registered.
pub(crate) struct Helpers(());

impl Helpers {
    /// Lets the helpers work.
    ///
    /// The caller owns the tunnel type, so there is one registration at a time.
    pub(crate) fn register() -> Self {
        // SAFETY: The table is static, and `drop()` unregisters it before the module goes away.
        // Its functions take what the helpers get.
        unsafe { bindings::seg6_bpf_register(&OPS) };

        // INVARIANT: They were just registered.
        Self(())
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the helpers are registered. The function waits until none
        // of them runs.
        unsafe { bindings::seg6_bpf_unregister() };
    }
}

static OPS: bindings::seg6_bpf_ops = bindings::seg6_bpf_ops {
    store_bytes: Some(store_bytes),
    adjust_srh: Some(adjust_srh),
    action: Some(action),
    push_encap: Some(push_encap),
};

/// What every helper has: its packet, and bottom halves off.
struct Call<'a> {
    skb: Pin<&'a mut SkBuff>,
    bh: &'a BhDisabled,
}

impl Call<'_> {
    /// # Safety
    ///
    /// `skb` must be the packet of a BPF program that runs for the whole of `'a`.
    #[inline]
    unsafe fn new<'a>(skb: *mut bindings::sk_buff) -> Call<'a> {
        Call {
            // SAFETY: The caller of the program borrows the packet exclusively, and lends it to the
            // program.
            skb: unsafe { SkBuff::from_raw(skb) },
            // SAFETY: Programs that work on packets run with bottom halves off.
            bh: unsafe { BhDisabled::assume() },
        }
    }
}

#[inline]
fn to_status(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// Only for [`OPS`].
unsafe extern "C" fn store_bytes(
    skb: *mut bindings::sk_buff,
    offset: u32,
    from: *const c_void,
    len: u32,
) -> c_int {
    // SAFETY: The program that called the helper runs on `skb`, and the verifier checked the
    // memory.
    let call = unsafe { Call::new(skb) };
    // SAFETY: As above.
    let from = unsafe { Memory::new(from, len as usize, &call.skb) };

    to_status(bpf::store_bytes(call.skb, offset, &from, call.bh))
}

/// # Safety
///
/// Only for [`OPS`].
unsafe extern "C" fn adjust_srh(skb: *mut bindings::sk_buff, offset: u32, delta: i32) -> c_int {
    // SAFETY: The program that called the helper runs on `skb`.
    let call = unsafe { Call::new(skb) };

    to_status(bpf::adjust_srh(call.skb, offset, delta, call.bh))
}

/// # Safety
///
/// Only for [`OPS`].
unsafe extern "C" fn action(
    skb: *mut bindings::sk_buff,
    action: u32,
    param: *const c_void,
    param_len: u32,
) -> c_int {
    // SAFETY: The program that called the helper runs on `skb`, and the verifier checked the
    // memory.
    let call = unsafe { Call::new(skb) };
    // SAFETY: As above.
    let param = unsafe { Memory::new(param, param_len as usize, &call.skb) };

    to_status(bpf::action(call.skb, action, &param, call.bh))
}

/// # Safety
///
/// Only for [`OPS`].
unsafe extern "C" fn push_encap(
    skb: *mut bindings::sk_buff,
    encapsulation: u32,
    header: *const c_void,
    len: u32,
) -> c_int {
    // SAFETY: The program that called the helper runs on `skb`, and the verifier checked the
    // memory.
    let call = unsafe { Call::new(skb) };
    // SAFETY: As above.
    let header = unsafe { Memory::new(header, len as usize, &call.skb) };

    to_status(match encapsulation {
        uapi::bpf_lwt_encap_mode_BPF_LWT_ENCAP_SEG6 => {
            bpf::push_encap(call.skb, Encapsulation::Push, &header, call.bh)
        }
        uapi::bpf_lwt_encap_mode_BPF_LWT_ENCAP_SEG6_INLINE => {
            bpf::push_encap(call.skb, Encapsulation::Insert, &header, call.bh)
        }
        _ => Err(EINVAL),
    })
}
