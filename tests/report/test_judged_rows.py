"""Which rows a drift check judges, from the stored check."""

from __future__ import annotations

from typing import Any

import pytest

from ml.report import judged_rows


def check(others: dict[str, int], days: dict[str, int]) -> dict[str, Any]:
    """A stored check with the rows of other models, and its model's rows by day."""
    return {
        "model": {"approval": 4},
        "traffic": {"other_models": others},
        "labels": {"days": [{"day": day, "rows": rows} for day, rows in days.items()]},
    }


def test_rows_of_other_models_are_not_judged() -> None:
    """What the check's model scored, and from which day to which; days without rows do not count."""
    days = {"2026-07-28": 0, "2026-07-29": 697, "2026-07-30": 792, "2026-07-31": 730}
    found = judged_rows.read(check({"0002": 10_897, "0003": 10_884}, days), 24_000)
    assert found is not None
    assert (found.model, found.rows, found.others) == ("model 0004", 2_219, 21_781)
    assert found.when == "from 29 to 31 July 2026"


def test_window_of_one_model_is_judged_whole() -> None:
    """There is nothing to say."""
    assert judged_rows.read(check({}, {"2026-07-01": 5}), 5) is None


def test_rows_without_an_answer_are_of_no_model() -> None:
    """Refused requests and answers that were not captured are no rows of another model."""
    assert judged_rows.read(check({"": 3}, {"2026-07-01": 5}), 8) is None
    found = judged_rows.read(check({"": 3, "0003": 10}, {"2026-07-01": 5}), 18)
    assert found is not None
    assert (found.rows, found.others, found.all_rows) == (5, 10, 15)


@pytest.mark.parametrize(
    ("days", "when"),
    [
        ((), ""),
        (("2026-07-31",), "on 31 July 2026"),
        (("2026-07-31", "2026-08-02"), "from 31 July 2026 to 2 August 2026"),
    ],
)
def test_days_in_words(days: tuple[str, ...], when: str) -> None:
    """One day, two months, and rows without an id, of which no day is known."""
    found = judged_rows.read(check({"0003": 1}, dict.fromkeys(days, 2)), 5)
    assert found is not None
    assert found.when == when
