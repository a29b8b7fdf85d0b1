"""The numbers in any world: what must hold of them, and the same computed by somebody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from random import Random

import pytest

from lifeos.core.chronicle import chronicle_of
from lifeos.core.metrics.measure import Period, begin_of, measure, periods
from lifeos.core.metrics.values import Metric, Unit, Window
from lifeos.core.records import (
    AnyRecord,
    AttemptFacts,
    CheckFact,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
    to_json,
)
from lifeos.core.state import Success
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    FailureClass,
    ItemKind,
    Stage,
    Usage,
    Verdict,
)
from metrics_again import Number, numbers
from pasts import MONDAY
from simulation import World
from test_metrics import NAMES, named, parts

SEEDS = range(16)


# --- in any world -------------------------------------------------------------------------------

_BY_TASK = {"cost_per_landed", "tokens_per_landed", "attempts_per_task"}


@cache
def lived(seed: int) -> tuple[tuple[str, AnyRecord], ...]:
    """The ledger of one world, each transition with a commit of its own."""
    world = World(seed)
    world.live(ticks=20)
    return tuple((f"{number:040x}", record) for number, record in enumerate(world.records, 1))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_months_come_to_the_whole(seed: int) -> None:
    """Each run is in one of them, each question too; only tasks may be in several."""
    chronicle = chronicle_of(lived(seed))
    since, until = begin_of(chronicle), chronicle.at + 1
    whole = measure(chronicle, since, until, every=True)
    for by in Period:
        cut = [measure(chronicle, *one, every=True) for one in periods(since, until, by)]
        assert sum(len(one.closed) for one in cut) == len(whole.closed)
        assert sum(one.landed for one in cut) == whole.landed
        for metric in whole.metrics:
            same = [named(one, metric.name) for one in cut]
            assert sum(one.numerator for one in same) == pytest.approx(metric.numerator)
            of = sum(one.denominator for one in same)
            if metric.name in _BY_TASK:
                assert of >= metric.denominator
            else:
                assert of == metric.denominator, metric.name


@pytest.mark.parametrize("seed", SEEDS)
def test_the_numbers_hang_together(seed: int) -> None:
    """Shares are shares; who is counted closed in the window or was asked in it."""
    chronicle = chronicle_of(lived(seed))
    window = measure(chronicle, 0, chronicle.at + 1, every=True)
    known = {one.id for one in chronicle.runs}
    for metric in window.metrics:
        for one in (metric, *metric.parts):
            assert (one.value is None) == (one.denominator == 0)
            assert set(one.runs) <= known
            if metric.unit is Unit.SHARE:
                assert 0 <= one.numerator <= one.denominator
        if not metric.items:
            assert set(metric.runs) <= set(window.closed)
    assert Window.model_validate_json(window.model_dump_json()) == window


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_continued_gives_the_same_numbers(seed: int) -> None:
    """Kept at any point and gone on with, as if all had been read at once."""
    pairs = lived(seed)
    for cut in (1, len(pairs) // 2, len(pairs) - 1):
        kept = chronicle_of(pairs[cut:], chronicle_of(pairs[:cut]))
        until = kept.at + 1
        assert measure(kept, 0, until, every=True) == measure(
            chronicle_of(pairs), 0, until, every=True
        )


# --- computed once more -------------------------------------------------------------------------


def invented(seed: int) -> tuple[tuple[str, AnyRecord], ...]:
    """A ledger that no machine would write, in which whatever can be counted happens often.

    The numbers believe what is recorded; whether it was possible is not their business.
    """
    rng = Random(seed)  # noqa: S311 - chance that can be repeated is the point
    records: list[AnyRecord] = [Noted(at=MONDAY, topic=Topic.GENESIS, digest="d")]
    landed: list[str] = []

    def now() -> int:
        return records[-1].at + rng.choice((0, 3, 9, 10, 11, 600, 7200))

    for number in range(40):
        name, task = f"R-{number:08d}", f"LO-{rng.randint(0, 25):06d}"
        named = rng.choice((*landed[-3:], task, "LO-nobody"))
        title = rng.choice(("Do it", f"Fix {named}", f"Revert {named}.", f"More of {named}"))
        tags = rng.choice(((), ("api",), ("bug",), ("Regression", "api")))
        records.append(opened(now(), name, task, title, tags))
        for _ in range(rng.randint(0, 9)):
            records.append(ended(now(), name, rng))
            if rng.random() < 0.3:
                records += asked(now, name, len(records), rng)
        if rng.random() < 0.2:
            records += asked(now, None, len(records), rng)
        if rng.random() < 0.9:
            outcome = rng.choice((CloseOutcome.PASS, CloseOutcome.PASS, *CloseOutcome))
            records.append(Closed(at=now(), run=name, outcome=outcome))
            landed += [name, task] if outcome is CloseOutcome.PASS else []
        if landed and rng.random() < 0.15:
            reverted = rng.choice([one for one in landed if one.startswith("R-")])
            records.append(
                Noted(at=now(), topic=Topic.REVERTED, run=reverted, commit=f"back {number}")
            )
    return tuple((f"{number:040x}", record) for number, record in enumerate(records, 1))


def opened(at: int, run_: str, task: str, title: str, tags: tuple[str, ...]) -> Opened:
    return Opened(
        at=at,
        run=run_,
        task=task,
        title=title,
        tags=tags,
        task_digest="d",
        ordinal=1,
        base="b",
        governance="g",
    )


def ended(at: int, run_: str, rng: Random) -> Finished:
    """An attempt with any outcome, at any stage, for any reason."""
    checks = tuple(
        CheckFact(name=name, status="done", failure=rng.choice((None, *FailureClass)))
        for name in rng.sample(("unit", "slow", "lint"), rng.randint(0, 3))
    )
    outcome = rng.choice((Success.OK, *Verdict, *FailureClass, FailureClass.TEST_FLAKE))
    rule = rng.choice(("success", "bypass", "retries_left", "budget:cost_per_run", "budget:tokens"))
    usage = Usage(tokens=rng.randint(0, 9), cost=rng.choice((0.0, 0.25, 1.5)))
    return Finished(
        at=at,
        run=run_,
        stage=rng.choice(tuple(Stage)),
        n=1,
        nonce="n",
        facts=AttemptFacts(outcome=outcome, checks=checks, usage=usage),
        action=rng.choice(tuple(Action)),
        rule=rule,
        to=Stage.BUILD,
    )


def asked(now: Callable[[], int], run_: str | None, number: int, rng: Random) -> list[AnyRecord]:
    """A question, and an answer to most."""
    apart = (ItemKind.GOVERNANCE, ItemKind.PROPOSAL)
    kinds = [kind for kind in ItemKind if (kind in apart) is (run_ is None)]
    kind, at, item = rng.choice(kinds), now(), f"Q-{number}"
    rule = rng.choice(("budget:cost_per_day", "exhausted:lint_error", "ends_at_once:test_flake"))
    held = Held(
        at=at, item=item, item_kind=kind, run=run_, question="?", rule=rule, subject="s", about="a"
    )
    answer = Resolved(
        at=at + rng.choice((0, 9, 10, 500)),
        item=item,
        decision=rng.choice(tuple(Decision)),
        who=rng.choice(("ada@example.org", "ada@example.org", "expiry")),
    )
    return [held, answer] if rng.random() < 0.8 else [held]


@pytest.mark.parametrize("ledger", [lived, invented])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_number_is_what_somebody_else_computes(
    ledger: Callable[[int], tuple[tuple[str, AnyRecord], ...]], seed: int
) -> None:
    """Another reader of the same records, which knows nothing of lifeos: in any window the same
    numerator, denominator, value, median, runs, parts and links.
    """
    pairs = ledger(seed)
    records = [json.loads(to_json(record)) for _, record in pairs]
    chronicle = chronicle_of(pairs)
    begin, end = begin_of(chronicle), chronicle.at + 1
    cuts = [begin, begin + (end - begin) // 3, begin + (end - begin) // 2, end]
    for since, until in [(begin, end), *pairwise(cuts)]:
        window = measure(chronicle, since, until, every=True)
        again = numbers(records, since, until)
        assert set(again) == {one.name for one in window.metrics}
        for metric in window.metrics:
            assert_same(metric, again[metric.name])


def test_what_is_computed_twice_has_something_of_everything() -> None:
    """A number that was always nothing would be the same by anybody's reckoning."""
    windows = [measure(chronicle_of(invented(seed)), 0, MONDAY * 2, every=True) for seed in SEEDS]
    for name in NAMES:
        found = [named(window, name) for window in windows]
        assert sum(one.numerator for one in found) > len(SEEDS), name
        assert all(one.denominator for one in found), name
    links = {link.how for window in windows for link in named(window, "false_greens").links}
    assert links == {"reverted", "repaired"}


def assert_same(metric: Metric, other: Number) -> None:
    """All that is said of a number."""
    assert metric.numerator == pytest.approx(other.numerator), metric.name
    assert metric.denominator == other.denominator, metric.name
    assert metric.value == pytest.approx(other.value), metric.name
    assert metric.median == pytest.approx(other.median), metric.name
    assert set(metric.runs) == other.runs, metric.name
    assert parts(metric) == other.parts, metric.name  # whole numbers, all of them
    assert {(one.run, one.how, one.by) for one in metric.links} == other.links
