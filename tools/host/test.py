#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs tests, or with T=name one of them, and ends with a line "N passed, N failed".

The argument says which: `quick` (the default) for ours, and on the first kernel only those with many clients and the
quick ones of upstream's; `all` for all of both; `upstream` for all of upstream's. IMPL limits the kernels (default:
all three), SEG6_JOBS the guests that run at once (default: 3, as upstream's scripts mostly wait). With another CONFIG
than base C only gets what it does not survive, and nothing is compared. The kernels and the tests' BPF programs are
built already. With --check before the argument it only says whether T is the name of a test.
"""

import os
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import bench
import diff
import ktap
import kunit
import selftests
import upstream
import vm

IMPLS = ("rust", "rust-builtin", "c")
IS_BASE = vm.CONFIG == "base"


class Summary:
    """Counts results and prints a line for each."""

    def __init__(self):
        self.passed = self.failed = 0
        self.lock = threading.Lock()

    def report(self, where, result, seconds):
        """Adds one result."""
        with self.lock:
            self.passed += result.passed
            self.failed += result.failed
            word = "FAIL" if result.failed else "ok"
            print(f"{word:4} {where:12} {result.name}: {result.passed} passed, {result.failed} failed, {seconds} s")
            for failure in result.failures:
                print(f"       not ok {failure}")
            for expected in result.expected:
                print(f"       expected failure {expected}")
            sys.stdout.flush()


def check(name, summary):
    """Runs a check of the host: a script that prints TAP."""
    with vm.spawn([vm.TOOLS / name]) as run:
        output = run.communicate()[0]
    (vm.LOGS / f"{name}.log").write_text(output)
    result = ktap.parse_program(name, output, run.returncode)
    if result.failed:
        print(output)
    summary.report("host", result, 0)


def run_kunit(summary):
    """Runs the KUnit suites."""
    for result in kunit.run():
        summary.report("kunit", result, 0)


def plan(which, name, impls, report):
    """The tests that there are to run: functions with their arguments."""
    is_quick = which == "quick" and not name
    if which != "upstream" and (tests := selftests.find(name)):
        for impl in impls:
            left_out = () if not is_quick else ("storm",) if impl == impls[0] else ("storm", "client")
            yield selftests.run, impl, [test for test in tests if test.kind not in left_out], report
    if which != "upstream" and name in (None, "diff") and IS_BASE and {"c", "rust"} <= set(impls):
        yield diff.check, report
    if which != "upstream" and name in (None, "bench") and IS_BASE and {"c", "rust"} <= set(impls):
        yield bench.check, report
    for impl in impls[:1] if is_quick else [impl for impl in impls if impl != "c" or IS_BASE]:
        for scripts in upstream.guests(upstream.find(name, is_quick)):
            yield upstream.run, impl, scripts, report


def plan_once(impls, summary):
    """What runs once, if it has the kernels that it needs."""
    if IS_BASE and "c" in impls:
        yield check, "identity.sh", summary
    if IS_BASE and len(impls) > 1:
        yield check, "symbols.sh", summary
    if IS_BASE:
        yield check, "fuzz-host.sh", summary
        yield check, "commands.py", summary
    if "rust-builtin" in impls:
        yield run_kunit, summary


def names(impls):
    """What T can name."""
    compared = {"bench", "diff"} if IS_BASE and {"c", "rust"} <= set(impls) else set()
    return sorted({*(test.name for test in selftests.find()), *upstream.find(), *compared})


def main():
    """See the documentation of the module."""
    is_check = sys.argv[1:2] == ["--check"]
    which = sys.argv[1 + is_check] if len(sys.argv) > 1 + is_check else "quick"
    name = os.environ.get("T") or None
    impls = tuple(os.environ.get("IMPL", "").split()) or IMPLS
    summary = Summary()
    work = list(plan(which, name, impls, summary.report))
    if not work:
        where = f"CONFIG={vm.CONFIG} IMPL={' '.join(impls)}"
        sys.exit(f"error: no test for {where} is called T={name}; there are, with or without the suffix:\n"
                 f"{textwrap.fill(' '.join(names(impls)), 100)}")
    if is_check:
        return 0
    if not name and which != "upstream":
        work = [*plan_once(impls, summary), *work]  # first: some look into the builds, which another run may change
    vm.RESULTS.mkdir(parents=True, exist_ok=True)
    print(f"logs: {vm.RESULTS}")
    pool = ThreadPoolExecutor(int(os.environ.get("SEG6_JOBS", "3")))
    jobs = [pool.submit(*call) for call in work]
    for job in jobs:
        job.result()
    print(f"{summary.passed} passed, {summary.failed} failed")
    return 0 if summary.passed and not summary.failed else 1


if __name__ == "__main__":
    vm.run(main)
