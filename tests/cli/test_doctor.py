"""``lifeos doctor``: what is in the way on this machine, and the command that mends it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from conftest import Git
from told import Said, lifeos


@pytest.fixture
def ready(repo: Path, git: Git) -> Path:
    """A repository with lifeos set up, before the first tick, without a sandbox."""
    git("config", "user.name", "Test Person")
    git("config", "user.email", "person@example.invalid")
    assert lifeos(repo, "init").code == 0
    config = repo / ".lifeos/config.yaml"
    text = config.read_text(encoding="utf-8").replace("sandbox: bwrap", "sandbox: none")
    config.write_text(text, encoding="utf-8")
    git("add", "--all")
    git("commit", "--quiet", "--message=Set up")
    return repo


def examined(folder: Path, **environ: str) -> tuple[Said, dict[str, Any]]:
    """How doctor ended, and its last line of each name."""
    said = lifeos(folder, "doctor", "--json", **environ)
    data = said.data("doctor")
    assert said.code == (0 if data["good"] else 1)
    for line in data["lines"]:
        assert line["level"] == "ok" or line["fix"], line
    return said, {line["name"]: line for line in data["lines"]}


def test_a_healthy_repository(ready: Path) -> None:
    """Nothing fails; that nothing encloses the work, and that there are no checks, is said."""
    said, lines = examined(ready)
    assert said.code == 0
    assert lines["sandbox"]["level"] == lines["checks"]["level"] == "warn"
    assert "an approver" in lines["identity"]["said"]
    assert "whoever can write" in lines["trust"]["said"]


def test_outside_a_repository(tmp_path: Path) -> None:
    """The first thing to mend, and nothing after it."""
    said, lines = examined(tmp_path)
    assert said.code == 1
    assert lines["repository"]["fix"] == "git init"


def test_not_set_up(repo: Path) -> None:
    """A repository without lifeos is told how to begin."""
    said, lines = examined(repo)
    assert said.code == 1
    assert lines["rules"]["fix"] == "lifeos init --commit"


def test_a_branch_in_the_way(ready: Path, git: Git) -> None:
    """git cannot hold lifeos and lifeos/ledger at once."""
    git("branch", "lifeos")
    said, lines = examined(ready)
    assert said.code == 1
    assert "git branch -m lifeos" in lines["branches"]["fix"]


def test_a_shallow_clone(ready: Path, tmp_path: Path, git: Git) -> None:
    """Named with the command that mends it."""
    shallow = tmp_path / "shallow"
    git("clone", "--quiet", "--depth=1", f"file://{ready}", str(shallow))
    said, lines = examined(shallow)
    assert said.code == 1
    assert lines["repository"]["fix"] == "git fetch --unshallow"
    assert lines["trust"]["level"] == "warn"  # it has a remote


def test_uncommitted_rules_and_a_stranger(ready: Path, git: Git) -> None:
    """What is edited is not in force, and who is no approver cannot answer."""
    (ready / "policies/loop.yaml").open("a").write("# a thought\n")
    stranger = {"GIT_AUTHOR_EMAIL": "else@example.invalid"}
    said, lines = examined(ready, **stranger)
    assert said.code == 0
    assert "policies/loop.yaml" in lines["rules"]["said"]
    assert "cannot answer" in lines["identity"]["said"]
    assert git("status", "--porcelain") == "M policies/loop.yaml".rjust(21)


def test_no_identity(ready: Path, git: Git) -> None:
    """Without a name no answer can be given."""
    git("config", "--unset", "user.email")
    said, lines = examined(ready, GIT_AUTHOR_EMAIL="")
    assert said.code == 1
    assert "git config user.name" in lines["identity"]["fix"]


def test_broken_rules_on_main(ready: Path, git: Git) -> None:
    """It names the command that has the places."""
    (ready / "policies/loop.yaml").write_text("version: 1\nnonsense: 2\n", encoding="utf-8")
    git("commit", "--quiet", "--all", "--message=Break")
    said, lines = examined(ready)
    assert said.code == 1
    assert "lifeos validate" in lines["rules"]["fix"]


def test_leftovers_and_locks(ready: Path) -> None:
    """A lock of a killed git, work folders and quarantine are named with their paths."""
    (ready / ".git/index.lock").touch()
    for name in ("work/R-1.1", "quarantine/R-2.5"):
        (ready / ".git/lifeos" / name).mkdir(parents=True)
    said = lifeos(ready, "doctor", "--quiet")
    assert "index.lock" in said.out
    assert f"rm -r {ready}/.git/lifeos/quarantine" in said.out
    assert "work folders of attempts that did not end" in said.out
    assert "\nok " not in f"\n{said.out}"


def test_a_ledger_that_is_gone_and_a_clock_that_is_late(ready: Path, git: Git) -> None:
    """Both keep a tick from deciding anything."""
    from lifeos.governance import governance_digest
    from lifeos.store.ledger import Ledger
    from lifeos.store.repo import Repo
    from lifeos.tick.reading import governance_files, main_at

    with Repo.open(ready) as repo:
        files = governance_files(repo, main_at(repo, git("rev-parse", "main")).tree)
        late = int(time.time()) + 86_400
        digest = governance_digest(files)
        main = git("rev-parse", "main")
        begun = Ledger.begin(repo, files=files, digest=digest, main=main, nonce="0" * 32, at=late)
        begun.save()
    said, lines = examined(ready)
    assert said.code == 1
    assert "behind the last transition" in lines["clock"]["said"]
    git("update-ref", "-d", "refs/heads/lifeos/ledger")
    said, lines = examined(ready)
    assert said.code == 1
    assert "git update-ref" in lines["ledger"]["fix"]


@pytest.mark.sandbox
def test_the_sandbox_is_tried(ready: Path, git: Git) -> None:
    """`bwrap` is not only looked for: something runs in it."""
    config = ready / ".lifeos/config.yaml"
    text = config.read_text(encoding="utf-8").replace("sandbox: none", "sandbox: bwrap")
    config.write_text(text, encoding="utf-8")
    git("commit", "--quiet", "--all", "--message=Enclose")
    _, lines = examined(ready)
    assert "tried, it works" in lines["sandbox"]["said"]
