"""The packet: the evidence of one run, for machines (an in-toto Statement) and for people."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from lifeos.core.checkreport import CheckResult
from lifeos.core.packetfacts import (
    Approval,
    BreachLine,
    CheckLine,
    ModelLine,
    NoteLine,
    Packet,
    Proof,
    Step,
    Verdicts,
)
from lifeos.core.packetpage import markdown
from lifeos.core.records import AnyRecord, Finished, Held, Noted, Resolved
from lifeos.core.review import Proven, Review
from lifeos.core.state import Run
from lifeos.model import CloseOutcome, Decision, ItemKind, Usage, Verdict

__all__ = ["PREDICATE", "STATEMENT", "Packet", "assemble", "markdown", "statement"]

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:lifeos:packet:v1"
MOST_NAMED = 20
"""Failed tests that are named for one check; the artifact has all of them."""
_ACCEPTING = frozenset({ItemKind.BREACH, ItemKind.ENVIRONMENT, ItemKind.BUDGET})

History = Sequence[tuple[str, AnyRecord]]


def assemble(
    run: Run,
    task_text: str,
    history: History,
    *,
    artifacts: Mapping[str, str],
    checks: Sequence[CheckResult] = (),
    acceptance: Sequence[Proven] = (),
    proves_nothing: Collection[str] = (),
    reviews: Mapping[int, Review] | None = None,
    models: Sequence[ModelLine] = (),
    sandbox: str,
    ledger_root: str,
    ledger_tip: str,
    versions: Mapping[str, str],
    outcome: CloseOutcome | None = None,
    landed: str = "",
    reason: str = "",
    at: int = 0,
) -> Packet:
    """The packet of a run, from values alone.

    ``history`` is (ledger commit, record) in order, of this run and its items; ``artifacts`` path
    to hex SHA-256; ``reviews`` by number of the attempt, ``models`` what each attempt
    asked of models (``lifeos.core.packetmodels``); ``outcome`` None: the run is still open
    (the packet stage); ``at`` is when it is assembled, seconds UTC.
    """
    return Packet(
        run=run.id,
        task=run.task,
        title=run.title,
        text=task_text,
        task_digest=run.task_digest,
        outcome=outcome,
        reason=reason,
        stage=run.stage,
        opened_at=run.opened_at,
        at=at,
        base=run.base,
        work=run.work,
        landed=landed,
        risk=run.risk,
        mode=run.mode,
        forced=run.forced,
        scope=run.scope,
        paths=run.paths,
        lines=run.lines,
        usage=run.usage,
        steps=tuple(_step(commit, r) for commit, r in history if isinstance(r, Finished)),
        verdicts=_verdicts(history, reviews or {}),
        models=tuple(models),
        checks=tuple(_check(result) for result in checks),
        acceptance=tuple(_proof(result, proves_nothing) for result in acceptance),
        approvals=_approvals(history),
        waivers=run.waivers,
        breaches=_breaches(history),
        notes=tuple(_note(record) for _, record in history if isinstance(record, Noted)),
        artifacts=dict(sorted(artifacts.items())),
        sandbox=sandbox,
        ledger_root=ledger_root,
        ledger_tip=ledger_tip,
        governance=run.governance,
        versions=dict(sorted(versions.items())),
    )


def statement(packet: Packet) -> str:
    """``packet.json``: an in-toto Statement v1 about the landed commit, else the last work tree.

    A run that never had work is about the commit it began on. Equal packets give equal bytes.
    """
    subject = {"name": "base", "digest": {"gitCommit": packet.base}}
    if packet.landed:
        subject = {"name": "landed", "digest": {"gitCommit": packet.landed}}
    elif packet.work:
        subject = {"name": "work", "digest": {"gitTree": packet.work}}
    value = {
        "_type": STATEMENT,
        "subject": [subject],
        "predicateType": PREDICATE,
        "predicate": packet.model_dump(mode="json"),
    }
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    # A path with undecodable bytes becomes the JSON escape of those, so that the text has bytes.
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def _step(commit: str, record: Finished) -> Step:
    facts = record.facts
    return Step(
        n=record.n,
        stage=record.stage,
        outcome=facts.outcome.value if facts else "not kept",
        action=record.action,
        rule=record.rule,
        to=record.to,
        at=record.at,
        usage=facts.usage if facts else Usage(),
        message=facts.message if facts else "",
        tree=facts.tree if facts else "",
        record=commit,
    )


def _verdicts(history: History, reviews: Mapping[int, Review]) -> tuple[Verdicts, ...]:
    found = []
    for _, record in history:
        if not isinstance(record, Finished) or record.facts is None:
            continue
        facts = record.facts
        if not isinstance(facts.outcome, Verdict):
            continue
        review = reviews.get(record.n)
        found.append(
            Verdicts(
                n=record.n,
                stage=record.stage,
                verdict=facts.outcome,
                mode=facts.mode,
                forced=facts.forced,
                by=review.by if review else "",
                mode_reason=review.mode_reason if review else "",
                seats_missing=review.seats_missing if review else (),
                findings=review.findings if review else (),
                rule=review.rule if review else "",
                forced_by=review.forced_by if review else (),
                emergency=review.emergency if review else "",
                seats=review.seats if review else (),
                shadow=tuple(each.run for each in review.shadow) if review else (),
            )
        )
    return tuple(found)


def _check(result: CheckResult) -> CheckLine:
    return CheckLine(
        name=result.name,
        kind=result.kind.value,
        command=result.command,
        status=result.status.value,
        passed=result.passed,
        failure=result.failure_class,
        exit_code=result.exit_code,
        seconds=result.seconds,
        reruns=result.reruns,
        tests=len(result.tests),
        failed_tests=result.failed_tests[:MOST_NAMED],
        message=result.message,
    )


def _proof(result: Proven, proves_nothing: Collection[str]) -> Proof:
    return Proof(
        text=result.text,
        command=result.command,
        passed=result.passed,
        proves_nothing=result.command in proves_nothing,
        message=result.message,
    )


def _approvals(history: History) -> tuple[Approval, ...]:
    """Every checkpoint of the run in the order in which they were asked, answered or not."""
    found: dict[str, Approval] = {}
    for commit, record in history:
        if isinstance(record, Held):
            found[record.item] = Approval(
                item=record.item,
                kind=record.item_kind,
                stage=record.stage,
                question=record.question,
                rule=record.rule,
                subject=record.subject,
                asked_at=record.at,
                record=commit,
            )
        elif isinstance(record, Resolved) and record.item in found:
            answer = {
                "decision": record.decision,
                "who": record.who,
                "trust": record.trust,
                "at": record.at,
                "commit": record.commit,
                "comment": record.comment,
                "record": commit,
            }
            found[record.item] = found[record.item].model_copy(update=answer)
    return tuple(found.values())


def _breaches(history: History) -> tuple[BreachLine, ...]:
    """Every breach; accepted are those of the attempt after which an approved item was asked."""
    found: list[BreachLine] = []
    last: list[int] = []  # places in ``found`` of the last attempt's breaches
    asked: dict[str, list[int]] = {}
    for _, record in history:
        if isinstance(record, Finished):
            breaches = record.facts.breaches if record.facts else ()
            last = [len(found) + offset for offset in range(len(breaches))]
            found += [BreachLine(n=record.n, **breach.model_dump()) for breach in breaches]
        elif isinstance(record, Held) and record.item_kind in _ACCEPTING:
            asked[record.item] = last
        elif isinstance(record, Resolved) and record.decision is Decision.APPROVE:
            for place in asked.get(record.item, ()):
                found[place] = found[place].model_copy(update={"accepted": True})
    return tuple(found)


def _note(record: Noted) -> NoteLine:
    return NoteLine(
        at=record.at,
        topic=record.topic.value,
        text=record.text,
        who=record.who,
        commit=record.commit,
    )
