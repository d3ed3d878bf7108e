"""Reads Parquet files and locates faults by row number."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.errors import DataError
from ml.ingest import table as tabular
from ml.model import data_contract
from ml.model.data_contract import EVENT_ID, EVENT_TIME, Fault
from ml.model.training_settings import Columns


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The raw rows of a Parquet file, located by row number."""

    table: pa.Table
    unit: str = "row"

    def line(self, row: int) -> int:
        """The row's number, from 1."""
        return row + 1

    def text(self, row: int) -> bytes:
        """The row as a line of CSV; a missing value is empty."""
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(
            ["" if column[row].as_py() is None else column[row].as_py() for column in self.table.columns]
        )
        return line.getvalue().encode("utf-8", errors="backslashreplace")

    def cell(self, row: int, column: str | None) -> str:
        """The value in `column`; '' if it is missing."""
        if column is None:
            return self.text(row).decode()
        value = self.table[column][row].as_py()
        return "" if value is None else str(value)


def read(path: str, data: bytes, columns: Columns) -> tuple[pd.DataFrame, tuple[Fault, ...], Rows]:
    """Reads the rows of the Parquet file `data`, their faults and their raw values.

    Raises:
        DataError: it is damaged, has no rows, or has other columns or types than expected.
    """
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: is not a readable Parquet file ({_first_line(error)}); export it again") from error
    names = tuple(table.column_names)
    problem = data_contract.layout_problem(names, columns)
    if problem:
        raise DataError(f"{path}: {problem}")
    if not table.num_rows:
        raise DataError(f"{path}: has columns and no rows; give a file with rows")
    found: list[Fault] = []
    arrays = [_array(path, name, table[name].combine_chunks(), found) for name in names]
    frame = tabular.frame_of(names, arrays)
    return frame, tabular.all_faults(frame, columns, found), Rows(table=table)


def _array(path: str, name: str, column: pa.Array, found: list[Fault]) -> NDArray[Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if name == EVENT_ID:
        if not texts and not pa.types.is_integer(kind):
            raise DataError(f"{path}: column {name!r} is {kind}; it must be text or whole numbers")
        ids: NDArray[Any] = pc.fill_null(pc.cast(column, pa.string()), "").to_numpy(zero_copy_only=False)
        return ids
    if name == EVENT_TIME:
        return _moments(path, name, column, texts)
    if texts:
        converted = tabular.numbers(pc.fill_null(pc.cast(column, pa.string()), ""))
        for (sort, rule), mask in converted.kinds.items():
            found.append(Fault(kind=sort, column=name, rule=rule, rows=np.flatnonzero(mask)))
        return converted.values
    if not (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        raise DataError(f"{path}: column {name!r} is {kind}; it must be a number")
    absent = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
    found.append(Fault(kind="missing value", column=name, rule="must be a number", rows=absent))
    if pa.types.is_boolean(kind):
        column = pc.cast(column, pa.int8())
    values: NDArray[Any] = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def _moments(path: str, name: str, column: pa.Array, texts: bool) -> NDArray[Any]:
    if texts:
        return tabular.moments(pc.fill_null(pc.cast(column, pa.string()), "")).values
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise DataError(f"{path}: column {name!r} is {column.type}; it must be a timestamp or ISO 8601 text")
    values: NDArray[Any] = pc.cast(column, pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False)
    return values.astype("M8[us]")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
