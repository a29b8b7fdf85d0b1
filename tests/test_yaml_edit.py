"""One setting of a file of rules changed: comments, order and spelling of all else stay."""

from __future__ import annotations

import difflib
import json

import pytest

from lifeos import strict_yaml
from lifeos.governance import load_set
from lifeos.initial import render_init, template
from lifeos.strict_yaml import Path, Value
from lifeos.yaml_edit import CannotEdit, with_value, without_item

LOOP = template("policies/loop.yaml").encode()
RULES = b"""\
version: 1   # the format
checkpoints:
  # the first
  - name: big
    stage: build_review
    lines: 100   # many
  # the second
  - {name: docs, stage: packet, paths: ["docs/**"]}

  # the third
  - name: third
    stage: packet

# behind the list
autonomy: full
"""


def changed(before: bytes, after: bytes) -> list[str]:
    """The lines that went and came."""
    lines = difflib.ndiff(before.decode().split("\n"), after.decode().split("\n"))
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        (
            ("routing", "test_failure", "retries"),
            5,
            [
                "-   test_failure: {retries: 3, backoff: 0, then: waive}",
                "+   test_failure: {retries: 5, backoff: 0, then: waive}",
            ],
        ),
        (("autonomy",), "exceptions", ["- autonomy: supervised", "+ autonomy: exceptions"]),
        (("budgets", "cost_per_run"), 15.5, ["-   cost_per_run: 10.0", "+   cost_per_run: 15.5"]),
        (("progress", "oscillation"), False, ["-   oscillation: true", "+   oscillation: false"]),
    ],
)
def test_one_value_and_nothing_else_changes(path: Path, value: Value, lines: list[str]) -> None:
    """In a block or on one line, in the file that `init` writes; it still is a set of rules."""
    after = with_value(LOOP, "loop.yaml", path, value)
    assert changed(LOOP, after) == lines
    files = {**render_init("Ada", "ada@example.org", "main", ()), "policies/loop.yaml": after}
    assert load_set(files).governance is not None


def test_a_setting_that_stood_at_its_default_is_put_in() -> None:
    """At the end of its group, which is made where there is none."""
    assert changed(RULES, with_value(RULES, "x", ("checkpoints", 0, "risk"), "medium")) == [
        "+     risk: medium"
    ]
    assert changed(RULES, with_value(RULES, "x", ("checkpoints", 1, "risk"), "medium")) == [
        '-   - {name: docs, stage: packet, paths: ["docs/**"]}',
        '+   - {name: docs, stage: packet, paths: ["docs/**"], risk: medium}',
    ]
    assert changed(RULES, with_value(RULES, "x", ("budgets", "diff_lines"), 9)) == [
        "+ budgets: {diff_lines: 9}"
    ]


def test_a_key_is_written_as_its_neighbours_are() -> None:
    """JSON stays JSON, which is YAML too."""
    before = b'{"a": {"b": 1}, "c": "d"}'
    after = with_value(before, "x", ("a", "new"), "low")
    assert json.loads(after) == {"a": {"b": 1, "new": "low"}, "c": "d"}
    assert json.loads(with_value(before, "x", ("c",), "e"))["c"] == "e"


@pytest.mark.parametrize(
    ("index", "lines"),
    [
        (0, ["-   # the first", "-   - name: big", "-     stage: build_review"]),
        (1, ["-   # the second", '-   - {name: docs, stage: packet, paths: ["docs/**"]}']),
        (2, ["-   # the third", "-   - name: third", "-     stage: packet"]),
    ],
)
def test_an_entry_goes_with_the_comment_above_it(index: int, lines: list[str]) -> None:
    """And takes nothing of its neighbours along."""
    after = without_item(RULES, "x", ("checkpoints",), index)
    assert changed(RULES, after)[: len(lines)] == lines
    assert b"# behind the list" in after


def test_the_last_entry_leaves_an_empty_list() -> None:
    """A key without a value would be no list any more; also without a newline at the end."""
    one = b"version: 1\ncheckpoints:\n- name: a\n  stage: packet"
    assert without_item(one, "x", ("checkpoints",), 0) == b"version: 1\ncheckpoints: []\n"
    assert without_item(b"a: [b]\n", "x", ("a",), 0) == b"a: []\n"


@pytest.mark.parametrize(("index", "after"), [(0, "[c, d]"), (1, "[b, d]"), (2, "[b, c]")])
def test_an_entry_of_a_list_on_one_line(index: int, after: str) -> None:
    """With its comma."""
    made = without_item(b"a: [b, c, d]  # seats\n", "x", ("a",), index)
    assert made == f"a: {after}  # seats\n".encode()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("indent", ["", "  "])
def test_other_ways_to_write_the_same(newline: str, indent: str) -> None:
    """Lists at the indent of their key, and the line ends of another system."""
    text = newline.join(["version: 1", "list:", f"{indent}- a", f"{indent}- b", "x: 'y'", ""])
    after = without_item(text.encode(), "x", ("list",), 1)
    assert after == newline.join(["version: 1", "list:", f"{indent}- a", "x: 'y'", ""]).encode()
    assert with_value(text.encode(), "x", ("x",), "true") == text.replace("'y'", '"true"').encode()


@pytest.mark.parametrize(
    "data",
    [
        b"a: &x 1\nb: *x\n",
        b"a: 1\na: 2\n",
        b"[1, 2]\n",
        b"\xff\xfe",
        b"a: {b: 1 # why\n  }\n",
    ],
    ids=["an alias", "a key twice", "no group", "no text", "a comment where it would go"],
)
def test_what_cannot_be_changed_exactly_is_refused(data: bytes) -> None:
    """Rather nothing than something that reads otherwise."""
    with pytest.raises(CannotEdit):
        with_value(data, "x", ("a", "c"), 1)


@pytest.mark.parametrize(
    ("path", "index"), [(("nothing",), 0), (("checkpoints",), 3), (("version",), 0)]
)
def test_what_is_not_there_cannot_go(path: Path, index: int) -> None:
    """No such list, no such entry."""
    with pytest.raises(CannotEdit):
        without_item(RULES, "x", path, index)


def test_every_setting_of_the_template_can_be_changed_alone() -> None:
    """Each value that `init` writes, replaced by another of its kind, one at a time."""
    document = strict_yaml.read(LOOP, "x")
    found = [path for path in document.values if path and "?" not in path]  # those are the keys
    scalars = [path for path in found if not _is_group(document.value, path)]
    assert len(scalars) > 80
    for path in scalars:
        old = _at(document.value, path)
        new: Value = not old if isinstance(old, bool) else f"{old}x" if isinstance(old, str) else 7
        after = strict_yaml.read(with_value(LOOP, "x", path, new), "x")
        assert _at(after.value, path) == new


def _is_group(value: Value, path: Path) -> bool:
    return isinstance(_at(value, path), list | dict)


def _at(value: Value, path: Path) -> Value:
    for part in path:
        value = value[part]  # type: ignore[index]
    return value
