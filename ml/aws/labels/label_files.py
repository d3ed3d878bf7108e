"""Lists and downloads the lake's label files, for joins on disk. Reads no label."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from ml.aws import session
from ml.aws.labels.store import DELIVERED_SCHEMA, PREFIX, deliveries
from ml.aws.lake import Lake

_CHUNK = 8 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def keys(bucket: str, start: datetime, *, imports: Collection[str]) -> list[str]:
    """The label files that may label events from `start` on.

    Args:
        imports: the names of the imports whose own labels count; those of other imports are left out.
    """
    over = {f"{PREFIX}/{item.name}/" for item in Lake(bucket).imports() if item.name not in imports}
    over |= {item.file.key for item in deliveries(bucket) if not item.concerns(start)}
    return [key for key in _keys(bucket, f"{PREFIX}/") if not key.startswith(tuple(over))]


def download(bucket: str, keys: Iterable[str], folder: Path) -> list[str]:
    """Downloads objects into the new folder `folder`; returns the paths."""
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


def no_labels(folder: Path) -> str:
    """Writes an empty label file with every column to `folder`, so that a query needs no special case."""
    path = folder / "none.parquet"
    pq.write_table(DELIVERED_SCHEMA.empty_table(), path)
    return str(path)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment.astimezone(UTC) - _EPOCH) // (_EPOCH.resolution)


def _keys(bucket: str, prefix: str) -> list[str]:
    with session.explained(f"listing s3://{bucket}/{prefix}"):
        pages = session.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", []) if item["Key"].endswith(".parquet")]
