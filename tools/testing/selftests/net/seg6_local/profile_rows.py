#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does what bench.py does, then prints where the code of modules and BPF programs is, as /proc/kallsyms shows it.

The addresses of this code are known only in the guest, and those of programs only while somebody holds them.
"""

import sys

import bench
from topology import sysctl

MODULES = 0xFFFFFFFFA0000000


def main():
    """See the documentation of the module."""
    sysctl("net/core/bpf_jit_kallsyms", 1)
    status = bench.main()
    with open("/proc/kallsyms", encoding="ascii") as symbols:
        for line in symbols:
            if int(line.split()[0], 16) >= MODULES:
                print(f"= {line.rstrip()}")
    return status


if __name__ == "__main__":
    sys.exit(main())
