"""How what lifeos landed came to main: which run, answer or revert each of its commits is.

Told from what the ledger noted and from the shape of main's history, never from a name or a trailer
in a commit, which anybody can write.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lifeos.core.records import Held, Noted, Resolved, Topic
from lifeos.core.state import PullRequest
from lifeos.governance import load_set
from lifeos.model import Trust
from lifeos.store.entries import Entry, entries_with
from lifeos.store.ledger import Ledger
from lifeos.store.objects import MissingObject
from lifeos.store.repo import Repo
from lifeos.tick.landed import before_merge

_WORDS = (
    '"topic":"genesis"',
    '"topic":"governance"',
    '"topic":"landed"',
    '"topic":"landing"',
    '"topic":"pull"',
    '"topic":"reverted"',
    '"topic":"redacted"',
    '"kind":"held"',
    '"kind":"resolved"',
)
MOST_OWN = 2
"""Commits that lifeos makes for one queue PR."""
_ADOPTS = (Topic.GENESIS, Topic.GOVERNANCE, Topic.LANDED)
_MOST_REBASED = 50
"""Commits of one landing PR that are looked at, where a forge put them on main one by one."""


@dataclass(frozen=True)
class Landed:
    """A landing: ``commit`` on main, and what main was before it; ``noted`` is the transition.

    ``item``: a forge made the commit, by the merge of the landing PR of this question.
    """

    run: str
    commit: str
    onto: str
    noted: str
    at: int
    item: str = ""


@dataclass(frozen=True)
class TakenBack:
    """A commit of main that takes back what a run landed; ``noted`` is the transition."""

    run: str
    commit: str
    landed: str
    noted: str
    at: int
    who: str


@dataclass
class Landings:
    """Commits of main by what they are. ``after``: those since the ledger began, with parents."""

    after: Mapping[str, tuple[str, ...]]
    landed: dict[str, Landed] = field(default_factory=dict)
    """By each commit that the landing brought: itself, the pure work, what a forge made of both."""
    taken_back: dict[str, TakenBack] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    """The transition that followed a commit in which an approver ordered something redacted."""
    answers: dict[str, str] = field(default_factory=dict)
    """The item that a commit answers, or would have answered."""
    offered: dict[str, str] = field(default_factory=dict)
    """The item whose landing PR has this commit; it counts only where nothing says it landed."""
    asked_about: dict[str, str] = field(default_factory=dict)
    """The item that asked about a commit which reached main unasked."""
    items: dict[str, list[str]] = field(default_factory=dict)
    """The items of each run, and "" for those of none."""

    def knows(self, commit: str) -> bool:
        """Whether the ledger has something to say of this commit."""
        known = (self.landed, self.taken_back, self.answers, self.offered, self.orders)
        return any(commit in one for one in known)

    def reverted(self, run: str) -> TakenBack | None:
        """What took this run back, if anything did."""
        return next((one for one in self.taken_back.values() if one.run == run), None)


def landings_on(ledger: Ledger, main: str) -> Landings:
    """What the ledger knows of the commits of main. Raises ``GitError`` for a broken history."""
    entries = list(_believed(ledger, entries_with(ledger.repo, ledger.tip, _WORDS)))
    found = Landings(_history(ledger.repo, main, _genesis(entries)))
    pulls = _pulls(entries)
    for entry in entries:
        _take(found, entry, pulls)
    for item, commit, pull in _answered_by_merge(entries):
        for own in _rebased(ledger.repo, found, commit, pull):
            found.answers.setdefault(own, item)
    return found


def _believed(ledger: Ledger, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Without notes of pull requests where answers did not come by them: they hide no commit."""
    adopted, by_merge = "", {"": False}
    for entry in entries:
        record = entry.record
        if isinstance(record, Noted) and record.topic in _ADOPTS and record.digest:
            adopted = record.digest
        if isinstance(record, Noted) and record.pull is not None:
            if adopted not in by_merge:
                rules = load_set(ledger.governance(adopted)).governance
                by_merge[adopted] = rules is None or rules.approvals.trust is Trust.MERGE
            if not by_merge[adopted] or record.pull.commits > MOST_OWN:
                continue
        yield entry


def _genesis(entries: Iterable[Entry]) -> str:
    """The commit of main that the ledger began with; "" if it does not say."""
    for record in (entry.record for entry in entries):
        if isinstance(record, Noted) and record.topic is Topic.GENESIS:
            return record.commit
    return ""


def _history(repo: Repo, main: str, genesis: str) -> dict[str, tuple[str, ...]]:
    """The commits of main since lifeos began there, with their parents."""
    since: tuple[str, ...] = ()
    with contextlib.suppress(MissingObject, ValueError):
        since = (f"^{repo.objects.commit(genesis).oid}",)
    out = repo.git.run("rev-list", "--parents", "--end-of-options", main, *since)
    lines = (line.split(" ") for line in out.decode("ascii").splitlines())
    return {commit: tuple(parents) for commit, *parents in lines}


Pulls = Mapping[str, list[tuple[str, PullRequest]]]
"""The landing PRs of each run, with the items that they were for, in the order of asking."""


def _pulls(entries: Iterable[Entry]) -> Pulls:
    runs: dict[str, str] = {}
    found: dict[str, list[tuple[str, PullRequest]]] = {}
    for record in (entry.record for entry in entries):
        if isinstance(record, Held) and record.run:
            runs[record.item] = record.run
        elif isinstance(record, Noted) and record.pull is not None and record.pull.landing:
            run = runs.get(record.item, "")
            found.setdefault(run, []).append((record.item, record.pull))
    return found


def _answered_by_merge(entries: Iterable[Entry]) -> list[tuple[str, str, PullRequest]]:
    """Item, commit on main and queue PR of the answers that brought more than themselves."""
    pulls: dict[str, PullRequest] = {}
    found = []
    for record in (entry.record for entry in entries):
        if isinstance(record, Noted) and record.pull is not None and record.pull.commits > 1:
            pulls[record.item] = record.pull
        elif isinstance(record, Resolved) and record.commit and record.item in pulls:
            pull = pulls[record.item]
            found += [] if pull.landing else [(record.item, record.commit, pull)]
    return found


def _rebased(repo: Repo, found: Landings, commit: str, pull: PullRequest) -> list[str]:
    """What a forge made of a queue PR, where it put its commits on main one by one."""
    if len(found.after.get(commit, ())) != 1:
        return []
    return _since(found, commit, before_merge(repo, commit, pull.head))


def _since(found: Landings, commit: str, onto: str) -> list[str]:
    """The commits from this one back to ``onto``, without that; none if it is not among them."""
    chain = _chain(found, commit, _MOST_REBASED)
    return chain[: chain.index(onto)] if onto and onto in chain else []


def _take(found: Landings, entry: Entry, pulls: Pulls) -> None:
    record = entry.record
    match record:
        case Noted(topic=Topic.LANDING) if record.run:
            _take_landing(found, entry, record, pulls.get(record.run, []))
        case Noted(topic=Topic.REDACTED):
            found.orders[record.commit] = entry.commit
        case Noted(topic=Topic.REVERTED):
            found.taken_back[record.commit] = TakenBack(
                run=record.run or "",
                commit=record.commit,
                landed=record.onto,
                noted=entry.commit,
                at=record.at,
                who=record.who,
            )
        case Noted(pull=PullRequest() as pull):
            known = found.offered if pull.landing else found.answers
            for commit in _own(found, pull.head, pull.commits):
                known.setdefault(commit, record.item)
        case Resolved() if record.commit:
            found.answers.setdefault(record.commit, record.item)
        case Held():
            found.items.setdefault(record.run or "", []).append(record.item)
            if record.run is None and record.about in found.after:
                for commit in _since(found, record.about, record.onto) or [record.about]:
                    found.asked_about[commit] = record.item
        case _:
            pass


def _take_landing(
    found: Landings, entry: Entry, record: Noted, pulls: list[tuple[str, PullRequest]]
) -> None:
    parents = found.after.get(record.commit)
    if parents is None:
        return  # noted, and main has moved on without it
    item, own = "", []
    if len(parents) > 1:
        named = next(((i, p) for i, p in pulls if p.head == parents[1]), None)
        item, count = (named[0], named[1].commits) if named else ("", 1)
        own = _own(found, parents[1], count)
    elif pulls:  # squashed, or put there one by one
        item, chain = pulls[-1][0], _chain(found, record.commit, _MOST_REBASED)
        own = chain[: chain.index(record.onto)] if record.onto in chain else []
    landed = Landed(
        run=record.run or "",
        commit=record.commit,
        onto=record.onto,
        noted=entry.commit,
        at=record.at,
        item=item,
    )
    for commit in (record.commit, *own):
        found.landed[commit] = landed
        found.answers.pop(commit, None)


def _own(found: Landings, head: str, count: int) -> list[str]:
    """So many commits up to ``head``."""
    return _chain(found, head, count)[:count]


def _chain(found: Landings, start: str, most: int) -> list[str]:
    """Commits from ``start`` back along first parents, at most so many, and what comes before."""
    chain = [start]
    while chain[-1] in found.after and len(chain) <= most:
        chain.append(next(iter(found.after[chain[-1]]), ""))
    return chain
