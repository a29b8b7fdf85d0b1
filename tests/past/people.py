"""What people do: they commit, as themselves and at their times. And the clock they all share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lifeos.core.answers import answer_path, answer_text
from lifeos.core.records import Noted, Topic
from lifeos.core.state import Item
from lifeos.model import Decision, Stage
from lifeos.store.endings import Ended
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.store.trees import edit
from lifeos.tick.revert import REVERTS, Unmark, edits_between, note_reverted, without_work
from past import project
from past.plan import ADA, BOB, SOMEBODY, Story

RULES = Path(__file__).parent / "rules"
LOOK = 0.2
"""Seconds that pass at each look at the clock."""
NAMES = {ADA: "Ada", BOB: "Bob", SOMEBODY: "Somebody"}


@dataclass
class Clock:
    """The time, in seconds UTC. It moves a little at each look, and by what attempts take."""

    now: float

    def look(self) -> float:
        """A moment later at each look."""
        self.now = round(self.now + LOOK, 1)
        return self.now


@dataclass(frozen=True)
class People:
    """Those who commit to a repository."""

    folder: Path
    clock: Clock

    def git(self, *args: str, who: str = ADA) -> str:
        """Git as somebody, now."""
        date = f"{int(self.clock.look())} +0000"
        person = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", NAMES[who]), ("EMAIL", who), ("DATE", date))
        }
        sealed = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "TZ": "UTC"}
        done = subprocess.run(
            ["git", *args],
            cwd=self.folder,
            env={**os.environ, **sealed, **person},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (args, done.stderr, done.stdout)
        return done.stdout.removesuffix("\n")

    def commit(self, files: Mapping[str, str | bytes | None], message: str, who: str) -> str:
        """Commit these files as somebody; None removes one."""
        for name, data in files.items():
            path = self.folder / name
            if data is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        self.git("add", "--all", "--", *files, who=who)
        self.git("commit", "--quiet", "-m", message, who=who)
        return self.git("rev-parse", "HEAD")

    def read(self, path: str) -> str:
        """A file of main."""
        return (self.folder / path).read_text(encoding="utf-8")

    def backlog(self) -> str:
        """BACKLOG.md of main."""
        return self.read("BACKLOG.md")

    def bring(self, stories: tuple[Story, ...]) -> None:
        """Tasks, each by whom the plan says."""
        for who in dict.fromkeys(story.by for story in stories):
            text = self.backlog()
            for story in stories:
                if story.by == who:
                    text += f"\n{project.entry(story)}"
            self.commit({"BACKLOG.md": text}, "Plan the week", who)

    def answer(self, item: Item, decision: str, who: str, comment: str) -> None:
        text = answer_text(item.id, Decision(decision), item.subject, comment)
        self.commit({answer_path(item.id): text}, f"{decision} {item.id}", who)

    def cancel(self, story: Story, who: str) -> None:
        text = self.backlog()
        old = f"- [/] **{story.task}**"
        assert text.count(old) == 1, story
        changed = text.replace(old, f"- [-] **{story.task}**")
        self.commit({"BACKLOG.md": changed}, f"We do without {story.name}", who)

    def edit(self, story: Story, who: str) -> None:
        text = self.backlog()
        head, found, entry = text.partition(f"**{story.task}**")
        more = "\n  It is for the summer sale.\n\n  Acceptance:"
        changed = head + found + entry.replace("\n  Acceptance:", more, 1)
        self.commit({"BACKLOG.md": changed}, f"Say what {story.name} is for", who)

    def retry(self, ledger: Ledger, story: Story, run: str) -> None:
        """Ada lets a task be tried again, as `lifeos retry` does it."""
        at = int(self.clock.look())
        note = Noted(
            at=at, topic=Topic.RETRY, task=story.task, stage=Stage.DESIGN, run=run, who=ADA
        )
        ledger.in_turn(lambda: ledger.append(note))
        ledger.save()

    def revert(self, ledger: Ledger, story: Story) -> str:
        """Ada takes a landing back, as `lifeos revert` does it. The commit."""
        ended = ledger.ended(story.task)
        assert ended is not None
        commit = self._without(ledger.repo, ended, story)
        at = int(self.clock.look())
        ledger.in_turn(lambda: note_reverted(ledger, ended, commit, ADA, at))
        ledger.save()
        return commit

    def _without(self, repo: Repo, ended: Ended, story: Story) -> str:
        """Main with the work of that run taken out of it. The commit."""
        main = repo.refs.read("refs/heads/main") or ""
        onto = repo.objects.commit(ended.landed).parents[0]
        merged = without_work(repo, main, ended.landed, onto)
        if merged.tree is not None:
            edits = edits_between(repo, repo.objects.tree_id(main), merged.tree)
        else:  # something landed right beside it: a person mends that
            now = {path: self.read(path) for path in project.paths_of(story)}
            texts = project.taken_back(story, now).items()
            edits = {path: ("100644", repo.objects.write_blob(t.encode())) for path, t in texts}
        backlog = self.backlog().encode()
        text = Unmark(ended.task, "LO").splice(backlog)
        edits["BACKLOG.md"] = ("100644", repo.objects.write_blob(text))
        tree = edit(repo.objects, repo.objects.tree_id(main), edits)
        repo.objects.flush()
        message = f"Revert {ended.task}\n\nThis takes back what run {ended.run} landed.\n\n"
        message += f"Lifeos-Run: {ended.run}\n{REVERTS}{ended.landed}\n"
        commit = self.git("commit-tree", tree, "-p", main, "-m", message)
        self.git("merge", "--quiet", "--ff-only", commit)
        return commit


def opened(repo: Repo) -> Ledger:
    """The ledger, which is there."""
    ledger = Ledger.open(repo)
    assert ledger is not None
    return ledger


def rules_of(era: int) -> Mapping[str, str]:
    """The rules that begin to hold in an era: those of the first, with what changed since."""
    files = {
        ("policies/" if path.name != "config.yaml" else ".lifeos/") + path.name: path.read_text()
        for path in sorted(RULES.glob("*.yaml"))
    }
    if era >= 1:
        loop = files["policies/loop.yaml"]
        files["policies/loop.yaml"] = _changed(
            loop, "\nautonomy: supervised\n", "\nautonomy: exceptions\n"
        )
    if era >= 2:
        council = files["policies/council.yaml"]
        council = _changed(
            council, "seats: {risk_adversarial: second, governance: second}\n", "seats: {}\n"
        )
        files["policies/council.yaml"] = _changed(
            council, "\nemergency: null\n", "\nemergency: the other provider is down\n"
        )
    return files


def _changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)
