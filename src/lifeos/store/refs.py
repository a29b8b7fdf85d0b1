"""References: read from their files, moved by git with compare-and-swap.

Why a lock of our own around git's: git's reference lock is taken or fails, so under contention
writers retry and starve. With the lock every try succeeds or has really lost, and a writer that
reads, builds and moves under ``exclusive`` needs one try.

Why the intent file: a git killed inside a transaction leaves ``<ref>.lock`` behind, and from then
on every try fails. Before git is asked, the intent says which process is about to lock what.
A lock file is removed only if that process is provably gone and the file does not change for a
while, so that a lock that a person's own git holds just now is left alone.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lifeos.errors import Busy, UsageError
from lifeos.store.encoding import OID
from lifeos.store.git import Git, GitError, GitTimeout, Session, SessionDied, Trace
from lifeos.store.lock import Lock, owner_is_dead, proc_identity
from lifeos.store.objects import sync_folder
from lifeos.store.stale import Intent, read_file, remove_unchanged

# git-check-ref-format(1), without the parts that only matter for abbreviations
_BAD_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|[./]$")
_SYMBOLIC_DEPTH = 5
_TRIES = 3


@dataclass(frozen=True)
class Worktree:
    """A work tree of the repository and the branch it has checked out (None: detached)."""

    path: Path
    head_ref: str | None


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
        self._lock: Lock | None = None
        self._depth = 0
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
        text = read_file(self.git_dir / "HEAD") or ""
        if text.startswith("ref: "):
            return self._resolve(text[5:])
        return text if OID.fullmatch(text) else None

    def worktrees(self) -> tuple[Worktree, ...]:
        """Every work tree with its branch, the main one first (a bare repository has none)."""
        found: list[Worktree] = []
        if self._main_work_tree is not None:
            found.append(Worktree(self._main_work_tree, _head_of(self.common_dir)))
        linked = self.common_dir / "worktrees"
        for folder in sorted(linked.iterdir()) if linked.is_dir() else ():
            pointer = read_file(folder / "gitdir")
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
            if oid is not None and not OID.fullmatch(oid):
                raise ValueError(f"{oid!r} is not an object id")
        if new is None and old is None:
            raise ValueError("neither a new nor an old value")
        if any(char in reason for char in "\n\0"):
            raise ValueError("a reason is one line")
        with self.exclusive():
            if self._resolve(name) != old:
                return False
            self._flush()
            self._trace(f"ref:before:{name}")
            moved = self._swap(name, new, old, reason)
            if moved and self.durable:
                self._sync(name)
            self._trace(f"ref:after:{name}")
            return moved

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold lifeos's lock for longer than one move: read, build and move in one try.

        Without it a writer that reads first and is overtaken must build again. Waits at most a
        minute, then raises ``Busy``. May be nested. Other programs' git does not know this lock.
        """
        if self._depth == 0:
            self._lock = Lock(self._private_dir() / "refs.lock")
            self._lock.acquire()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0 and self._lock is not None:
                self._lock.release()

    def close(self) -> None:
        """End the git process that moves references."""
        self._end_session()

    def _end_session(self) -> bool:
        """End the session. Whether git ended by itself, and so took its lock files away."""
        if self._session is None:
            return True
        session, self._session = self._session, None
        return session.close() >= 0

    def _swap(self, name: str, new: str | None, old: str | None, reason: str) -> bool:
        intent = self._private_dir() / "ref-owner"
        for _ in range(_TRIES):
            self._clear_after_death(intent)
            session = self._start(reason)
            owner = Intent(proc_identity(session.pid), name)
            intent.write_text(owner.text(), encoding="utf-8")
            try:
                self._transact(session, name, new, old)
            except (SessionDied, GitTimeout) as error:
                if self._end_session():
                    intent.unlink()  # what is locked now is somebody else's
                moved = self._judge(name, new, old, error)
                if moved is None:
                    continue
                return moved
            except BaseException:
                if self._end_session():
                    intent.unlink()
                raise
            intent.unlink()
            return True
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
            time.sleep(0.05)
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
        text = read_file(intent)
        if text is None:
            return
        left = Intent.parse(text + "\n")
        if left is None or _BAD_NAME.search(left.name) is not None:
            return  # torn by power loss: nothing is proven, and git will say what is locked
        # The git of a killed lifeos ends by itself when its input closes. Give it that time, even
        # if it holds nothing yet: it may be about to.
        deadline = time.monotonic() + self.patience
        while (dead := owner_is_dead(left.git)) is False and time.monotonic() < deadline:
            time.sleep(0.005)
        if dead is False:
            raise Busy(
                f"git process {left.git.pid} is still moving {left.name}",
                "wait until it has ended, or end it, then try again",
            )
        if dead:
            for path in self._locks(left.name):
                remove_unchanged(path)

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
            text = read_file(self.common_dir / name)
            if text is None:
                return dict(self._packed_of(name)).get(name)
            if text.startswith("ref: "):
                name = text[5:].strip()
                check_name(name)
                continue
            if OID.fullmatch(text):
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
        text = read_file(self.common_dir / "packed-refs") or ""
        for line in text.split("\n"):
            oid, _, name = line.partition(" ")
            if name and OID.fullmatch(oid):
                yield name, oid


def check_name(name: str) -> None:
    """Raise ``ValueError`` unless it is a full, well-formed reference name."""
    if not name.startswith("refs/") or _BAD_NAME.search(name):
        raise ValueError(f"{name!r} is not a full reference name")


def _head_of(folder: Path) -> str | None:
    text = read_file(folder / "HEAD") or ""
    return text[5:].strip() if text.startswith("ref: ") else None
