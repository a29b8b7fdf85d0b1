"""The board says what the status says; ``--watch`` shows what happens while it happens."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from command_line import TASK, Project, asking, fresh, project
from lifeos.cli.watching import fitted

MORE = """
- [ ] **LO-bbbbbb** Needs the first
  - depends: LO-aaaaaa
- [x] **LO-cccccc** Done by hand
- [-] **LO-dddddd** Not wanted
- [!] **LO-eeeeee** Blocked by hand
- [ ] **LO-ffffff** Free
  - scope: `src/**`
"""
PATIENCE = 90
"""Seconds after which something that does not come fails the test."""


@pytest.fixture
def first(tmp_path: Path) -> Project:
    """A project with one task, before the first tick."""
    return project(tmp_path, "fresh", fresh)


@pytest.fixture
def asked(tmp_path: Path) -> Project:
    """A project whose only question is whether to land the work."""
    return project(tmp_path, "asking", asking)


def board(scene: Project) -> dict[str, list[str]]:
    """The tasks of each column that has any."""
    data = scene.cli("board", "--json").data
    lanes = {
        one["column"]: [card["task"] for card in one["cards"]] for one in data["board"]["lanes"]
    }
    assert data["counts"] == {column: len(cards) for column, cards in lanes.items()}
    return {column: cards for column, cards in lanes.items() if cards}


# --- what stands where --------------------------------------------------------------------------


def test_every_task_stands_in_one_column(first: Project) -> None:
    """By its mark, by what it waits for, and before the first tick too."""
    text = (first.folder / "BACKLOG.md").read_text(encoding="utf-8")
    first.commit({"BACKLOG.md": text + MORE})
    assert board(first) == {
        "waits": ["LO-bbbbbb"],
        "ready": [TASK, "LO-ffffff"],
        "blocked": ["LO-eeeeee"],
        "done": ["LO-cccccc"],
        "dropped": ["LO-dddddd"],
    }
    said = first.cli("board").out
    for line in ("BACKLOG 1", "READY 2", "RUNNING 0", "CEO 0", "BLOCKED 1", "DONE 1"):
        assert f"{line}\n" in said
    assert "waits for LO-aaaaaa" in said
    assert "no ledger yet; 1 cancelled or rejected" in said


def test_it_says_what_the_status_says(asked: Project) -> None:
    """The same questions, the same commits; what was answered lands, and is done."""
    status = asked.cli("status", "--json").data
    item = asked.item()
    assert board(asked) == {"asks": [TASK]}
    data = asked.cli("board", "--json").data
    for name in ("main", "ledger", "transitions", "at", "branch", "waiting"):
        assert data[name] == status[name]
    said = asked.cli("board").out
    assert f"CEO 1\n  {item.id} {TASK}  Say hello in the guide  stage_review\n" in said
    assert said.endswith(f"next: lifeos queue show {item.id}\n")
    asked.cli("approve", TASK)
    assert "stage_review (answered)" in asked.cli("board").out
    asked.tick()
    assert board(asked) == {"done": [TASK]}
    assert f"DONE 1\n  {TASK}  Say hello in the guide  landed " in asked.cli("board").out


def test_what_a_person_refused_is_no_longer_in_the_queue(asked: Project) -> None:
    """It is dropped, and neither asks nor waits for anybody."""
    asked.cli("reject", TASK, "-m", "not now")
    asked.tick()
    assert board(asked) == {"dropped": [TASK]}


def test_the_kill_switch_stands_above_everything(first: Project) -> None:
    """As in the status."""
    first.cli("stop")
    assert first.cli("board").out.startswith("STOPPED")


# --- watching -----------------------------------------------------------------------------------


@contextmanager
def watching(scene: Project, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until it is interrupted; it is killed when nothing comes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lifeos", *args],
        cwd=scene.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    try:
        yield process
    finally:
        late.cancel()
        process.kill()
        process.communicate()


def until(lines: IO[str] | None, end: Callable[[str], bool]) -> list[str]:
    """The lines up to one that is the end."""
    assert lines is not None
    found: list[str] = []
    for line in lines:
        found.append(line.rstrip("\n"))
        if end(line):
            return found
    pytest.fail(f"it ended before that came: {found}")


@pytest.mark.parametrize("command", ["status", "board"])
def test_elsewhere_than_on_a_terminal_each_change_is_a_line(first: Project, command: str) -> None:
    """Each transition once and in order, what else changes too; Ctrl-C ends it with 130."""
    with watching(first, command, "--watch") as process:
        page = until(process.stdout, lambda line: line.startswith("next: "))
        assert "LO-aaaaaa" in "\n".join(page) or command == "status"
        first.tick()
        told = until(process.stdout, lambda line: ": stage_review" in line)
        subjects = first.git("log", "--reverse", "--format=%s", "lifeos/ledger").splitlines()
        seen = [line.split("  ", 2)[2] for line in told if re.match(r"\d{4}-\d\d-\d\d ", line)]
        assert seen == subjects
        (first.folder / ".lifeos/STOP").write_text("")
        until(process.stdout, lambda line: line.startswith("stopped: "))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_on_a_terminal_the_page_is_drawn_again(asked: Project) -> None:
    """What was there before is gone from the screen; Ctrl-C ends it with 130."""
    with terminal(asked, "board", "--watch") as (process, seen):
        seen("CEO 1")
        asked.cli("approve", TASK)
        asked.tick()
        shown = seen("DONE 1")
        assert "CEO 0" in shown
        assert shown.rindex("\x1b[H") > shown.index("CEO 1")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 130


@contextmanager
def terminal(
    scene: Project, *args: str
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], str]]]:
    """A command on a terminal of its own; ``seen`` waits until a text was written there."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lifeos", *args],
        cwd=scene.folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "COLUMNS": "130", "LINES": "30", "TERM": "xterm"},
    )
    os.close(slave)
    written = ""

    def seen(text: str) -> str:
        nonlocal written
        deadline = time.monotonic() + PATIENCE
        while text not in written:
            ready, _, _ = select.select([master], [], [], 1)
            if ready:
                written += os.read(master, 65536).decode("utf-8", "replace")
            if time.monotonic() > deadline:
                pytest.fail(f"{text!r} does not come; there was {written[-3000:]}")
        return written

    try:
        yield process, seen
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_watching_is_for_people(first: Project) -> None:
    """A program is told to ask once."""
    for command in ("status", "board"):
        assert "--watch is for people" in first.cli(command, "--watch", "--json", code=2).err


def test_a_page_is_cut_to_the_terminal() -> None:
    """More would scroll, and the next page would be drawn over half of it."""
    page = "\n".join(f"line {number} is long" for number in range(10))
    assert fitted(page, 6, 3) == "line 0\nline 1\n... 8 "
    assert fitted(page, 80, 10) == page
    assert Counter(fitted(page, 80, 4).split("\n"))["... 7 more lines"] == 1
