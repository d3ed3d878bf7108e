"""Streams captured S3 objects as whole lines, with a bounded read-ahead.

Objects are fetched in ranges: memory holds at most `AHEAD` ranges and one line, whatever the size of the window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ml.aws import session
from ml.aws.capture.object_listing import CapturedObject

RANGE = 2 << 20
"""Bytes of one request to S3."""
AHEAD = 6
"""Ranges fetched ahead of the consumer."""
LONGEST_LINE = 80 << 20
"""A request and an answer of 25 MB each in base64, plus a margin; SageMaker writes no longer line."""
_OVERLONG_BYTES = 4096  # how much of an overlong line goes to the dead letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Whole lines of one object, in order; or (`overlong`) the start of one line beyond LONGEST_LINE."""

    source: CapturedObject
    first: int
    """The number of the first line in its object, counted from 1."""
    data: bytes
    overlong: bool = False


def blocks(bucket: str, found: Iterator[CapturedObject]) -> Iterator[Block]:
    """The lines of the objects `found`, object by object; each block is at most a range and a line long.

    Raises:
        CloudError: S3 refuses or cannot be reached, or an object was replaced while it was read.
    """
    source: CapturedObject | None = None
    rest, line, skipping = b"", 1, False
    for item, data in _ranges(bucket, found):
        if item is not source:
            if source is not None and rest:
                yield Block(source=source, first=line, data=rest)
            source, rest, line, skipping = item, b"", 1, False
        cut = data.rfind(b"\n") + 1
        if not cut:
            if skipping:
                continue
            rest += data
            if len(rest) > LONGEST_LINE:
                yield Block(source=item, first=line, data=rest[:_OVERLONG_BYTES], overlong=True)
                rest, skipping, line = b"", True, line + 1
            continue
        start = data.find(b"\n") + 1 if skipping else 0
        skipping = False
        if cut > start:
            whole = rest + data[start:cut]
            yield Block(source=item, first=line, data=whole)
            line += whole.count(b"\n")
        rest = data[cut:]
    if source is not None and rest:
        yield Block(source=source, first=line, data=rest)


def _ranges(bucket: str, found: Iterator[CapturedObject]) -> Iterator[tuple[CapturedObject, bytes]]:
    """Every range of every object in order, fetched by several threads."""
    wanted = ((item, start) for item in found for start in range(0, item.bytes, RANGE))
    waiting: deque[tuple[CapturedObject, Future[bytes]]] = deque()
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="capture-fetch") as threads:
        try:
            for item, start in wanted:
                waiting.append((item, threads.submit(_fetch, bucket, item, start)))
                if len(waiting) >= AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _fetch(bucket: str, item: CapturedObject, start: int) -> bytes:
    """One range of one version of the object. A broken connection is retried."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

    def once() -> bytes:
        response = session.client("s3").get_object(
            Bucket=bucket,
            Key=item.key,
            Range=f"bytes={start}-{min(start + RANGE, item.bytes) - 1}",
            IfMatch=item.etag,
        )
        data: bytes = response["Body"].read()
        return data

    retrying = Retrying(
        retry=retry_if_exception_type((HTTPClientError, IncompleteReadError)),
        stop=stop_after_attempt(5),
        wait=wait_exponential_jitter(multiplier=0.1, max=5),
        reraise=True,
    )
    with session.explained(f"reading s3://{bucket}/{item.key}"):
        return retrying(once)
