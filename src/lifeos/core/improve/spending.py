"""What costs more than it brings: seats that decide nothing, and budgets that are too small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil

from lifeos.core.chronicle import AttemptPast, RunPast
from lifeos.core.improve.finding import COUNCIL, LOOP, newest, percent
from lifeos.core.improve.look import Look
from lifeos.core.improve.measure import value_of
from lifeos.core.improve.proposal import (
    Category,
    DropEntry,
    Metric,
    Pattern,
    SetValue,
)
from lifeos.core.improve.thresholds import (
    GRANTED,
    OTHER_VERDICTS,
)
from lifeos.core.improve.trial import Measure, Window
from lifeos.core.policy import Governance
from lifeos.core.records import outcome_class
from lifeos.model import Decision, Mode, Verdict

# --- a seat that never matters, or is always overruled -----------------------------------------


def idle_seats(look: Look) -> Iterator[Pattern]:
    """Seats whose verdict never decided anything."""
    for mode in Mode:
        for index, seat in enumerate(look.rules.council.modes.seats(mode)):
            key = f"{Category.IDLE_SEAT}:{mode}:{seat}"
            sat = [
                (attempt, verdict, council, alone)
                for run in look.runs(key)
                for attempt in run.attempts
                if (said := _said(look, attempt, mode, seat.value)) is not None
                for verdict, council, alone in (said,)
            ]
            against = [council for _, verdict, council, _ in sat if verdict is not Verdict.ACCEPT]
            never = not against and not any(alone for _, _, _, alone in sat)
            overruled = len(against) >= OTHER_VERDICTS and set(against) == {Verdict.ACCEPT}
            need = look.need(Category.IDLE_SEAT, key)
            runs = {attempt.run for attempt, *_ in sat}
            enough = len(sat) >= need.cases and len(runs) >= need.runs
            if not enough or not (never or overruled) or not _may_go(look.rules, mode, seat.value):
                continue
            yield _idle_seat(look, key, mode, index, [attempt for attempt, *_ in sat], len(against))


def _said(
    look: Look, attempt: AttemptPast, mode: Mode, seat: str
) -> tuple[Verdict, Verdict, bool] | None:
    """The seat's verdict, the council's, and whether a finding has its name; None: it gave none."""
    review = look.reviews.get((attempt.run, attempt.n))
    if review is None or review.mode is not mode:
        return None
    found = any(seat in finding.seats for finding in review.findings)
    for sitting in review.seats:
        if sitting.seat == seat and sitting.verdict is not None:
            return sitting.verdict, review.verdict, found
    return None


def _may_go(rules: Governance, mode: Mode, seat: str) -> bool:
    """Whether the mode still has enough without it: a seat, and one that may be independent."""
    rest = [other.value for other in rules.council.modes.seats(mode) if other.value != seat]
    free = {"risk", "risk_adversarial", "governance"}
    return bool(rest) and (seat not in free or not free.isdisjoint(rest))


def _idle_seat(
    look: Look, key: str, mode: Mode, index: int, sat: Sequence[AttemptPast], against: int
) -> Pattern:
    seats = look.rules.council.modes.seats(mode)
    seat, runs = seats[index], len({attempt.run for attempt in sat})
    why = f"overruled {against} times of {against}" if against else "always accepted, found nothing"
    measure, current = _price(look, key, mode)
    return Pattern(
        key=key,
        category=Category.IDLE_SEAT,
        title=f"Take the seat {seat} out of {mode}: {why} in {len(sat)} reviews",
        evidence=(
            f"In {len(sat)} reviews in mode {mode}, in {runs} runs, its verdict decided nothing: "
            f"{why}.",
            f"{mode} has {len(seats)} seats; without it, {len(seats) - 1}.",
        ),
        cases=len(sat),
        runs=runs,
        rests_on=newest([attempt.commit for attempt in sat]),
        edit=DropEntry(path=COUNCIL, key=("modes", mode.value), index=index),
        metric=Metric(
            measure=measure,
            about={"mode": mode.value},
            current=current,
            projected=current * (len(seats) - 1) / len(seats),
            window=Window(runs=20),
        ),
        risk="A reviewer that found nothing so far may be the one that finds the next thing.",
    )


def _price(look: Look, key: str, mode: Mode) -> tuple[Measure, float]:
    """What a review costs: in dollars, where they are known; else in tokens, or in seconds."""
    about, runs = {"mode": mode.value}, look.runs(key)
    for measure in (Measure.REVIEW_COST, Measure.REVIEW_TOKENS):
        found = value_of(measure, about, runs)
        if found:
            return measure, found
    return Measure.REVIEW_SECONDS, value_of(Measure.REVIEW_SECONDS, about, runs) or 0.0


# --- a budget that is always hit ---------------------------------------------------------------

_USED: Mapping[str, Callable[[RunPast], float]] = {
    "tokens_per_run": lambda run: sum(a.facts.usage.tokens for a in run.attempts),
    "cost_per_run": lambda run: sum(a.facts.usage.cost for a in run.attempts),
    "seconds_per_run": lambda run: sum(a.facts.usage.seconds for a in run.attempts),
    "attempts_per_run": lambda run: len(run.attempts),
    "attempts_per_stage": lambda run: max(Counter(a.stage for a in run.attempts).values()),
    "attempts_per_class": lambda run: max(
        Counter(outcome_class(a.facts.outcome) for a in run.attempts if _failed(a)).values(),
        default=0,
    ),
}
"""What a run used of each budget of its own."""


def _failed(attempt: AttemptPast) -> bool:
    return outcome_class(attempt.facts.outcome) is not None


def hit_budgets(look: Look) -> Iterator[Pattern]:
    """Budgets that many runs use up, and that are granted again."""
    for name, used in _USED.items():
        rule = f"budget:{name}"
        key = f"{Category.HIT_BUDGET}:{name}"
        need = look.need(Category.HIT_BUDGET, key)
        runs = look.runs(key)
        asked = [run for run in runs if any(q.rule == rule for q in run.questions)]
        answers = [q for run in asked for q in run.questions if q.rule == rule and q.by_person]
        granted = sum(q.decision is Decision.APPROVE for q in answers)
        share = len(asked) / len(runs) if runs else 0.0
        if len(runs) < need.runs or len(asked) < need.cases or share < need.share:
            continue
        if not answers or granted < GRANTED * len(answers):
            continue
        now: float = getattr(look.rules.loop.budgets, name)
        wanted = enough_for([used(run) for run in runs if run.attempts], now)
        yield Pattern(
            key=key,
            category=Category.HIT_BUDGET,
            title=f"Raise {name} from {now:g} to {wanted:g}: "
            f"{len(asked)} of {len(runs)} runs hit it",
            evidence=(
                f"{len(asked)} of {len(runs)} runs ({percent(share)}) asked because {name} was "
                f"used up; {granted} of {len(answers)} answers granted it.",
                f"Nine of ten of these runs used at most {wanted:g}, as it is rounded.",
            ),
            cases=len(asked),
            runs=len(runs),
            rests_on=newest([q.commit for run in asked for q in run.questions if q.rule == rule]),
            edit=SetValue(path=LOOP, key=("budgets", name), value=wanted),
            metric=hit_metric(name, runs, wanted),
            risk="A run that goes astray uses up more before anybody is asked.",
        )


def hit_metric(name: str, runs: Sequence[RunPast], limit: float) -> Metric:
    """How often the budget asks, and how often it would have with another limit."""
    rule = f"budget:{name}"
    over = sum(_USED[name](run) > limit for run in runs if run.attempts)
    current = value_of(Measure.QUESTIONS, {"rule": rule}, runs) or 0.0
    return Metric(
        measure=Measure.QUESTIONS,
        about={"rule": rule},
        current=current,
        projected=min(current, over / len(runs) if runs else 0.0),
        window=Window(runs=20),
    )


def enough_for(used: Sequence[float], now: float) -> float | int:
    """A limit that nine of ten stay under: rounded up to two digits, and more than there is now."""
    ranked = sorted(used)
    ninth = ranked[ceil(len(ranked) * 0.9) - 1] if ranked else now
    return _rounded(max(ninth, now * 1.25), whole=isinstance(now, int))


def _rounded(value: float, *, whole: bool) -> float | int:
    step = 1.0
    while step * 100 <= value:
        step *= 10
    while not whole and step * 10 > value and step > 0.01:
        step /= 10
    up = ceil(round(value / step, 9)) * step
    return int(up) if whole else round(up, 2)
