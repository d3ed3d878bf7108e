"""Counts the lake's transactions, labels and frauds by day.

Counts as the Prepare step does: in each channel the latest known label of an event, fraud if two became known at the
same time; fraud if either channel says so; no label without one of the chargeback channel. Joins on disk, so that a
lake of any size can be counted; reads only ids, times and labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ml.aws import session
from ml.aws.labels.store import PREFIX, deliveries
from ml.aws.lake import Lake
from ml.errors import DataError

_CHUNK = 8 << 20
_EPOCH = date(1970, 1, 1)
_QUERY = """
WITH by_channel AS (
    SELECT event_id, channel = 'analyst' AS analyst, arg_max(label, 2 * epoch_us(known_at)::HUGEINT + label) AS label
    FROM read_parquet($labels, union_by_name = true) WHERE epoch_us(known_at) <= $as_of GROUP BY ALL
), known AS (
    SELECT event_id, max(label) AS label FROM by_channel
    GROUP BY event_id HAVING bool_or(coalesce(NOT analyst, true))
), events AS (
    SELECT event_id, min(epoch_us(event_time)) AS moment FROM read_parquet($transactions)
    WHERE epoch_us(event_time) >= $first AND epoch_us(event_time) < $last GROUP BY event_id
)
SELECT moment // 86400000000 AS day, count(*), count(label), coalesce(sum(label), 0)
FROM events LEFT JOIN known USING (event_id) GROUP BY day ORDER BY day
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
    imports = [item for item in Lake(bucket).imports() if item.overlaps(start, end)]
    raw = [file.key for item in imports for file in item.files if file.key.startswith("raw/")]
    if not raw:
        return []
    found = _label_files(bucket, {item.name for item in imports}, start)
    with tempfile.TemporaryDirectory(prefix="fraudops-labelled-") as folder:
        return _count_by_day(
            Path(folder),
            _download(bucket, raw, Path(folder) / "raw"),
            _download(bucket, found, Path(folder) / "labels"),
            {"first": _micros(start), "last": _micros(end), "as_of": _micros(as_of)},
        )


def _label_files(bucket: str, imports: Collection[str], start: datetime) -> list[str]:
    """The files that may label events from `start` on: all but those of other imports and of older deliveries."""
    over = {f"{PREFIX}/{item.name}/" for item in Lake(bucket).imports() if item.name not in imports}
    over |= {item.file.key for item in deliveries(bucket) if not item.concerns(start)}
    return [key for key in _keys(bucket, f"{PREFIX}/") if not key.startswith(tuple(over))]


def _count_by_day(folder: Path, transactions: list[str], labels: list[str], limits: dict[str, int]) -> list[DayCount]:
    import duckdb

    connection = duckdb.connect(str(folder / "join.duckdb"), config={"memory_limit": "1GB", "threads": "2"})
    try:
        connection.execute("SET autoinstall_known_extensions = false; SET preserve_insertion_order = false")
        labels = [*labels, _no_labels(folder)]
        values: dict[str, Any] = {"transactions": transactions, "labels": labels, **limits}
        rows = connection.execute(_QUERY, values).fetchall()
    except duckdb.Error as error:
        raise DataError(f"the lake's transactions and labels cannot be joined: {error}") from error
    finally:
        connection.close()
    return [
        DayCount(day=_EPOCH + timedelta(days=int(day)), rows=count, labelled=labelled, frauds=int(frauds))
        for day, count, labelled, frauds in rows
    ]


def _no_labels(folder: Path) -> str:
    """An empty label file with every column, so that the query needs no special case."""
    import pyarrow.parquet as pq

    from ml.aws.labels.store import DELIVERED_SCHEMA

    path = folder / "none.parquet"
    pq.write_table(DELIVERED_SCHEMA.empty_table(), path)
    return str(path)


def _download(bucket: str, keys: Iterable[str], folder: Path) -> list[str]:
    folder.mkdir()
    paths = []
    for number, key in enumerate(keys):
        path = folder / f"{number:06d}.parquet"
        with session.explained(f"reading s3://{bucket}/{key}"), path.open("wb") as file:
            body = session.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
            for chunk in body.iter_chunks(_CHUNK):
                file.write(chunk)
        paths.append(str(path))
    return paths


def _keys(bucket: str, prefix: str) -> list[str]:
    with session.explained(f"listing s3://{bucket}/{prefix}"):
        pages = session.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", []) if item["Key"].endswith(".parquet")]


def _micros(moment: datetime) -> int:
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
