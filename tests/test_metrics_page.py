"""The page about the numbers: its example is what lifeos computes, and no number is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lifeos.cli.metrics_page import shown
from lifeos.core.metrics.measure import measure
from pasts import EXAMPLE, MONDAY, WEEK

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
METRICS = {one.name: one for one in measure(EXAMPLE, MONDAY, MONDAY + WEEK, every=True).metrics}
_ROW = re.compile(r"^\| `(\w+)` \| ([0-9.]+) \| ([0-9]+) \| ([^|]+) \|", re.MULTILINE)
_DEFINED = re.compile(r"^\| `(\w+)` \| [^|]*[a-z][^|]* \| [^|]+ \| [^|]+ \|$", re.MULTILINE)


def test_the_example_has_every_number() -> None:
    """None is missing, and the page has none that is not."""
    assert [name for name, *_ in _ROW.findall(PAGE)] == list(METRICS)


@pytest.mark.parametrize(("name", "numerator", "denominator", "value"), _ROW.findall(PAGE))
def test_the_example_is_what_is_computed(
    name: str, numerator: str, denominator: str, value: str
) -> None:
    """As it is written on the page, and as the command would show it."""
    found = METRICS[name]
    assert found.numerator == pytest.approx(float(numerator))
    assert found.denominator == int(denominator)
    assert shown(found.value, found.unit) == value.strip()


def test_every_number_is_defined_with_its_decision() -> None:
    """In the tables of definitions, which have words where the example has digits."""
    assert set(_DEFINED.findall(PAGE)) == set(METRICS)
