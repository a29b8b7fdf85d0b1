"""The small shop that the past is about: its files at the beginning, and what each story writes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from past.plan import AREAS, Story

GUIDE = "docs/guide.md"


def first_files() -> Mapping[str, str]:
    """What is there before lifeos comes, without rules and backlog."""
    files = {
        "README.md": "# Shop\n\nA small shop, kept by a loop.\n",
        "src/shop/__init__.py": '"""A small shop."""\n',
        GUIDE: "# Guide\n\nHow the shop is used.\n",
    }
    for area in AREAS:
        files[f"src/shop/{area}.py"] = f'"""The {area} of the shop."""\n'
        files[f"tests/test_{area}.py"] = f'"""Tests of the {area}."""\n\nfrom shop import {area}\n'
        files[f"docs/{area}.md"] = f"# The {area}\n\nWhat the {area} can do:\n"
    return files


def source(story: Story) -> str:
    """The file that the story's work is in."""
    return GUIDE if story.area == "guide" else f"src/shop/{story.area}.py"


def paths_of(story: Story) -> tuple[str, ...]:
    """All files that a story may change: its scope."""
    if story.area == "guide":
        return (GUIDE,)
    return (source(story), f"tests/test_{story.area}.py", f"docs/{story.area}.md")


def place(story: Story, n: int) -> int:
    """A line of the file, for messages."""
    return 10 + (story.number * 7 + n) % 90


def tests_of(detail: str) -> tuple[str, ...]:
    """Names of tests that ran."""
    usual = ("tests.test_cart.test_empty", "tests.test_mail.test_reconnects")
    return tuple(dict.fromkeys((*usual, detail))) if detail else usual


def entry(story: Story) -> str:
    """The task as it is written into the backlog."""
    scope = ", ".join(f"`{path}`" for path in paths_of(story))
    tags = " ".join(f"#{tag}" for tag in story.tags)
    repairs = f"\n  It repairs what {story.repairs} broke.\n" if story.repairs else ""
    check = f"python3 -m pytest -q tests/test_{story.area}.py -k {story.name}"
    if story.area == "guide":
        check = f"grep -q {story.name} {GUIDE}"
    return (
        f"- [ ] **{story.task}** {story.title} {tags}\n"
        f"  - scope: {scope}\n"
        f"  - risk: {story.risk}\n"
        f"{repairs}\n"
        f"  Acceptance:\n"
        f"  - [ ] {story.name} is there: `{check}`\n"
    )


def design_of(story: Story, acceptance: Sequence[tuple[str, str]], n: int) -> str:
    """The design."""
    named = "".join(f"- {text}\n" for text, _ in acceptance)
    return (
        f"# Design: {story.title}\n\n"
        f"`{story.name}` belongs into `{source(story)}`; nothing else has to know of it"
        f" (draft {n}).\n\n## Acceptance\n\n{named}"
    )


def plan_of(story: Story, acceptance: Sequence[tuple[str, str]], n: int) -> str:
    """The plan."""
    named = "".join(f"- `{command}`\n" for _, command in acceptance)
    paths = "".join(f"- `{path}`\n" for path in paths_of(story))
    return (
        f"# Plan: {story.title}\n\n## Steps\n\n1. Write {story.name} (draft {n}).\n"
        f"2. Test it.\n3. Say it in the documents.\n\n## Proof\n\n{named}\n"
        f"## Expected paths\n\n{paths}"
    )


def worked(story: Story, files: Mapping[str, str], n: int, *, failing: bool) -> dict[str, str]:
    """The changed files; ``n`` is the attempt, each of which writes another number."""
    if story.area == "guide":
        return {GUIDE: files[GUIDE] + _paragraph(story, n)}
    limit = n if failing else 100 + story.number
    code, tests, page = (files[path] for path in paths_of(story))
    old = _last_function(code, story)
    if story.work == "change" and old:
        code = _raised(code, old, limit)
        old_line = f"- `{old}`"
        page = page.replace(f"{old_line}\n", f"{old_line} (its limit is {limit})\n")
    elif story.work == "rename" and old:
        # The page keeps the old name.
        code = re.sub(rf"\b{old}\b", story.name, code)
        tests = re.sub(rf"\.{old}\(", f".{story.name}(", tests)
        return {
            source(story): code + f"# {story.name} was called {old} ({limit})\n",
            f"tests/test_{story.area}.py": tests,
        }
    else:
        code = _put(code, "\n\ndef ", _function(story, limit))
        page = _put(page, "\n- `", f"\n- `{story.name}`\n")
    called = old if story.work == "change" and old else story.name
    tests = _put(tests, "\n\ndef ", _test(story, called))
    return dict(zip(paths_of(story), (code, tests, page), strict=True))


def _put(text: str, mark: str, new: str) -> str:
    """A text with a new piece among those that begin with this mark, in the order of their names.

    So what lands later seldom touches the same lines, and a landing can be taken back.
    """
    head, *pieces = re.split(rf"(?={re.escape(mark)})", text)
    return head + "".join(sorted([*pieces, new]))


def taken_back(story: Story, files: Mapping[str, str]) -> dict[str, str]:
    """The files without what this story added, as a person mends it by hand."""
    marks = ("\n\ndef ", "\n\ndef ", "\n- `")
    names = (f"{story.name}(", f"test_{story.name}(", f"{story.name}`")
    made = {}
    for path, mark, name in zip(paths_of(story), marks, names, strict=True):
        head, *pieces = re.split(rf"(?={re.escape(mark)})", files[path])
        kept = [piece for piece in pieces if not piece.startswith(mark + name)]
        assert len(kept) == len(pieces) - 1, (story, path)
        made[path] = head + "".join(kept)
    return made


def _function(story: Story, limit: int) -> str:
    todo = (
        f"    # TODO: {story.name} does not look at returns yet\n" if story.work == "todo" else ""
    )
    verb = story.name.partition("_")[0]
    return (
        f"\n\ndef {story.name}(items: list[int]) -> int:\n"
        f'    """{verb.capitalize()} the items of the {story.area}."""\n'
        f"    limit = {limit}\n"
        f"{todo}"
        f"    return min(limit, sum(items))\n"
    )


def _test(story: Story, name: str) -> str:
    return f"\n\ndef test_{story.name}() -> None:\n    assert {story.area}.{name}([]) == 0\n"


def _paragraph(story: Story, n: int) -> str:
    return (
        f"\n## About {story.name}\n\n"
        f"Since the shop has `{story.name}`, nobody needs to look it up by hand.\n"
        f"It was written down in draft {n}.\n"
    )


def _last_function(code: str, story: Story) -> str:
    """The function that is changed or renamed: one that was there already, or ''."""
    names = re.findall(r"^def (\w+)\(", code, re.MULTILINE)
    return names[story.number % len(names)] if names else ""


def _raised(code: str, name: str, limit: int) -> str:
    """The limit of one function replaced."""
    head, found, tail = code.partition(f"def {name}(")
    tail = re.sub(r"    limit = \d+\n", f"    limit = {limit}\n", tail, count=1)
    return head + found + tail
