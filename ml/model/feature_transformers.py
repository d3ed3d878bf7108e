"""The features as scikit-learn transformers: scaled values, then codes of bins and of category levels.

Bins and levels are codes, not one-hot columns, because resampling comes in between: a code can be copied from one row,
but the average of two one-hot rows is not a bin. The regression sees a column for each code, never the codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml.model import time_units
from ml.model.binning import quantile_edges
from ml.model.category_levels import Levels
from ml.model.features import (
    amount_levels,
    frequent_levels,
    has_amount_bins,
    has_hour_bins,
    hour_edges,
    hour_of_day,
    log_amount,
)
from ml.model.training_settings import Binning, Columns


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
        self.edges_ = hour_edges(self.bins)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """One column of codes."""
        hours = hour_of_day(np.asarray(X, dtype=np.float64)[:, 0], self.per_second)
        return np.searchsorted(self.edges_, hours, side="right").astype(np.float64)[:, None]


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


def level_block(name: str) -> str:
    """The name of the block of the category `name` in `build`."""
    return f"level:{name}"


def code_count(columns: Columns, binning: Binning) -> int:
    """The number of code columns, which are the last columns of `build`'s output."""
    return has_amount_bins(columns, binning) + has_hour_bins(columns, binning) + len(columns.categories)


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
