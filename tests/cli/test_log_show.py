"""``lifeos log`` and ``lifeos show``: the story, and one thing of it on one screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifeos.core.canonical import sha256
from loop_scene import TASK, Scene
from told import asked, landed, lifeos


@pytest.fixture
def done(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run landed."""
    return landed(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


@pytest.fixture
def waiting(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run waits before its landing."""
    return asked(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


# --- log ----------------------------------------------------------------------------------------


def test_log_is_the_ledger_newest_first(done: Scene) -> None:
    """The same commits in the same order as git has them, with their subjects."""
    data = lifeos(done.folder, "log", "-n", "0", "--json").data("log")
    shown = [one["commit"] for one in data["transitions"]]
    assert shown == done.git("rev-list", "lifeos/ledger").split()
    assert data["transitions"][0]["subject"].startswith("close R-")
    assert not data["more"]
    lines = lifeos(done.folder, "log", "-n", "3").out.splitlines()
    assert [line.split()[2] for line in lines] == [commit[:7] for commit in shown[:3]]


def test_log_says_that_there_is_more(done: Scene) -> None:
    """A short list does not look like all there is; what is said of it is no data."""
    said = lifeos(done.folder, "log", "-n", "2")
    assert len(said.out.splitlines()) == 2
    assert "there is more" in said.err
    assert lifeos(done.folder, "log", "-n", "2", "--json").data("log")["more"]


def test_log_reverse_is_the_same_backwards(done: Scene) -> None:
    """As with git: the newest are chosen, then turned round."""
    forwards = lifeos(done.folder, "log", "-n", "4").out.splitlines()
    assert lifeos(done.folder, "log", "-n", "4", "--reverse").out.splitlines() == forwards[::-1]


@pytest.mark.parametrize("by", ["run", "task"])
def test_log_of_one_run_has_its_questions_and_answers(done: Scene, by: str) -> None:
    """An answer names only its item; it belongs to the run all the same. Genesis does not."""
    closed = lifeos(done.folder, "log", "-n", "1", "--json").data("log")["transitions"][0]
    name = closed["run"] if by == "run" else TASK
    data = lifeos(done.folder, "log", f"--{by}", name, "-n", "0", "--json").data("log")
    kinds = [one["kind"] for one in data["transitions"]]
    assert kinds.count("resolved") == kinds.count("held") == kinds.count("opened") == 1
    assert len(kinds) == len(done.git("rev-list", "lifeos/ledger").split()) - 1


def test_log_verbose_has_rule_and_comment(done: Scene) -> None:
    """Why things happened, in the words of those who decided."""
    out = lifeos(done.folder, "log", "--verbose").out
    assert "rule: success" in out
    assert "comment: it says hello, good" in out


@pytest.mark.parametrize("args", [("--run", "R-00000000"), ("--task", "LO-zzzzzz")])
def test_log_of_nothing_is_an_error(done: Scene, args: tuple[str, str]) -> None:
    """A misspelt name is not an empty story."""
    said = lifeos(done.folder, "log", *args)
    assert said.code == 2
    assert "fix: lifeos log" in said.err


def test_log_without_a_ledger(repo: Path) -> None:
    """The error names the next action."""
    said = lifeos(repo, "log")
    assert said.code == 2
    assert "lifeos init" in said.err


# --- show ---------------------------------------------------------------------------------------


def test_a_closed_run_by_any_name(done: Scene) -> None:
    """Its id, its task, the task's title, the commit that landed it, or just the last one."""
    data = lifeos(done.folder, "show", TASK, "--json").data("show")
    landing = done.git("rev-parse", "main")
    assert (data["state"], data["landed"]) == ("pass", landing)
    for names in ((data["run"],), ("Say hello in the guide",), (landing[:12],), ()):
        assert lifeos(done.folder, "show", *names, "--json").data("show") == data, names


def test_the_screen_of_a_closed_run(done: Scene) -> None:
    """What was asked, how it went, who decided, where it is, and what can be done now."""
    out = lifeos(done.folder, "show", TASK).out
    for wanted in (
        "Say hello in the guide",
        "outcome     pass",
        "docs/guide.md",
        "approve by person@example.invalid",
        "it says hello, good",
        "packet      git show lifeos/ledger:packets/",
        "lifeos revert R-",
    ):
        assert wanted in out
    assert out.count("advance") == 7


def test_the_commands_that_it_names_work(done: Scene) -> None:
    """A person pastes what a screen says."""
    data = lifeos(done.folder, "show", TASK, "--json").data("show")
    look = data["look"].split()
    assert "+hello" in done.git(*look[1:])
    assert "passed" in done.git("show", data["packet"])


def test_an_open_run_waits(waiting: Scene) -> None:
    """The state, the work so far, and the answer that is missing."""
    data = lifeos(waiting.folder, "show", "--json").data("show")
    item = waiting.item()
    assert (data["state"], data["stage"]) == ("held", "close")
    assert data["items"][0]["item"] == item.id
    assert data["items"][0]["decision"] is None
    assert f"lifeos approve {item.id}" in data["next"]
    assert "+hello" in waiting.git(*data["look"].split()[1:])


def test_one_attempt(done: Scene) -> None:
    """RUN:N and TASK:N are one attempt, with what it left."""
    data = lifeos(done.folder, "show", f"{TASK}:5", "--json").data("show-attempt")
    assert (data["n"], data["stage"], data["outcome"]) == (5, "build", "ok")
    assert "checks.json" in data["artifacts"]
    missing = lifeos(done.folder, "show", f"{TASK}:99")
    assert missing.code == 2
    assert "no attempt 99: it has 7" in missing.err


def test_an_item_open_and_answered(waiting: Scene, tmp_path: Path) -> None:
    """While it is open the whole question; later who answered."""
    item = waiting.item().id
    assert "lifeos approve" in lifeos(waiting.folder, "show", item).out
    waiting.commit(dict(waiting.answer()))
    waiting.tick()
    data = lifeos(waiting.folder, "show", item.lower(), "--json").data("show-item")
    assert (data["decision"], data["who"]) == ("approve", "person@example.invalid")
    assert tmp_path.exists()


def test_one_transition(done: Scene) -> None:
    """A commit of the ledger shows its record as it stands."""
    said = lifeos(done.folder, "show", done.tip()[:10])
    assert '"kind": "closed"' in said.out


def test_artifacts_are_given_byte_for_byte(done: Scene) -> None:
    """What goes into a file or a pipe has the digest that the record names."""
    run = lifeos(done.folder, "show", TASK, "--json").data("show")
    plan = lifeos(done.folder, "show", TASK, "--artifact", "plan.md").out
    packet = lifeos(done.folder, "show", TASK, "--artifact", "packet.json").out
    assert sha256(plan) in packet
    assert lifeos(done.folder, "show", run["run"], "--packet").out.startswith(f"# {TASK}")


def test_the_patch_applies(done: Scene) -> None:
    """`show --artifact patch.diff` is the change itself, also after the run has ended."""
    patch = lifeos(done.folder, "show", TASK, "--artifact", "patch.diff").out
    done.git("apply", "--reverse", "--check", "-", stdin=patch)


def test_an_unknown_artifact_lists_the_others(done: Scene) -> None:
    """Nobody has to guess names."""
    said = lifeos(done.folder, "show", TASK, "--artifact", "../../state.json")
    assert said.code == 2
    assert "plan.md" in said.err


@pytest.mark.parametrize("name", ["../x", 'a"b', "R-00000000", "Q-00000000"])
def test_unknown_names(done: Scene, name: str) -> None:
    """A wrong name is exit 2 with a next action, whatever it looks like."""
    said = lifeos(done.folder, "show", "--", name)
    assert said.code == 2
    assert "fix:" in said.err


def test_show_without_a_ledger(repo: Path) -> None:
    """The error names the next action."""
    said = lifeos(repo, "show")
    assert said.code == 2
    assert "lifeos init" in said.err
