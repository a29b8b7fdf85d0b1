"""Making the forge show what the ledger says: a queue PR for each open item, none for others.

What a PR may bring is on the ledger before the PR is there: the head is noted, then pushed, then
the PR is looked up by its branch and opened where there is none. A tick that dies in between is
finished by the next one. The heads are kept apart from the branches, which people may delete.
"""

from __future__ import annotations

from functools import partial

from lifeos.core.policy.forge import ForgeKind
from lifeos.core.pullpage import page_of, title_of
from lifeos.core.pulls import BRANCHES, OpenAgain, branch_of
from lifeos.core.records import Noted, Topic
from lifeos.core.state import Item, PullRequest
from lifeos.errors import Busy, LifeosError, NotAuthorised
from lifeos.forge.pulls import Pulls
from lifeos.store.remote import Remote, Update
from lifeos.tick.context import Context
from lifeos.tick.pull_head import head_of
from lifeos.tick.pull_refs import HEADS, fetch_head, head_ref
from lifeos.tick.pulls_asked import connected, repository_page
from lifeos.tick.work import work_ref


def publish_pulls(ctx: Context, again: tuple[OpenAgain, ...]) -> None:
    """Open what is lacking, open again what strangers closed, and close what is answered.

    Everything is tried before the first error is raised: one PR keeps no other from being there.
    """
    forge, remote = ctx.forge, ctx.remote
    if forge is None or remote is None:
        return
    ctx.ledger.flush()
    problems: list[LifeosError] = []
    for item in tuple(ctx.ledger.snapshot.items.values()):
        _try(problems, partial(_opened, ctx, forge, remote, item))
    for closed in again:
        _try(problems, partial(_open_again, ctx, forge, remote, closed))
    _try(problems, partial(_tidy, problems, ctx, forge, remote))
    if problems:
        raise problems[0]


def _try(problems: list[LifeosError], act: partial[None]) -> None:
    try:
        act()
    except LifeosError as error:
        problems.append(error)


def _opened(ctx: Context, forge: Pulls, remote: Remote, item: Item) -> None:
    """Have a PR for this item, and its number on the ledger."""
    if item.pull is None:
        head = head_of(ctx, item)
        if head is None:
            return
        _note(ctx, item, head)
        item = ctx.ledger.snapshot.items[item.id]
    pull = item.pull
    if pull is None or pull.number:
        return
    _push_head(ctx, remote, item, pull)
    title, body = _page(ctx, remote, item, pull)
    there = forge.open(branch_of(item.id), ctx.rules.config.main, title, body)
    if there.head_sha and there.head_sha != pull.head:
        raise Busy(
            f"the branch {branch_of(item.id)} is not where lifeos put it",
            "run lifeos tick again; if it stays so, somebody else pushes there",
        )
    _note(ctx, item, pull.model_copy(update={"number": there.number, "url": there.url}))
    ctx.world.progress(f"asked {item.id} as a pull request: {there.url}")


def _note(ctx: Context, item: Item, pull: PullRequest) -> None:
    ctx.ledger.append(Noted(at=ctx.now(), topic=Topic.PULL, item=item.id, pull=pull))
    ctx.ledger.flush()


def _push_head(ctx: Context, remote: Remote, item: Item, pull: PullRequest) -> None:
    """Put the branch, and the reference that keeps its head, where the ledger says."""
    fetch_head(ctx, pull.head)
    wanted = (f"{BRANCHES}{item.id}", head_ref(pull.head))
    tips = remote.tips(*wanted)
    there = {ref: tips.get(ref) for ref in wanted}
    lacking = [Update(ref, pull.head, old) for ref, old in there.items() if old != pull.head]
    if lacking and not remote.push(*lacking):
        raise Busy(f"{branch_of(item.id)} moved meanwhile", "run lifeos tick again")


def _page(ctx: Context, remote: Remote, item: Item, pull: PullRequest) -> tuple[str, str]:
    run = ctx.ledger.snapshot.runs.get(item.run or "")
    pending = (ctx.ledger.read(f"queue/{item.id}.md") or b"").decode("utf-8", "replace")
    work = ""
    if run is not None and run.work and not pull.landing:
        ref = work_ref(run.id)
        commit = remote.tips(ref).get(ref)
        work = f"{repository_page(ctx)}/commit/{commit}" if commit else ""
    return title_of(item, run), page_of(item, pull, pending, ctx.rules.config.main, work)


def _open_again(ctx: Context, forge: Pulls, remote: Remote, closed: OpenAgain) -> None:
    """Once, and said there: whoever closed it may not know that it means nothing."""
    item = ctx.ledger.snapshot.items.get(closed.item)
    if item is None or item.pull is None or item.pull.reopened:
        return
    _push_head(ctx, remote, item, item.pull)
    forge.reopen(item.pull.number)
    _note(ctx, item, item.pull.model_copy(update={"reopened": True}))
    forge.comment(
        item.pull.number,
        f"Opened again: {closed.reason}. Only an approver's merge or close is an answer.",
    )


def _tidy(problems: list[LifeosError], ctx: Context, forge: Pulls, remote: Remote) -> None:
    """Close the PRs of questions that are no longer open, and remove what they were from."""
    branches, heads_there = remote.under(BRANCHES), remote.under(HEADS)
    ctx.ledger.catch_up()  # after the list: whatever is in it was noted by then, by whichever clone
    items = ctx.ledger.snapshot.items
    gone = [ref for ref in branches if ref.removeprefix(BRANCHES) not in items]
    closed = []
    for ref in gone:
        item, failed = ref.removeprefix(BRANCHES), len(problems)
        _try(problems, partial(_close, forge, item, _farewell(ctx, item)))
        closed += [ref] if len(problems) == failed else []
    heads = {item.pull.head for item in items.values() if item.pull}
    kept = [ref for ref in heads_there if ref.removeprefix(HEADS) not in heads]
    _forget(ctx, remote, [*closed, *kept])


def _close(forge: Pulls, item: str, why: str) -> None:
    for pull in forge.find(branch_of(item)):
        if pull.state == "open":
            forge.close_pull(pull.number, why)


def _forget(ctx: Context, remote: Remote, refs: list[str]) -> None:
    left = remote.forget(refs)
    if left:
        ctx.world.progress(left)


def withdraw_pulls(ctx: Context) -> None:
    """Close all that are left where answers come otherwise now. Everything is tried.

    Their merge would be no answer any more, and a landing's would land it unasked.
    """
    branches = ctx.remote.under(BRANCHES) if ctx.remote else {}
    if ctx.remote is None or not branches:
        return
    forge, trust = _forge_of(ctx, ctx.remote), ctx.rules.approvals.trust
    why = f"Answers no longer come by pull requests (trust: {trust}): what is open is asked anew."
    problems: list[LifeosError] = []
    gone = [*ctx.remote.under(HEADS)]
    for ref in branches:
        failed = len(problems)
        if forge is not None:
            item = ref.removeprefix(BRANCHES)
            _try(problems, partial(_close_if_allowed, ctx, forge, item, why))
        gone += [ref] if len(problems) == failed else []
    _forget(ctx, ctx.remote, gone)
    if problems:
        raise problems[0]


def _close_if_allowed(ctx: Context, forge: Pulls, item: str, why: str) -> None:
    try:
        _close(forge, item, why)
    except NotAuthorised as error:
        ctx.world.progress(f"{item} is closed without a word: {error.message}")


def _forge_of(ctx: Context, remote: Remote) -> Pulls | None:
    """The forge that the rules still name. Without it, branches can be removed: most forges close
    their pull requests then."""
    settings = ctx.rules.config.forge
    if settings.kind is ForgeKind.NONE:
        return None
    try:
        return connected(settings, remote.url, ctx.world.environ)
    except LifeosError as error:
        ctx.world.progress(f"pull requests are closed without a word: {error.message}")
        return None


def _farewell(ctx: Context, item: str) -> str:
    """Why a PR is closed that nobody merged."""
    others = (one.pull for one in ctx.ledger.snapshot.items.values() if one.pull)
    newer = [pull.url for pull in others if pull.number]
    where = f" What is asked now: {', '.join(newer[:5])}." if newer else ""
    return f"{item} is superseded, or was answered: this can no longer be merged.{where}"
