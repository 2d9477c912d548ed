// SPDX-License-Identifier: GPL-2.0-or-later

//! The NEXT-C-SID flavor: compressed SIDs in an IPv6 destination address (RFC 9800, Section 4.1).
//!
//! ```text
//! +------------------------+-----------------------+---------------------+
//! |     Locator-Block      | Locator-Node Function |       Argument      |
//! +------------------------+-----------------------+---------------------+
//! <----- block octets -----><---- node octets -----><-- the rest of 16 -->
//! ```
//!
//! This module works on octets and integers only.

/// Octets of a container of compressed SIDs.
const CONTAINER_LEN: usize = 16;

/// The lengths of the parts of a container.
///
/// # Invariants
///
/// Both are multiples of 8 from 8 to 120, and their sum is at most 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    block_bits: u8,
    node_bits: u8,
}

impl Default for Lengths {
    /// Those that C uses if the administrator gives none.
    fn default() -> Self {
        // INVARIANT: 32 and 16.
        Self {
            block_bits: 32,
            node_bits: 16,
        }
    }
}

impl Lengths {
    /// Checks lengths in bits; `None` if they are out of range.
    ///
    /// Replaces `seg6_chk_next_csid_cfg()`.
    pub(crate) fn new(block_bits: u8, node_bits: u8) -> Option<Self> {
        let is_length = |bits: u8| (8..=120).contains(&bits) && bits & 7 == 0;
        let sum = u16::from(block_bits) + u16::from(node_bits);

        // INVARIANT: That is checked.
        (is_length(block_bits) && is_length(node_bits) && sum <= 128).then_some(Self {
            block_bits,
            node_bits,
        })
    }

    /// Returns the length of the Locator-Block in bits.
    pub(crate) fn block_bits(self) -> u8 {
        self.block_bits
    }

    /// Returns the length of the Locator-Node Function in bits.
    pub(crate) fn node_bits(self) -> u8 {
        self.node_bits
    }

    /// Returns the container with the first SID of its argument made active and zeros moved in;
    /// `None` if the argument is zero.
    ///
    /// RFC 9800, Section 4.1.1, N01 to N08. Replaces `seg6_next_csid_is_arg_zero()` and
    /// `seg6_next_csid_advance_arg()`.
    #[inline]
    pub(crate) fn advance(self, container: [u8; CONTAINER_LEN]) -> Option<[u8; CONTAINER_LEN]> {
        let (block_bits, node_bits) = (u32::from(self.block_bits), u32::from(self.node_bits));
        // OVERFLOW: By the type invariant the sum is at most 128, and all shifts here are shorter than
        // what they shift.
        let used_bits = block_bits + node_bits;
        let container = u128::from_be_bytes(container);

        if used_bits < 64 {
            // As 32 and 16 are; shifts of registers are fewer instructions.
            let (high, low) = ((container >> 64) as u64, container as u64);
            let argument = high & (u64::MAX >> used_bits);

            if argument == 0 && low == 0 {
                return None;
            }
            let block = high & !(u64::MAX >> block_bits);
            let high = block | (argument << node_bits) | (low >> (64 - node_bits));

            return Some(((u128::from(high) << 64) | u128::from(low << node_bits)).to_be_bytes());
        }
        let argument = container & !(u128::MAX << (128 - used_bits));

        if argument == 0 {
            return None;
        }
        let block = container & (u128::MAX << (128 - block_bits));
        Some((block | (argument << node_bits)).to_be_bytes())
    }
}

#[cfg(any(CONFIG_KUNIT = "y", test))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(seg6_local_csid))]
mod tests {
    use super::*;

    fn advance(block: u8, node: u8, container: [u8; 16]) -> Option<[u8; 16]> {
        Lengths::new(block, node).and_then(|lengths| lengths.advance(container))
    }

    #[test]
    fn lengths_are_checked() {
        for (block, node) in [(32, 16), (8, 8), (8, 120), (120, 8), (64, 64)] {
            assert!(Lengths::new(block, node).is_some());
        }
        for (block, node) in [
            (0, 16),
            (32, 0),
            (33, 16),
            (32, 12),
            (128, 8),
            (64, 72),
            (255, 255),
        ] {
            assert!(Lengths::new(block, node).is_none());
        }
        assert_eq!(Lengths::new(32, 16), Some(Lengths::default()));
    }

    #[test]
    fn the_argument_moves_up() {
        let before = [0xfc, 0, 0, 1, 0xaa, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

        assert_eq!(
            advance(32, 16, before),
            Some([0xfc, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0])
        );
        // The same where the argument starts in the lower half.
        assert_eq!(
            advance(48, 16, before),
            Some([0xfc, 0, 0, 1, 0xaa, 0xbb, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0])
        );
        assert_eq!(
            advance(8, 8, before),
            Some([0xfc, 0, 1, 0xaa, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0])
        );
    }

    #[test]
    fn a_zero_argument_ends_the_container() {
        let last = [0xfc, 0, 0, 1, 0xaa, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

        assert_eq!(advance(32, 16, last), None);
        assert_eq!(advance(48, 16, last), None);
        // There is no room for an argument.
        assert_eq!(advance(64, 64, last), None);
        assert_eq!(advance(8, 120, [0xff; 16]), None);
    }
}
