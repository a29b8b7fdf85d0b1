"""OpenCode as a program: one process for each call, in the sandbox, with a door to one model.

What it may do is decided by the sandbox and the door. Its own permissions are set as well, so that
the model is told early and nothing waits for an answer; they bind nobody. Nothing of its
configuration comes from the repository (what it would read there is covered by something empty) or
from the person who runs lifeos. One thing of its own it
does with a repository's words cannot be switched off: when the model reads a file, it is shown the
AGENTS.md of that file's folder (not the one at the top) along with it, as a result of the tool.

It ends by itself, or is ended: by the stop switch, the door's meter, silence, a loop, or the first
error event (it would go on after some of them without end).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lifeos.agents import inside
from lifeos.agents.opencode_install import Found, find, ripgrep
from lifeos.agents.program import Call, Ran, Said, not_started
from lifeos.core.opencode_events import Event, Finish, Stream, Tool, outcome
from lifeos.core.policy.models import Model, Wire
from lifeos.core.toolwords import printable
from lifeos.errors import Problem, UsageError
from lifeos.model import FailureClass, Usage
from lifeos.process import Ended
from lifeos.sandbox import HOME, WORK, Mount, python_tools

PROGRAM = "/run/lifeos/opencode"
PROMPT = "/run/lifeos/prompt.md"
MODELS = "/run/lifeos/models.json"
PROVIDER = "lifeos"
START = 60
"""Seconds that it may take, at least, until it asks its model for the first time."""
MARGIN = 5
"""Seconds on top: the door, which has the same patience with a provider, is to speak first."""
CONFIGURED = (".opencode", "opencode.json", "opencode.jsonc")
_SWITCHES = (
    "AUTOUPDATE", "CLAUDE_CODE", "DEFAULT_PLUGINS", "EMBEDDED_WEB_UI", "EXTERNAL_SKILLS",
    "LSP_DOWNLOAD", "MODELS_FETCH", "PROJECT_CONFIG", "SHARE",
)  # fmt: skip
_KINDS = {Wire.CHAT: "@ai-sdk/openai-compatible", Wire.MESSAGES: "@ai-sdk/anthropic"}


@dataclass(frozen=True)
class OpenCode:
    """``agents: {build: opencode}``. ``binary``: the program; without it, what is on the PATH."""

    binary: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    clock: Callable[[], float] = time.monotonic
    name: str = "opencode"

    @property
    def version(self) -> str:
        """What it says it is; "" where it cannot be started."""
        found = find(self.binary, self.environ)
        return found.version if isinstance(found, Found) else ""

    def problem(self) -> Problem | None:
        """What is missing to start it; its version is asked once per process."""
        found = find(self.binary, self.environ)
        return found if isinstance(found, Problem) else None

    def call(self, call: Call) -> Said:
        """Start it, watch it, and end it. Everything it started is gone when this returns."""
        found = find(self.binary, self.environ)
        if isinstance(found, Problem):
            text = f"{found.message}; {found.fix}"
            return Said(failure=FailureClass.CONFIG_ERROR, message=text)
        if call.sandbox.kind == "none":
            text = "OpenCode runs only in a sandbox; write `sandbox: bwrap` in .lifeos/config.yaml"
            return Said(failure=FailureClass.CONFIG_ERROR, message=text)
        watch = Watch(call, self.clock)
        try:
            with _kit(call, found, ripgrep(self.environ)) as kit:
                ended = _run(call, watch, kit)
        except UsageError as error:
            why = f"OpenCode could not be started: {error.message}; {error.fix}"
            return not_started(call, why)
        watch.hear(b"\n")
        return _said(call, watch, ended)


class Watch:
    """Listens to a call while it runs, and says when it has to end (``why``, in one word)."""

    def __init__(self, call: Call, clock: Callable[[], float]) -> None:
        self.call = call
        self.clock = clock
        self.stream = Stream(call.agent_limits.repeats)
        self.why = ""
        self._started = self._heard = clock()

    def hear(self, chunk: bytes) -> None:
        """What it printed, in pieces of any size."""
        for event in self.stream.feed(chunk):
            self._heard = self.clock()
            told = _told(event)
            if told:
                self.call.progress(told)

    def look(self) -> bool:
        """Whether it has to end now."""
        if not self.why:
            self.why = self._reason()
        return bool(self.why)

    def _reason(self) -> str:
        if self.call.should_stop():
            return "stopped"
        if self.call.door.meter.stop:
            return "meter"
        if self.stream.loop:
            return "loop"
        if self.stream.fault is not None:
            return "fault"
        return "silence" if self._silent() > self.patience() else ""

    def _silent(self) -> float:
        return min(self.clock() - self._heard, self.call.door.heard())

    def patience(self) -> int:
        """Seconds of silence that are no sign of a hang: a command may be running meanwhile."""
        limits, receipts = self.call.agent_limits, self.call.door.meter.receipts
        if self.call.door.heard() >= self.clock() - self._started:
            return max(limits.silence, START) + MARGIN
        working = bool(receipts) and receipts[-1].end in {"tool_calls", "tool_use"}
        command = limits.command_seconds if working and self.call.writable else 0
        return limits.silence + command + MARGIN


def _told(event: Event) -> str:
    match event:
        case Tool(error=""):
            return ""  # the proxy has said so, when it began
        case Tool():
            return f"{event.about}, which {'is not allowed' if event.denied else 'failed'}"
        case Finish(reason="stop"):
            return "has answered"
        case _:
            return ""


@dataclass(frozen=True)
class _Kit:
    """What is mounted for a call, and whether the program that it searches with is among it."""

    mounts: tuple[Mount, ...]
    tools: tuple[Path, ...]
    searches: bool


@contextmanager
def _kit(call: Call, found: Found, search: Path | None) -> Iterator[_Kit]:
    """The files that it needs inside; they are gone after the block."""
    with tempfile.TemporaryDirectory(prefix="lifeos-opencode-") as name:
        folder = Path(name)
        files = {
            PROMPT: call.prompt.encode(errors="replace"),
            MODELS: b"{}",  # else it would want the list of all models there are
            inside.SCRIPT: Path(inside.__file__).read_bytes(),
        }
        mounts = [Mount(found.binary, PROGRAM)]
        for target, content in files.items():
            file = folder / Path(target).name
            file.write_bytes(content)
            file.chmod(0o444)  # inside it is read by another user
            mounts.append(Mount(file, target))
        tools = python_tools()
        if search is not None and Path("/usr") not in search.parents:
            place = folder / "search" / "bin" / "rg"
            place.parent.mkdir(parents=True)
            shutil.copyfile(search, place)
            place.chmod(0o555)
            tools = (*tools, folder / "search")
        yield _Kit((*mounts, *_masks(call, folder)), tools, search is not None)


def _masks(call: Call, scratch: Path) -> Iterator[Mount]:
    """Something empty over each place in the tree that OpenCode takes configuration from.

    Its switches do not keep all of it out: a second reader of these loads plugins from them as soon
    as a file is read. Raises ``UsageError`` for a symbolic link, which would lead past the mask.
    """
    empty, nothing = scratch / "empty.json", scratch / "empty"
    empty.write_bytes(b"{}")
    empty.chmod(0o444)
    nothing.mkdir()
    nothing.chmod(0o755)
    for name in CONFIGURED:
        for tree in (call.folder, *((call.prepared,) if call.prepared and call.writable else ())):
            place = tree / name
            if place.is_symlink():
                raise UsageError(
                    f"{name} is a symbolic link, and OpenCode would run what it leads to",
                    f"make {name} a plain file or folder, or remove it",
                )
            if place.exists():
                yield Mount(nothing if place.is_dir() else empty, f"{WORK}/{name}")
                break


def _run(call: Call, watch: Watch, kit: _Kit) -> Ended:
    command = (PROGRAM, "run", "--format", "json", "--agent", "build", "--title")
    title = printable(call.title.lstrip("-")) or "task"
    return call.sandbox.run(
        inside.argv((*command, title), stdin=PROMPT, errors_last=True),
        folder=call.folder,
        limits=call.limits,
        env=environment(call, searches=kit.searches),
        mounts=kit.mounts,
        overlay_lower=call.prepared if call.writable else None,
        read_only=not call.writable,
        sockets=(Mount(call.door.socket, inside.SOCKET),),
        tools=kit.tools,
        should_stop=watch.look,
        on_output=watch.hear,
        trace=call.trace,
    )


def environment(call: Call, *, searches: bool) -> dict[str, str]:
    """Its variables. The agent's commands inherit them: there is no secret among them."""
    given = {n: v for n, v in call.environment.items() if not n.startswith(("OPENCODE", "XDG_"))}
    folders = {
        "CONFIG": ".config",
        "DATA": ".local/share",
        "STATE": ".local/state",
        "CACHE": ".cache",
    }
    return {
        **given,
        **{f"XDG_{name}_HOME": f"{HOME}/{folder}" for name, folder in folders.items()},
        **{f"OPENCODE_DISABLE_{switch}": "1" for switch in _SWITCHES},
        "OPENCODE_PURE": "1",
        "OPENCODE_MODELS_PATH": MODELS,
        "OPENCODE_EXPERIMENTAL_OUTPUT_TOKEN_MAX": str(call.model.output),
        "OPENCODE_EXPERIMENTAL_BASH_DEFAULT_TIMEOUT_MS": str(
            call.agent_limits.command_seconds * 1000
        ),
        "OPENCODE_CONFIG_CONTENT": json.dumps(configuration(call, searches=searches)),
    }


def configuration(call: Call, *, searches: bool) -> dict[str, object]:
    """The whole of its configuration, as OpenCode's own opencode.json has it."""
    model = f"{PROVIDER}/{call.model.id}"
    return {
        "model": model,
        "small_model": model,
        "enabled_providers": [PROVIDER],
        "provider": {PROVIDER: _provider(call.model, call.wire)},
        "permission": permissions(call.writable, call.agent_limits.commands, searches=searches),
        "share": "disabled",
        "autoupdate": False,
        "snapshot": False,
        "formatter": False,
        "lsp": False,
    }


def _provider(model: Model, wire: Wire) -> dict[str, object]:
    known: dict[str, object] = {
        "name": model.id,
        "tool_call": True,
        "limit": {"context": model.context, "output": model.output},
    }
    if model.price is not None:
        cached = model.price.input if model.price.cached is None else model.price.cached
        price = {"input": model.price.input, "output": model.price.output, "cache_read": cached}
        known["cost"] = price
    return {
        "npm": _KINDS[wire],
        "name": PROVIDER,
        "options": {
            "baseURL": f"http://127.0.0.1:{inside.PORT}/v1",
            "apiKey": "none",  # the door adds the real one, outside
            "timeout": False,  # silence is watched from outside
        },
        "models": {model.id: known},
    }


def permissions(
    writable: bool, commands: Sequence[str], *, searches: bool
) -> dict[str, str | dict[str, str]]:
    """What it tells the model: everything is denied that is not named. The last match wins."""
    allowed = dict.fromkeys(commands, "allow")
    rules: dict[str, str | dict[str, str]] = {
        "*": "deny",
        "read": "allow",
        "list": "allow",
        "todowrite": "allow",
        "todoread": "allow",
        "invalid": "allow",  # tells the model that there is no such tool
        "doom_loop": "allow",  # loops are counted from outside
        "external_directory": {"*": "deny", "/tmp/*": "allow"},  # noqa: S108 - its own, in memory
        **dict.fromkeys(("glob", "grep"), "allow" if searches else "deny"),
        **dict.fromkeys(("question", "webfetch", "websearch", "codesearch"), "deny"),
        **dict.fromkeys(("task", "skill"), "deny"),  # what a helper of its own does, nobody sees
    }
    if writable:
        rules |= {"edit": "allow", "bash": {"*": "deny", **allowed}}
    return rules


def _said(call: Call, watch: Watch, ended: Ended) -> Said:
    failure, message = _judged(call, watch, ended)
    stream, meter = watch.stream, call.door.meter
    return Said(
        text=stream.text,
        failure=failure,
        message=message,
        log=ended.out,
        ran=tuple(
            Ran(tool.command, tool.status, tool.seconds, tool.denied) for tool in stream.commands
        ),
        reported=Usage(tokens=stream.tokens, cost=stream.cost, requests=stream.steps),
        stopped=watch.why == "stopped",
        wake_after=meter.wake_after if failure is FailureClass.QUOTA else None,
        seconds=ended.seconds,
    )


def _judged(call: Call, watch: Watch, ended: Ended) -> tuple[FailureClass | None, str]:
    """How it ended: what ended it from outside comes before what it says itself."""
    meter = call.door.meter
    if watch.why == "stopped":
        return FailureClass.INTERRUPTED, "the agent was stopped"
    if meter.stop:
        return meter.stop.failure, meter.message
    if ended.timed_out:
        text = f"the agent was not done after {call.limits.seconds} seconds"
        return FailureClass.TIMEOUT, text
    if watch.why == "silence":
        text = f"nothing was heard of the agent or its model for {watch.patience()} seconds"
        return FailureClass.TIMEOUT, text
    if ended.exceeded:
        text = f"the agent went beyond the sandbox's limit of {ended.exceeded} and was ended"
        return FailureClass.TOOL_ERROR, text
    said = outcome(watch.stream, ended.status)
    return said.failure, said.message
