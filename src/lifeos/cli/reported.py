"""What a report is made from, gathered from the ledger and from main, now or at an earlier time."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from lifeos.cli.tasks import context_of, judged, tasks_on_main
from lifeos.errors import UsageError

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.core.chronicle import RunPast
    from lifeos.core.report.tell import Source
    from lifeos.store.ledger import Ledger


def source_of(here: Here, at: str, since: str, runs: int) -> Source:
    """All that the report looks at. ``at`` and ``since`` as people write them, '' for none.

    Raises ``UsageError`` for a time that is none, or at which there was nothing.
    """
    from lifeos.cli.status_command import cut_off, stops
    from lifeos.cli.then import then_of
    from lifeos.core.board import board
    from lifeos.core.chronicle import Chronicle
    from lifeos.core.leaks import values_of
    from lifeos.core.report.tell import Source as SourceClass
    from lifeos.core.report.tell import shown
    from lifeos.core.state import Snapshot
    from lifeos.tick.chronicle import chronicle_at

    here = then_of(here, at) if at else here
    ledger, past = here.ledger, here.past
    chronicle = chronicle_at(ledger) if ledger else Chronicle()
    snapshot = ledger.snapshot if ledger else Snapshot()
    now = chronicle.at if past else int(time.time())
    told = shown(chronicle, runs)
    return SourceClass(
        project=_project(here),
        branch=here.branch,
        main=here.main.commit,
        chronicle=chronicle,
        snapshot=snapshot,
        board=board(judged(here, tasks_on_main(here)), snapshot),
        budgets=here.rules.loop.budgets,
        trust=here.rules.approvals.trust,
        now=now,
        past=past,
        stopped=bool(stops(here)),
        since=_since(since, now) if since else None,
        runs=runs,
        packets=_packets(ledger, told) if ledger else {},
        pending=_pending(ledger) if ledger else {},
        links=_links(here),
        answered=_answered(here),
        cut_off=frozenset(run.id for run in snapshot.runs.values() if not past and cut_off(run)),
        secrets=values_of(os.environ),
    )


def _since(text: str, now: int) -> int:
    from lifeos.core.when import minute, when

    since = when(text, now)
    if since > now:
        raise UsageError(
            f"--since {text[:80]} is later than what the report is about: {minute(now)} UTC",
            "name an earlier time, such as 30d",
        )
    return since


def _project(here: Here) -> str:
    from lifeos.tick.telling import project

    if here.ledger is not None:
        return project(context_of(here))
    return (here.repo.work_tree or here.repo.common_dir).name


def _links(here: Here) -> dict[str, str]:
    from lifeos.tick.telling import link

    if here.ledger is None:
        return {}
    context = context_of(here)
    return {item.id: link(context, item) for item in here.ledger.snapshot.items.values()}


def _answered(here: Here) -> frozenset[str]:
    """Items with an answer's file on main; whether it counts is for the tick."""
    from lifeos.core.answers import item_of
    from lifeos.tick.reading import queue_files

    named = (item_of(name) for name in queue_files(here.repo, here.main.tree))
    return frozenset(name for name in named if name)


def _pending(ledger: Ledger) -> dict[str, str]:
    """The files of the open items."""
    found = {item: ledger.read(f"queue/{item}.md") for item in ledger.snapshot.items}
    return {item: data.decode("utf-8", "replace") for item, data in found.items() if data}


def _packets(ledger: Ledger, runs: tuple[RunPast, ...]) -> dict[str, str]:
    """The packets of these runs: the final one, or the last that an open run was shown by."""
    from lifeos.store.endings import packet_path
    from lifeos.store.entries import attempt_path

    found = {}
    for run in runs:
        made = [one.n for one in run.attempts if "packet.md" in one.evidence]
        folder = attempt_path(run.id, made[-1]) if made and run.closed_at is None else ""
        data = ledger.read(f"{folder or packet_path(run.id)}/packet.md")
        if data:
            found[run.id] = data.decode("utf-8", "replace")
    return found
