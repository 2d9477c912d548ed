#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""B20: packets that arrive with a checksum of all their bytes (CHECKSUM_COMPLETE), changed by SIDs.

Such packets come out of a GRE tunnel with checksums. After the SIDs a socket of the router gets the datagram inside, if
the checksum that the kernel has kept with the packet is right: UDP drops and counts the others. To tell that there
still was a checksum, every packet is sent once more with a wrong one, which a BPF program behind the tunnel makes.
"""

import contextlib
import errno
import os
import socket
import struct
from dataclasses import dataclass
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from edge import LOCAL4, LOCAL6, VRF_LOCAL4, VRF_LOCAL6, VRF_TABLE, Edge, listening, received
from lwt_in import SEG6, SEG6_INLINE, lwt_bpf
from topology import IN_ADDRESS, KEY, SID, Installed, ip, ip_batch, set_tunnel_source, wait_until_up

GRE, LAST, OPENER, BOUND = 47, "fcff::d", "fcff::c", "fd08::1"
DX2_MAC = bytes((2, 0, 0, 0, 3, 1))
DATA = bytes(range(256))  # UDP sums short datagrams up itself when the checksum seems to be wrong.
OPAQUE = p.tlv(200, bytes(range(1, 15)))
KEPT, GIVEN_UP, BROKEN = ([DATA], [], 1), ([DATA], [DATA], 0), ([], [], 2)

TCX_EGRESS = 47
CSUM_UPDATE, CSUM_LEVEL = 40, 135
WRONG = [*ebpf.mov(2, 0x1234), *ebpf.call(CSUM_UPDATE), *ebpf.returning(-1)]
GOOD_GRE = [*ebpf.mov(2, 1), *ebpf.call(CSUM_LEVEL), *ebpf.returning(-1)]

END, END_X, END_T, DX2, DX6, DX4, DT6, DT4, B6, B6_ENCAP = (nl.u32(nl.ACTION, number) for number in range(1, 11))
DT46 = nl.u32(nl.ACTION, nl.END_DT46)
DT6_LOCAL = DT6, nl.u32(nl.TABLE, 0)
VRF = nl.u32(nl.VRFTABLE, VRF_TABLE)


def datagram(dst=LOCAL6, data=DATA, **fields):
    """A packet for a socket of the router."""
    src, build = (p.SRC, p.ip6) if ":" in dst else (p.SRC4, p.ip4)
    return build(p.UDP, dst, p.summed(p.UDP, src, dst, p.udp(data)), **fields)


def behind(left, inner=None, number=p.IPV6, segments=(LAST, SID), **fields):
    """A packet to one of two SIDs with another packet inside."""
    header = p.srh(number, segments, left, **fields)
    return p.ip6(p.RH, segments[left], header + (datagram() if inner is None else inner))


def nested(left):
    """The same with a packet to the second SID inside."""
    return behind(left, p.ip6(p.IPV6, LAST, datagram()))


def in_gre(packet):
    """A packet in the tunnel."""
    payload = struct.pack("!HHHH", 0x8000, 0x86DD, 0, 0) + packet
    return p.ip6(GRE, IN_ADDRESS, p.edit(payload, 4, struct.pack("!H", p.checksum(payload))))


def opening(table):
    """A program that calls End.DT6 with a table."""
    return [*ebpf.mov(2, table), *ebpf.store(4, 10, -4, 2), *ebpf.mov(2, nl.END_DT6), *ebpf.copy(3, 10),
            *ebpf.add(3, -4), *ebpf.mov(4, 4), *ebpf.call(ebpf.ACTION), *ebpf.returning(ebpf.REDIRECT)]


@contextlib.contextmanager
def watched(device, program, hook=ebpf.TCX_INGRESS):
    """A context in which a program looks at all that a device receives or, with hook TCX_EGRESS, sends."""
    fd = ebpf.load_program(program, ebpf.TYPE_SCHED_CLS)
    link, _ = ebpf.bpf(ebpf.LINK_CREATE, "IIII", fd, socket.if_nametoindex(device), hook, 0)
    os.close(fd)
    lib.check(link >= 0, f"attaching a program to {device}: {link}")
    try:
        yield
    finally:
        os.close(link)


def dropped():
    """How many datagrams UDP has dropped because of their checksum."""
    with open("/proc/self/net/snmp6", encoding="ascii") as snmp6:
        count = dict(line.split() for line in snmp6)["Udp6InCsumErrors"]
    with open("/proc/self/net/snmp", encoding="ascii") as snmp:
        names, values = (line.split() for line in snmp if line.startswith("Udp: "))
    return int(count) + int(values[names.index("InCsumErrors")])


@dataclass
class Case:
    """Routes that a packet takes to a socket."""

    packet: bytes
    routes: tuple
    address: str = LOCAL6
    device: str = ""

    def run(self, net):
        """What the socket gets, what it gets if the checksum was wrong at the start, and how often UDP has dropped."""
        with contextlib.ExitStack() as stack:
            for route in self.routes:
                stack.enter_context(Installed(net, route))
            sock = stack.enter_context(listening(self.address, self.device))
            before = dropped()
            right = self.arrived(net, sock)
            with watched("gre1", WRONG):
                wrong = self.arrived(net, sock)
            return right, wrong, dropped() - before

    def arrived(self, net, sock):
        """What the socket gets for the packet."""
        before, seen = dropped(), []

        def is_done():
            """Whether UDP has decided on it."""
            seen.extend(received(sock))
            return seen or dropped() > before

        lib.equal(net.send(in_gre(self.packet)), [], "what comes out")
        lib.wait_for(is_done, "the datagram is received or dropped")
        return seen


class Table:
    """Adds cases to a suite."""

    def __init__(self, suite, net, script):
        self.suite, self.net, self.script = suite, net, script
        self.last = net.sid(*DT6_LOCAL, dst=LAST)

    def add(self, name, case, want=KEPT, known=None):
        """Adds a case."""
        self.suite.add(name, partial(case.run, self.net), want, known)

    def add_end(self, name, packet, *attributes, want=KEPT):
        """A SID that changes the packet, so that the checksum is wrong with C."""
        self.add(name, Case(packet, (self.net.sid(*attributes), self.last)), want, ("B20", BROKEN))

    def add_decap(self, name, attributes, inner, address=LOCAL6, device="", want=KEPT, known=None, flow=0):
        """A SID that opens the packet."""
        number = {4: p.IPV4, 6: p.IPV6}.get(inner[0] >> 4, p.ETHERNET)
        packet = p.edit(behind(0, inner, number, [SID, LAST]), 0, struct.pack("!I", 6 << 28 | flow))
        self.add(name, Case(packet, (self.net.sid(*attributes), self.last), address, device), want, known)

    def add_script(self, name, calls, case, verdict=ebpf.OK, want=KEPT, known=("B20", BROKEN), result=0):
        """A program that makes calls, each with the given result."""
        def run():
            """What the case shows."""
            self.script.write(calls, (verdict,) * 4, s.EVERY_RUN)
            seen = case.run(self.net)
            lib.equal(self.script.results(len(calls)), [result] * len(calls), "results of the calls")
            return seen

        self.suite.add(name, run, want, known)


def add_ends(table, opener):
    """The behaviors that advance to the next segment."""
    net, packet = table.net, behind(1)
    table.add_end("End", packet, END)
    table.add_end("End with PSP", behind(1, tlvs=OPAQUE), END, nl.flavors(nl.PSP))
    table.add_end("End with PSP behind destination options",
                  p.chain(SID, [(p.DSTOPT, p.option), (p.RH, lambda number: p.srh(number, [LAST, SID], 1))], p.IPV6,
                          datagram()), END, nl.flavors(nl.PSP))
    table.add("End with NEXT-C-SID", Case(
        p.ip6(p.IPV6, "fcfe:0:e:d::", datagram()),
        (net.sid(END, nl.flavors(nl.NEXT_CSID), dst="fcfe:0:e::", length=48),
         net.sid(*DT6_LOCAL, dst="fcfe:0:d::", length=48))), KEPT, ("B20", BROKEN))
    table.add_end("End.X", packet, END_X, nl.addr6(nl.NH6, LAST))
    table.add_end("End.T", packet, END_T, nl.u32(nl.TABLE, 254))
    table.add("End.B6", Case(nested(1), (net.sid(B6, nl.attr(nl.SRH, p.srh(0, [LAST, OPENER], 1))), opener,
                                         table.last)), KEPT, ("B20", BROKEN))
    table.add_end("End.B6.Encaps, which sums the packet inside up when it is opened", packet, B6_ENCAP,
                  nl.attr(nl.SRH, p.srh(0, [LAST], 0)), want=GIVEN_UP)


def add_helpers(table, opener):
    """End.BPF with a program that calls helpers."""
    net = table.net
    routes = net.sid(*end_bpf(table.script.seg6local)), table.last
    plain, tlv = Case(behind(1), routes), Case(behind(1, tlvs=OPAQUE), routes)
    longer, shorter = s.store_bytes(81, b"\x16"), s.store_bytes(81, b"\6")
    table.add_script("End.BPF", [], plain)
    table.add_script("store_bytes: flags and tag", [s.store_bytes(45, b"\1\2\3")], plain)
    table.add_script("adjust_srh: 8 bytes more", [s.adjust_srh(80, 8), s.store_bytes(80, OPAQUE[:1] + b"\6")], plain)
    table.add_script("adjust_srh: 8 bytes more at an odd place", [s.adjust_srh(85, 8), longer], tlv)
    table.add_script("adjust_srh: 8 bytes less at an odd place", [s.adjust_srh(85, -8), shorter], tlv)
    table.add_script("adjust_srh: 3 and 5 bytes more", [s.adjust_srh(83, 3), s.adjust_srh(91, 5), longer], tlv,
                     want=GIVEN_UP)
    table.add_script("adjust_srh: 3 and 5 bytes less", [s.adjust_srh(83, -3), s.adjust_srh(83, -5), shorter], tlv,
                     want=GIVEN_UP)
    table.add_script("action: End.X", [s.action(nl.END_X, p.addr(LAST))], plain, ebpf.REDIRECT)
    table.add_script("action: End.T", [s.action(nl.END_T, struct.pack("=I", 254))], plain, ebpf.REDIRECT)
    table.add_script("action: End.DT6", [s.action(nl.END_DT6, bytes(4))], Case(nested(1), routes), ebpf.REDIRECT)
    table.add_script("action: End.B6", [s.action(nl.END_B6, p.srh(0, [LAST, OPENER], 1))],
                     Case(nested(1), (*routes, opener)))
    table.add_script("action: End.B6 that fails",
                     [s.action(nl.END_B6, p.srh(0, [LAST], 0, flags=8, tlvs=p.hmac_tlv(KEY)))], plain,
                     result=-errno.ENOENT)
    table.add_script("action: End.B6.Encaps", [s.action(nl.END_B6_ENCAP, p.srh(0, [LAST], 0))], plain, want=GIVEN_UP)


def add_pushes(table):
    """bpf_lwt_push_encap, which both implementations leave to functions of the kernel."""
    net = table.net
    case = Case(p.ip6(p.IPV6, BOUND, datagram()),
                (lwt_bpf(net, table.script.lwt_in, "fd08::/16", "fdff:2::1"), table.last))
    table.add_script("push_encap: SEG6_INLINE", [s.push_encap(SEG6_INLINE, p.srh(0, ["::", LAST], 0))], case,
                     ebpf.REROUTE, known=None)
    case = Case(case.packet, (case.routes[0], net.sid(DX6, nl.addr6(nl.NH6, LAST)), table.last))
    table.add_script("push_encap: SEG6", [s.push_encap(SEG6, p.srh(0, [SID], 0))], case, ebpf.REROUTE,
                     want=GIVEN_UP, known=("B8", KEPT))


def add_decaps(table):
    """The behaviors that open the packet."""
    any4 = nl.attr(nl.NH4, bytes(4))
    table.add_decap("End.DT6 with a table", DT6_LOCAL, datagram())
    table.add_decap("End.DT6 with a VRF", (DT6, VRF), datagram(VRF_LOCAL6), VRF_LOCAL6, "red")
    table.add_decap("End.DT46 of IPv6", (DT46, VRF), datagram(VRF_LOCAL6), VRF_LOCAL6, "red")
    table.add_decap("End.DT46 of IPv4", (DT46, VRF), datagram(VRF_LOCAL4), VRF_LOCAL4, "red")
    table.add_decap("End.DT4", (DT4, VRF), datagram(VRF_LOCAL4), VRF_LOCAL4, "red")
    table.add_decap("End.DX4", (DX4, any4), datagram(LOCAL4), LOCAL4)
    table.add_decap("End.DX6", (DX6, nl.addr6(nl.NH6, "::")), p.ip6(p.IPV6, LAST, datagram()))
    dx2 = DX2, nl.u32(nl.OIF, socket.if_nametoindex("dx0"))
    table.add_decap("End.DX2, which leaves the checksum behind", dx2, p.ether(0x86DD, datagram(), DX2_MAC),
                    want=GIVEN_UP)
    congested = 3 << 20
    table.add_decap("End.DT6 of a packet that met congestion", DT6_LOCAL, datagram(flow=2 << 20), flow=congested)
    table.add_decap("End.DX4 of a packet that met congestion", (DX4, any4), datagram(LOCAL4, tos=2), LOCAL4,
                    flow=congested)
    table.add_decap("End.DX4 of a packet with a wrong header checksum", (DX4, any4),
                    p.edit(datagram(LOCAL4), 10, b"\1\1"), LOCAL4, known=("B20", BROKEN))


def noticed(table):
    """What the kernel logs if the checksum was not computed by itself, but by a device."""
    with open("/sys/kernel/debug/clear_warn_once", "w", encoding="ascii") as knob:
        knob.write("1")
    case = Case(behind(1, datagram(data=p.PAYLOAD)), ())
    with (Installed(table.net, table.net.sid(END)), Installed(table.net, table.last), listening(LOCAL6) as sock,
          watched("in0", GOOD_GRE)):
        lib.equal(case.arrived(table.net, sock), [p.PAYLOAD], "what the socket gets")
    return table.suite.splats()


def set_up_links():
    """Adds the tunnel, and a device whose frames come back to the router."""
    ip("link", "add", "gre1", "type", "ip6gre", "local", IN_ADDRESS, "remote", p.SRC, "icsum")
    ip_batch("link set gre1 addrgenmode none up\n"
             f"link add dx0 type veth peer name dx1 address {DX2_MAC.hex(':')}\n"
             "link set dx0 addrgenmode none up\nlink set dx1 addrgenmode none up\n")
    wait_until_up()


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Edge()
    suite = net.suite()
    set_up_links()
    set_tunnel_source()
    table = Table(suite, net, script)
    opener = net.sid(*end_bpf(ebpf.load_program(opening(0))), dst=OPENER)
    add_ends(table, opener)
    add_helpers(table, opener)
    add_pushes(table)
    add_decaps(table)
    suite.add("a checksum of a device", partial(noticed, table), [],
              ("B20", ["gre1: hw csum failure", "Call Trace:"]))
    suite.main()


if __name__ == "__main__":
    main()
