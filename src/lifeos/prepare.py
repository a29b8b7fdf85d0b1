"""The environment that checks and agents need (installed packages, built tools), made once.

The prepare commands run in a folder that holds their inputs as the base has them, never what an
agent changed, at the path where the tree will be: environments do not relocate. What they leave is
kept under a digest of everything it depends on, and appears read-only beneath each tree.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lifeos import __version__
from lifeos.core import globs
from lifeos.core.canonical import Json, digest_of
from lifeos.core.checkreport import EXCERPT, plain
from lifeos.core.policy.config import Prepare
from lifeos.core.policy.envelope import Limits
from lifeos.errors import Busy, Failed, UsageError
from lifeos.model import FailureClass
from lifeos.process import Ended, never, untraced
from lifeos.sandbox import Sandbox, python_tools
from lifeos.store.lock import Lock
from lifeos.store.materialize import materialize
from lifeos.store.repo import Repo
from lifeos.store.trees import Leaf, edit, walk


@dataclass(frozen=True)
class Prepared:
    """A prepared environment: its folder (None if nothing has to be prepared) and its digest.

    ``reused``: it was there already. The folder is shared: nobody may write to it.
    """

    folder: Path | None
    digest: str
    reused: bool = False


class PrepareFailed(Failed):
    """A prepare command did not do its work; nothing was kept. ``excerpt`` is not redacted."""

    def __init__(self, message: str, failure: FailureClass, excerpt: str = "") -> None:
        super().__init__(message, "mend the command under `prepare` in .lifeos/config.yaml")
        self.failure_class = failure
        self.excerpt = excerpt


@dataclass(frozen=True)
class Workshop:
    """Where environments are made. ``cache`` holds them, each under its digest.

    ``limits`` are the sandbox's; the seconds are each command's own. ``environment`` is all that is
    handed through, and part of the digest by its names and values.
    """

    sandbox: Sandbox
    cache: Path
    limits: Limits
    environment: Mapping[str, str] = field(default_factory=dict)
    tools: Sequence[Path] | None = None
    should_stop: Callable[[], bool] = never
    on_output: Callable[[bytes], None] | None = None
    trace: Callable[[str], None] = untraced


def prepare(repo: Repo, base: str, prepares: Sequence[Prepare], workshop: Workshop) -> Prepared:
    """The environment for the base tree, made now unless it is there.

    Only one process makes it; others wait. Raises ``PrepareFailed`` with the failure class
    (``dependency_error`` when a command fails, ``environment_error`` when it cannot run or end).
    """
    if not prepares:
        return Prepared(None, "")
    inputs = input_leaves(repo, base, prepares)
    digest = _digest(prepares, inputs, workshop)
    place = workshop.cache / digest
    if place.is_dir():
        return Prepared(place, digest, reused=True)
    workshop.cache.mkdir(parents=True, exist_ok=True)
    lock = Lock(_lock_path(place))
    patience = sum(step.timeout for step in prepares) + 60.0
    try:
        lock.acquire(timeout=patience)
    except Busy as error:
        raise PrepareFailed(str(error), FailureClass.ENVIRONMENT_ERROR) from None
    try:
        if place.is_dir():
            return Prepared(place, digest, reused=True)
        _make(repo, prepares, inputs, workshop, place)
    finally:
        lock.release()
    return Prepared(place, digest)


def input_leaves(repo: Repo, base: str, prepares: Sequence[Prepare]) -> tuple[Leaf, ...]:
    """The files of the base that the commands depend on, in git's order."""
    patterns = [pattern for step in prepares for pattern in step.inputs]
    return tuple(leaf for leaf in walk(repo.objects, base) if globs.any_match(patterns, leaf.path))


def forget(cache: Path, keep: Collection[str]) -> tuple[str, ...]:
    """Delete environments except those named, and what killed processes left; the digests deleted.

    One that is being made is left alone. For a moment when nothing runs on top of the others.
    """
    if not cache.is_dir():
        return ()
    gone = []
    for entry in sorted(cache.iterdir()):
        digest = entry.name.removeprefix(_UNFINISHED)[:64] if entry.is_dir() else ""
        if not digest or entry.name in keep:
            continue
        lock = Lock(_lock_path(cache / digest))
        try:
            lock.acquire(timeout=0)
        except Busy:
            continue
        try:
            _discard(entry)
            if entry.name == digest:
                gone.append(digest)
        finally:
            lock.release()
    return tuple(gone)


_UNFINISHED = "unfinished-"


def _lock_path(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")


def _digest(prepares: Sequence[Prepare], inputs: Sequence[Leaf], workshop: Workshop) -> str:
    """Of all that the result depends on; the Python too, because environments link to it."""
    tools = python_tools() if workshop.tools is None else workshop.tools
    parts: dict[str, Json] = {
        "lifeos": __version__,
        "machine": [platform.system(), platform.machine(), sys.version],
        "sandbox": workshop.sandbox.kind,
        "tools": [str(tool) for tool in tools],
        "environment": dict(workshop.environment),
        "commands": [[step.name, step.run, step.network] for step in prepares],
        "inputs": [[leaf.path, leaf.mode, leaf.oid] for leaf in inputs],
    }
    return digest_of(parts)


def _make(
    repo: Repo,
    prepares: Sequence[Prepare],
    inputs: Sequence[Leaf],
    workshop: Workshop,
    place: Path,
) -> None:
    """Run the commands, and let the result appear complete, by one rename."""
    above = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{place.name}-", dir=workshop.cache))
    folder = above / "tree"
    try:
        files = {leaf.path: (leaf.mode, leaf.oid) for leaf in inputs}
        materialize(repo, edit(repo.objects, None, files), folder)
        for step in prepares:
            _run(step, folder, workshop)
        _drop_inputs(folder, files)
        _open_to_readers(folder)
        folder.rename(place)
    finally:
        _discard(above)


def _run(step: Prepare, folder: Path, workshop: Workshop) -> None:
    if workshop.should_stop():
        raise PrepareFailed(f"prepare {step.name} was stopped", FailureClass.INTERRUPTED)
    try:
        ended = workshop.sandbox.run(
            ("/bin/sh", "-c", step.run),
            folder=folder,
            limits=workshop.limits.model_copy(update={"seconds": step.timeout}),
            env=dict(workshop.environment),
            network=step.network,
            tools=workshop.tools,
            should_stop=workshop.should_stop,
            on_output=workshop.on_output,
            trace=workshop.trace,
        )
    except UsageError as error:
        text = f"prepare {step.name} could not begin: {error}"
        raise PrepareFailed(text, FailureClass.ENVIRONMENT_ERROR) from error
    if not ended.ok:
        raise _failed(step, ended)


def _failed(step: Prepare, ended: Ended) -> PrepareFailed:
    excerpt = plain(ended.err + b"\n" + ended.out).strip()[-EXCERPT:]
    if ended.stopped:
        return PrepareFailed(f"prepare {step.name} was stopped", FailureClass.INTERRUPTED, excerpt)
    if ended.timed_out:
        text = f"prepare {step.name} did not end within {step.timeout} seconds"
        return PrepareFailed(text, FailureClass.ENVIRONMENT_ERROR, excerpt)
    if ended.exceeded:
        text = f"prepare {step.name}: the sandbox's limit on {ended.exceeded} was exceeded"
        return PrepareFailed(text, FailureClass.ENVIRONMENT_ERROR, excerpt)
    offline = "" if step.network else " (it has no network: `network: false`)"
    text = f"prepare {step.name} failed with exit {ended.status}{offline}"
    return PrepareFailed(text, FailureClass.DEPENDENCY_ERROR, excerpt)


def _drop_inputs(folder: Path, files: Collection[str]) -> None:
    """Take the inputs out: a tree brings its own, and one that deleted them must not see them."""
    for path in files:
        if all(not above.is_symlink() for above in _between(folder, path)):
            if (folder / path).is_symlink() or (folder / path).is_file():
                (folder / path).unlink()
            for above in _between(folder, path):
                if above.is_dir() and not any(above.iterdir()):
                    above.rmdir()


def _between(folder: Path, path: str) -> list[Path]:
    """The folders between ``folder`` and the file at ``path``, the deepest first."""
    return [folder / above for above in Path(path).parents if above != Path()]


def _open_to_readers(folder: Path) -> None:
    """Whoever runs on top of it may be another user: all may read, none may write."""
    for directory, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(directory, name)
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                shown = 0o755 if stat.S_ISDIR(mode) or mode & 0o100 else 0o644
                path.chmod(shown)
    folder.chmod(0o755)


def _discard(folder: Path) -> None:
    """Remove a folder that untrusted code wrote; what cannot be removed is ``forget``'s later."""
    shutil.rmtree(folder, ignore_errors=True)
