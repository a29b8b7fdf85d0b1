"""From bytes to lines: what is wrong with the file as a file, before Markdown is read.

Nothing here raises: what cannot be read is named with its place, and made harmless for the parser
without moving any line, so that only the entries it touches suffer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from lifeos.errors import Place, Problem

MOST_BYTES = 16 * 1024 * 1024
MOST_LINES = 250_000
LONGEST_LINE = 20_000  # characters; what is beyond is not read
DEEPEST = 38  # columns of container markers; the parser's own limit must stay above

_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
_ENDING = re.compile(rb"\r\n|\n|\r")
_LONE_CR = re.compile(rb"\r(?!\n)")
_CONFLICT = re.compile(r"(<{7}|\|{7}|={7}|>{7})(?: .*)?")
_PREFIX = re.compile(r"(?:[ \t]|>|[-+*](?=[ \t]|$)|[0-9]{1,9}[.)](?=[ \t]|$))*")
# Directional overrides and isolates, zero-width space and joiner, tag characters: what a person
# approves must be what they see. Joiners and marks that scripts and emoji need are left alone.
_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff\U000e0000-\U000e007f]")


@dataclass(frozen=True)
class Fault:
    """A problem and the lines (from 0) whose entries it quarantines."""

    problem: Problem
    lines: frozenset[int]


@dataclass(frozen=True)
class Source:
    """The file as lines; ``starts`` are byte offsets, one more than there are lines."""

    data: bytes
    file: str
    starts: tuple[int, ...]
    lines: tuple[str, ...]
    faults: tuple[Fault, ...]

    @property
    def text(self) -> str:
        """What the Markdown parser reads: the same lines, ended by LF."""
        return "\n".join(self.lines)


def read(data: bytes, file: str) -> Source:
    """Split, decode and check. An unreadable file gives no lines and one fault."""
    refusal = _refusal(data)
    if refusal:
        problem = Problem(Place(file, 1, 1), *refusal)
        return Source(data, file, (0,), (), (Fault(problem, frozenset()),))
    base = len(_BOM) if data.startswith(_BOM) else 0
    starts = [base, *(found.end() for found in _ENDING.finditer(data, base)), len(data)]
    text = data[base:].decode("utf-8", "replace")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    faults = [*_byte_faults(data, file, starts), *_hidden(text, lines, file)]
    for make_harmless in (_cut_long_lines, _drop_conflict_markers):
        faults += make_harmless(text, lines, file)
    return Source(data, file, tuple(starts), tuple(lines), tuple(faults))


def without_deep_lines(source: Source) -> Source:
    """The same, with the lines blanked that open containers deeper than the parser may follow."""
    lines = list(source.lines)
    deep = []
    for number, line in enumerate(lines):
        found = _PREFIX.match(line)
        prefix = found.group() if found else ""
        if len(prefix.expandtabs(4)) > DEEPEST and prefix.strip():
            deep.append(number)
            lines[number] = ""
    if not deep:
        return source
    problem = Problem(
        Place(source.file, deep[0] + 1, 1),
        "lists or quotes are nested too deeply to be read",
        "nest at most fifteen levels",
    )
    faults = (*source.faults, Fault(problem, frozenset(deep)))
    return Source(source.data, source.file, source.starts, tuple(lines), faults)


def _refusal(data: bytes) -> tuple[str, str] | None:
    """What is wrong with the whole file and its fix, if nothing of it can be read."""
    head = data[:256]
    if data.startswith(_WIDE_BOMS) or head.count(0) * 4 > len(head):
        return "the file is UTF-16 or UTF-32, not UTF-8", "save it as UTF-8"
    fix = "move finished tasks to another file"
    if len(data) > MOST_BYTES:
        return f"the file has {len(data)} bytes; at most {MOST_BYTES} are read", fix
    lines = data.count(b"\n") + 1
    if lines > MOST_LINES:
        return f"the file has {lines} lines; at most {MOST_LINES} are read", fix
    return None


def _byte_faults(data: bytes, file: str, starts: list[int]) -> Iterable[Fault]:
    """Bad UTF-8, NUL and lone CR: one fault each, at the first place, over all lines touched."""
    raw = [data[begin:end] for begin, end in pairwise(starts)]
    if not data.isascii() and not _is_utf8(data):
        bad = [number for number, line in enumerate(raw) if not _is_utf8(line)]
        line = raw[bad[0]]
        column = len(line.decode("utf-8", "replace").partition("\ufffd")[0]) + 1
        yield _fault(file, bad, column, "these bytes are not UTF-8", "save the file as UTF-8")
    if b"\0" in data:
        bad = [number for number, line in enumerate(raw) if b"\0" in line]
        column = raw[bad[0]].index(0) + 1
        yield _fault(file, bad, column, "the line contains a NUL byte", "remove it")
    if b"\r" in data and _LONE_CR.search(data):
        bad = [n for n, line in enumerate(raw) if line.endswith(b"\r")]
        column = len(raw[bad[0]])
        yield _fault(
            file,
            bad,
            column,
            "the line ends in CR alone, which tools read differently",
            "save the file with LF or CRLF line endings",
        )


def _fault(file: str, lines: list[int], column: int, message: str, fix: str) -> Fault:
    return Fault(Problem(Place(file, lines[0] + 1, column), message, fix), frozenset(lines))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _hidden(text: str, lines: list[str], file: str) -> Iterable[Fault]:
    if text.isascii() or not _HIDDEN.search(text):
        return
    for number, line in enumerate(lines):
        found = _HIDDEN.search(line)
        if found:
            yield _fault(
                file,
                [number],
                found.start() + 1,
                f"the line contains the invisible character U+{ord(found.group()):04X}",
                "remove it, so that what is approved is what can be seen",
            )


def _cut_long_lines(text: str, lines: list[str], file: str) -> Iterable[Fault]:
    if len(text) <= LONGEST_LINE:
        return
    for number, line in enumerate(lines):
        if len(line) > LONGEST_LINE:
            lines[number] = line[:LONGEST_LINE]
            yield _fault(
                file,
                [number],
                LONGEST_LINE + 1,
                f"the line has {len(line)} characters; at most {LONGEST_LINE} are read",
                "break the line",
            )


def _drop_conflict_markers(text: str, lines: list[str], file: str) -> Iterable[Fault]:
    """Blank the markers of a merge conflict and name each region.

    A marker without its partner reaches to the separators around it and one more entry beyond,
    which ``touched`` finds because the region's open end is a blank line.
    """
    if "<<<<<<<" not in text and ">>>>>>>" not in text:
        return
    marks = [
        (number, found.group(1)[0])
        for number, line in enumerate(lines)
        if line[:7] in ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
        and (found := _CONFLICT.fullmatch(line))
    ]
    for region in _regions(marks):
        first, last = region[0][0], region[-1][0]
        for number, _ in region:
            lines[number] = ""
        if region[0][1] != "<":
            first = _text_line(lines, first, -1)
        if region[-1][1] != ">":
            last = _text_line(lines, last, 1)
        yield Fault(
            Problem(
                Place(file, region[0][0] + 1, 1),
                "a merge conflict is not resolved",
                "keep the lines that are right and remove the <<<<<<<, ======= and >>>>>>> lines",
            ),
            frozenset(range(first, last + 1)),
        )


def _regions(marks: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """Groups from ``<`` to ``>``; separators that belong to neither are ordinary headings."""
    regions: list[list[tuple[int, str]]] = []
    current: list[tuple[int, str]] = []
    for mark in marks:
        if mark[1] == "<" and current:
            regions.append(current)
            current = []
        current.append(mark)
        if mark[1] == ">":
            regions.append(current)
            current = []
    regions.append(current)
    return [region for region in regions if {"<", ">"} & {kind for _, kind in region}]


def _text_line(lines: list[str], number: int, step: int) -> int:
    """The nearest line with text before or after; the last one there is, if there is none."""
    while 0 <= number + step < len(lines):
        number += step
        if lines[number].strip():
            break
    return number
