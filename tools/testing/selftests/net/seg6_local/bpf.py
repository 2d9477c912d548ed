#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""End.BPF: what the return value of a program does, what a program sees, and what it may change."""

import collections
import errno
import os
import re
import struct
import time
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
import script as s
from topology import ALT, IN_ADDRESS, OUT, SID, Net, Traffic, ip, sysctl

A, B = "fd02::a", "fd02::b"
SEGMENTS = [A, B, SID]
PACKET = p.sr(SID, SEGMENTS, 2)
NEXT = p.sr(B, SEGMENTS, 1)
PASSED = ([(OUT, p.hop(NEXT))], (1, len(PACKET), 0))
DROPPED = ([], (0, 0, 1))
TO_ALT = s.action(nl.END_X, p.addr("fd03::1"))


def end_bpf(fd, name="prog"):
    """The attributes of a SID that runs a program."""
    return nl.u32(nl.ACTION, nl.END_BPF), nl.bpf(fd, name)


def returning(net, code):
    """What becomes of a packet when the program returns `code`."""
    fd = ebpf.load_program(ebpf.returning(code))
    try:
        return net.through(end_bpf(fd), PACKET)
    finally:
        os.close(fd)


def scripted(net, script, calls, verdicts, packet=PACKET, ops_of_run=0):
    """What the calls return, what comes out, and the counters."""
    script.write(calls, verdicts, ops_of_run)
    out, counters = net.through(end_bpf(script.seg6local), packet)
    return script.results(len(calls)), out, counters


def add_return_codes(suite, net):
    """BPF_OK, BPF_DROP, BPF_REDIRECT and everything else."""
    suite.add("return 0 (BPF_OK): forwarded", partial(returning, net, ebpf.OK), PASSED)
    suite.add("return 2 (BPF_DROP): dropped", partial(returning, net, ebpf.DROP), DROPPED)
    for code in (1, 3, 6, 8, 127, 128, 129, 255, 256, 0x10000, 0x7FFFFFFF, -1, -22, -(1 << 31)):
        suite.add(f"return {code}: dropped", partial(returning, net, code), DROPPED)


def re_entered(net, script):
    """BPF_REDIRECT without an action: the route is still the one of the SID, so the program runs again."""
    script.write([s.store_bytes(45, b"\1"), s.store_bytes(46, b"\2\3")], (ebpf.REDIRECT, ebpf.OK), ops_of_run=1)
    seen = net.through(end_bpf(script.seg6local), PACKET)
    return *seen, script.results(2), script.state()[0]


def add_redirect(suite, net, script, title):
    """Who chooses the route."""
    again = p.sr(A, [A, B, SID], 0, flags=1, tag=0x203, hlim=63)
    suite.add(f"{title}: return 7 without an action: the SID is processed again, until it returns 0",
              partial(re_entered, net, script), ([(OUT, again)], (2, 2 * len(PACKET), 0), [0, 0], 2))
    suite.add(f"{title}: return 7 without an action, and no segment left: dropped",
              partial(scripted, net, script, [], (ebpf.REDIRECT,) * 4), ([], [], (0, 0, 3)))
    suite.add(f"{title}: return 7 after an action: the route of the action",
              partial(scripted, net, script, [TO_ALT], (ebpf.REDIRECT,)),
              ([0], [(ALT, p.hop(NEXT))], (1, len(PACKET), 0)))
    suite.add(f"{title}: return 0 after an action: the route to the destination",
              partial(scripted, net, script, [TO_ALT], (ebpf.OK,)), ([0], *PASSED))
    suite.add(f"{title}: return 2 after an action: dropped",
              partial(scripted, net, script, [TO_ALT], (ebpf.DROP,)), ([0], *DROPPED))
    suite.add(f"{title}: return 128 after an action: dropped",
              partial(scripted, net, script, [TO_ALT], (ebpf.REROUTE,)), ([0], *DROPPED))
    to_nowhere = s.action(nl.END_X, p.addr("fd0d::1"))
    suite.add(f"{title}: return 7 after an action that found a blackhole: dropped, counted as processed",
              partial(scripted, net, script, [to_nowhere], (ebpf.REDIRECT,)),
              ([-errno.EINVAL], [], (1, len(PACKET), 0)))
    suite.add(f"{title}: return 0 after an action that found a blackhole: forwarded",
              partial(scripted, net, script, [to_nowhere], (ebpf.OK,)), ([-errno.EINVAL], *PASSED))


def marked(net, script):
    """A program that sets skb->mark, and a rule that looks at it."""
    ip("-6", "rule", "add", "fwmark", "7", "table", "100")
    try:
        return scripted(net, script, [(s.SET_MARK, 7, 0, b"")], (ebpf.OK,))
    finally:
        ip("-6", "rule", "del", "fwmark", "7", "table", "100")


def control_block(net, script):
    """A program that writes all it may of skb->cb, where IPv6 keeps its own state."""
    seen = scripted(net, script, [(s.SET_CB, 0, -1, b""), (s.SET_CB, 4, -1, b"")], (ebpf.OK,))
    return seen, script.state()


def loaded_bytes(net, script):
    """The packet as bpf_skb_load_bytes reads it, from offset 0."""
    size = len(NEXT)
    result = scripted(net, script, [(s.LEN, 0, 0, b""), (s.LOAD_BYTES, 0, 0, bytes(size)),
                                    (s.LOAD_BYTES, 1, 0, bytes(size))], (ebpf.OK,))
    return result, script.data(0, size)


def add_context(suite, net, script, title):
    """What the program sees and changes apart from the SRH."""
    suite.add(f"{title}: skb->mark chooses the route", partial(marked, net, script),
              ([0], [(ALT, p.hop(NEXT))], (1, len(PACKET), 0)))
    suite.add(f"{title}: skb->cb is zero at the start, and its changes are undone", partial(control_block, net, script),
              (([0, 0], *PASSED), (1, (0, 0, 0, 0, 0))))
    suite.add(f"{title}: offset 0 is the IPv6 header, already advanced", partial(loaded_bytes, net, script),
              (([len(NEXT), 0, -errno.EFAULT], *PASSED), NEXT))


def tail_called(net, target):
    """A program whose tail call reaches `target`, or nothing."""
    array, _ = ebpf.bpf(0, "IIII", 3, 4, 4, 1)
    if target is not None:
        ebpf.update(array, 0, struct.pack("=I", target))
    fd = ebpf.load_program([*ebpf.map_fd(2, array), *ebpf.mov(3, 0), *ebpf.call(12), *ebpf.returning(ebpf.DROP)])
    try:
        return net.through(end_bpf(fd), PACKET)
    finally:
        os.close(fd)
        os.close(array)


def tail_called_script(net, script):
    """A tail call into a program that calls helpers."""
    script.write([s.store_bytes(46, b"\1\2")])
    return tail_called(net, script.seg6local), script.results(1)


def add_tail_calls(suite, net, script, idle):
    """Tail calls."""
    suite.add("tail call into a program", partial(tail_called, net, idle), PASSED)
    suite.add("tail call into an empty slot", partial(tail_called, net, None), DROPPED)
    tagged = p.sr(B, [A, B, SID], 1, tag=0x102, hlim=63)
    suite.add("tail call into a program that calls a helper", partial(tail_called_script, net, script),
              (([(OUT, tagged)], (1, len(PACKET), 0)), [0]))


def jitted(script):
    """Whether the programs of a script are compiled."""
    return ebpf.program_info(script.seg6local)["jited_len"] > 0


def two_cpus(net, script):
    """Packets on two CPUs at once through one SID whose program changes them: all come out right, all are counted."""
    script.write([s.adjust_srh(96, 8), s.store_bytes(96, p.pad(8))], (ebpf.OK,) * 4, s.EVERY_RUN)
    with net.installed(*end_bpf(script.seg6local)):
        with Traffic(net, PACKET, 0) as first, Traffic(net, PACKET, 1) as second:
            time.sleep(1)
        out = first.seen + second.seen + collections.Counter(packet for _, packet in net.collect())
        counters = net.rtnl.get_counters(SID)
    lib.equal(set(out), {p.sr(B, [A, B, SID], 1, tlvs=p.pad(8), hlim=63)}, "what comes out")
    lib.equal(counters, (out.total(), out.total() * len(PACKET), 0), "counters")


def replaced(net):
    """The SID is replaced while packets run through it, and so are its program and its counters."""
    unrouted = p.icmp_error(1, 0, PACKET, IN_ADDRESS)
    with Traffic(net, PACKET) as traffic:
        for round_ in range(100):
            fd = ebpf.load_program(ebpf.returning(ebpf.OK))
            message = net.sid(*end_bpf(fd, f"prog{round_}"))
            lib.equal(net.rtnl.add(message, nl.F_CREATE | nl.F_REPLACE), (0, None), "replacing the SID")
            os.close(fd)
            traffic.wait(p.hop(NEXT))
            if round_ % 3 == 2:
                lib.equal(net.rtnl.delete(message), (0, None), "deleting the SID")
                traffic.wait(unrouted)
    lib.equal(net.rtnl.delete(message), (0, None), "deleting the SID")
    lib.equal(set(traffic.seen), {p.hop(NEXT), unrouted}, "what comes out")


def warned(net):
    """What the kernel log tells about return values that have no meaning: something, but not each time; and how the
    line begins."""
    counts = []
    for code in (77, 78):
        returning(net, code)
        log = "\n".join(lib.KernelLog(os.SEEK_SET).read())
        counts.append(re.findall(r"^(.*)bpf-seg6local: Illegal return value \d+$", log, re.MULTILINE))
    return len(counts[1]) - len(counts[0]), set(counts[0])


def add_stress(suite, net, script):
    """Many packets."""
    suite.add("two CPUs at once", partial(two_cpus, net, script))
    suite.add("the SID is replaced under traffic", partial(replaced, net))
    suite.add("a wrong return value is told once", partial(warned, net), (0, {"seg6_local: "}),
              ("D5", (0, {""})))


def add_dynptr(suite, net):
    """The packet through a dynptr: read, an attempt to write, and as the memory that a helper writes to it."""
    programs = ebpf.Object("dynptr.bpf.o")
    for name, program in (("reads the packet", "reads"), ("does not write", "writes")):
        suite.add(f"bpf_dynptr_from_skb {name}", partial(net.through, end_bpf(programs.program(program)), PACKET),
                  PASSED)
    packet = p.sr(SID, SEGMENTS, 2, flags=0xA5, tag=0x1234)
    for name, program, tag in (("from the segments", "copies_apart", 0xFD02),
                               ("that are overwritten", "copies_overlapping", 0xA512)):
        attributes = end_bpf(programs.program(program))
        want = [(OUT, p.sr(B, SEGMENTS, 1, flags=0xA5, tag=tag, hlim=63))], (1, len(packet), 0)
        suite.add(f"store_bytes of bytes of the packet {name}", partial(net.through, attributes, packet), want)
        suite.add(f"store_bytes of bytes of the packet {name}, which is cloned",
                  partial(net.tapped, attributes, packet), (*want, packet))
    attributes = end_bpf(programs.program("routes"))
    suite.add("End.X of an address in the packet, after adjust_srh", partial(net.through, attributes, packet),
              ([(OUT, p.sr(B, SEGMENTS, 1, flags=0xA5, tag=0x1234, tlvs=bytes(8), hlim=63))], (1, len(packet), 0)))


def main():
    """Builds the suite and runs it."""
    sysctl("net/core/bpf_jit_enable", 0)
    interpreted = s.Script()
    sysctl("net/core/bpf_jit_enable", 1)
    script = s.Script()
    net = Net()
    suite = net.suite()
    idle = ebpf.load_program(ebpf.returning(ebpf.OK))
    suite.add("BPF_PROG_TEST_RUN is refused", lambda: ebpf.test_run(idle, bytes(14) + PACKET)[0], -524)
    suite.add("one program is compiled, the other interpreted",
              lambda: (jitted(script), jitted(interpreted)), (True, False))
    add_return_codes(suite, net)
    for played, title in ((script, "JIT"), (interpreted, "interpreter")):
        add_redirect(suite, net, played, title)
        add_context(suite, net, played, title)
    add_tail_calls(suite, net, script, idle)
    add_dynptr(suite, net)
    add_stress(suite, net, script)
    suite.main()


if __name__ == "__main__":
    main()
