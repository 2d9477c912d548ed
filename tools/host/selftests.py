# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the kselftests of tools/testing/selftests/net/seg6_local in guests."""

import re
import shlex
import subprocess
from dataclasses import dataclass, replace

import ktap
import vm

DIRECTORY = "tools/testing/selftests/net/seg6_local"
REPO = vm.TOOLS.parents[1]
ALSO_FOR_C = ("prog", "client", "storm")
LEAKS = "leaks.py"
MARK = re.compile(r"@@ (?:begin (?P<begin>\S+)|end (?P<end>\S+) (?P<status>\d+) (?P<seconds>\d+))$")


@dataclass
class Test:
    """A test program. One with a crash pattern makes the C kernel print that text on the console.

    Those of the kind `crash` end it, those of the kind `kasan` are only noticed by KASAN. It does not get those of the
    kinds `rust` and `debug`, which it may or may not survive. One with parameters gets a kernel with these.
    """

    kind: str
    name: str
    crash: str = ""
    parameters: str = ""


def find(name=None):
    """The tests that the Makefile lists for this CONFIG, or those of that name (with or without its suffix).

    Where there is kmemleak, LEAKS asks it what these have left.
    """
    command = ["make", "--no-print-directory", "-s", "-C", REPO / DIRECTORY, "list"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    tests = [Test(*line.split(None, 2)) for line in lines]
    parameters = {test.name: test.crash for test in tests if test.kind == "parameters"}
    tests = [replace(test, parameters=parameters.get(test.name, "")) for test in tests if test.kind != "parameters"]
    if not name:
        return [test for test in tests if test.kind != "debug" or vm.CONFIG != "base"]
    found = [test for test in tests if name in (test.name, test.name.rsplit(".", 1)[0])]
    has_kmemleak = vm.CONFIG.startswith("debug")
    return found + [test for test in tests if found and has_kmemleak and test.name == LEAKS and test not in found]


def run(impl, tests, report):
    """Runs tests on one kernel; report(impl, result, seconds) is called after each.

    With the kernel's checkers the C implementation only gets the programs that it does not survive.
    """
    wanted = [test for test in tests if impl != "c" or vm.CONFIG == "base" and test.kind in ALSO_FOR_C]
    for parameters in dict.fromkeys(test.parameters for test in wanted):
        pending = [test.name for test in wanted if test.parameters == parameters]
        while pending:
            pending = run_guest(impl, pending, report, VM_APPEND=parameters)
    for test in tests:
        if impl == "c" and (test.kind == "crash" or test.kind == "kasan" and vm.CONFIG != "base"):
            run_crash(test, report)


def guest_command(names, directory=f"/mnt/host/{DIRECTORY}"):
    """The command line that runs the named tests of a directory in a guest."""
    return shlex.join(["/mnt/host/tools/host/guest-tests.sh", directory, *names])


def run_guest(impl, names, report, command=guest_command, parse=ktap.parse_program, **settings):
    """Runs tests in one guest by command(names); returns those that are left when it dies early.

    parse(name, output, status) makes the result of a test of its output. The settings are those of vm.sh.
    """
    console = vm.RESULTS / f"{impl}-{names[0]}-console.log"
    left, name, output = list(names), None, []
    with vm.boot(impl, command(names), console, VM_OUTPUT=str(vm.RUN / "selftests"), VM_TIMEOUT="3600",
                 **settings) as guest:
        for line in guest.stdout:
            match = MARK.match(line.rstrip("\r\n"))
            if line.startswith("note: "):
                print(f"{impl}: {line}", end="", flush=True)
            if not match:
                output.append(line)
            elif match["begin"]:
                name, output = match["begin"], []
            else:
                result = finish(impl, name, "".join(output), int(match["status"]), parse)
                report(impl, result, int(match["seconds"]))
                left.remove(name)
                name, output = None, []
    if left:
        failed = name or left[0]
        result = finish(impl, failed, "".join(output), 0, parse)
        result.failures.append(f"the guest ended with status {guest.returncode}; console: {console}")
        report(impl, result, 0)
        left.remove(failed)
    elif guest.returncode:
        report(impl, ktap.Result("guest", failures=[f"it ended with status {guest.returncode}; console: {console}"]), 0)
    if impl != "c" and (lines := vm.splats(vm.console(console))):
        report(impl, ktap.Result("console", failures=[*lines[:20], f"console: {console}"]), 0)
    return left


def finish(impl, name, output, status, parse):
    """Keeps the output of a test program and reads its result."""
    (vm.RESULTS / f"{impl}-{name}.log").write_text(output)
    return parse(name, output, status)


def run_crash(test, report):
    """Runs one program alone and expects that the C kernel complains in the known way."""
    console = vm.RESULTS / f"c-{test.name}-console.log"
    with vm.boot("c", guest_command([test.name]), console, VM_OUTPUT=str(vm.RUN / "selftests"),
                 VM_TIMEOUT="300", VM_APPEND=test.parameters) as guest:
        output = guest.communicate()[0]
    (vm.RESULTS / f"c-{test.name}.log").write_text(output)
    result = ktap.Result(f"{test.name} breaks the C kernel")
    if re.search(test.crash, vm.console(console)):
        result.passed = 1
    else:
        result.failures.append(f"no '{test.crash}' in {console}")
    report("c", result, 0)
