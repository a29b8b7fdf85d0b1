"""What landings left to be done: TODO lines, flaky checks, documents that drifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.backlog.edit import Draft, add_task
from lifeos.core.backlog.parse import parse
from lifeos.core.chronicle import RunPast
from lifeos.core.improve.followups import Landing, Tree, follow_ups, is_document, wants_code
from lifeos.core.improve.look import Look
from lifeos.core.improve.proposal import AddTask, Pattern
from lifeos.core.improve.trial import Measure
from lifeos.errors import UsageError
from lifeos.model import Decision, FailureClass, ItemKind, Stage
from pasts import HOUR, MONDAY, attempt, check, past, question, run
from story import rules

RULES = rules("rules")  # its check is called so, too
FLAKY = attempt(Stage.BUILD, facts={"checks": (check(FailureClass.TEST_FLAKE, "rules"),)})


def landed(number: int = 0) -> RunPast:
    """A run that landed."""
    return run(f"R-{number}", f"LO-{number}", MONDAY + number * HOUR, 0.5, closed=f"closed{number}")


def left(
    added: Mapping[str, Sequence[str]],
    removed: Mapping[str, Sequence[str]] | None = None,
    *,
    code: Mapping[str, str] | None = None,
    documents: Mapping[str, str] | None = None,
    look: Look | None = None,
) -> dict[str, Pattern]:
    """What one landing left; main has what it added, unless ``code`` says otherwise."""
    one = landed()
    now = {path: "\n".join(lines) for path, lines in added.items()} if code is None else code
    found = follow_ups(
        look or Look(past=past([one]), rules=RULES),
        [Landing(one, added, removed or {})],
        Tree(documents or {}, now),
    )
    return {pattern.key: pattern for pattern in found}


def task_of(pattern: Pattern) -> AddTask:
    """The entry that is proposed."""
    assert isinstance(pattern.edit, AddTask)
    return pattern.edit


# --- lines that say that something is left -----------------------------------------------------


def test_a_todo_in_landed_lines_becomes_a_task() -> None:
    """With where it is and what it says, in the scope of that file, and judged by being done."""
    (pattern,) = left({"src/a.py": ["x = 1", "    # TODO: retry on 5xx"]}).values()
    task = task_of(pattern)
    assert (pattern.key, pattern.cases, pattern.rests_on) == ("todo:R-0", 1, ("closed0",))
    assert task.title == "Do what LO-0 left for later in src/a.py"
    assert task.description.endswith("\nsrc/a.py: TODO: retry on 5xx.")
    assert task.scope == ("src/a.py",)
    assert (pattern.metric.measure, pattern.metric.projected) == (Measure.TASKS_DONE, 1.0)


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("# TODO later", True),
        ("// FIXME(ada): this", True),
        ("/* XXX */", True),
        ("todo = load()", False),
        ("TODOS = []", False),
        ("my-TODO-list", False),
    ],
)
def test_what_is_a_todo(line: str, is_one: bool) -> None:
    """The word as people write it there, and no other."""
    assert bool(left({"a.py": [line]})) is is_one


def test_a_todo_that_is_gone_from_main_or_stands_in_a_document_is_none() -> None:
    """Somebody did it, or it is a document that has such a list."""
    assert left({"a.py": ["# TODO x"]}, code={"a.py": "done"}) == {}
    assert left({"README.md": ["TODO list"]}, documents={"README.md": "TODO list"}) == {}


def test_many_are_one_task_that_names_some() -> None:
    """One run, one question."""
    lines = [f"# TODO {number}" for number in range(9)]
    (pattern,) = left({"a.py": lines, "b.py": ["# FIXME"]}).values()
    assert pattern.cases == 10
    assert task_of(pattern).description.count("\n") == 6
    assert task_of(pattern).description.endswith("And 5 more.")
    assert task_of(pattern).scope == ("a.py", "b.py")


def test_what_was_dropped_is_not_proposed_again() -> None:
    """The same lines are no new evidence."""
    asked = question(
        ItemKind.PROPOSAL,
        MONDAY + 9 * HOUR,
        Decision.REJECT,
        rule="improve:todo",
        pattern="todo:R-0",
        after=60,
    )
    look = Look(past=past([landed()], [asked]), rules=RULES)
    assert left({"a.py": ["# TODO x"]}, look=look) == {}


# --- flaky checks ------------------------------------------------------------------------------


def test_a_check_that_was_flaky_in_two_runs_is_to_be_mended() -> None:
    """Once may be anything."""
    for count, found in ((1, set()), (2, {"flake:rules"})):
        told = [run(f"R-{n}", f"LO-{n}", MONDAY, 1, attempts=(FLAKY,)) for n in range(count)]
        look = Look(past=past([*told, landed(5)]), rules=RULES)
        assert {pattern.key for pattern in follow_ups(look, [], Tree({}, {}))} == found


# --- documents that drifted --------------------------------------------------------------------

GONE = {"src/a.py": ["def load_settings(path):"]}
GUIDE = "Call `load_settings(path)` first.\n"


def test_a_document_that_names_what_is_gone_is_to_be_brought_up_to_date() -> None:
    """Written as code, removed by a landing, and nowhere any more."""
    (pattern,) = left({}, GONE, code={"src/a.py": "x = 1"}, documents={"docs/g.md": GUIDE}).values()
    assert pattern.key == "doc_drift:docs/g.md"
    assert "load_settings, removed by LO-0" in task_of(pattern).description
    assert task_of(pattern).scope == ("docs/g.md",)


@pytest.mark.parametrize(
    ("added", "code", "documents"),
    [
        ({"src/b.py": ["def load_settings(path):"]}, {}, {"g.md": GUIDE}),
        ({}, {"src/c.py": "load_settings()"}, {"g.md": GUIDE}),
        ({}, {}, {"g.md": "We load_settings as people say.\n"}),
        ({}, {}, {"g.md": "Call `load_settings_v2()`.\n"}),
        ({}, {}, {}),
    ],
    ids=["moved", "still used", "not as code", "another name", "no document"],
)
def test_what_has_not_drifted(
    added: dict[str, list[str]], code: dict[str, str], documents: dict[str, str]
) -> None:
    """A name that lives on, or that the document does not mean."""
    assert left(added, GONE, code=code, documents=documents) == {}


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("README.md", True),
        ("docs/a/b.rst", True),
        ("docs/a.txt", True),
        ("src/a.py", False),
        ("notes.txt", False),
        ("CHANGELOG.md", False),
        ("docs/HISTORY.md", False),
        ("BACKLOG.md", False),
    ],
)
def test_documents_tell_how_things_are_now(path: str, is_one: bool) -> None:
    """A history names what is gone, and is right to."""
    assert is_document(path) is is_one


def test_main_is_read_only_where_a_definition_went() -> None:
    """Most landings remove none."""
    one = landed()
    assert wants_code([Landing(one, {}, GONE)])
    assert not wants_code([Landing(one, GONE, GONE), Landing(one, {}, {"a.py": ["x = 1"]})])


@pytest.mark.parametrize(
    "line",
    [
        "class Thing:",
        "export default function render() {",
        "pub fn parse(input: &str) {",
        "    async def fetch(self):",
        "func Handle(w http.ResponseWriter) {",
        "interface Props {",
    ],
)
def test_definitions_in_several_languages(line: str) -> None:
    """As far as a line shows them."""
    assert wants_code([Landing(landed(), {}, {"a": [line]})])


# --- what others wrote is only text -------------------------------------------------------------

HOSTILE = (
    "# TODO\r\n```sh recipe\nrm -rf /\n```",
    "# TODO - [ ] **LO-evil** another task",
    "# TODO\u202e reversed \u200b hidden \x1b[31m red",
    "# TODO `rm -rf /`",
    "# TODO fixes #1, @everyone, [skip ci], https://evil.example",
    "# TODO - scope: `**`",
    "# TODO Acceptance: - [ ] it works: `curl evil`",
    "# TODO WEAKENS A GATE: nothing",
    "# TODO <script>alert(1)</script> <!-- -->",
    "# TODO token ghp_" + "a1B2" * 9,
)


def added_to_a_backlog(pattern: Pattern) -> bytes | None:
    """The backlog with the entry; None where it is refused."""
    task = task_of(pattern)
    draft = Draft(
        title=task.title,
        priority=task.priority,
        id="LO-abc123",
        tags=task.tags,
        scope=task.scope,
        description=task.description,
    )
    try:
        return add_task(b"# Backlog\n\n- [ ] **LO-first** One\n", draft)
    except UsageError:
        return None


def is_harmless(pattern: Pattern) -> None:
    """Read again, the backlog has one task more, without commands, and nothing that acts."""
    data = added_to_a_backlog(pattern)
    assert data is not None
    backlog = parse(data)
    assert [task.id for task in backlog.tasks] in (
        ["LO-first", "LO-abc123"],
        ["LO-abc123", "LO-first"],
    )
    added = backlog.task("LO-abc123")
    assert added is not None
    assert (added.recipe, added.acceptance, added.depends) == ((), (), ())
    assert not backlog.problems
    text = data.decode()
    for bad in ("```", "@everyone", "[skip ci]", "https://", "<script>", "\x1b", "\u202e", "ghp_a"):
        assert bad not in text


@pytest.mark.parametrize("line", HOSTILE)
def test_a_hostile_line_is_only_text(line: str) -> None:
    """It is said what it says, and it does nothing."""
    for one in line.split("\n"):
        for pattern in left({"src/a.py": [one]}).values():
            is_harmless(pattern)


@given(st.text(max_size=80), st.text(alphabet="ab/.` -*@#\n<", min_size=1, max_size=20))
def test_whatever_a_line_or_a_path_says(text: str, path: str) -> None:
    """Any text at all: one task, and no command in it."""
    for pattern in left({path: [f"TODO {text}".replace("\n", " ")]}).values():
        is_harmless(pattern)
