"""Gathering what the pending file of an item tells the person who decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from lifeos.core.backlog.entry import Task
from lifeos.core.clean import one_line
from lifeos.core.judge import asks_by
from lifeos.core.pending import CheckLine, PendingFacts, ReviewLine, pending_text
from lifeos.core.policy import Governance
from lifeos.core.records import Held
from lifeos.core.review import Review
from lifeos.core.state import OnApprove, Run, Snapshot
from lifeos.core.table import TAKES_BACK
from lifeos.model import ItemKind, Stage, Trust
from lifeos.store.diff import diffstat
from lifeos.store.entries import attempt_path
from lifeos.tick.build import Evidence
from lifeos.tick.context import Context
from lifeos.tick.gather import Gathered
from lifeos.tick.reading import governance_files, main_at
from lifeos.tick.tasks import task_commands
from lifeos.tick.work import work_ref

if TYPE_CHECKING:  # proposals are seldom asked about
    from lifeos.core.improve.proposal import Proposal

PAST_UNDER = "What would have been otherwise under them"
_REVIEWS = (Stage.DESIGN_REVIEW, Stage.PLAN_REVIEW, Stage.BUILD_REVIEW)


@dataclass(frozen=True)
class Sources:
    """What the page of a question is written from, as far as it needs it.

    All of it is in commits, so that the page can be written again. ``snapshot`` is the state before
    the question; ``read`` reads the ledger as it was then, ``stat`` compares two commits or trees,
    ``governance`` gives a recorded set, ``task`` a task of main with its text, ``adopted`` and
    ``on_main`` the files of the adopted set and of the one in question, ``past`` what that would
    have made of the last runs.
    """

    snapshot: Snapshot
    by_pull: bool
    read: Callable[[str], bytes | None]
    stat: Callable[[str, str], str]
    governance: Callable[[str], Governance]
    task: Callable[[str], tuple[Task, str] | None]
    proposal: Callable[[], Proposal]
    adopted: Callable[[], Mapping[str, bytes]]
    on_main: Callable[[], Mapping[str, bytes]]
    past: Callable[[], str]


def pending_file(ctx: Context, gathered: Gathered, held: Held) -> bytes:
    """The file under ``.lifeos/queue/`` that stands for an item about to be opened."""
    ledger = ctx.ledger

    def task(name: str) -> tuple[Task, str] | None:
        found = gathered.tasks.find(name)
        if found is None:
            return None
        start, end = found.span
        return found, gathered.tasks.data[start:end].decode("utf-8", "replace")

    sources = Sources(
        snapshot=ledger.snapshot,
        by_pull=ctx.rules.approvals.trust is Trust.MERGE,
        read=ledger.read,
        stat=partial(diffstat, ctx.repo),
        governance=ctx.governance,
        task=task,
        proposal=lambda: gathered.proposals[held.about].proposal,
        adopted=lambda: ledger.governance(ledger.snapshot.governance),
        on_main=lambda: governance_files(ctx.repo, main_at(ctx.repo, gathered.facts.main).tree),
        past=lambda: _past_under(ctx, gathered, held),
    )
    return page_of(sources, held)


def page_of(src: Sources, held: Held) -> bytes:
    """The page, from nothing but these."""
    by_pull = src.by_pull
    run = src.snapshot.runs.get(held.run or "")
    if held.rule in TAKES_BACK:
        return pending_text(held, _on_main(src, held))
    if held.proposed is not None:
        from lifeos.core.improve.page import details as of_proposal

        parts = of_proposal(src.proposal(), held.item)
        return pending_text(held, PendingFacts(details=tuple(parts), by_pull=by_pull))
    if run is None:
        details = [("What differs from the adopted set", _rules(src))]
        past = src.past()
        details += [(PAST_UNDER, past)] if past else []
        return pending_text(held, PendingFacts(details=tuple(details), by_pull=by_pull))
    evidence = _evidence(src, run)
    # What may not be kept is not the run's work: that is what an attempt before it left.
    apart = held.item_kind is ItemKind.BREACH and _again(run)
    stat = "" if apart else _diffstat(src, run)
    facts = PendingFacts(
        task=run.task,
        title=run.title,
        diffstat=stat,
        base=run.base[:12] if stat else "",
        ref=work_ref(run.id) if stat else "",
        reviews=_reviews(src, run),
        checks=_check_lines(evidence),
        details=_details(src, held, run),
        attempts=run.attempts,
        usage=run.usage,
        risk=run.risk.value,
        files=len(run.paths) if stat else 0,
        lines=run.lines if stat else 0,
        by_pull=by_pull,
        again=_again(run),
        of_before=_of_before(src, held, run),
    )
    return pending_text(held, facts)


def _of_before(src: Sources, held: Held, run: Run) -> bool:
    """Whether a checkpoint is one of rules that the run was under before."""
    loop = src.governance(run.governance).loop
    return held.item_kind is ItemKind.STAGE_REVIEW and not asks_by(loop, run, held.rule)


def _on_main(src: Sources, held: Held) -> PendingFacts:
    """What is on main, and why it is asked about: if a run landed it, what was found there."""
    facts = PendingFacts(by_pull=src.by_pull)
    if held.onto:
        stat = src.stat(held.onto, held.about)
        facts = replace(facts, diffstat=stat, base=held.onto[:12], ref=held.about[:12])
    runs = src.snapshot.runs.values()
    run = next((run for run in runs if run.merged == held.about), None)
    if run is None:
        return facts
    return replace(
        facts,
        task=run.task,
        title=run.title,
        checks=_check_lines(_evidence(src, run)),
        details=_feedback(src, run),
    )


def _check_lines(evidence: Evidence) -> tuple[CheckLine, ...]:
    checks = [
        CheckLine(name=result.name, status=result.status.value, message=result.message)
        for result in evidence.report.results
    ]
    accepted = [
        CheckLine(name=item.text, status="passed" if item.passed else "failed")
        for item in evidence.acceptance
    ]
    return (*checks, *accepted)


def _feedback(src: Sources, run: Run) -> tuple[tuple[str, str], ...]:
    """What the last attempt was told went wrong."""
    path = f"{attempt_path(run.id, run.feedback)}/feedback.md"
    feedback = src.read(path) if run.feedback else None
    return (("What went wrong", feedback.decode("utf-8", "replace")),) if feedback else ()


def _again(run: Run) -> bool:
    """Whether an approval allows one more attempt, and not the work as it is."""
    return run.ask is not None and run.ask.on_approve is OnApprove.AGAIN


def _diffstat(src: Sources, run: Run) -> str:
    if not run.work:
        return ""
    return src.stat(run.base, run.work)


def _evidence(src: Sources, run: Run) -> Evidence:
    """The checks of the present work: not those of an earlier build that was given up."""
    for stage in (Stage.CLOSE, Stage.BUILD):
        n = run.last_n.get(stage, 0)
        if n and n >= run.last_n.get(Stage.BUILD, 0):
            data = src.read(f"{attempt_path(run.id, n)}/checks.json")
            if data is not None:
                return Evidence.model_validate_json(data)
    return Evidence()


def _reviews(src: Sources, run: Run) -> tuple[ReviewLine, ...]:
    """The last review, of whatever it was, with what it found."""
    attempts = {n: stage for stage, n in run.last_n.items() if stage in _REVIEWS}
    n = max(attempts, default=0)
    data = src.read(f"{attempt_path(run.id, n)}/review.json") if n else None
    if data is None:
        return ()
    review = Review.model_validate_json(data)
    lines = [ReviewLine(f"{attempts[n]} by {review.by}", review.verdict.value, review.note)]
    lines += [
        ReviewLine(f"{finding.severity} {finding.kind}", "finding", str(finding))
        for finding in review.findings
    ]
    return tuple(lines)


def _details(src: Sources, held: Held, run: Run) -> tuple[tuple[str, str], ...]:
    """The texts that the question is about, verbatim."""
    details: list[tuple[str, str]] = []
    asks = held.item_kind is ItemKind.COMMANDS or held.rule == "task_changed"
    found = src.task(run.task) if asks else None
    if held.item_kind is ItemKind.COMMANDS and found is not None:
        commands = task_commands(found[0])
        details += [(f"Command {number}", command) for number, command in enumerate(commands, 1)]
    if held.rule == "task_changed" and found is not None:
        details.append(("The task's new text", found[1]))
    details += _feedback(src, run)
    if held.item_kind is ItemKind.BREACH and _again(run):
        details.append(("Where the change is", _set_apart(run)))
    return tuple(details)


def _set_apart(run: Run) -> str:
    """Where work is that may not be recorded: there is no reference to it."""
    n = run.last_n.get(Stage.BUILD, 0)
    return (
        f"without the secret: lifeos show {run.id} {n} patch.diff\n"
        f"as it was made, on this machine only: .git/lifeos/quarantine/{run.id}.{n}"
    )


def _rules(src: Sources) -> str:
    """Which files of the rules differ between main and the adopted set."""
    files = src.on_main()
    adopted = src.adopted()
    rows = []
    for path in sorted(files.keys() | adopted.keys()):
        if files.get(path) != adopted.get(path):
            verb = "new" if path not in adopted else "gone" if path not in files else "changed"
            rows.append(f"{verb}: {one_line(path, 200)}")
    rows = rows or ["nothing: open runs are still under the set they were opened with"]
    return "\n".join([*rows, "", "to see it: git log -p -- policies .lifeos"])


def _past_under(ctx: Context, gathered: Gathered, held: Held) -> str:
    """What the rules in question would have made of the last runs; "" if they cannot be read."""
    from lifeos.core.backtest import summary_lines
    from lifeos.tick.tried import LATELY, tried  # rules are seldom asked about

    rules = gathered.facts.sets.get(held.about)
    if rules is None:
        return ""
    lines = summary_lines(tried(ctx.ledger, rules, last=LATELY))
    more = f"to see it in full: lifeos backtest --policies {gathered.facts.main[:12]} --details"
    return "\n".join([*lines, "", more])
