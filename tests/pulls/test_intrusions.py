"""What reached main unasked: it is asked whether to take it back, and until then nothing begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifeos.core.records import Claimed, Opened, Resolved, Topic
from lifeos.core.state import Item
from lifeos.core.table import INTRUDED
from lifeos.errors import Busy
from lifeos.model import CloseOutcome, Decision, ItemKind
from loop_scene import BACKLOG
from pull_acts import RULES, after_a_push_of_rules, happens
from pull_copies import At, answering, at_point
from pull_scene import WORK, OnForge, approvals
from strange_answers import Strange

SECOND = BACKLOG.partition("## P0\n")[2].replace("LO-aaaaaa", "LO-bbbbbb").replace("guide", "other")
EVIL = "src/evil.py"


def stray_landing(folder: Path, *, evil: bool = False) -> OnForge:
    """The work came to main by a merge of somebody who may not answer; lifeos saw it."""
    scene = at_point(folder, "pr", At.LANDING)
    if evil:
        scene.forge.push_to(scene.pull().head_ref, {EVIL: "evil = True\n"}, "wes")
    scene.merge(by="ann" if evil else "wes")
    scene.tick()
    return scene


def question(scene: OnForge) -> Item:
    """The question whether to take it back."""
    (item,) = (item for item in scene.snapshot().items.values() if item.rule == INTRUDED)
    return item


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_merging_takes_it_back(tmp_path: Path, method: str) -> None:
    """By any method; main is as it was before, and the answer is on the record."""
    scene = stray_landing(tmp_path, evil=True)
    assert scene.on_hub(WORK)
    assert scene.on_hub(EVIL)
    scene.forge.push_to("main", {"README.md": "# Later\n"}, "wes")  # what came since stays
    since, asked = scene.tip(), question(scene)
    scene.merge(item=asked, method=method)
    scene.tick()
    assert not scene.on_hub(WORK)
    assert not scene.on_hub(EVIL)
    assert scene.at_hub("README.md") == "# Later"
    (answer,) = (r for r in scene.records(since) if isinstance(r, Resolved))
    assert (answer.item, answer.decision) == (asked.id, Decision.APPROVE)
    assert not scene.snapshot().items


def test_closing_leaves_it(tmp_path: Path) -> None:
    """Main keeps what it has; the run stays cancelled, and its work is not built once more."""
    scene = stray_landing(tmp_path)
    main, since = scene.forge.git.tip("main"), scene.tip()
    scene.forge.close(scene.pull(question(scene)).number, by="bob")
    scene.tick()
    assert scene.forge.git.tip("main") == main
    (answer,) = (r for r in scene.records(since) if isinstance(r, Resolved))
    assert answer.decision is Decision.REJECT
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.CANCELLED]
    assert not scene.snapshot().runs


def test_nothing_begins_before_the_answer(tmp_path: Path) -> None:
    """No task is opened and no attempt is claimed while it is open; after it, they are."""
    scene = stray_landing(tmp_path)
    backlog = scene.at_hub("BACKLOG.md") + "\n" + SECOND
    scene.forge.push_to("main", {"BACKLOG.md": backlog}, "wes")
    since = scene.tip()
    report = scene.tick()
    begun = (Opened, Claimed)
    assert not [r for r in scene.records(since) if isinstance(r, begun)]
    assert "nothing begins until it is answered" in report.standing(())
    scene.forge.close(scene.pull(question(scene)).number, by="ann")
    scene.tick()
    assert [r.task for r in scene.records(since) if isinstance(r, Opened)] == ["LO-bbbbbb"]


@pytest.mark.parametrize("act", ["merge by a writer", "changes requested", "expiry", "a push"])
def test_it_is_asked_until_an_approver_answers(tmp_path: Path, act: str) -> None:
    """What does not answer it never lets anything begin: the same is asked again."""
    scene = stray_landing(tmp_path)
    first = question(scene)
    number, since = scene.pull(first).number, scene.tip()
    match act:
        case "merge by a writer":
            scene.forge.merge(number, by="wes")
        case "changes requested":
            scene.forge.review(number, by="ann", state="CHANGES_REQUESTED", body="hm")
        case "expiry":
            scene.now += 169 * 3600
        case _:
            scene.forge.push_to(scene.pull(first).head_ref, {EVIL: "x\n"}, "wes")
    report = scene.tick()
    after = question(scene)
    assert not [r for r in scene.records(since) if isinstance(r, Resolved)]
    assert (after.about, after.onto) == (first.about, first.onto)
    assert (after.id == first.id) == (act == "changes requested")
    assert scene.pull(after).state == "open"
    if act != "expiry":
        assert first.id in report.standing(())


def test_what_later_changes_stand_on(tmp_path: Path) -> None:
    """Nothing can be prepared then: the PR says so, and carries the answer alone."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    scene.merge(by="wes")
    scene.forge.push_to("main", {WORK: "hello, again\n"}, "wes")
    scene.tick()
    asked = question(scene)
    assert "nothing could be prepared" in scene.pull(asked).body
    scene.merge(item=asked)
    report = scene.tick()
    assert scene.at_hub(WORK) == "hello, again"
    assert not scene.snapshot().items, report.standing(())


def test_the_record_says_what_and_why(tmp_path: Path) -> None:
    """The commit, what main was before it, and who merged it: for whoever decides, and later."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    before = scene.forge.git.tip("main")
    commit = scene.merge(by="wes")
    scene.tick()
    asked = question(scene)
    assert (asked.about, asked.onto) == (commit, before)
    assert "wes (account 110) is no approver" in asked.question
    assert commit[:12] in scene.pull(asked).title
    body = scene.pull(asked).body
    assert "take it back" in body
    assert "leave it on main" in body
    assert [n.item for n in scene.notes(Topic.PULL)][-1] == asked.id


def test_a_rebase_onto_a_commit_of_the_same_message(tmp_path: Path) -> None:
    """What is taken back is what came by the rebase, and not what was pushed before it."""
    scene = at_point(tmp_path, "pr", At.START, pusher="ann")
    scene.forge.push_to("main", {"README.md": "# One\n"}, "ann")
    scene.tick()
    asked = scene.pull()
    before = scene.forge.push_to("main", {"README.md": "# Two\n"}, "ann")
    said = {scene.hub("log", "-1", "--format=%B", each) for each in ("main", "main~1")}
    assert len(said) == 1
    scene.forge.push_to(asked.head_ref, {EVIL: "evil = True\n"}, "wes")
    scene.merge(method="rebase")
    scene.tick()
    assert question(scene).onto == before
    scene.merge(item=question(scene))
    scene.tick()
    assert scene.at_hub("README.md") == "# Two"
    assert not scene.on_hub(EVIL)
    assert not scene.on_hub(WORK)


@pytest.mark.parametrize("mode", ["direct", "pr"])
def test_rules_that_came_along_do_not_hold_before_the_answer(tmp_path: Path, mode: str) -> None:
    """Wes pushes rules that name him alone to the branch, and Ann merges without looking. They came
    by her merge; but he cannot leave by them what came by them, nor does time help him."""
    scene = at_point(tmp_path, mode, At.LANDING)
    rules = scene.snapshot().governance
    after_a_push_of_rules(scene)
    report = scene.tick()
    assert "nor do the changed rules on main hold before that" in report.standing(())
    for _ in range(2):
        scene.forge.close(scene.pull(question(scene)).number, by="wes")
        scene.tick()
    scene.now += 169 * 3600
    scene.tick()
    assert scene.snapshot().governance == rules
    scene.merge(item=question(scene), by="bob")
    scene.tick()
    assert scene.snapshot().governance == rules
    assert json.loads(scene.at_hub("policies/approvals.yaml"))["approvers"][0]["name"] == "ann"
    assert INTRUDED not in [item.rule for item in scene.snapshot().items.values()]


@pytest.mark.parametrize("behind", [False, True], ids=["", "and is behind"])
@pytest.mark.parametrize("mode", ["direct", "pr"])
def test_rules_that_came_by_a_merge_that_is_not_heard(
    tmp_path: Path, mode: str, behind: bool
) -> None:
    """The forge makes no sense about that one pull request: the rules on main may be what came by
    it, and an approver is asked about them. Heard of later, it is asked what to do with it."""
    scene = at_point(tmp_path, mode, At.LANDING)
    rules, number = scene.snapshot().governance, scene.pull().number
    after_a_push_of_rules(scene)
    with answering(Strange(scene.forge, number, behind=behind)):
        scene.tick()
    assert scene.snapshot().governance == rules
    asked = [item for item in scene.snapshot().items.values() if item.kind is ItemKind.GOVERNANCE]
    assert [item.governance for item in asked] == [rules]
    scene.tick()
    assert scene.snapshot().governance == rules
    assert question(scene).pull


def test_rules_that_came_by_a_question_that_was_over(tmp_path: Path) -> None:
    """Wes pushes them to a gate's branch, so that it is asked anew; Ann merges the old one in the
    moment in which it is closed. She let nothing of that through, though it came by her merge."""
    scene = at_point(tmp_path, "direct", At.COMMANDS)
    rules, number = scene.snapshot().governance, scene.pull().number
    value = json.loads(scene.at_hub(RULES)) | {"approvers": approvals(wes=110)}
    scene.forge.push_to(scene.pull().head_ref, {RULES: json.dumps(value)}, "wes")
    meanwhile = happens(scene, "/comments", lambda: scene.forge.merge(number, by="ann"))
    scene.tick()
    assert meanwhile.done
    assert '"wes"' in scene.at_hub(RULES)
    scene.tick()
    assert scene.snapshot().governance == rules
    kinds = [item.kind for item in scene.snapshot().items.values()]
    assert ItemKind.GOVERNANCE in kinds


def test_stop_stays_while_a_merge_may_not_be_heard(tmp_path: Path) -> None:
    """Ann took it away; whether that was by a merge of what others had pushed is not known yet."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    number = scene.pull().number
    scene.forge.push_to("main", {".lifeos/STOP": "stop\n"}, "wes")
    scene.tick()
    scene.forge.push_to("main", {".lifeos/STOP": None}, "ann")
    with answering(Strange(scene.forge, number)):
        scene.tick()
    assert scene.snapshot().stop
    scene.tick()
    assert not scene.snapshot().stop


def test_rules_on_main_while_late_merges_are_not_known(tmp_path: Path) -> None:
    """Bob has refused it. Wes puts it back with rules in it, Ann merges that, and the forge makes
    no sense of what was closed."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    rules, asked = scene.snapshot().governance, scene.pull()
    scene.forge.close(asked.number, by="bob")
    scene.tick()
    value = json.loads(scene.at_hub(RULES)) | {"approvers": approvals(wes=110)}
    scene.forge.git.git("update-ref", f"refs/heads/{asked.head_ref}", asked.head_sha)
    scene.forge.push_to(asked.head_ref, {RULES: json.dumps(value)}, "wes")
    scene.forge.reopen(asked.number, by="wes")
    scene.forge.merge(asked.number, by="ann")
    with answering(Strange(scene.forge, asked.number, behind=True)), pytest.raises(Busy):
        scene.tick()  # nor can it be closed, which is said when all else is done
    assert '"wes"' in scene.at_hub(RULES)
    assert scene.snapshot().governance == rules


def test_rules_that_came_along_hold_once_they_are_left(tmp_path: Path) -> None:
    """An approver says so: then they are what an approver's merge brought."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    rules = scene.snapshot().governance
    after_a_push_of_rules(scene)
    scene.tick()
    scene.forge.close(scene.pull(question(scene)).number, by="bob")
    scene.tick()
    assert scene.snapshot().governance != rules
