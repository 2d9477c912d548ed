#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzzes seg6local in a guest: random packets, programs that call helpers at random, and netlink messages.

Input, from the environment:

  KIND          packets, programs or netlink (default: one after the other)
  SEED          which random choices (default: 1); with even ones nf_hooks_lwtunnel is on
  COUNT         about how many packets, programs or messages (default: 100000, 3000 and 2000)
  REPRO         a reproducer: only what it names is done again
  IMPL, CONFIG  which kernel (fuzz.sh has set them)
  SEG6_JOBS     how many guests share the work (default: 1)
  GUIDED        if set, coverage guides the choice of packets and scripts: for CONFIG=uml and Rust

The kernel and the tests' programs are built already. It ends with the first packet that no router may send, bug in the
kernel's log, leak, or guest that is dead or silent: this is saved as a reproducer. The exit status is 1 then.
"""

import collections
import json
import os
import re
import shlex
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import selftests
import vm

GUEST_FUZZ = f"/mnt/host/{selftests.DIRECTORY}/fuzz.py"
# kind: (cases of a round, default of COUNT)
KINDS = {"packets": (2048, 100000), "programs": (268, 3000), "netlink": (512, 2000)}
BATCHES = {"packets": 32, "programs": 3}
BATCH = re.compile(r"of the batch from (\d+)$", re.MULTILINE)
GUIDED = "guided"
DAY = 86400
SILENT_SECONDS = 3600  # longer than a round and than the search for leaks
PROGRESS_SECONDS = 20


@dataclass
class Work:
    """Rounds of one kind; `part` are the packets of a round to send, "first,count", "guided", or None for all."""

    kind: str
    seed: int
    first: int
    count: int
    part: str | None = None

    def command(self):
        """The command that does it in the guest."""
        part = [self.part] if self.part else []
        return shlex.join([GUEST_FUZZ, self.kind, str(self.seed), str(self.first), str(self.count), *part])

    def again(self, number, problem):
        """The work that does again what went wrong in a round: that of a guided one depends on all before."""
        if self.part == GUIDED:
            return replace(self, count=number + 1 - self.first)
        found = BATCH.search(problem)
        part = f"{found[1]},{BATCHES[self.kind]}" if found else self.part
        return replace(self, first=number, count=1, part=part)

    def split(self, jobs):
        """The same rounds for several guests."""
        bounds = [self.first + self.count * index // jobs for index in range(jobs + 1)]
        return [Work(self.kind, self.seed, low, high - low, self.part) for low, high in zip(bounds, bounds[1:])
                if low < high]


def lines(guest):
    """The lines that a guest prints. It is ended if it hangs, which is a line, too."""
    while True:
        watchdog = threading.Timer(SILENT_SECONDS, guest.terminate)
        start = time.monotonic()
        watchdog.start()
        line = guest.stdout.readline()
        watchdog.cancel()
        if time.monotonic() - start >= SILENT_SECONDS:
            yield f"silent for {SILENT_SECONDS} s\n"
        if not line:
            return
        yield line


class Run:
    """Does work in a guest; `counts` is what was done, `problem` what went wrong or None."""

    def __init__(self, work, impl, config):
        self.work, self.impl, self.config = work, impl, config
        self.counts, self.problem, self.round, self.is_over = collections.Counter(), None, work.first, False
        self.name = f"{work.kind}-{work.seed}-{work.first}"
        self.log = vm.LOGS / f"fuzz-{self.name}-console.log"
        self.start = self.shown = time.monotonic()

    def run(self):
        """Runs the guest to its end."""
        rest = []
        with vm.boot(self.impl, self.work.command(), self.log, VM_OUTPUT=str(vm.RUN / "selftests"),
                     VM_TIMEOUT=str(DAY), VM_CPUS="1") as guest:
            for line in lines(guest):
                words = line.split(None, 3)
                if words[:2] == ["@", "begin"]:
                    self.round = int(words[2])
                elif words[:2] == ["@", "end"]:
                    self.counts.update(json.loads(words[3]))
                    self.progress()
                elif words[:2] == ["@", "leaks"]:
                    self.is_over = True
                else:
                    rest.append(line)
        splats = vm.splats(vm.console(self.log))
        if guest.returncode or splats:
            self.problem = "".join([f"status {guest.returncode}, console {self.log}\n", *rest,
                                    *(f"{line}\n" for line in splats[:20])])
        return self

    def progress(self):
        """Prints now and then what was done."""
        if time.monotonic() - self.shown > PROGRESS_SECONDS:
            self.shown = time.monotonic()
            print(self.summary(), flush=True)

    def summary(self):
        """What was done."""
        counts = ", ".join(f"{name} {number}" for name, number in self.counts.items())
        return f"{self.name}: round {self.round}, {counts}, {round(time.monotonic() - self.start)} s"

    def reproducer(self):
        """Saves what failed; returns how to do it again."""
        path = vm.LOGS / f"fuzz-{self.work.kind}-{self.work.seed}-{self.round}.json"
        work = self.work if self.is_over else self.work.again(self.round, self.problem)
        path.write_text(json.dumps({"impl": self.impl, "config": self.config, "work": asdict(work),
                                    "problem": self.problem}, indent=1))
        return f"make fuzz REPRO={path}"


def works():
    """The work that the environment asks for."""
    if os.environ.get("REPRO"):
        return [Work(**json.loads(Path(os.environ["REPRO"]).read_text(encoding="utf-8"))["work"])]
    kinds = (os.environ.get("KIND") or " ".join(KINDS)).split()
    if unknown := set(kinds) - set(KINDS):
        sys.exit(f"error: KIND={' '.join(unknown)} is not one of: {' '.join(KINDS)}")
    seed = int(os.environ.get("SEED") or 1)
    made = []
    for kind in kinds:
        size, count = KINDS[kind]
        part = GUIDED if os.environ.get("GUIDED") and kind != "netlink" else None
        made.append(Work(kind, seed, 0, -(-int(os.environ.get("COUNT") or count) // size), part))
    return made


def main():
    """See the documentation of the module."""
    impl, config = os.environ["IMPL"], os.environ["CONFIG"]
    jobs = 1 if os.environ.get("REPRO") else int(os.environ.get("SEG6_JOBS") or 1)
    todo = works()
    if any(work.part == GUIDED for work in todo) and (impl, config) != ("rust-builtin", "uml"):
        sys.exit("error: GUIDED needs coverage of seg6local, which CONFIG=uml IMPL=rust-builtin has")
    failed = 0
    for work in todo:
        with ThreadPoolExecutor(jobs) as pool:
            for run in pool.map(Run.run, [Run(part, impl, config) for part in work.split(jobs)]):
                print(run.summary())
                if run.problem:
                    failed += 1
                    print(f"FAILED  {run.problem}\nAgain: {run.reproducer()}")
    print("no failure" if not failed else f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    vm.run(main)
