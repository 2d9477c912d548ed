#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel tells about a SID: the bytes of its dump, its size, whether two are equal, and its lifetime."""

import errno
import socket
import struct
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
from edge import VRF_TABLE, Edge
from topology import SID, ip

END = nl.u32(nl.ACTION, nl.END)
END_X = nl.u32(nl.ACTION, nl.END_X)
END_T = nl.u32(nl.ACTION, nl.END_T)
END_BPF = nl.u32(nl.ACTION, nl.END_BPF)
END_DX2, END_DX6, END_DX4, END_DT6, END_DT4, END_B6, END_B6_ENCAP, END_DT46 = (
    nl.u32(nl.ACTION, action) for action in (nl.END_DX2, nl.END_DX6, nl.END_DX4, nl.END_DT6, nl.END_DT4, nl.END_B6,
                                             nl.END_B6_ENCAP, nl.END_DT46))
NH4, OTHER_NH4 = nl.attr(nl.NH4, bytes(4)), nl.attr(nl.NH4, p.addr("10.3.0.1"))
VRF = nl.u32(nl.VRFTABLE, VRF_TABLE)
NH6, OTHER_NH6 = nl.addr6(nl.NH6, "fd03::1"), nl.addr6(nl.NH6, "fd03::2")
TABLE, OTHER_TABLE = nl.u32(nl.TABLE, 100), nl.u32(nl.TABLE, 101)
IIF, OIF = nl.u32(nl.IIF, 77), nl.u32(nl.OIF, 4711)
SRH, OTHER_SRH = (nl.attr(nl.SRH, p.srh(0, ["fd02::a"], 0, tag=tag)) for tag in (0, 1))
ZERO = nl.counters()
PACKET = p.sr(SID, ["fd02::a", SID], 1)


def attributes(message):
    """The attributes of a route message, in order, with their flags: [(type, content)]."""
    found, data = [], message[12:]
    while data:
        length, kind = struct.unpack_from("=HH", data)
        found.append((kind, data[4:length]))
        data = data[length + (-length % 4):]
    return found


def encap_of(message):
    """The encap attribute of a route message and the one with its type, in the order in which they came."""
    return [(kind, data) for kind, data in attributes(message)
            if kind & ~nl.NESTED in (nl.RTA_ENCAP, nl.RTA_ENCAP_TYPE)]


def messages_of(net):
    """The messages about the route of the SID: answer to a request, part of a dump, and notification."""
    monitor = nl.Rtnl(groups=1 << 10)  # RTNLGRP_IPV6_ROUTE
    yield "request", net.rtnl.request(nl.RTM_GETROUTE, nl.route(f"{SID}/128", flags=nl.FIB_MATCH, table=0))[2][0]
    dumped = net.rtnl.request(nl.RTM_GETROUTE, bytes((socket.AF_INET6,)) + bytes(11), nl.F_DUMP)[2]
    yield "dump", *(m for m in dumped if (nl.RTA_DST, p.addr(SID)) in attributes(m))
    net.rtnl.delete(nl.route(f"{SID}/128"))
    yield "notification", next(monitor.receive())[3]
    monitor.sock.close()


def dumped(net, data, want):
    """Adds a SID with the attributes `data`; its dump has to be `want`."""
    lib.equal(net.rtnl.add(net.sid(data, count=False)), (0, None), "adding the SID")
    for name, *found in messages_of(net):
        lib.equal([encap_of(message) for message in found],
                  [[(nl.RTA_ENCAP, want), (nl.RTA_ENCAP_TYPE, struct.pack("=H", nl.ENCAP_SEG6_LOCAL))]], name)


def add_dumps(suite, net, idle):
    """Every attribute of every action, given in a wrong order and with others that the action does not have."""
    number = ebpf.program_info(idle)["id"]

    def bpf(name):
        """How the BPF attribute is dumped."""
        return nl.attr(nl.BPF, nl.u32(1, number) + nl.attr(2, name + b"\0"))

    csid = nl.NEXT_CSID
    for name, data, want in (
        ("End", END, END),
        ("End with attributes that it has not", END + SRH + TABLE + NH6 + IIF + OIF + nl.u32(nl.VRFTABLE, 1), END),
        ("End with counters", ZERO + END, END + ZERO),
        ("End with counters that are not 0", END + nl.attr(nl.COUNTERS, nl.u64(4, 9) + nl.u64(3, 8) + nl.u64(2, 7)),
         END + ZERO),
        ("End with flavors 0", END + nl.flavors(0), END + nl.flavors(0)),
        ("End with PSP", END + nl.flavors(nl.PSP, 8, 8), END + nl.flavors(nl.PSP)),
        ("End with NEXT-C-SID", END + nl.flavors(csid), END + nl.flavors(csid, 32, 16)),
        ("End with C-SID lengths", END + nl.flavors(csid, 48, 8), END + nl.flavors(csid, 48, 8)),
        ("End with both flavors and counters", nl.flavors(csid | nl.PSP, None, 64) + ZERO + END,
         END + ZERO + nl.flavors(csid | nl.PSP, 32, 64)),
        ("End with nests without flag", END + nl.attr(nl.COUNTERS, ZERO[4:]) + nl.attr(nl.FLAVORS, nl.u32(1, nl.PSP)),
         END + ZERO + nl.flavors(nl.PSP)),
        ("End.X", NH6 + END_X, END_X + NH6),
        ("End.X with a device", OIF + NH6 + IIF + END_X, END_X + NH6 + OIF),
        ("End.X with everything", nl.flavors(csid) + OIF + ZERO + NH6 + END_X,
         END_X + NH6 + OIF + ZERO + nl.flavors(csid, 32, 16)),
        ("End.T", TABLE + END_T, END_T + TABLE),
        ("End.T with counters and flavors", nl.flavors(nl.PSP) + ZERO + TABLE + END_T, END_T + TABLE + ZERO),
        ("End.T with TABLE twice", END_T + OTHER_TABLE + TABLE, END_T + TABLE),
        ("End.T with TABLE of 8 bytes", END_T + nl.attr(nl.TABLE, b"\x64" + bytes(7)), END_T + TABLE),
        ("End.BPF", END_BPF + nl.bpf(idle), END_BPF + bpf(b"prog")),
        ("End.BPF with counters", ZERO + nl.bpf(idle) + END_BPF, END_BPF + bpf(b"prog") + ZERO),
        ("End.BPF with a nest with flag", END_BPF + nl.attr(nl.BPF | nl.NESTED, nl.bpf(idle)[4:]),
         END_BPF + bpf(b"prog")),
        ("End.BPF with an empty name", END_BPF + nl.bpf(idle, ""), END_BPF + bpf(b"")),
        ("End.BPF with a name of 256 characters", END_BPF + nl.bpf(idle, "n" * 256), END_BPF + bpf(b"n" * 256)),
        ("End.BPF with a name with NUL", END_BPF + nl.bpf(idle, "na\0me"), END_BPF + bpf(b"na")),
    ):
        suite.add(f"dump: {name}", partial(dumped, net, data, want))
    add_own_attributes(suite, net, idle, bpf(b"prog"))


def add_own_attributes(suite, net, idle, dumped_bpf):
    """An action keeps its own attributes, in the order of their numbers, and ignores the others."""
    csid, long_srh = nl.flavors(nl.NEXT_CSID, 32, 16), nl.attr(nl.SRH, p.srh(59, ["fd03::9"] * 127, 0, tlvs=p.pad(8)))
    given = [csid, ZERO, VRF, nl.bpf(idle), OIF, IIF, NH6, NH4, TABLE, SRH]
    for name, action, own in (
        ("End", END, (ZERO, csid)), ("End.X", END_X, (NH6, OIF, ZERO, csid)), ("End.T", END_T, (TABLE, ZERO)),
        ("End.DX2", END_DX2, (OIF, ZERO)), ("End.DX6", END_DX6, (NH6, ZERO)), ("End.DX4", END_DX4, (NH4, ZERO)),
        ("End.DT6 with TABLE", END_DT6, (TABLE, ZERO)), ("End.DT6 with VRFTABLE", END_DT6, (VRF, ZERO)),
        ("End.DT4", END_DT4, (VRF, ZERO)), ("End.B6", END_B6, (SRH, ZERO)),
        ("End.B6.Encaps", END_B6_ENCAP, (SRH, ZERO)), ("End.BPF", END_BPF, (dumped_bpf, ZERO)),
        ("End.DT46", END_DT46, (VRF, ZERO)),
    ):
        others = [data for data in given if action != END_DT6 or data not in (TABLE, VRF) or data in own]
        suite.add(f"dump: {name}, given all attributes", partial(dumped, net, b"".join(others) + action,
                                                                 action + b"".join(own)))
        least = [data for data in others if data in own and data not in (ZERO, csid)]
        least += [nl.bpf(idle)] if action == END_BPF else []
        want = action + b"".join(data for data in own if data not in (ZERO, csid))
        suite.add(f"dump: {name}, given no counters", partial(dumped, net, action + b"".join(reversed(least)), want))
    for name, action in (("End.B6", END_B6), ("End.B6.Encaps", END_B6_ENCAP)):
        suite.add(f"dump: {name} with an SRH of 2048 bytes", partial(dumped, net, long_srh + action, action + long_srh))


def counted(net, idle):
    """The dump shows the counters of a SID after packets, and zeros after it is replaced."""
    message = net.sid(END_BPF, nl.bpf(idle))
    lib.equal(net.rtnl.add(message), (0, None), "adding the SID")
    number = ebpf.program_info(idle)["id"]
    start = END_BPF + nl.attr(nl.BPF, nl.u32(1, number) + nl.attr(2, b"prog\0"))
    for _ in range(3):
        net.send(PACKET)
    net.send(p.ip6(p.UDP, SID, p.udp()))
    values = (3, 3 * len(PACKET), 1)
    counters = nl.attr(nl.COUNTERS | nl.NESTED, b"".join(nl.u64(2 + i, value) for i, value in enumerate(values)))
    lib.equal(net.rtnl.get(SID)[nl.RTA_ENCAP], start + counters, "dump after four packets")
    lib.equal(net.rtnl.add(message, nl.F_REPLACE), (0, None), "replacing the SID")
    lib.equal(net.rtnl.get(SID)[nl.RTA_ENCAP], start + ZERO, "dump after replacing it")
    net.send(PACKET)
    lib.equal(net.rtnl.get_counters(SID), (1, len(PACKET), 0), "counters of the new SID")
    lib.equal(net.rtnl.delete(message), (0, None), "deleting the SID")


def sized(net, idle):
    """Notifications about ever more SIDs, of the largest size, have exactly the room that they need."""
    monitor = nl.Rtnl(groups=1 << 10)
    lengths = struct.pack("=BBi", 0, 0, net.devices["out0"])
    for legs in range(1, 33):
        hops = b""
        for leg in range(legs):
            data = (END_X + nl.addr6(nl.NH6, f"fd03::{leg}") + OIF + ZERO + nl.flavors(nl.NEXT_CSID),
                    END_BPF + nl.bpf(idle, f"{leg:0256}") + ZERO,
                    END_B6 + nl.attr(nl.SRH, p.srh(0, [f"fd03::{leg}"] * 20, 0)) + ZERO,
                    (END_DX4 + nl.attr(nl.NH4, bytes((10, 3, 0, leg))), END_DX2 + nl.u32(nl.OIF, leg),
                     END_DT6 + nl.u32(nl.TABLE, leg))[leg % 3] + ZERO)[leg % 4]
            hop = nl.addr6(nl.RTA_GATEWAY, "fdff:2::1") + nl.encap(nl.ENCAP_SEG6_LOCAL, data)
            hops += struct.pack("=H", 8 + len(hop)) + lengths + hop
        message = nl.route(f"{SID}/128", nl.attr(nl.RTA_MULTIPATH, hops))
        lib.equal(net.rtnl.add(message), (0, None), f"adding {legs} SIDs")
        told = nl.parse(next(monitor.receive())[3][12:])
        seen = len(told[nl.RTA_MULTIPATH]) if legs > 1 else len(told[nl.RTA_ENCAP])
        lib.check(seen >= legs * 40, f"notification about {legs} SIDs has {seen} bytes")
        lib.equal(net.rtnl.delete(message), (0, None), f"deleting {legs} SIDs")
        for _ in range(legs):
            lib.equal(next(monitor.receive())[0], nl.RTM_DELROUTE, "notification about the deletion")
    monitor.sock.close()


def appended(net, first, second):
    """What the kernel says when a second SID is appended to a first one for the same destination."""
    with net.installed(first, count=False):
        code = net.rtnl.add(net.sid(second, count=False), nl.F_CREATE | nl.F_APPEND)[0]
        if code == 0:
            lib.equal(net.rtnl.delete(nl.route(f"{SID}/128")), (0, None), "deleting one of the two")
    lib.equal(net.rtnl.delete(nl.route(f"{SID}/128"))[0], errno.ESRCH, "routes left")
    return code


def add_comparisons(suite, net, idle, other):
    """Equal SIDs are duplicates, different ones are not. Programs are compared by their names only (B34)."""
    csid = nl.NEXT_CSID
    bpf, no_name = END_BPF + nl.bpf(idle), END_BPF + nl.bpf(idle, "")
    equal = (
        ("End", END, END),
        ("End, one with an attribute that it has not", END, END + TABLE),
        ("counters", END + ZERO, END + ZERO),
        ("PSP", END + nl.flavors(nl.PSP), END + nl.flavors(nl.PSP, 64, 64)),
        ("NEXT-C-SID with and without its default lengths", END + nl.flavors(csid), END + nl.flavors(csid, 32, 16)),
        ("End.X", END_X + NH6, END_X + NH6),
        ("End.X with device", END_X + NH6 + OIF, END_X + OIF + NH6),
        ("End.T", END_T + TABLE, END_T + TABLE),
        ("End.BPF", bpf, bpf),
        ("End.BPF with empty names", no_name, no_name),
        ("End.DX2", END_DX2 + OIF, END_DX2 + NH6 + OIF),
        ("End.DX4", END_DX4 + NH4, END_DX4 + NH4 + OIF),
        ("End.DX6", END_DX6 + NH6, END_DX6 + NH6),
        ("End.DT6 with TABLE", END_DT6 + TABLE, END_DT6 + TABLE),
        ("End.DT6 with VRFTABLE", END_DT6 + VRF, END_DT6 + VRF),
        ("End.DT4", END_DT4 + VRF, END_DT4 + VRF + TABLE),
        ("End.DT46", END_DT46 + VRF, END_DT46 + VRF),
        ("End.B6", END_B6 + SRH, END_B6 + SRH),
        ("End.B6.Encaps", END_B6_ENCAP + SRH, END_B6_ENCAP + SRH),
        ("two programs of one name", bpf, END_BPF + nl.bpf(other)),
    )
    different = (
        ("actions", END, END_T + TABLE),
        ("with and without counters", END, END + ZERO),
        ("with and without flavors", END, END + nl.flavors(0)),
        ("flavors", END + nl.flavors(nl.PSP), END + nl.flavors(0)),
        ("PSP more", END + nl.flavors(csid), END + nl.flavors(csid | nl.PSP)),
        ("block lengths", END + nl.flavors(csid, 32, 16), END + nl.flavors(csid, 40, 16)),
        ("node lengths", END + nl.flavors(csid, 32, 16), END + nl.flavors(csid, 32, 24)),
        ("next hops", END_X + NH6, END_X + OTHER_NH6),
        ("with and without device", END_X + NH6, END_X + NH6 + OIF),
        ("devices", END_X + NH6 + OIF, END_X + NH6 + nl.u32(nl.OIF, 1)),
        ("tables", END_T + TABLE, END_T + OTHER_TABLE),
        ("policies with and without encapsulation", END_B6 + SRH, END_B6_ENCAP + SRH),
        ("SRHs", END_B6 + SRH, END_B6 + OTHER_SRH),
        ("lengths of SRHs", END_B6_ENCAP + SRH, END_B6_ENCAP + nl.attr(nl.SRH, p.srh(0, ["fd02::a"] * 2, 0))),
        ("next hops of End.DX4", END_DX4 + NH4, END_DX4 + OTHER_NH4),
        ("next hops of End.DX6", END_DX6 + NH6, END_DX6 + OTHER_NH6),
        ("ports", END_DX2 + OIF, END_DX2 + nl.u32(nl.OIF, 1)),
        ("tables of End.DT6", END_DT6 + TABLE, END_DT6 + OTHER_TABLE),
        ("a table and a VRF", END_DT6 + nl.u32(nl.TABLE, VRF_TABLE), END_DT6 + VRF),
        ("VRFs", END_DT46 + VRF, END_DT46 + nl.u32(nl.VRFTABLE, 300)),
        ("protocols in a VRF", END_DT4 + VRF, END_DT46 + VRF),
        ("names of one program", bpf, END_BPF + nl.bpf(idle, "prog2")),
        ("an empty name", bpf, no_name),
        ("cases of a name", bpf, END_BPF + nl.bpf(idle, "Prog")),
    )
    for name, first, second in equal:
        suite.add(f"compare: {name}: equal", partial(appended, net, first, second), errno.EEXIST)
    for name, first, second in different:
        suite.add(f"compare: {name}: different", partial(appended, net, first, second), 0)
        suite.add(f"compare: {name}, the other way round: different", partial(appended, net, second, first), 0)


def iproute2(command):
    """Adds a SID with iproute2; returns what `ip route show` tells."""
    ip("-6", "route", "add", SID, "encap", "seg6local", *command.split(), "dev", "dum0")
    try:
        return " ".join(ip("-6", "-s", "route", "show", SID).split())
    finally:
        ip("-6", "route", "del", SID)


def add_iproute2(suite):
    """Stock iproute2 configures SIDs and prints them."""
    tail = " dev dum0 metric 1024 pref medium"
    for command, shown in (
        ("action End", "action End"),
        ("action End flavors psp count", "action End packets 0 bytes 0 errors 0 flavors psp"),
        ("action End flavors next-csid lblen 48 nflen 16", "action End flavors next-csid lblen 48 nflen 16"),
        ("action End.X nh6 fd03::1", "action End.X nh6 fd03::1"),
        ("action End.T table 100", "action End.T table 100"),
        ("action End.DX2 oif l2", "action End.DX2 oif l2"),
        ("action End.DX4 nh4 10.3.0.1 count", "action End.DX4 nh4 10.3.0.1 packets 0 bytes 0 errors 0"),
        ("action End.DX6 nh6 fd03::1", "action End.DX6 nh6 fd03::1"),
        ("action End.DT6 table 100", "action End.DT6 table 100"),
        ("action End.DT6 vrftable 200", "action End.DT6 vrftable 200"),
        ("action End.DT4 vrftable 200", "action End.DT4 vrftable 200"),
        ("action End.DT46 vrftable 200 count", "action End.DT46 vrftable 200 packets 0 bytes 0 errors 0"),
        ("action End.B6 srh segs fd02::77,fd03::9", "action End.B6 segs 3 [ fd02::77 fd03::9 :: ]"),
        ("action End.B6.Encaps srh segs fd02::77,fd03::9", "action End.B6.Encaps segs 2 [ fd02::77 fd03::9 ]"),
        ("action End.B6.Encaps srh segs fd02::77 hmac 42", "action End.B6.Encaps segs 1 [ fd02::77 ] hmac 2A"),
    ):
        suite.add(f"iproute2: {command}", partial(iproute2, command),
                  f"{SID} encap seg6local {shown}{tail}")


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    idle = ebpf.load_program(ebpf.returning(ebpf.OK))
    other = ebpf.load_program(ebpf.returning(ebpf.DROP))
    add_dumps(suite, net, idle)
    suite.add("counters in the dump, and after replace", partial(counted, net, idle))
    suite.add("size of notifications", partial(sized, net, idle))
    add_comparisons(suite, net, idle, other)
    ip("link", "add", "blue", "type", "vrf", "table", "300")
    add_iproute2(suite)
    suite.main()


if __name__ == "__main__":
    main()
