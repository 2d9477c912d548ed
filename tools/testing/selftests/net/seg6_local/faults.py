#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""SIDs and what they use come and go while packets run through them on two CPUs: nothing leaks, no packet is wrong.

For SEG6_SECONDS, SIDs of all behaviors are added, replaced and deleted, programs swapped, and devices, a VRF and a
network namespace destroyed under them; every few seconds all SIDs go, and the module with them.
"""

import itertools
import os
import random
import socket
import time
from collections import Counter
from functools import partial

import ebpf
import lib
import netlink as nl
from config import refcount
from scene import PUSHED_TO, SIZES, Scene, choices
from storm import Operator, Sender
from topology import SID, expedite, ip, set_tunnel_source
from unload import unload

SECONDS = float(os.environ.get("SEG6_SECONDS") or 20 * int(os.environ.get("SEG6_SLOWNESS", "1")))
SEED = int(os.environ.get("SEG6_SEED", "1"))
FREED_LATER = ("vmap_area",)
DEVICES = ("dum1", "blue", "l2")
VICTIMS = (*DEVICES, "namespace")


def slabs():
    """How many objects of each kind the kernel has."""
    lib.shrink_slabs()
    with open("/proc/slabinfo", encoding="ascii") as table:
        return {line.split()[0]: int(line.split()[1]) for line in list(table)[2:]}


def devices():
    """The names of the devices of the router."""
    return {name for _, name in socket.if_nameindex()}


class Storm:
    """The storm, and what it has counted."""

    def __init__(self, scene):
        self.scene = scene
        self.random = random.Random(SEED)
        self.count, self.seen = Counter(), Counter()
        self.programs = ebpf.programs()
        self.slabs = None

    def run(self):
        """Goes on for the time that it has, and until all victims were destroyed without an error."""
        end = time.monotonic() + SECONDS
        senders = Sender(self.scene, 0), Sender(self.scene, 1)
        with senders[0], senders[1]:
            while time.monotonic() < end or not all(self.count["destroyed", victim] for victim in VICTIMS):
                self.disturb(senders)
                self.show(senders)
                self.calm()
                self.slabs = self.slabs or (slabs(), self.count.total())
        self.seen = senders[0].count + senders[1].count
        self.tell()
        lib.equal([name for name in self.seen if name.startswith("wrong")], [], "packets that nothing can have made")
        missing = set(self.scene.right.values()) - set(self.seen)
        lib.equal(missing, set(), "behaviors of which no packet has come out")

    def tell(self):
        """Prints what was done and seen."""
        for counted in self.count, self.seen:
            for what, number in sorted(counted.items()):
                print(f"# {number:8} {what if isinstance(what, str) else ': '.join(what)}")

    def disturb(self, senders):
        """SIDs and what they use come and go."""
        victims = list(VICTIMS)
        self.random.shuffle(victims)
        with self.operator() as first, self.operator() as second:
            for victim, sender in zip(victims, itertools.cycle(senders)):
                self.destroy(victim, sender)
        self.count += first.count + second.count

    def show(self, senders):
        """All SIDs are there, for a while."""
        self.scene.install()
        for sender in senders:
            sender.wait()

    def operator(self):
        """A process that changes SIDs."""
        return Operator(self.scene, self.random.random())

    def grown(self):
        """Of which kinds of objects the kernel has more and more; a few of each, and what it frees later, are none."""
        lib.check(self.slabs, "there was no whole round")
        before, count = self.slabs
        limit = 1000 + (self.count.total() - count) / 10
        return {name: number for name, number in slabs().items()
                if number - before.get(name, 0) > limit and name not in FREED_LATER}

    def destroy(self, victim, sender):
        """Destroys something that SIDs use, under traffic."""
        if victim == "namespace":
            with self.scene.namespace():
                sender.wait()
        else:
            ip("link", "del", victim)
            sender.wait(1)
            self.scene.create(victim)
            sender.wait(1)
        self.count["destroyed", victim] += 1

    def calm(self):
        """Removes all SIDs, then the module while a program may call it, and waits until nothing is left."""
        self.scene.flush()
        lib.wait_for(lambda: refcount() == 0, "no SID uses the module", 60)
        if lib.IS_MODULE:
            unload()
            self.count["module", "unloaded"] += 1
        self.scene.rtnl.delete(nl.route(f"{PUSHED_TO}/128"))
        lib.wait_for(lambda: "ns0" not in devices(), "the namespace is gone", 60)
        lib.wait_for(lambda: ebpf.programs() <= self.programs, "the programs are freed", 60)


def verify(scene, choice, packet, out):
    """What a new SID does with a packet, and its counters."""
    with choice.data() as data:
        lib.equal(scene.through((data,), packet), (out, (1, len(packet), 0)), choice.name)


def add_storm(suite, storm):
    """The storm, and what is left of it."""
    scene = storm.scene
    suite.add("SIDs come and go under traffic", storm.run)
    suite.add("no device is left over or lost", devices, devices())
    if os.path.exists(lib.KMEMLEAK):
        lib.kmemleak("clear")
        suite.add("kmemleak finds nothing", lib.leaks, "")
    else:
        suite.add("no kind of object grows and grows", storm.grown, {})
    suite.add("who serves the route after that", scene.serving)
    for data in SIZES:
        for choice, packet, out in choices(scene, SID, data):
            suite.add(f"after that: {choice.name}, {len(packet)} bytes", partial(verify, scene, choice, packet, out))


def prepare():
    """The topology, ready for a storm."""
    scene = Scene()
    os.sched_setaffinity(0, range(os.cpu_count()))
    set_tunnel_source()
    expedite()
    return scene


def main():
    """Builds the suite and runs it."""
    scene = prepare()
    suite = scene.suite()
    add_storm(suite, Storm(scene))
    suite.main()


if __name__ == "__main__":
    main()
