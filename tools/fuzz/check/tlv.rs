// SPDX-License-Identifier: GPL-2.0-or-later

//! The TLVs of an SRH fill it to the last octet (RFC 8754, Section 2.1), and only the last one is
//! signed.

use super::Target;
use crate::{
    input::Input,
    srh,
    srh::Form, //
};
use std::ops::Range;

pub(super) const TARGET: Target = Target {
    name: "tlv",
    classes: &[COMPLETE, SIGNABLE, STILL_COMPLETE, INCOMPLETE],
    check,
};

const COMPLETE: &str = "complete as made";
const SIGNABLE: &str = "complete with an HMAC";
const STILL_COMPLETE: &str = "complete after a change";
const INCOMPLETE: &str = "incomplete after a change";

const PAD1: u8 = 0;
const PADN: u8 = 4;
const HMAC: u8 = 5;
const HMAC_LEN: usize = 40;
/// Octets of TLVs behind one segment in the longest SRH.
const MOST: usize = 2048 - 24;

fn check(input: &mut Input<'_>) -> &'static str {
    let change = input.flag().then(|| (input.number(), input.octet()));
    let has_hmac = input.flag();
    let (mut octets, made) = make(input, has_hmac);

    assert_eq!(parse(&octets), Some(made));
    match change {
        Some((at, value)) if !octets.is_empty() => {
            let len = octets.len();

            octets[at % len] = value;
            let is_complete = parse(&octets).is_some();

            assert_eq!(is_valid(&octets), is_complete, "{octets:x?}");
            if is_complete {
                check_signable(&octets);
                STILL_COMPLETE
            } else {
                INCOMPLETE
            }
        }
        _ => {
            assert!(is_valid(&octets), "{octets:x?}");
            check_signable(&octets);
            if has_hmac {
                SIGNABLE
            } else {
                COMPLETE
            }
        }
    }
}

/// Checks that an SRH with these TLVs, which are complete, can be signed if the last one is an HMAC.
fn check_signable(tlvs: &[u8]) {
    let last = parse(tlvs).and_then(|places| places.last().cloned());
    let is_signable = last.is_some_and(|at| at.len() == HMAC_LEN && tlvs[at.start] == HMAC);

    assert_eq!(srh::is_signable(&srh(tlvs, 8)), is_signable, "{tlvs:x?}");
    assert!(srh::is_signable(&srh(tlvs, 0)));
}

/// Makes TLVs, and says where each is. Padding lets them end at a multiple of 8 octets, and behind
/// it there may be an HMAC.
fn make(input: &mut Input<'_>, has_hmac: bool) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut octets = Vec::new();
    let mut places = Vec::new();

    while !input.is_empty() && octets.len() + 2 + 255 + 8 + HMAC_LEN <= MOST {
        let [kind, len, value] = input.array();

        places.push(append(&mut octets, kind, len, value));
    }
    match octets.len().next_multiple_of(8) - octets.len() {
        0 => {}
        1 => places.push(append(&mut octets, PAD1, 0, 0)),
        rest => places.push(append(&mut octets, PADN, rest as u8 - 2, 0)),
    }
    if has_hmac {
        places.push(append(&mut octets, HMAC, HMAC_LEN as u8 - 2, 0));
    }
    (octets, places)
}

/// Appends a TLV, and says where it is.
fn append(octets: &mut Vec<u8>, kind: u8, len: u8, value: u8) -> Range<usize> {
    let start = octets.len();

    octets.push(kind);
    if kind != PAD1 {
        octets.push(len);
        octets.extend((0..len).map(|_| value));
    }
    start..octets.len()
}

/// Whether an SRH with these TLVs is valid.
fn is_valid(tlvs: &[u8]) -> bool {
    srh::is_valid(&srh(tlvs, 0), Form::Full)
}

/// Makes an SRH of one segment.
fn srh(tlvs: &[u8], flags: u8) -> Vec<u8> {
    let mut bytes = vec![59, (tlvs.len() / 8 + 2) as u8, 4, 0, 0, flags, 0, 0];

    bytes.extend([0xfc; 16]);
    bytes.extend(tlvs);
    bytes
}

/// Returns where each TLV is; `None` if the last one is incomplete.
pub(super) fn parse(octets: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut places = Vec::new();
    let mut start = 0;

    while start < octets.len() {
        let end = match octets[start] {
            PAD1 => start + 1,
            _ => start + 2 + usize::from(*octets.get(start + 1)?),
        };

        if end > octets.len() {
            return None;
        }
        places.push(start..end);
        start = end;
    }
    Some(places)
}
