"""A server on this machine, and the judge before it: one of each for a whole run of the tests.

Whoever answers is put on the stage test by test, so that Prism, which needs seconds to read
GitHub's description, is started once.
"""

from __future__ import annotations

import atexit
import functools
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from github_judge import judged, required

BASE = "/api/v3"
Reply = tuple[int, Any, dict[str, str]]


class Backend(Protocol):
    """Who answers."""

    def reply(self, method: str, target: str, token: str, content: bytes) -> Reply | None:
        """Status, value and headers; None: the connection ends without an answer.

        A value of bytes is sent as it is; with a ``content-length`` of its own, it is cut there.
        """
        ...


class Stage:
    """Where whoever answers now stands."""

    backend: Backend


@contextmanager
def listening(stage: Stage) -> Iterator[int]:
    """The port of loopback at which the stage answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            token = self.headers.get("authorization", "")
            reply = stage.backend.reply(self.command, self.path, token, content)
            if reply is None:
                self.close_connection = True
                return
            self._send(*reply)

        do_GET = do_POST = do_PATCH = handle_any  # noqa: N815 - the names of the library

        def _send(self, status: int, value: Any, headers: dict[str, str]) -> None:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            if status == 204:
                self.end_headers()
                return
            if "content-length" not in headers:
                self.send_header("content-length", str(len(body)))
            self.send_header("content-type", "application/json; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = "content-length" in headers

        def log_message(self, *_: Any) -> None:
            """Nothing: who answers keeps what was asked."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@functools.cache
def _court() -> tuple[Stage, int]:
    stack, stage = ExitStack(), Stage()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    upstream = stack.enter_context(listening(stage))
    return stage, stack.enter_context(judged(f"http://127.0.0.1:{upstream}", folder, BASE))


def before_the_judge(backend: Backend) -> int:
    """The port at which ``backend`` is asked through the judge, till the next one is put there."""
    required()
    stage, port = _court()
    stage.backend = backend
    return port
