"""A real git server: ``git http-backend`` behind Python's http.server, with two users.

alice may push, bob may read. ``cut`` is asked whether the answer to a request is swallowed, after
the server has done what was asked.
"""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USERS = {"alice": "wonderland", "bob": "builder"}
READERS = frozenset({"bob"})


class Served(ThreadingHTTPServer):
    """A running server of the bare repositories in a folder."""

    def __init__(self, root: Path) -> None:
        """Listen on a free port of loopback."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.root = root
        self.cut: Callable[[str], bool] = lambda _path: False

    @property
    def plain(self) -> str:
        """The address of the repository."""
        return f"http://127.0.0.1:{self.server_port}/hub.git"

    def url(self, user: str = "alice") -> str:
        """The same, with what opens it."""
        return self.plain.replace("//", f"//{user}:{USERS[user]}@")


class Handler(BaseHTTPRequestHandler):
    """One request, answered by git."""

    server: Served

    def log_message(self, *_args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """What references there are."""
        self._answer()

    def do_POST(self) -> None:
        """A fetch, or a push."""
        self._answer()

    def _answer(self) -> None:
        user, body = self._user(), self._body()
        if user is None:
            self._send(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
            return
        if user in READERS and "receive-pack" in self.path:
            self._send(403, {}, b"")
            return
        head, _, content = self._backend(user, body).partition(b"\r\n\r\n")
        if self.server.cut(self.path):
            self.close_connection = True
            self.connection.close()
            return
        named = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self._send(int(named.pop("Status", "200").split()[0]), named, content)

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _user(self) -> str | None:
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return None
        user, _, word = base64.b64decode(given).decode().partition(":")
        return user if USERS.get(user) == word else None

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _backend(self, user: str, body: bytes) -> bytes:
        path, _, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_USER": user,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=env, capture_output=True, check=False
        )
        return done.stdout


@contextmanager
def serve(root: Path) -> Iterator[Served]:
    """Serve the bare repositories in a folder on loopback."""
    with Served(root) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
