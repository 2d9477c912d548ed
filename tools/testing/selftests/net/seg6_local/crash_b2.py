#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""B2: bpf_lwt_seg6_adjust_srh with a huge growth.

The C implementation asks for so much space that a size overflows, and ends in BUG() in the softirq: there this program
has a guest of its own and no result.
"""

import struct
from functools import partial

import ebpf
import packet as p
import script as s
from bpf import end_bpf
from bpf_helpers import FAULT, INVAL, OPAQUE, PLAIN, WITH_TLV, Table, plain
from topology import OUT, Net

ROUNDS = 256
I32_MAX = 0x7FFFFFFF


def grown(net, program, counts, delta):
    """How often the SRH grew by 1, how often more was refused, and what becomes of the packet."""
    counts.write(struct.pack("=IIi", 0, 0, delta))
    seen = net.through(end_bpf(program), PLAIN)
    return *struct.unpack("=II", counts.read()[:8]), *seen


def main():
    """Builds the suite and runs it."""
    script, growing = s.Script(), ebpf.Object("grow.bpf.o")
    net = Net()
    suite = net.suite()
    for delta in (I32_MAX, I32_MAX - 1, I32_MAX - 62, I32_MAX - 320, 0x40000000, 0x10000, 2048):
        want = ROUNDS, ROUNDS, [(OUT, p.hop(plain(tlvs=bytes(ROUNDS))))], (1, len(PLAIN), 0)
        suite.add(f"B2: growth by {delta:#x} after every byte: -EINVAL",
                  partial(grown, net, growing.program("grow"), growing.map("counts_map"), delta), want)
    table = Table(suite, net, script, "B2")
    for delta in (I32_MAX, I32_MAX - 7, 0x40000000, 0xFFFF, 0x10000, 1 << 20):
        table.add(f"growth by {delta:#x}: -EINVAL", PLAIN, [s.adjust_srh(96, delta)], [INVAL], plain())
        table.add(f"growth by {delta:#x} behind a TLV: -EINVAL", WITH_TLV, [s.adjust_srh(104, delta)], [INVAL],
                  plain(tlvs=OPAQUE))
        table.add(f"growth by {delta:#x} in the segments: -EFAULT", PLAIN, [s.adjust_srh(88, delta)], [FAULT], plain())
    suite.main()


if __name__ == "__main__":
    main()
