"""Files in which instances hand rows and labels over to the merge: one for each bucket of a hash of their ids.

An id has the same bucket on every instance, so that a bucket's files hold all that is to be joined. A file is a
sequence of tables in Arrow's form, each compressed and with its length in front.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from ml.aws.capture.summary_request import SummaryRequest
from ml.spark import traffic

_BUCKET_BYTES = 256 << 20
"""Captured bytes for one bucket: some 400,000 rows, 30 MB of them."""
_PENDING_BYTES = 64 << 20
_HEADER = struct.Struct("<QQ")
_CODEC = pa.Codec("zstd", compression_level=1)


def buckets(request: SummaryRequest) -> int:
    """How many buckets the rows and labels of a window have.

    More instances make no more buckets: the merge reads a file for each instance and bucket.
    """
    return max(1, -(-sum(item.bytes for item in request.objects) // _BUCKET_BYTES))


def name(kind: str, bucket: int) -> str:
    """The file of a bucket, below the folder of the instance."""
    return f"{kind}/{bucket:06d}.arrows"


class BucketFiles:
    """Writes tables of one kind, whose column `id` is text, into the files of their buckets below `folder`."""

    def __init__(self, folder: Path, kind: str, count: int) -> None:
        self._folder, self._kind, self._count = folder, kind, count
        self._pending: list[pa.Table] = []
        self._bytes = 0

    def add(self, table: pa.Table) -> None:
        """Adds rows; writes when many are pending, so that a piece of a file is large."""
        self._pending.append(table)
        self._bytes += table.nbytes
        if self._bytes >= _PENDING_BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes what is pending."""
        if self._pending:
            for bucket, content in traffic.by_bucket(self._count, pa.concat_tables(self._pending)):
                file = self._folder / name(self._kind, bucket)
                file.parent.mkdir(parents=True, exist_ok=True)
                compressed = _CODEC.compress(content, asbytes=True)
                with file.open("ab") as target:
                    target.write(_HEADER.pack(len(content), len(compressed)) + compressed)
        self._pending, self._bytes = [], 0


def pieces(content: bytes) -> Iterator[bytes]:
    """The tables of a file, each as `ml.spark.raw_rows.unpacked` takes it."""
    place = 0
    while place < len(content):
        size, length = _HEADER.unpack_from(content, place)
        place += _HEADER.size
        yield _CODEC.decompress(content[place : place + length], size, asbytes=True)
        place += length
