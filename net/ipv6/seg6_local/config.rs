// SPDX-License-Identifier: GPL-2.0-or-later

//! Netlink: attributes to behaviors. The way back is [`crate::dump`].
//!
//! Required attributes are parsed in the order of their numbers, then optional ones, so that a
//! request with several faults fails as in C. Attributes that a behavior does not know are ignored.

use crate::{
    attr,
    behavior::{
        Behavior,
        End,
        EndB6,
        EndBpf,
        EndDt4,
        EndDt46,
        EndDt6,
        EndDx2,
        EndDx4,
        EndDx6,
        EndT,
        EndX,
        Vrf, //
    },
    counters::Counters,
    csid::Lengths,
    encap::Encapsulation,
    flavors::Flavors,
    srh,
    srh::Form,
    Sid, //
};
use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};
use kernel::{
    bpf::{
        Prog,
        ProgType, //
    },
    net::{
        device::Namespace,
        lwtunnel::Request,
        nlattr::{
            Attr,
            Attrs,
            ExtAck,
            Policy,
            Rule, //
        }, //
    },
    prelude::*,
    str::CString,
    uapi, //
};

/// Octets of the name of a program, without its end.
pub(crate) const MAX_PROG_NAME: u16 = 256;
/// Octets of an SRH with one segment.
const MIN_SRH: usize = 24;

static POLICY: Policy<{ attr::N }> = Policy::new([
    (attr::ACTION, Rule::U32),
    (attr::SRH, Rule::BINARY),
    (attr::TABLE, Rule::U32),
    (attr::VRFTABLE, Rule::U32),
    (attr::NH4, Rule::exact_len(4)),
    (attr::NH6, Rule::exact_len(16)),
    (attr::IIF, Rule::U32),
    (attr::OIF, Rule::U32),
    (attr::BPF, Rule::NESTED),
    (attr::COUNTERS, Rule::NESTED),
    (attr::FLAVORS, Rule::NESTED),
]);

static BPF_POLICY: Policy<{ attr::N_BPF }> = Policy::new([
    (attr::BPF_PROG, Rule::U32),
    (attr::BPF_PROG_NAME, Rule::nul_string(MAX_PROG_NAME)),
]);

static COUNTERS_POLICY: Policy<{ attr::N_COUNTERS }> = Policy::new([
    (attr::CNT_PACKETS, Rule::U64),
    (attr::CNT_BYTES, Rule::U64),
    (attr::CNT_ERRORS, Rule::U64),
]);

static FLAVORS_POLICY: Policy<{ attr::N_FLAVORS }> = Policy::new([
    (attr::FLV_OPERATION, Rule::U32),
    (attr::FLV_LCBLOCK_BITS, Rule::U8),
    (attr::FLV_LCNODE_FN_BITS, Rule::U8),
]);

/// Creates a SID from a request.
///
/// Replaces `seg6_local_build_state()` and `parse_nla_action()`.
pub(crate) fn parse(request: &Request<'_>) -> Result<Sid> {
    if !request.is_ipv6 {
        return Err(EINVAL);
    }
    let extack = request.extack;
    let attrs = request.attrs.parse_nested(&POLICY, extack)?;
    let action = attrs.require(attr::ACTION)?.u32()?;

    let draft = parse_required(action, &attrs)?;
    let counters = attrs.find(attr::COUNTERS).map(parse_counters).transpose()?;
    let flavors = |supported| {
        attrs
            .find(attr::FLAVORS)
            .map(|nest| parse_flavors(nest, supported, extack))
            .transpose()
    };
    let vrf = || parse_vrf(&attrs, request.net, extack);
    let behavior = match draft {
        Draft::Complete(behavior) => behavior,
        Draft::End => Behavior::End(End {
            flavors: flavors(Flavors::PSP | Flavors::NEXT_CSID)?,
        }),
        Draft::EndX { next_hop, oif } => Behavior::EndX(EndX {
            next_hop,
            oif,
            flavors: flavors(Flavors::NEXT_CSID)?,
        }),
        Draft::EndDt4 => Behavior::EndDt4(EndDt4 { vrf: vrf()? }),
        Draft::EndDt6 => Behavior::EndDt6(parse_end_dt6(&attrs, request.net, extack)?),
        Draft::EndDt46 => Behavior::EndDt46(EndDt46 { vrf: vrf()? }),
    };
    Ok(Sid { behavior, counters })
}

/// A behavior as far as it is known from the attributes numbered below the counters.
enum Draft {
    Complete(Behavior),
    /// May have flavors.
    End,
    /// May have flavors.
    EndX {
        next_hop: Ipv6Addr,
        oif: Option<u32>,
    },
    /// Has a table to be found.
    EndDt4,
    /// Has a table to be found.
    EndDt6,
    /// Has a table to be found.
    EndDt46,
}

/// Parses the action with the attributes that it requires, and those numbered below the counters.
fn parse_required(action: u32, attrs: &Attrs<'_, { attr::N }>) -> Result<Draft> {
    let behavior = match action {
        uapi::SEG6_LOCAL_ACTION_END => return Ok(Draft::End),
        uapi::SEG6_LOCAL_ACTION_END_X => {
            return Ok(Draft::EndX {
                next_hop: Ipv6Addr::from(attrs.require(attr::NH6)?.array::<16>()?),
                oif: attrs.find(attr::OIF).map(Attr::u32).transpose()?,
            });
        }
        uapi::SEG6_LOCAL_ACTION_END_T => Behavior::EndT(EndT {
            table: attrs.require(attr::TABLE)?.u32()?,
        }),
        uapi::SEG6_LOCAL_ACTION_END_DX2 => Behavior::EndDx2(EndDx2 {
            oif: attrs.require(attr::OIF)?.u32()?,
        }),
        uapi::SEG6_LOCAL_ACTION_END_DX6 => Behavior::EndDx6(EndDx6 {
            next_hop: Ipv6Addr::from(attrs.require(attr::NH6)?.array::<16>()?),
        }),
        uapi::SEG6_LOCAL_ACTION_END_DX4 => Behavior::EndDx4(EndDx4 {
            next_hop: Ipv4Addr::from(attrs.require(attr::NH4)?.array::<4>()?),
        }),
        uapi::SEG6_LOCAL_ACTION_END_DT6 => return Ok(Draft::EndDt6),
        uapi::SEG6_LOCAL_ACTION_END_DT4 => {
            return attrs.require(attr::VRFTABLE).map(|_| Draft::EndDt4);
        }
        uapi::SEG6_LOCAL_ACTION_END_DT46 => {
            return attrs.require(attr::VRFTABLE).map(|_| Draft::EndDt46);
        }
        uapi::SEG6_LOCAL_ACTION_END_B6 => Behavior::EndB6(EndB6 {
            srh: parse_srh(attrs.require(attr::SRH)?)?,
            encapsulation: Encapsulation::Insert,
        }),
        uapi::SEG6_LOCAL_ACTION_END_B6_ENCAP => Behavior::EndB6(EndB6 {
            srh: parse_srh(attrs.require(attr::SRH)?)?,
            encapsulation: Encapsulation::Push,
        }),
        uapi::SEG6_LOCAL_ACTION_END_BPF => Behavior::EndBpf(parse_bpf(attrs.require(attr::BPF)?)?),
        _ => return Err(EINVAL),
    };

    Ok(Draft::Complete(behavior))
}

/// Replaces `seg6_end_dt6_build()`.
fn parse_end_dt6(
    attrs: &Attrs<'_, { attr::N }>,
    net: &Namespace,
    extack: Option<&ExtAck>,
) -> Result<EndDt6> {
    match (attrs.find(attr::TABLE), attrs.find(attr::VRFTABLE)) {
        (Some(table), None) => Ok(EndDt6::Table(table.u32()?)),
        (None, Some(_)) => Ok(EndDt6::Vrf(parse_vrf(attrs, net, extack)?)),
        _ => Err(fail(extack, c"table or vrftable must be specified", EINVAL)),
    }
}

/// Finds the VRF that has the requested table. Replaces `__seg6_end_dt_vrf_build()`.
fn parse_vrf(
    attrs: &Attrs<'_, { attr::N }>,
    net: &Namespace,
    extack: Option<&ExtAck>,
) -> Result<Vrf> {
    let table = attrs.require(attr::VRFTABLE)?.u32()?;

    Vrf::find(net, table).map_err(|error| match error {
        EPERM => fail(extack, c"Strict mode for VRF is disabled", error),
        ENODEV => fail(extack, c"Table has no associated VRF device", error),
        _ => error,
    })
}

/// Tells the reason of an error.
fn fail(extack: Option<&ExtAck>, msg: &CStr, error: Error) -> Error {
    if let Some(extack) = extack {
        extack.set_msg(msg);
    }
    error
}

/// Replaces `parse_nla_srh()`.
fn parse_srh(attr: &Attr) -> Result<KVec<u8>> {
    let srh = attr.payload();

    if srh.len() < MIN_SRH || !srh::is_valid(srh, Form::Full) {
        return Err(EINVAL);
    }
    let mut copy = KVec::with_capacity(srh.len(), GFP_KERNEL)?;
    copy.extend_from_slice(srh, GFP_KERNEL)?;
    Ok(copy)
}

fn parse_bpf(nest: &Attr) -> Result<EndBpf> {
    let attrs = nest.parse_nested(&BPF_POLICY, None)?;
    let prog = attrs.require(attr::BPF_PROG)?;
    let name = attrs.require(attr::BPF_PROG_NAME)?.payload();
    let name = CStr::from_bytes_until_nul(name).map_err(|_| EINVAL)?;

    Ok(EndBpf {
        name: CString::try_from(name)?,
        prog: Prog::from_fd(prog.u32()?, ProgType::LWT_SEG6LOCAL)?,
    })
}

/// The values of the counters in a request are ignored, but all three have to be there.
fn parse_counters(nest: &Attr) -> Result<Counters> {
    let attrs = nest.parse_nested(&COUNTERS_POLICY, None)?;

    for counter in [attr::CNT_PACKETS, attr::CNT_BYTES, attr::CNT_ERRORS] {
        attrs.require(counter)?;
    }
    Counters::new()
}

fn parse_flavors(nest: &Attr, supported: u32, extack: Option<&ExtAck>) -> Result<Flavors> {
    let attrs = nest.parse_nested(&FLAVORS_POLICY, None)?;
    let operations = attrs.require(attr::FLV_OPERATION)?.u32()?;

    if operations & !supported != 0 {
        return Err(fail(extack, c"Unsupported Flavor operation(s)", EOPNOTSUPP));
    }
    let mut lengths = Lengths::default();
    if operations & Flavors::NEXT_CSID != 0 {
        let bits = |ty, default| attrs.find(ty).map_or(Ok(default), Attr::u8);
        let block = bits(attr::FLV_LCBLOCK_BITS, lengths.block_bits())?;
        let node = bits(attr::FLV_LCNODE_FN_BITS, lengths.node_bits())?;

        lengths = Lengths::new(block, node).ok_or_else(|| {
            fail(
                extack,
                c"Invalid Locator Block/Node Function lengths",
                EINVAL,
            )
        })?;
    }
    Ok(Flavors::new(operations, lengths))
}
