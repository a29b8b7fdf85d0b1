"""What is so about proposals: gathered for ``decide``, and nothing read where there is none.

A search reads the whole past, so it is made only when it is due: when the policy's number of runs
was closed since the last one, or a draft was asked for. What it found is remembered while this tick
asks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifeos.core.facts import Draft, Improving
from lifeos.core.improve.look import Look
from lifeos.core.improve.measure import measured
from lifeos.core.improve.patterns import patterns
from lifeos.core.improve.proposal import Category, Pattern, Proposal
from lifeos.core.improve.redraft import Refused, redrafted
from lifeos.core.improve.reverting import take_back
from lifeos.core.improve.steps import is_over
from lifeos.core.improve.thresholds import MOST_OPEN
from lifeos.core.improve.transitions import patterns_taken
from lifeos.core.improve.trial import REVERTS, Measured, Proposed
from lifeos.core.policy import Governance
from lifeos.core.review import Review
from lifeos.core.state import Due, Searched, Snapshot
from lifeos.core.table import REVIEWS
from lifeos.errors import LedgerBroken
from lifeos.store.entries import attempt_path
from lifeos.store.remote import contains
from lifeos.store.trees import lookup
from lifeos.tick.change import proposal_of, why_unfit
from lifeos.tick.chronicle import chronicle_at
from lifeos.tick.context import Context
from lifeos.tick.drafting import FIRST, Drafted, NoDraft, draft
from lifeos.tick.followups import left_to_do
from lifeos.tick.improve_due import search_is_due
from lifeos.tick.reading import Main

if TYPE_CHECKING:
    from lifeos.tick.wording import Wordsmith

_Key = tuple[str, str, Searched | None]


@dataclass(frozen=True)
class Found:
    """What a look back came to: proposals, and why there is none where one was due."""

    drafts: tuple[Drafted, ...] = ()
    undrafted: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Improver:
    """Looks back once for each occasion in one tick."""

    ctx: Context
    smith: Wordsmith | None = None
    _found: tuple[_Key, Mapping[str, Due], Found] | None = None
    _unfit: dict[tuple[str, str], str] = field(default_factory=dict)

    def facts(self, main: Main, governance: str, *, stop: bool) -> tuple[Improving, Found]:
        """What ``decide`` must know, and the proposals whose digests it names.

        ``governance``: the digest of main's set. Nothing is drafted on rules that are not adopted,
        or while the kill switch is set.
        """
        snapshot = self.ctx.ledger.snapshot
        due = search_is_due(self.ctx)
        found = Found()
        ready = governance == snapshot.governance and not stop
        if ready and (due or snapshot.drafts):
            found = self._remembered(main, search=due)
        return Improving(
            drafts=tuple(fact_of(drafted.proposal) for drafted in found.drafts),
            undrafted=found.undrafted,
            searched=ready and due,
            unfitting=dict(self._unfitting(main)) if ready else {},
            landed=dict(self._landed(main)),
            measured=dict(self._measured()),
        ), found

    def _remembered(self, main: Main, *, search: bool) -> Found:
        snapshot = self.ctx.ledger.snapshot
        key = (main.commit, snapshot.governance, snapshot.searched)
        known = self._found
        # A draft that was taken up since leaves the others as they were.
        fits = known is not None and known[0] == key and _all_in(snapshot.drafts, known[1])
        if known is None or not fits:
            self._found = known = (
                key,
                snapshot.drafts,
                find(self.ctx, main, search=search, smith=self.smith),
            )
        return known[2]

    def _unfitting(self, main: Main) -> Iterator[tuple[str, str]]:
        snapshot = self.ctx.ledger.snapshot
        asked = [(item.id, item.about) for item in snapshot.items.values() if item.proposed]
        asked += [
            (trial.item, trial.about)
            for trial in snapshot.trials.values()
            if not (trial.landed or trial.merged)
        ]
        for item, about in asked:
            key = (about, main.tree)
            if key not in self._unfit:
                self._unfit[key] = why_unfit(self.ctx, main, item, about)
            if self._unfit[key]:
                yield item, self._unfit[key]

    def _landed(self, main: Main) -> Iterator[tuple[str, str]]:
        for trial in self.ctx.ledger.snapshot.trials.values():
            for change in () if trial.landed else trial.changes:
                if contains(self.ctx.repo, main.commit, change.commit):
                    yield trial.item, change.commit

    def _measured(self) -> Iterator[tuple[str, Measured]]:
        now = self.ctx.now()
        over = [t for t in self.ctx.ledger.snapshot.trials.values() if is_over(t, now)]
        for trial in over:
            proposal = proposal_of(self.ctx.ledger, trial.item, trial.about)
            past = chronicle_at(self.ctx.ledger)
            yield trial.item, measured(proposal.metric, past, trial.landed_at, past.at)


def _all_in(some: Mapping[str, Due], others: Mapping[str, Due]) -> bool:
    return all(others.get(pattern) == due for pattern, due in some.items())


def fact_of(proposal: Proposal) -> Draft:
    """A proposal as ``decide`` sees it."""
    back = proposal.category is Category.REVERT
    return Draft(
        rule=proposal.rule,
        question=f"{proposal.title}. Land it?",
        about=proposal.digest,
        proposed=Proposed(
            pattern=proposal.key,
            window=None if back else proposal.metric.window,
            governs=proposal.governs,
            draft=proposal.draft,
            spent=proposal.spent,
        ),
    )


def find(
    ctx: Context,
    main: Main,
    *,
    search: bool,
    since: int = 0,
    smith: Wordsmith | None = None,
) -> Found:
    """Look back: draft what is due, and with ``search`` what the past calls for beside that.

    ``since`` (seconds UTC): what closed before it is not looked at. ``smith``: who has it worded.
    """
    snapshot = ctx.ledger.snapshot
    look = look_back(ctx, since)
    known = {pattern.key: pattern for pattern in (*patterns(look), *left_to_do(ctx, main, look))}
    drafts: list[Drafted] = []
    undrafted: dict[str, str] = {}
    for key, due in snapshot.drafts.items():
        try:
            pattern, of = _pattern_due(ctx, look, known, key, due)
            drafts.append(
                _worded(smith, main, pattern, draft(ctx, main, pattern, due, of), due, of)
            )
        except (NoDraft, Refused) as error:
            undrafted[key] = str(error)
    taken = patterns_taken(snapshot) | snapshot.drafts.keys()
    room = MOST_OPEN - sum(bool(item.proposed) for item in snapshot.items.values()) - len(drafts)
    for key, pattern in known.items() if search else ():
        if room <= 0:
            break
        if key in taken:
            continue
        try:
            drafts.append(_worded(smith, main, pattern, draft(ctx, main, pattern)))
            room -= 1
        except NoDraft as error:
            ctx.world.progress(f"no proposal for {key}: {error}")
    return Found(tuple(drafts), undrafted)


def _worded(
    smith: Wordsmith | None,
    main: Main,
    pattern: Pattern,
    drafted: Drafted,
    due: Due = FIRST,
    of: str = "",
) -> Drafted:
    return smith.worded(main, pattern, drafted, due, of) if smith else drafted


def _pattern_due(
    ctx: Context, look: Look, known: Mapping[str, Pattern], key: str, due: Due
) -> tuple[Pattern, str]:
    """The pattern of a draft that was asked for, and the item that it takes back ("" for none).

    Raises ``NoDraft`` or ``Refused``.
    """
    pattern, of = known.get(key), ""
    if key.startswith(REVERTS):
        of = key.removeprefix(REVERTS)
        asked = next((q for q in look.past.questions if q.item == of), None)
        if asked is None or asked.measured is None:
            raise NoDraft(f"what came of {of} is not on the ledger")
        pattern = take_back(asked, _former(ctx, of, asked.about, asked.measured_in))
    if pattern is None:
        raise NoDraft("what it rested on is no longer so")
    return (redrafted(pattern, due.comment, look) if due.comment else pattern), of


def _former(ctx: Context, item: str, about: str, commit: str) -> Proposal:
    """A proposal as the ledger had it when it was measured: it may have left the tip since."""
    from lifeos.store.ledger import Ledger

    then = Ledger(ctx.repo, commit, ctx.repo.objects.commit(commit).tree, Snapshot())
    return proposal_of(then, item, about)


def look_back(ctx: Context, since: int = 0) -> Look:
    """The past and the rules, as patterns are looked for in them."""
    past = chronicle_at(ctx.ledger)
    look = Look(past=past, rules=ctx.rules, since=since)
    digests = {run.pinned[-1][1] for run in look.closed if run.pinned}
    sets: dict[str, Governance] = {}
    for digest in sorted(digests):
        try:
            sets[digest] = ctx.governance(digest)
        except LedgerBroken:
            continue  # of another version of lifeos: its runs say nothing about its rules
    return Look(past=past, rules=ctx.rules, sets=sets, reviews=_reviews(ctx, look), since=since)


def _reviews(ctx: Context, look: Look) -> dict[tuple[str, int], Review]:
    """What councils said, of the runs that are looked at; nothing where no model reviews."""
    found: dict[tuple[str, int], Review] = {}
    if not ctx.rules.config.agents.review.modelled:
        return found
    for run in look.closed:
        for attempt in run.attempts:
            if attempt.stage not in REVIEWS or "review.json" not in attempt.evidence:
                continue
            tree = ctx.repo.objects.commit(attempt.commit).tree
            path = f"{attempt_path(run.id, attempt.n)}/review.json"
            leaf = lookup(ctx.repo.objects, tree, path)
            data = ctx.repo.objects.read(leaf.oid)[1] if leaf else None
            if data is not None:
                found[run.id, attempt.n] = Review.model_validate_json(data)
    return found
