"""What failed, and what a person said, reaches the attempt that can mend it."""

from __future__ import annotations

from lifeos.core.facts import Attempt
from lifeos.core.table import effects
from lifeos.model import Decision, FailureClass, Stage, Verdict
from story import Story


def test_a_rework_from_the_plan_still_tells_the_build() -> None:
    """The review's objection is there when the work is built again, and gone when that is done."""
    story = Story().open().until(Stage.BUILD_REVIEW).attempt(Verdict.REVISE, error="e")
    sent_back = story.run.attempts
    assert (story.run.stage, story.run.feedback) == (Stage.PLAN, sent_back)
    story.attempt().attempt()
    assert (story.run.stage, story.run.feedback) == (Stage.BUILD, sent_back)
    story.attempt()
    assert (story.run.stage, story.run.feedback) == (Stage.BUILD_REVIEW, 0)


def test_a_comment_stays_until_a_build_has_succeeded() -> None:
    """A person says it once: it holds for every attempt until then."""
    story = Story().open().until(Stage.CLOSE)
    story.step().answer(Decision.REVISE, comment="keep the old name")
    assert (story.run.stage, story.run.comment) == (Stage.BUILD, "keep the old name")
    story.attempt(FailureClass.LINT_ERROR, error="e")
    assert story.run.comment == "keep the old name"
    story.attempt()
    assert story.run.comment == ""


def test_what_conflicts_with_main_is_built_on_the_new_main() -> None:
    """Else it would be built on the old base again, and conflict again."""
    story = Story().open().until(Stage.CLOSE).attempt(FailureClass.CONFLICT, error="e")
    assert (story.run.stage, story.run.work) == (Stage.PLAN, "")
    (step,) = story.steps(main="main1")
    assert isinstance(step, Attempt)
    assert step.base == "main1"


def test_a_revise_says_where_the_rework_begins() -> None:
    """At the design while there is no plan; what the person reads is what happens."""
    for reach in (Stage.DESIGN_REVIEW, Stage.PLAN_REVIEW):
        story = Story().open().until(reach).attempt(Verdict.REJECT, error="e").step()
        said = effects(story.item.kind, story.item.stage)[Decision.REVISE]
        story.answer(Decision.REVISE, comment="say it")
        assert story.run.stage in said
