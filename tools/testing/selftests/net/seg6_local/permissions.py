#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may add SIDs, load their programs, change the settings of SRv6 and cause the module to be loaded.

What is allowed is decided before seg6local is asked, so all implementations have the same answers. The last case
switches sysctl nf_hooks_lwtunnel on, which lasts: this program comes last.
"""

import ctypes
import errno
import os
import pickle
import socket
import struct
import traceback
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
from bpf import end_bpf
from edge import VRF_TABLE, Edge
from hooks import KNOB, write
from nexthops import NEXTHOP, nexthop, samples
from topology import OUT, SID, Net, ip_batch, set_tunnel_source, sysctl
from unload import is_loaded, unload

NOBODY = 65534
CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF = 12, 21, 39
PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 4, 8
CAPABILITY_VERSION = 0x20080522
TYPES = ebpf.TYPE_LWT_SEG6LOCAL, ebpf.TYPE_LWT_IN
SID_ARRIVES, SID_LEAVES = p.sr(SID, ["fd02::a", SID], 1), p.sr("fd02::a", ["fd02::a", SID], 0, hlim=63)
OWN_DEVICES = f"""
link set lo up
link add dum0 type dummy
link set dum0 up
link add red type vrf table {VRF_TABLE}
link set red up
"""


def system(result):
    """Checks the result of a function of the C library."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def become_nobody():
    """Gives up the user root, and with it all capabilities in effect."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    system(ebpf.LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))


def keep(*capabilities):
    """Becomes a user who has these capabilities only."""
    system(ebpf.LIBC.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    become_nobody()
    mask = sum(1 << number for number in capabilities)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = ebpf.Pointer(struct.pack("=Ii", CAPABILITY_VERSION, 0))
    system(ebpf.LIBC.capset(header.buffer, ebpf.Pointer(struct.pack("=6I", low, low, 0, high, high, 0)).buffer))


def become_namespace_root(flags=0):
    """Becomes root of a user namespace that nobody has made; `flags` are other namespaces to make."""
    become_nobody()
    os.unshare(os.CLONE_NEWUSER | flags)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {NOBODY} 1"), ("gid_map", f"0 {NOBODY} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def become_owner():
    """Becomes root of a user namespace that has a network namespace of its own, with devices."""
    become_namespace_root(os.CLONE_NEWNET)
    ip_batch(OWN_DEVICES)
    sysctl("net/vrf/strict_mode", 1)


# User: (how to become one, may configure the network, may load programs, may change the settings of SRv6)
USERS = {
    "root": (lambda: None, True, True, True),
    "nobody": (become_nobody, False, False, False),
    "CAP_NET_ADMIN": (partial(keep, CAP_NET_ADMIN), True, False, True),
    "CAP_BPF": (partial(keep, CAP_BPF), False, False, False),
    "CAP_BPF and CAP_NET_ADMIN": (partial(keep, CAP_BPF, CAP_NET_ADMIN), True, True, True),
    "CAP_SYS_ADMIN": (partial(keep, CAP_SYS_ADMIN), False, True, False),
    "root of a user namespace": (become_namespace_root, False, False, False),
    "root of a user namespace with its own network": (become_owner, True, False, False),
}


def run_as(become, run):
    """What run() returns in a process that has become another user."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            become()
            result = None, run()
        except BaseException:  # pylint: disable=broad-except
            result = traceback.format_exc(), None
        with open(writer, "wb") as pipe:
            pipe.write(pickle.dumps(result))
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        problem, value = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    lib.check(not problem, problem)
    return value


def message(attributes):
    """The route message of a SID on dum0."""
    device = nl.u32(nl.RTA_OIF, socket.if_nametoindex("dum0"))
    return nl.route(f"{SID}/128", device, nl.encap(nl.ENCAP_SEG6_LOCAL, attributes))


def configured(sids):
    """The errno of adding, replacing and deleting SIDs, and of a nexthop object: the set of them."""
    rtnl, codes = nl.Rtnl(), set()
    for attributes in sids:
        body = message(attributes)
        codes |= {rtnl.add(body)[0], rtnl.add(body, nl.F_REPLACE)[0], rtnl.delete(body)[0]}
    body = nexthop(socket.if_nametoindex("dum0"), 7, nl.u32(nl.ACTION, nl.END))
    return codes | {rtnl.change(nl.RTM_NEWNEXTHOP, body, nl.F_CREATE)[0],
                    rtnl.change(nl.RTM_DELNEXTHOP, NEXTHOP + nl.u32(nl.NHA_ID, 7))[0]}


HELPER_CALL = [*ebpf.mov(2, 0), *ebpf.mov(3, 0), *ebpf.call(ebpf.ADJUST_SRH), *ebpf.returning(0)]


def loaded():
    """The errno of loading programs of each type, without and with a helper."""
    results = [ebpf.try_load(ebpf.returning(ebpf.OK), kind)[0] for kind in TYPES]
    results.append(ebpf.try_load(HELPER_CALL)[0])
    return {-min(result, 0) for result in results}


def tested(*programs):
    """What BPF_PROG_TEST_RUN of programs that were passed to the user returns."""
    return [ebpf.test_run(fd, bytes(12) + b"\x86\xdd" + SID_ARRIVES)[0] for fd in programs]


def settings():
    """The errno of each setting of SRv6: two writes and two reads."""
    seg6 = nl.Seg6()
    return {seg6.command(seg6.SET_TUNNEL_SOURCE, nl.addr6(seg6.DST, p.TUNNEL_SRC))[0], seg6.set_key(9, b"key"),
            seg6.command(seg6.GET_TUNNEL_SOURCE)[0], seg6.command(seg6.DUMP_HMAC, flags=nl.F_DUMP)[0]}


def written(name):
    """The errno of writing to a sysctl what it holds."""
    path = "/proc/sys/" + name
    with open(path, encoding="ascii") as knob:
        value = knob.read()
    try:
        with open(path, "w", encoding="ascii") as knob:
            knob.write(value)
    except OSError as error:
        return error.errno
    return 0


def sysctls():
    """The errno of writing to the sysctls."""
    return {written(name) for name in ("net/ipv6/conf/dum0/seg6_require_hmac", "net/ipv6/conf/all/seg6_enabled",
                                       "net/ipv6/seg6_flowlabel", KNOB)}


def read(net, attributes):
    """What a user without rights reads of a SID, and what root reads."""
    with net.installed(attributes):
        return run_as(become_nobody, lambda: nl.Rtnl().get(SID)[nl.RTA_ENCAP]) == net.rtnl.get(SID)[nl.RTA_ENCAP]


def causes_load(become, attempt):
    """Whether the module is loaded after the attempt of a user."""
    unload()
    run_as(become, attempt)
    return is_loaded()


def own_traffic(fd):
    """What comes out of a SID with a program that was passed to the user, in a network of the user's own."""
    return Net().through(end_bpf(fd), SID_ARRIVES)


def for_everybody():
    """A user switches the hooks on in a network of the user's own; the errno, and what the rest of the system has."""
    code = run_as(become_owner, partial(write, 1))
    with open("/proc/sys/" + KNOB, encoding="ascii") as knob:
        return code, knob.read().strip()


def add_user(suite, programs, sids, name):
    """What one user may do with programs and SIDs."""
    become, configures, loads, sets = USERS[name]

    def add(what, run, allowed, code=errno.EPERM):
        """Adds a case."""
        suite.add(f"{name}: {what}: {'allowed' if allowed else errno.errorcode[code]}", partial(run_as, become, run),
                  {0} if allowed else {code})

    add("SIDs with each behavior", partial(configured, sids), configures)
    add("programs", loaded, loads)
    add("keys and tunnel source", settings, sets)
    add("sysctls", sysctls, configures, errno.EACCES)
    suite.add(f"{name}: BPF_PROG_TEST_RUN of programs that were passed on",
              partial(run_as, become, partial(tested, *programs)), [-524, 0])
    for what, attempt, allowed in (("adding SIDs", partial(configured, sids), configures),
                                   ("loading programs", loaded, loads)):
        suite.add(f"{name}: {what} {'loads' if allowed and lib.IS_MODULE else 'does not load'} the module",
                  partial(causes_load, become, attempt), allowed and lib.IS_MODULE)


def main():
    """Builds the suite and runs it."""
    programs = [ebpf.load_program(ebpf.returning(ebpf.OK), kind) for kind in TYPES]
    net = Edge()
    sids = [attributes for _, attributes, _, _ in samples(net)] + [b"".join(end_bpf(programs[0]))]
    suite = net.suite()
    set_tunnel_source()
    for name in USERS:
        add_user(suite, programs, sids, name)
    suite.add("nobody reads a SID as root does", partial(read, net, nl.u32(nl.ACTION, nl.END)), True)
    suite.add("root of a user namespace: traffic through a program that was passed on",
              partial(run_as, become_namespace_root, partial(own_traffic, programs[0])),
              ([(OUT, SID_LEAVES)], (1, len(SID_ARRIVES), 0)))
    suite.add("root of a user namespace: nf_hooks_lwtunnel is for everybody", for_everybody, (0, "1"))
    suite.main()


if __name__ == "__main__":
    main()
