"""Tests of the edges of quantile bins."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml.model.binning import quantile_edges, sorted_quantiles
from ml.model.features import amount_levels
from ml.model.training_settings import Binning


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=200),
    st.integers(0, 40),
    st.sampled_from([(), (0.98,), (0.98, 0.99, 0.999)]),
)
def test_quantile_edges_leave_no_empty_bin(values: list[float], bins: int, tail: tuple[float, ...]) -> None:
    """Edges ascend strictly, are fewer than the bins asked for, and leave no bin empty."""
    levels = amount_levels(Binning(amount_bins=bins, amount_tail=tail, hour_bins=0))
    edges = quantile_edges(values, levels)
    assert len(edges) <= len(levels) == max(bins - 1, 0) + len(tail)
    assert np.all(np.diff(edges) > 0)
    codes = np.searchsorted(edges, values, side="right")
    assert set(codes) == set(range(len(edges) + 1))


@given(
    st.lists(st.one_of(st.floats(-1e300, 1e300), st.sampled_from([0.1, 0.2, 0.3])), min_size=1, max_size=60),
    st.lists(st.floats(0, 1), max_size=9),
)
def test_quantiles_of_sorted_values_are_those_of_numpy(values: list[float], levels: list[float]) -> None:
    """To the last bit."""
    ascending = np.sort(values)
    levels += [0.0, 0.5, 1.0]
    with np.errstate(over="ignore", invalid="ignore"):
        found, expected = sorted_quantiles(ascending, levels), np.quantile(np.array(values), levels)
    assert np.array_equal(found, expected, equal_nan=True)
