"""Builds the drift reference (baseline.json): the distributions of inputs, scores and frauds at training time.

A summary holds counts between fixed edges and moments, so summaries of parts add up to the summary of all rows. Makes
no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model import time_units
from ml.model.binning import HOURS, SECONDS_PER_HOUR, edges_of_sorted
from ml.model.drift import category_counts, performance_estimation, ranking
from ml.model.drift.dispersion import Dispersion
from ml.model.metrics import Confusion
from ml.model.run_kinds import ADAPT, DROP, FIT, THRESHOLD, RunKind
from ml.model.thread_map import thread_map
from ml.model.training_settings import Columns

if TYPE_CHECKING:
    from ml.model.stored_rows import Rows

SCHEMA = 2
BINS = 40  # resolves a Kolmogorov-Smirnov distance of 0.05; four bins make one decile
BAND_LEVELS = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)  # quantiles of amounts; label changes show first at the top
_TUPLE_FIELDS = ("edges", "counts")
FITTED_NUMBERS: Mapping[RunKind, str] = {
    FIT: "known",
    ADAPT: "new",
    DROP: "threshold",
    THRESHOLD: "threshold",
}
"""What the rows of a run decide: the coefficients of the part for known or for new patterns, or the threshold alone."""
MAX_LISTED_VALUES = 32
"""Inputs with at most this many distinct values list them, so that an unseen value can be detected."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Histogram and moments of one column, on the edges and range of the reference.

    `edges` are interior; a value on an edge belongs to the bin above it. `counts` cover all finite values: those beyond
    the reference's `low` and `high` are in the outermost bins and also in `below` or `above`. `n` counts finite values,
    `missing` the others. `std` is the population standard deviation (divided by n). If n is 0, the moments are 0 and
    min and max are None.
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
        array = np.asarray(values, dtype=np.float64)
        finite = array[np.isfinite(array)]
        return cls._of(finite, np.sort(finite), edges, low, high, missing=len(array) - len(finite))

    @classmethod
    def _of(
        cls,
        finite: NDArray[np.float64],
        ascending: NDArray[np.float64],
        edges: ArrayLike,
        low: float,
        high: float,
        *,
        missing: int,
    ) -> Summary:
        """The summary of finite values, given also in ascending order: edges are looked up in values, not reversely."""
        interior, n = np.asarray(edges, dtype=np.float64), len(finite)
        minimum, maximum = (float(finite.min()), float(finite.max())) if n else (None, None)
        mean, std = _moments(minimum, maximum, float(finite.mean()), float(finite.std())) if n else (0.0, 0.0)
        starts = np.searchsorted(ascending, interior, side="left")
        return cls(
            edges=tuple(interior.tolist()),
            low=low,
            high=high,
            counts=tuple(np.diff(starts, prepend=0, append=n).tolist()),
            below=int(np.searchsorted(ascending, low, side="left")),
            above=n - int(np.searchsorted(ascending, high, side="right")),
            missing=missing,
            n=n,
            mean=mean,
            std=std,
            min=minimum,
            max=maximum,
        )

    @classmethod
    def reference(cls, values: ArrayLike) -> Summary:
        """The summary of `values`, which are finite, on edges of equal frequency and their own range."""
        array = np.asarray(values, dtype=np.float64)
        ascending = np.sort(array)
        edges = edges_of_sorted(ascending, np.arange(1, BINS) / BINS)
        return cls._of(array, ascending, edges, float(array.min()), float(array.max()), missing=0)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Summary:
        """The inverse of `to_dict`; other keys of `document` are ignored."""
        fields = {name: document[name] for name in cls.__dataclass_fields__}
        fields["mean"], fields["std"] = _moments(*(fields[name] for name in ("min", "max", "mean", "std")))
        return cls(**(fields | {name: tuple(fields[name]) for name in _TUPLE_FIELDS}))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form in baseline.json."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _TUPLE_FIELDS}

    def __add__(self, other: Summary) -> Summary:
        """The summary of both sets of values (Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm").

        Raises:
            ValueError: edges or ranges differ.
        """
        if (self.edges, self.low, self.high) != (other.edges, other.low, other.high):
            raise ValueError("summaries can be added only if they share edges and range")
        n = self.n + other.n
        share = other.n / n if n else 0.0
        difference = other.mean - self.mean
        variance = (1 - share) * self.std**2 + share * other.std**2 + share * (1 - share) * difference**2
        minimum = min((v for v in (self.min, other.min) if v is not None), default=None)
        maximum = max((v for v in (self.max, other.max) if v is not None), default=None)
        mean, std = _moments(minimum, maximum, self.mean + share * difference, math.sqrt(variance))
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
            min=minimum,
            max=maximum,
        )


def _moments(minimum: float | None, maximum: float | None, mean: float, std: float) -> tuple[float, float]:
    """Mean and standard deviation; exactly (value, 0) for a constant column.

    Floating-point sums may give a deviation of 1e-17 there, and the same value would then count as drift.
    """
    return (minimum, 0.0) if minimum is not None and minimum == maximum else (mean, std)


def observed(columns: Columns, name: str, values: ArrayLike) -> NDArray[np.float64]:
    """The values to summarise: of the time column the time of day in its unit, because the time always grows."""
    array = np.asarray(values, dtype=np.float64)
    return np.mod(array, day_length(columns)) if name == columns.clock else array


def day_length(columns: Columns) -> float:
    """The length of a day in the unit of the time column."""
    return float(HOURS * SECONDS_PER_HOUR * time_units.per_second(columns.time.unit if columns.time else None))


def _kind(columns: Columns, name: str) -> str:
    if columns.time is None or name != columns.time.column:
        return "value"
    return "milliseconds_of_day" if columns.time.unit == time_units.EPOCH_MILLISECONDS else "seconds_of_day"


def _reference(columns: Columns, name: str, values: ArrayLike) -> dict[str, Any]:
    if name in columns.categories:
        return category_counts.reference(name, np.asarray(values, dtype=object).tolist())
    array = observed(columns, name, values)
    summary = Summary.reference(array)
    if name == columns.clock:  # every second of the day is in range, even if the reference covers only some hours
        summary = Summary.of(array, summary.edges, 0.0, day_length(columns))
    return number_item(columns, name, _distinct_values(array), summary)


def number_item(columns: Columns, name: str, values: list[float] | None, summary: Summary) -> dict[str, Any]:
    """A number as baseline.json holds it; `values` are its distinct values, None if they are many."""
    return {"name": name, "kind": _kind(columns, name), "values": values} | summary.to_dict()


def _distinct_values(values: NDArray[np.float64]) -> list[float] | None:
    """The distinct `values`; None if there are more than `MAX_LISTED_VALUES`."""
    if len(np.unique(values[: MAX_LISTED_VALUES**2])) > MAX_LISTED_VALUES:  # fast exit for continuous columns
        return None
    distinct = np.unique(values)
    return distinct.tolist() if len(distinct) <= MAX_LISTED_VALUES else None


def start_reference(columns: Columns, X: Rows, y: ArrayLike, *, times: ArrayLike) -> dict[str, Any]:
    """The reference of the training rows, as the Train step writes it.

    Args:
        times: event times, datetime64 in UTC; they show whether frauds come in bursts.
    """
    amounts = _amounts(columns, X)
    edges = np.unique(np.quantile(amounts, BAND_LEVELS)) if columns.amount is not None else np.empty(0)
    bursts = Dispersion.of(times, amounts, y, edges)
    inputs = thread_map(lambda name: _reference(columns, name, X[name]), columns.inputs)
    return started(inputs, edges, bursts, bands_of(edges, amounts, y))


def started(
    inputs: list[dict[str, Any]], edges: NDArray[np.float64], bursts: Dispersion, bands: Mapping[str, list[int]]
) -> dict[str, Any]:
    """A reference of training rows from its parts.

    Args:
        inputs: the entries of the columns.
        edges: the edges of the amount bands; `bands` has their rows and frauds, and `bursts` how frauds come in them.
    """
    return {
        "schema": SCHEMA,
        "inputs": inputs,
        "fraud_by_amount": {"edges": edges.tolist(), "dispersion": asdict(bursts), **bands},
    }


def complete_reference(
    start: Mapping[str, Any],
    columns: Columns,
    X: Rows,
    y: ArrayLike,
    *,
    scores: ArrayLike,
    decisions: ArrayLike,
    times: ArrayLike,
    windows: Mapping[str, Any],
    kind: RunKind = FIT,
    labels: ArrayLike | None = None,
    model_scores: ArrayLike | None = None,
    follows_new: ArrayLike | None = None,
    inherited: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Adds later rows to a reference of `start_reference`: inputs, scores, alerts and confusion counts.

    The input distributions then cover all rows, so that whole daily and weekly cycles are in them. Scores, alerts,
    confusion and calibration are those of the held-out rows; the threshold may have been chosen on part of them.

    Args:
        X, y: the rows after those of `start_reference`.
        times: their event times, datetime64 in UTC.
        scores, decisions, labels: of the held-out rows, on which no coefficient was fitted; `labels` is `y` if None.
        model_scores: of the held-out rows by the model itself, where `scores` are those of fits without a row's block;
            `scores` if None. Their distribution is the one that traffic is compared with: other fits move all scores a
            little, which would be found as drift. On rows that are nearly all legitimate, it hardly matters that some
            were fitted.
        follows_new: which held-out rows follow the pattern `new`; none if the model has one part.
        windows: the time windows of the run's parts. All but `test` are windows that the model depends on.
        kind: of the run; `fitted` says which numbers its windows decided (FITTED_NUMBERS).
        inherited: `fitted` of the model that the run started from, if it kept numbers of it.
    """
    truth = np.asarray(y if labels is None else labels)
    alerted = np.asarray(decisions) == 1
    by_new = alerted & np.asarray(follows_new) if follows_new is not None else np.zeros(len(truth), dtype=np.bool_)
    fitted = [
        {side: windows[part][side] for side in ("start", "end")} | {"numbers": FITTED_NUMBERS[kind]}
        for part in windows
        if part != "test"
    ]
    inputs = thread_map(lambda item: _extended(columns, item, X[item["name"]]), start["inputs"])
    bands = start["fraud_by_amount"]
    amounts = _amounts(columns, X)
    added = bands_of(np.asarray(bands["edges"]), amounts, y)
    bursts = Dispersion(**bands["dispersion"]) + Dispersion.of(times, amounts, y, bands["edges"])
    return {
        **start,
        "inputs": inputs,
        "fraud_by_amount": {"edges": bands["edges"], "dispersion": asdict(bursts)}
        | {name: [a + b for a, b in zip(bands[name], added[name], strict=True)] for name in added},
        "scores": Summary.reference(scores if model_scores is None else model_scores).to_dict(),
        "alerts": {"count": int(np.count_nonzero(alerted)), "of": len(truth)},
        "new_pattern": {
            "alerts": int(np.count_nonzero(by_new)),
            "frauds": int(np.count_nonzero(by_new & (truth == 1))),
        },
        "confusion": asdict(Confusion.of(truth, decisions)),
        "calibration": performance_estimation.calibration(scores, truth),
        "ranking": ranking.reference_of(scores, truth),
        "windows": dict(windows),
        "fitted": [*map(dict, inherited), *fitted],
    }


def _amounts(columns: Columns, X: Rows) -> NDArray[np.float64]:
    """The amounts; zeros, which are all in one band, if the data has none."""
    return np.zeros(len(X)) if columns.amount is None else np.asarray(X[columns.amount], dtype=np.float64)


def _extended(columns: Columns, item: Mapping[str, Any], rows: ArrayLike) -> dict[str, Any]:
    if item["kind"] == category_counts.KIND:
        return category_counts.extended(item, np.asarray(rows, dtype=object).tolist())
    values, summary = observed(columns, item["name"], rows), Summary.from_dict(item)
    combined = summary + Summary.of(values, summary.edges, summary.low, summary.high)
    known = item["values"]
    return (
        {key: item[key] for key in ("name", "kind")}
        | {"values": known if known is None else _distinct_values(np.concatenate([known, values]))}
        | combined.to_dict()
    )


def bands_of(edges: NDArray[np.float64], amounts: ArrayLike, y: ArrayLike) -> dict[str, list[int]]:
    """Rows and frauds per amount band; a value on an edge belongs to the band above it."""
    bands = np.searchsorted(edges, np.asarray(amounts, dtype=np.float64), side="right")
    fraud = np.asarray(y) == 1
    size = len(edges) + 1
    return {
        "rows": np.bincount(bands, minlength=size).tolist(),
        "frauds": np.bincount(bands[fraud], minlength=size).tolist(),
    }
