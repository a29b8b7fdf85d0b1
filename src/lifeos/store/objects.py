"""Git objects: written in this process, read through one long-lived ``git cat-file``.

Writing in process is what makes a transition cost about a millisecond. The bytes are those that
``git hash-object``, ``mktree`` and ``commit-tree`` would write; tests compare them.
An object is complete under its name or not there: temporary file, sync, link. ``flush`` syncs the
folders; it is called before a reference moves (``Refs`` does it).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from lifeos.errors import Exit, LifeosError
from lifeos.store.discover import HashName
from lifeos.store.encoding import (
    LIFEOS,
    OID,
    Commit,
    Entry,
    Identity,
    Stamp,
    encode_commit,
    encode_tree,
    parse_commit,
)
from lifeos.store.git import Git, GitError, Session, SessionDied, Trace, no_trace

__all__ = [
    "LIFEOS",
    "Commit",
    "HashName",
    "Identity",
    "MissingObject",
    "ObjectKind",
    "Objects",
    "Stamp",
    "sync_folder",
]

ObjectKind = Literal["blob", "tree", "commit", "tag"]
_KINDS: dict[bytes, ObjectKind] = {
    b"blob": "blob",
    b"tree": "tree",
    b"commit": "commit",
    b"tag": "tag",
}
# Requests of one round: few enough to fit into a pipe, and not too much content in memory.
_ROUND = 64
_WRITERS = 8


class MissingObject(LifeosError, KeyError):
    """An object that is named but not in the repository."""

    exit_code = Exit.FAILED

    def __init__(self, oid: str) -> None:
        LifeosError.__init__(
            self, f"object {oid} is missing from the repository", "git fsck, then fetch or restore"
        )
        self.oid = oid

    __str__ = LifeosError.__str__


class Objects:
    """The object store of a repository. Reading is safe between threads, and so is writing."""

    def __init__(
        self,
        folder: Path,
        hash_name: HashName,
        *,
        git: Callable[[], Git],
        trace: Trace = no_trace,
        durable: bool = True,
        shared: bool = False,
    ) -> None:
        """``durable``: sync to disk. ``shared``: new folders get the mode of the store's own."""
        self.folder = folder
        self.hash_name: HashName = hash_name
        self.durable = durable
        self.trace = trace
        self._git = git
        self._shared = shared
        self._unsynced: set[str] = set()
        self._later: list[str] | None = None  # what `together` syncs at its end
        self._session: Session | None = None
        self._reading = threading.Lock()

    @property
    def null(self) -> str:
        """The id that stands for "none"."""
        return "0" * (40 if self.hash_name == "sha1" else 64)

    def hash(self, kind: ObjectKind, data: bytes) -> str:
        """The id that an object has or would have."""
        digest = hashlib.new(self.hash_name, usedforsecurity=False)
        digest.update(b"%s %d\0" % (kind.encode(), len(data)))
        digest.update(data)
        return digest.hexdigest()

    def write_blob(self, data: bytes) -> str:
        """Store content. Its id."""
        return self._write("blob", data)

    def write_tree(self, entries: Iterable[Entry]) -> str:
        """Store one folder. Entries may come in any order; names must be unique and safe."""
        return self._write("tree", encode_tree(entries))

    def write_commit(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        when: int,
        author: Identity = LIFEOS,
        committer: Identity = LIFEOS,
    ) -> str:
        """Store a commit. ``when`` is in seconds since 1970; the zone is UTC."""
        data = encode_commit(tree, parents, message, when=when, author=author, committer=committer)
        return self._write("commit", data)

    def write_raw_commit(self, data: bytes) -> str:
        """Store a commit as somebody else made it; the caller has looked at it. Its id."""
        return self._write("commit", data)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Sync what is written meanwhile at the end, all at once: much sooner than each alone.

        For many objects that no reference needs before. Not with other threads at work.
        """
        self._later = []
        try:
            yield
            if self.durable:
                os.sync()
                for path in self._later:  # where that did not wait for the disk
                    with contextlib.suppress(FileNotFoundError):  # packed meanwhile, by git
                        _sync(path, os.O_RDONLY)
        finally:
            self._later = None

    def flush(self) -> None:
        """Sync the folders that got new objects. After it, what was written survives power loss."""
        while self._unsynced:
            folder = self._unsynced.pop()
            try:
                sync_folder(folder)
            except FileNotFoundError:
                continue  # packed and removed meanwhile, by git, which syncs its packs
            except BaseException:
                self._unsynced.add(folder)
                raise

    def read(self, oid: str) -> tuple[ObjectKind, bytes]:
        """Kind and content. Raises ``MissingObject``."""
        return next(iter(self.read_many((oid,))))[1:]

    def read_many(self, oids: Iterable[str]) -> Iterator[tuple[str, ObjectKind, bytes]]:
        """Id, kind and content of many objects, in the order asked. Raises ``MissingObject``."""
        wanted = list(oids)
        for start in range(0, len(wanted), _ROUND):
            part = wanted[start : start + _ROUND]
            for oid in part:
                if not OID.fullmatch(oid):
                    raise ValueError(f"{oid!r} is not an object id")
            yield from self._read_round(part)

    def kinds_sizes(self, oids: Iterable[str]) -> list[tuple[ObjectKind, int]]:
        """Kind and size of many objects, by one process. Raises ``MissingObject``."""
        wanted = list(oids)
        request = "".join(f"{oid}\n" for oid in wanted).encode()
        if not wanted:
            return []
        lines = self._git().run("cat-file", "--batch-check", "--buffer", stdin=request)
        return [_header(line, oid) for line, oid in zip(lines.splitlines(), wanted, strict=True)]

    def commit(self, oid: str) -> Commit:
        """A commit, parsed. Raises ``MissingObject``, or ``GitError`` if it is no commit."""
        kind, data = self.read(oid)
        if kind != "commit":
            raise GitError(("cat-file", oid), 0, f"{oid} is a {kind}, not a commit")
        return parse_commit(oid, data)

    def tree_id(self, oid: str) -> str:
        """The tree of a commit, or the tree itself."""
        kind, data = self.read(oid)
        if kind == "commit":
            return parse_commit(oid, data).tree
        if kind != "tree":
            raise GitError(("cat-file", oid), 0, f"{oid} is a {kind}, not a commit or a tree")
        return oid

    def close(self) -> None:
        """End the reading process."""
        with self._reading:
            self._end_session()

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _read_round(self, part: list[str]) -> list[tuple[str, ObjectKind, bytes]]:
        with self._reading:
            try:
                return self._ask(part)
            except (SessionDied, MissingObject):
                # It may have been killed, or have been started before new packs or alternates.
                self._end_session()
            try:
                return self._ask(part)
            except SessionDied as error:
                self._end_session()
                raise error.as_error() from None
            except BaseException:
                self._end_session()
                raise

    def _ask(self, part: list[str]) -> list[tuple[str, ObjectKind, bytes]]:
        if self._session is None or not self._session.mine:
            self._session = self._git().session("cat-file", "--batch")
        session = self._session
        try:
            found: list[tuple[str, ObjectKind, bytes]] = []
            session.send("".join(f"{oid}\n" for oid in part).encode())
            for oid in part:
                kind, size = _header(session.line(), oid)
                data = session.exactly(size)
                session.exactly(1)
                found.append((oid, kind, data))
        except (SessionDied, MissingObject):
            raise
        except BaseException:
            self._end_session()  # cut in the middle of an answer: out of step
            raise
        return found

    def _write(self, kind: ObjectKind, data: bytes) -> str:
        oid = self.hash(kind, data)
        header = b"%s %d\0" % (kind.encode(), len(data))
        folder = f"{self.folder}/{oid[:2]}"
        path = f"{folder}/{oid[2:]}"
        self.trace(f"object:before:{kind}")
        if not self._already(path, header + data):
            packer = zlib.compressobj(1)
            self._place(folder, path, packer.compress(header + data) + packer.flush())
        if self.durable:
            self._unsynced.add(folder)
        self.trace(f"object:after:{kind}")
        return oid

    def _already(self, path: str, content: bytes) -> bool:
        """Whether the object is there, whole. One that a power loss emptied is written again."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - the hot path; Path costs as much again
                stored = file.read()
                if zlib.decompress(stored) != content:
                    return False
                if self._syncs_now(path):
                    os.fsync(file.fileno())  # git itself does not sync by default
        except FileNotFoundError:
            return False
        except zlib.error:
            return False
        return True

    def _place(self, folder: str, path: str, packed: bytes) -> None:
        # The name that git's own prune knows to tidy up after a crash.
        temporary = f"{folder}/tmp_obj_{secrets.token_hex(8)}"  # noqa: S108 - beside the object
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(temporary, flags, 0o444)
        except FileNotFoundError:
            self._make_folder(folder)
            descriptor = os.open(temporary, flags, 0o444)
        try:
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor
                view = memoryview(packed)
                while view:
                    view = view[file.write(view) :]
                if self._syncs_now(path):
                    os.fsync(descriptor)
            os.rename(temporary, path)  # noqa: PTH104 - the hot path
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108 - the hot path
            raise

    def _syncs_now(self, path: str) -> bool:
        if self._later is not None:
            self._later.append(path)
            return False
        return self.durable

    def _make_folder(self, folder: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)  # noqa: PTH102 - the hot path
            if self._shared:
                Path(folder).chmod(self.folder.stat().st_mode & 0o7777)
        if self.durable:
            self._unsynced.add(str(self.folder))


def sync_folder(folder: str) -> None:
    """Make the names in a folder survive power loss."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _header(line: bytes, oid: str) -> tuple[ObjectKind, int]:
    parts = line.split(b" ")
    if len(parts) != 3 or parts[0] != oid.encode() or parts[1] not in _KINDS:
        if line.endswith(b" missing"):
            raise MissingObject(oid)
        raise GitError(("cat-file", oid), 0, f"unexpected answer {line[:200]!r}")
    return _KINDS[parts[1]], int(parts[2])
