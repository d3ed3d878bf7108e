"""Decodes groups of captured lines in a thread pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from ml.aws.capture.decoder import Decoded, decode
from ml.aws.capture.line_stream import Block

WORKERS = 2
"""Opening a line holds Python's lock, reading columns does not: more than two would wait for each other."""
GROUP = 16 << 20
"""Bytes of lines that are read together, of however many objects; what a query costs is shared by so many rows."""


def decoded(blocks: Iterable[Block], inputs: Sequence[str], start: int, end: int) -> Iterator[Decoded]:
    """What lines hold, group by group in order, of requests answered from `start` to before `end`, in microseconds."""
    working: deque[Future[Decoded]] = deque()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="capture-decode") as threads:
        for group in _grouped(blocks):
            working.append(threads.submit(decode, group, inputs, start, end))
            if len(working) > WORKERS:
                yield working.popleft().result()
        while working:
            yield working.popleft().result()


def _grouped(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    group: list[Block] = []
    size = 0
    for block in blocks:
        group.append(block)
        size += len(block.data)
        if size >= GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group
