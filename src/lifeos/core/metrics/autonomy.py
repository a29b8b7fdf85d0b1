"""The five numbers that are shown by default: does it need the CEO less, and at what price.

What belongs to a run counts with the run, in the window in which it closed. Exact definitions, each
with the decision that it is for and a worked example, are in docs/reference/metrics.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from lifeos.core.chronicle import AttemptPast, QuestionPast, RunPast
from lifeos.core.metrics.values import Better, Metric, Tally, Unit, measured
from lifeos.core.table import REVIEWS
from lifeos.model import CloseOutcome, Decision, FailureClass, ItemKind, Stage, Verdict

Runs = Sequence[RunPast]


def metric(
    name: str,
    title: str,
    tallies: Iterable[Tally],
    *,
    counts: str,
    among: str = "closed runs",
    unit: Unit = Unit.SHARE,
    better: Better = Better.LESS,
    items: bool = False,
    parts: Mapping[str, Iterable[Tally]] | None = None,
    **more: object,
) -> Metric:
    """One number and the parts that have something to measure."""
    lengths = unit is Unit.SECONDS
    whole = measured(name, tallies, lengths=lengths, items=items)
    found = tuple(
        measured(part, of_part, lengths=lengths, items=items)
        for part, of_part in (parts or {}).items()
    )
    return Metric.model_validate(
        {
            **dict(whole),
            "title": title,
            "counts": counts,
            "among": among,
            "unit": unit,
            "better": better,
            "parts": tuple(part for part in found if part.denominator),
            **more,
        }
    )


def without_ceo(runs: Runs) -> Metric:
    """Landed, and no person answered a question of it; of all runs that closed."""
    counted = [Tally(run.id, run.passed and not answered(run)) for run in runs]
    return metric(
        "without_ceo",
        "completed without the CEO",
        counted,
        counts="landed, and no person answered",
        better=Better.MORE,
    )


def answered(run: RunPast) -> bool:
    """Whether a person answered a question of this run."""
    return any(question.by_person for question in run.questions)


def exceptions(run: RunPast) -> Iterator[QuestionPast]:
    """What it asked beside the checkpoints that the policy plans."""
    return (one for one in run.questions if one.kind is not ItemKind.STAGE_REVIEW)


def escalations(runs: Runs) -> Metric:
    """Asked the CEO something that is no planned checkpoint, answered or not."""
    kinds = [kind for kind in ItemKind if any(kind in _kinds(run) for run in runs)]
    return metric(
        "escalations",
        "escalation rate",
        [Tally(run.id, bool(_kinds(run))) for run in runs],
        counts="asked beside the planned checkpoints",
        parts={kind.value: [Tally(run.id, kind in _kinds(run)) for run in runs] for kind in kinds},
    )


def _kinds(run: RunPast) -> set[ItemKind]:
    return {question.kind for question in exceptions(run)}


def time_to_close(runs: Runs) -> Metric:
    """From selection to close: every run that closed, however it ended."""
    return metric(
        "time_to_close",
        "time from selection to close",
        _lengths(runs),
        counts="took, from selection on",
        unit=Unit.SECONDS,
        parts={
            outcome.value: _lengths([run for run in runs if run.outcome is outcome])
            for outcome in CloseOutcome
        },
    )


def _lengths(runs: Runs) -> list[Tally]:
    return [Tally(run.id, run.closed_at - run.at) for run in runs if run.closed_at is not None]


def review_rejections(runs: Runs) -> Metric:
    """Verdicts against, of all verdicts. A review that failed gave none."""
    return metric(
        "review_rejections",
        "review rejection rate",
        _verdicts(runs, REVIEWS),
        counts="were against",
        among="verdicts",
        parts={stage.value: _verdicts(runs, {stage}) for stage in Stage if stage in REVIEWS},
    )


def _verdicts(runs: Runs, stages: Iterable[Stage]) -> list[Tally]:
    def against(attempt: AttemptPast) -> bool:
        return attempt.facts.outcome is not Verdict.ACCEPT

    def verdict(attempt: AttemptPast) -> bool:
        return attempt.stage in stages and isinstance(attempt.facts.outcome, Verdict)

    return attempts(runs, against, verdict)


def attempts(
    runs: Runs, counts: Callable[[AttemptPast], bool], among: Callable[[AttemptPast], bool]
) -> list[Tally]:
    """For each run: how many of its attempts count, among how many."""
    return [
        Tally(run.id, sum(map(counts, of)), len(of))
        for run in runs
        for of in [[attempt for attempt in run.attempts if among(attempt)]]
    ]


def flakes(runs: Runs) -> Metric:
    """Attempts with a test that failed and then passed on the same tree, of those with checks."""

    def checked(attempt: AttemptPast) -> bool:
        return bool(attempt.facts.checks) or _flaky(attempt)

    facts = (attempt.facts for run in runs for attempt in run.attempts)
    names = sorted({one.name for fact in facts for one in fact.checks})
    return metric(
        "flakes",
        "flake frequency",
        attempts(runs, _flaky, checked),
        counts="had a flake",
        among="attempts with checks",
        parts={name: _flakes_of(runs, name) for name in names},
    )


def _flakes_of(runs: Runs, name: str) -> list[Tally]:
    """The same for one check, of the attempts in which it ran."""

    def ran(attempt: AttemptPast) -> bool:
        return any(check.name == name for check in attempt.facts.checks)

    return attempts(runs, lambda one: name in _flaky_checks(one), ran)


def _flaky(attempt: AttemptPast) -> bool:
    flake, facts = FailureClass.TEST_FLAKE, attempt.facts
    return facts.outcome is flake or bool(_flaky_checks(attempt))


def _flaky_checks(attempt: AttemptPast) -> set[str]:
    flake = FailureClass.TEST_FLAKE
    return {check.name for check in attempt.facts.checks if check.failure is flake}


def waivers(runs: Runs) -> Metric:
    """Failures that a person let go, for each run that closed."""
    classes = sorted({name for run in runs for name in _waived(run)})
    return metric(
        "waivers",
        "waivers granted per run",
        [Tally(run.id, len(_waived(run))) for run in runs],
        counts="failures waived",
        unit=Unit.COUNT,
        parts={name: [Tally(run.id, _waived(run).count(name)) for run in runs] for name in classes},
    )


def _waived(run: RunPast) -> list[str]:
    """The failure classes that were waived: a waiver's rule ends with its class."""
    return [
        one.rule.rpartition(":")[2]
        for one in run.questions
        if one.kind is ItemKind.WAIVER and one.by_person and one.decision is Decision.APPROVE
    ]
