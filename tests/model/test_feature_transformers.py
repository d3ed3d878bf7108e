"""The transformers of the scikit-learn pipeline: bins, scaled values, codes in the last columns."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml.model import feature_transformers, features
from ml.model.training_settings import Binning
from tests.model.training_samples import COLUMNS, TRAINING, rows

TAIL = (0.95, 0.975, 0.99, 0.995, 0.999)


def test_amount_bins_of_the_tail_have_their_shares() -> None:
    """Of 10,000 distinct amounts, ten are in the bin above the 99.9 % quantile and forty in the one below it."""
    levels = features.amount_levels(Binning(amount_bins=10, amount_tail=TAIL, hour_bins=0))
    amounts = np.random.default_rng(0).permutation(np.arange(10_000.0))[:, None]
    codes = feature_transformers.AmountBins(levels).fit(amounts).transform(amounts)[:, 0].astype(int)
    assert np.bincount(codes).tolist() == [1000] * 9 + [500, 250, 150, 50, 40, 10]


def test_amount_bins_have_equal_frequency() -> None:
    """Ten bins over a thousand distinct amounts have a hundred each."""
    amounts = np.random.default_rng(0).permutation(np.arange(1000.0))[:, None]
    codes = feature_transformers.AmountBins(np.arange(1, 10) / 10).fit(amounts).transform(amounts)
    assert np.bincount(codes[:, 0].astype(int)).tolist() == [100] * 10


def test_amount_bins_merge_equal_edges() -> None:
    """If most amounts are 1.00, equal edges become one edge."""
    amounts = np.concatenate([np.ones(900), np.arange(2.0, 102.0)])[:, None]
    binner = feature_transformers.AmountBins(np.arange(1, 10) / 10).fit(amounts)
    assert len(binner.edges_) < 9
    assert np.all(np.bincount(binner.transform(amounts)[:, 0].astype(int)) > 0)


@given(st.integers(0, 10**7), st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]))
def test_hour_bins_repeat_every_day(seconds: int, bins: int) -> None:
    """A time has the code floor(hour / (24 / bins)), the same on every day."""
    code = feature_transformers.HourBins(bins).fit([[0.0]]).transform([[float(seconds)]])[0, 0]
    assert code == (seconds // 3600 % 24) // (24 // bins)


def test_build_scales_values_and_puts_codes_last() -> None:
    """Features and log-amount have mean 0 and deviation 1 on the fitted rows; the last two columns are codes."""
    X, _ = rows()
    made = feature_transformers.build(COLUMNS, TRAINING.binning, 20).fit_transform(X)
    assert made.shape == (len(X), 3 + 1 + 2)
    assert np.allclose(made[:, :4].mean(axis=0), 0, atol=1e-12)
    assert np.allclose(made[:, :4].std(axis=0), 1)
    assert set(np.unique(made[:, 4])) == {0, 1, 2, 3, 4}
    assert set(np.unique(made[:, 5])) == {0, 1, 2, 3}


def test_build_leaves_out_what_lacks_its_column() -> None:
    """Without a time there are no hour bins; without an amount, neither its logarithm nor its bins."""
    X, _ = rows()
    for columns, blocks in (
        (dataclasses.replace(COLUMNS, time=None), ["features", "amount", "amount_bin"]),
        (dataclasses.replace(COLUMNS, amount=None), ["features", "hour_bin"]),
        (dataclasses.replace(COLUMNS, time=None, amount=None), ["features"]),
    ):
        built = feature_transformers.build(columns, TRAINING.binning, 20)
        assert [name for name, *_ in built.transformers] == blocks
        assert feature_transformers.code_count(columns, TRAINING.binning) == sum(
            name.endswith("_bin") for name in blocks
        )
        assert built.fit_transform(X[list(columns.inputs)]).shape[1] == 3 + len(blocks) - 1


def test_hour_bins_read_milliseconds() -> None:
    """The same times in milliseconds have the same codes."""
    X, _ = rows()
    seconds = feature_transformers.HourBins(4).fit(X[["Time"]]).transform(X[["Time"]])
    milliseconds = feature_transformers.HourBins(4, per_second=1000).fit(X[["Time"]]).transform(X[["Time"]] * 1000)
    assert seconds.tolist() == milliseconds.tolist()
