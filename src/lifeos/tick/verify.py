"""Checking what the ledger claims: replay it, recheck every decision, compare with main.

Everything is read from commits, so it works in a bare clone too. A finding names the commit. What
cannot be checked here is said, not passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lifeos.core.approvals import Signed, is_approver
from lifeos.core.canonical import sha256, short_id
from lifeos.core.judge import judge
from lifeos.core.machine import apply
from lifeos.core.policy import Approvals, Governance
from lifeos.core.records import (
    Claimed,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
)
from lifeos.core.state import Snapshot
from lifeos.errors import IllegalTransition, LedgerBroken
from lifeos.governance import load_set
from lifeos.model import CloseOutcome, Frozen, Trust
from lifeos.store.history import changed_paths, is_ancestor, ledger_commits
from lifeos.store.ledger import (
    SEEN,
    Entry,
    attempt_path,
    packet_path,
    read_entries,
)
from lifeos.store.merge import merge
from lifeos.store.objects import LIFEOS
from lifeos.store.repo import Repo
from lifeos.store.signature import verify
from lifeos.store.trees import lookup, walk
from lifeos.tick.reading import BACKLOG, QUEUE, read_file


class Finding(Frozen):
    """One thing that is not as the ledger claims. ``commit`` is where."""

    commit: str
    what: str


class Verified(Frozen):
    """What was checked, what was found, and what could not be checked."""

    transitions: int = 0
    decisions: int = 0
    landings: int = 0
    answers: int = 0
    anchors: int = 0
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@dataclass
class _Audit:
    """One verification at work."""

    repo: Repo
    main: str | None
    snapshot: Snapshot = field(default_factory=Snapshot)
    findings: list[Finding] = field(default_factory=list)
    unchecked: dict[str, None] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)
    commits: set[str] = field(default_factory=set)
    landings: dict[str, Noted] = field(default_factory=dict)
    landed: set[str] = field(default_factory=set)
    sets: dict[str, Governance | None] = field(default_factory=dict)
    state_id: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    def find(self, commit: str, what: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(commit=commit, what=what))

    def count(self, what: str) -> None:
        """Count something that was checked."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def governance(self, tree: str, digest: str) -> Governance | None:
        """A set as a tree of the ledger has it; None when this lifeos cannot read it."""
        if digest not in self.sets:
            folder = lookup(self.repo.objects, tree, f"governance/{digest}")
            leaves = list(walk(self.repo.objects, folder.oid)) if folder else []
            contents = self.repo.objects.read_many(leaf.oid for leaf in leaves)
            files = {leaf.path: item[2] for leaf, item in zip(leaves, contents, strict=True)}
            loaded = load_set(files).governance
            fits = loaded is not None and loaded.digest == digest
            self.sets[digest] = loaded if fits else None
        return self.sets[digest]


def verify_ledger(
    repo: Repo,
    tip: str,
    main: str | None,
    progress: Callable[[int], None] = lambda _count: None,
) -> Verified:
    """Check the ledger at ``tip`` against itself and against ``main`` (a commit, None if unknown)."""
    audit = _Audit(repo, main)
    try:
        for number, entry in enumerate(read_entries(repo, tip), 1):
            _transition(audit, entry)
            progress(number)
    except LedgerBroken as error:
        audit.find(tip, error.message)
    if main is None:
        audit.unchecked["landings, answers and anchors: this clone has no main"] = None
    else:
        _anchors(audit, main)
    seen = repo.refs.read(SEEN)
    if seen and seen not in audit.commits:
        audit.find(seen, "this clone has seen this transition, and the ledger lacks it: a rewind")
    audit.unchecked["a rewind between two commits of main, where no clone has seen the rest"] = None
    return Verified(
        transitions=audit.snapshot.seq,
        decisions=audit.counts.get("decision", 0),
        landings=audit.counts.get("landing", 0),
        answers=audit.counts.get("answer", 0),
        anchors=audit.counts.get("anchor", 0),
        findings=tuple(audit.findings),
        unchecked=tuple(audit.unchecked),
    )


def _transition(audit: _Audit, entry: Entry) -> None:
    """One transition: whether it is possible here, and whether what it says is so."""
    audit.commits.add(entry.commit)
    record = entry.record
    if entry.author != LIFEOS.email:
        audit.find(entry.commit, f"it was not made by lifeos but by {entry.author}")
    for check in _CHECKS:
        check(audit, entry)
    try:
        audit.snapshot = apply(audit.snapshot, record, entry.commit)
    except IllegalTransition as error:
        message = f"ledger commit {entry.commit} is not possible where it stands: {error}"
        raise LedgerBroken(message) from error
    if audit.snapshot.seq != entry.seq:
        raise LedgerBroken(
            f"ledger commit {entry.commit} says it is transition {entry.seq}, but it is the"
            f" {audit.snapshot.seq}th: something was dropped, put in or reordered"
        )
    _state(audit, entry)


def _state(audit: _Audit, entry: Entry) -> None:
    """A stored snapshot must be the one that follows from the records."""
    leaf = lookup(audit.repo.objects, entry.tree, "state.json")
    if leaf is None or leaf.oid == audit.state_id:
        return
    audit.state_id = leaf.oid
    stored = Snapshot.model_validate_json(audit.repo.objects.read(leaf.oid)[1])
    if stored != audit.snapshot:
        audit.find(entry.commit, "its state.json does not follow from the records before it")


def _claim(audit: _Audit, entry: Entry) -> None:
    record = entry.record
    if isinstance(record, Claimed):
        if record.nonce in audit.nonces:
            audit.find(entry.commit, "its nonce was used before: a copied claim")
        audit.nonces.add(record.nonce)


def _decision(audit: _Audit, entry: Entry) -> None:
    """The recorded action is the one that the pinned rules choose on the recorded facts."""
    record = entry.record
    if not isinstance(record, Finished) or record.facts is None:
        return
    for name, digest in record.evidence.items():
        path = f"{attempt_path(record.run, record.n)}/{name}"
        data = read_file(audit.repo, entry.tree, path)
        if data is None or sha256(data) != digest:
            audit.find(entry.commit, f"{path} is not what the record names")
    run = audit.snapshot.runs.get(record.run)
    rules = audit.governance(entry.tree, run.governance) if run else None
    if run is None or rules is None:
        audit.unchecked["decisions under rules that this lifeos cannot read"] = None
        return
    again = judge(run, record.stage, record.facts, rules, record.at)
    taken = (record.action, record.rule, record.to, record.ask, record.wake)
    if (again.action, again.rule, again.to, again.ask, again.wake) != taken:
        audit.find(
            entry.commit,
            f"{record.action} by {record.rule} was recorded; the rules say"
            f" {again.action} by {again.rule}",
        )
    audit.count("decision")


def _opened(audit: _Audit, entry: Entry) -> None:
    record = entry.record
    if not isinstance(record, Opened):
        return
    if record.run != short_id("R", audit.snapshot.root, record.task, record.ordinal):
        audit.find(entry.commit, f"run {record.run} is not the id that follows from its task")
    if record.governance != audit.snapshot.governance:
        audit.find(entry.commit, f"run {record.run} was opened under a set that is not adopted")


def _item(audit: _Audit, entry: Entry) -> None:
    record = entry.record
    if isinstance(record, Held) and record.item != short_id(
        "Q", audit.snapshot.root, audit.snapshot.seq
    ):
        audit.find(entry.commit, f"item {record.item} is not the id that follows from its place")


def _answer(audit: _Audit, entry: Entry) -> None:
    """An answer lies in the commit it names, on main, brought by an approver of then."""
    record = entry.record
    if not isinstance(record, Resolved) or record.who == "expiry":
        return
    item = audit.snapshot.items.get(record.item)
    if item is None or audit.main is None:
        return
    audit.count("answer")
    if record.trust is Trust.MERGE:
        audit.unchecked["answers by merge: only the forge knows who merged"] = None
        return
    for what in _faults(audit, entry, record, item.governance):
        audit.find(entry.commit, f"the answer to {record.item}: {what}")


def _faults(audit: _Audit, entry: Entry, record: Resolved, when_opened: str) -> Iterator[str]:
    repo = audit.repo
    try:
        commit = repo.objects.commit(record.commit)
    except (KeyError, ValueError):
        yield f"its commit {record.commit[:12]} is not here"
        return
    if not is_ancestor(repo, record.commit, audit.main or ""):
        yield f"its commit {record.commit[:12]} is not on main"
    data = read_file(repo, commit.tree, f"{QUEUE}/{record.item}.approval.yaml")
    if data is None or data.decode("utf-8", "replace") != record.raw:
        yield f"its commit {record.commit[:12]} does not have what was recorded"
    for digest in {when_opened, audit.snapshot.governance}:
        rules = audit.governance(entry.tree, digest)
        if rules is None:
            audit.unchecked["answers under rules that this lifeos cannot read"] = None
        elif not is_approver(rules.approvals, record.who):
            yield f"{record.who} was not an approver"
        elif record.trust is Trust.SIGNATURE:
            yield from _signature(repo, record, rules.approvals)
        elif {
            commit.author.identity.email.casefold(),
            commit.committer.identity.email.casefold(),
        } != {record.who.casefold()}:
            yield f"{record.commit[:12]} was not brought by {record.who}"


def _signature(repo: Repo, record: Resolved, approvals: Approvals) -> Iterator[str]:
    signers = [(who.email, who.key) for who in approvals.approvers if who.key]
    signed = verify(repo, record.commit, signers)
    if not isinstance(signed, Signed) or signed.principal != record.who:
        yield f"{record.commit[:12]} is not signed by {record.who}"


def _landing(audit: _Audit, entry: Entry) -> None:
    """What a run landed is the noted commit, and the merge of main and the pure work."""
    record = entry.record
    if isinstance(record, Noted) and record.topic is Topic.LANDING and record.run:
        audit.landings[record.run] = record
    if not isinstance(record, Closed):
        return
    path = f"{packet_path(record.run)}/packet.json"
    data = read_file(audit.repo, entry.tree, path)
    if data is None or sha256(data) != record.packet:
        audit.find(entry.commit, f"the packet of {record.run} is not what the record names")
    if record.outcome is not CloseOutcome.PASS or audit.main is None:
        return
    noted = audit.landings.get(record.run)
    if noted is None or noted.commit != record.landed:
        audit.find(entry.commit, f"{record.run} landed {record.landed[:12]}, which was not noted")
        return
    audit.landed.add(noted.commit)
    audit.count("landing")
    if not is_ancestor(audit.repo, noted.commit, audit.main):
        audit.find(entry.commit, f"{record.landed[:12]}, landed by {record.run}, is not on main")
        return
    _rebuilt(audit, entry, noted)


def _rebuilt(audit: _Audit, entry: Entry, noted: Noted) -> None:
    repo = audit.repo
    commit = repo.objects.commit(noted.commit)
    if commit.tree != noted.tree or len(commit.parents) != 2 or commit.parents[0] != noted.onto:
        audit.find(entry.commit, f"{noted.commit[:12]} is not the landing that was noted")
        return
    run = audit.snapshot.runs.get(noted.run or "")
    work = repo.objects.commit(commit.parents[1])
    if run is not None and work.tree != run.work:
        audit.find(entry.commit, f"{noted.commit[:12]} does not land the work of {noted.run}")
    merged = merge(repo, *commit.parents)
    if merged.tree is None:
        audit.find(entry.commit, f"{noted.commit[:12]} is not a merge that git can make again")
        return
    own = [path for path in _between(repo, merged.tree, commit.tree) if not _bookkeeping(path)]
    if own:
        audit.find(entry.commit, f"{noted.commit[:12]} changes more than was built: {own[0]}")


def _between(repo: Repo, old: str, new: str) -> list[str]:
    from lifeos.store.diff import diff

    return [
        path for change in diff(repo, old, new) for path in (change.path, change.old_path) if path
    ]


def _bookkeeping(path: str) -> bool:
    return path == BACKLOG or path.startswith(f"{QUEUE}/")


def _anchors(audit: _Audit, main: str) -> None:
    """Every commit of lifeos on main names a tip of this ledger, and is bookkeeping or a landing."""
    for commit, anchor in ledger_commits(audit.repo, main):
        audit.count("anchor")
        if anchor not in audit.commits:
            audit.find(commit, f"it names the ledger tip {anchor[:12]}, which the ledger lacks")
        if commit in audit.landed or commit in {n.commit for n in audit.landings.values()}:
            continue
        parents = audit.repo.objects.commit(commit).parents
        if len(parents) != 1:
            audit.find(commit, "a landing in lifeos's name that the ledger does not note")
            continue
        other = [p for p in changed_paths(audit.repo, parents[0], commit) if not _bookkeeping(p)]
        if other:
            audit.find(commit, f"in lifeos's name it changes {other[0]}, and no run landed it")


_CHECKS: tuple[Callable[[_Audit, Entry], None], ...] = (
    _opened,
    _claim,
    _decision,
    _item,
    _answer,
    _landing,
)
