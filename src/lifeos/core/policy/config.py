"""`.lifeos/config.yaml`: how this repository is built, checked and worked on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints, field_validator

from lifeos.core.policy.forge import Forge, name_on
from lifeos.core.policy.models import Model, Provider, Variable
from lifeos.core.policy.notify import Notify
from lifeos.core.policy.words import (
    AgentKind,
    CheckKind,
    Command,
    Glob,
    Line,
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
    review: AgentKind = Field(
        AgentKind.RECIPE, description="Sits in the council; recipe: one review by rule instead."
    )

    @property
    def kinds(self) -> tuple[AgentKind, ...]:
        """Every adapter that is used, once each."""
        return tuple(dict.fromkeys((self.design, self.plan, self.build, self.review)))

    def adapter(self, stage: Stage) -> AgentKind | None:
        """The adapter of a stage; None for a stage that no agent carries out."""
        match stage:
            case Stage.DESIGN:
                return self.design
            case Stage.PLAN:
                return self.plan
            case Stage.BUILD:
                return self.build
            case Stage.DESIGN_REVIEW | Stage.PLAN_REVIEW | Stage.BUILD_REVIEW:
                return self.review
            case Stage.PACKET | Stage.CLOSE:
                return None


class Where(StrEnum):
    """Which machines a tick may run on. CI machines say `CI=true`."""

    ANY = "any"
    CI = "ci"
    LOCAL = "local"


class TickRules(Frozen):
    """Where the loop runs."""

    where: Where = Field(
        Where.ANY, description="any, ci (only where CI=true), or local (not there)."
    )


NO_REMOTE = "none"
"""The value of `remote` that stands for: this clone holds the truth."""


class MainWrites(StrEnum):
    """How lifeos's own changes reach main."""

    DIRECT = "direct"
    PR = "pr"


class Roles(Frozen):
    """Which model each part is given, by its name under `models`. Left out: `main`."""

    design: Name = Field("main", description="The model that designs.")
    plan: Name = Field("main", description="The model that plans.")
    build: Name = Field("main", description="The model that changes code.")
    docs: Name = Field("main", description="The model that works where only documents may change.")
    review: Name = Field("main", description="The model of seats that council.yaml gives no other.")

    def models(self, stage: Stage) -> tuple[str, ...]:
        """The names of the models that a stage may be given."""
        match stage:
            case Stage.DESIGN:
                return (self.design,)
            case Stage.PLAN:
                return (self.plan,)
            case Stage.BUILD:
                return (self.build, self.docs)
            case Stage.DESIGN_REVIEW | Stage.PLAN_REVIEW | Stage.BUILD_REVIEW:
                return (self.review,)
            case Stage.PACKET | Stage.CLOSE:
                return ()


class PromptBy(StrEnum):
    """How a program gets its prompt: at the path `$LIFEOS_PROMPT`, or from standard input."""

    FILE = "file"
    STDIN = "stdin"


class CommandAgent(Frozen):
    """Any other coding agent, as a command line. It reaches the model as `$LIFEOS_MODEL_URL`."""

    run: Command = Field(description="The command line, for `sh -c`, at the top of the tree.")
    prompt: PromptBy = Field(PromptBy.FILE, description="How it gets the prompt: file or stdin.")
    answer: RepoPath | None = Field(
        None, description="The file in its home that holds its last message; else its output is it."
    )
    json_text: Line | None = Field(
        None, description="Where the message is in its output of JSON: keys with dots, or `a[].b`."
    )
    json_cost: Line | None = Field(
        None, description="Where its output of JSON says what it cost, in US dollars."
    )
    success: Line | None = Field(
        None, description="A text that its output has when it succeeded; beside exit status 0."
    )
    failure: Line | None = Field(None, description="A text that its output has when it failed.")
    tools: tuple[Line, ...] = Field(
        (),
        description="Folders of this machine that it needs, absolute; they are read-only inside.",
    )
    environment: Mapping[Variable, Line] = Field(
        {}, description="Variables that are set for it; never put a key here."
    )


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
            "none", description="`none`: this clone holds the truth; else the git remote that does."
        )
    )
    main_writes: MainWrites = Field(
        MainWrites.DIRECT,
        description="direct: lifeos pushes main; pr: all that it changes comes by pull requests.",
    )
    tick: TickRules = Field(TickRules(), description="Where the loop runs.")
    id_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,9}$")] = Field(
        "LO", description="What task ids begin with: 1 to 10 capital letters and digits."
    )
    forge: Forge = Field(Forge(), description="The forge that the repository is on.")
    agents: Agents = Field(Agents(), description="Which adapter carries out a stage.")
    providers: Mapping[Name, Provider] = Field({}, description="Where models are reached.")
    models: Mapping[Name, Model] = Field(
        {}, description="The models, by names of your own; `main` is used where nothing is said."
    )
    roles: Roles = Field(Roles(), description="Which model each part is given.")
    command: CommandAgent | None = Field(
        None, description="The program behind `agents: {…: command}`."
    )
    sandbox: SandboxKind = Field(
        SandboxKind.BWRAP, description="What encloses agents and commands: bwrap, or none."
    )
    checks: tuple[Check, ...] = Field((), description="The commands that judge the work.")
    prepare: tuple[Prepare, ...] = Field(
        (), description="The commands that set up the environment, in order."
    )
    notify: Notify = Field(Notify(), description="Who is told that something waits.")

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

    @property
    def forge_remote(self) -> str:
        """The git remote whose address names the repository on its forge."""
        return "origin" if self.remote == NO_REMOTE else self.remote

    def name_on_forge(self, git: Mapping[str, str]) -> str:
        """OWNER/NAME on the forge, by these rules or else by git's configuration; '' if neither."""
        return name_on(self.forge, git.get(f"remote.{self.forge_remote}.url", ""))

    @field_validator("checks", "prepare")
    @classmethod
    def _names(cls, entries: tuple[Named, ...]) -> tuple[Named, ...]:
        refuse_repeated(tuple(entry.name for entry in entries), "names")
        return entries
