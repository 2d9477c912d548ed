#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The helpers of an End.BPF program: every result, and the packet that comes out.

The packets of these tests, as the program sees them: IPv6 header at 0, SRH at 40, its segments from 48 on.

                       segments      TLVs         end
    PLAIN              48 .. 95      none          96
    WITH_TLV           48 .. 95      96 .. 103    104
    LATE_TLV           64 .. 111     112 .. 119   120     (16 bytes of destination options in front)
"""

import errno
import os
import struct
from functools import partial

import ebpf
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from topology import ALT, BACK, IN_ADDRESS, OUT, SID, Net, framed, open_tap, set_tunnel_source, sysctl

A, B = "fd02::a", "fd02::b"
SEGMENTS = [A, B, SID]
OPAQUE = p.tlv(200, b"opaque")
U32, I32_MIN = 0xFFFFFFFF, -(1 << 31)
FAULT, INVAL, BADMSG = -errno.EFAULT, -errno.EINVAL, -errno.EBADMSG
TABLE = {number: struct.pack("=I", number) for number in (0, 100, 254, 999, U32)}


def plain(left=1, **fields):
    """PLAIN or WITH_TLV as it leaves the SID; left=2 makes it as it arrives."""
    return p.sr(SEGMENTS[left], SEGMENTS, left, **fields)


def late(left=1, **fields):
    """LATE_TLV as it leaves the SID, likewise."""
    rest = p.option(p.RH, 16) + p.srh(p.UDP, SEGMENTS, left, tlvs=OPAQUE, **fields) + p.udp()
    return p.ip6(p.DSTOPT, SEGMENTS[left], rest)


PLAIN, WITH_TLV, LATE_TLV = plain(2), plain(2, tlvs=OPAQUE), late(2)


class Table:
    """Cases of one script: calls on a packet."""

    def __init__(self, suite, net, script, title):
        self.suite, self.net, self.script, self.title = suite, net, script, title

    def add(self, name, packet, calls, results, out, verdict=ebpf.OK, known=None):
        """Adds a case.

        `out` is the packet that leaves (before its hop limit is decremented) towards OUT, a list of packets with
        their neighbors, or None if the packet is dropped as an error. `known` is (defect, results on C, out on C).
        """
        want = self.outcome(packet, results, out)
        if known:
            known = known[0], self.outcome(packet, *known[1:])
        self.suite.add(f"{self.title}: {name}", partial(self.run, packet, calls, verdict), want, known)

    @staticmethod
    def outcome(packet, results, out):
        """What `run` returns."""
        if out is None:
            return results, [], (0, 0, 1)
        return results, [(OUT, p.hop(out))] if isinstance(out, bytes) else out, (1, len(packet), 0)

    def run(self, packet, calls, verdict):
        """What the calls return, what comes out, and the counters."""
        self.script.write(calls, (verdict,))
        out, counters = self.net.through(end_bpf(self.script.seg6local), packet)
        return self.script.results(len(calls)), out, counters


def run_cases(add):
    """Runs a suite of one table, which `add` fills."""
    script = s.Script()
    net = Net()
    suite = net.suite()
    set_tunnel_source()
    add(Table(suite, net, script, "JIT"))
    suite.main()


def add_store_bytes(table):
    """bpf_lwt_seg6_store_bytes: flags, tag and TLVs are writable, all else is not."""
    def stored(name, packet, offset, data, known=None):
        """A write that succeeds."""
        after = plain(tlvs=OPAQUE) if packet is WITH_TLV else late() if packet is LATE_TLV else plain()
        table.add(f"store {name}", packet, [s.store_bytes(offset, data)], [0], p.edit(after, offset, data), known=known)

    def refused(name, packet, offset, length, c_stores=False):
        """A write that fails: the packet goes on as it was. The data makes valid TLVs."""
        after = plain(tlvs=OPAQUE) if packet is WITH_TLV else late() if packet is LATE_TLV else plain()
        data = (p.pad(8) * 256)[:length]
        known = ("B13", [0], p.edit(after, offset, data)) if c_stores else None
        table.add(f"store {name}: -EFAULT", packet, [s.store_bytes(offset, data)], [FAULT], after, known=known)

    stored("flags", PLAIN, 45, b"\x42")
    stored("tag", PLAIN, 46, b"\x12\x34")
    stored("second byte of the tag", PLAIN, 47, b"\x34")
    stored("flags and tag", PLAIN, 45, b"\x42\x12\x34")
    stored("flags behind options", LATE_TLV, 61, b"\x42")
    stored("a whole TLV", WITH_TLV, 96, p.tlv(201, b"change"))
    stored("the last byte of a TLV", WITH_TLV, 103, b"!")
    stored("a TLV behind options", LATE_TLV, 112, p.tlv(201, b"change"))
    for offset in range(0, 45):
        refused(f"at {offset}", PLAIN, offset, 1)
    refused("flags, tag and a byte of the segments", PLAIN, 45, 4)
    refused("from last entry on", PLAIN, 44, 4)
    for offset in (48, 63, 64, 80, 87):
        refused(f"into the segments at {offset}", WITH_TLV, offset, 1)
    for offset in (88, 95):
        refused(f"into the last segment at {offset}", WITH_TLV, offset, 1, c_stores=True)
    refused("the end of the last segment", PLAIN, 88, 8, c_stores=True)
    refused("the end of the last segment and a TLV", WITH_TLV, 88, 16, c_stores=True)
    refused("the end of the last segment behind options", LATE_TLV, 104, 8, c_stores=True)
    refused("all segments", PLAIN, 48, 48)
    refused("behind an SRH without TLVs", PLAIN, 96, 1)
    refused("one byte more than the TLV", WITH_TLV, 96, 9)
    refused("behind the TLV", WITH_TLV, 104, 1)
    refused("the payload", WITH_TLV, 112, 8)
    refused("2048 bytes", WITH_TLV, 96, 2048)
    refused("flags of a header that is not there", LATE_TLV, 45, 1)
    for offset in (200, 1 << 16, 0x7FFFFFFF, 0x80000000, U32 - 44, U32 - 1, U32):
        refused(f"at {offset:#x}", WITH_TLV, offset, 1)
        refused(f"2048 bytes at {offset:#x}", WITH_TLV, offset, 2048)


def add_validation(table):
    """After the program the SRH is validated again."""
    tlv_length = [s.store_bytes(97, b"\7")]
    table.add("a TLV past the end: dropped", WITH_TLV, tlv_length, [0], None)
    table.add("a TLV past the end, BPF_REDIRECT: dropped", WITH_TLV, tlv_length, [0], None, ebpf.REDIRECT)
    table.add("a TLV past the end, then repaired", WITH_TLV, tlv_length + [s.store_bytes(97, b"\6")], [0, 0],
              plain(tlvs=OPAQUE))
    table.add("a TLV past the end, then an action: -EBADMSG, dropped", WITH_TLV,
              tlv_length + [s.action(nl.END_X, p.addr("fd03::1"))], [0, BADMSG], None)
    table.add("two TLVs written over one", WITH_TLV, [s.store_bytes(96, p.pad(4) * 2)], [0],
              plain(tlvs=p.pad(4) * 2))
    table.add("one byte left after the TLVs: dropped", WITH_TLV, [s.store_bytes(96, p.pad(7) + b"\1")], [0], None)
    padded = p.pad(7) + p.PAD1
    table.add("Pad1 behind a TLV", WITH_TLV, [s.store_bytes(96, padded)], [0], plain(tlvs=padded),
              known=("B27", [0], None))
    table.add("HMAC flag without TLV", PLAIN, [s.store_bytes(45, b"\x08")], [0], plain(flags=8))


def add_adjust_srh(table):
    """bpf_lwt_seg6_adjust_srh: room for TLVs comes and goes."""
    zeros = bytes(8)

    def refused(name, packet, offset, delta, result=FAULT):
        """A call that fails: the packet goes on as it was."""
        after = plain(tlvs=OPAQUE) if packet is WITH_TLV else plain()
        table.add(f"adjust {name}: {errno.errorcode[-result]}", packet, [s.adjust_srh(offset, delta)], [result], after)

    table.add("adjust by 0", PLAIN, [s.adjust_srh(96, 0)], [0], plain())
    table.add("adjust by 0 at the end of the TLVs", WITH_TLV, [s.adjust_srh(104, 0)], [0], plain(tlvs=OPAQUE))
    table.add("grow an SRH without TLVs", PLAIN, [s.adjust_srh(96, 8)], [0], plain(tlvs=zeros))
    table.add("grow before a TLV", WITH_TLV, [s.adjust_srh(96, 8)], [0], plain(tlvs=zeros + OPAQUE))
    table.add("grow after a TLV", WITH_TLV, [s.adjust_srh(104, 8)], [0], plain(tlvs=OPAQUE + zeros))
    table.add("grow in a TLV", WITH_TLV, [s.adjust_srh(98, 8), s.store_bytes(97, b"\16")], [0, 0],
              plain(tlvs=b"\xc8\16" + zeros + b"opaque"))
    table.add("grow behind options", LATE_TLV, [s.adjust_srh(120, 8), s.store_bytes(120, p.pad(8))], [0, 0],
              p.ip6(p.DSTOPT, B, p.option(p.RH, 16) + p.srh(p.UDP, SEGMENTS, 1, tlvs=OPAQUE + p.pad(8)) + p.udp()))
    table.add("remove the TLV", WITH_TLV, [s.adjust_srh(96, -8)], [0], plain())
    table.add("grow and write", PLAIN, [s.adjust_srh(96, 16), s.store_bytes(96, OPAQUE * 2)], [0, 0],
              plain(tlvs=OPAQUE * 2))
    table.add("grow byte by byte", PLAIN, [s.adjust_srh(96, 1)] * 8, [0] * 8, plain(tlvs=zeros))
    table.add("shrink byte by byte", WITH_TLV, [s.adjust_srh(96, -1)] * 8, [0] * 8, plain())
    table.add("grow and shrink", WITH_TLV, [s.adjust_srh(96, 24), s.adjust_srh(100, -20), s.adjust_srh(96, -4)],
              [0] * 3, plain(tlvs=OPAQUE))
    table.add("grow to the largest SRH", PLAIN, [s.adjust_srh(96, 1992)], [0], plain(tlvs=bytes(1992)))
    for delta in (1, 2, 4, 7, 9, -1, -4, -7):
        table.add(f"adjust by {delta}: dropped", WITH_TLV, [s.adjust_srh(96, delta)], [0], None)
    table.add("adjust by 1, then an action: -EBADMSG, dropped", WITH_TLV,
              [s.adjust_srh(96, 1), s.action(nl.END_T, TABLE[100])], [0, BADMSG], None)
    for offset in (0, 1, 39, 40, 47, 48, 88, 95, 105, 112, 1 << 16, 0x7FFFFFFF, 0x80000000, U32 - 1, U32):
        for delta in (8, 0, -8):
            refused(f"at {offset:#x} by {delta}", WITH_TLV, offset, delta)
    for offset, delta in ((96, -9), (97, -8), (104, -1), (104, -8), (96, I32_MIN), (104, I32_MIN), (96, -2048)):
        refused(f"at {offset} by {delta}", WITH_TLV, offset, delta)
    refused("PLAIN by -1", PLAIN, 96, -1)


def add_growth_limit(table):
    """B21: the header length is 8 bits wide, an SRH cannot be larger than 2048 bytes. PLAIN's is 56 bytes long."""
    def refused(name, calls, results, c_results, c_out, out=None):
        """Growth that has to be refused with -EINVAL."""
        table.add(f"growth past 2048 bytes, {name}: -EINVAL", PLAIN, calls, results, out or plain(),
                  known=("B21", c_results, c_out))

    wrapped = edit_length(plain(payload=bytes(2048) + p.udp()))
    refused("by 2048", [s.adjust_srh(96, 2048)], [INVAL], [0], wrapped)
    refused("by 1993", [s.adjust_srh(96, 1993)], [INVAL], [0], None)
    refused("by 2000", [s.adjust_srh(96, 2000)], [INVAL], [0], None)
    refused("by 4096", [s.adjust_srh(96, 4096)], [INVAL], [0], edit_length(plain(payload=bytes(4096) + p.udp())))
    refused("by 8 after 1992", [s.adjust_srh(96, 1992), s.adjust_srh(96, 8)], [0, INVAL], [0, 0], None,
            out=plain(tlvs=bytes(1992)))
    refused("by 1 after 1992", [s.adjust_srh(96, 1992), s.adjust_srh(2088, 1)], [0, INVAL], [0, 0], None,
            out=plain(tlvs=bytes(1992)))


def grown(net, tap, script, payload_length):
    """What adjust_srh by 8 bytes returns for a packet of that size, which is larger than what the router sends."""
    packet = plain(2)
    packet = edit_length(packet + bytes(40 + payload_length - len(packet)))
    script.write([s.adjust_srh(96, 8)])
    with net.installed(*end_bpf(script.seg6local)):
        os.write(tap, bytes(10) + framed(packet))
        net.collect()
        return script.results(1)


def add_longest(suite, net, script):
    """B21: the payload length of the packet is 16 bits wide."""
    tap = open_tap()
    for length, results, known in ((65527, [0], None), (65528, [INVAL], ("B21", [0]))):
        suite.add(f"growth of a packet with {length} bytes of payload: {results}",
                  partial(grown, net, tap, script, length), results, known)


def edit_length(packet):
    """`packet` with the payload length that it has."""
    return p.edit(packet, 4, struct.pack("!H", len(packet) - 40))


def add_route_actions(table):
    """bpf_lwt_seg6_action with End.X and End.T."""
    def icmp(code, quoted):
        """An ICMPv6 unreachable error to the source."""
        return [(BACK, p.icmp_error(1, code, quoted, IN_ADDRESS))]

    alt = [(ALT, p.hop(plain()))]
    nowhere = {
        "no route": ("2001:db8::1", errno.ENETUNREACH, icmp(0, plain())),
        "an unreachable route": ("fd0b::1", errno.EHOSTUNREACH, icmp(0, plain())),
        "a prohibited route": ("fd0c::1", errno.EACCES, icmp(1, plain())),
        "a blackhole": ("fd0d::1", errno.EINVAL, []),
        "a throw route, after which no rule follows": ("fd0e::1", errno.ENETUNREACH, icmp(0, plain())),
        "a local address": ("fd0a::1", errno.EINVAL, []),
    }
    for name, (target, code, out) in nowhere.items():
        for verdict, after in ((ebpf.REDIRECT, out), (ebpf.OK, plain())):
            table.add(f"End.X to {name}, return {verdict}: {errno.errorcode[code]}", PLAIN,
                      [s.action(nl.END_X, p.addr(target))], [-code], after, verdict)
    table.add("End.X", PLAIN, [s.action(nl.END_X, p.addr("fdff:3::1"))], [0], alt, ebpf.REDIRECT)
    table.add("End.T", PLAIN, [s.action(nl.END_T, TABLE[100])], [0], alt, ebpf.REDIRECT)
    table.add("End.T, return 0", PLAIN, [s.action(nl.END_T, TABLE[100])], [0], plain())
    table.add("End.T with table 0: the rules", PLAIN, [s.action(nl.END_T, TABLE[0])], [0], plain(), ebpf.REDIRECT)
    table.add("End.T with table main", PLAIN, [s.action(nl.END_T, TABLE[254])], [0], plain(), ebpf.REDIRECT)
    thrown = p.sr("fd0e::b", ["fd02::a", "fd0e::b", SID], 1)
    table.add("End.T to a throw route: EAGAIN", p.sr(SID, ["fd02::a", "fd0e::b", SID], 2),
              [s.action(nl.END_T, TABLE[100])], [-errno.EAGAIN], icmp(0, thrown), ebpf.REDIRECT)
    for number in (999, U32):
        table.add(f"End.T with table {number}, which is missing: -EINVAL", PLAIN, [s.action(nl.END_T, TABLE[number])],
                  [INVAL], [], ebpf.REDIRECT)
    for length in (1, 4, 15, 17, 2048):
        table.add(f"End.X with {length} bytes: -EINVAL", PLAIN, [s.action(nl.END_X, bytes(length))], [INVAL], plain())
    for length in (1, 3, 5, 8, 16, 2048):
        table.add(f"End.T with {length} bytes: -EINVAL", PLAIN, [s.action(nl.END_T, bytes(length))], [INVAL], plain())
    for number in (0, 1, 4, 5, 6, 8, 11, 12, 13, 14, 15, 16, 17, 256 + 2, 1 << 16, U32):
        table.add(f"action {number:#x}: -EINVAL", PLAIN, [s.action(number, TABLE[0])], [INVAL], plain())
    table.add("the last action wins", PLAIN,
              [s.action(nl.END_T, TABLE[999]), s.action(nl.END_X, p.addr("fd03::1"))], [INVAL, 0], alt, ebpf.REDIRECT)
    table.add("End.X of a grown SRH: its length is up to date", PLAIN,
              [s.adjust_srh(96, 8), s.action(nl.END_X, p.addr("fd03::1"))], [0, 0],
              [(ALT, p.hop(plain(tlvs=bytes(8))))], ebpf.REDIRECT)


def main():
    """Builds the suite and runs it."""
    sysctl("net/core/bpf_jit_enable", 0)
    interpreted = s.Script()
    sysctl("net/core/bpf_jit_enable", 1)
    compiled = s.Script()
    net = Net()
    suite = net.suite()
    for script, title in ((compiled, "JIT"), (interpreted, "interpreter")):
        table = Table(suite, net, script, title)
        add_store_bytes(table)
        add_validation(table)
        add_adjust_srh(table)
        add_growth_limit(table)
        add_route_actions(table)
    add_longest(suite, net, compiled)
    suite.main()


if __name__ == "__main__":
    main()
