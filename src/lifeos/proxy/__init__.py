"""The model proxy: the only thing outside that an agent with a model can reach.

A door is a Unix socket, mounted into one sandbox, that answers one method at one path. What comes
in is judged by ``core.modelcall`` and written anew; the key is added out here, and goes nowhere
else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.proxy.meter import Meter
from lifeos.proxy.route import Allowance, Route

if TYPE_CHECKING:
    from lifeos.proxy.exchange import Exchange
    from lifeos.proxy.inlet import Bounds
    from lifeos.proxy.line import Line

__all__ = ["Allowance", "Door", "Meter", "Route", "opened"]

_LONGEST_PATH = 100  # bytes; the kernel's limit for the address of a Unix socket is a little more
_PATIENCE = 2.0  # seconds for threads to end, once their connections are closed


@dataclass(frozen=True)
class Door:
    """One open door: a Unix socket that speaks HTTP, for one sandbox."""

    socket: Path
    meter: Meter
    heard: Callable[[], float]  # seconds since the last byte went through, either way


def nobody(_line: str) -> None:
    """Nobody watches."""


@contextmanager
def opened(
    route: Route,
    meter: Meter,
    *,
    stage: str,
    seat: str = "",
    clock: Callable[[], float],
    bounds: Bounds | None = None,
    told: Callable[[str], None] = nobody,
) -> Iterator[Door]:
    """A door to one model, for the time of the block. ``clock`` gives seconds since 1970 UTC.

    ``told`` gets a line for people on each tool that the model asks for, before it is used.

    When the block ends, no call is under way any more, and each has its receipt.
    """
    from lifeos.proxy.inlet import Bounds
    from lifeos.proxy.line import Line, Party
    from lifeos.proxy.outlet import Outlet

    folder = _folder()
    try:
        with (
            Outlet(route, max(1, meter.allowance.limits.silence)) as outlet,
            _listening(folder / "model") as listener,
        ):
            line = Line(Party(route, meter, stage, seat, clock, told), outlet)
            serving = _Serving(listener, line, bounds or Bounds())
            serving.start()
            try:
                yield Door(folder / "model", meter, line.heard)
            finally:
                serving.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    """A folder that only we can enter. The sandbox's user gets the socket by a mount, not by it."""
    folder = Path(tempfile.mkdtemp(prefix="lifeos-"))
    if len(os.fsencode(folder / "model")) <= _LONGEST_PATH:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="lifeos-", dir="/tmp"))


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        path.chmod(0o666)  # the sandbox's user may be another one; the folder keeps others out
        listener.listen(64)
        listener.settimeout(0.5)
        yield listener


class _Serving:
    """Threads that answer, one for each connection."""

    def __init__(self, listener: socket.socket, line: Line, bounds: Bounds) -> None:
        self._listener = listener
        self._line = line
        self._bounds = bounds
        self._free = threading.BoundedSemaphore(bounds.connections)
        self._lock = threading.Lock()
        self._live: dict[threading.Thread, tuple[socket.socket, Exchange]] = {}
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def start(self) -> None:
        self._accepting.start()

    def close(self) -> None:
        """End everything, and wait for it. What does not end gets its receipt all the same."""
        self._line.closing.set()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(_PATIENCE)
            knock.connect(self._listener.getsockname())  # wakes the loop, which looks at closing
        self._accepting.join()
        with self._lock:
            live = dict(self._live)
        for connection, _ in live.values():
            with contextlib.suppress(OSError):  # the agent was faster
                connection.shutdown(socket.SHUT_RDWR)
        self._line.outlet.abort()
        for thread, (_, exchange) in live.items():
            thread.join(_PATIENCE)
            exchange.settle()

    def _accept(self) -> None:
        while not self._line.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                if self._line.closing.is_set():
                    return
                self._line.closing.wait(0.1)  # out of descriptors; they come back
                continue
            if self._line.closing.is_set() or not self._free.acquire(blocking=False):
                connection.close()
                continue
            self._begin(connection)

    def _begin(self, connection: socket.socket) -> None:
        from lifeos.proxy.exchange import Exchange
        from lifeos.proxy.inlet import Inlet

        exchange = Exchange(self._line, Inlet(connection, self._bounds, self._line.touch))
        thread = threading.Thread(target=self._answer, args=(connection, exchange), daemon=True)
        with self._lock:
            self._live[thread] = (connection, exchange)
        thread.start()

    def _answer(self, connection: socket.socket, exchange: Exchange) -> None:
        try:
            exchange.serve()
        finally:
            connection.close()
            with self._lock:
                self._live.pop(threading.current_thread(), None)
            self._free.release()
