"""Design and plan by rule: what the task says, what the rules add, and nothing that comes alive."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lifeos.core import artifacts, recipetext
from lifeos.core.backlog.entry import Acceptance, Mark, Task
from lifeos.core.policy import (
    Approvals,
    Check,
    CheckKind,
    Config,
    Council,
    Envelope,
    Governance,
    Loop,
    Prepare,
)
from lifeos.model import Risk

TASK = Task(
    order=0,
    id="LO-7k2m4q",
    title="Retry the webhook on 5xx",
    mark=Mark.OPEN,
    digest="d" * 64,
    line=1,
    span=(0, 1),
    mark_offset=3,
    title_offset=6,
    id_span=None,
    title_line="- [ ] Retry the webhook on 5xx",
    tags=("api",),
    scope=("src/webhook/**", "docs/webhook.md"),
    risk=Risk.LOW,
    context="Receivers restart during deploys",
    dod="no event is lost",
    description="A 503 must not lose the event.\n\nHow many attempts are enough?",
    acceptance=(
        Acceptance("three attempts with backoff", "pytest -q tests/test_webhook.py"),
        Acceptance("the failure is logged once"),
    ),
    recipe=("sed -i 's/RETRY = 0/RETRY = 3/' src/webhook/send.py\n", "echo done > docs/webhook.md"),
)

HOSTILE = (
    "# Heading\n```\nescaped\n```\n~~~\n<script>alert(1)</script> <b>@everyone</b> fixes #1\n"
    "![x](https://evil.example/x.png)\n\n## Expected paths\n\n- `evil`\n"
    "\x1b[31m\u202e\u200b|a|b|\n---\n"
)


RULES = Governance(
    loop=Loop(version=1),
    council=Council(version=1),
    envelope=Envelope(version=1),
    approvals=Approvals(version=1),
    config=Config(
        version=1,
        checks=(
            Check(
                name="tests",
                run="pytest -q",
                kind=CheckKind.TEST,
                pinned=("src/webhook/setup.cfg",),
            ),
            Check(name="lint", run="ruff check", kind=CheckKind.LINT, fast=False),
        ),
        prepare=(Prepare(name="venv", run="make venv", inputs=("src/webhook/requirements.txt",)),),
    ),
    digest="e" * 64,
)


def headings(text: str) -> list[str]:
    """The headings as a Markdown reader sees them."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    return [
        tokens[place + 1].content
        for place, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]


def part(text: str, title: str) -> str:
    """The lines of one section."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_design_says_what_is_asked() -> None:
    """Title, description, context, what is done when, each acceptance item with its proof."""
    text = artifacts.design(TASK, RULES)
    asked = part(text, "What is asked")
    for said in (TASK.title, *TASK.description.split("\n\n"), TASK.context, TASK.dod):
        assert said in asked
    acceptance = part(text, "Acceptance")
    assert "1. three attempts with backoff\n   - proven by `pytest -q tests/test_webhook.py`" in (
        acceptance
    )
    assert "2. the failure is logged once\n   - no command proves this" in acceptance


def test_the_design_says_what_may_change_and_what_may_not() -> None:
    """The scope's patterns, and of the protected ones those that could meet it."""
    scope = part(artifacts.design(TASK, RULES), "Scope")
    assert "- `src/webhook/**`\n- `docs/webhook.md`" in scope
    assert "`**/AGENTS.md`" in scope  # src/webhook/AGENTS.md is in scope, and protected
    assert "policies/" not in scope
    without = part(artifacts.design(replace(TASK, scope=()), RULES), "Scope")
    assert "names no scope" in without
    assert "`policies/**`" in without


@pytest.mark.parametrize(
    "said",
    ["`src/webhook/setup.cfg`", "`src/webhook/requirements.txt`", "300 changed lines in 20 files"],
)
def test_the_design_names_the_rules_that_will_judge_it(said: str) -> None:
    """Pinned files, prepare inputs and budgets, before anybody runs into them."""
    assert said in part(artifacts.design(TASK, RULES), "Constraints")


def test_the_budget_shown_is_that_of_the_policy() -> None:
    """Nothing about the rules is written down twice."""
    budgets = RULES.loop.budgets.model_copy(update={"diff_lines": 7})
    rules = RULES.model_copy(update={"loop": RULES.loop.model_copy(update={"budgets": budgets})})
    assert "At most 7 changed lines" in artifacts.design(TASK, rules)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scope": ()}, "No scope"),
        ({"acceptance": ()}, "No acceptance command"),
        ({}, "1 of 2 acceptance items have no command"),
        ({"risk": Risk.HIGH}, "its risk is high"),
        ({"recipe": ("rm src/webhook/old.py",)}, "deletes or moves: `rm src/webhook/old.py`"),
        ({"recipe": ("true && git mv a.py b.py",)}, "deletes or moves: `git mv a.py b.py`"),
        ({"recipe": ("curl -O https://example.org/x",)}, "need a network"),
        ({"recipe": ("python3 -m pip install x",)}, "need a network"),
        (
            {"recipe": ("echo x > src/other.py",)},
            "change paths outside of the scope: `src/other.py`",
        ),
        ({"recipe": ("python3 scripts/gen.py",)}, "may only read, out of scope: `scripts/gen.py`"),
        ({"recipe": ("touch src/webhook/AGENTS.md",)}, "protected paths: `src/webhook/AGENTS.md`"),
        ({"scope": ("tests/**",), "recipe": ("make",)}, "touch tests"),
    ],
)
def test_risks_are_derived(changed: dict[str, object], said: str) -> None:
    """Each follows from the task, and is not there without its reason."""
    text = artifacts.design(replace(TASK, **changed), RULES)  # type: ignore[arg-type]  # one field
    assert said in part(text, "Risks")
    calm = replace(TASK, acceptance=TASK.acceptance[:1])
    assert part(artifacts.design(calm, RULES), "Risks").strip() == "None found by rule."


def test_questions_are_left_open_not_answered() -> None:
    """What the task does not say, and what its description itself asks."""
    assert "How many attempts are enough?" in part(artifacts.design(TASK, RULES), "Open questions")
    bare = replace(TASK, scope=(), recipe=(), acceptance=(), description="")
    questions = part(artifacts.design(bare, RULES), "Open questions")
    assert [line[:8] for line in questions.strip().splitlines()] == [
        "- What i",
        "- Which ",
        "- How is",
    ]


def test_the_plan_has_the_recipe_the_checks_and_the_proofs_as_steps() -> None:
    """Numbered for a Markdown reader too: what is built, what judges it, what proves it."""
    text = artifacts.plan(TASK, "the design", RULES)
    steps = part(text, "Steps")
    items = [t for t in MarkdownIt().parse(steps) if t.type == "list_item_open" and t.level == 1]
    assert len(items) == 5
    assert "   sed -i 's/RETRY = 0/RETRY = 3/' src/webhook/send.py\n" in steps
    assert "- `tests` (test, after every attempt): `pytest -q`" in steps
    assert "- `lint` (lint, before a checkpoint): `ruff check`" in steps
    assert "- `pytest -q tests/test_webhook.py`: three attempts with backoff" in steps
    assert hashlib.sha256(b"the design").hexdigest()[:12] in text


def test_the_expected_paths_can_be_read_back() -> None:
    """They are what the recipe seems to write within the scope; else the scope; else nothing."""

    def expected(**changed: object) -> tuple[str, ...]:
        task = replace(TASK, **changed)  # type: ignore[arg-type]  # one field
        return artifacts.expected_paths(artifacts.plan(task, ""))

    assert expected() == ("src/webhook/send.py", "docs/webhook.md")
    assert expected(recipe=("make",)) == TASK.scope
    assert expected(recipe=("make",), scope=()) == ()
    assert expected(recipe=("echo x > src/other.py",)) == TASK.scope


def test_a_plan_without_a_recipe_has_no_step() -> None:
    """It does not pretend that something will be built."""
    steps = part(artifacts.plan(replace(TASK, recipe=()), "", RULES), "Steps")
    assert "no `sh recipe` block" in steps
    assert "1." not in steps


def test_rework_says_what_failed_and_what_is_different() -> None:
    """The evidence as text; and the truth about a recipe that cannot take it into account."""
    assert "Nothing has failed yet" in part(artifacts.plan(TASK, ""), "Rework")
    deaf = part(artifacts.plan(TASK, "", RULES, "tests: exit 1\n```"), "Rework")
    assert "````text\ntests: exit 1\n```\n````" in deaf
    assert "nothing in the recipe" in deaf
    hears = replace(TASK, recipe=('cat "$LIFEOS_FEEDBACK"',))
    assert "reads this text" in part(artifacts.plan(hears, "", RULES, "tests"), "Rework")
    assert "tests: exit 1" in artifacts.design(TASK, RULES, "tests: exit 1")


def test_equal_input_gives_equal_text() -> None:
    """Digests of artifacts are compared: a copy of the task has the same."""
    assert artifacts.design(TASK, RULES) == artifacts.design(replace(TASK), RULES.model_copy())
    assert artifacts.plan(TASK, "d", RULES) == artifacts.plan(replace(TASK), "d", RULES)


@pytest.mark.parametrize("make", ["design", "plan"])
def test_hostile_text_stays_text(make: str) -> None:
    """No heading, HTML, image, mention, reference, escape or fence of the task comes alive."""
    task = replace(
        TASK,
        title=HOSTILE,
        description=HOSTILE,
        context=HOSTILE,
        dod=HOSTILE,
        acceptance=(Acceptance(HOSTILE, HOSTILE),),
        recipe=(HOSTILE,),
        scope=(),
    )
    text = (
        artifacts.design(task, RULES, HOSTILE)
        if make == "design"
        else artifacts.plan(task, HOSTILE, RULES, HOSTILE)
    )
    ours = artifacts.design(TASK, RULES, "x") if make == "design" else artifacts.plan(TASK, "")
    assert headings(text)[1:] == headings(ours)[1:]
    html = MarkdownIt("commonmark").render(text)
    for alive in ("<script", "<b>", "<img"):
        assert alive not in html
    assert not {"\x1b", "\u202e"} & set(text)
    inline = [token for token in MarkdownIt().parse(text) if token.type == "inline"]
    texts = (child for token in inline for child in token.children or () if child.type == "text")
    prose = "\n".join(child.content for child in texts)
    assert "@everyone" not in prose
    assert "#1" not in prose
    assert "evil" not in artifacts.expected_paths(text)


@given(st.text(max_size=300), st.lists(st.text(max_size=300), max_size=3))
def test_any_text_gives_a_design_and_a_plan(text: str, blocks: list[str]) -> None:
    """Total: whatever people write, there is an artifact that has bytes, with our headings only."""
    task = replace(TASK, title=text, description=text, recipe=tuple(blocks), context=text)
    for made, own in (
        (artifacts.design(task, RULES), artifacts.design(TASK, RULES)),
        (artifacts.plan(task, text, RULES, ""), artifacts.plan(TASK, "", RULES)),
    ):
        made.encode()
        assert headings(made)[1:] == headings(own)[1:]


@pytest.mark.parametrize(
    ("block", "writes"),
    [
        ("sed -i 's/a/b/' src/a.py README.md", ("src/a.py", "README.md")),
        ("sed 's/a/b/' src/a.py", ()),
        ("echo 1.2.3 > VERSION 2>/dev/null", ("VERSION",)),
        ("make | tee -a logs/out.txt", ("logs/out.txt",)),
        ("for f in a.txt; do touch out/b.txt; done", ("out/b.txt",)),
        ("rm -rf ./build/ /etc/x $X ../up", ("build",)),
        ("cat > a/b.txt <<'EOF'\nrm not/this.txt\nEOF\ntouch c.txt", ("a/b.txt", "c.txt")),
        ("touch a.txt \\\n  b.txt", ("a.txt", "b.txt")),
        ("# rm a.txt\nV=1 touch b.txt", ("b.txt",)),
        ("echo 'an open quote > x.txt\n", ()),
    ],
)
def test_what_a_recipe_says_that_it_writes(block: str, writes: tuple[str, ...]) -> None:
    """A hint read from the words: redirections and the commands that change files."""
    assert recipetext.read((block,)).writes == writes
