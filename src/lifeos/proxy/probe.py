"""One small call of a model, to say whether attempts will be able to use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from lifeos.core.modelanswer import Reading
from lifeos.core.modelcall import Json
from lifeos.core.modelerror import Asked, Meaning, Trouble, judge, unreachable
from lifeos.core.policy.models import Wire
from lifeos.proxy.outlet import Answer, Outlet, Redactor, Unfit, Unreached
from lifeos.proxy.route import Route

_TOKENS = 16
_SILENCE = 60.0
_MAX_ERROR = 64 * 1024
_MAX_ANSWER = 1024 * 1024
_WISH = "Call the function ok, and say nothing else."


@dataclass(frozen=True)
class Probe:
    """What one small call found. None: it was not reached that far, or it cannot be said.

    ``tools``: True when the model called the function, None when it only accepted the offer.
    ``cost_by``: "configuration", "provider", or "" when nobody tells the cost. ``problem`` and
    ``fix`` are for people and never hold the key; "" when attempts can use the model.
    """

    model: str
    provider: str
    tools: bool | None = None
    usage_reported: bool | None = None
    cost_by: str = ""
    seconds: float = 0.0
    problem: str = ""
    fix: str = ""

    @property
    def ok(self) -> bool:
        """Whether attempts can use it."""
        return not self.problem


def probe(route: Route, clock: Callable[[], float]) -> Probe:
    """Call the model once: 16 tokens of answer, one function on offer. Costs next to nothing.

    ``clock`` gives seconds since 1970 UTC. Never raises for what the other side does.
    """
    found = Probe(route.name, route.provider_name)
    asked = route.asked
    started = clock()
    try:
        with Outlet(route, _SILENCE) as outlet, outlet.call(_body(route, outlet.host)) as answer:
            if answer.status == 200:
                found = _judged(route, found, answer)
            else:
                found = _failed(route, found, answer, asked, clock())
    except Unfit as error:
        found = replace(found, problem=str(error), fix="then run `lifeos doctor` again")
    except Unreached as error:
        trouble = unreachable(asked, str(error), certificate=error.certificate)
        found = replace(found, problem=trouble.message, fix=_fix(trouble))
    return replace(found, seconds=max(0.0, clock() - started))


def _body(route: Route, host: str) -> bytes:
    schema: dict[str, Json] = {"type": "object", "properties": {}}
    body: dict[str, Json] = {
        "model": route.model.id,
        "messages": [{"role": "user", "content": _WISH}],
        "stream": True,
    }
    about: dict[str, Json] = {"name": "ok", "description": "Says that all is well."}
    if route.provider.wire is Wire.MESSAGES:
        body |= {"tools": [{**about, "input_schema": schema}], "max_tokens": _TOKENS}
    else:
        modern = host == "api.openai.com" or host.endswith(".api.openai.com")
        body["max_completion_tokens" if modern else "max_tokens"] = _TOKENS
        body["tools"] = [{"type": "function", "function": {**about, "parameters": schema}}]
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body).encode()


def _fix(trouble: Trouble) -> str:
    if trouble.meaning is Meaning.AGAIN:
        return "check the network and the address, or wait; then run `lifeos doctor` again"
    return trouble.fix


def _judged(route: Route, found: Probe, answer: Answer) -> Probe:
    """What a successful answer shows."""
    body = _take(answer, _MAX_ANSWER)
    reading = Reading(route.provider.wire)
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        for line in body.split(b"\n"):
            reading.line(line)
    else:
        reading.whole(body)
    if not (reading.counted or reading.end or reading.size):
        return replace(
            found,
            problem=f"what provider {route.provider_name} answers is no answer of a model",
            fix=f"correct `url:` and `wire:` of `providers: {route.provider_name}:` "
            "in .lifeos/config.yaml",
        )
    by = "configuration" if route.model.price else "provider" if reading.cost is not None else ""
    found = replace(
        found,
        tools=True if reading.calls else None,
        usage_reported=reading.counted,
        cost_by=by,
    )
    if by:
        return found
    return replace(
        found,
        problem=f"nobody says what the model {route.name!r} costs",
        fix=f"write `price:` under `models: {route.name}:` in .lifeos/config.yaml (0 for a free "
        "one), or `agent: unknown_price: estimate` in policies/envelope.yaml",
    )


def _failed(route: Route, found: Probe, answer: Answer, asked: Asked, now: float) -> Probe:
    """What an error shows. Each kind says what to do about it."""
    said = Redactor(route.key).clean(_take(answer, _MAX_ERROR)).decode("utf-8", "replace")
    if answer.status in {400, 404, 422} and _about_tools(said):
        return replace(
            found,
            tools=False,
            problem=f"the model {route.model.id} takes no tools, which a coding agent needs",
            fix=f"choose another `id:` under `models: {route.name}:` in .lifeos/config.yaml",
        )
    trouble = judge(answer.status, answer.headers, said, asked, now)
    return replace(
        found,
        problem=trouble.message,
        fix=_fix(trouble) or "look at the provider's documentation for what it accepts",
    )


def _about_tools(said: str) -> bool:
    words = said.lower()
    return "tool" in words and any(w in words for w in ("support", "endpoints", "not allowed"))


def _take(answer: Answer, most: int) -> bytes:
    body = bytearray()
    for piece in answer.pieces:
        body += piece
        if len(body) >= most:
            break
    return bytes(body[:most])
