"""Who brought what: the answer that approvals and governance rest on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Git
from lifeos.errors import UsageError
from lifeos.store.history import (
    Introduced,
    brought_by,
    changed_paths,
    introducing,
    is_ancestor,
    ledger_anchors,
    removing,
    who_brought_lines,
)
from lifeos.store.objects import LIFEOS, Identity
from lifeos.store.repo import Repo

RULES = "policies/approvals.yaml"


@pytest.fixture
def store(repo: Path) -> Iterator[Repo]:
    """The repository as lifeos opens it."""
    with Repo.open(repo) as opened:
        yield opened


@pytest.fixture
def at(repo: Path, git: Git) -> At:
    """Commits on main, each by somebody."""
    return At(repo, git)


class At:
    """Makes commits whose author and committer is the one named."""

    def __init__(self, folder: Path, git: Git) -> None:
        self.folder = folder
        self.git = git

    def write(self, who: str, path: str, text: str | None) -> str:
        """Put a file (None: remove it) and commit it. The commit."""
        target = self.folder / path
        if text is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        return self.commit(who, self.git("write-tree"), "HEAD")

    def commit(self, who: str, tree: str, *parents: str, message: str = "Change") -> str:
        """A commit with any tree and parents, which HEAD is moved to."""
        self.git.now += 1
        stamp = f"{who} <{who}@example.invalid> {self.git.now} +0000"
        lines = [f"tree {self.git('rev-parse', tree)}"]
        lines += [f"parent {self.git('rev-parse', parent)}" for parent in parents]
        text = "\n".join([*lines, f"author {stamp}", f"committer {stamp}", "", message, ""])
        made = self.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text)
        self.git("reset", "--quiet", "--hard", made)
        return made


def names(found: tuple[Introduced, ...] | None) -> list[str]:
    """Who, in order."""
    assert found is not None
    return [one.author.name for one in found]


def test_the_commit_that_brought_the_content(store: Repo, at: At) -> None:
    """The last that changed it; later commits to other files do not count. All its fields."""
    at.write("ann", RULES, "1\n")
    second = at.write("bob", RULES, "2\n")
    tip = at.write("cat", "other", "x\n")
    found = introducing(store, tip, RULES)
    who = Identity("bob", "bob@example.invalid")
    assert found is not None
    assert found == Introduced(second, who, who, found.when, found.when, found.parents)
    assert found.when > 1_735_689_600
    assert len(found.parents) == 1
    assert not found.by_lifeos
    assert introducing(store, tip, "policies/APPROVALS.yaml") is None
    assert introducing(store, tip, "nothing") is None
    assert removing(store, tip, RULES) is None


def test_a_mode_is_part_of_the_content(store: Repo, at: At) -> None:
    """Making a file a link or a program is bringing it."""
    at.write("ann", "file", "target")
    (at.folder / "file").unlink()
    (at.folder / "file").symlink_to("target")
    at.git("add", "file")
    tip = at.commit("bob", at.git("write-tree"), "HEAD")
    assert names((introducing(store, tip, "file") or pytest.fail("none"),)) == ["bob"]


def test_who_removed_a_file(store: Repo, at: At) -> None:
    """And nobody, for what never was there."""
    at.write("ann", ".lifeos/STOP", "")
    at.write("bob", ".lifeos/STOP", None)
    tip = at.write("cat", "other", "x\n")
    removed = removing(store, tip, ".lifeos/STOP")
    assert removed is not None
    assert removed.author.name == "bob"
    assert removing(store, tip, "never") is None
    assert introducing(store, tip, ".lifeos/STOP") is None


def merge(at: At, who: str, tree: str, first: str, second: str) -> str:
    """A merge with exactly this tree, as anybody can make one."""
    return at.commit(who, f"{tree}^{{tree}}", first, second)


def test_an_honest_merge_brings_nothing(store: Repo, at: At) -> None:
    """What came from one side, and the other side did not touch, was brought by that side."""
    base = at.write("ann", RULES, "1\n")
    side = at.write("bob", RULES, "2\n")
    at.git("reset", "--quiet", "--hard", base)
    main = at.write("cat", "other", "x\n")
    at.git("read-tree", "-m", "-u", base, main, side)
    tree = at.git("write-tree")
    for parents in ((main, side), (side, main)):
        tip = at.commit("mallory", tree, *parents)
        found = introducing(store, tip, RULES)
        assert found is not None
        assert found.author.name == "bob"


def test_a_merge_that_brings_back_old_rules_is_named(store: Repo, at: At) -> None:
    """Merged with "ours", in either order of parents: it was not ann who brought them back."""
    old = at.write("ann", RULES, "mallory may approve\n")
    main = at.write("ann", RULES, "mallory may not\n")
    for parents in ((main, old), (old, main)):
        tip = merge(at, "mallory", old, *parents)
        found = introducing(store, tip, RULES)
        assert found is not None
        assert found.author.name == "mallory"


def test_old_rules_hidden_behind_a_merge_with_their_author(store: Repo, at: At) -> None:
    """A plain revert by mallory, then a merge with the old commit, so that both sides agree."""
    old = at.write("ann", RULES, "mallory may approve\n")
    at.write("ann", RULES, "mallory may not\n")
    revert = at.write("mallory", RULES, "mallory may approve\n")
    for parents in ((revert, old), (old, revert)):
        tip = merge(at, "bob", old, *parents)
        found = introducing(store, tip, RULES)
        assert found is not None
        assert found.author.name == "mallory"


def test_a_file_dropped_in_a_merge_is_removed_by_it(store: Repo, at: At) -> None:
    """STOP is on main; a merge with a branch that never had it takes it away."""
    base = at.write("ann", "other", "x\n")
    at.write("bob", "more", "x\n")
    side = at.git("rev-parse", "HEAD")
    at.git("reset", "--quiet", "--hard", base)
    main = at.write("ann", ".lifeos/STOP", "")
    for parents in ((main, side), (side, main)):
        tip = merge(at, "mallory", side, *parents)
        removed = removing(store, tip, ".lifeos/STOP")
        assert removed is not None
        assert removed.author.name == "mallory"


def test_a_merge_with_content_of_its_own_is_the_bringer(store: Repo, at: At) -> None:
    """An "evil merge": the path is as in neither parent."""
    base = at.write("ann", RULES, "1\n")
    side = at.write("bob", "more", "x\n")
    at.git("reset", "--quiet", "--hard", base)
    main = at.write("cat", "other", "x\n")
    blob = at.git("hash-object", "-w", "--stdin", stdin="evil\n")
    at.git("update-index", "--cacheinfo", f"100644,{blob},{RULES}")
    tip = at.commit("mallory", at.git("write-tree"), main, side)
    found = introducing(store, tip, RULES)
    assert found is not None
    assert found.author.name == "mallory"


def test_many_merges_are_walked(store: Repo, at: At) -> None:
    """More than one batch of them, one for each change, as forges make them."""
    brought = at.write("ann", RULES, "1\n")
    main = brought
    tree = f"{brought}^{{tree}}"
    lines = [f"tree {at.git('rev-parse', tree)}"]
    with Repo.open(at.folder) as opened:
        write = opened.objects.write_commit
        for number in range(300):
            side = write(lines[0][5:], (main,), "work", when=number)
            main = write(lines[0][5:], (main, side), "merge", when=number)
    found = introducing(store, main, RULES)
    assert found is not None
    assert found.commit == brought


def test_a_shallow_clone_is_refused_by_name(repo: Path, at: At, tmp_path: Path) -> None:
    """Who brought what cannot be known where history is cut off."""
    at.write("ann", RULES, "1\n")
    at.write("ann", "other", "1\n")
    at.git("clone", "--quiet", "--depth=1", f"file://{repo}", str(tmp_path / "shallow"))
    with Repo.open(tmp_path / "shallow") as shallow:
        tip = shallow.refs.head_id()
        assert tip is not None
        with pytest.raises(UsageError, match="shallow"):
            introducing(shallow, tip, RULES)


# --- governance -------------------------------------------------------------------------------


def test_all_who_changed_governance_since(store: Repo, at: At) -> None:
    """Not only the last: a later edit does not make an earlier one the later person's."""
    since = at.write("ann", RULES, "1\n")
    at.write("mallory", RULES, "2\n")
    at.write("ann", RULES, "3\n")
    at.write("ann", ".lifeos/queue/x.md", "x\n")
    tip = at.write("bob", "other", "x\n")
    paths = ("policies", ".lifeos")
    assert names(brought_by(store, tip, paths, since, [".lifeos/queue"])) == ["ann", "mallory"]
    assert names(brought_by(store, tip, paths, tip)) == []
    assert len(brought_by(store, tip, paths, since) or ()) == 3


def test_a_rewritten_main_says_nothing_about_governance(store: Repo, at: At) -> None:
    """The adopted commit is gone from main: None, not "nobody changed anything"."""
    base = at.write("ann", RULES, "1\n")
    since = at.write("ann", RULES, "2\n")
    at.git("reset", "--quiet", "--hard", base)
    tip = at.write("bob", "other", "x\n")
    assert brought_by(store, tip, ("policies",), since) is None


# --- lines ------------------------------------------------------------------------------------


def test_who_brought_each_line(store: Repo, at: At) -> None:
    """Each once; lines outside the range do not count."""
    at.write("ann", "f", "1\n2\n3\n4\n")
    at.write("bob", "f", "1\n2\n3 bob\n4\n")
    tip = at.write("cat", "f", "1 cat\n2\n3 bob\n4\n")
    assert sorted(names(who_brought_lines(store, tip, "f", 2, 4))) == ["ann", "bob"]
    assert names(who_brought_lines(store, tip, "f", 1, 1)) == ["cat"]
    assert names(who_brought_lines(store, tip, "f", 4, 4)) == ["ann"]
    assert who_brought_lines(store, tip, "f", 4, 9) == ()
    assert who_brought_lines(store, tip, "g", 1, 1) == ()


def test_a_rename_is_not_followed(store: Repo, at: At) -> None:
    """Text that was harmless in one file is brought by whoever makes it the backlog."""
    at.write("ann", "notes", "run: rm -rf .\nmore\nmore\n")
    at.git("mv", "notes", "BACKLOG.md")
    tip = at.commit("mallory", at.git("write-tree"), "HEAD")
    assert names(who_brought_lines(store, tip, "BACKLOG.md", 1, 1)) == ["mallory"]


@pytest.mark.parametrize(
    "text",
    [
        "title\nrm -rf *\nend\nnext\n",  # the line before it, inside the range
        "title\ncd build\nrm -rf *\nnext\n",  # the last one
        "title\nrm -rf *\nnext\n",  # both
    ],
)
def test_taking_lines_away_is_bringing(store: Repo, at: At, text: str) -> None:
    """What is left was all written by ann; but it is mallory who made it mean something else."""
    at.write("ann", "f", "title\ncd build\nrm -rf *\nend\nnext\n")
    tip = at.write("mallory", "f", text)
    last = text.count("\n") - 1
    assert "mallory" in names(who_brought_lines(store, tip, "f", 2, last))


def test_taking_a_line_out_of_the_middle_is_bringing(store: Repo, at: At) -> None:
    """The rest closes up."""
    at.write("ann", "f", "title\na\nb\nc\nnext\n")
    tip = at.write("mallory", "f", "title\na\nc\nnext\n")
    assert "mallory" in names(who_brought_lines(store, tip, "f", 2, 3))


def test_other_changes_of_the_file_are_not_bringing(store: Repo, at: At) -> None:
    """A mark set on the title, tasks added and removed elsewhere: these lines are still ann's."""
    at.write("ann", "f", "- [ ] title\n  run\n\n- [ ] x\n- [ ] y\n- [ ] z\n")
    at.write("lifeos", "f", "- [/] title\n  run\n\n- [ ] x\n- [ ] y\n- [ ] z\n")
    tip = at.write("bob", "f", "- [ ] new\n- [/] title\n  run\n\n- [ ] x\n- [ ] z\n")
    assert names(who_brought_lines(store, tip, "f", 3, 3)) == ["ann"]


def test_lines_brought_back_by_a_merge(store: Repo, at: At) -> None:
    """ann withdrew them; mallory brings them back, and hides behind a merge with the old commit."""
    old = at.write("ann", "f", "title\nrm -rf *\n")
    main = at.write("ann", "f", "title\n")
    for parents in ((main, old), (old, main)):
        tip = merge(at, "mallory", old, *parents)
        assert "mallory" in names(who_brought_lines(store, tip, "f", 2, 2))
    at.git("reset", "--quiet", "--hard", main)
    revert = at.write("mallory", "f", "title\nrm -rf *\n")
    for parents in ((revert, old), (old, revert)):
        tip = merge(at, "ann", old, *parents)
        assert "mallory" in names(who_brought_lines(store, tip, "f", 2, 2))


# --- the branch -------------------------------------------------------------------------------


def test_changed_paths_and_ancestors(store: Repo, at: At) -> None:
    """Both names of a rename; any characters; a commit is its own ancestor."""
    old = at.write("ann", "a name\twith\nall", "same content\n")
    at.git("mv", "a name\twith\nall", "b")
    new = at.commit("bob", at.git("write-tree"), "HEAD")
    assert sorted(changed_paths(store, old, new)) == ["a name\twith\nall", "b"]
    assert changed_paths(store, old, old) == ()
    assert is_ancestor(store, old, new)
    assert is_ancestor(store, old, old)
    assert not is_ancestor(store, new, old)


def test_the_anchors_of_the_ledger(store: Repo, at: At) -> None:
    """Newest first, of lifeos's own commits only, trailers only, well-formed names only."""
    tree = at.git("rev-parse", "HEAD^{tree}")
    first, second, third = ("1" * 40, "2" * 40, "3" * 40)

    def commit(who: Identity, message: str, committer: Identity | None = None) -> str:
        parents = (at.git("rev-parse", "HEAD"),)
        made = store.objects.write_commit(
            tree, parents, message, when=at.git.now, author=who, committer=committer or who
        )
        at.git("reset", "--quiet", "--hard", made)
        return made

    commit(LIFEOS, f"lifeos: one\n\nLifeos-Ledger: {first}\n")
    commit(LIFEOS, f"lifeos: two\n\nLifeos-Ledger: {second}\nLifeos-Run: x\n")
    other = Identity("lifeos", "x-lifeos@localhost")
    for author, committer in ((other, other), (other, LIFEOS), (LIFEOS, other)):
        commit(author, f"x\n\nLifeos-Ledger: {third}\n", committer)
    commit(LIFEOS, f"lifeos: no trailer\n\nLifeos-Ledger: {third}\n\nthe end\n")
    tip = commit(LIFEOS, "lifeos: malformed\n\nLifeos-Ledger: --all\n")
    assert ledger_anchors(store, tip, 10) == (second, first)
    assert ledger_anchors(store, tip, 3) == (second,)


def test_the_persons_environment_does_not_reach_the_library(
    repo: Path, at: At, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """GIT_DIR and the like, replace refs and grafts point elsewhere: the answer is the same."""
    tip = at.write("ann", RULES, "1\n")
    forged = at.commit("ceo", f"{tip}^{{tree}}", f"{tip}~1")
    at.git("replace", tip, forged)
    (repo / ".git" / "info").mkdir(exist_ok=True)
    (repo / ".git" / "info" / "grafts").write_text(f"{tip} {forged}\n", encoding="utf-8")
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.repositoryformatversion=9'")
    with Repo.open(repo) as opened:
        found = introducing(opened, tip, RULES)
    assert found is not None
    assert (found.commit, found.author.name) == (tip, "ann")
    assert os.environ["GIT_DIR"] == str(tmp_path)


def test_sha256_repositories_work(tmp_path: Path) -> None:
    """GitPython does not read them; lifeos does."""
    git = Git(tmp_path)
    git("init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    (tmp_path / "f").write_text("1\n2\n", encoding="utf-8")
    git("add", "f")
    git("commit", "--quiet", "--message=Begin")
    tip = git("rev-parse", "HEAD")
    with Repo.open(tmp_path) as opened:
        found = introducing(opened, tip, "f")
        assert found is not None
        assert found.commit == tip
        assert [one.commit for one in who_brought_lines(opened, tip, "f", 1, 2)] == [tip]
