"""Defines what a reader gives: every row of a data file, the faults, and the raw text of the rows with faults."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model.data_contract import Fault

_DELIMITER = ","


@dataclass(frozen=True, kw_only=True)
class RawRows:
    """The raw rows with faults, located in their file.

    `unit` is what `numbers` count: "line" of a text file or "row" of a Parquet file, both from 1. `names` are the
    file's columns in its order. `numbers` and `texts` are by the row's position in the frame; a row of Parquet is a
    line of CSV.
    """

    unit: str
    names: tuple[str, ...]
    numbers: dict[int, int]
    texts: dict[int, bytes]
    delimiter: str = _DELIMITER

    def line(self, row: int) -> int:
        """The line or row number in the file of the row at position `row` (from 0)."""
        return self.numbers[row]

    def text(self, row: int) -> bytes:
        """The raw row without its line end."""
        return self.texts[row]

    def cell(self, row: int, column: str | None) -> str:
        """The raw text of the cell; of the whole row if `column` is None, or if the file has no such column."""
        text = self.texts[row].decode("utf-8", errors="backslashreplace")
        if column is None or column not in self.names:
            return text
        return fields(text, self.delimiter)[self.names.index(column)]


@dataclass(frozen=True, kw_only=True)
class Content:
    """The content of a data file: `frame` has every row of the file in its order, also faulty rows.

    Of transactions its columns are `event_id` (text, '' if missing) and `event_time` (datetime64[us, UTC]) if the file
    has them, the inputs and the label as float64, and the columns to keep as text; of labels, those of a label. `path`
    is as the user named it; `bytes` and `sha256` are those of the file as it is stored.
    """

    path: str
    bytes: int
    sha256: str
    frame: pd.DataFrame
    faults: tuple[Fault, ...]
    raw: RawRows

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Whether each row has a fault, bool[rows]."""
        marked = np.zeros(len(self.frame), dtype=np.bool_)
        for fault in self.faults:
            marked[fault.rows] = True
        return marked


def fields(text: str, delimiter: str = _DELIMITER) -> list[str]:
    """The fields of a line of CSV. Raises csv.Error."""
    return text.split(delimiter) if '"' not in text else next(csv.reader([text], delimiter=delimiter))


def line_of(values: Iterable[object]) -> bytes:
    """`values` as a line of CSV; None is empty."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["" if value is None else value for value in values])
    return line.getvalue().encode("utf-8", errors="backslashreplace")


def all_faults(seen: Sequence[Fault], contract: Sequence[Fault], further: Sequence[Fault] = ()) -> tuple[Fault, ...]:
    """The faults `seen` while reading, the others of the `contract`, and `further` ones of cells without another.

    Cells of a row that is faulty as a whole are not reported. A cell that is not a number is not also "not finite".
    """
    whole = positions(fault for fault in seen if fault.column is None)
    rest: list[Fault] = []
    for place, fault in enumerate([*contract, *further]):
        earlier = seen if place < len(contract) else [*seen, *contract]
        known = np.union1d(whole, positions(item for item in earlier if item.column == fault.column))
        rows = np.setdiff1d(fault.rows, known, assume_unique=True)
        if rows.size:
            rest.append(Fault(kind=fault.kind, column=fault.column, rule=fault.rule, rows=rows))
    kept = [
        fault
        if fault.column is None
        else Fault(kind=fault.kind, column=fault.column, rule=fault.rule, rows=np.setdiff1d(fault.rows, whole))
        for fault in seen
    ]
    return tuple(fault for fault in (*kept, *rest) if fault.rows.size)


def positions(faults: Iterable[Fault]) -> NDArray[np.int64]:
    """The rows of `faults`, ascending, each once."""
    parts = [fault.rows for fault in faults]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)
