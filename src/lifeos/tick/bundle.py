"""What an attempt leaves behind before it is recorded: complete, or not there.

A bundle is a folder (under ``.git/lifeos/bundles``, or wherever ``lifeos ci attempt`` puts it) that
gets its name by one rename, after everything in it is on disk. So a process that dies after the
work and before the record loses nothing: the next tick collects the bundle. It is read as hostile
input all the same: names, kinds, sizes, counts and digests are checked, and nothing may be in it
that its index does not name.

``bundle.json`` is the index, beside it lie the artifacts; ``work/`` has the changed files of the
work tree by the SHA-256 of their content, where the tree has to travel (docs/ci.md).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from lifeos.core.canonical import sha256
from lifeos.core.records import AttemptFacts
from lifeos.errors import UsageError
from lifeos.model import Frozen, Stage
from lifeos.process import untraced
from lifeos.store.objects import sync_folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_OID = r"^(?:[0-9a-f]{40}|[0-9a-f]{64})?$"
_DIGEST = re.compile(r"[0-9a-f]{64}")
MAX_FILE = 4 * 1024 * 1024
"""Bytes of the index, and of each artifact."""
MAX_FILES = 64
MAX_BLOB = 32 * 1024 * 1024
"""Bytes of one changed file."""
MAX_BLOBS = 4096
MAX_TOTAL = 128 * 1024 * 1024
"""Bytes of all files of a bundle together."""
INDEX = "bundle.json"
WORK = "work"
PART = ".part"
"""How the name of a bundle ends that is not complete yet, or not needed any more."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class WorkFile(Frozen):
    """One changed path of the work tree, against the base: its mode and its content's SHA-256.

    ``digest`` None: the path is gone, and ``mode`` is "000000".
    """

    path: str
    mode: Literal["100644", "100755", "120000", "000000"]
    digest: str | None = None


class Index(Frozen):
    """The table of contents of a bundle, format 1.

    ``ledger`` is the tip that the claim was read from, ``onto`` the commit of main that a landing
    is checked on (stage ``close`` only); a bundle that never leaves its machine has neither.
    """

    format: Literal[1] = 1
    run: str
    stage: Stage
    n: int
    nonce: str
    ledger: str = Field("", pattern=_OID)
    onto: str = Field("", pattern=_OID)
    facts: AttemptFacts
    files: Mapping[str, str]  # name -> hex SHA-256
    work: tuple[WorkFile, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """The result of one attempt: the facts, and the artifacts by name.

    ``work`` is what changed in the tree, with the contents by digest in ``blobs``. ``digest`` is
    the SHA-256 of the index that it was read from: it stands for everything in it.
    """

    run: str
    stage: Stage
    n: int
    nonce: str
    facts: AttemptFacts
    artifacts: Mapping[str, bytes]
    ledger: str = ""
    onto: str = ""
    work: tuple[WorkFile, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    digest: str = ""


def save(folder: Path, bundle: Bundle, trace: Callable[[str], None] = untraced) -> Path:
    """Write a bundle into a folder of bundles, under a name of its own. Its folder."""
    whole = folder / f"{bundle.run}.{bundle.n}.{bundle.nonce[:12]}"
    write(whole, bundle, trace)
    return whole


def write(whole: Path, bundle: Bundle, trace: Callable[[str], None] = untraced) -> None:
    """Write a bundle as this folder, durably, in one rename.

    Raises ``UsageError`` for one that nobody would read back: it is over a limit.
    """
    data = _index_of(bundle).model_dump_json().encode()
    _require_small(bundle, data)
    part = whole.with_name(f"{whole.name}{PART}")
    if part.exists():
        shutil.rmtree(part)
    part.mkdir(parents=True)
    for file, content in bundle.artifacts.items():
        _write(part / file, content)
    if bundle.blobs:
        (part / WORK).mkdir()
        for digest, content in bundle.blobs.items():
            _write(part / WORK / digest, content)
        sync_folder(str(part / WORK))
    trace("bundle:before:index")
    _write(part / INDEX, data)
    sync_folder(str(part))
    trace("bundle:before:complete")
    part.rename(whole)
    sync_folder(str(whole.parent))
    trace("bundle:after:complete")


def _index_of(bundle: Bundle) -> Index:
    return Index(
        run=bundle.run,
        stage=bundle.stage,
        n=bundle.n,
        nonce=bundle.nonce,
        ledger=bundle.ledger,
        onto=bundle.onto,
        facts=bundle.facts,
        files={file: sha256(data) for file, data in bundle.artifacts.items()},
        work=bundle.work,
    )


def _require_small(bundle: Bundle, index: bytes) -> None:
    sizes = [len(data) for data in bundle.blobs.values()]
    total = len(index) + sum(sizes) + sum(len(data) for data in bundle.artifacts.values())
    over = len(bundle.work) > MAX_BLOBS or len(index) > MAX_FILE or total > MAX_TOTAL
    if over or any(size > MAX_BLOB for size in sizes):
        raise UsageError(
            f"{len(bundle.work)} changed files with {sum(sizes)} bytes do not fit into a bundle"
            f" ({MAX_BLOBS} files, {MAX_BLOB} bytes each, {MAX_TOTAL} in all)",
            "divide the task, or let its agent change less",
        )


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def complete(folder: Path) -> Iterator[tuple[Path, Bundle | str]]:
    """Every complete bundle in a folder; instead of one that cannot be trusted, why not."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.endswith(PART):
            yield path, load(path)


def load(path: Path) -> Bundle | str:
    """The bundle in a folder, or why it cannot be taken."""
    try:
        folder = os.open(path, _OPEN | os.O_DIRECTORY)
    except OSError as error:
        return f"it cannot be opened as a folder: {error.strerror}"
    try:
        return _load(folder)
    finally:
        os.close(folder)


def _load(folder: int) -> Bundle | str:
    try:
        data = read_plain(INDEX, MAX_FILE, folder)
        index = Index.model_validate_json(data)
    except (OSError, ValueError, ValidationError) as error:
        return f"its index cannot be read: {type(error).__name__}{_newer(error)}"
    problem = _problem(index)
    if problem:
        return problem
    try:
        left = MAX_TOTAL - len(data)
        artifacts, left = _contents(folder, index.files, MAX_FILE, left, {INDEX, WORK})
        wanted = {file.digest: file.digest for file in index.work if file.digest is not None}
        blobs: dict[str, bytes] = {}
        if wanted:
            below = os.open(WORK, _OPEN | os.O_DIRECTORY, dir_fd=folder)
            try:
                blobs, left = _contents(below, wanted, MAX_BLOB, left, set())
            finally:
                os.close(below)
        elif WORK in os.listdir(folder):
            return "it has a work folder that its index does not name"
    except RefusedError as refusal:
        return str(refusal)
    except OSError as error:
        return f"its work cannot be read: {error.strerror}"
    return Bundle(
        run=index.run,
        stage=index.stage,
        n=index.n,
        nonce=index.nonce,
        facts=index.facts,
        artifacts=artifacts,
        ledger=index.ledger,
        onto=index.onto,
        work=index.work,
        blobs=blobs,
        digest=sha256(data),
    )


def _newer(error: Exception) -> str:
    """What to do where it is the format that is unknown."""
    if isinstance(error, ValidationError) and error.errors()[0]["loc"][:1] == ("format",):
        return " (its format is not 1: one lifeos is newer than the other)"
    return ""


def _problem(index: Index) -> str:
    """What is wrong with the names and counts of an index, or ''."""
    if len(index.files) > MAX_FILES:
        return f"it has {len(index.files)} files; {MAX_FILES} are allowed"
    if len(index.work) > MAX_BLOBS:
        return f"it has {len(index.work)} changed files; {MAX_BLOBS} are allowed"
    for name in index.files:
        if not _NAME.fullmatch(name) or name in (INDEX, WORK):
            return f"{name[:80]!r} is not a name for an artifact"
    if len({file.path for file in index.work}) < len(index.work):
        return "it changes one path twice"
    for file in index.work:
        if (file.digest is None) != (file.mode == "000000"):
            return f"{file.path[:80]!r} is neither there nor gone"
        if file.digest is not None and not _DIGEST.fullmatch(file.digest):
            return f"{file.digest[:80]!r} is not a digest"
    return ""


class RefusedError(Exception):
    """A bundle that does not count, and why, in a clause."""


def _contents(
    folder: int, names: Mapping[str, str], most: int, left: int, besides: set[str]
) -> tuple[dict[str, bytes], int]:
    """The files of a folder, all of which are named, and how many bytes may still follow."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in names and entry.name not in besides:
                raise RefusedError(f"{entry.name[:80]!r} is not named by its index")
    found = {}
    for name, digest in names.items():
        try:
            data = read_plain(name, min(most, left), folder)
        except (OSError, ValueError):
            raise RefusedError(f"{name} is missing, too large, or not a plain file") from None
        if sha256(data) != digest:
            raise RefusedError(f"{name} is not what the index names")
        found[name] = data
        left -= len(data)
    return found, left


def read_plain(name: str | Path, most: int, folder: int | None = None) -> bytes:
    """A plain file of at most so many bytes; no link, pipe or device is followed or waited for.

    Raises ``OSError`` or ``ValueError``.
    """
    descriptor = os.open(name, _OPEN, dir_fd=folder)
    with open(descriptor, "rb") as file:  # noqa: PTH123  (a descriptor has no path)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a plain file")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError("too large")
    return data


def remove(path: Path, trace: Callable[[str], None] = untraced) -> None:
    """Take away a bundle that was recorded.

    It loses its name first: a process that dies in between must not leave half of one behind.
    """
    trace("bundle:before:remove")
    gone = path.with_name(f"{path.name}{PART}")
    path.rename(gone)
    trace("bundle:after:remove")
    shutil.rmtree(gone)
