"""A project with a past: many runs on its ledger, told record by record, and a person at work.

The runs do no work, so that a test has a hundred of them in a second. What the real loop makes of
two hundred real ones is tested on the ledger that is shipped with the tests.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from command_line import Project, project
from conftest import EMAIL
from lifeos.core.improve.proposal import Proposal
from lifeos.core.records import AnyRecord, Closed, Held, Noted, Opened, Resolved, Topic
from lifeos.core.state import Item
from lifeos.model import CloseOutcome, Decision, ItemKind, Trust
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.asking import ask_proposals
from lifeos.tick.context import Context, World
from lifeos.tick.improving import find
from lifeos.tick.publish import publish
from lifeos.tick.reading import main_at
from loop_scene import Settings, begin_scene

RULE = "checkpoint:docs"
DOCS = {"name": "docs", "stage": "build_review", "paths": ["docs/**"]}
STAMP = f"rubber_stamp:{RULE}"
LOW = "    risk: medium"
"""The line that the proposal about the checkpoint adds."""
APPROVE, REVISE, REJECT = Decision
BUDGET = "budget:tokens_per_run"
HIT = "hit_budget:tokens_per_run"
LOOP = "policies/loop.yaml"
COMMENTED = """\
version: 1

# How often a person is asked.
autonomy: supervised   # think twice

checkpoints:
  # What users read.
  - name: docs
    stage: build_review
    paths: ["docs/**"]
"""


def tell(
    ledger: Ledger,
    main: str,
    count: int,
    rule: str = "",
    decision: Decision = Decision.APPROVE,
    seconds: int = 1,
) -> None:
    """Record so many runs that do nothing; with a ``rule``, each was asked by it and answered."""
    begin = ledger.snapshot.at + 1  # after whatever landed
    for _ in range(count):
        for record in _run(ledger, main, begin, rule, decision, seconds):
            ledger.append(record)


def _run(
    ledger: Ledger, main: str, begin: int, rule: str, decision: Decision, seconds: int
) -> list[AnyRecord]:
    snapshot = ledger.snapshot
    at, run = max(snapshot.at, begin), f"R-{snapshot.seq:08}"
    records: list[AnyRecord] = [
        Opened(
            at=at,
            run=run,
            task=f"LO-{snapshot.seq:06}",
            title="A run that is only told",
            task_digest="d",
            ordinal=1,
            base=main,
            governance=snapshot.governance,
        )
    ]
    if rule:
        item = f"Q-{snapshot.seq:08}"
        kind = ItemKind.BUDGET if rule.startswith("budget:") else ItemKind.ESCALATION
        asked = {"item": item, "item_kind": kind, "run": run, "stage": "design", "rule": rule}
        records += [
            Held.model_validate({"at": at, "question": "?", "subject": "s", **asked}),
            Resolved(at=at + seconds, item=item, decision=decision, who=EMAIL, trust=Trust.COMMIT),
        ]
    end = at + (seconds if rule else 0)
    blocked = rule and decision is Decision.REJECT
    outcome = CloseOutcome.BLOCKED if blocked else CloseOutcome.CANCELLED
    return [*records, Closed(at=end, run=run, outcome=outcome)]


class Improving(Project):
    """A project whose past is told, and whose proposals are looked at."""

    def past(
        self,
        count: int,
        rule: str = "",
        decision: Decision = Decision.APPROVE,
        seconds: int = 1,
    ) -> None:
        """So many runs more. With a ``rule``, each asked by it and was answered after seconds."""
        with Repo.open(self.folder) as repo:
            ledger = Ledger.open(repo)
            assert ledger is not None
            tell(ledger, self.main, count, rule, decision, seconds)
            ledger.save()
            self.now = max(self.now, ledger.snapshot.at)

    def propose(self) -> None:
        """Look back and ask, as the command does it, at the time of the scene."""
        world = World(clock=self.clock, nonce=self.nonce, environ={})
        with Repo.open(self.folder) as repo:
            ledger = Ledger.open(repo)
            assert ledger is not None
            ctx = Context(repo, ledger, world)
            ask_proposals(ctx, find(ctx, main_at(repo, ctx.main()), search=True).drafts)
            publish(ctx)
            ledger.save()

    @property
    def proposals(self) -> list[Item]:
        """The open questions about proposals."""
        return [item for item in self.snapshot().items.values() if item.proposed]

    def proposal(self, item: Item | None = None) -> Proposal:
        """What the ledger has of the only open one."""
        found = item or self.proposals[0]
        text = self.git("show", f"lifeos/ledger:proposals/{found.id}/proposal.json")
        return Proposal.model_validate_json(text)

    def notes(self, *topics: Topic) -> list[Noted]:
        """The notes about proposals, or on these topics."""
        wanted = topics or (Topic.LANDED, Topic.MEASURED, Topic.DROPPED)
        records = self.records()
        return [r for r in records if isinstance(r, Noted) and r.topic in wanted]

    def landings(self) -> list[str]:
        """The subjects of the commits on main that proposals made."""
        listed = self.git("log", "--format=%s", "--grep=^Lifeos-Item: Q-", "main")
        return listed.splitlines()

    def findings(self) -> list[str]:
        """What `lifeos verify` finds; not of the runs that are only told, for it notices them."""
        data = self.cli("verify", "--json", code=None).data
        return not_of_told(finding["what"] for finding in data["findings"])


def not_of_told(findings: Iterable[str]) -> list[str]:
    """The findings of a verification that are not about runs which are only told."""
    of_questions = ("answer to Q-0", "item Q-0", "subject of Q-0", "queue/Q-0")
    told = ("run R-", "packet of R-", "closed/", *of_questions)
    return [what for what in findings if not any(word in what for word in told)]


def improving(
    folder: Path, settings: Settings | None = None, backlog: str = "# Backlog\n\n## P2\n"
) -> Improving:
    """Set up, with one tick behind it, a commented checkpoint for documents, and no task.

    ``settings`` go into files of JSON instead of that.
    """
    files: dict[str, str | bytes] = {} if settings else {LOOP: COMMENTED}
    scene = begin_scene(folder, settings or {}, files=files, backlog=backlog)
    now = int(time.time()) - 40_000
    made = Improving(folder, now, scene.nonces)
    made.tick()
    return made


# --- made once for each process ------------------------------------------------------------------


def stamped(folder: Path) -> Improving:
    """Ten questions by the checkpoint, each approved within a second."""
    scene = improving(folder)
    scene.past(10, RULE)
    return scene


def asked(folder: Path) -> Improving:
    """It is proposed to let low risks pass, and the CEO is asked."""
    scene = stamped(folder)
    scene.cli("improve")
    return scene


def landed(folder: Path) -> Improving:
    """That was approved, landed, and is being measured."""
    scene = asked(folder)
    answer(scene, cli=True)
    return scene


def measured(folder: Path) -> Improving:
    """Its window is over, and it held."""
    scene = landed(folder)
    scene.past(20)
    scene.tick()
    return scene


def answer(
    scene: Improving, decision: Decision = APPROVE, comment: str = "", *, cli: bool = False
) -> Item:
    """The person answers the only proposal, and a tick takes it; ``cli``: by the commands."""
    (item,) = scene.proposals
    if cli:
        scene.cli(decision.value, item.id, *(["-m", comment] if comment else []))
        scene.cli("tick")
        return item
    scene.commit(scene.answer(decision, comment, item))
    scene.tick()
    return item


def start(tmp_path: Path, made: str) -> Improving:
    """A copy of one of the scenes above."""
    make = {"stamped": stamped, "asked": asked, "landed": landed, "measured": measured}[made]
    copied = project(tmp_path, f"improve-{made}", make)
    return Improving(copied.folder, copied.now, copied.nonces)
