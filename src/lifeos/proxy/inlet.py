"""The inner side of a door: one HTTP request from the agent, strictly read, and its answer.

One request for each connection, which is then closed: there is nothing to pipeline or to smuggle.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import h11

from lifeos.core.modelcall import MAX_BYTES, PATHS, TARGETS
from lifeos.core.policy.models import Wire

HEAD_BYTES = 32 * 1024
_AT_ONCE = 64 * 1024


class Misspoken(Exception):
    """Not a request that is answered here; ``status`` and the message go back to the agent."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Gone(Exception):
    """The agent closed its side, or does not read what it asked for."""


@dataclass(frozen=True)
class Bounds:
    """How long a request may take to come in, in seconds, and how many connections at once."""

    seconds: float = 60.0
    connections: int = 64


class Inlet:
    """One connection from inside. ``heard`` is called for whatever goes through."""

    def __init__(
        self, connection: socket.socket, bounds: Bounds, heard: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._heard = heard
        self._deadline = time.monotonic() + bounds.seconds
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self.answered = False

    def request(self, wire: Wire) -> bytes | None:
        """The body of a POST to the path of ``wire``; None when nothing is asked.

        Raises ``Misspoken`` for everything else, and ``Gone``.
        """
        try:
            head = self._next()
            if isinstance(head, h11.ConnectionClosed):
                return None
            if not isinstance(head, h11.Request):
                raise Misspoken(400, "not a request")
            self._judge(head, wire)
            return self._body()
        except h11.RemoteProtocolError as error:
            raise Misspoken(error.error_status_hint, "not a request of HTTP") from None

    def _judge(self, head: h11.Request, wire: Wire) -> None:
        only = f"there is only POST {PATHS[wire]} here"
        if head.target not in TARGETS[wire]:
            raise Misspoken(404, only)
        if head.method != b"POST":
            raise Misspoken(405, only)
        if head.http_version not in {b"1.0", b"1.1"}:
            raise Misspoken(505, "only HTTP/1.1 is spoken here")
        names = [name for name, _ in head.headers]
        if b"transfer-encoding" in names and b"content-length" in names:
            raise Misspoken(400, "two lengths")
        if b"content-encoding" in names:
            raise Misspoken(415, "the body may not be compressed")
        if b"upgrade" in names:
            raise Misspoken(400, "no other protocol is spoken here")
        lengths = [value for name, value in head.headers if name == b"content-length"]
        if lengths and int(lengths[0]) > MAX_BYTES:
            raise Misspoken(413, f"a request may have {MAX_BYTES} bytes")

    def _body(self) -> bytes:
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        while not isinstance(event := self._next(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise Misspoken(400, "the body broke off")
            body += event.data
            if len(body) > MAX_BYTES:
                raise Misspoken(413, f"a request may have {MAX_BYTES} bytes")
        return bytes(body)

    def _next(self) -> h11.Event:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise Misspoken(408, "the request did not come in time")
            self._connection.settimeout(left)
            try:
                data = self._connection.recv(_AT_ONCE)
            except TimeoutError:
                raise Misspoken(408, "the request did not come in time") from None
            except OSError as error:
                raise Gone from error
            self._http.receive_data(data)
            self._heard()
        if not isinstance(event, h11.Event):  # paused: a second request before the first is done
            raise Misspoken(400, "one request at a time")
        return event

    def begin(self, status: int, kind: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Begin an answer whose pieces follow."""
        self.answered = True
        fields = [("content-type", kind), ("connection", "close"), *headers]
        self._send(h11.Response(status_code=status, headers=fields))

    def piece(self, data: bytes) -> None:
        """Some of it, at once."""
        if data:
            self._send(h11.Data(data=data))

    def end(self) -> None:
        """The answer is complete. Without this the agent sees that it broke off."""
        self._send(h11.EndOfMessage())

    def whole(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """A whole answer of JSON."""
        self.begin(status, "application/json", (("content-length", str(len(body))), *headers))
        self.piece(body)
        self.end()

    def refuse(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """An error of our own, in the form that both protocols know."""
        error = {"type": "lifeos_refused", "message": f"lifeos: {message}"}
        self.whole(status, json.dumps({"type": "error", "error": error}).encode(), headers)

    def patience(self, seconds: float) -> None:
        """How long the agent may take to read."""
        self._connection.settimeout(seconds)

    def _send(self, event: h11.Event) -> None:
        try:
            data = self._http.send(event)
            if data:
                self._connection.sendall(data)
                self._heard()
        except (OSError, h11.LocalProtocolError) as error:
            raise Gone from error
