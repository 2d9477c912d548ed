// SPDX-License-Identifier: GPL-2.0-or-later

//! Which field announces a routing header behind other extension headers (RFC 8200, Section 4).
//!
//! The packet is made header by header, so where everything is needs no parser to know.

use super::Target;
use crate::{
    input::Input,
    srh, //
};

pub(super) const TARGET: Target = Target {
    name: "chain",
    classes: &[FOUND, NO_HEADER, NO_ROUTING, NOT_REACHED, CUT],
    check,
};

const FOUND: &str = "announced";
const NO_HEADER: &str = "no start of a header";
const NO_ROUTING: &str = "another header";
const NOT_REACHED: &str = "behind a header that must be the last";
const CUT: &str = "behind the end of the packet";

/// Most extension headers of a packet.
const MOST: usize = 6;

/// How a header can be passed.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    /// To any header.
    Free,
    /// Only to the header that is looked for.
    Last,
    /// Not at all: it is no extension header.
    Never,
}

/// A header of the packet.
struct Header {
    /// Its number.
    kind: u8,
    /// Where it is.
    at: usize,
    /// Where its number is.
    field: usize,
    /// How it can be passed.
    pass: Pass,
}

fn check(input: &mut Input<'_>) -> &'static str {
    let cut = input.flag().then(|| input.number());
    let place = input.number();
    let exact = input.flag();
    let (mut packet, headers) = make(input);
    let at = match exact {
        true => headers[place % headers.len()].at,
        false => place % (packet.len() + 16),
    };

    if let Some(cut) = cut {
        packet.truncate(cut % packet.len());
    }
    let field = srh::announcing_field(&packet, at);
    let expected = expected(packet.len(), &headers, at);

    assert_eq!(field, expected.ok(), "header at {at} of {packet:x?}");
    expected.err().unwrap_or(FOUND)
}

/// Makes a packet, and says what is in it; the last header has no octets.
fn make(input: &mut Input<'_>) -> (Vec<u8>, Vec<Header>) {
    let mut packet = vec![0; 40];
    let mut headers: Vec<Header> = Vec::new();

    loop {
        let [choice, len, filler] = input.array();
        let kind = match choice % 8 {
            0 => 0,
            1..=3 => 43,
            4 => 44,
            5 => 51,
            6 => 60,
            _ => choice,
        };
        let (pass, octets) = match kind {
            0 | 43 | 60 => (Pass::Free, 8 * (1 + usize::from(len))),
            44 => (Pass::Last, 8),
            51 => (Pass::Last, 4 * (2 + usize::from(len))),
            _ => (Pass::Never, 8),
        };
        let (at, field) = (packet.len(), headers.last().map_or(6, |header| header.at));

        packet[field] = kind;
        headers.push(Header {
            kind,
            at,
            field,
            pass,
        });
        if input.is_empty() || headers.len() > MOST {
            return (packet, headers);
        }
        packet.resize(at + octets, filler);
        packet[at + 1] = len;
    }
}

/// Returns the field that announces a routing header at `at`, or why none does, if `len` octets of
/// the packet are left.
fn expected(len: usize, headers: &[Header], at: usize) -> Result<usize, &'static str> {
    let index = headers
        .iter()
        .position(|header| header.at == at)
        .ok_or(NO_HEADER)?;
    let (found, before) = (&headers[index], &headers[..index]);
    let may_pass = |(position, header): (usize, &Header)| match header.pass {
        Pass::Free => true,
        Pass::Last => position + 1 == index,
        Pass::Never => false,
    };

    if found.field >= len || before.iter().any(|header| header.at + 2 > len) {
        Err(CUT)
    } else if !before.iter().enumerate().all(may_pass) {
        Err(NOT_REACHED)
    } else if found.kind != 43 {
        Err(NO_ROUTING)
    } else {
        Ok(found.field)
    }
}
