"""Streams captured S3 objects as whole lines, with a bounded read-ahead.

Objects are fetched in ranges: memory holds at most `AHEAD` ranges and one line, whatever the size of the window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from ml.aws import session
from ml.aws.capture.captured_lines import RANGE, Block, CapturedObject, whole_lines

AHEAD = 6
"""Ranges fetched ahead of the consumer."""


def blocks(bucket: str, found: Iterator[CapturedObject]) -> Iterator[Block]:
    """The lines of the objects `found`, object by object; each block is at most a range and a line long.

    Raises:
        CloudError: S3 refuses or cannot be reached, or an object was replaced while it was read.
    """
    return whole_lines(_ranges(bucket, found))


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
