"""Reads ids and times of the lake's transactions, without their other columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from ml.aws.import_manifest import ImportManifest
from ml.aws.range_reader import RangeReader
from ml.errors import DataError

SCHEMA = pa.schema([("event_id", pa.string()), ("event_time", pa.timestamp("us", "UTC"))])


def read(
    bucket: str, imports: Iterable[ImportManifest], start: datetime | None, end: datetime | None
) -> Iterator[pa.Table]:
    """The transactions of those `imports` that may have events from `start` (included) to `end` (not), file by file.

    The tables have the columns of `SCHEMA`, and also events outside the window. Other columns are not read from S3.

    Raises:
        CloudError: S3 refuses or cannot be reached.
        DataError: a file has another schema.
    """
    for item in imports:
        if not item.overlaps(start, end):
            continue
        for file in item.files:
            if not file.key.startswith("raw/"):
                continue
            try:
                source = RangeReader(bucket, file.key, file.bytes)
                yield pq.read_table(source, columns=SCHEMA.names, pre_buffer=True).cast(SCHEMA)
            except (pa.ArrowException, ValueError) as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise DataError(
                    f"s3://{bucket}/{file.key}: is not a file of transactions ({reason}); import its source again"
                ) from error
