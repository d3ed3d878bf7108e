"""Measures whether frauds come singly or in bursts: the variance-to-mean ratio of their counts. Makes no verdict.

Sums of parts add up, so that the drift reference can be completed from parts of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_SECONDS_PER_HOUR, _HOURS_PER_DAY, _DAYS_PER_WEEK = 3_600, 24, 7
_MIN_DAYS = 14
"""With fewer days of rows the counts are per hour and day."""
_MIN_BLOCKS = 7
"""Of fewer blocks the ratio is not estimated."""


@dataclass(frozen=True, kw_only=True)
class Dispersion:
    """Sums of the variance and of the mean of fraud counts, over all blocks of time and amount bands.

    The blocks are days, and weeks for `longer_variance` and `longer_mean`, because a burst may last several days.
    """

    variance: float
    mean: float
    longer_variance: float
    longer_mean: float

    @classmethod
    def of(cls, times: ArrayLike, amounts: ArrayLike, labels: ArrayLike, edges: ArrayLike) -> Dispersion:
        """Counts frauds per day and per week in each amount band; per hour and day if the rows span under two weeks.

        The mean of a block is its rows times the band's fraud rate, so that busy days are no bursts (Pearson's
        estimate: McCullagh and Nelder 1989, "Generalized linear models", 4.5).

        Args:
            times: event times, datetime64 in UTC.
            amounts, labels: of the same rows; labels are 0 or 1.
            edges: the interior edges of the amount bands.
        """
        hours = np.asarray(times).astype("datetime64[s]").astype(np.int64) // _SECONDS_PER_HOUR
        if not len(hours):
            return cls(variance=0.0, mean=0.0, longer_variance=0.0, longer_mean=0.0)
        interior = np.asarray(edges, dtype=np.float64)
        bands = np.searchsorted(interior, np.asarray(amounts, dtype=np.float64), side="right")
        return cls.of_counts(hours, bands, np.ones(len(hours)), np.asarray(labels) == 1, size=len(interior) + 1)

    @classmethod
    def of_counts(
        cls,
        hours: NDArray[np.int64],
        bands: NDArray[np.int64],
        rows: NDArray[np.float64],
        frauds: NDArray[Any],
        *,
        size: int,
    ) -> Dispersion:
        """The same from the numbers of rows and frauds in cells, each an hour since 1970 and one of `size` bands.

        A cell may occur several times.
        """
        days = hours // _HOURS_PER_DAY
        short = (int(hours.max()) - int(hours.min())) / _HOURS_PER_DAY < _MIN_DAYS
        variance, mean = _sums(hours if short else days, bands, rows, frauds, size)
        longer_variance, longer_mean = _sums(days if short else days // _DAYS_PER_WEEK, bands, rows, frauds, size)
        return cls(variance=variance, mean=mean, longer_variance=longer_variance, longer_mean=longer_mean)

    def __add__(self, other: Dispersion) -> Dispersion:
        return Dispersion(
            variance=self.variance + other.variance,
            mean=self.mean + other.mean,
            longer_variance=self.longer_variance + other.longer_variance,
            longer_mean=self.longer_mean + other.longer_mean,
        )

    @property
    def ratio(self) -> float:
        """The larger variance-to-mean ratio; never below 1, its value for independent frauds."""
        pairs = (self.variance, self.mean), (self.longer_variance, self.longer_mean)
        return max([1.0, *(variance / mean for variance, mean in pairs if mean)])


def _sums(
    blocks: NDArray[np.int64], bands: NDArray[np.int64], counts: NDArray[np.float64], fraud: NDArray[Any], size: int
) -> tuple[float, float]:
    """Variance and mean of the fraud counts, summed over blocks of time and amount bands; 0 with too few blocks."""
    _, block = np.unique(blocks, return_inverse=True)
    count = int(block.max()) + 1
    if count < _MIN_BLOCKS:
        return 0.0, 0.0
    cell = block * size + bands
    rows, frauds = (np.bincount(cell, part, count * size).reshape(count, size) for part in (counts, fraud))
    expected = rows * (frauds.sum(axis=0) / np.maximum(rows.sum(axis=0), 1))
    squares = float(((frauds - expected) ** 2).sum())
    return squares * count / (count - 1), float(expected.sum())
