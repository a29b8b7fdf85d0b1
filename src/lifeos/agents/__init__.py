"""Agents: adapters that carry out a stage. An agent gets a request and a folder, and no authority.

Nothing an agent says is evidence: a reply carries text and usage, the folder carries the work, and
lifeos looks at both itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lifeos.core.backlog.entry import Task
from lifeos.core.policy.config import Config
from lifeos.core.policy.envelope import Limits
from lifeos.core.policy.governance import Governance
from lifeos.core.policy.words import AgentKind
from lifeos.errors import UsageError
from lifeos.model import FailureClass, Risk, Stage, Usage
from lifeos.process import never, untraced
from lifeos.sandbox import Sandbox

if TYPE_CHECKING:  # the proxy is heavy to import, and most ticks have no model
    from lifeos.agents.program import Program, Ran
    from lifeos.proxy import Door, Route


@dataclass(frozen=True)
class Request:
    """One attempt at one stage.

    ``n`` counts the attempts of the run. ``design`` and ``plan`` are the artifacts so far ("" when
    there is none), ``feedback`` what failed last time and what a person said ("" the first time).
    ``environment`` are the variables that the envelope hands through; ``prepared`` the prepared
    environment beneath the folder. ``governance`` is the run's pinned set, for what an artifact
    says of the rules; the agent enforces none of them.
    """

    stage: Stage
    task: Task
    run: str
    n: int
    design: str
    plan: str
    feedback: str
    limits: Limits
    environment: Mapping[str, str]
    sandbox: Sandbox
    prepared: Path | None = None
    governance: Governance | None = None
    should_stop: Callable[[], bool] = never
    on_output: Callable[[bytes], None] | None = None
    trace: Callable[[str], None] = untraced
    modelled: Modelled | None = None


@dataclass(frozen=True)
class Modelled:
    """What an agent with a model is given beside: the door to it, and what its prompt is made of.

    ``nonce`` is unknown to whoever wrote the task or the repository: it marks what is data.
    ``instructions`` is the repository's AGENTS.md at the base ("" without one), ``prompts`` the
    repository's own texts by name. ``docs``: the task's scope has only documents.
    """

    door: Door
    route: Route
    nonce: str
    instructions: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    docs: bool = False
    progress: Callable[[str], None] = lambda _line: None


@dataclass(frozen=True)
class Reply:
    """What came of it. ``failure`` None: the stage's work is done, as far as the agent can say.

    ``artifact`` is Markdown (design and plan), ``message`` one line for people, ``log`` the
    captured output as it came (foreign, capped), ``stopped`` whether the stop switch ended it.
    ``ran`` are the commands that the agent says it ran, ``risk`` what it holds the task's risk to
    be (it can only raise it), ``wake_after`` the seconds until a refusing provider may be asked
    again, ``files`` more artifacts by name (a transcript), ``reported`` what the agent's program
    says it used, which is only recorded: ``usage`` is what was measured.
    """

    artifact: str = ""
    failure: FailureClass | None = None
    message: str = ""
    log: bytes = b""
    usage: Usage = field(default_factory=Usage)
    stopped: bool = False
    ran: tuple[Ran, ...] = ()
    risk: Risk = Risk.LOW
    wake_after: int | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    reported: Usage = field(default_factory=Usage)


class Agent(Protocol):
    """An adapter. ``paid``: it can cost money. ``resumes``: a retry goes on from the tree of the
    last attempt; otherwise it starts from the base again.
    """

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def paid(self) -> bool:
        """Whether an attempt can cost money."""
        ...

    @property
    def resumes(self) -> bool:
        """Whether a retry starts from what the last attempt left."""
        ...

    def run(self, request: Request, folder: Path | None) -> Reply:
        """Carry out a stage. ``folder`` is the work folder of a build, None for design and plan."""
        ...


def choose(kind: AgentKind, config: Config) -> Agent:
    """The agent that ``agents:`` in ``.lifeos/config.yaml`` names for a stage."""
    if kind is AgentKind.RECIPE:
        from lifeos.agents.recipe import Recipe

        return Recipe()
    from lifeos.agents.worker import Worker

    return Worker(program_of(kind, config))


def program_of(kind: AgentKind, config: Config) -> Program:
    """The program behind an agent with a model. Raises ``UsageError`` where none is configured."""
    match kind:
        case AgentKind.OPENCODE:
            from lifeos.agents.opencode import OpenCode

            return OpenCode()
        case AgentKind.COMMAND if config.command is not None:
            from lifeos.agents.command import Command

            return Command(config.command)
        case _:
            raise UsageError(
                f"the agent {kind} has no program",
                "write `command:` into .lifeos/config.yaml, or name another agent under `agents:`",
            )
