"""Whether an agent goes round in circles, as its conversation shows it. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lifeos.core.modelcall import Checked, Fields, Json, digest, too_deep


def looped(actions: Sequence[str], times: int) -> bool:
    """Whether the last so many turns of the assistant did the very same: a loop."""
    return len(actions) >= times and len(set(actions[-times:])) == 1


def actions(checked: Checked) -> tuple[str, ...]:
    """Digests of what each turn of the assistant did, since the user last spoke.

    A turn is its calls of tools (not their ids, which are always new), or its text without calls.
    """
    done: list[str] = []
    for message in checked.messages:
        content = message.get("content")
        blocks = [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []
        if message.get("role") == "assistant":
            done.append(digest(_done(message, blocks)))
        elif message.get("role") == "user" and not any(
            b.get("type") == "tool_result" for b in blocks
        ):
            done = []
    return tuple(done)


def _done(message: Fields, blocks: list[Fields]) -> Json:
    calls = message.get("tool_calls")
    found: list[Json] = []
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            found.append([function.get("name"), _sense(function.get("arguments"))])
    found += [[b.get("name"), b.get("input")] for b in blocks if b.get("type") == "tool_use"]
    return found or [message.get("content")]


def _sense(arguments: Json) -> Json:
    """Arguments are JSON in a text: the same with other spaces is the same."""
    try:
        value: Json = json.loads(arguments) if isinstance(arguments, str) else arguments
        return arguments if too_deep(value) else value
    except (ValueError, RecursionError):
        return arguments
