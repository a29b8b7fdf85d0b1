"""``lifeos verify`` where answers are merges: a note of a pull request hides nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifeos.core.records import Noted, Topic
from lifeos.core.state import PullRequest
from lifeos.store.entries import read_entries
from lifeos.store.ledger import BRANCH as LEDGER
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.store.trees import edit
from lifeos.tick.verify import Verified, main_of, verify_ledger
from pull_copies import At, at_point
from pull_scene import OnForge


def verified(scene: OnForge) -> Verified:
    """What verify says of the clone."""
    with Repo.open(scene.folder) as repo:
        tip = scene.git("rev-parse", "refs/heads/lifeos/ledger")
        return verify_ledger(repo, tip, main_of(repo, tip))


def hidden(scene: OnForge, *, landing: bool, more: int = 0) -> tuple[str, str]:
    """A commit in lifeos's name on main, noted as the open question's head instead. Both."""
    item = scene.item().id
    with Repo.open(scene.folder) as repo:
        asked = next(
            entry
            for entry in read_entries(repo, scene.tip())
            if isinstance(entry.record, Noted) and entry.record.pull and entry.record.item == item
        )
        ledger = Ledger.at(repo, asked.parents[0])
        main = scene.git("rev-parse", "main")
        evil = repo.objects.write_blob(b"x = 1\n")
        tree = edit(repo.objects, repo.objects.commit(main).tree, {"src/evil.py": ("100644", evil)})
        message = f"Approve it\n\nLifeos-Ledger: {ledger.tip}\n"
        commit = repo.objects.write_commit(tree, (main,), message, when=scene.now)
        pull = PullRequest(head=commit, landing=landing, commits=1 + more)
        repo.refs.compare_and_swap(LEDGER, ledger.tip, scene.tip(), "rewound")
        note = ledger.append(Noted(at=scene.now, topic=Topic.PULL, item=item, pull=pull))
        ledger.save()
        repo.objects.flush()
    scene.git("update-ref", "refs/heads/main", commit)
    return note, commit


@pytest.mark.parametrize(
    ("mode", "landing", "more"),
    [("direct", False, 0), ("direct", False, 49), ("pr", True, 0), ("pr", True, 1)],
)
def test_a_head_that_is_not_what_is_asked(
    tmp_path: Path, mode: str, landing: bool, more: int
) -> None:
    """The head is made again from the question: both the note and the commit are named."""
    scene = at_point(tmp_path, mode, At.LANDING)
    assert verified(scene).good
    note, commit = hidden(scene, landing=landing, more=more)
    found = verified(scene).findings
    assert any(one.commit == note and "the pull request of" in one.what for one in found), found
    assert any(one.commit == commit and "src/evil.py" in one.what for one in found), found


@pytest.mark.parametrize(
    ("mode", "method"),
    [
        ("direct", "squash"),
        ("pr", "merge"),
        ("pr", "rebase"),
        pytest.param("direct", "merge", marks=pytest.mark.long),
        pytest.param("direct", "rebase", marks=pytest.mark.long),
        pytest.param("pr", "squash", marks=pytest.mark.long),
    ],
)
def test_a_head_that_was_merged(tmp_path: Path, mode: str, method: str) -> None:
    """What lifeos asked, and an approver merged, is as the ledger claims."""
    scene = at_point(tmp_path, mode, At.LANDING)
    scene.merge(method=method)
    scene.tick()
    scene.tick()
    scene.git("pull", "--quiet", "--ff-only", "origin", "main")
    found = verified(scene)
    assert found.good, found.findings
    assert len(scene.ended()) == 1
