"""`policies/council.yaml`: who reviews, and how a change is classified."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from lifeos.core.policy.words import Glob, Line, Name, Positive, Tag, Version, refuse_repeated
from lifeos.model import Frozen, Mode


class Seat(StrEnum):
    """One reviewer's role."""

    UNIFIED = "unified"
    CHAIR = "chair"
    CO_CHAIR = "co_chair"
    ARCHITECT = "architect"
    ALIGNMENT = "alignment"
    STRUCTURAL_OPERATIONAL = "structural_operational"
    TECHNICAL = "technical"
    TESTING = "testing"
    RISK = "risk"
    RISK_ADVERSARIAL = "risk_adversarial"
    SIMPLICITY = "simplicity"
    DETERMINISM = "determinism"
    GOVERNANCE = "governance"


class Ordered(StrEnum):
    """A scale: the members are declared from harmless to grave."""

    @property
    def rank(self) -> int:
        """0 for the most harmless member."""
        return list(type(self)).index(self)


class ChangeClass(Ordered):
    """What kind of thing is changed."""

    DOCS = "docs"
    PLAN = "plan"
    CONFIG = "config"
    CODE = "code"


class Touch(StrEnum):
    """What a full council is always called for."""

    GOVERNANCE = "governance"
    TIER_ACTIVATION = "tier_activation"
    RUNTIME_CORE = "runtime_core"


class BlastRadius(Ordered):
    """How far a mistake would reach."""

    LOCAL = "local"
    MODULE = "module"
    SYSTEM = "system"


class Reversibility(Ordered):
    """How hard it would be to take back."""

    EASY = "easy"
    MODERATE = "moderate"
    HARD = "hard"


class Uncertainty(Ordered):
    """How unsure it is that the change does what it should."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class ClassifyRule(Frozen):
    """What a path or a tag says about a change. A field that is left out says nothing."""

    paths: tuple[Glob, ...] = Field((), description="Applies to changed paths that match one.")
    tags: tuple[Tag, ...] = Field((), description="Applies to tasks that carry one of these tags.")
    change_class: ChangeClass | None = Field(None, description="The kind of thing changed.")
    touches: tuple[Touch, ...] = Field((), description="What calls for the full council.")
    blast_radius: BlastRadius | None = Field(None, description="How far a mistake would reach.")
    reversibility: Reversibility | None = Field(None, description="How hard it is to take back.")
    safety_critical: bool | None = Field(None, description="Whether lives or data depend on it.")
    uncertainty: Uncertainty | None = Field(None, description="How unsure the outcome is.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.paths and not self.tags:
            raise ValueError("a rule needs `paths` or `tags`: without them it never applies")
        said = (self.change_class, self.blast_radius, self.reversibility, self.safety_critical)
        if not self.touches and self.uncertainty is None and all(part is None for part in said):
            raise ValueError(
                "a rule must set at least one of change_class, touches, blast_radius, "
                "reversibility, safety_critical, uncertainty"
            )
        return self


class Modes(Frozen):
    """The seats of each mode."""

    M0: tuple[Seat, ...] = Field(
        (Seat.UNIFIED,), min_length=1, description="Small, certain, easily undone: one reviewer."
    )
    M1: tuple[Seat, ...] = Field(
        (Seat.CHAIR, Seat.CO_CHAIR, Seat.ARCHITECT, Seat.RISK, Seat.GOVERNANCE),
        min_length=1,
        description="The usual council.",
    )
    M2: tuple[Seat, ...] = Field(
        (
            Seat.ARCHITECT,
            Seat.ALIGNMENT,
            Seat.STRUCTURAL_OPERATIONAL,
            Seat.TECHNICAL,
            Seat.TESTING,
            Seat.RISK_ADVERSARIAL,
            Seat.SIMPLICITY,
            Seat.DETERMINISM,
            Seat.GOVERNANCE,
        ),
        min_length=1,
        description="The full council, for what is grave.",
    )

    @field_validator("M0", "M1", "M2")
    @classmethod
    def _once(cls, seats: tuple[Seat, ...]) -> tuple[Seat, ...]:
        refuse_repeated(seats, "seats of a mode")
        return seats

    def seats(self, mode: Mode) -> tuple[Seat, ...]:
        """The seats of one mode, in their order."""
        match mode:
            case Mode.M0:
                return self.M0
            case Mode.M1:
                return self.M1
            case Mode.M2:
                return self.M2


class Shadow(Frozen):
    """A seat that sits beside the council, and is compared with it. It decides nothing."""

    seat: Seat = Field(description="The role that it plays.")
    model: Name = Field(description="The model it sits on, by its name in .lifeos/config.yaml.")


DEFAULT_CLASSIFY = (
    ClassifyRule(
        paths=("docs/**", "*.md"),
        change_class=ChangeClass.DOCS,
        blast_radius=BlastRadius.LOCAL,
        reversibility=Reversibility.EASY,
        uncertainty=Uncertainty.LOW,
    ),
    # Agent instructions and workflows steer what runs next, though they look like documents.
    ClassifyRule(
        paths=(".github/**", "**/AGENTS.md", "**/CLAUDE.md", "**/CODEOWNERS"),
        change_class=ChangeClass.CONFIG,
        touches=(Touch.GOVERNANCE,),
    ),
)


class Council(Frozen):
    """policies/council.yaml: how many reviewers look at a change, and which."""

    version: Version = Field(description="Format of this file.")
    modes: Modes = Field(Modes(), description="The seats of each mode.")
    technical_for_code: bool = Field(
        True, description="Whether M1 has the technical seat too when code is changed."
    )
    seats: Mapping[Seat, Name] = Field(
        {},
        description="The model of a seat, by its name in .lifeos/config.yaml; others take the one "
        "for `review`.",
    )
    shadow: tuple[Shadow, ...] = Field(
        (), description="Seats that are asked and compared, and decide nothing."
    )
    emergency: Line | None = Field(
        None,
        description="The reason why a grave change may go on without a reviewer of another model "
        "family. It is logged with every review that uses it, and a person decides.",
    )
    classify: tuple[ClassifyRule, ...] = Field(
        DEFAULT_CLASSIFY, description="What paths and tags say; of several rules the graver counts."
    )
    large_lines: Positive = Field(200, description="A change of more lines is not local.")
    large_files: Positive = Field(10, description="A change of more files is not local.")
