"""A review for people: ``review.md``, which is also what the next attempt is told."""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core.markdown import bullets, code, document, inline, section, table
from lifeos.core.review import Finding, Review, SeatRun, ShadowRun, because
from lifeos.model import Verdict

LONGEST = 500
"""Characters of one claim that are shown; review.json has all of them."""

_SAT = ("seat", "verdict", "model", "family", "confidence", "calls", "tokens", "cost", "seconds")
_BESIDE = ("seat", "model", "verdict", "as the council", "only it found", "it did not find")


def to_markdown(review: Review) -> str:
    """The review for people: the verdict, what was found, who sat and who was missing."""
    header = review.header
    touches = ", ".join(header.touches) or "nothing of the core"
    return document(
        f"# Review of the {header.aur_type}: {review.verdict}",
        review.note,
        section("Findings", _findings(review)),
        *_council(review),
        section(
            "Header",
            f"Measured: changes {header.change_class}, touches {touches}; blast radius "
            f"{header.blast_radius}, reversibility {header.reversibility}, uncertainty "
            f"{header.uncertainty}{', safety critical' if header.safety_critical else ''}. "
            f"Mode {review.mode}{because(review.mode_reason)}.",
        ),
        section("Next", _next(review)),
    )


def _findings(review: Review) -> str:
    if not review.findings:
        return "Nothing was found."
    by_seat = any(finding.seats for finding in review.findings)
    rows = [
        (
            finding.severity.value,
            code(finding.kind, cell=True),
            _place(finding),
            _claim(finding),
            *((", ".join(finding.seats) or "by rule",) if by_seat else ()),
        )
        for finding in review.findings
    ]
    return table(("", "rule", "where", "what", *(("seats",) if by_seat else ())), rows)


def _claim(finding: Finding) -> str:
    fix = f" Fix: {inline(finding.fix, LONGEST)}" if finding.fix else ""
    return f"{inline(finding.message, LONGEST)}{fix}"


def _place(finding: Finding) -> str:
    if not finding.path:
        return ""
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    return code(place, 120, cell=True)


def _council(review: Review) -> Iterator[str]:
    """What only a council has; nothing of a review by rule."""
    if review.emergency:
        yield section("Emergency", inline(review.emergency, LONGEST))
    if review.contradictions:
        lines = (
            f"{', '.join(each.accepts) or 'nobody'} against {', '.join(each.blocks)}: "
            f"{inline(each.about, LONGEST)} "
            + (f"Settled by {inline(each.settled)}." if each.settled else "Not settled.")
            for each in review.contradictions
        )
        yield section("Contradictions", bullets(lines))
    if review.settled:
        lines = (
            f"{', '.join(each.finding.seats)}: {inline(each.finding.message, LONGEST)} "
            f"Not so: {inline(each.evidence)}."
            for each in review.settled
        )
        yield section("Settled by evidence", bullets(lines))
    if review.assumptions:
        lines = (
            f"{each.seat}: {inline(each.claim, LONGEST)} ({inline(each.why)})"
            for each in review.assumptions
        )
        yield section("Assumptions, without weight", bullets(lines))
    if review.seats:
        yield section("Who sat", table(_SAT, map(_seat, review.seats)))
    if review.shadow:
        yield section("Beside the council", table(_BESIDE, map(_shadow, review.shadow)))


def _seat(run: SeatRun) -> tuple[str, ...]:
    model = f"{run.sitter.provider}/{run.sitter.model}"
    return (
        run.seat,
        run.verdict.value if run.verdict else "none",
        f"{inline(run.sitter.name)}: {code(model, cell=True)}",
        inline(run.sitter.family) or "unknown",
        "" if run.confidence is None else f"{run.confidence:.2f}",
        str(run.rounds),
        str(run.tokens),
        f"${run.cost:.4f}",
        f"{run.seconds:.1f}",
    )


def _shadow(each: ShadowRun) -> tuple[str, ...]:
    run = each.run
    said = run.verdict.value if run.verdict else f"none: {inline(run.missing)}"
    same = "" if each.same is None else "yes" if each.same else "no"
    return (
        run.seat,
        inline(run.sitter.name),
        said,
        same,
        str(len(each.only_shadow)),
        str(len(each.only_council)),
    )


def _next(review: Review) -> str:
    match review.verdict:
        case Verdict.ACCEPT if review.forced:
            return "It goes on, and a person decides before it lands."
        case Verdict.ACCEPT:
            return "It goes on."
        case Verdict.REVISE:
            return "Mend every P0 and P1; the next attempt gets this text as its feedback."
        case Verdict.REJECT if review.by == "council":
            return (
                "A person decides: change the task in BACKLOG.md, send the work back with a "
                "comment, or close the task."
            )
        case Verdict.REJECT:
            return "Change the task in BACKLOG.md, or close it: no further attempt can mend this."
