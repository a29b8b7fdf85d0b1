"""Checks as evidence: on the base before anything is spent, and on the work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lifeos.checks import AcceptanceResult, Ground, run_acceptance, run_checks
from lifeos.core.canonical import Json, digest_of
from lifeos.core.checkreport import CheckReport, CheckStatus
from lifeos.core.records import CheckFact
from lifeos.model import FailureClass, Frozen
from lifeos.prepare import Prepared, Workshop, prepare
from lifeos.tick.attempt import Job, Result, Site, base_tree, failed
from lifeos.tick.reading import content_of


class BaseEvidence(Frozen):
    """The checks and acceptance commands on the untouched base."""

    report: CheckReport = CheckReport()
    acceptance: tuple[AcceptanceResult, ...] = ()

    @property
    def proves_nothing(self) -> tuple[str, ...]:
        """Acceptance commands that pass before any work was done."""
        return tuple(result.command for result in self.acceptance if result.passed)

    @property
    def expected(self) -> dict[str, tuple[str, ...]]:
        """The tests that ran on the base, by check: all must run on the work too."""
        return {result.name: result.tests for result in self.report.results}

    def to_json(self) -> bytes:
        """As it is kept among the artifacts."""
        return self.model_dump_json(indent=1).encode()


def prepared(site: Site, job: Job, tree: str) -> Prepared:
    """The prepared environment for a tree whose inputs a person put on main, or accepted."""
    governance = job.governance
    workshop = Workshop(
        sandbox=site.sandbox,
        cache=site.folder / "prepared",
        limits=governance.envelope.limits,
        environment=site.handed_through(governance),
        should_stop=site.should_stop,
        trace=site.trace,
    )
    return prepare(site.repo, tree, governance.config.prepare, workshop)


def ground(site: Site, job: Job, tree: str, base: str, layer: Path | None) -> Ground:
    """Where checks run on a tree."""
    return Ground(
        repo=site.repo,
        tree=tree,
        base=base,
        sandbox=site.sandbox,
        scratch=site.folder / "work",
        limits=job.governance.envelope.limits,
        environment=site.handed_through(job.governance),
        layer=layer,
        should_stop=site.should_stop,
        trace=site.trace,
    )


def acceptance_commands(job: Job) -> tuple[tuple[str, str], ...]:
    """Text and command of the task's acceptance items that have one."""
    return tuple((item.text, item.command) for item in job.task.acceptance if item.command)


def pinned_globs(job: Job) -> tuple[str, ...]:
    """The pinned files of all checks."""
    return tuple(glob for check in job.governance.config.checks for glob in check.pinned)


def acceptance(job: Job, place: Ground) -> tuple[AcceptanceResult, ...]:
    """The task's acceptance commands on one tree."""
    limits = job.governance.envelope.limits
    return run_acceptance(
        acceptance_commands(job), place, pinned=pinned_globs(job), seconds=limits.seconds
    )


def base_evidence(site: Site, job: Job) -> BaseEvidence:
    """The checks and the task's acceptance commands on the base, each run once for one content.

    The checks are shared by all tasks that begin on it: lifeos's own marks change nothing there.
    """
    commands = acceptance_commands(job)
    config = job.governance.config
    if not config.checks and not commands:
        return BaseEvidence()
    tree = base_tree(site, job)
    environment = prepared(site, job, tree)
    surroundings: list[Json] = [
        content_of(site.repo, tree, config.id_prefix),
        environment.digest,
        site.sandbox.kind,
        job.governance.envelope.limits.model_dump_json(),
        [list(pair) for pair in sorted(site.handed_through(job.governance).items())],
        [check.model_dump_json() for check in config.checks],
    ]
    place = ground(site, job, tree, tree, environment.folder)

    def check() -> BaseEvidence:
        site.progress("  checks on main, before anything is spent")
        return BaseEvidence(report=run_checks(config.checks, place))

    found = _remembered(site, digest_of(surroundings), check)
    if not commands or not found.report.passed:
        return found

    def accept() -> BaseEvidence:
        return BaseEvidence(acceptance=acceptance(job, place))

    key = digest_of([*surroundings, [list(pair) for pair in commands]])
    return found.model_copy(update={"acceptance": _remembered(site, key, accept).acceptance})


def _remembered(site: Site, key: str, make: Callable[[], BaseEvidence]) -> BaseEvidence:
    """What was found before, or is found now; a red base is looked at again each time."""
    path = site.folder / "cache" / f"base-{key}.json"
    try:
        return BaseEvidence.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValueError):
        pass  # not run yet, or a torn cache: it is only a cache, so run again
    found = make()
    if found.report.passed and not site.should_stop():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(found.to_json())
        fresh.replace(path)
    return found


def base_failure(job: Job, base: BaseEvidence) -> Result | None:
    """The attempt's result when main itself fails its checks, else None."""
    if any(result.status is CheckStatus.STOPPED for result in base.report.results):
        return failed(FailureClass.INTERRUPTED, "stopped by the stop switch", stopped=True)
    red = [result for result in base.report.results if not result.passed]
    if not red:
        return None
    what = "; ".join(f"{result.name}: {result.message or result.status}" for result in red)
    log = "\n\n".join(f"## {result.name}\n{result.excerpt}" for result in red)
    return failed(
        FailureClass.BASE_RED,
        f"main itself fails: {what}",
        log.encode(),
        main=job.claim.base,
        checks=check_facts(base.report),
    )


def check_facts(report: CheckReport) -> tuple[CheckFact, ...]:
    """The checks as the decision sees them."""
    return tuple(
        CheckFact(name=result.name, status=result.status.value, failure=result.failure_class)
        for result in report.results
    )
