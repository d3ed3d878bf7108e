"""Looks up the labels of given events, as training would count them. Writes nothing to the lake."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ml.aws.labels import database, label_files
from ml.aws.labels.join import label_keys
from ml.errors import DataError


def read(bucket: str, event_ids: Sequence[str], *, start: datetime, as_of: datetime) -> dict[str, int]:
    """The labels of `event_ids` that are known at `as_of`; events without one are left out.

    Fraud in either channel is fraud. An event that only analysts have labelled has no label: they see alerts alone, so
    their findings would favour the model that raised them.

    Args:
        start: no event is older.

    Raises:
        CloudError: S3 refuses or cannot be reached.
        DataError: a label file has another schema.
    """
    import duckdb
    import pyarrow as pa

    with tempfile.TemporaryDirectory(prefix="fraudops-known-") as name:
        folder = Path(name)
        paths = label_files.download(bucket, label_keys(bucket, start), folder / "labels")
        connection = database.connect_temporary()
        try:
            database.add_labels(connection, [*paths, label_files.no_labels(folder)], label_files.micros(as_of))
            connection.register("wanted", pa.table({"event_id": pa.array(event_ids, pa.string())}))
            rows = connection.execute("SELECT DISTINCT event_id, label FROM wanted JOIN labelled USING (event_id)")
            return {event_id: int(label) for event_id, label in rows.fetchall()}
        except duckdb.Error as error:
            raise DataError(f"scored rows and labels cannot be joined: {error}") from error
        finally:
            connection.close()
