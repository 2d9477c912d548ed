# SPDX-License-Identifier: GPL-2.0-or-later
"""Random requests for routes and nexthop objects with seg6local, well formed and not; afterwards nothing is left."""

import collections
import os
import random
import socket
import struct

import ebpf
import generate
import netlink as nl
import packet as p
from diff_net import sid
from generate import DEVICES, PLACES
from generate_program import LWT_IN, MAP, PROGRAM
from lib import IS_MODULE, MODULE, equal, served_by, wait_for
from topology import Installed, expedite, ip, ip_batch, new_namespace, sysctl
from unload import unload

MESSAGES, DUMP_EVERY = 512, 32
MAX_MUTATED = 40000
NEXTHOPS = range(1, 40)
NEW, DELETE, GET = range(3)
FLAGS = (nl.F_CREATE | nl.F_EXCL,) * 4 + (nl.F_CREATE | nl.F_REPLACE,) * 3 + (nl.F_CREATE | nl.F_APPEND,) * 2 + (
    nl.F_CREATE, nl.F_REPLACE, nl.F_APPEND, 0, nl.F_CREATE | nl.F_REPLACE | nl.F_APPEND)
EXTREMES = (0, 1, 3, 4, 5, 7, 8, 127, 128, 254, 255)
OTHER_TYPES = (0, 2, 4, 5, 6, 8, 9, 99)
KINDS_OF_ROUTE = (1,) * 12 + (6, 7, 8, 9)
SETUP = """
link set lo up
link add red type vrf table 200
link add blue type vrf table 201
{links}
addr add fdff:2::fe/64 dev out0 nodad
"""


class Requests(generate.Generator):
    """Makes the attributes of SIDs, without packets to them."""

    def filled(self, made, count):
        """The same configuration."""
        return made


class Netlink:
    """A namespace with the devices that SIDs name; a round is a number of requests."""

    def __init__(self, seed):
        self.seed = seed
        expedite()
        self.namespace = new_namespace()
        sysctl("net/vrf/strict_mode", 1)
        ip_batch(SETUP.format(links="".join(f"link add {name} type dummy\nlink set {name} up\n"
                                            for name in DEVICES if name != "lo")))
        self.rtnl = nl.Rtnl()
        devices = {name: number for number, name in socket.if_nameindex()}
        self.places = {PLACES[name]: devices[name] for name in DEVICES}
        self.places[PLACES[PROGRAM]] = ebpf.load_program(ebpf.returning(ebpf.OK))
        self.places[PLACES[LWT_IN]] = ebpf.load_program(ebpf.returning(ebpf.OK), ebpf.TYPE_LWT_IN)
        self.places[PLACES[MAP]] = ebpf.bpf(0, "IIII", 2, 4, 8, 1)[0]

    def serving(self):
        """Checks who serves seg6local."""
        with Installed(self, sid("fcff::1/128", nl.u32(nl.ACTION, nl.END), self.places[PLACES["dum0"]])):
            served_by()

    def run(self, number, part=(0, MESSAGES)):
        """Sends the requests of a round and removes what they have made; returns the counts."""
        counts = collections.Counter(messages=part[1])
        for index in range(part[0], part[0] + part[1]):
            message = Message(f"{self.seed}:{number}:{index}", self.places)
            counts["accepted"] += self.rtnl.change(*message.request())[0] == 0
            if index % DUMP_EVERY == 0:
                self.seen()
        self.clean_up()
        return counts

    def seen(self):
        """How many routes and nexthop objects with seg6local there are."""
        routes = self.rtnl.request(nl.RTM_GETROUTE, struct.pack("=BBBBBBBBI", socket.AF_INET6, *[0] * 8), nl.F_DUMP)[2]
        objects = self.rtnl.request(nl.RTM_GETNEXTHOP, bytes(8), nl.F_DUMP)[2]
        encap_type = nl.u16(nl.RTA_ENCAP_TYPE, nl.ENCAP_SEG6_LOCAL)
        return sum(encap_type in message for message in routes) + sum(nl.NHA_ENCAP in nl.parse(message[8:])
                                                                      for message in objects)

    def clean_up(self):
        """Removes all routes and nexthop objects; the module is then not used any more and can be unloaded."""
        for family in ("-6", "-4"):
            ip(family, "route", "flush", "table", "all")
        ip("nexthop", "flush")
        equal(self.seen(), 0, "routes and nexthop objects that are left")
        if IS_MODULE and os.path.exists(MODULE + "/refcnt"):
            wait_for(lambda: references() == 0, "the module is not used any more")
            unload()


def references():
    """How many users the module has."""
    with open(MODULE + "/refcnt", encoding="ascii") as file:
        return int(file.read())


class Message:
    """One request; `seed` is for its choices, `places` the true numbers of devices and file descriptors."""

    def __init__(self, seed, places):
        self.random = random.Random(seed)
        self.places = places

    def chance(self, percent):
        """True in so many cases of a hundred."""
        return self.random.randrange(100) < percent

    def request(self):
        """Type, body and flags of a request."""
        is_nexthop = self.chance(30)
        body = self.nexthop() if is_nexthop else self.route()
        if self.chance(8):
            body = self.mutated(body)
        new = nl.RTM_NEWNEXTHOP if is_nexthop else nl.RTM_NEWROUTE
        kind = self.random.choice((NEW,) * 12 + (DELETE, DELETE, GET))
        return new + kind, body, self.random.choice(FLAGS) if kind == NEW else 0

    def encap(self):
        """The encapsulation of a route, as content of its attribute."""
        made = Requests(self.random.randrange(1 << 30), 0).configuration().attributes
        for place, number in self.places.items():
            made = made.replace(struct.pack("=I", place), struct.pack("=I", number))
        return self.mutated(made) if self.chance(50) else made

    def destination(self):
        """A prefix of SIDs."""
        length = self.random.choice((128, 128, 128, 64, 48, 0))
        return f"fcff::{self.random.randrange(1, 64):x}/{length}"

    def route(self):
        """The body of a request for a route."""
        out = nl.u32(nl.RTA_OIF, self.places[PLACES[self.random.choice(("dum0", "dum0", "out0", "lo"))]])
        gateway = nl.addr6(nl.RTA_GATEWAY, "fdff:2::1") if self.chance(20) else b""
        encap = nl.encap(nl.ENCAP_SEG6_LOCAL if self.chance(98) else self.random.choice(OTHER_TYPES), self.encap())
        if self.chance(10):
            out, gateway, encap = nl.u32(nl.RTA_NH_ID, self.random.choice(NEXTHOPS)), b"", b""
        elif self.chance(20):
            out, gateway, encap = self.multipath(), b"", b""
        return nl.route(self.destination(), out, gateway, encap, kind=self.random.choice(KINDS_OF_ROUTE),
                        table=self.random.choice((254, 254, 254, 100, 200, 0)))

    def multipath(self):
        """The attribute of a route with several next hops."""
        paths = b""
        for _ in range(self.random.choice((1, 2, 2, 3, 8))):
            content = nl.encap(nl.ENCAP_SEG6_LOCAL, self.encap())
            if self.chance(30):
                content = nl.addr6(nl.RTA_GATEWAY, "fdff:2::1") + content
            device = self.places[PLACES[self.random.choice(("dum0", "out0"))]]
            paths += struct.pack("=HBBi", 8 + len(content), 0, self.random.randrange(4), device) + content
        return nl.attr(nl.RTA_MULTIPATH, self.mutated(paths) if self.chance(20) else paths[:MAX_MUTATED])

    def nexthop(self):
        """The body of a request for a nexthop object."""
        body = nl.u32(nl.NHA_ID, self.random.choice(NEXTHOPS))
        if self.chance(15):
            members = self.random.sample(NEXTHOPS, self.random.choice((1, 2, 3)))
            body += nl.attr(nl.NHA_GROUP, b"".join(struct.pack("=IBBH", member, 0, 0, 0) for member in members))
        else:
            body += nl.u32(nl.NHA_OIF, self.places[PLACES[self.random.choice(("dum0", "out0"))]])
            body += nl.u16(nl.NHA_ENCAP_TYPE, nl.ENCAP_SEG6_LOCAL) + nl.attr(nl.NHA_ENCAP, self.encap())
        return struct.pack("=BBBBI", socket.AF_INET6, 0, 4, 0, 0) + body

    def mutated(self, data):
        """Attributes with something wrong."""
        ways = (self.flipped, self.flipped, self.overwritten, self.resized, self.resized, self.retyped, self.cut,
                self.doubled, self.nested, self.swollen)
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            data = self.random.choice(ways)(data)[:MAX_MUTATED]
        return data

    def attribute(self, data):
        """The offset of a random attribute, also of one in another."""
        found, at = [], 0
        while at + 4 <= len(data):
            found.append(at)
            length = struct.unpack_from("=H", data, at)[0]
            at += 4 if self.chance(20) or length < 4 else length + -length % 4
        return self.random.choice(found) if found else None

    def flipped(self, data):
        """One bit is another."""
        at = self.random.randrange(len(data) or 1)
        return p.edit(data, at, bytes((data[at] ^ 1 << self.random.randrange(8),))) if data else data

    def overwritten(self, data):
        """One byte is another."""
        return p.edit(data, self.random.randrange(len(data)), bytes((self.random.choice(EXTREMES),))) if data else data

    def resized(self, data):
        """An attribute has another length."""
        at = self.attribute(data)
        if at is None:
            return data
        length = struct.unpack_from("=H", data, at)[0]
        chosen = self.random.choice((0, 1, 3, 4, 5, 0xFFFF, length + 1, length - 1, length + 4, length - 4, len(data)))
        return p.edit(data, at, struct.pack("=H", chosen & 0xFFFF))

    def retyped(self, data):
        """An attribute has another type or other flags."""
        at = self.attribute(data)
        if at is None:
            return data
        kind = struct.unpack_from("=H", data, at + 2)[0]
        chosen = self.random.choice((kind ^ 0x8000, kind ^ 0x4000, kind | 0xC000, self.random.randrange(16), 0xFFFF))
        return p.edit(data, at + 2, struct.pack("=H", chosen))

    def cut(self, data):
        """The end is missing."""
        return data[:self.random.randrange(len(data) + 1)]

    def doubled(self, data):
        """Something is there twice."""
        at = self.attribute(data)
        return data if at is None else data + data[at:]

    def nested(self, data):
        """All is in attributes in attributes."""
        for _ in range(self.random.choice((1, 2, 100))):
            if len(data) < MAX_MUTATED:
                data = nl.attr(self.random.randrange(13) | self.random.choice((0, nl.NESTED)), data)
        return data

    def swollen(self, data):
        """A huge attribute."""
        size = self.random.choice((255, 256, 2048, 2056, 30000))
        return data + nl.attr(self.random.randrange(13), self.random.randbytes(size))
