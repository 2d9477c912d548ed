#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""B4: an action that has pushed its headers and finds no route; the new SRH is the one to edit then.

The C implementation goes on with the SRH at its old place, in memory that was freed.
"""

import errno

import ebpf
import netlink as nl
import packet as p
import script as s
from bpf_helpers import FAULT, PLAIN, plain, run_cases
from topology import BACK, BACK2, IN_ADDRESS


def add_half_done(table, count):
    """Both actions, with an SRH of so many segments."""
    segments = ["fd02::77"] * (count - 1) + ["2001:db8::1"]
    end = 48 + 16 * count
    for name, action, pushed, back in (("End.B6", nl.END_B6, p.inline, BACK),
                                       ("End.B6.Encaps", nl.END_B6_ENCAP, p.encapsulated, BACK2)):
        packet = pushed(plain(), segments, count - 1, flags=1, tlvs=bytes(8))
        out = [(back, p.icmp_error(1, 0, packet, IN_ADDRESS, p.text(packet[8:24])))]
        table.add(f"B4: {name} with {count} segments to no route, then the new SRH is edited", PLAIN,
                  [s.action(action, p.srh(0, segments, count - 1)), s.store_bytes(45, b"\1"), s.adjust_srh(end, 8),
                   s.adjust_srh(end + 9, 0)], [-errno.ENETUNREACH, 0, 0, FAULT], out, ebpf.REDIRECT)


def add_all(table):
    """SRHs that fit into the room in front of the packet, and that do not."""
    for count in (2, 14):
        add_half_done(table, count)


if __name__ == "__main__":
    run_cases(add_all)
