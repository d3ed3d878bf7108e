"""Looks up the events that labels name: in the lake's transactions and in the index of scored rows. Stores nothing.

Reads ids and times only, never a transaction's inputs. The ids of the labels are kept in a database on disk, so that
any number of files can be looked up together.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from ml.aws import s3_objects, scored_rows, transaction_times
from ml.aws.labels import database
from ml.aws.lake import Lake

REACH = timedelta(days=400)
"""How much older than the first label an event may be to be looked up: longer than any card scheme lets a charge be
disputed, and as long as captured traffic is kept by default."""
EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is known of the events that labels name. Both counts are of labels; examples are at most five event ids."""

    unknown: int
    """Labels whose event is neither a transaction of the lake nor a scored row of the index."""
    unknown_examples: tuple[str, ...]
    early: int
    """Labels that became known before their event, a transaction of the lake."""
    early_examples: tuple[str, ...]
    since: datetime | None
    """Older events were not looked up; None if there were no labels."""
    scored_until: datetime | None
    """The end of the last day of the index of scored rows; None if it has none."""


class EventLookup:
    """A lookup in the lake `bucket`: add the labels of each file, then call `find` once.

    Args:
        endpoint: the endpoint whose scored rows are indexed.
    """

    def __init__(self, bucket: str, endpoint: str) -> None:
        self._bucket, self._endpoint = bucket, endpoint

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="fraudops-events-")
        self._engine = database.connect(Path(self._folder.name))
        self._engine.execute("CREATE TABLE labels (event_id VARCHAR, known TIMESTAMPTZ)")
        self._engine.execute("CREATE TABLE seen (event_id VARCHAR, moment TIMESTAMPTZ)")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.close()
        self._folder.cleanup()

    def add(self, labels: pa.Table) -> None:
        """Adds labels in the schema of a delivery."""
        self._insert("labels", labels.select(["event_id", "known_at"]))

    def find(self) -> Found:
        """Looks all added labels up.

        Raises:
            CloudError: S3 refuses or cannot be reached.
            DataError: a file of the lake has another schema.
        """
        [(first,)] = self._engine.execute("SELECT min(epoch_us(known)) FROM labels").fetchall()
        if first is None:
            return Found(unknown=0, unknown_examples=(), early=0, early_examples=(), since=None, scored_until=None)
        since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=first) - REACH
        for events in transaction_times.read(self._bucket, Lake(self._bucket).imports(), since, None):
            self._insert("seen", events, join=True)
        stored = scored_rows.stored_days(self._bucket, self._endpoint)
        days = [day for day in stored if day >= since.date()]
        for day in days:
            content = s3_objects.read(f"s3://{self._bucket}/{stored[day].key}")
            ids = pq.read_table(pa.BufferReader(content), columns=["event_id"])
            without_time = pa.nulls(ids.num_rows, pa.timestamp("us", "UTC"))
            self._insert("seen", ids.append_column("event_time", without_time), join=True)
        unknown, unknown_ids = self._examples("event_id NOT IN (SELECT event_id FROM seen)")
        early, early_ids = self._examples(
            "EXISTS (SELECT 1 FROM seen WHERE seen.event_id = labels.event_id AND seen.moment > labels.known)"
        )
        end = datetime(days[-1].year, days[-1].month, days[-1].day, tzinfo=UTC) + timedelta(days=1) if days else None
        return Found(
            unknown=unknown,
            unknown_examples=unknown_ids,
            early=early,
            early_examples=early_ids,
            since=since,
            scored_until=end,
        )

    def _insert(self, table: str, rows: pa.Table, *, join: bool = False) -> None:
        """Appends rows of (id, time); with `join`, only those whose id a label has."""
        limit = " WHERE added.event_id IN (SELECT event_id FROM labels)" if join else ""
        self._engine.register("added", rows)
        self._engine.execute(f"INSERT INTO {table} SELECT * FROM added{limit}")  # noqa: S608 - constants
        self._engine.unregister("added")

    def _examples(self, condition: str) -> tuple[int, tuple[str, ...]]:
        """The number of labels for which `condition` holds, and the first of their ids by name."""
        query = f"SELECT {{}} FROM labels WHERE {condition}"  # noqa: S608 - constants
        [(count,)] = self._engine.execute(query.format("count(*)")).fetchall()
        found: list[Any] = self._engine.execute(
            f"{query.format('DISTINCT event_id')} ORDER BY event_id LIMIT {EXAMPLES}"
        ).fetchall()
        return count, tuple(each for (each,) in found)
