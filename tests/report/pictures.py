"""Pictures of the report, to be looked at: python tests/report/pictures.py FOLDER [PAGE.html]

On a phone and a desk, light and dark, folded and with the first runs unfolded. Without a page it is
the shipped past of 200 runs (``past_scene``), as it was seen when it ended.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from browser import Browser, browser
from lifeos.cli.here import look_at
from lifeos.cli.reported import source_of
from lifeos.core.report.tell import report
from lifeos.report.html import page
from lifeos.store.repo import Repo
from past_scene import past

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
TALLEST = 6000  # pixels of one picture
UNFOLD = "[...document.querySelectorAll('details.run')].slice(0, 5).forEach(one => one.open = true)"


def take(chromium: Browser, address: str, folder: Path) -> None:
    """All pictures of one page."""
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark"):
            shown = chromium.open(address, width=width)
            shown.see(prefers_color_scheme=scheme)
            name = f"{size}-{scheme}"
            (folder / f"{name}.png").write_bytes(shown.picture())
            tall = min(shown.ask("document.documentElement.scrollHeight"), TALLEST)
            clip = {"x": 0, "y": 0, "width": width, "height": max(tall, height)}
            (folder / f"{name}-whole.png").write_bytes(shown.picture(whole=True, clip=clip))
            shown.ask(UNFOLD)
            top = shown.ask("document.getElementById('runs').offsetTop")
            clip |= {"y": top, "height": 3200}
            (folder / f"{name}-runs.png").write_bytes(shown.picture(whole=True, clip=clip))


def take_for_docs(chromium: Browser, address: str, folder: Path) -> None:
    """The two that docs/images has: the numbers on a desk, and what waits on a phone."""
    shown = chromium.open(address)
    shown.see(prefers_color_scheme="light")
    edges = "[document.getElementById('numbers'), document.getElementById('landed')]"
    top, until = shown.ask(f"{edges}.map(one => one.offsetTop)")
    clip = {"x": 0, "y": top + 1, "width": 1280, "height": until - top - 1, "scale": 0.75}
    (folder / "report-desktop.png").write_bytes(shown.picture(whole=True, clip=clip))
    shown = chromium.open(address, width=390)
    shown.see(prefers_color_scheme="dark")
    (folder / "report-phone.png").write_bytes(shown.picture())


def shop() -> str:
    """The page of the shipped past, as it would have been written in its last minute."""
    with tempfile.TemporaryDirectory() as place:
        with Repo.open(past(Path(place)).folder) as repo:
            then = source_of(look_at(repo), "lifeos/ledger", "", 50)
        return page(report(replace(then, project="shop", past=False)))


def main() -> int:
    """Take them."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) > 2:
        target = Path(sys.argv[2]).resolve()
    else:
        target = (folder / "report.html").resolve()
        target.write_text(shop(), encoding="utf-8")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        browser(Path(profile)) as chromium,
    ):
        take(chromium, target.as_uri(), folder)
        take_for_docs(chromium, target.as_uri(), folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
