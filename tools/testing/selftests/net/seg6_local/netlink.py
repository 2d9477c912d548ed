# SPDX-License-Identifier: GPL-2.0-or-later
"""rtnetlink messages, built and parsed by hand: the tests send what iproute2 cannot, and compare bytes."""

import socket
import struct

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEXTHOP, RTM_DELNEXTHOP, RTM_GETNEXTHOP = 104, 105, 106
NLMSG_ERROR, NLMSG_DONE = 2, 3
F_REQUEST, F_ACK, F_DUMP = 1, 4, 0x300
F_REPLACE, F_EXCL, F_CREATE, F_APPEND = 0x100, 0x200, 0x400, 0x800
ACK_TLVS = 0x200
ERROR_TEXT, ERROR_OFFSET, ERROR_POLICY, ERROR_MISSING, ERROR_NEST = 1, 2, 4, 5, 6
NESTED = 0x8000
FIB_MATCH = 0x2000

RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_MULTIPATH, RTA_ENCAP_TYPE, RTA_ENCAP, RTA_NH_ID = 1, 4, 5, 9, 21, 22, 30
NHA_ID, NHA_GROUP, NHA_OIF, NHA_ENCAP_TYPE, NHA_ENCAP = 1, 2, 5, 7, 8

ENCAP_BPF, ENCAP_SEG6_LOCAL = 6, 7
ACTION, SRH, TABLE, NH4, NH6, IIF, OIF, BPF, VRFTABLE, COUNTERS, FLAVORS = range(1, 12)
END, END_X, END_T, END_DX2, END_DX6, END_DX4, END_DT6, END_DT4, END_B6, END_B6_ENCAP = range(1, 11)
END_BPF, END_DT46 = 15, 16
PSP, USP, USD, NEXT_CSID = (1 << bit for bit in (1, 2, 3, 4))


def attr(kind, data=b""):
    """One netlink attribute, padded."""
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def u8(kind, value):
    """An attribute that holds an 8-bit number."""
    return attr(kind, struct.pack("=B", value))


def u16(kind, value):
    """An attribute that holds a 16-bit number."""
    return attr(kind, struct.pack("=H", value))


def u32(kind, value):
    """An attribute that holds a 32-bit number."""
    return attr(kind, struct.pack("=I", value & 0xFFFFFFFF))


def u64(kind, value):
    """An attribute that holds a 64-bit number."""
    return attr(kind, struct.pack("=Q", value))


def addr6(kind, text):
    """An attribute that holds an IPv6 address."""
    return attr(kind, socket.inet_pton(socket.AF_INET6, text))


def counters():
    """The attribute that asks for counters."""
    return attr(COUNTERS | NESTED, u64(2, 0) + u64(3, 0) + u64(4, 0))


def flavors(operations, block=None, node=None):
    """The FLAVORS attribute: a mask of flavors, and the lengths of NEXT-C-SID in bits."""
    lengths = b"" if block is None else u8(2, block)
    lengths += b"" if node is None else u8(3, node)
    return attr(FLAVORS | NESTED, u32(1, operations) + lengths)


def bpf(fd, name="prog"):
    """The BPF attribute of End.BPF."""
    return attr(BPF, u32(1, fd) + attr(2, name.encode() + b"\0"))


def parse(data):
    """The attributes in `data` as a dictionary from id to content."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        found[kind & ~NESTED] = data[4:length]
        data = data[length + (-length % 4):]
    return found


def route(dst, *attributes, family=socket.AF_INET6, table=254, kind=1, flags=0, proto=4):
    """The body of a route message for the prefix `dst`, "address/length"."""
    address, length = dst.split("/")
    header = struct.pack("=BBBBBBBBI", family, int(length), 0, 0, table, proto, 0, kind, flags)
    return header + attr(RTA_DST, socket.inet_pton(family, address)) + b"".join(attributes)


def encap(kind, data):
    """The two attributes of a route that carry a lightweight tunnel."""
    return u16(RTA_ENCAP_TYPE, kind) + attr(RTA_ENCAP, data)


class Rtnl:
    """An rtnetlink socket in the current network namespace."""

    def __init__(self, proto=socket.NETLINK_ROUTE, groups=0):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, proto)
        self.sock.setsockopt(270, 11, 1)  # NETLINK_EXT_ACK
        self.sock.setsockopt(270, 10, 1)  # NETLINK_CAP_ACK
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((0, groups))
        self.sock.settimeout(10)
        self.sequence = 0
        self.sent = b""
        self.told = {}

    def receive(self):
        """The messages of one datagram: (type, flags, sequence, payload)."""
        data = self.sock.recv(1 << 18)
        while data:
            length, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data)
            yield kind, flags, sequence, data[16:length]
            data = data[length + (-length % 4):]

    def request(self, kind, body, flags=0):
        """Sends a request; returns (errno, extack text or None, replies)."""
        self.sequence += 1
        flags |= F_REQUEST | (0 if flags & F_DUMP == F_DUMP else F_ACK)
        self.sent = struct.pack("=IHHII", 16 + len(body), kind, flags, self.sequence, 0) + body
        self.sock.send(self.sent)
        replies = []
        while True:
            for kind, flags, sequence, payload in self.receive():
                if sequence != self.sequence:
                    continue
                if kind == NLMSG_DONE:
                    return -struct.unpack_from("=i", payload)[0], None, replies
                if kind == NLMSG_ERROR:
                    return *self.error(payload, flags), replies
                replies.append(payload)

    def error(self, payload, flags):
        """The errno and the extack text of an error message; `told` is all that it says besides the errno."""
        errno = -struct.unpack_from("=i", payload)[0]
        self.told = parse(payload[20:]) if flags & ACK_TLVS else {}
        text = self.told.get(ERROR_TEXT)
        return errno, text.rstrip(b"\0").decode() if text else None

    def named(self):
        """The attributes that the last error names: the wrong one, the type of the missing one, what that lacks in."""
        missing = self.told.get(ERROR_MISSING)
        return self.pointed(ERROR_OFFSET), missing and struct.unpack("=I", missing)[0], self.pointed(ERROR_NEST)

    def pointed(self, kind):
        """The attribute of the last request that the error points to; None if it does not."""
        if kind not in self.told:
            return None
        at, = struct.unpack("=I", self.told[kind])
        length, = struct.unpack_from("=H", self.sent, at)
        return self.sent[at:at + length + (-length % 4)]

    def flood(self, kind, bodies, flags=0):
        """Sends many requests at once; returns the set of their (errno, extack text)."""
        first = self.sequence + 1
        messages = b""
        for body in bodies:
            self.sequence += 1
            messages += struct.pack("=IHHII", 16 + len(body), kind, flags | F_REQUEST | F_ACK, self.sequence, 0)
            messages += body + bytes(-len(body) % 4)
        self.sock.send(messages)
        results = set()
        while first <= self.sequence:
            for _, flags, sequence, payload in self.receive():
                if sequence == first:
                    results.add(self.error(payload, flags))
                    first += 1
        return results

    def change(self, kind, body, flags=0):
        """Sends a request; returns (errno, extack text or None)."""
        return self.request(kind, body, flags)[:2]

    def add(self, body, flags=F_CREATE | F_EXCL):
        """Adds a route; returns (errno, extack text or None)."""
        return self.change(RTM_NEWROUTE, body, flags)

    def delete(self, body):
        """Deletes a route; returns (errno, extack text or None)."""
        return self.change(RTM_DELROUTE, body)

    def get(self, dst):
        """The attributes of the route that serves address `dst`."""
        errno, text, replies = self.request(RTM_GETROUTE, route(f"{dst}/128", flags=FIB_MATCH, table=0))
        if errno:
            raise OSError(errno, text)
        return parse(replies[0][12:])

    def get_counters(self, dst):
        """The counters of the SID `dst`: packets, bytes, errors; None if it has none."""
        nest = parse(self.get(dst)[RTA_ENCAP]).get(COUNTERS)
        if nest is None:
            return None
        found = parse(nest)
        return tuple(struct.unpack("=Q", found[kind])[0] for kind in (2, 3, 4))


class Genl(Rtnl):
    """A socket for a family of generic netlink, in the current network namespace."""

    CONTROL, GET_FAMILY, FAMILY_ID, FAMILY_NAME = 16, 3, 1, 2

    def __init__(self, name):
        super().__init__(16)
        self.family = self.CONTROL
        _, _, replies = self.command(self.GET_FAMILY, attr(self.FAMILY_NAME, name.encode() + b"\0"))
        self.family = struct.unpack("=H", parse(replies[0][4:])[self.FAMILY_ID])[0]

    def command(self, number, attributes=b"", flags=0):
        """Sends a command; returns (errno, extack text or None, replies)."""
        return self.request(self.family, struct.pack("=BBH", number, 1, 0) + attributes, flags)


class Seg6(Genl):
    """The settings of SRv6 in a network namespace: keys and the source address of tunnels."""

    SET_HMAC, DUMP_HMAC, SET_TUNNEL_SOURCE, GET_TUNNEL_SOURCE = range(1, 5)
    DST, _, KEY_ID, SECRET, SECRET_LEN, ALGORITHM = range(1, 7)
    SHA256 = 2

    def __init__(self):
        super().__init__("SEG6")

    def set_key(self, number, secret, length=None, algorithm=SHA256):
        """Adds an HMAC key; `length` overrides that of the secret. Returns the errno."""
        length = len(secret) if length is None else length
        return self.command(self.SET_HMAC, u32(self.KEY_ID, number) + u8(self.SECRET_LEN, length)
                            + u8(self.ALGORITHM, algorithm) + attr(self.SECRET, secret))[0]

    def keys(self):
        """All HMAC keys: from number to secret."""
        found = (parse(reply[4:]) for reply in self.command(self.DUMP_HMAC, flags=F_DUMP)[2])
        return {struct.unpack("=I", key[self.KEY_ID])[0]: key[self.SECRET] for key in found}
