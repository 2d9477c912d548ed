#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random programs: sequences of helper calls on all kinds of packets, compared with a model call by call.

The seed is fixed, so every run makes the same calls. What the C implementation gets wrong is left out here and has its
own cases elsewhere: writes to the last segment (B13), growth past 2048 bytes (B21) and outer headers that met
congestion (B30). The model of C does not know Pad1 (B27).
"""

import random
import struct
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from model import MAX_SRH, Model
from topology import ALT, ETH_P_ALL, OUT, SID, Net, packet_socket, set_tunnel_source

SEED, SEQUENCES, CASES, TAPPED_CASES = 20, 12, 40, 10
DESTINATIONS = ("fd02::1", "fd02::2", "fd03::1", "fd03::2")
CONGESTION = 3 << 20
ACTIONS = (nl.END_X, nl.END_T, nl.END_DT6, nl.END_B6, nl.END_B6_ENCAP)


def route(destination, table):
    """The neighbor of a destination in the topology."""
    if table == 100:
        return ALT if destination.startswith("fd02") else None
    return OUT if destination.startswith("fd02") else ALT


class Generator:
    """Makes packets and calls that are sometimes right, sometimes almost right and sometimes nonsense."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def tlvs(self):
        """Valid TLVs of a multiple of 8 bytes."""
        data = b""
        for _ in range(self.random.randrange(3)):
            data += p.tlv(self.random.choice((4, 124, 200)), self.random.randbytes(self.random.choice((6, 14, 30))))
        return data

    def srh(self, nexthdr, target=None):
        """A valid SRH without HMAC, all segments, and the segments left.

        In a packet to `target` that is the last entry, unless the SRH is reduced.
        """
        segments = self.random.choices(DESTINATIONS, k=self.random.choice((1, 2, 2, 3, 5)))
        left = self.random.randrange(1, len(segments) + 1) if target else len(segments) - 1
        if target and left < len(segments):
            segments[-1] = target
        fields = {"tlvs": self.tlvs(), "flags": self.random.randrange(256) & ~8, "tag": self.random.randrange(1 << 16)}
        return p.srh(nexthdr, segments, left, **fields), segments, left

    def packet(self):
        """A packet to the SID, and how the program sees it."""
        number, payload = self.random.choice(((p.UDP, p.udp()), (p.UDP, p.udp(bytes(5000))), (p.IPV6, None)))
        if payload is None:
            payload = p.ip6(p.UDP, self.random.choice(DESTINATIONS), p.udp(), hlim=self.random.randrange(2, 256))
        header, segments, left = self.srh(number, SID)
        options = self.random.choice((b"", b"", p.option(p.RH, 16)))
        flow = self.random.randrange(1 << 28) & ~CONGESTION
        advanced = p.edit(header, 3, bytes((left - 1,)))
        first = p.DSTOPT if options else p.RH
        before = p.ip6(first, SID, options + header + payload, flow=flow)
        return before, p.ip6(first, segments[left - 1], options + advanced + payload, flow=flow)

    def offset(self, model):
        """An offset near the borders of the SRH, or anywhere."""
        if model.srh is None:
            return self.random.choice((0, 40, 45, 46, 96))
        places = (model.srh + 5, model.srh + 6, model.srh + 8, model.tlvs(), model.end(), model.end() - 8)
        return max(0, self.random.choice(places) + self.random.choice((0, 0, 0, 0, 1, -1, 2, 4, 8)))

    def store_bytes(self, model):
        """A call of store_bytes."""
        size = self.random.choice((1, 2, 3, 4, 8, 8, 16, 24))
        data = self.random.choice((p.pad(max(size, 2))[:size], bytes(size), self.random.randbytes(size)))
        offset = self.offset(model)
        if model.srh is not None and model.srh <= offset < model.tlvs():
            data = data[:max(1, model.srh + 8 - offset)]
            if offset >= model.srh + 8:
                offset = model.srh + 5
            if offset == model.srh + 5 or len(data) == 0:
                data = bytes((data[0] & ~8,))
        return s.store_bytes(offset, data)

    def adjust_srh(self, model):
        """A call of adjust_srh that keeps below the limit."""
        delta = self.random.choice((0, 8, 8, 16, 1, 2, -1, -2, -8, -8, -16, 4, -4, 64, -(1 << 31)))
        if model.srh is not None and model.length + delta > MAX_SRH:
            delta = -8
        return s.adjust_srh(self.offset(model), delta)

    def action(self):
        """A call of action."""
        kind = self.random.choice((*ACTIONS, *ACTIONS, *ACTIONS, 0, 11))
        if kind in (nl.END_B6, nl.END_B6_ENCAP):
            param = self.srh(0)[0]
        elif kind == nl.END_X:
            param = p.addr(self.random.choice(DESTINATIONS))
        else:
            param = struct.pack("=I", self.random.choice((0, 254, 100)))
        return s.action(kind, param[:-4] if self.random.random() < 0.1 else param)

    def call(self, model):
        """A call of one of the helpers."""
        chosen = self.random.random()
        if chosen < 0.4:
            return self.store_bytes(model)
        return self.adjust_srh(model) if chosen < 0.7 else self.action()


def play(model, call):
    """What a call returns according to the model."""
    kind, first, second, data = call
    if kind == s.STORE_BYTES:
        return model.store_bytes(first, data)
    return model.adjust_srh(first, second) if kind == s.ADJUST_SRH else model.action(first, data)


def sequence(net, script, generator):
    """One random program on one random packet, which is returned."""
    before, after = generator.packet()
    model = Model(after, route, p.TUNNEL_SRC, not lib.IS_C)
    calls, results = [], []
    for _ in range(generator.random.randrange(1, SEQUENCES)):
        calls.append(generator.call(model))
        results.append(play(model, calls[-1]))
    redirect = model.neighbor is not None and generator.random.random() < 0.5
    left = model.finish(redirect)
    linear = generator.random.choice((None, 40, 60, 100)) if len(before) > 5000 else None
    script.write(calls, (ebpf.REDIRECT if redirect else ebpf.OK,))
    out, counters = net.through(end_bpf(script.seg6local), before, linear)
    where = f"packet {lib.show(before)}\n  calls {calls}"
    lib.equal(script.results(len(calls)), results, f"results\n  {where}")
    lib.equal(out, [left] if left else [], f"what comes out\n  {where}")
    lib.equal(counters, (1, len(before), 0) if left else (0, 0, 1), f"counters\n  {where}")
    return before


def sequences(net, script, seed):
    """Many random programs."""
    generator = Generator(seed)
    for _ in range(SEQUENCES):
        sequence(net, script, generator)


def tapped(net, script, seed):
    """Many random programs, on packets that somebody else also holds: that one sees them as they came."""
    with packet_socket("in0", ETH_P_ALL, net.PACKET_IGNORE_OUTGOING) as tap:
        tap.settimeout(10)
        generator = Generator(seed)
        for _ in range(SEQUENCES):
            before = sequence(net, script, generator)
            lib.equal([tap.recv(1 << 16)[14:] for _ in range(2)][0], before, "the packet and the marker in the tap")


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Net()
    suite = net.suite()
    set_tunnel_source()
    for seed in range(SEED, SEED + CASES):
        suite.add(f"{SEQUENCES} random programs, seed {seed}", partial(sequences, net, script, seed))
    for seed in range(SEED + CASES, SEED + CASES + TAPPED_CASES):
        suite.add(f"{SEQUENCES} random programs on cloned packets, seed {seed}", partial(tapped, net, script, seed))
    suite.main()


if __name__ == "__main__":
    main()
