"""Scores transactions with a model document, with numpy only: at the endpoint, offline and in the gate.

Part of the archive's code/. Agrees with the code that fitted the document to 1e-9: scikit-learn's pipeline for a model
of one part, ml/model/adaptation for one of two. Uses nothing but the document, and never fits.

The score of a row is the same to the last bit in a batch of any size and layout, because a decision at the threshold
must not depend on the other rows. Every sum is therefore taken in the order of the document. BLAS is not used: its
order of summation depends on the shape and the number of threads. Nor is `sum`: it compensates since Python 3.12.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model import model_document
from ml.model.document_fields import ArtifactInvalid
from ml.model.model_document import ModelDocument, Threshold
from ml.model.part_scorer import PartScorer

__all__ = ["ArtifactInvalid", "Scorer"]

_BLOCK_ROWS = 4_096  # a block's columns and scores stay in cache (measured: 512 to 16,384 rows)
_NO_OVERFLOW = -709.0  # exp(-x) is finite from here upwards


class Scorer:
    """Computes the probability of fraud for rows of `inputs`, and the decision at the model's threshold."""

    def __init__(self, model: ModelDocument) -> None:
        self.document = model
        self._parts = [PartScorer(model, part) for part in model.parts]
        self._width = len(model.inputs)
        self._known_log_odds = self._parts[0].log_odds_row
        self._others = [part.log_odds_row for part in self._parts[1:]]

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

    def matrix(self, rows: Any) -> NDArray[Any]:
        """The rows as `score` takes them.

        Args:
            rows: a data frame with the columns `inputs`, categories as text (category_levels.text_of).
        """
        if not self.document.categories:
            numbers: NDArray[Any] = rows[list(self.inputs)].to_numpy()
            return numbers
        made = np.empty((len(rows), self._width), order="F")
        for at, name in enumerate(self.inputs):
            levels = self.document.levels.get(name)
            made[:, at] = rows[name].to_numpy() if levels is None else levels.places(rows[name].tolist())
        return made

    def score(self, X: ArrayLike) -> NDArray[np.float64]:
        """The probability of fraud of each row.

        Args:
            X: finite numbers, one row per transaction and one column per name in `inputs`. An amount below zero
                counts as zero in its logarithm. A category is the place of its level in `document.levels`.

        Returns:
            float64, one per row, from 0 to 1; never NaN for finite rows, however large.

        Raises:
            ValueError: X has another shape, is not numeric, or has a number that is no place of a level.
        """
        rows = self._checked(X)
        scores = np.empty(len(rows))
        part_scores = np.empty(min(len(rows), _BLOCK_ROWS))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(rows), _BLOCK_ROWS):
                columns = np.ascontiguousarray(rows[start : start + _BLOCK_ROWS].T, dtype=np.float64)
                out = scores[start : start + _BLOCK_ROWS]
                self._parts[0].log_odds_block(out, columns)
                _to_probabilities(out)
                for part in self._parts[1:]:
                    other = part_scores[: len(out)]
                    part.log_odds_block(other, columns)
                    _to_probabilities(other)
                    other *= 1.0 - out
                    out += other
        return scores

    def log_odds(self, X: ArrayLike) -> NDArray[np.float64]:
        """The log-odds of each row in each part of the model, (rows, parts); `X` and errors as in `score`."""
        rows = self._checked(X)
        made = np.empty((len(self._parts), len(rows)))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(rows), _BLOCK_ROWS):
                columns = np.ascontiguousarray(rows[start : start + _BLOCK_ROWS].T, dtype=np.float64)
                for out, part in zip(made, self._parts, strict=True):
                    part.log_odds_block(out[start : start + _BLOCK_ROWS], columns)
        return made.T

    def calibrated(self, X: ArrayLike) -> NDArray[np.float64]:
        """The fraud rate to expect among rows like each row, at the rate at which frauds arrive; errors as in `score`.

        The first training resamples and shrinks, so its scores rank rows but are no fraud rates: the document's line
        `history`, found on rows that no coefficient was fitted on, maps them (Platt 1999). The scores of an adapted
        model are fraud rates already. The order of rows, and so every decision, is that of `score`.
        """
        if self.document.parts[0].recalibration is not None:
            return self.score(X)
        line, made = self.document.history, self.log_odds(X)[:, 0]
        with np.errstate(over="ignore"):
            made = made * line.slope + line.intercept
            _to_probabilities(made)
        return made

    def score_row(self, row: Sequence[float]) -> float:
        """The same bits as `score` for one row of Python floats, but faster: a few microseconds."""
        if len(row) != self._width:
            raise ValueError(f"a row must have {self._width} numbers (got {len(row)})")
        score = _probability(self._known_log_odds(row))
        for log_odds in self._others:
            score += _probability(log_odds(row)) * (1.0 - score)
        return score

    def calibrated_row(self, row: Sequence[float]) -> float:
        """The same bits as `calibrated` for one row of Python floats, but faster."""
        if self.document.parts[0].recalibration is not None:
            return self.score_row(row)
        if len(row) != self._width:
            raise ValueError(f"a row must have {self._width} numbers (got {len(row)})")
        line = self.document.history
        return _probability(self._known_log_odds(row) * line.slope + line.intercept)

    def decide(self, scores: ArrayLike) -> NDArray[np.int8]:
        """1 (alert) for each score that reaches the threshold, else 0 (pass)."""
        return (np.asarray(scores) >= self.threshold.score).astype(np.int8)

    def _checked(self, X: ArrayLike) -> NDArray[Any]:
        rows: NDArray[Any] = np.asarray(X)
        if rows.dtype.kind not in "fiu":
            rows = rows.astype(np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.inputs):
            raise ValueError(f"X must have the shape (rows, {len(self.inputs)}) (got {rows.shape})")
        for name, levels in self.document.levels.items():
            places = rows[:, self.inputs.index(name)]
            wrong = ~((places >= 0) & (places <= levels.other) & (places == np.floor(places)))
            if wrong.any():
                raise ValueError(
                    f"{name} must be the place of a level, a whole number from 0 to {levels.other:g} (got "
                    f"{places[wrong][0]!r}); `matrix` makes places from text"
                )
        return rows


def _to_probabilities(log_odds: NDArray[np.float64]) -> None:
    """Replaces log-odds by probabilities."""
    np.negative(log_odds, out=log_odds)
    np.exp(log_odds, out=log_odds)  # overflows to infinity below -709; its reciprocal is the correct 0
    log_odds += 1.0
    np.reciprocal(log_odds, out=log_odds)


def _probability(log_odds: float) -> float:
    """The probability of one row's log-odds; numpy's exponential differs from math's in the last bit."""
    if log_odds < _NO_OVERFLOW:
        with np.errstate(over="ignore"):  # only here, because it costs more than the rest of the sum
            return 1.0 / (1.0 + float(np.exp(-log_odds)))
    return 1.0 / (1.0 + float(np.exp(-log_odds)))
