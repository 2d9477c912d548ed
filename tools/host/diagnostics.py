#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints what compilers say in the log of a step, with their source lines and carets.

    diagnostics.py errors LOG TREE      errors; without one, what else looks like one, or the end of the log
    diagnostics.py warnings LOG TREE    warnings in files that are ours or that a patch of ours changes

TREE is the patched source, which is /seg6/src in the sandbox. Paths are those of the checkout, for a file of ours, or
of TREE.
"""

import re
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
SHOWN_LINES = 100

# One of rustc ends with an empty line; one of clang goes on with lines that are indented, and notes.
RUSTC = re.compile(r"(?P<kind>warning|error)(?:\[\w+\])?: (?!.*(?:warnings? emitted|aborting due to))")
CLANG = re.compile(r"[^\s:]+:\d+:\d+: (?:fatal )?(?P<kind>warning|error): ")
NOTE = re.compile(r"[^\s:]+:\d+:\d+: note: | (?!  ?[A-Z]+ )")
OTHER = re.compile(r"error|undefined|^E: ", re.IGNORECASE)
PATH = re.compile(r"(?<![\w./-])(?:/seg6/(?:src|repo)/)?[\w./-]+\.(?:c|h|rs)(?=:\d)")
DIRECTORY = re.compile(r"make.*: Entering directory '(?P<path>.*)'$")


def blocks(lines):
    """The diagnostics: kind and lines."""
    kind, block, has_more = None, [], None
    for line in [*lines, ""]:
        if kind and has_more(line):
            block.append(line)
            continue
        if kind:
            yield kind, block
        match = RUSTC.match(line) or CLANG.match(line)
        kind, block = match and match["kind"], [line]
        has_more = bool if RUSTC.match(line) else NOTE.match


class Places:
    """Where the files are that a log names."""

    def __init__(self, lines, tree):
        entered = [match["path"] for match in map(DIRECTORY.match, lines) if match]
        self.tops, self.directory = (REPO, tree), Path(entered[-1] if entered else "/seg6/repo")

    def name(self, path):
        """The name of a file in the source."""
        return re.sub("^/seg6/(src|repo)/", "", str(self.directory / path))

    def home(self, match):
        """The path of a file on this host."""
        found = [str(top / self.name(match[0])) for top in self.tops if (top / self.name(match[0])).is_file()]
        return found[0] if found else match[0]


def main():
    """See the documentation of the module."""
    wanted, log, tree = sys.argv[1].removesuffix("s"), Path(sys.argv[2]), Path(sys.argv[3])
    lines = log.read_text(errors="replace").splitlines()
    manifest = Path(f"{tree}.manifest")
    ours = set(manifest.read_text().split()) if manifest.exists() else set()
    places = Places(lines, tree)
    shown = {}
    for kind, block in blocks(lines):
        names = {places.name(path) for path in PATH.findall("\n".join(block))}
        if kind == wanted and (kind == "error" or names & ours):
            shown[PATH.sub(places.home, "\n".join(block))] = None
    if wanted == "error":
        shown = shown or [line for line in lines if OTHER.search(line)][-20:] or lines[-20:]
    print(*"\n".join(shown).splitlines()[:SHOWN_LINES], sep="\n", end="\n" if shown else "")


if __name__ == "__main__":
    main()
