"""Generates the traffic of a simulated year: transactions, labels, and when labels are known. Sends nothing.

Each day has random generators that depend only on the seed and its date, so that days can be drawn separately and in
any order; memory holds one day. Rows that a scenario does not change are the same in every scenario of a seed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped] # it ships no types

from ml.errors import FraudopsError
from ml.simulate.scenario import Scenario
from ml.simulate.stand_in_data import SECONDS_PER_DAY, StandIn, Traffic, months_later

HISTORY = 0
"""The month number of the time before the year."""
ROWS = 24_000
_TIME = pa.timestamp("us", "UTC")
_MICROSECONDS = 1_000_000
_DECIMALS = 6
_DAY = timedelta(days=1)
# Purposes of draws: each has its own generators, so that one does not affect another.
_VOLUME, _TRAFFIC, _DIRECTIONS, _FLIPS, _KNOWN, _FOUND = range(6)


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day's transactions in the order of time, with their true labels and the labels as delivered.

    `transactions`: `event_id` string, `event_time` timestamp[us, UTC], and the stand-in's columns: the time (seconds
    since a start count from the first midnight of history), the numbers as float64, text columns. `truth`: int8, the
    final labels. `relabelled`: bool, the frauds that would be legitimate without the scenario's concept drift.
    `labels`: `event_id`, `label` int8, `known_at`, of the chargeback channel; a label that is corrected later occurs
    twice.
    """

    day: date
    transactions: pa.Table
    truth: NDArray[np.int8]
    relabelled: NDArray[np.bool_]
    labels: pa.Table


class Year:
    """Draws `scenario` with `seed`, `rows` transactions in an average month; months are numbered from 1.

    `standin` draws the rows; by default that of the profile that ships.

    Raises:
        FraudopsError: seed or rows are out of range.
    """

    def __init__(self, scenario: Scenario, *, seed: int, rows: int = ROWS, standin: StandIn | None = None) -> None:
        if seed < 0:
            raise FraudopsError(f"seed must be 0 or more (got {seed})")
        if rows < 1:
            raise FraudopsError(f"rows must be 1 or more a month (got {rows})")
        self.scenario, self.seed, self.rows = scenario, seed, rows
        self.standin = StandIn.load() if standin is None else standin
        self._first = months_later(scenario.first_day, -scenario.history.months)

    def span(self, month: int) -> tuple[datetime, datetime]:
        """The first midnight of `month` (0 = history) and the first after it, UTC."""
        first, last = self._days(month)
        return _midnight(first), _midnight(last)

    def days(self, month: int) -> Iterator[Day]:
        """The days of `month` (0 = history) in order, also days without transactions; one is in memory at a time."""
        first, last = self._days(month)
        for offset in range((last - first).days):
            yield self._day(month, first + offset * _DAY)

    def month(self, month: int) -> Day:
        """All days of `month` concatenated, with the date of the first day."""
        days = list(self.days(month))
        return Day(
            day=days[0].day,
            transactions=pa.concat_tables([day.transactions for day in days]).combine_chunks(),
            truth=np.concatenate([day.truth for day in days]),
            relabelled=np.concatenate([day.relabelled for day in days]),
            labels=pa.concat_tables([day.labels for day in days]).combine_chunks(),
        )

    def day(self, day: date) -> Day:
        """A day of the year."""
        return self._day(self.number(day), day)

    def known(self, start: datetime, end: datetime) -> Iterator[pa.Table]:
        """Labels of the year's days that become known from `start` (included) to `end` (not), a table for each day."""
        reach = timedelta(days=self.scenario.labels.longest_delay_days + 1)
        day = max(self.scenario.first_day, (start - reach).date())
        while _midnight(day) < end:
            labels = self._day(self.number(day), day).labels
            moment = labels["known_at"]
            inside = pc.and_(pc.greater_equal(moment, pa.scalar(start, _TIME)), pc.less(moment, pa.scalar(end, _TIME)))
            labels = labels.filter(inside)
            if labels.num_rows:
                yield labels
            day += _DAY

    def findings(self, day: Day, alerted: NDArray[np.bool_]) -> pa.Table:
        """The findings of analysts on the alerts of `day`; no row if the scenario has no analysts.

        When a row's finding is known does not depend on which other rows are alerts.

        Args:
            alerted: which rows of the day are alerts.

        Returns:
            `event_id`, `label`, `known_at` and `channel`, in the order of the transactions.
        """
        analysts, rows = self.scenario.labels.analysts, day.transactions.num_rows
        chance = self._rng(_FOUND, day.day.toordinal()).random(rows)
        chosen = np.flatnonzero(alerted if analysts is not None else np.zeros(rows, dtype=np.bool_))
        delays = analysts.delay_days(chance) * SECONDS_PER_DAY if analysts is not None else np.zeros(rows)
        moments = day.transactions["event_time"].cast(pa.int64()).to_numpy() + delays.astype(np.int64) * _MICROSECONDS
        return pa.table(
            {
                "event_id": day.transactions["event_id"].combine_chunks().take(pa.array(chosen)),
                "label": pa.array(day.truth[chosen]),
                "known_at": _times(moments[chosen]),
                "channel": pa.array(["analyst"] * len(chosen), pa.string()),
            }
        )

    def number(self, day: date) -> int:
        """The month number of `day`; 0 before the year."""
        first = self.scenario.first_day
        return max(HISTORY, (day.year - first.year) * 12 + day.month - first.month + 1)

    def concept_onset(self) -> date | None:
        """The first day of the first month with concept drift; None without one."""
        months = [drift.course.from_month for drift in self.scenario.concept_drift]
        return self._days(min(months))[0] if months else None

    def uncaptured(self, month: int) -> list[tuple[datetime, datetime]]:
        """The intervals of `month` whose traffic is not captured."""
        start, end = self.span(month)
        found = []
        for outage in self.scenario.outages:
            begins = start + (outage.first_day - 1) * _DAY
            if outage.month == month and begins < end:
                found.append((begins, min(end, begins + outage.days * _DAY)))
        return found

    def shifts(self, month: int) -> Mapping[str, float]:
        """The shift of feature means in `month`, in standard deviations of the feature."""
        shifts: dict[str, float] = {}
        for place, drift in enumerate(self.scenario.data_drift):
            signs = self._rng(_DIRECTIONS, place).choice([-1.0, 1.0], len(self.standin.columns))
            factor = drift.course.at(month)
            for name in drift.names(self.standin.movable) if factor else ():
                moved = float(signs[self.standin.columns.index(name)]) * drift.size * factor
                shifts[name] = shifts.get(name, 0.0) + moved
        return shifts

    def _days(self, month: int) -> tuple[date, date]:
        if month == HISTORY:
            return self._first, self.scenario.first_day
        return months_later(self.scenario.first_day, month - 1), months_later(self.scenario.first_day, month)

    def _rng(self, *what: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *what])

    @functools.lru_cache(maxsize=4)  # noqa: B019 - a year lives as long as its process
    def _counts(self, month: int) -> NDArray[np.int64]:
        """Legitimate rows and frauds of each day of `month`, int64[2, days]."""
        first, last = self._days(month)
        history = month == HISTORY
        rows = self.scenario.history.rows if history else max(1, round(self.rows * self.scenario.volume.at(month)))
        rng, days = self._rng(_VOLUME, month), (last - first).days
        frauds = int(rng.binomial(rows, self.scenario.fraud_share))
        return np.array([rng.multinomial(count, np.full(days, 1 / days)) for count in (rows - frauds, frauds)])

    @functools.lru_cache(maxsize=4)  # noqa: B019 - as above
    def _cuts(self, month: int) -> tuple[float, ...]:
        """For each concept drift by amount the least amount of the month's `top_share`; draws the whole month."""
        shares = [drift.top_share for drift in self.scenario.concept_drift if drift.top_share is not None]
        if not shares:
            return ()
        kept = [max(1, round(share * self._counts(month).sum())) for share in shares]
        most, top = max(kept), np.empty(0)
        first, last = self._days(month)
        for offset in range((last - first).days):
            top = np.concatenate([top, self._amounts(self._drawn(month, first + offset * _DAY).values)])
            top = np.partition(top, -most)[-most:] if len(top) > most else top
        ranked = np.sort(top)[::-1]
        return tuple(float(ranked[min(count, len(ranked)) - 1]) for count in kept)

    def _amounts(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.standin.amount is None:
            raise FraudopsError(
                "the profile has no amount, by which this scenario relabels; take a scenario that relabels a region"
            )
        amounts: NDArray[np.float64] = values[:, self.standin.amount]
        return amounts

    def _drawn(self, month: int, day: date) -> Traffic:
        """The transactions of a day without drift; seconds count from its midnight."""
        legitimate, frauds = (int(count) for count in self._counts(month)[:, (day - self._days(month)[0]).days])
        rng = self._rng(_TRAFFIC, day.toordinal())
        with _linear_algebra().limit(limits=1):  # more threads are slower for so few rows
            return self.standin.traffic(legitimate + frauds, frauds, 1, rng)

    def _day(self, month: int, day: date) -> Day:
        drawn = self._drawn(month, day)
        values, truth = drawn.values, drawn.labels
        for name, shift in self.shifts(month).items():
            place = self.standin.columns.index(name)
            values[:, place] = np.round(values[:, place] + shift * self._deviations[place], _DECIMALS) + 0.0
        without_drift, truth = truth, self._flipped(month, day, values, truth)
        numbers = pc.utf8_lpad(pc.cast(pa.array(np.arange(len(truth))), pa.string()), 7, "0")
        ids = pc.binary_join_element_wise(f"{day:%Y%m%d}", numbers, "-")
        moments = (drawn.seconds.astype(np.int64) + int(_midnight(day).timestamp())) * _MICROSECONDS
        columns: dict[str, pa.Array] = {"event_id": ids, "event_time": _times(moments)}
        since_start = drawn.seconds + (day - self._first).days * SECONDS_PER_DAY
        columns |= self.standin.inputs(values, drawn.categories, seconds=since_start, moments=moments)
        labels = self._labels(month, day, ids, moments, truth)
        relabelled = truth != without_drift
        return Day(day=day, transactions=pa.table(columns), truth=truth, relabelled=relabelled, labels=labels)

    def _flipped(
        self, month: int, day: date, values: NDArray[np.float64], labels: NDArray[np.int8]
    ) -> NDArray[np.int8]:
        truth = labels.copy()
        factors = [drift.course.at(month) for drift in self.scenario.concept_drift]
        if month == HISTORY or not any(factors):
            return truth
        cuts, columns = iter(self._cuts(month)), self.standin.columns
        for place, drift in enumerate(self.scenario.concept_drift):
            chance = self._rng(_FLIPS, place, day.toordinal()).random(len(truth))
            inside = chance < drift.flipped_share * factors[place]
            if drift.region is None:
                inside &= self._amounts(values) >= next(cuts)
            for interval in drift.region or ():
                inside &= interval.contains(values[:, columns.index(interval.feature)])
            truth[inside] = 1
        return truth

    def _labels(
        self, month: int, day: date, ids: pa.Array, moments: NDArray[np.int64], truth: NDArray[np.int8]
    ) -> pa.Table:
        """The labels of a day, ordered by when they are known; labels of history are known at once."""
        rule, rng = self.scenario.labels, self._rng(_KNOWN, day.toordinal())
        seconds = rule.delay_days(rng.random(len(truth))) * (0 if month == HISTORY else SECONDS_PER_DAY)
        delays = seconds.astype(np.int64) * _MICROSECONDS
        chance, sooner = rng.random(len(truth)), rng.random(len(truth))
        wrong = chance < np.where(truth == 1, rule.frauds_first_legitimate, rule.legitimate_first_fraud)
        wrong &= delays > 0
        first = moments + (sooner * delays).astype(np.int64) // _MICROSECONDS * _MICROSECONDS
        table = pa.table(
            {
                "event_id": pa.concat_arrays([ids, ids.filter(pa.array(wrong))]),
                "label": pa.array(np.concatenate([truth, 1 - truth[wrong]]).astype(np.int8)),
                "known_at": _times(np.concatenate([moments + delays, first[wrong]])),
            }
        )
        if month != HISTORY and not rule.chargebacks:
            return table.slice(0, 0)
        return table.sort_by([("known_at", "ascending"), ("event_id", "ascending")])

    @functools.cached_property
    def _deviations(self) -> NDArray[np.float64]:
        """Each column's standard deviation over all groups of the stand-in, exact for its quantile tables."""
        groups = [*self.standin.legitimate_groups, *self.standin.fraud_groups]
        of_frauds = sum(group.share for group in self.standin.fraud_groups)
        first = second = np.zeros(len(self.standin.columns))
        for group in groups:
            frauds = self.scenario.fraud_share
            share = frauds * group.share / of_frauds if group.label else 1 - frauds
            mean, square = self.standin.moments(group)
            first, second = first + share * mean, second + share * square
        return np.sqrt(second - first**2)


@functools.cache
def _linear_algebra() -> ThreadpoolController:
    return ThreadpoolController()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _times(microseconds: NDArray[np.int64]) -> pa.Array:
    return pa.array(microseconds).cast(_TIME)
