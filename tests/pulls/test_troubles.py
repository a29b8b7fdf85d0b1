"""A forge that is down, refuses, or breaks off; and others who ask it at the same time."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from command_line import Project
from lifeos.core.records import Claimed, Resolved, Topic
from lifeos.core.state import Item
from lifeos.core.table import INTRUDED
from lifeos.errors import Busy, Exit, LifeosError, NotAuthorised
from lifeos.forge import ForbiddenBySetting, NotFound, RateLimited
from lifeos.model import CloseOutcome, Decision, ItemKind
from live_values import Asked
from loop_scene import BACKLOG
from pull_copies import At, answering, at_point, clone_of
from pull_scene import APP, WORK, OnForge
from strange_answers import Endless, Strange

TOKEN = "LIFEOS_TEST_TOKEN"  # noqa: S105 - the name of the variable, no token


def opened(scene: OnForge) -> list[Asked]:
    """The PRs that are open."""
    return [pull for pull in scene.forge.pulls.values() if pull.state == "open"]


def fails(scene: OnForge, kind: type[LifeosError], code: Exit) -> LifeosError:
    """That a tick ends so."""
    with pytest.raises(kind) as caught:
        scene.tick()
    assert caught.value.exit_code is code
    assert caught.value.fix
    return caught.value


def approved(folder: Path, mode: str = "pr") -> OnForge:
    """A project whose landing was merged by an approver; lifeos has not looked yet."""
    scene = at_point(folder, mode, At.LANDING)
    scene.merge()
    return scene


# --- at the beginning ---------------------------------------------------------------------------


def test_the_forge_is_down(tmp_path: Path) -> None:
    """Nothing is claimed or recorded; when it is there again, the merge is taken in."""
    scene = approved(tmp_path)
    since = scene.tip()
    scene.forge.trouble("status", times=99, status=503)
    fails(scene, Busy, Exit.BUSY)
    assert scene.tip() == since
    scene.forge.troubles.clear()
    scene.tick()
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.PASS]


def test_the_forge_wants_a_pause(tmp_path: Path) -> None:
    """Nothing is recorded, and how long it shall be is said."""
    scene = approved(tmp_path)
    since = scene.tip()
    scene.forge.trouble("limit", wait=1234)
    error = fails(scene, RateLimited, Exit.BUSY)
    assert isinstance(error, RateLimited)
    assert error.wait == 1234
    assert scene.tip() == since


@pytest.mark.parametrize("token", [None, "", "ghx_nobody"])
def test_a_token_that_is_none(tmp_path: Path, token: str | None) -> None:
    """Missing, empty, or unknown to the forge: exit 4, and nothing is recorded."""
    scene = approved(tmp_path)
    since = scene.tip()
    scene.environ = {} if token is None else {TOKEN: token}
    error = fails(scene, NotAuthorised, Exit.NOT_AUTHORISED)
    assert TOKEN in str(error) or "token" in str(error)
    assert "ghx_nobody" not in str(error)
    assert scene.tip() == since
    assert scene.on_hub(WORK)


def test_the_repository_may_not_be_read_any_more(tmp_path: Path) -> None:
    """All of it is as absent then: that says nothing about its pull requests."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    number, since = scene.pull().number, scene.tip()
    app = scene.forge.who(APP)
    scene.forge.accounts[APP] = replace(app, may="none")
    fails(scene, NotFound, Exit.USAGE)
    assert scene.tip() == since
    scene.forge.accounts[APP] = app
    scene.tick()
    assert scene.pull().number == number


def test_the_forge_has_lost_a_pull_request(tmp_path: Path) -> None:
    """It is asked anew, with another one."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    old = scene.item()
    del scene.forge.pulls[scene.pull().number]
    report = scene.tick()
    assert "its pull request is gone" in report.standing(())
    assert scene.item().id != old.id
    assert opened(scene) == [scene.pull()]


# --- while it is asked --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["direct", "pr"])
def test_the_setting_forbids_to_open_any(tmp_path: Path, mode: str) -> None:
    """All is recorded, the setting is named, and once it is allowed the next tick opens it."""
    scene = at_point(tmp_path, mode, At.START)
    scene.forge.workflows_may_open = False
    scene.environ = {TOKEN: scene.forge.who("github-actions[bot]").token}
    error = fails(scene, ForbiddenBySetting, Exit.NOT_AUTHORISED)
    assert isinstance(error, ForbiddenBySetting)
    assert error.setting
    item = scene.item()
    assert item.pull is not None
    assert (item.pull.number, scene.forge.pulls) == (0, {})
    scene.forge.workflows_may_open = True
    scene.tick()
    assert [pull.head_sha for pull in opened(scene)] == [item.pull.head]
    assert scene.pull().number == 1
    scene.merge()
    scene.tick()
    assert scene.pull().head_ref != f"lifeos/queue/{item.id}"


def test_an_outage_while_it_is_opened(tmp_path: Path) -> None:
    """The question is on the ledger; the next tick opens the only one."""
    scene = at_point(tmp_path, "pr", At.START)
    scene.forge.trouble("status", "POST", "/pulls", times=9, status=502)
    fails(scene, Busy, Exit.BUSY)
    item = scene.item()
    scene.forge.troubles.clear()
    scene.tick()
    assert scene.item().id == item.id
    assert opened(scene) == [scene.pull()]


@pytest.mark.parametrize("lost", [False, True], ids=["and is looked up", "and nothing after it"])
def test_the_answer_breaks_off_after_it_was_opened(tmp_path: Path, lost: bool) -> None:
    """The one that was made is found: at once, or by the next tick."""
    scene = at_point(tmp_path, "pr", At.START)
    scene.forge.trouble("cut_after", "POST", "/pulls")
    if lost:
        scene.forge.trouble("status", "GET", "/pulls?", times=9, skip=1)
        fails(scene, Busy, Exit.BUSY)
        assert len(opened(scene)) == 1
        assert scene.item().pull is not None
        scene.forge.troubles.clear()
    scene.tick()
    assert opened(scene) == [scene.pull()]
    posts = [path for method, path in scene.forge.asked if method == "POST"]
    assert len([path for path in posts if path.endswith("/pulls")]) == 1


def test_one_that_cannot_be_opened_keeps_no_other_back(tmp_path: Path) -> None:
    """Both are tried before the error is told."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    scene.forge.push_to(scene.pull().head_ref, {"src/x.py": "x\n"}, "wes")
    other_rules(scene)
    scene.forge.trouble("status", "POST", "/pulls", status=422, message="Validation Failed")
    with pytest.raises(LifeosError):
        scene.tick()
    numbers = sorted(i.pull.number for i in scene.snapshot().items.values() if i.pull)
    assert len(numbers) == 2
    assert numbers[0] == 0
    assert numbers[1] > 0
    scene.tick()
    assert len(opened(scene)) == 2


def test_who_opened_it_first(tmp_path: Path) -> None:
    """Somebody opens one from the branch before lifeos does: it is that one, and theirs.

    Whoever it is may not be the one who merges it.
    """
    scene = at_point(tmp_path, "pr", At.START)
    scene.forge.workflows_may_open = False
    scene.environ = {TOKEN: scene.forge.who("github-actions[bot]").token}
    fails(scene, ForbiddenBySetting, Exit.NOT_AUTHORISED)
    item = scene.item()
    scene.forge.open(f"lifeos/queue/{item.id}", "main", "Nothing to see here", by="ann")
    scene.tick()
    assert scene.pull().author == scene.forge.who("ann")
    since = scene.tip()
    scene.merge(by="ann")
    scene.forge.workflows_may_open = True
    report = scene.tick()
    assert "merged by its own author" in report.standing(())
    assert not [r for r in scene.records(since) if isinstance(r, Resolved)]


# --- others at the same time --------------------------------------------------------------------


@pytest.mark.parametrize("at", [At.START, At.COMMANDS])
def test_two_clones_at_once(tmp_path: Path, at: At) -> None:
    """Each question has one pull request, and no run goes twice."""
    first = at_point(tmp_path, "pr", at)
    if at is At.COMMANDS:
        first.merge()
    second = clone_of(first, tmp_path / "second")
    errors: list[Exception] = []

    def run(scene: OnForge) -> None:
        try:
            scene.tick()
        except Busy:
            pass  # the other one was quicker, all the way
        except Exception as error:  # noqa: BLE001 - it is looked at below
            errors.append(error)

    both = [threading.Thread(target=run, args=(scene,)) for scene in (first, second)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(120)
    assert errors == []
    second.now = first.now = max(first.now, second.now)
    first.tick()
    assert opened(first) == [first.pull()]
    heads = [pull.head_ref for pull in first.forge.pulls.values()]
    assert len(heads) == len(set(heads))
    claims = [(r.run, r.stage, r.n) for r in first.records() if isinstance(r, Claimed)]
    assert len(claims) == len(set(claims))
    notes = [n.pull.number for n in first.notes(Topic.PULL) if n.pull and n.pull.number]
    assert len(notes) == len(set(notes))


# --- one of several -----------------------------------------------------------------------------


def other_rules(scene: OnForge) -> None:
    """Rules on main that have to be asked about."""
    path = "policies/approvals.yaml"
    value = json.loads(scene.at_hub(path)) | {"expiry": {"hours": 5}}
    scene.forge.push_to("main", {path: json.dumps(value)}, "wes")


def two_questions(folder: Path) -> tuple[OnForge, Item, Item]:
    """Whether the work may land, and whether other rules hold."""
    scene = at_point(folder, "direct", At.LANDING)
    other_rules(scene)
    scene.tick()
    items = scene.snapshot().items.values()
    (rules,) = (item for item in items if item.kind is ItemKind.GOVERNANCE)
    (landing,) = (item for item in items if item.kind is ItemKind.STAGE_REVIEW)
    return scene, landing, rules


@pytest.mark.parametrize("how", ["strange", "out of order"])
def test_one_that_cannot_be_heard_keeps_no_other_from_being_heard(tmp_path: Path, how: str) -> None:
    """Both were merged. The one that can be heard is taken; the other is said, and nothing
    resumes by it; once it can be heard, it counts."""
    scene, landing, rules = two_questions(tmp_path)
    scene.merge(item=landing)
    scene.merge(item=rules)
    since = scene.tip()
    number = scene.pull(landing).number
    if how == "strange":
        with answering(Strange(scene.forge, number)):
            report = scene.tick()
    else:
        scene.forge.trouble("status", "GET", f"/pulls/{number}", times=99, status=502)
        report = scene.tick()
        scene.forge.troubles.clear()
    taken = [r.item for r in scene.records(since) if isinstance(r, Resolved)]
    assert taken == [rules.id]
    assert landing.id in scene.snapshot().items
    assert len(report.refusals) == 1
    assert landing.id in report.refusals[0]
    assert "what became of its pull request is not known" in report.refusals[0]
    assert not scene.on_hub(WORK)
    scene.tick()
    assert scene.on_hub(WORK)


@pytest.mark.parametrize("act", ["merge", "close", "nothing"])
@pytest.mark.parametrize(
    ("mode", "at"),
    [pytest.param("direct", At.COMMANDS, marks=pytest.mark.long), ("pr", At.LANDING)],
)
def test_reviews_without_end_mute_nobody(tmp_path: Path, mode: str, at: At, act: str) -> None:
    """A stranger has filled them up. A close is heard, and a merge that landed the work; where
    changes that were requested would count, it is asked anew, with what to do."""
    scene = at_point(tmp_path, mode, at)
    old, since = scene.item(), scene.tip()
    number = scene.pull().number
    match act:
        case "merge":
            scene.merge(by="ann")
        case "close":
            scene.forge.close(number, by="ann")
        case _:
            scene.forge.review(number, by="ann", state="CHANGES_REQUESTED", body="no")
    with answering(Endless(scene.forge, number, "reviews")):
        report = scene.tick()
    taken = [r.decision for r in scene.records(since) if isinstance(r, Resolved)]
    if act == "close":
        assert taken == [Decision.REJECT]
    elif act == "merge" and at is At.LANDING:
        assert taken == [Decision.APPROVE]
    else:
        assert taken == []
        assert scene.item().id != old.id
        said = report.standing(())
        assert "whether an approver requested changes cannot be known" in said
        assert "lock its conversation" in said


@pytest.mark.parametrize("act", ["merge", "close"])
def test_events_without_end_stall_nothing(tmp_path: Path, act: str) -> None:
    """Nobody can tell who closed it: it is asked anew, or, on main, whether to take it back."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    since, number = scene.tip(), scene.pull().number
    if act == "merge":
        scene.merge(by="ann")
    else:
        scene.forge.close(number, by="ann")
    with answering(Endless(scene.forge, number, "events")):
        scene.tick()
    assert not [r for r in scene.records(since) if isinstance(r, Resolved)]
    assert scene.pull().number > number
    assert (scene.item().rule == INTRUDED) is (act == "merge")
    scene.merge(by="bob")
    scene.tick()
    assert scene.on_hub(WORK) is (act == "close")


def test_if_all_of_them_fail_it_is_the_forge(tmp_path: Path) -> None:
    """Nothing is recorded, and it is asked for no more than the first two."""
    scene, landing, _ = two_questions(tmp_path)
    scene.merge(item=landing)
    since = scene.tip()
    scene.forge.asked.clear()
    scene.forge.trouble("status", "GET", "/pulls/", times=99, status=502)
    fails(scene, Busy, Exit.BUSY)
    assert scene.tip() == since
    assert len({path for _, path in scene.forge.asked}) == 2


def test_a_limit_is_the_forges_at_whichever_it_shows(tmp_path: Path) -> None:
    """Though another one was heard before."""
    scene, landing, rules = two_questions(tmp_path)
    scene.merge(item=landing)
    scene.merge(item=rules)
    since = scene.tip()
    last = max(scene.pull(landing).number, scene.pull(rules).number)
    scene.forge.trouble("limit", "GET", f"/pulls/{last}", wait=5)
    fails(scene, RateLimited, Exit.BUSY)
    assert scene.tip() == since


def test_what_was_recorded_is_shown_before_the_error(tmp_path: Path) -> None:
    """Of the command: what ended and what waits on standard output, then why it is not open."""
    scene = at_point(tmp_path, "pr", At.START)
    scene.forge.workflows_may_open = False
    project = Project(scene.folder)
    token = scene.forge.who("github-actions[bot]").token
    told = project.cli("tick", "--quiet", code=4, LIFEOS_TEST_TOKEN=token)
    assert f"waiting for the CEO: {scene.item().id}" in told.out
    assert "not permitted to create or approve pull requests" in told.err
    again = project.cli("tick", "--quiet", "--json", code=4, LIFEOS_TEST_TOKEN=token)
    assert again.data["waiting"] == [scene.item().id]


def test_what_was_claimed_is_handed_out_though_the_forge_refuses(tmp_path: Path) -> None:
    """The claims would else run out with nobody working on them."""
    scene = at_point(tmp_path, "direct", At.COMMANDS, pusher="ann")
    second = BACKLOG.partition("## P0\n")[2].replace("LO-aaaaaa", "LO-bbbbbb")
    text = scene.at_hub("BACKLOG.md") + "\n" + second.replace("docs/", "src/")
    scene.forge.push_to("main", {"BACKLOG.md": text}, "ann")
    other_rules(scene)
    scene.forge.workflows_may_open = False
    token, out = scene.forge.who("github-actions[bot]").token, tmp_path / "claims"
    told = Project(scene.folder).cli("ci", "claim", "--out", str(out), LIFEOS_TEST_TOKEN=token)
    (job,) = json.loads(told.out)["include"]
    assert [path.name for path in out.iterdir()] == [job["claim"]]
    assert "not permitted to create or approve pull requests" in told.err


def test_what_the_remote_does_not_remove_is_said(tmp_path: Path) -> None:
    """A branch of an answered question that may not be deleted: the tick says which, and why."""
    scene = at_point(tmp_path, "direct", At.LANDING)
    scene.hub("config", "receive.denyDeletes", "true")
    branch = scene.pull().head_ref
    scene.merge()
    scene.tick()
    assert scene.forge.git.tip(branch)
    said = [line for line in scene.said if "did not remove" in line]
    assert any(f"refs/heads/{branch}" in line and "deletion" in line for line in said), said
