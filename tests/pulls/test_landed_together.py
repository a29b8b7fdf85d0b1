"""Landing PRs that are merged before a tick looks: what main became by each is checked."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from ci_scene import reported
from command_line import Project
from lifeos.core.records import Claimed, Finished, Held, Opened
from lifeos.core.state import Item
from lifeos.core.table import UNVERIFIED
from lifeos.model import Action, CloseOutcome, FailureClass, Stage
from lifeos.store.repo import Repo
from lifeos.tick.begin import attached, opened
from lifeos.tick.ci_attempt import attempt
from lifeos.tick.ci_claim import Batch, Claiming
from lifeos.tick.ci_collect import Collecting, read_given
from lifeos.tick.context import World
from loop_scene import NO_SETTINGS, Settings
from pull_copies import At, at_point
from pull_scene import OnForge

CHECK = "! (test -e docs/aaa/x && test -e docs/bbb/x)"
"""What passes on the work of each task alone, and not on both together."""


def backlog(*names: str) -> str:
    """A task for each name, that writes a file of that name."""
    tasks = (
        f"""- [ ] **LO-{name}{name}** Write {name} #docs
  - scope: `docs/{name}/**`
  - risk: low

  ```sh recipe
  mkdir -p docs/{name} && echo {name} > docs/{name}/x
  ```
"""
        for name in names
    )
    return "# Backlog\n\n## P0\n\n" + "\n".join(tasks)


def check(run: str) -> list[Mapping[str, object]]:
    """One check."""
    return [{"name": "test", "run": run, "kind": "test", "fast": True}]


def at_landing(folder: Path, run: str, *names: str, more: Settings = NO_SETTINGS) -> OnForge:
    """These tasks, with this check, at the question before the landing of each."""
    rules = json.dumps({"config.checks": check(run) if run else [], **more})
    scene = at_point(folder, "pr", At.COMMANDS, rules, backlog=backlog(*names), pusher="ann")
    assert [i.stage for i in scene.snapshot().items.values()] == [Stage.CLOSE] * len(names)
    return scene


def both(
    folder: Path, run: str = CHECK, method: str = "merge", more: Settings = NO_SETTINGS
) -> OnForge:
    """Two tasks whose landings were both merged by an approver; lifeos has not looked yet."""
    scene = at_landing(folder, run, "aaa", "bbb", more=more)
    for item in scene.snapshot().items.values():
        scene.merge(item=item, method=method)
    return scene


@pytest.fixture
def red(tmp_path: Path) -> OnForge:
    """Both were merged, and fail together."""
    return both(tmp_path / "red")


def outcomes(scene: OnForge) -> dict[str, CloseOutcome]:
    """How the runs ended, by task."""
    of = {r.run: r.task for r in scene.records() if isinstance(r, Opened)}
    return {of[end.run]: end.outcome for end in scene.ended()}


def question(scene: OnForge) -> Item:
    """The question whether to take the second one back."""
    (item,) = scene.snapshot().items.values()
    assert item.rule == UNVERIFIED
    return item


def closes(scene: OnForge) -> list[Finished]:
    """The attempts to land that came to nothing."""
    found = (r for r in scene.records() if isinstance(r, Finished))
    return [record for record in found if record.stage is Stage.CLOSE]


def test_the_second_one_does_not_pass_silently(red: OnForge) -> None:
    """It is on main, its run ends blocked, and whether to take it back is asked."""
    scene = red
    second = scene.forge.git.tip("main")
    report = scene.tick()
    assert report.blocked
    assert list(outcomes(scene).values()) == [CloseOutcome.PASS, CloseOutcome.BLOCKED]
    asked = question(scene)
    assert (asked.about, asked.onto) == (second, scene.hub("rev-parse", "main^1"))
    assert "test_failure" in asked.question
    assert "nothing begins until it is answered" in report.standing(())
    (finished,) = closes(scene)
    assert (finished.action, finished.rule) == (Action.TERMINATE, UNVERIFIED)
    ended = scene.ended()[-1]
    assert ended.landed == second
    assert asked.id in ended.reason
    body = scene.pull(asked).body
    assert "take it back" in body
    assert "The change below takes it back" in body
    project = Project(scene.folder)
    packet = project.cli("show", ended.run, "--packet").out
    assert "test_failure" in packet
    assert asked.id in packet
    assert f"ended blocked; `{second[:12]}` is on main." in packet
    shown = project.cli("show", ended.run).out
    assert f"git show --first-parent {second[:12]}" in shown
    assert "test failed" in shown
    assert "answer whether to take it back" in shown
    told = project.cli("revert", ended.run, code=2).err
    assert "is on main: whether to take it back was asked" in told
    project.cli("verify")


def test_merging_takes_it_back(red: OnForge) -> None:
    """Main has the first one alone then, with the second one's box open; and lifeos goes on."""
    red.tick()
    assert "which fails on main" in red.pull(question(red)).title
    red.merge(item=question(red))
    red.tick()
    assert red.on_hub("docs/aaa/x") != red.on_hub("docs/bbb/x")
    assert red.at_hub("BACKLOG.md").count("- [x]") == 1
    assert not red.snapshot().items
    Project(red.folder).cli("verify")


def test_closing_keeps_it(red: OnForge) -> None:
    """Main keeps both: a person has said so. The run stays blocked; nothing is built once more."""
    red.tick()
    main = red.forge.git.tip("main")
    red.forge.close(red.pull(question(red)).number, by="bob")
    red.tick()
    assert red.forge.git.tip("main") == main
    assert not red.snapshot().items
    assert list(outcomes(red).values()) == [CloseOutcome.PASS, CloseOutcome.BLOCKED]
    red.tick()
    assert not red.snapshot().runs


def test_nothing_begins_until_it_is_answered(red: OnForge) -> None:
    """A third task waits; after the answer it is opened."""
    text = red.at_hub("BACKLOG.md") + "\n" + backlog("ccc").partition("## P0\n\n")[2]
    red.forge.push_to("main", {"BACKLOG.md": text}, "ann")
    red.tick()
    asked = question(red)
    since = red.tip()
    red.now += 169 * 3600  # nor does time answer it
    red.tick()
    again = question(red)
    assert (again.about, again.rule) == (asked.about, asked.rule)
    assert again.id != asked.id
    assert not [r for r in red.records(since) if isinstance(r, Opened | Claimed)]
    red.forge.close(red.pull(again).number, by="ann")
    red.tick()
    assert [r.task for r in red.records(since) if isinstance(r, Opened)] == ["LO-cccccc"]


def test_both_pass_together(tmp_path: Path) -> None:
    """It is checked again, and that is all that differs: both runs pass."""
    scene = both(tmp_path, "true")
    scene.tick()
    assert list(outcomes(scene).values()) == [CloseOutcome.PASS] * 2
    assert scene.said.count("  main has moved: the checks again, on the tree that lands") == 1
    assert not scene.snapshot().items
    Project(scene.folder).cli("verify")


@pytest.mark.parametrize(("run", "more"), [(CHECK, {"loop.recheck": "overlap"}), ("", {})])
def test_what_is_not_checked_again(tmp_path: Path, run: str, more: Settings) -> None:
    """Where only overlaps are, and they touch no file in common; and where there are no checks."""
    scene = both(tmp_path, run, more=more)
    scene.tick()
    assert list(outcomes(scene).values()) == [CloseOutcome.PASS] * 2
    assert not any("the checks again" in line for line in scene.said)


@pytest.mark.parametrize("method", ["squash", "rebase"])
def test_however_it_was_merged(tmp_path: Path, method: str) -> None:
    """What main was before it is known for each way of merging: just the second is taken back."""
    scene = both(tmp_path, method=method)
    scene.tick()
    scene.merge(item=question(scene), method=method)
    scene.tick()
    assert scene.on_hub("docs/aaa/x") != scene.on_hub("docs/bbb/x")
    assert not scene.snapshot().items


def test_main_was_changed_by_people_just_before_the_merge(tmp_path: Path) -> None:
    """The same by a push that nobody was asked about: it is not the work alone that is checked."""
    scene = at_landing(tmp_path, "! test -e docs/aaa/x || ! test -e red", "aaa")
    scene.forge.push_to("main", {"red": "red together\n"}, "ann")
    scene.merge()
    scene.tick()
    assert outcomes(scene) == {"LO-aaaaaa": CloseOutcome.BLOCKED}
    assert "did not pass its checks either" not in question(scene).question


def test_it_is_said_where_main_was_red_before(tmp_path: Path) -> None:
    """Whoever decides should know that it is not this one which broke main."""
    scene = at_landing(tmp_path, "! test -e red", "aaa")
    scene.forge.push_to("main", {"red": "red\n"}, "ann")
    scene.merge()
    scene.tick()
    assert "main before it did not pass its checks either" in question(scene).question


def test_a_flake_is_tried_once_more(tmp_path: Path) -> None:
    """Nobody is asked to take back what fails now and then: the class has a retry."""
    seen = tmp_path / "seen"
    once = f"{{ test -s {seen}; s=$?; echo >> {seen}; exit $s; }}"
    scene = both(tmp_path / "scene", f"test ! -e docs/aaa/x || test ! -e docs/bbb/x || {once}")
    scene.tick()
    (finished,) = closes(scene)
    assert finished.facts is not None
    assert finished.facts.outcome is FailureClass.TEST_FLAKE
    assert finished.action is Action.RETRY
    assert list(outcomes(scene).values()) == [CloseOutcome.PASS] * 2


# --- dying in between ---------------------------------------------------------------------------


def dies(scene: OnForge, event: str, count: int) -> bool:
    """A tick that ends itself at the how-manieth such event; whether it came so far."""
    child = os.fork()
    if child == 0:
        seen = 0

        def trace(what: str) -> None:
            nonlocal seen
            seen += what == event
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)

        status = 70
        try:
            scene.tick(trace=trace)
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(ended)
    assert code in (0, -signal.SIGKILL), code
    scene.now += 1000
    scene.nonces += 1000
    return code != 0


@pytest.mark.parametrize(
    "count", [n if n in (2, 4, 6) else pytest.param(n, marks=pytest.mark.long) for n in range(1, 9)]
)
def test_killed_around_each_push(red: OnForge, count: int) -> None:
    """The next tick comes to the same end: one passed, one blocked and asked about, once."""
    assert dies(red, "git:before:push", count)
    red.tick()
    assert list(outcomes(red).values()) == [CloseOutcome.PASS, CloseOutcome.BLOCKED]
    asked = [r for r in red.records() if isinstance(r, Held) and r.rule == UNVERIFIED]
    assert [r.item for r in asked] == [question(red).id]
    assert red.pull(question(red)).state == "open"


# --- in parts -----------------------------------------------------------------------------------


def world(scene: OnForge) -> World:
    """What the parts are given."""
    return World(
        clock=scene.clock,
        nonce=scene.nonce,
        environ={**os.environ, **scene.environ},
        progress=scene.said.append,
        pause=lambda _tries: None,
    )


def claimed(scene: OnForge) -> Batch:
    """A batch."""
    with Repo.open(scene.folder) as repo:
        return Claiming(opened(repo, world(scene)), 16).batch()


def collected(scene: OnForge, *folders: Path) -> list[str]:
    """Collect: why something was refused."""
    with Repo.open(scene.folder) as repo:
        ctx = attached(repo, world(scene))
        assert ctx is not None
        _, refused = Collecting(ctx, read_given(folders)).collected()
        return [each.why for each in refused]


def in_parts(scene: OnForge, folder: Path) -> tuple[Path, Path]:
    """The bundle and the report of the one landing that is to be checked."""
    (claim,) = claimed(scene).claims
    assert claim.stage is Stage.CLOSE
    assert claim.onto == scene.hub("rev-parse", "main^1")
    project = Project(scene.folder, scene.now, scene.nonces)
    with Repo.open(scene.folder) as repo:
        attempt(repo, world(scene), claim, folder / "bundle")
    return folder / "bundle", reported(project, scene.folder, folder / "bundle", folder / "report")


def test_in_parts_it_is_checked_elsewhere(red: OnForge, tmp_path: Path) -> None:
    """Claimed for the matrix, one at a time; without a report nothing is recorded; red: asked."""
    bundle, report = in_parts(red, tmp_path)
    assert list(outcomes(red).values()) == [CloseOutcome.PASS]
    assert not claimed(red).claims
    assert collected(red, bundle) == ["there is no report of lifeos ci check for it"]
    assert list(outcomes(red).values()) == [CloseOutcome.PASS]
    assert collected(red, bundle, report) == []
    assert list(outcomes(red).values()) == [CloseOutcome.PASS, CloseOutcome.BLOCKED]
    assert question(red).onto == red.hub("rev-parse", "main^1")
    assert red.pull(question(red)).state == "open"
    assert not claimed(red).claims
    Project(red.folder).cli("verify")


def test_in_parts_it_passes(tmp_path: Path) -> None:
    """The same, where both pass together."""
    scene = both(tmp_path / "scene", "true")
    bundle, report = in_parts(scene, tmp_path)
    assert collected(scene, bundle, report) == []
    assert list(outcomes(scene).values()) == [CloseOutcome.PASS] * 2
    assert not scene.snapshot().items


def test_in_parts_a_report_about_another_main_counts_for_nothing(
    red: OnForge, tmp_path: Path
) -> None:
    """The attempt names a main on which all is well: it is not the one that this landed on."""
    (claim,) = claimed(red).claims
    other = claim.model_copy(update={"onto": red.hub("rev-parse", "main^1^1")})
    with Repo.open(red.folder) as repo:
        attempt(repo, world(red), other, tmp_path / "bundle")
    project = Project(red.folder, red.now, red.nonces)
    report = reported(project, red.folder, tmp_path / "bundle", tmp_path / "report")
    refused = ["it is not about the main that a forge landed this on"]
    assert collected(red, tmp_path / "bundle", report) == refused
    assert list(outcomes(red).values()) == [CloseOutcome.PASS]
