"""Opens the database in which rows and labels are joined: on disk, because there may be more than memory holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


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
