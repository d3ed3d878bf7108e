"""Tests of resampling: interpolated values, copied codes, and the ratio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE

from ml.model.smote import OneParentSMOTE


def sample(legitimate: int = 500, frauds: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of three values and two codes with shuffled labels."""
    random = np.random.default_rng(seed)
    n = legitimate + frauds
    y = random.permutation(np.r_[np.zeros(legitimate), np.ones(frauds)]).astype(np.int8)
    X = np.column_stack(
        [random.standard_normal((n, 3)) + y[:, None], random.integers(0, 10, n), random.integers(0, 8, n)]
    )
    return X, y


def smote(ratio: float = 0.5, neighbours: int = 5, copied: int = 2, seed: int = 3) -> OneParentSMOTE:
    """The sampler under test."""
    return OneParentSMOTE(ratio=ratio, neighbours=neighbours, copied=copied, random_state=seed)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0.1, 1.0))
def test_synthetic_rows_copy_codes_from_one_parent(seed: int, neighbours: int, ratio: float) -> None:
    """A synthetic row's codes are those of one fraud; its values are between that fraud's and another's."""
    X, y = sample(legitimate=300)
    sampler = smote(ratio, neighbours, seed=seed)
    made, labels = sampler.fit_resample(X, y)
    synthetic, parents = made[len(X) :], X[sampler.parents_]
    assert np.all(labels[len(X) :] == 1)
    assert np.all(y[sampler.parents_] == 1)
    assert np.array_equal(synthetic[:, 3:], parents[:, 3:])
    frauds = X[y == 1][:, :3]
    for row, parent in zip(synthetic[:50, :3], parents[:50, :3], strict=True):
        low, high = np.minimum(frauds, parent), np.maximum(frauds, parent)
        assert np.any(np.all((low - 1e-12 <= row) & (row <= high + 1e-12), axis=1))


def test_rows_without_codes_match_imbalanced_learn() -> None:
    """Without codes the rows equal those of imbalanced-learn's SMOTE with the same seed."""
    X, y = sample()
    ours, our_labels = smote(0.5, copied=0).fit_resample(X[:, :3], y)
    theirs, their_labels = SMOTE(sampling_strategy=0.5, k_neighbors=5, random_state=3).fit_resample(X[:, :3], y)
    assert np.array_equal(our_labels, their_labels)
    assert np.allclose(ours, theirs, rtol=0, atol=1e-12)


def test_neighbours_ignore_codes() -> None:
    """Neighbours are found by the values only: other codes, same interpolation."""
    X, y = sample()
    other = X.copy()
    other[:, 3:] *= 1000
    assert np.array_equal(smote().fit_resample(X, y)[0][:, :3], smote().fit_resample(other, y)[0][:, :3])


@pytest.mark.parametrize(("ratio", "frauds"), [(0.5, 250), (0.1, 50), (0.04, 20), (0.01, 20)])
def test_frauds_reach_the_ratio_and_never_shrink(ratio: float, frauds: int) -> None:
    """Afterwards there are `ratio` frauds per legitimate row; if there were as many before, none is added."""
    X, y = sample()
    made, labels = smote(ratio).fit_resample(X, y)
    assert labels.sum() == frauds
    assert np.array_equal(made[: len(X)], X)
    assert np.count_nonzero(labels == 0) == 500


def test_too_few_frauds_are_rejected() -> None:
    """With five neighbours, five frauds are too few; the message has the count and the setting."""
    X, y = sample(frauds=5)
    with pytest.raises(ValueError, match=r"at least 6 frauds .*got 5.*resampling\.neighbours"):
        smote().fit_resample(X, y)
