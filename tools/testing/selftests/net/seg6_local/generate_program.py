# SPDX-License-Identifier: GPL-2.0-or-later
"""Random programs of End.BPF: a few helper calls, whose results go into a map.

The C implementation follows stale or unchecked pointers after some calls (B2, B3, B4, B7 of the differences), and what
it does then depends on the memory of the machine. So no program edits the SRH after End.DT6, calls a helper after an
encapsulation that may fail, or lets the SRH grow much, and one that calls End.DT6 gets no packet of more than a page.
"""

import dataclasses
import struct

import ebpf
import netlink as nl
import packet as p
from generate_packet import ANYWHERE6, ROUTED6, chance

PROGRAM, LWT_IN, MAP = "program", "LWT_IN program", "map"
MAP_NUMBER = 0xD1FFFF02  # stands for the file descriptor of the map
MAP_SIZE = 40
ACTIONS = {nl.END_X: "End.X", nl.END_T: "End.T", nl.END_DT6: "End.DT6", nl.END_B6: "End.B6",
           nl.END_B6_ENCAP: "End.B6.Encaps"}
VERDICTS = (ebpf.OK,) * 6 + (ebpf.REDIRECT,) * 5 + (ebpf.DROP, 1, 128, -1)


@dataclasses.dataclass
class Call:
    """A call of a helper: `number` is an offset or an action; `delta` belongs to adjust_srh."""

    helper: int
    number: int
    data: bytes = b""
    delta: int = 0

    def __str__(self):
        """The call as in C."""
        if self.helper == ebpf.ADJUST_SRH:
            return f"adjust_srh({self.number}, {self.delta})"
        if self.helper == ebpf.STORE_BYTES:
            return f"store_bytes({self.number}, {self.data.hex()}, {len(self.data)})"
        return f"action({ACTIONS.get(self.number, self.number)}, {self.data.hex()})"

    def code(self):
        """The call; register 6 is the packet."""
        code = []
        padded = self.data.ljust(len(self.data) + -len(self.data) % 4, b"\0")
        for at in range(0, len(padded), 4):
            word = struct.unpack_from("=i", padded, at)[0]
            code += [ebpf.insn(0x62, 10, 0, at - len(padded), word)]
        code += [*ebpf.copy(1, 6), ebpf.insn(0xB4, 2, immediate=struct.unpack("=i", struct.pack("=I", self.number))[0])]
        if self.helper == ebpf.ADJUST_SRH:
            code += ebpf.mov(3, self.delta)
        else:
            code += [*ebpf.copy(3, 10), *ebpf.add(3, -len(padded)), *ebpf.mov(4, len(self.data))]
        return [*code, *ebpf.call(self.helper)]

    def instructions(self, index):
        """The call, and its result to element `index` of the map's results."""
        return [*self.code(), *ebpf.store(4, 7, 8 + 4 * index, 0), ebpf.jump_if_not_negative(1), *ebpf.mov(8, 1)]


@dataclasses.dataclass
class Program:
    """Calls, and what the program returns if all succeed and if one fails; for SRHs of so many segments."""

    calls: list
    verdict: int
    verdict_on_error: int
    segments: int

    def __str__(self):
        """The calls and the verdicts."""
        calls = "; ".join(map(str, self.calls))
        return f"program {{{calls}}} returns {self.verdict} or, after an error, {self.verdict_on_error}"

    def instructions(self):
        """The code; register 6 is the packet, 7 the map's element, 8 whether a call has failed."""
        jump_if_found, jump_if_good = ebpf.insn(0x55, 0, 0, 1), ebpf.insn(0x15, 8, 0, 1)
        key = [ebpf.insn(0x62, 10, 0, -4, 0), *ebpf.copy(2, 10), *ebpf.add(2, -4)]
        code = [*ebpf.copy(6, 1), *ebpf.mov(8, 0), *key, *ebpf.map_fd(1, MAP_NUMBER - (1 << 32)), *ebpf.call(1),
                jump_if_found, *ebpf.EXIT,
                *ebpf.copy(7, 0), *ebpf.load(4, 1, 7, 0), *ebpf.add(1, 1), *ebpf.store(4, 7, 0, 1)]
        for index, call in enumerate(self.calls):
            code += call.instructions(index)
        return b"".join([*code, *ebpf.mov(0, self.verdict), jump_if_good, *ebpf.mov(0, self.verdict_on_error),
                         *ebpf.EXIT])

    def calls_action(self, *actions):
        """Whether the program calls one of these actions."""
        return any(call.helper == ebpf.ACTION and call.number in actions for call in self.calls)

    def decapsulates(self):
        """Whether the program may remove headers."""
        return self.calls_action(nl.END_DT6)

    def encapsulates(self):
        """Whether the program may add an SRH."""
        return self.calls_action(nl.END_B6, nl.END_B6_ENCAP)

    @classmethod
    def make(cls, random, pushed):
        """A random program; pushed() makes an SRH."""
        verdict = random.choice(VERDICTS)
        made = cls([], verdict, verdict if chance(random, 60) else random.choice(VERDICTS), random.choice((1, 2, 2, 3)))
        for _ in range(random.choice((0, 1, 1, 2, 3, 4))):
            made.calls.append(Maker(random, made.segments, pushed).call(made.calls))
            if is_risky(made.calls[-1]):
                break
        return made


def is_risky(call):
    """Whether C may keep a stale pointer after this call."""
    if call.helper != ebpf.ACTION or call.number not in (nl.END_B6, nl.END_B6_ENCAP):
        return False
    last, flags = call.data[4:6]
    to_itself = call.number == nl.END_B6 and last == 0
    return to_itself or flags & 8 != 0 or call.data[8 + 16 * last:24 + 16 * last] not in map(p.addr, ROUTED6)


class Maker:
    """Makes calls for SRHs of so many segments at offset 40."""

    def __init__(self, random, segments, pushed):
        self.random, self.pushed = random, pushed
        self.tlvs = 48 + 16 * segments

    def call(self, before):
        """A call that may follow the calls `before`."""
        decapsulated = any(call.helper == ebpf.ACTION and call.number == nl.END_DT6 for call in before)
        if decapsulated or chance(self.random, 35):
            return self.action()
        return self.store_bytes() if chance(self.random, 50) else self.adjust_srh()

    def offset(self):
        """An offset around the borders of the SRH or somewhere else."""
        return self.random.choice((40, 44, 45, 45, 46, 46, 47, 48, self.tlvs - 8, self.tlvs - 1, self.tlvs, self.tlvs,
                                   self.tlvs, self.tlvs + 1, self.tlvs + 8, self.tlvs + 16, 0, 7, 64, 1 << 31,
                                   0xFFFFFFFF, self.random.randrange(200)))

    def store_bytes(self):
        """A call of store_bytes."""
        size = self.random.choice((1, 1, 2, 2, 3, 8, 8, 16, 40))
        return Call(ebpf.STORE_BYTES, self.offset(),
                    self.random.choice((p.pad(max(size, 2))[:size], bytes(size), self.random.randbytes(size))))

    def adjust_srh(self):
        """A call of adjust_srh."""
        delta = self.random.choice((8, 8, 8, 16, 40, -8, -8, -16, 0, 1, 2, 4, -1, -4, 64, -(1 << 31), 2040, 2048))
        return Call(ebpf.ADJUST_SRH, self.offset(), delta=delta)

    def action(self):
        """A call of action."""
        kind = self.random.choice((*ACTIONS, *ACTIONS, *ACTIONS, 0, nl.END, nl.END_DX6, nl.END_DT46))
        if kind in (nl.END_B6, nl.END_B6_ENCAP):
            data = self.pushed()
        elif kind == nl.END_X:
            data = p.addr(self.random.choice(ROUTED6 + ROUTED6 + ANYWHERE6))
        else:
            data = struct.pack("=i", self.random.choice((0, 254, 100, 200, 201, 77)))
        return Call(ebpf.ACTION, kind, data if chance(self.random, 93) else data[:-1])
