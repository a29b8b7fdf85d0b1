"""cancel and retry: a task's run ends or begins again, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import BOB, TASK, Project, asking, fresh, project
from conftest import EMAIL
from lifeos.core.records import Closed, Noted, Opened, Topic
from lifeos.core.state import RunStatus
from lifeos.model import CloseOutcome, Decision, Stage


@pytest.fixture
def asked(tmp_path: Path) -> Project:
    """A project whose only question is whether to land the work."""
    return project(tmp_path, "asking", asking)


@pytest.fixture
def ended(tmp_path: Path) -> Project:
    """A project whose only run was cancelled."""

    def make(folder: Path) -> Project:
        scene = asking(folder)
        scene.cli("cancel", TASK)
        scene.tick()
        return scene

    return project(tmp_path, "ended", make)


def closed(scene: Project) -> list[CloseOutcome]:
    """How the runs ended, in order."""
    return [one.outcome for one in scene.records() if isinstance(one, Closed)]


# --- cancel -----------------------------------------------------------------------------------


def test_cancel_marks_the_task_in_the_persons_name_and_the_tick_ends_its_run(
    asked: Project,
) -> None:
    """One byte of BACKLOG.md changes on main; the run closes as cancelled, its work is kept."""
    before, text, run = asked.main, asked.at_main("BACKLOG.md"), asked.run()
    said = asked.cli("cancel", TASK, "-m", "not needed any more")
    assert asked.at_main("BACKLOG.md") == text.replace("- [/]", "- [-]")
    assert asked.git("diff", "--name-only", before, "main") == "BACKLOG.md"
    assert asked.author("main") == f"{EMAIL} {EMAIL}"
    assert "not needed any more" in asked.git("show", "--no-patch", "--format=%B", "main")
    assert run.id in said.out
    assert f"refs/lifeos/run/{run.id}" in said.out
    asked.tick()
    assert closed(asked) == [CloseOutcome.CANCELLED]
    assert asked.git("rev-parse", f"refs/lifeos/run/{run.id}^{{tree}}") == run.work
    assert not asked.on_main("docs/guide.md")


def test_cancel_keeps_the_persons_own_edits_of_the_backlog(asked: Project) -> None:
    """A task that is being written stays uncommitted, and the mark is set in both versions."""
    path = asked.folder / "BACKLOG.md"
    path.write_text(path.read_text(encoding="utf-8") + "\n- [ ] mine\n", encoding="utf-8")
    asked.cli("cancel", TASK)
    text = path.read_text(encoding="utf-8")
    assert "- [ ] mine" in text
    assert "- [-]" in text
    assert "mine" not in asked.at_main("BACKLOG.md")


@pytest.mark.parametrize("by", ["run", "title"])
def test_cancel_finds_the_task_by_run_or_title(asked: Project, by: str) -> None:
    """Both name the same task."""
    called = asked.run().id if by == "run" else asked.run().title
    assert asked.cli("cancel", called, "--dry-run", "--json").data["task"] == TASK


def test_cancel_refuses_what_is_unknown_or_over(asked: Project) -> None:
    """No such task; and one that is cancelled already."""
    before = asked.refs()
    assert "lifeos backlog list" in asked.cli("cancel", "LO-zzzzzz", code=2).err
    assert asked.refs() == before
    asked.cli("cancel", TASK)
    assert "cancelled already" in asked.cli("cancel", TASK, code=2).err


def test_cancel_works_before_there_is_a_ledger(tmp_path: Path) -> None:
    """The mark is all there is to set."""
    scene = project(tmp_path, "fresh", fresh)
    said = scene.cli("cancel", TASK)
    assert "no open run" in said.out
    assert f"- [-] **{TASK}**" in scene.at_main("BACKLOG.md")


# --- retry ------------------------------------------------------------------------------------


def test_retry_opens_a_new_run_that_is_not_ended_by_the_old_mark(ended: Project) -> None:
    """The note says who; the tick shows the box open again before it opens the run."""
    ended.cli("retry", TASK)
    note = ended.records()[-1]
    assert isinstance(note, Noted)
    assert (note.topic, note.task, note.stage, note.who) == (
        Topic.RETRY,
        TASK,
        Stage.DESIGN,
        EMAIL,
    )
    ended.tick()
    assert closed(ended) == [CloseOutcome.CANCELLED]
    assert ended.run().status is RunStatus.HELD
    assert f"- [/] **{TASK}**" in ended.at_main("BACKLOG.md")


def test_retry_from_a_stage_takes_over_what_was_made_before_it(ended: Project) -> None:
    """The new run begins at the build, with the design and the plan of the last one."""
    ended.cli("retry", TASK, "--from", "build")
    ended.tick()
    first, second = [one for one in ended.records() if isinstance(one, Opened)]
    assert first.stage is Stage.DESIGN
    assert second.stage is Stage.BUILD
    assert second.design
    assert second.plan


def test_retry_from_a_stage_needs_what_comes_before_it(tmp_path: Path) -> None:
    """A run that was cancelled before its design left nothing to go on from."""
    scene = project(tmp_path, "fresh", fresh)
    scene.cli("cancel", TASK)
    scene.cli("tick", "--quiet")
    text = scene.edit("BACKLOG.md", "- [-]", "- [ ]")
    scene.commit(dict(text))
    assert "never tried" in scene.cli("retry", TASK, code=2).err


def test_retry_refuses_an_open_run_and_a_second_wish(asked: Project) -> None:
    """While a run is open there is nothing to try again; asked once is asked."""
    before = asked.refs()
    said = asked.cli("retry", TASK, code=2)
    assert asked.run().id in said.err
    assert asked.refs() == before
    asked.cli("reject", TASK, "-m", "no")
    asked.tick()
    asked.cli("retry", TASK)
    assert "already" in asked.cli("retry", TASK, code=2).err


def test_retry_refuses_what_is_done(asked: Project) -> None:
    """Work that landed is not done twice; an open box says that it was taken back."""
    asked.cli("approve", TASK)
    asked.tick()
    before = asked.refs()
    said = asked.cli("retry", TASK, code=2)
    assert "is done" in said.err
    assert asked.refs() == before
    asked.commit(dict(asked.edit("BACKLOG.md", "- [x]", "- [ ]")))
    asked.cli("retry", TASK)


def test_retry_dry_run_writes_nothing_and_needs_no_approver(ended: Project) -> None:
    """Whoever can write the ledger may; the record has their address."""
    before = ended.refs()
    assert ended.cli("retry", TASK, "--dry-run", "--json").data["record"] is None
    assert ended.refs() == before
    record = ended.cli("retry", TASK, "--json", email=BOB).data["record"]
    assert record == ended.tip()
    note = ended.records()[-1]
    assert isinstance(note, Noted)
    assert note.who == BOB


def test_a_task_whose_text_changed_after_it_ended_is_opened_again(asked: Project) -> None:
    """lifeos's own mark of the end does not end the new run: it is taken off first."""
    asked.commit(dict(asked.answer(Decision.REJECT, "no")))
    asked.tick()
    assert closed(asked) == [CloseOutcome.REJECTED]
    asked.commit(dict(asked.edit("BACKLOG.md", "risk: low", "risk: medium")))
    asked.tick()
    assert closed(asked) == [CloseOutcome.REJECTED]
    assert asked.run().task == TASK
