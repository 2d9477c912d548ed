#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts the instructions that the kernel executes for a packet, in a guest whose clock counts them (`make bench`).

Prints "@@ instructions merged name" for each row of bench_rows.py that matches a pattern of the command line (default:
all), with --short only of the short ones; `merged` is how many packets came out as one. A row fails unless all packets
come out, as large as they should be.

In such a guest each instruction takes a nanosecond, and each iteration of a `rep` string instruction counts as one.
A figure is the mean of several runs of one system call that makes packets and passes them to the network stack,
without the smallest and the largest; it has all that this call executes, the program that makes the packets included.
"""

import gc
import statistics
import sys
import time

import bench_rows
import lib
import netlink as nl
from bench_scene import SEGMENT, Scene, Source, spread_neighbors

COUNT = 5000


def measure(scene, source, row):
    """Instructions for a packet, and how many packets come out as one."""
    if row.tcp:
        send = source.segments(scene, row.packet, row.tcp, COUNT)
    else:
        send = source.packets(scene, row.packet, row.changes, row.values, COUNT)
    lib.equal(send(), 0, "BPF_PROG_TEST_RUN to warm up")
    before = scene.sent()
    spent = []
    for _ in range(row.runs):
        begin = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        result = send()
        spent.append(time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - begin)
        lib.equal(result, 0, "BPF_PROG_TEST_RUN")
    packets, size = (now - then for now, then in zip(scene.sent(), before))
    lib.equal((packets, size), left(row, packets), "packets that were forwarded, and their bytes")
    return statistics.mean(sorted(spent)[1:-1]) / COUNT, row.runs * COUNT / packets, spent


def left(row, packets):
    """How many packets have to leave, and their bytes. Merged ones have one header, and all have an Ethernet header."""
    total, size = row.runs * COUNT, 14 + len(row.packet) + row.grows
    if row.tcp:
        return packets, packets * (size - SEGMENT) + total * SEGMENT
    return total, total * size


def with_routes(scene, messages, run, *arguments):
    """What a function returns while routes are installed."""
    for message in messages:
        lib.equal(scene.rtnl.add(message), (0, None), "adding a route")
    try:
        return run(*arguments)
    finally:
        for message in messages:
            scene.rtnl.delete(message)


def main():
    """See the documentation of the module."""
    short = "--short" in sys.argv
    source, failed = Source(), False
    spread_neighbors()
    scenes, entered = {"": Scene("")}, None
    with_routes(scenes[""], bench_rows.action(nl.END)(scenes[""]), lib.served_by)
    gc.disable()
    for row in bench_rows.chosen(source, [word for word in sys.argv[1:] if word != "--short"] or ["*"], short):
        try:
            scene = scenes.get(row.scene) or scenes.setdefault(row.scene, Scene(row.scene))
            if scene is not entered:
                scene.enter()
            entered = scene
            instructions, merged, spent = with_routes(scene, row.routes(scene), measure, scene, source, row)
            print(f"# {spent}\n@@ {instructions:.2f} {merged:.2f} {row.name}", flush=True)
        except lib.Failed as failure:
            failed = True
            print(f"error: {row.name}: {failure}", flush=True)
    print("failed" if failed else "done")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
