"""Rows that were written into buckets are read again, and an id has one bucket."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from ml.shards import bucket_files
from ml.shards.bucket_files import BucketFiles, pieces
from ml.spark import raw_rows
from tests.spark import captured_window


def test_rows_come_back_by_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In several pieces of each file; nothing is lost, and the same id is in the same bucket of both writers."""
    monkeypatch.setattr(bucket_files, "_PENDING_BYTES", 3_000)
    found: list[dict[str, int]] = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        files = BucketFiles(folder, "rows", 4)
        for start in range(0, 1_000, 100):
            places = range(start, start + 100)
            files.add(pa.table({"id": [f"t-{place}" for place in places], "place": [*places]}))
        files.flush()
        bucket_of = {}
        for bucket in range(4):
            content = (folder / bucket_files.name("rows", bucket)).read_bytes()
            tables = [raw_rows.unpacked(piece) for piece in pieces(content)]
            assert len(tables) > 1
            for row in pa.concat_tables(tables).to_pylist():
                assert row["id"] == f"t-{row['place']}"
                bucket_of[row["id"]] = bucket
        found.append(bucket_of)
    assert len(found[0]) == 1_000
    assert found[0] == found[1]


def test_nothing_added_writes_no_file(tmp_path: Path) -> None:
    """An instance without rows has no files of them."""
    BucketFiles(tmp_path, "rows", 4).flush()
    assert not [*tmp_path.iterdir()]


def test_buckets_grow_with_the_window(bucket: str) -> None:
    """By the captured bytes, whatever the number of instances: each makes a file for each bucket."""
    request = captured_window.requested(bucket)
    assert bucket_files.buckets(replace(request, instances=1_000)) == bucket_files.buckets(request) == 1
    large = replace(request.objects[0], bytes=10 << 30)
    assert bucket_files.buckets(replace(request, objects=(large,))) == 40
