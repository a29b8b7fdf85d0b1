"""From what happened to what the report says of it: choosing, shortening, adding up. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lifeos.core.board import Board
from lifeos.core.chronicle import AttemptPast, Chronicle, QuestionPast, RunPast
from lifeos.core.clean import visible
from lifeos.core.leaks import redact
from lifeos.core.notices import Secrets
from lifeos.core.policy import Budgets
from lifeos.core.report.data import (
    AskLine,
    AttemptLine,
    Landing,
    Look,
    Money,
    Open,
    ReportData,
    RunStory,
    Waits,
)
from lifeos.core.report.trends import trends
from lifeos.core.report.words import moment
from lifeos.core.spend import add_spend
from lifeos.core.state import Item, OnApprove, Run, RunStatus, Snapshot, Success
from lifeos.core.table import WAITS, effects
from lifeos.model import Decision, FailureClass, Trust, Usage, Verdict

LANDINGS = 12
_NAME, _TITLE, _LINE, _TEXT = 64, 200, 400, 1500
_LONGEST = 60_000
"""Characters of one packet or question; what is longer is cut, and says so."""
_NOTHING_WRONG = WAITS | {FailureClass.INTERRUPTED}


@dataclass(frozen=True)
class Source:
    """What a report is made from. ``now`` is the time that it is about (seconds UTC).

    ``packets`` are those of the runs that are shown, as Markdown, by run; ``pending`` the files of
    open items, and ``links`` where a forge shows them. ``answered`` are items with an answer on
    main, ``cut_off`` runs whose worker is gone. ``since`` is when the trends begin, None: as it
    fits.
    """

    project: str
    branch: str
    main: str
    chronicle: Chronicle
    snapshot: Snapshot
    board: Board
    budgets: Budgets
    trust: Trust
    now: int
    past: bool = False
    stopped: bool = False
    since: int | None = None
    runs: int = 50
    packets: Mapping[str, str] | None = None
    pending: Mapping[str, str] | None = None
    links: Mapping[str, str] | None = None
    answered: frozenset[str] = frozenset()
    cut_off: frozenset[str] = frozenset()
    secrets: Secrets = ()
    # The same rules, checks and messages come up again and again, and looking for secrets is dear.
    cleaned: dict[tuple[str, int], str] = field(default_factory=dict, compare=False, repr=False)

    def plain(self, text: str, limit: int = _LINE) -> str:
        """Foreign text on one line, visible and without secrets."""
        if not text:
            return text
        known = self.cleaned.get((text, limit))
        if known is None:
            line = " ".join(visible(redact(text[: limit * 8], self.secrets)).split())
            known = line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
            self.cleaned[text, limit] = known
        return known

    def name(self, text: str) -> str:
        """What names something: a record may have any text there."""
        return self.plain(text, _NAME)


def shown(chronicle: Chronicle, most: int) -> tuple[RunPast, ...]:
    """The runs whose story is told: open ones, and those that ended last, newest first."""
    latest = sorted(chronicle.runs, key=lambda run: (*_standing(run), _last(run)))
    return tuple(reversed(latest[-most:] if most else []))


def _standing(run: RunPast) -> tuple[bool, bool]:
    """What asks the CEO comes first, then what is open, then the rest."""
    still = run.closed_at is None
    asks = any(one.decision is None and one.over_at is None for one in run.questions)
    return still and asks, still


def _last(run: RunPast) -> tuple[int, int, str]:
    at = run.attempts[-1].at if run.attempts else run.at
    return run.closed_at or at, run.at, run.id


def report(source: Source) -> ReportData:
    """All that the report says."""
    chronicle, snapshot = source.chronicle, source.snapshot
    landings = [run for run in chronicle.runs if run.passed]
    stories = shown(chronicle, source.runs)
    return ReportData(
        project=source.plain(source.project, 80),
        branch=source.plain(source.branch, 100),
        main=source.main,
        ledger=chronicle.tip,
        transitions=chronicle.seq,
        at=source.now,
        past=source.past,
        stopped=source.stopped,
        waits=tuple(_waits(source)),
        open=tuple(_open(source, run) for run in snapshot.runs.values()),
        board=_board(source),
        money=_money(source),
        trends=trends(chronicle, source.since, source.now),
        landings=tuple(_landing(source, run) for run in _latest(landings)),
        landed=len(landings),
        runs=len(chronicle.runs),
        stories=tuple(_story(source, run) for run in stories),
    )


def _latest(landings: Sequence[RunPast]) -> list[RunPast]:
    return sorted(landings, key=_last, reverse=True)[:LANDINGS]


# --- now -----------------------------------------------------------------------------------------


def _waits(source: Source) -> Iterator[Waits]:
    items = source.snapshot.items.values()
    for item in sorted(items, key=lambda item: (item.opened_at, item.id)):
        run = source.snapshot.runs.get(item.run or "")
        link = (source.links or {}).get(item.id, "")
        yield Waits(
            item=source.name(item.id),
            kind=item.kind,
            question=source.plain(item.question, _TEXT),
            rule=source.plain(item.rule, 100),
            opened=item.opened_at,
            expires=item.expires_at,
            run=source.name(item.run or ""),
            task=source.name(run.task) if run else "",
            title=source.plain(run.title, _TITLE) if run else "",
            stage=item.stage,
            answers=_effects(item),
            answered=item.id in source.answered,
            link=link if link.startswith(("https://", "http://")) else "",
            merge=source.trust is Trust.MERGE and item.pull is not None,
            text=_long(source, _body((source.pending or {}).get(item.id, "")), "lifeos queue show"),
        )


def _effects(item: Item) -> Mapping[Decision, str]:
    again = item.on_approve is OnApprove.AGAIN
    return effects(item.kind, item.stage, item.rule, again=again)


def _open(source: Source, run: Run) -> Open:
    past = next((one for one in source.chronicle.runs if one.id == run.id), None)
    claim = past.claim if past else None
    return Open(
        run=source.name(run.id),
        task=source.name(run.task),
        title=source.plain(run.title, _TITLE),
        stage=run.stage,
        status=run.status,
        opened=run.opened_at,
        attempts=run.attempts,
        cost=run.usage.cost,
        estimated=run.usage.estimated,
        item=source.name(run.item or ""),
        claimed=claim.at if claim else None,
        cut_off=run.id in source.cut_off,
        until=_until(run),
    )


def _until(run: Run) -> str:
    if run.status is not RunStatus.PAUSED or run.wake is None:
        return ""
    wake = run.wake
    found = ["lifeos resume"] if wake.stop else []
    found += [] if wake.main is None else ["main moves"]
    found += [] if wake.at is None else [f"{moment(wake.at)} UTC"]
    return " or ".join(found)


def _board(source: Source) -> Board:
    lanes = tuple(
        lane.model_copy(
            update={
                "cards": tuple(
                    card.model_copy(
                        update={
                            "task": source.name(card.task),
                            "title": source.plain(card.title, _TITLE),
                            "why": source.plain(card.why, _LINE),
                        }
                    )
                    for card in lane.cards
                )
            }
        )
        for lane in source.board.lanes
    )
    return Board(lanes=lanes)


def _money(source: Source) -> Money:
    spend = add_spend(source.snapshot.spend, source.now, 0.0)
    return Money(
        today=spend.day_cost,
        month=spend.month_cost,
        estimated=spend.month_estimated,
        reserved=source.snapshot.reserved,
        today_limit=source.budgets.cost_per_day,
        month_limit=source.budgets.cost_per_month,
    )


# --- what was ------------------------------------------------------------------------------------


def _usage(run: RunPast) -> Usage:
    whole = Usage()
    for attempt in run.attempts:
        whole = whole.plus(attempt.facts.usage)
    return whole


def _landing(source: Source, run: RunPast) -> Landing:
    usage = _usage(run)
    return Landing(
        run=source.name(run.id),
        task=source.name(run.task),
        title=source.plain(run.title, _TITLE),
        commit=source.name(run.landed),
        at=run.closed_at or run.at,
        attempts=len(run.attempts),
        asked=len(run.questions),
        cost=usage.cost,
        estimated=usage.estimated,
        reverted=run.reverted_at is not None,
    )


def _story(source: Source, run: RunPast) -> RunStory:
    usage = _usage(run)
    questions = tuple(_question(source, run, one) for one in run.questions)
    return RunStory(
        run=source.name(run.id),
        task=source.name(run.task),
        title=source.plain(run.title, _TITLE),
        risk=run.risk,
        opened=run.at,
        closed=run.closed_at,
        outcome=run.outcome,
        reason=source.plain(run.reason),
        landed=source.name(run.landed),
        reverted=run.reverted_at is not None,
        cost=usage.cost,
        estimated=usage.estimated,
        tokens=usage.tokens,
        waited=sum((one.ended or source.now) - one.asked for one in questions),
        attempts=tuple(_attempt(source, one) for one in run.attempts),
        questions=questions,
        under_way=(run.claim.stage, run.claim.at) if run.claim else None,
        packet=_packet(source, run),
    )


def _attempt(source: Source, attempt: AttemptPast) -> AttemptLine:
    facts = attempt.facts
    return AttemptLine(
        n=attempt.n,
        stage=attempt.stage,
        outcome=facts.outcome.value,
        look=look_of(attempt),
        action=attempt.action,
        rule=source.plain(attempt.rule, 100),
        to=attempt.to,
        began=attempt.claimed_at,
        ended=attempt.at,
        seconds=facts.usage.seconds,
        cost=facts.usage.cost,
        estimated=facts.usage.estimated,
        tokens=facts.usage.tokens,
        message=source.plain(facts.message),
        checks=tuple(
            check.model_copy(
                update={
                    "name": source.plain(check.name, 80),
                    "status": source.name(check.status),
                }
            )
            for check in facts.checks
        ),
        breaches=tuple(
            breach.model_copy(
                update={
                    "kind": source.name(breach.kind),
                    "path": source.plain(breach.path, 160),
                    "message": source.plain(breach.message, 200),
                }
            )
            for breach in facts.breaches[:20]
        ),
        mode=facts.mode,
        missing=tuple(source.name(seat) for seat in facts.missing),
        paths=len(facts.paths),
        lines=facts.lines,
        commit=source.name(attempt.commit),
    )


def look_of(attempt: AttemptPast) -> Look:
    """What came of an attempt, as a picture shows it."""
    outcome = attempt.facts.outcome
    if outcome in (Success.OK, Verdict.ACCEPT):
        return Look.GOOD
    if isinstance(outcome, Verdict):
        return Look.AGAINST
    return Look.RESTED if outcome in _NOTHING_WRONG else Look.FAILED


def _question(source: Source, run: RunPast, one: QuestionPast) -> AskLine:
    ended = one.answered_at if one.answered_at is not None else one.over_at
    return AskLine(
        item=source.name(one.item),
        kind=one.kind,
        rule=source.plain(one.rule, 100),
        question=source.plain(one.question, _TEXT),
        stage=one.stage,
        asked=one.at,
        ended=run.closed_at if ended is None else ended,
        decision=one.decision,
        who=source.plain(one.who, 100),
        trust=one.trust,
        comment=source.plain(one.comment, _TEXT),
        commit=source.name(one.answer or one.commit),
    )


def _packet(source: Source, run: RunPast) -> str:
    return _long(source, (source.packets or {}).get(run.id, ""), "lifeos show --packet")


def _long(source: Source, text: str, command: str) -> str:
    """A text of many lines, without secrets; ``command`` shows all of it."""
    text = visible(redact(text[: 2 * _LONGEST], source.secrets))
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}\n\nThe rest is left out; `{command}` has it.\n"


def _body(text: str) -> str:
    """A pending file without its front matter."""
    head, found, body = text.removeprefix("---\n").partition("\n---\n")
    return body if found and head != text else text
