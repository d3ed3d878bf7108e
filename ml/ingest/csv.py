"""Reads CSV files: with Arrow's reader if every row is valid, else line by line to locate each fault.

One row is one line, because no field of a transaction contains a line break. Every fault so has an exact line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from ml.errors import DataError
from ml.ingest import table as tabular
from ml.model import data_contract
from ml.model.data_contract import EVENT_ID, EVENT_TIME, Fault
from ml.model.training_settings import Columns

_BOM = b"\xef\xbb\xbf"
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_CHUNK_ROWS = 50_000
_FIRST_LINE = re.compile(rb"[^\r\n]*\S[^\r\n]*")
_VISIBLE = re.compile(rb"\S")


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The lines behind the rows of a CSV file."""

    names: tuple[str, ...]
    lines: Sequence[bytes]
    numbers: NDArray[np.int64]
    unit: str = "line"

    def line(self, row: int) -> int:
        """The line number of `row` in the file, from 1; empty lines count."""
        return int(self.numbers[row])

    def text(self, row: int) -> bytes:
        """The line's bytes, unchanged."""
        return self.lines[row]

    def cell(self, row: int, column: str | None) -> str:
        """The field in `column`; the whole line if None."""
        text = self.lines[row].decode("utf-8", errors="backslashreplace")
        if column is None:
            return text
        return _fields(text)[self.names.index(column)]


def read(path: str, data: bytes, columns: Columns) -> tuple[pd.DataFrame, tuple[Fault, ...], Lines]:
    """Reads the rows of the CSV text `data`, their faults and their lines.

    Raises:
        DataError: there is no header or no row, or the header has other columns than expected.
    """
    header, at, offset = _header(path, data)
    names = _names(path, header, at, columns)
    if not _VISIBLE.search(data, offset):
        raise DataError(f"{path}: line {at} is a header, but there are no rows; give a file with rows")
    frame = _read_with_arrow(data, offset, names)
    if frame is not None and not data_contract.faults(frame, columns):
        none = Lines(names=names, lines=(), numbers=np.empty(0, dtype=np.int64))
        return frame, (), none
    return _read_by_line(data, offset, at, names, columns)


def _header(path: str, data: bytes) -> tuple[bytes, int, int]:
    """The first line that is not empty, its number, and the offset of the next line."""
    first = _FIRST_LINE.search(data)
    if not first:
        raise DataError(f"{path}: is empty ({len(data)} bytes); give a file with a header and rows")
    at = len(data[: first.start()].splitlines()) + 1
    end = first.end() + (2 if data[first.end() : first.end() + 2] == b"\r\n" else 1)
    return first.group().removeprefix(_BOM), at, end


def _names(path: str, header: bytes, at: int, columns: Columns) -> tuple[str, ...]:
    if b"\0" in header or header.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: line {at} is not UTF-8 (it looks like UTF-16 or binary); save the file as UTF-8 CSV")
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: line {at} is not UTF-8 (byte {header[error.start]:#04x} at position {error.start + 1}); "
            f"save the file as UTF-8 CSV"
        ) from error
    names = tuple(_fields(text))
    if len(names) == 1:
        for delimiter, description in _OTHER_DELIMITERS.items():
            if delimiter in text:
                raise DataError(f"{path}: line {at} is delimited by {description}; delimit the file by commas")
    if all(_is_number(name) for name in names):
        raise DataError(f"{path}: line {at} has numbers, not a header; add a line with the column names")
    problem = data_contract.layout_problem(names, columns)
    if problem:
        raise DataError(f"{path}: line {at}: {problem}")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_with_arrow(data: bytes, offset: int, names: tuple[str, ...]) -> pd.DataFrame | None:
    """All rows by Arrow's reader, or None if a field is not a number, a row is ragged, or rows are not lines."""
    body = memoryview(data)[offset:]
    kinds = {name: pa.string() if name in data_contract.OPTIONAL else pa.float64() for name in names}
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(pa.py_buffer(body)),
            # Single-threaded: Arrow's threads keep a reference to the bytes for a moment after reading, and releasing
            # it while the interpreter exits aborts the process. It is no slower (83 MB: 0.4 s; two threads: 0.6 s).
            read_options=pyarrow.csv.ReadOptions(column_names=list(names), use_threads=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=kinds, null_values=[], strings_can_be_null=False),
        )
    except (pa.ArrowInvalid, pa.ArrowCapacityError):
        return None
    # Arrow joins lines inside quotes and skips empty lines; then row positions are not line numbers.
    lines = data.count(b"\n", offset) + (not data.endswith(b"\n"))
    if table.num_rows != lines or data.count(b'"', offset) % 2:
        return None
    arrays = [_array(name, table[name].combine_chunks()) for name in names]
    return tabular.frame_of(names, arrays)


def _array(name: str, column: pa.Array) -> NDArray[Any]:
    array: NDArray[Any] = (
        tabular.moments(column).values if name == EVENT_TIME else column.to_numpy(zero_copy_only=False)
    )
    return array


def _read_by_line(
    data: bytes, offset: int, at: int, names: tuple[str, ...], columns: Columns
) -> tuple[pd.DataFrame, tuple[Fault, ...], Lines]:
    all_lines = data[offset:].splitlines()
    kept = [position for position, line in enumerate(all_lines) if line.strip()]
    lines = [all_lines[position] for position in kept]
    positions = _FaultPositions()
    chunks = [
        [*_convert_chunk(lines[start : start + _CHUNK_ROWS], start, names, positions)]
        for start in range(0, len(lines), _CHUNK_ROWS)
    ]
    frame = tabular.frame_of(names, [np.concatenate(parts) for parts in zip(*chunks, strict=True)])
    raw = Lines(names=names, lines=lines, numbers=np.array(kept, dtype=np.int64) + at + 1)
    return frame, tabular.all_faults(frame, columns, positions.faults()), raw


@dataclass
class _FaultPositions:
    """Positions of faulty rows by (kind, column, rule), collected chunk by chunk."""

    positions: dict[tuple[str, str | None, str], list[NDArray[np.int64]]] = field(default_factory=dict)

    def add(self, kind: str, column: str | None, rule: str, rows: NDArray[np.int64]) -> None:
        if rows.size:
            self.positions.setdefault((kind, column, rule), []).append(rows)

    def faults(self) -> list[Fault]:
        return [
            Fault(kind=kind, column=column, rule=rule, rows=np.concatenate(rows))
            for (kind, column, rule), rows in self.positions.items()
        ]


def _convert_chunk(
    lines: list[bytes], start: int, names: tuple[str, ...], positions: _FaultPositions
) -> Iterator[NDArray[Any]]:
    """One array for each column of `lines`, which begin at row `start`; invalid values are NaN, NaT or ''."""
    blank = [""] * len(names)
    rows = []
    for row, line in enumerate(lines, start=start):
        fields, broken = _split(line, len(names))
        if broken:
            positions.add(broken[0], None, broken[1], np.array([row], dtype=np.int64))
        rows.append(fields or blank)
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        if name == EVENT_ID:
            yield np.array(values, dtype=object)
            continue
        text = pa.array(values, pa.string())
        converted = tabular.moments(text) if name == EVENT_TIME else tabular.numbers(text)
        for (kind, rule), mask in converted.kinds.items():
            positions.add(kind, name, rule, np.flatnonzero(mask) + start)
        yield converted.values


def _split(line: bytes, width: int) -> tuple[list[str] | None, tuple[str, str] | None]:
    """The fields of `line`, or (kind, rule) of a fault of the whole line."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        where = f"byte {line[error.start]:#04x} at position {error.start + 1} is not"
        return None, ("not UTF-8", f"must be UTF-8 ({where})")
    if text.count('"') % 2:
        return None, ("unbalanced quotes", "must close each quotation mark on its line")
    try:
        fields = _fields(text)
    except csv.Error as error:
        return None, ("not CSV", f"must be fields separated by commas ({error})")
    if len(fields) != width:
        return None, ("wrong number of fields", f"must have {width} fields (has {len(fields)})")
    return fields, None


def _fields(text: str) -> list[str]:
    return text.split(",") if '"' not in text else next(csv.reader([text]))
