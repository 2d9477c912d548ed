# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands with builds and guests. Each test gets a function that copies the checkout.

They build the Rust module in the cache of the checkout, so that only what differs is built.
"""

import json
import os
import signal
import time
from pathlib import Path

from commands import contains, ended, typed, wait_for

DESCRIPTION = "modprobe seg6_local && modinfo -F description seg6_local"
SLOW_GUEST = "touch /mnt/host/up; until [ -e /mnt/host/go ]; do sleep 0.2; done; " + DESCRIPTION
INNER_LOOP_SECONDS = 60


def folder_for(checkout, name):
    """A folder beside a checkout, to be DIR."""
    folder = checkout.path.parent / name
    folder.mkdir()
    return folder


def test_module_after_changes(new):
    """`make module` after each change, and after none: the guest has what it has built."""
    checkout = new()
    checkout.make("kernel")
    contains(checkout.make("kernel"), "kernel IMPL=rust CONFIG=base: up to date")
    for text in ("changed once", "changed twice"):
        checkout.describe(text)
        contains(checkout.make("module"), "seg6_local.ko: done")
        contains(checkout.make("module"), "up to date")
        contains(checkout.make("vm", CMD=DESCRIPTION), text)
    checkout.edit("rust/kernel/net/skbuff.rs", "//!", "//! Changed.\n//!")
    contains(checkout.make("module"), "kernel IMPL=rust CONFIG=base: done")


def test_inner_loop(new):
    """Edit, `make module`, one test."""
    checkout = new()
    checkout.make("kernel")
    checkout.make("test", T="end", IMPL="rust")
    checkout.describe("edited")
    start = time.monotonic()
    checkout.make("module")
    middle = time.monotonic()
    contains(checkout.make("test", T="end", IMPL="rust"), " 0 failed")
    end = time.monotonic()
    print(f"# make module took {middle - start:.0f} s, make test T=end IMPL=rust {end - middle:.0f} s", flush=True)
    # On a machine that does nothing else.
    assert os.getloadavg()[0] > os.cpu_count() or end - start < INNER_LOOP_SECONDS


def test_two_checkouts(new):
    """The guest of one loads its own module, also when another has built meanwhile; and so does the other's."""
    one, other = new("one"), new("other")
    one.describe("of one")
    other.describe("of the other")
    folder = folder_for(one, "folder")
    one.make("kernel")
    guest = one.start("vm", CMD=SLOW_GUEST, DIR=folder)
    wait_for((folder / "up").exists, 300)
    other.make("module")
    contains(other.make("vm", CMD=DESCRIPTION), "of the other")
    (folder / "go").touch()
    contains(ended(guest, 0, "vm"), "of one")
    contains(one.make("vm", CMD=DESCRIPTION), "of one")


def test_two_at_once(new):
    """Two builds, guests and tests of one checkout at once."""
    checkout = new()
    checkout.describe("built by two")
    guests = [checkout.start("vm", CMD=DESCRIPTION) for _ in range(2)]
    said = [ended(guest, 0, "vm") for guest in guests]
    contains(said[0], "built by two")
    contains(said[1], "built by two")
    contains("".join(said), "another run uses this cache")
    tests = [checkout.start("test", f"T={name}", "IMPL=rust") for name in ("end", "dump")]
    for test, name in zip(tests, ("end.py", "dump.py")):
        contains(ended(test, 0, name), name, " 0 failed")


def test_interrupted(new):
    """A build that is interrupted in the middle ends, leaves the cache to others, and the next one succeeds."""
    checkout = new()
    checkout.make("kernel")
    checkout.edit("rust/kernel/net/skbuff.rs", "//!", "//! Changed.\n//!")
    build = checkout.start("kernel")
    time.sleep(8)
    os.killpg(build.pid, signal.SIGINT)
    assert "done" not in build.communicate(timeout=60)[0]
    assert build.returncode
    contains(checkout.make("vm", CMD=DESCRIPTION), "kernel IMPL=rust CONFIG=base: done")


def test_interrupted_guest(new):
    """A guest and a test that are interrupted end, and their commands with them."""
    checkout = new()
    folder = folder_for(checkout, "folder")
    guest = checkout.start("vm", CMD=SLOW_GUEST, DIR=folder)
    wait_for((folder / "up").exists, 600)
    os.killpg(guest.pid, signal.SIGTERM)
    guest.communicate(timeout=30)
    contains(checkout.make("vm", CMD="echo again"), "again")


def test_compilers(new):
    """Warnings and errors of compilers in our files are shown, with paths of the checkout and carets."""
    checkout = new()
    leaf, shim = "net/ipv6/seg6_local/counters.rs", "net/core/lwt_seg6local.c"
    with open(checkout.path / leaf, "a", encoding="utf-8") as file:
        file.write("\nfn nobody_calls_it() {}\n")
    contains(checkout.make("kernel"), "warning: function `nobody_calls_it` is never used",
             f"--> {checkout.path / leaf}:", " | fn nobody_calls_it() {}", " ^^^^^^^^^^^^^^^")
    with open(checkout.path / shim, "a", encoding="utf-8") as file:
        file.write("int broken(void) { return nothing; }\n")
    said = checkout.make("kernel", wants=2)
    contains(said, f"{checkout.path / shim}:", "error: use of undeclared identifier 'nothing'",
             "|                           ^", "log: ")


def test_vm(new):
    """Output and status of CMD, DIR, more settings; without a terminal."""
    checkout = new()
    folder = folder_for(checkout, "folder")
    command = "ip -V; echo $((40 + 2)) >answer; exit 7"
    contains(checkout.make("vm", CMD=command, DIR=folder, wants=2), "ip utility", "Error 7")
    assert (folder / "answer").read_text() == "42\n"
    contains(checkout.make("vm", CMD="nproc", ICOUNT="1"), "\n1\n")


def test_shell(new):
    """The shell says where it is, starts there, and ends with its status."""
    checkout = new()
    status, said = typed(checkout, ["pwd; command -v $EDITOR $PAGER", "exit 7"], "vm")
    said = said.replace("\r", "")  # the terminals of guest and host both add some
    contains(said, f"/mnt/host, is {checkout.path} of the host", "Error 7",
             "/mnt/host\n/usr/bin/nano\n/usr/bin/less\n")
    screen = said.split("\x1b[H")[-1]
    assert status == 2 and "not found" not in screen and "failed" not in screen, screen


def test_read_only_checkout(new):
    """Kernel, module, guest and test from a checkout that nobody may write to."""
    checkout = new()
    before = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", checkout.path, checkout.path, "--proc", "/proc"]
    checkout.make("kernel", before=before)
    checkout.make("module", before=before)
    contains(checkout.make("vm", before=before, CMD="touch x || echo read-only"), "read-only")
    contains(checkout.make("test", before=before, T="end", IMPL="rust"), " 0 failed")


def test_demo(new):
    """The demonstration."""
    contains(new().make("demo"), "OK   the Rust implementation did", "all as expected")


def test_tests(new):
    """One test of ours, on each implementation; one of upstream's."""
    checkout = new()
    contains(checkout.make("test", T="dump"), "ok   rust ", "ok   rust-builtin ", "ok   c ", " 0 failed")
    contains(checkout.make("test-upstream", T="srv6_end_flavors_test", IMPL="rust"), "0 failed")
    contains(checkout.make("test-all", T="dump", IMPL="c"), "ok   c ")


def test_kunit(new):
    """The KUnit suites."""
    contains(new().make("kunit"), " 0 failed")


def test_comparisons(new):
    """What compares C and Rust, in small."""
    checkout = new()
    contains(checkout.make("diff", COUNT="40"), "0 unlisted differences")
    contains(checkout.make("diff", COUNT="40", CASE="3"), "case 3")
    contains(checkout.make("churn", COUNT="200"), "0 problems")


def test_fuzzers(new):
    """Each kind of fuzzing, in small."""
    checkout = new()
    for kind in ("packets", "programs", "netlink"):
        checkout.make("fuzz", KIND=kind, COUNT="100")
    contains(checkout.make("fuzz-host", COUNT="1000", SEED="2"), "\nok 1 ")
    contains(checkout.make("faults", SECONDS="5"), " 0 failed")


def test_measures(new):
    """Counting instructions, and where they go."""
    checkout = new()
    chart = checkout.path.parent / "chart.svg"
    said = checkout.make("-s", "bench", ROW="End", JSON="1", CHART=chart)
    rows = json.JSONDecoder().raw_decode(said, said.index("{\n"))[0]["rows"]
    assert "End" in [row["name"] for row in rows] and chart.exists()
    contains(checkout.make("profile", ROW="End"), "End")


def test_documents(new):
    """The documentation, and the series of patches."""
    checkout = new()
    paths = [Path(line) for line in checkout.make("doc").splitlines() if line.endswith(".html")]
    assert len(paths) == 2 and all(path.exists() for path in paths), paths
    folder = Path(checkout.make("-s", "patches").splitlines()[-2])
    assert len(list(folder.glob("*.patch"))) > 1


def test_lint(new):
    """A clean checkout passes; a warning is shown with its text, and its log is named."""
    checkout = new()
    checkout.make("lint")
    with open(checkout.path / "net/ipv6/seg6_local/counters.rs", "a", encoding="utf-8") as file:
        file.write("\nfn nobody_calls_it() {}\n")
    contains(checkout.make("lint", wants=2), "FAILED  compilers", "`nobody_calls_it` is never used", "log: ")
