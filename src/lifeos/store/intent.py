"""The note on disk of a move of a branch under way: enough for another process to settle it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from lifeos.errors import Failed
from lifeos.store.objects import sync_folder
from lifeos.store.repo import Repo
from lifeos.store.steps import Step

_INTENT = "checkout-intent"
_STAGE = "checkout-stage"


@dataclass(frozen=True)
class Site:
    """The steps of one work tree."""

    git_dir: str
    path: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Intent:
    """What is being done, complete enough for another process to finish or undo it."""

    branch: str
    old: str
    new: str
    reason: str
    nonce: str
    sites: tuple[Site, ...] = ()
    undoing: bool = False


def traces(repo: Repo) -> tuple[Path, Path]:
    """What is on disk while a move is under way, or was cut short."""
    return repo.private_dir / _INTENT, repo.private_dir / _STAGE


def stage_of(repo: Repo, intent: Intent) -> Path:
    """Where new and old files are kept while the move is under way."""
    # A name of its own: a git that outlived a killed lifeos may still be writing in the last one.
    return repo.private_dir / _STAGE / intent.nonce


def write_intent(repo: Repo, intent: Intent) -> None:
    """Note it, whole and durably, in place of the one before."""
    target = repo.private_dir / _INTENT
    fresh = target.with_name(f"{_INTENT}.{os.getpid()}")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump({"v": 1, **asdict(intent)}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
    sync_folder(str(repo.private_dir))


def read_intent(repo: Repo) -> Intent | None:
    """The move under way, if there is one. Raises ``Failed`` for one that cannot be read."""
    path = repo.private_dir / _INTENT
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        data = {}
    if data.pop("v", None) != 1:
        raise Failed(
            f"{path} cannot be read: a move of a branch was cut short by another lifeos",
            "look at git status; when the work tree is as you want it, delete that file",
        )
    sites = tuple(
        Site(site["git_dir"], site["path"], tuple(Step(**step) for step in site["steps"]))
        for site in data.pop("sites")
    )
    return Intent(sites=sites, **data)


def forget(repo: Repo) -> None:
    """The move is settled: nothing is left to finish or undo."""
    repo.trace("checkout:before:forget")
    (repo.private_dir / _INTENT).unlink()
    sync_folder(str(repo.private_dir))
    repo.trace("checkout:after:forget")
    clear_stage(repo)


def clear_stage(repo: Repo) -> None:
    """Remove what was kept. Git may still be writing there; the next time it goes for good."""
    shutil.rmtree(repo.private_dir / _STAGE, ignore_errors=True)
