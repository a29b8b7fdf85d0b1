"""``--watch``: a page that follows a running tick, until Ctrl-C.

On a terminal the page is drawn again when it would look different. Elsewhere it is printed once,
and then one line for each transition, and for what else came to be otherwise.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from lifeos.core.clean import for_terminal
from lifeos.errors import UsageError

if TYPE_CHECKING:
    from lifeos.cli.frame import Frame
    from lifeos.cli.status_command import StatusData

PAUSE = 0.5
"""Seconds between two looks."""
_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"


@dataclass(frozen=True)
class Seen:
    """How it stands, and the page of it as it looks now: ages go on."""

    status: StatusData
    page: Callable[[], str]


def follow(frame: Frame, look: Callable[[], Seen], *, json: bool) -> NoReturn:
    """Show what ``look`` sees, and what changes. It ends by Ctrl-C (exit 130), or by an error."""
    if json:
        raise UsageError("--watch is for people", "leave out --watch, and ask again for the JSON")
    if sys.stdout.isatty():
        _redraw(look)
    _tell(frame, look)


def _redraw(look: Callable[[], Seen]) -> NoReturn:
    sys.stdout.write(_HOME + _REST)
    drawn = ""
    try:
        while True:
            size = shutil.get_terminal_size((80, 24))
            page = fitted(for_terminal(f"{look().page()}\n\n(Ctrl-C ends this)"), *size)
            if page != drawn:
                lines = (f"{line}{_REST_OF_LINE}" for line in page.split("\n"))
                sys.stdout.write(_HOME + "\n".join(lines) + _REST)
                sys.stdout.flush()
                drawn = page
            time.sleep(PAUSE)
    finally:
        sys.stdout.write("\n")  # what is said at the end stands below the page


def fitted(page: str, width: int, height: int) -> str:
    """As much of a page as a terminal shows at once, so that drawing it again does not scroll."""
    lines = [line[:width] for line in page.split("\n")]
    if len(lines) > height:
        lines = [*lines[: height - 1], f"... {len(lines) - height + 1} more lines"[:width]]
    return "\n".join(lines)


def _tell(frame: Frame, look: Callable[[], Seen]) -> NoReturn:
    seen = look()
    _say(seen.page())
    before = seen.status
    while True:
        time.sleep(PAUSE)
        now = look().status
        for line in (*_transitions(frame, before, now), *_otherwise(before, now)):
            _say(line)
        before = now


def _say(text: str) -> None:
    sys.stdout.write(for_terminal(text) + "\n")
    sys.stdout.flush()


def _transitions(frame: Frame, before: StatusData, now: StatusData) -> Iterator[str]:
    """What the ledger got since, as `lifeos log` says it."""
    if now.ledger == before.ledger or now.ledger is None:
        return
    from lifeos.cli.log_command import line_of, transition_of
    from lifeos.store.entries import read_entries
    from lifeos.store.remote import contains

    with frame.repo() as repo:
        if before.ledger is not None and not contains(repo, now.ledger, before.ledger):
            yield "the ledger is another one now"
            return
        for entry in read_entries(repo, now.ledger, before.ledger):
            yield line_of(transition_of(entry))


def _otherwise(before: StatusData, now: StatusData) -> Iterator[str]:
    """What changed and is no transition."""
    if now.main != before.main:
        yield f"{now.branch} is at {now.main[:12]}"
    if now.stopped != before.stopped:
        yield f"stopped: {', '.join(now.stopped)}" if now.stopped else "not stopped any more"
    if now.rules.on_main != before.rules.on_main:
        yield f"the rules on {now.branch} changed: {now.rules.state}"
    if now.uncommitted != before.uncommitted:
        found = now.uncommitted
        files = ", ".join(found.files) or "none"
        yield f"not committed: {files}"
    known = {run.run for run in before.runs if run.cut_off}
    for run in now.runs:
        if run.cut_off and run.run not in known:
            yield f"the worker of {run.run} ({run.task}) is gone: the next tick takes it up"
