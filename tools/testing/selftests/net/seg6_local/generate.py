# SPDX-License-Identifier: GPL-2.0-or-later
"""Random SIDs, programs and packets for the differential run: the same for the same seed, on every machine.

A configuration is a request for one SID and the packets that are then sent to it. It is made from the seed and its own
number alone, so one of them can be made again without the others. The devices and file descriptors of the guest are
not known here: numbers from `PLACES` stand for them. diff_net.py has the topology that the addresses belong to.
"""

import dataclasses
import random
from typing import NamedTuple

import netlink as nl
import packet as p
from generate_packet import (ANYWHERE4, ANYWHERE6, NEXT4, ROUTED4, ROUTED6, Packets, Target, hmac_srh, segment,
                             srh)
from generate_program import LWT_IN, MAP, PROGRAM, Program

PACKETS = 10
ROUTE_TABLES = (254, 254, 100, 100, 200, 201, 0, 77)
VRF_TABLES = (200,) * 5 + (201,) * 4 + (202, 254, 0)
DEVICES = ("dum0", "in0", "out0", "alt0", "l2", "ve0", "lo", "down0")
PLACES = {name: 0xD1FF0000 + index for index, name in enumerate(DEVICES)}
PLACES.update({PROGRAM: 0xD1FFFF00, LWT_IN: 0xD1FFFF01, MAP: 0xD1FFFF02})
SID = "fcff::e"

# action: (name, how often, what the packets carry)
ACTIONS = {
    nl.END: ("End", 14, (p.UDP, p.UDP, p.IPV6)),
    nl.END_X: ("End.X", 8, (p.UDP, p.UDP, p.IPV6)),
    nl.END_T: ("End.T", 5, (p.UDP, p.UDP, p.IPV6)),
    nl.END_DX2: ("End.DX2", 6, (p.ETHERNET,)),
    nl.END_DX6: ("End.DX6", 7, (p.IPV6,)),
    nl.END_DX4: ("End.DX4", 7, (p.IPV4,)),
    nl.END_DT6: ("End.DT6", 9, (p.IPV6,)),
    nl.END_DT4: ("End.DT4", 6, (p.IPV4,)),
    nl.END_DT46: ("End.DT46", 7, (p.IPV4, p.IPV6)),
    nl.END_B6: ("End.B6", 6, (p.UDP, p.IPV6)),
    nl.END_B6_ENCAP: ("End.B6.Encaps", 7, (p.UDP, p.IPV6)),
    nl.END_BPF: ("End.BPF", 18, (p.UDP, p.IPV6)),
}
DECAPSULATING = {nl.END_DX2, nl.END_DX6, nl.END_DX4, nl.END_DT6, nl.END_DT4, nl.END_DT46}
UNKNOWN_ACTIONS = (0, 11, 14, 17, 255, 0xFFFFFFFF)


@dataclasses.dataclass
class Configuration:
    """One SID and what is sent to it; `packets` are pairs of a packet and the size of its linear part or None.

    With `hooks` the packets run through netfilter, with `cloned` somebody else also holds each packet.
    """

    seed: int
    number: int
    action: int
    attributes: bytes
    target: Target
    program: Program | None = None
    require_hmac: int = 0
    hooks: bool = False
    cloned: bool = False
    packets: list = dataclasses.field(default_factory=list)

    def __str__(self):
        """A line for people, with every attribute."""
        name = ACTIONS[self.action][0] if self.action in ACTIONS else f"action {self.action}"
        words = [name, f"prefix {self.target.prefix}"]
        for kind, data in nl.parse(self.attributes).items():
            if kind not in (nl.ACTION, nl.COUNTERS):
                words.append(f"{ATTRIBUTES.get(kind, kind)} {describe(kind, data)}")
        words += [f"seg6_require_hmac {self.require_hmac}"] if self.require_hmac else []
        words += [name for name, value in (("hooks", self.hooks), ("cloned", self.cloned)) if value]
        words += [str(self.program)] if self.program else []
        return ", ".join(words)


class Outcome(NamedTuple):
    """What a kernel did with a configuration: its answer to the request, and what became of each packet.

    `dump` is the message about the route before the first packet. For each packet there are the frames that came out,
    the memory of the program, and the message about the route after it.
    """

    number: int
    errno: int
    text: str | None
    dump: bytes
    packets: list


ATTRIBUTES = {nl.SRH: "srh", nl.TABLE: "table", nl.NH4: "nh4", nl.NH6: "nh6", nl.IIF: "iif", nl.OIF: "oif",
              nl.BPF: "bpf", nl.VRFTABLE: "vrftable", nl.FLAVORS: "flavors"}


def describe(kind, data):
    """The content of an attribute for people."""
    if kind == nl.NH6 and len(data) == 16:
        return p.text(data)
    if kind == nl.NH4 and len(data) == 4:
        return ".".join(map(str, data))
    if kind in (nl.TABLE, nl.VRFTABLE, nl.OIF, nl.IIF) and len(data) == 4:
        number = int.from_bytes(data, "little")
        return next((name for name, place in PLACES.items() if place == number), str(number))
    return data.hex()


class Generator:
    """Makes configuration `number` of a seed, a number. Even seeds are with hooks, multiples of 3 with clones."""

    def __init__(self, seed, number):
        self.seed = seed
        self.random = random.Random(f"{seed}:{number}")
        self.number = number
        self.program = None

    def configuration(self):
        """A SID of some kind, and its packets."""
        if self.random.random() < 0.12:
            return self.arbitrary()
        weights = [weight for _, weight, _ in ACTIONS.values()]
        action = self.random.choices(list(ACTIONS), weights)[0]
        target = Target(SID)
        if action in (nl.END, nl.END_X):
            attributes, target = self.flavored(action)
        else:
            attributes = self.attributes(action)
        attributes = nl.u32(nl.ACTION, action) + attributes + nl.counters()
        made = Configuration(self.seed, self.number, action, attributes, target, self.program,
                             self.random.choices((0, 1, -1), (88, 8, 4))[0])
        return self.filled(made, PACKETS)

    def filled(self, made, count):
        """The configuration with its packets."""
        made.hooks, made.cloned = self.seed % 2 == 0, self.seed % 3 == 0
        inner = ACTIONS.get(made.action, ACTIONS[nl.END])[2]
        packets = Packets(self.random, made.target, inner, made.action in DECAPSULATING, made.require_hmac)
        if made.program:
            packets.usual_segments = made.program.segments
            packets.large_percent = 0 if made.program.decapsulates() else packets.large_percent
        made.packets = [packets.packet() for _ in range(count)]
        return made

    def device(self):
        """A device, which may be missing or unusable."""
        places = [PLACES[name] for name in DEVICES]
        return self.random.choice(places + [PLACES["out0"], PLACES["alt0"], 4711, 0])

    def nh6(self):
        """A next hop."""
        return p.addr(self.random.choice(("fdff:2::1", "fdff:2::2", "fdff:3::1", "fdff:3::2", *ROUTED6, *ANYWHERE6)))

    def flavored(self, action):
        """Attributes and target of End and End.X: with all flavors."""
        attributes = b""
        if action == nl.END_X:
            attributes = nl.attr(nl.NH6, self.nh6())
            if self.random.random() < 0.4:
                attributes += nl.u32(nl.OIF, self.device())
        choices = (None, None, 0, nl.NEXT_CSID, nl.NEXT_CSID)
        if action == nl.END:
            choices += (nl.PSP, nl.PSP, nl.PSP, nl.PSP, nl.PSP | nl.NEXT_CSID)
        operations = self.random.choice(choices)
        if operations is None:
            return attributes, Target(SID)
        if not operations & nl.NEXT_CSID:
            return attributes + nl.flavors(operations), Target(SID)
        if self.random.random() < 0.3:
            return attributes + nl.flavors(operations), Target.compressed(self.random, 4, 2)
        block = self.random.choice((1, 2, 3, 4, 4, 5, 6, 6, 8, 14, 15))
        node = self.random.choice([size for size in (1, 1, 2, 2, 2, 3, 4, 8, 15) if block + size <= 16])
        return attributes + nl.flavors(operations, 8 * block, 8 * node), Target.compressed(self.random, block, node)

    def attributes(self, action):
        """Good attributes of an action other than End and End.X."""
        pick = self.random.choice
        if action == nl.END_T:
            return nl.u32(nl.TABLE, pick(ROUTE_TABLES))
        if action == nl.END_DX2:
            return nl.u32(nl.OIF, pick((PLACES["l2"], PLACES["l2"], PLACES["out0"], self.device())))
        if action == nl.END_DX6:
            return nl.attr(nl.NH6, pick((bytes(16), self.nh6())))
        if action == nl.END_DX4:
            return nl.attr(nl.NH4, p.addr(pick(("0.0.0.0", "0.0.0.0", *NEXT4, *ROUTED4, pick(ANYWHERE4)))))
        if action == nl.END_DT6 and self.random.random() < 0.5:
            return nl.u32(nl.TABLE, pick((255, *ROUTE_TABLES)))
        if action in (nl.END_DT6, nl.END_DT4, nl.END_DT46):
            return nl.u32(nl.VRFTABLE, pick(VRF_TABLES))
        if action in (nl.END_B6, nl.END_B6_ENCAP):
            return nl.attr(nl.SRH, self.pushed())
        self.program = Program.make(self.random, self.pushed)
        return nl.bpf(PLACES[PROGRAM])

    def pushed(self):
        """A valid SRH to push, and whether its route surely exists and no HMAC is in it."""
        if self.random.random() < 0.06:
            return hmac_srh(self.random, p.SRC)
        return srh(self.random, 0, [segment(self.random) for _ in range(self.random.choice((1, 2, 2, 3, 4)))])

    def arbitrary(self):
        """Attributes that do not fit together, or are not well formed."""
        action = self.random.choice((*ACTIONS, *UNKNOWN_ACTIONS))
        parts = [self.arbitrary_attribute() for _ in range(self.random.randrange(6))]
        if action in (nl.END, nl.END_X):
            parts += [self.arbitrary_flavors(), nl.attr(nl.NH6, self.nh6())]
        elif action in ACTIONS and self.random.random() < 0.7:
            parts.append(self.attributes(action))
        if self.random.random() < 0.5:
            parts.append(nl.counters())
        if self.random.random() < 0.95:
            parts.append(nl.u32(nl.ACTION, action))
        self.random.shuffle(parts)
        made = Configuration(self.seed, self.number, action, b"".join(parts), Target(SID), self.program)
        return self.filled(made, 2)

    def arbitrary_attribute(self):
        """Any attribute with a good or a bad content."""
        make = (self.arbitrary_number, self.arbitrary_bytes, self.arbitrary_flavors, self.arbitrary_bpf,
                self.arbitrary_counters)
        return self.random.choice(make)()

    def arbitrary_number(self):
        """TABLE, VRFTABLE, IIF, OIF or ACTION, sometimes of a wrong size."""
        kind = self.random.choice((nl.TABLE, nl.TABLE, nl.VRFTABLE, nl.VRFTABLE, nl.IIF, nl.OIF, nl.ACTION))
        number = self.random.choice((self.device(), *ROUTE_TABLES, *VRF_TABLES))
        size = self.random.choices((4, 0, 1, 3, 8), (90, 2, 3, 3, 2))[0]
        return nl.attr(kind, number.to_bytes(8, "little")[:size])

    def arbitrary_bytes(self):
        """SRH, NH4, NH6 or an unknown attribute, sometimes wrong."""
        kind = self.random.choice((nl.SRH, nl.SRH, nl.NH4, nl.NH6, nl.NH6, 12, 99))
        content = {nl.SRH: self.arbitrary_srh, nl.NH4: lambda: p.addr(self.random.choice(NEXT4)), nl.NH6: self.nh6}
        data = content.get(kind, lambda: self.random.randbytes(9))()
        cut = self.random.choices((0, 1, 4), (90, 5, 5))[0]
        return nl.attr(kind, data[:len(data) - cut])

    def arbitrary_srh(self):
        """A valid SRH, or one of which a byte is changed."""
        data = bytearray(self.pushed())
        if self.random.random() < 0.5:
            data[self.random.choice((1, 2, 3, 4, 5, self.random.randrange(len(data))))] ^= 1 << self.random.randrange(8)
        return bytes(data)

    def arbitrary_flavors(self):
        """FLAVORS, sometimes unknown ones, without the operations or with wrong lengths."""
        operations = self.random.choice((0, 1, nl.PSP, nl.PSP, nl.USP, nl.USD, nl.NEXT_CSID, nl.NEXT_CSID,
                                         nl.PSP | nl.NEXT_CSID, 1 << 31 | nl.PSP))
        lengths = [self.random.choice((None, 0, 8, 16, 32, 33, 64, 120, 128, 255)) for _ in range(2)]
        data = nl.flavors(operations, *lengths)
        if self.random.random() < 0.2:
            data = nl.attr(nl.FLAVORS, data[12:])
        return data

    def arbitrary_bpf(self):
        """BPF, sometimes without a good program or name."""
        self.program = self.program or Program.make(self.random, self.pushed)
        fd = self.random.choice((PLACES[PROGRAM], PLACES[PROGRAM], PLACES[LWT_IN], PLACES[MAP], -1, 0, 99))
        name = self.random.choice((b"prog\0", b"prog\0", b"\0", b"", b"n" * 256 + b"\0", b"n" * 257, b"no end"))
        parts = [nl.u32(1, fd), nl.attr(2, name)]
        if self.random.random() < 0.2:
            del parts[self.random.randrange(2)]
        return nl.attr(nl.BPF | self.random.choice((0, nl.NESTED)), b"".join(parts))

    def arbitrary_counters(self):
        """COUNTERS, sometimes not all of them."""
        parts = [nl.u64(kind, self.random.randrange(3)) for kind in (2, 3, 4)]
        if self.random.random() < 0.3:
            del parts[self.random.randrange(3)]
        return nl.attr(nl.COUNTERS | self.random.choice((0, nl.NESTED)), b"".join(parts))


def configurations(seed, count):
    """Configurations of a seed with about `count` cases: requests and packets."""
    number = cases = 0
    while cases < count:
        made = Generator(seed, number).configuration()
        cases += 1 + len(made.packets)
        number += 1
        yield made
