"""What was taken out of the ledger: on whose order, and whether the rest is what it was."""

from __future__ import annotations

from datetime import UTC, datetime

from lifeos.core.records import Noted, Topic
from lifeos.errors import LedgerBroken
from lifeos.model import Trust
from lifeos.store.entries import Entry
from lifeos.store.git import GitError
from lifeos.store.objects import MissingObject
from lifeos.store.purge import is_there
from lifeos.store.redactions import Redaction
from lifeos.tick.audit import Area, Audit
from lifeos.tick.redact import faults
from lifeos.tick.redacted import Redacted


def read_redactions(audit: Audit, tip: str) -> None:
    """Before the replay: find what was redacted, and believe what is proved by the ids alone."""
    try:
        audit.redacted = Redacted.of(audit.repo, tip)
    except (LedgerBroken, MissingObject, GitError) as error:
        audit.find(tip, error.message, Area.REDACTIONS)


def check_redaction(audit: Audit, entry: Entry) -> None:
    """An approver ordered it, and the ledger before it comes out of the one that is there."""
    record = entry.record
    if not isinstance(record, Noted) or record.topic is not Topic.REDACTED:
        return
    audit.count(Area.REDACTIONS)
    about = audit.redacted.noted_at(entry.seq)
    if about is None or not _says(about, record):
        audit.find(entry.commit, "it does not say what its files say was redacted")
        return
    audit.note(_told(audit, about))
    rules = audit.governance(entry.tree, audit.snapshot.governance)
    if rules is None or rules.approvals.trust is Trust.MERGE:
        audit.skip("orders to redact under rules that this lifeos cannot read, or by merge")
        return
    for what in faults(
        audit.repo,
        about,
        proved=about.order in audit.redacted.good,
        main=audit.main,
        approvals=rules.approvals,
    ):
        audit.find(entry.commit, f"the redaction of {about.blob[:12]}: {what}")


def _says(about: Redaction, record: Noted) -> bool:
    by = (record.at, record.who, record.text, record.commit)
    what = (record.tree, record.digest, record.onto)
    return (*by, *what) == (
        *(about.at, about.who, about.note, about.order),
        *(about.blob, about.digest, about.tip),
    )


def _told(audit: Audit, about: Redaction) -> str:
    """What people should know of it; also that this clone still has what was redacted."""
    when = datetime.fromtimestamp(about.at, UTC).strftime("%Y-%m-%d")
    told = (
        f"redacted by {about.who} on {when}: {', '.join(about.paths)} ({about.size} bytes,"
        f" sha256 {about.digest}): {about.note}"
    )
    still = is_there(audit.repo, about.blob)
    return f"{told}; this clone still has it: lifeos redact --accept" if still else told
