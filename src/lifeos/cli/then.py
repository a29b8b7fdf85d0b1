"""Looking at how everything stood at an earlier time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lifeos.cli.here import Here, look, rules_of
from lifeos.errors import UsageError

if TYPE_CHECKING:
    from lifeos.cli.frame import Frame
    from lifeos.store.ledger import Ledger


@contextmanager
def look_then(frame: Frame, text: str) -> Iterator[Here]:
    """As ``look``; with a ``text``, as ledger, rules and main were at what ``--at`` names.

    Raises ``UsageError`` for what it does not name.
    """
    with look(frame) as here:
        yield then_of(here, text) if text else here


def then_of(here: Here, text: str) -> Here:
    """Everything as it was at what ``text`` names. Raises as ``look_then``."""
    from lifeos.cli.at import ledger_at
    from lifeos.tick.reading import main_at

    if here.ledger is None:
        raise UsageError("there is no ledger here yet", "lifeos init, commit, then lifeos tick")
    ledger = ledger_at(here.ledger, text)
    digest = ledger.snapshot.governance
    rules = here.rules if digest == here.rules.digest else rules_of(ledger, digest)
    return Here(here.repo, ledger, rules, main_at(here.repo, _main(here, ledger, text)), past=True)


def _main(here: Here, ledger: Ledger, text: str) -> str:
    """The commit of main that ``text`` names, or the one that was decided on by then."""
    from lifeos.cli.at import commit_called
    from lifeos.store.remote import contains
    from lifeos.tick.then import main_then

    named = commit_called(here.repo, text)
    if named is not None and contains(here.repo, here.main.commit, named):
        return named
    found = main_then(ledger, here.main.commit)
    if found is None:
        raise UsageError(
            f"which {here.branch} that was cannot be told: its commits are not part of it now",
            "lifeos verify",
        )
    return found
