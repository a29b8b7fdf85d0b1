"""A repository with lifeos in it, driven by the real loop: what tests of the whole tick stand on.

A scene is made once, up to the point that a test begins at, and copied for each test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import EMAIL, EPOCH, NAME, Git
from lifeos.core.answers import answer_path, answer_text
from lifeos.core.policy import FILES
from lifeos.core.records import AnyRecord
from lifeos.core.state import Item, Run, Snapshot
from lifeos.governance import load_set
from lifeos.initial import render_init
from lifeos.model import Decision
from lifeos.process import untraced
from lifeos.store.entries import read_entries
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.begin import begin
from lifeos.tick.context import Context, Limits, World
from lifeos.tick.loop import Tick
from lifeos.tick.report import Report

TASK = "LO-aaaaaa"
BACKLOG = """\
# Backlog

## P0

- [ ] **LO-aaaaaa** Say hello in the guide #docs
  - scope: `docs/**`
  - risk: low

  Acceptance:
  - [ ] it says hello: `grep -q hello docs/guide.md`

  ```sh recipe
  mkdir -p docs && echo hello > docs/guide.md
  ```
"""

Settings = Mapping[str, object]
"""New values of settings, by file and path in it: ``{"loop.budgets.diff_lines": 1}``."""

NO_SETTINGS: Settings = {}


def changed(text: str, old: str, new: str) -> str:
    """``text`` with the one ``old`` in it replaced; a test must not silently change nothing."""
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)


@dataclass
class Scene:
    """One repository, and the time in it. Each look at the clock takes a second."""

    folder: Path
    now: int = EPOCH + 10_000
    nonces: int = 0
    environ: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def git(self) -> Git:
        """Git here, later than everything before."""
        self.now += 100
        runner = Git(self.folder)
        runner.now = self.now
        return runner

    def copy(self, to: Path) -> Scene:
        """The same repository in another folder; its index is told that the files are the same."""
        shutil.copytree(self.folder, to, symlinks=True)
        subprocess.run(["git", "status"], cwd=to, check=True, capture_output=True)
        return Scene(to, self.now, self.nonces, dict(self.environ))

    # --- the person ---------------------------------------------------------------------------

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files of the work tree; None removes one."""
        for name, data in files.items():
            target = self.folder / name
            if data is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data.encode() if isinstance(data, str) else data)

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        *options: str,
        author: str = EMAIL,
        committer: str = EMAIL,
        before: tuple[str, ...] = (),
    ) -> str:
        """Commit these files, and nothing else, as somebody. The commit."""
        self.write(files)
        git = self.git
        if files:
            git("add", "--all", "--", *files)
        self.as_somebody(author, committer, *before)(
            "commit", "--quiet", "--allow-empty", "--message=A change", *options
        )
        return git("rev-parse", "HEAD")

    def as_somebody(self, author: str, committer: str, *before: str) -> Callable[..., str]:
        """Git whose commits are by this author and committer; ``before``: options of git itself."""
        self.now += 100

        def run(*args: str) -> str:
            names = {
                "GIT_AUTHOR_EMAIL": author,
                "GIT_COMMITTER_EMAIL": committer,
                "GIT_AUTHOR_DATE": f"{self.now} +0000",
                "GIT_COMMITTER_DATE": f"{self.now} +0000",
            }
            done = subprocess.run(
                ["git", *before, *args],
                cwd=self.folder,
                env=os.environ | names,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            if done.returncode != 0:
                pytest.fail(f"git {args}: exit {done.returncode}\n{done.stderr}{done.stdout}")
            return done.stdout.removesuffix("\n")

        return run

    def edit(self, path: str, old: str, new: str) -> dict[str, str]:
        """A file of the work tree with one thing in it replaced, to be committed."""
        text = (self.folder / path).read_text(encoding="utf-8")
        return {path: changed(text, old, new)}

    def answer(
        self, decision: Decision = Decision.APPROVE, comment: str = "", item: Item | None = None
    ) -> dict[str, bytes]:
        """The file of the right answer to the open item."""
        found = item or self.item()
        return {answer_path(found.id): answer_text(found.id, decision, found.subject, comment)}

    # --- lifeos -------------------------------------------------------------------------------

    def clock(self) -> float:
        """A second later at each look."""
        self.now += 1
        return self.now

    def nonce(self) -> str:
        """Another one each time."""
        self.nonces += 1
        return f"{self.nonces:032x}"

    def tick(
        self,
        limits: Limits | None = None,
        trace: Callable[[str], None] | None = None,
        watch: Callable[[str], None] | None = None,
    ) -> Report:
        """One tick, as the command does it."""

        def progress(line: str) -> None:
            self.said.append(line)
            if watch is not None:
                watch(line)

        world = World(
            clock=self.clock,
            nonce=self.nonce,
            environ={**os.environ, **self.environ},
            progress=progress,
            trace=trace or untraced,
        )
        with Repo.open(self.folder, *((trace,) if trace else ())) as repo:
            ledger = Ledger.open(repo) or begin(repo, world)
            return Tick(Context(repo, ledger, world, limits or Limits())).run()

    def snapshot(self) -> Snapshot:
        """What is open, as the ledger says."""
        with Repo.open(self.folder) as repo:
            ledger = Ledger.open(repo)
            return ledger.snapshot if ledger else Snapshot()

    def item(self) -> Item:
        """The only open item."""
        (item,) = self.snapshot().items.values()
        return item

    def run(self) -> Run:
        """The only open run."""
        (run,) = self.snapshot().runs.values()
        return run

    def tip(self) -> str:
        """The commit that the ledger is at."""
        return self.git("rev-parse", "refs/heads/lifeos/ledger")

    def records(self, since: str = "") -> list[AnyRecord]:
        """The records of the ledger, or those after a commit of it."""
        with Repo.open(self.folder) as repo:
            tip = repo.refs.read("refs/heads/lifeos/ledger")
            if tip is None:
                return []
            return [entry.record for entry in read_entries(repo, tip, since or None)]

    def at_main(self, path: str) -> str:
        """A file of main; fails the test where it is not there."""
        return self.git("show", f"main:{path}")

    def on_main(self, path: str) -> bool:
        """Whether main has this path."""
        return bool(self.git("ls-tree", "--name-only", "main", "--", path))


def begin_scene(
    folder: Path,
    settings: Settings = NO_SETTINGS,
    files: Mapping[str, str | bytes] | None = None,
    backlog: str = BACKLOG,
    email: str = EMAIL,
) -> Scene:
    """A repository with governance on main, before the first tick.

    It has the defaults of `init` and these ``settings``. The sandbox is off unless they say so:
    what is tested here is the loop, and the recipe agent may run without.
    """
    folder.mkdir(parents=True)
    scene = Scene(folder)
    scene.git("init", "--quiet", "--initial-branch=main")
    scene.git("config", "user.name", NAME)
    scene.git("config", "user.email", email)
    written: dict[str, str | bytes] = dict(render_init(NAME, email, "main", ()))
    rules = governance_with({"config.sandbox": "none", **settings}, email)
    written |= {**rules, "BACKLOG.md": backlog, "README.md": "# A project\n", **(files or {})}
    scene.commit(written, author=email, committer=email)
    return scene


def governance_with(settings: Settings, email: str = EMAIL) -> dict[str, str]:
    """The files of the rules that these settings are in, with all other values as by default."""
    defaults = load_set(render_init(NAME, email, "main", ())).governance
    assert defaults is not None
    values = json.loads(defaults.model_dump_json())
    for name, value in settings.items():
        *groups, key = name.split(".")
        place = values
        for group in groups:
            place = place[group]
        assert key in place, name
        place[key] = value
    changed_files = {name.partition(".")[0] for name in settings}
    paths = {path.rpartition("/")[2].removesuffix(".yaml"): path for path in FILES}
    return {paths[name]: f"{json.dumps(values[name], indent=1)}\n" for name in changed_files}
