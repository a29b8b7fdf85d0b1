"""Running git: fixed environment, fixed options, a deadline, its own process group.

Two kinds of directory are run in (see ``repo.py``). Lifeos's own (``isolated``) sees neither the
person's nor the machine's configuration. The person's directory sees theirs, because a checkout
needs their filters; what could run a program there without being asked for is switched off here.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from lifeos.errors import Exit, LifeosError, UsageError

Trace = Callable[[str], None]
"""Told about every step that touches the disk; a crash test ends the process inside it."""

_NO_ENV: Mapping[str, str] = {}

# Command line configuration wins over every file. Sources: git-config(1), and trying which keys
# make an ordinary command start a program.
_SAFE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.pager=cat",
    "core.editor=false",
    "sequence.editor=false",
    "core.askPass=",
    "core.warnAmbiguousRefs=false",  # full names and ids only: the search costs 24 look-ups a move
    "core.fsync=all",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "log.showSignature=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "advice.detachedHead=false",
    "core.quotePath=true",
)
_ISOLATED = (
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.sshCommand=ssh",
)

_FIXED_ENV = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_EDITOR": "false",
    "GIT_SEQUENCE_EDITOR": "false",
    "GIT_PAGER": "cat",
    "GIT_COMMITTER_NAME": "lifeos",
    "GIT_COMMITTER_EMAIL": "lifeos@localhost",
    "GIT_AUTHOR_NAME": "lifeos",
    "GIT_AUTHOR_EMAIL": "lifeos@localhost",
    "LC_ALL": "C",
    "SSH_ASKPASS_REQUIRE": "never",
}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
_CREDENTIAL = re.compile(r"(?<=://)[^/@\s]+@")
_ERROR_TEXT_LIMIT = 2000
_PIPE = 1 << 16  # what a pipe holds; room for more would only be made and given back each time
# What the C library says (LC_ALL=C) when the machine refuses: see `errors.is_of_the_machine`.
_MACHINE_REFUSES = re.compile(
    "No space left on device|Disk quota exceeded|File too large|Read-only file system"
    "|Input/output error|Too many open files|Cannot allocate memory|Out of memory"
)
# What git says (convert.c) when `filter.NAME.required` is set, and the filter failed or has none.
_FILTER_FAILED = re.compile(
    r"^fatal: (.*): (?:clean|smudge) filter '?(.*?)'? failed$", re.MULTILINE
)


def no_trace(event: str) -> None:
    """Trace nothing."""


def clean_text(raw: bytes) -> str:
    """What a program printed, safe to show: no control characters, credentials or floods."""
    text = _CONTROL.sub("?", raw.decode("utf-8", "replace").strip())
    text = _CREDENTIAL.sub("***@", text)
    return text if len(text) <= _ERROR_TEXT_LIMIT else text[:_ERROR_TEXT_LIMIT] + " ..."


class GitError(LifeosError):
    """Git ended in a way that the caller did not expect. ``status`` is negative for a signal."""

    exit_code = Exit.FAILED

    def __init__(self, argv: tuple[str, ...], status: int, stderr: str, fix: str = "") -> None:
        command = " ".join(argv)
        # SIGXFSZ: a file would have grown beyond what this process may write.
        refused = status == -signal.SIGXFSZ or _MACHINE_REFUSES.search(stderr) is not None
        if refused and not fix:
            fix = "make room (or see to that disk), then run the command again; nothing is lost"
        super().__init__(f"git {command} ended with status {status}: {stderr or 'no text'}", fix)
        self.of_the_machine = refused
        """Whether the machine refused: it says nothing about what git was asked to do."""
        if refused:
            self.exit_code = Exit.BUSY
        self.argv = argv
        self.status = status
        self.stderr = stderr


class FilterFailed(GitError):
    """A filter that the person's configuration calls required does not work here."""

    def __init__(
        self, argv: tuple[str, ...], status: int, stderr: str, found: re.Match[str]
    ) -> None:
        self.path, self.name = found[1], found[2]
        fix = (
            f"see git config --get-regexp '^filter.{self.name}': install what it runs, or"
            f" git config filter.{self.name}.required false; then run lifeos tick again"
        )
        super().__init__(argv, status, stderr, fix)


class GitTimeout(GitError):
    """Git did not end in time and was killed with everything it had started."""


@dataclass(frozen=True)
class Result:
    """How a git process ended: its exit status (negative: the signal) and what it wrote."""

    status: int
    out: bytes
    err: str


def clean_environment() -> dict[str, str]:
    """The environment of this process without any ``GIT_*`` variable."""
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}


class Git:
    """Runs git against one git directory. Cheap to make; holds no process."""

    def __init__(
        self,
        git_dir: Path,
        *,
        work_tree: Path | None = None,
        trace: Trace = no_trace,
        timeout: float = 120.0,
        isolated: bool = False,
        user_config: bool = True,
    ) -> None:
        """``isolated``: the directory is lifeos's own. ``user_config``: read ~/.gitconfig too."""
        self.git_dir = git_dir
        self.work_tree = work_tree
        self.trace = trace
        self.timeout = timeout
        self._env = clean_environment() | _FIXED_ENV
        self._env["GIT_DIR"] = str(git_dir)
        if work_tree is not None:
            self._env["GIT_WORK_TREE"] = str(work_tree)
        if not user_config:
            self._env["GIT_CONFIG_GLOBAL"] = os.devnull
        if isolated:
            self._env["GIT_ATTR_NOSYSTEM"] = "1"
        settings = _SAFE + _ISOLATED if isolated else _SAFE
        self._prefix = ("git", *(part for item in settings for part in ("-c", item)))
        # Without a work tree nothing may depend on where the person happens to stand.
        self._folder = str(work_tree or git_dir)

    def configure(self, settings: Mapping[str, str]) -> None:
        """Add settings for every later call. By environment: a key may hold '=' or '.'."""
        self._env["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings.items()):
            self._env[f"GIT_CONFIG_KEY_{number}"] = key
            self._env[f"GIT_CONFIG_VALUE_{number}"] = value

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        ok: tuple[int, ...] = (0,),
        env: Mapping[str, str] = _NO_ENV,
        timeout: float | None = None,
    ) -> bytes:
        """Standard output of a git command. Raises ``GitError`` for a status not in ``ok``."""
        result = self.call(*args, stdin=stdin, env=env, timeout=timeout)
        if result.status not in ok:
            filtered = _FILTER_FAILED.search(result.err)
            if filtered is not None:
                raise FilterFailed(args, result.status, result.err, filtered)
            raise GitError(args, result.status, result.err)
        return result.out

    def call(
        self,
        *args: str,
        stdin: bytes = b"",
        env: Mapping[str, str] = _NO_ENV,
        timeout: float | None = None,
    ) -> Result:
        """Run a git command to its end, whatever its status. Raises ``GitTimeout``."""
        self.trace(f"git:before:{args[0]}")
        process = self._start(args, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, env=env)
        limit = self.timeout if timeout is None else timeout
        try:
            out, err = process.communicate(stdin or None, timeout=limit)
        except subprocess.TimeoutExpired:
            kill_group(process)
            process.communicate()
            raise GitTimeout(args, -signal.SIGKILL, f"no end after {limit:g} s") from None
        except BaseException:
            # Ctrl-C: ask git to end, so that it takes its lock files away.
            kill_group(process, gently=True)
            raise
        self.trace(f"git:after:{args[0]}")
        return Result(process.returncode, out, clean_text(err))

    def stream(self, *args: str) -> Generator[bytes]:
        """Standard output of a git command, in pieces while it still runs.

        Raises ``GitError`` at the end for any status but 0. ``timeout`` is for each piece: how
        long all of it takes depends on how fast the caller takes it.
        """
        session = self.session(*args)
        try:
            yield from session.pieces()
        finally:
            session.close()

    def session(self, *args: str) -> Session:
        """Start a git command that answers requests until its input is closed."""
        self.trace(f"git:before:{args[0]}")
        # A file, not a pipe: nobody reads it while the session lives, and it must not block.
        # Closed by Session.close.
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - it outlives this call
        process = self._start(args, stdin=subprocess.PIPE, stderr=errors)
        return Session(args, process, errors, self.timeout, self.trace)

    def _start(
        self,
        args: tuple[str, ...],
        *,
        stdin: int,
        stderr: int | IO[bytes] = subprocess.PIPE,
        env: Mapping[str, str] = _NO_ENV,
    ) -> subprocess.Popen[bytes]:
        try:
            # A session of its own: a terminal's Ctrl-C does not cut git short, ssh finds no
            # terminal to ask on, and the whole group can be killed. CPython uses vfork for it.
            return subprocess.Popen(
                (*self._prefix, *args),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**self._env, **env} if env else self._env,
                cwd=self._folder,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            if error.filename == "git":
                raise git_missing() from None
            raise GitError(args, -1, f"{error.filename} does not exist") from None


def ask(*args: str, timeout: float = 60.0) -> Result:
    """Ask git something that needs no repository of ours: its version, or whom it trusts."""
    try:
        ended = subprocess.run(
            ("git", *args),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise git_missing() from None
    return Result(ended.returncode, ended.stdout, clean_text(ended.stderr))


class SessionDied(Exception):
    """A session ended while an answer was expected. The caller decides what that means."""

    def __init__(self, argv: tuple[str, ...], status: int, stderr: str) -> None:
        super().__init__(f"git {' '.join(argv)} ended with status {status}: {stderr}")
        self.argv = argv
        self.status = status
        self.stderr = stderr

    def as_error(self) -> GitError:
        """The same as an error for people."""
        return GitError(self.argv, self.status, self.stderr)


class Session:
    """A git process that answers one request after the other. Not safe between threads."""

    def __init__(
        self,
        argv: tuple[str, ...],
        process: subprocess.Popen[bytes],
        errors: IO[bytes],
        timeout: float,
        trace: Trace,
    ) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a session needs pipes")
        self.argv = argv
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._errors = errors
        self._timeout = timeout
        self._trace = trace
        self._buffer = bytearray()
        self._owner = os.getpid()

    @property
    def pid(self) -> int:
        """The number of the git process."""
        return self._process.pid

    @property
    def mine(self) -> bool:
        """False in a forked child, which must not write into its parent's session."""
        return self._owner == os.getpid()

    def send(self, data: bytes) -> None:
        """Write a request (keep it below the 64 KiB of a pipe, then answers cannot block it)."""
        try:
            self._stdin.write(data)
            self._stdin.flush()
        except (BrokenPipeError, ValueError):
            self._died()

    def line(self) -> bytes:
        """The next line, without its end."""
        deadline = time.monotonic() + self._timeout
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            self._fill(deadline)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        deadline = time.monotonic() + self._timeout
        while len(self._buffer) < size:
            self._fill(deadline)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def pieces(self) -> Iterator[bytes]:
        """Everything until the process ends. Raises ``GitError`` unless it ended well."""
        while True:
            try:
                self._fill(time.monotonic() + self._timeout)
            except SessionDied as end:
                if end.status != 0:
                    raise end.as_error() from None
                return
            yield bytes(self._buffer)
            self._buffer.clear()

    def close(self) -> int:
        """End the process: it sees the end of its input, and is killed if that does not help.

        Gives its status, negative if a signal ended it.
        """
        if not self.mine:
            return 0
        for stream in (self._stdin, self._stdout):
            try:
                stream.close()
            except BrokenPipeError:
                continue
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            kill_group(self._process)
        self._errors.close()
        self._trace(f"git:after:{self.argv[0]}")
        return self._process.returncode or 0

    def _fill(self, deadline: float) -> None:
        descriptor = self._stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            kill_group(self._process)
            raise GitTimeout(self.argv, -signal.SIGKILL, f"no answer after {self._timeout:g} s")
        data = os.read(descriptor, _PIPE)
        if not data:
            self._died()
        self._buffer += data

    def _died(self) -> NoReturn:
        status = self._process.wait()
        self._errors.seek(0)
        text = clean_text(self._errors.read(1 << 16))
        raise SessionDied(self.argv, status, text)


def kill_group(process: subprocess.Popen[bytes], *, gently: bool = False) -> None:
    """Kill a process and everything it started; ``gently`` gives it two seconds to tidy up."""
    if process.poll() is None:
        if gently:
            _signal_group(process.pid, signal.SIGTERM)
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                _signal_group(process.pid, signal.SIGKILL)
        else:
            _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def git_missing() -> UsageError:
    """The error of a machine without git."""
    return UsageError(
        "git is not installed, or not on the PATH", "install git 2.38 or newer, then try again"
    )
