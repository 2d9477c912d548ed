// SPDX-License-Identifier: GPL-2.0-or-later

//! The octets of a fuzzer, from which a check makes its case.

/// Octets that are taken from the front; behind the end are zeros.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Takes one octet.
    pub fn octet(&mut self) -> u8 {
        let [octet] = self.array();

        octet
    }

    /// Takes one octet as the answer to a question that is answered with yes in half of all cases.
    pub fn flag(&mut self) -> bool {
        self.octet() & 1 == 1
    }

    /// Takes a number of 16 bits.
    pub fn number(&mut self) -> usize {
        usize::from(u16::from_be_bytes(self.array()))
    }

    /// Takes `N` octets.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_at(self.0.len().min(N));
        let mut array = [0; N];

        array[..taken.len()].copy_from_slice(taken);
        self.0 = rest;
        array
    }

    /// Takes all octets that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Whether all octets were taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
