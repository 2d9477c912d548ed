// SPDX-License-Identifier: GPL-2.0-or-later

//! BPF programs.
//!
//! C headers: [`include/linux/bpf.h`](srctree/include/linux/bpf.h),
//! [`include/linux/filter.h`](srctree/include/linux/filter.h)

use crate::{
    bindings,
    error::from_err_ptr,
    net::skbuff::SkBuff,
    prelude::*,
    softirq::BhDisabled, //
};
use core::ptr::NonNull;

/// The type of a BPF program, `enum bpf_prog_type`.
#[derive(Clone, Copy)]
pub struct ProgType(bindings::bpf_prog_type);

impl ProgType {
    /// `BPF_PROG_TYPE_LWT_SEG6LOCAL`.
    pub const LWT_SEG6LOCAL: Self = Self(bindings::bpf_prog_type_BPF_PROG_TYPE_LWT_SEG6LOCAL);
}

/// A reference to a loaded BPF program.
///
/// # Invariants
///
/// The pointer is valid, and the value owns one reference to the program.
///
/// # Examples
///
/// ```
/// use kernel::bpf::{Prog, ProgType};
///
/// // No process has a file descriptor of this number.
/// assert_eq!(Prog::from_fd(u32::MAX, ProgType::LWT_SEG6LOCAL).err(), Some(EBADF));
/// ```
pub struct Prog(NonNull<bindings::bpf_prog>);

// SAFETY: The reference count is atomic and a program is immutable once it is loaded.
unsafe impl Send for Prog {}
// SAFETY: A program is immutable once it is loaded, and may run on many CPUs at a time.
unsafe impl Sync for Prog {}

impl Prog {
    /// Takes a reference to the program behind the file descriptor `fd` of the current process.
    ///
    /// Fails with `EBADF` if the descriptor is not open and with `EINVAL` if it is not one of a
    /// program of type `prog_type`.
    pub fn from_fd(fd: u32, prog_type: ProgType) -> Result<Self> {
        // SAFETY: The function takes any number and any program type.
        let prog = from_err_ptr(unsafe { bindings::bpf_prog_get_type(fd, prog_type.0) })?;

        // INVARIANT: On success the pointer is valid and the caller owns a reference.
        NonNull::new(prog).map(Self).ok_or(EINVAL)
    }

    /// Returns the number by which user space finds the program.
    pub fn id(&self) -> u32 {
        // SAFETY: By the type invariant the program is valid.
        let aux = unsafe { (*self.0.as_ptr()).aux };

        // SAFETY: `aux` lives as long as its program, and `id` is set when the program is loaded.
        unsafe { (*aux).id }
    }

    /// Runs the program on the packet `skb` and returns what it returned.
    ///
    /// The part of `skb->cb` that the program may use reads as zero to it and is restored.
    #[inline]
    pub fn run_save_cb(&self, skb: Pin<&mut SkBuff>, _bh: &BhDisabled) -> u32 {
        // SAFETY: `skb` is valid and exclusively borrowed.
        unsafe { bindings::bpf_compute_data_pointers(skb.as_raw()) };

        // SAFETY: By the type invariant the program is valid. `skb` is valid and exclusively
        // borrowed, its data pointers were just computed, and bottom halves are off, which is an
        // RCU read-side critical section as well.
        unsafe { bindings::bpf_prog_run_save_cb(self.0.as_ptr(), skb.as_raw()) }
    }
}

impl Drop for Prog {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the value owns a reference.
        unsafe { bindings::bpf_prog_put(self.0.as_ptr()) };
    }
}
