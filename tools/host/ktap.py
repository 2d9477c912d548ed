# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the results of test programs: TAP, and KTAP as KUnit writes it."""

import re
from dataclasses import dataclass, field

LINE = re.compile(r"(?P<indent> *)(?P<no>not )?ok (?P<number>\d+)[ -]*(?P<name>[^#]*)(?:# *(?P<directive>\w+)(?P<why>.*))?")
PLAN = re.compile(r"(?P<indent> *)1\.\.(?P<count>\d+)\s*(?P<skip># *SKIP.*)?$")
SUBTEST = re.compile(r" *# Subtest: (?P<name>\S+)")


@dataclass
class Result:
    """Outcome of one program or suite."""

    name: str
    passed: int = 0
    failures: list = field(default_factory=list)
    expected: list = field(default_factory=list)  # XFAIL: counted in passed

    @property
    def failed(self):
        """Number of failures."""
        return len(self.failures)

    def add(self, match, why=()):
        """Counts one result line. A skipped test is a failure: everything that the tests need is there.

        `why`: the lines of diagnostics before it.
        """
        name = match["name"].strip() or f"test {match['number']}"
        directive = (match["directive"] or "").upper()
        if directive == "XFAIL":
            self.passed += 1
            self.expected.append(f"{name}:{match['why']}")
        elif directive == "SKIP":
            self.failures.append(f"{name}: skipped{match['why']}")
        elif match["no"]:
            self.failures.append("\n         ".join([name, *(line[:1000] for line in why[:12])]))
        else:
            self.passed += 1


def parse_program(name, output, status):
    """Result of a program that prints TAP at the left margin and ends with that status."""
    result = Result(name)
    planned = None
    why = []
    for line in output.splitlines():
        if match := LINE.match(line):
            if not match["indent"]:
                result.add(match, why)
                why = []
        elif line.startswith("# "):
            why.append(line)
        elif (match := PLAN.match(line)) and not match["indent"]:
            planned = int(match["count"])
    count = result.passed + result.failed
    if planned is None:
        result.failures.append("it printed no plan")
    elif planned != count or not count:
        result.failures.append(f"it planned {planned} tests and reported {count}")
    elif status and not result.failures:
        result.failures.append(f"it ended with status {status}")
    return result


def parse_suites(output, wanted):
    """Results of the KUnit suites whose names match; a case is a line indented by one level."""
    results = []
    current = None
    for line in output.splitlines():
        if match := SUBTEST.match(line):
            if line.startswith("    #"):
                current = Result(match["name"]) if wanted.match(match["name"]) else None
                if current:
                    results.append(current)
        elif (match := LINE.match(line)) and current:
            if match["indent"] == "    ":
                current.add(match)
            elif not match["indent"]:
                current = None
    return results
