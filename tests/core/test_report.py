"""What the report says: chosen, shortened, cleaned and added up; values in, values out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from lifeos.core.chronicle import Chronicle, RunPast
from lifeos.core.metrics.measure import measure
from lifeos.core.metrics.values import Unit
from lifeos.core.report.data import Look, ReportData
from lifeos.core.report.lead import change, lead, period_name
from lifeos.core.report.tell import LANDINGS, look_of, report, shown
from lifeos.core.report.trends import DAY, SHOWN, WEEK, periods, trends
from lifeos.core.report.words import amount, glued, percent, plural, took
from lifeos.core.state import PullRequest
from lifeos.model import FailureClass, Trust, Usage, Verdict
from report_scene import NOW, source

AKIA = "AKIA" + "IOSFODNN7ZZZZZZQ"


def changed(run: RunPast, **update: object) -> RunPast:
    return run.model_copy(update=update)


def with_runs(*runs: RunPast, **more: object) -> ReportData:
    made = source(0)
    chronicle = made.chronicle.model_copy(update={"runs": runs, "at": NOW})
    return report(replace(made, chronicle=chronicle, **more))  # type: ignore[arg-type]


def a_run() -> RunPast:
    return next(run for run in source(30).chronicle.runs if run.passed and run.questions)


def test_what_asks_comes_first_then_what_is_open_then_what_ended_last() -> None:
    found = report(source(60))
    assert found.stories[0].questions[-1].item == "Q-asking01"
    assert [story.outcome is None for story in found.stories] == [True] * 3 + [False] * 47
    ended = [story.closed for story in found.stories[3:]]
    assert ended == sorted(ended, reverse=True, key=lambda at: at or 0)


@pytest.mark.parametrize("most", [0, 1, 7, 50, 500])
def test_only_so_many_runs_are_told_and_all_are_counted(most: int) -> None:
    found = report(replace(source(60), runs=most))
    assert len(found.stories) == min(most, 63)
    assert found.runs == 63
    assert len(shown(source(60).chronicle, most)) == min(most, 63)


def test_landings_are_the_last_ones_newest_first() -> None:
    made = source(60)
    found = report(made)
    passed = [run for run in made.chronicle.runs if run.passed]
    assert found.landed == len(passed) > LANDINGS
    assert [one.at for one in found.landings] == sorted(
        (run.closed_at or 0 for run in passed), reverse=True
    )[:LANDINGS]


def test_a_question_says_what_each_answer_does_and_whether_it_is_answered() -> None:
    made = source(5)
    (asked,) = report(made).waits
    assert [*asked.answers] == ["approve", "revise", "reject"]
    assert (asked.answered, asked.link, asked.merge) == (False, "", False)
    (asked,) = report(replace(made, answered=frozenset({"Q-asking01"}))).waits
    assert asked.answered


def test_a_question_behind_a_pull_request_is_answered_there() -> None:
    made = source(5)
    item = made.snapshot.items["Q-asking01"].model_copy(update={"pull": PullRequest(head="0" * 40)})
    snapshot = made.snapshot.model_copy(update={"items": {item.id: item}})
    links = {item.id: "https://forge.invalid/acme/billing/pull/7"}
    made = replace(made, snapshot=snapshot, links=links, trust=Trust.MERGE)
    (asked,) = report(made).waits
    assert (asked.link, asked.merge) == (links[item.id], True)


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//x", "ext::sh"])
def test_only_a_web_address_is_a_link(link: str) -> None:
    (asked,) = report(replace(source(5), links={"Q-asking01": link})).waits
    assert asked.link == ""


def test_the_head_for_machines_is_left_out_of_the_question() -> None:
    text = "---\nitem: Q\nkind: x\n---\n\n# What is asked\n\n---\nmore\n"
    (asked,) = report(replace(source(5), pending={"Q-asking01": text})).waits
    assert asked.text == "\n# What is asked\n\n---\nmore\n"


def test_foreign_text_is_visible_short_and_without_secrets() -> None:
    nasty = f"a\u202eb\x1b[31mc\u200bd\n{AKIA} " + "x" * 10_000
    one = a_run()
    asked = one.questions[0].model_copy(update={"comment": nasty, "question": nasty})
    attempt = one.attempts[0]
    facts = attempt.facts.model_copy(update={"message": nasty})
    told = changed(
        one,
        title=nasty,
        reason=nasty,
        questions=(asked,),
        attempts=(attempt.model_copy(update={"facts": facts, "rule": nasty}),),
    )
    found = with_runs(told, packets={one.id: nasty * 20}, project=nasty)
    text = found.model_dump_json()
    for sign in ("\u202e", "\x1b", "\\u001b", "\u200b", AKIA):
        assert sign not in text, repr(sign)
    assert "ab" in found.stories[0].title
    assert len(found.stories[0].title) <= 200
    assert len(found.stories[0].packet) < 61_000
    assert "lifeos show --packet" in found.stories[0].packet
    assert len(text) < 80_000


def test_a_secret_of_this_environment_is_taken_out_too() -> None:
    one = changed(a_run(), title="the token is correct-horse-battery")
    found = with_runs(one, secrets=(("TOKEN", "correct-horse-battery"),))
    assert "horse" not in found.model_dump_json()


@pytest.mark.parametrize(
    ("outcome", "look"),
    [
        (Verdict.ACCEPT, Look.GOOD),
        (Verdict.REVISE, Look.AGAINST),
        (Verdict.REJECT, Look.AGAINST),
        (FailureClass.TEST_FAILURE, Look.FAILED),
        (FailureClass.QUOTA, Look.RESTED),
        (FailureClass.BASE_RED, Look.RESTED),
        (FailureClass.INTERRUPTED, Look.RESTED),
    ],
)
def test_each_outcome_has_its_look(outcome: Verdict | FailureClass, look: Look) -> None:
    attempt = a_run().attempts[0]
    facts = attempt.facts.model_copy(update={"outcome": outcome})
    assert look_of(attempt.model_copy(update={"facts": facts})) is look


def test_costs_of_a_run_are_added_up_and_a_guess_stays_one() -> None:
    one = a_run()
    first, second = one.attempts[:2]
    guess = second.facts.model_copy(update={"usage": Usage(cost=0.5, tokens=7, estimated=True)})
    sure = first.facts.model_copy(update={"usage": Usage(cost=0.25, tokens=5)})
    pair = (
        first.model_copy(update={"facts": sure}),
        second.model_copy(update={"facts": guess}),
    )
    (story,) = with_runs(changed(one, attempts=pair)).stories
    assert (story.cost, story.tokens, story.estimated) == (0.75, 12, True)


def test_time_spent_waiting_for_answers_is_told() -> None:
    one = a_run()
    (story,) = with_runs(one).stories
    assert story.waited == sum((q.answered_at or 0) - q.at for q in one.questions)


def test_a_question_that_fell_away_ended_with_its_run() -> None:
    one = a_run()
    asked = one.questions[-1].model_copy(
        update={"decision": None, "who": "", "answered_at": None, "answer": ""}
    )
    (story,) = with_runs(changed(one, questions=(asked,))).stories
    assert (story.questions[0].decision, story.questions[0].ended) == (None, one.closed_at)


def test_yesterdays_money_is_not_todays() -> None:
    made = source(5)
    assert report(made).money.today == 7.4
    later = report(replace(made, now=NOW + DAY)).money
    assert (later.today, later.month) == (0.0, 7.4)
    assert report(replace(made, now=NOW + 40 * DAY)).money.month == 0.0


def test_before_anything_began_there_is_a_report_too() -> None:
    found = report(source(0, ""))
    assert (found.runs, found.stories, found.landings, found.waits) == (0, (), (), ())
    assert lead(found) == "Nothing waits for you; no run has begun yet."
    assert all(figure.value is None for figure in found.trends.figures)


# --- trends ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "size"), [(0, DAY), (1, DAY), (16, DAY), (17, WEEK), (300, WEEK), (364, WEEK)]
)
def test_a_window_is_cut_so_that_it_gives_a_picture(days: int, size: int) -> None:
    cut = list(periods(NOW - days * DAY, NOW))
    assert {one.until - one.since for one in cut} == {size}
    first = min(NOW - days * DAY, NOW - 6 * DAY)
    assert cut[0].since <= first < cut[0].until
    assert cut[-1].since <= NOW < cut[-1].until
    assert all(a.until == b.since for a, b in pairwise(cut))


def test_years_are_cut_into_months_and_only_the_last_are_drawn() -> None:
    cut = list(periods(NOW - 6 * 365 * DAY, NOW))
    assert {round((one.until - one.since) / DAY) for one in cut} <= {28, 29, 30, 31}
    found = trends(source(30).chronicle, NOW - 6 * 365 * DAY, NOW)
    assert len(found.periods) == 53
    assert found.since == found.periods[0].since


def test_the_numbers_are_those_of_metrics() -> None:
    """Over the whole window and in each period: the report computes none of its own."""
    made = source(60)
    found = trends(made.chronicle, None, NOW)
    whole = measure(made.chronicle, found.since, NOW + 1, every=True)
    values = {metric.name: metric.value for metric in whole.metrics}
    assert [figure.name for figure in found.figures] == list(SHOWN)
    assert {figure.name: figure.value for figure in found.figures} == {
        name: values[name] for name in SHOWN
    }
    for i, period in enumerate(found.periods):
        part = measure(made.chronicle, period.since, period.until)
        known = {metric.name: metric.value for metric in part.metrics}
        for figure in found.figures:
            if figure.name in known:
                assert figure.series[i] == known[figure.name]


def test_every_ended_run_is_in_one_column_and_all_money_in_one() -> None:
    made = source(60)
    found = trends(made.chronicle, None, NOW)
    closed = [run for run in made.chronicle.runs if run.closed_at and run.closed_at <= NOW]
    counted = sum(one.alone + one.asked + one.not_landed for one in found.closes)
    assert counted == len(closed)
    spent = sum(a.facts.usage.cost for run in made.chronicle.runs for a in run.attempts)
    assert sum(found.costs) == pytest.approx(spent)


def test_a_ledger_that_rests_shows_when_something_happened_last() -> None:
    """Two years later there is the same half year; unless a person asks for another time."""
    made = source(60)
    ended = [run for run in made.chronicle.runs if run.closed_at]
    later = made.chronicle.model_copy(update={"runs": tuple(ended)})
    last = max(run.closed_at or 0 for run in ended)
    found = trends(later, None, NOW + 700 * DAY)
    assert (found.since, found.until) == (min(run.at for run in ended), last)
    assert found.figures[0].value == trends(later, None, last).figures[0].value
    asked = trends(later, NOW + 600 * DAY, NOW + 700 * DAY)
    assert (asked.since, asked.until) == (NOW + 600 * DAY, NOW + 700 * DAY)
    assert asked.figures[0].value is None


def test_lately_is_compared_with_as_long_before() -> None:
    made = source(60)
    found = report(made)
    assert found.trends.recent == 4
    figure = found.trends.figures[0]
    assert figure.lately is not None
    assert figure.before is not None
    said = change(found, figure)
    assert said is not None
    assert said[1] == ("better" if figure.lately > figure.before else "worse")
    assert said[0].startswith("↑" if figure.lately > figure.before else "↓")


def test_nothing_is_compared_where_there_is_nothing_before() -> None:
    one = changed(a_run(), at=NOW + 600, closed_at=NOW + 900)
    found = with_runs(one, now=NOW + 1000)
    assert period_name(found) == "day"
    assert [change(found, figure) for figure in found.trends.figures] == [None] * len(SHOWN)


def test_a_beginning_in_the_future_is_now() -> None:
    found = trends(source(5).chronicle, NOW + WEEK, NOW)
    assert found.since == NOW
    assert len(found.periods) == 7


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (4000, "1 h 6 min"),
        (90_000, "1 d 1 h"),
        (86_400 * 400, "400 d"),
    ],
)
def test_a_length_of_time_has_two_units(seconds: float, text: str) -> None:
    assert took(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.001, "<1 %"), (0.005, "<1 %"), (0.5, "50 %"), (0.995, ">99 %"), (1, "100 %")],
)
def test_what_is_nearly_all_is_not_all(share: float, text: str) -> None:
    assert percent(share) == text


def test_amounts_and_their_units() -> None:
    assert amount(None, Unit.SHARE) == "n/a"
    assert amount(0.125, Unit.COUNT) == "0.12"
    assert amount(1234, Unit.TOKENS) == "1,234"
    assert amount(1.5, Unit.DOLLARS) == "$1.50"
    assert plural(1, "run") == "1 run"
    assert glued("8 h 19 min in 4 weeks, 85 % of 3 runs") == (
        "8\u00a0h 19\u00a0min in 4\u00a0weeks, 85\u00a0% of 3 runs"
    )


def test_the_lead_counts_what_is_not_answered_yet() -> None:
    made = source(20)
    assert lead(report(made)).startswith("1 question waits for you; 2 runs go on; ")
    answered = report(replace(made, answered=frozenset({"Q-asking01"})))
    assert lead(answered).startswith("Nothing waits for you; ")


def test_an_empty_chronicle_is_no_error_for_the_trends() -> None:
    found = trends(Chronicle(), None, NOW)
    assert sum(found.costs) == 0
