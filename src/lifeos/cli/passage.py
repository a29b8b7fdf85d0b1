"""One run as people look at it: read back from its transitions, open or closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeos.cli.find import Missing
from lifeos.cli.workers import CallsData, WorkData, all_calls, work_of
from lifeos.core.records import (
    CheckFact,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
)
from lifeos.model import CloseOutcome, Decision, Frozen, ItemKind, Stage, Usage

if TYPE_CHECKING:
    from lifeos.store.entries import Entry
    from lifeos.store.ledger import Ledger


class AttemptData(Frozen):
    """``lifeos.show-attempt/v1``: one attempt. ``artifacts`` are the names of what it left.

    ``redacted`` are those of them whose content was taken out of the ledger later. ``record`` is
    its ledger commit, ``work`` who did it and what they said.
    """

    n: int
    stage: Stage
    outcome: str
    action: str
    rule: str
    to: Stage
    at: int
    usage: Usage
    message: str = ""
    checks: tuple[CheckFact, ...] = ()
    breaches: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    lines: int = 0
    mode: str = ""
    tree: str = ""
    artifacts: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()
    record: str = ""
    work: WorkData = WorkData()


class ItemData(Frozen):
    """``lifeos.show-item/v1``: one question and its answer; ``decision`` None while it is open."""

    item: str
    kind: ItemKind
    run: str | None
    task: str | None
    stage: Stage | None
    question: str
    rule: str
    subject: str
    opened_at: int
    expires_at: int | None
    decision: Decision | None = None
    who: str = ""
    at: int = 0
    comment: str = ""
    commit: str = ""
    state: str = "open"
    pending: str = ""


class RunData(Frozen):
    """``lifeos.show/v1``: one run. Times in seconds UTC, cost in US dollars."""

    run: str
    task: str
    title: str
    text: str
    state: str
    stage: Stage
    reason: str = ""
    opened_at: int
    ended_at: int | None = None
    base: str
    work: str = ""
    landed: str = ""
    reverted: str = ""
    usage: Usage = Usage()
    calls: tuple[CallsData, ...] = ()
    paths: tuple[str, ...] = ()
    lines: int = 0
    attempts: tuple[AttemptData, ...] = ()
    items: tuple[ItemData, ...] = ()
    look: str = ""
    packet: str = ""
    next: str = ""


@dataclass(frozen=True)
class Passage:
    """A run's transitions, oldest first, and the tree of the ledger that has its artifacts."""

    run: str
    entries: tuple[Entry, ...]
    tree: str

    @property
    def opened(self) -> Opened:
        """How it began."""
        return next(e.record for e in self.entries if isinstance(e.record, Opened))

    @property
    def closed(self) -> Closed | None:
        """How it ended, if it has."""
        return next((e.record for e in self.entries if isinstance(e.record, Closed)), None)


def passage_of(ledger: Ledger, run: str) -> Passage:
    """The transitions of a run. Raises ``Missing``."""
    from lifeos.store.story import about
    from lifeos.tick.past import entries_of_run

    state = ledger.snapshot.runs.get(run)
    if state is not None:
        entries = entries_of_run(ledger, state)
        return Passage(run, entries, ledger.tree)
    entries = tuple(about(ledger.repo, ledger.tip, [run]))[::-1]
    if not any(isinstance(entry.record, Opened) for entry in entries):
        raise Missing(run, "run")
    return passage_with(ledger, run, entries)


def passage_with(ledger: Ledger, run: str, entries: tuple[Entry, ...]) -> Passage:
    """A run by its transitions, where they were read already."""
    if run in ledger.snapshot.runs:
        return Passage(run, entries, ledger.tree)
    closing = next((e for e in entries if isinstance(e.record, Closed)), entries[-1])
    before = closing.parents[0] if closing.parents else closing.commit
    return Passage(run, entries, ledger.repo.objects.commit(before).tree)


def run_data(ledger: Ledger, passage: Passage) -> RunData:
    """Everything about a run on one screen."""
    from lifeos.tick.work import work_ref

    opened, closed = passage.opened, passage.closed
    state = ledger.snapshot.runs.get(passage.run)
    attempts = worked_on(ledger, passage)
    built = next((a for a in reversed(attempts) if a.tree and a.stage is Stage.BUILD), None)
    usage = Usage()
    for attempt in attempts:
        usage = usage.plus(attempt.usage)
    ref = work_ref(passage.run)
    return RunData(
        run=passage.run,
        task=opened.task,
        title=opened.title,
        text=task_text(ledger, passage),
        state=str(closed.outcome) if closed else str(state.status if state else "open"),
        stage=state.stage if state else (attempts[-1].stage if attempts else opened.stage),
        reason=closed.reason if closed else "",
        opened_at=opened.at,
        ended_at=closed.at if closed else None,
        base=state.base if state else opened.base,
        work=built.tree if built else "",
        landed=closed.landed if closed else "",
        reverted=_reverted(passage),
        usage=usage,
        calls=all_calls(attempts),
        paths=built.paths if built else (),
        lines=built.lines if built else 0,
        attempts=attempts,
        items=items_of(ledger, passage),
        look=_look(passage, ref, present=ledger.repo.refs.read(ref) is not None),
        packet=packet_place(ledger, passage),
        next=_next(ledger, passage),
    )


def attempts_of(passage: Passage) -> tuple[AttemptData, ...]:
    """The attempts that have ended, oldest first."""
    return tuple(
        _attempt(entry.commit, entry.record)
        for entry in passage.entries
        if isinstance(entry.record, Finished)
    )


def worked_on(ledger: Ledger, passage: Passage) -> tuple[AttemptData, ...]:
    """The attempts that have ended, oldest first, with who did them."""
    return tuple(
        attempt.model_copy(update={"work": work_of(ledger, passage, attempt)})
        for attempt in attempts_of(passage)
    )


def redacted_of(ledger: Ledger, passage: Passage, n: int) -> tuple[str, ...]:
    """The names of what an attempt left, and what was redacted since; of its work by path."""
    from lifeos.store.entries import attempt_path
    from lifeos.store.redactions import redactions_of

    begin = f"{attempt_path(passage.run, n)}/"
    paths = (path for one in redactions_of(ledger.repo, ledger.tip) for path in one.about.paths)
    return tuple(path.removeprefix(begin) for path in paths if path.startswith(begin))


def _attempt(commit: str, record: Finished) -> AttemptData:
    facts = record.facts
    if facts is None:
        raise Missing(f"{record.run}:{record.n}", "facts of the attempt")
    return AttemptData(
        n=record.n,
        stage=record.stage,
        outcome=str(facts.outcome),
        action=str(record.action),
        rule=record.rule,
        to=record.to,
        at=record.at,
        usage=facts.usage,
        message=facts.message,
        checks=facts.checks,
        breaches=tuple(f"{b.kind} {b.path}: {b.message}".strip() for b in facts.breaches),
        paths=facts.paths,
        lines=facts.lines,
        mode=str(facts.mode or ""),
        tree=facts.tree,
        artifacts=tuple(sorted(record.evidence)),
        record=commit,
    )


def items_of(ledger: Ledger, passage: Passage) -> tuple[ItemData, ...]:
    """The questions that the run asked, oldest first, with their answers."""
    found: dict[str, ItemData] = {}
    for entry in passage.entries:
        record = entry.record
        if isinstance(record, Held):
            found[record.item] = item_data(record, passage.opened.task)
        elif isinstance(record, Resolved) and record.item in found:
            found[record.item] = answered(found[record.item], record)
        elif isinstance(record, Noted) and record.topic is Topic.SUPERSEDED:
            old = found.get(record.item)
            if old is not None:
                found[record.item] = old.model_copy(update={"state": "superseded"})
    return tuple(
        item
        if item.state != "open" or item.item in ledger.snapshot.items
        else item.model_copy(update={"state": "closed with its run"})
        for item in found.values()
    )


def item_data(record: Held, task: str | None) -> ItemData:
    """A question as it was asked."""
    return ItemData(
        item=record.item,
        kind=record.item_kind,
        run=record.run,
        task=task,
        stage=record.stage,
        question=record.question,
        rule=record.rule,
        subject=record.subject,
        opened_at=record.at,
        expires_at=record.expires_at,
    )


def answered(item: ItemData, record: Resolved) -> ItemData:
    """The question with its answer."""
    update = {
        "decision": record.decision,
        "who": record.who,
        "at": record.at,
        "comment": record.comment,
        "commit": record.commit,
        "state": "answered",
    }
    return item.model_copy(update=update)


def task_text(ledger: Ledger, passage: Passage) -> str:
    """What was asked, in its own words."""
    from lifeos.tick.reading import read_file

    data = read_file(ledger.repo, passage.tree, f"runs/{passage.run}/task.md")
    return (data or b"").decode("utf-8", "replace")


def packet_place(ledger: Ledger, passage: Passage) -> str:
    """Where the packet is, as git names it; '' before there is one."""
    from lifeos.store.endings import packet_path
    from lifeos.store.entries import attempt_path
    from lifeos.store.ledger import BRANCH
    from lifeos.store.trees import lookup

    short = BRANCH.removeprefix("refs/heads/")
    path = f"{packet_path(passage.run)}/packet.md"
    if lookup(ledger.repo.objects, ledger.tree, path):
        return f"{short}:{path}"
    made = [a.n for a in attempts_of(passage) if "packet.md" in a.artifacts]
    return f"{short}:{attempt_path(passage.run, made[-1])}/packet.md" if made else ""


def _reverted(passage: Passage) -> str:
    for entry in passage.entries:
        if isinstance(entry.record, Noted) and entry.record.topic is Topic.REVERTED:
            return entry.record.commit
    return ""


def _look(passage: Passage, ref: str, *, present: bool) -> str:
    """The command that shows the work."""
    landed = passage.closed.landed if passage.closed else ""
    if not landed:
        return f"git show {ref}" if present else ""
    records = [entry.record for entry in passage.entries]
    if not any(isinstance(record, Resolved) and record.commit == landed for record in records):
        return f"git show {landed[:12]}^2"
    # A forge made it, by any method: what main was before it is all that is alike in them.
    notes = (r for r in records if isinstance(r, Noted) and r.topic is Topic.LANDING)
    before = next((note.onto for note in notes if note.commit == landed), "")
    if not before:
        return f"git show --first-parent {landed[:12]}"
    return f"git diff {before[:12]} {landed[:12]}"


def _next(ledger: Ledger, passage: Passage) -> str:
    closed = passage.closed
    if closed is None:
        state = ledger.snapshot.runs.get(passage.run)
        if state is not None and state.item:
            return f"lifeos approve {state.item} (or revise, reject), then lifeos tick"
        return "lifeos tick"
    task = passage.opened.task
    if closed.outcome is CloseOutcome.PASS and not _reverted(passage):
        return f"to take it back: lifeos revert {passage.run}"
    if closed.landed:
        return f"answer whether to take it back (lifeos queue); then lifeos retry {task}"
    return f"to try again: lifeos retry {task}"
