#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Loading and unloading of the module, also while programs that call into it are loaded and run.

Where seg6local is a part of the kernel image there is nothing to unload, and the test makes sure of that.
"""

import errno
import os
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import ebpf
import lib
import netlink as nl
import packet as p
import script as s
from lwt_in import PACKET, SEG6, SEG6_INLINE, lwt_bpf, pushed
from topology import ALT, OUT, Installed, Net, Traffic, set_tunnel_source, sysctl

END = nl.u32(nl.ACTION, nl.END)
SEGMENTS = ["fd02::77", "fd03::9"]
HEADER = p.srh(0, SEGMENTS, 1)
UNSUPPORTED = -errno.EOPNOTSUPP
ROUNDS, CALLS = 5, 64


def is_loaded():
    """Whether the module is there."""
    return os.path.isdir(lib.MODULE + "/holders")


def rmmod():
    """Tries to unload the module; returns whether that worked, and what rmmod says if not."""
    done = subprocess.run(("rmmod", "seg6_local"), capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr.strip()


def unload():
    """Unloads the module if it is loaded, when the last SID is gone."""
    if is_loaded():
        lib.wait_for(lambda: rmmod()[0], "rmmod seg6_local")
    lib.check(not is_loaded(), "the module is still there")


def refused(net):
    """rmmod is refused while a SID is installed, and the SID goes on."""
    with net.installed(END):
        works, text = rmmod()
        lib.check(not works and "in use" in text, f"rmmod: {works}, {text}")
        out = net.send(p.sr("fcff::e", ["fd02::a", "fcff::e"], 1))
    return out


def loaded_by_route(net):
    """A route loads the module, and afterwards it can be unloaded."""
    unload()
    with net.installed(END):
        loaded = is_loaded()
        lib.served_by()
    unload()
    return loaded


def loaded_by_helper(helper, kind):
    """A program that calls the helper loads the module, one that does not call it does not."""
    unload()
    size = len(HEADER)
    os.close(ebpf.load_program(ebpf.returning(0), kind))
    before = is_loaded()
    zeros = [word for offset in range(8, size + 1, 8) for word in ebpf.store(8, 10, -offset, 0)]
    fd = ebpf.load_program([*ebpf.copy(6, 1), *ebpf.mov(0, 0), *zeros, *ebpf.copy(1, 6), *ebpf.mov(2, 0),
                            *ebpf.copy(3, 10), *ebpf.add(3, -size), *ebpf.mov(4, size), *ebpf.call(helper),
                            *ebpf.returning(0)], kind)
    after = is_loaded()
    os.close(fd)
    return before, after


def refused_calls(net, script):
    """A program of type LWT_IN whose helper is gone: its calls are refused, and work again after the next load."""
    calls = [s.push_encap(SEG6, HEADER), s.push_encap(SEG6_INLINE, HEADER), s.push_encap(3, HEADER)]
    unload()
    gone = pushed(net, script, calls, ebpf.OK)
    os.close(ebpf.load_program([*ebpf.mov(2, 0), *ebpf.mov(3, 0), *ebpf.call(ebpf.ADJUST_SRH), *ebpf.returning(0)]))
    back = pushed(net, script, calls[:1], ebpf.OK)
    return gone, back


def test_run_without(script):
    """BPF_PROG_TEST_RUN of a push while the module is gone."""
    unload()
    script.write([s.push_encap(SEG6, HEADER)], (ebpf.OK,))
    result, verdict, frame = ebpf.test_run(script.lwt_in, bytes(12) + b"\x86\xdd" + PACKET)
    return result, verdict, script.results(1), frame[14:]


def under_traffic(net, script, kind, build):
    """Packets run through the helper while the module comes and goes: each is pushed or left as it was."""
    script.write([s.push_encap(kind, HEADER)], (ebpf.OK,) * 4, s.EVERY_RUN)
    plain, pushed_ = p.hop(PACKET), p.hop(build(PACKET, SEGMENTS, 1))
    with Installed(net, lwt_bpf(net, script.lwt_in, "fd08::/16", "fdff:2::1")), Traffic(net, PACKET) as traffic:
        for _ in range(ROUNDS):
            with net.installed(END):
                traffic.wait(pushed_)
            unload()
            traffic.wait(plain)
    lib.equal(set(traffic.seen), {plain, pushed_}, "what comes out")


def without_modprobe(net, script):
    """What happens if the kernel cannot load the module: adding a SID, and calls of a helper."""
    unload()
    modprobe = sysctl("kernel/modprobe", "/nonexistent")
    try:
        fd = ebpf.load_program([*ebpf.mov(2, 0), *ebpf.mov(3, 0), *ebpf.call(ebpf.ADJUST_SRH), *ebpf.returning(0)])
        os.close(fd)
        return net.rtnl.add(net.sid(END)), pushed(net, script, [s.push_encap(SEG6, HEADER)], ebpf.OK)[0]
    finally:
        sysctl("kernel/modprobe", modprobe)


def requests_of_a_load():
    """Whether a program that calls a helper often asks for the module, and not for each call, if that does not help."""
    unload()
    with tempfile.TemporaryDirectory() as folder:
        called, program = Path(folder, "called"), Path(folder, "modprobe")
        program.write_text(f"#!/bin/sh\necho >>{called}\nexit 1\n", encoding="ascii")
        program.chmod(0o700)
        modprobe = sysctl("kernel/modprobe", program)
        try:
            call = [*ebpf.copy(1, 6), *ebpf.mov(2, 3), *ebpf.copy(3, 10), *ebpf.add(3, -8), *ebpf.mov(4, 8),
                    *ebpf.call(ebpf.PUSH_ENCAP)]
            os.close(ebpf.load_program([*ebpf.copy(6, 1), *ebpf.mov(0, 0), *ebpf.store(8, 10, -8, 0),
                                        *call * CALLS, *ebpf.returning(0)], ebpf.TYPE_LWT_IN))
        finally:
            sysctl("kernel/modprobe", modprobe)
        return 0 < called.stat().st_size < CALLS // 4


def not_a_module(net):
    """seg6local is in the image: with a SID and without, there is no module."""
    with net.installed(END):
        inside = is_loaded(), rmmod()[0]
    return inside, (is_loaded(), rmmod()[0])


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Net()
    suite = net.suite()
    set_tunnel_source()
    if lib.IS_MODULE:
        suite.add("rmmod with a SID is refused", partial(refused, net),
                  [(OUT, p.sr("fd02::a", ["fd02::a", "fcff::e"], 0, hlim=63))])
        suite.add("a route loads the module, rmmod without a SID works", partial(loaded_by_route, net), True)
        for helper, name, kind in ((ebpf.STORE_BYTES, "store_bytes", ebpf.TYPE_LWT_SEG6LOCAL),
                                   (ebpf.ACTION, "action", ebpf.TYPE_LWT_SEG6LOCAL),
                                   (ebpf.PUSH_ENCAP, "push_encap", ebpf.TYPE_LWT_IN)):
            suite.add(f"a program that calls {name} loads the module", partial(loaded_by_helper, helper, kind),
                      (False, True))
        plain = [(OUT, p.hop(PACKET))]
        suite.add("calls without the module: -EOPNOTSUPP", partial(refused_calls, net, script),
                  (([UNSUPPORTED] * 2 + [-errno.EINVAL], plain),
                   ([0], [(ALT, p.hop(p.encapsulated(PACKET, SEGMENTS, 1)))])))
        suite.add("BPF_PROG_TEST_RUN without the module: -EOPNOTSUPP", partial(test_run_without, script),
                  (0, 0, [UNSUPPORTED], PACKET))
        for name, kind, build in (("SEG6", SEG6, p.encapsulated), ("SEG6_INLINE", SEG6_INLINE, p.inline)):
            suite.add(f"rmmod while packets run through {name}", partial(under_traffic, net, script, kind, build))
        suite.add("a module that cannot be loaded is not asked for by each call", requests_of_a_load, True)
        suite.add("no module to be found", partial(without_modprobe, net, script),
                  ((errno.EOPNOTSUPP, "lwt encapsulation type not supported"), [UNSUPPORTED]))
        suite.add("a route after all that", net.serving)
    else:
        suite.add("there is no module", partial(not_a_module, net), ((False, False), (False, False)))
    suite.main()


if __name__ == "__main__":
    main()
