"""Tests of the model archive: deterministic packing, and rejection of invalid archives."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.model import artifact
from ml.model.artifact import ArtifactInvalid
from tests.harness.fuzzing import examples
from tests.model import scoring_samples
from tests.model.scoring_samples import ROOT, archive, changed, files

Change = Callable[[tarfile.TarInfo], object]


def retarred(change: Change | None = None, extra: tuple[tuple[tarfile.TarInfo, bytes], ...] = ()) -> bytes:
    """A good archive packed again, its members changed by `change` (False leaves one out), then `extra` members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        with tarfile.open(fileobj=io.BytesIO(archive()), mode="r:gz") as source:
            for member in source:
                handle = source.extractfile(member)
                content = handle.read() if handle else b""
                if change is None or change(member) is not False:
                    made.addfile(member, io.BytesIO(content[: member.size]))
        for member, content in extra:
            made.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, target: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    """One member of a tar."""
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, len(content), target
    return made, content


def test_read_returns_what_was_packed() -> None:
    """`read` returns the model, the drift reference, the code and the digest of the bytes."""
    import hashlib

    data = archive()
    read = artifact.read(data)
    assert read.sha256 == hashlib.sha256(data).hexdigest()
    assert read.model.inputs == ("Time", "V1", "V2", "Amount")
    assert read.baseline == {"schema": 1}
    assert dict(read.files) == files()


def test_pack_is_deterministic_across_order_and_process() -> None:
    """The bytes do not depend on the order of the files, the hash seed, the process or the clock."""
    shuffled = dict(reversed(files().items()))
    assert artifact.pack(shuffled) == archive()
    assert artifact.pack(artifact.read(archive()).files) == archive()
    code = f"import runpy, sys; sys.stdout.buffer.write(runpy.run_path({scoring_samples.__file__!r})['archive']())"
    for seed in ("0", "12"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
        assert done.stdout == archive()


def test_pack_stores_no_machine_metadata() -> None:
    """The archive has no time, owner, mode or file name of the machine; names are sorted."""
    data = archive()
    assert data[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as made:
        members = made.getmembers()
    assert [item.name for item in members] == sorted(item.name for item in members)
    assert {(item.mtime, item.uid, item.gid, item.uname, item.gname, item.mode) for item in members} == {
        (0, 0, 0, "", "", 0o644)
    }


def test_sums_match_sha256sum(tmp_path: Path) -> None:
    """`sha256sum --check` accepts SHA256SUMS of an unpacked archive."""
    with tarfile.open(fileobj=io.BytesIO(archive()), mode="r:gz") as made:
        made.extractall(tmp_path, filter="data")
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}", fullmatch=True), st.binary(max_size=200), max_size=6)
)
@settings(deadline=None)
def test_extract_inverts_pack(content: dict[str, bytes]) -> None:
    """`extract` is the inverse of `pack`, except for the sums."""
    found = artifact.extract(artifact.pack(content))
    del found["SHA256SUMS"]
    assert found == content


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up", "a/../b", "a//b", "./a", "a\\b", "", "é", "a" * 101, ".hidden"]
)
def test_pack_rejects_path_traversal(name: str) -> None:
    """Only plain relative paths are packed."""
    with pytest.raises(ArtifactInvalid, match="plain relative path"):
        artifact.pack({name: b""})


def test_extract_accepts_sagemaker_archive() -> None:
    """`extract` accepts SageMaker's archives: times, owners, ./ before names and entries for folders."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for item, content in (
            member("./", kind=tarfile.DIRTYPE),
            member("./model.json", b"{}"),
            member("code", kind=tarfile.DIRTYPE),
        ):
            item.mtime, item.uid, item.uname = 1_700_000_000, 1000, "someone"
            made.addfile(item, io.BytesIO(content))
    assert artifact.extract(buffer.getvalue()) == {"model.json": b"{}"}


def adding(*extra: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A valid archive with `extra` members at its end."""
    return retarred(extra=extra)


def link(name: str, kind: bytes, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """A link member to `target`."""
    return member(name, kind=kind, target=target)


def without(name: str) -> bytes:
    """A valid archive without the member `name`."""
    return retarred(lambda item: item.name != name)


def holding(name: str, content: bytes) -> bytes:
    """A correctly packed archive with `content` for the member `name`."""
    return artifact.pack(files() | {name: content})


def rename(old: str, new: str) -> Change:
    """Renames one member."""

    def change(item: tarfile.TarInfo) -> None:
        item.name = new if item.name == old else item.name

    return change


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "the gzip is truncated", id="empty"),
        pytest.param(b"\x1f\x8b", "the gzip is truncated", id="two bytes"),
        pytest.param(b"no gzip at all", "not a readable gzip", id="text"),
        pytest.param(archive()[:-9], "the gzip is truncated", id="truncated"),
        pytest.param(archive()[:-8] + b"\0" * 8, "not a readable gzip", id="wrong checksum"),
        pytest.param(archive() + b"x", "holds 1 bytes after the end of the gzip", id="trailing"),
        pytest.param(archive() + gzip.compress(b"x"), "after the end of the gzip", id="second gzip"),
        pytest.param(gzip.compress(b"not a tar" * 100), "not a readable tar", id="no tar"),
        pytest.param(gzip.compress(zlib.decompress(archive(), 31)[:-9000]), "tar", id="tar truncated"),
        pytest.param(gzip.compress(zlib.decompress(archive(), 31) + b"x"), "after its last member", id="trailing tar"),
        pytest.param(gzip.compress(b"\0" * (65 * 1024 * 1024)), "must unpack to at most", id="bomb"),
        pytest.param(adding(member("../evil", b"x")), "'../evil' must be a plain relative path", id="up"),
        pytest.param(adding(member("/evil", b"x")), "'/evil' must be a plain relative path", id="absolute"),
        pytest.param(adding(member("../d", kind=tarfile.DIRTYPE)), "plain relative path", id="folder up"),
        pytest.param(adding(link("code/l", tarfile.SYMTYPE, "/etc")), "regular file", id="link"),
        pytest.param(adding(link("code/h", tarfile.LNKTYPE, "model.json")), "regular file", id="hard link"),
        pytest.param(adding(member("code/d", kind=tarfile.CHRTYPE)), "regular file", id="device"),
        pytest.param(adding(member("code/f", kind=tarfile.FIFOTYPE)), "regular file", id="pipe"),
        pytest.param(adding(member("model.json", b"{}")), "'model.json' occurs twice", id="twice"),
        pytest.param(adding(member("extra.bin", b"x")), "'extra.bin' is not allowed", id="extra"),
        pytest.param(adding(member("code/evil.so", b"x")), "'code/evil.so' is not allowed", id="library"),
        pytest.param(adding(member("model.pkl", b"x")), "'model.pkl' is not allowed", id="pickle"),
        pytest.param(adding(member("code/new.py", b"x")), "code/new.py: its digest differs", id="unlisted code"),
        pytest.param(adding(*(member(f"n{i}") for i in range(300))), "at most 256 members", id="members"),
        pytest.param(without("model.json"), "'model.json' is missing", id="no model"),
        pytest.param(without("SHA256SUMS"), "'SHA256SUMS' is missing", id="no sums"),
        pytest.param(without("code/inference.py"), "inference.py' is missing", id="no program"),
        pytest.param(without("code/ml/model/scoring_responses.py"), "must list exactly", id="less code"),
        pytest.param(retarred(rename("baseline.json", "model.json")), "'model.json' occurs twice", id="renamed"),
        pytest.param(archive(changed("schema", 9)), "schema must be 3 or 4", id="schema"),
        pytest.param(holding("baseline.json", b"[]"), "baseline.json: must be an object", id="baseline"),
        pytest.param(holding("baseline.json", b"{"), "baseline.json: not valid JSON", id="bad baseline"),
        pytest.param(b"\0" * (32 * 1024 * 1024 + 1), "must be at most", id="size"),
    ],
)  # fmt: skip
def test_read_rejects_invalid_archive(data: bytes, message: str) -> None:
    """Traversal, links, devices, duplicates, bombs, additions, omissions and garbage are rejected with the reason."""
    with pytest.raises(ArtifactInvalid, match=re.escape(message)):
        artifact.read(data)


def test_read_detects_edited_and_repacked_archive() -> None:
    """The sums detect a coefficient that was changed by hand, even in a correctly packed archive."""
    tampered = files(changed("parts.0.intercept", -9.0))
    with tarfile.open(fileobj=io.BytesIO(archive()), mode="r:gz") as source:
        handle = source.extractfile("SHA256SUMS")
        assert handle is not None
        honest = handle.read()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, content in (tampered | {"SHA256SUMS": honest}).items():
            item, data = member(name, content)
            made.addfile(item, io.BytesIO(data))
    with pytest.raises(ArtifactInvalid, match=r"model\.json: its digest differs from SHA256SUMS"):
        artifact.read(buffer.getvalue())


def test_read_rejects_gzip_bomb_in_bounded_memory() -> None:
    """A gigabyte of zeros in a megabyte is rejected with less than 200 MB in use at any time."""
    import tracemalloc

    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(squeeze.compress(b"\0" * 2**20) for _ in range(1024)) + squeeze.flush()
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactInvalid, match="must unpack to at most"):
            artifact.read(bomb)
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()


@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans())
@examples(150)
def test_read_never_returns_another_model_after_one_changed_byte(place: int, byte: int, inside: bool) -> None:
    """One changed byte, in the gzip or in the tar, is rejected or changes nothing that is read."""
    good = archive()
    data = bytearray(zlib.decompress(good, 31) if inside else good)
    data[place % len(data)] = byte
    changed_bytes = gzip.compress(bytes(data), 1) if inside else bytes(data)
    try:
        read = artifact.read(changed_bytes)
    except ArtifactInvalid:
        return
    assert dict(read.files) == files()


@given(st.binary(max_size=2000))
@settings(deadline=None)
def test_extract_raises_only_artifact_invalid(noise: bytes) -> None:
    """Noise as a tar, or after a valid member's header, raises ArtifactInvalid."""
    head = zlib.decompress(archive(), 31)[:1024]
    for data in (noise, head + noise, noise + head):
        with pytest.raises(ArtifactInvalid):
            artifact.read(gzip.compress(data, 1))
