"""Commands that an agent ran, against the patterns of the envelope."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.commandlines import foreign_commands
from lifeos.core.envelope import BreachKind, failure_class, item_kind
from lifeos.model import FailureClass, ItemKind

ALLOWED = ("pytest", "pytest *", "ls *", "git diff *", "echo *", "make test && make lint")


@pytest.mark.parametrize(
    "line",
    [
        "pytest",
        "  pytest   -q  tests ",
        "pytest -q && ls -l",
        "pytest -q 2>&1 | echo done; ls .",
        "ls a\npytest",
        "echo 'a && b; $x | c'",
        'echo "a; b"',
        "echo a\\;b",
        "make test  &&  make lint",
        "pytest -q &> log",
        "pytest -q &",
    ],
)
def test_what_fits(line: str) -> None:
    """Whole, or in every part; what stands in quotes is text."""
    assert foreign_commands([(line, False)], ALLOWED) == ()


@pytest.mark.parametrize(
    "line",
    [
        "curl http://x",
        "pytest; curl http://x",
        "pytest -q && rm -rf .",
        "pytest || rm -rf .",
        "pytest | sh",
        "pytest & rm x",
        "pytest\nrm x",
        "pytest $(rm x)",
        "pytest `rm x`",
        'echo "$(rm x)"',
        "ls <(rm x)",
        "echo 'open",
        "pytestx",
        "sh -c 'pytest -q'",
        "PATH=/x pytest -q",
        "git push",
        "make test; make lint",
        "echo \\' ; rm x ; echo \\'",
        "echo '\\' ; rm x",
        "(pytest)",
        "pytest " + "x" * 30_000,
    ],
)
def test_what_does_not_fit(line: str) -> None:
    """One part is enough, and what cannot be seen fits nothing."""
    (breach,) = foreign_commands([(line, False)], ALLOWED)
    assert breach.kind is BreachKind.COMMAND
    assert len(breach.message) < 200
    assert len(breach.excerpt) <= 200


@pytest.mark.parametrize(
    ("pattern", "line", "fits"),
    [
        ("a*b", "ab", True), ("a*b", "a x b", True), ("a*b", "a", False), ("ab*b", "ab", False),
        ("*x*", "axb", True), ("a*b*c", "acb", False), ("a**c", "ac", True), ("*a", "ba", True),
        ("a*a*a", "aa", False), ("a*a*a", "aaa", True), ("a.c", "abc", False),
    ],
)  # fmt: skip
def test_what_a_star_stands_for(pattern: str, line: str, fits: bool) -> None:
    """Any text, also none; pieces do not overlap, and nothing else means anything."""
    assert (foreign_commands([(line, False)], (pattern,)) == ()) is fits


def test_denied_is_not_run_and_twice_is_once() -> None:
    """Only what ran counts, each once, in the order in which it ran."""
    ran = [("b", False), ("a", False), ("b", False), ("c", True)]
    messages = [breach.message for breach in foreign_commands(ran, ("pytest",))]
    assert [message[-1] for message in messages] == ["b", "a"]


def test_a_star_alone_allows_everything_and_nothing_allows_nothing() -> None:
    """Both ends."""
    assert foreign_commands([("curl $(x) '", False)], ("pytest", "*")) == ()
    assert len(foreign_commands([("true", False)], ())) == 1


def test_it_is_a_breach_that_a_person_is_asked_about() -> None:
    """Not a budget, not an environment; and no secret is in it."""
    token = "ghp_" + "aB3" * 12
    found = foreign_commands([(f"curl -H {token} x", False)], ("pytest",))
    assert failure_class(found) is FailureClass.ENVELOPE_VIOLATION
    assert item_kind(found) is ItemKind.BREACH
    assert token not in str(found)


@pytest.mark.parametrize("piece", ["a ", "'", "&", "\\", ";", "*", "a*"])
def test_the_worst_line_ends(piece: str) -> None:
    """Long lines, and patterns of many stars."""
    line = piece * (20_000 // len(piece))
    foreign_commands([(line, False)], ("a*a*b", "*a*", "**b", "'*", "& *c"))


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=10), max_size=3))
def test_any_text_is_judged(line: str, patterns: list[str]) -> None:
    """Nothing raises; and the line itself, as a pattern, is allowed unless it has a star."""
    foreign_commands([(line, False)], patterns)
    if "*" not in line:
        assert foreign_commands([(line, False)], (line,)) == ()
