// SPDX-License-Identifier: GPL-2.0-or-later

//! The counters of a SID.

use kernel::{
    net::{
        lwtunnel::InputStatus,
        stats::PerCpuStats, //
    },
    prelude::*,
    softirq::BhDisabled, //
};

const PACKETS: usize = 0;
const BYTES: usize = 1;
const ERRORS: usize = 2;

/// Packets and octets that were passed on, and packets that were not.
pub(crate) struct Counters(PerCpuStats<3>);

/// What counters show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Packets passed on.
    pub(crate) packets: u64,
    /// Octets of those packets, as they arrived, from the IPv6 header on.
    pub(crate) bytes: u64,
    /// Packets that ended with an error.
    pub(crate) errors: u64,
}

impl Counters {
    /// Creates counters that start at zero.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(PerCpuStats::new()?))
    }

    /// Counts a packet that arrived with `len` octets.
    ///
    /// Replaces `seg6_local_update_counters()`.
    #[inline]
    pub(crate) fn count(&self, len: u32, status: InputStatus, bh: &BhDisabled) {
        if status.is_ok() {
            self.0.add(bh, [(PACKETS, 1), (BYTES, len.into())]);
        } else {
            self.0.add(bh, [(ERRORS, 1)]);
        }
    }

    /// Returns the sums over all CPUs.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let [packets, bytes, errors] = self.0.sum();

        Snapshot {
            packets,
            bytes,
            errors,
        }
    }
}
