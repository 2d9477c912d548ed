// SPDX-License-Identifier: GPL-2.0-or-later

//! Netlink attributes: parsing and writing.
//!
//! C header: [`include/net/netlink.h`](srctree/include/net/netlink.h)

use crate::{
    bindings,
    error::to_result,
    fmt::{
        self,
        Write, //
    },
    net::skbuff::SkBuff,
    prelude::*,
    str::NullTerminatedFormatter,
    types::Opaque, //
};
use core::{
    ptr,
    ptr::NonNull,
    slice, //
};

/// The length of an attribute's header in octets.
const HEADER_LEN: usize = size_of::<bindings::nlattr>();

/// What an attribute has to look like, `struct nla_policy`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Rule(bindings::nla_policy);

impl Rule {
    /// Anything.
    pub const ANY: Self = Self::new(bindings::NLA_UNSPEC, 0);
    /// Octets.
    pub const BINARY: Self = Self::new(bindings::NLA_BINARY, 0);
    /// An 8-bit number.
    pub const U8: Self = Self::new(bindings::NLA_U8, 0);
    /// A 32-bit number.
    pub const U32: Self = Self::new(bindings::NLA_U32, 0);
    /// A 64-bit number.
    pub const U64: Self = Self::new(bindings::NLA_U64, 0);
    /// Attributes.
    pub const NESTED: Self = Self::new(bindings::NLA_NESTED, 0);

    /// A string that ends with NUL, of at most `max` octets before it.
    pub const fn nul_string(max: u16) -> Self {
        Self::new(bindings::NLA_NUL_STRING, max)
    }

    /// `len` octets.
    pub const fn exact_len(len: i16) -> Self {
        let mut rule = Self::new(bindings::NLA_BINARY, 0);

        rule.0.validation_type = bindings::nla_policy_validation_NLA_VALIDATE_RANGE as u8;
        rule.0.__bindgen_anon_1.__bindgen_anon_1 =
            bindings::nla_policy__bindgen_ty_1__bindgen_ty_1 { min: len, max: len };
        rule
    }

    const fn new(ty: c_uint, len: u16) -> Self {
        let mut rule: bindings::nla_policy = pin_init::zeroed();

        rule.type_ = ty as u8;
        rule.len = len;
        Self(rule)
    }
}

/// The rules for the attributes of types 0 to `N - 1`.
pub struct Policy<const N: usize>([Rule; N]);

// SAFETY: Rules are constant; the pointers in them are null.
unsafe impl<const N: usize> Sync for Policy<N> {}

impl<const N: usize> Policy<N> {
    /// Creates a policy; `rules` are pairs of attribute type and rule, all others are
    /// [`Rule::ANY`].
    pub const fn new<const M: usize>(rules: [(u16, Rule); M]) -> Self {
        let mut all = [Rule::ANY; N];
        let mut i = 0;

        while i < M {
            all[rules[i].0 as usize] = rules[i].1;
            i += 1;
        }
        Self(all)
    }
}

/// Where a request finds out what was wrong with it, `struct netlink_ext_ack`.
#[repr(transparent)]
pub struct ExtAck(Opaque<bindings::netlink_ext_ack>);

impl ExtAck {
    /// Borrows the object of the request that is being served, if it has one.
    ///
    /// # Safety
    ///
    /// `ptr` must be null or valid for the whole of `'a`.
    #[inline]
    pub unsafe fn from_raw<'a>(ptr: *mut bindings::netlink_ext_ack) -> Option<&'a Self> {
        // SAFETY: By the safety requirement; the cast is right because of `repr(transparent)`.
        unsafe { ptr.cast::<Self>().as_ref() }
    }

    /// Sets the message that user space prints, of which there is room for 79 octets.
    ///
    /// It is copied: the answer is sent when a module that served the request may be gone.
    pub fn set_msg(&self, msg: &CStr) {
        // SAFETY: The object is valid, and used by the thread that serves the request only.
        let extack = unsafe { &mut *self.0.get() };

        if let Some((_, buffer)) = extack._msg_buf.split_last_mut() {
            buffer.fill(0);
            for (to, from) in buffer.iter_mut().zip(msg.to_bytes()) {
                *to = *from;
            }
        }
        extack._msg = extack._msg_buf.as_ptr();
        // SAFETY: The message ends with NUL.
        unsafe { bindings::do_trace_netlink_extack(extack._msg) };
    }

    /// Sets a message that is made now, of which what does not fit is left out.
    pub fn set_fmt(&self, msg: fmt::Arguments<'_>) {
        let mut buffer = [0; bindings::NETLINK_MAX_FMTMSG_LEN as usize];

        if let Some(mut text) = NullTerminatedFormatter::new(&mut buffer) {
            let _ = text.write_fmt(msg);
        }
        if let Ok(msg) = CStr::from_bytes_until_nul(&buffer) {
            self.set_msg(msg);
        }
    }

    /// Tells that there is no attribute of type `ty` in `nest`, and why there should be one.
    fn set_missing(&self, ty: u16, nest: &Attr, msg: fmt::Arguments<'_>) {
        self.set_fmt(msg);
        // SAFETY: As in `set_msg()`. Nobody reads the nest through this pointer: it says where in the
        // request the nest is.
        unsafe {
            (*self.0.get()).miss_type = ty;
            (*self.0.get()).miss_nest = nest.0.get();
        }
    }

    /// Tells which attribute is wrong, and why; returns `error`.
    pub(crate) fn refuse(
        extack: Option<&Self>,
        attr: &Attr,
        msg: fmt::Arguments<'_>,
        error: Error,
    ) -> Error {
        if let Some(extack) = extack {
            extack.set_fmt(msg);
            // SAFETY: As in `set_missing()`.
            unsafe { (*extack.0.get()).bad_attr = attr.0.get() };
        }
        error
    }

    /// Tells user space nothing of the policy that an attribute breaks, which may be gone like the
    /// message.
    fn forget_policy(&self) {
        // SAFETY: As in `set_msg()`.
        unsafe { (*self.0.get()).policy = ptr::null() };
    }
}

/// An attribute that was received, `struct nlattr`.
#[repr(transparent)]
pub struct Attr(Opaque<bindings::nlattr>);

impl Attr {
    /// Borrows an attribute.
    ///
    /// # Safety
    ///
    /// `ptr` must point to an attribute whose header and payload are valid for the whole of `'a`.
    pub unsafe fn from_raw<'a>(ptr: *const bindings::nlattr) -> &'a Self {
        // SAFETY: By the safety requirement; the cast is right because of `repr(transparent)`.
        unsafe { &*ptr.cast::<Self>() }
    }

    /// Returns the octets behind the header.
    pub fn payload(&self) -> &[u8] {
        let attr = self.0.get();
        // SAFETY: The attribute is valid.
        let len = usize::from(unsafe { (*attr).nla_len }).saturating_sub(HEADER_LEN);

        // SAFETY: The payload follows the header and is as long as the header says.
        unsafe { slice::from_raw_parts(attr.cast::<u8>().add(HEADER_LEN), len) }
    }

    /// Returns the first `N` octets of the payload; fails with `EINVAL` if there are fewer.
    pub fn array<const N: usize>(&self) -> Result<[u8; N]> {
        self.payload().first_chunk().copied().ok_or(EINVAL)
    }

    /// Returns a number of 32 bits; fails with `EINVAL` if the payload is shorter.
    pub fn u32(&self) -> Result<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    /// Returns a number of 8 bits; fails with `EINVAL` if there is no payload.
    pub fn u8(&self) -> Result<u8> {
        self.array().map(u8::from_ne_bytes)
    }

    /// Parses the attributes in the payload, as liberally as `nla_parse_nested_deprecated()`.
    ///
    /// Fails as that does: with `ERANGE` or `EINVAL` if an attribute breaks its rule.
    pub fn parse_nested<'a, const N: usize>(
        &'a self,
        policy: &Policy<N>,
        extack: Option<&'a ExtAck>,
    ) -> Result<Attrs<'a, N>> {
        let mut table = [ptr::null_mut(); N];
        let max_type = c_int::try_from(N).map_err(|_| EINVAL)? - 1;

        // SAFETY: The table and the policy have room for `max_type + 1` entries, `Rule` is a
        // transparent wrapper, and the attribute and `extack` are valid.
        let result = to_result(unsafe {
            bindings::nla_parse_nested_deprecated(
                table.as_mut_ptr(),
                max_type,
                self.0.get(),
                policy.0.as_ptr().cast(),
                extack.map_or(ptr::null_mut(), |extack| extack.0.get()),
            )
        });
        if let Some(extack) = extack {
            extack.forget_policy();
        }
        result?;

        let found = table.map(|attr| {
            // SAFETY: The function stores null or pointers into the payload, which `self` keeps
            // valid.
            unsafe { attr.cast::<Attr>().as_ref() }
        });
        Ok(Attrs {
            found,
            nest: self,
            extack,
        })
    }
}

/// Attributes by type; of several of one type the last.
///
/// # Examples
///
/// ```
/// use kernel::net::nlattr::{Attr, Policy, Rule};
///
/// static POLICY: Policy<3> = Policy::new([(1, Rule::U32), (2, Rule::exact_len(2))]);
///
/// #[repr(C, align(4))]
/// struct Message([u8; 16]);
///
/// // A nest of type 5 with attribute 1 (value 7) and attribute 9, which is unknown.
/// let mut nest = Message([0; 16]);
/// nest.0[0..2].copy_from_slice(&16u16.to_ne_bytes());
/// nest.0[2] = 5;
/// nest.0[4..6].copy_from_slice(&8u16.to_ne_bytes());
/// nest.0[6] = 1;
/// nest.0[8] = 7;
/// nest.0[12..14].copy_from_slice(&4u16.to_ne_bytes());
/// nest.0[14] = 9;
///
/// // SAFETY: The message holds one attribute, as long as its header says.
/// let nest = unsafe { Attr::from_raw(nest.0.as_ptr().cast()) };
/// let attrs = nest.parse_nested(&POLICY, None)?;
/// assert_eq!(attrs.find(1).map(|attr| attr.u32()), Some(Ok(u32::from_le(7))));
/// assert!(attrs.find(2).is_none());
/// assert!(attrs.find(9).is_none());
/// # Ok::<(), Error>(())
/// ```
pub struct Attrs<'a, const N: usize> {
    found: [Option<&'a Attr>; N],
    /// What they are in.
    nest: &'a Attr,
    /// Takes the reason of a failure.
    extack: Option<&'a ExtAck>,
}

impl<'a, const N: usize> Attrs<'a, N> {
    /// Returns the attribute of type `ty`, if there is one.
    pub fn find(&self, ty: u16) -> Option<&'a Attr> {
        self.found.get(usize::from(ty)).copied().flatten()
    }

    /// Returns the attribute of type `ty`; if there is none, tells so and fails with `EINVAL`.
    pub fn require(&self, ty: u16, msg: fmt::Arguments<'_>) -> Result<&'a Attr> {
        self.find(ty).ok_or_else(|| {
            if let Some(extack) = self.extack {
                extack.set_missing(ty, self.nest, msg);
            }
            EINVAL
        })
    }

    /// Tells which attribute is wrong, and why; returns `error`.
    pub fn refuse(&self, attr: &Attr, msg: fmt::Arguments<'_>, error: Error) -> Error {
        ExtAck::refuse(self.extack, attr, msg, error)
    }

    /// Parses the attributes in one of these, as [`Attr::parse_nested`].
    pub fn parse_nested<const M: usize>(
        &self,
        nest: &'a Attr,
        policy: &Policy<M>,
    ) -> Result<Attrs<'a, M>> {
        nest.parse_nested(policy, self.extack)
    }
}

/// Whether a nest is marked with `NLA_F_NESTED`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum NestFlag {
    /// It is.
    Set,
    /// It is not, as in formats older than the flag.
    Clear,
}

/// Appends attributes to a message.
///
/// All methods fail with `EMSGSIZE` if the message has no room.
///
/// # Examples
///
/// ```
/// use kernel::net::{nlattr::{NestFlag, Writer}, skbuff::OwnedSkBuff};
///
/// let mut msg = OwnedSkBuff::with_room(16, GFP_KERNEL)?;
/// // SAFETY: Nobody else has the message.
/// let mut writer = unsafe { Writer::new(msg.as_mut()) };
/// writer.nest(5, NestFlag::Clear, |writer| writer.put(1, &[1, 2, 3]))?;
/// assert_eq!(writer.put(2, &[0; 1024]), Err(EMSGSIZE));
///
/// assert_eq!(msg.len(), 12);
/// assert_eq!(msg.data()[8..], [1, 2, 3, 0]);
///
/// // The length of an attribute has 16 bits, with its header.
/// let mut msg = OwnedSkBuff::with_room(0x2_0000, GFP_KERNEL)?;
/// // SAFETY: Nobody else has the message.
/// let mut writer = unsafe { Writer::new(msg.as_mut()) };
/// let data = KVec::from_elem(1u8, 0xffff, GFP_KERNEL)?;
/// assert_eq!(writer.put(1, &data), Err(EMSGSIZE));
/// assert_eq!(writer.put(1, &data[..0xfffc]), Err(EMSGSIZE));
/// assert_eq!(
///     writer.nest(5, NestFlag::Set, |writer| writer.put(1, &data[..0xfffb])),
///     Err(EMSGSIZE)
/// );
/// assert_eq!(msg.len(), 0);
/// # Ok::<(), Error>(())
/// ```
pub struct Writer<'a>(Pin<&'a mut SkBuff>);

impl<'a> Writer<'a> {
    /// Starts to append to `msg`.
    ///
    /// # Safety
    ///
    /// No other packet may share the buffer of the message, as the clone of a packet does.
    pub unsafe fn new(msg: Pin<&'a mut SkBuff>) -> Self {
        Self(msg)
    }

    /// Appends an attribute with the payload `data`.
    pub fn put(&mut self, ty: u16, data: &[u8]) -> Result {
        if data.len() > usize::from(u16::MAX) - HEADER_LEN {
            return Err(EMSGSIZE);
        }
        let len = data.len() as c_int;

        // SAFETY: The message is valid and borrowed exclusively, and its buffer is its own; `data` is
        // valid for its length.
        to_result(unsafe {
            bindings::nla_put(self.0.as_raw(), ty.into(), len, data.as_ptr().cast())
        })
    }

    /// Appends a number of 8 bits.
    pub fn put_u8(&mut self, ty: u16, value: u8) -> Result {
        self.put(ty, &value.to_ne_bytes())
    }

    /// Appends a number of 32 bits.
    pub fn put_u32(&mut self, ty: u16, value: u32) -> Result {
        self.put(ty, &value.to_ne_bytes())
    }

    /// Appends a number of 64 bits, aligned with the help of an attribute of type `pad`.
    pub fn put_u64(&mut self, ty: u16, value: u64, pad: u16) -> Result {
        // SAFETY: The message is valid and borrowed exclusively.
        to_result(unsafe {
            bindings::nla_put_u64_64bit(self.0.as_raw(), ty.into(), value, pad.into())
        })
    }

    /// Appends a nest of the attributes that `f` writes; if `f` fails the nest is taken back.
    pub fn nest(&mut self, ty: u16, flag: NestFlag, f: impl FnOnce(&mut Self) -> Result) -> Result {
        let msg = self.0.as_raw();
        // SAFETY: The message is valid and borrowed exclusively.
        let start = unsafe {
            match flag {
                NestFlag::Set => bindings::nla_nest_start(msg, ty.into()),
                NestFlag::Clear => bindings::nla_nest_start_noflag(msg, ty.into()),
            }
        };
        let start = NonNull::new(start).ok_or(EMSGSIZE)?.as_ptr();

        f(self)
            .and_then(|()| {
                // SAFETY: `start` is an attribute of this message, whose data does not move.
                let len = unsafe { bindings::nla_nest_end_safe(msg, start) };

                (len >= 0).then_some(()).ok_or(EMSGSIZE)
            })
            .inspect_err(|_| {
                // SAFETY: As above.
                unsafe { bindings::nla_nest_cancel(msg, start) }
            })
    }
}
