#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""B42: End.DX4 and End.DX6 with sysctl nf_hooks_lwtunnel, and a hook that translates the destination of the packet
inside (DNAT).

Netfilter takes the route of the packet away then, and the SID with it. The C implementation follows the pointer to the
route without a look at it: there this program has a guest of its own and no result.
"""

import contextlib
from functools import partial

import lib
import packet as p
from edge import Edge, carried
from hooks import KNOB, NF_ACCEPT, QUEUE, Queue
from topology import command, expedite, sysctl
from unload import unload

RULESET = """
table inet t {{
    chain translate {{
        type nat hook prerouting priority dstnat
        {family} daddr {target} dnat {family} to {other}
    }}
    chain late {{
        type filter hook prerouting priority 0
        {family} daddr {other} {statement}
    }}
}}
"""
LOST = [], (0, 0, 1)


@contextlib.contextmanager
def translating(behavior, statement):
    """A context in which the hook translates the destination, then executes a statement; it has the new address."""
    family, other = ("ip", "10.13.0.7") if behavior.number == p.IPV4 else ("ip6", "fd03::7")
    command("nft", "-f", "-", input=RULESET.format(family=family, target=behavior.target, other=other,
                                                   statement=statement))
    try:
        yield other
    finally:
        command("nft", "delete", "table", "inet", "t")


def translated(net, behavior):
    """What becomes of a packet whose destination is translated."""
    with translating(behavior, "accept"):
        return net.through(behavior.attributes, carried(behavior.inner()))


def left_behind(net, behavior):
    """What comes out for such a packet that is in a queue while the SID is deleted and the module unloaded."""
    with translating(behavior, f"queue num {QUEUE}") as other, contextlib.closing(Queue()) as queue:
        with net.installed(*behavior.attributes):
            net.send(carried(behavior.inner()))
        number, data = queue.packet()
        lib.check(p.addr(other) in data[:40], f"the destination is not {other}: {lib.show(data)}")
        unload()
        queue.verdict(number, NF_ACCEPT)
        return net.collect()


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    expedite()
    sysctl(KNOB, 1)
    for behavior in net.decapsulations():
        if behavior.name in ("End.DX4", "End.DX6"):
            suite.add(f"B42: {behavior.name}, translated: dropped, an error", partial(translated, net, behavior), LOST)
            suite.add(f"B42: {behavior.name}, translated and in a queue when the module goes: dropped",
                      partial(left_behind, net, behavior), [])
    suite.main()


if __name__ == "__main__":
    main()
