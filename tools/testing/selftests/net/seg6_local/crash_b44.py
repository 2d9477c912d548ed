#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""B44: bpf_lwt_push_encap with BPF_LWT_ENCAP_SEG6 in a kernel that was started with ipv6.disable=1.

What SRv6 keeps in a namespace is not there then. The C implementation looks for its source address in it, so there this
program has a guest of its own and no result.
"""

import errno
import socket
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
import script as s
from lwt_in import SEG6
from no_ipv6 import NEAR, set_up
from topology import ip, packet_socket, sysctl

IP = 0x0800
NEIGHBOR = bytes((2, 0, 0, 0, 0, 9))


def datagram(ttl):
    """A packet for the route, on its way."""
    return p.ip4(p.UDP, "198.51.100.1", p.udp(), src="192.0.2.2", ttl=ttl)


def pushed(script):
    """What the helper returns for a packet that comes in, and what goes out."""
    script.write([s.push_encap(SEG6, p.srh(0, ["fd02::77", "fd03::9"], 1))], (ebpf.OK,))
    with packet_socket("far", IP) as sock:
        sock.settimeout(10)
        sock.send(NEAR + NEIGHBOR + IP.to_bytes(2, "big") + datagram(64))
        frame = sock.recv(1 << 16)
    return script.results(1), frame[14:]


def main():
    """Builds the suite and runs it."""
    suite = lib.Suite()
    device = set_up()
    script = s.Script()
    rtnl = nl.Rtnl()
    data = nl.attr(1 | nl.NESTED, nl.u32(1, script.lwt_in) + nl.attr(2, b"lwt_in\0"))
    gateway = nl.attr(nl.RTA_GATEWAY, socket.inet_pton(socket.AF_INET, "192.0.2.9"))
    sysctl("net/ipv4/ip_forward", 1)
    ip("neigh", "add", "192.0.2.9", "lladdr", NEIGHBOR.hex(":"), "dev", "near", "nud", "permanent")
    lib.equal(rtnl.add(nl.route("198.51.100.0/24", nl.u32(nl.RTA_OIF, device), gateway, nl.encap(nl.ENCAP_BPF, data),
                                family=socket.AF_INET)), (0, None), "adding the route")
    suite.add("B44: SEG6 without IPv6: -EOPNOTSUPP, and the packet goes on as it was", partial(pushed, script),
              ([-errno.EOPNOTSUPP], datagram(63)))
    suite.main()


if __name__ == "__main__":
    main()
