"""Makes the past again and ships it: ``python -m past.make`` in ``tests``. docs: data/README.md."""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path

from past.plan import Step
from past.play import Play, Told
from past.stories import make_plan

DATA = Path(__file__).parent.parent / "data"
BUNDLE = DATA / "past-200.bundle.gz"
STORY = DATA / "past-200.json"


def told_as_json(play: Play) -> dict[str, object]:
    """What happened, as the plan has it and as those saw it who made it happen."""
    return {
        "seed": play.plan.seed,
        "main": play.people.git("rev-parse", "main"),
        "ledger": play.people.git("rev-parse", "lifeos/ledger"),
        "ends_at": int(play.clock.now),
        "events": play.events,
        "runs": [_run(told) for told in play.told if told.run],
        "tasks": [_task(told) for told in play.told if told.ordinal == 1],
    }


def _task(told: Told) -> dict[str, object]:
    story = asdict(told.story)
    del story["passages"]
    return story


def _run(told: Told) -> dict[str, object]:
    story, passage = told.story, told.passage
    return {
        "run": told.run,
        "task": story.task,
        "ordinal": told.ordinal,
        "kind": story.kind if told.ordinal == 1 else "again",
        "area": story.area,
        "marks": story.marks if told.ordinal == 1 else (),
        "opened_at": told.opened_at,
        "closed_at": told.closed_at,
        "outcome": passage.outcome,
        "landed": told.landed,
        "reverted_at": told.reverted_at,
        "reverted": told.reverted,
        "repairs": story.repairs,
        "attempts": [
            {**_step(step), "claimed_at": claimed, "finished_at": finished}
            for step, claimed, finished in zip_longest(told.attempts, told.claimed, told.finished)
        ],
        "questions": told.questions,
    }


def _step(step: Step) -> dict[str, object]:
    values = asdict(step)
    mills = values.pop("mills")
    return {**values, "cost": mills / 1000}


def ship(play: Play) -> None:
    """The bundle and the story.

    git compresses each object by itself; all together, as gzip does it, are a third smaller.
    """
    plain = ("-c", "core.compression=0", "-c", "pack.compression=0")
    play.people.git(*plain, "repack", "-adF", "--quiet", "--depth=50", "--window=250")
    whole = play.folder.parent / "whole.bundle"
    play.people.git(*plain, "bundle", "create", "--quiet", str(whole), "main", "lifeos/ledger")
    BUNDLE.write_bytes(gzip.compress(whole.read_bytes(), 9, mtime=0))
    STORY.write_text(text_of(told_as_json(play)), encoding="utf-8")


def text_of(told: dict[str, object]) -> str:
    """JSON with a line for each run, task and event."""
    lines = []
    for name, value in sorted(told.items()):
        inner = json.dumps(value, sort_keys=True)
        if isinstance(value, list):
            each = ",\n  ".join(json.dumps(one, sort_keys=True) for one in value)
            inner = f"[\n  {each}\n ]"
        lines.append(f" {json.dumps(name)}: {inner}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> int:
    """Make it, in a folder that is thrown away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--say", action="store_true", help="show what the loop says")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        play = Play(Path(folder) / "past", make_plan())
        if asked.say:
            play.say = lambda line: print(int(play.clock.now), line)  # noqa: T201
        play.live()
        ship(play)
    return 0


if __name__ == "__main__":
    sys.exit(main())
