"""A project on a forge with pull requests, driven by the real loop, and by people on the forge."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from conftest import EMAIL, Git
from forge_scene import judged_forge, live_forge
from lifeos.core.records import AnyRecord, Closed, Finished, Noted, Resolved, Topic
from lifeos.core.state import Item, Run
from lifeos.model import ItemKind, Stage
from lifeos.process import untraced
from lifeos.store.repo import Repo
from lifeos.tick.begin import opened
from lifeos.tick.context import Limits, World
from lifeos.tick.loop import Tick
from lifeos.tick.report import Report
from live_forge import Forge
from live_values import Account, Asked
from loop_scene import BACKLOG, NO_SETTINGS, Scene, Settings, begin_scene

WORK = "docs/guide.md"
APP = "lifeos-app[bot]"
BOB = "bob@example.invalid"
ONWARD = (Resolved, Closed, Finished)


def approvals(**people: int) -> list[dict[str, object]]:
    """Approvers by name and number on the forge; the address is EMAIL for ann."""
    mails = {"ann": EMAIL}
    return [
        {"name": name, "email": mails.get(name, f"{name}@example.invalid"), "forge_id": number}
        for name, number in people.items()
    ]


@dataclass
class OnForge(Scene):
    """A clone with lifeos in it, and its forge. Ann (101) and Bob (102) are approvers."""

    forge: Forge = field(kw_only=True)

    def tick(
        self,
        limits: Limits | None = None,
        trace: Callable[[str], None] | None = None,
        watch: Callable[[str], None] | None = None,  # noqa: ARG002 - what it says is in ``said``
    ) -> Report:
        """One tick with the app's token."""
        environ = {**os.environ, **self.environ}
        world = World(
            clock=self.clock,
            nonce=self.nonce,
            environ=environ,
            progress=self.said.append,
            pause=lambda _tries: None,
            trace=trace or untraced,
        )
        with Repo.open(self.folder, trace or untraced) as repo:
            report = Tick(opened(repo, world, limits or Limits())).run()
            if report.unfinished is not None:
                raise report.unfinished  # as the command does, when it has shown the report
            return report

    @property
    def hub(self) -> Git:
        """Git in the forge's repository."""
        return Git(self.forge.bare)

    def pull(self, item: Item | None = None) -> Asked:
        """The pull request of the open item."""
        found = item or self.item()
        assert found.pull is not None, "the item has no pull request"
        assert found.pull.number, "its pull request was not opened"
        return self.forge.get(found.pull.number)

    def at_hub(self, path: str) -> str:
        """A file of the forge's main."""
        return self.hub("show", f"main:{path}")

    def on_hub(self, path: str) -> bool:
        """Whether the forge's main has it."""
        return bool(self.hub("ls-tree", "--name-only", "main", "--", path))

    def merge(self, by: str = "ann", method: str = "merge", item: Item | None = None) -> str:
        """Somebody merges the open item's pull request."""
        return self.forge.merge(self.pull(item).number, by=by, method=method)

    def onward(self, since: str) -> list[AnyRecord]:
        """What went on since a commit of the ledger: answers taken, attempts, ends."""
        return [record for record in self.records(since) if isinstance(record, ONWARD)]

    def to_landing(self) -> Item:
        """Allow the task's commands, and go on to the question before the landing."""
        self.tick()
        if self.item().kind is ItemKind.COMMANDS:
            self.merge()
            self.tick()
        item = self.item()
        assert (item.kind, item.stage) == (ItemKind.STAGE_REVIEW, Stage.CLOSE)
        return item

    def ended(self) -> list[Closed]:
        """How runs ended."""
        return [record for record in self.records() if isinstance(record, Closed)]

    def landing(self) -> Run | None:
        """The run, if it is open."""
        runs = tuple(self.snapshot().runs.values())
        return runs[0] if runs else None

    def notes(self, topic: Topic) -> list[Noted]:
        """The notes on this topic."""
        return [r for r in self.records() if isinstance(r, Noted) and r.topic is topic]


def forge_rules(forge: Forge, approvers: Mapping[str, int] | None = None) -> dict[str, object]:
    """The settings of rules that take merges on this forge as approvals."""
    return {
        "config.remote": "origin",
        "config.forge": {
            "kind": "github",
            "host": forge.host,
            "repository": forge.name,
            "token_env": "LIFEOS_TEST_TOKEN",
        },
        "approvals.trust": "merge",
        "approvals.approvers": approvals(**(approvers or {"ann": 101, "bob": 102})),
    }


def push_first(scene: OnForge) -> None:
    """Put what the person committed on the forge's main."""
    scene.git("remote", "add", "origin", str(scene.forge.bare))
    scene.git("push", "--quiet", "--force", "--set-upstream", "origin", "main")


@contextmanager
def on_forge(
    folder: Path,
    settings: Settings = NO_SETTINGS,
    *,
    backlog: str = BACKLOG,
    approvers: Mapping[str, int] | None = None,
    by: str = APP,
    judged: bool = False,
) -> Iterator[OnForge]:
    """A forge, and a clone whose rules take merges as approvals. ``by``: whose token lifeos has.

    ``judged``: GitHub's own description judges what is asked and answered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with nullcontext(judged_forge(folder)) if judged else live_forge(folder) as forge:
        forge.workflows_may_open = True
        rules = forge_rules(forge, approvers) | dict(settings)
        begun = begin_scene(folder / "clone", rules, backlog=backlog)
        token = forge.who(by).token
        scene = OnForge(
            begun.folder, begun.now, begun.nonces, {"LIFEOS_TEST_TOKEN": token}, forge=forge
        )
        push_first(scene)
        yield scene


def account(scene: OnForge, login: str) -> Account:
    """Somebody on the forge."""
    return scene.forge.who(login)
