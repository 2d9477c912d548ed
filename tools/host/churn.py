#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the selftest churn.py in guests: the network changes, and packets through SIDs have to follow at once.

Input, from the environment:

  SEED          which changes (default: 1)
  COUNT         how many (default: 100000)
  EPISODE       only this episode, each of its changes shown
  IMPL, CONFIG  which kernels (churn.sh has set them); with two of them all that comes out is compared, too

The kernels and the tests' programs are built already. Exit status 1 if a packet went astray, a kernel complained, or
two kernels differ.
"""

import itertools
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import vm  # first, as it finds the modules of the selftests
import ktap
import selftests

SEED, COUNT = os.environ.get("SEED") or "1", os.environ.get("COUNT") or "100000"
MARK = re.compile(r"# @ (\d+) (\d+) (\S+) (\S+) (\d+) s$")
PROGRESS_SECONDS = 20
DAY = 86400


class Run:
    """The test in a guest; `digests` are what has come out in each episode, `steps` the lines that show one in full."""

    def __init__(self, impl, episode=None):
        self.impl, self.episode = impl, episode
        self.digests, self.steps, self.problems = {}, [], []
        self.shown = time.monotonic()
        self.log = vm.LOGS / f"churn-{impl}-{vm.CONFIG}-console.log"

    def command(self):
        """The command for the guest."""
        settings = {"SEED": SEED, "COUNT": COUNT, "EPISODE": self.episode}
        exports = " ".join(f"SEG6_{name}={int(value)}" for name, value in settings.items() if value is not None)
        return f"export {exports}; exec /mnt/host/{selftests.DIRECTORY}/churn.py"

    def run(self):
        """Runs the guest to its end."""
        output = []
        with vm.boot(self.impl, self.command(), self.log, VM_OUTPUT=str(vm.RUN / "selftests"),
                     VM_TIMEOUT=str(DAY)) as guest:
            for line in guest.stdout:
                self.take(line.rstrip("\r\n"))
                output.append(line)
        result = ktap.parse_program("churn.py", "".join(output), guest.returncode)
        self.problems = [*result.failures, *(vm.splats(vm.console(self.log))[:20] if self.impl != "c" else [])]
        (vm.LOGS / f"churn-{self.impl}-{vm.CONFIG}.log").write_text("".join(output))
        return self

    def take(self, line):
        """Reads a line of the guest; tells now and then how far it is, and in the end what was done."""
        if match := MARK.match(line):
            self.digests[int(match[1])] = match[3]
            if time.monotonic() - self.shown > PROGRESS_SECONDS:
                self.shown = time.monotonic()
                print(f"{self.impl}: {match[2]} changes in {match[5]} s", flush=True)
        elif line.startswith("# = "):
            self.steps.append(line)
        elif line.startswith(("#", "not ok")):
            print(f"{self.impl}: {line}", flush=True)


def play(impls, episode=None):
    """The runs on some kernels at once."""
    with ThreadPoolExecutor(len(impls)) as pool:
        return list(pool.map(Run.run, [Run(impl, episode) for impl in impls]))


def differences(runs):
    """The first episode in which two kernels differ, as a list of one, and how many there are."""
    first, *others = runs
    found = [episode for episode in sorted(first.digests)
             if any(other.digests.get(episode) != first.digests[episode] for other in others)]
    return found[:1], len(found)


def explain(impls, episode):
    """The first step of an episode in which two kernels differ."""
    for lines in itertools.zip_longest(*(run.steps for run in play(impls, episode))):
        if len(set(lines)) > 1:
            return "\n".join(f"  {impl}: {line}" for impl, line in zip(impls, lines))
    return "  all packets went the same ways: their bytes differ, or the difference did not come again"


def main():
    """See the documentation of the module."""
    impls = (os.environ.get("IMPL") or "rust").split()
    runs = play(impls, os.environ.get("EPISODE") or None)
    problems = [f"{run.impl}: {problem}" for run in runs for problem in run.problems]
    found, count = differences(runs)
    for episode in found:
        problems.append(f"{count} episodes differ, first number {episode}:\n{explain(impls, episode)}")
    for line in runs[0].steps:
        print(line)
    compared = sum(digest.strip("-") != "" for digest in runs[0].digests.values())
    print("\n".join([*(f"FAIL {problem}" for problem in problems),
                     f"{len(runs[0].digests)} episodes, {compared if len(runs) > 1 else 0} of them compared between "
                     f"kernels, {len(problems)} problems"]))
    return 1 if problems or not runs[0].digests else 0


if __name__ == "__main__":
    vm.run(main)
