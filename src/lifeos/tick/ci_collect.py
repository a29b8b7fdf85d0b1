"""`lifeos ci collect`: takes in what the matrix left, as hostile input. It runs nothing but git.

Each bundle counts by itself: one that is refused changes nothing, and does not keep the others from
counting. Given folders are left as they are, so the same call can be made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lifeos.core.facts import Attempt, OpenRun
from lifeos.core.records import Closed, Finished
from lifeos.core.state import Run
from lifeos.errors import IllegalTransition, LifeosError
from lifeos.model import FailureClass, Stage
from lifeos.store.entries import read_entries
from lifeos.store.ledger import require_contains
from lifeos.store.merge import merge
from lifeos.tick import perform
from lifeos.tick.attempt import Job, Result, failed, redacted
from lifeos.tick.bundle import INDEX, Bundle, RefusedError, load
from lifeos.tick.ci_check import REPORT, Checked, read_report
from lifeos.tick.ci_site import job_at
from lifeos.tick.ci_tick import TrustedTick
from lifeos.tick.ci_trust import require_terms, require_whole, trusted
from lifeos.tick.context import Context
from lifeos.tick.gather import Gathered
from lifeos.tick.land import (
    InTheWay,
    Merged,
    land,
    merge_with_main,
    must_recheck,
    rechecked,
    require_clear,
)
from lifeos.tick.reading import content_of
from lifeos.tick.report import Report
from lifeos.tick.work import work_commit

MOST_GIVEN = 1024
"""Bundles and reports that are looked at in one call."""


@dataclass(frozen=True)
class Refused:
    """A folder that did not count, and why."""

    folder: str
    why: str


@dataclass
class Given:
    """What was found in the given folders: each bundle once, and the reports by bundle."""

    bundles: dict[str, tuple[Path, Bundle]] = field(default_factory=dict)  # by digest
    reports: dict[str, list[tuple[Path, Checked]]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)


def read_given(folders: Sequence[Path]) -> Given:
    """Every bundle and every check report in these folders, or directly below them."""
    given = Given()
    found = [place for folder in folders for place in _places(folder, given)]
    for path in found[:MOST_GIVEN]:
        _read(path, given)
    if len(found) > MOST_GIVEN:
        why = f"there are {len(found)} folders; only the first {MOST_GIVEN} are looked at"
        given.refused.append(Refused(str(folders[0]), why))
    for path, report in (each for group in given.reports.values() for each in group):
        if report.bundle not in given.bundles:
            given.refused.append(Refused(str(path), "it is a report about a bundle not given here"))
    return given


def _places(folder: Path, given: Given) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        given.refused.append(Refused(str(folder), "it is not a folder"))
        return []
    if _is_one(folder):
        return [folder]
    below = sorted(folder.iterdir())
    for path in below:
        if path.is_symlink() or not path.is_dir() or not _is_one(path):
            given.refused.append(Refused(str(path), "it is neither a bundle nor a check report"))
    return [p for p in below if not p.is_symlink() and p.is_dir() and _is_one(p)]


def _is_one(folder: Path) -> bool:
    names = (INDEX, REPORT)
    return any((folder / name).is_symlink() or (folder / name).exists() for name in names)


def _read(path: Path, given: Given) -> None:
    if (path / REPORT).is_symlink() or (path / REPORT).exists():
        report = read_report(path)
        if isinstance(report, str):
            given.refused.append(Refused(str(path), report))
        else:
            given.reports.setdefault(report.bundle, []).append((path, report))
        return
    bundle = load(path)
    if isinstance(bundle, str):
        given.refused.append(Refused(str(path), bundle))
    else:
        # Its content is read again when its turn comes: all of it together may not fit into memory.
        small = replace(bundle, artifacts={}, blobs={})
        given.bundles.setdefault(bundle.digest, (path, small))


@dataclass(frozen=True)
class Valid:
    """A bundle that counts: its folder, what it comes to, and its report if it has one."""

    path: Path
    bundle: Bundle
    result: Result | None  # None: a landing, which is made and not judged
    checked: Checked | None


class Collecting(TrustedTick):
    """A tick that takes in what others carried out; it claims and opens nothing for the matrix."""

    def __init__(self, ctx: Context, given: Given) -> None:
        super().__init__(ctx)
        self.given = given
        self.dealt_with: set[str] = set()  # the digests of bundles
        self.late: dict[str, Refused] = {}  # by digest: refused for what the ledger says
        self.recorded = 0

    def collected(self) -> tuple[Report, tuple[Refused, ...]]:
        """Take everything in. What the tick did, and what did not count.

        Raises what ``Tick.run`` raises.
        """
        report = self.run()
        return report, (*self.given.refused, *self.late.values())

    def _decide_anew(self) -> None:
        super()._decide_anew()
        self.dealt_with.clear()
        self.late.clear()
        self.recorded = 0

    def _collect(self) -> None:
        super()._collect()
        by_claim: dict[str, list[Valid]] = {}
        for digest, (path, bundle) in self.given.bundles.items():
            if digest in self.dealt_with:
                continue
            self.dealt_with.add(digest)
            try:
                valid = self._valid(path, bundle)
            except RefusedError as refusal:
                self._refuse(digest, path, str(refusal))
                continue
            if valid is not None:
                by_claim.setdefault(bundle.nonce, []).append(valid)
        for group in by_claim.values():
            self._take(group)

    def _refuse(self, digest: str, path: Path, why: str) -> None:
        self.late[digest] = Refused(str(path), why)
        self.ctx.world.progress(f"refused {path}: {why}")

    def _valid(self, path: Path, bundle: Bundle) -> Valid | None:
        """What a bundle comes to; None if it is recorded already. Raises ``RefusedError``."""
        run = self._run_of(bundle)
        if run is None:
            return None
        if run.claim is None or (run.claim.stage, run.claim.n) != (bundle.stage, bundle.n):
            raise RefusedError(f"its claim is not of {bundle.stage} {bundle.n}")
        self._require_ledger(bundle)
        job = perform.job_of(self.ctx, run, run.claim)
        reports = self.given.reports.get(bundle.digest, [])
        if len(reports) > 1:
            raise RefusedError(f"there are {len(reports)} check reports for it: none counts")
        checked = reports[0][1] if reports else None
        whole = load(path)
        if isinstance(whole, str) or whole.digest != bundle.digest:
            raise RefusedError("it was changed while it was being read")
        bundle = whole
        if bundle.stage is Stage.CLOSE:
            if bundle.facts.tree or bundle.work or bundle.artifacts:
                raise RefusedError("a landing leaves nothing, and it has something")
            return Valid(path, bundle, None, checked)
        try:
            result = trusted(self.ctx, self._site(), job, bundle, checked)
        except IllegalTransition as error:
            raise RefusedError(str(error)) from None
        return Valid(path, replace(bundle, artifacts={}, blobs={}), result, checked)

    def _run_of(self, bundle: Bundle) -> Run | None:
        """The run that this bundle has an open claim of; None if it was recorded before."""
        run = self.ctx.ledger.snapshot.runs.get(bundle.run)
        if run is not None and run.claim is not None and run.claim.nonce == bundle.nonce:
            return run
        if self._recorded(bundle):
            return None
        raise RefusedError(
            f"{bundle.stage} {bundle.n} of {bundle.run} is late, or of another claim"
        )

    def _recorded(self, bundle: Bundle) -> bool:
        """Whether an earlier call took this bundle in. One that was given up on was not."""
        given_up = bundle.facts.outcome is not FailureClass.INTERRUPTED
        for entry in read_entries(self.ctx.repo, self.ctx.ledger.tip):
            record = entry.record
            if isinstance(record, Finished) and record.nonce == bundle.nonce:
                interrupted = record.facts and record.facts.outcome is FailureClass.INTERRUPTED
                return record.run == bundle.run and not (interrupted and given_up)
            if isinstance(record, Closed) and record.run == bundle.run and record.landed:
                return bundle.stage is Stage.CLOSE
        return False

    def _require_ledger(self, bundle: Bundle) -> None:
        """Refuse a bundle that was made from anything but this ledger, as it was when claimed."""
        try:
            require_contains(self.ctx.repo, self.ctx.ledger, bundle.ledger, "a bundle names")
            job_at(
                self.ctx.repo,
                self.ctx.world,
                bundle.ledger,
                bundle.run,
                bundle.stage,
                bundle.n,
                bundle.nonce,
            )
        except (LifeosError, ValueError):
            raise RefusedError("it was not made from this ledger") from None

    # --- recording --------------------------------------------------------------------------

    def _take(self, group: list[Valid]) -> None:
        """Record the one result of a claim. Of several none counts, and a person is asked."""
        first = group[0]
        if len(group) > 1:
            for each in group:
                why = f"{len(group)} bundles came for one claim: none counts"
                self._refuse(each.bundle.digest, each.path, why)
            message = f"{len(group)} results came for one claim, and only one can be true"
            # `unknown` ends at once by default: the claim is over, and the CEO is asked.
            self._record(first.bundle, failed(FailureClass.UNKNOWN, message))
        elif first.result is None:
            self._settle_landing(first)
        else:
            try:
                self._record(first.bundle, first.result)
            except IllegalTransition as refusal:
                self._refuse(first.bundle.digest, first.path, str(refusal))

    def _record(self, bundle: Bundle, result: Result) -> None:
        whole = Bundle(
            bundle.run, bundle.stage, bundle.n, bundle.nonce, result.facts, result.artifacts
        )
        perform.collect(self.ctx, whole)
        self.recorded += 1

    def _settle_landing(self, valid: Valid) -> None:
        """Land what was checked; or record why not. Nothing is checked here."""
        ctx, bundle = self.ctx, valid.bundle
        run = ctx.ledger.snapshot.runs[bundle.run]
        if run.claim is None:
            return
        job = perform.job_of(ctx, run, run.claim)
        try:
            if not run.merged:
                require_clear(ctx, merge_with_main(ctx, run))
            result = land(
                ctx, self._site(), job, lambda _c, _s, job, merged: self._check(valid, job, merged)
            )
        except InTheWay as error:
            self._blocked_by(error)
            self.dealt_with.discard(bundle.digest)
            return
        except RefusedError as refusal:
            self._refuse(bundle.digest, valid.path, str(refusal))
            return
        if result is not None:
            self._record(bundle, redacted(self._site(), job, result))
        else:
            self.recorded += 1

    def _check(self, valid: Valid, job: Job, merged: Merged) -> Result | None:
        """Why this tree may not land by what the check job found, or None."""
        if not must_recheck(self.ctx, job, merged):
            return None
        checked, onto = valid.checked, valid.bundle.onto
        if checked is None:
            raise RefusedError("there is no report of lifeos ci check for it")
        if job.run.merged and onto != merged.main.commit:
            raise RefusedError("it is not about the main that a forge landed this on")
        try:
            then = merge(self.ctx.repo, onto, work_commit(self.ctx, job.run))
        except (LifeosError, ValueError):
            raise RefusedError(f"{onto[:12]!r} is no commit of main") from None
        if then.tree is None:
            return failed(FailureClass.CONFLICT, "conflict with main")
        require_terms(job, valid.bundle, checked, then.tree)
        if checked.failure is not None:
            return failed(checked.failure, checked.message, checked.log.encode())
        prefix = job.governance.config.id_prefix
        landing = content_of(self.ctx.repo, merged.tree or "", prefix)
        if content_of(self.ctx.repo, then.tree, prefix) != landing:
            message = "main moved while this landing was being checked"
            return failed(FailureClass.TOOL_ERROR, message)
        require_whole(job, checked.evidence, ())
        return rechecked(job, checked.evidence, checked.on_base)

    # --- what the next claim does -------------------------------------------------------------

    def _free(self, step: Attempt) -> bool:
        return step.stage in (Stage.PACKET, Stage.CLOSE) and step.run not in self.waiting

    def _open(self, _gathered: Gathered, _step: OpenRun) -> bool:
        return False

    def _to_be_checked(self, step: Attempt) -> bool:
        self.waiting.add(step.run)
        return False
