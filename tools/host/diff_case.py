# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of a differential run: a request for a SID or a packet, and what two kernels did with it."""

import struct
from dataclasses import dataclass
from typing import NamedTuple

import netlink as nl

REPORT_MAC = bytes.fromhex("333300000016")
ROUTER_MAC = bytes((2, 0, 0, 0, 0, 1))
IPV4, ICMP4 = b"\x08\0", 1


class Answer(NamedTuple):
    """The answer to a request: errno, message, and the attributes of the dump."""

    errno: int
    text: str | None
    dump: bytes

    def lines(self):
        """The answer for people."""
        yield f"errno {self.errno}, {self.text}, dump {self.dump.hex()}"


class Fate(NamedTuple):
    """What became of a packet: frames that came out, results of the program, and what was added to the counters."""

    frames: tuple
    results: tuple
    counters: tuple

    def lines(self):
        """The fate for people."""
        yield f"counters {self.counters}" + (f", program: runs, results {self.results}" if self.results else "")
        for frame in self.frames:
            yield f"{len(frame)} bytes {frame[:14].hex()} {shown(frame[14:])}"


def shown(data):
    """Bytes for people, only the first of many."""
    return data[:400].hex(" ", -4) + (" ..." if len(data) > 400 else "")


@dataclass
class Case:
    """A case: packet `index` of a configuration, or the request for its SID if there is no packet."""

    configuration: object
    index: int | None
    packet: bytes
    linear: int | None
    outcomes: tuple

    def name(self):
        """The number of the case."""
        return f"{self.configuration.number}" + ("" if self.index is None else f".{self.index}")

    def differs(self):
        """Whether the kernels did different things."""
        return self.outcomes[0] != self.outcomes[1]

    def lines(self, names):
        """The case for people; `names` are those of the kernels."""
        if self.index is None:
            yield f"attributes {self.configuration.attributes.hex()}"
        else:
            size = "" if self.linear is None else f", {self.linear} of them linear"
            yield f"packet {len(self.packet)} bytes{size}: {shown(self.packet)}"
        for name, outcome in zip(names, self.outcomes):
            for line in outcome.lines():
                yield f"{name:5} {line}"


def frames_of(frames):
    """The frames without what the router says by itself, and without what it chooses at random."""
    return tuple(masked(frame) for frame in frames if not (frame[:6] == REPORT_MAC and frame[6:12] == ROUTER_MAC))


def masked(frame):
    """A frame without the identification of an ICMP message, which the router chooses, and the checksum over it."""
    if frame[6:14] == ROUTER_MAC + IPV4 and len(frame) >= 34 and frame[23] == ICMP4:
        return frame[:18] + bytes(2) + frame[20:24] + bytes(2) + frame[26:]
    return frame


def encap_of(message):
    """The attributes of a SID in a route message."""
    return nl.parse(message[28:]).get(nl.RTA_ENCAP, b"") if message else b""


def without_program(dump):
    """A dump without the number of the program."""
    program = nl.parse(dump).get(nl.BPF)
    number = nl.parse(program).get(1) if program else None
    return dump.replace(nl.attr(1, number), nl.u32(1, 0)) if number else dump


def counters_of(message):
    """The counters in a route message: packets, bytes and errors; nothing if it has none."""
    nest = nl.parse(encap_of(message)).get(nl.COUNTERS)
    if nest is None:
        return ()
    found = nl.parse(nest)
    return tuple(struct.unpack("=Q", found[kind])[0] for kind in (2, 3, 4))


def answer(outcome):
    """The answer to the request of an outcome."""
    return Answer(outcome.errno, outcome.text, without_program(encap_of(outcome.dump)))


def fates(outcome):
    """What became of the packets of an outcome."""
    before = counters_of(outcome.dump)
    for frames, results, message in outcome.packets:
        after = counters_of(message)
        added = tuple(new - old for new, old in zip(after, before))
        before = after
        yield Fate(frames_of(frames), struct.unpack("=10i", results) if results else (), added)


def cases(configuration, *outcomes):
    """The cases of a configuration; packets only if both kernels accept it."""
    yield Case(configuration, None, b"", None, tuple(map(answer, outcomes)))
    for index, fate in enumerate(zip(*map(fates, outcomes))):
        yield Case(configuration, index, *configuration.packets[index], fate)
