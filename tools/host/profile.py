#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints where the instructions of a packet go, by function, in the C and in the Rust kernel side by side.

    profile.py RESULTS BUILDS PATTERN...     only the rows whose names match

Both directories have a folder for each kernel. That of the results has what profile.sh has made: System.map, what
bench.py has printed in the guest (output), and what the plugin has counted while BPF_PROG_TEST_RUN ran, which made the
packets (counts); the other one is where the kernel was built.

The figures are instructions per packet and their sum is the figure of `make bench`: the mean of the same runs. What
the guest executed outside of the system call is in the figure too, and shown as OUTSIDE. In the environment, RST asks
for tables of the documentation, in which functions that cost the same have one line, and INLINE for the lines of the
source that are in the functions of only one kernel.
"""

import bisect
import fnmatch
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import chain, islice, zip_longest
from pathlib import Path

import profile_lines

KINDS = "c", "rust"
SPENT = re.compile(r"# \[(.*)\]")
FIGURE = re.compile(r"@@ (?P<instructions>[0-9.]+) \S+ (?P<name>.+)")
SYMBOL = re.compile(r"(?:= )?([0-9a-f]{16}) [tTwW] (\S+)(?:\s+\[(\w+)\])?")
PROGRAM = re.compile(r"bpf_prog_[0-9a-f]{16}_(\w+)")
OUTSIDE = "(outside of the system call)"
LEAST = 0.5
NOTHING = "", None


def demangled(names):
    """Readable names of symbols."""
    shown = subprocess.run([f"llvm-cxxfilt-{profile_lines.LLVM}"], input="\n".join(names), check=True,
                           capture_output=True, text=True).stdout
    return dict(zip(names, map(shortened, shown.splitlines())))


def shortened(name):
    """The type or module of a function and its name, without generic parameters; a program without its tag."""
    if match := PROGRAM.fullmatch(name):
        return f"{match[1]} (BPF)"
    if name.startswith("<"):  # <type as trait>::function
        inner, rest = split_brackets(name)
        name = inner.split(" as ")[0].lstrip("&").removeprefix("mut ") + rest
    while "<" in name:
        start = name.index("<")
        name = name[:start].removesuffix("::") + split_brackets(name[start:])[1]
    return "::".join(re.sub(r"\{(\w+)#\d+\}", r"\1", name).split("::")[-2:])


def split_brackets(name):
    """What is in the brackets that a name begins with, and what follows them."""
    depth = 0
    for index, letter in enumerate(name):
        depth += (letter == "<") - (letter == ">" and name[index - 1] != "-")
        if depth == 0:
            return name[1:index], name[index + 1:]
    return name[1:], ""


class Kernel:
    """The rows of one kernel: for each name the instructions per packet, of each address and of each function."""

    def __init__(self, results, build):
        self.build = build
        lines = (results / "output").read_text(encoding="utf-8", errors="replace").splitlines()
        self.read_symbols([*(results / "System.map").read_text(encoding="utf-8").splitlines(), *lines])
        self.addresses, self.functions = {}, {}
        rows, windows = [*rows_of(lines)], windows_of(results / "counts")
        for name, figure, spent in rows:
            _, *runs = islice(windows, 1 + len(spent))  # the first one is to warm up
            counts = self.addresses[name] = mean(figure, spent, runs)
            functions = self.functions[name] = Counter()
            for address, count in counts.items():
                functions[self.name(address)] += count
            functions[OUTSIDE] = figure - functions.total()

    def read_symbols(self, lines):
        """Learns where functions begin."""
        found, self.module = {}, {}
        for line in lines:
            if match := SYMBOL.fullmatch(line):
                address, symbol = int(match[1], 16), match[2]
                found.setdefault(address, symbol)
                if match[3] == profile_lines.MODULE:
                    self.module[symbol] = address
        names = demangled(sorted({*found.values()}))
        self.starts = sorted(found)
        self.names = [names[found[address]] for address in self.starts]

    def name(self, address):
        """The name of the function that an address is in."""
        return self.names[bisect.bisect_right(self.starts, address) - 1]

    def sources(self, row, functions):
        """What is inlined into functions that a row executes: (function, what profile_lines.by_function() says)."""
        inside = defaultdict(dict)
        for address, count in self.addresses[row].items():
            inside[self.name(address)][address] = count
        found = profile_lines.of_addresses(self.build, self.module, [*chain(*map(inside.get, functions))])
        for function in functions:
            yield function, profile_lines.by_function(inside[function], found)


def mean(figure, spent, runs):
    """Instructions per packet of each address, of the runs that the figure is the mean of."""
    order = sorted(range(len(spent)), key=spent.__getitem__)[1:-1]
    spent_in_all = sum(spent[index] for index in order)
    total = Counter()
    for index in order:
        seen = sum(runs[index].values())
        if not 0.98 < seen / spent[index] <= 1.001:
            sys.exit(f"error: {seen} instructions were seen of {spent[index]}")
        total.update(runs[index])
    return Counter({address: count * figure / spent_in_all for address, count in total.items()})


def rows_of(lines):
    """Name, instructions per packet, and instructions of each run."""
    spent = []
    for line in lines:
        if match := SPENT.fullmatch(line):
            spent = [int(number) for number in match[1].split(",")]
        elif match := FIGURE.fullmatch(line):
            yield match["name"], float(match["instructions"]), spent


def windows_of(path):
    """How often each address was executed, in each run."""
    window = None
    with path.open(encoding="ascii") as lines:
        for line in lines:
            if line == "window\n":
                if window is not None:
                    yield window
                window = {}
            else:
                address, count = line.split()
                window[int(address, 16)] = int(count)
    yield window


def alone(mine, other):
    """The functions of only one kernel, the largest first."""
    return [(name, count) for name, count in mine.most_common() if name not in other and count >= LEAST]


def parts(c, rust):
    """The functions of only one kernel side by side, then those of both, which differ or not: lists of two cells."""
    common = sorted({*c} & {*rust}, key=lambda name: -max(c[name], rust[name]))
    common = [name for name in common if max(c[name], rust[name]) >= LEAST]
    differ = [name for name in common if abs(c[name] - rust[name]) >= LEAST]
    yield [*zip_longest(alone(c, rust), alone(rust, c), fillvalue=NOTHING)]
    yield [((name, c[name]), (name, rust[name])) for name in differ]
    yield [((name, c[name]), (name, rust[name])) for name in common if name not in differ]


def sums(rows, c, rust):
    """What is not in the rows, and the sum of all."""
    others = [total - sum(row[side][1] or 0 for row in rows) for side, total in enumerate((c.total(), rust.total()))]
    return [tuple((title, count) for count in counts)
            for title, counts in (("(less than one each)", others), ("sum", (c.total(), rust.total())))]


def number(count, digits):
    """A figure, or nothing."""
    return "" if count is None else f"{count:.{digits}f}"


def text(title, c, rust):
    """A table for a terminal."""
    blocks = [*parts(c, rust)]
    blocks.append(sums([*chain(*blocks)], c, rust))
    yield f"{title + ': C':50} {'':>7}   Rust"
    for block in blocks:
        for (left, of_c), (right, of_rust) in block:
            yield f"{left[:50]:50} {number(of_c, 1):>7}   {right[:50]:50} {number(of_rust, 1):>7}".rstrip()
        yield ""


def rst(title, c, rust):
    """A table for the documentation."""
    apart, differ, same = parts(c, rust)
    rows = [(literal(left) or "\\", number(of_c, 0), literal(right), number(of_rust, 0))
            for (left, of_c), (right, of_rust) in apart + differ]
    in_both = [((f"{len(same)} others, equal in both", sum(row[side][1] for row in same)) for side in (0, 1))]
    rows += [(left, number(of_c, 0), right, number(of_rust, 0))
             for (left, of_c), (right, of_rust) in chain(in_both, sums([*apart, *differ, *same], c, rust))]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = "  ".join("=" * width for width in widths)
    yield from (f".. table:: {title}: instructions per packet", "")
    for row in (rule, ("C", "", "Rust", ""), rule, *rows, rule):
        yield "   " + (row if row == rule else "  ".join(map(str.ljust, row, widths)).rstrip())
    yield ""


def literal(name):
    """The name of a function, or nothing."""
    return f"``{name}``" if name else ""


def inlined(kernel, title, row, functions):
    """The source of the instructions in some functions."""
    for function, found in kernel.sources(row, functions):
        yield f"{row}, {title}: {kernel.functions[row][function]:.1f} {function}"
        for count, name, place, lines in found:
            if count >= LEAST:
                shown = ", ".join(f"{line or '?'}: {number:.0f}" for line, number in lines)
                yield f"{count:8.1f} {shortened(name):34} {place} {shown}"
    yield ""


def report(row, c, rust):
    """What is said of a row."""
    pair = c.functions[row], rust.functions[row]
    yield from (rst if os.environ.get("RST") else text)(row, *pair)
    if os.environ.get("INLINE"):
        yield from inlined(c, "C", row, [name for name, _ in alone(*pair)])
        yield from inlined(rust, "Rust", row, [name for name, _ in alone(*pair[::-1])])


def main():
    """See the documentation of the module."""
    results, builds, *patterns = sys.argv[1:]
    c, rust = (Kernel(Path(results, kind), Path(builds, kind)) for kind in KINDS)
    rows = [row for row in c.functions if any(fnmatch.fnmatchcase(row, pattern) for pattern in patterns)]
    if not rows:
        sys.exit("error: no row has this name")
    for row in rows:
        print("\n".join(report(row, c, rust)))


if __name__ == "__main__":
    main()
