"""The page on the state machine says what the state machine does: it is drawn from the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lifeos.core.diagram import ALWAYS, answers, classes, mermaid, outcomes, page, table
from lifeos.core.policy import Loop
from lifeos.core.table import ANSWERS, REWORK_TARGETS, STAGES, TABLE, next_stage
from lifeos.model import Action, FailureClass, Stage

COMMITTED = Path(__file__).parent.parent.parent / "docs" / "reference" / "state-machine.md"
EDGE = re.compile(r"^ +(\S+) --> (\S+?)(?:: ([^:;]+))?$")


def edges() -> set[tuple[str, str]]:
    """The arrows of the picture."""
    lines = [line for line in mermaid().splitlines() if "-->" in line]
    found = [EDGE.match(line) for line in lines]
    assert all(found), lines
    return {(match[1], match[2]) for match in found if match}


def test_the_committed_page_is_the_drawn_one() -> None:
    """Change the table or the policy, and the page must be written again: python docs/build.py."""
    assert COMMITTED.read_text(encoding="utf-8") == page()


def test_the_picture_has_each_stage_and_each_way_between_them() -> None:
    """Every advance and every rework of the table is an arrow, and no other arrow is there."""
    inside = {(one, other) for one, other in edges() if one in STAGES and other in STAGES}
    wanted: set[tuple[str, str]] = set()
    for (stage, _), actions in TABLE.items():
        if Action.ADVANCE in actions:
            wanted.add((stage, next_stage(stage)))
        if Action.REWORK in actions:
            wanted |= {(stage, target) for target in REWORK_TARGETS[stage]}
    assert inside == wanted


def test_the_picture_shows_where_a_person_stands() -> None:
    """Into the checkpoint, back from it, and out of it."""
    assert {("run", "CEO_REVIEW"), ("CEO_REVIEW", "run"), ("CEO_REVIEW", "ended")} <= edges()


def test_the_picture_is_small_and_plain_enough_to_be_drawn() -> None:
    """GitHub's renderer: one header, balanced braces, no character that ends a label early."""
    text = mermaid()
    assert text.startswith("stateDiagram-v2\n")
    assert len(text.splitlines()) < 40
    assert text.count("{") == text.count("}") == 1
    assert all(len(line) < 80 for line in text.splitlines())


@pytest.mark.parametrize(("stage", "outcome"), TABLE)
def test_the_table_says_what_may_follow(stage: Stage, outcome: str) -> None:
    """Each pair is in exactly one row, with exactly its actions; the rest is said once for all."""
    rows = [line.split(" | ") for line in outcomes().splitlines()[2:]]
    mine = [
        row
        for row in rows
        if f"`{outcome}`" in row[0] and (f"`{stage}`" in row[1] or row[1] == "every stage")
    ]
    assert len(mine) == 1
    assert set(re.findall(r"`(\w+)`", mine[0][2])) == TABLE[stage, outcome] - set(ALWAYS)  # type: ignore[index]  # the same string


def test_what_may_always_follow_may_always_follow() -> None:
    """What the page says of every outcome holds for every outcome."""
    assert all(set(ALWAYS) <= actions for actions in TABLE.values())


def test_every_answer_and_every_class_has_its_words() -> None:
    """One row for each kind of item and each failure class, with nothing left empty."""
    for kind, row in ANSWERS.items():
        (line,) = [line for line in answers().splitlines() if line.startswith(f"| `{kind}` |")]
        assert all(text in line for text in row.values())
    text = classes(Loop(version=1))
    for failure in FailureClass:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{failure}` |")]
        assert all(cell.strip() for cell in line.strip("|").split("|"))


def test_a_table_is_markdown() -> None:
    """A head, a rule, and the rows."""
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
