"""The documentation's site: built without a warning, complete, and asking no other host."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import require

ROOT = Path(__file__).parents[1]
MERMAID = ROOT / "docs/site/node/node_modules/mermaid/dist/mermaid.min.js"
_LOADED = re.compile(r"""<(?:script|link|img|iframe)[^>]*?(?:src|href)=["']([^"']+)""")
_STYLE = re.compile(r"(?:url\(|@import)\s*([^)\s]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as script/docs builds it."""
    out = tmp_path_factory.mktemp("site")
    options = ("-q", "-W", "--keep-going", "-b", "html", "-c", "docs/site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, ".", str(out)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_in_it(site: Path) -> None:
    """Every document for people has its page; the four parts are in the list on each."""
    for page in [*ROOT.glob("docs/*.md"), *ROOT.glob("docs/reference/*.md"), ROOT / "README.md"]:
        made = site / page.relative_to(ROOT).with_suffix(".html")
        assert made.exists(), page
        text = made.read_text(encoding="utf-8")
        for part in ("Begin", "How to", "Reference", "Explanation"):
            assert f">{part}</span>" in text, page


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    """Scripts, styles, pictures and fonts are beside the pages."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        for address in _LOADED.findall(page.read_text(encoding="utf-8")):
            assert not re.match(r"(https?:)?//", address), (page, address)
    for sheet in site.rglob("*.css"):
        for address in _STYLE.findall(sheet.read_text(encoding="utf-8")):
            assert not re.match(r"""["']?(https?:)?//""", address), (sheet, address)


def test_diagrams_are_drawn(site: Path, tmp_path: Path) -> None:
    """In a real browser, every diagram of the architecture becomes a picture, and none an error."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or ""
    require("Chromium", bool(chromium), "apt-get install chromium")
    require("Mermaid", MERMAID.exists(), "npm ci --ignore-scripts in docs/site/node (Node.js 20)")
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
    page = site / "ARCHITECTURE.html"
    done = subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", *quiet),
            *(f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=20000"),
            *("--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = re.findall(r'<pre class="mermaid"[^>]*>(.*?)</pre>', done.stdout, re.DOTALL)
    wanted = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").count("```mermaid")
    assert len(shown) == wanted > 0
    assert all("<svg" in one and "Syntax error" not in one for one in shown)
