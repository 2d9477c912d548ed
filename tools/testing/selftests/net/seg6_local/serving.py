#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who serves seg6local in this kernel: a proof for tests that are not ours."""

from topology import Net

if __name__ == "__main__":
    Net().suite().main()
