"""A landing PR that is merged when its question is over: its work is on main, and that is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Project
from lifeos.core.records import Claimed, Held, Opened
from lifeos.core.table import INTRUDED
from lifeos.model import CloseOutcome
from live_values import Asked
from pull_copies import At, answering, at_point
from pull_scene import WORK, OnForge
from strange_answers import Strange

WHY = "was merged when its question was over"


def restored(scene: OnForge, asked: Asked) -> None:
    """Somebody puts the branch back, and opens it again."""
    scene.forge.git.git("update-ref", f"refs/heads/{asked.head_ref}", asked.head_sha)
    scene.forge.reopen(asked.number, by="wes")


def rejected(folder: Path) -> tuple[OnForge, Asked]:
    """An approver closed it, and the run ended."""
    scene = at_point(folder, "pr", At.LANDING)
    asked = scene.pull()
    scene.forge.close(asked.number, by="ann")
    scene.tick()
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.REJECTED]
    return scene, asked


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_rejected_one_that_is_merged_all_the_same(tmp_path: Path, method: str) -> None:
    """Even by an approver, by any method: it is asked once, with the revert that takes it back."""
    scene, asked = rejected(tmp_path)
    before = scene.forge.git.tip("main")
    restored(scene, asked)
    scene.forge.merge(asked.number, by="ann", method=method)
    scene.forge.delete(asked.head_ref, "wes")  # as the forge may do by itself
    since = scene.tip()
    report = scene.tick()
    item = scene.item()
    assert (item.rule, item.onto) == (INTRUDED, before)
    assert WHY in item.question
    assert WHY in report.standing(())
    assert not [r for r in scene.records(since) if isinstance(r, Opened | Claimed)]
    scene.tick()
    assert scene.item() == item.model_copy(update={"pull": scene.item().pull})
    scene.merge(method=method)
    scene.tick()
    assert not scene.on_hub(WORK)
    scene.tick()
    assert not scene.snapshot().items
    assert len([r for r in scene.records() if isinstance(r, Held) and r.rule == INTRUDED]) == 1
    Project(scene.folder).cli("verify")


def test_it_is_left_by_a_close(tmp_path: Path) -> None:
    """An approver says so, and it is not asked about for ever."""
    scene, asked = rejected(tmp_path)
    restored(scene, asked)
    scene.forge.merge(asked.number, by="bob")
    scene.tick()
    scene.forge.close(scene.pull().number, by="ann")
    scene.tick()
    scene.tick()
    assert not scene.snapshot().items
    assert scene.on_hub(WORK)


def test_one_that_is_merged_while_it_is_withdrawn(tmp_path: Path) -> None:
    """Between the look at it and its close: neither an answer to the new question nor unseen."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    asked = scene.pull()
    scene.forge.push_to("main", {WORK: "hello\n"}, "wes")  # it is asked anew of this main
    done: list[str] = []

    def merged(method: str, path: str) -> None:
        if not done and method == "POST" and path.endswith("/pulls"):  # the new one is opened
            done.append(scene.forge.merge(asked.number, by="ann"))

    scene.forge.after = merged
    scene.tick()
    assert done
    assert not scene.ended()
    scene.tick()
    rules = [item.rule for item in scene.snapshot().items.values()]
    assert INTRUDED in rules
    (about,) = (i.about for i in scene.snapshot().items.values() if i.rule == INTRUDED)
    assert about == done[0]


def test_what_has_landed_is_never_asked_about(tmp_path: Path) -> None:
    """Its question was over by its merge."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    scene.merge()
    scene.tick()
    scene.tick()
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.PASS]
    assert not scene.snapshot().items
    assert not scene.snapshot().over


def test_one_that_was_closed_on_time_is_let_be(tmp_path: Path) -> None:
    """Nothing came to main by it; and the forge is asked for all of them with one request."""
    scene, _ = rejected(tmp_path)
    scene.forge.asked.clear()
    scene.tick()
    assert not scene.snapshot().items
    asked = [path for method, path in scene.forge.asked if "state=closed" in path]
    assert len(asked) == 1


def test_another_ones_number_is_not_taken_for_it(tmp_path: Path) -> None:
    """After a move to another repository a number may be anybody's: the branch has to be its."""
    scene, asked = rejected(tmp_path)
    scene.forge.push_to("feature", {"src/new.py": "new = True\n"}, "wes")
    other = scene.forge.open("feature", "main", "A feature", by="wes")
    del scene.forge.pulls[other.number]
    other.number = asked.number
    scene.forge.pulls[asked.number] = other
    scene.forge.merge(asked.number, by="adm")
    scene.tick()
    assert not scene.snapshot().items


def test_a_strange_list_is_said(tmp_path: Path) -> None:
    """Whether one was merged is not known then; all else goes on."""
    scene, asked = rejected(tmp_path)
    with answering(Strange(scene.forge, asked.number)):
        scene.tick()
    assert any("whether a closed question was merged is not known" in line for line in scene.said)
