#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots IMPL=rust-builtin with KUnit enabled and reports our suites and the Rust doctests."""

import os
import re

import ktap
import vm

OURS = re.compile(r"rust_|seg6_?local|seg6_")
# What upstream's own tests print under the checkers: those of timers, which are on the stack without the checker of
# objects being told, and of spinlocks with interrupts off, which sleep under PREEMPT_RT.
UPSTREAM = re.compile(r"# (?:Subtest: )?(rust_doctest_kernel_time_hrtimer_rs_\d+|rust_spinlock_irq_condvar"
                      r"|rust_doctest_kernel_sync_lock_spinlock_rs_\d+)\b.*?\bok \d+ \1$", re.DOTALL | re.MULTILINE)
COMMAND = "cat /sys/kernel/debug/kunit/*/results"
# Safe functions are safe where there is no IPv6, too.
KERNELS = ("kunit", ""), ("kunit-no-ipv6", "ipv6.disable=1 kunit.filter_glob=rust_doctests_kernel")


def run():
    """Results of all suites of ours, and of the doctests without IPv6."""
    return [result for name, parameters in KERNELS for result in run_guest(name, parameters)]


def run_guest(name, parameters):
    """Results of the suites that a kernel with these parameters runs; a kernel that dies is a failed suite."""
    log = vm.LOGS / f"{name}-console.log"
    with vm.boot("rust-builtin", COMMAND, log, VM_APPEND=f"kunit.enable=1 {parameters}", VM_TIMEOUT="600") as guest:
        output = guest.communicate()[0]
    (vm.LOGS / f"{name}.log").write_text(output)
    results = ktap.parse_suites(output, OURS)
    for result in results:
        result.name = f"{name}: {result.name}"
    if guest.returncode or not results:
        results.append(ktap.Result(name, failures=[f"the guest ended with status {guest.returncode}: see {log}"]))
    if splats := vm.splats(UPSTREAM.sub("", vm.console(log))):
        results.append(ktap.Result(f"{name} console", failures=splats))
    return results


def main():
    """Prints a line per suite and the sum."""
    results = run()
    for result in results:
        print(f"{result.name}: {result.passed} passed, {result.failed} failed")
        for failure in result.failures:
            print(f"    not ok {failure}")
    failed = sum(result.failed for result in results)
    print(f"{sum(result.passed for result in results)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("CONFIG", "base")
    vm.run(main)
