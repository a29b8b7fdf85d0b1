"""Which commit brought each line of a file: git's own blame, renames of whole files followed.

It says where a line first stood as it is now. Who *decided* that it may stand there is not told by
it: see `history` for that, which does not trust a merge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lifeos.store.repo import Repo

_HEAD = re.compile(rb"([0-9a-f]{40}(?:[0-9a-f]{24})?) (\d+) (\d+)(?: \d+)?")
_ESCAPE = re.compile(rb'\\([abtnvfr"\\]|[0-7]{3})')
_PLAIN = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}
_MOST_SPANS = 100
"""Spans that git is given one by one; beyond that the whole file is cheaper to ask for."""

Span = tuple[int, int]
"""The first and the last line, from 1, both included."""


@dataclass(frozen=True)
class Blamed:
    """Line ``line`` of the file asked about came with ``commit``: there it is line ``there`` of
    ``path``. Lines count from 1.
    """

    line: int
    commit: str
    path: str
    there: int


def blame(repo: Repo, commit: str, path: str, spans: Sequence[Span] = ()) -> tuple[Blamed, ...]:
    """The lines of a file at a commit, or those in ``spans``, in their order.

    Raises ``GitError`` where there is no such file, line or object.
    """
    repo.require_complete()
    many = len(spans) > _MOST_SPANS
    wanted = [] if many else [part for a, b in spans for part in ("-L", f"{a},{b}")]
    options = ("--porcelain", "--no-textconv", "--root", *wanted)
    # blame knows no --end-of-options: an id cannot be taken for one, and the path stands behind.
    out = repo.git.run("blame", *options, repo.objects.commit(commit).oid, "--", path)
    found = sorted(_parsed(out), key=lambda one: one.line)
    if many:
        asked = {line for a, b in spans for line in range(a, b + 1)}
        found = [one for one in found if one.line in asked]
    return tuple(found)


def _parsed(out: bytes) -> Iterator[Blamed]:
    """What `blame --porcelain` says: about a commit everything once, its path when it changes."""
    paths: dict[str, str] = {}
    commit, there, line = "", 0, 0
    for text in out.split(b"\n"):
        if text.startswith(b"\t"):
            yield Blamed(line, commit, paths[commit], there)
        elif text.startswith(b"filename "):
            paths[commit] = _unquoted(text.removeprefix(b"filename "))
        elif match := _HEAD.fullmatch(text):
            commit, there, line = match[1].decode("ascii"), int(match[2]), int(match[3])


def _unquoted(name: bytes) -> str:
    """A path as git prints it: in quotes, with escapes, where it has unusual characters."""
    if name.startswith(b'"') and name.endswith(b'"') and len(name) > 1:
        name = _ESCAPE.sub(_byte, name[1:-1])
    return name.decode("utf-8", "surrogateescape")


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes([_PLAIN[match[1]] if match[1] in _PLAIN else int(match[1], 8) & 255])
