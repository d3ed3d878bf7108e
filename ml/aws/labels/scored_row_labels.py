"""Joins the index of scored rows with labels: known frauds, and labelled alerts of the new pattern. Makes no verdict.

Uses both label channels: a finding of an analyst makes a fraud known earlier, and never makes more frauds than there
are; alerts may be judged by findings on alerts. Rows without a label are not returned.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.aws.labels import label_files
from ml.aws.lake import Lake
from ml.errors import DataError

_QUERY = """
WITH by_channel AS (
    SELECT event_id, coalesce(channel = 'analyst', false) AS analyst,
        arg_max(label, 2 * epoch_us(known_at)::HUGEINT + label) AS label
    FROM read_parquet($labels, union_by_name = true) WHERE epoch_us(known_at) <= $as_of GROUP BY ALL
), known AS (
    SELECT event_id, max(label) AS label FROM by_channel GROUP BY event_id
)
SELECT event_id, day, amount, decision, version, pattern, label FROM read_parquet($rows) JOIN known USING (event_id)
WHERE label = 1 OR (decision = 1 AND pattern = 'new')
"""


def read(bucket: str, rows: Sequence[str], *, start: datetime, as_of: datetime) -> pa.Table:
    """The rows of the index objects `rows` (keys) that are known frauds or labelled alerts of the new pattern.

    They have the index's columns and `label`, as they are known at `as_of`.

    Args:
        start: no row is older.

    Raises:
        CloudError: S3 refuses or cannot be reached.
        DataError: a label file has another schema.
    """
    recent = {item.name for item in Lake(bucket).imports() if item.end >= start}
    with tempfile.TemporaryDirectory(prefix="fraudops-frauds-") as name:
        folder = Path(name)
        labels = label_files.download(bucket, label_files.keys(bucket, start, imports=recent), folder / "labels")
        values = {
            "labels": [*labels, label_files.no_labels(folder)],
            "rows": label_files.download(bucket, rows, folder / "rows"),
            "as_of": label_files.micros(as_of),
        }
        connection = duckdb.connect(str(folder / "join.duckdb"), config={"memory_limit": "1GB", "threads": "2"})
        try:
            connection.execute("SET autoinstall_known_extensions = false; SET preserve_insertion_order = false")
            found: pa.Table = connection.sql(_QUERY, params=values).to_arrow_table()
        except duckdb.Error as error:
            raise DataError(f"scored rows and labels cannot be joined: {error}") from error
        finally:
            connection.close()
        return found
