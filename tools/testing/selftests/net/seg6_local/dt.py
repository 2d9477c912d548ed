#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""End.DT4, End.DT6 and End.DT46 (RFC 8986, Sections 4.6 to 4.8): what the VRF sees of the packet inside, where that
goes, and what becomes of a SID whose VRF changes."""

import struct
from functools import partial

import lib
import netlink as nl
import packet as p
from edge import (CUST, CUST2, VE_ADDRESS4, VRF_LOCAL4, VRF_LOCAL6, VRF_MAC, VRF_TABLE, Edge, carried,
                  counted, listening, received, strict_mode)
from topology import ALT, BACK, ETH_P_ALL, IN_ADDRESS, OUT, SID, Traffic, expedite, ip_batch, packet_socket

DT4, DT6, DT46 = (nl.u32(nl.ACTION, action) for action in (nl.END_DT4, nl.END_DT6, nl.END_DT46))
BEHAVIORS = (("End.DT6", DT6, p.IPV6), ("End.DT4", DT4, p.IPV4), ("End.DT46, IPv6", DT46, p.IPV6),
             ("End.DT46, IPv4", DT46, p.IPV4))
DROPPED = [], (0, 0, 1)


def vrf(table=VRF_TABLE):
    """The attribute that names a VRF by its table."""
    return nl.u32(nl.VRFTABLE, table)


def udp(number, dst6, dst4, **fields):
    """A packet for the inside, to one of two addresses."""
    if number == p.IPV4:
        return p.ip4(p.UDP, dst4, p.udp(), **fields)
    return p.ip6(p.UDP, dst6, p.summed(p.UDP, p.SRC, dst6, p.udp()), **fields)


def icmp(number, kinds, inner):
    """An ICMP error about the packet inside, out of the VRF; `kinds` are types and codes for IPv6 and for IPv4."""
    if number == p.IPV4:
        return p.icmp4_error(*kinds[1], inner, VE_ADDRESS4)
    return p.icmp_error(*kinds[0], inner, IN_ADDRESS)


def vrf_counters():
    """Packets and bytes that the VRF has received."""
    with open("/proc/thread-self/net/dev", encoding="ascii") as devices:
        words = next(line.split() for line in devices if line.split()[0] == "red:")
    return int(words[2]), int(words[1])


def seen_by_vrf(net, attributes, inner):
    """What comes out, what a sniffer on the VRF sees, and what the VRF counts."""
    packets, size = vrf_counters()
    with packet_socket("red", ETH_P_ALL) as tap:
        tap.settimeout(10)
        out = net.through(attributes, carried(inner))
        frame = tap.recv(1 << 16)
    now = vrf_counters()
    return *out, frame, (now[0] - packets, now[1] - size)


def delivered(net, attributes, inner, address, device="red"):
    """What a socket in the VRF gets, what comes out, and the counters."""
    with listening(address, device) as sock:
        seen = net.through(attributes, carried(inner))
        return received(sock), *seen


def add_vrf(suite, net, name, action, number):
    """What the VRF does with the packet inside."""
    attributes = action, vrf()
    inner = udp(number, "fd04::7", "10.14.0.7")
    kind = struct.pack("!H", 0x0800 if number == p.IPV4 else 0x86DD)
    suite.add(f"{name}: the VRF receives the packet inside", partial(seen_by_vrf, net, attributes, inner),
              ([(CUST, p.hop(inner))], counted(inner), VRF_MAC + VRF_MAC + kind + inner, (1, len(inner))))
    near = udp(number, "fdff:4::2", "10.4.0.2")
    suite.add(f"{name}: destination on the link", partial(net.through, attributes, carried(near)),
              ([(CUST2, p.hop(near))], counted(near)))
    for what, dst6, dst4 in (("no route", "2001:db8::1", "203.0.113.1"), ("a route in the main table only", "fd02::7",
                                                                          "10.12.0.7")):
        lost = udp(number, dst6, dst4)
        suite.add(f"{name}: {what}", partial(net.through, attributes, carried(lost)),
                  ([(CUST2, icmp(number, ((1, 0), (3, 1)), lost))], counted(lost)))
    expired = udp(number, "fd04::7", "10.14.0.7", **{"ttl" if number == p.IPV4 else "hlim": 1})
    suite.add(f"{name}: hop limit 1: an error", partial(net.through, attributes, carried(expired)),
              ([(CUST2, icmp(number, ((3, 0), (11, 0)), expired))], (0, 0, 1)))
    local, address = udp(number, VRF_LOCAL6, VRF_LOCAL4), VRF_LOCAL4 if number == p.IPV4 else VRF_LOCAL6
    suite.add(f"{name}: delivered to a socket in the VRF", partial(delivered, net, attributes, local, address),
              ([p.PAYLOAD], [], counted(local)))
    suite.add(f"{name}: strict mode is switched off later", partial(without_strict_mode, net, attributes, inner),
              ([(CUST, p.hop(inner))], counted(inner)))
    if number == p.IPV4:
        add_options(suite, net, name, attributes)
    else:
        solicitation = p.ip6(p.ICMP6, "fd04::7", p.summed(p.ICMP6, p.SRC, "fd04::7", b"\x87" + bytes(23)), hlim=255)
        suite.add(f"{name}: neighbor discovery is not for the VRF: dropped",
                  partial(net.through, attributes, carried(solicitation)), DROPPED)


def without_strict_mode(net, attributes, inner):
    """The SID is made in strict mode, which is switched off then."""
    with net.installed(*attributes), strict_mode(0):
        return net.send(carried(inner)), net.rtnl.get_counters(SID)


def add_options(suite, net, name, attributes):
    """B25: C does not look at the options of an IPv4 packet inside."""
    inner = udp(p.IPV4, "", VRF_LOCAL4, options=b"\1\1\1\0")
    suite.add(f"{name}: delivered to a socket in the VRF, with options",
              partial(delivered, net, attributes, inner, VRF_LOCAL4), ([p.PAYLOAD], [], counted(inner)),
              ("B25", ([], [], counted(inner))))
    before, after = (udp(p.IPV4, "", "10.14.0.7", options=bytes((7, 7, 4 * count)) + address + b"\0", ttl=65 - count)
                     for count, address in ((1, bytes(4)), (2, p.addr(VE_ADDRESS4))))
    suite.add(f"{name}: record route: the router adds itself", partial(net.through, attributes, carried(before)),
              ([(CUST, after)], counted(before)), ("B25", ([(CUST, p.hop(before))], counted(before))))


def add_table(suite, net):
    """End.DT6 with a table that is not of a VRF."""
    def table(number):
        """The attributes of a SID with this table."""
        return DT6, nl.u32(nl.TABLE, number)

    def add(name, number, inner, out, counters=None):
        """Adds a case."""
        suite.add(f"End.DT6 table {number}: {name}", partial(net.through, table(number), carried(inner)),
                  (out, counters or counted(inner)))

    inner, lost = udp(p.IPV6, "fd02::7", ""), udp(p.IPV6, "2001:db8::1", "")
    unrouted = [(BACK, p.icmp_error(1, 0, lost, IN_ADDRESS))]
    add("the table chooses", 100, inner, [(ALT, p.hop(inner))])
    add("the main table", 254, inner, [(OUT, p.hop(inner))])
    add("the rules choose", 0, inner, [(OUT, p.hop(inner))])
    add("the table of a VRF", VRF_TABLE, udp(p.IPV6, "fd04::7", ""), [(CUST, p.hop(udp(p.IPV6, "fd04::7", "")))])
    add("a table that is missing", 4711, inner, [])
    for number in (100, 254, 0):
        add("no route", number, lost, unrouted)
    thrown = udp(p.IPV6, "fd0e::1", "")
    add("a throw route", 100, thrown, [(BACK, p.icmp_error(1, 0, thrown, IN_ADDRESS))])
    expired = udp(p.IPV6, "fd02::7", "", hlim=1)
    add("hop limit 1: an error", 100, expired, [(BACK, p.icmp_error(3, 0, expired, IN_ADDRESS))], (0, 0, 1))
    for number, address in ((255, "fd0a::1"), (0, "fd0a::1"), (255, "::1")):
        local = udp(p.IPV6, address, "")
        suite.add(f"End.DT6 table {number}: delivered to {address}",
                  partial(delivered, net, table(number), local, address, ""), ([p.PAYLOAD], [], counted(local)))


BLUE, ROUNDS = 77, 3
DEVICES = {"vrf": "vrf table 300", "other vrf": "vrf table 301", "dummy": "dummy"}
GONE = "link del blue\n"
BLUE_ROUTES = """
route add fd05::/16 via fdff:2::1 dev out0 table 300
route add fd05::/16 via fdff:3::1 dev alt0 table 301
"""
BLUE_ROUTES4 = """
route add 10.15.0.0/16 via 10.2.0.1 dev out0 table 300
route add 10.15.0.0/16 via 10.3.0.1 dev alt0 table 301
"""


def blue(kind, index=BLUE):
    """The commands that make a device with the index of the VRF blue, or with another one."""
    return f"link add blue index {index} type {DEVICES[kind]}\nlink set blue up\n"


def lives(net, action, inner):
    """What comes out of a SID for table 300 while its VRF comes and goes."""
    seen = []
    ip_batch(blue("vrf"))
    with net.installed(action, vrf(300)):
        for change in ("", "link set blue down\n", GONE, blue("vrf"), GONE + blue("vrf", BLUE + 1),
                       GONE + blue("dummy"), GONE + blue("other vrf")):
            ip_batch(change)
            seen.append(net.send(carried(inner)))
        ip_batch(GONE)
        return seen, net.rtnl.get_counters(SID)


def under_traffic(net, action, inner):
    """The VRF is deleted and made again while packets run through the SID: each comes out right, or is dropped.

    While the VRF comes or goes there may be no route, which the source is told.
    """
    ip_batch(blue("vrf"))
    with net.installed(action, vrf(300)), Traffic(net, carried(inner)) as traffic:
        for _ in range(ROUNDS):
            ip_batch(GONE + blue("vrf"))
    ip_batch(GONE)
    lib.equal({packet for packet in traffic.seen if not packet.endswith(inner)}, {p.hop(inner)}, "what comes out")


def add_lives(suite, net):
    """B18: the VRF is the one of the table, not what has its index."""
    for name, action, number in BEHAVIORS:
        inner = udp(number, "fd05::7", "10.15.0.7")
        size = len(carried(inner))
        out, alt = ([(label, p.hop(inner))] for label in (OUT, ALT))
        suite.add(f"{name}: the VRF is set down, deleted, made again, and its index is given to others",
                  partial(lives, net, action, inner), ([out, out, [], out, [], [], []], (3, 3 * size, 4)),
                  ("B18", ([out, out, [], out, [], [], alt], (4, 4 * size, 3))))
        suite.add(f"{name}: the VRF comes and goes under traffic", partial(under_traffic, net, action, inner))


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    expedite()
    ip_batch(BLUE_ROUTES)
    ip_batch(BLUE_ROUTES4, "-4")
    for behavior in BEHAVIORS:
        add_vrf(suite, net, *behavior)
    add_table(suite, net)
    add_lives(suite, net)
    suite.main()


if __name__ == "__main__":
    main()
