"""`lifeos init` proposes checks that are green on the first tick, with the Python that is there."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pydantic
import pytest

from conftest import Git

UNITTEST = "import unittest\n\nclass T(unittest.TestCase):\n    def test(self):\n        pass\n"
TASK = """\
## P1

- [ ] Say hello
  - scope: `docs/**`

  ```sh recipe
  mkdir -p docs && echo hello > docs/guide.md
  ```
"""


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with lifeos and what it needs, and without pytest."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, with_pip=False)
    source = Path(__file__).resolve().parents[2] / "src"
    inside = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    # Only what is not pytest: links to the packages, so that `import pytest` finds nothing.
    for entry in Path(pydantic.__file__).parent.parent.iterdir():
        if "pytest" not in entry.name.lower() and entry.suffix != ".pth":
            (inside / entry.name).symlink_to(entry)
    (inside / "lifeos-source.pth").write_text(f"{source}\n", encoding="utf-8")
    return str(folder / "bin" / "python")


def lifeos(python: str, folder: Path, *args: str) -> str:
    """What lifeos says under this Python."""
    done = subprocess.run(
        [python, "-m", "lifeos", *args],
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def commit(git: Git, folder: Path, path: str, text: str) -> None:
    (folder / path).write_text(text, encoding="utf-8")
    git("add", path)
    git("commit", "--quiet", f"--message=Change {path}")


@pytest.mark.parametrize("text", [UNITTEST, "def test():\n    assert True\n"])
def test_the_first_tick_is_not_red_without_pytest(
    repo: Path, git: Git, bare_python: str, text: str
) -> None:
    """Unittest is proposed where the tests are its own; else the check is left to be enabled."""
    commit(git, repo, "test_shop.py", text)
    commit(git, repo, "BACKLOG.md", TASK)
    said = lifeos(bare_python, repo, "init", "--commit")
    config = (repo / ".lifeos/config.yaml").read_text(encoding="utf-8")
    if text == UNITTEST:
        assert 'run: "python3 -m unittest discover"' in config
        assert "pytest -q --junitxml" not in said
    else:
        assert "only a comment in .lifeos/config.yaml: python3 -m pytest" in said
        assert f"why: {bare_python}, with which checks run, has no pytest" in said
        assert "  fix: install it there" in said
    commit(git, repo, ".lifeos/config.yaml", config.replace("sandbox: bwrap", "sandbox: none"))
    said = lifeos(bare_python, repo, "tick")
    assert "base_red" not in said
    assert "CEO_REVIEW" in said


def test_pytest_is_proposed_where_it_is(repo: Path, git: Git) -> None:
    """Also for tests that unittest could run: what is installed beside lifeos is meant."""
    commit(git, repo, "test_shop.py", UNITTEST)
    said = lifeos(sys.executable, repo, "init")
    assert "comment" not in said
    config = (repo / ".lifeos/config.yaml").read_text(encoding="utf-8")
    assert '\n    run: "python3 -m pytest -q --junitxml=.lifeos-junit.xml"\n' in config
