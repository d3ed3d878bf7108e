"""Integer counts and sums of a column that add up exactly: sums of parts equal one pass over all rows.

A value x becomes the integer q = rint((x - mean) * 4096 / std), with mean and standard deviation of the reference.
Unlike sums of floats, sums of q and q² are exact and independent of the order. The same q
finds the bin of most rows without a search: rounding keeps the order, so only rows that share a q with an edge must be
compared with it. That is ten times faster than a search for every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 4096
"""Steps of q per standard deviation of the reference. The error of a mean is below 1/8192 of it."""
LIMIT = 128
"""Values are clipped to this many standard deviations from the mean, in the moments only."""
CHUNK = 65_536
"""Rows per chunk: a column of this length fits into the cache of a core."""
_BLOCK = 8_192  # (LIMIT * STEPS)**2 * _BLOCK = 2**51: a block's sum of squares is an integer that float64 holds exactly
_MAX_CELLS = 16_384  # cells of the look-up table between the first and the last edge
_MIN_TABLE_ROWS = 1_024  # with fewer rows a search is faster than the table


@dataclass(frozen=True, kw_only=True)
class Count:
    """Counts of some values: rows per bin, the sums of q and q², and their range (None if empty)."""

    bins: NDArray[np.int64]
    total: int
    squares: int
    low: float | None
    high: float | None


class Binner:
    """Counts values between fixed interior `edges` (ascending; a value on an edge belongs to the bin above it)."""

    def __init__(self, edges: NDArray[np.float64], mean: float, std: float) -> None:
        self.edges, self.mean = edges, mean
        self.std = std if std > 0 else 1.0
        # a subnormal std would give an infinite factor, and 0 * inf for a value equal to the mean
        self._factor = min(STEPS / self.std, float(np.finfo(np.float64).max))
        self._table = len(edges) > 0
        if self._table:
            q = self._steps(edges, np.empty(len(edges)))
            width, self._shrink = float(q[-1] - q[0]), 1.0
            while width * self._shrink >= _MAX_CELLS:
                self._shrink /= 2
            self._first, self._top = float(q[0]), float(np.floor(width * self._shrink)) + 2
            self._cells = self._cell(q, np.empty(len(q)))
            self._shared = np.zeros(int(self._top) + 1, dtype=np.bool_)
            self._shared[self._cells] = True

    def count(self, values: NDArray[np.float64]) -> Count:
        """Counts `values`, a one-dimensional array of finite numbers."""
        n = len(values)
        if not n:
            return Count(bins=np.zeros(len(self.edges) + 1, dtype=np.int64), total=0, squares=0, low=None, high=None)
        total = squares = 0
        bins = np.zeros(len(self.edges) + 1, dtype=np.int64)
        for start in range(0, n, CHUNK):
            chunk = values[start : start + CHUNK]
            below, chunk_total, chunk_squares = self._count_chunk(np.ascontiguousarray(chunk))
            bins += np.diff(below, prepend=0, append=len(chunk))
            total, squares = total + chunk_total, squares + chunk_squares
        return Count(bins=bins, total=total, squares=squares, low=float(values.min()), high=float(values.max()))

    def moments(self, n: int, total: int, squares: int) -> tuple[float, float]:
        """Mean and standard deviation (divided by n) of `n` values; the reference mean and 0 if n is 0."""
        if not n:
            return self.mean, 0.0
        spread = n * squares - total * total  # in integers: no cancellation
        return self.mean + total / n / self._factor, spread**0.5 / n / self._factor

    def _count_chunk(self, values: NDArray[np.float64]) -> tuple[NDArray[np.int64], int, int]:
        """The number of values below each edge, and the sums of q and q²."""
        n = len(values)
        search = not self._table or n < _MIN_TABLE_ROWS
        cells = np.empty(0 if search else n, dtype=np.int64)
        buffer = np.empty(min(n, _BLOCK))
        total = squares = 0
        for start in range(0, n, _BLOCK):
            block = values[start : start + _BLOCK]
            q = self._steps(block, buffer[: len(block)])
            total += int(q.sum())
            squares += int(np.dot(q, q))
            if not search:
                cells[start : start + len(block)] = self._cell(q, q)
        if search:
            return np.searchsorted(np.sort(values), self.edges, side="left").astype(np.int64), total, squares
        rows = np.bincount(cells, minlength=len(self._shared))
        rows[self._cells] = 0
        tied = np.sort(values[self._shared[cells]])  # values that share a cell with an edge
        below = np.cumsum(rows)[self._cells] + np.searchsorted(tied, self.edges, side="left")
        return below.astype(np.int64), total, squares

    def _steps(self, values: NDArray[np.float64], out: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):  # such values are clipped below
            np.subtract(values, self.mean, out=out)
            np.multiply(out, self._factor, out=out)
        np.clip(out, -LIMIT * STEPS, LIMIT * STEPS, out=out)
        return np.rint(out, out=out)

    def _cell(self, q: NDArray[np.float64], out: NDArray[np.float64]) -> NDArray[np.int64]:
        """The table cell of each q: 0 below the first edge, the last cell above the last edge."""
        np.subtract(q, self._first, out=out)
        if self._shrink < 1:
            np.multiply(out, self._shrink, out=out)
            np.floor(out, out=out)
        np.add(out, 1.0, out=out)
        np.clip(out, 0.0, self._top, out=out)
        cells: NDArray[np.int64] = out.astype(np.int64)
        return cells


def finite(values: NDArray[Any]) -> NDArray[np.float64]:
    """The finite values as float64; the array itself if all are finite."""
    array = np.asarray(values, dtype=np.float64)
    if len(array) and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        array = array[np.isfinite(array)]
    return array


def time_of_day(times: NDArray[np.float64], day: float) -> NDArray[np.float64]:
    """numpy.mod(times, day): bitwise equal and several times faster; `day` is its length in the unit of the times."""
    rest = times - day * np.floor(times / day)
    if len(rest) and not (rest.min() >= 0 and np.abs(times).max() < 2.0**52):  # the quotient was rounded up
        return np.mod(times, day)
    return rest
