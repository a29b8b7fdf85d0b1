"""What the CEO is told when nobody looks: what waits, what blocked, and a sum once a day.

A notice is made from the ledger alone. All that people, agents and tools wrote is cleaned and made
free of secrets here, before it is shortened: half of a secret would not be recognised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lifeos.core.clean import one_line, visible
from lifeos.core.leaks import redact
from lifeos.core.policy.notify import Occasion
from lifeos.core.records import AnyRecord, Closed, Finished, Held
from lifeos.core.state import Item, Run, Snapshot
from lifeos.core.table import ANSWERS
from lifeos.model import CloseOutcome, Decision, Frozen, ItemKind

DAY = 86_400
LIMIT = 600
"""Characters of a notice's text: a phone shows about so many."""
_TITLE, _QUESTION, _LINE = 80, 200, 100
_NEVER = -1


class Waiting(Frozen):
    """An open question. ``link`` is where it can be read on a forge, or ''.

    ``merge``: that is its pull request; to merge it is to approve, to close it is to reject.
    """

    item: str
    kind: ItemKind
    task: str = ""
    title: str = ""
    question: str
    opened: int
    expires: int | None = None
    answers: tuple[Decision, ...] = ()
    link: str = ""
    merge: bool = False


class Ended(Frozen):
    """A run that ended. ``reason`` is why, where it did not pass."""

    run: str
    task: str = ""
    title: str = ""
    outcome: CloseOutcome
    reason: str = ""
    at: int


class Notice(Frozen):
    """``lifeos.notice/v1``: what a command gets on standard input. ``at`` is in seconds UTC.

    ``title`` and ``text`` are ready to be shown; the lists are the same as data.
    """

    occasion: Occasion
    project: str
    title: str
    text: str
    at: int
    waiting: tuple[Waiting, ...] = ()
    ended: tuple[Ended, ...] = ()


class Told(Frozen):
    """How far one channel was told. Positions are numbers of transitions; -1: never told.

    ``digest`` is when it last got one (seconds UTC). While it fails, ``problem`` says why, and it
    is not tried again before ``retry``.
    """

    waits: int = _NEVER
    blocked: int = _NEVER
    digest: int
    problem: str = ""
    retry: int = 0


class Note(Frozen):
    """What this clone knows of what was told, by channel. Losing it repeats what is still open."""

    v: Literal[1] = 1
    channels: Mapping[str, Told] = {}


Numbered = tuple[int, AnyRecord]
"""A transition and its number."""
Secrets = Sequence[tuple[str, str]]
"""Values that must not be said, as (name, value)."""


@dataclass(frozen=True)
class Source:
    """Where notices come from.

    ``records`` are the last transitions, newest first, as far back as anything is asked for.
    ``names`` gives task and title of a run that ended, ``links`` the address of an item.
    """

    project: str
    snapshot: Snapshot
    records: Sequence[Numbered]
    names: Mapping[str, tuple[str, str]]
    links: Mapping[str, str]
    secrets: Secrets
    now: int

    def plain(self, text: str, limit: int) -> str:
        """Foreign text on one line, harmless and without secrets."""
        return one_line(redact(text, self.secrets), limit)


# --- when --------------------------------------------------------------------------------------


def last_due(hour: int, now: int) -> int:
    """The last time that it was this hour (UTC), now at the latest."""
    today = now // DAY * DAY + hour * 3600
    return today if today <= now else today - DAY


def next_due(hour: int, now: int) -> int:
    """The next time that it will be this hour (UTC)."""
    return last_due(hour, now) + DAY


# --- what --------------------------------------------------------------------------------------


def waiting(source: Source) -> tuple[Waiting, ...]:
    """All open questions, the oldest first."""
    items = sorted(source.snapshot.items.values(), key=lambda item: (item.opened_at, item.id))
    return tuple(_waiting(source, item) for item in items)


def _waiting(source: Source, item: Item) -> Waiting:
    run = source.snapshot.runs.get(item.run or "")
    return Waiting(
        item=item.id,
        kind=item.kind,
        task=source.plain(run.task, 40) if run else "",
        title=source.plain(run.title, _TITLE) if run else "",
        question=source.plain(item.question, _QUESTION),
        opened=item.opened_at,
        expires=item.expires_at,
        answers=tuple(ANSWERS[item.kind]),
        link=_address(source, item),
        merge=item.pull is not None,
    )


def _address(source: Source, item: Item) -> str:
    """Where the item is read, as one word: cleaning it like other text would make it no link."""
    return "".join(visible(redact(source.links.get(item.id, ""), source.secrets)).split())


def new_waiting(source: Source, since: int) -> tuple[Waiting, ...]:
    """The questions that are open and were not told yet; all, where nothing ever was."""
    if since == _NEVER:
        return waiting(source)
    new = {r.item for number, r in source.records if number > since and isinstance(r, Held)}
    return tuple(each for each in waiting(source) if each.item in new)


def new_blocked(source: Source, since: int) -> tuple[Ended, ...]:
    """The runs that ended blocked and were not told yet; of the last day, where nothing was."""
    return tuple(
        _ended(source, record)
        for number, record in reversed(source.records)
        if isinstance(record, Closed)
        and record.outcome is CloseOutcome.BLOCKED
        and (number > since if since != _NEVER else record.at > source.now - DAY)
    )


def ended(source: Source, since: int) -> tuple[Ended, ...]:
    """The runs that ended after a time (seconds UTC), the oldest first."""
    return tuple(
        _ended(source, record)
        for _, record in reversed(source.records)
        if isinstance(record, Closed) and record.at > since
    )


def _ended(source: Source, closed: Closed) -> Ended:
    task, title = source.names.get(closed.run, ("", ""))
    why = "" if closed.outcome is CloseOutcome.PASS else closed.reason or last_of(source, closed)
    return Ended(
        run=closed.run,
        task=source.plain(task, 40),
        title=source.plain(title, _TITLE),
        outcome=closed.outcome,
        reason=source.plain(why, _LINE),
        at=closed.at,
    )


def last_of(source: Source, about: Closed | Run) -> str:
    """How the last attempt of a run came out, if it is among the records: "quota at build"."""
    run = about.run if isinstance(about, Closed) else about.id
    for _, record in source.records:
        if isinstance(record, Finished) and record.run == run and record.facts is not None:
            return f"{record.facts.outcome} at {record.stage}"
    return ""


# --- how it is said ----------------------------------------------------------------------------


def waits_notice(source: Source, found: tuple[Waiting, ...]) -> Notice:
    """That these questions wait, and how to answer."""
    (first, *more) = found
    if more:
        title = f"{len(found)} questions wait for you"
        text = _fitted([_row(each) for each in found], "Answer: lifeos queue")
    else:
        title, text = "a question waits for you", _one(first)
    return _notice(source, Occasion.WAITS, title, text, waiting=found)


def blocked_notice(source: Source, found: tuple[Ended, ...]) -> Notice:
    """That these runs ended blocked, and what to do."""
    (first, *more) = found
    title = f"{len(found)} tasks are blocked" if more else "a task is blocked"
    rows = [f"{about(each)}{f': {each.reason}' if each.reason else ''}" for each in found]
    what = "lifeos show RUN, lifeos retry TASK"
    if not more:
        what = f"lifeos show {first.run}, then lifeos retry {first.task}"
    return _notice(source, Occasion.BLOCKED, title, _fitted(rows, f"Next: {what}"), ended=found)


def _notice(
    source: Source,
    occasion: Occasion,
    title: str,
    text: str,
    waiting: tuple[Waiting, ...] = (),
    ended: tuple[Ended, ...] = (),
) -> Notice:
    return Notice(
        occasion=occasion,
        project=source.plain(source.project, _TITLE),
        title=source.plain(f"{source.project}: {title}", 120),
        text=redact(text, source.secrets),
        at=source.now,
        waiting=waiting,
        ended=ended,
    )


def _one(found: Waiting) -> str:
    if found.merge:
        return _lines(found, "Answer: merge its pull request, or close it to reject")
    others = [answer.value for answer in found.answers if answer is not Decision.APPROVE]
    more = f"or: lifeos {'|'.join(others)} {found.item} -m 'WHY'" if others else ""
    return _lines(found, f"Answer: lifeos approve {found.item}", more)


def _lines(found: Waiting, *how: str) -> str:
    lines = [about(found), found.question, *how]
    return "\n".join(line for line in (*lines, _short(found.link, lines)) if line)


def _short(link: str, lines: Iterable[str]) -> str:
    """The link, if it still fits: half an address leads nowhere."""
    return link if sum(len(line) + 1 for line in lines) + len(link) <= LIMIT else ""


def _row(found: Waiting) -> str:
    row = f"{found.item}: {about(found) or found.question[:_LINE]}"
    return f"{row}\n{found.link}" if found.link else row


def about(found: Waiting | Ended) -> str:
    """The task that it is about: "Say hello (LO-aaaaaa)"; '' where it is about none."""
    return f"{found.title} ({found.task})" if found.task else found.title


def _fitted(rows: Sequence[str], tail: str) -> str:
    """As many rows as fit, how many more there are, and the last line."""
    return "\n".join([*_rows(rows, LIMIT - len(tail) - len("and 999999 more\n") - 1), tail])


def _rows(rows: Sequence[str], room: int) -> Iterator[str]:
    for number, row in enumerate(rows):
        room -= len(row) + 1
        if room < 0:
            yield f"and {len(rows) - number} more"
            return
        yield row
