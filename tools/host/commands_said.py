# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that refuse or that need no build: what they say. Each test gets a function that copies the checkout."""

import os
import re
import subprocess
import time
from pathlib import Path

from commands import REPO, contains, wait_for


def cache_in(checkout, name="cache"):
    """A cache folder beside a checkout."""
    return checkout.path.parent / name


def sourced(checkout, commands, **variables):
    """What bash prints that has sourced the library of the host scripts, outside of a run."""
    return subprocess.run(["bash", "-euc", f". {checkout.path}/tools/host/lib.sh; {commands}"], check=True, text=True,
                          env={**os.environ, "SEG6_RUN": "none", **variables}, capture_output=True).stdout


def test_help_names_all_targets(new):
    """Each target is in the help, and the other way round."""
    text = (REPO / "Makefile").read_text()
    targets = set(" ".join(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)).split()) - {"help"}
    named = set(re.findall(r"^make ([\w-]+)|; make (\w+)", new().make("help"), re.MULTILINE))
    named = {first or second for first, second in named}
    assert named == targets, f"only in the help: {named - targets}, only targets: {targets - named}"


def test_wrong_values(new):
    """What is wrong with a variable is said before anything is made."""
    checkout = new()
    cache = cache_in(checkout)
    for args, variables, said in (
            ("vm", {"DIR": "/nowhere", "CMD": "true"}, "error: DIR=/nowhere is not a directory"),
            ("vm", {}, "a shell needs a terminal: give CMD='command'"),
            ("vm", {"CMD": "true", "KERNEL_SERIES": "6.6"}, "error: KERNEL_SERIES=6.6 is not one of: 7.2 7.3"),
            ("kernel", {"KERNEL_SRC": "/nowhere"}, "error: KERNEL_SRC=/nowhere is not the source of Linux 7.2 or 7.3"),
            ("kernel", {"CONFIG": "nothing"}, "error: CONFIG=nothing is not one of: base debug"),
            ("kernel", {"IMPL": "rust", "CONFIG": "uml"}, "use IMPL=rust-builtin or c"),
            ("module", {"IMPL": "c"}, "error: IMPL=c has no module"),
            ("test", {"T": "nothing"}, "is called T=nothing; there are"),
            ("test", {"IMPL": "nothing", "T": "end"}, "error: IMPL=nothing is not one of: rust c rust-builtin"),
            ("test", {"T": "diff", "IMPL": "rust"}, "no test for CONFIG=base IMPL=rust is called T=diff"),
            ("fuzz", {"REPRO": "/nowhere"}, "error: REPRO=/nowhere is not a file"),
            ("bench", {"CONFIG": "debug"}, "error: CONFIG=debug: the figures are those of CONFIG=base"),
            ("faults", {"SECONDS": "long"}, "SECONDS=long is not a number"),
            ("churn", {"COUNT": "many"}, "error: COUNT=many is not a number"),
            ("diff", {"COUNT": "-1"}, "error: COUNT=-1 is not a number")):
        contains(checkout.make(args, wants=2, SEG6_CACHE=cache, **variables), said)
    assert not (cache / "root").exists() and not (cache / "root.tmp").exists()


def test_names_of_tests(new):
    """A wrong T gets the names that there are."""
    checkout = new()
    contains(checkout.make("test", wants=2, SEG6_CACHE=cache_in(checkout), T="x"),
             "end.py", " diff ", " bench ", "srv6_end_flavors_test.sh")


def test_cache_that_cannot_be(new):
    """A cache folder that cannot be made, written to, or is something else is told for what it is."""
    checkout = new()
    cache = cache_in(checkout)
    contains(checkout.make("kernel", wants=2, SEG6_CACHE="/proc/cache"), "cannot be made")
    cache.mkdir()
    contains(checkout.make("kernel", wants=2, SEG6_CACHE=cache, before=[
        "bwrap", "--dev-bind", "/", "/", "--ro-bind", cache, cache]), "Read-only file system", "cannot be written to")
    (cache / "file").touch()
    contains(checkout.make("kernel", wants=2, SEG6_CACHE=cache), "exists and holds something else")
    assert sorted(path.name for path in cache.iterdir()) == ["file"]


def test_small_mount_point(new):
    """An empty mount point is taken; one that is too small is said to be before the first step."""
    checkout = new()
    cache = cache_in(checkout)
    cache.mkdir()
    said = checkout.make("test", wants=2, SEG6_CACHE=cache, before=[
        "bwrap", "--dev-bind", "/", "/", "--size", str(16 << 20), "--tmpfs", cache])
    contains(said, "this needs 10700 MB in", "where 17 MB are free")
    assert "..." not in said, said


def test_cache_in_the_checkout(new):
    """Git ignores it, and so do the commands."""
    checkout = new()
    contains(checkout.make("patches", SEG6_CACHE=checkout.path / "cache"), "cache/patches")
    assert "??" not in checkout.git("status", "--porcelain")
    checkout.make("distclean", SEG6_CACHE=checkout.path / "cache")
    assert not (checkout.path / "cache").exists()


def test_no_user_namespaces(new):
    """A user who is not root and may not create namespaces is told what to do."""
    checkout = new()
    programs = cache_in(checkout, "bin")
    programs.mkdir()
    for name, text in (("bwrap", "echo no permissions to create a new namespace; exit 1"), ("newuidmap", ""),
                       ("mmdebstrap", "")):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    user = os.geteuid() or 65534
    become = ["setpriv", f"--reuid={user}", "--clear-groups"] if not os.geteuid() else []
    home = cache_in(checkout, "home")
    home.mkdir()
    os.chown(home, user, -1)
    checkout.path.parent.chmod(0o755)
    said = checkout.make("demo", wants=2, SEG6_CACHE=home / "cache", before=[
        *become, "env", f"PATH={programs}:{os.environ['PATH']}"])
    contains(said, "no permissions to create a new namespace", "run it as root, or allow user namespaces")


def test_patches_of_read_only_checkout(new):
    """What needs no build works from a checkout that nobody may write to."""
    checkout = new()
    before = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", checkout.path, checkout.path]
    checkout.make("patches", before=before, SEG6_CACHE=cache_in(checkout))


def test_clean_twice(new):
    """Cleaning removes what is ours and says so, twice in a row, and not under a run."""
    checkout = new()
    cache = cache_in(checkout)
    checkout.make("patches", SEG6_CACHE=cache)
    hold = checkout.path / "tools/host/run.sh"
    with subprocess.Popen([hold, "sleep", "60"], env={**os.environ, "SEG6_CACHE": str(cache), "SEG6_RUN": ""},
                          stderr=subprocess.DEVNULL) as run:
        wait_for(lambda: (cache / "log").exists())
        time.sleep(0.2)
        contains(checkout.make("clean", wants=2, SEG6_CACHE=cache), "another run uses")
        run.terminate()
    contains(checkout.make("clean", SEG6_CACHE=cache), f"removing {cache}/patches")
    checkout.make("distclean", SEG6_CACHE=cache)
    contains(checkout.make("distclean", SEG6_CACHE=cache), "nothing to remove")
    assert not cache.exists()


def test_runs_have_folders(new):
    """Runs at the same time have different folders, which are used again."""
    checkout = new()
    cache = cache_in(checkout)
    environment = {**os.environ, "SEG6_CACHE": str(cache), "SEG6_RUN": ""}
    runs = []
    for _ in range(3):
        runs.append(subprocess.Popen([checkout.path / "tools/host/run.sh", "sh", "-c", "echo $SEG6_RUN; read line"],
                                     env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True))
    folders = [run.stdout.readline().rstrip() for run in runs]
    assert sorted(folders) == [str(cache), f"{cache}/run-2", f"{cache}/run-3"], folders
    for run in runs:
        run.communicate("\n")
    again = subprocess.run([checkout.path / "tools/host/run.sh", "sh", "-c", "echo $SEG6_RUN[$IMPL]"], check=True,
                           env={**environment, "IMPL": ""}, capture_output=True, text=True)
    assert again.stdout.rstrip() == f"{cache}[]" and not again.stderr, again


def test_interrupted_step(new):
    """What a step has started ends with it."""
    checkout = new()
    mark = f"86{os.getpid()}"
    script = checkout.path / "tools/host/stuck.sh"
    script.write_text(f'. "$(dirname "$0")/lib.sh"\nstuck() {{ sleep {mark} | cat; }}\nstep stuck stuck.log 0 stuck\n')
    environment = {**os.environ, "SEG6_CACHE": str(cache_in(checkout)), "SEG6_RUN": ""}
    with subprocess.Popen(["bash", "-eu", checkout.path / "tools/host/run.sh", "bash", "-eu", script], env=environment,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        wait_for(lambda: running(mark))
        run.terminate()
    wait_for(lambda: not running(mark))


def running(mark):
    """Whether there is a process `sleep MARK`."""
    return not subprocess.run(["pgrep", "-xf", f"sleep {mark}"], check=False, stdout=subprocess.DEVNULL).returncode


def test_progress(new):
    """Progress never tells more objects than there are."""
    checkout = new()
    log = checkout.path / "log"
    log.write_text("  CC      a.o\n  AR      built-in.a\n  RUSTC L rust/core.o\n  CC [M]  b.o\n")
    for expected, text in ((5, "3 of about 5 objects"), (2, "3 objects"), (0, "  CC [M]  b.o")):
        assert sourced(checkout, f"progress {log} {expected}").rstrip("\n") == text


def test_diagnostics(new):
    """Warnings in our files and errors have their lines, and paths of the checkout."""
    checkout = new()
    tree, log = checkout.path.parent / "tree", checkout.path.parent / "log"
    (tree / "net/ipv6").mkdir(parents=True)
    (tree / "net/ipv6/route.c").touch()
    leaf = "net/ipv6/seg6_local/counters.rs"
    Path(f"{tree}.manifest").write_text(f"{leaf}\nnet/ipv6/route.c\n")
    rust = [f"  --> /seg6/src/{leaf}:5:9", "   |", "5  |     let y = 3;", "   |         ^ help: _y"]
    clang = ["    5 | int f(void) { return z; }", "      |                      ^"]
    log.write_text("\n".join([
        "make: Entering directory '/seg6/src'", "warning: unused variable: `y`", *rust, "",
        "/seg6/src/net/ipv6/route.c:5:1: warning: patched", *clang, "  CC      net/ipv6/sit.o",
        "/seg6/src/net/ipv6/sit.c:5:1: warning: not ours", *clang,
        "error[E0425]: cannot find value", *rust, "", "error: aborting due to 1 previous error", "",
        "/seg6/src/net/ipv6/route.c:5:1: error: undeclared", *clang, "make: *** Error 1"]))

    def said(kind):
        return subprocess.run([checkout.path / "tools/host/diagnostics.py", kind, log, tree], check=True,
                              capture_output=True, text=True).stdout.splitlines()

    ours = [f"  --> {checkout.path / leaf}:5:9", *rust[1:]]
    assert said("warnings") == ["warning: unused variable: `y`", *ours,
                                f"{tree}/net/ipv6/route.c:5:1: warning: patched", *clang], said("warnings")
    assert said("errors") == ["error[E0425]: cannot find value", *ours,
                              f"{tree}/net/ipv6/route.c:5:1: error: undeclared", *clang], said("errors")


