"""The numbers: each against a value that was computed by hand, and what must hold of them all."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from lifeos.core.chronicle import Chronicle
from lifeos.core.metrics.limits import held_against, read_limit
from lifeos.core.metrics.measure import (
    Period,
    after,
    earlier,
    measure,
    periods,
    start_of,
)
from lifeos.core.metrics.values import Better, Metric, Unit, Window, median
from lifeos.errors import UsageError
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    FailureClass,
    ItemKind,
    Stage,
    Usage,
)
from pasts import DAY, EXAMPLE, HOUR, MONDAY, WEEK, attempt, check, past, question, run

NAMES = (
    *("without_ceo", "escalations", "time_to_close", "review_rejections", "flakes", "waivers"),
    *("cost_per_landed", "tokens_per_landed", "attempts_per_task", "bypasses", "budget_overruns"),
    *("approval_latency", "hasty_approvals", "false_greens"),
)


def week(chronicle: Chronicle = EXAMPLE, number: int = 0) -> Window:
    """Everything about one week after ``MONDAY``."""
    since = MONDAY + number * WEEK
    return measure(chronicle, since, since + WEEK, every=True)


def named(window: Window, name: str) -> Metric:
    (found,) = (one for one in window.metrics if one.name == name)
    return found


def parts(metric: Metric) -> dict[str, tuple[float, int]]:
    return {one.name: (one.numerator, one.denominator) for one in metric.parts}


# --- the example, by hand -----------------------------------------------------------------------


def test_which_runs_are_in_a_window() -> None:
    """Those that closed in it: not the open one, and not what closed a week later."""
    window = week()
    assert window.closed == ("R-1", "R-2", "R-3", "R-4", "R-5", "R-6")
    assert (window.landed, window.open) == (3, 1)
    assert week(number=1).closed == ("R-8",)
    assert (week(number=-1).closed, week(number=-1).open) == ((), 0)


def test_completed_without_the_ceo() -> None:
    """R-1 asked nothing; what R-4 asked was withdrawn unanswered. R-5 and R-6 were not answered by
    a person either, but did not land: 2 of 6.
    """
    found = named(week(), "without_ceo")
    assert (found.numerator, found.denominator) == (2, 6)
    assert found.value == pytest.approx(1 / 3)
    assert (found.runs, found.better) == (("R-1", "R-4"), Better.MORE)


def test_escalations() -> None:
    """R-3 (twice), R-5 and R-6 asked beside the checkpoints; answered or not is all the same."""
    found = named(week(), "escalations")
    assert (found.numerator, found.denominator, found.value) == (3, 6, 0.5)
    assert found.runs == ("R-3", "R-5", "R-6")
    assert parts(found) == {"waiver": (1, 6), "budget": (1, 6), "escalation": (2, 6)}


def test_time_to_close() -> None:
    """1 + 4 + 6 + 2 + 0.5 + 7 = 20.5 hours by 6; the middle of 0.5 1 2 4 6 7 is 3."""
    found = named(week(), "time_to_close")
    assert found.value == pytest.approx(20.5 * HOUR / 6)
    assert (found.median, found.unit, len(found.runs)) == (3 * HOUR, Unit.SECONDS, 6)
    assert parts(found) == {
        "pass": (7 * HOUR, 3),
        "blocked": (6 * HOUR, 1),
        "rejected": (7 * HOUR, 1),
        "cancelled": (HOUR / 2, 1),
    }


def test_review_rejections() -> None:
    """3 + 4 + 2 + 5 + 1 verdicts, of which two are against. Two reviews failed: no verdict."""
    found = named(week(), "review_rejections")
    assert (found.numerator, found.denominator) == (2, 15)
    assert found.value == pytest.approx(2 / 15)
    assert found.runs == ("R-2", "R-5")
    assert parts(found) == {
        "design_review": (1, 5),
        "plan_review": (0, 5),
        "build_review": (1, 5),
    }


def test_flakes() -> None:
    """1 + 2 + 3 + 2 builds had checks, one of them a flake."""
    found = named(week(), "flakes")
    assert (found.numerator, found.denominator, found.value) == (1, 8, 0.125)
    assert (found.runs, parts(found)) == (("R-3",), {"tests": (1, 8)})


def test_waivers() -> None:
    """One, for six runs."""
    found = named(week(), "waivers")
    assert (found.numerator, found.denominator, found.runs) == (1, 6, ("R-3",))
    assert parts(found) == {"test_failure": (1, 6)}


def test_cost_and_tokens_per_landed_task() -> None:
    """What the failures cost is paid by what landed: three tasks. 41 attempts: 8 builds at 0.50,
    and 33 others at 0.10, each with 1,000 tokens.
    """
    cost = named(week(), "cost_per_landed")
    assert cost.numerator == pytest.approx(7.30)
    assert cost.value == pytest.approx(7.30 / 3)
    tokens = named(week(), "tokens_per_landed")
    assert (tokens.numerator, tokens.denominator) == (41_000, 3)
    assert not cost.estimated


def test_attempts_per_task() -> None:
    """7 + 9 + 8 + 13 + 3 + 1 attempts by five tasks: both runs of LO-c are of one."""
    found = named(week(), "attempts_per_task")
    assert (found.numerator, found.denominator, found.value) == (41, 5, 8.2)
    assert parts(found)["build"] == (8, 5)
    assert sum(one.numerator for one in found.parts) == 41


def test_approval_latency() -> None:
    """2 h, 5 s, 2 h, and 1 h for the run that is still open; not what expired."""
    found = named(week(), "approval_latency")
    assert (found.numerator, found.denominator, found.value) == (18_005, 4, 4501.25)
    assert found.median == 5400
    assert parts(found) == {
        "stage_review": (10_800, 2),
        "waiver": (5, 1),
        "escalation": (7200, 1),
    }
    hasty = named(week(), "hasty_approvals")
    assert (hasty.numerator, hasty.denominator, hasty.value) == (1, 4, 0.25)
    assert hasty.items == (f"Q-waiver-{MONDAY + DAY + 10 * HOUR}",)
    assert hasty.runs == ("R-3",)


def test_bypasses() -> None:
    """Of two reworks of built work, one went back to the plan."""
    found = named(week(), "bypasses")
    assert (found.numerator, found.denominator, found.runs) == (1, 2, ("R-2",))


def test_budget_overruns() -> None:
    """R-5 used one up; its name is the budget's."""
    found = named(week(), "budget_overruns")
    assert (found.numerator, found.denominator, found.runs) == (1, 6, ("R-5",))
    assert parts(found) == {"cost_per_run": (1, 6)}


def test_false_greens() -> None:
    """R-2 was taken back, R-1 is repaired by a run that names its task; R-4 held."""
    found = named(week(), "false_greens")
    assert (found.numerator, found.denominator) == (2, 3)
    assert found.runs == ("R-1", "R-2")
    links = {(link.run, link.how, link.by[:8]) for link in found.links}
    assert links == {("R-1", "repaired", "R-8"), ("R-2", "reverted", "4b825dc6")}
    assert parts(found) == {"reverted": (1, 3), "repaired": (1, 3)}


# --- what is easily wrong -----------------------------------------------------------------------


def test_nothing_to_measure_is_no_value() -> None:
    """A week without runs has no rates, not rates of nothing."""
    window = week(past([]))
    assert [one.name for one in window.metrics] == list(NAMES)
    for metric in window.metrics:
        assert (metric.value, metric.median, metric.denominator) == (None, None, 0), metric.name
        assert not metric.parts, metric.name


def test_the_five_alone_unless_all_are_asked_for() -> None:
    """Flakes and waivers are the fifth."""
    window = measure(EXAMPLE, MONDAY, MONDAY + WEEK)
    assert [one.name for one in window.metrics] == list(NAMES[:6])


def test_the_ends_of_a_window() -> None:
    """What closes in its first second is in it, what closes at its end is in the next."""
    chronicle = past([run("R-1", "T", MONDAY, 1), run("R-2", "T", MONDAY, 2)])
    window = measure(chronicle, MONDAY + HOUR, MONDAY + 2 * HOUR)
    assert (window.closed, window.open) == (("R-1",), 1)


def test_an_answer_by_a_person_counts_whatever_it_was_and_whatever_was_asked() -> None:
    """Also one that was sent back, and one that allowed commands before anything was built."""
    for kind in ItemKind:
        for decision in Decision:
            asked = (question(kind, MONDAY, decision, after=1),)
            window = week(past([run("R-1", "T", MONDAY, 1, questions=asked)]))
            assert named(window, "without_ceo").numerator == 0, (kind, decision)
            planned = kind is ItemKind.STAGE_REVIEW
            assert named(window, "escalations").numerator == (not planned), kind


def test_what_ran_out_of_time_was_answered_by_nobody() -> None:
    """No person had a say, so it counts for nobody's attention."""
    expired = question(ItemKind.STAGE_REVIEW, MONDAY, Decision.REJECT, after=5, who="expiry")
    window = week(past([run("R-1", "T", MONDAY, 1, questions=(expired,))]))
    assert named(window, "without_ceo").numerator == 1
    assert named(window, "approval_latency").denominator == 0


def test_ten_seconds_are_not_under_ten() -> None:
    """Nine are."""
    asked = tuple(
        question(kind, MONDAY, Decision.APPROVE, after=after)
        for kind, after in ((ItemKind.WAIVER, 9), (ItemKind.BUDGET, 10))
    )
    found = named(week(past([run("R-1", "T", MONDAY, 1, questions=asked)])), "hasty_approvals")
    assert (found.numerator, found.items) == (1, (asked[0].item,))


def test_a_question_about_the_rules_belongs_to_no_run() -> None:
    """It counts as an answer, and against no run."""
    asked = question(ItemKind.GOVERNANCE, MONDAY, Decision.APPROVE, after=60)
    window = week(past([run("R-1", "T", MONDAY, 1)], [asked]))
    assert named(window, "without_ceo").value == 1
    assert named(window, "escalations").value == 0
    found = named(window, "approval_latency")
    assert (found.numerator, found.runs, found.items) == (60, (), (asked.item,))


def test_a_waiver_counts_when_a_person_granted_it() -> None:
    """Not one that was refused, sent back, or ran out of time."""
    rule = "exhausted:test_flake"
    granted = [
        named(
            week(
                past(
                    [
                        run(
                            *("R-1", "T", MONDAY, 1),
                            questions=(
                                question(
                                    *(ItemKind.WAIVER, MONDAY, decision),
                                    after=1,
                                    rule=rule,
                                    who=who,
                                ),
                            ),
                        )
                    ]
                )
            ),
            "waivers",
        ).numerator
        for decision, who in (
            (Decision.APPROVE, "ada"),
            (Decision.REVISE, "ada"),
            (Decision.REJECT, "ada"),
            (Decision.REJECT, "expiry"),
        )
    ]
    assert granted == [1, 0, 0, 0]


def test_a_flake_is_seen_behind_a_graver_failure() -> None:
    """The attempt failed by another test: the flaky one flaked all the same."""
    checks = (
        check(FailureClass.TEST_FAILURE, "unit"),
        check(FailureClass.TEST_FLAKE, "slow"),
        check(name="lint"),
    )
    build = attempt(Stage.BUILD, FailureClass.TEST_FAILURE, facts={"checks": checks})
    found = named(week(past([run("R-1", "T", MONDAY, 1, attempts=(build,))])), "flakes")
    assert (found.numerator, found.denominator, parts(found)) == (
        *(1, 1),
        {"unit": (0, 1), "slow": (1, 1), "lint": (0, 1)},
    )


def test_a_task_is_one_however_many_runs_it_had() -> None:
    """Three runs, one task, landed twice: all that was spent is for one."""
    runs = [
        run("R-1", "T", MONDAY, 1, outcome=CloseOutcome.BLOCKED),
        run("R-2", "T", MONDAY + HOUR, 1),
        run("R-3", "T", MONDAY + 2 * HOUR, 1),
    ]
    window = week(past(runs))
    assert named(window, "cost_per_landed").denominator == 1
    assert named(window, "cost_per_landed").numerator == pytest.approx(3 * 1.10)
    assert named(window, "attempts_per_task").value == 21


def test_money_without_anything_landed_has_no_price() -> None:
    """It is shown as spent, and not as free."""
    window = week(past([run("R-1", "T", MONDAY, 1, outcome=CloseOutcome.REJECTED)]))
    found = named(window, "cost_per_landed")
    assert found.numerator == pytest.approx(1.10)
    assert (found.denominator, found.value) == (0, None)


def test_an_estimated_cost_is_said_to_be_one() -> None:
    """Nobody told the price: the sum is a guess too."""
    guess = attempt(Stage.BUILD, facts={"usage": Usage(cost=1.0, estimated=True)})
    found = named(week(past([run("R-1", "T", MONDAY, 1, attempts=(guess,))])), "cost_per_landed")
    assert found.estimated


def test_a_rework_before_anything_was_built_is_none_of_the_bypass() -> None:
    """A design that is sent back has no plan to do without."""
    sent_back = attempt(Stage.DESIGN_REVIEW, action=Action.REWORK)
    window = week(past([run("R-1", "T", MONDAY, 1, attempts=(sent_back,))]))
    assert named(window, "bypasses").denominator == 0


@pytest.mark.parametrize(
    ("past_of", "name"),
    [
        ({"attempts": (attempt(Stage.BUILD, rule="budget:tokens_per_run"),)}, "tokens_per_run"),
        (
            {"attempts": (attempt(Stage.BUILD, FailureClass.BUDGET_EXCEEDED),)},
            "budget_exceeded",
        ),
        (
            {"questions": (question(ItemKind.BUDGET, MONDAY, rule="budget:cost_per_day"),)},
            "cost_per_day",
        ),
    ],
)
def test_every_way_to_use_a_budget_up_counts(past_of: dict[str, object], name: str) -> None:
    """After an attempt, within one, and before the next."""
    found = named(week(past([run("R-1", "T", MONDAY, 1, **past_of)])), "budget_overruns")
    assert (found.numerator, parts(found)) == (1, {name: (1, 1)})


@pytest.mark.parametrize(
    ("more", "repaired"),
    [
        ({"title": "Fix LO-a"}, True),
        ({"title": "Bugfix: R-1 broke it"}, True),
        ({"title": "Say more, see LO-a", "tags": ("regression",)}, True),
        ({"task": "LO-a"}, True),
        ({"title": "Document LO-a"}, False),
        ({"title": "Fix LO-ab"}, False),
        ({"title": "Fix XLO-a"}, False),
        ({"title": "Fix the fixture"}, False),
        ({"title": "Fix LO-a", "outcome": CloseOutcome.BLOCKED}, False),
        ({"title": "Fix LO-a", "at": MONDAY}, False),
    ],
)
def test_what_counts_as_a_repair(more: dict[str, object], repaired: bool) -> None:
    """It landed, was selected after the landing, and is the same task again or says what it mends.
    Work in the same place is no repair.
    """
    later = run("R-2", "LO-b", MONDAY + DAY, 1).model_copy(update=more)
    found = named(week(past([run("R-1", "LO-a", MONDAY, 1), later])), "false_greens")
    assert ("R-1" in found.runs) is repaired
    assert [link.by for link in found.links] == ["R-2"] * repaired


def test_the_median_is_the_middle() -> None:
    """Or the mean of both."""
    assert (median([]), median([3]), median([9, 1, 2]), median([4, 1, 2, 9])) == (None, 3, 2, 3)


# --- weeks and months ---------------------------------------------------------------------------


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    """In UTC, over the ends of years too."""
    assert start_of(at("2026-11-08T23:59:59"), Period.WEEK) == at("2026-11-02")
    assert after(at("2026-12-31T10:00"), Period.WEEK) == at("2027-01-04")
    assert start_of(at("2026-11-30T12:00"), Period.MONTH) == at("2026-11-01")
    assert after(at("2026-12-01"), Period.MONTH) == at("2027-01-01")
    assert earlier(at("2026-02-15"), Period.MONTH, 3) == at("2025-11-01")
    assert earlier(at("2026-11-05"), Period.WEEK, 1) == at("2026-10-26")


def test_a_window_is_cut_without_a_gap() -> None:
    """Its first and last piece may be part of a week or month."""
    cut = list(periods(at("2026-01-30"), at("2026-03-02"), Period.MONTH))
    marks = ("2026-01-30", "2026-02-01", "2026-03-01", "2026-03-02")
    assert cut == [(at(one), at(two)) for one, two in pairwise(marks)]
    assert list(periods(5, 5, Period.WEEK)) == []


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lowest", "kept"),
    [
        ("without_ceo=33%", True, True),
        ("without_ceo=0.34", True, False),
        ("escalations=50%", True, True),
        ("escalations=0.5", False, True),
        ("escalations.waiver=10%", False, False),
        ("time_to_close=4h", False, True),
        ("time_to_close.median=10799", False, False),
        ("time_to_close.pass=2h", False, False),
        ("waivers=0.1", False, False),
        ("cost_per_landed=2.44", False, True),
        ("tokens_per_landed=13000", False, False),
        ("flakes.slow=1%", False, None),
        ("escalations.breach=0%", False, True),
        ("waivers.typo=0.1", True, False),
        ("attempts_per_task.packet=0", False, False),
        ("review_rejections.plan_review=0%", False, True),
        ("approval_latency.breach=1s", False, None),
    ],
)
def test_a_limit_is_kept_or_not(text: str, lowest: bool, kept: bool | None) -> None:
    """In the unit of its number; equal is kept, and what cannot be measured is neither."""
    assert held_against(read_limit(text, week(), lowest=lowest), week()).kept is kept


_NO_LIMITS = (
    *("", "without_ceo", "=1", "without_ceo=", "without_ceo=x", "without_ceo=-1", "without_ceo=2"),
    *("without_ceo=150%", "without_ceo.=1", "nothing=1", "time_to_close=50%", "waivers=5%"),
)


@pytest.mark.parametrize("text", _NO_LIMITS)
def test_what_is_no_limit_is_refused(text: str) -> None:
    """With the names or the forms that there are."""
    with pytest.raises(UsageError) as refused:
        read_limit(text, week(), lowest=True)
    assert refused.value.fix


def test_nothing_keeps_no_limit_and_breaks_none() -> None:
    """Without a run there is no part either that would be none of it."""
    nothing = week(past([]))
    for text in ("escalations.breach=0%", "waivers=0", "time_to_close.median=1s"):
        assert held_against(read_limit(text, nothing, lowest=False), nothing).kept is None


def test_a_part_that_no_window_can_have_is_refused() -> None:
    """Misspelt, it would never be beyond its limit; those that can be are named."""
    with pytest.raises(UsageError, match="no part called 'bulid_review'") as refused:
        read_limit("review_rejections.bulid_review=10%", week(), lowest=False)
    assert "build_review" in refused.value.fix
    with pytest.raises(UsageError, match="no part called 'median'"):
        read_limit("without_ceo.median=10%", week(), lowest=False)
    for metric in week().metrics:
        for part in metric.parts:
            name = f"{metric.name}.{part.name}"
            assert read_limit(f"{name}=1", week(), lowest=False).name == name
