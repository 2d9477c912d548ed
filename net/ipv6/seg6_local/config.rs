// SPDX-License-Identifier: GPL-2.0-or-later

//! Netlink: attributes to behaviors. The way back is [`crate::dump`].
//!
//! Required attributes are parsed in the order of their numbers, then optional ones, so that a
//! request with several faults fails as in C. Attributes that a behavior does not know are ignored.
//!
//! Each refusal has a text, in the words of iproute2, and names the attribute that is wrong or missing.

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
    srh::{
        Fault,
        Form, //
    },
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
        return Err(request.refuse(
            fmt!("seg6local is only for IPv6 routes and nexthops"),
            EINVAL,
        ));
    }
    let attrs = request.attrs.parse_nested(&POLICY, request.extack)?;
    let draft = parse_required(&attrs)?;
    let counters = attrs
        .find(attr::COUNTERS)
        .map(|nest| parse_counters(&attrs.parse_nested(nest, &COUNTERS_POLICY)?))
        .transpose()?;
    let flavors = |supported| {
        attrs
            .find(attr::FLAVORS)
            .map(|nest| parse_flavors(&attrs.parse_nested(nest, &FLAVORS_POLICY)?, supported))
            .transpose()
    };
    let vrf = |table| parse_vrf(&attrs, table, request.net);
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
        Draft::EndDt4(table) => Behavior::EndDt4(EndDt4 { vrf: vrf(table)? }),
        Draft::EndDt6 => Behavior::EndDt6(parse_end_dt6(request, &attrs)?),
        Draft::EndDt46(table) => Behavior::EndDt46(EndDt46 { vrf: vrf(table)? }),
    };
    Ok(Sid { behavior, counters })
}

/// A behavior as far as it is known from the attributes numbered below the counters.
enum Draft<'a> {
    Complete(Behavior),
    /// May have flavors.
    End,
    /// May have flavors.
    EndX {
        next_hop: Ipv6Addr,
        oif: Option<u32>,
    },
    /// Has the table of a VRF to be found.
    EndDt4(&'a Attr),
    /// Has a table to be found.
    EndDt6,
    /// Has the table of a VRF to be found.
    EndDt46(&'a Attr),
}

/// Parses the action with the attributes that it requires, and those numbered below the counters.
fn parse_required<'a>(attrs: &Attrs<'a, { attr::N }>) -> Result<Draft<'a>> {
    let attr = attrs.require(attr::ACTION, fmt!("seg6local requires an action"))?;
    let behavior = match attr.u32()? {
        uapi::SEG6_LOCAL_ACTION_END => return Ok(Draft::End),
        uapi::SEG6_LOCAL_ACTION_END_X => {
            let next_hop = attrs.require(attr::NH6, fmt!("End.X requires nh6"))?;

            return Ok(Draft::EndX {
                next_hop: Ipv6Addr::from(next_hop.array::<16>()?),
                oif: attrs.find(attr::OIF).map(Attr::u32).transpose()?,
            });
        }
        uapi::SEG6_LOCAL_ACTION_END_T => {
            let table = attrs.require(attr::TABLE, fmt!("End.T requires table"))?;

            Behavior::EndT(EndT {
                table: table.u32()?,
            })
        }
        uapi::SEG6_LOCAL_ACTION_END_DX2 => {
            let oif = attrs.require(attr::OIF, fmt!("End.DX2 requires oif"))?;

            Behavior::EndDx2(EndDx2 { oif: oif.u32()? })
        }
        uapi::SEG6_LOCAL_ACTION_END_DX6 => {
            let next_hop = attrs.require(attr::NH6, fmt!("End.DX6 requires nh6"))?;

            Behavior::EndDx6(EndDx6 {
                next_hop: Ipv6Addr::from(next_hop.array::<16>()?),
            })
        }
        uapi::SEG6_LOCAL_ACTION_END_DX4 => {
            let next_hop = attrs.require(attr::NH4, fmt!("End.DX4 requires nh4"))?;

            Behavior::EndDx4(EndDx4 {
                next_hop: Ipv4Addr::from(next_hop.array::<4>()?),
            })
        }
        uapi::SEG6_LOCAL_ACTION_END_DT6 => return Ok(Draft::EndDt6),
        uapi::SEG6_LOCAL_ACTION_END_DT4 => {
            return attrs
                .require(attr::VRFTABLE, fmt!("End.DT4 requires vrftable"))
                .map(Draft::EndDt4);
        }
        uapi::SEG6_LOCAL_ACTION_END_DT46 => {
            return attrs
                .require(attr::VRFTABLE, fmt!("End.DT46 requires vrftable"))
                .map(Draft::EndDt46);
        }
        uapi::SEG6_LOCAL_ACTION_END_B6 => {
            let srh = attrs.require(attr::SRH, fmt!("End.B6 requires srh"))?;

            Behavior::EndB6(EndB6 {
                srh: parse_srh(attrs, srh)?,
                encapsulation: Encapsulation::Insert,
            })
        }
        uapi::SEG6_LOCAL_ACTION_END_B6_ENCAP => {
            let srh = attrs.require(attr::SRH, fmt!("End.B6.Encaps requires srh"))?;

            Behavior::EndB6(EndB6 {
                srh: parse_srh(attrs, srh)?,
                encapsulation: Encapsulation::Push,
            })
        }
        uapi::SEG6_LOCAL_ACTION_END_BPF => {
            let nest = attrs.require(attr::BPF, fmt!("End.BPF requires endpoint"))?;

            Behavior::EndBpf(parse_bpf(&attrs.parse_nested(nest, &BPF_POLICY)?)?)
        }
        action => return Err(attrs.refuse(attr, fmt!("Unknown action {action}"), EINVAL)),
    };

    Ok(Draft::Complete(behavior))
}

/// Replaces `seg6_end_dt6_build()`.
fn parse_end_dt6(request: &Request<'_>, attrs: &Attrs<'_, { attr::N }>) -> Result<EndDt6> {
    match (attrs.find(attr::TABLE), attrs.find(attr::VRFTABLE)) {
        (Some(table), None) => Ok(EndDt6::Table(table.u32()?)),
        (None, Some(table)) => Ok(EndDt6::Vrf(parse_vrf(attrs, table, request.net)?)),
        _ => Err(request.refuse(fmt!("table or vrftable must be specified"), EINVAL)),
    }
}

/// Finds the VRF that has the requested table. Replaces `__seg6_end_dt_vrf_build()`.
fn parse_vrf(attrs: &Attrs<'_, { attr::N }>, table: &Attr, net: &Namespace) -> Result<Vrf> {
    Vrf::find(net, table.u32()?).map_err(|error| {
        let reason = match error {
            EPERM => "Strict mode for VRF is disabled",
            ENODEV => "Table has no associated VRF device",
            _ => "The kernel has no VRFs",
        };

        attrs.refuse(table, fmt!("{reason}"), error)
    })
}

/// Replaces `parse_nla_srh()`.
fn parse_srh(attrs: &Attrs<'_, { attr::N }>, attr: &Attr) -> Result<KVec<u8>> {
    let srh = attr.payload();
    let checked = if srh.len() < MIN_SRH {
        Err(Fault::Length)
    } else {
        srh::validate(srh, Form::Full)
    };

    checked.map_err(|fault| attrs.refuse(attr, fmt!("{}", fault.text()), EINVAL))?;
    let mut copy = KVec::with_capacity(srh.len(), GFP_KERNEL)?;
    copy.extend_from_slice(srh, GFP_KERNEL)?;
    Ok(copy)
}

fn parse_bpf(attrs: &Attrs<'_, { attr::N_BPF }>) -> Result<EndBpf> {
    let prog = attrs.require(attr::BPF_PROG, fmt!("endpoint requires a program"))?;
    let name = attrs.require(
        attr::BPF_PROG_NAME,
        fmt!("endpoint requires the name of its program"),
    )?;
    let name = CStr::from_bytes_until_nul(name.payload()).map_err(|_| EINVAL)?;
    let fd = prog.u32()?;

    Ok(EndBpf {
        name: CString::try_from(name)?,
        prog: Prog::from_fd(fd, ProgType::LWT_SEG6LOCAL).map_err(|error| {
            let reason = match error {
                EBADF => "an open file",
                _ => "a BPF program of type lwt_seg6local",
            };

            attrs.refuse(
                prog,
                fmt!("Descriptor {} is not {reason}", fd as i32),
                error,
            )
        })?,
    })
}

/// The values of the counters in a request are ignored, but all three have to be there.
fn parse_counters(attrs: &Attrs<'_, { attr::N_COUNTERS }>) -> Result<Counters> {
    for (counter, name) in [
        (attr::CNT_PACKETS, "packets"),
        (attr::CNT_BYTES, "bytes"),
        (attr::CNT_ERRORS, "errors"),
    ] {
        attrs.require(counter, fmt!("Counters require {name}"))?;
    }
    Counters::new()
}

fn parse_flavors(attrs: &Attrs<'_, { attr::N_FLAVORS }>, supported: u32) -> Result<Flavors> {
    let attr = attrs.require(attr::FLV_OPERATION, fmt!("flavors require operation"))?;
    let operations = attr.u32()?;

    if operations & !supported != 0 {
        return Err(attrs.refuse(attr, fmt!("Unsupported Flavor operation(s)"), EOPNOTSUPP));
    }
    let mut lengths = Lengths::default();
    if operations & Flavors::NEXT_CSID != 0 {
        let [block, node] =
            [attr::FLV_LCBLOCK_BITS, attr::FLV_LCNODE_FN_BITS].map(|ty| attrs.find(ty));
        let bits = |attr: Option<&Attr>, default| attr.map_or(Ok(default), Attr::u8);

        lengths = Lengths::new(
            bits(block, lengths.block_bits())?,
            bits(node, lengths.node_bits())?,
        )
        .ok_or_else(|| {
            attrs.refuse(
                block.or(node).unwrap_or(attr),
                fmt!("Invalid Locator Block/Node Function lengths"),
                EINVAL,
            )
        })?;
    }
    Ok(Flavors::new(operations, lengths))
}
