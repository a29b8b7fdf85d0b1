"""What a tick costs around the work itself: the backlog, a look at everything, an attempt."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from clock import once
from lifeos.core.decide import decide
from lifeos.core.records import Claimed, Finished
from lifeos.model import Stage
from lifeos.store.ledger import BRANCH, Ledger
from lifeos.store.repo import Repo
from lifeos.tick.begin import begin
from lifeos.tick.context import Context, Limits, World
from lifeos.tick.gather import Gatherer
from lifeos.tick.loop import Tick
from lifeos.tick.reading import main_at
from lifeos.tick.tasks import read_tasks
from page import Row, ms
from scene import Scene, backlog_text, new_repository

RECIPE = """
- [ ] **LO-aaaaaa** Greet whoever comes
  - scope: `greeting.txt`
  - risk: low

  ```sh recipe
  echo hello > greeting.txt
  ```
"""


def rows(scene: Scene) -> list[Row]:
    """Every row about a tick at work."""
    return [*_backlog(scene), _attempt(scene)]


def _backlog(scene: Scene) -> list[Row]:
    count = scene.size.backlog
    path = scene.folder / "backlog"
    shutil.rmtree(path, ignore_errors=True)
    with new_repository(path, backlog_text(count)) as repo:
        begin(repo, World())
    full = min(_reading(path, fresh=True) for _ in range(3))
    known = min(_reading(path, fresh=False) for _ in range(5))
    first, later, steps = _gathering(path)
    limit = 10.0
    return [
        Row(
            f"backlog of {count:,} tasks, unchanged",
            "cache hit, a few ms",
            f"{ms(known)}; read in full {ms(full)}",
            known <= limit,
            f"a new process that finds the parsed backlog of this blob; “a few” is taken as"
            f" {limit:.0f} ms.",
        ),
        Row(
            f"a look at everything between two steps of a tick, {count:,} open tasks",
            "(no figure is promised)",
            f"{ms(later)}",
            None,
            f"the first look of a tick {ms(first)}; each later one, as here, is after a step that"
            f" changed the ledger; {steps} of them, the mean.",
        ),
    ]


def _reading(path: Path, *, fresh: bool) -> float:
    if fresh:
        shutil.rmtree(path / ".git" / "lifeos" / "cache", ignore_errors=True)
    with Repo.open(path) as repo:
        ctx = _context(repo)
        commit = ctx.main()  # reads the rules
        repo.objects.commit(commit)
        return once(lambda: read_tasks(ctx, main_at(repo, commit)))


def _context(repo: Repo) -> Context:
    ledger = Ledger.open(repo)
    assert ledger is not None
    return Context(repo=repo, ledger=ledger, world=World(), limits=Limits(tasks=1))


def _gathering(path: Path) -> tuple[float, float, int]:
    """Milliseconds of the first look and of the later ones: a run is opened, then claims noted."""
    from lifeos.core.records import Noted, Topic

    with Repo.open(path) as repo:
        ctx = _context(repo)
        ctx.ledger.save()
        gatherer = Gatherer(ctx)
        first = once(gatherer.gather)
        assert decide(ctx.ledger.snapshot, gatherer.gather().facts, ctx.now())
        spent = []
        for number in range(10):
            note = Noted(at=ctx.now(), topic=Topic.REVERTED, task="LO-none", text=str(number))
            ctx.ledger.append(note, artifacts={f"runs/R-none/{number}/a": b"x"})
            spent.append(once(gatherer.gather))
        return first, sum(spent) / len(spent), len(spent)


def _attempt(scene: Scene) -> Row:
    """A whole tick with a recipe that does next to nothing; the time between ledger commits."""
    path = scene.folder / "attempt"
    moments: list[float] = []

    def trace(event: str) -> None:
        if event == f"ref:after:{BRANCH}":
            moments.append(time.perf_counter())

    best: dict[Stage, float] = {}
    for _ in range(3):
        shutil.rmtree(path, ignore_errors=True)
        new_repository(path, RECIPE).close()
        with Repo.open(path, trace) as repo:
            moments.clear()
            world = World(trace=trace)
            ledger = begin(repo, world)
            Tick(Context(repo=repo, ledger=ledger, world=world)).run()
            records = [entry.record for entry in ledger.entries()]
        assert len(records) == len(moments)
        for number, record in enumerate(records):
            if isinstance(record, Finished):
                assert isinstance(records[number - 1], Claimed)
                spent = (moments[number] - moments[number - 2]) * 1000
                best[record.stage] = min(spent, best.get(record.stage, spent))
    build = best[Stage.BUILD]
    others = ", ".join(
        f"`{stage}` {ms(spent)}" for stage, spent in best.items() if stage is not Stage.BUILD
    )
    return Row(
        "lifeos around an attempt",
        "under 100 ms",
        ms(build),
        build < 100,
        "a build whose recipe is one `echo`: from the record before it to its own, so the look at"
        " everything, the decision, the claim, the work folder, the sandbox, the import and the"
        f" record. The other stages: {others}.",
    )
