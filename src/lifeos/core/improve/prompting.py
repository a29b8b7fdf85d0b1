"""The paragraphs that a proposal may add to a prompt: all of them are made here, of known words.

Nothing that a task, a file's name or a model said gets into a prompt this way: there it would be
read as a rule, not as data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lifeos.model import FailureClass, Stage

ROLE_OF: Mapping[Stage, str] = {
    Stage.DESIGN: "designer",
    Stage.PLAN: "planner",
    Stage.BUILD: "builder",
}
"""The prompt of the role that makes what a stage asks for."""

HINTS: Mapping[FailureClass, str] = {
    FailureClass.TEST_FAILURE: "run every test that your change can reach, and mend what is red",
    FailureClass.TEST_TIMEOUT: "look for waits and loops without an end in what you wrote",
    FailureClass.LINT_ERROR: "run the project's linter on each file that you changed",
    FailureClass.FORMATTING_ERROR: "run the project's formatter on each file that you changed",
    FailureClass.TYPO: "read every word that you wrote once more",
    FailureClass.SYNTAX_ERROR: "have each file that you changed parsed by its own language",
    FailureClass.NO_CHANGE: "make the change in the files: words alone change nothing",
    FailureClass.ENVELOPE_VIOLATION: "compare every path that you changed with the task's scope",
    FailureClass.REVIEW_REJECTION: "look at the whole change as its reviewer would",
}
"""What prevents a failure, as the role that makes the work can be told."""

_AREA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_PLACE = re.compile(r" on files in `[A-Za-z0-9][A-Za-z0-9_-]{0,39}`")
_OPENING = "\n\n## What experience here says\n\n"


def is_plain_area(area: str) -> bool:
    """Whether a folder's name may be said to people and models: it says nothing but a name."""
    return _AREA.fullmatch(area) is not None


def about_failure(failure: FailureClass, area: str = "") -> str:
    """What a role is told about a failure that recurs."""
    where = f" on files in `{area}`" if is_plain_area(area) else ""
    return f"Work{where} has often failed as {failure} here. Before you end, {HINTS[failure]}."


def about_schema() -> str:
    """What a role is told whose answers often did not fit."""
    return (
        "Answers here often could not be read. Write the one JSON object last, check that every "
        "key of the schema is there and none beside them, and that brackets and quotes are closed."
    )


def with_paragraph(text: str, paragraph: str) -> str:
    """A prompt with one paragraph more at its end."""
    base = text.rstrip()
    joined = "\n\n" if _OPENING in text else _OPENING
    return f"{base}{joined}{paragraph.strip()}\n"


def known_addition(before: str, after: str) -> bool:
    """Whether a prompt only got one of these paragraphs, and so says nothing else than it did."""
    if not after.startswith(before.rstrip()):
        return False
    added = _PLACE.sub("", after[len(before.rstrip()) :])
    known = (about_schema(), *(about_failure(failure) for failure in HINTS))
    return any(
        added == with_paragraph(opening, p).removeprefix(opening.rstrip())
        for p in known
        for opening in ("", _OPENING)
    )
