"""Checks transactions against the data contract: layout, types, ranges and duplicates.

Pure: names and frames in, faults out. Reads no files and decides nothing: `ml.ingest.data_file` finds the line of a
fault, `ml.commands.data_import` rejects the file or quarantines the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model import category_levels, time_units
from ml.model.training_settings import Columns

EVENT_ID = "event_id"
EVENT_TIME = "event_time"
OPTIONAL = (EVENT_ID, EVENT_TIME)

MAX_ID_LENGTH = 128
MAX_MAGNITUDE = 1e12
"""Upper bound of amounts and features. Scaling sums squares: one value of 1e200 overflows float64 and fails the fit;
values up to 1e12 never do, so no imported row can fail a training run."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One rule, broken by the rows at positions `rows` (ascending) in `column` (None: by the row as a whole)."""

    kind: str
    column: str | None
    rule: str
    rows: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LayoutProblem:
    """What is wrong with the columns of a file: `text` in one phrase, and the names of data.yaml that it is about."""

    text: str
    columns: tuple[str, ...]


def layout_problem(names: Sequence[str], columns: Columns, *, labelled: bool = True) -> LayoutProblem | None:
    """What is wrong with a file whose columns are `names`, or None.

    The model's inputs, the columns to keep, the configured id and, if `labelled`, the label must be present, in any
    order; further columns are ignored. With `event_time`, the time column may be missing.
    """
    needed = [*columns.inputs, *columns.kept]
    needed += [columns.event_id] if columns.event_id is not None else []
    needed += [columns.label] if labelled else []
    counts = Counter(names)
    twice = [name for name in (*needed, *OPTIONAL) if counts[name] > 1]
    if twice:
        text = f"{_listed(sorted(twice))} named more than once; name each column once"
        return LayoutProblem(text=text, columns=tuple(sorted(twice)))
    if columns.clock is not None and EVENT_TIME in counts and columns.clock not in counts:
        needed.remove(columns.clock)
    missing = [name for name in needed if name not in counts]
    if missing:
        alike = {name.strip().lower(): name for name in names}
        similar = [f"{alike[name.lower()]!r} is {name!r} in data.yaml" for name in missing if name.lower() in alike]
        hint = f" ({'; '.join(similar[:3])})" if similar else ""
        others = [name for name in names if name not in needed]
        rest = f"the file's other columns are {_ordered(others)}" if others else "the file has no other columns"
        text = (
            f"missing {_listed(missing)}{hint}; data.yaml names the columns {_ordered(needed)}; {rest}. Correct the "
            f"name in model-config/training/data.yaml, or the file"
        )
        return LayoutProblem(text=text, columns=tuple(missing))
    return None


def faults(frame: pd.DataFrame, columns: Columns) -> list[Fault]:
    """All faults of a frame with a valid layout, by column in the frame's order.

    `frame`: the inputs that are numbers and the label as float64 (NaN if not a number), categories as text; optionally
    `event_id` as text ('' if missing) and `event_time` as datetime64[us, UTC] (NaT if missing). Other columns have no
    faults.
    """
    found: list[Fault] = []
    clock = columns.clock
    for name in frame.columns:
        if name in columns.categories:
            long = (frame[name].str.len() > category_levels.MAX_LENGTH).to_numpy(dtype=bool)
            rule = f"must have at most {category_levels.MAX_LENGTH} characters, as a category"
            found += _fault("category too long", name, rule, long)
        elif name in columns.numbers or name == columns.label:
            values = frame[name].to_numpy(dtype=np.float64)
            finite = np.isfinite(values)
            found += _fault("not finite", name, "must be a finite number", ~finite)
            if name not in (clock, columns.label):
                rule = f"must lie between -{MAX_MAGNITUDE:.0e} and {MAX_MAGNITUDE:.0e}".replace("e+", "e")
                found += _fault("value out of range", name, rule, finite & (np.abs(values) > MAX_MAGNITUDE))
            found += _range_faults(name, values, finite, columns)
        elif name == EVENT_ID:
            found += _id_faults(frame[name])
        elif name == EVENT_TIME:
            known = frame[name].notna().to_numpy()
            found += _fault("not a time", name, "must be a time as 2026-03-01T06:00:00Z", ~known)
    return found


def _range_faults(name: str, values: NDArray[np.float64], finite: NDArray[np.bool_], columns: Columns) -> list[Fault]:
    if name == columns.amount:
        return _fault("negative amount", name, "must be 0 or more", finite & (values < 0))
    if name == columns.label:
        return _fault("label outside {0,1}", name, "must be 0 or 1", finite & (values != 0) & (values != 1))
    if columns.time is not None and name == columns.time.column and columns.time.unit != time_units.ISO:
        kind, unit = "negative time", columns.time.unit.replace("_", " ")
        return _fault(kind, name, f"must be 0 or more ({unit})", finite & (values < 0))
    return []


def _id_faults(ids: pd.Series[str]) -> list[Fault]:
    blank = (ids.str.strip() == "").to_numpy(dtype=bool)
    long = (ids.str.len() > MAX_ID_LENGTH).to_numpy(dtype=bool)
    repeated = ids.duplicated().to_numpy() & ~blank
    return [
        *_fault("missing event_id", EVENT_ID, "must not be empty", blank),
        *_fault("event_id too long", EVENT_ID, f"must have at most {MAX_ID_LENGTH} characters", long),
        *_fault("duplicate event_id", EVENT_ID, "must not repeat one of an earlier row", repeated),
    ]


def _fault(kind: str, column: str, rule: str, broken: NDArray[np.bool_]) -> list[Fault]:
    rows = np.flatnonzero(broken)
    return [Fault(kind=kind, column=column, rule=rule, rows=rows)] if rows.size else []


def duplicates(frame: pd.DataFrame) -> int:
    """The number of rows that repeat an earlier one in every column except `event_id`.

    Exact and fast: rows are grouped by a 64-bit hash, and only rows with equal hashes are compared.
    """
    compared = frame.drop(columns=[EVENT_ID], errors="ignore")
    hashes = np.zeros(len(compared), dtype=np.uint64)
    for name in compared.columns:
        hashes = (hashes ^ (hashes >> np.uint64(29))) * _GOLDEN
        hashes += _bits(compared[name]) * _GOLDEN
    suspects = compared[pd.Series(hashes).duplicated(keep=False).to_numpy()]
    return int(suspects.duplicated().sum())


def _is_text(values: pd.Series[Any]) -> bool:
    return values.dtype == object or isinstance(values.dtype, pd.StringDtype)


def _bits(values: pd.Series[Any]) -> NDArray[np.uint64]:
    if _is_text(values):
        hashes: NDArray[np.uint64] = pd.util.hash_array(values.to_numpy(dtype=object))
        return hashes
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return microseconds(values).view(np.uint64)
    return (values.to_numpy(dtype=np.float64) + 0.0).view(np.uint64)  # + 0.0 makes -0.0 the 0.0 that it equals


def microseconds(moments: pd.Series[Any]) -> NDArray[np.int64]:
    """Microseconds since 1970 in UTC of a series of times with an offset."""
    naive = moments.dt.tz_convert("UTC").dt.tz_localize(None)
    counted: NDArray[np.int64] = naive.to_numpy(dtype="datetime64[us]").astype(np.int64)
    return counted


def content_sha256(frame: pd.DataFrame) -> str:
    """The digest of column names and values. It does not depend on the file format that they were read from."""
    digest = hashlib.sha256()
    for name in frame.columns:
        digest.update(f"{name}\0{len(frame)}\0".encode())
        if _is_text(frame[name]):
            digest.update(json.dumps(frame[name].tolist()).encode())
        else:
            digest.update(np.ascontiguousarray(_bits(frame[name])).astype("<u8", copy=False).data)
    return digest.hexdigest()


def event_ids(digest: str, rows: int) -> list[str]:
    """Ids for rows without one: the content digest and the row's position, so that a re-import gives the same ids."""
    prefix = digest[:12]
    return [f"{prefix}-{row:09d}" for row in range(rows)]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _ordered(names: Sequence[str]) -> str:
    shown = list(names) if len(names) <= 8 else [*names[:3], "…", *names[-2:]]
    return ", ".join(shown)
