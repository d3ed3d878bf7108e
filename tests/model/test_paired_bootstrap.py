"""Tests of the paired bootstrap against drawing rows."""

from __future__ import annotations

import numpy as np
import pytest

from ml.model.paired_bootstrap import PairedBootstrap

BOOTSTRAP = PairedBootstrap(resamples=2000, confidence=0.95, seed=3)


def alerts(seed: int, fraud: np.ndarray, found: float, wrong: float) -> np.ndarray:
    """Which rows a model alerts, at this recall and false-positive rate."""
    return np.asarray(np.random.default_rng(seed).random(len(fraud)) < np.where(fraud, found, wrong))


def test_precision_interval_matches_row_bootstrap() -> None:
    """Drawing the four kinds of rows gives the same interval as drawing rows within each class."""
    fraud = np.arange(2000) < 80
    new, old = alerts(1, fraud, 0.9, 0.02), alerts(2, fraud, 0.8, 0.03)
    made = BOOTSTRAP.precision(fraud, new, old)
    assert made is not None
    assert made.challenger == fraud[new].mean()
    assert made.difference == fraud[new].mean() - fraud[old].mean()
    random = np.random.default_rng(0)
    plain = []
    for _ in range(1000):
        rows = np.concatenate([random.integers(0, 80, 80), random.integers(80, 2000, 1920)])
        plain.append(fraud[rows][new[rows]].mean() - fraud[rows][old[rows]].mean())
    low, high = np.quantile(plain, [0.025, 0.975])
    assert made.low == pytest.approx(low, abs=0.15 * (high - low))
    assert made.high == pytest.approx(high, abs=0.15 * (high - low))


def test_precision_without_alerts_is_none() -> None:
    """A model that alerts nothing has no precision; one class alone has one."""
    fraud = np.arange(100) < 10
    nothing = np.zeros(100, bool)
    assert BOOTSTRAP.precision(fraud, fraud, nothing) is None
    assert BOOTSTRAP.precision(fraud, nothing, fraud) is None
    same = BOOTSTRAP.precision(nothing, fraud, fraud)
    assert same is not None and (same.low, same.high) == (0, 0)


def test_average_precision_of_one_class_is_none() -> None:
    """Without frauds, or without legitimate rows, there is nothing to rank."""
    scores = np.linspace(0, 1, 10)
    for fraud in (np.zeros(10, bool), np.ones(10, bool)):
        assert BOOTSTRAP.average_precision(fraud, scores, scores) is None
