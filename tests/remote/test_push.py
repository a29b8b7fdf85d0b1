"""One push: moved, lost, refused, locked; and never taken for what it was not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clones import Hub, begin_hub
from command_line import Project
from lifeos.errors import Busy, NotAuthorised
from lifeos.store.remote import Remote, Update
from lifeos.store.repo import Repo

REF = "refs/heads/some/where"
Place = tuple[Hub, Project, Remote]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A remote, a clone, and what talks to the remote from there."""
    hub, first = begin_hub(tmp_path)
    with Repo.open(first.folder) as repo:
        yield hub, first, Remote.open(repo, "origin", "main")


def commit(remote: Remote, text: str, *parents: str) -> str:
    """A commit that is written and nowhere named."""
    objects = remote.repo.objects
    return objects.write_commit(objects.write_tree(()), parents, f"{text}\n", when=1_735_700_000)


def test_made_moved_and_lost(place: Place) -> None:
    """By what the reference must be: not there, or at exactly that commit."""
    hub, _, remote = place
    one = commit(remote, "one")
    two, other = commit(remote, "two", one), commit(remote, "other", one)
    assert remote.push(Update(REF, one, None))
    assert not remote.push(Update(REF, two, None))
    assert remote.push(Update(REF, two, one))
    assert not remote.push(Update(REF, other, one))
    assert hub.tip(REF) == two


def test_the_very_same_commit_by_somebody_else_is_a_loss(place: Place) -> None:
    """Git calls it up to date, and exits 0."""
    hub, first, remote = place
    one = commit(remote, "one")
    remote.repo.objects.flush()
    first.git("push", "--quiet", "origin", f"{one}:{REF}")
    assert not remote.push(Update(REF, one, None))
    assert hub.tip(REF) == one


def test_all_or_none(place: Place) -> None:
    """One that is lost keeps the other back."""
    hub, _, remote = place
    one = commit(remote, "one")
    assert not remote.push(Update(REF, one, None), Update("refs/heads/main", one, one))
    assert hub.tip(REF) == ""


def test_a_hook_that_refuses_is_heard(place: Place) -> None:
    """The words of the forge, as exit 4."""
    hub, _, remote = place
    hub.hook("update", "echo 'GH013: rules' >&2; exit 1")
    with pytest.raises(NotAuthorised, match="GH013: rules"):
        remote.push(Update(REF, commit(remote, "one"), None))
    assert hub.tip(REF) == ""


def test_a_lock_that_goes_away_is_waited_for(place: Place) -> None:
    """Somebody else's move is short."""
    hub, _, remote = place
    lock = hub.folder / f"{REF}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    remote.pause = lambda tries: lock.unlink() if tries == 1 else None
    assert remote.push(Update(REF, commit(remote, "one"), None))


def test_a_lock_that_stays_is_busy(place: Place) -> None:
    """After some tries, with what to do."""
    hub, _, remote = place
    lock = hub.folder / f"{REF}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(Busy, match="does not move"):
        remote.push(Update(REF, commit(remote, "one"), None))


def test_one_of_many_wins(tmp_path: Path) -> None:
    """Eight clones push a commit of their own at once: one moved it, seven know they did not."""
    hub, _ = begin_hub(tmp_path)
    won: list[str] = []

    def push(number: int) -> None:
        with Repo.open(clones[number].folder) as repo:
            remote = Remote.open(repo, "origin", "main")
            mine = commit(remote, f"by {number}")
            barrier.wait()
            if remote.push(Update(REF, mine, None)):
                won.append(mine)

    clones = [hub.clone(f"clone{n}") for n in range(8)]
    barrier = threading.Barrier(8)
    threads = [threading.Thread(target=push, args=(n,)) for n in range(8)]
    with ExitStack() as stack:
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
    assert won == [hub.tip(REF)]


def test_main_is_never_older_than_the_ledger(place: Place) -> None:
    """What lands between the two fetches shows on main, not only on the ledger."""
    hub, first, remote = place
    first.cli("tick")
    events: list[str] = []
    moved = commit(remote, "later", hub.tip("refs/heads/main"))
    remote.repo.objects.flush()

    def between(event: str) -> None:
        events.append(event)
        if event == "git:after:fetch" and events.count(event) == 1:
            first.git("push", "--quiet", "origin", f"{moved}:refs/heads/main")

    with Repo.open(first.folder, between) as repo:
        other = Remote.open(repo, "origin", "main")
        other.refresh()
        assert (other.main, other.ledger) == (moved, hub.tip())
