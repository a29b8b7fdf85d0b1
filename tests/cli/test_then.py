"""``status``, ``next`` and ``report`` with ``--at``: as it was then, and nothing of now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from command_line import TASK, Project, project
from lifeos.core.records import Claimed, Closed, Held, Noted, Opened, Resolved, Topic
from lifeos.model import Decision
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.then import main_then
from loop_scene import BACKLOG, begin_scene

SECOND = BACKLOG.partition("## P0\n\n")[2].replace("LO-aaaaaa", "LO-bbbbbb").replace("guide", "faq")
NOW = ("past", "uncommitted", "untold", "not_pushed", "behind")
"""What may differ between a look then and a look back."""


def told(folder: Path) -> Project:
    """A run was asked about, sent back, and landed; then rules and tasks changed."""
    begun = begin_scene(folder)
    scene = Project(folder, begun.now, begun.nonces)
    scene.tick()
    scene.commit(dict(scene.answer(Decision.REVISE, "say it louder")))
    scene.tick()
    scene.commit(dict(scene.answer()))
    scene.tick()
    scene.commit(scene.edit("policies/loop.yaml", "tasks_per_tick: 10", "tasks_per_tick: 9"))
    scene.commit({"BACKLOG.md": f"{scene.at_main('BACKLOG.md')}\n\n{SECOND}"})
    return scene


@pytest.fixture
def scene(tmp_path: Path) -> Project:
    """A repository with some history, looked at by the command line."""
    return project(tmp_path, "then", told)


def looks(scene: Project) -> list[tuple[str, Any, Any]]:
    """What was seen at the time: after each step the commit of main, `status` and `next`."""
    return [
        (
            scene.main,
            scene.cli("status", "--json").data,
            scene.cli("next", "--explain", "--json").data,
        )
    ]


def test_a_look_back_is_what_was_seen_then(tmp_path: Path) -> None:
    """After each tick people look; much later, looking back at that main, they see the same."""
    begun = begin_scene(tmp_path / "repo")
    scene = Project(begun.folder, begun.now, begun.nonces)
    seen = []
    scene.tick()
    seen += looks(scene)
    scene.commit(dict(scene.answer(Decision.REVISE, "say it louder")))
    scene.tick()
    seen += looks(scene)
    scene.commit(dict(scene.answer()))
    scene.tick()
    scene.commit(scene.edit("policies/loop.yaml", "tasks_per_tick: 10", "tasks_per_tick: 9"))
    scene.commit({"BACKLOG.md": f"{scene.at_main('BACKLOG.md')}\n\n{SECOND}", ".lifeos/STOP": ""})
    scene.tick()
    for main, status, following in seen:
        back = scene.cli("status", "--at", main, "--json").data
        assert back["past"]
        assert not status["past"]
        for data in (status, back):
            for key in NOW:
                data.pop(key)
        assert back == status
        again = scene.cli("next", "--explain", "--at", main, "--json").data
        assert again.pop("past")
        assert following.pop("past") is False
        assert again == following


def test_nothing_of_now_shows(scene: Project) -> None:
    """Not STOP, nor what is not committed, nor whether a worker is gone by now."""
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        entries = list(ledger.entries())
    claimed = next(e.commit for e in entries if isinstance(e.record, Claimed))
    scene.write({".lifeos/STOP": "", "BACKLOG.md": "mine\n", "policies/loop.yaml": "mine\n"})
    now = scene.cli("status", "--json").data
    assert now["stopped"]
    assert now["uncommitted"]["files"]
    then = scene.cli("status", "--at", claimed, "--json").data
    (run,) = then["runs"]
    assert (run["status"], run["cut_off"]) == ("claimed", False)
    assert (then["stopped"], then["uncommitted"]["files"], then["ended"]) == ([], [], [])
    assert then["rules"]["adopted"] == now["rules"]["adopted"]
    page = scene.cli("status", "--at", claimed).out
    assert "As it was at 2025-01-01 " in page
    assert "running" in page
    assert "next:" not in page
    assert "STOP" not in page
    assert not scene.cli("next", "--at", claimed, "--json").data["stopped"]


def test_the_main_that_was_decided_on(scene: Project) -> None:
    """What each transition was about; between those, the last one that lifeos had looked at."""
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        last = ""
        looked_at = []
        for entry in ledger.entries():
            record = entry.record
            found = main_then(Ledger.at(repo, entry.commit), scene.main)
            assert found is not None
            match record:
                case Opened():
                    assert found == record.base
                case Resolved() | Held():
                    assert found == record.main
                case Closed():
                    assert found == record.landed
                case _:
                    pass
            if last and found != last:
                scene.git("merge-base", "--is-ancestor", last, found)
                looked_at.append(found)
            last = found
    assert len(looked_at) >= 3


def test_lifeos_own_commit_that_no_record_names(tmp_path: Path) -> None:
    """It was made after the transition that it names, and before the next one."""
    begun = begin_scene(tmp_path / "repo")
    scene = Project(begun.folder, begun.now, begun.nonces)
    scene.tick()
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        assert main_then(ledger, scene.main) == scene.git("rev-parse", "main~1")
        at = ledger.snapshot.at
        ledger.append(Noted(at=at, topic=Topic.RETRY, task="LO-bbbbbb"))
        assert main_then(ledger, scene.main) == scene.main


def test_the_rules_of_then(scene: Project) -> None:
    """The limits and the sets are those that were adopted, not today's."""
    first = scene.cli("status", "--json").data["rules"]["adopted"]
    before = scene.tip()
    change = scene.edit("policies/loop.yaml", "cost_per_day: 50.0", "cost_per_day: 7.0")
    scene.commit(change)
    scene.tick()
    now = scene.cli("status", "--json").data
    then = scene.cli("status", "--at", before, "--json").data
    assert now["spend"]["today_limit"] == 7.0
    assert then["spend"]["today_limit"] == 50.0
    assert (then["rules"]["adopted"], then["rules"]["state"]) == (first, "adopted")
    assert now["rules"]["adopted"] != first


def test_the_next_task_of_then(scene: Project) -> None:
    """Before it was written there was no second task, and the first one was still to be done."""
    steps = scene.git("log", "--reverse", "--format=%H", "lifeos/ledger").splitlines()
    then = scene.cli("next", "--at", steps[0], "--json").data
    assert then["next"]["id"] == TASK
    assert scene.cli("next", "--json").data["next"]["id"] == "LO-bbbbbb"
    assert "as it was, with main at " in scene.cli("next", "--at", steps[0]).out


def test_the_report_shows_the_main_that_status_shows(scene: Project) -> None:
    """One rule for all that look back: the same transition, and the same commit of main."""
    scene.commit({".lifeos/STOP": ""})
    scene.tick()
    halted = scene.main
    scene.git("rm", "--quiet", ".lifeos/STOP")
    scene.commit({})
    scene.tick()
    transitions = scene.git("log", "--reverse", "--format=%H", "lifeos/ledger").splitlines()
    # A question's commit on main comes after its transition: where two rules would part.
    held = scene.git("log", "-1", "--format=%H", "--grep=^hold ", "lifeos/ledger")
    shows = scene.git("log", "-1", "--format=%H", f"--grep=Lifeos-Ledger: {held}", "main")
    seen = set()
    for name in (transitions[0], held, shows, "main~2", "main", halted, "2025-06-01"):
        status = scene.cli("status", "--at", name, "--json").data
        report = scene.cli("report", "--at", name, "--json").data
        for key in ("main", "ledger", "at", "past"):
            assert report[key] == status[key], (name, key)
        assert report["stopped"] is bool(status["stopped"]), name
        seen.add((status["ledger"] == held, status["main"] == shows, report["stopped"]))
    assert {(True, False, False), (True, True, False), (False, False, True)} <= seen


def test_a_main_that_the_ledger_does_not_know(scene: Project) -> None:
    """Where main was replaced nobody can say what it was."""
    scene.git("checkout", "--quiet", "--orphan", "other")
    scene.commit({})
    scene.git("branch", "--force", "main", "other")
    for command in ("status", "report"):
        said = scene.cli(command, "--at", "lifeos/ledger~3", code=2)
        assert "cannot be told" in said.err


@pytest.mark.parametrize("text", ["nope", "--json", "2020-01-01"])
def test_what_is_no_moment(scene: Project, text: str) -> None:
    """Exit 2, with the next action."""
    for command in ("status", "next", "report"):
        assert "fix:" in scene.cli(command, f"--at={text}", code=2).err
