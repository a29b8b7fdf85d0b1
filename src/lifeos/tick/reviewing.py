"""A review with models: what the council is given, and what is recorded of what it said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lifeos.agents import program_of
from lifeos.agents.program import version_of
from lifeos.core.canonical import sha256
from lifeos.core.checkreport import CheckResult
from lifeos.core.policy.words import AgentKind
from lifeos.core.receipt import AgentFacts
from lifeos.core.records import AttemptFacts
from lifeos.core.replies.seat import seat_nonce
from lifeos.core.review import Proven, Review
from lifeos.model import FailureClass, Stage
from lifeos.proxy import Meter
from lifeos.store.diff import patch
from lifeos.store.trees import EXECUTABLE, FILE, lookup
from lifeos.tick.attempt import (
    Job,
    Result,
    Site,
    base_tree,
    failed,
    request_of,
    reviewed,
    with_artifacts,
    work_folder,
)
from lifeos.tick.modelled import hearing_of, instructions_of, meter_of, progress_of, route_of, talk
from lifeos.tick.seat import Matter, Means
from lifeos.tick.sitting import Sitting, sit

MOST_READ = 4 * 1024 * 1024
"""Bytes of one file that a reference may point into; of a larger one nothing is looked up."""


@dataclass(frozen=True)
class Laid:
    """What is laid before every seat, and what its answer is held against: it follows from the run.

    ``tree`` is what is under review, ``texts`` what is given to read, by the names that references
    use; ``lookup`` reads a file of that tree, ``nonce`` has to be in each answer.
    """

    tree: str
    texts: Mapping[str, str]
    nonce: str
    lookup: Callable[[str], bytes | None]


def laid_before(site: Site, job: Job) -> Laid:
    """What the council of this attempt is given. The same wherever it is asked."""
    tree = job.run.work if job.claim.stage is Stage.BUILD_REVIEW else base_tree(site, job)
    texts = _texts(site, job, tree)
    return Laid(
        tree=tree,
        texts=texts,
        nonce=seat_nonce(job.claim.nonce, sha256("\0".join((tree, *texts.values())))),
        lookup=lambda path: _file_at(site, tree, path),
    )


def by_council(
    site: Site,
    job: Job,
    floor: Review,
    checks: Sequence[CheckResult] = (),
    acceptance: Sequence[Proven] = (),
) -> Result:
    """Hold the council on what the run made last. ``floor`` is the review by rule of the same."""
    meter = meter_of(site, job)
    laid = laid_before(site, job)
    means = _means(site, job, meter)
    with work_folder(site, job, laid.tree) as folder:
        matter = Matter(
            stage=job.claim.stage,
            title=job.run.title,
            hearing=hearing_of(job, floor, checks, acceptance),
            texts=laid.texts,
            folder=folder,
            nonce=laid.nonce,
            lookup=laid.lookup,
            # Of the base: what is under review does not speak to its reviewers.
            instructions=instructions_of(site, base_tree(site, job)),
        )
        sitting = sit(matter, means)
    kept = {**sitting.artifacts, **talk(meter)}
    if meter.receipts:  # somebody was asked
        who = AgentFacts(agent=means.program.name, version=version_of(means.program))
        kept["agent.json"] = who.model_dump_json(indent=1).encode()
    return with_artifacts(_result(site, job, sitting, meter), kept)


def _means(site: Site, job: Job, meter: Meter) -> Means:
    config, request = job.governance.config, request_of(site, job, site.sandbox, None)
    return Means(
        program=program_of(AgentKind(config.agents.review), config),
        route=lambda name: route_of(job.governance, site.environ, name),
        model=config.roles.review,
        meter=meter,
        limits=request.limits,
        sandbox=site.sandbox,
        environment=request.environment,
        clock=site.clock,
        timer=site.timer,
        prompts=job.governance.prompts,
        should_stop=site.should_stop,
        progress=progress_of(site, job, meter),
        trace=site.trace,
    )


def _texts(site: Site, job: Job, tree: str) -> Mapping[str, str]:
    """What the seats are given to read, by the names that they refer to it."""
    texts = {"task.md": job.task_text, "design.md": job.design, "plan.md": job.plan}
    if job.claim.stage is Stage.DESIGN_REVIEW:
        texts.pop("plan.md")
    if job.claim.stage is Stage.BUILD_REVIEW:
        shown = patch(site.repo, base_tree(site, job), tree)
        texts |= {"changes.diff": shown.decode("utf-8", "replace"), "checks.json": job.checks}
    return {name: text for name, text in texts.items() if text.strip()}


def _file_at(site: Site, tree: str, path: str) -> bytes | None:
    """A plain file of a tree, for references into it; None where there is none."""
    leaf = lookup(site.repo.objects, tree, path)
    if leaf is None or leaf.mode not in (FILE, EXECUTABLE):
        return None
    ((_, size),) = site.repo.objects.kinds_sizes([leaf.oid])
    return site.repo.objects.read(leaf.oid)[1] if size <= MOST_READ else None


def _result(site: Site, job: Job, sitting: Sitting, meter: Meter) -> Result:
    if sitting.review is not None:
        result = reviewed(sitting.review)
    elif sitting.stopped:
        result = failed(FailureClass.INTERRUPTED, "stopped by the stop switch", stopped=True)
    else:
        failure = sitting.failure or FailureClass.UNKNOWN
        wake = int(site.clock()) + sitting.wake_after if sitting.wake_after else None
        result = failed(failure, sitting.message, wake_at=wake, missing=sitting.missing)
    # What one review wants a person to see, a later one of the same run does not take back.
    told = {"usage": meter.usage, "forced": result.facts.forced or job.run.forced}
    facts: AttemptFacts = result.facts.model_copy(update=told)
    return Result(facts, result.artifacts)
