"""The report in a real browser: a phone and a desktop, light and dark, with and without scripts.

What a page may do is decided by the browser and not by what we think of our HTML: so it is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from browser import Browser, Shown, browser
from conftest import require
from lifeos.core.report.page import page as markdown
from lifeos.core.report.tell import Source, report
from lifeos.report.html import page
from report_scene import source

PHONE, DESKTOP = 390, 1280
SCHEMES = ("light", "dark")
ROOT = Path(__file__).parents[2]
MERMAID = ROOT / "docs" / "site" / "node" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
AXE = Path(__file__).parent / "node" / "node_modules" / "axe-core" / "axe.min.js"

NASTY = (
    "<script>document.title='owned'</script></style></title></textarea><img src=x onerror="
    "\"document.title='owned'\"><svg onload=\"document.title='owned'\"><base href=//a.invalid>"
    "<meta http-equiv=refresh content=0;url=//a.invalid><style>*{display:none}</style>"
    "\u202egnp.exe\u2066 {{ 7*7 }} {% raw %} &lt;b&gt; ' \" ` --> ]]> \x00\x1b[31m"
)
LONG = "x" * 10_000
MARKDOWN = f"""\
# {NASTY}

<script>document.title='owned'</script>
<iframe src="https://a.invalid"></iframe>

[click](javascript:alert(1)) ![p](https://a.invalid/p.png) <https://a.invalid>
[r]: javascript:alert(1)
[r] {LONG}

| a | b |
| --- | --- |
| <img src=https://a.invalid/p.png onerror=alert(1)> | {LONG} |

```html
<script>document.title='owned'</script>
{LONG}
```
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all of them; each test has a page of its own."""
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The addresses of a report of much, one of nothing, and one of what is meant to do harm."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, made in (
        ("much", replace(source(90), runs=14)),
        ("nothing", source(0, "")),
        ("hostile", hostile()),
    ):
        target = folder / f"{name}.html"
        target.write_text(page(report(made)), encoding="utf-8")
        found[name] = target.as_uri()
    return found


def hostile() -> Source:
    """Every text that somebody else could have written tries to act, or is very long."""
    made = source(12, f"- [ ] {NASTY[:150]}\n- [ ] {LONG}\n- [!] **LO-x** {LONG}\n")
    runs = tuple(
        run.model_copy(
            update={
                "title": NASTY if i % 2 else LONG,
                "task": NASTY if i % 2 else LONG,
                "landed": run.landed and NASTY,
                "reason": run.reason and NASTY,
                "attempts": tuple(_poisoned(one) for one in run.attempts),
                "questions": tuple(
                    one.model_copy(
                        update={
                            "item": NASTY,
                            "question": NASTY + LONG,
                            "comment": NASTY,
                            "who": NASTY,
                            "rule": LONG,
                        }
                    )
                    for one in run.questions
                ),
            }
        )
        for i, run in enumerate(made.chronicle.runs)
    )
    open_runs = {
        run.id: run.model_copy(update={"title": NASTY, "task": LONG})
        for run in made.snapshot.runs.values()
    }
    items = {
        item.id: item.model_copy(update={"question": NASTY + LONG, "rule": NASTY})
        for item in made.snapshot.items.values()
    }
    return replace(
        made,
        project=NASTY,
        branch=NASTY,
        chronicle=made.chronicle.model_copy(update={"runs": runs}),
        snapshot=made.snapshot.model_copy(update={"runs": open_runs, "items": items}),
        packets={run.id: MARKDOWN for run in runs},
        pending=dict.fromkeys(items, MARKDOWN),
        links=dict.fromkeys(items, "javascript:document.title='owned'"),
        runs=8,
    )


def _poisoned(attempt: Any) -> Any:  # Any: what a test pokes into
    facts = attempt.facts
    checks = tuple(check.model_copy(update={"name": NASTY}) for check in facts.checks)
    breaches = tuple(
        breach.model_copy(update={"path": LONG, "message": NASTY, "kind": NASTY})
        for breach in facts.breaches
    )
    poison = {"message": NASTY + LONG, "checks": checks, "breaches": breaches}
    return attempt.model_copy(update={"rule": NASTY, "facts": facts.model_copy(update=poison)})


def opened(shown: Shown) -> Shown:
    """The page with everything unfolded, as a person could have it."""
    shown.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    return shown


# --- it is shown ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, PHONE, 768, DESKTOP])
@pytest.mark.parametrize("name", ["much", "nothing", "hostile"])
def test_nothing_is_wider_than_the_screen(
    chromium: Browser, pages: dict[str, str], name: str, width: int
) -> None:
    """Folded and unfolded; what is wider scrolls by itself."""
    shown = chromium.open(pages[name], width=width)
    for _ in range(2):
        assert shown.ask("document.documentElement.scrollWidth") == width
        assert shown.ask(OUTSIDE) == []
        opened(shown)


OUTSIDE = """
[...document.querySelectorAll('body *')]
  .filter(one => !one.closest('.scroll, pre, .hidden, .defs, .skip, svg *, thead'))
  .filter(one => one.getClientRects().length)
  .filter(one => one.getBoundingClientRect().right > innerWidth + 0.5)
  .map(one => one.outerHTML.slice(0, 100))
"""


@pytest.mark.parametrize("name", ["much", "nothing", "hostile"])
def test_the_browser_has_nothing_to_say_and_fetches_nothing(
    chromium: Browser, pages: dict[str, str], name: str
) -> None:
    """No message of any level, so no policy was broken; the one request is the page itself."""
    shown = opened(chromium.open(pages[name]))
    shown.ask("new Promise(done => setTimeout(done, 300))")
    assert shown.problems == []
    assert shown.requests == [pages[name]]


@pytest.mark.parametrize("name", ["much", "hostile"])
def test_it_says_the_same_without_scripts(
    chromium: Browser, pages: dict[str, str], name: str
) -> None:
    """There are none: what is there with scripts off is what is there with them on."""
    text = [
        chromium.open(pages[name], scripts=scripts).ask("document.body.textContent")
        for scripts in (True, False)
    ]
    assert text[0] == text[1]
    assert len(text[0]) > 5000


def test_a_run_unfolds_without_a_script(chromium: Browser, pages: dict[str, str]) -> None:
    shown = chromium.open(pages["much"], scripts=False)
    first = "document.querySelector('.run')"
    visible = f"{first}.querySelector('table').checkVisibility({{contentVisibilityAuto: true}})"
    assert shown.ask(visible) is False
    shown.ask(f"{first}.querySelector('summary').click()")
    shown.picture()  # what was unfolded is laid out with the next picture
    assert shown.ask(visible) is True


def test_everything_can_be_reached_by_keyboard(chromium: Browser, pages: dict[str, str]) -> None:
    """The first step is past the head of the page; each run is one; all of them can be seen."""
    shown = chromium.open(pages["much"])
    seen = []
    for _ in range(16):
        for kind in ("keyDown", "keyUp"):
            key = {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
            chromium.call("Input.dispatchKeyEvent", key, shown.session)
        seen.append(shown.ask("document.activeElement.outerHTML.slice(0, 60)"))
        assert shown.ask("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert 'class="skip"' in seen[0]
    assert sum('href="#' in one for one in seen) == 7
    assert any("<summary" in one for one in seen)


# --- it can do nothing ---------------------------------------------------------------------------


def test_what_others_wrote_is_only_text(chromium: Browser, pages: dict[str, str]) -> None:
    """No element, attribute or address of theirs; what they wrote can be read."""
    shown = opened(chromium.open(pages["hostile"]))
    assert shown.ask("document.title").endswith("lifeos report")
    assert "owned'</script>" in shown.ask("document.title")
    count = "document.querySelectorAll('{}').length"
    for selector in ("script", "img", "iframe", "base", "object", "embed", "form", "input"):
        assert shown.ask(count.format(selector)) == 0, selector
    assert shown.ask(count.format("style")) == 1
    assert shown.ask(count.format("meta[http-equiv]")) == 1
    assert shown.ask(count.format("[style]")) == 0
    links = shown.ask("[...document.querySelectorAll('[href]')].map(x => x.getAttribute('href'))")
    assert {one for one in links if not one.startswith("#")} == {"data:,"}
    handlers = (
        "[...document.querySelectorAll('*')].flatMap(x => x.getAttributeNames())"
        ".filter(x => x.startsWith('on') || x === 'srcdoc' || x.includes(':'))"
    )
    assert shown.ask(handlers) == []
    text = shown.ask("document.body.textContent")
    for sign in ("\u202e", "\u2066", "\x1b", "\x00"):
        assert sign not in text
    assert "<iframe src=" in text
    assert "{{ 7*7 }}" in text


def test_the_policy_stops_what_would_slip_through(
    chromium: Browser, pages: dict[str, str], tmp_path: Path
) -> None:
    """The second wall by itself: a page with their elements in it runs and fetches none of them."""
    text = Path(pages["much"].removeprefix("file://")).read_text(encoding="utf-8")
    wall = tmp_path / "wall.html"
    inside = (
        "<script>document.title='owned'</script><img src='https://a.invalid/p.png' "
        "onerror=\"document.title='owned'\"><p style='position:fixed' id=p>x</p>"
        "<link rel=stylesheet href='https://a.invalid/s.css'>"
        "<style>#p { display: none }</style><iframe src='https://a.invalid'></iframe>"
    )
    wall.write_text(text.replace("<main>", f"<main>{inside}", 1), encoding="utf-8")
    shown = chromium.open(wall.as_uri())
    assert shown.ask("document.title") == "acme/billing: lifeos report"
    looks = "getComputedStyle(document.getElementById('p'))"
    assert shown.ask(f"{looks}.display") == "block"
    assert shown.ask(f"{looks}.position") == "static"
    assert len(shown.problems) >= 5
    assert all("Content Security Policy" in problem for problem in shown.problems)


# --- everybody can read it -----------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("name", ["much", "nothing"])
def test_axe_finds_nothing(
    chromium: Browser, pages: dict[str, str], name: str, width: int, scheme: str
) -> None:
    """Landmarks, names, headings, tables, contrast: all its rules, with everything unfolded."""
    how = "npm ci --ignore-scripts --no-audit --no-fund in tests/report/node"
    require("axe-core", AXE.is_file(), how)
    shown = chromium.open(pages[name], width=width)
    shown.see(prefers_color_scheme=scheme)
    opened(shown)
    shown.ask(AXE.read_text(encoding="utf-8") + ";0")
    found = shown.ask(
        "axe.run(document, {resultTypes: ['violations']}).then(said => said.violations.map(one =>"
        " one.id + ': ' + one.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary)))"
    )
    assert found == []


def test_light_and_dark_differ_and_follow_the_person(
    chromium: Browser, pages: dict[str, str]
) -> None:
    shown = chromium.open(pages["much"])
    looks = {}
    for scheme in SCHEMES:
        shown.see(prefers_color_scheme=scheme)
        body = "getComputedStyle(document.body)"
        looks[scheme] = (shown.ask(f"{body}.backgroundColor"), shown.ask(f"{body}.color"))
    levels = {scheme: [brightness(colour) for colour in pair] for scheme, pair in looks.items()}
    assert levels["light"][0] > levels["light"][1] + 150
    assert levels["dark"][1] > levels["dark"][0] + 150


def brightness(colour: str) -> float:
    """Of "rgb(1, 2, 3)", from 0 to 255."""
    return sum(float(part) for part in colour[4:-1].split(",")) / 3


@pytest.mark.parametrize("scheme", SCHEMES)
def test_marks_stand_out_from_what_is_behind_them(
    chromium: Browser, pages: dict[str, str], scheme: str
) -> None:
    """What is drawn and means something: three to one, as for all that is not writing."""
    shown = chromium.open(pages["much"])
    shown.see(prefers_color_scheme=scheme)
    opened(shown)
    for selector, of, behind in (
        (".bar.good", "fill", ".run"),
        (".bar.against", "stroke", ".run"),
        (".bar.failed", "stroke", ".run"),
        (".bar.rested", "stroke", ".run"),
        (".bar.going", "stroke", ".run"),
        (".bar.asked", "stroke", ".run"),
        (".part-0", "fill", ".card"),
        (".part-1", "stroke", ".card"),
        (".stroke", "stroke", ".card"),
        (".meter .used", "fill", ".card"),
    ):
        colours = [
            shown.ask(f"getComputedStyle(document.querySelector('{one}')).{what}")
            for one, what in ((selector, of), (behind, "backgroundColor"))
        ]
        assert contrast(*colours) >= 3, (selector, colours)


def contrast(one: str, other: str) -> float:
    """The ratio of two colours, as WCAG defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """How bright "rgb(1, 2, 3)" is, from 0 to 1."""
    parts = [float(part) / 255 for part in colour[4:-1].split(",")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_who_wants_nothing_to_move_is_heard(chromium: Browser, pages: dict[str, str]) -> None:
    shown = chromium.open(pages["much"])
    ways = {}
    for wish in ("no-preference", "reduce"):
        shown.see(prefers_reduced_motion=wish)
        ways[wish] = shown.ask("getComputedStyle(document.documentElement).scrollBehavior")
    assert ways == {"no-preference": "smooth", "reduce": "auto"}
    assert shown.ask("document.getAnimations().length") == 0


def test_writing_in_pictures_does_not_overlap(chromium: Browser, pages: dict[str, str]) -> None:
    """And is never smaller than eleven pixels, on a phone too."""
    for width in (PHONE, DESKTOP):
        shown = opened(chromium.open(pages["much"], width=width))
        boxes = shown.ask(
            "[...document.querySelectorAll('svg text')].map(one => {"
            "const b = one.getBoundingClientRect();"
            "return [b.left, b.top, b.right, b.bottom, parseFloat(getComputedStyle(one).fontSize)]"
            "})"
        )
        assert boxes
        assert min(box[4] for box in boxes) >= 11
        for i, (left, top, right, bottom, _) in enumerate(boxes):
            for other in boxes[i + 1 :]:
                apart = right <= other[0] or other[2] <= left or bottom <= other[1]
                assert apart or other[3] <= top, (boxes[i], other)


def test_names_of_rows_stand_beside_their_rows(chromium: Browser, pages: dict[str, str]) -> None:
    """A stage's name is at the height of its line, in every picture of a run."""
    for width in (PHONE, DESKTOP):
        shown = opened(chromium.open(pages["much"], width=width))
        off = shown.ask(
            "[...document.querySelectorAll('.course')].flatMap(one => {"
            "const names = [...one.querySelectorAll('.names li')];"
            "const lines = [...one.querySelectorAll('svg > .ground')];"
            "return names.map((name, i) => { const a = name.getBoundingClientRect(),"
            " b = lines[i].getBoundingClientRect();"
            " return Math.abs((a.top + a.bottom) / 2 - b.top) }) })"
        )
        assert len(off) > 80
        assert max(off) < 2


# --- and Markdown --------------------------------------------------------------------------------


def test_mermaid_draws_the_diagrams_of_the_markdown(chromium: Browser, tmp_path: Path) -> None:
    """By the program that forges use; a word that it cannot read would leave an error there."""
    how = "npm ci --ignore-scripts --no-audit --no-fund in docs/site/node"
    require("Mermaid", MERMAID.is_file(), how)
    text = markdown(report(replace(hostile(), runs=20)))
    diagrams = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    assert {one.split()[0] for one in diagrams} == {"xychart-beta", "pie", "gantt"}
    empty = tmp_path / "empty.html"
    empty.write_text("<!doctype html><title>x</title><body>")
    shown = chromium.open(empty.as_uri())
    shown.ask(MERMAID.read_text(encoding="utf-8") + ";0")
    for i, one in enumerate(diagrams):
        drawn = shown.ask(f"mermaid.render('d{i}', {json.dumps(one)}).then(x => x.svg, String)")
        assert drawn.startswith("<svg"), (one, drawn)
        if one.startswith("gantt"):
            bars = re.findall(r'<rect [^>]*class="task ', drawn)
            assert len(bars) == len(re.findall(r"(?m)^  .*? :", one))
