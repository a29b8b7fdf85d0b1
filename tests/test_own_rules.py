"""lifeos is its own first user: its rules are what init writes, its backlog can be worked on."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifeos.core.backlog.parse import parse
from lifeos.core.codeowners import drift, place_of, unknown, with_block
from lifeos.core.policy import FILES, Governance, is_governance
from lifeos.governance import load_set
from lifeos.initial import render_init

ROOT = Path(__file__).parents[1]
WHO = ("The maintainers", "maintainers@lifeos.invalid")


@pytest.mark.parametrize("path", [path for path in FILES if path.startswith("policies/")])
def test_the_policies_are_what_init_writes(path: str) -> None:
    """A template that changes takes the project's own file with it."""
    assert (ROOT / path).read_bytes() == render_init(*WHO, "main", ())[path]


def own_rules() -> Governance:
    """The project's rules, from the files as they are."""
    paths = [path for top in ("policies", ".lifeos") for path in (ROOT / top).rglob("*")]
    files = {
        name: path.read_bytes()
        for path in paths
        if path.is_file() and is_governance(name := path.relative_to(ROOT).as_posix())
    }
    loaded = load_set(files)
    assert loaded.problems == ()
    assert loaded.governance is not None
    return loaded.governance


def test_the_rules_can_be_adopted() -> None:
    """The whole set has no problem, and the project's tests judge the work."""
    assert [check.name for check in own_rules().config.checks] == ["tests"]


def test_the_code_owners_follow_from_the_approvers() -> None:
    """What `lifeos init --github` writes; and that a placeholder owns nothing is said."""
    approvers, place = own_rules().approvals.approvers, place_of([".github/CODEOWNERS"])
    there = (ROOT / place).read_text(encoding="utf-8")
    assert there == with_block("", approvers, place)
    assert drift(there, approvers, place) == ""
    assert "maintainers@lifeos.invalid, which no account has" in unknown(there, approvers)


def test_the_backlog_can_be_worked_on() -> None:
    """Every task has an id and a scope, and nothing is wrong with any."""
    backlog = parse((ROOT / "BACKLOG.md").read_bytes())
    assert (backlog.problems, backlog.warnings) == ((), ())
    assert all(task.id and task.scope for task in backlog.tasks)
