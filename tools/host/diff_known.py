# SPDX-License-Identifier: GPL-2.0-or-later
"""The differences between C and Rust that are meant: rows of the table in the documentation, as tests of a case.

A test looks at what was sent and at what each kernel did, and holds for nothing else than the difference.
"""

import struct

import ebpf
import edge
import generate
import model
import netlink as nl
import packet as p
import topology
from generate_packet import NEXT4

EXTENSIONS = {p.HBH, p.DSTOPT, p.RH, p.FRAG, p.AUTH}
ENOENT, EFAULT, EINVAL, EBADMSG, EMSGSIZE = -2, -14, -22, -74, -90
# MTU of the devices that frames go to, if it is not that of topology.py.
MTUS = {"l2": edge.WIRE_MTU, "dum0": 1500, "down0": 1500}
VLANS = (0x8100, 0x88A8)
# Options that IPv4 looks into: record route, timestamp, source routes, CIPSO, router alert; None is a malformed one.
CHECKED_OPTIONS = (7, 68, 131, 137, 134, 148, None)


def headers(packet):
    """The extension headers of an IPv6 packet, then what follows them: (number, offset)."""
    number, at = packet[6], 40
    while number in EXTENSIONS and at + 8 <= len(packet):
        yield number, at
        units = packet[at + 1]
        size = {p.FRAG: 8, p.AUTH: 4 * (units + 2)}.get(number, 8 * (units + 1))
        number, at = packet[at], at + size
    yield number, at


def received(case):
    """The packet without what is behind the length that it states."""
    return case.packet[:40 + struct.unpack_from("!H", case.packet, 4)[0]]


def routing_headers(packet):
    """The routing headers of a packet, each from its start to the end of the packet."""
    return [packet[at:] for number, at in headers(packet) if number == p.RH and len(packet) >= at + 8]


def inner(case):
    """What a behavior that decapsulates finds behind the extension headers: its number and its bytes."""
    packet = received(case)
    *_, (number, at) = headers(packet)
    return number, packet[at:]


def drops(fate):
    """Whether a packet was dropped because of an error."""
    return not fate.frames and fate.counters in ((), (0, 0, 1))


def passes(fate):
    """Whether a packet was processed, whatever the route then did to it."""
    return not drops(fate)


def action_of(case):
    """The action of the SID."""
    return case.configuration.action


def is_decapsulating(case):
    """Whether the SID removes the outer headers."""
    return action_of(case) in generate.DECAPSULATING


def attribute(case, kind):
    """An attribute of the SID, or None."""
    return nl.parse(case.configuration.attributes).get(kind)


def flavors(case):
    """The flavors of the SID."""
    nest = attribute(case, nl.FLAVORS)
    operations = nl.parse(nest).get(1, bytes(4)) if nest else bytes(4)
    return struct.unpack("=I", operations)[0]


def first_difference(case):
    """The first call of the program's last run with two results: (call, that on C, that on Rust), or None."""
    c, rust = (outcome.results for outcome in case.outcomes)
    if not case.configuration.program or not c or not c[0] or not rust[0]:
        return None
    for call, *results in zip(case.configuration.program.calls, c[2:], rust[2:]):
        if results[0] != results[1]:
            return call, *results
    return None


def b5_b6(case):
    """C looks for the HMAC at the first extension header, or where it was before the packet was changed."""
    c, rust = case.outcomes
    packet = received(case)
    chain = [number for number, _ in headers(packet)]
    has_other = chain[0] != p.RH or chain.count(p.RH) > 1 or action_of(case) == nl.END_B6
    asks = case.configuration.require_hmac > 0 or any(header[5] & 8 for header in routing_headers(packet))
    return has_other and asks and (drops(c) or drops(rust) or c.counters[2:] != rust.counters[2:])


def b11(case):
    """C takes a routing header with segments left, or an SRH that is not valid, for none when it decapsulates.

    Without segments left the latter only counts where an HMAC is required of the first one.
    """
    c, rust = case.outcomes
    routing = routing_headers(received(case))
    asks = case.configuration.require_hmac > 0
    return is_decapsulating(case) and passes(c) and drops(rust) and (any(header[3] for header in routing) or any(
        header[2] == 4 and not model.is_valid(header[:8 * (header[1] + 1)], True) for header in routing[:1] if asks))


def b13(case):
    """C lets a program write to the end of the first segment."""
    found = first_difference(case)
    return found is not None and found[0].helper == ebpf.STORE_BYTES and found[1:] == (0, EFAULT)


def b14(case):
    """C ignores PSP together with NEXT-C-SID. It needs the SRH to be the first routing header, not in a fragment."""
    c, rust = case.outcomes
    if flavors(case) != nl.PSP | nl.NEXT_CSID or action_of(case) != nl.END:
        return False
    chain = [number for number, _ in headers(received(case))]
    if drops(rust) or c.counters[::2] != rust.counters[::2]:
        return chain.count(p.RH) > 1 or p.FRAG in chain or p.AUTH in chain
    sizes = [[len(frame) for frame in fate.frames] for fate in case.outcomes]
    return len(sizes[0]) == len(sizes[1]) and all(one >= other for one, other in zip(*sizes))


def is_wrong_inside(number, data):
    """Whether an inner packet has another version than its number says, or wrong lengths."""
    if number == p.IPV6 and len(data) >= 40:
        return data[0] >> 4 != 6 or struct.unpack_from("!H", data, 4)[0] + 40 > len(data)
    if number == p.IPV4 and len(data) >= 20:
        size, length = 4 * (data[0] & 15), struct.unpack_from("!H", data, 2)[0]
        return data[0] >> 4 != 4 or size < 20 or length > len(data) or length < size
    return False


def refuses_to_decapsulate(case):
    """Whether only Rust does not let a program decapsulate what is inside."""
    found = first_difference(case)
    return found is not None and found[0].helper == ebpf.ACTION and found[0].number == nl.END_DT6 and (
        found[1] != found[2] == EBADMSG)


def decapsulates(case):
    """Whether the program of the SID decapsulates."""
    return action_of(case) == nl.END_BPF and case.configuration.program.decapsulates()


def b3_b7(case):
    """C lets a program decapsulate an IPv6 packet without looking at its header, and at the SRH that is behind it."""
    number, data = inner(case)
    if not refuses_to_decapsulate(case):
        return False
    return number == p.IPV6 and len(data) < 40 or is_behind_decapsulation(case) and not all(
        model.is_valid(header[:8 * (header[1] + 1)], True)
        for header in routing_headers(received(case)) + routing_headers(data.ljust(40, b"\0")))


def is_behind_decapsulation(case):
    """Whether the program has decapsulated the packet before the first call with two results."""
    calls = case.configuration.program.calls
    return any(call.helper == ebpf.ACTION and call.number == nl.END_DT6
               for call in calls[:calls.index(first_difference(case)[0])])


def b12(case):
    """C does not let a program decapsulate packets to this node, and hands multicast ones over in disorder."""
    number, data = inner(case)
    found = first_difference(case)
    if not decapsulates(case):
        return False
    if found:
        return found[0].number == nl.END_DT6 and found[1:] == (EINVAL, 0)
    return number == p.IPV6 and data[24] == 0xFF and not case.outcomes[0].frames


def b16(case):
    """C does not look at the version and the length of what it finds inside."""
    c, rust = case.outcomes
    refuses = is_decapsulating(case) and passes(c) and drops(rust) or refuses_to_decapsulate(case)
    return refuses and is_wrong_inside(*inner(case))


def b21(case):
    """C lets an SRH grow until its length field is too small."""
    found = first_difference(case)
    return found is not None and found[0].helper == ebpf.ADJUST_SRH and found[1:] == (0, EINVAL) and (
        found[0].delta > 1900)


def b22(case):
    """C goes on with the first routing header after an edit, also when the second is the active one."""
    packet = received(case)
    return case.configuration.program is not None and len(routing_headers(packet)) > 1 and any(
        call.helper in (ebpf.STORE_BYTES, ebpf.ADJUST_SRH) for call in case.configuration.program.calls)


def b24(case):
    """C leaves a packet half built, with a random payload length, when the HMAC of a pushed SRH cannot be made."""
    rust = case.outcomes[1].results
    pushes = (nl.END_B6, nl.END_B6_ENCAP)
    return action_of(case) == nl.END_BPF and any(
        call.helper == ebpf.ACTION and call.number in pushes and result in (ENOENT, EMSGSIZE)
        for call, result in zip(case.configuration.program.calls, rust[2:]))


def options_of(data):
    """The types of the options of an IPv4 packet; None stands for one that is malformed."""
    at, end = 20, 4 * (data[0] & 15)
    while at < min(end, len(data)) and data[at] != 0:
        size = 1 if data[at] == 1 else data[at + 1] if at + 1 < len(data) else 0
        yield data[at] if size and (size > 1 or data[at] == 1) and at + size <= end else None
        at += size or end


def without_options(frame):
    """A frame; if it has an IPv4 packet, without the octets of its options and without the checksum over them."""
    end = 14 + 4 * (frame[14] & 15)
    if frame[12:14] != b"\x08\0" or end < 34:
        return frame
    return frame[:24] + frame[26:34] + bytes(end - 34) + frame[end:]


def is_icmp_error(frame):
    """Whether a frame has an ICMP error of the router."""
    return frame[12:14] == b"\x08\0" and frame[23] == p.ICMP4 and frame[15] & 0xC0 == 0xC0


def is_parameter_problem(frame):
    """Whether a frame has an ICMP error of the router about a wrong header."""
    return is_icmp_error(frame) and frame[14 + 4 * (frame[14] & 15)] == 12


def b25(case):
    """C forwards IPv4 packets without a look at their options, quotes none in errors and delivers garbage locally."""
    c, rust = case.outcomes
    number, data = inner(case)
    if not is_decapsulating(case) or number != p.IPV4 or len(data) < 20 or data[0] & 15 <= 5:
        return False
    if drops(rust) or any(map(is_parameter_problem, rust.frames)):
        return any(kind in CHECKED_OPTIONS for kind in options_of(data))
    if not c.frames:
        return all(frame[12:14] == b"\x08\0" and frame[23] == p.ICMP4 for frame in rust.frames)
    return len(c.frames) == len(rust.frames) and all(
        is_icmp_error(one) and is_icmp_error(other) or without_options(one) == without_options(other)
        for one, other in zip(c.frames, rust.frames))


def b26(case):
    """C drops LLC frames, and frames of the full length with a VLAN tag."""
    c, rust = case.outcomes
    number, data = inner(case)
    if action_of(case) != nl.END_DX2 or number != p.ETHERNET or not (drops(c) and passes(rust)) or len(data) < 14:
        return False
    kind = struct.unpack_from("!H", data, 12)[0]
    mtu = MTUS.get(generate.describe(nl.OIF, attribute(case, nl.OIF)), topology.MTU)
    return kind < 0x600 or kind in VLANS and mtu < len(data) - 14 <= mtu + 4


def has_pad1(header):
    """Whether C judges an SRH otherwise, because Pad1 is in it."""
    return model.is_valid(header, True) != model.is_valid(header, True, has_pad1=False)


def b27(case):
    """C takes Pad1 for a TLV with a length: in the packet, or in what a program has made of it."""
    c, rust = case.outcomes
    if any(has_pad1(header[:8 * (header[1] + 1)]) for header in routing_headers(received(case))):
        return True
    program, found = case.configuration.program, first_difference(case)
    if program is None or all(call.helper not in (ebpf.STORE_BYTES, ebpf.ADJUST_SRH) for call in program.calls):
        return False
    if found:
        return found[0].helper == ebpf.ACTION and EBADMSG in found[1:]
    return drops(c) != drops(rust)


def b30(case):
    """C ignores that the outer header tells of congestion (RFC 6040, Section 4.2)."""
    c, rust = case.outcomes
    number, data = inner(case)
    if case.packet[1] >> 4 & 3 != 3 or number not in (p.IPV4, p.IPV6) or len(data) < 20:
        return False
    is_capable = (data[1] >> 4 if number == p.IPV6 else data[1]) & 3 != 0
    if is_decapsulating(case):
        return is_capable and len(c.frames) == len(rust.frames) or not is_capable and drops(rust)
    if is_capable:
        return decapsulates(case) and not first_difference(case) and len(c.frames) == len(rust.frames)
    return refuses_to_decapsulate(case)


def b39(case):
    """C asks for the neighbor of the inner destination, and not of nh4."""
    c, rust = case.outcomes
    next_hop = attribute(case, nl.NH4)
    packets = [[without_options(frame)[6:] for frame in fate.frames] for fate in case.outcomes]
    return action_of(case) == nl.END_DX4 and next_hop is not None and any(next_hop) and (
        c.counters == rust.counters and (packets[0] == packets[1] or not c.frames or
                                         not rust.frames and next_hop not in map(p.addr, NEXT4)))


def b33(case):
    """C says nothing of a request that it refuses, or of what is left over in one that it accepts."""
    c, rust = case.outcomes
    return (c.errno, c.dump) == (rust.errno, rust.dump) and c.text is None


ROWS = (("B3, B7", b3_b7), ("B5, B6", b5_b6), ("B11", b11), ("B12", b12), ("B13", b13), ("B14", b14), ("B16", b16),
        ("B21", b21), ("B22", b22), ("B24", b24), ("B25", b25), ("B26", b26), ("B30", b30), ("B39", b39),
        ("B27", b27))


def row_of(case):
    """The row that lists the difference of a case; None if there is none."""
    if case.index is None:
        return "B33" if b33(case) else "B27" if has_pad1(attribute(case, nl.SRH) or b"") else None
    return next((row for row, is_listed in ROWS if is_listed(case)), None)
