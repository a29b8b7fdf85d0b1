"""A whole tick that can be killed at any step, and a look at what is left in the end.

Every step of lifeos that touches the disk or starts a process tells a trace function first and
afterwards. Here that function ends the process, so a point is one number: the how-manieth event.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from conftest import EMAIL, EPOCH, NAME, Git
from lifeos.core.answers import answer_text
from lifeos.core.policy import Check, CheckKind
from lifeos.core.records import (
    AnyRecord,
    Claimed,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
)
from lifeos.idle import idle_line
from lifeos.initial import render_init
from lifeos.model import Decision, FailureClass
from lifeos.sandbox import choose
from lifeos.store.entries import read_entries
from lifeos.store.history import is_ancestor
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.store.trees import Edit, edit, lookup
from lifeos.tick.begin import begin
from lifeos.tick.context import Context, World
from lifeos.tick.loop import Tick
from lifeos.tick.verify import verify_ledger

MAIN = "refs/heads/main"
CHILD_LIMIT = 90.0
"""Seconds after which a child that should have ended fails the test instead of hanging it."""

BACKLOG = """\
# Backlog

## P0

- [ ] **LO-aaaaaa** Say hello in the guide #docs
  - scope: `docs/**`
  - risk: low

  Acceptance:
  - [ ] it says hello: `grep -q hello docs/guide.md`

  ```sh recipe
  mkdir -p docs && echo hello > docs/guide.md
  ```

- [ ] Answer with a number
  - scope: `src/**`

  ```sh recipe
  echo 'answer = 42' > src/answer.py
  ```

## P3

- [ ] **LO-cccccc** Something for later
  - depends: LO-dddddd

- [-] **LO-dddddd** Something that nobody wants
"""
WORKS = Check(
    name="works", run="grep -q 'answer = ' src/answer.py", kind=CheckKind.TEST, pinned=("Makefile",)
)
MINE = b"\n- [ ] **LO-eeeeee** A thought of mine, not committed yet\n"
DRAFT = b"# A project\n\nhalf a sentence that I am still wri"


# --- the scene --------------------------------------------------------------------------------


def build(folder: Path) -> Path:
    """A repository with governance, two tasks that can be done, and a person in mid-work."""
    folder.mkdir(parents=True)
    git = Git(folder)
    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.name", NAME)
    git("config", "user.email", EMAIL)
    files = dict(render_init(NAME, EMAIL, "main", (WORKS,)))
    loop = files["policies/loop.yaml"]
    files["policies/loop.yaml"] = loop.replace(b"autonomy: supervised", b"autonomy: full")
    assert files["policies/loop.yaml"] != loop
    files["BACKLOG.md"] = BACKLOG.encode()
    files["README.md"] = b"# A project\n"
    files["src/answer.py"] = b"answer = 41\n"
    for name, data in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    git("add", "--all")
    git("commit", "--quiet", "--message=Begin")
    (folder / "BACKLOG.md").write_bytes(BACKLOG.encode() + MINE)
    (folder / "README.md").write_bytes(DRAFT)
    return folder


def approve(folder: Path) -> None:
    """The person answers the only open item, and commits nothing but the answer."""
    with Repo.open(folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        (item,) = ledger.snapshot.items.values()
    path = f".lifeos/queue/{item.id}.approval.yaml"
    (folder / path).write_bytes(answer_text(item.id, Decision.APPROVE, item.subject))
    git = Git(folder)
    git.now += 5_000
    git("add", path)
    git("commit", "--quiet", "--message=Approve", "--", path)


def copy(scene: Path, to: Path) -> Path:
    """A scene of its own for one point; the index is told that the files are the same."""
    shutil.copytree(scene, to, symlinks=True)
    subprocess.run(["git", "status"], cwd=to, check=True, capture_output=True)
    return to


# --- the tick ---------------------------------------------------------------------------------


@dataclass
class Trace:
    """Counts the events, and ends this very process inside one of them (0: never)."""

    kill_at: int = 0
    names: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: str) -> None:
        with self._lock:
            self.names.append(event)
            if len(self.names) == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Sequence:
    """A clock that goes on by a second with each look, and nonces that never repeat."""

    now: int
    name: str
    count: int = 0

    def __post_init__(self) -> None:
        self.name += f"{self.now:x}"

    def clock(self) -> float:
        self.now += 1
        return self.now

    def nonce(self) -> str:
        self.count += 1
        return f"{self.name}{self.count:08x}".rjust(32, "0")


def tick(folder: Path, trace: Callable[[str], None], sequence: Sequence) -> str:
    """What the command ``lifeos tick`` does; gives what it says. The first line may be all."""
    said = idle_line(str(folder), sequence.now)
    if said:
        return said
    world = World(clock=sequence.clock, nonce=sequence.nonce, trace=trace)
    with Repo.open(folder, trace) as repo:
        # The ledger's beginning is the same in every run, so that all that follows can be compared.
        first = replace(world, clock=lambda: EPOCH + 1_000.0, nonce=lambda: "0" * 32)
        ledger = Ledger.open(repo) or begin(repo, first)
        ctx = Context(repo=repo, ledger=ledger, world=world)
        report = Tick(ctx).run()
        return report.standing(tuple(ctx.ledger.snapshot.items))


def in_child(work: Callable[[], object], log: Path) -> tuple[int, str]:
    """Do something in a forked child. Its status as of ``waitpid``, and what it wrote."""
    child = os.fork()
    if child == 0:
        _be_child(work, log)
    deadline = time.monotonic() + CHILD_LIMIT
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), log.read_text(errors="replace")
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return 99, f"no end after {CHILD_LIMIT} s\n{log.read_text(errors='replace')}"
        time.sleep(0.005)


def _be_child(work: Callable[[], object], log: Path) -> NoReturn:
    status = 70
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        try:
            result = work()
            os.write(descriptor, str(result or "").encode())
            status = 0
        except BaseException:  # noqa: BLE001 - a forked child must never return into pytest
            os.write(descriptor, traceback.format_exc().encode())
    finally:
        os._exit(status)


# --- what is left -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Left:
    """All that must be the same however often the tick was killed; and what must never be."""

    decisions: dict[str, list[str]]
    tree: str
    backlog: str
    status: str
    files: dict[str, str]
    landings: list[str]
    shown: dict[str, str]
    pending: int
    items: int
    wrong: list[str]


def look(folder: Path) -> Left:
    """The state of a repository after its tick, as an outsider sees it."""
    wrong: list[str] = []
    git = Git(folder)
    fsck = subprocess.run(
        ["git", "fsck", "--strict", "--no-dangling"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if fsck.returncode != 0 or "error" in fsck.stderr:
        wrong.append(f"git fsck: {fsck.stdout}{fsck.stderr}")
    with Repo.open(folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        main = repo.refs.read(MAIN) or ""
        found = verify_ledger(repo, ledger.tip, main)
        wrong += [f"verify: {finding.commit} {finding.what}" for finding in found.findings]
        runs = ledger.snapshot.runs
        wrong += [f"{run.id} is still claimed" for run in runs.values() if run.claim]
        pending = [p for p in git("ls-tree", "-r", "--name-only", "main").split("\n") if "Q-" in p]
        asked = {f".lifeos/queue/{item}.md" for item in ledger.snapshot.items}
        if {p for p in pending if p.endswith(".md")} != asked:
            wrong.append(f"the queue shows {pending} for {asked}")
        tree = repo.objects.commit(main).tree
        gone: dict[str, Edit] = {".lifeos/queue": None}
        bare = edit(repo.objects, tree, gone) if lookup(repo.objects, tree, ".lifeos/queue") else ""
        decisions = _decisions(repo, ledger.tip, wrong)
        landings = _landings(repo, git, ledger.tip, wrong)
        items = len(ledger.snapshot.items)
    wrong += _leftovers(folder)
    if git("diff", "--cached", "--name-only"):
        wrong.append("something is staged")
    shown = git("for-each-ref", "--format=%(refname) %(tree)", "refs/lifeos/run")
    changed = git("status", "--porcelain", "--untracked-files=all")
    return Left(
        decisions=decisions,
        tree=bare or tree,
        backlog=git("show", "main:BACKLOG.md"),
        status=changed,
        files={
            line[3:]: (folder / line[3:]).read_bytes().decode() for line in changed.splitlines()
        },
        landings=landings,
        shown=dict(line.split(" ") for line in shown.splitlines()),
        pending=len(pending),
        items=items,
        wrong=wrong,
    )


def _decisions(repo: Repo, tip: str, wrong: list[str]) -> dict[str, list[str]]:
    """By title of the task: what was decided, without the attempts that were interrupted."""
    titles: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    before_claim: dict[str, int] = {}
    of_item: dict[str, str] = {}
    for entry in read_entries(repo, tip):
        record = entry.record
        run = getattr(record, "run", None) or of_item.get(getattr(record, "item", ""), "")
        if isinstance(record, Opened):
            titles[run] = record.title
        elif isinstance(record, Held):
            of_item[record.item] = run
        title = titles.get(run, "")
        lines = found.setdefault(title, [])
        if isinstance(record, Claimed):
            before_claim[run] = len(lines)
        if isinstance(record, Finished) and _interrupted(record):
            del lines[before_claim[run] :]
        else:
            lines.append(_line(record))
    for title, lines in found.items():
        closed = [number for number, line in enumerate(lines) if line.startswith("closed")]
        if closed not in ([], [len(lines) - 1]):
            wrong.append(f"{title!r} was closed and went on: {lines}")
    return found


def _interrupted(record: Finished) -> bool:
    return record.facts is not None and record.facts.outcome is FailureClass.INTERRUPTED


def _line(record: AnyRecord) -> str:
    """A record without what may differ between two runs: times, ids, numbers of attempts."""
    parts: list[str] = []
    match record:
        case Claimed():
            parts = [record.stage]
        case Finished():
            outcome = record.facts.outcome if record.facts else "-"
            parts = [record.stage, outcome, record.action, record.rule, record.to]
        case Held():
            parts = [record.item_kind, record.rule]
        case Resolved():
            parts = [record.decision, record.who]
        case Closed():
            parts = [record.outcome]
        case Noted():
            parts = [record.topic]
        case _:
            pass
    return " ".join([record.kind, *parts])


def _landings(repo: Repo, git: Git, tip: str, wrong: list[str]) -> list[str]:
    """The subjects of the landing commits on main, oldest first."""
    listed = git("log", "--reverse", "--first-parent", "--merges", "--format=%H %s", "main")
    landings = [line.split(" ", 1) for line in listed.split("\n") if line]
    closed = {
        entry.record.landed
        for entry in read_entries(repo, tip)
        if isinstance(entry.record, Closed) and entry.record.landed
    }
    if {commit for commit, _ in landings} != closed:
        wrong.append(f"landed on main: {landings}; closed: {closed}")
    wrong += [
        f"{commit} is not on main"
        for commit in closed
        if not is_ancestor(repo, commit, git("rev-parse", "main"))
    ]
    subjects = [subject for _, subject in landings]
    if len(set(subjects)) != len(subjects):
        wrong.append(f"landed twice: {subjects}")
    return [re.sub(r"LO-[a-z0-9]{6}", "LO", subject) for subject in subjects]


#: Lock files of lifeos's own stay: the kernel releases them. So does what is kept on purpose.
STAYS = {"tick.lock", "refs.lock", "git.lock", "ledger.lock", "checkout.lock"}


def _leftovers(folder: Path) -> Iterator[str]:
    git = folder / ".git"
    private = git / "lifeos"
    for path in sorted(git.rglob("*.lock")):
        if not (path.parent == private and path.name in STAYS):
            yield f"left behind: {path}"
    for name in ("bundles", "work", "checkout-stage", "quarantine"):
        kept = sorted((private / name).iterdir()) if (private / name).is_dir() else []
        yield from (f"left behind: {path}" for path in kept)
    for pattern in (
        "checkout-intent*",
        "ref-owner*",
        "index-owner*",
        "ignore-*",
        "*.new",
        "cache/*.new",
    ):
        yield from (f"left behind: {path}" for path in sorted(private.glob(pattern)))
    for path in sorted(folder.rglob(".lifeos-*")):
        yield f"left behind: {path}"


# --- one point --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """Where to kill: the events at which one tick after the other is killed."""

    kills: tuple[int, ...]
    name: str = ""


def live_through(scene: Path, place: Path, point: Point, wanted: Left | None) -> list[str]:
    """Kill the tick at a point, tick once more as a person would, and say what is wrong."""
    folder = copy(scene, place / "repo")
    start = _start_of(folder)
    wrong: list[str] = []
    for number, kill_at in enumerate(point.kills):
        sequence = Sequence(start + 60 * number, f"{number + 1}")
        log = place / f"killed-{number}.log"
        status, said = in_child(partial(tick, folder, Trace(kill_at), sequence), log)
        if status not in (-signal.SIGKILL, 0):
            wrong.append(f"tick {number} was not killed but ended with {status}: {said}")
    sequence = Sequence(start + 60 * len(point.kills), "f")
    status, said = in_child(partial(tick, folder, Trace(), sequence), place / "next.log")
    if status != 0:
        return [*wrong, f"the next tick ended with {status}: {said}"]
    left = look(folder)
    wrong += left.wrong
    if wanted is not None:
        for name, value in asdict(wanted).items():
            mine = asdict(left)[name]
            if name != "wrong" and mine != value:
                wrong.append(f"{name}: {mine!r} instead of {value!r}")
    tip = Git(folder)("rev-parse", "main", "lifeos/ledger")
    status, again = in_child(partial(tick, folder, Trace(), sequence), place / "again.log")
    if status != 0 or again.strip() != said.strip():
        wrong.append(f"one more tick says {again!r} ({status}) instead of {said!r}")
    if Git(folder)("rev-parse", "main", "lifeos/ledger") != tip:
        wrong.append("one more tick found more to do")
    return wrong


def _start_of(folder: Path) -> int:
    """A time after everything in the scene."""
    newest = Git(folder)("log", "-1", "--all", "--format=%ct")
    return int(newest) + 2_000


def whole_run(scene: Path, place: Path) -> tuple[Left, list[str]]:
    """The tick without a kill: what it leaves, and the events on the way."""
    folder = copy(scene, place / "repo")
    sequence = Sequence(_start_of(folder), "1")

    def work() -> str:
        trace = Trace()
        tick(folder, trace, sequence)
        return json.dumps(trace.names)

    status, said = in_child(work, place / "whole.log")
    assert status == 0, said
    return look(folder), json.loads(said)


def plain(event: str) -> str:
    """An event without what differs from run to run."""
    return re.sub(r"(R|Q)-[a-z0-9]+", r"\1", event)


def sample(events: list[str], wanted: int) -> list[int]:
    """Numbers of events, evenly spaced, with at least one of each name."""
    step = max(1, len(events) // wanted)
    chosen = set(range(step, len(events) + 1, step))
    covered = {plain(events[number - 1]) for number in chosen}
    for number, event in enumerate(events, 1):
        if plain(event) not in covered:
            covered.add(plain(event))
            chosen.add(number)
    return sorted(chosen)


def campaign(
    scene: Path, place: Path, points: Iterable[Point], wanted: Left, workers: int = 2
) -> list[str]:
    """Live through many points, a few at a time. What is wrong, by point."""
    listed = list(points)
    choose("bwrap").available()  # remembered by every child that is forked from here
    children: dict[int, Path] = {}
    for worker in range(workers):
        log = place / f"worker-{worker}.json"
        child = os.fork()
        if child == 0:
            _be_child(partial(_work, scene, place, listed[worker::workers], wanted), log)
        children[child] = log
    wrong: list[str] = []
    for child, log in children.items():
        _, status = os.waitpid(child, 0)
        text = log.read_text(errors="replace")
        wrong += json.loads(text) if status == 0 else [f"a worker died: {text}"]
    return wrong


def _work(scene: Path, place: Path, points: list[Point], wanted: Left) -> str:
    wrong = []
    for point in points:
        mine = place / "-".join(str(number) for number in point.kills)
        mine.mkdir(parents=True)
        found = live_through(scene, mine, point, wanted)
        wrong += [f"killed at {point.kills} {point.name}: {what}" for what in found]
        if not found:
            shutil.rmtree(mine)
    return json.dumps(wrong)
