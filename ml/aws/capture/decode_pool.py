"""Decodes groups of captured lines in a thread pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from ml.aws.capture.decoder import Decoded, decode
from ml.aws.capture.line_stream import Block

WORKERS = 2
"""Opening lines holds the GIL, decoding columns does not: more threads than this would wait for each other."""
GROUP = 16 << 20
"""Bytes of lines that are decoded together; the cost of a DuckDB query is shared by that many rows."""


def decoded(blocks: Iterable[Block], inputs: Sequence[str], start: int, end: int) -> Iterator[Decoded]:
    """The decoded groups, in order, of requests answered from `start` to before `end` (microseconds since 1970)."""
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
