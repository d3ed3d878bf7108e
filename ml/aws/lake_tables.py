"""Checks the tables of the lake, and writes them as Parquet, equal tables as equal bytes. Calls no service."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from ml.aws.labels import store as deliveries
from ml.errors import DataError

FILE_BYTES = 512 << 20
"""Approximate maximum size of a file of transactions: one upload request, and small enough to distribute."""
TIME = pa.timestamp("us", "UTC")
_ROWS_PER_GROUP = 100_000


def check(transactions: pa.Table, labels: pa.Table) -> tuple[str, ...]:
    """Checks the tables of a source file; returns the names of the columns that are kept as text.

    The order is the id, the event's time, the columns that are kept, inputs that are numbers, inputs that are text.

    Raises:
        DataError: a table has another schema, there is no transaction, or there are more labels than transactions.
    """
    names = transactions.column_names[2:]

    def text(name: str) -> bool:
        return bool(transactions.schema.field(name).type == pa.string())

    kept = tuple(itertools.takewhile(text, names))
    categories = list(itertools.takewhile(text, reversed(names[len(kept) :])))[::-1]
    numbers = names[len(kept) : len(names) - len(categories)]
    fields = [(name, pa.float64() if name in numbers else pa.string()) for name in names]
    expected = pa.schema([("event_id", pa.string()), ("event_time", TIME), *fields])
    for table, schema in ((transactions, expected), (labels, deliveries.SCHEMA)):
        if not table.schema.equals(schema):
            raise DataError(f"the lake accepts only the columns {schema.names} as {schema.types} (got {table.schema})")
    if not transactions.num_rows or transactions.num_rows < labels.num_rows:
        raise DataError(
            f"the lake accepts at most one label per transaction (got {labels.num_rows} for {transactions.num_rows})"
        )
    return kept


def parts_of(stem: str, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The key and the rows of each file of a table: one, or several of FILE_BYTES."""
    rows = max(1, FILE_BYTES // (8 * table.num_columns))
    if table.num_rows <= rows:
        yield f"{stem}.parquet", table
        return
    for number, start in enumerate(range(0, table.num_rows, rows)):
        yield f"{stem}-{number:04d}.parquet", table.slice(start, rows)


def to_parquet(table: pa.Table) -> bytes:
    """The table as Parquet; equal tables give equal bytes: no times and no metadata except the writer's version."""
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(None),
        buffer,
        row_group_size=_ROWS_PER_GROUP,
        compression="snappy",  # every reader supports it; other codecs hardly compress measurements better
        use_dictionary=False,
    )
    return buffer.getvalue()


def rows_of(data: bytes) -> int:
    """The number of rows in the file's footer."""
    rows: int = pq.read_metadata(pa.BufferReader(data)).num_rows
    return rows
