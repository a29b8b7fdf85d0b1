"""What the loop makes of agents with a model: what they begin on, what stops them, what they cost.

The agent is the small stand-in, behind the real sandbox and the real proxy; the loop is real.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifeos.core.records import Claimed, Finished, Held
from lifeos.core.state import RunStatus
from lifeos.model import FailureClass, ItemKind, Stage
from lifeos.tick.context import Limits
from loop_scene import Scene, Settings, begin_scene
from scripted_model import ScriptedModel, Step, Turn, error, steps, text, tool
from scripted_team import Team, design, finding, plan, verdict

pytestmark = pytest.mark.sandbox

STAND_IN = Path(__file__).parent / "agents/stand_in.py"
KEY = "k-0123456789abcdef"
BACKLOG = """\
# Backlog

- [ ] **LO-aaaaaa** Say hello in the code
  - scope: `src/**`
  - risk: low

  It is to say hello.

  Acceptance:
  - [ ] it says hello: `grep -q hello src/say.txt`
"""
HELLO = tool("write", filePath="/work/src/say.txt", content="hello\n")
DONE = text("Done.")
ALL = dict.fromkeys(("design", "plan", "build", "review"), "command")
ONE_SEAT = {"council.modes.M1": ["unified"], "council.technical_for_code": False}


def team_scene(
    folder: Path, model: ScriptedModel, settings: Settings, agents: dict[str, str] | None = None
) -> Scene:
    """A repository whose agents are the stand-in, before its first tick."""
    tools = folder / "tools"
    (tools / "bin").mkdir(parents=True)
    program = tools / "bin/stand-in"
    program.write_bytes(b"#!/usr/bin/env python3\n" + STAND_IN.read_bytes())
    program.chmod(0o755)
    price = {"input": 1.0, "output": 1.0}
    rules: dict[str, Any] = {
        "config.sandbox": "bwrap",
        "config.agents": {"design": "recipe", "plan": "recipe", "build": "command"}
        | {"review": "recipe"}
        | (agents or {}),
        "config.providers": {"team": {"url": model.url, "key_env": "TEAM_KEY"}},
        "config.models": {"main": {"provider": "team", "id": "m", "price": price}},
        "config.command": {
            "run": "stand-in",
            "tools": [str(tools)],
        },
        **settings,
    }
    scene = begin_scene(folder / "repository", rules, {"src/old.txt": "old\n"}, BACKLOG)
    scene.environ["TEAM_KEY"] = KEY
    return scene


def outcomes(scene: Scene, *stages: Stage) -> list[tuple[str, str]]:
    """What came of the attempts at these stages, and what was decided."""
    found = [r for r in scene.records() if isinstance(r, Finished) and r.stage in stages]
    return [(str(r.facts.outcome), r.action.value) for r in found if r.facts]


def seen(turn: Turn) -> Step:
    """Look at what is there, then say hello."""
    return steps(tool("bash", command="ls /work/src"), HELLO, DONE)(turn)


def test_a_retry_goes_on_and_a_new_plan_begins_on_the_base(tmp_path: Path) -> None:
    """Work that failed a check is mended; after a rework by way of the plan it is built afresh."""
    found: list[str] = []

    def builder(turn: Turn) -> Step:
        attempt = len(found)
        if turn.called == 0:
            return tool("bash", command="ls /work/src | tr '\\n' ' '")
        if turn.called == 1:
            found.append(turn.results[0].split("\n")[-1].strip())
            path = f"/work/src/{'say' if attempt else 'half'}.txt"
            return tool("write", filePath=path, content="hello\n")
        return DONE

    reviews: list[str] = []

    def seat(turn: Turn) -> Step:
        if "changes.diff" not in turn.user:
            return verdict(turn)
        reviews.append("build")
        wrong = finding("src/say.txt", 1, "hello")
        return verdict(turn, "revise", findings=[wrong]) if len(reviews) == 1 else verdict(turn)

    team = Team(builder, ("src/**",), {"seat_unified": seat})
    with ScriptedModel(team) as model:
        scene = team_scene(tmp_path, model, ONE_SEAT, {"review": "command"})
        scene.tick()
    assert model.faults == []
    assert outcomes(scene, Stage.BUILD, Stage.BUILD_REVIEW) == [
        ("test_failure", "retry"),
        ("ok", "advance"),
        ("revise", "rework"),
        ("ok", "advance"),
        ("accept", "advance"),
    ]
    assert found == ["old.txt", "half.txt old.txt", "old.txt"]


def test_without_its_key_nothing_is_begun_and_with_it_everything_is(tmp_path: Path) -> None:
    """It is said what to do; no run is opened, no attempt is claimed, nothing has failed."""
    with ScriptedModel(Team(seen)) as model:
        scene = team_scene(tmp_path, model, {})
        del scene.environ["TEAM_KEY"]
        report = scene.tick()
        assert any("TEAM_KEY is not set" in str(problem) for problem in report.problems)
        assert not scene.snapshot().runs
        assert model.requests == []
        scene.environ["TEAM_KEY"] = KEY
        assert not scene.tick().problems
    assert scene.item().kind is ItemKind.STAGE_REVIEW


@pytest.mark.parametrize("status", [401, 404, 429, 503])
def test_a_provider_that_refuses_pauses_the_run_and_ends_nothing(
    tmp_path: Path, status: int
) -> None:
    """Whatever the reason: the task is not to blame. It goes on when the provider answers again."""
    refuses = [True]

    def builder(turn: Turn) -> Step:
        if refuses[0]:
            return error(status, headers={"retry-after": "600"})
        return seen(turn)

    with ScriptedModel(Team(builder)) as model:
        scene = team_scene(tmp_path, model, {})
        scene.tick()
        run = scene.run()
        assert run.status is RunStatus.PAUSED
        assert run.wake
        assert run.wake.at
        assert run.failures == {FailureClass.QUOTA: 1}
        assert run.stage_attempts.get(Stage.BUILD, 0) == 0
        refuses[0] = False
        scene.tick()
        assert scene.run().status is RunStatus.PAUSED
        scene.now = run.wake.at + 1
        scene.tick()
    assert scene.item().kind is ItemKind.STAGE_REVIEW


def test_how_long_a_refusal_pauses_is_the_policys_where_the_provider_does_not_say(
    tmp_path: Path,
) -> None:
    """The backoff of `quota`, to the second."""
    settings = {"loop.routing.quota": {"retries": 0, "backoff": 7777, "then": "pause"}}
    with ScriptedModel(Team(lambda _turn: error(401))) as model:
        scene = team_scene(tmp_path, model, settings)
        scene.tick()
    last = [record for record in scene.records() if isinstance(record, Finished)][-1]
    assert last.wake
    assert last.wake.at == last.at + 7777


def test_what_an_attempt_may_cost_is_asked_and_a_grant_lets_it_cost_as_much_again(
    tmp_path: Path,
) -> None:
    """An attempt is ended where its reservation ends; the person's grant is what lets it go on."""
    settings = {"loop.budgets.reserve_per_attempt": 0.02, "loop.budgets.cost_per_run": 5.0}
    with ScriptedModel(Team(lambda turn: seen(turn).using(8000, 100))) as model:
        scene = team_scene(tmp_path, model, settings)
        scene.tick()
        item = scene.item()
        assert item.kind is ItemKind.BUDGET, item
        spent = scene.snapshot().spend.day_cost
        assert 0 < spent <= 0.02
        while scene.item().kind is ItemKind.BUDGET:
            scene.commit(scene.answer())
            scene.tick()
    assert scene.item().kind is ItemKind.STAGE_REVIEW
    claims = [r for r in scene.records() if isinstance(r, Claimed) and r.stage is Stage.BUILD]
    reserved = [claim.reserved for claim in claims]
    assert reserved == sorted(reserved)
    assert reserved[-1] > 0.02


def test_a_seat_that_gives_no_verdict_blocks_until_a_person_lets_it_go(tmp_path: Path) -> None:
    """Then the council sits without it, and its other seats still decide."""
    modes = {"council.modes.M1": ["chair", "risk"], "council.technical_for_code": False}
    routing = {"retries": 0, "then": "waive"}
    settings: Settings = {
        **modes,
        "loop.routing.validation_error": routing,
        "loop.waivers.classes": ["validation_error"],
    }
    team = Team(seen, ("src/**",), {"seat_risk": lambda _turn: text("Looks fine to me.")})
    with ScriptedModel(team) as model:
        scene = team_scene(tmp_path, model, settings, {"review": "command"})
        scene.tick()
        assert scene.run().stage is Stage.DESIGN_REVIEW
        assert scene.item().kind is ItemKind.WAIVER
        assert "risk" in scene.item().question
        scene.commit(scene.answer())
        scene.tick()
        assert scene.run().stage is Stage.PLAN_REVIEW, "the next review needs the seat again"
        assert scene.item().kind is ItemKind.WAIVER
    assert outcomes(scene, Stage.DESIGN_REVIEW) == [
        ("validation_error", "waive"),
        ("accept", "advance"),
    ]


def test_the_day_s_money_holds_over_all_runs(tmp_path: Path) -> None:
    """What does not fit into the day any more is asked before it is begun."""
    settings = {
        "loop.budgets.reserve_per_attempt": 0.05,
        "loop.budgets.cost_per_day": 0.06,
        "loop.budgets.cost_per_run": 5.0,
    }
    dear: dict[str, Callable[[Turn], Step]] = {
        "designer": lambda turn: design(turn).using(8000, 100),
        "planner": lambda turn: plan("src/say.txt")(turn).using(8000, 100),
    }
    with ScriptedModel(Team(seen, roles=dear)) as model:
        scene = team_scene(tmp_path, model, settings, {"plan": "command", "design": "command"})
        scene.tick()
    held = [r for r in scene.records() if isinstance(r, Held)]
    assert [r.rule for r in held] == ["budget:cost_per_day"]
    assert scene.snapshot().spend.day_cost <= 0.06


TWO = """\
# Backlog

- [ ] **LO-aaaaaa** Say hello in one file
  - scope: `src/one.txt`
  - risk: low

  Acceptance:
  - [ ] it says hello: `grep -q hello src/one.txt`

- [ ] **LO-bbbbbb** Say hello in another file
  - scope: `src/two.txt`
  - risk: low

  Acceptance:
  - [ ] it says hello: `grep -q hello src/two.txt`
"""


def test_each_line_of_progress_says_whose_it_is_when_several_work_at_once(tmp_path: Path) -> None:
    """Two builders, side by side: what one of them writes is said under its own task."""

    def builder(turn: Turn) -> Step:
        name = "one" if "src/one.txt" in turn.user else "two"
        write = tool("write", filePath=f"/work/src/{name}.txt", content="hello\n")
        return steps(write, DONE)(turn)

    with ScriptedModel(Team(builder)) as model:
        scene = team_scene(tmp_path, model, {})
        scene.commit({"BACKLOG.md": TWO})
        scene.tick(Limits(jobs=2))
    assert len(scene.snapshot().items) == 2, scene.said
    builds = [line for line in scene.said if line.endswith("command builds")]
    wanted = ["LO-aaaaaa:  command builds", "LO-bbbbbb:  command builds"]
    assert sorted(builds) == wanted, "\n".join(scene.said)


def test_an_approval_that_only_builds_again_says_so(tmp_path: Path) -> None:
    """A patch with a secret in it is not kept: the question says where it is, and what follows."""
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"[:36]
    leak = tool("write", filePath="/work/src/say.txt", content=f"hello {token}\n")
    with ScriptedModel(Team(steps(leak, DONE))) as model:
        scene = team_scene(tmp_path, model, {})
        scene.tick()
    item, run = scene.item(), scene.run()
    assert item.kind is ItemKind.BREACH
    asked = (scene.folder / f".lifeos/queue/{item.id}.md").read_text()
    assert "accept this patch" not in asked
    assert "build it once more" in asked
    kept = f".git/lifeos/quarantine/{run.id}.{run.last_n[Stage.BUILD]}"
    assert kept in asked
    assert token in (scene.folder / kept / "src/say.txt").read_text()
    assert f"lifeos show {run.id} {run.last_n[Stage.BUILD]} patch.diff" in asked
