"""Tests of the edges of quantile bins."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml.model.binning import quantile_edges
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
