"""Measures whether frauds come singly or in bursts: the variance-to-mean ratio of their counts. Makes no verdict.

Sums of parts add up, so that the drift reference can be completed from parts of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_SECONDS_PER_HOUR = 3_600
_HOURS_PER_DAY = 24
_MIN_DAYS = 14
"""With fewer days of rows the counts are per hour, which finds only bursts within an hour."""


@dataclass(frozen=True, kw_only=True)
class Dispersion:
    """Sums of the variance and of the mean of fraud counts, over all blocks of time and amount bands."""

    variance: float
    mean: float

    @classmethod
    def of(cls, times: ArrayLike, amounts: ArrayLike, labels: ArrayLike, edges: ArrayLike) -> Dispersion:
        """Counts frauds per day and amount band; per hour if the rows span less than two weeks.

        The mean of a block is its rows times the band's fraud rate, so that busy days are no bursts (Pearson's
        estimate: McCullagh and Nelder 1989, "Generalized linear models", 4.5).

        Args:
            times: event times, datetime64 in UTC.
            amounts, labels: of the same rows; labels are 0 or 1.
            edges: the interior edges of the amount bands.
        """
        hours = np.asarray(times).astype("datetime64[s]").astype(np.int64) // _SECONDS_PER_HOUR
        if not len(hours):
            return cls(variance=0.0, mean=0.0)
        short = (int(hours.max()) - int(hours.min())) / _HOURS_PER_DAY < _MIN_DAYS
        _, block = np.unique(hours if short else hours // _HOURS_PER_DAY, return_inverse=True)
        interior = np.asarray(edges, dtype=np.float64)
        size, blocks = len(interior) + 1, int(block.max()) + 1
        cell = block * size + np.searchsorted(interior, np.asarray(amounts, dtype=np.float64), side="right")
        rows, frauds = (
            np.bincount(part, minlength=blocks * size).reshape(blocks, size)
            for part in (cell, cell[np.asarray(labels) == 1])
        )
        if blocks < 2:
            return cls(variance=0.0, mean=0.0)
        expected = rows * (frauds.sum(axis=0) / np.maximum(rows.sum(axis=0), 1))
        squares = float(((frauds - expected) ** 2).sum())
        return cls(variance=squares * blocks / (blocks - 1), mean=float(expected.sum()))

    def __add__(self, other: Dispersion) -> Dispersion:
        return Dispersion(variance=self.variance + other.variance, mean=self.mean + other.mean)

    @property
    def ratio(self) -> float:
        """The variance-to-mean ratio; never below 1, its value for independent frauds."""
        return max(1.0, self.variance / self.mean) if self.mean else 1.0
