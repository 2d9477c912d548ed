# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds IPv6 packets as bytes, well formed or not.

Every header function takes the number of the next header first and returns the bytes of one header; addresses are
strings. The segments of an SRH are given as on the wire: segment 0 is the last one to visit.
"""

import hashlib
import hmac
import socket
import struct

HBH, IPV4, UDP, IPV6, RH, FRAG, ESP, AUTH, ICMP6, NONE, DSTOPT = 0, 4, 17, 41, 43, 44, 50, 51, 58, 59, 60

SRC = "fd01::1"
PAYLOAD = bytes(range(64))


def addr(text):
    """The 16 bytes of an IPv6 address."""
    return socket.inet_pton(socket.AF_INET6, text)


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


def udp(data=PAYLOAD, sport=1000, dport=2000):
    """A UDP datagram without checksum: nobody on the path looks at it."""
    return struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data


def srh(nexthdr, segments, left, tlvs=b"", flags=0, tag=0, last=None, hdrlen=None, kind=4):
    """A Segment Routing Header (RFC 8754); last, hdrlen and kind override what is right."""
    body = b"".join(addr(s) for s in segments) + tlvs
    hdrlen = len(body) // 8 if hdrlen is None else hdrlen
    last = len(segments) - 1 if last is None else last
    return struct.pack("!BBBBBBH", nexthdr, hdrlen, kind, left, last, flags, tag) + body


def tlv(kind, value):
    """A TLV of an SRH."""
    return bytes((kind, len(value))) + value


def pad(total):
    """A PadN TLV of `total` bytes."""
    return tlv(4, bytes(total - 2))


def hmac_tlv(key, digest=bytes(32)):
    """An HMAC TLV (RFC 8754, Section 2.1.2)."""
    return tlv(5, struct.pack("!HI", 0, key) + digest)


def digest(secret, src, segments, key, flags=8):
    """The HMAC-SHA256 of an SRH with these segments in a packet from `src`."""
    signed = addr(src) + struct.pack("!BBI", len(segments) - 1, flags, key) + b"".join(addr(s) for s in segments)
    return hmac.new(secret.encode(), signed, hashlib.sha256).digest()


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
    yield "one byte after the TLVs", srh(0, ["::", "fd03::9"], 1, tlvs=pad(7) + b"\0")


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


def edit(packet, offset, data):
    """`packet` with the bytes at `offset` replaced by `data`."""
    return packet[:offset] + data + packet[offset + len(data):]


def hop(packet, hops=1):
    """`packet` as it looks after `hops` routers."""
    return edit(packet, 7, bytes((packet[7] - hops,)))


def icmp_error(kind, code, quoted, src, dst=SRC, info=0):
    """An ICMPv6 error that quotes `quoted`, cut to the minimum MTU as a router does."""
    quoted = quoted[:1280 - 48]
    head = struct.pack("!BBHI", kind, code, 0, info)
    pseudo = addr(src) + addr(dst) + struct.pack("!II", len(head) + len(quoted), ICMP6)
    total = checksum(pseudo + head + quoted)
    return ip6(ICMP6, dst, edit(head, 2, struct.pack("!H", total)) + quoted, src=src)
