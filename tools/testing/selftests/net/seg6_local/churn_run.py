# SPDX-License-Identifier: GPL-2.0-or-later
"""One episode: a router, changes of it, and after each of them packets whose way is compared; then a storm."""

import collections
import contextlib
import hashlib
import os
import random
import time

import churn_links as links
import churn_net as net
import churn_routes as routes
import lib
from churn_probe import Panel
from churn_wire import LOST, Burst, number, readable, way
from config import refcount
from storm import Worker
from topology import command, enter
from unload import unload

PROBES, TARGETS_AT_ONCE, ACTIVE, BATCH, SPECIAL = 6, 2, 5, 62, 3
FIRST, REFERENCE, SECOND, THIRD = 0, 1000, 2000, 3000
SLOWNESS = int(os.environ.get("SEG6_SLOWNESS", "1"))
CPUS = os.cpu_count()
RECENT = 12


def kinds(flavor):
    """The kinds of changes of an episode; those that are named more often come more often."""
    found = [*routes.EVERYWHERE, *links.EVERYWHERE]
    if flavor == net.MULTIPATH:
        found.remove(links.unknown_neighbor)  # the first packet to it tells groups of nexthop objects
    found += routes.WITH_MULTIPATH * (flavor == net.MULTIPATH)
    found += links.BY_RULES * (flavor == net.RULES) + links.BY_VRF * (flavor == net.VRF)
    return found


def rare(flavor):
    """The kinds of which an episode gets a few: some need a second CPU, or cannot be where others are."""
    left_out = {net.VRF: (links.device_comes_and_goes,)}.get(flavor, ())
    return [kind for kind in (*links.SLOW, *links.RARE) if kind not in left_out
            and (kind is not links.processor or os.path.exists(links.CPU1))]


def show_routes():
    """Prints what the router looks at."""
    for what in ("-6 rule", "-6 route show table all", "nexthop", "link"):
        for line in command("ip", *what.split()).splitlines():
            print("#", line)


def differing(probe, outcomes, reference):
    """What is wrong with the outcomes of a probe; None if nothing is."""
    first = outcomes[0]
    if any(again != first for again in outcomes[1:]):
        return "the same packet has other ways"
    if probe.reference is None:
        return None
    if way(first) != way(reference):
        return "not the way of the stack's packet"
    is_error = first is not None and len(way(first)) > 6
    return "not the stack's packet" if probe.behavior.is_exact and not is_error and first != reference else None


class Check:
    """The packets of a panel, and how what comes out of them is judged."""

    def __init__(self, router, panel):
        self.router, self.panel = router, panel
        self.ways, self.count = None, 0
        self.has_again = any(probe.reference is None for probe in panel.probes)
        self.made = None

    def bursts(self):
        """The bursts, which are made again when a device has another number."""
        if not self.made or self.made[0] != self.router.index:
            panel, devices = self.panel, dict(self.router.index)
            first = panel.packets(FIRST) + panel.reference_packets(REFERENCE)
            second = panel.packets(SECOND)
            third = panel.packets(THIRD) if self.has_again else []
            parts = [first, second + third] if self.has_again else [first + second]
            self.made = devices, [Burst(part) for part in parts]
        return self.made[1]

    def outcome(self):
        """Sends all packets; returns what has come out. Before the second burst nothing is cached any longer."""
        found = {}
        for index, burst in enumerate(self.bursts()):
            if index:
                self.count += 1
                self.router.flush_caches(self.count)
            found |= self.router.wire.outcome(burst)
        return found

    def judge(self, found):
        """Fails if a packet has not gone its way; returns the ways of the first ones."""
        wanted = {reference: found.get(number(REFERENCE + at)) for at, reference in enumerate(self.panel.references)}
        ways = []
        for at, probe in enumerate(self.panel.probes):
            outcomes = [found.get(number(base + at)) for base in (FIRST, SECOND, THIRD)[:3 if self.has_again else 2]]
            reference = wanted.get(probe.reference)
            problem = differing(probe, outcomes, reference)
            if problem:
                seen = ", ".join(readable(way(frame)) for frame in outcomes)
                raise lib.Failed(f"{probe}: {problem}\n  through the SID: {seen}\n  the stack: "
                                 f"{readable(way(reference)) if probe.reference else 'not asked'}\n  "
                                 + "\n  ".join((frame or LOST)[:160].hex() for frame in (*outcomes, reference)))
            ways.append(way(outcomes[0]))
        return tuple(ways)


class Sender(Worker):
    """Sends the packets of a panel from one CPU, whatever becomes of them; it does not hold the router."""

    def __init__(self, check, cpu):
        super().__init__({cpu})
        self.router, self.burst = check.router, check.bursts()[0]

    def run(self):
        """Leaves the router's namespace first."""
        enter(self.router.wire.namespace)
        os.close(self.router.namespace)
        self.router.rtnl.sock.close()
        super().run()

    def step(self):
        """Sends each packet once."""
        self.burst.send(self.router.wire.tx.fileno())
        self.count["bursts"] += 1


class Counts:
    """What all episodes have done: by the name of a change, how often, and how often it has changed a way.

    `moved` are the names of the kinds of changes that have.
    """

    def __init__(self):
        self.done, self.effective, self.moved = collections.Counter(), collections.Counter(), set()
        self.packets = self.refused = self.ways = 0

    def changes(self):
        """How many changes there were."""
        return self.done.total()


class Episode:
    """A router from its beginning to its end. The same seed and number make the same changes."""

    def __init__(self, wire, seed, index, counts, detail=False):
        self.wire, self.index, self.counts, self.detail = wire, index, counts, detail
        self.random = random.Random(f"{seed}/{index}")
        self.flavor = net.FLAVORS[index % len(net.FLAVORS)]
        self.where = f"seed {seed}, episode {index} ({self.flavor})"
        self.digest = hashlib.blake2b(digest_size=8)
        self.recent = collections.deque(maxlen=RECENT)
        self.active, self.deck = [], []
        self.router = self.check = None
        self.steps, self.kind = 0, ""

    def run(self, length):
        """Makes about so many changes."""
        os.sched_setaffinity(0, {0})
        self.router = net.Router(self.wire, f"e{self.index % 1000}", self.flavor)
        try:
            self.changes(length)
        except lib.Failed as failure:
            recent = ", ".join(self.recent)
            if self.detail:
                show_routes()
            raise lib.Failed(f"{self.where}, change {self.steps}, after: {recent}\n{failure}") from failure
        finally:
            self.router.destroy()
            lib.wait_for(self.router.is_gone, f"{self.where}: the namespace is gone", 30 * SLOWNESS)
        lib.wait_for(lambda: refcount() == 0, f"{self.where}: no SID uses the module", 30 * SLOWNESS)
        if lib.IS_MODULE:
            unload()

    def changes(self, length):
        """Checked changes, then some in a storm."""
        special = rare(self.flavor)
        special = [special[(self.index * SPECIAL + at) % len(special)] for at in range(SPECIAL)]
        while self.steps < length * 3 // 4:
            with self.panel():
                self.batch(min(BATCH, length), special.pop() if special else None)
        with self.panel():
            self.storm(length // 4)

    @contextlib.contextmanager
    def panel(self):
        """A context with some SIDs and a check of their packets."""
        self.router.targets = self.random.sample(net.TARGETS, TARGETS_AT_ONCE)
        panel = Panel(self.router, self.random, PROBES, self.router.targets)
        panel.install()
        os.sched_setaffinity(0, {self.random.randrange(CPUS)} if self.index % 2 else {0})
        self.check = Check(self.router, panel)
        self.compare("SIDs installed")
        yield
        if self.router.namespace is not None:
            panel.remove()
        self.counts.refused += self.router.refused
        self.router.refused = 0

    def batch(self, count, special):
        """So many changes or some more, each followed by packets."""
        end = self.steps + count
        at = self.steps + self.random.randrange(count)
        while name := self.change(self.steps < end):
            self.compare(name)
            if special and self.steps >= at:
                self.kind = special.__name__
                for name in special(self.router, self.random):
                    self.compare(name)
                special = None
                os.sched_setaffinity(0, {0})

    def storm(self, count):
        """Changes under traffic from all CPUs; after that all packets go their way. Then the namespace goes."""
        os.sched_setaffinity(0, range(CPUS))
        end = self.steps + count
        with self.traffic():
            while name := self.change(self.steps < end):
                self.note(name)
        os.sched_setaffinity(0, {self.random.randrange(CPUS)})
        self.compare("storm over")
        with self.traffic():
            time.sleep(0.02)
            self.router.destroy()
            lib.wait_for(self.router.is_gone, "the namespace is gone under traffic", 30 * SLOWNESS)

    @contextlib.contextmanager
    def traffic(self):
        """A context in which all CPUs send packets."""
        self.wire.is_busy = True
        with contextlib.ExitStack() as stack:
            for cpu in range(CPUS):
                stack.enter_context(Sender(self.check, cpu))
            yield
        self.wire.is_busy = False
        self.wire.drain()

    def change(self, may_begin):
        """The next step of some kind of change; returns its name, or None if there is nothing left to do."""
        while self.active or may_begin:
            if self.active and (not may_begin or len(self.active) >= ACTIVE or self.random.random() < 0.45):
                self.kind, steps = self.random.choice(self.active)
            else:
                kind = self.draw()
                self.kind, steps = kind.__name__, kind(self.router, self.random)
                self.active.append((self.kind, steps))
            name = next(steps, None)
            if name:
                return name
            self.active.remove((self.kind, steps))
        return None

    def draw(self):
        """A kind of change; all have come before one comes again."""
        if not self.deck:
            self.deck = kinds(self.flavor)
            self.random.shuffle(self.deck)
        return self.deck.pop()

    def note(self, name):
        """Counts a change."""
        self.steps += 1
        self.counts.done[name] += 1
        self.recent.append(name)

    def compare(self, name):
        """Compares the ways of all packets after a change."""
        self.note(name)
        found = self.check.outcome()
        ways = self.check.judge(found)
        if ways != self.check.ways:
            self.counts.effective[name] += 1
            self.counts.moved.add(self.kind)
        self.check.ways = ways
        self.counts.packets += sum(burst.count for burst in self.check.bursts())
        for key, frame in sorted(found.items()):
            self.digest.update(key + frame)
        if self.detail:
            print(f"# = {self.steps} {name}: {'; '.join(readable(found) for found in ways)}")

    def transcript(self):
        """A digest of all that has come out; none where a hash decides, which each kernel makes in another way."""
        return "-" * 16 if self.flavor == net.MULTIPATH else self.digest.hexdigest()
