"""`lifeos ci check`: runs the checks whose result counts, on a machine that saw no agent.

It has no key and no right to write anything. Its report is bound to one bundle by the digest of
that bundle's index, and says on which terms it was made; `lifeos ci collect` compares them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lifeos.core import leaks
from lifeos.core.checkreport import CheckReport
from lifeos.errors import Exit, LifeosError, UsageError
from lifeos.model import FailureClass, Frozen, Stage
from lifeos.prepare import PrepareFailed
from lifeos.store.diff import diff
from lifeos.store.merge import merge
from lifeos.store.repo import Repo
from lifeos.tick.attempt import Job, Site, base_tree
from lifeos.tick.build import Evidence, gather_evidence
from lifeos.tick.bundle import Bundle, load, read_plain
from lifeos.tick.ci_site import job_at, untrusted_site
from lifeos.tick.ci_work import unpack
from lifeos.tick.context import Context, World
from lifeos.tick.evidence import BaseEvidence, base_evidence, base_failure
from lifeos.tick.land import before_it
from lifeos.tick.work import work_commit

REPORT = "checked.json"
MAX_REPORT = 8 * 1024 * 1024
"""Bytes of a report."""


class Checked(Frozen):
    """The report of one check job, format 1.

    ``bundle`` is the SHA-256 of the bundle's index. ``tree`` is what was checked ("" where there
    was nothing to check), against ``base``, by the rules ``governance``, for the task ``task`` (its
    digest). ``on_base`` is what the checks say of the base itself. ``failure``: the checks could
    not be run at all, ``message`` and ``log`` say why.
    """

    format: Literal[1] = 1
    bundle: str
    run: str
    stage: Stage
    n: int
    governance: str
    task: str
    base: str
    onto: str = ""
    tree: str = ""
    evidence: Evidence = Evidence()
    on_base: BaseEvidence = BaseEvidence()
    failure: FailureClass | None = None
    message: str = ""
    log: str = ""


class BundleRefused(LifeosError):
    """The bundle is not one that a check could be made for."""

    exit_code = Exit.FAILED


def check(repo: Repo, world: World, folder: Path, out: Path) -> Checked:
    """Check a bundle, and leave the report in the folder ``out``.

    Raises ``BundleRefused`` for a bundle that cannot be taken, ``UsageError`` where its claim is
    not found in this clone.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} is there already", "name a folder that is not there yet")
    bundle = load(folder)
    if isinstance(bundle, str):
        raise BundleRefused(f"{folder}: {bundle}", "leave it: lifeos ci collect refuses it too")
    ctx, job = job_at(repo, world, bundle.ledger, bundle.run, bundle.stage, bundle.n, bundle.nonce)
    report = _checked(ctx, job, bundle)
    data = report.model_dump_json(indent=1).encode()
    if len(data) > MAX_REPORT:
        raise BundleRefused(f"its report has {len(data)} bytes", f"{MAX_REPORT} are allowed")
    out.mkdir(parents=True)
    (out / REPORT).write_bytes(data)
    return report


def _checked(ctx: Context, job: Job, bundle: Bundle) -> Checked:
    terms = Checked(
        bundle=bundle.digest,
        run=bundle.run,
        stage=bundle.stage,
        n=bundle.n,
        governance=job.run.governance,
        task=job.run.task_digest,
        base=job.claim.base,
        onto=bundle.onto,
    )
    if bundle.stage is Stage.CLOSE:
        return _landing(ctx, job, bundle.onto, terms)
    if bundle.stage is not Stage.BUILD or not bundle.facts.tree or bundle.facts.breaches:
        return terms
    site = untrusted_site(ctx, job)
    base = base_tree(site, job)
    try:
        tree = unpack(ctx.repo.objects, base, bundle.work, bundle.blobs)
    except UsageError as error:
        raise BundleRefused(error.message, "leave it: lifeos ci collect refuses it too") from None
    if tree != bundle.facts.tree:
        raise BundleRefused(
            f"its changes give the tree {tree[:12]}, and its facts name {bundle.facts.tree[:12]}",
            "leave it: lifeos ci collect refuses it too",
        )
    try:
        on_base = base_evidence(site, job)
        found = terms.model_copy(update={"tree": tree, "on_base": on_base})
        if base_failure(job, on_base) is None:
            changes = diff(ctx.repo, base, tree)
            evidence = gather_evidence(site, job, on_base, tree, changes, against=base)
            found = found.model_copy(update={"evidence": evidence})
    except PrepareFailed as error:
        found = _unprepared(terms.model_copy(update={"tree": tree}), error)
    return _clean(site, job, found)


def _unprepared(terms: Checked, error: PrepareFailed) -> Checked:
    told = {"failure": error.failure_class, "message": error.message, "log": error.excerpt}
    return terms.model_copy(update=told)


def _landing(ctx: Context, job: Job, onto: str, terms: Checked) -> Checked:
    """The checks on the tree that main becomes when this run lands on the commit ``onto``.

    Where a forge has landed it, that is what main became, but for the marks and the queue.
    """
    site = untrusted_site(ctx, job)
    merged = merge(ctx.repo, onto, work_commit(ctx, job.run))
    if merged.tree is None:
        return terms  # a conflict is found, and recorded, where the landing is made
    against = ctx.repo.objects.commit(onto).tree
    found = terms.model_copy(update={"tree": merged.tree})
    try:
        evidence = gather_evidence(site, job, BaseEvidence(), merged.tree, (), against=against)
        on_base = before_it(site, job, onto, evidence)
        found = found.model_copy(update={"evidence": evidence, "on_base": on_base})
    except PrepareFailed as error:
        found = _unprepared(found, error)
    return _clean(site, job, found)


def _clean(site: Site, job: Job, found: Checked) -> Checked:
    """The report without secrets in what the checks printed."""
    values = site.secret_values(job.governance)

    def clean(text: str) -> str:
        return leaks.redact(text, values)

    def report(each: CheckReport) -> CheckReport:
        results, tests = (
            tuple(
                one.model_copy(
                    update={"excerpt": clean(one.excerpt), "message": clean(one.message)}
                )
                for one in group
            )
            for group in (each.results, each.base_tests)
        )
        return CheckReport(results=results, base_tests=tests)

    def met(each: Evidence | BaseEvidence) -> dict[str, object]:
        acceptance = tuple(
            one.model_copy(update={"excerpt": clean(one.excerpt)}) for one in each.acceptance
        )
        return {"report": report(each.report), "acceptance": acceptance}

    return found.model_copy(
        update={
            "evidence": found.evidence.model_copy(update=met(found.evidence)),
            "on_base": found.on_base.model_copy(update=met(found.on_base)),
            "message": clean(found.message),
            "log": clean(found.log),
        }
    )


def read_report(folder: Path) -> Checked | str:
    """The report in a folder, or why it cannot be taken."""
    try:
        return Checked.model_validate_json(read_plain(folder / REPORT, MAX_REPORT))
    except (OSError, ValueError) as error:
        return f"its report cannot be read: {type(error).__name__}"
