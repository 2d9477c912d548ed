# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs commands in guests, through vm.sh."""

import os
import signal
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
SELFTESTS = TOOLS.parent / "testing/selftests/net/seg6_local"
sys.path.append(str(SELFTESTS))

from lib import SPLAT  # noqa: E402  pylint: disable=wrong-import-position

RUN = Path(os.environ.get("SEG6_RUN", ""))  # see run.sh
LOGS = RUN / "log"
CONFIG = os.environ.get("CONFIG") or "base"
RESULTS = LOGS / "test" / CONFIG

RUNNING = []


def boot(impl, command, log, **settings):
    """Starts a guest; its console goes to log. The settings are those of vm.sh (CONFIG, VM_APPEND, ...)."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "IMPL": impl, "CMD": command, "VM_CONSOLE": str(log), **settings}
    return spawn([TOOLS / "vm.sh"], environment)


def spawn(command, environment=None):
    """Starts a process that ends with this one; what it prints, errors too, is its `stdout`."""
    process = subprocess.Popen(command, env=environment, text=True, errors="replace", stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    RUNNING.append(process)
    return process


def end(*_):
    """Ends all that was started and the process, which does not even wait for its threads."""
    for process in RUNNING:
        process.terminate()
    os._exit(130)


def run(main):
    """Exits with the status that main() returns. When it is interrupted or terminated, it ends what it has started."""
    if "SEG6_RUN" not in os.environ:
        os.execv(TOOLS / "run.sh", [TOOLS / "run.sh", TOOLS / Path(sys.argv[0]).name, *sys.argv[1:]])
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    sys.exit(main())


def console(log):
    """The kernel's messages in a console log."""
    return log.read_text(errors="replace") if log.exists() else ""


def splats(text):
    """The kernel's messages that should not be there."""
    return [line for line in text.splitlines() if SPLAT.search(line)]
