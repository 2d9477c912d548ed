#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The storm of faults.py while allocations of memory fail: of requests, and of packets.

The kernel needs CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC and CONFIG_FAULT_INJECTION_DEBUG_FS, as CONFIG=debug has them.
"""

import contextlib
import errno
import itertools
import os
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
import script as s
from config import refcount
from faults import DEVICES, Storm, add_storm, prepare
from lwt_in import PACKET
from model import Model
from nexthops import NEXTHOP, nexthop
from scene import END_OF_SRH, A, choices
from storm import NO_MEMORY, REFUSED, Operator
from topology import BACK, ETH_P_ALL, IN_ADDRESS, OUT, SID, ip, packet_socket

DIRECTORIES = ("/sys/kernel/debug/failslab", "/sys/kernel/debug/fail_page_alloc")
PLENTY = 1 << 30
FAILED = "failed allocations"
EDITS, EDIT_PERCENT = 400, 20
NO_MODULE = (errno.EOPNOTSUPP,)  # there was no memory to load it


def inject(**values):
    """Sets attributes of fault injection."""
    for directory in DIRECTORIES:
        for name, value in values.items():
            with open(f"{directory}/{name.replace('_', '-')}", "w", encoding="ascii") as knob:
                knob.write(str(value))


def injected():
    """How many allocations have failed."""
    left = 0
    for directory in DIRECTORIES:
        with open(f"{directory}/times", encoding="ascii") as knob:
            left += int(knob.read())
    return len(DIRECTORIES) * PLENTY - left


@contextlib.contextmanager
def task_attribute(name, value):
    """A context with an attribute of fault injection of this process; yields a function that reads it."""
    knob = os.open(f"/proc/self/{name}", os.O_RDWR)
    os.write(knob, str(value).encode())
    try:
        yield lambda: int(os.pread(knob, 16, 0))
    finally:
        os.write(knob, b"0")
        os.close(knob)


@contextlib.contextmanager
def packets_fail(percent=4):
    """A context in which any allocation that can not wait may fail, as those for packets."""
    inject(task_filter="N", ignore_gfp_wait="Y", probability=percent)
    try:
        yield
    finally:
        inject(probability=0)


@contextlib.contextmanager
def requests_fail():
    """A context in which the allocations of processes fail that ask for it."""
    inject(task_filter="Y", ignore_gfp_wait="N", probability=8)
    try:
        yield
    finally:
        inject(probability=0)


class MemoryStorm(Storm):
    """The storm."""

    def __init__(self, scene):
        super().__init__(scene)
        self.modes = itertools.cycle((("packets", packets_fail), ("requests", requests_fail)))

    def run(self):
        """Goes on for the time that it has; some allocations have to fail."""
        super().run()
        lib.check(any(what[0] == FAILED and number for what, number in self.count.items()), "no allocation has failed")

    def operator(self):
        """A process that changes SIDs, whose requests may fail."""
        faults = partial(task_attribute, "make-it-fail", 1)
        return Operator(self.scene, self.random.random(), faults, REFUSED + NO_MEMORY + NO_MODULE)

    def disturb(self, senders):
        """Lets allocations fail for a while."""
        name, mode = next(self.modes)
        before = injected()
        with mode():
            super().disturb(senders)
        self.count[FAILED, name] += injected() - before
        for victim in DEVICES:
            with contextlib.suppress(lib.Failed):
                ip("link", "del", victim)
            self.scene.create(victim)

    def destroy(self, victim, sender):
        """Destroys something that SIDs use; that may fail on the way."""
        try:
            super().destroy(victim, sender)
        except (lib.Failed, OSError):
            self.count["destroyed, with an error", victim] += 1


def one_after_the_other(attempt):
    """Lets the first allocation in attempt() fail, then only the second, and so on; yields what it returns.

    In the last attempt, after which the generator ends, no allocation has failed.
    """
    inject(ignore_gfp_wait="N")
    for number in itertools.count(1):
        with task_attribute("fail-nth", number) as left:
            outcome = attempt()
            has_failed = left() == 0
        yield outcome
        if not has_failed:
            lib.check(number > 5, f"only {number - 1} allocations could fail")
            return


def tried(net, kind, message, flags):
    """The errno of a request, or of its system calls."""
    try:
        return net.rtnl.change(kind, message, flags)[0]
    except OSError as error:
        return error.errno


def adding(net, kind, message, deletion):
    """A request that adds something succeeds, or there is no memory and nothing remains of it."""
    code = None
    for code in one_after_the_other(lambda: tried(net, kind, message, nl.F_CREATE | nl.F_EXCL)):
        missing = net.rtnl.change(kind + 1, deletion)[0]
        lib.check(code in NO_MEMORY or code == missing == 0, f"errno {code}, errno {missing} of the deletion")
    lib.wait_for(lambda: refcount() == 0, "no SID is left")
    return code


def added_route(net, choice):
    """Adds a SID."""
    with choice.data() as data:
        return adding(net, nl.RTM_NEWROUTE, net.sid(data), nl.route(f"{SID}/128"))


def added_nexthop(net, choice):
    """Adds a SID in a nexthop object."""
    with choice.data() as data:
        return adding(net, nl.RTM_NEWNEXTHOP, nexthop(net.devices["dum0"], 7, data), NEXTHOP + nl.u32(nl.NHA_ID, 7))


def replaced_route(net, choice):
    """Replaces a SID: there is always one of the two."""
    code = None
    with choice.data() as data, net.installed(nl.u32(nl.ACTION, nl.END)):
        for code in one_after_the_other(lambda: tried(net, nl.RTM_NEWROUTE, net.sid(data), nl.F_REPLACE)):
            lib.check(code in (0, *NO_MEMORY), f"errno {code}")
            net.rtnl.get(SID)
    return code


def pushed(choice):
    """BPF_PROG_TEST_RUN of a program that pushes an SRH and drops the packet if it can not."""
    frame = bytes(12) + b"\x86\xdd" + PACKET
    result = verdict = None
    with choice.loaded(ebpf.TYPE_LWT_IN) as fd:
        want = ebpf.test_run(fd, frame)
        for result, verdict, after in one_after_the_other(lambda: ebpf.test_run(fd, frame)):
            lib.check(-result in NO_MEMORY or verdict == ebpf.DROP or (result, verdict, after) == want,
                      f"{result}, {verdict}, {lib.show(after)}")
    return result, verdict


def edited_clone(net, script, calls):
    """Sends a packet that somebody else holds too to a SID; returns what came out and the results of the calls."""
    script.write([call for call, _ in calls])
    with packets_fail(EDIT_PERCENT), contextlib.suppress(OSError):
        net.transmit(p.sr(SID, [A, SID], 1, p.udp()))
    return net.collect(), script.results(len(calls))


def edited_clones(net, script):
    """B10: edits of packets that somebody else holds too, some of which find no memory for a copy.

    What comes out is what the calls that succeeded have made of the packet. Returns whether a call has failed.
    """
    outcomes = set()
    tlv = p.tlv(200, bytes(range(94)))
    calls = [(s.store_bytes(46, b"\2\3"), lambda model: model.store_bytes(46, b"\2\3")),
             (s.adjust_srh(END_OF_SRH, len(tlv)), lambda model: model.adjust_srh(END_OF_SRH, len(tlv))),
             (s.store_bytes(END_OF_SRH, tlv), lambda model: model.store_bytes(END_OF_SRH, tlv))]
    attributes = nl.u32(nl.ACTION, nl.END_BPF) + nl.bpf(script.seg6local)
    # A packet that has moved is a copy already.
    with lib.unmoved_packets(), net.installed(attributes), packet_socket("in0", ETH_P_ALL, net.PACKET_IGNORE_OUTGOING):
        for _ in range(EDITS):
            out, results = edited_clone(net, script, calls)
            model = Model(p.sr(A, [A, SID], 0, p.udp()), lambda *_: OUT, None)
            succeeded = [call(model) for (_, call), result in zip(calls, results) if result == 0]
            if results[0] == s.NOT_CALLED:
                continue  # there was no memory for the packet or its route, which the source may have been told
            sent = model.finish(False)
            unrouted = BACK, p.icmp_error(1, 0, model.packet, IN_ADDRESS)  # no memory for the route after that
            lib.check(not any(succeeded) and out in ([], [sent], [unrouted]), f"results {results}, {out}")
            outcomes.add((*results, bool(out)))
    lib.check((0, 0, 0, True) in outcomes, f"no packet was edited: {outcomes}")
    return any(result not in (0, s.NOT_CALLED) for outcome in outcomes for result in outcome[:-1])


def add_single_failures(suite, scene):
    """Requests in which one allocation fails."""
    for choice, *_ in choices(scene, SID, b""):
        for name, run in (("adding a route", added_route), ("adding a nexthop object", added_nexthop),
                          ("replacing a route", replaced_route)):
            suite.add(f"one allocation fails: {name}: {choice.name}", partial(run, scene, choice), 0)
    suite.add(f"one allocation fails: BPF_PROG_TEST_RUN, {scene.pushes[1].name}", partial(pushed, scene.pushes[1]),
              (0, ebpf.OK))


def main():
    """Builds the suite and runs it."""
    for directory in DIRECTORIES:
        lib.check(os.path.isdir(directory), f"this kernel can not inject faults: there is no {directory}")
    inject(probability=0, interval=1, times=PLENTY, space=0, verbose=0)
    with open(f"{DIRECTORIES[1]}/min-order", "w", encoding="ascii") as knob:
        knob.write("0")
    scene = prepare()
    suite = scene.suite()
    add_single_failures(suite, scene)
    suite.add("B10: packets are edited while allocations fail", partial(edited_clones, scene, s.Script()), True)
    add_storm(suite, MemoryStorm(scene))
    suite.main()


if __name__ == "__main__":
    main()
