// SPDX-License-Identifier: GPL-2.0-or-later

//! What becomes of a packet, and the only place where it leaves the module.

use crate::route::Lookup;
use kernel::{
    net::{
        lwtunnel::InputStatus,
        skbuff::{
            DropReason,
            OwnedSkBuff, //
        }, //
    },
    prelude::*,
    softirq::BhDisabled, //
};

/// The decision of a behavior about a packet that goes on.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Look up where it goes, and send it there.
    Forward(Lookup),
    /// Send it where the route that it carries says.
    KeepRoute,
}

impl Verdict {
    /// Sends the packet off.
    ///
    /// Replaces `input_action_end_finish()` and `input_action_end_x_finish()`. A packet without a
    /// usable route is discarded by the route that it gets, and counts as passed on.
    #[inline]
    pub(crate) fn execute(self, mut skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        if let Self::Forward(lookup) = self {
            // The route carries the error, and acts on it in `dst_input()`.
            let _ = lookup.attach(skb.as_mut(), bh);
        }
        InputStatus::new(skb.dst_input(bh))
    }
}

/// The decision to drop a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Discard {
    errno: Error,
    reason: DropReason,
}

impl Discard {
    /// The packet is not one that the behavior takes.
    pub(crate) const INVALID: Self = Self {
        errno: EINVAL,
        reason: DropReason::NOT_SPECIFIED,
    };

    /// The packet could not be made writable.
    const NO_MEMORY: Self = Self {
        errno: ENOMEM,
        reason: DropReason::NOMEM,
    };

    /// Drops the packet.
    #[cold]
    pub(crate) fn execute(self, skb: OwnedSkBuff) -> InputStatus {
        skb.free(self.reason);
        self.errno.into()
    }
}

impl From<Error> for Discard {
    #[cold]
    fn from(error: Error) -> Self {
        if error == ENOMEM {
            Self::NO_MEMORY
        } else {
            Self::INVALID
        }
    }
}
