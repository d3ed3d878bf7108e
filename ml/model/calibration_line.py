"""Fits the line that maps a model's log-odds to those of the fraud rate at which rows arrive.

A model that was trained on resampled rows overstates the log-odds, and so does one that was fitted to few frauds. The
line is found on rows that the model was not fitted on (Platt 1999, "Probabilistic outputs for support vector
machines"). It never changes the ranking: its slope is positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from ml.model.model_parts import Line
from ml.model.thread_map import thread_map

PRIOR_MEAN = (1.0, -2.0)  # of slope and intercept: right ranking, log-odds overstated by resampling
PRIOR_PRECISION = (1.0, 1.0)
MIN_SLOPE = 0.05  # a ranking no better than chance gives a slope near 0; the line must still keep the order
_MAX_LOG_ODDS = 50.0  # beyond it a probability is 0 or 1 within 1e-21
_MAX_STEPS = 100
_SLICE = 65_536  # rows whose numbers a core computes at once; sums are taken over all rows, in one order
_MIN_STEP = 1e-9


def fit(log_odds: ArrayLike, labels: ArrayLike) -> Line:
    """The line of highest posterior probability for rows with `labels` (0 or 1), under the prior above.

    Args:
        log_odds: one per row; clipped to ±50, so that one extreme row cannot decide the slope.

    Raises:
        ValueError: Newton's method did not converge, which finite input cannot cause.
    """
    values = np.clip(np.asarray(log_odds, dtype=np.float64), -_MAX_LOG_ODDS, _MAX_LOG_ODDS)
    truth = np.asarray(labels, dtype=np.float64)
    mean, precision = np.asarray(PRIOR_MEAN), np.asarray(PRIOR_PRECISION)
    line = _maximise(np.column_stack([values, np.ones_like(values)]), truth, mean, precision)
    if line[0] < MIN_SLOPE:
        shifted = _maximise(np.ones((len(values), 1)), truth, mean[1:], precision[1:], MIN_SLOPE * values)
        line = np.array([MIN_SLOPE, shifted[0]])
    return Line(slope=float(line[0]), intercept=float(line[1]))


def _maximise(
    design: NDArray[np.float64],
    truth: NDArray[np.float64],
    mean: NDArray[np.float64],
    precision: NDArray[np.float64],
    offset: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """The weights of highest posterior probability, by Newton's method with halved steps."""

    rows = len(truth)
    total, losses, p, scaled = np.empty(rows), np.empty(rows), np.empty(rows), np.empty_like(design)
    slices = [slice(start, start + _SLICE) for start in range(0, rows, _SLICE)]

    def set_losses(chosen: slice) -> None:
        np.logaddexp(0, total[chosen], out=losses[chosen])
        losses[chosen] -= truth[chosen] * total[chosen]

    def set_chances(chosen: slice) -> None:
        expit(total[chosen], out=p[chosen])
        np.multiply(design[chosen], (p[chosen] * (1 - p[chosen]))[:, np.newaxis], out=scaled[chosen])

    def loss(weights: NDArray[np.float64]) -> float:
        np.matmul(design, weights, out=total)
        np.add(total, offset, out=total)
        thread_map(set_losses, slices)
        return float(np.sum(losses) + 0.5 * precision @ (weights - mean) ** 2)

    weights = mean.copy()
    before = loss(weights)
    for _ in range(_MAX_STEPS):
        thread_map(set_chances, slices)  # at the weights of the last loss
        gradient = design.T @ (p - truth) + precision * (weights - mean)
        curvature = scaled.T @ design + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (after := loss(weights - size * step)) > before and size > _MIN_STEP:
            size /= 2
        weights, before = weights - size * step, min(before, after)
        if np.abs(size * step).max() <= _MIN_STEP:
            return weights
    raise ValueError(f"the calibration line did not converge within {_MAX_STEPS} steps on {len(truth)} rows")
