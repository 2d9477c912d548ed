#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""bpf_lwt_seg6_action with End.DT6, End.B6 and End.B6.Encaps: headers that a program takes off and puts on."""

import errno
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from bpf_helpers import BADMSG, FAULT, INVAL, OPAQUE, PLAIN, TABLE, WITH_TLV, Table, plain
from edge import listening, received
from hooks import rule, seen_by_rule
from topology import ALT, BACK, BACK2, IN_ADDRESS, KEY, OUT, SECRET, SID, Net, set_hmac_key, set_tunnel_source

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


def delivered(net, script, inner):
    """What a socket of the router gets from a packet inside, the result of End.DT6, and what else becomes of it."""
    script.write([s.action(nl.END_DT6, TABLE[0])], (ebpf.REDIRECT,))
    with listening(p.text(inner[24:40])) as sock:
        seen = net.through(end_bpf(script.seg6local), tunnel(inner))
        return received(sock), script.results(1), *seen


def tracked(net, script, inner):
    """How many packets inside conntrack still takes for the outer packet when they are forwarded."""
    script.write([s.action(nl.END_DT6, TABLE[254])], (ebpf.REDIRECT,))
    with rule(f"ct original protocol {p.IPV6} counter name seen", f"ip6 daddr {p.text(inner[24:40])}", "forward"):
        out = net.through(end_bpf(script.seg6local), tunnel(inner))[0]
        return out, seen_by_rule()


def add_like_native(suite, net, script):
    """B12: End.DT6 does what the behavior End.DT6 does, for packets to this node and for conntrack. C does not."""
    local = p.ip6(p.UDP, "fd0a::1", p.summed(p.UDP, p.SRC, "fd0a::1", p.udp()))
    counters = 1, len(tunnel(local)), 0
    suite.add("B12: End.DT6 to an address of this node: delivered", partial(delivered, net, script, local),
              ([p.PAYLOAD], [0], [], counters), ("B12", ([], [INVAL], [], counters)))
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
    grown = p.sr("fd02::77", [A, "fd02::77"], 1, tlvs=bytes(1000))
    table.add("End.B6 after an SRH has grown into the room that End.DT6 left",
              tunnel(p.sr("fd02::77", [A, "fd02::77"], 1)),
              [decap, s.adjust_srh(80, 1000), s.action(nl.END_B6, header)], [0, 0, 0],
              [(ALT, p.hop(p.inline(grown, ["fd02::77", "fd03::9"], 1)))])


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


def add_uncovered(table):
    """B7, B3: an inner IPv6 header, or a routing header behind it, that is not there. C uses what lies behind."""
    for size in (0, 1, 39):
        table.add(f"B7: End.DT6 of {size} bytes of IPv6: -EBADMSG", tunnel(bytes(size)),
                  [s.action(nl.END_DT6, TABLE[100])], [BADMSG], tunnel(bytes(size), left=0))
    for name, header in (("longer than the packet", p.srh(p.NONE, [], 0, last=0, hdrlen=255)),
                         ("of type 3", p.srh(p.NONE, [A], 0, kind=3)),
                         ("with the last entry out of range", p.srh(p.NONE, [A], 0, last=1))):
        inner = p.ip6(p.RH, "fd02::77", header)
        table.add(f"B3: after End.DT6 a routing header {name} is not one to edit: -EINVAL", tunnel(inner),
                  [s.action(nl.END_DT6, TABLE[100]), s.store_bytes(45, b"\1"), s.adjust_srh(1000, 8),
                   s.adjust_srh(48, 8)], [0, INVAL, INVAL, INVAL], [(ALT, p.hop(inner))], ebpf.REDIRECT)


def add_half_done(table):
    """B4: an action that has pushed its headers and finds no route; the new SRH is the one to edit then.

    The C implementation reads freed memory here, so its results mean nothing and the cases are not for it.
    """
    for count in (2, 14):
        segments = ["fd02::77"] * (count - 1) + ["2001:db8::1"]
        end = 48 + 16 * count
        for name, action, pushed, back in (("End.B6", nl.END_B6, p.inline, BACK),
                                           ("End.B6.Encaps", nl.END_B6_ENCAP, p.encapsulated, BACK2)):
            packet = pushed(plain(), segments, count - 1, flags=1, tlvs=bytes(8))
            out = [(back, p.icmp_error(1, 0, packet, IN_ADDRESS, p.text(packet[8:24])))]
            table.add(f"B4: {name} with {count} segments to no route, then the new SRH is edited", PLAIN,
                      [s.action(action, p.srh(0, segments, count - 1)), s.store_bytes(45, b"\1"), s.adjust_srh(end, 8),
                       s.adjust_srh(end + 9, 0)], [-errno.ENETUNREACH, 0, 0, FAULT], out, ebpf.REDIRECT)


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Net()
    suite = net.suite()
    set_tunnel_source()
    set_hmac_key()
    table = Table(suite, net, script, "JIT")
    add_push(table, "End.B6", nl.END_B6, p.inline)
    add_push(table, "End.B6.Encaps", nl.END_B6_ENCAP, p.encapsulated)
    add_unroutable(table)
    add_dt6(table)
    add_after_dt6(table)
    add_like_native(suite, net, script)
    add_failed(table)
    add_second_srh(table)
    if not lib.IS_C:
        add_uncovered(table)
        add_half_done(table)
    suite.main()


if __name__ == "__main__":
    main()
