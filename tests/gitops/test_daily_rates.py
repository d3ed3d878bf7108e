"""Tests of rates per day: from whole days, or none."""

from __future__ import annotations

from typing import Any

import pytest

from ml.gitops import daily_rates


def evaluation(train: tuple[str, str, int], test: tuple[str, str, int]) -> dict[str, Any]:
    """The windows of two parts."""
    parts = {"train": train, "test": test}
    return {"windows": {name: {"start": a, "end": b, "rows": rows} for name, (a, b, rows) in parts.items()}}


def test_long_test_window_counts_itself() -> None:
    """Two days or more are divided by their length."""
    made = evaluation(
        ("2026-03-01T00:00:00", "2026-03-05T00:00:00", 10), ("2026-03-05T00:00:00", "2026-03-09T00:00:00", 50)
    )
    assert daily_rates.days(made) == pytest.approx(4)
    assert daily_rates.rate(100, made) == "25.0"
    assert daily_rates.unknown(made) == ""


def test_part_of_a_day_is_not_extrapolated() -> None:
    """Ten daytime hours with half of the rows of two days are one day, not ten hours."""
    made = evaluation(
        ("2026-03-01T00:00:00", "2026-03-02T13:30:00", 1000), ("2026-03-02T13:30:00", "2026-03-03T00:00:00", 1000)
    )
    assert daily_rates.days(made) == pytest.approx(1.0)
    assert daily_rates.rate(100, made) == "100.0"


def test_less_than_a_day_has_no_rate() -> None:
    """The text says how long the rows are instead."""
    made = evaluation(
        ("2026-03-01T08:00:00", "2026-03-01T12:00:00", 10), ("2026-03-01T12:00:00", "2026-03-01T18:00:00", 5)
    )
    assert daily_rates.days(made) is None
    assert daily_rates.rate(3, made) == "not known"
    assert daily_rates.unknown(made) == "not known: the test rows span 6.0 hours, and all rows less than a day"


def test_handed_over_evaluation_has_the_days_of_the_test_rows_alone() -> None:
    """Two days or more count; of less, there is no rate."""
    assert daily_rates.days({"budget": {"days": 3.0}}) == 3.0
    assert daily_rates.days({"budget": {"days": 0.4}}) is None


def test_rows_without_a_label_are_not_counted() -> None:
    """Twenty days after the last label, or between the others: rates are those of the labelled rows and their days."""
    made = evaluation(
        ("2026-03-01T00:00:00", "2026-03-09T00:00:00", 8_000), ("2026-03-09T00:00:00", "2026-03-11T00:00:00", 2_000)
    )
    for left_out in (0, 20_000):
        made["row_counts"] = {"unlabelled": left_out}
        assert daily_rates.transactions_per_day(made) == pytest.approx(1_000)
        assert daily_rates.rate(60, made) == "30.0"
    short = evaluation(
        ("2026-03-01T00:00:00", "2026-03-10T00:00:00", 9_000), ("2026-03-10T00:00:00", "2026-03-11T00:00:00", 1_000)
    )
    assert daily_rates.transactions_per_day(short | {"row_counts": {"unlabelled": 20_000}}) == pytest.approx(1_000)


def test_handed_over_evaluation_has_the_rate_of_the_same_data() -> None:
    """Whether rows are without a label or not: both divide by the days of the test rows."""
    made = evaluation(
        ("2026-03-01T00:00:00", "2026-03-09T00:00:00", 8_000), ("2026-03-09T00:00:00", "2026-03-11T00:00:00", 2_000)
    )
    made["row_counts"] = {"unlabelled": 20_000}
    handed: dict[str, Any] = {"budget": {"days": 2.0}}
    assert daily_rates.rate(60, made) == daily_rates.rate(60, handed)
    assert (
        daily_rates.counted(made)
        == "Alerts a day are of labelled transactions: 20,000 of the window have no label yet."
    )
    assert daily_rates.counted(made | {"row_counts": {"unlabelled": 0}}) == ""
    assert daily_rates.counted(handed) == ""
    assert daily_rates.transactions_per_day({"budget": {"days": 3.0}}) is None
