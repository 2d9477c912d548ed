# SPDX-License-Identifier: GPL-2.0-or-later
"""SIDs that can be changed while packets run through them, and all that may come out then.

The router of edge.py, in which some things come and go: dum1, a device of SIDs; l2, with what is connected to it; blue,
a VRF whose table stays; and a network namespace behind ns0 with SIDs of its own.

      in0 ... out0, alt0, red as in edge.py      blue: table 201, with routes through ve0

                      l2  <------>  wire0                       ns0  <------>  up0
                 fdff:9::fe         fdff:9::1              fdff:8::fe         fdff:8::1, SIDs fcfe::1 ...
"""

import contextlib
import os
from dataclasses import dataclass, field

import ebpf
import netlink as nl
import packet as p
from edge import VRF_TABLE, WIRE_MTU, Edge
from generate_program import Call
from lwt_in import SEG6, SEG6_INLINE
from nexthops import populate, samples
from topology import ALT, LABELS, LINK, MTU, OUT, enter, ip, ip_batch, neighbor, new_namespace, sysctl

A = "fd02::a"
BLUE = VRF_TABLE + 1
FAR, FAR_NUMBER = "behind l2", 9
LABELS[bytes((2, 0, 0, 0, 1, FAR_NUMBER))] = FAR
SIZES = (p.PAYLOAD, bytes(range(256)) * 18)
PATH = ["fd02::77", "fd03::9"]
END_OF_SRH = 40 + 8 + 32
PUSHED_TO = "fd08::1"

LEAK6 = """
route add fd04::/16 via fdff:4::1 dev ve0 table 201
route add fd01::/16 via fdff:4::2 dev ve0 table 201
"""
LEAK4 = """
route add 10.14.0.0/16 via 10.4.0.1 dev ve0 table 201
route add 10.1.0.0/16 via 10.4.0.2 dev ve0 table 201
"""
DUM1 = """
link add dum1 index 101 type dummy
link set dum1 addrgenmode none up
"""
VRF = """
link add blue index 102 type vrf table 201
link set blue up
"""
PORT = """
addr add fdff:9::fe/64 dev l2 nodad
"""
INNER = """
link set lo up
link add up0 address 02:00:00:00:00:03 mtu {mtu} type veth \
    peer name ns0 address 02:00:00:00:00:01 mtu {mtu} netns {router}
link set up0 addrgenmode none
link set up0 up
addr add fdff:8::1/64 dev up0 nodad
neigh replace fdff:8::fe lladdr 02:00:00:00:00:01 dev up0 nud permanent
route add default via fdff:8::fe dev up0
"""
OUTER = """
link set ns0 addrgenmode none
link set ns0 up
addr add fdff:8::fe/64 dev ns0 nodad
neigh replace fdff:8::1 lladdr 02:00:00:00:00:03 dev ns0 nud permanent
route add fcfe::/16 via fdff:8::1 dev ns0
"""


@dataclass
class Choice:
    """Something that may be installed: attributes of seg6local, or a program of End.BPF or LWT_IN."""

    name: str
    attributes: bytes = b""
    calls: list = field(default_factory=list)
    verdict: int = ebpf.OK

    @contextlib.contextmanager
    def loaded(self, kind):
        """A context with the program, a new one each time; it drops the packet if a call fails."""
        code = ebpf.copy(6, 1)
        for call in self.calls:
            code += [*call.code(), ebpf.jump_if_not_negative(2), *ebpf.mov(0, ebpf.DROP), *ebpf.EXIT]
        fd = ebpf.load_program([*code, *ebpf.mov(0, self.verdict), *ebpf.EXIT], kind)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def data(self):
        """A context with the attributes of a SID."""
        if self.attributes:
            yield self.attributes
            return
        with self.loaded(ebpf.TYPE_LWT_SEG6LOCAL) as fd:
            yield nl.u32(nl.ACTION, nl.END_BPF) + nl.bpf(fd)


def programs(sid, data):
    """Programs of End.BPF: (choice, packet, what comes out)."""
    packet, advanced = p.sr(sid, [A, sid], 1, p.udp(data)), p.sr(A, [A, sid], 0, p.udp(data))
    for tlv in (p.tlv(200, b"violet"), p.tlv(201, bytes(range(22)))):
        grown = p.sr(A, [A, sid], 0, p.udp(data), tlvs=tlv, hlim=63)
        yield (Choice(f"End.BPF adds {len(tlv)} bytes", calls=[Call(ebpf.ADJUST_SRH, END_OF_SRH, delta=len(tlv)),
                                                               Call(ebpf.STORE_BYTES, END_OF_SRH, tlv)]),
               packet, [(OUT, grown)])
    header = p.srh(0, PATH, 1)
    for name, action, param, out in (
            ("End.X", nl.END_X, p.addr("fd03::1"), advanced),
            ("End.B6.Encaps", nl.END_B6_ENCAP, header, p.encapsulated(advanced, PATH, 1))):
        yield (Choice(f"End.BPF calls {name}", calls=[Call(ebpf.ACTION, action, param)], verdict=ebpf.REDIRECT),
               packet, [(ALT, p.hop(out))])


def choices(net, sid, data):
    """What may be installed at a SID: (choice, packet, what comes out)."""
    for name, attributes, packet, out in samples(net, sid, data, BLUE):
        yield Choice(name, attributes), packet, out
    far = nl.u32(nl.ACTION, nl.END_X) + nl.addr6(nl.NH6, "fdff:9::1") + nl.u32(nl.OIF, net.devices["l2"])
    yield (Choice("End.X behind l2", far), p.sr(sid, [A, sid], 1, p.udp(data)),
           [(FAR, p.sr(A, [A, sid], 0, p.udp(data), hlim=63))])
    yield from programs(sid, data)


class Target:
    """A SID that gets packets for its own behavior; `choices` may be installed there, and `right` may come out then."""

    def __init__(self, net, number):
        self.address = f"fcff::{number + 1:x}"
        self.packets, self.right = [], {}
        for data in SIZES:
            rows = list(choices(net, self.address, data))
            self.packets.append(rows[number][1])
            self.right.update({found: choice.name for choice, packet, out in [*rows, rows[number]]
                               if packet == self.packets[-1] for found in out})
        self.own = rows[number][0]
        self.choices = [choice for choice, packet, _ in rows if packet == rows[0][1]] + [self.own]


class Scene(Edge):
    """The topology, its SIDs and its packets."""

    def __init__(self):
        super().__init__()
        self.targets = [Target(self, number) for number in range(len(list(choices(self, "::", b""))))]
        self.packets = [packet for target in self.targets for packet in target.packets]
        self.right = {found: name for target in self.targets for found, name in target.right.items()}
        self.pushes = [Choice(f"LWT_IN type {kind}", calls=[Call(ebpf.PUSH_ENCAP, kind, p.srh(0, PATH, 1))])
                       for kind in (SEG6, SEG6_INLINE)] + [Choice("LWT_IN")]
        for data in SIZES:
            self.add_push(p.ip6(p.UDP, PUSHED_TO, p.udp(data)))
            self.add_namespace(data)
        self.stages = {self.stage(packet) for packet in [*self.packets, *(packet for _, packet in self.right)]}
        self.devices.update(dum1=101, blue=102)

    def set_up_router(self):
        """Adds what comes and goes, and the routes of the VRF."""
        super().set_up_router()
        ip_batch(LEAK6 + DUM1 + VRF + PORT + neighbor("fdff:9::1", FAR_NUMBER, "l2"))
        ip_batch(LEAK4, "-4")

    def add_push(self, packet):
        """A packet of the route with an LWT_IN program."""
        self.packets.append(packet)
        self.right.update({(OUT, p.hop(packet)): "LWT_IN", (ALT, p.hop(p.encapsulated(packet, PATH, 1))): "LWT_IN SEG6",
                           (ALT, p.hop(p.inline(packet, PATH, 1))): "LWT_IN SEG6_INLINE"})

    def add_namespace(self, data):
        """Packets through SIDs of the namespace, as nexthops.py numbers them, and the router again."""
        count = len(list(samples(self)))
        for number, name in ((1, "End"), (2, "End with PSP"), (count + 1, "End.BPF")):
            sid = f"fcfe::{number}"
            self.packets.append(p.sr(sid, [A, sid], 1, p.udp(data)))
            out = p.sr(A, [A, sid], 0, p.udp(data)) if number != 2 else p.ip6(p.UDP, A, p.udp(data))
            self.right[OUT, p.hop(out, 3)] = f"{name} in the namespace"

    def create(self, device):
        """Creates one of the devices that come and go."""
        if device == "l2":
            link = LINK.format(near="l2", far="wire0", mtu=WIRE_MTU, outside=f"/proc/{os.getpid()}/fd/{self.outside}")
            ip_batch(link.replace("add l2", f"add l2 index {self.devices['l2']}", 1) + PORT
                     + neighbor("fdff:9::1", FAR_NUMBER, "l2"))
            enter(self.outside)
            try:
                ip("link", "set", "wire0", "up")
            finally:
                enter(self.router)
        else:
            ip_batch({"dum1": DUM1, "blue": VRF}[device])

    def install(self):
        """Installs each SID with its own behavior."""
        for target in self.targets:
            with target.own.data() as data:
                self.rtnl.add(self.sid(data, dst=target.address))

    def flush(self):
        """Removes all SIDs."""
        ip("nexthop", "flush")
        for target in self.targets:
            self.rtnl.delete(nl.route(f"{target.address}/128"))

    @contextlib.contextmanager
    def namespace(self):
        """A context with the network namespace; at its end it goes with all that it has."""
        fds = []
        try:
            fds += [ebpf.load_program(ebpf.returning(ebpf.OK))]
            fds += [new_namespace()]
            for knob, value in (("ipv6/conf/all/forwarding", 1), ("ipv6/icmp/ratelimit", 0),
                                ("ipv6/auto_flowlabels", 0), ("vrf/strict_mode", 1)):
                sysctl("net/" + knob, value)
            ip_batch(INNER.format(mtu=MTU, router=f"/proc/{os.getpid()}/fd/{self.router}"))
            populate(self, fds[0], "fcfe::")
            enter(self.router)
            ip_batch(OUTER)
            yield
        finally:
            enter(self.router)
            for fd in fds:
                os.close(fd)

    @staticmethod
    def stage(packet):
        """A packet as an ICMPv6 error quotes it, wherever it got lost: without its hop limit."""
        return p.edit(packet[:1280 - 48], 7, b"\0")

    def is_error(self, packet):
        """Whether a packet tells the source of one of our packets that there is no way for it."""
        if packet[0] >> 4 != 6 or packet[6] != p.ICMP6 or packet[40] != 1 or packet[41] not in (0, 3):
            return False
        quoted, ends = packet[48:], (p.text(packet[8:24]), p.text(packet[24:40]))
        return self.stage(quoted) in self.stages and quoted[8:24] == packet[24:40] and \
            p.summed(p.ICMP6, *ends, p.edit(packet[40:], 2, bytes(2))) == packet[40:]

    def judge(self, label, packet):
        """What has made a packet that came out; None if nothing can have made it."""
        return self.right.get((label, packet)) or ("an error" if self.is_error(packet) else None)
