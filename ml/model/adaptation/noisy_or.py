"""Fits a noisy-or: a row is a fraud because of a known pattern or because of a new one, each with its own probability.

p = 1 - (1 - p_known)(1 - p_new) (Pearl 1988, "Probabilistic reasoning in intelligent systems", noisy-or). The
log-odds of p_known are a line of the champion's, slope * log-odds + intercept; those of p_new are linear in the
expert's columns. All weights have normal priors. The fit finds the weights of highest posterior probability. It never
resamples or reweights rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import expit

from ml.model.adaptation.expert_columns import Design

Array = NDArray[np.float64]

_MAX_STEPS = 200
_DECREMENT = 1e-9  # of the loss by another full step: weights are then within about 1e-4 posterior deviations
_MIN_SIZE = 2.0**-40
_TINY = 1e-300  # keeps logarithms and reciprocals finite where both probabilities underflow


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Normal priors, independent of each other: means and precisions of the line (slope, intercept) and the weights."""

    line_mean: Array
    line_precision: Array
    weight_mean: Array
    weight_precision: Array


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Slope and intercept of the champion's line, and a weight for each column of the expert."""

    line: Array
    expert: Array

    def log_odds(self, champion: Array, design: Design) -> tuple[Array, Array]:
        """The log-odds of a known and of a new pattern."""
        return self.line[0] * champion + self.line[1], design.product(self.expert)

    def probabilities(self, champion: Array, design: Design) -> Array:
        """The probability of fraud of each row."""
        known, new = (expit(part) for part in self.log_odds(champion, design))
        return np.asarray(known + new * (1 - known))


def log_likelihood(weights: Weights, champion: Array, design: Design, truth: NDArray[np.bool_]) -> float:
    """The log-likelihood of the labels `truth` (True = fraud)."""
    neither = _minus_log_neither(*weights.log_odds(champion, design))
    return float(np.where(truth, np.log(-np.expm1(-neither)), -neither).sum())


def fit(champion: Array, design: Design, truth: NDArray[np.bool_], prior: Prior, start: Weights) -> Weights:
    """The weights of highest posterior probability that Newton's method reaches from `start`.

    The posterior has more than one maximum in general, so the start is part of the result's definition. A step takes
    the curvature of the observed labels where that is positive definite, and otherwise that of expectation
    maximisation (Dempster, Laird, Rubin 1977), which always is.

    Args:
        champion: the champion's log-odds.
        truth: True for a fraud.

    Raises:
        ValueError: it did not converge.
    """
    position = np.concatenate([start.line, start.expert])
    mean = np.concatenate([prior.line_mean, prior.weight_mean])
    precision = np.concatenate([prior.line_precision, prior.weight_precision])
    lines = np.column_stack([champion, np.ones_like(champion)])

    def parts(at: Array) -> tuple[Array, Array]:
        return lines @ at[:2], design.product(at[2:])

    def loss(at: Array) -> float:
        neither = _minus_log_neither(*parts(at))
        return float(np.where(truth, -np.log(-np.expm1(-neither)), neither).sum() + 0.5 * precision @ (at - mean) ** 2)

    before = loss(position)
    for _ in range(_MAX_STEPS):
        slope, curvatures = _derivatives(parts(position), lines, design, truth)
        slope += precision * (position - mean)
        step = _solve(curvatures, precision, slope)
        decrement = float(slope @ step)
        if decrement < _DECREMENT:
            return Weights(line=position[:2], expert=position[2:])
        size, after = _line_search(loss, position, step, before, decrement)
        if not after < before:  # rounding hides the rest of the descent
            return Weights(line=position[:2], expert=position[2:])
        position, before = position - size * step, after
    raise ValueError(f"the adaptation did not converge within {_MAX_STEPS} steps on {len(truth)} rows")


def _minus_log_neither(known: Array, new: Array) -> Array:
    """-log of the probability that neither pattern made the row a fraud."""
    return np.asarray(np.maximum(np.logaddexp(0, known) + np.logaddexp(0, new), _TINY))


def _derivatives(
    log_odds: tuple[Array, Array], lines: Array, design: Design, truth: NDArray[np.bool_]
) -> tuple[Array, list[Callable[[], Array]]]:
    """The gradient of the negative log-likelihood; its curvature, and that of expectation maximisation, when called.

    With s = log(1 + e^known) + log(1 + e^new), the loss of a legitimate row is s and that of a fraud -log(1 - e^-s).
    """
    known, new = log_odds
    chance_known, chance_new = expit(known), expit(new)
    odds = np.where(truth, 1 / np.expm1(np.minimum(_minus_log_neither(known, new), 700.0)), 0.0)
    share_known, share_new = odds * chance_known, odds * chance_new
    first_known = np.where(truth, -share_known, chance_known)
    first_new = np.where(truth, -share_new, chance_new)
    gradient = np.concatenate([first_known @ lines, design.sums(first_new)])
    plain_known, plain_new = chance_known * (1 - chance_known), chance_new * (1 - chance_new)

    def assemble(second_known: Array, cross: Array | None, second_new: Array) -> Array:
        corner = (lines * second_known[:, np.newaxis]).T @ lines
        expert = design.moments(second_new)
        off = np.zeros((2, len(expert)))
        if cross is not None:
            off = np.vstack([design.sums(cross * lines[:, 0]), design.sums(cross)])
        return np.block([[corner, off], [off.T, expert]])

    def observed() -> Array:
        return assemble(
            np.where(truth, share_known * (share_known + 2 * chance_known - 1), plain_known),
            np.where(truth, share_known * (chance_new + share_new), 0.0),
            np.where(truth, share_new * (share_new + 2 * chance_new - 1), plain_new),
        )

    return gradient, [observed, lambda: assemble(plain_known, None, plain_new)]


def _solve(curvatures: list[Callable[[], Array]], precision: Array, slope: Array) -> Array:
    """The Newton step by the first curvature that is positive definite with the priors' precision."""
    for curvature in curvatures[:-1]:
        try:
            return np.asarray(linalg.cho_solve(linalg.cho_factor(curvature() + np.diag(precision)), slope))
        except linalg.LinAlgError:
            continue
    return np.asarray(linalg.cho_solve(linalg.cho_factor(curvatures[-1]() + np.diag(precision)), slope))


def _line_search(
    loss: Callable[[Array], float], position: Array, step: Array, before: float, decrement: float
) -> tuple[float, float]:
    """A step size that lowers the loss enough (Armijo 1966), and the loss there."""
    size = 1.0
    while True:
        after = loss(position - size * step)
        if after <= before - 1e-4 * size * decrement or size < _MIN_SIZE:
            return size, after
        size /= 2
