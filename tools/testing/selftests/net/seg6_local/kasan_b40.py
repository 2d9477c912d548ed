#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""B40: an SRH that has grown into the room that End.DT6 of bpf_lwt_seg6_action() left, then End.B6 or End.B6.Encaps.

With the C implementation the link layer header is then in front of the buffer, where both actions read it.
"""

import netlink as nl
import packet as p
import script as s
from bpf_encap import A, tunnel
from bpf_helpers import TABLE, run_cases
from topology import ALT

PATH = ["fd02::77", "fd03::9"]


def add_grown(table):
    """Both actions, with less and more than the room that End.DT6 left."""
    for size in (8, 200, 1000):
        grown = p.sr("fd02::77", [A, "fd02::77"], 1, tlvs=bytes(size))
        for name, action, pushed in (("End.B6", nl.END_B6, p.inline),
                                     ("End.B6.Encaps", nl.END_B6_ENCAP, p.encapsulated)):
            table.add(f"B40: End.DT6, {size} bytes more of SRH, {name}", tunnel(p.sr("fd02::77", [A, "fd02::77"], 1)),
                      [s.action(nl.END_DT6, TABLE[100]), s.adjust_srh(80, size), s.action(action, p.srh(0, PATH, 1))],
                      [0, 0, 0], [(ALT, p.hop(pushed(grown, PATH, 1)))])


if __name__ == "__main__":
    run_cases(add_grown)
