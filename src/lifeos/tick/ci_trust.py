"""What a foreign bundle comes to: the facts that the trusted side stands for, and why it refuses.

The attempt's own facts are a claim. What a tree can tell is told from the tree, by the functions
that a tick uses: envelope, guardrails, secrets, syntax. What checks can tell is told by the report
of `lifeos ci check`. Reviews by rule are made again. An attempt may always say that it failed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError

from lifeos.agents import Reply
from lifeos.core.canonical import sha256
from lifeos.core.checkreport import CheckReport, CheckResult
from lifeos.core.envelope import BreachKind
from lifeos.core.guardrails import changed_test_files
from lifeos.core.policy.config import Check
from lifeos.core.policy.council import Seat
from lifeos.core.policy.words import CheckKind
from lifeos.core.records import AttemptFacts, BreachFact
from lifeos.core.review import Review
from lifeos.core.state import Success
from lifeos.core.table import REVIEWS
from lifeos.errors import UsageError
from lifeos.model import Change, FailureClass, Stage
from lifeos.store.diff import patch
from lifeos.store.entries import attempt_path
from lifeos.store.materialize import Imported
from lifeos.store.trees import lookup
from lifeos.tick.attempt import Job, Result, Site, base_tree, failed, redacted, reviewed
from lifeos.tick.attempt import review_by_rule as review_of_text
from lifeos.tick.build import Evidence, judged, known_of
from lifeos.tick.build import review_by_rule as review_of_build
from lifeos.tick.bundle import Bundle, RefusedError
from lifeos.tick.ci_check import Checked
from lifeos.tick.ci_work import unpack
from lifeos.tick.context import Context
from lifeos.tick.evidence import BaseEvidence, acceptance_commands, base_failure
from lifeos.tick.reading import STOP, main_at

_ERROR = re.compile(r"[0-9a-f]{0,64}")
_OURS = {
    "base.json", "checks.json", "design.md", "feedback.md", "packet.json", "packet.md",
    "patch.diff", "plan.md", "review.json", "review.md", "tree",
}  # fmt: skip
"""Artifacts that decide or are read back: they are made here, or taken only where they belong."""

_BREACHES = (
    FailureClass.ENVELOPE_VIOLATION,
    FailureClass.GOVERNANCE_VIOLATION,
    FailureClass.BUDGET_EXCEEDED,
)
MOST_BREACHES = 200
LONGEST_PAUSE = 86_400
"""Seconds for which an attempt may say that its provider wants to be left alone."""
_SLACK = 2.0
"""How far use may be beyond what was set aside: a meter learns prices as it goes."""
_TOLERANCE = 300
"""Seconds by which clocks of two machines may differ."""


class _SettledError(Exception):
    """What the attempt comes to is known before its checks are asked."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def trusted(ctx: Context, site: Site, job: Job, bundle: Bundle, checked: Checked | None) -> Result:
    """What this attempt comes to. Raises ``RefusedError``. Runs nothing but git."""
    _require_possible(ctx, job, bundle)
    match bundle.stage:
        case Stage.BUILD:
            result = _build(ctx, site, job, bundle, checked)
        case Stage.DESIGN | Stage.PLAN:
            result = _text(ctx, job, bundle)
        case stage if stage in REVIEWS:
            result = _review(ctx, site, job, bundle)
        case _:
            raise RefusedError(f"no attempt at {bundle.stage} is made elsewhere")
    facts = result.facts.model_copy(update={"usage": bundle.facts.usage})
    result = Result(facts=facts, artifacts={**_kept(bundle), **result.artifacts})
    return redacted(site, job, result)


def _require_possible(ctx: Context, job: Job, bundle: Bundle) -> None:
    """Refuse what no attempt of this claim can have used, or left."""
    usage, claim = bundle.facts.usage, job.claim
    began = claim.lease_until - job.governance.loop.lease.seconds
    adapter = job.governance.config.agents.adapter(bundle.stage)
    most = 0
    if adapter is not None and adapter.modelled:
        from lifeos.tick.modelled import allowance_of

        most = allowance_of(job).tokens
    if usage.seconds > max(ctx.now() - began, 0) + _TOLERANCE:
        raise RefusedError(f"it says it took {usage.seconds:.0f} seconds, longer than its claim")
    if usage.tokens > most * _SLACK or usage.cost > claim.reserved * _SLACK:
        raise RefusedError(
            f"it says it used {usage.tokens} tokens and ${usage.cost:.2f}, far beyond what its"
            f" claim set aside (${claim.reserved:.2f})"
        )
    if bundle.stage is not Stage.BUILD and (bundle.facts.tree or bundle.work):
        raise RefusedError(f"a {bundle.stage} leaves no tree, and it has one")


def _kept(bundle: Bundle) -> dict[str, bytes]:
    """The artifacts that are only shown: what an agent said and what its calls cost."""
    kept = {name: data for name, data in bundle.artifacts.items() if name not in _OURS}
    base = bundle.artifacts.get("base.json")
    if base is not None:
        try:
            kept["base.json"] = BaseEvidence.model_validate_json(base).to_json()
        except ValidationError:
            raise RefusedError("its base.json is not a report of checks") from None
    return kept


# --- what the attempt says of itself --------------------------------------------------------


def _failure(ctx: Context, job: Job, bundle: Bundle) -> Result:
    """The failure that an attempt reports. It may hurt its own run, and nothing else."""
    told = bundle.facts
    outcome = told.outcome
    if not isinstance(outcome, FailureClass):
        raise RefusedError(f"it says {outcome}, and has nothing to show for it")
    seats = {seat.value for seat in Seat}
    at_review = bundle.stage in REVIEWS
    facts: dict[str, object] = {
        "stopped": told.stopped and _stopped(ctx),
        "error": told.error if _ERROR.fullmatch(told.error) else sha256(told.error),
        "main": job.claim.base if outcome is FailureClass.BASE_RED else "",
        "missing": tuple(s for s in told.missing if s in seats) if at_review else (),
    }
    if told.wake_at is not None:
        facts["wake_at"] = min(max(told.wake_at, 0), ctx.now() + LONGEST_PAUSE)
    kept = ["feedback.md"]
    if outcome in _BREACHES:  # of a tree with a secret in it, which stays where it was made
        facts["breaches"] = _told_breaches(bundle)
        kept.append("patch.diff")
    result = failed(outcome, told.message, **facts)
    more = {name: bundle.artifacts[name] for name in kept if name in bundle.artifacts}
    return Result(result.facts, {**result.artifacts, **more})


def _told_breaches(bundle: Bundle) -> tuple[BreachFact, ...]:
    """The breaches that an attempt names."""
    told = bundle.facts
    if told.outcome not in _BREACHES or len(told.breaches) > MOST_BREACHES:
        raise RefusedError(f"it names {len(told.breaches)} breaches, and says {told.outcome}")
    kinds = {kind.value for kind in BreachKind}
    if any(breach.kind not in kinds for breach in told.breaches):
        raise RefusedError("it names a breach of a kind that there is not")
    return told.breaches


def _stopped(ctx: Context) -> bool:
    """Whether there is a stop that an attempt can have seen. Else its word would pause for ever."""
    tree = main_at(ctx.repo, ctx.main()).tree
    return ctx.stopped_here() or lookup(ctx.repo.objects, tree, STOP) is not None


# --- design and plan --------------------------------------------------------------------------


def _text(ctx: Context, job: Job, bundle: Bundle) -> Result:
    told = bundle.facts
    if told.outcome is not Success.OK:
        return _failure(ctx, job, bundle)
    name = f"{bundle.stage}.md"
    text = bundle.artifacts.get(name)
    if text is None or not text.strip() or sha256(text) != told.artifact:
        raise RefusedError(f"it says ok, and its {name} is missing or another one")
    commands = {command for _, command in acceptance_commands(job)}
    empty = tuple(c for c in told.proves_nothing if c in commands)
    facts = AttemptFacts(
        outcome=Success.OK,
        artifact=told.artifact,
        risk=told.risk,
        proves_nothing=empty if bundle.stage is Stage.DESIGN else (),
    )
    return Result(facts=facts, artifacts={name: text})


# --- reviews --------------------------------------------------------------------------------


def _review(ctx: Context, site: Site, job: Job, bundle: Bundle) -> Result:
    told = bundle.facts
    if isinstance(told.outcome, FailureClass):
        return _failure(ctx, job, bundle)
    floor = _floor(ctx, site, job, bundle.stage)
    if not job.governance.config.agents.review.modelled:
        review = floor
    else:
        from lifeos.tick.ci_review import council_of

        review = council_of(site, job, bundle, floor)
    if review.verdict is not told.outcome:
        raise RefusedError(f"it says {told.outcome}, and the review says {review.verdict}")
    result = reviewed(review)
    forced = result.facts.forced or (review.by == "council" and job.run.forced)
    return Result(result.facts.model_copy(update={"forced": forced}), result.artifacts)


def _floor(ctx: Context, site: Site, job: Job, stage: Stage) -> Review:
    """The review by rule, made again."""
    if stage is not Stage.BUILD_REVIEW:
        return review_of_text(job)
    build = job.run.last_n.get(Stage.BUILD, 0)
    data = ctx.ledger.read(f"{attempt_path(job.run.id, build)}/base.json")
    base = BaseEvidence.model_validate_json(data) if data else BaseEvidence()
    return review_of_build(site, job, base.proves_nothing)


# --- build ----------------------------------------------------------------------------------


def _build(ctx: Context, site: Site, job: Job, bundle: Bundle, checked: Checked | None) -> Result:
    if not bundle.facts.tree:
        if bundle.work:
            raise RefusedError("it has changed files, and its facts name no tree")
        return _failure(ctx, job, bundle)
    tree = _rebuilt(site, job, bundle)
    accepted = bool(job.run.accepted) and job.run.accepted == job.run.work
    if accepted and tree != job.run.work:
        raise RefusedError("its tree is not the one that a person accepted")

    def evidence(tree: str, changes: tuple[Change, ...]) -> Evidence:
        if bundle.facts.breaches:
            raise _SettledError(_breached(site, job, bundle, tree, changes))
        return _evidence(job, bundle, checked, tree, changes, accepted=accepted)

    reply = Reply(usage=bundle.facts.usage)
    try:
        result = judged(site, job, Imported(tree=tree), reply, evidence, accepted=accepted)
    except _SettledError as settled:
        result = settled.result
    if checked is None or not checked.tree:
        return result
    return Result(result.facts, {**result.artifacts, "base.json": checked.on_base.to_json()})


def _rebuilt(site: Site, job: Job, bundle: Bundle) -> str:
    """The tree that the base becomes by the bundle's changes, which must be the one it names."""
    try:
        tree = unpack(site.repo.objects, base_tree(site, job), bundle.work, bundle.blobs)
    except UsageError as error:
        raise RefusedError(f"its changes make no tree: {error.message}") from None
    if tree != bundle.facts.tree:
        raise RefusedError(
            f"its changes give the tree {tree[:12]}, and its facts name {bundle.facts.tree[:12]!r}"
        )
    return tree


def _breached(
    site: Site, job: Job, bundle: Bundle, tree: str, changes: tuple[Change, ...]
) -> Result:
    """Breaches that only the attempt can have seen: a refused command, a repository inside."""
    told = bundle.facts
    breaches = _told_breaches(bundle)
    lines = [f"{b.path}:{b.line}: {b.message}" for b in breaches]
    facts = {
        **known_of(tree, changes, Reply()),
        "error": sha256("\n".join(sorted(lines))),
        "breaches": breaches,
    }
    text = "\n".join(f"- {line}" for line in lines)
    result = failed(FailureClass(told.outcome), told.message, **facts)
    artifacts = {
        "feedback.md": f"The change leaves the envelope:\n\n{text}\n".encode(),
        "patch.diff": patch(site.repo, base_tree(site, job), tree),
    }
    return Result(result.facts, artifacts)


def _evidence(
    job: Job,
    bundle: Bundle,
    checked: Checked | None,
    tree: str,
    changes: tuple[Change, ...],
    *,
    accepted: bool,
) -> Evidence:
    """What the check job found about this very tree, on the terms that hold here."""
    if checked is None:
        raise RefusedError("there is no report of lifeos ci check for it")
    require_terms(job, bundle, checked, tree)
    if checked.failure is not None:
        log = checked.log.encode()
        raise _SettledError(failed(checked.failure, checked.message, log))
    red = base_failure(job, checked.on_base)
    if red is not None:
        raise _SettledError(red)
    files = () if accepted else changed_test_files(changes)
    require_whole(job, checked.evidence, files)
    require_whole(job, Evidence(report=checked.on_base.report), (), acceptance=False)
    return checked.evidence


def require_terms(job: Job, bundle: Bundle, checked: Checked, tree: str) -> None:
    """Refuse a report that was made about something else, or by other rules."""
    run = job.run
    here = (bundle.digest, run.id, bundle.stage, bundle.n, run.governance, run.task_digest)
    there = (
        checked.bundle,
        checked.run,
        checked.stage,
        checked.n,
        checked.governance,
        checked.task,
    )
    if here != there or (checked.base, checked.onto) != (job.claim.base, bundle.onto):
        raise RefusedError("its check report was made on other terms")
    if checked.tree != tree:
        raise RefusedError(f"its check report is about the tree {checked.tree[:12] or '(none)'!r}")


def require_whole(
    job: Job, evidence: Evidence, test_files: tuple[str, ...], *, acceptance: bool = True
) -> None:
    """Refuse a report in which a check of the pinned rules is missing, or passed without saying so.

    The checks that are not fast, and the acceptance, are run only where all before them passed.
    """
    checks = job.governance.config.checks
    report = evidence.report
    fast = [check for check in checks if check.fast] if acceptance else list(checks)
    slow = [check for check in checks if not check.fast] if acceptance else []
    _require_checks(report, fast)
    if all(result.passed for result in report.results[: len(fast)]):
        _require_checks(report, [*fast, *slow])
    elif len(report.results) > len(fast):
        raise RefusedError("its check report went on after a failure")
    if not report.passed:
        return
    again = {result.name for result in report.base_tests}
    if test_files and any(c.kind is CheckKind.TEST and c.name not in again for c in checks):
        raise RefusedError("its check report lacks the tests of the base")
    met = tuple((each.text, each.command) for each in evidence.acceptance)
    wanted = acceptance_commands(job) if acceptance else ()
    stopped = any(not each.passed for each in evidence.acceptance)
    if met != wanted and not (stopped and met == wanted[: len(met)]):
        raise RefusedError("its check report is not about the task's acceptance")


def _require_checks(report: CheckReport, checks: list[Check]) -> None:
    """All of these in their order; after one that was stopped, nothing."""
    results = report.results
    whole = len(results) >= len(checks) or any(r.status.value == "stopped" for r in results)
    pairs: Mapping[str, CheckResult] = {result.name: result for result in results}
    if not whole or len(pairs) < len(results):
        raise RefusedError("its check report lacks a check")
    for check, result in zip(checks, results, strict=False):
        if (check.name, check.run) != (result.name, result.command):
            raise RefusedError(f"its check report has {result.name!r} in the place of {check.name}")
        if result.passed != (result.failure_class is None):
            raise RefusedError(f"its check report contradicts itself about {check.name}")
