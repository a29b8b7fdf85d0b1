"""``lifeos metrics``: the same numbers in every clone, and what a person does with them."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

import metrics_again
from lifeos.core.canonical import canonical_json
from lifeos.core.when import minute
from loop_scene import TASK, Scene
from told import asked, landed, lifeos


@pytest.fixture
def done(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run landed, with an answer by the CEO."""
    return landed(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


@pytest.fixture
def waiting(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run waits before its landing."""
    return asked(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


def numbers(scene: Scene, *options: str) -> dict[str, Any]:
    """The data of a window with everything in it."""
    command = ("metrics", "--since", "begin", "--all", "--json", *options)
    found: dict[str, Any] = lifeos(scene.folder, *command).data("metrics")
    return found


def test_one_run_is_counted_as_git_tells_it(done: Scene) -> None:
    """Every number of it, from the records that git prints: no code of lifeos reads them there."""
    window = numbers(done)["window"]
    again = metrics_again.numbers(
        metrics_again.records_of(done.folder), window["since"], window["until"]
    )
    for metric in window["metrics"]:
        other = again.pop(metric["name"])
        assert metric["value"] == pytest.approx(other.value), metric
        assert (metric["denominator"], set(metric["runs"])) == (other.denominator, other.runs)
    assert not again


def test_the_table_says_what_is_behind_each_number(done: Scene) -> None:
    """With what it was before, which is nothing here, and how to ask which runs."""
    said = lifeos(done.folder, "metrics", "--since", "begin").out
    assert "1 run closed, 1 landed, 0 open at the end" in said
    assert "0 of 1 closed runs landed, and no person answered" in said
    assert "build_review" in said
    assert "lifeos metrics --which NAME" in said
    assert "cost_per_landed" not in said
    which = lifeos(done.folder, "metrics", "--since", "begin", "--which", "without_ceo").out
    assert TASK in which
    assert "Say hello in the guide" in which
    answers = lifeos(done.folder, "metrics", "--since", "begin", "--which", "approval_latency").out
    assert "Q-" in answers
    assert "stage_review" in answers
    assert "no number called 'nothing'" in lifeos(done.folder, "metrics", "--which", "nothing").err


def test_a_window_without_a_run_has_no_value(waiting: Scene) -> None:
    """And says that none has closed; the one that is open is counted as such."""
    said = lifeos(waiting.folder, "metrics", "--since", "begin")
    assert "0 runs closed, 0 landed, 1 open at the end" in said.out
    assert "no run has closed yet" in said.out
    data = numbers(waiting)
    assert {one["value"] for one in data["window"]["metrics"]} == {None}
    assert data["last_closed"] is None


def test_a_ledger_that_has_rested_says_what_to_type(done: Scene) -> None:
    """The window stays the one that was asked for; the command that is named shows the last run."""
    closed = numbers(done)["last_closed"]
    for options in ((), ("--which", "without_ceo"), ("--by", "week"), ("--at", "lifeos/ledger")):
        said = lifeos(done.folder, "metrics", "--since", "2d", *options)
        if "--at" in options:  # the last transition is the end of that run
            assert "1 run closed" in said.out
            continue
        assert "0 runs closed, 0 landed, 0 open at the end" in said.out
        assert f"the last one did on {minute(closed)} UTC" in said.out
        (command,) = re.findall(r"^the numbers up to then: lifeos (.*)$", said.out, re.MULTILINE)
        assert "1 run closed, 1 landed" in lifeos(done.folder, *command.split()).out
    data = lifeos(done.folder, "metrics", "--json").data("metrics")
    assert (data["window"]["closed"], data["last_closed"]) == ([], closed)
    assert data["window"]["until"] - data["window"]["since"] == 30 * 86_400
    before = lifeos(done.folder, "metrics", "--until", "2024-06-01", "--since", "1d").out
    (command,) = re.findall(r"^all that is known: lifeos (.*)$", before, re.MULTILINE)
    assert "1 run closed, 1 landed" in lifeos(done.folder, *command.split()).out


def test_at_an_earlier_time_only_what_was_known_then_counts(done: Scene) -> None:
    """Before its last transition the run was open."""
    assert numbers(done, "--at", "lifeos/ledger~1")["window"]["closed"] == []
    now = numbers(done, "--at", "lifeos/ledger")
    assert len(now["window"]["closed"]) == 1
    assert now["ledger"] == done.tip()
    assert "nothing had happened" in lifeos(done.folder, "metrics", "--at", "1999-01-01").err


def test_any_clone_gives_the_same_numbers(done: Scene, tmp_path: Path) -> None:
    """Also one without a work tree; one that has the ledger only as its origin's says how to get
    it.
    """
    here = numbers(done, "--at", done.tip())
    done.git("clone", "--quiet", "--bare", str(done.folder), str(tmp_path / "bare"))
    done.git("clone", "--quiet", str(done.folder), str(tmp_path / "clone"))
    said = lifeos(tmp_path / "clone", "metrics")
    assert (said.code, "git branch lifeos/ledger origin/lifeos/ledger" in said.err) == (2, True)
    done.git("branch", "lifeos/ledger", "origin/lifeos/ledger", cwd=tmp_path / "clone")
    for name in ("bare", "clone"):
        there = Scene(tmp_path / name, done.now)
        assert canonical_json(numbers(there, "--at", done.tip())) == canonical_json(here)


def test_half_a_history_is_refused(done: Scene, tmp_path: Path) -> None:
    """A shallow clone would give wrong numbers; it says how to get the rest."""
    url = done.folder.as_uri()
    branch = ("--depth=3", "--branch=lifeos/ledger")
    done.git("clone", "--quiet", *branch, url, str(tmp_path / "shallow"))
    said = lifeos(tmp_path / "shallow", "metrics")
    assert said.code == 2
    assert "git fetch --unshallow" in said.err


def test_a_limit_that_is_not_kept_is_exit_1(done: Scene) -> None:
    """What is beyond, and what could not be measured, is said; the table is the same."""
    window = ("metrics", "--since", "begin")
    plain = lifeos(done.folder, *window)
    assert plain.code == 0
    kept = lifeos(done.folder, *window, "--fail-over", "escalations=0%")
    assert (kept.code, kept.err) == (0, "")
    said = lifeos(done.folder, *window, "--fail-under", "without_ceo=50%")
    assert said.code == 1
    assert "without_ceo is 0.0 %, under its limit of 50.0 %" in said.err
    nothing = lifeos(done.folder, *window, "--fail-over", "bypasses=10%")
    assert nothing.code == 0
    assert "bypasses: nothing to measure" in nothing.err
    data = lifeos(done.folder, *window, "--json", "--fail-under", "without_ceo=0.5").data("metrics")
    assert [(one["name"], one["kept"]) for one in data["limits"]] == [("without_ceo", False)]
    assert lifeos(done.folder, *window, "--fail-over", "nothing=1").code == 2


def test_months_are_one_line_each(done: Scene) -> None:
    """The header of each table names its numbers; the month of the run has its value."""
    said = lifeos(done.folder, "metrics", "--since", "begin", "--by", "month", "--all").out
    first = done.git("log", "--format=%cs", "-1", "lifeos/ledger")
    assert len(re.findall(rf"^{first}  +1  ", said, re.MULTILINE)) == 3
    assert said.count("FROM") == 3


@pytest.mark.parametrize(
    "options",
    [
        ("--since", "999999w"),
        ("--until", "9999-12-31"),
        ("--since", "0001-01-01", "--until", "9999-12-31", "--by", "week"),
        ("--since", "3000d", "--until", "2000d"),
        ("--until", "0001-01-01"),
    ],
)
def test_a_window_is_as_long_as_anything_is_known(done: Scene, options: tuple[str, ...]) -> None:
    """It does not end after now, and weeks before the ledger began are not shown."""
    data = lifeos(done.folder, "metrics", "--json", *options).data("metrics")
    window = data["window"]
    assert 0 <= window["since"] < window["until"] <= time.time() + 1
    if "--by" in options:
        assert data["periods"][0]["since"] > window["since"]
        assert lifeos(done.folder, "metrics", *options).out.count("2025-01") >= 1


@pytest.mark.parametrize(
    "options",
    [
        ("--since", "soon"),
        ("--since", "2026-11-02", "--until", "2026-11-01"),
        ("--at", "nothing"),
        ("--by", "year"),
        ("--since", "2026-02-30"),
    ],
)
def test_nonsense_is_refused(done: Scene, options: tuple[str, ...]) -> None:
    """Exit 2, and nothing is printed that looks like a result."""
    said = lifeos(done.folder, "metrics", *options)
    assert (said.code, said.out) == (2, "")


def test_it_changes_nothing_but_its_own_memory(done: Scene) -> None:
    """No reference, no file of the person's."""
    before = done.git("for-each-ref"), done.git("status", "--porcelain")
    numbers(done)
    assert (done.git("for-each-ref"), done.git("status", "--porcelain")) == before
    assert (done.folder / ".git/lifeos/cache/chronicle").exists()
