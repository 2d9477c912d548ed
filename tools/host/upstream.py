# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs upstream's selftests of seg6local, as they are in the kernel tree, in guests."""

import os
import re
from dataclasses import dataclass

import ktap
import selftests

SERVING = "serving.py"  # one of ours: proves who serves seg6local
SCRIPTS_AT = "/seg6/selftests/net"
IP_AT = "$SEG6_OUTPUT/clients/iproute2-sid"  # the toolchain root's lacks a keyword of 7.3
GUESTS = 2

# A line per check; some scripts print no outcome with it and only exit with one.
CHECK = re.compile(r" *TEST: (?P<name>.+?) *(?:\[ *(?P<word>\w+) *\])?$|(?P<first>PASS|FAIL|SKIP): (?P<text>.+)$")


@dataclass
class Script:
    """A script of tools/testing/selftests/net: whether `make test` runs it, and the first series that has it."""

    name: str
    quick: bool = False
    since: str = "7.2"


SCRIPTS = (
    Script("srv6_end_dt4_l3vpn_test.sh"),
    Script("srv6_end_dt6_l3vpn_test.sh"),
    Script("srv6_end_dt46_l3vpn_test.sh", quick=True),
    Script("srv6_end_dx4_netfilter_test.sh", quick=True),
    Script("srv6_end_dx6_netfilter_test.sh", quick=True),
    Script("srv6_end_flavors_test.sh", quick=True),
    Script("srv6_end_next_csid_l3vpn_test.sh"),
    Script("srv6_end_x_next_csid_l3vpn_test.sh"),
    Script("srv6_hl2encap_red_l2vpn_test.sh", quick=True),
    Script("srv6_hencap_red_l3vpn_test.sh"),
    Script("srv6_encap_lookup_l3vpn_test.sh", since="7.3"),
    Script("srv6_iptunnel_cache.sh", quick=True),
    Script("lwt_dst_cache_ref_loop.sh"),
)


def find(name=None, quick=False):
    """The scripts of the kernel's series, all or the quick ones, or that of the name (with or without its suffix)."""
    series = os.environ.get("KERNEL_SERIES")
    scripts = [script for script in SCRIPTS if not series or script.since <= series]
    return [script.name for script in scripts
            if (script.quick or not quick if name is None else name in (script.name, script.name[:-3]))]


def guests(scripts):
    """The scripts, divided among guests."""
    return [part for part in (scripts[index::GUESTS] for index in range(GUESTS)) if part]


def run(impl, scripts, report):
    """Runs scripts in a guest of one kernel; report(impl, result, seconds) is called after each."""
    pending = [*scripts, SERVING]
    while pending:
        pending = selftests.run_guest(impl, pending, report, guest_command, parse)


def guest_command(names):
    """The command line that runs the named scripts in a guest, and before them the proof if it is named."""
    scripts = [name for name in names if name != SERVING]
    proof = selftests.guest_command(names[len(scripts):])
    return f"{proof}; PATH={IP_AT}:$PATH {selftests.guest_command(scripts, SCRIPTS_AT)}"


def parse(name, output, status):
    """Result of a script that ended with that status. A check that was skipped is a failure."""
    if name == SERVING:
        return ktap.parse_program(name, output, status)
    result = ktap.Result(name)
    for match in filter(None, map(CHECK.match, output.splitlines())):
        word = match["word"] or match["first"] or "OK"
        if word in ("OK", "PASS"):
            result.passed += 1
        else:
            result.failures.append(f"{match['name'] or match['text']}: {word}")
    if not result.passed + result.failed:
        result.failures.append("it printed no check")
    if status and not result.failures:
        result.failures.append(f"it ended with status {status}")
    return result
