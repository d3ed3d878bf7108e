"""A profile's figures follow from its rows, and no row follows from the figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from ml.errors import DataError
from ml.simulate import profile_statistics as statistics
from ml.simulate.profile import QUANTILE_LEVELS
from ml.simulate.profile_statistics import Rows

FLOOR = 10


def rows(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Rows:
    """One class with these values, at all hours in turn."""
    return Rows(values=values, categories={}, hours=np.arange(len(values)) % 24)


def test_quantiles_are_those_of_the_rows() -> None:
    """With many rows the levels are hit to a hundredth of a standard deviation, but for the ends."""
    values = np.random.default_rng(1).normal(size=200_000)
    found = np.array(statistics.quantiles(values, FLOOR))
    expected = np.quantile(values, QUANTILE_LEVELS)
    assert np.abs(found - expected)[1:-1].max() < 0.01
    assert found[-1] < values.max() and found[0] > values.min()


@given(
    st.lists(st.integers(-1_000, 1_000), min_size=50, max_size=400),
    st.integers(0, 399),
)
def test_moving_one_row_moves_each_quantile_by_a_tenth_of_that_at_most(values: list[int], place: int) -> None:
    """Each figure has at least ten rows behind it: one row, however far out, has a tenth of the weight or less."""
    before = np.array(values, dtype=np.float64)
    after = before.copy()
    place %= len(values)
    far = max(values) + 10_000.0
    after[place] = far
    moved = np.abs(np.array(statistics.quantiles(after, FLOOR)) - np.array(statistics.quantiles(before, FLOOR)))
    spread = max(values) - min(values)
    assert moved.max() <= (far - min(values)) / FLOOR + spread + 1e-3 * far
    assert far not in statistics.quantiles(after, FLOOR)


def test_no_value_of_a_row_is_published() -> None:
    """None of the values of 500 rows, which have many digits, is among the figures."""
    random = np.random.default_rng(2)
    values = np.round(random.normal(size=(500, 3)) * 1e6, 6)
    text = json.dumps(statistics.group(1, rows(values), ("a", "b", "c"), FLOOR))
    assert not [value for value in values.ravel().tolist() if str(value) in text]


def test_rare_values_of_text_are_counted_together_or_left_out() -> None:
    """Below the floor a value has no name of its own; too few of these are left out."""
    many = ["shop"] * 80 + ["travel"] * 15 + ["only once", "only twice", "only twice"]
    assert statistics.shares(many, FLOOR) == {"shop": round(80 / 95, 6), "travel": round(15 / 95, 6)}
    assert statistics.shares([*many, *(f"rare {i}" for i in range(9))], FLOOR)["other"] == round(12 / 107, 6)
    assert statistics.shares(["a", "b", "c"], FLOOR) == {"other": 1.0}
    assert statistics.shares(["other"] * 30 + ["a"] * 10, FLOOR) == {"a": 0.25, "other": 0.75}


@given(st.lists(st.integers(0, 23), min_size=50, max_size=500))
def test_hours_below_the_floor_share_their_mean(hours: list[int]) -> None:
    """No hour is published with a count of its own below the floor, and the total stays."""
    counts = np.bincount(hours, minlength=24)
    found = np.array(statistics.hourly_counts(np.array(hours), FLOOR))
    assert abs(found.sum() - len(hours)) <= 24 * 0.05
    small = counts < FLOOR
    if small.any():
        assert len(set(found[small].tolist())) == 1
        pooled = found == found[small][0]
        assert counts[pooled].sum() >= FLOOR
    assert (np.abs(found - counts)[~small] < 0.06).sum() >= (~small).sum() - 24 * bool(small.any())


def test_correlations_are_spearmans_and_a_constant_column_has_none() -> None:
    """As SciPy's on the same rows; a column of one value correlates with nothing."""
    random = np.random.default_rng(3)
    base = random.normal(size=(300, 2))
    values = np.column_stack([base[:, 0], base[:, 0] ** 3 + base[:, 1], np.full(300, 7.0)])
    found = statistics.rank_correlation(values, FLOOR)
    assert found[0][1] == pytest.approx(spearmanr(values[:, 0], values[:, 1]).statistic, abs=6e-4)
    assert found[2] == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("outlier", [123_456.78, -123_456.78])
def test_an_outlier_does_not_show_in_the_mean_of_its_block(outlier: float) -> None:
    """Nine equal values are known, so the mean would give the tenth: it must leave the outlier open by its distance."""
    values = np.zeros(1_000)
    values[137] = outlier
    found = statistics.quantiles(values, FLOOR)
    assert set(found) == {0.0}
    values[:6] = outlier * 2
    extreme = max(statistics.quantiles(values, FLOOR), key=abs)
    assert extreme == pytest.approx(0.6 * 2 * outlier + 0.1 * outlier, abs=2 * 2 * abs(outlier) / FLOOR)
    assert extreme % 2**14 == 0  # of the step that follows from the block's range, not of the values


def test_a_rare_value_does_not_tell_the_other_values_of_its_row() -> None:
    """Correlations with a column in which nine rows differ would be these rows' ranks; with ten rows there are some."""
    other = np.random.default_rng(4).normal(size=1_000)
    rare = np.zeros(1_000)
    rare[np.argsort(other)[:9]] = 1.0
    assert statistics.rank_correlation(np.column_stack([rare, other]), FLOOR) == [[1.0, 0.0], [0.0, 1.0]]
    rare[np.argsort(other)[9]] = 1.0
    assert statistics.rank_correlation(np.column_stack([rare, other]), FLOOR)[0][1] < -0.1


@pytest.mark.parametrize(("values", "digits"), [([1, 2, 5], 0), ([0.5, 1], 1), ([1.25], 2), ([0.123456789], 6)])
def test_decimals_of_a_column(values: list[float], digits: int) -> None:
    """The fewest digits with which every value is exact, at most six."""
    assert statistics.decimals(np.array(values, dtype=np.float64)) == digits


def test_a_small_class_is_refused() -> None:
    """Fewer rows than five blocks of ten give no profile, and the message says what to do."""
    with pytest.raises(DataError, match=r"class 1 has 49 transactions with a label; a profile needs at least 50"):
        statistics.group(1, rows(np.ones((49, 1))), ("a",), FLOOR)


def test_a_value_that_is_no_number_is_refused() -> None:
    """Infinite values would make every figure infinite."""
    values = np.ones((60, 2))
    values[3, 1] = np.inf
    with pytest.raises(DataError, match="column b has values that are not finite"):
        statistics.group(0, rows(values), ("a", "b"), FLOOR)
