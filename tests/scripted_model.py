"""A model on loopback that says what a test tells it to, over both protocols that providers speak.

``with ScriptedModel(script) as model:`` gives ``model.url``; ``script`` gets a ``Turn`` and gives a
``Step``: ``text("done")``, ``tool("write", filePath="a", content="b")``, ``error(429)``, and so on.
Nothing here checks what a client may ask: that is for the code under test.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Counted:
    """What a step says it used. ``cost`` in US dollars, as some providers add it."""

    sent: int = 100
    received: int = 20
    cached: int = 0
    cost: float | None = None


@dataclass(frozen=True)
class Step:
    """What the model does in one turn; made by the functions below."""

    kind: str
    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    finish: str = ""  # the provider's own word; "" for the usual one
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    seconds: float = 0.0
    gate: threading.Event | None = None
    counted: Counted | None = field(default_factory=Counted)

    def using(self, sent: int, received: int, cached: int = 0, cost: float | None = None) -> Step:
        """The same, with these figures for what it used."""
        return replace(self, counted=Counted(sent, received, cached, cost))

    def uncounted(self) -> Step:
        """The same, without a word on what it used."""
        return replace(self, counted=None)


def text(said: str, *, finish: str = "") -> Step:
    """A message, and the end of the turn. ``finish="length"`` (or "max_tokens") cuts it off."""
    return Step("say", text=said, finish=finish)


def tool(name: str, /, **arguments: Any) -> Step:
    """A call of one tool."""
    return tools([(name, arguments)])


def tools(calls: list[tuple[str, Mapping[str, Any]]], *, said: str = "") -> Step:
    """Several calls at once, after a message."""
    return Step("say", text=said, calls=tuple(calls))


def error(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Step:
    """An HTTP error. ``body``: bytes as they are, or what becomes JSON."""
    if not isinstance(body, bytes):
        message = {"error": {"message": f"scripted error {status}", "type": "scripted"}}
        body = json.dumps(message if body is None else body).encode()
    return Step("error", status=status, body=body, headers=dict(headers or {}))


def hang(seconds: float = 3600.0) -> Step:
    """Not a byte for this time (or until the model is closed), then the connection is closed."""
    return Step("hang", seconds=seconds)


def stall(said: str = "Well, ") -> Step:
    """The begin of a message, and then not a byte until the model is closed."""
    return Step("stall", text=said)


def stream_forever(chunk: str = "and on ") -> Step:
    """The same piece of text again and again, without end."""
    return Step("forever", text=chunk)


def flood(size: int = 1 << 30) -> Step:
    """So many bytes on one line that never ends."""
    return Step("flood", size=size)


def cut(said: str = "The begin of") -> Step:
    """A message that breaks off in the middle: the connection is closed."""
    return Step("cut", text=said)


def no_finish(said: str = "No reason given.") -> Step:
    """A message whose stream ends properly, but never says why the turn ended."""
    return Step("no_finish", text=said)


def gated(first: str, gate: threading.Event, rest: str) -> Step:
    """A message whose second part comes only once ``gate`` is set."""
    return Step("gated", text=first, body=rest.encode(), gate=gate)


@dataclass(frozen=True)
class Turn:
    """One request, as a script wants to see it."""

    body: Mapping[str, Any]
    wire: str  # chat or messages
    headers: Mapping[str, str]
    number: int  # of this request, from 0
    system: str
    user: str  # the last text of the user
    called: int  # the assistant's messages with calls of tools since then
    results: tuple[str, ...]  # what those tools gave back
    tools: tuple[str, ...]  # the names of the tools on offer


Script = Callable[[Turn], Step]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    raw: bytes
    body: Mapping[str, Any]


def steps(*script: Step) -> Script:
    """A script of steps by the number of calls since the user spoke; the last one stays."""
    return lambda turn: script[min(turn.called, len(script) - 1)]


def in_order(*script: Step) -> Script:
    """A script of steps by the number of the request; the last one stays."""
    return lambda turn: script[min(turn.number, len(script) - 1)]


class ScriptedModel:
    """The server; a context manager. ``titles``: requests without tools are asked for a title.

    ``requests`` holds all that came, in order; those for a title too.
    """

    def __init__(self, script: Script, *, titles: bool = True) -> None:
        self.script = script
        self.titles = titles
        self.requests: list[Asked] = []
        self.closing = threading.Event()
        self.faults: list[str] = []  # what the script itself raised
        self._turns = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.model = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """The address that a provider's `url` is set to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ScriptedModel:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def asked(self, asked: Asked) -> None:
        """Keep a request."""
        with self._lock:
            self.requests.append(asked)

    def step(self, asked: Asked) -> Step:
        """What to do with it."""
        wire = "messages" if asked.path.endswith("/messages") else "chat"
        if self.titles and not asked.body.get("tools"):
            return text("A short title").using(10, 4)
        with self._lock:
            number, self._turns = self._turns, self._turns + 1
        try:
            return self.script(_turn(asked, wire, number))
        except Exception as fault:  # noqa: BLE001 - any script, any fault; kept for the test
            self.faults.append(repr(fault))
            return error(500, {"error": {"message": f"the script failed: {fault!r}"}})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    model: ScriptedModel

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to report."""


def _turn(asked: Asked, wire: str, number: int) -> Turn:
    messages = [m for m in asked.body.get("messages", []) if isinstance(m, dict)]
    last = max((at for at, m in enumerate(messages) if _spoken(m)), default=-1)
    since = messages[last + 1 :]
    offered = [t.get("function", t) for t in asked.body.get("tools") or [] if isinstance(t, dict)]
    system = [m.get("content") for m in messages if m.get("role") in {"system", "developer"}]
    return Turn(
        body=asked.body,
        wire=wire,
        headers=asked.headers,
        number=number,
        system="\n".join(_plain(part) for part in [asked.body.get("system"), *system] if part),
        user=_plain(messages[last].get("content")) if last >= 0 else "",
        called=sum(1 for m in since if m.get("role") == "assistant" and _calls(m)),
        results=tuple(result for m in since for result in _results(m)),
        tools=tuple(str(t.get("name")) for t in offered),
    )


def _spoken(message: Mapping[str, Any]) -> bool:
    """Whether the user says something here (with Anthropic, results come as the user, too)."""
    return message.get("role") == "user" and not list(_results(message))


def _calls(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return bool(message.get("tool_calls")) or any(b.get("type") == "tool_use" for b in blocks)


def _results(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if message.get("role") == "tool":
        yield _plain(content)
    for block in content if isinstance(content, list) else []:
        if block.get("type") == "tool_result":
            yield _plain(block.get("content"))


def _plain(content: object) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(b["text"]) for b in blocks if isinstance(b, dict) and "text" in b)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # pieces go out as they are written
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.model.asked(Asked(self.path, dict(self.headers), b"", {}))
        self._whole(404, b'{"error": {"message": "only POST here"}}', {})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", "0")))
        try:
            body = json.loads(raw)
        except ValueError:
            body = {}
        names = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.path, names, raw, body)
        self.server.model.asked(asked)
        if self.path not in {"/v1/chat/completions", "/v1/messages"}:
            self._whole(404, b'{"error": {"message": "no such path"}}', {})
            return
        step = self.server.model.step(asked)
        wire = _Messages(asked) if self.path == "/v1/messages" else _Chat(asked)
        self._play(step, wire, streamed=body.get("stream") is True)

    def _play(self, step: Step, wire: _Chat | _Messages, *, streamed: bool) -> None:
        if step.kind == "error":
            self._whole(step.status, step.body, step.headers)
        elif step.kind == "hang":
            self.server.model.closing.wait(step.seconds)
            self.close_connection = True
        elif step.kind == "say" and not streamed:
            self._whole(200, json.dumps(wire.whole(step)).encode(), {})
        else:
            self._stream(step, wire)

    def _whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, step: Step, wire: _Chat | _Messages) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        closing = self.server.model.closing
        if step.kind == "flood":
            for _ in range(0, step.size, 65536):
                self._chunk(b"x" * 65536)
        for event in wire.begin(step):
            self._chunk(event)
        if step.kind == "forever":
            while not closing.is_set():
                self._chunk(wire.piece(step.text))
        if step.kind == "stall":
            closing.wait()
        if step.kind == "gated" and step.gate is not None:
            step.gate.wait(30)
            self._chunk(wire.piece(step.body.decode()))
        if step.kind in {"cut", "stall", "forever"}:
            self.close_connection = True
            return
        for event in wire.end(step):
            self._chunk(event)
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class _Chat:
    """`/chat/completions`: server-sent events without names, and `[DONE]`."""

    def __init__(self, asked: Asked) -> None:
        self.model = str(asked.body.get("model", ""))

    def _event(self, choices: list[object], **more: object) -> bytes:
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1}
        return _data({**chunk, "model": self.model, "choices": choices, **more})

    def piece(self, said: str) -> bytes:
        return self._event([{"index": 0, "delta": {"content": said}, "finish_reason": None}])

    def _calls(self, step: Step) -> list[dict[str, object]]:
        return [
            {
                "index": at,
                "id": f"call_{at + 1}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for at, (name, arguments) in enumerate(step.calls)
        ]

    def begin(self, step: Step) -> Iterator[bytes]:
        yield self._event(
            [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
        )
        if step.text:
            yield self.piece(step.text)
        for call in self._calls(step):
            delta = {"tool_calls": [call]}
            yield self._event([{"index": 0, "delta": delta, "finish_reason": None}])

    def end(self, step: Step) -> Iterator[bytes]:
        if step.kind != "no_finish":
            reason = step.finish or ("tool_calls" if step.calls else "stop")
            yield self._event([{"index": 0, "delta": {}, "finish_reason": reason}])
        if step.counted:
            yield self._event([], usage=_chat_usage(step.counted))
        yield b"data: [DONE]\n\n"

    def whole(self, step: Step) -> dict[str, object]:
        message: dict[str, object] = {"role": "assistant", "content": step.text or None}
        if step.calls:
            message["tool_calls"] = self._calls(step)
        reason = step.finish or ("tool_calls" if step.calls else "stop")
        answer: dict[str, object] = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        }
        if step.counted:
            answer["usage"] = _chat_usage(step.counted)
        return answer


def _chat_usage(counted: Counted) -> dict[str, object]:
    usage: dict[str, object] = {
        "prompt_tokens": counted.sent,
        "completion_tokens": counted.received,
        "total_tokens": counted.sent + counted.received,
        "prompt_tokens_details": {"cached_tokens": counted.cached},
    }
    if counted.cost is not None:
        usage["cost"] = counted.cost
    return usage


class _Messages:
    """`/messages`: named events, from `message_start` to `message_stop`."""

    def __init__(self, asked: Asked) -> None:
        self.model = str(asked.body.get("model", ""))

    def piece(self, said: str) -> bytes:
        delta = {"type": "text_delta", "text": said}
        return _named({"type": "content_block_delta", "index": 0, "delta": delta})

    def _start(self, step: Step) -> bytes:
        message: dict[str, object] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
        }
        if step.counted:
            message["usage"] = _messages_usage(replace(step.counted, received=1))
        return _named({"type": "message_start", "message": message})

    def begin(self, step: Step) -> Iterator[bytes]:
        yield self._start(step)
        block: dict[str, object] = {"type": "text", "text": ""}
        yield _named({"type": "content_block_start", "index": 0, "content_block": block})
        yield _named({"type": "ping"})
        if step.text:
            yield self.piece(step.text)

    def end(self, step: Step) -> Iterator[bytes]:
        yield _named({"type": "content_block_stop", "index": 0})
        for at, (name, arguments) in enumerate(step.calls, start=1):
            block = {"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
            yield _named({"type": "content_block_start", "index": at, "content_block": block})
            yield _named({"type": "content_block_delta", "index": at, "delta": delta})
            yield _named({"type": "content_block_stop", "index": at})
        if step.kind != "no_finish":
            reason = step.finish or ("tool_use" if step.calls else "end_turn")
            event: dict[str, object] = {"type": "message_delta", "delta": {"stop_reason": reason}}
            if step.counted:
                event["usage"] = {"output_tokens": step.counted.received}
            yield _named(event)
        yield _named({"type": "message_stop"})

    def whole(self, step: Step) -> dict[str, object]:
        content: list[dict[str, object]] = [{"type": "text", "text": step.text}]
        for at, (name, arguments) in enumerate(step.calls, start=1):
            call = {"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": arguments}
            content.append(dict(call))
        answer: dict[str, object] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": step.finish or ("tool_use" if step.calls else "end_turn"),
        }
        if step.counted:
            answer["usage"] = _messages_usage(step.counted)
        return answer


def _messages_usage(counted: Counted) -> dict[str, object]:
    return {
        "input_tokens": counted.sent - counted.cached,
        "cache_read_input_tokens": counted.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": counted.received,
    }


def _data(event: object) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _named(event: Mapping[str, object]) -> bytes:
    return f"event: {event['type']}\n".encode() + _data(event)
