"""Packs the model archive deterministically, and parses archives as untrusted input.

`pack` makes a tar of sorted names without times, owners or run ids, in a gzip without time or file name. What deflate
makes of it is up to the zlib that Python is linked with: bytes are equal across runs, days and Python versions as far
as zlib's are (classic zlib and zlib-ng compress differently). Nobody may therefore re-pack an archive to check its
digest: the digest is that of the registered bytes.

Nothing in an archive is executed or unpickled by reading it, and reading takes bounded memory whatever the bytes are.
This module does not travel in the archive.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ml.model import model_document
from ml.model.model_document import ArtifactInvalid
from ml.model.scorer import Scorer

__all__ = ["CODE", "Artifact", "ArtifactInvalid", "code_files", "extract", "pack", "read"]

MODEL, BASELINE, SUMS, PROGRAM = "model.json", "baseline.json", "SHA256SUMS", "code/inference.py"
MAX_ARCHIVE = 32 * 1024 * 1024  # bytes, compressed
MAX_TOTAL = 64 * 1024 * 1024  # bytes, unpacked
MAX_MEMBERS = 256
_CHUNK = 64 * 1024
_LEVEL = 9
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_CODE_NAME = re.compile(r"code/([A-Za-z0-9_]+/)*[A-Za-z0-9_]+\.py")

CODE: Mapping[str, str] = MappingProxyType(
    {
        PROGRAM: "ml/steps/inference.py",
        "code/ml/__init__.py": "ml/__init__.py",
        "code/ml/model/__init__.py": "ml/model/__init__.py",
        "code/ml/model/model_document.py": "ml/model/model_document.py",
        "code/ml/model/media_types.py": "ml/model/media_types.py",
        "code/ml/model/request_parser.py": "ml/model/request_parser.py",
        "code/ml/model/scorer.py": "ml/model/scorer.py",
    }
)
"""Member of the archive's code/ → file below the source root. All of it runs on numpy and the standard library."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A model archive that was checked: its scorer, its drift reference, the digest of its bytes and its files."""

    model: Scorer
    baseline: dict[str, Any]
    sha256: str
    files: Mapping[str, bytes]


def code_files(source_root: Path) -> dict[str, bytes]:
    """What goes in code/, by member name, from the source tree that holds the package `ml` at `source_root`.

    Raises:
        FileNotFoundError: the tree lacks one of the files.
    """
    return {member: (source_root / source).read_bytes() for member, source in CODE.items()}


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of `files` (member name → content): equal files, equal bytes.

    A member SHA256SUMS is added, in the form that `sha256sum --check` reads, so that an archive that was edited and
    packed again is told from one that was made here. (It tells a mistake, not an attack: that is what the digest in the
    approval is for.) One that `files` holds already is replaced.

    Raises:
        ArtifactInvalid: a name is not a plain relative path, or the files are too many or too large to be read back.
    """
    content = {name: bytes(data) for name, data in files.items() if name != SUMS}
    content[SUMS] = _sums(content)
    for name in content:
        if not _NAME.fullmatch(name) or len(name) > 100:
            raise ArtifactInvalid(f"{name!r}: must be a plain relative path of at most 100 characters")
    if len(content) > MAX_MEMBERS or sum(map(len, content.values())) > MAX_TOTAL // 2:
        raise ArtifactInvalid(f"must hold at most {MAX_MEMBERS} files and {MAX_TOTAL // 2} bytes")
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=_LEVEL, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(content):
            member = tarfile.TarInfo(name)  # owner 0 without a name, time 0, a regular file
            member.size, member.mode = len(content[name]), 0o644
            archive.addfile(member, io.BytesIO(content[name]))
    return buffer.getvalue()


def extract(data: bytes) -> dict[str, bytes]:
    """The regular files of any model.tar.gz by name, also of one that SageMaker packed (directories are passed over).

    Raises:
        ArtifactInvalid: not one whole gzip of one whole tar, too large, or a member that is a link, a device, twice
            there, or named so that unpacking it would leave its folder.
    """
    raw = _unzip(data)
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
            for count, member in enumerate(archive):
                if count >= MAX_MEMBERS:
                    raise ArtifactInvalid(f"archive: must hold at most {MAX_MEMBERS} members")
                name = member.name.removeprefix("./")
                if member.isdir():
                    if name not in ("", ".") and not _NAME.fullmatch(name):
                        raise ArtifactInvalid(f"archive: member {member.name[:100]!r} must be a plain relative path")
                    continue
                if not _NAME.fullmatch(name):
                    raise ArtifactInvalid(f"archive: member {member.name[:100]!r} must be a plain relative path")
                if not member.isreg() or member.sparse is not None:
                    raise ArtifactInvalid(f"archive: member {name!r} must be a regular file (type {member.type!r})")
                if name in files:
                    raise ArtifactInvalid(f"archive: member {name!r} is there twice")
                handle = archive.extractfile(member)
                content = handle.read() if handle is not None else b""
                if len(content) != member.size:
                    raise ArtifactInvalid(f"archive: member {name!r} is cut short")
                files[name] = content
            end = archive.offset
    except (tarfile.TarError, ValueError, EOFError, OSError, RecursionError) as error:
        if isinstance(error, ArtifactInvalid):
            raise
        raise ArtifactInvalid(f"archive: not a readable tar: {error}") from error
    if raw[end:].strip(b"\0"):
        raise ArtifactInvalid(f"archive: holds something after its last member, at byte {end} of the tar")
    if len(raw) - end < 2 * tarfile.BLOCKSIZE:  # a tar ends with two blocks of zeros
        raise ArtifactInvalid("archive: the tar is cut short")
    return files


def read(data: bytes) -> Artifact:
    """The model archive in `data`, checked whole: container, members, sums, and every number of model.json.

    Raises:
        ArtifactInvalid: any of it does not hold; the message says what and where.
    """
    files = extract(data)
    for name in (MODEL, BASELINE, SUMS, PROGRAM):
        if name not in files:
            raise ArtifactInvalid(f"archive: member {name!r} is missing")
    for name in files:
        if name not in (MODEL, BASELINE, SUMS) and not _CODE_NAME.fullmatch(name):
            raise ArtifactInvalid(f"archive: member {name!r} does not belong in a model archive")
    sums = files.pop(SUMS)
    _verify(files, sums)
    baseline = model_document.load(files[BASELINE], BASELINE)
    if not isinstance(baseline, dict):
        raise ArtifactInvalid(f"{BASELINE}: must be an object (got {type(baseline).__name__})")
    return Artifact(
        model=Scorer.from_json(files[MODEL]),
        baseline=baseline,
        sha256=hashlib.sha256(data).hexdigest(),
        files=MappingProxyType(files),
    )


def _sums(files: Mapping[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


def _verify(files: Mapping[str, bytes], sums: bytes) -> None:
    expected = _sums(files)
    if sums == expected:
        return
    recorded = set(sums.split(b"\n"))
    for line in expected.splitlines():
        if line not in recorded:
            name = line.split(b"  ", 1)[1].decode()
            raise ArtifactInvalid(f"{name}: is not the file whose digest {SUMS} records: changed after packing")
    raise ArtifactInvalid(f"{SUMS}: must list exactly the archive's files, sorted by name")


def _unzip(data: bytes) -> bytes:
    if len(data) > MAX_ARCHIVE:
        raise ArtifactInvalid(f"archive: must be at most {MAX_ARCHIVE} bytes (got {len(data)})")
    inflater = zlib.decompressobj(wbits=31)
    raw = bytearray()
    view = memoryview(data)
    try:
        for start in range(0, len(data), _CHUNK):
            pending: bytes | memoryview = view[start : start + _CHUNK]
            while pending and not inflater.eof:
                raw += inflater.decompress(pending, _CHUNK * 16)
                if len(raw) > MAX_TOTAL:
                    raise ArtifactInvalid(f"archive: must unpack to at most {MAX_TOTAL} bytes")
                pending = inflater.unconsumed_tail
            if inflater.eof:
                rest = len(inflater.unused_data) + max(len(data) - start - _CHUNK, 0)
                if rest:
                    raise ArtifactInvalid(f"archive: holds {rest} bytes after the end of the gzip")
                return bytes(raw)
        raw += inflater.flush()
    except zlib.error as error:
        raise ArtifactInvalid(f"archive: not a readable gzip: {error}") from error
    raise ArtifactInvalid("archive: the gzip is cut short")
