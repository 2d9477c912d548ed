#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""End.B6 (insertion of an SRH) and End.B6.Encaps (RFC 8986, Section 4.13): the headers that a SID puts on a packet.

End.B6 leaves the SRH of the packet as it is and inserts its own in front; End.B6.Encaps advances that SRH first, as
End does, and puts an IPv6 header with its own SRH around.
"""

from dataclasses import dataclass
from functools import partial
from typing import Callable

import lib
import netlink as nl
import packet as p
from end import bad_packets, good_packets
from routes import unroutable
from topology import (ALT, BACK, BACK2, IN_ADDRESS, KEY, OUT, SECRET, SID, Net, Traffic, ip, set_hmac_key,
                      set_tunnel_source, sysctl)

A, B = "fd02::a", "fd02::b"
PATH = ["fd02::77", "fd03::9"]
BEFORE, ADVANCED = p.sr(SID, [A, B, SID], 2), p.sr(B, [A, B, SID], 1)
DROPPED = [], (0, 0, 1)
FLOW = 0xAB << 20 | 0xCDEF1
ROUNDS = 100
DUMMY_ADDRESS = "fd0f::1"


@dataclass
class Policy:
    """One of the two behaviors: what it puts on a packet, and who is told when that gets lost."""

    name: str
    action: int
    build: Callable
    back: str

    def attributes(self, segments=None, left=1, **fields):
        """The attributes of a SID."""
        header = p.srh(0, segments or PATH, left, **fields)
        return nl.u32(nl.ACTION, self.action), nl.attr(nl.SRH, header)

    def pushed(self, before, advanced, segments=None, left=1, **fields):
        """What becomes of a packet; `advanced` is how End would leave it."""
        return self.build(before if self.action == nl.END_B6 else advanced, segments or PATH, left, **fields)


POLICIES = (Policy("End.B6", nl.END_B6, p.inline, BACK),
            Policy("End.B6.Encaps", nl.END_B6_ENCAP, p.encapsulated, BACK2))


def add_headers(suite, net, policy):
    """SRHs of all kinds."""
    def add(name, segments, left, **fields):
        """Adds a case for an SRH."""
        suite.add(f"{policy.name}: {name}", partial(net.through, policy.attributes(segments, left, **fields), BEFORE),
                  ([(ALT, p.hop(policy.pushed(BEFORE, ADVANCED, segments, left, **fields)))], (1, len(BEFORE), 0)))

    three = ["fd02::77", "fd02::88", "fd03::9"]
    add("2 segments", PATH, 1)
    add("3 segments", three, 2)
    add("3 segments, 1 left", three, 1)
    add("3 segments, none left", three, 0)
    add("127 segments", ["fd02::77"] * 126 + ["fd03::9"], 126)
    add("tag and flags", PATH, 1, tag=0xBEEF, flags=0xF7)
    add("TLVs", PATH, 1, tlvs=p.tlv(200, bytes(range(14))) + p.pad(8))
    add("TLVs up to 2048 bytes", PATH, 1, tlvs=p.tlv(1, bytes(248)) * 8 + p.pad(8))
    add("an HMAC TLV without the flag", PATH, 1, tlvs=p.hmac_tlv(KEY))
    if policy.action == nl.END_B6_ENCAP:
        add("1 segment", ["fd03::9"], 0)
    else:
        suite.add("End.B6: 1 segment, which is the SID again: until the recursion limit",
                  partial(net.through, policy.attributes(["fd03::9"], 0), BEFORE), ([], (0, 0, 9)))


def add_packets(suite, net, policy):
    """Packets of all kinds."""
    for name, before, advanced in good_packets():
        suite.add(f"{policy.name} on {name}", partial(net.through, policy.attributes(), before),
                  ([(ALT, p.hop(policy.pushed(before, advanced)))], (1, len(before), 0)))
    for name, before in bad_packets():
        suite.add(f"{policy.name} on {name}: dropped", partial(net.through, policy.attributes(), before), DROPPED)
    fields = {"flow": FLOW, "hlim": 9}
    before, advanced = p.sr(SID, [A, B, SID], 2, **fields), p.sr(B, [A, B, SID], 1, **fields)
    suite.add(f"{policy.name}: hop limit, traffic class and flow label are those of the packet",
              partial(net.through, policy.attributes(), before),
              ([(ALT, p.hop(policy.pushed(before, advanced)))], (1, len(before), 0)))
    for mode, label in ((-1, 0), (0, FLOW & 0xFFFFF)):
        out = p.hop(policy.pushed(before, advanced))
        if policy.action == nl.END_B6_ENCAP:
            out = p.edit(out, 0, (6 << 28 | 0xAB << 20 | label).to_bytes(4))
        suite.add(f"{policy.name} with seg6_flowlabel={mode}", partial(with_flow_label, net, policy, mode, before),
                  ([(ALT, out)], (1, len(before), 0)))
    suite.add(f"{policy.name}: packet in pages", partial(paged, net, policy))
    suite.add(f"{policy.name}: cloned packet", partial(net.tapped, policy.attributes(), BEFORE),
              ([(ALT, p.hop(policy.pushed(BEFORE, ADVANCED)))], (1, len(BEFORE), 0), BEFORE))


def with_flow_label(net, policy, mode, packet):
    """What comes out with a value of the sysctl for the flow label of outer headers."""
    sysctl("net/ipv6/seg6_flowlabel", mode)
    try:
        return net.through(policy.attributes(), packet)
    finally:
        sysctl("net/ipv6/seg6_flowlabel", 0)


def paged(net, policy):
    """A packet of which only a part is in the head of the skb."""
    data = p.udp(bytes(range(256)) * 20)
    before, advanced = p.sr(SID, [A, SID], 1, data), p.sr(A, [A, SID], 0, data)
    want = [(ALT, p.hop(policy.pushed(before, advanced)))], (1, len(before), 0)
    for linear in (0, 40, 41, 48, 79, 80, 81, 100):
        lib.equal(net.through(policy.attributes(), before, linear), want, f"{linear} linear bytes")


def add_routes(suite, net, policy):
    """The first segment has no route, is a SID, or is behind a small MTU; counted as for the other behaviors."""
    def add(name, segments, out, counters, before=BEFORE):
        """Adds a case."""
        suite.add(f"{policy.name}: {name}", partial(net.through, policy.attributes(segments), before), (out, counters))

    def told(kind, code, packet, info=0):
        """An ICMPv6 error, to the source of the packet that it is about."""
        return [(policy.back, p.icmp_error(kind, code, packet, IN_ADDRESS, p.text(packet[8:24]), info))]

    for name, target, icmp in unroutable():
        segments = ["fd02::77", target]
        out = told(*icmp, policy.pushed(BEFORE, ADVANCED, segments)) if icmp else []
        add(f"first segment with {name}", segments, out, (1, len(BEFORE), 0))
    expired = p.sr(SID, [A, SID], 1, hlim=1), p.sr(A, [A, SID], 0, hlim=1)
    add("hop limit 1: an error", PATH, told(3, 0, policy.pushed(*expired)), (0, 0, 1), expired[0])
    narrow = ["fd02::77", "fd06::1"]
    fits = 1280 - len(policy.pushed(p.sr(SID, [A, SID], 1, b""), p.sr(A, [A, SID], 0, b""), narrow))
    for size, name in ((fits, "just as large as the MTU of the route"), (fits + 1, "larger than the MTU of the route")):
        big = [p.sr(dst, [A, SID], left, bytes(size)) for dst, left in ((SID, 1), (A, 0))]
        packet = policy.pushed(*big, narrow)
        if size == fits:
            add(name, narrow, [(OUT, p.hop(packet))], (1, len(big[0]), 0), big[0])
        else:
            add(f"{name}: an error", narrow, told(2, 0, packet, 1280), (0, 0, 1), big[0])
    segments = ["fd02::77", "fd03::9", "fcff::c"]
    packet = p.edit(policy.pushed(BEFORE, ADVANCED, segments, 1), 24, p.addr("fd03::9"))
    suite.add(f"{policy.name}: the first segment is a SID of this router", partial(to_sid, net, policy, segments),
              ([(ALT, p.hop(packet))], (1, len(BEFORE), 0)))


def to_sid(net, policy, segments):
    """The packet through a SID whose first segment is another SID of this router."""
    with net.installed(nl.u32(nl.ACTION, nl.END), dst="fcff::c"):
        return net.through(policy.attributes(segments, 2), BEFORE)


def add_hmac(suite, net, policy):
    """An SRH with the HMAC flag is signed for each packet, or the packet is dropped."""
    def attributes(count=2, key=KEY, tlvs=None):
        """The attributes of a SID with an HMAC."""
        segments = ["fd02::77"] * (count - 1) + ["fd03::9"]
        return policy.attributes(segments, count - 1, flags=8, tlvs=p.hmac_tlv(key) if tlvs is None else tlvs)

    for count in (2, 14):
        segments = ["fd02::77"] * (count - 1) + ["fd03::9"]
        is_inline = policy.action == nl.END_B6
        signed = [SID, *segments[1:]] if is_inline else segments
        digest = p.digest(SECRET, p.SRC if is_inline else p.TUNNEL_SRC, signed, KEY)
        out = policy.pushed(BEFORE, ADVANCED, segments, count - 1, flags=8, tlvs=p.hmac_tlv(KEY, digest))
        suite.add(f"{policy.name} with an HMAC over {count} segments", partial(net.through, attributes(count), BEFORE),
                  ([(ALT, p.hop(out))], (1, len(BEFORE), 0)))
    for name, refused in (("over 15 segments", attributes(15)), ("with an unknown key", attributes(key=KEY + 1)),
                          ("without TLV", attributes(tlvs=b"")),
                          ("that is not the last TLV", attributes(tlvs=p.hmac_tlv(KEY) + p.pad(8)))):
        suite.add(f"{policy.name} with an HMAC {name}: dropped", partial(net.through, refused, BEFORE), DROPPED)
    misplaced = attributes(tlvs=p.misplaced_hmac_tlv(KEY))
    suite.add(f"{policy.name} with an HMAC in the middle of TLVs: dropped",
              lambda: net.through(misplaced, BEFORE) == DROPPED, True, ("B41", False))


def without_source(net, policy):
    """What comes out if no source address for tunnels is set: one of the device of the SID is taken."""
    ip("addr", "add", f"{DUMMY_ADDRESS}/128", "dev", "dum0", "nodad")
    set_tunnel_source("::")
    try:
        return net.through(policy.attributes(), BEFORE)
    finally:
        set_tunnel_source()
        ip("addr", "del", f"{DUMMY_ADDRESS}/128", "dev", "dum0")


def replaced(net, policy):
    """The SRH of the SID is replaced while packets run through it: each gets one of the two.

    A lookup that meets the old route while it is being freed finds none, which the source is told: see the calls of
    fib6_info_hold_safe() in net/ipv6/route.c.
    """
    paths = PATH, ["fd02::77"] * 20 + ["fd03::9"]
    want = [p.hop(policy.pushed(BEFORE, ADVANCED, path, len(path) - 1)) for path in paths]
    with net.installed(*policy.attributes()), Traffic(net, BEFORE) as traffic:
        for number in range(ROUNDS):
            path = paths[number % 2]
            message = net.sid(*policy.attributes(path, len(path) - 1))
            lib.equal(net.rtnl.add(message, nl.F_REPLACE), (0, None), "replacing the SID")
            traffic.wait(want[number % 2])
    lib.equal(set(traffic.seen) - {p.icmp_error(1, 0, BEFORE, IN_ADDRESS)}, set(want), "what comes out")


def main():
    """Builds the suite and runs it."""
    net = Net()
    suite = net.suite()
    set_tunnel_source()
    set_hmac_key()
    for policy in POLICIES:
        add_headers(suite, net, policy)
        add_packets(suite, net, policy)
        add_routes(suite, net, policy)
        add_hmac(suite, net, policy)
        suite.add(f"{policy.name}: the SRH is replaced under traffic", partial(replaced, net, policy))
    encaps = POLICIES[1]
    suite.add("End.B6.Encaps: the source is an address of the device of the SID if none is set",
              partial(without_source, net, encaps),
              ([(ALT, p.hop(encaps.pushed(BEFORE, ADVANCED, src=DUMMY_ADDRESS)))], (1, len(BEFORE), 0)))
    suite.main()


if __name__ == "__main__":
    main()
