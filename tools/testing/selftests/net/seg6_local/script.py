# SPDX-License-Identifier: GPL-2.0-or-later
"""Drives progs/script.bpf.c: a list of helper calls to make on a packet, and their results."""

import struct

import ebpf

OP = struct.Struct("=IIIIIIq")
HEAD = struct.Struct("=I4II5II")
MAX_OPS = 16
EVERY_RUN = 0xFFFFFFFF
NOT_CALLED = -9999
STORE_BYTES, ADJUST_SRH, ACTION, PUSH_ENCAP, LOAD_BYTES, SET_MARK, SET_CB, LEN = range(1, 9)


def store_bytes(offset, data):
    """bpf_lwt_seg6_store_bytes(skb, offset, data, len(data))."""
    return STORE_BYTES, offset, 0, data


def adjust_srh(offset, delta):
    """bpf_lwt_seg6_adjust_srh(skb, offset, delta)."""
    return ADJUST_SRH, offset, delta, b""


def action(kind, param):
    """bpf_lwt_seg6_action(skb, kind, param, len(param))."""
    return ACTION, kind, 0, param


def push_encap(kind, header):
    """bpf_lwt_push_encap(skb, kind, header, len(header))."""
    return PUSH_ENCAP, kind, 0, header


class Script:
    """The loaded programs and the map that tells them what to do."""

    def __init__(self):
        self.object = ebpf.Object("script.bpf.o")
        self.map = self.object.map("script_map")
        self.seg6local = self.object.program("script_seg6local")
        self.lwt_in = self.object.program("script_lwt_in")

    def write(self, calls, verdicts=(ebpf.OK,), ops_of_run=0):
        """Sets the calls to make in run number `ops_of_run`, or in every run, and what each run returns."""
        ops, data = b"", b""
        for kind, first, second, content in calls:
            ops += OP.pack(kind, first & 0xFFFFFFFF, second & 0xFFFFFFFF, len(content), len(data), 0, NOT_CALLED)
            data += content
        verdicts = (tuple(verdicts) + (ebpf.DROP,) * 4)[:4]
        head = HEAD.pack(0, *verdicts, ops_of_run, 0, 0, 0, 0, 0, 0)
        self.map.write(head + ops.ljust(MAX_OPS * OP.size, b"\0") + data)

    def results(self, count):
        """What the first `count` calls returned; NOT_CALLED if a call was not made."""
        value = self.map.read()
        return [OP.unpack_from(value, HEAD.size + i * OP.size)[-1] for i in range(count)]

    def state(self):
        """How often the program ran, and what skb->cb held at the start of its last run."""
        head = HEAD.unpack_from(self.map.read())
        return head[0], head[6:11]

    def data(self, offset, length):
        """Data after the calls, for what LOAD_BYTES read."""
        start = HEAD.size + MAX_OPS * OP.size + offset
        return self.map.read()[start:start + length]
