#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing that changes in the network leaves a packet on an old way: random changes of routes, rules, neighbors and
devices, each followed by packets through SIDs, which have to go where the stack sends the same packets itself.

SEG6_SEED and SEG6_COUNT say which changes and how many, in episodes that have a router of their own each. With
SEG6_EPISODE there is only that one, shown in full. Each episode ends with a storm: changes under traffic from all CPUs,
and the end of the router's network namespace under traffic.
"""

import os
import random
import socket
import time
from functools import partial

import churn_net as net
import lib
import netlink as nl
from churn_run import FIRST, Check, Counts, Episode, kinds, rare
from churn_probe import Panel
from churn_wire import Wire, number
from config import refcount
from topology import enter
from unload import is_loaded

SEED = int(os.environ.get("SEG6_SEED") or 1)
DEFAULT = 2000
COUNT = int(os.environ.get("SEG6_COUNT") or DEFAULT)
EPISODE = os.environ.get("SEG6_EPISODE")
SHORT, LONG = 250, 2000
# Kinds of changes that change no way.
IDLE = {"processor", "second_vrf"}


def length():
    """How many changes an episode has."""
    return SHORT if COUNT < 10 * LONG else LONG


def churn(wire, counts):
    """All episodes."""
    start, index = time.monotonic(), int(EPISODE or 0)
    while counts.changes() < COUNT:
        episode = Episode(wire, SEED, index, counts, detail=bool(EPISODE))
        episode.run(length())
        seconds = time.monotonic() - start
        print(f"# @ {index} {counts.changes()} {episode.transcript()} {episode.flavor} {round(seconds)} s", flush=True)
        index += 1
        if EPISODE:
            break
    tell(counts, seconds)


def tell(counts, seconds):
    """Prints what was done."""
    for name in sorted(counts.done):
        print(f"# {counts.done[name]:8} {name}: {counts.effective[name]} have changed a way")
    print(f"# {counts.changes()} changes, {counts.effective.total()} of them have changed a way; {counts.packets} "
          f"packets compared, {counts.refused} requests refused, {counts.changes() / max(seconds, 1):.0f} changes a "
          "second")


def idle(counts):
    """The kinds of changes that never had an effect."""
    return {kind.__name__ for flavor in net.FLAVORS for kind in kinds(flavor) + rare(flavor)} - counts.moved


class Trial:
    """A router for the first cases."""

    def __init__(self, wire):
        self.wire = wire

    def __enter__(self):
        self.router = net.Router(self.wire, "trial", net.PLAIN)
        self.panel = Panel(self.router, random.Random(1), 12, net.TARGETS[:1])
        self.panel.install()
        return self

    def __exit__(self, *_):
        self.router.destroy()
        lib.wait_for(self.router.is_gone, "the namespace is gone", 60)


def serving(wire):
    """Checks who serves seg6local."""
    with Trial(wire):
        lib.served_by()


def noticed(wire):
    """How many of the SIDs in a panel are found wrong if their packets go where they went before a change."""
    with Trial(wire) as trial:
        check = Check(trial.router, trial.panel)
        before = check.outcome()
        check.judge(before)
        trial.router.add(nl.route(net.ROUTED, net.hop(trial.router, "alt0", "fdff:3::2")))
        after = check.outcome()
        check.judge(after)
        missed = []
        for at, probe in enumerate(trial.panel.probes):
            key = number(FIRST + at)
            try:
                check.judge(after | {key: before[key]})
            except lib.Failed:
                continue
            if before[key] != after[key]:
                missed.append(str(probe))
    return missed


def devices():
    """The names of the devices outside."""
    return {name for _, name in socket.if_nameindex()}


def main():
    """Builds the suite and runs it."""
    net.prepare()
    wire, counts = Wire(), Counts()
    enter(wire.namespace)
    before = devices()
    suite = lib.Suite()
    suite.add("who serves the route", partial(serving, wire))
    suite.add("an old way is noticed", partial(noticed, wire), [])
    suite.add("all packets go where the stack sends them", partial(churn, wire, counts))
    if COUNT >= DEFAULT and not EPISODE:
        suite.add("each kind of change has changed a way", partial(idle, counts), IDLE)
    suite.add("no device is left", devices, before)
    suite.add("no reference to the module is left", lambda: refcount() if is_loaded() else 0, 0)
    if os.path.exists(lib.KMEMLEAK):
        lib.kmemleak("clear")
        suite.add("kmemleak finds nothing", lib.leaks, "")
    suite.main()


if __name__ == "__main__":
    main()
