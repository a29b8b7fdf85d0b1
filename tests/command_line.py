"""The real command line in a process of its own, on a real repository."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import warm
from loop_scene import TASK, Scene, begin_scene

BOB = "bob@example.invalid"
"""Somebody who is no approver."""


class Said:
    """What a command said, and its exit code."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        assert self.code != 3, done.stderr

    @property
    def data(self) -> Any:
        """The data of ``--json``."""
        return json.loads(self.out)["data"]


class Project(Scene):
    """A scene whose person uses the command line."""

    def cli(
        self, *args: str, at: Path | None = None, code: int | None = 0, email: str = "", **env: str
    ) -> Said:
        """Run lifeos in the repository, or at a folder. ``code`` None: any exit code."""
        who = {f"GIT_{role}_EMAIL": email for role in ("AUTHOR", "COMMITTER") if email}
        # The commits of a test are of now: a question asked in the past would have expired.
        moment = f"{int(time.time())} +0000"
        dates = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        done = warm.run(args, at or self.folder, {**os.environ, **dates, **who, **env})
        said = Said(done)
        assert code is None or said.code == code, f"{args}: {said.code}\n{said.out}{said.err}"
        self.now = max(self.now, int(time.time()))
        return said

    @property
    def main(self) -> str:
        """The commit that main is at."""
        return self.git("rev-parse", "refs/heads/main")

    def refs(self) -> str:
        """Every reference, to see that nothing moved."""
        return self.git("for-each-ref")

    def author(self, commit: str) -> str:
        """Author and committer of a commit, by address."""
        return self.git("show", "--no-patch", "--format=%ae %ce", commit)


_MADE: dict[str, Project] = {}
_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def project(
    folder: Path,
    name: str,
    make: Callable[[Path], Project],
) -> Project:
    """A copy of the project of this name in ``folder / "repo"``; made when first asked for."""
    if name not in _MADE:
        # In a place of this process: what is below a test's own folder may go when it has passed.
        place = tempfile.TemporaryDirectory(prefix=f"lifeos-{name}-")
        _KEPT.append(place)
        _MADE[name] = make(Path(place.name) / "template")
    made = _MADE[name]
    copied = made.copy(folder / "repo")
    return Project(copied.folder, copied.now, copied.nonces)


def made_beside(name: str, what: str) -> Path:
    """What was made together with the project of this name, in a folder next to it."""
    made = _MADE[name].folder
    return made.with_name(f"{made.name}-{what}")


def fresh(folder: Path) -> Project:
    """Set up, with one task on main, before the first tick."""
    scene = begin_scene(folder)
    return Project(folder, int(time.time()) - 600, scene.nonces)


def asking(folder: Path) -> Project:
    """The work is done, and the CEO is asked whether to land it."""
    scene = fresh(folder)
    scene.tick()
    assert [item.rule for item in scene.snapshot().items.values()] == ["autonomy:supervised"]
    return scene


__all__ = ["BOB", "TASK", "Project", "Said", "asking", "fresh", "made_beside", "project"]
