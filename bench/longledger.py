"""A ledger of any length, made fast and real in every byte: legal records, decided by the rules.

Tasks go through the whole pipeline, one after the other; every fourth one needs a second build.
git's fast-import writes the commits. The machine applies every record first, so that nothing gets
in that it would not allow, and the snapshots in the tree are the true ones.
"""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from lifeos.core.canonical import sha256, short_id
from lifeos.core.judge import judge, landing_checkpoint
from lifeos.core.machine import apply
from lifeos.core.packet import assemble, markdown, statement
from lifeos.core.records import (
    AnyRecord,
    AttemptFacts,
    CheckFact,
    Claimed,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
)
from lifeos.core.state import Outcome, Snapshot, Success
from lifeos.governance import load_set
from lifeos.model import (
    CloseOutcome,
    Decision,
    FailureClass,
    ItemKind,
    Mode,
    Stage,
    Trust,
    Usage,
    Verdict,
)
from lifeos.store.encoding import LIFEOS
from lifeos.store.endings import Ended, closed_path, packet_path
from lifeos.store.entries import attempt_path, commit_message
from lifeos.store.ledger import BRANCH, STATE_EVERY, Ledger
from lifeos.store.lock import Owner
from lifeos.store.repo import Repo
from lifeos.tick.begin import begin
from lifeos.tick.context import World

BEGIN = 1_735_689_600  # 2025-01-01T00:00:00Z
PAUSE = 60  # seconds between two transitions
TAIL = 232
"""Transitions after the last state.json, at every length: lengths differ in nothing else."""
_WORKER = Owner("bench", "0f8fad5b-d9cb-469f-a165-70867728950e", 4321, "98765").line()
_OK = {stage: Verdict.ACCEPT if "review" in stage else Success.OK for stage in Stage}


@dataclass
class Transition:
    """One transition to be written: the record, the files with it, the paths that go, prose."""

    record: AnyRecord
    files: dict[str, bytes] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    prose: str = ""


def length_near(count: int) -> int:
    """The nearest length that ends ``TAIL`` transitions after a state.json."""
    return max(1, round((count - TAIL) / STATE_EVERY)) * STATE_EVERY + TAIL


def make(repo: Repo, count: int, *, waiting: bool = False) -> Snapshot:
    """Begin the ledger and bring it to ``count`` transitions; the state after them.

    ``waiting``: one more run stands at its checkpoint before landing.
    """
    ledger = begin(repo, World(clock=lambda: BEGIN))
    story = Story(ledger, repo.refs.read("refs/heads/main") or "")
    writer = _Writer(repo, ledger)
    number = 0
    while count - story.snapshot.seq > 60:
        for transition in story.passage(number):
            story.last = writer.write(story, transition)
        number += 1
    if waiting:
        for transition in story.until_held(number):
            story.last = writer.write(story, transition)
    while story.snapshot.seq < count:  # notes that change nothing fill what is left
        text = f"filled up at {story.snapshot.seq}"
        note = Noted(at=story.now, topic=Topic.REVERTED, task="LO-none", text=text)
        story.last = writer.write(story, Transition(note))
    writer.close()
    return story.snapshot


class Story:
    """The state so far, and the transitions of the next task."""

    def __init__(self, ledger: Ledger, main: str) -> None:
        """``ledger`` was just begun, ``main`` is the commit that runs are based on."""
        self.snapshot = ledger.snapshot
        self.last = ledger.tip
        self.main = main
        rules = load_set(ledger.governance(self.snapshot.governance)).governance
        assert rules is not None
        self.rules = rules
        self.history: list[tuple[str, AnyRecord]] = []

    @property
    def now(self) -> int:
        """The time of the next transition, in seconds UTC."""
        return BEGIN + PAUSE * (self.snapshot.seq + 1)

    def passage(self, number: int) -> Iterator[Transition]:
        """One task from its opening to its packet."""
        run, item = yield from self._to_checkpoint(number)
        yield Transition(
            Resolved(
                at=self.now,
                item=item,
                decision=Decision.APPROVE,
                who="ada@example.invalid",
                trust=Trust.COMMIT,
                commit=oid(run, "answer"),
                main=self.main,
            ),
            drop=(f"queue/{item}.md",),
        )
        yield self._claim(run)
        landed = oid(run, "landed")
        yield Transition(
            Noted(
                at=self.now,
                topic=Topic.LANDING,
                run=run,
                commit=landed,
                onto=self.main,
                tree=oid(run, "merged"),
            )
        )
        yield self._close(run, landed)

    def until_held(self, number: int) -> Iterator[Transition]:
        """One task up to the checkpoint before it lands, which stays open."""
        yield from self._to_checkpoint(number)

    def _to_checkpoint(self, number: int) -> Generator[Transition, None, tuple[str, str]]:
        task = task_id(number)
        run = short_id("R", self.snapshot.root, task, 1)
        self.history = []
        text = f"- [ ] **{task}** {title(number)}\n  - scope: `src/part{number}/**`\n"
        yield Transition(self._opened(run, number, text), {f"runs/{run}/task.md": text.encode()})
        while self.snapshot.runs[run].stage is not Stage.CLOSE:
            stage = self.snapshot.runs[run].stage
            first = not self.snapshot.runs[run].stage_attempts.get(stage)
            yield self._claim(run)
            fails = stage is Stage.BUILD and first and number % 4 == 3
            yield self._finish(run, FailureClass.TEST_FAILURE if fails else _OK[stage])
        item = short_id("Q", run, self.snapshot.seq)
        held = Held(
            at=self.now,
            item=item,
            item_kind=ItemKind.STAGE_REVIEW,
            run=run,
            stage=Stage.CLOSE,
            question=f"May the work of {run} ({task}) land on main?",
            rule=landing_checkpoint(self.snapshot.runs[run], self.rules.loop),
            subject=sha256(run),
            expires_at=self.now + 7 * 86400,
        )
        pending = f"---\nitem: {item}\nkind: stage_review\nrun: {run}\n---\n\n{held.question}\n"
        yield Transition(held, {f"queue/{item}.md": pending.encode()})
        return run, item

    def _opened(self, run: str, number: int, text: str) -> Opened:
        return Opened(
            at=self.now,
            run=run,
            task=task_id(number),
            title=title(number),
            task_digest=sha256(text),
            ordinal=1,
            base=self.main,
            governance=self.snapshot.governance,
            scope=(f"src/part{number}/**",),
            tags=("api",),
        )

    def _claim(self, run: str) -> Transition:
        state = self.snapshot.runs[run]
        return Transition(
            Claimed(
                at=self.now,
                run=run,
                stage=state.stage,
                n=state.attempts + 1,
                nonce=sha256(f"{run} {state.attempts}")[:32],
                worker=_WORKER,
                lease_until=self.now + 3600,
                base=self.main,
            )
        )

    def _finish(self, run: str, outcome: Outcome) -> Transition:
        state = self.snapshot.runs[run]
        assert state.claim is not None
        failed = isinstance(outcome, FailureClass)
        files = _artifacts(run, state.stage, failed=failed)
        facts = _facts(run, state.stage, state.claim.n, outcome, files)
        decided = judge(state, state.stage, facts, self.rules, self.now)
        record = Finished(
            at=self.now,
            run=run,
            stage=state.stage,
            n=state.claim.n,
            nonce=state.claim.nonce,
            facts=facts,
            evidence={name: sha256(data) for name, data in sorted(files.items())},
            **{name: getattr(decided, name) for name in type(decided).model_fields},
        )
        folder = attempt_path(run, state.claim.n)
        named = {f"{folder}/{name}": data for name, data in files.items()}
        return Transition(record, named, prose=f"Rule: {record.rule}.")

    def _close(self, run: str, landed: str) -> Transition:
        state = self.snapshot.runs[run]
        packet = assemble(
            state,
            f"- [ ] **{state.task}** {state.title}\n",
            self.history,
            artifacts={},
            sandbox="bwrap",
            ledger_root=self.snapshot.root,
            ledger_tip=self.last,
            versions={"lifeos": "0", "python": "3"},
            outcome=CloseOutcome.PASS,
            landed=landed,
            at=self.now,
        )
        text = statement(packet)
        ended = Ended(
            task=state.task,
            run=run,
            ordinal=1,
            outcome=CloseOutcome.PASS,
            task_digest=state.task_digest,
            landed=landed,
            ledger=self.last,
            at=self.now,
        )
        folder = packet_path(run)
        files = {
            f"{folder}/packet.json": text.encode(),
            f"{folder}/packet.md": markdown(packet).encode(),
            closed_path(state.task): ended.model_dump_json().encode(),
        }
        record = Closed(
            at=self.now,
            run=run,
            outcome=CloseOutcome.PASS,
            landed=landed,
            packet=sha256(text),
        )
        return Transition(record, files, drop=(f"runs/{run}",))


class _Writer:
    """git fast-import at work on the ledger's branch."""

    def __init__(self, repo: Repo, ledger: Ledger) -> None:
        command = ("git", "fast-import", "--quiet", "--done", "--date-format=raw")
        self.process = subprocess.Popen(
            command, cwd=repo.common_dir, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.tip = ledger.tip
        self.mark = 0

    def write(self, story: Story, transition: Transition) -> str:
        """Apply one transition and write its commit. The commit's id."""
        record = transition.record
        story.snapshot = apply(story.snapshot, record)
        files = dict(transition.files)
        if story.snapshot.seq % STATE_EVERY == 0:
            files["state.json"] = story.snapshot.model_dump_json().encode()
        self.mark += 1
        message = commit_message(record, story.snapshot.seq, transition.prose).encode()
        head = f"commit {BRANCH}\nmark :{self.mark}\n"
        head += f"committer {LIFEOS.name} <{LIFEOS.email}> {record.at} +0000\n"
        parts = [head.encode(), b"data %d\n%s\n" % (len(message), message)]
        if self.mark == 1:
            parts.append(f"from {self.tip}\n".encode())
        parts += [f"D {path}\n".encode() for path in transition.drop]
        for path, data in files.items():
            parts.append(f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n")
        self._send(b"".join(parts))
        # Only a packet names commits; asking for every one would wait a hundred thousand times.
        names = isinstance(record, Finished | Noted)
        commit = self._ask(f"get-mark :{self.mark}\n".encode()) if names else ""
        if isinstance(record, Finished | Held | Resolved):
            story.history.append((commit, record))
        return commit

    def close(self) -> None:
        """Finish the import; the branch has moved then."""
        self._send(b"done\n")
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait() == 0

    def _send(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)

    def _ask(self, data: bytes) -> str:
        self._send(data)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().strip()


def task_id(number: int) -> str:
    """The id of the task of this number."""
    return short_id("LO", "bench", number, length=6)


def title(number: int) -> str:
    """What that task is called."""
    return f"Part {number} answers within its deadline"


def oid(*parts: str) -> str:
    """An object id of nothing, for a work tree or a commit that only a record names."""
    return sha256(" ".join(parts))[:40]


def _facts(
    run: str, stage: Stage, n: int, outcome: Outcome, files: dict[str, bytes]
) -> AttemptFacts:
    made = files.get("design.md") or files.get("plan.md")
    known: dict[str, object] = {
        "outcome": outcome,
        "artifact": sha256(made) if made else "",
        "usage": Usage(seconds=12.345, tokens=1800 + n, cost=0.01),
    }
    if stage is Stage.BUILD:
        status = "failed" if isinstance(outcome, FailureClass) else "passed"
        known |= {
            "tree": oid(run, str(n)),
            "paths": ("src/parts.py", "tests/test_parts.py"),
            "lines": 40 + n,
            "checks": (CheckFact(name="tests", status=status), CheckFact(name="lint", status="ok")),
        }
    if isinstance(outcome, FailureClass):
        known |= {"message": "1 test failed", "error": sha256(f"{run} {outcome}")}
    if isinstance(outcome, Verdict):
        known["mode"] = Mode.M1
    return AttemptFacts.model_validate(known)


def _artifacts(run: str, stage: Stage, *, failed: bool) -> dict[str, bytes]:
    if stage in (Stage.DESIGN, Stage.PLAN):
        text = f"# {stage} of {run}\n\nWhat is done, and how it is checked.\n"
        return {f"{stage.value}.md": text.encode()}
    if stage is Stage.BUILD and failed:
        return {"feedback.md": f"test_failure: 1 test failed in {run}\n".encode()}
    return {}
