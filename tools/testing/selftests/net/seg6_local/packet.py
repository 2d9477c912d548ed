# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds IPv6 and IPv4 packets as bytes, well formed or not.

Every header function takes the number of the next header first and returns the bytes of one header; addresses are
strings. The segments of an SRH are given as on the wire: segment 0 is the last one to visit.
"""

import errno
import hashlib
import hmac
import socket
import struct

HBH, ICMP4, IPV4, TCP, UDP, IPV6, RH, FRAG, ESP, AUTH, ICMP6, NONE = 0, 1, 4, 6, 17, 41, 43, 44, 50, 51, 58, 59
DSTOPT, ETHERNET = 60, 143

SRC, SRC4 = "fd01::1", "10.1.0.1"
TUNNEL_SRC = "fd01::2"
PAYLOAD = bytes(range(64))


def addr(text):
    """The bytes of an IPv6 or IPv4 address."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def text(address):
    """An IPv6 address as a string."""
    return socket.inet_ntop(socket.AF_INET6, address)


def flow(packet):
    """Traffic class and flow label of an IPv6 packet."""
    return struct.unpack_from("!I", packet)[0] & 0xFFFFFFF


def checksum(data):
    """The internet checksum of `data`."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip6(nexthdr, dst, payload, src=SRC, hlim=64, flow=0, length=None):
    """An IPv6 packet; `flow` is traffic class and flow label, `length` overrides the payload length."""
    length = len(payload) if length is None else length
    return struct.pack("!IHBB", 6 << 28 | flow, length, nexthdr, hlim) + addr(src) + addr(dst) + payload


def ip4(proto, dst, payload, src=SRC4, ttl=64, options=b"", first=None, length=None, tos=0, ident=0x1234, frag=0):
    """An IPv4 packet; `first` and `length` override the first byte and the total length."""
    size = 20 + len(options)
    first = 4 << 4 | size // 4 if first is None else first
    length = size + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH", first, tos, length, ident, frag, ttl, proto, 0) + addr(src) + addr(dst) + options
    return edit(head, 10, struct.pack("!H", checksum(head))) + payload


def udp(data=PAYLOAD, sport=1000, dport=2000):
    """A UDP datagram without checksum: nobody on the path looks at it."""
    return struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data


def tcp(data, seq=1, flags=0x10, sport=1000, dport=2000):
    """A TCP segment without checksum; the flag is ACK."""
    return struct.pack("!HHIIBBHHH", sport, dport, seq, 1, 5 << 4, flags, 1000, 0, 0) + data


def summed(number, src, dst, segment):
    """A UDP, TCP or ICMPv6 message with the checksum that it has between two addresses of one family."""
    pseudo = addr(src) + addr(dst) + struct.pack("!II", len(segment), number)
    return edit(segment, {UDP: 6, TCP: 16, ICMP6: 2}[number], struct.pack("!H", checksum(pseudo + segment)))


def ether(protocol, payload, dst=bytes((2, 0, 0, 0, 2, 1)), src=bytes((2, 0, 0, 0, 2, 2))):
    """An Ethernet frame; `protocol` is its type or, for LLC, its length."""
    return dst + src + struct.pack("!H", protocol) + payload


def srh(nexthdr, segments, left, tlvs=b"", flags=0, tag=0, last=None, hdrlen=None, kind=4):
    """A Segment Routing Header (RFC 8754); last, hdrlen and kind override what is right."""
    body = b"".join(addr(s) for s in segments) + tlvs
    hdrlen = len(body) // 8 if hdrlen is None else hdrlen
    last = len(segments) - 1 if last is None else last
    return struct.pack("!BBBBBBH", nexthdr, hdrlen, kind, left, last, flags, tag) + body


def tlv(kind, value):
    """A TLV of an SRH."""
    return bytes((kind, len(value))) + value


# A TLV of one byte: padding without a length (RFC 8754, Section 2.1.1.1).
PAD1 = b"\0"


def pad(total):
    """A PadN TLV of `total` bytes."""
    return tlv(4, bytes(total - 2))


def hmac_tlv(key, digest=bytes(32)):
    """An HMAC TLV (RFC 8754, Section 2.1.2)."""
    return tlv(5, struct.pack("!HI", 0, key) + digest)


def misplaced_hmac_tlv(key):
    """TLVs whose end looks like an HMAC TLV, but is in the middle of others: an HMAC there breaks them."""
    return bytes((200, 22)) + bytes(14) + hmac_tlv(key)[:8] + pad(32)


def digest(secret, src, segments, key, flags=8):
    """The HMAC-SHA256 of an SRH with these segments in a packet from `src`."""
    signed = addr(src) + struct.pack("!BBI", len(segments) - 1, flags, key) + b"".join(addr(s) for s in segments)
    return hmac.new(secret.encode(), signed, hashlib.sha256).digest()


def unsigned_srhs():
    """SRHs whose HMAC cannot be made, as (what is wrong, SRH, errno); the only key has number 42."""
    two = ["fd02::77", "fd03::9"]
    yield "an HMAC flag without TLV", srh(0, two, 1, flags=8), errno.EINVAL
    yield "an unknown HMAC key", srh(0, two, 1, flags=8, tlvs=hmac_tlv(43)), errno.ENOENT
    yield "an HMAC over 15 segments", srh(0, ["fd03::9"] * 15, 14, flags=8, tlvs=hmac_tlv(42)), errno.EMSGSIZE


def invalid_srhs():
    """SRHs that cannot be pushed onto a packet: (name, bytes)."""
    good = srh(0, ["::", "fd03::9"], 1)
    for size in (1, 7, 8, 24, 39):
        yield f"{size} bytes of 40", good[:size]
    yield "48 bytes of 40", good + pad(8)
    yield "type 3", edit(good, 2, b"\3")
    yield "no segment", srh(0, [], 0, last=0)
    yield "no segment but a TLV", srh(0, [], 0, last=0, tlvs=pad(8))
    yield "more segments left than the last entry", srh(0, ["::", "fd03::9"], 2)
    yield "last entry out of range", srh(0, ["::", "fd03::9"], 1, last=2)
    yield "TLV past the end", srh(0, ["::", "fd03::9"], 1, tlvs=bytes((200, 7)) + bytes(6))
    yield "one byte after the TLVs", srh(0, ["::", "fd03::9"], 1, tlvs=pad(7) + b"\1")


def option(nexthdr, length=8):
    """A hop-by-hop or destination options header of `length` bytes, up to 2048, holding padding."""
    padding, rest = b"", length - 2
    while rest:
        size = min(rest, 250)
        padding, rest = padding + bytes((1, size - 2)) + bytes(size - 2), rest - size
    return bytes((nexthdr, length // 8 - 1)) + padding


def fragment(nexthdr, offset=0, more=1):
    """A fragment header; `offset` in units of 8 bytes."""
    return struct.pack("!BBHI", nexthdr, 0, offset << 3 | more, 0x1234)


def auth(nexthdr):
    """An authentication header of 24 bytes."""
    return struct.pack("!BBHII", nexthdr, 4, 0, 1, 1) + bytes(12)


def sr(dst, segments, left, payload=None, hlim=64, src=SRC, flow=0, **fields):
    """An IPv6 packet with an SRH in front of a UDP datagram."""
    header = srh(UDP, segments, left, **fields)
    return ip6(RH, dst, header + (udp() if payload is None else payload), hlim=hlim, src=src, flow=flow)


def chain(dst, links, number, rest, **fields):
    """An IPv6 packet with a chain of headers: (number, function from the next number to bytes), ending in `rest`."""
    numbers = [kind for kind, _ in links] + [number]
    for following, (_, build) in zip(reversed(numbers[1:]), reversed(links)):
        rest = build(following) + rest
    return ip6(numbers[0], dst, rest, **fields)


def inline(packet, segments, left, **fields):
    """`packet` with an SRH inserted: its destination becomes segment 0."""
    visited = [text(packet[24:40]), *segments[1:]]
    header = srh(packet[6], visited, left, **fields)
    return ip6(RH, visited[-1], header + packet[40:], src=text(packet[8:24]), hlim=packet[7], flow=flow(packet))


def encapsulated(packet, segments, left, src=TUNNEL_SRC, **fields):
    """`packet` in an outer IPv6 packet with an SRH."""
    header = srh(IPV6, segments, left, **fields)
    return ip6(RH, segments[-1], header + packet, hlim=packet[7], flow=flow(packet), src=src)


def edit(packet, offset, data):
    """`packet` with the bytes at `offset` replaced by `data`."""
    return packet[:offset] + data + packet[offset + len(data):]


def hop6(packet, hops=1):
    """An IPv6 packet as it looks after `hops` routers."""
    return edit(packet, 7, bytes((packet[7] - hops,)))


def hop4(packet):
    """An IPv4 packet as it looks after a router, which adjusts the checksum, be it right or wrong."""
    total = struct.unpack_from("!H", packet, 10)[0] + 0x100
    total += total >= 0xFFFF
    return edit(edit(packet, 8, bytes((packet[8] - 1,))), 10, struct.pack("!H", total & 0xFFFF))


def hop(packet, hops=1):
    """A packet as it looks after `hops` routers, or an IPv4 packet as it looks after one."""
    return hop4(packet) if packet[0] >> 4 == 4 else hop6(packet, hops)


def icmp_error(kind, code, quoted, src, dst=SRC, info=0):
    """An ICMPv6 error that quotes `quoted`, cut to the minimum MTU as a router does."""
    message = struct.pack("!BBHI", kind, code, 0, info) + quoted[:1280 - 48]
    return ip6(ICMP6, dst, summed(ICMP6, src, dst, message), src=src)


def icmp4_error(kind, code, quoted, src, dst=SRC4, info=0):
    """An ICMP error that quotes `quoted`, cut to 576 bytes as a router does; its identification is 0."""
    message = struct.pack("!BBHI", kind, code, 0, info) + quoted[:576 - 28]
    return ip4(ICMP4, dst, edit(message, 2, struct.pack("!H", checksum(message))), src=src, tos=0xC0, ident=0)
