"""A filter of system calls for the sandbox, as the kernel's own small program (classic BPF).

Namespaces do not cover everything: the kernel's key store, virtual machine sockets, nested user
namespaces and a terminal's input queue go past them. These calls are refused. Written out here
because it is a page of numbers, and a library for it would be a dependency that has to be compiled.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

LOAD, JUMP_EQ, JUMP_GE, JUMP_SET, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
# struct seccomp_data: the call's number, the architecture, then the six arguments (little endian).
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
NEW_USER = 0x10000000  # CLONE_NEWUSER
X32 = 0x40000000
# Unix, IPv4, IPv6, netlink (getifaddrs needs it). Virtual machine sockets (40) reach the host.
FAMILIES = (1, 2, 10, 16)
TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX


@dataclass(frozen=True)
class Calls:
    """The numbers of one architecture."""

    architecture: int
    clone: int
    clone3: int
    unshare: int
    socket: int
    ioctl: int
    refused: tuple[int, ...]


# The same on every architecture since Linux 5.0.
_COMMON = (
    425, 426, 427,  # io_uring: does what other calls do, unseen by a filter
    428, 429, 430, 431, 432, 433, 442,  # open_tree ... fspick, mount_setattr
)  # fmt: skip

TABLES = {
    "x86_64": Calls(
        architecture=0xC000003E,
        clone=56,
        clone3=435,
        unshare=272,
        socket=41,
        ioctl=16,
        # add_key request_key keyctl, bpf perf_event_open userfaultfd, mount umount2 pivot_root
        # setns, kexec_load kexec_file_load init_module finit_module delete_module, reboot
        # swapon swapoff acct syslog, open_by_handle_at, quotactl, settimeofday clock_settime
        refused=(248, 249, 250, 321, 298, 323, 165, 166, 155, 308, 246, 320, 175, 313, 176, 169,
                 167, 168, 163, 103, 304, 179, 164, 227, *_COMMON),
    ),
    "aarch64": Calls(
        architecture=0xC00000B7,
        clone=220,
        clone3=435,
        unshare=97,
        socket=198,
        ioctl=29,
        refused=(217, 218, 219, 280, 241, 282, 40, 39, 41, 268, 104, 294, 105, 273, 106, 142,
                 224, 225, 89, 116, 265, 60, 170, 112, *_COMMON),
    ),
}  # fmt: skip


def program(machine: str = "") -> bytes | None:
    """The filter for this machine, ready for ``bwrap --seccomp``; None where none is written."""
    calls = TABLES.get(machine or platform.machine())
    return None if calls is None else b"".join(_instructions(calls))


def _refuse(error: int) -> bytes:
    return _step(RETURN, REFUSE | error)


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One instruction: jump ``yes`` or ``no`` instructions ahead after a test."""
    return struct.pack("=HBBI", code, yes, no, value)


def _instructions(calls: Calls) -> list[bytes]:
    """Allow all but what is listed. Foreign architectures could name other calls by our numbers."""
    steps = [
        _step(LOAD, ARCHITECTURE),
        _step(JUMP_EQ, calls.architecture, yes=1),
        _refuse(errno.ENOSYS),
        _step(LOAD, NUMBER),
    ]
    if calls.architecture == TABLES["x86_64"].architecture:
        steps += [_step(JUMP_GE, X32, no=1), _refuse(errno.ENOSYS)]
    # clone3 hides its flags behind a pointer; told that it is missing, programs fall back to clone.
    steps += [_step(JUMP_EQ, calls.clone3, no=1), _refuse(errno.ENOSYS)]
    for number in calls.refused:
        steps += [_step(JUMP_EQ, number, no=1), _refuse(errno.EPERM)]
    for number in (calls.clone, calls.unshare):
        steps += _when(number, 0, [_step(JUMP_SET, NEW_USER, no=1), _refuse(errno.EPERM)])
    terminal = [_step(JUMP_EQ, request, no=1) + _refuse(errno.EPERM) for request in TERMINAL_INPUT]
    steps += _when(calls.ioctl, 1, terminal)
    known = [_step(JUMP_EQ, family, yes=len(FAMILIES) - at) for at, family in enumerate(FAMILIES)]
    steps += _when(calls.socket, 0, [*known, _refuse(errno.EAFNOSUPPORT)])
    return [*steps, _step(RETURN, ALLOW)]


def _when(number: int, argument: int, then: list[bytes]) -> list[bytes]:
    """For one call: load an argument (its low 32 bits), do the steps, load the number again."""
    body = b"".join(then)
    load = _step(LOAD, ARGUMENTS + 8 * argument)
    return [_step(JUMP_EQ, number, no=len(body) // 8 + 2), load, body, _step(LOAD, NUMBER)]
