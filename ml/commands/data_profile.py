"""`fraudops data profile`: writes a profile of the lake's labelled transactions, to draw stand-in data from.

The profile holds figures only, each of at least `floor` transactions (ml.simulate.profile_statistics), so that it may
leave the account. Ids, entities and kept columns are never read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml import atomic_file, clock, config
from ml.aws import labelled_transactions, platform_stack
from ml.aws.labelled_transactions import LABEL, TIME
from ml.errors import DataError, FraudopsError
from ml.model.training_settings import Columns
from ml.simulate import profile as profiles
from ml.simulate import profile_statistics as statistics
from ml.simulate.profile_statistics import FLOOR, Rows

_SECOND = 1_000_000  # microseconds


@dataclass(frozen=True, kw_only=True)
class ProfileReport:
    """What was written where, and of how many transactions."""

    path: str
    rows: int
    frauds: int
    floor: int
    columns: int
    categories: int


def write(
    root: Path, path: Path, *, start: date | None = None, end: date | None = None, floor: int = FLOOR
) -> ProfileReport:
    """Writes the profile of the labelled transactions of all imports that overlap the window to `path`.

    Args:
        root: the repository, whose data.yaml names the columns.
        path: a file that does not exist, or a profile, which is replaced.
        start, end: the first day of the window and the day after its last, UTC; open where None.
        floor: the least number of transactions behind each figure.

    Raises:
        ConfigError: data.yaml is invalid.
        FraudopsError: the floor is too low, or `path` cannot be written or is another file.
        DataError: there are too few labelled transactions of a class, or an import has other columns.
        CloudError: the platform or its lake cannot be read.
    """
    if floor < FLOOR:
        raise FraudopsError(f"the floor must be {FLOOR} or more (got {floor}), or a figure could reveal a transaction")
    if path.exists():
        profiles.read(path)  # raises if it is another file, which is not replaced
    columns = config.load_columns(root)
    content = profile_of(platform_stack.read().bucket, columns, start=start, end=end, floor=floor)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file.replacing(path) as draft:
            draft.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise FraudopsError(f"{path}: cannot be written ({error.strerror}); choose another path") from error
    size = content["full_set"]
    return ProfileReport(
        path=str(path),
        rows=size["rows"],
        frauds=size["frauds"],
        floor=floor,
        columns=len(content["columns"]),
        categories=len(columns.categories),
    )


def profile_of(bucket: str, columns: Columns, *, start: date | None, end: date | None, floor: int) -> dict[str, Any]:
    """The content of a profile file, made of the lake in `bucket`; `write` describes the other arguments and errors."""
    names = [*_numbers(columns), *columns.categories]
    table = labelled_transactions.read(bucket, names, start=_midnight(start), end=_midnight(end), as_of=clock.now())
    return document(table, columns, floor=floor)


def _numbers(columns: Columns) -> tuple[str, ...]:
    return (*columns.features, *((columns.amount,) if columns.amount is not None else ()))


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def document(table: pa.Table, columns: Columns, *, floor: int) -> dict[str, Any]:
    """The content of a profile file, which the strict reader accepts.

    Args:
        table: labelled transactions: `event_time`, the numbers and text columns of `columns`, and `label`.
        floor: the least number of transactions behind each figure.

    Raises:
        DataError: there are too few transactions of a class.
    """
    groups, hourly, numbers = [], {}, _numbers(columns)
    for label in (0, 1):
        rows = table.filter(pc.equal(table[LABEL], label))
        of_class = Rows(
            values=np.column_stack([rows[name].to_numpy() for name in numbers]).astype(np.float64),
            categories={name: rows[name].to_pylist() for name in columns.categories},
            hours=rows[TIME].cast(pa.int64()).to_numpy() // (3_600 * _SECOND) % profiles.HOURS,
        )
        groups.append(statistics.group(label, of_class, numbers, floor))
        hourly[str(label)] = statistics.hourly_counts(of_class.hours, floor)
    frauds = groups[1]["rows_fitted"]
    times = table[TIME].cast(pa.int64())
    found = {
        "schema": 2,
        "source": f"Labelled transactions of a data lake: each figure is of at least {floor} transactions",
        "licence": None,
        "layout": {
            "label": columns.label,
            "amount": columns.amount,
            "time": None if columns.time is None else {"column": columns.time.column, "unit": columns.time.unit},
        },
        "columns": list(numbers),
        "decimals": {name: statistics.decimals(table[name].to_numpy().astype(np.float64)) for name in numbers},
        "categories": list(columns.categories),
        "quantile_levels": list(profiles.QUANTILE_LEVELS),
        "full_set": {
            "rows": table.num_rows,
            "frauds": frauds,
            "fraud_rate": round(frauds / table.num_rows, 9),
            "seconds": max(1, (pc.max(times).as_py() - pc.min(times).as_py()) // _SECOND),
        },
        "hourly_counts": hourly,
        "groups": groups,
    }
    try:
        profiles.Profile.model_validate(found)
    except ValueError as error:
        raise DataError(f"the lake's transactions give no profile: {error}") from error
    return found
