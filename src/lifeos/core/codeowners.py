"""The approvers as code owners: a marked block of CODEOWNERS. Pure.

GitHub reads the first of `PLACES` that is there, and in it the last line that fits a path. So the
block stands at the end of the file that counts; and only what decides how work is judged is in it.
`BACKLOG.md` is not: whoever may push may ask for work, and the approvers decide what lands.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifeos.core.policy import Approver

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where GitHub looks, in its order; only the first that is there counts."""
OWNED = ("/policies/", "/.lifeos/", "/.github/")
"""The rules, the queue with its answers, and the workflows."""
MENDING = "lifeos init --github --commit"

NAMING = (
    "give each approver a `login` in policies/approvals.yaml, then lifeos init --github --commit"
)

_BEGIN = "# >>> lifeos: the approvers of policies/approvals.yaml, written by lifeos init --github"
_END = "# <<< lifeos"
_NOBODYS = re.compile(r"(?i)[@.](?:invalid|example|test|localhost|example\.(?:com|net|org))$")
"""The end of an address that stands for no one: RFC 2606 keeps these names free."""
_BLOCK = re.compile(r"(?ms)^# >>> lifeos\b[^\n]*\n(.*?)^# <<< lifeos[^\n]*(?:\n|\Z)")


def place_of(paths: Collection[str]) -> str:
    """The file that counts among a repository's; where to make one if there is none."""
    return next((place for place in PLACES if place in paths), PLACES[0])


def owner_of(who: Approver) -> str | None:
    """How CODEOWNERS names an approver; None where it cannot (`#` begins a comment there)."""
    owner = f"@{who.login}" if who.login else who.email
    return None if "#" in owner or "\\" in owner else owner


def block_of(approvers: Collection[Approver], place: str) -> str:
    """The block for these approvers; "" where there is nobody to name."""
    owners = " ".join(owner for who in approvers if (owner := owner_of(who)))
    if not owners:
        return ""
    paths = OWNED if place.startswith(".github/") else (*OWNED, f"/{place}")
    lines = "".join(f"{path} {owners}\n" for path in paths)
    return f"{_BEGIN}\n{lines}{_END}\n"


def with_block(there: str, approvers: Collection[Approver], place: str) -> str:
    """The file with the block of these approvers at its end, and all else as it was."""
    rest = _BLOCK.sub("", there.replace("\r\n", "\n")).rstrip("\n")
    block = block_of(approvers, place)
    if not block:
        return f"{rest}\n" if rest else ""
    return f"{rest}\n\n{block}" if rest else block


def drift(there: str | None, approvers: Collection[Approver], place: str) -> str:
    """What is wrong with the file beside the approvers, in words; "" where nothing is.

    A file without a block is nobody's promise: lifeos has not been asked to keep one.
    """
    if there is None:
        return ""
    there = there.replace("\r\n", "\n")
    blocks = list(_BLOCK.finditer(there))
    if not blocks:
        begun = "\n# >>> lifeos" in f"\n{there}"
        return "its block of lifeos has no end" if begun else ""
    if len(blocks) > 1:
        return f"has {len(blocks)} blocks of lifeos"
    if blocks[0][0].rstrip("\n") != block_of(approvers, place).rstrip("\n"):
        return "its block of lifeos does not name the approvers as policies/approvals.yaml does"
    after = there[blocks[0].end() :].splitlines()
    if any(line.strip() and not line.lstrip().startswith("#") for line in after):
        return "has lines below the block of lifeos, and the last line that fits decides"
    return ""


def unknown(there: str | None, approvers: Collection[Approver]) -> str:
    """Which owners in lifeos's block no account can have, in words; "" where there is none."""
    if there is None or not _BLOCK.search(there.replace("\r\n", "\n")):
        return ""
    owners = [owner for who in approvers if (owner := owner_of(who))]
    nobody = [owner for owner in owners if not owner.startswith("@") and _NOBODYS.search(owner)]
    return f"names {' and '.join(nobody)}, which no account has: nobody is asked" if nobody else ""
