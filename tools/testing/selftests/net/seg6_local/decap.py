#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""End.DX2, End.DX4, End.DX6, End.DT4, End.DT6 and End.DT46: which packets they open, and what they find inside.

Every packet goes through each of these behaviors (RFC 8986, Sections 4.4 to 4.9). Where the packet inside goes is
tested in dx.py, dx2.py and dt.py; routing headers without segments left that are not a valid SRH in hmac_policy.py.
"""

from functools import partial

import ebpf
import lib
import packet as p
from bpf import end_bpf
from checksum import TCX_EGRESS, opening, watched
from edge import CUST, WIRE, Decap, Edge
from topology import ALT, OUT, SID, ip_batch, sysctl

A, B = "fd02::a", "fd02::b"
DROPPED = [], (0, 0, 1)

FLOW_LABEL, FLOWS = 0x12345, 32
SKB_STORE_BYTES, GET_HASH_RECALC = 9, 34
HASHED = [*ebpf.call(GET_HASH_RECALC), *ebpf.returning(-1)]
DEVICES = {OUT: "out0", ALT: "alt0", CUST: "ve0", WIRE: "l2"}
# A prefix with two neighbors, in each table that a behavior looks up.
SPREAD = "".join(f"""
route add fd05::/16 table {table} nexthop via {first} nexthop via {second}
""" for table, first, second in ((254, "fdff:2::1 dev out0", "fdff:3::1 dev alt0"),
                                 (100, "fdff:2::1 dev out0", "fdff:3::1 dev alt0"),
                                 (200, "fdff:4::1 dev ve0", "fdff:4::2 dev ve0")))


def used(left=0, segments=(SID, A), **fields):
    """An SRH as a link of a chain of headers; without segments left if nothing else is said."""
    return p.RH, lambda nexthdr: p.srh(nexthdr, segments, left, **fields)


OPTIONS, HBH, AUTH, FRAGMENT = (p.DSTOPT, p.option), (p.HBH, p.option), (p.AUTH, p.auth), (p.FRAG, p.fragment)


def around(behavior, chain, inner=None):
    """A packet to the SID with a chain of headers in front of what is inside."""
    return p.chain(SID, chain, behavior.number, behavior.inner() if inner is None else inner)


def good_chains():
    """What may be in front of the packet inside: (name, headers)."""
    yield "no SRH", []
    yield "an SRH without segments left", [used()]
    yield "an SRH of one segment", [used(segments=(SID,))]
    yield "an SRH with TLVs, tag and flags", [used(tlvs=p.tlv(200, bytes(14)), tag=7, flags=0xF7)]
    yield "the largest SRH", [used(segments=(A,) * 127)]
    yield "hop-by-hop options and an SRH", [HBH, used()]
    yield "destination options and an SRH", [OPTIONS, used()]
    yield "an SRH and destination options", [used(), OPTIONS]
    yield "two SRHs without segments left", [used(), used(segments=(B, SID))]
    yield "an authentication header", [used(), AUTH]
    yield "the first fragment", [FRAGMENT, used()]
    yield "12 extension headers", [OPTIONS] * 11 + [used()]
    yield "a type 2 routing header without segments left", [used(kind=2)]


def bad_chains():
    """What may not be there: (name, headers, whether C does not mind)."""
    yield "an SRH with a segment left", [used(left=1)], False
    yield "a reduced SRH with two segments left", [used(left=2)], False
    yield "destination options and an SRH with a segment left", [OPTIONS, used(left=1)], False
    yield "a later fragment", [(p.FRAG, lambda nexthdr: p.fragment(nexthdr, offset=4))], False
    yield "ESP", [(p.ESP, lambda nexthdr: bytes(8))], False
    yield "13 extension headers", [OPTIONS] * 13, False
    yield "an SRH with a segment left behind one without", [used(), used(left=1)], True
    yield "an SRH with more segments left than it has", [used(left=3)], True
    yield "an SRH with a segment left and the last entry out of range", [used(left=1, last=200)], True
    for kind in (0, 2, 3, 4, 5):
        yield f"a type {kind} routing header that is longer than the packet", [used(hdrlen=255, kind=kind)], False
    for kind in (0, 2, 3, 5):
        yield f"a type {kind} routing header with a segment left", [used(left=1, kind=kind)], True


def add_chains(suite, net, behavior):
    """The headers in front."""
    run = partial(net.through, behavior.attributes)
    for name, chain in good_chains():
        packet = around(behavior, chain)
        suite.add(f"{behavior.name}: behind {name}", partial(run, packet),
                  (behavior.out(behavior.inner()), (1, len(packet), 0)))
    for name, chain, passes in bad_chains():
        packet = around(behavior, chain)
        known = ("B11", (behavior.out(behavior.inner()), (1, len(packet), 0))) if passes else None
        suite.add(f"{behavior.name}: behind {name}: dropped", partial(run, packet), DROPPED, known)


def bad_insides(behavior):
    """What is not a packet of the right kind: (name, protocol number, bytes)."""
    inner = behavior.inner()
    least = {p.ETHERNET: 14, p.IPV4: 20, p.IPV6: 40}[behavior.number]
    taken = (p.IPV4, p.IPV6) if "DT46" in behavior.name else (behavior.number,)
    for number in (p.IPV4, p.IPV6, p.ETHERNET, p.UDP, p.NONE):
        if number not in taken:
            yield f"protocol {number}", number, inner
    for size in (0, 1, least - 1):
        yield f"{size} bytes", behavior.number, inner[:size]


def contradictions(behavior):
    """Packets that contradict themselves (B16): (name, bytes)."""
    inner, build = behavior.inner(), behavior.inner
    if behavior.number == p.IPV4:
        for first in (0x05, 0x55, 0x65, 0xF5, 0x44, 0x40):
            yield f"first byte {first:#x}", build(first=first)
        for length in (0, 19, len(inner) + 1, 0xFFFF):
            yield f"total length {length} of {len(inner)}", build(length=length)
        yield "header alone, with room for options that are not there", p.ip4(p.UDP, behavior.target, b"", first=0x46)
    if behavior.number == p.IPV6:
        for version in (0, 4, 5, 7, 15):
            yield f"version {version}", p.edit(inner, 0, bytes((version << 4,)))
        for length in (len(inner) - 39, 0xFFFF):
            yield f"payload length {length} of {len(inner) - 40}", build(length=length)


def odd_insides(behavior):
    """Packets that are unusual, but forwarded: (name, bytes)."""
    inner, build = behavior.inner(), behavior.inner
    yield "a large one", build(bytes(4000))
    if behavior.number == p.ETHERNET:
        yield "a frame without payload", build(b"")
        return
    yield "one byte behind its end", inner + b"\1"
    yield "a protocol that nobody knows", p.edit(inner, 6 if behavior.number == p.IPV6 else 9, b"\xfd")
    if behavior.number == p.IPV4:
        yield "a wrong checksum", p.edit(inner, 10, b"\1\1")
        yield "a fragment", build(frag=0x2005)
        yield "DSCP and ECN", build(tos=0xBB)
        yield "its header alone", p.ip4(p.UDP, behavior.target, b"")
    else:
        yield "flow label and traffic class", build(flow=0xABCDEF1)
        yield "its header alone", p.ip6(p.NONE, behavior.target, b"")
        yield "an SRH with a segment left", p.sr(behavior.target, [A, behavior.target], 1)
        yield "payload length 0", build(length=0)


def add_insides(suite, net, behavior):
    """The packet inside."""
    for title, chain in (("no SRH", []), ("an SRH", [used()])):
        for name, number, inner in bad_insides(behavior):
            suite.add(f"{behavior.name}: {name} behind {title}: dropped",
                      partial(net.through, behavior.attributes, p.chain(SID, chain, number, inner)), DROPPED)
    for name, inner in contradictions(behavior):
        packet = around(behavior, [used()], inner)
        suite.add(f"{behavior.name}: {name}: dropped", partial(net.through, behavior.attributes, packet), DROPPED,
                  ("B16", (behavior.out(inner), (1, len(packet), 0))))
    for name, inner in odd_insides(behavior):
        packet = around(behavior, [used()], inner)
        suite.add(f"{behavior.name}: {name}", partial(net.through, behavior.attributes, packet),
                  (behavior.out(inner), (1, len(packet), 0)))


def add_ecn(suite, net, behavior):
    """B30: congestion that the outer header tells of is told on, or the packet dropped (RFC 6040); C forgets it."""
    for outer in range(4):
        for inside in range(4):
            field = {"tos": inside} if behavior.number == p.IPV4 else {"flow": inside << 20}
            marked = {"tos": 3} if behavior.number == p.IPV4 else {"flow": 3 << 20}
            inner, congested = behavior.inner(**field), behavior.inner(**marked)
            packet = p.chain(SID, [used()], behavior.number, inner, flow=outer << 20)
            as_it_was = behavior.out(inner), (1, len(packet), 0)
            want = as_it_was
            if outer == 3:
                want = (behavior.out(congested), (1, len(packet), 0)) if inside else DROPPED
            suite.add(f"{behavior.name}: ECN {outer} outside, {inside} inside",
                      partial(net.through, behavior.attributes, packet), want,
                      None if want == as_it_was else ("B30", as_it_was))


def stamp(offset):
    """A program that writes the flow hash of a frame into the frame."""
    return [*ebpf.copy(6, 1), *ebpf.call(GET_HASH_RECALC), *ebpf.store(4, 10, -4, 0), *ebpf.copy(1, 6),
            *ebpf.mov(2, offset), *ebpf.copy(3, 10), *ebpf.add(3, -4), *ebpf.mov(4, 4), *ebpf.mov(5, 0),
            *ebpf.call(SKB_STORE_BYTES), *ebpf.returning(-1)]


def of_flows(behavior, chain, target):
    """Packets inside that are of many flows, in outer packets that are all of one: (inner, packet)."""
    for number in range(FLOWS):
        build = p.ip4 if behavior.number == p.IPV4 else p.ip6
        inner = build(p.UDP, target, p.udp(dport=2000 + number))
        if behavior.number == p.ETHERNET:
            inner = p.ether(0x86DD, inner)
        yield inner, p.chain(SID, chain, behavior.number, inner, flow=FLOW_LABEL)


def hashes(net, behavior, chain):
    """How many flow hashes the packets inside have when they leave, if the outer ones have had theirs."""
    seen = set()
    for inner, packet in of_flows(behavior, chain, behavior.target or "fd02::77"):
        [(label, out)] = behavior.out(inner)
        offset = len(inner) - 4 + (0 if behavior.number == p.ETHERNET else 14)
        with watched(DEVICES[label], stamp(offset), TCX_EGRESS):
            [(_, after)] = net.through(behavior.attributes, packet)[0]
        lib.equal(after[:-4], out[:-4], "what comes out")
        seen.add(after[-4:])
    return len(seen)


def neighbors(net, behavior, chain):
    """How many of two neighbors get packets, if the hash of their flow chooses one."""
    seen = set()
    for inner, packet in of_flows(behavior, chain, "fd05::7"):
        [(label, out)] = net.through(behavior.attributes, packet)[0]
        lib.equal(out, p.hop(inner), "what comes out")
        seen.add(label)
    return len(seen)


def hashed(run, *arguments):
    """What a case returns while in0 computes the hash of all that it receives."""
    with watched("in0", HASHED):
        return run(*arguments)


def add_hash(suite, net, behavior, chain):
    """B30: the flow hash is that of the packet inside; with C it is that of the outer packet."""
    suite.add(f"{behavior.name}: {FLOWS} flows in one have hashes of their own",
              partial(hashed, hashes, net, behavior, chain), FLOWS, ("B30", 1))
    if behavior.number == p.IPV6:
        suite.add(f"{behavior.name}: {FLOWS} flows in one are spread over two neighbors",
                  partial(hashed, neighbors, net, behavior, chain), 2, ("B30", 1))


def paged(net, behavior):
    """A packet of which only a part is in the head of the skb: the cuts are in every header."""
    inner = behavior.inner(bytes(range(256)) * 18)
    for chain in ([], [used()], [(p.DSTOPT, partial(p.option, length=1024)), used()]):
        packet = around(behavior, chain, inner)
        start = len(packet) - len(inner)
        for linear in sorted({40, 44, start - 8, start, start + 1, start + 13, start + 19, start + 20, start + 40}):
            if linear >= 40:
                lib.equal(net.through(behavior.attributes, packet, linear),
                          (behavior.out(inner), (1, len(packet), 0)), f"{linear} linear bytes of {start} and the inner")


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    sysctl("net/ipv6/fib_multipath_hash_policy", 1)
    ip_batch(SPREAD)
    for behavior in net.decapsulations():
        add_chains(suite, net, behavior)
        add_insides(suite, net, behavior)
        if behavior.number != p.ETHERNET:
            add_ecn(suite, net, behavior)
        suite.add(f"{behavior.name}: packet in pages", partial(paged, net, behavior))
        packet = around(behavior, [used()])
        suite.add(f"{behavior.name}: cloned packet", partial(net.tapped, behavior.attributes, packet),
                  (behavior.out(behavior.inner()), (1, len(packet), 0), packet))
        add_hash(suite, net, behavior, [used()])
    helper = Decap("End.BPF with End.DT6", end_bpf(ebpf.load_program(opening(0))), p.IPV6, "fd02::77", OUT)
    add_hash(suite, net, helper, [used(1, (A, SID))])
    suite.main()


if __name__ == "__main__":
    main()
