"""Whether the head of each queue PR is what lifeos makes of its question, and nothing else.

What a pull request brought to main is believed because the ledger noted its head before; so the
head is made again. One that main never had brought nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core.answers import answer_path, answer_text
from lifeos.core.records import Noted
from lifeos.core.state import Item, PullRequest
from lifeos.core.table import TAKES_BACK
from lifeos.core.unified import DoesNotApply
from lifeos.errors import LedgerBroken
from lifeos.model import Decision, Trust
from lifeos.store.branch import Made
from lifeos.store.entries import Entry
from lifeos.store.ledger import Ledger
from lifeos.store.merge import merge
from lifeos.store.trees import FILE
from lifeos.tick.audit import Audit
from lifeos.tick.landings import MOST_OWN
from lifeos.tick.pull_head import without_commit


def check_pull(audit: Audit, entry: Entry) -> None:
    """A note of a queue PR, before it is applied: there may be one, and it brings what it may."""
    record = entry.record
    if not isinstance(record, Noted) or record.pull is None:
        return
    item, pull = audit.snapshot.items.get(record.item), record.pull
    if item is None:
        return  # not possible here, and said when the record is applied
    if item.pull is not None:
        return  # opened now, or again: it has one head, looked at when that was intended
    faults = list(_faults(audit, entry, item, pull))
    for what in faults:
        audit.find(entry.commit, f"the pull request of {item.id}: {what}")
    text = answer_text(item.id, Decision.APPROVE, item.subject)
    answer = "" if pull.landing else audit.repo.objects.hash("blob", text)
    own = _own(audit, pull)
    if faults:
        audit.doubted.update(made.commit for made in own)
        return
    for made in own[:1]:
        audit.pulls[made.commit] = (answer_path(item.id).rpartition("/")[2], answer)
    audit.works.update(made.commit for made in own[1:])


def _own(audit: Audit, pull: PullRequest) -> list[Made]:
    """Its own commits, newest first, as far as main has them."""
    found: list[Made] = []
    made = audit.on_main.get(pull.head)
    while made is not None and len(found) < pull.commits:
        found.append(made)
        made = audit.on_main.get(next(iter(made.parents), ""))
    return found


def _faults(audit: Audit, entry: Entry, item: Item, pull: PullRequest) -> Iterator[str]:
    rules = audit.governance(entry.tree, audit.snapshot.governance)
    if rules is None:
        audit.skip("pull requests under rules that this lifeos cannot read")
    elif rules.approvals.trust is not Trust.MERGE:
        yield f"answers come by trust {rules.approvals.trust}, and not by pull requests"
        return
    own = _own(audit, pull)
    if not own:
        return
    if not 0 < pull.commits <= MOST_OWN:
        yield f"it would be {pull.commits} commits, and lifeos makes {MOST_OWN} at most"
        return
    onto = audit.on_main.get(next(iter(own[-1].parents), ""))
    if onto is None or any(len(one.parents) != 1 or not one.by_lifeos for one in own):
        yield f"{pull.head[:12]} is not of commits that lifeos made on main"
        return
    prefix = audit.prefix(entry.tree)
    wanted = _brought(audit, item, pull, onto, prefix)
    head, *below = own
    same = wanted and audit.content(wanted, prefix) == audit.content(head.tree, prefix)
    if not same or any(made.tree != wanted for made in below):
        yield f"{head.commit[:12]} is not what was to be brought to main"


def _brought(audit: Audit, item: Item, pull: PullRequest, onto: Made, prefix: str) -> str | None:
    """Main's tree with what this question brings; None where nothing can be prepared.

    Of two commits the first has just that tree. The last, or only one, has the bookkeeping too.
    """
    run = audit.snapshot.runs.get(item.run or "")
    if pull.landing and item.proposed is not None:
        return _with_proposal(audit, item, onto.tree, prefix)
    if pull.landing:
        if run is None or not run.work:
            return None
        work = audit.repo.objects.write_commit(run.work, (run.base,), "the work", when=0)
        return merge(audit.repo, onto.commit, work).tree
    if pull.commits > 1:
        return without_commit(audit.repo, onto.tree, item) if item.rule in TAKES_BACK else None
    return onto.tree


def _with_proposal(audit: Audit, item: Item, tree: str, prefix: str) -> str | None:
    from lifeos.tick.change import changed_tree, proposal_of

    ledger = Ledger(audit.repo, "", audit.tree, audit.snapshot)
    try:
        return changed_tree(audit.repo, tree, proposal_of(ledger, item.id, item.about), prefix)
    except (DoesNotApply, LedgerBroken):
        return None


def brought_by_pull(audit: Audit, commit: str, name: str, mode: str, oid: str) -> bool:
    """Whether a file of the queue is the answer that the merge of its pull request gives."""
    return mode == FILE and oid != "" and audit.pulls.get(commit) == (name, oid)
