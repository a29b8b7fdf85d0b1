"""What became of the queue PRs, compared in git with what lifeos pushed, and judged in the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lifeos import strict_yaml
from lifeos.core.answers import FILE_LIMIT, AnswerFile, Refusal, answer_path, read_answer
from lifeos.core.facts import Answer, AskAnew, Intruded
from lifeos.core.policy import OnTaskChange, Overlap
from lifeos.core.pulls import (
    Account,
    Asked,
    Content,
    News,
    Objection,
    OpenAgain,
    PullFact,
    PullState,
    branch_of,
    judge_pull,
)
from lifeos.core.state import Item, PullRequest, Run
from lifeos.forge.pulls import Person, Pull, PullReview, Review
from lifeos.governance import governance_digest
from lifeos.store.history import changed_paths
from lifeos.store.merge import merge
from lifeos.store.objects import MissingObject
from lifeos.store.remote import contains
from lifeos.store.trees import lookup
from lifeos.tick.answers import present_subject
from lifeos.tick.context import Context
from lifeos.tick.landed import before_merge
from lifeos.tick.pull_refs import fetch_head
from lifeos.tick.pulls_asked import Seen
from lifeos.tick.reading import Main, changed_by_people, governance_files, main_at
from lifeos.tick.tasks import read_tasks

_REGULAR = frozenset({"100644", "100755"})


def read_pulls(ctx: Context, main: Main, contents: Mapping[str, str]) -> News:
    """What the queue PRs of the open items mean, as they were last looked at."""
    answers, anew, again = [], [], []
    refusals, intruded = list(_unheard(ctx)), list(_late(ctx, main))
    for item in ctx.ledger.snapshot.items.values():
        seen, pull = ctx.pulls.get(item.id), item.pull
        if seen is None or pull is None:
            continue
        if seen.pull is None:
            anew.append(AskAnew(item=item.id, reason="its pull request is gone"))
            continue
        match judge_pull(_question(ctx, item, pull, contents), _fact(ctx, main, item, pull, seen)):
            case Answer() as answer:
                answers.append(answer)
            case Refusal() as refusal:
                refusals.append(refusal)
            case AskAnew() as spoiled:
                anew.append(spoiled)
            case Intruded() as found:
                intruded.append(found)
            case OpenAgain() as closed:
                again.append(closed)
            case _:
                pass
    return News(tuple(answers), tuple(refusals), tuple(anew), tuple(intruded), tuple(again))


def _unheard(ctx: Context) -> Iterator[Refusal]:
    """Of which pull requests nothing could be heard that can be used."""
    for item, error in ctx.unheard.items():
        if item in ctx.ledger.snapshot.items:
            why = f"what became of its pull request is not known: {error.message}"
            yield Refusal(item, why, error.fix or "look at it there, then run lifeos tick again")


def _late(ctx: Context, main: Main) -> Iterator[Intruded]:
    """What came to main by the pull requests of questions that were over."""
    snapshot = ctx.ledger.snapshot
    over = {pull.number: item for item, pull in snapshot.over.items()}
    for pull in ctx.late:
        item, commit = over.get(pull.number), pull.merge_commit
        if item is None or not commit or commit in snapshot.asked_about:
            continue
        if pull.head_ref == branch_of(item) and contains(ctx.repo, main.commit, commit):
            _fetched(ctx, item, pull.number, pull.head_sha)
            onto = before_merge(ctx.repo, commit, pull.head_sha)
            why = f"its pull request, number {pull.number}, was merged when its question was over"
            yield Intruded(item=item, commit=commit, onto=onto, reason=why)


def _question(ctx: Context, item: Item, pull: PullRequest, contents: Mapping[str, str]) -> Asked:
    return Asked(
        item=item,
        pull=pull,
        then=ctx.governance(item.governance).approvals,
        now=ctx.rules.approvals,
        subject_now=present_subject(ctx, item, contents),
        at=ctx.now(),
    )


def _fact(ctx: Context, main: Main, item: Item, pull: PullRequest, seen: Seen) -> PullFact:
    there = seen.pull
    assert there is not None  # noqa: S101  (the caller looked; tells the type checker)
    state = PullState.MERGED if there.merged else PullState(there.state)
    base = PullFact(
        number=there.number,
        url=there.url,
        state=state,
        ours=_ours(ctx, item, there),
        head=there.head_sha,
        author=_account(there.author),
        merged_by=_account(there.merged_by),
        closed_by=tuple(map(_account, seen.closed_by)),
        objections=_objections(seen.reviews, there.head_sha),
        no_objections=seen.no_reviews,
        no_closes=seen.no_closes,
    )
    match state:
        case PullState.MERGED:
            return _merged(ctx, main, item, pull, base, there.merge_commit)
        case PullState.OPEN:
            return _open(ctx, main, item, pull, base)
        case PullState.CLOSED:
            return base


def _ours(ctx: Context, item: Item, pull: Pull) -> bool:
    same = pull.head_repository.lower() == pull.base_repository.lower()
    right = (pull.head_ref, pull.base_ref) == (branch_of(item.id), ctx.rules.config.main)
    return same and right


def _account(who: Person | None) -> Account | None:
    return Account(id=who.id, login=who.login, bot=who.bot) if who else None


def _objections(reviews: tuple[PullReview, ...], head: str) -> tuple[Objection, ...]:
    """Whoever requested changes on this head, and has not said otherwise since."""
    last: dict[int, PullReview] = {}
    for review in reviews:
        if review.who is None or review.state in (Review.COMMENTED, Review.PENDING):
            continue
        last[review.who.id] = review
    return tuple(
        Objection(who=Account(id=who.id, login=who.login, bot=who.bot), body=review.body)
        for review in last.values()
        if review.state is Review.CHANGES_REQUESTED
        and review.commit in ("", head)
        and (who := review.who) is not None
    )


# --- merged -----------------------------------------------------------------------------------


def _merged(
    ctx: Context, main: Main, item: Item, pull: PullRequest, fact: PullFact, commit: str
) -> PullFact:
    """What main got by the merge, against what lifeos had pushed."""
    if not commit or not contains(ctx.repo, main.commit, commit):
        return fact.model_copy(update={"commit": commit})
    known = fact.head == pull.head or _fetched(ctx, item.id, fact.number, fact.head)
    onto = before_merge(ctx.repo, commit, fact.head)
    update: dict[str, object] = {"commit": commit, "onto": onto, "on_main": True}
    if not onto:  # main began with it: nothing that lifeos asked about can be that
        return fact.model_copy(update={**update, "content": Content.OTHER, "faithful": False})
    other = _differing(ctx, pull.head, commit, onto) if known else None
    mine = answer_path(item.id)
    if other is None or other - {mine}:
        update.update(content=Content.OTHER, faithful=False)
    elif other:
        update.update(content=Content.ANSWER, faithful=not pull.brings_more)
    if pull.landing and item.proposed is not None:
        update["clashes"] = _unfit(ctx, main_at(ctx.repo, onto), item)
    elif pull.landing:
        run = ctx.ledger.snapshot.runs[item.run or ""]
        loop = ctx.governance(run.governance).loop
        moved = _moved_under(ctx, item, onto, loop.reapprove)
        update["clashes"] = moved or _told_otherwise(ctx, run, onto)
    else:
        update |= _answer_in(ctx, item, ctx.repo.objects.commit(commit).tree, still=main.tree)
    return fact.model_copy(update=update)


def _fetched(ctx: Context, item: str, number: int, head: str) -> bool:
    """Have the head of a PR that somebody pushed to. The forge keeps it when its branch is gone.

    Without it nobody can tell how many commits on main are its own.
    """
    refs = (f"refs/heads/{branch_of(item)}", f"refs/pull/{number}/head")
    return ctx.remote is not None and any(ctx.remote.fetch(ref) == head for ref in refs)


def _differing(ctx: Context, head: str, commit: str, onto: str) -> frozenset[str] | None:
    """Paths where main is not what it was with the head merged in; None: it cannot be told."""
    made = ctx.repo.objects.commit(commit)
    fetch_head(ctx, head)
    try:
        merged = merge(ctx.repo, onto, head)
    except MissingObject:
        return None
    if merged.tree is None:
        return None
    if merged.tree == made.tree:
        return frozenset()
    return frozenset(changed_paths(ctx.repo, merged.tree, made.tree))


def _answer_in(ctx: Context, item: Item, tree: str, still: str = "") -> dict[str, object]:
    """What the answer's file in a tree says; nothing if it is not ``still`` so in another one."""
    path = answer_path(item.id)
    leaf = lookup(ctx.repo.objects, tree, path)
    if leaf is None or leaf.mode not in _REGULAR:
        return {}
    if still and lookup(ctx.repo.objects, still, path) != leaf:
        return {}
    ((_, size),) = ctx.repo.objects.kinds_sizes([leaf.oid])
    if size > FILE_LIMIT:
        return {}
    data = ctx.repo.objects.read(leaf.oid)[1]
    document = strict_yaml.read(data, path)
    if document.problems:
        return {}
    answer = read_answer(item.id, document.value, data)
    if not isinstance(answer, AnswerFile):
        return {}
    if (answer.item, answer.subject) != (item.id, item.subject):
        return {}
    return {"decision": answer.decision, "comment": answer.comment}


# --- open -------------------------------------------------------------------------------------


def _open(ctx: Context, main: Main, item: Item, pull: PullRequest, fact: PullFact) -> PullFact:
    if fact.head != pull.head:
        return fact.model_copy(update=_moved(ctx, item, pull, fact.head))
    if pull.landing and _clashes(ctx, main, item, pull):
        return fact.model_copy(update={"clashes": True})
    return fact


def _moved(ctx: Context, item: Item, pull: PullRequest, head: str) -> dict[str, object]:
    """What somebody made of the branch: an edit of the answer alone is how an approver refuses."""
    other: dict[str, object] = {"content": Content.OTHER}
    if ctx.remote is None or ctx.remote.fetch(f"refs/heads/{branch_of(item.id)}") != head:
        return other
    fetch_head(ctx, pull.head)
    try:
        trees = [ctx.repo.objects.commit(commit).tree for commit in (pull.head, head)]
    except (KeyError, ValueError):
        return other
    if set(changed_paths(ctx.repo, *trees)) - {answer_path(item.id)}:
        return other
    return {"content": Content.ANSWER, **_answer_in(ctx, item, trees[1])}


def _clashes(ctx: Context, main: Main, item: Item, pull: PullRequest) -> bool:
    """Whether main has changed so that what was asked is not what would land.

    What it would make of the checks is found when it has landed: they are run again then.
    """
    if _is_there(ctx, main, pull):
        return False  # merged just now: the forge's word on who did it is waited for
    if item.proposed is not None:
        if _unfit(ctx, main, item):
            return True
    else:
        loop = ctx.governance(ctx.ledger.snapshot.runs[item.run or ""].governance).loop
        if _moved_under(ctx, item, main.commit, loop.reapprove):
            return True
    fetch_head(ctx, pull.head)  # what fits in another place is not what the forge would merge
    try:
        return merge(ctx.repo, main.commit, pull.head).tree is None
    except MissingObject:
        return True


def _unfit(ctx: Context, main: Main, item: Item) -> bool:
    """Whether a proposal does not fit a commit of main, or its rules are not those it is about."""
    from lifeos.tick.change import why_unfit

    digest = governance_digest(governance_files(ctx.repo, main.tree))
    if item.proposed is not None and item.proposed.governs and digest != item.governance:
        return True
    return bool(why_unfit(ctx, main, item.id, item.about))


def _is_there(ctx: Context, main: Main, pull: PullRequest) -> bool:
    """Whether main has all that this pull request would bring."""
    fetch_head(ctx, pull.head)
    try:
        return merge(ctx.repo, main.commit, pull.head).tree == main.tree
    except MissingObject:
        return False


def _moved_under(ctx: Context, item: Item, main: str, reapprove: Overlap) -> bool:
    """Whether people changed, up to this commit, what they were asked about landing on."""
    run = ctx.ledger.snapshot.runs[item.run or ""]
    changed = changed_by_people(ctx.repo, item.main, main) if item.main else frozenset()
    return bool(changed) if reapprove is Overlap.ALWAYS else not changed.isdisjoint(run.paths)


def _told_otherwise(ctx: Context, run: Run, main: str) -> bool:
    """Whether the task said something else at this commit, where that ends or asks anything."""
    if ctx.governance(run.governance).loop.on_task_change is OnTaskChange.FINISH:
        return False
    task = read_tasks(ctx, main_at(ctx.repo, main)).find(run.task)
    return task is not None and task.digest != run.task_digest
