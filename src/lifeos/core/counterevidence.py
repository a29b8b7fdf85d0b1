"""What lifeos recorded itself, against what a seat claims: a green run settles "the tests fail"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lifeos.core.checkreport import CheckResult
from lifeos.core.policy.words import CheckKind
from lifeos.core.replies.seat import SeatFinding
from lifeos.core.review import Proven

_SAYS_RED = re.compile(
    r"(?:(?:the|all|some|its|existing|new|unit|project's) )*"
    r"(?P<what>test suite|tests?|checks?|acceptance commands?|lint(?:er|ing)?|formatt(?:er|ing)"
    r"|build)"
    r" (?:(?:currently|now|still|all) )?"
    r"(?:fails?|failed|(?:is|are) (?:failing|red|broken)|do(?:es)? not pass|did not pass)"
    r"(?: (?:now|on this tree|(?:after|with) (?:the|this) change))?[.!]?",
    re.IGNORECASE,
)
"""A claim that says nothing but that; "the tests fail to cover X" is another claim."""
_KINDS = {
    "tes": CheckKind.TEST,
    "lin": CheckKind.LINT,
    "for": CheckKind.FORMAT,
    "bui": CheckKind.BUILD,
}


def settled_by(
    finding: SeatFinding, checks: Sequence[CheckResult], acceptance: Sequence[Proven]
) -> str:
    """The recorded evidence that says the opposite of a finding, in words; "" if there is none."""
    name = finding.fails.strip()
    if name:
        ran = [(each.name, each.passed) for each in checks if name in (each.name, each.command)]
        ran += [(p.command, p.passed) for p in acceptance if name in (p.command, p.text)]
    else:
        said = _SAYS_RED.fullmatch(" ".join(finding.claim.split()))
        ran = _meant(said["what"].casefold(), checks, acceptance) if said else []
    if not ran or not all(passed for _, passed in ran):
        return ""
    return f"lifeos ran it on this tree, and it passed: {', '.join(each for each, _ in ran)}"


def _meant(
    what: str, checks: Sequence[CheckResult], acceptance: Sequence[Proven]
) -> list[tuple[str, bool]]:
    """What was run of what a claim speaks of."""
    if what.startswith("acceptance"):
        return [(each.command, each.passed) for each in acceptance]
    kind = _KINDS.get(what[:3])
    return [(each.name, each.passed) for each in checks if kind in (None, each.kind)]
