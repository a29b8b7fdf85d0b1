"""Whether main is what the ledger says landed, and who made each commit in lifeos's name."""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core.judge import landing_checkpoint
from lifeos.core.policy import Governance
from lifeos.core.policy.config import MainWrites
from lifeos.core.records import Claimed, Closed, Noted, Topic
from lifeos.core.state import PullRequest, Run
from lifeos.model import CloseOutcome, Stage
from lifeos.store.entries import Entry
from lifeos.store.history import changed_paths, is_ancestor, lifeos_commits
from lifeos.store.merge import merge
from lifeos.store.objects import Commit
from lifeos.store.repo import Repo
from lifeos.store.trees import lookup
from lifeos.tick.audit import Audit
from lifeos.tick.reading import BACKLOG, QUEUE


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
    """What a run landed is the noted commit, and the merge of main and the pure work."""
    record = entry.record
    if isinstance(record, Noted) and record.topic is Topic.LANDING and record.run:
        audit.landings[record.run] = record
        audit.noted.add(record.commit)
        run = audit.snapshot.runs.get(record.run)
        rules = audit.governance(entry.tree, run.governance) if run is not None else None
        if run is not None and rules is not None:
            _require_approval(audit, entry, run, rules)
        if run is None or run.merged != record.commit:
            audit.works.update(second_parent(audit.repo, record.commit))
    elif isinstance(record, Noted) and record.pull is not None:
        audit.works.update(_own_commits(audit.repo, record.pull))
    elif isinstance(record, Noted) and record.topic is Topic.REVERTED:
        if audit.main is not None and not _on_main(audit, record.commit):
            audit.find(entry.commit, f"{record.commit[:12]}, which took it back, is not on main")
    elif isinstance(record, Closed) and record.outcome is CloseOutcome.PASS:
        noted = audit.landings.get(record.run)
        if noted is None or noted.commit != record.landed:
            landed = record.landed[:12]
            audit.find(entry.commit, f"{record.run} landed {landed}, which was not noted")
        elif audit.main is not None:
            _landed(audit, entry, noted)


def second_parent(repo: Repo, commit: str) -> tuple[str, ...]:
    """The pure work of a landing; nothing for what is no landing, or not here."""
    try:
        return repo.objects.commit(commit).parents[1:]
    except (KeyError, ValueError):
        return ()


def _own_commits(repo: Repo, pull: PullRequest) -> Iterator[str]:
    """The commits of a queue PR that lifeos made, as far as they are here."""
    oid = pull.head
    for _ in range(pull.commits):
        try:
            commit = repo.objects.commit(oid)
        except (KeyError, ValueError):
            return
        yield oid
        oid = commit.parents[0]


def _on_main(audit: Audit, commit: str) -> bool:
    try:
        audit.repo.objects.commit(commit)
    except (KeyError, ValueError):
        return False
    return is_ancestor(audit.repo, commit, audit.main or "")


def _landed(audit: Audit, entry: Entry, noted: Noted) -> None:
    audit.count("landing")
    if not _on_main(audit, noted.commit):
        short = noted.commit[:12]
        audit.find(entry.commit, f"{short}, landed by {noted.run}, is not on main")
        return
    for what in _rebuilt(audit, entry, noted, audit.repo.objects.commit(noted.commit)):
        audit.find(entry.commit, f"{noted.commit[:12]}, landed by {noted.run}, {what}")


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
    merged = merge(audit.repo, *commit.parents)
    if merged.tree is None:
        yield "is not a merge that git can make again"
        return
    prefix = audit.prefix(entry.tree)
    if audit.content(merged.tree, prefix) != audit.content(commit.tree, prefix):
        yield f"changes more than was built: {', '.join(_own(audit, merged.tree, commit.tree))}"


def _merged_by_forge(
    audit: Audit, entry: Entry, noted: Noted, run: Run, commit: Commit
) -> Iterator[str]:
    """A forge makes its own commits: the tree alone says whether they are what was approved."""
    repo = audit.repo
    if commit.tree != noted.tree or not is_ancestor(repo, noted.onto, commit.oid):
        yield "is not the landing that was noted"
        return
    work = repo.objects.write_commit(run.work, (run.base,), "the work", when=0)
    merged = merge(repo, noted.onto, work)
    prefix = audit.prefix(entry.tree)
    if merged.tree is None or audit.content(merged.tree, prefix) != audit.content(
        commit.tree, prefix
    ):
        yield "is not main before it with the work that was built"


def _own(audit: Audit, old: str, new: str) -> list[str]:
    """Changed paths, those that are more than bookkeeping first."""
    paths = changed_paths(audit.repo, old, new)
    return sorted(paths, key=_bookkeeping)[:5]


def _bookkeeping(path: str) -> bool:
    return path == BACKLOG or path.startswith(f"{QUEUE}/")


def check_main(audit: Audit, main: str, prefix: str) -> None:
    """Every commit in lifeos's name on main names a tip of this ledger and is accounted for."""
    for oid, anchors in lifeos_commits(audit.repo, main):
        if oid in audit.works:
            continue
        audit.count("anchor")
        lacking = [anchor for anchor in anchors if anchor not in audit.commits]
        for anchor in lacking:
            audit.find(oid, f"it names the ledger tip {anchor[:12]}, which the ledger lacks")
        if not anchors:
            audit.find(oid, "in lifeos's name, but it names no tip of the ledger")
        commit = audit.repo.objects.commit(oid)
        if oid not in audit.noted:
            _accounted(audit, commit, prefix)
        if anchors and not lacking:
            _queue(audit, commit, anchors[-1])


def _accounted(audit: Audit, commit: Commit, prefix: str) -> None:
    """A commit that landed nothing may change marks, ids and the queue."""
    if len(commit.parents) != 1:
        audit.find(commit.oid, "a landing in lifeos's name that the ledger does not note")
        return
    before = audit.repo.objects.commit(commit.parents[0]).tree
    if audit.content(before, prefix) != audit.content(commit.tree, prefix):
        own = ", ".join(_own(audit, before, commit.tree))
        audit.find(commit.oid, f"in lifeos's name it changes {own}, and no run landed it")


def _queue(audit: Audit, commit: Commit, anchor: str) -> None:
    """What lifeos puts into the queue is what its ledger has, and never an answer."""
    objects = audit.repo.objects
    ledger = objects.commit(anchor).tree
    for path in changed_paths(audit.repo, commit.parents[0], commit.oid):
        now = lookup(objects, commit.tree, path) if path.startswith(f"{QUEUE}/") else None
        if now is None:
            continue
        asked = lookup(objects, ledger, f"queue/{path.removeprefix(f'{QUEUE}/')}")
        if asked is None or asked.oid != now.oid:
            audit.find(commit.oid, f"in lifeos's name it puts in {path}, which the ledger lacks")
