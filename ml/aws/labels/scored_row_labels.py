"""Joins the index of scored rows with labels: known frauds, labelled alerts of the new pattern. Makes no verdict.

Uses both label channels: a finding of an analyst makes a fraud known earlier, and never makes more frauds than there
are; alerts may be judged by findings on alerts. Rows without a label are not returned.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ml.aws.labels import database, label_files
from ml.aws.lake import Lake
from ml.aws.object_cache import Listed, ObjectCache
from ml.aws.s3_objects import Entry
from ml.errors import DataError

_QUERY = """
WITH known AS (
    SELECT event_id, max(label) AS label FROM by_channel GROUP BY event_id
)
SELECT event_id, day, amount, decision, version, pattern, label FROM read_parquet($rows) JOIN known USING (event_id)
WHERE label = 1 OR (decision = 1 AND pattern = 'new')
"""


_COVERAGE = """
SELECT day, count(*), count(labelled.event_id) FROM read_parquet($rows) AS rows LEFT JOIN labelled USING (event_id)
WHERE version = $version GROUP BY day ORDER BY day
"""


def read(
    bucket: str,
    rows: Sequence[Listed],
    *,
    start: datetime,
    as_of: datetime,
    cache: Path | None,
    stored: Sequence[Entry] | None = None,
) -> pa.Table:
    """The rows of the index objects `rows` that are known frauds or labelled alerts of the new pattern.

    They have the index's columns and `label`, as they are known at `as_of`.

    Args:
        start: no row is older.
        cache: a folder that keeps the downloaded files for later calls; None keeps none.
        stored: what `store.listed` has returned; None lists the label files.

    Raises:
        CloudError: S3 refuses or cannot be reached.
        DataError: a label file has another schema.
    """
    with _joined(bucket, rows, start=start, as_of=as_of, cache=cache, stored=stored) as (connection, values):
        found: pa.Table = connection.sql(_QUERY, params=values).to_arrow_table()
        return found


def coverage(
    bucket: str,
    rows: Sequence[Listed],
    *,
    version: str,
    start: datetime,
    as_of: datetime,
    cache: Path | None,
    stored: Sequence[Entry] | None = None,
) -> dict[date, tuple[int, int]]:
    """By day: the rows of the index objects that the model `version` scored, and how many have a chargeback label.

    The other arguments and errors are those of `read`.
    """
    with _joined(bucket, rows, start=start, as_of=as_of, cache=cache, stored=stored) as (connection, values):
        found = connection.execute(_COVERAGE, values | {"version": version}).fetchall()
        return {day: (count, labelled) for day, count, labelled in found}


@contextmanager
def _joined(
    bucket: str,
    rows: Sequence[Listed],
    *,
    start: datetime,
    as_of: datetime,
    cache: Path | None,
    stored: Sequence[Entry] | None,
) -> Iterator[tuple[duckdb.DuckDBPyConnection, dict[str, Any]]]:
    """A database with the labels, and the parameters of a query: the paths of the index objects."""
    every = Lake(bucket).imports()
    used = {item.name for item in every if item.end >= start}
    with tempfile.TemporaryDirectory(prefix="fraudops-frauds-") as name:
        folder = Path(name)
        files = ObjectCache(cache or folder)
        labels = label_files.listed(bucket, start, imports={item.name for item in every}, used=used, stored=stored)
        known = [*files.paths(bucket, labels), label_files.no_labels(folder)]
        scored = files.paths(bucket, rows)
        connection = database.connect_temporary()
        try:
            database.add_labels(connection, known, label_files.micros(as_of))
            yield connection, {"rows": scored}
        except duckdb.Error as error:
            raise DataError(f"scored rows and labels cannot be joined: {error}") from error
        finally:
            connection.close()
