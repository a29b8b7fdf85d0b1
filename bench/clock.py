"""Measuring: everything that is compared takes turns, and the best of several rounds counts.

A machine only ever makes things slower: the best round is nearest to what the thing itself costs,
and turns spread what else happens on the machine over all that is compared.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def commands(wanted: Mapping[str, tuple[Path, Sequence[str]]], rounds: int) -> dict[str, float]:
    """Milliseconds from start to end of each command, by name. Raises when one fails."""

    def runner(folder: Path, command: Sequence[str]) -> Callable[[], None]:
        def run() -> None:
            subprocess.run(command, cwd=folder, check=True, capture_output=True)

        return run

    return calls({name: runner(*one) for name, one in wanted.items()}, rounds)


def calls(wanted: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of each call, by name."""
    best = dict.fromkeys(wanted, float("inf"))
    for _ in range(rounds):
        for name, call in wanted.items():
            begun = time.perf_counter()
            call()
            best[name] = min(best[name], (time.perf_counter() - begun) * 1000)
    return best


def once(call: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    return calls({"": call}, 1)[""]
