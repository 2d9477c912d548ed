# SPDX-License-Identifier: GPL-2.0-or-later
"""A model of a packet that an End.BPF program edits: what the helpers return, and the bytes that they leave.

It follows the text of the uapi header and RFC 8754, on plain bytes, for packets whose first routing header is an SRH.
"""

import errno
import struct

import netlink as nl
import packet as p

FLAGS, FIXED, MAX_SRH = 5, 8, 2048
FAULT, INVAL, BADMSG = -errno.EFAULT, -errno.EINVAL, -errno.EBADMSG


def is_valid(srh, reduced, has_pad1=True):
    """Whether bytes are a valid SRH (RFC 8754, Section 2); `reduced` allows one more segment left.

    C does not know Pad1 (B27).
    """
    if len(srh) < FIXED or srh[2] != 4 or (srh[1] + 1) * 8 != len(srh):
        return False
    last = srh[4]
    if last > srh[1] // 2 - 1 or srh[3] > last + reduced:
        return False
    offset = FIXED + 16 * (last + 1)
    while offset < len(srh):
        if has_pad1 and srh[offset] == 0:
            offset += 1
        elif offset + 2 > len(srh):
            return False
        else:
            offset += 2 + srh[offset + 1]
    return offset == len(srh)


class Model:
    """A packet and the state of its edit."""

    def __init__(self, packet, route, tunnel_src, has_pad1=True):
        """`route(destination, table)` is the neighbor of a destination, None if there is none."""
        self.has_pad1 = has_pad1
        self.packet, self.route, self.tunnel_src = packet, route, tunnel_src
        self.srh, self.length, self.valid, self.neighbor = None, 0, False, None
        self.refresh()

    def refresh(self):
        """Finds the first routing header again."""
        self.srh, number, offset = None, self.packet[6], 40
        while number == p.DSTOPT:
            number, offset = self.packet[offset], offset + 8 + 8 * self.packet[offset + 1]
        if number == p.RH:
            self.srh, self.length, self.valid = offset, 8 + 8 * self.packet[offset + 1], True

    def tlvs(self):
        """Where the TLVs start."""
        return self.srh + FIXED + 16 * (self.packet[self.srh + 4] + 1)

    def end(self):
        """Where the SRH ends."""
        return self.srh + self.length

    def validate(self):
        """Brings the header length up to date and tells whether the SRH is valid."""
        if self.valid:
            return True
        if self.length % 8:
            return False
        self.packet = p.edit(self.packet, self.srh + 1, bytes((self.length // 8 - 1,)))
        self.valid = is_valid(self.packet[self.srh:self.end()], True, self.has_pad1)
        return self.valid

    def store_bytes(self, offset, data):
        """bpf_lwt_seg6_store_bytes()."""
        if self.srh is None:
            return INVAL
        end = offset + len(data)
        if offset >= self.tlvs() and end <= self.end():
            self.valid = False
        elif offset < self.srh + FLAGS or end > self.srh + FIXED:
            return FAULT
        self.packet = p.edit(self.packet, offset, data)
        return 0

    def adjust_srh(self, offset, delta):
        """bpf_lwt_seg6_adjust_srh()."""
        if self.srh is None:
            return INVAL
        if offset < self.tlvs() or offset - min(delta, 0) > self.end():
            return FAULT
        if self.length + delta > MAX_SRH:
            return INVAL
        rest = self.packet[offset:]
        rest = bytes(delta) + rest if delta > 0 else rest[-delta:]
        self.packet = self.sized(self.packet[:offset] + rest)
        self.length += delta
        self.valid = False
        return 0

    @staticmethod
    def sized(packet):
        """`packet` with the payload length that it has."""
        return p.edit(packet, 4, struct.pack("!H", len(packet) - 40))

    def action(self, kind, param):
        """bpf_lwt_seg6_action()."""
        if kind not in (nl.END_X, nl.END_T, nl.END_DT6, nl.END_B6, nl.END_B6_ENCAP):
            return INVAL
        pushes = kind in (nl.END_B6, nl.END_B6_ENCAP)
        if not (pushes and self.srh is None) and (self.srh is None or not self.validate()):
            return BADMSG
        if pushes:
            return self.push(kind, param)
        if len(param) != (16 if kind == nl.END_X else 4):
            return INVAL
        if kind == nl.END_X:
            return self.attach(p.text(param), 0)
        if kind == nl.END_DT6 and not self.decapsulate():
            return BADMSG
        return self.attach(p.text(self.packet[24:40]), struct.unpack("=I", param)[0])

    def attach(self, destination, table):
        """The route of a destination."""
        self.neighbor = self.route(destination, table)
        return 0 if self.neighbor else -errno.ENETUNREACH

    def decapsulate(self):
        """Removes the headers around an IPv6 packet."""
        number, offset = self.packet[6], 40
        while number in (p.DSTOPT, p.RH):
            number, offset = self.packet[offset], offset + 8 + 8 * self.packet[offset + 1]
        if number != p.IPV6:
            return False
        self.packet = self.packet[offset:]
        self.refresh()
        return True

    def push(self, kind, header):
        """Inserts an SRH, or an IPv6 header and an SRH."""
        if not is_valid(header, False, self.has_pad1):
            return INVAL
        first = 8 + 16 * header[4]
        if kind == nl.END_B6:
            header = p.edit(bytes((self.packet[6],)) + header[1:], 8, self.packet[24:40])
            outer = p.edit(self.packet[:40], 6, bytes((p.RH,)))
            self.packet = p.edit(outer, 24, header[first:first + 16]) + header + self.packet[40:]
        else:
            header = bytes((p.IPV6,)) + header[1:]
            self.packet = p.ip6(p.RH, p.text(header[first:first + 16]), header + self.packet, src=self.tunnel_src,
                                hlim=self.packet[7], flow=p.flow(self.packet))
        self.packet = self.sized(self.packet)
        self.refresh()
        return self.attach(p.text(self.packet[24:40]), 0)

    def finish(self, redirect):
        """The neighbor and the packet that leaves, or None if the packet is dropped."""
        if self.srh is not None and not self.validate():
            return None
        neighbor = self.neighbor if redirect else self.route(p.text(self.packet[24:40]), 0)
        return neighbor, p.hop(self.packet)
