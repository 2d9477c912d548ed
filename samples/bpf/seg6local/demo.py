#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
"""Show SRv6 packets before and after the BPF programs of this folder.

Run it as root on a kernel with seg6local. It lays out three network namespaces,
attaches one program after the other to routes of the router with iproute2, sends
a real packet through each and compares what comes out with what should come out,
byte by byte.

      host_a             router             host_b
    fd00:a::2 -- to_a --- SIDs --- to_b1 -- eth1   fd00:b::2, fd00:c::2
                       fc00::1..5  to_b2 -- eth2   fc00:b::1, fc00:b::2
"""

import argparse
import collections
import contextlib
import os
import re
import shlex
import signal
import socket
import struct
import sys
import time

from decode import FLOW, IPV6, PAYLOAD_LENGTH, ROUTING, UDP, UDP_LEN, decode, pair
from network import (HOST_A, HOST_B, HOST_B_PLAIN, PORT, ROUTER, SEGMENT_1, SEGMENT_2, STEERED_PORT, DemoError,
                     Network, ethernet, run)

COLUMNS = 100
ETHERNET_LEN = 14

# What runs the programs in the C implementation, and is not in the kernel without it.
C_FUNCTION = "input_action_end_bpf"

# The Rust crate and its tests, as they stand in mangled names; functions of it that a reader knows.
RUST_CRATE, RUST_TESTS = "10seg6_local", "5tests"
RUST_EXAMPLES = "store_bytes", "adjust_srh"


# Packets.

def address(text):
    """The 16 bytes of an IPv6 address."""
    return socket.inet_pton(socket.AF_INET6, text)


def ipv6(source, destination, next_header, payload, hop_limit=64):
    """An IPv6 packet."""
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, hop_limit) + \
        address(source) + address(destination) + payload


def srh(segments, segments_left, next_header, tag=0, tlvs=b""):
    """A Segment Routing Header (RFC 8754, Section 2)."""
    rest = b"".join(map(address, segments)) + tlvs
    return struct.pack("!BBBBBBH", next_header, len(rest) // 8, 4, segments_left,
                       len(segments) - 1, 0, tag) + rest


def tlv(kind, value):
    """A TLV of an SRH."""
    return bytes((kind, len(value))) + value


def udp(source, destination, port, text):
    """A UDP datagram; the destination is the last one of the packet (RFC 8200, Section 8.1)."""
    length = UDP_LEN + len(text)
    header = struct.pack("!HHHH", 40000, port, length, 0)
    covered = address(source) + address(destination) + struct.pack("!II", length, UDP) + header + text
    covered += bytes(len(covered) % 2)
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header[:6] + struct.pack("!H", ~total & 0xFFFF or 0xFFFF) + text


# Steps.

Step = collections.namedtuple(
    "Step", "name what prefix sent expected section link port is_again",
    defaults=("lwt_seg6local", "to_b1", PORT, False))


def steps(ingress_ifindex):
    """What is shown: the programs, the packet that each gets and the packet that has to come out."""
    def sid_packet(name, sid, port=PORT, left=1, hop_limit=64, tag=0, tlvs=b""):
        """A packet whose path is a SID of the router, then host_b."""
        segments = [HOST_B, sid]
        datagram = udp(HOST_A, HOST_B, port, f"hello {name}".encode())
        return ipv6(HOST_A, segments[left], ROUTING,
                    srh(segments, left, UDP, tag, tlvs) + datagram, hop_limit)

    def sid_step(name, what, sid, port=PORT, tlvs=b"", expected=None, after=(), **step):
        """A step in which the packet leaves as from End, apart from what the program does."""
        expected = expected or sid_packet(name, sid, port, left=0, hop_limit=63,
                                          **{"tlvs": tlvs, **dict(after)})
        return Step(name, what, sid, sid_packet(name, sid, port, tlvs=tlvs), expected,
                    port=port, **step)

    yield sid_step("end_noop", "do nothing: the SID behaves like End", "fc00::1")
    yield sid_step("set_tag", "write the tag of the SRH", "fc00::2", after={"tag": 42})

    there = tlv(125, b"origin")
    added = tlv(124, struct.pack("!HI", 0, ingress_ifindex))
    yield sid_step("add_tlv", "append a TLV with the index of the ingress interface", "fc00::3",
                   tlvs=there, after={"tlvs": there + added})

    yield sid_step("steer", "choose the next hop by UDP port: 5000 follows the route", "fc00::4")
    yield sid_step("steer", "the same SID: 5001 goes to fd00:b2::2, on the other link", "fc00::4",
                   port=STEERED_PORT, link="to_b2", is_again=True)

    inner = sid_packet("encap", "fc00::5", left=0)
    outer = srh([SEGMENT_2, SEGMENT_1], 1, IPV6)
    yield sid_step("encap", "encapsulate with a new SRH", "fc00::5",
                   expected=ipv6(ROUTER, SEGMENT_1, ROUTING, outer + inner, 63))

    datagram = udp(HOST_A, HOST_B_PLAIN, PORT, b"hello push_srh")
    pushed = srh([HOST_B_PLAIN, SEGMENT_1], 1, UDP, tag=7)
    yield Step("push_srh", "push an SRH on plain IPv6 (an LWT_IN program, not a SID)", "fd00:c::/64",
               ipv6(HOST_A, HOST_B_PLAIN, UDP, datagram),
               ipv6(HOST_A, SEGMENT_1, ROUTING, pushed + datagram, 63), section="lwt_in")


def attach_command(step):
    """The command that attaches the program of a step to a route."""
    program = ["obj", f"{step.name}.bpf.o", "section", step.section]
    if is_sid(step):
        encap = ["seg6local", "action", "End.BPF", "endpoint", *program, "count", "dev", "to_a"]
    else:
        encap = ["bpf", "in", *program, "via", "fd00:b1::2"]
    return ["ip", "-n", "router", "-6", "route", "add", step.prefix, "encap", *encap]


def is_sid(step):
    """Whether the program runs in End.BPF; if not, it is an LWT_IN program."""
    return step.section == "lwt_seg6local"


# Output.

class Style:
    """Colors on a terminal, nothing elsewhere."""

    CODES = {"title": "1", "good": "1;32", "bad": "1;31", "changed": "33", "heading": "2"}

    def __init__(self, is_tty):
        self.codes = self.CODES if is_tty else {}

    def __call__(self, name, text):
        code = self.codes.get(name)
        return f"\033[{code}m{text}\033[0m" if code else text


def print_command(style, argv):
    """Prints a command as one would type it, broken where it is too long."""
    line = "  $"
    for word in argv:
        if len(line) + len(word) + 3 > COLUMNS:
            print(style("title", line + " \\"))
            line = "       "
        line += f" {word}"
    print(style("title", line))


def print_table(style, step, before, after):
    """Prints two packets side by side, one row for each field, and marks what differs."""
    print(style("heading", f"{'':24}{'before, received on to_a':32} after, sent on {step.link}"))
    for (old_name, old), (new_name, new) in pair(decode(before), decode(after)):
        name = new_name or old_name
        for field in {**old, **new}:
            values = [str(fields.get(field, "-")) for fields in (old, new)]
            mark = "new" if field not in old else "gone" if field not in new else \
                "changed" if old[field] != new[field] else ""
            if not mark and (field == PAYLOAD_LENGTH or step.is_again and field != FLOW):
                continue
            row = f"  {name:4} {field:16} {values[0]:32} {values[1]:32}"
            print(style("changed", f"{row} < {mark}") if mark else row.rstrip())
            name = ""


def difference(where, expected, got):
    """Says where a frame differs from the expected one."""
    place = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b),
                 min(len(expected), len(got)))
    return (f"the frame on {where} differs from byte {place} on\n"
            f"    expected {len(expected)} bytes: {expected.hex(' ')}\n"
            f"    got      {len(got)} bytes: {got.hex(' ')}")


class Demo:
    """The steps, one after the other, and how many of them went wrong."""

    def __init__(self, style, network, objects):
        self.style = style
        self.network = network
        self.objects = objects
        self.failures = 0
        self.sids = 0
        self.counted = {}

    def verdict(self, problems, success):
        """Prints how a step went."""
        for problem in problems:
            print(self.style("bad", "  FAIL ") + problem)
        if not problems:
            print(self.style("good", "  OK   ") + success)
        print(flush=True)
        self.failures += bool(problems)

    def attach(self, step):
        """Attaches the program of a step."""
        command = attach_command(step)
        print_command(self.style, command)
        run(command, cwd=self.objects)
        self.sids += is_sid(step)

    def check_counters(self, step):
        """Prints the counters of a SID; returns what is wrong with them."""
        packets, size = self.counted.get(step.prefix, (0, 0))
        self.counted[step.prefix] = packets + 1, size + len(step.sent)
        expected = "packets {} bytes {} errors 0".format(*self.counted[step.prefix])
        command = ["ip", "-n", "router", "-6", "-s", "route", "show", step.prefix]
        found = re.search(r"packets \d+ bytes \d+ errors \d+", run(command))
        counters = found.group() if found else "no counters"
        print(f"  $ {shlex.join(command)}  ...  {counters}")
        return [] if counters == expected else [f"the counters should be {expected}"]

    def check_packets(self, step, frames, got):
        """Returns what is wrong with the captured packets."""
        network = self.network
        expected = {network.ingress: ("to_a", frames[:1])}
        for name, sock in network.egress.items():
            expected[sock] = name, frames[1:] if name == step.link else []
        for port, sock in network.receivers.items():
            text = f"hello {step.name}".encode()
            expected[sock] = f"UDP port {port}", [text] if port == step.port else []

        problems = []
        for sock, (where, messages) in expected.items():
            if len(got[sock]) != len(messages):
                problems.append(f"{len(got[sock])} instead of {len(messages)} packets on {where}")
            problems += [difference(where, *both) for both in zip(messages, got[sock])
                         if both[0] != both[1]]
        return problems

    def show(self, number, step):
        """Sends the packet of a step, shows and checks what becomes of it."""
        network = self.network
        frames = [ethernet("to_a", False, step.sent), ethernet(step.link, True, step.expected)]
        link = network.egress[step.link]

        print(self.style("title", f"{number}. {step.name}: {step.what}"))
        if not step.is_again:
            self.attach(step)
        got = network.send(frames[0], [network.ingress, link, network.receivers[step.port]])
        if got[network.ingress] and got[link]:
            print_table(self.style, step, *(got[sock][0][ETHERNET_LEN:]
                                            for sock in (network.ingress, link)))
        problems = self.check_packets(step, frames, got)
        if is_sid(step):
            problems += self.check_counters(step)
        self.verdict(problems, f"all {len(frames[1])} bytes of the frame are as expected; "
                     f"the UDP socket of host_b got 'hello {step.name}'")


# Who did it.

def symbols(*words):
    """The kernel symbols that contain one of the words, with their module: [(name, module)]."""
    found = []
    with open("/proc/kallsyms", encoding="ascii") as file:
        for line in file:
            if any(word in line for word in words):
                _, _, name, *module = line.split()
                found.append((name, "".join(module)))
    return found


def module_line(name):
    """What /proc/modules says about a module, or None. It is where lsmod gets its output from."""
    with contextlib.suppress(FileNotFoundError), open("/proc/modules", encoding="ascii") as file:
        return next((line.split() for line in file if line.split()[0] == name), None)
    return None


def prove(style, wanted, sids):
    """Prints which implementation the kernel runs; returns what contradicts `wanted`."""
    found = symbols(RUST_CRATE, C_FUNCTION)
    rust = [entry for entry in found if entry[0].startswith("_R") and RUST_TESTS not in entry[0]]
    has_twin = any(name == C_FUNCTION for name, _ in found)
    module = module_line("seg6_local")

    print(style("title", "Who served these packets?"))
    if module:
        print(f"  lsmod           seg6_local, {module[1]} bytes, used by {module[2]} routes "
              f"(the demonstration has {sids} SIDs)")
    else:
        print("  lsmod           no module seg6_local, so it is part of the kernel image")
    print(f"  /proc/kallsyms  {len(rust)} Rust symbols of the crate seg6_local"
          f"{', for instance' if rust else ''}")
    for name, home in sorted(rust, key=lambda entry: not entry[0].endswith(RUST_EXAMPLES))[:2]:
        print(f"                  {name[:COLUMNS - 33]} {home}".rstrip())
    print(f"  /proc/kallsyms  C function {C_FUNCTION}: {'present' if has_twin else 'absent'}")

    if wanted == "c":
        return ["this is not the C implementation"] if rust or not has_twin else []
    problems = []
    if not rust:
        problems.append("no Rust symbol of seg6_local in the kernel")
    if has_twin:
        problems.append("the C implementation is in the kernel")
    if module and int(module[2]) < sids:
        problems.append(f"the module serves {module[2]} routes, not {sids}")
    return problems


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status: 0 if every packet, every counter and the implementation were as "
               "expected,\n1 if not, 2 if the demonstration could not run.")
    parser.add_argument("objects", nargs="?", default=os.environ.get("SEG6_OUTPUT", "."),
                        help="folder with the *.bpf.o files (default: $SEG6_OUTPUT, else the "
                             "working directory)")
    parser.add_argument("--impl", choices=("rust", "c"), default="rust",
                        help="implementation that must have served the packets (default: rust)")
    return parser.parse_args()


def main():
    """Runs the demonstration and returns the exit status."""
    arguments = parse_arguments()
    started = time.monotonic()
    if os.geteuid():
        raise DemoError("only root can do this")
    if not os.path.exists(os.path.join(arguments.objects, "end_noop.bpf.o")):
        raise DemoError(f"no programs in {arguments.objects}: `make OUTPUT=folder` builds them")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    print(__doc__.partition("byte.\n\n")[2], flush=True)
    style = Style(sys.stdout.isatty())
    with Network() as network:
        demo = Demo(style, network, arguments.objects)
        for number, step in enumerate(steps(network.ingress_ifindex), 1):
            demo.show(number, step)
        problems = prove(style, arguments.impl, demo.sids)
        demo.verdict(problems, f"the {arguments.impl.capitalize()} implementation did")

    seconds = f"{time.monotonic() - started:.0f} s"
    if demo.failures:
        print(style("bad", f"{demo.failures} of {number + 1} checks failed") + f", {seconds}")
        return 1
    print(style("good", f"{number} packets, all as expected") + f", {seconds}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (DemoError, OSError) as error:
        print(f"demo.py: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
