"""Started inside the sandbox: gives a program a model at an address, over a Unix socket.

The sandbox has a network of its own in which nothing is reachable. This listens there on
``127.0.0.1:PORT``, hands each connection on to ``SOCKET`` (the door, mounted in), and then runs a
command with stdin closed and ends with its status (128 + the signal that killed it). It is a script
of the standard library alone, because it is mounted in as one file; lifeos imports it only for
``mounted`` and ``argv``.

    python inside.py [--port N] [--socket PATH] [--stdin FILE] [--errors-last] -- COMMAND ...

``--stdin`` gives the command a file to read in place of nothing. ``--errors-last`` holds back what
the command writes to stderr and writes its last part to stdout once the command has ended, so that
it never lands in the middle of a line of stdout.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import threading
from collections.abc import Sequence

PORT = 11434
SOCKET = "/run/lifeos/model.sock"
SCRIPT = "/run/lifeos/inside.py"
MOST = 256 * 1024  # bytes that wait in one direction; then the sender waits, too
CHUNK = 65536
KEPT_ERRORS = 16 * 1024
NOT_STARTED = 127


def argv(
    command: Sequence[str],
    *,
    python: str = "",
    port: int = PORT,
    door: str = SOCKET,
    stdin: str = "",
    errors_last: bool = False,
) -> tuple[str, ...]:
    """What to start in the sandbox, with this file at ``SCRIPT`` and the door at ``door``.

    ``python`` is a name on the PATH inside; the one that runs lifeos is there by its own name.
    """
    start = (python or os.path.basename(sys.executable), "-I", "-S", "-B", SCRIPT)  # noqa: PTH119 - pathlib would be an import more inside
    options = ("--port", str(port), "--socket", door)
    reads = ("--stdin", stdin) if stdin else ()
    holds = ("--errors-last",) if errors_last else ()
    return (*start, *options, *reads, *holds, "--", *command)


class Half:
    """One direction of a connection: what was read at ``source`` and not yet taken by ``sink``."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.waiting = bytearray()
        self.read_all = False  # the source has said all
        self.done = False  # and the sink knows

    def read(self) -> None:
        """Take what is there."""
        try:
            chunk = self.source.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            chunk = b""
        self.waiting += chunk
        self.read_all = not chunk
        self.write()

    def write(self) -> None:
        """Hand on what can be handed on; and the end, once all of it is."""
        try:
            while self.waiting:
                del self.waiting[: self.sink.send(self.waiting[:CHUNK])]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # the sink is gone: nobody wants the rest
            self.waiting.clear()
            self.read_all = True
        if self.read_all and not self.done:
            self.done = True
            try:
                self.sink.shutdown(socket.SHUT_WR)
            except OSError:
                return  # it is closed already, which says the same


class Forwarder:
    """All connections, in one thread: threads count against the sandbox's limit."""

    def __init__(self, port: int, door: str) -> None:
        self.door = door
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until the process ends."""
        while True:
            for key, events in self.selector.select():
                if key.fileobj is self.listener:
                    self._accept()
                elif isinstance(key.data, tuple):
                    self._move(key.fileobj, events, key.data)

    def _accept(self) -> None:
        try:
            near, _ = self.listener.accept()
        except OSError:
            return  # it gave up, or there are too many files open: the next one may be luckier
        far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            far.connect(self.door)
        except OSError:
            near.close()  # the program sees a refused connection
            far.close()
            return
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        near.setblocking(False)
        far.setblocking(False)
        halves = (Half(near, far), Half(far, near))
        for end in (near, far):
            self.selector.register(end, selectors.EVENT_READ, halves)

    def _move(self, end: object, events: int, halves: tuple[Half, Half]) -> None:
        for half in halves:
            if half.source is end and events & selectors.EVENT_READ and not half.read_all:
                half.read()
            if half.sink is end and events & selectors.EVENT_WRITE:
                half.write()
        if all(half.done for half in halves):
            for half in halves:
                self._forget(half.source)
                half.source.close()
            return
        for one in (halves[0].source, halves[1].source):
            self._expect(one, halves)

    def _expect(self, end: socket.socket, halves: tuple[Half, Half]) -> None:
        """Look at an end only for what can be done: a look for more would spin."""
        wanted = 0
        for half in halves:
            if half.source is end and not half.read_all and len(half.waiting) < MOST:
                wanted |= selectors.EVENT_READ
            if half.sink is end and half.waiting:
                wanted |= selectors.EVENT_WRITE
        if not wanted:
            self._forget(end)
        elif end in self.selector.get_map():
            self.selector.modify(end, wanted, halves)
        else:
            self.selector.register(end, wanted, halves)

    def _forget(self, end: socket.socket) -> None:
        if end in self.selector.get_map():
            self.selector.unregister(end)


def run(command: Sequence[str], stdin: str, errors_last: bool) -> int:
    """Run the command to its end; gives the status for this process."""
    actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, stdin or os.devnull, os.O_RDONLY, 0)
    ]
    reading, writing = os.pipe() if errors_last else (-1, -1)
    if errors_last:
        actions.append((os.POSIX_SPAWN_DUP2, writing, 2))
    try:
        child = os.posix_spawnp(command[0], list(command), os.environ, file_actions=actions)
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode())
        return NOT_STARTED
    last = bytearray()
    holder = threading.Thread(target=_hold, args=(reading, last), daemon=True)
    if errors_last:
        os.close(writing)
        holder.start()
    _, status = os.waitpid(child, 0)
    if errors_last:
        holder.join(0.2)  # what the command left running may hold its end open
        _write_all(1, b"\n" + bytes(last) + b"\n" if last else b"")
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _hold(reading: int, last: bytearray) -> None:
    while chunk := os.read(reading, CHUNK):
        last += chunk
        del last[:-KEPT_ERRORS]


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def main(arguments: Sequence[str]) -> int:
    """Read the arguments, listen, and run the command."""
    split = list(arguments).index("--")
    options, command = list(arguments[:split]), arguments[split + 1 :]
    errors_last = "--errors-last" in options
    if errors_last:
        options.remove("--errors-last")
    named = dict(zip(options[::2], options[1::2], strict=True))
    port, door = int(named.get("--port", PORT)), named.get("--socket", SOCKET)
    forwarder = Forwarder(port, door)  # from here on a connection waits, it is not refused
    threading.Thread(target=forwarder.serve, daemon=True).start()
    return run(command, named.get("--stdin", ""), errors_last)


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(main(sys.argv[1:]))
