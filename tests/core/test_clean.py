"""Foreign text is shown, and does nothing."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.clean import code_span, for_commit, for_markdown, for_terminal, one_line

#: Text as hostile as it gets: any character at all, with the dangerous ones made likely.
FOREIGN = st.lists(
    st.one_of(
        st.text(max_size=10),
        st.sampled_from(
            [
                "\x1b[31m",
                "\x1b]8;;http://x\x07",
                "\r",
                "\n",
                "`",
                "```",
                "[skip ci]",
                "fixes #1",
                "\u202e",
                "\u200b",
                "@you",
                "\ud800",
                "https://",
                "---",
                "Signed-off-by: x",
                "|",
                "lifeos-record: {}",
                "\n\nLifeos-Kind: closed\n",
                "***NO_CI***",
                "[",
                "]",
                "GH-1",
            ]
        ),
    ),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x9b31mred", "red"),
        ("\x1b(Bplain\x1bM", "plain"),
        ("\x1b[unfinished", "nfinished"),
        ("bell\x07 back\x08 null\x00 del\x7f", "bell back null del"),
        ("over\rwritten\r\nlines", "over\nwritten\nlines"),
        ("right\u202eto left\u2066", "rightto left"),
        ("zero\u200bwidth\ufeff\u00ad", "zerowidth"),
        ("tag\U000e0041s and \ufe0fvariants", "tags and variants"),
        ("lone \ud800 half", "lone \ufffd half"),
        ("kept:\ttab, naïve, 日本語, 🙂", "kept:\ttab, naïve, 日本語, 🙂"),
    ],
)
def test_a_terminal_is_given_nothing_but_visible_text(text: str, shown: str) -> None:
    """Escapes, control, bidi and invisible characters go; words in any script stay."""
    assert for_terminal(text) == shown


@given(FOREIGN)
def test_whatever_is_shown_has_no_control_or_invisible_character(text: str) -> None:
    """Also where removing one piece brings two others together. And it is valid UTF-8."""
    for cleaned in (for_terminal(text), one_line(text), for_commit(text), code_span(text)):
        kinds = {unicodedata.category(c) for c in cleaned if c not in "\n\t"}
        assert not kinds & {"Cc", "Cf", "Co", "Cs", "Cn"}
        cleaned.encode("utf-8")
    assert "\x1b" not in for_markdown(text)


@given(FOREIGN, st.integers(1, 40))
def test_one_line_is_one_line_of_the_asked_length(text: str, limit: int) -> None:
    """No newline, no blank at the ends, no more characters than asked for."""
    line = one_line(text, limit)
    assert "\n" not in line
    assert line == line.strip()
    assert len(line) <= limit


def test_a_line_that_is_cut_says_so() -> None:
    """An ellipsis stands for what is missing; a line that fits is whole."""
    assert one_line("four words are here", 11) == "four words…"
    assert one_line("four words", 10) == "four words"


SKIPS = ["[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]", "***NO_CI***"]


@pytest.mark.parametrize(
    "word", [*SKIPS, "[SKIP CI]", "[skip-netlify]", "[ skip ci ]", "[ci\u200b skip]"]
)
def test_no_word_skips_a_workflow(word: str) -> None:
    """Forges look for these anywhere in the message."""
    for cleaned in (for_commit(f"Add a file {word}"), one_line(f"{word} Add a file")):
        assert not re.search(r"\[[^\]]*(skip|no ci)[^\]]*\]|\*NO_CI", cleaned, re.IGNORECASE)
        assert "Add a file" in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "fixes #1",
        "Closes: #12",
        "resolve octo/repo#3",
        "fixed GH-4",
        "closes !5",
        "Fixes https://github.com/octo/repo/issues/1",
        "fixes https:/https:///github.com/o/r/issues/1",
        "fixes \u200b#1",
        "fix\u00ades #1",
    ],
)
def test_no_commit_closes_an_issue(text: str) -> None:
    """The reference is spoiled, not the word: which words close can be configured."""
    for cleaned in (for_commit(text), one_line(text)):
        assert not re.search(r"[#!]\d|GH-\d|https?://", cleaned)


def test_nobody_is_called_and_addresses_stay() -> None:
    """A mention notifies people; an e-mail address is no mention."""
    assert one_line("thanks @octocat and @org/team") == "thanks (at)octocat and (at)org/team"
    assert one_line("by ada@example.org") == "by ada@example.org"


@pytest.mark.parametrize(
    "line",
    [
        "Signed-off-by: Eve <eve@example.org>",
        "Co-authored-by: Eve <e@e>",
        "Lifeos-Kind: closed",
        "Change-Id : I1",
        "skip-checks: true",
        "(cherry picked from commit 1)",
        "Cc: everybody",
        "lifeos-record: {}",
        "---",
        "--- a/file",
        "diff --git a b",
        "From 0000 Mon Sep 17",
    ],
)
def test_no_line_of_a_commit_is_a_trailer_divider_or_record(line: str) -> None:
    """It is quoted, wherever it stands, so that it can still be read."""
    assert for_commit(f"Text.\n{line}\n{line}").split("\n") == ["Text.", f"> {line}", f"> {line}"]


def test_ordinary_prose_is_left_alone() -> None:
    """Cleaning that mangles honest text would be switched off."""
    text = "Rule: retries_left.\n\nThe test failed: expected 3 (see a[0] and x - y).\n  - a point"
    assert for_commit(text) == text


@given(FOREIGN)
def test_a_commit_body_is_cleaned_once_and_for_all(text: str) -> None:
    """Cleaning again changes no line start, so that cleaning twice is never worse than once."""
    once = for_commit(text)
    assert [line[:2] for line in for_commit(once).split("\n")] == [
        line[:2] for line in once.split("\n")
    ]


@given(FOREIGN)
def test_markdown_cannot_leave_its_fence(text: str) -> None:
    """No line inside is a fence as long as the one around it: nothing in it is rendered."""
    first, *content, last = for_markdown(text).split("\n")
    assert first == f"{last}text"
    assert set(last) == {"`"}
    assert len(last) >= 3
    assert all(last not in line for line in content)


@given(FOREIGN)
def test_a_code_span_cannot_be_left(text: str) -> None:
    """The ticks around it are longer than any inside; no pipe ends a table's cell."""
    span = code_span(text)
    if span:
        ticks = re.match(r"`+", span)
        assert ticks
        inside = span[len(ticks[0]) : -len(ticks[0])]
        assert ticks[0] not in re.findall(r"`+", inside)
        assert "|" not in span
        assert "\n" not in span


@pytest.mark.parametrize(
    "piece", ["\x1b[", "\x1b]", "[", "[skip", "`", "#", "\x1bP\x1b", "@", "a-", "* ", "*", "\n"]
)
def test_no_expression_is_slow_on_its_worst_case(piece: str) -> None:
    """A tenth of a megabyte of the worst beginnings: what is not linear would take minutes."""
    text = piece * (100_000 // len(piece))
    assert len(for_commit(text)) <= 8 * len(text)
    assert len(one_line(text)) <= 200
