"""Every command that a document shows can be given, and every block of them is run.

A comment before a block says how: ``<!-- run: SCENE -->`` one line after the other in one
repository, ``<!-- run each: SCENE -->`` each line in a fresh one, ``<!-- not run: REASON -->``.
What stands for a name (Q-xxxxxxxx, R-xxxxxxxx, RUN, LO-7k2m4q ...) is what the scene has.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from command_line import TASK, Project, asking, fresh, project
from lifeos.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *(ROOT / "README.md", ROOT / "docs" / "reference" / "metrics.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("examples/*/README.md"),
    ]
)
OTHERS = {"tutorial.md": "tests/test_docs.py does what it says, from its first line to its last"}
"""Pages whose blocks are run elsewhere, by file name."""

_BLOCK = re.compile(
    r"(?:<!-- (?P<how>not run|run|run each): (?P<what>[^\n]*?) -->\n+)?"
    r"^(?P<fence>`{3,})(?P<kind>sh|console)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_FENCES = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(?:LIFEOS_\w+=\S+ )?(lifeos [^`]+)`")
_LIFEOS = re.compile(r"(?:^|[;&|] *)(lifeos .*)", re.DOTALL)
_STANDS_FOR = re.compile(r"\b(LO|Q|R)-(?:x{6,8}|7k2m4q|1tfxxmez|…)\b|\b(RUN|TASK|ITEM)\b")


@dataclass(frozen=True)
class Block:
    """A block of commands in a page: how it is run, and in which scene (or why not)."""

    page: str
    line: int
    how: str
    what: str
    commands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> Iterator[Block]:
    """All blocks that have a command of lifeos in them."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            lines = tuple(_commands(found["text"], console=found["kind"] == "console"))
            if any(line.startswith("lifeos ") for line in lines) and page.name not in OTHERS:
                yield Block(
                    page.relative_to(ROOT).as_posix(),
                    text.count("\n", 0, found.start("fence")) + 1,
                    found["how"] or "",
                    found["what"] or "",
                    lines,
                )


def _commands(text: str, *, console: bool) -> Iterator[str]:
    """The commands of a block: lines, or what follows a prompt. Words in quotes may go on."""
    kept = ""
    for line in text.splitlines():
        if console and not kept:
            if not line.startswith("$ "):
                continue
            line = line.removeprefix("$ ")  # noqa: PLW2901  the prompt is not part of it
        kept = f"{kept}\n{line}" if kept else line
        try:
            shlex.split(kept, comments=True)
        except ValueError:
            continue  # a quote is still open
        if shlex.split(kept, comments=True):
            yield kept
        kept = ""


BLOCKS = tuple(blocks())


def shown() -> Iterator[tuple[str, str]]:
    """Every command of lifeos that a page shows, in a block or within a line, with its page."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(ROOT).as_posix()
        yield from ((name, found[1]) for found in _INLINE.finditer(_FENCES.sub("", text)))
        for block in _BLOCK.finditer(text):
            for line in _commands(block["text"], console=block["kind"] == "console"):
                found = _LIFEOS.search(line)
                if found is not None:
                    yield name, found[1]


SHOWN = tuple(sorted(set(shown())))


# --- they can be given --------------------------------------------------------------------------


def _command(words: list[str]) -> tuple[Any, list[str]]:  # Any: click's own objects
    """What these words call, and the words that are left for it."""
    name, *rest = words
    module = import_module(f"lifeos.cli.{name}_command")
    app = typer.Typer()
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name)
    else:
        app.command(name=name)(module.command)
    app.command(name="unused", hidden=True)(_nothing)
    group: Any = get_command(app)
    found = group.commands[name]
    while rest and rest[0] in getattr(found, "commands", {}):
        found, rest = found.commands[rest[0]], rest[1:]
    return found, rest


def _nothing() -> None:
    """With a single command typer would make no group."""


def wrong(command: str) -> str:
    """Why this cannot be given, or ''. Alternatives (a|b) and ellipses are how pages shorten."""
    try:
        words = shlex.split(command.partition(";")[0], comments=True)[1:]
    except ValueError:
        return "a quote is not closed"
    if words[:1] == ["-C"]:
        words = words[2:]
    if not words or not re.fullmatch(r"[a-z]+", words[0]):
        return ""  # `lifeos …`, `lifeos --version`
    if words[0] not in COMMANDS:
        return f"there is no command {words[0]}"
    found, rest = _command(words)
    known = {name for one in found.params for name in (*one.opts, *one.secondary_opts)}
    known |= {"-h", "--help"}
    unknown = [word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
    lost = [word for word in unknown if word.strip("[]") not in known]
    return f"{' '.join(words)}: no option {', '.join(lost)}" if lost else ""


@pytest.mark.parametrize("page", sorted({page for page, _ in SHOWN}))
def test_every_command_that_is_shown_exists(page: str) -> None:
    """Its name, and each of its options."""
    problems = [wrong(command) for name, command in SHOWN if name == page]
    assert [problem for problem in problems if problem] == []


def test_a_command_that_does_not_exist_would_be_seen() -> None:
    """The test above can fail."""
    assert wrong("lifeos frobnicate")
    assert wrong("lifeos tick --sideways")
    assert not wrong("lifeos tick --jobs 4")


# --- they are run -------------------------------------------------------------------------------


def _landed(folder: Path) -> Project:
    scene = asking(folder)
    scene.cli("approve", scene.item().id)
    scene.cli("tick")
    return scene


SCENES: Mapping[str, Callable[[Path], Project]] = {
    "before the first tick": fresh,
    "a question is open": asking,
    "the work has landed": _landed,
}


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_says_how_it_is_run(block: Block) -> None:
    """In a scene that there is; or why it is not run, in words."""
    assert block.how, f"{block}: say <!-- run: SCENE -->, or <!-- not run: REASON -->"
    if block.how == "not run":
        assert len(block.what.split()) > 3, f"{block}: why not?"
    else:
        assert block.what in SCENES, f"{block}: there is no such scene: {sorted(SCENES)}"


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.how.startswith("run")], ids=str)
def test_every_block_does_what_it_shows(block: Block, tmp_path: Path) -> None:
    """Each of its lines ends with 0."""
    scenes = (
        # Beside this test's own folder, which is gone when it ends: the template is for all.
        project(
            tmp_path.with_name(f"{tmp_path.name}-{number}"),
            f"docs-{block.what}",
            SCENES[block.what],
        )
        for number in range(len(block.commands))
    )
    here = next(scenes)
    for number, line in enumerate(block.commands):
        if number and block.how == "run each":
            here = next(scenes)
        _run(here, line, str(block))


def _run(here: Project, line: str, where: str) -> None:
    command = _STANDS_FOR.sub(lambda found: _name(here, found), line)
    program = here.folder.parent / "bin"
    program.mkdir(exist_ok=True)
    (program / "lifeos").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lifeos "$@"\n')
    (program / "lifeos").chmod(0o755)
    moment = f"{here.now + 1000} +0000"
    ended = subprocess.run(
        ["sh", "-eu", "-c", command],
        cwd=here.folder,
        env={
            **os.environ,
            "PATH": f"{program}:{os.environ['PATH']}",
            "GIT_AUTHOR_DATE": moment,
            "GIT_COMMITTER_DATE": moment,
        },
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, f"{where}: {command}\n{ended.stdout}{ended.stderr}"


def _name(here: Project, found: re.Match[str]) -> str:
    snapshot = here.snapshot()
    match found[1] or {"RUN": "R", "TASK": "LO", "ITEM": "Q"}[found[2]]:
        case "LO":
            return TASK
        case "Q":
            return next(iter(snapshot.items))
        case _:
            shown = here.cli("show", TASK, "--json")
            return str(shown.data["run"])
