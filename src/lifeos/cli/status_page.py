"""The status as a page for people: what needs them first, the background last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeos.cli.cells import cell
from lifeos.cli.frame import table
from lifeos.cli.moments import ago, span, until
from lifeos.core.spend import cost_of, dollars
from lifeos.core.state import RunStatus, Wake
from lifeos.model import Usage

if TYPE_CHECKING:
    from lifeos.cli.status_command import Question, Running, StatusData


def page(data: StatusData, now: float) -> str:
    """The whole page. ``now`` in seconds UTC."""
    parts = [
        _past(data),
        stopped_line(data),
        _waiting(data, now),
        _runs(data, now),
        _ended(data, now),
        _rules(data),
        _uncommitted(data),
        _untold(data),
        _background(data, now),
        "" if data.past else f"next: {next_step(data)}",
    ]
    return "\n\n".join(part for part in parts if part)


def _past(data: StatusData) -> str:
    if not data.past:
        return ""
    from lifeos.cli.screen import when

    return f"As it was at {when(data.at)}, after transition {data.transitions}"


def stopped_line(data: StatusData) -> str:
    """That the kill switch is set, and where; '' where it is not."""
    if not data.stopped:
        return ""
    where = {"main": f"on {data.branch}", "ledger": "taken away by no approver"}
    places = ", ".join(where.get(place, place) for place in data.stopped)
    return f"STOPPED ({places}): nothing begins until lifeos resume"


def _waiting(data: StatusData, now: float) -> str:
    rows = [_question(question, now) for question in data.waiting]
    if not rows:
        return ""
    headings = ("ITEM", "KIND", "TASK", "AGE", "EXPIRES", "QUESTION")
    return f"Waiting for the CEO\n{_indented(table(headings, rows))}"


def _question(question: Question, now: float) -> tuple[str, ...]:
    text = cell(question.question, 72)
    return (
        question.item,
        question.kind.value,
        question.task or "-",
        span(now - question.opened),
        until(question.expires, now),
        f"(answered) {text}" if question.answered else text,
    )


def _runs(data: StatusData, now: float) -> str:
    rows = [
        (
            run.run,
            run.task,
            run.stage.value,
            run_standing(run, now),
            str(run.attempts),
            cost_of(Usage(cost=run.cost, estimated=run.estimated)),
            cell(run.title),
        )
        for run in data.runs
    ]
    if not rows:
        return ""
    headings = ("RUN", "TASK", "STAGE", "STATUS", "ATTEMPTS", "COST", "TITLE")
    return f"Open runs\n{_indented(table(headings, rows))}"


def run_standing(run: Running, now: float) -> str:
    """How an open run stands, in a few words."""
    match run.status:
        case RunStatus.READY:
            return "ready"
        case RunStatus.CLAIMED:
            return "cut off" if run.cut_off else "running"
        case RunStatus.ASKING:
            return "asks"
        case RunStatus.HELD:
            return f"waits for {run.item}"
        case RunStatus.PAUSED:
            return f"paused until {_wake(run.wake, now)}"
        case RunStatus.ENDING:
            return "ending"


def _wake(wake: Wake | None, now: float) -> str:
    """What a paused run waits for."""
    if wake is None:
        return "the next tick"
    found = []
    if wake.stop:
        found.append("lifeos resume")
    if wake.main is not None:
        found.append("main moves")
    if wake.at is not None:
        found.append(f"a tick {until(wake.at, now)}" if wake.at > now else "the next tick")
    return " or ".join(found)


def _ended(data: StatusData, now: float) -> str:
    rows = [
        (
            run.run,
            run.task,
            run.outcome.value,
            ago(run.at, now),
            run.landed[:12] or "-",
            cell(run.title),
        )
        for run in data.ended
    ]
    if not rows:
        return ""
    headings = ("RUN", "TASK", "OUTCOME", "ENDED", "LANDED", "TITLE")
    return f"Ended last\n{_indented(table(headings, rows))}"


def _rules(data: StatusData) -> str:
    if data.rules.state == "broken":
        lines = ["The rules on main are broken; the adopted ones go on, and no new run opens"]
        return "\n".join([*lines, *(f"  {problem}" for problem in data.rules.problems)])
    if data.rules.state == "differs":
        return "The rules on main are not adopted yet: the next tick adopts them, or asks"
    return ""


def _uncommitted(data: StatusData) -> str:
    found = data.uncommitted
    lines = []
    away = found.branch != data.branch
    where = f"on {data.branch}" if away else "committed"
    if found.tasks:
        verb = "task in BACKLOG.md is" if found.tasks == 1 else "tasks in BACKLOG.md are"
        lines.append(f"{found.tasks} {verb} not {where}")
    files = [path for path in found.files if path != "BACKLOG.md" or not found.tasks]
    if files:
        verb = "differs from" if len(files) == 1 else "differ from"
        lines.append(f"{', '.join(files)} {verb} {data.branch}")
    if not lines:
        return ""
    on = f" (this work tree is on {found.branch or 'no branch'})" if away else ""
    return f"Does not count yet{on}\n" + _indented("\n".join(lines))


def _untold(data: StatusData) -> str:
    if not data.untold:
        return ""
    lines = [f"  {cell(problem, 160)}" for problem in data.untold]
    return "\n".join(["Nobody could be told (to try it: lifeos digest --send)", *lines])


def _background(data: StatusData, now: float) -> str:
    spend = data.spend
    reserved = f", {dollars(spend.reserved)} reserved" if spend.reserved else ""
    noun = "transition" if data.transitions == 1 else "transitions"
    ledger = (
        f"{data.ledger[:12]}, {data.transitions} {noun}, the last {ago(data.at, now)}"
        if data.ledger
        else "none yet: the first lifeos tick begins it"
    )
    seen = data.remote != "none" and not data.past
    remote = f" of {data.remote}, as last seen from here" if seen else ""
    name = f"{data.remote} {data.branch}"
    if data.not_pushed:
        pull = f"git pull --rebase {name} && " if data.behind else ""
        noun = "commit" if data.not_pushed == 1 else "commits"
        remote += (
            f"\n        your {data.branch} has {data.not_pushed} {noun} not pushed, so not"
            f" counted: {pull}git push {name}"
        )
    elif data.behind:
        remote += f"\n        your {data.branch} is {data.behind} behind: git pull {name}"
    guess = " (estimated: not every price is known)" if spend.estimated else ""
    return "\n".join(
        [
            f"main    {data.branch} at {data.main[:12]}{remote}",
            f"ledger  {ledger}",
            f"rules   {data.rules.adopted[:12]}"
            + (", as on main" if data.rules.state == "adopted" else ""),
            f"spent   {dollars(spend.today)} of {dollars(spend.today_limit)} today,"
            f" {dollars(spend.month)} of {dollars(spend.month_limit)} this month{reserved}{guess}",
        ]
    )


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


def next_step(data: StatusData) -> str:
    """What the person does next."""
    free = next((one for one in data.waiting if not one.answered), None)
    if data.stopped:
        return "lifeos resume"
    if free is not None:
        return f"lifeos queue show {free.item}"
    if data.uncommitted.files and data.uncommitted.branch == data.branch:
        return "commit what does not count yet, then lifeos tick"
    if any(run.status is RunStatus.CLAIMED and not run.cut_off for run in data.runs):
        return "nothing: an attempt is under way (lifeos status --watch follows it)"
    under_way = data.waiting or any(run.status is not RunStatus.HELD for run in data.runs)
    if under_way or data.ledger is None or data.rules.state != "adopted":
        return "lifeos tick"
    return "lifeos next shows the next task, lifeos tick begins it"
