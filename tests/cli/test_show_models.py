"""``lifeos show`` where models worked: who, on what, for how much, why, and what the seats said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import EPOCH
from lifeos.core.canonical import sha256
from lifeos.core.council import Header
from lifeos.core.receipt import RECEIPTS, AgentFacts, PricedBy, RanFact, Receipt
from lifeos.core.records import AttemptFacts, Claimed, Finished, Opened
from lifeos.core.review import Finding, Review, SeatRun, Severity, Sitter
from lifeos.core.state import Success
from lifeos.model import Action, FailureClass, Mode, Stage, Usage, Verdict
from lifeos.store.entries import attempt_path
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.begin import begin
from lifeos.tick.context import World
from loop_scene import TASK, Scene, begin_scene
from told import lifeos

RUN = "R-aaaaaaaa"
MAIN = Sitter(name="main", provider="hosted", model="vendor/model", family="vendor")
OTHER = Sitter(name="other", provider="elsewhere", model="other/model", family="other")
KNOWN = "hunter2-hunter2-hunter2"


def receipt(sitter: Sitter, stage: Stage, cost: float, **more: Any) -> Receipt:
    """One call of 1,000 tokens in and 200 out."""
    return Receipt(
        provider=sitter.provider,
        model=sitter.model,
        stage=stage.value,
        started=EPOCH,
        ended=EPOCH + 2,
        status=more.pop("status", 200),
        tokens_in=1000,
        tokens_out=200,
        cost=cost,
        request="0" * 64,
        response="0" * 64,
        **more,
    )


def receipts(*calls: Receipt) -> dict[str, str]:
    """The artifact of these calls."""
    return {"receipts.json": RECEIPTS.dump_json(calls).decode()}


def worker(*ran: RanFact) -> dict[str, str]:
    """The artifact of an attempt by OpenCode."""
    facts = AgentFacts(
        agent="opencode",
        version="1.18.33",
        said_cost=0.61,
        said_tokens=4800,
        said_requests=2,
        model="main",
        provider="hosted",
        id="vendor/model",
        family="vendor",
        ran=ran,
    )
    return {"agent.json": facts.model_dump_json()}


def council(verdict: Verdict, *findings: Finding) -> dict[str, str]:
    """The artifact of a council of five, one of which gave no answer."""
    runs = [SeatRun(seat=f"seat_{n}", sitter=MAIN, verdict=verdict, rounds=1) for n in range(3)]
    runs.append(SeatRun(seat="risk", sitter=OTHER, verdict=Verdict.ACCEPT, rounds=2, tokens=900))
    runs.append(SeatRun(seat="governance", sitter=OTHER, missing="the provider refused"))
    review = Review(
        verdict=verdict,
        by="council",
        mode=Mode.M1,
        mode_reason="it changes code",
        header=Header(),
        findings=findings,
        seats=tuple(runs),
        seats_missing=("governance",),
        rule="blocking",
    )
    return {"review.json": review.model_dump_json()}


BAD = Finding(
    severity=Severity.P0,
    kind="correctness",
    message="the sum is wrong\x1b[2J for an empty list",
    path="src/sum.py",
    line=3,
    seats=("seat_0", "seat_2"),
)


class Story:
    """A run on a ledger of its own, one attempt after the other."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.n = 0
        with Repo.open(scene.folder) as repo:
            ledger = begin(repo, World(clock=scene.clock, nonce=scene.nonce))
            ledger.append(
                Opened(
                    at=scene.now,
                    run=RUN,
                    task=TASK,
                    title="Say hello",
                    task_digest="0" * 64,
                    ordinal=1,
                    base=scene.git("rev-parse", "main"),
                    governance=ledger.snapshot.governance,
                ),
                artifacts={f"runs/{RUN}/task.md": (b"one line " * 20 + b"\n") * 60},
            )
            ledger.save()

    def attempt(
        self,
        stage: Stage,
        outcome: Any,
        to: Stage,
        artifacts: Mapping[str, str],
        rule: str = "success",
        action: Action = Action.ADVANCE,
        **facts: Any,
    ) -> None:
        """One attempt, with what it left."""
        self.n += 1
        self.scene.now += 10
        with Repo.open(self.scene.folder) as repo:
            ledger = Ledger.open(repo)
            assert ledger is not None
            nonce = f"{self.n:032x}"
            now = self.scene.now
            ledger.append(
                Claimed(
                    at=now,
                    run=RUN,
                    stage=stage,
                    n=self.n,
                    nonce=nonce,
                    worker="1 1 - here",
                    lease_until=now + 100,
                    base=ledger.snapshot.runs[RUN].base,
                )
            )
            ledger.append(
                Finished(
                    at=now + 5,
                    run=RUN,
                    stage=stage,
                    n=self.n,
                    nonce=nonce,
                    facts=AttemptFacts(outcome=outcome, **facts),
                    action=action,
                    rule=rule,
                    to=to,
                    evidence={name: sha256(text) for name, text in artifacts.items()},
                ),
                artifacts={
                    f"{attempt_path(RUN, self.n)}/{name}": text.encode()
                    for name, text in artifacts.items()
                },
            )
            ledger.save()


@pytest.fixture
def modelled(tmp_path: Path) -> Path:
    """A run whose design came from a model, whose review was against it, and which tried again."""
    scene = begin_scene(tmp_path / "repo")
    story = Story(scene)
    design = {
        **worker(
            RanFact(command="pytest -q", status=1, seconds=2.34),
            RanFact(command="curl x", denied=True),
        ),
        **receipts(
            receipt(MAIN, Stage.DESIGN, 0.25),
            receipt(MAIN, Stage.DESIGN, 0.50, priced_by=PricedBy.ESTIMATE, counted=False),
        ),
        "design.md": f"# The design\n\x1b]0;title\x07password = '{KNOWN}'\n",
    }
    usage = Usage(seconds=3.5, tokens=2400, cost=0.75, requests=2)
    story.attempt(
        Stage.DESIGN, Success.OK, Stage.DESIGN_REVIEW, design, usage=usage, artifact="0" * 64
    )
    review = {
        **council(Verdict.REVISE, BAD),
        **receipts(*(receipt(who, Stage.DESIGN_REVIEW, 0.1) for who in (MAIN, OTHER))),
    }
    usage = Usage(seconds=9.0, tokens=2400, cost=0.2, requests=2)
    rework: dict[str, Any] = {"rule": "retries_left", "action": Action.REWORK}
    story.attempt(
        Stage.DESIGN_REVIEW,
        Verdict.REVISE,
        Stage.DESIGN,
        review,
        usage=usage,
        message="the sum is wrong",
        mode=Mode.M1,
        **rework,
    )
    refused = receipts(receipt(MAIN, Stage.DESIGN, 0, status=429, end="quota"))
    story.attempt(
        Stage.DESIGN,
        FailureClass.VALIDATION_ERROR,
        Stage.DESIGN,
        {**worker(), **refused, "feedback.md": "no answer fitted\n"},
        rule="retries_left",
        action=Action.RETRY,
        message="no answer fitted after 2 corrections",
        error="1" * 64,
        usage=Usage(seconds=1.0, tokens=1200, requests=1),
    )
    return scene.folder


def test_one_screen_tells_who_did_what_for_how_much_and_why(modelled: Path) -> None:
    """All of it in 100 columns and 45 lines, though the task has 60 lines of its own."""
    out = lifeos(modelled, "show").out
    lines = out.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    for wanted in (
        "$0.95, 6,000 tokens, 5 requests, 13.5 s of work",
        "vendor/model hosted 4 4,000 0 800 $0.85 config, estimate",
        "1 with an estimated cost, 1 with tokens that lifeos counted itself, 1 refused",
        "other/model elsewhere 1 1,000 0 200 $0.10 config",
        "agents opencode 1.18.33 on main; council on main, other",
        "advance: success",
        "rework design: retries_left",
        "no answer fitted after 2 corrections",
        "2 design_review: revise by council, M1 (it changes code)",
        "seat_0 revise (main)",
        "risk accept (other)",
        "governance MISSING (the provider refused)",
        "P0 correctness src/sum.py:3: the sum is wrong for an empty list (seat_0, seat_2)",
        "missing: governance",
        f"lifeos show {RUN} N [NAME]",
    ):
        assert wanted in " ".join(out.split()), wanted
    (design, review, again) = (line for line in lines if line.startswith(("1  ", "2  ", "3  ")))
    assert "  main  " in design
    assert "$0.75" in design
    assert "5 seats" in review
    assert "  main  " in again


def test_the_same_as_data(modelled: Path) -> None:
    """Programs get the agent, the run log of the council and the calls, attempt by attempt."""
    data = lifeos(modelled, "show", "--json").data("show")
    first, second, _ = data["attempts"]
    assert first["work"]["agent"]["id"] == "vendor/model"
    assert first["work"]["calls"][0]["estimated"] == 1
    assert [run["sitter"]["name"] for run in second["work"]["review"]["seats"]] == [
        *["main"] * 3,
        *["other"] * 2,
    ]
    assert second["work"]["review"]["findings"][0]["seats"] == ["seat_0", "seat_2"]
    assert data["usage"]["requests"] == 5
    assert [calls["requests"] for calls in data["calls"]] == [4, 1]


def test_an_attempt_by_its_number(modelled: Path) -> None:
    """`show RUN N` is `show RUN:N`: who, the commands it says it ran, and what it left."""
    out = lifeos(modelled, "show", RUN, "1").out
    assert out == lifeos(modelled, "show", f"{RUN}:1").out
    assert "opencode 1.18.33 with main: vendor/model of hosted (family vendor)" in out
    assert "the agent's program says that it cost $0.61, for 4,800 tokens in 2 requests" in out
    assert "exit 1    pytest -q  (2.3 s)" in out
    assert "denied    curl x" in out
    assert "it left: agent.json, design.md, receipts.json" in out
    review = lifeos(modelled, "show", RUN, "2").out
    assert "review by council: revise, by the rule blocking; M1 (it changes code)" in review
    assert "main (vendor/model, vendor)" in review
    data = lifeos(modelled, "show", TASK, "2", "--json").data("show-attempt")
    assert data["work"]["review"]["rule"] == "blocking"


def test_an_artifact_is_one_command_away_and_harmless(modelled: Path) -> None:
    """Without what drives a terminal, and without a secret that this environment knows."""
    said = lifeos(modelled, "show", RUN, "1", "design.md", SOME_TOKEN=KNOWN)
    assert "# The design" in said.out
    assert "\x1b" not in said.out
    assert KNOWN not in said.out
    text = lifeos(modelled, "show", RUN, "1", "design.md", "--json", SOME_TOKEN=KNOWN)
    assert KNOWN not in text.data("artifact")["text"]
    raw = lifeos(modelled, "show", f"{RUN}:1", "--artifact", "design.md").out
    assert "\x1b]0;title" in raw  # for programs: the bytes that the record has the digest of
    receipts_json = json.loads(lifeos(modelled, "show", RUN, "3", "receipts.json").out)
    assert receipts_json[0]["status"] == 429


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((RUN, "9"), "no attempt 9: it has 3"),
        ((RUN, "1", "nothing.md"), "it has: agent.json, design.md, receipts.json"),
        ((f"{RUN}:1", "2"), "only a run has numbered attempts"),
    ],
)
def test_what_is_not_there_is_named(modelled: Path, args: tuple[str, ...], said: str) -> None:
    """With what there is instead."""
    ended = lifeos(modelled, "show", *args)
    assert ended.code == 2
    assert said in ended.err


def test_what_an_artifact_does_not_say_is_not_guessed(tmp_path: Path) -> None:
    """Files of another version, or redacted until they are no JSON: the rest is shown."""
    scene = begin_scene(tmp_path / "repo")
    story = Story(scene)
    broken = {"agent.json": "{", "receipts.json": "[redacted: x]", "review.json": "{}"}
    story.attempt(
        Stage.DESIGN,
        Success.OK,
        Stage.DESIGN_REVIEW,
        broken,
        usage=Usage(seconds=1.0, tokens=5, cost=0.5, requests=1),
        artifact="0" * 64,
    )
    data = lifeos(scene.folder, "show", "--json").data("show")
    assert data["attempts"][0]["work"] == {"agent": None, "review": None, "calls": []}
    assert "$0.50" in lifeos(scene.folder, "show").out
