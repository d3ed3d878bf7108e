"""Counts the lake's transactions, labels and frauds by day.

Counts as the Prepare step does: in each channel the latest known label of an event, fraud if two became known at the
same time; fraud if either channel says so; no label without one of the chargeback channel. Joins on disk, so that a
lake of any size can be counted; reads only ids, times and labels.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from ml.aws.labels import database, label_files
from ml.aws.labels.label_files import micros
from ml.aws.lake import Lake
from ml.errors import DataError

_EPOCH = date(1970, 1, 1)
_QUERY = """
WITH events AS (
    SELECT event_id, min(epoch_us(event_time)) AS moment FROM read_parquet($transactions)
    WHERE epoch_us(event_time) >= $first AND epoch_us(event_time) < $last GROUP BY event_id
)
SELECT moment // 86400000000 AS day, count(*), count(label), coalesce(sum(label), 0)
FROM events LEFT JOIN labelled USING (event_id) GROUP BY day ORDER BY day
"""


@dataclass(frozen=True, kw_only=True)
class DayCount:
    """A day (UTC) of events: how many there are, how many have a label, and how many of those are frauds."""

    day: date
    rows: int
    labelled: int
    frauds: int


def first_event(bucket: str) -> datetime | None:
    """The time of the lake's oldest transaction; None if there is none."""
    return min((item.start for item in Lake(bucket).imports()), default=None)


def by_day(bucket: str, start: datetime, end: datetime, *, as_of: datetime) -> list[DayCount]:
    """The days from `start` (included) to `end` (not) that have transactions, in order; none if the lake has none.

    Args:
        as_of: labels that are known later do not count.

    Raises:
        CloudError: S3 refuses or cannot be reached.
        DataError: a file in the lake has another schema.
    """
    every = Lake(bucket).imports()
    imports = [item for item in every if item.overlaps(start, end)]
    raw = [file.key for item in imports for file in item.files if file.key.startswith("raw/")]
    if not raw:
        return []
    names = {item.name for item in every}
    found = label_files.listed(bucket, start, imports=names, used={item.name for item in imports})
    with tempfile.TemporaryDirectory(prefix="fraudops-labelled-") as folder:
        return _count_by_day(
            Path(folder),
            label_files.download(bucket, raw, Path(folder) / "raw"),
            label_files.download(bucket, [item.key for item in found], Path(folder) / "labels"),
            {"first": micros(start), "last": micros(end)},
            as_of=micros(as_of),
        )


def _count_by_day(
    folder: Path, transactions: list[str], labels: list[str], limits: dict[str, int], *, as_of: int
) -> list[DayCount]:
    import duckdb

    connection = database.connect_temporary()
    try:
        database.add_labels(connection, [*labels, label_files.no_labels(folder)], as_of)
        rows = connection.execute(_QUERY, {"transactions": transactions, **limits}).fetchall()
    except duckdb.Error as error:
        raise DataError(f"the lake's transactions and labels cannot be joined: {error}") from error
    finally:
        connection.close()
    return [
        DayCount(day=_EPOCH + timedelta(days=int(day)), rows=count, labelled=labelled, frauds=int(frauds))
        for day, count, labelled, frauds in rows
    ]
