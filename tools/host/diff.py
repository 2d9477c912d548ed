#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends the same random packets through the same random SIDs on two kernels and compares all that comes out.

Input, from the environment:

  SEED    which packets and SIDs, a number; or several, separated by blanks (default: 1); with even ones
          nf_hooks_lwtunnel is on, with multiples of 3 all packets are cloned
  COUNT   how many cases of each seed (default: 2000); a case is a request for a SID, or a packet
  CASE    only this case, shown in full: the number of a configuration, or with ".N" of one packet of it
  IMPL    the two kernels (default: "c rust")

The kernels are built already. Exit status 1 if there is a difference that diff_known.py does not list.
"""

import itertools
import os
import pickle
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import vm  # first, as it finds the modules of the selftests
import diff_known
import generate
import ktap
from diff_case import cases

FOLDER = vm.RUN / "diff"
SHOWN = 20


def read(path):
    """What is in a file of pickled objects, as far as it goes."""
    with open(path, "rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except (EOFError, pickle.UnpicklingError):
                return


def write(path, objects):
    """Pickles objects into a file; returns how many."""
    number = 0
    with open(path, "wb") as file:
        for number, made in enumerate(objects, 1):
            pickle.dump(made, file)
    return number


def play(name, impl, timeout):
    """Plays the configurations on a kernel, with the results in file `name`; returns what went wrong."""
    log = vm.LOGS / f"diff-{name}.log"
    (FOLDER / name).write_bytes(b"")
    with vm.boot(impl, f"$SEG6_OUTPUT/diff.py /mnt/host/cases /mnt/host/{name}", log, DIR=str(FOLDER),
                 VM_OUTPUT=str(vm.SELFTESTS), VM_TIMEOUT=str(timeout)) as guest:
        output = guest.communicate()[0]
    problems = [] if impl == "c" else vm.splats(vm.console(log))
    if guest.returncode or output.splitlines()[-1:] != ["done"]:
        problems.append(f"{name}: status {guest.returncode}, console {log}\n{output}")
    return problems


class Comparison:
    """Compares the results of two kernels and counts; `texts` are the first differences that are not listed."""

    def __init__(self, impls):
        self.impls = impls
        self.cases, self.listed, self.unlisted, self.texts = 0, {}, 0, []

    def add(self, configuration, outcomes):
        """Compares all cases of one configuration."""
        for case in cases(configuration, *outcomes):
            self.cases += 1
            if not case.differs():
                continue
            row = self.row_of(case)
            if row:
                self.listed[row] = self.listed.get(row, 0) + 1
            else:
                self.unlisted += 1
                if self.unlisted <= SHOWN:
                    self.texts.append(self.text(case))

    def row_of(self, case):
        """The row of the table that lists a difference; between two kernels with one implementation there is none."""
        return diff_known.row_of(case) if self.impls[0] == "c" != self.impls[1] else None

    def text(self, case):
        """A case for people."""
        word = f"differs, {self.row_of(case) or 'not listed'}" if case.differs() else "is the same"
        return "\n  ".join([f"seed {case.configuration.seed} case {case.name()} {word}: {case.configuration}",
                            *case.lines(self.impls)])

    def summary(self):
        """The figures."""
        rows = "".join(f"; {row}: {number}" for row, number in sorted(self.listed.items()))
        return (f"{self.cases} cases, {sum(self.listed.values())} listed differences{rows}; "
                f"{self.unlisted} unlisted differences")


def compare(configurations, impls, guests=2):
    """Plays configurations on two kernels, in so many guests at once; returns the comparison and what went wrong."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    count = write(FOLDER / "cases", configurations)
    names = [f"{index}-{impl}" for index, impl in enumerate(impls)]
    with ThreadPoolExecutor(guests) as pool:
        problems = [*itertools.chain.from_iterable(pool.map(play, names, impls, (600 + count,) * 2))]
    comparison, played = Comparison(impls), 0
    for configuration, *outcomes in zip(*(read(FOLDER / name) for name in ("cases", *names))):
        comparison.add(configuration, outcomes)
        played += 1
    if played != count:
        problems.append(f"the results end after {played} SIDs of {count}")
    return comparison, problems


def run(seeds, count, impls=("c", "rust"), guests=2):
    """Compares `count` cases of each seed, those with hooks last: they cannot be removed again."""
    ordered = sorted(seeds, key=lambda seed: seed % 2 == 0)
    made = itertools.chain.from_iterable(generate.configurations(seed, count) for seed in ordered)
    return compare(made, impls, guests)


def replay(seed, name, impls):
    """Plays the configuration of a case again, and shows what both kernels do in the case."""
    configuration = generate.Generator(seed, int(name.split(".")[0])).configuration()
    comparison, problems = compare([configuration], impls)
    for outcomes in zip(*(read(FOLDER / f"{index}-{impl}") for index, impl in enumerate(impls))):
        comparison.texts = [comparison.text(case) for case in cases(configuration, *outcomes)
                            if name in (case.name(), case.name().split(".")[0])]
    return comparison, problems


def check(report, seeds=(1, 2), count=1200):
    """The same as a test, in one guest after the other: report(kernels, result, seconds) gets its result."""
    start = time.monotonic()
    comparison, problems = run(seeds, count, guests=1)
    result = ktap.Result("diff.py", comparison.cases - comparison.unlisted, [*comparison.texts, *problems])
    report("c and rust", result, round(time.monotonic() - start))


def main():
    """See the documentation of the module."""
    impls = tuple((os.environ.get("IMPL") or "c rust").split())
    if len(impls) != 2:
        sys.exit(f"error: IMPL={' '.join(impls)} does not name two kernels")
    seeds = [int(seed) for seed in (os.environ.get("SEED") or "1").split()]
    if os.environ.get("CASE"):
        comparison, problems = replay(seeds[0], os.environ["CASE"], impls)
    else:
        comparison, problems = run(seeds, int(os.environ.get("COUNT") or 2000), impls)
    print("\n".join([*comparison.texts, *(f"error: {problem}" for problem in problems), comparison.summary()]))
    return 1 if problems or comparison.unlisted or not comparison.cases else 0


if __name__ == "__main__":
    vm.run(main)
