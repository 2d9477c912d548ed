# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes of faults.py and faults_memory.py: two that send packets, and two that change SIDs."""

import contextlib
import errno
import multiprocessing
import os
import random
import socket
import traceback
from collections import Counter

import ebpf
import lib
import netlink as nl
from lwt_in import lwt_bpf
from nexthops import NEXTHOP, nexthop
from scene import PUSHED_TO
from topology import IPV6, is_multicast

REFUSED = (errno.EEXIST, errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EINVAL, errno.ENETDOWN)
NO_MEMORY = (errno.ENOMEM, errno.ENOBUFS)
FLAGS = (nl.F_CREATE | nl.F_EXCL, nl.F_CREATE | nl.F_REPLACE, nl.F_REPLACE)


class Worker(multiprocessing.get_context("fork").Process):
    """A process that does the same over and over on some CPUs, in a context; `count` is what it has counted then."""

    def __init__(self, cpus):
        super().__init__(daemon=True)
        self.cpus = cpus
        self.count, self.failure = Counter(), None
        self.stopped = multiprocessing.Event()
        self.result, self.ours = multiprocessing.Pipe(False)

    def step(self):
        """What is done over and over."""
        raise NotImplementedError

    def run(self):
        """Counts until it is told to stop."""
        os.sched_setaffinity(0, self.cpus)
        os.nice(5)
        try:
            while not self.stopped.is_set():
                self.step()
        except Exception:  # pylint: disable=broad-except
            self.failure = traceback.format_exc()
        self.ours.send((self.count, self.failure))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stopped.set()
        lib.check(self.result.poll(120), "a process does not end")
        self.count, self.failure = self.result.recv()
        self.join()
        lib.check(not self.failure, self.failure)


class Sender(Worker):
    """Sends all packets from one CPU, and judges what comes out."""

    def __init__(self, scene, cpu):
        super().__init__({cpu})
        self.scene, self.wrong = scene, 0
        self.random = random.Random(cpu)
        self.rounds = multiprocessing.Value("L")

    def step(self):
        """Sends each packet once, large ones in pages."""
        self.scene.rx.settimeout(0)
        for packet in self.scene.packets:
            linear = self.random.choice((40, 48, 80)) if len(packet) > 4096 else None
            try:
                self.scene.transmit(packet, linear)
                self.count["sent"] += 1
            except OSError:
                self.count["not sent"] += 1
        with contextlib.suppress(BlockingIOError):
            while True:
                self.look(*self.scene.receive())
        self.rounds.value += 1

    def wait(self, rounds=2):
        """Waits until each packet was sent some times."""
        enough = self.rounds.value + rounds
        lib.wait_for(lambda: self.rounds.value >= enough or not self.is_alive(), "packets are sent", 120)

    def look(self, kind, label, packet):
        """Counts a packet that came out."""
        if kind == IPV6 and is_multicast(packet):
            return
        name = self.scene.judge(label, packet)
        if not name:
            self.wrong += 1
            lib.check(self.wrong < 10, f"more wrong packets: {self.count}")
            name = f"wrong: to {label}: {packet.hex()}"
        self.count[name] += 1


class Operator(Worker):
    """Changes SIDs at random; requests run in the context `faults()`, errors in `refused` are no surprise."""

    def __init__(self, scene, seed, faults=contextlib.nullcontext, refused=REFUSED):
        super().__init__(range(os.cpu_count()))
        self.scene, self.faults, self.refused = scene, faults, refused
        self.random = random.Random(seed)
        self.rtnl = nl.Rtnl()

    def step(self):
        """One operation."""
        operation = self.random.choices((self.install, self.remove, self.by_nexthop, self.remove_nexthop, self.push,
                                         self.dump), (16, 4, 4, 1, 4, 1))[0]
        try:
            code = operation()
        except OSError as error:
            code = error.errno
            self.rtnl = nl.Rtnl()
        lib.check(not code or code in self.refused, f"{operation.__name__}: {code}")
        self.count[operation.__name__, errno.errorcode.get(code, "done")] += 1

    def request(self, kind, body, flags=0):
        """The errno of a request."""
        with self.faults():
            return self.rtnl.request(kind, body, flags)[0]

    def target(self):
        """A SID, the message of a route to it without its nexthop, and a device for it."""
        number = self.random.randrange(len(self.scene.targets))
        target = self.scene.targets[number]
        return number, target, self.scene.devices[self.random.choice(("dum0", "dum1"))]

    def install(self):
        """Adds or replaces a SID."""
        _, target, device = self.target()
        with self.random.choice((self.random.choice(target.choices), target.own)).data() as data:
            data += self.random.choice((b"", nl.counters()))
            message = nl.route(f"{target.address}/128", nl.u32(nl.RTA_OIF, device), nl.encap(nl.ENCAP_SEG6_LOCAL, data))
            return self.request(nl.RTM_NEWROUTE, message, self.random.choice(FLAGS))

    def remove(self):
        """Deletes a SID."""
        return self.request(nl.RTM_DELROUTE, nl.route(f"{self.target()[1].address}/128"))

    def by_nexthop(self):
        """Adds or replaces a nexthop object, and a SID that uses it."""
        number, target, device = self.target()
        with self.random.choice(target.choices).data() as data:
            code = self.request(nl.RTM_NEWNEXTHOP, nexthop(device, number + 1, data), nl.F_CREATE | nl.F_REPLACE)
        route = nl.route(f"{target.address}/128", nl.u32(nl.RTA_NH_ID, number + 1))
        return code or self.request(nl.RTM_NEWROUTE, route, nl.F_CREATE | nl.F_REPLACE)

    def remove_nexthop(self):
        """Deletes a nexthop object, with the SIDs that use it."""
        return self.request(nl.RTM_DELNEXTHOP, NEXTHOP + nl.u32(nl.NHA_ID, self.target()[0] + 1))

    def push(self):
        """Adds or replaces the route with an LWT_IN program."""
        with self.random.choice(self.scene.pushes).loaded(ebpf.TYPE_LWT_IN) as fd:
            message = lwt_bpf(self.scene, fd, f"{PUSHED_TO}/128", "fdff:2::1")
            return self.request(nl.RTM_NEWROUTE, message, nl.F_CREATE | nl.F_REPLACE)

    def dump(self):
        """Reads all routes."""
        return self.request(nl.RTM_GETROUTE, bytes((socket.AF_INET6,)) + bytes(11), nl.F_DUMP)
