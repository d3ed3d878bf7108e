"""Decides which days of scored rows have mature labels: enough rows have a label, and the day is old enough.

Calls no service.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day's scored rows with an id, by the time of their requests (UTC), and how many of them have a label."""

    day: date
    rows: int
    labelled: int
    frauds: int
    """Among those labelled."""
    age_days: float
    """Days from the end of the day to `as_of`."""
    mature: bool
    reason: str
    """Why it is not mature; '' if it is."""

    @property
    def coverage(self) -> float:
        """The share of the rows that have a label."""
        return self.labelled / self.rows


def immaturity(rows: int, labelled: int, *, age_days: float, min_coverage: float, min_age_days: float) -> str:
    """Why the labels of a day are not mature; '' if they are.

    Args:
        labelled: those of the day's `rows` that have a chargeback label.
        age_days: from the end of the day on.
    """
    reasons = []
    if age_days < min_age_days:
        reasons.append(f"{age_days:.1f} days old, {min_age_days:g} are needed")
    # Divide, as everywhere: 14 / 25 equals 0.56 in float64, while 0.56 * 25 exceeds 14.
    if labelled / rows < min_coverage:
        reasons.append(f"{labelled} of {rows} rows have a label, {min_coverage:.0%} are needed")
    return "; ".join(reasons)


def day_of(
    number: int, rows: int, labelled: int, frauds: int, *, as_of: datetime, min_coverage: float, min_age_days: float
) -> Day:
    """A day by its number since 1970, with the counts of its rows.

    Args:
        as_of: when the labels were known.
    """
    start = _EPOCH + number * _DAY
    age = (as_of - (start + _DAY)) / _DAY
    reason = immaturity(rows, labelled, age_days=age, min_coverage=min_coverage, min_age_days=min_age_days)
    return Day(
        day=start.date(),
        rows=rows,
        labelled=labelled,
        frauds=int(frauds),
        age_days=age,
        mature=not reason,
        reason=reason,
    )
