// SPDX-License-Identifier: GPL-2.0-or-later

//! A cache of routes: the results of lookups that are of use again.
//!
//! Who stores a route says what it is the answer to (`Key`), and a serial number: the one of that
//! which the answer depends on. With another number it is of no use any more.
//!
//! # How it is shared
//!
//! Each CPU has its own slots, and only it fills and reads these; any CPU may take an entry out. A
//! reader takes no lock: `seq` tells it whether what it read belongs together, and RCU keeps the
//! route that it found until bottom halves are on again. That holds where a reader preempts a
//! writer, too (PREEMPT_RT).

mod registration;

use crate::{
    bindings,
    net::dst::DstEntry,
    softirq::BhDisabled,
    sync::atomic::{
        ordering::{
            Acquire,
            Full,
            Relaxed,
            Release, //
        },
        Atomic, //
    }, //
};
use core::{
    ptr,
    ptr::NonNull, //
};

pub use registration::Registration;

/// Slots that a key may be in.
const WAYS: usize = 4;
/// Groups of [`WAYS`] slots for each CPU: 17 KiB with what is known of each group.
const SETS: usize = 64;

/// What a route is the answer to, in words that are compared: first those that differ most.
#[derive(Clone, Copy)]
pub(in crate::net) struct Key(pub(in crate::net) [u64; 5]);

impl Key {
    /// A number in which keys that differ in any bit are likely to differ.
    #[inline]
    pub(in crate::net) fn hash(&self) -> Hash {
        let [a, b, _, c, d] = self.0;
        let mixed = a ^ b.rotate_left(23) ^ c.rotate_left(47) ^ d.rotate_left(11);

        Hash((mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32)
    }
}

/// What is left of a key to find its slots by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct Hash(u32);

impl Hash {
    #[inline]
    fn set(self) -> usize {
        self.0 as usize >> 26
    }
}

/// One entry; zeros are an empty one.
///
/// # Invariants
///
/// If `dst` is not null the slot owns a reference to it, and gives it up for an RCU grace period
/// after it was taken out.
#[repr(C, align(64))]
struct Slot {
    /// Odd while the other fields are written.
    seq: Atomic<i32>,
    sernum: Atomic<i32>,
    key: [Atomic<i64>; 5],
    dst: Atomic<*mut bindings::dst_entry>,
}

impl Slot {
    #[inline]
    fn has(&self, key: &Key) -> bool {
        self.key
            .iter()
            .zip(&key.0)
            .all(|(have, want)| have.load(Relaxed) == *want as i64)
    }

    /// Returns the route, if the slot has it for `key` with this serial number.
    #[inline]
    fn get<'bh>(&self, key: &Key, sernum: i32, _bh: &'bh BhDisabled) -> Option<&'bh DstEntry> {
        let seq = self.seq.load(Acquire);

        if !self.has(key) || self.sernum.load(Relaxed) != sernum || seq & 1 != 0 {
            return None;
        }
        let dst = NonNull::new(self.dst.load(Acquire))?;

        if self.seq.load(Relaxed) != seq {
            return None;
        }
        // SAFETY: By the type invariant the route lives for an RCU grace period from here on, and
        // bottom halves are off for all of `'bh`.
        Some(unsafe { DstEntry::from_raw(dst.as_ptr()) })
    }

    /// Puts a route in, whose reference is given to the slot. If another writer has been preempted
    /// here, nothing is kept.
    fn put(&self, key: &Key, sernum: i32, dst: *mut bindings::dst_entry) {
        let seq = self.seq.load(Relaxed);

        if seq & 1 != 0 || self.seq.cmpxchg(seq, seq.wrapping_add(1), Full).is_err() {
            // SAFETY: The reference is the caller's.
            unsafe { bindings::dst_release(dst) };
            return;
        }
        self.clear();
        for (to, from) in self.key.iter().zip(&key.0) {
            to.store(*from as i64, Relaxed);
        }
        self.sernum.store(sernum, Relaxed);
        // INVARIANT: The caller's reference is the slot's now.
        self.dst.store(dst, Release);
        // A full barrier: see `Place::store()`.
        self.seq.xchg(seq.wrapping_add(2), Full);
    }

    /// Takes the route out.
    fn clear(&self) {
        if self.dst.load(Relaxed).is_null() {
            return;
        }
        let old = self.dst.xchg(ptr::null_mut(), Full);

        // SAFETY: By the type invariant the slot owned a reference, which the exchange has given to
        // this function; the function takes a null pointer.
        unsafe { bindings::dst_release(old) };
    }
}

/// What is known of a set of slots.
#[repr(C)]
struct Set {
    /// The hash of the last key that was missed when no slot was free.
    missed: Atomic<i32>,
    /// The serial number with which no slot was free.
    full: Atomic<i32>,
    /// The hash of the last key that was refused.
    refused: Atomic<i32>,
    /// The serial number with which it was.
    refused_at: Atomic<i32>,
}

/// The slots of one CPU.
#[repr(C)]
pub(in crate::net) struct Slots {
    slots: [[Slot; WAYS]; SETS],
    sets: [Set; SETS],
    /// Whether this CPU has stored a route: if not, there is nothing to look through.
    used: Atomic<i32>,
    /// Misses that nothing has made up for; above [`Slots::PATIENCE`], keys that were not asked for, too.
    #[cfg(CONFIG_IPV6_SEG6_LOCAL_RUST)]
    misses: Atomic<i32>,
}

impl Slots {
    #[inline]
    fn slots(&self, hash: Hash) -> &[Slot; WAYS] {
        // The remainder has no cost: it says that the index is inside.
        &self.slots[hash.set() % SETS]
    }

    #[inline]
    fn set(&self, hash: Hash) -> &Set {
        &self.sets[hash.set() % SETS]
    }

    /// Returns the route that was stored for `key`, whose hash is `hash`, with this serial number.
    #[inline]
    pub(in crate::net) fn find<'bh>(
        &self,
        key: &Key,
        hash: Hash,
        sernum: i32,
        bh: &'bh BhDisabled,
    ) -> Option<&'bh DstEntry> {
        self.slots(hash)
            .iter()
            .find_map(|slot| slot.get(key, sernum, bh))
    }

    /// Returns which slot `key` is to have.
    fn choose(&self, key: &Key, sernum: i32) -> usize {
        let hash = key.hash();
        let slots = self.slots(hash);
        let mut free = None;

        for (way, slot) in slots.iter().enumerate() {
            if slot.has(key) {
                return way;
            }
            // What is of another namespace has serial numbers of its own.
            let is_old =
                slot.sernum.load(Relaxed) != sernum && slot.key[2].load(Relaxed) == key.0[2] as i64;

            if is_old || slot.dst.load(Relaxed).is_null() {
                free = free.or(Some(way));
            }
        }
        if free.is_none() {
            self.set(hash).full.store(sernum, Relaxed);
        }
        free.unwrap_or(hash.0 as usize % WAYS)
    }

    /// Takes the routes out whose keys have `owner` as their third word, or all.
    fn clear(&self, owner: impl Fn(u64) -> bool) {
        if self.used.load(Relaxed) == 0 {
            return;
        }
        self.slots
            .iter()
            .flatten()
            .filter(|slot| owner(slot.key[2].load(Relaxed) as u64))
            .for_each(Slot::clear);
    }
}

#[cfg(CONFIG_IPV6_SEG6_LOCAL_RUST)]
impl Slots {
    /// Misses after which a CPU asks for few keys only: see [`Slots::are_of_use`].
    const PATIENCE: i32 = (SETS * WAYS) as i32;
    /// How many keys are not asked for then, before one is. One more is odd, so that in a round of flows it
    /// is not always the same ones' turn.
    const PAUSE: i32 = 16;
    /// How many misses a key that is found makes up for, about as what both cost.
    const WORTH: i32 = 9;

    /// Whether to ask for the next key.
    ///
    /// Where hardly anything is found (more flows than slots in turn, or rules that allow nothing to
    /// be stored), a lookup costs little more than without the cache.
    #[inline(always)]
    pub(in crate::net) fn are_of_use(&self) -> bool {
        let misses = self.misses.load(Relaxed);

        if (Self::PATIENCE..Self::PATIENCE + Self::PAUSE).contains(&misses) {
            self.misses.store(misses + 1, Relaxed);
            return false;
        }
        true
    }

    /// Learns whether a key that was asked for was found.
    #[inline]
    pub(in crate::net) fn learn(&self, was_found: bool) {
        let misses = self.misses.load(Relaxed);

        if !was_found {
            self.misses.store((misses + 1).min(Self::PATIENCE), Relaxed);
        } else if misses != 0 {
            self.misses
                .store((misses.min(Self::PATIENCE) - Self::WORTH).max(0), Relaxed);
        }
    }
}

/// The slots of all CPUs, a per-CPU pointer; null while nobody has a [`Registration`].
static SLOTS: Atomic<*mut Slots> = Atomic::new(ptr::null_mut());

/// Returns the slots of this CPU.
#[inline]
pub(in crate::net) fn this_cpu(_bh: &BhDisabled) -> Option<&Slots> {
    let slots = NonNull::new(SLOTS.load(Relaxed))?;

    // SAFETY: `SLOTS` is a per-CPU pointer that is freed an RCU grace period after it became null.
    // With bottom halves off the task stays on this CPU.
    Some(unsafe { &*bindings::this_cpu_ptr(slots.as_ptr().cast()).cast::<Slots>() })
}

/// The right to store the answer to a question that is about to be asked.
#[derive(Clone, Copy)]
pub(in crate::net) struct Place {
    sernum: i32,
}

impl Place {
    /// Returns the place for a key with this hash; `None` if it is not to be stored.
    ///
    /// A key that finds no free slot has to be missed twice in a row before another one makes room
    /// for it: so keys that are too many cost little. The caller reads the serial number before it
    /// calls this, and asks the question after it.
    #[inline]
    pub(in crate::net) fn reserve(hash: Hash, sernum: i32, bh: &BhDisabled) -> Option<Self> {
        let set = this_cpu(bh)?.set(hash);
        let hash = hash.0 as i32;

        if set.refused.load(Relaxed) == hash && set.refused_at.load(Relaxed) == sernum {
            return None;
        }
        if set.full.load(Relaxed) == sernum && set.missed.load(Relaxed) != hash {
            set.missed.store(hash, Relaxed);
            return None;
        }
        Some(Self { sernum })
    }

    /// Says that the answer to a key with this hash is not one to be stored, as long as the serial
    /// number is the same.
    #[cfg(CONFIG_IPV6_SEG6_LOCAL_RUST)]
    #[inline]
    pub(in crate::net) fn refuse(self, hash: Hash, bh: &BhDisabled) {
        if let Some(slots) = this_cpu(bh) {
            let set = slots.set(hash);

            set.refused.store(hash.0 as i32, Relaxed);
            set.refused_at.store(self.sernum, Relaxed);
        }
    }

    /// Stores the answer to `key`.
    ///
    /// `is_current` is asked whether the serial number is still the same, when whoever changes it
    /// would find the entry. A user without such a number has to let nothing be stored that a device
    /// that goes waits for: see [`registration`].
    #[inline]
    pub(in crate::net) fn store(
        self,
        key: &Key,
        dst: &DstEntry,
        is_current: impl FnOnce(i32) -> bool,
        bh: &BhDisabled,
    ) {
        let Some(slots) = this_cpu(bh) else { return };
        let slot = &slots.slots(key.hash())[slots.choose(key, self.sernum) % WAYS];

        // SAFETY: The route is valid.
        if !unsafe { bindings::dst_hold_safe(dst.as_raw()) } {
            return;
        }
        slots.used.store(1, Relaxed);
        slot.put(key, self.sernum, dst.as_raw());
        // Who takes entries out because of a change has made it before, or finds this one.
        if !is_current(self.sernum) {
            slot.clear();
        }
    }
}
