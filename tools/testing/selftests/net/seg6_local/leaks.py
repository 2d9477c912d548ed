#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing has leaked since the guest has started: the last program of those that run in it.

The kernel needs CONFIG_DEBUG_KMEMLEAK, as CONFIG=debug has it.
"""

import lib
from topology import Net


def main():
    """Builds the suite and runs it."""
    suite = Net().suite()
    suite.add("kmemleak finds nothing", lib.leaks, "")
    suite.main()


if __name__ == "__main__":
    main()
