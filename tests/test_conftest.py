"""What the other tests stand on holds: the seal, git's fixed ids, and skips that CI refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conftest
from conftest import Git, require

#: What a developer's shell, a git hook and a CI runner put into the environment.
POLLUTION = {
    "CI": "true",
    "GIT_DIR": "/nowhere",
    "GIT_INDEX_FILE": "/nowhere/index",
    "GIT_CONFIG_COUNT": "1",
    "GITHUB_TOKEN": "canary",
    "OPENAI_API_KEY": "canary",
    "SSH_AUTH_SOCK": "/nowhere/socket",
    "XDG_CONFIG_HOME": "/nowhere/config",
    "EMAIL": "someone@example.invalid",
    "LIFEOS_ANYTHING": "canary",
}


def test_the_environment_is_sealed(sealed: Path) -> None:
    """Only what is listed is there, and the home is empty and this test's own."""
    kept = {name for name in os.environ if name not in conftest._sealed_values(sealed)}
    assert {name for name in kept if not name.startswith("PYTEST_")} <= set(conftest.KEPT)
    assert Path.home() == sealed
    assert list(sealed.iterdir()) == []
    assert not POLLUTION.keys() & os.environ.keys() - {"XDG_CONFIG_HOME"}
    assert os.environ["XDG_CONFIG_HOME"].startswith(str(sealed))


def test_the_seal_holds_where_it_is_needed(tmp_path: Path) -> None:
    """The test above, once more, started from a polluted environment."""
    # A base folder of its own: in the common one it would first delete what old sessions left.
    base = f"--basetemp={tmp_path / 'inner'}"
    again = f"{__file__}::{test_the_environment_is_sealed.__name__}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", base, again],
        env=os.environ | POLLUTION,
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_git_gives_the_same_ids_everywhere(repo: Path, git: Git) -> None:
    """Fixed names, dates and content: a test may name a commit."""
    assert git("rev-parse", "HEAD") == "6067d0b7e60eaa309c83b11fbefecf9f3372b0bf"
    assert git("status", "--porcelain", "--branch") == "## main"
    assert git("log", "--format=%an <%ae> %cn <%ce>") == " ".join(
        2 * [f"{conftest.NAME} <{conftest.EMAIL}>"]
    )
    assert (repo / "README.md").is_file()


def test_each_commit_is_later_than_the_one_before(git: Git) -> None:
    """So that an order by date is the order in which they were made."""
    for _ in range(3):
        git("commit", "--quiet", "--allow-empty", "--message=more")
    times = git("log", "--format=%ct").split()
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 4


def test_a_failing_git_fails_the_test(git: Git) -> None:
    """With what git said, so that nobody has to guess."""
    with pytest.raises(pytest.fail.Exception, match="nonsense"):
        git("rev-parse", "--verify", "nonsense")


@pytest.mark.parametrize(
    ("in_ci", "ends"), [(False, pytest.skip.Exception), (True, pytest.fail.Exception)]
)
def test_require_skips_for_people_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, in_ci: bool, ends: type[BaseException]
) -> None:
    """A skip in CI would be a test that never runs anywhere."""
    monkeypatch.setattr(conftest, "IN_CI", in_ci)
    require("a thing", present=True, how="-")
    # Both are caught: a skip that gets through would skip this test instead of failing it.
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception)) as caught:
        require("a thing", present=False, how="ask")
    assert caught.type is ends
    assert str(caught.value) == "needs a thing; to get it: ask"


@given(st.integers())
def test_properties_run_sealed_too(value: int) -> None:
    """Hypothesis refuses fixtures that are set up once for all its examples, but not this one."""
    assert os.environ["GIT_CONFIG_NOSYSTEM"] == "1"
    assert value == value.real


@given(st.integers(0, 12), st.integers(0, 40), st.integers(1, 6))
def test_every_worker_begins_with_heavy_tests_and_none_is_lost(
    heavy: int, others: int, workers: int
) -> None:
    """Each test once; in parts as large as xdist makes them, with the heavy ones first."""
    found = conftest.dealt(range(heavy), range(100, 100 + others), workers)
    assert sorted(found) == [*range(heavy), *range(100, 100 + others)]
    assert [one for one in found if one >= 100] == list(range(100, 100 + others))
    if others >= heavy * workers:
        for number in range(workers):
            left = len(found)
            size = left // (workers - number)
            part, found = found[:size], found[size:]
            assert part[: len(range(heavy)[number::workers])] == list(range(heavy)[number::workers])
