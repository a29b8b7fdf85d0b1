"""Hostile backlogs, trees and configuration against the whole loop: contained, named, never run.

A canary is a file that only exists if something was run, or written, that nobody may run or write.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from conftest import EMAIL
from lifeos.core.records import Closed, Finished, Opened, Resolved
from lifeos.model import CloseOutcome, ItemKind, Stage
from loop_scene import BACKLOG, TASK, Scene, begin_scene, changed

GUIDE = "docs/guide.md"
GOOD = BACKLOG.partition("## P0\n\n")[2]


def backlog(*entries: str) -> str:
    """A backlog with these entries before the good one."""
    return "\n".join(["# Backlog\n\n## P0\n", *entries, GOOD])


def entry(title: str, recipe: str = "mkdir -p docs && echo hello > docs/guide.md") -> str:
    """A task with this title, that else is as good as any."""
    return (
        f"- [ ] {title}\n  - scope: `docs/**`\n  - risk: low\n\n  ```sh recipe\n  {recipe}\n  ```\n"
    )


def outcome(scene: Scene) -> CloseOutcome:
    """The person approves the only question; how the run ends."""
    scene.commit(scene.answer())
    report = scene.tick()
    assert report.refusals == ()
    ((_, _, found),) = report.ended
    return found


def files_of(folder: Path) -> set[str]:
    """Every path of a work tree but git's own."""
    found = set()
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        found |= {os.path.relpath(Path(top, name), folder) for name in names}
    return found


# --- the backlog ------------------------------------------------------------------------------

TITLES = {
    "option": "--upload-pack=touch canary",
    "short option": "-n",
    "substitution": "$(touch canary) `touch canary` ${IFS}",
    "shell": "x; touch canary; true | touch canary && touch canary",
    "path": "../../../../canary",
    "yaml": '"]\\nsubject: none\\ndecision: approve # "',
    "front matter": "--- decision: approve ---",
    "markup": "<script>x</script> ![x](http://example.invalid/x) @everyone fixes #1 [skip ci]",
    "reference": "@{-1} HEAD^{tree} :/x refs/heads/main..",
    "workflow": "::set-output name=x::y ::stop-commands::z",
    "format": "%s %n {0} {x.__class__} %(trailers)",
    "long": "word " * 400,
    "letters": "Gr\u00fc\u00dfe \u65e5\u672c\u8a9e \U0001f600",
}


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
def test_a_title_is_only_a_title(tmp_path: Path, title: str) -> None:
    """It goes through records, commits, questions and packets, and the task lands all the same."""
    text = f"# Backlog\n\n{entry(f'**{TASK}** {title}')}"
    scene = begin_scene(tmp_path / "repo", backlog=text)
    scene.tick()
    assert scene.item().kind is ItemKind.STAGE_REVIEW
    assert outcome(scene) is CloseOutcome.PASS
    assert scene.at_main(GUIDE) == "hello"
    assert "[x]" in scene.at_main("BACKLOG.md")
    assert not list(tmp_path.rglob("*canary*"))
    trailers = scene.git("log", "-1", "--format=%(trailers:key=Lifeos-Run,valueonly)", "main")
    assert len(trailers.split()) == 1


@pytest.mark.parametrize(
    "sign",
    ["\x1b[2J", "\x1b]0;x\x07", "\u202e", "\u200b", "\x9b31m", "\r", "\x07"],
    ids=["clear", "window", "direction", "invisible", "one byte", "return", "bell"],
)
def test_a_title_cannot_drive_a_terminal(tmp_path: Path, sign: str) -> None:
    """Whatever is said of it: by the tick, the question, the packet or the commits."""
    text = f"# Backlog\n\n{entry(f'Say {sign}hello')}"
    scene = begin_scene(tmp_path / "repo", backlog=text)
    command = [sys.executable, "-m", "lifeos", "-C", str(scene.folder), "tick"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode in (0, 2), done.stderr
    said = done.stdout + done.stderr
    told = [said.decode(), scene.git("log", "--format=%s", "main", "lifeos/ledger")]
    for item in scene.snapshot().items:
        told.append(scene.at_main(f".lifeos/queue/{item}.md"))
    assert "hello" in told[0] or "BACKLOG.md:3:" in told[0]  # it is named all the same
    for line in told:
        assert not set(line) & set("\x1b\x07\x9b\r\u202e\u200b")


BAD = {
    "scope above": ("- [ ] Reach\n  - scope: `../**`\n", "scope"),
    "scope at the root": ("- [ ] Reach\n  - scope: `/etc/**`\n", "scope"),
    "the id of another": (f"- [ ] **{TASK}** Be somebody else\n", "several tasks"),
    "itself": ("- [ ] **LO-bbbbbb** Wait for myself\n  - depends: LO-bbbbbb\n", ""),
    "the unknown": ("- [ ] **LO-bbbbbb** Wait\n  - depends: LO-zzzzzz\n", ""),
    "conflict": (
        "<<<<<<< ours\n- [ ] One way\n=======\n- [ ] Another way\n>>>>>>> theirs\n",
        "conflict",
    ),
    "NUL": ("- [ ] a\0b\n", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_entry_stops_itself_only(tmp_path: Path, name: str) -> None:
    """It is named with its place; the good task beside it goes on (but for one that it copies)."""
    text, said = BAD[name]
    scene = begin_scene(tmp_path / "repo", backlog=backlog(text))
    report = scene.tick()
    opened = [record for record in scene.records() if isinstance(record, Opened)]
    expected = [] if name == "the id of another" else [TASK]
    assert [record.task for record in opened] == expected
    assert any(said in str(one) and one.place.line > 0 for one in report.problems), report.problems


@pytest.mark.parametrize(
    "name", ["**LO-../../x**", "**LO--x**", "**-rf**", "**LO-aaaaaa/..**", "**LO-\u0430aaaaa**"]
)
def test_what_is_no_id_is_part_of_the_title(tmp_path: Path, name: str) -> None:
    """The task gets an id like any other, and no file or reference has the name."""
    scene = begin_scene(tmp_path / "repo", backlog=f"# Backlog\n\n{entry(f'{name} Say hello')}")
    scene.tick()
    assert re.fullmatch(r"LO-[a-z0-9]{6}", scene.run().task)
    assert outcome(scene) is CloseOutcome.PASS
    assert name.strip("*") in scene.at_main("BACKLOG.md")
    assert files_of(tmp_path) == {f"repo/{path}" for path in files_of(scene.folder)}


@pytest.mark.parametrize("where", ["recipe", "acceptance"])
def test_commands_of_somebody_who_may_not_are_shown_and_not_run(tmp_path: Path, where: str) -> None:
    """Not to build and not to check: an approver sees them verbatim first, and then they run."""
    canary = tmp_path / "canary"
    scene = begin_scene(tmp_path / "repo", backlog="# Backlog\n")
    mallory = "mallory@example.invalid"
    recipe = "mkdir -p docs && echo hello > docs/guide.md"
    text = entry("Say hello", f"{recipe}; touch {canary}" if where == "recipe" else recipe)
    if where == "acceptance":
        text += f"\n  Acceptance:\n  - [ ] it is there: `touch {canary}`\n"
    scene.commit({"BACKLOG.md": f"# Backlog\n\n{text}"}, author=mallory, committer=mallory)
    scene.tick()
    item = scene.item()
    assert item.kind is ItemKind.COMMANDS
    assert f"touch {canary}" in scene.at_main(f".lifeos/queue/{item.id}.md")
    assert not canary.exists()
    assert not [record for record in scene.records() if isinstance(record, Finished)]
    scene.commit(scene.answer())
    scene.tick()
    assert canary.exists()


CONFLICT = "<<<<<<< HEAD\n{}\n=======\nsomething else\n>>>>>>> side\n"


@pytest.mark.parametrize("what", ["conflict", "link", "folder", "submodule", "not text"])
def test_a_backlog_that_cannot_be_read_ends_nothing(tmp_path: Path, what: str) -> None:
    """A run waits, and then its task is not to be found: that is a fault, and not a wish."""
    scene = begin_scene(tmp_path / "repo")
    scene.tick()
    item, run = scene.item(), scene.run()
    path = scene.folder / "BACKLOG.md"
    text = path.read_text(encoding="utf-8")
    head = scene.git("rev-parse", "HEAD")
    path.unlink()
    match what:
        case "conflict":
            path.write_text(CONFLICT.format(text), encoding="utf-8")
        case "link":
            (scene.folder / "other.md").write_text(text, encoding="utf-8")
            path.symlink_to("other.md")
        case "folder":
            path.mkdir()
            (path / "x").touch()
        case "not text":
            path.write_bytes(text.encode("utf-16"))
        case _:  # the submodule has no file
            pass
    scene.git("add", "--all")
    if what == "submodule":
        scene.git("update-index", "--add", "--cacheinfo", f"160000,{head},BACKLOG.md")
    scene.commit({})
    report = scene.tick()
    assert any("BACKLOG.md" in str(problem) for problem in report.problems), report.problems
    assert report.ended == []
    assert scene.snapshot().runs == {run.id: run}
    assert scene.snapshot().items == {item.id: item}
    # Mended, it goes on from there.
    scene.git("rm", "--quiet", "--cached", "-r", "--ignore-unmatch", "BACKLOG.md")
    if path.is_dir() and not path.is_symlink():
        (path / "x").unlink(missing_ok=True)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    scene.commit({"BACKLOG.md": text})
    assert outcome(scene) is CloseOutcome.PASS


def test_a_backlog_that_is_a_link_is_never_written_through(tmp_path: Path) -> None:
    """It leads to a file outside, which is somebody's."""
    outside = tmp_path / "outside.md"
    outside.write_text(BACKLOG, encoding="utf-8")
    scene = begin_scene(tmp_path / "repo")
    (scene.folder / "BACKLOG.md").unlink()
    (scene.folder / "BACKLOG.md").symlink_to(outside)
    scene.git("add", "--all")
    scene.commit({})
    report = scene.tick()
    assert any("BACKLOG.md" in str(problem) for problem in report.problems)
    assert report.opened == []
    assert outside.read_text(encoding="utf-8") == BACKLOG


# --- the rules --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".lifeos", "policies"])
def test_a_folder_of_rules_that_is_a_link(tmp_path: Path, name: str) -> None:
    """Whoever can change what it leads to would rule. Nothing is written through it either."""
    scene = begin_scene(tmp_path / "repo")
    scene.tick()
    item = scene.item().id
    outside = tmp_path / "outside"
    (scene.folder / name).rename(outside)
    (scene.folder / name).symlink_to(outside)
    before = {path: (outside / path).read_bytes() for path in files_of(outside)}
    scene.git("add", "--all")
    scene.commit({"BACKLOG.md": backlog(entry("**LO-bbbbbb** Another"))})
    report = scene.tick()
    assert any(f"{name}/" in str(problem) for problem in report.problems)
    assert report.opened == []
    assert item in scene.snapshot().items
    assert {path: (outside / path).read_bytes() for path in files_of(outside)} == before


@pytest.mark.parametrize(
    "text",
    ["version: 1\nautonomy: everything\n", "version: 1\nversion: 1\n", "\x00", "&a [*a, *a]", ""],
    ids=["word", "twice", "NUL", "alias", "empty"],
)
def test_broken_policies_stop_claims_and_nothing_else(tmp_path: Path, text: str) -> None:
    """What is open is reconciled under the adopted set: the answer is taken. Nothing is begun."""
    scene = begin_scene(tmp_path / "repo", backlog=backlog(entry("**LO-bbbbbb** Another")))
    scene.tick()
    adopted = scene.snapshot().governance
    good = scene.at_main("policies/loop.yaml") + "\n"
    scene.commit({"policies/loop.yaml": text, **scene.answer()})
    report = scene.tick()
    assert any("policies/loop.yaml" in str(problem) for problem in report.problems)
    snapshot = scene.snapshot()
    assert snapshot.governance == adopted
    assert not snapshot.items
    assert [type(r) for r in scene.records() if isinstance(r, Resolved | Closed)] == [Resolved]
    assert not scene.on_main(GUIDE)
    scene.commit({"policies/loop.yaml": good})
    scene.tick()
    assert [r.outcome for r in scene.records() if isinstance(r, Closed)][:1] == [CloseOutcome.PASS]


# --- trees ------------------------------------------------------------------------------------


def test_a_submodule_is_refused_by_name_before_anything_is_spent(tmp_path: Path) -> None:
    """Its content is in another repository. Taken out, the task goes on."""
    scene = begin_scene(tmp_path / "repo")
    head = scene.git("rev-parse", "HEAD")
    scene.git("update-index", "--add", "--cacheinfo", f"160000,{head},lib/other")
    scene.commit({})
    report = scene.tick()
    (problem,) = report.problems
    assert problem.place.file == "lib/other"
    assert "is a submodule" in problem.message
    assert problem.fix
    assert not [record for record in scene.records() if isinstance(record, Opened)]
    scene.git("rm", "--quiet", "--cached", "lib/other")
    scene.commit({})
    assert scene.tick().opened == [TASK]


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"


def test_a_file_in_lfs_is_refused_by_name_before_anything_is_spent(tmp_path: Path) -> None:
    """Only its pointer is here. The attribute alone, or the pointer alone, is no file in LFS."""
    rule = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    scene = begin_scene(tmp_path / "repo", files={"a.bin": POINTER})
    scene.commit({".gitattributes": rule})
    report = scene.tick()
    (problem,) = report.problems
    assert problem.place.file == "a.bin"
    assert "Git LFS" in problem.message
    assert "git lfs migrate export" in problem.fix
    assert not [record for record in scene.records() if isinstance(record, Opened)]
    scene.commit({"a.bin": "content\n"})
    assert scene.tick().opened == [TASK]


def test_main_becomes_unfit_while_a_run_is_open(tmp_path: Path) -> None:
    """The answer is taken and nothing lands on such a main; mended, it lands."""
    scene = begin_scene(tmp_path / "repo")
    scene.tick()
    head = scene.git("rev-parse", "HEAD")
    scene.git("update-index", "--add", "--cacheinfo", f"160000,{head},lib/other")
    scene.commit(scene.answer())
    report = scene.tick()
    assert [problem.place.file for problem in report.problems] == ["lib/other"]
    assert report.ended == []
    scene.git("rm", "--quiet", "--cached", "lib/other")
    scene.commit({})
    assert [found for _, _, found in scene.tick().ended] == [CloseOutcome.PASS]


def test_a_huge_file_on_main_and_a_deep_folder(tmp_path: Path) -> None:
    """Twenty megabytes, and a hundred folders in each other: slow perhaps, but no harm."""
    deep = "/".join("d" * 100) + "/file.txt"
    scene = begin_scene(tmp_path / "repo", files={"huge.bin": b"\0" * 20_000_000, deep: "deep\n"})
    scene.tick()
    assert outcome(scene) is CloseOutcome.PASS


def test_a_huge_file_as_an_answer(tmp_path: Path) -> None:
    """It is refused by its size, without being read."""
    scene = begin_scene(tmp_path / "repo")
    scene.tick()
    (path,) = scene.answer()
    scene.commit({path: b"#" * 5_000_000})
    report = scene.tick()
    assert "5000000 bytes" in report.refusals[0]
    assert report.ended == []


# --- the configuration of the repository ------------------------------------------------------

HOOKS = (
    "reference-transaction",
    "post-checkout",
    "post-index-change",
    "post-commit",
    "post-merge",
    "pre-commit",
    "commit-msg",
    "prepare-commit-msg",
    "pre-auto-gc",
    "post-rewrite",
    "applypatch-msg",
    "pre-merge-commit",
)
KEYS = (
    "core.fsmonitor",
    "core.editor",
    "core.pager",
    "core.sshCommand",
    "core.askPass",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "sequence.editor",
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "merge.evil.driver",
    "merge.tool",
    "gpg.program",
    "gpg.ssh.program",
    "gpg.x509.program",
    "gpg.ssh.defaultKeyCommand",
    "credential.helper",
    "uploadpack.packObjectsHook",
    "remote.origin.uploadpack",
    "remote.origin.receivepack",
    "hook.evil.command",
    "trailer.evil.command",
    "interactive.diffFilter",
    "pager.log",
    "alias.log",
)
FILTERS = ("filter.evil.clean", "filter.evil.smudge", "filter.evil.process")


def booby_trap(scene: Scene, canary: Path, keys: tuple[str, ...], attributes: str) -> None:
    """Every key, hook and attribute that could make git start this program."""
    program = canary.with_name("evil")
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {canary}\ncat\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    hooks = canary.with_name("hooks")
    hooks.mkdir()
    for name in HOOKS:
        for folder in (hooks, scene.folder / ".git" / "hooks"):
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(f"#!/bin/sh\necho {name} >> {canary}\n", encoding="utf-8")
            (folder / name).chmod(0o755)
    for key in keys:
        scene.git("config", key, f"{program} {key}")
    for key, value in {
        "core.hooksPath": str(hooks),
        "filter.evil.required": "true",
        "commit.gpgSign": "true",
        "log.showSignature": "true",
        "gpg.format": "ssh",
        "diff.trustExitCode": "true",
        "hook.evil.event": "reference-transaction",
        "url.ext::sh -c touch% " + str(canary) + ".insteadOf": "https://",
        "include.path": str(canary.with_name("included")),
        "user.signingKey": "key::ssh-ed25519 AAAA",
    }.items():
        scene.git("config", key, value)
    canary.with_name("included").write_text(f"[core]\n\tpager = {program}\n", encoding="utf-8")
    info = scene.folder / ".git" / "info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_text(attributes, encoding="utf-8")


def trapped(tmp_path: Path, *, checked_out: bool) -> tuple[Scene, Path]:
    """A repository with every trap, a run before its landing, and main moved on meanwhile."""
    attributes = f"* {_attributes(checked_out=checked_out)}\n"
    text = changed(BACKLOG, "`docs/**`", "`docs/**`, `README.md`")
    text = changed(
        text, "echo hello > docs/guide.md", "echo hello > docs/guide.md; echo z >> README.md"
    )
    readme = "".join(f"line {number}\n" for number in range(30))
    scene = begin_scene(
        tmp_path / "repo", files={".gitattributes": attributes, "README.md": readme}, backlog=text
    )
    canary = tmp_path / "canary"
    if not checked_out:
        scene.git("switch", "--quiet", "--create", "elsewhere")
    keys = KEYS if checked_out else (*KEYS, *FILTERS)
    booby_trap(scene, canary, keys, attributes)
    return scene, canary


def _attributes(*, checked_out: bool) -> str:
    return "diff=evil merge=evil" if checked_out else "diff=evil merge=evil filter=evil"


@pytest.mark.parametrize("checked_out", [True, False])
def test_nothing_in_the_repositorys_configuration_is_run(tmp_path: Path, checked_out: bool) -> None:
    """From the first tick to a landing that merges with what main became, in a trapped repository.

    The filters of the person's own checkout are the one thing that may run, when files of theirs
    are written: so they are no traps where main is checked out.
    """
    scene, canary = trapped(tmp_path, checked_out=checked_out)
    scene.tick()
    assert not canary.exists(), canary.read_text()
    answer = scene.answer()
    _as_the_person(scene, {**answer, "README.md": _first_line_changed(scene)})
    assert not canary.exists(), canary.read_text()
    report = scene.tick()
    assert not canary.exists(), canary.read_text()
    if report.ended == []:  # main changed a file of the run: asked again, as it must
        _as_the_person(scene, scene.answer())
        report = scene.tick()
    assert not canary.exists(), canary.read_text()
    assert [found for _, _, found in report.ended] == [CloseOutcome.PASS]
    assert scene.at_main("README.md").startswith("first\n")
    assert scene.at_main("README.md").endswith("\nz")
    assert [r.stage for r in scene.records() if isinstance(r, Finished)].count(Stage.BUILD) == 1


def test_the_traps_would_go_off(tmp_path: Path) -> None:
    """Ordinary git in the same repository runs them: the canary is not dead."""
    scene, canary = trapped(tmp_path, checked_out=False)
    subprocess.run(
        ["git", "status"], cwd=scene.folder, check=False, capture_output=True, timeout=30
    )
    assert "core.fsmonitor" in canary.read_text()
    canary.unlink()
    subprocess.run(
        ["git", "update-ref", "refs/x/y", "HEAD"], cwd=scene.folder, check=False, timeout=30
    )
    assert "reference-transaction" in canary.read_text()


def _first_line_changed(scene: Scene) -> str:
    return scene.at_main("README.md").replace("line 0\n", "first\n") + "\n"


def _as_the_person(scene: Scene, files: Mapping[str, bytes | str]) -> None:
    """A commit on main by plumbing without any of the traps, brought to the checkout by hand."""
    bare = tuple(
        part
        for key in ("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=")
        for part in ("-c", key)
    )
    git = scene.git
    index = scene.folder.parent / "index"
    index.unlink(missing_ok=True)
    environ = {
        **os.environ,
        "GIT_INDEX_FILE": str(index),
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_COMMITTER_EMAIL": EMAIL,
    }

    def run(*args: str, data: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *bare, *args],
            cwd=scene.folder,
            env=environ,
            input=data,
            capture_output=True,
            check=True,
            timeout=30,
        )
        return done.stdout.decode().strip()

    run("read-tree", "main")
    for path, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        blob = run("hash-object", "-w", "--stdin", "--no-filters", data=data)
        run("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        if git.folder.joinpath(".git", "HEAD").read_text().strip().endswith("/main"):
            target = scene.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    tree = run("write-tree")
    commit = run("commit-tree", tree, "-p", "main", "-m", "By hand")
    run("update-ref", "refs/heads/main", commit)
    if (scene.folder / ".git" / "HEAD").read_text().strip().endswith("/main"):
        environ.pop("GIT_INDEX_FILE")
        run("read-tree", "main")
