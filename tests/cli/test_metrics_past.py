"""The numbers of 200 runs that the real loop made: computed here, and twice more by others."""

from __future__ import annotations

import json
from statistics import mean, median

import pytest

import metrics_again
from conftest import Git
from lifeos.core.chronicle import Chronicle
from lifeos.core.metrics.measure import Period, begin_of, measure, measure_each, periods
from lifeos.core.metrics.values import Metric, Unit, Window
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.chronicle import chronicle_at
from loop_scene import Scene
from past_scene import Run, past, story
from told import lifeos


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A clone of it; nothing here changes it."""
    return past(tmp_path_factory.mktemp("past"))


@pytest.fixture(scope="module")
def chronicle(scene: Scene) -> Chronicle:
    """What happened, as lifeos reads it."""
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        assert ledger.tip == story().ledger
        return chronicle_at(ledger)


@pytest.fixture(scope="module")
def records(scene: Scene) -> metrics_again.Records:
    """What git prints, as json reads it."""
    return metrics_again.records_of(scene.folder)


def whole(chronicle: Chronicle) -> Window:
    """Every number of all of it."""
    return measure(chronicle, begin_of(chronicle), chronicle.at + 1, every=True)


def named(window: Window, name: str) -> Metric:
    return next(one for one in window.metrics if one.name == name)


# --- by another reader --------------------------------------------------------------------------


def test_every_number_is_what_another_reader_computes(
    chronicle: Chronicle, records: metrics_again.Records
) -> None:
    """Of all of it, of each month and of each week: to the last part, run and link."""
    begin, end = begin_of(chronicle), chronicle.at + 1
    windows = [(begin, end), *periods(begin, end, Period.MONTH), *periods(begin, end, Period.WEEK)]
    assert len(windows) > 12
    for window in measure_each(chronicle, windows, every=True):
        again = metrics_again.numbers(records, window.since, window.until)
        assert set(again) == {one.name for one in window.metrics}
        for metric in window.metrics:
            other = again[metric.name]
            assert metric.numerator == pytest.approx(other.numerator), metric.name
            assert metric.denominator == other.denominator, metric.name
            assert metric.median == pytest.approx(other.median), metric.name
            assert set(metric.runs) == other.runs, metric.name
            found = {one.name: (one.numerator, one.denominator) for one in metric.parts}
            assert found == other.parts, metric.name
            assert {(one.run, one.how, one.by) for one in metric.links} == other.links


# --- by those who made it -----------------------------------------------------------------------


def asked_by(run: Run, *kinds: str) -> int:
    """How many of its questions were of these kinds."""
    return sum(one.kind in kinds for one in run.questions)


def test_the_runs_are_those_that_were_planned(chronicle: Chronicle) -> None:
    """As many as the makers saw end, as they saw them end, at those times."""
    told = story()
    window = whole(chronicle)
    assert set(window.closed) == {run.run for run in told.closed}
    assert len(window.closed) == 200
    assert window.landed == sum(run.outcome == "pass" for run in told.closed)
    assert window.open == sum(run.closed_at is None for run in told.runs)
    took = [run.closed_at - run.opened_at for run in told.closed if run.closed_at]
    found = named(window, "time_to_close")
    assert found.value == pytest.approx(mean(took))
    assert found.median == median(took)


def test_who_was_asked_is_what_the_makers_answered(chronicle: Chronicle) -> None:
    """The CEO was needed where the plan has an answer of a person, and nowhere else."""
    told, window = story(), whole(chronicle)
    alone = {
        run.run
        for run in told.closed
        if run.outcome == "pass" and all(not answered(one.who) for one in run.questions)
    }
    assert set(named(window, "without_ceo").runs) == alone
    kinds = ("waiver", "budget", "breach", "escalation", "commands", "environment")
    stuck = {run.run for run in told.closed if asked_by(run, *kinds)}
    assert set(named(window, "escalations").runs) == stuck


def answered(who: str) -> bool:
    return who not in ("", "expiry")


def test_what_was_spent_is_what_the_models_were_told_to_take(chronicle: Chronicle) -> None:
    """Cost and tokens of every attempt that the plan has; attempts, reviews and flakes too."""
    told, window = story(), whole(chronicle)
    attempts = [one for run in told.closed for one in run.attempts]
    assert named(window, "cost_per_landed").numerator == pytest.approx(
        sum(one.cost for one in attempts)
    )
    assert named(window, "tokens_per_landed").numerator == sum(one.tokens for one in attempts)
    landed = {run.task for run in told.closed if run.outcome == "pass"}
    assert named(window, "cost_per_landed").denominator == len(landed)
    verdicts = [one.outcome for one in attempts if one.outcome in ("accept", "revise", "reject")]
    found = named(window, "review_rejections")
    assert found.denominator == len(verdicts)
    assert found.numerator == len(verdicts) - verdicts.count("accept")
    flakes = sum(one.outcome == "test_flake" for one in attempts)
    assert named(window, "flakes").numerator == flakes > 0


def test_what_was_taken_back_is_linked(chronicle: Chronicle) -> None:
    """To the commit that did it."""
    told, window = story(), whole(chronicle)
    links = {
        (one.run, one.by) for one in named(window, "false_greens").links if one.how == "reverted"
    }
    assert links == {(run.run, run.reverted) for run in told.closed if run.reverted_at}
    assert links


def test_there_is_something_of_everything(chronicle: Chronicle) -> None:
    """A number that is nothing is no evidence that it is computed well."""
    for metric in whole(chronicle).metrics:
        assert metric.denominator, metric.name
        assert metric.numerator or metric.name in NEVER, metric.name
        if metric.unit is Unit.SHARE:
            assert 0 <= metric.numerator <= metric.denominator


NEVER = frozenset({"bypasses"})
"""What may not happen in this past."""


# --- by the command -----------------------------------------------------------------------------


def test_the_command_says_the_same(scene: Scene, chronicle: Chronicle) -> None:
    """Through the process, the kept chronicle and JSON; at a commit of main, as it was."""
    command = ("metrics", "--since", "begin", "--all", "--json")
    data = lifeos(scene.folder, *command, "--at", story().ledger).data("metrics")
    assert data["window"] == json.loads(whole(chronicle).model_dump_json())
    middle = Git(scene.folder)("log", "-1", "--skip=300", "--format=%H", "main")
    early = lifeos(scene.folder, *command, "--at", middle).data("metrics")
    assert 0 < len(early["window"]["closed"]) < 200
    assert set(early["window"]["closed"]) < set(data["window"]["closed"])
