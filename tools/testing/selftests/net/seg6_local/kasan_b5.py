#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""B5: an SRH that a program has made grow, then a SID that checks the HMAC.

The C implementation takes the first segment for the SRH: the sender of the packet says how far behind it the HMAC is.
"""

from functools import partial

import packet as p
import script as s
from bpf import end_bpf
from hmac_policy import END_X
from topology import ALT, SID, Net


def grown(net, script, packet, first):
    """What End.X does behind a SID whose program has made the SRH grow."""
    script.write([s.adjust_srh(96, 8)])
    with net.installed(*end_bpf(script.seg6local), dst=first):
        return net.through(END_X, packet)


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Net()
    suite = net.suite()
    for length in range(63, 256, 16):
        last = f"fd{length:02x}:0:8::1"  # as the start of an SRH: of so many units, with one segment and the HMAC flag
        segments = last, SID, "fcff::b"
        packet = p.sr(segments[-1], segments, 2)
        suite.add(f"B5: an SRH grows, its first segment looks like an SRH of {8 * (length + 1)} octets with an HMAC",
                  partial(grown, net, script, packet, segments[-1]),
                  ([(ALT, p.sr(last, segments, 0, hlim=63, tlvs=bytes(8)))], (1, len(packet) + 8, 0)))
    suite.main()


if __name__ == "__main__":
    main()
