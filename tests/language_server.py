"""The YAML language server, spoken to as an editor does: JSON over standard input and output."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from conftest import require

SERVER = Path(__file__).parent / "editor/node_modules/yaml-language-server/bin/yaml-language-server"
HOW = "npm ci --ignore-scripts --no-audit --no-fund in tests/editor"
SETTINGS = {
    "validate": True,
    "hover": True,
    "completion": True,
    "schemaStore": {"enable": False},  # what is not named in the file is not looked for
}
_ABLE = {
    "textDocument": {
        "publishDiagnostics": {},
        "completion": {"completionItem": {"documentationFormat": ["plaintext"]}},
        "hover": {"contentFormat": ["plaintext"]},
    },
    "workspace": {"configuration": True},
}


class Server:
    """One server with one folder open, as an editor has it."""

    def __init__(self, write: IO[bytes], read: IO[bytes]) -> None:
        """What it reads, and what it writes."""
        self._write, self._read, self._count = write, read, 0
        self._found: dict[str, list[dict[str, Any]]] = {}

    def ask(self, method: str, params: object) -> Any:  # Any: what the server answers
        """A request, and its result."""
        self._count += 1
        number = self._count
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def tell(self, method: str, params: object) -> None:
        """A notification."""
        self._send({"method": method, "params": params})

    def problems(self, file: Path, text: str) -> list[dict[str, Any]]:
        """What it says of a file with this text, beside ``file``."""
        uri = self._opened(file, text)
        while uri not in self._found:
            self._next()
        return self._found[uri]

    def at(self, method: str, file: Path, text: str, place: tuple[int, int]) -> Any:
        """What it says about a place (line and column, from 0) in a file with this text."""
        uri, (line, column) = self._opened(file, text), place
        position = {"line": line, "character": column}
        told = {"textDocument": {"uri": uri}, "position": position}
        return self.ask(f"textDocument/{method}", told)

    def _opened(self, file: Path, text: str) -> str:
        """A file of its own each time, never written: nothing said of an earlier text is of it."""
        self._count += 1
        uri = file.with_name(f"{self._count}-{file.name}").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def _send(self, message: dict[str, object]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._write.write(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        self._write.flush()

    def _next(self) -> dict[str, Any]:
        """The next message; what it asks of an editor is answered."""
        length = 0
        while line := self._read.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the server has ended"
        message: dict[str, Any] = json.loads(self._read.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            told = message["params"]
            self._found[told["uri"]] = told["diagnostics"]
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": _answer(message)})
        return message


def _answer(message: dict[str, Any]) -> object:
    if message["method"] != "workspace/configuration":
        return None
    sections = [one.get("section") for one in message["params"]["items"]]
    return [SETTINGS if section == "yaml" else None for section in sections]


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """A server with this folder open; skips where it is not installed, and fails in CI."""
    require("yaml-language-server", SERVER.is_file(), HOW)
    with subprocess.Popen(
        ["node", str(SERVER), "--stdio"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        found = Server(process.stdin, process.stdout)
        try:
            opened = [{"uri": folder.as_uri(), "name": folder.name}]
            about = {"processId": None, "rootUri": folder.as_uri(), "capabilities": _ABLE}
            found.ask("initialize", {**about, "workspaceFolders": opened})
            found.tell("initialized", {})
            found.tell("workspace/didChangeConfiguration", {"settings": {"yaml": SETTINGS}})
            yield found
        finally:
            process.kill()
