"""What a council decided, from what its seats answered. Pure: the same answers, whatever their
order, give the same review.

The rules, of which the first that holds decides the verdict (its name is the review's ``rule``):

- ``p0_reject``: a seat rejects, and has a P0 that stands;
- ``accept_against_reject``: chair and co-chair contradict each other so, and nothing settles it;
- ``p0``: any P0 that stands is mended first, whoever found it, whatever the others say;
- ``p1``: a P1 that stands, of a seat that does not accept;
- ``no_blocking_finding``: accept.

A finding stands unless recorded evidence says the opposite: lifeos ran the checks itself, so "the
tests fail" is settled by a green run. What contradicts and is not settled brings a person.
Assumptions, shadow seats and the number of voices decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lifeos.core.counterevidence import settled_by
from lifeos.core.hearing import (
    Absent,
    Answer,
    Hearing,
    NotHeld,
    Summons,
    emergency,
    forced_by_who_sat,
    no_independence,
    summoned,
)
from lifeos.core.policy.council import Seat
from lifeos.core.replies.seat import NEAR, SeatFinding
from lifeos.core.review import (
    Contradiction,
    Finding,
    Review,
    SeatRun,
    Settled,
    Severity,
    ShadowRun,
    Sitter,
    because,
    in_order,
)
from lifeos.model import FailureClass, Verdict

SURE = 0.7
"""Confidence from which on an accept contradicts a P0 of another seat."""


def synthesise(
    hearing: Hearing,
    answers: Sequence[Answer],
    absent: Sequence[Absent] = (),
    shadows: Sequence[Answer | Absent] = (),
) -> Review | NotHeld:
    """The council's review; NotHeld where a seat gave no verdict or none was independent."""
    summons = summoned(hearing, answers)
    sat = {answer.seat for answer in answers}
    missing = [seat for seat in summons.seats if seat not in sat and seat not in hearing.waived]
    if missing:
        return _missing(missing, absent)
    problem = no_independence(hearing.floor.header, _sitters(answers), hearing)
    if problem:
        return NotHeld(FailureClass.CONFIG_ERROR, problem)
    review = provisional(hearing, answers)
    compared = [_compared(shadow, review) for shadow in shadows]
    compared.sort(
        key=lambda each: (each.run.seat, each.run.sitter.name, each.run.model_dump_json())
    )
    return review.model_copy(update={"shadow": tuple(compared)})


_OWN_CLASS = (
    FailureClass.INTERRUPTED,
    FailureClass.CONFIG_ERROR,
    FailureClass.ENVIRONMENT_ERROR,
    FailureClass.BUDGET_EXCEEDED,
    FailureClass.QUOTA,
)
"""What says nothing about the seat: the attempt fails as this, the first of them that is there."""


def _missing(missing: Sequence[Seat], absent: Sequence[Absent]) -> NotHeld:
    """A missing verdict is never an accept: the attempt fails, by the gravest reason."""
    away = [each for each in absent if Seat(each.run.seat) in missing]
    reasons = {each.run.seat: each.run.missing or "no reason is known" for each in away}
    # Who was not asked because others failed is none that a person could let go.
    silent = [seat for seat in missing if seat.value in reasons] or [*missing]
    told = "; ".join(f"{seat}: {reasons.get(seat, 'was not asked')}" for seat in silent)
    message = f"no verdict of {told}"
    for failure in _OWN_CLASS:
        if any(each.failure is failure for each in away):
            waits = [each.wake_after for each in away if each.failure is failure]
            wake = max((wait for wait in waits if wait is not None), default=None)
            return NotHeld(failure, message, wake)
    names = tuple(seat.value for seat in silent)
    return NotHeld(FailureClass.VALIDATION_ERROR, message, missing=names)


@dataclass(frozen=True)
class _Weighed:
    """One finding of one seat, and what recorded evidence says against it ("" if nothing)."""

    answer: Answer
    finding: SeatFinding
    settled: str

    @property
    def stands(self) -> bool:
        return not self.settled


def provisional(hearing: Hearing, answers: Sequence[Answer]) -> Review:
    """What these answers alone come to, whoever is still missing. The co-chair challenges this."""
    answers = sorted(answers, key=lambda answer: _place(answer.run))
    weighed = [
        _Weighed(answer, finding, settled_by(finding, hearing.checks, hearing.acceptance))
        for answer in answers
        for finding in answer.checked.findings
    ]
    clashes = (*_sure_against_p0(answers, weighed), *_chairs(answers, weighed))
    verdict, rule = _verdict(answers, weighed, clashes)
    summons = summoned(hearing, answers)
    forced_by = _why_forced(hearing, summons, answers, clashes)
    sat = {answer.run.seat for answer in answers}
    away = tuple(seat.value for seat in summons.seats if seat.value not in sat)
    return Review(
        verdict=verdict,
        findings=tuple(
            sorted((*_merged(weighed, stands=True), *hearing.floor.findings), key=in_order)
        ),
        by="council",
        mode=summons.mode,
        mode_reason=summons.reason,
        header=summons.header,
        seats_missing=away,
        causes=() if verdict is Verdict.ACCEPT else (FailureClass.REVIEW_REJECTION,),
        forced=bool(forced_by),
        note=_note(summons, answers, rule, forced_by, away),
        rule=rule,
        forced_by=forced_by,
        seats=tuple(answer.run for answer in answers),
        assumptions=tuple(
            assumption.model_copy(update={"seat": answer.run.seat})
            for answer in answers
            for assumption in answer.checked.assumptions
        ),
        contradictions=clashes,
        settled=_settled(weighed),
        emergency=emergency(hearing, _sitters(answers)),
    )


def _place(run: SeatRun) -> int:
    return list(Seat).index(Seat(run.seat))


def _verdict(
    answers: Sequence[Answer], weighed: Sequence[_Weighed], clashes: Sequence[Contradiction]
) -> tuple[Verdict, str]:
    standing = [each for each in weighed if each.stands]
    p0 = [each for each in standing if each.finding.severity is Severity.P0]
    if any(each.answer.checked.verdict is Verdict.REJECT for each in p0):
        return Verdict.REJECT, "p0_reject"
    verdicts = {answer.run.seat: answer.checked.verdict for answer in answers}
    for clash in clashes:
        if not clash.settled and any(verdicts[seat] is Verdict.REJECT for seat in clash.blocks):
            return Verdict.REJECT, "accept_against_reject"
    if p0:
        return Verdict.REVISE, "p0"
    for each in standing:
        against = each.answer.checked.verdict is not Verdict.ACCEPT
        if against and each.finding.severity is Severity.P1:
            return Verdict.REVISE, "p1"
    return Verdict.ACCEPT, "no_blocking_finding"


def _sure_against_p0(
    answers: Sequence[Answer], weighed: Sequence[_Weighed]
) -> Iterable[Contradiction]:
    """Seats that are sure that all is well, against a P0 of others."""
    sure = [
        answer.run.seat
        for answer in answers
        if answer.checked.verdict is Verdict.ACCEPT and answer.checked.reply.confidence >= SURE
    ]
    for stands in (True, False):
        for finding in _merged(weighed, stands=stands):
            accepts = tuple(seat for seat in sure if seat not in finding.seats)
            if finding.severity is Severity.P0 and accepts:
                yield Contradiction(
                    accepts=accepts,
                    blocks=finding.seats,
                    about=str(finding),
                    settled="" if stands else _evidence_of(finding, weighed),
                )


def _evidence_of(finding: Finding, weighed: Sequence[_Weighed]) -> str:
    return next(each.settled for each in weighed if _finding(each.finding) == _bare(finding))


def _chairs(answers: Sequence[Answer], weighed: Sequence[_Weighed]) -> Iterable[Contradiction]:
    """Chair and co-chair, where one accepts and the other does not."""
    found = {answer.seat: answer for answer in answers}
    chair, co_chair = found.get(Seat.CHAIR), found.get(Seat.CO_CHAIR)
    if chair is None or co_chair is None:
        return
    accepts, blocks = chair, co_chair
    if chair.checked.verdict is not Verdict.ACCEPT:
        accepts, blocks = co_chair, chair
    against = blocks.checked.verdict
    if accepts.checked.verdict is not Verdict.ACCEPT or against is Verdict.ACCEPT:
        return
    own = [each for each in weighed if each.answer is blocks]
    settled = "" if any(each.stands for each in own) else "; ".join(e.settled for e in own)
    yield Contradiction(
        accepts=(accepts.run.seat,),
        blocks=(blocks.run.seat,),
        about=f"{accepts.run.seat} accepts, {blocks.run.seat} says {against}",
        settled=settled,
    )


def _why_forced(
    hearing: Hearing,
    summons: Summons,
    answers: Sequence[Answer],
    clashes: Sequence[Contradiction],
) -> tuple[str, ...]:
    """Why a person looks before this lands, whatever the autonomy; empty if nothing says so."""
    reasons = []
    if any(not clash.settled for clash in clashes):
        reasons.append("seats contradict each other, and no evidence settles it")
    return (*reasons, *forced_by_who_sat(hearing, summons, _sitters(answers)))


def _sitters(answers: Sequence[Answer]) -> dict[Seat, Sitter]:
    return {answer.seat: answer.run.sitter for answer in answers}


def _note(
    summons: Summons,
    answers: Sequence[Answer],
    rule: str,
    forced_by: Sequence[str],
    away: Sequence[str],
) -> str:
    """The review in a few sentences of our own."""
    count = f"{len(answers)} seat{'s' * (len(answers) != 1)}"
    text = (
        f"A council of {count} in mode {summons.mode}{because(summons.reason)}; decided by the "
        f"rule `{rule}`."
    )
    if away:
        text += f" Not filled: {', '.join(away)}."
    if forced_by:
        text += f" A person decides before this lands: {'; '.join(forced_by)}."
    return text


def _finding(finding: SeatFinding) -> Finding:
    return Finding(
        severity=finding.severity,
        kind=finding.category.value,
        message=finding.claim,
        path=finding.reference.path,
        line=finding.reference.line,
    )


def _bare(finding: Finding) -> Finding:
    return finding.model_copy(update={"seats": (), "fix": ""})


def _merged(weighed: Sequence[_Weighed], *, stands: bool) -> tuple[Finding, ...]:
    """Findings that stand (or do not), each once with all seats that found it."""
    who: dict[Finding, dict[str, None]] = {}
    fixes: dict[Finding, str] = {}
    for each in weighed:
        if each.stands is stands:
            finding = _finding(each.finding)
            who.setdefault(finding, {})[each.answer.run.seat] = None
            fixes[finding] = fixes.get(finding) or each.finding.fix
    return tuple(
        finding.model_copy(update={"seats": tuple(seats), "fix": fixes[finding]})
        for finding, seats in who.items()
    )


def _settled(weighed: Sequence[_Weighed]) -> tuple[Settled, ...]:
    return tuple(
        Settled(finding=finding, evidence=_evidence_of(finding, weighed))
        for finding in sorted(_merged(weighed, stands=False), key=in_order)
    )


def _compared(shadow: Answer | Absent, review: Review) -> ShadowRun:
    """A shadow seat against the council. It is compared, and decides nothing."""
    if isinstance(shadow, Absent):
        return ShadowRun(run=shadow.run)
    found = [_finding(each) for each in shadow.checked.findings]
    council = [finding for finding in review.findings if finding.seats]
    return ShadowRun(
        run=shadow.run,
        same=shadow.checked.verdict is review.verdict,
        only_shadow=tuple(f for f in found if not any(_alike(f, other) for other in council)),
        only_council=tuple(f for f in council if not any(_alike(f, other) for other in found)),
    )


def _alike(one: Finding, other: Finding) -> bool:
    """Whether two findings are about the same thing in the same place."""
    near = abs(one.line - other.line) <= NEAR
    return one.kind == other.kind and one.path == other.path and near


def challenge(hearing: Hearing, answers: Sequence[Answer]) -> str:
    """What the co-chair is to challenge: what was said so far, and not who said it."""
    review = provisional(hearing, answers)
    said = [answer.checked.reply for answer in answers]
    assumed = {f"{each.claim} ({each.why})" for each in review.assumptions}
    parts = (
        f"Provisional verdict: {review.verdict}, by the rule {review.rule}.",
        _list("Findings that stand", (_told(finding) for finding in review.findings)),
        _list("Settled by evidence", (f"{s.finding}: {s.evidence}" for s in review.settled)),
        _list("Assumptions, without weight", sorted(assumed)),
        _list("Risks that were named", sorted({risk for reply in said for risk in reply.risks})),
        _list("Open questions", sorted({each for reply in said for each in reply.questions})),
    )
    return "\n\n".join(part for part in parts if part)


def _told(finding: Finding) -> str:
    fix = f" Fix: {finding.fix}" if finding.fix else ""
    return f"{finding.severity} {finding.kind}, {finding}{fix}"


def _list(title: str, lines: Iterable[str]) -> str:
    shown = "\n".join(f"- {' '.join(line.split())}" for line in lines)
    return f"{title}:\n{shown}" if shown else ""
