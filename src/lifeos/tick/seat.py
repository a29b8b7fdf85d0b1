"""One seat of the council: what it is given, how it is asked, and what is kept of its answer."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lifeos.agents.asking import Asked, ask
from lifeos.agents.program import Call, Program
from lifeos.agents.shipped import prompt as shipped_prompt
from lifeos.core.hearing import Absent, Answer, Hearing
from lifeos.core.policy.council import Seat
from lifeos.core.policy.envelope import Limits
from lifeos.core.prompts import Bounds, Part, notes, of_seat, render
from lifeos.core.replies import schema_text
from lifeos.core.replies.seat import (
    EXAMPLE,
    CheckedSeat,
    SeatFinding,
    SeatReply,
    Subject,
    read_seat,
)
from lifeos.core.review import Assumption, SeatRun, Sitter
from lifeos.model import FailureClass, Frozen, Stage
from lifeos.process import never, untraced
from lifeos.proxy import Door, Meter, Route, opened
from lifeos.proxy.meter import REFUSALS
from lifeos.sandbox import Sandbox


class Doors(Protocol):
    """How a door is opened (``lifeos.proxy.opened``)."""

    def __call__(
        self,
        route: Route,
        meter: Meter,
        *,
        stage: str,
        seat: str = "",
        clock: Callable[[], float],
        told: Callable[[str], None],
    ) -> AbstractContextManager[Door]: ...


@dataclass(frozen=True)
class Matter:
    """What is sat about.

    ``texts`` are the texts of the prompt by the names that references use: ``task.md``,
    ``design.md``, ``plan.md``, ``changes.diff``, ``checks.json``, as far as there are any.
    ``folder`` is the tree, which seats see read-only; ``lookup`` reads a file of that same tree.
    ``nonce`` is ``seat_nonce`` of the claim and the subject. ``instructions`` is the repository's
    AGENTS.md at the base ("" without one): context beside the subject, and no part of it.
    """

    stage: Stage
    title: str
    hearing: Hearing
    texts: Mapping[str, str]
    folder: Path
    nonce: str
    lookup: Callable[[str], bytes | None]
    instructions: str = ""


@dataclass(frozen=True)
class Means:
    """What a council sits with.

    ``route`` gives the way to a model by its name, ``model`` is the one of seats that council.yaml
    gives no other. ``meter`` counts all seats together. ``limits.seconds`` is the time of the whole
    sitting. ``prompts`` are the repository's own texts by name. ``clock`` gives seconds since 1970
    UTC, ``timer`` seconds since any moment.
    """

    program: Program
    route: Callable[[str], Route]
    model: str
    meter: Meter
    limits: Limits
    sandbox: Sandbox
    environment: Mapping[str, str]
    clock: Callable[[], float]
    timer: Callable[[], float]
    prompts: Mapping[str, str] = field(default_factory=dict)
    should_stop: Callable[[], bool] = never
    progress: Callable[[str], None] = lambda _line: None
    trace: Callable[[str], None] = untraced
    doors: Doors = opened
    shipped: Callable[[str], str] = shipped_prompt


class SeatPaper(Frozen):
    """``seat-NAME.json``: what one seat said, what counted, and what had to be corrected."""

    run: SeatRun
    shadow: bool = False
    reply: SeatReply | None = None
    findings: tuple[SeatFinding, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    problems: tuple[str, ...] = ()


def sitter_of(route: Route) -> Sitter:
    """Who sits, as the run log names it."""
    return Sitter(
        name=route.name,
        provider=route.provider_name,
        model=route.model.id,
        family=route.model.family,
    )


class Room:
    """What the seats of one sitting share: the matter, the means, the time, and the papers."""

    def __init__(self, matter: Matter, means: Means) -> None:
        self.matter, self.means = matter, means
        self.papers: dict[str, bytes] = {}
        texts = {name: each.encode("utf-8", "replace") for name, each in matter.texts.items()}
        self.subject = Subject(texts=texts, lookup=self._look)
        self._started = means.timer()
        self._lock = threading.Lock()

    def _look(self, path: str) -> bytes | None:
        with self._lock:  # the repository is read by one seat at a time
            return self.matter.lookup(path)

    def left(self) -> int:
        """Whole seconds that are left of the sitting's time."""
        return math.floor(self.means.limits.seconds - (self.means.timer() - self._started))

    def say(self, line: str) -> None:
        """A line for people; one seat at a time."""
        with self._lock:
            self.means.progress(line)

    def keep(self, name: str, paper: SeatPaper) -> None:
        """Keep what a seat said."""
        with self._lock:
            self.papers[f"seat-{name}.json"] = paper.model_dump_json(indent=1).encode()


@dataclass(frozen=True)
class Chair:
    """One seat and the model that it is given.

    ``said`` is what the co-chair is to challenge; ``label`` names a shadow among the papers.
    """

    room: Room
    seat: Seat
    route: Route
    said: str = ""
    label: str = ""

    @property
    def name(self) -> str:
        """Its name among the papers and receipts."""
        return self.label or self.seat.value

    def prompt(self) -> str:
        """All that the seat gets to know. Raises NonceInside."""
        role = of_seat(self.seat)
        matter, means = self.room.matter, self.room.means
        limits = means.meter.allowance.limits
        return render(
            role,
            means.prompts,
            means.shipped(role),
            parts_of(matter, self.said),
            matter.nonce,
            schema_text(SeatReply, EXAMPLE),
            bounds=Bounds(
                writable=False,
                seconds=max(self.room.left(), 1),
                tokens=means.meter.allowance.tokens,
                requests=limits.requests,
                commands=limits.commands,
                command_seconds=limits.command_seconds,
            ),
        )

    def sit(self, prompt: str) -> Answer | Absent:
        """Ask, with corrections; keep the paper; say what came of it."""
        room, means = self.room, self.room.means
        seconds, started = room.left(), means.timer()
        if seconds < 1 or means.should_stop():
            return self._not_asked(stopped=seconds >= 1)
        self._say(f"sits on {self.route.name}")
        stage = room.matter.stage.value
        door = means.doors(
            self.route,
            means.meter,
            stage=stage,
            seat=self.name,
            clock=means.clock,
            told=self._say,
        )
        with door as opened_door:
            call = self._call(prompt, opened_door, seconds)
            nonce = room.matter.nonce
            asked = ask(means.program, call, self._read, nonce=nonce)
        return self._settle(asked, means.timer() - started)

    def _say(self, line: str) -> None:
        self.room.say(f"  seat {self.name}: {line}")

    def _read(self, text: str) -> CheckedSeat:
        return read_seat(text, self.room.subject, self.room.matter.nonce)

    def _call(self, prompt: str, door: Door, seconds: int) -> Call:
        room, means = self.room, self.room.means
        return Call(
            prompt=prompt,
            title=f"{room.matter.title} {room.matter.stage} {self.name}"[:80],
            folder=room.matter.folder,
            writable=False,
            limits=means.limits.model_copy(update={"seconds": seconds}),
            agent_limits=means.meter.allowance.limits,
            environment=means.environment,
            sandbox=means.sandbox,
            door=door,
            model=self.route.model,
            wire=self.route.provider.wire,
            should_stop=means.should_stop,
            progress=self._say,
            trace=means.trace,
        )

    def _not_asked(self, *, stopped: bool) -> Absent:
        why = "stopped by the stop switch" if stopped else "no time was left"
        failure = FailureClass.INTERRUPTED if stopped else FailureClass.TIMEOUT
        run = SeatRun(seat=self.seat.value, sitter=sitter_of(self.route), missing=why)
        return self._absent(Absent(run=run, failure=failure))

    def _settle(self, asked: Asked[CheckedSeat], seconds: float) -> Answer | Absent:
        receipts = [r for r in self.room.means.meter.receipts if r.seat == self.name]
        run = SeatRun(
            seat=self.seat.value,
            sitter=sitter_of(self.route),
            rounds=len(asked.said),
            tokens=sum(receipt.tokens for receipt in receipts),
            cost=sum(receipt.cost for receipt in receipts),
            seconds=round(max(seconds, 0), 3),
        )
        if asked.value is None:
            return self._absent(self._why(asked, run), asked.problems)
        reply = asked.value.reply
        said = {"verdict": reply.verdict, "confidence": reply.confidence}
        answer = Answer(run=run.model_copy(update=said), checked=asked.value)
        self._keep(answer.run, asked.value, asked.problems)
        self._say(f"{reply.verdict} ({reply.confidence:.1f})")
        return answer

    def _why(self, asked: Asked[CheckedSeat], run: SeatRun) -> Absent:
        """Why there is no verdict. Where the provider refuses, it is a quota, whoever asked."""
        meter = self.room.means.meter
        failure, wake = asked.failure or FailureClass.UNKNOWN, asked.last.wake_after
        if failure is not FailureClass.INTERRUPTED and meter.stop in REFUSALS:
            failure = FailureClass.QUOTA
        if failure is FailureClass.QUOTA:
            wake = meter.wake_after or wake
        missing = " ".join(asked.message.split()) or str(failure)
        told = run.model_copy(update={"missing": missing})
        return Absent(run=told, failure=failure, wake_after=wake)

    def _absent(self, absent: Absent, problems: tuple[str, ...] = ()) -> Absent:
        self._keep(absent.run, None, problems)
        self._say(f"no verdict ({absent.run.missing})")
        return absent

    def _keep(self, run: SeatRun, checked: CheckedSeat | None, problems: tuple[str, ...]) -> None:
        paper = SeatPaper(run=run, shadow=bool(self.label), problems=problems)
        if checked:
            said = {
                "reply": checked.reply,
                "findings": checked.findings,
                "assumptions": checked.assumptions,
            }
            paper = paper.model_copy(update=said)
        self.room.keep(self.name, paper)


_ABOUT = {
    "task.md": "The task, as its author wrote it",
    "design.md": "The design",
    "plan.md": "The plan",
    "changes.diff": "What the build changed; the result is in the tree at /work",
    "checks.json": "What lifeos recorded when it ran the checks and the acceptance commands itself",
}
_NUMBERED = (
    "(each line has its number in front, for references; name this text `{name}` there, and quote "
    "without the number):"
)


def parts_of(matter: Matter, said: str = "") -> tuple[Part, ...]:
    """What a seat is given as data: header, AGENTS.md, texts with numbered lines, challenge."""
    floor = matter.hearing.floor
    header = floor.header.model_dump_json(indent=1)
    parts = [
        Part(
            "header",
            f"What lifeos measured of the subject; the council sits in mode {floor.mode}. A field "
            "can be raised, never lowered:",
            header,
        ),
        notes(matter.instructions),
    ]
    for name, text in matter.texts.items():
        about = f"{_ABOUT.get(name, 'More of it')} {_NUMBERED.format(name=name)}"
        parts.append(Part(name, about, numbered(text)))
    if said:
        about = "What the others found, without who found it. Challenge it, both ways:"
        # A model knows the nonce; it may have written it into what it found.
        clean = re.sub(re.escape(matter.nonce), "[nonce]", said, flags=re.IGNORECASE)
        parts.append(Part("provisional", about, clean))
    return tuple(parts)


def numbered(text: str) -> str:
    """A text with the number of each line in front; they stay right where the middle is cut."""
    lines = text.removesuffix("\n").split("\n")
    return "\n".join(f"{number:>5}| {line}" for number, line in enumerate(lines, 1)) if text else ""
