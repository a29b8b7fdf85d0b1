"""`lifeos ci attempt`: carries out one claimed attempt, and leaves a bundle. Trusted with nothing.

It reads the ledger at the tip that the claim names, and writes neither to it nor to any reference.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lifeos.core.ciformat import ClaimFile
from lifeos.core.records import AttemptFacts
from lifeos.core.state import Success
from lifeos.errors import Busy, UsageError
from lifeos.model import FailureClass, Stage
from lifeos.store.repo import Repo
from lifeos.tick import calls
from lifeos.tick.attempt import Job, Result, Site, base_tree, carry_out, failed, redacted
from lifeos.tick.bundle import Bundle, write
from lifeos.tick.ci_site import FOLDER, job_at, untrusted_site
from lifeos.tick.ci_work import pack
from lifeos.tick.context import World


def attempt(repo: Repo, world: World, claim: ClaimFile, out: Path) -> AttemptFacts:
    """Carry out a claim, and write its bundle as the folder ``out``. The facts, for people.

    Raises ``UsageError`` where the claim cannot be found here, and ``Busy`` where its time is over.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} is there already", "name a folder that is not there yet")
    if world.clock() > claim.expires:
        raise Busy(
            f"the claim of {claim.stage} {claim.n} of {claim.run} is over: a result would be late",
            "leave it; the next lifeos ci claim claims it anew",
        )
    ctx, job = job_at(repo, world, claim.ledger, claim.run, claim.stage, claim.n, claim.nonce)
    world.progress(f"{claim.stage} {claim.n} of {claim.run}: {job.run.title}")
    if claim.stage is Stage.CLOSE:  # the check is all there is to do
        bundle = _bundle(claim, Result(facts=AttemptFacts(outcome=Success.OK), artifacts={}))
    else:
        site = untrusted_site(ctx, job)
        bundle = _with_work(site, job, _bundle(claim, carry_out(site, job)))
    write(out, bundle, world.trace)
    calls.forget(calls.place(repo.ensure_private() / FOLDER, job.run.id, job.claim))
    return bundle.facts


def _bundle(claim: ClaimFile, result: Result) -> Bundle:
    return Bundle(
        run=claim.run,
        stage=claim.stage,
        n=claim.n,
        nonce=claim.nonce,
        facts=result.facts,
        artifacts=result.artifacts,
        ledger=claim.ledger,
        onto=claim.onto,
    )


def _with_work(site: Site, job: Job, bundle: Bundle) -> Bundle:
    """The bundle with what changed in its tree; a failure where that cannot be handed over."""
    facts = bundle.facts
    if not facts.tree:
        return bundle
    try:
        work, blobs = pack(site.repo.objects, base_tree(site, job), facts.tree)
    except UsageError as error:
        log = str(error).encode()
        result = failed(FailureClass.ENVELOPE_VIOLATION, error.message, log, usage=facts.usage)
        clean = redacted(site, job, result)
        return replace(bundle, facts=clean.facts, artifacts=clean.artifacts)
    return replace(bundle, work=work, blobs=blobs)
