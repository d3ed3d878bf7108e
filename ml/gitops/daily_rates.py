"""Converts counts on the test rows to rates per day, from whole days only.

Part of a day misleads: the daytime has most of the transactions. If the test rows span less than two days, the number
of rows a day comes from all parts of the data; if those span less than a day, there is no rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

_DAY = 86_400.0
_MIN_TEST_DAYS = 2.0


def days(evaluation: Mapping[str, Any]) -> float | None:
    """The number of days whose transactions are as many as the test rows; None if it is not known."""
    windows = evaluation.get("windows")
    if windows is None:  # what a job hands over of a gate failure has the test rows' days alone
        handed = float(evaluation["budget"]["days"])
        return handed if handed >= _MIN_TEST_DAYS else None
    span = _span([windows["test"]])
    if span >= _MIN_TEST_DAYS:
        return span
    every, rows = _span(list(windows.values())), sum(part["rows"] for part in windows.values())
    return windows["test"]["rows"] / rows * every if every >= 1 and rows and windows["test"]["rows"] else None


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


def _span(windows: list[Mapping[str, Any]]) -> float:
    start = min(datetime.fromisoformat(part["start"]) for part in windows)
    end = max(datetime.fromisoformat(part["end"]) for part in windows)
    return (end - start).total_seconds() / _DAY
