// SPDX-License-Identifier: GPL-2.0-or-later

//! What a packet needs when headers are removed from it or put around it.
//!
//! C header: [`include/net/ip_tunnels.h`](srctree/include/net/ip_tunnels.h)

use crate::{
    bindings,
    error::to_result,
    net::{
        ipv4,
        ipv6,
        skbuff::SkBuff, //
    },
    prelude::*,
};
use core::mem::offset_of;

/// What is inside of the headers that are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    /// An Ethernet frame.
    Ethernet,
    /// An IPv4 packet.
    Ipv4,
    /// An IPv6 packet.
    Ipv6,
}

impl Inner {
    /// Returns the protocol number that announces it.
    #[inline]
    pub fn protocol(self) -> u8 {
        match self {
            Self::Ethernet => bindings::IPPROTO_ETHERNET as u8,
            Self::Ipv4 => bindings::IPPROTO_IPIP as u8,
            Self::Ipv6 => bindings::IPPROTO_IPV6 as u8,
        }
    }

    /// Returns the length of its header without options.
    #[inline]
    fn least_len(self) -> u16 {
        match self {
            Self::Ethernet => bindings::ETH_HLEN as u16,
            Self::Ipv4 => ipv4::HEADER_LEN,
            Self::Ipv6 => ipv6::HEADER_LEN,
        }
    }

    /// Returns the lengths that a header states: its own and that of the packet; `None` if they
    /// contradict each other or the version is another one.
    #[inline]
    fn stated_lens(self, header: &[u8], is_gso: bool) -> Option<(u16, u32)> {
        match self {
            Self::Ethernet => Some((self.least_len(), self.least_len().into())),
            Self::Ipv4 => {
                let &[version_ihl, _, a, b, ..] = header.first_chunk::<20>()?;
                let header_len = u16::from(version_ihl & 0x0f) * 4;
                let total_len = match u16::from_be_bytes([a, b]) {
                    // Segments together may be longer than the field can say.
                    0 if is_gso => header_len,
                    len => len,
                };

                (version_ihl >> 4 == 4 && header_len >= 20 && total_len >= header_len)
                    .then_some((header_len, total_len.into()))
            }
            Self::Ipv6 => {
                let &[version_class, _, _, _, a, b, ..] = header.first_chunk::<40>()?;
                let payload_len = u32::from(u16::from_be_bytes([a, b]));

                // OVERFLOW: A 16-bit number and 40.
                (version_class >> 4 == 6).then_some((40, payload_len + 40))
            }
        }
    }

    /// Makes its header, behind the first `offset` octets, linear and returns the length of that.
    ///
    /// Fails with `EBADMSG` if it is incomplete or contradicts itself or the packet.
    #[inline]
    fn pull_header(self, mut skb: Pin<&mut SkBuff>, offset: u32) -> Result<u16> {
        let is_gso = skb.is_gso();
        let end = |header_len: u16| offset.checked_add(header_len.into()).ok_or(EBADMSG);
        let data = skb.as_mut().may_pull(end(self.least_len())?);
        let (header_len, len) = data
            .ok()
            .and_then(|data| self.stated_lens(data.get(offset as usize..)?, is_gso))
            .ok_or(EBADMSG)?;

        if skb.len().saturating_sub(offset) < len {
            return Err(EBADMSG);
        }
        if header_len != self.least_len() {
            skb.may_pull(end(header_len)?)?;
        }
        Ok(header_len)
    }

    /// Returns the ECN field of a header, `None` if it has none.
    #[inline]
    fn ecn(self, header: &[u8]) -> Option<u8> {
        let class = header.get(1)?;

        match self {
            Self::Ethernet => None,
            Self::Ipv4 => Some(class & 3),
            Self::Ipv6 => Some(class >> 4 & 3),
        }
    }

    /// Whether the packet inside has to say that the outer header, of IPv6, met congestion.
    ///
    /// Fails with `EBADMSG` if its sender would not understand: it has to be dropped then (RFC 6040,
    /// Section 4.2).
    #[inline]
    fn met_congestion(self, data: &[u8], offset: u32) -> Result<bool> {
        const NOT_ECT: u8 = 0;
        const CE: u8 = 3;

        if Self::Ipv6.ecn(data) != Some(CE) {
            return Ok(false);
        }
        match data
            .get(offset as usize..)
            .and_then(|header| self.ecn(header))
        {
            Some(NOT_ECT) => Err(EBADMSG),
            Some(_) => Ok(true),
            None => Ok(false),
        }
    }
}

/// Cuts the first `len` octets of a packet off, so that it starts with the header of `inner`.
///
/// The header is made linear and checked for its version and lengths; what the stack knows of the
/// packet, from its outer headers, is reset. The packet learns of congestion that its outer header, of
/// IPv6, met. Fails with `EBADMSG` if there is no such header and with `ENOMEM` if memory is short; the
/// packet is as before then.
///
/// # Examples
///
/// ```
/// use kernel::net::{skbuff::OwnedSkBuff, tunnel};
///
/// // An IPv4 packet behind eight other octets.
/// let mut packet = [0u8; 8 + 20];
/// packet[8] = 0x45;
/// packet[11] = 20;
/// let mut skb = OwnedSkBuff::with_data(&packet, 0, GFP_KERNEL)?;
///
/// assert_eq!(tunnel::decapsulate(skb.as_mut(), 8, tunnel::Inner::Ipv6), Err(EBADMSG));
/// tunnel::decapsulate(skb.as_mut(), 8, tunnel::Inner::Ipv4)?;
/// assert_eq!(skb.data(), &packet[8..]);
/// assert_eq!(skb.protocol(), 0x0800);
/// # Ok::<(), Error>(())
/// ```
#[inline]
pub fn decapsulate(mut skb: Pin<&mut SkBuff>, len: u32, inner: Inner) -> Result {
    // SAFETY: The control block is reset.
    unsafe { decapsulate_in_program(skb.as_mut(), len, inner) }?;
    reset_control(skb, inner);
    Ok(())
}

/// The same for a packet that a BPF program works on, which has the control block for itself.
///
/// # Safety
///
/// [`reset_control`] must be called when the program has ended, before the stack gets the packet: what
/// it finds there it takes for places in the packet.
pub unsafe fn decapsulate_in_program(mut skb: Pin<&mut SkBuff>, len: u32, inner: Inner) -> Result {
    let header_len = inner.pull_header(skb.as_mut(), len)?;
    let met_congestion = inner.met_congestion(skb.data(), len)?;

    if met_congestion {
        // OVERFLOW: The header is in the packet.
        skb.as_mut().ensure_writable(len + u32::from(header_len))?;
    }
    // SAFETY: The packet is valid and borrowed exclusively.
    to_result(unsafe { bindings::iptunnel_pull_offloads(skb.as_raw()) })?;
    skb.as_mut().pull_rcsum(len)?;
    skb.as_mut().set_network_header(match inner {
        Inner::Ethernet => header_len,
        Inner::Ipv4 | Inner::Ipv6 => 0,
    });
    skb.as_mut().set_transport_header(header_len);
    // SAFETY: The packet is valid and borrowed exclusively.
    unsafe { bindings::skb_clear_hash(skb.as_raw()) };
    match inner {
        Inner::Ethernet => {}
        Inner::Ipv4 => {
            skb.as_mut().leave_ipv4_out_of_sum(header_len);
            skb.as_mut().set_protocol(bindings::ETH_P_IP as u16);
        }
        Inner::Ipv6 => skb.as_mut().set_protocol(bindings::ETH_P_IPV6 as u16),
    }
    if met_congestion {
        // SAFETY: The packet is valid and borrowed exclusively; its header is linear and private.
        unsafe { bindings::INET_ECN_set_ce(skb.as_raw()) };
    }
    Ok(())
}

/// Lets the stack know nothing more from the outer headers of a packet that was decapsulated.
///
/// That is in the control block, which a BPF program has for itself while it runs.
#[inline]
pub fn reset_control(skb: Pin<&mut SkBuff>, inner: Inner) {
    match inner {
        Inner::Ethernet => {}
        Inner::Ipv4 => reset_ipv4_control(skb),
        Inner::Ipv6 => reset_ipv6_control(skb),
    }
}

/// Lets the IPv6 stack know nothing of the packet but where it came from.
#[inline]
fn reset_ipv6_control(skb: Pin<&mut SkBuff>) {
    // SAFETY: The packet is borrowed exclusively; the control block has room for the type, which
    // any octets are valid for.
    let control = unsafe { &mut *skb.control::<bindings::inet6_skb_parm>() };

    *control = bindings::inet6_skb_parm {
        iif: control.iif,
        flags: control.flags & bindings::IP6SKB_L3SLAVE as u16,
        nhoff: offset_of!(bindings::ipv6hdr, nexthdr) as u16,
        ..pin_init::zeroed()
    };
}

/// Lets the IPv4 stack know nothing of the packet but where it came from.
#[inline]
fn reset_ipv4_control(skb: Pin<&mut SkBuff>) {
    // SAFETY: As in `reset_ipv6_control()`.
    let old = unsafe { *skb.control::<bindings::inet6_skb_parm>() };
    // SAFETY: The packet is borrowed exclusively; the control block has room for the type, which
    // zeros are valid for.
    let control = unsafe {
        let control = skb.control::<bindings::inet_skb_parm>();

        control.write_bytes(0, 1);
        &mut *control
    };

    control.iif = old.iif;
    if u32::from(old.flags) & bindings::IP6SKB_L3SLAVE != 0 {
        control.flags = bindings::IPSKB_L3SLAVE;
    }
}

/// Lets `push` put an IPv6 header in front of a packet; segments that are still to be cut will have
/// the header, each.
///
/// Fails with the error of `push`, and with `ENOMEM` if memory is short. The packet is as before
/// then, if `push` left it so.
#[inline]
pub fn encapsulate(
    mut skb: Pin<&mut SkBuff>,
    push: impl FnOnce(Pin<&mut SkBuff>) -> Result,
) -> Result {
    let offloads = Offloads::read(&skb);

    prepare(skb.as_mut(), &offloads)
        .and_then(|()| push(skb.as_mut()))
        .inspect_err(|_| offloads.restore(skb))
}

/// What a packet says about a tunnel that it is in, for the device that cuts it into segments.
struct Offloads {
    is_encapsulated: bool,
    gso_type: c_uint,
}

impl Offloads {
    #[inline]
    fn read(skb: &SkBuff) -> Self {
        Self {
            // SAFETY: The packet is valid.
            is_encapsulated: unsafe { bindings::skb_get_encapsulation(skb.as_raw()) },
            // SAFETY: As above.
            gso_type: unsafe { bindings::skb_get_gso_type(skb.as_raw()) },
        }
    }

    #[cold]
    fn restore(&self, skb: Pin<&mut SkBuff>) {
        // SAFETY: The packet is valid and borrowed exclusively.
        unsafe { bindings::skb_set_encapsulation(skb.as_raw(), self.is_encapsulated) };
        if Self::read(&skb).gso_type != self.gso_type {
            // SAFETY: As above. `prepare()` made what is behind the data private to change this.
            unsafe { bindings::skb_set_gso_type(skb.as_raw(), self.gso_type) };
        }
    }
}

/// Prepares a packet for an IPv6 header that is about to be pushed in front of it.
///
/// Fails with `ENOMEM` if memory is short.
#[inline]
fn prepare(mut skb: Pin<&mut SkBuff>, before: &Offloads) -> Result {
    const GSO_TYPE: c_int = bindings::SKB_GSO_IPXIP6 as c_int;

    // SAFETY: The packet is valid and borrowed exclusively.
    to_result(unsafe { bindings::iptunnel_add_offloads(skb.as_raw(), GSO_TYPE) })?;
    if before.is_encapsulated {
        // What is known of the packet in the innermost tunnel stays right.
        return Ok(());
    }
    // SAFETY: As above.
    unsafe { bindings::skb_set_inner_protocol(skb.as_raw(), skb.protocol().to_be()) };
    if skb.is_gso() {
        set_inner_transport(skb.as_mut());
    }
    Ok(())
}

/// Tells where the transport header is, which for an IPv6 packet that was received is where the
/// first extension header is until now.
///
/// The stack reads a TCP header there without a check, so it is made linear; if that fails, the
/// place stays the one that the stack knew.
#[cold]
#[inline(never)]
fn set_inner_transport(mut skb: Pin<&mut SkBuff>) {
    let offset = match u32::from(skb.protocol()) {
        bindings::ETH_P_IPV6 => ipv6::find_transport(&skb).ok(),
        _ => None,
    };
    let Some(offset) = offset else { return };
    let tcp_end = offset.saturating_add(size_of::<bindings::tcphdr>() as u32);

    if skb.as_mut().may_pull(tcp_end).is_ok() {
        // SAFETY: The packet is valid and borrowed exclusively; the offset is in its linear part.
        unsafe { bindings::skb_set_inner_transport_header(skb.as_raw(), offset as c_int) };
    }
}
