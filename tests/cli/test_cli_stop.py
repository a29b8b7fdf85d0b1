"""stop and resume: anyone stops at once; only an approver takes the switch off main."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import BOB, Project, fresh, project
from conftest import EMAIL

STOP = ".lifeos/STOP"


@pytest.fixture
def scene(tmp_path: Path) -> Project:
    """A project with one task, before the first tick."""
    return project(tmp_path, "fresh", fresh)


def opened(scene: Project) -> bool:
    """Whether a tick opens the task's run now."""
    scene.tick()
    return bool(scene.snapshot().runs)


def test_stop_acts_at_once_and_resume_takes_it_away(scene: Project) -> None:
    """Nothing is committed, nothing begins; afterwards it does."""
    before = scene.refs()
    scene.cli("stop", "-m", "lunch")
    assert (scene.folder / STOP).read_text(encoding="utf-8") == "lunch\n"
    assert scene.refs() == before
    assert not opened(scene)
    assert "lifeos resume" in scene.cli("status").out
    said = scene.cli("resume")
    assert str(scene.folder / STOP) in said.out
    assert opened(scene)


def test_stop_reaches_every_work_tree(scene: Project, tmp_path: Path) -> None:
    """A tick may be at work in any of them; the switch set in one stops all, and so it resumes."""
    linked = tmp_path / "linked"
    scene.git("worktree", "add", "--quiet", "-b", "side", str(linked))
    scene.cli("stop", at=linked)
    assert (linked / STOP).exists()
    assert (scene.folder / STOP).exists()
    scene.cli("resume", at=linked)
    assert not (linked / STOP).exists()
    assert not (scene.folder / STOP).exists()


def test_stop_on_main_is_a_commit_in_the_persons_name(scene: Project) -> None:
    """Also by no approver, and after a stop in the work tree alone; the work tree stays clean."""
    before = scene.main
    scene.cli("stop", "-m", "lunch")
    scene.cli("stop", "--commit", email=BOB)
    assert scene.author("main") == f"{BOB} {BOB}"
    assert scene.git("diff", "--name-only", before, "main") == STOP
    assert scene.at_main(STOP) == "lunch"
    assert scene.git("status", "--porcelain") == ""
    again = scene.main
    assert "already" in scene.cli("stop", "--commit").out
    assert scene.main == again


def test_only_an_approver_resumes_what_is_stopped_on_main(scene: Project) -> None:
    """Exit 4, and the switch stays everywhere; the approver's commit takes it away everywhere."""
    scene.cli("stop", "--commit")
    scene.tick()
    before = scene.refs()
    said = scene.cli("resume", code=4, email=BOB)
    assert BOB in said.err
    assert scene.refs() == before
    assert (scene.folder / STOP).exists()
    scene.cli("resume")
    assert scene.author("main") == f"{EMAIL} {EMAIL}"
    assert not scene.on_main(STOP)
    assert not (scene.folder / STOP).exists()
    assert opened(scene)


def test_what_a_stranger_took_off_main_holds_until_an_approver_resumes(scene: Project) -> None:
    """The file is gone, the stop is not; resume makes it so that it counts."""
    scene.cli("stop", "--commit")
    scene.tick()
    scene.commit({STOP: None}, author=BOB, committer=BOB)
    assert not opened(scene)
    assert "STOPPED" in scene.cli("status").out
    scene.cli("resume", code=4, email=BOB)
    scene.cli("resume")
    assert not scene.on_main(STOP)
    assert opened(scene)


def test_stop_and_resume_need_no_setup(repo: Path, tmp_path: Path) -> None:
    """The kill switch works in any repository; twice is no error."""
    scene = Project(repo)
    scene.cli("stop", "--json")
    assert scene.cli("stop", "--json").data["there"] == [str(repo / STOP)]
    assert scene.cli("resume", "--json").data["files"] == [str(repo / STOP)]
    assert "not stopped" in scene.cli("resume").out
    assert "git init" in scene.cli("stop", at=tmp_path, code=2).err
