"""The parsed backlog, remembered: in a tick by its blob, between processes in one file.

Reading 10,000 tasks from Markdown costs most of a second, and the file seldom changes. The file is
``.git/lifeos/cache/backlog``: lifeos writes it for itself, no attempt can reach it, and whoever can
write there can also put a hook beside it. It is data and not code all the same: JSON, never pickle.
It counts only if its key fits, which names the blob, the prefix of ids and the parser (this lifeos
and the Markdown library, by their files), and if its checksum fits. Otherwise the backlog is read
anew, so a stale, torn or foreign file costs time and never changes a result.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from functools import cache
from importlib.util import find_spec
from itertools import repeat
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from lifeos import __version__
from lifeos.core.backlog.entry import Acceptance, Backlog, EntryProblem, Heading, Mark, Task
from lifeos.core.backlog.parse import parse
from lifeos.errors import Place, Problem
from lifeos.model import Risk
from lifeos.store.repo import Repo

_FIELDS = tuple(Task.__dataclass_fields__)


def parsed(repo: Repo, oid: str, data: bytes, file: str, prefix: str) -> Backlog:
    """The backlog in a blob, as ``parse`` reads it. ``data`` is the blob's content."""
    key = json.dumps([__version__, oid, file, prefix, *parser()])
    path = repo.private_dir / "cache" / "backlog"
    known = _read(path, key)
    if known is not None:
        return known
    backlog = parse(data, file, prefix)
    with contextlib.suppress(OSError):  # without it the next process reads the backlog again
        _write(path, key, backlog)
    return backlog


@cache
def parser() -> tuple[str, ...]:
    """What changes when the code that reads a backlog does, also while somebody works on it."""
    folder = Path(__file__).parent.parent / "core" / "backlog"
    files = [*sorted(folder.glob("*.py")), Path(__file__)]
    library = find_spec("markdown_it")
    if library is not None and library.origin:
        files.append(Path(library.origin))
    known = ((path, path.stat()) for path in files)
    return tuple(f"{path} {stat.st_mtime_ns} {stat.st_size}" for path, stat in known)


def _read(path: Path, key: str) -> Backlog | None:
    body = recalled(path, key)
    if body is None:
        return None
    try:
        return _unpacked(from_json(body, cache_strings="none"))
    except (ValueError, TypeError, LookupError):
        return None  # of another shape, in spite of its key: read anew


def _write(path: Path, key: str, backlog: Backlog) -> None:
    remember(path, key, json.dumps(_packed(backlog), separators=(",", ":")).encode())


def recalled(path: Path, key: str) -> bytes | None:
    """What was remembered in a file under this very key; None where it is not so, or not whole."""
    try:
        head, _, rest = path.read_bytes().partition(b"\n")
    except OSError:
        return None  # there is none yet, or none can be
    checksum, _, body = rest.partition(b"\n")
    return body if head == key.encode() and checksum == _checksum(body) else None


def remember(path: Path, key: str, body: bytes) -> None:
    """Put it in place of what was remembered there. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(b"\n".join((key.encode(), _checksum(body), body)))
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)  # half of it would take up room for ever
        raise


def _checksum(body: bytes) -> bytes:
    return b"%d" % zlib.crc32(body)


def _packed(backlog: Backlog) -> dict[str, object]:
    """Tasks by column. A column of one value only, as most are, is that value."""
    columns: dict[str, object] = {}
    for name in _FIELDS if backlog.tasks else ():
        column = list(map(attrgetter(name), backlog.tasks))
        if name == "acceptance":
            column = [[(item.text, item.command, item.done) for item in one] for one in column]
        alike = all(value == column[0] for value in column)
        columns[name] = {"all": column[0]} if alike else column
    return {
        "count": len(backlog.tasks),
        "tasks": columns,
        "problems": [_problem(one) for one in backlog.problems],
        "warnings": [_problem(one) for one in backlog.warnings],
        "quarantine": list(backlog.quarantine.items()),
        "headings": [(h.text, h.level, h.priority, h.start, h.end) for h in backlog.headings],
    }


def _problem(one: Problem) -> tuple[object, ...]:
    place = one.place
    orders = one.orders if isinstance(one, EntryProblem) else None
    return place.file, place.line, place.column, one.message, one.fix, orders


def _unpacked(value: Any) -> Backlog:  # noqa: ANN401  (JSON of a shape that only _packed makes)
    return Backlog(
        tasks=_tasks(value["count"], value["tasks"]),
        problems=tuple(EntryProblem(*_parts(one), tuple(one[5])) for one in value["problems"]),
        warnings=tuple(
            Problem(*_parts(one)) if one[5] is None else EntryProblem(*_parts(one), tuple(one[5]))
            for one in value["warnings"]
        ),
        quarantine=dict(value["quarantine"]),
        headings=tuple(Heading(*one) for one in value["headings"]),
    )


def _parts(one: list[Any]) -> tuple[Place, str, str]:
    return Place(*one[:3]), one[3], one[4]


def _tasks(count: int, columns: dict[str, Any]) -> tuple[Task, ...]:
    """The tasks, filled column by column: their own way of being made costs four times as much."""
    tasks = tuple(map(Task.__new__, repeat(Task, count)))
    for name in _FIELDS if count else ():
        column = columns[name]
        again = _AGAIN.get(name)
        values: Iterable[object]
        if isinstance(column, dict):
            value = column["all"]
            values = repeat(again(value) if again else value, count)
        elif len(column) != count:
            raise ValueError(name)
        else:
            values = map(again, column) if again else column
        # The slot itself: assignment is what a frozen class refuses.
        fill = Task.__dict__[name].__set__
        deque(map(fill, tasks, values), maxlen=0)
    return tasks


def _pair(value: list[int] | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)


def _acceptance(items: list[list[Any]]) -> tuple[Acceptance, ...]:
    return tuple(Acceptance(*item) for item in items)


_AGAIN: dict[str, Callable[[Any], object]] = {
    "mark": {mark.value: mark for mark in Mark}.__getitem__,
    "risk": lambda value: None if value is None else Risk(value),
    "span": tuple,
    "id_span": _pair,
    "tags": tuple,
    "depends": tuple,
    "scope": tuple,
    "recipe": tuple,
    "acceptance": _acceptance,
}
"""How a field's value comes back from JSON, where it is not what JSON gives."""
