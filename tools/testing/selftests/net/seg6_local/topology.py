# SPDX-License-Identifier: GPL-2.0-or-later
"""A router between a source and two destinations, and what comes out of it for one packet.

    namespace `outside`              the router, namespace of the test         namespace `outside`

      src0  <----------------->  in0                        out0  <------------------>  dst0
   fd01::1, fd01::2                fd01::fe              fdff:2::fe                   fdff:2::1, fdff:2::2
                                                            alt0  <------------------>  dst1
                                   dum0: SIDs            fdff:3::fe                   fdff:3::1, fdff:3::2

The far ends are packet sockets without an IP stack. All neighbors are static and nothing else talks, so the router
emits a packet only because of one that a test sent. A test ends with a marker packet that takes the same way; queues
are first in, first out and everything runs on one CPU, so when the marker arrives, nothing is still under way.
"""

import collections
import fcntl
import os
import socket
import struct
import subprocess
import threading

import netlink as nl
import packet as p
from lib import Failed, Suite, check, equal, served_by, show, wait_for

MTU = 12000
ETH_P_ALL = 3
IPV6, IPV4 = b"\x86\xdd", b"\x08\0"
SID = "fcff::e"
OUT, OUT2, ALT, ALT2, BACK, BACK2 = "out 1", "out 2", "alt 1", "alt 2", "back 1", "back 2"
IN_ADDRESS = "fd01::fe"
MARKER_DST = "fd02::ffff"

# neighbor: (label, device of the router, far device, address of the neighbor)
NEIGHBORS = (
    (BACK, "in0", "src0", "fd01::1"),
    (BACK2, "in0", "src0", "fd01::2"),
    (OUT, "out0", "dst0", "fdff:2::1"),
    (OUT2, "out0", "dst0", "fdff:2::2"),
    (ALT, "alt0", "dst1", "fdff:3::1"),
    (ALT2, "alt0", "dst1", "fdff:3::2"),
)
LABELS = {bytes((2, 0, 0, 0, 1, number)): label for number, (label, *_) in enumerate(NEIGHBORS)}
KEY, SECRET = 42, "secret"
ROUTER_MAC = bytes((2, 0, 0, 0, 0, 1))
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 2, 0x1000, 0x4000

ROUTER = """
link set lo up
link add dum0 type dummy
link set dum0 addrgenmode none up
addr add fd0a::1/128 dev lo
{links}
addr add fd01::fe/64 dev in0 nodad
addr add fdff:2::fe/64 dev out0 nodad
addr add fdff:3::fe/64 dev alt0 nodad
{neighbors}
route add fd02::/16 via fdff:2::1 dev out0
route add fd03::/16 via fdff:3::1 dev alt0
route add fc00:0::/32 via fdff:2::1 dev out0
route add fd06::/16 via fdff:2::1 dev out0 mtu lock 1280
route add unreachable fd0b::/16 dev lo
route add prohibit fd0c::/16 dev lo
route add blackhole fd0d::/16 dev lo
route add throw fd0e::/16 dev lo
route add fd02::/16 via fdff:3::1 dev alt0 table 100
route add throw fd0e::/16 dev lo table 100
"""
LINK = """
link add {near} address 02:00:00:00:00:01 mtu {mtu} type veth peer name {far} mtu {mtu} netns {outside}
link set {near} addrgenmode none
link set {near} up
"""


def sysctl(name, value):
    """Sets a sysctl, in the current network namespace if there is one for each; returns what it was."""
    path = "/proc/sys/" + name
    with open(path, encoding="ascii") as knob:
        before = knob.read().strip()
    with open(path, "w", encoding="ascii") as knob:
        knob.write(str(value))
    return before


def command(*arguments, **options):
    """Runs a command in the current network namespace; returns its standard output."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, **options)
    check(done.returncode == 0, f"{' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def ip(*arguments):
    """Runs iproute2."""
    return command("ip", *arguments)


def set_tunnel_source(address=p.TUNNEL_SRC):
    """Sets the source address of packets that encapsulate others; `::` unsets it."""
    ip("sr", "tunsrc", "set", address)


def set_hmac_key(number=KEY, secret=SECRET):
    """Adds an HMAC-SHA256 key; iproute2 asks for the secret on its standard input if there is no terminal."""
    command("ip", "sr", "hmac", "set", str(number), "sha256", input=secret + "\n", start_new_session=True)


def ip_batch(commands, family="-6"):
    """Runs many commands in one process of iproute2."""
    command("ip", family, "-batch", "-", input=commands)


def wait_until_up():
    """Waits until the devices of the current network namespace can send, which is a while after they are set up."""
    wait_for(lambda: "DOWN " not in ip("-brief", "link", "show", "up"), "all devices are up")


def expedite():
    """Makes the kernel wait less before it frees what readers may still use."""
    with open("/sys/kernel/rcu_expedited", "w", encoding="ascii") as knob:
        knob.write("1")


def new_namespace():
    """Enters a new network namespace and returns a file descriptor of it."""
    os.unshare(os.CLONE_NEWNET)
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def enter(namespace):
    """Enters the network namespace of a file descriptor."""
    os.setns(namespace, os.CLONE_NEWNET)


def packet_socket(device, protocol, *options):
    """A packet socket in the current namespace that receives `protocol` from a device, or from all."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0 if device else socket.htons(protocol))
    for option in options:
        sock.setsockopt(263, option, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
    if device:
        sock.bind((device, protocol))
    return sock


def framed(packet):
    """The Ethernet frame in which an IP packet gets to the router."""
    return ROUTER_MAC + bytes((2, 0, 0, 0, 1, 0)) + (IPV6 if packet[0] >> 4 == 6 else IPV4) + packet


def open_tap():
    """Adds tap0 to the current network namespace; what is written to the file is a virtio_net_hdr and a frame."""
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"tap0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    ip_batch(f"link set tap0 addrgenmode none address {ROUTER_MAC.hex(':')} mtu {MTU} up\n")
    return tap


def neighbor(address, number, device):
    """The command that adds a static neighbor, which a packet may have made known already."""
    return f"neigh replace {address} lladdr 02:00:00:00:01:0{number} dev {device} nud permanent\n"


def described(frame):
    """A frame as its type, the neighbor that it goes to, and the packet."""
    return frame[12:14], LABELS.get(frame[:6], frame[:6].hex()), frame[14:]


def is_multicast(packet):
    """Whether an IPv6 packet is a message of the router itself, about its multicast groups for example."""
    return packet[24] == 0xFF


class Net:
    """The topology. The process stays in the router's namespace."""

    PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 15, 23
    KINDS = (IPV6,)
    RX_OPTIONS = (PACKET_IGNORE_OUTGOING,)

    def __init__(self):
        os.sched_setaffinity(0, {0})
        self.outside = new_namespace()
        sysctl("net/ipv6/conf/all/disable_ipv6", 1)
        sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        self.router = new_namespace()
        self.far = []
        self.set_up_router()
        enter(self.outside)
        ip_batch("".join(f"link set {far} up\n" for far in self.far))
        wait_until_up()
        self.tx = packet_socket("src0", 0)
        self.tx_paged = packet_socket("src0", 0, self.PACKET_VNET_HDR)
        self.rx = packet_socket(None, ETH_P_ALL, *self.RX_OPTIONS)
        self.rx.settimeout(10)
        self.rx_now = self.rx.dup()
        self.rx_now.settimeout(0)
        enter(self.router)
        wait_until_up()
        self.rtnl = nl.Rtnl()
        self.markers = 0
        self.devices = {name: number for number, name in socket.if_nameindex()}
        equal(self.send(p.ip6(p.UDP, MARKER_DST, p.udp())), [(OUT, p.ip6(p.UDP, MARKER_DST, p.udp(), hlim=63))],
              "plain forwarding through the router")

    def set_up_router(self):
        """Devices, addresses, neighbors and routes of the router."""
        for knob, value in (("all/forwarding", 1), ("all/accept_dad", 0), ("default/accept_dad", 0)):
            sysctl("net/ipv6/conf/" + knob, value)
        sysctl("net/ipv6/icmp/ratelimit", 0)
        sysctl("net/ipv6/auto_flowlabels", 0)
        pairs = dict.fromkeys((near, far) for _, near, far, _ in NEIGHBORS)
        ip_batch(ROUTER.format(
            links="".join(self.link(near, far) for near, far in pairs),
            neighbors="".join(neighbor(address, number, near)
                              for number, (_, near, _, address) in enumerate(NEIGHBORS))))

    def link(self, near, far, mtu=MTU):
        """The commands that connect a device of the router with one outside."""
        self.far.append(far)
        return LINK.format(near=near, far=far, mtu=mtu, outside=f"/proc/{os.getpid()}/fd/{self.outside}")

    def transmit(self, packet, linear=None):
        """Sends an IP packet to the router; `linear` bytes of it in the head of the skb, the others in pages."""
        frame = framed(packet)
        if linear is None:
            self.tx.send(frame)
            return
        check(len(frame) > 4096, "the kernel puts less than a page into the head of the skb")
        self.tx_paged.send(struct.pack("=BBHHHH", 0, 0, 14 + linear, 0, 0, 0) + frame)

    def send(self, packet, linear=None):
        """What the router emits for `packet`: a list of (neighbor, packet)."""
        self.transmit(packet, linear)
        return self.collect()

    def collect(self):
        """What the router has emitted since the last marker: a list of (neighbor, packet)."""
        self.markers += 1
        marker = p.ip6(p.NONE, MARKER_DST, struct.pack("!Q", self.markers))
        self.transmit(marker)
        seen = []
        while True:
            try:
                kind, label, packet = self.receive()
            except TimeoutError as error:
                raise Failed(f"marker {self.markers} was lost after {len(seen)} packets") from error
            if packet == p.hop(marker):
                return seen
            if kind == IPV6 and is_multicast(packet):
                continue
            check(kind in self.KINDS, f"a frame of type {kind.hex()} to {label}: {packet.hex()}")
            seen.append((label, packet))

    def receive(self):
        """The next frame that has come out: its type, the neighbor and the packet."""
        return described(self.rx.recv(1 << 17))

    def sid(self, *attributes, dst=SID, length=128, count=True):
        """The route message of a SID, or a prefix of SIDs, with the given seg6local attributes."""
        data = b"".join(attributes) + (nl.counters() if count else b"")
        return nl.route(f"{dst}/{length}", nl.u32(nl.RTA_OIF, self.devices["dum0"]),
                        nl.encap(nl.ENCAP_SEG6_LOCAL, data))

    def installed(self, *attributes, **options):
        """A context in which a SID is installed."""
        return Installed(self, self.sid(*attributes, **options))

    def forget(self):
        """Removes what a failed test may have left behind."""
        while self.rtnl.delete(nl.route(f"{SID}/128"))[0] == 0:
            pass
        self.drain()

    def drain(self):
        """The packets that have come out and were not collected, if the end of them is not known."""
        seen = []
        try:
            while True:
                seen.append(self.rx_now.recv(1 << 16)[14:])
        except BlockingIOError:
            return seen

    def serving(self):
        """Checks who serves seg6local."""
        with self.installed(nl.u32(nl.ACTION, nl.END)):
            served_by()

    def suite(self):
        """A suite whose first case tells who serves seg6local."""
        suite = Suite(self.forget)
        suite.add("who serves the route", self.serving)
        return suite

    def through(self, attributes, packet, linear=None, dst=SID, length=128):
        """What a new SID does with `packet`: the packets that come out, and its counters."""
        with self.installed(*attributes, dst=dst, length=length):
            return self.send(packet, linear), self.rtnl.get_counters(dst)

    def tapped(self, attributes, packet):
        """The same for a packet that somebody else also holds, and what that one sees: the packet as it came."""
        with packet_socket("in0", ETH_P_ALL, self.PACKET_IGNORE_OUTGOING) as tap:
            tap.settimeout(10)
            return *self.through(attributes, packet), tap.recv(1 << 16)[14:]


class Traffic(threading.Thread):
    """Sends a packet over and over from one CPU, in a context; `seen` counts what comes out."""

    def __init__(self, net, packet, cpu=0):
        super().__init__()
        self.net, self.packet, self.cpu = net, packet, cpu
        self.seen, self.stop = collections.Counter(), False

    def run(self):
        """Stays on its CPU, while the rest of the process may use all."""
        os.sched_setaffinity(0, {self.cpu})
        while not self.stop:
            self.net.transmit(self.packet)
            self.seen.update(packet for packet in self.net.drain() if not is_multicast(packet))

    def wait(self, packet):
        """Waits until `packet` comes out once more."""
        before = self.seen[packet]
        wait_for(lambda: self.seen[packet] > before, f"a packet under traffic: {show(packet)}")

    def __enter__(self):
        os.sched_setaffinity(0, range(os.cpu_count()))
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop = True
        self.join()
        os.sched_setaffinity(0, {0})
        check(self.seen or exception[0], "no packet came out")


class Installed:
    """A context in which a route is installed."""

    def __init__(self, net, message):
        self.net = net
        self.message = message

    def __enter__(self):
        errno, text = self.net.rtnl.add(self.message)
        check(errno == 0, f"adding a route: errno {errno}, {text}")
        return self

    def __exit__(self, *exception):
        errno, text = self.net.rtnl.delete(self.message)
        check(errno == 0 or exception[0], f"deleting a route: errno {errno}, {text}")
