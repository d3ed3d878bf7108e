"""The line from a model's log-odds to the fraud rate: found where the data has it, harmless where they have not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import expit

from ml.model import calibration_line
from ml.model.calibration_line import MIN_SLOPE, PRIOR_MEAN, PRIOR_PRECISION

pytestmark = pytest.mark.container


def test_line_of_simulated_labels_is_found() -> None:
    """With labels drawn from 0.8 * log-odds - 1.5, the estimate is within three standard errors."""
    random = np.random.default_rng(1)
    log_odds = random.normal(-2, 2, 40_000)
    labels = random.random(40_000) < expit(0.8 * log_odds - 1.5)
    line = calibration_line.fit(log_odds, labels)
    assert line.slope == pytest.approx(0.8, abs=0.05)
    assert line.intercept == pytest.approx(-1.5, abs=0.1)


@given(st.lists(st.tuples(st.floats(-1e300, 1e300), st.booleans()), max_size=30))
@settings(deadline=None)
def test_line_is_where_a_general_optimiser_ends(rows: list[tuple[float, bool]]) -> None:
    """On any finite rows the penalised loss is that of scipy's minimum, and the slope keeps the ranking."""
    log_odds, labels = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=float)
    line = calibration_line.fit(log_odds, labels)
    values = np.clip(log_odds, -50, 50)

    def loss(weights: NDArray[np.float64]) -> float:
        total = weights[0] * values + weights[1]
        penalty = 0.5 * np.sum(np.array(PRIOR_PRECISION) * (weights - np.array(PRIOR_MEAN)) ** 2)
        return float(np.sum(np.logaddexp(0, total) - labels * total) + penalty)

    best = optimize.minimize(loss, PRIOR_MEAN, bounds=[(MIN_SLOPE, None), (None, None)], method="L-BFGS-B")
    assert loss(np.array([line.slope, line.intercept])) <= best.fun + 1e-6
    assert line.slope >= MIN_SLOPE


def test_reversed_ranking_gets_the_smallest_slope() -> None:
    """A model that ranks the wrong way round keeps its order; the intercept is that of the fraud rate."""
    log_odds = np.linspace(-5, 5, 1000)
    line = calibration_line.fit(log_odds, log_odds < -4)
    assert line.slope == MIN_SLOPE
    assert expit(line.slope * log_odds + line.intercept).mean() == pytest.approx(0.1, abs=0.005)


def test_no_rows_give_the_prior() -> None:
    """Without evidence the line is that of the prior."""
    line = calibration_line.fit([], [])
    assert (line.slope, line.intercept) == PRIOR_MEAN
