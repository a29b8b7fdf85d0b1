"""What happens to a queue PR and is no approval: nothing goes on by it, and it is said why.

``GATE`` is a question that a merge only answers, on a main that lifeos pushes to; ``GATE_BY_PULL``
the same where main takes pull requests only; ``WORK_BY_PULL`` a PR that carries the work itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lifeos.core.answers import answer_path, answer_text
from lifeos.core.decide import INTRUDED
from lifeos.core.records import AnyRecord, Claimed, Closed, Finished, Opened, Resolved, Topic
from lifeos.core.state import Item
from lifeos.model import CloseOutcome, Decision, ItemKind, Stage
from live_forge import Account
from live_git import Bare
from pull_copies import At, at_point
from pull_scene import WORK, OnForge, approvals
from loop_scene import changed

GATE = ("direct", At.LANDING)
GATE_BY_PULL = ("pr", At.COMMANDS)
WORK_BY_PULL = ("pr", At.LANDING)
EVERYWHERE = (GATE, GATE_BY_PULL, WORK_BY_PULL)
GATES = (GATE, GATE_BY_PULL)
Place = tuple[str, At]
Act = Callable[[OnForge], None]
RULES = "policies/approvals.yaml"
HOUR = 3600


@dataclass(frozen=True)
class Case:
    """What somebody does, where it has a meaning, and why it does not count."""

    act: Act
    why: str
    places: tuple[Place, ...] = EVERYWHERE


def number(scene: OnForge) -> int:
    """The number of the pull request of the open question."""
    return scene.pull().number


def branch(scene: OnForge) -> str:
    """Its branch."""
    return scene.pull().head_ref


def push(scene: OnForge, files: dict[str, str | None], by: str = "wes", to: str = "") -> str:
    """A push to the branch of the open question, or to another one, past lifeos."""
    return scene.forge.push_to(to or branch(scene), files, by)


def force_push(scene: OnForge, *commits: dict[str, str | None]) -> None:
    """The branch of the open question is made anew, on main."""
    for files in commits:
        tip = scene.forge.push_to("scratch", files, "wes")
    scene.forge.git.git("update-ref", f"refs/heads/{branch(scene)}", tip)


def answer_file(item: Item, decision: Decision = Decision.APPROVE, comment: str = "") -> str:
    """The file of an answer."""
    return answer_text(item.id, decision, item.subject, comment).decode()


# --- who ----------------------------------------------------------------------------------------


def by_a_bot(scene: OnForge) -> None:
    """A workflow's account, with the right to write."""
    scene.merge(by="github-actions[bot]")


def by_a_listed_bot(scene: OnForge) -> None:
    """The account of an approver turns out to be a bot's."""
    scene.forge.accounts["bob"] = replace(scene.forge.who("bob"), kind="Bot")
    scene.merge(by="bob")


def by_its_author(scene: OnForge) -> None:
    """The pull request was opened with the token of the approver who merges it."""
    scene.forge.pulls[number(scene)].author = scene.forge.who("ann")
    scene.merge(by="ann")


def of_a_ghost(scene: OnForge) -> None:
    """Whoever opened it has no account any more: it may have been the same person."""
    scene.forge.pulls[number(scene)].author = None
    scene.merge(by="ann")


def by_a_ghost(scene: OnForge) -> None:
    """Whoever merged it has no account any more."""
    scene.merge(by="ann")
    scene.forge.pulls[number(scene)].merged_by = None


def by_a_writer(scene: OnForge) -> None:
    """Somebody who may write, and is no approver."""
    scene.merge(by="wes")


def by_an_admin(scene: OnForge) -> None:
    """The forge lets an admin do all; lifeos does not."""
    scene.merge(by="adm")


def by_a_namesake(scene: OnForge) -> None:
    """The approver's login, taken over by another account."""
    scene.forge.accounts["ann"] = Account(666, "ann", "ghx_other")
    scene.merge(by="ann")


def approvers(scene: OnForge, **people: int) -> None:
    """Somebody changes who approves, on main."""
    import json

    text = scene.at_hub(RULES)
    value = json.loads(text)
    value["approvers"] = approvals(**people)
    scene.forge.push_to("main", {RULES: json.dumps(value)}, "wes")


def by_somebody_listed_just_now(scene: OnForge) -> None:
    """The list on main is no rule until an approver adopted it."""
    approvers(scene, ann=101, bob=102, wes=110)
    scene.merge(by="wes")


# --- what ---------------------------------------------------------------------------------------


def after_a_push(scene: OnForge) -> None:
    """Somebody pushes a file to the branch, and an approver merges without looking."""
    push(scene, {"src/evil.py": "evil = True\n"})
    scene.merge()


def after_a_force_push(scene: OnForge) -> None:
    """An approver approves in a review; then the branch is replaced; then it is merged."""
    scene.forge.review(number(scene), by="ann", state="APPROVED")
    force_push(scene, {"src/evil.py": "evil = True\n"})
    scene.merge()


def after_an_edit_that_approves(scene: OnForge) -> None:
    """The file still approves, and is another one than lifeos pushed."""
    item = scene.item()
    push(scene, {answer_path(item.id): answer_file(item, comment="also: do it twice")}, by="ann")
    scene.merge()


def rebased_over_something(scene: OnForge) -> None:
    """What came along is a commit before the one with the answer."""
    item = scene.item()
    answer: dict[str, str | None] = {answer_path(item.id): answer_file(item)}
    force_push(scene, {"src/evil.py": "evil = True\n"}, answer)
    scene.merge(method="rebase")


def an_evil_merge(scene: OnForge) -> None:
    """An approver pushes a merge to main that brings more than the two sides."""
    pull, git = scene.pull(), scene.forge.git
    main = git.tip("main")
    scene.forge.time()
    blob = git.git("hash-object", "-w", "--stdin", stdin="evil = True\n")
    tree = git.merge_tree(main, pull.head_sha)
    index = {"GIT_INDEX_FILE": str(git.path / "index-evil")}
    git.git("read-tree", tree, env=index)
    git.git("update-index", "--add", "--cacheinfo", f"100644,{blob},evil.py", env=index)
    evil = git.git("write-tree", env=index)
    new = git.commit(evil, [main, pull.head_sha], "Merge\n", ("bob", "b@x"), ("bob", "b@x"))
    git.git("update-ref", "refs/heads/main", new)
    scene.forge.get(pull.number).merged_by = scene.forge.who("bob")


# --- when ---------------------------------------------------------------------------------------


def too_late(scene: OnForge) -> None:
    """After its time a question can be refused, not approved."""
    scene.now += 169 * HOUR
    scene.merge()


def after_the_task_changed(scene: OnForge) -> None:
    """The task is another one by then."""
    text = scene.at_hub("BACKLOG.md")
    new = changed(text, "Say hello in the guide", "Say goodbye in the guide")
    scene.forge.push_to("main", {"BACKLOG.md": new}, "wes")
    scene.merge()


def merged_and_taken_off(scene: OnForge) -> None:
    """The answer is no longer on main when lifeos looks."""
    scene.merge()
    scene.forge.push_to("main", {answer_path(scene.item().id): None}, "wes")


def merged_and_edited(scene: OnForge) -> None:
    """Nor is it the same."""
    scene.merge()
    item = scene.item()
    text = answer_file(item, Decision.REVISE, "make it worse")
    scene.forge.push_to("main", {answer_path(item.id): text}, "wes")


def merged_and_forced_away(scene: OnForge) -> None:
    """Main is put back to where it was, and goes on without the merge."""
    before = scene.forge.git.tip("main")
    scene.merge()
    scene.forge.git.git("update-ref", "refs/heads/main", before)
    scene.forge.push_to("main", {"README.md": "# Other\n"}, "wes")


# --- where --------------------------------------------------------------------------------------


def into_another_branch(scene: OnForge) -> None:
    """It is pointed at another branch, and merged there by an approver."""
    scene.forge.git.git("update-ref", "refs/heads/side", scene.forge.git.tip("main"))
    scene.forge.pulls[number(scene)].base_ref = "side"
    scene.merge()


def by_a_fork(scene: OnForge) -> None:
    """Another PR, from a fork, carries the file that approves; an approver merges that one."""
    item = scene.item()
    fork = scene.forge.fork("eve")
    files = {answer_path(item.id): answer_file(item)}
    Bare(scene.forge.forks[fork], scene.forge.now).change("typo", files, ("eve", "e@x"))
    asked = scene.forge.open("typo", "main", "A typo", by="eve", fork=fork)
    scene.forge.merge(asked.number, by="ann")


def by_a_fork_on_top_of_it(scene: OnForge) -> None:
    """It has the open question's commits in it; the forge then calls that PR merged, too."""
    fork = scene.forge.fork("eve")
    files = {"src/evil.py": "evil = True\n"}
    own = number(scene)
    Bare(scene.forge.forks[fork], scene.forge.now).change(branch(scene), files, ("eve", "e@x"))
    asked = scene.forge.open(branch(scene), "main", "A typo", by="eve", fork=fork)
    scene.forge.merge(asked.number, by="ann")
    scene.forge.get(own).merged_by = scene.forge.who("ann")


def pushed_to_main(scene: OnForge) -> None:
    """The file is pushed to main without any PR."""
    item = scene.item()
    scene.forge.push_to("main", {answer_path(item.id): answer_file(item)}, "ann")


# --- no answer at all ---------------------------------------------------------------------------


def only_reviewed(scene: OnForge) -> None:
    """Approved in a review: what counts is the merge."""
    scene.forge.review(number(scene), by="ann", state="APPROVED", body="approve")


def only_talked_about(scene: OnForge) -> None:
    """Comments, a review that only comments, and the title are no answers."""
    scene.forge.comment(number(scene), "/approve", by="ann")
    scene.forge.review(number(scene), by="ann", state="COMMENTED", body="LGTM, merge it")
    scene.forge.review(number(scene), by="bob", state="PENDING", body="not sent yet")
    scene.forge.edit(number(scene), by="ann", title="APPROVED", body="decision: approve")


def only_pushed_to(scene: OnForge) -> None:
    """A file on the branch, and nobody merged it."""
    push(scene, {"src/evil.py": "evil = True\n"})


def only_edited_to_approve(scene: OnForge) -> None:
    """The answer in another form on the branch, and nobody merged it."""
    item = scene.item()
    push(scene, {answer_path(item.id): answer_file(item, comment="do it twice")}, by="ann")


ANEW: dict[str, Case] = {
    "merged by a bot": Case(by_a_bot, "is a bot"),
    "merged by an approver's account that is a bot's": Case(by_a_listed_bot, "is a bot", (GATE,)),
    "merged by its author": Case(by_its_author, "by its own author"),
    "opened by nobody knows whom": Case(of_a_ghost, "does not say who opened it", (GATE,)),
    "merged by nobody knows whom": Case(by_a_ghost, "does not say who it was", (GATE,)),
    "merged by a writer": Case(by_a_writer, "wes (account 110) is no approver"),
    "merged by an admin": Case(by_an_admin, "adm (account 103) is no approver", (GATE,)),
    "a spoofed login": Case(
        by_a_namesake, "ann (account 666) is no approver", (GATE, WORK_BY_PULL)
    ),
    "who listed himself a commit earlier": Case(
        by_somebody_listed_just_now, "is no approver", (GATE, WORK_BY_PULL)
    ),
    "edited to still approve, and merged": Case(
        after_an_edit_that_approves, "somebody pushed to its branch", GATES
    ),
    "merged after expiry": Case(too_late, "after the question had expired"),
    "merged, then the file removed": Case(merged_and_taken_off, "not on main as it was", GATES),
    "payload edited after the merge": Case(merged_and_edited, "not on main as it was", GATES),
    "merged, then main forced back": Case(merged_and_forced_away, "main does not have it"),
    "retargeted, and merged elsewhere": Case(into_another_branch, "pointed at another branch"),
    "a file pushed to the branch": Case(only_pushed_to, "somebody pushed to its branch"),
    "edited to still approve": Case(only_edited_to_approve, "somebody pushed to its branch"),
}
INTRUDES: dict[str, Case] = {
    "a push, then a merge": Case(after_a_push, "something else than lifeos had pushed"),
    "a force push after the review": Case(after_a_force_push, "something else than lifeos"),
    "rebased with a commit before it": Case(rebased_over_something, "something else than lifeos"),
    "a fork's PR on top of it": Case(by_a_fork_on_top_of_it, "something else than lifeos"),
    "an evil merge by hand": Case(an_evil_merge, "something else than lifeos had pushed"),
}
WAITS: dict[str, Case] = {
    "an answer by a fork's PR": Case(by_a_fork, "it was pushed", GATES),
    "an answer pushed to main": Case(pushed_to_main, "it was pushed", (GATE,)),
    "a review that approves": Case(only_reviewed, ""),
    "comments, labels, titles": Case(only_talked_about, ""),
}


def places(table: dict[str, Case]) -> list[tuple[str, Place]]:
    """Each case in each of its places."""
    return [(name, place) for name, case in table.items() for place in case.places]


def went_on(scene: OnForge, since: str) -> list[AnyRecord]:
    """What would show that a run went on."""
    kinds = (Resolved, Closed, Claimed, Finished, Opened)
    return [record for record in scene.records(since) if isinstance(record, kinds)]


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Place], OnForge]:
    """A project at a place."""
    return lambda place: at_point(tmp_path / "project", *place)


Project = Callable[[Place], OnForge]


def is_landing(scene: OnForge) -> bool:
    """Whether the open question's PR carries the work."""
    pull = scene.item().pull
    return pull is not None and pull.landing


@pytest.mark.parametrize(("name", "place"), places(ANEW))
def test_it_is_asked_anew(project: Project, name: str, place: Place) -> None:
    """The question is asked once more, of what is there; or, if the work came in, about that."""
    scene, case = project(place), ANEW[name]
    old, since, landing = scene.item(), scene.tip(), is_landing(scene)
    asked = scene.pull()
    case.act(scene)
    came_in = landing and asked.merged_at is not None and scene.on_hub(WORK)
    report = scene.tick()
    assert case.why in report.standing(())
    if came_in:
        intruded(scene, old, since, case.why)
        return
    assert went_on(scene, since) == []
    assert not scene.on_hub(WORK)
    (note,) = [n for n in scene.notes(Topic.SUPERSEDED) if n.item == old.id]
    assert case.why in note.text
    twin = next(i for i in scene.snapshot().items.values() if i.kind is old.kind)
    assert (twin.kind, twin.stage, twin.run) == (old.kind, old.stage, old.run)
    assert twin.id != old.id
    assert scene.pull(twin).state == "open"
    assert scene.forge.get(asked.number).state == "closed"
    assert not scene.forge.git.tip(asked.head_ref)


def intruded(scene: OnForge, old: Item, since: str, why: str) -> None:
    """What reached main is asked about, and nothing else begins."""
    found = [i for i in scene.snapshot().items.values() if i.rule == INTRUDED]
    assert [item.kind for item in found] == [ItemKind.PROPOSAL]
    assert why in found[0].question
    assert old.id not in scene.snapshot().items
    if old.pull is not None and old.pull.landing:
        (ended,) = went_on(scene, since)
        assert isinstance(ended, Closed)
        assert (ended.run, ended.outcome) == (old.run, CloseOutcome.CANCELLED)
        assert why in ended.reason
    else:
        assert went_on(scene, since) == []
    assert scene.pull(found[0]).state == "open"


@pytest.mark.parametrize(("name", "place"), places(INTRUDES))
def test_it_is_an_intrusion(project: Project, name: str, place: Place) -> None:
    """Main has what nobody was asked about: whether to take it back is asked; nothing begins."""
    scene, case = project(place), INTRUDES[name]
    old, since = scene.item(), scene.tip()
    case.act(scene)
    report = scene.tick()
    assert case.why in report.standing(())
    assert "nothing begins until it is answered" in report.standing(())
    intruded(scene, old, since, case.why)


@pytest.mark.parametrize(("name", "place"), places(WAITS))
def test_it_is_no_answer(project: Project, name: str, place: Place) -> None:
    """The question stays open as it is."""
    scene, case = project(place), WAITS[name]
    old, since = scene.item(), scene.tip()
    case.act(scene)
    report = scene.tick()
    assert case.why in report.standing(())
    assert went_on(scene, since) == []
    assert scene.item() == old
    assert scene.pull().state == "open"
    assert not scene.on_hub(WORK)
