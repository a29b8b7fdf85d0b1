"""What is next: each rule alone decides, in the order of priority and file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from lifeos.core.backlog.entry import Backlog
from lifeos.core.backlog.parse import parse
from lifeos.core.backlog.select import Closed, Eligibility, OpenRun, eligible, explain
from lifeos.model import CloseOutcome

NONE: Mapping[str, Closed] = {}


def backlog(text: str) -> Backlog:
    return parse(text.encode())


def ended(found: Backlog, task_id: str, outcome: CloseOutcome) -> dict[str, Closed]:
    task = found.task(task_id)
    assert task is not None
    return {task_id: Closed(task_id, outcome, task.digest)}


def judged(
    found: Backlog, closed: Mapping[str, Closed] = NONE, runs: Iterable[OpenRun] = ()
) -> dict[str, Eligibility]:
    return {entry.task.title: entry for entry in explain(found, closed, tuple(runs))}


def titles(
    found: Backlog,
    closed: Mapping[str, Closed] = NONE,
    runs: Iterable[OpenRun] = (),
    retried: frozenset[str] = frozenset(),
) -> list[str]:
    return [task.title for task in eligible(found, closed, tuple(runs), retried)]


def test_by_priority_then_by_place_in_the_file() -> None:
    found = backlog("## P1\n- [ ] c\n- [ ] d\n## P0\n- [ ] a\n## P1\n- [ ] e\n  - priority: P0\n")
    assert titles(found) == ["a", "e", "c", "d"]
    assert [entry.task.title for entry in explain(found, {}, ())] == ["a", "e", "c", "d"]


@pytest.mark.parametrize("mark", ["x", "X", "/", "!", "-"])
def test_only_open_boxes(mark: str) -> None:
    assert titles(backlog(f"- [{mark}] a\n- [ ] b\n")) == ["b"]


def test_an_entry_with_an_error_and_its_dependents_wait_with_the_reason() -> None:
    found = backlog("- [ ] **LO-1** a\n  - risk: no\n- [ ] b\n  - depends: LO-1\n- [ ] c\n")
    entries = judged(found)
    assert titles(found) == ["c"]
    assert "BACKLOG.md:2:5" in entries["a"].reason
    assert "LO-1" in entries["b"].reason


def test_dependencies_must_be_ticked_or_passed() -> None:
    text = "- [{}] **LO-1** a\n- [ ] **LO-2** b\n  - depends: LO-1\n"
    waiting = judged(backlog(text.format(" ")))["b"]
    assert (waiting.eligible, waiting.blocking) == (False, ("LO-1",))
    assert titles(backlog(text.format("x"))) == ["b"]
    for mark in "!/-":
        found = backlog(text.format(mark))
        assert titles(found) == []
        assert titles(found, ended(found, "LO-1", CloseOutcome.PASS)) == ["b"]
        assert titles(found, ended(found, "LO-1", CloseOutcome.BLOCKED)) == []
    cancelled = judged(backlog(text.format("-")))["b"]
    assert "cancelled" in cancelled.reason


def test_a_dependency_that_was_taken_back_is_not_done() -> None:
    found = backlog("- [ ] **LO-1** a\n- [ ] **LO-2** b\n  - depends: LO-1\n")
    assert titles(found, ended(found, "LO-1", CloseOutcome.PASS)) == []
    marked = backlog("- [!] **LO-1** a\n- [ ] **LO-2** b\n  - depends: LO-1\n")
    reopened = Closed("LO-1", CloseOutcome.PASS, "", reopened=True)
    assert titles(marked, {"LO-1": reopened}) == []


@pytest.mark.parametrize(
    "outcome", [CloseOutcome.BLOCKED, CloseOutcome.REJECTED, CloseOutcome.CANCELLED]
)
def test_a_task_that_ended_waits_for_new_text_or_retry(outcome: CloseOutcome) -> None:
    found = backlog("- [ ] **LO-1** a\n")
    closed = ended(found, "LO-1", outcome)
    assert titles(found, closed) == []
    assert "lifeos retry LO-1" in judged(found, closed)["a"].reason
    assert titles(found, closed, retried=frozenset({"LO-1"})) == ["a"]
    assert titles(backlog("- [ ] **LO-1** a\n  More is known now.\n"), closed) == ["a"]


def test_a_passed_task_with_an_open_box_is_reopened_and_waits_for_retry() -> None:
    found = backlog("- [ ] **LO-1** a\n")
    closed = ended(found, "LO-1", CloseOutcome.PASS)
    assert "reopened" in judged(found, closed)["a"].reason
    assert "reopened" in judged(backlog("- [ ] **LO-1** a, changed\n"), closed)["a, changed"].reason
    assert titles(found, closed, retried=frozenset({"LO-1"})) == ["a"]


def test_a_task_with_an_open_run_is_not_selected_even_when_retried() -> None:
    found = backlog("- [ ] **LO-1** a\n  - scope: `a/**`\n")
    runs = [OpenRun("LO-1", ("b/**",), building=False)]
    assert titles(found, runs=runs, retried=frozenset({"LO-1"})) == []
    assert "open run" in judged(found, runs=runs)["a"].reason


SCOPED = "- [ ] **LO-1** free\n- [ ] **LO-2** src\n  - scope: `src/**`\n"


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (OpenRun("LO-9", (), building=True), []),
        (OpenRun("LO-9", ("docs/**",), building=True), ["src"]),
        (OpenRun("LO-9", ("src/a.py",), building=True), []),
        (OpenRun("LO-9", (), building=False), ["free", "src"]),
        (OpenRun("LO-9", ("src/**",), building=False, paths=("docs/x.md",)), ["src"]),
        (OpenRun("LO-9", (), building=False, paths=("docs/x.md", "src/a.py")), []),
        (OpenRun("LO-9", (), building=False, paths=("SRC/a.py",)), []),
    ],
)
def test_scopes_that_meet_an_open_run_wait(run: OpenRun, expected: list[str]) -> None:
    """A run without scope meets everything while building, its own paths while it waits."""
    found = backlog(SCOPED)
    assert titles(found, runs=[run]) == expected
    for entry in judged(found, runs=[run]).values():
        assert entry.eligible or entry.blocking == ("LO-9",)
