"""What an agent may ask of a model: the body of one request, read, judged and written anew.

Nothing of the agent's own bytes goes on: what is sent is written from what was understood. A field
that is not known is refused, for it may be one that makes the provider fetch an address, search the
web, run code, keep the conversation, or pick another model.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lifeos.core.policy.models import Model, Wire

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_TOOLS = 512
MAX_MESSAGES = 20_000

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Fields = dict[str, Json]

PATHS: Mapping[Wire, str] = {
    Wire.CHAT: "/v1/chat/completions",
    Wire.MESSAGES: "/v1/messages",
}
"""The one path that a door answers, for each protocol; by POST."""


TARGETS: Mapping[Wire, frozenset[bytes]] = {
    Wire.CHAT: frozenset({b"/v1/chat/completions"}),
    Wire.MESSAGES: frozenset({b"/v1/messages", b"/v1/messages?beta=true"}),
}
"""The same as bytes; a common agent writes the second, and its query goes nowhere."""


class Refused(ValueError):
    """The request may not go to the provider; the message says why."""


@dataclass(frozen=True)
class Checked:
    """A request that may go on. ``body`` is what is sent; sizes are in bytes, limits in tokens."""

    fields: Mapping[str, Json]
    streamed: bool
    limit: int
    limit_field: str

    @property
    def body(self) -> bytes:
        """As it is sent: UTF-8, without spaces."""
        return _write({**self.fields, self.limit_field: self.limit})

    def limited(self, tokens: int) -> Checked:
        """The same, with an answer of at most so many tokens."""
        limit = min(self.limit, tokens)
        return Checked(self.fields, self.streamed, limit, self.limit_field)

    @property
    def messages(self) -> tuple[Fields, ...]:
        """The conversation, the system's text first."""
        system = self.fields.get("system")
        first: list[Fields] = [{"role": "system", "content": system}] if system else []
        messages = self.fields["messages"]
        rest = messages if isinstance(messages, list) else []
        return (*first, *(m for m in rest if isinstance(m, dict)))


_CHAT_PASSED = frozenset(
    {"messages", "tools", "tool_choice", "parallel_tool_calls", "temperature", "top_p", "top_k"}
    | {"min_p", "stop", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty"}
    | {"response_format", "reasoning_effort", "reasoning", "thinking", "enable_thinking"}
    | {"verbosity", "logit_bias", "max_tokens", "max_completion_tokens"}
)
_MESSAGES_PASSED = frozenset(
    {"messages", "system", "tools", "tool_choice", "temperature", "top_p", "top_k", "max_tokens"}
    | {"stop_sequences", "thinking"}
)
_SET_HERE = frozenset({"model", "stream", "stream_options", "n", "store", "usage"})
# Without effect on the answer, or only with headers that never go on: left out, not refused.
_LEFT_OUT = frozenset(
    {"user", "metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention"}
    | {"safety_identifier", "logprobs", "top_logprobs", "context_management", "betas"}
    | {"output_config"}
)
_PARTS = frozenset({"type", "text", "cache_control"})
_MESSAGE_FIELDS = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "cache_control"}
    | {"reasoning", "reasoning_content", "reasoning_details", "reasoning_text", "prefix"}
)
_BLOCKS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"type", "text", "cache_control"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}
_FUNCTION_FIELDS = frozenset({"name", "description", "parameters", "strict"})
_TOOL_FIELDS = frozenset({"name", "description", "input_schema", "strict", "cache_control"})
_TOOL_LEFT_OUT = frozenset({"type", "eager_input_streaming", "defer_loading", "input_examples"})


def check(body: bytes, wire: Wire, model: Model, name: str, *, host: str = "") -> Checked:
    """The request that goes on for the one that came. ``name`` is the model's in the configuration.

    ``host`` of the provider decides on two words that only some hosts know. Raises ``Refused``.
    """
    fields = _read(body)
    passed = _CHAT_PASSED if wire is Wire.CHAT else _MESSAGES_PASSED
    _judge(fields, passed, (model.id, name))
    streamed = bool(fields.get("stream"))
    kept: Fields = {"model": model.id}
    kept |= {f: v for f, v in fields.items() if f in passed and v is not None}
    kept["messages"] = _messages(kept.get("messages"), wire)
    if "system" in kept:
        kept["system"] = _system(kept["system"])
    if "tools" in kept:
        kept["tools"] = _tools(kept["tools"], wire)
    _tool_choice(kept.get("tool_choice"), wire)
    limit_field, limit = _limit(kept, model, wire, host)
    kept["stream"] = streamed
    if streamed and wire is Wire.CHAT:
        kept["stream_options"] = {"include_usage": True}
    if _is(host, "openrouter.ai"):
        kept["usage"] = {"include": True}
    checked = Checked(kept, streamed, limit, limit_field)
    if len(checked.body) > MAX_BYTES:
        raise Refused(f"a request may have {MAX_BYTES} bytes")
    return checked


def _judge(fields: Fields, passed: frozenset[str], models: tuple[str, ...]) -> None:
    """Refuse fields that are not known, and values of those that are set here."""
    for field, value in fields.items():
        if value is not None and field not in passed | _SET_HERE | _LEFT_OUT:
            raise Refused(f"the field {field[:60]!r} is not passed on to the provider")
    if fields.get("model") not in models:
        raise Refused(f"the only model here is {models[0]!r}")
    _whole_number(fields, "n", 1)
    if fields.get("store"):
        raise Refused("`store` is not passed on: a provider keeps no conversation")
    if not isinstance(fields.get("stream"), bool | None):
        raise Refused("`stream` is true or false")


def digest(value: Json) -> str:
    """Of a piece of a conversation: the same for the same content."""
    return hashlib.sha256(_write(value, ordered=True)).hexdigest()


def _read(body: bytes) -> Fields:
    """The body as JSON, or ``Refused``."""
    if len(body) > MAX_BYTES:
        raise Refused(f"a request may have {MAX_BYTES} bytes")
    try:
        value: Json = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError:
        raise Refused(f"a request may be nested {MAX_DEPTH} deep") from None
    except ValueError:  # bad UTF-8, bad JSON, and a number of too many digits
        raise Refused("the request is not JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise Refused("the request is not an object of JSON")
    if too_deep(value):
        raise Refused(f"a request may be nested {MAX_DEPTH} deep")
    try:
        _write(value)
    except (ValueError, RecursionError):
        raise Refused("the request has text or numbers that cannot be written again") from None
    return value


def _no_constant(word: str) -> Json:
    raise ValueError(word)


def too_deep(value: Json) -> bool:
    """Whether it is nested deeper than is allowed."""
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Json] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        if not inner:
            return False
        level = inner
    return True


def _write(value: Json | Mapping[str, Json], *, ordered: bool = False) -> bytes:
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=ordered
    )
    return text.encode("utf-8")


def _whole_number(fields: Fields, name: str, only: int) -> None:
    value = fields.get(name)
    if value is not None and (isinstance(value, bool) or value != only):
        raise Refused(f"`{name}` can only be {only}")


def _is(host: str, domain: str) -> bool:
    return host == domain or host.endswith("." + domain)


def _limit(kept: Fields, model: Model, wire: Wire, host: str) -> tuple[str, int]:
    """Which field limits the answer, and to how many tokens: never beyond the model's own."""
    modern, older = "max_completion_tokens", "max_tokens"
    asks_modern = modern in kept or (wire is Wire.CHAT and _is(host, "api.openai.com"))
    both = [kept.pop(name) for name in (modern, older) if name in kept]
    limit = model.output
    for asked in both:
        if isinstance(asked, bool) or not isinstance(asked, int | float):
            raise Refused("the limit of an answer is a number of tokens")
        if not (math.isfinite(asked) and asked >= 1):
            raise Refused("the limit of an answer is at least one token")
        limit = min(limit, int(asked))
    return modern if asks_modern else older, limit


def _objects(value: Json, what: str, most: int) -> Iterator[Fields]:
    if not isinstance(value, list) or len(value) > most:
        raise Refused(f"{what} are a list of at most {most}")
    for each in value:
        if not isinstance(each, dict):
            raise Refused(f"{what} are objects")
        yield each


def _only(fields: Fields, known: frozenset[str], what: str) -> None:
    for name, value in fields.items():
        if name not in known and value is not None:
            raise Refused(f"{what} with the field {name[:60]!r} is not passed on")


def _messages(value: Json, wire: Wire) -> Json:
    messages = list(_objects(value, "messages", MAX_MESSAGES))
    if not messages:
        raise Refused("there is no message")
    return [_chat_message(m) if wire is Wire.CHAT else _turn(m) for m in messages]


def _chat_message(message: Fields) -> Json:
    _only(message, _MESSAGE_FIELDS, "a message")
    if message.get("role") not in ("system", "developer", "user", "assistant", "tool"):
        raise Refused("the role of a message is system, developer, user, assistant or tool")
    content = message.get("content")
    if not isinstance(content, str | None):
        for part in _objects(content, "the parts of a message", MAX_MESSAGES):
            _chat_part(part)
    calls = message.get("tool_calls")
    for call in _objects(calls, "calls of tools", MAX_TOOLS) if calls is not None else ():
        if call.get("type", "function") != "function":
            raise Refused("only calls of functions are passed on")
    return message


def _chat_part(part: Fields) -> None:
    kind = part.get("type")
    if kind == "text":
        _only(part, _PARTS, "a text")
        return
    if kind == "image_url":
        _only(part, frozenset({"type", "image_url", "cache_control"}), "an image")
        image = part.get("image_url")
        address = image.get("url") if isinstance(image, dict) else image
        if not (isinstance(address, str) and address.startswith("data:image/")):
            raise Refused("an image has to be in the request itself (data:image/…): no address")
        return
    raise Refused(f"parts of the type {str(kind)[:40]!r} are not passed on")


def _turn(message: Fields) -> Json:
    _only(message, frozenset({"role", "content"}), "a message")
    if message.get("role") not in ("user", "assistant", "system"):
        raise Refused("the role of a message is user, assistant or system")
    content = message.get("content")
    if not isinstance(content, str):
        _blocks(content, frozenset(_BLOCKS))
    return message


def _blocks(value: Json, kinds: frozenset[str]) -> None:
    for block in _objects(value, "the blocks of a message", MAX_MESSAGES):
        kind = block.get("type")
        if not isinstance(kind, str) or kind not in kinds:
            raise Refused(f"blocks of the type {str(kind)[:40]!r} are not passed on")
        _only(block, _BLOCKS[kind], f"a block of the type {kind}")
        if kind == "image":
            source = block.get("source")
            if not (isinstance(source, dict) and source.get("type") == "base64"):
                raise Refused("an image has to be in the request itself (base64): no address")
            _only(source, frozenset({"type", "media_type", "data"}), "an image")
        if kind == "tool_result" and not isinstance(block.get("content"), str | None):
            _blocks(block["content"], frozenset({"text", "image"}))
        _short_cache(block)


def _short_cache(fields: Fields) -> None:
    """Only the short cache: the long one costs more than any price here says."""
    if fields.get("cache_control") is not None:
        fields["cache_control"] = {"type": "ephemeral"}


def _system(value: Json) -> Json:
    if not isinstance(value, str):
        _blocks(value, frozenset({"text"}))
    return value


def _tools(value: Json, wire: Wire) -> Json:
    tools = _objects(value, "tools", MAX_TOOLS)
    return [_function(t) if wire is Wire.CHAT else _custom(t) for t in tools]


def _function(tool: Fields) -> Json:
    if tool.get("type") != "function":
        raise Refused("only tools of the type function: nothing runs at the provider")
    _only(tool, frozenset({"type", "function", "cache_control"}), "a tool")
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Refused("a tool is a function with a name")
    _only(function, _FUNCTION_FIELDS, "a function")
    return tool


def _custom(tool: Fields) -> Json:
    if tool.get("type") not in (None, "custom"):
        raise Refused("only tools of the agent itself: nothing runs at the provider")
    _only(tool, _TOOL_FIELDS | _TOOL_LEFT_OUT, "a tool")
    if not isinstance(tool.get("name"), str) or not isinstance(tool.get("input_schema"), dict):
        raise Refused("a tool has a name and a schema of its input")
    kept = {name: value for name, value in tool.items() if name in _TOOL_FIELDS}
    _short_cache(kept)
    return kept


def _tool_choice(choice: Json, wire: Wire) -> None:
    if choice is None or (wire is Wire.CHAT and choice in ("auto", "none", "required")):
        return
    kinds = ("function",) if wire is Wire.CHAT else ("auto", "any", "tool", "none")
    if not isinstance(choice, dict) or choice.get("type") not in kinds:
        raise Refused("`tool_choice` names a function, or says auto, none or required")
