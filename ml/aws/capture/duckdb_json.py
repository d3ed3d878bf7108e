"""Parses columns of JSON texts with DuckDB."""

from __future__ import annotations

import threading
from typing import Any

import pyarrow as pa

_connections = threading.local()


class NotUniform(Exception):
    """Some text has another form than the fast decoder expects; decode one by one instead."""


def query(sql: str, texts: pa.Array) -> pa.Table:
    """Runs `sql` on the table `texts` with the one column `text`; the order is kept.

    Raises:
        NotUniform: the query fails on some text.
    """
    import duckdb

    connection = _connection()
    connection.register("texts", pa.table({"text": texts}))
    try:
        return connection.sql(sql).to_arrow_table()
    except duckdb.Error as error:  # decoding one by one finds which text it is
        raise NotUniform from error
    finally:
        connection.unregister("texts")


def sql_literal(text: str) -> str:
    """`text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _connection() -> Any:
    """This thread's in-memory DuckDB, without access to files or network."""
    import duckdb

    if not hasattr(_connections, "own"):
        connection = duckdb.connect(":memory:", config={"threads": "1", "memory_limit": "512MB"})
        connection.execute("SET autoinstall_known_extensions = false; SET enable_external_access = false")
        connection.execute("SET arrow_large_buffer_size = false; SET produce_arrow_string_view = false")
        _connections.own = connection
    return _connections.own
