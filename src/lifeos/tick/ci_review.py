"""What a foreign review by models comes to.

What a model answered is the attempt's word, and nothing else is. That rules refuse, who had to sit,
on which models and how big the review had to be follows from the pinned rules. What all answers
come to is computed here again, from the papers of the seats: whether an answer fits, which of its
findings are really there, what recorded evidence settles, and the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from lifeos.core.council import raised
from lifeos.core.hearing import (
    Absent,
    Answer,
    Hearing,
    NotHeld,
    by_rule_alone,
    no_independence,
    seated,
    summoned_by,
)
from lifeos.core.leaks import redact
from lifeos.core.policy.council import Seat
from lifeos.core.replies import Unfit
from lifeos.core.replies.seat import Subject, checked
from lifeos.core.review import Review, SeatRun, Sitter
from lifeos.core.synthesis import synthesise
from lifeos.model import FailureClass, Stage, Verdict
from lifeos.tick.attempt import Job, Site
from lifeos.tick.build import evidence_of
from lifeos.tick.bundle import Bundle, RefusedError
from lifeos.tick.modelled import hearing_of
from lifeos.tick.reviewing import Laid, laid_before
from lifeos.tick.seat import SeatPaper

_BLACKED_OUT = b"[redacted: "


def council_of(site: Site, job: Job, bundle: Bundle, floor: Review) -> Review:
    """The council's review, computed from what its seats answered. Raises ``RefusedError``.

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
    hearing = _hearing(job, floor)
    summons = summoned_by(hearing, raised(floor.header, review.header))
    sitters = _sitters(job, review)
    wanted = {seat for seat in summons.seats if seat not in hearing.waived}
    if review.by != "council" or wanted - set(sitters) or review.mode.value < summons.mode.value:
        missing = ", ".join(sorted(wanted - set(sitters))) or "its mode"
        raise RefusedError(f"its council is not the one that had to sit ({missing})")
    problem = no_independence(floor.header, sitters, hearing)
    if problem:
        raise RefusedError(problem)
    return _again(laid_before(site, job), hearing, bundle, review)


def _hearing(job: Job, floor: Review) -> Hearing:
    """What the council sat about, with the evidence that lifeos recorded of it."""
    if job.claim.stage is not Stage.BUILD_REVIEW:
        return hearing_of(job, floor)
    evidence = evidence_of(job)
    return hearing_of(job, floor, evidence.report.results, evidence.acceptance)


def _again(laid: Laid, hearing: Hearing, bundle: Bundle, review: Review) -> Review:
    """The synthesis, made again. What the attempt says it came to counts for nothing."""
    gave = [run for run in review.seats if run.verdict is not None]
    answers = []
    for run in gave:
        paper, blacked_out = _paper(bundle, f"seat-{run.seat}.json")
        answers.append(_answer(laid, run, paper, blacked_out=blacked_out))
    found = synthesise(hearing, answers, shadows=[*_shadows(laid, bundle)])
    if isinstance(found, NotHeld):
        raise RefusedError(f"its seats come to no review: {found.message}")
    return found


def _shadows(laid: Laid, bundle: Bundle) -> Iterator[Answer | Absent]:
    """The shadow seats, which decide nothing."""
    for name in sorted(bundle.artifacts):
        if not name.startswith("seat-shadow-"):
            continue
        paper, blacked_out = _paper(bundle, name)
        if paper.reply is None:
            yield Absent(run=paper.run, failure=FailureClass.UNKNOWN)
        else:
            yield _answer(laid, paper.run, paper, blacked_out=blacked_out)


def _paper(bundle: Bundle, name: str) -> tuple[SeatPaper, bool]:
    """What a seat said, as it was kept, and whether something was blacked out in it."""
    data = bundle.artifacts.get(name, b"")
    try:
        return SeatPaper.model_validate_json(data), _BLACKED_OUT in data
    except ValidationError:
        raise RefusedError(f"its {name} is missing, or is not the paper of a seat") from None


def _answer(laid: Laid, run: SeatRun, paper: SeatPaper, *, blacked_out: bool) -> Answer:
    """What of a seat's answer counts. What it used is the attempt's word, and only shown."""
    if paper.reply is None or paper.run.seat != run.seat:
        raise RefusedError(f"the paper of its {run.seat} has no answer of that seat")
    try:
        # Its nonce kept others from answering in the seat's place. Here the attempt itself is not
        # believed, which knew it: and it depends on how that machine's git writes a diff.
        found = checked(paper.reply, _subject(laid, blacked_out=blacked_out), paper.reply.nonce)
    except Unfit as error:
        raise RefusedError(f"the answer of its {run.seat} does not fit: {error}") from None
    said = {"verdict": found.verdict, "confidence": paper.reply.confidence}
    return Answer(run=run.model_copy(update=said), checked=found)


def _subject(laid: Laid, *, blacked_out: bool) -> Subject:
    """What the answer is held against; with what looks like a secret blacked out, as in it."""

    def clean(data: bytes) -> bytes:
        return redact(data.decode("utf-8", "replace")).encode() if blacked_out else data

    def lookup(path: str) -> bytes | None:
        data = laid.lookup(path)
        return None if data is None else clean(data)

    texts = {name: clean(text.encode("utf-8", "replace")) for name, text in laid.texts.items()}
    return Subject(texts=texts, lookup=lookup)


def _sitters(job: Job, review: Review) -> Mapping[Seat, Sitter]:
    """Who gave a verdict, each on the model that the rules give its seat."""
    gave = [run for run in review.seats if run.verdict is not None]
    known = {seat.value: seat for seat in Seat}
    if any(run.seat not in known for run in gave):
        raise RefusedError("its review has a seat that there is not")
    if len({run.seat for run in gave}) < len(gave):
        raise RefusedError("its review has a seat twice")
    governance = job.governance
    sitters = seated((known[run.seat] for run in gave), governance.council, governance.config)
    for run in gave:
        if run.sitter != sitters[known[run.seat]]:
            raise RefusedError(
                f"its {run.seat} sat on {run.sitter.name!r}, and the rules give that seat"
                f" {sitters[known[run.seat]].name!r}"
            )
    return sitters
