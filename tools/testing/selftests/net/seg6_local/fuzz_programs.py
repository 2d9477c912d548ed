# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that call the helpers at random, with hostile arguments, on whole and on broken packets.

Most are scripts: blast writes the calls into the map of progs/script.bpf.c. The others are loaded as such.
"""

import collections
import os
import random

import blaster
import ebpf
import generate_program
import netlink as nl
import packet as p
import script
from diff import Player, load_program
from diff_net import sid
from generate import PLACES, SID
from generate_packet import Packets, Target, segment, srh
from lwt_in import lwt_bpf
from topology import Installed

SCRIPTS, PACKETS_OF_SCRIPT = 256, 3
PROGRAMS, PACKETS_OF_PROGRAM, MAX_CALLS = 12, 32, 8
EDGES = (0, 1, 39, 40, 2047, 2048, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF)


class Maker(generate_program.Maker):
    """Makes calls without regard to what the C implementation survives."""

    def offset(self):
        """An offset, also one near a border of the number range."""
        return self.random.choice(EDGES) if self.random.random() < 0.1 else super().offset()

    def adjust_srh(self):
        """A call of adjust_srh, also with a huge delta."""
        made = super().adjust_srh()
        if self.random.random() < 0.2:
            made.delta = self.random.choice(EDGES) - self.random.choice((0, 1 << 31))
            made.delta = max(-(1 << 31), min(made.delta, (1 << 31) - 1))
        return made


class Programs(Player):
    """For each number a SID with scripts, or a route of type LWT_IN, and SIDs with programs of their own.

    Every third number gets clones.
    """

    def __init__(self, seed):
        super().__init__()
        self.seed = seed
        self.blaster = blaster.Blaster(self.net)
        self.script = script.Script()

    def run(self, number, part=(0, SCRIPTS * PACKETS_OF_SCRIPT)):
        """Runs a part of the scripts, on that many packets, and all of the programs; returns the counts."""
        chosen = random.Random(f"{self.seed}:{number}:programs")
        self.clone(number % 3 == 0)
        counts = self.run_scripts(chosen, number, part)
        for index in range(PROGRAMS):
            counts += self.run_program(chosen, number, index)
        return counts

    def run_scripts(self, chosen, number, part):
        """Many scripts for one program."""
        is_lwt_in = number % 4 == 3
        target = Target("fd08::1" if is_lwt_in else SID)
        fd = self.script.lwt_in if is_lwt_in else self.script.seg6local
        route = lwt_bpf(self.net, fd, "fd08::/16", "fdff:2::1") if is_lwt_in else self.sid_of(fd)
        options = (f"-b{PACKETS_OF_SCRIPT}", f"-m{self.script.map.fd}", *((f"-l{fd}",) if is_lwt_in else ()))
        counts = self.blast(route, packets(chosen, target), blaster.PATH, number, part, *options)
        return counts + collections.Counter(scripts=part[1] // PACKETS_OF_SCRIPT)

    def run_program(self, chosen, number, index):
        """One random program."""
        made = program(chosen)
        fd = load_program(self.placed(made.instructions()))
        made_for = packets(chosen, Target(SID), made.segments)
        counts = self.blast(self.sid_of(fd), made_for, blaster.checks(made), number << 8 | index,
                            (0, PACKETS_OF_PROGRAM))
        os.close(fd)
        return counts + collections.Counter(programs=1)

    def sid_of(self, fd):
        """The message of a SID with a program."""
        return sid(f"{SID}/128", nl.u32(nl.ACTION, nl.END_BPF) + nl.bpf(fd), self.places[PLACES["dum0"]])

    def blast(self, route, *arguments):
        """Sends packets while the route is there."""
        made_for, checks, number, part, *options = arguments
        with Installed(self.net, route):
            return self.blaster.run(made_for, checks, self.seed << 32 | number, part, *options, tap=self.tap)


def packets(chosen, target, segments=None):
    """Packets that most programs get to see."""
    maker = Packets(chosen, target, (p.UDP, p.IPV6, p.IPV6, p.IPV4), False, 0)
    maker.usual_segments = segments
    return [maker.packet()[0] for _ in range(8)]


def program(chosen):
    """A random program."""
    def pushed():
        """An SRH to push."""
        return srh(chosen, 0, [segment(chosen) for _ in range(chosen.choice((1, 2, 2, 3, 4)))])

    segments = chosen.choice((1, 2, 2, 3))
    calls = [Maker(chosen, segments, pushed).call([]) for _ in range(chosen.randrange(1, MAX_CALLS + 1))]
    verdicts = [chosen.choice((ebpf.OK, ebpf.OK, ebpf.REDIRECT, chosen.choice(generate_program.VERDICTS)))
                for _ in range(2)]
    return generate_program.Program(calls, *verdicts, segments)
