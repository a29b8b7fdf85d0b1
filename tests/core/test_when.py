"""Times as people write them: the same words mean the same moment on every machine."""

from __future__ import annotations

import pytest

from lifeos.core.when import day, length, minute, when
from lifeos.errors import UsageError

NOW = 1_793_491_200  # 2026-11-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", NOW),
        ("2026-11-01T00:00Z", NOW),
        ("2026-11-01T01:00+01:00", NOW),
        ("2026-11-01 02:00:05+0200", NOW + 5),
        ("2026-10-31T23:59:59", NOW - 1),
        ("30d", NOW - 30 * 86_400),
        ("2w", NOW - 14 * 86_400),
        ("12h", NOW - 12 * 3600),
        ("5min", NOW - 300),
        ("90s", NOW - 90),
    ],
)
def test_a_time_is_read(text: str, moment: int) -> None:
    """Dates and times without a zone are UTC; lengths count back from now."""
    assert when(text, NOW) == moment


_NO_TIMES = (
    *("", "yesterday", "30", "d", "-3d", "1.5h", "30d30d", "٣d", "20261101", "2026-W44"),
    *("2026-13-01", "2026-02-30", "0000-01-01", "2026-11-01\n\n."),
    *("2026-11-01T25:00", "2026-11-01T00:00+99:00"),
)


@pytest.mark.parametrize("text", _NO_TIMES)
def test_what_is_no_time_is_refused_with_what_is(text: str) -> None:
    """Never guessed, and the error shows the forms that are known."""
    with pytest.raises(UsageError) as refused:
        when(text, NOW)
    assert "2026-11-01" in refused.value.fix


def test_a_length_is_no_time_of_its_own() -> None:
    """What is compared with a number of seconds is read by the same words."""
    assert (length("6h"), length("2d"), length("2026-11-01")) == (21_600, 172_800, None)


def test_it_is_shown_in_utc() -> None:
    """A day's beginning needs no time of day."""
    assert (day(NOW + 5), minute(NOW), minute(NOW + 3660)) == (
        "2026-11-01",
        "2026-11-01",
        "2026-11-01 01:01",
    )
