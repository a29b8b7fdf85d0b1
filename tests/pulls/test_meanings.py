"""What people do with queue PRs, and what it means: each on a project of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifeos.core.answers import answer_path, answer_text
from lifeos.core.records import Claimed, Resolved
from lifeos.model import CloseOutcome, Decision, ItemKind
from loop_scene import changed
from pull_copies import At, at_point, clone_of
from pull_scene import WORK, OnForge, approvals

BOTH = pytest.mark.parametrize("mode", ["direct", "pr"])
PR_FIRST = pytest.mark.parametrize("mode", [pytest.param("direct", marks=pytest.mark.long), "pr"])
"""Where the two ways differ in nothing that is looked at: one of them by default."""


def answers(scene: OnForge, since: str) -> list[tuple[Decision, str]]:
    """The answers that were taken since, with their comments."""
    found = (record for record in scene.records(since) if isinstance(record, Resolved))
    return [(answer.decision, answer.comment) for answer in found]


def claims(scene: OnForge, since: str) -> int:
    """How many attempts began."""
    return sum(isinstance(record, Claimed) for record in scene.records(since))


def gone(scene: OnForge, number: int) -> None:
    """That this PR is closed, and what it was from is no longer there."""
    pull = scene.forge.get(number)
    assert pull.state == "closed"
    assert not scene.forge.git.tip(pull.head_ref)
    assert not scene.hub("for-each-ref", f"refs/lifeos/pull/{pull.head_sha}")


# --- close --------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("comment", ["", "not like this"])
def test_closed_by_an_approver(tmp_path: Path, mode: str, comment: str) -> None:
    """It is a rejection; the comment is what they said in a review, if anything."""
    scene = at_point(tmp_path, mode, At.LANDING)
    number, since = scene.pull().number, scene.tip()
    if comment:
        scene.forge.review(number, by="bob", state="CHANGES_REQUESTED", body=comment)
    scene.forge.close(number, by="bob")
    scene.tick()
    said = comment or "the pull request was closed without a merge"
    assert answers(scene, since) == [(Decision.REJECT, said)]
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.REJECTED]
    assert not scene.on_hub(WORK)
    gone(scene, number)


@PR_FIRST
def test_closed_by_an_approver_and_then_the_task_is_edited(tmp_path: Path, mode: str) -> None:
    """Whoever edits a word of the task does not undo the rejection."""
    scene = at_point(tmp_path, mode, At.LANDING)
    number, since = scene.pull().number, scene.tip()
    scene.forge.close(number, by="bob")
    backlog = scene.at_hub("BACKLOG.md")
    edited = changed(backlog, "hello in the guide", "hello in the guide!")
    scene.forge.push_to("main", {"BACKLOG.md": edited}, by="wes")
    scene.tick()
    assert [decision for decision, _ in answers(scene, since)] == [Decision.REJECT]
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.REJECTED]
    gone(scene, number)


@PR_FIRST
@pytest.mark.parametrize("who", ["wes", "github-actions[bot]"])
def test_closed_by_somebody_else(tmp_path: Path, mode: str, who: str) -> None:
    """Once it is opened again, with a word why; then it stays, till an approver says something."""
    scene = at_point(tmp_path, mode, At.LANDING)
    number, since = scene.pull().number, scene.tip()
    scene.forge.close(number, by=who)
    scene.tick()
    asked = scene.forge.get(number)
    assert asked.state == "open"
    assert "Opened again: its pull request was closed" in asked.comments[-1][1]
    said = len(asked.comments)
    scene.forge.close(number, by=who)
    for _ in range(2):
        report = scene.tick()
        assert "it was opened again once already" in report.standing(())
        assert scene.forge.get(number).state == "closed"
        assert len(scene.forge.get(number).comments) == said
    assert answers(scene, since) == []
    scene.forge.reopen(number, by="ann")
    scene.merge()
    scene.tick()
    assert answers(scene, since) == [(Decision.APPROVE, "")]
    assert scene.on_hub(WORK)


@PR_FIRST
def test_closed_by_an_approver_and_then_by_somebody_else(tmp_path: Path, mode: str) -> None:
    """Wes opens it again and closes it, before a tick looks: Bob's rejection is what counts."""
    scene = at_point(tmp_path, mode, At.LANDING)
    number, since = scene.pull().number, scene.tip()
    scene.forge.close(number, by="bob")
    scene.forge.reopen(number, by="wes")
    scene.forge.close(number, by="wes")
    scene.tick()
    assert [decision for decision, _ in answers(scene, since)] == [Decision.REJECT]
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.REJECTED]
    gone(scene, number)


@PR_FIRST
def test_opened_again_after_the_answer(tmp_path: Path, mode: str) -> None:
    """The question is over: it is closed again, and a merge of it does not wake the run."""
    scene = at_point(tmp_path, mode, At.LANDING)
    asked = scene.pull()
    scene.forge.close(asked.number, by="ann")
    scene.tick()
    scene.forge.git.git("update-ref", f"refs/heads/{asked.head_ref}", asked.head_sha)
    scene.forge.reopen(asked.number, by="ann")
    since = scene.tip()
    scene.tick()
    gone(scene, asked.number)
    assert "superseded, or was answered" in scene.forge.get(asked.number).comments[-1][1]
    assert scene.tip() == since
    assert len(scene.ended()) == 1


@PR_FIRST
def test_the_branch_is_deleted(tmp_path: Path, mode: str) -> None:
    """By somebody else it comes back, with its PR; by an approver that is a rejection."""
    scene = at_point(tmp_path, mode, At.LANDING)
    asked, since = scene.pull(), scene.tip()
    scene.forge.delete(asked.head_ref, "wes")
    scene.tick()
    assert scene.forge.git.tip(asked.head_ref) == asked.head_sha
    assert scene.pull().state == "open"
    assert answers(scene, since) == []
    scene.forge.delete(asked.head_ref, "ann")
    scene.tick()
    assert [decision for decision, _ in answers(scene, since)] == [Decision.REJECT]
    gone(scene, asked.number)


# --- reviews and edits --------------------------------------------------------------------------


@BOTH
def test_changes_requested(tmp_path: Path, mode: str) -> None:
    """By an approver it sends the work back, and another question is asked about what comes."""
    scene = at_point(tmp_path, mode, At.LANDING)
    number, since = scene.pull().number, scene.tip()
    scene.forge.review(number, by="bob", state="CHANGES_REQUESTED", body="say it\nlouder")
    scene.forge.review(number, by="bob", state="COMMENTED", body="take your time")
    scene.tick()
    assert answers(scene, since) == [(Decision.REVISE, "say it louder")]
    gone(scene, number)
    assert claims(scene, since)
    assert not scene.on_hub(WORK)
    assert scene.pull().number > number


@PR_FIRST
def test_changes_requested_in_vain(tmp_path: Path, mode: str) -> None:
    """By somebody else, or dismissed since, or taken back by an approval: nothing."""
    scene = at_point(tmp_path, mode, At.LANDING)
    number, since = scene.pull().number, scene.tip()
    scene.forge.review(number, by="wes", state="CHANGES_REQUESTED", body="no")
    said = scene.forge.review(number, by="ann", state="CHANGES_REQUESTED", body="no")
    scene.forge.dismiss(number, said.id)
    scene.forge.review(number, by="bob", state="CHANGES_REQUESTED", body="no")
    scene.forge.review(number, by="bob", state="APPROVED")
    scene.tick()
    assert scene.tip() == since
    assert scene.pull().number == number
    assert scene.pull().state == "open"


@pytest.mark.parametrize("decision", [Decision.REVISE, Decision.REJECT])
def test_the_answer_is_edited_and_merged(tmp_path: Path, decision: Decision) -> None:
    """On the PR itself, as a person does it there; it waits until it is merged."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    item, since = scene.item(), scene.tip()
    text = answer_text(item.id, decision, item.subject, "shorter").decode()
    scene.forge.push_to(scene.pull().head_ref, {answer_path(item.id): text}, "ann")
    scene.tick()
    assert scene.tip() == since
    assert scene.item() == item
    scene.forge.delete_merged_heads = True
    scene.merge(method="squash")
    scene.tick()
    assert answers(scene, since) == [(decision, "shorter")]
    assert not scene.on_hub(WORK)


def test_changes_requested_of_an_earlier_head(tmp_path: Path) -> None:
    """Whoever edited the answer after that has the last word."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    item, since = scene.item(), scene.tip()
    scene.forge.review(scene.pull().number, by="bob", state="CHANGES_REQUESTED", body="longer")
    text = answer_text(item.id, Decision.REVISE, item.subject, "shorter").decode()
    scene.forge.push_to(scene.pull().head_ref, {answer_path(item.id): text}, "ann")
    scene.merge()
    scene.tick()
    assert answers(scene, since) == [(Decision.REVISE, "shorter")]


def test_the_answer_is_edited_without_a_comment(tmp_path: Path) -> None:
    """It is refused, with the reason, and asked anew."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    item, since = scene.item(), scene.tip()
    text = answer_text(item.id, Decision.REVISE, item.subject, "x").decode()
    bare = text.partition("# For whoever")[0]
    scene.forge.push_to(scene.pull().head_ref, {answer_path(item.id): bare}, "ann")
    scene.merge()
    report = scene.tick()
    assert "without a comment" in report.standing(())
    assert answers(scene, since) == []
    assert scene.item().id != item.id


# --- main moves ---------------------------------------------------------------------------------


@BOTH
def test_main_moves_elsewhere(tmp_path: Path, mode: str) -> None:
    """What it changed has nothing to do with the work: the merge counts."""
    scene = at_point(tmp_path, mode, At.LANDING)
    asked, since = scene.pull(), scene.tip()
    scene.forge.push_to("main", {"README.md": "# Other\n"}, "wes")
    scene.tick()
    assert scene.pull().number == asked.number
    scene.forge.push_to("main", {"README.md": "# Another\n"}, "wes")
    scene.merge()
    scene.tick()
    assert answers(scene, since) == [(Decision.APPROVE, "")]
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.PASS]
    assert (scene.at_hub(WORK), scene.at_hub("README.md")) == ("hello", "# Another")


@pytest.mark.parametrize(("reapprove", "stays"), [("overlap", True), ("always", False)])
def test_whether_it_is_asked_anew_when_main_moves(
    tmp_path: Path, reapprove: str, stays: bool
) -> None:
    """The one setting decides it: `recheck` is about checks, and those are run after the merge."""
    scene = at_point(tmp_path, "pr", At.LANDING, f'{{"loop.reapprove": "{reapprove}"}}')
    number = scene.pull().number
    scene.forge.push_to("main", {"README.md": "# Other\n"}, "wes")
    scene.tick()
    assert (scene.pull().number == number) is stays


def test_main_changes_what_would_land(tmp_path: Path) -> None:
    """It is asked anew, about a head on the new main; the old PR says which one to look at."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    old, since = scene.pull(), scene.tip()
    scene.forge.push_to("main", {"docs/guide.md": "hello\n"}, "wes")
    report = scene.tick()
    assert "main has changed what it would land" in report.standing(())
    gone(scene, old.number)
    new = scene.pull()
    assert new.number > old.number
    said = scene.forge.get(old.number).comments[-1][1]
    assert "superseded" in said
    assert f"/pull/{new.number}" in said
    assert answers(scene, since) == []


# --- around it ----------------------------------------------------------------------------------


@PR_FIRST
def test_heads_are_deleted_by_the_forge(tmp_path: Path, mode: str) -> None:
    """With a setting that many have on: the branch is gone when lifeos looks."""
    scene = at_point(tmp_path, mode, At.COMMANDS)
    scene.forge.delete_merged_heads = True
    for _ in range(2):
        number = scene.pull().number
        scene.merge(method="squash")
        assert not scene.forge.git.tip(scene.forge.get(number).head_ref)
        scene.tick()
        gone(scene, number)
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.PASS]
    assert scene.at_hub(WORK) == "hello"


@PR_FIRST
def test_another_clone_looks(tmp_path: Path, mode: str) -> None:
    """It has nothing of the head that the first one pushed, and its branch is gone."""
    scene = at_point(tmp_path, mode, At.LANDING)
    scene.forge.delete_merged_heads = True
    scene.merge(method="squash")
    other = clone_of(scene, tmp_path / "other")
    other.tick()
    assert [end.outcome for end in other.ended()] == [CloseOutcome.PASS]
    assert scene.at_hub(WORK) == "hello"


def other_rules(scene: OnForge, by: str = "wes") -> None:
    """Rules on main that have to be asked about."""
    path = "policies/approvals.yaml"
    value = json.loads(scene.at_hub(path))
    value["approvers"] = approvals(ann=101, bob=102, wes=110)
    scene.forge.push_to("main", {path: json.dumps(value)}, by)


@pytest.mark.parametrize("first", [0, 1])
def test_two_questions_at_once(tmp_path: Path, first: int) -> None:
    """Each has a PR of its own; both are answered before lifeos looks, in any order."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    other_rules(scene)
    scene.tick()
    items = list(scene.snapshot().items.values())
    assert {item.kind for item in items} == {ItemKind.GOVERNANCE, ItemKind.STAGE_REVIEW}
    assert len({scene.pull(item).number for item in items}) == 2
    since = scene.tip()
    scene.merge(item=items[first])
    scene.merge(item=items[1 - first], by="bob")
    scene.tick()
    assert answers(scene, since) == [(Decision.APPROVE, "")] * 2
    assert not scene.snapshot().items
    assert scene.at_hub(WORK) == "hello"


@PR_FIRST
def test_the_run_ends_otherwise(tmp_path: Path, mode: str) -> None:
    """Its task is cancelled on main: the question is over, and so is its PR."""
    scene = at_point(tmp_path, mode, At.LANDING)
    number = scene.pull().number
    mark = scene.at_hub("BACKLOG.md").partition("**LO-aaaaaa**")[0][-4:-1]
    text = changed(scene.at_hub("BACKLOG.md"), f"{mark} **LO-aaaaaa**", "[-] **LO-aaaaaa**")
    scene.forge.push_to("main", {"BACKLOG.md": text}, "ann")
    scene.tick()
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.CANCELLED]
    gone(scene, number)


def test_merged_automatically(tmp_path: Path) -> None:
    """Enabled to be merged when it may be, it is merged later by whoever enabled that."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    scene.forge.protect("main", reviews=1)
    scene.forge.review(scene.pull().number, by="bob", state="APPROVED")
    scene.tick()
    assert not scene.on_hub(WORK)
    scene.merge(by="ann")
    scene.tick()
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.PASS]
