#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The same as stack.py with sysctl nf_hooks_lwtunnel, which cannot be switched off again: it comes after hooks.py."""

from hooks import KNOB
from stack import run_cases
from topology import sysctl


def main():
    """Switches the hooks on and runs the cases."""
    sysctl(KNOB, 1)
    run_cases("hooks on")


if __name__ == "__main__":
    main()
