"""The report's pictures: SVG from values, in which nothing foreign can act."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as Xml

import pytest

from lifeos.core.report.charts import columns, line, meter, nice, share
from lifeos.core.report.data import RunStory
from lifeos.core.report.svg import element, named, picture, words
from lifeos.core.report.tell import report
from lifeos.core.report.timeline import ROW, rows, scale, spans, squares, timeline, told
from report_scene import NOW, source

NASTY = "</title><script>alert(1)</script>\"'\u202e<svg onload=x>"
STORIES = report(replace(source(60), runs=80)).stories


def parsed(svg: str) -> Xml.Element:
    """The picture as XML: it is well formed, and every name in it is ours."""
    root = Xml.fromstring(svg)  # noqa: S314 - a text of our own
    assert {element.tag for element in root.iter()} <= {
        *("svg", "title", "desc", "g", "rect", "line", "path", "circle", "text"),
    }
    for one in root.iter():
        assert not any(name.startswith("on") or "href" in name for name in one.attrib)
    return root


def test_text_and_attributes_are_escaped() -> None:
    svg = element("rect", named(NASTY), words(NASTY), class_=NASTY, x=1.5, y="")
    found = Xml.fromstring(svg)  # noqa: S314 - a text of our own
    clean = NASTY.replace("\u202e", "")
    assert found.attrib == {"class": clean, "x": "1.5"}
    assert found[0].text == clean
    assert "\u202e" not in svg


def test_a_picture_says_in_words_what_it_shows() -> None:
    root = parsed(picture("p", 10, "A title", "What it shows"))
    assert root.attrib["role"] == "img"
    known = {one.attrib["id"]: one.text for one in root if "id" in one.attrib}
    assert [known[name] for name in root.attrib["aria-labelledby"].split()] == [
        "A title",
        "What it shows",
    ]


def test_a_line_has_gaps_where_there_is_nothing() -> None:
    root = parsed(line("l", [1, 2, None, 3, None], "t", "d"))
    assert [path.attrib["d"].count("L") for path in root.iter("path")] == [1, 1]
    (dot,) = root.iter("circle")
    assert dot.attrib["cx"] == "75%"


@pytest.mark.parametrize("values", [[], [None], [None, None], [0, 0], [5]])
def test_a_line_of_little_is_no_error(values: list[float | None]) -> None:
    root = parsed(line("l", values, "t", "d"))
    assert len(list(root.iter("circle"))) == (1 if any(v is not None for v in values) else 0)


def test_columns_are_as_high_as_what_they_count() -> None:
    stacks = [(1.0, 2.0), (0.0, 0.0), (0.0, 4.0)]
    root = parsed(columns("c", stacks, ("a", "b"), ("x", "y", "z"), "t", "d"))
    names = [group[0].text for group in root.iter("g")]
    assert names == ["x: 1 a, 2 b", "y: nothing", "z: 4 b"]
    heights = [float(rect.attrib["height"]) + 1 for rect in root.iter("rect")]
    assert heights[1] == pytest.approx(2 * heights[0])
    assert heights[2] == pytest.approx(4 * heights[0])
    assert [text.text for text in root.iter("text")] == ["4", "2"]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (1.1, 2), (3, 4), (7, 8), (9, 10), (10.5, 20), (0.3, 0.4)]
)
def test_the_highest_line_is_a_round_number(value: float, top: float) -> None:
    assert nice(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("part", "reserved", "limit", "widths"),
    [
        (0, 0, 50, [100]),
        (25, 0, 50, [100, 50]),
        (25, 10, 50, [100, 50, 20]),
        (60, 10, 50, [100, 100]),
        (5, 0, 0, [100, 100]),
    ],
)
def test_a_meter_never_runs_over(
    part: float, reserved: float, limit: float, widths: list[float]
) -> None:
    root = parsed(meter("m", part, reserved, limit, "t", "d"))
    assert [float(r.attrib["width"].rstrip("%")) for r in root.iter("rect")] == widths


def test_a_budget_that_is_nearly_used_looks_it() -> None:
    assert "used full" in meter("m", 46, 0, 50, "t", "d")
    assert "used full" not in meter("m", 40, 0, 50, "t", "d")


def test_nothing_of_a_share_is_no_bar() -> None:
    assert share("s", 0, "t", "d").count("<rect") == 1
    assert share("s", 0.5, "t", "d").count("<rect") == 2


def test_the_order_of_time_is_true_and_longer_is_wider() -> None:
    places = scale([100, 5, 6, 7, 7, 90_000])
    assert list(places) == [5, 6, 7, 100, 90_000]
    values = list(places.values())
    assert values == sorted(values)
    assert (values[0], round(values[-1], 6)) == (0, 100)
    widths = [b - a for a, b in pairwise(values)]
    assert widths[0] == pytest.approx(widths[1])
    assert widths[3] > widths[2] > widths[1]
    assert scale([]) == {}
    assert scale([7]) == {7: 0}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.run)
def test_every_attempt_and_question_is_in_the_picture(story: RunStory) -> None:
    """In its row, inside the picture, in the order in which it began."""
    root = parsed(timeline("t", story, NOW))
    bars = [one for one in root.iter("rect") if "bar" in one.attrib["class"].split()]
    assert len(bars) == len(story.attempts) + len(story.questions) + bool(story.under_way)
    lefts = [float(bar.attrib["x"].rstrip("%")) for bar in bars[: len(story.attempts)]]
    assert lefts == sorted(lefts)
    names = rows(story)
    for attempt, bar in zip(story.attempts, bars, strict=False):
        assert names[int(float(bar.attrib["y"])) // ROW] == attempt.stage.value.replace("_", " ")
        assert str(attempt.look) in bar.attrib["class"].split()
    for bar in bars:
        end = float(bar.attrib["x"].rstrip("%")) + float(bar.attrib["width"].rstrip("%"))
        assert end <= 101


def test_two_looks_never_differ_by_colour_alone() -> None:
    """A filled, an outlined, a hatched and a dashed bar: the page's style says so for each."""
    from importlib import resources

    css = resources.files("lifeos").joinpath("templates/report/style.css").read_text()
    styles = {
        look: re.sub(r"var\(--[a-z-]+\)", "COLOUR", found[1])
        for look in ("good", "against", "failed", "rested", "going", "asked")
        if (found := re.search(rf"(?m)^\.bar\.{look} {{(.*)}}$", css))
    }
    assert len(styles) == 6
    alike = {name: style for name, style in styles.items() if name != "asked"}
    assert len(set(alike.values())) == len(alike), styles


def test_the_picture_in_words() -> None:
    story = next(one for one in STORIES if one.outcome and one.questions)
    text = told(story)
    assert text.startswith(f"{len(story.attempts)} attempts: ")
    assert f"ended {story.outcome}" in text
    assert "to the CEO" in text


def test_only_the_last_squares_are_drawn_of_many() -> None:
    story = STORIES[-1]
    many = story.attempts * 10
    root = parsed(squares("s", many))
    assert len(list(root.iter("rect"))) == 24
    assert f"{len(many) - 24} before" in (root[1].text or "")


def test_a_run_in_which_all_came_in_one_second_can_be_drawn() -> None:
    story = STORIES[-1]
    flat = story.model_copy(
        update={
            "opened": 5,
            "closed": 5,
            "attempts": tuple(
                one.model_copy(update={"began": 5, "ended": 5}) for one in story.attempts
            ),
            "questions": (),
        }
    )
    parsed(timeline("t", flat, 5))
    assert set(spans(flat, 5)) == {5, 6}


def test_a_run_that_was_only_opened_can_be_drawn() -> None:
    update: dict[str, object] = {"attempts": (), "questions": (), "outcome": None, "closed": None}
    story = STORIES[-1].model_copy(update=update)
    assert rows(story) == ()
    parsed(timeline("t", story, NOW))
