"""The fit finds the minimum, in few steps, to the same bits on any number of cores."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships no types

from ml.model.regression import design, newton, synthetic_frauds
from ml.model.regression.design import Design
from ml.model.regression.newton import Rows
from tests.model.regression.test_design import dense
from tests.model.regression.test_synthetic_frauds import explicit

WEIGHTS = np.array([1.5, -0.8, 0.3, -2.5, 0.5, -0.5, 0.0, 0.2, -0.2])


def sample(rows: int = 3_000, wanted: int = 0, seed: int = 0) -> Rows:
    """Rows whose labels follow WEIGHTS, and synthetic frauds."""
    random = np.random.default_rng(seed)
    codes = (random.integers(0, 3, rows, dtype=np.int32), random.integers(0, 2, rows, dtype=np.int32))
    made = Design(values=random.standard_normal((rows, 3)), codes=codes, sizes=(3, 2))
    labels = (random.random(rows) < 1 / (1 + np.exp(-made.products(WEIGHTS)))).astype(np.float64)
    if not wanted:
        return Rows(design=made, labels=labels)
    frauds = made.rows(np.flatnonzero(labels))
    return Rows(
        design=made,
        labels=labels,
        synthetic=synthetic_frauds.draw(frauds, wanted=wanted, neighbours=5, seed=seed),
    )


def gradient(rows: Rows, weights: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """The gradient of the loss over explicit rows."""
    columns, labels = dense(rows.design.rows(slice(None))), rows.labels
    if rows.synthetic is not None:
        columns, labels = (
            np.vstack([columns, explicit(rows.synthetic)]),
            np.append(labels, np.ones(len(rows.synthetic))),
        )
    made: NDArray[np.float64] = (1 / (1 + np.exp(-columns @ weights)) - labels) @ columns
    free = np.ones_like(weights)
    free[3] = 0
    return made + penalty * free * weights


@pytest.mark.parametrize("wanted", [0, 2_000])
@pytest.mark.parametrize("penalty", [1e-3, 1.0, 100.0])
def test_gradient_is_zero_at_the_result(wanted: int, penalty: float) -> None:
    """The minimum of a convex loss."""
    rows = sample(wanted=wanted)
    found = newton.fit(rows, penalty=penalty, tolerance=1e-8, max_steps=50)
    assert np.abs(gradient(rows, found, penalty)).max() < 1e-7


def test_result_is_that_of_a_general_minimiser() -> None:
    """scipy's BFGS on the loss written down row by row."""
    rows, penalty = sample(400), 2.0
    columns = dense(rows.design.rows(slice(None)))

    def loss(weights: NDArray[np.float64]) -> float:
        log_odds = columns @ weights
        penalised = np.delete(weights, 3)
        return float((np.logaddexp(0, log_odds) - rows.labels * log_odds).sum() + penalty / 2 * penalised @ penalised)

    expected = minimize(loss, np.zeros(columns.shape[1]), method="BFGS", options={"gtol": 1e-6})
    found = newton.fit(rows, penalty=penalty, tolerance=1e-9, max_steps=50)
    np.testing.assert_allclose(found, expected.x, atol=1e-5)


@pytest.mark.parametrize("wanted", [0, 40_000])
def test_number_of_cores_changes_no_bit(monkeypatch: pytest.MonkeyPatch, wanted: int) -> None:
    """One, three or eight threads, with several slices of real and of synthetic rows."""
    rows, found = sample(60_000, wanted), []
    for cores in (1, 3, 8):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        with threadpool_limits(limits=1):
            found.append(newton.fit(rows, penalty=30.0, tolerance=1e-6, max_steps=50))
    assert len(rows.labels) > 3 * design.SLICE
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_sample_stands_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has every fraud, and its weights add up to the rows that there are."""
    monkeypatch.setattr(newton, "_SAMPLE_ROWS", 500)
    rows = sample(wanted=1_000)
    part = rows.sample()
    assert part.labels.sum() == rows.labels.sum()
    assert len(part.labels) < 0.4 * len(rows.labels) + rows.labels.sum()
    assert part.total == pytest.approx(rows.total)
    assert part.synthetic is not None and len(part.synthetic) < 200


def test_steps_that_are_too_few_are_an_error() -> None:
    """The steps of the fit to a sample count too."""
    with pytest.raises(newton.NotConverged):
        newton.fit(sample(), penalty=1.0, tolerance=1e-8, max_steps=3)
    with pytest.raises(newton.NotConverged):
        newton.fit(sample(60_000), penalty=1.0, tolerance=1e-8, max_steps=7)


def test_separable_rows_converge() -> None:
    """Without a penalty the weights would grow without bound; far from the minimum a full step may be too long."""
    values = np.concatenate([np.linspace(-3, -1, 50), np.linspace(1, 3, 50)])[:, np.newaxis]
    rows = Rows(design=Design(values=values, codes=(), sizes=()), labels=np.repeat([0.0, 1.0], 50))
    found = newton.fit(rows, penalty=1e-6, tolerance=1e-9, max_steps=200)
    assert found[0] > 5
    assert found[1] == pytest.approx(0.0, abs=1e-6)
