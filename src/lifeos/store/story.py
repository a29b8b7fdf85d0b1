"""The ledger read backwards, a page at a time: what happened last costs the same at any age."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from lifeos.core.records import PREFIX, AnyRecord, Held
from lifeos.store.encoding import OID
from lifeos.store.entries import LOG_FORMAT, Entry, parse_entries
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


def about(
    repo: Repo, tip: str, runs: Sequence[str], task: str = "", limit: int | None = None
) -> Iterator[Entry]:
    """The transitions of these runs, of their items, and about the task; newest first."""
    words = [f"Lifeos-Run: {run}" for run in runs]
    if task:
        words.append(f'"task":"{task}"')
    if not words or limit == 0:
        return
    items = {
        entry.record.item
        for entry in newest(repo, tip, words=words)
        if isinstance(entry.record, Held) and entry.record.run in runs
    }
    words += [f'"item":"{item}"' for item in sorted(items)]
    for entry in newest(repo, tip, words=words):
        if _concerns(entry.record, runs, items, task):
            yield entry
            limit = None if limit is None else limit - 1
            if limit == 0:
                return


def _concerns(record: AnyRecord, runs: Sequence[str], items: Collection[str], task: str) -> bool:
    of_run = getattr(record, "run", None) in runs
    of_item = getattr(record, "item", "") in items
    return of_run or of_item or bool(task and getattr(record, "task", "") == task)


def last_until(repo: Repo, tip: str, at: int) -> str | None:
    """The last transition not later than ``at`` (seconds UTC); None before the first.

    Transitions are never earlier than those before them, and their commits have their times.
    """
    options = ("--max-count=1", f"--min-age={max(0, at)}")
    found = repo.git.run("rev-list", *options, "--end-of-options", tip)
    return found.decode("ascii").strip() or None


def is_transition(repo: Repo, commit: str) -> bool:
    """Whether a commit is a transition of a ledger, of this one or of another."""
    message = repo.objects.commit(commit).message
    return f"\n{PREFIX}" in message and _trailer(message, "Lifeos-Seq") != ""


def named_tip(repo: Repo, commit: str) -> str:
    """The commit of a ledger that a commit of main names; '' if it names none."""
    value = _trailer(repo.objects.commit(commit).message, "Lifeos-Ledger")
    return value if OID.fullmatch(value) else ""


def _trailer(message: str, key: str) -> str:
    """The value of the last trailer of this name, in a message whose last paragraph has them."""
    for line in reversed(message.rstrip().rpartition("\n\n")[2].split("\n")):
        name, _, value = line.partition(": ")
        if name == key:
            return value.strip()
    return ""
