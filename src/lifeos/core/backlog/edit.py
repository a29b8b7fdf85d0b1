"""Edits as splices of bytes: what lifeos does not change stays byte for byte.

Every edit takes the file and a task that ``parse`` found in exactly these bytes, and refuses bytes
that do not show that task at its place (ValueError: the caller mixed two versions of the file).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lifeos.core.backlog.entry import Backlog, Heading, Mark, Task
from lifeos.core.backlog.fields import as_globs
from lifeos.core.backlog.ids import DEFAULT_PREFIX, is_id
from lifeos.core.backlog.parse import parse
from lifeos.errors import UsageError
from lifeos.model import Priority, Risk

_BOM = b"\xef\xbb\xbf"


def set_mark(data: bytes, task: Task, mark: Mark) -> bytes:
    """The file with the task's mark changed: one byte."""
    _check(data, task)
    return data[: task.mark_offset] + mark.value.encode() + data[task.mark_offset + 1 :]


def give_id(data: bytes, task: Task, task_id: str, *, id_prefix: str = DEFAULT_PREFIX) -> bytes:
    """The file with the bold id in front of the task's title, and nothing else changed."""
    _check(data, task)
    if task.id:
        raise ValueError(f"{task.id} has an id already")
    if not is_id(task_id, id_prefix):
        raise ValueError(f"not an id: {task_id!r}")
    bold = f"**{task_id}** ".encode()
    return data[: task.title_offset] + bold + data[task.title_offset :]


def format_ids(data: bytes, ids: Mapping[int, str], *, id_prefix: str = DEFAULT_PREFIX) -> bytes:
    """The file with an id for each task named by its order; the others stay as they are."""
    tasks = parse(data, id_prefix=id_prefix).tasks
    for order in sorted(ids, reverse=True):
        data = give_id(data, tasks[order], ids[order], id_prefix=id_prefix)
    return data


def normalise(
    data: bytes, *, id_prefix: str = DEFAULT_PREFIX, parsed: Backlog | None = None
) -> bytes:
    """The file with every mark as a space and without ids.

    For digests of what people wrote: lifeos's own bookkeeping must not make an approval stale.
    ``parsed``: what ``parse`` said of exactly these bytes with this prefix, if it is known.
    """
    parts = []
    last = 0
    for task in (parsed or parse(data, id_prefix=id_prefix)).tasks:
        parts += [data[last : task.mark_offset], b" "]
        last = task.mark_offset + 1
        if task.id_span:
            parts.append(data[last : task.id_span[0]])
            last = task.id_span[1]
    return b"".join([*parts, data[last:]])


@dataclass(frozen=True)
class Draft:
    """A task to be added: one line of title, and what goes below it."""

    title: str
    priority: Priority = 2
    id: str = ""
    tags: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    risk: Risk | None = None
    owner: str = ""
    context: str = ""
    description: str = ""


def add_task(data: bytes, draft: Draft, *, id_prefix: str = DEFAULT_PREFIX) -> bytes:
    """The file with the task added at the end of its priority's section: an insertion only.

    The heading is made where there is none. The result is read again: it must show all tasks as
    they were and this one as it was meant. Text that would be read as something else (a title that
    is really a field, a description with commands) is therefore refused with UsageError.
    """
    before = parse(data, id_prefix=id_prefix)
    newline = "\r\n" if b"\r\n" in data else "\n"
    entry = _rendered(draft)
    for place, lines in _places(data, before, draft, entry):
        text = newline.join([*lines, ""]).encode()
        if place and data[place - 1 : place] not in (b"\n", b"\r") and data[:place] != _BOM:
            text = newline.encode() + text
        result = data[:place] + text + data[place:]
        if _adds_exactly(before, parse(result, id_prefix=id_prefix), draft):
            return result
    raise UsageError(
        f"the task '{draft.title[:60]}' cannot be added: read again, it would say something else",
        "give it a plain title of one line, or add it to the file by hand",
    )


def adds(before: bytes, after: bytes, draft: Draft, *, id_prefix: str = DEFAULT_PREFIX) -> bool:
    """Whether a file is another with this task added: all others as they were, this as meant."""
    old, new = (parse(data, id_prefix=id_prefix) for data in (before, after))
    return _adds_exactly(old, new, draft)


def _check(data: bytes, task: Task) -> None:
    at = task.mark_offset
    if data[at - 1 : at] != b"[" or data[at + 1 : at + 2] != b"]":
        raise ValueError(f"{task.name} is not where it was: the file is another version")


def _rendered(draft: Draft) -> list[str]:
    """The lines of the new entry."""
    words = [f"**{draft.id}**"] if draft.id else []
    words += [draft.title, *(f"#{tag}" for tag in draft.tags)]
    lines = ["- [ ] " + " ".join(words)]
    fields = {
        "depends": ", ".join(draft.depends),
        "scope": ", ".join(f"`{pattern}`" for pattern in draft.scope),
        "risk": draft.risk.value if draft.risk else "",
        "owner": draft.owner,
        "context": draft.context,
    }
    lines += [f"  - {key}: {value}" for key, value in fields.items() if value]
    if draft.description:
        lines.append("")
        lines += [f"  {line}".rstrip() for line in draft.description.split("\n")]
    return lines


def _places(
    data: bytes, backlog: Backlog, draft: Draft, entry: list[str]
) -> Iterator[tuple[int, list[str]]]:
    """Where the entry could go, best first, with the lines to insert there."""
    headings = backlog.headings
    for number in range(len(headings) - 1, -1, -1):
        heading = headings[number]
        if heading.priority != draft.priority:
            continue
        end = _section_end(headings, number, len(data))
        inside = [task for task in backlog.tasks if heading.end <= task.span[0] < end]
        if inside:
            loose = len(entry) > 1 or inside[-1].span[1] - inside[-1].span[0] > _line_length(
                data, inside[-1]
            )
            yield inside[-1].span[1], ["", *entry] if loose else entry
        below = [""] if data[heading.end :].strip() else []
        yield heading.end, ["", *entry, *below]
        yield heading.end, ["", *entry]
    title = f"## P{draft.priority}"
    for heading in headings:
        if heading.priority is not None and heading.priority > draft.priority:
            marks = "#" * heading.level
            yield heading.start, [f"{marks} P{draft.priority}", "", *entry, ""]
            break
    blank = [""] if data.removeprefix(_BOM).strip() else []
    yield len(data), [*blank, title, "", *entry]


def _section_end(headings: Sequence[Heading], number: int, length: int) -> int:
    """Where the section of this heading ends: at the next one of its level or above."""
    own = headings[number]
    for later in headings[number + 1 :]:
        if later.level <= own.level or later.priority is not None:
            return later.start
    return length


def _line_length(data: bytes, task: Task) -> int:
    start, end = task.span
    found = data.find(b"\n", start, end)
    return (found + 1 if found >= 0 else end) - start


def _adds_exactly(before: Backlog, after: Backlog, draft: Draft) -> bool:
    """Whether the new backlog is the old one with the draft as one more task, as it was meant."""
    if len(after.tasks) != len(before.tasks) + 1:
        return False
    old = [_content(task) for task in before.tasks]
    new = [_content(task) for task in after.tasks]
    at = next((n for n, task in enumerate(old) if task != new[n]), len(old))
    if new[:at] + new[at + 1 :] != old:
        return False
    added = after.tasks[at]
    wanted = Task(
        **{
            **{name: getattr(added, name) for name in Task.__dataclass_fields__},
            "id": draft.id,
            "title": draft.title,
            "mark": Mark.OPEN,
            "priority": draft.priority,
            "tags": draft.tags,
            "depends": draft.depends,
            "scope": tuple(dict.fromkeys(name for path in draft.scope for name in as_globs(path))),
            "risk": draft.risk,
            "owner": draft.owner,
            "context": draft.context,
            "dod": "",
            "description": draft.description,
            "acceptance": (),
            "recipe": (),
        }
    )
    return added == wanted and len(after.problems) == len(before.problems)


def _content(task: Task) -> tuple[object, ...]:
    return (task.id, task.title, task.mark, task.priority, task.digest)
