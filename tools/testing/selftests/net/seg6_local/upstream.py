#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstream's program tools/testing/selftests/bpf/progs/test_lwt_seg6local.c in the topology of upstream's test.

Six namespaces in a row. The second puts UDP to fb00::6 into an SRH with the segments fd00::1 to fd00::4; the next three
run End.BPF programs, each of which checks what the one before did and changes the SRH; the last one decapsulates.
The Makefile compiles the program from the kernel tree. The test passes if the datagram arrives.

    1 lo fb00::1   veth1 - veth2   2   veth3 - veth4   3   veth5 - veth6   4 lo fc42::1
                   veth7 - veth8   5   veth9 - veth10  6 lo fb00::6, fd00::4
"""

import os
import socket

import ebpf
import lib
from topology import Net, command, enter, ip_batch, new_namespace, sysctl

OBJECT = "test_lwt_seg6local.bpf.o"
NUMBERS = range(1, 7)
SERVER_PORT, CLIENT_PORT = 7330, 2121
DATA = b"foobar\0"


def commands(number, path):
    """The configuration of namespace `number`, once its devices are there."""
    program = f"endpoint obj {path} sec"
    return {
        1: "addr add fb00::1/16 dev lo\n"
           "route add fb00::6 dev veth1 via fb00::21\n",
        2: f"route add fb00::6 encap bpf in obj {path} sec encap_srh dev veth2\n"
           "route add fd00::1 dev veth3 via fb00::43 scope link\n",
        3: "route add fc42::1 dev veth5 via fb00::65\n"
           f"route add fd00::1 encap seg6local action End.BPF {program} add_egr_x dev veth4\n",
        4: f"route add fd00::2 encap seg6local action End.BPF {program} pop_egr dev veth6\n"
           "addr add fc42::1 dev lo\n"
           "route add fd00::3 dev veth7 via fb00::87\n",
        5: "route add fb00::109 table 117 dev veth9 scope link\n"
           "route add fd00::4 table 117 dev veth9 via fb00::109\n"
           f"route add fd00::3 encap seg6local action End.BPF {program} inspect_t dev veth8\n",
        6: "addr add fb00::6/16 dev lo\n"
           "addr add fd00::4/16 dev lo\n",
    }[number]


class Upstream:
    """The six namespaces."""

    def __init__(self):
        self.namespaces = {number: new_namespace() for number in NUMBERS}
        for number in NUMBERS:
            enter(self.namespaces[number])
            for knob in ("all", "default"):
                sysctl(f"net/ipv6/conf/{knob}/accept_dad", 0)
        for left in NUMBERS[:-1]:
            near, far = 2 * left - 1, 2 * left
            enter(self.namespaces[left])
            ip_batch(f"link add veth{near} type veth peer name veth{far} netns {self.path(left + 1)}\n")
        path = ebpf.object_path(OBJECT)
        for number in NUMBERS:
            enter(self.namespaces[number])
            if number < 6:
                sysctl("net/ipv6/conf/all/forwarding", 1)
            ip_batch("link set lo up\n" + self.addresses(number) + commands(number, path))
        for device in ("all", "lo", "veth10"):
            sysctl(f"net/ipv6/conf/{device}/seg6_enabled", 1)

    def path(self, number):
        """A path to a namespace for iproute2."""
        return f"/proc/{os.getpid()}/fd/{self.namespaces[number]}"

    @staticmethod
    def addresses(number):
        """Starts the devices of a namespace; their addresses are made of the numbers of both ends of the link."""
        links = [(2 * number - 2, 2 * number - 3)] * (number > 1) + [(2 * number - 1, 2 * number)] * (number < 6)
        return "".join(f"link set veth{device} up\n"
                       f"addr add fb00::{device}{peer}/16 dev veth{device} scope link nodad\n"
                       for device, peer in links)

    def udp(self, number, address, port):
        """A UDP socket in a namespace."""
        enter(self.namespaces[number])
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.bind((address, port))
        sock.settimeout(30)
        return sock

    def delivered(self):
        """What arrives of a datagram from the first namespace to the last, and from where."""
        server, client = self.udp(6, "fb00::6", SERVER_PORT), self.udp(1, "fb00::1", CLIENT_PORT)
        client.sendto(DATA, ("fb00::6", SERVER_PORT))
        data, source = server.recvfrom(100)
        return data, source[:2]

    def programs(self):
        """What iproute2 shows of the three SIDs."""
        shown = []
        for number, sid in ((3, "fd00::1"), (4, "fd00::2"), (5, "fd00::3")):
            enter(self.namespaces[number])
            text = command("ip", "-6", "route", "show", sid)
            shown.append(text.split()[:5] + [text.split()[6].split(":")[-1].strip("[]")])
        return shown


def main():
    """Builds the suite and runs it."""
    net = Net()
    suite = lib.Suite()
    suite.add("who serves the route", net.serving)
    upstream = Upstream()
    suite.add("the SIDs run upstream's programs", upstream.programs,
              [[sid, "encap", "seg6local", "action", "End.BPF", section] for sid, section in
               (("fd00::1", "add_egr_x"), ("fd00::2", "pop_egr"), ("fd00::3", "inspect_t"))])
    for count in ("first", "second"):
        suite.add(f"the {count} datagram arrives", upstream.delivered, (DATA, ("fb00::1", CLIENT_PORT)))
    suite.main()


if __name__ == "__main__":
    main()
