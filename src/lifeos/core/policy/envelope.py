"""`policies/envelope.yaml`: what an attempt may change, read, run and use up."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from lifeos.core.policy.models import Price, UnknownPrice
from lifeos.core.policy.words import (
    Count,
    Glob,
    Line,
    Positive,
    Seconds,
    Unfit,
    Version,
    refuse_repeated,
)
from lifeos.model import Frozen

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# lifeos sets these inside the sandbox itself, or they would change which program runs.
_OWN_VARIABLES = ("HOME", "PATH", "PWD", "TMPDIR", "SHELL", "USER", "LOGNAME", "BASH_ENV", "ENV")
_OWN_PREFIXES = ("GIT_", "LD_", "LIFEOS_", "DYLD_")


class Limits(Frozen):
    """Limits of one sandboxed process tree."""

    seconds: Seconds = Field(1800, description="Wall clock, in seconds.")
    memory_mb: Positive = Field(4096, description="Memory, in MiB.")
    processes: Positive = Field(256, description="Processes and threads at the same time.")
    disk_mb: Positive = Field(2048, description="What may be written, in MiB.")
    output_kb: Positive = Field(1024, description="Output that is kept, in KiB; the rest is cut.")


class AgentLimits(Frozen):
    """What an attempt of a model may use up, beside the sandbox's limits.

    Its cost may not go beyond what was set aside for it (`reserve_per_attempt` in loop.yaml).
    """

    requests: Positive = Field(200, description="Requests to the model in one attempt.")
    tokens: Positive = Field(1_000_000, description="Tokens of one attempt, sent and received.")
    silence: Seconds = Field(
        300, description="Seconds without a sign of life; then the attempt has hung (`timeout`)."
    )
    repeats: int = Field(
        3, ge=2, le=100, description="The same call, or error, so many times in a row is a loop."
    )
    transcript_kb: Count = Field(
        256, description="What is kept of the conversation, in KiB, without secrets."
    )
    commands: tuple[Line, ...] = Field(
        ("*",),
        description="Command lines that an agent may run; `*` stands for any text. One that ran "
        "and fits none is a breach.",
    )
    command_seconds: Seconds = Field(600, description="Seconds that one of its commands may take.")
    unknown_price: UnknownPrice = Field(
        UnknownPrice.REFUSE,
        description="A call without a known cost: refuse the model, or estimate.",
    )
    estimate: Price = Field(
        Price(input=15.0, output=75.0), description="What an estimate assumes, on the safe side."
    )


class Envelope(Frozen):
    """policies/envelope.yaml: what no attempt may step over, whatever the task says."""

    version: Version = Field(description="Format of this file.")
    write: tuple[Glob, ...] = Field(
        ("**",), description="Paths that tasks may change at most; a task's scope narrows it."
    )
    protect: tuple[Glob, ...] = Field(
        (
            "policies/**",
            ".lifeos/**",
            ".github/**",
            "BACKLOG.md",
            "**/AGENTS.md",
            "**/CLAUDE.md",
            ".cursor/**",
            ".opencode/**",
            "opencode.json",
            ".mcp.json",
            "**/CODEOWNERS",
            ".gitattributes",
            "**/.gitattributes",
            ".gitmodules",
        ),
        description="Paths that no attempt may change; wins over `write`.",
    )
    new_files: tuple[Glob, ...] = Field(("**",), description="Where new files may be made.")
    leftovers: tuple[Glob, ...] = Field(
        (
            "**/__pycache__/**",
            "**/*.pyc",
            "**/.pytest_cache/**",
            "**/.mypy_cache/**",
            "**/.ruff_cache/**",
            "**/.hypothesis/**",
            "**/.tox/**",
            "**/node_modules/**",
            "**/.DS_Store",
        ),
        description="What tools leave behind: new files there are no part of the work, and are "
        "dropped. So is what .gitignore names.",
    )
    binaries: bool = Field(False, description="Whether binary files may be changed.")
    symlinks: bool = Field(False, description="Whether symbolic links may be made or changed.")
    modes: bool = Field(False, description="Whether the executable bit may be changed.")
    max_file_bytes: Count = Field(1_000_000, description="Size of a changed file, in bytes.")
    secrets: bool = Field(True, description="Whether changes are searched for secrets.")
    fake_secrets: tuple[Glob, ...] = Field(
        (),
        description="Paths (test data, say) where what only looks like a secret is none. Secrets "
        "of this machine's own environment are sought there all the same.",
    )
    limits: Limits = Field(Limits(), description="Limits of the sandbox.")
    agent: AgentLimits = Field(AgentLimits(), description="Limits of agents with a model.")
    environment: tuple[str, ...] = Field(
        ("LANG", "LC_ALL", "TZ"),
        description="Environment variables that are handed through to the sandbox.",
    )

    @field_validator("environment")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of an environment variable")
            if name in _OWN_VARIABLES or name.startswith(_OWN_PREFIXES):
                raise Unfit(
                    f"{name} cannot be handed through: lifeos sets it itself",
                    f"take {name} out of `environment`",
                )
        refuse_repeated(names, "environment variables")
        return names
