"""A ledger of any length together with the main that it speaks of: nothing in it is made up.

`longledger` names works and landings that are nowhere; that is enough for what only reads records.
Here they are all there, and `lifeos verify` finds nothing: each task is built, asked about,
answered by a commit, and landed by a merge. git's fast-import writes both branches.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Never

from lifeos import __version__
from lifeos.core.answers import answer_path, answer_text
from lifeos.core.backlog.parse import parse
from lifeos.core.canonical import sha256, short_id
from lifeos.core.facts import Facts
from lifeos.core.judge import judge, landing_checkpoint
from lifeos.core.machine import apply
from lifeos.core.packet import assemble, markdown, statement
from lifeos.core.policy import Governance
from lifeos.core.questions import item_id, subject_of
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
from lifeos.core.state import Run, Snapshot, Success
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
from lifeos.store.ledger import BRANCH, STATE_EVERY
from lifeos.store.lock import Owner
from lifeos.store.repo import Repo
from lifeos.tick.begin import begin
from lifeos.tick.context import World
from lifeos.tick.pending import Sources, page_of
from longledger import BEGIN, task_id, title

PAUSE = 60
JOURNAL = "docs/journal.md"
"""A file to which every so many tasks add a line: its lines come from as many landings."""
JOURNAL_EVERY = 50
_WORKER = Owner("bench", "0f8fad5b-d9cb-469f-a165-70867728950e", 4321, "98765").line()
_WHO = ("Ada", "ada@example.invalid")
_MADE = {
    Stage.DESIGN: Success.OK,
    Stage.DESIGN_REVIEW: Verdict.ACCEPT,
    Stage.PLAN: Success.OK,
    Stage.PLAN_REVIEW: Verdict.ACCEPT,
    Stage.BUILD: Success.OK,
    Stage.BUILD_REVIEW: Verdict.ACCEPT,
    Stage.PACKET: Success.OK,
}


def make(repo: Repo, count: int) -> int:
    """Begin the ledger and bring it to about ``count`` transitions, at a task's end. How many."""
    ledger = begin(repo, World(clock=lambda: BEGIN))
    rules = load_set(ledger.governance(ledger.snapshot.governance)).governance
    main = repo.refs.read("refs/heads/main")
    assert rules is not None
    assert main is not None
    with _importing(repo) as imported:
        history = _History(imported, ledger.snapshot, rules, ledger.tip, main)
        number = 0
        while history.snapshot.seq < count - 12:
            history.task(number)
            number += 1
    return history.snapshot.seq


def part(number: int) -> str:
    """The file that a task builds."""
    return f"src/{sha256(str(number))[:2]}/part{number}.py"


@contextmanager
def _importing(repo: Repo) -> Iterator[_Import]:
    command = ("git", "fast-import", "--quiet", "--done", "--date-format=raw")
    process = subprocess.Popen(
        command, cwd=repo.common_dir, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield _Import(process)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"done\n")
    process.stdin.close()
    process.stdout.close()
    assert process.wait() == 0


@dataclass
class _Import:
    """git fast-import at work."""

    process: subprocess.Popen[bytes]
    marks: int = 0

    def commit(
        self,
        ref: str,
        message: bytes,
        at: int,
        changes: Mapping[str, bytes | str | None],
        parents: tuple[str, ...],
        who: tuple[str, str] = (LIFEOS.name, LIFEOS.email),
    ) -> str:
        """Write a commit: content by path, None takes it away, a text is a tree. Its mark."""
        self.marks += 1
        head = f"commit {ref}\nmark :{self.marks}\ncommitter {who[0]} <{who[1]}> {at} +0000\n"
        parts = [head.encode(), b"data %d\n%s\n" % (len(message), message)]
        words = ("from", *("merge" for _ in parents[1:]))
        parts += [f"{w} {p}\n".encode() for w, p in zip(words, parents, strict=True)]
        for path, data in changes.items():
            if data is None:
                parts.append(f"D {path}\n".encode())
            elif isinstance(data, str):
                parts.append(f"M 040000 {data} {path}\n".encode())
            else:
                parts.append(f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n")
        self._send(b"".join(parts) + b"\n")  # the empty line ends it: `ls` could be part of it
        return f":{self.marks}"

    def oid(self, mark: str) -> str:
        """The id of a commit."""
        return self._ask(f"get-mark {mark}\n")

    def tree(self, mark: str) -> str:
        """The tree of a commit."""
        return self._ask(f'ls {mark} ""\n').split()[2]

    def _ask(self, text: str) -> str:
        self._send(text.encode())
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().strip()

    def _send(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)


class _History:
    """The state so far, both tips, and the next task."""

    def __init__(
        self, imported: _Import, snapshot: Snapshot, rules: Governance, tip: str, main: str
    ) -> None:
        self._import = imported
        self.snapshot = snapshot
        self._rules = rules
        self._tip = tip
        self._main = main
        self._journal = b""
        self._told: list[tuple[str, AnyRecord]] = []

    @property
    def _now(self) -> int:
        return BEGIN + PAUSE * (self.snapshot.seq + 1)

    def task(self, number: int) -> None:
        """One task from its opening to its landing."""
        self._told = []
        run = self._opened(number)
        works = dict(self._works(number))
        while self._run(run).stage is not Stage.CLOSE:
            self._attempt(run, number, works)
        base = self._main
        item, mark = self._held(run, number)
        answer = self._answered(item, mark)
        self._claim(run)
        self._land(run, works["work"][0], answer, item)
        assert self._main != base

    def _run(self, run: str) -> Run:
        return self.snapshot.runs[run]

    def _record(
        self, record: AnyRecord, changes: Mapping[str, bytes | str | None] | None = None
    ) -> str:
        """Apply one transition and write its commit. Its mark."""
        self.snapshot = apply(self.snapshot, record)
        written = dict(changes or {})
        if self.snapshot.seq % STATE_EVERY == 0:
            written["state.json"] = self.snapshot.model_dump_json().encode()
        message = commit_message(record, self.snapshot.seq, "").encode()
        self._tip = self._import.commit(BRANCH, message, record.at, written, (self._tip,))
        if isinstance(record, Finished | Held | Resolved):
            self._told.append((self._import.oid(self._tip), record))
        return self._tip

    def _opened(self, number: int) -> str:
        task = task_id(number)
        text = f"- [ ] **{task}** {title(number)}\n  - scope: `{part(number)}`, `docs/**`\n"
        run = short_id("R", self.snapshot.root, task, 1)
        told = parse(text.encode(), "BACKLOG.md", self._rules.config.id_prefix).tasks[0]
        record = Opened(
            at=self._now,
            run=run,
            task=task,
            title=told.title,
            task_digest=told.digest,
            ordinal=1,
            base=self._import.oid(self._main) if self._main.startswith(":") else self._main,
            governance=self.snapshot.governance,
            scope=told.scope,
            risk=told.risk or "low",
        )
        self._record(record, {f"runs/{run}/task.md": text.encode()})
        return run

    def _works(self, number: int) -> Iterator[tuple[str, tuple[str, str]]]:
        """The work that is right, and before it one that is not for every fourth task."""
        good = f"PART = {number}\n\n\ndef answer():\n    return PART\n"
        for name, text in (("bad", good.replace("PART\n", "None\n")), ("work", good)):
            changes: dict[str, bytes | str | None] = {part(number): text.encode()}
            if number % JOURNAL_EVERY == 0:
                line = f"- {title(number)}\n".encode()
                changes[JOURNAL] = self._journal + line
                if name == "work":
                    self._journal += line
            mark = self._import.commit(
                "refs/heads/work", b"the work\n", BEGIN, changes, (self._main,)
            )
            yield name, (mark, self._import.tree(mark))

    def _claim(self, run: str) -> None:
        state = self._run(run)
        record = Claimed(
            at=self._now,
            run=run,
            stage=state.stage,
            n=state.attempts + 1,
            nonce=sha256(f"{run} {state.attempts}")[:32],
            worker=_WORKER,
            lease_until=self._now + 3600,
            base=state.base,
        )
        self._record(record)

    def _attempt(self, run: str, number: int, works: Mapping[str, tuple[str, str]]) -> None:
        stage = self._run(run).stage
        first = not self._run(run).stage_attempts.get(stage)
        self._claim(run)
        state = self._run(run)
        assert state.claim is not None
        n = state.claim.n
        fails = stage is Stage.BUILD and first and number % 4 == 3
        files = _files(run, stage, fails=fails)
        facts = _facts(stage, number, files, works["bad" if fails else "work"][1], fails=fails)
        found = judge(state, stage, facts, self._rules, self._now)
        record = Finished(
            at=self._now,
            run=run,
            stage=stage,
            n=n,
            nonce=state.claim.nonce,
            facts=facts,
            action=found.action,
            rule=found.rule,
            to=found.to,
            ask=found.ask,
            wake=found.wake,
            evidence={name: sha256(data) for name, data in sorted(files.items())},
        )
        folder = attempt_path(run, n)
        changes: dict[str, bytes | str | None] = {f"{folder}/{k}": v for k, v in files.items()}
        if facts.tree:
            changes[f"{folder}/tree"] = facts.tree
        self._record(record, changes)

    def _sources(self, number: int) -> Sources:
        """What the page of its question is written from: there is no evidence but the work."""
        lines = {JOURNAL: 1} if number % JOURNAL_EVERY == 0 else {}
        lines |= {part(number): 5}
        width, total = max(map(len, lines)), sum(lines.values())
        rows = [f" {path:<{width}} | {n} {'+' * n}" for path, n in lines.items()]
        rows.append(f" {len(lines)} file{'s'[: len(lines) - 1]} changed, {total} insertions(+)\n")
        return Sources(
            snapshot=self.snapshot,
            by_pull=False,
            read=lambda _path: None,
            stat=lambda _old, _new: "\n".join(rows),
            governance=lambda _digest: self._rules,
            task=lambda _name: None,
            proposal=_nothing,
            adopted=_nothing,
            on_main=_nothing,
            past=_nothing,
        )

    def _held(self, run: str, number: int) -> tuple[str, str]:
        """Ask whether it may land, and show the question on main. The item, the commit of main."""
        state, item = self._run(run), item_id(self.snapshot)
        # The work has no queue and a backlog without marks and ids: its content is itself.
        facts = Facts(main="", contents={run: state.work})
        kind = ItemKind.STAGE_REVIEW
        record = Held(
            at=self._now,
            item=item,
            item_kind=kind,
            run=run,
            stage=state.stage,
            question="Land this work?",
            rule=landing_checkpoint(state, self._rules.loop),
            subject=subject_of(self.snapshot, facts, state, item, kind, ""),
            expires_at=self._now + 7 * 86400,
            main=state.base,
        )
        page = page_of(self._sources(number), record)
        mark = self._record(record, {f"queue/{item}.md": page})
        message = f"lifeos: 1 question waits ({item})\n\nLifeos-Ledger: {self._import.oid(mark)}\n"
        self._main = self._import.commit(
            "refs/heads/main",
            message.encode(),
            self._now,
            {f".lifeos/queue/{item}.md": page},
            (self._main,),
        )
        return item, self._main

    def _answered(self, item: str, parent: str) -> str:
        """Ada approves. The commit of main that has her answer."""
        raw = answer_text(item, Decision.APPROVE, self.snapshot.items[item].subject)
        mark = self._import.commit(
            "refs/heads/main",
            f"approve {item}\n".encode(),
            self._now,
            {answer_path(item): raw},
            (parent,),
            _WHO,
        )
        commit = self._import.oid(mark)
        record = Resolved(
            at=self._now,
            item=item,
            decision=Decision.APPROVE,
            who=_WHO[1],
            trust=Trust.COMMIT,
            commit=commit,
            raw=raw.decode(),
            main=commit,
        )
        self._record(record, {f"queue/{item}.md": None})
        self._main = mark
        return commit

    def _land(self, run: str, work: str, onto: str, item: str) -> None:
        state = self._run(run)
        message = f"Land {state.task}\n\nLifeos-Ledger: {self._import.oid(self._tip)}\n"
        changes: dict[str, bytes | str | None] = {
            f".lifeos/queue/{item}.md": None,
            answer_path(item): None,
        }
        changes |= self._brought(state)
        self._main = self._import.commit(
            "refs/heads/main", message.encode(), self._now, changes, (self._main, work)
        )
        landed = self._import.oid(self._main)
        tree = self._import.tree(self._main)
        note = Noted(
            at=self._now, topic=Topic.LANDING, run=run, commit=landed, onto=onto, tree=tree
        )
        before = self._import.oid(self._record(note))
        self._close(run, landed, before)

    def _brought(self, state: Run) -> dict[str, bytes | str | None]:
        number = int(state.paths[0].rpartition("part")[2].removesuffix(".py"))
        text = f"PART = {number}\n\n\ndef answer():\n    return PART\n"
        brought: dict[str, bytes | str | None] = {part(number): text.encode()}
        if number % JOURNAL_EVERY == 0:
            brought[JOURNAL] = self._journal
        return brought

    def _close(self, run: str, landed: str, before: str) -> None:
        state = self._run(run)
        packet = assemble(
            state,
            f"- [ ] **{state.task}** {state.title}\n",
            self._told,
            artifacts={},
            sandbox="bwrap",
            ledger_root=self.snapshot.root,
            ledger_tip=before,
            versions={"lifeos": __version__, "python": "3"},
            outcome=CloseOutcome.PASS,
            landed=landed,
            at=self._now,
        )
        text = statement(packet)
        ended = Ended(
            task=state.task,
            run=run,
            ordinal=1,
            outcome=CloseOutcome.PASS,
            task_digest=state.task_digest,
            landed=landed,
            ledger=before,
            at=self._now,
        )
        folder = packet_path(run)
        record = Closed(
            at=self._now, run=run, outcome=CloseOutcome.PASS, landed=landed, packet=sha256(text)
        )
        changes: dict[str, bytes | str | None] = {
            f"runs/{run}": None,
            f"{folder}/packet.json": text.encode(),
            f"{folder}/packet.md": markdown(packet).encode(),
            closed_path(state.task): ended.model_dump_json().encode(),
        }
        self._record(record, changes)


def _nothing() -> Never:
    raise AssertionError("no question here is about rules or a proposal")


def _files(run: str, stage: Stage, *, fails: bool) -> dict[str, bytes]:
    if stage in (Stage.DESIGN, Stage.PLAN):
        text = f"# {stage} of {run}\n\nWhat is done, and how it is checked.\n"
        return {f"{stage.value}.md": text.encode()}
    if fails:
        return {"feedback.md": f"test_failure: 1 test failed in {run}\n".encode()}
    return {}


def _facts(
    stage: Stage, number: int, files: Mapping[str, bytes], tree: str, *, fails: bool
) -> AttemptFacts:
    made = files.get("design.md") or files.get("plan.md")
    known: dict[str, object] = {
        "outcome": FailureClass.TEST_FAILURE if fails else _MADE[stage],
        "artifact": sha256(made) if made else "",
        "usage": Usage(seconds=12.345),
    }
    if stage is Stage.BUILD:
        paths = (part(number), *([JOURNAL] if number % JOURNAL_EVERY == 0 else []))
        status = "failed" if fails else "passed"
        checks = (CheckFact(name="tests", status=status), CheckFact(name="lint", status="ok"))
        known |= {"tree": tree, "paths": paths, "lines": 6, "checks": checks}
    if fails:
        known |= {"message": "1 test failed", "error": sha256(f"{number} failed")}
    if _MADE[stage] is Verdict.ACCEPT:
        known["mode"] = Mode.M1
    return AttemptFacts.model_validate(known)
