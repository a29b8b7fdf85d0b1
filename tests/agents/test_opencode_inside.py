"""The forwarder that is started inside the sandbox: bytes both ways, and the command's status."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeos.agents import inside

#: Sends argv[2] bytes, ends its side, and prints the digest of what comes back; argv[3] times.
CLIENT = """
import hashlib, socket, sys, threading
port, size, times = (int(each) for each in sys.argv[1:])
digests = []
def talk(number):
    with socket.create_connection(("127.0.0.1", port)) as s:
        data = bytes([number % 251]) * size
        threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR))).start()
        digest = hashlib.sha256()
        while chunk := s.recv(65536):
            digest.update(chunk)
        digests.append((number, digest.hexdigest()))
threads = [threading.Thread(target=talk, args=(n,)) for n in range(times)]
[t.start() for t in threads]
[t.join() for t in threads]
for number, digest in sorted(digests):
    print(number, digest)
"""


@pytest.fixture
def door() -> Iterator[Path]:
    """A Unix socket that says back what it hears, and ends when it has heard all."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder, "door")
        listener.bind(str(path))
        listener.listen(100)
        threading.Thread(target=_echo_all, args=(listener,), daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)


def _echo_all(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        while chunk := connection.recv(65536):
            connection.sendall(chunk)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
        return number


def start(
    command: list[str], *, port: int, door: Path, stdin: str = "", errors_last: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run a command behind the forwarder, here outside of any sandbox."""
    line = inside.argv(
        command,
        python=sys.executable,
        port=port,
        door=str(door),
        stdin=stdin,
        errors_last=errors_last,
    )
    script = [inside.__file__ if part == inside.SCRIPT else part for part in line]
    return subprocess.run(script, input=b"", capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize(("size", "times"), [(3, 1), (5_000_000, 3), (1000, 60)])
def test_all_bytes_go_through_and_the_end_of_one_side_is_told(
    door: Path, size: int, times: int
) -> None:
    """The client ends its side first and must still get everything back; then its own end."""
    port = free_port()
    command = [sys.executable, "-c", CLIENT, str(port), str(size), str(times)]
    done = start(command, port=port, door=door)
    wanted = [f"{n} {hashlib.sha256(bytes([n % 251]) * size).hexdigest()}" for n in range(times)]
    assert done.stdout.decode().splitlines() == wanted, done.stderr.decode()


def test_a_door_that_is_gone_closes_the_connection(tmp_path: Path) -> None:
    """The program hears an error at once, instead of waiting."""
    port = free_port()
    client = (
        f"import socket; s = socket.create_connection(('127.0.0.1', {port})); s.settimeout(20)\n"
        "try: print(s.recv(1))\n"
        "except ConnectionError: print(b'')"
    )
    done = start([sys.executable, "-c", client], port=port, door=tmp_path / "none")
    assert done.stdout == b"b''\n", done.stderr.decode()


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_it_ends_as_its_command(door: Path, script: str, status: int) -> None:
    """Its status is the command's; a signal is 128 and its number, as in a shell."""
    assert start(["/bin/sh", "-c", script], port=free_port(), door=door).returncode == status


def test_a_command_that_is_not_there(door: Path) -> None:
    """Named, with the status that shells give."""
    done = start(["/nowhere/at-all"], port=free_port(), door=door)
    assert done.returncode == 127
    assert b"/nowhere/at-all" in done.stderr


def test_stdin_is_empty_or_the_file(door: Path, tmp_path: Path) -> None:
    """Never what lifeos itself has there: an open one makes programs wait."""
    file = tmp_path / "prompt"
    file.write_bytes(b"from the file")
    assert start(["/bin/cat"], port=free_port(), door=door).stdout == b""
    done = start(["/bin/cat"], port=free_port(), door=door, stdin=str(file))
    assert done.stdout == b"from the file"


def test_errors_come_last_and_are_cut(door: Path) -> None:
    """They do not land in the middle of a line, and a flood of them keeps its end."""
    script = "printf begin-; yes xyz | head -c 200000 >&2; printf last >&2; echo end"
    done = start(["/bin/sh", "-c", script], port=free_port(), door=door, errors_last=True)
    assert done.stdout.startswith(b"begin-end\n\n")
    assert done.stdout.endswith(b"last\n")
    assert len(done.stdout) < 2 * inside.KEPT_ERRORS
    assert done.stderr == b""
