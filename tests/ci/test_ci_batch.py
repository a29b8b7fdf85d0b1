"""What is claimed together, what a claim and a matrix look like, and what each part may touch."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ci_scene import LEDGER, Works, carried_out, claimed, clone_of, collected, reported, until
from command_line import Project, fresh, project
from lifeos.core.ciformat import read_claim
from lifeos.core.records import Claimed, Closed, Finished
from lifeos.errors import Busy, UsageError
from lifeos.model import CloseOutcome, Decision, FailureClass
from loop_scene import begin_scene

FREE = {"loop.autonomy": "full", "loop.tasks_per_tick": 8}


def entry(name: str, scope: str) -> str:
    """One task in its own words; without a scope if that is empty."""
    scoped = f"  - scope: `docs/{scope}`\n  - risk: low\n" if scope else ""
    return f"""\
- [ ] **LO-{name}** Write {name} #docs
{scoped}
  Acceptance:
  - [ ] it is there: `test -f docs/{name}/x.txt`

  ```sh recipe
  mkdir -p docs/{name} && echo {name} > docs/{name}/x.txt
  ```

"""


def of(tmp_path: Path, *tasks: tuple[str, str], **settings: object) -> Project:
    """A project with these tasks (name, scope)."""
    backlog = "# Backlog\n\n" + "".join(entry(name, scope) for name, scope in tasks)
    scene = begin_scene(tmp_path / "repo", {**FREE, **settings}, backlog=backlog)
    return Project(scene.folder, scene.now, scene.nonces)


def test_four_attempts_are_claimed_at_once_carried_out_and_collected(tmp_path: Path) -> None:
    """One batch, one tip, four machines; each ends as its own record, and all land."""
    names = ("aaa", "bbb", "ccc", "ddd")
    scene = of(tmp_path, *((name, f"{name}/**") for name in names))
    claims = claimed(scene)
    assert len(claims) == 4
    assert len({claim.run for claim in claims}) == 4
    assert len({claim.nonce for claim in claims}) == 4
    assert {claim.ledger for claim in claims} == {scene.tip()}
    closing = []
    for number in range(12):
        folder = tmp_path / f"round-{number}"
        for n, claim in enumerate(claims):  # the first ones on machines of their own
            side = scene.folder if number else clone_of(scene, tmp_path / f"side-{n}")
            bundle = carried_out(scene, side, claim, folder / f"bundle-{n}")
            reported(scene, side, bundle, folder / f"report-{n}")
        assert collected(scene, folder) == (len(claims), [])
        closing.append(sum(claim.stage == "close" for claim in claims))
        claims = claimed(scene)
        if not claims:
            break
    assert closing == [0, 0, 0, 0, 0, 0, 1, 1, 1]  # each is checked on the main that it lands on
    assert [scene.at_main(f"docs/{name}/x.txt") for name in names] == [*names]
    ended = [record.outcome for record in scene.records() if isinstance(record, Closed)]
    assert ended == [CloseOutcome.PASS] * 4
    scene.cli("verify")


def test_scopes_that_overlap_are_never_in_one_batch(tmp_path: Path) -> None:
    """The task with the same files waits; the third one does not."""
    scene = of(tmp_path, ("aaa", "aaa/**"), ("bbb", "aaa/x.txt"), ("ccc", "ccc/**"))
    claims = claimed(scene)
    runs = scene.snapshot().runs
    assert sorted(runs[claim.run].task for claim in claims) == ["LO-aaa", "LO-ccc"]
    assert claimed(scene) == ()  # nor in the next one, while the first is under way


def test_runs_that_are_open_and_overlap_are_claimed_one_after_the_other(tmp_path: Path) -> None:
    """Two that came to be open side by side, because the one waited, do not build side by side."""
    asking = {"loop.autonomy": "supervised"}
    scene = of(tmp_path, ("aaa", "aaa/**"), ("bbb", "aaa/y.txt"), **asking)
    claim = None
    for number in range(6):  # the first task up to its checkpoint
        (claim,) = claimed(scene, 1)
        bundle = carried_out(scene, scene.folder, claim, tmp_path / f"b{number}")
        report = reported(scene, scene.folder, bundle, tmp_path / f"r{number}")
        assert collected(scene, bundle, report) == (1, [])
    assert scene.snapshot().items
    first = next(iter(scene.snapshot().runs))
    (second,) = claimed(scene)
    assert second.run != first  # the first one waits, and its paths are not touched
    scene.commit(scene.answer(Decision.REVISE, "again"))
    assert claimed(scene) == ()
    bundle = carried_out(scene, scene.folder, second, tmp_path / "late-b")
    report = reported(scene, scene.folder, bundle, tmp_path / "late-r")
    assert collected(scene, bundle, report) == (1, [])
    assert len(claimed(scene)) == 1


def test_a_task_without_scope_is_alone_in_its_batch(tmp_path: Path) -> None:
    """It may touch anything."""
    scene = of(tmp_path, ("aaa", ""), ("bbb", "bbb/**"))
    assert len(claimed(scene)) == 1


def test_no_more_are_claimed_or_opened_than_asked_for(tmp_path: Path) -> None:
    """What is opened pins the rules and the base of that moment: not before its first attempt."""
    scene = of(tmp_path, *((name, f"{name}/**") for name in ("aaa", "bbb", "ccc")))
    assert len(claimed(scene, 2)) == 2
    assert len(scene.snapshot().runs) == 2
    assert len(claimed(scene, 2)) == 1


def test_the_matrix_has_no_nonce_and_the_claim_file_is_for_its_owner(tmp_path: Path) -> None:
    """The matrix is in the names of jobs; the claims, with it, are handed on as an output."""
    scene = Works(project(tmp_path, "fresh", fresh), tmp_path)
    output = tmp_path / "output"
    output.write_text("before=1\n", encoding="utf-8")
    (path,) = scene.claim(GITHUB_OUTPUT=str(output))
    claim = read_claim(path.read_bytes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before, matrix, count, names, claims, rest = output.read_text(encoding="utf-8").split("\n")
    assert (before, count, rest) == ("before=1", "count=1", "")
    assert names == f"names={claim.run}.1"
    assert json.loads(claims.removeprefix("claims="))[path.name] == json.loads(path.read_bytes())
    job = {"run": claim.run, "stage": "design", "n": 1, "claim": path.name}
    assert json.loads(matrix.removeprefix("matrix=")) == {"include": [job]}
    assert claim.nonce not in matrix
    assert claim.expires > scene.project.now
    assert scene.claim() == []


def test_a_claim_is_by_no_process_of_this_machine(tmp_path: Path) -> None:
    """The command has ended: a tick here must not take its claims for those of a dead worker."""
    scene = project(tmp_path, "fresh", fresh)
    claimed(scene)
    scene.tick()
    assert not [record for record in scene.records() if isinstance(record, Finished)]
    scene.now += 4000
    scene.tick()
    first = next(record for record in scene.records() if isinstance(record, Finished))
    assert first.facts is not None
    assert first.facts.outcome is FailureClass.INTERRUPTED


def test_attempt_and_check_move_no_reference_and_leave_the_ledger(tmp_path: Path) -> None:
    """They write objects and their own folder, and nothing else that git knows of."""
    scene = project(tmp_path, "fresh", fresh)
    claim = until(scene, tmp_path, "build")
    side = clone_of(scene, tmp_path / "side")
    refs = ("git", "for-each-ref")
    before = subprocess.run(refs, cwd=side, check=True, capture_output=True).stdout
    bundle = carried_out(scene, side, claim, tmp_path / "bundle")
    reported(scene, side, bundle, tmp_path / "report")
    assert subprocess.run(refs, cwd=side, check=True, capture_output=True).stdout == before
    status = ("git", "status", "--porcelain")
    assert subprocess.run(status, cwd=side, check=True, capture_output=True).stdout == b""
    assert not list(bundle.glob("**/*.pack"))


def test_a_claim_that_is_over_is_not_carried_out(tmp_path: Path) -> None:
    """Nothing is spent on a result that would be late."""
    scene = project(tmp_path, "fresh", fresh)
    (claim,) = claimed(scene)
    scene.now += 4000
    with pytest.raises(Busy, match="is over"):
        carried_out(scene, scene.folder, claim, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_claim_that_the_ledger_does_not_have_is_not_carried_out(tmp_path: Path) -> None:
    """A changed nonce, or a clone without the ledger: it is said what to do."""
    scene = project(tmp_path, "fresh", fresh)
    (claim,) = claimed(scene)
    forged = claim.model_copy(update={"nonce": "0" * 32})
    with pytest.raises(UsageError, match="no open claim"):
        carried_out(scene, scene.folder, forged, tmp_path / "bundle")
    unknown = claim.model_copy(update={"ledger": "0" * 40})
    with pytest.raises(UsageError, match="is not in this clone"):
        carried_out(scene, scene.folder, unknown, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "this is not a claim"),
        ('{"format": 2}', "not of format 1"),
        ('{"format": 1, "run": "../x"}', "this is not a claim: run"),
    ],
)
def test_a_file_that_is_no_claim_is_refused_by_name(tmp_path: Path, text: str, why: str) -> None:
    """Exit 2, and what to give instead."""
    scene = project(tmp_path, "fresh", fresh)
    path = tmp_path / "claim.json"
    path.write_text(text, encoding="utf-8")
    said = scene.cli("ci", "attempt", str(path), "--out", str(tmp_path / "out"), code=2)
    assert why in said.err


ONLY_GIT = """\
import os, sys
ALLOWED = {"git"}
def hook(event, args):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.spawn", "os.system"):
        name = os.path.basename(os.fsdecode(args[0]))
        if name not in ALLOWED:
            sys.stderr.write("STARTED " + repr(args[:2]) + chr(10))
            os._exit(99)
    if event in ("os.fork", "os.forkpty", "pty.spawn"):
        os._exit(98)
sys.addaudithook(hook)
from lifeos.cli import run
sys.exit(run(sys.argv[1:]))
"""


def only_git(scene: Project, *args: str) -> subprocess.CompletedProcess[str]:
    """Run lifeos so that it dies when anything but git is started."""
    return subprocess.run(
        [sys.executable, "-c", ONLY_GIT, *args],
        cwd=scene.folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.heavy
def test_claim_and_collect_start_nothing_but_git(tmp_path: Path) -> None:
    """Through every stage to the landing: a single check, agent or hook would end the process.

    Of the checks, those that are not fast ran as well, and all of it can be verified.
    """
    checks = [
        {"name": "test", "run": "true", "kind": "test", "fast": True},
        {"name": "slow", "run": "! grep -rq broken docs", "kind": "lint", "fast": False},
    ]
    settings = {"config.checks": checks, "config.prepare": []}
    scene = of(tmp_path, ("aaa", "aaa/**"), **settings)
    scene.now = 1_700_000_000  # the command has the real time
    for number in range(8):
        claims = tmp_path / f"claims-{number}"
        done = only_git(scene, "ci", "claim", "--out", str(claims))
        assert done.returncode == 0, done.stderr
        if not json.loads(done.stdout)["include"]:
            break
        (path,) = claims.iterdir()
        bundle, report = tmp_path / f"bundle-{number}", tmp_path / f"report-{number}"
        attempt = ("ci", "attempt", str(path), "--out", str(bundle))
        if number == 0:  # the trap is one: an attempt falls into it
            assert only_git(scene, *attempt).returncode == 99
        scene.cli(*attempt)
        scene.cli("ci", "check", str(bundle), "--out", str(report))
        done = only_git(scene, "ci", "collect", str(bundle), str(report))
        assert done.returncode == 0, done.stderr
    assert scene.at_main("docs/aaa/x.txt") == "aaa"
    assert next(r.worker for r in scene.records() if isinstance(r, Claimed)) == "ci"
    build = next(r for r in scene.records() if isinstance(r, Finished) and r.stage == "build")
    assert build.facts is not None
    assert [(c.name, c.status) for c in build.facts.checks] == [
        ("test", "passed"),
        ("slow", "passed"),
    ]
    scene.cli("verify")


def test_a_landing_that_must_be_checked_goes_through_the_matrix(tmp_path: Path) -> None:
    """Main moved under the work: the merge is checked elsewhere, then landed here, unexecuted."""
    checks = [{"name": "test", "run": "test ! -f red.txt", "kind": "test", "fast": True}]
    scene = of(tmp_path, ("aaa", "aaa/**"), **{"config.checks": checks, "loop.recheck": "always"})
    claim = until(scene, tmp_path, "build_review")
    bundle = carried_out(scene, scene.folder, claim, tmp_path / "bundle")
    scene.commit({"other.txt": "main goes on\n"})
    assert collected(scene, bundle) == (1, [])
    assert not scene.on_main("docs/aaa/x.txt")
    (close,) = claimed(scene)
    assert close.stage == "close"
    assert close.onto == scene.main
    side = clone_of(scene, tmp_path / "side")
    bundle = carried_out(scene, side, close, tmp_path / "close")
    before = scene.refs()
    assert collected(scene, bundle)[1] == ["there is no report of lifeos ci check for it"]
    assert scene.refs() == before
    report = reported(scene, side, bundle, tmp_path / "close-report")
    assert collected(scene, bundle, report) == (1, [])
    assert scene.at_main("docs/aaa/x.txt") == "aaa"
    assert collected(scene, bundle, report) == (0, [])  # again, as after a crash
    scene.cli("verify")


def test_a_landing_whose_check_is_red_does_not_land(tmp_path: Path) -> None:
    """The two sides are each green, and red together."""
    run = "test ! -f red.txt || test ! -f docs/aaa/x.txt"
    checks = [{"name": "test", "run": run, "kind": "test", "fast": True}]
    scene = of(tmp_path, ("aaa", "aaa/**"), **{"config.checks": checks, "loop.recheck": "always"})
    claim = until(scene, tmp_path, "build_review")
    bundle = carried_out(scene, scene.folder, claim, tmp_path / "bundle")
    scene.commit({"red.txt": "red together\n"})
    collected(scene, bundle)
    (close,) = claimed(scene)
    bundle = carried_out(scene, scene.folder, close, tmp_path / "close")
    report = reported(scene, scene.folder, bundle, tmp_path / "close-report")
    assert collected(scene, bundle, report) == (1, [])
    assert not scene.on_main("docs/aaa/x.txt")
    last = [r for r in scene.records() if isinstance(r, Finished)][-1]
    assert last.facts is not None
    assert (last.stage, last.facts.outcome) == ("close", FailureClass.TEST_FAILURE)


def test_a_landing_that_was_checked_on_another_main_does_not_land(tmp_path: Path) -> None:
    """Main moved again meanwhile: the check is not about what would land."""
    checks = [{"name": "test", "run": "true", "kind": "test", "fast": True}]
    scene = of(tmp_path, ("aaa", "aaa/**"), **{"config.checks": checks, "loop.recheck": "always"})
    claim = until(scene, tmp_path, "build_review")
    bundle = carried_out(scene, scene.folder, claim, tmp_path / "bundle")
    scene.commit({"other.txt": "main goes on\n"})
    collected(scene, bundle)
    (close,) = claimed(scene)
    bundle = carried_out(scene, scene.folder, close, tmp_path / "close")
    report = reported(scene, scene.folder, bundle, tmp_path / "close-report")
    scene.commit({"another.txt": "and on\n"})
    assert collected(scene, bundle, report) == (1, [])
    assert not scene.on_main("docs/aaa/x.txt")
    assert claimed(scene)[0].stage == "close"  # and is tried again on the new main


def test_the_exit_code_of_collect_tells_of_refusals(tmp_path: Path) -> None:
    """1 where something was refused, and the data names it; 0 where all counted."""
    scene = Works(project(tmp_path, "fresh", fresh), tmp_path)
    (claim,) = scene.claim()
    bundle = scene.attempt(claim)
    (tmp_path / "junk").mkdir()
    data = scene.collect(bundle, tmp_path / "junk", tmp_path / "nothing", code=1)
    assert data["recorded"] == 1
    assert [each["why"] for each in data["refused"]] == ["it is not a folder"]
    assert data["ready"] == 1
    assert scene.project.git("rev-parse", LEDGER) == data["ledger"]
