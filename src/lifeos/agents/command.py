"""Any other coding agent, as a command line: ``command`` in ``.lifeos/config.yaml``.

It runs with ``sh -c`` at the top of the tree, in the sandbox, and finds there:

- ``LIFEOS_PROMPT``: the path of a read-only file with its prompt (or the prompt on standard input);
- ``LIFEOS_MODEL_URL``: where the model is, ``http://127.0.0.1:PORT/v1``; any key will do;
- ``LIFEOS_MODEL``: what to call it, and ``LIFEOS_MODEL_KEY``: a key that opens nothing.

What it prints about itself is believed in one direction only: it can say that it failed.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lifeos.agents import inside
from lifeos.agents.program import Call, Said, not_started
from lifeos.core.checkreport import plain
from lifeos.core.jsonfind import find
from lifeos.core.policy.config import CommandAgent, PromptBy
from lifeos.errors import Place, Problem, UsageError
from lifeos.model import FailureClass, Usage
from lifeos.process import Ended
from lifeos.sandbox import Mount, python_tools

PROMPT = "/run/lifeos/prompt.md"
DUMMY_KEY = "none-needed"
LONGEST_ANSWER = 200_000
"""Bytes of the file with its last message that are read."""
LAST_CHARACTERS = 500

_CONFIG = ".lifeos/config.yaml"
_VARIABLE = re.compile(r"\$\{(LIFEOS_[A-Z_]+)\}")
# The answer is fetched inside, where a link in its place leads nowhere.
_WITH_ANSWER = (
    'sh -c "$1"; status=$?; printf "\\n%s\\n" "$2"; '
    'head -c "$4" -- "$HOME/$3" 2>/dev/null; exit $status'
)
PROVIDED = ("LIFEOS_PROMPT", "LIFEOS_MODEL_URL", "LIFEOS_MODEL", "LIFEOS_MODEL_KEY")
"""The variables of lifeos that a command line finds, and that its settings may name."""


@dataclass(frozen=True)
class Command:
    """``agents: {build: command}``, with its settings under ``command``."""

    settings: CommandAgent

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return "command"

    def problem(self) -> Problem | None:
        """Which of its settings cannot be used here; None when all can."""
        for folder in self.settings.tools:
            wrong = _unfit(Path(folder))
            if wrong:
                fix = "name the folder that holds its program, absolute, under command.tools"
                return Problem(Place(_CONFIG), f"command.tools: {folder} {wrong}", fix)
        for name, value in self.settings.environment.items():
            for used in _VARIABLE.findall(value):
                if used not in PROVIDED:
                    text = f"command.environment.{name}: there is no ${{{used}}}"
                    return Problem(Place(_CONFIG), text, f"use one of {', '.join(PROVIDED)}")
        return None

    def call(self, call: Call) -> Said:
        """Run it to its end, or to what ends it first. Nothing of it runs any more afterwards."""
        problem = self.problem()
        if problem is not None:
            message = f"{problem.message}: {problem.fix}"
            return Said(failure=FailureClass.CONFIG_ERROR, message=message)
        mark = secrets.token_hex(16)
        watch = _Watch(call, time.monotonic())
        try:
            with _prompt(call.prompt) as prompt:
                ended = self._run(call, prompt, mark, watch)
        except UsageError as error:
            return not_started(call, f"the agent could not be started: {error}")
        return self._said(call, ended, mark, watch)

    def _run(self, call: Call, prompt: Path, mark: str, watch: _Watch) -> Ended:
        settings = self.settings
        line: tuple[str, ...] = ("/bin/sh", "-c", settings.run)
        if settings.answer:
            # The last half of the output is kept for sure: an answer that fits is not cut.
            longest = min(LONGEST_ANSWER, max(call.limits.output_kb * 512 - 256, 0))
            wanted = (settings.run, mark, settings.answer, str(longest))
            line = ("/bin/sh", "-c", _WITH_ANSWER, "sh", *wanted)
        tools = dict.fromkeys([*python_tools(), *(Path(each) for each in settings.tools)])
        return call.sandbox.run(
            inside.argv(line, stdin=PROMPT if settings.prompt is PromptBy.STDIN else ""),
            folder=call.folder,
            limits=call.limits,
            env=self._environment(call),
            mounts=(Mount(prompt, PROMPT), Mount(Path(inside.__file__), inside.SCRIPT)),
            overlay_lower=call.prepared if call.writable else None,
            read_only=not call.writable,
            sockets=(Mount(call.door.socket, inside.SOCKET),),
            tools=tuple(tools),
            should_stop=watch.should_stop,
            on_output=watch.heard,
            trace=call.trace,
        )

    def _environment(self, call: Call) -> dict[str, str]:
        own = {
            "LIFEOS_PROMPT": PROMPT,
            "LIFEOS_MODEL_URL": f"http://127.0.0.1:{inside.PORT}/v1",
            "LIFEOS_MODEL": call.model.id,
            "LIFEOS_MODEL_KEY": DUMMY_KEY,
        }
        filled = {
            name: _VARIABLE.sub(lambda match: own[match[1]], value)
            for name, value in self.settings.environment.items()
        }
        return {**call.environment, **filled, **own}

    def _said(self, call: Call, ended: Ended, mark: str, watch: _Watch) -> Said:
        """What it left, judged; the text is taken from where the settings say."""
        output, _, answer = ended.out.decode("utf-8", "replace").partition(f"\n{mark}\n")
        errors = ended.err.decode("utf-8", "replace")
        text = self._text(output, answer)
        failure, message = self._judged(call, ended, f"{output}\n{errors}", watch, text)
        stopped = failure is FailureClass.INTERRUPTED
        return Said(
            text=text,
            failure=failure,
            message=message,
            log=_log(output, errors, call.limits.output_kb * 1024),
            reported=Usage(cost=self._cost(output)),
            stopped=stopped,
            wake_after=call.door.meter.wake_after if failure is FailureClass.QUOTA else None,
            seconds=ended.seconds,
        )

    def _text(self, output: str, answer: str) -> str:
        settings = self.settings
        if settings.json_text:
            source = answer if settings.answer else output
            parts = [part for part in find(source, settings.json_text) if isinstance(part, str)]
            return "\n".join(parts).strip()
        return (answer if settings.answer else plain(output.encode())).strip()

    def _cost(self, output: str) -> float:
        """What it says it cost; 0 if it says nothing that can be one."""
        found = find(output, self.settings.json_cost) if self.settings.json_cost else ()
        costs = [each for each in found if isinstance(each, int | float)]
        cost = float(costs[-1]) if costs else 0.0
        return cost if 0 <= cost < float("inf") else 0.0

    def _judged(
        self, call: Call, ended: Ended, output: str, watch: _Watch, text: str
    ) -> tuple[FailureClass | None, str]:
        """The failure class of how it ended, in the order of what is surest; None: it is done."""
        ending = _ended_by(call, ended, watch)
        if ending is not None:
            return ending
        said = _last_words(output)
        if ended.status in (126, 127):
            fix = f"check command.run and command.tools in {_CONFIG}"
            return FailureClass.ENVIRONMENT_ERROR, f"a program is not there: {fix}{said}"
        wrong = self._claims(ended.status, output, text)
        return (FailureClass.TOOL_ERROR, f"{wrong}{said}") if wrong else (None, "")

    def _claims(self, status: int, output: str, text: str) -> str:
        """In which way it says itself that it failed; empty if in none."""
        settings = self.settings
        if status != 0:
            return f"the agent ended with status {status}"
        if settings.failure and settings.failure in output:
            return f"the agent's output has {settings.failure!r}"
        if settings.success and settings.success not in output:
            return f"the agent's output lacks {settings.success!r}"
        if settings.json_text and not text:
            return f"the agent's output has nothing at {settings.json_text}"
        return ""


def _ended_by(call: Call, ended: Ended, watch: _Watch) -> tuple[FailureClass, str] | None:
    """What ended it from outside, or None if it ended by itself."""
    meter = call.door.meter
    if watch.person:
        return FailureClass.INTERRUPTED, "stopped by the stop switch"
    if meter.stop:
        return meter.stop.failure, meter.message
    if watch.silent:
        seconds = call.agent_limits.silence
        return FailureClass.TIMEOUT, f"the agent gave no sign of life for {seconds} seconds"
    if ended.timed_out:
        return FailureClass.TIMEOUT, f"it did not end within {call.limits.seconds} seconds"
    if ended.exceeded:
        return FailureClass.TOOL_ERROR, f"it exceeded the sandbox's limit on {ended.exceeded}"
    return None


class _Watch:
    """Looks at a call from outside, and remembers what ended it."""

    def __init__(self, call: Call, now: float) -> None:
        self._call = call
        self._last = now
        self.person = False
        self.silent = False

    def heard(self, _chunk: bytes) -> None:
        """It printed something."""
        self._last = time.monotonic()

    def should_stop(self) -> bool:
        """Whether it has to end now."""
        call = self._call
        if call.door.meter.stop:
            return True
        if call.should_stop():
            self.person = True
            return True
        quiet = min(time.monotonic() - self._last, call.door.heard())
        self.silent = quiet > call.agent_limits.silence
        return self.silent


def _unfit(folder: Path) -> str:
    """Why a folder cannot be mounted as a tool; empty when it can."""
    if not folder.is_absolute() or ".." in folder.parts:
        return "is not an absolute path"
    if not folder.is_dir():
        return "is not a folder of this machine"
    real, home = folder.resolve(), Path(os.path.realpath(Path("~").expanduser()))
    if real in (home, *home.parents):
        return "holds the whole home: keys in it could be read inside"
    return ""


@contextmanager
def _prompt(text: str) -> Iterator[Path]:
    """The prompt as a file, for the user inside to read."""
    with tempfile.TemporaryDirectory(prefix="lifeos-prompt-") as name:
        file = Path(name, "prompt.md")
        file.write_text(text, encoding="utf-8", errors="replace")
        file.chmod(0o444)
        yield file


def _log(output: str, errors: str, limit: int) -> bytes:
    parts = [part.strip("\n") for part in (output, errors) if part.strip()]
    whole = "\n".join(parts).encode()
    if len(whole) <= limit:
        return whole
    half = max(limit // 2, 0)
    return whole[:half] + b"\n[... output left out ...]\n" + whole[len(whole) - half :]


def _last_words(output: str) -> str:
    lines = [line.strip() for line in plain(output.encode()).splitlines() if line.strip()]
    said = " / ".join(lines[-3:])[-LAST_CHARACTERS:]
    return f": {said}" if said else ""
