"""The kill switch: ``.lifeos/STOP`` in every work tree, and on main."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.tick.reading import STOP

if TYPE_CHECKING:
    from lifeos.store.repo import Repo


def stop_files(repo: Repo) -> tuple[Path, ...]:
    """Where the switch is in each work tree that is here: a tick may be at work in any of them."""
    from lifeos.store.worktree import worktrees

    folders = [tree.path for tree in worktrees(repo) if tree.path.is_dir()]
    if repo.work_tree is not None and repo.work_tree not in folders:
        folders.append(repo.work_tree)
    return tuple(folder / STOP for folder in folders)


def is_set(path: Path) -> bool:
    """Whether the switch is set there; even a broken link counts."""
    return os.path.lexists(path)
