"""Joins labels that have come since a counting job with the rows that the job has left: no job starts for them.

A window is checked again when label files have come, and its traffic is the same then. The counts of the traffic are
those of the job. Rows and labels are joined again: any label may have been corrected, and any day may have matured.
Runs in the workflow's process, in the bounded memory of the merge. Calls no service and makes no verdict.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from ml.aws.capture.summary_request import SummaryRequest
from ml.shards import bucket_files, label_buckets, merge
from ml.shards.instance_files import Read
from ml.shards.merge import Labels, Merged
from ml.spark import raw_rows, traffic


def join(
    request: SummaryRequest,
    names: Iterable[str],
    read: Read,
    labels: Iterable[tuple[str, Path]],
    *,
    as_of: datetime,
    min_coverage: float,
    min_age_days: float,
) -> Merged:
    """What a new job would count of the same traffic, with these labels.

    Args:
        request: that of the job.
        names, read: the files that its instances have left, as in `merge.merge`.
        labels: every file that a new job would read: its URI, for messages, and where it is.
        as_of, min_coverage, min_age_days: in place of those of the job.

    Raises:
        OtherVersion, IncompleteFiles: as in `merge.merge`.
        DataError: a label file has another schema or bad values.
    """
    asked = replace(request, as_of=as_of, min_coverage=min_coverage, min_age_days=min_age_days)
    with tempfile.TemporaryDirectory(prefix="fraudops-new-labels-") as name:
        folder = Path(name)

        def in_buckets(count: int) -> Labels:
            label_buckets.write(folder, labels, count=count, as_of=as_of)
            return of_bucket

        def of_bucket(bucket: int) -> Iterator[pa.Table]:
            file = folder / bucket_files.name(traffic.LABELS, bucket)
            if file.exists():
                yield from map(raw_rows.unpacked, bucket_files.pieces(file.read_bytes()))

        return merge.merge(asked, names, read, labels=in_buckets)
