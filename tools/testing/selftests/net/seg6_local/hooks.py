#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Netfilter and SIDs: with sysctl nf_hooks_lwtunnel a packet passes the input hook before its SID processes it.

The sysctl cannot be switched off again, so only programs that want it too come after this one.
"""

import contextlib
import errno
import socket
import struct
from functools import partial

import ebpf
import lib
import netlink as nl
import packet as p
import script as s
from bpf import end_bpf
from topology import ALT, OUT, SID, Net, command, expedite, ip, sysctl

END = nl.u32(nl.ACTION, nl.END)
KNOB = "net/netfilter/nf_hooks_lwtunnel"
A = "fd02::a"
PACKET = p.sr(SID, [A, SID], 1)
AFTER = p.sr(A, [A, SID], 0, hlim=63)
PASSED = [(OUT, AFTER)], (1, len(PACKET), 0)
UNSEEN = [], (0, 0, 0)
NF_DROP, NF_ACCEPT = 0, 1
QUEUE = 5
RULESET = """
table inet t {{
    counter seen {{
    }}
    chain c {{
        type filter hook {hook} priority 0
        {match} {statement}
    }}
}}
"""


def write(value):
    """The errno of writing to the sysctl."""
    try:
        sysctl(KNOB, value)
    except OSError as error:
        return error.errno
    return 0


@contextlib.contextmanager
def rule(statement, match=f"ip6 daddr {SID}", hook="input"):
    """A context in which a rule is in a hook: for packets to the SID in the input hook, if nothing else is said."""
    command("nft", "-f", "-", input=RULESET.format(match=match, statement=statement, hook=hook))
    try:
        yield
    finally:
        command("nft", "delete", "table", "inet", "t")


def seen_by_rule():
    """How many packets the counter of the rule has seen."""
    return int(command("nft", "list", "counter", "inet", "t", "seen").split("packets ")[1].split()[0])


def filtered(net, attributes, statement):
    """What a SID does with a packet while a rule is in the input hook."""
    with rule(statement):
        return net.through(attributes, PACKET)


def opened(net, attributes, inner):
    """What a SID does with a packet inside of another one while a rule in the prerouting hook drops it."""
    with rule("drop", f"ip6 daddr {p.text(inner[24:40])}", "prerouting"):
        return net.through(attributes, p.ip6(p.IPV6, SID, inner))


def counted(net):
    """What a SID does with a packet, and whether a rule that looks at the SRH has seen it."""
    with rule("rt type 4 rt seg-left 1 counter name seen accept"):
        seen = net.through([END], PACKET)
        return seen, seen_by_rule()


def marked(net):
    """A mark that a rule sets chooses the route of the SID."""
    ip("-6", "rule", "add", "fwmark", "7", "table", "100")
    try:
        return filtered(net, [END], "meta mark set 7")
    finally:
        ip("-6", "rule", "del", "fwmark", "7", "table", "100")


def from_source(net, attributes, packet):
    """What a SID does with a packet, and whether a rule in the forward hook sees the link layer address it is from."""
    with rule("counter name seen accept", f"ether saddr 02:00:00:00:01:00 ip6 daddr {A}", "forward"):
        return net.through(attributes, packet), seen_by_rule()


def adjusted(net, script, packet, delta):
    """The same for a program that grows or shrinks the SRH."""
    script.write([s.adjust_srh(80, delta)], (ebpf.OK,))
    return from_source(net, end_bpf(script.seg6local), packet)


def add_link_layer(suite, net, script):
    """B43: the link layer header stays in front of a packet that gets longer or shorter."""
    tlv = p.tlv(200, b"opaque")
    longer = p.sr(SID, [A, SID], 1, tlvs=tlv)
    for name, run, packet, after, known in (
        ("End", partial(from_source, net, [END]), PACKET, AFTER, None),
        ("PSP", partial(from_source, net, [END, nl.flavors(nl.PSP)]), PACKET, p.ip6(p.UDP, A, p.udp(), hlim=63), None),
        ("B43: a program that grows the SRH", partial(adjusted, net, script, delta=8), PACKET,
         p.sr(A, [A, SID], 0, tlvs=bytes(8), hlim=63), "B43"),
        ("B43: a program that shrinks the SRH", partial(adjusted, net, script, delta=-8), longer, AFTER, "B43"),
    ):
        seen = [(OUT, after)], (1, len(packet), 0)
        suite.add(f"{name}: a hook sees the link layer header", partial(run, packet=packet), (seen, 1),
                  known and (known, (seen, 0)))


class Queue:
    """A queue of netfilter (nfnetlink_queue)."""

    def __init__(self):
        self.netlink = nl.Rtnl(12)
        self.send(2, nl.attr(1, struct.pack("!BBH", 1, 0, socket.AF_INET6)))  # bind
        self.send(2, nl.attr(2, struct.pack("!IB", 0xFFFF, 2)))  # copy whole packets

    def send(self, kind, attributes):
        """Sends a message to the queue and waits for its acknowledgement."""
        header = struct.pack("!BBH", socket.AF_UNSPEC, 0, QUEUE)
        lib.equal(self.netlink.change(3 << 8 | kind, header + attributes), (0, None), "nfnetlink_queue")

    def packet(self):
        """The number and the bytes of the next packet in the queue."""
        found = nl.parse(next(self.netlink.receive())[3][4:])
        return struct.unpack_from("!I", found[1])[0], found[10]

    def verdict(self, number, verdict):
        """Lets a packet go on, or drops it."""
        self.send(1, nl.attr(2, struct.pack("!II", verdict, number)))

    def close(self):
        """Ends the queue."""
        self.netlink.sock.close()


def queued(net, attributes, verdict):
    """A packet that waits in a queue in front of its SID: it is processed in the context of the one who lets it go."""
    with rule(f"queue num {QUEUE}"), contextlib.closing(Queue()) as queue, net.installed(*attributes):
        before = net.send(PACKET)
        number, data = queue.packet()
        lib.equal(data, PACKET, "the packet in the queue")
        lib.equal((before, net.rtnl.get_counters(SID)), UNSEEN, "while the packet is in the queue")
        queue.verdict(number, verdict)
        return net.collect(), net.rtnl.get_counters(SID)


def queued_script(net, script):
    """A program that calls helpers on a packet that comes out of a queue."""
    script.write([s.store_bytes(46, b"\1\2"), s.adjust_srh(80, 8), s.action(nl.END_X, p.addr("fd03::1"))],
                 (ebpf.REDIRECT,))
    return queued(net, end_bpf(script.seg6local), NF_ACCEPT), script.results(3)


def main():
    """Builds the suite and runs it."""
    script = s.Script()
    net = Net()
    suite = net.suite()
    expedite()
    add_link_layer(suite, net, script)
    suite.add("without the sysctl the hook does not see the packet", partial(filtered, net, [END], "drop"), PASSED)
    inner, dx6 = p.ip6(p.UDP, "fd02::77", p.udp()), [nl.u32(nl.ACTION, nl.END_DX6), nl.addr6(nl.NH6, "::")]
    suite.add("without the sysctl the hook does not see the packet inside", partial(opened, net, dx6, inner),
              ([(OUT, p.hop(inner))], (1, 40 + len(inner), 0)))
    suite.add("other values of the sysctl: EINVAL", lambda: [write(value) for value in (2, -1)], [errno.EINVAL] * 2)
    suite.add("the sysctl is switched on", lambda: [write(0), write(1), write(1)], [0, 0, 0])
    suite.add("it cannot be switched off: EBUSY", partial(write, 0), errno.EBUSY)
    behaviors = (("End", [END]), ("End.BPF", end_bpf(ebpf.load_program(ebpf.returning(ebpf.OK)))))
    for name, attributes in behaviors:
        suite.add(f"{name}: no rule", partial(net.through, attributes, PACKET), PASSED)
        suite.add(f"{name}: accepted", partial(filtered, net, attributes, "accept"), PASSED)
        suite.add(f"{name}: dropped, not counted", partial(filtered, net, attributes, "drop"), UNSEEN)
        suite.add(f"{name}: queued and accepted", partial(queued, net, attributes, NF_ACCEPT), PASSED)
        suite.add(f"{name}: queued and dropped", partial(queued, net, attributes, NF_DROP), UNSEEN)
    suite.add("the hook sees the packet as it came", partial(counted, net), (PASSED, 1))
    suite.add("a mark of the hook chooses the route", partial(marked, net), ([(ALT, AFTER)], (1, len(PACKET), 0)))
    edited = p.sr(A, [A, SID], 0, tag=0x102, tlvs=bytes(8), hlim=63)
    suite.add("helpers on a packet from a queue", partial(queued_script, net, script),
              (([(ALT, edited)], (1, len(PACKET), 0)), [0, 0, 0]))
    suite.main()


if __name__ == "__main__":
    main()
