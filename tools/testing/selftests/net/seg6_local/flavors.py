#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The flavors PSP (RFC 8986, Section 4.16.1) and NEXT-C-SID (RFC 9800, Section 4.1) of End and End.X."""

from functools import partial

import lib
import netlink as nl
import packet as p
from topology import ALT, BACK, IN_ADDRESS, OUT, SID, Net

END, END_X = nl.u32(nl.ACTION, nl.END), nl.u32(nl.ACTION, nl.END_X)
PSP = END, nl.flavors(nl.PSP)
A, B = "fd02::a", "fd02::b"
DROPPED = [], (0, 0, 1)


def headers(dst, chain, rest, **fields):
    """A packet with a chain of headers that ends in UDP."""
    return p.chain(dst, chain, p.UDP, rest, **fields)


def srh(segments, left, **fields):
    """An SRH as a link of a chain of headers."""
    return p.RH, lambda nexthdr: p.srh(nexthdr, segments, left, **fields)


OPTIONS = p.DSTOPT, p.option
HBH = p.HBH, p.option
AUTH = p.AUTH, p.auth
FRAGMENT = p.FRAG, p.fragment
LONG = p.DSTOPT, partial(p.option, length=800)


def add_psp(suite, net):
    """The last segment but one removes the SRH; the header in front of it gets its next header."""
    def popped(name, before, after=(), segments=(A, SID), left=1, rest=p.udp(), **fields):
        """A packet that loses its SRH."""
        packet = headers(SID, [*before, srh(segments, left, **fields), *after], rest)
        suite.add(f"PSP: {name}: the SRH is removed", partial(net.through, PSP, packet),
                  ([(OUT, p.hop(headers(A, [*before, *after], rest)))], (1, len(packet), 0)))

    def dropped(name, packet):
        """A packet that is dropped."""
        suite.add(f"PSP: {name}: dropped", partial(net.through, PSP, packet), DROPPED)

    popped("1 segment left", [])
    popped("1 segment, reduced", [], segments=(A,))
    popped("1 of 3 segments left", [], segments=(A, B, SID))
    popped("with TLVs", [], tlvs=p.tlv(200, bytes(254)) + p.pad(8), tag=7, flags=0xF7)
    popped("the largest SRH", [], segments=(A,) * 127)
    popped("behind hop-by-hop options", [HBH])
    popped("behind destination options", [OPTIONS])
    popped("behind long options", [LONG, OPTIONS])
    popped("behind both options", [HBH, OPTIONS])
    popped("behind a fragment header", [FRAGMENT])
    popped("behind an authentication header", [AUTH])
    popped("behind options and an authentication header", [OPTIONS, AUTH])
    popped("in front of destination options", [], [OPTIONS])
    popped("in front of a used SRH", [], [srh([B], 0)])
    popped("in front of an SRH with segments left", [], [srh([B, A], 1)])
    popped("a large packet", [], rest=p.udp(bytes(9000)))
    for left in (2, 3):
        segments = [A, B, "fd02::c", SID]
        packet = p.sr(SID, segments, left)
        suite.add(f"PSP: {left} segments left: the SRH stays", partial(net.through, PSP, packet),
                  ([(OUT, p.sr(segments[left - 1], segments, left - 1, hlim=63))], (1, len(packet), 0)))
    dropped("no segments left", p.sr(SID, [A, SID], 0))
    dropped("no SRH", p.ip6(p.UDP, SID, p.udp()))
    dropped("a wrong SRH", p.sr(SID, [A, SID], 1, last=2))
    dropped("type 2 routing header", p.sr(SID, [A, SID], 1, kind=2))
    dropped("a used SRH in front of one with segments left",
            headers(SID, [srh([A, SID], 0), srh([A, SID], 1)], p.udp()))
    dropped("behind a fragment header and options", headers(SID, [FRAGMENT, OPTIONS, srh([A, SID], 1)], p.udp()))
    dropped("behind an authentication header and options", headers(SID, [AUTH, OPTIONS, srh([A, SID], 1)], p.udp()))
    packet, bare = p.sr(SID, ["2001:db8::1", SID], 1), p.ip6(p.UDP, "2001:db8::1", p.udp())
    suite.add("PSP: no route", partial(net.through, PSP, packet),
              ([(BACK, p.icmp_error(1, 0, bare, IN_ADDRESS))], (1, len(packet), 0)))
    suite.add("PSP: packet in pages", partial(paged, net))
    packet = p.sr(SID, [A, SID], 1)
    suite.add("PSP: cloned packet", partial(net.tapped, PSP, packet),
              ([(OUT, p.ip6(p.UDP, A, p.udp(), hlim=63))], (1, len(packet), 0), packet))


def paged(net):
    """A packet of which only a part is in the head of the skb."""
    data = p.udp(bytes(range(256)) * 20)
    for chain, cuts in (([], (0, 40, 44, 48, 79, 80, 81)), ([LONG], (40, 500, 840, 848, 879))):
        packet = headers(SID, [*chain, srh([A, SID], 1)], data)
        for linear in cuts:
            lib.equal(net.through(PSP, packet, linear), ([(OUT, p.hop(headers(A, chain, data)))], (1, len(packet), 0)),
                      f"{linear} linear bytes")


def add_shifts(suite, net):
    """NEXT-C-SID: the argument moves into the place of the locator node function."""
    for block, node, prefix, dst, after in (
        (None, None, "fc00:0:e::", "fc00:0:e:b:c:d::", "fc00:0:b:c:d::"),
        (32, 16, "fc00:0:e::", "fc00:0:e:b:c:d:a:9", "fc00:0:b:c:d:a:9:0"),
        (32, 16, "fc00:0:e::", "fc00:0:e::1", "fc00::1:0"),
        (32, 32, "fc00:0:e:e::", "fc00:0:e:e:b:c::1", "fc00:0:b:c:0:1::"),
        (64, 16, "fc00:0:1:1:e::", "fc00:0:1:1:e:b::", "fc00:0:1:1:b::"),
        (16, 48, "fc00:e:e:e::", "fc00:e:e:e:0:b::", "fc00:0:b::"),
        (32, 8, "fc00:0:e00::", "fc00:0:e0b:c0d::", "fc00:0:b0c:d00::"),
        (8, 24, "fc00:e::", "fc00:e:0:b::", "fc00:0:b00::"),
        (24, 8, "fc00:e::", "fc00:e:0:b00::", "fc00:0:b::"),
        (112, 8, "fc00::e00", "fc00::e0b", "fc00::b00"),
        (8, 112, "fc00::e00", "fc00::e02", "fc02::"),
    ):
        length = (block or 32) + (node or 16)
        for name, attributes, neighbor in (
            ("End", (END, nl.flavors(nl.NEXT_CSID, block, node)), OUT),
            ("End with PSP", (END, nl.flavors(nl.NEXT_CSID | nl.PSP, block, node)), OUT),
            ("End.X", (END_X, nl.addr6(nl.NH6, "fd03::1"), nl.flavors(nl.NEXT_CSID, block, node)), ALT),
        ):
            if name == "End" or block in (None, 32):
                packet = p.ip6(p.UDP, dst, p.udp())
                neighbor = neighbor if after.startswith("fc00") or neighbor == ALT else None
                out = [(neighbor, p.ip6(p.UDP, after, p.udp(), hlim=63))] if neighbor else \
                    [(BACK, p.icmp_error(1, 0, p.ip6(p.UDP, after, p.udp()), IN_ADDRESS))]
                suite.add(f"{name}, NEXT-C-SID {block}, {node}: {dst} becomes {after}",
                          partial(net.through, attributes, packet, dst=prefix, length=length),
                          (out, (1, len(packet), 0)))


def add_csid(suite, net):
    """NEXT-C-SID with and without an argument, and whatever SRH."""
    dst, prefix, after = "fc00:0:e:b::", "fc00:0:e::", "fc00:0:b::"
    csid = nl.NEXT_CSID
    behaviors = (("End", (END, nl.flavors(csid)), OUT), ("End with PSP", (END, nl.flavors(csid | nl.PSP)), OUT),
                 ("End.X", (END_X, nl.addr6(nl.NH6, "fd03::1"), nl.flavors(csid)), ALT))
    for name, attributes, neighbor in behaviors:
        run = partial(net.through, attributes, dst=prefix, length=48)
        for what, fields in (("an SRH", {"left": 1}), ("a used SRH", {"left": 0}),
                             ("a wrong SRH", {"left": 1, "last": 9}),
                             ("another routing header", {"left": 1, "kind": 2})):
            packet = p.sr(dst, [A, dst], **fields)
            suite.add(f"{name}, NEXT-C-SID: argument and {what}: the SRH is not looked at", partial(run, packet),
                      ([(neighbor, p.sr(after, [A, dst], hlim=63, **fields))], (1, len(packet), 0)))
        packet = p.sr(prefix, [A, B, prefix], 2)
        suite.add(f"{name}, NEXT-C-SID: no argument, 2 segments left", partial(run, packet),
                  ([(neighbor, p.sr(B, [A, B, prefix], 1, hlim=63))], (1, len(packet), 0)))
        packet, stays = p.sr(prefix, [A, prefix], 1), p.sr(A, [A, prefix], 0, hlim=63)
        want, known = stays, None
        if "PSP" in name:
            want, known = p.ip6(p.UDP, A, p.udp(), hlim=63), ("B14", ([(neighbor, stays)], (1, len(packet), 0)))
        suite.add(f"{name}, NEXT-C-SID: no argument, 1 segment left", partial(run, packet),
                  ([(neighbor, want)], (1, len(packet), 0)), known)
        for what, packet in (("no SRH", p.ip6(p.UDP, prefix, p.udp())),
                             ("no segment left", p.sr(prefix, [A, prefix], 0)),
                             ("a wrong SRH", p.sr(prefix, [A, prefix], 1, last=2))):
            suite.add(f"{name}, NEXT-C-SID: no argument, {what}: dropped", partial(run, packet), DROPPED)


def main():
    """Builds the suite and runs it."""
    net = Net()
    suite = net.suite()
    add_psp(suite, net)
    add_shifts(suite, net)
    add_csid(suite, net)
    suite.main()


if __name__ == "__main__":
    main()
