"""What happens to a queue PR and is no approval: nothing goes on by it, and it is said why.

``GATE`` is a question that a merge only answers, on a main that lifeos pushes to; ``GATE_BY_PULL``
the same where main takes pull requests only; ``WORK_BY_PULL`` a PR that carries the work itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifeos.core.records import AnyRecord, Claimed, Closed, Finished, Opened, Resolved, Topic
from lifeos.core.state import Item
from lifeos.core.table import INTRUDED
from lifeos.model import CloseOutcome, ItemKind
from pull_acts import (
    after_a_force_push,
    after_a_push,
    after_a_push_of_rules,
    after_an_edit_for_another_subject,
    after_an_edit_that_approves,
    an_evil_merge,
    an_evil_merge_with_an_answer,
    by_a_bot,
    by_a_fork,
    by_a_fork_on_top_of_it,
    by_a_ghost,
    by_a_listed_bot,
    by_a_namesake,
    by_a_writer,
    by_an_admin,
    by_its_author,
    by_somebody_listed_just_now,
    into_another_branch,
    merged_and_edited,
    merged_and_forced_away,
    merged_and_taken_off,
    of_a_ghost,
    only_edited_to_approve,
    only_edited_with_more,
    only_pushed_to,
    only_reviewed,
    only_talked_about,
    pushed_to_main,
    rebased_over_something,
    too_late,
)
from pull_copies import At, at_point
from pull_scene import WORK, OnForge

GATE = ("direct", At.LANDING)
GATE_BY_PULL = ("pr", At.COMMANDS)
WORK_BY_PULL = ("pr", At.LANDING)
EVERYWHERE = (GATE, GATE_BY_PULL, WORK_BY_PULL)
GATES = (GATE, GATE_BY_PULL)
Place = tuple[str, At]
Act = Callable[[OnForge], None]


@dataclass(frozen=True)
class Case:
    """What somebody does, where it has a meaning, and why it does not count."""

    act: Act
    why: str
    places: tuple[Place, ...] = EVERYWHERE


ANEW: dict[str, Case] = {
    "merged by a bot": Case(by_a_bot, "is a bot"),
    "merged by an approver's account that is a bot's": Case(by_a_listed_bot, "is a bot", (GATE,)),
    "merged by its author": Case(by_its_author, "by its own author"),
    "opened by nobody knows whom": Case(of_a_ghost, "does not say who opened it", (GATE,)),
    "merged by nobody knows whom": Case(by_a_ghost, "does not say who it was", (GATE,)),
    "merged by a writer": Case(by_a_writer, "wes (account 110) is no approver"),
    "merged by an admin": Case(by_an_admin, "adm (account 103) is no approver", (GATE,)),
    "a spoofed login": Case(
        by_a_namesake, "ann (account 666) is no approver", (GATE, WORK_BY_PULL)
    ),
    "who listed himself a commit earlier": Case(
        by_somebody_listed_just_now, "is no approver", (GATE, WORK_BY_PULL)
    ),
    "edited to still approve, and merged": Case(
        after_an_edit_that_approves, "somebody pushed to its branch", GATES
    ),
    "edited for another subject, and merged": Case(
        after_an_edit_for_another_subject, "not on main as it was", (GATE,)
    ),
    "edited to revise, with more": Case(
        only_edited_with_more, "somebody pushed to its branch", (GATE,)
    ),
    "merged after expiry": Case(too_late, "after the question had expired"),
    "merged, then the file removed": Case(merged_and_taken_off, "not on main as it was", GATES),
    "payload edited after the merge": Case(merged_and_edited, "not on main as it was", GATES),
    "merged, then main forced back": Case(merged_and_forced_away, "main does not have it"),
    "retargeted, and merged elsewhere": Case(into_another_branch, "pointed at another branch"),
    "a file pushed to the branch": Case(only_pushed_to, "somebody pushed to its branch"),
    "edited to still approve": Case(only_edited_to_approve, "somebody pushed to its branch"),
}
INTRUDES: dict[str, Case] = {
    "a push, then a merge": Case(after_a_push, "something else than lifeos had pushed"),
    "the gate weakened in it": Case(after_a_push_of_rules, "something else than lifeos had pushed"),
    "a force push after the review": Case(after_a_force_push, "something else than lifeos"),
    "rebased with a commit before it": Case(rebased_over_something, "something else than lifeos"),
    "a fork's PR on top of it": Case(by_a_fork_on_top_of_it, "something else than lifeos"),
    "an evil merge with an answer": Case(
        an_evil_merge_with_an_answer, "something else than lifeos", (WORK_BY_PULL,)
    ),
    "an evil merge by hand": Case(an_evil_merge, "something else than lifeos had pushed"),
}
WAITS: dict[str, Case] = {
    "an answer by a fork's PR": Case(by_a_fork, "it was pushed", GATES),
    "an answer pushed to main": Case(pushed_to_main, "it was pushed", (GATE,)),
    "a review that approves": Case(only_reviewed, ""),
    "comments, a draft, the title": Case(only_talked_about, ""),
}


ALSO_BY_PULL = frozenset({"merged by a writer", "a push, then a merge"})
"""Of the cases at a gate, those whose other kind of main the default tests look at, too."""


def places(table: dict[str, Case]) -> list[object]:
    """Each case in each of its places."""
    return [
        pytest.param(
            name,
            place,
            id=f"{name}, {'-'.join(place)}",
            marks=() if place != GATE_BY_PULL or name in ALSO_BY_PULL else pytest.mark.long,
        )
        for name, case in table.items()
        for place in case.places
    ]


def went_on(scene: OnForge, since: str) -> list[AnyRecord]:
    """What would show that a run went on."""
    kinds = (Resolved, Closed, Claimed, Finished, Opened)
    return [record for record in scene.records(since) if isinstance(record, kinds)]


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Place], OnForge]:
    """A project at a place."""
    return lambda place: at_point(tmp_path / "project", *place)


Project = Callable[[Place], OnForge]


def is_landing(scene: OnForge) -> bool:
    """Whether the open question's PR carries the work."""
    pull = scene.item().pull
    return pull is not None and pull.landing


@pytest.mark.parametrize(("name", "place"), places(ANEW))
def test_it_is_asked_anew(project: Project, name: str, place: Place) -> None:
    """The question is asked once more, of what is there; or, if the work came in, about that."""
    scene, case = project(place), ANEW[name]
    old, since, landing = scene.item(), scene.tip(), is_landing(scene)
    asked = scene.pull()
    case.act(scene)
    came_in = landing and asked.merged_at is not None and scene.on_hub(WORK)
    report = scene.tick()
    assert case.why in report.standing(())
    if came_in:
        intruded(scene, old, since, case.why)
        return
    assert went_on(scene, since) == []
    assert not scene.on_hub(WORK)
    (note,) = [n for n in scene.notes(Topic.SUPERSEDED) if n.item == old.id]
    assert case.why in note.text
    twin = next(i for i in scene.snapshot().items.values() if i.kind is old.kind)
    assert (twin.kind, twin.stage, twin.run) == (old.kind, old.stage, old.run)
    assert twin.id != old.id
    assert scene.pull(twin).state == "open"
    assert scene.forge.get(asked.number).state == "closed"
    assert not scene.forge.git.tip(asked.head_ref)


def intruded(scene: OnForge, old: Item, since: str, why: str) -> None:
    """What reached main is asked about, and nothing else begins."""
    found = [i for i in scene.snapshot().items.values() if i.rule == INTRUDED]
    assert [item.kind for item in found] == [ItemKind.PROPOSAL]
    assert why in found[0].question
    assert old.id not in scene.snapshot().items
    if old.pull is not None and old.pull.landing:
        (ended,) = went_on(scene, since)
        assert isinstance(ended, Closed)
        assert (ended.run, ended.outcome) == (old.run, CloseOutcome.CANCELLED)
        assert why in ended.reason
    else:
        assert went_on(scene, since) == []
    assert scene.pull(found[0]).state == "open"


@pytest.mark.parametrize(("name", "place"), places(INTRUDES))
def test_it_is_an_intrusion(project: Project, name: str, place: Place) -> None:
    """Main has what nobody was asked about: whether to take it back is asked; nothing begins."""
    scene, case = project(place), INTRUDES[name]
    old, since = scene.item(), scene.tip()
    case.act(scene)
    report = scene.tick()
    assert case.why in report.standing(())
    assert "nothing begins until it is answered" in report.standing(())
    intruded(scene, old, since, case.why)


@pytest.mark.parametrize(("name", "place"), places(WAITS))
def test_it_is_no_answer(project: Project, name: str, place: Place) -> None:
    """The question stays open as it is."""
    scene, case = project(place), WAITS[name]
    old, since = scene.item(), scene.tip()
    case.act(scene)
    report = scene.tick()
    assert case.why in report.standing(())
    assert went_on(scene, since) == []
    assert scene.item() == old
    assert scene.pull().state == "open"
    assert not scene.on_hub(WORK)
