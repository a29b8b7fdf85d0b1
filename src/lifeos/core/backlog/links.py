"""Between the entries: duplicate ids, unknown and circular dependencies, and the quarantine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from lifeos.core.backlog.entry import EntryProblem, Mark, Task
from lifeos.core.backlog.ids import is_id
from lifeos.errors import Place

#: Line and column (from 1) of a task's reference to an id.
Locate = Mapping[tuple[int, str], Place]

_ENDED = (Mark.DONE, Mark.CANCELLED)


def by_id(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    """The tasks of each id, in lower case: two ids that differ in case would share their files."""
    found: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        if task.id:
            found[task.id.lower()].append(task)
    return found


def duplicates(tasks: Sequence[Task], file: str, known_bad: frozenset[int]) -> list[EntryProblem]:
    """One problem for each id that several tasks have, at the second of them."""
    problems = []
    for same in by_id(tasks).values():
        orders = tuple(task.order for task in same)
        if len(same) < 2 or known_bad.issuperset(orders):
            continue
        others = ", ".join(str(task.line) for task in same)
        second = same[1]
        problems.append(
            EntryProblem(
                Place(file, second.line, _column(second)),
                f"the id {second.id} is used by several tasks (lines {others})",
                "remove the id of the copy: it gets a new one",
                orders,
            )
        )
    return problems


def _column(task: Task) -> int:
    return task.title_line.find("**") + 1


def dangling(
    tasks: Sequence[Task], places: Locate, prefix: str
) -> tuple[list[EntryProblem], list[EntryProblem]]:
    """Dependencies on ids that no task has: (problems, warnings). Ids begin with ``prefix``.

    A task that has ended only gives a warning: what it waited for no longer matters.
    """
    ids = by_id(tasks)
    exact = {task.id for task in tasks}
    problems: list[EntryProblem] = []
    warnings: list[EntryProblem] = []
    for task in tasks:
        for needed in task.depends:
            if needed in exact:
                continue
            same = ids.get(needed.lower())
            fix = "correct the id, or remove the dependency"
            if same:
                fix = f"write {same[0].id}"
            elif not is_id(needed, prefix):
                fix = f"{fix}; ids begin with {prefix}- here (id_prefix in .lifeos/config.yaml)"
            ended = task.mark in _ENDED
            (warnings if ended else problems).append(
                EntryProblem(
                    places[task.order, needed],
                    f"{task.name} depends on {needed[:80]}, which no task has as its id",
                    fix,
                    () if ended else (task.order,),
                )
            )
    return problems, warnings


def cycles(tasks: Sequence[Task], places: Locate) -> list[EntryProblem]:
    """One problem for each group of tasks that wait for each other."""
    ids = {task.id: task for task in tasks if task.id}
    edges = {
        task.order: [ids[needed].order for needed in task.depends if needed in ids]
        for task in tasks
    }
    problems = []
    for group in _groups(edges):
        if len(group) == 1 and group[0] not in edges[group[0]]:
            continue
        members = sorted(group)
        first = tasks[members[0]]
        needed = next(name for name in first.depends if name in ids and ids[name].order in group)
        names = " -> ".join(tasks[order].name for order in members[:5])
        message = (
            f"{first.name} depends on itself"
            if len(group) == 1
            else f"{len(members)} tasks wait for each other: {names}"
        )
        place = places[first.order, needed]
        problems.append(EntryProblem(place, message, "remove a dependency", tuple(members)))
    return problems


def _groups(edges: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """Strongly connected groups (Tarjan), without recursion: chains may be thousands long."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    waiting: list[int] = []
    inside: set[int] = set()
    groups: list[list[int]] = []
    for root in edges:
        work = [(root, 0)] if root not in index else []
        while work:
            node, position = work.pop()
            if position == 0:
                index[node] = low[node] = len(index)
                waiting.append(node)
                inside.add(node)
            if position < len(edges[node]):
                work.append((node, position + 1))
                target = edges[node][position]
                if target not in index:
                    work.append((target, 0))
                elif target in inside:
                    low[node] = min(low[node], index[target])
                continue
            if work:
                parent = work[-1][0]
                low[parent] = min(low[parent], low[node])
            if low[node] == index[node]:
                groups.append(_pop_group(waiting, inside, node))
    return groups


def _pop_group(waiting: list[int], inside: set[int], root: int) -> list[int]:
    group = []
    while True:
        node = waiting.pop()
        inside.discard(node)
        group.append(node)
        if node == root:
            return group


def quarantine(tasks: Sequence[Task], problems: Iterable[EntryProblem]) -> dict[int, str]:
    """The orders that may not be worked on and why: bad entries and, transitively, dependents."""
    reasons: dict[int, str] = {}
    for problem in problems:
        for order in problem.orders:
            reasons.setdefault(order, f"{problem.message} ({problem.place})")
    dependents: dict[str, list[int]] = defaultdict(list)
    for task in tasks:
        for needed in task.depends:
            dependents[needed].append(task.order)
    todo = list(reasons)
    while todo:
        bad = tasks[todo.pop()]
        for order in dependents.get(bad.id, ()) if bad.id else ():
            if order not in reasons:
                reasons[order] = f"depends on {bad.id}, which has an error"
                todo.append(order)
    return reasons
