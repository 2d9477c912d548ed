# SPDX-License-Identifier: GPL-2.0-or-later
"""The topology of the differential run: that of edge.py, with more routes.

VRF blue, table 201, has no device of its own and routes through out0. 10.12.0.77, behind 10.2.0.1, is also known as a
neighbor on out0. fcff::1 is a SID. fcbb::/16 is where compressed SIDs are.

What the router sends depends on nothing but what it was just sent: no message of its own is limited in its rate, a
packet to a neighbor that is not known is dropped at once, as nobody is asked for an address, fragments are not kept,
and what it is told of the MTU of a path has expired already.
"""

import glob
import struct

import netlink as nl
import packet as p
from edge import Edge, tagged
from generate_packet import KEYS, LARGE
from topology import IPV6, MARKER_DST, ROUTER_MAC, ip_batch, set_hmac_key, sysctl

FRAME_MAX = 1 << 14
SOURCE_MAC, OUT_MAC = bytes((2, 0, 0, 0, 1, 0)), bytes((2, 0, 0, 0, 1, 2))

ROUTES = """
link add blue type vrf table 201
link set blue up
link add down0 type dummy
route add fd04::/16 via fdff:2::2 dev out0
route add fcbb::/16 via fdff:3::2 dev alt0
route add fd02::/16 via fdff:4::1 dev ve0 table 200
route add prohibit fd0c::/16 dev red table 200
route add fd01::/16 via fd01::1 dev in0 table 201
route add fd02::/16 via fdff:2::2 dev out0 table 201
route add fcff::1/128 encap seg6local action End dev dum0
"""
ROUTES4 = """
neigh add 10.12.0.77 lladdr 02:00:00:00:01:77 dev out0 nud permanent
route add 10.12.0.0/16 via 10.4.0.1 dev ve0 table 200
route add prohibit 10.22.0.0/16 table 200
route add 10.1.0.0/16 via 10.1.0.1 dev in0 onlink table 201
route add 10.12.0.0/16 via 10.2.0.2 dev out0 onlink table 201
"""


class DiffNet(Edge):
    """The topology."""

    def __init__(self):
        super().__init__()
        self.rx.settimeout(None)
        self.buffer = bytearray(FRAME_MAX)
        for kind in ("ipv4", "ipv6"):
            for path in glob.glob(f"/proc/sys/net/{kind}/neigh/*/mcast_solicit"):
                sysctl(path.removeprefix("/proc/sys/"), 0)
        for key, secret in KEYS.items():
            set_hmac_key(key, secret)

    def set_up_router(self):
        """Adds the other routes."""
        super().set_up_router()
        for device in ("all", "default", "in0", "out0", "alt0", "ve0"):
            sysctl(f"net/ipv4/conf/{device}/send_redirects", 0)
        for knob in ("net/ipv4/ipfrag", "net/ipv6/ip6frag"):
            sysctl(knob + "_low_thresh", 0)
            sysctl(knob + "_high_thresh", 0)
        for family in ("ipv4", "ipv6"):
            sysctl(f"net/{family}/route/mtu_expires", -1)
        ip_batch(ROUTES)
        ip_batch(ROUTES4, "-4")

    def inject(self, packet, linear=None):
        """Sends an IPv6 packet; `linear` bytes of it in the head of the skb, if it is too large for one."""
        frame = ROUTER_MAC + SOURCE_MAC + IPV6 + packet
        if linear is not None and len(packet) > LARGE:
            self.tx_paged.send(struct.pack("=BBHHHH", 0, 0, 14 + linear, 0, 0, 0) + frame)
        else:
            self.tx.send(frame)

    def frames(self):
        """All frames that have come out since the last call."""
        self.markers += 1
        marker = p.ip6(p.NONE, MARKER_DST, self.markers.to_bytes(8, "big"))
        self.inject(marker)
        awaited = OUT_MAC + ROUTER_MAC + IPV6 + p.hop(marker)
        receive, buffer, seen = self.rx.recvmsg_into, [self.buffer], []
        while True:
            size, ancillary, *_ = receive(buffer, 64)
            frame = bytes(self.buffer[:size])
            if frame == awaited:
                return seen
            seen.append(tagged(frame, ancillary))


def sid(prefix, attributes, device):
    """The route message of a SID."""
    return nl.route(prefix, nl.u32(nl.RTA_OIF, device), nl.encap(nl.ENCAP_SEG6_LOCAL, attributes))
