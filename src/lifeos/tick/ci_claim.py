"""`lifeos ci claim`: reconciles like a tick, claims a batch, and hands it out as claim files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lifeos.core.ciformat import ClaimFile, Matrix, line_of, line_of_claims, matrix_of
from lifeos.core.facts import Attempt, OpenRun
from lifeos.core.state import Run
from lifeos.errors import UsageError
from lifeos.model import Stage
from lifeos.tick import perform
from lifeos.tick.ci_tick import WORKER, TrustedTick, meets
from lifeos.tick.context import Context
from lifeos.tick.gather import Gathered
from lifeos.tick.land import merged_by_forge
from lifeos.tick.report import Report


@dataclass(frozen=True)
class Batch:
    """What was claimed, and what else the tick did."""

    report: Report
    claims: tuple[ClaimFile, ...]

    @property
    def matrix(self) -> Matrix:
        """The jobs that carry it out."""
        return matrix_of(self.claims)


class Claiming(TrustedTick):
    """A tick that claims attempts for other machines, at most ``most``, none in another's way."""

    def __init__(self, ctx: Context, most: int) -> None:
        super().__init__(ctx)
        self.most = most
        self.made: set[str] = set()  # the nonces of its claims; not all of them need to have held

    def batch(self) -> Batch:
        """Go on as far as this machine may, then claim what may run side by side.

        Raises what ``Tick.run`` raises.
        """
        report = self.run()
        ledger = self.ctx.ledger
        claims = [
            ClaimFile(
                run=run.id,
                stage=run.claim.stage,
                n=run.claim.n,
                nonce=run.claim.nonce,
                base=run.claim.base,
                ledger=ledger.tip,
                expires=run.claim.lease_until,
                onto=self._onto(run),
            )
            for run in self._handed_out()
            if run.claim is not None
        ]
        return Batch(report, tuple(claims))

    def _onto(self, run: Run) -> str:
        """What a landing is made on: main as it is, or as it was before a forge made it."""
        if run.stage is not Stage.CLOSE:
            return ""
        merged = merged_by_forge(self.ctx, run) if run.merged else None
        return merged.main.commit if merged else self.ctx.main()

    def _handed_out(self) -> list[Run]:
        runs = self.ctx.ledger.snapshot.runs.values()
        return [run for run in runs if run.claim is not None and run.claim.nonce in self.made]

    def _full(self) -> bool:
        return len(self._handed_out()) >= self.most

    def _free(self, step: Attempt) -> bool:
        if step.run in self.waiting:
            return False
        if step.stage in (Stage.PACKET, Stage.CLOSE):
            return True
        runs = self.ctx.ledger.snapshot.runs
        under_way = [run for run in runs.values() if run.claim is not None]
        return not self._full() and not meets(runs[step.run], under_way)

    def _open(self, gathered: Gathered, step: OpenRun) -> bool:
        """Open a run only where its first attempt is in this batch."""
        return not self._full() and super()._open(gathered, step)

    def _hand_out(self, step: Attempt) -> None:
        claim = perform.claim(self.ctx, step, WORKER)
        self.made.add(claim.nonce)
        self.ctx.world.progress(f"claim {claim.stage} {claim.n} of {step.run}")

    def _to_be_checked(self, step: Attempt) -> bool:
        runs = self.ctx.ledger.snapshot.runs.values()
        # One at a time: each landing moves main, and what was checked beside it would not hold.
        landing = any(run.claim is not None and run.stage is Stage.CLOSE for run in runs)
        if landing or self._full():
            self.waiting.add(step.run)  # for the next batch
            return False
        self._hand_out(step)
        return True


def write_claims(out: Path, claims: tuple[ClaimFile, ...]) -> None:
    """Write one file for each claim, readable by this user alone.

    Raises ``UsageError`` where one of them is there already.
    """
    out.mkdir(parents=True, exist_ok=True)
    for claim in claims:
        path = out / claim.name
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            raise UsageError(f"{path} is there already", "give an empty folder") from None
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  (a descriptor)
            file.write(claim.model_dump_json(indent=1) + "\n")


def tell_workflow(path: str, claims: tuple[ClaimFile, ...]) -> None:
    """Append ``matrix``, ``count``, ``names`` and ``claims`` to the file of ``GITHUB_OUTPUT``.

    ``claims`` are the claim files by name: an output says who wrote it, as a file handed over does
    not. All are one line of ASCII made here; nothing that a person or a model wrote is in them.
    """
    lines = {
        "matrix": line_of(matrix_of(claims)),
        "count": str(len(claims)),
        "names": " ".join(claim.name.removesuffix(".json") for claim in claims),
        "claims": line_of_claims(claims),
    }
    with open(path, "a", encoding="ascii") as file:  # noqa: PTH123  (appended to, as it is told)
        file.write("".join(f"{name}={line}\n" for name, line in lines.items()))
