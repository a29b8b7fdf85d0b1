"""What happens between the question to the forge and the look at main, and rules that change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import Project
from lifeos.core.records import Claimed
from lifeos.core.table import INTRUDED
from lifeos.errors import UsageError
from lifeos.forge import NotFound
from lifeos.model import CloseOutcome, Stage
from pull_acts import happens
from pull_copies import At, at_point
from pull_scene import WORK, on_forge


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
@pytest.mark.parametrize(("by", "passes"), [("ann", True), ("adm", False)])
def test_a_merge_that_comes_between_is_not_swallowed(
    tmp_path: Path, method: str, by: str, passes: bool
) -> None:
    """The pull request was open when it was asked about, and main has the work: it is not the box
    that is believed, but who merged."""
    with on_forge(tmp_path, {"config.main_writes": "pr"}) as scene:
        scene.forge.pusher = scene.forge.who("ann")
        item = scene.to_landing()
        number = scene.pull(item).number
        meanwhile = happens(
            scene, "/reviews", lambda: scene.forge.merge(number, by=by, method=method)
        )
        scene.tick()
        assert meanwhile.done
        scene.tick()
        outcomes = [closed.outcome for closed in scene.ended()]
        assert outcomes == [CloseOutcome.PASS if passes else CloseOutcome.CANCELLED]
        rules = [each.rule for each in scene.snapshot().items.values()]
        assert rules == ([] if passes else [INTRUDED])


def test_who_opens_it_again_does_not_take_a_rejection_back(tmp_path: Path) -> None:
    """Ann closed it. Somebody else opened it again, and Bob merged: Ann's word stands."""
    with on_forge(tmp_path, {"config.main_writes": "direct"}) as scene:
        scene.forge.pusher = scene.forge.who("ann")
        item = scene.to_landing()
        number = scene.pull(item).number
        scene.forge.close(number, by="ann")
        scene.forge.reopen(number, by="adm")
        scene.forge.merge(number, by="bob")
        scene.tick()
        assert [closed.outcome for closed in scene.ended()] == [CloseOutcome.REJECTED]
        assert not scene.on_hub(WORK)


def test_who_closed_it_may_open_it_again(tmp_path: Path) -> None:
    """The same, but Ann changed her mind herself."""
    with on_forge(tmp_path) as scene:
        scene.forge.pusher = scene.forge.who("ann")
        item = scene.to_landing()
        number = scene.pull(item).number
        scene.forge.close(number, by="ann")
        scene.forge.reopen(number, by="ann")
        scene.forge.merge(number, by="bob")
        scene.tick()
        assert scene.at_hub(WORK) == "hello"


def test_an_approved_run_is_asked_anew_when_main_only_takes_pull_requests(tmp_path: Path) -> None:
    """The setting changed after the approval: lifeos does not push main all the same."""
    with on_forge(tmp_path, {"loop.on_governance_change": "finish"}) as scene:
        scene.forge.pusher = scene.forge.who("ann")
        scene.to_landing()
        scene.merge()
        scene.git("fetch", "--quiet", "origin")
        scene.git("reset", "--quiet", "--hard", "origin/main")
        scene.commit(
            scene.edit(".lifeos/config.yaml", '"main_writes": "direct"', '"main_writes": "pr"')
        )
        scene.git("push", "--quiet", "origin", "HEAD:main")
        before = scene.hub("rev-parse", "main")
        scene.tick()
        scene.tick()
        assert scene.hub("rev-parse", "main") == before
        claimed = [r for r in scene.records() if isinstance(r, Claimed) and r.stage is Stage.CLOSE]
        assert claimed == []
        item = scene.item()
        assert item.pull is not None
        assert item.pull.landing
        scene.merge()
        scene.tick()
        assert [closed.outcome for closed in scene.ended()] == [CloseOutcome.PASS]


def test_rules_with_a_wrong_address_can_be_mended(tmp_path: Path) -> None:
    """Adopting others takes the forge's word: whoever runs it names the forge, once."""
    with on_forge(tmp_path) as scene:
        scene.forge.pusher = scene.forge.who("ann")
        scene.tick()
        right = scene.forge.name
        for old, new in ((right, "octo-org/helo"), ("octo-org/helo", right)):
            scene.git("fetch", "--quiet", "origin")
            scene.git("reset", "--quiet", "--hard", "origin/main")
            scene.commit(scene.edit(".lifeos/config.yaml", f'"{old}"', f'"{new}"'))
            scene.git("push", "--quiet", "origin", "HEAD:main")
            if new != right:
                scene.tick()
                continue
            with pytest.raises(NotFound) as told:
                scene.tick()
            assert "LIFEOS_FORGE=" in told.value.fix
        scene.environ["LIFEOS_FORGE"] = f"{scene.forge.host}/{right}"
        scene.tick()
        del scene.environ["LIFEOS_FORGE"]
        scene.tick()
        assert scene.item().pull is not None


def test_work_that_conflicts_with_main_is_done_anew(tmp_path: Path) -> None:
    """No pull request could be made of it: it is not asked for ever, but built on the new main."""
    with on_forge(tmp_path, {"config.main_writes": "pr"}) as scene:
        scene.forge.pusher = scene.forge.who("ann")
        first = scene.to_landing()
        scene.forge.push_to("main", {WORK: "something else\n"}, by="ann")
        scene.tick()
        item = scene.item()
        assert item.id != first.id
        assert item.pull is not None
        assert item.pull.landing
        scene.merge()
        scene.tick()
        assert [closed.outcome for closed in scene.ended()] == [CloseOutcome.PASS]
        assert scene.at_hub(WORK) == "hello"
        Project(scene.folder).cli("verify")


def test_what_came_with_a_refused_one_is_asked_about(tmp_path: Path) -> None:
    """Ann closed it; somebody opened it again, put something in, and merged it."""
    with on_forge(tmp_path) as scene:
        scene.forge.pusher = scene.forge.who("ann")
        number = scene.pull(scene.to_landing()).number
        scene.forge.close(number, by="ann")
        scene.forge.reopen(number, by="adm")
        scene.forge.push_to(scene.forge.get(number).head_ref, {"evil.txt": "x\n"}, by="adm")
        scene.forge.merge(number, by="adm")
        scene.tick()
        assert INTRUDED in [each.rule for each in scene.snapshot().items.values()]


@pytest.mark.parametrize("given", ["octo/hello", "https://github.com/o/n", "github.com", "/o/n"])
def test_a_forge_that_is_named_wrongly_is_said(tmp_path: Path, given: str) -> None:
    """By who runs it: with the form that is wanted."""
    with on_forge(tmp_path) as scene:
        scene.environ["LIFEOS_FORGE"] = given
        with pytest.raises(UsageError, match="HOST/OWNER/NAME"):
            scene.tick()


@pytest.mark.parametrize("evil", [False, True])
@pytest.mark.parametrize("then", ["adopt", "escalate"])
def test_a_merge_beside_a_change_of_the_rules_is_not_swallowed(
    tmp_path: Path, then: str, *, evil: bool
) -> None:
    """The rules of open runs change, so that their questions are asked anew; but this one is
    answered on main already. With more in it than was asked, it is asked about."""
    scene = at_point(tmp_path, "pr", At.LANDING, f'{{"loop.on_governance_change": "{then}"}}')
    scene.forge.pusher = scene.forge.who("ann")
    path = "policies/loop.yaml"
    value = json.loads(scene.at_hub(path))
    scene.forge.push_to("main", {path: json.dumps({**value, "tasks_per_tick": 9})}, "ann")
    if evil:
        scene.forge.push_to(scene.pull().head_ref, {"evil.txt": "x\n"}, "wes")
    scene.merge()
    scene.tick()
    if then == "escalate" and not evil:
        scene.merge()  # the question whether the new rules hold for what is open
        scene.tick()
    if not evil:
        assert [closed.outcome for closed in scene.ended()] == [CloseOutcome.PASS]
        assert not scene.snapshot().items
    else:
        assert INTRUDED in [each.rule for each in scene.snapshot().items.values()]
        assert [closed.outcome for closed in scene.ended()] == [CloseOutcome.CANCELLED]
    Project(scene.folder).cli("verify")


def test_a_conflict_is_verified_by_the_rules_that_hold(tmp_path: Path) -> None:
    """The run keeps rules by which lifeos pushed main: that it was tried to land is no fault."""
    rules = '{"loop.on_governance_change": "finish"}'
    scene = at_point(tmp_path, "direct", At.LANDING, rules)
    scene.forge.pusher = scene.forge.who("ann")
    path = ".lifeos/config.yaml"
    value = json.loads(scene.at_hub(path))
    files: dict[str, str | None] = {path: json.dumps({**value, "main_writes": "pr"})}
    scene.forge.push_to("main", {**files, WORK: "something else\n"}, "ann")
    scene.tick()
    claimed = [r for r in scene.records() if isinstance(r, Claimed) and r.stage is Stage.CLOSE]
    assert len(claimed) == 1
    Project(scene.folder).cli("verify")
