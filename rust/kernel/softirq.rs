// SPDX-License-Identifier: GPL-2.0-or-later

//! Bottom half control.
//!
//! C header: [`include/linux/bottom_half.h`](srctree/include/linux/bottom_half.h)

use crate::types::NotThreadSafe;

/// Evidence that bottom halves are off on the current CPU.
///
/// A section with bottom halves off is also an RCU read-side critical section (see
/// `Documentation/RCU/whatisRCU.rst`), so a borrow of this token may serve as the lifetime of what
/// RCU protects.
///
/// This is a marker type without size.
///
/// # Invariants
///
/// Bottom halves are off on the current CPU while a value of this type exists.
///
/// # Examples
///
/// ```
/// use kernel::softirq::BhDisabled;
///
/// fn needs_bottom_halves_off(_bh: &BhDisabled) -> u32 {
///     7
/// }
///
/// // SAFETY: A test is a task, with interrupts on.
/// let bh = unsafe { BhDisabled::new() };
/// assert_eq!(needs_bottom_halves_off(&bh), 7);
/// drop(bh); // Bottom halves may run again.
/// ```
pub struct BhDisabled(NotThreadSafe);

impl BhDisabled {
    /// Turns bottom halves off until the value is dropped.
    ///
    /// # Safety
    ///
    /// The value must be made and dropped in a task or a softirq, with interrupts on: the end of the
    /// last one lets softirqs run, which turn interrupts on.
    #[inline]
    pub unsafe fn new() -> Self {
        // SAFETY: By the safety requirement; the function nests.
        unsafe { bindings::local_bh_disable() };

        // INVARIANT: Bottom halves were just turned off.
        Self(NotThreadSafe)
    }

    /// Takes for granted that bottom halves are off, which lockdep checks.
    ///
    /// # Safety
    ///
    /// Bottom halves must be off for the whole of `'a`, as in a softirq handler.
    #[inline]
    pub unsafe fn assume<'a>() -> &'a Self {
        // INVARIANT: By the safety requirement of this function.
        const ASSUMED: &BhDisabled = &BhDisabled(NotThreadSafe);

        // SAFETY: The assertion reads per-CPU state only.
        unsafe { bindings::lockdep_assert_in_softirq() };

        ASSUMED
    }
}

impl Drop for BhDisabled {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant bottom halves are off. The token of `assume()` is never
        // dropped, so this pairs with the call in `new()`, whose safety requirement speaks of it.
        unsafe { bindings::local_bh_enable() };
    }
}
