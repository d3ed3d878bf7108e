"""Tests of the transformation of transactions into regression inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.model import features
from ml.model.training_settings import Binning, Columns
from tests.model.training_samples import COLUMNS, TRAINING, rows


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.integers(1, 40))
def test_interior_quantiles_leave_no_empty_bin(values: list[float], bins: int) -> None:
    """Edges ascend strictly, are fewer than the bins asked for, and leave no bin empty."""
    edges = features.interior_quantiles(values, bins)
    assert len(edges) <= bins - 1
    assert np.all(np.diff(edges) > 0)
    codes = np.searchsorted(edges, values, side="right")
    assert set(codes) >= {0, len(edges)}


def test_amount_bins_have_equal_frequency() -> None:
    """Ten bins over a thousand distinct amounts have a hundred each."""
    amounts = np.random.default_rng(0).permutation(np.arange(1000.0))[:, None]
    codes = features.AmountBins(10).fit(amounts).transform(amounts)
    assert np.bincount(codes[:, 0].astype(int)).tolist() == [100] * 10


def test_amount_bins_merge_equal_edges() -> None:
    """If most amounts are 1.00, equal edges become one edge."""
    amounts = np.concatenate([np.ones(900), np.arange(2.0, 102.0)])[:, None]
    binner = features.AmountBins(10).fit(amounts)
    assert len(binner.edges_) < 9
    assert np.all(np.bincount(binner.transform(amounts)[:, 0].astype(int)) > 0)


@given(st.integers(0, 10**7), st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]))
def test_hour_bins_repeat_every_day(seconds: int, bins: int) -> None:
    """A time has the code floor(hour / (24 / bins)), the same on every day."""
    code = features.HourBins(bins).fit([[0.0]]).transform([[float(seconds)]])[0, 0]
    assert code == (seconds // 3600 % 24) // (24 // bins)


def test_build_scales_values_and_puts_codes_last() -> None:
    """Features and log-amount have mean 0 and deviation 1 on the fitted rows; the last two columns are codes."""
    X, _ = rows()
    made = features.build(COLUMNS, TRAINING.binning).fit_transform(X)
    assert made.shape == (len(X), 3 + 1 + 2)
    assert np.allclose(made[:, :4].mean(axis=0), 0, atol=1e-12)
    assert np.allclose(made[:, :4].std(axis=0), 1)
    assert set(np.unique(made[:, 4])) == {0, 1, 2, 3, 4}
    assert set(np.unique(made[:, 5])) == {0, 1, 2, 3}


def test_build_rejects_hour_bins_without_time_column() -> None:
    """The message names both keys."""
    columns = Columns(label="Class", time=None, amount="Amount", features=("V1",))
    with pytest.raises(ValueError, match=r"data\.time.*binning\.hour_bins"):
        features.build(columns, Binning(amount_bins=2, hour_bins=4))
