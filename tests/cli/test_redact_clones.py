"""``lifeos redact`` where a remote holds the truth: the server, and every other clone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from command_line import TASK, Project
from conftest import EMAIL, Git
from lifeos.core.records import Noted, Topic
from lifeos.errors import LedgerBroken
from lifeos.store.ledger import Ledger, LedgerMoved
from lifeos.store.repo import Repo
from lifeos.tick.begin import attached
from lifeos.tick.context import World
from loop_scene import begin_scene
from redact_scene import (
    NOTE,
    accept,
    blob_at,
    cut_short,
    is_gone,
    redact,
    rewritten,
    run_of,
    verified,
)
from test_verify import LEDGER, one, steps_of

Shared = tuple[Project, Project, Project, Git]
_TEMPLATE: list[tuple[Path, int, int]] = []
"""Made by the first test that needs it, in the sealed environment of tests: a fixture of the module
would have this machine's."""


@pytest.fixture
def shared(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Three clones on one remote that holds the truth, and git in that remote.

    A run landed in the first; the second knows it, the third has only seen it being asked about.
    """
    if not _TEMPLATE:
        _TEMPLATE.append(template(tmp_path_factory.mktemp("shared")))
    folder, now, nonces = _TEMPLATE[0]
    shutil.copytree(folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    clones = [Project(tmp_path / name, now, nonces + 500 * n) for n, name in enumerate("abc")]
    for clone in clones:
        clone.git("remote", "set-url", "origin", f"file://{tmp_path / 'hub.git'}")
        clone.git("status")
    return clones[0], clones[1], clones[2], Git(tmp_path / "hub.git")


def template(folder: Path) -> tuple[Path, int, int]:
    """What each test gets a copy of: its folder, the time in it, the nonces used."""
    hub = folder / "hub.git"
    Git(folder)("init", "--quiet", "--bare", "--initial-branch=main", str(hub))
    begun = begin_scene(folder / "a", {"config.remote": "origin"})
    a = Project(begun.folder, begun.now, begun.nonces)
    a.git("remote", "add", "origin", f"file://{hub}")
    a.git("push", "--quiet", "--set-upstream", "origin", "main")
    a.cli("tick")
    cloned(a, folder / "c", hub)
    a.cli("approve", TASK)
    a.cli("tick")
    cloned(a, folder / "b", hub)
    return folder, a.now, a.nonces


def cloned(a: Project, to: Path, hub: Path) -> Project:
    """Another clone, in which a tick has run."""
    Git(to.parent)("clone", "--quiet", f"file://{hub}", str(to))
    b = Project(to, a.now, a.nonces + 500)
    b.git("config", "user.email", EMAIL)
    b.cli("tick")
    return b


def test_from_the_order_to_the_last_clone(shared: Shared, tmp_path: Path) -> None:
    """Ordered here, refused there until it is accepted; the server is cleaned; a new clone is."""
    a, b, c, hub = shared
    run = run_of(a)
    blob = blob_at(a, f"runs/{run}/3/plan.md")
    redact(a, f"{run}:3", "plan.md")
    is_gone(a, blob)
    assert hub("rev-parse", "lifeos/ledger") == a.git("rev-parse", "lifeos/ledger")
    for other in (b, c):  # as far as the first, and behind it
        old = other.git("rev-parse", "lifeos/ledger")
        said = other.cli("tick", code=1)
        assert "lifeos redact --accept" in said.err
        assert other.git("rev-parse", "lifeos/ledger") == old
        data = accept(other)
        assert (data["before"], data["accepted"]) == (old, True)
        assert data["gone"][0]["still_here"] == ""
        is_gone(other, blob)
        other.cli("tick")
        verified(other)
    assert hub("cat-file", "-t", blob) == "blob"
    hub("gc", "--quiet", "--prune=now")
    assert hub("cat-file", "--batch-check", stdin=blob) == f"{blob} missing"
    fresh = cloned(a, tmp_path / "d", hub.folder)
    verified(fresh)
    is_gone(fresh, blob)


def test_a_server_that_lets_nobody_rewrite(shared: Shared) -> None:
    """Nothing is changed then, here neither, and it says why. The order stands for the next try."""
    a, _, _, hub = shared
    hub("config", "receive.denyNonFastForwards", "true")
    ledger = a.git("rev-parse", "lifeos/ledger")
    run = run_of(a)
    blob = blob_at(a, f"runs/{run}/3/plan.md")
    said = a.cli("redact", f"{run}:3", "plan.md", "--note", NOTE, code=None)
    assert said.code in (4, 75)
    assert a.git("rev-parse", "lifeos/ledger") == ledger == hub("rev-parse", "lifeos/ledger")
    assert a.git("cat-file", "-t", blob) == "blob"
    a.cli("tick")
    verified(a)
    hub("config", "receive.denyNonFastForwards", "false")
    redact(a, f"{run}:3", "plan.md")
    verified(a)
    assert len(a.git("log", "--format=%H", "--grep=Lifeos-Redacts: ", "main").split()) == 1


def test_it_dies_after_the_push(shared: Shared) -> None:
    """The remote has it, this clone has not: it is said, and taken over as anywhere else."""
    a, _, _, _ = shared
    run = run_of(a)
    blob = blob_at(a, f"runs/{run}/3/plan.md")
    cut_short(a, "ref:before:refs/lifeos/remote/ledger", f"{run}:3", "plan.md")
    assert "lifeos redact --accept" in a.cli("tick", code=1).err
    assert accept(a)["gone"][0]["still_here"] == ""
    is_gone(a, blob)
    a.cli("tick")
    verified(a)


def test_while_another_clone_is_at_work(shared: Shared) -> None:
    """What it would record is lost, and it says what to do."""
    a, b, _, _ = shared
    with Repo.open(b.folder) as repo:
        ctx = attached(repo, World())
        assert ctx is not None
        redact(a, f"{run_of(a)}:3", "plan.md")
        ctx.ledger.append(Noted(at=ctx.ledger.snapshot.at, topic=Topic.RETRY, task="LO-x"))
        with pytest.raises(LedgerMoved):
            ctx.ledger.flush()
        with pytest.raises(LedgerBroken, match="was redacted") as said:
            ctx.ledger.catch_up()
        assert "lifeos redact --accept" in said.value.fix


def test_what_is_not_taken_over(shared: Shared) -> None:
    """A ledger that merely looks redacted: by somebody who may not, or with more changed."""
    a, b, _, _ = shared
    old = b.git("rev-parse", LEDGER)
    run = run_of(a)
    redact(a, f"{run}:3", "plan.md")
    steps = steps_of(a)
    place = one(steps, "finished", stage="design")
    rewritten(a, steps, place, {f"runs/{run}/1/design.md": b"another design\n"})
    a.git("push", "--quiet", "--force", "origin", "lifeos/ledger")
    assert "transitions that the one of origin lacks" in b.cli("tick", code=1).err
    assert "does not stand" in b.cli("redact", "--accept", code=1).err
    assert b.git("rev-parse", LEDGER) == old


def test_a_clone_with_transitions_of_its_own(shared: Shared) -> None:
    """What only it has is not thrown away."""
    a, b, _, _ = shared
    redact(a, f"{run_of(a)}:3", "plan.md")
    with Repo.open(b.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        own = ledger.append(Noted(at=ledger.snapshot.at, topic=Topic.RETRY, task="LO-x"))
    assert "that the other one never had" in b.cli("redact", "--accept", code=1).err
    assert b.git("rev-parse", LEDGER) == own
