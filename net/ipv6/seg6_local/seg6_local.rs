// SPDX-License-Identifier: GPL-2.0-or-later

//! SRv6 endpoint behaviors: what the routes of `ip -6 route add ... encap seg6local` do.
//!
//! - RFC 8986: the behaviors and flavors.
//! - RFC 8754: the segment routing header.
//! - RFC 9800: compressed SIDs.
//!
//! # Who owns a packet
//!
//! [`kernel::net::lwtunnel`] takes a packet over from C and gives it to [`Sid::input`]. A behavior
//! borrows it, works on it and returns a [`verdict::Verdict`] or a [`verdict::Discard`]; executing
//! one of these, in [`verdict`], is the only way in which a packet leaves, and consumes it.
//!
//! # Context
//!
//! Packets arrive with bottom halves off, which is also what RCU protects the state of a SID with
//! ([`kernel::softirq::BhDisabled`]). Configuration comes from processes and may sleep; dumps must
//! not.
//!
//! # Unsafe code
//!
//! There is some in `ffi.rs`, where C calls Rust, and in `bpf` and `bpf/edit.rs`, which share memory of
//! the CPU with C, and none elsewhere.

mod attr;
mod behavior;
mod bpf;
mod config;
mod counters;
mod csid;
mod dump;
mod encap;
mod ffi;
mod flavors;
mod packet;
mod route;
mod srh;
mod verdict;

use kernel::{
    net::{
        device::Namespace,
        dst::cache,
        ipv6,
        lwtunnel::{
            Encap,
            InputStatus,
            Registration,
            Request, //
        },
        nlattr::Writer,
        skbuff::OwnedSkBuff, //
    },
    prelude::*,
    softirq::BhDisabled,
    uapi, //
};

module! {
    type: Seg6Local,
    name: "seg6_local",
    authors: ["The seg6local-rust developers"],
    description: "SRv6 endpoint behaviors",
    license: "GPL",
    alias: ["rtnl-lwt-SEG6LOCAL"],
}

/// The module; unregisters in the order of the fields.
struct Seg6Local {
    _helpers: ffi::Helpers,
    _encap: Registration<Sid>,
    _cache: cache::Registration,
}

impl kernel::Module for Seg6Local {
    /// Fails with `ENODEV` if IPv6 is off; then there is no tunnel of this type, as with C.
    fn init(module: &'static ThisModule) -> Result<Self> {
        ipv6::Net::of(Namespace::init_net()).ok_or(ENODEV)?;
        let cache = cache::Registration::new()?;
        let encap = ffi::register(module)?;

        Ok(Self {
            _helpers: ffi::Helpers::register(),
            _encap: encap,
            _cache: cache,
        })
    }
}

/// The state of one route.
pub(crate) struct Sid {
    behavior: behavior::Behavior,
    counters: Option<counters::Counters>,
}

impl Encap for Sid {
    const TYPE: u16 = uapi::lwtunnel_encap_types_LWTUNNEL_ENCAP_SEG6_LOCAL as u16;
    const PROTOCOL: u16 = uapi::ETH_P_IPV6 as u16;
    const HOOK: (u8, u32) = (
        uapi::NFPROTO_IPV6 as u8,
        uapi::nf_inet_hooks_NF_INET_LOCAL_IN,
    );

    fn build(request: &Request<'_>) -> Result<Self> {
        config::parse(request)
    }

    fn headroom(&self) -> u16 {
        self.behavior.headroom()
    }

    /// Replaces `seg6_local_input_core()`.
    #[inline(always)]
    fn input(&self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        let len = skb.len();
        let status = self.behavior.input(skb, bh);

        if let Some(counters) = &self.counters {
            counters.count(len, status, bh);
        }
        status
    }

    fn resume(&self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        self.behavior.resume(skb, bh)
    }

    fn fill(&self, msg: &mut Writer<'_>) -> Result {
        dump::fill(self, msg)
    }

    fn size(&self) -> usize {
        dump::size(self)
    }

    /// Replaces `seg6_local_cmp_encap()`.
    fn is_same(&self, other: &Self) -> bool {
        self.behavior == other.behavior && self.counters.is_some() == other.counters.is_some()
    }
}
