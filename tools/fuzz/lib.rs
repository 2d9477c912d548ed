// SPDX-License-Identifier: GPL-2.0-or-later

//! The parsers of seg6local that know nothing of the kernel, and a check of each against a model.
//!
//! The parsers are the files of the module. A check makes a case from the octets of a fuzzer, knows
//! by the RFCs what the parser has to answer, and panics if it answers something else. None of this
//! is unsafe code: the compiler rules out what Miri would look for, and overflow is a panic.

#![forbid(unsafe_code)]

#[allow(dead_code)]
#[path = "../../net/ipv6/seg6_local/csid.rs"]
mod csid;
#[allow(dead_code)]
#[path = "../../net/ipv6/seg6_local/flavors.rs"]
mod flavors;
#[allow(dead_code)]
#[path = "../../net/ipv6/seg6_local/srh.rs"]
mod srh;

mod check;
mod input;

pub use check::{
    Target,
    TARGETS, //
};
pub use input::Input;
