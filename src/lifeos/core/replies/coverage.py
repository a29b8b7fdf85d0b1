"""Checks that the answers of a designer and a planner share: every item of the task is met."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lifeos.core import globs
from lifeos.core.backlog.entry import Task
from lifeos.core.markdown import inline

LONGEST_LINE = 2000


def missing_items(task: Task, numbers: Iterable[int], verb: str) -> Iterator[str]:
    """What is wrong with the acceptance items that an answer speaks of, by their numbers from 1."""
    said = list(numbers)
    for number, item in enumerate(task.acceptance, 1):
        if said.count(number) != 1:
            how = "not at all" if number not in said else "more than once"
            yield f"- acceptance item {number} ({_quoted(item.text)}) is {verb} {how}: do it once"
    for number in sorted(set(said)):
        if not 1 <= number <= len(task.acceptance):
            yield f"- the task has no acceptance item {number}, it has {len(task.acceptance)}"


def unfit_paths(paths: Iterable[str], where: str) -> Iterator[str]:
    """Paths that are no plain path or pattern of the repository."""
    for path in dict.fromkeys(paths):
        reason = globs.fault(path)
        if reason:
            yield f"- {where}: {_quoted(path)} {reason}"


def prose(text: str) -> str:
    """Foreign sentences as paragraphs, one a line of the text."""
    lines = (inline(line, LONGEST_LINE) for line in text.splitlines() if line.strip())
    return "\n\n".join(lines)


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f"`{line if len(line) <= 120 else line[:119] + '…'}`"
