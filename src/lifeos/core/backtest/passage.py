"""One run, walked under both sets of rules at once.

Beside the recorded state there is, from the first difference on, the state as it would have been
(``Beside``), made by the machine from the same records with other decisions in them. It goes on as
long as it is sure: until an attempt is not made that was made, or made that was not; until somebody
said no, or said more than yes. From there on nothing is told.

Two things are taken for granted, and said. A question that was answered with a plain yes and would
not have been asked changes nothing but the waiting. A question that would have been asked although
the run had nothing to answer for is taken as answered with yes: what comes after is *conditional*.
"""

from __future__ import annotations

from collections.abc import Mapping

from lifeos.core.backtest.account import Account, Skipped
from lifeos.core.backtest.beside import Beside
from lifeos.core.backtest.instead import Sides, facts_instead
from lifeos.core.backtest.model import Departure, Fate, Otherwise
from lifeos.core.backtest.rules import EXPIRY, Gate, Rules
from lifeos.core.judge import Judgement, judge
from lifeos.core.records import (
    AnyRecord,
    AttemptFacts,
    Claimed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
)
from lifeos.core.state import Ask, Item, PullRequest, RunStatus, Snapshot, Wake
from lifeos.core.table import PERIOD_BUDGETS
from lifeos.model import Action, Decision, ItemKind, Stage

UNREADABLE = "what was decided under a set of rules that cannot be read"
OTHER_VERSION = "what another version of lifeos decided, which this one decides otherwise"
NOT_MADE = "what an attempt would have brought that was never made"
ANSWERED = "how a question would have been answered that was never asked"
COMMENTED = "what the next attempt would have made without the comment that came with a yes"
ELSEWHERE = "how a run goes on that would have stood elsewhere"
SOONER = "what would have come of landing sooner, where landing failed"
WAITING = "when a question would have been answered again, and how"

_MOST = 8  # additional questions in a row: each is another one, so it never comes to that
_PERIODS = frozenset(f"budget:{name}" for name in PERIOD_BUDGETS)
_ASKED: Mapping[ItemKind, Departure] = {
    ItemKind.BUDGET: Departure.BUDGET_MET,
    ItemKind.ESCALATION: Departure.ESCALATED,
    ItemKind.WAIVER: Departure.WAIVER_ASKED,
    ItemKind.BREACH: Departure.BREACH,
    ItemKind.ENVIRONMENT: Departure.BREACH,
}
_ACTED: Mapping[Action, Departure] = {
    Action.ADVANCE: Departure.BUDGET_NOT_MET,
    Action.RETRY: Departure.RETRIED,
    Action.REWORK: Departure.REWORKED,
    Action.TERMINATE: Departure.TERMINATED,
    Action.PAUSE: Departure.PAUSED,
}


class Passage:
    """One run, from its opening on."""

    def __init__(self, opened: Opened, rules: Rules) -> None:
        """``rules``: both sides of all sets."""
        self.id = opened.run
        self.rules = rules
        self.account = Account(opened)
        self.parted = False
        self.fate = Fate.OPEN
        self._beside = Beside(opened.run)
        self._over = False
        self._ended: int | None = None  # the difference after which there would be nothing more
        self._unplanned: int | None = None  # the one after which there would be no new plan
        self._skipped: Skipped | None = None  # the open question that would not be
        self._sooner = False  # whether it would have landed before the attempt that did
        self._acted: tuple[Departure, str] | None = None  # instead of a question about to be asked

    # --- what happens to it -----------------------------------------------------------------

    def claimed(self, before: Snapshot, commit: str, record: Claimed) -> None:
        """Its next attempt begins: everything that had to be asked was."""
        if not self._over:
            self._ask_what_is_left(before, commit, record.at, paid=record.reserved > 0)
        if self._over:
            return
        if self._beside.run(before).stage is record.stage:
            self._apply(before, record)
        else:
            self._part(ELSEWHERE)

    def finished(self, before: Snapshot, commit: str, record: Finished) -> None:
        """An attempt ended, and the policy decides."""
        facts, real = record.facts, before.runs[self.id]
        if facts is None or self._over:
            self._afterwards(record)
            return
        rules = self.rules.recorded(real.governance)
        other_rules = self.rules.instead(real.governance)
        if rules is None or other_rules is None:
            self._part(UNREADABLE)
            return
        if _taken(judge(real, record.stage, facts, rules, record.at)) != _taken(record):
            self._part(OTHER_VERSION)
            return
        if self.rules.same(real.governance) and not self._beside.differs:
            return
        if self._sooner and record.stage is Stage.CLOSE and not facts.stopped:
            self._part(
                SOONER
            )  # main had moved while the question waited; or it was red in any case
            return
        sides = Sides(real, rules, self._beside.run(before), other_rules)
        self._judge(before, commit, record, facts, sides)

    def held(self, before: Snapshot, commit: str, record: Held) -> None:
        """A question is asked."""
        if self._over:
            return
        if record.rule == "task_changed":
            if not self._task_changed(before, commit, record, "escalate"):
                self._apply(before, record)
            return
        asked = self._asks(before, record)
        for _ in range(_MOST):
            if self.parted or asked is None or asked[0] is record.item_kind:
                break
            if asked[0] is not ItemKind.BUDGET:
                break
            self._additional(before, commit, record.at, asked)  # money is asked for first
            asked = self._asks(before, record)
        if record.item_kind is ItemKind.BUDGET and asked and asked[0] is not ItemKind.BUDGET:
            asked = None  # what is asked comes after it
        if not self._over:
            self._held(before, commit, record, asked)

    def resolved(self, before: Snapshot, commit: str, record: Resolved, item: Item) -> None:
        """A question is answered."""
        skipped, self._skipped = self._skipped, None
        if self._over:
            if self._ended is not None:
                self.account.spared_question(self._ended, item, record.at)
        elif skipped is not None:
            self._not_asked(before, record, skipped)
        else:
            void = self.rules.void(item, record, before.governance)
            if void is None:
                self._apply(before, record)
                return
            self.account.tell(void, commit, record.at, item.stage, item=item.id)
            self._part(WAITING)

    def noted(self, before: Snapshot, commit: str, record: Noted) -> None:
        """Something is noted about it, or about its question."""
        if self._over:
            return
        if self._skipped is not None and record.item == self._skipped.item:
            if record.topic is Topic.SUPERSEDED and not record.reask:
                self._withdrawn(record)
            return
        if record.topic is Topic.RESTARTED:
            self._left_unanswered()
            self._acted = None
            if self._task_changed(before, commit, record, "restart"):
                return
        waits = self._beside.run(before).status is RunStatus.PAUSED
        if record.topic is not Topic.WOKEN or waits:
            self._apply(before, record)

    def repinned(self, before: Snapshot, at: int, digest: str) -> None:
        """A person adopted a set for all runs."""
        if not self._over and self._beside.differs:
            note = Noted(at=at, topic=Topic.REPINNED, run=self.id, digest=digest)
            self._apply(before.model_copy(update={"governance": digest}), note)

    def closed(self, fate: Fate) -> None:
        """It ended."""
        self.fate = fate
        self._left_unanswered()
        self._over = True

    def settled(self, end: Snapshot, commit: str) -> None:
        """There is nothing more on the ledger, and it is open."""
        waits = end.runs[self.id].status in (RunStatus.READY, RunStatus.PAUSED)
        if waits and not self._over:
            self._ask_what_is_left(end, commit, end.at, paid=False)
        self._left_unanswered()

    def _apply(self, before: Snapshot, *records: AnyRecord, differs: bool = False) -> None:
        if not self._beside.apply(before, *records, differs=differs):
            self._part(ELSEWHERE)

    def _part(self, why: str) -> None:
        """From here on nothing is told."""
        self._over = self.parted = True
        self._skipped = None
        self.account.unknown.append(why)

    # --- attempts ---------------------------------------------------------------------------

    def _judge(
        self, before: Snapshot, commit: str, record: Finished, facts: AttemptFacts, sides: Sides
    ) -> None:
        """One decision, taken again on the facts as they would have been."""
        instead = facts_instead(record.stage, facts, sides)
        for each in instead.found:
            self._tell(each, commit, record)
        self.account.unknown += instead.unknown
        if instead.let_through and record.ask is not None:
            self._acted = (Departure.BREACH_LET_THROUGH, "")  # told with the answer
            return
        if instead.let_through:
            told = "the change would have been allowed"
            otherwise = Otherwise(Departure.BREACH_LET_THROUGH, record.rule, "", told)
            self._tell(otherwise, commit, record)
        if instead.parts:
            self._part(instead.parts)
            return
        other = judge(sides.other_run, record.stage, instead.facts, sides.other_rules, record.at)
        if instead.breach:
            budget = other.ask is not None and other.ask.kind is ItemKind.BUDGET
            departure = Departure.BUDGET_MET if budget else Departure.BREACH
            self._acts(commit, record, departure, other, instead.breach)
        else:
            self._compare(before, commit, record, instead.facts, other)

    def _compare(
        self, before: Snapshot, commit: str, record: Finished, facts: AttemptFacts, other: Judgement
    ) -> None:
        """What was decided, and what would have been."""
        decided = _decided(record, facts, other)
        if (record.action, record.to) == (other.action, other.to):
            # A question more or less is told when it is asked, or would have been.
            self._pauses(commit, record, other.wake)
            self._apply(before, decided, differs=decided != record)
            return
        departure = _ASKED.get(other.ask.kind) if other.ask else _ACTED[other.action]
        budget = record.ask is not None and record.ask.kind is ItemKind.BUDGET
        goes_on = other.ask is None and other.action in (Action.RETRY, Action.REWORK)
        if record.ask is not None and (goes_on or other.action is Action.ADVANCE):
            self._acted = (Departure.BUDGET_NOT_MET if budget else _ACTED[other.action], other.rule)
            self._apply(before, decided, differs=True)
        elif record.action is Action.ADVANCE and other.ask is not None:
            self._apply(before, decided, differs=True)  # only the money is in the way
        else:
            told = f"{other.action}{_to(other)} instead of {record.action}{_to(record)}"
            self._acts(commit, record, departure or Departure.ASKED, other, told)

    def _acts(
        self, commit: str, record: Finished, departure: Departure, other: Judgement, told: str
    ) -> None:
        """Another action: told, and the end of what is known, but for what would not be made."""
        self._tell(Otherwise(departure, record.rule, other.rule, told), commit, record)
        index, sums = len(self.account.found) - 1, self.account.sums
        if departure is Departure.TERMINATED:
            self._ended, self._over = index, True
            return
        if other.ask is not None and record.ask is None:
            sums.questions_more += 1
        if other.action is Action.RETRY:
            sums.attempts_more[record.stage] += 1
        if other.action is Action.REWORK and record.action is not Action.REWORK:
            sums.attempts_more[other.to] += 1
        elif other.action is Action.REWORK and other.to is Stage.PLAN:
            sums.attempts_more.update((Stage.PLAN, Stage.PLAN_REVIEW))
        elif other.action is Action.REWORK and record.to is Stage.PLAN:
            self._unplanned = index
        self._part(NOT_MADE if other.ask is None else ANSWERED)

    def _pauses(self, commit: str, record: Finished, wake: Wake | None) -> None:
        """The same action after another time."""
        old, new = _pause(record.wake, record.at), _pause(wake, record.at)
        if old != new:
            departure = Departure.WAITED_LONGER if new > old else Departure.WAITED_LESS
            told = f"{new} s before the next attempt instead of {old} s"
            self._tell(Otherwise(departure, record.rule, record.rule, told), commit, record)
            self.account.sums.pause_more += new - old

    def _afterwards(self, record: Finished) -> None:
        """An attempt after the end of what is known: it may be one that would not have been made.

        After an end there would have been none; after rework without a plan, none until a build.
        """
        if self._unplanned is not None and record.stage not in (Stage.PLAN, Stage.PLAN_REVIEW):
            self._unplanned = None
        index = self._ended if self._ended is not None else self._unplanned
        if index is not None and record.facts is not None:
            self.account.spared(index, record.facts.usage)

    # --- questions --------------------------------------------------------------------------

    def _asks(self, before: Snapshot, record: Held) -> Gate | None:
        """What would be asked where this was; None: nothing."""
        real, run = before.runs[self.id], self._beside.run(before)
        if self._acted is not None and self._acted[0] is Departure.BREACH_LET_THROUGH:
            return None
        if run.status is RunStatus.ASKING and run.ask is not None:
            return run.ask.kind, run.ask.rule
        paid = record.rule in _PERIODS
        found = self.rules.gate(self._beside.state(before), run, record.at, paid=paid)
        if found is not None:
            return found
        by_attempt = real.ask is not None and real.ask.rule == record.rule
        recorded = self.rules.gate(before, real, record.at, paid=paid, recorded=True)
        again = record.rule.startswith("reapprove:") and not run.approved_on
        if by_attempt or again or (recorded is not None and recorded[1] == record.rule):
            return None
        return record.item_kind, record.rule  # asked for what no rule here knows: main has moved

    def _held(self, before: Snapshot, commit: str, record: Held, asked: Gate | None) -> None:
        """A question, and what would be asked in its place."""
        if asked is None:
            self._skip(before, commit, record)
            return
        if self._skipped is not None:  # it went on before the rules changed that ask now
            self._left_unanswered()
            self._part(NOT_MADE)
            return
        kind, rule = asked
        if kind is not record.item_kind:
            told = f"asked as {kind} instead of {record.item_kind}"
            departure = _ASKED.get(kind, Departure.ASKED)
            self._tell(Otherwise(departure, record.rule, rule, told), commit, record)
            self._part(ANSWERED)
            return
        if rule != record.rule:
            told = "it would have been asked all the same"
            otherwise = Otherwise(Departure.OTHER_RULE, record.rule, rule, told)
            self._tell(otherwise, commit, record)
        self._apply(before, record.model_copy(update={"rule": rule}))

    def _ask_what_is_left(self, before: Snapshot, commit: str, at: int, *, paid: bool) -> None:
        """Everything that would have to be asked before the run may go on, and was not."""
        for _ in range(_MOST):
            run = self._beside.run(before)
            asked: Gate | None
            if run.status is RunStatus.ASKING and run.ask is not None:
                asked = (run.ask.kind, run.ask.rule)
            else:
                asked = self.rules.gate(self._beside.state(before), run, at, paid=paid)
                real = before.runs[self.id]
                if asked and asked == self.rules.gate(before, real, at, paid=paid, recorded=True):
                    return  # it was let pass for what is not in the rules
            if asked is None or self._over:
                return
            self._additional(before, commit, at, asked)

    def _additional(self, before: Snapshot, commit: str, at: int, asked: Gate) -> None:
        """A question that nobody was asked. It is taken as answered with yes."""
        kind, rule = asked
        run = self._beside.run(before)
        told = Otherwise(_ASKED.get(kind, Departure.ASKED), "", rule, "nobody was asked")
        self.account.tell(told, commit, at, run.stage, n=run.attempts or None)
        self.account.sums.questions_more += 1
        self.account.conditional = True
        held = Held(
            at=at,
            item=f"asked {run.answers}",
            item_kind=kind,
            run=self.id,
            stage=run.stage,
            question="",
            rule=rule,
            subject="",
            main="main",
        )
        done = {"decision": Decision.APPROVE, "who": "", "main": "main", "commit": "merged"}
        records: list[AnyRecord] = [held, Resolved(at=at, item=held.item, **done)]
        if run.stage is Stage.CLOSE and self.rules.by_pull(before):
            pull = PullRequest(head="merged", landing=True)  # there, the merge is the yes
            records.insert(1, Noted(at=at, topic=Topic.PULL, item=held.item, pull=pull))
        self._apply(before, *records, differs=True)

    def _skip(self, before: Snapshot, commit: str, record: Held) -> None:
        """This would not have been asked."""
        budget = record.item_kind is ItemKind.BUDGET
        plain = Departure.BUDGET_NOT_MET if budget else Departure.NOT_ASKED
        departure, new = self._acted or (plain, "")
        first, self._acted = self._skipped, None  # the same, where it is asked anew
        self._skipped = Skipped(
            item=record.item,
            commit=commit,
            at=first.at if first else record.at,
            kind=record.item_kind,
            rule=record.rule,
            stage=record.stage,
            departure=departure,
            new=new,
        )
        self._beside.part(before)

    def _not_asked(self, before: Snapshot, record: Resolved, skipped: Skipped) -> None:
        """The answer to a question that would not have been asked."""
        waiting = record.at - skipped.at
        if record.decision is not Decision.APPROVE:
            self._refused(before, record, skipped)
            return
        told = "you said yes"
        self.account.tell_skipped(skipped, skipped.departure, told, waiting=waiting)
        self._sooner = self._sooner or skipped.landing
        if skipped.departure is Departure.BREACH_LET_THROUGH:
            self._part(NOT_MADE)
        elif record.comment and not skipped.landing:
            self._part(COMMENTED)

    def _refused(self, before: Snapshot, record: Resolved, skipped: Skipped) -> None:
        """Nobody would have been asked, and somebody (or the time that had passed) said no."""
        if record.who == EXPIRY:
            self._unanswered(skipped, "nobody answered in time")
            return
        revised = record.decision is Decision.REVISE
        told = "you wanted it done again" if revised else "you said no"
        if skipped.landing:
            rejected, sent_back = (
                Departure.LANDED_ALTHOUGH_REJECTED,
                Departure.LANDED_ALTHOUGH_REVISED,
            )
            self.account.tell_skipped(skipped, sent_back if revised else rejected, told)
            self._over = True  # what more there is to know of it, nobody does
            return
        guard = self.rules.before_landing(before, self._beside.run(before))
        told += f"; you would still be asked before it lands ({guard})" if guard else ""
        rejected, sent_back = (
            Departure.WENT_ON_ALTHOUGH_REJECTED,
            Departure.WENT_ON_ALTHOUGH_REVISED,
        )
        departure = sent_back if revised else rejected
        self.account.tell_skipped(skipped, departure, told, guarded=bool(guard))
        if skipped.departure is Departure.RETRIED and skipped.stage is not None:
            self.account.sums.attempts_more[skipped.stage] += 1
        self._part(NOT_MADE)

    def _withdrawn(self, record: Noted) -> None:
        """A question that would not have been asked went away by itself.

        One of money did when there was money again: the run goes on, as it would have sooner.
        """
        skipped, self._skipped = self._skipped, None
        if skipped is not None and skipped.kind is ItemKind.BUDGET:
            waiting = record.at - skipped.at
            self.account.tell_skipped(skipped, skipped.departure, "withdrawn", waiting=waiting)
        elif skipped is not None:
            self._unanswered(skipped, "it was withdrawn")

    def _unanswered(self, skipped: Skipped, told: str) -> None:
        """Nobody said yes or no, and nobody would have been asked: it would have gone on."""
        self.account.tell_skipped(skipped, Departure.NOT_ASKED_UNANSWERED, told)
        if skipped.landing:
            self._over = True
        else:
            self._part(NOT_MADE)

    def _left_unanswered(self) -> None:
        """The open question, if it would not have been asked."""
        skipped, self._skipped = self._skipped, None
        if skipped is not None:
            told = "you had not answered"
            self.account.tell_skipped(skipped, Departure.NOT_ASKED_UNANSWERED, told)

    def _task_changed(self, before: Snapshot, commit: str, record: Held | Noted, was: str) -> bool:
        """An edited task: whether it would have been handled otherwise than it ``was``."""
        digest = before.runs[self.id].governance
        rules, recorded = self.rules.instead(digest), self.rules.recorded(digest)
        if not (rules and recorded) or rules.loop.on_task_change is recorded.loop.on_task_change:
            return False
        new = rules.loop.on_task_change.value
        told = f"{new} instead of {was}"
        names = (f"on_task_change:{was}", f"on_task_change:{new}")
        self._tell(Otherwise(Departure.TASK_CHANGE, *names, told), commit, record)
        self._part(NOT_MADE)
        return True

    def _tell(self, otherwise: Otherwise, commit: str, record: Finished | Held | Noted) -> None:
        n = record.n if isinstance(record, Finished) else None
        item = "" if isinstance(record, Finished) else record.item
        self.account.tell(otherwise, commit, record.at, record.stage, n=n, item=item)


def _taken(one: Judgement | Finished) -> tuple[object, ...]:
    """A decision without the wording of its questions."""
    return (one.action, one.rule, one.to, _bare(one.ask), one.wake)


def _bare(ask: Ask | None) -> Ask | None:
    if ask is None:
        return None
    return ask.model_copy(update={"question": "", "then": _bare(ask.then)})


def _decided(record: Finished, facts: AttemptFacts, other: Judgement) -> Finished:
    """The record as it would have been; the words of its questions stay."""
    if _taken(other) == _taken(record):
        return record if facts == record.facts else record.model_copy(update={"facts": facts})
    decision = {"action": other.action, "rule": other.rule, "to": other.to}
    more = {"facts": facts, "ask": other.ask, "wake": other.wake}
    return record.model_copy(update={**decision, **more})


def _pause(wake: Wake | None, at: int) -> int:
    """Seconds that are waited at least."""
    return wake.at - at if wake is not None and wake.at is not None else 0


def _to(one: Judgement | Finished) -> str:
    """Where rework begins."""
    return f" ({one.to})" if one.action is Action.REWORK else ""
