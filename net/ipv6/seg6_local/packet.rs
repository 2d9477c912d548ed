// SPDX-License-Identifier: GPL-2.0-or-later

//! A packet with an SRH, and what behaviors do to it.

use crate::{
    srh,
    srh::Form,
    verdict::Discard, //
};
use core::{
    marker::PhantomData,
    ops::Range, //
};
use kernel::{
    net::{
        ipv6,
        ipv6::Routing,
        skbuff::SkBuff, //
    },
    prelude::*,
    softirq::BhDisabled, //
};

/// Where the destination address is.
pub(crate) const DESTINATION: Range<usize> = 24..40;
/// Where the payload length is.
const PAYLOAD_LENGTH: Range<usize> = 4..6;

/// Where the SRH of a packet is: offset and length in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SrhSpan {
    /// From the start of the IPv6 header.
    pub(crate) offset: u16,
    /// At most [`srh::MAX_LEN`].
    pub(crate) len: u16,
}

impl SrhSpan {
    /// Finds the first routing header of the wanted kind, makes it linear and validates it; `None`
    /// if there is none, or one that is not a valid SRH.
    ///
    /// Replaces `seg6_get_srh()`.
    #[inline(always)]
    pub(crate) fn locate(skb: Pin<&mut SkBuff>, routing: Routing) -> Option<Self> {
        let offset = ipv6::find_header(&skb, ipv6::PROTO_ROUTING, routing).ok()?;

        Self::at(skb, offset)
    }

    /// Makes the routing header at `offset` linear and validates it; `None` if it is not a valid SRH.
    #[inline(always)]
    pub(crate) fn at(mut skb: Pin<&mut SkBuff>, offset: u32) -> Option<Self> {
        let offset = u16::try_from(offset).ok()?;
        // OVERFLOW: A 16-bit number and 8.
        let fixed_end = u32::from(offset) + srh::FIXED_LEN as u32;

        let data = skb.as_mut().may_pull(fixed_end).ok()?;
        let len = srh::stated_len(data.get(offset.into()..)?.first_chunk()?) as u16;
        let span = Self { offset, len };

        let data = skb.may_pull(span.end()).ok()?;
        srh::is_valid(data.get(span.range())?, Form::Reduced).then_some(span)
    }

    /// Returns the number of segments left.
    #[inline]
    fn segments_left(self, skb: &SkBuff) -> u8 {
        // OVERFLOW: A 16-bit number and 3.
        let at = usize::from(self.offset) + srh::SEGMENTS_LEFT;

        skb.data().get(at).copied().unwrap_or(0)
    }

    /// Returns where the SRH ends.
    #[inline]
    pub(crate) fn end(self) -> u32 {
        u32::from(self.offset) + u32::from(self.len)
    }

    /// Returns the SRH's place in the data of the packet.
    #[inline]
    fn range(self) -> Range<usize> {
        usize::from(self.offset)..self.end() as usize
    }
}

/// The packet has at least one segment left.
pub(crate) struct Active;
/// The next segment is the destination.
pub(crate) struct Advanced;

/// A packet with a valid SRH.
pub(crate) struct SrPacket<'a, State> {
    skb: Pin<&'a mut SkBuff>,
    srh: SrhSpan,
    segments_left: u8,
    _state: PhantomData<State>,
}

impl<'a> SrPacket<'a, Active> {
    /// Finds the SRH of a packet and checks its HMAC.
    ///
    /// With [`Routing::SegmentsLeft`] routing headers without segments left are passed over; with
    /// [`Routing::Any`] the first one counts. Replaces `get_and_validate_srh()`.
    #[inline(always)]
    pub(crate) fn find(
        mut skb: Pin<&'a mut SkBuff>,
        routing: Routing,
        bh: &BhDisabled,
    ) -> Result<Self, Discard> {
        let srh = SrhSpan::locate(skb.as_mut(), routing).ok_or(Discard::INVALID)?;
        let segments_left = srh.segments_left(&skb);

        if segments_left == 0 || !ipv6::hmac_is_acceptable(skb.as_mut(), srh.offset, bh) {
            return Err(Discard::INVALID);
        }
        Ok(Self {
            skb,
            srh,
            segments_left,
            _state: PhantomData,
        })
    }

    /// Finds the SRH of a packet and makes the next segment the destination; for behaviors that go on to
    /// what needs more of the stack.
    #[inline(never)]
    pub(crate) fn find_and_advance(
        skb: Pin<&mut SkBuff>,
        bh: &BhDisabled,
    ) -> Result<SrhSpan, Discard> {
        Ok(SrPacket::find(skb, Routing::SegmentsLeft, bh)?
            .advance()?
            .srh)
    }

    /// Returns where the SRH is.
    #[inline]
    pub(crate) fn srh(&self) -> SrhSpan {
        self.srh
    }

    /// Returns the number of segments left, at least 1.
    #[inline]
    pub(crate) fn segments_left(&self) -> u8 {
        self.segments_left
    }

    /// Makes the next segment the destination.
    ///
    /// RFC 8986, Section 4.1, S12 to S14. Replaces `advance_nextseg()`.
    #[inline(always)]
    pub(crate) fn advance(mut self) -> Result<SrPacket<'a, Advanced>, Discard> {
        let segments_left = self.segments_left.checked_sub(1).ok_or(Discard::INVALID)?;
        let segment = *self.next_segment(segments_left).ok_or(Discard::INVALID)?;
        // OVERFLOW: A 16-bit number and 4.
        let end = u32::from(self.srh.offset) + srh::SEGMENTS_LEFT as u32 + 1;

        self.skb.as_mut().modify(end, |data| {
            *data.last_mut()? = segments_left;
            data.get_mut(DESTINATION)?.copy_from_slice(&segment);
            Some(())
        })?;

        Ok(SrPacket {
            skb: self.skb,
            srh: self.srh,
            segments_left,
            _state: PhantomData,
        })
    }

    fn next_segment(&self, index: u8) -> Option<&[u8; 16]> {
        // OVERFLOW: At most 65535 + 8 + 255 * 16.
        let at = usize::from(self.srh.offset) + srh::segment_offset(index);

        self.skb.data().get(at..)?.first_chunk()
    }
}

impl<'a> SrPacket<'a, Advanced> {
    /// Removes the SRH.
    ///
    /// RFC 8986, Section 4.16.1, S14.1 to S14.4. Replaces `seg6_pop_srh()`.
    #[inline(never)]
    pub(crate) fn pop_srh(self) -> Result {
        let Self { mut skb, srh, .. } = self;
        let start = usize::from(srh.offset);
        let len = skb.len().checked_sub(srh.len.into()).ok_or(EINVAL)?;

        skb.as_mut().modify(srh.end(), |data| {
            let next_header = *data.get(start)?;
            let field = srh::announcing_field(data, start)?;
            *data.get_mut(field)? = next_header;
            set_payload_length(data, len)
        })?;
        skb.remove(srh.offset.into(), srh.len.into())
    }
}

/// Lets the IPv6 header say how long the packet is now.
pub(crate) fn update_payload_length(skb: Pin<&mut SkBuff>) -> Result {
    let len = skb.len();

    skb.modify(ipv6::HEADER_LEN.into(), |data| {
        set_payload_length(data, len)
    })
}

/// Lets the IPv6 header that `data` starts with say that the packet has `len` bytes.
///
/// A packet of more than 65575 bytes gets the low 16 bits, as from C.
#[inline]
fn set_payload_length(data: &mut [u8], len: u32) -> Option<()> {
    let len = len.checked_sub(ipv6::HEADER_LEN.into())?;

    data.get_mut(PAYLOAD_LENGTH)?
        .copy_from_slice(&(len as u16).to_be_bytes());
    Some(())
}
