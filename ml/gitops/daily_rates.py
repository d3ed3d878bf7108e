"""Converts counts on the test rows to rates per day of the labelled rows, from whole days only.

A rate per day is the share of the test rows times the labelled rows of a day. Rows without a label are not counted,
although a served model decides on them too: an evaluation says how many the training window has, but neither on which
days they are nor how long an open window is. Pages that show a rate say so (`counted`). Part of a day misleads,
because the daytime has most of the transactions: if the test rows span less than two days, the rows of a day come from
all parts of the data; if those span less than a day, there is no rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

_DAY = 86_400.0
_MIN_TEST_DAYS = 2.0


def days(evaluation: Mapping[str, Any]) -> float | None:
    """The number of days whose labelled rows are as many as the test rows; None if it is not known."""
    windows = evaluation.get("windows")
    if windows is None:  # a job hands over the span of a failed model's test rows, as below, and no other part
        handed = float(evaluation["budget"]["days"])
        return handed if handed >= _MIN_TEST_DAYS else None
    span = _span([windows["test"]])
    if span >= _MIN_TEST_DAYS:
        return span
    rows_a_day = _rows_a_day_of_all_parts(evaluation)
    return windows["test"]["rows"] / rows_a_day if rows_a_day and windows["test"]["rows"] else None


def transactions_per_day(evaluation: Mapping[str, Any]) -> float | None:
    """The labelled transactions of a day that rates are of; None if they are not known."""
    found, windows = days(evaluation), evaluation.get("windows")
    return windows["test"]["rows"] / found if found and windows is not None else None


def unlabelled(evaluation: Mapping[str, Any]) -> int:
    """The transactions of the window that were left out because they had no label yet."""
    return int((evaluation.get("row_counts") or {}).get("unlabelled", 0))


def counted(evaluation: Mapping[str, Any]) -> str:
    """Which transactions the rates per day are of, as a sentence; '' without a rate, or if none was left out."""
    left_out = unlabelled(evaluation)
    if days(evaluation) is None or not left_out:
        return ""
    return f"Alerts a day are of labelled transactions: {left_out:,} of the window have no label yet."


def rate(count: int, evaluation: Mapping[str, Any]) -> str:
    """`count` of the test rows as a rate per day, e.g. `12.5`; 'not known' without a whole day of data."""
    found = days(evaluation)
    return f"{count / found:,.1f}" if found else "not known"


def unknown(evaluation: Mapping[str, Any]) -> str:
    """Why there is no rate per day; '' if there is one."""
    if days(evaluation) is not None:
        return ""
    hours = _span([evaluation["windows"]["test"]]) * 24
    return f"not known: the test rows span {hours:,.1f} hours, and all rows less than a day"


def _rows_a_day_of_all_parts(evaluation: Mapping[str, Any]) -> float | None:
    windows = list(evaluation["windows"].values())
    span, rows = _span(windows), sum(part["rows"] for part in windows)
    return rows / span if span >= 1 and rows else None


def _span(windows: list[Mapping[str, Any]]) -> float:
    start = min(datetime.fromisoformat(part["start"]) for part in windows)
    end = max(datetime.fromisoformat(part["end"]) for part in windows)
    return (end - start).total_seconds() / _DAY
