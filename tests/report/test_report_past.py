"""The report of 200 runs that the real loop made, in a real browser: what a person sees of them.

What to expect is computed from what git prints (``metrics_again``) and from the word of those who
made that past; nothing that lifeos read back is believed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_report_browser import AXE, DESKTOP, OUTSIDE, PHONE, opened

import metrics_again
from browser import Browser, Shown, browser
from command_line import Project
from conftest import require
from lifeos.core.metrics.values import Unit
from lifeos.core.report.words import amount, plural
from past_scene import Run, past, story

NARROW = 320
UNITS = {
    "without_ceo": Unit.SHARE,
    "escalations": Unit.SHARE,
    "time_to_close": Unit.SECONDS,
    "review_rejections": Unit.SHARE,
    "flakes": Unit.SHARE,
    "waivers": Unit.COUNT,
    "cost_per_landed": Unit.DOLLARS,
    "approval_latency": Unit.SECONDS,
}
"""What the page shows, in its order."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone of it; nothing here changes it."""
    return past(tmp_path_factory.mktemp("past"))


@pytest.fixture(scope="module")
def address(scene: Project, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as the command writes it, of when that past ended."""
    target = tmp_path_factory.mktemp("page") / "report.html"
    scene.cli("report", "--at", "lifeos/ledger", "-o", str(target))
    return target.as_uri()


@pytest.fixture(scope="module")
def few(scene: Project, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same with the last runs alone: what judges every element takes its time for each."""
    target = tmp_path_factory.mktemp("few") / "report.html"
    scene.cli("report", "--at", "lifeos/ledger", "--runs", "6", "-o", str(target))
    return target.as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all of them."""
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def desk(chromium: Browser, address: str) -> Shown:
    """The page on a desk, as it comes."""
    return chromium.open(address, width=DESKTOP)


@pytest.fixture(scope="module")
def records(scene: Project) -> metrics_again.Records:
    """What git prints, as json reads it."""
    return metrics_again.records_of(scene.folder)


def texts(shown: Shown, selector: str) -> list[str]:
    """The text of each of these elements, with plain spaces."""
    found = shown.ask(f"[...document.querySelectorAll('{selector}')].map(one => one.textContent)")
    return [" ".join(text.split()) for text in found]


# --- it can be looked at --------------------------------------------------------------------------


@pytest.mark.parametrize("width", [NARROW, PHONE, DESKTOP])
def test_it_fits_every_screen_and_fetches_nothing(
    chromium: Browser, address: str, width: int
) -> None:
    """Folded, and with all runs, questions and packets unfolded; the browser has no complaint."""
    shown = chromium.open(address, width=width)
    for _ in range(2):
        assert shown.ask("document.documentElement.scrollWidth") == width
        assert shown.ask(OUTSIDE) == []
        opened(shown)
    assert shown.problems == []
    assert shown.requests == [address]


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_everybody_can_read_it(chromium: Browser, few: str, width: int, scheme: str) -> None:
    """axe's rules, contrast among them, with runs, questions and packets unfolded."""
    how = "npm ci --ignore-scripts --no-audit --no-fund in tests/report/node"
    require("axe-core", AXE.is_file(), how)
    shown = opened(chromium.open(few, width=width))
    shown.see(prefers_color_scheme=scheme)
    shown.ask(AXE.read_text(encoding="utf-8") + ";0")
    found = shown.ask(
        "axe.run(document, {resultTypes: ['violations']}).then(said => said.violations.map(one =>"
        " one.id + ': ' + one.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary)))"
    )
    assert found == []


# --- the numbers ----------------------------------------------------------------------------------


def test_each_number_on_the_page_is_what_another_reader_computes(
    desk: Shown, records: metrics_again.Records
) -> None:
    """Of all of it, which is less than half a year; with what each was counted from."""
    end = max(record["at"] for record in records) + 1
    again = metrics_again.numbers(records, 0, end)
    assert texts(desk, ".figure .value") == [
        amount(again[name].value, unit) for name, unit in UNITS.items()
    ]
    for (name, unit), basis in zip(UNITS.items(), texts(desk, ".figure .basis"), strict=True):
        number = again[name]
        assert f"{number.denominator:,} " in basis, name
        behind = number.median if unit is Unit.SECONDS else number.numerator
        shown = f"{number.numerator:,.0f} " if unit is Unit.SHARE else amount(behind, unit)
        assert shown in basis, name
    stages = again["review_rejections"].parts
    bars = dict(zip(metrics_again.REVIEWS, texts(desk, ".bars .name")[:3], strict=True))
    for stage, told in bars.items():
        against, reviews = stages[stage]
        assert f"{against:.0f} of {reviews} " in told


def test_each_period_has_what_ended_and_what_was_spent_in_it(
    scene: Project, records: metrics_again.Records
) -> None:
    """The pictures are drawn from these; that they are drawn of them, tests/core shows."""
    trends = scene.cli("report", "--at", "lifeos/ledger", "--json").data["trends"]
    told = metrics_again.Story(records)
    attempts = [one for run in told.runs.values() for one in run["attempts"]]
    assert len(trends["periods"]) >= 8
    for period, closes, cost in zip(
        trends["periods"], trends["closes"], trends["costs"], strict=True
    ):
        since, until = period["since"], period["until"]
        runs = told.closed(since, until)
        landed = [run for run in runs if metrics_again.passed(run)]
        asked = [run for run in landed if any(map(metrics_again.by_person, told.asked(run)))]
        assert closes == {
            "alone": len(landed) - len(asked),
            "asked": len(asked),
            "not_landed": len(runs) - len(landed),
        }
        spent = [
            one["facts"].get("usage", {}).get("cost", 0)
            for one in attempts
            if since <= one["at"] < until
        ]
        assert cost == pytest.approx(sum(spent))
    again = [
        metrics_again.numbers(records, one["since"], one["until"]) for one in trends["periods"]
    ]
    assert [one["name"] for one in trends["figures"]] == [*UNITS]
    for figure in trends["figures"]:
        expected = [one[figure["name"]].value for one in again]
        assert figure["series"] == pytest.approx(expected), figure["name"]


def test_a_ledger_that_rested_is_not_shown_as_empty(scene: Project) -> None:
    """Looked at much later, the numbers end where something ended last."""
    trends = scene.cli("report", "--json").data["trends"]
    assert trends["until"] == max(run.closed_at or 0 for run in story().runs)
    assert sum(sum(one.values()) for one in trends["closes"]) == len(story().closed)


# --- what is now ----------------------------------------------------------------------------------


def test_what_waits_and_what_is_open_is_what_the_makers_left_so(desk: Shown) -> None:
    """Every open question with its whole text and how to answer; every open run."""
    runs = [run for run in story().runs if not run.closed]
    waits = {
        one.item
        for run in runs
        for one in run.questions
        if one.answered_at is None and one.over_at is None
    }
    waits |= {one.item for one in story().events if one.what == "asked" and not one.decision}
    assert set(texts(desk, ".ask .head .id")) == waits
    assert set(texts(desk, ".ask .do code")) == {f"lifeos approve {item}" for item in waits}
    assert len(texts(desk, ".ask details .packet")) == len(waits) > 0
    rows = texts(desk, "#open tbody .id:last-child")
    assert set(rows) == {run.run for run in runs}
    assert len(runs) > 1
    counts = texts(desk, "nav .count")
    landed = sum(run.outcome == "pass" for run in story().runs)
    assert counts[:2] == [str(len(waits)), str(len(runs))]
    assert counts[3:] == [str(landed), str(len(story().runs))]


def test_the_board_has_every_task_once(scene: Project, desk: Shown) -> None:
    """By the marks in BACKLOG.md, as a regular expression reads them, and what was taken back."""
    found = re.findall(r"(?m)^- \[(.)\] \*\*(\S+)\*\*", scene.at_main("BACKLOG.md"))
    marks = [mark for mark, _ in found]
    heads = [one.rpartition(" ") for one in texts(desk, ".lane h3")]
    lanes = {name: int(count) for name, _, count in heads}
    assert sum(lanes.values()) == len(marks)
    assert texts(desk, "nav .count")[2] == str(len(marks))
    assert lanes["Done"] == marks.count("x")
    assert lanes["Dropped"] == marks.count("-")
    going = {run.task for run in story().runs if not run.closed}
    tried = {run.task for run in story().runs} - going
    reopened = sum(mark == " " and task in tried for mark, task in found)
    assert lanes["Blocked"] == marks.count("!") + reopened
    assert reopened
    assert lanes["Runs"] + lanes["Asks you"] == len(going)


def test_an_id_is_never_cut_at_the_end_of_a_line(chromium: Browser, address: str) -> None:
    """In cards and titles too, where it stands among words: people copy it from there."""
    shown = chromium.open(address, width=DESKTOP)
    lines = shown.ask("[...document.querySelectorAll('.whole')].map(x => x.innerText.trim())")
    assert any(line.startswith("LO-") for line in lines)
    heights = "[...document.querySelectorAll('.board .whole')].map(x => x.offsetHeight)"
    assert max(shown.ask(heights)) < 2 * min(shown.ask(heights))
    assert "<span" not in shown.ask("document.body.innerText")


# --- what was -------------------------------------------------------------------------------------

STORIES = """
[...document.querySelectorAll('details.run')].map(one => ({
  run: one.querySelector('.inside .id').textContent,
  stages: [...one.querySelectorAll('.stack th[scope=row]')].map(x => x.firstChild.textContent),
  outcomes: [...one.querySelectorAll('.stack td .tag')].map(x => x.textContent),
  items: [...one.querySelectorAll('.talk .id')].map(x => x.textContent),
  packet: !!one.querySelector('details.sub .packet h5'),
  bars: one.querySelectorAll('.course svg .bar:not(.asked)').length,
  tag: one.querySelector('summary .tag').textContent,
}))
"""


def test_the_runs_unfold_into_what_the_makers_saw(desk: Shown) -> None:
    """The last fifty: each attempt in its table and in its picture, each question, the packet."""
    found: list[dict[str, Any]] = desk.ask(STORIES)
    made = {run.run: run for run in story().runs}
    assert len({one["run"] for one in found}) == len(found) == 50
    last = sorted(story().closed, key=lambda run: run.closed_at or 0)
    still = [run for run in story().runs if not run.closed]
    newest = {run.run for run in (*still, *last[len(still) - 50 :])}
    assert {one["run"] for one in found} == newest
    for one in found:
        run = made[one["run"]]
        tried = [attempt for attempt in run.attempts if attempt.finished_at is not None]
        assert [stage.strip() for stage in one["stages"]] == [
            attempt.stage.replace("_", " ") for attempt in tried
        ], run.run
        assert [word.strip() for word in one["outcomes"]] == [
            attempt.outcome.replace("_", " ") for attempt in tried
        ], run.run
        assert one["items"] == [asked.item for asked in run.questions], run.run
        assert one["bars"] >= len(tried)
        assert one["packet"] is bool(run.closed) or not run.closed
        assert one["tag"] == (shown_end(run) if run.closed else "open")


def shown_end(run: Run) -> str:
    """How its end is called on the page."""
    return "landed" if run.outcome == "pass" else run.outcome


def test_what_landed_lately_is_told_with_its_commit(desk: Shown, scene: Project) -> None:
    """The last twelve, each a commit of main."""
    rows = texts(desk, "#landed tbody tr")
    landed = [run for run in story().closed if run.landed]
    last = sorted(landed, key=lambda run: run.closed_at or 0, reverse=True)[:12]
    assert len(rows) == 12
    for row, run in zip(rows, last, strict=True):
        assert run.landed[:12] in row
        assert plural(len(run.attempts), "").split()[0] in row
        assert ("taken back" in row) is bool(run.reverted)
        scene.git("merge-base", "--is-ancestor", run.landed, "main")


def test_a_picture_of_it_is_no_blank_page(chromium: Browser, address: str, tmp_path: Path) -> None:
    """Light and dark, on a phone and a desk: each picture is another one, and none is empty."""
    taken = set()
    for width in (PHONE, DESKTOP):
        shown = chromium.open(address, width=width)
        for scheme in ("light", "dark"):
            shown.see(prefers_color_scheme=scheme)
            picture = shown.picture()
            (tmp_path / f"{width}-{scheme}.png").write_bytes(picture)
            assert len(picture) > 20_000
            taken.add(picture)
    assert len(taken) == 4
