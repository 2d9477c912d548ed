// SPDX-License-Identifier: GPL-2.0-or-later

//! What becomes of a packet, and the only place where it leaves the module.

use crate::{
    route::{
        Ipv4Lookup,
        LocalDelivery,
        Lookup, //
    }, //
};
use kernel::{
    net::{
        device::NetDevice,
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
#[inline]
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
pub(crate) enum Verdict<'bh> {
    /// Look up where it goes, and send it there.
    Forward(Lookup),
    /// The same for an IPv4 packet.
    ForwardIpv4(Ipv4Lookup),
    /// Send it where the route that it carries says.
    KeepRoute,
    /// Send it, an Ethernet frame, from this device.
    Transmit(&'bh NetDevice),
    /// Let this VRF device receive it.
    Receive(&'bh NetDevice, Family),
    /// Let netfilter look at it before it is routed.
    Prerouting(Family),
}

impl Verdict<'_> {
    /// Sends the packet off.
    #[inline]
    fn execute(self, mut skb: OwnedSkBuff, bh: &BhDisabled) -> InputStatus {
        match self {
            Self::Forward(lookup) => return forward(skb, lookup, bh),
            Self::ForwardIpv4(lookup) => {
                if let Err(discard) = lookup.attach(skb.as_mut(), bh) {
                    return discard.execute(skb);
                }
            }
            Self::KeepRoute => {}
            Self::Transmit(dev) => return InputStatus::new(skb.transmit(dev, bh)),
            Self::Receive(dev, family) => return receive(skb, dev, family, bh),
            Self::Prerouting(family) => return prerouting(skb, family, bh),
        }
        InputStatus::new(skb.dst_input(bh))
    }
}

/// Looks up where an IPv6 packet goes, and sends it there.
///
/// A packet without a usable route is discarded by the route that it gets, and counts as passed on.
#[inline]
fn forward(mut skb: OwnedSkBuff, lookup: Lookup, bh: &BhDisabled) -> InputStatus {
    // The route carries the error, and acts on it in `dst_input()`.
    let _ = lookup.attach(skb.as_mut(), bh);

    InputStatus::new(skb.dst_input(bh))
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
fn receive(skb: OwnedSkBuff, dev: &NetDevice, family: Family, bh: &BhDisabled) -> InputStatus {
    let verdict = match family {
        Family::Ipv4 => Verdict::ForwardIpv4(Ipv4Lookup::default()),
        Family::Ipv6 => Verdict::Forward(Lookup {
            local: LocalDelivery::Allow,
            ..Lookup::default()
        }),
    };

    match skb.receive_l3(dev, family, bh) {
        Ok(Some(skb)) => verdict.execute(skb, bh),
        Ok(None) => InputStatus::new(0),
        Err(error) => error.into(),
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

    /// Drops the packet.
    #[cold]
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

impl From<DropReason> for Discard {
    #[cold]
    fn from(reason: DropReason) -> Self {
        Self {
            reason,
            ..Self::INVALID
        }
    }
}
