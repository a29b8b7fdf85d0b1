"""One checked-out work tree: what is in it, and how its index and files are changed.

Files are replaced by renaming, never written in place: after a kill each is wholly the old one or
wholly the new one, and nobody's edit can be mistaken for half of ours. While lifeos works it holds
the index as git does, by ``index.lock``; the lock says which process holds it, so that one left by
a killed lifeos can be told from one that a person's own git holds.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from lifeos.errors import Busy
from lifeos.store.git import Git, Trace
from lifeos.store.lock import Owner, owner_is_dead, proc_identity
from lifeos.store.repo import Repo

ABSENT = "-"
"""Nothing there: how both an index entry and a file that do not exist are written."""
FOLDER = "folder"
SPECIAL = "special"

_MARK = b"lifeos "
_LOCK_WAIT = 2.0  # seconds; a person's `git status` holds the index for milliseconds
_CHUNK = 200  # paths of one command line
_BUSY_FILES = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")


@dataclass(frozen=True)
class Indexed:
    """An entry of the index. ``entry`` is "MODE OID"; ``skip``: outside a sparse checkout."""

    entry: str
    skip: bool = False
    trusted: bool = False  # "assume unchanged": git does not look at the file
    unmerged: bool = False


@dataclass(frozen=True)
class Worktree:
    """A work tree with its git directory and the branch it is on (None: detached)."""

    repo: Repo
    git_dir: Path
    path: Path
    head_ref: str | None

    @cached_property
    def git(self) -> Git:
        """Git as the person has it here: their configuration and filters, but no hooks."""
        if self.git_dir == self.repo.git_dir:
            return self.repo.person
        start = self.repo.common_dir if self.git_dir == self.repo.common_dir else self.path
        return Repo.open(start, self.repo.trace).person

    def in_progress(self) -> str | None:
        """What is under way here (a merge, a rebase...), by the name of git's file for it."""
        return next((name for name in _BUSY_FILES if (self.git_dir / name).exists()), None)

    def rebasing(self) -> str | None:
        """The branch that is being rebased here; HEAD is detached meanwhile."""
        for name in ("rebase-merge", "rebase-apply"):
            try:
                return (self.git_dir / name / "head-name").read_text(encoding="utf-8").strip()
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None

    def head_id(self) -> str | None:
        """The commit that is checked out."""
        result = self.git.call("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        return result.out.decode("ascii").strip() or None if result.status == 0 else None

    def index(self) -> dict[str, Indexed]:
        """The whole index, by path."""
        found: dict[str, Indexed] = {}
        out = self.git.run("ls-files", "-v", "-s", "-z").decode("utf-8", "surrogateescape")
        for line in out.split("\0")[:-1]:
            head, _, path = line.partition("\t")
            tag, mode, oid, stage = head.split(" ")
            found[path] = Indexed(
                f"{mode} {oid}",
                skip=tag in "Ss",
                trusted=tag.islower(),
                unmerged=stage != "0",
            )
        return found

    def stat_dirty(self) -> frozenset[str]:
        """The paths at which git itself sees the file differ from the index."""
        out = self.git.run("diff-files", "-z", "--name-only", "--no-ext-diff")
        return frozenset(out.decode("utf-8", "surrogateescape").split("\0"))

    def cleaned(self, paths: Sequence[str]) -> dict[str, str]:
        """The object id that each file would get if it were added (the person's filters apply)."""
        found: dict[str, str] = {}
        for start in range(0, len(paths), _CHUNK):
            part = paths[start : start + _CHUNK]
            oids = self.git.run("hash-object", "--", *part).decode("ascii").split()
            found |= dict(zip(part, oids, strict=True))
        return found

    def copy_index(self, copy: Path, wanted: Mapping[str, str], sparse: Sequence[str]) -> None:
        """Make a copy of the index in which the wanted entries ("MODE OID", or absent) stand."""
        current = self.git_dir / "index"
        if current.exists():
            shutil.copyfile(current, copy)
        env = {"GIT_INDEX_FILE": str(copy)}
        gone = f"0 {self.repo.objects.null}"
        lines = (f"{gone if e == ABSENT else e}\t{path}\0" for path, e in wanted.items())
        listed = "".join(lines).encode("utf-8", "surrogateescape")
        if listed:
            self.git.run("update-index", "-z", "--index-info", stdin=listed, env=env)
        if sparse:
            listed = b"".join(os.fsencode(path) + b"\0" for path in sparse)
            self.git.run("update-index", "--skip-worktree", "-z", "--stdin", stdin=listed, env=env)

    def install_index(self, copy: Path) -> None:
        """Put a prepared copy in place of the index. Call it only while holding the lock."""
        env = {"GIT_INDEX_FILE": str(copy)}
        # 1: a file differs, which is the person's business. The lock of the copy is not git's.
        self.git.run("update-index", "-q", "--refresh", ok=(0, 1), env=env)
        copy.replace(self.git_dir / "index")


def worktrees(repo: Repo) -> tuple[Worktree, ...]:
    """Every work tree of the repository, the main one and linked ones, whose folder may be gone."""
    linked: dict[Path, Path] = {}
    folder = repo.common_dir / "worktrees"
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            pointer = (entry / "gitdir").read_text("utf-8", "surrogateescape").rstrip("\n")
        except (FileNotFoundError, NotADirectoryError):
            continue
        linked[Path(os.path.realpath(entry / pointer)).parent] = entry
    found = {tree.path: tree.head_ref for tree in repo.refs.worktrees()}
    if repo.work_tree is not None and repo.git_dir == repo.common_dir:
        # `init --separate-git-dir`: the folder is known only to those who stand in it
        found.setdefault(repo.work_tree, repo.refs.head())
    return tuple(
        Worktree(repo, linked.get(path, repo.common_dir), path, head_ref)
        for path, head_ref in found.items()
    )


def found_at(root: Path, name: str) -> str:
    """What lies at a path, exactly: a text that is equal when the bytes, mode and kind are."""
    if obstacle(root, name) is not None:
        return ABSENT
    path = root / name
    try:
        state = path.lstat()
        if stat.S_ISLNK(state.st_mode):
            return f"link {hashlib.sha256(os.fsencode(path.readlink())).hexdigest()}"
        if stat.S_ISDIR(state.st_mode):
            return FOLDER
        if not stat.S_ISREG(state.st_mode):
            return SPECIAL
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ABSENT
    return f"{'program' if state.st_mode & stat.S_IXUSR else 'file'} {digest}"


def obstacle(root: Path, name: str) -> str | None:
    """The first folder on the way to a path that is not a real folder: a file, or a link."""
    parts = name.split("/")
    for count in range(1, len(parts)):
        above = "/".join(parts[:count])
        try:
            mode = (root / above).lstat().st_mode
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(mode):
            return above
    return None


def back_up(source: Path, copy: Path) -> None:
    """Keep what lies at ``source``, cheaply where the file system allows."""
    if source.is_symlink():
        copy.symlink_to(source.readlink())
        return
    try:
        os.link(source, copy)
    except OSError:
        shutil.copy2(source, copy)


def put(root: Path, name: str, staged: Path, spare: str) -> None:
    """Move a staged file to its place in the work tree. ``spare`` is a name beside it to use."""
    target = root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        staged.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = target.with_name(spare)
        shutil.copy2(staged, beside, follow_symlinks=False)
        beside.rename(target)


def take_away(root: Path, name: str) -> None:
    """Remove a file, and the folders that it leaves empty."""
    (root / name).unlink()
    for above in (root / name).parents:
        if above == root:
            return
        try:
            above.rmdir()
        except OSError:
            return


class IndexLock:
    """Git's own lock on an index, taken in git's way and marked with its owner."""

    def __init__(self, tree: Worktree, private: Path, trace: Trace) -> None:
        self.path = tree.git_dir / "index.lock"
        self._note = private / f"index-owner.{os.getpid()}"
        self._trace = trace
        self._held = False

    def acquire(self) -> None:
        """Take it. Raises ``Busy`` that names the file if another program keeps it."""
        _write_synced(self._note, _MARK + proc_identity().line().encode() + b"\n")
        try:
            deadline = time.monotonic() + _LOCK_WAIT
            while not self._try():
                if not clear_if_dead(self.path) and time.monotonic() > deadline:
                    raise self._busy()
        finally:
            self._note.unlink(missing_ok=True)
        self._held = True
        self._trace("checkout:locked")

    def release(self) -> None:
        """Give it back."""
        if self._held:
            self.path.unlink(missing_ok=True)
            self._held = False

    def _try(self) -> bool:
        try:
            os.link(self._note, self.path)  # appears whole, with its owner in it
        except FileExistsError:
            time.sleep(0.02)
            return False
        return True

    def _busy(self) -> Busy:
        owner = _owner(self.path)
        who = f"lifeos, process {owner.pid} on {owner.host}" if owner else "another git program"
        return Busy(
            f"the index is locked by {who}: {self.path}",
            "wait until it has ended; if nothing is running, delete that file; then try again",
        )

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        self.release()
        return False


def clear_if_dead(lock: Path) -> bool:
    """Remove an ``index.lock`` if a lifeos that has provably ended left it. Whether it did."""
    owner = _owner(lock)
    if owner is None or not owner_is_dead(owner):
        return False
    lock.unlink(missing_ok=True)
    return True


def _owner(lock: Path) -> Owner | None:
    try:
        with lock.open("rb") as file:
            text = file.read(1000)
    except FileNotFoundError:
        return None
    if not text.startswith(_MARK):
        return None
    return Owner.parse(text[len(_MARK) :].decode("utf-8", "replace"))


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
