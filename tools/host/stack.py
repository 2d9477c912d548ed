#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures in the object code how much stack a packet takes, in C and in Rust, and fails above the bounds.

    stack.py [-v] C RUST     two build directories; -v says more about each row

Packets nest: the route of a SID may lead to the next one, up to nine levels, and the program of the last one calls
helpers. So there are bounds for the frames, for what is on the stack between lwtunnel_input() and the next one, and for
what is there in front of what needs most itself and is the same in both kernels (SHARED), which is not counted.

Not seen is what is called through pointers other than those in INDIRECT and POINTERS, and what follows an error that
ends the kernel. Recursion counts once, and a way through the code counts even if no packet takes it.
"""

import argparse
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import objcode

MODULE_FRAME, PATH_FRAME, NESTED, LEVELS = 512, 256, 240, 9
COMMON = ("net/core/filter.o", "net/core/lwtunnel.o", "net/core/skbuff.o", "net/ipv6/seg6.o", "net/ipv6/seg6_hmac.o",
          "net/ipv6/seg6_iptunnel.o", "net/ipv4/ip_tunnel_core.o")
OBJECTS = {
    "C": ("net/ipv6/seg6_local.o", *COMMON),
    "Rust": ("net/ipv6/seg6_local/seg6_local.o", "rust/kernel.o", "net/core/lwt_seg6local.o", *COMMON),
}
INPUT, PUSH = "lwtunnel_input", "bpf_lwt_in_push_encap"
HELPERS = ("bpf_lwt_seg6_store_bytes", "bpf_lwt_seg6_adjust_srh", "bpf_lwt_seg6_action", PUSH)
DST_INPUT, PROGRAM, OTHER = "(dst->input)", "(program)", "(other pointers)"
# Members of structs that are called, by their offset: those of struct dst_entry and struct bpf_prog.
POINTERS = {"0x28": DST_INPUT, "0x48": PROGRAM}
MEMBER = re.compile(r"(0x[0-9a-f]+)\(%r\w+\)$")
SHARED = {
    "a route lookup": r"ip6_route_input_lookup|ip6_route_output_flags|ip6_pol_route|ip_route_input_noref",
    "an HMAC": r"seg6_hmac_compute",
    "memory for a packet": r"pskb_expand_head",
}
# The functions of the behaviors.
BEHAVIORS = {
    "C": r"input_action_end(?!\w*_(core|finish))\w*",
    "Rust": r"<seg6_local::behavior::.*>::(input|process)",
}
# Who calls through other pointers, and what: patterns of whole names.
TUNNEL = "kernel::net::lwtunnel::"
INDIRECT = {
    "C": (
        (INPUT, "seg6_local_input"),
        ("seg6_local_input|seg6_local_input_core", BEHAVIORS["C"]),
    ),
    "Rust": (
        (INPUT, rf"{TUNNEL}input::<.*>"),
        (rf"{TUNNEL}(hooked_input|prerouting|run_hook)", rf"{TUNNEL}continue_(input|resume)"),
        (rf"{TUNNEL}(continue_input|process)", rf"{TUNNEL}process_input::<.*>"),
        (rf"{TUNNEL}continue_resume", rf"{TUNNEL}process_resume::<.*>"),
        ("__SCT__seg6_bpf_(store_bytes|adjust_srh|action|push_encap)", r"seg6_local::ffi::\1"),
    ),
}


class Kernel:
    """The calls in what one kernel has of an implementation. A node is (object, name); the object is None elsewhere."""

    def __init__(self, kind, build):
        self.kind = kind
        self.objects = [objcode.Object(build / path) for path in OBJECTS[kind]]
        self.own = self.objects[:-len(COMMON)]
        self.names = demangled({name for code in self.objects for name in code.functions})
        self.where = {name: code for code in reversed(self.objects) for name in code.functions}
        self.pointers = [(re.compile(who), what) for who, what in INDIRECT[kind]]

    def name(self, node):
        """A readable name."""
        return self.names.get(node[1], node[1])

    def node(self, name, code=None):
        """The node of a name, as seen from an object."""
        return (code if code and name in code.functions else self.where.get(name)), name

    @cache
    def pointed_to(self, node):
        """What a function calls through pointers, as far as it is known."""
        for who, what in self.pointers:
            if match := who.fullmatch(self.name(node)):
                wanted = re.compile(match.expand(what) if match.groups() else what)
                found = [(code, name) for name, code in self.where.items() if wanted.fullmatch(self.names[name])]
                if not found:
                    sys.exit(f"error: {self.name(node)} should call {wanted.pattern}, which is not there: see INDIRECT")
                return found
        return []

    def callees(self, node, with_keys):
        """What a function calls: (node, what is on the stack then)."""
        code, name = node
        if name.startswith("__SCT__"):
            yield from ((callee, 0) for callee in self.pointed_to(node))
            return
        for call in code.functions[name].calls if code else ():
            if call.with_keys and not with_keys:
                continue
            member = MEMBER.match(call.operands)
            if call.target:
                yield self.node(call.target, code), call.used
            elif member and member[1] in POINTERS and code in self.own:
                yield (None, POINTERS[member[1]]), call.used
            else:
                yield from ((callee, call.used) for callee in self.pointed_to(node) or [(None, OTHER)])

    def reached(self, start, with_keys):
        """All that a node reaches, callers before callees."""
        order, seen = [], set()

        def visit(node):
            seen.add(node)
            for callee, _ in self.callees(node, with_keys):
                if callee not in seen:
                    visit(callee)
            order.append(node)

        visit(start)
        return order[::-1]

    @cache
    def above(self, name, with_keys=True):
        """What a function reaches: {node: (the most that is on the stack then, who calls it)}."""
        start = self.node(name)
        if not start[0]:
            sys.exit(f"error: no function {name}")
        above, done = {start: (0, None)}, set()
        for node in self.reached(start, with_keys):
            done.add(node)
            for callee, used in self.callees(node, with_keys):
                total = above[node][0] + used
                if callee not in done and total > above.get(callee, (-1,))[0]:
                    above[callee] = total, node
        return above

    def to(self, name, pattern, with_keys=True):
        """The most that is on the stack when a function reaches one of those, and the node; None if it reaches none."""
        found = [(used, node[1], node) for node, (used, _) in self.above(name, with_keys).items()
                 if re.fullmatch(pattern, node[1])]
        return max(found, default=(None, None, None))[::2]

    def nests(self, with_keys=True):
        """What is on the stack at the next lwtunnel_input(), at most."""
        return self.to(INPUT, re.escape(DST_INPUT), with_keys)[0]

    def nested(self, with_keys):
        """What is on the stack at the next lwtunnel_input(), for each behavior: {name: stack}."""
        found = {}
        for node, (used, _) in self.above(INPUT, with_keys).items():
            below = self.above(node[1], with_keys) if re.fullmatch(BEHAVIORS[self.kind], self.name(node)) else {}
            if (None, DST_INPUT) in below:
                found[self.name(node)] = used + below[None, DST_INPUT][0]
        return found

    def frames(self, nodes):
        """The frames of functions, the largest first: [(bytes, name)]."""
        return sorted(((code.functions[name].frame if code.functions[name].is_bounded else sys.maxsize,
                        self.name((code, name))) for code, name in nodes), reverse=True)

    def module(self):
        """All functions of the module except for its tests."""
        return [(self.objects[0], name) for name in self.objects[0].functions if "::tests::" not in self.names[name]]

    def path(self):
        """The functions of the packet path that are the implementation's own."""
        return {node for name in (INPUT, *HELPERS) for node in self.above(name) if node[0] in self.own}

    def chain(self, name, node, with_keys=True):
        """The names of the functions on the deepest way from one to another."""
        above, names = self.above(name, with_keys), []
        while node in above:
            names.append(f"{self.name(node)} {above[node][0]}")
            node = above[node][1]
        return " < ".join(names)


def demangled(names):
    """Readable names of symbols."""
    names = sorted(names)
    shown = subprocess.run([f"llvm-cxxfilt-{objcode.LLVM}"], input="\n".join(names), check=True, capture_output=True,
                           text=True).stdout.splitlines()
    return dict(zip(names, shown))


class Table:
    """Prints rows and counts those above their bound."""

    def __init__(self, verbose):
        self.verbose, self.failed = verbose, 0
        print(f"{'stack in bytes':58} {'C':>5} {'Rust':>5} {'bound':>5}")

    def row(self, title, of_c, of_rust, bound, *details):
        """Prints a row, with details if it is above its bound or if they are asked for."""
        is_above = of_rust > bound
        self.failed += is_above
        print(f"{title:58} {of_c:5} {of_rust:5} {bound:5}{'  TOO MUCH' if is_above else ''}")
        for detail in details if is_above or self.verbose else ():
            print(f"    {detail}")


def compare_frames(table, c, rust):
    """Rows for the largest frames of the module and of the packet path."""
    for title, bound, of_c, of_rust in (("largest frame of the module", MODULE_FRAME, c.module(), rust.module()),
                                        ("largest frame of the packet path", PATH_FRAME, c.path(), rust.path())):
        of_c, of_rust = c.frames(of_c), rust.frames(of_rust)
        table.row(title, of_c[0][0], of_rust[0][0], bound, *(f"{frame:4} {name}" for frame, name in of_rust[:20]))


def compare_nested(table, c, rust):
    """Rows for what is between lwtunnel_input() and the next one."""
    for title, with_keys in (("a nested SID, hooks off", False), ("a nested SID, hooks on", True)):
        details = [f"{used:4} {name}" for kernel in (c, rust) for name, used in kernel.nested(with_keys).items()]
        table.row(title, c.nests(with_keys), rust.nests(with_keys), NESTED,
                  rust.chain(INPUT, (None, DST_INPUT), with_keys), *details)


def compare_deepest(table, c, rust):
    """Rows for what is on the stack at the last level, of a SID and of a helper that its program calls."""
    levels = [(LEVELS - 1) * kernel.nests() for kernel in (c, rust)]
    runs = [used + kernel.to(INPUT, re.escape(PROGRAM))[0] for used, kernel in zip(levels, (c, rust))]
    table.row(f"{LEVELS} levels to a program", *runs, runs[0], rust.chain(INPUT, (None, PROGRAM)))
    for name in (INPUT, *HELPERS):
        # A program of LWT_IN is not one of End.BPF; what runs it is the same in both.
        base = levels if name in (INPUT, PUSH) else runs
        title = f"{LEVELS} levels" if name == INPUT else f"{LEVELS} levels, {name}()"
        for target, pattern in SHARED.items():
            (of_c, _), (of_rust, node) = c.to(name, pattern), rust.to(name, pattern)
            if of_c is None or of_rust is None:
                continue
            table.row(f"{title} to {target}", base[0] + of_c, base[1] + of_rust, base[0] + of_c,
                      f"without the levels above: C {of_c}, Rust {of_rust}", rust.chain(name, node))


def main():
    """See the documentation of the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", dest="verbose", action="store_true")
    parser.add_argument("c", type=Path)
    parser.add_argument("rust", type=Path)
    arguments = parser.parse_args()
    c, rust = Kernel("C", arguments.c), Kernel("Rust", arguments.rust)
    table = Table(arguments.verbose)
    compare_frames(table, c, rust)
    compare_nested(table, c, rust)
    compare_deepest(table, c, rust)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
