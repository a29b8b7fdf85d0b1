"""Command lines in processes of their own, which find what lifeos imports from others imported.

Three fifths of the processors' time of tests that type commands went into starting them. Importing
pydantic, typer and their like is two fifths of a short command. So a process that has imported
these, and nothing of lifeos, is copied for each command (``fork``): it imports lifeos, reads its
arguments and environment, and ends as ``python -m lifeos`` does. Where the start itself is what a
test is about, and where a command is watched or killed, it is started anew.

Run as a program, this is the process that is copied.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

_TURN = threading.Lock()
"""A request is read before the next one is written."""
_SETTLED = ("PYTHON", "LC_", "LANG", "PYDANTIC", "TYPER", "_TYPER", "LD_", "DYLD_")
"""Variables that Python and its packages read when they start."""


def run(
    args: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    *,
    errors: str = "strict",
    seconds: float = 120,
) -> subprocess.CompletedProcess[str]:
    """What ``python -m lifeos ARGS`` says and how it ends; a signal is a negative code.

    ``errors`` is about what is no UTF-8 in what it says. Raises ``subprocess.TimeoutExpired`` after
    so many seconds, when it has been killed.
    """
    server, settled = _server()
    if _settled(env) != settled:
        return subprocess.run(
            [sys.executable, "-m", "lifeos", *args], cwd=cwd, env=env, timeout=seconds,
            capture_output=True, encoding="utf-8", errors=errors, check=False,
        )  # fmt: skip
    mine, theirs = socket.socketpair()
    with mine, mine.makefile("r") as lines, TemporaryFile() as out, TemporaryFile() as err:
        with theirs, _TURN:
            asked = json.dumps([list(args), str(cwd), dict(env)]).encode() + b"\n"
            fds = [out.fileno(), err.fileno(), theirs.fileno()]
            sent = socket.send_fds(server, [asked], fds)
            server.sendall(asked[sent:])
            pid = int(lines.readline())
        mine.settimeout(seconds)
        try:
            code = int(lines.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(args), seconds) from None
        said = [_read(file).decode("utf-8", errors) for file in (out, err)]
    return subprocess.CompletedProcess(list(args), code, *said)


def _settled(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_SETTLED)}


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


@functools.cache
def _server() -> tuple[socket.socket, dict[str, str]]:
    """The way to the process that is copied, and what that began with. It ends with this one."""
    mine, theirs = socket.socketpair()
    subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
        pass_fds=[theirs.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    theirs.close()
    return mine, _settled(os.environ)


# --- the process that is copied ------------------------------------------------------------------


def _serve(requests: socket.socket) -> None:
    """Answer until nobody asks any more. Returns in each copy, which is then to be the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    while True:
        asked, fds, _, _ = socket.recv_fds(requests, 1 << 16, 3)
        if not asked:
            os._exit(0)
        while not asked.endswith(b"\n"):
            asked += requests.recv(1 << 16)
        if os.fork() == 0:
            requests.close()
            if _keep(*fds):
                return _become(*json.loads(asked))
        for fd in fds:
            os.close(fd)


def _keep(out: int, err: int, reply: int) -> bool:
    """True in a copy of this process; in this one, tell how the copy ended, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.dup2(out, 1)
        os.dup2(err, 2)
        for fd in (out, err, reply):
            os.close(fd)
        return True
    os.write(reply, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(reply, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(args: list[str], cwd: str, env: dict[str, str]) -> None:
    """What an interpreter takes from its surroundings when it starts."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[0] = str(Path.cwd())  # as -m has it
    sys.argv = ["lifeos", *args]


def _main() -> None:
    import concurrent.futures
    import gc
    import hashlib
    import runpy
    import tomllib

    import markdown_it
    import ruamel.yaml
    import typer
    from pydantic import TypeAdapter, create_model

    create_model("First")  # the first model imports what models are made with
    assert all((concurrent.futures, hashlib, tomllib, markdown_it, ruamel.yaml, typer, TypeAdapter))
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    assert not any(name.partition(".")[0] == "lifeos" for name in sys.modules)
    runpy.run_module("lifeos", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
