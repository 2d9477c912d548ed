#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""End.DX2 (RFC 8986, Section 4.9): the Ethernet frame inside leaves the port as it is, or not at all."""

import struct
from functools import partial

import lib
import netlink as nl
import packet as p
from edge import WIRE, WIRE_MTU, Edge, carried, counted
from topology import SID, command, enter, ip

DROPPED = [], (0, 0, 1)
BROADCAST, GROUP = b"\xff" * 6, bytes((1, 0, 0x5E, 0, 0, 1))
DATA = bytes(1500)


def tag(number, kind=0x8100):
    """A VLAN tag; what follows is the type of the frame."""
    return struct.pack("!HH", kind, number)


def with_tags(tags, payload, number=0x0800):
    """A frame with VLAN tags."""
    frame = p.ether(number, payload)
    return frame[:12] + b"".join(tags) + frame[12:]


def end_dx2(device):
    """The attributes of a SID with a port."""
    return nl.u32(nl.ACTION, nl.END_DX2), nl.u32(nl.OIF, device)


def sent(net, frame, device="l2"):
    """What comes out for a frame."""
    return net.through(end_dx2(net.devices[device]), carried(frame, p.ETHERNET))


def passed(frame):
    """The outcome for a frame that is sent."""
    return [(WIRE, frame)], counted(frame, p.ETHERNET)


def good_frames():
    """Frames that leave: (name, frame)."""
    yield "IPv4", p.ether(0x0800, p.ip4(p.UDP, "10.12.0.7", p.udp()))
    yield "IPv6", p.ether(0x86DD, p.ip6(p.UDP, "fd02::77", p.udp()))
    yield "IPv6 with hop limit 0", p.ether(0x86DD, p.ip6(p.UDP, "fd02::77", p.udp(), hlim=0))
    yield "ARP", p.ether(0x0806, bytes(28))
    yield "an unknown type", p.ether(0x88B5, DATA)
    yield "the smallest type", p.ether(0x0600, DATA)
    yield "the largest type", p.ether(0xFFFF, DATA)
    yield "a frame to everybody", p.ether(0x0806, DATA, dst=BROADCAST)
    yield "a frame to a group", p.ether(0x0800, DATA, dst=GROUP)
    yield "a frame from and to nobody", p.ether(0x0800, DATA, dst=bytes(6), src=bytes(6))
    yield "an Ethernet header", p.ether(0x88B5, b"")
    yield "one byte of payload", p.ether(0x88B5, b"\1")
    yield "a VLAN tag", with_tags([tag(7)], DATA)
    yield "a priority tag", with_tags([tag(0xE000)], DATA)
    yield "a service tag", with_tags([tag(7, 0x88A8)], DATA)
    yield "two VLAN tags", with_tags([tag(7, 0x88A8), tag(8)], DATA)
    yield "as much as the MTU of the port", p.ether(0x88B5, bytes(WIRE_MTU))


def llc_frames():
    """Frames with a length in place of the type (IEEE 802.3): (name, frame)."""
    bpdu = b"\x42\x42\3" + bytes(35)
    yield "a bridge PDU", p.ether(len(bpdu), bpdu, dst=bytes((1, 0x80, 0xC2, 0, 0, 0)))
    hello = b"\xfe\xfe\3" + bytes(1497)
    yield "an IS-IS hello", p.ether(len(hello), hello, dst=bytes((1, 0x80, 0xC2, 0, 0, 0x14)))
    yield "length 0", p.ether(0, bpdu)
    yield "the largest length", p.ether(0x05FF, bpdu)
    yield "SNAP", p.ether(100, b"\xaa\xaa\3\0\0\0\x08\0" + bytes(92))


def add_frames(suite, net):
    """What leaves the port."""
    for name, frame in good_frames():
        suite.add(f"{name}: sent", partial(sent, net, frame), passed(frame))
    for name, frame in llc_frames():
        suite.add(f"LLC, {name}: sent", partial(sent, net, frame), passed(frame), ("B26", DROPPED))
    for name, tags in (("a VLAN tag", [tag(7)]), ("a service tag", [tag(7, 0x88A8)])):
        frame = with_tags(tags, bytes(WIRE_MTU))
        suite.add(f"as much as the MTU of the port behind {name}: sent", partial(sent, net, frame), passed(frame),
                  ("B26", DROPPED))
        suite.add(f"one byte more than the MTU of the port behind {name}: dropped",
                  partial(sent, net, frame + b"\0"), DROPPED)
    suite.add("one byte more than the MTU of the port: dropped",
              partial(sent, net, p.ether(0x88B5, bytes(WIRE_MTU + 1))), DROPPED)
    suite.add("twice the MTU of the port: dropped", partial(sent, net, p.ether(0x88B5, bytes(11000))), DROPPED)


def with_port(net, change, undo):
    """What comes out when the port is changed."""
    ip("link", "set", "l2", *change)
    try:
        return sent(net, p.ether(0x0800, DATA))
    finally:
        ip("link", "set", "l2", *undo)


def other_end(net, state):
    """Sets the other end of the port up or down."""
    enter(net.outside)
    ip("link", "set", "wire0", state)
    enter(net.router)


def without_carrier(net):
    """What comes out when the other end of the port is down."""
    other_end(net, "down")
    try:
        return sent(net, p.ether(0x0800, DATA))
    finally:
        other_end(net, "up")
        lib.wait_for(lambda: "state UP" in ip("link", "show", "l2"), "the port has a carrier again")


def full_queue(net):
    """What comes out when the queue of the port takes nothing."""
    command("tc", "qdisc", "add", "dev", "l2", "root", "pfifo", "limit", "0")
    try:
        return sent(net, p.ether(0x0800, DATA))
    finally:
        command("tc", "qdisc", "del", "dev", "l2", "root")


def port_returns(net):
    """A SID whose port is deleted and made again with the index that it had."""
    frame = p.ether(0x0800, DATA)
    number = nl.u32(nl.ACTION, nl.END_DX2), nl.u32(nl.OIF, 77)
    with net.installed(*number):
        ip("link", "add", "port", "index", "77", "type", "dummy")
        ip("link", "set", "port", "up")
        before = net.send(carried(frame, p.ETHERNET)), net.rtnl.get_counters(SID)
        ip("link", "del", "port")
        return before, (net.send(carried(frame, p.ETHERNET)), net.rtnl.get_counters(SID))


def add_ports(suite, net):
    """The state of the port."""
    packet = carried(p.ether(0x0800, DATA), p.ETHERNET)
    for name, number in (("the port is missing", 4711), ("port 0", 0), ("port -1", -1)):
        suite.add(f"{name}: dropped", partial(net.through, end_dx2(number), packet), DROPPED)
    suite.add("the port is down: dropped", partial(with_port, net, ("down",), ("up",)), DROPPED)
    suite.add("the port is up again: sent", partial(sent, net, p.ether(0x0800, DATA)), passed(p.ether(0x0800, DATA)))
    suite.add("the port has no carrier: dropped", partial(without_carrier, net), DROPPED)
    suite.add("the port is not Ethernet: dropped", partial(sent, net, p.ether(0x0800, DATA), "lo"), DROPPED)
    suite.add("the port has a smaller MTU: dropped",
              partial(with_port, net, ("mtu", "1499"), ("mtu", str(WIRE_MTU))), DROPPED)
    suite.add("the port has an MTU that is just enough: sent",
              partial(with_port, net, ("mtu", "1500"), ("mtu", str(WIRE_MTU))),
              passed(p.ether(0x0800, DATA)))
    suite.add("the queue of the port is full: an error", partial(full_queue, net), DROPPED)
    suite.add("the port is deleted under the SID", partial(port_returns, net),
              (([], (1, len(packet), 0)), ([], (1, len(packet), 1))))


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    add_frames(suite, net)
    add_ports(suite, net)
    suite.main()


if __name__ == "__main__":
    main()
