"""Changes of text files as unified diffs: made, and applied exactly or not at all.

``git apply`` reads them too. Applying is stricter: every line of a hunk, context included, must be
there as it is, where it says or in one other place only. A hunk with less than the usual context
was made at that end of the file, and fits nowhere but there. Where a file has changed more than
that, the change is drafted anew, not guessed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

CONTEXT = 3
"""Lines shown around a change."""
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@.*")
_NO_NEWLINE = "\\ No newline at end of file"
_ABSENT = "/dev/null"


class DoesNotApply(ValueError):
    """A diff that cannot be read, or does not fit the files as they are."""


@dataclass(frozen=True)
class Hunk:
    """Lines to find, at a line from 1 in the old file, and the lines to put there.

    ``first`` and ``last``: it begins with the first line of the file, ends with its last one.
    """

    start: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    first: bool = False
    last: bool = False


@dataclass(frozen=True)
class FilePatch:
    """The hunks of one file. ``made``: there was no such file; ``gone``: there is none after."""

    path: str
    hunks: tuple[Hunk, ...]
    made: bool = False
    gone: bool = False


# --- making -----------------------------------------------------------------------------------


def unified(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The diff that makes one set of files (path to text) the other, in the order of paths."""
    parts = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            parts.append(_file(path, old, new))
    return "".join(parts)


def _file(path: str, old: str | None, new: str | None) -> str:
    if any(character in path for character in '"\\\t\r\n'):
        raise ValueError(f"{path!r} cannot stand in a diff as it is")
    head = [f"diff --git a/{path} b/{path}"]
    if old is None:
        head.append("new file mode 100644")
    if new is None:
        head.append("deleted file mode 100644")
    head += [
        f"--- {_ABSENT if old is None else f'a/{path}'}",
        f"+++ {_ABSENT if new is None else f'b/{path}'}",
    ]
    hunks = _hunks(_lines(old or ""), _lines(new or ""))
    return "\n".join([*head, *hunks]) + "\n"


def _lines(text: str) -> list[str]:
    """The lines with their ends. Only a line feed ends one."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _hunks(old: list[str], new: list[str]) -> Iterator[str]:
    """The hunks as lines. What is alike at both ends is set aside first: files may be long.

    Of that, what is shown as context matches nothing but itself: a hunk has less than ``CONTEXT``
    lines of it only at an end of the file.
    """
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    first = max(head - CONTEXT, 0)
    last = max(tail - CONTEXT, 0)
    a, b = old[first : len(old) - last], new[first : len(new) - last]
    above = [(n, "above") for n in range(head - first)]
    below = [(n, "below") for n in range(tail - last)]

    def keys(lines: list[str]) -> list[Hashable]:
        return [*above, *lines[len(above) : len(lines) - len(below)], *below]

    matcher = difflib.SequenceMatcher(None, keys(a), keys(b), autojunk=False)
    for group in matcher.get_grouped_opcodes(CONTEXT):
        i1, i2, j1, j2 = group[0][1], group[-1][2], group[0][3], group[-1][4]
        yield f"@@ -{_span(first + i1, i2 - i1)} +{_span(first + j1, j2 - j1)} @@"
        for tag, from_a, to_a, from_b, to_b in group:
            if tag == "equal":
                yield from _marked(" ", a[from_a:to_a])
                continue
            yield from _marked("-", a[from_a:to_a])
            yield from _marked("+", b[from_b:to_b])


def _span(start: int, length: int) -> str:
    """How git writes where a hunk is: an empty one stands behind the line before it."""
    return f"{start + 1 if length else start},{length}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield mark + line.removesuffix("\n")
        if not line.endswith("\n"):
            yield _NO_NEWLINE


# --- reading ----------------------------------------------------------------------------------


def patches(diff: str) -> tuple[FilePatch, ...]:
    """What a diff says, file by file. Raises ``DoesNotApply`` for what is none."""
    lines = diff.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    found: list[FilePatch] = []
    position = 0
    while position < len(lines):
        position, patch = _one_file(lines, position)
        found.append(patch)
    if len({patch.path for patch in found}) != len(found):
        raise DoesNotApply("a file is in the diff twice")
    return tuple(found)


def _one_file(lines: Sequence[str], position: int) -> tuple[int, FilePatch]:
    if not lines[position].startswith("diff --git "):
        raise DoesNotApply(f"line {position + 1} does not begin a file")
    while position < len(lines) and not lines[position].startswith("--- "):
        position += 1
    if position + 1 >= len(lines) or not lines[position + 1].startswith("+++ "):
        raise DoesNotApply("a file has no name")
    old, new = lines[position][4:], lines[position + 1][4:]
    path = (old if new == _ABSENT else new)[2:]
    position += 2
    hunks: list[Hunk] = []
    while position < len(lines) and lines[position].startswith("@@ "):
        position, hunk = _one_hunk(lines, position)
        hunks.append(hunk)
    if not hunks or not path:
        raise DoesNotApply("a file without a change")
    return position, FilePatch(path, tuple(hunks), made=old == _ABSENT, gone=new == _ABSENT)


def _one_hunk(lines: Sequence[str], position: int) -> tuple[int, Hunk]:
    head = _HUNK.fullmatch(lines[position])
    if head is None:
        raise DoesNotApply(f"line {position + 1} is no head of a hunk")
    start, old_left = int(head[1]), int(head[2] or 1)
    new_left = int(head[4] or 1)
    old: list[str] = []
    new: list[str] = []
    marks = ""
    position += 1
    while old_left > 0 or new_left > 0:
        if position >= len(lines):
            raise DoesNotApply("the diff is cut off")
        mark, text = lines[position][:1], lines[position][1:]
        bare = position + 1 < len(lines) and lines[position + 1] == _NO_NEWLINE
        line = text if bare else f"{text}\n"
        if mark in (" ", "-"):
            old.append(line)
            old_left -= 1
        if mark in (" ", "+"):
            new.append(line)
            new_left -= 1
        if mark not in (" ", "-", "+"):
            raise DoesNotApply(f"line {position + 1} is of no kind")
        marks += mark
        position += 2 if bare else 1
    first, last = (_context(side) < CONTEXT for side in (marks, marks[::-1]))
    return position, Hunk(start, tuple(old), tuple(new), first, last)


def _context(marks: str) -> int:
    """How many lines of context these marks begin with."""
    return len(marks) - len(marks.lstrip(" "))


# --- applying ---------------------------------------------------------------------------------


def reversed_patches(found: Sequence[FilePatch]) -> tuple[FilePatch, ...]:
    """What takes these changes back, where the files are as they left them."""
    turned = []
    for patch in found:
        hunks, moved = [], 0
        for hunk in patch.hunks:
            back = replace(hunk, start=hunk.start + moved, old=hunk.new, new=hunk.old)
            hunks.append(back)
            moved += len(hunk.new) - len(hunk.old)
        turned.append(FilePatch(patch.path, tuple(hunks), made=patch.gone, gone=patch.made))
    return tuple(turned)


def applied(
    found: Sequence[FilePatch], files: Mapping[str, str], *, loosely: bool = False
) -> dict[str, str | None]:
    """The changed files, None for one that is gone. Raises ``DoesNotApply`` and names the file.

    ``files`` (path to text) needs to have those that the diff changes. ``loosely``: what stands
    around a change may differ, if the lines to be replaced are there once: for a new draft only.
    """
    return {patch.path: _applied(patch, files.get(patch.path), loosely) for patch in found}


def _applied(patch: FilePatch, text: str | None, loosely: bool) -> str | None:
    if (text is None) != patch.made:
        there = "is there already" if patch.made else "is not there"
        raise DoesNotApply(f"{patch.path} {there}")
    lines, shift = _lines(text or ""), 0
    for hunk in map(_bare, patch.hunks) if loosely else patch.hunks:
        wanted = -1 if loosely else hunk.start - 1 + shift
        at = _place(lines, hunk, wanted, patch.path)
        lines[at : at + len(hunk.old)] = hunk.new
        shift = at - (hunk.start - 1) + len(hunk.new) - len(hunk.old)
    after = "".join(lines)
    if patch.gone and after:
        raise DoesNotApply(f"{patch.path} has more in it than is to be removed")
    return None if patch.gone else after


def _bare(hunk: Hunk) -> Hunk:
    """The hunk without what stands around its change; as it is, if nothing is replaced then."""
    old, new = hunk.old, hunk.new
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    bare = Hunk(hunk.start + head, old[head : len(old) - tail], new[head : len(new) - tail])
    return bare if bare.old else hunk


def _place(lines: Sequence[str], hunk: Hunk, wanted: int, path: str) -> int:
    """Where the hunk's old lines are: the one place, or ``wanted`` (-1: none) if they are there."""
    old, length = list(hunk.old), len(hunk.old)
    if not length:
        if lines:
            raise DoesNotApply(f"{path} is not empty any more")
        return 0
    last = len(lines) - length
    spots = range(max(last, 0) if hunk.last else 0, (0 if hunk.first else last) + 1)
    if wanted in spots and list(lines[wanted : wanted + length]) == old:
        return wanted
    places = [at for at in spots if list(lines[at : at + length]) == old]
    if len(places) != 1:
        raise DoesNotApply(f"{path} has changed where this would change it")
    return places[0]
