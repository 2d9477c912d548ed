# SPDX-License-Identifier: GPL-2.0-or-later
"""TAP output, known defects and the proof of who serves seg6local.

A test program makes a `Suite`, adds cases and calls `main()`. A case is a callable that returns what it
observed, which is compared with what is wanted. The environment variable SEG6_IMPL says which implementation
the running kernel has: `rust` (the module seg6_local.ko), `rust-builtin` or `c`.

A case may name a known defect of the C implementation, together with what C does instead. On C that outcome is
reported as `ok N name # XFAIL B13`; any other outcome, the wanted one included, is a failure. No case is skipped.
"""

import contextlib
import fnmatch
import os
import re
import sys
import time
import traceback

IMPL = os.environ.get("SEG6_IMPL", "rust")
IMPLS = ("rust", "rust-builtin", "c")
IS_C = IMPL == "c"
IS_MODULE = IMPL == "rust"

MODULE = "/sys/module/seg6_local"
C_SYMBOL = "input_action_end_bpf"
KMEMLEAK = "/sys/kernel/debug/kmemleak"
# What a healthy kernel never prints; the runners on the host use it, too.
SPLAT = re.compile(
    r"BUG:|WARNING:|Oops|Call Trace:|KASAN:|UBSAN:|kernel BUG at|Kernel panic|general protection fault|panicked"
    r"|possible .*(?:locking|deadlock)|suspicious RCU usage|rcu: INFO:|inconsistent lock state|refcount_t:"
    r"|blocked for more than|soft lockup|hw csum failure|unregister_netdevice|unreferenced object"
    r"|new suspected memory leaks|memory leak detector disabled|turning off the locking|huh, entered")


class Failed(Exception):
    """A check of a test case did not hold."""


def check(condition, message):
    """Fails the running case with `message` unless `condition` holds."""
    if not condition:
        raise Failed(message)


def equal(got, want, what):
    """Fails the running case unless `got` equals `want`."""
    check(got == want, f"{what}:\n  got  {show(got)}\n  want {show(want)}")


def show(value):
    """A readable form of an observation: bytes in hexadecimal, containers item by item."""
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes {value[:300].hex(' ', -4)}{'' if len(value) <= 300 else ' ...'}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {show(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple, set)):
        return "(" + ", ".join(show(v) for v in value) + ")"
    return repr(value)


def wait_for(condition, what, seconds=10):
    """Waits until `condition()` holds; for what the kernel frees after a grace period."""
    deadline = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < deadline, f"not within {seconds} s: {what}")
        time.sleep(0.02)


def move_packets(percent):
    """In how many cases of a hundred a call that may move the data of a packet does, if the kernel can be told."""
    knob = "/sys/kernel/debug/fail_skb_realloc/probability"
    if os.path.exists(knob):
        with open(knob, "w", encoding="ascii") as file:
            file.write(str(percent))


@contextlib.contextmanager
def unmoved_packets():
    """A context in which no packet is moved that need not be."""
    move_packets(0)
    try:
        yield
    finally:
        move_packets(100)


def leaks():
    """What kmemleak finds; memory of the last seconds is no leak to it."""
    for _ in range(2):
        time.sleep(6)
        kmemleak("scan")
    with open(KMEMLEAK, encoding="ascii", errors="replace") as found:
        return found.read()


def kmemleak(command):
    """Gives kmemleak a command."""
    with open(KMEMLEAK, "w", encoding="ascii") as knob:
        knob.write(command)


def shrink_slabs():
    """Makes the kernel give back what its caches of objects hold, and what KASAN holds of them."""
    for name in os.listdir("/sys/kernel/slab"):
        with open(f"/sys/kernel/slab/{name}/shrink", "w", encoding="ascii") as knob:
            knob.write("1")


def symbols():
    """The text of /proc/kallsyms."""
    with open("/proc/kallsyms", encoding="ascii", errors="replace") as kallsyms:
        return kallsyms.read()


def served_by():
    """Checks that IMPL, and nothing else, implements seg6local in the running kernel.

    To be called when at least one route with the encap type is installed.
    """
    check(IMPL in IMPLS, f"SEG6_IMPL={IMPL} is not one of {IMPLS}")
    text = symbols()
    has_c = re.search(rf" {C_SYMBOL}\b", text) is not None
    rust = re.findall(r" (_R\S*_10seg6_local\S*)(?:\t\[(\w+)\])?", text)  # 10 letters: the mangled name of the crate
    in_module = any(module == "seg6_local" for _, module in rust)
    in_image = any(not module for _, module in rust)
    equal(has_c, IS_C, f"C symbol {C_SYMBOL} in the kernel")
    equal(in_module, IS_MODULE, "Rust symbols of a module seg6_local")
    equal(in_image, IMPL == "rust-builtin", "Rust symbols of seg6_local in the image")
    equal(os.path.isdir(MODULE + "/holders"), IS_MODULE, "module seg6_local loaded")


class KernelLog:
    """Reads what the kernel logs from now on, or what it has logged since it started (os.SEEK_SET)."""

    def __init__(self, start=os.SEEK_END):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, start)

    def read(self):
        """The lines logged since the last call."""
        lines = []
        while True:
            try:
                record = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return lines
            except BrokenPipeError:
                continue
            lines.append(record.split(";", 1)[-1].split("\n", 1)[0])


class Suite:
    """The cases of one test program."""

    def __init__(self, clean_up=lambda: None):
        """`clean_up()` is called after a case that failed."""
        self.cases = []
        self.clean_up = clean_up
        self.log = KernelLog()
        self.number = 0
        self.failed = 0

    def add(self, name, run, want=None, known=None):
        """Adds a case: `run()` has to return `want`.

        `known` is None or a pair: the name of a defect or difference, and what `run()` returns on C.
        """
        self.cases.append((name, run, want, known))

    def main(self):
        """Runs the cases whose name matches a pattern of the command line (default: all) and exits."""
        patterns = sys.argv[1:] or ["*"]
        cases = [c for c in self.cases if any(fnmatch.fnmatchcase(c[0], p) for p in patterns)]
        print(f"TAP version 13\n1..{len(cases) + 1}", flush=True)
        for case in cases:
            self.run(*case)
        self.run("the kernel log is free of splats", self.splats, [], None)
        sys.exit(1 if self.failed else 0)

    def run(self, name, run, want, known):
        """Runs one case and prints its result line."""
        directive, problem = "", None
        try:
            got = run()
            if IS_C and known:
                directive, problem = self.judge_known(got, want, known)
            elif got != want:
                problem = f"got  {show(got)}\nwant {show(want)}"
        except Failed as failure:
            problem = str(failure)
        except Exception:  # pylint: disable=broad-except
            problem = traceback.format_exc()
        self.report(name, directive, problem)

    def judge_known(self, got, want, known):
        """The directive and the problem of a case that names a defect, on C."""
        defect, c_does = known
        if got == c_does:
            return f" # XFAIL {defect}", None
        if got == want:
            return "", f"{defect} was expected to fail on C, but it passed"
        return "", f"{defect} failed in another way\ngot  {show(got)}\nknown {show(c_does)}\nwant {show(want)}"

    def report(self, name, directive, problem):
        """Prints a result line, and before it the diagnostics of a failure."""
        self.number += 1
        if problem:
            self.failed += 1
            self.clean_up()
            for line in problem.splitlines():
                print(f"# {line}")
        print(f"{'not ok' if problem else 'ok'} {self.number} {name}{directive}", flush=True)

    def splats(self):
        """The lines of the kernel log since the start that tell of a bug."""
        return [line for line in self.log.read() if SPLAT.search(line)]
