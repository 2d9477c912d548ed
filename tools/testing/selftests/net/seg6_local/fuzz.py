#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzzing of the running kernel: random packets, programs and netlink messages, the same for the same seed.

Without arguments this is a test of half a minute. `fuzz.py KIND SEED FIRST COUNT [PART]` goes on for longer: KIND is
packets, programs or netlink; FIRST and COUNT choose numbers, of which each is a round that depends on no other; PART,
"first,count", chooses some of the packets of a round. If PART is "guided", packets and scripts that show new coverage
(CONFIG_KCOV) are the start of others, and a round depends on those before. It prints a line before and after each round
for the host, which sees then what the kernel did last. It ends with the first round that fails: packets come out that
no router may send, the kernel does not forward any more, its log tells of a bug, or something cannot be removed; and
with a look for leaks of all rounds, if the kernel has CONFIG_DEBUG_KMEMLEAK. With even seeds nf_hooks_lwtunnel is on.
"""

import collections
import json
import os
import subprocess
import sys
from functools import partial

import lib
from fuzz_netlink import Netlink
from fuzz_packets import Packets
from fuzz_programs import Programs
from topology import sysctl

KINDS = {"packets": Packets, "programs": Programs, "netlink": Netlink}
HOOKS = "net/netfilter/nf_hooks_lwtunnel"
GUIDED = "guided"
ROUNDS = {"packets": 30, "programs": 8, "netlink": 4}


def rounds(kind, seed, numbers, part=None):
    """Runs rounds; yields the number and the counts of each."""
    log = lib.KernelLog()
    if seed % 2 == 0:
        sysctl(HOOKS, 1)
    fuzzer = KINDS[kind](seed)
    fuzzer.serving()
    if part == GUIDED:
        fuzzer.blaster.guide()
    arguments = [tuple(map(int, part.split(",")))] if part not in (None, GUIDED) else []
    for number in numbers:
        print(f"@ begin {number}", flush=True)
        lib.move_packets(100 * (number % 2))
        counts = fuzzer.run(number, *arguments)
        lib.equal([line for line in log.read() if lib.SPLAT.search(line)], [], "the kernel log")
        lib.check(part != GUIDED or number > numbers[0] or counts["edges"], "there is no coverage to be guided by")
        yield number, counts


def main(kind, seed, first, count, part=None):
    """Runs rounds for the host."""
    try:
        for number, counts in rounds(kind, int(seed), range(int(first), int(first) + int(count)), part):
            print(f"@ end {number} {json.dumps(counts)}", flush=True)
        print("@ leaks", flush=True)
        if os.path.exists(lib.KMEMLEAK):
            lib.equal(lib.leaks(), "", "leaks")
    except lib.Failed as failure:
        print(f"@ failed\n{failure}", flush=True)
        sys.exit(1)


def fuzz(kind):
    """A short run, in a process of its own; returns the names of all that it counts.

    Hooks that are on stay on, so an odd seed would not do the same in another guest.
    """
    with open(f"/proc/sys/{HOOKS}", encoding="ascii") as hooks:
        seed = 1 + int(hooks.read())
    work = {"kind": kind, "seed": seed, "first": 0, "count": ROUNDS[kind]}
    total, failing, problem = collections.Counter(), work, []
    with subprocess.Popen((__file__, *map(str, work.values())), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as run:
        for line in run.stdout:
            words = line.split(None, 3)
            if words[:2] == ["@", "begin"]:
                failing = {**work, "first": int(words[2]), "count": 1}
                print(line, end="", flush=True)
            elif words[:2] == ["@", "end"]:
                total.update(json.loads(words[3]))
            elif words[:2] == ["@", "leaks"]:
                failing = work
            else:
                problem.append(line)
    again = json.dumps({"impl": lib.IMPL, "config": os.environ.get("SEG6_CONFIG", "base"), "work": failing})
    lib.check(run.returncode == 0, f"a file with this line is a REPRO of make fuzz: {again}\n{''.join(problem)}")
    print(f"# {kind}: {dict(total)}")
    return sorted(+total)


def suite():
    """A short run of each kind."""
    made = lib.Suite()
    made.add("netlink messages", partial(fuzz, "netlink"), ["accepted", "messages"])
    made.add("packets", partial(fuzz, "packets"), ["SIDs", "received", "refused", "requests", "sent"])
    made.add("programs", partial(fuzz, "programs"), ["programs", "received", "refused", "scripts", "sent", "tested"])
    made.main()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(*sys.argv[1:])
    else:
        suite()
