"""A lock between processes of one machine, and who a process is, so that death can be proven."""

from __future__ import annotations

import fcntl
import functools
import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from lifeos.errors import Busy


@dataclass(frozen=True)
class Owner:
    """A process, so named that a later process with the same number is not taken for it.

    ``boot`` is the id of the machine's boot and ``started`` the start in clock ticks since then;
    both are empty where the system does not tell.
    """

    host: str
    boot: str
    pid: int
    started: str

    def line(self) -> str:
        """One line of text, read back by ``parse``."""
        return f"{self.pid} {self.started or '-'} {self.boot or '-'} {self.host}"

    @classmethod
    def parse(cls, line: str) -> Owner | None:
        """The owner in a line, or None for anything else (an empty or torn file)."""
        parts = line.strip().split(" ", 3)
        if len(parts) != 4 or not parts[0].isdecimal():
            return None
        started, boot = ("" if part == "-" else part for part in parts[1:3])
        return cls(host=parts[3], boot=boot, pid=int(parts[0]), started=started)


@functools.cache
def _host_and_boot() -> tuple[str, str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return socket.gethostname(), boot


def _started(pid: int) -> str | None:
    """Start of a process in ticks since boot. None: there is none. Empty: cannot be known."""
    try:
        # The name, in parentheses, may hold anything; field 22 of proc(5) is the 20th after it.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else ""
    except OSError:
        return ""
    # A zombie has ended: it only waits to be collected, and holds nothing.
    return None if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")


def proc_identity(pid: int | None = None) -> Owner:
    """The identity of a process of this machine, this one by default."""
    number = os.getpid() if pid is None else pid
    host, boot = _host_and_boot()
    return Owner(host=host, boot=boot, pid=number, started=_started(number) or "")


def owner_is_dead(owner: Owner) -> bool | None:
    """Whether a process has provably ended. None: cannot be known (another host, no proof)."""
    host, boot = _host_and_boot()
    if owner.host != host:
        return None
    if owner.boot and boot and owner.boot != boot:
        return True
    now = _started(owner.pid)
    if now is None:
        return True
    if now and owner.started:
        return now != owner.started
    return None if _signal_reaches(owner.pid) else True


def _signal_reaches(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


TICK = "tick.lock"
"""The file in lifeos's own folder that a tick of this clone locks while it is at work."""


class Lock:
    """An exclusive lock on a file, released by the kernel when its process dies.

    The file stays; its text names the last holder, for people. Waiting is in the kernel's order.
    Not for use by two threads at once through one ``Lock``.
    """

    def __init__(self, path: Path, *, timeout: float = 60.0) -> None:
        """``timeout``: seconds that ``with`` waits before it raises ``Busy``."""
        self.path = path
        self.timeout = timeout
        self._descriptor: int | None = None

    def acquire(self, timeout: float | None = None) -> None:
        """Take the lock. Raises ``Busy`` after ``timeout`` seconds (0: at once)."""
        if self._descriptor is not None:
            raise RuntimeError(f"{self.path} is already locked by this object")
        limit = self.timeout if timeout is None else timeout
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if limit <= 0 or not _wait(descriptor, limit):
                if limit <= 0:
                    os.close(descriptor)
                raise self._busy() from None
        self._descriptor = descriptor
        text = f"{proc_identity().line()}\n".encode()
        os.pwrite(descriptor, text, 0)
        os.ftruncate(descriptor, len(text))

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> Owner | None:
        """Who took it last (who may have released it since)."""
        try:
            return Owner.parse(self.path.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return None

    def _busy(self) -> Busy:
        owner = self.holder()
        who = f"process {owner.pid} on {owner.host}" if owner else "another process"
        return Busy(f"{self.path} is locked by {who}", "wait until it has ended, then try again")

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        self.release()
        return False


def between_ticks(private: Path) -> Lock:
    """The lock of whatever must not meet a tick: a command waits five seconds for one at work."""
    return Lock(private / TICK, timeout=5.0)


def _wait(descriptor: int, limit: float) -> bool:
    """Wait for the lock in the kernel's queue. If time runs out, close the descriptor: False.

    A blocking call in a thread, because polling starves under contention (the one who sleeps
    never meets the free moment), and an alarm signal belongs to the main program.
    """
    done = threading.Event()
    decide = threading.Lock()
    abandoned = False

    def block() -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with decide:
            if abandoned:
                os.close(descriptor)
            done.set()

    deadline = time.monotonic() + limit
    threading.Thread(target=block, daemon=True, name="lifeos-lock").start()
    try:
        done.wait(max(0.0, deadline - time.monotonic()))
    finally:
        with decide:
            abandoned = not done.is_set()
    return not abandoned
