"""The packet of a run that models worked on: who did what, for how much, and who sat."""

from __future__ import annotations

import json
from typing import Any

from lifeos.core.council import UNCLASSIFIED
from lifeos.core.packet import Packet, markdown, statement
from lifeos.core.packetmodels import model_lines
from lifeos.core.receipt import AgentFacts, PricedBy, Receipt
from lifeos.core.review import Finding, Review, SeatRun, Severity, ShadowRun, Sitter
from lifeos.model import Mode, Stage, Usage, Verdict
from test_packet import packet, run

MAIN = Sitter(name="main", provider="hosted", model="vendor/m-1", family="vendor")
OTHER = Sitter(name="other", provider="else", model="o|ther", family="")
AGENT = AgentFacts(agent="opencode", version="1.18.33", provider="hosted", id="vendor/m-1")
REVIEW = Review(
    verdict=Verdict.ACCEPT,
    by="council",
    mode=Mode.M1,
    mode_reason="it changes code",
    header=UNCLASSIFIED,
    rule="all_accept",
    forced=True,
    forced_by=("risk was let go",),
    emergency="other is down",
    seats=(
        SeatRun(seat="chair", sitter=MAIN, verdict=Verdict.ACCEPT, confidence=0.9, tokens=1200),
        SeatRun(seat="technical", sitter=OTHER, verdict=Verdict.REVISE, cost=0.25),
        SeatRun(seat="risk", sitter=OTHER, missing="the provider\nrefused"),
    ),
    shadow=(ShadowRun(run=SeatRun(seat="risk", sitter=MAIN, verdict=Verdict.REJECT)),),
    seats_missing=("risk",),
    findings=(Finding(severity=Severity.P2, kind="style", message="a name"),),
)


def receipt(model: str, cost: float, **more: Any) -> Receipt:
    """One call of 1,000 tokens in and 200 out."""
    return Receipt(
        provider="hosted",
        model=model,
        stage="build",
        started=0.0,
        ended=1.0,
        status=200,
        tokens_in=1000,
        tokens_cached=400,
        tokens_out=200,
        cost=cost,
        request="0" * 64,
        response="0" * 64,
        **more,
    )


CALLS = (
    receipt("m-1", 0.5),
    receipt("m-2", 0.125),
    receipt("m-1", 0.25, priced_by=PricedBy.ESTIMATE),
)


def held() -> Packet:
    """The packet of a run with a council, and a build by a model."""
    lines = (
        *model_lines(2, Stage.DESIGN_REVIEW, None, CALLS[:2]),
        *model_lines(4, Stage.BUILD, AGENT, CALLS),
    )
    usage = Usage(seconds=61.25, tokens=10, cost=0.5, requests=5)
    return packet(reviews={2: REVIEW}, models=lines, state=run(usage=usage))


def rows(text: str, begin: str) -> list[str]:
    """The lines of a page that begin like this."""
    return [line for line in text.splitlines() if line.startswith(begin)]


def test_calls_are_added_up_by_attempt_and_model() -> None:
    """Each model once for each attempt, with what its receipts say; an idle agent is there too."""
    first, second = model_lines(4, Stage.BUILD, AGENT, CALLS)
    assert (first.n, first.stage, first.agent, first.version) == (
        4,
        Stage.BUILD,
        "opencode",
        "1.18.33",
    )
    assert (first.model, first.requests, first.cost, first.estimated) == ("m-1", 2, 0.75, 1)
    assert (first.tokens_in, first.tokens_cached, first.tokens_out) == (2000, 800, 400)
    assert (second.model, second.requests, second.cost, second.estimated) == ("m-2", 1, 0.125, 0)
    (idle,) = model_lines(4, Stage.BUILD, AGENT, ())
    assert (idle.agent, idle.model, idle.requests) == ("opencode", "vendor/m-1", 0)
    assert model_lines(4, Stage.BUILD, None, ()) == ()


def test_the_statement_has_who_sat_and_what_each_said() -> None:
    """For machines: all of it, and it can be read back."""
    value = json.loads(statement(held()))["predicate"]
    (verdict,) = value["verdicts"]
    assert (verdict["by"], verdict["rule"]) == ("council", "all_accept")
    assert verdict["forced_by"] == ["risk was let go"]
    assert verdict["emergency"] == "other is down"
    assert verdict["seats_missing"] == ["risk"]
    said = [(seat["seat"], seat["sitter"]["model"], seat["verdict"]) for seat in verdict["seats"]]
    assert said == [
        ("chair", "vendor/m-1", "accept"),
        ("technical", "o|ther", "revise"),
        ("risk", "o|ther", None),
    ]
    assert [seat["verdict"] for seat in verdict["shadow"]] == ["reject"]
    assert [line["requests"] for line in value["models"]] == [1, 1, 2, 1]
    assert Packet.model_validate_json(json.dumps(value)) == held()


def test_the_page_has_a_line_for_each_seat() -> None:
    """Which model sat where, its verdict, why there is none, and what a person should know."""
    page = markdown(held())
    (chair,) = rows(page, "| chair")
    assert "accept (0.9)" in chair
    assert "main: vendor/m-1 of hosted" in chair
    assert "| vendor | 1200 |" in chair
    (technical,) = rows(page, "| technical")
    assert "revise" in technical
    assert "unknown" in technical
    assert "$0.2500" in technical
    (risk,) = rows(page, "| risk")
    assert "**none**" in risk
    assert "the provider refused" in risk
    assert "reject" in rows(page, "| shadow risk")[0]
    for said in ("rule `all_accept`", "risk was let go", "Missing: risk", "other is down"):
        assert said in page, said
    (review,) = rows(page, "| review")
    assert "by 2 seats on main, other" in review


def test_the_page_has_what_each_attempt_asked_and_the_total() -> None:
    """The last line is the sum of those above it."""
    page = markdown(held())
    (built, _) = rows(page, "| 4 | build | opencode 1.18.33 |")
    assert "| 2 | 2000 | 800 | 400 | $0.7500 (1 estimated) |" in built
    (total,) = rows(page, "| all |")
    assert "| 5 | 5000 | 2000 | 1000 | $1.5000 (1 estimated) |" in total
    assert "in 5 requests" in rows(page, "| cost")[0]


def test_without_models_the_page_says_nothing_of_them() -> None:
    """No empty table."""
    page = markdown(packet())
    assert "## Council" not in page
    assert "## Models" not in page
