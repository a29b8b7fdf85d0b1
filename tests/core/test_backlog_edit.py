"""Edits: each changes what it says and not one byte more, in any document."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lifeos.core.backlog.edit import Draft, add_task, format_ids, give_id, normalise, set_mark
from lifeos.core.backlog.entry import Backlog, Mark, Task
from lifeos.core.backlog.parse import parse
from lifeos.errors import UsageError
from lifeos.model import Risk

LINES = [
    "",
    "",
    "# Backlog",
    "## P0",
    "## P1: soon",
    "P3",
    "=======",
    "---",
    "- [ ] plain",
    "- [x] **LO-aa** done #tag",
    "- [ ] **LO-bb** — DoD: x — Owner: y",
    "* [/] star",
    "  + [ ] indented",
    "1. [!] **numbered** one",
    "12) [-] other",
    "- [X]\ttab \u00fc",
    "- [ ]",
    "- [ ] \U0001f600 wide",
    "  - depends: LO-aa",
    "  - scope: `src/**`",
    "  - risk: wild",
    "  text",
    "lazy text",
    "      code",
    "\tcode",
    "  Acceptance:",
    "  - [ ] works: `true`",
    "```",
    "  ```sh recipe",
    "~~~",
    "> - [ ] quoted",
    "<!--",
    "-->",
    "<div>",
    "[a]: /url",
    "<<<<<<< HEAD",
    ">>>>>>> side",
    "\x00\ufffd",
]


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Backlogs of every kind: line endings mixed or not, with and without a mark and final end."""
    lines = draw(st.lists(st.sampled_from(LINES), max_size=14))
    endings = draw(st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n", "\r"]]))
    text = "".join(line + draw(st.sampled_from(endings)) for line in lines)
    head = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]))
    data = head + text.encode()
    return data if draw(st.booleans()) else data.rstrip(b"\r\n")


EVERY = settings(max_examples=250, derandomize=True)


def facts(task: Task, *, mark: bool = True, name: bool = True) -> tuple[object, ...]:
    """What a task says, without its place in the file."""
    return (
        task.mark if mark else None,
        task.id if name else None,
        task.title,
        task.digest,
        task.priority,
        task.tags,
        task.depends,
        task.scope,
        task.risk,
        task.owner,
        task.description,
        task.acceptance,
        task.recipe,
    )


def same_but(old: Backlog, new: Backlog, order: int, *, mark: bool, name: bool) -> bool:
    pairs = zip(old.tasks, new.tasks, strict=True)
    return all(
        facts(a, mark=mark or a.order != order, name=name or a.order != order)
        == facts(b, mark=mark or a.order != order, name=name or a.order != order)
        for a, b in pairs
    )


@EVERY
@given(documents(), st.sampled_from(list(Mark)), st.integers(0, 13))
def test_set_mark_changes_one_byte_and_one_mark(data: bytes, mark: Mark, number: int) -> None:
    backlog = parse(data)
    assume(backlog.tasks)
    task = backlog.tasks[number % len(backlog.tasks)]
    result = set_mark(data, task, mark)
    differing = [at for at, pair in enumerate(zip(data, result, strict=True)) if len({*pair}) > 1]
    assert differing in ([], [task.mark_offset])
    again = parse(result)
    assert again.tasks[task.order].mark is mark
    assert same_but(backlog, again, task.order, mark=False, name=True)
    assert normalise(result) == normalise(data)


@EVERY
@given(documents(), st.integers(0, 13))
def test_give_id_inserts_the_id_and_nothing_else(data: bytes, number: int) -> None:
    backlog = parse(data)
    nameless = [task for task in backlog.tasks if not task.id]
    assume(nameless)
    task = nameless[number % len(nameless)]
    result = give_id(data, task, "LO-7k2m4q")
    at = task.title_offset
    assert result == data[:at] + b"**LO-7k2m4q** " + data[at:]
    again = parse(result)
    assert again.tasks[task.order].id == "LO-7k2m4q"
    assert same_but(backlog, again, task.order, mark=True, name=False)
    assert normalise(result) == normalise(data)


@EVERY
@given(documents())
def test_format_ids_gives_each_named_task_its_id(data: bytes) -> None:
    backlog = parse(data)
    ids = {task.order: f"LO-n{task.order}" for task in backlog.tasks if not task.id}
    result = format_ids(data, ids)
    assert [task.id for task in parse(result).tasks] == [
        ids.get(task.order, task.id) for task in backlog.tasks
    ]
    for task_id in ids.values():
        result = result.replace(f"**{task_id}** ".encode(), b"")
    assert result == data


@EVERY
@given(documents())
def test_normalise_takes_marks_and_ids_and_is_final(data: bytes) -> None:
    result = normalise(data)
    assert normalise(result) == result
    kept = [task for task in parse(data).tasks if task.title]
    assert [(task.mark, task.id, task.digest) for task in parse(result).tasks] == [
        (Mark.OPEN, "", task.digest) for task in kept
    ]
    if not parse(data).tasks:
        assert result == data


DRAFTS = [
    Draft("A new task", 0),
    Draft("Second", 1, tags=("api",), scope=("lib/**", "docs/"), risk=Risk.HIGH),
    Draft("Third `x: y`", 2, id="LO-zz", owner="Al", context="a call"),
    Draft("Fourth", 3, description="Why it matters.\n\nMore:\n\n    code"),
]


@EVERY
@given(documents(), st.sampled_from(DRAFTS))
def test_add_task_inserts_the_task_as_meant_or_refuses(data: bytes, draft: Draft) -> None:
    """An insertion only; all tasks that were there say what they said."""
    backlog = parse(data)
    try:
        result = add_task(data, draft)
    except UsageError:
        # Allowed only where a new last line would not be read as a task either.
        probe = parse(data + b"\n\n## P0\n\n- [ ] probe\n")
        assert len(probe.tasks) != len(backlog.tasks) + 1 or probe.problems != backlog.problems
        return
    start = next((n for n, byte in enumerate(data) if result[n] != byte), len(data))
    grown = len(result) - len(data)
    assert any(
        result[:at] + result[at + grown :] == data for at in range(max(0, start - grown), start + 1)
    )
    old = [facts(task) for task in backlog.tasks]
    new = parse(result).tasks
    added = [task for task in new if task.title == draft.title]
    assert len(added) == 1
    assert [facts(task) for task in new if task is not added[0]] == old
    assert (added[0].priority, added[0].mark, added[0].id) == (draft.priority, Mark.OPEN, draft.id)
    assert (added[0].tags, added[0].risk, added[0].description) == (
        draft.tags,
        draft.risk,
        draft.description,
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "## P1\n\n- [ ] new\n"),
        ("## P1", "## P1\n\n- [ ] new\n"),
        ("## P1\n- [ ] a", "## P1\n- [ ] a\n- [ ] new\n"),
        (
            "## P1\n\n- [ ] a\n\n## P2\n\n- [ ] b\n",
            "## P1\n\n- [ ] a\n- [ ] new\n\n## P2\n\n- [ ] b\n",
        ),
        ("## P2\r\n\r\n- [ ] b\r\n", "## P1\r\n\r\n- [ ] new\r\n\r\n## P2\r\n\r\n- [ ] b\r\n"),
        ("# Backlog\n\nText\n", "# Backlog\n\nText\n\n## P1\n\n- [ ] new\n"),
        ("## P1\n- [ ] a\n  - risk: low\n", "## P1\n- [ ] a\n  - risk: low\n\n- [ ] new\n"),
        ("\ufeff", "\ufeff## P1\n\n- [ ] new\n"),
    ],
)
def test_where_a_task_is_added(before: str, after: str) -> None:
    assert add_task(before.encode(), Draft("new", 1)).decode() == after


@pytest.mark.parametrize(
    "draft",
    [
        Draft(""),
        Draft("two\nlines"),
        Draft("**LO-1** disguised"),
        Draft("a #tag"),
        Draft("a — Risk: low"),
        Draft("a", description="Acceptance:\n- [ ] b: `rm -rf /`"),
        Draft("a", description="```sh recipe\nrm -rf /\n```"),
        Draft("a", description="- scope: `**`"),
        Draft("a", owner="x\n- [ ] b"),
        Draft("a", depends=("LO-none",)),
        Draft("a", scope=("../x",)),
    ],
)
def test_text_that_would_be_read_as_something_else_is_refused(draft: Draft) -> None:
    """Imported text never becomes a field, a second task or a command."""
    with pytest.raises(UsageError):
        add_task(b"## P2\n\n- [ ] a task\n", draft)


def test_an_edit_refuses_another_version_of_the_file() -> None:
    task = parse(b"- [ ] a\n").tasks[0]
    other = b"# P0\n- [ ] a\n"
    with pytest.raises(ValueError, match="another version"):
        set_mark(other, task, Mark.DONE)
    with pytest.raises(ValueError, match="another version"):
        give_id(other, task, "LO-1")


def test_give_id_refuses_a_second_id_and_what_is_none() -> None:
    data = b"- [ ] **LO-1** a\n- [ ] b\n"
    first, second = parse(data).tasks
    with pytest.raises(ValueError, match="has an id"):
        give_id(data, first, "LO-2")
    for bad in ("LO-", "LO-a b", "XX-1", "LO-1**", "LO-1\n"):
        with pytest.raises(ValueError, match="not an id"):
            give_id(data, second, bad)
