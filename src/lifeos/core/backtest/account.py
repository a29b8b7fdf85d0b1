"""What is told of one run: its differences, what they save and add, and what is not known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lifeos.core.backtest.model import Departure, Difference, Fate, Otherwise
from lifeos.core.records import Opened
from lifeos.core.state import Item
from lifeos.model import ItemKind, Stage, Usage


@dataclass
class Skipped:
    """A question that was asked, and would not have been. ``at``: when it was first asked.

    ``departure`` and ``new`` say what would have been instead.
    """

    item: str
    commit: str
    at: int
    kind: ItemKind
    rule: str
    stage: Stage | None
    departure: Departure
    new: str = ""

    @property
    def landing(self) -> bool:
        """Whether it is the question before landing."""
        return self.kind is ItemKind.STAGE_REVIEW and self.stage is Stage.CLOSE


@dataclass
class Sums:
    """What a run saves and adds. Seconds."""

    attempts_less: int = 0
    usage_less: Usage = field(default_factory=Usage)
    questions_less: int = 0
    waiting_less: int = 0
    questions_more: int = 0
    pause_more: int = 0
    attempts_more: Counter[Stage] = field(default_factory=Counter)


class Account:
    """The account of one run."""

    def __init__(self, opened: Opened) -> None:
        """``opened``: the run."""
        self.opened = opened
        self.found: list[Difference] = []
        self.sums = Sums()
        self.unknown: list[str] = []
        self.conditional = False
        """Whether what is told from here on depends on a yes that nobody said."""

    def tell(
        self,
        otherwise: Otherwise,
        commit: str,
        at: int,
        stage: Stage | None,
        *,
        n: int | None = None,
        item: str = "",
        guarded: bool = False,
        waiting: int = 0,
    ) -> None:
        """One more difference, at a transition of the ledger."""
        self.found.append(
            Difference(
                departure=otherwise.departure,
                run=self.opened.run,
                task=self.opened.task,
                title=self.opened.title,
                stage=stage,
                n=n,
                item=item,
                commit=commit,
                at=at,
                old=otherwise.old,
                new=otherwise.new,
                told=otherwise.told,
                guarded=guarded,
                conditional=self.conditional,
                waiting=waiting,
            )
        )

    def tell_skipped(
        self,
        skipped: Skipped,
        departure: Departure,
        told: str,
        *,
        waiting: int = 0,
        guarded: bool = False,
    ) -> None:
        """A question that would not have been asked, and what came of it."""
        self.sums.questions_less += 1
        self.sums.waiting_less += waiting
        self.tell(
            Otherwise(departure, skipped.rule, skipped.new, told),
            skipped.commit,
            skipped.at,
            skipped.stage,
            item=skipped.item,
            guarded=guarded,
            waiting=waiting,
        )

    def spared(self, index: int, usage: Usage) -> None:
        """An attempt that would not have been made, after the difference at ``index``."""
        self.sums.attempts_less += 1
        self.sums.usage_less = self.sums.usage_less.plus(usage)
        self._change(index, cost=self.found[index].cost + usage.cost)

    def spared_question(self, index: int, item: Item, answered_at: int) -> None:
        """A question that would not have been asked, after the difference at ``index``."""
        waiting = answered_at - item.opened_at
        self.sums.questions_less += 1
        self.sums.waiting_less += waiting
        self._change(index, waiting=self.found[index].waiting + waiting)

    def _change(self, index: int, **update: object) -> None:
        self.found[index] = self.found[index].model_copy(update=update)

    def differences(self, fate: Fate) -> list[Difference]:
        """What was found, now that it is known what came of the run."""
        known = {
            (Departure.TERMINATED, Fate.LANDED): Departure.ENDED_ALTHOUGH_LANDED,
            (Departure.ASKED, Fate.REVERTED): Departure.ASKED_AND_REVERTED,
        }
        return [
            one.model_copy(
                update={"departure": known.get((one.departure, fate), one.departure), "fate": fate}
            )
            for one in self.found
        ]
