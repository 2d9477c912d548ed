#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The deepest stacks that packets can make: nine levels, and at the last one a program that uses all that it may.

Eight SIDs lead to End.BPF, or to an LWT_IN program. That tail-calls itself from a function, up to 33 times with 240
bytes of stack each, and then calls a helper. The packet is not sent after that, because it is at the limit of nine.
"""

import struct
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
from bpf import end_bpf
from lwt_in import SEG6, SEG6_INLINE, lwt_bpf
from topology import KEY, Installed, Net, set_hmac_key, set_tunnel_source, sysctl

CALL = struct.Struct("=IIIIqQQ")
LIMITS = (("End", 0), ("End", 31), ("End", 32), ("End.BPF", 32))
LINK_STACK = 240
SIDS = [f"fcff::c:{number}" for number in range(8, 0, -1)]
LAST, TARGET = "fcff::b", "fd08::1"
PLAIN = p.srh(0, ["::", "fd02::a"], 1, tlvs=p.pad(40))
SIGNED = p.srh(0, ["::", "fd02::a"], 1, flags=8, tlvs=p.hmac_tlv(KEY))
INNER = p.ip6(p.UDP, "fd02::a", p.udp())
ACTIONS = {
    "End.X": (nl.END_X, p.addr("fd03::1")),
    "End.T": (nl.END_T, struct.pack("=i", 254)),
    "End.DT6": (nl.END_DT6, struct.pack("=i", 254)),
    "End.B6": (nl.END_B6, PLAIN),
    "End.B6 with HMAC": (nl.END_B6, SIGNED),
    "End.B6.Encaps": (nl.END_B6_ENCAP, PLAIN),
    "End.B6.Encaps with HMAC": (nl.END_B6_ENCAP, SIGNED),
}
PUSHES = {
    "SEG6": (SEG6, PLAIN),
    "SEG6 with HMAC": (SEG6, SIGNED),
    "SEG6_INLINE": (SEG6_INLINE, PLAIN),
    "SEG6_INLINE with HMAC": (SEG6_INLINE, SIGNED),
}


@dataclass
class Programs:
    """What the programs of progs/stack.bpf.c have of one type: the first one, and their map."""

    first: int
    call: ebpf.Map

    @classmethod
    def of(cls, code, kind):
        """Connects the programs of one type."""
        jumps = code.map(kind + "_jump")
        for index, name in enumerate(("link", "last")):
            ebpf.update(jumps.fd, index, struct.pack("=I", code.program(f"{kind}_{name}")))
        return cls(code.program(kind + "_link"), code.map("call_map"))

    def write(self, limit, kind, data):
        """Sets how many tail calls to make and what to call then."""
        self.call.write(CALL.pack(0, limit, kind, len(data), -1, 0, 0) + data)

    def read(self):
        """What the helper has returned, and how many programs ran."""
        links, limit, _, _, result, first, last = CALL.unpack_from(self.call.read())
        lib.check(first - last >= limit * LINK_STACK, f"{limit} tail calls, {first - last} bytes of stack")
        return result, links


def carried(last):
    """A packet to the eight SIDs and then to `last`, with another one inside."""
    segments = ["fd03::9", last, *SIDS]
    return p.ip6(p.RH, SIDS[-1], p.srh(p.IPV6, segments, len(segments) - 1) + INNER)


class Levels:
    """Eight SIDs of one behavior and, behind them, a program."""

    def __init__(self, net, programs, last, route):
        self.net, self.programs, self.last, self.route = net, programs, last, route
        idle = ebpf.load_program(ebpf.returning(ebpf.OK))
        self.behaviors = {"End": [nl.u32(nl.ACTION, nl.END)], "End.BPF": end_bpf(idle)}

    def run(self, behavior, *call):
        """What the helper returns, how many programs run, what comes out, and the counters of End.BPF."""
        self.programs.write(*call)
        with ExitStack() as routes:
            for dst in SIDS:
                routes.enter_context(self.net.installed(*self.behaviors[behavior], dst=dst))
            routes.enter_context(Installed(self.net, self.route(self.programs.first)))
            out = self.net.send(carried(self.last))
            counters = self.net.rtnl.get_counters(LAST) if self.last == LAST else None
        return *self.programs.read(), out, counters

    def add(self, suite, title, calls, counters):
        """Adds the cases of some calls."""
        for behavior, limit in LIMITS:
            for name, (kind, data) in calls.items():
                suite.add(f"{title} behind {behavior}, {limit} tail calls, {name}",
                          partial(self.run, behavior, limit, kind, data), (0, limit + 1, [], counters))


def run_cases(title):
    """Runs all of them."""
    sysctl("net/core/bpf_jit_enable", 1)
    code = ebpf.Object("stack.bpf.o")
    net = Net()
    suite = net.suite()
    set_tunnel_source()
    set_hmac_key()
    end = Levels(net, Programs.of(code, "seg6local"), LAST, lambda fd: net.sid(*end_bpf(fd), dst=LAST))
    end.add(suite, f"{title}: End.BPF", ACTIONS, (0, 0, 1))
    lwt_in = Levels(net, Programs.of(code, "lwt_in"), TARGET, lambda fd: lwt_bpf(net, fd, "fd08::/16", "fdff:2::1"))
    lwt_in.add(suite, f"{title}: LWT_IN", PUSHES, None)
    suite.main()


if __name__ == "__main__":
    run_cases("hooks off")
