"""The metrics that proposals declare, computed from the chronicle alone.

Each is a number over runs: those that were looked at when it was proposed, and those that began
after it landed when it is measured. None where nothing happened that could be counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from lifeos.core.chronicle import AttemptPast, Chronicle, RunPast
from lifeos.core.improve.proposal import Metric
from lifeos.core.improve.trial import Measure, Measured
from lifeos.core.metrics.operation import false_greens, repairs_among
from lifeos.core.records import CheckFact, outcome_class
from lifeos.core.table import REVIEWS
from lifeos.model import FailureClass

DAY = 86_400


def value_of(
    measure: Measure,
    about: Mapping[str, str],
    runs: Sequence[RunPast],
    every: Sequence[RunPast] | None = None,
) -> float | None:
    """One metric over these runs; they are closed. ``every``: all runs known, also later ones."""
    if measure is Measure.FALSE_GREENS:
        return false_greens(runs, repairs_among(runs if every is None else every)).value
    return _MEASURES[measure](about, runs)


def measured(metric: Metric, past: Chronicle, since: int, until: int) -> Measured:
    """What came of a metric: over runs opened after ``since`` (seconds) and closed up to ``until``.

    With a window of runs, over the first so many of them that were closed.
    """
    if metric.window.days:
        until = min(until, since + metric.window.days * DAY)
    runs = window_of(past, since, until)
    if metric.window.runs:
        runs = runs[: metric.window.runs]
    later = [run for run in past.runs if since < run.at <= until]
    value = value_of(metric.measure, metric.about, runs, later)
    return Measured(
        measure=metric.measure,
        value=value,
        before=metric.current,
        limit=metric.limit,
        runs=len(runs),
        holds=None if value is None else metric.holds(value),
    )


def window_of(past: Chronicle, since: int, until: int) -> tuple[RunPast, ...]:
    """The runs that began after ``since`` and ended up to ``until``, in the order of their end."""
    found = [
        run
        for run in past.runs
        if run.at > since and run.closed_at is not None and run.closed_at <= until
    ]
    return tuple(sorted(found, key=lambda run: (run.closed_at, run.id)))


def area_of(run: RunPast) -> str:
    """The one top folder that a run is about, by what it changed or by its scope; '' for none."""
    paths = {path for attempt in run.attempts for path in attempt.facts.paths} or set(run.scope)
    tops = {path.split("/", 1)[0] if "/" in path else "" for path in paths}
    only = next(iter(tops)) if len(tops) == 1 else ""
    return "" if any(sign in only for sign in "*?[") else only


def met(run: RunPast, about: Mapping[str, str]) -> tuple[AttemptPast, ...]:
    """The attempts of a run that failed so: by class and stage."""
    return tuple(
        attempt
        for attempt in run.attempts
        if attempt.stage == about["stage"]
        and outcome_class(attempt.facts.outcome) == about["failure"]
    )


def answers_of(run: RunPast, about: Mapping[str, str]) -> Iterator[tuple[AttemptPast, bool]]:
    """The attempts in which a role was asked, and whether its answer did not fit.

    A seat's answer did not fit if the attempt failed for that, and the seat is among the missing.
    """
    for attempt in run.attempts:
        if attempt.stage not in about["stages"].split(" "):
            continue
        unfit = attempt.facts.outcome is FailureClass.VALIDATION_ERROR
        seat = about.get("seat")
        yield attempt, unfit and (seat is None or seat in attempt.facts.missing)


# --- the metrics ------------------------------------------------------------------------------


def _questions(about: Mapping[str, str], runs: Sequence[RunPast]) -> float | None:
    asked = sum(q.rule == about["rule"] for run in runs for q in run.questions)
    return _share(asked, len(runs))


def _failing(about: Mapping[str, str], runs: Sequence[RunPast]) -> float | None:
    area = about.get("area")
    there = [
        run
        for run in runs
        if any(attempt.stage == about["stage"] for attempt in run.attempts)
        and (area is None or area_of(run) == area)
    ]
    return _share(sum(bool(met(run, about)) for run in there), len(there))


def _unfit(about: Mapping[str, str], runs: Sequence[RunPast]) -> float | None:
    found = [bad for run in runs for _, bad in answers_of(run, about)]
    return _share(sum(found), len(found))


def _check_red(about: Mapping[str, str], runs: Sequence[RunPast]) -> float | None:
    had = [
        [fact.status != "passed" for fact in results]
        for run in runs
        if (results := check_results(run, about["check"]))
    ]
    return _share(sum(any(reds) for reds in had), len(had))


def check_results(run: RunPast, check: str) -> list[CheckFact]:
    """Every result of one check in a run; one that was stopped says nothing."""
    return [
        fact
        for attempt in run.attempts
        for fact in attempt.facts.checks
        if fact.name == check and fact.status != "stopped"
    ]


def _reviews(about: Mapping[str, str], runs: Sequence[RunPast]) -> list[AttemptPast]:
    return [
        attempt
        for run in runs
        for attempt in run.attempts
        if attempt.stage in REVIEWS and attempt.facts.mode == about["mode"]
    ]


def _review(use: Callable[[AttemptPast], float]) -> Callable[..., float | None]:
    def mean(about: Mapping[str, str], runs: Sequence[RunPast]) -> float | None:
        found = [use(attempt) for attempt in _reviews(about, runs)]
        return sum(found) / len(found) if found else None

    return mean


def _done(about: Mapping[str, str], runs: Sequence[RunPast]) -> float | None:
    """Tasks that nobody has worked on are not done; so this is never None."""
    tasks = about["tasks"].split(" ")
    done = {run.task for run in runs if run.passed and run.reverted_at is None}
    return _share(sum(task in done for task in tasks), len(tasks))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


_MEASURES: Mapping[Measure, Callable[[Mapping[str, str], Sequence[RunPast]], float | None]] = {
    Measure.QUESTIONS: _questions,
    Measure.FAILING: _failing,
    Measure.UNFIT: _unfit,
    Measure.CHECK_RED: _check_red,
    Measure.REVIEW_COST: _review(lambda attempt: attempt.facts.usage.cost),
    Measure.REVIEW_TOKENS: _review(lambda attempt: float(attempt.facts.usage.tokens)),
    Measure.REVIEW_SECONDS: _review(lambda attempt: attempt.facts.usage.seconds),
    Measure.TASKS_DONE: _done,
}
