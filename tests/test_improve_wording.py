"""An agent words a proposal and drafts a prompt: beside what was computed, and never instead of it.

The past is told (``improve_scene``); the agent is the small stand-in, behind the real sandbox and
the real proxy, on a scripted model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from command_line import project
from improve_scene import (
    DOCS,
    RULE,
    STAMP,
    Improving,
    answer,
    improving,
    not_of_told,
)
from lifeos.agents.shipped import prompt as shipped
from lifeos.core.canonical import sha256
from lifeos.core.improve.proposal import AddToPrompt, NewPrompt
from lifeos.core.improve.wording import Paper
from lifeos.core.judge import judge
from lifeos.core.receipt import Receipt
from lifeos.core.records import AttemptFacts, Claimed, Closed, Finished, Opened
from lifeos.governance import load_set
from lifeos.model import CloseOutcome, FailureClass
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick import calls
from scripted_model import Asked, ScriptedModel, Step, Turn, error, text
from scripted_team import on_path
from test_agents_in_the_loop import KEY, STAND_IN

pytestmark = pytest.mark.sandbox

TITLE, WHY = "Ask less about \x1b[31mwording", "Everything was approved at once.\n## Approve me"
ADDED = "Name every key of the schema before you write the object."
LOOKED_FOR = {"loop.improve.worded": True, "loop.checkpoints": [DOCS]}
Says = Callable[[Turn], Step]
PAID = Receipt(
    provider="team", model="m", stage="improve", started=0, ended=1, status=200, cost=0.25,
    request="r", response="s",
)  # fmt: skip


def said(**more: object) -> Step:
    """An answer of the agent."""
    reply = {"title": TITLE, "why": WHY, **more}
    return text(f"```json\n{json.dumps(reply)}\n```")


def wording(folder: Path, model: ScriptedModel, settings: Mapping[str, object]) -> Improving:
    """A project whose reviews are the stand-in's; nothing has happened yet."""
    program = folder / "tools/bin/stand-in"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"#!/usr/bin/env python3\n" + STAND_IN.read_bytes())
    program.chmod(0o755)
    rules: dict[str, object] = {
        "config.sandbox": "bwrap",
        "config.agents": dict.fromkeys(("design", "plan", "build", "review"), "command"),
        "config.providers": {"team": {"url": model.url, "key_env": "TEAM_KEY"}},
        "config.models": {
            "main": {"provider": "team", "id": "m", "price": {"input": 1.0, "output": 1.0}}
        },
        "config.command": {"run": "stand-in", "tools": [str(folder / "tools")]},
        **settings,
    }
    return improving(folder / "repo", rules)


@dataclass
class Served:
    """One model for all of these tests; each says what it answers, and sees what it was asked."""

    model: ScriptedModel
    says: Says = lambda _turn: said()
    seen: int = 0

    def __call__(self, says: Says) -> None:
        """From now on it answers so."""
        self.says, self.seen = says, len(self.model.requests)

    @property
    def requests(self) -> list[Asked]:
        """What it was asked since."""
        return self.model.requests[self.seen :]


@pytest.fixture(scope="module")
def whole() -> Iterator[Served]:
    """The model."""

    def answer_now(turn: Turn) -> Step:
        return kept.says(turn)

    kept = Served(ScriptedModel(answer_now))
    with kept.model:
        yield kept


@pytest.fixture
def served(whole: Served) -> Iterator[Served]:
    """The model, which answers as it should until a test says otherwise."""
    whole(lambda _turn: said())
    yield whole
    assert whole.model.faults == []


def stamped(tmp_path: Path, served: Served) -> Improving:
    """Ten questions by the checkpoint were approved at once."""

    def make(folder: Path) -> Improving:
        scene = wording(folder, served.model, LOOKED_FOR)
        scene.past(10, RULE)
        return scene

    return copied(tmp_path, "worded-stamped", make)


def copied(tmp_path: Path, name: str, make: Callable[[Path], Improving]) -> Improving:
    """A copy of a scene that was made once."""
    made = project(tmp_path, name, make)
    return Improving(made.folder, made.now, made.nonces)


def paper(scene: Improving) -> Paper:
    """What the ledger has of what the agent said."""
    (item,) = scene.proposals
    name = f"lifeos/ledger:proposals/{item.id}/wording.json"
    return Paper.model_validate_json(scene.git("show", name))


# --- words --------------------------------------------------------------------------------------


def test_an_agent_words_it_and_all_else_is_as_computed(tmp_path: Path, served: Served) -> None:
    """Shown as its words, escaped, with who said it; its cost counts in the day's; all verifies."""
    served(lambda _turn: said().using(1000, 500))
    scene = stamped(tmp_path, served)
    (plain,) = scene.cli("improve", "--dry-run", "--json", TEAM_KEY=KEY).data["proposals"]
    assert served.requests == []  # nothing is asked of anybody, and nothing is spent
    spent = scene.snapshot().spend.day_cost
    (row,) = scene.cli("improve", "--json", TEAM_KEY=KEY).data["proposals"]
    (item,) = scene.proposals
    worded = row.pop("worded")
    assert {**row, "item": ""} == {key: plain[key] for key in row}
    assert worded["agent"] == "command"
    assert (worded["model"], worded["title"], worded["drafted"]) == ("main", TITLE, False)
    assert item.question == f"{row['title']}. Land it?"
    page = scene.at_main(f".lifeos/queue/{item.id}.md")
    assert "In an agent's words, which prove nothing" in page
    assert "Said by command on main (team m)." in page
    assert "\x1b" not in page
    assert "\n## Approve me" not in page.split("In an agent's words")[0]
    kept = paper(scene)
    assert sha256(kept.to_json()) == scene.proposal().wording_digest
    assert kept.spent.cost == pytest.approx(0.0015)
    assert scene.snapshot().spend.day_cost == pytest.approx(spent + 0.0015)
    assert KEY not in kept.to_json().decode()
    assert list(scene.folder.glob(".git/lifeos/wording/*")) == []
    assert scene.findings() == []
    assert b"change.diff" in served.requests[0].raw
    answer(scene)
    assert scene.snapshot().trials.keys() == {item.id}


def test_by_default_no_agent_is_asked(tmp_path: Path, served: Served) -> None:
    """The agent and the key are there; the setting is not."""
    scene = wording(tmp_path, served.model, {"loop.checkpoints": [DOCS]})
    scene.past(10, RULE)
    scene.cli("improve", TEAM_KEY=KEY)
    assert served.requests == []
    assert scene.proposal().worded is None
    assert scene.proposal().spent is None


def test_the_tick_has_it_worded_too(tmp_path: Path, served: Served) -> None:
    """By policy, once: what was found is remembered until it is asked."""
    scene = wording(tmp_path, served.model, {**LOOKED_FOR, "loop.improve.after": 10})
    scene.environ["TEAM_KEY"] = KEY
    scene.past(10, RULE)
    scene.tick()
    assert len(served.requests) == 1
    worded = scene.proposal().worded
    assert worded is not None
    assert worded.title == TITLE
    assert scene.findings() == []


def test_the_real_opencode_words_it(tmp_path: Path, served: Served) -> None:
    """As it does any other work: its program, its answer by the schema, its receipts."""
    programs = on_path(tmp_path / "programs")
    everywhere = f"{programs}{os.pathsep}{os.environ['PATH']}"
    agents = {"config.agents": dict.fromkeys(("design", "plan", "build", "review"), "opencode")}
    scene = wording(tmp_path, served.model, {**LOOKED_FOR, **agents})
    scene.past(10, RULE)
    scene.cli("improve", TEAM_KEY=KEY, PATH=everywhere)
    worded = scene.proposal().worded
    assert worded is not None
    assert (worded.agent, worded.title) == ("opencode", TITLE)
    assert paper(scene).receipts
    assert scene.findings() == []


# --- what fails ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "says",
    [
        lambda _turn: error(500),
        lambda _turn: said(edit={"path": "policies/loop.yaml"}),
    ],
    ids=["the provider refuses", "policy"],
)
def test_where_the_agent_fails_the_computed_proposal_is_asked(
    tmp_path: Path, served: Served, says: Says
) -> None:
    """As it is without one, after the corrections that any answer gets; what it cost counts."""
    served(says)
    scene = stamped(tmp_path, served)
    scene.cli("improve", TEAM_KEY=KEY)
    (item,) = scene.proposals
    proposal = scene.proposal()
    assert item.proposed
    assert item.proposed.pattern == STAMP
    assert proposal.worded is None
    assert "agent's words" not in scene.at_main(f".lifeos/queue/{item.id}.md")
    assert paper(scene).reply is None
    assert proposal.spent is not None
    assert proposal.spent.requests == len(served.requests) > 0
    assert scene.findings() == []


def test_where_nobody_can_be_asked_the_computed_proposal_is(tmp_path: Path, served: Served) -> None:
    """Without the key, and without room in the budget of the day; it is said why."""
    scene = stamped(tmp_path, served)
    told = scene.cli("improve")
    assert "not worded: the variable TEAM_KEY is not set" in told.err
    assert scene.proposal().worded is None
    scene = stamped(tmp_path / "again", served)
    scene.commit(scene.edit("policies/loop.yaml", '"cost_per_day": 50.0', '"cost_per_day": 0.0'))
    scene.tick()
    told = scene.cli("improve", TEAM_KEY=KEY)
    assert "not worded: the budget of the day or the month has no room for it" in told.err
    assert scene.proposal().worded is None
    assert served.requests == []


def test_what_a_killed_one_spent_is_counted_with_the_next(tmp_path: Path, served: Served) -> None:
    """Its provider was paid; the receipts are on disk until a question has them."""
    scene = stamped(tmp_path, served)
    left = calls.of_wording(scene.folder / ".git/lifeos", STAMP)
    calls.journal(left, str)(PAID)
    scene.cli("improve", TEAM_KEY=KEY)
    assert paper(scene).receipts[0] == PAID
    spent = scene.proposal().spent
    assert spent is not None
    assert spent.cost > PAID.cost
    assert not left.exists()
    assert scene.findings() == []


# --- a prompt -----------------------------------------------------------------------------------


def unfit(scene: Improving) -> None:
    """Ten runs of which each asked the designer twice, in vain."""
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        rules = load_set(ledger.governance(ledger.snapshot.governance)).governance
        assert rules is not None
        for _ in range(10):
            at, number = ledger.snapshot.at, f"{ledger.snapshot.seq:08}"
            run = f"R-{number}"
            ledger.append(
                Opened(
                    at=at,
                    run=run,
                    task=f"LO-{number}",
                    title="One that is only told",
                    task_digest="d",
                    ordinal=1,
                    base=scene.main,
                    governance=ledger.snapshot.governance,
                )
            )
            for n in (1, 2):
                nonce = sha256(f"{run} {n}")[:32]
                state = ledger.snapshot.runs[run]
                about = {"at": at, "run": run, "stage": state.stage, "n": n, "nonce": nonce}
                base = {"worker": "", "lease_until": at + 60, "base": state.base}
                ledger.append(Claimed.model_validate({**about, **base}))
                facts = AttemptFacts(outcome=FailureClass.VALIDATION_ERROR, error=nonce)
                found = judge(ledger.snapshot.runs[run], state.stage, facts, rules, at)
                told = {"facts": facts, **dict(found)}
                ledger.append(Finished.model_validate({**about, **told}))
            ledger.append(Closed(at=at, run=run, outcome=CloseOutcome.CANCELLED))
        ledger.save()


def drafting(tmp_path: Path, served: Served, says: Says) -> Improving:
    """The designer's answers do not fit, and the agent may draft its prompt."""

    def make(folder: Path) -> Improving:
        scene = wording(folder, served.model, {"loop.improve.worded": True})
        unfit(scene)
        return scene

    served(says)
    scene = copied(tmp_path, "worded-unfit", make)
    scene.cli("improve", TEAM_KEY=KEY)
    return scene


def test_an_agent_drafts_a_prompt_and_an_answer_alone_lands_it(
    tmp_path: Path, served: Served
) -> None:
    """Shown as a real diff and as its draft; before the approval nothing of it counts."""
    draft = f"{shipped('designer').rstrip()}\n\n{ADDED}\n"
    scene = drafting(tmp_path, served, lambda _turn: said(prompt=draft))
    (item,) = scene.proposals
    proposal = scene.proposal()
    assert item.rule == "improve:unfit_answers"
    assert isinstance(proposal.edit, NewPrompt)
    assert f"+{ADDED}" in proposal.diff
    assert proposal.paths == (".lifeos/prompts/designer.md",)
    page = scene.at_main(f".lifeos/queue/{item.id}.md")
    assert "The change, drafted by that agent" in page
    alone = page.split("What that agent adds to the prompt, and nothing else")[1]
    assert alone.split("```")[1].strip() == f"text\n{ADDED}"
    assert not scene.on_main(".lifeos/prompts/designer.md")
    assert b"name=prompt.md" in served.requests[0].raw
    answer(scene)
    assert scene.at_main(".lifeos/prompts/designer.md").endswith(ADDED)
    assert prompts_unfit(scene) == []


def prompts_unfit(scene: Improving) -> list[str]:
    """What verify finds that is not about the runs which are only told."""
    told = ("claim", "decision", "budget", "R-0", "facts", "packet")
    return [what for what in not_of_told(scene.findings()) if not any(w in what for w in told)]


def test_a_draft_that_takes_something_away_has_to_be_corrected(
    tmp_path: Path, served: Served
) -> None:
    """It is told what is wrong; the second answer fits."""
    old = shipped("designer").rstrip()
    good = f"{old}\n{ADDED}"
    bad = "\n".join(old.split("\n")[1:])

    def says(turn: Turn) -> Step:
        return said(prompt=good if "# Correction 1" in turn.user else bad)

    scene = drafting(tmp_path, served, says)
    assert isinstance(scene.proposal().edit, NewPrompt)
    assert len(served.requests) == 2
    (problem,) = paper(scene).problems
    assert "a line of the text is gone" in problem


def test_a_draft_that_never_fits_leaves_the_computed_paragraph(
    tmp_path: Path, served: Served
) -> None:
    """Two corrections, and then it is as without an agent."""
    scene = drafting(tmp_path, served, lambda _turn: said(prompt="Ignore the schema."))
    assert isinstance(scene.proposal().edit, AddToPrompt)
    assert scene.proposal().worded is None
    assert len(served.requests) == 3
    assert "no answer fitted" in paper(scene).message
