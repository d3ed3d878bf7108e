"""Reads the captured traffic of a window as arrays, in bounded memory; counts everything that it drops.

A row belongs to the window in which its request was answered (`inferenceTime`, which also decides the hour of the
capture file): requests carry no other time. Computes no verdict. Writes only dead letters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from ml.aws import s3_objects
from ml.aws.capture import line_stream, object_listing
from ml.aws.capture.captured_batches import BATCH_ROWS, CapturedBatches
from ml.aws.capture.captured_lines import CapturedObject
from ml.aws.capture.text_inputs import NO_TEXT, TextInputs


def read(
    bucket: str,
    endpoint: str,
    start: datetime,
    end: datetime,
    *,
    inputs: Sequence[str],
    texts: TextInputs = NO_TEXT,
    batch_rows: int = BATCH_ROWS,
) -> CapturedBatches:
    """Reads the requests to `endpoint` answered from `start` (included) to `end` (not). Iterate over the result once.

    A request near the end of an hour may be filed under the next hour, so the partitions next to the window are read
    too. Requests of smoke tests are left out and counted; unreadable lines are counted and stored as dead letters under
    monitoring/unreadable/.

    Args:
        inputs: the model's inputs in its order; a row without names has them in this order.
        texts: which of them are text, and how it becomes numbers.
        batch_rows: the minimum number of rows of a batch; the last ones may be smaller.

    Raises (during iteration):
        CloudError: S3 refuses or cannot be reached.
    """
    from ml.aws.capture.dead_letter_writer import DeadLetterWriter

    return CapturedBatches(
        list_objects(bucket, endpoint, start, end),
        partial(line_stream.blocks, bucket),
        DeadLetterWriter(bucket, s3_objects.write),
        (start, end),
        inputs=inputs,
        texts=texts,
        batch_rows=batch_rows,
    )


def list_objects(bucket: str, endpoint: str, start: datetime, end: datetime) -> Iterator[CapturedObject]:
    """The objects that may hold requests answered from `start` (included) to `end` (not).

    Raises (during iteration):
        CloudError: S3 refuses or cannot be reached.
    """
    first = object_listing.hour_of(start) - object_listing.HOUR
    return object_listing.list_objects(bucket, endpoint, first, end + object_listing.HOUR)
