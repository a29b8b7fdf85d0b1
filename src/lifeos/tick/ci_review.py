"""What a foreign review by models comes to.

What a model answered is the attempt's word. That rules refuse, who had to sit, on which models, how
big the review had to be and who has to look at it is not: it follows from the pinned rules.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from lifeos.core.council import raised
from lifeos.core.hearing import (
    by_rule_alone,
    emergency,
    forced_by_who_sat,
    no_independence,
    seated,
    summoned_by,
)
from lifeos.core.policy.council import Seat
from lifeos.core.review import Review, Sitter
from lifeos.model import Verdict
from lifeos.tick.attempt import Job
from lifeos.tick.bundle import Bundle, RefusedError
from lifeos.tick.modelled import hearing_of


def council_of(job: Job, bundle: Bundle, floor: Review) -> Review:
    """The council's review, as far as it can be held to something. Raises ``RefusedError``.

    ``floor`` is the review by rule, made here.
    """
    try:
        review = Review.model_validate_json(bundle.artifacts.get("review.json", b""))
    except ValidationError:
        raise RefusedError("its review.json is not a review") from None
    if floor.verdict is not Verdict.ACCEPT:
        if review.verdict is Verdict.ACCEPT:
            raise RefusedError("it accepts what is refused by rule")
        return by_rule_alone(floor)
    hearing = hearing_of(job, floor)
    summons = summoned_by(hearing, raised(floor.header, review.header))
    sitters = _sitters(job, review)
    wanted = {seat for seat in summons.seats if seat not in hearing.waived}
    if review.by != "council" or wanted - set(sitters) or review.mode.value < summons.mode.value:
        missing = ", ".join(sorted(wanted - set(sitters))) or "its mode"
        raise RefusedError(f"its council is not the one that had to sit ({missing})")
    problem = no_independence(floor.header, sitters, hearing)
    if problem:
        raise RefusedError(problem)
    reasons = dict.fromkeys((*review.forced_by, *forced_by_who_sat(hearing, summons, sitters)))
    told = {
        "forced": review.forced or bool(reasons),
        "forced_by": tuple(reasons),
        "emergency": emergency(hearing, sitters),
    }
    return review.model_copy(update=told)


def _sitters(job: Job, review: Review) -> Mapping[Seat, Sitter]:
    """Who gave a verdict, each on the model that the rules give its seat."""
    gave = [run for run in review.seats if run.verdict is not None]
    known = {seat.value: seat for seat in Seat}
    if any(run.seat not in known for run in gave):
        raise RefusedError("its review has a seat that there is not")
    governance = job.governance
    sitters = seated((known[run.seat] for run in gave), governance.council, governance.config)
    for run in gave:
        if run.sitter != sitters[known[run.seat]]:
            raise RefusedError(
                f"its {run.seat} sat on {run.sitter.name!r}, and the rules give that seat"
                f" {sitters[known[run.seat]].name!r}"
            )
    return sitters
