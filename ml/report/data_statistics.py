"""Counts and figures of a data set by class, for the page of `fraudops explore`. Reads and draws nothing.

Separability is the area under the ROC curve of one column: the chance that a fraud's value is above a legitimate
row's, ties counted half. Its standard error is Hanley and McNeil's (1982, "The meaning and use of the area under a
receiver operating characteristic curve").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.model import binning, features, metrics
from ml.model.metrics import Estimate
from ml.model.training_settings import Binning

Array = NDArray[np.float64]
_Z = 1.959964
"""Of a 95 % interval."""


@dataclass(frozen=True, kw_only=True)
class Separability:
    """The area under the ROC curve with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def strength(self) -> float:
        """The area, or one minus it where frauds have the lower values: what pages and pictures show."""
        return max(self.value, 1 - self.value)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of `strength`; it begins below 0.5 where the direction is not certain."""
        return (self.low, self.high) if self.value >= 0.5 else (1 - self.high, 1 - self.low)

    @property
    def direction(self) -> str:
        """Where the values of frauds are: `higher` or `lower` than those of legitimate rows."""
        return "higher" if self.value >= 0.5 else "lower"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A numeric column: rows without a value, mean and standard deviation of each class, separability."""

    name: str
    missing: int
    means: tuple[float, float]
    deviations: tuple[float, float]
    separability: Separability


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The rows of a bin or level, and the share of frauds among them."""

    name: str
    rows: int
    frauds: Estimate


def separability(values: Array, frauds: NDArray[np.bool_]) -> Separability:
    """The separability of the finite `values`.

    Raises:
        ValueError: a class has no finite value.
    """
    finite = np.isfinite(values)
    found, fraud = values[finite], frauds[finite]
    count, other = int(fraud.sum()), int((~fraud).sum())
    if not count or not other:
        raise ValueError("separability needs values of both classes")
    distinct, place = np.unique(found, return_inverse=True)
    legitimate = np.bincount(place[~fraud], minlength=len(distinct))
    below = np.cumsum(legitimate) - legitimate / 2
    area = float(below[place[fraud]].mean() / other)
    both_frauds, both_legitimate = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (count - 1) * (both_frauds - area**2) + (other - 1) * (both_legitimate - area**2)
    error = _Z * math.sqrt(max(variance, 0.0) / (count * other))
    return Separability(value=area, low=max(0.0, area - error), high=min(1.0, area + error))


def column(name: str, values: Array, frauds: NDArray[np.bool_]) -> Column:
    """The figures of one column. Raises ValueError if a class has no finite value."""
    finite = np.isfinite(values)
    classes = [values[finite & (frauds == fraud)] for fraud in (False, True)]
    shown = separability(values, frauds)
    return Column(
        name=name,
        missing=int((~finite).sum()),
        means=(float(classes[0].mean()), float(classes[1].mean())),
        deviations=(float(classes[0].std()), float(classes[1].std())),
        separability=shown,
    )


def amount_bins(amounts: Array, frauds: NDArray[np.bool_], settings: Binning) -> list[Bin]:
    """The bins that training makes of the amount."""
    edges = binning.quantile_edges(amounts, features.amount_levels(settings))
    places = np.searchsorted(edges, amounts, side="right")
    names = [f"below {edges[0]:,.6g}", *(f"from {edge:,.6g}" for edge in edges)] if len(edges) else ["all"]
    return _bins(places, frauds, names)


def hour_bins(hours: Array, frauds: NDArray[np.bool_]) -> list[Bin]:
    """The hours of the day, UTC."""
    return _bins(hours.astype(np.intp), frauds, [f"{hour:02d}" for hour in range(binning.HOURS)])


def level_bins(levels: Sequence[str], frauds: NDArray[np.bool_], *, shown: int) -> list[Bin]:
    """The `shown` most frequent values of a text column, and one bin for all others."""
    distinct, places, counts = np.unique(np.asarray(levels, dtype=str), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    names = [str(distinct[place]) for place in order[:shown]]
    if len(order) > shown:
        names.append(f"{len(order) - shown} other values")
    return _bins(np.minimum(rank[places], shown), frauds, names)


def binned_separability(values: Array, frauds: NDArray[np.bool_], settings: Binning) -> Separability:
    """The separability of the fraud rates of the amount's bins: rates of one half of the rows rank those of the other.

    Raises:
        ValueError: a class has no row.
    """
    half = np.arange(len(values)) % 2 == 0
    made = np.empty(len(values))
    for fitted in (half, ~half):
        edges = binning.quantile_edges(values[fitted], features.amount_levels(settings))
        places, count = np.searchsorted(edges, values, side="right"), len(edges) + 1
        rows = np.bincount(places[fitted], minlength=count)
        known = np.bincount(places[fitted & frauds], minlength=count)
        made[~fitted] = ((known + 0.5) / (rows + 1.0))[places[~fitted]]
    return separability(made, frauds)


def correlations(values: Array) -> Array:
    """Pearson's correlation of each two columns; 0 with a column that is constant. Rows must be finite."""
    centred = values - values.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(scale > 0, scale, 1.0)
    made: Array = scaled.T @ scaled
    return made


def _bins(places: NDArray[np.intp], frauds: NDArray[np.bool_], names: Sequence[str]) -> list[Bin]:
    rows = np.bincount(places, minlength=len(names)).tolist()
    found = np.bincount(places[frauds], minlength=len(names)).tolist()
    return [
        Bin(name=name, rows=count, frauds=metrics.rate(known, count, "no row"))
        for name, count, known in zip(names, rows, found, strict=True)
    ]
