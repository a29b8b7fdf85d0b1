"""The only module that starts processes other than git.

A process gets a session of its own, a closed stdin, exactly the environment that was asked for, and
a deadline. When it has to end, its whole process group ends with it. What leaves the group (by
``setsid``) can only be caught by a PID namespace: see ``lifeos.sandbox``.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal as signals
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from lifeos.errors import UsageError

POLL = 0.2  # seconds between two looks at the stop switch
GRACE = 1.0  # seconds between TERM and KILL
DRAIN = 0.5  # seconds that leftover children may still hold the pipes open
CHUNK = 65536


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    ``status`` is the exit status as Python gives it (negative: killed by that signal, which is
    then also in ``signal``). ``exceeded`` names the limit that ended it, if any: memory,
    processes, disk, depth (of folders).
    """

    status: int
    out: bytes
    err: bytes
    seconds: float
    timed_out: bool = False
    stopped: bool = False
    truncated: bool = False
    signal: int | None = None
    exceeded: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself, with status 0."""
        return self.status == 0 and not (self.timed_out or self.stopped or self.exceeded)


def never() -> bool:
    """The stop switch that nobody pulls."""
    return False


def untraced(_point: str) -> None:
    """The trace that nobody reads."""


class _Kept:
    """The first and the last half of what a stream gave; the middle of a flood is let go."""

    def __init__(self, limit: int) -> None:
        self.first = (limit + 1) // 2
        self.last = limit - self.first
        self.head = bytearray()
        self.tail = bytearray()
        self.lost = 0

    def add(self, chunk: bytes) -> None:
        room = self.first - len(self.head)
        self.head += chunk[:room]
        self.tail += chunk[room:] if room > 0 else chunk
        # Trimmed in large steps only: trimming at each chunk would copy the tail every time.
        if len(self.tail) > self.last + 16 * CHUNK:
            self._trim()

    def _trim(self) -> None:
        over = len(self.tail) - self.last
        if over > 0:
            del self.tail[:over]
            self.lost += over

    def value(self) -> bytes:
        self._trim()
        if not self.lost:
            return bytes(self.head + self.tail)
        return bytes(self.head) + b"\n[... %d bytes left out ...]\n" % self.lost + bytes(self.tail)


class _Conversation:
    """One running process and its three pipes, served without threads."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdin: bytes,
        limit: int,
        on_output: Callable[[bytes], None] | None,
    ) -> None:
        self.process = process
        self.on_output = on_output
        self.selector = selectors.DefaultSelector()
        self.kept: dict[int, _Kept] = {}
        self.pending = memoryview(stdin)
        self.out, self.err = (self._read_from(pipe, limit) for pipe in self._pipes())
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            self.selector.register(process.stdin, selectors.EVENT_WRITE)
        self.watch = self._watch_the_end()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        out, err = self.process.stdout, self.process.stderr
        if out is None or err is None:  # Popen promises them: both were asked for
            raise RuntimeError("a process without pipes")
        return out, err

    def _read_from(self, pipe: IO[bytes], limit: int) -> _Kept:
        os.set_blocking(pipe.fileno(), False)
        self.selector.register(pipe, selectors.EVENT_READ)
        kept = self.kept[pipe.fileno()] = _Kept(limit)
        return kept

    def _watch_the_end(self) -> int | None:
        """A descriptor that wakes us when the process ends (Linux); elsewhere we poll."""
        try:
            descriptor = os.pidfd_open(self.process.pid)
        except (AttributeError, OSError):
            return None
        self.selector.register(descriptor, selectors.EVENT_READ)
        return descriptor

    def talking(self) -> bool:
        """Whether an output pipe is still open."""
        return bool(self.kept.keys() & {key.fd for key in self.selector.get_map().values()})

    def serve(self, seconds: float) -> None:
        """Wait up to ``seconds`` for something to happen, and deal with it."""
        for key, _ in self.selector.select(max(0.0, seconds)):
            if key.fd == self.watch:
                self.selector.unregister(key.fileobj)
            elif key.fd in self.kept:
                self._read(key)
            else:
                self._write(key)

    def _read(self, key: selectors.SelectorKey) -> None:
        try:
            chunk = os.read(key.fd, CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self.selector.unregister(key.fileobj)
            return
        self.kept[key.fd].add(chunk)
        if self.on_output is not None:
            self.on_output(chunk)

    def _write(self, key: selectors.SelectorKey) -> None:
        try:
            self.pending = self.pending[os.write(key.fd, self.pending[:CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.pending = self.pending[:0]  # it does not want to know the rest
        if not self.pending and self.process.stdin is not None:
            self.selector.unregister(key.fileobj)
            self.process.stdin.close()

    def ended(self) -> bool:
        """Whether the main process has ended. It is not reaped: its group id stays ours."""
        return (
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        )

    def close(self) -> None:
        self.selector.close()
        if self.watch is not None:
            os.close(self.watch)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str],
    seconds: float,
    output_limit: int,
    stdin: bytes = b"",
    should_stop: Callable[[], bool] = never,
    on_output: Callable[[bytes], None] | None = None,
    on_start: Callable[[int], None] | None = None,
    pass_fds: Sequence[int] = (),
    trace: Callable[[str], None] = untraced,
    clock: Callable[[], float] = time.monotonic,
) -> Ended:
    """Run a program to its end, its deadline, or the stop switch; whichever comes first.

    ``output_limit`` is in bytes and holds for each stream: head and tail are kept, with a marker
    between them. ``should_stop`` is asked about every 0.2 seconds. ``on_output`` sees each chunk as
    it comes; ``on_start`` gets the process id. An exception in any of them ends the process first.
    Raises ``UsageError`` when the program cannot be started.
    """
    name = Path(argv[0]).name
    trace(f"process:before:{name}")
    started = clock()
    talk: _Conversation | None = None
    try:
        with _interrupts_held():
            process = _start(argv, cwd, env, stdin, pass_fds)
            talk = _Conversation(process, stdin, output_limit, on_output)
        if on_start is not None:
            on_start(talk.process.pid)
        timed_out, stopped = _serve_until_the_end(talk, started + seconds, should_stop, clock)
        if timed_out or stopped:
            _terminate(talk)
        _drain(talk)
    finally:
        if talk is not None:
            _kill_group(talk.process)
            talk.process.wait()
            talk.close()
    status = talk.process.returncode
    ended = Ended(
        status=status,
        out=talk.out.value(),
        err=talk.err.value(),
        seconds=clock() - started,
        timed_out=timed_out,
        stopped=stopped,
        truncated=bool(talk.out.lost or talk.err.lost),
        signal=-status if status < 0 else None,
    )
    trace(f"process:after:{name}")
    return ended


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the end of this: a process that has begun can be ended then.

    Python hears them in its main thread alone. One that is not heard by it is left as it is.
    """
    heard: list[int] = []
    before: dict[int, Callable[[int, FrameType | None], object]] = {}
    if threading.current_thread() is threading.main_thread():
        for interrupt in (signals.SIGINT, signals.SIGTERM):
            handler = signals.getsignal(interrupt)
            if callable(handler):
                before[interrupt] = handler
                signals.signal(interrupt, lambda got, _: heard.append(got))
    try:
        yield
    finally:
        for number, handler in before.items():
            signals.signal(number, handler)
        for got in heard:
            before[got](got, None)


def _start(
    argv: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str],
    stdin: bytes,
    pass_fds: Sequence[int],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
            bufsize=0,
        )
    except OSError as error:
        raise UsageError(
            f"cannot start {argv[0]}: {error.strerror or error}",
            f"check that {argv[0]} is installed and that {error.filename or cwd} exists",
        ) from error


def _serve_until_the_end(
    talk: _Conversation,
    deadline: float,
    should_stop: Callable[[], bool],
    clock: Callable[[], float],
) -> tuple[bool, bool]:
    """Serve the pipes until the main process ended. Gives (timed out, stopped)."""
    pause = POLL if talk.watch is not None else POLL / 4
    look = clock()
    while not talk.ended():
        now = clock()
        if now >= deadline:
            return True, False
        if now >= look:
            if should_stop():
                return False, True
            look = clock() + POLL
        talk.serve(min(pause, deadline - now))
    return False, False


def _terminate(talk: _Conversation) -> None:
    """Ask the group to end, and listen to its last words for a moment.

    Real time, not the injected clock: a clock that stands still must not keep a process alive.
    """
    _signal_group(talk.process, signals.SIGTERM)
    end = time.monotonic() + GRACE
    while not talk.ended() and time.monotonic() < end:
        talk.serve(0.05)
    _kill_group(talk.process)


def _drain(talk: _Conversation) -> None:
    """Read what is still in the pipes; children that hold them open get ``DRAIN`` seconds."""
    end = time.monotonic() + DRAIN
    while talk.talking() and time.monotonic() < end:
        talk.serve(0.05)


def _signal_group(process: subprocess.Popen[bytes], signal: int) -> None:
    # The leader is not reaped yet, so the number cannot belong to anybody else.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process, signals.SIGKILL)
