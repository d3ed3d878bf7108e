"""Parses columns of JSON texts with DuckDB."""

from __future__ import annotations

import threading
from typing import Any

import pyarrow as pa

_connections = threading.local()


class NotPlain(Exception):
    """Some of the texts must be decoded one by one."""


def query(sql: str, texts: pa.Array) -> pa.Table:
    """The result of `sql` on the table `texts` with the one column `text`, in order.

    Raises:
        NotPlain: a text is not of the form that the query expects.
    """
    import duckdb

    connection = _connection()
    connection.register("texts", pa.table({"text": texts}))
    try:
        return connection.sql(sql).to_arrow_table()
    except duckdb.Error as error:  # decoding one by one finds the text
        raise NotPlain from error
    finally:
        connection.unregister("texts")


def quoted(text: str) -> str:
    """A literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _connection() -> Any:
    """A DuckDB connection for this thread, in memory, without access to files or network."""
    import duckdb

    if not hasattr(_connections, "own"):
        connection = duckdb.connect(":memory:", config={"threads": "1", "memory_limit": "512MB"})
        connection.execute("SET autoinstall_known_extensions = false; SET enable_external_access = false")
        connection.execute("SET arrow_large_buffer_size = false; SET produce_arrow_string_view = false")
        _connections.own = connection
    return _connections.own
