#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""B7: bpf_lwt_seg6_action with End.DT6 on a packet whose inner IPv6 header is not in the linear part.

The C implementation leaves it there, and End.B6 then ends in BUG() in the softirq: there this program has a guest of its
own and no result.
"""

from functools import partial

import ebpf
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from topology import ALT, BACK, SID, Net, set_tunnel_source

LAST, OUTER = "fd02::a", 40 + 8 + 2 * 16
PATH = ["fd02::77", "fd03::9"]
INNER = p.ip6(p.UDP, "fd01::1", p.udp(bytes(5000)), hlim=9)
PACKET = p.ip6(p.RH, SID, p.srh(p.IPV6, [LAST, SID], 1) + INNER)


def through(net, script, calls, linear):
    """What the calls return, and what comes out for a packet with so many linear octets."""
    script.write(calls, (ebpf.OK,))
    out, counters = net.through(end_bpf(script.seg6local), PACKET, linear)
    return script.results(len(calls)), out, counters


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Net()
    suite = net.suite()
    set_tunnel_source()
    decapsulate = s.action(nl.END_DT6, bytes(4))
    insert = s.action(nl.END_B6, p.srh(0, PATH, 1))
    push = s.action(nl.END_B6_ENCAP, p.srh(0, PATH, 1))
    passed = 1, len(PACKET), 0
    for linear in (OUTER, OUTER + 1, OUTER + 39, OUTER + 40):
        suite.add(f"B7: End.DT6 with {linear - OUTER} linear octets inside", partial(through, net, script, [decapsulate],
                  linear), ([0], [(BACK, p.hop(INNER))], passed))
        suite.add(f"B7: End.DT6 with {linear - OUTER} linear octets inside, then End.B6",
                  partial(through, net, script, [decapsulate, insert], linear),
                  ([0, 0], [(ALT, p.hop(p.inline(INNER, PATH, 1)))], passed))
        suite.add(f"B7: End.DT6 with {linear - OUTER} linear octets inside, then End.B6.Encaps",
                  partial(through, net, script, [decapsulate, push], linear),
                  ([0, 0], [(ALT, p.hop(p.encapsulated(INNER, PATH, 1)))], passed))
    suite.main()


if __name__ == "__main__":
    main()
