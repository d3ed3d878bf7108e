"""Opens a file of transactions (local or S3; CSV, gzipped CSV or Parquet) with the reader for its format.

Rejects only faults of the file as a whole. Reports faults of rows and decides nothing about them.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

from ml.aws import s3_objects
from ml.errors import DataError
from ml.ingest import csv, parquet
from ml.ingest.table import Content
from ml.model.training_settings import Columns

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_ZIP = b"PK\x03\x04"
_CHUNK_BYTES = 1 << 20
_GZIP_HEADER = 16  # added to zlib's window bits: expect a gzip header, and check the digest at the end


def read(path: str, columns: Columns) -> Content:
    """Reads every row of the file at `path` (local or s3://), valid or not, in the file's order.

    The first bytes decide the format. A name that ends in .parquet, .pq or .gz must agree with them.

    Raises:
        DataError: the file is missing, empty, damaged, in another encoding or format, or has other columns than
            `columns`. The message has the file, the line if there is one, and what to do.
        CloudError: S3 denies access or cannot be reached.
    """
    data = s3_objects.read(path) if path.startswith(s3_objects.SCHEME) else _local(path)
    if not data:
        raise DataError(f"{path}: is empty (0 bytes); give a file with a header and rows")
    digest = hashlib.sha256(data).hexdigest()
    suffix = Path(path).suffix.lower()
    if data.startswith(_ZIP):
        raise DataError(f"{path}: is a zip archive; unpack it and give the file inside")
    if suffix in (".parquet", ".pq") and not data.startswith(_PARQUET):
        raise DataError(f"{path}: is not Parquet (its first bytes are {data[:4]!r}); export it again or rename it")
    if suffix == ".gz" and not data.startswith(_GZIP):
        raise DataError(f"{path}: is not gzip (its first bytes are {data[:4]!r}); compress it again or rename it")
    text = _decompress(path, data) if data.startswith(_GZIP) else data
    reader = parquet.read if text.startswith(_PARQUET) else csv.read
    frame, faults, raw = reader(path, text, columns)
    return Content(path=path, bytes=len(data), sha256=digest, frame=frame, faults=faults, raw=raw)


def _local(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give the path of a CSV or Parquet file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a readable file") from error


def _decompress(path: str, data: bytes) -> bytes:
    """Decompresses `data`, all members of it (`cat a.gz b.gz` gives two)."""
    parts: list[bytes] = []
    view, at, member = memoryview(data), 0, None
    try:
        while at < len(view):
            if member is None:
                member = zlib.decompressobj(wbits=zlib.MAX_WBITS | _GZIP_HEADER)
            chunk = view[at : at + _CHUNK_BYTES]
            parts.append(member.decompress(chunk))
            at += len(chunk) - len(member.unused_data)
            if member.eof:
                member = None
                while at < len(view) and not view[at]:  # gzip allows zeros as padding
                    at += 1
    except zlib.error as error:
        raise DataError(f"{path}: is a damaged gzip ({error}); copy it again") from error
    if member is not None:
        lines = sum(part.count(b"\n") for part in parts)
        where = f"after line {lines}" if lines else "in the first line"
        raise DataError(f"{path}: is a truncated gzip, it ends in the middle of the stream ({where}); copy it again")
    return b"".join(parts)
