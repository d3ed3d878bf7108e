"""Fits a logistic regression with an L2 penalty to real and synthetic rows by Newton's method, to convergence.

The loss is the sum of the log losses plus `penalty` / 2 times the squared norm of the weights; the intercept is free.
It is convex, and strictly so with a penalty above 0, so the result does not depend on the way there. Two things make
the way short. It begins at the solution for a sample of the rows, which is near. And a curvature is used again as long
as steps shrink tenfold with it (Shamanskii 1967, "A modification of Newton's method"): it costs several gradients.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ml.model.regression.design import SLICE, Array, Design, Each, in_slices
from ml.model.regression.synthetic_frauds import SyntheticFrauds

_SAMPLE_ROWS = 20_000  # about
_MIN_ROWS_FOR_SAMPLE = 50_000  # with fewer, a sample is not worth its fit
_MAX_STEP_RATIO = 0.1  # the curvature is computed again after a step that is not so much shorter than the one before
_CELLS_PER_ROW = 32
_ROUNDING = 1e-11  # of the loss: below that, a descent is lost in rounding
_MIN_SIZE = 2.0**-40


class NotConverged(ValueError):
    """The fit found no minimum."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a fit: real ones with their labels (1.0 = fraud) and, with SMOTE, synthetic frauds.

    `weights` are those of the real rows, None if all are 1; a synthetic row counts `synthetic_weight`.
    """

    design: Design
    labels: Array
    weights: Array | None = None
    synthetic: SyntheticFrauds | None = None
    synthetic_weight: float = 1.0

    @property
    def total(self) -> float:
        """The sum of all rows' weights."""
        real = float(len(self.labels)) if self.weights is None else float(self.weights.sum())
        return real + (0.0 if self.synthetic is None else self.synthetic_weight * len(self.synthetic))

    def sample(self) -> Rows:
        """All frauds, and evenly spaced legitimate and synthetic rows, weighted so that they stand for all."""
        every = max(1, len(self.labels) // _SAMPLE_ROWS)
        frauds, legitimate = np.flatnonzero(self.labels == 1), np.flatnonzero(self.labels == 0)
        kept = legitimate[::every]
        chosen = np.concatenate([frauds, kept])
        weights = np.concatenate([np.ones(len(frauds)), np.full(len(kept), len(legitimate) / max(1, len(kept)))])
        made = Rows(design=self.design.rows(chosen), labels=self.labels[chosen], weights=weights)
        if self.synthetic is None:
            return made
        part = self.synthetic.part(slice(None, None, every))
        weight = len(self.synthetic) / max(1, len(part))
        return dataclasses.replace(made, synthetic=part, synthetic_weight=weight)


def fit(rows: Rows, *, penalty: float, tolerance: float, max_steps: int) -> Array:
    """The weights of the columns of `rows.design` that minimise the loss.

    Args:
        penalty: above 0.
        tolerance: the fit ends with a step that changes no weight by more. As steps shrink tenfold or more, the
            weights are then within about a tenth of it.
        max_steps: of the whole fit.

    Raises:
        NotConverged: `max_steps` were not enough, or the penalty is so small that columns which add up to others leave
            no definite solution.
    """
    with in_slices() as each:
        start, left = np.zeros(rows.design.width), max_steps
        if len(rows.labels) > _MIN_ROWS_FOR_SAMPLE:
            sample = rows.sample()
            near, left = _Fit(sample, penalty * sample.total / rows.total, each).minimise(start, 1e-3, left)
            start = near
        return _Fit(rows, penalty, each).minimise(start, tolerance, left)[0]


class _Fit:
    def __init__(self, rows: Rows, penalty: float, each: Each) -> None:
        self._rows, self._each = rows, each
        self._penalty = np.full(rows.design.width, penalty)
        self._penalty[rows.design.values.shape[1]] = 0.0  # the intercept

    def minimise(self, weights: Array, tolerance: float, max_steps: int) -> tuple[Array, int]:
        """The minimum, and the number of steps that are left of `max_steps`."""
        loss, gradient = self._loss(weights)
        factor, before = None, np.inf
        for left in range(max_steps - 1, -1, -1):
            if factor is None:
                factor = self._factor(weights)
            step = linalg.cho_solve(factor, gradient)
            longest = float(np.abs(step).max())
            if longest <= tolerance:
                return weights - step, left
            size, loss, gradient = self._descend(weights, step, loss, float(gradient @ step))
            weights = weights - size * step
            if size < 1 or longest > _MAX_STEP_RATIO * before:
                factor = None
            before = longest
        raise NotConverged(f"{max_steps} steps were not enough")

    def _factor(self, weights: Array) -> tuple[Array, bool]:
        try:
            made: tuple[Array, bool] = linalg.cho_factor(self._curvature(weights))
        except linalg.LinAlgError as error:
            raise NotConverged("the penalty is too small for double precision") from error
        return made

    def _descend(self, weights: Array, step: Array, before: float, decrement: float) -> tuple[float, float, Array]:
        """A step size that lowers the loss enough (Armijo 1966), and the loss and its gradient there."""
        size = 1.0
        while True:
            loss, gradient = self._loss(weights - size * step)
            enough = loss <= before - 1e-4 * size * decrement
            if enough or decrement <= _ROUNDING * before or size < _MIN_SIZE:
                return size, loss, gradient
            size /= 2

    def _loss(self, weights: Array) -> tuple[float, Array]:
        """The loss and its gradient."""
        rows = self._rows

        def of_real(chosen: slice) -> tuple[float, Array]:
            design, labels = rows.design.rows(chosen), rows.labels[chosen]
            losses, chances = _log_losses(design.products(weights), labels)
            errors = chances - labels
            if rows.weights is not None:
                losses, errors = losses * rows.weights[chosen], errors * rows.weights[chosen]
            return float(losses.sum()), design.sums(errors, errors)

        loss, gradient = _total(self._each(of_real, len(rows.labels), SLICE))
        if rows.synthetic is not None and len(rows.synthetic):
            more, slope = self._loss_of(rows.synthetic, weights)
            loss, gradient = loss + more, gradient + slope
        return loss + 0.5 * float(self._penalty @ weights**2), gradient + self._penalty * weights

    def _loss_of(self, synthetic: SyntheticFrauds, weights: Array) -> tuple[float, Array]:
        """The loss of synthetic rows and its gradient."""
        each_counts = self._rows.synthetic_weight

        def of_part(chosen: slice) -> tuple[float, Array]:
            part = synthetic.part(chosen)
            losses, chances = _log_losses(part.products(weights), 1.0)
            return each_counts * float(losses.sum()), part.per_pair(each_counts * (chances - 1.0), 2)

        loss, per_pair = _total(self._each(of_part, len(synthetic), SLICE))
        return loss, synthetic.sums(per_pair)

    def _curvature(self, weights: Array) -> Array:
        """The second derivatives of the loss."""
        rows = self._rows

        def of_real(chosen: slice) -> Array:
            design = rows.design.rows(chosen)
            second = _variances(design.products(weights))
            return design.moments(second if rows.weights is None else second * rows.weights[chosen])

        # A wide matrix takes as long as many rows: slices that are not many times longer would cost more than the sums.
        width = rows.design.width
        made = np.diag(self._penalty)
        for part in self._each(of_real, len(rows.labels), max(SLICE, width**2 // _CELLS_PER_ROW)):
            made += part
        if rows.synthetic is not None and len(rows.synthetic):
            made += self._curvature_of(rows.synthetic, weights)
        return made

    def _curvature_of(self, synthetic: SyntheticFrauds, weights: Array) -> Array:
        """The second derivatives of the loss of synthetic rows."""

        def of_part(chosen: slice) -> Array:
            part = synthetic.part(chosen)
            return part.per_pair(self._rows.synthetic_weight * _variances(part.products(weights)), 3)

        parts = self._each(of_part, len(synthetic), SLICE)
        per_pair = next(parts)
        for part in parts:
            per_pair += part
        return synthetic.moments(per_pair)


def _total(parts: Iterable[tuple[float, Array]]) -> tuple[float, Array]:
    """The sums of numbers and of arrays, added in order."""
    loss, total = 0.0, np.zeros(0)
    for number, array in parts:
        loss, total = loss + number, total + array if len(total) else array
    return loss, total


def _log_losses(log_odds: Array, labels: Array | float) -> tuple[Array, Array]:
    """The log loss of each row, and the probability of fraud."""
    small = np.exp(-np.abs(log_odds))
    losses = np.maximum(log_odds, 0.0) - labels * log_odds + np.log1p(small)
    return losses, np.where(log_odds >= 0, 1.0, small) / (1.0 + small)


def _variances(log_odds: Array) -> Array:
    """p (1 - p) of each row."""
    small = np.exp(-np.abs(log_odds))
    return small / (1.0 + small) ** 2
