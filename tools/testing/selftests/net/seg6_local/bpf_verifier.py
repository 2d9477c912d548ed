#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the verifier lets an End.BPF program do: helpers, their arguments, and fields of the context."""

import errno
import os
from functools import partial

import ebpf
import lib
from ebpf import ACTION, ADJUST_SRH, PUSH_ENCAP, STORE_BYTES
from topology import Net

SKB_PULL_DATA, HELPERS = 39, range(1, 212)
TYPE_SCHED_CLS = 3

# Field of struct __sk_buff: (name, offset, size, readable, writable)
FIELDS = (
    ("len", 0, 4, True, False), ("pkt_type", 4, 4, True, False), ("mark", 8, 4, True, True),
    ("queue_mapping", 12, 4, True, False), ("protocol", 16, 4, True, False), ("vlan_present", 20, 4, True, False),
    ("vlan_tci", 24, 4, True, False), ("vlan_proto", 28, 4, True, False), ("priority", 32, 4, True, True),
    ("ingress_ifindex", 36, 4, True, False), ("ifindex", 40, 4, True, False), ("tc_index", 44, 4, True, False),
    ("cb[0]", 48, 4, True, True), ("cb[1]", 52, 4, True, True), ("cb[2]", 56, 4, True, True),
    ("cb[3]", 60, 4, True, True), ("cb[4]", 64, 4, True, True), ("hash", 68, 4, True, False),
    ("tc_classid", 72, 4, False, False), ("data", 76, 4, True, False), ("data_end", 80, 4, True, False),
    ("napi_id", 84, 4, True, False), ("family", 88, 4, False, False), ("remote_ip4", 92, 4, False, False),
    ("local_ip4", 96, 4, False, False), ("remote_ip6", 100, 4, False, False), ("local_ip6", 128, 4, False, False),
    ("remote_port", 132, 4, False, False), ("local_port", 136, 4, False, False), ("data_meta", 140, 4, False, False),
    ("flow_keys", 144, 8, False, False), ("tstamp", 152, 8, False, False), ("wire_len", 160, 4, False, False),
    ("gso_segs", 164, 4, True, False), ("sk", 168, 8, True, False), ("gso_size", 176, 4, True, False),
    ("tstamp_type", 180, 1, False, False), ("hwtstamp", 184, 8, False, False), ("behind the end", 192, 4, False, False),
)


def verdict(instructions, **options):
    """"accepted", or what the verifier says about a program."""
    fd, log = ebpf.try_load(instructions, **options)
    if fd >= 0:
        os.close(fd)
        return "accepted"
    lib.check(-fd in (errno.EACCES, errno.EINVAL, errno.EPERM), f"BPF_PROG_LOAD: errno {-fd}")
    return log


def access(field, write):
    """Whether the verifier accepts an access to a field of the context."""
    _, offset, size, *_ = field
    code = ebpf.store(size, 1, offset, 0) if write else ebpf.load(size, 0, 1, offset)
    return verdict([*ebpf.mov(0, 0), *code, *ebpf.returning(0)]) == "accepted"


def knows(helper, kind):
    """Whether programs of a type may call a helper, whatever its arguments are."""
    return "cannot use helper" not in verdict([*ebpf.call(helper), *ebpf.returning(0)], kind=kind)


def helpers_of(kind):
    """The helpers that programs of a type may call."""
    return {helper for helper in HELPERS if knows(helper, kind)}


def allowed():
    """The helpers of the type: those of LWT_OUT, its own three, and not skb_pull_data."""
    ours, base = helpers_of(ebpf.TYPE_LWT_SEG6LOCAL), helpers_of(ebpf.TYPE_LWT_OUT)
    lib.check(len(base) > 30, f"LWT_OUT has only {len(base)} helpers")
    return ours - base, base - ours


def strangers():
    """Which other types have the three helpers, and which have push_encap."""
    others = (TYPE_SCHED_CLS, ebpf.TYPE_LWT_IN, ebpf.TYPE_LWT_OUT, ebpf.TYPE_LWT_XMIT)
    three = [kind for kind in others for helper in (STORE_BYTES, ADJUST_SRH, ACTION) if knows(helper, kind)]
    push = [kind for kind in (*others, ebpf.TYPE_LWT_SEG6LOCAL) if knows(PUSH_ENCAP, kind)]
    return three, push


def with_memory(helper, pointer, size, before=()):
    """A program that calls store_bytes, action or push_encap with its third and fourth argument as given."""
    return [*before, *ebpf.copy(6, 1), *ebpf.mov(0, 0), *ebpf.store(8, 10, -8, 0), *ebpf.store(8, 10, -16, 0),
            *pointer, *ebpf.copy(1, 6), *ebpf.mov(2, 45), *size, *ebpf.call(helper), *ebpf.returning(0)]


def packet_pointer(register):
    """register = skb->data, of which 40 bytes are checked to be there; register 6 is the context."""
    return [*ebpf.load(4, register, 6, 76), *ebpf.load(4, 8, 6, 80), *ebpf.copy(9, register), *ebpf.add(9, 40),
            *ebpf.jump_if_at_most(9, 8, 2), *ebpf.returning(0)]


STACK = [*ebpf.copy(3, 10), *ebpf.add(3, -16)]


def argument_cases():
    """Arguments of the helpers: (name, program, a part of the verdict)."""
    for helper, name in ((STORE_BYTES, "store_bytes"), (ACTION, "action")):
        def call(pointer, size, before=(), helper=helper):
            """A program that calls the helper."""
            return with_memory(helper, pointer, size, before)

        yield f"{name} from the stack", call(STACK, ebpf.mov(4, 16)), "accepted"
        yield f"{name} of 0 bytes", call(STACK, ebpf.mov(4, 0)), "R4 invalid zero-sized read"
        yield f"{name} of -1 bytes", call(STACK, ebpf.mov(4, -1)), "R4 min value is negative"
        yield f"{name} of more than there is", call(STACK, ebpf.mov(4, 17)), "invalid read from stack"
        yield f"{name} of an unknown size", call(STACK, ebpf.load(4, 4, 6, 0)), "R4 invalid zero-sized read"
        yield f"{name} from the packet", call(packet_pointer(3), ebpf.mov(4, 1)), \
            "helper access to the packet is not allowed"
        yield f"{name} from the context", call(ebpf.copy(3, 6), ebpf.mov(4, 1)), "R3 type=ctx"
        yield f"{name} from a number", call(ebpf.mov(3, 0), ebpf.mov(4, 1)), "R3 type=scalar"
        yield f"{name} on something else than the context", \
            [*ebpf.copy(6, 1), *ebpf.mov(0, 0), *ebpf.store(8, 10, -8, 0), *ebpf.copy(3, 10), *ebpf.add(3, -8),
             *ebpf.copy(1, 10), *ebpf.mov(2, 0), *ebpf.mov(4, 8), *ebpf.call(helper), *ebpf.returning(0)], "R1 type=fp"
        yield f"{name} without its arguments", [*ebpf.call(helper), *ebpf.returning(0)], "R2 !read_ok"
    yield "adjust_srh with any numbers", [*ebpf.load(4, 2, 1, 0), *ebpf.load(4, 3, 1, 4), *ebpf.call(ADJUST_SRH),
                                          *ebpf.returning(0)], "accepted"
    yield "adjust_srh without its arguments", [*ebpf.call(ADJUST_SRH), *ebpf.returning(0)], "R2 !read_ok"


def packet_cases():
    """Direct access to the packet: (name, program, a part of the verdict)."""
    start = [*ebpf.copy(6, 1), *packet_pointer(7)]
    yield "reading the packet", [*start, *ebpf.load(1, 0, 7, 39), *ebpf.returning(0)], "accepted"
    yield "reading past what was checked", [*start, *ebpf.load(1, 0, 7, 40), *ebpf.returning(0)], \
        "invalid access to packet"
    yield "reading without a check", [*ebpf.load(4, 7, 1, 76), *ebpf.load(1, 0, 7, 0), *ebpf.returning(0)], \
        "invalid access to packet"
    yield "writing to the packet", [*start, *ebpf.mov(0, 0), *ebpf.store(1, 7, 0, 0), *ebpf.returning(0)], \
        "cannot write into packet"
    for helper, name in ((STORE_BYTES, "store_bytes"), (ACTION, "action"), (ADJUST_SRH, "adjust_srh")):
        call = [*ebpf.copy(1, 6), *ebpf.mov(2, 45), *STACK, *ebpf.mov(4, 1), *ebpf.call(helper)]
        if helper == ADJUST_SRH:
            call = [*ebpf.copy(1, 6), *ebpf.mov(2, 45), *ebpf.mov(3, 0), *ebpf.call(helper)]
        body = [*ebpf.mov(0, 0), *ebpf.store(8, 10, -16, 0), *call]
        yield f"reading the packet with an old pointer after {name}", \
            [*start, *body, *ebpf.load(1, 0, 7, 0), *ebpf.returning(0)], "R7 invalid mem access 'scalar'"
        yield f"reading the packet with a new pointer after {name}", \
            [*start, *body, *packet_pointer(7), *ebpf.load(1, 0, 7, 0), *ebpf.returning(0)], "accepted"


def contained(program, part, **options):
    """The verdict about a program, shortened to `part` if it contains that."""
    full = verdict(program, **options)
    return part if part in full else full


def main():
    """Builds the suite and runs it."""
    net = Net()
    suite = net.suite()
    for field in FIELDS:
        name, *_, readable, writable = field
        suite.add(f"{name} is {'' if readable else 'not '}readable", partial(access, field, False), readable)
        suite.add(f"{name} is {'' if writable else 'not '}writable", partial(access, field, True), writable)
    suite.add("helpers: those of LWT_OUT, three more, one less", allowed,
              ({STORE_BYTES, ADJUST_SRH, ACTION}, {SKB_PULL_DATA}))
    suite.add("helpers that other types have", strangers, ([], [ebpf.TYPE_LWT_IN, ebpf.TYPE_LWT_XMIT]))
    for name, program, want in (*argument_cases(), *packet_cases()):
        suite.add(f"{name}: {want}", partial(contained, program, want), want)
    for helper in (STORE_BYTES, ACTION):
        suite.add(f"helper {helper} without GPL", partial(verdict, with_memory(helper, STACK, ebpf.mov(4, 16)),
                                                          license_="Proprietary"), "accepted")
    suite.main()


if __name__ == "__main__":
    main()
