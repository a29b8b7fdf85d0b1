"""Merges of what is stale or past, and answers that contradict or repeat each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifeos.core.answers import answer_path, answer_text
from lifeos.core.records import Claimed, Closed, Resolved
from lifeos.core.table import INTRUDED
from lifeos.model import CloseOutcome, Decision
from loop_scene import changed
from pull_copies import At, at_point
from pull_scene import WORK, OnForge, approvals

RULES = "policies/approvals.yaml"


def landed(scene: OnForge) -> list[Closed]:
    """Runs that ended with a pass."""
    return [end for end in scene.ended() if end.outcome is CloseOutcome.PASS]


def resolved(scene: OnForge, since: str = "") -> list[Resolved]:
    """The answers that were taken."""
    return [record for record in scene.records(since) if isinstance(record, Resolved)]


def new_approvers(scene: OnForge, **people: int) -> None:
    """Other approvers on main; an approver pushed them, so they are adopted on sight."""
    value = json.loads(scene.at_hub(RULES))
    value["approvers"] = approvals(**people)
    scene.forge.push_to("main", {RULES: json.dumps(value)}, "ann")


@pytest.mark.parametrize("mode", ["direct", "pr"])
def test_an_approver_who_was_taken_off_since(tmp_path: Path, mode: str) -> None:
    """Bob could answer when it was asked; not any more when he does."""
    scene = at_point(tmp_path, mode, At.LANDING)
    old = scene.item()
    new_approvers(scene, ann=101)
    scene.merge(by="bob", item=old)
    before = scene.snapshot().governance
    report = scene.tick()
    assert scene.snapshot().governance != before
    assert "bob (account 102) is no longer an approver" in report.standing(())
    assert not landed(scene)
    assert scene.on_hub(WORK) == (mode == "pr")
    assert old.id not in scene.snapshot().items
    assert (mode == "pr") == any(i.rule == INTRUDED for i in scene.snapshot().items.values())


def test_an_approver_who_was_added_since(tmp_path: Path) -> None:
    """What was asked before that is not theirs to answer; what is asked after that is."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    old = scene.item()
    new_approvers(scene, ann=101, bob=102, wes=110)
    scene.tick()
    scene.merge(by="wes", item=old)
    report = scene.tick()
    assert "was not an approver when the question was asked" in report.standing(())
    assert not landed(scene)
    scene.merge(by="wes")
    scene.tick()
    assert landed(scene)


def other_task(scene: OnForge) -> None:
    """Somebody changes the task's text on main."""
    text = changed(scene.at_hub("BACKLOG.md"), "it says hello:", "it says so:")
    scene.forge.push_to("main", {"BACKLOG.md": text}, "wes")


@pytest.mark.parametrize("mode", ["direct", "pr"])
def test_the_task_changed_before_the_merge(tmp_path: Path, mode: str) -> None:
    """What was approved is not what the task says now: nothing lands as its end."""
    scene = at_point(tmp_path, mode, At.LANDING)
    old, since = scene.item(), scene.tip()
    other_task(scene)
    scene.merge(item=old)
    report = scene.tick()
    assert not landed(scene), report
    assert not resolved(scene, since)
    items = scene.snapshot().items.values()
    assert old.id not in scene.snapshot().items
    if mode == "direct":
        assert [item.rule for item in items] == ["task_changed"]
        assert not scene.on_hub(WORK)
    else:
        assert [item.rule for item in items] == [INTRUDED]
        assert "after main had changed its task" in report.standing(())


@pytest.mark.parametrize("mode", ["direct", "pr"])
def test_main_changed_a_path_of_it_before_the_merge(tmp_path: Path, mode: str) -> None:
    """The merge says yes to another main than there is: nobody saw both together."""
    scene = at_point(tmp_path, mode, At.LANDING)
    old = scene.item()
    scene.forge.push_to("main", {WORK: "hello\n"}, "wes")  # the very same, so that git can merge it
    scene.merge(item=old)
    report = scene.tick()
    assert not landed(scene), report
    (asked,) = scene.snapshot().items.values()
    assert asked.rule == (INTRUDED if mode == "pr" else "reapprove:overlap")
    if mode == "pr":
        assert "after main had changed its task, or what it lands" in report.standing(())


@pytest.mark.parametrize("mode", ["direct", "pr"])
def test_replay_of_a_question_that_was_asked_anew(tmp_path: Path, mode: str) -> None:
    """The old PR is brought back by somebody, and an approver merges that one."""
    scene = at_point(tmp_path, mode, At.LANDING)
    old = scene.item()
    asked = scene.pull()
    head = asked.head_sha
    scene.forge.push_to(asked.head_ref, {"src/evil.py": "x\n"}, "wes")
    scene.tick()
    assert scene.item().id != old.id
    scene.forge.git.git("update-ref", f"refs/heads/{asked.head_ref}", head)
    scene.forge.reopen(asked.number, by="wes")
    scene.forge.merge(asked.number, by="ann")
    since = scene.tip()
    report = scene.tick()
    assert not resolved(scene, since)
    assert not landed(scene), report
    assert not [r for r in scene.records(since) if isinstance(r, Claimed)]
    assert old.id not in scene.snapshot().items
    if mode == "direct":
        assert "no such question is open" in report.standing(())
    else:
        assert "was merged when its question was over" in report.standing(())
        assert INTRUDED in [item.rule for item in scene.snapshot().items.values()]


@pytest.mark.parametrize("act", ["revise", "reject"])
def test_approved_and_refused_at_once(tmp_path: Path, act: str) -> None:
    """One approver merges, another wanted changes, or edited it to a rejection: no landing."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    item, since = scene.item(), scene.tip()
    number = scene.pull().number
    if act == "reject":
        text = answer_text(item.id, Decision.REJECT, item.subject, "not this").decode()
        scene.forge.push_to(scene.pull().head_ref, {answer_path(item.id): text}, "bob")
    scene.forge.review(number, by="bob", state="CHANGES_REQUESTED", body="louder")
    scene.forge.merge(number, by="ann")
    scene.tick()
    (answer,) = resolved(scene, since)
    assert answer.decision == act
    assert answer.comment == ("louder" if act == "revise" else "not this")
    assert not scene.on_hub(WORK)


def test_commands_allowed_by_one_and_not_by_the_other(tmp_path: Path) -> None:
    """There is no middle here: it is asked anew, and nothing runs."""
    scene = at_point(tmp_path, "direct", At.COMMANDS)
    old, since = scene.item(), scene.tip()
    scene.forge.review(scene.pull().number, by="bob", state="CHANGES_REQUESTED", body="no sh!")
    told = scene.tick()
    assert "requested changes, which is no answer to a commands question" in told.standing(())
    assert scene.item() == old
    scene.merge(by="ann")
    report = scene.tick()
    assert "bob (account 102) requested changes" in report.standing(())
    assert not resolved(scene, since)
    assert scene.item().id != old.id


@pytest.mark.parametrize("mode", ["direct", "pr"])
def test_a_double_approval_resumes_once(tmp_path: Path, mode: str) -> None:
    """Merged, and the file pushed once more; a review approves what is merged; looked at twice."""
    scene = at_point(tmp_path, mode, At.COMMANDS)
    item, since = scene.item(), scene.tip()
    number = scene.pull().number
    scene.merge(by="ann")
    scene.forge.review(number, by="bob", state="APPROVED")
    scene.tick()
    text = answer_text(item.id, Decision.APPROVE, item.subject).decode()
    scene.forge.push_to("main", {answer_path(item.id): text + "# again\n"}, "bob")
    scene.tick()
    scene.tick()
    assert [answer.item for answer in resolved(scene, since)] == [item.id]
    stages = [r.stage for r in scene.records(since) if isinstance(r, Claimed)]
    assert len(stages) == len(set(stages))


def test_the_answer_to_another_question_in_its_pull_request(tmp_path: Path) -> None:
    """Somebody puts the file that answers one question into the pull request of another, and that
    one is merged: neither is answered, and what came along is asked about."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    value = json.loads(scene.at_hub(RULES)) | {"expiry": {"hours": 5}}
    scene.forge.push_to("main", {RULES: json.dumps(value)}, "wes")
    scene.tick()
    landing, rules = sorted(scene.snapshot().items.values(), key=lambda item: item.opened_at)
    since, before = scene.tip(), scene.snapshot().governance
    text = answer_text(landing.id, Decision.APPROVE, landing.subject).decode()
    scene.forge.push_to(scene.pull(rules).head_ref, {answer_path(landing.id): text}, "wes")
    scene.merge(item=rules)
    report = scene.tick()
    assert resolved(scene, since) == []
    assert "something else than lifeos had pushed was merged" in report.standing(())
    assert "it was pushed" in report.standing(())
    assert INTRUDED in [item.rule for item in scene.snapshot().items.values()]
    assert scene.snapshot().governance == before
    assert not scene.on_hub(WORK)
