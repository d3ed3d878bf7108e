"""Draws stand-in data for the ULB card data from its published statistics.

A Gaussian copula joins the quantile tables of each group (legitimate rows; three kinds of fraud), and hourly counts
place rows in the day. README.md in this folder names the sources of the figures and the limits of the data.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr

from ml.errors import FraudopsError

ROWS, FRAUDS = 284_807, 492
"""The size of the ULB data set."""
HOURS, SECONDS_PER_HOUR, SECONDS_PER_DAY = 24, 3_600, 86_400
_PROFILE = Path(__file__).with_name("profile.json")
_CHUNK_ROWS = 65_536
_DECIMALS = 6
_CENTS = 2


@dataclass(frozen=True, kw_only=True)
class Group:
    """One kind of transaction: `quantiles` has a row for each column, `factor` is the copula's Cholesky factor."""

    label: int
    share: float
    quantiles: NDArray[np.float64]
    factor: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Transactions in the order of time.

    `seconds` float64[n]: whole seconds since the first midnight; `values` float64[n, columns]; `labels` int8[n].
    """

    seconds: NDArray[np.float64]
    values: NDArray[np.float64]
    labels: NDArray[np.int8]


class StandIn:
    """Draws transactions from a profile. Every draw takes a generator, so that parts can be drawn separately."""

    def __init__(self, profile: Mapping[str, Any]) -> None:
        self.columns: tuple[str, ...] = tuple(profile["columns"])
        self.amount: int = self.columns.index("Amount")
        self.days: int = -(-profile["full_set"]["seconds"] // SECONDS_PER_DAY)
        self._levels: NDArray[np.float64] = np.array(profile["quantile_levels"], dtype=np.float64)
        self._hours: dict[int, NDArray[np.float64]] = {
            int(label): np.array(counts, dtype=np.float64) / sum(counts)
            for label, counts in profile["hourly_counts"].items()
        }
        groups = [self._group(group) for group in profile["groups"]]
        self.legitimate_groups: tuple[Group, ...] = tuple(group for group in groups if group.label == 0)
        self.fraud_groups: tuple[Group, ...] = tuple(group for group in groups if group.label == 1)

    @classmethod
    def load(cls) -> StandIn:
        """The stand-in of the profile that ships with the project."""
        return cls(json.loads(_PROFILE.read_text(encoding="utf-8")))

    def _group(self, group: Mapping[str, Any]) -> Group:
        return Group(
            label=group["label"],
            share=group["share_of_class"],
            quantiles=np.array([group["quantiles"][name] for name in self.columns], dtype=np.float64),
            factor=copula_factor(np.array(group["rank_correlation"], dtype=np.float64)),
        )

    def values(self, group: Group, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """`rows` transactions of one group, float64[rows, columns]: six decimals, the amount in whole cents."""
        width = len(self.columns)
        drawn = np.empty((rows, width), dtype=np.float64)
        for start in range(0, rows, _CHUNK_ROWS):
            chunk = drawn[start : start + _CHUNK_ROWS]
            ranks = ndtr(rng.standard_normal((len(chunk), width)) @ group.factor.T)
            for column in range(width):
                chunk[:, column] = np.interp(ranks[:, column], self._levels, group.quantiles[column])
        np.round(drawn, _DECIMALS, out=drawn)
        drawn[:, self.amount] = np.round(drawn[:, self.amount], _CENTS)
        return drawn + 0.0  # avoids -0.0 in files

    def moments(self, group: Group) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and mean square of each column of one group: integrals of its piecewise linear quantile function."""
        low, high, width = group.quantiles[:, :-1], group.quantiles[:, 1:], np.diff(self._levels)
        return (low + high) / 2 @ width, (low**2 + low * high + high**2) / 3 @ width

    def legitimate(self, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """`rows` legitimate transactions, float64[rows, columns]."""
        return self._mixture(self.legitimate_groups, rows, rng)

    def frauds(self, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """`rows` frauds of all groups, by the groups' shares, float64[rows, columns]."""
        return self._mixture(self.fraud_groups, rows, rng)

    def _mixture(self, groups: Sequence[Group], rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        shares = np.array([group.share for group in groups])
        counts = rng.multinomial(rows, shares / shares.sum())
        drawn = [self.values(group, int(count), rng) for group, count in zip(groups, counts, strict=True)]
        return rng.permutation(np.concatenate(drawn), axis=0) if len(drawn) > 1 else drawn[0]

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
        legitimate = rows - frauds
        values = np.concatenate([self.legitimate(legitimate, rng), self.frauds(frauds, rng)])
        seconds = np.concatenate([self.seconds(0, legitimate, days, rng), self.seconds(1, frauds, days, rng)])
        labels = np.repeat(np.array([0, 1], dtype=np.int8), [legitimate, frauds])
        order = np.argsort(seconds, kind="stable")
        return Traffic(seconds=seconds[order], values=values[order], labels=labels[order])

    def table(self, traffic: Traffic, start: date | None = None) -> pa.Table:
        """`traffic` in Kaggle's layout (Time, V1 … V28, Amount, Class), after `event_time` if `start` is given.

        Time counts from midnight, UTC, of the day `start`.
        """
        columns: dict[str, pa.Array] = {}
        if start is not None:
            midnight = int(datetime.combine(start, time(), UTC).timestamp())
            microseconds = pa.array((traffic.seconds.astype(np.int64) + midnight) * 1_000_000)
            columns["event_time"] = microseconds.cast(pa.timestamp("us", "UTC"))
        columns["Time"] = pa.array(traffic.seconds)
        columns |= {name: pa.array(traffic.values[:, i]) for i, name in enumerate(self.columns)}
        columns["Class"] = pa.array(traffic.labels)
        return pa.table(columns)


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
    rows: int = ROWS, *, frauds: int | None = None, seed: int = 0, start: date | None = None, months: int | None = None
) -> pa.Table:
    """Draws a stand-in data set in Kaggle's layout; the same arguments give the same rows.

    Args:
        rows: number of transactions.
        frauds: number of frauds among them; None = the ULB data's proportion (492 of 284,807), rounded.
        seed: 0 or more.
        start: the first day; the table then begins with an `event_time` column. None = Time only, as in Kaggle's file.
        months: calendar months from `start` that the rows cover; None = two days, as in Kaggle's file.

    Raises:
        FraudopsError: an argument is out of range, or `months` is given without `start`.
    """
    frauds = round(rows * FRAUDS / ROWS) if frauds is None else frauds
    if rows < 1 or not 0 <= frauds <= rows:
        raise FraudopsError(f"rows must be 1 or more and frauds between 0 and rows (got {rows} and {frauds})")
    if seed < 0:
        raise FraudopsError(f"seed must be 0 or more (got {seed})")
    if months is not None and (start is None or months < 1):
        raise FraudopsError(f"months must be 1 or more, and need a start (got {months} from {start})")
    standin = StandIn.load()
    days = standin.days if start is None or months is None else (months_later(start, months) - start).days
    return standin.table(standin.traffic(rows, frauds, days, np.random.default_rng(seed)), start)


def months_later(day: date, months: int) -> date:
    """The same day `months` calendar months later, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    try:
        return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
    except ValueError as error:
        raise FraudopsError(f"{months} months from {day} is past the year 9999") from error
