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
from typing import Protocol

import numpy as np
from scipy import linalg

from ml.model.regression.design import SLICE, Array, ColumnSource, Design, Each, in_slices
from ml.model.regression.synthetic_frauds import SyntheticFrauds

_SAMPLE_ROWS = 20_000  # about
MIN_ROWS_FOR_SAMPLE = 50_000
"""With fewer rows, a sample is not worth its fit."""
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

    design: ColumnSource
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
        every = sample_step(len(self.labels))
        frauds, legitimate = np.flatnonzero(self.labels == 1), np.flatnonzero(self.labels == 0)
        kept = legitimate[::every]
        design = self.design.rows(np.concatenate([frauds, kept]))
        return sample_of(
            design, (len(frauds), len(kept)), legitimate=len(legitimate), synthetic=self.synthetic, every=every
        )


def sample_step(rows: int) -> int:
    """Of so many rows, every how manieth legitimate and synthetic one is in the sample."""
    return max(1, rows // _SAMPLE_ROWS)


def sample_of(
    design: Design, counts: tuple[int, int], *, legitimate: int, synthetic: SyntheticFrauds | None, every: int
) -> Rows:
    """The sample, from its rows.

    Args:
        design: the columns of all frauds, then those of each `every`th of the `legitimate` rows.
        counts: the numbers of both.
        synthetic: all synthetic rows.
    """
    frauds, kept = counts
    weights = np.concatenate([np.ones(frauds), np.full(kept, legitimate / max(1, kept))])
    labels = np.concatenate([np.ones(frauds), np.zeros(kept)])
    made = Rows(design=design, labels=labels, weights=weights)
    if synthetic is None:
        return made
    part = synthetic.part(slice(None, None, every))
    weight = len(synthetic) / max(1, len(part))
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
        sample = rows.sample() if len(rows.labels) > MIN_ROWS_FOR_SAMPLE else None
        return fit_sums(
            RowSums(rows, each), total=rows.total, sample=sample, penalty=penalty, tolerance=tolerance,
            max_steps=max_steps,
        )  # fmt: skip


def fit_sums(
    sums: Sums, *, total: float, sample: Rows | None, penalty: float, tolerance: float, max_steps: int
) -> Array:
    """The same for rows of which only sums are at hand.

    Args:
        sums: sums over the rows.
        total: the sum of the rows' weights.
        sample: the rows whose solution is the start, `Rows.sample`; None starts at 0.
        penalty, tolerance, max_steps: as in `fit`, which also says what is raised.
    """
    start, left = np.zeros(sums.width), max_steps
    if sample is not None:
        with in_slices() as each:
            of_sample = _Fit(RowSums(sample, each), penalty * sample.total / total)
            start, left = of_sample.minimise(start, 1e-3, left)
    return _Fit(sums, penalty).minimise(start, tolerance, left)[0]


class Sums(Protocol):
    """Sums over rows, real and synthetic, wherever these are; without the penalty."""

    @property
    def width(self) -> int:
        """The number of weights."""

    @property
    def intercept(self) -> int:
        """The place of the weight without a penalty."""

    def loss(self, weights: Array) -> tuple[float, Array]:
        """The loss and its gradient."""

    def add_curvature(self, total: Array, weights: Array) -> Array:
        """`total` plus the second derivatives of the loss; may change `total`."""


class RowSums:
    """Sums over rows in memory."""

    def __init__(self, rows: Rows, each: Each) -> None:
        self._rows, self._each = rows, each
        self._synthetic = None
        if rows.synthetic is not None and len(rows.synthetic):
            self._synthetic = SyntheticSums(rows.synthetic, rows.synthetic_weight, each)

    @property
    def width(self) -> int:
        """The number of columns of the rows' design."""
        return self._rows.design.width

    @property
    def intercept(self) -> int:
        """The place of the column of ones."""
        return self._rows.design.intercept

    def loss(self, weights: Array) -> tuple[float, Array]:
        """The loss and its gradient."""
        loss, gradient = loss_of(self._rows, weights, self._each)
        if self._synthetic is not None:
            more, slope = self._synthetic.loss(weights)
            loss, gradient = loss + more, gradient + slope
        return loss, gradient

    def add_curvature(self, total: Array, weights: Array) -> Array:
        """`total` plus the second derivatives of the loss."""
        total = add_curvature_of(self._rows, total, weights, self._each)
        return total if self._synthetic is None else total + self._synthetic.curvature(weights)


def loss_of(rows: Rows, weights: Array, each: Each) -> tuple[float, Array]:
    """The loss of the real rows and its gradient."""

    def of_slice(chosen: slice) -> tuple[float, Array]:
        design, labels = rows.design.rows(chosen), rows.labels[chosen]
        losses, chances = _log_losses(design.products(weights), labels)
        errors = chances - labels
        if rows.weights is not None:
            losses, errors = losses * rows.weights[chosen], errors * rows.weights[chosen]
        return float(losses.sum()), design.sums(errors, errors)

    return added(each(of_slice, len(rows.labels), SLICE))


def add_curvature_of(rows: Rows, total: Array, weights: Array, each: Each) -> Array:
    """`total`, which is changed, plus the second derivatives of the loss of the real rows."""

    def of_slice(chosen: slice) -> Array:
        design = rows.design.rows(chosen)
        second = _variances(design.products(weights))
        return design.moments(second if rows.weights is None else second * rows.weights[chosen])

    # A wide matrix takes as long as many rows: slices that are not many times longer would cost more than the sums.
    for part in each(of_slice, len(rows.labels), max(SLICE, rows.design.width**2 // _CELLS_PER_ROW)):
        total += part
    return total


class SyntheticSums:
    """Sums over synthetic rows, each of which counts `weight`."""

    def __init__(self, synthetic: SyntheticFrauds, weight: float, each: Each) -> None:
        self._synthetic, self._weight, self._each = synthetic, weight, each

    def loss(self, weights: Array) -> tuple[float, Array]:
        """The loss and its gradient."""

        def of_part(chosen: slice) -> tuple[float, Array]:
            part = self._synthetic.part(chosen)
            losses, chances = _log_losses(part.products(weights), 1.0)
            return self._weight * float(losses.sum()), part.per_pair(self._weight * (chances - 1.0), 2)

        loss, per_pair = added(self._each(of_part, len(self._synthetic), SLICE))
        return loss, self._synthetic.sums(per_pair)

    def curvature(self, weights: Array) -> Array:
        """The second derivatives of the loss."""

        def of_part(chosen: slice) -> Array:
            part = self._synthetic.part(chosen)
            return part.per_pair(self._weight * _variances(part.products(weights)), 3)

        parts = self._each(of_part, len(self._synthetic), SLICE)
        per_pair = next(parts)
        for part in parts:
            per_pair += part
        return self._synthetic.moments(per_pair)


class _Fit:
    def __init__(self, sums: Sums, penalty: float) -> None:
        self._sums = sums
        self._penalty = np.full(sums.width, penalty)
        self._penalty[sums.intercept] = 0.0

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
        curvature = self._sums.add_curvature(np.diag(self._penalty), weights)
        try:
            made: tuple[Array, bool] = linalg.cho_factor(curvature)
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
        """The loss with its penalty, and the gradient."""
        loss, gradient = self._sums.loss(weights)
        return loss + 0.5 * float(self._penalty @ weights**2), gradient + self._penalty * weights


def added(parts: Iterable[tuple[float, Array]]) -> tuple[float, Array]:
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
