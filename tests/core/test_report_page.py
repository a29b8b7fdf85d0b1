"""The report as Markdown: foreign text stays text, diagrams have none, and it is never too long."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from lifeos.core.report.data import ReportData
from lifeos.core.report.page import LIMIT, looking_back, page
from lifeos.core.report.tell import report
from report_scene import source

NASTY = (
    "</summary><script>x</script> ![p](http://a.invalid/p.png) [l](javascript:x) @ada #12 "
    "| ~~~ -->\n## heading\n- [ ] task $x$"
)


def poisoned() -> ReportData:
    """Every text that somebody else wrote is one that would like to act."""
    made = source(30)
    chronicle = made.chronicle
    runs = tuple(
        run.model_copy(
            update={
                "title": NASTY,
                "reason": NASTY if run.reason else "",
                "attempts": tuple(
                    one.model_copy(
                        update={
                            "rule": NASTY,
                            "facts": one.facts.model_copy(update={"message": NASTY}),
                        }
                    )
                    for one in run.attempts
                ),
                "questions": tuple(
                    one.model_copy(
                        update={"question": NASTY, "comment": NASTY, "who": NASTY, "rule": NASTY}
                    )
                    for one in run.questions
                ),
            }
        )
        for run in chronicle.runs
    )
    item = made.snapshot.items["Q-asking01"].model_copy(update={"question": NASTY})
    snapshot = made.snapshot.model_copy(
        update={
            "items": {item.id: item},
            "runs": {
                run.id: run.model_copy(update={"title": NASTY})
                for run in made.snapshot.runs.values()
            },
        }
    )
    chronicle = chronicle.model_copy(update={"runs": runs})
    return report(replace(made, chronicle=chronicle, snapshot=snapshot, project=NASTY))


def test_foreign_text_is_text() -> None:
    """A reader of Markdown with everything on finds no link, picture, HTML or heading of theirs."""
    text = page(poisoned())
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in (*tokens, *inline)}
    assert not kinds & {"image", "link_open", "html_inline"}
    html = {token.content.strip() for token in tokens if token.type == "html_block"}
    assert all(re.fullmatch(r"<details><summary>How run R-\w+ went</summary>|</details>", one)
               for one in html)  # fmt: skip
    headings = [
        tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"
    ]
    assert len(headings) == 7
    assert not re.search(r"(?<![\w\u200b])[@#](?=\w)", re.sub(r"`[^`\n]*`", "", text))


def test_no_diagram_has_a_word_of_theirs() -> None:
    diagrams = re.findall(r"```mermaid\n(.*?)```", page(poisoned()), re.DOTALL)
    assert len(diagrams) >= 5
    allowed = re.compile(r"[A-Za-z0-9 \n\"',:.\[\]_>-]*")
    for one in diagrams:
        assert allowed.fullmatch(one), one
        assert "script" not in one
        assert "ada" not in one


def test_words_come_before_pictures() -> None:
    text = page(report(source(30)))
    assert text.index("| number | value |") < text.index("```mermaid")
    assert text.index("waits for you") < text.index("### Open runs") < text.index("### Numbers")


@pytest.mark.parametrize("limit", [500, 3000, 20_000, LIMIT])
def test_it_is_never_longer_than_it_may_be(limit: int) -> None:
    text = page(report(replace(source(300), runs=300)), limit)
    assert len(text.encode()) <= limit
    assert ("The rest is left out" in text) is (limit < LIMIT)
    assert text.count("```") % 2 == 0
    assert text.count("<details>") == text.count("</details>")


def test_thousands_of_runs_fit_into_a_summary() -> None:
    made = source(60)
    runs = made.chronicle.runs * 40
    chronicle = made.chronicle.model_copy(update={"runs": runs})
    text = page(report(replace(made, chronicle=chronicle, runs=5000)))
    assert LIMIT * 0.9 < len(text.encode()) <= LIMIT


def test_an_address_that_would_break_the_table_is_none() -> None:
    for link in ("https://a.invalid/x) [y](z", "https://a.invalid/|", "https://a.invalid/`"):
        assert link not in page(report(replace(source(5), links={"Q-asking01": link})))
    good = "https://forge.invalid/acme/billing/pull/7"
    assert f"[read it]({good})" in page(report(replace(source(5), links={"Q-asking01": good})))


def test_before_anything_began() -> None:
    text = page(report(source(0, "")))
    assert "no run has begun yet" in text
    assert "mermaid" not in text
    assert "The backlog has no task." in text


def test_a_past_and_a_stop_are_said_first() -> None:
    text = page(report(replace(source(5), past=True, stopped=True)))
    assert text.index("This is how it stood on 2026-01-01") < text.index("Stopped.") < 300


def test_looking_back_leaves_out_what_waits() -> None:
    """The summary of a job says it already; and it takes no more room than is left."""
    data = report(source(30))
    text = looking_back(data, LIMIT)
    assert text.startswith("### Numbers")
    assert "### Landed lately" in text
    assert "### Waits for you" not in text
    for room in (-5, 0, 10, 100, 5000):
        assert len(looking_back(data, room).encode()) <= max(room, 0)
