"""References: read from their files, moved by git with compare-and-swap.

Why a lock of our own around git's: git's reference lock is taken or fails, so under contention
writers retry and starve. With the lock every try succeeds or has really lost.

Why the intent file: a git killed inside a transaction leaves ``<ref>.lock`` behind, and from then
on every try fails. Before git is asked, the intent says which processes are about to lock what.
A lock file is removed only if those processes are provably gone and it does not change for a
while, so that a lock that a person's own git holds just now is left alone.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lifeos.errors import Busy, UsageError
from lifeos.store.git import Git, GitError, GitTimeout, Session, SessionDied, Trace
from lifeos.store.lock import Lock, Owner, owner_is_dead, proc_identity
from lifeos.store.objects import sync_folder

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# git-check-ref-format(1), without the parts that only matter for abbreviations
_BAD_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|[./]$")
_SYMBOLIC_DEPTH = 5
# How long a lock file of dead owners must stand unchanged. A live git holds one for milliseconds.
_STALE_SECONDS = 1.0
_TRIES = 3


@dataclass(frozen=True)
class Worktree:
    """A work tree of the repository and the branch it has checked out (None: detached)."""

    path: Path
    head_ref: str | None


@dataclass(frozen=True)
class Intent:
    """Who is about to lock which reference: lifeos, and the git it started."""

    lifeos: Owner
    git: Owner
    name: str

    def text(self) -> str:
        """Three lines, read back by ``parse``."""
        return f"{self.lifeos.line()}\n{self.git.line()}\n{self.name}\n"

    @classmethod
    def parse(cls, text: str) -> Intent | None:
        """The intent in a file, or None for an empty or torn one."""
        lines = text.split("\n")
        if len(lines) != 4:
            return None
        lifeos, git = Owner.parse(lines[0]), Owner.parse(lines[1])
        return None if lifeos is None or git is None else cls(lifeos, git, lines[2])


class Refs:
    """The references of a repository. Not safe between threads; safe between processes."""

    def __init__(
        self,
        *,
        git_dir: Path,
        common_dir: Path,
        main_work_tree: Path | None,
        null: str,
        person: Callable[[], Git],
        private_dir: Callable[[], Path],
        flush: Callable[[], None],
        trace: Trace,
        durable: bool = True,
    ) -> None:
        """``flush`` makes written objects durable; ``null`` is the id for "none"."""
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.durable = durable
        self._main_work_tree = main_work_tree
        self._null = null
        self._person = person
        self._private_dir = private_dir
        self._flush = flush
        self._trace = trace
        self._session: Session | None = None
        self._session_reason = ""
        self.patience = 10.0
        """Seconds to wait for the git of a killed lifeos to end by itself."""
        self._synced: dict[Path, int] = {}

    def read(self, name: str) -> str | None:
        """The object id of a full reference name, or None if it does not exist."""
        check_name(name)
        return self._resolve(name)

    def head(self) -> str | None:
        """The branch that this work tree has checked out; None if HEAD is detached."""
        return _head_of(self.git_dir)

    def head_id(self) -> str | None:
        """The commit that HEAD is at; None on a branch without commits."""
        text = _read_file(self.git_dir / "HEAD") or ""
        if text.startswith("ref: "):
            return self._resolve(text[5:])
        return text if _OID.fullmatch(text) else None

    def worktrees(self) -> tuple[Worktree, ...]:
        """Every work tree with its branch, the main one first (a bare repository has none)."""
        found: list[Worktree] = []
        if self._main_work_tree is not None:
            found.append(Worktree(self._main_work_tree, _head_of(self.common_dir)))
        linked = self.common_dir / "worktrees"
        for folder in sorted(linked.iterdir()) if linked.is_dir() else ():
            pointer = _read_file(folder / "gitdir")
            if pointer:
                path = Path(os.path.realpath(folder / pointer)).parent
                found.append(Worktree(path, _head_of(folder)))
        return tuple(found)

    def list(self, prefix: str) -> dict[str, str]:
        """Every reference under a prefix such as ``refs/heads/`` and its object id, by name."""
        prefix = prefix.rstrip("/") + "/"
        check_name(prefix + "x")
        found = {name: oid for name, oid in self._packed() if name.startswith(prefix)}
        top = self.common_dir / prefix
        for folder, _, files in os.walk(top):
            for file in files:
                name = (Path(folder) / file).relative_to(self.common_dir).as_posix()
                if not file.endswith(".lock") and (oid := self._resolve(name)) is not None:
                    found[name] = oid
        return dict(sorted(found.items()))

    def compare_and_swap(self, name: str, new: str | None, old: str | None, reason: str) -> bool:
        """Move a reference from ``old`` to ``new``, durably. True: moved. False: lost the race.

        ``old`` None: it must not exist. ``new`` None: delete it. If it already is at ``new`` but
        ``old`` is something else, that is a loss: somebody else moved it. ``reason`` goes to the
        reflog; keep it constant, each new one costs the start of a git process.
        Raises ``Busy`` if another program holds git's lock, ``UsageError`` if a branch is in the
        way, ``GitError`` for anything else.
        """
        check_name(name)
        for oid in (new, old):
            if oid is not None and not _OID.fullmatch(oid):
                raise ValueError(f"{oid!r} is not an object id")
        if new is None and old is None:
            raise ValueError("neither a new nor an old value")
        if any(char in reason for char in "\n\0"):
            raise ValueError("a reason is one line")
        private = self._private_dir()
        with Lock(private / "refs.lock"):
            self._flush()
            self._trace(f"ref:before:{name}")
            moved = self._swap(name, new, old, reason)
            if moved and self.durable:
                self._sync(name)
            self._trace(f"ref:after:{name}")
            return moved

    def close(self) -> None:
        """End the git process that moves references."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _swap(self, name: str, new: str | None, old: str | None, reason: str) -> bool:
        intent = self._private_dir() / "ref-owner"
        self._clear_after_death(intent)
        for _ in range(_TRIES):
            session = self._start(reason)
            owner = Intent(proc_identity(), proc_identity(session.pid), name)
            intent.write_text(owner.text(), encoding="utf-8")
            try:
                self._transact(session, name, new, old)
            except (SessionDied, GitTimeout) as error:
                self.close()
                moved = self._judge(name, new, old, error)
                if moved is None:
                    continue
                intent.unlink()
                return moved
            except BaseException:
                self.close()
                raise
            intent.unlink()
            return True
        intent.unlink(missing_ok=True)
        raise Busy(
            f"{name} cannot be moved: {self._in_the_way(name)} stays",
            "if no git process is running here, delete that file, then try again",
        )

    def _start(self, reason: str) -> Session:
        if self._session is None or not self._session.mine or self._session_reason != reason:
            self.close()
            args = ("update-ref", "--create-reflog", "-m", reason, "--stdin", "-z")
            self._session = self._person().session(*args)
            self._session_reason = reason
        return self._session

    def _transact(self, session: Session, name: str, new: str | None, old: str | None) -> None:
        before = old or self._null
        if new is None:
            request = f"delete {name}\0{before}\0"
        else:
            request = f"update {name}\0{new}\0{before}\0"
        # no-deref: lifeos moves what it names; a symbolic reference in its place is not followed
        session.send(f"start\0option no-deref\0{request}prepare\0commit\0".encode())
        for expected in (b"start: ok", b"prepare: ok", b"commit: ok"):
            line = session.line()
            if line != expected:
                raise GitError(session.argv, 0, f"unexpected answer {line[:200]!r}")

    def _judge(
        self, name: str, new: str | None, old: str | None, error: SessionDied | GitTimeout
    ) -> bool | None:
        """What a failed transaction means: moved, lost, or None: try again."""
        now = self._resolve(name)
        if now != old:
            # Killed after the commit, before the answer: it did move. A refusal never moves.
            return now == new and error.status < 0
        self._raise_if_blocked(name, now)
        if self._in_the_way(name) is not None or error.status < 0:
            time.sleep(_STALE_SECONDS / 20)
            return None
        raise error.as_error() if isinstance(error, SessionDied) else error

    def _raise_if_blocked(self, name: str, now: str | None) -> None:
        """A reference is a file, so ``a`` and ``a/b`` cannot both be one."""
        if now is not None:
            return
        parts = name.split("/")
        above = ("/".join(parts[:count]) for count in range(3, len(parts)))
        blocking = next((parent for parent in above if self._resolve(parent)), None)
        blocking = blocking or next(iter(self.list(name)), None)
        if blocking is not None:
            short = blocking.removeprefix("refs/heads/")
            raise UsageError(
                f"{blocking} is in the way of {name}: git cannot hold both",
                f"git branch -m {short} {short.replace('/', '-')}-old",
            )

    def _locks(self, name: str) -> Iterator[Path]:
        yield self.common_dir / f"{name}.lock"
        yield self.common_dir / "packed-refs.lock"
        for folder in {self.git_dir, self.common_dir}:
            yield folder / "HEAD.lock"

    def _in_the_way(self, name: str) -> Path | None:
        return next((path for path in self._locks(name) if path.exists()), None)

    def _clear_after_death(self, intent: Path) -> None:
        """Take away what a killed transaction left. Called under lifeos's lock."""
        text = _read_file(intent)
        if text is None:
            return
        left = Intent.parse(text + "\n")
        if left is None or _BAD_NAME.search(left.name) is not None:
            return  # torn by power loss: nothing is proven, and git will say what is locked
        # The git of a killed lifeos ends by itself when its input closes. Give it that time.
        deadline = time.monotonic() + self.patience
        while self._in_the_way(left.name) and time.monotonic() < deadline:
            if owner_is_dead(left.git) and owner_is_dead(left.lifeos):
                break
            time.sleep(0.01)
        if not (owner_is_dead(left.git) and owner_is_dead(left.lifeos)):
            return
        for path in self._locks(left.name):
            _remove_unchanged(path)

    def _sync(self, name: str) -> None:
        """Sync the folders that name a reference; git syncs the file only.

        The folder itself each time; those above it once, they only change when it appears.
        """
        folder = self.common_dir / name
        while folder != self.common_dir:
            folder = folder.parent
            try:
                inode = folder.stat().st_ino
            except FileNotFoundError:
                continue  # git removes a folder that a deletion left empty
            if folder in self._synced and self._synced[folder] == inode:
                break
            sync_folder(str(folder))
            if folder != (self.common_dir / name).parent:
                self._synced[folder] = inode

    def _resolve(self, name: str) -> str | None:
        for _ in range(_SYMBOLIC_DEPTH):
            text = _read_file(self.common_dir / name)
            if text is None:
                return dict(self._packed_of(name)).get(name)
            if text.startswith("ref: "):
                name = text[5:].strip()
                check_name(name)
                continue
            if _OID.fullmatch(text):
                return text
            raise GitError(
                ("rev-parse", name), 0, f"{name} is damaged: {text[:80]!r}", "git fsck, git reflog"
            )
        raise GitError(("rev-parse", name), 0, f"{name} is a chain of symbolic references")

    def _packed_of(self, name: str) -> Iterator[tuple[str, str]]:
        try:
            data = (self.common_dir / "packed-refs").read_bytes()
        except FileNotFoundError:
            return
        end = data.find(f" {name}\n".encode())
        if end >= 0:
            start = data.rfind(b"\n", 0, end) + 1
            yield name, data[start:end].decode("ascii", "replace")

    def _packed(self) -> Iterator[tuple[str, str]]:
        text = _read_file(self.common_dir / "packed-refs") or ""
        for line in text.split("\n"):
            oid, _, name = line.partition(" ")
            if name and _OID.fullmatch(oid):
                yield name, oid


def check_name(name: str) -> None:
    """Raise ``ValueError`` unless it is a full, well-formed reference name."""
    if not name.startswith("refs/") or name.count("/") < 2 or _BAD_NAME.search(name):
        raise ValueError(f"{name!r} is not a full reference name")


def _read_file(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _head_of(folder: Path) -> str | None:
    text = _read_file(folder / "HEAD") or ""
    return text[5:].strip() if text.startswith("ref: ") else None


def _remove_unchanged(path: Path) -> None:
    before = _state(path)
    if before is None:
        return
    time.sleep(_STALE_SECONDS)
    if _state(path) == before:
        path.unlink(missing_ok=True)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size
