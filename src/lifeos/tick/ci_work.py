"""A work tree on its way between machines: what changed against the base, there and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, cast

from lifeos.core.canonical import sha256
from lifeos.errors import UsageError
from lifeos.store.objects import Objects
from lifeos.store.trees import FOLDER, SUBMODULE, Edit, TreeEntry, edit, read_tree
from lifeos.tick.bundle import MAX_BLOB, MAX_BLOBS, MAX_TOTAL, WorkFile

_Mode = Literal["100644", "100755", "120000"]
_GONE = "000000"


def pack(
    objects: Objects, base: str, tree: str
) -> tuple[tuple[WorkFile, ...], Mapping[str, bytes]]:
    """What changed from one tree to another, path by path, and the contents by digest.

    Raises ``UsageError`` where a tree cannot travel: a new submodule, a name that is not text, or
    more than a bundle may hold.
    """
    changes = dict(_changes(objects, base, tree, ""))
    for path, entry in changes.items():
        if entry is not None and entry.mode == SUBMODULE:
            raise UsageError(f"{path}: a new submodule cannot travel in a bundle", "leave it out")
        if path != path.encode("utf-8", "replace").decode():  # it has bytes that are not text
            raise UsageError(f"{path!a}: a name that is not text cannot travel", "rename it")
    kept = {path: entry for path, entry in changes.items() if entry is not None}
    sizes = [size for _, size in objects.kinds_sizes(entry.oid for entry in kept.values())]
    if len(changes) > MAX_BLOBS or sum(sizes) > MAX_TOTAL or max(sizes, default=0) > MAX_BLOB:
        raise UsageError(
            f"the work is too large for a bundle: {len(changes)} files, {sum(sizes)} bytes",
            f"at most {MAX_BLOBS} files, {MAX_BLOB} bytes each, {MAX_TOTAL} in all",
        )
    contents = objects.read_many(entry.oid for entry in kept.values())
    blobs: dict[str, bytes] = {}
    files = [WorkFile(path=path, mode=_GONE) for path, entry in changes.items() if entry is None]
    for (path, entry), (_, _, data) in zip(kept.items(), contents, strict=True):
        digest = sha256(data)
        blobs[digest] = data
        files.append(WorkFile(path=path, mode=cast(_Mode, entry.mode), digest=digest))
    return tuple(sorted(files, key=lambda file: file.path)), blobs


def _changes(
    objects: Objects, old: str | None, new: str | None, prefix: str
) -> Iterable[tuple[str, TreeEntry | None]]:
    """Every path below two folders whose entry differs; None for one that is gone."""
    before = {entry.name: entry for entry in read_tree(objects, old)} if old else {}
    after = {entry.name: entry for entry in read_tree(objects, new)} if new else {}
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was == now:
            continue
        path = f"{prefix}{name}"
        if was is not None and was.mode != FOLDER and (now is None or now.mode == FOLDER):
            yield path, None
        if now is not None and now.mode != FOLDER:
            yield path, now
        folders = [entry.oid if entry and entry.mode == FOLDER else None for entry in (was, now)]
        if any(folders):
            yield from _changes(objects, folders[0], folders[1], f"{path}/")


def unpack(
    objects: Objects, base: str, files: Iterable[WorkFile], blobs: Mapping[str, bytes]
) -> str:
    """The tree that the base becomes by these changes. Raises ``UsageError`` for unsafe paths."""
    changes: dict[str, Edit] = {}
    written: dict[str, str] = {}
    for file in files:
        if file.digest is None:
            changes[file.path] = None
            continue
        if file.digest not in written:
            written[file.digest] = objects.write_blob(blobs[file.digest])
        changes[file.path] = (file.mode, written[file.digest])
    return edit(objects, base, changes)
