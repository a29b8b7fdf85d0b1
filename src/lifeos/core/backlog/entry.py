"""What a backlog is made of: values without behaviour of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from lifeos.errors import Problem
from lifeos.model import Priority, Risk

DEFAULT_PRIORITY: Priority = 2


class Mark(StrEnum):
    """The character in a task's box."""

    OPEN = " "
    DONE = "x"
    STARTED = "/"
    BLOCKED = "!"
    CANCELLED = "-"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One acceptance item; ``command`` is the code span that ends it, after a colon."""

    text: str
    command: str | None = None
    done: bool = False


@dataclass(frozen=True)
class EntryProblem(Problem):
    """A problem that keeps tasks from being worked on, and the orders of those tasks.

    ``orders`` are the bad entries themselves; their dependents follow in ``Backlog.quarantine``.
    """

    orders: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One entry of the backlog, and where it stands in the file.

    ``order`` counts the tasks of the file from 0 and names a task within one parse. Offsets are in
    bytes of the file as given. ``digest`` is the hex SHA-256 of the entry's own bytes with the mark
    set to a space, the id left out and the line endings as LF: lifeos's own bookkeeping never
    changes it, any edit of the text does.
    """

    order: int
    id: str  # "" when it has none yet
    title: str
    mark: Mark
    digest: str
    line: int  # of the box, from 1
    span: tuple[int, int]  # whole lines, without the blank lines that follow
    mark_offset: int
    title_offset: int  # where an id is inserted
    id_span: tuple[int, int] | None  # of the bold id and the spaces behind it
    title_line: str
    ordinal: int = 0  # among the tasks with an equal title, from 0
    heading: str = ""  # the nearest heading above
    priority: Priority = DEFAULT_PRIORITY
    tags: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    risk: Risk | None = None
    owner: str = ""
    context: str = ""
    dod: str = ""
    description: str = ""
    acceptance: tuple[Acceptance, ...] = ()
    recipe: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How messages call the task: its id, or its title and line while it has none."""
        return self.id or f"'{self.title[:60]}' (line {self.line})"


@dataclass(frozen=True, slots=True)
class Heading:
    """A top-level heading; ``end`` is the byte offset of the line after it."""

    text: str
    level: int
    priority: Priority | None  # named by the heading itself
    start: int
    end: int


@dataclass(frozen=True)
class Backlog:
    """The tasks in file order, what is wrong, and which tasks may not be worked on because of it.

    ``quarantined`` maps the order of a task to the reason: the bad entries themselves, and all that
    depends on them.
    """

    tasks: tuple[Task, ...] = ()
    problems: tuple[EntryProblem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    quarantine: dict[int, str] = field(default_factory=dict)
    headings: tuple[Heading, ...] = ()

    def task(self, task_id: str) -> Task | None:
        """The first task with this id."""
        return next((task for task in self.tasks if task_id and task.id == task_id), None)
