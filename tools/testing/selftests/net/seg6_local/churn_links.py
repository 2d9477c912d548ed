# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes of all that is not a route: neighbors, path MTUs, devices, carriers, sysctls, rules, VRFs, CPUs.

They are generators as in churn_routes.py. Those in RARE take long, as they wait for the kernel's clock or for devices.
"""

import os
import struct
import time

import churn_net as net
import netlink as nl
import packet as p
from churn_routes import CLONED, Choices
from churn_wire import Burst
from topology import ip, ip_batch, sysctl

LIFETIME, TOO_LONG = 2, 2.4  # seconds: of what expires, and after that
ADVERTISER = "fe80::99"
CPU1 = "/sys/devices/system/cpu/cpu1/online"
TO_TABLE, L3MDEV = 1, 19
DST, SRC, IIF, PRIORITY, FWMARK, SUPPRESS = 1, 2, 3, 6, 10, 14
OUTPUTS = "out0", "alt0"


def choose_device(router, random):
    """A device that is to go down. With rules, packets by in0 are compared with packets by in1: it stays up."""
    return random.choice(OUTPUTS if router.flavor == net.RULES else (*OUTPUTS, "in0"))


def knob(device, name, value):
    """Sets a sysctl of a device."""
    sysctl(f"net/ipv6/conf/{device}/{name}", value)


def neighbor(router, random):
    """A neighbor gets another address, then its own again."""
    device = random.choice(OUTPUTS)
    address = random.choice([*net.DEVICES[device][2][:2], *router.targets])
    router.neighbor(device, address, 1)
    yield "address of a neighbor"
    router.neighbor(device, address)
    yield "address of a neighbor"


def unknown_neighbor(router, random):
    """A neighbor is not known for a while."""
    device = random.choice(OUTPUTS)
    address = random.choice([*net.DEVICES[device][2][:2], *router.targets])
    router.neighbor(device, address, kind=net.RTM_DELNEIGH)
    yield "neighbor deleted"
    router.neighbor(device, address)
    yield "neighbor added"


def too_big(router, target, mtu):
    """The router is told that packets to a target are too big."""
    echo = p.ip6(p.ICMP6, target, struct.pack("!BBHI", 128, 0, 0, 1), src="fd01::fe")
    packet = p.icmp_error(2, 0, echo, net.SOURCES[0], "fd01::fe", mtu)
    Burst([(router.index[router.far("in0")], packet)]).send(router.wire.tx.fileno())
    router.wire.sync()


def path_mtu(router, random):
    """A path has an MTU, another one, and none: the garbage collection takes what is through no router, too."""
    target = random.choice(router.targets)
    for mtu in (1300, 1280):
        too_big(router, target, mtu)
        yield "path MTU"
    if random.random() < 0.5:
        router.delete(nl.route(f"{target}/128", flags=CLONED))
        yield "path MTU deleted"
    else:
        with open("/proc/sys/net/ipv6/route/flush", "w", encoding="ascii") as file:
            file.write("0")
        yield "garbage collected"


def path_mtu_expires(router, _):
    """Path MTUs expire."""
    before = sysctl("net/ipv6/route/mtu_expires", LIFETIME)
    for target in router.targets:
        too_big(router, target, 1280)
    sysctl("net/ipv6/route/mtu_expires", before)
    yield "path MTU"
    time.sleep(TOO_LONG)
    yield "path MTU expired"


def route_expires(router, random):
    """A route expires, and lives again when it is added once more."""
    choose = Choices(router, random)
    body = nl.route(f"{choose.target()}/128", net.hop(router, *random.choice(net.GATEWAYS[2:])), net.metric(50))
    router.add(body + nl.u32(net.RTA_EXPIRES, LIFETIME))
    yield "route that expires"
    time.sleep(TOO_LONG)
    yield "route expired"
    router.add(body, nl.F_CREATE)
    yield "expired route added again"
    router.delete(body)
    yield "route added again, deleted"


def advertise(router, seconds):
    """A router on out0 says for how long it is one."""
    message = struct.pack("!BBHBBHII", 134, 0, 0, 0, 0, seconds, 0, 0)
    packet = p.ip6(p.ICMP6, "ff02::1", p.summed(p.ICMP6, ADVERTISER, "ff02::1", message), src=ADVERTISER, hlim=255)
    Burst([(router.index[router.far("out0")], packet)]).send(router.wire.tx.fileno())
    router.wire.sync()


def advertised(router, _):
    """A default route is advertised, expires, and lives again with the next advertisement."""
    body = nl.route("::/0", net.hop(router, "alt0", "fdff:3::2"), net.metric(4096))
    neighbor_of = struct.pack("=BxHiHBB", 10, 0, router.index["out0"], net.PERMANENT, 0, 0)
    router.do(net.RTM_NEWNEIGH, neighbor_of + nl.addr6(1, ADVERTISER) + nl.attr(2, net.mac(2, 99)),
              nl.F_CREATE | nl.F_REPLACE)
    router.add(body)
    router.delete(nl.route(net.ROUTED))
    yield "default route of a high metric"
    advertise(router, LIFETIME)
    yield "advertised route"
    time.sleep(TOO_LONG)
    yield "advertised route expired"
    advertise(router, 1800)
    yield "advertised route lives again"
    advertise(router, 0)
    yield "advertised route deleted"
    router.delete(body)
    router.base_routes()
    yield "default route of a high metric, deleted"


def link_mtu(router, random):
    """A link has another MTU."""
    device = random.choice(OUTPUTS)
    router.link(device, attributes=nl.u32(net.IFLA_MTU, 1300))
    yield "MTU of a link"
    router.link(device, attributes=nl.u32(net.IFLA_MTU, net.MTU))
    yield "MTU of a link"


def link_down(router, random):
    """A device is set down, and up again."""
    device = choose_device(router, random)
    router.link(device, 0, net.IFF_UP)
    yield "link down"
    router.restore()
    yield "link up"


def without_ipv6(router, random):
    """A device has no IPv6 for a while."""
    device = random.choice(OUTPUTS)
    knob(device, "disable_ipv6", 1)
    yield "IPv6 off"
    knob(device, "disable_ipv6", 0)
    router.restore()
    yield "IPv6 on"


def carrier(router, random):
    """A link loses its carrier, with routes that stay or are ignored; what to do is changed meanwhile, too."""
    device = random.choice(OUTPUTS)
    router.add(nl.route(net.ROUTED, net.hop(router, "alt0" if device == "out0" else "out0"), net.metric(3000)))
    router.far_link(device, False)
    yield "carrier off"
    for ignore in (1, 0, 1):
        knob(device, "ignore_routes_with_linkdown", ignore)
        yield "routes of dead links " + ("ignored" if ignore else "used")
    router.far_link(device, True)
    yield "carrier on"
    knob(device, "ignore_routes_with_linkdown", 0)
    router.delete(nl.route(net.ROUTED, net.metric(3000)))
    yield "route of a high metric, deleted"


def forwarding(_, __):
    """The router is none for a while."""
    knob("all", "forwarding", 0)
    yield "forwarding off"
    knob("all", "forwarding", 1)
    yield "forwarding on"


def device_comes_and_goes(router, random):
    """A device is deleted, and comes again, with its number or another one."""
    device = choose_device(router, random)
    ip("link", "del", device)
    yield "device deleted"
    if random.random() < 0.5:
        ip("link", "add", "other", "type", "dummy")  # takes the next number
        ip("link", "del", "other")
    router.connect(device)
    router.restore()
    yield "device created"


def second_vrf(router, _):
    """A VRF comes and goes: the first one of a namespace brings a rule."""
    ip_batch("link add red type vrf table 300\nlink set red up\n")
    yield "VRF created"
    ip("link", "del", "red")
    yield "VRF deleted"
    router.restore()


def processor(_, __):
    """Packets come to another CPU, which goes and comes again."""
    def switch(is_on):
        """Turns it off or on."""
        with open(CPU1, "w", encoding="ascii") as file:
            file.write(str(int(is_on)))

    os.sched_setaffinity(0, {1})
    yield "another CPU"
    os.sched_setaffinity(0, {0})
    switch(False)
    yield "CPU offline"
    switch(True)
    os.sched_setaffinity(0, {1})
    yield "CPU online"
    os.sched_setaffinity(0, {0})
    yield "another CPU"


def rule(router, kind, attributes, table=0, action=TO_TABLE, lengths=(0, 0)):
    """Adds or deletes a rule; `lengths` are those of the prefixes of destination and source."""
    body = struct.pack("=BBBBBBBBI", 10, *lengths, 0, table, 0, 0, action, 0) + attributes
    router.do(kind, body, nl.F_CREATE | nl.F_EXCL if kind == net.RTM_NEWRULE else 0)


def two_steps(router, name, attributes, **options):
    """A rule is added, and deleted later."""
    rule(router, net.RTM_NEWRULE, attributes, **options)
    yield name
    rule(router, net.RTM_DELRULE, attributes, **options)
    yield name + ", deleted"


def table_rule(router, random):
    """A rule with a table for packets from a device, from a source or with a mark."""
    name, attributes, lengths = random.choice((
        ("rule for a device", nl.attr(IIF, b"in0\0"), (0, 0)),
        ("rule for a source", nl.addr6(SRC, random.choice(net.SOURCES)), (0, 128)),
        ("rule for a mark", nl.u32(FWMARK, 1), (0, 0))))
    table = random.choice((net.TABLE, net.TABLE, net.MAIN))
    yield from two_steps(router, name, attributes + nl.u32(PRIORITY, random.randrange(11, 90)), table=table,
                         lengths=lengths)


def target_rule(router, random):
    """A rule for packets to a target: another table, or none."""
    action = random.choice((TO_TABLE, net.UNREACHABLE, net.PROHIBIT, net.BLACKHOLE))
    attributes = nl.addr6(DST, random.choice(router.targets)) + nl.u32(PRIORITY, random.randrange(11, 90))
    yield from two_steps(router, "rule for a target", attributes, table=net.TABLE if action == TO_TABLE else 0,
                         action=action, lengths=(128, 0))


def suppressing_rule(router, _):
    """Routes of short prefixes are not found in the main table, but in another one."""
    first, second = nl.u32(PRIORITY, 95) + nl.u32(SUPPRESS, 47), nl.u32(PRIORITY, 96)
    rule(router, net.RTM_NEWRULE, second, table=net.TABLE)
    yield "rule for all"
    rule(router, net.RTM_NEWRULE, nl.u32(PRIORITY, 94), table=net.MAIN)
    yield "rule for the main table"
    rule(router, net.RTM_DELRULE, nl.u32(PRIORITY, 94), table=net.MAIN)
    rule(router, net.RTM_NEWRULE, first, table=net.MAIN)
    yield "rule that suppresses"
    rule(router, net.RTM_DELRULE, second, table=net.TABLE)
    yield "rule for all, deleted"
    rule(router, net.RTM_DELRULE, first, table=net.MAIN)
    yield "rule that suppresses, deleted"


def local_rule(router, random):
    """A target is local, but the table that says so is asked last."""
    first = 10 if router.flavor == net.RULES else 0
    body = nl.route(f"{Choices(router, random).target()}/128", net.hop(router, "dum0"), table=net.LOCAL,
                    kind=net.LOCAL_TYPE)
    router.add(body)
    yield "local route"
    rule(router, net.RTM_NEWRULE, nl.u32(PRIORITY, 32767), table=net.LOCAL)
    rule(router, net.RTM_DELRULE, nl.u32(PRIORITY, first), table=net.LOCAL)
    yield "local rule moved"
    rule(router, net.RTM_NEWRULE, nl.u32(PRIORITY, first), table=net.LOCAL)
    rule(router, net.RTM_DELRULE, nl.u32(PRIORITY, 32767), table=net.LOCAL)
    yield "local rule moved back"
    router.delete(body)
    yield "local route, deleted"


def l3mdev_rule(router, _):
    """The rule of VRFs goes, and comes again."""
    attributes = nl.u32(PRIORITY, 1000) + nl.u8(L3MDEV, 1)
    if router.flavor == net.RULES:
        yield from two_steps(router, "rule of VRFs", attributes)
        return
    rule(router, net.RTM_DELRULE, attributes)
    yield "rule of VRFs, deleted"
    rule(router, net.RTM_NEWRULE, attributes)
    yield "rule of VRFs"


def member(router, random):
    """A device leaves the VRF, or joins it."""
    device = random.choice(("in1", "in1", "in0", "out0"))
    blue = router.index["blue"]
    before, after = (blue, 0) if device == "in1" else (0, blue)
    for master in (after, before):
        router.link(device, attributes=nl.u32(net.IFLA_MASTER, master))
        router.settle(device)
        if master == before:
            router.restore()
        yield f"{device} " + ("joins the VRF" if master else "leaves the VRF")


EVERYWHERE = (neighbor, neighbor, unknown_neighbor, path_mtu, link_mtu, carrier)
BY_RULES = table_rule, table_rule, target_rule, target_rule, suppressing_rule, local_rule, l3mdev_rule
BY_VRF = local_rule, l3mdev_rule, member, member
SLOW = link_down, without_ipv6, forwarding
RARE = (device_comes_and_goes, path_mtu_expires, route_expires, advertised, processor, second_vrf)
