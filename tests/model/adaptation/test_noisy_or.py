"""The fit of a noisy-or ends where its penalised likelihood has no slope, and where expectation maximisation would."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import expit

from ml.model.adaptation import noisy_or
from ml.model.adaptation.expert_columns import Design, ExpertColumns
from ml.model.adaptation.noisy_or import Prior, Weights
from tests.harness.columns import ulb_columns
from tests.model.scoring_samples import rows

pytestmark = pytest.mark.container
COLUMNS = ulb_columns(("V1", "V2"))
Sample = tuple[NDArray[np.float64], Design, NDArray[np.bool_], Prior, Weights]


def sample(seed: int, count: int = 4000) -> Sample:
    """Rows with frauds that the champion's log-odds explain and others among the highest amounts; prior and start."""
    random = np.random.default_rng(seed)
    X = rows(count, seed)
    champion = 2.5 * X[:, 1] - 6.0
    truth = random.random(count) < expit(0.9 * champion + 0.3)
    truth |= (X[:, 3] > np.quantile(X[:, 3], 0.98)) & (random.random(count) < 0.5)
    expert = ExpertColumns.of(COLUMNS, X, tails=True)
    mean, precision = np.zeros(len(expert.precision)), expert.precision.copy()
    mean[expert.intercept], precision[expert.intercept] = -9.0, 0.1
    start = mean.copy()
    start[expert.intercept] = np.log(truth.mean())
    line = np.array([1.0, 0.0])
    prior = Prior(line_mean=line, line_precision=np.array([100.0, 1.0]), weight_mean=mean, weight_precision=precision)
    return champion, expert.design(COLUMNS, X), truth, prior, Weights(line=line, expert=start)


def loss(at: NDArray[np.float64], given: Sample) -> float:
    """The penalised negative log-likelihood, written down from the model's definition."""
    champion, design, truth, prior, _ = given
    dense = np.hstack([design.linear, design.indicators.toarray()])
    known, new = expit(at[0] * champion + at[1]), expit(dense @ at[2:])
    p = 1 - (1 - known) * (1 - new)
    mean = np.concatenate([prior.line_mean, prior.weight_mean])
    precision = np.concatenate([prior.line_precision, prior.weight_precision])
    likelihood = np.log(p[truth]).sum() + np.log(1 - p[~truth]).sum()
    return float(0.5 * np.sum(precision * (at - mean) ** 2) - likelihood)


@pytest.mark.parametrize("seed", range(3))
def test_fit_ends_in_a_minimum_of_the_loss(seed: int) -> None:
    """The slope is zero there, and no optimiser that starts from there finds a lower loss."""
    given = sample(seed)
    fitted = noisy_or.fit(*given)
    at = np.concatenate([fitted.line, fitted.expert])
    slope = optimize.approx_fprime(at, loss, 1e-6, given)
    assert np.abs(slope).max() < 2e-3
    lower = optimize.minimize(loss, at, args=(given,), method="L-BFGS-B")
    assert loss(at, given) <= lower.fun + 1e-6
    start = np.concatenate([given[-1].line, given[-1].expert])
    assert loss(at, given) < loss(start, given) - 10


def test_fit_is_a_fixed_point_of_expectation_maximisation() -> None:
    """Shared out by their chances, the frauds give each part the weights that it has already."""
    champion, design, truth, prior, _ = given = sample(7)
    fitted = noisy_or.fit(*given)
    dense = np.hstack([design.linear, design.indicators.toarray()])
    known, new = (expit(part) for part in fitted.log_odds(champion, design))
    either = fitted.probabilities(champion, design)
    lines = np.column_stack([champion, np.ones_like(champion)])
    for columns, chance, weights, mean, precision in (
        (lines, known, fitted.line, prior.line_mean, prior.line_precision),
        (dense, new, fitted.expert, prior.weight_mean, prior.weight_precision),
    ):
        share = np.where(truth, chance / either, 0.0)
        slope = columns.T @ (chance - share) + precision * (weights - mean)
        assert np.abs(slope).max() < 1e-3


def test_frauds_by_chance_do_not_change_the_champions_line() -> None:
    """With an intercept as the only column, frauds that the champion finds impossible are explained by chance."""
    random = np.random.default_rng(5)
    champion = random.normal(-6, 3, 40_000)
    truth = random.random(40_000) < expit(champion)
    truth[np.argsort(champion)[:50]] = True
    chance = ExpertColumns.chance()
    design = chance.design(COLUMNS, np.zeros((40_000, 4)))
    line = np.array([1.0, 0.0])
    prior = Prior(
        line_mean=line,
        line_precision=np.array([100.0, 1.0]),
        weight_mean=np.array([-9.0]),
        weight_precision=np.array([0.1]),
    )
    fitted = noisy_or.fit(champion, design, truth, prior, Weights(line=line, expert=np.array([-5.0])))
    assert fitted.line == pytest.approx([1.0, 0.0], abs=0.1)
    assert 30 < expit(fitted.expert[0]) * 40_000 < 150
    never = dataclasses.replace(prior, weight_mean=np.array([-60.0]), weight_precision=np.array([1e6]))
    without = noisy_or.fit(champion, design, truth, never, Weights(line=line, expert=np.array([-60.0])))
    assert without.line[0] < fitted.line[0] - 0.1


def test_likelihood_is_that_of_the_labels() -> None:
    """Compared with the sum of logarithms of the probabilities."""
    champion, design, truth, _, start = sample(3)
    p = start.probabilities(champion, design)
    expected = np.log(p[truth]).sum() + np.log1p(-p[~truth]).sum()
    assert noisy_or.log_likelihood(start, champion, design, truth) == pytest.approx(expected, rel=1e-10)


def test_extreme_champions_leave_the_fit_finite() -> None:
    """Log-odds at which every probability underflows give finite weights, and no warning."""
    champion, design, truth, prior, start = sample(4)
    champion = np.where(np.arange(len(champion)) % 50 == 0, np.where(truth, -5000.0, 5000.0), champion)
    fitted = noisy_or.fit(champion, design, truth, prior, start)
    assert np.isfinite(np.concatenate([fitted.line, fitted.expert])).all()
    assert np.isfinite(noisy_or.log_likelihood(fitted, champion, design, truth))
