"""Evaluates a model document with numpy alone: at the endpoint, offline and in the gate.

It travels in the archive's code/. It must agree with the scikit-learn pipeline that produced the document to 1e-9 and
so may know nothing that is not in the document; fitting is estimator.py's.

The regression is folded when it is loaded. With w = coefficient / scale, the sum over coefficient * (x - mean) / scale
is x @ w plus a constant, so a row costs one dot product, one table look-up per bin table, one exponential.

A row has one score, to the last bit, alone or in a batch of any size and layout: a decision at the threshold must not
depend on its company. So every sum is taken in the order of the document, one product after the other. A BLAS sums in
an order of its own for each shape and number of threads, and `sum` compensates since Python 3.12; neither is used.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model import model_document
from ml.model.model_document import ArtifactInvalid, ModelDocument, Threshold

__all__ = ["ArtifactInvalid", "Scorer"]

_BLOCK = 4_096  # rows at a time: a block's columns and scores stay in cache (measured: 512 to 16,384 rows)
_NO_OVERFLOW = -709.0  # exp(-x) is finite from here upwards
_EXACT_HOURS = 2.0**40  # below this many hours, 24 * floor(hours / 24) is exact
_DOWN, _UP = 2.0**-520, 2.0**520


class Scorer:
    """The probability of fraud for rows of `inputs`, and the decision at the model's own threshold."""

    def __init__(self, model: ModelDocument) -> None:
        self.document = model
        index = {name: position for position, name in enumerate(model.inputs)}
        weights = [0.0] * len(model.inputs)
        constants = [model.intercept]
        self._logs: list[tuple[int, float]] = []
        for term in model.features:
            weight = term.coefficient / term.scale
            constants.append(-weight * term.mean)
            if term.transform == "log1p":
                self._logs.append((index[term.name], weight))
            else:
                weights[index[term.name]] = weight
        self._weights = weights
        self._terms = [(at, weight) for at, weight in enumerate(weights) if weight]
        self._constant = math.fsum(constants)
        if not math.isfinite(self._constant):
            raise ArtifactInvalid("model.json: features must have a finite sum of coefficient * mean / scale")
        self._amounts: list[tuple[int, NDArray[np.float64], NDArray[np.float64]]] = []
        self._hours: list[tuple[int, NDArray[np.float64]]] = []
        for table in model.bins:
            edges, values = np.asarray(table.edges), np.asarray(table.coefficients)
            if table.kind == "amount":
                self._amounts.append((index[table.input], edges, values))
            else:  # 24 hours, so the table of bins becomes a table of hours
                hours = values[np.searchsorted(edges, np.arange(24.0), side="right")]
                self._hours.append((index[table.input], hours))
        self._row_amounts = [(at, edges.tolist(), values.tolist()) for at, edges, values in self._amounts]
        self._row_hours = [(at, values.tolist()) for at, values in self._hours]

    @classmethod
    def from_json(cls, text: str | bytes) -> Scorer:
        """The scorer that the model.json in `text` describes; ArtifactInvalid where it does not hold."""
        return cls(model_document.parse(text))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the columns that `score` takes, in its order."""
        return self.document.inputs

    @property
    def threshold(self) -> Threshold:
        """The threshold that `decide` applies, and the policy that chose it."""
        return self.document.threshold

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that name this model: the digest of its canonical document."""
        return self.document.version

    def score(self, X: ArrayLike) -> NDArray[np.float64]:
        """The probability of fraud of each row.

        Args:
            X: finite numbers, one row per transaction and one column per name in `inputs`. An amount below zero
                counts as zero in its logarithm.

        Returns:
            float64, one per row, from 0 to 1; never NaN for finite rows, however large.

        Raises:
            ValueError: X has another shape, or is not numeric.
        """
        rows: NDArray[Any] = np.asarray(X)
        if rows.dtype.kind not in "fiu":
            rows = rows.astype(np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.inputs):
            raise ValueError(f"X must have the shape (rows, {len(self.inputs)}) (got {rows.shape})")
        scores = np.empty(len(rows))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(rows), _BLOCK):
                columns = np.ascontiguousarray(rows[start : start + _BLOCK].T, dtype=np.float64)
                self._fill(scores[start : start + _BLOCK], columns)
        return scores

    def score_row(self, row: Sequence[float]) -> float:
        """`score` for one row of Python floats, bit for bit, in a few microseconds (an array of one row costs more)."""
        if len(row) != len(self._weights):
            raise ValueError(f"a row must have {len(self._weights)} numbers (got {len(row)})")
        total = self._constant
        for at, weight in self._terms:
            total += row[at] * weight
        for at, weight in self._logs:  # numpy's logarithm and exponential differ from math's in the last bit
            total += weight * float(np.log1p(max(row[at], 0.0)))
        for at, edges, values in self._row_amounts:
            total += values[bisect_right(edges, row[at])]
        for at, values in self._row_hours:
            total += values[int(math.floor(row[at] / 3600.0) % 24)]
        if not math.isfinite(total):
            total = self._scaled(row)
        if total < _NO_OVERFLOW:
            with np.errstate(over="ignore"):  # it costs more than the rest of the sum
                return 1.0 / (1.0 + float(np.exp(-total)))
        return 1.0 / (1.0 + float(np.exp(-total)))

    def decide(self, scores: ArrayLike) -> NDArray[np.int8]:
        """1 where a score reaches the threshold (alert), else 0 (pass)."""
        return (np.asarray(scores) >= self.threshold.score).astype(np.int8)

    def _fill(self, out: NDArray[np.float64], columns: NDArray[np.float64]) -> None:
        """Writes the probabilities of a block, given by its columns, to `out`."""
        out.fill(self._constant)
        product = np.empty_like(out)
        for at, weight in self._terms:
            np.multiply(columns[at], weight, out=product)
            out += product
        for at, weight in self._logs:
            out += weight * np.log1p(np.maximum(columns[at], 0.0))
        for at, edges, values in self._amounts:
            out += values[np.searchsorted(edges, columns[at], side="right")]
        for at, values in self._hours:
            out += values[_hour_of_day(columns[at])]
        finite = np.isfinite(out)
        if not finite.all():
            for row in np.flatnonzero(~finite):
                out[row] = self._scaled(columns[:, row].tolist())
        np.negative(out, out=out)
        np.exp(out, out=out)  # overflows to infinity below -709, whose reciprocal is the 0 that is meant
        out += 1.0
        np.reciprocal(out, out=out)

    def _scaled(self, row: Sequence[float]) -> float:
        """The linear part of a finite row whose sum overflowed, computed 2**520 times smaller and rounded once."""
        return math.fsum(value * _DOWN * weight for value, weight in zip(row, self._weights, strict=True)) * _UP


def _hour_of_day(seconds: NDArray[np.float64]) -> NDArray[np.intp]:
    """floor(seconds / 3600) modulo 24; the modulo by hand is exact below 2**40 hours and three times faster."""
    hours = np.floor(seconds / 3600.0)
    if np.abs(hours).max(initial=0.0) < _EXACT_HOURS:
        hours -= 24.0 * np.floor(hours / 24.0)
    else:
        hours = np.mod(hours, 24.0)
    return hours.astype(np.intp)
