"""References: two writers never both win, nothing is lost, a kill leaves nothing that blocks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Git
from lifeos.errors import Busy, UsageError
from lifeos.store.git import GitError
from lifeos.store.lock import Lock, Owner, proc_identity
from lifeos.store.repo import Repo
from lifeos.store.stale import Intent

REF = "refs/heads/lifeos/ledger"

APPEND = """
import sys
from pathlib import Path
from lifeos.store.repo import Repo
folder, name, writer, count = sys.argv[1:]
repo = Repo.open(Path(folder))
tree = repo.objects.write_tree([])
def append(number):
    old = repo.refs.read(name)
    parents = [old] if old else []
    new = repo.objects.write_commit(tree, parents, f"{writer} {number}\\n", when=1000)
    return new if repo.refs.compare_and_swap(name, new, old, "append") else None
for number in range(int(count)):
    new = None
    while new is None:
        new = append(number)
    print(new, flush=True)
repo.close()
"""

# The same in one try: read, build and move under the lock. None would be printed and fail.
APPEND_ONCE = APPEND.replace("    while new is None:\n", "    with repo.refs.exclusive():\n")

DIE_AT = """
import os, signal, sys
from pathlib import Path
from lifeos.store.repo import Repo
folder, name, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def trace(event):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
repo = Repo.open(folder, trace=trace)
old = repo.refs.read(name)
tree = repo.objects.write_tree([])
new = repo.objects.write_commit(tree, [old] if old else [], "next\\n", when=1000)
assert repo.refs.compare_and_swap(name, new, old, "append")
repo.close()
"""


@pytest.fixture
def opened(repo: Path) -> Iterator[Repo]:
    with Repo.open(repo) as found:
        yield found


def commit(repo: Repo, text: str, *parents: str) -> str:
    tree = repo.objects.write_tree([])
    return repo.objects.write_commit(tree, parents, f"{text}\n", when=1000)


def append(repo: Repo, name: str = REF) -> str:
    old = repo.refs.read(name)
    new = commit(repo, "next", *([old] if old else []))
    assert repo.refs.compare_and_swap(name, new, old, "append")
    return new


def clean(folder: Path) -> None:
    """The repository is sound and holds no lock file."""
    result = subprocess.run(
        ["git", "fsck", "--strict"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    git_dir = folder / ".git"
    assert not [*git_dir.glob("*.lock"), *(git_dir / "refs").rglob("*.lock")]


def test_create_move_and_delete(opened: Repo) -> None:
    one, two = commit(opened, "one"), commit(opened, "two")
    assert opened.refs.read(REF) is None
    assert opened.refs.compare_and_swap(REF, one, None, "x")
    assert opened.refs.read(REF) == one
    assert opened.refs.compare_and_swap(REF, two, one, "x")
    assert opened.refs.read(REF) == two
    assert opened.refs.compare_and_swap(REF, None, two, "x")
    assert opened.refs.read(REF) is None


def test_a_wrong_old_value_loses_and_changes_nothing(opened: Repo) -> None:
    one, two, three = (commit(opened, text) for text in ("one", "two", "three"))
    assert not opened.refs.compare_and_swap(REF, two, one, "x")
    assert opened.refs.read(REF) is None
    assert opened.refs.compare_and_swap(REF, one, None, "x")
    assert not opened.refs.compare_and_swap(REF, two, None, "x")
    assert not opened.refs.compare_and_swap(REF, two, three, "x")
    assert not opened.refs.compare_and_swap(REF, None, three, "x")
    assert opened.refs.read(REF) == one


def test_finding_the_wanted_value_already_there_is_a_loss(opened: Repo) -> None:
    """Two identical claims must not both succeed."""
    one, two = commit(opened, "one"), commit(opened, "two")
    assert opened.refs.compare_and_swap(REF, one, None, "x")
    assert not opened.refs.compare_and_swap(REF, one, None, "x")
    assert not opened.refs.compare_and_swap(REF, one, two, "x")
    assert opened.refs.compare_and_swap(REF, one, one, "x")


def test_a_plain_git_that_overtakes_at_the_last_moment_wins(repo: Path, git: Git) -> None:
    """Between our look and git's lock; even with the very value that we wanted to set."""
    wanted: list[str] = []

    def overtake(event: str) -> None:
        if event == "git:before:update-ref":
            git("update-ref", REF, wanted[0])

    with Repo.open(repo, trace=overtake) as opened:
        wanted.append(commit(opened, "one"))
        assert not opened.refs.compare_and_swap(REF, wanted[0], None, "x")
        assert opened.refs.read(REF) == wanted[0]


def test_packed_references_are_seen_and_moved(opened: Repo, git: Git, repo: Path) -> None:
    one = append(opened)
    git("pack-refs", "--all", "--prune")
    assert not (repo / ".git" / REF).exists()
    assert opened.refs.read(REF) == one
    assert opened.refs.read(REF[:-1]) is None
    two = append(opened)
    assert opened.refs.read(REF) == two == git("rev-parse", REF)
    git("pack-refs", "--all", "--prune")
    assert opened.refs.compare_and_swap(REF, None, two, "x")
    assert opened.refs.read(REF) is None


def test_list_gives_loose_and_packed_of_a_prefix_only(opened: Repo, git: Git) -> None:
    one = append(opened, "refs/lifeos/run/a")
    git("pack-refs", "--all", "--prune")
    two = append(opened, "refs/lifeos/run/b/c")
    three = append(opened, "refs/lifeos/run/a")
    append(opened, "refs/lifeos/runner")
    assert one != three
    assert opened.refs.list("refs/lifeos/run/") == {
        "refs/lifeos/run/a": three,
        "refs/lifeos/run/b/c": two,
    }
    everything = git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    assert [f"{name} {oid}" for name, oid in opened.refs.list("refs/").items()] == everything


def test_the_reason_is_in_the_reflog(opened: Repo, git: Git) -> None:
    append(opened)
    assert "append" in git("reflog", "show", REF)


def test_head_of_a_branch_and_detached(opened: Repo, git: Git) -> None:
    assert opened.refs.head() == "refs/heads/main"
    assert opened.refs.head_id() == git("rev-parse", "HEAD")
    git("checkout", "-q", "--detach")
    assert opened.refs.head() is None
    assert opened.refs.head_id() == git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    "name",
    [
        "main", "refs/heads/", "refs/heads/-x\0", "refs/heads/a..b", "refs/heads/a@{1}",
        "refs/heads/a b", "refs/heads/a\n", "refs/heads/.a", "refs/heads/a.lock", "HEAD",
        "refs/heads/a.lock/b", "../refs/heads/a", "refs/heads/../../x",
    ],
)  # fmt: skip
def test_a_name_that_is_no_reference_is_refused(opened: Repo, name: str) -> None:
    one = commit(opened, "one")
    with pytest.raises(ValueError, match="not a full reference name"):
        opened.refs.compare_and_swap(name, one, None, "x")
    with pytest.raises(ValueError, match="not a full reference name"):
        opened.refs.read(name)


def test_every_name_we_accept_git_accepts(opened: Repo) -> None:
    for name in ("refs/heads/-dash", "refs/heads/ü/x", "refs/lifeos/run/a.b", "refs/heads/'q\""):
        append(opened, name)


def test_a_branch_named_lifeos_is_a_named_error(opened: Repo, git: Git) -> None:
    git("branch", "lifeos")
    with pytest.raises(UsageError, match="refs/heads/lifeos is in the way") as caught:
        opened.refs.compare_and_swap(REF, commit(opened, "one"), None, "x")
    git(*caught.value.fix.removeprefix("git ").split())
    append(opened)


def test_a_folder_of_references_in_the_way_is_a_named_error(opened: Repo) -> None:
    append(opened)
    with pytest.raises(UsageError, match="ledger is in the way of refs/heads/lifeos"):
        opened.refs.compare_and_swap("refs/heads/lifeos", commit(opened, "one"), None, "x")


def test_an_object_that_does_not_exist_is_an_error_and_not_a_lost_race(opened: Repo) -> None:
    with pytest.raises(GitError):
        opened.refs.compare_and_swap(REF, "1" * 40, None, "x")
    append(opened)


def test_a_reference_emptied_by_a_power_loss_is_named(opened: Repo, repo: Path) -> None:
    append(opened)
    (repo / ".git" / REF).write_bytes(b"")
    with pytest.raises(GitError, match="damaged"):
        opened.refs.read(REF)


def test_a_lock_of_a_living_stranger_stays_and_is_named(opened: Repo, repo: Path) -> None:
    """Without proof that its owner is dead nothing is removed."""
    append(opened)
    lock = repo / ".git" / f"{REF}.lock"
    lock.touch()
    with pytest.raises(Busy, match=r"ledger\.lock"):
        opened.refs.compare_and_swap(REF, commit(opened, "x"), opened.refs.read(REF), "x")
    assert lock.exists()
    lock.unlink()
    append(opened)


def leave_intent(repo: Path, git: Owner) -> Path:
    intent = Intent(git, REF)
    (repo / ".git/lifeos/ref-owner").write_text(intent.text(), encoding="utf-8")
    locks = [repo / ".git" / f"{REF}.lock", repo / ".git/packed-refs.lock"]
    for lock in locks:
        lock.touch()
    return locks[0]


def test_a_lock_left_by_the_dead_is_removed(opened: Repo, repo: Path) -> None:
    append(opened)
    with subprocess.Popen(["sleep", "60"]) as process:
        leave_intent(repo, proc_identity(process.pid))
        process.kill()
    append(opened)
    clean(repo)


def test_a_lock_whose_git_lives_stays(opened: Repo, repo: Path) -> None:
    append(opened)
    with subprocess.Popen(["sleep", "60"]) as process:
        lock = leave_intent(repo, proc_identity(process.pid))
        opened.refs.patience = 0.2
        with pytest.raises(Busy, match="still moving"):
            opened.refs.compare_and_swap(REF, commit(opened, "x"), opened.refs.read(REF), "x")
        process.kill()
    assert lock.exists()


def test_a_lock_of_another_machine_stays(opened: Repo, repo: Path) -> None:
    """On a shared disk: nothing can be proven about a process over there."""
    append(opened)
    lock = leave_intent(repo, Owner("another-host", "boot", 1, "1"))
    with pytest.raises(Busy, match=r"ledger\.lock stays"):
        opened.refs.compare_and_swap(REF, commit(opened, "x"), opened.refs.read(REF), "x")
    assert lock.exists()


def test_a_git_that_is_killed_under_us_is_started_again(opened: Repo, repo: Path) -> None:
    append(opened)
    started = children(os.getpid())  # servers of other tests are among them
    gits = [kid for kid in started if Path(f"/proc/{kid}/comm").read_text() == "git\n"]
    assert gits or sys.platform != "linux"
    for kid in gits:
        os.kill(kid, signal.SIGKILL)
    append(opened)
    clean(repo)


def test_a_torn_intent_blocks_nothing(opened: Repo, repo: Path) -> None:
    append(opened)
    (repo / ".git/lifeos/ref-owner").write_text("12 ", encoding="utf-8")
    append(opened)


def race(folder: Path, writers: int, each: int, script: str = APPEND) -> list[str]:
    """Many processes appending to one reference. Every id that was acknowledged."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(folder), REF, str(number), str(each)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    acknowledged: list[str] = []
    for process in processes:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        acknowledged += out.split()
    return acknowledged


def test_sixteen_writers_lose_no_update(repo: Path, git: Git) -> None:
    acknowledged = race(repo, writers=16, each=5)
    assert len(acknowledged) == len(set(acknowledged)) == 80
    assert sorted(git("rev-list", REF).split()) == sorted(acknowledged)
    assert git("rev-list", "--count", "--first-parent", REF) == "80"
    clean(repo)


def test_under_the_lock_every_try_succeeds(repo: Path, git: Git) -> None:
    acknowledged = race(repo, writers=8, each=10, script=APPEND_ONCE)
    assert "None" not in acknowledged
    assert sorted(git("rev-list", REF).split()) == sorted(acknowledged)
    assert len(acknowledged) == 80


def test_the_lock_may_be_nested_and_is_given_back(opened: Repo, repo: Path) -> None:
    with opened.refs.exclusive():
        with opened.refs.exclusive():
            append(opened)
        with Repo.open(repo) as other, pytest.raises(Busy):
            Lock(other.private_dir / "refs.lock").acquire(timeout=0)
    with Repo.open(repo) as other:
        append(other)


@pytest.mark.long
@pytest.mark.parametrize("script", [APPEND, APPEND_ONCE], ids=["retry", "exclusive"])
def test_fifty_writers_lose_no_update(repo: Path, git: Git, script: str) -> None:
    acknowledged = race(repo, writers=50, each=100, script=script)
    assert len(set(acknowledged)) == 5000
    assert sorted(git("rev-list", REF).split()) == sorted(acknowledged)
    clean(repo)


def test_a_kill_at_every_step_leaves_nothing_that_blocks(repo: Path) -> None:
    """SIGKILL at each traced step of a first append, private folder included."""
    step = 0
    while True:
        step += 1
        done = subprocess.run(
            [sys.executable, "-c", DIE_AT, str(repo), REF, str(step)], check=False, timeout=60
        )
        with Repo.open(repo) as opened:
            append(opened)
        clean(repo)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert step > 6


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in found.read_text().split()] if found.exists() else []


def kill_rounds(repo: Path, git: Git, rounds: int, seed: int) -> None:
    """Kill lifeos and its git together at a random moment: what was acknowledged is there."""
    chance = random.Random(seed)  # noqa: S311 - when to kill, repeatable
    acknowledged: set[str] = set()
    for number in range(rounds):
        process = subprocess.Popen(
            [sys.executable, "-c", APPEND, str(repo), REF, f"{number}", "1000"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        acknowledged.add(process.stdout.readline().strip())
        time.sleep(chance.random() / 50)
        targets = [process.pid, *children(process.pid)]
        chance.shuffle(targets)
        for target in targets:
            os.kill(target, signal.SIGKILL)
        rest, _ = process.communicate()
        acknowledged |= {line for line in rest.split("\n")[:-1] if line}
        with Repo.open(repo) as opened:
            acknowledged.add(append(opened))
        clean(repo)
    assert acknowledged - set(git("rev-list", REF).split()) == set(), f"seed {seed}"


def test_random_kills_of_lifeos_and_git_lose_nothing(repo: Path, git: Git) -> None:
    kill_rounds(repo, git, rounds=8, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_many_random_kills_of_lifeos_and_git_lose_nothing(repo: Path, git: Git, seed: int) -> None:
    kill_rounds(repo, git, rounds=100, seed=seed)


def test_the_git_process_ends_with_ours(repo: Path) -> None:
    """Killed without a chance to tidy up: the session sees its input close."""
    script = APPEND.replace("repo.close()", "import time; time.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(repo), REF, "w", "1"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    kids = children(process.pid)
    assert kids
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{kid}/exe").exists() for kid in kids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(Path(f"/proc/{kid}/exe").exists() for kid in kids)
