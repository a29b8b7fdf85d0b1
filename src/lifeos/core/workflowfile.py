"""Which events start a GitHub workflow: the `on:` of its file, as plain values.

Asked of one thing only: would somebody who pushes a branch, or a pull request from it, start it?
The rules are those of GitHub's "workflow syntax": a filter that is not there lets everything
through, `!` takes back, the last pattern that matches decides.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

_BY_PR = ("pull_request", "pull_request_target")
_MAX_PATTERN, _MAX_STARS = 200, 8  # so that matching stays quick
Value = object


def started_by_push(on: Value, branch: str, paths: Iterable[str]) -> bool:
    """Whether a push to ``branch`` that changes ``paths`` starts it."""
    events = _events(on)
    if "push" not in events:
        return False
    rule = events["push"]
    tags_only = ("tags" in rule or "tags-ignore" in rule) and not (
        "branches" in rule or "branches-ignore" in rule
    )
    return not tags_only and _let_through(rule, branch, paths)


def started_by_pull_request(on: Value, base: str, paths: Iterable[str]) -> tuple[str, ...]:
    """The events by which a pull request into ``base`` that changes ``paths`` starts it."""
    events = _events(on)
    changed = tuple(paths)
    return tuple(
        name for name in _BY_PR if name in events and _let_through(events[name], base, changed)
    )


def _events(on: Value) -> Mapping[str, Mapping[str, Value]]:
    """The events with their filters; `on: push`, `on: [push]` and `on: {push: …}` are the same."""
    if isinstance(on, str):
        return {on: {}}
    if isinstance(on, list):
        return {name: {} for name in on if isinstance(name, str)}
    if isinstance(on, dict):
        return {name: rule if isinstance(rule, dict) else {} for name, rule in on.items()}
    return {}


def _let_through(rule: Mapping[str, Value], branch: str, paths: Iterable[str]) -> bool:
    if not _passes(rule, "branches", (branch,)):
        return False
    return _passes(rule, "paths", tuple(paths))


def _passes(rule: Mapping[str, Value], key: str, names: tuple[str, ...]) -> bool:
    """Whether at least one name is let through by a list of patterns, or by its `-ignore`."""
    if key in rule:
        return any(chosen(_patterns(rule[key]), name) for name in names)
    ignored = _patterns(rule.get(f"{key}-ignore"))
    return any(not chosen(ignored, name) for name in names) if ignored else True


def _patterns(value: Value) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, list) else ()


def chosen(patterns: Iterable[str], name: str) -> bool:
    """Whether a list of patterns chooses a name."""
    found = False
    for pattern in patterns:
        negative = pattern.startswith("!")
        if _regex(pattern.removeprefix("!")).fullmatch(name):
            found = not negative
    return found


@functools.lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str]:
    """`*` stays inside a folder, `**` crosses; `?` and `+` repeat the character before; `[…]`.

    What cannot be read is taken to match: then the person is warned, and looks.
    """
    parts: list[str] = []
    rest = pattern
    if len(pattern) > _MAX_PATTERN or pattern.count("*") > _MAX_STARS:
        return re.compile(r"(?s:.*)")
    while rest:
        if rest.startswith("**"):
            rest = rest.lstrip("*")
            inside = rest.startswith("/")
            parts.append("(?:.*/)?" if inside else ".*")  # `**/x` is also x itself
            rest = rest[1:] if inside else rest
            continue
        found = re.match(r"\[[A-Za-z0-9-]+\]", rest)
        if found:
            parts.append(found[0])
        elif rest[0] == "*":
            parts.append("[^/]*")
        elif rest[0] in "?+" and parts:
            parts[-1] = f"(?:{parts[-1]}){rest[0]}"
        else:
            rest = rest[1:] if rest[0] == "\\" and len(rest) > 1 else rest
            parts.append(re.escape(rest[0]))
        rest = rest[len(found[0]) if found else 1 :]
    try:
        return re.compile("".join(parts))
    except re.error:
        return re.compile(r"(?s:.*)")
