// SPDX-License-Identifier: GPL-2.0-or-later

//! Flavors of the End behaviors (RFC 8986, Section 4.16; RFC 9800, Section 4.1).
//!
//! This module works on octets and integers only.

use crate::csid::Lengths;

/// A set of flavors, one bit for each, as netlink has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flavors {
    operations: u32,
    csid: Option<Lengths>,
}

impl Flavors {
    /// Penultimate segment pop of the SRH.
    pub(crate) const PSP: u32 = 1 << 1;
    /// Compressed SIDs.
    pub(crate) const NEXT_CSID: u32 = 1 << 4;

    /// Creates a set; the lengths count only if [`Flavors::NEXT_CSID`] is in it.
    pub(crate) fn new(operations: u32, lengths: Lengths) -> Self {
        Self {
            operations,
            csid: (operations & Self::NEXT_CSID != 0).then_some(lengths),
        }
    }

    /// Returns the bits.
    pub(crate) fn operations(self) -> u32 {
        self.operations
    }

    /// Returns the lengths of the NEXT-C-SID flavor, `None` if it is not set.
    pub(crate) fn csid(self) -> Option<Lengths> {
        self.csid
    }

    /// Whether the PSP flavor is set.
    pub(crate) fn has_psp(self) -> bool {
        self.operations & Self::PSP != 0
    }
}

/// What an End behavior does with the SRH after it has advanced to the next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SrhFate {
    /// It stays in the packet.
    Keep,
    /// It is removed (RFC 8986, Section 4.16.1, S14.1 to S14.4).
    Pop,
}

/// Decides on the SRH of a packet that arrived with `segments_left` segments left, at least 1.
///
/// Replaces `flv8986_act_tbl`.
pub(crate) fn srh_fate(flavors: Flavors, segments_left: u8) -> SrhFate {
    if flavors.has_psp() && segments_left == 1 {
        SrhFate::Pop
    } else {
        SrhFate::Keep
    }
}

#[cfg(any(CONFIG_KUNIT = "y", test))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(seg6_local_flavors))]
mod tests {
    use super::*;

    #[test]
    fn lengths_belong_to_next_csid() {
        assert_eq!(Flavors::new(Flavors::PSP, Lengths::default()).csid(), None);
        assert_eq!(
            Flavors::new(Flavors::NEXT_CSID, Lengths::default()).csid(),
            Some(Lengths::default())
        );
    }

    #[test]
    fn psp_pops_at_the_penultimate_segment() {
        let none = Flavors::default();
        let psp = Flavors::new(Flavors::PSP, Lengths::default());
        let both = Flavors::new(Flavors::PSP | Flavors::NEXT_CSID, Lengths::default());

        for (flavors, segments_left, fate) in [
            (none, 1, SrhFate::Keep),
            (none, 2, SrhFate::Keep),
            (psp, 1, SrhFate::Pop),
            (psp, 2, SrhFate::Keep),
            (psp, 255, SrhFate::Keep),
            (both, 1, SrhFate::Pop),
        ] {
            assert_eq!(srh_fate(flavors, segments_left), fate);
        }
    }
}
