"""A tree as a plain folder, and a plain folder as a tree.

Bytes are bytes in both directions: no filter, no line ending conversion, no index, no attributes.
What is put in the folder is what the tree says, and what an agent leaves there is what comes back,
except for what cannot or must not be in a tree; that is named in the answer, never skipped
silently. The agent has no say in what is ignored: only the rules of the base tree count.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lifeos.core.globs import any_match
from lifeos.errors import UsageError
from lifeos.store.git import Git, GitError
from lifeos.store.repo import Repo
from lifeos.store.trees import (
    EXECUTABLE,
    FILE,
    MAX_DEPTH,
    SUBMODULE,
    SYMLINK,
    Edit,
    Leaf,
    check_path,
    edit,
    is_safe_name,
    walk,
)

_READERS = 4
# Half of what Linux allows: the path must also be possible below another folder.
_MAX_PATH_BYTES = 2048
MAX_FILE_BYTES = 100 * 1024 * 1024
"""Largest file taken over; forges refuse larger ones, and content is held in memory."""


@dataclass(frozen=True)
class Imported:
    """A folder as a tree, and what was left out of it (paths, in order).

    ``nested_git``: repositories inside. ``special``: pipes, sockets, devices, names that no tree
    may hold, content inside a submodule. ``unreadable``: no permission, or a path too deep; what
    the base had there stays. ``too_large``: above the limit. ``ignored_count``: by the base's
    rules; an ignored folder counts once.
    """

    tree: str
    nested_git: tuple[str, ...] = ()
    special: tuple[str, ...] = ()
    ignored_count: int = 0
    unreadable: tuple[str, ...] = ()
    too_large: tuple[str, ...] = ()


def materialize(repo: Repo, tree: str, folder: Path) -> None:
    """Write a tree into an empty (or new) folder. Submodules become empty folders.

    Raises ``UsageError`` for a folder that is not empty and for names that are not safe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", "give an empty folder")
    leaves = list(walk(repo.objects, tree))
    for leaf in leaves:
        check_path(leaf.path)
    made: set[str] = set()
    files = [leaf for leaf in leaves if leaf.mode != SUBMODULE]
    contents = repo.objects.read_many(leaf.oid for leaf in files)
    for leaf, (_, _, data) in zip(files, contents, strict=True):
        _make_folders(folder, leaf.path.rpartition("/")[0], made)
        _write_leaf(os.fsencode(folder / leaf.path), leaf, data)
    for leaf in leaves:
        if leaf.mode == SUBMODULE:
            _make_folders(folder, leaf.path, made)


def _make_folders(top: Path, path: str, made: set[str]) -> None:
    """Make each folder ourselves: one that is there already may be a link in other letter case."""
    if not path or path in made:
        return
    _make_folders(top, path.rpartition("/")[0], made)
    try:
        (top / path).mkdir()
    except FileExistsError:
        raise UsageError(
            f"{path} and another name in the tree are the same on this file system", "rename one"
        ) from None
    made.add(path)


def _write_leaf(target: bytes, leaf: Leaf, data: bytes) -> None:
    try:
        if leaf.mode == SYMLINK:
            os.symlink(data, target)  # noqa: PTH211 - bytes, which a Path cannot hold
            return
        mode = 0o777 if leaf.mode == EXECUTABLE else 0o666
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(target, flags, mode), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
    except FileExistsError:
        raise UsageError(
            f"{leaf.path} and another name in the tree are the same on this file system",
            "rename one",
        ) from None


@dataclass
class _Found:
    """What the scan of a folder saw. ``files`` are paths with their mode."""

    files: dict[str, str] = field(default_factory=dict)
    submodules: set[str] = field(default_factory=set)
    nested_git: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    ignored: int = 0


def import_folder(
    repo: Repo,
    folder: Path,
    base_tree: str,
    *,
    drop_top_git: bool = True,
    max_file_bytes: int = MAX_FILE_BYTES,
    leftovers: Sequence[str] = (),
) -> Imported:
    """The tree that a folder holds, given the tree it began as.

    Files of the base are always taken; new ones unless the base's own ``.gitignore`` files ignore
    them, or they fit one of the patterns of ``leftovers``, which come from the policy.
    ``drop_top_git``: a ``.git`` at the top is lifeos's own throw-away one.
    """
    base = {leaf.path: leaf for leaf in walk(repo.objects, base_tree)}
    with tempfile.TemporaryDirectory(dir=repo.ensure_private(), prefix="ignore-") as scratch:
        rules = _Rules(repo, Path(scratch), base.values(), leftovers)
        found = _scan(folder, base, rules, drop_top_git)
        fresh = [path for path in found.files if path not in base]
        for path in rules.ignored(fresh):
            del found.files[path]
            found.ignored += 1
    taken, unreadable, too_large = _take(repo, folder, base, found.files, max_file_bytes)
    gone_dark = (*found.unreadable, *unreadable)
    changes: dict[str, Edit] = dict(taken)
    unknown = (*gone_dark, *too_large)
    for path in base:
        if path not in taken and path not in found.submodules and not _below(path, unknown):
            changes[path] = None
    return Imported(
        tree=edit(repo.objects, base_tree, changes),
        nested_git=tuple(sorted(found.nested_git)),
        special=tuple(sorted(found.special)),
        ignored_count=found.ignored,
        unreadable=tuple(sorted(gone_dark)),
        too_large=tuple(sorted(too_large)),
    )


def _below(path: str, tops: Iterable[str]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)


class _Rules:
    """The ignore rules of a tree, asked of git over a scratch folder that holds only those."""

    def __init__(
        self, repo: Repo, scratch: Path, base: Iterable[Leaf], leftovers: Sequence[str]
    ) -> None:
        self._scratch = scratch
        self._leftovers = leftovers
        self._git = Git(
            repo.ensure_private() / "git",
            work_tree=scratch,
            trace=repo.trace,
            isolated=True,
            user_config=False,
        )
        wanted = [
            leaf
            for leaf in base
            if leaf.path.rpartition("/")[2] == ".gitignore" and leaf.mode in {FILE, EXECUTABLE}
        ]
        contents = repo.objects.read_many(leaf.oid for leaf in wanted)
        for leaf, (_, _, data) in zip(wanted, contents, strict=True):
            check_path(leaf.path)
            target = scratch / leaf.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def ignored(self, paths: Iterable[str], *, folders: bool = False) -> set[str]:
        """Those of the paths that are ignored. Rules may ask whether a path is a folder."""
        paths = list(paths)
        end = "/any" if folders else ""  # a pattern speaks of what is in a folder
        left = {path for path in paths if any_match(self._leftovers, f"{path}{end}")}
        asked = [path for path in paths if path not in left]
        if folders:
            for path in asked:
                (self._scratch / path).mkdir(parents=True, exist_ok=True)
        if not asked:
            return left
        args = ("check-ignore", "--no-index", "-z", "--stdin")
        # "./" because a path that begins with ':' would be read as pathspec magic
        request = b"".join(os.fsencode(f"./{path}") + b"\0" for path in asked)
        result = self._git.call(*args, stdin=request)
        if result.status not in (0, 1):
            raise GitError(args, result.status, result.err)
        return left | {os.fsdecode(path)[2:] for path in result.out.split(b"\0") if path}


def _scan(folder: Path, base: dict[str, Leaf], rules: _Rules, drop_top_git: bool) -> _Found:
    """Look at every level once; ignored folders without a file of the base are not entered."""
    found = _Found()
    known = {prefix for path in base for prefix in _prefixes(path)}
    level = [""]
    for depth in range(MAX_DEPTH):
        below = [
            sub for prefix in level for sub in _scan_one(folder, prefix, base, found, drop_top_git)
        ]
        if depth + 1 == MAX_DEPTH:
            found.unreadable += below
            break
        ignored = rules.ignored(_askable(below, known), folders=True)
        found.ignored += len(ignored)
        level = [path for path in below if path not in ignored]
        if not level:
            break
    return found


def _prefixes(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _askable(folders: Iterable[str], known: set[str]) -> list[str]:
    return [path for path in folders if path not in known and not _below_ignore_file(path)]


def _below_ignore_file(path: str) -> bool:
    """A folder named like a rules file must not be put among the rules."""
    return ".gitignore" in path.split("/")


def _scan_one(
    top: Path, prefix: str, base: dict[str, Leaf], found: _Found, drop_top_git: bool
) -> list[str]:
    """Sort the entries of one folder; the folders in it."""
    try:
        with os.scandir(top / prefix) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        if not prefix:
            raise
        found.unreadable.append(prefix)
        return []
    folders: list[str] = []
    for entry in entries:
        path = f"{prefix}/{entry.name}" if prefix else entry.name
        if path == ".git" and drop_top_git:
            continue
        if len(os.fsencode(path)) > _MAX_PATH_BYTES:
            found.unreadable.append(path)
            continue
        if entry.name.lower() == ".git":
            found.nested_git.append(path)
        elif not is_safe_name(entry.name):
            found.special.append(path)
        elif path in base and base[path].mode == SUBMODULE and _is_folder(entry):
            found.submodules.add(path)
            found.special += [path] if any((top / path).iterdir()) else []
        elif _is_folder(entry):
            folders.append(path)
        else:
            _sort_file(entry, path, found)
    return folders


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _sort_file(entry: os.DirEntry[str], path: str, found: _Found) -> None:
    mode = entry.stat(follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        found.files[path] = SYMLINK
    elif stat.S_ISREG(mode):
        found.files[path] = EXECUTABLE if mode & 0o100 else FILE
    else:
        found.special.append(path)


class _UnreadableError(Exception):
    """A file whose content cannot be had. Apart from errors of writing, which must be loud."""


def _take(
    repo: Repo, folder: Path, base: dict[str, Leaf], files: dict[str, str], limit: int
) -> tuple[dict[str, tuple[str, str]], list[str], list[str]]:
    """Store the content of files that differ from the base: changes, unreadable, too large."""
    taken: dict[str, tuple[str, str]] = {}
    unreadable: list[str] = []
    too_large: list[str] = []

    def store(path: str) -> str | None:
        data = _content(folder / path, files[path], limit)
        if data is None:
            return None
        oid = repo.objects.hash("blob", data)
        # What the base has may be in a pack; writing it again would only cost space.
        return oid if path in base and base[path].oid == oid else repo.objects.write_blob(data)

    with ThreadPoolExecutor(_READERS) as pool:
        futures = {path: pool.submit(store, path) for path in files}
        for path, future in futures.items():
            try:
                oid = future.result()
            except _UnreadableError:
                unreadable.append(path)
                continue
            if oid is None:
                too_large.append(path)
            else:
                taken[path] = (files[path], oid)
    return taken, unreadable, too_large


def _content(path: Path, mode: str, limit: int) -> bytes | None:
    """Content of a file, or where a link points; None above the limit."""
    target = os.fsencode(path)
    # Nothing should change here any more; if it does, it must not hang or lead elsewhere.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if mode == SYMLINK:
            return os.readlink(target)  # noqa: PTH115 - bytes, which a Path cannot hold
        with open(os.open(target, flags), "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _UnreadableError
            data = file.read(limit + 1)
    except OSError:
        raise _UnreadableError from None
    return None if len(data) > limit else data
