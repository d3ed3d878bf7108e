"""Derives features from transactions: the log-amount, the hour of the day, the levels of categories.

Which values of a category are levels depends on how often they occur, never on labels. Imports no scikit-learn, which
takes a second to load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ml.model.binning import HOURS, SECONDS_PER_HOUR
from ml.model.category_levels import Levels
from ml.model.stored_rows import Rows
from ml.model.training_settings import Binning, Columns


def log_amount(amount: ArrayLike) -> NDArray[np.float64]:
    """log(1 + amount); an amount below zero counts as zero, as in the scorer."""
    return np.log1p(np.maximum(np.asarray(amount, dtype=np.float64), 0.0))


def amounts(columns: Columns, rows: Rows) -> NDArray[np.float64] | None:
    """The amounts of `rows`; None if the data has no amount column."""
    return None if columns.amount is None else rows[columns.amount].to_numpy(dtype=np.float64)


def hour_of_day(times: ArrayLike, per_second: int = 1) -> NDArray[np.float64]:
    """The hour of the day, 0 to 23, of times since a midnight, of which `per_second` make a second."""
    return np.mod(np.floor(np.asarray(times, dtype=np.float64) / (SECONDS_PER_HOUR * per_second)), HOURS)


def hour_edges(bins: int) -> NDArray[np.float64]:
    """The hours at which `bins` equal parts of the day meet."""
    return np.arange(1, bins, dtype=np.float64) * (HOURS / bins)


def amount_levels(binning: Binning) -> tuple[float, ...]:
    """The quantile levels of the amount bins' edges, ascending: `amount_bins` equal shares, then `amount_tail`."""
    return (*(np.arange(1, binning.amount_bins) / max(binning.amount_bins, 1)).tolist(), *binning.amount_tail)


def frequent_levels(values: ArrayLike, min_rows: int) -> tuple[str, ...]:
    """The texts that occur at least `min_rows` times among `values`, sorted: the same rows give the same levels."""
    counts = pd.Series(np.asarray(values, dtype=object)).value_counts()
    return tuple(sorted(counts.index[counts >= min_rows]))


def matrix(columns: Columns, rows: pd.DataFrame, levels: Mapping[str, Sequence[str]]) -> NDArray[np.float64]:
    """The inputs of `rows` as numbers; a category as the place of its level among `levels`."""
    if not columns.categories:
        return rows[list(columns.inputs)].to_numpy(dtype=np.float64)
    made = np.empty((len(rows), len(columns.inputs)))
    made[:, : len(columns.numbers)] = rows[list(columns.numbers)].to_numpy(dtype=np.float64)
    for at, name in enumerate(columns.categories, start=len(columns.numbers)):
        made[:, at] = Levels(levels[name]).places(rows[name].tolist())
    return made


def has_amount_bins(columns: Columns, binning: Binning) -> bool:
    """Whether there are bins of the amount: some are set, and the data has an amount."""
    return columns.amount is not None and bool(amount_levels(binning))


def has_hour_bins(columns: Columns, binning: Binning) -> bool:
    """Whether there are bins of the hour of the day: some are set, and the data has a time."""
    return columns.time is not None and binning.hour_bins > 1
