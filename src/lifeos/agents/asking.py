"""One question to a program, until its answer fits: at most a few corrections, then it has failed.

Each correction is a new call. The program keeps nothing between calls, so the question stands there
again, with the last answer as data and with what was wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Generic, TypeVar

from lifeos.agents.program import Call, Program, Ran, Said
from lifeos.core.prompts import correction
from lifeos.core.replies import Unfit
from lifeos.model import FailureClass, Usage

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
ROUNDS = 2
"""Corrections of one answer."""


@dataclass(frozen=True)
class Asked(Generic[T_co]):
    """What came of a question. ``failure`` None: ``value`` is the answer.

    ``said`` are the calls in their order, ``problems`` what was wrong with the answer of each call
    that answered.
    """

    value: T_co | None
    said: tuple[Said, ...]
    failure: FailureClass | None = None
    message: str = ""
    problems: tuple[str, ...] = ()

    @property
    def last(self) -> Said:
        """The last call."""
        return self.said[-1]

    @property
    def ran(self) -> tuple[Ran, ...]:
        """The commands of all calls, as the program reports them."""
        return tuple(ran for said in self.said for ran in said.ran)

    @property
    def reported(self) -> Usage:
        """What all calls used, as the program says it."""
        return reduce(Usage.plus, (said.reported for said in self.said), Usage())

    @property
    def log(self) -> bytes:
        """The raw output of all calls, and between them what was asked to be corrected."""
        parts = [self.said[0].log]
        for problem, said in zip(self.problems, self.said[1:], strict=False):
            parts += [f"== asked again: {problem}".encode(errors="replace"), said.log]
        return b"\n".join(parts)


def ask(
    program: Program, call: Call, parse: Callable[[str], T], *, nonce: str, rounds: int = ROUNDS
) -> Asked[T]:
    """Call ``program`` until ``parse`` takes its answer, with at most ``rounds`` corrections.

    ``parse`` raises Unfit with what is to be mended. ``nonce`` is the one of the prompt's marks.
    ``call.limits.seconds`` is the time of all calls together. A call that failed ends it at once.
    """
    said: list[Said] = []
    problems: list[str] = []
    asked, left = call, call.limits.seconds
    while True:
        answer = program.call(asked)
        said.append(answer)
        if answer.failure is not None or answer.stopped:
            failure = answer.failure or FailureClass.INTERRUPTED
            return Asked(None, tuple(said), failure, answer.message, tuple(problems))
        try:
            return Asked(parse(answer.text), tuple(said), problems=tuple(problems))
        except Unfit as unfit:
            problems.append(unfit.message)
        if len(said) > rounds:
            message = f"no answer fitted after {rounds} corrections; the last: {problems[-1]}"
            return Asked(None, tuple(said), FailureClass.VALIDATION_ERROR, message, tuple(problems))
        left -= math.ceil(answer.seconds)
        if left < 1:
            message = f"no time is left to correct an answer that does not fit: {problems[-1]}"
            return Asked(None, tuple(said), FailureClass.TIMEOUT, message, tuple(problems))
        asked = replace(
            call,
            prompt=correction(call.prompt, answer.text, problems[-1], nonce, len(said), rounds),
            limits=call.limits.model_copy(update={"seconds": left}),
        )
