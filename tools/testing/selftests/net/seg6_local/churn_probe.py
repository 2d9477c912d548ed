# SPDX-License-Identifier: GPL-2.0-or-later
"""What is sent: packets through SIDs, and for each the packet that the stack alone has to send the same way.

The stack looks up a packet to a target itself, without a SID. Packets through SIDs whose next hop is the target, from
the same source and the same device, have to come out at the same neighbor, or to lead to the same error: those that
only lose their SID byte for byte the same. Where the stack has no such lookup, of End.T for example, the same packet
goes through the SID again when no lookup may rely on an earlier one.
"""

import contextlib
import os
import struct
from dataclasses import dataclass

import churn_net as net
import ebpf
import lib
import netlink as nl
import packet as p
from churn_wire import payload
from generate_program import Call
from scene import Choice

OTHER, LAST = "fd77::1", "fd78::1"
SMALL, BIG = 32, 1230  # with headers and without more than the smallest MTU, or less than that
END, END_X, END_T, END_DX6, END_DT6, END_B6, END_B6_ENCAP = (
    nl.u32(nl.ACTION, action) for action in (nl.END, nl.END_X, nl.END_T, nl.END_DX6, nl.END_DT6, nl.END_B6,
                                             nl.END_B6_ENCAP))
CSID = "fcbb:0:f00b::"
# A route that is copied for a next hop has a prefix of 128 bits, which no rule suppresses: fib6_rule_suppress().
STACK, STACK_BUT_RULES, TABLE, AGAIN = "stack", "stack, unless rules suppress prefixes", "stack, in a table", "again"


def plain(target, source, number, size, mark=0):
    """The packet to a target that the stack has to look up."""
    return p.sr(target, [target, LAST], 0, payload(number, size), src=source, flow=mark)


@dataclass
class Behavior:
    """A SID: what is installed, a function that makes its packet, and what decides on where that has to go."""

    name: str
    choice: Choice
    packet: object
    oracle: str = STACK
    is_exact: bool = False
    sources: tuple = net.SOURCES
    targets: tuple = net.TARGETS


@dataclass
class Redirecting(Choice):
    """A program that redirects after its calls, which return an error if there is no way."""

    @contextlib.contextmanager
    def loaded(self, kind):
        """A context with the program."""
        code = sum((made.code() for made in self.calls), ebpf.copy(6, 1))
        fd = ebpf.load_program([*code, *ebpf.mov(0, ebpf.REDIRECT), *ebpf.EXIT], kind)
        try:
            yield fd
        finally:
            os.close(fd)


def call(action, data):
    """A program that calls a helper action."""
    return Redirecting("", calls=[Call(ebpf.ACTION, action, data)])


def behaviors(target, other, devices):
    """All SIDs that lead to a target. Packets to `other` need a next hop that the SID names."""
    def segment(next_segment):
        """Makes packets with another segment left."""
        return lambda sid, source, number, size, mark: p.sr(
            sid, [next_segment, LAST], 1, payload(number, size), src=source, flow=mark)

    def inside(destination, left=0):
        """Makes packets that carry another one."""
        def make(sid, source, number, size, mark):
            inner = plain(destination, source, number, size, mark)
            return p.ip6(p.RH, sid, p.srh(p.IPV6, [other, LAST], left) + inner, src=source, flow=mark)
        return make

    def shifted(_, source, number, size, mark):
        """A packet to a compressed SID."""
        packet, address = plain(target, source, number, size, mark), p.addr(target)
        return p.edit(packet, 24, p.addr(CSID)[:6] + address[4:14])

    nh, table = nl.addr6(nl.NH6, target), nl.u32(nl.TABLE, net.TABLE)
    path = p.srh(0, ["::", target], 1)
    policy, number = nl.attr(nl.SRH, path), struct.pack("=I", net.TABLE)
    yield Behavior("End", Choice("", END), segment(target), is_exact=True)
    yield Behavior("End.BPF", Choice(""), segment(target), is_exact=True)
    yield Behavior("NEXT-C-SID", Choice("", END + nl.flavors(nl.NEXT_CSID, 32, 16)), shifted, is_exact=True,
                   targets=net.TARGETS[:3])
    yield Behavior("End.X", Choice("", END_X + nh), segment(other), STACK_BUT_RULES)
    for device in ("out0", "alt0"):
        yield Behavior(f"End.X by {device}", Choice("", END_X + nh + nl.u32(nl.OIF, devices[device])), segment(other),
                       AGAIN)
    yield Behavior("End.DX6", Choice("", END_DX6 + nl.addr6(nl.NH6, "::")), inside(target), is_exact=True)
    yield Behavior("End.DX6 to a neighbor", Choice("", END_DX6 + nh), inside(other), STACK_BUT_RULES)
    yield Behavior("End.B6", Choice("", END_B6 + policy), segment(other))
    yield Behavior("End.B6.Encaps", Choice("", END_B6_ENCAP + policy), segment(other), sources=net.SOURCES[1:])
    yield Behavior("End.T", Choice("", END_T + table), segment(target), TABLE)
    yield Behavior("End.T of the main table", Choice("", END_T + nl.u32(nl.TABLE, net.MAIN)), segment(target), AGAIN)
    yield Behavior("End.DT6", Choice("", END_DT6 + table), inside(target), TABLE)
    yield Behavior("helper End.X", call(nl.END_X, p.addr(target)), segment(other), STACK_BUT_RULES)
    yield Behavior("helper End.T", call(nl.END_T, number), segment(target), TABLE)
    yield Behavior("helper End.DT6", call(nl.END_DT6, number), inside(target, 1), TABLE)
    yield Behavior("helper End.B6", call(nl.END_B6, path), segment(other))
    yield Behavior("helper End.B6.Encaps", call(nl.END_B6_ENCAP, path), segment(other),
                   sources=net.SOURCES[1:])


@dataclass
class Probe:
    """A packet through a SID; `reference` are (target, source, device, size) of the one to compare with, or None."""

    behavior: Behavior
    sid: str
    target: str
    source: str
    device: str
    size: int
    reference: tuple | None

    def __str__(self):
        """The probe for people."""
        return f"{self.behavior.name} for {self.target} from {self.source} by {self.device}, {self.size}"

    def packet(self, number, mark):
        """The packet with a number."""
        return self.behavior.packet(self.sid, self.source, number, self.size, mark)


class Panel:
    """Some SIDs in a router, and the packets through them."""

    def __init__(self, router, random, count, targets):
        self.router, self.random = router, random
        self.targets = targets
        self.probes = []
        rows = [(target, behavior) for target in targets for behavior in self.choices(target)]
        for index, (target, behavior) in enumerate(random.sample(rows, min(count, len(rows)))):
            size = SMALL if index % 3 else BIG
            self.probes.append(self.probe(behavior, f"fcff:0:{index + 1:x}::1", target, size))
        self.references = list(dict.fromkeys(probe.reference for probe in self.probes if probe.reference))

    def choices(self, target):
        """The SIDs that can lead to a target. Where a hash decides, the next segment is the next hop as well."""
        other = target if self.router.flavor == net.MULTIPATH else OTHER
        return [found for found in behaviors(target, other, self.router.index) if target in found.targets]

    def probe(self, behavior, sid, target, size):
        """A probe of a SID."""
        if behavior.name == "NEXT-C-SID":
            sid = CSID
        source = self.random.choice(behavior.sources)
        device = "in0" if self.router.flavor == net.RULES else self.random.choice(("in0", "in1"))
        reference, has_rules = None, self.router.flavor == net.RULES
        if behavior.oracle == STACK or behavior.oracle == STACK_BUT_RULES and not has_rules:
            reference = target, source, device, size
        elif behavior.oracle == TABLE and has_rules:
            reference = target, source, "in1", size
        return Probe(behavior, sid, target, source, device, size, reference)

    def mark(self, source):
        """Traffic class and flow label of packets from a source."""
        return net.MARKED if self.router.flavor == net.RULES and source == net.SOURCES[1] else 0

    def routes(self):
        """The messages of the SIDs' routes without their attributes, in every table that may be asked."""
        for probe in self.probes:
            length = 48 if probe.sid == CSID else 128
            tables = [net.MAIN] + [net.VRF_TABLE] * (self.router.flavor == net.VRF)
            for table in [*tables, net.TABLE]:
                yield probe, nl.route(f"{probe.sid}/{length}", net.hop(self.router, "dum0"), net.metric(1), table=table)

    def install(self):
        """Installs the SIDs."""
        for probe, message in self.routes():
            with probe.behavior.choice.data() as data:
                encap = nl.encap(nl.ENCAP_SEG6_LOCAL, data)
                lib.equal(self.router.add(message + encap), 0, f"installing {probe}")

    def remove(self):
        """Removes the SIDs."""
        for _, message in self.routes():
            self.router.delete(message)

    def packets(self, first):
        """Packets through all SIDs, the first one with this number: (index of a device, packet)."""
        index, far = self.router.index, self.router.far
        return [(index[far(probe.device)], probe.packet(first + at, self.mark(probe.source)))
                for at, probe in enumerate(self.probes)]

    def reference_packets(self, first):
        """The packets to compare with, the first one with this number."""
        index, far = self.router.index, self.router.far
        return [(index[far(device)], plain(target, source, first + at, size, self.mark(source)))
                for at, (target, source, device, size) in enumerate(self.references)]
