"""The chronicle that is kept: never another one than reading everything would give."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from lifeos.core.chronicle import Chronicle, chronicle_of
from lifeos.core.records import Noted, Topic
from lifeos.store.ledger import BRANCH, SEEN, Ledger
from lifeos.store.repo import Repo
from lifeos.tick.backlog_cache import recalled
from lifeos.tick.chronicle import ENOUGH, chronicle_at
from loop_scene import Scene
from told import landed


@pytest.fixture
def done(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run landed."""
    return landed(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


def opened(scene: Scene) -> Ledger:
    ledger = Ledger.open(Repo.open(scene.folder))
    assert ledger is not None
    return ledger


def whole(ledger: Ledger) -> Chronicle:
    """All of it, read from git."""
    return chronicle_of((entry.commit, entry.record) for entry in ledger.entries())


def kept(scene: Scene) -> Path:
    return scene.folder / ".git/lifeos/cache/chronicle"


def lengthen(ledger: Ledger, count: int) -> None:
    """So many more transitions, that mean nothing."""
    for number in range(count):
        note = Noted(at=ledger.snapshot.at, topic=Topic.RETRY, task=f"LO-{number}")
        ledger.append(note)


def test_it_is_written_once_and_read_again(done: Scene) -> None:
    """The second look does not ask git for the records, and says the same."""
    ledger = opened(done)
    told = chronicle_at(ledger)
    assert told == whole(ledger)
    assert (told.tip, told.seq, told.root) == (
        ledger.tip,
        ledger.snapshot.seq,
        ledger.snapshot.root,
    )
    asked: list[str] = []
    with Repo.open(done.folder, asked.append) as repo:
        assert chronicle_at(Ledger.at(repo, ledger.tip)) == told
    assert not [step for step in asked if " log " in step], asked


def test_it_goes_on_where_it_was_left(done: Scene) -> None:
    """A few more are read each time; many are worth writing the file again."""
    ledger = opened(done)
    chronicle_at(ledger)
    first = kept(done).read_bytes()
    lengthen(ledger, 3)
    assert chronicle_at(ledger) == whole(ledger)
    assert kept(done).read_bytes() == first
    lengthen(ledger, ENOUGH)
    assert chronicle_at(ledger) == whole(ledger)
    assert kept(done).read_bytes() != first


def test_an_earlier_time_has_nothing_of_later(done: Scene) -> None:
    """And does not take the newer file away."""
    ledger = opened(done)
    chronicle_at(ledger)
    before = kept(done).read_bytes()
    old = Ledger.at(ledger.repo, done.git("rev-parse", "lifeos/ledger~5"))
    assert chronicle_at(old) == whole(old)
    assert kept(done).read_bytes() == before


def test_another_history_is_not_continued(done: Scene) -> None:
    """After a rewind the file is of transitions that never were: it goes."""
    ledger = opened(done)
    lengthen(ledger, 5)
    chronicle_at(ledger)
    before = kept(done).read_bytes()
    done.git("update-ref", BRANCH, "lifeos/ledger~5")
    done.git("update-ref", "-d", SEEN)
    other = opened(done)
    other.append(Noted(at=other.snapshot.at, topic=Topic.RETRY, task="LO-other"))
    assert chronicle_at(other) == whole(other)
    assert kept(done).read_bytes() != before


@pytest.mark.parametrize("how", ["torn", "flipped", "foreign", "other", "empty", "not json"])
def test_a_file_that_does_not_fit_is_thrown_away(done: Scene, how: str) -> None:
    """Cut short, altered, of another format, or nothing: all is read anew, and kept again."""
    ledger = opened(done)
    told = chronicle_at(ledger)
    path = kept(done)
    good = path.read_bytes()
    key, checksum, body = good.split(b"\n", 2)
    bad = b"[1, 2"
    path.write_bytes(
        {
            "torn": good[:-9],
            "flipped": good[:-9] + b"\0" + good[-8:],
            "foreign": good.replace(b'["chronicle", 1', b'["chronicle", 0'),
            "other": b"\n".join((key, checksum, zlib.compress(b"{}"))),
            "empty": b"",
            "not json": b"\n".join((key, b"%d" % zlib.crc32(bad), bad)),
        }[how]
    )
    assert path.read_bytes() != good
    assert chronicle_at(ledger) == told == whole(ledger)
    assert path.read_bytes() == good
    assert recalled(path, key.decode()) == body


def test_where_nothing_can_be_kept_it_is_read_all_the_same(done: Scene) -> None:
    """The file costs time where it is missing, and nothing else."""
    ledger = opened(done)
    folder = kept(done).parent
    kept(done).unlink(missing_ok=True)
    kept(done).mkdir()  # nothing can be put in its place
    assert chronicle_at(ledger) == whole(ledger)
    assert [path.name for path in folder.glob("chronicle*")] == ["chronicle"]
