"""Figures of a data set: separability against scikit-learn, bins against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ml.model.training_settings import Binning
from ml.report import data_statistics as statistics

BINS = Binning(amount_bins=10, amount_tail=(0.95, 0.99), hour_bins=8)


def test_separability_is_the_area_under_the_roc_curve() -> None:
    """Also with ties; the interval contains the value, and shrinks with the number of rows."""
    rng = np.random.default_rng(1)
    frauds = rng.random(4_000) < 0.05
    values = np.round(rng.normal(size=4_000) + frauds, 1)
    found = statistics.separability(values, frauds)
    assert found.value == pytest.approx(roc_auc_score(frauds, values), abs=1e-12)
    assert found.low < found.value < found.high
    few = statistics.separability(values[:800], frauds[:800])
    assert few.high - few.low > found.high - found.low
    assert statistics.separability(-values, frauds).strength == pytest.approx(found.strength)


def test_separability_has_a_direction() -> None:
    """Where frauds have the lower values, the strength and its interval are mirrored, and the direction says so."""
    rng = np.random.default_rng(5)
    frauds = rng.random(4_000) < 0.05
    values = rng.normal(size=4_000) + 2 * frauds
    higher, lower = statistics.separability(values, frauds), statistics.separability(-values, frauds)
    assert (higher.direction, lower.direction) == ("higher", "lower")
    assert lower.value < 0.5 < lower.strength == pytest.approx(higher.strength)
    assert lower.interval[0] < lower.strength < lower.interval[1]
    assert lower.interval == pytest.approx(higher.interval, abs=0.02)


def test_interval_holds_its_level() -> None:
    """Of 400 columns that separate nothing, about 95 % have 0.5 in their interval."""
    rng = np.random.default_rng(2)
    frauds = np.arange(1_000) < 60
    found = [statistics.separability(rng.normal(size=1_000), frauds) for _ in range(400)]
    assert 0.92 <= np.mean([each.low <= 0.5 <= each.high for each in found]) <= 0.98


def test_missing_values_are_counted_and_left_out() -> None:
    """Means and deviations are those of the finite values of each class."""
    values = np.array([1.0, 3.0, np.nan, 10.0, 14.0])
    found = statistics.column("V1", values, np.array([False, False, False, True, True]))
    assert (found.missing, found.means, found.deviations) == (1, (2.0, 12.0), (1.0, 2.0))
    assert found.separability.value == 1.0


def test_one_class_has_no_separability() -> None:
    """There is nothing to separate."""
    with pytest.raises(ValueError, match="both classes"):
        statistics.separability(np.arange(5.0), np.zeros(5, dtype=bool))


def test_bins_have_all_rows() -> None:
    """The bins of the amount have its edges, those of hours are 24, and rare values share one."""
    rng = np.random.default_rng(3)
    amounts, frauds = rng.lognormal(3, 1, 5_000), rng.random(5_000) < 0.1
    bins = statistics.amount_bins(amounts, frauds, BINS)
    assert len(bins) == 12
    assert sum(each.rows for each in bins) == 5_000
    assert sum(int(each.frauds.count or 0) for each in bins) == int(frauds.sum())
    edge = float(bins[1].name.removeprefix("from ").replace(",", ""))
    assert bins[0].rows == pytest.approx((amounts < edge).sum(), abs=1)
    hours = statistics.hour_bins(np.array([0.0, 23.0, 23.0]), np.array([True, False, True]))
    assert [(each.name, each.rows) for each in hours if each.rows] == [("00", 1), ("23", 2)]
    levels = statistics.level_bins(["b", "a", "b", "c"], np.array([True, False, False, True]), shown=1)
    assert [(each.name, each.rows, each.frauds.count) for each in levels] == [("b", 2, 1), ("2 other values", 2, 1)]


def test_bins_find_frauds_that_are_neither_high_nor_low() -> None:
    """A band in the middle of the amounts separates nothing as a number, and well as bins."""
    rng = np.random.default_rng(4)
    amounts = rng.lognormal(3, 1, 20_000)
    low, high = np.quantile(amounts, [0.5, 0.6])
    frauds = (amounts > low) & (amounts < high) & (rng.random(20_000) < 0.5)
    assert statistics.separability(amounts, frauds).strength < 0.6
    assert statistics.binned_separability(amounts, frauds, BINS).value > 0.9
    noise = rng.random(20_000) < 0.05
    chance = statistics.binned_separability(amounts, noise, BINS)
    assert chance.low <= 0.5 <= chance.high


def test_correlations_are_pearsons() -> None:
    """A constant column has none."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(500, 3))
    values[:, 1] += values[:, 0]
    found = statistics.correlations(np.column_stack([values, np.ones(500)]))
    assert found[:3, :3] == pytest.approx(np.corrcoef(values.T))
    assert found[3].tolist() == [0.0, 0.0, 0.0, 0.0]
