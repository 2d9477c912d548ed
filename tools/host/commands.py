#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the commands of the Makefile the way a person would, in copies of this checkout. Prints TAP.

    commands.py         what they say without building anything: in `make test`
    commands.py all     with builds and guests, too, in the cache of this checkout: `make check-commands`

T limits them to some, by names or patterns. The kernels in the cache are those of the copies afterwards: the next build
makes them those of the checkout again.
"""

import contextlib
import fnmatch
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
REPO = TOOLS.parents[1]
# What a person has not set.
UNSET = ("SEG6_RUN", "IMPL", "CONFIG", "T", "CMD", "DIR", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "KERNEL_SRC",
         "KERNEL_SERIES", "COUNT", "SEED")
STARTED = []


class Checkout:
    """A copy of the checkout, and its make."""

    def __init__(self, path):
        self.path = path
        git = ["git", "-c", "safe.directory=*", "-C", REPO, "ls-files", "-z", "-co", "--exclude-standard"]
        for name in subprocess.run(git, check=True, capture_output=True, text=True).stdout.split("\0"):
            if name and (REPO / name).is_file():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPO / name, path / name)
        self.git("init", "-q")
        self.git("add", "-A")

    def git(self, *args):
        """What git says."""
        return subprocess.run(["git", "-C", self.path, *args], check=True, capture_output=True, text=True).stdout

    def start(self, *args, before=(), **variables):
        """Starts make; `before` is a command that runs it."""
        environment = {name: value for name, value in os.environ.items() if name not in UNSET}
        environment |= {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org"}
        command = [*before, "make", "-C", self.path, *args, *(f"{name}={value}" for name, value in variables.items())]
        STARTED.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True))
        return STARTED[-1]

    def make(self, *args, wants=0, **more):
        """Runs make; returns what it has said. Its status has to be `wants`: 0, or 2 for a failure."""
        return ended(self.start(*args, **more), wants, args)

    def edit(self, name, old, new):
        """Changes a file."""
        text = (self.path / name).read_text()
        assert old in text, f"{name} lacks {old}"
        (self.path / name).write_text(text.replace(old, new, 1))

    def describe(self, text):
        """Changes what the module says of itself."""
        path = self.path / "net/ipv6/seg6_local/seg6_local.rs"
        path.write_text(re.sub(r'(description: )".*"', rf'\1"{text}"', path.read_text()))


def ended(process, wants, args):
    """What a process has said when it has ended with that status."""
    said = process.communicate()[0]
    assert process.returncode == wants, f"{args}: status {process.returncode} instead of {wants}:\n{said}"
    return said


def contains(said, *texts):
    """Whether all of the texts were said."""
    for text in texts:
        assert text in said, f"'{text}' was not said, but:\n{said}"


def wait_for(condition, seconds=30):
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def typed(checkout, lines, *args, seconds=900):
    """Runs make on a terminal and types a line at each prompt; returns its status and what was on the terminal."""
    child, terminal = pty.fork()
    if not child:
        for name in UNSET:
            os.environ.pop(name, None)
        os.execvp("make", ["make", "-C", str(checkout.path), *args])
    said, shown, end = b"", 0, time.monotonic() + seconds
    with contextlib.suppress(OSError):  # the other side is closed
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.5)[0]:
                said += os.read(terminal, 4096)
            elif lines and said[shown:].rstrip().endswith(b"#"):
                shown = len(said)
                os.write(terminal, lines.pop(0).encode() + b"\r")
    if time.monotonic() >= end:
        os.killpg(child, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.decode(errors="replace")


@contextlib.contextmanager
def checkouts():
    """Makes copies of the checkout, in a folder that goes with them; and so does what was started in them."""
    with tempfile.TemporaryDirectory(prefix="seg6-commands-") as folder:
        try:
            yield lambda name="checkout": Checkout(Path(folder, name))
        finally:
            while STARTED:
                process = STARTED.pop()
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                    process.communicate()


def main():
    """See the documentation of the module."""
    # pylint: disable=import-outside-toplevel
    import commands_build
    import commands_said
    modules = (commands_said, commands_build) if sys.argv[1:] == ["all"] else (commands_said,)
    patterns = os.environ.get("T", "").split() or ["*"]
    tests = {name.removeprefix("test_"): test for module in modules for name, test in vars(module).items()
             if name.startswith("test_")}
    cases = [(name, test) for name, test in tests.items() if any(fnmatch.fnmatch(name, one) for one in patterns)]
    if not cases:
        sys.exit(f"error: T={' '.join(patterns)} is none of: {' '.join(tests)}")
    print(f"1..{len(cases)}", flush=True)
    failed = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    for number, (name, test) in enumerate(cases, 1):
        start = time.monotonic()
        try:
            with checkouts() as new:
                test(new)
            word = "ok"
        except Exception:  # pylint: disable=broad-exception-caught
            print("# " + traceback.format_exc().rstrip().replace("\n", "\n# "))
            word, failed = "not ok", failed + 1
        print(f"{word} {number} {name} ({time.monotonic() - start:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.path.insert(0, str(TOOLS))
    sys.modules.setdefault("commands", sys.modules["__main__"])
    sys.exit(main())
