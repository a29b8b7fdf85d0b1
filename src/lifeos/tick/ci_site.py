"""Where the parts of `lifeos ci` work: the claim on the ledger, and a site for each trust."""

from __future__ import annotations

from lifeos.errors import LifeosError, Place, Problem, UsageError
from lifeos.model import Stage
from lifeos.process import Ended
from lifeos.sandbox import choose
from lifeos.store.ledger import Ledger
from lifeos.store.objects import MissingObject
from lifeos.store.repo import Repo
from lifeos.tick import perform
from lifeos.tick.attempt import Job, Site
from lifeos.tick.context import Context, World

FOLDER = "ci"
"""Below lifeos's private folder: apart from what a tick in the same clone tidies away."""


def job_at(
    repo: Repo, world: World, ledger: str, run_id: str, stage: Stage, n: int, nonce: str
) -> tuple[Context, Job]:
    """The attempt that is claimed so at this tip of the ledger.

    Raises ``UsageError`` where the tip is not in this clone, or no such claim is open there.
    """
    try:
        found = Ledger.at(repo, ledger)
    except (MissingObject, ValueError):
        raise UsageError(
            f"the ledger's commit {ledger[:12]} is not in this clone",
            "fetch it: git fetch origin lifeos/ledger:lifeos/ledger",
        ) from None
    run = found.snapshot.runs.get(run_id)
    claim = run.claim if run else None
    if run is None or claim is None or (claim.stage, claim.n, claim.nonce) != (stage, n, nonce):
        raise UsageError(
            f"the ledger has no open claim of {stage} {n} of {run_id} by this nonce",
            "take the claim that the last lifeos ci claim wrote",
        )
    ctx = Context(repo=repo, ledger=found, world=world)
    return ctx, perform.job_of(ctx, run, claim)


def untrusted_site(ctx: Context, job: Job) -> Site:
    """A place to run the agent and the checks, in the sandbox that the pinned rules name.

    Raises ``LifeosError`` where that sandbox does not work here.
    """
    sandbox = choose(job.governance.config.sandbox.value)
    problem = sandbox.available()
    if problem is not None:
        raise LifeosError(problem.message, problem.fix)
    folder = ctx.repo.ensure_private() / FOLDER
    folder.mkdir(exist_ok=True)
    return Site(
        repo=ctx.repo,
        folder=folder,
        sandbox=sandbox,
        environ=ctx.world.environ,
        timer=ctx.world.timer,
        clock=ctx.world.clock,
        should_stop=ctx.stopped_here,
        progress=ctx.world.progress,
        trace=ctx.world.trace,
    )


class Nowhere:
    """The sandbox of those who may run nothing: whoever tries is told so."""

    kind = "nowhere"

    def available(self) -> Problem | None:
        """Never: that is what it is for."""
        return Problem(Place("lifeos ci"), "nothing is run here", "run it in lifeos ci check")

    def run(self, *_command: object, **_rest: object) -> Ended:
        """Refuse. A check that comes here counts as one that could not be run."""
        raise UsageError("nothing of the repository is run here", "leave it to lifeos ci check")


def trusted_site(ctx: Context) -> Site:
    """The place of the trusted parts: they look, and run nothing."""
    return Site(
        repo=ctx.repo,
        folder=ctx.repo.ensure_private(),
        sandbox=Nowhere(),
        environ=ctx.world.environ,
        timer=ctx.world.timer,
        clock=ctx.world.clock,
        should_stop=ctx.stopped_here,
        progress=ctx.world.progress,
        trace=ctx.world.trace,
    )
