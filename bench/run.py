"""Measures what lifeos costs, as ratios within one run. See docs/reference/cost.md.

--quick            a minute in CI: that it works, no figures to rely on
--install-peers    install the tools to compare with, then stop
--write            everything, and write docs/reference/cost.md
--rows NAME        only these; `scale` are the pieces of docs/reference/scale.md
--rows NAME --write  only these, where nothing is compared, and put them into the page
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import rows_agent
import rows_backtest
import rows_ledger
import rows_matrix
import rows_past
import rows_provenance
import rows_remote
import rows_scale
import rows_start
import rows_work
from page import Row, machine, merged, page, table
from peers import Peers, default_folder, find, install
from scene import FULL, QUICK, Scene, say, scene

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cost.md"

ROWS: Mapping[str, Callable[[Scene, Peers], list[Row]]] = {
    "start": rows_start.rows,
    "ledger": rows_ledger.rows,
    "work": lambda place, _peers: rows_work.rows(place),
    "agent": lambda place, _peers: rows_agent.rows(place),
    "remote": lambda place, _peers: rows_remote.rows(place),
    "matrix": lambda place, _peers: rows_matrix.rows(place),
    "past": lambda place, _peers: rows_past.rows(place),
    "backtest": lambda place, _peers: rows_backtest.rows(place),
    "provenance": lambda place, _peers: rows_provenance.rows(place),
    "scale": lambda place, _peers: rows_scale.rows(place),
}
PAGE_ROWS = (
    "start",
    "ledger",
    "work",
    "agent",
    "remote",
    "matrix",
    "past",
    "backtest",
    "provenance",
)


def main() -> int:
    """Measure, print, and write if asked to. 0: it was measured; whether figures are reached or
    not is for people to judge.
    """
    arguments = _arguments()
    folder = arguments.peers or default_folder()
    if arguments.install_peers:
        install(folder)
        print("installed: " + "; ".join(find(folder).named))
        return 0
    peers = Peers(None, None) if arguments.quick else find(folder)
    named = peers.named
    load = f"{os.getloadavg()[0]:.1f}"
    with scene(QUICK if arguments.quick else FULL, arguments.keep) as place:
        rows = measure(place, peers, arguments.rows)
    print(machine())
    print(table(rows))
    for row in rows:
        if row.note:
            print(f"- {row.what}: {row.note}")
    print("compared with: " + "; ".join(named))
    if arguments.write:
        old = PAGE.read_text(encoding="utf-8")
        new = merged(old, rows, load) if arguments.rows else page(rows, named, load)
        PAGE.write_text(new, encoding="utf-8")
        say(f"wrote {PAGE}")
    return 0


def measure(place: Scene, peers: Peers, only: str = "") -> list[Row]:
    """The rows of the page, in its order; or only those of one part."""
    return [row for part in ([only] if only else PAGE_ROWS) for row in ROWS[part](place, peers)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="small, and without peers")
    parser.add_argument("--rows", choices=ROWS, default="", help="only these")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--install-peers", action="store_true", help="install what is compared")
    parser.add_argument("--peers", type=Path, help="the folder that they are in")
    parser.add_argument("--keep", type=Path, help="a folder to work in, kept and used again")
    arguments = parser.parse_args()
    if arguments.write and (arguments.quick or arguments.rows == "scale"):
        parser.error("--write writes the page, from full measurements of what stands in it")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
