#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts the instructions that a packet costs in the C and in the Rust kernel, and compares them.

Input, from the environment:

  ROW     only the rows whose names match this pattern, and the rows of plain forwarding that they are compared with
  JSON    not empty: prints {"rows": [{"name", "c", "rust", "ratio", "above"}]} and nothing else
  CHART   path of an SVG file that gets a chart of the ratios
  ACCEPT  not empty: only the short rows, whose ratios become those that `make test` accepts
  NATIVE  not empty: prints a second table, of times: see bench_native.py

The figures are instructions per packet, `ratio` is Rust divided by C, and `above` is what Rust executes more than to
forward packets with as many destinations, in the same kind of namespace, without a SID. Both kernels run in QEMU, which
counts their instructions; iterations of a `rep` string instruction count one by one. The kernels are built already.
The exit status is 1 if a row fails.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import vm  # first, as it finds the modules of the selftests
import bench_native
import bench_rows
import ktap

IMPLS = ("c", "rust")
ACCEPTED = vm.TOOLS / "bench-accepted.json"
TOLERANCE = 1.01
PROGRAM = "/mnt/host/tools/testing/selftests/net/seg6_local/bench.py"
FIGURE = re.compile(r"@@ (?P<instructions>[0-9.]+) (?P<merged>[0-9.]+) (?P<name>.+)")


def note(text):
    """Shows progress."""
    print(text, file=sys.stderr, flush=True)


class Kernel:
    """What was measured in one kernel: instructions per packet, how many packets were one, and what went wrong."""

    def __init__(self, impl, arguments, say):
        self.instructions, self.merged, self.problems = {}, {}, []
        log, last = vm.LOGS / f"bench-{impl}.log", ""
        with vm.boot(impl, " ".join([PROGRAM, *arguments]), log, ICOUNT="1",
                     VM_OUTPUT=str(vm.RUN / "selftests")) as guest:
            for line in guest.stdout:
                last = line.rstrip("\r\n")
                if match := FIGURE.fullmatch(last):
                    self.instructions[match["name"]] = float(match["instructions"])
                    self.merged[match["name"]] = float(match["merged"])
                    say(f"{impl:4} {match['instructions']:>9} {match['name']}")
                elif not last.startswith("#") and last != "done":
                    self.problems.append(f"{impl}: {last}")
        if guest.returncode or last != "done":
            self.problems.append(f"{impl}: status {guest.returncode}, console {log}")
        if impl != "c":
            self.problems += vm.splats(vm.console(log))


def compare(arguments, say=note):
    """Measures in both kernels at once; returns them, and the rows that both have as dictionaries."""
    with ThreadPoolExecutor(len(IMPLS)) as pool:
        kernels = [*pool.map(lambda impl: Kernel(impl, arguments, say), IMPLS)]
    c, rust = (kernel.instructions for kernel in kernels)
    above = {row.name: row.above for row in bench_rows.rows(None)}
    rows = [{"name": name, "c": round(c[name], 1), "rust": round(rust[name], 1),
             "ratio": round(rust[name] / c[name], 4), "above": round(rust[name] - rust[above[name]], 1)}
            for name in c if name in rust and above[name] in rust]
    return kernels, rows


def problems_of(kernels):
    """All that went wrong."""
    found = [problem for kernel in kernels for problem in kernel.problems]
    merged = [kernel.merged for kernel in kernels]
    return found or ([] if merged[0] == merged[1] else [f"C and Rust get packets merged differently: {merged}"])


def table(kernels, rows):
    """The rows for people."""
    width = max(len(row["name"]) for row in rows)
    yield f"{'instructions per packet':{width}} {'C':>8} {'Rust':>8} {'ratio':>6} {'above':>7}"
    for row in rows:
        yield f"{row['name']:{width}} {row['c']:8.0f} {row['rust']:8.0f} {row['ratio']:6.3f} {row['above']:7.0f}"
    for name, merged in kernels[0].merged.items():
        if merged > 1:
            yield f"{name}: {merged:.1f} packets pass as one"


def write_chart(rows, path):
    """Draws a chart of the main rows, if there are any, in the toolchain root, which has the library."""
    main_names = {row.name for row in bench_rows.one_scene(None)}
    shown = [row for row in rows if row["name"] in main_names] or rows
    drawn = subprocess.run([vm.TOOLS / "bench-chart.sh"], input=json.dumps(shown), text=True, check=True,
                           stdout=subprocess.PIPE).stdout
    Path(path).write_text(drawn)


def accept(rows):
    """Writes the ratios that `make test` accepts."""
    ACCEPTED.write_text(json.dumps({row["name"]: row["ratio"] for row in rows}, indent=1) + "\n")


def regressions(rows, accepted):
    """What is wrong with the ratios."""
    for row in rows:
        if row["name"] not in accepted:
            yield f"{row['name']}: no ratio is accepted: make bench ACCEPT=1"
        elif row["ratio"] > accepted[row["name"]] * TOLERANCE:
            yield f"{row['name']}: Rust / C = {row['ratio']}, accepted is {accepted[row['name']]}"
    for name in sorted(set(accepted) - {row["name"] for row in rows}):
        yield f"{name}: not measured"


def check(report):
    """The short rows as a test: report(kernels, result, seconds) gets its result."""
    start = time.monotonic()
    kernels, rows = compare(["--short"], lambda _: None)
    worse = [*regressions(rows, json.loads(ACCEPTED.read_text()))]
    result = ktap.Result("bench.py", max(0, len(rows) - len(worse)), [*worse, *problems_of(kernels)])
    report("c and rust", result, round(time.monotonic() - start))


def print_native(pattern):
    """Prints the table of times; returns what went wrong."""
    c, rust, problems = bench_native.compare([pattern], note)
    for problem in problems:
        note(f"error: {problem}")
    if c:
        print("\n".join(["", *bench_native.table(c, rust)]))
    return problems


def main():
    """See the documentation of the module."""
    accepts, path = os.environ.get("ACCEPT"), os.environ.get("CHART")
    kernels, rows = compare(["--short"] if accepts else [shlex.quote(os.environ.get("ROW") or "*")])
    problems = problems_of(kernels) or ([] if rows else ["no row has this name"])
    for problem in problems:
        note(f"error: {problem}")
    if rows:
        print(json.dumps({"rows": rows}, indent=1) if os.environ.get("JSON") else "\n".join(table(kernels, rows)))
    if os.environ.get("NATIVE") and rows:
        problems += print_native(os.environ.get("ROW") or "*")
    if problems or not rows:
        return 1
    if accepts:
        accept(rows)
    if path:
        write_chart(rows, path)
    return 0


if __name__ == "__main__":
    vm.run(main)
