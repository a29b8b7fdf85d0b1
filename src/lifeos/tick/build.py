"""The build stage: the agent changes a folder, and lifeos judges what it really did."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from lifeos.agents import Agent, Reply
from lifeos.checks import AcceptanceResult, run_checks
from lifeos.core import leaks
from lifeos.core.canonical import digest_of, sha256
from lifeos.core.checkreport import CheckReport, CheckStatus
from lifeos.core.commandlines import foreign_commands
from lifeos.core.council import AurType, seats
from lifeos.core.envelope import (
    Breach,
    BreachKind,
    Budget,
    failure_class,
    item_kind,
    judge,
    touches_protected,
)
from lifeos.core.guardrails import changed_test_files, weakened
from lifeos.core.offending import with_lines
from lifeos.core.records import AttemptFacts, BreachFact
from lifeos.core.review import Review
from lifeos.core.rulereview import review_build
from lifeos.core.state import Success
from lifeos.core.syntax import broken
from lifeos.model import Change, FailureClass, Frozen, ItemKind, Stage
from lifeos.store.diff import diff, patch
from lifeos.store.materialize import Imported, import_folder
from lifeos.store.trees import walk
from lifeos.tick.attempt import (
    Job,
    Result,
    Site,
    agent_of,
    base_tree,
    council,
    failed,
    failed_reply,
    request_of,
    reviewed,
    with_artifacts,
    work_changes,
    work_folder,
)
from lifeos.tick.evidence import (
    BaseEvidence,
    acceptance,
    base_evidence,
    base_failure,
    check_facts,
    ground,
    pinned_globs,
    prepared,
)

MAX_READ = 8 * 1024 * 1024
"""Bytes of one blob that are looked into; larger ones are judged by their size alone."""


class Evidence(Frozen):
    """What the checks said about a work tree; kept among the artifacts."""

    report: CheckReport = CheckReport()
    acceptance: tuple[AcceptanceResult, ...] = ()
    waived: tuple[FailureClass, ...] = ()


def build(site: Site, job: Job) -> Result:
    """One attempt at the build: agent, import, envelope, syntax, guardrails, checks."""
    base = base_evidence(site, job)
    red = base_failure(job, base)
    if red is not None:
        return red
    accepted = bool(job.run.accepted) and job.run.accepted == job.run.work
    if accepted:
        site.progress("  the patch that a person accepted, as it is")
        checked = _here(site, job, base)
        return judged(site, job, Imported(tree=job.run.work), Reply(), checked, accepted=True)
    return by_agent(site, job, base, agent_of(job, job.claim.stage))


def _start(site: Site, job: Job, agent: Agent) -> str:
    """The tree that the agent begins on.

    One that goes on from its own last tree does so while the plan stands; a new plan is a fresh
    approach, on the base.
    """
    run = job.run
    same_plan = run.last_n.get(Stage.BUILD, 0) > run.last_n.get(Stage.PLAN, 0)
    return run.work if agent.resumes and run.work and same_plan else base_tree(site, job)


def by_agent(site: Site, job: Job, base: BaseEvidence, agent: Agent) -> Result:
    """One attempt by this agent, in a folder of its own, and what lifeos finds in it."""
    tree = base_tree(site, job)
    with work_folder(site, job, _start(site, job, agent)) as folder:
        request = request_of(site, job, site.sandbox, prepared(site, job, tree).folder)
        site.progress(f"  {agent.name} builds")
        if agent.paid:
            from lifeos.tick.modelled import run_modelled

            reply, kept = run_modelled(site, job, agent, request, folder)
        else:
            reply, kept = agent.run(request, folder), {}
        result = failed_reply(site, reply)
        if result is None:
            leftovers = job.governance.envelope.leftovers
            imported = import_folder(site.repo, folder, tree, leftovers=leftovers)
            result = judged(site, job, imported, reply, _here(site, job, base), accepted=False)
            if any(breach.kind == BreachKind.SECRET for breach in result.facts.breaches):
                _quarantine(site, job, folder)
        return with_artifacts(result, kept)


def _quarantine(site: Site, job: Job, folder: Path) -> None:
    """Work with a secret in it is kept on this machine only, for the person to look at."""
    place = site.folder / "quarantine" / f"{job.run.id}.{job.claim.n}"
    place.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(place):
        shutil.rmtree(place)
    folder.rename(place)


Checked = Callable[[str, tuple[Change, ...]], Evidence]
"""Gives what the checks say about a tree that has these changes."""


def _here(site: Site, job: Job, base: BaseEvidence) -> Checked:
    """The checks, run here and now."""

    def checked(tree: str, changes: tuple[Change, ...]) -> Evidence:
        return gather_evidence(site, job, base, tree, changes, against=base_tree(site, job))

    return checked


def judged(
    site: Site,
    job: Job,
    imported: Imported,
    reply: Reply,
    checked: Checked,
    *,
    accepted: bool,
) -> Result:
    """What the tree says, in the order in which it matters: reach, form, then function.

    ``checked`` is asked only about a tree that may be taken. Nothing is run here but what it runs.
    """
    changes = diff(site.repo, base_tree(site, job), imported.tree)
    log = {"log.txt": reply.log} if reply.log else {}
    if not changes and not (imported.nested_git or imported.special):
        message = "nothing was changed"
        result = failed(FailureClass.NO_CHANGE, message, tree=imported.tree, usage=reply.usage)
        return Result(result.facts, {**result.artifacts, **log})
    contents = _contents(site, changes)
    breaches: tuple[Breach, ...] = ()
    if not accepted:
        ran = [(each.command, each.denied) for each in reply.ran]
        foreign = foreign_commands(ran, job.governance.envelope.agent.commands)
        breaches = (*_breaches(site, job, imported, changes, contents), *foreign)
    known = known_of(imported.tree, changes, reply)
    if breaches:
        return _breached(site, job, breaches, known, log)
    problems = broken(changes, contents)
    if problems:
        text = "\n".join(str(problem) for problem in problems)
        result = failed(
            FailureClass.SYNTAX_ERROR,
            str(problems[0]),
            text.encode(),
            **{**known, "error": sha256(text)},
        )
        return Result(result.facts, {**result.artifacts, **log})
    return _checked(site, job, checked(imported.tree, changes), known, log, accepted=accepted)


def known_of(tree: str, changes: tuple[Change, ...], reply: Reply) -> dict[str, object]:
    """The facts that follow from a tree and its changes."""
    paths = sorted({path for change in changes for path in (change.path, change.old_path) if path})
    return {
        "tree": tree,
        "paths": tuple(paths),
        "lines": sum((change.added or 0) + (change.removed or 0) for change in changes),
        "usage": reply.usage,
    }


def _contents(site: Site, changes: tuple[Change, ...]) -> Mapping[str, bytes]:
    """Old and new blobs of the changed files, as far as they are small enough to look into."""
    wanted = {
        oid
        for change in changes
        for oid, mode in ((change.old_id, change.old_mode), (change.new_id, change.new_mode))
        if set(oid) != {"0"} and mode in ("100644", "100755", "120000")
    }
    objects = site.repo.objects
    oids = sorted(wanted)
    sizes = objects.kinds_sizes(oids)
    small = [oid for oid, (_, size) in zip(oids, sizes, strict=True) if size <= MAX_READ]
    return {oid: data for oid, _, data in objects.read_many(small)}


def _breaches(
    site: Site,
    job: Job,
    imported: Imported,
    changes: tuple[Change, ...],
    contents: Mapping[str, bytes],
) -> tuple[Breach, ...]:
    governance = job.governance
    budgets = governance.loop.budgets
    times = 1 + job.run.grants
    inputs = tuple(glob for step in governance.config.prepare for glob in step.inputs)
    outside = judge(
        changes,
        envelope=governance.envelope,
        budget=Budget(budgets.diff_lines * times, budgets.diff_files * times),
        scope=job.run.scope,
        pinned=pinned_globs(job),
        prepare_inputs=inputs,
        contents=contents,
        tree_paths=[leaf.path for leaf in walk(site.repo.objects, imported.tree)],
        nested_git=imported.nested_git,
        special=(*imported.special, *imported.unreadable, *imported.too_large),
        secret_values=site.secret_values(governance),
    )
    found = (*outside, *weakened(changes, contents))
    return with_lines(found, changes, contents, site.secret_values(governance))


def _breached(
    site: Site,
    job: Job,
    breaches: tuple[Breach, ...],
    known: dict[str, object],
    log: dict[str, bytes],
) -> Result:
    """A breach keeps the patch and asks. A tree with a secret in it is not recorded at all."""
    failure = failure_class(breaches) or FailureClass.ENVELOPE_VIOLATION
    lines = [str(breach) for breach in breaches]
    secret = any(breach.kind is BreachKind.SECRET for breach in breaches)
    tree = str(known["tree"])
    shown = patch(site.repo, base_tree(site, job), tree)
    facts = {
        **known,
        "tree": "" if secret else tree,
        "error": digest_of(sorted(lines)),
        "environment": item_kind(breaches) is ItemKind.ENVIRONMENT,
        "breaches": tuple(
            BreachFact(kind=b.kind.value, path=b.path, line=b.line, message=b.message)
            for b in breaches
        ),
    }
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    result = failed(failure, f"{lines[0]}{more}", **facts)
    text = "\n".join(f"- {breach}\n{_quoted(breach.excerpt)}" for breach in breaches)
    values = site.secret_values(job.governance)
    artifacts = {
        **log,
        "feedback.md": f"The change leaves the envelope:\n\n{text}\n".encode(),
        "patch.diff": leaks.redact(shown.decode("utf-8", "replace"), values).encode(),
    }
    return Result(result.facts, artifacts)


def _quoted(excerpt: str) -> str:
    return f"      {excerpt}\n" if excerpt else ""


def _checked(
    site: Site,
    job: Job,
    evidence: Evidence,
    known: dict[str, object],
    log: dict[str, bytes],
    *,
    accepted: bool,
) -> Result:
    """What the checks on the tree come to."""
    artifacts = {**log, "checks.json": evidence.model_dump_json(indent=1).encode()}
    report = evidence.report
    facts = {**known, "checks": check_facts(report), "error": report.error_digest}
    if any(result.status is CheckStatus.STOPPED for result in report.results):
        stopped = failed(FailureClass.INTERRUPTED, "stopped by the stop switch", stopped=True)
        return Result(stopped.facts, {**stopped.artifacts, **artifacts})
    if not accepted and report.findings:
        breached = _breached(site, job, report.findings, known, log)
        return Result(breached.facts, {**artifacts, **breached.artifacts})
    failure, message = verdict_of(evidence)
    if failure is not None:
        facts["error"] = facts["error"] or sha256(message)
        result = failed(failure, message, **{**facts, "causes": report.failure_classes})
        feedback = feedback_text(evidence, message).encode()
        return Result(result.facts, {**artifacts, **result.artifacts, "feedback.md": feedback})
    ok = AttemptFacts.model_validate({**facts, "outcome": Success.OK})
    protected = touches_protected(ok.paths, job.governance.envelope)
    return Result(ok.model_copy(update={"protected": protected}), artifacts)


def gather_evidence(
    site: Site,
    job: Job,
    base: BaseEvidence,
    tree: str,
    changes: tuple[Change, ...],
    *,
    against: str,
) -> Evidence:
    """Run the fast checks, and when they pass all the others, on one tree.

    ``against`` is the tree that pinned files and the inputs of the environment are taken from.
    A patch that a person accepted as it is brings its own.
    """
    config = job.governance.config
    accepted = bool(job.run.accepted) and job.run.accepted == job.run.work
    source = tree if accepted else against
    layer = prepared(site, job, source).folder
    place = ground(site, job, tree, source, layer)
    files = () if accepted else changed_test_files(changes)
    fast = tuple(check for check in config.checks if check.fast)
    slow = tuple(check for check in config.checks if not check.fast)
    site.progress(f"  checks: {', '.join(check.name for check in fast) or 'none'}")
    report = run_checks(fast, place, expected=base.expected, base_test_files=files)
    if not report.passed:
        return Evidence(report=report)
    if slow:
        site.progress(f"  all checks: {', '.join(check.name for check in slow)}")
        rest = run_checks(slow, place, expected=base.expected, base_test_files=files)
        report = CheckReport(
            results=(*report.results, *rest.results),
            base_tests=(*report.base_tests, *rest.base_tests),
        )
    found = acceptance(job, place) if report.passed else ()
    return Evidence(report=report, acceptance=found)


def verdict_of(evidence: Evidence) -> tuple[FailureClass | None, str]:
    """The failure class of the evidence and what to say about it; None when all is well."""
    report = evidence.report
    if report.failure_class is not None:
        red = [result for result in report.results if not result.passed]
        return report.failure_class, "; ".join(f"{r.name}: {r.message}" for r in red)
    unmet = [result for result in evidence.acceptance if not result.passed]
    if unmet:
        said = "; ".join(f"{r.text} (`{r.command}` {r.message or 'failed'})" for r in unmet)
        return FailureClass.TEST_FAILURE, f"not accepted: {said}"
    return None, ""


def feedback_text(evidence: Evidence, message: str) -> str:
    """What the next attempt is told: which checks failed, and how."""
    parts = [f"# What failed\n\n{message}\n"]
    red = [result for result in evidence.report.results if not result.passed]
    for result in red:
        names = "".join(f"- {name}\n" for name in result.failed_tests[:50])
        parts.append(
            f"## {result.name}: `{result.command}`\n\n{names}\n```\n{result.excerpt}\n```\n"
        )
    for item in evidence.acceptance:
        if not item.passed:
            parts.append(f"## {item.text}: `{item.command}`\n\n```\n{item.excerpt}\n```\n")
    return "\n".join(parts)


def review(site: Site, job: Job) -> Result:
    """The review of the build: by rule, and where that accepts, by the council if models sit."""
    found = review_by_rule(site, job, base_evidence(site, job).proves_nothing)
    if not job.governance.config.agents.review.modelled:
        return reviewed(found)
    from lifeos.tick.reviewing import by_council

    evidence = evidence_of(job)
    return by_council(site, job, found, evidence.report.results, evidence.acceptance)


def review_by_rule(site: Site, job: Job, proves_nothing: Collection[str]) -> Review:
    """What rules say of the build under review. Nothing is run for it."""
    changes = work_changes(site, job)
    header, mode, reason = council(job, changes, AurType.BUILD)
    evidence = evidence_of(job)
    return review_build(
        job.task,
        job.plan,
        changes,
        header,
        mode,
        mode_reason=reason,
        seats=seats(mode, header, job.governance.council),
        checks=evidence.report.results,
        acceptance=evidence.acceptance,
        proves_nothing=proves_nothing,
        # A waiver is for one tree only: what was built since is judged afresh.
        waived=tuple(w.failure for w in job.run.waivers if w.work == job.run.work),
        accepted=bool(job.run.accepted) and job.run.accepted == job.run.work,
        contents=_contents(site, changes),
    )


def evidence_of(job: Job) -> Evidence:
    """The evidence of the build under review, as it was recorded."""
    return Evidence.model_validate_json(job.checks) if job.checks else Evidence()
