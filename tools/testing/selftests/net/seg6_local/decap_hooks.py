#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Netfilter and the packet inside: what the prerouting hook does with it, and what conntrack knows of it.

With sysctl nf_hooks_lwtunnel End.DX4 and End.DX6 show it to the hook as if the device of the outer packet had received
it. For the SIDs of a VRF that is the VRF, which shows it to the hook in any case. The sysctl cannot be switched off
again, so this program comes after hooks.py.
"""

import contextlib
import dataclasses
from functools import partial

import lib
import packet as p
from edge import Edge, carried, counted
from hooks import KNOB, NF_ACCEPT, NF_DROP, QUEUE, Queue, rule, seen_by_rule
from topology import ALT, SID, expedite, ip, sysctl

MARK = 7
DT6_TABLE, VRFS = "End.DT6 table", ("End.DT6 vrftable", "End.DT4", "End.DT46 of IPv4", "End.DT46 of IPv6")


def inside(behavior):
    """The match of a rule for the packet inside."""
    return f"{'ip' if behavior.number == p.IPV4 else 'ip6'} daddr {behavior.target}"


def match(behavior):
    """The match of a rule for the packet inside, as the hook has to see it."""
    return f'iifname "{"red" if behavior.name in VRFS else "in0"}" {inside(behavior)}'


def filtered(net, behavior, statement, inner):
    """What becomes of a packet while a rule is in the prerouting hook."""
    with rule(statement, match(behavior), "prerouting"):
        return net.through(behavior.attributes, carried(inner))


def noticed(net, behavior, inner):
    """What becomes of a packet that the prerouting hook accepts, and how often the hook sees it."""
    with rule("counter name seen accept", match(behavior), "prerouting"):
        return *net.through(behavior.attributes, carried(inner)), seen_by_rule()


def marked(net, behavior, inner):
    """A mark that the hook sets chooses the route; the table has one to the other neighbor."""
    family, target = ("-4", "10.3.0.1") if behavior.number == p.IPV4 else ("-6", "fdff:3::1")
    ip(family, "route", "add", behavior.target, "via", target, "dev", "alt0", "table", "110")
    ip(family, "rule", "add", "pref", "10", "fwmark", str(MARK), "table", "110")
    try:
        return filtered(net, behavior, f"meta mark set {MARK}", inner)
    finally:
        ip(family, "rule", "del", "pref", "10", "fwmark", str(MARK), "table", "110")
        ip(family, "route", "del", behavior.target, "table", "110")


@contextlib.contextmanager
def queueing(behavior):
    """A context in which the packet inside waits in a queue."""
    with rule(f"queue num {QUEUE}", match(behavior), "prerouting"), contextlib.closing(Queue()) as queue:
        yield queue


def queued(net, behavior, inner, verdict):
    """What comes out while the packet waits, and after the verdict."""
    with queueing(behavior) as queue, net.installed(*behavior.attributes):
        before = net.send(carried(inner)), net.rtnl.get_counters(SID)
        number, data = queue.packet()
        lib.equal(data, inner, "the packet in the queue")
        queue.verdict(number, verdict)
        return before, (net.collect(), net.rtnl.get_counters(SID))


def orphaned(net, behavior, inner):
    """What comes out for a packet whose SID is deleted while it waits."""
    with queueing(behavior) as queue:
        with net.installed(*behavior.attributes):
            net.send(carried(inner))
        number, _ = queue.packet()
        queue.verdict(number, NF_ACCEPT)
        return net.collect()


def add_cross_connects(suite, net, behavior):
    """End.DX4 and End.DX6."""
    name, inner = behavior.name, behavior.inner()
    out, passed = behavior.out(inner), counted(inner)
    family, moved = ("ip6", "fd03::7") if behavior.number == p.IPV6 else ("ip", "10.13.0.7")
    other = dataclasses.replace(behavior, target=moved, label=ALT)
    suite.add(f"{name}: dropped, an error", partial(filtered, net, behavior, "drop", inner), ([], (0, 0, 1)))
    suite.add(f"{name}: a mark of the hook chooses the route", partial(marked, net, behavior, inner),
              ([(ALT, out[0][1])], passed))
    suite.add(f"{name}: the hook changes the destination",
              partial(filtered, net, behavior, f"{family} daddr set {moved}", inner),
              (other.out(other.inner()), passed))
    suite.add(f"{name}: queued and accepted", partial(queued, net, behavior, inner, NF_ACCEPT),
              (([], passed), (out, passed)))
    suite.add(f"{name}: queued and dropped", partial(queued, net, behavior, inner, NF_DROP),
              (([], passed), ([], passed)))
    suite.add(f"{name}: the SID is deleted while the packet is in the queue", partial(orphaned, net, behavior, inner),
              out)


def add_vrf(suite, net, behavior):
    """SIDs of a VRF: what its hook keeps counts as passed on, and no packet comes back from a queue."""
    name, inner = behavior.name, behavior.inner()
    passed = counted(inner)
    suite.add(f"{name}: dropped, counted as passed on", partial(filtered, net, behavior, "drop", inner), ([], passed))
    for verdict in (NF_ACCEPT, NF_DROP):
        suite.add(f"{name}: queued, then verdict {verdict}: dropped", partial(queued, net, behavior, inner, verdict),
                  (([], passed), ([], passed)))


def tracked(net, behavior, protocol):
    """Whether conntrack takes the packet inside for one of a connection of a protocol when it is forwarded."""
    with rule(f"ct original protocol {protocol} counter name seen", inside(behavior), "forward"):
        out = net.through(behavior.attributes, carried(behavior.inner()))[0]
        return out, seen_by_rule()


def add_conntrack(suite, net, behavior):
    """The packet inside is a connection of its own, except for End.DT6 with a table, which does not tell conntrack."""
    title, protocol = ("outer packet", p.IPV6) if behavior.name == DT6_TABLE else ("packet inside", p.UDP)
    suite.add(f"{behavior.name}: conntrack takes it for the {title}", partial(tracked, net, behavior, protocol),
              (behavior.out(behavior.inner()), 1))


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    expedite()
    sysctl(KNOB, 1)
    for behavior in net.decapsulations():
        if behavior.number == p.ETHERNET:
            continue
        hooks = behavior.name != DT6_TABLE
        inner = behavior.inner()
        suite.add(f"{behavior.name}: accepted by the hook, which sees it {'once' if hooks else 'not'}",
                  partial(noticed, net, behavior, inner), (behavior.out(inner), counted(inner), int(hooks)))
        if behavior.name in VRFS:
            add_vrf(suite, net, behavior)
        elif hooks:
            add_cross_connects(suite, net, behavior)
        add_conntrack(suite, net, behavior)
    suite.main()


if __name__ == "__main__":
    main()
