"""Whether main is what the ledger says landed, and who made each commit in lifeos's name."""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core.judge import landing_checkpoint
from lifeos.core.policy import Governance
from lifeos.core.policy.config import MainWrites
from lifeos.core.records import Claimed, Closed, Noted, Topic
from lifeos.core.state import Run
from lifeos.model import CloseOutcome, Frozen, Stage
from lifeos.store.branch import Made
from lifeos.store.entries import Entry
from lifeos.store.history import changed_paths, is_ancestor
from lifeos.store.merge import merge
from lifeos.store.objects import Commit
from lifeos.store.treecache import Folder
from lifeos.store.trees import FOLDER
from lifeos.tick.audit import Area, Audit
from lifeos.tick.audit_pulls import brought_by_pull
from lifeos.tick.bookkeeping import OURS
from lifeos.tick.landings import Landings
from lifeos.tick.reading import BACKLOG, QUEUE

_FEW = 64
"""Commits of main between a base and a landing that are followed by hand."""


def check_gate(audit: Audit, entry: Entry) -> None:
    """Nobody starts what a person had to decide first."""
    record = entry.record
    run = audit.snapshot.runs.get(record.run) if isinstance(record, Claimed) else None
    if run is None or not isinstance(record, Claimed):
        return
    if run.commands:
        audit.find(entry.commit, f"{run.id} goes on with commands that nobody allowed")
    rules = audit.governance(entry.tree, run.governance)
    adopted = audit.governance(entry.tree, audit.snapshot.governance)
    if record.stage is not Stage.CLOSE or rules is None or adopted is None:
        return
    if adopted.config.main_writes is MainWrites.PR:
        return  # there it is tried to find a conflict, and nothing lands but by its merge
    _require_approval(audit, entry, run, rules)


def _require_approval(audit: Audit, entry: Entry, run: Run, rules: Governance) -> None:
    rule = landing_checkpoint(run, rules.loop)
    if rule and not (run.approved_on or run.merged):  # a merge is an approval, once it was taken
        audit.find(entry.commit, f"{run.id} lands without the approval that {rule} asks for")


def check_landing(audit: Audit, entry: Entry) -> None:
    """What a run landed is the noted commit, and the merge of main and the pure work.

    So is every other commit that was noted as a landing, if main has it: the ledger vouches for all
    of them. One that lost the race for main is nowhere.
    """
    record = entry.record
    if isinstance(record, Noted) and record.topic is Topic.LANDING and record.run:
        _noted(audit, entry, record, record.run)
    elif isinstance(record, Closed) and record.outcome is CloseOutcome.PASS:
        audit.count(Area.LANDINGS)
        noted = audit.landings.get(record.run)
        landed = record.landed[:12]
        if noted is None or noted.commit != record.landed:
            audit.find(entry.commit, f"{record.run} landed {landed}, which was not noted")
        elif audit.main is not None and not audit.is_on_main(record.landed):
            audit.find(entry.commit, f"{landed}, landed by {record.run}, is not on main")


def _noted(audit: Audit, entry: Entry, record: Noted, name: str) -> None:
    audit.landings[name] = record
    audit.noted.add(record.commit)
    run = audit.snapshot.runs.get(name)
    rules = audit.governance(entry.tree, run.governance) if run is not None else None
    if run is not None and rules is not None:
        _require_approval(audit, entry, run, rules)
    commit = audit.commit(record.commit) if audit.is_on_main(record.commit) else None
    if commit is None:
        return
    faults = list(_rebuilt(audit, entry, record, commit))
    for what in faults:
        audit.find(entry.commit, f"{commit.oid[:12]}, landed by {name}, {what}")
    if not faults and (run is None or run.merged != commit.oid):
        audit.works.update(commit.parents[1:])


def _rebuilt(audit: Audit, entry: Entry, noted: Noted, commit: Commit) -> Iterator[str]:
    """Merge again: main before it, and the work that was built."""
    run = audit.snapshot.runs.get(noted.run or "")
    if run is not None and run.merged == commit.oid:
        yield from _merged_by_forge(audit, entry, noted, run, commit)
        return
    if commit.tree != noted.tree or len(commit.parents) != 2 or commit.parents[0] != noted.onto:
        yield "is not the landing that was noted"
        return
    work = audit.repo.objects.commit(commit.parents[1])
    if run is not None and (work.tree, work.parents) != (run.work, (run.base,)):
        yield "does not land the work that was built"
    prefix = audit.prefix(entry.tree)
    landed = audit.content(commit.tree, prefix)
    if landed == _plainly_merged(audit, commit.parents[0], work, prefix):
        return
    merged = merge(audit.repo, *commit.parents)
    if merged.tree is None:
        yield "is not a merge that git can make again"
    elif audit.content(merged.tree, prefix) != landed:
        yield f"changes more than was built: {', '.join(_own(audit, merged.tree, commit.tree))}"


def _plainly_merged(audit: Audit, onto: str, work: Commit, prefix: str) -> str:
    """The content of the merge where git need not be asked for it; '' where it must.

    If main has nothing but bookkeeping since the base, and the work leaves the backlog and the
    queue alone, then what is merged is the work.
    """
    base = next(iter(work.parents), "")
    before, now = (audit.on_main.get(oid) for oid in (base, onto))
    if before is None or now is None or not _soon_after(audit, base, onto):
        return ""
    untouched = all(
        audit.trees.lookup(before.tree, path) == audit.trees.lookup(work.tree, path)
        for path in (BACKLOG, QUEUE)
    )
    same = audit.content(before.tree, prefix) == audit.content(now.tree, prefix)
    return audit.content(work.tree, prefix) if untouched and same else ""


def _soon_after(audit: Audit, base: str, onto: str) -> bool:
    """Whether main came from the base to here in a few commits, one after the other."""
    here = onto
    for _ in range(_FEW):
        if here == base:
            return True
        made = audit.on_main.get(here)
        if made is None or not made.parents:
            return False
        here = made.parents[0]
    return False


def _merged_by_forge(
    audit: Audit, entry: Entry, noted: Noted, run: Run, commit: Commit
) -> Iterator[str]:
    """A forge makes its own commits: the tree alone says whether they are what was approved."""
    repo = audit.repo
    if commit.tree != noted.tree or not _precedes(audit, noted.onto, commit):
        yield "is not the landing that was noted"
        return
    work = repo.objects.write_commit(run.work, (run.base,), "the work", when=0)
    merged = merge(repo, noted.onto, work)
    prefix = audit.prefix(entry.tree)
    if merged.tree is None or audit.content(merged.tree, prefix) != audit.content(
        commit.tree, prefix
    ):
        yield "is not main before it with the work that was built"


def _precedes(audit: Audit, onto: str, commit: Commit) -> bool:
    return onto in commit.parents or (
        audit.commit(onto) is not None and is_ancestor(audit.repo, onto, commit.oid)
    )


def _own(audit: Audit, old: str, new: str) -> list[str]:
    """Changed paths, those that are more than bookkeeping first."""
    paths = changed_paths(audit.repo, old, new)
    return sorted(paths, key=_bookkeeping)[:5]


def _bookkeeping(path: str) -> bool:
    return path == BACKLOG or path.startswith(f"{QUEUE}/")


def check_main(audit: Audit, main: str, prefix: str) -> None:
    """Every commit in lifeos's name on main names a tip of this ledger and is accounted for."""
    for made in audit.on_main.values():
        audit.count(Area.MAIN)
        if not made.by_lifeos or made.commit in audit.works:
            continue
        audit.anchors += 1
        lacking = [anchor for anchor in made.anchors if not audit.is_transition(anchor)]
        for anchor in lacking:
            audit.find(
                made.commit, f"it names the ledger tip {anchor[:12]}, which the ledger lacks"
            )
        if not made.anchors:
            audit.find(made.commit, "in lifeos's name, but it names no tip of the ledger")
        if made.commit not in audit.noted and made.commit not in audit.pulls:
            _accounted(audit, made, prefix)
        if made.anchors and not lacking:
            _queue(audit, made, made.anchors[-1])
    if main not in audit.on_main:
        audit.find(main, "main cannot be read")


def _accounted(audit: Audit, made: Made, prefix: str) -> None:
    """A commit that landed nothing may change marks, ids and the queue."""
    if len(made.parents) != 1:
        audit.find(made.commit, "a landing in lifeos's name that the ledger does not note")
        return
    before = audit.on_main[made.parents[0]].tree
    if audit.content(before, prefix) != audit.content(made.tree, prefix):
        own = ", ".join(_own(audit, before, made.tree))
        audit.find(made.commit, f"in lifeos's name it changes {own}, and no run landed it")


def _queue(audit: Audit, made: Made, anchor: str) -> None:
    """What lifeos puts into the queue is what its ledger has, and never an answer.

    What it takes away is of a question that was over.
    """
    parent = audit.on_main.get(next(iter(made.parents), ""))
    before, now = (_folder(audit, one.tree, QUEUE) if one else {} for one in (parent, made))
    if before == now:
        return
    anchor = audit.redacted.former.get(anchor, anchor)
    asked = _folder(audit, audit.repo.objects.commit(anchor).tree, "queue")
    for name, entry in now.items():
        if before.get(name) == entry:
            continue
        known = name in asked and asked[name].oid == entry.oid
        if not known and not brought_by_pull(audit, made.commit, name, entry.mode, entry.oid):
            audit.find(
                made.commit, f"in lifeos's name it puts in {QUEUE}/{name}, which the ledger lacks"
            )
    for name in before.keys() - now.keys():
        if not _may_go(audit, name, anchor):
            what = f"in lifeos's name it takes away {QUEUE}/{name}, whose question was not over"
            audit.find(made.commit, what)


def _may_go(audit: Audit, name: str, anchor: str) -> bool:
    """Whether lifeos takes this file of the queue away, at this transition.

    A tick that has not heard of a question yet takes its page for one that nobody asked.
    """
    match, at = OURS.fullmatch(name), audit.numbers.get(anchor)
    if match is None:
        return False
    item, page = match[1], match[2] == "md"
    if at is None or item not in audit.asked:
        return True
    over = audit.over.get(item)
    return (over is not None and over <= at) or (page and at < audit.asked[item])


def _folder(audit: Audit, tree: str, path: str) -> Folder:
    leaf = audit.trees.lookup(tree, path)
    return audit.trees.folder(leaf.oid) if leaf is not None and leaf.mode == FOLDER else {}


# --- what did not come through lifeos ---------------------------------------------------------


class Outside(Frozen):
    """A commit of main that lifeos neither made nor landed; ``at`` in seconds UTC."""

    commit: str
    author: str
    email: str
    at: int
    subject: str


def outside(audit: Audit, landings: Landings) -> tuple[Outside, ...]:
    """The commits since the ledger began that did not come through lifeos, newest first.

    One that says on its own that it is lifeos's, and is not, is a finding.
    """
    found = []
    for oid in landings.after:
        made = audit.on_main[oid]
        known = landings.knows(oid) and oid not in audit.doubted
        if known or oid in audit.works or made.by_lifeos:
            continue  # those in lifeos's name are checked one by one
        if made.names_lifeos and oid not in landings.asked_about:
            what = "it says that lifeos wrote or made it, and the ledger knows nothing of it"
            audit.find(oid, what, Area.MAIN)
        found.append(
            Outside(
                commit=oid,
                author=made.author,
                email=made.email,
                at=made.at,
                subject=made.subject,
            )
        )
    return tuple(found)
