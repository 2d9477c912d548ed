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
use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr,
    ptr::NonNull,
    slice, //
};

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

/// Memory that a program gives to a helper: on its stack, in a map, or in its packet
/// (`bpf_dynptr_slice()`).
///
/// Others may write to a map at any time, so what is checked has to be a copy.
///
/// # Invariants
///
/// `len` bytes from `start` on can be read during `'a`, unless they are `in_packet`: then as long as
/// they are in the linear part of the packet, and while that is borrowed.
///
/// # Examples
///
/// ```
/// use core::mem::MaybeUninit;
/// use kernel::{
///     bpf::Memory,
///     net::skbuff::OwnedSkBuff, //
/// };
///
/// let mut skb = OwnedSkBuff::with_data(&[4, 5, 6], 0, GFP_KERNEL)?;
/// let bytes = [1u8, 2, 3];
/// // SAFETY: The bytes outlive `memory`.
/// let memory = unsafe { Memory::new(bytes.as_ptr().cast(), bytes.len(), &skb) };
///
/// assert_eq!(memory.read(&skb), Ok(bytes));
/// assert_eq!(memory.read::<2>(&skb), Err(EINVAL));
/// assert_eq!(memory.copy(&skb, &mut [MaybeUninit::uninit(); 4]), Ok(&bytes[..]));
/// assert_eq!(memory.copy(&skb, &mut [MaybeUninit::uninit(); 2]), Err(EINVAL));
/// skb.as_mut().modify(3, |data| memory.copy_outside(data).ok())?;
/// assert_eq!(skb.data(), bytes);
///
/// // SAFETY: The bytes are in the packet.
/// let memory = unsafe { Memory::new(skb.data().as_ptr().cast(), 3, &skb) };
///
/// assert!(memory.is_in_packet());
/// assert_eq!(memory.read(&skb), Ok(bytes));
/// // While the packet is changed, they are not read; nor when it has moved.
/// assert_eq!(skb.as_mut().modify(3, |data| memory.copy_outside(data).ok()), Err(EINVAL));
/// skb.as_mut().remove(0, 1)?;
/// assert_eq!(memory.read::<3>(&skb), Err(EINVAL));
/// # Ok::<(), Error>(())
/// ```
pub struct Memory<'a> {
    start: *const u8,
    len: usize,
    in_packet: bool,
    _program: PhantomData<&'a ()>,
}

impl Memory<'_> {
    /// Takes the arguments of a helper that a program has called that runs on `skb`.
    ///
    /// # Safety
    ///
    /// `len` bytes from `start` on must be readable, as the verifier makes sure of the memory of a
    /// program; during the lifetime of the value, unless they are in the linear part of `skb`.
    #[inline]
    pub unsafe fn new(start: *const c_void, len: usize, skb: &SkBuff) -> Self {
        let start = start.cast();

        // INVARIANT: By the safety requirement.
        Self {
            start,
            len,
            in_packet: skb.data().as_ptr_range().contains(&start),
            _program: PhantomData,
        }
    }

    /// Returns the length in bytes.
    #[inline]
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the bytes are in the packet that the program runs on.
    #[inline]
    pub fn is_in_packet(&self) -> bool {
        self.in_packet
    }

    /// Whether the bytes can be read now, while `skb` is borrowed.
    #[inline]
    fn is_readable(&self, skb: &SkBuff) -> bool {
        let packet = skb.data().as_ptr_range();

        !self.in_packet
            || packet.contains(&self.start) && packet.end as usize - self.start as usize >= self.len
    }

    /// Copies the bytes to `to`; fails with `EINVAL` if that has another length, or if the bytes are
    /// in the packet, which `to` may be a part of.
    #[inline]
    pub fn copy_outside(&self, to: &mut [u8]) -> Result {
        if self.in_packet || to.len() != self.len {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariant the source is readable, and `to` has as many bytes, which are
        // the caller's alone. A write to a map at the same time may mix old and new bytes, as with
        // `memcpy()` in C, no more.
        unsafe { ptr::copy_nonoverlapping(self.start, to.as_mut_ptr(), self.len) };
        Ok(())
    }

    /// Copies the bytes to the start of `buffer` and returns them.
    ///
    /// `skb` is the packet that the program runs on. Fails with `EINVAL` if there are more bytes than
    /// the buffer has room for, or if they were in the packet and are not any more.
    #[inline]
    pub fn copy<'b>(&self, skb: &SkBuff, buffer: &'b mut [MaybeUninit<u8>]) -> Result<&'b [u8]> {
        let to = buffer.get_mut(..self.len).ok_or(EINVAL)?.as_mut_ptr();

        if !self.is_readable(skb) {
            return Err(EINVAL);
        }
        // SAFETY: The source is readable, as in `copy_outside()` or as a part of `skb`, which the
        // buffer is not, as that is borrowed exclusively.
        unsafe { ptr::copy_nonoverlapping(self.start, to.cast(), self.len) };
        // SAFETY: These bytes of `buffer`, which is borrowed for `'b`, were just written.
        Ok(unsafe { slice::from_raw_parts(to.cast(), self.len) })
    }

    /// Returns the bytes; fails with `EINVAL` unless there are `N`, or as [`Memory::copy`].
    #[inline]
    pub fn read<const N: usize>(&self, skb: &SkBuff) -> Result<[u8; N]> {
        let mut bytes = [0; N];

        if self.len != N || !self.is_readable(skb) {
            return Err(EINVAL);
        }
        // SAFETY: As in `copy()`.
        unsafe { ptr::copy_nonoverlapping(self.start, bytes.as_mut_ptr(), N) };
        Ok(bytes)
    }
}
