"""The past lived on: more runs after the end of the story, on the same repository.

What the story left open is put aside by a person first; then come tasks like those before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lifeos.core.state import Item
from lifeos.model import Stage
from lifeos.store.entries import Entry
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from past.people import Clock, opened
from past.plan import BOB, HOUR, Dice, Passage, Plan, Question, Step, Story
from past.play import Play
from past.scripts import Told, passage

SEED = "onward"
AREAS = ("cart", "stock", "mail", "export", "search", "login", "report")


@dataclass
class Onward(Play):
    """The repository some time later. Questions without a run are answered by who asks for it."""

    _left: frozenset[str] = field(default_factory=frozenset)  # runs of the story before

    @classmethod
    def after(cls, folder: Path) -> Onward:
        """From where the ledger is now."""
        with Repo.open(folder) as repo:
            ledger = opened(repo)
            play = cls(folder, Plan(SEED, ()), clock=Clock(ledger.snapshot.at + HOUR))
            play._seen = ledger.tip
            play.nonces = 10**9  # none of those before
            play._asked = set(ledger.snapshot.items)
            play._left = frozenset(ledger.snapshot.runs)
        return play

    def put_aside(self) -> None:
        """Bob marks every task that is still open as one that nobody wants."""
        text = re.sub(r"^- \[[ /?!]\]", "- [-]", self.people.backlog(), flags=re.MULTILINE)
        self.people.commit({"BACKLOG.md": text}, "Begin with an empty table", BOB)
        self.tick(0)

    def bring_and_live(self, stories: Sequence[Story]) -> None:
        """These tasks come, and are done one after the other."""
        self._bring(tuple(stories))
        for story in stories:
            self.tick(1, story.task)

    def answer(self, *items: Item, decision: str = "approve") -> None:
        """Bob answers, an hour after he was asked; and a tick takes it."""
        self.clock.now = max(self.clock.now, *(item.opened_at + HOUR for item in items))
        for item in items:
            why = "" if decision == "approve" else "Not now."
            self.people.answer(item, decision, BOB, why)
        self.tick(0)

    def _heard(self, entry: Entry) -> None:
        if getattr(entry.record, "run", None) not in self._left:
            super()._heard(entry)

    def _answer_later(self, item: Item, _ledger: Ledger) -> None:
        if item.run is not None and item.run not in self._left:
            raise AssertionError(f"nothing was to be asked: {item}")


def later(count: int, *, red: int) -> tuple[Story, ...]:
    """So many tasks that land unasked, every fifth in the guide; one meets a red format check."""
    return tuple(_story(number, red=number == red) for number in range(count))


def _story(number: int, *, red: bool) -> Story:
    dice, label = Dice(SEED), f"later {number}"
    guide = number % 5 == 4
    area = "guide" if guide else AREAS[number % len(AREAS)]
    name = f"sum_later_{number}"
    told = Told("plain", frozenset(), area, name, supervised=False, risk="low")
    way = passage(dice, label, told)
    if red:
        way = Passage(_once_red(way.script), way.outcome)
    return Story(
        number=1000 + number,
        task=f"LO-n{number:05d}",
        title=f"Let the {area} sum what comes later ({number})",
        area=area,
        name=name,
        work="doc" if guide else "add",
        kind="plain",
        week=0,
        tags=(area,),
        risk="low",
        by=BOB,
        passages=(way,),
    )


def _once_red(script: tuple[Step | Question, ...]) -> tuple[Step | Question, ...]:
    """The same with a build before the first one that fails its format check."""
    place = next(n for n, s in enumerate(script) if isinstance(s, Step) and s.stage == Stage.BUILD)
    build = script[place]
    assert isinstance(build, Step)
    red = Step("build", "formatting_error", build.seconds, build.tokens, build.mills, 1)
    return (*script[:place], red, *script[place:])
