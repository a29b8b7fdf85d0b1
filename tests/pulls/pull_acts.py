"""What people, bots and others do to the pull request of an open question, in vain."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from lifeos.core.answers import answer_path, answer_text
from lifeos.core.state import Item
from lifeos.model import Decision
from live_git import Bare
from live_values import Account
from pull_scene import OnForge, approvals

RULES = "policies/approvals.yaml"
HOUR = 3600


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
    value = json.loads(scene.at_hub(RULES))
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


def after_a_push_of_rules(scene: OnForge) -> None:
    """Somebody pushes rules that list them, in the place of all others; an approver merges."""
    value = json.loads(scene.at_hub(RULES)) | {"approvers": approvals(wes=110)}
    push(scene, {RULES: json.dumps(value)})
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


def after_an_edit_for_another_subject(scene: OnForge) -> None:
    """The file refuses something else: another state of it, or another question."""
    item = scene.item().model_copy(update={"subject": "cd" * 32})
    files: dict[str, str | None] = {answer_path(item.id): answer_file(item, Decision.REJECT, "no")}
    push(scene, files, by="ann")
    scene.merge()


def rebased_over_something(scene: OnForge) -> None:
    """What came along is a commit before the one with the answer."""
    item = scene.item()
    answer: dict[str, str | None] = {answer_path(item.id): answer_file(item)}
    force_push(scene, {"src/evil.py": "evil = True\n"}, answer)
    scene.merge(method="rebase")


def an_evil_merge(scene: OnForge, path: str = "evil.py") -> None:
    """An approver pushes a merge to main that brings more than the two sides."""
    pull, git = scene.pull(), scene.forge.git
    main = git.tip("main")
    scene.forge.time()
    blob = git.git("hash-object", "-w", "--stdin", stdin="evil = True\n")
    tree = git.merge_tree(main, pull.head_sha)
    index = {"GIT_INDEX_FILE": str(git.path / "index-evil")}
    git.git("read-tree", tree, env=index)
    git.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
    evil = git.git("write-tree", env=index)
    new = git.commit(evil, [main, pull.head_sha], "Merge\n", ("bob", "b@x"), ("bob", "b@x"))
    git.git("update-ref", "refs/heads/main", new)
    scene.forge.get(pull.number).merged_by = scene.forge.who("bob")


def an_evil_merge_with_an_answer(scene: OnForge) -> None:
    """All that is more is a file of an answer, which no landing brings."""
    an_evil_merge(scene, answer_path(scene.item().id))


# --- when ---------------------------------------------------------------------------------------


def too_late(scene: OnForge) -> None:
    """After its time a question can be refused, not approved."""
    scene.now += 169 * HOUR
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


def only_edited_with_more(scene: OnForge) -> None:
    """An edit that would wait for its merge, but for the file beside it."""
    item = scene.item()
    text = answer_file(item, Decision.REVISE, "shorter")
    push(scene, {answer_path(item.id): text, "src/evil.py": "evil = True\n"}, by="ann")


# --- while lifeos looks -------------------------------------------------------------------------


class Meanwhile:
    """Lets something happen once, right after the forge has answered a question."""

    def __init__(self, scene: OnForge, part: str, act: Callable[[], object]) -> None:
        self.scene, self.part, self.act = scene, part, act
        self.done = False

    def __call__(self, method: str, path: str) -> None:
        if not self.done and method == "GET" and self.part in path:
            self.done = True
            self.act()


def happens(scene: OnForge, part: str, act: Callable[[], object]) -> Meanwhile:
    """The next time that this is asked, this happens right after the answer was made."""
    meanwhile = Meanwhile(scene, part, act)
    scene.forge.after = meanwhile
    return meanwhile
