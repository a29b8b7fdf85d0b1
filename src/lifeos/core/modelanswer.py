"""What a provider answered: text, calls, use, cost, and what an error means. Pure.

A provider is not trusted with numbers: what is not a count, or no finite cost, is as if unsaid.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from lifeos.core.modelcall import Json
from lifeos.core.policy.models import Model, Price, UnknownPrice, Wire
from lifeos.core.receipt import PricedBy

KEPT_TEXT = 64 * 1024
CUT_OFF = frozenset({"length", "max_tokens", "model_context_window_exceeded"})
_MOST = 1_000_000_000
_CACHE_WRITE = 1.25  # what writing to a cache costs, by the price of input, where it costs more


@dataclass
class Reading:
    """One answer, as far as it was read. ``size`` counts the bytes of what the model wrote."""

    wire: Wire
    size: int = 0
    text: str = ""
    calls: dict[str, list[str]] = field(default_factory=dict)  # by index: name, then arguments
    end: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    cached: int = 0
    written: int = 0  # of those sent, how many went into the cache
    cost: float | None = None
    done: bool = False  # the stream said that nothing follows

    def line(self, line: bytes) -> None:
        """Read one line of a stream of events. What is not data is passed over."""
        if line.startswith(b"data:"):
            data = line[5:].strip()
            self.done = self.done or data == b"[DONE]"
            self.whole(data)

    def whole(self, body: bytes) -> None:
        """Read one event, or the whole of an answer that is no stream."""
        try:
            value: Json = json.loads(body)
        except (ValueError, RecursionError):
            return
        if not isinstance(value, dict):
            return
        if value.get("error"):
            self.end = "error"
        if self.wire is Wire.CHAT:
            self._chat(value)
        else:
            self._messages(value)

    @property
    def counted(self) -> bool:
        """Whether the provider said what it used, in a way that can be true."""
        said = self.tokens_in is not None and self.tokens_out is not None
        return said and bool(self.tokens_in) and (bool(self.tokens_out) or self.size == 0)

    @property
    def truncated(self) -> bool:
        """Whether the answer did not come to its end."""
        return not self.end or self.end in CUT_OFF

    def _chat(self, value: dict[str, Json]) -> None:
        choices = value.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            for name in ("delta", "message"):
                said = choice.get(name)
                if isinstance(said, dict):
                    self._said(said)
            reason = choice.get("finish_reason")
            if isinstance(reason, str):
                self.end = reason[:40]
        usage = value.get("usage")
        if isinstance(usage, dict):
            self._chat_usage(usage)

    def _said(self, said: dict[str, Json]) -> None:
        self._write(said.get("content"))
        for name in ("reasoning_content", "reasoning", "refusal"):
            thought = said.get(name)
            self.size += len(thought.encode("utf-8", "replace")) if isinstance(thought, str) else 0
        calls = said.get("tool_calls")
        for at, call in enumerate(calls if isinstance(calls, list) else ()):
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(call, dict) and isinstance(function, dict):
                self._call(
                    str(call.get("index", at)), function.get("name"), function.get("arguments")
                )

    def _chat_usage(self, usage: dict[str, Json]) -> None:
        self.tokens_in = _later(self.tokens_in, usage.get("prompt_tokens"))
        self.tokens_out = _later(self.tokens_out, usage.get("completion_tokens"))
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        self.cached = _later(self.cached, cached) or 0
        cost = usage.get("cost")
        if isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost <= _MOST:
            self.cost = max(self.cost or 0.0, float(cost))

    def _messages(self, value: dict[str, Json]) -> None:
        self.done = self.done or value.get("type") == "message_stop"
        message = value.get("message")
        source = message if isinstance(message, dict) else value
        for each in _list(source.get("content")):
            self._block(str(len(self.calls)), each)
        delta = value.get("delta")
        block = value.get("content_block")
        at = str(value.get("index", ""))
        if isinstance(block, dict):
            self._block(at, block)
        if isinstance(delta, dict):
            self._write(delta.get("text"))
            self._hidden(delta.get("thinking"))
            if "partial_json" in delta:
                self._call(at, None, delta.get("partial_json"))
        for holder in (source, delta):
            reason = holder.get("stop_reason") if isinstance(holder, dict) else None
            if isinstance(reason, str):
                self.end = reason[:40]
        usage = source.get("usage")
        if isinstance(usage, dict):
            self._messages_usage(usage)

    def _block(self, at: str, block: dict[str, Json]) -> None:
        self._write(block.get("text"))
        self._hidden(block.get("thinking"))
        if block.get("type") == "tool_use":
            given = block.get("input")
            self._call(at, block.get("name"), json.dumps(given) if given else None)

    def _messages_usage(self, usage: dict[str, Json]) -> None:
        self.cached = _later(self.cached, usage.get("cache_read_input_tokens")) or 0
        self.written = _later(self.written, usage.get("cache_creation_input_tokens")) or 0
        fresh = _count(usage.get("input_tokens"))
        if fresh is not None:
            self.tokens_in = max(self.tokens_in or 0, fresh + self.cached + self.written)
        self.tokens_out = _later(self.tokens_out, usage.get("output_tokens"))

    def _hidden(self, thought: Json) -> None:
        if isinstance(thought, str):
            self.size += len(thought.encode("utf-8", "replace"))

    def _write(self, text: Json) -> None:
        if isinstance(text, str):
            self.size += len(text.encode("utf-8", "replace"))
            self.text += text[: max(0, KEPT_TEXT - len(self.text))]

    def _call(self, at: str, name: Json, arguments: Json) -> None:
        call = self.calls.setdefault(at, ["", ""]) if len(self.calls) < 64 else ["", ""]
        if isinstance(name, str):
            call[0] += name[:200]
        if isinstance(arguments, str):
            self.size += len(arguments.encode("utf-8", "replace"))
            call[1] += arguments[: max(0, KEPT_TEXT - len(call[1]))]


def _list(value: Json) -> list[dict[str, Json]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _count(value: Json) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MOST else None


def _later(known: int | None, value: Json) -> int | None:
    """Counts in a stream only grow."""
    count = _count(value)
    return known if count is None else max(known or 0, count)


@dataclass(frozen=True)
class Used:
    """What one call used, by the best that is known. ``known``: the cost is no estimate."""

    tokens_in: int
    tokens_out: int
    cached: int
    cost: float
    priced_by: PricedBy
    counted: bool

    @property
    def known(self) -> bool:
        """Whether the cost is known from the configuration or the provider."""
        return self.priced_by is not PricedBy.ESTIMATE


def estimated_tokens(size: int) -> int:
    """Tokens of so many bytes, where nobody counted: three bytes each is fewer than is usual."""
    return -(-size // 3)


def price_of(
    price: Price, tokens_in: int, tokens_out: int, cached: int = 0, written: int = 0
) -> float:
    """US dollars. What is written to a cache costs a quarter more than what is only sent."""
    cached = min(cached, tokens_in)
    written = min(written, tokens_in - cached)
    often = price.input if price.cached is None else price.cached
    sent = (tokens_in - cached - written + written * _CACHE_WRITE) * price.input + cached * often
    return (sent + tokens_out * price.output) / 1_000_000


def used(reading: Reading, sent: int, model: Model, estimate: Price, *, reached: bool) -> Used:
    """What a call used; ``sent`` is the size of its request, ``reached`` whether any of it counts.

    The configured price comes first, then the provider's own word, then the estimate.
    """
    if not reached:
        return Used(0, 0, 0, 0.0, PricedBy.CONFIGURATION, counted=True)
    counted = reading.counted
    tokens_in, tokens_out = reading.tokens_in or 0, reading.tokens_out or 0
    if not counted:
        tokens_in = max(tokens_in, estimated_tokens(sent))
        tokens_out = max(tokens_out, estimated_tokens(reading.size))
    cached = min(reading.cached, tokens_in)
    amounts = (tokens_in, tokens_out, cached, reading.written)
    if model.price is not None:
        cost, by = price_of(model.price, *amounts), PricedBy.CONFIGURATION
    elif reading.cost is not None:
        cost, by = reading.cost, PricedBy.PROVIDER
    else:
        cost, by = price_of(estimate, *amounts), PricedBy.ESTIMATE
    return Used(tokens_in, tokens_out, cached, cost, by, counted)


def stops_for_price(used: Used, unknown: UnknownPrice) -> bool:
    """Whether a call whose cost nobody told ends the attempt."""
    return not used.known and unknown is UnknownPrice.REFUSE
