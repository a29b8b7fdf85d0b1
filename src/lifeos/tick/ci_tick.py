"""What the trusted parts of `lifeos ci` have in common: a tick that launches nothing itself.

They reconcile, record, ask and land as every tick does. Attempts are carried out on other machines;
what needs no machine of its own, because nothing is run for it, is done here at once: assembling
the packet, and a landing whose content was checked already.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from lifeos.core.facts import Attempt
from lifeos.core.globs import may_overlap
from lifeos.core.records import AttemptFacts
from lifeos.core.state import Claim, Run, Success
from lifeos.errors import UsageError
from lifeos.idle import remove_note
from lifeos.model import Stage
from lifeos.tick import perform
from lifeos.tick.attempt import Job, Site
from lifeos.tick.bundle import Bundle
from lifeos.tick.ci_site import trusted_site
from lifeos.tick.context import Context
from lifeos.tick.gather import Gatherer
from lifeos.tick.land import merge_with_main, merged_by_forge, must_recheck
from lifeos.tick.loop import Tick
from lifeos.tick.report import Report
from lifeos.tick.where import not_here

WORKER = "ci"
"""Who a claim for the matrix is by: no process of this machine, so only its lease ends it."""


class TrustedTick(Tick):
    """One invocation of `lifeos ci claim` or `lifeos ci collect`."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.gatherer = Gatherer(ctx, elsewhere=True)

    def run(self) -> Report:
        """As every tick. Raises ``UsageError`` where the rules let no tick run here."""
        elsewhere = not_here(self.ctx)
        if elsewhere:
            raise UsageError(
                elsewhere, "set `tick: {where: any}` or `ci`, on main; or run it there"
            )
        return super().run()

    def _site(self) -> Site:
        return trusted_site(self.ctx)

    def _leave_note(self) -> None:
        """A tick after this one always looks for itself: it may begin what this one may not."""
        remove_note(str(self.ctx.repo.common_dir))

    def _launch(self, _pool: ThreadPoolExecutor, step: Attempt) -> None:
        if step.stage is Stage.PACKET:
            self._packet(step)
        else:
            self._hand_out(step)

    def _hand_out(self, step: Attempt) -> None:
        """Claim an attempt for another machine."""
        raise NotImplementedError

    def _packet(self, step: Attempt) -> None:
        """Assemble the evidence: from the ledger alone."""
        claim = perform.claim(self.ctx, step)
        facts = AttemptFacts(outcome=Success.OK)
        perform.collect(self.ctx, Bundle(step.run, claim.stage, claim.n, claim.nonce, facts, {}))

    def _land(self, step: Attempt) -> bool:
        if self._lands_unchecked(step):
            return super()._land(step)
        return self._to_be_checked(step)

    def _to_be_checked(self, step: Attempt) -> bool:
        """What to do with a landing that has to be checked first. Whether anything was done."""
        raise NotImplementedError

    def _lands_unchecked(self, step: Attempt) -> bool:
        """Whether nothing has to be run for this landing. A conflict is found without, too."""
        run = self.ctx.ledger.snapshot.runs[step.run]
        merged = merged_by_forge(self.ctx, run) if run.merged else merge_with_main(self.ctx, run)
        if merged is None or merged.tree is None:
            return True
        return not must_recheck(self.ctx, self._looked_at(run, step), merged)

    def _looked_at(self, run: Run, step: Attempt) -> Job:
        """The job of an attempt that is not claimed."""
        unclaimed = Claim(
            stage=step.stage,
            n=step.n,
            nonce="",
            worker="",
            lease_until=0,
            reserved=0.0,
            base=step.base,
        )
        return perform.job_of(self.ctx, run, unclaimed)


def meets(run: Run, others: Collection[Run]) -> bool:
    """Whether a run may touch a file that one of the others may touch too."""
    return any(_meet(run.scope, other.scope) for other in others if other.id != run.id)


def _meet(mine: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    if not mine or not theirs:  # no scope is every path there is
        return True
    return any(may_overlap(one, other) for one in mine for other in theirs)
