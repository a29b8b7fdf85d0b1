"""What a workflow's log acts on: commands of GitHub Actions, and how foreign text is none.

The forms are those of GitHub's "workflow commands": a message escapes `%`, CR and LF, a property
`:` and `,` too. A log line that begins with `::`, or has `##[` anywhere, may act otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from lifeos.core.clean import visible

MOST = 10
"""Annotations of one level that a step shows."""
_LONGEST = 2000


class Notice(StrEnum):
    """How loud an annotation is."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


def annotation(level: Notice, message: str, title: str = "lifeos") -> str:
    """One annotation, as a line of the log; foreign text in it is data."""
    text = visible(message)[:_LONGEST]
    return f"::{level} title={_property(visible(title))}::{_data(text)}"


def annotated(level: Notice, messages: Iterable[str]) -> Iterator[str]:
    """At most ``MOST`` lines; the last one says how many more there are."""
    known = list(dict.fromkeys(messages))
    shown = known if len(known) <= MOST else known[: MOST - 1]
    yield from (annotation(level, message) for message in shown)
    if len(known) > len(shown):
        yield annotation(level, f"and {len(known) - len(shown)} more; see the log of this step")


def stop(token: str) -> str:
    """From here on nothing in the log is a command, until ``resume`` with the same token."""
    return f"::stop-commands::{token}"


def resume(token: str) -> str:
    """From here on commands count again."""
    return f"::{token}::"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
