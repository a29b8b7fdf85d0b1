"""What became of the queue PRs: asked of the forge, compared in git, judged in the core.

The forge is asked first and main is fetched after it, so that a merge which the forge reports is in
the main that is looked at, or is not on main at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from lifeos import strict_yaml
from lifeos.core.answers import FILE_LIMIT, AnswerFile, Refusal, answer_path, read_answer
from lifeos.core.facts import Answer, AskAnew, Intruded
from lifeos.core.policy import OnTaskChange, Overlap
from lifeos.core.policy.forge import ELSEWHERE, MENDING, Forge, repository_of
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
from lifeos.errors import UsageError
from lifeos.forge import NotFound, connect_pulls
from lifeos.forge.pulls import Closed, Person, Pull, PullReview, Pulls, Review
from lifeos.forge.wire import web_base
from lifeos.store.history import changed_paths
from lifeos.store.merge import merge
from lifeos.store.objects import MissingObject
from lifeos.store.remote import contains, has_commit
from lifeos.store.repo import Repo
from lifeos.store.trees import lookup
from lifeos.tick.answers import present_subject
from lifeos.tick.context import Context
from lifeos.tick.reading import Main, changed_by_people, content_of, main_at
from lifeos.tick.tasks import read_tasks
from lifeos.tick.work import work_commit

_MOST_REBASED = 50
_REGULAR = frozenset({"100644", "100755"})


@dataclass(frozen=True)
class Seen:
    """A queue PR as the forge reported it; None for one that it no longer has."""

    pull: Pull | None
    reviews: tuple[PullReview, ...] = ()
    closed: Closed | None = None


def connected(settings: Forge, url: str, environ: Mapping[str, str]) -> Pulls:
    """The forge of the rules, for this repository. Raises ``UsageError`` without a name for it."""
    settings = _given(settings, environ)
    return connect_pulls(settings, _name(settings, url), environ)


def repository_page(ctx: Context) -> str:
    """The address of the repository on its forge, for people."""
    settings, remote = _given(ctx.rules.config.forge, ctx.world.environ), ctx.remote
    return f"{web_base(settings.host)}/{_name(settings, remote.url if remote else '')}"


def _given(settings: Forge, environ: Mapping[str, str]) -> Forge:
    """The forge of the rules, or the one that whoever runs this names in its place.

    Rules with a wrong address could else never be mended: adopting others takes the forge's word.
    """
    host, _, name = environ.get(ELSEWHERE, "").strip().partition("/")
    if not name:
        return settings
    return Forge.model_validate({**settings.model_dump(), "host": host, "repository": name})


def _name(settings: Forge, url: str) -> str:
    found = None if settings.repository else repository_of(url)
    if settings.repository or (
        found is not None and found[0] in {settings.host, f"ssh.{settings.host}"}
    ):
        return settings.repository or (found[1] if found else "")
    raise UsageError(
        f"the name of this repository on {settings.host} is not known",
        f"set `forge: {{repository: OWNER/NAME}}` in .lifeos/config.yaml; {MENDING}",
    )


def look(ctx: Context) -> None:
    """Ask the forge what became of the queue PRs of open items. Fetch main after this.

    Raises the errors of ``lifeos.forge``.
    """
    forge = ctx.forge
    if forge is None:
        return
    pulls = {item.id: item.pull for item in ctx.ledger.snapshot.items.values() if item.pull}
    opened = {item: pull.number for item, pull in pulls.items() if pull.number}
    with mendable():
        ctx.pulls = {item: _asked(forge, item, number) for item, number in opened.items()}
    # What another machine meant to ask, and died before it had pushed it, nobody can ask any more.
    lost = [item for item, pull in pulls.items() if not pull.number and not has_head(ctx, pull)]
    ctx.pulls |= dict.fromkeys(lost, Seen(None))


@contextmanager
def mendable() -> Iterator[None]:
    """Say the way out where the forge does not know the repository: the rules may be wrong."""
    try:
        yield
    except NotFound as error:
        fix = f"if the rules name another repository: mend `forge:` on main, {MENDING}"
        raise NotFound(error.message, f"{error.fix}; {fix}" if error.fix else fix) from None


def _asked(forge: Pulls, item: str, number: int) -> Seen:
    try:
        pull = forge.pull(number)
    except NotFound:
        forge.find(branch_of(item))  # as absent is all of a repository that may not be read: raises
        return Seen(None)
    # Who objected also decides once it is merged: another approver may have, before that.
    reviews = forge.reviews(number)
    return Seen(pull, reviews, forge.closed_by(number))


def read_pulls(ctx: Context, main: Main, contents: Mapping[str, str]) -> News:
    """What the queue PRs of the open items mean, as they were last looked at."""
    answers, refusals, anew, intruded, again = [], [], [], [], []
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
        closed_by=_account(seen.closed.who) if seen.closed else None,
        reopened_by=_account(seen.closed.reopened_by) if seen.closed else None,
        objections=_objections(seen.reviews, there.head_sha),
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
    known = fact.head == pull.head or _fetched(ctx, item, fact)
    onto = before_merge(ctx.repo, commit, fact.head)
    update: dict[str, object] = {"commit": commit, "onto": onto, "on_main": True}
    other = _differing(ctx, pull.head, commit, onto) if known else None
    mine = answer_path(item.id)
    if other is None or other - {mine}:
        update.update(content=Content.OTHER, faithful=False)
    elif other:
        update.update(content=Content.ANSWER, faithful=not pull.landing)
    if pull.landing:
        run = ctx.ledger.snapshot.runs[item.run or ""]
        loop = ctx.governance(run.governance).loop
        moved = _moved_under(ctx, item, onto, loop.reapprove)
        update["clashes"] = moved or _told_otherwise(ctx, run, onto)
    else:
        update |= _answer_in(ctx, item, ctx.repo.objects.commit(commit).tree, still=main.tree)
    return fact.model_copy(update=update)


def _fetched(ctx: Context, item: Item, fact: PullFact) -> bool:
    """Have the head of a PR that somebody pushed to. The forge keeps it when its branch is gone.

    Without it nobody can tell how many commits on main are its own.
    """
    refs = (f"refs/heads/{branch_of(item.id)}", f"refs/pull/{fact.number}/head")
    return ctx.remote is not None and any(ctx.remote.fetch(ref) == fact.head for ref in refs)


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


def before_merge(repo: Repo, commit: str, head: str) -> str:
    """What main was before a pull request with this head was merged by this commit.

    By a merge or a squash that is its first parent. By a rebase, each commit of the head came
    over by itself, with its message.
    """
    parents = repo.objects.commit(commit).parents
    if len(parents) != 1:
        return parents[0] if parents else ""
    here, there = commit, head
    try:
        for _ in range(_MOST_REBASED):
            made, own = repo.objects.commit(here), repo.objects.commit(there)
            alike = made.oid != own.oid and made.message == own.message
            if not alike or (len(made.parents), len(own.parents)) != (1, 1):
                break
            here, there = made.parents[0], own.parents[0]
    except MissingObject:
        return parents[0]  # the head is not here: what is known for sure is the first parent
    return here if here != commit else parents[0]


def head_ref(head: str) -> str:
    """Where the remote keeps the head of a queue PR while it is open, whatever its branch does."""
    return f"refs/lifeos/pull/{head}"


def has_head(ctx: Context, pull: PullRequest) -> bool:
    """Whether the head of a queue PR is here, or on the remote."""
    fetch_head(ctx, pull.head)
    return has_commit(ctx.repo, pull.head)


def fetch_head(ctx: Context, head: str) -> None:
    """Have the head of a queue PR here, if the remote still has it."""
    if ctx.remote is None:
        return
    try:
        ctx.repo.objects.commit(head)
    except (KeyError, ValueError):
        ctx.remote.fetch(head_ref(head))


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
    """Whether main has changed so that what was asked is not what would land."""
    if _is_there(ctx, main, pull):
        return False  # merged just now: the forge's word on who did it is waited for
    loop = ctx.governance(ctx.ledger.snapshot.runs[item.run or ""].governance).loop
    if _moved_under(ctx, item, main.commit, loop.reapprove, loop.recheck):
        return True
    fetch_head(ctx, pull.head)
    try:
        return merge(ctx.repo, main.commit, pull.head).tree is None
    except MissingObject:
        return True


def _is_there(ctx: Context, main: Main, pull: PullRequest) -> bool:
    """Whether main has all that this pull request would bring."""
    fetch_head(ctx, pull.head)
    try:
        return merge(ctx.repo, main.commit, pull.head).tree == main.tree
    except MissingObject:
        return False


def _moved_under(ctx: Context, item: Item, main: str, *rules: Overlap) -> bool:
    """Whether people changed, up to this commit, what they were asked about landing on."""
    run = ctx.ledger.snapshot.runs[item.run or ""]
    changed = changed_by_people(ctx.repo, item.main, main) if item.main else frozenset()
    return bool(changed) if Overlap.ALWAYS in rules else not changed.isdisjoint(run.paths)


def _told_otherwise(ctx: Context, run: Run, main: str) -> bool:
    """Whether the task said something else at this commit, where that ends or asks anything."""
    if ctx.governance(run.governance).loop.on_task_change is OnTaskChange.FINISH:
        return False
    task = read_tasks(ctx, main_at(ctx.repo, main)).find(run.task)
    return task is not None and task.digest != run.task_digest


def landed_on(ctx: Context, run: Run, commit: str) -> str | None:
    """What main was before a forge merged the work of this run; None if that is not what it got.

    Told from the trees alone, so that anybody can do it again from a clone: main before it with
    the work is what main is after it, but for marks and the queue. By a rebase the work came as a
    commit of its own, and main before that is meant.
    """
    made = ctx.repo.objects.commit(commit)
    first = made.parents[0]
    onto = first if _brings(ctx, run, first, commit) else None
    if onto is not None and len(made.parents) == 1:
        parents = ctx.repo.objects.commit(first).parents
        if len(parents) == 1 and _brings(ctx, run, parents[0], first):
            return parents[0]
    return onto


def _brings(ctx: Context, run: Run, before: str, after: str) -> bool:
    merged = merge(ctx.repo, before, work_commit(ctx, run))
    if merged.tree is None:
        return False
    prefix = ctx.rules.config.id_prefix
    now = ctx.repo.objects.commit(after).tree
    return content_of(ctx.repo, merged.tree, prefix) == content_of(ctx.repo, now, prefix)
