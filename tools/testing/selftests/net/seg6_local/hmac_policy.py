#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The HMAC of an SRH (RFC 8754, Section 2.1.2) and sysctl seg6_require_hmac, for every behavior.

-1 ignores the HMAC, 0 checks it if there is one, 1 demands it. Behaviors that do not look at an SRH, or that find none
where none is needed, do not look for an HMAC (B17). Those that decapsulate pass over any routing header without segments
left (RFC 8200, Section 4.4), but where an HMAC is demanded, a malformed SRH does not have it (B11).
"""

import struct
from dataclasses import dataclass
from functools import partial
from typing import Callable

import ebpf
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from edge import Edge
from topology import ALT, OUT, SID, set_hmac_key, set_tunnel_source, sysctl

A, B = "fd02::a", "fd02::b"
PATH = ["fd02::77", "fd03::9"]
KEY, SECRET = 7, "another secret"
DROPPED = [], (0, 0, 1)
END, END_X = nl.u32(nl.ACTION, nl.END), (nl.u32(nl.ACTION, nl.END_X), nl.addr6(nl.NH6, "fd03::1"))
PSP = "End with PSP"
EXPERIMENTAL = 0x1E  # an option that is skipped by who does not know it (RFC 4727)


@dataclass
class Signed:
    """A behavior: how a packet for it is built from the segments of its SRH, and what comes out for the packet.

    The packet has other headers in front of the SRH (`before`), its TLVs and flags are given by name. What comes out
    is a function of the packet and of where the SRH is.
    """

    name: str
    attributes: tuple
    build: Callable
    out: Callable

    def outcome(self, packet, passes, offset=40):
        """What comes out for the packet if it passes, or does not, and the counters."""
        return (self.out(packet, offset), (1, len(packet), 0)) if passes else DROPPED


def link(segments, left, **fields):
    """An SRH as a link of a chain of headers."""
    return p.RH, lambda nexthdr: p.srh(nexthdr, segments, left, **fields)


def to_advance(segments, before=(), **fields):
    """A packet with segments left."""
    return p.chain(SID, [*before, link(segments, len(segments) - 1, **fields)], p.UDP, p.udp())


def to_open(behavior, segments, before=(), **fields):
    """A packet with a packet inside and no segment left."""
    return p.chain(SID, [*before, link(segments, 0, **fields)], behavior.number, behavior.inner())


def advanced(packet, offset):
    """A packet whose next segment is the destination."""
    left = packet[offset + 3] - 1
    segment = packet[offset + 8 + 16 * left:][:16]
    return p.edit(p.edit(packet, offset + 3, bytes((left,))), 24, segment)


def popped(packet, offset):
    """The same, without the SRH if no segment is left; there is at most one header in front of it."""
    after = advanced(packet, offset)
    if after[offset + 3]:
        return after
    rest = after[offset + 8 * (packet[offset + 1] + 1):]
    announcing = 6 if offset == 40 else 40
    after = p.edit(after[:offset] + rest, announcing, packet[offset:offset + 1])
    return p.edit(after, 4, struct.pack("!H", len(after) - 40))


def inserted(packet, _):
    """A packet with the SRH of the policy in front of the other."""
    return p.inline(packet, PATH, 1)


def encapsulated(packet, offset):
    """A packet, whose next segment is the destination, in that of the policy."""
    return p.encapsulated(advanced(packet, offset), PATH, 1)


def advancing():
    """The behaviors that need a segment left."""
    idle = ebpf.load_program(ebpf.returning(ebpf.OK))
    path = nl.attr(nl.SRH, p.srh(0, PATH, 1))
    for name, label, make, *attributes in (
        ("End", OUT, advanced, END),
        (PSP, OUT, popped, END, nl.flavors(nl.PSP)),
        ("End.X", ALT, advanced, *END_X),
        ("End.T", ALT, advanced, nl.u32(nl.ACTION, nl.END_T), nl.u32(nl.TABLE, 100)),
        ("End.BPF", OUT, advanced, nl.u32(nl.ACTION, nl.END_BPF), nl.bpf(idle)),
        ("End.B6", ALT, inserted, nl.u32(nl.ACTION, nl.END_B6), path),
        ("End.B6.Encaps", ALT, encapsulated, nl.u32(nl.ACTION, nl.END_B6_ENCAP), path),
    ):
        def out(packet, offset, label=label, make=make):
            """What comes out."""
            return [(label, p.hop(make(packet, offset)))]

        yield Signed(name, attributes, to_advance, out)


def opening(net):
    """The behaviors that decapsulate."""
    for behavior in net.decapsulations():
        def out(_packet, _offset, behavior=behavior):
            """What comes out."""
            return behavior.out(behavior.inner())

        yield Signed(behavior.name, behavior.attributes, partial(to_open, behavior), out)


def behaviors(net):
    """All behaviors that look at the HMAC."""
    yield from advancing()
    yield from opening(net)


def with_policy(net, require, attributes, packet, **route):
    """What a SID does with a packet when sysctl seg6_require_hmac is `require`."""
    sysctl("net/ipv6/conf/in0/seg6_require_hmac", require)
    try:
        return net.through(attributes, packet, **route)
    finally:
        sysctl("net/ipv6/conf/in0/seg6_require_hmac", 0)


def signature(segments=(A, SID), key=KEY, secret=SECRET, flags=8):
    """The flags and TLVs of an SRH with an HMAC."""
    return {"flags": flags, "tlvs": p.hmac_tlv(key, p.digest(secret, p.SRC, segments, key, flags))}


def packets(build):
    """Packets: (name, packet, whether it passes with -1, 0 and 1)."""
    def signed(segments=(A, SID), **fields):
        """A packet with an HMAC."""
        return build(segments, **signature(segments, **fields))

    many = (A,) * 14 + (SID,)
    good = signed()
    yield "no HMAC", build((A, SID)), (True, True, False)
    yield "a good HMAC", good, (True, True, True)
    yield "a good HMAC over 14 segments", signed(many[1:]), (True, True, True)
    yield "an HMAC over 15 segments", signed(many), (True, False, False)
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
            suite.add(f"{behavior.name}, seg6_require_hmac={require}: {name} {'passes' if passes else 'is dropped'}",
                      partial(with_policy, net, require, behavior.attributes, packet),
                      behavior.outcome(packet, passes))


def fronts():
    """SRHs that are not the first header: (name, header in front, fields of the SRH, policy, whether it passes)."""
    options, good = (p.DSTOPT, p.option), signature()
    replay = p.DSTOPT, lambda nexthdr: p.srh(nexthdr, (A, SID), 76, kind=EXPERIMENTAL, **good)  # an option of 76 octets
    yield "a good HMAC behind destination options", options, good, 1, True
    yield "a wrong HMAC behind destination options", options, signature(secret="guess"), 0, False
    yield "no HMAC behind destination options that repeat an SRH with a good one", replay, {}, 1, False


def second_srhs():
    """The same for SRHs behind one without segments left."""
    used, signed = link((B, SID), 0), link((B, SID), 0, **signature((B, SID)))
    yield "a good HMAC behind a used SRH without one", used, signature(), 1, True
    yield "a wrong HMAC behind a used SRH without one", used, signature(secret="guess"), 0, False
    yield "no HMAC behind a used SRH with a good one", signed, {}, 1, False
    yield "a good HMAC behind a used SRH with a wrong one", link((B, SID), 0, **signature()), signature(), 0, True


def add_behind(suite, net, behavior, rows):
    """B6: what is in front of the SRH does not matter, but C looks for the HMAC there."""
    for name, front, fields, require, passes in rows:
        packet = behavior.build((A, SID), before=[front], **fields)
        outcomes = {result: behavior.outcome(packet, result, 40 + len(front[1](0))) for result in (True, False)}
        suite.add(f"{behavior.name}, seg6_require_hmac={require}: {name} {'passes' if passes else 'is dropped'}",
                  partial(with_policy, net, require, behavior.attributes, packet), outcomes[passes],
                  ("B6", outcomes[not passes]))


def grown(net, script, segments, packet):
    """What a SID does behind one whose program has made the SRH grow, if both demand an HMAC."""
    script.write([s.adjust_srh(40 + 8 + 16 * len(segments), 8)])
    with net.installed(*end_bpf(script.seg6local), dst=segments[-1]):
        return with_policy(net, 1, [END], packet)


def add_grown(suite, net, script):
    """B5: C looks for the HMAC where the SRH was before it moved."""
    segments = (A, SID, "fcff::b")
    fields = signature(segments)
    packet = p.sr(segments[-1], segments, 2, **fields)
    fields["tlvs"] = bytes(8) + fields["tlvs"]
    suite.add("End: a good HMAC of an SRH that a program has made grow, seg6_require_hmac=1",
              partial(grown, net, script, segments, packet),
              ([(OUT, p.sr(A, segments, 0, hlim=63, **fields))], (1, len(packet) + 8, 0)), known=("B5", DROPPED))


def add_no_srh(suite, net, behavior):
    """B17: a packet without an SRH is opened whatever the policy is."""
    packet = p.ip6(behavior.number, SID, behavior.inner())
    suite.add(f"{behavior.name}, seg6_require_hmac=1: no SRH passes",
              partial(with_policy, net, 1, behavior.attributes, packet),
              (behavior.out(behavior.inner()), (1, len(packet), 0)))


def passed_over():
    """Headers without segments left of which some is no valid SRH: (name, headers, whether they pass with 1)."""
    segments, past_end = (A, SID), bytes((200, 78)) + bytes(6)
    good, wrong = signature(), signature(secret="guess")
    options, last_entry = (p.DSTOPT, p.option), link(segments, 0, last=2)
    yield "Last Entry out of range", [last_entry], False
    yield "Last Entry 255", [link(segments, 0, last=255)], False
    yield "a Last Entry before segments that are no TLVs", [link(segments, 0, last=0)], False
    yield "a TLV past the end", [link(segments, 0, tlvs=bytes((200, 7)) + bytes(6))], False
    yield "a byte behind the TLVs", [link(segments, 0, tlvs=p.pad(7) + b"\1")], False
    yield "no segment", [link((), 0, last=0)], False
    yield "half a segment", [link((), 0, last=0, tlvs=bytes(8))], False
    yield "a TLV past the end and a good HMAC", [link(segments, 0, flags=8, tlvs=past_end + good["tlvs"])], False
    yield "a TLV past the end and a wrong HMAC", [link(segments, 0, flags=8, tlvs=past_end + wrong["tlvs"])], False
    yield "Last Entry out of range behind destination options", [options, last_entry], False
    yield "Last Entry out of range before destination options", [last_entry, options], False
    yield "Last Entry out of range behind a good HMAC", [link(segments, 0, **good), last_entry], True
    for kind in (0, 2, 3, 5, 253):
        yield f"type {kind}", [link(segments, 0, kind=kind)], True
        yield f"type {kind} and Last Entry out of range", [link(segments, 0, kind=kind, last=2)], True
    yield "type 2 before Last Entry out of range", [link(segments, 0, kind=2), last_entry], True


def add_passed_over(suite, net, behavior):
    """B11: with C they always pass."""
    for name, chain, passes_with_1 in passed_over():
        packet = p.chain(SID, chain, behavior.number, behavior.inner())
        passed = behavior.out(behavior.inner()), (1, len(packet), 0)
        for require in (-1, 0, 1):
            passes = passes_with_1 or require < 1
            suite.add(f"{behavior.name}, seg6_require_hmac={require}: {name} {'passes' if passes else 'is dropped'}",
                      partial(with_policy, net, require, behavior.attributes, packet), passed if passes else DROPPED,
                      None if passes else ("B11", passed))


def add_csid(suite, net):
    """B17: while the next compressed SID comes from the destination address, nobody looks at the SRH."""
    dst, prefix, after = "fc00:0:e:b::", "fc00:0:e::", "fc00:0:b::"
    route = {"dst": prefix, "length": 48}
    signed = signature((A, prefix))
    for name, label, *attributes in (("End", OUT, END, nl.flavors(nl.NEXT_CSID)),
                                     (PSP, OUT, END, nl.flavors(nl.NEXT_CSID | nl.PSP)),
                                     ("End.X", ALT, *END_X, nl.flavors(nl.NEXT_CSID))):
        title = f"{name}, NEXT-C-SID, seg6_require_hmac=1"
        for what, packet in (("no SRH", p.ip6(p.UDP, dst, p.udp())), ("no HMAC", p.sr(dst, [A, prefix], 1)),
                             ("a wrong HMAC", p.sr(dst, [B, prefix], 1, **signed))):
            suite.add(f"{title}: {what} passes if there is an argument",
                      partial(with_policy, net, 1, attributes, packet, **route),
                      ([(label, p.hop(p.edit(packet, 24, p.addr(after))))], (1, len(packet), 0)))
        for what, packet in (("no HMAC", p.sr(prefix, [A, prefix], 1)),
                             ("a wrong HMAC", p.sr(prefix, [B, prefix], 1, **signed))):
            suite.add(f"{title}: {what} is dropped if there is no argument",
                      partial(with_policy, net, 1, attributes, packet, **route), DROPPED)


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Edge()
    suite = net.suite()
    set_tunnel_source()
    set_hmac_key(KEY, SECRET)
    for behavior in behaviors(net):
        add_policies(suite, net, behavior)
        add_behind(suite, net, behavior, fronts())
    for behavior in advancing():
        if behavior.name != PSP:  # which looks at the first routing header alone
            add_behind(suite, net, behavior, second_srhs())
    add_grown(suite, net, script)
    for behavior in net.decapsulations():
        add_no_srh(suite, net, behavior)
        add_passed_over(suite, net, behavior)
    add_csid(suite, net)
    suite.main()


if __name__ == "__main__":
    main()
