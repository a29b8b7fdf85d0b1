"""approve, revise, reject: the answer is the person's commit on main, or nothing has happened."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from command_line import BOB, TASK, Project, asking, project
from conftest import EMAIL, NAME, require
from lifeos.core.answers import answer_path, answer_text
from lifeos.core.records import Closed, Resolved
from lifeos.core.state import RunStatus
from lifeos.model import CloseOutcome, Decision, Stage


@pytest.fixture
def asked(tmp_path: Path) -> Project:
    """A project whose only question is whether to land the work."""
    return project(tmp_path, "asking", asking)


def test_approve_is_the_persons_commit_on_main_and_the_next_tick_lands(asked: Project) -> None:
    """The commit has the person's name, holds only the answer, and is all the tick needs."""
    item = asked.item().id
    before = asked.main
    said = asked.cli("approve", item)
    assert asked.git("rev-parse", "main^") == before
    assert asked.author("main") == f"{EMAIL} {EMAIL}"
    assert asked.git("diff", "--name-only", before, "main") == answer_path(item)
    assert f"committed {asked.main[:12]} on main" in said.out
    assert "next: lifeos tick" in said.out
    assert asked.git("status", "--porcelain") == ""
    asked.tick()
    assert asked.on_main("docs/guide.md")
    (resolved,) = [one for one in asked.records() if isinstance(one, Resolved)]
    assert (resolved.decision, resolved.who) == (Decision.APPROVE, EMAIL)


def test_other_work_of_the_person_stays_as_it_is(asked: Project) -> None:
    """Staged, unstaged and untracked work is neither committed nor touched; a subfolder will do."""
    asked.write({"sub/untracked": "mine\n", "staged": "mine\n", "README.md": "edited\n"})
    asked.git("add", "staged")
    status = asked.git("status", "--porcelain")
    asked.cli("approve", asked.item().id, at=asked.folder / "sub")
    assert asked.git("status", "--porcelain") == status
    assert (asked.folder / "README.md").read_text(encoding="utf-8") == "edited\n"
    assert asked.git("diff", "--name-only", "main^", "main") == answer_path(asked.item().id)


@pytest.mark.parametrize("where", ["branch", "detached", "worktree", "-C"])
def test_it_works_from_anywhere(asked: Project, where: str, tmp_path: Path) -> None:
    """Main moves, and what is checked out elsewhere stays where it is."""
    item, linked = asked.item().id, tmp_path / "linked"
    before = asked.main
    at, options = asked.folder, []
    match where:
        case "branch":
            asked.git("checkout", "--quiet", "-b", "side")
        case "detached":
            asked.git("checkout", "--quiet", "--detach")
        case "worktree":
            asked.git("worktree", "add", "--quiet", "-b", "side", str(linked))
            at = linked
        case _:
            at, options = tmp_path, ["-C", str(asked.folder)]
    asked.cli(*options, "approve", item, at=at)
    assert asked.git("rev-parse", "main^") == before
    if where in ("branch", "detached", "worktree"):
        assert asked.git("rev-parse", "HEAD", cwd=at) == before
    assert asked.git("status", "--porcelain", cwd=at if where != "-C" else None) == ""


@pytest.mark.parametrize("decision", [Decision.REVISE, Decision.REJECT])
def test_a_no_needs_a_comment_and_carries_it(asked: Project, decision: Decision) -> None:
    """Without one nothing is committed; with one the run hears of it."""
    item, before = asked.item().id, asked.refs()
    said = asked.cli(decision, item, code=2)
    assert f"lifeos {decision} {item} -m" in said.err
    assert asked.refs() == before
    asked.cli(decision, item, "-m", "say it in French: #1\nplease")
    assert "French" in asked.git("show", "--no-patch", "--format=%B", "main")
    asked.tick()
    (resolved,) = [one for one in asked.records() if isinstance(one, Resolved)]
    assert resolved.comment == "say it in French: #1\nplease"
    if decision is Decision.REJECT:
        (closed,) = [one for one in asked.records() if isinstance(one, Closed)]
        assert closed.outcome is CloseOutcome.REJECTED


@pytest.mark.parametrize("name", ["prefix", "task", "run", "upper"])
def test_an_item_is_found_by_what_people_call_it(asked: Project, name: str) -> None:
    """The start of its id, its task, its run, in any case of letters."""
    item = asked.item()
    called = {
        "prefix": item.id[:5],
        "task": TASK,
        "run": str(item.run),
        "upper": item.id.upper(),
    }[name]
    assert asked.cli("approve", called, "--dry-run", "--json").data["item"] == item.id


@pytest.mark.parametrize("name", ["Q-00000000", "../../etc", "-", "LO-zzzzzz", "\x1b[2J"])
def test_an_unknown_item_is_refused(asked: Project, name: str) -> None:
    """Nothing is guessed, nothing is written, and no name drives the terminal."""
    before = asked.refs()
    said = asked.cli("approve", "--", name, code=2)
    assert "lifeos queue" in said.err
    assert "\x1b" not in said.err
    assert asked.refs() == before


def test_two_questions_of_one_name_are_not_guessed_at(tmp_path: Path) -> None:
    """The start of two ids names neither."""
    scene = project(tmp_path, "asking", asking)
    second = scene.edit("policies/loop.yaml", "tasks_per_tick: 10", "tasks_per_tick: 9")
    scene.commit(dict(second), author=BOB, committer=BOB)
    scene.tick()
    assert len(scene.snapshot().items) == 2
    said = scene.cli("approve", "Q-", code=2)
    assert "may be any of" in said.err
    assert all(item in said.err for item in scene.snapshot().items)
    governance = next(i.id for i in scene.snapshot().items.values() if i.run is None)
    refused = scene.cli("revise", governance, "-m", "no", code=2)
    assert f"lifeos approve {governance} or lifeos reject {governance}" in refused.err


def test_a_second_answer_is_refused(asked: Project) -> None:
    """What is answered is answered: it names who did, and what takes it."""
    item = asked.item().id
    asked.cli("approve", item)
    before = asked.refs()
    said = asked.cli("reject", item, "-m", "changed my mind", code=2)
    assert f"answered already: approve by {EMAIL}" in said.err
    assert "lifeos tick" in said.err
    assert asked.refs() == before


def test_a_closed_item_says_how_it_was_answered(asked: Project) -> None:
    """After the tick the item is gone, but not forgotten."""
    item = asked.item().id
    asked.cli("reject", item, "-m", "no")
    asked.tick()
    said = asked.cli("approve", item, code=2)
    assert f"rejected by {EMAIL}" in said.err


def test_who_is_no_approver_is_told_so_and_how_to_be_one(asked: Project) -> None:
    """Exit 4, with the identity that git uses, and nothing is written."""
    before = asked.refs()
    said = asked.cli("approve", asked.item().id, email=BOB, code=4)
    assert BOB in said.err
    assert EMAIL in said.err
    assert "git config user.email" in said.err
    assert asked.refs() == before


def test_a_dry_run_writes_nothing(asked: Project) -> None:
    """It says what would be done, and is refused where the real one is."""
    before = asked.refs()
    said = asked.cli("approve", asked.item().id, "--dry-run")
    assert said.out.startswith("would approve")
    asked.cli("approve", asked.item().id, "--dry-run", email=BOB, code=4)
    assert asked.refs() == before


def test_the_same_text_by_somebody_else_does_not_pass_for_the_answer(asked: Project) -> None:
    """A stranger's file with the very same bytes is theirs; the approver's answer still counts."""
    item = asked.item()
    data = answer_text(item.id, Decision.APPROVE, item.subject, "")
    asked.commit({answer_path(item.id): data}, author=BOB, committer=BOB)
    asked.tick()
    assert asked.run().status is RunStatus.HELD
    said = asked.cli("approve", item.id)
    assert "replaced" in said.out
    asked.tick()
    assert asked.on_main("docs/guide.md")


def test_what_is_in_the_way_stays_and_nothing_moves(asked: Project) -> None:
    """An answer that the person began by hand is not overwritten: exit 75."""
    path = answer_path(asked.item().id)
    asked.write({path: "half written\n"})
    before = asked.refs()
    said = asked.cli("approve", asked.item().id, code=75)
    assert path in said.err
    assert "run this command again" in said.err
    assert (asked.folder / path).read_text(encoding="utf-8") == "half written\n"
    assert asked.refs() == before


def test_in_ci_a_name_on_a_commit_is_not_believed(asked: Project) -> None:
    """Trust `commit` proves nothing there, so nothing is committed that would not count."""
    before = asked.refs()
    asked.cli("approve", asked.item().id, code=2, CI="true")
    assert asked.refs() == before


def test_no_identity_is_named(asked: Project) -> None:
    """Git does not know who this is: exit 2, with the command that tells it."""
    asked.git("config", "--unset", "user.email")
    said = asked.cli("approve", asked.item().id, code=2, GIT_AUTHOR_EMAIL="", EMAIL="")
    assert "git config user.email" in said.err


def test_data_for_programs(asked: Project) -> None:
    """The versioned form, with the commit."""
    data = asked.cli("approve", asked.item().id, "--json").data
    assert data["commit"] == asked.main
    assert data["task"] == TASK
    assert data["who"] == EMAIL


def test_with_trust_signature_the_commit_is_signed_or_not_made(tmp_path: Path) -> None:
    """Without the key it is refused before main moves; with it the tick takes the answer."""
    require("ssh-keygen", shutil.which("ssh-keygen") is not None, "apt-get install openssh-client")
    key = tmp_path / "key"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(make, check=True, capture_output=True, timeout=30)
    public = key.with_suffix(".pub").read_text(encoding="utf-8").strip()
    scene = project(tmp_path, "asking", asking)
    people = (
        f"version: 1\ntrust: signature\napprovers:\n  - name: {NAME}\n    email: {EMAIL}\n"
        f"    key: {public}\nexpiry:\n  hours: 168\n  then: hold\n"
    )
    scene.commit({"policies/approvals.yaml": people})
    scene.tick()
    asked_for = [item for item in scene.snapshot().items.values() if item.stage is Stage.CLOSE]
    kind = [item for item in scene.snapshot().items.values() if item.run is None]
    item = (kind or asked_for)[0].id
    before = scene.refs()
    refused = scene.cli("approve", item, code=2)
    assert "signed" in refused.err
    assert scene.refs() == before
    scene.git("config", "gpg.format", "ssh")
    scene.git("config", "user.signingkey", str(key))
    scene.cli("approve", item)
    assert "-----BEGIN SSH SIGNATURE-----" in scene.git("cat-file", "commit", "main")
