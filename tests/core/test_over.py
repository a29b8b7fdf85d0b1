"""Queue PRs of questions that are over: what should not be merged any more is kept in mind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lifeos.core.records import Topic
from lifeos.core.state import PullRequest
from lifeos.core.table import INTRUDED
from lifeos.model import CloseOutcome, Decision, Stage
from story import TASK, Story

A, V, J = Decision.APPROVE, Decision.REVISE, Decision.REJECT
PULL = PullRequest(head="h" * 40, commits=2, number=7, landing=True)
EDITED = TASK.model_copy(update={"digest": "text2"}).text


def asked(pull: PullRequest = PULL) -> Story:
    """The question before the landing, with its pull request."""
    story = Story().open().until(Stage.CLOSE).hold("stage_review", "autonomy:supervised")
    return story.note(Topic.PULL, item="Q", pull=pull)


ENDS: dict[str, tuple[Callable[[Story], object], bool]] = {
    "rejected": (lambda story: story.answer(J, trust="merge"), True),
    "sent back": (lambda story: story.answer(V, trust="merge"), True),
    "merged": (lambda story: story.answer(A, trust="merge", commit="c"), False),
    "merged, and refused": (lambda story: story.answer(J, trust="merge", commit="c"), True),
    "by a signature": (lambda story: story.answer(A, trust="signature", commit="c"), True),
    "asked anew": (lambda story: story.note(Topic.SUPERSEDED, item="Q", reask=True), True),
    "withdrawn": (lambda story: story.note(Topic.SUPERSEDED, item="Q"), True),
    "cancelled": (lambda story: story.close(CloseOutcome.CANCELLED), True),
    "begun again": (lambda story: story.note(Topic.RESTARTED, run="R", edited=EDITED), True),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_landing_that_was_not_merged_is_kept_in_mind(how: str) -> None:
    """However its question ended: somebody may merge it all the same."""
    end, kept = ENDS[how]
    story = asked()
    end(story)
    assert not story.snapshot.items
    assert story.snapshot.over == ({"Q": PULL} if kept else {})


@pytest.mark.parametrize(
    ("change", "kept"),
    [({"landing": False, "commits": 1}, False), ({"landing": False}, True), ({"number": 0}, False)],
)
def test_what_brings_only_an_answer_is_not_kept_in_mind(
    change: dict[str, object], *, kept: bool
) -> None:
    """Nor is one that was never opened. What takes something back is."""
    story = asked(PULL.model_copy(update=change)).answer(J)
    assert bool(story.snapshot.over) is kept


def test_only_so_many_are_kept_in_mind() -> None:
    """Those that were withdrawn last."""
    story = Story().open().until(Stage.CLOSE)
    for number in range(1, 25):
        item = f"Q{number}"
        story.hold("stage_review", "autonomy:supervised", item)
        story.note(Topic.PULL, item=item, pull=PULL.model_copy(update={"number": number}))
        story.note(Topic.SUPERSEDED, item=item)
    assert [pull.number for pull in story.snapshot.over.values()] == list(range(5, 25))


def test_what_was_asked_about_is_kept_in_mind() -> None:
    """So that it is not asked again when it was answered; other proposals are not meant."""
    story = Story().open()
    story.hold("proposal", INTRUDED, run=None, about="c1").resolve("Q", J)
    story.hold("proposal", "other", run=None, about="c2")
    assert story.snapshot.asked_about == ("c1",)


def test_that_there_were_pull_requests_is_kept_in_mind() -> None:
    """Whoever changes how answers come has some to close."""
    assert not Story().open().snapshot.by_pulls
    assert asked().answer(J).snapshot.by_pulls
