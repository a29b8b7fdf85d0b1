"""What a person sees while attempts run: what the agent does, what it and the day have cost.

Costs that nobody told are named as the estimates that they are, there and wherever a run's cost is
shown.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from command_line import Project
from lifeos.core.policy.envelope import AgentLimits
from lifeos.core.state import Snapshot, Spend
from lifeos.model import ItemKind, Usage
from lifeos.proxy import Allowance, Meter
from lifeos.tick.context import Limits
from lifeos.tick.purse import Purse
from loop_scene import Scene, Settings
from scripted_model import ScriptedModel, Step, Turn, steps, tool
from scripted_team import Team
from test_agents_in_the_loop import BACKLOG, DONE, HELLO, team_scene

pytestmark = pytest.mark.sandbox

LOOK = tool("bash", command="ls /work/src")
DEAR: Settings = {
    "config.models": {
        "main": {"provider": "team", "id": "m", "price": {"input": 100.0, "output": 100.0}}
    },
    "loop.budgets.reserve_per_attempt": 9.0,
    "loop.budgets.cost_per_run": 50.0,
    "loop.budgets.cost_per_day": 40.0,
}
LINE = re.compile(r"(\w*):? *    (\w+): .*  \((.*)\)$")


def lines(scene: Scene) -> list[str]:
    """What each line about a tool says in its brackets."""
    return [found[3] for found in map(LINE.search, scene.said) if found]


def test_each_line_says_the_tokens_and_cost_so_far_and_those_of_the_day(tmp_path: Path) -> None:
    """Of the attempt, from its first call on; the day also has what is recorded."""
    attempts: list[int] = []

    def builder(turn: Turn) -> Step:
        if turn.called == 0:
            attempts.append(len(attempts))
            return LOOK.using(1000, 100)
        if turn.called == 1 and len(attempts) == 2:
            return HELLO.using(2000, 100)
        return DONE.using(1000, 100)

    with ScriptedModel(Team(builder)) as model:
        scene = team_scene(tmp_path, model, DEAR)
        scene.tick()
    assert lines(scene) == [
        "1,100 tokens, $0.11; today $0.11 of $40.00",
        "1,100 tokens, $0.11; today $0.33 of $40.00",  # $0.22 of the attempt that failed
        "3,200 tokens, $0.32; today $0.54 of $40.00",
    ]


def test_the_day_has_what_the_attempts_beside_it_have_spent(tmp_path: Path) -> None:
    """Two runs at once: while neither is recorded, each line has the cost of both."""
    first_told, second_told = threading.Event(), threading.Event()

    def builder(turn: Turn) -> Step:
        mine, other = first_told, second_told
        path = "/work/src/say.txt"
        if "LO-bbbbbb" in turn.user:
            mine, other, path = second_told, first_told, "/work/lib/say.txt"
            if turn.called == 0:
                assert other.wait(60)
        if turn.called == 0:
            return LOOK.using(1000, 100)
        mine.set()  # what it did first was told: it asks on
        assert other.wait(60)
        if turn.called == 1:
            return tool("write", filePath=path, content="hello\n").using(1000, 100)
        return DONE.using(1000, 100)

    other = BACKLOG.partition("\n\n")[2].replace("LO-aaaaaa", "LO-bbbbbb").replace("src/", "lib/")
    with ScriptedModel(Team(builder)) as model:
        scene = team_scene(tmp_path, model, DEAR)
        scene.commit({"BACKLOG.md": BACKLOG + "\n" + other, "lib/old.txt": "old\n"})
        scene.tick(Limits(jobs=2))
    assert model.faults == []
    told = [line.partition("; ")[2] for line in lines(scene)]
    assert told[:2] == ["today $0.11 of $40.00", "today $0.22 of $40.00"]
    assert len(told) == 4
    assert scene.snapshot().spend.day_cost == pytest.approx(0.66)


class Counted(Meter):
    """A meter that has counted a dollar."""

    @property
    def usage(self) -> Usage:
        """One dollar."""
        return Usage(cost=1.0)


def test_what_is_recorded_is_not_counted_again() -> None:
    """Its meter may still be there; without an open claim, the ledger has what it counted."""
    meter = Counted(Allowance(AgentLimits(), 1, 1.0))
    recorded = Snapshot(spend=Spend(day="1970-01-01", day_cost=1.0))
    assert Purse({"n": meter}, lambda: recorded).today(5).cost == 1.0
    assert Purse({"n": meter}, lambda: recorded).today(86_400).cost == 0.0


def test_an_estimated_cost_is_called_one(tmp_path: Path) -> None:
    """In the live line, in the pending file, in `status` and in `show`."""
    unpriced: Settings = {
        **DEAR,
        "config.models": {"main": {"provider": "team", "id": "m"}},
        "envelope.agent.unknown_price": "estimate",
    }
    script = steps(LOOK.using(1000, 100), HELLO.using(1000, 100), DONE.using(1000, 100))
    with ScriptedModel(Team(script)) as model:
        scene = team_scene(tmp_path, model, unpriced)
        scene.tick()
    first, second = lines(scene)
    assert first == "1,100 tokens, about $0.02, estimated; today about $0.02 of $40.00"
    assert second == "2,200 tokens, about $0.04, estimated; today about $0.04 of $40.00"
    item = scene.item()
    assert item.kind is ItemKind.STAGE_REVIEW
    about = "about $0.07, estimated"
    pending = scene.at_main(f".lifeos/queue/{item.id}.md").replace("\\", "")
    assert f"3300 tokens, {about}" in pending, pending
    project = Project(scene.folder, scene.now, scene.nonces, dict(scene.environ))
    assert about in project.cli("status").out
    assert about in project.cli("show", scene.run().id).out


def test_a_cost_that_is_known_is_not_called_an_estimate(tmp_path: Path) -> None:
    """The price of the configuration is one that somebody told."""
    with ScriptedModel(Team(steps(HELLO.using(1000, 100), DONE.using(1000, 100)))) as model:
        scene = team_scene(tmp_path, model, DEAR)
        scene.tick()
    project = Project(scene.folder, scene.now, scene.nonces, dict(scene.environ))
    said = project.cli("status").out
    assert "$0.22" in said
    assert "estimated" not in said + project.cli("show", scene.run().id).out
