// SPDX-License-Identifier: GPL-2.0-or-later

//! Lightweight tunnels: processing of packets by the route that they took.
//!
//! A tunnel implements [`Encap`]; a value of that type is the state of one route. The state lives
//! in the memory that C allocates for it (`lwtunnel_state.data`), so a packet finds it without
//! another pointer.
//!
//! C header: [`include/net/lwtunnel.h`](srctree/include/net/lwtunnel.h)

use crate::{
    bindings,
    error::from_result,
    fmt,
    net::{
        device::Namespace,
        nlattr::{
            Attr,
            ExtAck,
            Writer, //
        },
        skbuff::{
            OwnedSkBuff,
            SkBuff, //
        }, //
    },
    prelude::*,
    softirq::BhDisabled,
    sync::atomic::{
        ordering::{
            Acquire,
            Release, //
        },
        Atomic, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr,
    ptr::NonNull, //
};

/// What became of a packet: 0, a negative error number or a `NET_XMIT_` code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputStatus(c_int);

impl InputStatus {
    /// Creates a status from what C returned.
    #[inline]
    pub fn new(status: c_int) -> Self {
        Self(status)
    }

    /// Whether the packet was passed on.
    #[inline]
    pub fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// Returns the status for `lwtunnel_input()`, which would free the packet once more for
    /// `-EOPNOTSUPP`: that becomes `-EINVAL`.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::net::lwtunnel::InputStatus;
    ///
    /// assert_eq!(InputStatus::new(0).to_raw(), 0);
    /// assert_eq!(InputStatus::from(EOPNOTSUPP).to_raw(), EINVAL.to_errno());
    /// ```
    #[inline]
    pub fn to_raw(self) -> c_int {
        if self.0 == EOPNOTSUPP.to_errno() {
            EINVAL.to_errno()
        } else {
            self.0
        }
    }
}

impl From<Error> for InputStatus {
    #[inline]
    fn from(error: Error) -> Self {
        Self(error.to_errno())
    }
}

/// A request to add a route with a tunnel.
pub struct Request<'a> {
    /// The attributes of the tunnel.
    pub attrs: &'a Attr,
    /// The namespace of the route.
    pub net: &'a Namespace,
    /// Whether the route is one of IPv6.
    pub is_ipv6: bool,
    /// Takes the reason of a failure.
    pub extack: Option<&'a ExtAck>,
}

impl Request<'_> {
    /// Tells why the request is refused, whatever its attributes are; returns `error`.
    pub fn refuse(&self, msg: fmt::Arguments<'_>, error: Error) -> Error {
        ExtAck::refuse(self.extack, self.attrs, msg, error)
    }
}

/// The state of a route that processes the packets that it receives.
pub trait Encap: Sized + Send + Sync + 'static {
    /// Type of the tunnel, `LWTUNNEL_ENCAP_`.
    const TYPE: u16;
    /// EtherType of the packets that it takes; all others are dropped with `EINVAL`.
    const PROTOCOL: u16;
    /// Netfilter protocol family, that of [`Self::PROTOCOL`], and hook that packets pass first, if the
    /// administrator has set `net.netfilter.nf_hooks_lwtunnel`: one of those of received packets.
    const HOOK: (u8, u32);

    /// Creates the state of a new route. May sleep.
    fn build(request: &Request<'_>) -> Result<Self>;

    /// Returns the octets that the tunnel adds to a packet.
    fn headroom(&self) -> u16;

    /// Processes a packet.
    fn input(&self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus;

    /// Goes on with a packet that netfilter has let through [`prerouting`].
    fn resume(&self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus;

    /// Writes the attributes of the tunnel. Must not sleep.
    fn fill(&self, msg: &mut Writer<'_>) -> Result;

    /// Returns how many octets [`Encap::fill`] writes at most. Must not sleep.
    fn size(&self) -> usize;

    /// Whether two routes are duplicates as far as the tunnel goes. Must not sleep.
    fn is_same(&self, other: &Self) -> bool;
}

/// The functions that process the packets of a tunnel, and return what is for `lwtunnel_input()`.
///
/// They must be called with a tunnel of the type that they are registered for, while it lives.
type Process = unsafe fn(NonNull<bindings::lwtunnel_state>, OwnedSkBuff, &BhDisabled) -> c_int;

/// What a tunnel type consists of.
struct Operations {
    raw: bindings::lwtunnel_encap_ops,
    input: Process,
    resume: Process,
}

/// The tunnel types that are registered here, by their numbers; null for all others.
static TYPES: [Atomic<*const Operations>; TYPES_LEN] =
    [const { Atomic::new(ptr::null()) }; TYPES_LEN];
const TYPES_LEN: usize = bindings::lwtunnel_encap_types___LWTUNNEL_ENCAP_MAX as usize;

/// The registration of a tunnel type.
///
/// # Invariants
///
/// The operations are registered, also in `TYPES`.
///
/// # Examples
///
/// ```
/// use kernel::{
///     net::{lwtunnel::*, nlattr::Writer, skbuff::OwnedSkBuff},
///     softirq::BhDisabled,
/// };
///
/// /// Drops everything.
/// struct Discard;
///
/// impl Encap for Discard {
///     const TYPE: u16 = kernel::bindings::lwtunnel_encap_types_LWTUNNEL_ENCAP_MPLS as u16;
///     const PROTOCOL: u16 = 0x86dd;
///     const HOOK: (u8, u32) = (10, 1);
///
///     fn build(_request: &Request<'_>) -> Result<Self> {
///         Ok(Self)
///     }
///     fn headroom(&self) -> u16 {
///         0
///     }
///     fn input(&self, skb: OwnedSkBuff, _bh: &BhDisabled) -> InputStatus {
///         drop(skb);
///         EINVAL.into()
///     }
///     fn resume(&self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
///         self.input(skb, bh)
///     }
///     fn fill(&self, _msg: &mut Writer<'_>) -> Result {
///         Ok(())
///     }
///     fn size(&self) -> usize {
///         0
///     }
///     fn is_same(&self, _other: &Self) -> bool {
///         true
///     }
/// }
///
/// // SAFETY: The example is built in, so there is no module.
/// static MODULE: ThisModule = unsafe { ThisModule::from_ptr(core::ptr::null_mut()) };
///
/// // SAFETY: Nobody adds a route with a tunnel of this type.
/// let register = || unsafe { Registration::<Discard>::new(&MODULE) };
/// // MPLS, perhaps, is here, too.
/// if let Ok(registration) = register() {
///     // A type has one owner at a time.
///     assert_eq!(register().err(), Some(EEXIST));
///     drop(registration);
///     drop(register()?);
/// }
/// # Ok::<(), Error>(())
/// ```
pub struct Registration<T: Encap> {
    ops: KBox<Operations>,
    _encap: PhantomData<T>,
}

// SAFETY: The operations are functions, and the registration may be given up by any thread.
unsafe impl<T: Encap> Send for Registration<T> {}
// SAFETY: There is nothing to do with a shared registration.
unsafe impl<T: Encap> Sync for Registration<T> {}

impl<T: Encap> Registration<T> {
    /// Registers the tunnel type of `T`, which `module` implements; fails with `EEXIST` if another
    /// owner has the type.
    ///
    /// # Safety
    ///
    /// The value must be dropped when `module`, which routes with a tunnel of the type refer to, is
    /// unloaded, and must not be while there are such routes.
    pub unsafe fn new(module: &'static ThisModule) -> Result<Self> {
        // C registers type 0, too, but does not let go of it.
        const {
            assert!(T::TYPE > 0 && (T::TYPE as usize) < TYPES_LEN);
            assert!(is_input_hook(T::PROTOCOL, T::HOOK));
        };
        let place = TYPES.get(usize::from(T::TYPE)).ok_or(ERANGE)?;
        let ops = KBox::new(
            Operations {
                raw: bindings::lwtunnel_encap_ops {
                    build_state: Some(build_state::<T>),
                    destroy_state: Some(destroy_state::<T>),
                    output: None,
                    input: Some(input::<T>),
                    fill_encap: Some(fill_encap::<T>),
                    get_encap_size: Some(get_encap_size::<T>),
                    cmp_encap: Some(cmp_encap::<T>),
                    xmit: None,
                    owner: module.as_ptr(),
                },
                input: process_input::<T>,
                resume: process_resume::<T>,
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The operations stay where they are until `drop()` has unregistered them, and by
        // the safety requirement there are no tunnels then.
        let status = unsafe { bindings::lwtunnel_encap_add_ops(&ops.raw, T::TYPE.into()) };

        match status {
            // INVARIANT: They are registered in both places.
            0 => {
                place.store(&*ops, Release);
                Ok(Self {
                    ops,
                    _encap: PhantomData,
                })
            }
            -1 => Err(EEXIST),
            errno => Err(Error::from_errno(errno)),
        }
    }
}

impl<T: Encap> Drop for Registration<T> {
    fn drop(&mut self) {
        if let Some(place) = TYPES.get(usize::from(T::TYPE)) {
            place.store(ptr::null(), Release);
        }
        // SAFETY: By the type invariant the operations are registered. The function waits until no
        // packet uses them.
        unsafe { bindings::lwtunnel_encap_del_ops(&self.ops.raw, T::TYPE.into()) };
    }
}

/// Whether netfilter expects at the hook what a tunnel has: a header of the family, and no device that
/// the packet leaves by.
const fn is_input_hook(protocol: u16, (family, hook): (u8, u32)) -> bool {
    let is_family = match protocol as c_uint {
        bindings::ETH_P_IP => family as c_uint == bindings::NFPROTO_IPV4,
        bindings::ETH_P_IPV6 => family as c_uint == bindings::NFPROTO_IPV6,
        _ => false,
    };

    is_family
        && (hook == bindings::nf_inet_hooks_NF_INET_PRE_ROUTING
            || hook == bindings::nf_inet_hooks_NF_INET_LOCAL_IN)
}

/// Returns where the state of a tunnel is.
///
/// # Safety
///
/// `lws` must point to a `lwtunnel_state` that was allocated for a `T`.
#[inline]
unsafe fn state_ptr<T: Encap>(lws: *mut bindings::lwtunnel_state) -> *mut T {
    const {
        // `lwtunnel_state_alloc()` aligns to the pointers that `lwtunnel_state` holds.
        assert!(align_of::<T>() <= align_of::<bindings::lwtunnel_state>());
        assert!(core::mem::offset_of!(bindings::lwtunnel_state, data) % align_of::<T>() == 0);
    }
    // SAFETY: By the safety requirement.
    unsafe { (&raw mut (*lws).data).cast() }
}

/// Borrows the state of a tunnel.
///
/// # Safety
///
/// `lws` must point to a `lwtunnel_state` that [`build_state`] made for `T` and that lives for all
/// of `'a`.
#[inline]
unsafe fn state<'a, T: Encap>(lws: *mut bindings::lwtunnel_state) -> &'a T {
    // SAFETY: By the safety requirement; `build_state()` initialized the state.
    unsafe { &*state_ptr::<T>(lws) }
}

/// # Safety
///
/// All pointers must be valid, `extack` may be null, and `ts` is written.
unsafe extern "C" fn build_state<T: Encap>(
    net: *mut bindings::net,
    nla: *mut bindings::nlattr,
    family: c_uint,
    _cfg: *const c_void,
    ts: *mut *mut bindings::lwtunnel_state,
    extack: *mut bindings::netlink_ext_ack,
) -> c_int {
    let request = Request {
        // SAFETY: `nla` is valid for the time of this call.
        attrs: unsafe { Attr::from_raw(nla) },
        // SAFETY: `net` is valid for the time of this call.
        net: unsafe { Namespace::from_raw(net) },
        is_ipv6: family == bindings::AF_INET6,
        // SAFETY: `extack` is null or valid for the time of this call.
        extack: unsafe { ExtAck::from_raw(extack) },
    };

    from_result(|| {
        let built = T::build(&request)?;
        // SAFETY: The function takes any size.
        let lws = unsafe { bindings::lwtunnel_state_alloc(size_of::<T>() as c_int) };

        if lws.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: `lws` was just allocated and nobody else knows of it.
        unsafe {
            (*lws).type_ = T::TYPE;
            (*lws).flags = bindings::LWTUNNEL_STATE_INPUT_REDIRECT;
            (*lws).headroom = built.headroom();
        }
        // SAFETY: As above; there is room for a `T` behind the header.
        unsafe { state_ptr::<T>(lws).write(built) };
        // SAFETY: `ts` is valid for writing.
        unsafe { ts.write(lws) };
        Ok(0)
    })
}

/// # Safety
///
/// `lws` must be from [`build_state`] of `T` and must not be used any more.
unsafe extern "C" fn destroy_state<T: Encap>(lws: *mut bindings::lwtunnel_state) {
    // SAFETY: By the safety requirement the state is initialized and dropped once.
    unsafe { ptr::drop_in_place(state_ptr::<T>(lws)) };
}

/// Whether the administrator wants tunnels to let netfilter see their packets.
#[inline]
pub fn has_hooks() -> bool {
    // SAFETY: The function reads a static key.
    unsafe { bindings::lwtunnel_nf_hooks_enabled() }
}

/// Lets netfilter look at a packet before it is routed, which may drop it, keep it or come back
/// later.
///
/// `family` is the netfilter protocol family. A packet that may pass goes to [`Encap::resume`] of
/// the tunnel of its route; if it has lost that, as it does when its destination is translated, it
/// is dropped. So is one that does not start with a header of the family, or whose family is off.
#[cold]
pub fn prerouting(packet: OwnedSkBuff, family: u8, _bh: &BhDisabled) -> InputStatus {
    let header_len = match family.into() {
        bindings::NFPROTO_IPV4 => size_of::<bindings::iphdr>(),
        // Rules of netfilter look routes up.
        // SAFETY: The function reads a static.
        bindings::NFPROTO_IPV6 if unsafe { bindings::has_ipv6() } => size_of::<bindings::ipv6hdr>(),
        _ => return EINVAL.into(),
    };

    if packet.network_offset() != 0 || packet.data().len() < header_len {
        return InputStatus(refuse(packet));
    }
    let hook = (family, bindings::nf_inet_hooks_NF_INET_PRE_ROUTING);

    InputStatus(run_hook(packet, hook, continue_resume))
}

/// # Safety
///
/// Only for `lwtunnel_input()`: `skb` must be valid, be given to this function and have a route with a
/// tunnel of type `T`; bottom halves must be off.
//
// All that it calls is the last that it does: packets nest, so nothing may be left on the stack.
unsafe extern "C" fn input<T: Encap>(skb: *mut bindings::sk_buff) -> c_int {
    // SAFETY: By the safety requirement.
    let packet = unsafe { OwnedSkBuff::from_raw(skb) };

    if packet.protocol() != T::PROTOCOL {
        return refuse(packet);
    }
    if has_hooks() {
        return hooked_input(packet, T::HOOK);
    }
    // SAFETY: By the safety requirement the packet has a route, and that a tunnel.
    let lws = unsafe { NonNull::new_unchecked((*bindings::skb_dst(skb)).lwtstate) };

    // SAFETY: Tunnels of this type are from `build_state()` of `T`, whose registration this is. The
    // last reference goes in an RCU callback, so the tunnel outlives this section with bottom halves
    // off, even when the packet is gone.
    unsafe { process_input::<T>(lws, packet, BhDisabled::assume()) }
}

/// Drops a packet that is none for the tunnel.
#[cold]
#[inline(never)]
fn refuse(packet: OwnedSkBuff) -> c_int {
    drop(packet);
    EINVAL.to_errno()
}

/// Returns the tunnel of the route of a packet, and its type.
fn tunnel(packet: &SkBuff) -> Option<(NonNull<bindings::lwtunnel_state>, u16)> {
    let dst = packet.dst()?;
    // SAFETY: The route is valid, and its tunnel does not change.
    let lws = NonNull::new(unsafe { (*dst.as_raw()).lwtstate })?;

    // SAFETY: A route holds its tunnel.
    Some((lws, unsafe { (*lws.as_ptr()).type_ }))
}

/// # Safety
///
/// `lws` must be from [`build_state`] of `T` and live while bottom halves are off.
#[inline(never)]
unsafe fn process_input<T: Encap>(
    lws: NonNull<bindings::lwtunnel_state>,
    packet: OwnedSkBuff,
    bh: &BhDisabled,
) -> c_int {
    // SAFETY: By the safety requirement.
    unsafe { state::<T>(lws.as_ptr()) }
        .input(packet, bh)
        .to_raw()
}

/// # Safety
///
/// As [`process_input`].
unsafe fn process_resume<T: Encap>(
    lws: NonNull<bindings::lwtunnel_state>,
    packet: OwnedSkBuff,
    bh: &BhDisabled,
) -> c_int {
    // SAFETY: By the safety requirement.
    unsafe { state::<T>(lws.as_ptr()) }
        .resume(packet, bh)
        .to_raw()
}

/// What netfilter calls when a packet may pass.
///
/// A packet that waits in a queue may have lost its route, and with that its hold on the module of
/// the tunnel. So these functions must not be in that module: they are not generic and not inline.
type Continuation =
    unsafe extern "C" fn(*mut bindings::net, *mut bindings::sock, *mut bindings::sk_buff) -> c_int;

/// Lets netfilter look at a packet that has reached its tunnel.
#[cold]
#[inline(never)]
fn hooked_input(packet: OwnedSkBuff, hook: (u8, u32)) -> c_int {
    run_hook(packet, hook, continue_input)
}

/// Lets netfilter look at a packet that is a valid one of the family.
#[inline]
fn run_hook(packet: OwnedSkBuff, hook: (u8, u32), okay: Continuation) -> c_int {
    // SAFETY: The packet is valid.
    let dev = unsafe { bindings::skb_get_dev(packet.as_raw()) };

    if dev.is_null() {
        return refuse(packet);
    }
    let skb = packet.into_raw();
    // SAFETY: The packet was given up, and has a device.
    let verdict = unsafe { filter(skb, dev, hook, okay) };
    if verdict != PASSED {
        return InputStatus::new(verdict).to_raw();
    }
    // SAFETY: A packet that has passed is the caller's, and bottom halves are off.
    unsafe { okay(ptr::null_mut(), ptr::null_mut(), skb) }
}

/// What [`filter`] returns for a packet that it leaves to the caller.
const PASSED: c_int = 1;

/// Asks netfilter about a packet, which it may drop or keep; then it returns 0 or a negative error
/// number. Not inline, so that what it needs of the stack is free again when the packet goes on.
///
/// # Safety
///
/// The packet must be valid and be given to the function, and `dev` be its device.
#[inline(never)]
unsafe fn filter(
    skb: *mut bindings::sk_buff,
    dev: *mut bindings::net_device,
    (family, hook): (u8, u32),
    okay: Continuation,
) -> c_int {
    // SAFETY: By the safety requirement; the namespace is that of the device. Who lets the packet pass
    // later owns it and has bottom halves off.
    unsafe {
        bindings::nf_hook(
            family,
            hook,
            bindings::dev_net(dev),
            ptr::null_mut(),
            skb,
            dev,
            ptr::null_mut(),
            Some(okay),
        )
    }
}

/// # Safety
///
/// As [`input`].
#[inline(never)]
unsafe extern "C" fn continue_input(
    _net: *mut bindings::net,
    _sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
) -> c_int {
    // SAFETY: By the safety requirement.
    unsafe { process(OwnedSkBuff::from_raw(skb), |ops| ops.input) }
}

/// # Safety
///
/// As [`input`].
#[inline(never)]
unsafe extern "C" fn continue_resume(
    _net: *mut bindings::net,
    _sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
) -> c_int {
    // SAFETY: By the safety requirement.
    unsafe { process(OwnedSkBuff::from_raw(skb), |ops| ops.resume) }
}

/// Gives the packet to the tunnel of its route; drops it with `EINVAL` if that is not one of a type
/// that is registered here.
///
/// # Safety
///
/// Bottom halves must be off.
#[inline(always)]
unsafe fn process(packet: OwnedSkBuff, choose: impl FnOnce(&Operations) -> Process) -> c_int {
    // SAFETY: By the safety requirement.
    let bh = unsafe { BhDisabled::assume() };
    let found = tunnel(&packet).and_then(|(lws, ty)| {
        let ops = NonNull::new(TYPES.get(usize::from(ty))?.load(Acquire).cast_mut())?;

        // SAFETY: While a tunnel of its type lives a registration is not dropped.
        Some((lws, choose(unsafe { ops.as_ref() })))
    });

    match found {
        // SAFETY: The functions are those of the type of the tunnel, which lives as in `input()`.
        Some((lws, process)) => unsafe { process(lws, packet, bh) },
        None => refuse(packet),
    }
}

/// # Safety
///
/// `skb` must be a valid message that nobody else uses; `lws` must be from [`build_state`] of `T`.
unsafe extern "C" fn fill_encap<T: Encap>(
    skb: *mut bindings::sk_buff,
    lws: *mut bindings::lwtunnel_state,
) -> c_int {
    // SAFETY: By the safety requirement.
    let msg = unsafe { SkBuff::from_raw(skb) };
    // SAFETY: By the safety requirement.
    let state = unsafe { state::<T>(lws) };

    from_result(|| {
        // SAFETY: By the safety requirement nobody else uses the message.
        let mut writer = unsafe { Writer::new(msg) };

        state.fill(&mut writer).map(|()| 0)
    })
}

/// # Safety
///
/// `lws` must be from [`build_state`] of `T`.
unsafe extern "C" fn get_encap_size<T: Encap>(lws: *mut bindings::lwtunnel_state) -> c_int {
    // SAFETY: By the safety requirement.
    let state = unsafe { state::<T>(lws) };

    // No attribute is longer.
    c_int::from(u16::try_from(state.size()).unwrap_or(u16::MAX))
}

/// # Safety
///
/// Both must be from [`build_state`] of `T`.
unsafe extern "C" fn cmp_encap<T: Encap>(
    a: *mut bindings::lwtunnel_state,
    b: *mut bindings::lwtunnel_state,
) -> c_int {
    // SAFETY: By the safety requirement.
    let (a, b) = unsafe { (state::<T>(a), state::<T>(b)) };

    (!a.is_same(b)).into()
}
