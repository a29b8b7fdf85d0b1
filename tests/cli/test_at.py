"""``--at``: which transition people mean by a commit, a date, or a length of time."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifeos.cli.at import ledger_at, resolve_at
from lifeos.errors import UsageError
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from loop_scene import Scene
from told import landed


@pytest.fixture
def done(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run landed."""
    return landed(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


def at(scene: Scene, text: str) -> str:
    """The transition that is meant."""
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        return resolve_at(repo, ledger, text)


def listed(scene: Scene) -> list[tuple[str, int]]:
    """The transitions with their times, oldest first, as git has them."""
    lines = scene.git("log", "--reverse", "--format=%H %ct", "lifeos/ledger").splitlines()
    return [(commit, int(time)) for commit, _, time in (line.partition(" ") for line in lines)]


def test_a_transition_is_itself(done: Scene) -> None:
    """In full, shortened, by the branch, and by what git says of it."""
    tip = done.tip()
    before = done.git("rev-parse", "lifeos/ledger~3")
    assert at(done, tip) == at(done, tip[:9]) == at(done, "lifeos/ledger") == tip
    assert at(done, "lifeos/ledger~3") == at(done, before) == before


def test_a_landing_is_the_transition_that_it_names(done: Scene) -> None:
    """The commit on main says which ledger it was made from; HEAD is the person's own."""
    landing = done.git("log", "-1", "--format=%H", "--grep=Lifeos-Ledger", "main")
    trailer = "--format=%(trailers:key=Lifeos-Ledger,valueonly)"
    named = done.git("log", "-1", trailer, landing).strip()
    assert named != done.tip()
    assert at(done, landing) == named
    assert at(done, "HEAD") == at(done, "main")


def test_another_commit_is_the_last_transition_not_later(done: Scene) -> None:
    """By its time, to the second; what a trailer says of a ledger that is not here counts for
    nothing.
    """
    transitions = listed(done)
    commit, time = transitions[len(transitions) // 2]
    last = [one for one, moment in transitions if moment <= time][-1]
    foreign = f"a\n\nLifeos-Ledger: {'0' * 40}"
    for message in ("a", foreign, "a\n\nLifeos-Ledger: main"):
        tree = done.git("rev-parse", "main^{tree}")
        done.now = time - 100  # `as_somebody` is a hundred seconds later
        made = done.as_somebody("a@example.invalid", "b@example.invalid")
        assert at(done, made("commit-tree", tree, "-p", "main", "-m", message)) == last
    assert commit in [one for one, moment in transitions if moment <= time]


def test_a_time_is_the_last_transition_not_later(done: Scene) -> None:
    """Each second of the ledger, and one before each: compared with git's own list."""
    transitions = listed(done)
    for _, time in transitions[1:]:
        wanted = [one for one, moment in transitions if moment <= time][-1]
        text = done.git(
            "log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%S", "--format=%cd", wanted
        )
        assert at(done, text) == at(done, f"{text}Z") == wanted
    assert at(done, "2099-01-01") == done.tip()


def test_what_means_nothing_is_refused(done: Scene) -> None:
    """With what could be written instead; never the newest state in the place of another."""
    for text in ("nonsense", "", "--all", "main:README.md", "deadbeef", "a\0b", "x" * 5000):
        with pytest.raises(UsageError, match="neither a commit here nor a time") as refused:
            at(done, text)
        assert "2026-11-01" in refused.value.fix
    with pytest.raises(UsageError, match="nothing had happened by then") as refused:
        at(done, "1999-12-31")
    assert "begins at 20" in refused.value.fix


def test_a_transition_of_another_history_is_refused(done: Scene) -> None:
    """A ledger that was rewound still has its former commits: their time must not be taken."""
    message = done.git("log", "-1", "--format=%B", "lifeos/ledger")
    tree = done.git("rev-parse", "lifeos/ledger^{tree}")
    foreign = done.git("commit-tree", tree, "-p", "lifeos/ledger~2", "-m", message)
    with pytest.raises(UsageError, match="another history of the ledger"):
        at(done, foreign)


def test_the_ledger_as_it_was_has_the_state_of_then(done: Scene) -> None:
    """What is open in it is what was open then; without a word it is the present one."""
    with Repo.open(done.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        assert ledger_at(ledger, "") is ledger
        before = ledger_at(ledger, "lifeos/ledger~1")
        assert (len(before.snapshot.runs), len(ledger.snapshot.runs)) == (1, 0)
        assert before.snapshot.seq == ledger.snapshot.seq - 1
