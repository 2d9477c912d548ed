// SPDX-License-Identifier: GPL-2.0-or-later

//! NEXT-C-SID (RFC 9800, Section 4.1) with a container as one number of 128 bits.

use super::Target;
use crate::{
    csid::Lengths,
    input::Input, //
};

pub(super) const TARGET: Target = Target {
    name: "csid",
    classes: &[REFUSED, LAST, ADVANCED],
    check,
};

const REFUSED: &str = "with lengths out of range";
const LAST: &str = "without an argument";
const ADVANCED: &str = "advanced";

fn check(input: &mut Input<'_>) -> &'static str {
    let [mut block, mut node] = input.array();

    if input.flag() {
        block = 8 * (block % 17);
        node = 8 * (node % 17);
    }
    let container = u128::from_be_bytes(input.array());
    let lengths = Lengths::new(block, node);

    assert_eq!(lengths.is_some(), are_lengths(block, node));
    let Some(lengths) = lengths else {
        return REFUSED;
    };
    assert_eq!((lengths.block_bits(), lengths.node_bits()), (block, node));
    check_walk(lengths, container)
}

/// Whether both are positive multiples of 8 and leave room for each other in 128 bits.
fn are_lengths(block: u8, node: u8) -> bool {
    let lengths = || (1..=15).map(|octets| octets * 8);

    lengths().any(|length| length == block)
        && lengths().any(|length| length == node)
        && usize::from(block) + usize::from(node) <= 128
}

/// Advances until the argument is zero: each SID of the argument is active once, in order.
fn check_walk(lengths: Lengths, container: u128) -> &'static str {
    let block = u32::from(lengths.block_bits());
    let node = u32::from(lengths.node_bits());
    let mut now = container;
    let mut steps = 0;

    while let Some(next) = lengths.advance(now.to_be_bytes()).map(u128::from_be_bytes) {
        steps += 1;
        assert_ne!(argument(now, block, node), 0);
        assert_eq!(next, shifted(now, block, node));
        assert_eq!(bits(next, 0, block), bits(container, 0, block));
        assert_eq!(
            bits(next, block, node),
            bits(container, block + steps * node, node)
        );
        now = next;
    }
    assert_eq!(argument(now, block, node), 0);
    assert!(steps * node < 128);
    if steps == 0 {
        LAST
    } else {
        ADVANCED
    }
}

/// Returns `len` bits from bit `start` on, counted from the most significant one; behind the end
/// are zeros.
fn bits(number: u128, start: u32, len: u32) -> u128 {
    number.checked_shl(start).unwrap_or(0) >> (128 - len)
}

/// Returns the bits behind block and node.
fn argument(container: u128, block: u32, node: u32) -> u128 {
    container & u128::MAX.checked_shr(block + node).unwrap_or(0)
}

/// Returns the container with the argument in the place of the node.
fn shifted(container: u128, block: u32, node: u32) -> u128 {
    (container & !(u128::MAX >> block)) | (argument(container, block, node) << node)
}
