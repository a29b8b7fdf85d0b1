"""Tasks by what people call them, and how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeos.core.backlog.parse import parse
from lifeos.errors import Place, Problem, UsageError
from lifeos.model import Frozen
from lifeos.tick.reading import BACKLOG, read_file

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.core.backlog.entry import Backlog, Task
    from lifeos.core.backlog.select import Eligibility
    from lifeos.tick.context import Context
    from lifeos.tick.tasks import Tasks


def tasks_on_main(here: Here) -> Tasks:
    """The backlog of main, with the ids that open runs have given and main does not show yet."""
    from lifeos.tick.tasks import Tasks, read_tasks

    if here.ledger is not None:
        return read_tasks(context_of(here), here.main)
    data = read_file(here.repo, here.main.tree, BACKLOG) or b""
    backlog = parse(data, BACKLOG, here.rules.config.id_prefix)
    return Tasks(main=here.main, data=data, backlog=backlog, ids={})


def judged(here: Here, tasks: Tasks) -> tuple[Eligibility, ...]:
    """For every task, in order of selection: whether it may be opened now, and why not."""
    if here.ledger is None:
        from lifeos.core.backlog.select import explain as explain_new

        return explain_new(tasks.backlog, {}, ())
    from lifeos.tick.tasks import explain

    return explain(context_of(here), tasks)


def context_of(here: Here) -> Context:
    """What the tick's own reading functions take; the rules are those that are known already."""
    from lifeos.tick.context import Context, World

    if here.ledger is None:
        raise UsageError("there is no ledger here yet", "lifeos tick")
    sets = {here.rules.digest: here.rules}
    return Context(repo=here.repo, ledger=here.ledger, world=World(), sets=sets)


def find_task(here: Here, name: str) -> Task:
    """The task on main with this id, run or title.

    Raises ``UsageError`` for none, and for a title that several tasks have.
    """
    tasks = tasks_on_main(here)
    runs = here.ledger.snapshot.runs.values() if here.ledger else ()
    wanted = next((run.task for run in runs if run.id.lower() == name.lower()), name).lower()
    named = [tasks.named(task) for task in tasks.backlog.tasks]
    found = [task for task in named if task.id and task.id.lower() == wanted]
    found = found or [task for task in named if task.title.lower() == wanted]
    if not found:
        raise UsageError(
            f"no task on {here.branch} is called {name[:80]!r}", "lifeos backlog list shows them"
        )
    if len(found) > 1:
        places = ", ".join(f"{BACKLOG}:{task.line}" for task in found)
        raise UsageError(f"{len(found)} tasks are called {name[:80]!r}: {places}", "use the id")
    return found[0]


def task_at(data: bytes, task: Task, prefix: str) -> Task | None:
    """The same task in other bytes of the backlog: by its id, else by its title."""
    backlog = parse(data, BACKLOG, prefix)
    written = backlog.task(task.id)
    return written if written is not None else _by_title(backlog, task)


def _by_title(backlog: Backlog, task: Task) -> Task | None:
    alike = [one for one in backlog.tasks if one.title == task.title and not one.id]
    return next((one for one in alike if one.ordinal == task.ordinal), None)


class FileProblem(Frozen):
    """Something wrong in a file, with its place (from 1; 0 is unknown) and what to do."""

    file: str
    line: int
    column: int
    message: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f"\n  fix: {self.fix}" if self.fix else ""
        return f"{Place(self.file, self.line, self.column)}: {self.message}{fix}"


def file_problems(backlog: Backlog) -> tuple[FileProblem, ...]:
    """What is wrong in the backlog, and what may be."""
    return tuple(as_data(problem) for problem in (*backlog.problems, *backlog.warnings))


def as_data(problem: Problem) -> FileProblem:
    """A problem as data."""
    place = problem.place
    return FileProblem(
        file=place.file,
        line=place.line,
        column=place.column,
        message=problem.message,
        fix=problem.fix,
    )
