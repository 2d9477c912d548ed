// SPDX-License-Identifier: GPL-2.0-or-later

//! Who lets lookups use the cache, and takes out what shall not stay.

use super::{
    Slots,
    SLOTS, //
};
use crate::{
    alloc::AllocError,
    bindings,
    cpu::nr_cpu_ids,
    prelude::*,
    sync::atomic::ordering::{
        Acquire,
        Full,
        Release, //
    },
    types::Opaque, //
};
use core::{
    ptr,
    ptr::NonNull, //
};

/// Takes routes out of the cache: those whose keys have an `owner`, or all.
fn flush(slots: NonNull<Slots>, owner: impl Fn(u64) -> bool) {
    for cpu in 0..nr_cpu_ids() {
        // SAFETY: The number is less than `nr_cpu_ids`.
        if unsafe { bindings::cpu_possible(cpu) } {
            // SAFETY: This is a per-CPU pointer, and the CPU is possible.
            let slots = unsafe { bindings::per_cpu_ptr(slots.as_ptr().cast(), cpu as c_int) };

            // SAFETY: The slots are valid, and any CPU may take a route out.
            unsafe { &*slots.cast::<Slots>() }.clear(&owner);
        }
    }
}

/// Gives up what holds a device that is about to go: a route that is in no table holds the entry of
/// the table that it is from, and that its device.
///
/// That is repeated as long as something holds the device, so what is stored meanwhile goes, too.
///
/// # Safety
///
/// Only for [`Registration`].
unsafe extern "C" fn device_event(
    _nb: *mut bindings::notifier_block,
    event: c_ulong,
    info: *mut c_void,
) -> c_int {
    const DOWN: c_ulong = bindings::netdev_cmd_NETDEV_DOWN as c_ulong;
    const UNREGISTER: c_ulong = bindings::netdev_cmd_NETDEV_UNREGISTER as c_ulong;

    if let (DOWN | UNREGISTER, Some(slots)) = (event, NonNull::new(SLOTS.load(Acquire))) {
        // SAFETY: That is what the chain of network devices passes.
        let dev = unsafe { bindings::netdev_notifier_info_to_dev(info.cast()) };
        // SAFETY: The device is valid.
        let net = unsafe { bindings::dev_net(dev) };

        flush(slots, |owner| owner == net as u64 || owner == dev as u64);
    }
    bindings::NOTIFY_DONE as c_int
}

/// The cache; lookups use it while there is a value of this type, of which there may be one.
///
/// # Invariants
///
/// `slots` is the per-CPU pointer in `SLOTS`; the notifier is registered.
///
/// # Examples
///
/// ```
/// use kernel::net::dst::cache::Registration;
///
/// // Here or elsewhere.
/// let _first = Registration::new();
/// assert_eq!(Registration::new().err(), Some(EBUSY));
/// ```
pub struct Registration {
    slots: NonNull<Slots>,
    notifier: KBox<Opaque<bindings::notifier_block>>,
}

// SAFETY: The pointer is a per-CPU pointer, and the registration may be given up by any thread.
unsafe impl Send for Registration {}
// SAFETY: There is nothing to do with a shared registration.
unsafe impl Sync for Registration {}

impl Registration {
    /// Lets lookups use the cache; fails with `EBUSY` if they do already. May sleep.
    pub fn new() -> Result<Self> {
        let gfp = (GFP_KERNEL | __GFP_ZERO).as_raw();
        let notifier = KBox::new(Opaque::<bindings::notifier_block>::zeroed(), GFP_KERNEL)?;

        // SAFETY: Nobody else knows of the notifier yet.
        unsafe {
            (*notifier.get()).notifier_call = Some(device_event);
            // After those that remove routes.
            (*notifier.get()).priority = c_int::MIN;
        }
        // SAFETY: The function takes any size and an alignment that is a power of two.
        let slots =
            unsafe { bindings::__alloc_percpu_gfp(size_of::<Slots>(), align_of::<Slots>(), gfp) };
        let slots = NonNull::new(slots.cast::<Slots>()).ok_or(AllocError)?;
        // SAFETY: The notifier stays where it is until `drop()` has unregistered it.
        let status = unsafe { bindings::register_netdevice_notifier(notifier.get()) };

        if status != 0 {
            // SAFETY: The memory was just allocated and nobody else knows of it.
            unsafe { bindings::free_percpu(slots.as_ptr().cast()) };
            return Err(Error::from_errno(status));
        }
        // INVARIANT: The notifier was just registered; without the pointer the value is dropped.
        let registration = Self { slots, notifier };
        SLOTS
            .cmpxchg(ptr::null_mut(), slots.as_ptr(), Release)
            .map_or(Err(EBUSY), |_| Ok(registration))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let slots = self.slots.as_ptr();

        // Not if they are those of another value, as in `new()`.
        let _ = SLOTS.cmpxchg(slots, ptr::null_mut(), Full);
        // SAFETY: The function may be called in any context that may sleep. After it no lookup uses
        // the slots any more.
        unsafe { bindings::synchronize_rcu() };
        // SAFETY: By the type invariant the notifier is registered.
        unsafe { bindings::unregister_netdevice_notifier(self.notifier.get()) };
        flush(self.slots, |_| true);
        // SAFETY: The memory is that of `new()`, and nobody uses it any more.
        unsafe { bindings::free_percpu(slots.cast()) };
    }
}
