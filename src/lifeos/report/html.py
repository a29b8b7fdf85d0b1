"""The page: one file, no script, nothing from the network, and everything foreign escaped."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import TYPE_CHECKING

import lifeos
from lifeos.core.board import Column
from lifeos.core.report import words
from lifeos.core.report.charts import columns, line, meter, share
from lifeos.core.report.data import Figure, ReportData, Reviewed, RunStory
from lifeos.core.report.lead import change, lead, period_name
from lifeos.core.report.svg import element
from lifeos.core.report.timeline import rows, squares, timeline
from lifeos.core.spend import dollars
from lifeos.report.markdown import as_html, reader

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_MOST_CARDS = 6
_ID = re.compile(r"\b([A-Z]{1,8}-[0-9a-z]{6,8})\b")
_COLUMNS = {
    Column.WAITS: ("Waits", "for other tasks, or for a person"),
    Column.READY: ("Ready", "a tick may begin it"),
    Column.RUNS: ("Runs", "being worked on"),
    Column.ASKS: ("Asks you", "a question is open"),
    Column.DONE: ("Done", "landed, or ticked"),
    Column.BLOCKED: ("Blocked", "until somebody changes or retries it"),
    Column.DROPPED: ("Dropped", "rejected or cancelled"),
}


def page(data: ReportData) -> str:
    """The whole page as HTML."""
    from markupsafe import Markup

    style = _style()
    environment = _environment()
    pictures = _Pictures(data, Markup)
    return environment.get_template("page.html").render(
        data=data,
        lead=lead(data),
        style=Markup(style),  # noqa: S704 - our own file, and no end of its element is in it
        policy=_policy(style),
        version=lifeos.__version__,
        columns=_COLUMNS,
        most=_MOST_CARDS,
        period=period_name(data),
        **pictures.all(),
    )


def _style() -> str:
    place = resources.files("lifeos").joinpath("templates", "report", "style.css")
    return place.read_text(encoding="utf-8")


def _policy(style: str) -> str:
    """What a browser lets the page do: be styled by this very style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = ("default-src 'none'", f"style-src 'sha256-{digest}'", "img-src data:")
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'"))


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lifeos", "templates/report"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "amount": words.amount,
        "date": words.date,
        "dollars": dollars,
        "glued": words.glued,
        "hour": words.hour,
        "ids": _ids,
        "iso": words.iso,
        "moment": words.moment,
        "percent": words.percent,
        "plural": words.plural,
        "took": lambda seconds: words.glued(words.took(seconds)),
    }
    return environment


def _ids(text: str) -> Markup:
    """A text whose ids are never cut in two at the end of a line: people copy them."""
    from markupsafe import Markup, escape

    # Escaped before anything is put around what is found in it.
    return Markup(_ID.sub(r'<span class="whole">\1</span>', str(escape(text))))  # noqa: S704


class _Pictures:
    """The drawing functions, as templates call them: they give markup that is escaped already."""

    def __init__(self, data: ReportData, markup: type[Markup]) -> None:
        self._data = data
        self._markup = markup
        self._reader = reader()

    def all(self) -> Mapping[str, object]:
        """By the names that templates know them by."""
        data = self._data
        return {
            "defs": self._markup(_DEFS),
            "drawn": lambda figure: sum(value is not None for value in figure.series) > 1,
            "spark": self._safe(_spark),
            "change": lambda figure: change(data, figure),
            "endings": self._markup(_endings(data)),
            "costs": self._markup(_costs(data)),
            "review": self._safe(_review),
            "money": self._safe(self._money),
            "rows": rows,
            "squares": self._safe(lambda i, story: squares(f"run-{i}-s", story.attempts)),
            "course": self._safe(self._course),
            "markdown": self._safe(lambda text: as_html(self._reader, text)),
            "swatch": self._safe(_swatch),
        }

    def _safe(self, draw: Callable[..., str]) -> Callable[..., Markup]:
        return lambda *args: self._markup(draw(*args))

    def _course(self, i: int, story: RunStory) -> str:
        return timeline(f"run-{i}-c", story, self._data.at)

    def _money(self, name: str, spent: float, limit: float) -> str:
        reserved = self._data.money.reserved
        told = f"{dollars(spent)} of {dollars(limit)} spent, {dollars(reserved)} set aside"
        ident = f"money-{name.replace(' ', '-')}"
        return meter(ident, spent, reserved, limit, f"Spent {name}", told)


def _spark(figure: Figure) -> str:
    values = ", ".join(words.amount(value, figure.unit) for value in figure.series)
    return line(f"figure-{figure.name}", figure.series, f"{figure.title} over time", values)


def _labels(data: ReportData) -> list[str]:
    name = period_name(data)
    lead = "" if name == "day" else "from "
    return [f"{lead}{words.date(period.since)}" for period in data.trends.periods]


def _endings(data: ReportData) -> str:
    stacks = [(one.alone, one.asked, one.not_landed) for one in data.trends.closes]
    names = ("landed alone", "landed after a question", "did not land")
    told = "; ".join(
        f"{label}: {', '.join(f'{value} {name}' for value, name in zip(stack, names, strict=True))}"
        for label, stack in zip(_labels(data), stacks, strict=True)
    )
    return columns("endings", stacks, names, _labels(data), "How runs ended", told)


def _costs(data: ReportData) -> str:
    labels = _labels(data)
    told = "; ".join(
        f"{label}: {dollars(cost)}" for label, cost in zip(labels, data.trends.costs, strict=True)
    )
    stacks = [(round(cost, 4),) for cost in data.trends.costs]
    return columns("costs", stacks, ("dollars",), labels, "Cost", told, "${:g}")


def _review(one: Reviewed) -> str:
    name = one.stage.value.replace("_", " ")
    part = one.against / one.reviews if one.reviews else 0.0
    told = f"{one.against} of {one.reviews} were against"
    return share(f"review-{one.stage}", part, f"Reviews at {name}", told)


def _swatch(kind: str) -> str:
    return element(
        "svg",
        element("rect", x=1, y=1, width=10, height=10, rx=2, class_=kind),
        width=12,
        height=12,
        aria_hidden="true",
        viewBox="0 0 12 12",
    )


_DEFS = (
    '<svg class="defs" width="0" height="0" aria-hidden="true" focusable="false"><defs>'
    '<pattern id="slant" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path class="slant" d="M-1 1L1 -1M0 6L6 0M5 7L7 5"/></pattern>'
    '<pattern id="fails" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<path class="fails" d="M-1 4L1 6M0 0L5 5M4 -1L6 1"/></pattern>'
    "</defs></svg>"
)
