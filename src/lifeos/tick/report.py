"""What a tick did and what it leaves, for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from lifeos.core.facts import Facts
from lifeos.core.questions import intrusions
from lifeos.core.state import RunStatus, Snapshot, Wake
from lifeos.errors import LifeosError, Problem
from lifeos.model import CloseOutcome


@dataclass
class Report:
    """What a tick did, for people: ended runs, what waits, what was refused or is in the way."""

    opened: list[str] = field(default_factory=list)
    ended: list[tuple[str, str, CloseOutcome]] = field(default_factory=list)
    steps: int = 0
    published: str | None = None
    problems: tuple[Problem, ...] = ()
    refusals: tuple[str, ...] = ()
    in_the_way: list[str] = field(default_factory=list)
    spoiled: list[str] = field(default_factory=list)
    resting: tuple[str, ...] = ()
    broken: bool = False  # whether the rules on main cannot be used
    wake: int | None = None
    main: str = ""
    left_behind: str = ""  # why this clone's own main is not the remote's
    elsewhere: str = ""  # where the truth is, if it is no longer where this tick began
    unfinished: LifeosError | None = None  # why the forge does not show it all: the last thing done

    def standing(self, waiting: tuple[str, ...]) -> str:
        """What stays true until something changes, in one or a few lines."""
        lines = [f"refused: {reason}" for reason in self.refusals]
        lines += [f"refused: {reason}" for reason in self.spoiled]
        lines += [f"problem: {problem}" for problem in self.problems]
        lines += self.resting
        lines += [line for line in (self.elsewhere, self.left_behind) if line]
        if waiting:
            lines.append(f"waiting for the CEO: {', '.join(waiting)}; see: lifeos queue")
        elif not lines:
            lines.append("nothing to do")
        return "\n".join(lines)

    @property
    def blocked(self) -> bool:
        """Whether a run ended without a pass."""
        return any(outcome is CloseOutcome.BLOCKED for _, _, outcome in self.ended)


def resting(snapshot: Snapshot, facts: Facts) -> tuple[str, ...]:
    """What keeps runs from going on beside open questions, in sentences."""
    lines = []
    if facts.stop:
        lines.append("stopped: nothing begins until lifeos resume")
    if intrusions(snapshot):
        asked = ", ".join(item.id for item in intrusions(snapshot))
        lines.append(f"nothing begins until it is answered what to do with what landed: {asked}")
        if facts.governance not in ("", snapshot.governance):
            lines.append("nor do the changed rules on main hold before that")
    if not facts.governance:
        lines.append("the rules on main are broken: nothing begins until they are mended")
    for run in snapshot.runs.values():
        wake = run.wake
        if run.status is RunStatus.PAUSED and wake is not None and not wake.stop:
            lines.append(
                f"paused: {run.task} at {run.stage} until {_until(wake)}; why: lifeos show"
                f" {run.id}; once that is mended: lifeos retry {run.task}"
            )
    return tuple(lines)


def _until(wake: Wake) -> str:
    until = ["main moves"] if wake.main else []
    if wake.at is not None:
        until.append(f"{datetime.fromtimestamp(wake.at, UTC):%Y-%m-%d %H:%M} UTC")
    return " or ".join(until)
