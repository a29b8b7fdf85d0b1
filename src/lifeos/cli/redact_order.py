"""Ordering that content goes: who may, what is meant, the order on main, the ledger anew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lifeos.cli.redact_screen import RedactData, gone, stepping
from lifeos.errors import Busy, NotAuthorised, UsageError
from lifeos.model import Trust

if TYPE_CHECKING:
    from lifeos.store.ledger import Ledger
    from lifeos.store.redactions import Redaction
    from lifeos.store.repo import Repo
    from lifeos.tick.context import Context
    from lifeos.tick.redact_place import Place

_BLOB = re.compile(r"[0-9a-f]{7,64}")


def ordered(ctx: Context, what: str, name: str, note: str, *, dry_run: bool) -> RedactData:
    """Redact it. Hold the tick's lock.

    Raises ``NotAuthorised`` for who may not, ``UsageError`` for what may not go, ``Busy`` where
    something is in the way; the ledger has not changed then.
    """
    from lifeos.tick.redact import wanted

    who = _require_may(ctx)
    place = _found(ctx, what, name)
    at = ctx.now()  # a clock that may not record may not order either
    about = wanted(ctx.ledger, place, who=who, note=note, at=at)
    rewritten = place.transitions - place.first + 1
    if dry_run:
        return RedactData(gone=(gone(about),), before=about.tip, tip="", rewritten=rewritten)
    about = about.model_copy(update={"order": _order(ctx, about)})
    tip = _written_anew(ctx, about, rewritten)
    still_here, left = _removed(ctx, about, tip)
    return RedactData(
        gone=(gone(about, still_here),),
        before=about.tip,
        tip=tip,
        rewritten=rewritten,
        left=left,
    )


def _require_may(ctx: Context) -> str:
    """Who orders it. Raises ``NotAuthorised``."""
    from lifeos.cli.on_main import require_approver

    _, who = require_approver(ctx.repo, ctx.rules.approvals)
    if ctx.rules.approvals.trust is Trust.MERGE:
        raise NotAuthorised(
            "with trust `merge` no commit can be an order: only the forge knows who brought it",
            "let the rules say `trust: signature` for as long as it takes",
        )
    return who


def _found(ctx: Context, what: str, name: str) -> Place:
    """Where it is. Raises ``UsageError`` where it must stay, ``Busy`` while attempts work."""
    from lifeos.tick.redact_place import elsewhere, place_of

    place = place_of(ctx.ledger, _blob_of(ctx.ledger, what, name))
    others = elsewhere(ctx.repo, place.blob)
    if others:
        raise UsageError(
            f"{', '.join(others[:5])} has it too: what is on a branch is not lifeos's to take away",
            f"git log --all --find-object={place.blob[:12]}; take it out there first",
        )
    if any(run.claim for run in ctx.ledger.snapshot.runs.values()):
        raise Busy("attempts are under way", "wait until lifeos status shows none, then try again")
    return place


def _order(ctx: Context, about: Redaction) -> str:
    """The commit of main that orders it: one that is there already, or a new one."""
    from lifeos.cli.on_main import OnMain
    from lifeos.tick.redact import not_ordered, order_message, orders_on

    main = ctx.main()
    for order in orders_on(ctx.repo, main, about):
        known = about.model_copy(update={"order": order})
        if not any(not_ordered(ctx.repo, known, main, ctx.rules.approvals)):
            return order
    where = OnMain.under(ctx.repo, ctx.rules)
    order = where.commit(lambda _main: [{}], order_message(about))
    _require_there(ctx, order)
    return order


def _require_there(ctx: Context, order: str) -> None:
    """Raise ``Busy`` where only this clone has the order: no other could know of it."""
    from lifeos.store.remote import contains

    remote = ctx.remote
    if remote is None:
        return
    remote.refresh()
    if remote.main is None or not contains(ctx.repo, remote.main, order):
        name = f"{remote.name} {ctx.rules.config.main}"
        raise Busy("the order is not pushed, so nothing was done", f"git push {name}, and again")


def _written_anew(ctx: Context, about: Redaction, rewritten: int) -> str:
    from lifeos.store.ledger import LedgerMoved
    from lifeos.tick.redact import redact

    try:
        return redact(ctx.ledger, about, stepping(rewritten))
    except LedgerMoved:
        raise Busy(
            "the ledger could not be put in its place: somebody recorded something, or the remote"
            " lets nobody rewrite that branch",
            "lift that rule for as long as it takes (docs/redact.md), then run this again",
        ) from None


def _removed(ctx: Context, about: Redaction, tip: str) -> tuple[str, tuple[str, ...]]:
    from lifeos.tick.redact_removal import remove, show_ledger

    ctx.ledger.save()
    show_ledger(ctx.repo, ctx.remote, tip)
    return remove(ctx.repo, ctx.remote, about)


# --- what is meant ------------------------------------------------------------------------------


def _blob_of(ledger: Ledger, what: str, name: str) -> str:
    """The blob that is meant: by itself, or by the file that an attempt or a run left."""
    from lifeos.cli.find import RunName, find

    if not name and _BLOB.fullmatch(what):
        return _named_blob(ledger, what)
    found = find(ledger, what)
    if not isinstance(found, RunName) or not name:
        raise UsageError("name the file: RUN:N NAME", "lifeos show RUN N lists the files")
    return _file_of(ledger, found.run, found.n, name)


def _named_blob(ledger: Ledger, what: str) -> str:
    """A blob by its id. Raises ``UsageError`` where there is none, or it was redacted."""
    from lifeos.store.redactions import redactions_of

    args = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{what}^{{blob}}")
    result = ledger.repo.git.call(*args)
    if result.status == 0:
        return result.out.decode().split()[-1]
    known = [one.about for one in redactions_of(ledger.repo, ledger.tip)]
    for about in known:
        if about.blob.startswith(what):
            raise UsageError(
                f"that was redacted already, by {about.who}: {about.note}", "lifeos verify"
            )
    raise UsageError(
        f"there is no file with the id {what[:12]} here", "lifeos show RUN N lists the files"
    )


def _file_of(ledger: Ledger, run: str, n: int, name: str) -> str:
    from lifeos.cli.passage import passage_of
    from lifeos.store.endings import packet_path
    from lifeos.store.entries import attempt_path
    from lifeos.store.trees import FOLDER, lookup

    objects, passage = ledger.repo.objects, passage_of(ledger, run)
    folder = attempt_path(run, n) if n else f"runs/{run}"
    places = ((passage.tree, f"{folder}/{name}"), (ledger.tree, f"{packet_path(run)}/{name}"))
    for tree, path in places:
        leaf = lookup(objects, tree, path) if not name.startswith("/") else None
        if leaf is not None and leaf.mode != FOLDER:
            return leaf.oid
    raise UsageError(
        f"{run}{f':{n}' if n else ''} has no file {name[:80]!r}",
        f"it has: {', '.join(_names(ledger.repo, passage.tree, folder)) or 'nothing'}",
    )


def _names(repo: Repo, tree: str, folder: str) -> list[str]:
    from lifeos.store.trees import lookup, read_tree

    there = lookup(repo.objects, tree, folder)
    entries = read_tree(repo.objects, there.oid) if there else ()
    return sorted(entry.name for entry in entries)[:20]
