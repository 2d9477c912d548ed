# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs blast (blast.c), which sends random packets to a SID and checks what comes out."""

import collections
import os
import re
import socket
import struct
import subprocess

import ebpf
import packet as p
from diff import discard
from diff_net import SOURCE_MAC
from generate_packet import ANYWHERE6, ROUTED6
from lib import Failed, check
from topology import IPV6, MARKER_DST, ROUTER_MAC, command, open_tap, set_tunnel_source

PUSHED_SRC = "fdff:7::1"
FRAME, IP, PATH, LIST = range(4)
SEGMENTING = ("alt0", "ve0")
BUFFER = 1 << 26
COUNT = re.compile(r"(\w+) (\d+)")


class Invalid(Failed):
    """A packet came out that no router may send, or the router does not send any more."""


def checks(program):
    """What is known of the packets that come out of a program."""
    if program.decapsulates():
        return IP
    return PATH if program.encapsulates() else LIST


class Blaster:
    """Prepares a DiffNet for blast and runs it there."""

    def __init__(self, net):
        self.net = net
        set_tunnel_source(PUSHED_SRC)
        for device in SEGMENTING:
            command("ethtool", "-K", device, "tx", "off", "tso", "off")
        net.rx.setsockopt(socket.SOL_SOCKET, 33, BUFFER)  # SO_RCVBUFFORCE
        self.sockets = [net.tx.fileno(), net.tx_paged.fileno(), net.rx.fileno()]
        marker = ROUTER_MAC + SOURCE_MAC + IPV6 + p.ip6(p.NONE, MARKER_DST, bytes(8))
        self.tap, self.kept = open_tap(), []
        self.records = [marker, *map(p.addr, ROUTED6 * 4 + ANYWHERE6)]

    def guide(self):
        """Lets the coverage of the kernel guide the choices from now on."""
        self.kept = [os.memfd_create("kept")]

    def run(self, packets, checks, seed, part, *options, tap=None):
        """Sends packets of the range `part` that are made from `packets`; returns what blast has counted."""
        discard(self.net.rx)
        fds = [*self.sockets, *([tap.fileno()] if tap else [])]
        arguments = [f"-{letter}{fd}" for letter, fd in zip("tvrd", fds)]
        arguments += [f"-k{self.tap}", f"-c{checks}", f"-s{seed}", f"-f{part[0]}", f"-n{part[1]}", *options]
        arguments += [f"-g{fd}" for fd in self.kept]
        fds += [int(option[2:]) for option in options if option[:2] in ("-m", "-l")]
        fds += [self.tap, *self.kept]
        records = b"".join(struct.pack("=I", len(record)) + record for record in [*self.records, *packets])
        done = subprocess.run([ebpf.object_path("blast"), *arguments], input=records, stdout=subprocess.PIPE,
                              pass_fds=fds, check=False)
        output = done.stdout.decode()
        check(done.returncode in (0, 1), f"blast ended with status {done.returncode}: {output}")
        counts = collections.Counter({name: int(number) for name, number in COUNT.findall(output.split("\n")[-2])})
        if done.returncode or counts["invalid"]:
            raise Invalid(output)
        return counts
