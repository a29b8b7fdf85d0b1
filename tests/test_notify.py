"""People are told what waits and what blocked: each thing once, by the adopted rules, and safely.

The commands are real programs; what they were given is read from the file that they write.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from command_line import BOB, Project
from lifeos.core.records import Held
from lifeos.core.state import PullRequest
from lifeos.idle import idle_line
from lifeos.model import CloseOutcome
from lifeos.process import untraced
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.begin import begin as begin_ledger
from lifeos.tick.context import Context, World
from lifeos.tick.loop import Tick
from lifeos.tick.report import Report
from lifeos.tick.telling import RETRY, Outcome, begin, tell
from lifeos.tick.telling import link as link_of
from loop_scene import BACKLOG, Scene, Settings, begin_scene, governance_with

CONFIG = ".lifeos/config.yaml"
NOTES = ".git/lifeos/notices.json"
SECRET = "hunter2-correct-horse-battery"  # noqa: S105  (it opens nothing)
BLOCKS: Settings = {"loop.routing.no_change": {"retries": 0, "then": "terminate"}}
NOTHING = BACKLOG.replace("mkdir -p docs && echo hello > docs/guide.md", "true")
TWO = BACKLOG + BACKLOG.partition("## P0\n")[2].replace("LO-aaaaaa", "LO-bbbbbb").replace(
    "docs/guide.md", "docs/other.md"
)


@dataclass(frozen=True)
class Listener:
    """A program outside of the repository that writes down what it is given."""

    folder: Path
    program: Path

    def heard(self) -> list[dict[str, Any]]:
        """Everything that it was given, oldest first."""
        file = self.folder / "heard"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def notices(self, occasion: str = "") -> list[dict[str, Any]]:
        """The notices, or those of one occasion."""
        found = [each["notice"]["data"] for each in self.heard()]
        return [each for each in found if occasion in ("", each["occasion"])]

    def then(self, code: str) -> None:
        """What it does after it has written it down, in Python."""
        (self.folder / "then.py").write_text(code, encoding="utf-8")


LISTENS = """\
#!{python} -I
import json, os, pathlib, signal, sys, time
here = pathlib.Path({folder!r})
given = {{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(),
         "notice": json.load(sys.stdin)}}
with (here / "heard").open("a") as file:
    file.write(json.dumps(given) + "\\n")
if (here / "then.py").exists():
    exec((here / "then.py").read_text())
"""


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    """A listener that is content."""
    folder = tmp_path / "listener"
    folder.mkdir()
    program = folder / "tell-me"
    program.write_text(LISTENS.format(python=sys.executable, folder=str(folder)), encoding="utf-8")
    program.chmod(0o755)
    return Listener(folder, program)


def rules(listener: Listener, **more: object) -> Settings:
    """The rules by which this listener is told."""
    return {"config.notify": {"command": [str(listener.program)], "timeout": 20, **more}}


def project(folder: Path, settings: Settings, backlog: str = BACKLOG) -> Project:
    """A repository with these rules, before its first tick."""
    scene = begin_scene(folder / "repo", settings, backlog=backlog)
    return Project(scene.folder, scene.now, scene.nonces)


@dataclass
class Ticked:
    """What a tick came to, and what was said about telling."""

    report: Report
    told: Outcome


def tick(scene: Scene, trace: Callable[[str], None] | None = None) -> Ticked:
    """One tick with its telling, as the command does it, in the scene's own time."""
    world = World(
        clock=scene.clock,
        nonce=scene.nonce,
        environ={**os.environ, **scene.environ},
        trace=trace or untraced,
    )
    with Repo.open(scene.folder, world.trace) as repo:
        ctx = Context(repo, Ledger.open(repo) or begin_ledger(repo, world), world)
        begun = begin(ctx)
        report = Tick(ctx).run()
        return Ticked(report, tell(ctx, begun))


class _Died(BaseException):
    """Ends a tick where a killed process would have ended."""


def dying_at(point: str) -> Callable[[str], None]:
    """A trace that dies at this point."""

    def trace(here: str) -> None:
        if here == point:
            raise _Died

    return trace


# --- what is sent -----------------------------------------------------------------------------


def test_a_command_is_told_what_waits_and_how_to_answer(tmp_path: Path, listener: Listener) -> None:
    """As JSON on standard input; its words are literal; only named variables; not in the tree."""
    words = [str(listener.program), "a b; $(id)", "--x"]
    scene = project(tmp_path, rules(listener, command=words, environment=["SEEN"]))
    scene.cli("tick", SEEN="yes", UNSEEN="no", LANG="C")
    item = scene.item()
    (heard,) = listener.heard()
    assert heard["argv"] == words[1:]
    assert heard["cwd"] == "/"
    env = {key: value for key, value in heard["env"].items() if key != "LC_CTYPE"}  # Python's own
    home, path = os.environ["HOME"], os.environ["PATH"]
    assert env == {"HOME": home, "LANG": "C", "PATH": path, "SEEN": "yes"}
    assert heard["notice"]["schema"] == "lifeos.notice/v1"
    notice = heard["notice"]["data"]
    assert notice["occasion"] == "waits"
    assert notice["title"] == "repo: a question waits for you"
    assert "Say hello in the guide (LO-aaaaaa)" in notice["text"]
    assert f"lifeos approve {item.id}" in notice["text"]
    assert [each["item"] for each in notice["waiting"]] == [item.id]


def test_each_question_is_told_once(tmp_path: Path, listener: Listener) -> None:
    """Neither an idle tick, nor one that has work, nor a new commit repeats it."""
    scene = project(tmp_path, rules(listener))
    for number in range(3):
        scene.commit({"notes.txt": f"{number}\n"})
        scene.cli("tick")
        scene.cli("tick")
    assert len(listener.notices()) == 1


def test_the_next_question_is_told_and_the_old_one_is_not(
    tmp_path: Path, listener: Listener
) -> None:
    """Two tasks one after the other: two notices, each about one of them."""
    scene = project(tmp_path, {**rules(listener), "loop.budgets.open_runs": 1}, TWO)
    tick(scene)
    scene.commit(scene.answer())
    tick(scene)
    told = [[each["task"] for each in notice["waiting"]] for notice in listener.notices("waits")]
    assert told == [["LO-aaaaaa"], ["LO-bbbbbb"]]


def test_what_blocked_is_told_once(tmp_path: Path, listener: Listener) -> None:
    """With why, and what to do; the tick itself still says it by its exit code."""
    scene = project(tmp_path, {**rules(listener), **BLOCKS}, NOTHING)
    scene.cli("tick", code=1)
    scene.commit({"notes.txt": "again\n"})
    scene.cli("tick")
    (notice,) = listener.notices()
    assert notice["occasion"] == "blocked"
    assert "Say hello in the guide (LO-aaaaaa): no_change at build" in notice["text"]
    assert "lifeos retry LO-aaaaaa" in notice["text"]
    assert [each["outcome"] for each in notice["ended"]] == [CloseOutcome.BLOCKED]


def test_on_decides_what_is_told(tmp_path: Path, listener: Listener) -> None:
    """Only what blocked: a question is not told; nor is it told late when `on` is changed."""
    scene = project(tmp_path, rules(listener, on=["blocked"]))
    tick(scene)
    assert listener.heard() == []
    scene.commit(scene.edit(CONFIG, '"blocked"', '"waits"'))
    tick(scene)
    assert listener.heard() == []


def test_a_link_to_the_question_where_there_is_a_forge(tmp_path: Path, listener: Listener) -> None:
    """To its file on main; to its pull request where it has one."""
    forge = {"kind": "github", "host": "forge.example", "repository": "ann/shop"}
    trust: Settings = {"approvals.trust": "signature"}
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGqg0mn9+8Wd5Vh4bM4s0J7LyF1xS1x5v1oPp0sC4k2d"
    who = [{"name": "Ann", "email": "person@example.invalid", "key": key}]
    settings = {**rules(listener), **trust, "approvals.approvers": who, "config.forge": forge}
    scene = project(tmp_path, settings)
    tick(scene)
    item = scene.item().id
    link = f"https://forge.example/ann/shop/blob/main/.lifeos/queue/{item}.md"
    (notice,) = listener.notices()
    assert notice["waiting"][0]["link"] == link
    assert notice["text"].endswith(link)
    assert notice["title"] == "ann/shop: a question waits for you"
    pull = PullRequest(head="a" * 40, number=7, url="https://forge.example/ann/shop/pull/7")
    asked = scene.item().model_copy(update={"pull": pull})
    with Repo.open(scene.folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        assert link_of(Context(repo, ledger, World()), asked) == pull.url


def test_no_secret_and_nothing_that_acts_is_sent(tmp_path: Path, listener: Listener) -> None:
    """Values of the environment, escapes and mentions in a title do not get out."""
    title = f"Use {SECRET} \x1b[31mnow\x1b[0m for @everyone"
    scene = project(tmp_path, rules(listener), BACKLOG.replace("Say hello in the guide", title))
    scene.environ["DEPLOY_TOKEN"] = SECRET
    tick(scene)
    said = json.dumps(listener.notices(), ensure_ascii=False)
    assert "[redacted: value of DEPLOY_TOKEN]" in said
    for bad in (SECRET, "\x1b", "@everyone"):
        assert bad not in said


# --- once, whatever dies ----------------------------------------------------------------------


def test_killed_between_sending_and_noting_repeats_one_notice_at_most(
    tmp_path: Path, listener: Listener
) -> None:
    """The command kills lifeos itself: the next tick tells it again, and the one after does not."""
    scene = project(tmp_path, rules(listener))
    listener.then("os.kill(os.getppid(), signal.SIGKILL); time.sleep(5)")
    done = subprocess.run(
        [sys.executable, "-m", "lifeos", "tick"],
        cwd=scene.folder, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    listener.then("")
    for _ in range(3):
        scene.cli("tick")
    items = [notice["waiting"][0]["item"] for notice in listener.notices()]
    assert items == [scene.item().id] * 2


def test_dying_after_the_last_record_is_no_reason_to_be_idle(
    tmp_path: Path, listener: Listener
) -> None:
    """All is done and nobody was told: the next tick looks, and tells it."""
    scene = project(tmp_path, rules(listener))
    with pytest.raises(_Died):
        tick(scene, trace=dying_at("note:after"))
    assert listener.heard() == []
    assert idle_line(str(scene.folder), scene.now) == ""
    tick(scene)
    assert len(listener.notices("waits")) == 1
    assert idle_line(str(scene.folder), scene.now) != ""


def test_a_lost_note_repeats_what_is_open_once(tmp_path: Path, listener: Listener) -> None:
    """Also one that is torn. What was answered meanwhile is not told any more."""
    scene = project(tmp_path, rules(listener, on=["waits"]))
    tick(scene)
    (scene.folder / NOTES).write_text("{", encoding="utf-8")
    scene.commit({"notes.txt": "1\n"})
    tick(scene)
    assert len(listener.notices()) == 2
    scene.commit(scene.answer())
    (scene.folder / NOTES).unlink()
    tick(scene)
    tick(scene)
    assert len(listener.notices()) == 2


def test_a_ci_machine_tells_what_its_own_tick_recorded(tmp_path: Path, listener: Listener) -> None:
    """It has no memory: what waited before it began was told by whoever asked; and no digest."""
    scene = project(tmp_path, rules(listener))
    scene.environ["CI"] = "true"
    tick(scene)
    assert len(listener.notices()) == 1
    for day in range(2):
        (scene.folder / NOTES).unlink()
        scene.now += 86_400
        scene.commit({"notes.txt": f"{day}\n"})
        tick(scene)
    assert len(listener.notices()) == 1


# --- what goes wrong --------------------------------------------------------------------------


def test_a_command_that_fails_is_said_and_tried_again(tmp_path: Path, listener: Listener) -> None:
    """The tick does not fail; status names it, without secrets; later it arrives, once."""
    # Without a digest: the time is today's, and one could be due.
    scene = project(tmp_path, rules(listener, on=["waits"], environment=["DEPLOY_TOKEN"]))
    listener.then("sys.exit('no route with ' + os.environ['DEPLOY_TOKEN'])")
    said = scene.cli("tick", "--json", DEPLOY_TOKEN=SECRET)
    problem = "command: it ended with 1: no route with [redacted: value of DEPLOY_TOKEN]"
    assert problem in said.err
    assert problem in said.data["untold"][0]
    assert said.data["wake"] <= time.time() + RETRY
    assert scene.cli("status", "--json").data["untold"] == [problem]
    assert "Nobody could be told" in scene.cli("status").out
    assert SECRET not in (scene.folder / NOTES).read_text()
    listener.then("")
    scene.now = int(time.time())
    scene.commit({"notes.txt": "soon\n"})
    tick(scene)
    assert len(listener.notices()) == 1  # not before its time
    scene.now += RETRY + 60
    assert idle_line(str(scene.folder), scene.now) == ""
    tick(scene)
    tick(scene)
    assert len(listener.notices()) == 2
    assert scene.cli("status", "--json").data["untold"] == []


def test_a_command_that_hangs_is_ended_with_its_children(
    tmp_path: Path, listener: Listener
) -> None:
    """After `timeout` seconds, and the record is whole."""
    scene = project(tmp_path, rules(listener, timeout=4))
    listener.then(
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "(here / 'child').write_text(str(child.pid))\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "time.sleep(600)"
    )
    told = tick(scene).told
    assert "it did not end within 4 s" in told.problems[0]
    child = int((listener.folder / "child").read_text())
    stat = Path(f"/proc/{child}/stat")
    if sys.platform == "linux" and stat.exists():
        assert stat.read_text().rpartition(")")[2].split()[0] == "Z"
    assert len(scene.snapshot().items) == 1


def test_a_command_that_floods_is_cut_short(tmp_path: Path, listener: Listener) -> None:
    """Of fifty megabytes on both streams the last line is told, in a short one."""
    scene = project(tmp_path, rules(listener))
    listener.then(
        "for _ in range(50):\n"
        "    sys.stdout.write('x' * 2**20); sys.stderr.write('y' * 2**20)\n"
        "sys.stderr.write('\\n' + 'z' * 5000); sys.exit(7)"
    )
    (problem,) = tick(scene).told.problems
    assert "it ended with 7: zzz" in problem
    assert len(problem) < 500


def test_a_command_that_does_not_read_is_no_problem(tmp_path: Path, listener: Listener) -> None:
    """A program that only rings a bell closes its input."""
    scene = project(tmp_path, rules(listener, command=["true"]))
    assert tick(scene).told.problems == ()


def test_each_channel_is_told_by_itself(tmp_path: Path, listener: Listener) -> None:
    """One that fails does not keep the other from it, and the other is not told again."""
    scene = project(tmp_path, rules(listener, apprise=["NOT_SET"]))
    (problem,) = tick(scene).told.problems
    assert "apprise NOT_SET: the variable NOT_SET is not set" in problem
    scene.now += RETRY + 60
    scene.commit({"notes.txt": "later\n"})
    assert len(tick(scene).told.problems) == 1
    assert len(listener.notices()) == 1


# --- whose rule it is -------------------------------------------------------------------------


def test_a_rule_that_is_not_adopted_runs_nothing(tmp_path: Path, listener: Listener) -> None:
    """Whoever can push cannot run a program here: the CEO is asked, and nobody is told by it."""
    scene = project(tmp_path, {})
    tick(scene)
    scene.commit({CONFIG: with_command(str(listener.program))}, author=BOB, committer=BOB)
    scene.cli("tick")
    asked = [item.rule for item in scene.snapshot().items.values()]
    assert any(rule.startswith("governance:") for rule in asked)
    assert "the adopted rules name nobody" in scene.cli("digest", "--send", code=2).err
    assert listener.heard() == []
    (rule,) = (i for i in scene.snapshot().items.values() if i.rule.startswith("governance:"))
    scene.cli("approve", rule.id)
    scene.cli("tick")
    assert listener.notices()  # once an approver has said yes


def test_no_program_of_the_repository_is_run(tmp_path: Path, listener: Listener) -> None:
    """Neither by its path, nor through a link, nor as an argument: a task could change it."""
    scene = project(tmp_path, {})
    mine = scene.folder / "tell.sh"
    mine.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    mine.chmod(0o755)
    link = listener.folder / "link"
    link.symlink_to(mine)
    for command in ([str(mine)], [str(link)], ["sh", str(mine)], ["tell.sh"]):
        scene.commit({CONFIG: with_command(*command)})
        said = scene.cli("tick", PATH=f".:{os.environ['PATH']}").err
        assert "lies in this repository" in said or "is not there" in said
        (scene.folder / NOTES).unlink()
    assert not (tmp_path / "ran").exists()


def with_command(*words: str) -> str:
    """The configuration of a scene, with this command."""
    return governance_with({"config.sandbox": "none", "config.notify": {"command": words}})[CONFIG]


def test_everything_is_on_the_ledger_first(tmp_path: Path, listener: Listener) -> None:
    """When a notice goes out, what it says is recorded and main shows it."""
    scene = project(tmp_path, rules(listener))
    listener.then(
        "import subprocess\n"
        f"out = subprocess.run(['git', '-C', {str(scene.folder)!r}, 'ls-tree', '-r', '--name-only',"
        " 'main'], capture_output=True, text=True).stdout\n"
        "(here / 'main').write_text(out)"
    )
    tick(scene)
    held = [record for record in scene.records() if isinstance(record, Held)]
    assert f".lifeos/queue/{held[0].item}.md" in (listener.folder / "main").read_text()
