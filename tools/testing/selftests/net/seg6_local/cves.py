#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults that seg6local, and code that it calls, once had, and that no other test reproduces.

The table in Documentation/networking/seg6local-rust-integrity.rst lists them all. Sysctl nf_hooks_lwtunnel is switched
on, which lasts: this program comes after hooks.py.
"""

import contextlib
import errno
import os
import struct
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from bpf_random import play, route
from decap_hooks import inside
from edge import Edge, carried, counted
from hmac_policy import behaviors
from hooks import KNOB, NF_ACCEPT, QUEUE, Queue, rule, seen_by_rule
from model import Model
from topology import (ETH_P_ALL, IN_ADDRESS, KEY, SECRET, SID, Traffic, command, enter, expedite, framed, ip, ip_batch,
                      packet_socket, set_hmac_key, set_tunnel_source, sysctl)

A, B = "fd02::a", "fd02::b"
DROPPED = [], (0, 0, 1)
CROSS_CONNECTS = "End.DX4", "End.DX6"
LINK_MTU, SMALL_MTU, ROUNDS = 1500, 1000, 10
SIGNED = p.sr(SID, [A, SID], 1, flags=8, tlvs=p.hmac_tlv(KEY, p.digest(SECRET, p.SRC, [A, SID], KEY)))


class Bare:
    """Another device of the router, low0, which may lose IPv6; its far end is low1."""

    def __init__(self, net):
        self.net, self.sock = net, None
        self.create()

    def create(self):
        """Makes the device, again if it is gone."""
        ip_batch(self.net.link("low0", "low1", LINK_MTU))
        enter(self.net.outside)
        ip("link", "set", "low1", "up")
        self.sock = packet_socket("low1", 0)
        enter(self.net.router)

    def transmit(self, packet):
        """Sends a packet to the router; it is lost if the device is gone."""
        with contextlib.suppress(OSError):
            self.sock.send(framed(packet))

    def drain(self):
        """What has come out of the router."""
        return self.net.drain()

    def set_mtu(self, mtu):
        """Sets the MTU of the device; one that is too small for IPv6 takes IPv6 from it."""
        ip("link", "set", "low0", "mtu", str(mtu))
        lib.equal(os.path.exists("/proc/sys/net/ipv6/conf/low0"), mtu >= 1280, "IPv6 on low0")


def unconfigured(bare, attributes, packet, matching, hook):
    """What a SID does with a packet that waits in a queue while its device loses IPv6."""
    net = bare.net
    with rule(f"queue num {QUEUE}", f'iifname "low0" {matching}', hook), contextlib.closing(Queue()) as queue, \
            net.installed(*attributes):
        bare.transmit(packet)
        number, _ = queue.packet()
        bare.set_mtu(SMALL_MTU)
        try:
            queue.verdict(number, NF_ACCEPT)
            return net.collect(), net.rtnl.get_counters(SID)
        finally:
            bare.set_mtu(LINK_MTU)


def add_unconfigured(suite, net, bare):
    """The device has no struct inet6_dev any more; the policy for the HMAC was taken from there without a check.

    A device without it receives no IPv6 packet, so only one that has waited gets to a SID: in front of the SID or, in
    front of a decision about the packet inside, behind it.
    """
    outer = f"ip6 daddr {SID}"
    for behavior in behaviors(net):
        packet = behavior.build((A, SID))
        for hook in ("prerouting", "input"):
            suite.add(f"{behavior.name}: the device loses IPv6 before the {hook} hook lets an SRH pass: dropped",
                      partial(unconfigured, bare, behavior.attributes, packet, outer, hook), DROPPED)
    for behavior in net.decapsulations():
        inner = behavior.inner()
        packet = p.ip6(behavior.number, SID, inner)
        passed = behavior.out(inner), (1, len(packet), 0)
        suite.add(f"{behavior.name}: the device loses IPv6, there is no SRH",
                  partial(unconfigured, bare, behavior.attributes, packet, outer, "prerouting"), passed)
        if behavior.name in CROSS_CONNECTS:
            suite.add(f"{behavior.name}: the device loses IPv6 before the hook lets the packet inside pass",
                      partial(unconfigured, bare, behavior.attributes, packet, inside(behavior), "prerouting"), passed)
    packet = p.sr(IN_ADDRESS, [A, IN_ADDRESS], 1)
    suite.add("the device loses IPv6 before an SRH gets to the node itself: dropped",
              partial(unconfigured, bare, [nl.u32(nl.ACTION, nl.END)], packet, f"ip6 daddr {IN_ADDRESS}", "prerouting"),
              ([], (0, 0, 0)))


def flapping(bare, fd, change):
    """The device changes under traffic: what gets through is right, and afterwards all does."""
    want = p.hop(p.edit(p.edit(SIGNED, 24, p.addr(A)), 43, b"\0"))
    with bare.net.installed(*end_bpf(fd)), Traffic(bare, SIGNED) as traffic:
        for _ in range(ROUNDS):
            change()
            traffic.wait(want)
    lib.equal(set(traffic.seen), {want}, "what comes out")


def small_and_large(bare):
    """The device loses IPv6 and gets it back."""
    bare.set_mtu(SMALL_MTU)
    bare.set_mtu(LINK_MTU)


def gone_and_back(bare):
    """The device is unregistered and made again."""
    ip("link", "del", "low0")
    bare.create()


def reverse_path(net, behavior, source):
    """What becomes of a packet inside if only packets from where their source is may pass."""
    command_name = "iptables-nft" if behavior.number == p.IPV4 else "ip6tables-nft"
    filter_rule = ["PREROUTING", "-m", "rpfilter", "--invert", "-j", "DROP"]
    command(command_name, "-t", "raw", "-A", *filter_rule)
    try:
        return net.through(behavior.attributes, carried(behavior.inner(src=source)))
    finally:
        command(command_name, "-t", "raw", "-D", *filter_rule)


def devices_of_hook(net, behavior):
    """How often the hook sees the packet inside with an input device, and with an output device."""
    counts = []
    for device in ("iif in0", "oif in0", "oif out0"):
        with rule("counter name seen", f"{inside(behavior)} meta {device}", "prerouting"):
            net.through(behavior.attributes, carried(behavior.inner()))
            counts.append(seen_by_rule())
    return counts


def add_hook_devices(suite, net):
    """NF_HOOK() got the input device as the output device, and rpfilter found no input device."""
    for behavior in net.decapsulations():
        if behavior.name not in CROSS_CONNECTS:
            continue
        near, far = (p.SRC4, "10.12.0.9") if behavior.number == p.IPV4 else (p.SRC, "fd02::9")
        inner = behavior.inner(src=near)
        suite.add(f"{behavior.name}: rpfilter, the source is where the packet came from",
                  partial(reverse_path, net, behavior, near), (behavior.out(inner), counted(inner)))
        suite.add(f"{behavior.name}: rpfilter, the source is elsewhere: dropped",
                  partial(reverse_path, net, behavior, far), DROPPED)
        suite.add(f"{behavior.name}: the hook has an input device and no output device",
                  partial(devices_of_hook, net, behavior), [1, 0, 0])


def moving_calls():
    """Calls that move the packet, each followed by one that has to find the SRH where it is now."""
    tlvs = p.tlv(200, bytes(246)) * 4
    yield s.store_bytes(45, b"\1\2\3")
    yield s.adjust_srh(96, 992)
    yield s.store_bytes(96, tlvs)
    yield s.action(nl.END_X, p.addr("fd03::1"))
    yield s.adjust_srh(96, -984)
    yield s.store_bytes(96, p.pad(8))
    yield s.action(nl.END_B6_ENCAP, p.srh(0, ["fd02::77"] * 60 + ["fd03::1"], 60))
    yield s.store_bytes(45, b"\4\5\6")
    yield s.action(nl.END_B6, p.srh(0, ["::", "fd03::2"], 1))
    yield s.adjust_srh(80, 992)
    yield s.store_bytes(80, tlvs)
    yield s.adjust_srh(80, -992)
    yield s.action(nl.END_T, struct.pack("=I", 254))


def moved(net, script, size, linear, is_cloned):
    """Checks what the calls return and what comes out; somebody else who holds the packet sees it as it came."""
    segments, payload = [A, B, SID], p.udp(bytes(range(256)) * (size // 256))
    before = p.sr(SID, segments, 2, payload)
    model = Model(p.sr(B, segments, 1, payload), route, p.TUNNEL_SRC)
    calls = list(moving_calls())
    lib.equal([play(model, call) for call in calls], [0] * len(calls), "results of the model")
    script.write(calls, (ebpf.REDIRECT,))
    with packet_socket("in0", ETH_P_ALL, net.PACKET_IGNORE_OUTGOING) if is_cloned else contextlib.nullcontext() as tap:
        seen = net.through(end_bpf(script.seg6local), before, linear)
        if tap:
            tap.settimeout(10)
            lib.equal(tap.recv(1 << 16)[14:], before, "the packet in the tap")
    lib.equal(script.results(len(calls)), [0] * len(calls), "results")
    lib.equal(seen, ([model.finish(True)], (1, len(before), 0)), "what comes out, and the counters")


def add_moved(suite, net, script):
    """Helpers kept a pointer to the SRH over calls that moved the packet."""
    for size, linear in ((0, None), (5120, None), (5120, 0), (5120, 60), (5120, 100), (5120, 3000)):
        for is_cloned in (False, True):
            where = "linear" if linear is None else f"{linear} bytes linear"
            suite.add(f"every call moves a packet with {size} bytes, {where}{', cloned' if is_cloned else ''}",
                      partial(moved, net, script, size, linear, is_cloned))


def freed(net, code):
    """What becomes of packets that get back to their SID; afterwards nothing keeps it alive."""
    fd = ebpf.load_program(ebpf.returning(code))
    number = ebpf.program_info(fd)["id"]
    with net.installed(*end_bpf(fd), dst="fcff::", length=16):
        os.close(fd)
        out = net.send(p.sr("fcff::1", ["fcff::2", "fcff::1"] * 2, 4))
        seen = out, net.rtnl.get_counters("fcff::1")
    lib.wait_for(lambda: not ebpf.program_exists(number), "the program of the SID is freed")
    return seen


def add_keys(suite):
    """The length of a key was not compared with its bytes, an unknown algorithm not refused."""
    seg6 = nl.Seg6()
    for name, arguments, code in (("longer than its bytes", (b"key", 64), errno.EINVAL),
                                  ("one byte longer than its bytes", (b"key", 4), errno.EINVAL),
                                  ("too long", (bytes(65), 65), errno.EINVAL),
                                  ("of an unknown algorithm", (b"key", 3, 3), errno.EINVAL),
                                  ("of algorithm 0", (b"key", 3, 0), errno.EINVAL),
                                  ("shorter than its bytes", (b"key!", 3), 0)):
        suite.add(f"HMAC key {name}: {errno.errorcode.get(code, 'ok')}", partial(seg6.set_key, 77, *arguments), code)
    suite.add("HMAC keys read back", seg6.keys, {KEY: SECRET.encode(), 77: b"key"})


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    idle = ebpf.load_program(ebpf.returning(ebpf.OK))
    net = Edge()
    suite = net.suite()
    expedite()
    sysctl(KNOB, 1)
    set_tunnel_source()
    set_hmac_key()
    bare = Bare(net)
    add_unconfigured(suite, net, bare)
    suite.add("the device loses IPv6 under traffic", partial(flapping, bare, idle, partial(small_and_large, bare)))
    suite.add("the device is unregistered under traffic", partial(flapping, bare, idle, partial(gone_and_back, bare)))
    add_hook_devices(suite, net)
    add_moved(suite, net, script)
    for code in (ebpf.OK, ebpf.REDIRECT):
        suite.add(f"packets that get back to their SID, return {code}", partial(freed, net, code), ([], (0, 0, 5)))
    add_keys(suite)
    suite.main()


if __name__ == "__main__":
    main()
