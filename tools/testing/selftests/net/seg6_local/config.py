#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration of SIDs that the kernel refuses: the errno and the extack text of each error, and that nothing stays.

The messages are built by hand, because iproute2 cannot send most of them. C has no text for most errors (B33); which
attribute the answer names, and what iproute2 makes of it, is tested in refusals.py.
"""

import errno
import os
import socket
from dataclasses import dataclass
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
from edge import VRF_TABLE, Edge, strict_mode
from topology import SID



@dataclass
class Told:
    """A refusal with a text that C does not have."""

    text: str
    errno: int = errno.EINVAL


BROKEN = "Attribute failed policy validation"
POLICY = errno.ERANGE, BROKEN
LENGTH = errno.ERANGE, "binary attribute size out of range"
FLAVOR = errno.EOPNOTSUPP, "Unsupported Flavor operation(s)"
CSID = errno.EINVAL, "Invalid Locator Block/Node Function lengths"
RANGE, BAD_NAME = Told(BROKEN, errno.ERANGE), Told(BROKEN)
ACCEPTED = 0, None
SHORT, LENGTH_FIELD = "SRH is shorter than its header and a segment", "SRH is not as long as Hdr Ext Len says"
TLVS = "TLVs of the SRH do not end where it ends"
LAST_ENTRY = "Last Entry of the SRH is not among its segments"
# What is told of p.invalid_srhs().
SRH_FAULTS = {
    **dict.fromkeys(("", "1 bytes of 40", "7 bytes of 40", "8 bytes of 40"), SHORT),
    **dict.fromkeys(("no segment", "no segment but a TLV"), SHORT),
    **dict.fromkeys(("24 bytes of 40", "39 bytes of 40", "48 bytes of 40"), LENGTH_FIELD),
    "type 3": "SRH has another routing type than 4",
    "more segments left than the last entry": "Segments Left of the SRH exceeds Last Entry",
    "last entry out of range": LAST_ENTRY,
    "TLV past the end": TLVS,
    "one byte after the TLVs": TLVS,
}
TABLES = errno.EINVAL, "table or vrftable must be specified"
NO_VRF = errno.ENODEV, "Table has no associated VRF device"
NOT_STRICT = errno.EPERM, "Strict mode for VRF is disabled"
LEAK_BATCH, LEAK_ROUNDS = 100, 50
CLOSED, NO_PROGRAM = "Descriptor {} is not an open file", "Descriptor {} is not a BPF program of type lwt_seg6local"
NO_COUNTERS, NO_OPERATION = Told("Counters require packets"), Told("flavors require operation")
NO_ACTION = "seg6local requires an action"
LEFTOVER = 0, "bytes leftover after parsing attributes"

END = nl.u32(nl.ACTION, nl.END)
END_X = nl.u32(nl.ACTION, nl.END_X)
END_T = nl.u32(nl.ACTION, nl.END_T)
END_DX2, END_DX6, END_DX4, END_DT6, END_DT4, END_B6, END_B6_ENCAP, END_BPF, END_DT46 = (
    nl.u32(nl.ACTION, action) for action in (nl.END_DX2, nl.END_DX6, nl.END_DX4, nl.END_DT6, nl.END_DT4, nl.END_B6,
                                             nl.END_B6_ENCAP, nl.END_BPF, nl.END_DT46))
VRF_ACTIONS = ("End.DT6", END_DT6), ("End.DT4", END_DT4), ("End.DT46", END_DT46)
NH6 = nl.addr6(nl.NH6, "fd03::1")
TABLE = nl.u32(nl.TABLE, 100)


def refcount():
    """How many SIDs use the module; 0 where there is no module."""
    if not lib.IS_MODULE:
        return 0
    with open(lib.MODULE + "/refcnt", encoding="ascii") as count:
        return int(count.read())


def attempt(net, data, kind=nl.ENCAP_SEG6_LOCAL, family=socket.AF_INET6):
    """Tries to add a SID and removes it again; returns (errno, extack text)."""
    dst = f"{SID}/128" if family == socket.AF_INET6 else "192.0.2.1/32"
    device = nl.u32(nl.RTA_OIF, net.devices["dum0"])
    before = refcount()
    result = net.rtnl.add(nl.route(dst, device, nl.encap(kind, data), family=family))
    if result[0]:
        lib.check(refcount() <= before, "the error left a reference to the module")
    found = net.rtnl.delete(nl.route(dst, device, family=family))[0]
    lib.equal(found, errno.ESRCH if result[0] else 0, "whether there is a route to delete")
    return result


def told_of_policy(net):
    """What the error for an attribute of a wrong size says besides its text."""
    lib.equal(net.rtnl.add(net.sid(END, nl.attr(nl.NH6, bytes(4)), count=False)), LENGTH, "the error")
    return set(net.rtnl.told)


def policy_cases():
    """Attributes of a wrong size, on any action, and messages without a known action."""
    for kind, name in ((nl.ACTION, "ACTION"), (nl.TABLE, "TABLE"), (nl.IIF, "IIF"), (nl.OIF, "OIF"),
                       (nl.VRFTABLE, "VRFTABLE")):
        for size in (0, 1, 3):
            yield f"{name} of {size} bytes", END + nl.attr(kind, bytes(size)), POLICY
        yield f"{name} of 8 bytes", nl.attr(kind, b"\1\0\0\0\0\0\0\0") + (END if kind != nl.ACTION else b""), ACCEPTED
    for kind, name, sizes in ((nl.NH4, "NH4", (0, 3, 5, 16)), (nl.NH6, "NH6", (0, 4, 15, 17))):
        for size in sizes:
            yield f"{name} of {size} bytes", END + nl.attr(kind, bytes(size)), LENGTH
    for kind, name in ((nl.BPF, "BPF"), (nl.COUNTERS, "COUNTERS"), (nl.FLAVORS, "FLAVORS")):
        for size in (1, 3):
            yield f"{name} of {size} bytes", END + nl.attr(kind, bytes(size)), POLICY
    yield "empty message", b"", Told(NO_ACTION)
    yield "no action", NH6 + TABLE, Told(NO_ACTION)
    for action in (0, 11, 12, 13, 14, 17, 255, 1 << 16, 0xFFFFFFFF):
        yield (f"action {action}", nl.u32(nl.ACTION, action) + NH6 + TABLE + nl.u32(nl.OIF, 1),
               Told(f"Unknown action {action}"))


def required_cases():
    """Attributes that an action needs."""
    yield "End.X without NH6", END_X, Told("End.X requires nh6")
    yield "End.X without NH6, with wrong flavors", END_X + nl.flavors(nl.PSP), Told("End.X requires nh6")
    yield "End.X with NH4 only", END_X + nl.attr(nl.NH4, bytes(4)), Told("End.X requires nh6")
    yield "End.T without TABLE", END_T, Told("End.T requires table")
    yield "End.T with VRFTABLE only", END_T + nl.u32(nl.VRFTABLE, 100), Told("End.T requires table")
    yield "End.BPF without BPF", END_BPF, Told("End.BPF requires endpoint")
    yield "End.T with a table that does not exist", END_T + nl.u32(nl.TABLE, 4711), ACCEPTED
    yield "End.T with table 0", END_T + nl.u32(nl.TABLE, 0), ACCEPTED
    yield "End.X with a device that does not exist", END_X + NH6 + nl.u32(nl.OIF, 4711), ACCEPTED
    yield "End.X with the unspecified address", END_X + nl.addr6(nl.NH6, "::"), ACCEPTED


def bpf_cases(idle, other_type):
    """The BPF attribute of End.BPF."""
    prog, name = nl.u32(1, idle), nl.attr(2, b"name\0")
    control = socket.socket().detach()  # stays open: the cases run later

    def nest(*attributes):
        """An End.BPF message."""
        return END_BPF + nl.attr(nl.BPF, b"".join(attributes))

    yield "BPF without anything", nest(), Told("endpoint requires a program")
    yield "BPF without NAME", nest(prog), Told("endpoint requires the name of its program")
    yield "BPF without PROG", nest(name), Told("endpoint requires a program")
    for size in (0, 1, 3):
        yield f"PROG of {size} bytes", nest(nl.attr(1, bytes(size)), name), RANGE
    yield "NAME of 0 bytes", nest(prog, nl.attr(2)), BAD_NAME
    yield "NAME without NUL", nest(prog, nl.attr(2, b"name")), BAD_NAME
    yield "NAME of 257 characters", nest(prog, nl.attr(2, b"n" * 257 + b"\0")), BAD_NAME
    yield "NAME of 257 characters without NUL", nest(prog, nl.attr(2, b"n" * 257)), BAD_NAME
    yield "NAME with 300 bytes after the NUL", nest(prog, nl.attr(2, b"n\0" + b"n" * 300)), RANGE
    yield "NAME of 256 characters", nest(prog, nl.attr(2, b"n" * 256 + b"\0")), ACCEPTED
    yield "NAME of 256 characters without NUL", nest(prog, nl.attr(2, b"n" * 256)), BAD_NAME
    yield "NAME that is empty", nest(prog, nl.attr(2, b"\0")), ACCEPTED
    yield "NAME with bytes after the NUL", nest(prog, nl.attr(2, b"n\0n\0")), ACCEPTED
    yield "PROG that is no open file", nest(nl.u32(1, 9999), name), Told(CLOSED.format(9999), errno.EBADF)
    yield "PROG that is -1", nest(nl.u32(1, -1), name), Told(CLOSED.format(-1), errno.EBADF)
    yield "PROG that is no program", nest(nl.u32(1, control), name), Told(NO_PROGRAM.format(control))
    yield "PROG of another type", nest(nl.u32(1, other_type), name), Told(NO_PROGRAM.format(other_type))
    yield ("wrong PROG and wrong COUNTERS", nest(nl.u32(1, 9999), name) + nl.attr(nl.COUNTERS),
           Told(CLOSED.format(9999), errno.EBADF))
    yield "right BPF and wrong COUNTERS", nest(prog, name) + nl.attr(nl.COUNTERS), NO_COUNTERS


def counters_cases():
    """The COUNTERS attribute."""
    three = {kind: nl.u64(kind, 0) for kind in (2, 3, 4)}
    yield "COUNTERS without anything", END + nl.attr(nl.COUNTERS), NO_COUNTERS
    for kind, name in ((2, "packets"), (3, "bytes"), (4, "errors")):
        others = b"".join(data for other, data in three.items() if other != kind)
        yield f"COUNTERS without {name}", END + nl.attr(nl.COUNTERS, others), Told(f"Counters require {name}")
        for size in (0, 4, 7):
            short = END + nl.attr(nl.COUNTERS, others + nl.attr(kind, bytes(size)))
            yield f"COUNTERS with {name} of {size} bytes", short, RANGE
    yield "COUNTERS that are not 0", END + nl.attr(nl.COUNTERS, nl.u64(2, 1) + nl.u64(3, 2) + nl.u64(4, 3)), ACCEPTED
    yield "wrong COUNTERS and wrong FLAVORS", END + nl.flavors(nl.USP) + nl.attr(nl.COUNTERS), NO_COUNTERS


def flavors_cases():
    """The FLAVORS attribute. Actions that have no flavors ignore it, also with flavors that none has (B15)."""
    yield "FLAVORS without anything", END + nl.attr(nl.FLAVORS), NO_OPERATION
    yield "FLAVORS without operation", END + nl.attr(nl.FLAVORS, nl.u8(2, 32) + nl.u8(3, 16)), NO_OPERATION
    yield "FLAVORS with an operation of 3 bytes", END + nl.attr(nl.FLAVORS, nl.attr(1, bytes(3))), RANGE
    yield "FLAVORS with a block length of 0 bytes", END + nl.attr(nl.FLAVORS, nl.u32(1, 0) + nl.attr(2)), RANGE
    yield "FLAVORS with a node length of 0 bytes", END + nl.attr(nl.FLAVORS, nl.u32(1, 0) + nl.attr(3)), RANGE
    for mask in (1, nl.USP, nl.USD, nl.PSP | nl.USP, nl.NEXT_CSID | nl.USD, 1 << 5, 1 << 31, 0xFFFFFFFF):
        yield f"End with flavors {mask:#x}", END + nl.flavors(mask), FLAVOR
        yield f"End.X with flavors {mask:#x}", END_X + NH6 + nl.flavors(mask), FLAVOR
    yield "End.X with PSP", END_X + NH6 + nl.flavors(nl.PSP), FLAVOR
    yield "End.X with PSP and NEXT-C-SID", END_X + NH6 + nl.flavors(nl.PSP | nl.NEXT_CSID), FLAVOR
    for mask in (0, nl.PSP, nl.NEXT_CSID, nl.PSP | nl.NEXT_CSID):
        yield f"End with flavors {mask:#x}", END + nl.flavors(mask), ACCEPTED
    for mask in (0, nl.NEXT_CSID):
        yield f"End.X with flavors {mask:#x}", END_X + NH6 + nl.flavors(mask), ACCEPTED
    yield "End.T with flavors that End has not", END_T + TABLE + nl.flavors(nl.USP), ACCEPTED
    yield "End.T with FLAVORS without anything", END_T + TABLE + nl.attr(nl.FLAVORS), ACCEPTED
    for block, node in ((0, 16), (32, 0), (4, 16), (33, 16), (32, 15), (7, 7), (128, 8), (8, 128), (121, 7), (120, 16),
                        (64, 72), (248, 16), (16, 248), (136, 248), (255, 255), (113, None), (120, None), (None, 104)):
        for name, action in (("End", END), ("End.X", END_X + NH6)):
            yield f"{name} with C-SID lengths {block}, {node}", action + nl.flavors(nl.NEXT_CSID, block, node), CSID
    for block, node in ((8, 8), (120, 8), (8, 120), (64, 64), (32, 16), (112, None), (None, 96), (None, None)):
        yield f"End with C-SID lengths {block}, {node}", END + nl.flavors(nl.NEXT_CSID, block, node), ACCEPTED
    yield "End with wrong C-SID lengths, without NEXT-C-SID", END + nl.flavors(nl.PSP, 1, 255), ACCEPTED


def liberal_cases():
    """What the parser tolerates."""
    yield "unknown attributes", END + nl.u32(12, 1) + nl.attr(4095, b"x") + nl.u32(0, 7), ACCEPTED
    for size in (1, 2, 3):
        yield f"{size} bytes after the last attribute", END + bytes(size), LEFTOVER
    yield "an attribute whose length is past the end", END + b"\x20\0\3\0", LEFTOVER
    yield "an attribute whose length is 0", END + b"\0\0\3\0", LEFTOVER
    yield "BPF, COUNTERS and FLAVORS on End.T and End", END + nl.attr(nl.BPF) + nl.attr(nl.SRH), ACCEPTED
    yield "ACTION twice, the last is wrong", END + nl.u32(nl.ACTION, 11), Told("Unknown action 11")
    yield "ACTION twice, the first is wrong", nl.u32(nl.ACTION, 11) + END, ACCEPTED
    yield "COUNTERS twice, the last is wrong", END + nl.counters() + nl.attr(nl.COUNTERS), NO_COUNTERS
    yield "SRH of every size on End", END + nl.attr(nl.SRH, b"\0" * 7), ACCEPTED


def decap_cases():
    """The behaviors that decapsulate."""
    oif, any4, vrf = nl.u32(nl.OIF, 1), nl.attr(nl.NH4, bytes(4)), nl.u32(nl.VRFTABLE, VRF_TABLE)
    no_vrf = nl.u32(nl.VRFTABLE, 4711)
    yield "End.DX2 without OIF", END_DX2, Told("End.DX2 requires oif")
    yield "End.DX2 with IIF only", END_DX2 + nl.u32(nl.IIF, 1), Told("End.DX2 requires oif")
    yield "End.DX2 with a device that is not Ethernet", END_DX2 + oif, ACCEPTED
    yield "End.DX2 with a device that does not exist", END_DX2 + nl.u32(nl.OIF, 4711), ACCEPTED
    yield "End.DX2 with device 0", END_DX2 + nl.u32(nl.OIF, 0), ACCEPTED
    yield "End.DX6 without NH6", END_DX6, Told("End.DX6 requires nh6")
    yield "End.DX6 with NH4 only", END_DX6 + any4, Told("End.DX6 requires nh6")
    yield "End.DX6 with the unspecified address", END_DX6 + nl.addr6(nl.NH6, "::"), ACCEPTED
    yield "End.DX6 with a multicast address", END_DX6 + nl.addr6(nl.NH6, "ff02::1"), ACCEPTED
    yield "End.DX4 without NH4", END_DX4, Told("End.DX4 requires nh4")
    yield "End.DX4 with NH6 only", END_DX4 + NH6, Told("End.DX4 requires nh4")
    yield "End.DX4 with address 0.0.0.0", END_DX4 + any4, ACCEPTED
    yield "End.DX4 with a broadcast address", END_DX4 + nl.attr(nl.NH4, b"\xff" * 4), ACCEPTED
    yield "End.DT6 without a table", END_DT6, TABLES
    yield "End.DT6 with TABLE and VRFTABLE", END_DT6 + TABLE + vrf, TABLES
    yield "End.DT6 with TABLE and VRFTABLE without VRF", END_DT6 + TABLE + no_vrf, TABLES
    yield "End.DT6 without a table, with wrong COUNTERS", END_DT6 + nl.attr(nl.COUNTERS), NO_COUNTERS
    yield "End.DT6 with a table that does not exist", END_DT6 + nl.u32(nl.TABLE, 4711), ACCEPTED
    yield "End.DT6 with table 0", END_DT6 + nl.u32(nl.TABLE, 0), ACCEPTED
    yield "End.DT6 with table -1", END_DT6 + nl.u32(nl.TABLE, -1), ACCEPTED
    for name, action in (("End.DT4", END_DT4), ("End.DT46", END_DT46)):
        yield f"{name} without VRFTABLE", action, Told(f"{name} requires vrftable")
        yield f"{name} with TABLE only", action + TABLE, Told(f"{name} requires vrftable")
        yield f"{name} with TABLE, too", action + TABLE + vrf, ACCEPTED
    for name, action in VRF_ACTIONS:
        yield f"{name} with a VRF", action + vrf, ACCEPTED
        for table in (4711, 0, 100, 254, -1):
            yield f"{name} with table {table}, of no VRF", action + nl.u32(nl.VRFTABLE, table), NO_VRF
        yield f"{name} with a wrong VRF and wrong COUNTERS", action + no_vrf + nl.attr(nl.COUNTERS), NO_COUNTERS
        yield f"{name} with wrong FLAVORS", action + vrf + nl.flavors(nl.USP), ACCEPTED


def srh_cases():
    """The SRH of End.B6 and End.B6.Encaps."""
    good = p.srh(0, ["fd02::77", "fd03::9"], 1)
    for name, action in (("End.B6", END_B6), ("End.B6.Encaps", END_B6_ENCAP)):
        yield f"{name} without SRH", action, Told(f"{name} requires srh")
        yield f"{name} with an empty SRH", action + nl.attr(nl.SRH), Told(SRH_FAULTS[""])
        for what, header in p.invalid_srhs():
            yield f"{name} with {what}", action + nl.attr(nl.SRH, header), Told(SRH_FAULTS[what])
        yield (f"{name} with 8 bytes behind the SRH", action + nl.attr(nl.SRH, good + bytes(8)),
               Told(SRH_FAULTS["48 bytes of 40"]))
        for what, header, text in (("wrong", b"", SRH_FAULTS[""]), ("right", good, "Counters require packets")):
            yield (f"{name} with a {what} SRH and wrong COUNTERS",
                   action + nl.attr(nl.SRH, header) + nl.attr(nl.COUNTERS), Told(text))
        for what, header in (("1 segment", p.srh(0, ["fd03::9"], 0)), ("2 segments", good),
                             ("127 segments", p.srh(0, ["fd03::9"] * 127, 126)),
                             ("127 segments and a TLV", p.srh(0, ["fd03::9"] * 127, 126, tlvs=p.pad(8))),
                             ("a next header", p.edit(good, 0, b"\x3b")),
                             ("no segments left", p.srh(0, ["fd02::77", "fd03::9"], 0)),
                             ("tag, flags and TLVs", p.srh(0, ["fd03::9"], 0, tag=1, flags=255, tlvs=p.pad(16))),
                             ("an unknown HMAC key", p.srh(0, ["fd03::9"], 0, flags=8, tlvs=p.hmac_tlv(99)))):
            yield f"{name} with {what}", action + nl.attr(nl.SRH, header), ACCEPTED


def without_strict_mode(net, data):
    """Tries to add a SID while a table may belong to several VRFs."""
    with strict_mode(0):
        return attempt(net, data)


def program_freed(net):
    """A SID keeps its program; errors and deletion give it back."""
    fd = ebpf.load_program(ebpf.returning(ebpf.OK))
    number = ebpf.program_info(fd)["id"]
    for rest in (nl.attr(nl.COUNTERS), nl.attr(nl.BPF)):
        attempt(net, END_BPF + nl.bpf(fd) + rest)
    with net.installed(END_BPF, nl.bpf(fd)):
        os.close(fd)
        lib.check(ebpf.program_exists(number), "the program is gone while a SID uses it")
    lib.wait_for(lambda: not ebpf.program_exists(number), "the program is freed after the SID")


def references_freed(net, before):
    """After everything, no SID refers to the module."""
    with net.installed(END):
        lib.equal(refcount(), before + lib.IS_MODULE, "references to the module with one SID")
    lib.wait_for(lambda: refcount() == before, "the references to the module are given back")


def memory():
    """Memory of the kernel that a leak would fill, in KiB: slabs and per-CPU memory."""
    lib.shrink_slabs()
    with open("/proc/meminfo", encoding="ascii") as info:
        sizes = dict(line.split(":") for line in info)
    return [int(sizes[name].split()[0]) for name in ("SUnreclaim", "Percpu")]


def nothing_leaks(net, data, want):
    """Adds and deletes a SID, or tries to, so often that a leak of anything would be seen.

    kmemleak needs to see it only once, and leaks.py asks it.
    """
    has_kmemleak = os.path.exists(lib.KMEMLEAK)
    device = nl.u32(nl.RTA_OIF, net.devices["dum0"])
    message = nl.route(f"{SID}/128", device, nl.encap(nl.ENCAP_SEG6_LOCAL, data))
    code, text = answer(want)

    def run():
        """Many SIDs; the first time, caches of the kernel fill."""
        for _ in range(1 if has_kmemleak else LEAK_ROUNDS):
            lib.equal(net.rtnl.flood(nl.RTM_NEWROUTE, [message] * LEAK_BATCH, nl.F_CREATE | nl.F_REPLACE),
                      {(code, None if lib.IS_C and isinstance(want, Told) else text)}, "adding")
        if want == ACCEPTED:
            lib.equal(net.rtnl.delete(nl.route(f"{SID}/128", device)), ACCEPTED, "deleting")

    run()
    if has_kmemleak:
        return
    before = memory()
    run()
    limit = LEAK_BATCH * LEAK_ROUNDS * 32 // 1024
    lib.wait_for(lambda: all(now - then < limit for now, then in zip(memory(), before)),
                 f"slabs and per-CPU memory within {limit} KiB of {before}")


def answer(want):
    """The errno and the text of an answer."""
    return (want.errno, want.text) if isinstance(want, Told) else want


def add(suite, name, run, want):
    """Adds the case of a request that is accepted, or refused."""
    code, text = answer(want)
    suite.add(f"{name}: {errno.errorcode.get(code, 'accepted')}", run, (code, text),
              ("B33", (code, None)) if isinstance(want, Told) else None)


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    idle = ebpf.load_program(ebpf.returning(ebpf.OK))
    other_type = ebpf.load_program(ebpf.returning(ebpf.OK), ebpf.TYPE_LWT_IN)
    for cases in (policy_cases(), required_cases(), bpf_cases(idle, other_type), counters_cases(), flavors_cases(),
                  decap_cases(), srh_cases(), liberal_cases()):
        for name, data, want in cases:
            add(suite, name, partial(attempt, net, data), want)
    told = {nl.ERROR_TEXT, nl.ERROR_OFFSET}
    suite.add("the error for an attribute says where that is", partial(told_of_policy, net), told,
              ("D3", told | {nl.ERROR_POLICY}))
    for name, action in VRF_ACTIONS:
        for table in (VRF_TABLE, 4711):
            suite.add(f"{name} with table {table}, VRFs not in strict mode: EPERM",
                      partial(without_strict_mode, net, action + nl.u32(nl.VRFTABLE, table)), NOT_STRICT)
    suite.add("End.DT6 with TABLE, VRFs not in strict mode: accepted",
              partial(without_strict_mode, net, END_DT6 + TABLE), ACCEPTED)
    add(suite, "a SID for IPv4", partial(attempt, net, END, family=socket.AF_INET),
        Told("seg6local is only for IPv6 routes and nexthops"))
    for kind in (0, 11, 99, 0xFFFF):
        suite.add(f"encapsulation type {kind}: EINVAL", partial(attempt, net, END, kind),
                  (errno.EINVAL, "Unknown lwt encapsulation type"))
    long_name, long_path = nl.bpf(idle, "n" * 256), nl.attr(nl.SRH, p.srh(0, ["fd03::9"] * 50, 49))
    for name, data, want in (
        ("good SIDs", END_BPF + long_name + nl.counters(), ACCEPTED),
        ("a wrong action", nl.u32(nl.ACTION, 17), Told("Unknown action 17")),
        ("counters and wrong flavors", END + nl.counters() + nl.flavors(nl.USP), FLAVOR),
        ("a program and wrong counters", END_BPF + long_name + nl.attr(nl.COUNTERS), NO_COUNTERS),
        ("policies", END_B6 + long_path + nl.counters(), ACCEPTED),
        ("a policy and wrong counters", END_B6_ENCAP + long_path + nl.attr(nl.COUNTERS), NO_COUNTERS),
        ("SIDs of a VRF", END_DT46 + nl.u32(nl.VRFTABLE, VRF_TABLE) + nl.counters(), ACCEPTED),
        ("counters and no VRF", END_DT4 + nl.u32(nl.VRFTABLE, 4711) + nl.counters(), NO_VRF),
    ):
        suite.add(f"nothing leaks: {name}", partial(nothing_leaks, net, data, want))
    suite.add("the program of a SID is freed", partial(program_freed, net))
    net.serving()
    lib.wait_for(lambda: refcount() == 0, "no SID is left from before")
    suite.add("the references to the module are freed", partial(references_freed, net, 0))
    suite.main()


if __name__ == "__main__":
    main()
