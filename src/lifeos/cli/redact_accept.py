"""Taking over what was redacted elsewhere, and finishing what was cut short here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeos.cli.redact_screen import RedactData, gone, stepping
from lifeos.errors import LedgerBroken, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeos.store.ledger import Ledger
    from lifeos.store.redactions import Known
    from lifeos.store.remote import Remote
    from lifeos.store.repo import Repo


def accepted(repo: Repo) -> RedactData:
    """Move this clone's ledger to the redacted one, and remove the content. Hold the tick's lock.

    Raises ``LedgerBroken`` unless an approver ordered it and the rest is proved to be the same;
    nothing has changed then.
    """
    from lifeos.cli.frame import progress
    from lifeos.store.ledger import BRANCH
    from lifeos.store.ledger import Ledger as LedgerClass
    from lifeos.tick.context import bring_main
    from lifeos.tick.redact_removal import remove, show_ledger

    local = repo.refs.read(BRANCH)
    if local is None:
        raise UsageError("there is no ledger here", "clone it: there is nothing to take over")
    remote = _remote(repo, LedgerClass.at(repo, local))
    tip = (remote.ledger if remote else None) or local
    known = _require_sound(repo, tip, local, remote.main if remote else None)
    behind = bring_main(repo, remote) if remote else ""
    if behind:
        progress(behind)
    if local != tip and not repo.refs.compare_and_swap(BRANCH, tip, local, "lifeos"):
        raise LedgerBroken("lifeos/ledger moved meanwhile", "lifeos redact --accept")
    LedgerClass.at(repo, tip).save()
    show_ledger(repo, remote, tip)
    found = [(one.about, remove(repo, None, one.about)) for one in known]
    return RedactData(
        gone=tuple(gone(about, still_here) for about, (still_here, _) in found),
        before=local,
        tip=tip,
        accepted=True,
        left=tuple(dict.fromkeys(line for _, (_, left) in found for line in left)),
    )


def _remote(repo: Repo, ledger: Ledger) -> Remote | None:
    """The remote that holds the truth, as it is now; None where this clone does."""
    from lifeos.cli.here import adopted
    from lifeos.core.policy import NO_REMOTE
    from lifeos.store.remote import Remote as RemoteClass
    from lifeos.tick.context import World

    config = adopted(ledger).config
    if config.remote == NO_REMOTE:
        return None
    remote = RemoteClass.open(repo, config.remote, config.main, World().pause)
    remote.refresh()
    return remote


def _require_sound(repo: Repo, tip: str, local: str, main: str | None) -> Sequence[Known]:
    """What was redacted there. Raises ``LedgerBroken`` unless all of it was ordered and is proved.

    This clone must have nothing that the ledger there lacks.
    """
    from lifeos.store.redactions import chain_of, former_ids, redactions_of
    from lifeos.store.remote import contains
    from lifeos.tick.verify import main_of

    known, chain = redactions_of(repo, tip), chain_of(repo, tip)
    if not known:
        raise UsageError("nothing was redacted", "lifeos status shows where the ledger is")
    if not contains(repo, tip, local) and local not in former_ids(known, chain):
        raise LedgerBroken(
            "the ledger of this clone has transitions that the other one never had",
            f"git log {tip[:12]}..lifeos/ledger shows them; lifeos verify",
        )
    main = main or main_of(repo, tip)
    for number in range(len(known)):
        _require_stands(repo, chain, known, number, main)
    return known


def _require_stands(
    repo: Repo, chain: Sequence[str], known: Sequence[Known], number: int, main: str | None
) -> None:
    from lifeos.cli.here import rules_of
    from lifeos.store.ledger import Ledger as LedgerClass
    from lifeos.store.redactions import proved
    from lifeos.tick.redact import faults

    about = known[number].about
    if not 1 < about.noted <= len(chain):
        raise LedgerBroken(f"the redaction of {about.blob[:12]} is of no transition here")
    then = LedgerClass.at(repo, chain[about.noted - 2])
    approvals = rules_of(then, then.snapshot.governance).approvals
    good = proved(repo, chain, known, number, stepping(about.noted - about.first))
    wrong = list(faults(repo, about, proved=good, main=main, approvals=approvals))
    if wrong:
        raise LedgerBroken(
            f"the redaction of {about.blob[:12]} does not stand: {'; '.join(wrong)}",
            "nothing was taken over; ask whoever ordered it, and compare with another clone",
        )
