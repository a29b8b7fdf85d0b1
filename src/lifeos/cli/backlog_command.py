"""``lifeos backlog``: list, add and format tasks."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.backlog_file import BacklogFile, backlog_file
from lifeos.cli.frame import Json, frame_of, show, show_json, table
from lifeos.cli.here import look
from lifeos.cli.tasks import FileProblem, file_problems
from lifeos.cli.uncommitted import uncommitted
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen, Priority, Risk
from lifeos.tick.reading import BACKLOG, main_at, read_file

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.core.backlog.edit import Draft
    from lifeos.core.backlog.entry import Backlog, Task
    from lifeos.core.policy import Governance
    from lifeos.store.repo import Repo

app = typer.Typer(no_args_is_help=True)


class Level(StrEnum):
    """Priorities as the command line takes them."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"

    @property
    def priority(self) -> Priority:
        """The number."""
        match self:
            case Level.P0:
                return 0
            case Level.P1:
                return 1
            case Level.P2:
                return 2
            case Level.P3:
                return 3


class Row(Frozen):
    """One task. ``state`` in a word; ``why`` when it is not ready."""

    id: str
    title: str
    priority: int
    line: int
    state: str
    why: str = ""
    tags: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    risk: Risk | None = None


class BacklogData(Frozen):
    """``lifeos.backlog/v1``: main's tasks in the order of selection."""

    branch: str
    commit: str
    tasks: tuple[Row, ...] = ()
    hidden: int = 0
    uncommitted: int = 0
    problems: tuple[FileProblem, ...] = ()


class AddData(Frozen):
    """``lifeos.backlog-add/v1``. ``line`` counts from 1; ``commit`` None: not committed.

    ``more``: the file had other edits, which the commit brought along.
    """

    id: str
    title: str
    line: int
    commit: str | None = None
    branch: str = ""
    more: bool = False
    not_pushed: str = ""


class FmtData(Frozen):
    """``lifeos.backlog-fmt/v1``: the tasks that lacked an id, with the id they have now, or ''."""

    lacked: tuple[Row, ...] = ()
    written: bool = False


@app.callback()
def _group() -> None:
    """List, add and format tasks."""


# --- list -------------------------------------------------------------------------------------


@app.command(name="list")
def list_tasks(
    context: typer.Context,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that are done or cancelled.")
    ] = False,
    json: Json = False,
) -> int:
    """The tasks of main in the order of selection, and how each one stands."""
    with look(frame_of(context)) as here:
        data = _listed(here, every=every)
    if json:
        show_json("backlog", data)
    else:
        show(_list_text(data))
    return Exit.OK


def _listed(here: Here, *, every: bool) -> BacklogData:
    from lifeos.cli.standing import standing
    from lifeos.cli.tasks import judged, tasks_on_main

    tasks = tasks_on_main(here)
    rows = []
    for found in judged(here, tasks):
        state, why = standing(here, found)
        rows.append(_row(tasks.named(found.task), state, why))
    shown = [row for row in rows if every or row.state not in ("done", "cancelled")]
    return BacklogData(
        branch=here.branch,
        commit=here.main.commit,
        tasks=tuple(shown),
        hidden=len(rows) - len(shown),
        uncommitted=uncommitted(here).tasks,
        problems=file_problems(tasks.backlog),
    )


def _row(task: Task, state: str, why: str = "") -> Row:
    return Row(
        id=task.id,
        title=task.title,
        priority=task.priority,
        line=task.line,
        state=state,
        why=why,
        tags=task.tags,
        scope=task.scope,
        depends=task.depends,
        risk=task.risk,
    )


def _list_text(data: BacklogData) -> str:
    from lifeos.cli.cells import cell

    lines = [f"problem: {problem}" for problem in data.problems]
    rows = [
        (
            f"P{row.priority}",
            row.id or f"line {row.line}",
            row.state,
            cell(row.title, 72),
        )
        for row in data.tasks
    ]
    if rows:
        lines.append(table(("", "TASK", "STATE", "TITLE"), rows))
    else:
        lines.append("no open task on main; add one: lifeos backlog add TITLE, then commit it")
    notes = []
    if data.hidden:
        notes.append(f"{data.hidden} done or cancelled (--all shows them)")
    if data.uncommitted:
        verb = "task is" if data.uncommitted == 1 else "tasks are"
        notes.append(f"{data.uncommitted} {verb} not committed yet, or not as main has it")
    return "\n".join([*lines, *(["", *notes] if notes else [])])


# --- add --------------------------------------------------------------------------------------


@app.command(name="add")
def add(
    context: typer.Context,
    title: Annotated[str, typer.Argument(help="What is wanted, in one line.", metavar="TITLE")],
    priority: Annotated[
        Level, typer.Option("--priority", "-p", case_sensitive=False, help="P0 is first.")
    ] = Level.P2,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Paths it may change, such as 'src/**'.", metavar="GLOB"),
    ] = None,
    depends: Annotated[
        list[str] | None, typer.Option(help="A task that must be done first.", metavar="ID")
    ] = None,
    risk: Annotated[Risk | None, typer.Option(help="How much can go wrong.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A word to find it by.")] = None,
    description: Annotated[
        str, typer.Option("--description", "-d", help="More about it.", metavar="TEXT")
    ] = "",
    commit: Annotated[
        bool, typer.Option("--commit", help="Commit BACKLOG.md, in your name.")
    ] = False,
    json: Json = False,
) -> int:
    """Add a task to BACKLOG.md in the work tree. It counts once it is committed on main.

    The options --scope, --depends and --tag may be given several times. With --commit the whole
    file is committed on the branch that is checked out, and no other file.
    """
    from lifeos.core.backlog.edit import Draft
    from lifeos.core.backlog.inline import trailing_tags
    from lifeos.core.clean import visible

    plain, tags = trailing_tags(" ".join(visible(title).split()))
    with frame_of(context).repo() as repo:
        file = backlog_file(repo)
        draft = Draft(
            title=plain,
            priority=priority.priority,
            tags=(*tags, *(word.removeprefix("#") for word in tag or ())),
            depends=tuple(depends or ()),
            scope=tuple(scope or ()),
            risk=risk,
            description=visible(description).strip(),
        )
        edited = commit and _edited(repo, file)
        added = _add(file, draft)
        made = _commit(repo, added) if commit else None
        data = AddData(
            id=added.id,
            title=added.title,
            line=added.line,
            commit=made,
            not_pushed=_pushed(repo, made),
            branch=(repo.refs.head() or "").removeprefix("refs/heads/"),
            more=edited,
        )
    if json:
        show_json("backlog-add", data)
    else:
        show(_add_text(data))
    return Exit.OK


def _edited(repo: Repo, file: BacklogFile) -> bool:
    """Whether the file has edits that are not committed on the branch that is checked out."""
    head = repo.refs.head_id()
    return head is None or read_file(repo, main_at(repo, head).tree, BACKLOG) != file.data


def _commit(repo: Repo, added: Task) -> str | None:
    from lifeos.core.clean import one_line
    from lifeos.store.person import commit_files

    return commit_files(repo, (BACKLOG,), one_line(f"Add {added.id}: {added.title}", 100))


def _pushed(repo: Repo, commit: str | None) -> str:
    """Push it where a remote holds the truth, and main is checked out. What is left to do."""
    from lifeos.cli.here import is_set_up, look_at
    from lifeos.cli.on_main import push_own

    if commit is None or not is_set_up(repo):
        return ""
    rules = look_at(repo).rules
    return push_own(repo, rules, commit) if repo.refs.head() == _ref(rules) else ""


def _ref(rules: Governance) -> str:
    return f"refs/heads/{rules.config.main}"


def _add(file: BacklogFile, draft: Draft) -> Task:
    """Write the task. Raises ``UsageError`` when it would not be read back as it was meant."""
    from dataclasses import replace

    from lifeos.core.backlog.edit import add_task
    from lifeos.core.backlog.parse import parse

    known = {task.id for task in parse(file.data, BACKLOG, file.prefix).tasks if task.id}
    unknown = [name for name in draft.depends if name not in known]
    if unknown:
        raise UsageError(
            f"{BACKLOG} has no task {unknown[0][:80]}", "--depends takes the id of a task there"
        )
    draft = replace(draft, id=file.new_id(known))
    data = add_task(file.data, draft, id_prefix=file.prefix)
    file.write(data)
    added = parse(data, BACKLOG, file.prefix).task(draft.id)
    if added is None:
        raise UsageError(f"{BACKLOG} does not show the task", "add it to the file by hand")
    return added


def _add_text(data: AddData) -> str:
    lines = [f"added {data.id} {data.title} ({BACKLOG}:{data.line})"]
    if data.commit:
        more = ", with the other edits of the file" if data.more else ""
        lines.append(f"committed {data.commit[:12]} on {data.branch or 'no branch'}{more}")
        if data.not_pushed:
            lines.append(data.not_pushed)
        lines.append("next: lifeos tick")
    else:
        lines.append(f"next: commit {BACKLOG}, then lifeos tick")
    return "\n".join(lines)


# --- fmt --------------------------------------------------------------------------------------


@app.command(name="fmt")
def fmt(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if a task has no id.")
    ] = False,
    json: Json = False,
) -> int:
    """Give every task in the work tree's BACKLOG.md an id; nothing else changes."""
    from lifeos.core.backlog.edit import format_ids
    from lifeos.core.backlog.parse import parse

    with frame_of(context).repo() as repo:
        file = backlog_file(repo)
        backlog = parse(file.data, BACKLOG, file.prefix)
        lacking = [task for task in backlog.tasks if not task.id]
        ids = {} if check else _new_ids(file, backlog, lacking)
        if ids:
            file.write(format_ids(file.data, ids, id_prefix=file.prefix))
    rows = tuple(
        _row(task, task.mark.name.lower()).model_copy(update={"id": ids.get(task.order, "")})
        for task in lacking
    )
    data = FmtData(lacked=rows, written=bool(ids))
    if json:
        show_json("backlog-fmt", data)
    else:
        show(_fmt_text(data))
    return Exit.FAILED if check and lacking else Exit.OK


def _new_ids(file: BacklogFile, backlog: Backlog, lacking: list[Task]) -> dict[int, str]:
    taken = {task.id for task in backlog.tasks if task.id}
    ids = {}
    for task in lacking:
        ids[task.order] = file.new_id(taken)
        taken.add(ids[task.order])
    return ids


def _fmt_text(data: FmtData) -> str:
    if not data.lacked:
        return "every task has an id"
    if data.written:
        lines = [f"{row.id} {row.title} ({BACKLOG}:{row.line})" for row in data.lacked]
        return "\n".join([*lines, f"next: commit {BACKLOG}"])
    lines = [f"no id: {row.title} ({BACKLOG}:{row.line})" for row in data.lacked]
    return "\n".join([*lines, "next: lifeos backlog fmt"])
