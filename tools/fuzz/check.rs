// SPDX-License-Identifier: GPL-2.0-or-later

//! The checks, one for each parser.

mod chain;
mod csid;
mod flavors;
mod srh;
mod tlv;

use crate::input::Input;

/// A parser to check.
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// The kinds of cases that there are; each must occur in a run.
    pub classes: &'static [&'static str],
    /// Makes a case, checks it, and returns its class.
    pub check: fn(&mut Input<'_>) -> &'static str,
}

/// All parsers.
pub static TARGETS: [Target; 5] = [
    srh::TARGET,
    tlv::TARGET,
    chain::TARGET,
    csid::TARGET,
    flavors::TARGET,
];
