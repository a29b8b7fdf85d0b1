"""What a person is shown of a breach that is about a name."""

from __future__ import annotations

import pytest

from lifeos.core.envelope import Breach, BreachKind
from lifeos.core.offending import with_lines
from lifeos.model import Change

SECRET = "very-secret-value-91c0ffee"  # noqa: S105 - a canary


def shown(old: str | None, new: str | None, **more: object) -> str:
    """The excerpt for a file that was changed like this."""
    fields: dict[str, object] = {
        "path": "a/b.txt",
        "added": 1,
        "removed": 1,
        "status": "A" if old is None else "D" if new is None else "M",
        "old_mode": "000000" if old is None else "100644",
        "new_mode": "000000" if new is None else "100644",
        "old_id": "0" * 40 if old is None else "1" * 40,
        "new_id": "0" * 40 if new is None else "2" * 40,
    }
    texts = (("1" * 40, old), ("2" * 40, new))
    contents = {oid: text.encode() for oid, text in texts if text is not None}
    breach = Breach(BreachKind.OUTSIDE, "a/b.txt", "is outside")
    change = Change.model_validate(fields | more)
    (found,) = with_lines([breach], [change], contents, [("TOKEN", SECRET)])
    assert (found.line, str(found)) == (0, "a/b.txt: is outside")
    return found.excerpt


@pytest.mark.parametrize(
    ("old", "new", "excerpt"),
    [
        (None, "x = 1\ny = 2\n", "a/b.txt:1: x = 1"),
        ("a\nb\nc\n", "a\nB\nc\n", "a/b.txt:2: B"),
        ("a\n", "a\nb\n", "a/b.txt:2: b"),
        ("a\n", "a\n\n  b\n", "a/b.txt:3: b"),
        (None, f"key = '{SECRET}'\n", "a/b.txt:1: key = '[redacted: value of TOKEN]'"),
        ("a\nb\n", "a\n", ""),
        ("a\n", None, ""),
        (None, "", ""),
    ],
    ids=["new", "changed", "added", "after a blank line", "secret", "shorter", "gone", "empty"],
)
def test_the_first_line_that_is_new_is_shown(
    old: str | None, new: str | None, excerpt: str
) -> None:
    """With its place, and without secrets; nothing where no line is new."""
    assert shown(old, new) == excerpt


def test_a_line_is_cut_and_a_binary_is_not_shown() -> None:
    """Nor is a file whose content was not read."""
    assert len(shown(None, "x" * 5000)) == len("a/b.txt:1: ") + 200
    assert shown(None, "x\n", added=None, removed=None) == ""
    assert shown(None, "x\n", new_id="3" * 40) == ""


def test_what_names_its_line_stays_as_it_is() -> None:
    """A breach that has a place or words of its own."""
    breaches = (
        Breach(BreachKind.SECRET, "a", "m", 3, "words"),
        Breach(BreachKind.GUARDRAIL, "a", "m", 0, "words"),
        Breach(BreachKind.BUDGET, "", "m"),
    )
    assert with_lines(breaches, [], {}) == breaches
