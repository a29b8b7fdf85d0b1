"""The title and text of a queue PR: to be decided from a phone, in a minute.

Plain text first. What each way of answering does comes before everything else; then the pending
file, without its front matter, and without what is only good for a terminal.
"""

from __future__ import annotations

from lifeos.core.answers import answer_path
from lifeos.core.clean import code_span, one_line
from lifeos.core.state import Item, OnApprove, PullRequest, Run
from lifeos.core.table import ANSWERS, INTRUDED, TAKES_BACK, UNVERIFIED, effects
from lifeos.model import Decision, ItemKind, Stage

BODY_LIMIT = 60_000
"""Characters; a forge takes 65,536."""
_TITLE = 120
TAKEN_BACK = {INTRUDED: "which reached main unasked", UNVERIFIED: "which fails on main"}
"""What is to be said of what a question offers to take back, by its rule."""
_WORDS = {
    ItemKind.WAIVER: "Waive",
    ItemKind.BUDGET: "Budget",
    ItemKind.BREACH: "Breach",
    ItemKind.ESCALATION: "Stuck",
    ItemKind.COMMANDS: "Commands",
    ItemKind.ENVIRONMENT: "Environment",
    ItemKind.STAGE_REVIEW: "Review",
}


def title_of(item: Item, run: Run | None) -> str:
    """One line that says what is asked."""
    if item.rule in TAKES_BACK:
        return f"Take back {item.about[:12]}, {TAKEN_BACK[item.rule]} ({item.id})"
    if item.proposed is not None:
        return one_line(f"{item.question.removesuffix(' Land it?')} ({item.id})", _TITLE)
    if run is None:
        return f"Adopt the changed rules ({item.id})"
    if item.kind is ItemKind.STAGE_REVIEW and item.stage is Stage.CLOSE:
        word = "Land"
    else:
        word = _WORDS.get(item.kind, item.kind.value)
    return one_line(f"{word}: {run.title} ({run.task}, {item.id})", _TITLE)


def page_of(item: Item, pull: PullRequest, pending: str, main: str, work: str = "") -> str:
    """The text. ``pending`` is the item's pending file; ``work``: where the work can be seen."""
    _, _, page = pending.partition("\n# ")
    _, _, page = page.partition("\n")
    page, _, _ = page.rpartition("\n## How to answer")
    asked, _, rest = page.strip().partition("\n\n- **")
    _, _, rest = rest.partition("\n\n")
    parts = [asked, _answers(item, main), _carries(item, pull, main, work), rest]
    text = "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"
    if len(text) <= BODY_LIMIT:
        return text
    more = f"\n\n… cut here. All of it: `lifeos queue show {item.id}`\n"
    return text[: BODY_LIMIT - len(more)] + more


def _answers(item: Item, main: str) -> str:
    again = item.on_approve is OnApprove.AGAIN
    does = effects(item.kind, item.stage, item.rule, again=again)
    lines = [f"- **Merge** it (any method): {does[Decision.APPROVE]}"]
    if Decision.REVISE in does and Decision.REVISE in ANSWERS[item.kind]:
        lines.append(f"- **Request changes**, with a comment: {does[Decision.REVISE]}")
    lines.append(f"- **Close** it: {does[Decision.REJECT]}")
    lines.append(
        "\nOnly an approver's answer counts, and not from the account that opened this. Nothing "
        f"else may be pushed to its branch: if {main} moves under it, lifeos asks again."
    )
    return "\n".join(lines)


def _carries(item: Item, pull: PullRequest, main: str, work: str) -> str:
    if pull.landing and item.proposed is not None:
        return f"The change below is the proposal itself: merging lands it on {main}."
    if pull.landing:
        return f"The change below is the work itself: merging lands it on {main}."
    path = code_span(answer_path(item.id))
    if item.rule in TAKES_BACK and pull.commits > 1:
        return f"The change below takes it back, and adds {path}."
    if item.rule in TAKES_BACK:
        return (
            f"What came after it stands on it: nothing could be prepared to take it back. Merge "
            f"this once {main} is as you want it. The change adds only {path}."
        )
    look = f" Look at it here: {work}" if work else ""
    return f"The change below is only your answer, {path}; the work is not in it.{look}"
