"""Which label files a path stands for, local and in S3."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from ml.aws import s3_objects
from ml.errors import DataError
from ml.ingest import label_paths
from tests.harness.aws import moto_server

NAMES = ("b.csv", "a.CSV.gz", "c.parquet", "notes.txt", ".hidden.csv", "b.csv.quarantine.csv")


def test_folder_stands_for_its_label_files(tmp_path: Path) -> None:
    """By name; without other files, hidden ones, quarantines and folders. A file that is named twice is read once."""
    for name in NAMES:
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.csv").mkdir()
    files = [str(tmp_path / name) for name in ("a.CSV.gz", "b.csv", "c.parquet")]
    assert label_paths.expand([str(tmp_path), files[1]]) == files
    assert label_paths.expand([str(tmp_path / "notes.txt")]) == [str(tmp_path / "notes.txt")]


def test_prefix_stands_for_the_objects_directly_below_it(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a folder does; a key without a slash at its end is one object."""
    moto_server.point_at(server, monkeypatch)
    bucket = moto_server.make_bucket(f"labels-{uuid4().hex}")
    for name in (*NAMES, "deeper/d.csv"):
        s3_objects.write(f"s3://{bucket}/in/{name}", b"x", "text/csv")
    assert label_paths.expand([f"s3://{bucket}/in/"]) == [
        f"s3://{bucket}/in/{name}" for name in ("a.CSV.gz", "b.csv", "c.parquet")
    ]
    assert label_paths.expand([f"s3://{bucket}/in/b.csv"]) == [f"s3://{bucket}/in/b.csv"]
    assert label_paths.read(f"s3://{bucket}/in/b.csv") == b"x"


def test_missing_path_and_folder_without_label_files_are_errors(tmp_path: Path) -> None:
    """The error names the path and what to do."""
    with pytest.raises(DataError, match=r"nowhere: no such file or folder; give the path of a label file"):
        label_paths.expand([str(tmp_path / "nowhere")])
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"has no file that ends in \.csv, \.csv\.gz, \.parquet, \.pq; give a folder"):
        label_paths.expand([str(tmp_path)])
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read \(No such file or directory\)"):
        label_paths.read(str(tmp_path / "gone.csv"))
