"""Packs the model archive deterministically, and parses archives as untrusted input.

`pack` writes a tar with sorted names and without times, owners or run ids, in a gzip without time or file name. The
compressed bytes depend on the zlib that Python is linked with (classic zlib and zlib-ng differ), not on the run, the
day or the Python version. Never re-pack an archive to check its digest: the digest is that of the registered bytes.

Reading executes and unpickles nothing and takes bounded memory for any input. This module is not part of the archive.
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

from ml.model import document_fields
from ml.model.document_fields import ArtifactInvalid
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
        "code/ml/model/category_levels.py": "ml/model/category_levels.py",
        "code/ml/model/document_fields.py": "ml/model/document_fields.py",
        "code/ml/model/model_document.py": "ml/model/model_document.py",
        "code/ml/model/model_parts.py": "ml/model/model_parts.py",
        "code/ml/model/part_scorer.py": "ml/model/part_scorer.py",
        "code/ml/model/scoring_responses.py": "ml/model/scoring_responses.py",
        "code/ml/model/explanation.py": "ml/model/explanation.py",
        "code/ml/model/request_json.py": "ml/model/request_json.py",
        "code/ml/model/request_parser.py": "ml/model/request_parser.py",
        "code/ml/model/scorer.py": "ml/model/scorer.py",
        "code/ml/model/time_units.py": "ml/model/time_units.py",
    }
)
"""Member of the archive's code/ → file below the source root. These files need numpy and the standard library only."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A validated model archive: its scorer, its drift reference, the digest of its bytes and its files."""

    model: Scorer
    baseline: dict[str, Any]
    sha256: str
    files: Mapping[str, bytes]


def code_files(source_root: Path) -> dict[str, bytes]:
    """The files of code/ by member name, read from the source tree at `source_root` (the folder of the package `ml`).

    Raises:
        FileNotFoundError: the tree lacks one of the files.
    """
    return {member: (source_root / source).read_bytes() for member, source in CODE.items()}


def pack(files: Mapping[str, bytes]) -> bytes:
    """Packs `files` (member name → content) into an archive. Equal files give equal bytes.

    Adds the member SHA256SUMS in the format of `sha256sum --check`, and replaces an existing one. It detects an archive
    that was edited and packed again by mistake. It does not detect an attack: the digest in the approval does.

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
    """The regular files of any model.tar.gz by name, including one that SageMaker packed. Directories are skipped.

    Raises:
        ArtifactInvalid: the data is not one complete gzip of one complete tar, is too large, or has a member that is a
            link, a device, a duplicate or not a plain relative path (path traversal).
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
                    raise ArtifactInvalid(f"archive: member {name!r} occurs twice")
                handle = archive.extractfile(member)
                content = handle.read() if handle is not None else b""
                if len(content) != member.size:
                    raise ArtifactInvalid(f"archive: member {name!r} is truncated")
                files[name] = content
            end = archive.offset
    except (tarfile.TarError, ValueError, EOFError, OSError, RecursionError) as error:
        if isinstance(error, ArtifactInvalid):
            raise
        raise ArtifactInvalid(f"archive: not a readable tar: {error}") from error
    if raw[end:].strip(b"\0"):
        raise ArtifactInvalid(f"archive: has data after its last member, at byte {end} of the tar")
    if len(raw) - end < 2 * tarfile.BLOCKSIZE:  # a tar ends with two blocks of zeros
        raise ArtifactInvalid("archive: the tar is truncated")
    return files


def read(data: bytes) -> Artifact:
    """Parses and validates the archive in `data`: container, members, checksums and every number of model.json.

    Raises:
        ArtifactInvalid: a check failed; the message names the check and the place.
    """
    files = extract(data)
    for name in (MODEL, BASELINE, SUMS, PROGRAM):
        if name not in files:
            raise ArtifactInvalid(f"archive: member {name!r} is missing")
    for name in files:
        if name not in (MODEL, BASELINE, SUMS) and not _CODE_NAME.fullmatch(name):
            raise ArtifactInvalid(f"archive: member {name!r} is not allowed in a model archive")
    sums = files.pop(SUMS)
    _verify(files, sums)
    baseline = document_fields.load(files[BASELINE], BASELINE)
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
            raise ArtifactInvalid(f"{name}: its digest differs from {SUMS}: the file was changed after packing")
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
    raise ArtifactInvalid("archive: the gzip is truncated")
