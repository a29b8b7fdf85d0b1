"""A round of `lifeos ci` over so many runners: its wall time, and what of it is not the agent's.

A runner is a process with a fresh clone of its own that carries out its share of the claims, one
after the other, as the jobs of a matrix do. The agent is a recipe that sleeps: it needs no core, so
that two cores can stand for many machines. What lifeos itself does shares those cores, which on
machines of their own it would not have to.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lifeos.core.ciformat import ClaimFile
from lifeos.model import Stage
from lifeos.store.repo import Repo
from lifeos.tick.begin import attached, opened
from lifeos.tick.ci_attempt import attempt
from lifeos.tick.ci_check import check
from lifeos.tick.ci_claim import Claiming
from lifeos.tick.ci_collect import Collecting, read_given
from lifeos.tick.context import World
from longledger import task_id
from page import Row
from scene import Scene, git, new_repository

NUMBERS = (1, 4, 16)
"""Of attempts, and of runners."""
LEDGER = "refs/heads/lifeos/ledger"
FREE = "version: 1\nautonomy: full\ntasks_per_tick: 16\nbudgets: {open_runs: 16}\n"

_HOW = (
    " Each part is a process of its own, each runner a fresh clone, all on the same cores: the"
    " starts of Python and of sandboxes wait for each other here, and would not on machines of"
    " their own. What GitHub takes to start a job is not in it."
)


@dataclass(frozen=True)
class Round:
    """One round: seconds of its four parts, one after the other."""

    attempts: int
    runners: int
    slept: float  # by the agents, one after the other on the runner with the most of them
    claim: float
    attempt: float
    check: float
    collect: float

    @property
    def seconds(self) -> float:
        """From the claim to the record."""
        return self.claim + self.attempt + self.check + self.collect

    @property
    def other(self) -> float:
        """The part of the round that is not the agent's, from 0 to 1."""
        return 1 - self.slept / self.seconds

    @property
    def parts(self) -> str:
        """Its four parts, for the notes."""
        return (
            f"{self.attempts} on {self.runners}: claim {self.claim:.1f}, attempts"
            f" {self.attempt:.1f}, checks {self.check:.1f}, collect {self.collect:.1f} s"
        )


def rows(scene: Scene) -> list[Row]:
    """One row for each number of attempts."""
    small = scene.size.rounds < 10
    nap = 0.5 if small else 12.0
    numbers = (1, 2) if small else NUMBERS
    return [_row([_round(scene, n, r, nap) for r in numbers if r <= n], nap) for n in numbers]


def _row(rounds: Sequence[Round], nap: float) -> Row:
    count = rounds[0].attempts
    named = [
        f"{one.runners} runner{'s' * (one.runners > 1)} {one.seconds:.1f} s ({one.other:.0%} not"
        " the agent's)"
        for one in rounds
    ]
    falls = all(a.seconds > b.seconds for a, b in pairwise(rounds))
    parts = "; ".join(one.parts for one in rounds)
    return Row(
        f"a round of `lifeos ci`, {count} attempt{'s' * (count > 1)} of {nap:g} s",
        "falls with the number of runners" if count > 1 else "(no figure is promised)",
        ", ".join(named),
        falls if len(rounds) > 1 else None,
        f"{parts}." + ("" if count > 1 else _HOW),
    )


def _round(scene: Scene, attempts: int, runners: int, nap: float) -> Round:
    """One round of builds, with all before it done."""
    place = scene.folder / "matrix"
    shutil.rmtree(place, ignore_errors=True)
    repo = _at_build(place, attempts, nap)
    begun = time.perf_counter()
    said = _lifeos(repo, "ci", "claim", "--max", str(attempts), "--out", str(place / "claims"))
    claimed = time.perf_counter()
    jobs = [job["claim"] for job in json.loads(said)["include"]]
    assert len(jobs) == attempts
    shares = [jobs[number::runners] for number in range(runners)]
    _on_runners(place, "attempt", shares)
    attempted = time.perf_counter()
    _on_runners(place, "check", shares)
    checked = time.perf_counter()
    said = _lifeos(repo, "ci", "collect", str(place / "out"), "--json")
    collected = time.perf_counter()
    assert json.loads(said)["data"]["recorded"] == attempts, said
    return Round(
        attempts=attempts,
        runners=runners,
        slept=math.ceil(attempts / runners) * nap,
        claim=claimed - begun,
        attempt=attempted - claimed,
        check=checked - attempted,
        collect=collected - checked,
    )


def _at_build(place: Path, attempts: int, nap: float) -> Path:
    """A repository with so many open runs, each about to be built; done in this process."""
    path = place / "repo"
    text = "".join(
        f"\n- [ ] **{task_id(number)}** Write page {number}\n  - scope: `docs/{number}.md`\n"
        f"  - risk: low\n\n  ```sh recipe\n  sleep {nap:g}\n  mkdir -p docs\n"
        f"  echo {number} > docs/{number}.md\n  ```\n"
        for number in range(attempts)
    )
    new_repository(path, text).close()
    (path / "policies/loop.yaml").write_text(FREE)
    git(path, "commit", "-q", "-a", "-m", "Do not ask")
    world = World()
    for number in range(4):  # design, its review, plan, its review
        with Repo.open(path) as repo:
            claims = Claiming(opened(repo, world), attempts).batch().claims
            assert len(claims) == attempts
            for n, claim in enumerate(claims):
                _carried_out(repo, world, claim, place / f"before/{number}/{n}")
            ctx = attached(repo, world)
            assert ctx is not None
            collecting = Collecting(ctx, read_given([place / f"before/{number}"]))
            refused = collecting.collected()[1]
            assert not refused, refused
            runs = ctx.ledger.snapshot.runs.values()
    assert [run.stage for run in runs] == [Stage.BUILD] * attempts
    return path


def _carried_out(repo: Repo, world: World, claim: ClaimFile, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    attempt(repo, world, claim, out.with_name(f"{out.name}-bundle"))
    check(repo, world, out.with_name(f"{out.name}-bundle"), out.with_name(f"{out.name}-report"))


def _on_runners(place: Path, part: str, shares: Sequence[Sequence[str]]) -> None:
    """Let each runner do its share, all at once."""
    started = [
        subprocess.Popen(
            (sys.executable, str(Path(__file__).resolve()), str(place), part, str(n), *share)
        )
        for n, share in enumerate(shares)
        if share
    ]
    assert all(process.wait() == 0 for process in started)


def run_share(place: Path, part: str, number: str, jobs: Sequence[str]) -> None:
    """One runner: a fresh clone, and then its jobs one after the other."""
    clone = place / f"{part}-{number}"
    git(place, "clone", "-q", "--no-local", str(place / "repo"), str(clone))
    git(clone, "fetch", "-q", "origin", f"{LEDGER}:{LEDGER}")
    for job in jobs:
        name = job.removesuffix(".json")
        bundle = str(place / "out" / f"bundle-{name}")
        given = str(place / "claims" / job) if part == "attempt" else bundle
        made = bundle if part == "attempt" else str(place / "out" / f"checked-{name}")
        _lifeos(clone, "ci", part, given, "--out", made)


def _lifeos(folder: Path, *arguments: str) -> str:
    command = (sys.executable, "-m", "lifeos", *arguments)
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    run_share(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
