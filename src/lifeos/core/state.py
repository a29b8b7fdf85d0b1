"""The state that follows from all transitions so far: the open runs and items, nothing closed.

Everything here is a value. Times are whole seconds since 1970 UTC; money is US dollars;
trees and commits are git object ids; digests are hex SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from lifeos.core.improve.trial import Proposed
from lifeos.model import (
    CloseOutcome,
    FailureClass,
    Frozen,
    ItemKind,
    Mode,
    Risk,
    Stage,
    Usage,
    Verdict,
)


class Success(StrEnum):
    """The outcome of an attempt that made what its stage asks for."""

    OK = "ok"


Outcome = Success | Verdict | FailureClass


class RunStatus(StrEnum):
    """Where a run stands between two transitions."""

    READY = "ready"  # its next attempt may be claimed
    CLAIMED = "claimed"  # an attempt is under way
    ASKING = "asking"  # a checkpoint was decided and is about to open
    HELD = "held"  # a checkpoint is open: CEO_REVIEW
    PAUSED = "paused"  # waits for a time, for main to move, or for STOP to go
    ENDING = "ending"  # decided to end; about to be closed


class OnApprove(StrEnum):
    """What an approval of a held run lets happen."""

    ADVANCE = "advance"  # as if the attempt had succeeded
    AGAIN = "again"  # one more attempt at this stage
    ACCEPT = "accept"  # take the kept tree as given, and check it
    REWORK = "rework"  # do what the review asked for


class Ask(Frozen):
    """A checkpoint that was decided: what kind, by which rule, and what an approval does."""

    kind: ItemKind
    rule: str
    question: str
    on_approve: OnApprove = OnApprove.AGAIN
    then: Ask | None = None  # asked when this is approved: one question must not hide another


class Wake(Frozen):
    """When a paused run may go on: at a time, when main moves, or when STOP is gone."""

    at: int | None = None
    main: str | None = None  # the commit of main that it waits to see replaced
    stop: bool = False


class Claim(Frozen):
    """An attempt under way. A record that does not carry this nonce is refused (fencing)."""

    stage: Stage
    n: int
    nonce: str
    worker: str
    lease_until: int
    reserved: float
    base: str


class Landing(Frozen):
    """The exact commit that is about to become main, recorded before main moves."""

    commit: str
    onto: str
    tree: str


class Waiver(Frozen):
    """A failure that a person waived, for one subject only."""

    item: str
    subject: str
    failure: FailureClass
    work: str = ""  # the tree that it is for


class TaskText(Frozen):
    """What a task says, as far as its run must know.

    ``commands`` is the digest of the commands that need allowing, "" if none do.
    """

    digest: str
    title: str
    scope: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    risk: Risk = Risk.LOW
    commands: str = ""


class Run(Frozen):
    """One passage of one task through the pipeline."""

    id: str
    task: str
    title: str
    task_digest: str
    ordinal: int
    opened_seq: int
    opened_at: int
    base: str
    governance: str
    scope: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    risk: Risk = Risk.LOW
    commands: str = ""  # digest of the task's commands that need allowing; "" if none do
    allowed: str = ""  # digest of the commands that a person allowed
    stage: Stage = Stage.DESIGN
    status: RunStatus = RunStatus.READY
    claim: Claim | None = None
    item: str | None = None
    ask: Ask | None = None  # while held: what is asked once the open item is approved
    wake: Wake | None = None
    end: CloseOutcome | None = None
    attempts: int = 0
    stage_attempts: Mapping[Stage, int] = {}
    failures: Mapping[FailureClass, int] = {}
    retries: Mapping[FailureClass, int] = {}  # at this stage, since it was entered
    reworks: Mapping[Stage, Mapping[FailureClass, int]] = {}  # sent back, since it last passed
    usage: Usage = Usage()
    grants: int = 0  # how often the run's own budgets were granted once more
    granted: Mapping[str, int] = {}  # when a person last let it go on over a day's, month's budget
    repin: str = ""  # the set to go on under when the attempt under way has ended
    beside: str = ""  # the adopted set that a person let it go on beside, under its own
    answers: int = 0
    trees: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    design: str = ""
    plan: str = ""
    work: str = ""
    paths: tuple[str, ...] = ()
    lines: int = 0
    mode: Mode = Mode.M1
    forced: bool = False
    exceptions: int = 0
    accepted: str = ""
    waivers: tuple[Waiver, ...] = ()
    missing: tuple[str, ...] = ()  # seats that gave no verdict in the last attempt at a review
    excused: tuple[str, ...] = ()  # seats that a person let go, for what is under review now
    feedback: int = 0
    comment: str = ""
    approved_on: str = ""
    merged: str = ""  # the commit on main by which a forge merged its landing PR
    landing: Landing | None = None
    last_n: Mapping[Stage, int] = {}


class PullRequest(Frozen):
    """The queue PR of an item. ``head`` is the one commit that its branch may be at.

    ``commits`` is how many of those up to it are the pull request's own. ``number`` is 0 while it
    is only intended. ``landing``: it carries the work itself. ``reopened``: lifeos has opened it
    again once.
    """

    head: str
    commits: int = 1
    number: int = 0
    url: str = ""
    landing: bool = False
    reopened: bool = False

    @property
    def brings_more(self) -> bool:
        """Whether its merge brings more than an answer: work, or what takes some back."""
        return self.landing or self.commits > 1


class Item(Frozen):
    """One open checkpoint."""

    id: str
    kind: ItemKind
    run: str | None
    stage: Stage | None
    subject: str
    question: str
    rule: str
    opened_at: int
    expires_at: int | None
    governance: str  # the adopted set when it was opened
    on_approve: OnApprove = OnApprove.AGAIN
    about: str = ""  # the digest of the new set, or of the task's new text
    edited: TaskText | None = None  # the task's new text, if the item is about that
    main: str = ""  # the commit of main that it was asked on
    onto: str = ""  # what main was before the commit that it is about
    pull: PullRequest | None = None
    proposed: Proposed | None = None  # if it is about a proposal of lifeos's own


class Spend(Frozen):
    """Cost over all runs in the current UTC day and month, and what open claims reserve."""

    day: str = ""
    day_cost: float = 0.0
    day_estimated: bool = False  # whether some of it is what lifeos thinks, not what it was told
    month: str = ""
    month_cost: float = 0.0
    month_estimated: bool = False


class Retry(Frozen):
    """A task that a person wants tried again, and from which stage."""

    task: str
    stage: Stage
    run: str = ""  # the ended run whose artifacts earlier stages are taken from


class Change(Frozen):
    """A commit by which a proposal may become part of main, noted before main moves.

    ``digest`` is the set of rules that main has with it, "" if it changes none.
    """

    commit: str
    onto: str
    tree: str
    digest: str = ""


class Trial(Frozen):
    """A proposal that was approved: about to land, and then measured over its window.

    Several commits may be noted, by ticks that did not know of each other; main takes one of them.
    ``closed`` counts the runs that began after it landed, and are closed.
    """

    item: str
    rule: str
    about: str
    proposed: Proposed
    governance: str  # the adopted set when it was asked
    who: str
    merged: str = ""  # the commit on main by which a forge merged it
    changes: tuple[Change, ...] = ()
    landed: str = ""
    landed_at: int = 0
    closed: int = 0


class Due(Frozen):
    """A proposal that is to be drafted: anew, or because another did not hold.

    ``item`` is the question that it follows from, ``comment`` what a person wants otherwise.
    """

    item: str
    draft: int = 1
    comment: str = ""


class Searched(Frozen):
    """The last search for patterns, and how many runs were closed since."""

    at: int
    closed: int = 0


class Snapshot(Frozen):
    """What is open after ``seq`` transitions. ``root`` is the id of the ledger's first commit.

    ``over`` are queue PRs that bring more than an answer, of questions that ended otherwise than by
    their merge, by item; ``asked_about`` the commits on main of which it was asked whether to take
    them back. Of both the last ones: what is merged all the same should not go unseen.
    ``by_pulls``: whether questions were ever asked by pull requests.
    """

    root: str = ""
    seq: int = 0
    at: int = 0
    governance: str = ""
    refused_governance: str = ""
    adopted_on: str = ""  # the commit of main that had the adopted set when it was adopted
    stop: bool = False
    runs: Mapping[str, Run] = {}
    items: Mapping[str, Item] = {}
    spend: Spend = Spend()
    retries: Mapping[str, Retry] = {}
    over: Mapping[str, PullRequest] = {}
    asked_about: tuple[str, ...] = ()
    by_pulls: bool = False
    trials: Mapping[str, Trial] = {}  # by item
    drafts: Mapping[str, Due] = {}  # by pattern
    searched: Searched | None = None

    @property
    def reserved(self) -> float:
        """US dollars that open claims may still spend."""
        return sum(run.claim.reserved for run in self.runs.values() if run.claim)
