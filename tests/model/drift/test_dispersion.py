"""The variance-to-mean ratio of fraud counts: 1 for single frauds, the size of bursts otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.model.drift.dispersion import Dispersion

START = np.datetime64("2026-01-01", "s")
EDGES = [10.0, 100.0]


def drawn(seed: int, burst: int, days: int) -> tuple[NDArray[np.datetime64], NDArray[np.float64], NDArray[np.int8]]:
    """Times, amounts and labels; frauds in groups of `burst` within one hour and one amount band."""
    rng = np.random.default_rng(seed)
    rows = days * 500
    seconds, amounts = rng.integers(0, days * 86_400, rows), rng.lognormal(3, 1.5, rows)
    groups = days * 6 // burst
    at = np.repeat(rng.integers(0, days * 24, groups) * 3_600, burst)
    paid = np.repeat(rng.lognormal(3, 1.5, groups), burst)
    labels = np.repeat(np.array([0, 1], dtype=np.int8), [rows, len(at)])
    return START + np.append(seconds, at).astype("timedelta64[s]"), np.append(amounts, paid), labels


@pytest.mark.parametrize("days", [2, 13, 14, 90])
@pytest.mark.parametrize("burst", [1, 3, 6])
def test_ratio_is_the_size_of_the_bursts(burst: int, days: int) -> None:
    """By days, and by hours where the rows span less than two weeks."""
    ratios = [Dispersion.of(*drawn(seed, burst, days), EDGES).ratio for seed in range(20)]
    assert np.mean(ratios) == pytest.approx(burst, rel=0.25 if days < 14 else 0.15)


def test_bursts_that_last_for_days_show_by_weeks() -> None:
    """Six frauds on six days in a row: by days hardly any dispersion, by weeks most of it."""
    ratios = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        days = np.repeat(rng.integers(0, 350, 80), 6) + np.tile(np.arange(6), 80)
        times = START + np.append(np.arange(360 * 24) * 3_600, days * 86_400).astype("timedelta64[s]")
        labels = np.repeat(np.array([0, 1], dtype=np.int8), [360 * 24, len(days)])
        found = Dispersion.of(times, np.full(len(times), 5.0), labels, EDGES)
        assert found.variance / found.mean < 2.2
        ratios.append(found.ratio)
    assert np.mean(ratios) > 3


def test_busy_days_are_no_bursts() -> None:
    """A day with ten times the rows has ten times the frauds."""
    per_day = np.where(np.arange(60) % 2 == 0, 2_000, 200)
    times = START + np.repeat(np.arange(60), per_day).astype("timedelta64[D]")
    ratios = []
    for seed in range(20):
        labels = (np.random.default_rng(seed).random(len(times)) < 0.02).astype(np.int8)
        found = Dispersion.of(times, np.full(len(times), 5.0), labels, EDGES)
        assert found.mean == pytest.approx(labels.sum())
        ratios.append(found.ratio)
    assert np.mean(ratios) < 1.2  # the counts of a day are 40 or 4: their own ratio is 16


def test_parts_add_up() -> None:
    """The ratio of two halves is near that of the whole."""
    times, amounts, labels = drawn(1, 3, 90)
    late = times >= START + np.timedelta64(45, "D")
    parts = [Dispersion.of(times[part], amounts[part], labels[part], EDGES) for part in (late, ~late)]
    whole = Dispersion.of(times, amounts, labels, EDGES)
    assert (parts[0] + parts[1]).ratio == pytest.approx(whole.ratio, rel=0.1)
    assert (parts[0] + parts[1]).mean == pytest.approx(whole.mean)


@pytest.mark.parametrize("rows", [0, 1, 500])
def test_without_frauds_or_rows_the_ratio_is_one(rows: int) -> None:
    """There is nothing to estimate from."""
    times = START + np.arange(rows).astype("timedelta64[h]")
    assert Dispersion.of(times, np.ones(rows), np.zeros(rows), EDGES).ratio == 1.0
