"""The first line that a change touches: what is shown for a breach that is about a name.

A file outside of the scope, or one of the rules, is a breach whatever is in it; but who decides
about it wants to see what was done there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lifeos.core import leaks
from lifeos.core.envelope import EXCERPT, Breach
from lifeos.model import Change


def with_lines(
    breaches: Sequence[Breach],
    changes: Sequence[Change],
    contents: Mapping[str, bytes],
    values: Sequence[tuple[str, str]] = (),
) -> tuple[Breach, ...]:
    """``breaches``, each that names no line with ``PATH:LINE: TEXT`` as its excerpt, if known.

    ``contents`` are old and new blobs by id, ``values`` secrets as (name, value).
    """
    by_path = {change.path: change for change in changes}
    lines: dict[str, str] = {}
    found = []
    for breach in breaches:
        change = by_path.get(breach.path)
        if change is not None and not breach.line and not breach.excerpt:
            if breach.path not in lines:
                lines[breach.path] = _line(change, contents, values)
            found.append(replace(breach, excerpt=lines[breach.path]))
        else:
            found.append(breach)
    return tuple(found)


def _line(change: Change, contents: Mapping[str, bytes], values: Sequence[tuple[str, str]]) -> str:
    """The first line that is new or different, without secrets; "" where there is none to show."""
    data = contents.get(change.new_id)
    if data is None or change.binary or change.new_id == change.old_id:
        return ""
    new = leaks.as_text(data)
    old = leaks.as_text(contents.get(change.old_id, b"")).split("\n")
    lines = new.split("\n")
    fresh = (n for n, line in enumerate(lines) if n >= len(old) or line != old[n])
    number = next((n for n in fresh if lines[n].strip()), None)
    if number is None:
        return ""
    begin = sum(len(line) + 1 for line in lines[:number])
    place = leaks.Leak("", number + 1, begin, begin)
    text = leaks.line_of(new, place, leaks.scan(new, values), EXCERPT)
    return f"{leaks.redact(change.path, values)}:{number + 1}: {text}"
