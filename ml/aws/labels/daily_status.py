"""Counts labels by day and channel, and how long they took to become known. Makes no verdict on the model.

A day's rows are those that the endpoint scored, if the day is in the index of scored rows, else the lake's
transactions. Joins on disk; reads only ids, times and labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from ml.aws import scored_rows, transaction_times
from ml.aws.labels import database, label_files
from ml.aws.labels.maturity import immaturity
from ml.aws.labels.store import ANALYST, CHARGEBACK
from ml.aws.lake import Lake
from ml.aws.object_cache import ObjectCache
from ml.errors import DataError

if TYPE_CHECKING:
    import duckdb

_DAY = timedelta(days=1)
_TRANSACTIONS = """
INSERT INTO events
SELECT event_id, CAST(make_timestamp(epoch_us(event_time)) AS DATE), false FROM added
WHERE epoch_us(event_time) >= $first AND epoch_us(event_time) < $last
"""
_SCORED = "INSERT INTO events SELECT event_id, day, true FROM read_parquet($files)"
# Of an event the latest label of a channel counts, fraud at equal times; it took as long as its first label.
_COUNTS = """
WITH by_channel AS (
    SELECT event_id, coalesce(channel = 'analyst', false) AS analyst,
        arg_max(label, 2 * epoch_us(known_at)::HUGEINT + label) AS label,
        CAST(make_timestamp(min(epoch_us(known_at))) AS DATE) AS known
    FROM read_parquet($labels, union_by_name = true) WHERE epoch_us(known_at) <= $as_of GROUP BY ALL
), known AS (
    SELECT event_id, max(label) AS label,
        min(known) FILTER (WHERE analyst) AS analyst, min(known) FILTER (WHERE NOT analyst) AS chargeback
    FROM by_channel GROUP BY event_id
), once AS (
    SELECT event_id, min(day) AS day, bool_or(scored) AS scored FROM events GROUP BY event_id
)
SELECT day, bool_or(scored), count(*), count(*) FILTER (WHERE label = 1),
    count(analyst), median(analyst - day), count(chargeback), median(chargeback - day)
FROM once LEFT JOIN known USING (event_id) GROUP BY day ORDER BY day
"""


@dataclass(frozen=True, kw_only=True)
class ChannelStatus:
    """The labels of one channel for the events of a day."""

    labelled: int
    share: float
    """Of the day's rows."""
    median_days: float | None
    """Days from the event until its label became known, median of the events with a label; None if there are none."""


@dataclass(frozen=True, kw_only=True)
class DayStatus:
    """The labels of the events of a day (UTC)."""

    day: date
    source: Literal["scored rows", "transactions"]
    rows: int
    frauds: int
    """Events that a label of either channel calls a fraud."""
    chargeback: ChannelStatus
    analyst: ChannelStatus
    age_days: float
    """From the end of the day until now."""
    mature: bool
    reason: str
    """Why the day's labels are not mature; '' if they are."""


def by_day(
    bucket: str, endpoint: str, first: date, last: date, *, as_of: datetime, min_coverage: float, min_age_days: float
) -> list[DayStatus]:
    """The days from `first` to `last` (both included) that have rows, in order.

    Args:
        as_of: labels that are known later do not count.
        min_coverage, min_age_days: when labels are mature, as in model-config/monitoring/drift.yaml.

    Raises:
        CloudError: S3 refuses or cannot be reached.
        DataError: a file in the lake has another schema.
    """
    import duckdb

    start, end = (datetime.combine(day, time(), UTC) for day in (first, last + _DAY))
    every = Lake(bucket).imports()
    used = {item.name for item in every if item.overlaps(start, end)}
    listed = label_files.listed(bucket, start, imports={item.name for item in every}, used=used)
    scored = {day: item for day, item in scored_rows.stored_days(bucket, endpoint).items() if first <= day <= last}
    with tempfile.TemporaryDirectory(prefix="fraudops-status-") as name:
        folder = Path(name)
        cache = ObjectCache(folder)
        labels = [*cache.paths(bucket, listed), label_files.no_labels(folder)]
        engine = database.connect(folder)
        try:
            engine.execute("CREATE TABLE events (event_id VARCHAR, day DATE, scored BOOLEAN)")
            if scored:
                engine.execute(_SCORED, {"files": cache.paths(bucket, scored.values())})
            for table in transaction_times.read(bucket, every, start, end):
                _add(engine, table, start, end, without=[*scored])
            rows = engine.execute(_COUNTS, {"labels": labels, "as_of": label_files.micros(as_of)}).fetchall()
        except duckdb.Error as error:
            raise DataError(f"the lake's rows and labels cannot be joined: {error}") from error
        finally:
            engine.close()
    limits = {"min_coverage": min_coverage, "min_age_days": min_age_days}
    return [_status(row, as_of, limits) for row in rows]


def _add(
    engine: duckdb.DuckDBPyConnection, table: pa.Table, start: datetime, end: datetime, *, without: Sequence[date]
) -> None:
    """Adds the transactions from `start` to `end`, except for those of the days `without`."""
    engine.register("added", table)
    limits = {"first": label_files.micros(start), "last": label_files.micros(end)}
    engine.execute(_TRANSACTIONS, limits)
    engine.unregister("added")
    if without:
        engine.execute("DELETE FROM events WHERE NOT scored AND day IN (SELECT unnest($days))", {"days": [*without]})


def _status(row: Sequence[Any], as_of: datetime, limits: dict[str, float]) -> DayStatus:
    day, scored, rows, frauds, analyst, analyst_days, chargeback, chargeback_days = row
    age = (as_of - datetime.combine(day, time(), UTC) - _DAY) / _DAY
    reason = immaturity(rows, chargeback, age_days=age, **limits)
    channels = {
        name: ChannelStatus(labelled=count, share=count / rows, median_days=None if days is None else float(days))
        for name, count, days in ((ANALYST, analyst, analyst_days), (CHARGEBACK, chargeback, chargeback_days))
    }
    return DayStatus(
        day=day,
        source="scored rows" if scored else "transactions",
        rows=rows,
        frauds=frauds,
        chargeback=channels[CHARGEBACK],
        analyst=channels[ANALYST],
        age_days=round(age, 2),
        mature=not reason,
        reason=reason,
    )
