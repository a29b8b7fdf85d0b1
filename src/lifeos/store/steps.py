"""What has to be done at each path of a work tree when its branch moves, and what is in the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lifeos.store.repo import Repo
from lifeos.store.trees import EXECUTABLE, SUBMODULE, SYMLINK, check_path
from lifeos.store.worktree import ABSENT, FOLDER, Indexed, Worktree, found_at, obstacle

Splice = Callable[[bytes], bytes]
"""Makes lifeos's change in any version of a file: pure, and harmless when made twice."""

TO_WRITE = "to write"
"""Stands for the file that git will write; its exact words are known once it is prepared."""

_FILES = ("file ", "program ")


@dataclass(frozen=True)
class Change:
    """One path that differs between two commits; entries are "MODE OID", or absent."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Step:
    """What is done at one path of one work tree. Files are described in ``found_at``'s words."""

    path: str
    new: str
    index_before: str
    index_after: str
    file_before: str
    file_after: str
    number: int
    skip: bool = False  # outside a sparse checkout: in the index only
    submodule: bool = False  # git does not touch what is inside one, and neither does lifeos

    def found(self, root: Path) -> str:
        """What is there now. A folder is no file: what is in it has paths of its own."""
        state = found_at(root, self.path)
        return ABSENT if state == FOLDER and not self.submodule else state


@dataclass
class Plan:
    """The steps of one work tree, the bytes of spliced files, and what is in the way."""

    tree: Worktree
    steps: list[Step] = field(default_factory=list)
    spliced: dict[str, bytes] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)


def changes(repo: Repo, old: str, new: str) -> list[Change]:
    """Every path that differs between two commits; a rename is a removal and an addition.

    Raises ``UsageError`` for a path that no work tree may have.
    """
    out = repo.git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", old, new)
    fields = iter(out.decode("utf-8", "surrogateescape").split("\0"))
    found = []
    for text in fields:
        if text.startswith(":"):
            old_mode, new_mode, old_id, new_id, _ = text[1:].split(" ")
            before = ABSENT if old_mode == "000000" else f"{old_mode} {old_id}"
            after = ABSENT if new_mode == "000000" else f"{new_mode} {new_id}"
            path = next(fields)
            if after != ABSENT:
                check_path(path)  # a commit may hold `.git/config`; a work tree must never get it
            found.append(Change(path, before, after))
    return found


def look(tree: Worktree, wanted: Sequence[Change], splices: Mapping[str, Splice]) -> Plan:
    """Decide at each path what is to be done, or that something is in the way."""
    index = tree.index()
    files = {change.path: found_at(tree.path, change.path) for change in wanted}
    cleaned = tree.cleaned([path for path, state in files.items() if state.startswith(_FILES)])
    removed = {change.path for change in wanted if change.new == ABSENT}
    plan = Plan(tree)
    dirty = _Dirty(tree)
    for number, change in enumerate(wanted):
        path = change.path
        entry = index.get(path, Indexed(ABSENT))
        spot = _Spot(tree, change, entry, files[path], cleaned.get(path, ""), number)
        _decide(plan, spot, removed, dirty, splices.get(path))
    added = {change.path for change in wanted if change.old == ABSENT}
    plan.blocked += [path for path in index if path not in removed and _is_below(path, added)]
    return plan


def _decide(
    plan: Plan, spot: _Spot, removed: set[str], dirty: _Dirty, splice: Splice | None
) -> None:
    path = spot.change.path
    blocked = spot.blocked(removed)
    if blocked is not None:
        plan.blocked.append(blocked)
    elif (step := spot.plain(dirty)) is not None:
        plan.steps.append(step)
    elif splice is not None and (made := spot.spliced(splice)) is not None:
        step, data = made
        plan.steps.append(step)
        if data is not None:
            plan.spliced[path] = data
    else:
        plan.blocked.append(path)


def _is_below(path: str, folders: set[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:count]) in folders for count in range(1, len(parts)))


class _Dirty:
    """What git itself holds for changed; asked only if lifeos's own look found a difference.

    The two differ where content was stored against its attributes (CRLF in the repository).
    """

    def __init__(self, tree: Worktree) -> None:
        self._tree = tree
        self._paths: frozenset[str] | None = None

    def has(self, path: str) -> bool:
        if self._paths is None:
            self._paths = self._tree.stat_dirty()
        return path in self._paths


@dataclass(frozen=True)
class _Spot:
    """One path of one work tree as it is now. ``cleaned``: the id the file would be added as."""

    tree: Worktree
    change: Change
    entry: Indexed
    file: str
    cleaned: str
    number: int

    def blocked(self, removed: set[str]) -> str | None:
        """What stands where this change has to put something: a file above it, or files below."""
        root, path = self.tree.path, self.change.path
        if self.change.new == ABSENT:
            return None
        above = obstacle(root, path)
        if above is not None and above not in removed:
            return above
        if self.file != FOLDER or self.change.new.startswith(SUBMODULE):
            return None
        for folder, folders, files in os.walk(root / path):
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            for name in (*files, *links):
                inside = (Path(folder) / name).relative_to(root).as_posix()
                if inside not in removed:
                    return inside
        return None

    def plain(self, dirty: _Dirty) -> Step | None:
        """The step, if index and file are versions that git has; None if a person edited them."""
        change, entry = self.change, self.entry
        if entry.unmerged or entry.entry not in (change.old, change.new):
            return None
        skip = entry.skip or self._outside()
        if skip and self.file == ABSENT:
            return self._step(change.new, ABSENT, skip=change.new != ABSENT)
        if not (self._is(change.old) or self._is(change.new)):
            # Perhaps it only looks edited. "Assume unchanged" is no proof: git does not look then.
            edited = entry.entry == ABSENT or entry.trusted or not self.file.startswith(_FILES)
            if edited or dirty.has(change.path):
                return None
        return self._step(change.new, ABSENT if change.new == ABSENT else TO_WRITE)

    def spliced(self, splice: Splice) -> tuple[Step, bytes | None] | None:
        """Lifeos's change made in the person's own version; None if that is no file."""
        if self.entry.unmerged or self.change.new == ABSENT:
            return None
        index = self._spliced_entry(splice)
        if self.file == ABSENT or self.entry.skip:  # taken away by the person: it stays away
            return self._step(index, self.file, skip=self.entry.skip), None
        if not self.file.startswith(_FILES):
            return None
        before = (self.tree.path / self.change.path).read_bytes()
        after = splice(before)
        if after == before:
            return self._step(index, self.file), None
        return self._step(index, TO_WRITE), after

    def _spliced_entry(self, splice: Splice) -> str:
        entry = self.entry.entry
        if entry in (self.change.old, self.change.new):
            return self.change.new
        if entry == ABSENT or entry.startswith((SYMLINK, SUBMODULE)):
            return entry
        mode, oid = entry.split(" ")
        objects = self.tree.repo.objects
        return f"{mode} {objects.write_blob(splice(objects.read(oid)[1]))}"

    def _step(self, index: str, file: str, *, skip: bool = False) -> Step:
        old, new = self.change.old, self.change.new
        submodule = SUBMODULE in (old[:6], new[:6])
        before = ABSENT if self.file == FOLDER and not submodule else self.file
        return Step(
            path=self.change.path,
            new=new,
            index_before=self.entry.entry,
            index_after=index,
            file_before=before,
            file_after=FOLDER if new.startswith(SUBMODULE) and not skip else file,
            number=self.number,
            skip=skip,
            submodule=submodule,
        )

    def _outside(self) -> bool:
        """Whether a new file lies outside a sparse checkout: its folder is not there."""
        if self.entry.entry != ABSENT or self.tree.repo.config.get("core.sparsecheckout") != "true":
            return False
        return not (self.tree.path / self.change.path).parent.exists()

    def _is(self, entry: str) -> bool:
        """Whether the file is what this entry would be checked out as."""
        if entry == ABSENT:
            return self.file in (ABSENT, FOLDER)
        mode, oid = entry.split(" ")
        if mode == SUBMODULE:
            return self.file in (ABSENT, FOLDER)
        if mode == SYMLINK:
            return self.file.startswith("link ") and self._link_id() == oid
        kinds: tuple[str, ...] = ("program ",) if mode == EXECUTABLE else ("file ",)
        if self.tree.repo.config.get("core.filemode") == "false":
            kinds = _FILES
        return self.file.startswith(kinds) and self.cleaned == oid

    def _link_id(self) -> str:
        target = os.fsencode((self.tree.path / self.change.path).readlink())
        return self.tree.repo.objects.hash("blob", target)
