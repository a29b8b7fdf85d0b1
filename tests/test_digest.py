"""The daily sum: sent once a day by the first tick after its hour, and by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import EPOCH
from lifeos.idle import idle_line
from loop_scene import BACKLOG, Settings
from test_notify import BLOCKS, NOTES, NOTHING, Listener, listener, project, rules, tick

__all__ = ["listener"]
HOUR = 3600
DAY = 24 * HOUR
MORNING = EPOCH + 7 * HOUR
"""Of the day on which the scenes begin, before three in the morning."""


def test_it_is_sent_once_a_day_by_the_first_tick_after_the_hour(
    tmp_path: Path, listener: Listener
) -> None:
    """Not before; not twice; an idle note ends in time for it; and again on the next day."""
    scene = project(tmp_path, rules(listener))
    tick(scene)
    assert listener.notices("digest") == []
    scene.now = MORNING - 60
    assert idle_line(str(scene.folder), scene.now) != ""
    scene.commit({"notes.txt": "before the hour\n"})
    scene.now = MORNING - 30
    tick(scene)
    assert listener.notices("digest") == []
    for day in (1, 2):  # the first is that of the scene
        scene.now = MORNING + (day - 1) * DAY + 5
        assert idle_line(str(scene.folder), scene.now) == ""
        tick(scene)
        assert idle_line(str(scene.folder), scene.now) != ""
        scene.commit({"notes.txt": f"day {day}\n"})
        tick(scene)
        assert len(listener.notices("digest")) == day
    first = listener.notices("digest")[0]
    assert first["title"] == "repo: 1 question waits for you"
    assert f"{scene.item().id}, 4 h: Say hello in the guide (LO-aaaaaa)" in first["text"]
    assert "spent: $0.00 of $50.00 today" in first["text"]


@pytest.mark.parametrize(
    ("changed", "sent"),
    [({}, 1), ({"digest": {"hour": 9}}, 0), ({"on": ["waits", "blocked"]}, 0)],
    ids=["as by default", "another hour", "not wanted"],
)
def test_its_hour_and_whether_it_is_sent_is_a_setting(
    tmp_path: Path, listener: Listener, changed: dict[str, object], sent: int
) -> None:
    """At half past seven."""
    scene = project(tmp_path, rules(listener, **changed))
    tick(scene)
    scene.now = MORNING + HOUR // 2
    tick(scene)
    assert len(listener.notices("digest")) == sent


def test_where_nothing_happened_and_nothing_waits_none_is_sent(
    tmp_path: Path, listener: Listener
) -> None:
    """The day after what landed is told; the day after that there is nothing to tell."""
    scene = project(tmp_path, {**rules(listener), "loop.autonomy": "full"})
    tick(scene)
    for _ in range(3):
        scene.now += DAY
        tick(scene)
    (notice,) = listener.notices("digest")
    assert "landed: 1\n- Say hello in the guide (LO-aaaaaa)" in notice["text"]
    assert [each["outcome"] for each in notice["ended"]] == ["pass"]


def test_a_failing_channel_gets_it_later(tmp_path: Path, listener: Listener) -> None:
    """What was not delivered in the morning is due until it is."""
    settings: Settings = {**rules(listener), **BLOCKS}
    scene = project(tmp_path, settings, NOTHING)
    tick(scene)
    listener.then("sys.exit(1)")
    scene.now = MORNING + 5
    assert len(tick(scene).told.problems) == 1
    listener.then("")
    scene.now += HOUR
    tick(scene)
    tick(scene)
    digests = listener.notices("digest")
    assert len(digests) == 2  # one that failed, one that did not
    assert (
        "blocked: 1\n- Say hello in the guide (LO-aaaaaa): no_change at build"
        in (digests[1]["text"])
    )


def test_by_hand_it_is_shown_and_sent_only_if_asked(tmp_path: Path, listener: Listener) -> None:
    """For people and programs, the whole of it; `--send` shows whether notices arrive."""
    scene = project(tmp_path, rules(listener, on=["digest"]))
    scene.cli("digest", code=2)  # there is no ledger yet
    scene.cli("tick")
    item = scene.item().id
    shown = scene.cli("digest")
    assert f"- {item}, new: Say hello in the guide (LO-aaaaaa)" in shown.out
    assert shown.out.endswith("next: lifeos queue\n")
    data = scene.cli("digest", "--json").data
    assert [each["item"] for each in data["waiting"]] == [item]
    assert data["spent"] == {
        "today": 0.0, "month": 0.0, "today_limit": 50.0, "month_limit": 500.0
    }  # fmt: skip
    assert listener.heard() == []
    assert "sent: command" in scene.cli("digest", "--send").out
    assert [notice["occasion"] for notice in listener.notices()] == ["digest"]
    listener.then("sys.exit(3)")
    failed = scene.cli("digest", "--send", "--json", code=1)
    assert failed.data["problems"] == ["command: it ended with 3"]
    assert "not sent: command: it ended with 3" in failed.err


def test_a_machine_that_remembers_nothing_sends_it_if_it_says_something(
    tmp_path: Path, listener: Listener
) -> None:
    """As the workflow's job does it. Nothing that it prints is a command there."""
    daily = ("digest", "--send", "--skip-empty")
    scene = project(tmp_path, rules(listener, on=["digest"]), "# Backlog\n")
    scene.cli("tick", CI="true")
    assert "nothing was sent" in scene.cli(*daily, CI="true").err
    assert listener.heard() == []
    scene.commit({"BACKLOG.md": BACKLOG})
    scene.cli("tick", CI="true")
    said = scene.cli(*daily, CI="true", GITHUB_ACTIONS="true")
    assert "Say hello in the guide (LO-aaaaaa)" in said.out
    first, *_, last = said.err.strip().split("\n")
    assert first.startswith("::stop-commands::")
    assert last == f"::{first.rpartition('::')[2]}::"
    assert [notice["occasion"] for notice in listener.notices()] == ["digest"]
    listener.then("sys.exit(3)")
    said = scene.cli(*daily, code=1, CI="true", GITHUB_ACTIONS="true")
    assert said.err.endswith("::error title=lifeos::not sent: command: it ended with 3\n")
    assert "--send" in scene.cli("digest", "--skip-empty", code=2).err


def test_a_run_that_rests_is_in_it_and_why(tmp_path: Path, listener: Listener) -> None:
    """Paused by a red check on main: until when, and what for."""
    check = {"name": "works", "run": "false", "kind": "test", "reruns": 0}
    scene = project(tmp_path, {**rules(listener), "config.checks": [check]})
    tick(scene)
    scene.now = MORNING + 5
    tick(scene)
    (notice,) = listener.notices("digest")
    assert "rests: 1\n- Say hello in the guide (LO-aaaaaa) at design until" in notice["text"]
    assert "base_red at design" in notice["text"]


def test_what_a_schema_says_is_what_is_sent(tmp_path: Path, listener: Listener) -> None:
    """`lifeos schema notice` names exactly what a command is given."""
    scene = project(tmp_path, rules(listener))
    tick(scene)
    schema = json.loads(scene.cli("schema", "notice").out)
    (heard,) = listener.heard()
    assert heard["notice"].keys() == schema["properties"].keys()
    assert heard["notice"]["data"].keys() == schema["properties"]["data"]["properties"].keys()
    assert scene.cli("digest", "--json").data.keys() == (
        json.loads(scene.cli("schema", "digest").out)["properties"]["data"]["properties"].keys()
    )


def test_idle_ticks_stay_idle_once_everything_is_told(tmp_path: Path, listener: Listener) -> None:
    """The command itself: nothing is imported again before something is due."""
    scene = project(tmp_path, rules(listener))
    scene.cli("tick")
    before = (scene.folder / NOTES).stat().st_mtime_ns
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lifeos", "tick"],
        cwd=scene.folder, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "pydantic" not in done.stderr
    assert scene.item().id in done.stdout
    assert (scene.folder / NOTES).stat().st_mtime_ns == before
