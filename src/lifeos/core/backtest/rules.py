"""The recorded sets of rules, and what stands in the place of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lifeos.core.backtest.model import Departure, Otherwise
from lifeos.core.decide import gate
from lifeos.core.facts import Facts
from lifeos.core.judge import landing_checkpoint
from lifeos.core.pinned import approver_of, same_identity
from lifeos.core.policy import Approvals, Expiry, Governance
from lifeos.core.policy.config import MainWrites
from lifeos.core.policy.forge import ForgeKind
from lifeos.core.policy.words import ExpiryThen
from lifeos.core.records import Resolved
from lifeos.core.state import Item, Run, Snapshot
from lifeos.model import Decision, ItemKind, Trust

EXPIRY = "expiry"
"""Who answered, where nobody did in time."""

ReplacedBy = Callable[[Governance], Governance]
"""What stands in the place of a recorded set."""

Gate = tuple[ItemKind, str]
"""What is asked before a run may go on: the kind of the question, and its rule."""


_NOTHING = Facts(main="")


class Rules:
    """Both sides: what ruled, by digest, and what would have ruled in its place."""

    def __init__(self, recorded: Mapping[str, Governance], replaced_by: ReplacedBy) -> None:
        """``recorded``: the sets of the ledger, by digest; one that is missing is unknown."""
        self._source = recorded
        self._replaced_by = replaced_by
        self._recorded: dict[str, Governance] = {}
        self._instead: dict[str, Governance] = {}
        self._same: dict[str, bool] = {}

    def _knows(self, digest: str) -> bool:
        """Whether the set is there; it is asked for once."""
        if digest not in self._same:
            found = self._source.get(digest)
            if found is not None:
                self._recorded[digest] = found
                self._instead[digest] = self._replaced_by(found)
            self._same[digest] = found is not None and found == self._instead[digest]
        return digest in self._recorded

    def recorded(self, digest: str) -> Governance | None:
        """The set of this digest."""
        return self._recorded[digest] if self._knows(digest) else None

    def instead(self, digest: str) -> Governance | None:
        """What would have ruled in its place."""
        return self._instead[digest] if self._knows(digest) else None

    def same(self, digest: str) -> bool:
        """Whether nothing stands in its place but itself."""
        return self._knows(digest) and self._same[digest]

    def gate(
        self, snapshot: Snapshot, run: Run, now: int, *, paid: bool, recorded: bool = False
    ) -> Gate | None:
        """What must be asked before this run may go on, as ``decide`` says; None: nothing.

        ``paid``: its next attempt costs money. Whether main has moved is not asked here.
        """
        sets = self._recorded if recorded else self._instead
        if not (self._knows(run.governance) and self._knows(snapshot.governance)):
            return None
        # What is not handed in is as by default: main has not moved, nothing has landed.
        facts = _NOTHING.model_copy(
            update={"sets": sets, "paid": frozenset({run.stage}) if paid else frozenset()}
        )
        found = gate(snapshot, facts, now, run)
        return found[:2] if found else None

    def before_landing(self, snapshot: Snapshot, run: Run) -> str:
        """The rule by which it would be asked before landing, by what is known now; "" if none."""
        rules = self.instead(run.governance)
        rule = landing_checkpoint(run, rules.loop) if rules else ""
        return rule or ("main_writes:pr" if self.by_pull(snapshot) else "")

    def by_pull(self, snapshot: Snapshot) -> bool:
        """Whether work would land by pull requests alone."""
        adopted = self.instead(snapshot.governance)
        return adopted is not None and adopted.config.main_writes is MainWrites.PR

    def void(self, item: Item, record: Resolved, adopted: str) -> Otherwise | None:
        """Why an answer that counted would not have; None: it would have, or nobody knows.

        ``adopted`` is the set that was, when it was taken.
        """
        if not (self._knows(item.governance) and self._knows(adopted)):
            return None
        was, then = (sets[item.governance].approvals for sets in (self._recorded, self._instead))
        was_now, now = (sets[adopted] for sets in (self._recorded, self._instead))
        if record.who == EXPIRY:
            return _expired(item, record, was.expiry, then.expiry, now.approvals.expiry)
        if record.trust is None:
            return None
        told = _not_counted(record, was_now, then, now)
        if told and not _not_counted(record, was_now, was, was_now):
            return Otherwise(Departure.ANSWER_NOT_COUNTED, f"trust:{record.trust}", *told)
        return _late(item, record, was.expiry, then.expiry)


def _rule(expiry: Expiry) -> str:
    return f"expiry:{expiry.hours}h:{expiry.then}"


def _late(item: Item, record: Resolved, was: Expiry, then: Expiry) -> Otherwise | None:
    """An answer that came in time, and would have come too late. A no always counts."""
    was_late = item.expires_at is not None and record.at >= item.expires_at
    in_time = record.at < item.opened_at + then.hours * 3600
    if in_time or was_late or record.decision is Decision.REJECT:
        return None
    rejects = then.then is ExpiryThen.REJECT
    end = "it would have ended rejected" if rejects else "it would have been asked anew"
    told = f"the answer came after {_hours(record.at - item.opened_at)}; {end}"
    return Otherwise(Departure.ANSWER_TOO_LATE, _rule(was), _rule(then), told)


def _expired(
    item: Item, record: Resolved, was: Expiry, then: Expiry, now: Expiry
) -> Otherwise | None:
    """A no for want of an answer, that the time it had would not have said."""
    expired = record.at >= item.opened_at + then.hours * 3600
    if expired and now.then is ExpiryThen.REJECT:
        return None
    instead = then.model_copy(update={"then": now.then})
    told = "it would not have been rejected for want of an answer"
    return Otherwise(Departure.WAITED_LONGER, _rule(was), _rule(instead), told)


def _hours(seconds: int) -> str:
    return f"{seconds / 3600:.1f} hours"


def _not_counted(
    record: Resolved, was: Governance, then: Approvals, now: Governance
) -> tuple[str, str] | None:
    """The rule and the reason why an answer that came in this way does not count, or None."""
    for approvals, when in (
        (now.approvals, "an approver"),
        (then, "an approver when it was asked"),
    ):
        if approver_of(approvals, record.who) is None:
            return "approvers", f"who answered is not {when}"
    trust = now.approvals.trust
    if record.trust is Trust.COMMIT and trust is Trust.MERGE:
        return "trust:merge", "it came as a commit, and only a merged pull request counts"
    if record.trust is Trust.SIGNATURE and trust is Trust.MERGE:
        return "trust:merge", "it came as a commit, and only a merged pull request counts"
    if trust is Trust.COMMIT and record.trust is not Trust.MERGE:
        if now.config.forge.kind is not ForgeKind.NONE:
            return "trust:commit", "with a forge a plain commit is not enough"
        return None
    if record.trust is trust:
        before = approver_of(was.approvals, record.who)
        for approvals in (then, now.approvals):
            present = approver_of(approvals, record.who)
            if before and present and not same_identity(before, present, trust):
                return "approvers", "it came by another key or account than the approver's"
    return None
