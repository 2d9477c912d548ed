#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""bpf_lwt_push_encap of an LWT_IN program: SEG6 and SEG6_INLINE, and what other types and other headers get."""

import errno
import socket
import struct
from functools import partial

import ebpf
import netlink as nl
import packet as p
import script as s
from bpf_helpers import BADMSG, INVAL, OPAQUE
from edge import Edge
from topology import ALT, KEY, OUT, SECRET, Installed, set_hmac_key, set_tunnel_source

SEG6, SEG6_INLINE, ENCAP_IP = 0, 1, 2
TARGET = "fd08::1"
PACKET = p.ip6(p.UDP, TARGET, p.udp(), flow=0x1234567, hlim=30)
PACKET4 = p.ip4(p.UDP, "198.51.100.1", p.udp())
HEADER = p.srh(0, ["fd02::77", "fd03::9"], 1)


def lwt_bpf(net, fd, dst, gateway, family=socket.AF_INET6):
    """The message of a route through out0 with an LWT_IN program."""
    data = nl.attr(1 | nl.NESTED, nl.u32(1, fd) + nl.attr(2, b"lwt_in\0"))
    return nl.route(dst, nl.u32(nl.RTA_OIF, net.devices["out0"]),
                    nl.attr(nl.RTA_GATEWAY, socket.inet_pton(family, gateway)), nl.encap(nl.ENCAP_BPF, data),
                    family=family)


def pushed(net, script, calls, verdict, packet=PACKET):
    """What the calls return, and what comes out."""
    script.write(calls, (verdict,))
    with Installed(net, lwt_bpf(net, script.lwt_in, "fd08::/16", "fdff:2::1")):
        out = net.send(packet)
    return script.results(len(calls)), out


def add_pushes(suite, net, script):
    """Headers that are pushed: the packet takes the route of its new destination."""
    def add(name, calls, results, out, verdict=ebpf.OK, packet=PACKET):
        """Adds a case."""
        suite.add(name, partial(pushed, net, script, calls, verdict, packet), (results, out))

    add("nothing pushed", [], [], [(OUT, p.hop(PACKET))])
    three, two, one = ["fd02::77", "fd02::88", "fd03::9"], ["fd02::77", "fd03::9"], ["fd03::9"]
    for title, kind, build in (("SEG6", SEG6, p.encapsulated), ("SEG6_INLINE", SEG6_INLINE, p.inline)):
        def call(segments, left, kind=kind, **fields):
            """The call that pushes an SRH."""
            return s.push_encap(kind, p.srh(0, segments, left, **fields))

        for segments in (three, two):
            left = len(segments) - 1
            for verdict in (ebpf.OK, ebpf.REROUTE, ebpf.REDIRECT):
                add(f"{title} with {len(segments)} segments, return {verdict}", [call(segments, left)], [0],
                    [(ALT, p.hop(build(PACKET, segments, left)))], verdict)
        add(f"{title} with 1 segment", [call(one, 0)], [0],
            [(ALT, p.hop(build(PACKET, one, 0)))] if kind == SEG6 else [(OUT, p.hop(build(PACKET, one, 0)))])
        add(f"{title} with TLVs, flags and tag", [call(two, 1, tlvs=OPAQUE * 5, flags=0x81, tag=9)], [0],
            [(ALT, p.hop(build(PACKET, two, 1, tlvs=OPAQUE * 5, flags=0x81, tag=9)))])
        largest = ["fd02::77"] * 126 + ["fd03::9"]
        add(f"{title} with 127 segments", [call(largest, 126)], [0],
            [(ALT, p.hop(build(PACKET, largest, 126)))])
        add(f"{title} twice", [call(two, 1), call(three, 2)], [0, 0],
            [(ALT, p.hop(build(build(PACKET, two, 1), three, 2)))])
        signed = [TARGET, *two[1:]] if kind == SEG6_INLINE else two
        digest = p.digest(SECRET, p.SRC if kind == SEG6_INLINE else p.TUNNEL_SRC, signed, KEY)
        add(f"{title} with an HMAC", [call(two, 1, flags=8, tlvs=p.hmac_tlv(KEY))], [0],
            [(ALT, p.hop(build(PACKET, two, 1, flags=8, tlvs=p.hmac_tlv(KEY, digest))))])
        big = p.ip6(p.UDP, TARGET, p.udp(bytes(range(256)) * 20))
        add(f"{title} on a large packet", [call(two, 1)], [0], [(ALT, p.hop(build(big, two, 1)))], packet=big)
        for name, header in p.invalid_srhs():
            add(f"{title} with {name}: -EINVAL", [s.push_encap(kind, header)], [INVAL], [(OUT, p.hop(PACKET))])
        for target, code in (("2001:db8::1", errno.ENETUNREACH), ("fd0b::1", errno.EHOSTUNREACH),
                             ("fd0c::1", errno.EACCES), ("fd0d::1", errno.EINVAL), ("fd0a::1", errno.EINVAL)):
            add(f"{title} to {target}: {errno.errorcode[code]}", [call(["fd02::77", target], 1)], [-code], [],
                ebpf.DROP)
        for error, header, code in p.unsigned_srhs():
            name, calls = f"{title} with {error}: -{errno.errorcode[code]}", [s.push_encap(kind, header)]
            add(name, calls, [-code], [], ebpf.DROP)
            want = [-code], [(OUT, p.hop(PACKET))]
            suite.add(f"{name}, and the packet is as before",
                      lambda calls=calls, want=want: pushed(net, script, calls, ebpf.OK) == want, True, ("B24", False))
        calls, want = [call(two, 1, flags=8, tlvs=p.misplaced_hmac_tlv(KEY))], ([INVAL], [(OUT, p.hop(PACKET))])
        suite.add(f"{title} with an HMAC that is not the last TLV: -EINVAL",
                  lambda calls=calls, want=want: pushed(net, script, calls, ebpf.OK) == want, True, ("B41", False))
    for kind in (3, 4, 255, 0x10000, 0xFFFFFFFF):
        add(f"type {kind:#x}: -EINVAL", [s.push_encap(kind, HEADER)], [INVAL], [(OUT, p.hop(PACKET))])
    add("type IP with an SRH: -EINVAL", [s.push_encap(ENCAP_IP, HEADER)], [INVAL], [(OUT, p.hop(PACKET))])
    add("return 2: dropped", [s.push_encap(SEG6, HEADER)], [0], [], ebpf.DROP)
    outer = p.ip6(p.IPV6, "fd03::9", b"", src=p.TUNNEL_SRC, length=len(PACKET))
    add("type IP with an IPv6 header", [s.push_encap(ENCAP_IP, outer)], [0],
        [(ALT, p.hop(outer + PACKET))], ebpf.REROUTE)


def on_ipv4(net, script, kind, verdict):
    """What a push returns on an IPv4 packet, what comes out, and how often the program has run."""
    script.write([s.push_encap(kind, HEADER)], (verdict,))
    with Installed(net, lwt_bpf(net, script.lwt_in, "198.51.100.0/24", "10.2.0.1", socket.AF_INET)):
        out = net.send(PACKET4)
    return script.results(1), out, script.state()[0]


def add_ipv4(suite, net, script):
    """B23: C pushes the headers, then the route of the packet forwards it as IPv4.

    What that takes for the time to live is the first octet of the outer source address, and for the checksum of the
    header, which grows as the time to live gets less, two more.
    """
    mistaken = p.ip6(p.RH, "fd03::9", p.edit(HEADER, 0, bytes((p.IPV6,))) + PACKET4, src="fc01:100::2")
    for title, kind, pushes in (("SEG6_INLINE", SEG6_INLINE, False), ("SEG6", SEG6, True)):
        for verdict, out, c_out in ((ebpf.DROP, [], []), (ebpf.OK, [(OUT, p.hop4(PACKET4))], [(ALT, mistaken)])):
            suite.add(f"{title} on IPv4, return {verdict}: -EBADMSG", partial(on_ipv4, net, script, kind, verdict),
                      ([BADMSG], out, 1), pushes and ("B23", ([0], c_out, 1)))


def tested(script, kind):
    """BPF_PROG_TEST_RUN of a push: result of the system call, of the program and of the helper, and the packet."""
    script.write([s.push_encap(kind, HEADER)], (ebpf.OK,))
    result, verdict, frame = ebpf.test_run(script.lwt_in, bytes(12) + b"\x86\xdd" + PACKET)
    return result, verdict, script.results(1), frame[14:]


def of_lwt_xmit(kind):
    """What a push returns in a program of type LWT_XMIT."""
    code = [*ebpf.copy(6, 1)]
    for index in range(len(HEADER) // 8):
        word = struct.unpack_from("=q", HEADER, 8 * index)[0]
        code += [*ebpf.load_immediate(2, word), *ebpf.store(8, 10, 8 * index - len(HEADER), 2)]
    code += [*ebpf.copy(1, 6), *ebpf.mov(2, kind), *ebpf.copy(3, 10), *ebpf.add(3, -len(HEADER)),
             *ebpf.mov(4, len(HEADER)), *ebpf.call(ebpf.PUSH_ENCAP), *ebpf.EXIT]
    fd = ebpf.load_program(code, ebpf.TYPE_LWT_XMIT)
    return struct.unpack("=i", struct.pack("=I", ebpf.test_run(fd, bytes(12) + b"\x86\xdd" + PACKET)[1]))[0]


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Edge()
    suite = net.suite()
    set_tunnel_source()
    set_hmac_key()
    add_pushes(suite, net, script)
    add_ipv4(suite, net, script)
    suite.add("BPF_PROG_TEST_RUN of SEG6_INLINE", partial(tested, script, SEG6_INLINE),
              (0, 0, [0], p.inline(PACKET, ["fd02::77", "fd03::9"], 1)))
    for kind in (SEG6, SEG6_INLINE, 3):
        suite.add(f"LWT_XMIT with type {kind}: -EINVAL", partial(of_lwt_xmit, kind), INVAL)
    suite.main()


if __name__ == "__main__":
    main()
