"""Agents: adapters that carry out a stage. An agent gets a request and a folder, and no authority.

Nothing an agent says is evidence: a reply carries text and usage, the folder carries the work, and
lifeos looks at both itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lifeos.core.backlog.entry import Task
from lifeos.core.policy.envelope import Limits
from lifeos.core.policy.governance import Governance
from lifeos.core.policy.words import AgentKind
from lifeos.errors import UsageError
from lifeos.model import FailureClass, Stage, Usage
from lifeos.process import never, untraced
from lifeos.sandbox import Sandbox


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


@dataclass(frozen=True)
class Reply:
    """What came of it. ``failure`` None: the stage's work is done, as far as the agent can say.

    ``artifact`` is Markdown (design and plan), ``message`` one line for people, ``log`` the
    captured output as it came (foreign, capped), ``stopped`` whether the stop switch ended it.
    """

    artifact: str = ""
    failure: FailureClass | None = None
    message: str = ""
    log: bytes = b""
    usage: Usage = field(default_factory=Usage)
    stopped: bool = False


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


def choose(kind: str) -> Agent:
    """The agent that ``agents:`` in ``.lifeos/config.yaml`` names."""
    if kind == AgentKind.RECIPE:
        from lifeos.agents.recipe import Recipe

        return Recipe()
    raise UsageError(
        f"unknown agent: {kind!r}",
        f"write {' or '.join(f'`{each}`' for each in AgentKind)} under `agents:` "
        "in .lifeos/config.yaml",
    )
