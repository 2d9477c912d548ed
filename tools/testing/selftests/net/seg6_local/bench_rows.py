# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: packets, and the SIDs that serve them."""

import fnmatch
from dataclasses import dataclass, replace
from typing import Callable

import netlink as nl
import packet as p
from bench_scene import DEEP, SEGMENT

SID, NEXT, TARGET = "fcff::e00", "fd02::a00", "fd08::1"
LUCKY, CSID = "fd02:0:5000::a", "fc00:0:e00::"
PATH = ["fd03::9", "fd02::77"]
PLAIN, PLAIN_64, PLAIN_4 = "plain forwarding", "plain, 64 destinations", "plain IPv4"
PLAIN_4096 = "plain, 4,096 destinations"
DST, SEGMENT_0, INNER_DST, NEXT_CSID = 38, 62, 40 + 40 + 38, 30  # the last two bytes of addresses, and a C-SID
STACKED, ENCAPSULATED = 40, 80
MANY = 25


@dataclass(frozen=True)
class Row:
    """A packet, the routes that serve it as a function of the scene, and by how many bytes it grows.

    `changes` is the offset of two bytes that have so many values, `tcp` that of the header if it is a segment of TCP
    that is to be merged with others, and `above` the name of the row of plain forwarding that the row is compared with.
    The short ones run in `make test`. Those whose routes are freed by RCU, which is at times, have more runs.
    """

    name: str
    packet: bytes
    routes: Callable = lambda _: []
    grows: int = 0
    changes: int = 0
    values: int = 1
    above: str = PLAIN
    scene: str = ""
    tcp: int = None
    runs: int = 5
    short: bool = False


def sid(scene, *attributes, dst=SID, length=128):
    """The message of a SID's route."""
    return nl.route(f"{dst}/{length}", nl.u32(nl.RTA_OIF, scene.devices["in0"]),
                    nl.encap(nl.ENCAP_SEG6_LOCAL, b"".join(attributes)))


def action(number, *attributes, **options):
    """The routes of a row with one SID."""
    return lambda scene: [sid(scene, nl.u32(nl.ACTION, number), *attributes, **options)]


def end_bpf(source, name, compiled=1):
    """The routes of a row with one SID that runs a program."""
    return lambda scene: action(nl.END_BPF, nl.bpf(source.program(name, compiled), name))(scene)


def lwt_in(source, name, compiled=1):
    """The routes of a row with an LWT_IN program."""
    def routes(scene):
        """The route of TARGET."""
        data = nl.attr(1 | nl.NESTED, nl.u32(1, source.program(name, compiled)) + nl.attr(2, b"lwt_in\0"))
        return [nl.route(f"{TARGET}/128", nl.u32(nl.RTA_OIF, scene.devices["out0"]),
                         nl.addr6(nl.RTA_GATEWAY, "fdff:2::1"), nl.encap(nl.ENCAP_BPF, data))]
    return routes


def sids(scene):
    """64 SIDs."""
    addresses = (p.text(p.edit(p.addr(SID), 15, bytes((number,)))) for number in range(64))
    return [sid(scene, nl.u32(nl.ACTION, nl.END), dst=address) for address in addresses]


def to_sid(after=NEXT, segments=2):
    """A packet to a SID with an SRH whose next segment is `after`."""
    return p.sr(SID, [after, SID, *["fd02::1"] * 8][:segments], 1)


def carried(inner, left=0):
    """A packet that carries another one to a SID."""
    number = p.IPV4 if inner[0] >> 4 == 4 else p.IPV6
    return p.ip6(p.RH, SID, p.srh(number, [NEXT, SID], left) + inner)


def at_table(number):
    """The attribute that names a table."""
    return nl.u32(nl.TABLE, number)


def with_many(row, name, changes):
    """A row, the same with 64 destinations, and with more than a cache can hold."""
    yield row
    yield replace(row, name=f"{row.name}, 64 {name}", changes=changes, values=64, above=PLAIN_64, short=False)
    yield replace(row, name=f"{row.name}, 4,096 {name}", changes=changes, values=4096, above=PLAIN_4096, short=False)


INNER6, INNER4 = p.ip6(p.UDP, NEXT, p.udp()), p.ip4(p.UDP, "10.12.0.7", p.udp())
VRF_INNER6, VRF_INNER4 = p.ip6(p.UDP, "fd04::7", p.udp()), p.ip4(p.UDP, "10.14.0.7", p.udp())
PACKET = to_sid()


def plain_rows():
    """Without a SID."""
    packet = p.sr(NEXT, [NEXT, SID], 0)
    yield Row(PLAIN, packet, short=True)
    yield Row(PLAIN_64, packet, changes=DST, values=64, above=PLAIN_64)
    yield Row(PLAIN_4096, packet, changes=DST, values=4096, above=PLAIN_4096)
    yield Row(PLAIN_4, INNER4, above=PLAIN_4)


def end_rows():
    """End, End.X, End.T, and flavors."""
    end = Row("End", PACKET, action(nl.END), short=True)
    yield from with_many(end, "next segments", SEGMENT_0)
    yield replace(end, name="End, 10 segments", packet=to_sid(segments=10), short=False)
    yield replace(end, name="End, 64 SIDs", routes=sids, changes=DST, values=64, above=PLAIN_64, short=False)
    yield replace(end, name="End, counters", routes=action(nl.END, nl.counters()), short=False)
    yield Row("End.X (on-link)", PACKET, action(nl.END_X, nl.addr6(nl.NH6, "fdff:2::1")), runs=MANY, short=True)
    yield Row("End.X (through a gateway)", PACKET, action(nl.END_X, nl.addr6(nl.NH6, "fd03::1")))
    yield from with_many(Row("End.T", PACKET, action(nl.END_T, at_table(100)), short=True),
                         "next segments", SEGMENT_0)
    yield from with_many(Row("End, psp", PACKET, action(nl.END, nl.flavors(nl.PSP)), -40), "next segments", SEGMENT_0)
    yield from with_many(Row("NEXT-C-SID", p.ip6(p.UDP, "fc00:0:e00:f000::", p.udp()),
                             action(nl.END, nl.flavors(nl.NEXT_CSID), dst=CSID, length=48), short=True),
                         "next C-SIDs", NEXT_CSID)


def decap_rows():
    """Behaviors that take headers off."""
    off = -STACKED - 40
    yield from with_many(Row("End.DT6 table", carried(INNER6), action(nl.END_DT6, at_table(100)), off, short=True),
                         "destinations", INNER_DST)
    yield Row("End.DX6 (on-link)", carried(INNER6), action(nl.END_DX6, nl.addr6(nl.NH6, "fdff:2::1")), off,
              runs=MANY)
    dx6 = Row("End.DX6 (to the destination)", carried(INNER6), action(nl.END_DX6, nl.addr6(nl.NH6, "::")), off)
    yield from with_many(dx6, "destinations", INNER_DST)
    yield Row("End.DX4 (on-link)", carried(INNER4), action(nl.END_DX4, nl.attr(nl.NH4, p.addr("10.2.0.1"))), off,
              above=PLAIN_4, runs=MANY)
    frame = p.ether(0x88B5, p.udp())
    yield Row("End.DX2", p.ip6(p.RH, SID, p.srh(p.ETHERNET, [NEXT, SID], 0) + frame),
              lambda scene: action(nl.END_DX2, nl.u32(nl.OIF, scene.devices["out0"]))(scene), off - 14)
    vrf = nl.u32(nl.VRFTABLE, 200)
    for name, number, inner, above in (
            ("End.DT6 VRF", nl.END_DT6, VRF_INNER6, PLAIN), ("End.DT4 VRF", nl.END_DT4, VRF_INNER4, PLAIN_4),
            ("End.DT46 VRF, IPv6", nl.END_DT46, VRF_INNER6, PLAIN),
            ("End.DT46 VRF, IPv4", nl.END_DT46, VRF_INNER4, PLAIN_4)):
        yield Row(name, carried(inner), action(number, vrf), off, above=f"{above} (VRF)", scene="VRF")


def policy_rows():
    """Behaviors that put headers on."""
    path = nl.attr(nl.SRH, p.srh(0, PATH, 1))
    yield Row("End.B6", PACKET, action(nl.END_B6, path), STACKED)
    yield Row("End.B6.Encaps", PACKET, action(nl.END_B6_ENCAP, path), ENCAPSULATED)


def bpf_rows(source, compiled, suffix):
    """Programs, compiled or interpreted."""
    def row(name, program, grows=0, **options):
        """A row of End.BPF."""
        return Row(name + suffix, PACKET, end_bpf(source, program, compiled), grows, **options)

    yield from with_many(row("End.BPF, nothing", "nothing", short=compiled), "next segments", SEGMENT_0)
    yield row("tag read and written", "tag", short=compiled)
    yield row("flags", "flags")
    yield row("8-byte TLV added", "tlv_8", 8, short=compiled)
    yield row("24 bytes of TLVs", "tlvs_24", 24)
    yield row("helper End.X", "end_x")
    yield from with_many(row("helper End.T", "end_t"), "next segments", SEGMENT_0)
    yield replace(row("helper End.DT6", "end_dt6", -STACKED - 40), packet=carried(INNER6, 1))
    yield row("helper End.B6", "end_b6", STACKED)
    yield row("helper End.B6.Encaps", "end_b6_encaps", ENCAPSULATED)
    packet = p.ip6(p.UDP, TARGET, p.udp())
    for name, program, grows in (("SEG6", "push_encaps", ENCAPSULATED), ("INLINE", "push_inline", STACKED)):
        yield Row(f"LWT_IN push, {name}{suffix}", packet, lwt_in(source, program, compiled), grows, short=compiled)
        yield Row(f"LWT_IN push, {name}, BPF_OK{suffix}", packet, lwt_in(source, program + "_ok", compiled), grows)


def rule_rows(source):
    """The same in namespaces that have a VRF, or rules."""
    found = [row for row in one_scene(source) if row.values == 1 and not row.scene]
    ends = [row for row in found if row.name in (PLAIN, "End", "End.T")]
    for scene, base in (("VRF", found), ("VRF, rule local moved", ends), ("custom rule", found)):
        for row in base:
            yield replace(row, name=f"{row.name} ({scene})", scene=scene, above=f"{row.above} ({scene})", short=False)


def table_rows():
    """The same with more or fewer routes, of which many hold the destination, so with a deep tree.

    The 64 destinations, which have these routes in common, make the kernel look up the route of each packet.
    """
    for scene in ("1 route", "1,000 routes", "100,000 routes"):
        above, dt6 = f"{PLAIN_64} ({scene})", action(nl.END_DT6, at_table(254))
        inner = carried(p.ip6(p.UDP, DEEP, p.udp()))
        yield Row(above, p.sr(DEEP, [DEEP, SID], 0), scene=scene, changes=DST, values=64, above=above)
        end = Row(f"End ({scene})", to_sid(DEEP), action(nl.END), scene=scene, above=above)
        yield end
        yield replace(end, name=f"End, 64 next segments ({scene})", changes=SEGMENT_0, values=64)
        yield Row(f"End.DT6 table ({scene})", inner, dt6, -STACKED - 40, scene=scene, above=above)


def gro_rows():
    """Segments of TCP from a veth device, which merges them.

    They are in a tunnel: the checksum of TCP covers the last segment of an SRH that is not around a packet, so on the
    way to the others a device cannot tell whether it is right, and merges nothing. What leaves with an SRH is dropped
    unless the fifth byte of segment 0 is a length that TCP could have (gso.py): here it is 0x50.
    """
    path = nl.attr(nl.SRH, p.srh(0, [LUCKY, "fd02:0:5000::77"], 1))
    inner = p.ip6(p.TCP, LUCKY, p.summed(p.TCP, p.SRC, LUCKY, p.tcp(b"\xff" * 4 + bytes(SEGMENT - 4), seq=0)))
    above = f"{PLAIN} (TCP, GRO)"
    yield Row(above, inner, scene="GRO", tcp=40, above=above)
    for name, routes, left, grows in (("End", action(nl.END), 1, 0),
                                      ("End.DT6 table", action(nl.END_DT6, at_table(100)), 0, -STACKED - 40),
                                      ("End.B6.Encaps", action(nl.END_B6_ENCAP, path), 1, ENCAPSULATED)):
        packet = p.ip6(p.RH, SID, p.srh(p.IPV6, [LUCKY, SID], left) + inner)
        yield Row(f"{name} (TCP, GRO)", packet, routes, grows, scene="GRO", tcp=40 + STACKED + 40, above=above)


def one_scene(source):
    """The rows of programs that are compiled and of behaviors, mostly in the same scene."""
    yield from plain_rows()
    yield from end_rows()
    yield from decap_rows()
    yield from policy_rows()
    yield from bpf_rows(source, 1, "")


def rows(source):
    """All rows."""
    yield from one_scene(source)
    yield from bpf_rows(source, 0, " (interpreter)")
    yield from rule_rows(source)
    yield from table_rows()
    yield from gro_rows()


def chosen(source, patterns, short):
    """The rows whose names match one of the patterns, and what they are compared with, in order."""
    found = [*rows(source)]
    wanted = {row.name for row in found if any(fnmatch.fnmatchcase(row.name, pattern) for pattern in patterns)
              and (row.short or not short)}
    wanted |= {row.above for row in found if row.name in wanted}
    return [row for row in found if row.name in wanted]
