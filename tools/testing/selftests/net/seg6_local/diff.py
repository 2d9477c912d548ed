#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Replays the configurations in file $1 on the running kernel and writes what it does to file $2.

tools/host/diff.py makes the first file, with generate.py, and compares the second ones of two kernels. For each
configuration there is an `Outcome`, in pickled form.
"""

import contextlib
import os
import pickle
import signal
import socket
import struct
import sys

import ebpf
import netlink as nl
from diff_net import DiffNet, sid
from generate import DEVICES, PLACES, Outcome
from generate_program import LWT_IN, MAP, MAP_SIZE, PROGRAM
from lib import check
from topology import ETH_P_ALL, packet_socket, sysctl

WATCHDOG_SECONDS = 120


class Player:
    """Sends packets through SIDs."""

    def __init__(self):
        self.net = DiffNet()
        self.rtnl = nl.Rtnl()
        self.rtnl.sock.settimeout(None)
        self.require_hmac, self.hooks, self.tap = 0, False, None
        array, _ = ebpf.bpf(0, "IIII", 2, 4, MAP_SIZE, 1)
        self.map = ebpf.Map(array, MAP_SIZE)
        self.places = {PLACES[name]: self.net.devices[name] for name in DEVICES}
        self.places[PLACES[MAP]] = array
        self.places[PLACES[LWT_IN]] = ebpf.load_program(ebpf.returning(ebpf.OK), ebpf.TYPE_LWT_IN)

    def serving(self):
        """Checks who serves seg6local."""
        self.net.serving()

    def placed(self, data):
        """`data` with the true numbers in place of those of generate.py."""
        for place, number in self.places.items():
            data = data.replace(struct.pack("=I", place), struct.pack("=I", number))
        return data

    def play(self, configuration):
        """Requests a SID and sends its packets."""
        signal.alarm(WATCHDOG_SECONDS)
        with self.installed(configuration) as (errno, text):
            dump, packets = (b"", []) if errno else self.play_packets(configuration)
        return Outcome(configuration.number, errno, text, dump, packets)

    @contextlib.contextmanager
    def installed(self, configuration):
        """A context with the SID of a configuration and its program; the answer to the request may be a refusal."""
        self.prepare(configuration)
        fd = None
        if configuration.program:
            fd = self.places[PLACES[PROGRAM]] = load_program(self.placed(configuration.program.instructions()))
        message = sid(configuration.target.prefix, self.placed(configuration.attributes), self.places[PLACES["dum0"]])
        answer = self.net.rtnl.add(message)
        yield answer
        if not answer[0]:
            check(self.net.rtnl.delete(message)[0] == 0, "the SID cannot be deleted")
        if fd is not None:
            os.close(fd)

    def prepare(self, configuration):
        """Sets what is not a part of the SID."""
        if configuration.require_hmac != self.require_hmac:
            self.require_hmac = configuration.require_hmac
            sysctl("net/ipv6/conf/in0/seg6_require_hmac", self.require_hmac)
        if configuration.hooks and not self.hooks:
            self.hooks = True
            sysctl("net/netfilter/nf_hooks_lwtunnel", 1)
        self.clone(configuration.cloned)

    def clone(self, is_cloned):
        """Sets whether somebody else holds the packets that come in, too."""
        if self.tap and not is_cloned:
            self.tap.close()
            self.tap = None
        if is_cloned:
            self.tap = self.tap or packet_socket("in0", ETH_P_ALL)
            discard(self.tap)

    def play_packets(self, configuration):
        """Sends the packets; returns the dump of the SID before and what became of each."""
        body = nl.route(f"{configuration.target.sid}/128", flags=nl.FIB_MATCH, table=0)
        request = struct.pack("=IHHII", 16 + len(body), nl.RTM_GETROUTE, nl.F_REQUEST, 0, 0) + body
        dump, packets = self.ask(request), []
        for packet, linear in configuration.packets:
            if configuration.program:
                self.map.write(b"")
            self.net.inject(packet, linear)
            seen = self.net.frames()
            packets.append((seen, self.map.read() if configuration.program else b"", self.ask(request)))
        return dump, packets

    def ask(self, request):
        """The answer to a request of a route."""
        self.rtnl.sock.send(request)
        return self.rtnl.sock.recv(4096)


def load_program(code):
    """Loads a program of End.BPF, without the verifier's log, which takes much longer than the rest."""
    fd, _ = ebpf.bpf(ebpf.PROG_LOAD, "IIQQIIQII", ebpf.TYPE_LWT_SEG6LOCAL, len(code) // 8, ebpf.Pointer(code),
                     ebpf.Pointer(b"GPL\0"), 0, 0, 0, 0, 0)
    check(fd >= 0, f"a program is refused: {fd}")
    return fd


def discard(sock):
    """Discards what a socket has received."""
    try:
        while True:
            sock.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass


def load(path):
    """The configurations in a file."""
    with open(path, "rb") as file:
        while file.peek(1):
            yield pickle.load(file)


def main():
    """See the documentation of the module."""
    player = Player()
    player.serving()
    with open(sys.argv[2], "wb") as results:
        for configuration in load(sys.argv[1]):
            pickle.dump(player.play(configuration), results)
            results.flush()
    print("done")


if __name__ == "__main__":
    main()
