"""Pieces of what very much work would cost: what docs/reference/scale.md is reckoned from.

Not part of the page of costs: `python bench/run.py --rows scale` prints them. Nothing here is as
large as what it is the measure for; the sizes are in the names of the rows.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from clock import calls, commands, once
from lifeos.core.decide import decide
from lifeos.core.facts import TaskFact
from lifeos.core.records import Claimed, Noted, Opened, Topic
from lifeos.model import Stage
from lifeos.store.ledger import BRANCH, Ledger
from lifeos.store.repo import Repo
from lifeos.tick.begin import begin
from lifeos.tick.ci_claim import Claiming
from lifeos.tick.context import Context, Limits, World
from lifeos.tick.gather import Gatherer
from lifeos.tick.perform import run_id
from lifeos.tick.reading import main_at
from lifeos.tick.tasks import fact_of, read_tasks
from longledger import BEGIN, PAUSE, oid, task_id, title
from page import Row, ms
from scene import Scene, backlog_text, console_script, git, new_repository

NOT_PROMISED = "(no figure is promised)"
LEASE = 3600


def rows(scene: Scene) -> list[Row]:
    """Every piece."""
    return [
        *_open_runs(scene),
        _marks(scene),
        _whole(scene),
        *_copies(scene),
        _endings(scene),
        *_worked_on(scene),
    ]


# --- many open runs ---------------------------------------------------------------------------


def _open_runs(scene: Scene) -> Iterator[Row]:
    """A look, and a decision, with so many runs open at once; and with all of them claimed."""
    most = scene.size.tasks
    with _with_runs(scene, most // 10) as repo:
        yield _looked(repo, most // 10, "ready")
        yield _batch(repo, most // 10)
        yield _looked(repo, most // 10, "claimed")
    with _with_runs(scene, most) as repo:
        yield _looked(repo, most, "ready")
        _claim_all(repo)
        yield _looked(repo, most, "claimed")


def _batch(repo: Repo, count: int) -> Row:
    """`lifeos ci claim` of all of them, in this process."""
    claiming = Claiming(_context(repo), count)
    spent = once(claiming.batch)
    assert len(claiming.made) == count
    return Row(
        f"`lifeos ci claim` of {count:,} open runs in one batch",
        NOT_PROMISED,
        ms(spent),
        None,
        f"{spent / count:.1f} ms a claim: each is a step of its own, with a look and a decision.",
    )


def _with_runs(scene: Scene, count: int) -> Repo:
    path = scene.folder / "runs"
    shutil.rmtree(path, ignore_errors=True)
    repo = new_repository(path, backlog_text(count))
    begin(repo, World(clock=lambda: BEGIN))
    ctx = _context(repo)
    tasks = read_tasks(ctx, main_at(repo, ctx.main()))
    for task in tasks.backlog.tasks:
        fact = fact_of(ctx, tasks, task, with_commands=False)
        ctx.ledger.append(
            _opening(ctx, fact), artifacts={f"runs/{run_id(ctx, fact)}/task.md": b"x"}
        )
    ctx.ledger.save()
    return repo


def _opening(ctx: Context, task: TaskFact) -> Opened:
    snapshot = ctx.ledger.snapshot
    return Opened(
        at=snapshot.at + PAUSE,
        run=run_id(ctx, task),
        task=task.id,
        title=task.title,
        task_digest=task.digest,
        ordinal=1,
        base=ctx.main(),
        governance=snapshot.governance,
        scope=task.scope,
        tags=task.tags,
        risk=task.risk,
    )


def _claim_all(repo: Repo) -> None:
    """Every run claimed for a matrix, with leases that are not over."""
    ctx = _context(repo)
    for run in ctx.ledger.snapshot.runs.values():
        at = ctx.ledger.snapshot.at
        ctx.ledger.append(
            Claimed(
                at=at,
                run=run.id,
                stage=Stage.DESIGN,
                n=1,
                nonce=oid(run.id)[:32],
                worker="ci",
                lease_until=at + 100 * LEASE,
                base=run.base,
            )
        )
    ctx.ledger.save()


def _context(repo: Repo) -> Context:
    """The ledger as a new process finds it, at a time soon after its last record."""
    ledger = Ledger.open(repo)
    assert ledger is not None
    world = World(clock=lambda: ledger.snapshot.at)
    return Context(repo=repo, ledger=ledger, world=world, limits=Limits(tasks=0))


def _looked(repo: Repo, count: int, state: str) -> Row:
    opening = once(lambda: _context(repo))
    ctx = _context(repo)
    gatherer = Gatherer(ctx)
    first = once(gatherer.gather)
    spent = []
    for number in range(5):
        note = Noted(at=ctx.now(), topic=Topic.REVERTED, task="LO-none", text=str(number))
        ctx.ledger.append(note)
        spent.append(once(gatherer.gather))
    facts = gatherer.gather().facts
    steps = decide(ctx.ledger.snapshot, facts, ctx.now())
    assert len(steps) == (count if state == "ready" else 0)
    decided = calls({"": lambda: decide(ctx.ledger.snapshot, facts, ctx.now())}, 5)[""]
    later = min(spent)
    state_bytes = len(ctx.ledger.snapshot.model_dump_json())
    return Row(
        f"{count:,} open runs, all {state}: a look, and a decision",
        NOT_PROMISED,
        f"{ms(later)} and {ms(decided)}",
        None,
        f"{(later + decided) / count * 1000:.0f} microseconds a run and step; the first look of a"
        f" tick {ms(first)}, hydrating from the cache {ms(opening)}, a `state.json` of"
        f" {state_bytes:,} bytes.",
    )


# --- main and its backlog ---------------------------------------------------------------------


def _marks(scene: Scene) -> Row:
    """What each new version of a long backlog costs: it is read again, and is a new blob."""
    count = scene.size.backlog
    path = scene.folder / "marks"
    shutil.rmtree(path, ignore_errors=True)
    text = backlog_text(count)
    with new_repository(path, text) as repo:
        begin(repo, World())
        ctx = _context(repo)
        cold = once(lambda: read_tasks(ctx, main_at(repo, ctx.main())))
        for number in range(3):
            data = (path / "BACKLOG.md").read_text().replace("- [ ] **", "- [x] **", 1)
            (path / "BACKLOG.md").write_text(data)
            git(path, "commit", "-q", "-a", "-m", f"Mark {number}")
        after = once(lambda: read_tasks(ctx, main_at(repo, ctx.main())))
    loose = len(zlib.compress(text.encode(), 1))
    git(path, "gc", "-q")
    git(path, "repack", "-adfq", "--depth=50")
    listed = git(path, "log", "--format=%H").split()
    blobs = [git(path, "rev-parse", f"{commit}:BACKLOG.md") for commit in listed]
    sizes = [_size_on_disk(path, blob) for blob in blobs]
    return Row(
        f"one mark changed in a backlog of {count:,} tasks",
        NOT_PROMISED,
        f"{ms(after)} to read it again",
        None,
        f"the first time {ms(cold)}. The file has {len(text):,} bytes; each version is about"
        f" {loose:,} bytes until it is packed, and {min(sizes):,} after.",
    )


def _whole(scene: Scene) -> Row:
    """A whole tick that does one task, in a long backlog and in a short one."""
    count = scene.size.backlog
    short, long = _ticks(scene, 10), _ticks(scene, count)
    return Row(
        f"a tick that does one task, among {count:,} open ones",
        NOT_PROMISED,
        f"{ms(min(long))}; among 10: {ms(min(short))}",
        None,
        f"a recipe of one `echo` through all stages to its landing; the first time {ms(long[0])},"
        " which also reads the backlog for the first time.",
    )


def _ticks(scene: Scene, count: int) -> list[float]:
    """Milliseconds of three ticks of one task each, beside so many open tasks."""
    path = scene.folder / "whole"
    shutil.rmtree(path, ignore_errors=True)
    _free(path, _recipes(3) + backlog_text(count))
    command = (console_script(), "tick", "--max-tasks", "1")
    return [once(lambda: _quiet(path, command)) for _ in range(3)]


def _size_on_disk(folder: Path, blob: str) -> int:
    done = subprocess.run(
        ("git", "cat-file", "--batch-check=%(objectsize:disk)"),
        cwd=folder,
        input=blob,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


# --- a long ledger ----------------------------------------------------------------------------


def _copies(scene: Scene) -> Iterator[Row]:
    """A clone of a long ledger, and fetching a little of it."""
    source = scene.ledger(scene.size.long)
    hub, copy = scene.folder / "hub.git", scene.folder / "copy"
    for place in (hub, copy):
        shutil.rmtree(place, ignore_errors=True)
    git(scene.folder, "clone", "-q", "--bare", str(source), str(hub))
    packing = once(lambda: git(hub, "repack", "-adfq"))
    size = sum(path.stat().st_size for path in hub.rglob("*") if path.is_file())
    count = int(git(hub, "rev-list", "--count", BRANCH))
    cloning = once(
        lambda: git(scene.folder, "clone", "-q", "--bare", "--no-local", str(hub), str(copy))
    )
    back = git(copy, "rev-parse", f"{BRANCH}~100")
    git(copy, "update-ref", BRANCH, back)
    git(copy, "-c", "gc.reflogExpire=now", "repack", "-adq")
    fetching = once(lambda: git(copy, "fetch", "-q", str(hub), BRANCH))
    nothing = calls({"": lambda: git(copy, "fetch", "-q", str(hub), BRANCH)}, 3)[""]
    yield Row(
        f"a clone of a ledger of {count:,} transitions, over git's protocol by path",
        NOT_PROMISED,
        f"{ms(cloning)}",
        None,
        f"{size:,} bytes packed, {size / count:.0f} a transition with all that it carries; packing"
        f" {ms(packing)}.",
    )
    yield Row(
        f"a fetch from a ledger of {count:,} transitions",
        NOT_PROMISED,
        f"{ms(fetching)} for the last 100, {ms(nothing)} for nothing new",
        None,
    )


def _endings(scene: Scene) -> Row:
    """What the age of a project costs a tick at work: the ends of all its tasks."""
    source = scene.ledger(scene.size.long)
    with Repo.open(source) as repo:
        ctx = _context(repo)
        closed = git(source, "ls-tree", "-r", "--name-only", BRANCH, "closed/").splitlines()
        names = [Path(one).name for one in closed]
        spent = once(lambda: ctx.ledger.endings(names))
        few = _context(repo)
        one = once(lambda: few.ledger.endings(names[:1]))
    return Row(
        f"the ends of {len(names):,} tasks, read by a new process",
        NOT_PROMISED,
        ms(spent),
        None,
        f"of one of them {ms(one)}: the folder is read whole, the ends only where main still has"
        " the task, and not ticked.",
    )


def _worked_on(scene: Scene) -> Iterator[Row]:
    """`lifeos verify` on what real ticks recorded, at two lengths; and what they leave unpacked."""
    spent, lengths = [], []
    for count in (scene.size.backlog // 1000 * 2, scene.size.backlog // 1000 * 5):
        path = _worked(scene.folder / "worked", count)
        command = (sys.executable, "-m", "lifeos", "verify", "--quiet")
        spent.append(commands({"": (path, command)}, 3)[""])
        lengths.append(int(git(path, "rev-list", "--count", BRANCH)))
    each = (spent[1] - spent[0]) / (lengths[1] - lengths[0])
    yield Row(
        "`lifeos verify`, for each transition",
        NOT_PROMISED,
        f"{each:.2f} ms",
        None,
        f"{lengths[0]} transitions {ms(spent[0])}, {lengths[1]} transitions {ms(spent[1])}: all is"
        " decided again, and every tree that a question or a landing names is computed anew.",
    )
    lines = git(path, "count-objects", "-v").splitlines()
    counted = {name: int(value) for name, _, value in (line.partition(": ") for line in lines)}
    packing = once(lambda: git(path, "gc", "-q"))
    packed = git(path, "count-objects", "-v").splitlines()
    size = next(int(line.split(": ")[1]) for line in packed if line.startswith("size-pack"))
    yield Row(
        f"what {lengths[1]} transitions of {count} tasks leave, with main's history",
        NOT_PROMISED,
        f"{counted['count'] / lengths[1]:.1f} objects and {counted['size'] / lengths[1]:.1f} KiB a"
        " transition before packing",
        None,
        f"{size * 1024 / lengths[1]:.0f} bytes a transition after `git gc`, which took"
        f" {ms(packing)}.",
    )


def _worked(path: Path, count: int) -> Path:
    """A repository in which so many tasks were done by a tick."""
    shutil.rmtree(path, ignore_errors=True)
    _free(path, _recipes(count))
    _quiet(path, (console_script(), "tick"))
    assert git(path, "ls-files", "docs").count("\n") == count - 1
    return path


def _recipes(count: int) -> str:
    return "".join(
        f"\n- [ ] **{task_id(number)}** {title(number)}\n  - scope: `docs/{number}.md`\n"
        f"  - risk: low\n\n  ```sh recipe\n  mkdir -p docs\n"
        f"  echo {number} > docs/{number}.md\n  ```\n"
        for number in range(count)
    )


def _free(path: Path, backlog: str) -> None:
    """A repository with this backlog, in which nothing is asked."""
    new_repository(path, backlog).close()
    loop = "version: 1\nautonomy: full\ntasks_per_tick: 1000\n"
    (path / "policies/loop.yaml").write_text(loop)
    git(path, "commit", "-q", "-a", "-m", "Do not ask")


def _quiet(folder: Path, command: Sequence[str]) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
