# SPDX-License-Identifier: GPL-2.0-or-later
"""The router of topology.py as a provider edge: with IPv4, a VRF and a port for Ethernet frames.

    in0, out0, alt0 as in topology.py, and also with IPv4:

      src0  <----->  in0            out0  <------>  dst0          alt0  <------>  dst1
    10.1.0.1     10.1.0.254     10.2.0.254   10.2.0.1, .2     10.3.0.254   10.3.0.1, .2

    in VRF red, table 200:                                     Ethernet:

                  ve0  <------>  ce0                             l2  <------>  wire0
             fdff:4::fe          fdff:4::1, fdff:4::2
             10.4.0.254          10.4.0.1, 10.4.0.2
"""

import contextlib
import socket
import struct
from dataclasses import dataclass

import lib
import netlink as nl
import packet as p
from topology import (ALT, IPV4, IPV6, LABELS, NEIGHBORS, OUT, ROUTER_MAC, SID, Net, described, ip_batch, neighbor,
                      sysctl)

CUST, CUST2, WIRE = "customer 1", "customer 2", "wire"
VRF_TABLE, WIRE_MTU = 200, 6000
VRF_MAC = bytes((2, 0, 0, 0, 0, 2))
IN_ADDRESS4, VE_ADDRESS4 = "10.1.0.254", "10.4.0.254"
LOCAL6, LOCAL4, VRF_LOCAL6, VRF_LOCAL4 = "fd0a::1", "10.10.0.1", "fd0a::2", "10.10.0.2"
L2 = b"L2"
PACKET_AUXDATA = 8
CUSTOMERS = ((CUST, "fdff:4::1", "10.4.0.1"), (CUST2, "fdff:4::2", "10.4.0.2"))
ADDRESSES4 = ("10.1.0.1", "10.1.0.2", "10.2.0.1", "10.2.0.2", "10.3.0.1", "10.3.0.2")
LABELS.update({bytes((2, 0, 0, 0, 1, len(NEIGHBORS) + i)): label for i, (label, *_) in enumerate(CUSTOMERS)})

EDGE = """
link add red address {mac} type vrf table 200
link set red up
{links}
link set ve0 master red
addr add fdff:4::fe/64 dev ve0 nodad
addr add fd0a::2/128 dev red nodad
{neighbors}
route add fd04::/16 via fdff:4::1 dev ve0 table 200
route add fd01::/16 via fdff:4::2 dev ve0 table 200
route add unreachable default metric 4278198272 table 200
"""
EDGE4 = """
addr add 10.1.0.254/24 dev in0
addr add 10.2.0.254/24 dev out0
addr add 10.3.0.254/24 dev alt0
addr add 10.4.0.254/24 dev ve0
addr add 10.10.0.1/32 dev lo
addr add 10.10.0.2/32 dev red
{neighbors}
route add 10.12.0.0/16 via 10.2.0.1 dev out0
route add 10.13.0.0/16 via 10.3.0.1 dev alt0
route add 10.16.0.0/16 via 10.2.0.1 dev out0 mtu lock 1280
route add unreachable 10.21.0.0/16
route add prohibit 10.22.0.0/16
route add blackhole 10.23.0.0/16
route add throw 10.24.0.0/16
route add 10.14.0.0/16 via 10.4.0.1 dev ve0 table 200
route add 10.1.0.0/16 via 10.4.0.2 dev ve0 table 200
route add unreachable default metric 4278198272 table 200
"""


def tagged(frame, ancillary):
    """A frame with the VLAN tag that the kernel has taken out of it."""
    status, _, _, _, _, tag, kind = struct.unpack("=IIIHHHH", ancillary[0][2][:20])
    return frame[:12] + struct.pack("!HH", kind, tag) + frame[12:] if status & 0x10 else frame


def anonymous(packet):
    """An IPv4 packet; the identification of an ICMP error, which is random, becomes 0."""
    if packet[9] != p.ICMP4 or packet[1] != 0xC0:
        return packet
    lib.equal(p.checksum(packet[:20]), 0, "checksum of an ICMP error")
    head = p.edit(p.edit(packet[:20], 4, bytes(2)), 10, bytes(2))
    return p.edit(head, 10, struct.pack("!H", p.checksum(head))) + packet[20:]


@contextlib.contextmanager
def strict_mode(value):
    """A context with another value of the sysctl strict_mode of VRFs."""
    before = sysctl("net/vrf/strict_mode", value)
    try:
        yield
    finally:
        sysctl("net/vrf/strict_mode", before)


@contextlib.contextmanager
def listening(address, device=""):
    """A context with a UDP socket of the router, bound to an address and to a VRF."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        sock.bind((address, 2000))
        sock.setblocking(False)
        yield sock


def received(sock):
    """The datagrams that a socket has got."""
    seen = []
    try:
        while True:
            seen.append(sock.recv(1 << 16))
    except BlockingIOError:
        return seen


def carried(inner, number=None, sid=SID):
    """A packet to the SID, with an SRH without segments left and a packet inside."""
    number = number or (p.IPV4 if inner[0] >> 4 == 4 else p.IPV6)
    return p.ip6(p.RH, sid, p.srh(number, [sid, "fd02::a"], 0) + inner)


def counted(inner, number=None):
    """The counters of a SID that has passed such a packet on."""
    return 1, len(carried(inner, number)), 0


@dataclass
class Decap:
    """A behavior that decapsulates: its attributes, what it takes, where such a packet goes, and to whom."""

    name: str
    attributes: tuple
    number: int
    target: str
    label: str

    def inner(self, data=p.PAYLOAD, **fields):
        """A packet, or a frame, for the inside."""
        if self.number == p.ETHERNET:
            return p.ether(0x88B5, data)
        build = p.ip4 if self.number == p.IPV4 else p.ip6
        return build(p.UDP, self.target, p.udp(data), **fields)

    def out(self, inner):
        """What comes out for it."""
        forwarded = {p.ETHERNET: bytes, p.IPV4: p.hop4, p.IPV6: p.hop6}[self.number]
        return [(self.label, forwarded(inner))]


class Edge(Net):
    """The topology."""

    KINDS = (IPV6, IPV4, L2)
    RX_OPTIONS = (*Net.RX_OPTIONS, PACKET_AUXDATA)

    def __init__(self):
        sysctl("net/ipv4/route/error_cost", 0)
        super().__init__()

    def set_up_router(self):
        """Adds the other devices, and IPv4."""
        super().set_up_router()
        for knob, value in (("net/ipv4/ip_forward", 1), ("net/ipv4/icmp_ratemask", 0), ("net/vrf/strict_mode", 1)):
            sysctl(knob, value)
        first = len(NEIGHBORS)
        ip_batch(EDGE.format(
            mac=VRF_MAC.hex(":"), links=self.link("ve0", "ce0") + self.link("l2", "wire0", WIRE_MTU),
            neighbors="".join(neighbor(row[1], first + i, "ve0") for i, row in enumerate(CUSTOMERS))))
        ip_batch(EDGE4.format(neighbors="".join(
            [neighbor(address, i, NEIGHBORS[i][1]) for i, address in enumerate(ADDRESSES4)]
            + [neighbor(row[2], first + i, "ve0") for i, row in enumerate(CUSTOMERS)])), "-4")

    def receive(self):
        """The next frame that has come out: its type, the neighbor and the packet, or the whole frame."""
        frame, ancillary, _, address = self.rx.recvmsg(1 << 17, 64)
        is_wire = address[0] in ("wire0", "")  # a device that was deleted meanwhile has no name
        if is_wire and frame[6:12] != ROUTER_MAC:
            return L2, WIRE, tagged(frame, ancillary)
        kind, label, packet = described(frame)
        return kind, label, anonymous(packet) if kind == IPV4 else packet

    def decapsulations(self, table=VRF_TABLE):
        """The behaviors that decapsulate; `table` is that of the VRF."""
        vrf = nl.u32(nl.VRFTABLE, table)
        dx2 = nl.u32(nl.ACTION, nl.END_DX2), nl.u32(nl.OIF, self.devices["l2"])
        dx4 = nl.u32(nl.ACTION, nl.END_DX4), nl.attr(nl.NH4, bytes(4))
        dx6 = nl.u32(nl.ACTION, nl.END_DX6), nl.addr6(nl.NH6, "::")
        dt6, dt4, dt46 = (nl.u32(nl.ACTION, action) for action in (nl.END_DT6, nl.END_DT4, nl.END_DT46))
        return (
            Decap("End.DX2", dx2, p.ETHERNET, "", WIRE),
            Decap("End.DX4", dx4, p.IPV4, "10.12.0.7", OUT),
            Decap("End.DX6", dx6, p.IPV6, "fd02::77", OUT),
            Decap("End.DT6 table", (dt6, nl.u32(nl.TABLE, 100)), p.IPV6, "fd02::77", ALT),
            Decap("End.DT6 vrftable", (dt6, vrf), p.IPV6, "fd04::77", CUST),
            Decap("End.DT4", (dt4, vrf), p.IPV4, "10.14.0.7", CUST),
            Decap("End.DT46 of IPv4", (dt46, vrf), p.IPV4, "10.14.0.7", CUST),
            Decap("End.DT46 of IPv6", (dt46, vrf), p.IPV6, "fd04::77", CUST),
        )
