// SPDX-License-Identifier: GPL-2.0-or-later

//! What flavors say of the SRH (RFC 8986, Section 4.16.1), and their bits as netlink has them.

use super::Target;
use crate::{
    csid::Lengths,
    flavors::{
        srh_fate,
        Flavors,
        SrhFate, //
    },
    input::Input, //
};

pub(super) const TARGET: Target = Target {
    name: "flavors",
    classes: &[KEEP, POP],
    check,
};

const KEEP: &str = "kept";
const POP: &str = "popped";

/// By PSP or not, and by what is left after the packet has advanced: nothing, or something.
const FATES: [[SrhFate; 2]; 2] = [
    [SrhFate::Keep, SrhFate::Keep],
    [SrhFate::Pop, SrhFate::Keep],
];

fn check(input: &mut Input<'_>) -> &'static str {
    let operations = u32::from_be_bytes(input.array());
    let [block, node] = input.array().map(|octet| 8 * (octet % 16));
    let segments_left = input.octet().max(1);
    let lengths = Lengths::new(block, node).unwrap_or_default();
    let flavors = Flavors::new(operations, lengths);
    let [psp, next_csid] = [1, 4].map(|number| (operations >> number) & 1);

    assert_eq!(flavors.operations(), operations);
    assert_eq!(flavors.has_psp(), psp == 1);
    assert_eq!(flavors.csid(), [None, Some(lengths)][next_csid as usize]);

    let fate = srh_fate(flavors, segments_left);
    let left = segments_left - 1;

    assert_eq!(fate, FATES[psp as usize][usize::from(left.min(1))]);
    match fate {
        SrhFate::Keep => KEEP,
        SrhFate::Pop => POP,
    }
}
