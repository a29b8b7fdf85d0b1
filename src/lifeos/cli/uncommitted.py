"""What lies in the work tree and does not count yet, because main does not have it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lifeos.core.policy import is_governance
from lifeos.model import Frozen
from lifeos.store.trees import lookup, walk
from lifeos.tick.reading import BACKLOG, main_at, read_file

if TYPE_CHECKING:
    from pathlib import Path

    from lifeos.cli.here import Here
    from lifeos.core.backlog.entry import Backlog

_TOPS = ("policies", ".lifeos")


class Uncommitted(Frozen):
    """``tasks`` new, changed or gone in the work tree's backlog, and ``files`` that differ.

    ``branch`` is what the work tree is on ("" if detached): main, or another branch.
    """

    tasks: int = 0
    files: tuple[str, ...] = ()
    branch: str = ""


def uncommitted(here: Here) -> Uncommitted:
    """Compare backlog and rules of the work tree with main's.

    A work tree that is only behind main is compared with what it has checked out.
    """
    root = here.repo.work_tree
    if root is None:
        return Uncommitted()
    head = here.repo.refs.head() or ""
    tree = _compared(here, head)
    mine, theirs = _file(root / BACKLOG), read_file(here.repo, tree, BACKLOG)
    files = _rules(here, tree, root)
    tasks = 0
    if _lines(mine) != _lines(theirs):
        files = (BACKLOG, *files)
        tasks = _differing(here, mine or b"", theirs or b"")
    return Uncommitted(tasks=tasks, files=files, branch=head.removeprefix("refs/heads/"))


def _compared(here: Here, head: str) -> str:
    from lifeos.store.history import is_ancestor

    commit = here.repo.refs.head_id()
    if commit is None or (head == here.main_ref and commit == here.main.commit):
        return here.main.tree
    behind = is_ancestor(here.repo, commit, here.main.commit)
    return main_at(here.repo, commit).tree if behind else here.main.tree


def _file(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def _lines(data: bytes | None) -> bytes | None:
    """The text with one kind of line end: a checkout may have changed them."""
    return None if data is None else data.replace(b"\r\n", b"\n")


def _differing(here: Here, mine: bytes, theirs: bytes) -> int:
    from lifeos.core.backlog.parse import parse

    prefix = here.rules.config.id_prefix
    here_now = _keys(parse(_lines(mine) or b"", BACKLOG, prefix))
    on_main = _keys(parse(_lines(theirs) or b"", BACKLOG, prefix))
    # A changed task is new in one and gone in the other: it counts once.
    return max((here_now - on_main).total(), (on_main - here_now).total())


def _keys(backlog: Backlog) -> Counter[tuple[str, str, str, int]]:
    return Counter((task.id, task.digest, task.mark.value, task.priority) for task in backlog.tasks)


def _rules(here: Here, tree: str, root: Path) -> tuple[str, ...]:
    """The files of governance that differ, are new, or are gone in the work tree."""
    objects = here.repo.objects
    on_main = {}
    for top in _TOPS:
        folder = lookup(objects, tree, top)
        if folder is not None and folder.mode == "040000":
            on_main.update({f"{top}/{leaf.path}": leaf.oid for leaf in walk(objects, folder.oid)})
    here_now = {
        path.relative_to(root).as_posix()
        for top in _TOPS
        for path in (root / top).rglob("*")
        if path.is_file()
    }
    differing = []
    for path in sorted(here_now | on_main.keys()):
        if is_governance(path) and not _same(here, root / path, on_main.get(path)):
            differing.append(path)
    return tuple(differing)


def _same(here: Here, path: Path, oid: str | None) -> bool:
    data = _file(path)
    if data is None or oid is None:
        return data is None and oid is None
    objects = here.repo.objects
    return oid in (objects.hash("blob", data), objects.hash("blob", _lines(data) or b""))
