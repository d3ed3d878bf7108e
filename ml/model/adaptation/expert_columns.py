"""The columns of the part for new patterns: tables of amount, categories and features' tails, and clipped linear terms.

Where the edges lie depends on the rows alone, never on their labels, and on no scenario: the levels are deciles and
halves of what is left, and the outer 1, 5, 10 and 25 % of each feature. The amount has four such tables, each moved by
a quarter of a step: rows near an edge share bins with rows on its other side. With one table, new frauds from some
amount on were missed up to its next edge. The same numbers make the columns for the fit and the part of the model
document, so the two agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ml.model import model_parts
from ml.model.training_settings import Columns

TAIL_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.75, 0.9, 0.95, 0.99)
MAX_DEVIATIONS = 8.0  # a linear term counts at most as many, and nothing beyond the rows: it must not extrapolate
AMOUNT_PRECISION, TAIL_PRECISION, LINEAR_PRECISION = 1.0, 5.0, 100.0  # of the weights' normal priors around 0
LEVEL_PRECISION = 1.0
AMOUNT_PRECISION_ALONE = 0.2
"""Of the weights of the amount's tables where there are none of tails.

New frauds may begin at an amount, and legitimate rows right below it must then score hundreds of times less; a strong
prior allows that only over several bins. Beside tables of tails, a weak prior lets the amount explain by chance what
the tails explain. docs/retraining.md has figures.
"""
NO_LEVELS: Mapping[str, Sequence[str]] = MappingProxyType({})

_MIN_SCALE = 1e-100  # an input that varies less counts as constant: its coefficient per unit would overflow


AMOUNT_TABLES, AMOUNT_EDGES = 4, 15


def amount_levels(table: int) -> tuple[float, ...]:
    """The levels of the edges of one of AMOUNT_TABLES: steps 1 to 9 are deciles, each later one halves what is left."""
    steps = (step + table / AMOUNT_TABLES for step in range(1, AMOUNT_EDGES + 1))
    return tuple(step / 10 if step <= 9 else 1 - 0.1 * 2.0 ** (9 - step) for step in steps)


@dataclass(frozen=True, kw_only=True)
class Term:
    """A clipped linear term of one input, as a Feature of the model document without its coefficient."""

    name: str
    transform: str
    limits: tuple[float, float]
    mean: float
    scale: float

    def column(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The term's values, in standard deviations."""
        clipped = np.clip(values, *self.limits)
        return (_transformed(self.transform, clipped) - self.mean) / self.scale


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of one input. A row in the bin `base` has no column and counts 0; None: every bin has a column.

    The table of a category has `levels`, and an edge after the place of each: its bins are the levels, and the last one
    is every other value.
    """

    name: str
    edges: NDArray[np.float64]
    base: int | None
    levels: tuple[str, ...] | None = None

    @classmethod
    def of_levels(cls, name: str, levels: Sequence[str]) -> Table:
        """The table of a category."""
        return cls(name=name, edges=np.arange(len(levels), dtype=np.float64) + 0.5, base=None, levels=tuple(levels))

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.edges) + (self.base is None)

    def places(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The column of each value, -1 for one in the bin `base`."""
        bins = np.searchsorted(self.edges, values, side="right")
        if self.base is None:
            return bins.astype(np.int64)
        return np.where(bins == self.base, -1, bins - (bins > self.base)).astype(np.int64)

    def coefficients(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """A coefficient for each bin, from a weight for each column."""
        return weights if self.base is None else np.insert(weights, self.base, 0.0)


@dataclass(frozen=True, kw_only=True)
class Design:
    """The columns of some rows: the linear terms with a last column of ones, and the tables' indicators."""

    linear: NDArray[np.float64]
    indicators: sparse.csr_array

    def rows(self, chosen: NDArray[np.bool_] | slice) -> Design:
        """The design of the chosen rows."""
        return Design(linear=self.linear[chosen], indicators=self.indicators[chosen])

    def product(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """One sum per row, of the columns in the order of `ExpertColumns.precision`."""
        split = self.linear.shape[1]
        made: NDArray[np.float64] = self.linear @ weights[:split] + self.indicators @ weights[split:]
        return made

    def sums(self, row_weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weighted sum of each column."""
        return np.concatenate([row_weights @ self.linear, self.indicators.T @ row_weights])

    def moments(self, row_weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weighted sum of the products of each two columns, a symmetric matrix."""
        weighted = self.linear * row_weights[:, np.newaxis]
        cross = np.asarray(self.indicators.T @ weighted)
        corner = (self.indicators.T @ (self.indicators.multiply(row_weights[:, np.newaxis]).tocsr())).toarray()
        return np.block([[self.linear.T @ weighted, cross.T], [cross, corner]])


@dataclass(frozen=True, kw_only=True)
class ExpertColumns:
    """The terms and tables of a part for new patterns."""

    terms: tuple[Term, ...]
    tables: tuple[Table, ...]
    precision: NDArray[np.float64]
    """Of the prior of each weight: of the terms, the intercept (0 here: the fit sets it), then the tables' columns."""

    @classmethod
    def of(
        cls,
        columns: Columns,
        X: NDArray[np.float64],
        *,
        tails: bool,
        levels: Mapping[str, Sequence[str]] = NO_LEVELS,
    ) -> ExpertColumns:
        """The columns for transactions `X` (rows, columns.inputs), with or without the tables of the tails.

        Args:
            levels: of each category; `X` has places among them.
        """
        place = {name: at for at, name in enumerate(columns.inputs)}
        terms = [_term(name, "identity", X[:, place[name]]) for name in columns.features]
        tables, precisions = [], []
        if columns.amount is not None:
            amounts = X[:, place[columns.amount]]
            terms.append(_term(columns.amount, "log1p", amounts))
            for number in range(AMOUNT_TABLES):
                tables.append(Table(name=columns.amount, edges=_edges(amounts, amount_levels(number)), base=None))
                precisions.append(AMOUNT_PRECISION if tails else AMOUNT_PRECISION_ALONE)
        for name in columns.categories:
            tables.append(Table.of_levels(name, levels[name]))
            precisions.append(LEVEL_PRECISION)
        for name in columns.features if tails else ():
            values = X[:, place[name]]
            edges = _edges(values, TAIL_LEVELS)
            if len(edges):
                base = int(np.searchsorted(edges, np.median(values), side="right"))
                tables.append(Table(name=name, edges=edges, base=base))
                precisions.append(TAIL_PRECISION)
        present = tuple(term for term in terms if term is not None)
        return cls(
            terms=present,
            tables=tuple(tables),
            precision=np.concatenate(
                [
                    np.full(len(present), LINEAR_PRECISION),
                    [0.0],
                    np.repeat(
                        np.array(precisions, dtype=np.float64),
                        np.array([table.width for table in tables], dtype=np.int64),
                    ),
                ]
            ),
        )

    @classmethod
    def chance(cls) -> ExpertColumns:
        """No columns but the intercept: every row is a new fraud with the same probability."""
        return cls(terms=(), tables=(), precision=np.zeros(1))

    @property
    def intercept(self) -> int:
        """The place of the intercept among the weights."""
        return len(self.terms)

    def design(self, columns: Columns, X: NDArray[np.float64]) -> Design:
        """The columns of transactions `X` (rows, columns.inputs)."""
        place = {name: at for at, name in enumerate(columns.inputs)}
        linear = [term.column(X[:, place[term.name]]) for term in self.terms]
        starts = np.cumsum([0, *(table.width for table in self.tables)])
        rows, places = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for table, start in zip(self.tables, starts[:-1], strict=True):
            found = table.places(X[:, place[table.name]])
            inside = np.flatnonzero(found >= 0)
            rows.append(inside)
            places.append(found[inside] + start)
        at = (np.concatenate(rows), np.concatenate(places))
        shape = (len(X), int(starts[-1]))
        indicators = sparse.csr_array((np.ones(len(at[0])), at), shape=shape)
        return Design(linear=np.column_stack([*linear, np.ones(len(X))]), indicators=indicators)

    def part(self, weights: NDArray[np.float64]) -> dict[str, Any]:
        """The part of a model document with these weights; the tables of one input are added up to one."""
        by_input: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
        levels: list[dict[str, Any]] = []
        start = self.intercept + 1
        for table in self.tables:
            coefficients = table.coefficients(weights[start : start + table.width])
            start += table.width
            if table.levels is not None:
                *known, other = coefficients.tolist()
                levels.append(
                    {"input": table.name, "levels": list(table.levels), "coefficients": known, "other": other}
                )
                continue
            by_input.setdefault(table.name, []).append((table.edges, coefficients))
        tables = []
        for name, found in by_input.items():
            edges, coefficients = _added(found)
            tables.append(
                {"input": name, "kind": "value", "edges": edges.tolist(), "coefficients": coefficients.tolist()}
            )
        return {
            "pattern": model_parts.NEW,
            "features": [
                {
                    "name": term.name,
                    "transform": term.transform,
                    "limits": list(term.limits),
                    "mean": term.mean,
                    "scale": term.scale,
                    "coefficient": weight,
                }
                for term, weight in zip(self.terms, weights[: self.intercept].tolist(), strict=True)
            ],
            "bins": tables,
            "intercept": float(weights[self.intercept]),
            "recalibration": None,
        } | ({"levels": levels} if levels else {})


def _term(name: str, transform: str, values: NDArray[np.float64]) -> Term | None:
    """The term of one input; None if the input is constant."""
    transformed = _transformed(transform, values)
    mean, scale = float(transformed.mean()), float(transformed.std())
    if transformed.min() == transformed.max() or not scale >= _MIN_SCALE:
        return None
    low = max(mean - MAX_DEVIATIONS * scale, float(transformed.min()))
    high = min(mean + MAX_DEVIATIONS * scale, float(transformed.max()))
    if not low < high:  # rounding leaves nothing between them
        return None
    limits = (float(np.expm1(low)), float(np.expm1(high))) if transform == "log1p" else (low, high)
    return Term(name=name, transform=transform, limits=limits, mean=mean, scale=scale)


def _transformed(transform: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log1p(np.maximum(values, 0.0)) if transform == "log1p" else values


def _added(
    tables: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The table with the edges of all `tables` (edges, coefficients), whose coefficients are their sums."""
    edges = np.unique(np.concatenate([own for own, _ in tables]))
    at = np.append(-np.inf, edges)  # the lowest value of each bin
    sums = [coefficients[np.searchsorted(own, at, side="right")] for own, coefficients in tables]
    return edges, np.sum(sums, axis=0)


def _edges(values: ArrayLike, levels: tuple[float, ...]) -> NDArray[np.float64]:
    """The distinct quantiles of `values`, above their minimum."""
    array = np.asarray(values, dtype=np.float64)
    edges: NDArray[np.float64] = np.unique(np.quantile(array, levels))
    above_minimum: NDArray[np.bool_] = edges > array.min()
    return edges[above_minimum]
