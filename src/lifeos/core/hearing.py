"""What a council sits about, who has to sit, and whether one of them is independent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeos.core.checkreport import CheckResult
from lifeos.core.council import Header, seats, select_mode
from lifeos.core.policy.council import Council, Seat, Touch
from lifeos.core.replies.seat import CheckedSeat
from lifeos.core.review import Proven, Review, SeatRun, Sitter
from lifeos.model import FailureClass, Mode

if TYPE_CHECKING:
    from lifeos.core.policy.config import Config

INDEPENDENT = (Seat.RISK, Seat.RISK_ADVERSARIAL, Seat.GOVERNANCE)
"""Of these, one has to sit on another model family than the builder's where it is grave."""


@dataclass(frozen=True)
class Hearing:
    """What a council sits about.

    ``floor`` is the review by rule, with the measured header and its mode. ``builder`` is the model
    family of who made the subject ("": unknown; None: no model made it), and has to be given: left
    out, nobody would have to be independent. ``checks`` and ``acceptance`` are what lifeos recorded
    of this very tree. ``waived`` are the seats that a person let go.
    """

    floor: Review
    council: Council
    has_scope: bool
    builder: str | None
    checks: Sequence[CheckResult] = ()
    acceptance: Sequence[Proven] = ()
    waived: Collection[Seat] = ()


@dataclass(frozen=True)
class Answer:
    """A seat that answered."""

    run: SeatRun
    checked: CheckedSeat

    @property
    def seat(self) -> Seat:
        """Its role."""
        return Seat(self.run.seat)


@dataclass(frozen=True)
class Absent:
    """A seat that gave no verdict; ``run.missing`` says why. ``wake_after`` is in seconds."""

    run: SeatRun
    failure: FailureClass
    wake_after: int | None = None


@dataclass(frozen=True)
class NotHeld:
    """No review came of it: the attempt failed. ``wake_after``: seconds, with a quota.

    ``missing`` are the seats without a verdict where that is all that is wrong: a person may let
    them go.
    """

    failure: FailureClass
    message: str
    wake_after: int | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summons:
    """Who has to sit: by the measured header, as far as no seat has raised it."""

    header: Header
    mode: Mode
    reason: str
    seats: tuple[Seat, ...]


def summoned(hearing: Hearing, answers: Iterable[Answer] = ()) -> Summons:
    """The header as the answers raise it, its mode, and all seats of it and of the measured one."""
    header = hearing.floor.header
    for answer in answers:
        raises = answer.checked.reply.raises
        header = raises.on(header) if raises else header
    return summoned_by(hearing, header)


def summoned_by(hearing: Hearing, header: Header) -> Summons:
    """The same where it is known to what the measured header was raised."""
    floor = hearing.floor
    first = seats(floor.mode, floor.header, hearing.council)
    mode, reason = select_mode(header, has_scope=hearing.has_scope)
    if header == floor.header or mode.value < floor.mode.value:
        return Summons(header, floor.mode, floor.mode_reason, first)
    more = seats(mode, header, hearing.council)
    both = dict.fromkeys((*first, *more))
    told = f"{reason}, as a seat says" if mode is not floor.mode else floor.mode_reason
    return Summons(header, mode, told, tuple(both))


def seated(wanted: Iterable[Seat], council: Council, config: Config) -> dict[Seat, Sitter]:
    """Who sits on each of these seats by the rules: its own model, or that of all reviews."""
    names = {seat: council.seats.get(seat, config.roles.review) for seat in wanted}
    return {
        seat: Sitter(name=name, provider=model.provider, model=model.id, family=model.family)
        for seat, name in names.items()
        for model in (config.models[name],)
    }


def not_independent(header: Header, sitters: Mapping[Seat, Sitter], builder: str | None) -> str:
    """Why a grave change lacks an independent reviewer; "" if it has one or needs none."""
    grave = header.safety_critical or Touch.GOVERNANCE in header.touches
    if not grave or builder is None:
        return ""
    families = {sitters[seat].family for seat in INDEPENDENT if seat in sitters}
    if builder and families - {"", builder}:
        return ""
    what = "is safety critical" if header.safety_critical else "touches governance"
    named = ", ".join(sorted(families - {""})) or "of no known family"
    return (
        f"it {what}, and none of {', '.join(INDEPENDENT)} sits on another model family than the "
        f"builder's ({builder or 'unknown'}; theirs: {named})"
    )


NEXT_INDEPENDENT = (
    "give one of these seats a model of another family under `seats:` in policies/council.yaml, "
    "and name the `family` of each model in .lifeos/config.yaml; or log a reason as `emergency:`"
)


def no_independence(header: Header, sitters: Mapping[Seat, Sitter], hearing: Hearing) -> str:
    """What forbids the review, with the next action; "" where it may be held."""
    problem = not_independent(header, sitters, hearing.builder)
    if not problem or hearing.council.emergency:
        return ""
    return f"no independent review: {problem}; {NEXT_INDEPENDENT}"


def emergency(hearing: Hearing, sitters: Mapping[Seat, Sitter]) -> str:
    """The logged reason for going on, where it was needed; "" where it was not."""
    needed = not_independent(hearing.floor.header, sitters, hearing.builder)
    return hearing.council.emergency or "" if needed else ""


def forced_by_who_sat(
    hearing: Hearing, summons: Summons, sitters: Mapping[Seat, Sitter]
) -> tuple[str, ...]:
    """Why a person looks before this lands, by who sat and who did not, whatever they said."""
    reasons = []
    reason = emergency(hearing, sitters)
    if reason:
        reasons.append(f"no independent reviewer sat, by the emergency rule: {reason}")
    elif not_independent(summons.header, sitters, hearing.builder):
        reasons.append("a seat holds it to be graver, and then no reviewer was independent")
    waived = [seat for seat in summons.seats if seat in hearing.waived and seat not in sitters]
    if waived:
        reasons.append(f"a person let {', '.join(waived)} go")
    return tuple(reasons)


def by_rule_alone(floor: Review) -> Review:
    """The review of what rules refuse already: no model is asked about it."""
    note = "One review by rule, which does not accept: the council was not asked."
    return floor.model_copy(update={"note": note, "forced": False, "seats_missing": ()})
