"""Moving a branch under a person's feet: nothing of theirs is lost, and nothing is half done."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Git
from lifeos.errors import Busy, UsageError
from lifeos.store.checkout import InTheWay, Outcome, move_branch, recover
from lifeos.store.repo import Repo
from lifeos.store.trees import TreeEntry, read_tree

MAIN = "refs/heads/main"
BACKLOG = "- [ ] one\n\n\n- [ ] two\n\n\n- [ ] three\n"


def mark_one(data: bytes) -> bytes:
    """Lifeos's change of the backlog, made in any version of it."""
    return data.replace(b"- [ ] one", b"- [x] one")


SPLICES = {"BACKLOG.md": mark_one}


def put(folder: Path, **files: str) -> None:
    """Write files; a double underscore stands for a slash, a single one for a dot."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def old(repo: Path, git: Git) -> str:
    """The commit that main is at: files to change, to remove, to leave; a backlog; ignores."""
    put(repo, BACKLOG_md=BACKLOG, src__a_txt="a 1\n", src__gone_txt="gone\n", keep_txt="keep\n")
    put(repo, other_txt="other\n", _gitignore="*.log\n")
    git("add", "--all")
    git("commit", "--quiet", "--message=Old")
    return git("rev-parse", "HEAD")


@pytest.fixture
def new(git: Git, old: str, tmp_path: Path) -> str:
    """What lifeos wants main to be; built elsewhere, so that the work tree knows nothing of it."""
    side = tmp_path / "side"
    git("worktree", "add", "--quiet", "--detach", str(side), old)
    put(side, BACKLOG_md=mark_one(BACKLOG.encode()).decode(), src__a_txt="a 2\n")
    put(side, src__deep__new_txt="new\n", run_sh="#!/bin/sh\n")
    (side / "run.sh").chmod(0o755)
    (side / "src" / "gone.txt").unlink()
    (side / "link").symlink_to("keep.txt")
    git("add", "--all", cwd=side)
    git("commit", "--quiet", "--message=New", cwd=side)
    commit = git("rev-parse", "HEAD", cwd=side)
    git("worktree", "remove", "--force", str(side))
    return commit


def move(folder: Path, new: str, old: str, trace: Callable[[str], None] | None = None) -> bool:
    """One move by a fresh lifeos."""
    with Repo.open(folder, trace) if trace else Repo.open(folder) as repo:
        return move_branch(repo, MAIN, new, old, "test", SPLICES).moved


def heal(folder: Path) -> Outcome | None:
    """What the next tick does first."""
    with Repo.open(folder) as repo:
        done = recover(repo)
        return done.outcome if done else None


def status(git: Git) -> list[str]:
    """What the person sees, untracked and ignored files included."""
    out = git("status", "--porcelain", "--ignored", "--untracked-files=all", "--no-renames")
    return out.split("\n") if out else []


def edit_everything(repo: Path, git: Git) -> list[str]:
    """Give the person edits of every kind, none in the way. What `git status` says of them."""
    put(repo, BACKLOG_md=BACKLOG.replace("two", "two, staged"), keep_txt="keep, staged\n")
    git("add", "BACKLOG.md", "keep.txt")
    put(repo, BACKLOG_md=BACKLOG.replace("two", "two, staged").replace("three", "three, mine"))
    put(repo, other_txt="other, mine\n", untracked_txt="mine\n", mine_log="mine\n")
    return ["MM BACKLOG.md", "M  keep.txt", " M other.txt", "?? untracked.txt", "!! mine.log"]


def assert_edits_survive(repo: Path, git: Git, *, moved: bool) -> None:
    """The person's text is all there, in the index and in the files, on either side of the move."""
    mark = "x" if moved else " "
    staged = BACKLOG.replace("two", "two, staged").replace("[ ] one", f"[{mark}] one")
    assert git("show", ":BACKLOG.md") + "\n" == staged
    here = (repo / "BACKLOG.md").read_text(encoding="utf-8")
    assert here == staged.replace("three", "three, mine")
    assert git("show", ":keep.txt") == "keep, staged"
    assert (repo / "other.txt").read_text(encoding="utf-8") == "other, mine\n"


def test_a_branch_nobody_has_out_just_moves(repo: Path, git: Git, old: str, new: str) -> None:
    """On another branch, or detached, index and files are the person's alone."""
    for where in (("switch", "-q", "-c", "mine"), ("switch", "-q", "--detach", "HEAD")):
        git("update-ref", MAIN, old)
        git(*where)
        assert move(repo, new, old)
        assert git("rev-parse", "main") == new
        assert status(git) == []
        assert git("rev-parse", "HEAD") == old


def test_the_work_tree_comes_along(repo: Path, git: Git, old: str, new: str) -> None:
    """Changed, added and removed files, modes and links; empty folders go; status is clean."""
    assert move(repo, new, old)
    assert git("rev-parse", "main") == new
    assert status(git) == []
    assert git("diff-files", "--name-only") == ""  # the index knows the files it describes
    assert os.access(repo / "run.sh", os.X_OK)
    assert (repo / "link").readlink() == Path("keep.txt")
    assert not (repo / "src" / "gone.txt").exists()
    assert not (repo / ".git" / "index.lock").exists()
    assert move(repo, old, new)  # and back: what was added goes
    assert status(git) == []
    assert not (repo / "src" / "deep").exists()


def test_edits_of_every_kind_survive(repo: Path, git: Git, old: str, new: str) -> None:
    """Staged, unstaged, untracked, ignored; and the backlog gets lifeos's mark in both versions."""
    edits = edit_everything(repo, git)
    assert move(repo, new, old)
    assert sorted(status(git)) == sorted(edits)
    assert_edits_survive(repo, git, moved=True)
    git("commit", "--quiet", "--all", "--message=Mine")
    assert git("diff", "--name-only", new, "HEAD").split() == [
        "BACKLOG.md",
        "keep.txt",
        "other.txt",
    ]


def test_a_lost_race_changes_nothing(repo: Path, git: Git, old: str, new: str) -> None:
    """Main was moved by somebody else: files and index are as they were."""
    git("commit", "--quiet", "--allow-empty", "--message=Theirs")
    edits = edit_everything(repo, git)
    assert not move(repo, new, old)
    assert sorted(status(git)) == sorted(edits)
    assert_edits_survive(repo, git, moved=False)


def test_a_race_lost_at_the_last_moment_is_undone(repo: Path, git: Git, old: str, new: str) -> None:
    """Somebody moves main while the files are brought along: all of it is taken back."""
    edits = edit_everything(repo, git)
    theirs = git("commit-tree", "-m", "Theirs", "-p", old, f"{old}^{{tree}}")

    def interfere(event: str) -> None:
        if event == "checkout:after:index":
            git("update-ref", MAIN, theirs)

    assert not move(repo, new, old, interfere)
    assert git("rev-parse", "main") == theirs
    assert sorted(status(git)) == sorted(edits)
    assert_edits_survive(repo, git, moved=False)
    assert heal(repo) is None


def _edited(repo: Path, git: Git) -> None:
    put(repo, src__a_txt="mine\n")
    git("add", "src/a.txt")
    put(repo, src__a_txt="a 1\n")


def _edited_unseen(repo: Path, git: Git) -> None:
    git("update-index", "--assume-unchanged", "src/a.txt")
    put(repo, src__a_txt="mine\n")


def _linked_backlog(repo: Path, _git: Git) -> None:
    (repo / "BACKLOG.md").unlink()
    (repo / "BACKLOG.md").symlink_to("keep.txt")


IN_THE_WAY: dict[str, tuple[Callable[[Path, Git], object], str]] = {
    "edited": (lambda repo, _: put(repo, src__a_txt="mine\n"), "src/a.txt"),
    "staged": (_edited, "src/a.txt"),
    "deleted": (lambda repo, _: (repo / "src/a.txt").unlink(), "src/a.txt"),
    "made executable": (lambda repo, _: (repo / "src/a.txt").chmod(0o755), "src/a.txt"),
    "edited, where lifeos removes": (
        lambda repo, _: put(repo, src__gone_txt="mine\n"),
        "src/gone.txt",
    ),
    "untracked": (lambda repo, _: put(repo, run_sh="mine\n"), "run.sh"),
    "ignored": (
        lambda repo, _: put(repo, _gitignore="run.sh\n", run_sh="mine\n"),
        "run.sh",
    ),
    "a file for a folder": (lambda repo, _: put(repo, src__deep="mine\n"), "src/deep"),
    "a folder for a file": (lambda repo, _: put(repo, run_sh__x="mine\n"), "run.sh/x"),
    "a link for a folder": (
        lambda repo, _: (repo / "src" / "deep").symlink_to(repo.parent),
        "src/deep",
    ),
    "a pipe": (lambda repo, _: os.mkfifo(repo / "run.sh"), "run.sh"),
    "assumed unchanged": (_edited_unseen, "src/a.txt"),
    "a staged file below": (
        lambda _, git: git(
            "update-index", "--add", "--cacheinfo", f"100644,{git('rev-parse', ':keep.txt')},link/x"
        ),
        "link/x",
    ),
    "a backlog that is a link": (_linked_backlog, "BACKLOG.md"),
}


@pytest.mark.parametrize("case", IN_THE_WAY)
def test_what_is_in_the_way_is_named(repo: Path, git: Git, old: str, new: str, case: str) -> None:
    """Before anything moves: the branch, the index and every file are as they were."""
    spoil, path = IN_THE_WAY[case]
    spoil(repo, git)
    before = (status(git), git("ls-files", "-s"), (repo / "README.md").stat().st_mtime_ns)
    with pytest.raises(InTheWay) as caught:
        move(repo, new, old)
    assert caught.value.paths == (path,)
    assert path in str(caught.value)
    assert "lifeos tick" in caught.value.fix
    assert git("rev-parse", "main") == old
    after = (status(git), git("ls-files", "-s"), (repo / "README.md").stat().st_mtime_ns)
    assert after == before
    assert (repo / "src" / "gone.txt").exists()
    assert not (repo / ".git" / "index.lock").exists()


def test_what_is_new_already_is_not_in_the_way(repo: Path, git: Git, old: str, new: str) -> None:
    """The person has the very content that comes, untracked or edited: nothing is lost."""
    put(repo, src__a_txt="a 2\n", src__deep__new_txt="new\n")
    assert move(repo, new, old)
    assert status(git) == []


def test_looking_only_moves_nothing(repo: Path, git: Git, old: str, new: str) -> None:
    """It raises what a move would raise, and leaves everything as it is."""
    edits = edit_everything(repo, git)
    with Repo.open(repo) as opened:
        looked = move_branch(opened, MAIN, new, old, "test", SPLICES, look_only=True)
        assert not looked.moved
        put(repo, src__a_txt="mine\n")
        with pytest.raises(InTheWay):
            move_branch(opened, MAIN, new, old, "test", SPLICES, look_only=True)
    assert git("rev-parse", "main") == old
    assert sorted(status(git)) == sorted([*edits, " M src/a.txt"])
    assert not (repo / ".git" / "index.lock").exists()


def test_a_folder_and_a_file_may_change_places(repo: Path, git: Git, old: str) -> None:
    """`src/` becomes a file and `keep.txt` a folder, and back again."""
    shutil.rmtree(repo / "src")
    (repo / "keep.txt").unlink()
    put(repo, src="now a file\n", keep_txt__x="x\n")
    git("add", "--all")
    git("commit", "--quiet", "--message=Swapped")
    swapped = git("rev-parse", "HEAD")
    assert move(repo, old, swapped)
    assert status(git) == []
    assert move(repo, swapped, old)
    assert status(git) == []


@pytest.mark.parametrize("state", ["merge", "rebase", "cherry-pick"])
def test_a_merge_under_way_is_left_alone(
    repo: Path, git: Git, old: str, new: str, state: str
) -> None:
    """A rebase detaches HEAD, and would move the branch when it ends: it counts as checked out."""
    git("switch", "-q", "-c", "side", old)
    put(repo, keep_txt="theirs\n")
    git("commit", "-qam", "Theirs")
    git("switch", "-q", "main")
    put(repo, keep_txt="mine\n")
    git("commit", "-qam", "Mine")
    mine = git("rev-parse", "HEAD")
    with pytest.raises(pytest.fail.Exception):  # each stops with a conflict
        git(state, "side")
    with pytest.raises(InTheWay, match="under way"):
        move(repo, new, mine)
    assert git("rev-parse", "main") == mine


def test_linked_work_trees_come_along_too(
    repo: Path, git: Git, old: str, new: str, tmp_path: Path
) -> None:
    """Main is out in a linked work tree, and lifeos runs in the main one; and the other way."""
    git("switch", "-q", "-c", "mine")
    linked = tmp_path / "linked"
    git("worktree", "add", "--quiet", str(linked), "main")
    put(linked, other_txt="other, mine\n")
    assert move(repo, new, old)
    assert git("status", "--porcelain", cwd=linked) == " M other.txt"
    assert status(git) == []
    assert move(linked, old, new)
    assert git("status", "--porcelain", cwd=linked) == " M other.txt"
    shutil.rmtree(linked)
    assert move(repo, new, old)  # a work tree that was deleted does not stand in the way


def test_the_persons_filters_and_line_endings_apply(repo: Path, git: Git, tmp_path: Path) -> None:
    """A smudge filter, CRLF, and attributes that change in the very commit that comes."""
    git("config", "filter.shout.smudge", "tr a-z A-Z")
    git("config", "filter.shout.clean", "tr A-Z a-z")
    put(repo, _gitattributes="*.loud filter=shout\n", x_loud="hello\n", y_win="one\n")
    git("add", "--all")
    git("commit", "--quiet", "--message=Old")
    old = git("rev-parse", "HEAD")
    side = tmp_path / "side"
    git("worktree", "add", "--quiet", "--detach", str(side), old)
    put(side, _gitattributes="*.loud filter=shout\n*.win text eol=crlf\n")
    put(side, x_loud="bye\n", y_win="two\n")
    git("add", "--all", cwd=side)
    git("commit", "--quiet", "--message=New", cwd=side)
    assert move(repo, git("rev-parse", "HEAD", cwd=side), old)
    assert (repo / "x.loud").read_bytes() == b"BYE\n"
    assert (repo / "y.win").read_bytes() == b"two\r\n"
    assert status(git) == []


def test_content_stored_against_its_attributes_is_not_an_edit(repo: Path, git: Git) -> None:
    """CRLF in the repository under `text=auto`: git calls it clean, so it is not in the way."""
    (repo / "w.txt").write_bytes(b"one\r\n")
    git("add", "--all")
    git("commit", "--quiet", "--message=Old")
    old = git("rev-parse", "HEAD")
    (repo / "w.txt").write_bytes(b"two\r\n")
    git("commit", "--quiet", "--all", "--message=New")
    new = git("rev-parse", "HEAD")
    git("reset", "--quiet", "--hard", old)
    git("config", "core.autocrlf", "input")
    assert status(git) == []
    assert move(repo, new, old)
    assert (repo / "w.txt").read_bytes() == b"two\r\n"


def test_a_sparse_checkout_stays_sparse(repo: Path, git: Git, old: str, new: str) -> None:
    """Files outside it change in the index only."""
    git("sparse-checkout", "set", "--cone", "nothing")
    assert not (repo / "src").exists()
    assert move(repo, new, old)
    assert status(git) == []
    assert not (repo / "src").exists()
    assert (repo / "run.sh").exists()


def test_no_hook_runs(repo: Path, old: str, new: str) -> None:
    """Not even those that git runs when an index or a reference changes."""
    canary = repo.parent / "canary"
    for name in ("post-index-change", "post-checkout", "reference-transaction", "post-merge"):
        hook = repo / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch '{canary}'\n", encoding="utf-8")
        hook.chmod(0o755)
    assert move(repo, new, old)
    assert not canary.exists()


def test_a_tree_that_reaches_into_git_is_refused(repo: Path, git: Git, old: str) -> None:
    """`.git/hooks/x` as a path of a commit, in any case: nothing is written, nothing moves."""
    blob = git("hash-object", "-w", "--stdin", stdin="evil")
    for name in (".git", ".GIT"):
        with Repo.open(repo) as opened:
            objects = opened.objects
            hooks = objects.write_tree([TreeEntry("100755", "x", blob)])
            evil = objects.write_tree([TreeEntry("040000", "hooks", hooks)])
            entries = read_tree(objects, objects.commit(old).tree)
            tree = objects.write_tree([*entries, TreeEntry("040000", name, evil)])
            commit = objects.write_commit(tree, [old], "evil", when=1)
        with pytest.raises(UsageError, match="hooks/x"):
            move(repo, commit, old)
        assert not (repo / ".git" / "hooks" / "x").exists()
        assert git("rev-parse", "main") == old
        assert heal(repo) is None
        assert status(git) == []


def test_another_programs_index_lock_is_named(repo: Path, git: Git, old: str, new: str) -> None:
    """It may be a live git: lifeos waits a moment, then says which file; it never removes it."""
    lock = repo / ".git" / "index.lock"
    lock.write_bytes(b"")
    with pytest.raises(Busy, match=r"index\.lock"):
        move(repo, new, old)
    assert heal(repo) is None
    assert lock.exists()
    assert git("rev-parse", "main") == old


# --- kills ------------------------------------------------------------------------------------


def kill_at(folder: Path, new: str, old: str, number: int) -> bool:
    """Run a move that is killed at its nth event. Whether it was; False: it had ended before."""
    child = os.fork()
    if child == 0:
        left = [number]

        def trace(_event: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            move(folder, new, old, trace)
        finally:
            os._exit(0)
    _, status_ = os.waitpid(child, 0)
    return os.WIFSIGNALED(status_)


def points(folder: Path, new: str, old: str) -> list[str]:
    """The events of an uninterrupted move, which is then taken back."""
    events: list[str] = []
    assert move(folder, new, old, events.append)
    return events


def each_kill(
    repo: Path, new: str, old: str, folder: Path, when: Callable[[str], bool]
) -> Iterator[str]:
    """The repository as a kill left it: at each event that is asked for, one after the other."""
    template, trial = folder / "template", folder / "trial"
    for place in (template, trial):
        shutil.copytree(repo, place, symlinks=True)
    events = points(trial, new, old)
    chosen = [number for number, event in enumerate(events) if when(event)]
    assert len(chosen) >= 5
    for number in chosen:
        shutil.rmtree(repo)
        shutil.copytree(template, repo, symlinks=True)
        assert kill_at(repo, new, old, number)
        yield f"{number}: {events[number]}"


def sweep(
    repo: Path, git: Git, new: str, old: str, folder: Path, when: Callable[[str], bool]
) -> set[str]:
    """Kill at each event. Then main is old or new, with the person's edits; and it goes on."""
    edits = edit_everything(repo, git)
    outcomes = set()
    for point in each_kill(repo, new, old, folder, when):
        outcomes.add(heal(repo))
        main = git("rev-parse", "main")
        assert main in (old, new), point
        assert sorted(status(git)) == sorted(edits), point
        assert_edits_survive(repo, git, moved=main == new)
        assert not (repo / ".git" / "index.lock").exists(), point
        assert heal(repo) is None, point
        assert main == new or move(repo, new, old), point
    return {str(outcome) for outcome in outcomes}


def test_a_kill_anywhere_is_settled_by_the_next_tick(
    repo: Path, git: Git, old: str, new: str, tmp_path: Path
) -> None:
    """At each of lifeos's own events; the long form has those of git as well."""
    own = ("checkout:", "ref:after")
    outcomes = sweep(repo, git, new, old, tmp_path, lambda event: event.startswith(own))
    assert outcomes == {"None", "completed"}


@pytest.mark.long
def test_a_kill_at_every_event_is_settled(
    repo: Path, git: Git, old: str, new: str, tmp_path: Path
) -> None:
    """Before and after each git process and each object too."""
    assert sweep(repo, git, new, old, tmp_path, lambda _: True) == {"None", "completed"}


HALFWAY = ("checkout:after:file", "checkout:before:index", "checkout:after:index")


def test_a_commit_made_after_the_kill_is_kept(
    repo: Path, git: Git, old: str, new: str, tmp_path: Path
) -> None:
    """The person commits before the next tick: lifeos takes its half back, and reverts nothing."""
    for point in each_kill(repo, new, old, tmp_path, lambda event: event in HALFWAY):
        (repo / ".git" / "index.lock").unlink(missing_ok=True)  # as the person would, on their own
        put(repo, other_txt="other, mine\n")
        git("commit", "--quiet", "--message=Mine", "other.txt")
        mine = git("rev-parse", "HEAD")
        assert heal(repo) is Outcome.UNDONE, point
        assert git("rev-parse", "main") == mine
        assert status(git) == [], point


def test_a_commit_of_everything_after_the_kill_is_kept(
    repo: Path, git: Git, old: str, new: str, tmp_path: Path
) -> None:
    """`git add -A; git commit` takes lifeos's half in: then that is what the person has."""
    for point in each_kill(repo, new, old, tmp_path, lambda event: event in HALFWAY):
        (repo / ".git" / "index.lock").unlink(missing_ok=True)
        git("add", "--all")
        git("commit", "--quiet", "--allow-empty", "--message=Mine")
        heal(repo)
        assert status(git) == [], point


def test_an_edit_made_after_the_kill_is_never_overwritten(
    repo: Path, git: Git, old: str, new: str
) -> None:
    """The file is left alone and named; everything else is undone."""
    events = points(repo, new, old)
    assert move(repo, old, new)
    assert kill_at(repo, new, old, events.index("checkout:after:index"))
    put(repo, src__a_txt="a 2, and mine\n")
    with Repo.open(repo) as opened:
        done = recover(opened)
    assert done is not None
    assert (done.outcome, done.left) == (Outcome.UNDONE, ("src/a.txt",))
    assert (repo / "src" / "a.txt").read_text(encoding="utf-8") == "a 2, and mine\n"
    assert git("rev-parse", "main") == old
    assert status(git) == [" M src/a.txt"]


def test_an_index_lock_of_a_dead_lifeos_is_cleared(
    repo: Path, git: Git, old: str, new: str
) -> None:
    """Killed while it held the lock and had done nothing: the next tick frees the person's git."""
    events = points(repo, new, old)
    assert move(repo, old, new)
    assert kill_at(repo, new, old, events.index("checkout:locked"))
    assert (repo / ".git" / "index.lock").exists()
    assert heal(repo) is None
    assert not (repo / ".git" / "index.lock").exists()
    assert status(git) == []


def test_nothing_to_settle_starts_no_process(repo: Path, old: str) -> None:
    """It is asked at each tick."""
    events: list[str] = []
    with Repo.open(repo, events.append) as opened:
        assert recover(opened) is None
    assert old
    assert events == []
