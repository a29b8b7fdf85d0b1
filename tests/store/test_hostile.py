"""A repository whose configuration runs programs: not one of them may run. The canary is a file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from conftest import Git
from lifeos.store.diff import diff, diffstat, patch
from lifeos.store.materialize import import_folder, materialize
from lifeos.store.merge import merge
from lifeos.store.repo import Repo
from lifeos.store.trees import edit, walk

ATTRIBUTES = b"* filter=evil diff=evil merge=evil -text working-tree-encoding=UTF-16\n"


@pytest.fixture
def canary(repo: Path, git: Git, tmp_path: Path) -> Path:
    """Every key that is known to make an ordinary command start a program, and every hook."""
    mark = tmp_path / "canary"
    program = tmp_path / "evil.sh"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> "{mark}"\ncat\n', encoding="utf-8")
    program.chmod(0o755)
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/attributes").write_bytes(ATTRIBUTES)
    evil_hooks = tmp_path / "hooks"
    for folder in (evil_hooks, repo / ".git/hooks"):
        folder.mkdir(exist_ok=True)
        for hook in (
            "reference-transaction", "post-checkout", "post-index-change", "pre-commit",
            "post-update", "update", "fsmonitor-watchman", "pre-push", "pre-auto-gc",
        ):  # fmt: skip
            (folder / hook).unlink(missing_ok=True)
            (folder / hook).symlink_to(program)
    for key in (
        "core.fsmonitor", "core.sshCommand", "core.editor", "core.pager", "core.askPass",
        "core.alternateRefsCommand", "core.gitProxy", "sequence.editor", "diff.external",
        "diff.evil.command", "diff.evil.textconv", "filter.evil.clean", "filter.evil.smudge",
        "filter.evil.process", "merge.evil.driver", "gpg.program", "gpg.ssh.program",
        "credential.helper", "uploadpack.packObjectsHook", "hook.evil.command",
        "remote.origin.uploadpack", "remote.origin.receivepack", "trailer.evil.command",
    ):  # fmt: skip
        git("config", key, str(program))
    for name in ("diff-tree", "cat-file", "update-ref", "merge-tree", "check-ignore", "rev-parse"):
        git("config", f"alias.{name}", f"!{program}")
    git("config", "hook.evil.event", "reference-transaction")
    git("config", "core.hooksPath", str(evil_hooks))
    git("config", "log.showSignature", "true")
    git("config", "merge.default", "evil")
    git("config", "protocol.ext.allow", "always")
    git("config", "filter.evil.required", "true")
    return mark


def whole_life(repo: Repo, folder: Path) -> str:
    """Every operation of the store once."""
    head = repo.refs.head_id()
    assert head is not None
    base = repo.objects.commit(head).tree
    files = {
        ".gitattributes": ("100644", repo.objects.write_blob(ATTRIBUTES)),
        "f": ("100644", repo.objects.write_blob(b"1\n2\n3\n4\n5\n")),
    }
    tree = edit(repo.objects, base, files)
    ours = repo.objects.write_commit(tree, [head], "ours\n", when=1)
    materialize(repo, tree, folder)
    (folder / "f").write_bytes(b"0\n1\n2\n3\n4\n5\n")
    imported = import_folder(repo, folder, tree)
    left = repo.objects.write_commit(imported.tree, [ours], "left\n", when=2)
    other = edit(
        repo.objects, tree, {"f": ("100644", repo.objects.write_blob(b"1\n2\n3\n4\n5\n6\n"))}
    )
    right = repo.objects.write_commit(other, [ours], "right\n", when=2)
    merged = merge(repo, left, right)
    assert merged.tree is not None
    assert [change.path for change in diff(repo, tree, merged.tree)] == ["f"]
    assert b"+6" in patch(repo, tree, merged.tree)
    assert "f" in diffstat(repo, tree, merged.tree)
    list(walk(repo.objects, merged.tree))
    done = repo.objects.write_commit(merged.tree, [left, right], "merge\n", when=3)
    for name in ("refs/heads/lifeos/ledger", "refs/lifeos/run/x"):
        assert repo.refs.compare_and_swap(name, done, None, "test")
        assert repo.refs.compare_and_swap(name, ours, done, "test")
    assert repo.refs.compare_and_swap("refs/lifeos/run/x", None, ours, "test")
    repo.git.run("log", "-p", "--format=%G?", done)
    repo.git.run("rev-list", "--all")
    repo.git.run("fsck", "--no-dangling")
    return merged.tree


def test_no_program_of_the_configuration_runs(repo: Path, canary: Path, tmp_path: Path) -> None:
    with Repo.open(repo) as opened:
        tree = whole_life(opened, tmp_path / "work")
        merged = {leaf.path: leaf.oid for leaf in walk(opened.objects, tree)}
        assert opened.objects.read(merged["f"])[1] == b"0\n1\n2\n3\n4\n5\n6\n"
    assert not canary.exists(), canary.read_text(encoding="utf-8")


def test_the_trap_is_real(repo: Path, canary: Path) -> None:
    """Plain git does run them: without this, the test above would prove nothing."""
    subprocess.run(["git", "status"], cwd=repo, capture_output=True, check=False)
    subprocess.run(
        ["git", "update-ref", "refs/x", "HEAD"], cwd=repo, capture_output=True, check=False
    )
    text = canary.read_text(encoding="utf-8")
    assert len(text.splitlines()) >= 2


def test_looking_at_the_persons_work_tree_starts_no_monitor(
    repo: Path, git: Git, tmp_path: Path
) -> None:
    """The person's filters may run there; a file system monitor, hooks and a pager may not."""
    mark = tmp_path / "canary"
    for key in ("core.fsmonitor", "core.pager", "core.sshCommand", "gpg.program"):
        git("config", key, f"touch {mark};:")
    with Repo.open(repo) as opened:
        opened.person.run("status", "--porcelain")
        opened.person.run("diff-files")
        opened.person.run("read-tree", "-m", "-u", "HEAD", "HEAD")
        opened.person.run("log", "-1", "--show-signature", "--format=%H", "HEAD")
    assert not mark.exists()
    subprocess.run(["git", "status"], cwd=repo, capture_output=True, check=False)
    assert mark.exists(), "the trap is not set"


def test_replace_references_and_grafts_change_nothing(repo: Path, git: Git) -> None:
    git("commit", "-q", "--allow-empty", "-m", "second")
    head, first = git("rev-parse", "HEAD"), git("rev-parse", "HEAD~")
    with Repo.open(repo) as opened:
        before = opened.objects.read(head)
        other = opened.objects.write_commit(
            opened.objects.commit(head).tree, [], "forged\n", when=1
        )
        git("replace", head, other)
        (repo / ".git/info").mkdir(exist_ok=True)
        (repo / ".git/info/grafts").write_text(f"{head}\n", encoding="utf-8")
    with Repo.open(repo) as opened:
        assert opened.objects.read(head) == before
        assert opened.git.run("rev-list", head).decode().split() == [head, first]
        assert opened.git.run("log", "--format=%s", head) == b"second\nBegin\n"


def test_the_persons_global_configuration_does_not_reach_object_work(
    repo: Path, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    attributes = tmp_path / "attributes"
    attributes.write_bytes(ATTRIBUTES)
    mark = tmp_path / "canary"
    (sealed / ".gitconfig").write_text(
        f"[core]\n\tattributesFile = {attributes}\n\texcludesFile = {tmp_path / 'ignore'}\n"
        f'[merge "evil"]\n\tdriver = "touch {mark}"\n[merge]\n\tdefault = evil\n'
        f'[diff]\n\texternal = "touch {mark}"\n\tnoprefix = true\n',
        encoding="utf-8",
    )
    (tmp_path / "ignore").write_text("*\n", encoding="utf-8")
    with Repo.open(repo) as opened:
        tree = whole_life(opened, tmp_path / "work")
        (tmp_path / "work/new").write_bytes(b"x")
        assert "new" in {
            leaf.path
            for leaf in walk(opened.objects, import_folder(opened, tmp_path / "work", tree).tree)
        }
        assert b"diff --git a/f b/f" in patch(opened, opened.refs.head_id() or "", tree)
    assert not mark.exists()


def test_the_private_folder_may_be_a_link_to_another_disk(repo: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (repo / ".git/lifeos").symlink_to(elsewhere)
    with Repo.open(repo) as opened:
        whole_life(opened, tmp_path / "work")


@pytest.mark.parametrize("key", ["GIT_EXTERNAL_DIFF", "GIT_SSH_COMMAND", "GIT_CONFIG_PARAMETERS"])
def test_programs_named_in_the_environment_do_not_run(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    mark = tmp_path / "canary"
    value = f"touch {mark}" if "CONFIG" not in key else f"'diff.external'='touch {mark}'"
    monkeypatch.setenv(key, value)
    with Repo.open(repo) as opened:
        whole_life(opened, tmp_path / "work")
    assert not mark.exists()
    assert os.environ[key] == value
