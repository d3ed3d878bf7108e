"""Converts the columns of a data file to numbers and times, and locates faults; shared by all readers.

Does not decide whether a fault rejects a row or the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.model import data_contract
from ml.model.data_contract import Fault
from ml.model.training_settings import Columns

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NOT_FINITE = r"^[+-]?(nan|inf|infinity)$"
_MISSING = r"^(|null|none|na|n/a)$"
_BLANKS = " \t"  # Arrow's CSV reader trims these around numbers


class Raw(Protocol):
    """Access to the raw rows of a file, used only for rows with a fault."""

    @property
    def unit(self) -> str:
        """What `line` counts: "line" of a text file, "row" of a Parquet file; both from 1."""
        ...

    def line(self, row: int) -> int:
        """The line or row number in the file of the row at position `row` (from 0)."""
        ...

    def cell(self, row: int, column: str | None) -> str:
        """The raw text of the cell; of the whole row if `column` is None."""
        ...

    def text(self, row: int) -> bytes:
        """The raw row without its line end."""
        ...


@dataclass(frozen=True, kw_only=True)
class Content:
    """The content of a data file: `frame` has every row of the file in its order, also faulty rows."""

    path: str
    bytes: int
    sha256: str
    frame: pd.DataFrame
    faults: tuple[Fault, ...]
    raw: Raw

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Whether each row has a fault, bool[rows]."""
        marked = np.zeros(len(self.frame), dtype=np.bool_)
        for fault in self.faults:
            marked[fault.rows] = True
        return marked


@dataclass(frozen=True)
class Converted:
    """Converted text: invalid values are NaN or NaT, and `kinds` has their positions."""

    values: NDArray[Any]
    kinds: dict[tuple[str, str], NDArray[np.bool_]]
    """(kind, rule) → bool[rows]."""


def numbers(text: pa.Array) -> Converted:
    """Converts text to float64 by the rules of Arrow's CSV reader, so that both CSV paths agree."""
    text = pc.utf8_trim(text, _BLANKS)
    number = pc.match_substring_regex(text, _NUMBER)
    infinite = pc.match_substring_regex(text, _NOT_FINITE, ignore_case=True)
    missing = pc.match_substring_regex(text, _MISSING, ignore_case=True)
    values = pc.cast(pc.if_else(number, text, "nan"), pa.float64())
    known, not_finite, absent = (_mask(part) for part in (number, infinite, missing))
    return Converted(
        values=values.to_numpy(zero_copy_only=False),
        kinds={
            ("missing value", "must be a number"): absent,
            ("not a number", "must be a number"): ~known & ~not_finite & ~absent,
        },
    )


def moments(text: pa.Array) -> Converted:
    """Converts ISO 8601 text to datetime64[us] in UTC; a time without an offset is taken as UTC."""
    for kind in (pa.timestamp("us", "UTC"), pa.timestamp("us")):
        try:
            return Converted(values=pc.cast(text, kind).to_numpy(zero_copy_only=False).astype("M8[us]"), kinds={})
        except pa.ArrowInvalid:
            continue
    return Converted(values=np.array([_moment(item) for item in text.to_pylist()], dtype="M8[us]"), kinds={})


def _moment(text: str) -> np.datetime64:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return np.datetime64("NaT")
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment, "us")


def _mask(condition: pa.Array) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = condition.to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask


def frame_of(names: Sequence[str], arrays: Iterable[NDArray[Any]]) -> pd.DataFrame:
    """The frame for `data_contract.faults`, from one array for each column."""
    columns: dict[str, Any] = dict(zip(names, arrays, strict=True))
    if data_contract.EVENT_TIME in columns:
        columns[data_contract.EVENT_TIME] = pd.Series(columns[data_contract.EVENT_TIME]).dt.tz_localize("UTC")
    return pd.DataFrame(columns, copy=False)


def all_faults(frame: pd.DataFrame, columns: Columns, seen: Sequence[Fault]) -> tuple[Fault, ...]:
    """The faults `seen` while reading and all other faults of the contract, each cell once.

    Cells of a row that is faulty as a whole are not reported. A cell that is not a number is not also "not finite".
    """
    whole = _positions(fault for fault in seen if fault.column is None)
    rest = []
    for fault in data_contract.faults(frame, columns):
        known = np.union1d(whole, _positions(item for item in seen if item.column == fault.column))
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


def _positions(faults: Iterable[Fault]) -> NDArray[np.int64]:
    parts = [fault.rows for fault in faults]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)
