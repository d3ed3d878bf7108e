"""Transforms transactions into the regression's inputs: scaled values, then codes of amount and hour bins.

Bins are codes, not one-hot columns, because resampling comes in between: a code can be copied from one row, but the
average of two one-hot rows is not a bin. Never uses labels.
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
from ml.model.binning import HOURS, SECONDS_PER_HOUR, quantile_edges
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


def code_count(columns: Columns, binning: Binning) -> int:
    """The number of bin-code columns, which are the last columns of `build`'s output."""
    return has_amount_bins(columns, binning) + has_hour_bins(columns, binning)


def has_amount_bins(columns: Columns, binning: Binning) -> bool:
    """Whether there are bins of the amount: some are set, and the data has an amount."""
    return columns.amount is not None and bool(amount_levels(binning))


def has_hour_bins(columns: Columns, binning: Binning) -> bool:
    """Whether there are bins of the hour of the day: some are set, and the data has a time."""
    return columns.time is not None and binning.hour_bins > 1


def build(columns: Columns, binning: Binning) -> ColumnTransformer:
    """The transformer from a frame of `columns.inputs` to scaled features, scaled log-amount, then bin codes.

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
    return ColumnTransformer(blocks)
