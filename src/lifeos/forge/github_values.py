"""Pull requests out of GitHub's answers. Nothing of an answer is trusted to be what it should be.

What nobody uses is not read: a part that is odd must not stop what does without it.
Every function raises `Odd` for a value that GitHub never gives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeVar

from lifeos.forge.pulls import Arrival, Person, Pull, PullReview, Review
from lifeos.forge.wire import Json

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LOGIN = re.compile(r"[A-Za-z0-9_.-]{1,100}(\[bot\])?")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_REF = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]{1,255}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_MAX_BODY = 262_144
_MAX_NUMBER = 1 << 53
_STATES = {state.name: state for state in Review}
Kind = TypeVar("Kind", bool, int, str)


class Odd(ValueError):
    """Not what GitHub answers."""


def pull_of(value: Json, web: str) -> Pull:
    """A pull request, of a list or alone. ``web``: where the pages of its host are."""
    entry = mapping(value)
    head, base = mapping(entry.get("head")), mapping(entry.get("base"))
    number = _number(entry, "number")
    merged = _merged(entry)
    state = entry.get("state")
    if state not in {"open", "closed"} or (merged and state == "open"):
        raise Odd("state")
    opened: Literal["open", "closed"] = "open" if state == "open" else "closed"
    base_repository = _repository(base.get("repo"))
    if not base_repository:
        raise Odd("base")
    return Pull(
        number=number,
        url=_url(entry.get("html_url"), web, number),
        state=opened,
        merged=merged,
        merge_commit=_sha(entry.get("merge_commit_sha"), empty=True) if merged else "",
        head_ref=_matching(_REF, head.get("ref")),
        head_sha=_sha(head.get("sha")),
        head_repository=_repository(head.get("repo")),
        base_ref=_matching(_REF, base.get("ref")),
        base_repository=base_repository,
        author=_person(entry.get("user")),
        merged_by=_person(entry.get("merged_by")) if merged else None,
    )


def _merged(entry: Mapping[str, Json]) -> bool:
    """A list says when it was merged, and not whether; alone it says both, and they must agree."""
    at = entry.get("merged_at")
    when = at is not None and bool(_matching(_TIME, at))
    if "merged" in entry and _need(entry, "merged", bool) is not when:
        raise Odd("merged")
    return when


def _url(value: Json, web: str, number: int) -> str:
    """The page of the pull request; one of another host is none."""
    name = _NAME.pattern
    return _matching(re.compile(f"{re.escape(web)}/{name}/pull/{number}"), value)


def _repository(value: Json) -> str:
    return "" if value is None else _matching(_NAME, mapping(value).get("full_name"))


def _person(value: Json) -> Person | None:
    """An account; None for one that was deleted. Whatever is not called a user is a bot."""
    if value is None:
        return None
    entry = mapping(value)
    return Person(
        id=_number(entry, "id"),
        login=_matching(_LOGIN, entry.get("login")),
        bot=_need(entry, "type", str) != "User",
    )


def review_of(value: Json) -> PullReview:
    """One review."""
    entry = mapping(value)
    state = _STATES.get(_need(entry, "state", str))
    if state is None:
        raise Odd("state")
    return PullReview(
        who=_person(entry.get("user")),
        state=state,
        commit=_sha(entry.get("commit_id"), empty=True),
        body=_body(entry.get("body")),
    )


def closed_of(events: list[Json]) -> tuple[Person | None, ...]:
    """Whose closings stand at the end of a list of events: nobody but who closed took one back.

    A merge is an event of its own, and closes in the same moment; after it nothing else can.
    """
    entries = [mapping(event) for event in events]
    merges = [entry for entry in entries if entry.get("event") == "merged"]
    end = _matching(_TIME, merges[0].get("created_at")) if merges else ""
    standing: dict[int, Person | None] = {}
    for entry in entries:
        closed = entry.get("event") == "closed"
        if not closed and entry.get("event") != "reopened":
            continue
        if closed and end and _matching(_TIME, entry.get("created_at")) >= end:
            continue
        who = _person(entry.get("actor"))
        standing.pop(who.id if who else 0, None)
        if closed:
            standing[who.id if who else 0] = who
    return tuple(standing.values())


def arrival_of(value: Json) -> Arrival:
    """One entry of a repository's activity."""
    entry = mapping(value)
    before, after = _sha(entry.get("before")), _sha(entry.get("after"))
    return Arrival(
        before=before if before.strip("0") else "",
        after=after if after.strip("0") else "",
        who=_person(entry.get("actor")),
    )


def _sha(value: Json, *, empty: bool = False) -> str:
    """The id of a commit; "" for none at all, where that may be."""
    return "" if empty and value is None else _matching(_SHA, value)


def mapping(value: Json) -> Mapping[str, Json]:
    """An object of JSON."""
    if not isinstance(value, dict):
        raise Odd("no object")
    return value


def _need(value: Mapping[str, Json], key: str, kind: type[Kind]) -> Kind:
    """What must be there, as what it must be."""
    found = value.get(key)
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise Odd(key)
    return found


def _number(entry: Mapping[str, Json], key: str) -> int:
    number = _need(entry, key, int)
    if not 0 < number < _MAX_NUMBER:
        raise Odd(key)
    return number


def _matching(pattern: re.Pattern[str], value: Json) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Odd(pattern.pattern)
    return value


def _body(value: Json) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _MAX_BODY:
        raise Odd("body")
    return value
