"""From the bytes of a backlog to its tasks. Never raises: what is wrong is a problem with a place.

markdown-it-py says where the blocks are (only its block rules run: a backlog of 10,000 tasks must
not cost a second), so that nothing inside code, quotes or comments is taken for a task. Everything
about a line itself is read from the bytes, which is what edits go by.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lifeos.core.backlog import links
from lifeos.core.backlog.body import read_body
from lifeos.core.backlog.entry import (
    DEFAULT_PRIORITY,
    Backlog,
    EntryProblem,
    Heading,
    Mark,
    Task,
)
from lifeos.core.backlog.fields import PRIORITIES, Fields
from lifeos.core.backlog.ids import DEFAULT_PREFIX, bold_id
from lifeos.core.backlog.source import DEEPEST, Source, read, without_deep_lines
from lifeos.core.backlog.title import read_title
from lifeos.core.canonical import sha256
from lifeos.errors import Place, Problem
from lifeos.model import Priority

if TYPE_CHECKING:
    from markdown_it.token import Token

_BOX = re.compile(r" {0,3}(?:[-+*]|[0-9]{1,9}[.)])[ \t]+\[(.?)\](?:[ \t]+|$)")
_MARKS = {**{mark.value: mark for mark in Mark}, "X": Mark.DONE}
_PRIORITY_HEADING = re.compile(r"[*_ ]{0,3}[Pp]([0-3])(?![0-9A-Za-z])")
_LIKE_AN_ID = re.compile(r"\*\*(\w{1,8}-[0-9a-z]{6})\*\*")


def parse(data: bytes, file: str = "BACKLOG.md", id_prefix: str = DEFAULT_PREFIX) -> Backlog:
    """Read a backlog. ``file`` is its name in messages, ``id_prefix`` what the ids begin with."""
    source = read(data, file)
    tokens = _blocks(source.text)
    if any(token.level >= DEEPEST for token in tokens):
        source = without_deep_lines(source)
        tokens = _blocks(source.text)
    return _Reader(source, tokens, id_prefix).read()


def _blocks(text: str) -> Sequence[Token]:
    """The block tokens. Link definitions stay text: they are part of what a task says."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"maxNesting": DEEPEST + 2}).disable("reference")
    tokens: list[Token] = []
    parser.block.parse(text.replace("\0", "\ufffd"), parser, {}, tokens)
    return tokens


class _Reader:
    """One pass over the tokens, and the checks that need all tasks."""

    def __init__(self, source: Source, tokens: Sequence[Token], id_prefix: str) -> None:
        self.source = source
        self.tokens = tokens
        self.id_prefix = id_prefix
        self.bold_id = bold_id(id_prefix)
        self.tasks: list[Task] = []
        self.problems: list[EntryProblem] = []
        self.warnings: list[Problem] = []
        self.headings: list[Heading] = []
        self.sections: list[Heading] = []
        self.places: dict[tuple[int, str], Place] = {}
        self.titles: Counter[str] = Counter()

    def read(self) -> Backlog:
        """The backlog of this source."""
        for start, end in self._outer_blocks():
            kind = self.tokens[start].type
            if kind == "heading_open":
                self._heading(start)
            elif kind == "list_item_open":
                self._item(start, end)
            else:
                self._warn_if_unclosed(self.tokens[start])
        for fault in self.source.faults:
            self.problems.append(self._located(fault.problem, self._touched(fault.lines)))
        self._check_links()
        tasks = tuple(self.tasks)
        order = sorted(self.problems, key=lambda found: (found.place.line, found.place.column))
        return Backlog(
            tasks,
            tuple(order),
            tuple(self.warnings),
            links.quarantine(tasks, order),
            tuple(self.headings),
        )

    def _outer_blocks(self) -> Iterator[tuple[int, int]]:
        """Start and end of each top-level heading, of each item of a top-level list, of the rest.

        An item's own content begins at level 2.
        """
        start = 0
        for number, token in enumerate(self.tokens):
            if token.level > 1:
                continue
            if token.type == "list_item_open":
                start = number
            elif token.type == "list_item_close":
                if token.level == 1 and self.tokens[start].level == 1:
                    yield start, number
            elif token.level == 0 and token.type in ("heading_open", "fence", "html_block"):
                yield number, number

    def _heading(self, at: int) -> None:
        token = self.tokens[at]
        first, last = token.map or [0, 0]
        text = self.tokens[at + 1].content
        named = _PRIORITY_HEADING.match(text)
        heading = Heading(
            text,
            int(token.tag[1:]),
            PRIORITIES[f"p{named.group(1)}"] if named else None,
            self.source.starts[first],
            self.source.starts[last],
        )
        self.headings.append(heading)
        while self.sections and self.sections[-1].level >= heading.level:
            self.sections.pop()
        self.sections.append(heading)

    def _item(self, start: int, end: int) -> None:
        """One item of a top-level list; a task if it begins with a box."""
        first, stop = self.tokens[start].map or [0, 0]
        opening = self.tokens[start + 1]
        if opening.type not in ("paragraph_open", "heading_open"):
            return
        if (opening.map or [-1])[0] != first or not self.tokens[start + 2].content.startswith("["):
            return
        line = self.source.lines[first]
        box = _BOX.match(line)
        if not box:
            return
        if box.group(1) not in _MARKS or box.end() == len(line):
            self._not_a_task(first, box)
            return
        while stop - 1 > first and not self.source.lines[stop - 1].strip():
            stop -= 1
        self._task(start, end, box, (first, stop))

    def _task(self, start: int, end: int, box: re.Match[str], rows: tuple[int, int]) -> None:
        """Read one task; ``rows`` are its lines from 0, without the end."""
        first, stop = rows
        base = self.source.starts[first]
        line = self.source.lines[first]
        found = self.bold_id.match(line, box.end())
        bold = found.group().split("**")[1::2] if found else []
        id_span = (base + found.start(), base + found.end()) if found else None
        span = (base, self.source.starts[stop])
        fields = Fields(self.source.file)
        text = line[found.end() if found else box.end() :].rstrip()
        more = self.tokens[start + 2].content.partition("\n")[2]
        title = read_title(text, more, fields, first + 1)
        indent = len(line[: box.start(1) - 1].expandtabs(4))
        inner = self.tokens[start + 4 : end]
        body = read_body(inner, self.source.lines, fields, title.rest, indent)
        order = len(self.tasks)
        mark_offset = base + box.start(1)
        task = Task(
            order=order,
            id=bold[0] if bold else "",
            title=title.text,
            mark=_MARKS[box.group(1)],
            digest=_digest(self.source.data, span, mark_offset, id_span),
            line=first + 1,
            span=span,
            mark_offset=mark_offset,
            title_offset=base + box.end(),
            id_span=id_span,
            title_line=line,
            ordinal=self.titles[title.text],
            heading=self.headings[-1].text if self.headings else "",
            priority=self._priority(fields),
            tags=title.tags,
            depends=tuple(fields.depends),
            scope=tuple(fields.scope),
            risk=fields.risk,
            owner=fields.texts.get("owner", ""),
            context=fields.texts.get("context", ""),
            dod=fields.texts.get("dod", ""),
            description=body.description,
            acceptance=tuple(fields.acceptance),
            recipe=body.recipe,
        )
        self.titles[title.text] += 1
        self.tasks.append(task)
        self._check_title(task, bold, box.end() + 1)
        for needed, at in fields.places.items():
            column = max(self.source.lines[at - 1].find(needed), 0) + 1
            self.places[order, needed] = Place(self.source.file, at, column)
        self.problems += [self._located(wrong, (order,)) for wrong in fields.problems]
        self.warnings += fields.warnings

    def _priority(self, fields: Fields) -> Priority:
        if fields.priority is not None:
            return fields.priority
        named = [found.priority for found in self.sections if found.priority is not None]
        return named[-1] if named else DEFAULT_PRIORITY

    def _touched(self, rows: frozenset[int]) -> tuple[int, ...]:
        """The orders of the tasks with at least one of these lines (from 0)."""
        touched = set()
        for row in rows:
            place = self.source.starts[row]
            order = bisect_right(self.tasks, place, key=lambda task: task.span[0]) - 1
            if order >= 0 and place < self.tasks[order].span[1]:
                touched.add(order)
        return tuple(sorted(touched))

    def _located(self, problem: Problem, orders: tuple[int, ...]) -> EntryProblem:
        """The problem with the tasks that it keeps from being worked on, by name."""
        message = problem.message
        if orders:
            names = ", ".join(self.tasks[order].name for order in orders[:5])
            more = f" and {len(orders) - 5} more" if len(orders) > 5 else ""
            message = f"{message} [{names}{more}]"
        return EntryProblem(problem.place, message, problem.fix, orders)

    def _check_title(self, task: Task, ids: Sequence[str], column: int) -> None:
        place = Place(self.source.file, task.line, column)
        if not task.title:
            missing = Problem(place, "the task has no title", "write what is wanted behind its box")
            self.problems.append(self._located(missing, (task.order,)))
        if len(ids) > 1:
            several = Problem(place, "the task has more than one id", "keep the first")
            self.problems.append(self._located(several, (task.order,)))
        like = _LIKE_AN_ID.match(task.title_line, column - 1)
        if not ids and like:
            message = f"{like.group(1)} is read as part of the title: ids begin otherwise here"
            self.warnings.append(Problem(place, message, "remove it; the task gets an id"))

    def _not_a_task(self, row: int, box: re.Match[str]) -> None:
        place = Place(self.source.file, row + 1, box.start(1) + 1)
        if box.group(1) in _MARKS:
            found = Problem(place, "a box without a title is no task", "write it on the same line")
        else:
            message = f"'[{box.group(1)}]' is not a mark, so this is no task"
            found = Problem(place, message, "write [ ], [x], [/], [!] or [-]")
        self.warnings.append(found)

    def _warn_if_unclosed(self, token: Token) -> None:
        """Code or a comment that never ends hides every task below it."""
        first, stop = token.map or [0, 0]
        if any(line.strip() for line in self.source.lines[stop:]):
            return
        last = self.source.lines[stop - 1].strip() if stop else ""
        if token.type == "fence":
            closed = stop - 1 > first and len(last) >= len(token.markup)
            closed = closed and not last.strip(token.markup[0])
        else:
            closed = not token.content.lstrip().startswith("<!--") or "-->" in token.content
        if not closed:
            what = "code block" if token.type == "fence" else "comment"
            message = f"the {what} that begins here never ends"
            fix = "close it; tasks below it are not seen"
            self.warnings.append(Problem(Place(self.source.file, first + 1, 1), message, fix))

    def _check_links(self) -> None:
        bad = frozenset(order for problem in self.problems for order in problem.orders)
        self.problems += links.duplicates(self.tasks, self.source.file, bad)
        problems, warnings = links.dangling(self.tasks, self.places, self.id_prefix)
        self.problems += [*problems, *links.cycles(self.tasks, self.places)]
        self.warnings += warnings


def _digest(data: bytes, span: tuple[int, int], mark: int, id_span: tuple[int, int] | None) -> str:
    """See ``Task.digest``."""
    raw = without_bookkeeping(data, span, mark, id_span)
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return sha256(raw.rstrip(b"\n"))


def without_bookkeeping(
    data: bytes, span: tuple[int, int], mark: int, id_span: tuple[int, int] | None
) -> bytes:
    """The entry's bytes with its mark set to a space and without its id."""
    start, end = span
    cut = id_span or (mark + 1, mark + 1)
    return data[start:mark] + b" " + data[mark + 1 : cut[0]] + data[cut[1] : end]
