"""Writes the labels of files into the files of their buckets, in bounded memory: in a counting job, and again when new
labels have come. Calls no service.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from ml.aws.labels.join_tables import JoinTables
from ml.shards.bucket_files import BucketFiles
from ml.spark import traffic

_LABEL_ROWS = 1 << 18


def write(folder: Path, files: Iterable[tuple[str, Path]], *, count: int, as_of: datetime) -> None:
    """Writes the labels known at `as_of` below `folder`.

    Args:
        files: of each Parquet file of labels, its URI for messages, and where it is. A file is read before the next
            one is asked for.
        count: the number of buckets.

    Raises:
        DataError: a file has another schema or bad values.
    """
    made = BucketFiles(folder, traffic.LABELS, count)
    for where, file in files:
        with tempfile.TemporaryDirectory() as database, JoinTables(Path(database), ()) as tables:
            tables.start_labels()
            tables.add_label_file(file, where, as_of)
            for table in tables.labels(_LABEL_ROWS):
                made.add(table)
    made.flush()
