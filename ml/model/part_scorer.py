"""Evaluates one part of a model: the log-odds of its pattern, for a block of rows or for one row.

Part of the archive's code/. Uses numpy and the part's numbers only. The part is folded on loading: with
w = slope * coefficient / scale, the sum over slope * coefficient * (x - mean) / scale is x @ w plus a constant. A row
costs one dot product and one look-up per table of bins or levels. Every sum is taken in the order that scorer.py
explains.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml.model import time_units
from ml.model.document_fields import ArtifactInvalid
from ml.model.model_document import ModelDocument
from ml.model.model_parts import Feature, Part

_EXACT_HOURS = 2.0**40  # below this many hours, 24 * floor(hours / 24) is exact
_SCALE_DOWN, _SCALE_UP = 2.0**-520, 2.0**520


class PartScorer:
    """The folded form of one part of a model document."""

    def __init__(self, model: ModelDocument, part: Part) -> None:
        index = {name: position for position, name in enumerate(model.inputs)}
        line = part.recalibration
        slope, constants = (1.0, []) if line is None else (line.slope, [line.intercept])
        constants.append(slope * part.intercept)
        weights = [0.0] * len(model.inputs)
        self._clipped: list[tuple[int, float, float, float]] = []
        self._logs: list[tuple[int, float, float, float]] = []
        for term in part.features:
            weight = slope * term.coefficient / term.scale
            constants.append(-weight * term.mean)
            at = index[term.name]
            if term.transform == "log1p":
                self._logs.append((at, weight, *_log_range(term)))
            elif term.limits is not None:
                self._clipped.append((at, weight, *term.limits))
            else:
                weights[at] = weight
        self._weights = weights
        self._terms = [(at, weight) for at, weight in enumerate(weights) if weight]
        self._constant = math.fsum(constants)
        if not math.isfinite(self._constant):
            raise ArtifactInvalid(
                f"model.json: the features of the part for the pattern {part.pattern} must have a finite sum of "
                f"coefficient * mean / scale"
            )
        self._values: list[tuple[int, NDArray[np.float64], NDArray[np.float64]]] = []
        self._hours: list[tuple[int, NDArray[np.float64]]] = []
        for table in part.bins:
            edges, values = np.asarray(table.edges), slope * np.asarray(table.coefficients)
            if table.kind == "value":
                self._values.append((index[table.input], edges, values))
            else:  # there are 24 hours, so the table by bin becomes a table by hour
                hours = values[np.searchsorted(edges, np.arange(24.0), side="right")]
                self._hours.append((index[table.input], hours))
        self._levels: list[tuple[int, NDArray[np.float64]]] = []
        for known in part.levels:
            by_place = [known.coefficient(level) for level in model.levels[known.input].levels]
            self._levels.append((index[known.input], slope * np.array([*by_place, known.other])))
        self._per_hour = 3600.0 * time_units.per_second(model.time.unit if model.time is not None else None)
        self._row_values = [(at, edges.tolist(), values.tolist()) for at, edges, values in self._values]
        self._row_hours = [(at, values.tolist()) for at, values in self._hours]
        self._row_levels = [(at, values.tolist()) for at, values in self._levels]

    def log_odds_row(self, row: Sequence[float]) -> float:
        """The log-odds of one row of Python floats; the same bits as in a block."""
        total = self._constant
        for at, weight in self._terms:
            total += row[at] * weight
        for at, weight, low, high in self._clipped:  # comparisons are faster here than min and max
            value = row[at]
            total += (low if value < low else high if value > high else value) * weight
        for at, weight, low, high in self._logs:  # numpy's logarithm differs from math's in the last bit
            value = row[at]
            total += weight * float(np.log1p(low if value < low else high if value > high else value))
        for at, edges, values in self._row_values:
            total += values[bisect_right(edges, row[at])]
        for at, values in self._row_hours:
            total += values[int(math.floor(row[at] / self._per_hour) % 24)]
        for at, values in self._row_levels:
            total += values[int(row[at])]
        return total if math.isfinite(total) else self._rescaled_sum(row)

    def log_odds_block(self, out: NDArray[np.float64], columns: NDArray[np.float64]) -> None:
        """Writes the log-odds of the rows in `columns` (inputs, rows) to `out`; overflow is ignored by the caller."""
        out.fill(self._constant)
        product = np.empty_like(out)
        for at, weight in self._terms:
            np.multiply(columns[at], weight, out=product)
            out += product
        for at, weight, low, high in self._clipped:
            np.clip(columns[at], low, high, out=product)
            product *= weight
            out += product
        for at, weight, low, high in self._logs:
            out += weight * np.log1p(np.minimum(np.maximum(columns[at], low), high))
        for at, edges, values in self._values:
            out += values[np.searchsorted(edges, columns[at], side="right")]
        for at, values in self._hours:
            out += values[_hour_of_day(columns[at], self._per_hour)]
        for at, values in self._levels:
            out += values[columns[at].astype(np.intp)]
        finite = np.isfinite(out)
        if not finite.all():
            for row in np.flatnonzero(~finite):
                out[row] = self._rescaled_sum(columns[:, row].tolist())

    def _rescaled_sum(self, row: Sequence[float]) -> float:
        """The linear part of a finite row whose sum overflowed, summed at the scale 2**-520 and rounded once."""
        terms = (value * _SCALE_DOWN * weight for value, weight in zip(row, self._weights, strict=True))
        return math.fsum(terms) * _SCALE_UP


def _log_range(term: Feature) -> tuple[float, float]:
    """The range to which an input is clipped before its logarithm; an input below zero counts as zero."""
    low, high = term.limits or (0.0, math.inf)
    return max(low, 0.0), max(high, 0.0)


def _hour_of_day(times: NDArray[np.float64], per_hour: float) -> NDArray[np.intp]:
    """floor(times / per_hour) modulo 24; below 2**40 hours exact without np.mod, and three times faster."""
    hours = np.floor(times / per_hour)
    if np.abs(hours).max(initial=0.0) < _EXACT_HOURS:
        hours -= 24.0 * np.floor(hours / 24.0)
    else:
        hours = np.mod(hours, 24.0)
    return hours.astype(np.intp)
