"""Whether the page of each question says what is asked: it is written again, and compared.

An approver reads the page and answers by the subject, so that who alters the page alone chooses
what they approve. Its words are those of the lifeos that asked; which version that was, the packets
before and after tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from lifeos import __version__
from lifeos.core.backlog.entry import Task
from lifeos.core.backlog.parse import parse
from lifeos.core.improve.proposal import Proposal
from lifeos.core.policy import Governance
from lifeos.core.records import Closed, Held
from lifeos.core.table import TAKES_BACK
from lifeos.errors import LedgerBroken
from lifeos.model import Trust
from lifeos.store.diff import diffstat
from lifeos.store.entries import Entry
from lifeos.store.ledger import Ledger
from lifeos.tick.audit import Area, Audit, OddPage
from lifeos.tick.change import proposal_of
from lifeos.tick.pending import PAST_UNDER, Sources, page_of
from lifeos.tick.reading import BACKLOG, governance_files

_PAST = re.compile(rf"## {re.escape(PAST_UNDER)}\n\n(`{{3,}})text\n.*?\n\1\n\n", re.DOTALL)
_OTHER = "the pages of questions that another version of lifeos may have written"
_RULES_PAST = "what pages about rules say of the past: `lifeos backtest` computes that again"


def check_page(audit: Audit, entry: Entry) -> None:
    """Before the question is applied. What an end tells of the version decides on those before."""
    record = entry.record
    if isinstance(record, Closed):
        settle_pages(audit)
    if not isinstance(record, Held):
        return
    path = f"queue/{record.item}.md"
    page = audit.changed([path]).get(path)
    if page is None:
        audit.find(entry.commit, f"{path} is not there")
        return
    if _redacted(audit, entry, record):
        audit.skip("the pages of questions about runs of which something was redacted")
    elif not _asks(audit, entry, record, page):
        audit.odd_pages.append(OddPage(entry.commit, path, audit.version))


def _redacted(audit: Audit, entry: Entry, record: Held) -> bool:
    """Whether something that the page was written from may have been taken out since, or itself."""
    own = (f"queue/{record.item}.md", f"proposals/{record.item}/", f"runs/{record.run}/")
    return any(path.startswith(own) for path in audit.redacted.since(entry.seq))


def settle_pages(audit: Audit) -> None:
    """Judge the pages that are other than this lifeos writes them, by the packets around them."""
    for odd in audit.odd_pages:
        if {odd.before, audit.version} <= {"", __version__}:
            audit.find(odd.commit, f"{odd.path} is not what was asked", Area.APPROVALS)
        else:
            audit.skip(_OTHER, Area.APPROVALS)
    audit.odd_pages.clear()


def _asks(audit: Audit, entry: Entry, record: Held, page: bytes) -> bool:
    """Whether the page is the one of this question, as far as it can be written again."""
    run = audit.snapshot.runs.get(record.run or "")
    rules = audit.governance(entry.tree, audit.snapshot.governance)
    if rules is None or (run and audit.governance(entry.tree, run.governance) is None):
        audit.skip("the pages of questions under rules that this lifeos cannot read")
        return True
    apart = record.run is None and record.rule not in TAKES_BACK and record.proposed is None
    on_main = _rules_on_main(audit, record.about) if apart else {}
    if on_main is None:
        audit.skip("the pages of questions about rules that main has nowhere")
        return True
    if apart and PAST_UNDER.encode() in page:
        audit.skip(_RULES_PAST)
        page = _PAST.sub("", page.decode("utf-8", "replace"), count=1).encode()
    ledger = Ledger(audit.repo, next(iter(entry.parents), ""), audit.tree, audit.snapshot)
    sources = Sources(
        snapshot=audit.snapshot,
        by_pull=rules.approvals.trust is Trust.MERGE,
        read=ledger.read,
        stat=partial(diffstat, audit.repo),
        governance=lambda digest: _rules(audit, entry, digest),
        task=lambda name: _task(audit, entry, record, name),
        proposal=lambda: _proposal(audit, entry, record),
        adopted=lambda: ledger.governance(audit.snapshot.governance),
        on_main=lambda: on_main,
        past=lambda: "",
    )
    try:
        return page == page_of(sources, record)
    except (ValueError, LedgerBroken):
        return False  # what it shows cannot be read, and is a finding of its own


def _rules(audit: Audit, entry: Entry, digest: str) -> Governance:
    rules = audit.governance(entry.tree, digest)
    if rules is None:
        raise LedgerBroken(f"this lifeos cannot read the set {digest[:12]}")
    return rules


def _rules_on_main(audit: Audit, digest: str) -> Mapping[str, bytes] | None:
    """The files of a set that main had once; None where it is not known any more."""
    for made in audit.on_main.values():
        if audit.rules_at(made.tree) == digest:
            return governance_files(audit.repo, made.tree)
    return None


def _task(audit: Audit, entry: Entry, record: Held, name: str) -> tuple[Task, str] | None:
    """A task of main as the question was asked, with its text; main may lack its id still."""
    tree, run = audit.tree_of(record.main), audit.snapshot.runs[record.run or ""]
    data = audit.read(tree, BACKLOG) if tree else None
    if data is None:
        return None
    backlog = parse(data, BACKLOG, audit.prefix(entry.tree))
    alike = [task for task in backlog.tasks if not task.id and task.title == run.title]
    same = next((task for task in alike if task.digest == run.task_digest), None)
    found = backlog.task(name) or same or next(iter(alike), None)
    if found is None:
        return None
    start, end = found.span
    return found, data[start:end].decode("utf-8", "replace")


def _proposal(audit: Audit, entry: Entry, record: Held) -> Proposal:
    ledger = Ledger(audit.repo, entry.commit, entry.tree, audit.snapshot)
    return proposal_of(ledger, record.item, record.about)
