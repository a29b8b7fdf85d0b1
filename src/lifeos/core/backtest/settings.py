"""Which settings differ, and of which the record does not tell what they would have done.

Every setting has its line here, by its name or by that of the group it is in: a test goes through
all of them. "" means: what it decides is decided again, or it decides nothing about a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lifeos.core.backtest.model import Changed
from lifeos.core.canonical import Json, canonical_json, sha256
from lifeos.core.policy import Governance

LONGEST = 400
"""Characters of a value that is shown as it is; of a longer one its length and digest are."""

_WHO_SITS = "who else would have sat in the council, and said what"
_MADE = "what another agent, model or prompt would have made and said"
_CHECKED = "what other checks would have said of the work; only the pinned files are judged again"
_CONTENT = (
    "whether changes that were allowed have such content; only recorded breaches are judged again"
)
_ROOM = "what attempts would have made with other room"
_RULED = "what a change of rules does to open runs: the candidate is taken to have ruled all along"
_ORDER = "when tasks would have been begun, and what would have waited for what"

UNKNOWN: Mapping[str, str] = {
    "loop": "",
    "loop.budgets.open_runs": _ORDER,
    "loop.tasks_per_tick": _ORDER,
    "loop.lease": "when attempts that were cut off would have been noticed",
    "loop.on_task_change": "edits of tasks that `finish` passed over leave no record",
    "loop.on_governance_change": _RULED,
    "loop.reapprove": "whether main had moved, or changed the run's paths, where nobody was asked",
    "loop.recheck": "what checks would have said that were not run again",
    "council": "",
    "council.modes": _WHO_SITS,
    "council.technical_for_code": _WHO_SITS,
    "council.seats": _WHO_SITS,
    "council.shadow": "what a shadow seat would have said; it decides nothing",
    "council.emergency": _WHO_SITS,
    "envelope": "",
    "envelope.new_files": "whether changes that were allowed made new files there",
    "envelope.leftovers": _ROOM,
    "envelope.binaries": _CONTENT,
    "envelope.symlinks": _CONTENT,
    "envelope.modes": _CONTENT,
    "envelope.max_file_bytes": _CONTENT,
    "envelope.secrets": _CONTENT,
    "envelope.fake_secrets": _CONTENT,
    "envelope.limits": _ROOM,
    "envelope.environment": _ROOM,
    "envelope.agent": _ROOM,
    "envelope.agent.requests": "",
    "envelope.agent.tokens": "",
    "envelope.agent.commands": "which commands ran that were allowed",
    "approvals": "",
    "approvals.approvers": "who brought the commands of tasks, and the changes of rules",
    "approvals.trust": "whether answers that came in one way would have counted in another",
    "config": "",
    "config.agents": _MADE,
    "config.providers": _MADE,
    "config.models": _MADE,
    "config.roles": _MADE,
    "config.command": _MADE,
    "config.sandbox": _ROOM,
    "config.checks": _CHECKED,
    "config.prepare": "what would have come of another environment; only its inputs are judged",
    "prompts": _MADE,
}
"""Why the effect of a changed setting is not, or not wholly, known; the longest name counts."""


def unknown_of(key: str) -> str:
    """Why the effect of this setting is not known from the record; "" if it is. KeyError: new."""
    parts = key.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in UNKNOWN:
            return UNKNOWN[name]
    raise KeyError(key)


def changed_settings(old: Governance, new: Governance) -> tuple[Changed, ...]:
    """Every setting that differs, by its name, in the order of the files."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    keys = dict.fromkeys((*before, *after))
    return tuple(
        Changed(
            key=key,
            old=before.get(key, ""),
            new=after.get(key, ""),
            unknown=unknown_of(key),
        )
        for key in keys
        if before.get(key) != after.get(key)
    )


def _leaves(rules: Governance) -> Iterator[tuple[str, str]]:
    value: dict[str, Json] = rules.model_dump(mode="json", exclude={"digest"})
    yield from _below("", value)


def _below(name: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _below(f"{name}.{key}" if name else key, inner)
    else:
        text = value if isinstance(value, str) else canonical_json(value)
        yield name, text if len(text) <= LONGEST else f"{len(text)} characters, {sha256(text)[:8]}"
