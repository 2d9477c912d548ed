# SPDX-License-Identifier: GPL-2.0-or-later
"""BPF from Python: the bpf() system call, a small assembler, and objects loaded by libbpf."""

import ctypes
import os
import platform
import struct

MAP_LOOKUP, MAP_UPDATE, PROG_LOAD, TEST_RUN, PROG_NEXT_ID, PROG_BY_ID = 1, 2, 5, 10, 11, 13
OBJ_INFO, LINK_CREATE = 15, 28
TYPE_SCHED_CLS, TYPE_LWT_IN, TYPE_LWT_OUT, TYPE_LWT_XMIT, TYPE_LWT_SEG6LOCAL = 3, 10, 11, 12, 19
TCX_INGRESS = 46
OK, DROP, REDIRECT, REROUTE = 0, 2, 7, 128

PUSH_ENCAP, STORE_BYTES, ADJUST_SRH, ACTION = 73, 74, 75, 76

NUMBER = {"x86_64": 321, "aarch64": 280, "riscv64": 280}[platform.machine()]
LIBC = ctypes.CDLL(None, use_errno=True)


class Pointer:
    """A buffer that the kernel reads or writes."""

    def __init__(self, data):
        self.buffer = ctypes.create_string_buffer(bytes(data), len(data))

    def __int__(self):
        return ctypes.addressof(self.buffer)


def bpf(command, layout, *values):
    """The bpf() system call with an attribute of the given struct layout; returns (result or -errno, attribute)."""
    attribute = ctypes.create_string_buffer(struct.pack("=" + layout, *(int(v) for v in values)).ljust(160, b"\0"), 160)
    result = LIBC.syscall(NUMBER, command, attribute, 160)
    return (result if result >= 0 else -ctypes.get_errno()), attribute.raw


def insn(opcode, dst=0, src=0, offset=0, immediate=0):
    """One instruction."""
    return struct.pack("=BBhi", opcode, src << 4 | dst, offset, immediate)


def mov(register, value):
    """register = value (64 bits)."""
    return [insn(0xB7, register, immediate=value)]


def copy(register, source):
    """register = source."""
    return [insn(0xBF, register, source)]


def add(register, value):
    """register += value."""
    return [insn(0x07, register, immediate=value)]


def call(helper):
    """Calls a helper."""
    return [insn(0x85, immediate=helper)]


def load(size, dst, src, offset):
    """dst = *(size *)(src + offset)."""
    return [insn({1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79}[size], dst, src, offset)]


def store(size, dst, offset, src):
    """*(size *)(dst + offset) = src."""
    return [insn({1: 0x73, 2: 0x6B, 4: 0x63, 8: 0x7B}[size], dst, src, offset)]


def jump_if_at_most(dst, src, offset):
    """Jumps over `offset` instructions if dst <= src."""
    return [insn(0xBD, dst, src, offset)]


def jump_if_not_negative(offset):
    """Jumps over `offset` instructions if the result of a helper is not negative."""
    return insn(0x75, 0, 0, offset)


EXIT = [insn(0x95)]


def load_immediate(register, value):
    """register = value (64 bits); two instructions in one."""
    low, high = struct.unpack("=ii", struct.pack("=q", value))
    return [insn(0x18, register, immediate=low) + insn(0, immediate=high)]


def map_fd(register, fd):
    """register = the map behind a file descriptor; two instructions in one."""
    return [insn(0x18, register, 1, immediate=fd) + insn(0)]


def returning(code):
    """The instructions of a program that only returns `code`."""
    return [*mov(0, code), *EXIT]


def try_load(instructions, kind=TYPE_LWT_SEG6LOCAL, license_="GPL"):
    """Loads a program; returns (file descriptor or -errno, what the verifier says)."""
    body, log = b"".join(instructions), Pointer(bytes(1 << 16))
    result, _ = bpf(PROG_LOAD, "IIQQIIQII", kind, len(body) // 8, Pointer(body), Pointer(license_.encode() + b"\0"),
                    1, 1 << 16, log, 0, 0)
    return result, log.buffer.value.decode(errors="replace")


def load_program(instructions, kind=TYPE_LWT_SEG6LOCAL):
    """Loads a program that the verifier has to accept; returns its file descriptor."""
    fd, log = try_load(instructions, kind)
    if fd < 0:
        raise OSError(-fd, log)
    return fd


def program_info(fd):
    """What the kernel says about the program behind a file descriptor."""
    info = Pointer(bytes(232))
    result, _ = bpf(OBJ_INFO, "IIQ", fd, 232, info)
    if result < 0:
        raise OSError(-result, "BPF_OBJ_GET_INFO_BY_FD")
    kind, number, _, jited_len = struct.unpack_from("=II8sI", info.buffer.raw)
    return {"type": kind, "id": number, "jited_len": jited_len}


def program_exists(number):
    """Whether a program with this id is loaded."""
    fd, _ = bpf(PROG_BY_ID, "I", number)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def programs():
    """The ids of all programs that are loaded."""
    found, number = set(), 0
    while True:
        result, attribute = bpf(PROG_NEXT_ID, "II", number, 0)
        if result < 0:
            return found
        number = struct.unpack_from("=I", attribute, 4)[0]
        found.add(number)


def test_run(fd, frame, repeat=1):
    """BPF_PROG_TEST_RUN on an Ethernet frame; returns (0 or -errno, return value of the program, frame after it)."""
    out = Pointer(bytes(1 << 14))
    result, attribute = bpf(TEST_RUN, "IIIIQQII", fd, 0, len(frame), 1 << 14, Pointer(frame), out, repeat, 0)
    value, _, length = struct.unpack_from("=III", attribute, 4)
    return result, value, out.buffer.raw[:length]


def update(fd, key, value):
    """Sets an element of an array map."""
    result, _ = bpf(MAP_UPDATE, "IIQQQ", fd, 0, Pointer(struct.pack("=I", key)), Pointer(value), 0)
    if result < 0:
        raise OSError(-result, "BPF_MAP_UPDATE_ELEM")


class Map:
    """An array map with one element."""

    def __init__(self, fd, size):
        self.fd = fd
        self.key = Pointer(bytes(4))
        self.size = size

    def write(self, data):
        """Sets the element."""
        update(self.fd, 0, data.ljust(self.size, b"\0"))

    def read(self):
        """The element."""
        value = Pointer(bytes(self.size))
        result, _ = bpf(MAP_LOOKUP, "IIQQQ", self.fd, 0, self.key, value, 0)
        if result < 0:
            raise OSError(-result, "BPF_MAP_LOOKUP_ELEM")
        return value.buffer.raw


def object_path(name):
    """The path of a BPF object file: in SEG6_OUTPUT, or beside the tests."""
    return os.path.join(os.environ.get("SEG6_OUTPUT", os.path.dirname(os.path.abspath(__file__))), name)


class Object:
    """A BPF object file, loaded by libbpf."""

    def __init__(self, name):
        self.lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
        for function in ("open_file", "find_program_by_name", "find_map_by_name"):
            getattr(self.lib, "bpf_object__" + function).restype = ctypes.c_void_p
        path = object_path(name)
        self.handle = ctypes.c_void_p(self.lib.bpf_object__open_file(path.encode(), None))
        if not self.handle or self.lib.bpf_object__load(self.handle):
            raise OSError(ctypes.get_errno(), f"loading {path}")

    def program(self, name):
        """The file descriptor of a program."""
        found = ctypes.c_void_p(self.lib.bpf_object__find_program_by_name(self.handle, name.encode()))
        return self.lib.bpf_program__fd(found)

    def map(self, name):
        """An array map with one element."""
        found = ctypes.c_void_p(self.lib.bpf_object__find_map_by_name(self.handle, name.encode()))
        return Map(self.lib.bpf_map__fd(found), self.lib.bpf_map__value_size(found))
