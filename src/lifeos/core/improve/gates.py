"""Whether other rules ask, check or limit less than the present ones, setting by setting.

Every setting has a line in the table. What is not known to be harmless counts as a gate that may
have become weaker: it is better to say so once too often than to hide it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum

from pydantic import BaseModel

from lifeos.core.improve.prompting import known_addition
from lifeos.core.policy import CheckpointRule, Governance
from lifeos.core.policy.config import Check
from lifeos.core.policy.globs import covers
from lifeos.model import Risk


class Weaker(Enum):
    """In which direction a setting becomes a weaker gate."""

    MORE = "more of it is weaker"
    LESS = "less of it is weaker"
    OTHER = "another value may be weaker"
    NEVER = "it is no gate"


_ORDERS: Mapping[str, tuple[str, ...]] = {
    "loop.autonomy": ("supervised", "exceptions", "full"),
    "loop.reapprove": ("always", "overlap"),
    "loop.recheck": ("always", "overlap"),
    "approvals.expiry.then": ("reject", "hold"),
    "approvals.trust": ("merge", "signature", "commit"),
    "config.sandbox": ("bwrap", "none"),
    "envelope.agent.unknown_price": ("refuse", "estimate"),
    "config.main_writes": ("pr", "direct"),
}
"""Words in their order, the strictest first."""

TABLE: Mapping[str, Weaker] = {
    "loop.budgets": Weaker.MORE,
    "loop.budgets.open_runs": Weaker.NEVER,
    "loop.budgets.reserve_per_attempt": Weaker.MORE,
    "loop.routing": Weaker.OTHER,  # compared by _routing
    "loop.progress.same_tree": Weaker.MORE,
    "loop.progress.same_error": Weaker.MORE,
    "loop.progress.oscillation": Weaker.LESS,
    "loop.waivers.classes": Weaker.MORE,
    "loop.bypass": Weaker.MORE,
    "loop.lease": Weaker.NEVER,
    "loop.tasks_per_tick": Weaker.NEVER,
    "loop.improve": Weaker.NEVER,
    "loop.on_task_change": Weaker.OTHER,
    "loop.on_governance_change": Weaker.OTHER,
    "council.technical_for_code": Weaker.LESS,
    "council.large_lines": Weaker.MORE,
    "council.large_files": Weaker.MORE,
    "council.shadow": Weaker.NEVER,
    "council.modes": Weaker.LESS,
    "envelope.write": Weaker.MORE,
    "envelope.protect": Weaker.LESS,
    "envelope.new_files": Weaker.MORE,
    "envelope.leftovers": Weaker.MORE,
    "envelope.binaries": Weaker.MORE,
    "envelope.symlinks": Weaker.MORE,
    "envelope.modes": Weaker.MORE,
    "envelope.max_file_bytes": Weaker.MORE,
    "envelope.secrets": Weaker.LESS,
    "envelope.fake_secrets": Weaker.MORE,
    "envelope.limits": Weaker.MORE,
    "envelope.agent": Weaker.MORE,
    "envelope.agent.transcript_kb": Weaker.LESS,
    "envelope.agent.estimate": Weaker.LESS,
    "envelope.environment": Weaker.MORE,
    "approvals.expiry.hours": Weaker.MORE,
    "config.notify": Weaker.NEVER,
}
"""The nearest line above a setting counts; one without any is ``OTHER``."""

_APART = ("loop.checkpoints", "loop.routing", "config.checks")
"""Compared entry by entry below."""

_Flat = Mapping[str, object]
_NO_PROMPTS: Mapping[str, str] = {}


def weaker(
    old: Governance, new: Governance, shipped: Mapping[str, str] = _NO_PROMPTS
) -> tuple[str, ...]:
    """What is asked, checked or limited less under the new rules, in sentences; empty if nothing.

    ``shipped`` are the prompts that come with lifeos, by name: they count where a set has none.
    """
    return (
        *_settings(_flat(old), _flat(new)),
        *_checkpoints(old.loop.checkpoints, new.loop.checkpoints),
        *_routing(old, new),
        *_checks(old.config.checks, new.config.checks),
        *_prompts({**shipped, **old.prompts}, {**shipped, **new.prompts}),
    )


def _flat(rules: Governance) -> _Flat:
    found: dict[str, object] = {}
    for name in ("loop", "council", "envelope", "approvals", "config"):
        _flatten(name, getattr(rules, name), found)
    return found


def _flatten(name: str, value: object, found: dict[str, object]) -> None:
    if name in _APART:
        return
    if isinstance(value, BaseModel):
        for key in type(value).model_fields:
            _flatten(f"{name}.{key}", getattr(value, key), found)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            _flatten(f"{name}.{key}", each, found)
    elif isinstance(value, tuple):
        found[name] = tuple(_plain(each) for each in value)
    else:
        found[name] = _plain(value)


def _plain(value: object) -> object:
    """Something that can be compared, and said."""
    if isinstance(value, BaseModel):
        return value.model_dump_json(exclude_defaults=True)
    return value.value if isinstance(value, Enum) else value


def _settings(old: _Flat, new: _Flat) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before != after and (how := _change(name, before, after)):
            yield f"{name} {how}"


def _change(name: str, before: object, after: object) -> str:
    """In which way one setting is a weaker gate now; '' if it is none."""
    if name in _ORDERS:
        order = _ORDERS[name]
        both = before in order and after in order
        if both and order.index(str(after)) < order.index(str(before)):
            return ""
        return f"goes from {before} to {after}"
    match direction(name):
        case Weaker.NEVER:
            return ""
        case Weaker.OTHER:
            return f"is another one: it may be weaker (from {_said(before)} to {_said(after)})"
        case Weaker.MORE:
            return _more(before, after, "rises", "has more")
        case Weaker.LESS:
            return _more(after, before, "falls", "has less")


def direction(name: str) -> Weaker:
    """The line of the table for a setting."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        found = TABLE.get(".".join(parts[:end]))
        if found is not None:
            return found
    return Weaker.OTHER


def _more(low: object, high: object, verb: str, lists: str) -> str:
    """Whether ``high`` is more than ``low``, in words; what cannot be compared counts as more."""
    if isinstance(low, tuple) or isinstance(high, tuple):
        extra = [each for each in _tuple(high) if not _within(each, _tuple(low))]
        return f"{lists}: {', '.join(map(str, extra))}"[:300] if extra else ""
    if isinstance(low, bool | int | float) and isinstance(high, bool | int | float):
        if high <= low:
            return ""
        first, second = (low, high) if verb == "rises" else (high, low)
        return f"{verb} from {_said(first)} to {_said(second)}"
    return "is another one: it may be weaker"


def _within(entry: object, entries: tuple[object, ...]) -> bool:
    """Whether an entry is among these; a pattern of paths also, if one of them covers it."""
    if entry in entries:
        return True
    known = [other for other in entries if isinstance(other, str) and _is_pattern(other)]
    return isinstance(entry, str) and any(covers(other, entry) for other in known)


def _is_pattern(text: str) -> bool:
    return "**" in text


def _tuple(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _said(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)[:100]


# --- entry by entry ---------------------------------------------------------------------------


def _checkpoints(old: Sequence[CheckpointRule], new: Sequence[CheckpointRule]) -> Iterator[str]:
    now = {rule.name: rule for rule in new}
    for rule in old:
        after = now.get(rule.name)
        if after is None:
            yield f"the checkpoint {rule.name} is gone"
        elif after != rule and not _asks_as_much(rule, after):
            yield f"the checkpoint {rule.name} asks in fewer cases"


def _asks_as_much(old: CheckpointRule, new: CheckpointRule) -> bool:
    """Whether the new rule asks wherever the old one did."""
    risks = (Risk.LOW if new.risk is None else new.risk, Risk.LOW if old.risk is None else old.risk)
    paths = not new.paths or (bool(old.paths) and set(old.paths) <= set(new.paths))
    sizes = all(
        wanted is None or (had is not None and wanted <= had)
        for wanted, had in ((new.lines, old.lines), (new.files, old.files))
    )
    return old.stage is new.stage and risks[0].rank <= risks[1].rank and paths and sizes


def _routing(old: Governance, new: Governance) -> Iterator[str]:
    """More tries before anybody is asked, or another end of them."""
    for name in type(old.loop.routing).model_fields:
        before, after = getattr(old.loop.routing, name), getattr(new.loop.routing, name)
        if after.retries > before.retries:
            yield f"{name} is tried {after.retries} times by itself, not {before.retries}"
        if after.then is not before.then:
            yield f"{name} ends as {after.then}, not {before.then}"


def _checks(old: Sequence[Check], new: Sequence[Check]) -> Iterator[str]:
    now = {check.name: check for check in new}
    for check in old:
        after = now.get(check.name)
        if after is None:
            yield f"the check {check.name} is gone"
        elif after != check:
            yield from _check(check, after)


_HARMLESS = frozenset({"fast", "name"})
"""When a check runs is no gate: nothing is built, reviewed or landed without all of them."""
_UPWARD: Mapping[str, Callable[[Check], float]] = {
    "timeout": lambda check: check.timeout,
    "reruns": lambda check: check.reruns,
}


def _check(old: Check, new: Check) -> Iterator[str]:
    for field in type(old).model_fields:
        before, after = getattr(old, field), getattr(new, field)
        if before == after or field in _HARMLESS:
            continue
        if field in _UPWARD:
            if _UPWARD[field](new) > _UPWARD[field](old):
                yield f"the check {old.name}: {field} rises from {before} to {after}"
        elif field == "pinned":
            gone = [glob for glob in before if glob not in after]
            if gone:
                yield f"the check {old.name} no longer pins {', '.join(gone)}"
        else:
            yield f"the check {old.name}: {field} is another one; it may be weaker"


def _prompts(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """What a reviewer is told is a gate; only words that lifeos knows are known to be harmless."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after or not name.startswith("seat_"):
            continue
        if before is not None and after is not None and known_addition(before, after):
            continue
        yield f"what {name} is told is another text; it may be weaker"
