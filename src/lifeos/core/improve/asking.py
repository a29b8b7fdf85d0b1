"""Gates that tell nothing: they never ask, are always green, or are approved unread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lifeos.core.chronicle import QuestionPast, RunPast
from lifeos.core.improve.finding import CONFIG, LOOP, newest
from lifeos.core.improve.look import Look
from lifeos.core.improve.measure import check_results, value_of
from lifeos.core.improve.proposal import (
    Category,
    DropEntry,
    Edit,
    Metric,
    Pattern,
    SetValue,
)
from lifeos.core.improve.thresholds import (
    SECONDS,
)
from lifeos.core.improve.trial import Measure, Window
from lifeos.core.policy import Autonomy, CheckpointRule, Governance
from lifeos.model import Action, Decision, Risk

# --- a checkpoint that never asks --------------------------------------------------------------


def idle_rules(look: Look) -> Iterator[Pattern]:
    """Checkpoints that never asked."""
    for index, rule in enumerate(look.rules.loop.checkpoints):
        key = f"{Category.IDLE_RULE}:{rule.name}"
        need = look.need(Category.IDLE_RULE, key)
        runs = [run for run in look.runs(key) if _has_rule(look.set_of(run), rule)]
        name = f"checkpoint:{rule.name}"
        if len(runs) < need.runs or any(q.rule == name for run in runs for q in run.questions):
            continue
        back = value_of(Measure.FALSE_GREENS, {}, runs, look.past.runs)
        yield Pattern(
            key=key,
            category=Category.IDLE_RULE,
            title=f"Remove the checkpoint {rule.name}, which never asked in {len(runs)} runs",
            evidence=(
                f"{len(runs)} runs were under a set with this very checkpoint; it asked in none.",
                f"It asks {_conditions(rule)}.",
            ),
            cases=0,
            runs=len(runs),
            rests_on=newest([run.closed for run in runs]),
            edit=DropEntry(path=LOOP, key=("checkpoints",), index=index),
            metric=Metric(
                measure=Measure.FALSE_GREENS,
                current=back or 0.0,
                projected=back or 0.0,
                window=Window(runs=50),
            ),
            risk="What it is there for may still come; or its paths are misspelt, and it would ask "
            "if they were not.",
        )


def _has_rule(rules: Governance | None, rule: CheckpointRule) -> bool:
    return rules is not None and rule in rules.loop.checkpoints


def _conditions(rule: CheckpointRule) -> str:
    parts = [f"after {rule.stage}"]
    if rule.risk is not None:
        parts.append(f"from risk {rule.risk} on")
    if rule.paths:
        parts.append(f"for {', '.join(rule.paths)}")
    if rule.lines is not None:
        parts.append(f"from {rule.lines} lines on")
    if rule.files is not None:
        parts.append(f"from {rule.files} files on")
    return ", ".join(parts)


# --- a check that is always green --------------------------------------------------------------


def green_checks(look: Look) -> Iterator[Pattern]:
    """Checks that were never red."""
    for index, check in enumerate(look.rules.config.checks):
        if not check.fast:
            continue
        key = f"{Category.GREEN_CHECK}:{check.name}"
        need = look.need(Category.GREEN_CHECK, key)
        had = [(run, found) for run in look.runs(key) if (found := check_results(run, check.name))]
        results = [fact for _, found in had for fact in found]
        red = any(fact.status != "passed" for fact in results)
        if red or len(had) < need.runs or len(results) < need.cases:
            continue
        yield Pattern(
            key=key,
            category=Category.GREEN_CHECK,
            title=f"Run the check {check.name} after the others: {len(results)} results, all green",
            evidence=(
                f"{len(results)} results in {len(had)} runs, and each one passed.",
                "With `fast: false` it runs once the fast checks are green; nothing is built, "
                "reviewed or landed without it.",
            ),
            cases=len(results),
            runs=len(had),
            rests_on=newest([run.closed for run, _ in had]),
            edit=SetValue(path=CONFIG, key=("checks", index, "fast"), value=False),
            metric=Metric(
                measure=Measure.CHECK_RED,
                about={"check": check.name},
                current=0.0,
                projected=0.0,
                window=Window(runs=20),
            ),
            risk="Should it turn red again, an attempt hears of it only after the fast checks.",
        )


# --- a checkpoint that is always approved in seconds -------------------------------------------


def rubber_stamps(look: Look) -> Iterator[Pattern]:
    """Questions that are always approved within seconds."""
    rules = sorted({q.rule for run in look.closed for q in run.questions if q.by_person})
    for rule in rules:
        key = f"{Category.RUBBER_STAMP}:{rule}"
        need = look.need(Category.RUBBER_STAMP, key)
        runs = look.runs(key)
        asked = [(run, q) for run in runs for q in run.questions if q.rule == rule and q.by_person]
        quick = [q for _, q in asked if _seconds(q) < SECONDS]
        refused = any(q.decision is not Decision.APPROVE for _, q in asked)
        if refused or len(asked) < need.cases or len(quick) < need.share * len(asked):
            continue
        change = _less_often(look.rules, rule, [run for run, _ in asked], runs)
        if change is None:
            continue
        edit, told, still = change
        every = value_of(Measure.QUESTIONS, {"rule": rule}, runs) or 0.0
        yield Pattern(
            key=key,
            category=Category.RUBBER_STAMP,
            title=f"{told}: {len(asked)} questions by {rule}, all approved",
            evidence=(
                f"{len(asked)} questions by {rule} were answered, all by an approval; "
                f"{len(quick)} of them in less than {SECONDS} seconds.",
                f"After the change {still} of these {len(runs)} runs would still be asked about.",
            ),
            cases=len(asked),
            runs=len(runs),
            rests_on=newest([q.answer for _, q in asked]),
            edit=edit,
            metric=Metric(
                measure=Measure.QUESTIONS,
                about={"rule": rule},
                current=every,
                projected=min(every, still / len(runs)),
                window=Window(runs=20),
            ),
            risk="An approval within seconds may mean that nobody reads what is asked, not that "
            "nothing is wrong with it.",
        )


def _seconds(question: QuestionPast) -> int:
    return (question.answered_at or question.at) - question.at


def _less_often(
    rules: Governance, rule: str, asked: Sequence[RunPast], runs: Sequence[RunPast]
) -> tuple[Edit, str, int] | None:
    """The change after which it asks less, in words, and how many of the runs it still asks about.

    None where the rules have no say in it.
    """
    if rule == "autonomy:supervised" and rules.loop.autonomy is Autonomy.SUPERVISED:
        still = sum(_exceptional(run) for run in runs)
        edit = SetValue(path=LOOP, key=("autonomy",), value=Autonomy.EXCEPTIONS.value)
        return edit, "Ask before landing only when something was out of the ordinary", still
    name = rule.removeprefix("checkpoint:")
    found = [(n, one) for n, one in enumerate(rules.loop.checkpoints) if one.name == name]
    if not found or name == rule:
        return None
    index, checkpoint = found[0]
    low = all(_risk(run) is Risk.LOW for run in asked)
    if low and checkpoint.risk in (None, Risk.LOW):
        still = sum(_risk(run) is not Risk.LOW for run in runs)
        edit = SetValue(path=LOOP, key=("checkpoints", index, "risk"), value=Risk.MEDIUM.value)
        return edit, f"Let the checkpoint {name} pass low risks", still
    return (
        DropEntry(path=LOOP, key=("checkpoints",), index=index),
        f"Remove the checkpoint {name}",
        0,
    )


def _exceptional(run: RunPast) -> bool:
    asked = any(a.action in (Action.WAIVE, Action.ESCALATE) for a in run.attempts)
    return asked or _risk(run) is Risk.HIGH


def _risk(run: RunPast) -> Risk:
    risks = (run.risk, *(attempt.facts.risk for attempt in run.attempts))
    return max(risks, key=lambda risk: risk.rank)
