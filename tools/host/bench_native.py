# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures the time that a packet takes in the C and in the Rust kernel natively, in User Mode Linux.

Both kernels are booted by turns, ROUNDS times, as the host is busy with other things, too, and not always as fast. BPF
programs are interpreted there, and the one that makes the packets is a part of each figure. The configuration has no
sanitizers. Calls of C helpers from Rust are real calls in it: see RUST_INLINE_HELPERS in configs/uml.config.
"""

import json
import shlex
import statistics

import vm  # first, as it finds the modules of the selftests
import bench_rows

CONFIG = "uml-bench"
IMPLS = ("c", "rust-builtin")
ROUNDS = 5
PACKETS = 5000  # in a run


def names(patterns):
    """The rows that match a pattern, of those in a namespace without rules whose next hops fit into a cache."""
    return [row.name for row in bench_rows.chosen(None, patterns, False)
            if not row.scene and row.values <= 64 and "interpreter" not in row.name]


def measure(impl, wanted, say):
    """Boots a kernel; returns the nanoseconds per packet of each run by row, and what went wrong."""
    log = vm.LOGS / f"bench-native-{impl}.log"
    command = shlex.join(["/mnt/host/tools/testing/selftests/net/seg6_local/bench.py", *wanted])
    spent, runs, problems, last = {}, [], [], ""
    with vm.boot(impl, command, log, CONFIG=CONFIG, VM_OUTPUT=str(vm.RUN / "selftests")) as guest:
        for line in guest.stdout:
            last = line.rstrip("\r\n")
            if last.startswith("# ["):
                runs = json.loads(last[2:])
            elif last.startswith("@@ "):
                spent[last.split(None, 3)[3]] = [nanoseconds / PACKETS for nanoseconds in runs]
            elif last != "done":
                problems.append(f"{impl}: {last}")
    if guest.returncode or last != "done":
        problems.append(f"{impl}: status {guest.returncode}, console {log}")
    say(f"natively: {impl}, {len(spent)} rows")
    return spent, problems


def compare(patterns, say):
    """Measures by turns; returns all times of C and of Rust by row, and what went wrong."""
    times, problems, wanted = ({}, {}), [], names(patterns)
    for _ in range(ROUNDS if wanted else 0):
        for found, impl in zip(times, IMPLS):
            spent, wrong = measure(impl, wanted, say)
            problems += wrong
            for name, values in spent.items():
                found.setdefault(name, []).extend(values)
    return *times, problems


def table(c, rust):
    """The rows for people."""
    width = max(len(name) for name in c)
    yield f"{'nanoseconds per packet, natively':{width}} {'C':>8} {'Rust':>8} {'ratio':>6}  of medians"
    for name in (name for name in c if name in rust):
        least, middle = ([function(times[name]) for times in (c, rust)] for function in (min, statistics.median))
        yield f"{name:{width}} {least[0]:8.0f} {least[1]:8.0f} {least[1] / least[0]:6.2f}  {middle[1] / middle[0]:.2f}"
