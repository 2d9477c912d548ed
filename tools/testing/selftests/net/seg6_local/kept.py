#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""What C does, not as one would wish, and Rust as well on purpose, where no other test pins it."""

import contextlib
from functools import partial

import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from edge import LOCAL6, VRF_LOCAL6, VRF_TABLE, Edge, listening, received
from topology import ALT2, BACK, BACK2, IN_ADDRESS, IPV6, ROUTER_MAC, SID, Installed, enter, ip_batch, packet_socket

A = "fd02::a"
NEAR = "fe80::2"
LINK_LOCAL = f"""
route add fe80::/64 dev in0
neigh add {NEAR} lladdr 02:00:00:00:01:01 dev in0 nud permanent
route add fe80::/64 dev alt0 metric 2000
neigh add {NEAR} lladdr 02:00:00:00:01:05 dev alt0 nud permanent
"""


@contextlib.contextmanager
def link_local():
    """A context with a neighbor that has the same link-local address on two links."""
    ip_batch(LINK_LOCAL)
    try:
        yield
    finally:
        ip_batch("\n".join(reversed(LINK_LOCAL.replace(" add ", " del ").split("\n"))))


def to_link_local(net, *attributes):
    """What End.X with a link-local next hop does with a packet from in0."""
    with link_local():
        return net.through([nl.u32(nl.ACTION, nl.END_X), nl.addr6(nl.NH6, NEAR), *attributes],
                           p.sr(SID, [A, SID], 1))


def add_end_x(suite, net):
    """B36: a link-local next hop without a device is taken to be on the link that the packet came from."""
    packet = p.sr(SID, [A, SID], 1)
    after, counters = p.sr(A, [A, SID], 0, hlim=63), (1, len(packet), 0)
    suite.add("End.X: link-local next hop: back to the link that the packet came from", partial(to_link_local, net),
              ([(BACK2, after)], counters))
    suite.add("End.X: link-local next hop and device", partial(to_link_local, net, nl.u32(nl.OIF, net.devices["alt0"])),
              ([(ALT2, after)], counters))


def in_vrf(net, customer, target, device):
    """What a socket of the router gets of a packet to a SID in the VRF, whose next segment is its address `target`."""
    attributes = nl.u32(nl.ACTION, nl.END) + nl.flavors(nl.PSP)
    message = nl.route(f"{SID}/128", nl.u32(nl.RTA_OIF, net.devices["dum0"]),
                       nl.encap(nl.ENCAP_SEG6_LOCAL, attributes), table=VRF_TABLE)
    packet = p.sr(SID, [target, SID], 1, p.summed(p.UDP, p.SRC, target, p.udp()))
    with listening(target, device) as sock, Installed(net, message):
        customer.send(ROUTER_MAC + bytes((2, 0, 0, 0, 1, 6)) + IPV6 + packet)
        return net.collect(), received(sock)


def add_vrf(suite, net):
    """B19: a packet to an address of the VRF is delivered; one to an address that is not in a VRF is dropped."""
    enter(net.outside)
    customer = packet_socket("ce0", 0)
    enter(net.router)
    suite.add("End in a VRF: the next segment is an address of the VRF: delivered",
              partial(in_vrf, net, customer, VRF_LOCAL6, "red"), ([], [p.PAYLOAD]))
    suite.add("End in a VRF: the next segment is an address that is in no VRF: dropped",
              partial(in_vrf, net, customer, LOCAL6, ""), ([], []))


def grown(net, script, before, calls):
    """What comes out of a program that makes a packet too large, and its results."""
    script.write(calls)
    return *net.through(end_bpf(script.seg6local), before), script.results(len(calls))


def add_growth(suite, net, script):
    """B28: nothing looks at the MTU when a packet grows; the source is told about a packet that it has not sent."""
    target, payload = "fd06::a", p.udp(bytes(1150))
    calls = [s.adjust_srh(80, 64)]
    before = p.sr(SID, [target, SID], 1, payload)
    after = p.sr(target, [target, SID], 0, payload, tlvs=bytes(64))
    suite.add("a program makes the packet larger than the MTU of the route: an error",
              partial(grown, net, script, before, calls),
              ([(BACK, p.icmp_error(2, 0, after, IN_ADDRESS, info=1280))], (0, 0, 1), [0]))


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Edge()
    suite = net.suite()
    add_end_x(suite, net)
    add_vrf(suite, net)
    add_growth(suite, net, script)
    suite.main()


if __name__ == "__main__":
    main()
