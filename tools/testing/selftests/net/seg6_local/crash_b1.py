#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""B1: BPF_PROG_TEST_RUN of an LWT_IN program that pushes an SRH. The packet has no route, where C looks for one.

The C implementation dereferences NULL here, so there this program has a guest of its own and no result.
"""

from functools import partial

import ebpf
import packet as p
import script as s
from bpf_helpers import INVAL
from lwt_in import PACKET, SEG6, SEG6_INLINE
from topology import KEY, Net, set_hmac_key

SEGMENTS = ["fd02::77", "fd03::9"]


def tested(script, kind, header):
    """What the system call, the program and the helper return, and the packet."""
    script.write([s.push_encap(kind, header)], (ebpf.OK,))
    result, verdict, frame = ebpf.test_run(script.lwt_in, bytes(12) + b"\x86\xdd" + PACKET)
    return result, verdict, script.results(1), frame[14:]


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Net()
    suite = net.suite()
    set_hmac_key()
    signed = p.srh(0, SEGMENTS, 1, flags=8, tlvs=p.hmac_tlv(KEY))
    for name, kind, header in (("SEG6", SEG6, p.srh(0, SEGMENTS, 1)), ("SEG6 with an HMAC", SEG6, signed),
                               ("SEG6_INLINE with an HMAC", SEG6_INLINE, signed)):
        suite.add(f"B1: {name} on a packet without a route: -EINVAL", partial(tested, script, kind, header),
                  (0, 0, [INVAL], PACKET))
    suite.main()


if __name__ == "__main__":
    main()
