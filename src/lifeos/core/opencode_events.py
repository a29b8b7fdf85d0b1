"""What OpenCode prints with ``run --format json``: JSON lines, read as they come.

Its exit status says little: a run that was cut off or that waits for an answer nobody gives ends
with 0. It is done when its last step ended with the reason ``stop`` and no ``error`` was printed.
All of it is foreign: lines that are no events are passed over, and nothing here grows with what is
printed (a line longer than ``LONGEST_LINE`` bytes is left out and counted).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lifeos.core.toolwords import ABOUT, about, printable
from lifeos.model import FailureClass

LONGEST_LINE = 8 << 20
LONGEST_TEXT = 1 << 20  # characters of the last message that are kept
LONGEST_COMMAND = 20_000
MOST_COMMANDS = 2_000
STRAY = 2_000  # bytes of other output that are kept, to say what went wrong

_DENIED = ("prevents you from using this", "rejected permission", "unavailable tool")
_GOES_ON = frozenset({"stop", "tool-calls", "length"})
_REFUSES_FOR_NOW = frozenset({402, 429, 503, 529})
_MISCONFIGURED = frozenset({400, 401, 403, 404})


@dataclass(frozen=True)
class Tool:
    """A tool that the agent used. ``about`` is one line for people: what it did.

    ``command``, ``status`` and ``seconds`` are of a shell command ("" and None for other tools).
    ``call`` is the same for the same tool with the same input.
    """

    name: str
    about: str
    call: str
    error: str = ""
    denied: bool = False
    command: str = ""
    status: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Text:
    """A part of a message. ``message`` is the id of the message it belongs to."""

    message: str
    text: str


@dataclass(frozen=True)
class Finish:
    """The end of a step: the reason in OpenCode's words, and what it says it used (US dollars)."""

    reason: str
    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class Fault:
    """An error event. ``status`` is the provider's HTTP status, 0 when there is none."""

    name: str
    message: str
    status: int = 0


Event = Tool | Text | Finish | Fault


@dataclass(frozen=True)
class Outcome:
    """How a run ended; ``failure`` None: it says that it is done."""

    failure: FailureClass | None
    message: str


class Stream:
    """The events so far. ``repeats`` of the same call or the same error in a row are a loop.

    Feed it what is printed, in pieces of any size; ``end`` once there is no more.
    """

    def __init__(self, repeats: int) -> None:
        self.repeats = repeats
        self.text = ""
        self.commands: list[Tool] = []
        self.finish: Finish | None = None
        self.fault: Fault | None = None
        self.loop = ""  # why it is one
        self.stray = b""
        self.skipped = 0  # lines that were too long
        self.steps = 0
        self.tokens = 0
        self.cost = 0.0
        self._message = ""
        self._row: dict[str, tuple[str, int]] = {}
        self._line = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete with this piece."""
        events = []
        begin = 0
        while (end := chunk.find(b"\n", begin)) >= 0:
            events += self._close(chunk[begin:end])
            begin = end + 1
        self._grow(chunk[begin:])
        return events

    def end(self) -> list[Event]:
        """The events of a last line without an end."""
        return self._close(b"")

    def _grow(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > LONGEST_LINE:
            self._line.clear()
            self._skipping = True
        if not self._skipping:
            self._line += piece

    def _close(self, piece: bytes) -> list[Event]:
        self._grow(piece)
        line = bytes(self._line)
        self._line.clear()
        self.skipped += self._skipping
        self._skipping = False
        event = read(line)
        if event is None:
            if line.strip() and not line.startswith(b'{"type":'):
                self.stray = (self.stray + line + b"\n")[-STRAY:]
            return []
        self._take(event)
        return [event]

    def _take(self, event: Event) -> None:
        match event:
            case Tool():
                self._tool(event)
            case Text():
                before = f"{self.text}\n" if event.message == self._message and self.text else ""
                self.text = (before + event.text)[-LONGEST_TEXT:]
                self._message = event.message
            case Finish():
                self.finish = event
                self.steps += 1
                self.tokens += event.tokens
                self.cost += event.cost
                odd = "" if event.reason in _GOES_ON else event.reason
                self._count("finish", odd, f"ended a step {odd!r}")
            case Fault():
                self.fault = event

    def _tool(self, tool: Tool) -> None:
        if tool.command:
            if len(self.commands) < MOST_COMMANDS:
                self.commands.append(tool)
            else:
                self.loop = self.loop or f"it ran more than {MOST_COMMANDS} commands"
        self._count("call", tool.call, tool.about)
        self._count("error", tool.error, f"failed with {printable(tool.error)!r}")

    def _count(self, kind: str, same: str, about: str) -> None:
        before, times = self._row.get(kind, ("", 0))
        times = times + 1 if same and same == before else 1
        self._row[kind] = (same, times)
        if same and times >= self.repeats and not self.loop:
            self.loop = f"it did the same {times} times in a row: {about}"


def read(line: bytes) -> Event | None:
    """The event on one line; None for a line that is none, or one that says nothing here."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    part = _table(event.get("part"))
    match event.get("type"):
        case "tool_use":
            return _tool(part)
        case "text":
            return Text(_word(part.get("messageID")), _word(part.get("text")))
        case "step_finish":
            used = _table(part.get("tokens"))
            cached = _table(used.get("cache"))
            kinds = [used.get("input"), used.get("output"), used.get("reasoning")]
            tokens = sum(_count_of(each) for each in [*kinds, *cached.values()])
            return Finish(_word(part.get("reason")), tokens, _amount(part.get("cost")))
        case "error":
            return _fault(event.get("error"))
        case _:
            return None


def _tool(part: Mapping[str, object]) -> Tool:
    state, name = _table(part.get("state")), _word(part.get("tool"))
    given, metadata = _table(state.get("input")), _table(state.get("metadata"))
    error = _word(state.get("error")) if state.get("status") == "error" else ""
    if name == "invalid":
        name, error = _word(given.get("tool")) or name, _word(given.get("error")) or "invalid"
    time = _table(state.get("time"))
    status = metadata.get("exit")
    shell = name == "bash"
    took = _amount(time.get("end")) - _amount(time.get("start"))
    whole = json.dumps([name, given], sort_keys=True).encode(errors="replace")
    return Tool(
        name=printable(name, 40),
        about=about(name, given),
        call=hashlib.sha256(whole).hexdigest(),
        error=error[: ABOUT * 10],
        denied=any(word in error for word in _DENIED),
        command=_word(given.get("command"))[:LONGEST_COMMAND] if shell else "",
        status=status if shell and isinstance(status, int) else None,
        seconds=max(took / 1000, 0.0) if shell and took else None,
    )


def _fault(error: object) -> Fault:
    table = _table(error)
    data = _table(table.get("data"))
    message = _word(data.get("message")) or _word(table.get("message")) or _word(error)
    status = data.get("statusCode")
    return Fault(
        printable(_word(table.get("name")) or "error", 60),
        printable(message or "no message", 500),
        status if isinstance(status, int) else 0,
    )


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str:
    # A lone surrogate can stand in JSON, but not in a file or on a screen.
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _count_of(value: object) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return min(max(int(value), 0), 10**12) if whole and isinstance(value, int) else 0


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value < 1e15 else 0.0


def outcome(stream: Stream, status: int) -> Outcome:
    """What came of a run that ended by itself with this exit status."""
    if stream.loop:
        return Outcome(FailureClass.TOOL_ERROR, f"the agent goes round in circles: {stream.loop}")
    if stream.fault is not None:
        return _of_fault(stream.fault)
    said = printable(stream.stray.decode(errors="replace")[-500:], 300)
    if stream.finish is None:
        return Outcome(
            FailureClass.TOOL_ERROR,
            f"OpenCode ended with status {status} before its first step: {said or 'no word'}",
        )
    reason = stream.finish.reason
    if reason == "length":
        return Outcome(
            FailureClass.VALIDATION_ERROR,
            "the answer was cut off at the model's output limit: raise `output` of the model in "
            ".lifeos/config.yaml",
        )
    if reason != "stop":
        why = "it waited for an answer, or stopped halfway" if reason == "tool-calls" else "no end"
        return Outcome(
            FailureClass.TOOL_ERROR,
            f"the agent did not come to an end ({printable(reason)}: {why})",
        )
    if status != 0:
        return Outcome(FailureClass.TOOL_ERROR, f"OpenCode ended with status {status}: {said}")
    return Outcome(None, "")


def _of_fault(fault: Fault) -> Outcome:
    told = f"{fault.name}: {fault.message}"
    if fault.name == "ContextOverflowError":
        fix = "set `context` of the model in .lifeos/config.yaml to what it takes"
        return Outcome(FailureClass.TOOL_ERROR, f"the conversation is too long ({told}): {fix}")
    if fault.status in _REFUSES_FOR_NOW:
        return Outcome(FailureClass.QUOTA, f"the provider refuses for now ({fault.status}, {told})")
    unknown = re.search(r"model.{0,60}not found|unknown model", told, re.IGNORECASE)
    if fault.status in _MISCONFIGURED or fault.name == "ProviderAuthError" or unknown:
        return Outcome(
            FailureClass.CONFIG_ERROR, f"the provider refuses the request ({fault.status}, {told})"
        )
    return Outcome(FailureClass.TOOL_ERROR, told)
