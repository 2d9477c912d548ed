# SPDX-License-Identifier: GPL-2.0-or-later
"""Random SIDs, as in the differential run, and many broken packets to each."""

import collections
import struct

import blaster
import netlink as nl
from diff import Player
from generate import DECAPSULATING, Generator

PACKETS = 2048


class Packets(Player):
    """One SID for each number. Even seeds are with netfilter hooks; every third SID gets clones."""

    def __init__(self, seed):
        super().__init__()
        self.seed = seed
        self.blaster = blaster.Blaster(self.net)

    def run(self, number, part=(0, PACKETS)):
        """Sends a part of the packets to the SID, if the kernel accepts it; returns the counts."""
        made = Generator(self.seed, number).configuration()
        made.cloned = number % 3 == 0
        counts = collections.Counter(requests=1)
        with self.installed(made) as (errno, _):
            if not errno:
                packets = [packet for packet, _ in made.packets]
                counts += self.blaster.run(packets, checks(made), self.seed << 32 | number, part, tap=self.tap)
                counts["SIDs"] = 1
        return counts


def checks(made):
    """What is known of the packets that come out of a SID."""
    action = struct.unpack_from("=I", nl.parse(made.attributes)[nl.ACTION])[0]
    if action == nl.END_DX2:
        return blaster.FRAME
    if action == nl.END_BPF:
        return blaster.checks(made.program)
    if action in DECAPSULATING:
        return blaster.IP
    return blaster.PATH if action in (nl.END_B6, nl.END_B6_ENCAP) else blaster.LIST
