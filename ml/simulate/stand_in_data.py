"""Draws stand-in data from the profile of a data set: by default that of the ULB card data, from published statistics.

A Gaussian copula joins the quantile tables of each group (legitimate rows; kinds of fraud), text columns are drawn by
their shares in the group, and hourly counts place rows in the day. README.md in this folder names the sources of the
figures and the limits of the data.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.special import ndtr

from ml.errors import FraudopsError
from ml.model import time_units
from ml.simulate import profile as profiles
from ml.simulate.profile import HOURS, Layout, Profile

ROWS, FRAUDS = 284_807, 492
"""The size of the ULB data set."""
SECONDS_PER_HOUR, SECONDS_PER_DAY = 3_600, 86_400
_CHUNK_ROWS = 65_536
_MICROSECONDS = 1_000_000
_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True, kw_only=True)
class Group:
    """One kind of transaction: `quantiles` has a row for each column, `factor` is the copula's Cholesky factor.

    `categories` has for each text column its values and their shares, which add up to 1.
    """

    label: int
    share: float
    quantiles: NDArray[np.float64]
    factor: NDArray[np.float64]
    categories: Mapping[str, tuple[tuple[str, ...], NDArray[np.float64]]]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Transactions in the order of time.

    `seconds` float64[n]: whole seconds since the first midnight; `values` float64[n, columns]; `labels` int8[n];
    `categories`: for each text column its n values.
    """

    seconds: NDArray[np.float64]
    values: NDArray[np.float64]
    labels: NDArray[np.int8]
    categories: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)


class StandIn:
    """Draws transactions from a profile. Every draw takes a generator, so that parts can be drawn separately."""

    def __init__(self, profile: Profile) -> None:
        self.columns: tuple[str, ...] = profile.columns
        self.categories: tuple[str, ...] = profile.categories
        self.layout: Layout = profile.layout
        self.rows, self.fraud_rate = profile.full_set.rows, profile.full_set.fraud_rate
        amount = profile.layout.amount
        self.amount: int | None = None if amount is None else self.columns.index(amount)
        self.decimals: tuple[int, ...] = tuple(profile.decimals[name] for name in self.columns)
        self.days: int = -(-profile.full_set.seconds // SECONDS_PER_DAY)
        self._levels: NDArray[np.float64] = np.array(profile.quantile_levels, dtype=np.float64)
        self._hours: dict[int, NDArray[np.float64]] = {
            int(label): np.array(counts, dtype=np.float64) / sum(counts)
            for label, counts in profile.hourly_counts.items()
        }
        self.levels: dict[str, tuple[str, ...]] = {
            name: tuple(sorted({level for group in profile.groups for level in group.categories[name]}))
            for name in self.categories
        }
        groups = [self._group(group) for group in profile.groups]
        self.legitimate_groups: tuple[Group, ...] = tuple(group for group in groups if group.label == 0)
        self.fraud_groups: tuple[Group, ...] = tuple(group for group in groups if group.label == 1)

    @classmethod
    def load(cls) -> StandIn:
        """The stand-in of the profile that ships with the project."""
        return cls(profiles.read())

    def _group(self, group: profiles.Group) -> Group:
        shares = {name: (tuple(levels), np.array([*levels.values()])) for name, levels in group.categories.items()}
        return Group(
            label=group.label,
            share=group.share_of_class,
            quantiles=np.array([group.quantiles[name] for name in self.columns], dtype=np.float64),
            factor=copula_factor(np.array(group.rank_correlation, dtype=np.float64)),
            categories={name: (levels, share / share.sum()) for name, (levels, share) in shares.items()},
        )

    def values(self, group: Group, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """`rows` transactions of one group, float64[rows, columns], rounded to the decimals of each column."""
        width = len(self.columns)
        drawn = np.empty((rows, width), dtype=np.float64)
        for start in range(0, rows, _CHUNK_ROWS):
            chunk = drawn[start : start + _CHUNK_ROWS]
            ranks = ndtr(rng.standard_normal((len(chunk), width)) @ group.factor.T)
            for column in range(width):
                chunk[:, column] = np.interp(ranks[:, column], self._levels, group.quantiles[column])
        return self.rounded(drawn)

    def rounded(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`values`, float64[rows, columns], rounded to the decimals of each column, without -0.0."""
        for decimals in sorted(set(self.decimals), reverse=True):
            places = [place for place, own in enumerate(self.decimals) if own == decimals]
            values[:, places] = np.round(values[:, places], decimals)
        return values + 0.0  # avoids -0.0 in files

    @property
    def movable(self) -> tuple[str, ...]:
        """The numbers whose means a scenario may shift: all but the amount, which selects relabelled transactions."""
        return tuple(name for place, name in enumerate(self.columns) if place != self.amount)

    def moments(self, group: Group) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and mean square of each column of one group: integrals of its piecewise linear quantile function."""
        low, high, width = group.quantiles[:, :-1], group.quantiles[:, 1:], np.diff(self._levels)
        return (low + high) / 2 @ width, (low**2 + low * high + high**2) / 3 @ width

    def legitimate(self, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """`rows` legitimate transactions, float64[rows, columns]."""
        return self._mixture(self.legitimate_groups, rows, rng)[:, : len(self.columns)]

    def frauds(self, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """`rows` frauds of all groups, by the groups' shares, float64[rows, columns]."""
        return self._mixture(self.fraud_groups, rows, rng)[:, : len(self.columns)]

    def _mixture(self, groups: Sequence[Group], rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Rows of `groups` by their shares, float64[rows, columns and text columns]; text as places in its levels."""
        shares = np.array([group.share for group in groups])
        counts = rng.multinomial(rows, shares / shares.sum())
        drawn = [self._rows(group, int(count), rng) for group, count in zip(groups, counts, strict=True)]
        return rng.permutation(np.concatenate(drawn), axis=0) if len(drawn) > 1 else drawn[0]

    def _rows(self, group: Group, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        values = self.values(group, rows, rng)
        if not self.categories:
            return values
        codes = [self._codes(group, name, rows, rng) for name in self.categories]
        return np.column_stack([values, *codes])

    def _codes(self, group: Group, name: str, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        levels, shares = group.categories[name]
        places = np.array([self.levels[name].index(level) for level in levels], dtype=np.float64)
        return places[rng.choice(len(levels), rows, p=shares)]

    def seconds(self, label: int, rows: int, days: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """The times of `rows` transactions of a class: whole seconds within `days` days, float64[rows], unordered.

        The day is uniform, the hour follows the class's hourly counts, and the second within the hour is uniform.
        """
        day = rng.integers(0, days, rows)
        hour = rng.choice(HOURS, rows, p=self._hours[label])
        second = rng.integers(0, SECONDS_PER_HOUR, rows)
        return (day * SECONDS_PER_DAY + hour * SECONDS_PER_HOUR + second).astype(np.float64)

    def traffic(self, rows: int, frauds: int, days: int, rng: np.random.Generator) -> Traffic:
        """`rows` transactions of `days` days, `frauds` of them fraudulent, in the order of time."""
        legitimate, width = rows - frauds, len(self.columns)
        parts = [(self.legitimate_groups, legitimate), (self.fraud_groups, frauds)]
        drawn = np.concatenate([self._mixture(groups, count, rng) for groups, count in parts])
        seconds = np.concatenate([self.seconds(0, legitimate, days, rng), self.seconds(1, frauds, days, rng)])
        labels = np.repeat(np.array([0, 1], dtype=np.int8), [legitimate, frauds])
        order = np.argsort(seconds, kind="stable")
        texts = {
            name: np.array(self.levels[name])[drawn[order, width + place].astype(np.intp)]
            for place, name in enumerate(self.categories)
        }
        values = drawn[order, :width] if self.categories else drawn[order]
        return Traffic(seconds=seconds[order], values=values, labels=labels[order], categories=texts)

    def table(self, traffic: Traffic, start: date | None = None) -> pa.Table:
        """`traffic` in the profile's layout: the time, the numbers, the text columns and the label.

        The first column is `event_time` if `start` is given. Times count from midnight, UTC, of the day `start`;
        without one, times since 1970 count from its first midnight.
        """
        midnight = 0 if start is None else int(datetime.combine(start, time(), UTC).timestamp())
        moments = (traffic.seconds.astype(np.int64) + midnight) * _MICROSECONDS
        columns: dict[str, pa.Array] = {} if start is None else {"event_time": pa.array(moments).cast(_TIME)}
        columns |= self.inputs(traffic.values, traffic.categories, seconds=traffic.seconds, moments=moments)
        columns |= self.written_times(columns)
        columns[self.layout.label] = pa.array(traffic.labels)
        return pa.table(columns)

    def inputs(
        self,
        values: NDArray[np.float64],
        categories: Mapping[str, NDArray[np.str_]],
        *,
        seconds: NDArray[np.float64],
        moments: NDArray[np.int64],
    ) -> dict[str, pa.Array]:
        """The time, the numbers and the text columns of n rows as the lake has them: ISO times as seconds since 1970.

        Args:
            values: float64[n, columns].
            categories: for each text column its n values.
            seconds: float64[n], seconds since the start of the data set.
            moments: int64[n], microseconds since 1970, UTC.
        """
        columns: dict[str, pa.Array] = {}
        if self.layout.time is not None:
            columns[self.layout.time.column] = _times(self.layout.time.unit, seconds, moments)
        columns |= {name: pa.array(values[:, place]) for place, name in enumerate(self.columns)}
        columns |= {name: pa.array(categories[name].tolist(), pa.string()) for name in self.categories}
        return columns

    def written_times(self, columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        """The time column of `inputs` as files and requests have it: text if its unit is ISO; empty without a time."""
        layout = self.layout.time
        if layout is None:
            return {}
        times = columns[layout.column]
        if layout.unit == time_units.ISO:
            whole = times.cast(pa.int64()).cast(pa.timestamp("s", "UTC"))
            return {layout.column: pc.strftime(whole, "%Y-%m-%dT%H:%M:%SZ")}
        return {layout.column: times}


def _times(unit: str, seconds: NDArray[np.float64], moments: NDArray[np.int64]) -> pa.Array:
    """Times in `unit` as numbers, float64[n]."""
    if unit == time_units.SECONDS_SINCE_START:
        return pa.array(seconds)
    return pa.array((moments // _MICROSECONDS * time_units.per_second(unit)).astype(np.float64))


def copula_factor(rank_correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lower Cholesky factor of the normal copula with these Spearman correlations, float64[k, k].

    The Pearson correlation of two normals with Spearman correlation r is 2 sin(πr/6) (Kruskal 1958, "Ordinal measures
    of association", JASA 53). The matrix of these values may not be positive definite: eigenvalues are raised to at
    least 1e-6 and the diagonal is scaled back to 1 (Rebonato and Jäckel 1999, spectral decomposition).
    """
    pearson = 2 * np.sin(np.pi * rank_correlation / 6)
    np.fill_diagonal(pearson, 1.0)
    eigenvalues, vectors = np.linalg.eigh(pearson)
    definite = (vectors * np.maximum(eigenvalues, 1e-6)) @ vectors.T
    deviations = np.sqrt(np.diag(definite))
    factor: NDArray[np.float64] = np.linalg.cholesky(definite / np.outer(deviations, deviations))
    return factor


def draw(
    rows: int | None = None,
    *,
    frauds: int | None = None,
    seed: int = 0,
    start: date | None = None,
    months: int | None = None,
    profile: Profile | None = None,
) -> pa.Table:
    """Draws a stand-in data set in the profile's layout; the same arguments give the same rows.

    Args:
        rows: number of transactions; None = as many as the data set behind the profile.
        frauds: number of frauds among them; None = that data set's proportion, rounded.
        seed: 0 or more.
        start: the first day; the table then begins with an `event_time` column. None = only the layout's time.
        months: calendar months from `start` that the rows cover; None = as many days as that data set.
        profile: the profile to draw from; None = that of the ULB card data (492 frauds in 284,807 rows, two days).

    Raises:
        FraudopsError: an argument is out of range, or `months` is given without `start`.
    """
    standin = StandIn.load() if profile is None else StandIn(profile)
    rows = standin.rows if rows is None else rows
    frauds = round(rows * standin.fraud_rate) if frauds is None else frauds
    if rows < 1 or not 0 <= frauds <= rows:
        raise FraudopsError(f"rows must be 1 or more and frauds between 0 and rows (got {rows} and {frauds})")
    if seed < 0:
        raise FraudopsError(f"seed must be 0 or more (got {seed})")
    if months is not None and (start is None or months < 1):
        raise FraudopsError(f"months must be 1 or more, and need a start (got {months} from {start})")
    days = standin.days if start is None or months is None else (months_later(start, months) - start).days
    return standin.table(standin.traffic(rows, frauds, days, np.random.default_rng(seed)), start)


def months_later(day: date, months: int) -> date:
    """The same day `months` calendar months later, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    try:
        return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
    except ValueError as error:
        raise FraudopsError(f"{months} months from {day} is past the year 9999") from error
