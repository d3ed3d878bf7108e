"""Imports in a lake, for the tests of what is stored and of what a training run reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from ml.aws import lake as lake_module
from ml.aws import s3_objects
from ml.aws.import_manifest import Source
from ml.aws.lake import Lake
from ml.aws.session import client

DAY = datetime(2026, 3, 1, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")


def tables(rows: int = 4, *, start: datetime = DAY, names: tuple[str, ...] = ("Time", "V1", "Amount")) -> Any:
    """Transactions, one a minute, and their labels; the last one is a fraud."""
    ids = pa.array([f"id-{row}" for row in range(rows)])
    times = pa.array([start + timedelta(minutes=row) for row in range(rows)], TIME)
    values = {name: pa.array([float(row + position) for row in range(rows)]) for position, name in enumerate(names)}
    labels = pa.array([0] * (rows - 1) + [1], pa.int8())
    return (
        pa.table({"event_id": ids, "event_time": times, **values}),
        pa.table({"event_id": ids, "label": labels, "known_at": times}),
    )


def store(lake: Lake, made: Any = None, content: str = "ab" * 32, name: str = "a.csv") -> lake_module.Stored:
    """Stores `made` under the digest `content`."""
    transactions, labels = made or tables()
    source = Source(name=name, bytes=10, sha256="cd" * 32)
    return lake.store(transactions, labels, source=source, content_sha256=content, duplicates=1, quarantined=2)


def keys(lake: Lake) -> list[str]:
    """Every key in the bucket."""
    return sorted(item["Key"] for item in client("s3").list_objects_v2(Bucket=lake.bucket).get("Contents", []))


def content_of(lake: Lake, key: str) -> bytes:
    """The object at `key`."""
    return s3_objects.read(f"s3://{lake.bucket}/{key}")
