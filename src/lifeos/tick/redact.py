"""Taking content out of the ledger: an approver's order for it, and the ledger written anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lifeos.core.clean import one_line
from lifeos.core.policy import Approvals
from lifeos.core.records import Noted, Topic
from lifeos.store.exchange import Exchange
from lifeos.store.history import read_commits
from lifeos.store.ledger import Ledger
from lifeos.store.objects import MissingObject
from lifeos.store.redactions import ABOUT, FORMER, Redaction, chain_of, folder_of
from lifeos.store.remote import contains
from lifeos.store.repo import Repo
from lifeos.tick.authority import by_approver
from lifeos.tick.redact_place import Place

NOTE_LIMIT = 500
"""Characters of a note: it stands in a record."""
BLOB, DIGEST, TIP = "Lifeos-Redacts: ", "Lifeos-Redacts-Sha256: ", "Lifeos-Redacts-From: "
"""The trailers of an order: what is taken out (as git and as records name it), of which ledger."""


def as_note(text: str) -> str:
    """A note as it is recorded: one line, without what could drive a terminal or a forge."""
    return one_line(text, NOTE_LIMIT)


# --- the order --------------------------------------------------------------------------------


def wanted(ledger: Ledger, place: Place, *, who: str, note: str, at: int) -> Redaction:
    """What is to be done, but for the commit that orders it."""
    return Redaction(
        blob=place.blob,
        digest=place.digest,
        size=place.size,
        paths=place.paths,
        first=place.first,
        noted=place.transitions + 1,
        tip=ledger.tip,
        order="",
        who=who,
        note=as_note(note),
        at=at,
    )


def order_message(about: Redaction) -> str:
    """The message of the commit by which an approver orders it."""
    files = "file" if len(about.paths) == 1 else "files"
    return (
        f"Redact {len(about.paths)} {files} of the ledger\n\n"
        f"{about.note}\n\n"
        f"{BLOB}{about.blob}\n{DIGEST}{about.digest}\n{TIP}{about.tip}\n"
    )


def orders_on(repo: Repo, main: str, about: Redaction) -> Iterator[str]:
    """The commits of main that ask for exactly this, newest first; whoever made them."""
    words = ("--fixed-strings", f"--grep={BLOB}{about.blob}", "--format=%H")
    listing = repo.git.run("log", *words, "--end-of-options", main).decode("ascii")
    for commit in listing.split():
        if repo.objects.commit(commit).message == order_message(about):
            yield commit


def not_ordered(
    repo: Repo, about: Redaction, main: str | None, approvals: Approvals
) -> Iterator[str]:
    """What is wrong with the order of a redaction.

    ``approvals`` are those of the set that was adopted when it was recorded.
    """
    short = about.order[:12]
    try:
        commit = repo.objects.commit(about.order)
    except (MissingObject, ValueError):
        yield f"its order {short} is not here"
        return
    (brought,) = read_commits(repo, [about.order])
    if main is not None and not contains(repo, main, about.order):
        yield f"its order {short} is not on main"
    if commit.message != order_message(about):
        yield f"its order {short} is about something else"
    by = {brought.author.email, brought.committer.email}
    if by != {about.who} or not by_approver(repo, brought, approvals):
        yield f"its order {short} is not an approver's"


def faults(
    repo: Repo, about: Redaction, *, proved: bool, main: str | None, approvals: Approvals
) -> Iterator[str]:
    """What is wrong with a redaction: with its order, or with the ledger that came out.

    ``proved``: what it was before comes out of what it is.
    """
    yield from not_ordered(repo, about, main, approvals)
    if not proved:
        yield f"what the ledger was before ({about.tip[:12]}) does not come out of what it is now"


# --- the ledger, written anew -----------------------------------------------------------------


def redact(ledger: Ledger, about: Redaction, step: Callable[[int], None]) -> str:
    """Put a ledger without this content in the place of the present one. Its tip.

    Raises ``LedgerMoved`` when somebody recorded something meanwhile: nothing has changed then.
    """
    repo = ledger.repo
    fresh = repo.objects.write_blob(about.placeholder())
    former = chain_of(repo, ledger.tip)[about.first - 1 :]
    with repo.objects.together():
        tip = Exchange(repo, {about.blob: fresh}, store=True).chain(former, step)[-1]
    record = Noted(
        at=about.at,
        topic=Topic.REDACTED,
        digest=about.digest,
        commit=about.order,
        onto=about.tip,
        tree=about.blob,
        who=about.who,
        text=about.note,
    )
    folder = folder_of(about.order)
    artifacts = {
        f"{folder}/{ABOUT}": about.model_dump_json().encode(),
        f"{folder}/{FORMER}": ("\n".join(former) + "\n").encode(),
    }
    return ledger.replace(tip, record, artifacts)
