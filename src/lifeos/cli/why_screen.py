"""What ``lifeos why`` prints: a line's way hop by hop, or the lines of a file as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lifeos.cli.cells import cell
from lifeos.cli.frame import table
from lifeos.cli.screen import when
from lifeos.cli.work_screen import used
from lifeos.model import Trust
from lifeos.tick.origin import Via

if TYPE_CHECKING:
    from lifeos.cli.provenance import WhyAnswer, WhyOrigin, WhyRange, WhyReview, WhyRun
    from lifeos.cli.why_command import WhyData

_TEXT_LINES = 5
_WIDTH = 68
_WAYS = {
    "merge": "a merge of main and the work",
    "pull_merge": "the merge of its pull request",
    "pull_squash": "its pull request, squashed",
    "pull_rebase": "its pull request, rebased",
}
_TRUSTS = {
    Trust.COMMIT: "by the names in",
    Trust.SIGNATURE: "by their signature of",
    Trust.MERGE: "as the forge said of the merge",
}

Hop = tuple[str, str, str]
"""What it is, what there is to say of it, and the command that shows more."""


def screen(data: WhyData) -> str:
    """One origin in full; several as a table, with the runs behind them below."""
    lines = [f"{data.file} at {data.branch} {data.commit[:12]}"]
    if data.differs:
        lines.append("your own file differs from it: these are the line numbers of main")
    runs = {run.run: run for run in data.runs}
    asked = data.text or len(data.ranges) == 1
    if asked and len(data.ranges) <= _TEXT_LINES:
        for one in data.ranges:
            lines += ["", *_text(data, one), *_hops(data.file, one, runs)]
        return "\n".join(lines)
    lines += ["", *_table(data, runs)]
    example = next((one.first for one in data.ranges if one.origin.run), data.first)
    lines += ["", f"one of them in full: lifeos why {data.file}:{example}"]
    return "\n".join(lines)


def _text(data: WhyData, one: WhyRange) -> Iterator[str]:
    """The lines themselves, as far as they were asked for."""
    numbers = range(one.first, one.last + 1) if one.first else range(0)
    shown = [(n, data.text[n - data.first]) for n in numbers if data.text]
    for number, text in shown[:_TEXT_LINES]:
        yield f"{number:>5}  {cell(text, 92)}"
    if len(shown) > _TEXT_LINES:
        yield f"       ... up to line {one.last}"
    if not shown and one.first:
        yield f"lines {one.first}-{one.last}"
    if not one.first and data.lines:
        yield "binary: its lines cannot be told apart, so this is about the file as it is"


def _hops(file: str, one: WhyRange, runs: dict[str, WhyRun]) -> Iterator[str]:
    hops = [*_origin(one.origin, runs)]
    if one.path != file:
        hops.insert(0, ("came as", f"{one.path}:{one.there}, renamed since", ""))
    width = max(len(name) for name, _, _ in hops)
    for name, text, command in hops:
        line = f"{name:<{width}}  {text}".rstrip()
        if command and len(line) > _WIDTH:
            yield line
            yield f"{'':<{_WIDTH}}  {command}"
        else:
            yield f"{line:<{_WIDTH}}  {command}".rstrip()


def _origin(origin: WhyOrigin, runs: dict[str, WhyRun]) -> Iterator[Hop]:
    match origin.via:
        case Via.RUN:
            yield from _of_run(origin, runs.get(origin.run))
        case Via.BOOKKEEPING:
            yield "written", "by lifeos itself: a mark, an id or a question", ""
            yield from _commit(origin)
            yield "follows", f"from transition {origin.anchor[:12]}", _show(origin.anchor[:12])
            if origin.run in runs:
                yield "run", *_run(runs[origin.run])
        case Via.ANSWER:
            yield "answer", f"to {origin.item}", _show(origin.item)
            yield from _commit(origin)
        case Via.OFFERED:
            text = f"by the pull request of {origin.item}; the ledger has no landing of it (yet)"
            yield "offered", text, _show(origin.item)
            yield from _commit(origin)
        case Via.REVERT:
            yield from _of_revert(origin, runs)
        case Via.OUTSIDE:
            yield from _outside(origin)


def _show(what: str) -> str:
    return f"lifeos show {what}"


def _commit(origin: WhyOrigin) -> Iterator[Hop]:
    made = origin.commit
    who = f"{made.author} <{made.email}>, {when(made.at)}"
    yield "commit", f"{made.commit[:12]} by {who}", f"git show {made.commit[:12]}"
    yield "", f"{cell(made.subject, 80)}", ""


def _outside(origin: WhyOrigin) -> Iterator[Hop]:
    if origin.before:
        yield "origin", "not through lifeos: from before the ledger began", ""
    elif origin.pretends:
        text = "a commit in lifeos's name that the ledger knows nothing of"
        yield "origin", text, "lifeos verify"
    else:
        yield "origin", "not through lifeos: brought to main by somebody else", ""
    yield from _commit(origin)
    if origin.item:
        yield "asked", f"whether to take it back: {origin.item}", _show(origin.item)


def _of_revert(origin: WhyOrigin, runs: dict[str, WhyRun]) -> Iterator[Hop]:
    back = origin.taken_back
    if back is not None:
        yield "brought back", f"when {back.run} was taken back, {when(back.at)}", _show(back.run)
        yield "by", f"{back.who}: transition {back.noted[:12]}", _show(back.noted[:12])
    yield from _commit(origin)
    if origin.earlier is not None:
        yield "before that", "", ""
        for name, text, command in _origin(origin.earlier, runs):
            yield f"  {name}", text, command


# --- a run --------------------------------------------------------------------------------------


def _of_run(origin: WhyOrigin, run: WhyRun | None) -> Iterator[Hop]:
    if run is None:
        yield "run", f"{origin.run}, of which the ledger has no more", "lifeos verify"
        yield from _commit(origin)
        return
    landed = run.landed[:12]
    text = f"{landed}, {when(run.landed_at)}, {_WAYS[run.way]}"
    yield "landed", text, _show(landed)
    if run.taken_back:
        back = run.taken_back
        text = f"by {back.commit[:12]}, {when(back.at)}: this line stands all the same"
        yield "taken back", text, _show(back.noted[:12])
    yield "run", *_run(run)
    yield _attempt(origin, run)
    if run.plan is not None:
        made = f"attempt {run.plan.n}" if run.plan.n else "taken over from an earlier run"
        yield "plan", made, run.plan.show
    for review in run.reviews:
        yield "review", _review(review), review.show
    yield from _answers(run)
    yield "cost", f"{used(run.usage)}, of the whole run", run.show
    rules = run.rules
    how = f"adopted {when(rules.at)} from {rules.main[:12]}" if rules.transition else "(unknown)"
    how += f", by the answer to {rules.item}" if rules.item else ""
    yield "rules", f"{rules.digest[:12]}, {how}", rules.show


def _run(run: WhyRun) -> tuple[str, str]:
    return f"{run.run} of {run.task}: {cell(run.title, 50)}", run.show


def _attempt(origin: WhyOrigin, run: WhyRun) -> Hop:
    if origin.unsure:
        return "built", origin.unsure, "lifeos verify"
    found = next((one for one in run.attempts if one.n == origin.attempt), None)
    if found is None:
        return "built", f"by attempt {origin.attempt}", run.show
    text = f"by attempt {found.n} ({found.outcome} -> {found.action}), {when(found.at)}"
    others = len(run.attempts)
    more = f"; the first of {others} that had it" if others > 1 else ""
    return "built", text + more, found.show


def _review(review: WhyReview) -> str:
    by = f" by {review.by}" if review.by else ""
    mode = f", {review.mode}" if review.mode else ""
    text = f"{review.n} {review.stage}: {review.outcome}{by}{mode}"
    seats = [f"{seat.seat} {seat.verdict or 'MISSING'} ({seat.model})" for seat in review.seats]
    missing = [f"{seat} MISSING" for seat in review.missing]
    return f"{text}: {', '.join([*seats, *missing])}" if seats or missing else text


def _answers(run: WhyRun) -> Iterator[Hop]:
    for one in run.answers:
        yield "approved" if one.lands else "asked", _answer(one), one.show
    if not any(one.lands for one in run.answers):
        yield "approved", "by nobody: no rule asked for it", run.show


def _answer(one: WhyAnswer) -> str:
    what = one.item if one.lands else f"{one.item} ({one.kind}, rule {one.rule})"
    if one.decision is None:
        return f"{what}: never answered"
    if not one.who:
        return f"{what}: {one.decision} by expiry, {when(one.at)}"
    known = _TRUSTS.get(one.trust, "") if one.trust else ""
    how = f", {known} {one.commit[:12]}" if known else ""
    said = "" if one.lands else f"{one.decision} "
    text = f"{said}by {one.who}, {when(one.at)}{how}; {what}"
    return f"{text}: {cell(one.comment, 60)}" if one.comment else text


# --- a file -------------------------------------------------------------------------------------


def _table(data: WhyData, runs: dict[str, WhyRun]) -> list[str]:
    rows = [_row(one, runs) for one in data.ranges]
    return table(("LINES", "FROM", "ATTEMPT", "WHEN", "APPROVED", "WHAT"), rows).split("\n")


def _row(one: WhyRange, runs: dict[str, WhyRun]) -> tuple[str, ...]:
    lines = f"{one.first}" if one.first == one.last else f"{one.first}-{one.last}"
    origin = one.origin
    made = origin.commit
    run = runs.get(origin.run)
    if origin.via is Via.RUN and run is not None:
        attempt = str(origin.attempt or "?")
        return lines, run.run, attempt, _day(run.landed_at), _approver(run), cell(run.title, 40)
    said = {
        Via.RUN: origin.run,
        Via.BOOKKEEPING: "lifeos",
        Via.ANSWER: origin.item,
        Via.OFFERED: f"offered {origin.item}",
        Via.REVERT: f"revert of {origin.taken_back.run}" if origin.taken_back else "revert",
        Via.OUTSIDE: "before lifeos" if origin.before else "not lifeos",
    }[origin.via]
    if origin.pretends:
        said = "FORGED?"
    return lines, said, "-", _day(made.at), "-", cell(f"{made.author}: {made.subject}", 40)


def _approver(run: WhyRun) -> str:
    lands = [one for one in run.answers if one.lands]
    return (lands[-1].who or "expiry") if lands else "nobody asked"


def _day(at: int) -> str:
    return when(at)[:10]
