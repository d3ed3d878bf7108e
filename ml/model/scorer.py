"""Scores transactions with a model document, with numpy only: at the endpoint, offline and in the gate.

Part of the archive's code/. Agrees with the scikit-learn pipeline that produced the document to 1e-9. Uses nothing but
the document, and never fits: estimator.py does.

The regression is folded on loading. With w = coefficient / scale, the sum over coefficient * (x - mean) / scale is
x @ w plus a constant. A row costs one dot product, one look-up per bin table and one exponential.

The score of a row is the same to the last bit in a batch of any size and layout, because a decision at the threshold
must not depend on the other rows. Every sum is therefore taken in the order of the document. BLAS is not used: its
order of summation depends on the shape and the number of threads. Nor is `sum`: it compensates since Python 3.12.
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

_BLOCK_ROWS = 4_096  # a block's columns and scores stay in cache (measured: 512 to 16,384 rows)
_NO_OVERFLOW = -709.0  # exp(-x) is finite from here upwards
_EXACT_HOURS = 2.0**40  # below this many hours, 24 * floor(hours / 24) is exact
_SCALE_DOWN, _SCALE_UP = 2.0**-520, 2.0**520


class Scorer:
    """Computes the probability of fraud for rows of `inputs`, and the decision at the model's threshold."""

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
            else:  # there are 24 hours, so the table by bin becomes a table by hour
                hours = values[np.searchsorted(edges, np.arange(24.0), side="right")]
                self._hours.append((index[table.input], hours))
        self._row_amounts = [(at, edges.tolist(), values.tolist()) for at, edges, values in self._amounts]
        self._row_hours = [(at, values.tolist()) for at, values in self._hours]

    @classmethod
    def from_json(cls, text: str | bytes) -> Scorer:
        """The scorer of the model.json in `text`; ArtifactInvalid if it is invalid."""
        return cls(model_document.parse(text))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the columns that `score` takes, in order."""
        return self.document.inputs

    @property
    def threshold(self) -> Threshold:
        """The threshold that `decide` applies, with its policy."""
        return self.document.threshold

    @property
    def version(self) -> str:
        """The model's version: the first 12 hexadecimal digits of the digest of its canonical document."""
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
            for start in range(0, len(rows), _BLOCK_ROWS):
                columns = np.ascontiguousarray(rows[start : start + _BLOCK_ROWS].T, dtype=np.float64)
                self._score_block(scores[start : start + _BLOCK_ROWS], columns)
        return scores

    def score_row(self, row: Sequence[float]) -> float:
        """The same bits as `score` for one row of Python floats, but faster: a few microseconds."""
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
            total = self._rescaled_sum(row)
        if total < _NO_OVERFLOW:
            with np.errstate(over="ignore"):  # only here, because it costs more than the rest of the sum
                return 1.0 / (1.0 + float(np.exp(-total)))
        return 1.0 / (1.0 + float(np.exp(-total)))

    def decide(self, scores: ArrayLike) -> NDArray[np.int8]:
        """1 (alert) for each score that reaches the threshold, else 0 (pass)."""
        return (np.asarray(scores) >= self.threshold.score).astype(np.int8)

    def _score_block(self, out: NDArray[np.float64], columns: NDArray[np.float64]) -> None:
        """Writes the probabilities of the rows in `columns` (inputs, rows) to `out`."""
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
                out[row] = self._rescaled_sum(columns[:, row].tolist())
        np.negative(out, out=out)
        np.exp(out, out=out)  # overflows to infinity below -709; its reciprocal is the correct 0
        out += 1.0
        np.reciprocal(out, out=out)

    def _rescaled_sum(self, row: Sequence[float]) -> float:
        """The linear part of a finite row whose sum overflowed, summed at the scale 2**-520 and rounded once."""
        terms = (value * _SCALE_DOWN * weight for value, weight in zip(row, self._weights, strict=True))
        return math.fsum(terms) * _SCALE_UP


def _hour_of_day(seconds: NDArray[np.float64]) -> NDArray[np.intp]:
    """floor(seconds / 3600) modulo 24; below 2**40 hours exact without np.mod, and three times faster."""
    hours = np.floor(seconds / 3600.0)
    if np.abs(hours).max(initial=0.0) < _EXACT_HOURS:
        hours -= 24.0 * np.floor(hours / 24.0)
    else:
        hours = np.mod(hours, 24.0)
    return hours.astype(np.intp)
