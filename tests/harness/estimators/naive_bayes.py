"""Naive Bayes in tables: an estimator of one file, as another project could add it; not a test itself.

Each input adds the logarithm of how much more often its bin or level occurs among frauds than among legitimate rows,
with Laplace's rule of succession: one row of each kind more in every bin. Resamples nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model import features, model_parts, time_units
from ml.model.binning import HOURS, quantile_edges
from ml.model.model_parts import Bins, LevelTable, Part
from ml.model.training_settings import Training

EDGES = (0.01, 0.05, *(step / 10 for step in range(1, 10)), 0.95, 0.99)
"""Quantile levels of the bins of numbers: deciles, and a finer tail at both ends."""


def fit(training: Training, X: pd.DataFrame, y: NDArray[np.int8]) -> Tables:
    """Counts bins and levels by label. Raises ValueError if frauds are fewer than the tables need."""
    frauds = int(y.sum())
    if frauds < 5:
        raise ValueError(f"naive Bayes needs at least 5 frauds to count (got {frauds}): import more labels")
    columns, bins, levels = training.columns, [], []
    for name in columns.numbers:
        if name != columns.clock:
            values = X[name].to_numpy()
            bins.append(_table(name, "value", quantile_edges(values, EDGES), values, y))
    if columns.time is not None and features.has_hour_bins(columns, training.binning):
        hours = features.hour_of_day(X[columns.time.column], time_units.per_second(columns.time.unit))
        edges = np.arange(1, training.binning.hour_bins, dtype=np.float64) * (HOURS / training.binning.hour_bins)
        bins.append(_table(columns.time.column, "hour_of_day", edges, hours, y))
    for name in columns.categories:
        known = features.frequent_levels(X[name], training.categories.min_rows)
        places: Mapping[str, int] = {level: place for place, level in enumerate(known)}
        ratios = _ratios(np.array([places.get(text, len(known)) for text in X[name]]), len(known) + 1, y)
        levels.append(LevelTable(input=name, levels=known, coefficients=tuple(ratios[:-1]), other=ratios[-1]))
    return Tables(bins=tuple(bins), levels=tuple(levels), intercept=math.log(frauds / (len(y) - frauds)))


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The counted tables, and the log-odds of fraud among all rows."""

    bins: tuple[Bins, ...]
    levels: tuple[LevelTable, ...]
    intercept: float

    @property
    def synthetic_rows(self) -> int:
        """None."""
        return 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing that a reviewer would not expect."""
        return ()

    def part(self) -> Part:
        """The tables, without linear terms."""
        return Part(
            pattern=model_parts.KNOWN,
            features=(),
            bins=self.bins,
            levels=self.levels,
            intercept=self.intercept,
            recalibration=None,
        )


def _table(name: str, kind: str, edges: NDArray[np.float64], values: NDArray[np.float64], y: NDArray[np.int8]) -> Bins:
    ratios = _ratios(np.searchsorted(edges, values, side="right"), len(edges) + 1, y)
    return Bins(input=name, kind=kind, edges=tuple(edges.tolist()), coefficients=ratios)


def _ratios(places: NDArray[np.int64], count: int, y: NDArray[np.int8]) -> tuple[float, ...]:
    """The log of the ratio of a place's share among frauds to that among legitimate rows, for `count` places."""
    shares = []
    for label in (1, 0):
        found = np.bincount(places[y == label], minlength=count) + 1.0
        shares.append(found / found.sum())
    return tuple((np.log(shares[0]) - np.log(shares[1])).tolist())
