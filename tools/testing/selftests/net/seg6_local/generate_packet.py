# SPDX-License-Identifier: GPL-2.0-or-later
"""Random packets to a SID: header chains, SRHs and inner packets that are right, almost right or wrong.

The addresses are those of diff_net.py.
"""

import struct

import packet as p

KEYS = {1: "first secret", 2: "second secret"}
NO_KEY = 9

ROUTED6 = ("fd02::a", "fd02::b", "fd03::a", "fd04::a", "fcbb:b::1")
ANYWHERE6 = ("fd06::a", "fd99::1", "fd0b::1", "fd0c::1", "fd0d::1", "fd0e::1", "fd0a::1", "fd0a::2", "fd01::fe",
             "fdff:4::fe", "fcff::1", "fcff::e", "fdff:2::1", "fdff:2::99", "ff02::1", "ff0e::1", "::", "::1",
             "::ffff:10.2.0.1", "fe80::1")
ROUTED4 = ("10.12.0.7", "10.12.0.77", "10.13.0.7", "10.2.0.1")
ANYWHERE4 = ("10.16.0.7", "10.10.0.1", "10.10.0.2", "10.2.0.254", "10.4.0.254", "10.14.0.7", "10.21.0.1", "10.22.0.1",
             "10.23.0.1", "10.24.0.1", "10.2.0.99", "100.64.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255",
             "10.2.0.255", "0.0.0.0", "240.0.0.1")
NEXT4 = ("10.2.0.1", "10.2.0.2", "10.3.0.1")
LARGE = 4500


def chance(random, percent):
    """True in so many cases of a hundred."""
    return random.randrange(100) < percent


def segment(random):
    """A segment that can be routed, or sometimes another."""
    return random.choice(ROUTED6) if chance(random, 82) else random.choice(ANYWHERE6)


def tlvs(random):
    """TLVs with a length that is a multiple of 8, mostly none."""
    data = b""
    while chance(random, 25):
        size = random.choice((8, 8, 16, 24, 40))
        data += p.tlv(random.choice((4, 4, 1, 5, 124, 200)), random.randbytes(size - 2))
    return data


def srh(random, nexthdr, segments, left=None, **fields):
    """A valid SRH without HMAC."""
    left = random.randrange(len(segments)) if left is None else left
    fields = {"tlvs": tlvs(random), "flags": 0, "tag": random.choice((0, random.randrange(1 << 16))), **fields}
    if chance(random, 10):
        fields["flags"] |= random.randrange(256) & ~8
    return p.srh(nexthdr, segments, left, **fields)


def hmac_srh(random, src, nexthdr=0, segments=None, left=None):
    """An SRH with an HMAC TLV that is right, wrong, of an unknown key or not complete."""
    segments = segments or [segment(random) for _ in range(random.choice((1, 2, 3, 14, 15)))]
    left = random.randrange(len(segments)) if left is None else left
    key = random.choices((1, 2, NO_KEY), (80, 10, 10))[0]
    digest = p.digest(KEYS.get(key, "none"), src, segments, key)
    if chance(random, 25):
        digest = random.randbytes(32)
    before = p.pad(8) if chance(random, 20) else b""
    after = p.pad(8) if chance(random, 8) else b""
    flags = 8 if chance(random, 90) else 0
    return p.srh(nexthdr, segments, left, tlvs=before + p.hmac_tlv(key, digest) + after, flags=flags)


class Target:
    """The prefix of a SID; behind a compressed one come arguments."""

    def __init__(self, sid, length=128, node=0):
        self.sid, self.length, self.node = sid, length, node
        self.prefix = f"{sid}/{length}"

    @classmethod
    def compressed(cls, random, block, node):
        """A SID with a locator block and a node function of so many bytes."""
        locator = (b"\xfc\xbb" + bytes((0, 0)) + random.randbytes(12))[:block + node]
        return cls(p.text(locator.ljust(16, b"\0")), 8 * len(locator), node)

    def address(self, random):
        """A destination address in the prefix."""
        fixed = p.addr(self.sid)[:self.length // 8]
        room = 16 - len(fixed)
        if chance(random, 50):
            return p.text(fixed + bytes(room))
        function = fixed[len(fixed) - self.node:]
        arguments = b"".join(random.choice((random.randbytes(self.node or 1), function, bytes(self.node or 1)))
                             for _ in range(random.randrange(1, 5)))
        return p.text(fixed + arguments[:room].ljust(room, b"\0"))


class Packets:
    """Makes packets to one SID that carry one of the protocols `inner`."""

    def __init__(self, random, target, inner, decapsulating, require_hmac):
        self.random, self.target, self.inner, self.decapsulating = random, target, inner, decapsulating
        self.hmac_percent = 60 if require_hmac > 0 else 4
        self.large_percent = 3
        self.usual_segments = None

    def chance(self, percent):
        """True in so many cases of a hundred."""
        return chance(self.random, percent)

    def packet(self):
        """A packet, and the size of its linear part or None."""
        number = self.random.choice(self.inner)
        if self.chance(6):
            number = self.random.choice((p.UDP, p.IPV4, p.IPV6, p.ETHERNET, p.NONE, p.ICMP6, p.ESP, 253))
        payload = self.payload(number)
        if self.chance(self.large_percent) and len(payload) < LARGE:
            payload += self.random.randbytes(16) * (LARGE // 16)
        src = p.SRC if self.chance(92) else self.random.choice(("fd01::2", "fd99::9", "fd02::a", "fcff::e", "ff02::9"))
        rest, number = self.chain(number, payload, src)
        hlim = 64 if self.chance(88) else self.random.choice((0, 1, 2, 255))
        flow = self.random.choice((0, 0, self.random.randrange(1 << 28)))
        packet = p.ip6(number, self.target.address(self.random), rest, src=src, hlim=hlim, flow=flow)
        if self.chance(20):
            packet = self.mutated(packet)
        linear = None
        if len(packet) > LARGE and self.chance(90):
            linear = self.random.choice((0, 40, 48, 64, 80, 81, 120, self.random.randrange(300)))
        return packet, linear

    def chain(self, number, data, src):
        """Extension headers in front of `data` and the number of the first."""
        after = () if self.chance(93) else (self.random.choice(("destination", "used", "other", "authentication")),)
        before = () if self.chance(82) else self.random.choice((
            ("hop by hop",), ("destination",), ("destination", "hop by hop"), ("used",), ("other",), ("fragment",),
            ("authentication",), ("invalid",), ("later fragment",), ("destination",) * 11, ("long",), ("active",)))
        headers = (*after, *(() if self.chance(4) else ("active",)), *before)
        for header in headers:
            kind, made = self.header(header, number, src)
            data, number = made + data, kind
        return data, number

    def header(self, name, nexthdr, src):
        """One extension header: its number and its bytes."""
        if name == "active":
            return p.RH, self.active(nexthdr, src)
        if name in ("used", "other", "invalid"):
            return p.RH, self.routing(name, nexthdr)
        if name in ("fragment", "later fragment"):
            return p.FRAG, p.fragment(nexthdr, 0 if name == "fragment" else 4)
        if name == "authentication":
            return p.AUTH, p.auth(nexthdr)
        if name == "hop by hop":
            return p.HBH, p.option(nexthdr, self.random.choice((8, 16)))
        return p.DSTOPT, p.option(nexthdr, 1024 if name == "long" else self.random.choice((8, 8, 24)))

    def segments(self):
        """The segments of an SRH."""
        count = self.random.choice((1, 2, 2, 3, 4, 6))
        if self.usual_segments and self.chance(75):
            count = self.usual_segments
        return [segment(self.random) for _ in range(count)]

    def active(self, nexthdr, src):
        """The SRH that the SID is to process, with a fitting number of segments left."""
        segments = self.segments()
        wanted = self.decapsulating != self.chance(12)
        left = 0 if wanted else self.random.choice((1, 1, self.random.randrange(1, len(segments) + 1)))
        if self.chance(self.hmac_percent):
            return hmac_srh(self.random, src, nexthdr, segments, min(left, len(segments) - 1))
        return srh(self.random, nexthdr, segments, left)

    def routing(self, name, nexthdr):
        """A routing header that is not to be processed: used up, of another type, or an invalid SRH."""
        segments = [segment(self.random) for _ in range(self.random.choice((1, 2)))]
        if name == "used":
            return srh(self.random, nexthdr, segments, 0)
        left = self.random.choice((0, 1))
        if name == "other":
            return p.srh(nexthdr, segments, left, kind=self.random.choice((0, 2, 3, 5, 253)))
        return p.srh(nexthdr, segments, left, last=self.random.choice((2, 200)))

    def mutated(self, packet):
        """A packet with something wrong behind its IPv6 header."""
        ways = (self.flipped, self.flipped, self.overwritten, self.cut, self.shortened)
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            packet = self.random.choice(ways)(packet)
        return packet

    def place(self, packet):
        """The offset of some byte, mostly one of the first after the IPv6 header; None if there is none."""
        end = min(len(packet), 40 + self.random.choice((8, 8, 48, 160)))
        return self.random.randrange(40, end) if end > 40 else None

    def flipped(self, packet):
        """One bit is another."""
        at = self.place(packet)
        return packet if at is None else p.edit(packet, at, bytes((packet[at] ^ 1 << self.random.randrange(8),)))

    def overwritten(self, packet):
        """One byte is another."""
        at = self.place(packet)
        value = bytes((self.random.choice((0, 1, 2, 4, 127, 128, 255)),))
        return packet if at is None else p.edit(packet, at, value)

    def cut(self, packet):
        """The end is missing, and the payload length says so."""
        size = self.random.randrange(40, min(len(packet), 300) + 1)
        return p.edit(packet[:size], 4, struct.pack("!H", size - 40))

    def shortened(self, packet):
        """The payload length says less than there is."""
        return p.edit(packet, 4, struct.pack("!H", self.random.randrange(min(len(packet) - 40, 300) + 1)))

    def payload(self, number):
        """What is behind the extension headers."""
        if number == p.UDP:
            return p.udp(self.random.randbytes(self.random.choice((0, 1, 8, 64, 64, 64, 1250))))
        if number == p.IPV6:
            return self.inner6()
        if number == p.IPV4:
            return self.inner4()
        if number == p.ETHERNET:
            return self.frame()
        return self.random.randbytes(self.random.randrange(64))

    def data(self, echo):
        """Protocol and bytes that an inner packet carries: an echo request, UDP or nothing known."""
        number, data = self.random.choice((echo, (p.UDP, p.udp(self.random.randbytes(self.random.randrange(40)))),
                                           (p.UDP, p.udp(bytes(1300))), (253, bytes(self.random.randrange(20)))))
        return number, data

    def inner6(self):
        """An inner IPv6 packet."""
        dst = self.random.choice(ROUTED6) if self.chance(65) else self.random.choice(ANYWHERE6)
        src = p.SRC if self.chance(85) else self.random.choice(("fd05::1", "::1", "::", "ff02::1", "fd0a::1"))
        echo = p.summed(p.ICMP6, src, dst, struct.pack("!BBHHH", 128, 0, 0, 1, 1) + b"echo")
        number, data = self.data((p.ICMP6, echo))
        if self.chance(20):
            number, data = p.RH, srh(self.random, number, self.segments()) + data
        elif self.chance(8):
            kind = self.random.choice((p.DSTOPT, p.HBH, p.FRAG))
            number, data = kind, (p.fragment if kind == p.FRAG else p.option)(number) + data
        hlim = 64 if self.chance(80) else self.random.choice((0, 1, 2))
        flow = self.random.choice((0, self.random.randrange(1 << 28)))
        return self.inner_mutated(p.ip6(number, dst, data, src=src, hlim=hlim, flow=flow), 4)

    def inner_mutated(self, inner, length_at):
        """An inner packet, sometimes with a wrong version, a wrong length, or cut."""
        if self.chance(88):
            return inner
        wrong = self.random.randrange(5)
        if wrong == 0:
            return bytes((inner[0] & 15 | self.random.randrange(16) << 4,)) + inner[1:]
        if wrong == 1:
            length = struct.unpack_from("!H", inner, length_at)[0] + self.random.choice((-9, -1, 1, 8, 30000))
            return p.edit(inner, length_at, struct.pack("!H", max(length, 0)))
        if wrong == 2:
            return inner[:self.random.randrange(len(inner))]
        if wrong == 3:
            return inner + bytes(self.random.randrange(1, 20))
        at = self.random.randrange(min(len(inner), 60))
        return p.edit(inner, at, self.random.randbytes(1))

    def options(self):
        """IPv4 options, mostly none."""
        if self.chance(80):
            return b""
        known = (b"\1", bytes((7, 7, 4)) + bytes(4), bytes((7, 11, 8)) + bytes(8), bytes((68, 8, 5, 0)) + bytes(4),
                 bytes((148, 4, 0, 0)), bytes((131, 7, 4, 10, 12, 0, 7)), bytes((137, 7, 4, 10, 2, 0, 1)),
                 bytes((130, 11)) + bytes(9), bytes((200, 4, 1, 2)), self.random.randbytes(3))
        data = b"".join(self.random.choice(known) for _ in range(self.random.choice((1, 1, 2))))
        return data.ljust(len(data) + -len(data) % 4, b"\0")

    def inner4(self):
        """An inner IPv4 packet."""
        dst = self.random.choice(ROUTED4) if self.chance(65) else self.random.choice(ANYWHERE4)
        src = p.SRC4 if self.chance(85) else self.random.choice(("10.1.9.9", "127.0.0.1", "0.0.0.0", "224.0.0.1",
                                                                 "10.2.0.254", "203.0.113.9"))
        echo = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"echo"
        number, data = self.data((p.ICMP4, p.edit(echo, 2, struct.pack("!H", p.checksum(echo)))))
        inner = p.ip4(number, dst, data, src, 64 if self.chance(80) else self.random.choice((0, 1, 2)), self.options(),
                      tos=self.random.choice((0, self.random.randrange(256))), ident=self.random.randrange(1 << 16),
                      frag=self.random.choice((0, 0x4000, 0x4000, 0x2000, 0x0010)))
        if self.chance(7):
            inner = p.edit(inner, 10, self.random.randbytes(2))
        return self.inner_mutated(inner, 2)

    def frame(self):
        """An inner Ethernet frame; the MTU of the device that it is for is 6000."""
        kind = self.random.choice((0x800, 0x86DD, 0x806, 0x88CC, 0x1234, 0x600))
        data = self.random.randbytes(self.random.choice((0, 1, 20, 46, 46, 100, 1500)))
        if self.chance(10):
            kind = self.random.choice((0, 38, 64, 1500, 0x5FF))
        if self.chance(8):
            data = bytes(self.random.choice((6000, 6000, 6001, 6004, 6005, 7000)))
        if self.chance(20):
            data = struct.pack("!HH", self.random.randrange(1 << 16), kind) + data
            kind = self.random.choice((0x8100, 0x8100, 0x88A8))
        dst = self.random.choice((b"\2\0\0\0\7\1", b"\xff" * 6, b"\1\x80\xc2\0\0\0", b"\2\0\0\0\7\2"))
        frame = p.ether(kind, data, dst)
        return frame if self.chance(95) else frame[:self.random.randrange(20)]
