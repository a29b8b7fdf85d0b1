"""What happened to each run and each question, told once from the transitions.

Metrics, the report, back-tests and proposals all read this and nothing else, so that they cannot
disagree about what happened. It is folded without the state machine: what a transition says is
believed here, whether it was possible is `lifeos verify`'s business. Two chronicles of one ledger
are equal; one that was kept can be continued with the transitions since (``Chronicler.of``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lifeos.core.improve.trial import Measured
from lifeos.core.machine import NOT_PINNED
from lifeos.core.records import (
    AnyRecord,
    AttemptFacts,
    Claimed,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
)
from lifeos.core.state import Ask, Wake
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    Frozen,
    ItemKind,
    Risk,
    Stage,
    Trust,
)

EXPIRY = "expiry"
"""Who answered, where nobody did in time."""


class AttemptPast(Frozen):
    """An attempt that ended. ``claimed_at`` and ``at`` in seconds UTC; ``commit`` of its record."""

    run: str
    stage: Stage
    n: int
    base: str
    claimed_at: int
    at: int
    commit: str
    facts: AttemptFacts
    action: Action
    rule: str
    to: Stage
    ask: Ask | None = None
    wake: Wake | None = None
    evidence: Mapping[str, str] = {}


class QuestionPast(Frozen):
    """A question to the CEO. Times in seconds UTC; ``commit`` of its record.

    ``decision`` is None while it is open, and where it went unanswered: then ``over_at`` says when
    it was superseded or its run ended. ``who`` is the approver, or ``EXPIRY``.

    Of a proposal, ``pattern`` is what it rests on, ``landed`` the commit on main, ``measured`` what
    came of its metric; ``dropped_at`` says when a draft asked for came to nothing.
    """

    item: str
    kind: ItemKind
    rule: str
    question: str
    subject: str
    at: int
    commit: str
    run: str | None = None
    stage: Stage | None = None
    about: str = ""
    decision: Decision | None = None
    who: str = ""
    trust: Trust | None = None
    comment: str = ""
    answered_at: int | None = None
    answer: str = ""  # the commit of the ledger that has the answer
    over_at: int | None = None
    pattern: str = ""
    landed: str = ""
    landed_at: int | None = None
    measured: Measured | None = None
    measured_at: int | None = None
    measured_in: str = ""  # the commit of the ledger that says so
    dropped_at: int | None = None

    @property
    def by_person(self) -> bool:
        """Whether a person answered it."""
        return self.decision is not None and self.who != EXPIRY


class RunPast(Frozen):
    """A run. ``commit`` of its opening; ``closed_at`` is None while it is open.

    ``landed`` is the commit on main; ``reverted_at`` when that was noted to be taken back, and
    ``reverted`` the commit of main that did it. ``pinned`` are the sets of governance that it was
    under, with when each began. ``claim`` is the attempt under way.
    """

    id: str
    task: str
    title: str
    ordinal: int
    at: int
    commit: str
    base: str
    scope: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    risk: Risk = Risk.LOW
    pinned: tuple[tuple[int, str], ...] = ()
    attempts: tuple[AttemptPast, ...] = ()
    questions: tuple[QuestionPast, ...] = ()
    claim: Claimed | None = None
    restarts: int = 0
    outcome: CloseOutcome | None = None
    closed_at: int | None = None
    closed: str = ""  # the commit of the ledger that ended it
    landed: str = ""
    reason: str = ""
    reverted_at: int | None = None
    reverted: str = ""

    @property
    def passed(self) -> bool:
        """Whether its work landed."""
        return self.outcome is CloseOutcome.PASS


class Adopted(Frozen):
    """A set of governance that came to rule; ``commit`` of the ledger, ``main`` that had it."""

    at: int
    digest: str
    commit: str
    main: str = ""
    item: str = ""  # the question that was answered, where one was asked


class Chronicle(Frozen):
    """All of it, runs in the order of their opening, up to transition ``seq`` at ``at``.

    ``questions`` are those without a run (rules, proposals); those of a run are in it. ``stops``
    are the times at which the kill switch was set (True) and taken away.
    """

    root: str = ""
    tip: str = ""
    seq: int = 0
    at: int = 0
    runs: tuple[RunPast, ...] = ()
    questions: tuple[QuestionPast, ...] = ()
    adopted: tuple[Adopted, ...] = ()
    retries: tuple[tuple[int, str], ...] = ()
    stops: tuple[tuple[int, bool], ...] = ()

    def every_question(self) -> tuple[QuestionPast, ...]:
        """Those of runs and those without, in the order of asking."""
        found = [question for run in self.runs for question in run.questions]
        return tuple(sorted((*found, *self.questions), key=lambda one: (one.at, one.item)))


class Chronicler:
    """The fold. It holds what is still open; ``chronicle`` gives the whole as a value."""

    def __init__(self, kept: Chronicle | None = None) -> None:
        """Begin at nothing, or go on after a chronicle that was kept."""
        self._seen = kept = kept or Chronicle()
        self._runs = {run.id: run for run in kept.runs}
        self._apart = {question.item: question for question in kept.questions}
        self._open = {
            question.item: run.id
            for run in kept.runs
            for question in run.questions
            if _is_open(question)
        }
        self._adopted = list(kept.adopted)
        self._retries = list(kept.retries)
        self._stops = list(kept.stops)

    def add(self, commit: str, record: AnyRecord) -> None:
        """Take in the next transition, by its commit on the ledger."""
        seen = self._seen
        at_now = {"tip": commit, "seq": seen.seq + 1, "at": record.at}
        self._seen = seen.model_copy(update={"root": seen.root or commit, **at_now})
        match record:
            case Opened():
                self._runs[record.run] = _opened(commit, record)
            case Claimed():
                self._change(record.run, claim=record)
            case Finished():
                self._finished(commit, record)
            case Held():
                self._held(commit, record)
            case Resolved():
                self._resolved(commit, record)
            case Closed():
                self._closed(commit, record)
            case Noted():
                self._noted(commit, record)

    def chronicle(self) -> Chronicle:
        """Everything taken in so far."""
        return self._seen.model_copy(
            update={
                "runs": tuple(self._runs.values()),
                "questions": tuple(self._apart.values()),
                "adopted": tuple(self._adopted),
                "retries": tuple(self._retries),
                "stops": tuple(self._stops),
            }
        )

    def _change(self, run: str | None, **update: object) -> None:
        """Change a run; one that was never opened is not told of."""
        if run is not None and run in self._runs:
            self._runs[run] = self._runs[run].model_copy(update=update)

    def _finished(self, commit: str, record: Finished) -> None:
        run = self._runs.get(record.run)
        if run is None or record.facts is None:
            return
        claim = run.claim
        attempt = AttemptPast(
            run=record.run,
            stage=record.stage,
            n=record.n,
            base=claim.base if claim else "",
            claimed_at=claim.at if claim else record.at,
            at=record.at,
            commit=commit,
            facts=record.facts,
            action=record.action,
            rule=record.rule,
            to=record.to,
            ask=record.ask,
            wake=record.wake,
            evidence=record.evidence,
        )
        self._change(record.run, attempts=(*run.attempts, attempt), claim=None)

    def _held(self, commit: str, record: Held) -> None:
        question = QuestionPast(
            item=record.item,
            kind=record.item_kind,
            rule=record.rule,
            question=record.question,
            subject=record.subject,
            at=record.at,
            commit=commit,
            run=record.run,
            stage=record.stage,
            about=record.about,
            pattern=record.proposed.pattern if record.proposed else "",
        )
        if record.run is None:
            self._apart[record.item] = question
        elif record.run in self._runs:
            run = self._runs[record.run]
            self._change(run.id, questions=(*run.questions, question))
            self._open[record.item] = run.id

    def _settle(self, item: str, **update: object) -> None:
        """Change a question that is open; one that is not stays as it was."""
        if item in self._apart and _is_open(self._apart[item]):
            self._apart[item] = self._apart[item].model_copy(update=update)
        run = self._runs.get(self._open.pop(item, ""))
        if run is not None:
            told = tuple(
                one.model_copy(update=update) if one.item == item else one for one in run.questions
            )
            self._change(run.id, questions=told)

    def _supersede(self, run: str | None, at: int) -> None:
        for item in [item for item, owner in self._open.items() if run in (None, owner)]:
            self._settle(item, over_at=at)

    def _resolved(self, commit: str, record: Resolved) -> None:
        self._settle(
            record.item,
            decision=record.decision,
            who=record.who,
            trust=record.trust,
            comment=record.comment,
            answered_at=record.at,
            answer=commit,
        )
        question = self._apart.get(record.item)
        if question is None or question.kind is not ItemKind.GOVERNANCE:
            return
        if record.decision is Decision.APPROVE:
            self._adopt(commit, record.at, question.about, record.main, record.item)
            if question.rule != NOT_PINNED:
                for run in list(self._runs.values()):
                    self._repin(run.id, record.at, question.about)
                self._supersede(None, record.at)

    def _closed(self, commit: str, record: Closed) -> None:
        self._supersede(record.run, record.at)
        self._change(
            record.run,
            outcome=record.outcome,
            closed_at=record.at,
            closed=commit,
            landed=record.landed,
            reason=record.reason,
            claim=None,
        )

    def _noted(self, commit: str, record: Noted) -> None:  # noqa: C901
        # One arm a topic, as in the state machine.
        match record.topic:
            case Topic.GENESIS | Topic.GOVERNANCE:
                self._adopt(commit, record.at, record.digest, record.commit)
            case Topic.REPINNED:
                self._supersede(record.run, record.at)
                self._repin(record.run, record.at, record.digest)
            case Topic.SUPERSEDED:
                self._settle(record.item, over_at=record.at)
            case Topic.RESTARTED:
                self._supersede(record.run, record.at)
                run = self._runs.get(record.run or "")
                self._change(record.run, restarts=run.restarts + 1 if run else 0)
            case Topic.RETRY:
                self._retries.append((record.at, record.task))
            case Topic.STOPPED | Topic.RESUMED:
                self._stops.append((record.at, record.topic is Topic.STOPPED))
            case Topic.REVERTED:
                self._change(record.run, reverted_at=record.at, reverted=record.commit)
            case Topic.LANDED:
                self._landed(commit, record)
            case Topic.MEASURED:
                told = {"measured": record.measured, "measured_at": record.at}
                self._of_proposal(record.item, **told, measured_in=commit)
            case Topic.DROPPED:
                self._of_proposal(record.item, dropped_at=record.at)
            case (
                Topic.LANDING
                | Topic.HISTORY
                | Topic.WOKEN
                | Topic.PULL
                | Topic.SEARCHED
                | Topic.REDACTED
            ):
                pass  # how, and not what: told by what follows

    def _landed(self, commit: str, record: Noted) -> None:
        """A proposal is on main, and its rules, if it has any, were adopted with it."""
        self._of_proposal(record.item, landed=record.commit, landed_at=record.at)
        if record.digest:
            self._adopt(commit, record.at, record.digest, record.commit, record.item)

    def _of_proposal(self, item: str, **update: object) -> None:
        """Tell more of a proposal that was answered."""
        if item in self._apart:
            self._apart[item] = self._apart[item].model_copy(update=update)

    def _adopt(self, commit: str, at: int, digest: str, main: str, item: str = "") -> None:
        self._adopted.append(Adopted(at=at, digest=digest, commit=commit, main=main, item=item))

    def _repin(self, run_id: str | None, at: int, digest: str) -> None:
        run = self._runs.get(run_id or "")
        if run is not None and run.closed_at is None:
            self._change(run.id, pinned=(*run.pinned, (at, digest)))


def _opened(commit: str, record: Opened) -> RunPast:
    return RunPast(
        id=record.run,
        task=record.task,
        title=record.title,
        ordinal=record.ordinal,
        at=record.at,
        commit=commit,
        base=record.base,
        scope=record.scope,
        tags=record.tags,
        risk=record.risk,
        pinned=((record.at, record.governance),),
    )


def _is_open(question: QuestionPast) -> bool:
    return question.decision is None and question.over_at is None


def chronicle_of(
    transitions: Iterable[tuple[str, AnyRecord]], kept: Chronicle | None = None
) -> Chronicle:
    """What these transitions tell, each with its commit, oldest first; after ``kept`` if given."""
    chronicler = Chronicler(kept)
    for commit, record in transitions:
        chronicler.add(commit, record)
    return chronicler.chronicle()
