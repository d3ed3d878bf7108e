"""Sums over pairs equal those over the synthetic rows that SMOTE would build."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from ml.model.regression import synthetic_frauds
from ml.model.regression.design import Design
from ml.model.regression.synthetic_frauds import SyntheticFrauds
from ml.model.smote import OneParentSMOTE
from tests.model.regression.test_design import dense, sample


def explicit(made: SyntheticFrauds) -> NDArray[np.float64]:
    """The synthetic rows with every column."""
    first, which = np.divmod(made.pairs, made.neighbours.shape[1])
    second = made.neighbours[first, which]
    columns, count = dense(made.frauds), made.frauds.values.shape[1]
    rows = columns[first].copy()
    rows[:, :count] += made.steps[:, np.newaxis] * (columns[second, :count] - columns[first, :count])
    return rows


@given(st.lists(st.integers(1, 5), max_size=3).map(tuple), st.integers(1, 5), st.integers(0, 200), st.integers(0, 99))
def test_sums_are_those_of_explicit_rows(sizes: tuple[int, ...], neighbours: int, wanted: int, seed: int) -> None:
    """Products, sums and moments, for any number of rows per pair."""
    made = synthetic_frauds.draw(sample(sizes, 12, seed), wanted=wanted, neighbours=neighbours, seed=seed)
    rows, random = explicit(made), np.random.default_rng(seed)
    weights, counts = random.standard_normal(made.frauds.width), random.random(wanted)
    np.testing.assert_allclose(made.products(weights), rows @ weights, atol=1e-12)
    np.testing.assert_allclose(made.sums(made.per_pair(counts, 2)), counts @ rows, atol=1e-11)
    moments = made.moments(made.per_pair(counts, 3))
    np.testing.assert_allclose(moments, rows.T @ (counts[:, np.newaxis] * rows), atol=1e-11)
    cut = wanted // 2
    halves = [made.part(chosen).per_pair(counts[chosen], 3) for chosen in (slice(0, cut), slice(cut, None))]
    np.testing.assert_allclose(np.sum(halves, axis=0), made.per_pair(counts, 3), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_those_of_imbalanced_learn(seed: int) -> None:
    """With the same seed its SMOTE draws the same pairs and steps; so does the pipeline's sampler, with codes."""
    random = np.random.default_rng(seed)
    values, labels = random.standard_normal((400, 4)), np.repeat([1, 0], [60, 340])
    codes = random.integers(0, 3, 60, dtype=np.int32)
    design = Design(values=values[:60], codes=(codes,), sizes=(3,))
    made = synthetic_frauds.draw(design, wanted=170 - 60, neighbours=5, seed=seed)
    theirs, _ = SMOTE(sampling_strategy=0.5, k_neighbors=5, random_state=seed).fit_resample(values, labels)
    np.testing.assert_allclose(explicit(made)[:, :4], theirs[400:], atol=1e-12)
    sampler = OneParentSMOTE(ratio=0.5, neighbours=5, copied=1, random_state=seed)
    both, _ = sampler.fit_resample(np.column_stack([values, np.append(codes, np.zeros(340))]), labels)
    rows = explicit(made)
    np.testing.assert_allclose(rows[:, :4], both[400:, :4], atol=1e-12)
    assert np.array_equal(rows[:, 5:].argmax(axis=1), both[400:, 4])


@settings(max_examples=30)
@given(st.integers(2, 300), st.integers(1, 6), st.sampled_from([1.0, 1e6]), st.integers(0, 99))
def test_nearest_are_those_of_scikit_learn(rows: int, count: int, offset: float, seed: int) -> None:
    """The same neighbours in the same order, also far from the origin, where distances are rounded."""
    values = np.random.default_rng(seed).standard_normal((rows, 5)) + offset
    count = min(count, rows - 1)
    expected = NearestNeighbors(n_neighbors=count + 1, algorithm="kd_tree").fit(values).kneighbors(values)[1][:, 1:]
    found = synthetic_frauds.nearest(values, count)
    ours, theirs = (np.linalg.norm(values[:, np.newaxis] - values[places], axis=2) for places in (found, expected))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_nearest_are_found_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever number of distances is held at once."""
    values = np.random.default_rng(0).standard_normal((90, 4))
    whole = synthetic_frauds.nearest(values, 5)
    monkeypatch.setattr(synthetic_frauds, "_DISTANCES_AT_ONCE", 90 * 7)
    assert np.array_equal(synthetic_frauds.nearest(values, 5), whole)


def test_equal_frauds_are_neighbours_of_each_other() -> None:
    """A row is never its own neighbour; of equal ones the earlier is first."""
    values = np.array([[0.0], [5.0], [0.0], [0.0], [9.0]])
    assert synthetic_frauds.nearest(values, 2).tolist() == [[2, 3], [4, 0], [0, 3], [0, 2], [1, 0]]


def test_too_few_frauds_are_refused() -> None:
    """The message has both numbers and the setting."""
    with pytest.raises(ValueError, match=r"5 neighbours needs at least 6 frauds .*\(got 5\).*resampling\.neighbours"):
        synthetic_frauds.draw(sample((2,), 5), wanted=10, neighbours=5, seed=0)
