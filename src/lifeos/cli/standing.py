"""How a task stands, in a word, from the ledger and the rules of selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeos.core.backlog.entry import Mark
from lifeos.core.backlog.select import Bar
from lifeos.core.state import RunStatus

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.core.backlog.select import Eligibility
    from lifeos.core.state import Run

_OF_MARK = {
    Mark.DONE: "done",
    Mark.CANCELLED: "cancelled",
    Mark.BLOCKED: "blocked",
    Mark.STARTED: "started",
}


def standing(here: Here, found: Eligibility) -> tuple[str, str]:
    """The state in a word or two, and why; the second is '' for a task that may be started."""
    run = run_of(here, found.task.id)
    if run is not None:
        return _of_run(run)
    if found.eligible:
        return "ready", ""
    if found.bar is Bar.ERROR:
        return "error", found.reason
    word = _OF_MARK.get(found.task.mark, "reopened" if "reopened" in found.reason else "waits")
    return word, found.reason


def run_of(here: Here, task: str) -> Run | None:
    """The open run of a task."""
    runs = here.ledger.snapshot.runs.values() if here.ledger else ()
    return next((run for run in runs if task and run.task == task), None)


def _of_run(run: Run) -> tuple[str, str]:
    if run.status is RunStatus.HELD:
        return f"asks {run.item}", f"waits for an answer to {run.item}"
    if run.status is RunStatus.PAUSED:
        return "paused", f"its run {run.id} is paused at {run.stage}"
    return f"at {run.stage}", f"its run {run.id} is at {run.stage}"
