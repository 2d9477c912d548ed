#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""bpf_lwt_seg6_action with End.DT6, End.B6 and End.B6.Encaps: headers that a program takes off and puts on."""

import errno
import struct
from functools import partial

import ebpf
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from bpf_helpers import BADMSG, FAULT, INVAL, OPAQUE, PLAIN, TABLE, WITH_TLV, Table, plain
from checksum import opening
from edge import LOCAL6, VRF_LOCAL6, VRF_TABLE, Edge, listening, received
from hooks import rule, seen_by_rule
from topology import ALT, BACK, BACK2, IN_ADDRESS, KEY, OUT, SECRET, SID, set_hmac_key, set_tunnel_source

A, B = "fd02::a", "fd02::b"
FLOW = 0xAB << 20 | 0xCDEF1
TO_ALT = s.action(nl.END_X, p.addr("fd03::1"))


def add_push(table, name, action, pushed):
    """End.B6 or End.B6.Encaps: what they have in common. `pushed` builds the packet that comes out."""
    def call(segments, left, **fields):
        """The call that pushes an SRH."""
        return s.action(action, p.srh(0, segments, left, **fields))

    three, two, one = ["fd02::77", "fd02::88", "fd03::9"], ["fd02::77", "fd03::9"], ["fd03::9"]
    for segments in (three, two):
        left = len(segments) - 1
        for verdict in (ebpf.OK, ebpf.REDIRECT):
            table.add(f"{name} with {len(segments)} segments, return {verdict}", PLAIN, [call(segments, left)], [0],
                      [(ALT, p.hop(pushed(plain(), segments, left)))], verdict)
    table.add(f"{name} with fewer segments left than the last entry", PLAIN, [call(three, 0)], [0],
              [(ALT, p.hop(pushed(plain(), three, 0)))])
    table.add(f"{name} with 1 segment", PLAIN, [call(one, 0)], [0],
              [(OUT if pushed is p.inline else ALT, p.hop(pushed(plain(), one, 0)))])
    table.add(f"{name} with TLVs, flags and tag", PLAIN, [call(two, 1, tlvs=OPAQUE * 3, flags=1, tag=7)], [0],
              [(ALT, p.hop(pushed(plain(), two, 1, tlvs=OPAQUE * 3, flags=1, tag=7)))])
    largest = ["fd02::77"] * 126 + ["fd03::9"]
    table.add(f"{name} with 127 segments", PLAIN, [call(largest, 126)], [0],
              [(ALT, p.hop(pushed(plain(), largest, 126)))])
    table.add(f"{name} twice", PLAIN, [call(two, 1), call(three, 2)], [0, 0],
              [(ALT, p.hop(pushed(pushed(plain(), two, 1), three, 2)))])
    table.add(f"{name} on a packet with flow label and traffic class", p.sr(SID, [A, B, SID], 2, flow=FLOW, hlim=9),
              [call(two, 1)], [0], [(ALT, p.hop(pushed(p.sr(B, [A, B, SID], 1, flow=FLOW, hlim=9), two, 1)))])
    table.add(f"{name}, then the new SRH is edited", PLAIN,
              [call(two, 1), s.store_bytes(45, b"\1\2\3"), s.adjust_srh(80, 8), s.store_bytes(80, OPAQUE)], [0] * 4,
              [(ALT, p.hop(pushed(plain(), two, 1, flags=1, tag=0x203, tlvs=OPAQUE)))])
    table.add(f"{name}, then End.X", PLAIN, [call(["fd02::77", "fd02::88"], 1), TO_ALT], [0, 0],
              [(ALT, p.hop(pushed(plain(), ["fd02::77", "fd02::88"], 1)))], ebpf.REDIRECT)
    table.add(f"{name} of a grown SRH: its length is up to date", PLAIN, [s.adjust_srh(96, 8), call(two, 1)], [0, 0],
              [(ALT, p.hop(pushed(plain(tlvs=bytes(8)), two, 1)))])
    table.add(f"{name} of an SRH with a wrong length: -EBADMSG", PLAIN, [s.adjust_srh(96, 1), call(two, 1)],
              [0, BADMSG], None)
    table.add(f"{name} of an SRH with a wrong TLV: -EBADMSG", WITH_TLV, [s.store_bytes(97, b"\7"), call(two, 1)],
              [0, BADMSG], None)
    for error, header in p.invalid_srhs():
        table.add(f"{name} with {error}: -EINVAL", PLAIN, [s.action(action, header)], [INVAL], plain())
    for error, header, code in p.unsigned_srhs():
        title = f"{name} with {error}: -{errno.errorcode[code]}"
        table.add(title, PLAIN, [s.action(action, header)], [-code], None, ebpf.DROP)
        run = partial(table.run, WITH_TLV, [s.action(action, header), s.store_bytes(46, b"\2\3")], ebpf.OK)
        want = table.outcome(WITH_TLV, [-code, 0], plain(tag=0x203, tlvs=OPAQUE))
        table.suite.add(f"{title}, and the packet is as before", lambda run=run, want=want: run() == want, True,
                        ("B24", False))
    run = partial(table.run, PLAIN, [call(two, 1, flags=8, tlvs=p.misplaced_hmac_tlv(KEY))], ebpf.OK)
    want = table.outcome(PLAIN, [INVAL], plain())
    table.suite.add(f"{name} with an HMAC that is not the last TLV: -EINVAL", lambda run=run: run() == want, True,
                    ("B41", False))
    add_hmac(table, name, call, pushed)


def add_hmac(table, name, call, pushed):
    """An SRH with an HMAC TLV is signed; the source and segment 0 are those of the packet."""
    for count in (2, 14):
        segments = ["fd02::77"] * (count - 1) + ["fd03::9"]
        signed = [B, *segments[1:]] if pushed is p.inline else segments
        digest = p.digest(SECRET, p.SRC if pushed is p.inline else p.TUNNEL_SRC, signed, KEY)
        out = pushed(plain(), segments, count - 1, flags=8, tlvs=p.hmac_tlv(KEY, digest))
        table.add(f"{name} with an HMAC over {count} segments", PLAIN,
                  [call(segments, count - 1, flags=8, tlvs=p.hmac_tlv(KEY))], [0], [(ALT, p.hop(out))])


def add_unroutable(table):
    """The first new segment has no route: the result is the error of the route, the packet keeps the new headers."""
    for name, target, code, icmp_code in (("no route", "2001:db8::1", errno.ENETUNREACH, 0),
                                          ("a prohibited route", "fd0c::1", errno.EACCES, 1),
                                          ("a blackhole", "fd0d::1", errno.EINVAL, None),
                                          ("a local address", "fd0a::1", errno.EINVAL, None)):
        header = p.srh(0, ["fd02::77", target], 1)
        for action, title, pushed, back in ((nl.END_B6, "End.B6", p.inline, BACK),
                                            (nl.END_B6_ENCAP, "End.B6.Encaps", p.encapsulated, BACK2)):
            packet = pushed(plain(), ["fd02::77", target], 1)
            out = [] if icmp_code is None else \
                [(back, p.icmp_error(1, icmp_code, packet, IN_ADDRESS, p.text(packet[8:24])))]
            table.add(f"{title} to {name}: {errno.errorcode[code]}", PLAIN, [s.action(action, header)], [-code],
                      out, ebpf.REDIRECT)


def tunnel(inner, nexthdr=p.IPV6, left=1, **fields):
    """An SRv6 packet with `inner` as payload; left=0 is how the program sees it."""
    header = p.srh(nexthdr, [A, SID], left, **fields)
    return p.ip6(p.RH, [A, SID][left], header + inner)


def add_dt6(table):
    """End.DT6: the outer headers go, the inner destination chooses the route in a table."""
    inner = p.ip6(p.UDP, "fd02::77", p.udp(), src="fd01::77", hlim=33, flow=FLOW)
    packet, bare, alt = tunnel(inner), [(OUT, p.hop(inner))], [(ALT, p.hop(inner))]
    table.add("End.DT6, return 7: the route in the table", packet, [s.action(nl.END_DT6, TABLE[100])], [0], alt,
              ebpf.REDIRECT)
    table.add("End.DT6, return 0: the main table", packet, [s.action(nl.END_DT6, TABLE[100])], [0], bare)
    table.add("End.DT6 with table 0: the rules", packet, [s.action(nl.END_DT6, TABLE[0])], [0], bare, ebpf.REDIRECT)
    table.add("End.DT6 behind TLVs", tunnel(inner, tlvs=OPAQUE), [s.action(nl.END_DT6, TABLE[100])], [0], alt,
              ebpf.REDIRECT)
    table.add("End.DT6 with segments left", p.ip6(p.RH, SID, p.srh(p.IPV6, [A, B, SID], 2) + inner),
              [s.action(nl.END_DT6, TABLE[100])], [0], alt, ebpf.REDIRECT)
    table.add("End.DT6 behind destination options", tunnel(p.option(p.IPV6) + inner, p.DSTOPT),
              [s.action(nl.END_DT6, TABLE[100])], [0], alt, ebpf.REDIRECT)
    table.add("End.DT6 with a table that is missing, return 7: -EINVAL", packet, [s.action(nl.END_DT6, TABLE[999])],
              [INVAL], [], ebpf.REDIRECT)
    table.add("End.DT6 with a table that is missing, return 0: -EINVAL", packet, [s.action(nl.END_DT6, TABLE[999])],
              [INVAL], bare)
    lost = p.ip6(p.UDP, "2001:db8::1", p.udp())
    table.add("End.DT6 to no route: ENETUNREACH", tunnel(lost), [s.action(nl.END_DT6, TABLE[100])],
              [-errno.ENETUNREACH], [(BACK, p.icmp_error(1, 0, lost, IN_ADDRESS))], ebpf.REDIRECT)
    for length in (1, 3, 5, 8, 16):
        table.add(f"End.DT6 with {length} bytes: -EINVAL", packet, [s.action(nl.END_DT6, bytes(length))], [INVAL],
                  tunnel(inner, left=0))
    table.add("End.DT6 of UDP: -EBADMSG", PLAIN, [s.action(nl.END_DT6, TABLE[100])], [BADMSG], plain())
    table.add("End.DT6 of IPv4: -EBADMSG", tunnel(bytes(20), p.IPV4), [s.action(nl.END_DT6, TABLE[100])], [BADMSG],
              tunnel(bytes(20), p.IPV4, 0))
    table.add("End.DT6 of an SRH with a wrong length: -EBADMSG", packet,
              [s.adjust_srh(80, 1), s.action(nl.END_DT6, TABLE[100])], [0, BADMSG], None)


def delivered(net, fd, packet, address):
    """What a socket of the router gets from the packet inside, and what else becomes of the packet."""
    with listening(address) as sock:
        seen = net.through(end_bpf(fd), packet)
        return received(sock), *seen


def opened(net, script, table, packet, address):
    """The same for a script, and the result of End.DT6."""
    script.write([s.action(nl.END_DT6, struct.pack("=I", table))], (ebpf.REDIRECT,))
    return *delivered(net, script.seg6local, packet, address), script.results(1)


def tracked(net, script, inner):
    """How many packets inside conntrack still takes for the outer packet when they are forwarded."""
    script.write([s.action(nl.END_DT6, TABLE[254])], (ebpf.REDIRECT,))
    with rule(f"ct original protocol {p.IPV6} counter name seen", f"ip6 daddr {p.text(inner[24:40])}", "forward"):
        out = net.through(end_bpf(script.seg6local), tunnel(inner))[0]
        return out, seen_by_rule()


def add_local(suite, net, script):
    """B12: End.DT6 does what the behavior End.DT6 does, for packets to this node. C does not."""
    local, in_vrf = (p.ip6(p.UDP, address, p.summed(p.UDP, p.SRC, address, p.udp()))
                     for address in (LOCAL6, VRF_LOCAL6))
    for name, inner, address, table, c_result in (("this node", local, LOCAL6, 0, INVAL),
                                                  ("a VRF", in_vrf, "::", VRF_TABLE, 0)):
        packet = tunnel(inner)
        counters = 1, len(packet), 0
        suite.add(f"B12: End.DT6 to an address of {name}: delivered",
                  partial(opened, net, script, table, packet, address), ([p.PAYLOAD], [], counters, [0]),
                  ("B12", ([], [], counters, [c_result])))
    header = p.RH, lambda nexthdr: p.srh(nexthdr, [A, SID], 1)
    packet = p.chain(SID, [(p.HBH, p.option), header], p.IPV6, in_vrf)
    counters = 1, len(packet), 0
    # C takes the first octet of the datagram for its protocol: the options header has been there.
    unknown = [(BACK, p.icmp_error(4, 1, in_vrf, IN_ADDRESS, info=40))]
    suite.add("B12: End.DT6 to an address of a VRF, behind hop-by-hop options: delivered",
              partial(delivered, net, ebpf.load_program(opening(VRF_TABLE)), packet, "::"),
              ([p.PAYLOAD], [], counters), ("B12", ([], unknown, counters)))
    suite.add("B12: the same by a program that also looks at skb->cb",
              partial(opened, net, script, VRF_TABLE, packet, "::"), ([p.PAYLOAD], [], counters, [0]),
              ("B12", ([], unknown, counters, [0])))


def keeping(table):
    """A program that calls End.DT6 and drops the packet if that changes what it has in skb->cb[1]."""
    offset, equal = 48 + 4, 0x1D
    return [*ebpf.copy(6, 1), *ebpf.mov(7, 0x1234567), *ebpf.store(4, 6, offset, 7), *opening(table)[:-2],
            *ebpf.load(4, 8, 6, offset), *ebpf.mov(0, ebpf.REDIRECT), ebpf.insn(equal, 8, 7, 1),
            *ebpf.mov(0, ebpf.DROP), *ebpf.EXIT]


def add_control_block(suite, net):
    """The stack's part of skb->cb is not what the program sees of it."""
    inner = p.ip6(p.UDP, "fd02::77", p.udp())
    suite.add("End.DT6 leaves to the program what it has in skb->cb",
              lambda: net.through(end_bpf(ebpf.load_program(keeping(254))), tunnel(inner)),
              ([(OUT, p.hop(inner))], (1, len(tunnel(inner)), 0)))


def add_tracked(suite, net, script):
    """B12: conntrack does not take the packet inside for the outer one, either."""
    inner = p.ip6(p.UDP, "fd02::77", p.udp())
    out = [(OUT, p.hop(inner))]
    suite.add("B12: conntrack does not take the packet inside for the outer one", partial(tracked, net, script, inner),
              (out, 0), ("B12", (out, 1)))


def add_after_dt6(table):
    """What a program can do with a packet that has lost its SRH, or uncovered another one."""
    inner = p.ip6(p.UDP, "fd02::77", p.udp())
    packet, decap = tunnel(inner), s.action(nl.END_DT6, TABLE[100])
    alt = [(ALT, p.hop(inner))]
    table.add("after End.DT6 there is no SRH to edit", packet,
              [decap, s.store_bytes(45, b"\1"), s.adjust_srh(80, 8), s.adjust_srh(80, 0)], [0, INVAL, INVAL, INVAL],
              alt, ebpf.REDIRECT)
    table.add("after End.DT6 there is no SRH to act on", packet,
              [decap, TO_ALT, s.action(nl.END_T, TABLE[254]), decap], [0, BADMSG, BADMSG, BADMSG], alt, ebpf.REDIRECT)
    header = p.srh(0, ["fd02::77", "fd03::9"], 1)
    table.add("End.B6 after End.DT6", packet, [decap, s.action(nl.END_B6, header), s.store_bytes(45, b"\1")],
              [0, 0, 0], [(ALT, p.hop(p.inline(inner, ["fd02::77", "fd03::9"], 1, flags=1)))])
    table.add("End.B6.Encaps after End.DT6", packet,
              [decap, s.action(nl.END_B6_ENCAP, header), s.store_bytes(45, b"\1")], [0, 0, 0],
              [(ALT, p.hop(p.encapsulated(inner, ["fd02::77", "fd03::9"], 1, flags=1)))])
    table.add("End.B6.Encaps, then End.DT6: as before", PLAIN, [s.action(nl.END_B6_ENCAP, header), decap], [0, 0],
              [(ALT, p.hop(plain()))], ebpf.REDIRECT)
    table.add("the SRH of the inner packet can be edited", tunnel(p.sr("fd02::77", [A, "fd02::77"], 1)),
              [decap, s.store_bytes(45, b"\1"), s.adjust_srh(80, 8)], [0, 0, 0],
              [(ALT, p.hop(p.sr("fd02::77", [A, "fd02::77"], 1, flags=1, tlvs=bytes(8))))], ebpf.REDIRECT)


def add_failed(table):
    """An action that fails leaves the SRH to edit as it was, also if it is not the first routing header."""
    def two(left, flags=0):
        """A packet with a used SRH in front of the one to edit, whose flags are at 85."""
        used = p.srh(p.RH, [A, B], 0)
        return p.ip6(p.RH, [A, SID][left], used + p.srh(p.UDP, [A, SID], left, flags=flags) + p.udp())

    flags = s.store_bytes(85, b"\1")
    header = p.srh(0, ["fd02::77", "fd03::9"], 1)
    table.add("the second SRH is the one to edit", two(1), [flags], [0], two(0, 1))
    table.add("the first SRH is not the one to edit", two(1), [s.store_bytes(45, b"\1")], [FAULT], two(0))
    for name, action, result in (("End.B6", s.action(nl.END_B6, header[:-1]), INVAL),
                                 ("End.B6.Encaps", s.action(nl.END_B6_ENCAP, header[:-1]), INVAL),
                                 ("End.X", s.action(nl.END_X, p.addr("2001:db8::1")), -errno.ENETUNREACH),
                                 ("End.T", s.action(nl.END_T, TABLE[999]), INVAL),
                                 ("End.DT6", s.action(nl.END_DT6, TABLE[100]), BADMSG),
                                 ("another action", s.action(4, TABLE[100]), INVAL)):
        table.add(f"{name} fails, then the second SRH is edited", two(1), [action, flags], [result, 0], two(0, 1))
        table.add(f"{name} fails, then the SRH is edited", PLAIN, [action, s.store_bytes(45, b"\1")], [result, 0],
                  plain(flags=1))


def add_second_srh(table):
    """B22: after an edit C takes the first routing header for the one that is edited."""
    def two(left, first_len=None, **fields):
        """A packet with a used SRH in front of the one to edit, whose TLVs start at 120."""
        used = p.srh(p.RH, [A, B], 0, hdrlen=first_len)
        return p.ip6(p.RH, [A, SID][left], used + p.srh(p.UDP, [A, SID], left, **fields) + p.udp())

    grown = two(0, tlvs=OPAQUE)
    table.add("B22: the second SRH grows", two(1), [s.adjust_srh(120, 8), s.store_bytes(120, OPAQUE)], [0, 0], grown,
              known=("B22", [0, FAULT], p.edit(two(0, 5, tlvs=bytes(8)), 81, b"\4")))


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Edge()
    suite = net.suite()
    set_tunnel_source()
    set_hmac_key()
    table = Table(suite, net, script, "JIT")
    add_push(table, "End.B6", nl.END_B6, p.inline)
    add_push(table, "End.B6.Encaps", nl.END_B6_ENCAP, p.encapsulated)
    add_unroutable(table)
    add_dt6(table)
    add_after_dt6(table)
    add_local(suite, net, script)
    add_control_block(suite, net)
    add_tracked(suite, net, script)
    add_failed(table)
    add_second_srh(table)
    suite.main()


if __name__ == "__main__":
    main()
