"""The columns of a regression as scaled values and codes, and their weighted sums.

A code stands for a one-hot column: `codes[b][i]` is the column of row i in block b. The columns are never built. Sums
over rows are taken per slice of the rows and added up in the order of the slices; slices are shared among threads. So
the same rows give the same bits on any number of cores, provided that linear algebra itself runs on one thread
(ml.model.estimator).
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]
Codes = NDArray[np.int32]

SLICE = 16_384
"""Rows that are processed at once: their values stay in a core's cache between two uses."""

_ROOMS = threading.local()
Each = Callable[[Callable[[slice], Any], int, int], Iterator[Any]]
"""Calls a function for each slice of a number of rows, on all cores; the results are in order.

The arguments are the function, the number of rows, and the rows of a slice.
"""


@contextmanager
def in_slices() -> Iterator[Each]:
    """Threads for `Each`, which end with the block. No more results are held than two for each thread."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(max_workers=threads) as pool:

        def each(call: Callable[[slice], Any], rows: int, size: int) -> Iterator[Any]:
            running: deque[Future[Any]] = deque()
            for start in range(0, rows, size):
                running.append(pool.submit(call, slice(start, min(start + size, rows))))
                if len(running) > 2 * threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()

        yield each


class ColumnSource(Protocol):
    """Columns of rows that a fit reads in slices: a Design, or one that is made as it is read (stored_design.py)."""

    @property
    def width(self) -> int:
        """The number of columns."""

    @property
    def intercept(self) -> int:
        """The place of the column of ones."""

    def rows(self, chosen: NDArray[np.intp] | slice) -> Design:
        """The columns of the chosen rows."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """Columns of some rows, in this order: the values, one column of ones, and those of each block of codes.

    `values` has one row per transaction; block b has `sizes[b]` columns.
    """

    values: Array
    codes: tuple[Codes, ...]
    sizes: tuple[int, ...]

    @classmethod
    def joined(cls, parts: Sequence[Design]) -> Design:
        """The rows of all parts, which have the same columns, one part after the other."""
        return cls(
            values=np.concatenate([part.values for part in parts]),
            codes=tuple(np.concatenate(blocks) for blocks in zip(*(part.codes for part in parts), strict=True)),
            sizes=parts[0].sizes,
        )

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.intercept + 1 + sum(self.sizes)

    @property
    def intercept(self) -> int:
        """The place of the column of ones."""
        place: int = self.values.shape[1]
        return place

    def rows(self, chosen: NDArray[np.intp] | slice) -> Design:
        """The columns of the chosen rows."""
        return Design(values=self.values[chosen], codes=tuple(block[chosen] for block in self.codes), sizes=self.sizes)

    def tables(self, weights: Array) -> list[Array]:
        """The weights of each block of codes."""
        return np.split(weights[self.values.shape[1] + 1 :], np.cumsum(self.sizes)[:-1]) if self.sizes else []

    def products(self, weights: Array) -> Array:
        """The weighted sum of each row's columns."""
        made = self.values @ weights[: self.values.shape[1]]
        made += weights[self.values.shape[1]]
        for codes, table in zip(self.codes, self.tables(weights), strict=True):
            made += table[codes]
        return made

    def sums(self, of_values: Array, of_codes: Array) -> Array:
        """The weighted sum of each column, with a row's weight in sums of values, and that in the other sums."""
        return np.concatenate([of_values @ self.values, [of_codes.sum()], *self._code_sums(of_codes)])

    def moments(self, weights: Array) -> Array:
        """The weighted sum over rows of the products of each two columns: a symmetric matrix. Weights are 0 or more."""
        room = _room(self.values.shape)
        scaled = np.multiply(self.values, np.sqrt(weights)[:, np.newaxis], out=room)
        corner = scaled.T @ scaled
        return self.assembled(corner, np.multiply(self.values, weights[:, np.newaxis], out=room), weights)

    def assembled(self, corner: Array, of_values: Array, of_codes: Array) -> Array:
        """The matrix of `moments` from its values' corner.

        Args:
            corner: the sums of products of two values.
            of_values: each row's values, as they count in sums of products with the other columns.
            of_codes: each row's weight in sums of products of these.
        """
        made, count = np.empty((self.width, self.width)), self.values.shape[1]
        made[:count, :count] = corner
        made[count, :count] = made[:count, count] = of_values.sum(axis=0)
        made[count, count:] = made[count:, count] = np.concatenate([[of_codes.sum()], *self._code_sums(of_codes)])
        if not self.codes:
            return made
        made[count + 1 :, :count] = self._indicators() @ of_values
        made[:count, count + 1 :] = made[count + 1 :, :count].T
        ends = count + 1 + np.cumsum([0, *self.sizes])
        places = [slice(start, end) for start, end in pairwise(ends.tolist())]
        for first, (codes, size) in enumerate(zip(self.codes, self.sizes, strict=True)):
            for second in range(first, len(self.codes)):
                other = self.sizes[second]
                pairs = by_code(codes * np.int64(other) + self.codes[second], of_codes, size * other)
                made[places[first], places[second]] = pairs.reshape(size, other)
                made[places[second], places[first]] = pairs.reshape(size, other).T
        return made

    def _code_sums(self, weights: Array) -> list[Array]:
        return [by_code(codes, weights, size) for codes, size in zip(self.codes, self.sizes, strict=True)]

    def _indicators(self) -> sparse.csc_array:
        """One row per column of the blocks, one column per row of the design: ones where the row has the code."""
        starts = np.cumsum([0, *self.sizes], dtype=np.int64)[:-1]
        places = np.column_stack([codes + start for codes, start in zip(self.codes, starts, strict=True)]).ravel()
        ends = np.arange(0, len(places) + 1, len(self.codes))
        return sparse.csc_array((np.ones(len(places)), places, ends), shape=(sum(self.sizes), len(self.values)))


def _room(shape: tuple[int, ...]) -> Array:
    """An array for intermediate values, the same in every call of a thread: new memory for each slice would take
    longer to get from the system than the sums take."""
    kept: Array | None = getattr(_ROOMS, "kept", None)
    size = math.prod(shape)
    if kept is None or kept.size < size:
        kept = _ROOMS.kept = np.empty(size)
    return kept[:size].reshape(shape)


def by_code(codes: NDArray[np.integer[Any]], weights: Array, size: int) -> Array:
    """The sum of the weights of each code below `size`."""
    made: Array = np.bincount(codes, weights, minlength=size).astype(np.float64, copy=False)
    return made
