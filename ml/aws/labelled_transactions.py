"""Reads the lake's transactions that have a label, joined on disk. Trains nothing and writes nothing to the lake."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from ml.aws.labels import database, label_files
from ml.aws.lake import Lake
from ml.aws.object_cache import Listed, ObjectCache
from ml.errors import DataError

LABEL, TIME = "label", "event_time"
# Of a repeated event one row counts.
_QUERY = """
WITH once AS (
    SELECT DISTINCT ON (event_id) event_id, {columns} FROM read_parquet($rows, union_by_name = true)
)
SELECT {columns}, label FROM once JOIN labelled USING (event_id) ORDER BY event_id
"""


def read(
    bucket: str, names: Sequence[str], *, start: datetime | None, end: datetime | None, as_of: datetime
) -> pa.Table:
    """The columns `names`, `event_time` and `label` of the labelled transactions of imports that overlap a window.

    Args:
        names: columns of the lake's transactions.
        start, end: the window, open where None; a chosen import counts as a whole.
        as_of: labels that are known later do not count.

    Raises:
        CloudError: S3 refuses or cannot be reached.
        DataError: no import overlaps the window, or one has other columns.
    """
    import duckdb

    every = Lake(bucket).imports()
    used = [item for item in every if item.overlaps(start, end)]
    if not used:
        raise DataError(f"s3://{bucket}/raw/ has no import in the window; import data with `fraudops data import`")
    for item in used:
        missing = sorted(set(names) - {*item.columns, *(name for source in item.sources for name in source.kept)})
        if missing:
            raise DataError(
                f"import {item.name} has no column {', '.join(missing)}; import its files again with this data.yaml, "
                f"or choose a window without it"
            )
    raw = [Listed(key=file.key, etag="") for item in used for file in item.files if file.key.startswith("raw/")]
    first = min(item.start for item in used)
    labels = label_files.listed(bucket, first, imports={item.name for item in every}, used={item.name for item in used})
    with tempfile.TemporaryDirectory(prefix="fraudops-profile-") as name:
        folder = Path(name)
        (folder / "objects").mkdir()
        cache = ObjectCache(folder / "objects")
        rows = cache.paths(bucket, raw)
        known = [*cache.paths(bucket, labels), label_files.no_labels(folder)]
        columns = ", ".join('"' + column.replace('"', '""') + '"' for column in (TIME, *names))
        engine = database.connect_temporary()
        try:
            database.add_labels(engine, known, label_files.micros(as_of))
            return engine.sql(_QUERY.format(columns=columns), params={"rows": rows}).to_arrow_table()
        except duckdb.Error as error:
            raise DataError(f"the lake's transactions and labels cannot be joined: {error}") from error
        finally:
            engine.close()
