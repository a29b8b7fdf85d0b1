"""The program of a coding agent, started once with one prompt. Stages and seats are made of these.

A program gets a prompt and a folder, and a *door*: the Unix socket of lifeos's model proxy, the
only thing outside of its sandbox that it can reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from lifeos.core.policy.envelope import AgentLimits, Limits
from lifeos.core.policy.models import Model, Wire
from lifeos.errors import Problem
from lifeos.model import FailureClass, Usage
from lifeos.process import never, untraced
from lifeos.proxy import Door
from lifeos.sandbox import Sandbox


@dataclass(frozen=True)
class Ran:
    """A command that the agent ran inside, as its program reports it. Not evidence of a result."""

    command: str
    status: int | None = None
    seconds: float | None = None
    denied: bool = False


@dataclass(frozen=True)
class Call:
    """One start of a program.

    ``folder`` appears at ``/work``, read-only unless ``writable``. ``door.meter`` counts and ends
    the call: the program is stopped as soon as ``door.meter.stop`` says why. ``progress`` gets
    short lines for people: what the agent does now.
    """

    prompt: str
    title: str
    folder: Path
    writable: bool
    limits: Limits
    agent_limits: AgentLimits
    environment: Mapping[str, str]
    sandbox: Sandbox
    door: Door
    model: Model
    wire: Wire
    prepared: Path | None = None
    should_stop: Callable[[], bool] = never
    progress: Callable[[str], None] = lambda _line: None
    trace: Callable[[str], None] = untraced


@dataclass(frozen=True)
class Said:
    """What a program left. ``text`` is its last message; ``failure`` None: it says that it is done.

    ``log`` is its raw output (foreign, capped), ``reported`` the tokens, cost and requests that it
    says it used (only recorded: the meter of the door is what counts), ``wake_after`` seconds to
    wait where the provider refuses for now.
    """

    text: str = ""
    failure: FailureClass | None = None
    message: str = ""
    log: bytes = b""
    ran: tuple[Ran, ...] = ()
    reported: Usage = field(default_factory=Usage)
    stopped: bool = False
    wake_after: int | None = None
    seconds: float = 0.0


class Program(Protocol):
    """A coding agent's command line."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    def problem(self) -> Problem | None:
        """What is missing to start it, and how to get it; None when it can be started."""
        ...

    def call(self, call: Call) -> Said:
        """Start it, watch it, and end it. Nothing of it runs any more when this returns."""
        ...


@runtime_checkable
class Versioned(Protocol):
    """A program, or an agent on one, that knows its version."""

    @property
    def version(self) -> str:
        """Its version as it says it itself; "" where that is not known."""
        ...


def version_of(program: object) -> str:
    """The version of a program or an agent; "" where it is not known."""
    return program.version if isinstance(program, Versioned) else ""


def not_started(call: Call, why: str) -> Said:
    """A program that the sandbox did not start; or that was to end before it had begun."""
    meter = call.door.meter
    if meter.stop:
        return Said(failure=meter.stop.failure, message=meter.message)
    if call.should_stop():
        message = "stopped by the stop switch"
        return Said(failure=FailureClass.INTERRUPTED, message=message, stopped=True)
    return Said(failure=FailureClass.ENVIRONMENT_ERROR, message=why)
