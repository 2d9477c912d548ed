// SPDX-License-Identifier: GPL-2.0-or-later

//! Which SRHs are valid, and where their parts are (RFC 8754, Sections 2 and 4.3.1.1).

use super::{
    tlv,
    Target, //
};
use crate::{
    input::Input,
    srh,
    srh::Form, //
};

pub(super) const TARGET: Target = Target {
    name: "srh",
    classes: &[
        VALID,
        REDUCED,
        SHORT,
        ROUTING_TYPE,
        LENGTH,
        LAST_ENTRY,
        SEGMENTS_LEFT,
        TLVS,
    ],
    check,
};

const VALID: &str = "valid";
const REDUCED: &str = "valid in the reduced form only";
const SHORT: &str = "too short";
const ROUTING_TYPE: &str = "of another routing type";
const LENGTH: &str = "of another length than stated";
const LAST_ENTRY: &str = "with a last entry outside";
const SEGMENTS_LEFT: &str = "with too many segments left";
const TLVS: &str = "with incomplete TLVs";

fn check(input: &mut Input<'_>) -> &'static str {
    let bytes = header(input);
    let fault = fault(&bytes);
    let is_valid = |excess: i16| fault.is_none() && left(&bytes) <= last(&bytes) + excess;

    for (form, excess) in [(Form::Full, 0), (Form::Reduced, 1)] {
        assert_eq!(srh::is_valid(&bytes, form), is_valid(excess), "{bytes:x?}");
    }
    if is_valid(1) {
        check_parts(&bytes);
    }
    if is_valid(0) && bytes[5] & 8 != 0 && srh::is_signable(&bytes) {
        check_signed(bytes.clone());
    }
    match fault {
        Some(fault) => fault,
        None if is_valid(0) => VALID,
        None if is_valid(1) => REDUCED,
        None => SEGMENTS_LEFT,
    }
}

/// An SRH is as valid as before with any HMAC in its last 32 octets.
fn check_signed(mut bytes: Vec<u8>) {
    let hmac = bytes.len() - 32;

    bytes[hmac..].fill(0xff);
    assert!(srh::is_valid(&bytes, Form::Full), "{bytes:x?}");
}

/// Returns the number of segments left.
fn left(bytes: &[u8]) -> i16 {
    bytes[3].into()
}

/// Returns the last entry.
fn last(bytes: &[u8]) -> i16 {
    bytes[4].into()
}

/// Makes an SRH of arbitrary octets. Each flag that is set makes one thing right, or nearly so.
fn header(input: &mut Input<'_>) -> Vec<u8> {
    let [flags, units] = input.array();
    let is = |bit: u8| flags & (1 << bit) != 0;
    let mut bytes = input.rest().to_vec();

    if is(0) {
        bytes.resize(8 * (usize::from(units) + 1) + usize::from(is(1)), flags);
    }
    let len = bytes.len();
    if let [_, hdr_len, routing_type, segments_left, last_entry, ..] = &mut bytes[..] {
        if is(2) {
            *hdr_len = (len / 8).saturating_sub(1) as u8;
        }
        if is(3) {
            *routing_type = 4;
        }
        if is(4) {
            *last_entry %= (len / 16).clamp(1, 255) as u8;
        }
        if is(5) {
            *segments_left %= last_entry.saturating_add(3);
        }
    }
    if is(6) {
        let tlvs = bytes.get(4).map_or(0, |&last| 24 + 16 * usize::from(last));

        bytes[tlvs.min(len)..].fill(0);
    }
    bytes
}

/// Returns what is wrong with an SRH, apart from the number of segments left.
fn fault(bytes: &[u8]) -> Option<&'static str> {
    if bytes.len() < 8 {
        return Some(SHORT);
    }
    let max_last_entry = i16::from(bytes[1]) / 2 - 1;
    let tlvs = 8 + 16 * (usize::from(bytes[4]) + 1);

    if bytes[2] != 4 {
        Some(ROUTING_TYPE)
    } else if usize::from(bytes[1]) * 8 + 8 != bytes.len() {
        Some(LENGTH)
    } else if last(bytes) > max_last_entry {
        Some(LAST_ENTRY)
    } else if tlv::parse(&bytes[tlvs..]).is_none() {
        Some(TLVS)
    } else {
        None
    }
}

/// Checks where the segments and the TLVs of a valid SRH are.
fn check_parts(bytes: &[u8]) {
    let last_entry = bytes[srh::LAST_ENTRY];
    let (fixed, rest) = bytes.split_first_chunk().expect("8 octets");
    let segments: Vec<_> = rest.chunks_exact(16).collect();

    assert_eq!(srh::stated_len(fixed), bytes.len());
    assert!(bytes.len() <= srh::MAX_LEN);
    for index in 0..=last_entry {
        let at = srh::segment_offset(index);

        assert_eq!(&bytes[at..at + 16], segments[usize::from(index)]);
    }
    assert_eq!(
        srh::tlvs_offset(last_entry),
        srh::segment_offset(last_entry) + 16
    );
    assert!(srh::tlvs_offset(last_entry) <= bytes.len());
}
