#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP connections through SRv6, whose packets the stack cuts into segments at the end of the path, or on it (B45).

    node 0        node 1        node 2        node 3        node 4
    client        router        router        router        server
      right <--> left right <-> left right <-> left right <-> left
         fd00::1    fd00::2
                        fd01::1    fd01::2      ...        fd03::2

Link n is fdNN::/64, and the SIDs of node n are fcff:n::/32. C drops packets that are still to be cut if an SRH is in
front of TCP.
"""

import contextlib
import os
import socket
import threading
import time
from functools import partial

import lib
from topology import command, enter, ip, ip_batch, new_namespace, sysctl, wait_until_up

NODES, PORT = 5, 4000
SERVER = "fd03::2"
MTU, CLIENT_MTU, SEGMENT = 3000, 1400, 1600  # the last: more than a packet of one segment
DATA = bytes(range(251)) * 800
SECONDS = 60
LOST = "lost"
TX_DROPPED = 11
NO_OFFLOAD = "tx", "off", "tso", "off"
WITH_OFFLOAD = "tx", "on", "tso", "on"
LINK = """
link add right mtu {mtu} type veth peer name left mtu {mtu} netns {neighbor}
link set right up
addr add fd{number:02}::1/64 dev right nodad
"""


class Chain:
    """The nodes in a row."""

    def __init__(self):
        os.sched_setaffinity(0, {0})
        self.nodes = [new_namespace() for _ in range(NODES)]
        for node in self.nodes:
            enter(node)
            for knob, value in (("all/forwarding", 1), ("all/accept_dad", 0), ("default/accept_dad", 0),
                                ("all/seg6_enabled", 1), ("default/seg6_enabled", 1)):
                sysctl("net/ipv6/conf/" + knob, value)
        for number, node in enumerate(self.nodes[:-1]):
            enter(node)
            ip_batch(LINK.format(number=number, mtu=MTU if number else CLIENT_MTU,
                                 neighbor=f"/proc/{os.getpid()}/fd/{self.nodes[number + 1]}"))
        for number, node in enumerate(self.nodes):
            enter(node)
            ip_batch("link set lo up\n" + "".join(self.set_up(number)))
        for node in self.nodes:
            enter(node)
            wait_until_up()

    @staticmethod
    def set_up(number):
        """The left side of a node, and its routes to all others."""
        if number:
            yield f"link set left up\naddr add fd{number - 1:02}::2/64 dev left nodad\n"
            for other in range(number - 1):
                yield f"route add fd{other:02}::/64 via fd{number - 1:02}::1\n"
        for other in range(number + 1, NODES):
            yield f"route add fcff:{other}::/32 via fd{number:02}::2\n"
            if other < NODES - 1:
                yield f"route add fd{other:02}::/64 via fd{number:02}::2\n"

    @contextlib.contextmanager
    def routes(self, routes):
        """A context with routes: (node, what `ip route add` takes)."""
        with contextlib.ExitStack() as stack:
            for route in routes:
                self.route("add", *route)
                stack.callback(self.route, "del", *route)
            yield

    def route(self, verb, node, route):
        """Adds or deletes a route of a node."""
        enter(self.nodes[node])
        ip("-6", "route", verb, *route.split())

    def connect(self):
        """A connection: the sockets of the client and of the server."""
        enter(self.nodes[-1])
        with socket.create_server((SERVER, PORT), family=socket.AF_INET6) as listener:
            enter(self.nodes[0])
            client = socket.create_connection((SERVER, PORT), SECONDS)
            listener.settimeout(SECONDS)
            return client, listener.accept()[0]

    def statistics(self, node):
        """What the devices of a node have counted: from name to 16 numbers, those of receiving first."""
        enter(self.nodes[node])
        with open("/proc/thread-self/net/dev", encoding="ascii") as found:
            lines = [line.split(":") for line in found if ":" in line]
        return {name.strip(): [int(word) for word in numbers.split()] for name, numbers in lines}

    def dropped(self):
        """How many packets devices did not send."""
        return sum(numbers[TX_DROPPED] for node in range(NODES) for numbers in self.statistics(node).values())

    def average(self, run):
        """What a function returns, and the average size of the packets that the server gets meanwhile."""
        before = self.statistics(NODES - 1)["left"]
        result = run()
        size, packets = (new - old for new, old in zip(self.statistics(NODES - 1)["left"][:2], before))
        return result, size / packets


def send(sock):
    """Sends the data, as far as the other side takes it."""
    with contextlib.suppress(OSError):
        sock.sendall(DATA)


def transfer(chain, dropped):
    """Whether the data gets to the server; it need not if more packets are dropped than were before."""
    client, server = chain.connect()
    deadline, seen = time.monotonic() + SECONDS, b""
    sender = threading.Thread(target=send, args=(client,))
    sender.start()
    server.settimeout(0.5)
    while len(seen) < len(DATA) and time.monotonic() < deadline and chain.dropped() == dropped:
        with contextlib.suppress(TimeoutError):
            seen += server.recv(1 << 20)
    for sock in (client, server):
        sock.shutdown(socket.SHUT_RDWR)
    sender.join()
    client.close()
    server.close()
    return seen == DATA


def through(chain, routes, offload):
    """Whether the data gets to the server without a loss, and whether in packets of several segments.

    If there is a loss, what else there is depends on when.
    """
    with chain.routes(routes):
        enter(chain.nodes[-2])
        command("ethtool", "-K", "right", *(WITH_OFFLOAD if offload else NO_OFFLOAD))
        dropped = chain.dropped()
        complete, size = chain.average(partial(transfer, chain, dropped))
        return LOST if chain.dropped() > dropped else (complete, size > SEGMENT)


def inline(*segments):
    """The route of the client, or of a router, that inserts an SRH."""
    return f"{SERVER} encap seg6 mode inline segs {','.join(segments)} dev right"


def encap(*segments, dst=SERVER):
    """The route that puts packets in others with an SRH."""
    return f"{dst} encap seg6 mode encap segs {','.join(segments)} dev right"


def sid(number, action, node=None, last=1):
    """The route of a SID: of a node, or another one's on that node."""
    return (node or number, f"fcff:{number}::{last} encap seg6local action {action} dev right")


def paths():
    """The ways from the client to the server: (name, routes, whether C drops what is to be cut)."""
    end, psp, open_ = "End", "End flavors psp", "End.DT6 table 254"
    yield "no SRH", [], False
    yield "an SRH that the client inserts, End", [(0, inline("fcff:2::1")), sid(2, end)], True
    yield "an SRH that the client inserts, End with PSP", [(0, inline("fcff:2::1")), sid(2, psp)], True
    yield ("an SRH that the client inserts, End, and PSP at the last router",
           [(0, inline("fcff:2::1", "fcff:3::1")), sid(2, end), sid(3, psp)], True)
    yield "an SRH that a router inserts, End", [(1, inline("fcff:2::1")), sid(2, end)], True
    yield "an SRH that a router inserts, PSP at the last router", [(1, inline("fcff:3::1")), sid(3, psp)], True
    yield ("End.B6, then End twice, the first for the policy",
           [(0, inline("fcff:2::1")), sid(2, "End.B6 srh segs fcff:3::1"), sid(3, end), sid(2, end, 3)], True)
    yield "an outer packet of the client, End.DT6", [(0, encap("fcff:3::1")), sid(3, open_)], False
    yield "an outer packet of a router, End.DT6", [(1, encap("fcff:3::1")), sid(3, open_)], False
    yield ("an outer packet of the client, End, End.DT6",
           [(0, encap("fcff:2::1", "fcff:3::1")), sid(2, end), sid(3, open_)], False)
    yield ("an outer packet of a router around one of the client",
           [(0, encap("fcff:3::1")), (1, encap("fcff:3::2", dst="fcff:3::1")), sid(3, open_), sid(3, open_, last=2)],
           True)
    yield ("an SRH that the client inserts, in an outer packet of a router",
           [(0, inline("fcff:3::1")), (1, encap("fcff:2::1", dst="fcff:3::1")), sid(2, open_), sid(3, psp)], True)


def serving(chain):
    """Checks who serves seg6local."""
    with chain.routes([sid(2, "End")]):
        lib.served_by()


def main():
    """Builds the suite and runs it."""
    chain = Chain()
    suite = lib.Suite()
    suite.add("who serves the route", partial(serving, chain))
    for name, routes, is_lost in paths():
        for offload in (True, False):
            how = "whole" if offload else "in segments"
            suite.add(f"TCP behind {name}: leaves the last router {how}", partial(through, chain, routes, offload),
                      (True, offload), ("B45", LOST) if is_lost else None)
    suite.main()


if __name__ == "__main__":
    main()
