"""Lists and downloads the lake's label files, for joins on disk. Reads no label."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from ml.aws.labels import store
from ml.aws.object_cache import Listed, ObjectCache
from ml.aws.s3_objects import Entry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def listed(
    bucket: str,
    start: datetime,
    *,
    imports: Collection[str],
    used: Collection[str],
    stored: Sequence[Entry] | None = None,
) -> list[Listed]:
    """The label files that may label events from `start` on.

    Args:
        imports: the names of all imports of the lake.
        used: the names of the imports whose own labels count; those of other imports are left out.
        stored: what `store.listed` has returned; None lists the objects.
    """
    every = store.listed(bucket) if stored is None else stored
    over = {f"{store.PREFIX}/{name}/" for name in imports if name not in used}
    over |= {item.file.key for item in store.deliveries(bucket, every) if not item.concerns(start)}
    files = [Listed(key=key, etag=etag) for key, etag, _ in every if key.endswith(".parquet")]
    return [file for file in files if not file.key.startswith(tuple(over))]


def download(bucket: str, keys: Iterable[str], folder: Path) -> list[str]:
    """Downloads objects into the new folder `folder`; returns the paths."""
    folder.mkdir()
    return ObjectCache(folder).paths(bucket, [Listed(key=key, etag="") for key in keys])


def no_labels(folder: Path) -> str:
    """Writes an empty label file with every column to `folder`, so that a query needs no special case."""
    path = folder / "none.parquet"
    pq.write_table(store.DELIVERED_SCHEMA.empty_table(), path)
    return str(path)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment.astimezone(UTC) - _EPOCH) // (_EPOCH.resolution)
