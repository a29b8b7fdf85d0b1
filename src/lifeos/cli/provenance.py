"""What ``lifeos why`` says: the lines with their origins, and the runs behind them, hop by hop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeos.cli.passage import AttemptData, items_of, passage_with, worked_on
from lifeos.core.chronicle import EXPIRY
from lifeos.core.records import Resolved
from lifeos.model import Decision, Frozen, ItemKind, Stage, Trust, Usage, Verdict
from lifeos.tick.origin import Via

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lifeos.cli.passage import ItemData, Passage
    from lifeos.store.ledger import Ledger
    from lifeos.tick.landings import Landed, Landings, TakenBack
    from lifeos.tick.origin import Origin, RunStory, Traced, Tracer

_REVIEWS = frozenset({Stage.DESIGN_REVIEW, Stage.PLAN_REVIEW, Stage.BUILD_REVIEW})


class WhyCommit(Frozen):
    """A commit of main: who is named in it, when (seconds UTC), and its subject."""

    commit: str
    author: str
    email: str
    at: int
    subject: str


class WhyTakenBack(Frozen):
    """What took a landing back; ``noted`` is the transition."""

    run: str
    commit: str
    who: str
    at: int
    noted: str


class WhyOrigin(Frozen):
    """Where lines come from. ``commit`` is the one of main that brought them.

    ``run`` is behind ``via`` run and bookkeeping, ``attempt`` the one of it that had the lines
    first (0: none, or ``unsure`` says why it cannot be told). ``item`` is the question that the
    commit answers or was asked about. ``anchor`` is the transition that bookkeeping follows from.
    ``before``: from before the ledger began. ``pretends``: in lifeos's name, and the ledger knows
    nothing of it. ``earlier`` is where lines come from that a revert brought back.
    """

    via: Via
    commit: WhyCommit
    run: str = ""
    attempt: int = 0
    unsure: str = ""
    item: str = ""
    anchor: str = ""
    before: bool = False
    pretends: bool = False
    taken_back: WhyTakenBack | None = None
    earlier: WhyOrigin | None = None


class WhyRange(Frozen):
    """Lines from ``first`` to ``last`` that have one origin; 0 for a file without lines.

    Where they were brought they began at line ``there`` of ``path``.
    """

    first: int
    last: int
    path: str
    there: int
    origin: WhyOrigin


class WhySeat(Frozen):
    """One seat of a review; ``verdict`` None: it gave none."""

    seat: str
    verdict: Verdict | None
    model: str


class WhyReview(Frozen):
    """A review attempt. ``by`` is rule or council, "" where it left no review."""

    n: int
    stage: Stage
    outcome: str
    mode: str
    by: str
    seats: tuple[WhySeat, ...] = ()
    missing: tuple[str, ...] = ()
    show: str


class WhyAttempt(Frozen):
    """An attempt that left work."""

    n: int
    outcome: str
    action: str
    rule: str
    at: int
    usage: Usage
    show: str


class WhyAnswer(Frozen):
    """A question that the run asked. ``trust`` is how it is known ``who`` answered.

    ``lands``: it is the one about the landing. ``commit`` is the one of main with the answer.
    """

    item: str
    kind: ItemKind
    rule: str
    question: str
    decision: Decision | None
    who: str
    at: int
    trust: Trust | None
    commit: str
    comment: str
    lands: bool
    show: str


class WhyRules(Frozen):
    """The set of rules that the run was under when it landed, and how that came to rule.

    ``item`` is the question that was answered, where one was asked; ``main`` the commit that had
    it. ``transition`` "" where the ledger does not say when it was adopted.
    """

    digest: str
    at: int = 0
    transition: str = ""
    main: str = ""
    item: str = ""
    show: str = ""


class WhyStep(Frozen):
    """A design or a plan. ``n`` 0: taken over from an earlier run of the task."""

    n: int
    show: str


class WhyRun(Frozen):
    """A landed run, hop by hop; each ``show`` is the command that shows more of it.

    ``way`` is how the work came to main: merge, pull_merge, pull_squash or pull_rebase.
    """

    run: str
    task: str
    title: str
    opened_at: int
    landed: str
    landed_at: int
    onto: str
    way: str
    noted: str
    attempts: tuple[WhyAttempt, ...] = ()
    design: WhyStep | None = None
    plan: WhyStep | None = None
    reviews: tuple[WhyReview, ...] = ()
    answers: tuple[WhyAnswer, ...] = ()
    usage: Usage = Usage()
    rules: WhyRules
    taken_back: WhyTakenBack | None = None
    show: str


@dataclass(frozen=True)
class Teller:
    """Makes the answer out of what was traced."""

    ledger: Ledger
    landings: Landings
    tracer: Tracer

    def ranges(self, lines: Sequence[Traced]) -> tuple[WhyRange, ...]:
        """Lines that follow one another and have one origin, together."""
        found: list[WhyRange] = []
        told: dict[Origin, WhyOrigin] = {}
        last: Traced | None = None
        for one in lines:
            origin = told.setdefault(one.origin, self._origin(one.origin))
            joins = last is not None and (
                (last.origin, last.path, last.line + 1) == (one.origin, one.path, one.line)
            )
            if joins:
                found[-1] = found[-1].model_copy(update={"last": one.line})
            else:
                new = WhyRange(
                    first=one.line, last=one.line, path=one.path, there=one.there, origin=origin
                )
                found.append(new)
            last = one
        return tuple(found)

    def whole(self, path: str, origin: Origin) -> WhyRange:
        """A file in which lines cannot be told apart."""
        return WhyRange(first=0, last=0, path=path, there=0, origin=self._origin(origin))

    def _origin(self, origin: Origin) -> WhyOrigin:
        return WhyOrigin(
            via=origin.via,
            commit=self._commit(origin.commit),
            run=origin.landed.run if origin.landed else "",
            attempt=origin.attempt,
            unsure=origin.unsure,
            item=origin.item,
            anchor=origin.anchor,
            before=origin.before,
            pretends=origin.pretends,
            taken_back=_taken_back(origin.taken_back),
            earlier=self._origin(origin.earlier) if origin.earlier else None,
        )

    def _commit(self, oid: str) -> WhyCommit:
        made = self.ledger.repo.objects.commit(oid)
        return WhyCommit(
            commit=oid,
            author=made.author.identity.name,
            email=made.author.identity.email,
            at=made.author.when,
            subject=made.message.partition("\n")[0],
        )

    def runs(self, origins: Iterable[Origin]) -> tuple[WhyRun, ...]:
        """The runs behind these, each once."""
        landed: dict[str, Landed] = {}
        for origin in origins:
            here: Origin | None = origin
            while here is not None:
                if here.landed is not None:
                    landed.setdefault(here.landed.run, here.landed)
                here = here.earlier
        stories = self.tracer.stories(landed)
        return tuple(self._run(landed[run], story) for run, story in stories.items())

    def _run(self, landed: Landed, story: RunStory) -> WhyRun:
        passage = passage_with(self.ledger, landed.run, story.entries)
        attempts = worked_on(self.ledger, passage)
        usage = Usage()
        for attempt in attempts:
            usage = usage.plus(attempt.usage)
        return WhyRun(
            run=landed.run,
            task=story.past.task,
            title=story.past.title,
            opened_at=story.past.at,
            landed=landed.commit,
            landed_at=landed.at,
            onto=landed.onto,
            way=self._way(landed),
            noted=landed.noted,
            attempts=tuple(_attempt(landed.run, a) for a in attempts if a.tree),
            design=_step(landed.run, attempts, Stage.DESIGN, "design.md"),
            plan=_step(landed.run, attempts, Stage.PLAN, "plan.md"),
            reviews=tuple(_review(landed.run, a) for a in attempts if a.stage in _REVIEWS),
            answers=_answers(self.ledger, passage),
            usage=usage,
            rules=_rules(landed, story),
            taken_back=_taken_back(self.landings.reverted(landed.run)),
            show=f"lifeos show {landed.run}",
        )

    def _way(self, landed: Landed) -> str:
        parents = self.landings.after.get(landed.commit, ())
        if not landed.item:
            return "merge"
        if len(parents) > 1:
            return "pull_merge"
        return "pull_squash" if parents == (landed.onto,) else "pull_rebase"


def _taken_back(found: TakenBack | None) -> WhyTakenBack | None:
    if found is None:
        return None
    return WhyTakenBack(
        run=found.run, commit=found.commit, who=found.who, at=found.at, noted=found.noted
    )


def _attempt(run: str, attempt: AttemptData) -> WhyAttempt:
    return WhyAttempt(
        n=attempt.n,
        outcome=attempt.outcome,
        action=attempt.action,
        rule=attempt.rule,
        at=attempt.at,
        usage=attempt.usage,
        show=f"lifeos show {run} {attempt.n}",
    )


def _step(run: str, attempts: Sequence[AttemptData], stage: Stage, artifact: str) -> WhyStep | None:
    """The last design or plan; of a run that began after that stage, the one it took over."""
    made = [a.n for a in attempts if a.stage is stage and artifact in a.artifacts]
    if made:
        return WhyStep(n=made[-1], show=f"lifeos show {run} {made[-1]} {artifact}")
    return WhyStep(n=0, show=f"lifeos show {run} --artifact {artifact}")


def _review(run: str, attempt: AttemptData) -> WhyReview:
    review = attempt.work.review
    seats = review.seats if review else ()
    return WhyReview(
        n=attempt.n,
        stage=attempt.stage,
        outcome=attempt.outcome,
        mode=attempt.mode,
        by=review.by if review else "",
        seats=tuple(WhySeat(seat=s.seat, verdict=s.verdict, model=s.sitter.name) for s in seats),
        missing=review.seats_missing if review and review.by == "council" else (),
        show=f"lifeos show {run} {attempt.n}",
    )


def _answers(ledger: Ledger, passage: Passage) -> tuple[WhyAnswer, ...]:
    trusts = {
        entry.record.item: entry.record.trust
        for entry in passage.entries
        if isinstance(entry.record, Resolved)
    }
    return tuple(_answer(item, trusts.get(item.item)) for item in items_of(ledger, passage))


def _answer(item: ItemData, trust: Trust | None) -> WhyAnswer:
    lands = (item.kind, item.stage) == (ItemKind.STAGE_REVIEW, Stage.CLOSE)
    return WhyAnswer(
        item=item.item,
        kind=item.kind,
        rule=item.rule,
        question=item.question,
        decision=item.decision,
        who="" if item.who == EXPIRY else item.who,
        at=item.at,
        trust=trust,
        commit=item.commit,
        comment=item.comment,
        lands=lands and item.decision is Decision.APPROVE,
        show=f"lifeos show {item.item}",
    )


def _rules(landed: Landed, story: RunStory) -> WhyRules:
    """The set pinned when it landed; of several adoptions of it the last one before that."""
    pinned = [digest for at, digest in story.past.pinned if at <= landed.at]
    digest = pinned[-1] if pinned else ""
    known = [one for one in story.adopted if one.digest == digest and one.at <= landed.at]
    if not known:
        return WhyRules(digest=digest)
    return WhyRules(
        digest=digest,
        at=known[-1].at,
        transition=known[-1].commit,
        main=known[-1].main,
        item=known[-1].item,
        show=f"lifeos show {known[-1].commit[:12]}",
    )
