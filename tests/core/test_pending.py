"""The file that a person reads to decide: complete, short, and inert whatever is in it."""

from __future__ import annotations

import re

from lifeos.core.answers import AnswerFile, read_answer
from lifeos.core.pending import CheckLine, PendingFacts, ReviewLine, pending_text
from lifeos.core.records import Held
from lifeos.core.table import ANSWERS
from lifeos.model import ItemKind, Stage, Usage
from lifeos.strict_yaml import read

ID = "Q-7k2m4q9a"
SUBJECT = "ab" * 32
HELD = Held(
    at=1000,
    item=ID,
    item_kind=ItemKind.STAGE_REVIEW,
    run="R-1",
    stage=Stage.CLOSE,
    question="land this work?",
    rule="autonomy:supervised",
    subject=SUBJECT,
    expires_at=2000,
)

FACTS = PendingFacts(
    task="LO-7k2m4q",
    title="Retry the webhook",
    diffstat=" src/webhook.py | 12 ++++++------\n 1 file changed",
    base="a" * 40,
    ref="refs/lifeos/run/R-1",
    reviews=(ReviewLine("technical", "accept", "Small and tested."),),
    checks=(CheckLine("pytest", "passed"), CheckLine("ruff", "failed", "E501 in a.py")),
    details=(("The commands", "make all"),),
    attempts=3,
    usage=Usage(seconds=61.2, tokens=1200, cost=0.5),
)


def text(facts: PendingFacts = FACTS, kind: ItemKind = ItemKind.STAGE_REVIEW) -> str:
    """The pending file of an item of this kind."""
    return pending_text(HELD.model_copy(update={"item_kind": kind}), facts).decode()


def front_matter(shown: str) -> object:
    """What stands above the text, as strict YAML."""
    _, head, _ = shown.split("---\n", 2)
    document = read(head.encode(), "f")
    assert not document.problems
    return document.value


def test_the_front_matter() -> None:
    """All of it, for programs; absent things are null."""
    assert front_matter(text()) == {
        "item": ID,
        "kind": "stage_review",
        "state": "CEO_REVIEW",
        "task": "LO-7k2m4q",
        "run": "R-1",
        "stage": "close",
        "subject": SUBJECT,
        "opened": "1970-01-01T00:16:40Z",
        "expires": "1970-01-01T00:33:20Z",
    }


def test_everything_a_decision_needs_is_there() -> None:
    """Question, rule, the answers' meaning, change, reviews, checks, cost, and how to answer."""
    shown = text()
    for part in (
        "land this work?",
        "`autonomy:supervised`",
        "land it on main, and mark the task done",
        "src/webhook.py | 12",
        f"git diff {'a' * 40} refs/lifeos/run/R-1",
        "technical: **accept** Small and tested.",
        "`ruff`: **failed** E501 in a.py",
        "make all",
        "3 attempts, 61 s, 1200 tokens, $0.50",
        f"lifeos approve {ID}",
        f"lifeos reject {ID} -m 'WHY'",
        f".lifeos/queue/{ID}.approval.yaml",
    ):
        assert part in shown, part
    assert len(shown.split("\n")) < 80


def test_the_file_to_write_by_hand_is_an_answer() -> None:
    """Copied as it stands it is read as an approval of this very subject."""
    found = re.search(r"```yaml\n(.*?)\n```", text(), re.DOTALL)
    assert found is not None
    data = found[1].encode()
    answer = read_answer(ID, read(data, "f").value, data)
    assert isinstance(answer, AnswerFile)
    assert (answer.item, answer.decision, answer.subject) == (ID, "approve", SUBJECT)


def test_each_kind_offers_its_own_answers() -> None:
    """No command is shown that would be refused."""
    for kind in ItemKind:
        shown = text(kind=kind)
        for decision in ("approve", "revise", "reject"):
            assert (f"lifeos {decision} {ID}" in shown) == (decision in ANSWERS[kind])
            assert (f"- **{decision}**" in shown) == (decision in ANSWERS[kind])


def test_an_item_without_a_run_is_short() -> None:
    """A governance item has no change, reviews or cost: no empty headings."""
    shown = text(PendingFacts(), ItemKind.GOVERNANCE)
    assert re.findall("^## .*", shown, re.MULTILINE) == ["## How to answer"]


HOSTILE = (
    "x</b><img src=x onerror=y> @someone #12 [a](http://b) ![c](d) **bold** `code`\n---\n"
    "# heading\n```\nfence\n````\n| cell | \x1b[31mred \u202eright-to-left\n::stop-commands::x\n"
)


def test_foreign_text_does_nothing() -> None:
    """No HTML, mention, link, picture, heading, open fence, escape or direction gets through."""
    facts = PendingFacts(
        task=HOSTILE,
        title=HOSTILE,
        diffstat=HOSTILE,
        base=HOSTILE,
        ref=HOSTILE,
        reviews=(ReviewLine(HOSTILE, HOSTILE, HOSTILE),),
        checks=(CheckLine(HOSTILE, HOSTILE, HOSTILE),),
        details=((HOSTILE, HOSTILE),),
        attempts=1,
    )
    shown = text(facts)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert isinstance(front_matter(shown), dict)
    from markdown_it import MarkdownIt

    body = shown.split("---\n", 2)[2]
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(body)
    inline = [child.type for token in tokens for child in token.children or ()]
    kinds = {token.type for token in tokens} | set(inline)
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "table_open", "hr"}
    headings = [
        tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"
    ]
    assert len(headings) == 7
    prose = "".join(
        child.content for token in tokens for child in token.children or () if child.type == "text"
    )
    assert "@someone" not in prose
    assert "#12" not in prose


def test_floods_are_cut() -> None:
    """A long diffstat keeps its beginning and its last lines; long lists say how many more."""
    lines = "\n".join(f"line {n}" for n in range(500))
    reviews = tuple(ReviewLine("technical", "accept", "x" * 5000) for _ in range(50))
    shown = text(PendingFacts(diffstat=lines, reviews=reviews))
    assert "line 0" in shown
    assert "line 499" in shown
    assert "460 lines left out" in shown
    assert "and 30 more" in shown
    assert len(shown) < 12_000
