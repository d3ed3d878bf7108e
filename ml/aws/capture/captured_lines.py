"""Cuts captured objects into whole lines. Pure: the callers fetch the objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

PREFIX = "capture"
RANGE = 2 << 20
"""Bytes of an object that are read together."""
LONGEST_LINE = 80 << 20
"""A request and an answer of 25 MB each in base64, plus a margin; SageMaker writes no longer line."""
_OVERLONG_BYTES = 4096  # how much of an overlong line goes to the dead letter


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedObject:
    """One file of captured requests: its key, its size in bytes, its version, and the hour it is filed under."""

    key: str
    bytes: int
    etag: str
    hour: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Whole lines of one object, in order; or (`overlong`) the start of one line beyond LONGEST_LINE."""

    source: CapturedObject
    first: int
    """The number of the first line in its object, counted from 1."""
    data: bytes
    overlong: bool = False


def whole_lines(ranges: Iterable[tuple[CapturedObject, bytes]]) -> Iterator[Block]:
    """The lines of objects whose consecutive ranges are given; each block is at most a range and a line long."""
    source: CapturedObject | None = None
    rest, line, skipping = b"", 1, False
    for item, data in ranges:
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
