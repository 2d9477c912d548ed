# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads an IPv6 packet with Segment Routing Headers (RFC 8754), and pairs it with what it became."""

import socket
import struct

UDP, IPV6, ROUTING = 17, 41, 43
NEXT_HEADERS = {UDP: "UDP", IPV6: "IPv6", ROUTING: "routing"}
IPV6_LEN, SRH_LEN, UDP_LEN = 40, 8, 8

# Fields of the tables: one that identifies a packet, one that is shown only where it changes.
FLOW = "ports, payload"
PAYLOAD_LENGTH = "payload length"


def decode(packet):
    """Splits an IPv6 packet into headers: [(name, {field: value})]."""
    headers = []
    kind = IPV6
    while packet:
        if kind == IPV6 and len(packet) >= IPV6_LEN:
            length, kind, hop_limit, source, destination = struct.unpack_from("!4xHBB16s16s", packet)
            headers.append(("IPv6", {
                "source": socket.inet_ntop(socket.AF_INET6, source),
                "destination": socket.inet_ntop(socket.AF_INET6, destination),
                "hop limit": hop_limit,
                "next header": f"{kind} ({NEXT_HEADERS.get(kind, '?')})",
                PAYLOAD_LENGTH: length}))
            packet = packet[IPV6_LEN:]
        elif kind == ROUTING and len(packet) >= SRH_LEN:
            kind, length, _, segments_left, last_entry, _, tag = struct.unpack_from("!BBBBBBH", packet)
            end = SRH_LEN + 8 * length
            headers.append(("SRH", {
                "next header": f"{kind} ({NEXT_HEADERS.get(kind, '?')})",
                "segments left": segments_left,
                "last entry": last_entry,
                "tag": tag,
                **decode_lists(packet[SRH_LEN:end], last_entry + 1)}))
            packet = packet[end:]
        elif kind == UDP and len(packet) >= UDP_LEN:
            source, destination = struct.unpack_from("!HH", packet)
            text = packet[UDP_LEN:].decode("ascii", "replace")
            headers.append(("UDP", {FLOW: f"{source} > {destination} {text}"}))
            break
        else:
            headers.append(("rest", {"bytes": packet[:10].hex(" ")}))
            break
    return headers


def decode_lists(data, segments):
    """The segment list and the TLVs of an SRH."""
    fields = {}
    for i in range(min(segments, len(data) // 16)):
        fields[f"segment list[{i}]"] = socket.inet_ntop(socket.AF_INET6, data[16 * i:][:16])
    tlvs = data[16 * segments:]
    while len(tlvs) >= 2:
        fields[f"TLV {tlvs[0]}"] = tlvs[2:2 + tlvs[1]].hex(" ")
        tlvs = tlvs[2 + tlvs[1]:]
    return fields


def pair(before, after):
    """Pairs the headers of two packets: the payload first, then the head; what is left is new."""
    tail = 0
    while tail < min(len(before), len(after)) and before[-1 - tail][0] == after[-1 - tail][0]:
        tail += 1
    old, new = before[:len(before) - tail], after[:len(after) - tail]
    old += [(None, {})] * (len(new) - len(old))
    new += [(None, {})] * (len(old) - len(new))
    return [*zip(old, new), *zip(before[len(before) - tail:], after[len(after) - tail:])]
