#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""FRR installs SIDs, the kernel serves them, and FRR removes them again.

Two routers run FRR. That of edge.py has micro-SIDs (NEXT-C-SID, RFC 9800), its neighbor `peer` has classic SIDs.
Those of the node and of the adjacency come from isisd; those of VRFs from staticd on the edge, from bgpd on the peer.

      edge   is0 fe80::e  <------>  is1 fe80::f   peer

The daemons find nothing of the system's FRR: configuration, sockets and state are in file systems of their own.
"""

import json
import os
import shutil
import subprocess
import tempfile
from functools import partial

import lib
import packet as p
from edge import CUST, Edge
from topology import OUT, command, enter, ip, ip_batch, new_namespace, sysctl

DAEMONS = "/usr/lib/frr"
DIRECTORIES = "/etc/frr", "/run/frr", "/var/lib/frr", "/var/tmp/frr"
SECONDS = 180  # until daemons run, have found each other, and have ended

EDGE_DEVICES = """
link add sr0 type dummy
link set sr0 up
link add is0 type veth peer name is1 netns {peer}
link set is0 addrgenmode none
link set is0 up
addr add fe80::e/64 dev is0 nodad
route add fcbb:aa00::/32 via fdff:2::1 dev out0
route add fcbb:bb00::/32 via fe80::f dev is0
"""
PEER_DEVICES = """
link set lo up
link add sr0 type dummy
link set sr0 up
link add red type vrf table 200
link set red up
link add blue type vrf table 201
link set blue up
link set is1 addrgenmode none
link set is1 up
addr add fe80::f/64 dev is1 nodad
route add default via fe80::e dev is1
"""

EDGE_CONFIG = """
segment-routing
 srv6
  locators
   locator MAIN
    prefix fcbb:aa00:1::/48 block-len 32 node-len 16 func-bits 16
    behavior usid
    format usid-f3216
   exit
  exit
  static-sids
   sid fcbb:aa00:1:fe04::/64 locator MAIN behavior uDT4 vrf red
   sid fcbb:aa00:1:fe06::/64 locator MAIN behavior uDT6 vrf red
   sid fcbb:aa00:1:fe46::/64 locator MAIN behavior uDT46 vrf red
  exit
 exit
exit
"""
PEER_CONFIG = """
segment-routing
 srv6
  locators
   locator MAIN
    prefix fcbb:bb00:1::/48 block-len 32 node-len 16 func-bits 16
   exit
  exit
 exit
exit
router bgp 65001
 bgp router-id 10.0.0.2
 segment-routing srv6
  locator MAIN
 exit
exit
router bgp 65001 vrf red
 bgp router-id 10.0.0.2
 address-family ipv4 unicast
  sid vpn export 4
  rd vpn export 1:1
  rt vpn both 1:1
  export vpn
 exit-address-family
 address-family ipv6 unicast
  sid vpn export 6
  rd vpn export 1:1
  rt vpn both 1:1
  export vpn
 exit-address-family
exit
router bgp 65001 vrf blue
 bgp router-id 10.0.0.2
 sid vpn per-vrf export 70
 address-family ipv4 unicast
  rd vpn export 1:2
  rt vpn both 1:2
  export vpn
 exit-address-family
exit
"""
ISIS = """
interface {device}
 ipv6 router isis core
 isis network point-to-point
 isis hello-interval 1
exit
router isis core
 net 49.0000.0000.0000.{number:04}.00
 is-type level-2-only
 topology ipv6-unicast
 segment-routing srv6
  locator MAIN
 exit
exit
"""

NEXT_CSID = {"flavors": ["next-csid"], "lblen": 32, "nflen": 16}
EDGE_NODE = {"fcbb:aa00:1::/48": ("isis", "sr0", {"action": "End", **NEXT_CSID}),
             "fcbb:aa00:1:e000::/64": ("isis", "is0", {"action": "End.X", "nh6": "fe80::f", **NEXT_CSID})}
EDGE_VRF = {"fcbb:aa00:1:fe04::/64": ("static", "red", {"action": "End.DT4", "vrftable": "200"}),
            "fcbb:aa00:1:fe06::/64": ("static", "red", {"action": "End.DT6", "table": "200"}),
            "fcbb:aa00:1:fe46::/64": ("static", "red", {"action": "End.DT46", "vrftable": "200"})}
PEER_NODE = {"fcbb:bb00:1::": ("isis", "sr0", {"action": "End"}),
             "fcbb:bb00:1:1::": ("isis", "is1", {"action": "End.X", "nh6": "fe80::e"})}
PEER_VRF = {"fcbb:bb00:1:4::": ("bgp", "red", {"action": "End.DT4", "vrftable": "200"}),
            "fcbb:bb00:1:6::": ("bgp", "red", {"action": "End.DT6", "table": "200"}),
            "fcbb:bb00:1:46::": ("bgp", "blue", {"action": "End.DT46", "vrftable": "201"})}
INNER6, INNER4 = p.ip6(p.UDP, "fd04::77", p.udp()), p.ip4(p.UDP, "10.14.0.7", p.udp())


def private_directories():
    """Gives the process file systems of its own where FRR keeps its configuration, its sockets and its state."""
    os.unshare(os.CLONE_NEWNS)
    command("mount", "--make-rprivate", "/")
    for directory in DIRECTORIES:
        os.makedirs(directory, exist_ok=True)
        command("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", directory)
        shutil.chown(directory, "frr", "frr")


class Router:
    """A router with FRR: its daemons run in its network namespace."""

    def __init__(self, name, namespace, *daemons):
        self.name, self.namespace, self.daemons = name, namespace, daemons
        self.log = tempfile.TemporaryFile("w+", errors="replace")
        self.running = []

    def start(self, config):
        """Starts the daemons, then has vtysh read the configuration as at boot."""
        enter(self.namespace)
        os.makedirs(f"/etc/frr/{self.name}")
        for file, text in (("vtysh", "service integrated-vtysh-config\n"), ("frr", config)):
            with open(f"/etc/frr/{self.name}/{file}.conf", "w", encoding="ascii") as conf:
                conf.write(text)
        for daemon in self.daemons:
            self.running.append(subprocess.Popen([f"{DAEMONS}/{daemon}", "-N", self.name, "--log", "stdout"],
                                                 stdout=self.log, stderr=self.log))
            lib.wait_for(partial(os.path.exists, f"/run/frr/{self.name}/{daemon}.vty"), f"{daemon} runs", SECONDS)
        command("vtysh", "-N", self.name, "-b")

    def configure(self, *lines):
        """Changes the configuration."""
        command("vtysh", "-N", self.name, *(word for line in ("configure", *lines) for word in ("-c", line)))

    def stop(self):
        """Ends the daemons, the clients of zebra first; returns the exit status of each."""
        statuses = {}
        while self.running:
            process = self.running.pop()
            process.terminate()
            statuses[self.daemons[len(self.running)]] = process.wait(SECONDS)
        return statuses

    def sids(self):
        """The SIDs in the kernel: {prefix: (protocol, device, attributes)}."""
        enter(self.namespace)
        found = {}
        for route in json.loads(ip("-j", "-d", "-6", "route", "show", "table", "all")):
            encap = route.get("encap", {})
            if encap.pop("encap_type", None) == "seg6local":
                lib.equal(route["nh_info"]["encap"], {"encap_type": "seg6local", **encap}, "the nexthop object")
                found[route["dst"]] = route["protocol"], route["dev"], encap
        return found

    def settled(self, want):
        """Waits until the SIDs are `want`."""
        try:
            lib.wait_for(lambda: self.sids() == want, "all SIDs", SECONDS)
        except lib.Failed:
            lib.equal(self.sids(), want, f"SIDs of {self.name} after {SECONDS} s")

    def tell(self):
        """Prints what the daemons have logged."""
        self.log.seek(0)
        for line in self.log:
            print(f"# {self.name}: {line.rstrip()}")


class Routers:
    """The two routers."""

    def __init__(self):
        self.net = Edge()
        private_directories()
        self.edge = Router("edge", self.net.router, "mgmtd", "zebra", "staticd", "isisd")
        self.peer = Router("peer", new_namespace(), "mgmtd", "zebra", "bgpd", "isisd")
        for knob, value in (("net/ipv6/conf/all/forwarding", 1), ("net/vrf/strict_mode", 1)):
            sysctl(knob, value)
        enter(self.net.router)
        ip_batch(EDGE_DEVICES.format(peer=f"/proc/{os.getpid()}/fd/{self.peer.namespace}"))
        enter(self.peer.namespace)
        ip_batch(PEER_DEVICES)

    def start(self):
        """Starts FRR on both; returns when all SIDs are there."""
        self.edge.start(EDGE_CONFIG + ISIS.format(device="is0", number=1))
        self.peer.start(PEER_CONFIG + ISIS.format(device="is1", number=2))
        self.edge.settled({**EDGE_NODE, **EDGE_VRF})
        self.peer.settled({**PEER_NODE, **PEER_VRF})

    def through(self, packet):
        """What the edge emits for a packet, to neighbors other than the peer."""
        enter(self.net.router)
        return self.net.send(packet)

    def unconfigured(self, router, left, *commands):
        """Removes SIDs by a change of the configuration."""
        router.configure(*commands)
        router.settled(left)

    def stop(self):
        """Ends FRR; returns the daemons with an exit status that is not 0, and the SIDs that are left."""
        statuses = {**self.edge.stop(), **self.peer.stop()}
        return {name: status for name, status in statuses.items() if status}, self.edge.sids(), self.peer.sids()

    def clean_up(self):
        """After a failure."""
        self.edge.tell()
        self.peer.tell()


def add_packets(suite, routers):
    """Packets through the SIDs; what the peer gets, it sends to the edge.

    uA gets a packet from the peer, because the kernel looks for a link-local next hop where the packet came in. Its
    source is no neighbor, so the edge does not send it a redirect.
    """
    def plain(dst, **fields):
        """A packet without SRH."""
        return p.ip6(p.UDP, dst, p.udp(), **fields)

    node, adjacency, micro = "fcbb:bb00:1::", "fcbb:bb00:1:1::", "fcbb:aa00:1:e000:8::"
    for name, packet, out in (
        ("uN", plain("fcbb:aa00:1:7:8::"), (OUT, plain("fcbb:aa00:7:8::", hlim=63))),
        ("uDT4", p.ip6(p.IPV4, "fcbb:aa00:1:fe04::", INNER4), (CUST, p.hop(INNER4))),
        ("uDT6", p.ip6(p.IPV6, "fcbb:aa00:1:fe06::", INNER6), (CUST, p.hop(INNER6))),
        ("uDT46 of IPv4", p.ip6(p.IPV4, "fcbb:aa00:1:fe46::", INNER4), (CUST, p.hop(INNER4))),
        ("uDT46 of IPv6", p.ip6(p.IPV6, "fcbb:aa00:1:fe46::", INNER6), (CUST, p.hop(INNER6))),
        ("End", p.sr(node, ["fd02::a", node], 1), (OUT, p.sr("fd02::a", ["fd02::a", node], 0, hlim=61))),
        ("End.X", p.sr(adjacency, ["fd02::a", adjacency], 1),
         (OUT, p.sr("fd02::a", ["fd02::a", adjacency], 0, hlim=61))),
        ("End, then uA back to the peer", p.sr(node, [micro, node], 1, src="fd02::b"),
         (OUT, p.sr("fcbb:aa00:e000:8::", [micro, node], 0, src="fd02::b", hlim=59))),
    ):
        suite.add(f"packet: {name}", partial(routers.through, packet), [out])


def main():
    """Builds the suite and runs it."""
    routers = Routers()
    enter(routers.net.router)
    suite = lib.Suite(routers.clean_up)
    suite.add("who serves the route", routers.net.serving)
    suite.add("the SIDs of both routers", routers.start)
    add_packets(suite, routers)
    remove = routers.unconfigured
    suite.add("staticd removes its SIDs",
              partial(remove, routers.edge, EDGE_NODE, "segment-routing", "srv6", "no static-sids"))
    suite.add("bgpd removes its SIDs",
              partial(remove, routers.peer, PEER_NODE, "no router bgp 65001 vrf red", "no router bgp 65001 vrf blue"))
    suite.add("isisd removes its SIDs",
              partial(remove, routers.peer, {}, "router isis core", "no segment-routing srv6"))
    suite.add("the end of FRR removes the others", routers.stop, ({}, {}, {}))
    # Among those that would move are messages of netlink to a socket with a filter, which are shared: a BUG().
    with lib.unmoved_packets():
        try:
            suite.main()
        finally:
            routers.edge.stop()
            routers.peer.stop()


if __name__ == "__main__":
    main()
