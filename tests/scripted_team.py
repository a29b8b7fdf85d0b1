"""A whole team on one scripted model: the designer, the planner, the builder and every seat.

Each role is known by its prompt. By default the designer and the planner answer what fits the task,
and every seat accepts with evidence; a test says what the builder does, and who does otherwise.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import require
from lifeos.agents.shipped import prompt
from lifeos.core.prompts import NAMES
from scripted_model import Step, Turn, text

PINNED = Path(__file__).parent / "opencode" / "node_modules"
VERSION = "1.18.33"


NAMED = os.environ.get("LIFEOS_TEST_OPENCODE")  # read before a test seals the environment
HOW = "npm ci --ignore-scripts in tests/opencode, or set LIFEOS_TEST_OPENCODE to the program"


def place() -> Path | None:
    """Where the real OpenCode is, if it is anywhere."""
    kinds = sorted(PINNED.glob("opencode-linux-*/bin/opencode"))
    return Path(NAMED) if NAMED else next(iter(kinds), None)


def opencode() -> Path:
    """The real OpenCode; skips the test where there is none, and fails it in CI."""
    found = place()
    present = found is not None and found.is_file() and platform.system() == "Linux"
    require(f"OpenCode {VERSION}", present, HOW)
    assert found is not None
    return found


def on_path(folder: Path) -> Path:
    """A folder for PATH in which the real OpenCode is called `opencode`."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "opencode"
    if not place.exists():
        place.symlink_to(opencode())
    assert shutil.which("opencode", path=str(folder))
    return folder


def role_of(turn: Turn) -> str:
    """Whose prompt this is: the name of the role whose shipped text stands in it."""
    found = [name for name in NAMES if prompt(name).strip() in turn.user]
    assert len(found) == 1, f"{len(found)} roles in: {turn.user[:200]!r}"
    return found[0]


def answer(value: Mapping[str, Any]) -> Step:
    """An answer in a schema."""
    return text(f"Here it is.\n\n```json\n{json.dumps(value, indent=1)}\n```")


def part(turn: Turn, name: str) -> str:
    """What stands between the marks of one part of the prompt."""
    nonce = nonce_of(turn)
    begin, end = (f"<<<lifeos-{kind} {nonce} name={name}>>>" for kind in ("data", "end"))
    return turn.user.partition(begin)[2].partition(end)[0].strip("\n")


def nonce_of(turn: Turn) -> str:
    """The nonce of the prompt's marks."""
    found = re.search(r"<<<lifeos-data ([A-Za-z0-9_-]+) name=", turn.user)
    assert found, turn.user[:500]
    return found[1]


def items(turn: Turn) -> range:
    """The numbers of the task's acceptance items."""
    said = part(turn, "task.md").partition("\nAcceptance:\n")[2]
    return range(1, len(re.findall(r"^\d+\. ", said, re.MULTILINE)) + 1)


def design(turn: Turn) -> Step:
    """A design that fits."""
    return answer(
        {
            "summary": "What the task asks for.",
            "approach": "The smallest change that makes the acceptance items true.",
            "acceptance": [{"item": n, "proof": "its command"} for n in items(turn)],
            "scope": ["src/**"],
            "risk_level": "low",
            "different": "Another approach, from the cause.",
        }
    )


def plan(*paths: str) -> Callable[[Turn], Step]:
    """A plan that fits and expects these paths to change."""

    def made(turn: Turn) -> Step:
        step = {"what": "Make the change.", "why": "It is the task.", "paths": list(paths)}
        return answer(
            {
                "summary": "One step.",
                "steps": [step],
                "expected_paths": list(paths),
                "acceptance": [{"item": n, "steps": [1]} for n in items(turn)],
                "undo": "Nothing beside the files.",
                "risk_level": "low",
                "different": "Another approach, from the cause.",
            }
        )

    return made


def verdict(turn: Turn, said: str = "accept", /, **more: Any) -> Step:
    """A seat's answer, with the first line of the task as its evidence."""
    first = part(turn, "task.md").split("\n")[0].partition("| ")[2].strip()
    place = {"path": "task.md", "line": 1, "quote": first}
    value = {"nonce": nonce_of(turn), "verdict": said, "evidence": [place], "confidence": 0.9}
    return answer({**value, **more})


def finding(path: str, line: int, quote: str, severity: str = "P1") -> dict[str, Any]:
    """A finding of a seat."""
    place = {"path": path, "line": line, "quote": quote}
    claim = "This is not right yet."
    return {"severity": severity, "category": "correctness", "claim": claim, "reference": place}


@dataclass
class Team:
    """A script for ``ScriptedModel``. ``roles`` holds who does otherwise, by the role's name."""

    builder: Callable[[Turn], Step]
    paths: tuple[str, ...] = ("src/**",)
    roles: dict[str, Callable[[Turn], Step]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, turn: Turn) -> Step:
        """What the role whose turn it is says."""
        role = role_of(turn)
        self.asked.append(role)
        usual = {"designer": design, "planner": plan(*self.paths), "builder": self.builder}
        usual["doc_steward"] = self.builder
        return {**usual, **self.roles}.get(role, verdict)(turn)
