"""Clones that take turns: what one does, the others see; what is not pushed, nobody sees."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from clones import LANDS, LEDGER, Hub, begin_hub, tasks
from command_line import Project
from conftest import EMAIL
from loop_scene import TASK

Place = tuple[Hub, Project]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A remote with one task, and a clone in which nothing was done yet."""
    return begin_hub(tmp_path)


def item(project: Project) -> str:
    """The only open question, as this clone knows it."""
    (found,) = project.cli("queue", "--json").data["items"]
    return str(found["item"])


def test_approved_in_one_clone_and_landed_from_another(place: Place) -> None:
    """A question, its answer and its landing need no more in common than the remote."""
    hub, first = place
    first.cli("tick")
    work = hub.git("for-each-ref", "--format=%(refname)", "refs/lifeos/run")
    assert work.startswith("refs/lifeos/run/R-")
    assert hub.git("show", f"{work}:docs/guide.md") == "hello"
    second = hub.clone("second")
    said = second.cli("approve", item(second)).out
    assert "NOT pushed" not in said
    assert second.git("status", "--porcelain", "--branch") == "## main...origin/main"
    third = hub.clone("third", "--branch", "main")
    third.cli("tick")
    assert hub.wrong([TASK]) == []
    assert hub.tip("refs/lifeos/run") == ""
    assert (third.folder / "docs/guide.md").read_text() == "hello\n"
    for clone in (second, third):
        clone.cli("tick")
        assert clone.git("rev-parse", "HEAD", LEDGER).split() == [
            hub.tip("refs/heads/main"),
            hub.tip(),
        ]
        assert "good" in clone.cli("verify").out


def test_two_clones_take_turns_to_the_end(tmp_path: Path) -> None:
    """Each begins one task at a time and ends what the other began."""
    ids, backlog = tasks(4)
    hub, first = begin_hub(tmp_path, LANDS, backlog)
    second = hub.clone("second")
    for clone in (first, second, first, second):
        clone.cli("tick", "--max-tasks", "1")
    assert hub.wrong(ids) == []


def test_records_of_a_pass_go_in_one_push(tmp_path: Path) -> None:
    """Between two attempts there is one push, whatever was recorded; each claim is in one."""
    hub, first = begin_hub(tmp_path, LANDS)
    hub.hook("post-receive", f"cat >> {tmp_path}/pushes")
    first.cli("tick")
    pushes = (tmp_path / "pushes").read_text().splitlines()
    of_ledger = [line for line in pushes if line.endswith(LEDGER)]
    kinds = hub.kinds()
    assert kinds["claimed"] == 8
    # The beginning; one for each claim but the last; landing; the end.
    assert len(of_ledger) <= kinds["claimed"] + 3 < kinds.total()


# --- this clone's own main --------------------------------------------------------------------


def test_a_commit_that_is_not_pushed_is_not_seen(place: Place) -> None:
    """Only here everything is stopped: the tick works on, `status` counts what is not pushed."""
    hub, first = place
    first.commit({".lifeos/STOP": "not pushed\n"})
    (first.folder / ".lifeos/STOP").unlink()
    said = first.cli("tick")
    assert hub.kinds()["held"] == 1
    assert "has commits of its own" in said.out
    status = first.cli("status")
    assert first.cli("status", "--json").data["not_pushed"] == 1
    assert "your main has 1 commit not pushed" in status.out
    assert "git pull --rebase origin main && git push origin main" in status.out
    first.git("checkout", ".lifeos/STOP")
    first.git("pull", "--quiet", "--rebase", "origin", "main")
    first.git("push", "--quiet", "origin", "main")
    assert "stopped" in hub.clone("second").cli("tick").out


def test_a_file_in_the_way_stops_nobody_else(tmp_path: Path) -> None:
    """The work lands on the remote; this clone's main stays, and the file, and it is said."""
    hub, first = begin_hub(tmp_path, LANDS)
    first.write({"docs/guide.md": "mine, not committed\n"})
    before = first.git("rev-parse", "HEAD")
    said = first.cli("tick")
    assert hub.wrong([TASK]) == []
    assert "stays behind origin" in said.out
    assert first.git("rev-parse", "HEAD") == before
    assert (first.folder / "docs/guide.md").read_text() == "mine, not committed\n"
    (first.folder / "docs/guide.md").unlink()
    first.cli("tick")
    assert (first.folder / "docs/guide.md").read_text() == "hello\n"


def test_an_edit_of_the_backlog_comes_along(tmp_path: Path) -> None:
    """What a person is writing there stays, around the mark that lifeos changes."""
    _, first = begin_hub(tmp_path, LANDS)
    text = (first.folder / "BACKLOG.md").read_text()
    first.write({"BACKLOG.md": text + "\n- [ ] half a tho"})
    first.cli("tick")
    now = (first.folder / "BACKLOG.md").read_text()
    assert "- [x] **LO-aaaaaa**" in now
    assert now.endswith("- [ ] half a tho")


# --- refused and unreachable ------------------------------------------------------------------


def test_a_refused_push_is_exit_4_before_anything_is_claimed(place: Place) -> None:
    """The remote's words are shown; nothing is recorded there, and nothing here."""
    hub, first = place
    first.cli("tick", "--max-tasks", "0")
    before = hub.tip()
    hub.hook("pre-receive", "echo 'only robots may push here' >&2; exit 1")
    said = first.cli("tick", code=4)
    assert "only robots may push here" in said.err
    assert hub.tip() == before == first.git("rev-parse", LEDGER)
    assert not list((first.folder / ".git/lifeos").glob("bundles/*"))
    hub.no_hook("pre-receive")
    first.cli("tick")
    assert hub.kinds()["opened"] == 1


def test_an_unreachable_remote_is_exit_75(place: Place) -> None:
    """Nothing is claimed, here or there; when it is back, the tick goes on."""
    hub, first = place
    first.cli("tick", "--max-tasks", "0")
    before = first.git("rev-parse", LEDGER)
    away = hub.folder.rename(hub.folder.with_name("away.git"))
    said = first.cli("tick", code=75)
    assert "cannot be reached" in said.err
    assert first.git("rev-parse", LEDGER) == before
    away.rename(hub.folder)
    first.cli("tick")
    assert hub.kinds()["opened"] == 1


def test_an_answer_without_the_remote_is_committed_here(place: Place) -> None:
    """It says that it does not count yet and how it will; then it does."""
    hub, first = place
    first.cli("tick")
    away = hub.folder.rename(hub.folder.with_name("away.git"))
    said = first.cli("approve", item(first))
    assert "NOT pushed, so it does not count yet: git push origin main" in said.out
    away.rename(hub.folder)
    assert "resolved" not in hub.kinds()
    first.cli("tick")
    assert "resolved" not in hub.kinds()
    first.git("push", "--quiet", "origin", "main")
    first.cli("tick")
    assert hub.wrong([TASK]) == []


def test_a_stale_lock_on_the_remote_is_named(place: Place) -> None:
    """A lock that stays is exit 75 with what to do; once it is gone, the tick goes on."""
    hub, first = place
    first.cli("tick", "--max-tasks", "0")
    lock = hub.folder / f"{LEDGER}.lock"
    lock.touch()
    said = first.cli("tick", code=75)
    assert ".lock" in said.err
    lock.unlink()
    first.cli("tick")
    assert hub.kinds()["opened"] == 1


def test_a_shallow_clone_is_refused_with_what_mends_it(place: Place) -> None:
    """The command that it names is the one that helps."""
    hub, first = place
    first.cli("tick")
    shallow = hub.clone("shallow", "--depth=1", url=f"file://{hub.folder}")
    said = shallow.cli("tick", code=2)
    assert "git fetch --unshallow origin" in said.err
    shallow.git("fetch", "--quiet", "--unshallow", "origin")
    shallow.cli("tick")


def test_a_remote_that_git_does_not_know(place: Place) -> None:
    """Refused by name, with the command."""
    _, first = place
    first.git("remote", "rename", "origin", "elsewhere")
    assert "git remote add origin URL" in first.cli("tick", code=2).err


# --- the ledger of the remote -----------------------------------------------------------------


def test_no_new_ledger_while_main_names_one(place: Place) -> None:
    """A remote that lost its ledger gets it from a clone, never a new one."""
    hub, first = place
    first.cli("tick")
    hub.git("update-ref", "-d", LEDGER)
    second = hub.clone("second")
    said = second.cli("tick", code=1)
    assert "main names a ledger, and there is none on origin" in said.err
    assert "git push origin lifeos/ledger" in first.cli("tick", code=1).err
    first.git("push", "--quiet", "origin", "lifeos/ledger")
    second.cli("tick")
    assert hub.kinds()["opened"] == 1


def test_a_rewound_ledger_is_refused(place: Place) -> None:
    """The clone that has seen more says so with what mends it, and records nothing."""
    hub, first = place
    first.cli("tick")
    hub.git("update-ref", LEDGER, f"{LEDGER}~3")
    before = hub.tip()
    said = first.cli("tick", code=1).err
    assert "lacks" in said
    assert "git push origin lifeos/ledger" in said
    assert hub.tip() == before


def test_two_clones_begin_at_once(place: Place, tmp_path: Path) -> None:
    """Who comes second takes the ledger that is there."""
    hub, first = place
    second = hub.clone("second")
    _first_in_between(hub, tmp_path, second)
    first.cli("tick")
    assert hub.kinds()["noted"] == 1
    assert hub.kinds()["opened"] == 1


def _first_in_between(hub: Hub, tmp_path: Path, other: Project) -> None:
    """While the next push is on its way, another clone's whole tick comes first."""
    home, path = os.environ["HOME"], os.environ["PATH"]
    hub.hook(
        "pre-receive",
        f"[ -e {tmp_path}/once ] && exit 0\ntouch {tmp_path}/once\n"
        f"exec env -i HOME={home} PATH={path} GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null"
        f" {sys.executable} -m lifeos -C {other.folder} tick >{tmp_path}/said 2>&1",
    )


def test_a_lost_race_is_decided_anew(tmp_path: Path) -> None:
    """What the other recorded first is taken in; what was to be recorded is not, but once."""
    ids, backlog = tasks(2)
    hub, first = begin_hub(tmp_path, LANDS, backlog)
    first.cli("tick", "--max-tasks", "0")
    second = hub.clone("second")
    _first_in_between(hub, tmp_path, second)
    first.cli("tick")
    assert "done" in (tmp_path / "said").read_text() or "nothing" in (tmp_path / "said").read_text()
    assert hub.wrong(ids) == []


# --- other commands ---------------------------------------------------------------------------


def test_stopped_in_one_clone_is_stopped_in_all(place: Place) -> None:
    """The kill switch on main goes to the remote, and comes back from it."""
    hub, first = place
    second = hub.clone("second")
    second.cli("stop", "--commit")
    second.cli("resume", email="bob@example.invalid", code=4)
    assert "stopped" in first.cli("tick").out
    assert hub.kinds()["opened"] == 0
    second.cli("resume")
    first.cli("tick")
    assert hub.kinds()["opened"] == 1


def test_cancel_retry_and_revert_reach_the_remote(tmp_path: Path) -> None:
    """Each of them from a clone that has nothing of its own."""
    hub, first = begin_hub(tmp_path)
    first.cli("tick")
    hub.clone("second").cli("cancel", TASK)
    first.cli("tick")
    third = hub.clone("third")
    third.commit(third.edit("BACKLOG.md", "- [-] **LO-aaaaaa**", "- [ ] **LO-aaaaaa**"))
    third.git("push", "--quiet")
    third.cli("retry", TASK)
    first.cli("tick")
    fourth = hub.clone("fourth")
    fourth.cli("approve", item(fourth))
    first.cli("tick")
    assert [r["outcome"] for r in hub.ledger() if r["kind"] == "closed"] == ["cancelled", "pass"]
    hub.clone("fifth").cli("revert", TASK)
    assert "docs/guide.md" not in hub.git("ls-tree", "-r", "--name-only", "main").split()
    assert hub.ledger()[-1]["topic"] == "reverted"
    first.cli("tick")
    assert "good" in first.cli("verify").out


def test_a_new_task_is_pushed(place: Place) -> None:
    """`backlog add --commit` pushes, where main has nothing else to push or to fetch."""
    hub, first = place
    first.cli("backlog", "add", "One more thing", "--commit")
    assert "One more thing" in hub.git("show", "main:BACKLOG.md")
    second = hub.clone("second")
    first.commit({"notes.txt": "x\n"})
    first.git("push", "--quiet")
    said = second.cli("backlog", "add", "Another one", "--commit")
    assert "git pull --rebase origin main && git push origin main" in said.out


def test_where_a_tick_may_run(tmp_path: Path) -> None:
    """Elsewhere it does nothing, says why, and is no failure."""
    hub, first = begin_hub(tmp_path, {"config.tick.where": "ci"})
    first.cli("tick", CI="true")
    before = hub.tip()
    assert "ticks run only on CI machines" in first.cli("tick").out
    assert hub.tip() == before
    first.commit(first.edit(".lifeos/config.yaml", '"where": "ci"', '"where": "local"'))
    first.git("push", "--quiet")
    first.cli("tick", CI="true")
    assert "ticks run not on CI machines" in first.cli("tick", CI="true").out
    first.cli("tick")


def test_from_one_clone_to_a_remote(tmp_path: Path) -> None:
    """The rules say it; the tick that adopts them ends, and names what has to be pushed."""
    hub, first = begin_hub(tmp_path, {"config.remote": "none"})
    first.cli("tick", "--max-tasks", "0")
    first.commit(first.edit(".lifeos/config.yaml", '"remote": "none"', '"remote": "origin"'))
    said = first.cli("tick")
    assert "git push origin main lifeos/ledger" in said.out
    assert "git push origin lifeos/ledger" in first.cli("tick", code=1).err
    first.git("push", "--quiet", "origin", "main", "lifeos/ledger")
    first.cli("tick")
    second = hub.clone("second")
    second.cli("approve", item(second))
    first.cli("tick")
    assert hub.wrong([TASK]) == []


def test_trust_commit_is_not_enough_in_ci(tmp_path: Path) -> None:
    """With a remote it counts on a person's machine; on a CI machine it does not."""
    hub, first = begin_hub(tmp_path)
    first.cli("tick")
    first.cli("approve", item(first), email=EMAIL)
    assert "trust `commit` is not enough" in first.cli("tick", CI="true").out
    first.cli("tick")
    assert hub.wrong([TASK]) == []


def test_the_configuration_of_the_repository_starts_no_program(
    place: Place, tmp_path: Path
) -> None:
    """What it may name to be run at a fetch or a push is not run."""
    hub, first = place
    canary = tmp_path / "canary"
    run = f"touch {canary}; git-upload-pack"
    for key in ("remote.origin.uploadpack", "remote.origin.receivepack", "core.sshCommand"):
        first.git("config", key, run)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "reference-transaction", "post-merge"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {canary}\n")
        (hooks / name).chmod(0o755)
    first.git("config", "core.hooksPath", str(hooks))
    first.git("config", "credential.helper", f"!touch {canary}")
    canary.unlink(missing_ok=True)
    first.cli("tick")
    assert not canary.exists()
    assert hub.kinds()["held"] == 1


@pytest.mark.parametrize("url", ["ext::sh -c 'touch CANARY'", "-oProxyCommand=touch"])
def test_an_address_that_would_run_something_is_refused(place: Place, url: str) -> None:
    """By name, before git sees it."""
    _, first = place
    first.git("config", "remote.origin.url", url.replace("CANARY", str(first.folder / "canary")))
    assert "cannot be used" in first.cli("tick", code=2).err
    assert not (first.folder / "canary").exists()


def test_deleting_what_lifeos_keeps_for_itself_loses_nothing(place: Place) -> None:
    """Caches and references of this clone come back from the remote."""
    hub, first = place
    first.cli("tick")
    shutil.rmtree(first.folder / ".git/lifeos")
    first.git("update-ref", "-d", "refs/lifeos/remote/main")
    first.git("update-ref", "-d", "refs/heads/lifeos/ledger")
    first.git("update-ref", "-d", "refs/lifeos/seen")
    first.cli("approve", item(first))
    first.cli("tick")
    assert hub.wrong([TASK]) == []
