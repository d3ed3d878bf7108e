"""A fit that reads its rows from files gives the bits of one in memory, and needs memory for some blocks only."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.model import estimator
from ml.model.estimators import scikit_learn_pipeline
from ml.model.regression import stored_design
from ml.model.regression.columns import RegressionColumns
from ml.model.regression.stored_design import StoredDesign
from ml.steps import prepared_files
from ml.steps.prepared_rows import PreparedRows
from tests.harness.columns import ulb_columns
from tests.model.training_samples import WITH_CATEGORIES, changed, rows_with_categories

pytestmark = pytest.mark.container
TRAINING = changed(columns=WITH_CATEGORIES)


def stored(folder: Path, X: pd.DataFrame, group: int) -> PreparedRows:
    """The rows in a file, in row groups."""
    table = pa.Table.from_pandas(X, preserve_index=False)
    with prepared_files.writer(folder, "train", table.schema) as file:
        file.write_table(table, row_group_size=group)
    return prepared_files.rows(folder, "train")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    group=st.integers(1, 700),
    cuts=st.tuples(st.integers(0, 600), st.integers(0, 600)),
    chosen=st.lists(st.integers(0, 599), max_size=50),
)
def test_slices_and_choices_are_those_of_the_whole(
    tmp_path: Path, group: int, cuts: tuple[int, int], chosen: list[int]
) -> None:
    """Whatever the row groups are."""
    X, _ = rows_with_categories(600)
    kept = stored(tmp_path, X, group)
    columns = RegressionColumns.of(changed(TRAINING, categories={"min_rows": 5}), kept)
    whole, made = columns.design(X), StoredDesign(columns, kept)
    assert (made.width, made.intercept) == (whole.width, whole.intercept)
    for part in (slice(*sorted(cuts)), np.array(chosen, dtype=np.intp)):
        expected, found = whole.rows(part), made.rows(part)
        assert np.array_equal(expected.values, found.values)
        assert all(map(np.array_equal, expected.codes, found.codes))
    held = columns.design(kept)
    assert np.array_equal(held.values, whole.values) and all(map(np.array_equal, held.codes, whole.codes))


def numbers(X: pd.DataFrame | PreparedRows, y: NDArray[np.int8], memory_bytes: int | None = None) -> str:
    """The fitted part's numbers."""
    with pytest.MonkeyPatch.context() as patch:
        if memory_bytes is not None:
            patch.setattr(stored_design, "MEMORY_BYTES", memory_bytes)
        return json.dumps(estimator.export(estimator.fit(TRAINING, X, y), TRAINING, 0.5))


@pytest.mark.parametrize("group", [977, 16_384, 70_000])
def test_rows_in_files_give_the_bits_of_a_frame(tmp_path: Path, group: int) -> None:
    """Held in memory after reading, and read anew for every step; more rows than a sample has."""
    X, y = rows_with_categories(60_000)
    kept = stored(tmp_path, X, group)
    expected = numbers(X, y)
    assert numbers(kept, y) == numbers(kept, y, 0) == expected


def test_coefficients_of_rows_in_files_are_those_of_scikit_learn(tmp_path: Path) -> None:
    """Its regression on the rows that imbalanced-learn resamples, tightly converged."""
    tight = changed(TRAINING, regression={"tolerance": 1e-9, "max_iterations": 5_000})
    X, y = rows_with_categories(6_000)
    kept = stored(tmp_path, X, 1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_design, "MEMORY_BYTES", 0)
        found = estimator.fit(tight, kept, y).part()
    expected = scikit_learn_pipeline.fit(tight, X, y).part()
    assert found.intercept == pytest.approx(expected.intercept, abs=1e-5)
    for ours, theirs in zip(found.features, expected.features, strict=True):
        assert ours.coefficient == pytest.approx(theirs.coefficient, abs=1e-5)
    for bins, others in zip(found.bins, expected.bins, strict=True):
        assert bins.coefficients == pytest.approx(others.coefficients, abs=1e-5)


def test_memory_does_not_grow_with_the_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only with labels, synthetic rows and a column for each core, of 41: less than half, at equal frauds."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(stored_design, "MEMORY_BYTES", 0)
    columns = ulb_columns(tuple(f"V{number}" for number in range(1, 41)))
    training, peaks, sizes = changed(columns=columns), [], (30_000, 150_000)
    for rows in sizes:
        random = np.random.default_rng(0)
        X = pd.DataFrame({name: random.random(rows) for name in columns.inputs})
        y = np.zeros(rows, dtype=np.int8)
        y[random.choice(rows, 600, p=X["V1"] / X["V1"].sum(), replace=False)] = 1
        kept = stored(tmp_path, X, 8_192)
        del X
        tracemalloc.start()
        try:
            estimator.fit(training, kept, y)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    row_bytes = RegressionColumns.of(training, kept).row_bytes
    assert peaks[1] - peaks[0] < 0.5 * row_bytes * (sizes[1] - sizes[0])
