#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""SIDs in nexthop objects, groups and multipath routes, and how they come and go: replaced, saved and restored, with
their device, with their network namespace."""

import collections
import errno
import os
import socket
import struct
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
from config import refcount
from edge import VRF_TABLE, Edge, carried
from topology import ALT, OUT, SID, Installed, enter, expedite, ip, new_namespace, set_tunnel_source, sysctl

END, END_X, END_T = (nl.u32(nl.ACTION, action) for action in (nl.END, nl.END_X, nl.END_T))
ZERO = nl.counters()
A = "fd02::a"
PACKET = p.sr(SID, [A, SID], 1)
SENT = p.sr(A, [A, SID], 0, hlim=63)
TO_OUT, TO_ALT = (END_X + nl.addr6(nl.NH6, address) + ZERO for address in ("fd02::1", "fd03::1"))
NEXTHOP = struct.pack("=BBBBI", socket.AF_INET6, 0, 0, 0, 0)
OK = 0, None
FLOWS = 32
GROUP = 9


def samples(net, sid=SID, data=p.PAYLOAD, table=VRF_TABLE):
    """A SID of every behavior: (name, attributes without counters, packet, what comes out).

    `data` is the payload of the packets, `table` that of a VRF.
    """
    segments = ["fd02::77", "fd03::9"]
    path = nl.attr(nl.SRH, p.srh(0, segments, 1))
    packet, advanced = p.sr(sid, [A, sid], 1, p.udp(data)), p.sr(A, [A, sid], 0, p.udp(data))
    sent = p.hop(advanced)
    yield "End", END, packet, [(OUT, sent)]
    yield "End with PSP", END + nl.flavors(nl.PSP), packet, [(OUT, p.ip6(p.UDP, A, p.udp(data), hlim=63))]
    yield ("End.X with NEXT-C-SID", END_X + nl.addr6(nl.NH6, "fd03::1") + nl.flavors(nl.NEXT_CSID, 120, 8), packet,
           [(ALT, sent)])
    yield ("End.X with a device", END_X + nl.addr6(nl.NH6, "fdff:3::1") + nl.u32(nl.OIF, net.devices["alt0"]), packet,
           [(ALT, sent)])
    yield "End.T", END_T + nl.u32(nl.TABLE, 100), packet, [(ALT, sent)]
    yield "End.B6", nl.u32(nl.ACTION, nl.END_B6) + path, packet, [(ALT, p.hop(p.inline(packet, segments, 1)))]
    yield ("End.B6.Encaps", nl.u32(nl.ACTION, nl.END_B6_ENCAP) + path, packet,
           [(ALT, p.hop(p.encapsulated(advanced, segments, 1)))])
    for behavior in net.decapsulations(table):
        inner = behavior.inner(data)
        yield behavior.name, b"".join(behavior.attributes), carried(inner, behavior.number, sid), behavior.out(inner)


def counters(packets, size, errors=0):
    """The dump of counters."""
    return nl.attr(nl.COUNTERS | nl.NESTED, nl.u64(2, packets) + nl.u64(3, size) + nl.u64(4, errors))


def nexthop(device, number, data):
    """The message of a nexthop object with seg6local attributes."""
    return NEXTHOP + nl.u32(nl.NHA_ID, number) + nl.u32(nl.NHA_OIF, device) + \
        nl.u16(nl.NHA_ENCAP_TYPE, nl.ENCAP_SEG6_LOCAL) + nl.attr(nl.NHA_ENCAP | nl.NESTED, data)


def add_nexthop(net, message, flags=nl.F_CREATE | nl.F_EXCL):
    """Adds or replaces a nexthop object."""
    lib.equal(net.rtnl.change(nl.RTM_NEWNEXTHOP, message, flags), OK, "adding the nexthop")


def delete_nexthop(net, number):
    """Deletes a nexthop object."""
    lib.equal(net.rtnl.change(nl.RTM_DELNEXTHOP, NEXTHOP + nl.u32(nl.NHA_ID, number)), OK, "deleting the nexthop")


def nexthop_state(net, number):
    """The seg6local attributes of a nexthop object."""
    code, text, replies = net.rtnl.request(nl.RTM_GETNEXTHOP, NEXTHOP + nl.u32(nl.NHA_ID, number))
    lib.equal((code, text), OK, "asking for the nexthop")
    return nl.parse(replies[0][8:])[nl.NHA_ENCAP]


def by_nexthop(net, data, packet, want):
    """A SID in a nexthop object: it works, is dumped, and starts again when it is replaced."""
    message = nexthop(net.devices["dum0"], 7, data + ZERO)
    add_nexthop(net, message)
    lib.equal(nl.parse(nexthop_state(net, 7)), nl.parse(data + ZERO), "dump of the nexthop")
    with Installed(net, nl.route(f"{SID}/128", nl.u32(nl.RTA_NH_ID, 7))):
        lib.equal(net.send(packet), want, "what comes out")
        used = nl.parse(nexthop_state(net, 7))[nl.COUNTERS]
        lib.equal(nl.attr(nl.COUNTERS | nl.NESTED, used), counters(1, len(packet)), "its counters")
        add_nexthop(net, message, nl.F_REPLACE)
        lib.equal(nl.parse(nexthop_state(net, 7))[nl.COUNTERS], ZERO[4:], "counters of the new nexthop")
        lib.equal(net.send(packet), want, "what comes out of the new nexthop")
    delete_nexthop(net, 7)


def changed_nexthop(net):
    """The route follows when its nexthop object gets another behavior; errors leave the old one."""
    add_nexthop(net, nexthop(net.devices["dum0"], 7, TO_OUT))
    with Installed(net, nl.route(f"{SID}/128", nl.u32(nl.RTA_NH_ID, 7))):
        seen = [net.send(PACKET)]
        add_nexthop(net, nexthop(net.devices["dum0"], 7, TO_ALT), nl.F_REPLACE)
        seen.append(net.send(PACKET))
        wrong = net.rtnl.change(nl.RTM_NEWNEXTHOP, nexthop(net.devices["dum0"], 7, END_X), nl.F_REPLACE)
        seen.append(net.send(PACKET))
    delete_nexthop(net, 7)
    return seen, wrong


def spread(net):
    """Sends packets of many flows; returns how many came out to each neighbor."""
    out = collections.Counter()
    for flow in range(FLOWS):
        (label, packet), = net.send(p.edit(PACKET, 0, struct.pack("!I", 6 << 28 | flow)))
        lib.equal(packet, p.edit(SENT, 0, struct.pack("!I", 6 << 28 | flow)), "the packet")
        out[label] += 1
    lib.equal(set(out), {OUT, ALT}, "neighbors")
    return out


def after(out):
    """How two SIDs are dumped after the packets that came out of them."""
    return [data.removesuffix(ZERO) + counters(out[label], out[label] * len(PACKET))
            for data, label in ((TO_OUT, OUT), (TO_ALT, ALT))]


def group(net):
    """Two SIDs in a group of nexthop objects: each counts what goes through it."""
    for number, data in ((7, TO_OUT), (8, TO_ALT)):
        add_nexthop(net, nexthop(net.devices["dum0"], number, data))
    members = b"".join(struct.pack("=IBBH", number, 0, 0, 0) for number in (7, 8))
    add_nexthop(net, bytes(8) + nl.u32(nl.NHA_ID, GROUP) + nl.attr(nl.NHA_GROUP, members))
    with Installed(net, nl.route(f"{SID}/128", nl.u32(nl.RTA_NH_ID, GROUP))):
        out = spread(net)
        dumped = [nexthop_state(net, number) for number in (7, 8)]
    for number in (GROUP, 7, 8):
        delete_nexthop(net, number)
    lib.equal(dumped, after(out), "dumps of the nexthops")


def multipath(net):
    """Two SIDs in one route: each counts what goes through it."""
    hops = b""
    for data in (TO_OUT, TO_ALT):
        hop = nl.addr6(nl.RTA_GATEWAY, "fdff:2::1") + nl.encap(nl.ENCAP_SEG6_LOCAL, data)
        hops += struct.pack("=HBBi", 8 + len(hop), 0, 0, net.devices["out0"]) + hop
    message = nl.route(f"{SID}/128", nl.attr(nl.RTA_MULTIPATH, hops))
    with Installed(net, message):
        out = spread(net)
        dumped = net.rtnl.get(SID)[nl.RTA_MULTIPATH]
    dumps = []
    while dumped:
        size = struct.unpack_from("=H", dumped)[0]
        dumps.append(nl.parse(dumped[8:size])[nl.RTA_ENCAP])
        dumped = dumped[size:]
    lib.equal(sorted(dumps), sorted(after(out)), "dumps of the SIDs, of which any may come first")


def restored(net, data, packet, want):
    """A route is added again from the bytes of its own dump: the dump is the same, and the SID works."""
    def dump():
        """The message about the route."""
        return net.rtnl.request(nl.RTM_GETROUTE, nl.route(f"{SID}/128", flags=nl.FIB_MATCH, table=0))[2][0]

    lib.equal(net.rtnl.add(net.sid(data)), OK, "adding the SID")
    saved = dump()
    lib.equal(net.rtnl.delete(nl.route(f"{SID}/128")), OK, "deleting the SID")
    lib.equal(net.rtnl.add(saved), OK, "adding the SID again")
    again = dump()
    out = net.send(packet)
    lib.equal(net.rtnl.delete(saved), OK, "deleting the SID again")
    lib.equal(again, saved, "the dump")
    lib.equal(out, want, "what comes out")


def changed_route(net):
    """`ip route` replaces a SID by another one, which counts from 0; a wrong one changes nothing."""
    seen = []
    with net.installed(TO_OUT, count=False):
        for data in (None, TO_ALT, END + nl.flavors(nl.USP), TO_OUT):
            code = net.rtnl.add(net.sid(data, count=False), nl.F_REPLACE)[0] if data else 0
            seen.append((code, [label for label, _ in net.send(PACKET)], net.rtnl.get_counters(SID)[0]))
    return seen


def shown(net):
    """What `ip route get` and `ip nexthop show` tell."""
    add_nexthop(net, nexthop(net.devices["dum0"], 7, END + ZERO))
    object_text = ip("nexthop", "show", "id", "7")
    with Installed(net, nl.route(f"{SID}/128", nl.u32(nl.RTA_NH_ID, 7))):
        route_text = ip("-6", "route", "get", SID)
    delete_nexthop(net, 7)
    encap = "encap seg6local action End"
    return encap in object_text, encap in route_text


def populate(net, program, prefix="fcff::"):
    """Fills a new namespace with SIDs of every behavior, in routes and in nexthop objects."""
    ip("link", "add", "dum0", "type", "dummy")
    ip("link", "set", "dum0", "up")
    ip("link", "add", "red", "type", "vrf", "table", str(VRF_TABLE))
    rtnl = nl.Rtnl()
    device = socket.if_nametoindex("dum0")
    number = 0
    for _, data, *_ in [*samples(net), ("", nl.u32(nl.ACTION, nl.END_BPF) + nl.bpf(program))]:
        number += 1
        encap = nl.encap(nl.ENCAP_SEG6_LOCAL, data + ZERO)
        lib.equal(rtnl.add(nl.route(f"{prefix}{number}/128", nl.u32(nl.RTA_OIF, device), encap)), OK, "adding a route")
        lib.equal(rtnl.change(nl.RTM_NEWNEXTHOP, nexthop(device, number, data + ZERO), nl.F_CREATE | nl.F_EXCL), OK,
                  "adding a nexthop")
    rtnl.sock.close()
    return 2 * number


def with_namespace(net, what):
    """SIDs that go with their device, or with their network namespace: programs and module are released."""
    lib.wait_for(lambda: refcount() == 0, "no SID is left from before")
    program = ebpf.load_program(ebpf.returning(ebpf.OK))
    identity = ebpf.program_info(program)["id"]
    namespace = new_namespace()
    sysctl("net/vrf/strict_mode", 1)
    count = populate(net, program)
    os.close(program)
    lib.equal(refcount(), count if lib.IS_MODULE else 0, "references to the module")
    lib.check(ebpf.program_exists(identity), "the program is gone while SIDs use it")
    if what == "device":
        ip("link", "del", "dum0")
        lib.wait_for(lambda: not ebpf.program_exists(identity), "the program is freed")
        lib.wait_for(lambda: refcount() == 0, "the references to the module are given back")
    enter(net.router)
    os.close(namespace)
    lib.wait_for(lambda: not ebpf.program_exists(identity), "the program is freed")
    lib.wait_for(lambda: refcount() == 0, "the references to the module are given back")


def forget(net):
    """Removes what a failed test may have left behind."""
    net.forget()
    ip("nexthop", "flush")


def main():
    """Builds the suite and runs it."""
    net = Edge()
    suite = net.suite()
    suite.clean_up = partial(forget, net)
    set_tunnel_source()
    expedite()
    for name, data, packet, want in samples(net):
        suite.add(f"nexthop object: {name}", partial(by_nexthop, net, data, packet, want))
        suite.add(f"saved and restored: {name}", partial(restored, net, data, packet, want))
    suite.add("nexthop object is changed", partial(changed_nexthop, net),
              ([[(OUT, SENT)], [(ALT, SENT)], [(ALT, SENT)]], (errno.EINVAL, "End.X requires nh6")),
              ("B33", ([[(OUT, SENT)], [(ALT, SENT)], [(ALT, SENT)]], (errno.EINVAL, None))))
    suite.add("nexthop group", partial(group, net))
    suite.add("multipath route", partial(multipath, net))
    suite.add("route is changed", partial(changed_route, net),
              [(0, [OUT], 1), (0, [ALT], 1), (errno.EOPNOTSUPP, [ALT], 2), (0, [OUT], 1)])
    suite.add("iproute2 shows nexthop objects and routes", partial(shown, net), (True, True))
    for what in ("device", "namespace"):
        suite.add(f"the {what} of many SIDs is deleted", partial(with_namespace, net, what))
    suite.main()


if __name__ == "__main__":
    main()
