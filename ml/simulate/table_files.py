"""Writes tables as CSV, gzipped CSV or Parquet; the same table gives the same bytes."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ml import atomic_file
from ml.errors import FraudopsError

ENDINGS = (".csv", ".csv.gz", ".parquet")
"""The supported file name endings."""


def write(path: Path, table: pa.Table) -> int:
    """Writes `table` atomically to `path` in the format of its ending; returns the number of bytes.

    Raises:
        FraudopsError: the ending is not supported, or the file cannot be written.
    """
    data = _encoded(path, table)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file.replacing(path) as draft:
            draft.write_bytes(data)
    except OSError as error:
        raise FraudopsError(f"{path}: cannot be written ({error.strerror}); choose another path") from error
    return len(data)


def _encoded(path: Path, table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    if path.suffix == ".parquet":
        pq.write_table(table, buffer, row_group_size=100_000, compression="snappy", use_dictionary=False)
        return buffer.getvalue()
    if path.suffix == ".csv" or path.suffixes[-2:] == [".csv", ".gz"]:
        pyarrow.csv.write_csv(_iso(table), buffer)
        text = buffer.getvalue()
        return text if path.suffix == ".csv" else gzip.compress(text, compresslevel=6, mtime=0)
    raise FraudopsError(f"{path}: must end in {', '.join(ENDINGS)}")


def _iso(table: pa.Table) -> pa.Table:
    """`table` with its times as ISO 8601 text: Arrow would put a blank where the T belongs."""
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            text = pc.strftime(table.column(position).cast(pa.timestamp("s", "UTC")), "%Y-%m-%dT%H:%M:%SZ")
            table = table.set_column(position, field.name, text)
    return table
