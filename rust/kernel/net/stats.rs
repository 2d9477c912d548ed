// SPDX-License-Identifier: GPL-2.0-or-later

//! Per-CPU statistics.
//!
//! C header: [`include/linux/u64_stats_sync.h`](srctree/include/linux/u64_stats_sync.h)

use crate::{
    alloc::AllocError,
    bindings,
    cpu::nr_cpu_ids,
    prelude::*,
    softirq::BhDisabled, //
};
use core::ptr::NonNull;

/// The counters of one CPU.
#[repr(C)]
struct Slot<const N: usize> {
    values: [bindings::u64_stats_t; N],
    syncp: bindings::u64_stats_sync,
}

/// `N` counters of 64 bits that are read without tearing and updated without a lock.
///
/// # Invariants
///
/// The pointer is a per-CPU pointer to a `Slot<N>` that was initialized for every possible CPU and
/// that the value owns.
///
/// # Examples
///
/// ```
/// use kernel::{net::stats::PerCpuStats, softirq::BhDisabled};
///
/// let stats = PerCpuStats::<2>::new()?;
/// // SAFETY: A test is a task, with interrupts on.
/// let bh = unsafe { BhDisabled::new() };
/// stats.add(&bh, [(0, 1), (1, 1500)]);
/// stats.add(&bh, [(1, 40)]);
/// assert_eq!(stats.sum(), [1, 1540]);
/// # Ok::<(), Error>(())
/// ```
pub struct PerCpuStats<const N: usize>(NonNull<Slot<N>>);

// SAFETY: The memory belongs to no CPU or thread in particular.
unsafe impl<const N: usize> Send for PerCpuStats<N> {}
// SAFETY: Each CPU writes its own slot, by operations of its own, and readers retry on a change.
unsafe impl<const N: usize> Sync for PerCpuStats<N> {}

impl<const N: usize> PerCpuStats<N> {
    /// Allocates counters that start at zero. May sleep.
    pub fn new() -> Result<Self, AllocError> {
        let gfp = (GFP_KERNEL | __GFP_ZERO).as_raw();
        // SAFETY: The function takes any size and an alignment that is a power of two.
        let slots = unsafe {
            bindings::__alloc_percpu_gfp(size_of::<Slot<N>>(), align_of::<Slot<N>>(), gfp)
        };
        // INVARIANT: The memory is zeroed, which initializes the counters, and `syncp` is
        // initialized below, before the value can be used.
        let stats = Self(NonNull::new(slots.cast()).ok_or(AllocError)?);

        for slot in stats.slots() {
            // SAFETY: `slot` is valid, and nobody else knows of it yet.
            unsafe { bindings::u64_stats_init(&raw mut (*slot).syncp) };
        }
        Ok(stats)
    }

    /// Adds to counters, each given by its index and the increment; an index of `N` or more has no
    /// effect.
    #[inline]
    pub fn add<const M: usize>(&self, _bh: &BhDisabled, increments: [(usize, u64); M]) {
        // SAFETY: By the type invariant this is a per-CPU pointer. With bottom halves off the task
        // stays on this CPU.
        let slot = unsafe { bindings::this_cpu_ptr(self.0.as_ptr().cast()) }.cast::<Slot<N>>();

        // SAFETY: By the type invariant `slot` is valid and initialized.
        unsafe { bindings::u64_stats_update_begin(&raw mut (*slot).syncp) };
        for (index, increment) in increments {
            if index < N {
                // SAFETY: By the type invariant `slot` is valid, and `index` is inside `values`.
                // Only this CPU writes the slot. With PREEMPT_RT another task may do so in between:
                // the counters are `local64_t`, or an update turns preemption off (32 bits).
                unsafe {
                    bindings::u64_stats_add(&raw mut (*slot).values[index], increment as c_ulong)
                };
            }
        }
        // SAFETY: Pairs with `u64_stats_update_begin()` above.
        unsafe { bindings::u64_stats_update_end(&raw mut (*slot).syncp) };
    }

    /// Returns the sum of each counter over all CPUs.
    pub fn sum(&self) -> [u64; N] {
        let mut sum = [0u64; N];

        for slot in self.slots() {
            for (total, value) in sum.iter_mut().zip(Self::read(slot)) {
                *total = total.wrapping_add(value);
            }
        }
        sum
    }

    /// Reads one slot, all counters from the same update.
    fn read(slot: *mut Slot<N>) -> [u64; N] {
        let mut values = [0u64; N];

        loop {
            // SAFETY: `slot` is one of `slots()`, so it is valid and initialized.
            let start = unsafe { bindings::u64_stats_fetch_begin(&raw const (*slot).syncp) };

            for (index, value) in values.iter_mut().enumerate() {
                // SAFETY: As above, and `index` is less than `N`.
                *value = unsafe { bindings::u64_stats_read(&raw const (*slot).values[index]) };
            }
            // SAFETY: As above.
            if !unsafe { bindings::u64_stats_fetch_retry(&raw const (*slot).syncp, start) } {
                return values;
            }
        }
    }

    /// Iterates over the slots of all possible CPUs; each pointer is valid while `self` is.
    fn slots(&self) -> impl Iterator<Item = *mut Slot<N>> + '_ {
        (0..nr_cpu_ids())
            // SAFETY: The number is less than `nr_cpu_ids`.
            .filter(|&cpu| unsafe { bindings::cpu_possible(cpu) })
            // SAFETY: By the type invariant this is a per-CPU pointer, and the CPU is possible.
            .map(|cpu| unsafe {
                bindings::per_cpu_ptr(self.0.as_ptr().cast(), cpu as c_int).cast()
            })
    }
}

impl<const N: usize> Drop for PerCpuStats<N> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the value owns the memory.
        unsafe { bindings::free_percpu(self.0.as_ptr().cast()) };
    }
}
