#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the refusal of a SID names, and what iproute2 tells of it (B33); all texts are in config.py."""

import subprocess
from functools import partial

import ebpf
import netlink as nl
import packet as p
from config import (END, END_B6, END_B6_ENCAP, END_BPF, END_DT4, END_DT46, END_DT6, END_DX2, END_DX4, END_DX6,
                    END_T, END_X, NH6, TABLE)
from edge import VRF_TABLE, Edge
from topology import SID

NOTHING = None, None, None


def wrong(attribute):
    """An answer that names an attribute."""
    return attribute, None, None


def missing(kind, data, nest=nl.RTA_ENCAP):
    """An answer that names an attribute that is missing, and where."""
    return None, kind, nl.attr(nest, data)


def required():
    """Attributes that are missing: (name, attributes, the number of the missing one)."""
    yield "an action", b"", nl.ACTION
    for name, action, kind in (("End.X", END_X, nl.NH6), ("End.T", END_T, nl.TABLE), ("End.DX2", END_DX2, nl.OIF),
                               ("End.DX6", END_DX6, nl.NH6), ("End.DX4", END_DX4, nl.NH4), ("End.B6", END_B6, nl.SRH),
                               ("End.B6.Encaps", END_B6_ENCAP, nl.SRH), ("End.BPF", END_BPF, nl.BPF),
                               ("End.DT4", END_DT4, nl.VRFTABLE), ("End.DT46", END_DT46 + TABLE, nl.VRFTABLE)):
        yield f"an attribute of {name}", action, kind


def requests(idle, other_type):
    """Requests that are refused: (what the answer names, attributes, what it names)."""
    for name, data, kind in required():
        yield f"{name} that is missing", data, missing(kind, data)
    prog, name = nl.u32(1, idle), nl.attr(2, b"name\0")
    for what, kind, data in (("program", 1, name), ("name", 2, prog)):
        yield f"the missing {what} of End.BPF", END_BPF + nl.attr(nl.BPF, data), missing(kind, data, nl.BPF)
    packets, sizes = nl.u64(2, 0), nl.u64(3, 0)
    for what, kind, data in (("packets", 2, b""), ("bytes", 3, packets), ("errors", 4, packets + sizes)):
        yield (f"the missing counter of {what}", END + nl.attr(nl.COUNTERS, data), missing(kind, data, nl.COUNTERS))
    yield "the missing operation of flavors", END + nl.attr(nl.FLAVORS), missing(1, b"", nl.FLAVORS)
    for action in (0, 11, 17):
        attribute = nl.u32(nl.ACTION, action)
        yield f"action {action}", NH6 + attribute + TABLE, wrong(attribute)
    for what, header in p.invalid_srhs():
        attribute = nl.attr(nl.SRH, header)
        yield f"an SRH: {what}", END_B6 + attribute, wrong(attribute)
    for what, number in (("no open file", 9999), ("another type", other_type)):
        yield (f"a program: {what}", END_BPF + nl.attr(nl.BPF, nl.u32(1, number) + name), wrong(nl.u32(1, number)))
    no_vrf, short = nl.u32(nl.VRFTABLE, 4711), nl.attr(2, b"name")
    for name, action in (("End.DT4", END_DT4), ("End.DT6", END_DT6), ("End.DT46", END_DT46)):
        yield f"a table of no VRF: {name}", action + no_vrf, wrong(no_vrf)
    for what, data in (("no table", END_DT6), ("two tables", END_DT6 + TABLE + nl.u32(nl.VRFTABLE, VRF_TABLE))):
        yield f"all, with {what}", data, wrong(nl.attr(nl.RTA_ENCAP, data))
    yield "flavors that End has not", END + nl.flavors(nl.USP), wrong(nl.u32(1, nl.USP))
    yield "the length of a locator block", END + nl.flavors(nl.NEXT_CSID, 33), wrong(nl.u8(2, 33))
    yield "the length of a locator node", END + nl.flavors(nl.NEXT_CSID, None, 7), wrong(nl.u8(3, 7))
    yield "a name without NUL", END_BPF + nl.attr(nl.BPF, prog + short), wrong(short)


def named(net, data):
    """What the answer to a request names; it has a text."""
    code, text = net.rtnl.add(net.sid(data, count=False))
    return code != 0, text is not None, net.rtnl.named()


def leftover(net):
    """The text for a SID that is accepted although bytes are left in a nest."""
    nest = nl.attr(nl.COUNTERS, nl.u64(2, 0) + nl.u64(3, 0) + nl.u64(4, 0) + b"\0")
    answer = net.rtnl.add(net.sid(END, nest, count=False))
    net.rtnl.delete(net.sid(END))
    return answer


def told(*arguments):
    """What iproute2 says of a command that fails."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.splitlines()


def commands():
    """Commands that people have tried: (arguments, the text, the number of the missing attribute)."""
    only = "seg6local is only for IPv6 routes and nexthops"
    seg6local, device = "encap seg6local action ", " dev dum0"
    yield "route add 192.0.2.0/24 " + seg6local + "End" + device, only, None
    yield "nexthop add id 7 " + seg6local + "End" + device, only, None
    for rest, text, kind in (("End.DT4 table 200", "End.DT4 requires vrftable", nl.VRFTABLE),
                             ("End.DT46", "End.DT46 requires vrftable", nl.VRFTABLE),
                             ("End.DT6", "table or vrftable must be specified", None),
                             ("End.X", "End.X requires nh6", nl.NH6), ("End.DX2", "End.DX2 requires oif", nl.OIF),
                             ("End.DX4 nh6 fd02::1", "End.DX4 requires nh4", nl.NH4),
                             ("End.T", "End.T requires table", nl.TABLE), ("End.B6", "End.B6 requires srh", nl.SRH),
                             ("End.BPF", "End.BPF requires endpoint", nl.BPF),
                             ("End.DT6 vrftable 4711", "Table has no associated VRF device", None),
                             ("End flavors usp", "Unsupported Flavor operation(s)", None)):
        for what in (f"-6 route add {SID}", "-6 nexthop add id 7"):
            yield f"{what} {seg6local}{rest}{device}", text, kind


def add_commands(suite):
    """With C iproute2 has an error number only, or the texts that C has."""
    of_c = "table or", "Table has", "Unsupported"
    for arguments, text, kind in commands():
        lines = [f"Missing required attribute type {kind}"] if kind else []
        suite.add(f"ip {arguments}", partial(told, *arguments.split()), (2, [*lines, f"Error: {text}."]),
                  None if text.startswith(of_c) else ("B33", (2, ["RTNETLINK answers: Invalid argument"])))


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    idle = ebpf.load_program(ebpf.returning(ebpf.OK))
    other_type = ebpf.load_program(ebpf.returning(ebpf.OK), ebpf.TYPE_LWT_IN)
    texts_of_c = ("a table of no VRF", "all, with", "flavors that", "the length of")
    for name, data, want in requests(idle, other_type):
        suite.add(f"the answer names {name}", partial(named, net, data), (True, True, want),
                  ("B33", (True, name.startswith(texts_of_c), NOTHING)))
    suite.add("bytes are left in a nest", partial(leftover, net), (0, "bytes leftover after parsing attributes"),
              ("B33", (0, None)))
    add_commands(suite)
    suite.main()


if __name__ == "__main__":
    main()
