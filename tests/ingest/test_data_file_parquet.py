"""Parquet: the rows of the same CSV, and every fault with its row."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.errors import DataError
from ml.ingest import data_file
from ml.ingest.content import Content
from tests.ingest.data_files import COLUMNS, GOOD, HEADER, INPUTS, found, read


def parquet(tmp_path: Path, **columns: object) -> Content:
    """Reads a Parquet file of two valid rows; `columns` replace theirs."""
    good: dict[str, object] = {
        "Time": [0.0, 60.0],
        "V1": [1.5, -0.001],
        "V2": [-2.0, 0.5],
        "Amount": [3.25, 0.0],
        "Class": [0, 1],
    }
    pq.write_table(pa.table(good | columns), tmp_path / "a.parquet")
    return data_file.read(str(tmp_path / "a.parquet"), COLUMNS)


def test_parquet_gives_the_same_rows_as_csv(tmp_path: Path) -> None:
    """Integers, decimals, text and booleans give the same rows."""
    csv = read(tmp_path, f"{HEADER}\n{GOOD}")
    for variant in (
        {},
        {"Class": pa.array([False, True])},
        {"Class": ["0", "1"], "V1": ["1.5", " -1e-3 "]},
        {"Amount": pa.array(["3.25", "0"]).dictionary_encode()},
        {"Amount": pa.array([3.25, 0]).cast(pa.decimal128(6, 2)), "Time": pa.array([0, 60], pa.uint16())},
    ):
        pd.testing.assert_frame_equal(parquet(tmp_path, **variant).frame, csv.frame)


@pytest.mark.parametrize(
    ("columns", "kind", "column", "cell"),
    [
        ({"V1": [1.0, None]}, "missing value", "V1", ""),
        ({"V1": [1.0, math.nan]}, "not finite", "V1", "nan"),
        ({"V1": ["1", "x"]}, "not a number", "V1", "x"),
        ({"V1": ["1", None]}, "missing value", "V1", ""),
        ({"Amount": [1.0, -1.0]}, "negative amount", "Amount", "-1.0"),
        ({"event_id": ["a", "a"]}, "duplicate event_id", "event_id", "a"),
        ({"event_id": pa.array([7, None])}, "missing event_id", "event_id", ""),
        ({"event_time": pa.array([0, None], pa.timestamp("ms"))}, "not a time", "event_time", ""),
        ({"event_time": ["2026-01-01", "soon"]}, "not a time", "event_time", "soon"),
    ],
)
def test_parquet_fault_has_its_row_number(
    tmp_path: Path, columns: dict[str, object], kind: str, column: str, cell: str
) -> None:
    """Rows of Parquet are counted from 1."""
    content = parquet(tmp_path, **columns)
    assert found(content) == [(kind, column, 2, cell)]
    assert content.raw.unit == "row"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"V1": pa.array([[1.0], [2.0]])}, "column 'V1' is DOUBLE[]; it must be a number"),
        ({"event_id": [1.5, 2.5]}, "column 'event_id' is DOUBLE; it must be text or whole numbers"),
        ({"event_time": [1, 2]}, "column 'event_time' is BIGINT; it must be a timestamp"),
    ],
)
def test_parquet_with_wrong_types_is_rejected(tmp_path: Path, columns: dict[str, object], message: str) -> None:
    """The column is named with its type."""
    with pytest.raises(DataError) as caught:
        parquet(tmp_path, **columns)
    assert message in str(caught.value)


def test_parquet_without_rows_is_rejected(tmp_path: Path) -> None:
    """Columns alone are not data."""
    pq.write_table(pa.table({name: pa.array([], pa.float64()) for name in INPUTS}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="has columns and no rows"):
        data_file.read(str(tmp_path / "a.parquet"), COLUMNS)
