"""The demo's story: real commands in a real repository, told to somebody who knows nothing yet."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from lifeos.cli.frame import colours
from lifeos.cli.paint import paint
from lifeos.errors import Failed
from lifeos.store.scratch import as_run, as_shown, environment

_SECONDS = 120.0
"""More than any command here needs."""
_OUTPUT = 1 << 20

_CODE = '''"""Say hello."""


def greeting(name: str) -> str:
    """A greeting for somebody."""
    return "Hello, " + name + "!"
'''
_TESTS = '''"""Run with: python3 -m unittest checks"""

import unittest

from greet import greeting


class Greeting(unittest.TestCase):
    def test_it_names_whom_it_greets(self) -> None:
        self.assertEqual(greeting("Ada"), "Hello, Ada!")
'''
_PROOF = "from greet import greeting; assert greeting('') == 'Hello, stranger!'"
_TASK = f"""# Backlog

## P0

- [ ] Greet people who give no name #greeting
  - scope: `greet.py`
  - risk: low

  An empty name makes "Hello, !", which looks broken.

  ```sh recipe
  sed -i.old 's/+ name +/+ (name or "stranger") +/' greet.py
  rm greet.py.old
  ```

  Acceptance:
  - [ ] a nameless guest is a stranger: `python3 -c "{_PROOF}"`
"""
_CHECKS = """checks:
  - name: tests
    run: python3 -m unittest checks
    kind: test
    pinned: [checks.py]
"""
_SHOWN = 34
"""Lines of a long file that are shown."""


class Tour:
    """One demo. ``steps`` are the commands so far, with exit code and seconds."""

    def __init__(self, folder: Path, output: TextIO) -> None:
        self.project = folder / "hello"
        self.home = folder / "home"
        self.output = output
        self.steps: list[tuple[str, int, float]] = []

    def walk(self) -> None:
        """Show everything. Raises ``Failed`` when a command does not do what it should."""
        self._project()
        self._rules()
        self._task()
        item = self._first_tick()
        self._decision(item)
        self._landing()
        self._proof()

    # --- the story --------------------------------------------------------------------------

    def _project(self) -> None:
        self.home.mkdir(parents=True)
        self.project.mkdir()
        self._say("1. A small project: one function and its tests, in git.")
        self._write("greet.py", _CODE)
        self._write("checks.py", _TESTS)
        self._git("init", "--quiet", "--initial-branch=main", quiet=True)
        self._git("config", "user.name", "You", quiet=True)
        self._git("config", "user.email", "you@example.org", quiet=True)
        self._git("add", "greet.py", "checks.py", quiet=True)
        self._git("commit", "--quiet", "--message=A greeting", quiet=True)
        self._git("log", "--oneline", "--stat")

    def _rules(self) -> None:
        self._say(
            "2. lifeos writes its rules into the repository. They are yours to read and change:",
            "   what may be spent, what an agent may touch, who approves, which checks count.",
        )
        self._lifeos("init", "--commit")
        self._say("   The checks that judge the work are commands of the project:")
        config = self._read(".lifeos/config.yaml").replace("checks: []\n", _CHECKS)
        unsafe = self._no_sandbox()
        if unsafe:
            config = config.replace("sandbox: bwrap", "sandbox: none")
        self._write(".lifeos/config.yaml", config)
        self._quote(_CHECKS)
        if unsafe:
            self._say(
                f"   No sandbox works on this machine ({unsafe}), so this demo goes without",
                "   one: what runs here is only what you can read below. See: lifeos doctor",
            )
        self._git("commit", "--quiet", "--all", "--message=Check with the project's own tests")

    def _task(self) -> None:
        self._say(
            "3. You write down what you want. A task may spell out how (a recipe), and then needs",
            "   no model; else a coding agent does the designing, building and reviewing.",
        )
        self._write("BACKLOG.md", _TASK)
        self._quote(_TASK)
        self._git("commit", "--quiet", "--all", "--message=Ask for it")

    def _first_tick(self) -> str:
        self._say("4. One tick carries the task as far as it may go without you.")
        self._lifeos("tick")
        pending = sorted(self.project.glob(".lifeos/queue/Q-*.md"))
        if len(pending) != 1:
            raise Failed(f"the tick opened {len(pending)} questions, not one", "lifeos show")
        name = pending[0].relative_to(self.project).as_posix()
        if 'kind: "stage_review"' not in self._read(name):
            raise Failed("the tick asks something else than whether to land", f"read {name}")
        self._say("   It stopped: landing work is yours to decide. The question is a file:")
        self._show_file(name)
        return pending[0].stem

    def _decision(self, item: str) -> None:
        self._say("5. You look at the work and decide. The answer is a commit in your name.")
        run = self._git("for-each-ref", "--format=%(refname)", "refs/lifeos/run", quiet=True)
        self._git("show", "--stat", "--patch", "--format=%s", run.strip())
        self._lifeos("approve", item)

    def _landing(self) -> None:
        self._say("6. The next tick takes the answer, lands the work, and marks the task done.")
        self._lifeos("tick")
        self._git("log", "--graph", "--oneline", "main")
        if 'name or "stranger"' not in self._read("greet.py"):
            raise Failed("the work did not land", "lifeos show")
        if "- [x]" not in self._read("BACKLOG.md"):
            raise Failed("the task was not marked as done", "lifeos show")

    def _proof(self) -> None:
        self._say(
            "7. Everything that happened is on a branch of its own, one commit a step: a",
            "   database that you can read, push and clone. No server, no other place.",
        )
        self._git("log", "--format=%s", "--reverse", "lifeos/ledger")
        self._say("   The evidence of the run, its packet, is there too:")
        task = self._read("BACKLOG.md").split("**")[1]
        self._lifeos("show", task, "--packet", most=17)
        self._say("8. And anybody with a clone can check it: every decision is taken again.")
        self._lifeos("verify")

    # --- how it is told ---------------------------------------------------------------------

    def _say(self, *lines: str) -> None:
        self.output.write("\n")
        for line in lines:
            self.output.write(f"{paint(line, 'bold')}\n")
        self.output.flush()

    def _quote(self, text: str) -> None:
        self.output.write("\n")
        self.output.write("".join(f"    {line}".rstrip() + "\n" for line in text.splitlines()))
        self.output.flush()

    def _show_file(self, name: str) -> None:
        self._echo(f"head -n {_SHOWN} {name}")
        self._quote("\n".join(self._read(name).splitlines()[:_SHOWN]))

    def _echo(self, line: str) -> None:
        self.output.write(f"\n{paint('$', 'green')} {paint(line, 'bold')}\n")
        self.output.flush()

    def _lifeos(self, *args: str, most: int = 0) -> None:
        shown = _as_typed(("lifeos", *args))
        self._echo(f"{shown} | head -n {most}" if most else shown)
        self._run(shown, (sys.executable, "-m", "lifeos", *args), most=most)

    def _git(self, *args: str, quiet: bool = False) -> str:
        shown = _as_typed(as_shown(args))
        if not quiet:
            self._echo(shown)
        return self._run(shown, as_run(args, colour=colours()), quiet=quiet)

    def _run(self, shown: str, argv: Sequence[str], *, quiet: bool = False, most: int = 0) -> str:
        from lifeos.process import run

        def pass_on(chunk: bytes) -> None:
            self.output.write(chunk.decode("utf-8", "replace"))
            self.output.flush()

        began = time.monotonic()
        ended = run(
            argv,
            cwd=self.project,
            env=environment(dict(os.environ), str(self.home)),
            seconds=_SECONDS,
            output_limit=_OUTPUT,
            on_output=None if quiet or most else pass_on,
        )
        self.steps.append((shown, ended.status, time.monotonic() - began))
        text = ended.out.decode("utf-8", "replace")
        if most and ended.ok:
            self._quote("\n".join(text.splitlines()[:most]))
        if not ended.ok:
            said = ended.err.decode("utf-8", "replace").strip().replace("\n", "\n  ")
            raise Failed(f"`{shown}` ended with {ended.status}: {said}", "lifeos doctor")
        return text

    def _no_sandbox(self) -> str:
        """Why no sandbox works here; '' if one does."""
        from lifeos.sandbox import choose

        problem = choose("bwrap").available()
        return problem.message.split("\n", 1)[0] if problem else ""

    def _write(self, name: str, text: str) -> None:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _read(self, name: str) -> str:
        return (self.project / name).read_text(encoding="utf-8")


def _as_typed(argv: Sequence[str]) -> str:
    """A command as a person would type it: an option's value is quoted, not the option."""
    words = []
    for word in argv:
        option, equals, value = word.partition("=")
        if equals and word.startswith("--"):
            quoted = f'"{value}"' if "'" in value else shlex.quote(value)
            words.append(f"{option}={quoted}")
        else:
            words.append(shlex.quote(word))
    return " ".join(words)
