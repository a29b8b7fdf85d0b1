"""Whether rules ask, check or limit less: every setting, in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lifeos.core.improve.gates import TABLE, direction, weaker
from lifeos.core.improve.prompting import HINTS, about_failure, about_schema, with_paragraph
from lifeos.core.policy import Governance
from story import rules

BASE = rules(
    checkpoints=[
        {"name": "docs", "stage": "build_review", "paths": ["docs/**"], "lines": 10},
        {"name": "risky", "stage": "packet", "risk": "medium"},
    ]
)


def with_setting(name: str, value: Any, base: Governance = BASE) -> Governance:
    """The set with one setting changed."""
    values = base.model_dump(mode="json")
    *groups, key = name.split(".")
    place: Any = values
    for group in groups:
        place = place[int(group)] if group.isdecimal() else place[group]
    place[int(key) if key.isdecimal() else key] = value
    return Governance.model_validate(values)


def test_the_same_rules_weaken_nothing() -> None:
    """Nor does a set that differs in nothing but its digest."""
    assert weaker(BASE, BASE) == ()
    assert weaker(BASE, BASE.model_copy(update={"digest": "other"})) == ()


@pytest.mark.parametrize(
    ("setting", "weak", "strict"),
    [
        ("loop.budgets.tokens_per_run", 3_000_000, 1_000_000),
        ("loop.budgets.cost_per_day", 60.0, 40.0),
        ("loop.progress.same_tree", 3, None),
        ("loop.progress.oscillation", False, True),
        ("loop.waivers.classes", ["test_failure", "test_flake", "typo"], ["test_flake"]),
        ("loop.bypass.lines", 60, 40),
        ("loop.routing.lint_error.retries", 4, 2),
        ("loop.routing.unknown.then", "terminate", "escalate"),
        ("loop.autonomy", "exceptions", "supervised"),
        ("loop.recheck", "overlap", "always"),
        ("loop.checkpoints.0.lines", 20, 5),
        ("loop.checkpoints.0.lines", 20, None),
        ("loop.checkpoints.0.paths", ["docs/a.md"], ["docs/**", "src/**"]),
        ("loop.checkpoints.0.paths", ["src/**"], []),
        ("loop.checkpoints.1.risk", "high", "low"),
        ("loop.checkpoints.0.stage", "packet", None),
        ("council.modes.M1", ["chair"], ["chair", "co_chair", "architect", "risk", "governance"]),
        ("council.technical_for_code", False, True),
        ("council.large_lines", 300, 100),
        ("council.classify", [], None),
        ("envelope.leftovers", ["src/**"], ["**/*.pyc"]),
        ("envelope.protect", ["policies/**"], None),
        ("envelope.secrets", False, True),
        ("envelope.fake_secrets", ["tests/**"], []),
        ("envelope.agent.unknown_price", "estimate", "refuse"),
        ("envelope.agent.transcript_kb", 10, 500),
        ("envelope.limits.seconds", 3600, 60),
        ("approvals.trust", "commit", "commit"),
        ("approvals.expiry.hours", 200, 100),
        ("approvals.approvers", [{"name": "Eve", "email": "eve@example.org"}], []),
        ("config.sandbox", "none", "bwrap"),
        ("config.checks", [], None),
        ("config.checks.0.run", "true # and nothing", None),
        ("config.checks.0.timeout", 900, 300),
        ("config.checks.0.reruns", 2, 0),
        ("config.checks.0.kind", "lint", None),
        ("config.main", "other", None),
    ],
)
def test_each_kind_of_setting_in_both_directions(setting: str, weak: Any, strict: Any) -> None:
    """What weakens is said, with the setting's name; what tightens is not called so."""
    said = weaker(BASE, with_setting(setting, weak))
    if weak != strict:
        assert said, f"{setting} to {weak} weakens"
    if strict is not None:
        assert weaker(BASE, with_setting(setting, strict)) == ()


def test_patterns_are_compared_by_what_they_stand_for() -> None:
    """A narrower one among those that may be written is stricter, a wider one that protects too."""
    narrow = with_setting("envelope.write", ["src/**"])
    assert weaker(BASE, narrow) == ()
    assert weaker(narrow, BASE)
    assert weaker(narrow, with_setting("envelope.write", ["src/a/**"])) == ()
    kept = [*BASE.envelope.protect[1:], "**/policies/**"]
    assert weaker(BASE, with_setting("envelope.protect", kept)) == ()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("loop.budgets.open_runs", 9),
        ("loop.tasks_per_tick", 99),
        ("loop.lease.seconds", 9999),
        ("loop.improve.after", 20),
        ("config.checks.0.fast", False),
        ("config.notify.digest.hour", 3),
    ],
)
def test_what_is_no_gate_is_not_called_one(setting: str, value: Any) -> None:
    """How many at a time, when a check runs, and who is told when."""
    assert weaker(BASE, with_setting(setting, value)) == ()


def settings(value: Any, name: str = "") -> Iterator[str]:
    """The names of all settings of a set."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from settings(each, f"{name}.{key}" if name else key)
    else:
        yield name


def test_every_line_of_the_table_is_of_a_setting() -> None:
    """A setting that is renamed would fall back to "may be weaker": loud, but wrong."""
    values = BASE.model_dump(mode="json")
    names = set(settings({key: each for key, each in values.items() if key != "digest"}))
    for line in TABLE:
        assert any(name == line or name.startswith(f"{line}.") for name in names), line


def test_a_setting_that_nobody_thought_of_counts_as_a_gate() -> None:
    """The default is to say so."""
    assert direction("loop.brand_new").name == "OTHER"
    assert weaker(BASE, with_setting("config.id_prefix", "XX"))


SHIPPED = {"seat_risk": "You are the risk.\n", "builder": "You build.\n"}


def told(**prompts: str) -> Governance:
    """The set with prompts of its own."""
    return BASE.model_copy(update={"prompts": prompts})


def test_what_a_reviewer_is_told_is_a_gate() -> None:
    """Any other text may make it milder; that of a builder judges nothing."""
    assert weaker(told(), told(seat_risk="Accept.\n"), SHIPPED)
    assert weaker(told(seat_risk="You are strict.\n"), told(), SHIPPED)
    assert weaker(told(), told(builder="Anything.\n"), SHIPPED) == ()


@pytest.mark.parametrize(
    "paragraph", [about_schema(), *(about_failure(f, area) for f in HINTS for area in ("", "src"))]
)
def test_the_paragraphs_that_lifeos_knows_are_none(paragraph: str) -> None:
    """One of them more, at the end, and nothing else; also after one that is there already."""
    once = with_paragraph(SHIPPED["seat_risk"], paragraph)
    twice = with_paragraph(once, about_schema())
    assert weaker(told(), told(seat_risk=once), SHIPPED) == ()
    assert weaker(told(seat_risk=once), told(seat_risk=twice), SHIPPED) == ()
    for other in (
        once.replace("You are the risk", "You accept"),
        f"{once}Accept everything.\n",
        with_paragraph(SHIPPED["seat_risk"], f"{paragraph} Accept everything."),
    ):
        assert weaker(told(), told(seat_risk=other), SHIPPED)
