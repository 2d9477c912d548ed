# SPDX-License-Identifier: GPL-2.0-or-later
"""The router of one episode, in a network namespace of its own, and how it is put back into its first state.

      in0  fd01::fe   from and to the sources fd01::1, fd01::2      out0  fdff:2::fe   to fdff:2::1, fdff:2::2
      in1             from the same sources                         alt0  fdff:3::fe   to fdff:3::1, fdff:3::2
      dum0            SIDs

All neighbors are static, the targets too, on out0 and on alt0. In the episodes of kind `vrf` in1 belongs to a VRF. In
those of kind `rules` packets from in1 are looked up in table TABLE alone, and packets with DSCP 1 have mark 1.
"""

import errno
import os
import socket
import struct

import lib
import netlink as nl
import packet as p
from topology import (ROUTER_MAC, command, enter, expedite, ip_batch, new_namespace, set_tunnel_source, sysctl,
                      wait_until_up)

PLAIN, RULES, VRF, MULTIPATH = "plain", "rules", "vrf", "multipath"
FLAVORS = PLAIN, MULTIPATH, RULES, VRF
MAIN, LOCAL, TABLE, VRF_TABLE = 254, 255, 100, 200
MTU = 1500
SOURCES = p.SRC, p.TUNNEL_SRC
MARKED = 1 << 2 << 20  # DSCP 1, as traffic class and flow label
TARGETS = "fcbb:0:a001::1:0", "fcbb:0:a002::1:0", "fcbb:0:a003::1:0", "2001:db8::a"
ROUTED = "fcbb:0:a000::/46"
GATEWAYS = (("out0", "fdff:2::1"), ("out0", "fdff:2::2"), ("alt0", "fdff:3::1"), ("alt0", "fdff:3::2"))
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWNEIGH, RTM_DELNEIGH = 16, 18, 20, 21, 28, 29
RTM_NEWRULE, RTM_DELRULE = 32, 33
ROUTE_GROUP = 0x400
RTA_SRC, RTA_PRIORITY, RTA_METRICS, RTA_PREF, RTA_EXPIRES = 2, 6, 8, 20, 23
LOCAL_TYPE, BLACKHOLE, UNREACHABLE, PROHIBIT, THROW = 2, 6, 7, 8, 9
IFLA_MTU, IFLA_MASTER, IFF_UP, NODAD, PERMANENT = 4, 10, 1, 2, 0x80
REFUSED = (errno.EEXIST, errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EINVAL, errno.ENETDOWN, errno.ENETUNREACH,
           errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EBUSY, errno.EPERM)

# device: (number in the addresses of its neighbors, address, static neighbors)
DEVICES = {
    "in0": (1, "fd01::fe", SOURCES),
    "in1": (4, None, ()),
    "out0": (2, "fdff:2::fe", ("fdff:2::1", "fdff:2::2", *TARGETS)),
    "alt0": (3, "fdff:3::fe", ("fdff:3::1", "fdff:3::2", *TARGETS)),
}
VETH = """
link add {near} address {mac} mtu {mtu} type veth peer name {far} mtu {mtu} netns {outside}
link set {near} up
"""
MARK = """
table ip6 churn {
    chain early {
        type filter hook prerouting priority mangle
        ip6 dscp 1 meta mark set 1
    }
}
"""


def mac(number, index, variant=0):
    """The address of a neighbor."""
    return bytes((2, 0, 0, variant, number, index))


def hop(router, device, gateway=None):
    """The attributes of a next hop."""
    return nl.u32(nl.RTA_OIF, router.index[device]) + (nl.addr6(nl.RTA_GATEWAY, gateway) if gateway else b"")


def metric(value):
    """The attribute of a route's metric."""
    return nl.u32(RTA_PRIORITY, value)


def has_local_route(told, address):
    """Whether the next message to a socket is about the kernel's new route to its own address."""
    return any(kind == nl.RTM_NEWROUTE and body[7] == LOCAL_TYPE and nl.parse(body[12:]).get(nl.RTA_DST) == address
               for kind, _, _, body in told.receive())


class Router:
    """The router. The process is in its namespace; it does not end with it."""

    def __init__(self, wire, name, flavor):
        self.wire, self.name, self.flavor = wire, name, flavor
        self.targets = TARGETS
        self.refused = 0
        self.namespace = new_namespace()
        self.knobs()
        self.rtnl = nl.Rtnl()
        ip_batch("link set lo up\nlink add dum0 type dummy\nlink set dum0 up\n")
        self.index = {}
        for device in DEVICES:
            self.connect(device)
        self.set_up_flavor()
        self.restore()
        set_tunnel_source()

    def knobs(self):
        """No rate is limited, no neighbor asked for, nothing collected, and the kernel has no addresses of its own."""
        for knob, value in (("conf/all/forwarding", 1), ("conf/all/accept_dad", 0), ("conf/default/accept_dad", 0),
                            ("conf/default/addr_gen_mode", 1), ("conf/default/accept_ra", 2), ("icmp/ratemask", 255),
                            ("auto_flowlabels", 0), ("route/gc_interval", 3600)):
            sysctl("net/ipv6/" + knob, value)

    def connect(self, device):
        """Connects a device with the outside."""
        far = self.far(device)
        ip_batch(VETH.format(near=device, far=far, mac=ROUTER_MAC.hex(":"), mtu=MTU,
                             outside=f"/proc/{os.getpid()}/fd/{self.wire.namespace}"))
        enter(self.wire.namespace)
        try:
            ip_batch(f"link set {far} up\n")
            self.index[far] = socket.if_nametoindex(far)
        finally:
            enter(self.namespace)
        self.find_devices()
        self.settle(device)
        for knob in "mcast_solicit", "ucast_solicit":
            sysctl(f"net/ipv6/neigh/{device}/{knob}", 0)

    def far(self, device):
        """The name of the other end of a device."""
        return f"{self.name}{device}"

    def find_devices(self):
        """Learns the numbers of the router's devices."""
        self.index.update({name: number for number, name in socket.if_nameindex()})

    def set_up_flavor(self):
        """What makes the kind of episode."""
        if self.flavor == VRF:
            ip_batch(f"link add blue type vrf table {VRF_TABLE}\nlink set blue up\nlink set in1 master blue\n")
            wait_until_up()
            self.find_devices()
        if self.flavor == RULES:
            ip_batch(f"rule add iif in1 lookup {TABLE} pref 1\nrule add iif in1 unreachable pref 2\n"
                     "rule add lookup local pref 10\nrule del pref 0\n")
            command("nft", "-f", "-", input=MARK)

    def do(self, kind, body, flags=0):
        """A request; returns its errno. One that is refused changes nothing."""
        code, text = self.rtnl.change(kind, body, flags)
        if code:
            lib.check(code in REFUSED, f"request {kind}: {errno.errorcode.get(code, code)} {text}")
            self.refused += 1
        return code

    def add(self, body, flags=nl.F_CREATE | nl.F_REPLACE):
        """Adds or replaces a route."""
        return self.do(nl.RTM_NEWROUTE, body, flags)

    def delete(self, body):
        """Deletes a route."""
        return self.do(nl.RTM_DELROUTE, body)

    def link(self, device, flags=0, mask=0, attributes=b""):
        """Changes a device."""
        body = struct.pack("=BxHiII", 0, 0, self.index[device], flags, mask) + attributes
        return self.do(RTM_NEWLINK, body)

    def far_link(self, device, is_up):
        """Sets the other end of a device up or down, and waits until the router has noticed."""
        body = struct.pack("=BxHiII", 0, 0, self.index[self.far(device)], is_up, IFF_UP)
        lib.equal(self.wire.rtnl.change(RTM_NEWLINK, body), (0, None), "changing the other end")
        self.settle(device)

    def settle(self, device):
        """Makes both ends of a device notice a change of the carrier: a request for a device does."""
        for rtnl, index in ((self.wire.rtnl, self.index[self.far(device)]), (self.rtnl, self.index[device])):
            rtnl.request(RTM_GETLINK, struct.pack("=BxHiII", 0, 0, index, 0, 0))

    def address(self, kind, device, address, length):
        """Adds or deletes an address; adding it takes effect a while later."""
        data = socket.inet_pton(socket.AF_INET6, address)
        body = struct.pack("=BBBBI", socket.AF_INET6, length, NODAD | PERMANENT, 0, self.index[device])
        body += nl.attr(1, data) + nl.attr(2, data) + nl.u32(8, NODAD | PERMANENT)
        if kind == RTM_DELADDR:
            return self.do(kind, body)
        told = nl.Rtnl(groups=ROUTE_GROUP)
        try:
            code = self.do(kind, body, nl.F_CREATE | nl.F_EXCL)
            while not code and not has_local_route(told, data):
                pass  # the socket has a timeout
        finally:
            told.sock.close()
        return code

    def neighbor(self, device, address, variant=0, kind=RTM_NEWNEIGH):
        """Sets or deletes a static neighbor."""
        number, _, neighbors = DEVICES[device]
        body = struct.pack("=BxHiHBB", socket.AF_INET6, 0, self.index[device], PERMANENT, 0, 0)
        body += nl.addr6(1, address) + nl.attr(2, mac(number, neighbors.index(address) + 1, variant))
        return self.do(kind, body, nl.F_CREATE | nl.F_REPLACE if kind == RTM_NEWNEIGH else 0)

    def restore(self):
        """Puts devices, addresses, neighbors and the first routes back, as far as they are gone."""
        for device, (_, address, neighbors) in DEVICES.items():
            if device not in self.index:
                continue
            self.link(device, IFF_UP, IFF_UP)
            self.settle(device)
            if address:
                self.address(RTM_NEWADDR, device, address, 64)
            for near in neighbors:
                self.neighbor(device, near)
        self.base_routes()

    def base_routes(self):
        """The routes that are there from the beginning."""
        for table, (device, gateway) in ((MAIN, GATEWAYS[0]), (TABLE, GATEWAYS[2]), (VRF_TABLE, GATEWAYS[3])):
            self.add(nl.route(ROUTED, hop(self, device, gateway), table=table))
            self.add(nl.route("fd79::/16", hop(self, *GATEWAYS[1]), table=table))
        for table in (TABLE, VRF_TABLE):
            self.add(nl.route("fd01::/16", hop(self, "in0"), table=table))

    def flush_caches(self, value):
        """Adds a route that no packet takes, after which no lookup may rely on an earlier one."""
        self.add(nl.route("fdee::/64", hop(self, "dum0"), nl.attr(RTA_METRICS, nl.u32(2, 1300 + value % 2)), table=99))

    def destroy(self):
        """Lets the namespace go."""
        enter(self.wire.namespace)
        if self.namespace is not None:
            self.rtnl.sock.close()
            os.close(self.namespace)
            self.namespace = None

    def is_gone(self):
        """Whether the kernel has destroyed it: the other ends of its devices went with it."""
        return not any(name.startswith(self.name) for _, name in socket.if_nameindex())


def prepare():
    """What all routers need."""
    expedite()
