"""Puts transactions and an index of scored rows into a lake, for tests of what is joined with them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from ml.aws import s3_objects, scored_rows
from ml.aws.import_manifest import Source
from ml.aws.labels import store
from ml.aws.lake import Lake


def store_transactions(bucket: str, events: Mapping[str, datetime]) -> str:
    """Stores an import of these events, by id and time; returns the key of its file."""
    table = pa.table(
        {
            "event_id": pa.array(events.keys(), pa.string()),
            "event_time": pa.array(events.values(), pa.timestamp("us", "UTC")),
            "Amount": pa.array([1.0] * len(events)),
        }
    )
    stored = Lake(bucket).store(
        table,
        store.SCHEMA.empty_table(),
        source=Source(name="x", sha256="0" * 64, bytes=1),
        content_sha256=uuid4().hex * 2,
        duplicates=0,
        quarantined=0,
    )
    return stored.manifest.files[0].key


def store_scored_rows(bucket: str, endpoint: str, day: date, ids: Sequence[str]) -> None:
    """Stores a day of the index of scored rows."""
    rows = [{"event_id": each, "day": day, "amount": 1.0, "decision": 0, "version": "1", "pattern": ""} for each in ids]
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=scored_rows.SCHEMA), content)
    key = f"monitoring/{endpoint}/scored-rows/{day:%Y%m%d}.parquet"
    s3_objects.write(f"s3://{bucket}/{key}", content.getvalue(), "application/octet-stream")
