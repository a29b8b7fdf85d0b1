"""``--at``: the ledger as it was, by what people call a moment of it.

A name of git's is looked for first: a transition is itself, a commit of main is the transition that
it names (`Lifeos-Ledger:`), or the last one not later than it. Anything else is a time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.errors import UsageError

if TYPE_CHECKING:
    from lifeos.store.ledger import Ledger
    from lifeos.store.repo import Repo

At = Annotated[
    str,
    typer.Option(
        "--at",
        help="As it was then: a commit of the ledger or of main, a date, a time, or 30d ago.",
        metavar="COMMIT|WHEN",
    ),
]
_LONGEST = 200


def ledger_at(ledger: Ledger, text: str) -> Ledger:
    """The ledger as it was at what ``--at`` names; as it is for ''. Raises as ``resolve_at``."""
    if not text:
        return ledger
    commit = resolve_at(ledger.repo, ledger, text)
    return ledger if commit == ledger.tip else type(ledger).at(ledger.repo, commit)


def resolve_at(repo: Repo, ledger: Ledger, text: str) -> str:
    """The commit of the ledger that is meant. Raises ``UsageError`` where there is none.

    Who may write on main can write any trailer there: one that names no transition of this ledger
    counts as none, and then the commit's time decides, which is what its author says it is.
    """
    commit = commit_called(repo, text) or known_as_before(repo, ledger, text)
    if commit:
        return _of_commit(repo, ledger, commit, text)
    from lifeos.core.when import when

    try:
        moment = when(text, int(time.time()))
    except UsageError as error:
        raise UsageError(
            f"--at {text[:80]!r} is neither a commit here nor a time",
            f"a commit of the ledger (lifeos log) or of main, or {error.fix.partition(': ')[2]}",
        ) from error
    return _last(repo, ledger, moment, text)


def commit_called(repo: Repo, text: str) -> str | None:
    """The commit of this name, as git reads names; None if it knows none."""
    if not text.isprintable() or len(text) > _LONGEST:
        return None
    head, at_head = repo.refs.head_id(), text == "HEAD" or text.startswith(("HEAD~", "HEAD^"))
    name = f"{head}{text[4:]}" if at_head and head else text
    args = ("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    result = repo.git.call("rev-parse", *args)
    return result.out.decode().strip() if result.status == 0 else None


def known_as_before(repo: Repo, ledger: Ledger, text: str) -> str:
    """The transition that had this id before something was redacted; '' if none had."""
    from lifeos.store.encoding import OID
    from lifeos.store.redactions import renamed

    return renamed(repo, ledger.tip).get(text, "") if OID.fullmatch(text) else ""


def _of_commit(repo: Repo, ledger: Ledger, commit: str, text: str) -> str:
    from lifeos.store.redactions import known_as
    from lifeos.store.story import is_transition, named_tip

    known = known_as(repo, ledger.tip, commit)
    if known:
        return known
    if is_transition(repo, commit):
        raise UsageError(
            f"--at {text[:80]} is a transition of another history of the ledger",
            "lifeos log shows those of this one; git reflog lifeos/ledger its former tips",
        )
    named = named_tip(repo, commit)
    known = known_as(repo, ledger.tip, named) if named else ""
    if known:
        return known
    return _last(repo, ledger, repo.objects.commit(commit).committer.when, text)


def _last(repo: Repo, ledger: Ledger, moment: int, text: str) -> str:
    from lifeos.core.when import minute
    from lifeos.store.story import last_until

    found = last_until(repo, ledger.tip, moment)
    if found is None:
        first = repo.objects.commit(ledger.snapshot.root).committer.when
        raise UsageError(
            f"--at {text[:80]}: nothing had happened by then",
            f"the ledger begins at {minute(first)} UTC",
        )
    return found
