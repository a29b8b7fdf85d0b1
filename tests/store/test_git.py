"""Running git: what reaches it, what comes back, and that nothing it started is left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from lifeos.errors import UsageError
from lifeos.store.git import Git, GitError, GitTimeout, SessionDied, clean_text


def test_every_process_is_announced_before_and_after(repo: Path) -> None:
    events: list[str] = []
    Git(repo / ".git", trace=events.append).run("rev-parse", "HEAD")
    assert events == ["git:before:rev-parse", "git:after:rev-parse"]


def test_inherited_git_variables_do_not_lead_elsewhere(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook's GIT_DIR and GIT_INDEX_FILE must not redirect lifeos."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "nowhere"))
    assert Git(repo / ".git").run("cat-file", "-t", "HEAD") == b"commit\n"


def test_an_unexpected_status_raises_with_what_git_said(repo: Path) -> None:
    with pytest.raises(GitError) as caught:
        Git(repo / ".git").run("rev-parse", "--verify", "refs/heads/none")
    assert caught.value.status == 128
    assert caught.value.argv[0] == "rev-parse"
    assert "fatal" in caught.value.stderr


def test_an_expected_status_does_not_raise(repo: Path) -> None:
    assert Git(repo / ".git").run("config", "--get", "no.such", ok=(0, 1)) == b""


def test_a_missing_git_is_named(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="git is not installed"):
        Git(repo / ".git").run("version")


def test_after_the_deadline_the_whole_group_is_dead(repo: Path, tmp_path: Path) -> None:
    """Git's own children too: a sleeping child of an alias would otherwise live on."""
    marker = tmp_path / "pid"
    git = Git(repo / ".git", timeout=0.5)
    alias = f"alias.hang=!sh -c 'echo $$ > {marker}; exec sleep 60'"
    with pytest.raises(GitTimeout):
        git.run("-c", alias, "hang")
    child = int(marker.read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        if " Z " in Path(f"/proc/{child}/stat").read_text():
            break
        time.sleep(0.01)
    else:
        assert not Path(f"/proc/{child}").exists()


def test_a_session_that_dies_says_why(repo: Path) -> None:
    session = Git(repo / ".git").session("update-ref", "--stdin")
    session.send(b"nonsense\n")
    with pytest.raises(SessionDied, match="unknown command"):
        session.line()
    session.close()


def test_a_session_without_an_answer_is_killed(repo: Path) -> None:
    session = Git(repo / ".git", timeout=0.3).session("cat-file", "--batch")
    with pytest.raises(GitTimeout):
        session.line()
    with pytest.raises(ProcessLookupError):
        os.kill(session.pid, 0)
    session.close()


def test_closing_a_session_ends_its_process(repo: Path) -> None:
    session = Git(repo / ".git").session("cat-file", "--batch")
    session.close()
    with pytest.raises(ProcessLookupError):
        os.kill(session.pid, signal.SIGCONT)


def test_text_of_programs_is_safe_to_show() -> None:
    """No terminal escapes, no bidi tricks, no credentials, no floods."""
    text = clean_text(b"\x1b[31mfatal\x07 https://me:secret@host/x \xe2\x80\xae" + b"y" * 5000)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "secret" not in text
    assert "https://***@host/x" in text
    assert len(text) < 2100
