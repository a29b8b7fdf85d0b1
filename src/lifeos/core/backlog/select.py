"""What is next, and why each task is or is not: by priority, then in the order of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lifeos.core import globs
from lifeos.core.backlog.entry import Backlog, Mark, Task
from lifeos.model import CloseOutcome

_MARKED = {
    Mark.DONE: "is done",
    Mark.STARTED: "is marked as started by a person [/]",
    Mark.BLOCKED: "is marked as blocked [!]",
    Mark.CANCELLED: "is cancelled [-]",
}

_MARK_OF_END = {
    CloseOutcome.BLOCKED: Mark.BLOCKED,
    CloseOutcome.REJECTED: Mark.CANCELLED,
}


@dataclass(frozen=True)
class Closed:
    """The last run of a task that has ended; ``digest`` is the task's at that time.

    ``reopened``: the run passed, and main shows the box open again.
    """

    task_id: str
    outcome: CloseOutcome
    digest: str
    reopened: bool = False


@dataclass(frozen=True)
class OpenRun:
    """A run that has not ended. ``building``: agents work on it; otherwise it waits for a person.

    ``paths`` are those that its work changes so far.
    """

    task_id: str
    scope: tuple[str, ...] = ()
    building: bool = True
    paths: tuple[str, ...] = ()


class Bar(StrEnum):
    """What keeps a task from being started, in the order in which it is looked at."""

    ERROR = "error"  # its entry, or one that it depends on, cannot be relied on
    RUNNING = "running"  # it has an open run
    MARKED = "marked"  # its box says so
    ENDED = "ended"  # its last run is final
    DEPENDS = "depends"
    OVERLAPS = "overlaps"  # an open run may touch the same paths


@dataclass(frozen=True)
class Eligibility:
    """Whether a task may be started now, why, and which tasks stand in its way.

    ``bar`` is the rule that keeps it, None for an eligible one; ``ended`` how its last run ended,
    where that keeps it.
    """

    task: Task
    eligible: bool
    reason: str
    blocking: tuple[str, ...] = ()
    bar: Bar | None = None
    ended: CloseOutcome | None = None


@dataclass(frozen=True)
class _Facts:
    """What the rules look at, indexed once."""

    backlog: Backlog
    by_id: Mapping[str, Task]
    closed: Mapping[str, Closed]
    runs: Sequence[OpenRun]
    running: frozenset[str]
    retried: frozenset[str]


def explain(
    backlog: Backlog,
    closed: Mapping[str, Closed],
    open_runs: Sequence[OpenRun],
    retried: frozenset[str] = frozenset(),
) -> tuple[Eligibility, ...]:
    """Every task in the order of selection, with the first rule that keeps it from being started.

    ``closed`` is by task id; ``retried`` are the tasks for which a person asked for another run.
    """
    return tuple(judged(backlog, closed, open_runs, retried))


def judged(
    backlog: Backlog,
    closed: Mapping[str, Closed],
    open_runs: Sequence[OpenRun],
    retried: frozenset[str] = frozenset(),
) -> Iterator[Eligibility]:
    """The same as ``explain``, one by one."""
    by_id = {task.id: task for task in backlog.tasks if task.id}
    running = frozenset(run.task_id for run in open_runs)
    facts = _Facts(backlog, by_id, closed, open_runs, running, retried)
    order = sorted(backlog.tasks, key=lambda task: (task.priority, task.order))
    return (_judge(task, facts) for task in order)


def eligible(
    backlog: Backlog,
    closed: Mapping[str, Closed],
    open_runs: Sequence[OpenRun],
    retried: frozenset[str] = frozenset(),
) -> tuple[Task, ...]:
    """The tasks that may be started now, the next one first."""
    every = judged(backlog, closed, open_runs, retried)
    return tuple(found.task for found in every if found.eligible)


def _judge(task: Task, facts: _Facts) -> Eligibility:
    for bar, rule in _RULES:
        refusal = rule(task, facts)
        if refusal:
            reason, blocking = refusal
            last = facts.closed.get(task.id) if bar is Bar.ENDED else None
            return Eligibility(task, False, reason, blocking, bar, last.outcome if last else None)
    return Eligibility(task, True, "may be started")


_Refusal = tuple[str, tuple[str, ...]] | None


def _marked(task: Task, facts: _Facts) -> _Refusal:
    """A mark that lifeos itself set when a run ended does not decide: how it ended does."""
    if task.mark is Mark.OPEN or task.id in facts.retried:
        return None
    last = facts.closed.get(task.id) if task.id else None
    if last is not None and task.mark is _MARK_OF_END.get(last.outcome):
        return None
    return _MARKED[task.mark], ()


def _in_quarantine(task: Task, facts: _Facts) -> _Refusal:
    if task.order not in facts.backlog.quarantine or task.mark in (Mark.DONE, Mark.CANCELLED):
        return None
    return f"has an error: {facts.backlog.quarantine[task.order]}", ()


def _running(task: Task, facts: _Facts) -> _Refusal:
    return ("has an open run", (task.id,)) if task.id in facts.running else None


def _ended(task: Task, facts: _Facts) -> _Refusal:
    """A run that has ended is final until the text changes, or a person says retry."""
    last = facts.closed.get(task.id) if task.id else None
    if last is None or task.id in facts.retried:
        return None
    if last.outcome is CloseOutcome.PASS:
        return f"was done and is reopened: waits for 'lifeos retry {task.id}'", ()
    if last.digest == task.digest:
        return f"ended {last.outcome}: change its text, or 'lifeos retry {task.id}'", ()
    return None


def _waits_for_others(task: Task, facts: _Facts) -> _Refusal:
    missing = tuple(needed for needed in task.depends if not _is_done(needed, facts))
    if not missing:
        return None
    return f"waits for {', '.join(_with_state(needed, facts) for needed in missing)}", missing


def _is_done(task_id: str, facts: _Facts) -> bool:
    """Ticked, or passed; an open box says that the work was taken back."""
    task = facts.by_id.get(task_id)
    if task is not None and task.mark is Mark.DONE:
        return True
    last = facts.closed.get(task_id)
    passed = last is not None and last.outcome is CloseOutcome.PASS and not last.reopened
    return passed and (task is None or task.mark is not Mark.OPEN)


def _with_state(task_id: str, facts: _Facts) -> str:
    task = facts.by_id.get(task_id)
    if task is not None and task.mark is Mark.CANCELLED:
        return f"{task_id}, which is cancelled"
    return task_id


def _overlaps(task: Task, facts: _Facts) -> _Refusal:
    """Two runs may not work on the same files at once."""
    others = tuple(run.task_id for run in facts.runs if _meets(task.scope, run))
    if not others:
        return None
    what = "its scope overlaps" if task.scope else "it has no scope, so it overlaps"
    return f"{what} the open run of {', '.join(others)}", others


def _meets(scope: Sequence[str], run: OpenRun) -> bool:
    """Whether work within ``scope`` could meet the run's; no scope is every path there is."""
    if not run.building:
        return any(not scope or globs.any_match(scope, path, folded=True) for path in run.paths)
    if not scope or not run.scope:
        return True
    return any(globs.may_overlap(mine, theirs) for mine in scope for theirs in run.scope)


_RULES: tuple[tuple[Bar, Callable[[Task, _Facts], _Refusal]], ...] = (
    (Bar.ERROR, _in_quarantine),
    (Bar.RUNNING, _running),
    (Bar.MARKED, _marked),
    (Bar.ENDED, _ended),
    (Bar.DEPENDS, _waits_for_others),
    (Bar.OVERLAPS, _overlaps),
)
