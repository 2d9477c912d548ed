// SPDX-License-Identifier: GPL-2.0-or-later

//! Netlink: behaviors to attributes, as dumps have them. [`crate::config`] is the way here.

use crate::{
    attr,
    behavior::{
        Behavior,
        EndBpf,
        EndDt6, //
    },
    config::MAX_PROG_NAME,
    counters::Counters,
    encap::Encapsulation,
    flavors::Flavors,
    Sid, //
};
use core::net::{
    Ipv4Addr,
    Ipv6Addr, //
};
use kernel::{
    net::nlattr::{
        NestFlag,
        Writer, //
    },
    prelude::*,
    uapi, //
};

/// An attribute of a behavior, without counters and flavors, in a dump.
#[derive(Clone, Copy)]
enum Value<'a> {
    Srh(&'a [u8]),
    Number(u16, u32),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
    Bpf(&'a EndBpf),
}

/// Returns the attributes of a behavior in the order of their numbers.
fn values(behavior: &Behavior) -> [Option<Value<'_>>; 2] {
    let value = match behavior {
        Behavior::End(_) => return [None, None],
        Behavior::EndX(end_x) => {
            let oif = end_x.oif.map(|oif| Value::Number(attr::OIF, oif));
            return [Some(Value::Ipv6(end_x.next_hop)), oif];
        }
        Behavior::EndT(end_t) => Value::Number(attr::TABLE, end_t.table),
        Behavior::EndDx2(end_dx2) => Value::Number(attr::OIF, end_dx2.oif),
        Behavior::EndDx6(end_dx6) => Value::Ipv6(end_dx6.next_hop),
        Behavior::EndDx4(end_dx4) => Value::Ipv4(end_dx4.next_hop),
        Behavior::EndDt6(EndDt6::Table(table)) => Value::Number(attr::TABLE, *table),
        Behavior::EndDt6(EndDt6::Vrf(vrf)) => Value::Number(attr::VRFTABLE, vrf.table),
        Behavior::EndDt4(end_dt4) => Value::Number(attr::VRFTABLE, end_dt4.vrf.table),
        Behavior::EndB6(end_b6) => Value::Srh(&end_b6.srh),
        Behavior::EndBpf(end_bpf) => Value::Bpf(end_bpf),
        Behavior::EndDt46(end_dt46) => Value::Number(attr::VRFTABLE, end_dt46.vrf.table),
    };

    [Some(value), None]
}

fn flavors(behavior: &Behavior) -> Option<Flavors> {
    match behavior {
        Behavior::End(end) => end.flavors,
        Behavior::EndX(end_x) => end_x.flavors,
        _ => None,
    }
}

/// Writes a SID in the form of [`crate::config::parse`], with the number of a program in place of its descriptor.
///
/// Replaces `seg6_local_fill_encap()`.
pub(crate) fn fill(sid: &Sid, msg: &mut Writer<'_>) -> Result {
    msg.put_u32(attr::ACTION, action(&sid.behavior))?;
    for value in values(&sid.behavior).into_iter().flatten() {
        match value {
            Value::Srh(srh) => msg.put(attr::SRH, srh)?,
            Value::Number(ty, number) => msg.put_u32(ty, number)?,
            Value::Ipv4(addr) => msg.put(attr::NH4, &addr.octets())?,
            Value::Ipv6(addr) => msg.put(attr::NH6, &addr.octets())?,
            Value::Bpf(end_bpf) => fill_bpf(end_bpf, msg)?,
        }
    }
    if let Some(counters) = &sid.counters {
        fill_counters(counters, msg)?;
    }
    if let Some(flavors) = flavors(&sid.behavior) {
        fill_flavors(flavors, msg)?;
    }
    Ok(())
}

fn action(behavior: &Behavior) -> u32 {
    match behavior {
        Behavior::End(_) => uapi::SEG6_LOCAL_ACTION_END,
        Behavior::EndX(_) => uapi::SEG6_LOCAL_ACTION_END_X,
        Behavior::EndT(_) => uapi::SEG6_LOCAL_ACTION_END_T,
        Behavior::EndDx2(_) => uapi::SEG6_LOCAL_ACTION_END_DX2,
        Behavior::EndDx6(_) => uapi::SEG6_LOCAL_ACTION_END_DX6,
        Behavior::EndDx4(_) => uapi::SEG6_LOCAL_ACTION_END_DX4,
        Behavior::EndDt6(_) => uapi::SEG6_LOCAL_ACTION_END_DT6,
        Behavior::EndDt4(_) => uapi::SEG6_LOCAL_ACTION_END_DT4,
        Behavior::EndB6(end_b6) => match end_b6.encapsulation {
            Encapsulation::Insert => uapi::SEG6_LOCAL_ACTION_END_B6,
            Encapsulation::Push => uapi::SEG6_LOCAL_ACTION_END_B6_ENCAP,
        },
        Behavior::EndBpf(_) => uapi::SEG6_LOCAL_ACTION_END_BPF,
        Behavior::EndDt46(_) => uapi::SEG6_LOCAL_ACTION_END_DT46,
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

    let own = |value: Value<'_>| match value {
        Value::Srh(srh) => total_size(srh.len()),
        Value::Number(..) | Value::Ipv4(_) => total_size(4),
        Value::Ipv6(_) => total_size(16),
        Value::Bpf(_) => total_size(4) + total_size(MAX_PROG_NAME as usize) + total_size(4),
    };
    let own: usize = values(&sid.behavior).into_iter().flatten().map(own).sum();
    let counters = sid
        .counters
        .as_ref()
        .map_or(0, |_| total_size(0) + 3 * COUNTER);
    let flavors = flavors(&sid.behavior).map_or(0, |flavors| {
        total_size(0) + total_size(4) + flavors.csid().map_or(0, |_| 2 * total_size(1))
    });

    total_size(4) + own + counters + flavors
}
