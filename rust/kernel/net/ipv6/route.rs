// SPDX-License-Identifier: GPL-2.0-or-later

//! Where an IPv6 packet goes next.

#[cfg(CONFIG_IPV6_SEG6_LOCAL_RUST)]
use super::known;
use super::{
    first_header,
    Net,
    HEADER_LEN,
    NEXT_HEADER, //
};
#[cfg(CONFIG_PROVE_RCU)]
use crate::sync::rcu;
use crate::{
    bindings,
    net::{
        device::NetDevice,
        dst::{
            cache::Hash,
            DstEntry,
            Route, //
        },
        skbuff::{
            OwnedSkBuff,
            SkBuff, //
        }, //
    },
    prelude::*,
    softirq::BhDisabled, //
};
use core::{
    net::Ipv6Addr,
    ptr,
    ptr::NonNull, //
};

/// The bytes of an address.
type Bytes = [u8; 16];

/// How the route of a packet is looked up.
///
/// The default looks the destination address up as for any packet that is received.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lookup<'a> {
    /// The next hop itself, so that no other gateway is taken, instead of the destination address.
    pub next_hop: Option<&'a Ipv6Addr>,
    /// Number of the only table to look at; 0 stands for what the rules say.
    pub table: u32,
    /// Index of the device to send to, or 0; without a table, the packet then is routed like one
    /// that this host sends.
    pub oif: u32,
    /// Whether the packet may be for this host.
    pub local: LocalDelivery,
}

/// What becomes of a packet to this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalDelivery {
    /// It is dropped.
    #[default]
    Deny,
    /// It is delivered.
    Allow,
}

impl Lookup<'_> {
    /// Gives the packet a route, and returns the error of that route.
    ///
    /// A packet to this host that it may not be for, or to a table that does not exist, gets the
    /// blackhole route (`EINVAL`). Fails with `EINVAL` if the packet has no device or does not start
    /// with an IPv6 header, or IPv6 is off; its route is as before then. Replaces
    /// `seg6_lookup_any_nexthop()`.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::{
    ///     net::{ipv6::Lookup, skbuff::OwnedSkBuff},
    ///     softirq::BhDisabled,
    /// };
    ///
    /// // A packet that nobody has received.
    /// let mut skb = OwnedSkBuff::with_data(&[0x60; 40], 0, GFP_KERNEL)?;
    ///
    /// // SAFETY: A test is a task, with interrupts on.
    /// let bh = unsafe { BhDisabled::new() };
    ///
    /// assert_eq!(Lookup::default().attach(skb.as_mut(), &bh), Err(EINVAL));
    /// assert!(skb.dst().is_none());
    /// # Ok::<(), Error>(())
    /// ```
    #[inline(always)]
    pub fn attach(self, skb: Pin<&mut SkBuff>, bh: &BhDisabled) -> Result {
        let (net, route) = self.find(&skb, bh).ok_or(EINVAL)?;
        let dst = route
            .into_owned()
            .or_else(|| Route::borrow(net.blackhole()).into_owned())
            .ok_or(EINVAL)?;
        let result = dst.error();

        skb.set_dst(dst);
        result
    }

    /// Sends the packet where its route says, and returns what [`OwnedSkBuff::dst_input`] does.
    ///
    /// The route is that of [`Lookup::attach`]; a packet that has none is dropped. One whose route
    /// has an error is discarded by that route, and counts as passed on.
    #[inline(always)]
    pub fn forward(self, skb: OwnedSkBuff, bh: &BhDisabled) -> c_int {
        match self.find(&skb, bh) {
            // SAFETY: `find()` has seen the device and the IPv6 header.
            Some((_, route)) => unsafe { input_by(skb, route) },
            None => skb.refuse(),
        }
    }

    /// Finds the route of a packet, and the namespace that it is in; `None` if the packet has no device
    /// or no IPv6 header, or IPv6 is off.
    #[inline(always)]
    fn find<'bh>(self, skb: &SkBuff, bh: &'bh BhDisabled) -> Option<(Net<'bh>, Route<'bh>)> {
        let dev = skb.dev(bh)?;
        let header = first_header(skb)?;
        let net = Net::of(dev.namespace(bh))?;
        let route = match self.find_known(dev, net, header, bh) {
            Ok(dst) => Route::borrow(dst),
            Err(hash) => look_up(skb, header, self.next_hop, self.place(), hash, bh)?,
        };

        if self.local == LocalDelivery::Deny && route.is_for_this_host(bh) {
            return Some((net, blackhole_instead(route, net)));
        }
        Some((net, route))
    }

    /// Returns the route that a lookup would give now, if that is known; else the hash of the lookup, if
    /// its result may be stored.
    #[inline(always)]
    fn find_known<'bh>(
        self,
        dev: &NetDevice,
        net: Net<'_>,
        header: &[u8; 40],
        bh: &'bh BhDisabled,
    ) -> Result<&'bh DstEntry, Option<Hash>> {
        #[cfg(CONFIG_IPV6_SEG6_LOCAL_RUST)]
        if let Some(slots) = known::routes(bh) {
            // Without a source, the device to send to decides about the strictness of the lookup.
            if self.oif == 0 || self.table != 0 || source(header) != [0; 16] {
                let daddr = destination(header, self.next_hop);
                let key = known::key(dev, net, daddr, self.next_hop.is_some(), self.place());

                return known::find(slots, &key, net, bh);
            }
        }
        let _ = (dev, net, header, bh);
        Err(None)
    }

    /// Device and table.
    #[inline(always)]
    fn place(self) -> u64 {
        u64::from(self.oif) << 32 | u64::from(self.table)
    }
}

impl OwnedSkBuff {
    /// Hands the packet to its route, one of IPv6, for input, and returns what that returned: 0, a
    /// negative error number or a `NET_XMIT_` code. A packet that nobody has received, without such a
    /// route, or that does not start with an IPv6 header, is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::{
    ///     net::skbuff::OwnedSkBuff,
    ///     softirq::BhDisabled, //
    /// };
    ///
    /// // SAFETY: A test is a task, with interrupts on.
    /// let bh = unsafe { BhDisabled::new() };
    /// let skb = OwnedSkBuff::with_data(&[0x60; 40], 0, GFP_KERNEL)?;
    ///
    /// assert_eq!(skb.dst_input(&bh), EINVAL.to_errno());
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    pub fn dst_input(self, bh: &BhDisabled) -> c_int {
        if self.dev(bh).is_none()
            || self.dst().is_none_or(DstEntry::is_ipv4)
            || first_header(&self).is_none()
        {
            return self.refuse();
        }
        // SAFETY: The packet has a device, an IPv6 header, and a route.
        unsafe { input(self) }
    }
}

/// Hands the packet to `route` for input, as [`OwnedSkBuff::dst_input`] does.
///
/// # Safety
///
/// The packet must have a device and start with a linear IPv6 header; the route must be one of IPv6.
#[inline(always)]
unsafe fn input_by(mut skb: OwnedSkBuff, route: Route<'_>) -> c_int {
    skb.as_mut().clear_dst();
    // SAFETY: The packet is valid, owned and has no route. One without a reference is kept by RCU until
    // this call, which the packet does not outlive without taking one, returns.
    unsafe { bindings::skb_set_refdst(skb.as_raw(), route.into_raw()) };
    // SAFETY: By the safety requirement; the packet has just got the route.
    unsafe { input(skb) }
}

/// # Safety
///
/// As [`input_by`]; the packet must have the route.
#[inline(always)]
unsafe fn input(skb: OwnedSkBuff) -> c_int {
    // SAFETY: The packet is valid and owned, so is its control block; any bytes are valid for that.
    let flags = unsafe { (*skb.control::<bindings::inet6_skb_parm>()).flags };

    if flags & bindings::IP6SKB_HOPBYHOP as u16 != 0 {
        // SAFETY: By the safety requirement.
        return unsafe { input_with_options(skb) };
    }
    // SAFETY: The packet is valid and given up, and by the safety requirement it has what the function
    // takes from it.
    unsafe { bindings::dst_input(skb.into_raw()) }
}

/// Lets the stack forget hop-by-hop options that it has seen when the packet arrived, unless they are
/// still there: it copies them to sockets that ask for them, without a look at the length of the packet.
///
/// # Safety
///
/// As [`input`].
#[cold]
#[inline(never)]
unsafe fn input_with_options(skb: OwnedSkBuff) -> c_int {
    let data = skb.data();
    let end = data
        .get(usize::from(HEADER_LEN) + 1)
        .map(|&len| usize::from(HEADER_LEN) + 8 * (usize::from(len) + 1));

    if data.get(NEXT_HEADER) != Some(&0) || end.is_none_or(|end| end > data.len()) {
        // SAFETY: As in `input()`.
        unsafe {
            (*skb.control::<bindings::inet6_skb_parm>()).flags &=
                !(bindings::IP6SKB_HOPBYHOP as u16)
        };
    }
    // SAFETY: As in `input()`.
    unsafe { bindings::dst_input(skb.into_raw()) }
}

#[inline(always)]
fn source(header: &[u8; 40]) -> Bytes {
    let [_, _, _, _, _, _, _, _, addrs @ ..] = header;

    *addrs.first_chunk().unwrap_or(&[0; 16])
}

/// The address that the packet is routed to.
#[inline(always)]
fn destination(header: &[u8; 40], next_hop: Option<&Ipv6Addr>) -> Bytes {
    match next_hop {
        Some(addr) => addr.octets(),
        None => *header.last_chunk().unwrap_or(&[0; 16]),
    }
}

/// Looks a route up, and keeps the result if that may be of use again.
///
/// `place` is that of [`Lookup::place`], `hash` that of [`Lookup::find_known`]. Not inline, so that
/// what a lookup needs of the stack is free again when the packet moves on.
#[inline(never)]
fn look_up<'bh>(
    skb: &SkBuff,
    header: &[u8; 40],
    next_hop: Option<&Ipv6Addr>,
    place: u64,
    hash: Option<Hash>,
    bh: &'bh BhDisabled,
) -> Option<Route<'bh>> {
    // Bottom halves that are off are enough, but not for the check of the functions below.
    #[cfg(CONFIG_PROVE_RCU)]
    let _rcu = rcu::read_lock();
    let dev = skb.dev(bh)?;
    let net = Net::of(dev.namespace(bh))?;
    let (table, oif) = (place as u32, (place >> 32) as u32);
    #[cfg(CONFIG_IPV6_SEG6_LOCAL_RUST)]
    let reserved = hash
        .filter(|_| !is_scoped(&destination(header, next_hop)))
        .and_then(|hash| known::Place::reserve(hash, net, bh));
    let mut fl6: bindings::flowi6 = pin_init::zeroed();
    fill(&mut fl6, skb, header, next_hop);
    fl6.__fl_common.flowic_iif = dev.ifindex();
    fl6.__fl_common.flowic_oif = oif as i32;
    let (found, is_owned) = match (table, oif) {
        (0, 0) => (route_input(net, dev, &mut fl6, skb), false),
        (0, _) => (route_output(net, &mut fl6), true),
        (table, _) => (route_table(net, table, &mut fl6, skb), false),
    };
    let Some(dst) = found else {
        return Some(Route::borrow(net.blackhole()));
    };
    // SAFETY: The route is the result of such a lookup. What has no reference of its own has that of
    // its table, which goes no sooner than RCU allows.
    let route = unsafe { Route::from_lookup(dst, is_owned) };

    #[cfg(CONFIG_IPV6_SEG6_LOCAL_RUST)]
    if let Some(reserved) = reserved {
        let key = known::key(
            dev,
            net,
            destination(header, next_hop),
            next_hop.is_some(),
            place,
        );

        // SAFETY: The route is the result of a lookup in tables of IPv6.
        unsafe { reserved.store(&key, &route, net, bh) };
    }
    let _ = hash;
    Some(route)
}

/// Says what a packet is.
#[inline(always)]
fn fill(fl6: &mut bindings::flowi6, skb: &SkBuff, header: &[u8; 40], next_hop: Option<&Ipv6Addr>) {
    let &[version_class, class_label, label_0, label_1, _, _, proto, ..] = header;

    fl6.__fl_common.flowic_mark = skb.mark();
    fl6.__fl_common.flowic_proto = proto;
    if next_hop.is_some() {
        fl6.__fl_common.flowic_flags = bindings::FLOWI_FLAG_KNOWN_NH as u8;
    }
    fl6.daddr.in6_u.u6_addr8 = destination(header, next_hop);
    fl6.saddr.in6_u.u6_addr8 = source(header);
    fl6.flowlabel = u32::from_ne_bytes([version_class & 0x0f, class_label, label_0, label_1]);
}

const FLAGS: c_int = (bindings::RT6_LOOKUP_F_HAS_SADDR | bindings::RT6_LOOKUP_F_DST_NOREF) as c_int;

/// Looks a route up by the rules for packets that `dev` received.
#[inline(always)]
fn route_input(
    net: Net<'_>,
    dev: &NetDevice,
    fl6: &mut bindings::flowi6,
    skb: &SkBuff,
) -> Option<NonNull<bindings::dst_entry>> {
    // SAFETY: Device, namespace and packet are valid, IPv6 is on in the namespace, and the caller is in
    // an RCU read-side section.
    NonNull::new(unsafe {
        bindings::ip6_route_input_lookup(net.as_raw(), dev.as_raw(), fl6, skb.as_raw(), FLAGS)
    })
}

/// Looks a route up in one table; `None` if there is no such table.
#[inline(always)]
fn route_table(
    net: Net<'_>,
    table: u32,
    fl6: &mut bindings::flowi6,
    skb: &SkBuff,
) -> Option<NonNull<bindings::dst_entry>> {
    let oif = fl6.__fl_common.flowic_oif;
    // SAFETY: The namespace is valid, and IPv6 is on in it.
    let table = NonNull::new(unsafe { bindings::fib6_get_table(net.as_raw(), table) })?;
    // SAFETY: The namespace and the packet are valid, a table lives as long as its namespace, and
    // the caller is in an RCU read-side section.
    let rt = unsafe {
        bindings::ip6_pol_route(net.as_raw(), table.as_ptr(), oif, fl6, skb.as_raw(), FLAGS)
    };

    // SAFETY: The function never returns null, and `dst` is a part of `rt6_info`.
    NonNull::new(unsafe { &raw mut (*rt).dst })
}

/// Looks a route up by the rules for packets that this host sends.
#[inline(always)]
fn route_output(net: Net<'_>, fl6: &mut bindings::flowi6) -> Option<NonNull<bindings::dst_entry>> {
    // SAFETY: The namespace is valid, IPv6 is on in it, and the function takes no socket.
    NonNull::new(unsafe { bindings::ip6_route_output(net.as_raw(), ptr::null(), fl6) })
}

/// Whether an address means something else on each link.
#[cfg(CONFIG_IPV6_SEG6_LOCAL_RUST)]
#[inline]
fn is_scoped(addr: &Bytes) -> bool {
    addr[0] == 0xff || addr[0] == 0xfe && addr[1] & 0xc0 == 0x80
}

/// Gives `route` up for the blackhole route.
#[cold]
#[inline(never)]
fn blackhole_instead<'bh>(route: Route<'bh>, net: Net<'bh>) -> Route<'bh> {
    drop(route);
    Route::borrow(net.blackhole())
}
