"""Who may answer changes, and nothing else: it counts at once, and disturbs no open run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command_line import BOB, TASK, Project, asking, project
from conftest import EMAIL, NAME
from lifeos.model import ItemKind

APPROVALS = "policies/approvals.yaml"
CONFIG = ".lifeos/config.yaml"


@pytest.fixture
def scene(tmp_path: Path) -> Project:
    """The work is done, and the person is asked whether to land it."""
    return project(tmp_path, "asking", asking)


def people(*emails: str, hours: int = 168) -> dict[str, str]:
    """The file with these approvers."""
    values: dict[str, Any] = {
        "version": 1,
        "trust": "commit",
        "approvers": [{"name": NAME, "email": email} for email in emails],
        "expiry": {"hours": hours, "then": "hold"},
    }
    return {APPROVALS: json.dumps(values)}


def test_more_approvers_and_another_expiry_leave_open_runs_alone(scene: Project) -> None:
    """Adopted; the run keeps its set and its question; the answer lands it; the ledger is good."""
    asked, run = scene.item(), scene.run()
    scene.commit(people(EMAIL, BOB, hours=24))
    scene.cli("tick")
    snapshot = scene.snapshot()
    assert snapshot.governance != run.governance
    assert snapshot.items == {asked.id: asked}
    assert snapshot.runs == {run.id: run}
    scene.cli("approve", TASK)
    scene.cli("tick")
    assert scene.at_main("docs/guide.md") == "hello"
    scene.cli("verify")


def test_whoever_takes_over_is_asked_anew(scene: Project) -> None:
    """The only approver hands over: she may not answer any more, he could not have; he is asked."""
    asked = scene.item()
    scene.commit(people(BOB))
    scene.cli("tick")
    anew = scene.item()
    assert (anew.kind, anew.question) == (asked.kind, asked.question)
    assert anew.id != asked.id
    scene.cli("approve", TASK, email=EMAIL, code=4)
    scene.cli("approve", TASK, email=BOB)
    scene.cli("tick")
    assert scene.at_main("docs/guide.md") == "hello"
    scene.cli("verify")


def test_a_stranger_who_lists_himself_is_asked_about_and_the_run_is_left_alone(
    scene: Project,
) -> None:
    """Adoption is judged as ever; approved, it takes no run over, and the question stays."""
    asked, run = scene.item(), scene.run()
    scene.commit(people(EMAIL, BOB), author=BOB, committer=BOB)
    scene.cli("tick")
    (rules,) = (i for i in scene.snapshot().items.values() if i.kind is ItemKind.GOVERNANCE)
    assert (rules.rule, scene.snapshot().governance) == ("governance:not_pinned", run.governance)
    scene.cli("approve", rules.id)
    scene.cli("tick")
    assert scene.snapshot().governance == rules.about
    assert (scene.item(), scene.run()) == (asked, run)
    scene.cli("verify")


def test_a_remark_in_the_rules_binds_nobody(scene: Project) -> None:
    """Runs pin what the settings say, not how the file says it."""
    asked = scene.item()
    scene.commit(scene.edit("policies/loop.yaml", "diff_files: 20", "diff_files: 20  # enough"))
    scene.cli("tick")
    assert scene.item() == asked


def test_a_pinned_setting_in_the_same_commit_is_asked_about(scene: Project) -> None:
    """Who may answer and a budget: the run waits for a word on the budget."""
    loop = scene.edit("policies/loop.yaml", "diff_files: 20", "diff_files: 21")
    scene.commit({**people(EMAIL, BOB), **loop})
    scene.cli("tick")
    rules = {item.rule for item in scene.snapshot().items.values()}
    assert rules == {"autonomy:supervised", "governance:open_runs"}


def test_what_is_asked_anew_under_other_rules_says_whose_rule_it_is(scene: Project) -> None:
    """The new rules would not ask: the question stays, and says that its rule is one of before."""
    words = "It is of the rules before"
    asked = scene.item()
    assert words not in scene.cli("queue", "show", asked.id).out
    scene.commit(scene.edit("policies/loop.yaml", "autonomy: supervised", "autonomy: full"))
    scene.cli("tick")
    (rules,) = (i for i in scene.snapshot().items.values() if i.kind is ItemKind.GOVERNANCE)
    scene.cli("approve", rules.id)
    scene.cli("tick")
    anew = scene.item()
    assert (anew.kind, anew.rule) == (ItemKind.STAGE_REVIEW, asked.rule)
    assert anew.id != asked.id
    text = scene.cli("queue", "show", anew.id).out
    assert f"Asked by the rule `{asked.rule}`. {words}" in text
    scene.cli("approve", anew.id)
    scene.cli("tick")
    assert scene.at_main("docs/guide.md") == "hello"
    scene.cli("verify")


def test_whom_to_tell_is_always_what_the_rules_say_now(scene: Project) -> None:
    """A change of `notify` alone is adopted at once, counts at once, and disturbs no open run."""
    asked, run = scene.item(), scene.run()
    config = json.loads((scene.folder / CONFIG).read_text())
    told = scene.folder.parent / "told"
    config["notify"] = {"command": ["tee", str(told)]}
    scene.commit({CONFIG: json.dumps(config)})
    scene.cli("tick")
    snapshot = scene.snapshot()
    assert snapshot.governance != run.governance
    assert snapshot.items == {asked.id: asked}
    assert snapshot.runs == {run.id: run}
    assert asked.id in told.read_text()
    scene.cli("verify")
