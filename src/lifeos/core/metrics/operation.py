"""What operators ask for beside the five (``--all``): price, effort, attention, false greens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from lifeos.core.chronicle import AttemptPast, QuestionPast, RunPast
from lifeos.core.metrics.autonomy import Runs, attempts, metric
from lifeos.core.metrics.values import Better, Link, Metric, Tally, Unit
from lifeos.core.table import MAKER
from lifeos.model import Action, FailureClass, ItemKind, Stage, Usage

Repairs = Mapping[str, Sequence[RunPast]]
"""Landed runs by the tasks and runs that they may repair."""
HASTY = 10
"""Seconds: who answers faster than that has not read what was asked."""
BYPASS = "bypass"
_BUDGET = "budget:"
_REPAIRS = re.compile(
    r"\b(?:fix(?:es|ed)?|bug(?:fix)?|hotfix|repairs?|reverts?|regressions?)\b", re.IGNORECASE
)

_WORD = re.compile(r"[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9]")  # as ids are


# --- price and effort -------------------------------------------------------------------------


def cost_per_landed(runs: Runs) -> Metric:
    """US dollars of all runs that closed, by the tasks that landed: failures are paid for too."""
    return metric(
        "cost_per_landed",
        "cost per landed task",
        _spent(runs, lambda usage: usage.cost),
        counts="US dollars of all closed runs",
        among="landed tasks",
        unit=Unit.DOLLARS,
        estimated=any(one.facts.usage.estimated for run in runs for one in run.attempts),
    )


def tokens_per_landed(runs: Runs) -> Metric:
    """The same for a model's tokens."""
    return metric(
        "tokens_per_landed",
        "tokens per landed task",
        _spent(runs, lambda usage: usage.tokens),
        counts="tokens of all closed runs",
        among="landed tasks",
        unit=Unit.TOKENS,
    )


def _spent(runs: Runs, of: Callable[[Usage], float]) -> list[Tally]:
    landed = _first_of_task(runs, landed=True)
    return [
        Tally(run.id, sum(of(one.facts.usage) for one in run.attempts), first)
        for run, first in zip(runs, landed, strict=True)
    ]


def attempts_per_task(runs: Runs) -> Metric:
    """Attempts that ended, of all runs of a task together."""

    first = list(_first_of_task(runs))
    stages = [Counter(one.stage for one in run.attempts) for run in runs]

    def made(stage: Stage) -> list[Tally]:
        return [
            Tally(run.id, count[stage], of)
            for run, count, of in zip(runs, stages, first, strict=True)
        ]

    return metric(
        "attempts_per_task",
        "attempts per task",
        [Tally(run.id, len(run.attempts), of) for run, of in zip(runs, first, strict=True)],
        counts="attempts",
        among="tasks",
        unit=Unit.COUNT,
        parts={stage.value: made(stage) for stage in Stage if any(one[stage] for one in stages)},
    )


def _first_of_task(runs: Runs, *, landed: bool = False) -> Iterator[int]:
    """1 for the first run of each task (that landed), 0 for every other: tasks, not runs."""
    seen: set[str] = set()
    for run in runs:
        first = run.task not in seen and (run.passed or not landed)
        if first:
            seen.add(run.task)
        yield int(first)


# --- attention --------------------------------------------------------------------------------


def approval_latency(questions: Sequence[QuestionPast]) -> Metric:
    """From the question to the tick that took a person's answer."""
    kinds = [kind for kind in ItemKind if any(one.kind is kind for one in questions)]
    return metric(
        "approval_latency",
        "approval latency",
        _waits(questions),
        counts="took, from question to answer",
        among="answers by a person",
        unit=Unit.SECONDS,
        items=True,
        parts={kind.value: _waits([q for q in questions if q.kind is kind]) for kind in kinds},
    )


def _waits(questions: Sequence[QuestionPast]) -> list[Tally]:
    return [
        Tally(one.run or "", one.answered_at - one.at, item=one.item)
        for one in questions
        if one.answered_at is not None
    ]


def hasty_approvals(questions: Sequence[QuestionPast]) -> Metric:
    """Answers that were taken less than ten seconds after they were asked for."""
    hasty = [one._replace(amount=one.amount < HASTY) for one in _waits(questions)]
    return metric(
        "hasty_approvals",
        "answered in under ten seconds",
        hasty,
        counts=f"came in under {HASTY} seconds",
        among="answers by a person",
        items=True,
    )


# --- the policy at work -----------------------------------------------------------------------


def bypasses(runs: Runs) -> Metric:
    """Reworks of built work that needed no new plan, of all its reworks."""

    def rework(attempt: AttemptPast) -> bool:
        return attempt.action is Action.REWORK and MAKER[attempt.stage] is Stage.BUILD

    counted = attempts(runs, lambda one: one.rule == BYPASS, rework)
    return metric(
        "bypasses",
        "reworks without a new plan",
        counted,
        counts="went straight back to build",
        among="reworks of built work",
        better=Better.NEITHER,
    )


def budget_overruns(runs: Runs) -> Metric:
    """Runs that used a budget up, whatever was answered then."""
    names = sorted({name for run in runs for name in _used_up(run)})
    return metric(
        "budget_overruns",
        "runs over a budget",
        [Tally(run.id, bool(_used_up(run))) for run in runs],
        counts="used a budget up",
        parts={name: [Tally(run.id, name in _used_up(run)) for run in runs] for name in names},
    )


def _used_up(run: RunPast) -> set[str]:
    """The names of the budgets; what an attempt itself may do is "budget_exceeded"."""
    rules = [
        *(one.rule for one in run.attempts),
        *(one.rule for one in run.questions if one.kind is ItemKind.BUDGET),
    ]
    names = {rule.removeprefix(_BUDGET) for rule in rules if rule.startswith(_BUDGET)}
    exceeded = FailureClass.BUDGET_EXCEEDED
    return names | {exceeded.value for one in run.attempts if one.facts.outcome is exceeded}


# --- false greens -----------------------------------------------------------------------------


def false_greens(runs: Runs, repairs: Repairs) -> Metric:
    """Landed runs that were taken back, or that a later run repaired (``repairs_among`` all)."""
    landed = [run for run in runs if run.passed]
    links = [link for run in landed for link in _links(run, repairs)]
    hows = {
        how: {link.run for link in links if link.how == how} for how in ("reverted", "repaired")
    }
    bad = hows["reverted"] | hows["repaired"]
    return metric(
        "false_greens",
        "landed, then reverted or repaired",
        [Tally(run.id, run.id in bad) for run in landed],
        counts="were reverted or repaired",
        among="landed runs",
        parts={how: [Tally(run.id, run.id in of) for run in landed] for how, of in hows.items()},
        links=tuple(links),
    )


def _links(run: RunPast, repairs: Repairs) -> Iterator[Link]:
    if run.reverted_at is not None:
        yield Link(run=run.id, how="reverted", by=run.reverted)
    for later in (*repairs.get(run.task, ()), *repairs.get(run.id, ())):
        if later.id != run.id and later.at >= (run.closed_at or 0):
            yield Link(run=run.id, how="repaired", by=later.id)


def repairs_among(every: Runs) -> Repairs:
    """What may have repaired what: the same task done again, or a run whose title names it and that
    says that it is a repair.

    Nothing is guessed from what they changed: work goes on in the same files for other reasons.
    """
    found: dict[str, list[RunPast]] = {}
    for run in every:
        if run.passed:
            for name in {run.task, *_named(run)}:
                found.setdefault(name, []).append(run)
    return found


def _named(run: RunPast) -> Iterable[str]:
    """The words of a repair's title, among them the names of what it repairs."""
    says = _REPAIRS.search(run.title) or any(_REPAIRS.fullmatch(tag) for tag in run.tags)
    return _WORD.findall(run.title) if says else ()
