"""Opens the database in which rows and labels are joined: on disk, because there may be more than memory holds."""

from __future__ import annotations

import functools
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


_BY_CHANNEL = """
CREATE TEMP TABLE by_channel AS
SELECT event_id, coalesce(channel = 'analyst', false) AS analyst,
    arg_max(label, 2 * epoch_us(known_at)::HUGEINT + label) AS label
FROM read_parquet($labels, union_by_name = true) WHERE epoch_us(known_at) <= $as_of GROUP BY ALL
"""
_LABELLED = """
CREATE TEMP VIEW labelled AS
SELECT event_id, max(label) AS label FROM by_channel GROUP BY event_id HAVING bool_or(NOT analyst)
"""


def connect(folder: Path, *, memory: str = "1GB") -> duckdb.DuckDBPyConnection:
    """A new database in `folder`, which the caller closes. It downloads no extension and keeps no order of rows.

    Args:
        memory: how much it may hold before it writes to disk, as DuckDB's `memory_limit`.
    """
    import duckdb

    connection = duckdb.connect(
        str(folder / "labels.duckdb"),
        config={"memory_limit": memory, "threads": "2", "preserve_insertion_order": "false"},
    )
    connection.execute("SET autoinstall_known_extensions = false")
    return connection


def connect_temporary() -> duckdb.DuckDBPyConnection:
    """A connection for temporary tables, which the caller closes; no other connection sees them.

    All are connections to one database, because opening one takes twenty milliseconds, and a year is looked at daily.
    More than its memory of 1 GB holds is written to disk below the system's folder for temporary files.
    """
    return _shared().cursor()


@functools.cache
def _shared() -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": "1GB",
            "threads": "2",
            "preserve_insertion_order": "false",
            # DuckDB makes this folder when it needs it, and removes it at the end.
            "temp_directory": str(Path(tempfile.gettempdir()) / f"fraudops-duckdb-{uuid.uuid4().hex}"),
        },
    )
    connection.execute("SET autoinstall_known_extensions = false")
    return connection


def add_labels(connection: duckdb.DuckDBPyConnection, files: Sequence[str], as_of: int) -> None:
    """Makes the table `by_channel` and the view `labelled` of label files, with the labels that count in training.

    `by_channel` (`event_id`, `analyst`, `label`): of an event's labels in a channel the latest, fraud at equal times.
    `labelled` (`event_id`, `label`): the events with a label. Fraud in either channel is fraud; an event that only
    analysts have labelled has none.

    Args:
        as_of: microseconds since 1970; labels that are known later do not count.
    """
    connection.execute(_BY_CHANNEL, {"labels": list(files), "as_of": as_of})
    connection.execute(_LABELLED)
