"""Checks transactions against the data contract: layout, types, ranges and duplicates.

Pure: names and frames in, faults out. Reads no files and decides nothing: `ml.ingest.data_file` finds the line of a
fault, `ml.commands.data_import` rejects the file or quarantines the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model.training_settings import Columns

EVENT_ID = "event_id"
EVENT_TIME = "event_time"
OPTIONAL = (EVENT_ID, EVENT_TIME)

MAX_SECONDS = 100 * 365.25 * 86_400
"""Time counts seconds from the file's first midnight. A value of a century or more is in a wrong unit."""
FIRST_YEAR, LAST_YEAR = 1970, 2261
"""Years that pandas' unit, 64-bit nanoseconds since 1970, can represent."""
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


def layout_problem(names: Sequence[str], columns: Columns) -> str | None:
    """What is wrong with a file whose columns are `names`, in one phrase, or None.

    The model's inputs and the label must be present in the order of `columns`. `event_id` and `event_time` may be
    anywhere; with `event_time`, the time column may be missing.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"{_listed(twice)} named more than once; name each column once"
    found = [name for name in names if name not in OPTIONAL]
    expected = [*columns.inputs, columns.label]
    if columns.time is not None and EVENT_TIME in names and columns.time not in names:
        expected.remove(columns.time)
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    if missing or extra:
        parts = [f"missing {_listed(missing)}"] if missing else []
        parts += [f"not expected {_listed(extra)}"] if extra else []
        return f"{'; '.join(parts)}; the columns must be {_ordered(expected)}"
    if found != expected:
        position = next(i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
        return (
            f"misordered: found {found[position]!r} where {expected[position]!r} is expected; "
            f"the columns must be {_ordered(expected)}"
        )
    if columns.time is None and EVENT_TIME not in names:
        return f"missing {EVENT_TIME!r}, which a model without a time column needs"
    return None


def faults(frame: pd.DataFrame, columns: Columns) -> list[Fault]:
    """All faults of a frame with a valid layout, by column in the frame's order.

    `frame`: the model's inputs and the label as float64 (NaN if not a number); optionally `event_id` as text ('' if
    missing) and `event_time` as datetime64[us, UTC] (NaT if missing).
    """
    found: list[Fault] = []
    for name in frame.columns:
        if name in columns.inputs or name == columns.label:
            values = frame[name].to_numpy(dtype=np.float64)
            finite = np.isfinite(values)
            found += _fault("not finite", name, "must be a finite number", ~finite)
            if name not in (columns.time, columns.label):
                rule = f"must lie between -{MAX_MAGNITUDE:.0e} and {MAX_MAGNITUDE:.0e}".replace("e+", "e")
                found += _fault("value out of range", name, rule, finite & (np.abs(values) > MAX_MAGNITUDE))
            found += _range_faults(name, values, finite, columns)
        elif name == EVENT_ID:
            found += _id_faults(frame[name])
        elif name == EVENT_TIME:
            moments = frame[name]
            known = moments.notna().to_numpy()
            years = moments.dt.year.fillna(FIRST_YEAR).to_numpy()
            found += _fault("not a time", name, "must be a time as 2026-03-01T06:00:00Z", ~known)
            outside = known & ((years < FIRST_YEAR) | (years > LAST_YEAR))
            rule = f"must be in the years {FIRST_YEAR} to {LAST_YEAR}"
            found += _fault("time out of range", name, rule, outside)
    return found


def _range_faults(name: str, values: NDArray[np.float64], finite: NDArray[np.bool_], columns: Columns) -> list[Fault]:
    if name == columns.amount:
        return _fault("negative amount", name, "must be 0 or more", finite & (values < 0))
    if name == columns.label:
        return _fault("label outside {0,1}", name, "must be 0 or 1", finite & (values != 0) & (values != 1))
    if name == columns.time:
        late = "must be seconds since the first day's midnight, less than a century"
        return [
            *_fault("negative time", name, "must be 0 or more seconds", finite & (values < 0)),
            *_fault("time out of range", name, late, finite & (values >= MAX_SECONDS)),
        ]
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


def _bits(values: pd.Series[Any]) -> NDArray[np.uint64]:
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
        if name == EVENT_ID:
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
