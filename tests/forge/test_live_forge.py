"""The forge of the tests does what GitHub does: else tests against it would mean nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from forge_scene import live_forge
from live_forge import Forge
from live_values import Refusal

PEOPLE = "--format=%an <%ae>, %cn <%ce>"
ANN = "ann <101+ann@users.noreply.github.com>"
BOB = "bob <102+bob@users.noreply.github.com>"
GITHUB = "GitHub <noreply@github.com>"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    """With a pull request of bob's, of two commits."""
    with live_forge(tmp_path) as forge:
        forge.push_to("work", {"a.txt": "1\n"}, "bob")
        forge.push_to("work", {"b.txt": "1\n"}, "bob")
        forge.open("work", "main", "Work", by="bob")
        forge.push_to("main", {"c.txt": "1\n"}, "ann")
        yield forge


def signed(forge: Forge, commit: str) -> str:
    """Author and committer."""
    return forge.git.git("show", "-s", PEOPLE, commit)


def test_a_merge_is_made_by_github_in_the_name_of_who_merges(forge: Forge) -> None:
    """A merge of main before it and the head."""
    before, head = forge.git.tip("main"), forge.git.tip("work")
    commit = forge.merge(1, by="ann")
    assert forge.git.git("show", "-s", "--format=%P", commit) == f"{before} {head}"
    assert signed(forge, commit) == f"{ANN}, {GITHUB}"
    assert "Merge pull request #1 from octo-org/work" in forge.git.git("show", "-s", commit)


def test_a_squash_is_one_commit_of_the_author(forge: Forge) -> None:
    """With all of it, on main as it was."""
    before = forge.git.tip("main")
    commit = forge.merge(1, by="ann", method="squash")
    assert forge.git.git("show", "-s", "--format=%P", commit) == before
    assert signed(forge, commit) == f"{BOB}, {GITHUB}"
    assert forge.git.git("ls-tree", "--name-only", commit).split() == [
        "README.md",
        "a.txt",
        "b.txt",
        "c.txt",
    ]


def test_a_rebase_makes_each_commit_again(forge: Forge) -> None:
    """Each by its author; committed by who merges."""
    before = forge.git.tip("main")
    commit = forge.merge(1, by="ann", method="rebase")
    line = forge.git.git("rev-list", "--reverse", f"{before}..{commit}").split()
    assert [signed(forge, each) for each in line] == [f"{BOB}, {ANN}"] * 2
    assert forge.git.git("rev-parse", f"{line[0]}^") == before


def test_what_was_pushed_to_main_counts_as_merged(forge: Forge, tmp_path: Path) -> None:
    """By who pushed it; the head is kept when the branch is gone."""
    head = forge.git.tip("work")
    clone = tmp_path / "clone"
    forge.pusher = forge.who("ann")
    subprocess.run(["git", "clone", "--quiet", str(forge.bare), str(clone)], check=True)
    for args in (("merge", "--quiet", "origin/work"), ("push", "--quiet", "origin", "main")):
        subprocess.run(["git", *args], cwd=clone, check=True)
    pull = forge.get(1)
    assert (pull.state, pull.merge_commit) == ("closed", forge.git.tip("main"))
    assert pull.merged_by == forge.who("ann")
    forge.delete("work", by="bob")
    assert forge.git.git("rev-parse", "refs/pull/1/head") == head


def test_a_protected_branch_takes_no_push(forge: Forge, tmp_path: Path) -> None:
    """Neither plain nor forced; by pull request it changes, once it is approved by another."""
    forge.protect("main", reviews=1)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(forge.bare), str(clone)], check=True)
    push = ["git", "push", "origin", "origin/work:main", "--force"]
    done = subprocess.run(push, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "GH006: Protected branch" in done.stderr
    with pytest.raises(Refusal, match="approving review"):
        forge.merge(1, by="ann")
    with pytest.raises(Refusal):
        forge.review(1, by="bob")
    with pytest.raises(Refusal, match="approving review"):
        forge.merge(1, by="ann", around=True)
    forge.review(1, by="ann")
    forge.merge(1, by="ann")


def test_a_branch_that_is_deleted_closes_its_pull_request(forge: Forge) -> None:
    """By whoever deleted it; who may only read closes nothing of others."""
    with pytest.raises(Refusal):
        forge.close(1, by="eve")
    forge.delete("work", by="ann")
    pull = forge.get(1)
    assert pull.state == "closed"
    assert pull.events[-1]["who"] == forge.who("ann")
    with pytest.raises(Refusal):
        forge.reopen(1, by="ann")


def test_a_fork_s_pull_request_is_merged(forge: Forge) -> None:
    """Its commits come from another repository."""
    fork = forge.fork("eve")
    forge.git.git("push", "--quiet", str(forge.forks[fork]), "work:theirs")
    number = forge.open("theirs", "main", "Theirs", by="eve", fork=fork).number
    with pytest.raises(Refusal):
        forge.open("work", "main", "Mine", by="eve")
    forge.merge(number, by="ann")
    assert forge.get(number).head_repository == fork


def test_what_is_between_two_branches_conflicts(forge: Forge) -> None:
    """Then it is not merged, by no way, and main is where it was."""
    before = forge.push_to("main", {"a.txt": "another\n"}, "ann")
    for method in ("merge", "squash", "rebase"):
        with pytest.raises(Refusal, match="not mergeable"):
            forge.merge(1, by="ann", method=method)
    assert forge.git.tip("main") == before
