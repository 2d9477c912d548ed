# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of the source, and which inlined functions, the instructions at an address are from."""

import json
import os
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

LLVM = os.environ.get("llvm_version", "19")
SOURCE, MODULE = "/seg6/src/", "seg6_local"
MODULES = 0xFFFFFFFFA0000000
SHOWN = 8
UNKNOWN = "?", "?", 0


def of_addresses(build, modules, addresses):
    """The source of each address: function, file, line. `modules` are the addresses of MODULE's symbols."""
    found = symbolized(build / "vmlinux", [address for address in addresses if address < MODULES])
    if modules:
        with_module = [address for address in addresses if address >= MODULES]
        found |= symbolized(linked(next(build.rglob(f"modules/**/{MODULE}.ko")), modules), with_module)
    return found


def linked(module, addresses):
    """The file of a module as it is in the memory of the guest, so that addresses can be looked up."""
    listed = subprocess.run([f"llvm-nm-{LLVM}", module], check=True, capture_output=True, text=True).stdout
    values = [line.split() for line in listed.splitlines() if line[0] != " "]
    bases = Counter(addresses[name] - int(value, 16) for value, kind, name in values
                    if kind in "tT" and name in addresses)
    path = Path("/tmp", module.name)
    subprocess.run([f"ld.lld-{LLVM}", "--noinhibit-exec", "--unresolved-symbols=ignore-all", "--entry=0",
                    f"--image-base={MODULES:#x}", f"-Ttext={bases.most_common(1)[0][0]:#x}", "-o", path, module],
                   check=True, capture_output=True)
    return path


def symbolized(path, addresses):
    """The source of addresses in a linked file."""
    command = [f"llvm-symbolizer-{LLVM}", f"--obj={path}", "--output-style=JSON"]
    shown = subprocess.run(command, input="\n".join(map(hex, addresses)), check=True, capture_output=True, text=True)
    return {address: innermost(json.loads(line).get("Symbol") or [])
            for address, line in zip(addresses, shown.stdout.splitlines())}


def innermost(frames):
    """The innermost of inlined functions that is in the kernel's source, not in Rust's library."""
    for frame in frames:
        if frame["FileName"].startswith(SOURCE):
            return frame["FunctionName"], frame["FileName"].removeprefix(SOURCE), frame["Line"]
    return UNKNOWN


def by_function(counts, sources):
    """The inlined functions with the most instructions: (number, function, file, [(line, number)])."""
    lines = defaultdict(Counter)
    for address, count in counts.items():
        function, place, line = sources.get(address, UNKNOWN)
        lines[function, place][line] += count
    for (function, place), counted in sorted(lines.items(), key=lambda item: -item[1].total()):
        yield counted.total(), function, place, counted.most_common(SHOWN)
