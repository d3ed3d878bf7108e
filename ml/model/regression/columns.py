"""What turns transactions into the columns of a regression: means, scales, edges and levels, learned from the rows.

The same columns as the scikit-learn pipeline of features.py makes: scaled features, the scaled log-amount, and codes of
bins and of category levels. Labels are never read. They are learned from one column at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model import binning, features, model_parts, time_units
from ml.model.model_parts import Bins, Feature, LevelTable, Part
from ml.model.regression.design import SLICE, Array, Codes, Design, in_slices
from ml.model.stored_rows import Rows
from ml.model.thread_map import thread_map
from ml.model.training_settings import Binning, Columns, Training


@dataclass(frozen=True, kw_only=True)
class Value:
    """A scaled term of one input: (transform(input) - mean) / scale."""

    name: str
    transform: str
    mean: float
    scale: float

    @classmethod
    def of(cls, name: str, transform: str, raw: Array) -> Value:
        """The term with the mean and the standard deviation of `raw`; the scale of a constant is 1."""
        values = transformed(transform, raw)
        mean = float(values.mean())
        squares = values - mean
        return cls.of_moments(name, transform, mean, float(np.square(squares, out=squares).mean()), len(values))

    @classmethod
    def of_moments(cls, name: str, transform: str, mean: float, variance: float, rows: int) -> Value:
        """The term of so many rows with this mean and variance of the transformed input."""
        # Rounding gives a constant a variance; the bound is scikit-learn's (Chan, Golub, LeVeque 1983).
        rounding = rows * float(np.finfo(np.float64).eps)
        constant = variance <= rounding * variance + (rounding * mean) ** 2
        return cls(name=name, transform=transform, mean=mean, scale=1.0 if constant else float(np.sqrt(variance)))

    def scaled(self, raw: Array) -> Array:
        """The values of the term."""
        made: Array = (transformed(self.transform, raw) - self.mean) / self.scale
        return made


@dataclass(frozen=True, kw_only=True)
class BinTable:
    """The bins of one number; kind `hour_of_day` bins the hour of a time, of which `per_second` make a second."""

    name: str
    kind: str
    edges: Array
    per_second: int = 1

    def codes(self, raw: Array) -> Codes:
        """The bin of each value; one on an edge belongs to the bin above it."""
        values = raw if self.kind == "value" else features.hour_of_day(raw, self.per_second)
        return np.searchsorted(self.edges, values, side="right").astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class RegressionColumns:
    """The columns: those of `values`, a column of ones, and one for each bin and for each level."""

    values: tuple[Value, ...]
    bins: tuple[BinTable, ...]
    levels: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, training: Training, X: Rows) -> RegressionColumns:
        """Learns the columns from rows with `training.columns.inputs`."""
        columns = training.columns
        edges = None
        if columns.amount is not None and features.has_amount_bins(columns, training.binning):
            edges = binning.quantile_edges(_numbers(X, columns.amount), features.amount_levels(training.binning))

        def value(term: tuple[str, str]) -> Value:
            return Value.of(*term, _numbers(X, term[0]))

        return cls(
            values=tuple(thread_map(value, terms(columns))),
            bins=bin_tables(columns, training.binning, edges),
            levels=tuple(
                (name, features.frequent_levels(X[name], training.categories.min_rows)) for name in columns.categories
            ),
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of columns of each block: a bin more than edges, and one level for every other value."""
        return (*(len(table.edges) + 1 for table in self.bins), *(len(levels) + 1 for _, levels in self.levels))

    @property
    def row_bytes(self) -> int:
        """The memory that a row of the design takes."""
        return 8 * len(self.values) + 4 * len(self.sizes)

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs that the columns are made of."""
        numbers = (*(term.name for term in self.values), *(table.name for table in self.bins))
        return (*dict.fromkeys(numbers), *(name for name, _ in self.levels))

    def design(self, X: Rows) -> Design:
        """The columns of rows `X`, in memory."""
        made = self._empty(len(X))
        if isinstance(X, pd.DataFrame):
            self._fill(made, X)
            return made
        ends = np.cumsum(X.block_rows).tolist()

        def fill(number: int) -> None:
            place = slice(ends[number] - X.block_rows[number], ends[number])
            self._fill(made.rows(place), X.block(number, self.names))

        thread_map(fill, range(len(ends)))
        return made

    def _empty(self, rows: int) -> Design:
        codes = tuple(np.empty(rows, dtype=np.int32) for _ in self.sizes)
        return Design(values=np.empty((rows, len(self.values))), codes=codes, sizes=self.sizes)

    def _fill(self, made: Design, X: pd.DataFrame) -> None:
        """Writes the columns of `X` to a design of as many rows."""
        numbers = {name: _numbers(X, name) for name in self.names[: len(self.names) - len(self.levels)]}

        def fill(chosen: slice) -> None:
            for at, term in enumerate(self.values):
                made.values[chosen, at] = term.scaled(numbers[term.name][chosen])
            for codes, table in zip(made.codes, self.bins, strict=False):
                codes[chosen] = table.codes(numbers[table.name][chosen])

        with in_slices() as each:
            for _ in each(fill, len(X), SLICE):
                pass
        for codes, (name, known) in zip(made.codes[len(self.bins) :], self.levels, strict=True):
            codes[:] = level_codes(X[name], known)

    def part(self, weights: Array) -> Part:
        """The part of a model document with these weights; a bin or level that no fitted row has counts 0."""
        count = len(self.values)
        own, intercept = weights[:count].tolist(), float(weights[count])
        tables = [table.tolist() for table in np.split(weights[count + 1 :], np.cumsum(self.sizes))[:-1]]
        return Part(
            pattern=model_parts.KNOWN,
            features=tuple(
                Feature(
                    name=term.name,
                    transform=term.transform,
                    limits=None,
                    mean=term.mean,
                    scale=term.scale,
                    coefficient=weight,
                )
                for term, weight in zip(self.values, own, strict=True)
            ),
            bins=tuple(
                Bins(input=table.name, kind=table.kind, edges=tuple(table.edges.tolist()), coefficients=tuple(weights_))
                for table, weights_ in zip(self.bins, tables, strict=False)
            ),
            levels=tuple(
                LevelTable(input=name, levels=known, coefficients=tuple(weights_[:-1]), other=weights_[-1])
                for (name, known), weights_ in zip(self.levels, tables[len(self.bins) :], strict=True)
            ),
            intercept=intercept,
            recalibration=None,
        )


def level_codes(values: pd.Series[str], levels: tuple[str, ...]) -> Codes:
    """The place of each text among `levels`, and their number for every other text."""
    codes = pd.Categorical(values, categories=list(levels)).codes.astype(np.int32)
    return np.where(codes < 0, np.int32(len(levels)), codes)


def terms(columns: Columns) -> list[tuple[str, str]]:
    """The inputs that have a scaled term, each with its transform."""
    made = [(name, "identity") for name in columns.features]
    return made if columns.amount is None else [*made, (columns.amount, "log1p")]


def bin_tables(columns: Columns, settings: Binning, amount_edges: Array | None) -> tuple[BinTable, ...]:
    """The bins; `amount_edges` are those of the amount, None if it has none."""
    made = []
    if columns.amount is not None and amount_edges is not None:
        made.append(BinTable(name=columns.amount, kind="value", edges=amount_edges))
    if columns.time is not None and features.has_hour_bins(columns, settings):
        made.append(
            BinTable(
                name=columns.time.column,
                kind="hour_of_day",
                edges=features.hour_edges(settings.hour_bins),
                per_second=time_units.per_second(columns.time.unit),
            )
        )
    return tuple(made)


def _numbers(X: Rows, name: str) -> Array:
    return np.ascontiguousarray(X[name].to_numpy(dtype=np.float64))


def transformed(transform: str, raw: Array) -> Array:
    """The values of a term before they are scaled."""
    made: NDArray[np.float64] = np.log1p(np.maximum(raw, 0.0)) if transform == "log1p" else raw
    return made
