"""Path patterns: what a task's scope and the envelope's lists mean.

The rules, for paths relative to the repository's root with ``/`` between the segments:

- ``*`` stands for any characters and ``?`` for one character of one segment; neither crosses ``/``;
- ``**`` as a segment of its own stands for any number of segments, also none: ``src/**`` is
  everything below ``src`` (not ``src`` itself), ``**/test.py`` also the one at the root;
- a trailing ``/`` is everything below the folder (``docs/`` is ``docs/**``);
- everything else is literal, brackets and braces too; a pattern is anchored at the root.

No input makes matching exponential: every piece between two wildcards is matched leftmost, inside
an atomic group, which is enough because a later wildcard can always take up the rest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_WILD = re.compile(r"[*?]")

# What HFS+ drops from a name when it looks a file up: ``.g\u200cit`` is ``.git`` there.
_IGNORED = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)


def fault(pattern: str) -> str:
    """Why the pattern cannot be used in a scope or a policy; empty when it can."""
    segments = pattern.rstrip("/").split("/")
    checks = (
        (not pattern.strip("/ "), "is empty"),
        (pattern.startswith("/"), "starts with '/': write it relative to the repository's root"),
        (pattern.startswith("!"), "starts with '!': a pattern cannot take back another"),
        ("\\" in pattern, "contains a backslash: separate folders with '/'"),
        ("{" in pattern, "contains '{': braces are not expanded, write two patterns"),
        (any(not char.isprintable() for char in pattern), "contains an invisible character"),
        (any(part in ("", ".", "..") for part in segments), "contains an empty, '.' or '..' part"),
        (
            any("**" in part and part != "**" for part in segments),
            "has '**' inside a name: '**' must stand alone between slashes",
        ),
    )
    return next((reason for wrong, reason in checks if wrong), "")


@lru_cache(maxsize=1024)
def fold_path(path: str) -> str:
    """The name under which a forgiving file system would find the path.

    Case-folded and NFC, without the characters HFS+ ignores and the dots and spaces that NTFS drops
    at the end of a name.
    """
    text = _fold(path.translate(_IGNORED))
    return "/".join(part.rstrip(". ") or part for part in text.split("/"))


def matches(pattern: str, path: str, *, folded: bool = False) -> bool:
    """Whether the pattern covers the path; ``folded`` compares as a forgiving file system does."""
    if folded:
        return _covers(_fold(pattern), fold_path(path))
    return _covers(pattern, path)


def _covers(pattern: str, path: str) -> bool:
    """Most patterns begin otherwise than the path: those need not be compiled to say no."""
    wild = _WILD.search(pattern)
    begin = pattern[: wild.start()] if wild else pattern
    return path.startswith(begin) and _compiled(pattern).fullmatch(path) is not None


def any_match(patterns: Iterable[str], path: str, *, folded: bool = False) -> bool:
    """Whether at least one pattern covers the path."""
    return any(matches(pattern, path, folded=folded) for pattern in patterns)


def may_overlap(first: str, second: str) -> bool:
    """Whether some path could be covered by both: no only where the literal beginnings exclude it.

    Case-folded, so that two runs never meet on a file system that ignores case.
    """
    return _reaches(first, second) or _reaches(second, first)


def _reaches(outer: str, inner: str) -> bool:
    """Whether ``inner`` begins with the literal beginning of ``outer``, or lies below that path."""
    begin, rest = _literal_prefix(outer)
    other, _ = _literal_prefix(inner)
    if rest:
        return other.startswith(begin)
    return other == begin or other.startswith(f"{begin}/")


def _literal_prefix(pattern: str) -> tuple[str, bool]:
    """The text before the first wildcard, and whether there is a wildcard."""
    # Decomposed, so that a cut before a wildcard never falls inside a composed letter.
    text = unicodedata.normalize("NFD", _fold(pattern))
    found = _WILD.search(text)
    return (text[: found.start()], True) if found else (text.rstrip("/"), False)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern.endswith("/"):
        pattern += "**"
    return re.compile(_regex(pattern.split("/")), re.DOTALL)


def _regex(segments: list[str]) -> str:
    """A regular expression over whole segments; each block between two ``**`` is atomic."""
    blocks: list[list[str]] = [[]]
    for segment in segments:
        if segment == "**":
            blocks.append([])
        else:
            blocks[-1].append(_segment(segment))
    if len(blocks) == 1:
        return "/".join(blocks[0])
    begin, *middle, end = blocks
    text = "".join(f"{part}/" for part in begin)
    for block in middle:
        if block:
            text += "(?>(?:[^/]+/)*?" + "".join(f"{part}/" for part in block) + ")"
    return text + ("(?:[^/]+/)*?" + "/".join(end) if end else ".+")


def _segment(segment: str) -> str:
    """One segment: every piece leftmost, the one behind the last star as far right as it can be."""
    first, *rest = re.split(r"\*+", segment)
    text = _literal(first)
    for piece in rest[:-1]:
        text += f"(?>[^/]*?{_literal(piece)})"
    if rest:
        text += f"[^/]*{_literal(rest[-1])}"
    return f"(?>{text})"


def _literal(piece: str) -> str:
    return "".join("[^/]" if char == "?" else re.escape(char) for char in piece)
