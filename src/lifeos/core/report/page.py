"""The report as Markdown for a forge: words and tables first, pictures by Mermaid after them.

Everything foreign is one line of escaped text (``lifeos.core.markdown``), and no diagram has any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lifeos.core.board import Column
from lifeos.core.markdown import code, inline, table
from lifeos.core.report.data import AskLine, AttemptLine, Figure, Look, ReportData, RunStory
from lifeos.core.report.lead import change, lead, period_name
from lifeos.core.report.timeline import scale, spans
from lifeos.core.report.words import amount, date, moment, percent, plural, took
from lifeos.core.spend import dollars

LIMIT = 1024 * 1024
"""Bytes that GitHub takes for one step's summary."""
_CUT = "\nThe rest is left out, for a summary may not be longer: `lifeos report` has all of it.\n"
_DRAWN = 5
"""Runs that get a picture: each is a diagram that the reader's browser has to draw."""
_TITLE = 120


def page(data: ReportData, limit: int = LIMIT) -> str:
    """The whole report, at most ``limit`` bytes of UTF-8; a part that is too much is left out."""
    return _fitted(_parts(data), limit)


def looking_back(data: ReportData, limit: int) -> str:
    """The numbers, what landed and how runs went, for a page that says how it stands already."""
    return _fitted((part for of in (_numbers, _landed, _runs) for part in of(data)), limit)


def _fitted(parts: Iterable[str], limit: int) -> str:
    room = limit - len(_CUT.encode())
    if room < 0:
        return ""
    kept: list[str] = []
    for part in parts:
        room -= len(part.encode("utf-8", "replace")) + 1
        if room < 0:
            kept.append(_CUT)
            break
        kept.append(part)
    return "\n".join(kept)


def _parts(data: ReportData) -> Iterator[str]:
    yield f"## {inline(data.project, 80)}: lifeos report\n"
    if data.past:
        yield f"**This is how it stood on {moment(data.at)} UTC.**\n"
    if data.stopped:
        yield "**Stopped.** Nothing begins until `lifeos resume`.\n"
    yield f"{lead(data)} As of {moment(data.at)} UTC.\n"
    yield from _waits(data)
    yield from _open(data)
    yield _board(data)
    yield from _numbers(data)
    yield from _landed(data)
    yield from _runs(data)


def _waits(data: ReportData) -> Iterator[str]:
    if not data.waits:
        return
    yield f"### Waits for you: {len(data.waits)}\n"
    rows = [
        (
            code(one.item, cell=True),
            one.kind.value.replace("_", " "),
            f"{_bold(one.title)}{inline(one.question, 300)}",
            took(data.at - one.opened),
            "answered: the next tick takes it" if one.answered else _how(one.item, one.link),
        )
        for one in data.waits
    ]
    yield f"{table(('item', 'kind', 'question', 'waits', 'next'), rows)}\n"


def _bold(title: str) -> str:
    text = inline(title, _TITLE).strip()
    return f"**{text}** " if text else ""


def _how(item: str, link: str) -> str:
    safe = link if link and not set(link) & set("()<>| \n`") else ""
    return f"[read it]({safe})" if safe else code(f"lifeos approve {item}", cell=True)


def _open(data: ReportData) -> Iterator[str]:
    if not data.open:
        return
    yield f"### Open runs: {len(data.open)}\n"
    rows = [
        (
            code(one.run, cell=True),
            f"{code(one.task, cell=True)} {inline(one.title, _TITLE)}",
            one.stage.value.replace("_", " "),
            "cut off" if one.cut_off else one.status.value,
            str(one.attempts),
            _cost(one.cost, estimated=one.estimated),
        )
        for one in data.open
    ]
    yield f"{table(('run', 'task', 'stage', 'status', 'attempts', 'cost'), rows)}\n"


def _cost(cost: float, *, estimated: bool) -> str:
    return f"about {dollars(cost)}" if estimated else dollars(cost)


def _board(data: ReportData) -> str:
    if not data.board.count:
        return "The backlog has no task.\n"
    lanes = data.board.lanes
    head = tuple(_LANES[lane.column] for lane in lanes)
    return f"### Board\n\n{table(head, [[str(lane.count) for lane in lanes]])}\n"


_LANES = {
    Column.WAITS: "waits",
    Column.READY: "ready",
    Column.RUNS: "runs",
    Column.ASKS: "asks you",
    Column.DONE: "done",
    Column.BLOCKED: "blocked",
    Column.DROPPED: "dropped",
}


# --- numbers -------------------------------------------------------------------------------------


def _numbers(data: ReportData) -> Iterator[str]:
    """The numbers and how they changed."""
    money, trends = data.money, data.trends
    yield "### Numbers\n"
    yield (
        f"Spent: {_cost(money.today, estimated=money.estimated)} of {dollars(money.today_limit)}"
        f" today, {_cost(money.month, estimated=money.estimated)} of"
        f" {dollars(money.month_limit)} this month.\n"
    )
    if not any(_closed(data)):
        return
    rows = [_figure(data, figure) for figure in trends.figures]
    if rows:
        yield f"{table(('number', 'value', 'of', 'lately'), rows)}\n"
    against = [
        (
            one.stage.value.replace("_", " "),
            f"{one.against} of {one.reviews}",
            percent(one.against / one.reviews) if one.reviews else "",
        )
        for one in trends.reviews
    ]
    if against:
        yield f"{table(('reviews', 'against the work', ''), against)}\n"
    yield from _pictures(data)


def _closed(data: ReportData) -> list[int]:
    return [one.alone + one.asked + one.not_landed for one in data.trends.closes]


def _figure(data: ReportData, figure: Figure) -> tuple[str, ...]:
    return (
        figure.title,
        f"**{amount(figure.value, figure.unit)}**",
        figure.basis,
        ": ".join(part for part in change(data, figure) or () if part),
    )


def _pictures(data: ReportData) -> Iterator[str]:
    closes, period = data.trends.closes, period_name(data)
    if len(closes) > 1:
        first = date(data.trends.periods[0].since)
        top = max(_closed(data))
        yield _mermaid(
            "xychart-beta",
            f'  title "Runs that landed, by {period}: all, and without a question"',
            f'  x-axis "{period}s from {first} on" 1 --> {len(closes)}',
            f'  y-axis "runs" 0 --> {max(top, 1)}',
            f"  bar [{', '.join(str(one.alone + one.asked) for one in closes)}]",
            f"  line [{', '.join(str(one.alone) for one in closes)}]",
        )
    ended = {
        "landed, nobody asked": sum(one.alone for one in closes),
        "landed, you were asked": sum(one.asked for one in closes),
        "did not land": sum(one.not_landed for one in closes),
    }
    slices = [f'  "{name}" : {count}' for name, count in ended.items() if count]
    yield _mermaid("pie showData title How runs ended", *slices)


def _mermaid(*lines: str) -> str:
    return "\n".join(("```mermaid", *lines, "```", ""))


# --- what was ------------------------------------------------------------------------------------


def _landed(data: ReportData) -> Iterator[str]:
    if not data.landings:
        return
    shown = len(data.landings)
    yield f"### Landed lately: {shown} of {data.landed}\n"
    rows = [
        (
            moment(one.at),
            f"{code(one.task, cell=True)} {inline(one.title, _TITLE)}",
            code(one.commit[:12], cell=True) + (", taken back" if one.reverted else ""),
            "you" if one.asked else "policy alone",
            str(one.attempts),
            _cost(one.cost, estimated=one.estimated),
        )
        for one in data.landings
    ]
    head = ("landed (UTC)", "task", "commit", "decided by", "attempts", "cost")
    yield f"{table(head, rows)}\n"


def _runs(data: ReportData) -> Iterator[str]:
    if not data.stories:
        return
    yield f"### Runs: the last {len(data.stories)} of {data.runs}\n"
    for i, story in enumerate(data.stories):
        yield _run(data, story, drawn=i < _DRAWN)


def _run(data: ReportData, story: RunStory, *, drawn: bool) -> str:
    ended = story.outcome.value if story.outcome else "open"
    lines = [
        f"**{inline(story.title, _TITLE)}** ({code(story.task)}, {code(story.run)}): {ended}"
        f"{f' as {code(story.landed[:12])}' if story.landed else ''}"
        f"{f': {inline(story.reason)}' if story.reason else ''};"
        f" {plural(len(story.attempts), 'attempt')},"
        f" {_cost(story.cost, estimated=story.estimated)},"
        f" {took((story.closed or data.at) - story.opened)}\n"
    ]
    if story.attempts:
        # No foreign text in the line of HTML: Markdown's escapes do not hold there.
        lines += [f"<details><summary>How run {i_of(story)} went</summary>\n"]
        head = ("n", "stage", "outcome", "then", "rule", "checks", "cost", "message")
        lines += [f"{table(head, [_attempt(one) for one in story.attempts])}\n"]
        lines += [f"{_question(one)}\n" for one in story.questions]
        lines += [gantt(story, data.at)] if drawn else []
        lines += ["</details>\n"]
    return "\n".join(lines)


def i_of(story: RunStory) -> str:
    """The name of a run with nothing in it that HTML would take for its own."""
    return "".join(sign for sign in story.run if sign.isalnum() or sign == "-")


def _attempt(one: AttemptLine) -> tuple[str, ...]:
    red = [check for check in one.checks if check.failure]
    checks = ", ".join(inline(f"{check.name} {check.status}") for check in red or one.checks)
    return (
        str(one.n),
        one.stage.value.replace("_", " "),
        one.outcome if one.look is Look.GOOD else f"**{one.outcome}**",
        one.action.value,
        code(one.rule, cell=True),
        checks,
        _cost(one.cost, estimated=one.estimated),
        "" if one.look is Look.GOOD else inline(one.message, 160),
    )


def _question(one: AskLine) -> str:
    text = f"{code(one.item)} ({one.kind.value.replace('_', ' ')}): {inline(one.question, 300)}"
    if one.decision is not None:
        after = took((one.ended or one.asked) - one.asked)
        said = f" {inline(one.comment, 300)}" if one.comment else ""
        return f"{text} **{one.decision}** by {inline(one.who, 80)} after {after}.{said}"
    return f"{text} {'fell away' if one.ended else '**open**'}."


_TAGS = {Look.GOOD: "done, ", Look.AGAINST: "", Look.FAILED: "crit, ", Look.RESTED: ""}


def gantt(story: RunStory, now: int) -> str:
    """The course of a run; its axis has no times, since it is not to scale."""
    places = scale(spans(story, now))

    def at(began: int, ended: int) -> str:
        left = round(places[began] * 1000)
        return f"{left}, {max(round(places[max(ended, began + 1)] * 1000), left + 1)}"

    lines: list[str] = []
    for name, attempts in _by_stage(story.attempts):
        lines.append(f"  section {name}")
        lines += [
            f"  {one.n} {one.outcome} :{_TAGS[one.look]}{at(one.began, one.ended)}"
            for one in attempts
        ]
    if story.questions:
        lines.append("  section CEO")
        lines += [
            f"  {one.decision or ('no answer' if one.ended else 'open')} :active, "
            f"{at(one.asked, now if one.ended is None else one.ended)}"
            for one in story.questions
        ]
    head = ("gantt", "  dateFormat x", "  axisFormat  ", "  todayMarker off")
    return _mermaid(*head, *lines)


def _by_stage(attempts: Sequence[AttemptLine]) -> Iterator[tuple[str, list[AttemptLine]]]:
    for stage in dict.fromkeys(one.stage for one in attempts):
        yield stage.value.replace("_", " "), [one for one in attempts if one.stage is stage]
