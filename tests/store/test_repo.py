"""Finding repositories of every shape, and the private directory that no configuration reaches."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import Git
from lifeos.errors import UsageError
from lifeos.store.git import Git as StoreGit
from lifeos.store.lock import Lock
from lifeos.store.repo import NotARepository, Repo, silence_configured_hooks
from lifeos.store.trees import TreeEntry, read_tree


def roundtrip(repo: Repo, name: str = "refs/heads/lifeos/ledger") -> str:
    """Write, move a reference, and read it all back."""
    blob = repo.objects.write_blob(b"x")
    tree = repo.objects.write_tree([TreeEntry("100644", "f", blob)])
    commit = repo.objects.write_commit(tree, [], "x\n", when=1)
    assert repo.refs.compare_and_swap(name, commit, repo.refs.read(name), "test")
    assert repo.refs.read(name) == commit
    assert repo.objects.commit(commit).tree == tree
    return commit


def test_opened_from_a_folder_inside(repo: Path) -> None:
    inner = repo / "a" / "b"
    inner.mkdir(parents=True)
    with Repo.open(inner) as opened:
        assert opened.work_tree == repo
        assert opened.git_dir == opened.common_dir == repo / ".git"
        assert opened.hash_name == "sha1"
        assert not opened.shallow
        roundtrip(opened)


def test_opened_from_inside_the_git_folder(repo: Path) -> None:
    with Repo.open(repo / ".git" / "refs") as opened:
        assert opened.work_tree == repo


def test_no_repository_says_git_init(tmp_path: Path) -> None:
    with pytest.raises(NotARepository) as caught:
        Repo.open(tmp_path)
    assert caught.value.fix == "git init"


def test_a_broken_pointer_is_named(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere\n", encoding="utf-8")
    with pytest.raises(NotARepository, match="does not lead to a git directory"):
        Repo.open(tmp_path)


def test_a_repository_without_commits(tmp_path: Path) -> None:
    Git(tmp_path)("init", "-q", "--initial-branch=main")
    with Repo.open(tmp_path) as opened:
        assert opened.refs.head() == "refs/heads/main"
        assert opened.refs.head_id() is None
        assert opened.refs.list("refs/") == {}
        roundtrip(opened)


def test_a_bare_repository(tmp_path: Path) -> None:
    Git(tmp_path)("init", "-q", "--bare", "--initial-branch=main", "b.git")
    with Repo.open(tmp_path / "b.git") as opened:
        assert opened.work_tree is None
        assert opened.refs.worktrees() == ()
        roundtrip(opened)


def test_a_linked_worktree_shares_objects_references_and_private_folder(
    repo: Path, git: Git, tmp_path: Path
) -> None:
    git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    with Repo.open(tmp_path / "linked") as linked, Repo.open(repo) as main:
        assert linked.work_tree == tmp_path / "linked"
        assert linked.git_dir != linked.common_dir == main.common_dir
        assert linked.private_dir == main.private_dir
        assert linked.refs.head() == "refs/heads/side"
        assert roundtrip(linked) == main.refs.read("refs/heads/lifeos/ledger")
        for opened in (linked, main):
            assert [(tree.path, tree.head_ref) for tree in opened.refs.worktrees()] == [
                (repo, "refs/heads/main"),
                (tmp_path / "linked", "refs/heads/side"),
            ]


def test_a_worktree_of_a_bare_repository(repo: Path, git: Git, tmp_path: Path) -> None:
    git("clone", "-q", "--bare", str(repo), str(tmp_path / "b.git"))
    git("worktree", "add", "-q", str(tmp_path / "w"), "main", cwd=tmp_path / "b.git")
    with Repo.open(tmp_path / "w") as opened:
        assert opened.work_tree == tmp_path / "w"
        assert [tree.path for tree in opened.refs.worktrees()] == [tmp_path / "w"]
        roundtrip(opened)


def test_a_submodule_is_a_repository_of_its_own(repo: Path, git: Git, tmp_path: Path) -> None:
    git("clone", "-q", str(repo), str(tmp_path / "other"))
    git(
        "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "other"), "sub"
    )
    with Repo.open(repo / "sub") as opened:
        assert opened.work_tree == repo / "sub"
        assert opened.common_dir == repo / ".git/modules/sub"
        roundtrip(opened)


def test_sha256(tmp_path: Path) -> None:
    Git(tmp_path)("init", "-q", "--object-format=sha256")
    with Repo.open(tmp_path) as opened:
        assert opened.hash_name == "sha256"
        assert len(roundtrip(opened)) == 64


def test_objects_of_an_alternate_are_seen(repo: Path, git: Git, tmp_path: Path) -> None:
    git("clone", "-q", "--shared", str(repo), str(tmp_path / "clone"))
    with Repo.open(tmp_path / "clone") as opened:
        head = opened.refs.head_id()
        assert head is not None
        tree = opened.objects.commit(head).tree
        assert [entry.name for entry in read_tree(opened.objects, tree)] == ["README.md"]
        assert opened.git.run("cat-file", "-t", head) == b"commit\n"


def test_a_moved_repository_still_works(repo: Path, tmp_path: Path) -> None:
    with Repo.open(repo) as opened:
        roundtrip(opened)
    moved = repo.rename(tmp_path / "moved")
    with Repo.open(moved) as opened:
        roundtrip(opened)


def test_a_repository_in_a_folder_with_an_odd_name(repo: Path, tmp_path: Path) -> None:
    odd = repo.rename(tmp_path / "-o dd:\n'ü\"")
    with Repo.open(odd) as opened:
        assert opened.work_tree == odd
        roundtrip(opened)


def test_a_shallow_clone_opens_and_says_what_mends_it(repo: Path, git: Git, tmp_path: Path) -> None:
    git("commit", "-q", "--allow-empty", "-m", "second")
    git("clone", "-q", "--depth=1", f"file://{repo}", str(tmp_path / "shallow"))
    with Repo.open(tmp_path / "shallow") as opened:
        assert opened.shallow
        with pytest.raises(UsageError) as caught:
            opened.require_complete()
        git(*caught.value.fix.removeprefix("git ").split(), cwd=tmp_path / "shallow")
        opened.require_complete()


def test_a_partial_clone_is_refused_where_all_content_is_needed(repo: Path, git: Git) -> None:
    git("config", "core.repositoryformatversion", "1")
    git("config", "extensions.partialClone", "origin")
    with Repo.open(repo) as opened, pytest.raises(UsageError, match="partial clone"):
        opened.require_complete()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"core.repositoryformatversion": "2"}, "format 2 is not known"),
        (
            {"core.repositoryformatversion": "1", "extensions.future": "x"},
            "extension future is not known",
        ),
        ({"extensions.refstorage": "reftable"}, "stored as reftable"),
        ({"extensions.objectformat": "sha3"}, "hash sha3 is not known"),
    ],
)
def test_an_unknown_format_is_refused_by_name(
    repo: Path, settings: dict[str, str], message: str
) -> None:
    for key, value in settings.items():
        # Through a file of its own: git refuses to write such a configuration in place.
        subprocess.run(
            ["git", "config", "--file", str(repo / ".git/config"), key, value], check=True, cwd="/"
        )
    with pytest.raises(UsageError, match=message):
        Repo.open(repo)


@pytest.mark.parametrize(
    "text",
    [
        "[core] bare = true\n",
        '[core]\n\tbare = "true"\n',
        "[CORE]\n\tBare\n",
        "[core]\n\tbare = tr\\\nue\n",
        "[core]\n\tbare = yes ; a comment\n",
    ],
)
def test_configuration_is_read_as_git_reads_it(repo: Path, text: str) -> None:
    with (repo / ".git/config").open("a", encoding="utf-8") as file:
        file.write(text)
    with Repo.open(repo) as opened:
        assert opened.work_tree is None


def fake_git(folder: Path, version: str) -> str:
    folder.mkdir()
    program = folder / "git"
    program.write_text(f"#!/bin/sh\necho git version {version}\n", encoding="utf-8")
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_an_old_git_is_named_and_a_newer_one_noticed(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", fake_git(tmp_path / "old", "2.37.9.windows.1"))
    with pytest.raises(UsageError, match=r"git 2\.37\.9 is too old: lifeos needs 2\.38"):
        Repo.open(repo).ensure_private()
    monkeypatch.setenv("PATH", path)
    with Repo.open(repo) as opened:
        roundtrip(opened)


def test_no_git_at_all_is_named(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="git is not installed"):
        Repo.open(repo).ensure_private()


def test_opening_starts_no_process_and_writes_nothing(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    opened = Repo.open(repo)
    assert opened.refs.read("refs/heads/main") is not None
    assert not opened.private_dir.exists()


def test_the_private_directory_survives_deletion_and_half_creation(repo: Path) -> None:
    with Repo.open(repo) as opened:
        roundtrip(opened)
    shutil.rmtree(repo / ".git/lifeos")
    (repo / ".git/lifeos/git.new/info").mkdir(parents=True)
    (repo / ".git/lifeos/git").mkdir()
    with Repo.open(repo) as opened:
        roundtrip(opened)
        assert sorted(path.name for path in opened.private_dir.iterdir()) == [
            "git", "git-version", "git.lock", "refs.lock",
        ]  # fmt: skip


def test_many_processes_may_create_the_private_directory_at_once(repo: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from lifeos.store.repo import Repo;"
        "repo = Repo.open(Path(sys.argv[1])); repo.git.run('version'); repo.close()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, str(repo)]) for _ in range(8)]
    assert [process.wait(60) for process in processes] == [0] * 8


def test_who_waited_while_another_made_the_private_directory_leaves_it_alone(repo: Path) -> None:
    private = repo / ".git/lifeos"
    private.mkdir()
    script = (
        "import sys; from pathlib import Path; from lifeos.store.repo import Repo;"
        "print('go', flush=True); Repo.open(Path(sys.argv[1])).ensure_private()"
    )
    with Lock(private / "git.lock"):
        late = subprocess.Popen(
            [sys.executable, "-c", script, str(repo)], stdout=subprocess.PIPE, text=True
        )
        assert late.stdout is not None
        late.stdout.readline()
        while not (private / "git-version").exists():  # it has seen that there is none
            time.sleep(0.01)
        time.sleep(0.1)
        (private / "git").mkdir()
        (private / "git/HEAD").write_text("mine\n", encoding="utf-8")
    late.communicate(timeout=60)
    assert (private / "git/HEAD").read_text(encoding="utf-8") == "mine\n"


def test_another_users_repository_is_refused(repo: Path) -> None:
    """Git's own safe.directory rule holds although lifeos finds repositories itself."""
    if os.geteuid() != 0:
        pytest.skip("needs root to give a folder to another user")
    for path in (repo, repo / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(UsageError, match="belongs to another user") as caught:
        Repo.open(repo)
    assert "safe.directory" in caught.value.fix


def test_hooks_named_in_the_configuration_are_switched_off(repo: Path, git: Git) -> None:
    """Newer git runs them whatever core.hooksPath says; names may hold '.' and '='."""
    names = ("plain", "a.b", "x=y.z", "sp ace")
    for name in names:
        git("config", f"hook.{name}.command", "false")
        git("config", f"hook.{name}.event", "reference-transaction")
    person = StoreGit(repo / ".git", work_tree=repo)
    silence_configured_hooks(person)
    for name in names:
        assert person.run("config", "--get", f"hook.{name}.enabled") == b"false\n"


def test_a_closed_repository_can_be_used_again(repo: Path) -> None:
    opened = Repo.open(repo)
    roundtrip(opened)
    opened.close()
    roundtrip(opened)
    opened.close()


def test_a_forked_child_does_not_talk_into_the_parents_session(repo: Path) -> None:
    with Repo.open(repo) as opened:
        commit = roundtrip(opened)
        child = os.fork()
        if child == 0:
            answer = opened.objects.commit(commit).oid == commit
            os.kill(os.getpid(), signal.SIGTERM if answer else signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM
        assert opened.objects.commit(commit).oid == commit
