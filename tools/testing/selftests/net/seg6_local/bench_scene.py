# SPDX-License-Identifier: GPL-2.0-or-later
"""Routers to measure in, and packets that the kernel makes for itself.

    in0, where the packets come from          the router          out0 -> fdff:2::1, 10.2.0.1
                                                                  ve0  -> fdff:4::1, 10.4.0.1, routes of table 200

The devices are of the type dummy, which takes what is sent and frees it. Neighbors are static.
"""

import math
import os
import socket
import struct
import time

import ebpf
import lib
import netlink as nl
import packet as p
from topology import ROUTER_MAC, command, framed, ip, ip_batch, new_namespace, set_tunnel_source, sysctl

DEEP = "fd07:a5a5:5a5a:c3c3:3c3c:9669:6996:1e00"
LIVE_FRAMES = 2
FRAME = struct.Struct("=6I")
SEGMENT = 1000

ROUTER = f"""
link set lo up
link add in0 address {ROUTER_MAC.hex(":")} type dummy
link add out0 type dummy
link add ve0 type dummy
link set in0 addrgenmode none up
link set out0 addrgenmode none up
link set ve0 addrgenmode none up
addr add fd01::fe/64 dev in0 nodad
addr add fdff:2::fe/64 dev out0 nodad
addr add fdff:4::fe/64 dev ve0 nodad
route add fd02::/16 via fdff:2::1 dev out0
route add fd03::/16 via fdff:2::1 dev out0
route add fc00::/32 via fdff:2::1 dev out0
route add fd02::/16 via fdff:2::1 dev out0 table 100
route add fd04::/16 via fdff:4::1 dev ve0 table 200
"""
ROUTER4 = """
addr add 10.1.0.254/24 dev in0
addr add 10.2.0.254/24 dev out0
addr add 10.4.0.254/24 dev ve0
route add 10.12.0.0/16 via 10.2.0.1 dev out0
route add 10.14.0.0/16 via 10.4.0.1 dev ve0 table 200
"""
NEIGHBORS = {"-6": (("fdff:4::1", "ve0"), ("fdff:2::1", "out0")), "-4": (("10.4.0.1", "ve0"), ("10.2.0.1", "out0"))}
VETH = f"""
link del in0
link add in0 address {ROUTER_MAC.hex(":")} type veth peer name src0
link set src0 addrgenmode none up
link set in0 addrgenmode none up
"""
VRF = """
link add red type vrf table 200
link set red up
"""
LOCAL_RULE = """
rule add pref 32765 table local
rule del pref 0
"""


def nested(number):
    """So many prefixes, of which 1, 60 (of 1,000) or 100 (of 100,000) hold the address DEEP, each the next one; the
    others branch off from these.
    """
    deep = int.from_bytes(p.addr(DEEP), "big")
    levels = max(1, round(20 * math.log10(number)))
    for index in range(number):
        branch, level = divmod(index, levels)
        length = 17 + level
        prefix = deep >> 128 - length
        if branch:  # the next bit is another one, and the next 11 tell the branches of this level apart
            prefix, length = ((prefix << 1 | ~deep >> 127 - length & 1) << 11) | branch, length + 12
        yield f"{p.text((prefix << 128 - length).to_bytes(16, 'big'))}/{length}"


class Scene:
    """A router in a network namespace of its own; its name tells what is special about it."""

    KINDS = {
        "": lambda _: None,
        "VRF": lambda self: self.add_vrf(""),
        "VRF, rule local moved": lambda self: self.add_vrf(LOCAL_RULE),
        "GRO": lambda self: self.add_veth(),
        "custom rule": lambda self: ip("-6", "rule", "add", "fwmark", "7", "table", "100"),
        "1 route": lambda self: self.add_table(1),
        "1,000 routes": lambda self: self.add_table(1000),
        "100,000 routes": lambda self: self.add_table(100000),
    }

    def __init__(self, kind):
        self.namespace = new_namespace()
        for knob in ("all/forwarding", "default/forwarding"):
            sysctl("net/ipv6/conf/" + knob, 1)
        sysctl("net/ipv6/conf/default/accept_dad", 0)
        sysctl("net/ipv6/conf/default/mldv2_unsolicited_report_interval", 1)
        sysctl("net/ipv6/auto_flowlabels", 0)
        sysctl("net/ipv4/ip_forward", 1)
        ip_batch(ROUTER)
        ip_batch(ROUTER4, "-4")
        set_tunnel_source()
        self.rtnl = nl.Rtnl()
        self.KINDS[kind](self)
        self.devices = {name: number for number, name in socket.if_nameindex()}
        time.sleep(2)  # until multicast groups have been reported

    def add_vrf(self, rules):
        """Makes table 200 that of a VRF, which has ve0."""
        ip_batch(VRF + rules)
        ip("link", "set", "ve0", "master", "red")
        ip("-6", "addr", "replace", "fdff:4::fe/64", "dev", "ve0", "nodad")
        ip("-6", "route", "replace", "fd04::/16", "via", "fdff:4::1", "dev", "ve0", "table", "200")
        ip("-4", "route", "replace", "10.14.0.0/16", "via", "10.4.0.1", "dev", "ve0", "table", "200")
        sysctl("net/vrf/strict_mode", 1)

    def add_veth(self):
        """Makes in0 a device that merges segments of TCP."""
        ip_batch(VETH)
        command("ethtool", "-K", "in0", "gro", "on")

    def add_table(self, number):
        """Adds routes to the main table."""
        via = nl.u32(nl.RTA_OIF, socket.if_nametoindex("out0")), nl.addr6(nl.RTA_GATEWAY, "fdff:2::1")
        routes = list(nested(number))
        for start in range(0, number, 100):
            results = self.rtnl.flood(nl.RTM_NEWROUTE, [nl.route(dst, *via) for dst in routes[start:start + 100]],
                                      nl.F_CREATE | nl.F_EXCL)
            lib.equal(results, {(0, None)}, "adding routes")

    def enter(self):
        """Makes this the namespace of the process, with its neighbors at the heads of their hash chains."""
        os.setns(self.namespace, os.CLONE_NEWNET)
        for family, neighbors in NEIGHBORS.items():
            ip_batch("".join(
                f"neigh replace {address} lladdr 02:00:00:00:01:02 dev {device} nud permanent\n"
                f"neigh del {address} dev {device}\n"
                f"neigh add {address} lladdr 02:00:00:00:01:02 dev {device} nud permanent\n"
                for address, device in neighbors), family)

    def sent(self):
        """Packets and bytes that have left the router."""
        with open("/proc/thread-self/net/dev", encoding="ascii") as devices:
            lines = [line.split() for line in devices]
        words = [line for line in lines if line[0] in ("out0:", "ve0:")]
        return sum(int(line[10]) for line in words), sum(int(line[9]) for line in words)


class Source:
    """Packets that the kernel makes, by a BPF program, and passes to the network stack as if in0 had received them."""

    def __init__(self):
        self.objects = [self.loaded(compiled) for compiled in (0, 1)]
        self.map = self.objects[1].map("frame_map")

    @staticmethod
    def loaded(compiled):
        """The programs, compiled or to be interpreted, as all are in User Mode Linux."""
        if os.path.exists("/proc/sys/net/core/bpf_jit_enable"):
            sysctl("net/core/bpf_jit_enable", compiled)
        return ebpf.Object("bench.bpf.o")

    def program(self, name, compiled=1):
        """The file descriptor of a program."""
        return self.objects[compiled].program(name)

    def packets(self, scene, packet, changes, values, count):
        """A system call that has in0 receive so many packets: a function that returns 0 or -errno.

        The two bytes at offset `changes` have so many values, a power of two, one after the other.
        """
        frame = framed(packet)
        self.map.write(FRAME.pack(len(frame), 14 + changes, values - 1, 0, 0, 0) + frame)
        return self.sending("make_packet", frame, scene, count)

    def segments(self, scene, packet, tcp, count):
        """The same for segments of TCP, with SEGMENT bytes each that src0 transmits; `tcp` is where their header is."""
        frame = framed(packet)
        self.map.write(FRAME.pack(len(frame), 14 + tcp + 4, SEGMENT, 0, scene.devices["src0"], 14 + tcp + 20) + frame)
        return self.sending("make_segment", frame, scene, count)

    def sending(self, name, frame, scene, count):
        """A system call that runs a program on so many frames."""
        context = ebpf.Pointer(struct.pack("=6I", 0, len(frame), 0, scene.devices["in0"], 0, 0))
        data = ebpf.Pointer(frame)
        return lambda: ebpf.bpf(ebpf.TEST_RUN, "IIIIQQIIIIQQIII", self.program(name), 0, len(frame), 0, data, 0, count,
                                0, 24, 0, context, 0, LIVE_FRAMES, 0, 0)[0]


def spread_neighbors():
    """Makes the kernel's tables of neighbors so large that hardly two share a hash chain, which is a matter of luck."""
    new_namespace()
    ip_batch("link add in0 type dummy\nlink set in0 up\n")
    for family, address in (("-6", "fd01::{}:{}"), ("-4", "10.1.{}.{}")):
        addresses = (address.format(*divmod(number, 100)) for number in range(900))
        ip_batch("".join(f"neigh add {address} lladdr {ROUTER_MAC.hex(':')} dev in0 nud permanent\n"
                         for address in addresses), family)
    ip("link", "del", "in0")
