"""The ledger read fast: in pieces, by folders that are remembered, by many processes in turn."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel

from lifeos.core.records import PREFIX, Closed, Noted, Opened, Topic, parse_message
from lifeos.core.state import Run, Snapshot
from lifeos.errors import LedgerBroken
from lifeos.model import CloseOutcome
from lifeos.store.endings import closed_path
from lifeos.store.entries import LOG_FORMAT, parse_entries, read_entries
from lifeos.store.git import Git, GitError
from lifeos.store.ledger import BRANCH, Ledger
from lifeos.store.repo import Repo
from lifeos.store.trees import edit

MAIN = "8" * 40
AT = 1_735_689_600


@pytest.fixture
def ledger(repo: Path) -> Ledger:
    store = Repo.open(repo)
    return Ledger.begin(store, files={}, digest="d" * 64, main=MAIN, nonce="n", at=AT)


def note(text: str) -> Noted:
    return Noted(at=AT, topic=Topic.REVERTED, task="LO-aaaaaa", text=text)


def end(ledger: Ledger, task: str, number: int) -> None:
    """A run of the task that is opened and cancelled."""
    run = f"R-{number}"
    ledger.append(
        Opened(
            at=AT,
            run=run,
            task=task,
            title="A task",
            task_digest="e" * 64,
            ordinal=number,
            base=MAIN,
            governance="d" * 64,
        )
    )
    ledger.close_run(Closed(at=AT, run=run, outcome=CloseOutcome.CANCELLED), packet={})


# --- in pieces --------------------------------------------------------------------------------


def test_a_stream_is_what_git_prints(repo: Path) -> None:
    """Nothing is lost or doubled where one piece ends and the next begins."""
    (repo / "large").write_bytes(b"line\n" * 200_000)
    git = Git(repo / ".git", work_tree=repo)
    oid = git.run("hash-object", "-w", "large").decode().strip()
    pieces = list(git.stream("cat-file", "blob", oid))
    assert len(pieces) > 1
    assert b"".join(pieces) == b"line\n" * 200_000


def test_a_stream_that_ends_badly_raises(repo: Path) -> None:
    """Half of an answer is not taken for all of it."""
    with pytest.raises(GitError, match=r"bad revision|unknown revision"):
        list(Git(repo / ".git").stream("log", "no-such-branch"))


def test_a_stream_left_early_leaves_no_process(repo: Path) -> None:
    """Whoever finds what they look for stops reading; git must not wait for ever."""
    events: list[str] = []
    git = Git(repo / ".git", trace=events.append)
    stream = git.stream("log", "--format=%H")
    next(stream)
    stream.close()
    assert events == ["git:before:log", "git:after:log"]


def test_transitions_read_in_pieces_are_those_read_at_once(ledger: Ledger) -> None:
    """Records larger together than a pipe, text that is not ASCII at every place in between."""
    for number in range(40):
        ledger.append(note(f"{number} " + "ä🙂" * 800), prose="ü" * (4000 + number))
    listing = ledger.repo.git.run("log", "--reverse", LOG_FORMAT, ledger.tip)
    found = list(read_entries(ledger.repo, ledger.tip))
    assert found == list(parse_entries(ledger.repo, listing))
    assert [entry.seq for entry in found] == list(range(1, 42))
    assert found[0].parents == ()
    assert found[-1].commit == ledger.tip
    assert all(one.parents == (other.commit,) for other, one in pairwise(found))


@pytest.mark.parametrize(
    "message",
    [f"{PREFIX}{{}}\n\n{PREFIX}{{}}\n", "no record\n", f"a\n{PREFIX}{{}}\n{PREFIX}{{}}\n"],
)
def test_a_message_has_exactly_one_record(message: str) -> None:
    """Also where one of two stands in the first line."""
    with pytest.raises(LedgerBroken, match="records, not one"):
        parse_message(message, "abc")


@pytest.mark.parametrize("count", [1, 64, 65])
def test_catching_up_is_opening_anew(ledger: Ledger, count: int) -> None:
    """Whether there is little to read or much, the state is that of the records."""
    other = Ledger.at(ledger.repo, ledger.tip)
    for number in range(count):
        other.append(note(f"{number} ä"), prose="what others did")
    assert ledger.catch_up()
    assert (ledger.tip, ledger.tree) == (other.tip, other.tree)
    assert ledger.snapshot == other.snapshot == Ledger.at(ledger.repo, other.tip).snapshot
    assert not ledger.catch_up()


def test_catching_up_with_another_history_is_refused(ledger: Ledger) -> None:
    """A ledger that was replaced is not taken for one that went on."""
    objects = ledger.repo.objects
    message = objects.commit(ledger.tip).message
    other = objects.write_commit(ledger.tree, (), message, when=AT + 1)
    assert ledger.repo.refs.compare_and_swap(BRANCH, other, ledger.tip, "a test")
    before = ledger.snapshot
    with pytest.raises(LedgerBroken):
        ledger.catch_up()
    assert ledger.snapshot == before


# --- how tasks ended --------------------------------------------------------------------------


def test_endings_are_what_each_task_says_alone(ledger: Ledger) -> None:
    """Asked for all at once, and again after each change: never what it was before."""
    tasks = [f"LO-{letter * 6}" for letter in "abcdefgh"]
    assert ledger.endings(tasks) == {}
    for number, task in enumerate(tasks):
        end(ledger, task, number)
        alone = {one: ended for one in tasks if (ended := ledger.ended(one))}
        assert len(alone) == number + 1
        assert ledger.endings(tasks) == alone
    end(ledger, tasks[0], 99)
    assert ledger.endings(tasks)[tasks[0]].run == "R-99"
    assert ledger.endings([]) == {}


def test_an_ending_in_another_tasks_folder_does_not_count(ledger: Ledger) -> None:
    """What is not found by name is not found by looking through the folders either."""
    end(ledger, "LO-aaaaaa", 1)
    data = ledger.read(closed_path("LO-aaaaaa"))
    assert data is not None
    blob = ledger.repo.objects.write_blob(data)
    wrong = closed_path("LO-aaaaaa").replace("LO-aaaaaa", "LO-bbbbbb")
    assert wrong != closed_path("LO-bbbbbb")
    ledger.tree = edit(ledger.repo.objects, ledger.tree, {wrong: ("100644", blob)})
    assert ledger.ended("LO-bbbbbb") is None
    assert ledger.endings(["LO-aaaaaa", "LO-bbbbbb"]).keys() == {"LO-aaaaaa"}


# --- in turn ----------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from lifeos.core.records import Noted
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
with Repo.open(Path(sys.argv[1])) as repo:
    ledger = Ledger.open(repo)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(5):
        with ledger.turn():
            text = f"{sys.argv[2]} {number}"
            ledger.append(Noted(at=ledger.snapshot.at, topic="reverted", task="LO-x", text=text))
"""


def test_in_its_turn_a_writer_needs_one_try(ledger: Ledger) -> None:
    """An append that was overtaken would raise and end its process."""
    folder = str(ledger.repo.git_dir.parent)
    writers = [
        subprocess.Popen(
            (sys.executable, "-c", WRITER, folder, name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abcd"
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=60)
    assert [writer.returncode for writer in writers] == [0] * len(writers)
    ledger.catch_up()
    texts = {one.record.text for one in ledger.entries() if isinstance(one.record, Noted)}
    assert texts >= {f"{name} {number}" for name in "abcd" for number in range(5)}


# --- copies -----------------------------------------------------------------------------------


def test_a_changed_copy_is_pydantics_own() -> None:
    """Equal, dumped the same, and the original as it was."""
    run = Run(
        id="R",
        task="T",
        title="A",
        task_digest="d",
        ordinal=1,
        opened_seq=1,
        opened_at=AT,
        base=MAIN,
        governance="g",
    )
    for update in ({}, {"title": "B"}, {"attempts": 3, "trees": ("x",)}):
        before = run.model_dump()
        fast, slow = run.model_copy(update=update), BaseModel.model_copy(run, update=update)
        assert fast == slow
        assert fast.model_dump_json() == slow.model_dump_json()
        assert fast.model_fields_set == slow.model_fields_set
        assert fast.model_dump(exclude_unset=True) == slow.model_dump(exclude_unset=True)
        assert run.model_dump() == before
    assert run.model_copy() == run == run.model_copy(deep=True)
    with pytest.raises(ValueError, match="frozen"):
        run.model_copy(update={"title": "B"}).title = "C"  # type: ignore[misc]  # it must refuse


def test_a_changed_copy_shares_what_did_not_change() -> None:
    """A deep copy of the whole state would be paid at every transition."""
    before = Snapshot(retries={})
    assert before.model_copy(update={"seq": 1}).runs is before.runs
