# SPDX-License-Identifier: GPL-2.0-or-later
"""The network of the demonstration, drawn in demo.py: namespaces, and sockets that send and capture."""

import contextlib
import os
import select
import shlex
import socket
import struct
import subprocess
import time

TIMEOUT_S = 10      # for a packet to come out
QUIET_S = 0.05      # for a second one, which would be wrong

ETH_P_ALL, ETH_P_IPV6 = 0x0003, 0x86DD

HOST_A, ROUTER = "fd00:a::2", "fd00:a::1"
HOST_B, HOST_B_PLAIN = "fd00:b::2", "fd00:c::2"
SEGMENT_1, SEGMENT_2 = "fc00:b::1", "fc00:b::2"
PORT, STEERED_PORT = 5000, 5001

MAC = {
    "eth0": "02:00:00:00:0a:02", "to_a": "02:00:00:00:0a:01",
    "eth1": "02:00:00:00:b1:02", "to_b1": "02:00:00:00:b1:01",
    "eth2": "02:00:00:00:b2:02", "to_b2": "02:00:00:00:b2:01",
}
PEER = {"to_a": "eth0", "to_b1": "eth1", "to_b2": "eth2"}

# Commands for `ip -batch`. Addresses and neighbors are static, so that there is next to nothing on
# the wire but the packets of the demonstration.
LINKS = "".join(f"link add {device} netns router address {MAC[device]} type veth "
                f"peer name {peer} netns {host} address {MAC[peer]}\n"
                for (device, peer), host in zip(PEER.items(), ("host_a", "host_b", "host_b")))
SETUP = {
    "host_a": f"""
link set eth0 addrgenmode none
link set eth0 up
addr add {HOST_A}/64 dev eth0 nodad
""",
    "router": f"""
link set to_a addrgenmode none
link set to_b1 addrgenmode none
link set to_b2 addrgenmode none
link set to_a up
link set to_b1 up
link set to_b2 up
addr add {ROUTER}/64 dev to_a nodad
addr add fd00:b1::1/64 dev to_b1 nodad
addr add fd00:b2::1/64 dev to_b2 nodad
neigh add {HOST_A} lladdr {MAC['eth0']} dev to_a nud permanent
neigh add fd00:b1::2 lladdr {MAC['eth1']} dev to_b1 nud permanent
neigh add fd00:b2::2 lladdr {MAC['eth2']} dev to_b2 nud permanent
route add fd00:b::/64 via fd00:b1::2
route add fc00:b::/64 via fd00:b1::2
""",
    "host_b": f"""
link set lo up
link set eth1 addrgenmode none
link set eth2 addrgenmode none
link set eth1 up
link set eth2 up
addr add fd00:b1::2/64 dev eth1 nodad
addr add fd00:b2::2/64 dev eth2 nodad
addr add {HOST_B}/128 dev lo
addr add {HOST_B_PLAIN}/128 dev lo
addr add {SEGMENT_1}/128 dev lo
addr add {SEGMENT_2}/128 dev lo
""",
}
SYSCTLS = {
    "host_a": [],
    "router": ["all/forwarding"],
    "host_b": ["all/seg6_enabled", "eth1/seg6_enabled", "eth2/seg6_enabled"],
}


class DemoError(Exception):
    """The demonstration cannot go on."""


def ethernet(device, is_sent, packet):
    """The frame in which a packet crosses a device of the router."""
    ends = [bytes.fromhex(MAC[name].replace(":", "")) for name in (device, PEER[device])]
    source, destination = ends if is_sent else reversed(ends)
    return destination + source + struct.pack("!H", ETH_P_IPV6) + packet


def run(argv, stdin=None, cwd=None):
    """Runs a command and returns its output."""
    done = subprocess.run(argv, input=stdin, cwd=cwd, text=True, capture_output=True, check=False)
    if done.returncode:
        raise DemoError(f"{shlex.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Network:
    """Three network namespaces in a row, with sockets that send and capture."""

    def __init__(self):
        for name in SETUP:
            if os.path.exists(f"/run/netns/{name}"):
                raise DemoError(f"network namespace {name} exists; if an earlier run left it, "
                                f"remove it: ip netns del {name}")
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as self.stack:
            self.build()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def build(self):
        """Makes everything that the end of the context removes."""
        self.stack.callback(self.remove_namespaces)
        run(["ip", "-batch", "-"], "".join(f"netns add {name}\n" for name in SETUP) + LINKS)
        for name, commands in SETUP.items():
            with self.inside(name):
                for key in SYSCTLS[name]:
                    with open(f"/proc/sys/net/ipv6/conf/{key}", "w", encoding="ascii") as file:
                        file.write("1")
            run(["ip", "-n", name, "-6", "-batch", "-"], commands)

        self.sender = self.packet_socket("host_a", "eth0", ETH_P_IPV6)
        self.ingress = self.packet_socket("router", "to_a", ETH_P_IPV6)
        # Only a socket for all protocols captures what leaves through a device.
        self.egress = {name: self.packet_socket("router", name, ETH_P_ALL)
                       for name in ("to_b1", "to_b2")}
        self.receivers = {port: self.udp_socket("host_b", port) for port in (PORT, STEERED_PORT)}
        with self.inside("router"):
            self.ingress_ifindex = socket.if_nametoindex("to_a")

    @staticmethod
    def remove_namespaces():
        """Removes the namespaces and with them all devices."""
        commands = "".join(f"netns del {name}\n" for name in SETUP)
        subprocess.run(["ip", "-force", "-batch", "-"], input=commands, text=True,
                       capture_output=True, check=False)

    @staticmethod
    @contextlib.contextmanager
    def inside(name):
        """Runs the body in a namespace."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/run/netns/{name}", "rb") as there:
            os.setns(there.fileno(), os.CLONE_NEWNET)
            try:
                yield
            finally:
                os.setns(home.fileno(), os.CLONE_NEWNET)

    def packet_socket(self, namespace, device, protocol):
        """A socket that sends and captures frames on a device."""
        with self.inside(namespace):
            sock = self.stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        sock.bind((device, protocol))
        return sock

    def udp_socket(self, namespace, port):
        """A socket that receives datagrams."""
        with self.inside(namespace):
            sock = self.stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        sock.bind(("::", port))
        return sock

    def receive(self, sock):
        """The message that a socket holds, or None if it is no part of the demonstration."""
        message, sender = sock.recvfrom(65535)
        if sock.family == socket.AF_PACKET:
            is_outgoing = sender[2] == socket.PACKET_OUTGOING
            is_multicast = message[0] & 1
            if is_outgoing != (sock in self.egress.values()) or is_multicast:
                return None
        return message

    def send(self, frame, wanted):
        """Sends a frame from host_a; returns {socket: [messages]} when each of `wanted` has one."""
        sockets = [self.ingress, *self.egress.values(), *self.receivers.values()]
        got = {sock: [] for sock in sockets}
        self.sender.send(frame)
        end = time.monotonic() + TIMEOUT_S
        while (left := end - time.monotonic()) > 0:
            is_complete = all(got[sock] for sock in wanted)
            ready = select.select(sockets, [], [], QUIET_S if is_complete else left)[0]
            if is_complete and not ready:
                break
            for sock in ready:
                if message := self.receive(sock):
                    got[sock].append(message)
        return got
