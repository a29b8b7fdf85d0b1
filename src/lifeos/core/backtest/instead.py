"""What an attempt's facts would have been under other rules, as far as its record tells.

The paths and the size of a change, the header of a review and what was used are measured again by
the functions that measured them. What depends on the content of files, or on what somebody would
have said, is not in the facts, and is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lifeos.core.backtest.model import Departure, Otherwise
from lifeos.core.council import AurType, measure, select_mode
from lifeos.core.envelope import Breach, BreachKind, Budget, failure_class, item_kind, judge
from lifeos.core.globs import any_match
from lifeos.core.policy import Council, Envelope, Governance
from lifeos.core.records import AttemptFacts, BreachFact
from lifeos.core.state import Run
from lifeos.model import Change, FailureClass, ItemKind, Mode, Stage

_REVIEWED = {
    Stage.DESIGN_REVIEW: AurType.DESIGN,
    Stage.PLAN_REVIEW: AurType.PLAN,
    Stage.BUILD_REVIEW: AurType.BUILD,
}
_BLOB = "1" * 40
_BY_NAME = frozenset(
    {
        BreachKind.GOVERNANCE,
        BreachKind.PROTECTED,
        BreachKind.OUTSIDE,
        BreachKind.PINNED,
        BreachKind.ENVIRONMENT,
    }
)

HEARD = "what the reviewers of another council would have said"
RAISED = "the mode of a review whose header a seat had raised"
FREED = "how an attempt would have gone on that met one of its own limits"
UNSEEN = "what the checks would have said of a change that was stopped as a breach"
CONTENT = "whether a recorded breach would be one under other settings about content"


@dataclass
class Instead:
    """The facts under the candidate, and what differs in them.

    ``breach``: what the change would have been, and was not; its question is the judge's business.
    ``let_through``: it was a breach, and would have been none; what the checks say is not known.
    ``parts``: why nothing more is known of the run; "" if more is. ``unknown``: what else is not.
    """

    facts: AttemptFacts
    found: list[Otherwise] = field(default_factory=list)
    breach: str = ""
    let_through: bool = False
    parts: str = ""
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sides:
    """A run and its rules as they were, and as they would have been."""

    run: Run
    rules: Governance
    other_run: Run
    other_rules: Governance


def facts_instead(stage: Stage, facts: AttemptFacts, sides: Sides) -> Instead:
    """What the facts of an attempt at ``stage`` would have been."""
    found = Instead(facts)
    _limits(stage, found, sides)
    accepted = bool(sides.run.accepted) and sides.run.accepted == sides.run.work
    if stage is Stage.BUILD and not accepted:
        _reach(found, sides)
    same = sides.rules.council == sides.other_rules.council
    if stage in _REVIEWED and facts.mode is not None and not same:
        _mode(stage, facts.mode, found, sides)
    return found


# --- what one attempt may use up --------------------------------------------------------------


def _limits(stage: Stage, found: Instead, sides: Sides) -> None:
    """An attempt that used more than it might have: its meter would have ended it before.

    One that used less may have been ended too, by the worst case of its last call; nobody knows.
    """
    facts = found.facts
    used = {
        "cost": facts.usage.cost,
        "tokens": float(facts.usage.tokens),
        "requests": float(facts.usage.requests),
    }
    if stage not in _REVIEWED:  # of a council it is the sum of all seats
        used["seconds"] = facts.usage.seconds
    old = _allowed(sides.rules, sides.run)
    new = _allowed(sides.other_rules, sides.other_run)
    for name, value in used.items():
        rule, limit = new[name]
        if old[name][1] >= value > limit:
            told = f"it used {value:g}; {limit:g} would have been its limit"
            found.found.append(Otherwise(Departure.LIMIT_MET, "", f"limit:{rule}", told))
            found.parts = FREED.replace("met", "would have met")
            return
    larger = {name for name in used if new[name][1] > old[name][1]}
    by_meter = facts.outcome is FailureClass.BUDGET_EXCEEDED and not facts.breaches
    by_time = facts.outcome is FailureClass.TIMEOUT and not facts.checks
    if (by_meter and larger - {"seconds"}) or (by_time and "seconds" in larger):
        found.parts = FREED


def _allowed(rules: Governance, run: Run) -> dict[str, tuple[str, float]]:
    """What one attempt of this run may use up, and by which setting."""
    budgets, envelope, times = rules.loop.budgets, rules.envelope, 1 + run.grants
    left = max(budgets.tokens_per_run * times - run.usage.tokens, 0)
    tokens = min(
        ("agent.tokens", float(envelope.agent.tokens * times)),
        ("tokens_per_run", float(left)),
        key=lambda one: one[1],
    )
    seconds = float(min(envelope.limits.seconds, budgets.seconds_per_attempt))
    return {
        "cost": ("reserve_per_attempt", budgets.reserve_per_attempt * times),
        "tokens": tokens,
        "requests": ("agent.requests", float(envelope.agent.requests * times)),
        "seconds": ("seconds_per_attempt", seconds),
    }


# --- what a change may touch ------------------------------------------------------------------


def _reach(found: Instead, sides: Sides) -> None:
    """The envelope, asked again about the paths and the size of the change."""
    facts = found.facts
    if not (facts.paths or facts.breaches) or _same_reach(sides):
        return
    before = _named(facts, sides.run, sides.rules)
    after = _named(facts, sides.other_run, sides.other_rules)
    known = {(breach.kind, breach.path) for breach in before}
    new = [breach for breach in after if (breach.kind, breach.path) not in known]
    remaining = []
    for breach in facts.breaches:
        holds = _holds(breach, facts.paths, after, sides)
        if holds is None:
            found.unknown.append(CONTENT)
        if holds is not False:
            remaining.append(breach)
    if not facts.breaches and not new:
        return
    if facts.breaches and not remaining and not new:
        found.let_through, found.parts = True, UNSEEN
        return
    _breached(found, remaining, new)


def _same_reach(sides: Sides) -> bool:
    """Whether both sets, and what was granted, allow the same changes."""
    one, other = (
        (
            rules.envelope.model_copy(update={"limits": None, "agent": None}),
            rules.envelope.agent.commands,
            _patterns(rules),
            _budget(rules, run),
        )
        for rules, run in ((sides.rules, sides.run), (sides.other_rules, sides.other_run))
    )
    return one == other


def _patterns(rules: Governance) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pinned files of all checks, and the inputs of the environment."""
    pinned = tuple(glob for check in rules.config.checks for glob in check.pinned)
    return pinned, tuple(glob for step in rules.config.prepare for glob in step.inputs)


def _budget(rules: Governance, run: Run) -> Budget:
    budgets, times = rules.loop.budgets, 1 + run.grants
    return Budget(budgets.diff_lines * times, budgets.diff_files * times)


def _named(facts: AttemptFacts, run: Run, rules: Governance) -> tuple[Breach, ...]:
    """What the envelope says of the paths and the size alone."""
    pinned, inputs = _patterns(rules)
    return judge(
        changes_of(facts.paths, facts.lines),
        envelope=rules.envelope.model_copy(update={"secrets": False}),
        budget=_budget(rules, run),
        scope=run.scope,
        pinned=pinned,
        prepare_inputs=inputs,
        contents={},
    )


def changes_of(paths: Iterable[str], lines: int) -> tuple[Change, ...]:
    """Changes of these paths and of this size; all else about them is not recorded."""
    changes: list[Change] = []
    for path in paths:
        changes.append(
            Change(
                status="M",
                path=path,
                old_mode="100644",
                new_mode="100644",
                old_id=_BLOB,
                new_id=_BLOB,
                added=0 if changes else lines,
            )
        )
    return tuple(changes)


def _holds(
    breach: BreachFact, paths: tuple[str, ...], after: Iterable[Breach], sides: Sides
) -> bool | None:
    """Whether a recorded breach would be one still; None: the record does not tell."""
    kind = BreachKind(breach.kind)
    if kind in _BY_NAME:
        if any((other.kind, other.path) == (kind, breach.path) for other in after):
            return True
        return None if breach.path not in paths else False  # a name that was made unreadable
    if kind is BreachKind.BUDGET:
        return any(other.kind is kind for other in after)
    return _holds_by_content(kind, breach.path, sides.rules.envelope, sides.other_rules.envelope)


def _holds_by_content(kind: BreachKind, path: str, old: Envelope, new: Envelope) -> bool | None:
    """The same for what the content decides: only what a setting allows altogether is known."""
    allowed = {
        BreachKind.NEW_FILE: any_match(new.new_files, path),
        BreachKind.BINARY: new.binaries,
        BreachKind.MODE: new.modes,
        BreachKind.SECRET: not new.secrets,
        BreachKind.COMMAND: "*" in new.agent.commands,
    }
    unsure = {
        BreachKind.SYMLINK: new.symlinks != old.symlinks,
        BreachKind.SIZE: new.max_file_bytes > old.max_file_bytes,
        BreachKind.SECRET: new.fake_secrets != old.fake_secrets,
        BreachKind.COMMAND: new.agent.commands != old.agent.commands,
    }
    if allowed.get(kind):
        return False
    return None if unsure.get(kind) else True  # no setting allows the others


def _breached(found: Instead, remaining: list[BreachFact], new: list[Breach]) -> None:
    """The facts of a change that is a breach, in another way than it was or at all."""
    facts = found.facts
    kinds = [Breach(BreachKind(one.kind), one.path, one.message, one.line) for one in remaining]
    breaches = [*kinds, *new]
    if new and not facts.breaches:
        more = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
        found.breach = f"{new[0]}{more}"
    found.facts = facts.model_copy(
        update={
            "outcome": failure_class(breaches) or facts.outcome,
            "environment": item_kind(breaches) is ItemKind.ENVIRONMENT,
            "breaches": tuple(
                BreachFact(kind=one.kind.value, path=one.path, line=one.line, message=one.message)
                for one in breaches
            ),
        }
    )


# --- how many look at it ------------------------------------------------------------------------


def _mode(stage: Stage, recorded: Mode, found: Instead, sides: Sides) -> None:
    old, _ = _select(stage, sides.run, sides.rules.council)
    new, why = _select(stage, sides.run, sides.other_rules.council)
    if old is new:
        return
    if old is not recorded and new.value <= recorded.value:
        found.unknown.append(RAISED)  # a seat held it to be graver; whether it would have sat?
        return
    larger = new.value > recorded.value
    departure = Departure.COUNCIL_LARGER if larger else Departure.COUNCIL_SMALLER
    found.found.append(Otherwise(departure, f"council:{recorded}", f"council:{new}", why))
    found.facts = found.facts.model_copy(update={"mode": new})
    if sides.rules.config.agents.review.modelled or sides.other_rules.config.agents.review.modelled:
        found.parts = HEARD
    else:  # one review by rule, which forces a question unless it is enough by itself
        found.facts = found.facts.model_copy(update={"forced": new is not Mode.M0})


def _select(stage: Stage, run: Run, council: Council) -> tuple[Mode, str]:
    """The mode of a review of this run's work, or of its scope before there is any."""
    built = stage is Stage.BUILD_REVIEW
    changes = changes_of(run.paths, run.lines) if built else ()
    kind = _REVIEWED[stage]
    header = measure(changes, run.tags, run.risk, run.scope, council, aur_type=kind)
    return select_mode(header, has_scope=bool(run.scope))
