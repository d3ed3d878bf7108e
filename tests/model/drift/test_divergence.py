"""Divergence statistics against SciPy or their definition, and their p-values without drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import spatial, stats

from ml.model.drift.divergence import Counts, mean_shift

BINS = st.lists(st.integers(0, 500), min_size=3, max_size=3)
STATISTICS = ("population_stability_index", "jensen_shannon", "chi_square", "kolmogorov_smirnov")


@given(BINS, BINS)
def test_statistics_equal_scipy(a: list[int], b: list[int]) -> None:
    """Jensen-Shannon and chi-square by SciPy, the others by formula; 0 with p-value 1 if a side is empty."""
    counts = Counts([a], [b])
    if not sum(a) or not sum(b):
        for name in STATISTICS:
            made = getattr(counts, name)()
            assert (made.value[0], made.p_value[0]) == (0, 1)
        return
    p, q = np.array(a) / sum(a), np.array(b) / sum(b)
    assert counts.jensen_shannon().value[0] == pytest.approx(spatial.distance.jensenshannon(p, q, base=2), abs=1e-7)
    assert counts.kolmogorov_smirnov().value[0] == pytest.approx(np.abs(np.cumsum(p) - np.cumsum(q)).max())
    used = (np.array(a) + np.array(b)) > 0
    if used.sum() > 1:
        table = np.array([a, b])[:, used]
        test = stats.chi2_contingency(table, correction=False)
        assert counts.chi_square().p_value[0] == pytest.approx(test.pvalue, rel=1e-6, abs=1e-12)
        rows, window = table + 0.5
        expected = rows / rows.sum() * window.sum()
        goodness = stats.chisquare(window, expected).statistic  # Cohen's w is its root per row
        assert counts.chi_square().value[0] == pytest.approx(np.sqrt(goodness / window.sum()), abs=1e-7)


def test_population_stability_index_equals_its_formula() -> None:
    """Of two well-filled bins, one from half to six tenths of the rows: 0.1 ln 1.2 + 0.1 ln 1.25."""
    made = Counts([[500_000, 500_000]], [[600_000, 400_000]]).population_stability_index()
    assert made.value[0] == pytest.approx(0.1 * np.log(1.2) + 0.1 * np.log(1.25), rel=1e-4)


def test_binned_kolmogorov_smirnov_is_close_to_the_exact_one() -> None:
    """Never above it, and within a bin of it; the p-value is SciPy's asymptotic one of the same distance."""
    random = np.random.default_rng(0)
    a, b = random.normal(0, 1, 20_000), random.normal(0.2, 1, 8_000)
    edges = np.quantile(a, np.arange(1, 40) / 40)
    counts = [[np.bincount(np.searchsorted(edges, x, side="right"), minlength=40)] for x in (a, b)]
    made = Counts(*counts).kolmogorov_smirnov()
    exact = stats.ks_2samp(a, b, method="asymp")
    assert exact.statistic - 0.025 < made.value[0] <= exact.statistic
    root = np.sqrt(20_000 * 8_000 / 28_000)
    assert made.p_value[0] == pytest.approx(stats.kstwobign.sf(root * made.value[0]))


def test_p_values_without_drift_are_not_too_small() -> None:
    """Of 2,000 windows like the reference, about 5 % have a p-value below 0.05, whatever the statistic."""
    random = np.random.default_rng(3)
    p = np.full(40, 1 / 40)
    counts = Counts(random.multinomial(140_000, p, size=2000), random.multinomial(20_000, p, size=2000))
    for name in STATISTICS:
        share = (getattr(counts, name)().p_value < 0.05).mean()
        low = 0.02 if name == "kolmogorov_smirnov" else 0.035  # distances at edges only: cautious
        assert low < share < 0.065, name


@pytest.mark.parametrize(("reference", "window"), [(200, 24_000), (400, 2_000), (1_000, 1_000)])
def test_p_values_of_small_references_hold_their_level(reference: int, window: int) -> None:
    """Five to twenty-five reference rows in a bin: no p-value falls below 0.001 twice as often as it should."""
    random = np.random.default_rng(11)
    p, draws = np.full(40, 1 / 40), 20_000
    counts = Counts(random.multinomial(reference, p, size=draws), random.multinomial(window, p, size=draws))
    for name in STATISTICS:
        found = np.count_nonzero(getattr(counts, name)().p_value < 0.001)
        assert found <= stats.poisson.ppf(0.999, 1.3 * 0.001 * draws), name


def test_jensen_shannon_keeps_its_power_on_a_small_reference() -> None:
    """A twentieth of the rows moves from one bin to another: found in nearly all of 500 windows of 24,000 rows."""
    random = np.random.default_rng(12)
    before = np.full(10, 0.1)
    after = before + 0.05 * (np.arange(10) == 0) - 0.05 * (np.arange(10) == 9)
    counts = Counts(random.multinomial(2_000, before, size=500), random.multinomial(24_000, after, size=500))
    assert (counts.jensen_shannon().p_value < 1e-6).mean() > 0.95


def test_empty_bins_change_nothing() -> None:
    """Padding with empty bins changes neither statistics nor p-values."""
    plain, padded = Counts([[5, 7]], [[9, 2]]), Counts([[5, 7, 0, 0]], [[9, 2, 0, 0]])
    for name in STATISTICS:
        a, b = getattr(plain, name)(), getattr(padded, name)()
        assert a.value[0] == pytest.approx(b.value[0])
        assert a.p_value[0] == pytest.approx(b.p_value[0])


def test_counts_on_different_bins_are_rejected() -> None:
    """Different numbers of bins raise ValueError."""
    with pytest.raises(ValueError, match="same bins"):
        Counts([[1, 2]], [[1, 2, 3]])


def test_mean_shift_is_in_reference_standard_deviations() -> None:
    """Signed, with Welch's p-value; a column that is constant in the reference is in units of 1."""
    made = mean_shift(
        ([1000, 1000, 50], [10.0, 3.0, 7.0], [2.0, 0.0, 1.0]), ([400, 10, 0], [9.0, 3.5, 0.0], [2.0, 0.0, 0.0])
    )
    assert made.value.tolist() == [-0.5, 0.5, 0.0]
    error = np.sqrt(4 / 1000 + 4 / 400)
    assert made.p_value[0] == pytest.approx(2 * stats.norm.sf(1 / error))
    assert made.p_value[1:].tolist() == [0.0, 1.0]


MOMENTS = st.tuples(st.integers(0, 5), st.floats(-1e300, 1e300), st.floats(0, 1e300))


@given(MOMENTS, MOMENTS)
def test_mean_shift_is_finite_for_all_moments(
    reference: tuple[int, float, float], window: tuple[int, float, float]
) -> None:
    """Empty, constant and single rows, deviations near the limits of float64: JSON has no infinity."""
    made = mean_shift(reference, window)
    assert np.isfinite(made.value)
    assert 0 <= made.p_value <= 1


@given(st.lists(st.tuples(*[st.just(0) | st.integers(0, 3) | st.integers(0, 10**9)] * 2), min_size=1, max_size=6))
def test_statistics_are_in_range_for_all_counts(pairs: list[tuple[int, int]]) -> None:
    """Zero to a billion rows, in one bin or several: finite, at least 0, with p-values between 0 and 1."""
    counts = Counts(*([list(side)] for side in zip(*pairs, strict=True)))
    for name in STATISTICS:
        made = getattr(counts, name)()
        assert 0 <= made.value[0] < np.inf, name
        assert 0 <= made.p_value[0] <= 1, name
