"""What an attempt leaves behind before it is recorded: complete, or not there.

A bundle is a folder under ``.git/lifeos/bundles`` that gets its name by one rename, after
everything in it is on disk. So a process that dies after the work and before the record loses
nothing: the next tick collects the bundle. It is read as hostile input all the same: names,
sizes and digests are checked.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from lifeos.core.canonical import sha256
from lifeos.core.records import AttemptFacts
from lifeos.model import Frozen, Stage
from lifeos.process import untraced
from lifeos.store.objects import sync_folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
MAX_FILE = 4 * 1024 * 1024
MAX_FILES = 64
_INDEX = "bundle.json"
PART = ".part"
"""How the name of a bundle ends that is not complete yet, or not needed any more."""


class Index(Frozen):
    """The table of contents of a bundle."""

    run: str
    stage: Stage
    n: int
    nonce: str
    facts: AttemptFacts
    files: Mapping[str, str]  # name -> hex SHA-256


@dataclass(frozen=True)
class Bundle:
    """The result of one attempt: the facts, and the artifacts by name."""

    run: str
    stage: Stage
    n: int
    nonce: str
    facts: AttemptFacts
    artifacts: Mapping[str, bytes]


def save(folder: Path, bundle: Bundle, trace: Callable[[str], None] = untraced) -> Path:
    """Write a bundle, durably, in one rename. Its folder."""
    name = f"{bundle.run}.{bundle.n}.{bundle.nonce[:12]}"
    part, whole = folder / f"{name}{PART}", folder / name
    if part.exists():
        shutil.rmtree(part)
    part.mkdir(parents=True)
    index = Index(
        run=bundle.run,
        stage=bundle.stage,
        n=bundle.n,
        nonce=bundle.nonce,
        facts=bundle.facts,
        files={file: sha256(data) for file, data in bundle.artifacts.items()},
    )
    for file, data in bundle.artifacts.items():
        _write(part / file, data)
    trace("bundle:before:index")
    _write(part / _INDEX, index.model_dump_json().encode())
    sync_folder(str(part))
    trace("bundle:before:complete")
    part.rename(whole)
    sync_folder(str(folder))
    trace("bundle:after:complete")
    return whole


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
            yield path, _load(path)


def _load(path: Path) -> Bundle | str:
    try:
        index = Index.model_validate_json(_read(path / _INDEX))
    except (OSError, ValueError, ValidationError) as error:
        return f"its index cannot be read: {type(error).__name__}"
    if len(index.files) > MAX_FILES:
        return f"it has {len(index.files)} files; {MAX_FILES} are allowed"
    artifacts = {}
    for name, digest in index.files.items():
        if not _NAME.fullmatch(name) or name == _INDEX:
            return f"{name[:80]!r} is not a name for an artifact"
        try:
            data = _read(path / name)
        except (OSError, ValueError):
            return f"{name} is missing, too large, or not a plain file"
        if sha256(data) != digest:
            return f"{name} is not what the index names"
        artifacts[name] = data
    return Bundle(
        run=index.run,
        stage=index.stage,
        n=index.n,
        nonce=index.nonce,
        facts=index.facts,
        artifacts=artifacts,
    )


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123  (a descriptor has no path)
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
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
