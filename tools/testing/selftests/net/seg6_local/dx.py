#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""End.DX4 and End.DX6 (RFC 8986, Sections 4.4 and 4.5): where the packet inside goes, and what is counted."""

import socket
from functools import partial

import netlink as nl
import packet as p
from edge import IN_ADDRESS4, LOCAL4, Edge, carried, counted, listening, received
from routes import unroutable
from topology import ALT, ALT2, BACK, BACK2, IN_ADDRESS, OUT, OUT2, ip

DROPPED = [], (0, 0, 1)
TARGET4, TARGET6 = "10.12.0.7", "fd02::7"
BIG = p.udp(bytes(range(256)) * 5 + bytes(20))


def dx4(address="0.0.0.0"):
    """The attributes of End.DX4."""
    return nl.u32(nl.ACTION, nl.END_DX4), nl.attr(nl.NH4, p.addr(address))


def dx6(address="::"):
    """The attributes of End.DX6."""
    return nl.u32(nl.ACTION, nl.END_DX6), nl.addr6(nl.NH6, address)


def add(suite, net, name, attributes, inner, out, counters=None, known=None):
    """Adds a case; `known` is a pair: the name of a difference, and what comes out on C, where it is passed on."""
    known = known and (known[0], (known[1], counted(inner)))
    suite.add(name, partial(net.through, attributes, carried(inner)), (out, counters or counted(inner)), known)


def udp6(dst=TARGET6, data=p.udp(), **fields):
    """An IPv6 packet for the inside."""
    return p.ip6(p.UDP, dst, data, **fields)


def udp4(dst=TARGET4, data=p.udp(), **fields):
    """An IPv4 packet for the inside."""
    return p.ip4(p.UDP, dst, data, **fields)


def add_dx6(suite, net):
    """End.DX6 sends to its next hop, or to that of the destination."""
    for name, attributes, target, label in (
        ("::, destination behind a gateway", dx6(), TARGET6, OUT),
        ("::, destination behind another gateway", dx6(), "fd03::7", ALT),
        ("::, destination on the link", dx6(), "fdff:2::2", OUT2),
        ("next hop behind a gateway", dx6("fd03::1"), TARGET6, ALT),
        ("next hop on the link", dx6("fdff:3::2"), TARGET6, ALT2),
        ("next hop on another link, destination without a route", dx6("fdff:2::2"), "2001:db8::1", OUT2),
        ("next hop back where the packet came from", dx6("fd01::2"), TARGET6, BACK2),
        ("destination back where the packet came from", dx6(), "fd01::2", BACK2),
    ):
        add(suite, net, f"End.DX6: {name}", attributes, udp6(target), [(label, p.hop(udp6(target)))])
    for name, target, icmp in unroutable():
        for title, attributes, inner in (("destination", dx6(), udp6(target)), ("next hop", dx6(target), udp6())):
            out = [(BACK, p.icmp_error(*icmp, inner, IN_ADDRESS))] if icmp else []
            add(suite, net, f"End.DX6: {title} with {name}", attributes, inner, out)
    for hlim in (0, 1):
        inner = udp6(hlim=hlim)
        add(suite, net, f"End.DX6: hop limit {hlim}: an error", dx6(), inner,
            [(BACK, p.icmp_error(3, 0, inner, IN_ADDRESS))], (0, 0, 1))
    add(suite, net, "End.DX6: hop limit 2", dx6(), udp6(hlim=2), [(OUT, udp6(hlim=1))])
    add(suite, net, "End.DX6: the outer hop limit is gone", dx6(), udp6(hlim=200), [(OUT, udp6(hlim=199))])
    big = udp6("fd06::1", BIG)
    add(suite, net, "End.DX6: larger than the MTU of the route: an error", dx6(), big,
        [(BACK, p.icmp_error(2, 0, big, IN_ADDRESS, info=1280))], (0, 0, 1))
    for name, src in (("loopback", "::1"), ("unspecified", "::"), ("multicast", "ff0e::1")):
        add(suite, net, f"End.DX6: {name} source: an error", dx6(), udp6(src=src), [], (0, 0, 1))
    suite.add("End.DX6: link-local next hop: on the link that the packet came from",
              partial(with_link_local, net, udp6()), ([(BACK2, p.hop(udp6()))], counted(udp6())))


def with_link_local(net, inner):
    """A next hop that is link-local, on in0."""
    ip("-6", "route", "add", "fe80::/64", "dev", "in0")
    ip("-6", "neigh", "add", "fe80::2", "lladdr", "02:00:00:00:01:01", "dev", "in0", "nud", "permanent")
    try:
        return net.through(dx6("fe80::2"), carried(inner))
    finally:
        ip("-6", "neigh", "del", "fe80::2", "dev", "in0")
        ip("-6", "route", "del", "fe80::/64", "dev", "in0")


def unroutable4():
    """IPv4 addresses that have no route: (name, address, type and code of the ICMP error or None, is an error)."""
    yield "no route", "203.0.113.1", (3, 0), False
    yield "an unreachable route", "10.21.0.1", (3, 1), False
    yield "a prohibited route", "10.22.0.1", (3, 13), False
    yield "a throw route", "10.24.0.1", (3, 0), False
    yield "a blackhole", "10.23.0.1", None, False
    yield "the loopback address", "127.0.0.1", None, True
    yield "a multicast address", "224.1.1.1", None, True
    yield "a broadcast address", "10.2.0.255", None, False


def add_dx4(suite, net):
    """End.DX4 sends to its next hop, or to that of the destination."""
    for name, attributes, target, label in (
        ("0.0.0.0, destination behind a gateway", dx4(), TARGET4, OUT),
        ("0.0.0.0, destination behind another gateway", dx4(), "10.13.0.7", ALT),
        ("0.0.0.0, destination on the link", dx4(), "10.2.0.2", OUT2),
        ("next hop behind a gateway", dx4("10.13.0.1"), TARGET4, ALT),
        ("next hop behind a gateway, destination without a route", dx4("10.12.0.1"), "203.0.113.1", OUT),
        ("next hop on the link is the destination", dx4("10.3.0.2"), "10.3.0.2", ALT2),
    ):
        add(suite, net, f"End.DX4: {name}", attributes, udp4(target), [(label, p.hop(udp4(target)))])
    for name, target, icmp, is_error in unroutable4():
        for title, attributes, inner in (("destination", dx4(), udp4(target)), ("next hop", dx4(target), udp4())):
            out = [(BACK, p.icmp4_error(*icmp, inner, IN_ADDRESS4))] if icmp else []
            add(suite, net, f"End.DX4: {title} with {name}", attributes, inner, out, (0, 0, 1) if is_error else None)
    add(suite, net, "End.DX4: destination 0.0.0.0", dx4(), udp4("0.0.0.0"), [], (0, 0, 1))
    for name, src in (("loopback", "127.0.0.1"), ("unspecified", "0.0.0.0"), ("multicast", "224.1.1.1"),
                      ("broadcast", "255.255.255.255"), ("the router's own", IN_ADDRESS4)):
        add(suite, net, f"End.DX4: {name} source: an error", dx4(), udp4(src=src), [], (0, 0, 1))
    for ttl in (0, 1):
        add(suite, net, f"End.DX4: TTL {ttl}: an error", dx4(), udp4(ttl=ttl),
            [(BACK, p.icmp4_error(11, 0, udp4(ttl=ttl), IN_ADDRESS4))], (0, 0, 1))
    add(suite, net, "End.DX4: TTL 2", dx4(), udp4(ttl=2), [(OUT, udp4(ttl=1))])
    big = udp4("10.16.0.1", BIG, frag=0x4000)
    add(suite, net, "End.DX4: larger than the MTU of the route: an error", dx4(), big,
        [(BACK, p.icmp4_error(3, 4, big, IN_ADDRESS4, info=1280))], (0, 0, 1))
    add(suite, net, "End.DX4: larger than the MTU of the route, which may be fragmented", dx4(),
        udp4("10.16.0.1", BIG), [(OUT, udp4("10.16.0.1", BIG[:1256], frag=0x2000, ttl=63)),
                                 (OUT, udp4("10.16.0.1", BIG[1256:], frag=157, ttl=63))])
    add(suite, net, "End.DX4: the outer hop limit is gone", dx4(), udp4(ttl=200), [(OUT, udp4(ttl=199))])
    suite.add("End.DX4: the DSCP does not choose the route", partial(with_rule, net, udp4(tos=0x10)),
              ([(OUT, p.hop(udp4(tos=0x10)))], counted(udp4())))
    add_neighbor(suite, net)
    big = udp4("198.51.100.1", BIG, frag=0x4000)
    suite.add("End.DX4: larger than the MTU that the next hop on the link has told: an error",
              partial(with_small_mtu, net, big, "10.3.0.3"),
              ([(BACK, p.icmp4_error(3, 4, big, IN_ADDRESS4, info=552))], (0, 0, 1)))
    add_options(suite, net)
    add_delivery(suite, net)


def with_rule(net, inner):
    """A rule for packets with the field DS of `inner`."""
    ip("-4", "rule", "add", "dsfield", "0x10", "blackhole")
    try:
        return net.through(dx4(), carried(inner))
    finally:
        ip("-4", "rule", "del", "dsfield", "0x10", "blackhole")


def add_neighbor(suite, net):
    """B39: the packet goes to the next hop on the link, not to a neighbor that has its destination."""
    inner = udp4("198.51.100.1")
    for name, next_hop, label in (("", "10.3.0.1", ALT), (", another one", "10.3.0.2", ALT2)):
        other = ALT2 if label == ALT else ALT
        suite.add(f"End.DX4: next hop on the link{name}",
                  partial(with_neighbor, net, inner, next_hop, "05" if other == ALT2 else "04"),
                  ([(label, p.hop(inner))], counted(inner)), ("B39", ([(other, p.hop(inner))], counted(inner))))


def with_neighbor(net, inner, next_hop, last):
    """A neighbor on alt0 that has the destination of the packet."""
    address = socket.inet_ntoa(inner[16:20])
    ip("neigh", "add", address, "lladdr", f"02:00:00:00:01:{last}", "dev", "alt0", "nud", "permanent")
    try:
        return net.through(dx4(next_hop), carried(inner))
    finally:
        ip("neigh", "del", address, "dev", "alt0")


def with_small_mtu(net, inner, next_hop):
    """The router has answered an echo request of the next hop, which got that only with an MTU below the least one."""
    reply = p.ip4(p.ICMP4, next_hop, bytes(8), src=IN_ADDRESS4)
    net.transmit(p.icmp4_error(3, 4, reply, next_hop, IN_ADDRESS4, info=68))
    return net.through(dx4(next_hop), carried(inner))


def add_options(suite, net):
    """B25: the options of the packet inside; C does not look at them."""
    for name, options in (("no-operation", b"\1\1\1\0"), ("router alert", b"\x94\4\0\0"),
                          ("stream identifier", b"\x88\4\1\2"), ("as many as there may be", b"\1" * 39 + b"\0")):
        inner = udp4(options=options)
        add(suite, net, f"End.DX4: options, {name}", dx4(), inner, [(OUT, p.hop(inner))])
    before, after = (udp4(options=bytes((7, 7, 4 * count)) + address + b"\0", ttl=64 - count + 1)
                     for count, address in ((1, bytes(4)), (2, p.addr("10.2.0.254"))))
    add(suite, net, "End.DX4: options, record route: the router adds itself", dx4(), before, [(OUT, after)],
        known=("B25", [(OUT, p.hop(before))]))
    routed = udp4(options=b"\x83\7\4" + p.addr("10.13.0.1") + b"\0")
    add(suite, net, "End.DX4: options, source route: an error", dx4(), routed, [], (0, 0, 1),
        ("B25", [(OUT, p.hop(routed))]))
    for name, inner in (("of length 1", udp4(options=b"\7\1\1\0")), ("past the end", udp4(options=b"\7\x27\4\0")),
                        ("that is payload", udp4(first=0x4F))):
        add(suite, net, f"End.DX4: an option {name}: an error", dx4(), inner,
            [(BACK, p.icmp4_error(12, 0, inner, IN_ADDRESS4, info=20 << 24))], (0, 0, 1),
            ("B25", [(OUT, p.hop(inner))]))


def delivered(net, attributes, inner, address=LOCAL4):
    """What a socket of the router gets, what comes out, and the counters."""
    with listening(address) as sock:
        seen = net.through(attributes, carried(inner))
        return received(sock), *seen


def add_delivery(suite, net):
    """End.DX4 delivers to the router itself, End.DX6 does not."""
    data = [p.PAYLOAD]
    for name, attributes, inner in (("destination", dx4(), udp4(LOCAL4)),
                                    ("destination, next hop, too", dx4(LOCAL4), udp4(LOCAL4))):
        suite.add(f"End.DX4: the router itself is the {name}", partial(delivered, net, attributes, inner),
                  (data, [], counted(inner)))
    options = udp4(LOCAL4, options=b"\1\1\1\0")
    suite.add("End.DX4: the router itself, with options", partial(delivered, net, dx4(), options),
              (data, [], counted(options)), ("B25", ([], [], counted(options))))
    inner = udp6("fd0a::1", p.summed(p.UDP, p.SRC, "fd0a::1", p.udp()))
    suite.add("End.DX6: the router itself is the destination: dropped, counted as passed on",
              partial(delivered, net, dx6(), inner, "fd0a::1"), ([], [], counted(inner)))


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    add_dx6(suite, net)
    add_dx4(suite, net)
    suite.main()


if __name__ == "__main__":
    main()
