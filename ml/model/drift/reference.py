"""The drift reference (baseline.json): distributions of inputs, scores and frauds when the model was approved.

A summary counts values between fixed edges and keeps moments, so that summaries of hours, shards or machines add up
to that of all their rows. This module judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ml.model.drift import performance_estimation
from ml.model.features import HOURS, SECONDS_PER_HOUR, interior_quantiles
from ml.model.metrics import Confusion
from ml.model.training_settings import Columns

SCHEMA = 1
BINS = 40  # fine enough to see a Kolmogorov-Smirnov distance of 0.05; four of them make one of the usual ten
BAND_LEVELS = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)  # of amounts: flipped labels show first among the highest
_TUPLES = ("edges", "counts")
FEW = 32
"""Up to so many different values an input's values are listed, so that one that was never seen can be told."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Values of one column: how many lie between `edges`, how many outside what the reference had seen, and moments.

    `edges` are interior, and a value on one belongs above it; `counts` cover all finite values, those beyond the
    reference's `low` and `high` in the outermost bins and in `below` or `above` too. `n` counts the finite values,
    `missing` the others. `std` is that of a population (divided by n). Where n is 0 the moments are 0, min and max
    are None.
    """

    edges: tuple[float, ...]
    low: float
    high: float
    counts: tuple[int, ...]
    below: int
    above: int
    missing: int
    n: int
    mean: float
    std: float
    min: float | None
    max: float | None

    @classmethod
    def of(cls, values: ArrayLike, edges: ArrayLike, low: float, high: float) -> Summary:
        """The summary of `values` on the reference's edges and range."""
        array, interior = np.asarray(values, dtype=np.float64), np.asarray(edges, dtype=np.float64)
        finite = array[np.isfinite(array)]
        places = np.searchsorted(interior, finite, side="right")
        some = len(finite) > 0
        least, most = (float(finite.min()), float(finite.max())) if some else (None, None)
        mean, std = _moments(least, most, float(finite.mean()), float(finite.std())) if some else (0.0, 0.0)
        return cls(
            edges=tuple(interior.tolist()),
            low=low,
            high=high,
            counts=tuple(np.bincount(places, minlength=len(interior) + 1).tolist()),
            below=int(np.count_nonzero(finite < low)),
            above=int(np.count_nonzero(finite > high)),
            missing=len(array) - len(finite),
            n=len(finite),
            mean=mean,
            std=std,
            min=least,
            max=most,
        )

    @classmethod
    def reference(cls, values: ArrayLike) -> Summary:
        """The summary of `values` on edges of equal frequency of their own, and their own range."""
        array = np.asarray(values, dtype=np.float64)
        return cls.of(array, interior_quantiles(array, BINS), float(array.min()), float(array.max()))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Summary:
        """The inverse of `to_dict`; other keys of `document` are passed over."""
        fields = {name: document[name] for name in cls.__dataclass_fields__}
        fields["mean"], fields["std"] = _moments(*(fields[name] for name in ("min", "max", "mean", "std")))
        return cls(**(fields | {name: tuple(fields[name]) for name in _TUPLES}))

    def to_dict(self) -> dict[str, Any]:
        """As baseline.json holds it."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _TUPLES}

    def __add__(self, other: Summary) -> Summary:
        """The summary of the values of both: Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm".

        Raises:
            ValueError: they were made on different edges or ranges.
        """
        if (self.edges, self.low, self.high) != (other.edges, other.low, other.high):
            raise ValueError("summaries can be added only where they share edges and range")
        n = self.n + other.n
        share = other.n / n if n else 0.0
        apart = other.mean - self.mean
        variance = (1 - share) * self.std**2 + share * other.std**2 + share * (1 - share) * apart**2
        least = min((v for v in (self.min, other.min) if v is not None), default=None)
        most = max((v for v in (self.max, other.max) if v is not None), default=None)
        mean, std = _moments(least, most, self.mean + share * apart, math.sqrt(variance))
        return Summary(
            edges=self.edges,
            low=self.low,
            high=self.high,
            counts=tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            below=self.below + other.below,
            above=self.above + other.above,
            missing=self.missing + other.missing,
            n=n,
            mean=mean,
            std=std,
            min=least,
            max=most,
        )


def _moments(least: float | None, most: float | None, mean: float, std: float) -> tuple[float, float]:
    """Mean and standard deviation; of values that are all one, that value and 0, which sums of floats may miss.

    A deviation of 1e-17 would make a standard deviation out of a rounding error, and drift out of the same value.
    """
    return (least, 0.0) if least is not None and least == most else (mean, std)


def observed(columns: Columns, name: str, values: ArrayLike) -> NDArray[np.float64]:
    """What is summarised of an input: seconds of the day of the time, which would otherwise only ever grow."""
    array = np.asarray(values, dtype=np.float64)
    return np.mod(array, HOURS * SECONDS_PER_HOUR) if name == columns.time else array


def _reference(columns: Columns, name: str, values: ArrayLike) -> dict[str, Any]:
    array = observed(columns, name, values)
    summary = Summary.reference(array)
    if name == columns.time:  # no second of the day is out of range, whatever the hours of the reference
        summary = Summary.of(array, summary.edges, 0.0, float(HOURS * SECONDS_PER_HOUR))
    kind = "seconds_of_day" if name == columns.time else "value"
    return {"name": name, "kind": kind, "values": _few(array)} | summary.to_dict()


def _few(values: NDArray[np.float64]) -> list[float] | None:
    """The different ones of `values`; None where they are more than `FEW`."""
    if len(np.unique(values[: FEW * FEW])) > FEW:  # a quick no for columns of measurements
        return None
    distinct = np.unique(values)
    return distinct.tolist() if len(distinct) <= FEW else None


def start_reference(columns: Columns, X: pd.DataFrame, y: ArrayLike) -> dict[str, Any]:
    """The reference of the rows that a model learned from, as the Train step writes it."""
    edges = np.unique(np.quantile(X[columns.amount], BAND_LEVELS))
    return {
        "schema": SCHEMA,
        "inputs": [_reference(columns, name, X[name]) for name in columns.inputs],
        "fraud_by_amount": {"edges": edges.tolist()} | _bands(edges, X[columns.amount], y),
    }


def complete_reference(
    started: Mapping[str, Any],
    columns: Columns,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    scores: ArrayLike,
    decisions: ArrayLike,
    windows: Mapping[str, Any],
) -> dict[str, Any]:
    """What `start` made, with the rows held out added to it, and what only they can say: scores, alerts, hits, misses.

    `X`, `y`: the rows that the model has not learned from, validation and test. The inputs' reference then covers every
    row up to the newest, so that whole cycles of hours and days are in it, and of scores, counts and calibration as
    many as there are: of a model of two days, the second. One number, the threshold, was chosen on some of them.
    `windows` are those of the three parts.
    """
    inputs = [
        {key: item[key] for key in ("name", "kind")} | _extended(item, observed(columns, item["name"], X[item["name"]]))
        for item in started["inputs"]
    ]
    bands = started["fraud_by_amount"]
    more = _bands(np.asarray(bands["edges"]), X[columns.amount], y)
    return {
        **started,
        "inputs": inputs,
        "fraud_by_amount": {"edges": bands["edges"]}
        | {name: [a + b for a, b in zip(bands[name], more[name], strict=True)] for name in more},
        "scores": Summary.reference(scores).to_dict(),
        "alerts": {"count": int(np.count_nonzero(np.asarray(decisions) == 1)), "of": len(X)},
        "confusion": asdict(Confusion.of(y, decisions)),
        "calibration": performance_estimation.calibration(scores, y),
        "windows": dict(windows),
    }


def _extended(item: Mapping[str, Any], values: NDArray[np.float64]) -> dict[str, Any]:
    summary = Summary.from_dict(item)
    both = summary + Summary.of(values, summary.edges, summary.low, summary.high)
    known = item["values"]
    return {"values": known if known is None else _few(np.concatenate([known, values]))} | both.to_dict()


def _bands(edges: NDArray[np.float64], amounts: ArrayLike, y: ArrayLike) -> dict[str, list[int]]:
    """Rows and frauds per amount band; a value on an edge belongs above it."""
    bands = np.searchsorted(edges, np.asarray(amounts, dtype=np.float64), side="right")
    fraud = np.asarray(y) == 1
    size = len(edges) + 1
    return {
        "rows": np.bincount(bands, minlength=size).tolist(),
        "frauds": np.bincount(bands[fraud], minlength=size).tolist(),
    }
