// SPDX-License-Identifier: GPL-2.0-or-later

//! The segment routing header on the wire (RFC 8754, Section 2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next Header   |  Hdr Ext Len  | Routing Type  | Segments Left |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Last Entry   |     Flags     |              Tag              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |            Segment List[0..=Last Entry], 16 octets each       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                    TLVs: type, length, value                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! This module works on octets and integers only.

/// Octets before the segment list.
pub(crate) const FIXED_LEN: usize = 8;
/// Octets of the longest SRH that the 8-bit header length can state.
pub(crate) const MAX_LEN: usize = 8 * 256;
/// Offset of the header length, in units of 8 octets without the first 8.
pub(crate) const HDR_LEN: usize = 1;
/// Offset of the routing type.
pub(crate) const TYPE: usize = 2;
/// Offset of the number of segments left.
pub(crate) const SEGMENTS_LEFT: usize = 3;
/// Offset of the last entry.
pub(crate) const LAST_ENTRY: usize = 4;
/// Offset of the flags.
pub(crate) const FLAGS: usize = 5;

/// The routing type of an SRH.
pub(crate) const ROUTING_TYPE: u8 = 4;
/// The flag of an SRH with an HMAC (`SR6_FLAG1_HMAC`).
const FLAG_HMAC: u8 = 8;
/// The type and the length of the TLV with an HMAC (RFC 8754, Section 2.1.2).
const HMAC_TLV: [u8; 2] = [5, 38];
/// Octets of the TLV with an HMAC.
const HMAC_TLV_LEN: usize = 40;
/// The type of the TLV that is one octet of padding, without a length (RFC 8754, Section 2.1.1.1).
const PAD1: u8 = 0;
/// Octets of one segment.
const SEGMENT_LEN: usize = 16;

/// Returns the length in octets that an SRH states in its first [`FIXED_LEN`] octets.
pub(crate) fn stated_len(fixed: &[u8; FIXED_LEN]) -> usize {
    // OVERFLOW: At most 256 * 8.
    (usize::from(fixed[HDR_LEN]) + 1) * 8
}

/// Returns the offset of the TLVs in an SRH with the given last entry.
pub(crate) fn tlvs_offset(last_entry: u8) -> usize {
    // OVERFLOW: At most 8 + 256 * 16.
    FIXED_LEN + (usize::from(last_entry) + 1) * SEGMENT_LEN
}

/// Returns the offset of the segment at `index` of the list.
pub(crate) fn segment_offset(index: u8) -> usize {
    // OVERFLOW: At most 8 + 255 * 16.
    FIXED_LEN + usize::from(index) * SEGMENT_LEN
}

/// Which SRHs are accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The segment list is complete.
    Full,
    /// The first segment may be left out of the list, as it is the destination address
    /// (RFC 8754, Section 4.1.1), so one more segment than listed may be left.
    Reduced,
}

/// What can be wrong with an SRH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There are not even the bytes before the segment list.
    Length,
    /// The routing type is another one.
    Type,
    /// The header length does not say the length.
    HdrLen,
    /// Not all segments up to the last entry are inside.
    LastEntry,
    /// There are fewer segments than are left.
    SegmentsLeft,
    /// The TLVs do not end where the header does.
    Tlvs,
}

impl Fault {
    /// Returns the fault as a message.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Length => "SRH is shorter than its header and a segment",
            Self::Type => "SRH has another routing type than 4",
            Self::HdrLen => "SRH is not as long as Hdr Ext Len says",
            Self::LastEntry => "Last Entry of the SRH is not among its segments",
            Self::SegmentsLeft => "Segments Left of the SRH exceeds Last Entry",
            Self::Tlvs => "TLVs of the SRH do not end where it ends",
        }
    }
}

/// Whether `bytes` are a valid SRH from the first to the last octet: of the length that it states,
/// with all segments up to the last entry, and complete TLVs behind them.
///
/// Replaces `seg6_validate_srh()`.
pub(crate) fn is_valid(bytes: &[u8], form: Form) -> bool {
    validate(bytes, form).is_ok()
}

/// The same, with the first fault that is found.
#[inline(always)]
pub(crate) fn validate(bytes: &[u8], form: Form) -> Result<(), Fault> {
    let fixed = bytes.first_chunk::<FIXED_LEN>().ok_or(Fault::Length)?;
    let &[_, hdr_len, routing_type, segments_left, last_entry, ..] = fixed;
    let most_left = match form {
        Form::Full => u16::from(last_entry),
        Form::Reduced => u16::from(last_entry) + 1,
    };

    if routing_type != ROUTING_TYPE {
        return Err(Fault::Type);
    }
    if stated_len(fixed) != bytes.len() {
        return Err(Fault::HdrLen);
    }
    if u16::from(last_entry) >= u16::from(hdr_len / 2) {
        return Err(Fault::LastEntry);
    }
    if u16::from(segments_left) > most_left {
        return Err(Fault::SegmentsLeft);
    }
    match bytes.get(tlvs_offset(last_entry)..) {
        Some(tlvs) if tlvs_are_complete(tlvs) => Ok(()),
        _ => Err(Fault::Tlvs),
    }
}

/// Whether `tlvs` is a sequence of TLVs without a rest.
fn tlvs_are_complete(mut tlvs: &[u8]) -> bool {
    loop {
        tlvs = match tlvs {
            [] => return true,
            [PAD1, rest @ ..] => rest,
            [_type, len, value @ ..] => match value.get(usize::from(*len)..) {
                Some(rest) => rest,
                None => return false,
            },
            [_type] => return false,
        }
    }
}

/// Whether the valid SRH `bytes` asks for no HMAC, or has the TLV for it as its last.
///
/// `seg6_push_hmac()` writes the HMAC to the end of the header, whatever is there.
#[inline]
pub(crate) fn is_signable(bytes: &[u8]) -> bool {
    let (Some(&flags), Some(&last_entry)) = (bytes.get(FLAGS), bytes.get(LAST_ENTRY)) else {
        return false;
    };
    let last = bytes
        .get(tlvs_offset(last_entry)..)
        .and_then(|tlvs| tlvs.split_at_checked(tlvs.len().checked_sub(HMAC_TLV_LEN)?));

    flags & FLAG_HMAC == 0
        || last.is_some_and(|(tlvs, hmac)| hmac.starts_with(&HMAC_TLV) && tlvs_are_complete(tlvs))
}

/// Returns the offset of the Next Header field that announces the header at `header`, where
/// `bytes` starts with an IPv6 header; `None` if the extension headers do not lead there, or by a
/// fragment or authentication header that is not the last before it.
///
/// Replaces the walk in `seg6_pop_srh()`.
pub(crate) fn announcing_field(bytes: &[u8], header: usize) -> Option<usize> {
    const IPV6_NEXT_HEADER: usize = 6;
    const IPV6_LEN: usize = 40;
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION: u8 = 60;

    let mut field = IPV6_NEXT_HEADER;
    let mut at = IPV6_LEN;

    while at < header {
        let kind = *bytes.get(field)?;
        let &[_, len] = bytes.get(at..)?.first_chunk()?;

        field = at;
        at = at.checked_add(match kind {
            HOP_BY_HOP | ROUTING | DESTINATION => (usize::from(len) + 1) * 8,
            FRAGMENT => 8,
            AUTHENTICATION => (usize::from(len) + 2) * 4,
            _ => return None,
        })?;
        if matches!(kind, FRAGMENT | AUTHENTICATION) && at != header {
            return None;
        }
    }
    (at == header && *bytes.get(field)? == ROUTING).then_some(field)
}

#[cfg(any(CONFIG_KUNIT = "y", test))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(seg6_local_srh))]
mod tests {
    use super::*;

    /// Returns an SRH of `segments` segments and the given TLVs, padded to `N`.
    fn srh<const N: usize>(segments_left: u8, last_entry: u8, tlvs: &[u8]) -> [u8; N] {
        let mut bytes = [0; N];

        bytes[1] = (N / 8 - 1) as u8;
        bytes[2] = ROUTING_TYPE;
        bytes[3] = segments_left;
        bytes[4] = last_entry;
        for (to, from) in bytes.iter_mut().skip(tlvs_offset(last_entry)).zip(tlvs) {
            *to = *from;
        }
        bytes
    }

    #[test]
    fn accepts_complete_headers() {
        assert!(is_valid(&srh::<24>(0, 0, &[]), Form::Full));
        assert!(is_valid(&srh::<40>(1, 1, &[]), Form::Full));
        assert!(is_valid(&srh::<48>(1, 1, &[6, 6]), Form::Full));
        assert!(is_valid(&srh::<48>(1, 1, &[1, 0, 2, 0, 3, 2]), Form::Full));
    }

    #[test]
    fn one_more_segment_is_left_in_the_reduced_form() {
        let bytes = srh::<40>(2, 1, &[]);

        assert!(!is_valid(&bytes, Form::Full));
        assert!(is_valid(&bytes, Form::Reduced));
        assert!(!is_valid(&srh::<40>(3, 1, &[]), Form::Reduced));
    }

    #[test]
    fn refuses_wrong_lengths() {
        let bytes = srh::<40>(1, 1, &[]);

        for len in 0..40 {
            assert!(!is_valid(&bytes[..len], Form::Full));
        }
        assert!(!is_valid(&srh::<8>(0, 0, &[]), Form::Full));
        // The last entry is outside.
        assert!(!is_valid(&srh::<40>(0, 2, &[]), Form::Full));
        assert!(!is_valid(&srh::<40>(0, 255, &[]), Form::Full));
    }

    #[test]
    fn refuses_another_routing_type() {
        let mut bytes = srh::<40>(1, 1, &[]);

        bytes[2] = 3;
        assert!(!is_valid(&bytes, Form::Full));
    }

    #[test]
    fn refuses_incomplete_tlvs() {
        // A value past the end, and a single octet that is no TLV.
        assert!(!is_valid(&srh::<48>(1, 1, &[6, 7]), Form::Full));
        assert!(!is_valid(
            &srh::<48>(1, 1, &[6, 5, 0, 0, 0, 0, 0, 1]),
            Form::Full
        ));
    }

    #[test]
    fn pad1_has_no_length() {
        assert!(is_valid(
            &srh::<48>(1, 1, &[6, 5, 0, 0, 0, 0, 0, PAD1]),
            Form::Full
        ));
        assert!(is_valid(&srh::<48>(1, 1, &[PAD1, 6, 5]), Form::Full));
        assert!(!is_valid(&srh::<48>(1, 1, &[PAD1, 6, 6]), Form::Full));
    }

    #[test]
    fn the_first_fault_is_told() {
        let fault = |bytes: &[u8]| validate(bytes, Form::Full).err();
        let mut bytes = srh::<48>(2, 2, &[6, 7]);

        assert_eq!(fault(&bytes[..7]), Some(Fault::Length));
        bytes[2] = 3;
        assert_eq!(fault(&bytes[..40]), Some(Fault::Type));
        bytes[2] = ROUTING_TYPE;
        assert_eq!(fault(&bytes[..40]), Some(Fault::HdrLen));
        assert_eq!(fault(&bytes), Some(Fault::LastEntry));
        bytes[4] = 1;
        assert_eq!(fault(&bytes), Some(Fault::SegmentsLeft));
        bytes[3] = 1;
        bytes[40..42].copy_from_slice(&[6, 7]);
        assert_eq!(fault(&bytes), Some(Fault::Tlvs));
        bytes[41] = 6;
        assert_eq!(fault(&bytes), None);
    }

    #[test]
    fn only_the_last_tlv_is_signed() {
        let mut bytes = srh::<72>(0, 0, &[6, 6]);

        assert!(is_signable(&bytes));
        bytes[FLAGS] = FLAG_HMAC;
        assert!(!is_signable(&bytes));
        bytes[32..34].copy_from_slice(&HMAC_TLV);
        assert!(is_signable(&bytes));
        // The TLV before ends in what looks like the last one.
        bytes[25] = 7;
        assert!(is_valid(&bytes, Form::Full));
        assert!(!is_signable(&bytes));
        assert!(!is_signable(&srh::<24>(0, 0, &[])[..4]));
    }

    #[test]
    fn the_announcing_field_is_found() {
        let mut bytes = [0u8; 96];

        bytes[6] = 43;
        assert_eq!(announcing_field(&bytes, 40), Some(6));
        // Behind destination options of 16 octets.
        bytes[6] = 60;
        bytes[40] = 43;
        bytes[41] = 1;
        assert_eq!(announcing_field(&bytes, 56), Some(40));
        assert_eq!(announcing_field(&bytes, 48), None);
        // Behind a fragment header, which must be the last.
        bytes[6] = 44;
        assert_eq!(announcing_field(&bytes, 48), Some(40));
        bytes[40] = 60;
        bytes[48] = 43;
        assert_eq!(announcing_field(&bytes, 56), None);
        // Behind an authentication header of 12 octets.
        bytes[6] = 51;
        bytes[40] = 43;
        bytes[41] = 1;
        assert_eq!(announcing_field(&bytes, 52), Some(40));
        // Behind what is no extension header.
        bytes[6] = 17;
        assert_eq!(announcing_field(&bytes, 48), None);
        assert_eq!(announcing_field(&bytes[..40], 56), None);
    }
}
