"""``lifeos why`` on 200 runs that the real loop made: every line of every file that it landed.

What to expect is told by git alone (blame, and who a commit names) and by those who made that past.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from command_line import Project
from lifeos.cli.here import look_at
from lifeos.cli.provenance import WhyOrigin, WhyRun
from lifeos.cli.why_command import WhyData, tracer_of, why_data
from lifeos.store.repo import Repo
from lifeos.tick.origin import Via
from past_scene import ADA, BOB, Run, past, story

LIFEOS = "lifeos@localhost"


@dataclass(frozen=True)
class Commit:
    """A commit of main, as `git log` prints it: whose it is, and the run that it names."""

    email: str
    run: str


@dataclass(frozen=True)
class Plain:
    """What plain git says of main. ``work``: the commits of each run that landed, by commit."""

    commits: dict[str, Commit]
    work: dict[str, Run]
    reverts: dict[str, Run]
    began: frozenset[str]
    files: tuple[str, ...]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone of it; nothing here changes it."""
    return past(tmp_path_factory.mktemp("past"))


@pytest.fixture(scope="module")
def plain(scene: Project) -> Plain:
    """Read without lifeos; who landed what is the makers' word."""
    shape = "--format=%H%x09%ae%x09%(trailers:key=Lifeos-Run,valueonly,separator=%x20)"
    rows = [line.split("\t") for line in scene.git("log", shape, "main").splitlines()]
    commits = {commit: Commit(email, run) for commit, email, run in rows}
    landed = {run.landed: run for run in story().runs if run.landed}
    work = dict(landed)
    files: set[str] = set()
    for commit, run in landed.items():
        before, *built = scene.git("rev-parse", f"{commit}^@").splitlines()
        work |= dict.fromkeys(built, run)
        files |= {*scene.git("diff", "--name-only", before, commit).splitlines()}
    first = scene.git("rev-list", "--max-parents=0", "lifeos/ledger")
    genesis = scene.git("log", "-1", "--format=%B", first)
    (base,) = re.findall(r'"commit":"([0-9a-f]{40})"', genesis)
    return Plain(
        commits=commits,
        work=work,
        reverts={run.reverted: run for run in story().runs if run.reverted},
        began=frozenset(scene.git("rev-list", base).split()),
        files=tuple(sorted(files & {*scene.git("ls-files").splitlines()})),
    )


@pytest.fixture(scope="module")
def told(scene: Project, plain: Plain) -> dict[str, WhyData]:
    """What `why` says of each of these files, in one process."""
    with Repo.open(scene.folder) as repo:
        here = look_at(repo)
        assert here.ledger is not None
        tracer = tracer_of(here, here.ledger)
        tracer.stories(run.run for run in plain.work.values())
        return {
            path: why_data(here, here.ledger, path, "", scene.folder, tracer)
            for path in plain.files
        }


def blamed(scene: Project, path: str) -> list[str]:
    """The commit of each line, as git blames it."""
    found = subprocess.run(
        ["git", "blame", "--root", "-l", "-s", "main", "--", path],
        cwd=scene.folder,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return [line[:40].decode() for line in found.stdout.splitlines()]


def origins(data: WhyData) -> Iterator[WhyOrigin]:
    """That of each line, in their order; together they are the whole file, each line once."""
    for at, one in enumerate(data.ranges):
        assert one.first == (data.ranges[at - 1].last + 1 if at else 1)
        yield from (one.origin for _ in range(one.first, one.last + 1))


# --- every line -----------------------------------------------------------------------------------


def test_every_line_has_the_origin_that_git_and_the_makers_tell(
    scene: Project, plain: Plain, told: dict[str, WhyData]
) -> None:
    """The run whose work brought it; and what lifeos or a person wrote is said to be theirs."""
    seen: Counter[str] = Counter()
    for path, data in told.items():
        found, commits = list(origins(data)), blamed(scene, path)
        assert len(found) == data.lines == len(commits), path
        for origin, commit in zip(found, commits, strict=True):
            assert origin.commit.commit == commit, path
            right = {
                "run": expect_run,
                "revert": expect_revert,
                "lifeos": expect_bookkeeping,
                "person": expect_person,
            }
            kind = kind_of(plain, commit)
            right[kind](plain, path, origin)
            seen[kind] += 1
    assert len(told) > 20
    assert seen["run"] > 500, seen
    assert all(seen[kind] for kind in ("revert", "lifeos", "person")), seen


def kind_of(plain: Plain, commit: str) -> str:
    """Whose commit it is, by git and by the makers."""
    if commit in plain.work:
        assert plain.commits[commit].run == plain.work[commit].run
        return "run"
    if commit in plain.reverts:
        return "revert"
    return "lifeos" if plain.commits[commit].email == LIFEOS else "person"


def expect_run(plain: Plain, path: str, origin: WhyOrigin) -> None:
    run = plain.work[origin.commit.commit]
    assert origin.run == run.run
    assert not origin.unsure
    if path == "BACKLOG.md":  # a mark that came with the landing: no attempt wrote it
        assert (origin.via, origin.attempt) == (Via.BOOKKEEPING, 0)
        return
    built = [n for n, one in enumerate(run.attempts, 1) if one.stage == "build"]
    assert origin.via is Via.RUN
    assert origin.attempt in built


def expect_revert(plain: Plain, _path: str, origin: WhyOrigin) -> None:
    run = plain.reverts[origin.commit.commit]
    assert origin.via is Via.REVERT
    assert origin.taken_back is not None
    assert (origin.taken_back.run, origin.taken_back.who) == (run.run, origin.commit.email)


def expect_bookkeeping(_plain: Plain, _path: str, origin: WhyOrigin) -> None:
    assert (origin.via, origin.run, origin.pretends) == (Via.BOOKKEEPING, "", False)
    assert origin.anchor


def expect_person(plain: Plain, _path: str, origin: WhyOrigin) -> None:
    assert (origin.via, origin.run, origin.pretends) == (Via.OUTSIDE, "", False)
    assert origin.commit.email == plain.commits[origin.commit.commit].email != LIFEOS
    assert origin.before is (origin.commit.commit in plain.began)


# --- every hop ------------------------------------------------------------------------------------


def test_each_run_behind_a_line_is_told_hop_by_hop(told: dict[str, WhyData]) -> None:
    """Landing, attempts, plan, reviews, answers, cost and rules: as those who made it saw them."""
    made = {run.run: run for run in story().runs}
    titles = {task.task: task.title for task in story().tasks}
    behind: dict[str, WhyRun] = {}
    for data in told.values():
        known = {one.run for one in data.runs}
        assert {one.run for one in origins(data) if one.run} <= known
        behind |= {one.run: one for one in data.runs}
    assert len(behind) > 50
    for name, run in behind.items():
        was = made[name]
        assert (run.task, run.title) == (was.task, titles[was.task])
        assert (run.landed, run.opened_at, run.way) == (was.landed, was.opened_at, "merge")
        assert run.usage.tokens == sum(one.tokens for one in was.attempts)
        assert run.usage.cost == pytest.approx(sum(one.cost for one in was.attempts))
        tried = [(n, one) for n, one in enumerate(was.attempts, 1)]
        assert run.attempts
        assert {was.attempts[one.n - 1].stage for one in run.attempts} == {"build"}
        assert [(one.n, one.stage, one.outcome) for one in run.reviews] == [
            (n, one.stage, one.outcome) for n, one in tried if one.stage.endswith("_review")
        ]
        assert run.plan is not None
        planned = [n for n, one in tried if (one.stage, one.outcome) == ("plan", "ok")]
        assert run.plan.n == (planned[-1] if planned else 0)
        assert [(one.item, one.kind, one.rule, one.at) for one in run.answers] == [
            (one.item, one.kind, one.rule, one.answered_at or 0) for one in was.questions
        ]
        for answer, asked in zip(run.answers, was.questions, strict=True):
            taken = asked.answered_at is not None and asked.who in (ADA, BOB)
            person = asked.who if taken else ""
            assert answer.who == person
            assert answer.comment == asked.comment or not person
        landing = [one for one in run.answers if one.lands]
        assert len(landing) <= 1
        assert re.fullmatch("[0-9a-f]{64}", run.rules.digest)
        assert run.rules.transition
        back = run.taken_back
        assert (back.commit if back else "") == was.reverted


# --- by the command -------------------------------------------------------------------------------


def test_the_command_says_the_same(scene: Project, told: dict[str, WhyData]) -> None:
    """Through the process and JSON, for a few files in whole and for a line of each."""
    chosen = sorted(told, key=lambda path: told[path].lines)
    for path in (chosen[0], chosen[len(chosen) // 2], chosen[-1]):
        line = told[path].lines
        if path != chosen[-1]:
            assert WhyData.model_validate(why(scene, path)) == told[path]
        data = why(scene, f"{path}:{line}")
        (one,) = data["ranges"]
        assert (data["first"], data["last"]) == (line, line)
        assert one["origin"] == told[path].ranges[-1].origin.model_dump(mode="json")
        assert len(data["text"]) == 1


def why(scene: Project, what: str) -> Any:
    """The data of `lifeos why --json`."""
    return scene.cli("why", "--json", "--", what).data
