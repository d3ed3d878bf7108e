"""Transforms transactions into the regression's inputs: scaled values, then codes of amount and hour bins.

Bins are codes, not one-hot columns, because resampling comes in between: a code can be copied from one row, but the
average of two one-hot rows is not a bin. Never uses labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml.model.binning import HOURS, SECONDS_PER_HOUR, quantile_edges
from ml.model.training_settings import Binning, Columns


def log_amount(amount: ArrayLike) -> NDArray[np.float64]:
    """log(1 + amount); an amount below zero counts as zero, as in the scorer."""
    return np.log1p(np.maximum(np.asarray(amount, dtype=np.float64), 0.0))


def hour_of_day(seconds: ArrayLike) -> NDArray[np.float64]:
    """The hour of the day, 0 to 23, of seconds since a midnight."""
    return np.mod(np.floor(np.asarray(seconds, dtype=np.float64) / SECONDS_PER_HOUR), HOURS)


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
    """Encodes seconds as the code of one of `bins` equal parts of the day."""

    def __init__(self, bins: int) -> None:
        self.bins = bins

    def fit(self, X: ArrayLike, y: Any = None) -> HourBins:  # noqa: ARG002 - scikit-learn's signature
        """Sets `edges_`, in hours; nothing is learned from the rows."""
        self.edges_ = np.arange(1, self.bins) * (HOURS / self.bins)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """One column of codes."""
        hours = hour_of_day(np.asarray(X, dtype=np.float64)[:, 0])
        return np.searchsorted(self.edges_, hours, side="right").astype(np.float64)[:, None]


def code_count(binning: Binning) -> int:
    """The number of bin-code columns, which are the last columns of `build`'s output."""
    return bool(amount_levels(binning)) + (binning.hour_bins > 1)


def build(columns: Columns, binning: Binning) -> ColumnTransformer:
    """The transformer from a frame of `columns.inputs` to scaled features, scaled log-amount, then bin codes."""
    blocks: list[tuple[str, Any, list[str]]] = [
        ("features", StandardScaler(), list(columns.features)),
        ("amount", make_pipeline(FunctionTransformer(log_amount), StandardScaler()), [columns.amount]),
    ]
    levels = amount_levels(binning)
    if levels:
        blocks.append(("amount_bin", AmountBins(levels), [columns.amount]))
    if binning.hour_bins > 1:
        if columns.time is None:
            raise ValueError("hour bins need a time column: set data.time, or binning.hour_bins to 0")
        blocks.append(("hour_bin", HourBins(binning.hour_bins), [columns.time]))
    return ColumnTransformer(blocks)
