"""`.lifeos/config.yaml`: how this repository is built, checked and worked on."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints, field_validator

from lifeos.core.policy.words import (
    AgentKind,
    CheckKind,
    Command,
    Glob,
    Name,
    RepoPath,
    SandboxKind,
    Seconds,
    Version,
    refuse_repeated,
)
from lifeos.model import FailureClass, Frozen, Stage

_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,199}")

_FAILURE_OF_KIND: dict[CheckKind, FailureClass] = {
    CheckKind.TEST: FailureClass.TEST_FAILURE,
    CheckKind.LINT: FailureClass.LINT_ERROR,
    CheckKind.FORMAT: FailureClass.FORMATTING_ERROR,
    CheckKind.TYPO: FailureClass.TYPO,
    CheckKind.SYNTAX: FailureClass.SYNTAX_ERROR,
    CheckKind.BUILD: FailureClass.TOOL_ERROR,
}


class Agents(Frozen):
    """Which adapter carries out a stage."""

    design: AgentKind = Field(AgentKind.RECIPE, description="Writes the design.")
    plan: AgentKind = Field(AgentKind.RECIPE, description="Writes the plan.")
    build: AgentKind = Field(AgentKind.RECIPE, description="Changes the files.")

    def adapter(self, stage: Stage) -> AgentKind | None:
        """The adapter of a stage; None for a stage that no agent of this table carries out."""
        found: AgentKind | None = getattr(self, stage.value, None)
        return found


class Check(Frozen):
    """One command whose exit code says whether the work is right. lifeos runs it, not the agent."""

    name: Name = Field(description="The check's name.")
    run: Command = Field(description="The command line, for `sh -c`, at the top of the tree.")
    kind: CheckKind = Field(description="test, lint, format, typo, syntax or build.")
    fast: bool = Field(
        True, description="Whether it runs after every attempt; all run before a checkpoint."
    )
    timeout: Seconds = Field(600, description="Seconds; then it has failed.")
    junit: RepoPath | None = Field(None, description="Where the command writes a JUnit report.")
    pinned: tuple[Glob, ...] = Field(
        (), description="Files taken from main when it runs; to change one is a breach."
    )
    reruns: int = Field(
        1, ge=0, le=10, description="How often a red check runs again on the same tree (flakes)."
    )

    @property
    def failure_class(self) -> FailureClass:
        """What a red one counts as."""
        return _FAILURE_OF_KIND[self.kind]

    @property
    def timeout_class(self) -> FailureClass:
        """What one that ran out of time counts as."""
        if self.kind is CheckKind.TEST:
            return FailureClass.TEST_TIMEOUT
        return FailureClass.TIMEOUT


class Prepare(Frozen):
    """A command that sets up the environment, once per content of its inputs."""

    name: Name = Field(description="The step's name.")
    run: Command = Field(description="The command line, for `sh -c`, at the top of the tree.")
    inputs: tuple[Glob, ...] = Field(
        (), description="Files it depends on; protected, and a change of them runs it again."
    )
    network: bool = Field(False, description="Whether it may use the network.")
    timeout: Seconds = Field(1800, description="Seconds; then it has failed.")


Named = TypeVar("Named", Check, Prepare)


class Config(Frozen):
    """.lifeos/config.yaml: the branch, the remote, the agents, the checks."""

    version: Version = Field(description="Format of this file.")
    main: str = Field("main", description="The branch that holds the backlog and gets the work.")
    remote: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")] = (
        Field(
            "none", description="`none`: this clone holds the truth. Others are for later versions."
        )
    )
    id_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,9}$")] = Field(
        "LO", description="What task ids begin with: 1 to 10 capital letters and digits."
    )
    agents: Agents = Field(Agents(), description="Which adapter carries out a stage.")
    sandbox: SandboxKind = Field(
        SandboxKind.BWRAP, description="What encloses agents and commands: bwrap, or none."
    )
    checks: tuple[Check, ...] = Field((), description="The commands that judge the work.")
    prepare: tuple[Prepare, ...] = Field(
        (), description="The commands that set up the environment, in order."
    )

    @field_validator("main")
    @classmethod
    def _branch(cls, name: str) -> str:
        bad_part = any(
            part.startswith(".") or part.endswith((".", ".lock")) or not part
            for part in name.split("/")
        )
        if not _BRANCH.fullmatch(name) or ".." in name or "@{" in name or bad_part:
            raise ValueError(f"{name!r} is not the name of a branch")
        if name == "lifeos" or name.startswith(("lifeos/", "refs/")):
            raise ValueError(
                f"{name!r} cannot be the main branch: lifeos/ and refs/ are kept for lifeos and git"
            )
        return name

    @field_validator("checks", "prepare")
    @classmethod
    def _names(cls, entries: tuple[Named, ...]) -> tuple[Named, ...]:
        refuse_repeated(tuple(entry.name for entry in entries), "names")
        return entries
