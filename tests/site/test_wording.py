"""Figures, times and rates as the pages write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ml.site import wording


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", "1 to 31 March 2026"),
        ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "1 March 2026"),
        ("2026-03-30T00:00:00Z", "2026-04-06T00:00:00Z", "30 March 2026 to 5 April 2026"),
        ("2026-03-01T06:00:00Z", "2026-03-02T00:00:00Z", "1 March 2026, 06:00 UTC to 2 March 2026, 00:00 UTC"),
    ],
)
def test_span_excludes_its_end(start: str, end: str, text: str) -> None:
    """A window of whole days is named by its first and last day."""
    assert wording.span(datetime.fromisoformat(start), datetime.fromisoformat(end)) == text


def test_moment_is_in_utc() -> None:
    """Another offset is converted."""
    assert wording.moment(datetime.fromisoformat("2026-03-03T01:30:00+02:00")) == "2 March 2026, 23:30 UTC"
    assert wording.day(datetime(2026, 3, 3, tzinfo=UTC)) == "3 March 2026"


@pytest.mark.parametrize(
    ("share", "text"), [(0.0083333, "0.833 %"), (1.0, "100 %"), (0.9996, "more than 99.9 %"), (0.0, "0 %")]
)
def test_percent_has_three_digits(share: float, text: str) -> None:
    """Zeros at the end are left out."""
    assert wording.percent(share) == text


@pytest.mark.parametrize(
    ("figure", "rate", "decimal"),
    [
        ({"value": 0.951, "low": 0.917, "high": 0.972}, "95.1 % (91.7 to 97.2 %)", "0.951 (0.917 to 0.972)"),
        ({"value": 0.5, "low": None, "high": None}, "50 %", "0.500"),
        ({"value": None, "reason": "no alerts"}, "not known: no alerts", "not known: no alerts"),
    ],
)
def test_figure_has_its_interval_or_its_reason(figure: dict[str, Any], rate: str, decimal: str) -> None:
    """Rates are in percent, other figures have three decimals."""
    assert (wording.share(figure), wording.decimal(figure)) == (rate, decimal)


def test_difference_has_a_sign_and_an_interval() -> None:
    """The minus is a minus."""
    found = {"difference": 0.03, "low": -0.01, "high": 0.07}
    assert wording.difference(found) == "+0.030 (−0.010 to +0.070, within chance)"
    assert wording.points(found) == "+3 points (−1 to +7, within chance)"


@pytest.mark.parametrize(("value", "text"), [(7.29, "7.3"), (1234.4, "1,234")])
def test_rate_has_the_digits_that_matter(value: float, text: str) -> None:
    """One decimal below a hundred, none above."""
    assert wording.rate(value) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("psi 0.769 (limit 0.1, p 0)", "psi 0.769 (limit 0.1, p < 0.001)"),
        ("p = 3e-40, p 2.1e-05; p 0.0001", "p < 0.001, p < 0.001; p < 0.001"),
        ("p 0.04, p 2e-03 and p 0.0012", "p 0.04, p 2e-03 and p 0.0012"),
        ("step 0 of 3", "step 0 of 3"),
    ],
)
def test_small_p_values_are_readable(text: str, shown: str) -> None:
    """Those below 0.001 are; other numbers stay."""
    assert wording.readable(text) == shown


def test_opening_ends_between_words() -> None:
    """A short text stays as it is."""
    assert wording.opening("short") == "short"
    assert wording.opening("word, " * 60).endswith("word …")
    assert len(wording.opening("word, " * 60)) <= 162
