"""The counts of the daily concept test, from a year in memory. ml/drift/concept_alarm.py takes them from the lake.

What does not change from day to day is counted once per model and month; the tests are the product's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.model.drift import ended_concept_test
from ml.model.drift import sequential_fraud_rate_test as rate_test
from ml.model.drift.ended_concept_test import EndEvidence
from ml.model.drift.sequential_fraud_rate_test import FraudRates, RateEvidence
from tests.benchmarks.served_month import ServedMonth

_EPOCH, _DAY = date(1970, 1, 1), timedelta(days=1)
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """The results of the daily concept test on one day; `ended` is None if the model has no new pattern."""

    rates: RateEvidence
    ended: EndEvidence | None


@dataclass(frozen=True)
class _Month:
    """A month's rows in the strata of one model: amount bands, then the rows that it passed."""

    first_day: int
    rows: NDArray[np.float64]
    """Rows by day and stratum."""
    frauds: Places
    """Places of the rows that are labelled as fraud at any time."""
    bands: Places
    """The amount bands of `frauds`."""
    passed: NDArray[np.bool_]
    """Which of `frauds` the model passed."""
    alerts: Places
    """Places of the model's alerts that follow its new pattern."""


class DailyCounts:
    """The counts of one serving model, number `number`."""

    def __init__(self, number: int, baseline: Mapping[str, Any], learned_until: datetime | None, alpha: float) -> None:
        self._number, self._alpha = number, alpha
        self._rates = FraudRates.of(baseline)
        self._edges = np.asarray(baseline["fraud_by_amount"]["edges"], dtype=np.float64)
        new = baseline["new_pattern"]
        self._new_pattern = (new["frauds"], new["alerts"]) if new["alerts"] else None
        self._learned_until = learned_until
        self._months: dict[int, _Month] = {}

    def evaluate(self, months: Mapping[int, ServedMonth], now: datetime) -> Evidence | None:
        """The tests of all whole days since the model's reference, with the labels known at `now`; None without a day.

        At most a year is tested, as in the product.
        """
        end = (now.date() - _EPOCH).days
        first = end - rate_test.DAYS_PER_YEAR
        if self._learned_until is not None:
            first = max(first, (self._learned_until.date() - _EPOCH).days + 1)
        start = max(first, min((day_number(month.rows.start) for month in months.values()), default=end))
        if start >= end:
            return None
        shape = (end - start, len(self._edges) + 2)
        rows, frauds = np.zeros(shape), np.zeros(shape)
        alerts, legitimate = np.zeros(shape[0]), np.zeros(shape[0])
        for number, month in months.items():
            if day_number(month.rows.end) <= start or day_number(month.rows.start) >= end:
                continue
            part = self._months.setdefault(number, self._count(month))
            low, high = max(start, part.first_day), min(end, part.first_day + len(part.rows))
            rows[low - start : high - start] += part.rows[low - part.first_day : high - part.first_day]
            days = month.rows.days[part.frauds] - start
            known = (month.known(now, part.frauds, findings=True) == 1) & (days >= 0) & (days < shape[0])
            np.add.at(frauds, (days[known], part.bands[known]), 1)
            known &= part.passed
            np.add.at(frauds, (days[known], shape[1] - 1), 1)
            days = month.rows.days[part.alerts] - start
            inside = (days >= 0) & (days < shape[0])
            clear = inside & (month.known(now, part.alerts, findings=True) == 0)
            np.add.at(alerts, days[inside], 1)
            np.add.at(legitimate, days[clear], 1)
        days_tested = [_EPOCH + (start + place) * _DAY for place in range(shape[0])]
        rates = rate_test.evaluate(self._rates, days_tested, frauds, rows, alpha=self._alpha)
        ended = None
        if self._new_pattern is not None:
            ended = ended_concept_test.evaluate(
                self._new_pattern,
                days_tested,
                alerts,
                legitimate,
                alpha=self._alpha,
                dispersion=self._rates.dispersion,
            )
        return Evidence(rates=rates, ended=ended)

    def _count(self, month: ServedMonth) -> _Month:
        rows, size = month.rows, len(self._edges) + 1
        bands = np.searchsorted(self._edges, rows.amounts, side="right")
        own = month.model == self._number
        passed = own & (month.decisions == 0)
        first = day_number(rows.start)
        days, length = rows.days - first, (rows.end - rows.start).days
        by_band = np.bincount(days * size + bands, minlength=length * size).reshape(length, size)
        by_day = np.bincount(days[passed], minlength=length)
        frauds = np.flatnonzero((rows.truth == 1) | (rows.first_label == 1) | (rows.last_label == 1))
        return _Month(
            first_day=first,
            rows=np.column_stack([by_band, by_day]).astype(np.float64),
            frauds=frauds,
            bands=bands[frauds],
            passed=passed[frauds],
            alerts=np.flatnonzero(own & (month.decisions == 1) & month.follows_new),
        )


def day_number(moment: datetime) -> int:
    """Days since 1970."""
    return (moment.date() - _EPOCH).days


def midnight(day: date) -> datetime:
    """The start of a day, UTC."""
    return datetime.combine(day, time(), UTC)
