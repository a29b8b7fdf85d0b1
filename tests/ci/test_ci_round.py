"""A task from the backlog to its landing by the four parts of `lifeos ci`, in separate clones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_scene import Works
from command_line import TASK, Project, project
from lifeos.core.records import Closed
from lifeos.model import CloseOutcome
from loop_scene import begin_scene

CHECKS = [
    {"name": "fast", "run": "! grep -q broken README.md", "kind": "test", "fast": True},
    {"name": "slow", "run": "! grep -rq broken docs 2>/dev/null", "kind": "lint", "fast": False},
]


def checked(folder: Path) -> Project:
    """One task, two checks, and nobody who has to be asked."""
    settings = {"config.checks": CHECKS, "loop.autonomy": "full"}
    scene = begin_scene(folder, settings, {"docs/old.md": "old\n"})
    return Project(folder, scene.now, scene.nonces)


def works(tmp_path: Path, name: str = "ci") -> Works:
    """A project with one task and two checks."""
    return Works(project(tmp_path, name, checked), tmp_path)


@pytest.mark.long  # every part of it is in test_ci_batch and test_ci_remote, and act runs all
def test_a_task_goes_from_the_backlog_to_its_landing_over_three_clones(tmp_path: Path) -> None:
    """Each stage is claimed here, carried out in a clone, checked in another, and recorded here."""
    scene = works(tmp_path)
    stages: list[str] = []
    while len(stages) < 12:
        now = scene.round()
        if not now:
            break
        stages += now
    assert stages == ["design", "design_review", "plan", "plan_review", "build", "build_review"]
    assert scene.project.at_main("docs/guide.md") == "hello"
    closed = [r for r in scene.project.records() if isinstance(r, Closed)]
    assert [end.outcome for end in closed] == [CloseOutcome.PASS]
    assert "[x]" in scene.project.at_main("BACKLOG.md")
    scene.project.cli("verify")
    build = next(r for r in scene.finished() if r.stage == "build")
    assert build.facts is not None
    assert [(c.name, c.status) for c in build.facts.checks] == [
        ("fast", "passed"),
        ("slow", "passed"),
    ]
    assert TASK in scene.project.cli("log").out
