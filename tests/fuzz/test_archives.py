"""Model archives packed by others: the files of a plain archive, or ArtifactInvalid; nothing is written or unpacked."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ml.model import artifact
from ml.model.document_fields import ArtifactInvalid
from tests.fuzz.untrusted import COMMANDS, damaged
from tests.harness.fuzzing import examples

NAMES = st.one_of(
    st.sampled_from(
        [
            "model.json",
            "./model.json",
            "code/inference.py",
            "code",
            "./",
            ".",
            "..",
            "../model.json",
            "code/../../harm",
            "/etc/passwd",
            "//x",
            "C:\\x",
            "code//x",
            "a" * 300,
            "café",
            "model.json\x00.py",
            *COMMANDS,
        ]
    ),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
)
TYPES = st.sampled_from(
    [
        tarfile.REGTYPE,
        tarfile.REGTYPE,
        tarfile.AREGTYPE,
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.XHDTYPE,
        b"Z",
    ]
)


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """A tar of any members in one of the formats, sizes in headers included that the data do not have."""
    buffer = io.BytesIO()
    form = draw(st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
    with tarfile.open(fileobj=buffer, mode="w", format=form) as made:
        for _ in range(draw(st.integers(0, 4))):
            content = draw(st.binary(max_size=20))
            member = tarfile.TarInfo(draw(NAMES))
            member.type = draw(TYPES)
            member.linkname = draw(st.sampled_from(["", "/etc/passwd", "../x", "model.json"]))
            member.size = len(content) if draw(st.integers(0, 9)) else draw(st.sampled_from([1, 10**6, 8**11 - 1]))
            member.mode = draw(st.sampled_from([0o644, 0o4755, 0]))
            if form == tarfile.PAX_FORMAT:
                headers: dict[str, Any] = {"path": "../harm", "size": "9999999999", "GNU.sparse.map": "0,1", "x": "y"}
                member.pax_headers = {key: headers[key] for key in draw(st.sets(st.sampled_from(sorted(headers))))}
            try:
                made.addfile(member, io.BytesIO(content.ljust(min(member.size, 100), b"\0")))
            except (OSError, ValueError):  # the writer refuses it; what is written so far is read
                break
    return buffer.getvalue()


packed = st.one_of(
    archives().map(lambda data: gzip.compress(data, 1)),
    damaged(archives()).map(lambda data: gzip.compress(data, 1)),
    damaged(archives().map(lambda data: gzip.compress(data, 1))),
    st.tuples(archives(), archives()).map(lambda pair: gzip.compress(pair[0], 1) + gzip.compress(pair[1], 1)),
)


@given(packed)
@examples(300)
def test_any_archive_is_plain_files_or_invalid(data: bytes) -> None:
    """Every name that is returned is a relative path of plain characters, and packs to an archive of the same files."""
    tracemalloc.start()
    try:
        files = artifact.extract(data)
    except ArtifactInvalid as error:
        assert len(str(error)) < 1_000
        return
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * artifact.MAX_TOTAL
    files.pop(artifact.SUMS, None)
    again = artifact.extract(artifact.pack(files))
    assert {name: content for name, content in again.items() if name != artifact.SUMS} == files
    assert all(not name.startswith("/") and ".." not in name.split("/") for name in files)
