"""The sandbox: where code that is not trusted runs.

Inside there is one writable folder, always at ``/work``; the system's programs, read-only; an empty
home and ``/tmp`` in memory; and nothing else: no network, no other process, no secret. It does not
run as root. When lifeos itself is root, the processes run as ``AGENT`` (a real change of user: the
kernel exempts user 0 from the limit on processes), and the folder is handed over and taken back.

Limits hold for each process by the kernel (rlimits), and for all together by ``lifeos.watch``.

``PATH`` inside is: the ``bin`` of each of the ``tools`` in their order, then the system's folders.
A tool is a folder mounted read-only at its own path (a Python prefix, a Node distribution). One
below ``/work`` moves to ``/opt/lifeos/N``, where ``python -m pytest`` works, but scripts that name
their interpreter by its path do not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lifeos.core.policy.envelope import Limits
from lifeos.errors import Problem, UsageError
from lifeos.process import Ended, never, run, untraced
from lifeos.watch import Watch, measure

WORK = "/work"
HOME = "/home/agent"
SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class Mount:
    """A file, folder or socket of the machine that appears at ``target`` inside."""

    source: Path
    target: str
    writable: bool = False


class Sandbox(Protocol):
    """A place to run a command that is not trusted."""

    @property
    def kind(self) -> str:
        """Its name in the configuration."""
        ...

    def available(self) -> Problem | None:
        """What is missing to use it, and how to get it; None when it works here (it was tried)."""
        ...

    def run(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        limits: Limits,
        env: Mapping[str, str],
        stdin: bytes = b"",
        mounts: Sequence[Mount] = (),
        overlay_lower: Path | None = None,
        read_only: bool = False,
        network: bool = False,
        sockets: Sequence[Mount] = (),
        tools: Sequence[Path] | None = None,
        should_stop: Callable[[], bool] = never,
        on_output: Callable[[bytes], None] | None = None,
        trace: Callable[[str], None] = untraced,
    ) -> Ended:
        """Run a command with ``folder`` as its only lasting writable place.

        ``overlay_lower``: a prepared environment whose files appear beneath the folder's own,
        read-only; what is written there goes to the folder. ``read_only``: the folder cannot be
        written either (and has no such layer). ``sockets``: Unix sockets to reach something
        outside. ``tools`` defaults to this Python. When nothing of it runs any more, this returns;
        ``Ended.exceeded`` names a limit that ended it. Raises ``UsageError`` when the command could
        not be started at all.
        """
        ...


def choose(kind: str) -> Sandbox:
    """The sandbox that ``.lifeos/config.yaml`` names."""
    if kind == "bwrap":
        from lifeos.bubblewrap import Bubblewrap

        return Bubblewrap()
    if kind == "none":
        return NoSandbox()
    raise UsageError(
        f"unknown sandbox: {kind!r}",
        "write `sandbox: bwrap` or `sandbox: none` in .lifeos/config.yaml",
    )


def scrubbed_env(names: Sequence[str], source: Mapping[str, str]) -> dict[str, str]:
    """Of an environment, only the variables named; what is not set stays away."""
    return {name: source[name] for name in names if name in source}


def basic_env(home: str, temporary: str, tools: Sequence[str]) -> dict[str, str]:
    """What every command inside finds in its environment, before what the caller adds."""
    return {
        "HOME": home,
        "LANG": "C.UTF-8",
        "LOGNAME": "agent",
        "PATH": ":".join([*(f"{tool}/bin" for tool in tools), *SYSTEM_PATH]),
        "SHELL": "/bin/sh",
        "TMPDIR": temporary,
        "USER": "agent",
    }


def python_tools() -> tuple[Path, ...]:
    """The folders that this Python needs and that are not in ``/usr``: its venv and its base.

    The links from ``bin/python`` to the real program can lead over further folders (some installers
    keep an alias per minor version): they are needed too, by the names the links use.
    """
    found = [Path(sys.prefix), Path(sys.base_prefix)]
    hop = Path(sys.executable)
    while hop.is_symlink():
        hop = hop.parent / hop.readlink()
        found.append(Path(os.path.normpath(hop.parent.parent)))
    outside = [path for path in found if Path("/usr") not in (path, *path.parents)]
    kept = [path for path in outside if path != Path("/")]
    return tuple(dict.fromkeys(kept))


@contextlib.contextmanager
def placed(lower: Path | None, folder: Path, put: Callable[[Path, Path], None]) -> Iterator[None]:
    """Make places in ``folder`` for the entries of ``lower`` it lacks, and clear them afterwards.

    ``put(source, place)`` makes one. Cleared is only what still is what was put there.
    """
    entries = sorted(lower.iterdir()) if lower else []
    places = [(source, folder / source.name) for source in entries]
    new = [(source, place) for source, place in places if not os.path.lexists(place)]
    for source, place in new:
        put(source, place)
    try:
        yield
    finally:
        for _, place in new:
            with contextlib.suppress(OSError):  # not empty or gone: it was used for something else
                if place.is_symlink() or (place.is_file() and place.stat().st_size == 0):
                    place.unlink()
                else:
                    place.rmdir()


class NoSandbox:
    """``sandbox: none``: a plain process with a cleared environment. Nothing is contained.

    The folder is at its own path, the network and the person's files are reachable, and a process
    that leaves its session survives. Limits are watched, not enforced by the kernel.
    """

    kind = "none"

    def available(self) -> Problem | None:
        """Nothing is needed."""
        return None

    def run(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        limits: Limits,
        env: Mapping[str, str],
        stdin: bytes = b"",
        mounts: Sequence[Mount] = (),
        overlay_lower: Path | None = None,
        read_only: bool = False,
        network: bool = False,  # noqa: ARG002 - the interface; here the network is always there
        sockets: Sequence[Mount] = (),
        tools: Sequence[Path] | None = None,
        should_stop: Callable[[], bool] = never,
        on_output: Callable[[bytes], None] | None = None,
        trace: Callable[[str], None] = untraced,
    ) -> Ended:
        """Run a command in ``folder``; see ``Sandbox.run``. Refuses mounts and sockets."""
        if mounts or sockets or read_only:
            raise UsageError(
                "without a sandbox nothing can be mounted or kept from writing",
                "write `sandbox: bwrap` in .lifeos/config.yaml",
            )
        watch = Watch(limits, folder, measure(folder))

        def started(pid: int) -> None:
            watch.root = pid

        def stop() -> bool:
            return should_stop() or watch.look()

        link = lambda source, place: place.symlink_to(source)  # noqa: E731 - one use, one line
        paths = [str(path) for path in (python_tools() if tools is None else tools)]
        with tempfile.TemporaryDirectory() as home, placed(overlay_lower, folder, link):
            ended = run(
                command,
                cwd=folder,
                env=basic_env(home, home, paths) | dict(env),
                stdin=stdin,
                seconds=limits.seconds,
                output_limit=limits.output_kb * 1024,
                should_stop=stop,
                on_output=on_output,
                on_start=started,
                trace=trace,
            )
        return judged(ended, watch.exceeded)


def judged(ended: Ended, exceeded: str) -> Ended:
    """The end of a command, with the limit it broke; that is then not a stop by a person."""
    if not exceeded:
        return ended
    return dataclasses.replace(ended, exceeded=exceeded, stopped=False)
