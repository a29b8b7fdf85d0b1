"""The council sits: each seat is a call of its own, with its own door to its own model.

Seats sit side by side and see neither each other nor what was said while the subject was made. The
co-chair comes after them and is given what they found, without who found it. Seats that a header
raised by a seat calls for sit after that. Last come the shadow seats: when they are asked
everything is decided, so that nothing they do, use up or break can change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lifeos.core.hearing import Absent, Answer, by_rule_alone, no_independence, summoned
from lifeos.core.policy.council import Seat, Shadow
from lifeos.core.prompts import NonceInside
from lifeos.core.review import Review, SeatRun, Sitter
from lifeos.core.synthesis import challenge, synthesise
from lifeos.model import FailureClass, Verdict
from lifeos.tick.seat import Chair, Matter, Means, Room, sitter_of

AT_ONCE = 4
"""Seats that sit at the same time."""


@dataclass(frozen=True)
class Sitting:
    """What came of it: ``review``, or ``failure`` with its message (``wake_after`` in seconds).

    ``missing`` are the seats that gave no verdict, where a person may let them go.

    What was used is with the meter. Where there is a review, the meter's ``stop`` is that of a
    shadow seat, and means nothing.
    """

    review: Review | None = None
    failure: FailureClass | None = None
    message: str = ""
    wake_after: int | None = None
    missing: tuple[str, ...] = ()
    artifacts: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def stopped(self) -> bool:
        """Whether the stop switch ended it."""
        return self.failure is FailureClass.INTERRUPTED


def sit(matter: Matter, means: Means) -> Sitting:
    """Hold the council on one subject. What rules refuse already, no model is asked about."""
    floor = matter.hearing.floor
    if floor.verdict is not Verdict.ACCEPT:
        return Sitting(review=by_rule_alone(floor))
    problem = means.program.problem()
    if problem is not None:
        return Sitting(failure=FailureClass.CONFIG_ERROR, message=" ".join(str(problem).split()))
    refusal = no_independence(floor.header, _sitters(matter, means), matter.hearing)
    if refusal:
        return Sitting(failure=FailureClass.CONFIG_ERROR, message=refusal)
    try:
        return _Council(Room(matter, means)).held()
    except NonceInside as error:
        message = f"{error}: no seat was asked"
        return Sitting(failure=FailureClass.VALIDATION_ERROR, message=message)


def _name_of(seat: Seat, matter: Matter, means: Means) -> str:
    return matter.hearing.council.seats.get(seat, means.model)


def _sitters(matter: Matter, means: Means) -> dict[Seat, Sitter]:
    """Who is to sit, before anybody is asked."""
    wanted = [seat for seat in summoned(matter.hearing).seats if seat not in matter.hearing.waived]
    return {seat: sitter_of(means.route(_name_of(seat, matter, means))) for seat in wanted}


class _Council:
    """One sitting, while it lasts."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.hearing = room.matter.hearing
        self.answers: list[Answer] = []
        self.absent: list[Absent] = []

    def held(self) -> Sitting:
        """All rounds, and what they come to."""
        while not self.absent:
            missing = self._missing()
            if not missing:
                break
            # The co-chair comes when all others have spoken.
            self._round([seat for seat in missing if seat is not Seat.CO_CHAIR] or missing)
        review = synthesise(self.hearing, self.answers, self.absent)
        if isinstance(review, Review) and self.hearing.council.shadow:
            review = synthesise(self.hearing, self.answers, self.absent, self._shadows())
        papers = self.room.papers
        if isinstance(review, Review):
            return Sitting(review=review, artifacts=papers)
        return Sitting(
            failure=review.failure,
            message=review.message,
            wake_after=review.wake_after,
            missing=review.missing,
            artifacts=papers,
        )

    def _missing(self) -> list[Seat]:
        sat = {answer.seat for answer in self.answers}
        wanted = summoned(self.hearing, self.answers).seats
        return [seat for seat in wanted if seat not in sat and seat not in self.hearing.waived]

    def _round(self, seats: Sequence[Seat]) -> None:
        """Some seats side by side."""
        matter, means = self.room.matter, self.room.means
        chairs = [self._chair(seat, _name_of(seat, matter, means)) for seat in seats]
        prompts = [chair.prompt() for chair in chairs]  # before any is asked: one may be refused
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            found = list(pool.map(Chair.sit, chairs, prompts))
        self.answers += [each for each in found if isinstance(each, Answer)]
        self.absent += [each for each in found if isinstance(each, Absent)]

    def _chair(self, seat: Seat, model: str, label: str = "") -> Chair:
        said = challenge(self.hearing, self.answers) if seat is Seat.CO_CHAIR else ""
        return Chair(self.room, seat, self.room.means.route(model), said, label)

    def _shadows(self) -> list[Answer | Absent]:
        shadows = self.hearing.council.shadow
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return list(pool.map(self._shadow, range(1, len(shadows) + 1), shadows))

    def _shadow(self, number: int, shadow: Shadow) -> Answer | Absent:
        label = f"shadow-{number}-{shadow.seat}"
        try:
            chair = self._chair(shadow.seat, shadow.model, label)
            return chair.sit(chair.prompt())
        except Exception as error:  # noqa: BLE001 - a shadow decides nothing, so it breaks nothing
            why = " ".join(f"{type(error).__name__}: {error}".split())
            self.room.say(f"  seat {label}: no verdict ({why})")
            sitter = Sitter(name=shadow.model, provider="", model="")
            run = SeatRun(seat=shadow.seat.value, sitter=sitter, missing=why)
            return Absent(run=run, failure=FailureClass.UNKNOWN)
