// SPDX-License-Identifier: GPL-2.0-or-later

//! What becomes of a packet, and the only place where it leaves the module.

use crate::route::Ipv4Lookup;
use kernel::{
    net::{
        device::NetDevice,
        ipv6::{
            LocalDelivery,
            Lookup, //
        },
        l3mdev::Family,
        lwtunnel,
        lwtunnel::InputStatus,
        skbuff::{
            DropReason,
            OwnedSkBuff, //
        }, //
    },
    prelude::*,
    softirq::BhDisabled,
    uapi, //
};

/// Does to the packet what was decided.
///
/// Inline, so that nothing is left of a decision that is always the same; what is done after it is
/// the last that the caller does, so its stack is free again by then.
#[inline(always)]
pub(crate) fn execute(
    decision: Result<Verdict<'_>, Discard>,
    skb: OwnedSkBuff,
    bh: &BhDisabled,
) -> InputStatus {
    match decision {
        Ok(verdict) => verdict.execute(skb, bh),
        Err(discard) => discard.execute(skb),
    }
}

/// The decision of a behavior about a packet that goes on.
pub(crate) enum Verdict<'a> {
    /// Look up where it goes, and send it there.
    Forward(Lookup<'a>),
    /// The same for an IPv4 packet.
    ForwardIpv4(Ipv4Lookup),
    /// Send it where the route that it carries says.
    KeepRoute,
    /// Send it, an Ethernet frame, from this device.
    Transmit(&'a NetDevice),
    /// Let this VRF device receive it.
    Receive(&'a NetDevice, Family),
    /// Let netfilter look at it before it is routed.
    Prerouting(Family),
}

impl Verdict<'_> {
    /// Sends the packet off.
    ///
    /// A packet without a usable route of IPv6 is discarded by the route that it gets, and counts as
    /// passed on.
    #[inline(always)]
    fn execute(self, skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        match self {
            Self::Forward(lookup) => InputStatus::new(lookup.forward(skb, bh)),
            Self::ForwardIpv4(lookup) => lookup.forward(skb, bh),
            Self::KeepRoute => InputStatus::new(skb.dst_input(bh)),
            Self::Transmit(dev) => InputStatus::new(skb.transmit(dev, bh)),
            Self::Receive(dev, family) => receive(skb, dev, family, bh),
            Self::Prerouting(family) => prerouting(skb, family, bh),
        }
    }
}

/// Lets netfilter look at a packet before it is routed.
#[cold]
fn prerouting(skb: OwnedSkBuff, family: Family, bh: &BhDisabled) -> InputStatus {
    let family = match family {
        Family::Ipv4 => uapi::NFPROTO_IPV4,
        Family::Ipv6 => uapi::NFPROTO_IPV6,
    };

    lwtunnel::prerouting(skb, family as u8, bh)
}

/// Lets a VRF receive a packet, and routes it by the table of that.
#[inline]
fn receive(skb: OwnedSkBuff, dev: &NetDevice, family: Family, bh: &BhDisabled) -> InputStatus {
    match (skb.receive_l3(dev, family, bh), family) {
        (Ok(Some(skb)), Family::Ipv4) => Ipv4Lookup::default().forward(skb, bh),
        (Ok(Some(skb)), Family::Ipv6) => {
            let lookup = Lookup {
                local: LocalDelivery::Allow,
                ..Lookup::default()
            };

            InputStatus::new(lookup.forward(skb, bh))
        }
        (Ok(None), _) => InputStatus::new(0),
        (Err(error), _) => error.into(),
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

    /// Drops a packet with this error, whose reason C does not tell.
    pub(crate) fn unspecified(errno: Error) -> Self {
        Self {
            errno,
            ..Self::INVALID
        }
    }

    /// Drops the packet.
    #[cold]
    #[inline(never)]
    fn execute(self, skb: OwnedSkBuff) -> InputStatus {
        skb.free(self.reason);
        self.errno.into()
    }
}

impl From<Error> for Discard {
    #[cold]
    fn from(errno: Error) -> Self {
        let reason = if errno == ENOMEM {
            DropReason::NOMEM
        } else {
            DropReason::NOT_SPECIFIED
        };

        Self { errno, reason }
    }
}
