"""The whole ledger, once through: the machine goes on, and each run is walked beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median

from lifeos.core.backtest.model import (
    BackTest,
    Balance,
    Changed,
    Count,
    Departure,
    Difference,
    Fate,
    Unknown,
)
from lifeos.core.backtest.passage import Passage
from lifeos.core.backtest.rules import EXPIRY, ReplacedBy, Rules
from lifeos.core.backtest.settings import changed_settings
from lifeos.core.machine import NOT_PINNED, apply
from lifeos.core.policy import Governance
from lifeos.core.records import (
    AnyRecord,
    Claimed,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
)
from lifeos.core.state import Item, Snapshot
from lifeos.errors import IllegalTransition, LedgerBroken
from lifeos.model import CloseOutcome, Decision, ItemKind, Stage

_FATES: Mapping[CloseOutcome, Fate] = {
    CloseOutcome.PASS: Fate.LANDED,
    CloseOutcome.BLOCKED: Fate.BLOCKED,
    CloseOutcome.REJECTED: Fate.REJECTED,
    CloseOutcome.CANCELLED: Fate.CANCELLED,
}


class Replay:
    """The fold over the transitions. ``result`` gives what was found."""

    def __init__(
        self,
        recorded: Mapping[str, Governance],
        replaced_by: ReplacedBy,
        begun: Snapshot | None = None,
        since: int = 0,
    ) -> None:
        """``begun``: the state before the first transition that is added; runs open there are not
        looked at, nor are those opened before ``since``.
        """
        self.rules = Rules(recorded, replaced_by)
        self.snapshot = begun or Snapshot()
        self.since = since
        self.tip = ""
        self.passages: dict[str, Passage] = {}
        self.apart: list[Difference] = []
        self._number = 0
        self._attempts = 0
        self._questions = 0
        self._costs: dict[Stage, list[float]] = {}
        self._waits: list[int] = []
        self._until = 0

    def add(self, commit: str, record: AnyRecord) -> None:
        """The next transition. Raises ``LedgerBroken`` where it is not possible."""
        before = self.snapshot
        try:
            after = apply(before, record, commit)
        except IllegalTransition as error:
            raise LedgerBroken(f"ledger commit {commit}: {error}") from error
        self._look(before, commit, record)
        self.snapshot, self.tip = after, commit
        self._number += 1
        self._until = record.at

    def _look(self, before: Snapshot, commit: str, record: AnyRecord) -> None:
        run = getattr(record, "run", None) or ""
        passage = self.passages.get(run)
        match record:
            case Opened() if record.at >= self.since:
                self.passages[record.run] = Passage(record, self.rules)
            case Claimed() if passage:
                passage.claimed(before, commit, record)
            case Finished() if passage:
                self._counted(record)
                passage.finished(before, commit, record)
            case Held() if passage:
                self._questions += 1
                passage.held(before, commit, record)
            case Resolved():
                self._resolved(before, commit, record)
            case Closed() if passage:
                passage.closed(_FATES[record.outcome])
            case Noted():
                self._noted(before, commit, record)
            case _:
                pass

    def _counted(self, record: Finished) -> None:
        facts = record.facts
        if facts is not None:
            self._attempts += 1
            self._costs.setdefault(record.stage, []).append(facts.usage.cost)

    def _resolved(self, before: Snapshot, commit: str, record: Resolved) -> None:
        item = before.items[record.item]
        passage = self.passages.get(item.run or "")
        if passage is not None:
            if record.who != EXPIRY:
                self._waits.append(record.at - item.opened_at)
            passage.resolved(before, commit, record, item)
        elif item.run is None and item.opened_at >= self.since:
            self._questions += 1
            self._without_run(before, commit, record, item)
        adopts = item.kind is ItemKind.GOVERNANCE and record.decision is Decision.APPROVE
        if item.run is None and adopts and item.rule != NOT_PINNED:
            for each in self.passages.values():
                if each.id in before.runs:
                    each.repinned(before, record.at, item.about)

    def _without_run(self, before: Snapshot, commit: str, record: Resolved, item: Item) -> None:
        """An answer about rules or a proposal: only whether it counts can differ."""
        void = self.rules.void(item, record, before.governance)
        if void is not None:
            self.apart.append(
                Difference(
                    departure=void.departure,
                    item=item.id,
                    commit=commit,
                    at=record.at,
                    old=void.old,
                    new=void.new,
                    told=void.told,
                )
            )

    def _noted(self, before: Snapshot, commit: str, record: Noted) -> None:
        if record.topic is Topic.REVERTED:
            passage = self.passages.get(record.run or "")
            if passage is not None and passage.fate is Fate.LANDED:
                passage.fate = Fate.REVERTED
            return
        item = before.items.get(record.item)
        passage = self.passages.get(record.run or (item.run if item else None) or "")
        if passage is not None and passage.id in before.runs:
            passage.noted(before, commit, record)

    # --- what it comes to -------------------------------------------------------------------

    def result(self) -> BackTest:
        """What was found in all that was added."""
        passages = tuple(self.passages.values())
        for passage in passages:
            if passage.fate is Fate.OPEN and passage.id in self.snapshot.runs:
                passage.settled(self.snapshot, self.tip)
        found = [
            one for each in passages for one in each.account.differences(each.fate)
        ] + self.apart
        order = sorted(found, key=lambda one: one.departure.rank)  # stable: the ledger's order
        differing = {one.run for one in found}
        latest = self.rules.recorded(self.snapshot.governance)
        candidate = self.rules.instead(self.snapshot.governance)
        changed: tuple[Changed, ...] = ()
        if latest is not None and candidate is not None:
            changed = changed_settings(latest, candidate)
        same = sum(1 for each in passages if each.id not in differing and not each.parted)
        return BackTest(
            candidate=candidate.digest if candidate else "",
            tip=self.tip,
            since=self.since,
            until=self._until,
            transitions=self._number,
            runs=len(passages),
            attempts=self._attempts,
            questions=self._questions,
            same=same,
            parted=sum(1 for each in passages if each.parted),
            changed=changed,
            counts=_counts(order),
            differences=tuple(order),
            balance=self._balance(passages),
            unknown=_unknown(passages),
        )

    def _balance(self, passages: Sequence[Passage]) -> Balance:
        sums = [passage.account.sums for passage in passages]
        more: Counter[Stage] = sum((one.attempts_more for one in sums), Counter())
        asked = sum(one.questions_more for one in sums)
        known = bool(more) and all(stage in self._costs for stage in more)
        cost = sum(count * fmean(self._costs[stage]) for stage, count in more.items() if known)
        wait = round(asked * median(self._waits)) if asked and self._waits else None
        return Balance(
            questions_less=sum(one.questions_less for one in sums),
            waiting_less=sum(one.waiting_less for one in sums),
            attempts_less=sum(one.attempts_less for one in sums),
            cost_less=round(sum(one.usage_less.cost for one in sums), 6),
            tokens_less=sum(one.usage_less.tokens for one in sums),
            cost_estimated=any(one.usage_less.estimated for one in sums),
            questions_more=asked,
            waiting_more_estimate=wait,
            pause_more=sum(one.pause_more for one in sums),
            attempts_more=sum(more.values()),
            cost_more_estimate=round(cost, 6) if known else None,
        )


def _counts(found: Iterable[Difference]) -> tuple[Count, ...]:
    by_departure: dict[Departure, list[Difference]] = {}
    for one in found:
        by_departure.setdefault(one.departure, []).append(one)
    return tuple(
        Count(
            departure=departure,
            severity=departure.severity,
            count=len(group),
            runs=tuple(dict.fromkeys(one.run for one in group if one.run)),
            tasks=tuple(dict.fromkeys(one.task for one in group if one.task)),
        )
        for departure, group in by_departure.items()
    )


def _unknown(passages: Iterable[Passage]) -> tuple[Unknown, ...]:
    """What stood in the way, the most frequent first."""
    runs: dict[str, list[str]] = {}
    for passage in passages:
        for what in passage.account.unknown:
            runs.setdefault(what, []).append(passage.id)
    found = [
        Unknown(what=what, count=len(names), runs=tuple(dict.fromkeys(names)))
        for what, names in runs.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.count, one.what)))
