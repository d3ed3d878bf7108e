"""Makes a local, uncompressed copy of a data file where the file is not one already, in bounded memory.

Rejects a file that is missing, empty, damaged or truncated. Does not look at rows.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from ml.aws import s3_objects
from ml.errors import DataError

_GZIP, _ZSTD, _PARQUET, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"PK\x03\x04"
_ENDINGS = {
    ".parquet": ("Parquet", _PARQUET, "export it again"),
    ".pq": ("Parquet", _PARQUET, "export it again"),
    ".gz": ("gzip", _GZIP, "compress it again"),
    ".zst": ("zstd", _ZSTD, "compress it again"),
}
_PATTERN = re.compile(r"[*?\[{]")
_CHUNK_BYTES = 1 << 20
_GZIP_HEADER = 16  # added to zlib's window bits: expect a gzip header, and check the digest at the end


@dataclass(frozen=True, kw_only=True)
class StagedFile:
    """A data file that can be read from `local`: CSV text, or Parquet. `bytes` and `sha256` are the source's."""

    path: str
    local: Path
    bytes: int
    sha256: str
    parquet: bool


def stage(path: str, folder: Path) -> StagedFile:
    """The file at `path` (local or s3://) as one that can be read; copies lie in `folder`.

    The first bytes decide the format. A name that ends in .parquet, .pq, .gz or .zst must agree with them.

    Raises:
        DataError: the file is missing, empty, damaged, or of another format than its name says.
        CloudError: S3 denies access or cannot be reached.
    """
    local = Path(path)
    if path.startswith(s3_objects.SCHEME):
        local = folder / "object"
        s3_objects.download(path, local)
    digest, size = hashlib.sha256(), 0
    first = b""
    for chunk in _chunks(path, local):
        first = first or chunk[:4]
        digest.update(chunk)
        size += len(chunk)
    if not size:
        raise DataError(f"{path}: is empty (0 bytes); give a file with a header and rows")
    if first.startswith(_ZIP):
        raise DataError(f"{path}: is a zip archive; unpack it and give the file inside")
    ending = _ENDINGS.get(PurePosixPath(path).suffix.lower())
    if ending is not None and not first.startswith(ending[1]):
        name, _, remedy = ending
        raise DataError(f"{path}: is not {name} (its first bytes are {first!r}); {remedy} or rename it")
    if first.startswith((_GZIP, _ZSTD)):
        packed, local = local, folder / "unpacked"
        _write(local, _unzipped(path, packed) if first.startswith(_GZIP) else _unpacked(path, packed))
        first = next(_chunks(path, local), b"")[:4]
    elif _PATTERN.search(str(local)):  # DuckDB would read every file that the name matches
        link = folder / "linked"
        link.symlink_to(local.absolute())
        local = link
    return StagedFile(path=path, local=local, bytes=size, sha256=digest.hexdigest(), parquet=first.startswith(_PARQUET))


def _chunks(path: str, local: Path) -> Iterator[bytes]:
    try:
        with local.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give the path of a CSV or Parquet file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a readable file") from error


def _write(target: Path, parts: Iterator[bytes]) -> None:
    with target.open("wb") as file:
        file.writelines(parts)


def _unzipped(path: str, packed: Path) -> Iterator[bytes]:
    """Decompresses a gzip, all members of it (`cat a.gz b.gz` gives two)."""
    member, lines = None, 0
    try:
        for chunk in _chunks(path, packed):
            view, at = memoryview(chunk), 0
            while at < len(view):
                if member is None:
                    while at < len(view) and not view[at]:  # gzip allows zeros as padding
                        at += 1
                    if at == len(view):
                        break
                    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | _GZIP_HEADER)
                rest: Any = view[at:]
                while not member.eof and (len(rest) or member.unconsumed_tail):
                    # A byte of a gzip may unpack to a thousand.
                    part = member.decompress(rest, _CHUNK_BYTES)
                    rest = member.unconsumed_tail
                    lines += part.count(b"\n")
                    yield part
                at = len(view) - len(member.unused_data)
                if member.eof:
                    member = None
    except zlib.error as error:
        raise DataError(f"{path}: is a damaged gzip ({error}); copy it again") from error
    if member is not None:
        where = f"after line {lines}" if lines else "in the first line"
        raise DataError(f"{path}: is a truncated gzip, it ends in the middle of the stream ({where}); copy it again")


def _unpacked(path: str, packed: Path) -> Iterator[bytes]:
    """Decompresses a zstd file."""
    lines = 0
    try:
        with pa.input_stream(str(packed), compression="zstd") as stream:
            while part := stream.read(_CHUNK_BYTES):
                lines += part.count(b"\n")
                yield part
    except OSError as error:
        where = f"after line {lines}" if lines else "in the first line"
        raise DataError(f"{path}: is a damaged or truncated zstd file ({error}; {where}); copy it again") from error
