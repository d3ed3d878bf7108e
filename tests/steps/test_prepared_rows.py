"""Rows of prepared files, by column and by block, are those of the whole file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.steps import prepared_files
from ml.steps.job_runner import StepFailed
from ml.steps.prepared_rows import PreparedRows
from tests.model.training_samples import rows_with_categories

pytestmark = pytest.mark.container
NAMES = ["Time", "V1", "V2", "V3", "Amount", "shop", "country"]


def stored(folder: Path, sizes: list[int]) -> tuple[PreparedRows, pd.DataFrame]:
    """Two files with row groups of `sizes`, joined; and all their rows."""
    parts, frames = [], []
    for number in (0, 1):
        X, _ = rows_with_categories(sum(sizes) + 1, seed=number)
        X = X[: sum(sizes)].assign(V9=np.where(np.arange(sum(sizes)) > 0, 1.0, np.nan))
        table = pa.Table.from_pandas(X, preserve_index=False)
        with prepared_files.writer(folder, f"part{number}", table.schema) as file:
            start = 0
            for size in sizes:
                file.write_table(table.slice(start, size))
                start += size
        parts.append(PreparedRows.of(folder / f"part{number}.parquet"))
        frames.append(X)
    return PreparedRows.joined(parts), pd.concat(frames, ignore_index=True)


def check(made: PreparedRows, expected: pd.DataFrame) -> None:
    """Compares columns, blocks and the frame."""
    assert len(made) == len(expected) == sum(made.block_rows)
    assert made.columns == [*NAMES, "V9"]
    for name in made.columns:
        assert made[name].name == name
        pd.testing.assert_series_equal(made[name], expected[name], check_dtype=len(expected) > 0)
    blocks = [made.block(number, ["shop", "V1"]) for number in range(len(made.block_rows))]
    assert [len(block) for block in blocks] == made.block_rows
    if len(expected):
        pd.testing.assert_frame_equal(pd.concat(blocks, ignore_index=True), expected[["shop", "V1"]])
        pd.testing.assert_frame_equal(made.frame(NAMES), expected[NAMES])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_selected_rows_are_those_of_the_frame(tmp_path: Path, sizes: list[int], seed: int) -> None:
    """All rows, a random half of them, of these a half, and none."""
    made, expected = stored(tmp_path, sizes)
    check(made, expected)
    random = np.random.default_rng(seed)
    for share in (0.5, 0.5, 0.0):
        kept = random.random(len(made)) < share
        made, expected = made.where(kept), expected[kept].reset_index(drop=True)
        check(made, expected)


def test_text_columns_are_known_without_their_values(tmp_path: Path) -> None:
    """By the schema."""
    made, _ = stored(tmp_path, [3])
    assert [name for name in made.columns if made.is_text(name)] == ["shop", "country"]


def test_missing_file_is_named(tmp_path: Path) -> None:
    """The step before has not run."""
    with pytest.raises(StepFailed, match=r"train\.parquet: no such file; the Prepare step must have run"):
        prepared_files.rows(tmp_path, "train")
