"""Back-tests of the shipped past, held against its story: what was planned and who said what.

Nothing here is computed from what lifeos reads back: each expectation is counted from the plan.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from command_line import Project
from lifeos.core.backtest import BackTest, Balance, Departure, ReplacedBy
from lifeos.core.policy import Governance
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.tried import tried
from past_scene import Asked, Attempt, Run, past, story

D = Departure
HOUR = 3600
BOB = "bob@example.invalid"
Told = Counter[tuple[str, Departure]]
"""How often which run would have gone otherwise, and how."""


@cache
def repository() -> Path:
    """The past, which no test here changes."""
    return past(Path(tempfile.mkdtemp(prefix="lifeos-backtest-"))).folder


def under(instead: ReplacedBy) -> BackTest:
    """The past, with something else in the place of each set that ruled."""
    with Repo.open(repository()) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        return tried(ledger, instead)


def with_(settings: Mapping[str, Any]) -> ReplacedBy:
    """The same rules, in each era, with these settings: ``{"loop.autonomy": "full"}``."""

    def instead(recorded: Governance) -> Governance:
        values = recorded.model_dump(mode="json")
        for name, value in settings.items():
            *groups, key = name.split(".")
            place = values
            for group in groups:
                place = place[group]
            assert key in place, name
            place[key] = value
        return Governance.model_validate({**values, "digest": "other"})

    return instead


def told(found: BackTest) -> Told:
    """What was found."""
    return Counter((one.run, one.departure) for one in found.differences)


def planned(expected: Callable[[Run], Iterable[Departure]]) -> Told:
    """What the story leads to expect of each run."""
    return Counter((run.run, one) for run in story().runs for one in expected(run))


def landed(run: Run) -> bool:
    """Whether its work is on main still."""
    return run.outcome == "pass" and not run.reverted


# --- nothing is otherwise ---------------------------------------------------------------------


@pytest.mark.parametrize("digest", ["", "again"])
def test_each_run_under_its_own_rules_goes_as_it_went(digest: str) -> None:
    """Also where all is decided again, because the set has another name."""
    found = under(
        lambda recorded: recorded.model_copy(update={"digest": digest or recorded.digest})
    )
    assert (found.differences, found.unknown, found.parted) == ((), (), 0)
    assert found.runs == found.same == len(story().runs)
    assert found.attempts >= sum(len(run.attempts) for run in story().runs) - 1
    assert found.balance == Balance()


# --- nobody is asked before landing -----------------------------------------------------------


def unasked(run: Run) -> Iterable[Departure]:
    """What becomes of the questions that only autonomy asked, if nobody is asked any more."""
    for asked in run.questions:
        if not asked.rule.startswith("autonomy:"):
            continue
        if asked.decision == "superseded":
            continue  # asked anew, and waited for from the first time on
        if asked.decision in ("approve", "approve_last"):
            yield D.NOT_ASKED
            continue
        yield {"reject": D.LANDED_ALTHOUGH_REJECTED, "revise": D.LANDED_ALTHOUGH_REVISED}.get(
            asked.decision, D.NOT_ASKED_UNANSWERED
        )
        return  # it would have landed here


def test_full_autonomy_lets_in_what_was_rejected() -> None:
    """Each no, and each yes, of each run; the waiting for all the yeses is saved, to the second."""
    found = under(with_({"loop.autonomy": "full"}))
    assert told(found) == planned(unasked)
    counts = Counter(one.departure for one in found.differences)
    assert counts[D.LANDED_ALTHOUGH_REJECTED] == 4
    assert {one.run for one in found.weaker} == {
        run.run for run in story().runs if run.kind in ("land_reject", "land_revise")
    }
    waited = 0
    for run in story().runs:
        began: int | None = None
        for asked, what in zip(_only_autonomy(run), unasked(run), strict=False):
            began = asked.asked_at
            if what is D.NOT_ASKED and asked.answered_at is not None:
                waited += asked.answered_at - began
    superseded = [
        (first, then)
        for run in story().runs
        for first, then in zip(run.questions, run.questions[1:], strict=False)
        if first.decision == "superseded"
    ]
    waited += sum(then.asked_at - first.asked_at for first, then in superseded)
    assert found.balance.waiting_less == waited


def _only_autonomy(run: Run) -> list[Asked]:
    return [
        asked
        for asked in run.questions
        if asked.rule.startswith("autonomy:") and asked.decision != "superseded"
    ]


def test_exceptions_from_the_beginning_would_have_asked_less_in_the_first_weeks() -> None:
    """What autonomy asked in the supervised weeks is asked still of exceptional runs alone."""
    found = under(with_({"loop.autonomy": "exceptions"}))
    risks = {task.task: task.risk for task in story().tasks}

    def expected(run: Run) -> Iterable[Departure]:
        exceptional = risks[run.task] == "high"
        for asked in run.questions:
            if asked.kind in ("waiver", "breach", "escalation") and asked.rule != "task_changed":
                exceptional = True
            if asked.rule != "autonomy:supervised" or asked.decision == "superseded":
                continue
            if exceptional:
                yield D.OTHER_RULE
                continue
            yield from list(unasked(run))[:1]
            if asked.decision != "approve":
                return

    assert told(found) == planned(expected)


def test_more_supervision_would_have_asked_of_what_landed_by_itself() -> None:
    """Every run that landed without the question; four of them were taken back later."""
    found = under(with_({"loop.autonomy": "supervised"}))

    def expected(run: Run) -> Iterable[Departure]:
        asked = [
            one for one in run.questions if one.stage == "close" and one.kind == "stage_review"
        ]
        for one in asked:
            if one.rule == "autonomy:exceptions":
                yield D.OTHER_RULE
        if not asked and run.outcome == "pass":
            yield D.ASKED_AND_REVERTED if run.reverted else D.ASKED

    assert told(found) == planned(expected)
    assert found.balance.questions_more == sum(
        count for (_, kind), count in told(found).items() if kind is not D.OTHER_RULE
    )


# --- checkpoints ------------------------------------------------------------------------------


def test_without_the_checkpoint_of_payments() -> None:
    """Four refused, four sent back there; where landing is asked anyway nothing is weaker."""
    points = [
        {"name": "docs-wording", "stage": "design_review", "paths": ["docs/guide.md"]},
        {"name": "infra", "stage": "build_review", "paths": ["infra/**"]},
    ]
    found = under(with_({"loop.checkpoints": points}))

    def expected(run: Run) -> Iterable[Departure]:
        for asked in run.questions:
            if asked.rule == "checkpoint:payments":
                yield {
                    "approve": D.NOT_ASKED,
                    "reject": D.WENT_ON_ALTHOUGH_REJECTED,
                    "revise": D.WENT_ON_ALTHOUGH_REVISED,
                }.get(asked.decision, D.NOT_ASKED_UNANSWERED)
                if asked.decision != "approve":
                    return

    assert told(found) == planned(expected)
    first_era = min(event.at for event in story().events if event.what == "governance")
    opened = {run.run: run.opened_at for run in story().runs}
    assert found.weaker
    assert all(opened[one.run] >= first_era for one in found.weaker)


# --- failures ---------------------------------------------------------------------------------


def first(run: Run, outcome: str, count: int = 1) -> int | None:
    """The place of its attempt that ended so for that time, or None."""
    places = [place for place, one in enumerate(run.attempts) if one.outcome == outcome]
    return places[count - 1] if len(places) >= count else None


def test_ending_at_the_first_lint_error_would_have_lost_what_landed() -> None:
    """Each run with a red lint check ends there; its later attempts and their cost are saved."""
    route = {"retries": 0, "backoff": 0, "then": "terminate"}
    found = under(with_({"loop.routing.lint_error": route}))

    def expected(run: Run) -> Iterable[Departure]:
        if first(run, "lint_error") is not None:
            yield D.ENDED_ALTHOUGH_LANDED if landed(run) else D.TERMINATED

    assert told(found) == planned(expected)
    later: list[Attempt] = []
    for run in story().runs:
        place = first(run, "lint_error")
        later += run.attempts[place + 1 :] if place is not None else ()
    balance = found.balance
    assert balance.attempts_less == len(later)
    assert balance.cost_less == pytest.approx(sum(one.cost for one in later), abs=0.001)
    assert balance.tokens_less == sum(one.tokens for one in later)
    assert found.parted == 0


def test_one_more_try_at_red_tests_would_have_come_before_the_question() -> None:
    """Waivers that were asked after three tries: answered yes, no, or not yet."""
    route = {"retries": 4, "backoff": 0, "then": "waive"}
    found = under(with_({"loop.routing.test_failure": route}))

    def expected(run: Run) -> Iterable[Departure]:
        for asked in run.questions:
            if asked.rule == "exhausted:test_failure":
                yield {"approve": D.RETRIED, "reject": D.WENT_ON_ALTHOUGH_REJECTED}.get(
                    asked.decision, D.NOT_ASKED_UNANSWERED
                )

    assert told(found) == planned(expected)


def test_fewer_tries_would_have_asked_for_a_waiver_sooner() -> None:
    """`retries: 1`: every run whose tests were red twice."""
    route = {"retries": 1, "backoff": 0, "then": "waive"}
    found = under(with_({"loop.routing.test_failure": route}))
    assert told(found) == planned(
        lambda run: [D.WAIVER_ASKED] if first(run, "test_failure", 2) is not None else []
    )


# --- money, answers, council --------------------------------------------------------------------


def test_a_smaller_budget_of_tokens_would_have_been_met_in_the_middle_of_an_attempt() -> None:
    """200,000 instead of 400,000: the attempt that went beyond would have been ended before.

    One that went beyond both was ended as it was, and granted once more. After that the smaller
    budget is used up already, and asked for before the next attempt.
    """
    found = under(with_({"loop.budgets.tokens_per_run": 200_000}))

    def expected(run: Run) -> Iterable[Departure]:
        used, granted, grants = 0, 0, 0  # of the 400,000, and of the 200,000
        for one in run.attempts:
            while used > 200_000 * (1 + grants):
                grants += 1
                yield D.BUDGET_MET
            within, beyond = 400_000 * (1 + granted) - used, 200_000 * (1 + grants) - used
            if beyond < one.tokens <= within:
                yield D.LIMIT_MET
                return
            used += one.tokens
            if used > 400_000 * (1 + granted):
                granted, grants = granted + 1, grants + 1

    assert told(found) == planned(expected)
    kinds = {kind for _, kind in told(found)}
    assert kinds == {D.BUDGET_MET, D.LIMIT_MET}


def test_a_larger_budget_of_tokens_would_not_have_been_met() -> None:
    """What was granted needed no grant; what was refused would have been spent."""
    found = under(with_({"loop.budgets.tokens_per_run": 2_000_000}))

    def expected(run: Run) -> Iterable[Departure]:
        for asked in run.questions:
            if asked.kind == "budget":
                yield {
                    "approve": D.BUDGET_NOT_MET,
                    "reject": D.WENT_ON_ALTHOUGH_REJECTED,
                }.get(asked.decision, D.NOT_ASKED_UNANSWERED)

    assert told(found) == planned(expected)


def _first_answer(run: Run, void: Callable[[Asked], bool]) -> list[Departure]:
    """One departure, if an answer of a person would have had no effect."""
    answers = [
        one
        for one in run.questions
        if one.decision in ("approve", "revise", "reject", "approve_last")
    ]
    return [D.ANSWER_NOT_COUNTED] if any(map(void, answers)) else []


def test_without_bob_his_answers_would_not_have_counted() -> None:
    """The first of them in each run; and his two yeses to new rules."""
    ada = [{"name": "Ada", "email": "ada@example.invalid"}]
    found = under(with_({"approvals.approvers": ada}))
    expected = planned(lambda run: _first_answer(run, lambda one: one.who == BOB))
    answered = [event for event in story().events if event.item and event.who == BOB]
    expected[("", D.ANSWER_NOT_COUNTED)] = len(answered)
    assert told(found) == expected
    assert {one.item for one in found.differences if not one.run} == {
        event.item for event in answered
    }


def test_with_less_time_some_answers_would_have_been_too_late() -> None:
    """The first answer of each run that took four hours or longer, and was no rejection."""
    found = under(with_({"approvals.expiry.hours": 4}))

    def late(run: Run) -> Iterable[Departure]:
        for one in run.questions:
            if one.answered_at is None or one.decision == "reject":
                continue
            if one.decision == "expire":
                return []
            if one.answered_at - one.asked_at >= 4 * HOUR:
                return [D.ANSWER_TOO_LATE]
        return []

    by_run = Counter({key: n for key, n in told(found).items() if key[0]})
    assert by_run == planned(late)
    assert by_run


def test_a_tag_that_is_not_grave_any_more_makes_councils_smaller() -> None:
    """Each run of a task with the tag; with models, what another council says is not known."""
    rules = [
        {
            "paths": ["docs/**", "*.md"],
            "change_class": "docs",
            "blast_radius": "local",
            "reversibility": "easy",
            "uncertainty": "low",
        },
        {"paths": [".github/**"], "change_class": "config", "touches": ["governance"]},
        {"paths": ["src/shop/pay.py"], "uncertainty": "high"},
        {"paths": ["migrations/**"], "reversibility": "hard", "blast_radius": "system"},
    ]
    found = under(with_({"council.classify": rules}))
    tagged = {task.task for task in story().tasks if "safety" in task.tags}
    assert tagged
    expected = planned(lambda run: [D.COUNCIL_SMALLER] if run.task in tagged else [])
    assert told(found) == expected
    assert found.parted == sum(expected.values())


# --- the command ------------------------------------------------------------------------------


def test_the_same_by_the_command(tmp_path: Path) -> None:
    """The changed file alone, on a clone of the bundle: the numbers above, and exit 1 if asked."""
    scene = past(tmp_path)
    project = Project(scene.folder, scene.now)
    text = (scene.folder / "policies/loop.yaml").read_text(encoding="utf-8")
    project.write(
        {"policies/loop.yaml": text.replace("\nautonomy: exceptions", "\nautonomy: full")}
    )
    said = project.cli("backtest", "--json", "--fail-on-weaker", code=1)
    data = json.loads(said.out)["data"]
    counts = Counter(one["departure"] for one in data["found"]["differences"])
    assert counts == Counter(
        kind.value for (_, kind), n in planned(unasked).items() for _ in range(n)
    )
    lines = project.cli("backtest").out.splitlines()
    assert any("4  tasks that you rejected would have landed by themselves" in one for one in lines)


def test_the_page_shows_this_past(tmp_path: Path) -> None:
    """What docs/backtest.md prints is what its commands print on the shipped past."""
    page = (Path(__file__).parents[1] / "docs" / "backtest.md").read_text(encoding="utf-8")
    scene = past(tmp_path)
    project = Project(scene.folder, scene.now)
    text = (scene.folder / "policies/loop.yaml").read_text(encoding="utf-8")
    full = text.replace("\nautonomy: exceptions", "\nautonomy: full")
    project.write({"try/loop.yaml": full})
    said = project.cli("backtest", "--policies", "try").out
    assert f"```text\n{said}```" in page, said
