#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that was started with ipv6.disable=1: there is no seg6local, as there is no IPv6."""

import errno
import os
import socket
import subprocess
from functools import partial

import lib
import netlink as nl
from topology import ip, ip_batch, new_namespace

UNSUPPORTED = errno.EOPNOTSUPP, "lwt encapsulation type not supported"
END = nl.encap(nl.ENCAP_SEG6_LOCAL, nl.u32(nl.ACTION, nl.END))
NEAR = bytes((2, 0, 0, 0, 0, 1))


def has_ipv6():
    """Whether there are sockets of IPv6."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError as error:
        lib.equal(error.errno, errno.EAFNOSUPPORT, "errno")
        return False
    return True


def set_up():
    """Enters a new namespace with two devices; returns the index of one."""
    new_namespace()
    ip_batch(f"""
link add far type veth peer name near address {NEAR.hex(':')}
link set far up
link set near up
addr add 192.0.2.1/24 dev near
""", "-4")
    return socket.if_nametoindex("near")


def added(rtnl, family, dst, device):
    """What a route that is a SID gets, and whether it is there."""
    result = rtnl.add(nl.route(dst, nl.u32(nl.RTA_OIF, device), END, family=family))
    return result, "seg6local" in ip("route")


def modprobe():
    """What becomes of the module; where there is none, what would be if it were one."""
    done = subprocess.run(("modprobe", "seg6_local"), capture_output=True, text=True, check=False)
    return done.returncode != 0 or not lib.IS_MODULE, "No such device" in done.stderr or not lib.IS_MODULE


def is_served():
    """Whether the module is loaded; a part of the image has no counterpart of that."""
    return os.path.isdir(lib.MODULE + "/holders")


def main():
    """Builds the suite and runs it."""
    suite = lib.Suite()
    device = set_up()
    rtnl = nl.Rtnl()
    suite.add("there is no IPv6", has_ipv6, False)
    suite.add("a SID as a route of IPv4: unknown encapsulation",
              partial(added, rtnl, socket.AF_INET, "198.51.100.0/24", device), (UNSUPPORTED, False))
    suite.add("a SID as a route of IPv6: -EOPNOTSUPP", partial(added, rtnl, socket.AF_INET6, "fcff::e/128", device),
              ((errno.EOPNOTSUPP, None), False))
    suite.add("the module does not load: -ENODEV", modprobe, (True, True))
    suite.add("nor is it there after all that", is_served, False)
    suite.main()


if __name__ == "__main__":
    main()
