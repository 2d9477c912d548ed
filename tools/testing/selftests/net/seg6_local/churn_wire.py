# SPDX-License-Identifier: GPL-2.0-or-later
"""Bursts of frames: sent by one system call, received by few, each frame known by the number that its packet carries.

The number is in the payload, where errors quote it, and twice: its complement follows, so checksums do not depend on
it. A burst ends with a marker that takes as many steps through the same queue of the same CPU as any other packet.
"""

import ctypes
import os
import select
import socket
import struct
import time

import lib
import netlink as nl
import packet as p
from topology import ETH_P_ALL, ROUTER_MAC, Net, enter, ip_batch, new_namespace, packet_socket, sysctl

LIBC = ctypes.CDLL(None, use_errno=True)
MAGIC = b"CHURNWAY"
NUMBER_SIZE = 4
FRAME_MAX, FRAMES = 2048, 64
IPV6_TYPE = b"\x86\xdd"
MARKER_TIMEOUT = 60000  # milliseconds
PATIENCE = 20
SENDER_MAC = bytes((2, 0, 0, 0, 1, 0))
LOST = b"lost"

MARKER = """
link set lo up
link add near0 address 02:00:00:00:00:01 type veth peer name {far0} netns {outside}
link add near1 type veth peer name {far1} netns {outside}
link set near0 up
link set near1 up
neigh replace fdaa::1 lladdr 02:00:00:00:0a:01 dev near1 nud permanent
route add fdaa::/16 dev near1
"""


class Iovec(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    """struct mmsghdr, with the padding behind its flags."""

    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("iov", ctypes.c_void_p),
                ("iov_length", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_size_t), ("length", ctypes.c_uint)]


def number(value):
    """The bytes of a number, whose share in a checksum is that of any other."""
    return struct.pack("!HH", value, ~value & 0xFFFF)


def payload(value, size=32):
    """A UDP datagram that carries a number."""
    return p.udp((MAGIC + number(value)).ljust(size, b"."))


class Burst:
    """Frames for devices of the outside: a list of (index of the device, packet)."""

    def __init__(self, packets):
        self.count = len(packets)
        self.buffers, self.messages = [], (Message * max(self.count, 1))()
        for message, (device, packet) in zip(self.messages, packets):
            address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(0x86DD), device, 0, 0, 6, ROUTER_MAC)
            frame = ROUTER_MAC + SENDER_MAC + IPV6_TYPE + packet
            name, data = (ctypes.create_string_buffer(part, len(part)) for part in (address, frame))
            iovec = Iovec(ctypes.addressof(data), len(frame))
            self.buffers += [name, data, iovec]
            message.name, message.name_length = ctypes.addressof(name), len(address)
            message.iov, message.iov_length = ctypes.addressof(iovec), 1

    def send(self, fd):
        """Sends all frames; those for a device that is gone are left out."""
        at, size = 0, ctypes.sizeof(Message)
        while at < self.count:
            done = LIBC.sendmmsg(fd, ctypes.byref(self.messages, at * size), self.count - at, 0)
            at += max(done, 1)


class Wire:
    """All that is outside of the routers: where frames are sent and received. The process stays where it was."""

    def __init__(self):
        inside = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.namespace = new_namespace()
        sysctl("net/ipv6/conf/all/disable_ipv6", 1)
        sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        self.rtnl = nl.Rtnl()
        self.tx = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.marker_tx = self.marker_way()
        self.rx = packet_socket(None, ETH_P_ALL, Net.PACKET_IGNORE_OUTGOING)
        self.poll = select.poll()
        self.poll.register(self.rx, select.POLLIN)
        self.buffer, self.vector, self.kept = self.receive_vector()
        self.lengths = memoryview(self.vector).cast("B")
        self.markers, self.is_busy = 0, False
        enter(inside)
        os.close(inside)

    def marker_way(self):
        """A router of its own for markers; returns the socket into it."""
        self.marker_namespace = new_namespace()
        sysctl("net/ipv6/conf/all/forwarding", 1)
        sysctl("net/ipv6/conf/default/addr_gen_mode", 1)
        ip_batch(MARKER.format(far0="mark0", far1="mark1", outside=f"/proc/{os.getpid()}/fd/{self.namespace}"))
        enter(self.namespace)
        ip_batch("link set mark0 up\nlink set mark1 up\n")
        return packet_socket("mark0", 0)

    @staticmethod
    def receive_vector():
        """Where frames are received: the buffer, the messages, and what has to stay alive."""
        buffer, messages = bytearray(FRAME_MAX * FRAMES), (Message * FRAMES)()
        base = ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))
        iovecs = (Iovec * FRAMES)()
        for index, (message, iovec) in enumerate(zip(messages, iovecs)):
            iovec.base, iovec.length = base + index * FRAME_MAX, FRAME_MAX
            message.iov, message.iov_length = ctypes.addressof(iovec), 1
        return buffer, messages, iovecs

    def some(self):
        """Some frames that have come out; none if there is none now."""
        count = LIBC.recvmmsg(self.rx.fileno(), self.vector, FRAMES, socket.MSG_DONTWAIT, None)
        size, at = ctypes.sizeof(Message), Message.length.offset
        for index in range(max(count, 0)):
            length = struct.unpack_from("=I", self.lengths, index * size + at)[0]
            yield bytes(self.buffer[index * FRAME_MAX:index * FRAME_MAX + length])

    def collect(self):
        """All frames that have come out until now, but for those of the routers' own."""
        self.markers += 1
        tail = b"MARK" + struct.pack("!Q", self.markers)
        self.marker_tx.send(ROUTER_MAC + SENDER_MAC + IPV6_TYPE + p.ip6(p.NONE, "fdaa::1", tail))
        seen, misses = [], 0
        while True:
            got = list(self.some())
            for frame in got:
                if frame.endswith(tail):
                    return seen
                if not frame[0] & 1:
                    seen.append(frame)
            misses += not got
            if not got and misses < PATIENCE:
                os.sched_yield()
            elif not got:
                lib.check(self.poll.poll(MARKER_TIMEOUT), f"marker {self.markers} was lost after {len(seen)} frames")

    def sync(self):
        """Waits until what was sent has had its effect, if nobody else is sending."""
        if not self.is_busy:
            self.collect()

    def drain(self):
        """Takes what is left of others, who have stopped sending."""
        while list(self.some()):
            time.sleep(0.01)

    def outcome(self, burst):
        """Sends a burst; returns what came out of each packet: from its number to the frame without it."""
        burst.send(self.tx.fileno())
        return sort(self.collect())


def sort(frames):
    """From numbers to frames, without the numbers and the sender's address."""
    found = {}
    for frame in frames:
        at = frame.find(MAGIC)
        if at < 0:
            continue
        at += len(MAGIC)
        key = frame[at:at + NUMBER_SIZE]
        lib.check(key not in found, f"a packet came out twice: {frame.hex()}")
        found[key] = frame[:6] + frame[12:at] + frame[at + NUMBER_SIZE:]
    return found


def way(frame):
    """Where a frame of sort() went: the neighbor, and the kind of error if it is one; a packet may have been lost."""
    if frame is None:
        return LOST
    if frame[14] == p.ICMP6 and frame[48] < 128:
        return frame[:6] + frame[48:50] + frame[52:56]
    return frame[:6]


def readable(found):
    """The result of way() for people."""
    if found == LOST:
        return "lost"
    to = found[:6].hex(":")
    if len(found) == 6:
        return f"to {to}"
    kind, code, info = struct.unpack("!BBI", found[6:])
    return f"error {kind}/{code} {info} to {to}"
