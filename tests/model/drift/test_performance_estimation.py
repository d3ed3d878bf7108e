"""Estimated recall: calibration, accuracy, and no estimate without expected frauds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from ml.model.drift import performance_estimation

ROWS = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=60)


def counted(
    calibrated: dict[str, list[float]], scores: np.ndarray, decisions: np.ndarray
) -> tuple[list[int], list[int]]:
    """Rows per band, passed and alerted."""
    bands = np.searchsorted(calibrated["edges"], scores, side="right")
    size = len(calibrated["rows"])
    passed, alerted = (np.bincount(bands[decisions == side], minlength=size).tolist() for side in (0, 1))
    return passed, alerted


@given(ROWS)
def test_calibration_equals_scikit_learn_isotonic_regression(rows: list[tuple[int, bool]]) -> None:
    """Frauds / rows of a score's band is its isotonic probability, ties included; no row is lost."""
    scores, labels = np.array([score / 9 for score, _ in rows]), np.array([fraud for _, fraud in rows], dtype=int)
    made = performance_estimation.calibration(scores, labels)
    assert (sum(made["rows"]), sum(made["frauds"])) == (len(rows), labels.sum())
    rates = np.array(made["frauds"]) / np.array(made["rows"])
    bands = np.searchsorted(made["edges"], scores, side="right")
    peer = IsotonicRegression().fit(scores, labels).predict(scores)
    assert rates[bands] == pytest.approx(peer, abs=1e-9)


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a badly calibrated model, and labels."""
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < 0.01).astype(int)
    return 1 / (1 + np.exp(-random.normal(-3 + 5 * labels, 1.5))), labels


def test_estimate_is_close_to_the_actual_recall() -> None:
    """The mean estimate of forty windows without drift is within 0.02 of the mean recall."""
    scores, labels = drawn(60_000, 1000)
    calibrated = performance_estimation.calibration(scores, labels)
    estimates, recalls = [], []
    for seed in range(40):
        scores, labels = drawn(20_000, seed)
        decisions = (scores > 0.5).astype(int)
        made = performance_estimation.expected(calibrated, *counted(calibrated, scores, decisions))
        assert made is not None
        assert made.recall[1] < made.recall[0] < made.recall[2]
        estimates.append(made.recall[0])
        recalls.append(decisions[labels == 1].mean())
    assert np.mean(estimates) == pytest.approx(np.mean(recalls), abs=0.02)


def test_fewer_alerts_lower_the_estimate() -> None:
    """The estimate shows a lower recall before labels arrive."""
    scores, labels = drawn(60_000, 1)
    calibrated = performance_estimation.calibration(scores, labels)
    usual = performance_estimation.expected(calibrated, *counted(calibrated, scores, (scores > 0.5).astype(int)))
    strict = performance_estimation.expected(calibrated, *counted(calibrated, scores, (scores > 0.9).astype(int)))
    assert usual is not None
    assert strict is not None
    assert strict.recall[2] < usual.recall[1]
    assert strict.precision[0] > usual.precision[0]
    assert strict.frauds[0] == pytest.approx(labels.sum())


def test_no_estimate_without_expected_frauds() -> None:
    """No rows, no frauds in the calibration, or rows only in bands without frauds."""
    assert performance_estimation.expected(performance_estimation.calibration([0.1, 0.2], [0, 0]), [5], [5]) is None
    assert performance_estimation.expected({"edges": [0.5], "rows": [10, 10], "frauds": [0, 5]}, [7, 0], [0, 0]) is None
    assert performance_estimation.calibration([], []) == {"edges": [], "rows": [0], "frauds": [0]}


def test_estimate_is_deterministic() -> None:
    """The bootstrap is seeded."""
    counts: dict[str, list[float]] = {"edges": [0.5], "rows": [100, 10], "frauds": [2, 5]}
    assert performance_estimation.expected(counts, [90, 1], [3, 9]) == performance_estimation.expected(
        counts, [90, 1], [3, 9]
    )
    no_alert = performance_estimation.expected(counts, [90, 1], [0, 0])
    assert no_alert is not None
    assert (no_alert.recall[0], no_alert.precision) == (0.0, (0.0, 0.0, 0.0))
