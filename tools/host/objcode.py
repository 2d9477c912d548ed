# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions in object files of x86-64: the stack that each uses, and what it calls with how much of it in use.

A function is followed along its branches, those of jump tables and of static keys included. The depth of the stack at
an instruction is what was pushed since the entry of the function; the return address is the caller's part of a call.
"""

import os
import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field

LLVM = os.environ.get("llvm_version", "19")
HEADER = re.compile(r"[0-9a-f]+ <(.+)>:$")
SECTION = re.compile(r"Disassembly of section (.+):$")
RECORDS = re.compile(r"RELOCATION RECORDS FOR \[(.+)\]:$")
INSN = re.compile(r"\s*([0-9a-f]+):\s+([a-z][\w.]*(?: [a-z]\w*)?)(?:\t| |$)\s*([^#]*?)\s*(?:#.*)?$")
RELOC = re.compile(r"\s*([0-9a-f]+):?\s+(R_X86_64_\w+)\s+(\S+?)(?:([+-])0x([0-9a-f]+))?$")
ADD_TO_STACK = re.compile(r"\$(-?0x[0-9a-f]+|-?\d+), %rsp$")
LOADED = re.compile(r"(-?0x[0-9a-f]+)?\(%r([bs])p\), %rsp$")
TABLE = re.compile(r"\*.*\(,%\w+,8\)$")
NEVER_RETURNS = re.compile(r"panic|__stack_chk_fail|rust_build_error|unwind|__fortify_panic")
JUMP_ENTRY = 16


@dataclass
class Insn:
    """An instruction and the relocation in it: (symbol, addend), None if there is none."""

    address: int
    name: str
    operands: str
    reloc: tuple = None


@dataclass
class Call:
    """A call, or a jump that ends the function, with what is on the stack when the callee starts.

    `target` is a name or, of an indirect one, None; `operands` says more. `with_keys`: only a static key that is off by
    default leads there.
    """

    target: str
    operands: str
    used: int
    with_keys: bool


@dataclass
class Function:
    """A function; `frame` counts the return address, and is wrong unless `is_bounded`."""

    name: str
    place: str
    insns: list = field(default_factory=list)
    frame: int = 0
    is_bounded: bool = True
    calls: list = field(default_factory=list)


def dump(option, path):
    """The lines that llvm-objdump prints of an object file."""
    command = [f"llvm-objdump-{LLVM}", option, "--reloc", "--no-show-raw-insn", path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def addend(match):
    """The symbol and the addend of a relocation."""
    value = int(match[5], 16) if match[5] else 0
    return match[3], -value if match[4] == "-" else value


class Object:
    """An object file: its functions by name."""

    def __init__(self, path):
        self.functions = {}
        self.places = {}
        self.tables = defaultdict(dict)
        self.keys = defaultdict(set)
        self.read_code(path)
        self.read_data(path)
        for function in self.functions.values():
            Walk(self, function).run()

    def read_code(self, path):
        """The instructions of each function."""
        section, function = None, None
        for line in dump("--disassemble", path):
            if match := SECTION.match(line):
                section = match[1]
            elif match := HEADER.match(line):
                name = match[1] if match[1] not in self.functions else f"{match[1]}@{section}"
                function = self.functions[name] = Function(name, section)
            elif (match := RELOC.match(line)) and function and function.insns:
                function.insns[-1].reloc = addend(match)
            elif (match := INSN.match(line)) and function:
                function.insns.append(Insn(int(match[1], 16), match[2], match[3]))
        for function in self.functions.values():
            if function.insns:
                self.places[function.place, function.insns[0].address] = function.name

    def read_data(self, path):
        """Relocations of data: tables of jumps, and the branches of static keys."""
        section, records = None, []
        for line in dump("--section-headers", path):
            if match := RECORDS.match(line):
                section = match[1]
            elif match := RELOC.match(line):
                records.append((section, int(match[1], 16), addend(match)))
        for section, offset, value in records:
            self.tables[section][offset] = value
        entries = self.tables.pop("__jump_table", {})
        for offset in range(0, max(entries, default=-1) + 1, JUMP_ENTRY):
            code, target = (self.place(*entries[offset + step]) for step in (0, 4))
            self.keys[code].add(target)

    def place(self, symbol, offset):
        """The section and the address of a symbol with an offset; a symbol of another object stays one."""
        if symbol in self.functions:
            function = self.functions[symbol]
            return function.place, function.insns[0].address + offset
        return symbol, offset


class Walk:
    """Follows one function along its branches."""

    def __init__(self, code, function):
        self.code, self.function = code, function
        self.index = {insn.address: number for number, insn in enumerate(function.insns)}
        self.depths = {}

    def run(self):
        """First what is always possible, then what a static key or a warning leads to."""
        function = self.function
        if not function.insns:
            return
        starts, with_keys = [(function.insns[0].address, (0, None))], False
        while starts:
            self.follow(starts, with_keys)
            starts, with_keys = list(self.rare()), True
        function.frame = max(depth for depth, _ in self.depths.values()) + 8

    def rare(self):
        """What follows a warning, or an instruction that a static key makes a jump, and was not seen yet."""
        for address, state in self.depths.items():
            number = self.index[address]
            targets = [target for _, target in self.code.keys.get((self.function.place, address), ())]
            if targets or self.function.insns[number].name == "ud2":
                targets += [insn.address for insn in self.function.insns[number + 1:number + 2]]
            yield from ((target, state) for target in targets if target in self.index and target not in self.depths)

    def follow(self, work, with_keys):
        """Follows all branches from the given instructions and depths on."""
        while work:
            address, state = work.pop()
            number = self.index.get(address)
            if number is None or address in self.depths:
                continue
            self.depths[address] = state
            insn = self.function.insns[number]
            self.function.is_bounded &= state[0] == 0 or not insn.name.startswith("ret")
            work += [(target, state) for target in self.jumps(insn, state[0], with_keys)]
            if not self.ends(insn) and number + 1 < len(self.function.insns):
                work.append((self.function.insns[number + 1].address, self.after(insn, *state)))

    def ends(self, insn):
        """Whether the next instruction does not follow this one."""
        if insn.name.startswith("call"):
            return bool(insn.reloc and NEVER_RETURNS.search(insn.reloc[0]))
        return insn.name.startswith(("ret", "jmp", "ud2"))

    def jumps(self, insn, depth, with_keys):
        """The targets of an instruction in this function; a call is noted."""
        is_call = insn.name.startswith("call")
        if not is_call and not insn.name.startswith("j"):
            return []
        if insn.operands.startswith("*"):
            targets = [] if is_call else self.table(insn)
            if not targets:
                self.note(None, self.pointer(insn), depth + 8 * is_call, with_keys)
            return targets
        if insn.reloc:
            # It is relative to the next instruction, four bytes later.
            place = self.code.place(insn.reloc[0], insn.reloc[1] + 4)
        else:
            place = self.function.place, int(insn.operands.split()[0], 16)
        if not is_call and place[0] == self.function.place and place[1] in self.index and \
                place[1] != self.function.insns[0].address:
            return [place[1]]
        self.note(self.code.places.get(place, place[0]), insn.operands, depth + 8 * is_call, with_keys)
        return []

    def note(self, target, operands, used, with_keys):
        """Notes a call."""
        self.function.calls.append(Call(target, operands, used, with_keys))

    def pointer(self, insn):
        """Where the pointer of an indirect call is: if it is in a register, where that was loaded from."""
        operand = insn.operands[1:]
        load = re.compile(rf"(.+), {re.escape(operand)}$")
        for before in reversed(self.function.insns[:self.index[insn.address]]):
            if (match := load.match(before.operands)) and not before.name.startswith(("cmp", "test")):
                return match[1] if before.name.startswith("mov") else operand
        return operand

    def table(self, insn):
        """The targets of a jump through a table."""
        if not TABLE.match(insn.operands) or not insn.reloc:
            return []
        section, offset = insn.reloc
        targets, entries = [], self.code.tables.get(section, {})
        while offset in entries:
            place = self.code.place(*entries[offset])
            if place[0] != self.function.place or place[1] not in self.index:
                break
            targets.append(place[1])
            offset += 8
        return targets

    def after(self, insn, depth, base):
        """The depth after an instruction, and that to which the frame pointer points."""
        name, operands = insn.name, insn.operands
        if name.startswith("push"):
            return depth + 8, base
        if name.startswith("pop"):
            return depth - 8, None if operands == "%rbp" else base
        if operands == "%rsp, %rbp":
            return depth, depth
        if operands == "%rbp, %rsp":
            return base, base
        if name.startswith("leave"):
            return base - 8, None
        if not operands.endswith(", %rsp"):
            return depth, base
        if match := ADD_TO_STACK.search(operands):
            return self.moved(name, int(match[1], 0), depth), base
        if (match := LOADED.match(operands)) and name.startswith("lea"):
            return (base if match[2] == "b" else depth) - int(match[1] or "0", 16), base
        self.function.is_bounded = False
        return depth, base

    def moved(self, name, value, depth):
        """The depth after an addition to the stack pointer, or its alignment in the worst case."""
        if name.startswith("sub"):
            return depth + value
        if name.startswith("add"):
            return depth - value
        if name.startswith("and"):
            return depth - value - 8
        self.function.is_bounded = False
        return depth
