"""Decodes groups of captured lines in a thread pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice

from ml.aws.capture.captured_lines import Block
from ml.aws.capture.decoder import DecodedGroup, decode
from ml.aws.capture.text_inputs import NO_TEXT, TextInputs

WORKERS = 2
"""Decoding envelopes holds the GIL, decoding columns does not: more than two threads would wait for each other."""
GROUP = 6 << 20
"""Bytes of lines decoded together, from any number of objects; their rows share the fixed cost of a query."""


def decode_concurrently(
    blocks: Iterable[Block], inputs: Sequence[str], start: int, end: int, texts: TextInputs = NO_TEXT
) -> Iterator[DecodedGroup]:
    """Decodes requests answered from `start` to before `end` (microseconds since 1970), group by group, in order.

    A single group, such as that of a day, is decoded in the caller's thread, whose database is kept for the next call.
    """
    groups = _grouped(blocks)
    known = list(islice(groups, 2))
    if len(known) < 2:
        yield from (decode(group, inputs, start, end, texts) for group in known)
        return
    running: deque[Future[DecodedGroup]] = deque()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="capture-decode") as threads:
        for group in chain(known, groups):
            running.append(threads.submit(decode, group, inputs, start, end, texts))
            if len(running) > WORKERS:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


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
