"""Reads parts of an S3 object as a seekable file, so that a few columns of a Parquet file need no whole download."""

from __future__ import annotations

import io

from ml.aws import session


class RangeReader(io.RawIOBase):
    """The object `key` of `bucket`, which has `size` bytes. Each read is one ranged request.

    Raises:
        CloudError: by `read`: S3 refuses or cannot be reached.
    """

    def __init__(self, bucket: str, key: str, size: int) -> None:
        super().__init__()
        self._bucket, self._key, self._size, self._at = bucket, key, size, 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position of the next read, in bytes from the start."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to `offset`, as files do; returns the new position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes from the position on; all that are left if it is negative, none at the end."""
        end = self._size if size < 0 else min(self._size, self._at + size)
        if end <= self._at:
            return b""
        with session.explained(f"reading s3://{self._bucket}/{self._key}"):
            answer = session.client("s3").get_object(
                Bucket=self._bucket, Key=self._key, Range=f"bytes={self._at}-{end - 1}"
            )
            data: bytes = answer["Body"].read()
        self._at += len(data)
        return data
