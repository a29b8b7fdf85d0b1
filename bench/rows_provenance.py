"""What it costs to prove the whole ledger, to say where a line comes from, to look for patterns.

Over true histories: ledgers with the main that they speak of.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence

from clock import commands
from page import Row, ms
from rows_past import NOT_PROMISED, lengths
from scene import Scene, console_script
from truehistory import JOURNAL, part

ROUNDS = 3  # of what takes no minutes; the best one counts


def rows(scene: Scene) -> list[Row]:
    """Each, at each length."""
    return [
        _row(
            scene,
            "`verify`",
            ("verify",),
            1,
            "the installed command, once: it takes each decision again, merges each landing anew,"
            " compares each artifact and packet, and finds nothing.",
        ),
        _row(
            scene,
            "`why` of a line",
            ("why", f"{part(1)}:1"),
            ROUNDS,
            "the installed command: git's blame, and two readings of the whole ledger.",
        ),
        _row(
            scene,
            "`why` of a file of many landings",
            ("why", JOURNAL),
            ROUNDS,
            "the installed command; each line comes from another landing.",
        ),
        _row(
            scene,
            "`improve --dry-run`",
            ("improve", "--dry-run"),
            ROUNDS,
            "the installed command: what happened to each run (kept as the last look left it), the"
            " patterns in it, and a back-test of each proposal.",
        ),
    ]


def _row(scene: Scene, what: str, command: Sequence[str], rounds: int, note: str) -> Row:
    spent, worked = {}, []
    for count in lengths(scene):
        folder, before = scene.history(count), _worked()
        spent[count] = commands({"": (folder, (console_script(), *command))}, rounds)[""]
        worked.append((_worked() - before) / rounds)
    return Row(
        f"{what}, {_names(spent)} transitions",
        NOT_PROMISED,
        ", ".join(ms(one) for one in spent.values()),
        None,
        f"{note} The processors worked {', '.join(ms(one) for one in worked)} for it.",
    )


def _worked() -> float:
    """Milliseconds that the processors have worked for the processes started from here."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def _names(counts: dict[int, float]) -> str:
    *most, last = (f"{count:,}" for count in counts)
    return f"{', '.join(most)} and {last}" if most else last
