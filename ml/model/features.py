"""Transforms transactions into the regression's inputs: scaled values, then codes of bins and of category levels.

Bins and levels are codes, not one-hot columns, because resampling comes in between: a code can be copied from one row,
but the average of two one-hot rows is not a bin. The regression sees a column for each code, never the codes. Which
values of a category are levels depends on how often they occur, never on labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml.model import time_units
from ml.model.binning import HOURS, SECONDS_PER_HOUR, quantile_edges
from ml.model.category_levels import Levels
from ml.model.training_settings import Binning, Columns


def log_amount(amount: ArrayLike) -> NDArray[np.float64]:
    """log(1 + amount); an amount below zero counts as zero, as in the scorer."""
    return np.log1p(np.maximum(np.asarray(amount, dtype=np.float64), 0.0))


def amounts(columns: Columns, rows: pd.DataFrame) -> NDArray[np.float64] | None:
    """The amounts of `rows`; None if the data has no amount column."""
    return None if columns.amount is None else rows[columns.amount].to_numpy(dtype=np.float64)


def hour_of_day(times: ArrayLike, per_second: int = 1) -> NDArray[np.float64]:
    """The hour of the day, 0 to 23, of times since a midnight, of which `per_second` make a second."""
    return np.mod(np.floor(np.asarray(times, dtype=np.float64) / (SECONDS_PER_HOUR * per_second)), HOURS)


def amount_levels(binning: Binning) -> tuple[float, ...]:
    """The quantile levels of the amount bins' edges, ascending: `amount_bins` equal shares, then `amount_tail`."""
    return (*(np.arange(1, binning.amount_bins) / max(binning.amount_bins, 1)).tolist(), *binning.amount_tail)


class AmountBins(BaseEstimator, TransformerMixin):  # type: ignore[misc] # scikit-learn ships no types
    """Encodes amounts as bin codes from 0; the edges at the quantiles `levels` are learned in `fit`."""

    def __init__(self, levels: Sequence[float] | NDArray[np.float64]) -> None:
        self.levels = levels

    def fit(self, X: ArrayLike, y: Any = None) -> AmountBins:  # noqa: ARG002 - scikit-learn's signature
        """Learns `edges_` from one column of amounts."""
        self.edges_ = quantile_edges(np.asarray(X, dtype=np.float64)[:, 0], self.levels)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """One column of codes; a value on an edge belongs to the bin above it."""
        amounts = np.asarray(X, dtype=np.float64)[:, 0]
        return np.searchsorted(self.edges_, amounts, side="right").astype(np.float64)[:, None]


class HourBins(BaseEstimator, TransformerMixin):  # type: ignore[misc] # scikit-learn ships no types
    """Encodes times, of which `per_second` make a second, as the code of one of `bins` equal parts of the day."""

    def __init__(self, bins: int, per_second: int = 1) -> None:
        self.bins = bins
        self.per_second = per_second

    def fit(self, X: ArrayLike, y: Any = None) -> HourBins:  # noqa: ARG002 - scikit-learn's signature
        """Sets `edges_`, in hours; nothing is learned from the rows."""
        self.edges_ = np.arange(1, self.bins) * (HOURS / self.bins)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """One column of codes."""
        hours = hour_of_day(np.asarray(X, dtype=np.float64)[:, 0], self.per_second)
        return np.searchsorted(self.edges_, hours, side="right").astype(np.float64)[:, None]


def frequent_levels(values: ArrayLike, min_rows: int) -> tuple[str, ...]:
    """The texts that occur at least `min_rows` times among `values`, sorted: the same rows give the same levels."""
    counts = pd.Series(np.asarray(values, dtype=object)).value_counts()
    return tuple(sorted(counts.index[counts >= min_rows]))


class CategoryLevels(BaseEstimator, TransformerMixin):  # type: ignore[misc] # scikit-learn ships no types
    """Encodes the texts of one column as codes of levels; a value below `min_rows` fitted rows has the last code."""

    def __init__(self, min_rows: int) -> None:
        self.min_rows = min_rows

    def fit(self, X: pd.DataFrame, y: Any = None) -> CategoryLevels:  # noqa: ARG002 - scikit-learn's signature
        """Learns `levels_` from one column of texts."""
        self.levels_ = frequent_levels(X.iloc[:, 0], self.min_rows)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """One column of codes."""
        return np.array(Levels(self.levels_).places(X.iloc[:, 0].tolist()))[:, None]


def matrix(columns: Columns, rows: pd.DataFrame, levels: Mapping[str, Sequence[str]]) -> NDArray[np.float64]:
    """The inputs of `rows` as numbers; a category as the place of its level among `levels`."""
    if not columns.categories:
        return rows[list(columns.inputs)].to_numpy(dtype=np.float64)
    made = np.empty((len(rows), len(columns.inputs)))
    made[:, : len(columns.numbers)] = rows[list(columns.numbers)].to_numpy(dtype=np.float64)
    for at, name in enumerate(columns.categories, start=len(columns.numbers)):
        made[:, at] = Levels(levels[name]).places(rows[name].tolist())
    return made


def level_block(name: str) -> str:
    """The name of the block of the category `name` in `build`."""
    return f"level:{name}"


def code_count(columns: Columns, binning: Binning) -> int:
    """The number of code columns, which are the last columns of `build`'s output."""
    return has_amount_bins(columns, binning) + has_hour_bins(columns, binning) + len(columns.categories)


def has_amount_bins(columns: Columns, binning: Binning) -> bool:
    """Whether there are bins of the amount: some are set, and the data has an amount."""
    return columns.amount is not None and bool(amount_levels(binning))


def has_hour_bins(columns: Columns, binning: Binning) -> bool:
    """Whether there are bins of the hour of the day: some are set, and the data has a time."""
    return columns.time is not None and binning.hour_bins > 1


def build(columns: Columns, binning: Binning, min_level_rows: int) -> ColumnTransformer:
    """The transformer from a frame of `columns.inputs` to scaled features, scaled log-amount, then codes.

    Without an amount or a time column, what depends on it is left out.
    """
    blocks: list[tuple[str, Any, list[str]]] = [("features", StandardScaler(), list(columns.features))]
    if columns.amount is not None:
        blocks.append(("amount", make_pipeline(FunctionTransformer(log_amount), StandardScaler()), [columns.amount]))
        if has_amount_bins(columns, binning):
            blocks.append(("amount_bin", AmountBins(amount_levels(binning)), [columns.amount]))
    if columns.time is not None and has_hour_bins(columns, binning):
        per_second = time_units.per_second(columns.time.unit)
        blocks.append(("hour_bin", HourBins(binning.hour_bins, per_second), [columns.time.column]))
    blocks += [(level_block(name), CategoryLevels(min_level_rows), [name]) for name in columns.categories]
    return ColumnTransformer(blocks)
