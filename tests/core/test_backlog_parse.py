"""The backlog as people write it: what is a task, what its parts are, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.core.backlog.entry import Acceptance, Backlog, Mark, Task
from lifeos.core.backlog.ids import derive_id, is_id, random_id
from lifeos.core.backlog.parse import parse
from lifeos.model import Risk

EXAMPLES = json.loads((Path(__file__).parent.parent / "data" / "commonmark.json").read_text())

FULL = """\
# Backlog

## P0: now

- [ ] **LO-7k2m4q** Retry the webhook on 5xx #api #net
  - depends: LO-3fq9aa
  - scope: `src/webhook/**`, `tests/**`
  - risk: low
  - Owner: Kim

  Receivers restart during deploys; a 503 must not lose the event.

  Acceptance:
  - [ ] three attempts with backoff: `pytest -q tests/test_webhook.py`
  - [x] the failure is logged once

  ```sh recipe
  make webhook
  ```

- [x] **LO-3fq9aa** Short tasks are fine on one line #docs

## P1

1. [/] Numbered
2. [!] Blocked
* [-] Other bullet
+ [X] Capital
"""


def one(text: str) -> Task:
    """The only task of a backlog without problems."""
    backlog = parse(text.encode())
    assert backlog.problems == ()
    assert len(backlog.tasks) == 1
    return backlog.tasks[0]


def places(backlog: Backlog) -> list[tuple[int, int]]:
    return [(found.place.line, found.place.column) for found in backlog.problems]


def test_a_full_entry_is_read_in_all_its_parts() -> None:
    backlog = parse(FULL.encode())
    task = backlog.tasks[0]
    assert backlog.problems == backlog.warnings == ()
    assert (task.id, task.title, task.tags) == (
        "LO-7k2m4q",
        "Retry the webhook on 5xx",
        ("api", "net"),
    )
    assert (task.depends, task.risk, task.owner) == (("LO-3fq9aa",), Risk.LOW, "Kim")
    assert task.scope == ("src/webhook/**", "tests/**")
    assert task.description == "Receivers restart during deploys; a 503 must not lose the event."
    assert task.acceptance == (
        Acceptance("three attempts with backoff", "pytest -q tests/test_webhook.py", False),
        Acceptance("the failure is logged once", None, True),
    )
    assert task.recipe == ("make webhook\n",)
    assert (task.priority, task.heading, task.line) == (0, "P0: now", 5)
    data = FULL.encode()
    assert data[slice(*task.span)].startswith(b"- [ ] **LO-7k2m4q**")
    assert data[slice(*task.span)].endswith(b"  ```\n")


def test_marks_bullets_and_priorities() -> None:
    tasks = parse(FULL.encode()).tasks
    assert [task.mark for task in tasks] == [
        Mark.OPEN,
        Mark.DONE,
        Mark.STARTED,
        Mark.BLOCKED,
        Mark.CANCELLED,
        Mark.DONE,
    ]
    assert [task.priority for task in tasks] == [0, 0, 1, 1, 1, 1]


def test_another_heading_of_the_same_level_ends_a_priority() -> None:
    text = "## P0\n- [ ] a\n### Part\n- [ ] b\n### P3\n- [ ] c\n### x\n- [ ] d\n## Ideas\n- [ ] e\n"
    assert [task.priority for task in parse(text.encode()).tasks] == [0, 0, 3, 0, 2]


def test_a_priority_field_wins_over_the_heading() -> None:
    assert one("# P3\n- [ ] a\n  - priority: P1\n").priority == 1


@pytest.mark.parametrize("dash", ["—", "--"])
def test_the_inline_form(dash: str) -> None:
    text = "- [ ] **Pay** — DoD: paid `a — b` — Owner: Al — Context: x — y #t"
    task = one(text.replace("—", dash))
    assert (task.title, task.dod, task.owner) == ("Pay", f"paid `a {dash} b`", "Al")
    assert (task.context, task.tags) == (f"x {dash} y", ("t",))


def test_the_inline_form_may_wrap_and_carry_an_id() -> None:
    task = one("- [ ] **LO-1** **Pay** — DoD: paid\n  in full — Owner: Al\n")
    assert (task.id, task.title, task.dod, task.owner) == ("LO-1", "Pay", "paid in full", "Al")


def test_a_title_keeps_dashes_that_are_not_fields() -> None:
    task = one("- [ ] Parse `a: b` — quickly: no -- really #x1 #12\n")
    assert task.title == "Parse `a: b` — quickly: no -- really #x1 #12"


def test_unknown_fields_are_prose_and_a_misspelt_one_is_warned_about() -> None:
    backlog = parse(b"- [ ] a\n  - depend: LO-1\n  - see: https://example.org\n  - plain\n")
    assert backlog.tasks[0].description == (
        "- depend: LO-1\n\n- see: https://example.org\n\n- plain"
    )
    assert [(found.place.line, found.fix) for found in backlog.warnings] == [
        (2, "write 'depends:'")
    ]


def test_lists_may_be_nested_bullets() -> None:
    task = one(
        "- [ ] a\n  - scope:\n    - `src/*.py`\n    - docs/\n  - Acceptance:\n    - [ ] b: `c`\n"
    )
    assert task.scope == ("src/*.py", "docs/**")
    assert task.acceptance == (Acceptance("b", "c"),)


def test_a_folder_in_a_scope_means_what_is_below_it() -> None:
    assert one("- [ ] a\n  - scope: src/webhook, Makefile.in\n").scope == (
        "src/webhook",
        "src/webhook/**",
        "Makefile.in",
    )


@pytest.mark.parametrize(
    "text",
    [
        "```\n- [ ] a\n```\n",
        "> - [ ] a\n",
        "<!--\n- [ ] a\n-->\n",
        "    - [ ] a\n",
        "- group\n  - [ ] a\n",
        "- - [ ] a\n",
        "-     [ ] a\n",
        "-[ ] a\n",
        "- [ ]a\n",
        "- [x](url) a\n",
        "[ ] a\n",
        "text\n2. [ ] a\n",
    ],
)
def test_what_is_no_task(text: str) -> None:
    assert parse(text.encode()).tasks == ()


@pytest.mark.parametrize("text", ["- [ ]\n", "- [?] a\n", "- [] a\n", "- [ ]\n  a\n"])
def test_what_looks_like_a_task_and_is_none_is_said(text: str) -> None:
    backlog = parse(text.encode())
    assert backlog.tasks == ()
    assert [found.place.line for found in backlog.warnings] == [1]


@pytest.mark.parametrize("opening", ["```", "~~~~", "<!--"])
def test_code_or_a_comment_that_never_ends_is_said(opening: str) -> None:
    """Otherwise every task below it would disappear without a word."""
    backlog = parse(f"- [ ] a\n\n{opening}\n- [ ] hidden\n".encode())
    assert [(found.place.line, len(backlog.tasks)) for found in backlog.warnings] == [(3, 1)]
    end = "-->" if opening == "<!--" else opening
    assert parse(f"- [ ] a\n\n{opening}\n- [ ] hidden\n{end}\n".encode()).warnings == ()


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("it works: `make a`", "make a"),
        ("it works: ``echo `x` ``", "echo `x`"),
        ("it works `make a`", None),
        ("it works: `make a` twice", None),
        ("it works: \\`make a\\`", None),
        ("it works: `make a", None),
        ("a \\` is shown: `make a`", "make a"),
        ("`make a`", None),
    ],
)
def test_a_command_is_the_code_that_ends_an_item_after_a_colon(
    text: str, command: str | None
) -> None:
    """What is not shown as code is never run."""
    assert one(f"- [ ] t\n\n  Acceptance:\n  - {text}\n").acceptance[0].command == command


# ---- what is wrong, where, and whom it stops


def stopped(backlog: Backlog) -> list[str]:
    return [task.title for task in backlog.tasks if task.order in backlog.quarantine]


def test_a_duplicate_id_stops_both_and_their_dependents_only() -> None:
    backlog = parse(
        b"- [ ] **LO-1** a\n- [ ] **lo-x** free\n- [ ] **LO-1** b\n- [ ] **LO-2** c\n"
        b"  - depends: LO-1\n- [ ] **LO-3** d\n  - depends: LO-2\n- [ ] **LO-4** e\n"
    )
    assert places(backlog) == [(3, 7)]
    assert stopped(backlog) == ["a", "b", "c", "d"]
    assert backlog.problems[0].orders == (0, 2)


def test_ids_that_differ_only_in_case_are_duplicates() -> None:
    backlog = parse(b"- [ ] **LO-ab** a\n- [ ] **LO-AB** b\n")
    assert stopped(backlog) == ["a", "b"]


def test_an_unknown_dependency_is_named_with_its_place() -> None:
    backlog = parse(b"- [ ] **LO-1** a\n  - depends: LO-2, LO-9\n- [ ] **LO-2** b\n")
    assert places(backlog) == [(2, 20)]
    assert stopped(backlog) == ["a"]
    assert "LO-9" in backlog.problems[0].message


def test_an_unknown_dependency_of_a_finished_task_is_only_a_warning() -> None:
    backlog = parse(b"- [x] **LO-1** a\n  - depends: LO-9\n")
    assert (backlog.problems, len(backlog.warnings)) == ((), 1)


def test_cycles_stop_their_members_and_dependents() -> None:
    backlog = parse(
        b"- [ ] **LO-1** a\n  - depends: LO-2\n- [ ] **LO-2** b\n  - depends: LO-3\n"
        b"- [ ] **LO-3** c\n  - depends: LO-1\n- [ ] **LO-4** d\n  - depends: LO-3\n"
        b"- [ ] **LO-5** e\n  - depends: LO-5\n- [ ] **LO-6** f\n"
    )
    assert places(backlog) == [(2, 14), (10, 14)]
    assert stopped(backlog) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("field", "column"),
    [("risk: huge", 5), ("priority: P9", 5), ("scope: ../x", 5), ("scope:", 5), ("depends:", 5)],
)
def test_a_field_that_cannot_be_read_stops_its_task(field: str, column: int) -> None:
    backlog = parse(f"- [ ] a\n  - {field}\n- [ ] b\n".encode())
    assert places(backlog) == [(2, column)]
    assert stopped(backlog) == ["a"]
    assert backlog.problems[0].fix


def test_a_field_given_twice_and_a_missing_title_stop_their_tasks() -> None:
    backlog = parse(b"- [ ] a\n  - risk: low\n  - risk: high\n- [ ] **LO-1**\n")
    assert places(backlog) == [(3, 5), (4, 7)]
    assert set(backlog.quarantine) == {0, 1}


def test_a_conflict_stops_the_entries_it_touches() -> None:
    backlog = parse(
        b"- [ ] before\n<<<<<<< HEAD\n- [ ] ours\n=======\n- [ ] theirs\n"
        b">>>>>>> side\n- [ ] after\n"
    )
    assert places(backlog) == [(2, 1)]
    assert stopped(backlog) == ["ours", "theirs"]


def test_a_conflict_inside_an_entry_stops_that_entry() -> None:
    backlog = parse(
        b"- [ ] a\n<<<<<<< HEAD\n  - risk: low\n||||||| base\n=======\n"
        b"  - risk: high\n>>>>>>> x\n- [ ] b\n"
    )
    assert stopped(backlog) == ["a"]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("- [ ] a\n- [ ] b\n>>>>>>> side\n- [ ] c\n", ["b"]),
        ("- [ ] a\n<<<<<<< HEAD\n- [ ] b\n- [ ] c\n", ["b"]),
        ("- [ ] a\n<<<<<<< HEAD\n- [ ] b\n=======\n- [ ] c\n- [ ] d\n", ["b", "c"]),
    ],
)
def test_half_a_conflict_stops_what_is_next_to_it(text: str, titles: list[str]) -> None:
    backlog = parse(text.encode())
    assert stopped(backlog) == titles
    assert len(backlog.problems) == 1


def test_an_underlined_heading_is_no_conflict() -> None:
    backlog = parse(b"P1\n=======\n- [ ] a\n")
    assert (backlog.problems, backlog.tasks[0].priority) == ((), 1)


@pytest.mark.parametrize(
    ("data", "place", "titles"),
    [
        (b"- [ ] ok\n- [ ] a\xff\n", (2, 8), ["a\ufffd"]),
        (b"- [ ] ok\n- [ ] a\0b\n", (2, 8), ["a\0b"]),
        (b"- [ ] a\r- [ ] b\r", (1, 8), ["a", "b"]),
        ("- [ ] ok\n- [ ] a\u202eb\n".encode(), (2, 8), ["a\u202eb"]),
        ("- [ ] ok\n- [ ] a\u200bb\n".encode(), (2, 8), ["a\u200bb"]),
    ],
)
def test_bytes_that_cannot_be_trusted_stop_their_entries(
    data: bytes, place: tuple[int, int], titles: list[str]
) -> None:
    backlog = parse(data)
    assert places(backlog) == [place]
    assert stopped(backlog) == titles


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(encoding: str) -> None:
    backlog = parse("- [ ] a\n".encode(encoding))
    assert places(backlog) == [(1, 1)]
    assert backlog.tasks == ()


def test_a_byte_order_mark_is_kept_and_does_not_move_anything() -> None:
    data = b"\xef\xbb\xbf- [x] a\n"
    task = parse(data).tasks[0]
    assert data[task.mark_offset : task.mark_offset + 1] == b"x"
    assert task.digest == parse(data[3:]).tasks[0].digest


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf", b"\r\n \r\n"])
def test_an_empty_backlog_is_no_problem(data: bytes) -> None:
    assert parse(data) == Backlog()


# ---- digests and ids


def test_the_digest_ignores_mark_id_position_and_line_endings_but_no_other_edit() -> None:
    plain = one("- [ ] a `b`\n  - risk: low\n").digest
    assert one("# P0\n\ntext\n\n- [x] **LO-1** a `b`\r\n  - risk: low").digest == plain
    assert one("- [ ] a `b`\n  - risk: high\n").digest != plain
    assert one("- [ ] a  `b`\n  - risk: low\n").digest != plain


def test_equal_titles_are_counted() -> None:
    backlog = parse(b"- [ ] a\n- [ ] b\n- [ ] **LO-1** a #x\n")
    assert [task.ordinal for task in backlog.tasks] == [0, 0, 1]


def test_ids_follow_from_their_parts_and_have_the_form() -> None:
    first = derive_id("LO", "root", "commit", "title", 0)
    assert first == derive_id("LO", "root", "commit", "title", 0)
    others = {
        derive_id("LO", "other", "commit", "title", 0),
        derive_id("LO", "root", "other", "title", 0),
        derive_id("LO", "root", "commit", "other", 0),
        derive_id("LO", "root", "commit", "title", 1),
    }
    assert len(others | {first}) == 5
    assert is_id(first)
    assert len(first) == 9
    assert not set("ilou") & set(first[3:])
    assert is_id(random_id("AB", b"12345678"), "AB")
    with pytest.raises(ValueError, match="entropy"):
        random_id("LO", b"1234567")


def test_another_prefix_is_a_title() -> None:
    assert parse(b"- [ ] **AB-1** a\n", id_prefix="AB").tasks[0].id == "AB-1"
    backlog = parse(b"- [ ] **L0-7k2m4q** a\n")
    assert (backlog.tasks[0].id, len(backlog.warnings)) == ("", 1)


# ---- any input


def consistent(data: bytes) -> Backlog:
    """Parse, and check what holds for every input."""
    backlog = parse(data)
    orders = [task.order for task in backlog.tasks]
    assert orders == list(range(len(orders)))
    end = 0
    for task in backlog.tasks:
        assert end <= task.span[0] < task.mark_offset < task.title_offset <= task.span[1]
        assert data[task.mark_offset - 1 : task.mark_offset] == b"["
        assert task.mark is (
            Mark.DONE
            if data[task.mark_offset : task.mark_offset + 1] == b"X"
            else Mark(chr(data[task.mark_offset]))
        )
        end = task.span[1]
    assert end <= len(data)
    assert set(backlog.quarantine) <= set(orders)
    assert all(problem.place.line for problem in backlog.problems)
    return backlog


@settings(max_examples=200, derandomize=True)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_named(data: bytes) -> None:
    consistent(data)


@pytest.mark.parametrize("section", sorted({example["section"] for example in EXAMPLES}))
def test_the_examples_of_commonmark_as_documents_and_inside_a_task(section: str) -> None:
    """A task before an example is found whatever follows, and one above it keeps it as its text."""
    for example in EXAMPLES:
        if example["section"] != section:
            continue
        text = example["markdown"]
        consistent(text.encode())
        before = consistent(b"- [ ] first\n\n" + text.encode())
        assert before.tasks[0].title == "first"
        nested = "".join(f"  {line}" for line in text.splitlines(keepends=True))
        inside = consistent(f"- [ ] outer\n\n{nested}\n- [ ] last\n".encode())
        assert [task.title for task in inside.tasks] == ["outer", "last"], example


PATHOLOGICAL = {
    "quotes": "> " * 50_000 + "a",
    "quote signs": ">" * 50_000 + "a",
    "lists on a line": "- " * 50_000 + "a",
    "numbered lists": "1. " * 30_000 + "a",
    "nested lists": "".join("  " * depth + "* a\n" for depth in range(1000)),
    "nested by tabs": "".join("\t" * depth + "- a\n" for depth in range(300)),
    "quotes and lists": "> - " * 5_000 + "a",
    "strong emphasis": "*a **a " * 20_000 + "b" + " a** a*" * 20_000,
    "brackets": "[" * 50_000 + "a" + "]" * 50_000,
    "link openers": "[a](" * 50_000,
    "backticks": "".join("e" + "`" * width for width in range(1, 600)),
    "definitions": "[a]: u\n" * 20_000,
    "unclosed comments": "</" * 50_000 + "<!--" * 10_000,
    "rule": "* " * 100_000,
    "dashes": "-" * 200_000,
    "blanks": " " * 500_000 + "a\n" + "\t" * 100_000,
    "blank lines": "\n" * 200_000,
    "tags": "- [ ] a" + " #a" * 9_000,
    "inline form": "- [ ] a" + " — owner: x" * 2_000,
    "keys": "- [ ] a\n" + "".join(f"  - depend{n}: x\n" for n in range(500)),
    "commas": "- [ ] a\n  - depends: " + ",`" * 9_000,
    "conflicts": "<<<<<<< a\n- [ ] b\n" * 5_000,
    "lazy lines": "> " * 15 + "a\n" + "a\n" * 5_000,
    "chain": "".join(f"- [ ] **LO-{n}** t\n  - depends: LO-{n + 1}\n" for n in range(3_000)),
    "long line": "- [ ] " + "a" * 10_000_000,
    "long line of brackets": "- [ ] " + "[`*_" * 2_500_000,
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_pathological_documents_are_read_and_hide_no_task(name: str) -> None:
    """They end, raise nothing, and the task below them is still seen."""
    data = (PATHOLOGICAL[name] + "\n\n# End\n\n- [ ] **LO-end** last\n").encode()
    backlog = consistent(data)
    if "<!--" in PATHOLOGICAL[name] and not backlog.tasks:
        assert backlog.warnings
        return
    assert backlog.tasks[-1].id == "LO-end"
    assert backlog.tasks[-1].order not in backlog.quarantine


def test_lines_that_are_too_deep_or_too_long_are_named() -> None:
    deep = parse(("- [ ] a\n\n" + "> " * 100 + "x\n\n- [ ] b\n").encode())
    assert (places(deep), len(deep.tasks)) == ([(3, 1)], 2)
    long = parse(b"- [ ] ok\n- [ ] " + b"a" * 30_000 + b"\n- [ ] b\n")
    assert (places(long), len(long.tasks)) == ([(2, 20_001)], 3)
    assert stopped(long) == ["a" * (20_000 - len("- [ ] "))]


def test_ten_thousand_tasks() -> None:
    data = b"".join(b"- [ ] **LO-%05d** t\n  - depends: LO-00000\n" % n for n in range(1, 10_000))
    backlog = parse(b"- [ ] **LO-00000** t\n" + data)
    assert (len(backlog.tasks), backlog.problems) == (10_000, ())


@pytest.mark.parametrize("data", [b"a" * (16 * 1024 * 1024 + 1), b"\n" * 250_001])
def test_a_file_beyond_all_measure_is_refused_by_name(data: bytes) -> None:
    backlog = parse(data)
    assert (places(backlog), backlog.tasks) == ([(1, 1)], ())
