# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes of routes, addresses and nexthop objects.

A kind of change is a generator: each step of it changes something and yields the name of what it has done. Other
changes come between two steps; after the last one all is as it was, but for what these have taken away.
"""

import struct

import churn_net as net
import netlink as nl
import packet as p
from nexthops import NEXTHOP

REPLACE, APPEND, ADD = nl.F_CREATE | nl.F_REPLACE, nl.F_CREATE | nl.F_APPEND, nl.F_CREATE
CLONED = 0x200
PATH = "fd79::1"
GROUP = 90
MOST = 0.7  # of the next hops are gateways


class Choices:
    """Random choices about the targets of a router."""

    def __init__(self, router, random):
        self.router, self.random = router, random

    def target(self):
        """A target."""
        return self.random.choice(self.router.targets)

    def prefix(self, lengths=(46, 47, 48, 48, 64, 128, 128)):
        """A prefix of a target."""
        return f"{self.target()}/{self.random.choice(lengths)}"

    def hop(self, gateways=MOST):
        """A next hop: with this probability a gateway."""
        device, gateway = self.random.choice(net.GATEWAYS)
        return net.hop(self.router, device, gateway if self.random.random() < gateways else None)

    def table(self):
        """A table in which targets are looked up."""
        other = net.VRF_TABLE if self.router.flavor == net.VRF else net.TABLE
        return self.random.choice((net.MAIN, net.MAIN, other))

    def metric(self):
        """The attribute of a metric."""
        return net.metric(self.random.choice((512, 1024, 1024, 2048)))


def added(router, body, flags, name):
    """Adds a route, and deletes it later."""
    router.add(body, flags)
    yield name
    router.delete(body)
    yield name + ", deleted"


def unicast(router, random, flags, name, gateways=MOST):
    """A route to a neighbor."""
    choose = Choices(router, random)
    body = nl.route(choose.prefix(), choose.hop(gateways), choose.metric(), table=choose.table())
    yield from added(router, body, flags, name)


def added_route(router, random):
    """A route is added if there is none with this metric; or becomes a sibling, where those are wanted."""
    flags = ADD if router.flavor == net.MULTIPATH else ADD | nl.F_EXCL
    yield from unicast(router, random, flags, "route added")


def replaced_route(router, random):
    """A route is added or replaced."""
    yield from unicast(router, random, REPLACE, "route replaced")


def appended_route(router, random):
    """A route is appended: a sibling if there is one with this metric, and both have gateways."""
    yield from unicast(router, random, APPEND, "route appended", MOST if router.flavor == net.MULTIPATH else 0)


def rejected(kind, name):
    """A kind of change: a route that is no way."""
    def change(router, random):
        choose = Choices(router, random)
        body = nl.route(choose.prefix((47, 48, 64, 128)), nl.u32(nl.RTA_OIF, router.index["lo"]), net.metric(100),
                        table=choose.table(), kind=kind)
        yield from added(router, body, REPLACE, name)
    change.__name__ = name
    return change


def local_route(router, random):
    """A target becomes local by a route."""
    body = nl.route(f"{Choices(router, random).target()}/128", net.hop(router, random.choice(("lo", "dum0"))),
                    table=net.LOCAL, kind=net.LOCAL_TYPE)
    yield from added(router, body, REPLACE, "local route")


def address(router, random):
    """A target becomes an address of the router."""
    target, device = Choices(router, random).target(), random.choice(("dum0", "out0", "in0"))
    router.address(net.RTM_NEWADDR, device, target, 128)
    yield "address added"
    router.address(net.RTM_DELADDR, device, target, 128)
    yield "address deleted"


def connected(router, random):
    """A target is on a link, as another address of its network is added there."""
    device = random.choice(("out0", "alt0"))
    near = p.text(p.addr(Choices(router, random).target())[:8] + b"neighbor")
    router.address(net.RTM_NEWADDR, device, near, 64)
    yield "network added"
    router.address(net.RTM_DELADDR, device, near, 64)
    yield "network deleted"


def thrown(router, random):
    """A route in the table of local addresses, and one in front of it that leaves targets to the main table."""
    target = Choices(router, random).target()
    body = nl.route(f"{target}/48", net.hop(router, "alt0", "fdff:3::1"), table=net.LOCAL)
    throw = nl.route(f"{target}/128", nl.u32(nl.RTA_OIF, router.index["lo"]), table=net.LOCAL, kind=net.THROW)
    router.add(body)
    yield "route in table local"
    router.add(throw)
    yield "throw route in table local"
    router.delete(throw)
    yield "throw route in table local, deleted"
    router.delete(body)
    yield "route in table local, deleted"


def mtu_of_route(router, random):
    """A route is replaced by one that has an MTU."""
    choose = Choices(router, random)
    metrics = nl.attr(net.RTA_METRICS, nl.u32(2, random.choice((1280, 1300))) + nl.u32(1, 1 << 2))
    body = nl.route(choose.prefix((48, 128)), choose.hop(), metrics, table=choose.table())
    yield from added(router, body, REPLACE, "MTU of a route")


def from_source(router, random):
    """A route for packets from one source."""
    choose = Choices(router, random)
    source = random.choice(net.SOURCES)
    body = nl.route(choose.prefix((46, 48, 128)), nl.attr(net.RTA_SRC, p.addr(source)), choose.hop(),
                    table=choose.table())
    yield from added(router, p.edit(body, 2, b"\x80"), REPLACE, "route for a source")


def default_route(router, random):
    """A default route."""
    choose = Choices(router, random)
    yield from added(router, nl.route("::/0", choose.hop(), choose.metric(), table=choose.table()), REPLACE,
                     "default route")


def preference(router, random):
    """A route with a preference."""
    choose = Choices(router, random)
    body = nl.route(choose.prefix((48,)), choose.hop(), nl.u8(net.RTA_PREF, random.choice((0, 1, 3))))
    yield from added(router, body, REPLACE, "route with a preference")


def encapsulating(router, random):
    """A route that encapsulates, or inserts an SRH."""
    choose = Choices(router, random)
    header = p.srh(p.IPV6, [PATH], 0)
    tunnel = nl.attr(1, struct.pack("=i", 1) + header)  # SEG6_IPTUNNEL_SRH, mode encap
    body = nl.route(choose.prefix((48, 128)), net.hop(router, *random.choice(net.GATEWAYS)), nl.encap(5, tunnel))
    yield from added(router, body, REPLACE, "route that encapsulates")


def to_sid(router, random):
    """A target becomes a SID, of a kind that drops all packets that get there."""
    data = nl.u32(nl.ACTION, nl.END_DX4) + nl.attr(nl.NH4, bytes(4))
    body = nl.route(f"{Choices(router, random).target()}/128", net.hop(router, "dum0"),
                    nl.encap(nl.ENCAP_SEG6_LOCAL, data))
    yield from added(router, body, REPLACE, "route to a SID")


def multipath_hops(router, gateways):
    """The attribute of a route with some next hops."""
    hops = b""
    for device, gateway in gateways:
        data = nl.addr6(nl.RTA_GATEWAY, gateway)
        hops += struct.pack("=HBBi", 8 + len(data), 0, 0, router.index[device]) + data
    return nl.attr(nl.RTA_MULTIPATH, hops)


def multipath(router, random):
    """A route with several next hops, of which some go."""
    choose = Choices(router, random)
    gateways = random.sample(net.GATEWAYS, random.choice((2, 3, 4)))
    prefix, table = choose.prefix((46, 48, 128)), choose.table()
    body = nl.route(prefix, multipath_hops(router, gateways), table=table)
    router.add(body)
    yield "multipath route"
    for gateway in gateways[1:]:
        router.delete(nl.route(prefix, net.hop(router, *gateway), table=table))
        yield "next hop of a multipath route deleted"
    router.delete(nl.route(prefix, table=table))
    yield "multipath route, deleted"


def nexthop(router, number, device, gateway):
    """Adds or replaces a nexthop object."""
    body = NEXTHOP + nl.u32(nl.NHA_ID, number) + nl.u32(nl.NHA_OIF, router.index[device]) + nl.addr6(6, gateway)
    router.do(nl.RTM_NEWNEXTHOP, body, REPLACE)


def by_nexthop(router, random):
    """A route by a nexthop object, which is replaced, becomes a blackhole, and is deleted, the route with it."""
    choose, number = Choices(router, random), random.randrange(1, 40)
    nexthop(router, number, *random.choice(net.GATEWAYS))
    router.add(nl.route(choose.prefix((46, 48, 128)), nl.u32(nl.RTA_NH_ID, number), table=choose.table()))
    yield "route by a nexthop object"
    for _ in range(random.choice((1, 2, 3))):
        nexthop(router, number, *random.choice(net.GATEWAYS))
        yield "nexthop object replaced"
    if random.random() < 0.5:
        router.do(nl.RTM_NEWNEXTHOP, NEXTHOP + nl.u32(nl.NHA_ID, number) + nl.attr(4), REPLACE)
        yield "nexthop object becomes a blackhole"
    router.do(nl.RTM_DELNEXTHOP, NEXTHOP + nl.u32(nl.NHA_ID, number))
    yield "nexthop object deleted"


def group(router, number, members):
    """Adds or replaces a group of nexthop objects."""
    data = b"".join(struct.pack("=IBBH", member, 0, 0, 0) for member in members)
    router.do(nl.RTM_NEWNEXTHOP, bytes(8) + nl.u32(nl.NHA_ID, number) + nl.attr(nl.NHA_GROUP, data), REPLACE)


def by_group(router, random):
    """A route by a group of nexthop objects, which changes and loses members."""
    choose, number = Choices(router, random), GROUP + random.randrange(8) * 8
    members = range(number + 1, number + 5)
    for member, gateway in zip(members, net.GATEWAYS):
        nexthop(router, member, *gateway)
    group(router, number, members[:2])
    router.add(nl.route(choose.prefix((46, 48, 128)), nl.u32(nl.RTA_NH_ID, number), table=choose.table()))
    yield "route by a group"
    for _ in range(2):
        group(router, number, random.sample(members, random.choice((1, 2, 3))))
        yield "group replaced"
    for member in random.sample(members, 2):
        nexthop(router, member, *random.choice(net.GATEWAYS))
        yield "member of a group replaced"
    for member in members:
        router.do(nl.RTM_DELNEXTHOP, NEXTHOP + nl.u32(nl.NHA_ID, member))
        yield "member of a group deleted"
    router.do(nl.RTM_DELNEXTHOP, NEXTHOP + nl.u32(nl.NHA_ID, number))
    yield "group deleted"


EVERYWHERE = (
    added_route, added_route, replaced_route, replaced_route, appended_route, local_route, address, connected,
    rejected(net.UNREACHABLE, "unreachable route"), rejected(net.PROHIBIT, "prohibited route"),
    rejected(net.BLACKHOLE, "blackhole"), rejected(net.THROW, "throw route"), thrown, mtu_of_route, from_source,
    default_route, preference, encapsulating, to_sid, by_nexthop)
WITH_MULTIPATH = multipath, multipath, by_group
