#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""End, End.X, End.T and an End.BPF program that does nothing: which packets pass, and what becomes of them.

Every packet goes through each of these behaviors: they share the checks of the SRH (RFC 8986, Section 4.1) and differ
in the route that they choose.
"""

from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
from topology import ALT, ALT2, OUT, SID, Net

A, B, C = "fd02::a", "fd02::b", "fd02::c"


def good_packets():
    """Packets that have to pass: (name, packet, what it is after the SID, without the hop limit)."""
    def case(name, segments, left, before=(), **fields):
        """A packet with the headers `before` in front of the SRH."""
        chain = [p.RH] + [kind for kind, _ in reversed(before)]
        packets = []
        for dst, sl in ((SID, left), (segments[left - 1], left - 1)):
            rest = p.srh(p.UDP, segments, sl, **fields) + p.udp()
            for index, (_, build) in enumerate(reversed(before)):
                rest = build(chain[index]) + rest
            packets.append(p.ip6(chain[-1], dst, rest))
        return name, *packets

    dst_option, hbh = (p.DSTOPT, p.option), (p.HBH, p.option)
    yield case("2 segments, 1 left", [A, SID], 1)
    yield case("1 segment, reduced", [A], 1)
    yield case("3 segments, 2 left", [A, B, SID], 2)
    yield case("3 segments, 1 left", [A, B, C], 1)
    yield case("2 segments, reduced", [A, B], 2)
    yield case("127 segments", [A] * 127, 127)
    yield case("tag and all flags", [A, SID], 1, tag=0xBEEF, flags=0xFF)
    yield case("PadN", [A, SID], 1, tlvs=p.pad(8))
    yield case("unknown TLV", [A, SID], 1, tlvs=p.tlv(200, bytes(range(14))))
    yield case("TLVs up to 2048 bytes", [A, SID], 1, tlvs=p.tlv(1, bytes(248)) * 8 + p.pad(8))
    yield case("TLVs of zeros", [A, SID], 1, tlvs=bytes(16))
    yield case("HMAC TLV without the flag", [A, SID], 1, tlvs=p.tlv(5, bytes(38)))
    yield case("hop-by-hop options in front", [A, SID], 1, [hbh])
    yield case("destination options in front", [A, SID], 1, [dst_option])
    yield case("both options in front", [A, SID], 1, [hbh, (p.DSTOPT, partial(p.option, length=256))])
    yield case("authentication header in front", [A, SID], 1, [(p.AUTH, p.auth)])
    yield case("first fragment", [A, SID], 1, [(p.FRAG, p.fragment)])
    yield case("12th extension header", [A, SID], 1, [dst_option] * 11)
    used = (p.RH, lambda nexthdr: p.srh(nexthdr, [C, SID], 0))
    yield case("behind an SRH without segments left", [A, SID], 1, [used])
    yield case("behind a type 2 routing header without segments left", [A, SID], 1,
               [(p.RH, lambda nexthdr: p.srh(nexthdr, [C], 0, last=0, kind=2))])


def bad_packets():
    """Packets that have to be dropped: (name, packet)."""
    def routing(header, rest=p.udp()):
        """A packet with a routing header of our making."""
        return p.ip6(p.RH, SID, header + rest)

    whole = p.srh(p.UDP, [A, SID], 1)
    yield "no SRH", p.ip6(p.UDP, SID, p.udp())
    yield "no next header", p.ip6(p.NONE, SID, b"")
    yield "ESP", p.ip6(p.ESP, SID, p.udp())
    yield "no segments left", routing(p.srh(p.UDP, [A, SID], 0))
    yield "more segments left than a reduced SRH has", routing(p.srh(p.UDP, [A, SID], 3))
    yield "255 segments left", routing(p.srh(p.UDP, [A, SID], 255))
    yield "last entry out of range", routing(p.srh(p.UDP, [A, SID], 1, last=2))
    yield "last entry 255", routing(p.srh(p.UDP, [A, SID], 1, last=255))
    yield "last entry without its segment", routing(p.srh(p.UDP, [A], 1, last=1, tlvs=p.pad(8)))
    yield "no segment", routing(p.srh(p.UDP, [], 1, last=0))
    yield "no segment, one TLV", routing(p.srh(p.UDP, [], 1, last=0, tlvs=p.pad(8)))
    for kind in (0, 2, 3, 5, 255):
        yield f"routing header type {kind}", routing(p.srh(p.UDP, [A, SID], 1, kind=kind))
    for size in (0, 1, 3, 4, 7, 8, 24, 39):
        yield f"SRH cut after {size} bytes", routing(whole[:size], b"")
    yield "SRH cut by the payload length", p.ip6(p.RH, SID, whole + p.udp(), length=39)
    yield "SRH longer than the packet", routing(p.srh(p.UDP, [A, SID], 1, hdrlen=255))
    yield "TLV past the end", routing(p.srh(p.UDP, [A, SID], 1, tlvs=bytes((200, 7)) + bytes(6)))
    yield "TLV of 255 bytes past the end", routing(p.srh(p.UDP, [A, SID], 1, tlvs=bytes((200, 255)) + bytes(6)))
    yield "one byte after the last TLV", routing(p.srh(p.UDP, [A, SID], 1, tlvs=p.pad(7) + b"\1"))
    yield "13th extension header", p.ip6(p.DSTOPT, SID, p.option(p.DSTOPT) * 11 + p.option(p.RH) + whole + p.udp())
    yield "later fragment", p.ip6(p.FRAG, SID, p.fragment(p.RH, offset=4) + whole + p.udp())
    yield "behind ESP", p.ip6(p.ESP, SID, whole + p.udp())
    yield "behind options longer than the packet", p.ip6(p.DSTOPT, SID, bytes((p.RH, 200)) + bytes(6) + whole + p.udp())
    yield "behind a valid SRH that is used, invalid", routing(p.srh(p.RH, [A, SID], 0) + p.srh(p.UDP, [A, SID], 3))


def pad1_tlvs():
    """TLVs with Pad1, which C takes for one with a length (B27): (name, TLVs, whether they are complete).

    C sees it the other way round.
    """
    yield "Pad1 behind the last TLV", p.pad(7) + p.PAD1, True
    yield "Pad1 in front of a TLV", p.PAD1 + p.tlv(200, bytes(5)), True
    yield "Pad1 in front of a TLV past the end", p.PAD1 + bytes((6, 200)) + bytes(5), False


def paged(net, attributes, neighbor):
    """A packet of which only a part is in the head of the skb, for every interesting cut."""
    data = bytes(range(256)) * 18
    for linear in (0, 40, 41, 44, 48, 63, 64, 79, 80, 81, 100):
        want = [(neighbor, p.sr(A, [A, SID], 0, p.udp(data), hlim=63))], (1, 40 + 40 + 8 + len(data), 0)
        lib.equal(net.through(attributes, p.sr(SID, [A, SID], 1, p.udp(data)), linear), want, f"{linear} linear bytes")
    options = p.option(p.RH, 1024)
    before = p.ip6(p.DSTOPT, SID, options + p.srh(p.UDP, [A, SID], 1) + p.udp(data))
    after = p.ip6(p.DSTOPT, A, options + p.srh(p.UDP, [A, SID], 0) + p.udp(data), hlim=63)
    lib.equal(net.through(attributes, before, 500), ([(neighbor, after)], (1, len(before), 0)), "behind long options")
    cut = p.ip6(p.RH, SID, p.srh(p.UDP, [A, SID], 1, tlvs=bytes((1, 255)) + bytes(6)) + p.udp(data))
    lib.equal(net.through(attributes, cut, 60), ([], (0, 0, 1)), "bad TLV in a page")


def add_behaviors(suite, net, idle):
    """Every packet through every behavior."""
    behaviors = (
        ("End", (nl.u32(nl.ACTION, nl.END),), OUT),
        ("End.X", (nl.u32(nl.ACTION, nl.END_X), nl.addr6(nl.NH6, "fd03::1")), ALT),
        ("End.X oif", (nl.u32(nl.ACTION, nl.END_X), nl.addr6(nl.NH6, "fdff:3::2"),
                       nl.u32(nl.OIF, net.devices["alt0"])), ALT2),
        ("End.T", (nl.u32(nl.ACTION, nl.END_T), nl.u32(nl.TABLE, 100)), ALT),
        ("End.BPF", (nl.u32(nl.ACTION, nl.END_BPF), nl.bpf(idle)), OUT),
    )
    for behavior, attributes, neighbor in behaviors:
        for name, before, after in good_packets():
            suite.add(f"{behavior}: {name}", partial(net.through, attributes, before),
                      ([(neighbor, p.hop(after))], (1, len(before), 0)))
        for name, before in bad_packets():
            suite.add(f"{behavior}: {name}: dropped", partial(net.through, attributes, before), ([], (0, 0, 1)))
        for name, tlvs, is_complete in pad1_tlvs():
            before, after = p.sr(SID, [A, SID], 1, tlvs=tlvs), p.sr(A, [A, SID], 0, tlvs=tlvs, hlim=63)
            fates = [([], (0, 0, 1)), ([(neighbor, after)], (1, len(before), 0))]
            suite.add(f"{behavior}: {name}", partial(net.through, attributes, before), fates[is_complete],
                      ("B27", fates[not is_complete]))
        suite.add(f"{behavior}: packet in pages", partial(paged, net, attributes, neighbor))
        packet = p.sr(SID, [A, SID], 1)
        suite.add(f"{behavior}: cloned packet", partial(net.tapped, attributes, packet),
                  ([(neighbor, p.sr(A, [A, SID], 0, hlim=63))], (1, len(packet), 0), packet))


def main():
    """Builds the suite and runs it."""
    net = Net()
    suite = net.suite()
    idle = ebpf.load_program(ebpf.returning(ebpf.OK))
    add_behaviors(suite, net, idle)
    suite.main()


if __name__ == "__main__":
    main()
