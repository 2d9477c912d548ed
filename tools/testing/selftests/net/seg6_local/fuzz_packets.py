# SPDX-License-Identifier: GPL-2.0-or-later
"""Random SIDs, as in the differential run, and many broken packets to each."""

import collections
import os
import struct

import blaster
import netlink as nl
from diff import Player, load_program
from diff_net import sid
from generate import DECAPSULATING, PLACES, Generator
from generate_program import PROGRAM
from lib import check

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
        self.prepare(made)
        fd = None
        if made.program:
            fd = self.places[PLACES[PROGRAM]] = load_program(self.placed(made.program.instructions()))
        message = sid(made.target.prefix, self.placed(made.attributes), self.places[PLACES["dum0"]])
        counts = collections.Counter(requests=1)
        if self.rtnl.add(message)[0] == 0:
            packets = [packet for packet, _ in made.packets]
            counts += self.blaster.run(packets, checks(made), self.seed << 32 | number, part, tap=self.tap)
            check(self.rtnl.delete(message)[0] == 0, "the SID cannot be deleted")
            counts["SIDs"] = 1
        if fd is not None:
            os.close(fd)
        return counts


def checks(made):
    """What is known of the packets that come out of a SID."""
    action = struct.unpack_from("=I", nl.parse(made.attributes)[nl.ACTION])[0]
    if action == nl.END_DX2:
        return blaster.FRAME
    if action in DECAPSULATING or made.program and made.program.decapsulates():
        return blaster.IP
    return blaster.PATH
