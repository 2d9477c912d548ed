#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""A super-packet (GSO) through SIDs: it leaves whole from a device that cuts segments itself, and else in segments that
each are what the SID makes of a packet of that size. Its payload is one of TCP, or many UDP datagrams (UDP_SEGMENT).

Super-packets with an outer header are made by routes of the router with `encap seg6`.

Mainline drops one of TCP that it forwards if the fifth byte of segment 0 is no length that TCP could have (B45).
The segments of this test pass, except for those of the cases about that; connections are tested in tcp.py.
"""

import contextlib
import os
import struct
from dataclasses import dataclass
from functools import partial
from typing import Callable

import ebpf
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from bpf_helpers import TABLE
from edge import CUST, WIRE, Edge
from lwt_in import SEG6, lwt_bpf
from topology import ALT, OUT, Installed, command, framed, ip_batch, open_tap, set_tunnel_source

SID, A = "fcff:0:5000::e", "fd02:0:5000::a"
INNER6, INNER4, TUNNELED, PUSHED = "fd07::7", "10.17.0.7", "fd08::8", "fd0f::f"
FRAMED6, FRAMED4 = "fd09::9", "10.19.0.9"
LUCKY = "fd01:0:5000::1"
LAST, B = "fd02::a", "fd02::b"  # no address that looks like a TCP header
SEGMENT, SIZE = 1000, 5500
DATA = bytes(range(251)) * 261
LONGEST, MORE = 0xFFFF - 14, 80  # of the packets that a device takes, and what a program adds
PSH_ACK, ACK = 0x18, 0x10
NEEDS_CSUM, TCPV4, TCPV6, UDP_L4 = 1, 1, 4, 5
PATH = ["fd02:0:5000::77", "fd03::9"]
POLICY = p.srh(0, PATH, 1)
LOST = [], (0, 0, 1)
DEFECTS = {"End.B6.Encaps": "B8", "End.DX2 of IPv6": "B26", "End.DX2 of IPv4": "B26"}

ROUTES = f"""
route add fd07::/16 encap seg6 mode encap segs {SID} dev dum0
route add fd09::/16 encap seg6 mode l2encap segs {SID} dev dum0
route add fd08::/16 encap seg6 mode encap segs {SID},{A} dev dum0
route add fd07::/16 via fdff:3::1 dev alt0 table 100
route add fd08::/16 via fdff:3::1 dev alt0 table 100
route add fd07::/16 via fdff:4::1 dev ve0 table 200
"""
ROUTES4 = f"""
route add 10.17.0.0/16 encap seg6 mode encap segs {SID} dev dum0
route add 10.19.0.0/16 encap seg6 mode l2encap segs {SID} dev dum0
route add 10.17.0.0/16 via 10.4.0.1 dev ve0 table 200
"""


@dataclass
class Flow:
    """A SID and a TCP packet to it: how the packet is built from a segment, and what becomes of that packet."""

    NUMBER, HEADER_LEN, CHECKSUM = p.TCP, 20, 16
    TYPES = TCPV4, TCPV6

    name: str
    attributes: tuple
    final: str
    build: Callable
    after: Callable
    label: str
    outer: int = 0
    size: int = SIZE
    src: str = ""

    def source(self):
        """The address that the packet is from."""
        return self.src or (p.SRC if ":" in self.final else p.SRC4)

    def packet(self, offset=0, size=None, flags=PSH_ACK, number=0):
        """The packet that carries a part of the data, or all of it."""
        data = DATA[offset:min(offset + (size or self.size), self.size)]
        return self.build(p.summed(self.NUMBER, self.source(), self.final, self.segment(data, offset, flags)), number)

    @staticmethod
    def segment(data, offset, flags):
        """A segment without its checksum."""
        return p.tcp(data, seq=1 + offset, flags=flags)

    def super_packet(self):
        """The packet with all data, whose checksum is not made yet."""
        return self.unsummed(self.packet())

    def unsummed(self, packet):
        """A packet with the checksum of the pseudo header instead of its own."""
        pseudo = p.addr(self.source()) + p.addr(self.final)
        total = ~p.checksum(pseudo + struct.pack("!II", len(packet) - self.start(), self.NUMBER)) & 0xFFFF
        return p.edit(packet, self.start() + self.CHECKSUM, struct.pack("!H", total))

    def start(self):
        """Where the transport header is."""
        return len(self.packet()) - self.size - self.HEADER_LEN

    def segments(self):
        """The packets that carry the data in segments."""
        for number, offset in enumerate(range(0, self.size, SEGMENT)):
            flags = PSH_ACK if offset + SEGMENT >= self.size else ACK
            yield self.packet(offset, SEGMENT, flags, number)

    def outcome(self, packets):
        """What comes out if the SID gets these packets, and its counters."""
        return [(self.label, self.after(packet)) for packet in packets], (1, self.outer + len(self.packet()), 0)


class Datagrams(Flow):
    """The same for UDP: each segment is a datagram."""

    NUMBER, HEADER_LEN, CHECKSUM = p.UDP, 8, 6
    TYPES = UDP_L4, UDP_L4

    @staticmethod
    def segment(data, offset, flags):
        """A datagram without its checksum."""
        return p.udp(data)


def transmit(net, flow):
    """Sends the super-packet."""
    packet = flow.super_packet()
    kind = flow.TYPES[packet[0] >> 4 == 6]
    start = 14 + flow.start()
    head = struct.pack("=BBHHHH", NEEDS_CSUM, kind, start + flow.HEADER_LEN, SEGMENT, start, flow.CHECKSUM)
    net.tx_paged.send(head + framed(packet))


def through(net, flow):
    """What comes out for the super-packet, and the counters."""
    with net.installed(*flow.attributes, dst=SID):
        transmit(net, flow)
        return net.collect(), net.rtnl.get_counters(SID)


@contextlib.contextmanager
def without(*offloads):
    """A context in which the devices of the router lack some offloads."""
    def switch(state):
        """Switches the offloads on or off."""
        for device in ("out0", "alt0", "ve0", "l2"):
            command("ethtool", "-K", device, *(word for offload in offloads for word in (offload, state)))

    switch("off")
    try:
        yield
    finally:
        switch("on")


def under(context, run, *arguments):
    """What a function returns in a context."""
    with context():
        return run(*arguments)


def whole(flow):
    """A super-packet that nobody has cut."""
    return [flow.super_packet()]


# How a super-packet leaves: (name, context, the packets that it is then).
TITLES = {Flow: "the super-packet leaves", Datagrams: "datagrams leave"}
NO_OFFLOAD, NO_TUNNELS = partial(without, "tx", "tso"), partial(without, "tx-ipxip6-segmentation")
WAYS = ("whole", contextlib.nullcontext, whole), ("in segments", NO_OFFLOAD, Flow.segments)


def routed(left, number):
    """How to build a packet with an SRH."""
    return lambda rest, *_: p.ip6(p.RH, [A, SID][left], p.srh(number, [A, SID], left) + rest,
                                  src=p.TUNNEL_SRC if number == p.IPV6 else p.SRC)


def policies():
    """The behaviors that leave the packet an SRH: (name, attributes, what they make of a packet, neighbor).

    What they make is a function of how to build the packet, with the segments that are left, and of its payload.
    """
    header = nl.attr(nl.SRH, POLICY)
    yield "End", (nl.u32(nl.ACTION, nl.END),), lambda build, rest: p.hop(build(0)(rest)), OUT
    yield ("End.B6", (nl.u32(nl.ACTION, nl.END_B6), header),
           lambda build, rest: p.hop(p.inline(build(1)(rest), PATH, 1)), ALT)
    yield ("End.B6.Encaps", (nl.u32(nl.ACTION, nl.END_B6_ENCAP), header),
           lambda build, rest: p.hop(p.encapsulated(build(0)(rest), PATH, 1)), ALT)


def flows(net, kind):
    """Flows for each behavior."""
    number = kind.NUMBER
    build = partial(routed, number=number)
    yield kind("End with PSP", (nl.u32(nl.ACTION, nl.END), nl.flavors(nl.PSP)), A, build(1),
               lambda packet: p.ip6(number, A, packet[80:], hlim=63), OUT)
    for name, attributes, make, label in policies():
        yield kind(name, attributes, A, build(1), lambda packet, make=make: make(build, packet[80:]), label)
        yield kind(f"{name}, in a tunnel", attributes, TUNNELED, lambda segment, _: p.ip6(number, TUNNELED, segment),
                   lambda packet, make=make: make(partial(routed, number=p.IPV6), packet), label, 80)
    attributes = {behavior.name: behavior.attributes for behavior in net.decapsulations()}
    attributes["End.DX4"] = nl.u32(nl.ACTION, nl.END_DX4), nl.attr(nl.NH4, p.addr("10.13.0.1"))
    attributes["End.DX6"] = nl.u32(nl.ACTION, nl.END_DX6), nl.addr6(nl.NH6, "fd03::1")
    for behavior in net.decapsulations():
        label = CUST if behavior.label == CUST else ALT
        if behavior.number == p.IPV4:
            yield kind(behavior.name, attributes[behavior.name], INNER4,
                       lambda segment, nth: p.ip4(number, INNER4, segment, ident=0x1234 + nth), p.hop, label, 64)
        elif behavior.number == p.IPV6:
            yield kind(behavior.name, attributes[behavior.name], INNER6,
                       lambda segment, _: p.ip6(number, INNER6, segment), p.hop, label, 64)
        else:
            yield kind("End.DX2 of IPv6", behavior.attributes, FRAMED6,
                       lambda segment, _: p.ip6(number, FRAMED6, segment), framed, WIRE, 78)
            yield kind("End.DX2 of IPv4", behavior.attributes, FRAMED4,
                       lambda segment, nth: p.ip4(number, FRAMED4, segment, ident=0x1234 + nth), framed, WIRE, 78)


def scripted(net, script, flow, call, verdict=ebpf.OK):
    """What comes out for the super-packet if a program makes a call on it, the counters, and what the call returns."""
    script.write([call], (verdict,))
    return *through(net, flow), script.results(1)


def pushed(net, script, flow):
    """What comes out if an LWT_IN program pushes an SRH onto the super-packet, and what the helper returns."""
    script.write([s.push_encap(SEG6, POLICY)], (ebpf.OK,))
    with Installed(net, lwt_bpf(net, script.lwt_in, f"{flow.final}/128", "fdff:2::1")):
        transmit(net, flow)
        return net.collect(), script.results(1)


def add_helpers(suite, net, script, kind):
    """Helpers of End.BPF that put headers on a super-packet, or take them off.

    C takes the IPv6 header that End.DT6 leaves for that of TCP, and drops the packet. If it looks like one, because of
    the source address, or if it is for UDP, the packet is still cut as one in a tunnel.
    """
    attributes, title = end_bpf(script.seg6local), TITLES[kind]
    build = partial(routed, number=kind.NUMBER)
    encaps = kind("End.BPF with End.B6.Encaps", attributes, A, build(1),
                  lambda packet: p.hop(p.encapsulated(build(0)(packet[80:]), PATH, 1)), ALT)
    opened, lucky = (kind("End.BPF with End.DT6", attributes, TUNNELED,
                          lambda segment, _, src=src: p.ip6(kind.NUMBER, TUNNELED, segment, src=src), p.hop, ALT, 80,
                          src=src) for src in (p.SRC, LUCKY))

    def add(flow, way, known, *call):
        """Adds a case: a call on a super-packet."""
        how, context, packets = way
        suite.add(f"{flow.name}: {title} {how}",
                  partial(under, context, scripted, net, script, flow, *call), (*flow.outcome(packets(flow)), [0]),
                  known)

    open_ = s.action(nl.END_DT6, TABLE[100]), ebpf.REDIRECT
    for way in WAYS:
        add(encaps, way, ("B8", (*LOST, [0])), s.action(nl.END_B6_ENCAP, POLICY))
        add(opened, way, ("B12", (*LOST, [0])) if kind is Flow else None, *open_)
    add(lucky, ("whole, also from devices that cut no tunnels", NO_TUNNELS, whole),
        ("B12", (*lucky.outcome(map(lucky.unsummed, lucky.segments())), [0])), *open_)


def add_push(suite, net, script, kind):
    """The helper of LWT_IN that puts headers on a super-packet."""
    flow = kind("push_encap of LWT_IN", (), PUSHED, lambda segment, _: p.ip6(kind.NUMBER, PUSHED, segment),
                lambda packet: p.hop(p.encapsulated(packet, PATH, 1)), ALT)
    for how, context, packets in WAYS:
        suite.add(f"{flow.name}: {TITLES[kind]} {how}", partial(under, context, pushed, net, script, flow),
                  (flow.outcome(packets(flow))[0], [0]), ("B8", ([], [0])))


def add_routed(suite, net):
    """B45: what a router, or End, forwards if the first segment does not look like a TCP header."""
    for name, attributes in (("no SID", None), ("End", (nl.u32(nl.ACTION, nl.END),))):
        dst = SID if attributes else B

        def build(rest, *_, dst=dst):
            """A packet with an SRH."""
            return p.ip6(p.RH, dst, p.srh(p.TCP, [LAST, dst], 1) + rest)

        def after(packet, attributes=attributes):
            """The packet when it is forwarded, to the next segment if that is what the SID does."""
            return p.hop(p.edit(p.edit(packet, 43, b"\0"), 24, p.addr(LAST)) if attributes else packet)

        flow = Flow(name, attributes, LAST, build, after, OUT)
        for how, context, packets in WAYS:
            run, want, lost = through, flow.outcome(packets(flow)), LOST
            if not attributes:
                run, want, lost = forwarded, want[0], []
            suite.add(f"{name}, an address in front of TCP: {TITLES[Flow]} {how}",
                      partial(under, context, run, net, flow), want, ("B45", lost))


def forwarded(net, flow):
    """What comes out for the super-packet without a SID."""
    transmit(net, flow)
    return net.collect()


def is_left(want, *arguments):
    """Whether the packet is as before after a program has failed to push an SRH."""
    return scripted(*arguments) == want


def add_failed_push(suite, net, script):
    """A program that tries to push an SRH, fails and lets the packet go on."""
    _, header, code = next(p.unsigned_srhs())
    build = partial(routed, number=p.TCP)
    flow = Flow("End.BPF", end_bpf(script.seg6local), A, build(1), lambda packet: p.hop(build(0)(packet[80:])), OUT)
    for how, context, packets in WAYS:
        want = *flow.outcome(packets(flow)), [-code]
        suite.add(f"End.BPF with an End.B6.Encaps that fails: the super-packet leaves {how}",
                  partial(under, context, is_left, want, net, script, flow, s.action(nl.END_B6_ENCAP, header)), True,
                  ("B24", False))


def add_growth(suite, net, script):
    """A program that grows a super-packet to more than its header can say, as that of each segment still can."""
    flow = Flow("End.BPF", end_bpf(script.seg6local), A, routed(1, p.TCP),
                lambda packet: p.hop(p.ip6(p.RH, A, p.srh(p.TCP, [A, SID], 0, bytes(MORE)) + packet[80:])), OUT,
                size=LONGEST - 80 - 20)
    suite.add("End.BPF: a super-packet grows to more than 65535 bytes",
              partial(under, NO_OFFLOAD, scripted, net, script, flow, s.adjust_srh(80, MORE)),
              (*flow.outcome(flow.segments()), [0]), ("B43", (*LOST, [0])))


def lying(net, tap):
    """What comes out for a super-packet of which only the first headers are linear, as the last of them is TCP's, so it
    says. That is behind 2048 bytes of options.

    It is larger than the MTU, so that the stack reads the TCP header before it finds out.
    """
    options = p.option(p.TCP, 2048)
    packet = p.ip6(p.RH, SID, p.srh(p.DSTOPT, [A, SID], 1) + options + p.tcp(DATA[:13000]))
    start = 14 + 40
    head = struct.pack("=BBHHHH", NEEDS_CSUM, TCPV6, start + 20, SEGMENT, start, 16)
    with net.installed(nl.u32(nl.ACTION, nl.END_B6_ENCAP), nl.attr(nl.SRH, POLICY), dst=SID):
        os.write(tap, head + framed(packet))
        return net.collect(), net.rtnl.get_counters(SID)


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Edge()
    suite = net.suite()
    set_tunnel_source()
    ip_batch(ROUTES)
    ip_batch(ROUTES4, "-4")
    for kind, title in TITLES.items():
        for flow in flows(net, kind):
            lost = flow.name in DEFECTS and (DEFECTS[flow.name], LOST)
            for how, context, packets in WAYS:
                suite.add(f"{flow.name}: {title} {how}", partial(under, context, through, net, flow),
                          flow.outcome(packets(flow)), lost)
        add_helpers(suite, net, script, kind)
        add_push(suite, net, script, kind)
    add_routed(suite, net)
    add_failed_push(suite, net, script)
    add_growth(suite, net, script)
    suite.add("End.B6.Encaps: a super-packet that lies about its TCP header is dropped",
              partial(lying, net, open_tap()), LOST)
    suite.main()


if __name__ == "__main__":
    main()
