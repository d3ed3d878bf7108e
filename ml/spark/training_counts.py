"""Counts and moments of the training rows, added over partitions: columns of the regression, and the drift reference.

The formulas are those of one machine (ml.model.regression.columns, ml.model.drift.reference). Counts and edges are
equal to the last bit; means and deviations differ by the rounding of sums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.model import features
from ml.model.binning import occupied_edges
from ml.model.drift import category_counts, reference
from ml.model.drift.dispersion import Dispersion
from ml.model.drift.reference import BAND_LEVELS, BINS, MAX_LISTED_VALUES, Summary
from ml.model.regression import columns as regression_columns
from ml.model.regression.columns import RegressionColumns, Value
from ml.model.training_settings import Columns, Training
from ml.spark import order_statistics
from ml.spark.cluster import Cluster
from ml.spark.row_groups import Labelled, RowGroups

Array = NDArray[np.float64]
_HOUR = "datetime64[h]"
_REFERENCE_LEVELS = tuple((np.arange(1, BINS) / BINS).tolist())


@dataclass(frozen=True, kw_only=True)
class Totals:
    """First counts of some rows.

    `sums` are those of the regression's transformed inputs; `low` and `high` belong to the values that the drift
    reference observes; `distinct` are these if they are few, else None.
    """

    rows: int
    frauds: int
    sums: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    distinct: dict[str, frozenset[float] | None]
    texts: dict[str, Counter[str]]

    @classmethod
    def of(cls, training: Training, group: RowGroups) -> Totals:
        """The counts of a partition."""
        columns, rows = training.columns, Labelled.read(group, training.columns)
        observed = {name: reference.observed(columns, name, rows.numbers(name)) for name in columns.numbers}
        return cls(
            rows=len(rows.labels),
            frauds=int(np.count_nonzero(rows.labels == 1)),
            sums={
                name: float(regression_columns.transformed(transform, rows.numbers(name)).sum())
                for name, transform in regression_columns.terms(columns)
            },
            low={name: float(values.min()) for name, values in observed.items()},
            high={name: float(values.max()) for name, values in observed.items()},
            distinct={name: _few(frozenset(np.unique(values).tolist())) for name, values in observed.items()},
            texts={name: Counter(rows.inputs[name].tolist()) for name in columns.categories},
        )

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            rows=self.rows + other.rows,
            frauds=self.frauds + other.frauds,
            sums={name: value + other.sums[name] for name, value in self.sums.items()},
            low={name: min(value, other.low[name]) for name, value in self.low.items()},
            high={name: max(value, other.high[name]) for name, value in self.high.items()},
            distinct={
                name: None if known is None or (more := other.distinct[name]) is None else _few(known | more)
                for name, known in self.distinct.items()
            },
            texts={name: counts + other.texts[name] for name, counts in self.texts.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Edges:
    """Edges that values decide, before those of empty bins are left out; `amount` is None without bins of it."""

    inputs: dict[str, Array]
    bands: Array
    amount: Array | None


@dataclass(frozen=True, kw_only=True)
class Histograms:
    """Second counts of some rows, on known edges and means.

    `squares` are the sums of squared deviations of the transformed inputs. `cells` has rows and frauds of each hour
    since 1970 and amount band, both in one number: the hour times the number of bands, plus the band.
    """

    summaries: dict[str, Summary]
    squares: dict[str, float]
    amount: NDArray[np.int64]
    bands: dict[str, list[int]]
    cells: Counter[int]
    fraud_cells: Counter[int]

    @classmethod
    def of(cls, training: Training, edges: Edges, total: Totals, group: RowGroups) -> Histograms:
        """The counts of a partition."""
        columns, rows = training.columns, Labelled.read(group, training.columns)
        summaries = {}
        for name in columns.numbers:
            low, high = total.low[name], total.high[name]
            if name == columns.clock:  # every second of the day is in range, even if the rows cover only some hours
                low, high = 0.0, reference.day_length(columns)
            observed = reference.observed(columns, name, rows.numbers(name))
            summaries[name] = Summary.of(observed, edges.inputs[name], low, high)
        amounts = np.zeros(len(rows.labels)) if columns.amount is None else rows.numbers(columns.amount)
        cells = rows.times.astype(_HOUR).astype(np.int64) * (len(edges.bands) + 1)
        cells += np.searchsorted(edges.bands, amounts, side="right")
        return cls(
            summaries=summaries,
            squares={
                name: float(
                    np.square(
                        regression_columns.transformed(transform, rows.numbers(name)) - total.sums[name] / total.rows
                    ).sum()
                )
                for name, transform in regression_columns.terms(columns)
            },
            amount=np.empty(0, dtype=np.int64)
            if edges.amount is None
            else np.bincount(np.searchsorted(edges.amount, amounts, side="right"), minlength=len(edges.amount) + 1),
            bands=reference.bands_of(edges.bands, amounts, rows.labels),
            cells=_numbers_of(cells),
            fraud_cells=_numbers_of(cells[rows.labels == 1]),
        )

    def __add__(self, other: Histograms) -> Histograms:
        return Histograms(
            summaries={name: summary + other.summaries[name] for name, summary in self.summaries.items()},
            squares={name: value + other.squares[name] for name, value in self.squares.items()},
            amount=self.amount + other.amount,
            bands={name: [*map(add, counts, other.bands[name])] for name, counts in self.bands.items()},
            cells=self.cells + other.cells,
            fraud_cells=self.fraud_cells + other.fraud_cells,
        )


@dataclass(frozen=True, kw_only=True)
class TrainingCounts:
    """What the fit and the drift reference need of the training rows; `groups` has the totals of each partition."""

    training: Training
    total: Totals
    groups: tuple[Totals, ...]
    edges: Edges
    histograms: Histograms

    @classmethod
    def of(cls, cluster: Cluster, training: Training, groups: Sequence[RowGroups]) -> TrainingCounts:
        """The counts of all partitions."""
        parts = tuple(cluster.each(partial(Totals.of, training), groups))
        total = reduce(add, parts)
        edges = _edges(cluster, training, groups, total.rows)
        counted = cluster.each(partial(Histograms.of, training, edges, total), groups)
        return cls(training=training, total=total, groups=parts, edges=edges, histograms=reduce(add, counted))

    def regression_columns(self) -> RegressionColumns:
        """The columns of the regression."""
        training, total = self.training, self.total
        edges = None
        if self.edges.amount is not None:
            edges = occupied_edges(self.edges.amount, np.cumsum(self.histograms.amount[:-1]))
        return RegressionColumns(
            values=tuple(
                Value.of_moments(
                    name,
                    transform,
                    total.sums[name] / total.rows,
                    self.histograms.squares[name] / total.rows,
                    total.rows,
                )
                for name, transform in regression_columns.terms(training.columns)
            ),
            bins=regression_columns.bin_tables(training.columns, training.binning, edges),
            levels=tuple(
                (name, tuple(sorted(text for text, rows in counts.items() if rows >= training.categories.min_rows)))
                for name, counts in total.texts.items()
            ),
        )

    def start_reference(self) -> dict[str, Any]:
        """The drift reference of the training rows."""
        columns, histograms = self.training.columns, self.histograms
        inputs = [
            category_counts.document(name, self.total.texts[name])
            if name in columns.categories
            else reference.number_item(columns, name, self._listed(name), self._summary(name))
            for name in columns.inputs
        ]
        size, cells = len(self.edges.bands) + 1, sorted(histograms.cells)
        hours, bands = np.divmod(np.asarray(cells, dtype=np.int64), size)
        rows = np.asarray([histograms.cells[cell] for cell in cells], dtype=np.float64)
        frauds = np.asarray([histograms.fraud_cells[cell] for cell in cells], dtype=np.float64)
        bursts = Dispersion.of_counts(hours, bands, rows, frauds, size=size)
        return reference.started(inputs, self.edges.bands, bursts, histograms.bands)

    def _listed(self, name: str) -> list[float] | None:
        distinct = self.total.distinct[name]
        return None if distinct is None else sorted(distinct)

    def _summary(self, name: str) -> Summary:
        found = self.histograms.summaries[name]
        edges, counts = order_statistics.occupied(np.asarray(found.edges), np.asarray(found.counts))
        fields = vars(found) | {"edges": tuple(edges.tolist()), "counts": tuple(counts.tolist())}
        return Summary(**fields)


def _edges(cluster: Cluster, training: Training, groups: Sequence[RowGroups], rows: int) -> Edges:
    columns = training.columns
    amount = None
    if columns.amount is not None and features.has_amount_bins(columns, training.binning):
        amount = features.amount_levels(training.binning)
    ranks = {name: order_statistics.quantile_ranks(rows, _REFERENCE_LEVELS) for name in columns.numbers}
    if columns.amount is not None:
        more = (*BAND_LEVELS, *(amount or ()))
        ranks[columns.amount] = sorted({*ranks[columns.amount], *order_statistics.quantile_ranks(rows, more)})
    found = order_statistics.select(ranks, lambda requests: cluster.each(partial(_counted, columns, requests), groups))

    def quantiles(name: str, levels: Sequence[float]) -> Array:
        return np.unique(order_statistics.quantiles(rows, levels, found[name]))

    return Edges(
        inputs={name: quantiles(name, _REFERENCE_LEVELS) for name in columns.numbers},
        bands=np.empty(0) if columns.amount is None else quantiles(columns.amount, BAND_LEVELS),
        amount=None if amount is None or columns.amount is None else quantiles(columns.amount, amount),
    )


def _counted(
    columns: Columns, requests: Mapping[str, order_statistics.Request], group: RowGroups
) -> dict[str, order_statistics.Counts]:
    rows = Labelled.read(group, columns)
    return {
        name: order_statistics.count(reference.observed(columns, name, rows.numbers(name)), request)
        for name, request in requests.items()
    }


def _numbers_of(values: NDArray[np.int64]) -> Counter[int]:
    found, numbers = np.unique(values, return_counts=True)
    return Counter(dict(zip(found.tolist(), numbers.tolist(), strict=True)))


def _few(values: frozenset[float]) -> frozenset[float] | None:
    return values if len(values) <= MAX_LISTED_VALUES else None
