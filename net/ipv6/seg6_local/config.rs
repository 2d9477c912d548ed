// SPDX-License-Identifier: GPL-2.0-or-later

//! Netlink: attributes to behaviors and back.
//!
//! Required attributes are parsed in the order of their numbers, then optional ones, so that a
//! request with several faults fails as in C. Attributes that a behavior does not know are ignored.

use crate::{
    attr,
    behavior::{
        Behavior,
        End,
        EndBpf,
        EndT,
        EndX, //
    },
    counters::Counters,
    csid::Lengths,
    flavors::Flavors,
    Sid, //
};
use core::net::Ipv6Addr;
use kernel::{
    bpf::{
        Prog,
        ProgType, //
    },
    net::{
        lwtunnel::Request,
        nlattr::{
            Attr,
            Attrs,
            ExtAck,
            NestFlag,
            Policy,
            Rule,
            Writer, //
        }, //
    },
    prelude::*,
    str::CString,
    uapi, //
};

const MAX_PROG_NAME: u16 = 256;

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

    let required = parse_required(action, &attrs, extack)?;
    let counters = attrs.find(attr::COUNTERS).map(parse_counters).transpose()?;
    let behavior = parse_flavors_of(required, &attrs, extack)?;
    Ok(Sid { behavior, counters })
}

/// Parses the action with the attributes that it requires, and those numbered below the counters.
fn parse_required(
    action: u32,
    attrs: &Attrs<'_, { attr::N }>,
    extack: Option<&ExtAck>,
) -> Result<Behavior> {
    Ok(match action {
        uapi::SEG6_LOCAL_ACTION_END => Behavior::End(End { flavors: None }),
        uapi::SEG6_LOCAL_ACTION_END_X => Behavior::EndX(EndX {
            next_hop: Ipv6Addr::from(attrs.require(attr::NH6)?.array::<16>()?),
            oif: attrs.find(attr::OIF).map(Attr::u32).transpose()?,
            flavors: None,
        }),
        uapi::SEG6_LOCAL_ACTION_END_T => Behavior::EndT(EndT {
            table: attrs.require(attr::TABLE)?.u32()?,
        }),
        uapi::SEG6_LOCAL_ACTION_END_BPF => Behavior::EndBpf(parse_bpf(attrs.require(attr::BPF)?)?),
        action => return Err(refuse(action, extack)),
    })
}

/// Returns the error for an action that is unknown or not implemented.
fn refuse(action: u32, extack: Option<&ExtAck>) -> Error {
    macro_rules! msg {
        ($name:literal) => {
            kernel::c_str!(concat!(
                "Behavior ",
                $name,
                " is not implemented in Rust yet"
            ))
        };
    }
    let msg = match action {
        uapi::SEG6_LOCAL_ACTION_END_DX2 => msg!("End.DX2"),
        uapi::SEG6_LOCAL_ACTION_END_DX6 => msg!("End.DX6"),
        uapi::SEG6_LOCAL_ACTION_END_DX4 => msg!("End.DX4"),
        uapi::SEG6_LOCAL_ACTION_END_DT6 => msg!("End.DT6"),
        uapi::SEG6_LOCAL_ACTION_END_DT4 => msg!("End.DT4"),
        uapi::SEG6_LOCAL_ACTION_END_DT46 => msg!("End.DT46"),
        uapi::SEG6_LOCAL_ACTION_END_B6 => msg!("End.B6"),
        uapi::SEG6_LOCAL_ACTION_END_B6_ENCAP => msg!("End.B6.Encaps"),
        _ => return EINVAL,
    };

    if let Some(extack) = extack {
        extack.set_msg(msg);
    }
    EOPNOTSUPP
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

/// Parses the flavors of a behavior that has some.
fn parse_flavors_of(
    mut behavior: Behavior,
    attrs: &Attrs<'_, { attr::N }>,
    extack: Option<&ExtAck>,
) -> Result<Behavior> {
    let (flavors, supported) = match &mut behavior {
        Behavior::End(end) => (&mut end.flavors, Flavors::PSP | Flavors::NEXT_CSID),
        Behavior::EndX(end_x) => (&mut end_x.flavors, Flavors::NEXT_CSID),
        Behavior::EndT(_) | Behavior::EndBpf(_) => return Ok(behavior),
    };

    if let Some(nest) = attrs.find(attr::FLAVORS) {
        *flavors = Some(parse_flavors(nest, supported, extack)?);
    }
    Ok(behavior)
}

fn parse_flavors(nest: &Attr, supported: u32, extack: Option<&ExtAck>) -> Result<Flavors> {
    let fail = |msg, error| {
        if let Some(extack) = extack {
            extack.set_msg(msg);
        }
        error
    };
    let attrs = nest.parse_nested(&FLAVORS_POLICY, None)?;
    let operations = attrs.require(attr::FLV_OPERATION)?.u32()?;

    if operations & !supported != 0 {
        return Err(fail(c"Unsupported Flavor operation(s)", EOPNOTSUPP));
    }
    let mut lengths = Lengths::default();
    if operations & Flavors::NEXT_CSID != 0 {
        let bits = |ty, default| attrs.find(ty).map_or(Ok(default), Attr::u8);
        let block = bits(attr::FLV_LCBLOCK_BITS, lengths.block_bits())?;
        let node = bits(attr::FLV_LCNODE_FN_BITS, lengths.node_bits())?;

        lengths = Lengths::new(block, node)
            .ok_or_else(|| fail(c"Invalid Locator Block/Node Function lengths", EINVAL))?;
    }
    Ok(Flavors::new(operations, lengths))
}

/// Writes a SID in the form of [`parse`], with the number of a program in place of its descriptor.
///
/// Replaces `seg6_local_fill_encap()`.
pub(crate) fn fill(sid: &Sid, msg: &mut Writer<'_>) -> Result {
    msg.put_u32(attr::ACTION, action(&sid.behavior))?;
    let flavors = match &sid.behavior {
        Behavior::End(end) => end.flavors,
        Behavior::EndX(end_x) => {
            msg.put(attr::NH6, &end_x.next_hop.octets())?;
            if let Some(oif) = end_x.oif {
                msg.put_u32(attr::OIF, oif)?;
            }
            end_x.flavors
        }
        Behavior::EndT(end_t) => {
            msg.put_u32(attr::TABLE, end_t.table)?;
            None
        }
        Behavior::EndBpf(end_bpf) => {
            fill_bpf(end_bpf, msg)?;
            None
        }
    };

    if let Some(counters) = &sid.counters {
        fill_counters(counters, msg)?;
    }
    if let Some(flavors) = flavors {
        fill_flavors(flavors, msg)?;
    }
    Ok(())
}

fn action(behavior: &Behavior) -> u32 {
    match behavior {
        Behavior::End(_) => uapi::SEG6_LOCAL_ACTION_END,
        Behavior::EndX(_) => uapi::SEG6_LOCAL_ACTION_END_X,
        Behavior::EndT(_) => uapi::SEG6_LOCAL_ACTION_END_T,
        Behavior::EndBpf(_) => uapi::SEG6_LOCAL_ACTION_END_BPF,
    }
}

fn fill_bpf(end_bpf: &EndBpf, msg: &mut Writer<'_>) -> Result {
    msg.nest(attr::BPF, NestFlag::Clear, |nest| {
        nest.put_u32(attr::BPF_PROG, end_bpf.prog.id())?;
        nest.put(attr::BPF_PROG_NAME, end_bpf.name.to_bytes_with_nul())
    })
}

fn fill_counters(counters: &Counters, msg: &mut Writer<'_>) -> Result {
    let now = counters.snapshot();

    msg.nest(attr::COUNTERS, NestFlag::Set, |nest| {
        for (ty, value) in [
            (attr::CNT_PACKETS, now.packets),
            (attr::CNT_BYTES, now.bytes),
            (attr::CNT_ERRORS, now.errors),
        ] {
            nest.put_u64(ty, value, attr::CNT_PAD)?;
        }
        Ok(())
    })
}

fn fill_flavors(flavors: Flavors, msg: &mut Writer<'_>) -> Result {
    msg.nest(attr::FLAVORS, NestFlag::Set, |nest| {
        nest.put_u32(attr::FLV_OPERATION, flavors.operations())?;
        if let Some(lengths) = flavors.csid() {
            nest.put_u8(attr::FLV_LCBLOCK_BITS, lengths.block_bits())?;
            nest.put_u8(attr::FLV_LCNODE_FN_BITS, lengths.node_bits())?;
        }
        Ok(())
    })
}

/// Returns the octets that an attribute with `payload` octets takes in a message.
const fn total_size(payload: usize) -> usize {
    const HEADER: usize = 4;

    (HEADER + payload).next_multiple_of(4)
}

/// Returns how many octets [`fill`] writes at most.
///
/// Replaces `seg6_local_get_encap_size()`.
pub(crate) fn size(sid: &Sid) -> usize {
    // As `nla_total_size_64bit()`: some machines align the value with a pad attribute.
    const PAD: usize = if cfg!(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS) {
        0
    } else {
        total_size(0)
    };
    const COUNTER: usize = total_size(8) + PAD;

    let (own, flavors) = match &sid.behavior {
        Behavior::End(end) => (0, end.flavors),
        Behavior::EndX(end_x) => (
            total_size(16) + end_x.oif.map_or(0, |_| total_size(4)),
            end_x.flavors,
        ),
        Behavior::EndT(_) => (total_size(4), None),
        Behavior::EndBpf(_) => (
            total_size(4) + total_size(MAX_PROG_NAME as usize) + total_size(4),
            None,
        ),
    };
    let counters = sid
        .counters
        .as_ref()
        .map_or(0, |_| total_size(0) + 3 * COUNTER);
    let flavors = flavors.map_or(0, |flavors| {
        total_size(0) + total_size(4) + flavors.csid().map_or(0, |_| 2 * total_size(1))
    });

    total_size(4) + own + counters + flavors
}

/// Whether two SIDs have the same attributes; programs are compared by name.
///
/// Replaces `seg6_local_cmp_encap()`.
pub(crate) fn is_same(a: &Sid, b: &Sid) -> bool {
    let same_behavior = match (&a.behavior, &b.behavior) {
        (Behavior::End(a), Behavior::End(b)) => a == b,
        (Behavior::EndX(a), Behavior::EndX(b)) => a == b,
        (Behavior::EndT(a), Behavior::EndT(b)) => a == b,
        (Behavior::EndBpf(a), Behavior::EndBpf(b)) => *a.name == *b.name,
        _ => false,
    };

    same_behavior && a.counters.is_some() == b.counters.is_some()
}
