"""What is so now, and what is to be done about it: what ``decide`` is given, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping

from lifeos.core.improve.trial import Measured, Proposed
from lifeos.core.policy import Governance
from lifeos.core.records import Held, Noted, Resolved
from lifeos.core.state import TaskText
from lifeos.model import CloseOutcome, Decision, Frozen, Risk, Stage, Trust


class TaskFact(Frozen):
    """A task as main has it now. ``done``: its box is ticked.

    ``commands`` is the digest of commands that need allowing.
    """

    id: str
    title: str
    digest: str
    open: bool = True
    done: bool = False
    scope: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    risk: Risk = Risk.LOW
    commands: str = ""
    ordinal: int = 0

    @property
    def text(self) -> TaskText:
        """What a run must know of it."""
        return TaskText(
            digest=self.digest,
            title=self.title,
            scope=self.scope,
            tags=self.tags,
            risk=self.risk,
            commands=self.commands,
        )


class Answer(Frozen):
    """An answer that counts: it was judged valid before it got here."""

    item: str
    decision: Decision
    who: str
    trust: Trust
    commit: str
    comment: str = ""
    raw: str = ""


class AskAnew(Frozen):
    """An item that can no longer be answered as it was asked. Nothing resumes by it."""

    item: str
    reason: str


class Intruded(Frozen):
    """Something reached main, by this commit, that nobody let through; seen at an item's PR."""

    item: str
    commit: str
    onto: str
    reason: str


class Draft(Frozen):
    """A proposal that can be asked: its rule and words, and the digest of all that it says."""

    rule: str
    question: str
    about: str
    proposed: Proposed


class Improving(Frozen):
    """What is so about proposals. Empty, and costs nothing, unless one is open or a search is due.

    ``drafts`` are those that can be asked. ``undrafted`` maps a pattern whose draft was due to why
    there is none. ``searched``: the drafts are all that a search that was due has found.
    ``unfitting`` maps open and approved ones to why they no longer fit main as it is, ``landed``
    approved ones to the noted commit that main has, ``measured`` those whose window is over to what
    came of their metric.
    """

    drafts: tuple[Draft, ...] = ()
    undrafted: Mapping[str, str] = {}
    searched: bool = False
    unfitting: Mapping[str, str] = {}
    landed: Mapping[str, str] = {}
    measured: Mapping[str, Measured] = {}


class Facts(Frozen):
    """What is so now, gathered from commits by the shell.

    ``unfit``: main has files that lifeos cannot work on, and nothing is begun.
    ``governance`` is the digest of main's set ("" when that set is broken), ``sets`` that set, the
    adopted one and those that runs and items name, by digest. ``tasks`` holds the tasks of open
    runs and ``candidates`` the eligible ones in order. ``landed`` maps a run to the commit on main
    that its recorded landing became, ``lost`` names runs whose worker is gone, ``contents`` gives
    the content digest of each run's work, ``overlapping`` the runs whose paths main has changed
    since their approval, ``moved`` the runs for which main moved at all,
    ``conflicting`` those that cannot be landed by a pull request, not merging with main,
    ``unverified`` those that a forge has landed and that end without a pass: what main was before.
    ``unready`` are the stages whose agent cannot be started here and now (its program or its key is
    missing).
    """

    main: str
    stop: bool = False
    unfit: bool = False
    governance: str = ""
    governance_by_approver: bool = False
    sets: Mapping[str, Governance] = {}
    tasks: Mapping[str, TaskFact] = {}
    candidates: tuple[TaskFact, ...] = ()
    answers: tuple[Answer, ...] = ()
    anew: tuple[AskAnew, ...] = ()
    intruded: tuple[Intruded, ...] = ()
    landed: Mapping[str, str] = {}
    lost: frozenset[str] = frozenset()
    contents: Mapping[str, str] = {}
    overlapping: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()
    conflicting: frozenset[str] = frozenset()
    unverified: Mapping[str, str] = {}
    paid: frozenset[Stage] = frozenset()
    unready: frozenset[Stage] = frozenset()
    may_open: int = 0
    only_task: str = ""
    improving: Improving = Improving()


class Write(Frozen):
    """Record this; nothing else happens."""

    record: Held | Resolved | Noted


class End(Frozen):
    """Close the run: assemble its final packet and record it."""

    run: str
    outcome: CloseOutcome
    landed: str = ""
    reason: str = ""


class Interrupt(Frozen):
    """Close a claim whose worker is gone without a result."""

    run: str


class Attempt(Frozen):
    """Claim the next attempt of this run and carry it out."""

    run: str
    stage: Stage
    n: int
    base: str
    reserved: float = 0.0


class OpenRun(Frozen):
    """Open a run for this task."""

    task: TaskFact


class LandProposal(Frozen):
    """Put an approved proposal on main."""

    item: str


Step = Write | End | Interrupt | Attempt | OpenRun | LandProposal
