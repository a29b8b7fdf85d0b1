"""How many reviewers a change needs: its header is measured, the header chooses the mode.

What is measured (paths and size) and what a person wrote (the task's risk and tags) can each only
make the header graver; what an agent claims can too, by `raised`. Only the rules of `council.yaml`,
which are governance, can call a path harmless. Where several rules or several paths speak, the
gravest word counts, so their order means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TypeVar

from pydantic import Field

from lifeos.core.policy.council import (
    BlastRadius,
    ChangeClass,
    ClassifyRule,
    Council,
    Ordered,
    Reversibility,
    Seat,
    Touch,
    Uncertainty,
)
from lifeos.core.policy.globs import covers, matches
from lifeos.model import Change, Frozen, Mode, Risk

GOVERNANCE_PATHS = ("policies/**", ".lifeos/**")
"""Touching these is touching governance, whatever `classify` says."""


class AurType(StrEnum):
    """What is under review."""

    DESIGN = "design"
    PLAN = "plan"
    BUILD = "build"


class Header(Frozen):
    """What a review is told about its subject, and what the mode is chosen by."""

    aur_type: AurType = Field(AurType.BUILD, description="What is under review.")
    change_class: ChangeClass = Field(ChangeClass.CODE, description="The kind of thing changed.")
    touches: tuple[Touch, ...] = Field((), description="What calls for the full council.")
    blast_radius: BlastRadius = Field(
        BlastRadius.LOCAL, description="How far a mistake would reach."
    )
    reversibility: Reversibility = Field(
        Reversibility.EASY, description="How hard it is to take back."
    )
    safety_critical: bool = Field(False, description="Whether lives or data depend on it.")
    uncertainty: Uncertainty = Field(Uncertainty.MEDIUM, description="How unsure the outcome is.")


UNCLASSIFIED = Header()
"""What is taken of a path that no rule speaks of: ordinary code, which gets the usual council."""

_HARMLESS = Header(change_class=ChangeClass.DOCS, uncertainty=Uncertainty.LOW)
"""The lowest header; raising it by another gives that other."""

_Scale = TypeVar("_Scale", bound=Ordered)


def _graver(first: _Scale, second: _Scale) -> _Scale:
    return second if second.rank > first.rank else first


def raised(header: Header, claim: Header) -> Header:
    """``header`` with every field at least as grave as in ``claim``; nothing is ever lowered."""
    touched = {*header.touches, *claim.touches}
    return header.model_copy(
        update={
            "change_class": _graver(header.change_class, claim.change_class),
            "touches": tuple(touch for touch in Touch if touch in touched),
            "blast_radius": _graver(header.blast_radius, claim.blast_radius),
            "reversibility": _graver(header.reversibility, claim.reversibility),
            "safety_critical": header.safety_critical or claim.safety_critical,
            "uncertainty": _graver(header.uncertainty, claim.uncertainty),
        }
    )


def measure(
    changes: Sequence[Change],
    task_tags: Iterable[str],
    risk: Risk,
    scope: Sequence[str],
    council: Council,
    *,
    aur_type: AurType = AurType.BUILD,
) -> Header:
    """The header of a change; before there is one, that of the task's scope.

    ``scope`` are the task's patterns and is only looked at without ``changes``. Deleted and old
    names count as changed. A task's tag can make the header graver, never harmless.
    """
    if changes:
        paths = {path for change in changes for path in (change.path, change.old_path) if path}
        parts = [_of_path(path, council.classify) for path in sorted(paths)]
    else:
        parts = [_of_scope(pattern, council.classify) for pattern in scope]
    header = parts[0] if parts else UNCLASSIFIED
    for part in parts[1:]:
        header = raised(header, part)
    for rule in council.classify:
        if set(rule.tags) & set(task_tags):
            header = raised(header, _said(_HARMLESS, [rule]))
    if _large(changes, council):
        header = raised(header, _HARMLESS.model_copy(update={"blast_radius": BlastRadius.MODULE}))
    return raised(header, _of_risk(risk)).model_copy(update={"aur_type": aur_type})


def at_least(task_tags: Iterable[str], scope: Sequence[str], council: Council) -> Header:
    """What every change within this scope touches, and whether all of it is safety critical.

    Nothing else of this header is known before there is a change.
    """
    tags = set(task_tags)
    header = _said(_HARMLESS, [rule for rule in council.classify if set(rule.tags) & tags])
    parts = []
    for pattern in scope:
        around = [r for r in council.classify if any(covers(glob, pattern) for glob in r.paths)]
        governed = any(covers(glob, pattern) for glob in GOVERNANCE_PATHS)
        parts.append(raised(_said(_HARMLESS, around), _GOVERNED if governed else _HARMLESS))
    touched = set.intersection(*(set(part.touches) for part in parts)) if parts else set()
    return header.model_copy(
        update={
            "touches": tuple(t for t in Touch if t in touched or t in header.touches),
            "safety_critical": header.safety_critical
            or (bool(parts) and all(part.safety_critical for part in parts)),
        }
    )


def _of_path(path: str, rules: Sequence[ClassifyRule]) -> Header:
    """What the rules say of one changed path."""
    fitting = [rule for rule in rules if any(matches(glob, path) for glob in rule.paths)]
    header = _said(UNCLASSIFIED, fitting)
    if any(matches(glob, path, folded=True) for glob in GOVERNANCE_PATHS):
        header = raised(header, _GOVERNED)
    return header


def _of_scope(pattern: str, rules: Sequence[ClassifyRule]) -> Header:
    """What the rules say of a pattern: all of those around it, the grave part of those inside it.

    Rules that it only crosses (`src/**` and `**/auth/**`) speak when the change is measured. The
    pattern `**` says no more than no scope at all.
    """
    if pattern == "**":
        return UNCLASSIFIED
    around = [rule for rule in rules if any(covers(glob, pattern) for glob in rule.paths)]
    header = _said(UNCLASSIFIED, around)
    for rule in rules:
        if any(covers(pattern, glob) for glob in rule.paths):
            header = raised(header, _said(_HARMLESS, [rule]))
    if any(covers(glob, pattern) or covers(pattern, glob) for glob in GOVERNANCE_PATHS):
        header = raised(header, _GOVERNED)
    return header


_GOVERNED = _HARMLESS.model_copy(update={"touches": (Touch.GOVERNANCE,)})


def _said(default: Header, rules: Sequence[ClassifyRule]) -> Header:
    """The gravest word of ``rules`` for each field; ``default`` where none of them speaks."""
    touched = {touch for rule in rules for touch in rule.touches}
    critical = [rule.safety_critical for rule in rules if rule.safety_critical is not None]
    return default.model_copy(
        update={
            "change_class": _gravest(default.change_class, (r.change_class for r in rules)),
            "touches": tuple(touch for touch in Touch if touch in touched),
            "blast_radius": _gravest(default.blast_radius, (r.blast_radius for r in rules)),
            "reversibility": _gravest(default.reversibility, (r.reversibility for r in rules)),
            "safety_critical": any(critical) if critical else default.safety_critical,
            "uncertainty": _gravest(default.uncertainty, (r.uncertainty for r in rules)),
        }
    )


def _gravest(default: _Scale, said: Iterable[_Scale | None]) -> _Scale:
    words = [word for word in said if word is not None]
    return max(words, key=lambda word: word.rank) if words else default


def _large(changes: Sequence[Change], council: Council) -> bool:
    lines = sum((change.added or 0) + (change.removed or 0) for change in changes)
    return lines > council.large_lines or len(changes) > council.large_files


def _of_risk(risk: Risk) -> Header:
    """What a task's risk adds: medium rules out M0, high calls for M2."""
    match risk:
        case Risk.LOW:
            return _HARMLESS
        case Risk.MEDIUM:
            return _HARMLESS.model_copy(update={"uncertainty": Uncertainty.MEDIUM})
        case Risk.HIGH:
            return _HARMLESS.model_copy(
                update={"uncertainty": Uncertainty.HIGH, "blast_radius": BlastRadius.MODULE}
            )


def select_mode(header: Header, *, has_scope: bool) -> tuple[Mode, str]:
    """The mode and the rule that chose it, in words. Total: every header has exactly one mode."""
    if header.touches:
        return Mode.M2, f"it touches {', '.join(header.touches)}"
    if header.safety_critical:
        return Mode.M2, "it is safety critical"
    if header.blast_radius is BlastRadius.SYSTEM and header.reversibility is Reversibility.HARD:
        return Mode.M2, "it is system-wide and hard to reverse"
    if header.uncertainty is Uncertainty.HIGH and header.blast_radius is not BlastRadius.LOCAL:
        return Mode.M2, "it is uncertain and not local"
    if not has_scope:
        return Mode.M1, "the task has no scope"
    obstacle = _why_not_unified(header)
    if obstacle:
        return Mode.M1, obstacle
    return Mode.M0, "it is docs or plan only, local, easy to reverse and certain"


def _why_not_unified(header: Header) -> str:
    """Why one reviewer is not enough; empty when one is."""
    if header.change_class not in {ChangeClass.DOCS, ChangeClass.PLAN}:
        return f"it changes {header.change_class}"
    if header.blast_radius is not BlastRadius.LOCAL:
        return f"its blast radius is {header.blast_radius}, not local"
    if header.reversibility is not Reversibility.EASY:
        return f"its reversibility is {header.reversibility}, not easy"
    if header.uncertainty is not Uncertainty.LOW:
        return f"its uncertainty is {header.uncertainty}, not low"
    return ""


def seats(mode: Mode, header: Header, council: Council) -> tuple[Seat, ...]:
    """Who sits, in order. In M1 the technical seat joins for code, if the council says so."""
    found = council.modes.seats(mode)
    joins = mode is Mode.M1 and council.technical_for_code
    if joins and header.change_class is ChangeClass.CODE and Seat.TECHNICAL not in found:
        return (*found, Seat.TECHNICAL)
    return found
