"""The documents say what is so: generated pages, links, and every command of the tutorial."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from conftest import require

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/reference/*.md"),
        *ROOT.glob("examples/**/README.md"),
    ]
)
_FENCE = re.compile(r"^(`{3,})(.*?)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)


def _builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_what_the_code_says() -> None:
    """A page that was edited by hand, or not written again, is named."""
    for name, text in _builder().pages().items():
        committed = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        assert committed == text, f"docs/reference/{name} is stale: run python docs/build.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of every page names a file that is there."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


class Reader:
    """Somebody who does what the tutorial says, one block after the other."""

    def __init__(self, home: Path) -> None:
        self.folder = home
        # One person, on their own machine, with lifeos on the PATH.
        wrapper = home / "bin"
        wrapper.mkdir()
        program = wrapper / "lifeos"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lifeos "$@"\n')
        program.chmod(0o755)
        self.env = {**os.environ, "PATH": f"{wrapper}:{os.environ['PATH']}"}
        for name in [name for name in self.env if name.startswith("GIT_")]:
            if "AUTHOR" in name or "COMMITTER" in name:
                del self.env[name]

    def shell(self, commands: str) -> str:
        """Run a block; each command must succeed. What it printed."""
        item = next(self.folder.glob(".lifeos/queue/Q-*.md"), None)
        commands = commands.replace("Q-xxxxxxxx", item.stem if item else "Q-xxxxxxxx")
        backlog = self.folder / "BACKLOG.md"
        found = re.search(r"\*\*(LO-\w+)\*\*", backlog.read_text()) if backlog.exists() else None
        commands = commands.replace("LO-xxxxxx", found[1] if found else "LO-xxxxxx")
        ended = subprocess.run(
            ["sh", "-eu", "-c", f"{commands}\npwd > '{self.env['HOME']}/where'"],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, f"{commands}\n{ended.stdout}\n{ended.stderr}"
        self.folder = Path(Path(self.env["HOME"], "where").read_text().strip())
        return ended.stdout + ended.stderr

    def put(self, language: str, text: str) -> None:
        """Write what a block shows into the file that the tutorial names."""
        if language == "yaml":
            config = self.folder / ".lifeos" / "config.yaml"
            proposed = re.compile(r"^checks:\n(?:  .*\n)+", re.MULTILINE)
            changed, count = proposed.subn(lambda _: text, config.read_text())
            assert count == 1
            config.write_text(changed)
        elif language == "markdown":
            backlog = self.folder / "BACKLOG.md"
            backlog.write_text(backlog.read_text().replace("## P0\n", f"## P0\n\n{text}", 1))


@pytest.mark.sandbox
def test_the_tutorial_does_what_it_says(tmp_path: Path, sealed: Path) -> None:
    """From an empty folder to a landed change, with nothing but the tutorial's own blocks."""
    require("git", present=True, how="install git")
    reader = Reader(tmp_path)
    reader.env["HOME"] = str(sealed)
    said = ""
    for _, language, text in _FENCE.findall((ROOT / "docs" / "tutorial.md").read_text()):
        if language == "sh":
            said += reader.shell(text)
        else:
            reader.put(language, text)
    assert "waiting for the CEO" in said
    assert "good: the ledger is what it claims" in said
    assert "round(sum(prices), 2)" in (reader.folder / "shop.py").read_text()
    assert "- [x] **LO-" in (reader.folder / "BACKLOG.md").read_text()
    assert "nothing to do" in reader.shell("lifeos tick")
