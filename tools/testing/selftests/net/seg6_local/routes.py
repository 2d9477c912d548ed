#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a packet goes after its SID, and what is counted: routes that fail, SIDs in a row."""

from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
from topology import ALT, ALT2, BACK, IN_ADDRESS, OUT, OUT2, SID, Net, command

END = nl.u32(nl.ACTION, nl.END)


def segment(target, **fields):
    """A packet whose next segment is `target`."""
    return p.sr(SID, [target, SID], 1, **fields)


def advanced(target, **fields):
    """That packet behind the SID."""
    return p.sr(target, [target, SID], 0, **fields)


def unroutable():
    """Next segments that have no route: (name, segment, type and code of the ICMPv6 error or None)."""
    yield "no route", "2001:db8::1", (1, 0)
    yield "an unreachable route", "fd0b::1", (1, 0)
    yield "a prohibited route", "fd0c::1", (1, 1)
    yield "a throw route", "fd0e::1", (1, 0)
    yield "a blackhole", "fd0d::1", None
    yield "a local address", "fd0a::1", None
    yield "the loopback address", "::1", (1, 0)


def add_unroutable(suite, net, idle):
    """A packet without a route counts as processed (B29), also when the source is told."""
    behaviors = (("End", END), ("End.BPF", nl.u32(nl.ACTION, nl.END_BPF) + nl.bpf(idle)),
                 ("End.T", nl.u32(nl.ACTION, nl.END_T) + nl.u32(nl.TABLE, 254)))
    for behavior, attributes in behaviors:
        for name, target, icmp in unroutable():
            if behavior == "End.T" and target in ("fd0a::1", "::1"):
                continue  # local addresses are not in this table
            packet = segment(target)
            out = [(BACK, p.icmp_error(*icmp, advanced(target), IN_ADDRESS))] if icmp else []
            suite.add(f"{behavior} to {name}", partial(net.through, [attributes], packet), (out, (1, len(packet), 0)))
    for name, target, icmp in unroutable():
        packet = segment("fd02::a")
        out = [(BACK, p.icmp_error(*icmp, advanced("fd02::a"), IN_ADDRESS))] if icmp else []
        attributes = nl.u32(nl.ACTION, nl.END_X) + nl.addr6(nl.NH6, target)
        suite.add(f"End.X to {name}", partial(net.through, [attributes], packet), (out, (1, len(packet), 0)))
    packet = segment("fd02::a")
    for name, table in (("a table that is missing", 4711), ("table local, where the segment is not", 255)):
        attributes = nl.u32(nl.ACTION, nl.END_T) + nl.u32(nl.TABLE, table)
        out = [] if table == 4711 else [(BACK, p.icmp_error(1, 0, advanced("fd02::a"), IN_ADDRESS))]
        suite.add(f"End.T with {name}", partial(net.through, [attributes], packet), (out, (1, len(packet), 0)))


def add_forwarding_errors(suite, net):
    """Errors of forwarding are errors of the SID."""
    packet = segment("fd02::a", hlim=1)
    suite.add("hop limit 1", partial(net.through, [END], packet),
              ([(BACK, p.icmp_error(3, 0, advanced("fd02::a", hlim=1), IN_ADDRESS))], (0, 0, 1)))
    packet = segment("fd02::a", hlim=2)
    suite.add("hop limit 2", partial(net.through, [END], packet),
              ([(OUT, advanced("fd02::a", hlim=1))], (1, len(packet), 0)))
    big = p.udp(bytes(1300))
    suite.add("larger than the MTU of the route", partial(net.through, [END], segment("fd06::a", payload=big)),
              ([(BACK, p.icmp_error(2, 0, advanced("fd06::a", payload=big), IN_ADDRESS, info=1280))], (0, 0, 1)))
    packet = p.sr(SID, ["fd02::a", SID], 1, src="::1")
    suite.add("loopback source: dropped before the SID", partial(net.through, [END], packet), ([], (0, 0, 0)))
    packet = p.sr(SID, ["fd02::a", SID], 1, src="fe80::77")
    suite.add("link-local source: not forwarded", partial(lambda: net.through([END], packet)[1]), (0, 0, 1))


def add_end_x(suite, net):
    """End.X sends to its next hop whatever the next segment is."""
    packet = segment("2001:db8::1")
    want = p.hop(advanced("2001:db8::1"))
    alt0, out0 = (nl.u32(nl.OIF, net.devices[name]) for name in ("alt0", "out0"))
    for name, attributes, neighbor in (
        ("next hop behind a gateway", nl.addr6(nl.NH6, "fd03::1"), ALT),
        ("next hop behind another gateway", nl.addr6(nl.NH6, "fd02::1"), OUT),
        ("next hop on the link", nl.addr6(nl.NH6, "fdff:3::2"), ALT2),
        ("next hop on another link", nl.addr6(nl.NH6, "fdff:2::2"), OUT2),
        ("next hop on the link and device", nl.addr6(nl.NH6, "fdff:3::2") + alt0, ALT2),
        ("device 0", nl.addr6(nl.NH6, "fdff:3::1") + nl.u32(nl.OIF, 0), ALT),
        ("next hop behind a gateway and device", nl.addr6(nl.NH6, "fd02::1") + out0, OUT),
    ):
        suite.add(f"End.X: {name}", partial(net.through, [nl.u32(nl.ACTION, nl.END_X), attributes], packet),
                  ([(neighbor, want)], (1, len(packet), 0)))
    for name, device in (("another device than the route has", alt0), ("a device that is missing",
                                                                       nl.u32(nl.OIF, 4711))):
        attributes = [nl.u32(nl.ACTION, nl.END_X), nl.addr6(nl.NH6, "fd02::1"), device]
        suite.add(f"End.X: {name}", partial(lambda a: net.through(a, packet)[1], attributes), (1, len(packet), 0))


def chain(net, length, queue):
    """A packet through `length` SIDs of this router; what comes out, and the counters of each."""
    if queue:
        command("tc", "qdisc", "add", "dev", "out0", "root", "pfifo")
    sids = [f"fcff::c:{number}" for number in range(1, length + 1)]
    segments = ["fd02::a", *reversed(sids)]
    messages = [net.sid(END, dst=sid) for sid in sids]
    for message in messages:
        lib.equal(net.rtnl.add(message), (0, None), "adding a SID")
    out = net.send(p.sr(sids[0], segments, length))
    counters = [net.rtnl.get_counters(sid) for sid in sids]
    for message in messages:
        lib.equal(net.rtnl.delete(message), (0, None), "deleting a SID")
    if queue:
        command("tc", "qdisc", "del", "dev", "out0", "root")
    return out, counters


def add_chains(suite, net):
    """SIDs in a row: the ninth is the last one (the recursion limit of lwtunnel).

    A device without a queue is one more level, so it does not get a packet from the ninth.
    """
    for length, queue in ((2, False), (8, False), (9, False), (8, True), (9, True), (10, True), (11, True)):
        segments = ["fd02::a", *(f"fcff::c:{number}" for number in range(length, 0, -1))]
        size = len(p.sr(SID, segments, length))
        if length <= (9 if queue else 8):
            want = [(OUT, p.sr("fd02::a", segments, 0, hlim=63))], [(1, size, 0)] * length
        else:
            want = [], [(0, 0, 1)] * 9 + [(0, 0, 0)] * (length - 9)
        suite.add(f"{length} SIDs in a row, device with{'' if queue else 'out'} queue",
                  partial(chain, net, length, queue), want)


def main():
    """Builds the suite and runs it."""
    net = Net()
    suite = net.suite()
    idle = ebpf.load_program(ebpf.returning(ebpf.OK))
    add_unroutable(suite, net, idle)
    add_forwarding_errors(suite, net)
    add_end_x(suite, net)
    add_chains(suite, net)
    suite.main()


if __name__ == "__main__":
    main()
