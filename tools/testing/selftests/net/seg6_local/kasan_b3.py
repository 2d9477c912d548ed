#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""B3, B7: End.DT6 of bpf_lwt_seg6_action() on an inner IPv6 header, or a routing header behind it, that is not there.

The C implementation takes what lies behind the packet for them, and moves it when the SRH grows.
"""

import ebpf
import netlink as nl
import packet as p
import script as s
from bpf_encap import A, tunnel
from bpf_helpers import BADMSG, INVAL, TABLE, run_cases
from topology import ALT


def add_uncovered(table):
    """Headers that the packet is too short for, or that are no SRH."""
    decapsulate = s.action(nl.END_DT6, TABLE[100])
    for name, header in (("longer than the packet", p.srh(p.NONE, [], 0, last=0, hdrlen=255)),
                         ("of type 3", p.srh(p.NONE, [A], 0, kind=3)),
                         ("with the last entry out of range", p.srh(p.NONE, [A], 0, last=1))):
        inner = p.ip6(p.RH, "fd02::77", header)
        table.add(f"B3: after End.DT6 a routing header {name} is not one to edit: -EINVAL", tunnel(inner),
                  [decapsulate, s.store_bytes(45, b"\1"), s.adjust_srh(1000, 8), s.adjust_srh(48, 8)],
                  [0, INVAL, INVAL, INVAL], [(ALT, p.hop(inner))], ebpf.REDIRECT)
    for size in (0, 1, 39):
        table.add(f"B7: End.DT6 of {size} bytes of IPv6: -EBADMSG", tunnel(bytes(size)), [decapsulate], [BADMSG],
                  tunnel(bytes(size), left=0))


if __name__ == "__main__":
    run_cases(add_uncovered)
