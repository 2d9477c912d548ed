// SPDX-License-Identifier: GPL-2.0-or-later

//! Routes that a lookup would find again.
//!
//! Only the result of a lookup is stored that depends on nothing but its key, the routing tables and
//! the rules ([`Place::store`] and `rt6_is_plain()` say which these are). All that changes the tables
//! or the rules changes the serial number of the namespace, `fib6_sernum`; what may change in a route
//! itself, `rt6_is_unchanged()` looks at.

use super::Net;
use crate::{
    bindings,
    net::{
        device::NetDevice,
        dst::{
            cache,
            cache::{
                Hash,
                Key,
                Slots, //
            },
            DstEntry, //
        }, //
    },
    softirq::BhDisabled, //
};

/// The key of a lookup for `daddr`, of a packet that `dev` received.
///
/// `place` is the table and the device to send to, as [`super::route`] packs them; `is_next_hop` says
/// that the address is that of the neighbor itself.
#[inline]
pub(super) fn key(
    dev: &NetDevice,
    net: Net<'_>,
    daddr: [u8; 16],
    is_next_hop: bool,
    place: u64,
) -> Key {
    let [a, b, c, d, e, f, g, h, low @ ..] = daddr;
    // SAFETY: The device is valid; who has one of a packet is in an RCU read-side section.
    let master = unsafe { bindings::dev_l3_master(dev.as_raw()) };

    Key([
        u64::from_ne_bytes(low),
        u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        net.as_raw() as u64,
        // The index of a device is a positive `int`.
        u64::from(is_next_hop) << 63
            | u64::from(dev.ifindex() as u32) << 32
            | u64::from(master as u32),
        place,
    ])
}

/// Whether a lookup with this key asks for nothing else of the packet: not for its source, nor, by a
/// rule, for more than the device that received it.
fn is_complete(&Key([.., place]): &Key, net: Net<'_>) -> bool {
    let (table, oif) = (place as u32, place >> 32);
    let net = net.as_raw();

    // SAFETY: The namespace is valid.
    if unsafe { bindings::fib6_routes_require_src(net) } {
        return false;
    }
    // SAFETY: As above.
    let has_rules = unsafe { bindings::fib6_has_custom_rules(net) };

    // With a device to send to, the VRF of that would have to be a part of the key.
    // SAFETY: As above; who looks up is in an RCU read-side section.
    table != 0 || !has_rules || oif == 0 && unsafe { bindings::fib6_rules_ignore_flow(net) }
}

/// Whether lookups in the namespace look at neighbors, too, as those of a host do.
#[inline]
fn is_host(net: Net<'_>) -> bool {
    // SAFETY: The namespace is valid.
    !unsafe { bindings::ipv6_is_router(net.as_raw()) }
}

#[inline]
fn sernum(net: Net<'_>) -> i32 {
    // SAFETY: The namespace is valid.
    unsafe { bindings::rt_genid_ipv6(net.as_raw()) }
}

/// Whether nothing has happened to a route of IPv6 that its table does not tell of.
///
/// # Safety
///
/// The route must be one of IPv6.
#[inline]
unsafe fn is_unchanged(dst: &DstEntry) -> bool {
    // SAFETY: The route is valid and one of IPv6; who has it is in an RCU read-side section.
    unsafe { bindings::rt6_is_unchanged(dst.as_raw().cast()) }
}

/// Returns what this CPU knows, if it is worth asking.
#[inline(always)]
pub(super) fn routes(bh: &BhDisabled) -> Option<&Slots> {
    cache::this_cpu(bh).filter(|slots| slots.are_of_use())
}

/// Returns the route that a lookup for `key` would give now, if it is known, or else the hash of the
/// key, if the result of the lookup may be stored.
#[inline(always)]
pub(super) fn find<'bh>(
    slots: &Slots,
    key: &Key,
    net: Net<'_>,
    bh: &'bh BhDisabled,
) -> Result<&'bh DstEntry, Option<Hash>> {
    if is_host(net) {
        return Err(None);
    }
    let hash = key.hash();
    let found = slots.find(key, hash, sernum(net), bh);

    slots.learn(found.is_some());
    found
        // SAFETY: Numbers of this kind are greater than zero; only `Place::store()` stores such.
        .filter(|dst| unsafe { is_unchanged(dst) })
        .ok_or(Some(hash))
}

/// A place for the result of a lookup that is about to be made.
pub(super) struct Place(cache::Place);

impl Place {
    /// Returns the place for a key with this hash; `None` if it is not to be stored.
    #[inline]
    pub(super) fn reserve(hash: Hash, net: Net<'_>, bh: &BhDisabled) -> Option<Self> {
        cache::Place::reserve(hash, sernum(net), bh).map(Self)
    }

    /// Stores the result of the lookup for `key` in `net`, if all packets with the key get it.
    ///
    /// # Safety
    ///
    /// The route must be one of IPv6.
    #[inline(never)]
    pub(super) unsafe fn store(self, key: &Key, dst: &DstEntry, net: Net<'_>, bh: &BhDisabled) {
        // SAFETY: By the safety requirement the route is one of IPv6.
        let is_plain = unsafe { bindings::rt6_is_plain(dst.as_raw().cast()) && is_unchanged(dst) };

        if is_plain && is_complete(key, net) && !is_host(net) {
            self.0.store(key, dst, |number| sernum(net) == number, bh);
        } else {
            self.0.refuse(key.hash(), bh);
        }
    }
}
