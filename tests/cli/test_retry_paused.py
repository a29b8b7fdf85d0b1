"""``lifeos retry`` lets a run that waits go on before its time."""

from __future__ import annotations

import time
from pathlib import Path

from command_line import TASK, Project
from lifeos.core.records import Claimed, Noted, Topic
from lifeos.core.state import RunStatus
from loop_scene import begin_scene

RED = {"name": "tests", "run": "test -e mended", "kind": "test"}


def paused(folder: Path) -> Project:
    """Main itself fails its check: the run waits an hour, or for main to move."""
    scene = begin_scene(folder / "repo", {"config.checks": [RED]})
    made = Project(scene.folder, int(time.time()) - 600, scene.nonces)
    made.cli("tick")
    assert made.run().status is RunStatus.PAUSED
    return made


def claims(project: Project) -> int:
    """How many attempts were begun."""
    return sum(isinstance(record, Claimed) for record in project.records())


def test_a_paused_run_goes_on_at_the_next_tick(tmp_path: Path) -> None:
    """Without it a tick only waits; with it one more attempt is made, and who asked is recorded."""
    project = paused(tmp_path)
    said = project.cli("tick").out
    assert f"lifeos retry {TASK}" in said
    before = claims(project)
    assert project.run().status is RunStatus.PAUSED
    assert "would go on" in project.cli("retry", TASK, "--dry-run").out
    assert project.run().status is RunStatus.PAUSED
    assert "will go on at" in project.cli("retry", TASK).out
    assert project.run().status is RunStatus.READY
    (note,) = [r for r in project.records() if isinstance(r, Noted) and r.topic is Topic.WOKEN]
    assert note.who
    project.cli("tick")
    assert claims(project) == before + 1
    project.cli("verify")


def test_what_stop_holds_is_not_woken(tmp_path: Path) -> None:
    """The kill switch is not for this command to end: the run stays as it is."""
    project = paused(tmp_path)
    project.cli("retry", TASK)
    assert "has an open run" in project.cli("retry", TASK, code=2).err
