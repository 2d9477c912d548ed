#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""What tracepoints tell: why a packet was dropped (skb:kfree_skb) and why a request was refused (netlink:
netlink_extack)."""

import contextlib
import os
import re
from functools import partial

import netlink as nl
import packet as p
from dt import DROPPED, DT4, DT46, vrf
from edge import Edge, carried
from topology import command

TRACING = "/sys/kernel/tracing"


def write(name, text):
    """Writes to a file of the tracer."""
    with open(f"{TRACING}/{name}", "w", encoding="ascii") as file:
        file.write(text)


@contextlib.contextmanager
def traced(event):
    """A context in which an event is traced; a list gets what was."""
    found = []
    write("trace", "")
    write(f"events/{event}/enable", "1")
    try:
        yield found
    finally:
        write(f"events/{event}/enable", "0")
        with open(f"{TRACING}/trace", encoding="ascii") as trace:
            found += [line.split(": ", 2)[2].strip() for line in trace if not line.startswith("#")]


def reasons(net, attributes, packet):
    """Why the packet was dropped, what came out, and the counters of the SID."""
    with traced("skb/kfree_skb") as found:
        seen = net.through(attributes, packet)
    told = {match[1] for line in found if (match := re.search(r"protocol=2048 .*reason: (\w+)", line))}
    return told, *seen


def refused(net, *attributes):
    """The text of a request that is refused, and what the tracepoint tells."""
    with traced("netlink/netlink_extack") as found:
        _, text = net.rtnl.add(net.sid(*attributes))
    return text, found


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    if not os.path.isdir(f"{TRACING}/events"):
        command("mount", "-t", "tracefs", "tracefs", TRACING)
    for name, *attributes in (("End.DT4", DT4, vrf()), ("End.DT46", DT46, vrf()),
                              ("End.DX4", nl.u32(nl.ACTION, nl.END_DX4), nl.attr(nl.NH4, p.addr("10.12.0.7")))):
        for src, reason in (("127.0.0.1", "IP_LOCALNET"), ("224.0.0.1", "IP_INVALID_SOURCE")):
            inner = p.ip4(p.UDP, "10.14.0.7", p.udp(), src=src)
            known = ("D4", ({"NOT_SPECIFIED"}, *DROPPED)) if name != "End.DX4" else None
            suite.add(f"{name}: no route from {src}: the reason of the lookup",
                      partial(reasons, net, attributes, carried(inner)), ({reason}, *DROPPED), known)
    for text, *attributes in (("table or vrftable must be specified", nl.u32(nl.ACTION, nl.END_DT6)),
                              ("Unsupported Flavor operation(s)", nl.u32(nl.ACTION, nl.END), nl.flavors(nl.USP))):
        suite.add(f"refused: {text}", partial(refused, net, *attributes), (text, [f"msg={text}"]))
    suite.main()


if __name__ == "__main__":
    main()
