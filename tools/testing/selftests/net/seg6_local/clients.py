#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Control planes configure SIDs, read them back and remove them: iproute2 in three versions, pyroute2, bpftool.

One iproute2 is that of the system; $SEG6_OUTPUT/clients/iproute2-SUITE/ip are the ones of an older and of the newest
Debian suite (tools/host/clients.sh gets them).
"""

import collections
import contextlib
import importlib.metadata
import itertools
import json
import os
import re
import socket
import subprocess
import tempfile
from functools import cached_property, partial

import pyroute2

import ebpf
import lib
import netlink as nl
import packet as p
from topology import OUT, SID, Net, command, ip, sysctl

VRF_TABLE = 100
PIN = "/sys/fs/bpf/seg6_clients"
OBJECT = ebpf.object_path("grow.bpf.o")
PREFIX = "fcff:1::/32"  # of the SIDs of a table
SHOW = f"route show {SID}"
PACKET = p.sr(SID, ["fd02::a", SID], 1)
NEW = {"packets": 0, "bytes": 0, "errors": 0}
ROUTE = {"type": "unicast", "dst": SID, "dev": "dum0", "protocol": "boot", "scope": "global", "metric": 1024,
         "flags": [], "pref": "medium"}
FLAT_JSON_BEFORE = 6, 15  # iproute2 with the attributes of the encapsulation among those of the route

# A SID as it is given to iproute2, and what comes back besides the action.
SIDS = [(f"fcff:1::{number:x}", row) for number, row in enumerate((
    ("End", {}),
    ("End count", {"stats64": NEW}),
    ("End flavors psp", {"flavors": ["psp"]}),
    ("End flavors next-csid", {"flavors": ["next-csid"], "lblen": 32, "nflen": 16}),
    ("End flavors next-csid lblen 48 nflen 8", {"flavors": ["next-csid"], "lblen": 48, "nflen": 8}),
    ("End count flavors psp,next-csid",
     {"stats64": NEW, "flavors": ["psp", "next-csid"], "lblen": 32, "nflen": 16}),
    ("End.X nh6 fd03::1", {"nh6": "fd03::1"}),
    ("End.X nh6 fd03::1 oif out0 count flavors next-csid lblen 40 nflen 24",
     {"nh6": "fd03::1", "oif": "out0", "stats64": NEW, "flavors": ["next-csid"], "lblen": 40, "nflen": 24}),
    ("End.T table main", {"table": "main"}),
    ("End.T table 100 count", {"table": "100", "stats64": NEW}),
    ("End.DX2 oif out0", {"oif": "out0"}),
    ("End.DX2 oif out0 count", {"oif": "out0", "stats64": NEW}),
    ("End.DX4 nh4 192.0.2.1", {"nh4": "192.0.2.1"}),
    ("End.DX4 nh4 0.0.0.0 count", {"nh4": "0.0.0.0", "stats64": NEW}),
    ("End.DX6 nh6 fd03::1", {"nh6": "fd03::1"}),
    ("End.DX6 nh6 :: count", {"nh6": "::", "stats64": NEW}),
    ("End.DT4 vrftable 100", {"vrftable": "100"}),
    ("End.DT4 vrftable 100 count", {"vrftable": "100", "stats64": NEW}),
    ("End.DT6 table local", {"table": "local"}),
    ("End.DT6 vrftable 100 count", {"vrftable": "100", "stats64": NEW}),
    ("End.DT46 vrftable 100", {"vrftable": "100"}),
    ("End.DT46 vrftable 100 count", {"vrftable": "100", "stats64": NEW}),
    ("End.B6 srh segs fd02::a,fd02::b", {"srh": {"segs": ["fd02::a", "fd02::b", "::"]}}),
    ("End.B6 srh segs fd02::a count", {"srh": {"segs": ["fd02::a", "::"]}, "stats64": NEW}),
    ("End.B6.Encaps srh segs fd02::a,fd02::b", {"srh": {"segs": ["fd02::a", "fd02::b"]}}),
    ("End.B6.Encaps srh segs fd02::a hmac 17 count", {"srh": {"segs": ["fd02::a"], "hmac": "0x11"}, "stats64": NEW}),
    (f"End.BPF endpoint object-file {OBJECT} section lwt_seg6local", {"endpoint": "grow.bpf.o:[lwt_seg6local]"}),
    (f"End.BPF endpoint pinned {PIN} count", {"endpoint": "seg6_clients:[*fsobj]", "stats64": NEW}),
), 1)]

# What the kernel refuses, and what iproute2 tells; newer ones name a missing attribute by its number first.
REFUSED = (
    ("End flavors usp", "Error: Unsupported Flavor operation(s)."),
    ("End.X nh6 fd03::1 flavors psp", "Error: Unsupported Flavor operation(s)."),
    ("End flavors next-csid lblen 12", "Error: Invalid Locator Block/Node Function lengths."),
    ("End.DT6 table 100 vrftable 100", "Error: table or vrftable must be specified."),
    ("End.DT46 vrftable 101", "Error: Table has no associated VRF device."),
    ("End.T", "Error: End.T requires table."),
    ("End.BM", "Error: Unknown action 11."),
)


def text(encap):
    """How `ip route show` prints an encapsulation of which it gives `encap` as JSON."""
    words = []
    for key, value in encap.items():
        if key == "stats64":
            words += [f"{name} {number}" for name, number in value.items()]
        elif key == "flavors":
            words.append("flavors " + ",".join(value))
        elif key == "srh":
            words.append(f"segs {len(value['segs'])} [ {' '.join(value['segs'])} ]")
            words += ["hmac " + value["hmac"].removeprefix("0x")] if "hmac" in value else []
        else:
            words.append(f"{key} {value}")
    return " ".join(words)


class Iproute2:
    """One version of iproute2. It runs lists of commands in one process each."""

    def __init__(self, name, path):
        self.path = path
        version = command(path, "-V").split("iproute2-")[1].split(",")[0]
        self.name = f"iproute2 {version} ({name})"
        self.is_flat = tuple(map(int, version.split(".")[:2])) < FLAT_JSON_BEFORE

    def run(self, commands, *options):
        """Runs commands about IPv6; returns what they print, and what is told about those that fail, by number."""
        done = subprocess.run([self.path, "-d", "-s", "-6", "-force", *options, "-batch", "-"], text=True, check=False,
                              input="\n".join(commands) + "\n", capture_output=True)
        *told, rest = re.split(r"^Command failed -:(\d+)$", done.stderr, flags=re.MULTILINE)
        lib.equal(rest.strip(), "", "what is told besides")
        return done.stdout, {int(number) - 1: text.strip() for text, number in zip(told[::2], told[1::2])}

    def read(self, *commands):
        """Runs commands that the kernel accepts; returns what they show, from JSON."""
        output, failed = self.run(commands, "-j")
        lib.equal(failed, {}, "failed commands")
        return documents(output)

    def shaped(self, action, attributes, route):
        """How this version gives a route, or a nexthop, with a SID."""
        encap = {"action": action, **attributes}
        if self.is_flat:
            return {**route, "encap": "seg6local", **encap}
        return {**route, "encap": {"encap_type": "seg6local", **encap}}

    @cached_property
    def shown(self):
        """Adds, replaces and deletes all SIDs: what is told and shown of each, {prefix: [...]}, and what is left."""
        def each(verb):
            """A command for each SID."""
            return [f"route {verb} {sid} encap seg6local action {options} dev dum0" for sid, (options, _) in SIDS]

        every = f"route show root {PREFIX}"
        get = [f"route get fibmatch {sid}" for sid, _ in SIDS]
        commands = [*each("add"), every, *each("replace"), every, *get, *each("del"), every]
        output, failed = self.run(commands, "-j")
        *found, left = documents(output)
        shown = collections.defaultdict(list)
        for number, told in failed.items():
            shown[commands[number].split()[2]].append(told)
        for route in itertools.chain(*found):
            shown[route["dst"]].append(route)
        output, _ = self.run([*each("add"), every, *each("del")])
        for line in output.splitlines():
            shown[line.split()[1]].append(" ".join(line.split()))
        return shown, left

    @cached_property
    def refusals(self):
        """What is told about the SIDs that the kernel refuses, by number."""
        return self.run([f"route add {SID} encap seg6local action {options} dev dum0" for options, _ in REFUSED])[1]


def documents(output):
    """The JSON documents that follow one another in a text."""
    found, output = [], output.strip()
    while output:
        document, end = json.JSONDecoder().raw_decode(output)
        found.append(document)
        output = output[end:].strip()
    return found


def expected(tool, sid, options, attributes):
    """What has to be shown of a SID: after it was added, after it was replaced, by `ip route get`, and as text."""
    action = options.split()[0]
    route = tool.shaped(action, attributes, {**ROUTE, "dst": sid})
    line = f"unicast {sid} encap seg6local {text({'action': action, **attributes})} dev dum0 proto boot scope global " \
        "metric 1024 pref medium"
    return [route, route, {**route, "table": "main"}, line]


def counted(net, tool):
    """What iproute2 shows of the counters of a SID after a packet through it."""
    with net.installed(nl.u32(nl.ACTION, nl.END)):
        lib.equal(net.send(PACKET), [(OUT, p.sr("fd02::a", ["fd02::a", SID], 0, hlim=63))], "the packet")
        return tool.read(SHOW)


def siblings(tool):
    """Two SIDs for one destination: what is shown after append, after replace, and after del for a device."""
    route = f"{SID} encap seg6local action End.X"
    return tool.read(
        f"route add {route} nh6 fd03::1 dev dum0", f"route append {route} nh6 fd03::2 dev out0", SHOW,
        f"route replace {route} nh6 fd03::3 dev dum0", SHOW,
        f"route del {SID} dev dum0", SHOW, f"route del {SID}", SHOW)


def looked_up(tool):
    """What `ip route get` shows of a SID, apart from source address, age and use count, and what is left after del."""
    (route,), left = tool.read(f"route add {SID} encap seg6local action End.X nh6 fd03::1 dev dum0",
                               f"route get {SID}", f"route del {SID}", SHOW)
    return {key: value for key, value in route.items() if key not in ("prefsrc", "age", "users")}, left


def multipath(tool):
    """What is shown of two SIDs as next hops of one route."""
    return tool.read(
        f"route add {SID} nexthop encap seg6local action End via fdff:2::1 dev out0 weight 2 "
        "nexthop encap seg6local action End.X nh6 fd03::1 count via fdff:2::2 dev out0", SHOW, f"route del {SID}", SHOW)


def nexthop(tool):
    """What is shown of a SID as a nexthop object: added, replaced, used by a route, and after it is deleted."""
    options = "id 7 dev dum0 encap seg6local action End.X count nh6"
    return tool.read(
        f"nexthop add {options} fd03::1", "nexthop show", f"nexthop replace {options} fd03::2", "nexthop show",
        f"route add {SID} nhid 7", SHOW, "nexthop del id 7", SHOW, "nexthop show")


def restored(tool):
    """What is shown of a SID before `ip route save`, and after `ip route restore`."""
    with tempfile.NamedTemporaryFile() as file:
        before = tool.read(f"route add {SID} encap seg6local action End.X nh6 fd03::1 count flavors next-csid dev dum0",
                           SHOW)
        command("sh", "-c", f"{tool.path} -6 route save {SID} >{file.name}")
        deleted = tool.read(f"route del {SID}", SHOW)
        command("sh", "-c", f"{tool.path} -6 route restore <{file.name}")
        return [*before, *deleted, *tool.read(SHOW, f"route del {SID}", SHOW)]


def add_iproute2(suite, net, tool):
    """The cases of one version of iproute2."""
    def add(name, run, want):
        """Adds a case."""
        suite.add(f"{tool.name}: {name}", run, want)

    def end_x(number, route=ROUTE, **fields):
        """How End.X is shown."""
        return tool.shaped("End.X", {"nh6": f"fd03::{number}", **fields}, route)

    for sid, (options, attributes) in SIDS:
        add(options, lambda sid=sid: tool.shown[0][sid], expected(tool, sid, options, attributes))
    add("all SIDs are deleted", lambda: tool.shown[1], [])
    for number, (options, told) in enumerate(REFUSED):
        add(f"{options} is refused", lambda number=number: tool.refusals.get(number, "").split("\n")[-1], told)

    add("counters", partial(counted, net, tool), [[
        tool.shaped("End", {"stats64": {"packets": 1, "bytes": len(PACKET), "errors": 0}},
                    {**ROUTE, "protocol": "static"})]])
    out = {**ROUTE, "dev": "out0"}
    add("append, replace, del dev", partial(siblings, tool),
        [[end_x(1), end_x(2, out)], [end_x(3), end_x(2, out)], [end_x(2, out)], []])
    add("get", partial(looked_up, tool), (end_x(1, {**ROUTE, "from": "::", "table": "main"}), []))
    hop = {"dev": "out0", "flags": []}
    add("multipath", partial(multipath, tool), [[{
        **{key: value for key, value in ROUTE.items() if key != "dev"},
        "nexthops": [tool.shaped("End", {}, {**hop, "gateway": "fdff:2::1", "weight": 2}),
                     end_x(1, {**hop, "gateway": "fdff:2::2", "weight": 1}, stats64=NEW)]}], []])
    first, second = (end_x(number, {"id": 7, "dev": "dum0", "scope": "link", "protocol": "unspec", "flags": []},
                           stats64=NEW) for number in (1, 2))
    add("nexthop objects", partial(nexthop, tool),
        [[first], [second], [end_x(2, {**ROUTE, "nhid": 7, "nh_info": second}, stats64=NEW)], [], []])
    saved = end_x(1, stats64=NEW, flavors=["next-csid"], lblen=32, nflen=16)
    add("save and restore", partial(restored, tool), [[saved], [], [saved], []])


def plain(value):
    """What pyroute2 has read, with nests as dictionaries. It gives an SRH as bytes."""
    if isinstance(value, dict) and "attrs" in value:
        return {name.removeprefix("SEG6_LOCAL_"): plain(content) for name, content in value["attrs"]}
    return value


def by_pyroute2(net, api, encap, data, want):
    """Adds, reads, replaces and deletes a SID; returns what is left."""
    def shown():
        """The SIDs that pyroute2 reads."""
        return [plain(route.get_attr("RTA_ENCAP")) for route in api.get_routes(family=socket.AF_INET6)
                if route.get_attr("RTA_DST") == SID]

    route = {"dst": f"{SID}/128", "oif": net.devices["dum0"]}
    for verb in ("add", "replace"):
        api.route(verb, **route, encap={"type": "seg6local", **encap})
        lib.equal(net.rtnl.get(SID)[nl.RTA_ENCAP], data, f"what the kernel holds after {verb}")
        lib.equal(shown(), [want], f"what pyroute2 reads after {verb}")
    api.route("del", **route)
    return shown()


def add_pyroute2(suite, net):
    """Every behavior that pyroute2 knows: as it is given, what the kernel holds, what is read back."""
    idle = ebpf.load_program(ebpf.returning(ebpf.OK))
    number = ebpf.program_info(idle)["id"]
    oif, nh6, nh4 = net.devices["out0"], nl.addr6(nl.NH6, "fd03::1"), nl.attr(nl.NH4, p.addr("192.0.2.1"))
    table, vrf_table = nl.u32(nl.TABLE, VRF_TABLE), nl.u32(nl.VRFTABLE, VRF_TABLE)
    inline = nl.attr(nl.SRH, p.srh(0, ["::", "fd02::a", "fd02::b"], 2))
    outer = nl.attr(nl.SRH, p.srh(0, ["fd02::a", "fd02::b"], 1))
    name = f"pyroute2 {importlib.metadata.version('pyroute2')}"
    for action, kind, options, data, read in (
        ("End", nl.END, {}, b"", {}),
        ("End.X", nl.END_X, {"nh6": "fd03::1"}, nh6, {"NH6": "fd03::1"}),
        ("End.T", nl.END_T, {"table": VRF_TABLE}, table, {"TABLE": VRF_TABLE}),
        ("End.DX2", nl.END_DX2, {"oif": oif}, nl.u32(nl.OIF, oif), {"OIF": oif}),
        ("End.DX4", nl.END_DX4, {"nh4": "192.0.2.1"}, nh4, {"NH4": "192.0.2.1"}),
        ("End.DX6", nl.END_DX6, {"nh6": "fd03::1"}, nh6, {"NH6": "fd03::1"}),
        ("End.DT4", nl.END_DT4, {"vrf_table": VRF_TABLE}, vrf_table, {"VRFTABLE": VRF_TABLE}),
        ("End.DT6", nl.END_DT6, {"table": VRF_TABLE}, table, {"TABLE": VRF_TABLE}),
        ("End.DT46", nl.END_DT46, {"vrf_table": VRF_TABLE}, vrf_table, {"VRFTABLE": VRF_TABLE}),
        ("End.B6", nl.END_B6, {"srh": {"segs": "fd02::a,fd02::b"}}, inline, {"SRH": inline}),
        ("End.B6.Encaps", nl.END_B6_ENCAP, {"srh": {"segs": "fd02::a,fd02::b"}}, outer, {"SRH": outer}),
        ("End.BPF", nl.END_BPF, {"bpf": {"fd": idle, "name": "prog"}},
         nl.attr(nl.BPF, nl.u32(1, number) + nl.attr(2, b"prog\0")),
         {"BPF": {"LWT_BPF_PROG_FD": number, "LWT_BPF_PROG_NAME": "prog"}}),
    ):
        suite.add(f"{name}: {action}", partial(by_pyroute2, net, pyroute2.IPRoute(), {"action": action, **options},
                                               nl.u32(nl.ACTION, kind) + data, {"ACTION": kind, **read}), [])


def bpftool(*words):
    """What bpftool tells, from JSON."""
    return json.loads(command("bpftool", "-j", *words))


@contextlib.contextmanager
def pinned(path):
    """A context in which an End.BPF program, loaded by bpftool, has a name in the file system."""
    command("bpftool", "prog", "load", OBJECT, path, "type", "lwt_seg6local")
    try:
        yield
    finally:
        os.unlink(path)


def listed():
    """The type that bpftool tells of a program that only a SID holds, and how it is listed after the SID is deleted."""
    pin = PIN + "_listed"
    with pinned(pin):
        number = bpftool("prog", "show", "pinned", pin)["id"]
        ip(*f"-6 route add {SID} encap seg6local action End.BPF endpoint pinned {pin} dev dum0".split())
    kind = bpftool("prog", "show", "id", str(number))["type"]
    ip("-6", "route", "del", SID)
    lib.wait_for(lambda: not ebpf.program_exists(number), "the program is gone")
    return kind, [program for program in bpftool("prog", "show") if program["id"] == number]


def main():
    """Builds the suite and runs it."""
    net = Net()
    ip("link", "add", "vrf0", "type", "vrf", "table", str(VRF_TABLE))
    sysctl("net/vrf/strict_mode", 1)
    suite = net.suite()
    for name, path in (("bookworm", ebpf.object_path("clients/iproute2-bookworm/ip")), ("system", "ip"),
                       ("sid", ebpf.object_path("clients/iproute2-sid/ip"))):
        add_iproute2(suite, net, Iproute2(name, path))
    add_pyroute2(suite, net)
    suite.add("bpftool: the program of a SID", listed, ("lwt_seg6local", []))
    suite.add("bpftool: a SID is no program of a device", partial(bpftool, "net", "show"),
              [{"xdp": [], "tc": [], "flow_dissector": [], "netfilter": []}])
    with pinned(PIN):
        suite.main()


if __name__ == "__main__":
    main()
