#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The HMAC of an SRH (RFC 8754, Section 2.1.2) and sysctl seg6_require_hmac, for every behavior.

-1 ignores the HMAC, 0 checks it if there is one, 1 demands it. Behaviors that do not look at an SRH, or that find none
where none is needed, do not look for an HMAC (B17).
"""

from dataclasses import dataclass
from functools import partial
from typing import Callable

import ebpf
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from edge import Edge
from topology import SID, set_hmac_key, set_tunnel_source, sysctl

A = "fd02::a"
KEY, SECRET = 7, "another secret"


@dataclass
class Signed:
    """A behavior and how a packet for it is built from the segments of its SRH, their TLVs and flags."""

    name: str
    attributes: tuple
    build: Callable


def to_advance(segments, **fields):
    """A packet with segments left."""
    return p.sr(SID, segments, len(segments) - 1, **fields)


def to_open(behavior, segments, before=(), **fields):
    """A packet with a packet inside and no segment left."""
    header = p.RH, lambda nexthdr: p.srh(nexthdr, segments, 0, **fields)
    return p.chain(SID, [*before, header], behavior.number, behavior.inner())


def behaviors(net):
    """All behaviors that look at the HMAC."""
    idle = ebpf.load_program(ebpf.returning(ebpf.OK))
    path = nl.attr(nl.SRH, p.srh(0, ["fd02::77", "fd03::9"], 1))
    for name, *attributes in (
        ("End", nl.u32(nl.ACTION, nl.END)),
        ("End with PSP", nl.u32(nl.ACTION, nl.END), nl.flavors(nl.PSP)),
        ("End.X", nl.u32(nl.ACTION, nl.END_X), nl.addr6(nl.NH6, "fd02::1")),
        ("End.T", nl.u32(nl.ACTION, nl.END_T), nl.u32(nl.TABLE, 100)),
        ("End.BPF", nl.u32(nl.ACTION, nl.END_BPF), nl.bpf(idle)),
        ("End.B6", nl.u32(nl.ACTION, nl.END_B6), path),
        ("End.B6.Encaps", nl.u32(nl.ACTION, nl.END_B6_ENCAP), path),
    ):
        yield Signed(name, attributes, to_advance)
    for behavior in net.decapsulations():
        yield Signed(behavior.name, behavior.attributes, partial(to_open, behavior))


def with_policy(net, require, attributes, packet):
    """The counters of a SID after a packet when sysctl seg6_require_hmac is `require`."""
    sysctl("net/ipv6/conf/in0/seg6_require_hmac", require)
    try:
        return net.through(attributes, packet)[1]
    finally:
        sysctl("net/ipv6/conf/in0/seg6_require_hmac", 0)


def packets(build):
    """Packets: (name, packet, whether it passes with -1, 0 and 1)."""
    def signed(key=KEY, secret=SECRET, segments=(A, SID), flags=8):
        """A packet with an HMAC."""
        return build(segments, flags=flags, tlvs=p.hmac_tlv(key, p.digest(secret, p.SRC, segments, key, flags)))

    many = (A,) * 14 + (SID,)
    good = signed()
    yield "no HMAC", build((A, SID)), (True, True, False)
    yield "a good HMAC", good, (True, True, True)
    yield "a good HMAC over 14 segments", signed(segments=many[1:]), (True, True, True)
    yield "an HMAC over 15 segments", signed(segments=many), (True, False, False)
    yield "a wrong HMAC", p.edit(good, 119, bytes((good[119] ^ 1,))), (True, False, False)
    yield "an unknown key", signed(key=8), (True, False, False)
    yield "a wrong secret", signed(secret="guess"), (True, False, False)
    yield "a good HMAC of another source", p.edit(good, 23, b"\2"), (True, False, False)
    yield "a good HMAC of other segments", p.edit(good, 63, b"\2"), (True, False, False)
    yield "a flag without HMAC", build((A, SID), flags=8), (True, True, False)
    yield "an HMAC without flag", signed(flags=0), (True, True, False)
    yield ("an HMAC that is not the last TLV", build((A, SID), flags=8, tlvs=p.hmac_tlv(KEY) + p.pad(8)),
           (True, True, False))


def add_policies(suite, net, behavior):
    """Every packet with every policy."""
    for name, packet, results in packets(behavior.build):
        for require, passes in zip((-1, 0, 1), results):
            want = (1, len(packet), 0) if passes else (0, 0, 1)
            suite.add(f"{behavior.name}, seg6_require_hmac={require}: {name} {'passes' if passes else 'is dropped'}",
                      partial(with_policy, net, require, behavior.attributes, packet), want)


def add_behind_options(suite, net, name, attributes, build):
    """B6: the HMAC of an SRH that is not the first extension header; C looks for it in the first one."""
    for title, secret, require, passes in (("a good", SECRET, 1, True), ("a wrong", "guess", 0, False)):
        packet = build((A, SID), flags=8, tlvs=p.hmac_tlv(KEY, p.digest(secret, p.SRC, (A, SID), KEY)))
        outcomes = {True: (1, len(packet), 0), False: (0, 0, 1)}
        suite.add(f"{name}: {title} HMAC behind destination options, seg6_require_hmac={require}",
                  partial(with_policy, net, require, attributes, packet), outcomes[passes],
                  known=("B6", outcomes[not passes]))


def grown(net, script, segments, packet):
    """The counters of a SID behind one whose program has made the SRH grow, if both demand an HMAC."""
    script.write([s.adjust_srh(40 + 8 + 16 * len(segments), 8)])
    with net.installed(*end_bpf(script.seg6local), dst=segments[-1]):
        return with_policy(net, 1, [nl.u32(nl.ACTION, nl.END)], packet)


def add_grown(suite, net, script):
    """B5: C looks for the HMAC where the SRH was before it moved."""
    segments = (A, SID, "fcff::b")
    tlvs = p.hmac_tlv(KEY, p.digest(SECRET, p.SRC, segments, KEY))
    packet = p.sr(segments[-1], segments, 2, flags=8, tlvs=tlvs)
    suite.add("End: a good HMAC of an SRH that a program has made grow, seg6_require_hmac=1",
              partial(grown, net, script, segments, packet), (1, len(packet) + 8, 0), known=("B5", (0, 0, 1)))


def add_unasked(suite, net, behavior):
    """B17: a packet without an SRH is opened whatever the policy is."""
    packet = p.ip6(behavior.number, SID, behavior.inner())
    suite.add(f"{behavior.name}, seg6_require_hmac=1: no SRH passes",
              partial(with_policy, net, 1, behavior.attributes, packet), (1, len(packet), 0))


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Edge()
    suite = net.suite()
    set_tunnel_source()
    set_hmac_key(KEY, SECRET)
    for behavior in behaviors(net):
        add_policies(suite, net, behavior)

    def advanced(segments, **fields):
        """A packet with a segment left, behind destination options."""
        header = p.RH, lambda nexthdr: p.srh(nexthdr, segments, 1, **fields)
        return p.chain(SID, [(p.DSTOPT, p.option), header], p.UDP, p.udp())

    add_behind_options(suite, net, "End", [nl.u32(nl.ACTION, nl.END)], advanced)
    add_grown(suite, net, script)
    for behavior in net.decapsulations():
        add_behind_options(suite, net, behavior.name, behavior.attributes,
                           partial(to_open, behavior, before=[(p.DSTOPT, p.option)]))
        add_unasked(suite, net, behavior)
    suite.main()


if __name__ == "__main__":
    main()
