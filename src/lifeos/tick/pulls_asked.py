"""Asking the forge what became of the queue PRs, by the adopted rules and nothing else.

The forge is asked first and main is fetched after it, so that a merge which the forge reports is in
the main that is looked at, or is not on main at all. The other way round main may have a merge of
which the forge had not told yet: what such a merge brought is waited for, and not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from lifeos.core.policy.forge import ELSEWHERE, MENDING, Forge, name_on
from lifeos.core.pulls import BRANCHES, branch_of
from lifeos.errors import LifeosError, UsageError
from lifeos.forge import NotFound, Outage, Strange, TooMuch, connect_pulls
from lifeos.forge.pulls import Person, Pull, PullReview, Pulls
from lifeos.forge.wire import web_base
from lifeos.tick.context import Context
from lifeos.tick.pull_refs import has_head

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Seen:
    """A queue PR as the forge reported it; ``pull`` is None for one that it no longer has.

    ``no_reviews`` and ``no_closes`` say why those cannot be read: there are too many, or they are
    too long, and a stranger may have made them so.
    """

    pull: Pull | None
    reviews: tuple[PullReview, ...] = ()
    closed_by: tuple[Person | None, ...] = ()
    no_reviews: str = ""
    no_closes: str = ""


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
    given = environ.get(ELSEWHERE, "").strip()
    if not given:
        return settings
    host, _, name = given.partition("/")
    told = {**settings.model_dump(), "host": host.lower(), "repository": name}
    try:
        if name:
            return Forge.model_validate(told)
    except ValidationError:
        pass  # said below, as people write it
    raise UsageError(
        f"{ELSEWHERE} is {given[:80]!r}, and not HOST/OWNER/NAME",
        f"{ELSEWHERE}=github.com/ada/shop",
    )


def _name(settings: Forge, url: str) -> str:
    name = name_on(settings, url)
    if name:
        return name
    raise UsageError(
        f"the name of this repository on {settings.host} is not known",
        f"set `forge: {{repository: OWNER/NAME}}` in .lifeos/config.yaml; {MENDING}",
    )


def look(ctx: Context) -> None:
    """Ask the forge what became of the queue PRs of open items. Fetch main after this.

    What cannot be heard of one of them keeps no other from being heard: nothing resumes by it.
    Raises the errors of ``lifeos.forge``.
    """
    forge = ctx.forge
    if forge is None:
        return
    snapshot = ctx.ledger.snapshot
    pulls = {item.id: item.pull for item in snapshot.items.values() if item.pull}
    opened = {item: pull.number for item, pull in pulls.items() if pull.number}
    with mendable():
        ctx.pulls, ctx.unheard = _heard(forge, opened)
    ctx.late, known = _late(ctx, forge)
    ctx.deaf = bool(ctx.unheard) or not known
    # What another machine meant to ask, and died before it had pushed it, nobody can ask any more.
    lost = [item for item, pull in pulls.items() if not pull.number and not has_head(ctx, pull)]
    ctx.pulls |= dict.fromkeys(lost, Seen(None))


def _heard(
    forge: Pulls, opened: Mapping[str, int]
) -> tuple[dict[str, Seen], dict[str, LifeosError]]:
    """What the forge says of each, and why it says nothing that can be used.

    Of a forge that answers at all, one that fails for a single pull request is an odd one; if two
    in a row fail, or all there are, it is the forge.
    """
    seen: dict[str, Seen] = {}
    unheard: dict[str, LifeosError] = {}
    before = False  # whether the last one failed
    for item, number in opened.items():
        try:
            seen[item] = _asked(forge, item, number)
            before = False
        except Strange as error:
            unheard[item] = error
            before = False
        except Outage as error:
            if before:
                raise
            unheard[item] = error
            before = True
    if before and not seen:
        raise next(error for error in unheard.values() if not isinstance(error, Strange))
    return seen, unheard


def _late(ctx: Context, forge: Pulls) -> tuple[tuple[Pull, ...], bool]:
    """The pull requests of questions that are over which somebody merged all the same.

    And whether it is known which.
    """
    over = ctx.ledger.snapshot.over
    if not over:
        return (), True
    try:
        return forge.merged_of({pull.number for pull in over.values()}), True
    except Strange as error:
        ctx.world.progress(f"whether a closed question was merged is not known: {error.message}")
        return ctx.late, False


def came_by_question(
    forge: Pulls, commit: str, asked_about: Collection[str], *, merges: bool
) -> bool:
    """Whether a commit came, or may have come, by the pull request of a question.

    What such a merge may bring is on the ledger, and whoever merged it let nothing else through;
    unless what it brought is among ``asked_about``: then an approver has left it there. The commit
    of such a merge itself, if it ``merges`` two lines, brings nothing that is not in one of them.
    """
    try:
        found = forge.bringing(commit)
    except Strange:
        return True
    return any(
        f"refs/heads/{pull.head_ref}".startswith(BRANCHES)
        and pull.merge_commit not in asked_about
        and not (merges and pull.merge_commit == commit)
        for pull in found
    )


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
    reviews, no_reviews = _bounded(forge.reviews, number)
    closed_by, no_closes = _bounded(forge.closed_by, number)
    return Seen(pull, reviews, closed_by, no_reviews, no_closes)


def _bounded(ask: Callable[[int], tuple[Entry, ...]], number: int) -> tuple[tuple[Entry, ...], str]:
    """What is asked of a pull request, or why it cannot be read: that it was merged still can."""
    try:
        return ask(number), ""
    except TooMuch as error:
        return (), error.message
