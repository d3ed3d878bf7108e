"""The alerts that an evaluation promised beside those that drift checks observed."""

from __future__ import annotations

import dataclasses
from datetime import date

from ml.report.judged_rows import JudgedRows
from ml.site import observed_alerts
from ml.site.observed_alerts import Line
from tests.report.evaluations import evaluation
from tests.site.sites import at, check

MEASURED = evaluation() | {
    "rows": 4_000,
    "confusion": {"true_positives": 36, "false_positives": 4, "true_negatives": 3_956, "false_negatives": 4},
    "row_counts": {"unlabelled": 3_000},
    "windows": {
        part: {"start": f"2026-03-0{day}T00:00:00", "end": f"2026-03-0{day + 2}T00:00:00", "rows": 4_000}
        for part, day in (("train", 1), ("validation", 3), ("test", 5))
    },
}
"""12,000 rows with a label in six days: 2,000 a day; 3,000 without one are not counted."""


def test_promised_and_observed_are_shares_of_the_traffic() -> None:
    """A window that the model decided in part is of the traffic of the whole window; other models' are left out."""
    part = JudgedRows(approval=2, rows=6_000, all_rows=24_000, days=(date(2026, 6, 20), date(2026, 6, 30)))
    checks = (
        check(4, 1, {}),
        check(5, 2, {}, start=at(5, 1, 0), end=at(5, 31, 0), alerts=240),
        check(6, 2, {}, end=at(7, 1, 0), decided=6_000, alerts=120, judged=part),
        check(7, 2, {}, decided=0, alerts=0),
    )
    assert observed_alerts.lines(2, MEASURED, checks) == (
        Line(place="promised: test rows", a_day="20.0", share="1 % (0.735 to 1.36 %)", counts="40 of 4,000"),
        Line(place="observed: 1 to 30 May 2026", a_day="8.0", share="1 % (0.882 to 1.13 %)", counts="240 of 24,000"),
        Line(
            place="observed: 1 to 30 June 2026, rows that it decided from 20 to 30 June 2026",
            a_day="16.0",
            share="2 % (1.68 to 2.39 %)",
            counts="120 of 6,000",
        ),
    )


def test_part_of_a_day_has_no_daily_figure() -> None:
    """Five rows of one night, or a day's rows without a whole day between the first and the last."""
    night = JudgedRows(approval=2, rows=5, all_rows=24_000, days=(date(2026, 6, 29), date(2026, 6, 30)))
    for rows in (5, 900):
        judged = dataclasses.replace(night, rows=rows)
        (line,) = observed_alerts.lines(2, None, (check(6, 2, {}, decided=rows, alerts=1, judged=judged),))
        assert (line.a_day, line.counts) == ("not known", f"1 of {rows}")


def test_without_a_check_or_an_evaluation_there_is_nothing_to_compare() -> None:
    """A promise alone is in the card's first sentences."""
    assert observed_alerts.lines(3, MEASURED, (check(4, 1, {}),)) == ()
    (only,) = observed_alerts.lines(1, None, (check(4, 1, {}),))
    assert only.place == "observed: 1 to 30 April 2026"
