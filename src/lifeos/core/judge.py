"""What the policy decides after an attempt: one action, by one named rule.

The rules are asked in this order, and the first that applies decides: stop switch; work that is on
main already and is not found good there; budget; success; no progress; oscillation; a class that
ends at once; retries left; and then the class's own end, which is escalation, a waiver, termination
or a pause.
"""

from __future__ import annotations

from collections.abc import Callable

from lifeos.core.envelope import touches_protected
from lifeos.core.globs import any_match, may_overlap
from lifeos.core.policy import Autonomy, CheckpointRule, Governance, Loop, Route
from lifeos.core.records import AttemptFacts, outcome_class
from lifeos.core.state import Ask, OnApprove, Run, Success, Wake
from lifeos.core.table import (
    MAKER,
    MAY_PASS_YET,
    NOT_OF_THE_TREE,
    NOT_OF_THE_WORK,
    REVIEWS,
    REWORKED_AT_CLOSE,
    TABLE,
    UNVERIFIED,
    WAITS,
    next_stage,
)
from lifeos.model import Action, FailureClass, Frozen, ItemKind, Risk, Stage, Usage, Verdict

MIN_PAUSE = 60
"""Seconds that a pause lasts at least: one of no length would be a retry without any limit."""

_BREACHES = frozenset({FailureClass.ENVELOPE_VIOLATION, FailureClass.GOVERNANCE_VIOLATION})


class Judgement(Frozen):
    """The action after an attempt, the rule that chose it, and what follows from it."""

    action: Action
    rule: str
    to: Stage
    ask: Ask | None = None
    wake: Wake | None = None


class Case(Frozen):
    """One attempt to judge: the run as it was claimed, the facts, the rules, and the time."""

    run: Run
    stage: Stage
    facts: AttemptFacts
    rules: Governance
    now: int

    @property
    def loop(self) -> Loop:
        """The settings of the loop."""
        return self.rules.loop

    @property
    def failure(self) -> FailureClass | None:
        """The failure class of the attempt, or None for a success."""
        return outcome_class(self.facts.outcome)

    @property
    def route(self) -> Route:
        """The policy's routing of this failure."""
        assert self.failure is not None  # noqa: S101  (only asked on failures)
        return self.loop.routing.route(self.failure)


def judge(
    run: Run, stage: Stage, facts: AttemptFacts, governance: Governance, now: int
) -> Judgement:
    """The decision after one attempt. Pure: the same values give the same judgement."""
    case = Case(run=run, stage=stage, facts=facts, rules=governance, now=now)
    return _first(_RULES, case)


def _first(rules: tuple[Callable[[Case], Judgement | None], ...], case: Case) -> Judgement:
    for rule in rules:
        judgement = rule(case)
        if judgement is not None:
            return judgement
    return _own_end(case)


def _stop_switch(case: Case) -> Judgement | None:
    # An attempt that came to its end all the same is not thrown away: nothing follows it anyway.
    if not (case.facts.stopped and isinstance(case.facts.outcome, FailureClass)):
        return None
    wake = Wake(stop=True)
    return Judgement(action=Action.PAUSE, rule="stop_switch", to=case.stage, wake=wake)


def _on_main(case: Case) -> Judgement | None:
    """What a forge has landed cannot be sent back: it is found good there, or a person decides."""
    failure = case.failure
    landed = case.run.merged and case.stage is Stage.CLOSE
    if not landed or failure is None or failure not in REWORKED_AT_CLOSE:
        return None
    left = case.run.retries.get(failure, 0) < case.route.retries
    if failure in MAY_PASS_YET and left and not _attempts_spent(case, failure):
        return _retry(case)
    return _terminate(case, UNVERIFIED)


def spent_budget(run: Run, facts: AttemptFacts, loop: Loop) -> str:
    """The name of the run's budget that this attempt has used up, or ''. Each grant adds one."""
    return budget_used_up(run.usage.plus(facts.usage), run.grants, loop)


def budget_used_up(total: Usage, grants: int, loop: Loop) -> str:
    """The name of the run's budget that this usage is beyond, or ''."""
    budgets, times = loop.budgets, 1 + grants
    if total.tokens > budgets.tokens_per_run * times:
        return "tokens_per_run"
    if total.cost > budgets.cost_per_run * times:
        return "cost_per_run"
    if total.seconds > budgets.seconds_per_run * times:
        return "seconds_per_run"
    return ""


def _budget(case: Case) -> Judgement | None:
    name = spent_budget(case.run, case.facts, case.loop)
    if not name:
        return None
    rest = _first(_RULES[_RULES.index(_budget) + 1 :], case)
    on_approve = OnApprove.AGAIN
    if rest.action is Action.ADVANCE:
        on_approve = OnApprove.ADVANCE
    elif _sends_back(case):
        on_approve = OnApprove.REWORK
    ask = Ask(
        kind=ItemKind.BUDGET,
        rule=f"budget:{name}",
        question=f"{name} is used up; grant the same again?",
        on_approve=on_approve,
        then=rest.ask if rest.ask and _outlives_budget(rest.ask) else None,
    )
    return Judgement(action=Action.PAUSE, rule=f"budget:{name}", to=case.stage, ask=ask)


def _outlives_budget(ask: Ask) -> bool:
    """Whether a grant of more budget leaves this question open. One more attempt answers others."""
    about_content = (ItemKind.STAGE_REVIEW, ItemKind.BREACH, ItemKind.ENVIRONMENT)
    return ask.kind in about_content or ask.rule == "review_rejects"


def _success(case: Case) -> Judgement | None:
    if case.facts.outcome not in (Success.OK, Verdict.ACCEPT):
        return None
    ask = None
    rule = stage_checkpoint(case)
    if rule:
        ask = Ask(
            kind=ItemKind.STAGE_REVIEW,
            rule=rule,
            question=f"{case.stage} is done; go on?",
            on_approve=OnApprove.ADVANCE,
        )
    return Judgement(action=Action.ADVANCE, rule="success", to=next_stage(case.stage), ask=ask)


def stage_checkpoint(case: Case) -> str:
    """The explicit checkpoint rule that holds after this stage, or ''.

    Rules on the packet are asked at the landing (``landing_checkpoint``), where nothing that
    led past the packet in another way can miss them.
    """
    if case.stage in (Stage.PACKET, Stage.CLOSE):
        return ""
    run = case.run
    paths = case.facts.paths or run.paths
    lines = case.facts.lines or run.lines
    risk = max(run.risk, case.facts.risk, key=lambda risk: risk.rank)
    for rule in case.loop.checkpoints:
        touched = _touches(rule, paths, run.scope)
        if rule.stage is case.stage and touched and _rule_holds(rule, len(paths), lines, risk):
            return f"checkpoint:{rule.name}"
    return ""


def _touches(rule: CheckpointRule, paths: tuple[str, ...], scope: tuple[str, ...]) -> bool:
    """Whether the rule's paths are touched; before anything is built, whether they may be."""
    if not rule.paths:
        return True
    if paths or not scope:  # a task without scope may touch anything
        return not paths or any(any_match(rule.paths, path) for path in paths)
    return any(may_overlap(pattern, other) for pattern in rule.paths for other in scope)


def _rule_holds(rule: CheckpointRule, files: int, lines: int, risk: Risk) -> bool:
    """Whether the rule's conditions on risk and size hold."""
    if rule.risk is not None and risk.rank < rule.risk.rank:
        return False
    if rule.lines is not None and lines < rule.lines:
        return False
    return rule.files is None or files >= rule.files


def landing_checkpoint(run: Run, loop: Loop) -> str:
    """The rule by which a person decides before this run lands, or '' when none does."""
    for rule in loop.checkpoints:
        if rule.stage is not Stage.PACKET or not _touches(rule, run.paths, run.scope):
            continue
        if _rule_holds(rule, len(run.paths), run.lines, run.risk):
            return f"checkpoint:{rule.name}"
    if run.forced:
        return f"council:{run.mode}"
    match loop.autonomy:
        case Autonomy.SUPERVISED:
            return "autonomy:supervised"
        case Autonomy.EXCEPTIONS:
            exceptional = run.exceptions > 0 or run.risk is Risk.HIGH
            return "autonomy:exceptions" if exceptional else ""
        case Autonomy.FULL:
            return ""


def asks_by(loop: Loop, run: Run, rule: str) -> bool:
    """Whether a checkpoint of this name, at the stage of the run, is one that these rules want.

    One that was asked anew when other rules came keeps the name of what asked at first.
    """
    if run.stage is Stage.CLOSE:
        return rule == landing_checkpoint(run, loop)
    return rule in {f"checkpoint:{one.name}" for one in loop.checkpoints}


def _escalation(case: Case, rule: str, question: str) -> Judgement:
    kind, on_approve = ItemKind.ESCALATION, OnApprove.AGAIN
    if case.failure in _BREACHES:
        kind = ItemKind.ENVIRONMENT if case.facts.environment else ItemKind.BREACH
        # A tree that may not be kept (a secret in it) cannot be accepted, only made again.
        on_approve = OnApprove.ACCEPT if case.facts.tree else OnApprove.AGAIN
    elif _sends_back(case):
        on_approve = OnApprove.REWORK
    ask = Ask(kind=kind, rule=rule, question=question, on_approve=on_approve)
    return Judgement(action=Action.ESCALATE, rule=rule, to=case.stage, ask=ask)


def _no_progress(case: Case) -> Judgement | None:
    progress, facts = case.loop.progress, case.facts
    if case.failure in NOT_OF_THE_WORK:
        return None
    if case.stage is Stage.BUILD and facts.tree and case.failure not in NOT_OF_THE_TREE:
        recent = (*case.run.trees, facts.tree)[-progress.same_tree :]
        if len(recent) == progress.same_tree and len(set(recent)) == 1:
            return _escalation(
                case,
                "no_progress:same_tree",
                f"the same tree {progress.same_tree} times in a row{_last(case)}; what now?",
            )
    if facts.error:
        errors = (*case.run.errors, facts.error)[-progress.same_error :]
        if len(errors) == progress.same_error and len(set(errors)) == 1:
            return _escalation(
                case,
                "no_progress:same_error",
                f"the same error {progress.same_error} times in a row{_last(case)}; what now?",
            )
    return None


def _last(case: Case) -> str:
    """What failed last, as the end of a clause."""
    return f" ({case.failure}: {case.facts.message or 'no message'})"


def _oscillation(case: Case) -> Judgement | None:
    trees = case.run.trees
    if not (case.loop.progress.oscillation and case.stage is Stage.BUILD and case.facts.tree):
        return None
    if case.failure in NOT_OF_THE_TREE:
        return None
    if len(trees) >= 2 and case.facts.tree == trees[-2] and case.facts.tree != trees[-1]:
        return _escalation(
            case, "oscillation", f"the tree before the last came back{_last(case)}; what now?"
        )
    return None


def _ends_at_once(case: Case) -> Judgement | None:
    if case.facts.outcome is Verdict.REJECT:
        message = f"the review rejects: {case.facts.message or 'no message'}"
        return _escalation(case, "review_rejects", message)
    if case.route.retries > 0:
        return None
    return _end(case, f"ends_at_once:{case.failure}")


def _retries_left(case: Case) -> Judgement | None:
    failure = case.failure
    assert failure is not None  # noqa: S101  (success was decided before)
    used = case.run.reworks.get(case.stage, {}) if _sends_back(case) else case.run.retries
    if used.get(failure, 0) >= case.route.retries:
        return None
    judgement = _no_attempts_left(case, failure)
    if judgement is not None:
        return judgement
    if _sends_back(case):
        rule, target = _rework(case)
        return Judgement(action=Action.REWORK, rule=rule, to=target, wake=_backoff(case))
    return _retry(case)


def _retry(case: Case) -> Judgement:
    return Judgement(action=Action.RETRY, rule="retries_left", to=case.stage, wake=_backoff(case))


def _backoff(case: Case) -> Wake | None:
    return Wake(at=case.now + case.route.backoff) if case.route.backoff else None


def _no_attempts_left(case: Case, failure: FailureClass) -> Judgement | None:
    spent = _attempts_spent(case, failure)
    if not spent:
        return None
    ask = Ask(
        kind=ItemKind.BUDGET,
        rule=f"budget:{spent}",
        question=f"{spent} is used up; grant the same again?",
        on_approve=OnApprove.REWORK if _sends_back(case) else OnApprove.AGAIN,
    )
    return Judgement(action=Action.PAUSE, rule=f"budget:{spent}", to=case.stage, ask=ask)


def _sends_back(case: Case) -> bool:
    """Whether mending it is the work of an earlier stage: trying this one again changes nothing."""
    at_close = case.stage is Stage.CLOSE and case.failure in REWORKED_AT_CLOSE
    return case.facts.outcome is Verdict.REVISE or at_close


def _attempts_spent(case: Case, failure: FailureClass) -> str:
    """The attempt budget that one more attempt would break, or ''."""
    budgets, run = case.loop.budgets, case.run
    times = 1 + run.grants
    if sum(run.stage_attempts.values()) >= budgets.attempts_per_run * times:
        return "attempts_per_run"
    if run.stage_attempts.get(case.stage, 0) >= budgets.attempts_per_stage * times:
        return "attempts_per_stage"
    if run.failures.get(failure, 0) + 1 >= budgets.attempts_per_class * times:
        return "attempts_per_class"
    return ""


def _rework(case: Case) -> tuple[str, Stage]:
    """Where rework begins. Work that was built begins again at the plan, unless it is trivial."""
    if MAKER[case.stage] is not Stage.BUILD:
        return "retries_left", MAKER[case.stage]
    bypass, run = case.loop.bypass, case.run
    failure = case.failure
    causes = case.facts.causes or ((failure,) if failure else ())
    trivial = (
        set(causes) <= set(bypass.classes)
        and failure is not FailureClass.CONFLICT  # only a new plan begins on the new main
        and run.lines <= bypass.lines
        and len(run.paths) <= bypass.files
        and not touches_protected(run.paths, case.rules.envelope)
    )
    return ("bypass", Stage.BUILD) if trivial else ("retries_left", Stage.PLAN)


def _own_end(case: Case) -> Judgement:
    return _end(case, f"exhausted:{case.failure}")


def _end(case: Case, rule: str) -> Judgement:
    """The class's own end, as the routing says."""
    failure, facts = case.failure, case.facts
    question = f"{failure} at {case.stage}: {facts.message or 'no message'}"
    then = case.route.then
    if then is Action.WAIVE:
        return _waiver(case, rule, question)
    if then is Action.TERMINATE:
        return _terminate(case, rule)
    if then is Action.PAUSE:
        return _pause(case, rule, question)
    return _escalation(case, rule, question)


def _terminate(case: Case, rule: str) -> Judgement:
    """The end of the run. Of one whose work is on main it is asked what to do with that."""
    ask = None
    if case.run.merged:
        told = f"is not found good: {case.failure}, {case.facts.message or 'no message'}"
        ask = Ask(kind=ItemKind.PROPOSAL, rule=UNVERIFIED, question=told)
    return Judgement(action=Action.TERMINATE, rule=rule, to=case.stage, ask=ask)


def _waiver(case: Case, rule: str, question: str) -> Judgement:
    """A waiver is only ever asked, and only for the classes that may be waived."""
    allowed = Action.WAIVE in TABLE.get((case.stage, case.facts.outcome), frozenset())
    at_review = case.stage in REVIEWS  # only a seat that gave no verdict can be let go there
    something = case.facts.missing if at_review else case.facts.tree
    if not (allowed and something) or case.failure not in case.loop.waivers.classes:
        return _escalation(case, rule, question)
    ask = Ask(
        kind=ItemKind.WAIVER,
        rule=f"{rule.split(':', maxsplit=1)[0]}:{case.failure}",
        question=question,
        on_approve=OnApprove.AGAIN if at_review else OnApprove.ADVANCE,
    )
    return Judgement(action=Action.WAIVE, rule=rule, to=case.stage, ask=ask)


def _pause(case: Case, rule: str, question: str) -> Judgement:
    if case.failure is FailureClass.BUDGET_EXCEEDED:
        on_approve = OnApprove.ACCEPT if case.facts.tree else OnApprove.AGAIN
        ask = Ask(kind=ItemKind.BUDGET, rule=rule, question=question, on_approve=on_approve)
        return Judgement(action=Action.PAUSE, rule=rule, to=case.stage, ask=ask)
    if case.failure is not None and case.failure not in WAITS:
        judgement = _no_attempts_left(case, case.failure)
        if judgement is not None:
            return judgement
    wake_at = max(case.facts.wake_at or case.now + case.route.backoff, case.now + MIN_PAUSE)
    main = case.facts.main if case.failure is FailureClass.BASE_RED else None
    wake = Wake(at=wake_at, main=main or None)
    return Judgement(action=Action.PAUSE, rule=rule, to=case.stage, wake=wake)


_RULES: tuple[Callable[[Case], Judgement | None], ...] = (
    _stop_switch,
    _on_main,
    _budget,
    _success,
    _no_progress,
    _oscillation,
    _ends_at_once,
    _retries_left,
)
