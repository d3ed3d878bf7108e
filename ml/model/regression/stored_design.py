"""The columns of rows in files, made from a block of rows when a slice of it is asked for, and soon forgotten.

A fit that reads its rows anew in every step needs no memory for them. It gives the bits of a fit in memory: slices are
the same, and so is what is computed in each.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model.regression.columns import RegressionColumns
from ml.model.regression.design import ColumnSource, Design
from ml.model.stored_rows import Rows, StoredRows

MEMORY_BYTES = 1 << 30
"""A larger design is not held in memory."""


def design(columns: RegressionColumns, X: Rows, memory_bytes: int | None = None) -> ColumnSource:
    """The columns of rows: in memory if they are few or a data frame, whose rows are there anyway.

    Args:
        memory_bytes: MEMORY_BYTES if None.
    """
    limit = MEMORY_BYTES if memory_bytes is None else memory_bytes
    if isinstance(X, pd.DataFrame) or len(X) * columns.row_bytes <= limit:
        return columns.design(X)
    return StoredDesign(columns, X)


class StoredDesign:
    """Takes the place of a Design; can be used from several threads, which should ask for slices in about their order.

    Holds two blocks more than there are cores.
    """

    def __init__(self, columns: RegressionColumns, rows: StoredRows) -> None:
        self._columns, self._rows = columns, rows
        self._starts = np.cumsum([0, *rows.block_rows])
        self._recent: OrderedDict[int, Future[Design]] = OrderedDict()
        self._lock, self._most = Lock(), (os.cpu_count() or 1) + 2

    @property
    def intercept(self) -> int:
        """The place of the column of ones."""
        return len(self._columns.values)

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.intercept + 1 + sum(self._columns.sizes)

    def rows(self, chosen: NDArray[np.intp] | slice) -> Design:
        """The columns of the chosen rows. A choice that is no slice reads all blocks that have some of them."""
        if isinstance(chosen, slice):
            return self._slice(*chosen.indices(int(self._starts[-1]))[:2])
        order = np.argsort(chosen, kind="stable")
        ends = np.searchsorted(chosen[order], self._starts)
        made = []
        for number in np.flatnonzero(np.diff(ends)).tolist():
            own = chosen[order[ends[number] : ends[number + 1]]] - self._starts[number]
            made.append(self._block(number).rows(own))
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return Design.joined(made).rows(back) if made else self._slice(0, 0)

    def _slice(self, start: int, stop: int) -> Design:
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        last = max(first, int(np.searchsorted(self._starts, stop, side="left")) - 1)
        made = []
        for number in range(first, last + 1):
            before = int(self._starts[number])
            made.append(self._block(number).rows(slice(max(start - before, 0), max(stop - before, 0))))
        return made[0] if len(made) == 1 else Design.joined(made)

    def _block(self, number: int) -> Design:
        with self._lock:
            found = self._recent.get(number)
            made = Future[Design]() if found is None else found
            if found is None:
                self._recent[number] = made
                if len(self._recent) > self._most:
                    self._recent.popitem(last=False)
        if found is None:
            try:
                made.set_result(self._columns.design(self._rows.block(number, self._columns.names)))
            except BaseException as error:
                made.set_exception(error)
                raise
        return made.result()
