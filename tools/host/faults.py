#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the selftest faults.py for SEG6_SECONDS in the kernel that IMPL and CONFIG name; prints what it has counted.

With a CONFIG other than base it is faults_memory.py, where allocations of memory fail meanwhile.
"""

import os
import sys

import selftests
import vm

IMPL = os.environ.get("IMPL", "rust")
PROGRAM = "faults.py" if vm.CONFIG == "base" else "faults_memory.py"
SECONDS = int(os.environ["SEG6_SECONDS"])
SPARE = 1200  # for all but the storm itself


def command(names):
    """The command line for the guest."""
    timeout = f"$(({SECONDS} + {SPARE} * SEG6_SLOWNESS))"
    return f"export SEG6_SECONDS={SECONDS} SEG6_TIMEOUT={timeout}; {selftests.guest_command(names)}"


def main():
    """See the documentation of the module."""
    if vm.CONFIG == "uml":
        sys.exit("error: this needs two CPUs and a module, which User Mode Linux does not have: use another CONFIG")
    results = []
    vm.RESULTS.mkdir(parents=True, exist_ok=True)
    selftests.run_guest(IMPL, [PROGRAM], lambda _, result, __: results.append(result), command)
    for line in (vm.RESULTS / f"{IMPL}-{PROGRAM}.log").read_text().splitlines():
        if line.startswith(("#", "not ok")):
            print(line)
    for failure in (failure for result in results for failure in result.failures):
        print(f"FAIL {failure}")
    failed = sum(result.failed for result in results)
    print(f"{sum(result.passed for result in results)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    vm.run(main)
