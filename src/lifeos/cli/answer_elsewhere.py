"""Answers that are not on main: they count for nothing, and whoever looks should hear of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lifeos.core.answers import QUEUE, Refusal, answer_path
from lifeos.errors import UsageError

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.core.state import Item

_HEADS = "refs/heads/"
_OURS = "refs/heads/lifeos/"
_MOST_BRANCHES = 200
_NEARBY = (".lifeos/", "")
"""Folders in which somebody may put an answer, as the queue is near: also by a path with ``..``."""


def answer_elsewhere(here: Here, item: Item) -> str:
    """Why the answer to an item that somebody has here does not count; '' where there is none.

    In the work tree without a commit, on a branch of this clone that main does not have, in
    another folder of main, or taken away from main again.
    """
    name, path = here.rules.config.main, answer_path(item.id)
    branch = _branch_with(here, path)
    if branch:
        why = f"it is on the branch {branch}, and not on {name}"
        return str(Refusal(item.id, why, f"git switch {name}, git merge {branch}"))
    root = here.repo.work_tree
    if root is not None and os.path.lexists(root / path):
        fix = f"git add {path}, git commit; or lifeos approve {item.id} (or revise, reject)"
        return str(Refusal(item.id, "its file is not committed", fix))
    return _misplaced(here, item, path) or _taken_away(here, item, path)


def _misplaced(here: Here, item: Item, path: str) -> str:
    """Whether main has the file in a folder next to the queue."""
    from lifeos.store.trees import lookup

    name = path.rpartition("/")[2]
    for folder in _NEARBY:
        if lookup(here.repo.objects, here.main.tree, f"{folder}{name}"):
            why = f"it lies at {folder}{name}, and answers lie in {QUEUE}"
            return str(Refusal(item.id, why, f"git mv {folder}{name} {path}, git commit"))
    return ""


def _taken_away(here: Here, item: Item, path: str) -> str:
    """Whether main had the file since it was asked, and lost it before a tick took it."""
    from lifeos.store.history import removing

    try:
        removed = removing(here.repo, here.main.commit, path)
    except UsageError:
        return ""  # the history is not all here; what waits can be shown without it
    if removed is None:
        return ""
    why = f"{removed.author.email} took it away again, with commit {removed.commit[:12]}"
    return str(Refusal(item.id, why, f"lifeos approve {item.id} (or revise, reject) answers anew"))


def _branch_with(here: Here, path: str) -> str:
    """A branch of people's that has this file, of the first ones there are; '' if none has."""
    from lifeos.store.trees import lookup

    objects = here.repo.objects
    theirs = [ref for ref in here.repo.refs.list(_HEADS).items() if not ref[0].startswith(_OURS)]
    for ref, commit in theirs[:_MOST_BRANCHES]:
        if ref != here.main_ref and lookup(objects, objects.commit(commit).tree, path):
            return ref.removeprefix(_HEADS)
    return ""
