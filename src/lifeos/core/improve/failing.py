"""Failures that recur, and prompts whose answers do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from lifeos.core.chronicle import RunPast
from lifeos.core.improve.finding import newest, percent
from lifeos.core.improve.look import Look
from lifeos.core.improve.measure import answers_of, area_of, met
from lifeos.core.improve.prompting import (
    HINTS,
    ROLE_OF,
    about_failure,
    about_schema,
    is_plain_area,
)
from lifeos.core.improve.proposal import (
    AddTask,
    AddToPrompt,
    Category,
    Edit,
    Metric,
    Pattern,
)
from lifeos.core.improve.thresholds import (
    ANSWERS,
    AREA_HAS,
)
from lifeos.core.improve.trial import Measure, Window
from lifeos.core.policy import Governance
from lifeos.core.prompts import of_seat
from lifeos.core.records import outcome_class
from lifeos.core.table import MAKER, REVIEWS
from lifeos.model import FailureClass, Mode, Stage

_OWN = frozenset({FailureClass.VALIDATION_ERROR, FailureClass.BUDGET_EXCEEDED})
"""Failures that have a pattern of their own."""


# --- a failure class that recurs ---------------------------------------------------------------


def recurring(look: Look) -> Iterator[Pattern]:
    """Failure classes that recur at a stage."""
    seen = {
        (attempt.stage, failure)
        for run in look.closed
        for attempt in run.attempts
        if (failure := outcome_class(attempt.facts.outcome)) is not None and failure not in _OWN
    }
    for stage, failure in sorted(seen):
        about = {"stage": stage.value, "failure": failure.value}
        yield from _recurs(look, about)


def _recurs(look: Look, about: Mapping[str, str]) -> Iterator[Pattern]:
    """The failure as a whole, or of the one area that has most of it."""
    key = f"{Category.RECURRING_FAILURE}:{about['stage']}:{about['failure']}"
    there = _at_stage(look.runs(key), about["stage"])
    cases = [run for run in there if met(run, about)]
    areas = Counter(area for run in cases if is_plain_area(area := area_of(run)))
    area, count = next(iter(areas.most_common(1)), ("", 0))
    if count >= len(cases) * AREA_HAS and len({area_of(run) for run in there}) > 1:
        inside = [run for run in there if area_of(run) == area]
        found = _recurring_in(look, key, {**about, "area": area}, inside)
        if found is not None:
            yield found
            return
    found = _recurring_in(look, key, about, there)
    if found is not None:
        yield found


def _at_stage(runs: Sequence[RunPast], stage: str) -> list[RunPast]:
    return [run for run in runs if any(attempt.stage == stage for attempt in run.attempts)]


def _recurring_in(
    look: Look, key: str, about: Mapping[str, str], runs: Sequence[RunPast]
) -> Pattern | None:
    need = look.need(Category.RECURRING_FAILURE, key)
    cases = [run for run in runs if met(run, about)]
    if len(runs) < need.runs or len(cases) < need.cases or len(cases) < need.share * len(runs):
        return None
    stage, failure = Stage(about["stage"]), FailureClass(about["failure"])
    where = f" in {about['area']}" if "area" in about else ""
    attempts = [attempt for run in cases for attempt in met(run, about)]
    share = len(cases) / len(runs)
    window = Window(runs=max(20, need.runs))
    evidence = (
        f"{len(cases)} of {len(runs)} runs{where} met {failure} at {stage} ({percent(share)}), "
        f"in {len(attempts)} attempts.",
        _ends_of(cases),
    )
    edit, told = _against(look.rules, stage, failure, about.get("area", ""), len(cases), len(runs))
    return Pattern(
        key=key,
        category=Category.RECURRING_FAILURE,
        title=f"{told}: {len(cases)} of {len(runs)} runs{where} met {failure} at {stage}",
        evidence=evidence,
        cases=len(cases),
        runs=len(runs),
        rests_on=newest([attempt.commit for attempt in attempts]),
        edit=edit,
        metric=Metric(
            measure=Measure.FAILING,
            about=about,
            current=share,
            projected=share / 2,
            window=window,
        ),
        risk="The prompt grows, and a model follows a longer one less well."
        if isinstance(edit, AddToPrompt)
        else "A task more, and nothing else.",
    )


def _ends_of(runs: Sequence[RunPast]) -> str:
    ends = Counter(str(run.outcome) for run in runs)
    return "Those runs ended: " + ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))


def _against(
    rules: Governance, stage: Stage, failure: FailureClass, area: str, cases: int, runs: int
) -> tuple[Edit, str]:
    """What to do about it: tell the role that makes the work, where a model does; else a task."""
    maker = MAKER[stage]
    agent = rules.config.agents.adapter(maker)
    if agent is not None and agent.modelled and failure in HINTS:
        role = ROLE_OF[maker]
        return AddToPrompt(role=role, paragraph=about_failure(failure, area)), f"Tell the {role}"
    where = f" in {area}" if area else ""
    return AddTask(
        title=f"Find out why runs{where} end as {failure} at {stage}",
        description=f"{cases} of the last {runs} runs{where} met it. `lifeos log` has them.",
        scope=(f"{area}/**",) if area else (),
        tags=("improve",),
    ), "Find the cause"


# --- a prompt whose answers do not fit ---------------------------------------------------------


def unfit_answers(look: Look) -> Iterator[Pattern]:
    """Roles whose answers often do not fit their schema."""
    for role, about in _asked_roles(look.rules):
        key = f"{Category.UNFIT_ANSWERS}:{role}"
        need = look.need(Category.UNFIT_ANSWERS, key)
        runs = [run for run in look.runs(key) if any(True for _ in answers_of(run, about))]
        answers = [each for run in runs for each in answers_of(run, about)]
        bad = [attempt for attempt, unfit in answers if unfit]
        share = len(bad) / len(answers) if answers else 0.0
        enough = len(runs) >= need.runs and len(answers) >= ANSWERS and len(bad) >= need.cases
        if not enough or share < need.share:
            continue
        yield Pattern(
            key=key,
            category=Category.UNFIT_ANSWERS,
            title=f"Tell {role} again how its answer is written: {len(bad)} of {len(answers)} "
            "did not fit",
            evidence=(
                f"{len(bad)} of {len(answers)} answers of {role} ({percent(share)}), in "
                f"{len(runs)} runs, did not fit their schema, after every correction round.",
            ),
            cases=len(bad),
            runs=len(runs),
            rests_on=newest([attempt.commit for attempt in bad]),
            edit=AddToPrompt(role=role, paragraph=about_schema()),
            metric=Metric(
                measure=Measure.UNFIT,
                about=about,
                current=share,
                projected=share / 2,
                window=Window(runs=20),
            ),
            risk="The prompt grows, and a model follows a longer one less well.",
        )


def _asked_roles(rules: Governance) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The roles that answer by a schema and have a model, each with where it is asked."""
    agents = rules.config.agents
    for stage in (Stage.DESIGN, Stage.PLAN):
        agent = agents.adapter(stage)
        if agent is not None and agent.modelled:
            yield ROLE_OF[stage], {"stages": stage.value}
    if agents.review.modelled:
        seats = {seat for mode in Mode for seat in rules.council.modes.seats(mode)}
        stages = " ".join(stage.value for stage in Stage if stage in REVIEWS)
        for seat in sorted(seats):
            yield of_seat(seat), {"stages": stages, "seat": seat.value}
