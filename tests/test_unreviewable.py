"""A task that no review could be held of is not begun: nothing is paid for before that is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifeos.core.backlog.parse import parse
from lifeos.core.council import at_least
from lifeos.core.policy import Governance
from lifeos.core.policy.council import ClassifyRule, Council, Touch
from lifeos.core.state import RunStatus
from lifeos.governance import load_set
from lifeos.initial import render_init
from lifeos.tick.ready import unreviewable
from loop_scene import Settings, governance_with
from scripted_model import ScriptedModel, steps
from scripted_team import Team
from test_agents_in_the_loop import ALL, BACKLOG, DONE, HELLO, team_scene

PRICE = {"input": 1.0, "output": 1.0}
MODELS: Settings = {
    "config.models": {
        name: {"provider": "team", "id": name, "family": family, "price": PRICE}
        for name, family in (("main", "alpha"), ("other", "beta"))
    },
}
GRAVE: Settings = {
    "council.modes.M1": ["unified"],
    "council.modes.M2": ["unified", "risk"],
    "council.technical_for_code": False,
    "council.classify": [
        {"paths": ["src/**"], "safety_critical": True},
        {"tags": ["grave"], "safety_critical": True},
    ],
}
OTHER = """
- [ ] **LO-bbbbbb** Say hello in the library
  - scope: `lib/**`
  - risk: low

  Acceptance:
  - [ ] it says hello: `grep -q hello lib/say.txt`
"""


@pytest.mark.sandbox
def test_a_grave_task_without_another_family_is_not_begun_and_others_are(tmp_path: Path) -> None:
    """Nothing of it is asked of a model; once a seat is of another family, it is begun."""
    script = Team(steps(HELLO, DONE), ("lib/**", "src/**"))
    with ScriptedModel(script) as model:
        scene = team_scene(tmp_path, model, {**MODELS, **GRAVE}, ALL)
        scene.commit({"BACKLOG.md": BACKLOG + OTHER, "lib/old.txt": "old\n"})
        report = scene.tick()
        (problem,) = report.problems
        assert problem.place.file == "BACKLOG.md"
        assert "LO-aaaaaa is not begun" in problem.message
        assert "it is safety critical" in problem.message
        assert problem.fix.startswith("give one of these seats a model of another family")
        assert [run.task for run in scene.snapshot().runs.values()] == ["LO-bbbbbb"]
        assert not any("LO-aaaaaa" in request.raw.decode() for request in model.requests)
        rules = governance_with({**GRAVE, "council.seats": {"risk": "other"}})
        scene.commit({**rules})
        report = scene.tick()
    assert not report.problems
    assert {run.task for run in scene.snapshot().runs.values()} == {"LO-aaaaaa", "LO-bbbbbb"}
    assert all(run.status is RunStatus.HELD for run in scene.snapshot().runs.values())


def rules(agents: dict[str, str], **more: object) -> Governance:
    """Rules by which `src/**` is safety critical; every model is of one family."""
    settings: dict[str, Any] = {
        **MODELS,
        **GRAVE,
        "config.sandbox": "bwrap",
        "config.providers": {"team": {"url": "https://models.example/v1"}},
        "config.agents": dict.fromkeys(("design", "plan", "build", "review"), "recipe") | agents,
        "config.command": {"run": "agent"},
        **more,
    }
    files = dict(render_init("Ann", "ann@example.invalid", "main", ()))
    files |= {path: text.encode() for path, text in governance_with(settings).items()}
    loaded = load_set(files)
    assert loaded.governance is not None, loaded.problems
    return loaded.governance


(TASK,) = parse(BACKLOG.encode(), "BACKLOG.md", "LO").tasks
BUILT, DESIGNED = {"build": "command"}, {"design": "command"}
BY_MODELS = {"review": "command"}


@pytest.mark.parametrize(
    ("agents", "scope", "tags", "more", "refused"),
    [
        (BUILT | BY_MODELS, ("src/**",), (), {}, True),
        (BUILT | BY_MODELS, ("src/pay/**",), (), {}, True),
        (BUILT | BY_MODELS, ("docs/**",), ("grave",), {}, True),
        (BUILT | BY_MODELS, ("policies/loop.yaml",), (), {}, True),
        (BUILT | BY_MODELS, ("docs/**",), (), {}, False),
        (BUILT | BY_MODELS, (), (), {}, False),
        (BUILT | BY_MODELS, ("src/**", "docs/**"), (), {}, False),  # it may touch docs alone
        (DESIGNED | BY_MODELS, ("src/**", "docs/**"), (), {}, True),  # a design is of the scope
        (BY_MODELS, ("src/**",), (), {}, False),  # no model makes what is judged
        (BUILT, ("src/**",), (), {}, False),  # a review by rule brings a person
        (BUILT | BY_MODELS, ("src/**",), (), {"council.emergency": "it burns"}, False),
        (BUILT | BY_MODELS, ("src/**",), (), {"council.seats": {"risk": "other"}}, False),
        (BUILT | BY_MODELS, ("src/**",), (), {"council.seats": {"unified": "other"}}, True),
    ],
)
def test_what_the_words_of_a_task_tell(
    agents: dict[str, str],
    scope: tuple[str, ...],
    tags: tuple[str, ...],
    more: dict[str, object],
    refused: bool,
) -> None:
    """Refused is what is certain: what depends on the change is left to the review."""
    task = replace(TASK, scope=scope, tags=tags)
    assert (unreviewable(rules(agents, **more), task) is not None) is refused


def test_what_every_change_within_a_scope_touches() -> None:
    """Only what all of its patterns have in common, and what a tag says."""
    council = Council(
        version=1,
        classify=(
            ClassifyRule(paths=("ops/**", "core/**"), touches=(Touch.GOVERNANCE,)),
            ClassifyRule(tags=("core",), touches=(Touch.RUNTIME_CORE,)),
        ),
    )
    assert at_least((), ("ops/a/**", "core/b.py"), council).touches == (Touch.GOVERNANCE,)
    assert at_least((), ("ops/**", "docs/**"), council).touches == ()
    assert at_least((), ("**",), council).touches == ()
    assert at_least(("core",), (), council).touches == (Touch.RUNTIME_CORE,)
