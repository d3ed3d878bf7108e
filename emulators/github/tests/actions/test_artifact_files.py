"""Tests of stored artifacts: a zip of several files, one file as it is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from local_github.actions import artifact_files


def test_archive_has_every_file(tmp_path: Path) -> None:
    """Paths are relative to the artifact."""
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("data")
    answer = artifact_files.response(folder)
    assert answer.content_type == "application/zip"
    assert zipfile.ZipFile(io.BytesIO(answer.body)).read("deep/a.txt") == b"data"


def test_file_without_archive_is_served_in_a_sandbox(tmp_path: Path) -> None:
    """A browser shows a page, which may not run scripts in the emulator's origin."""
    folder = tmp_path / "report.html"
    folder.mkdir()
    (folder / "report.html").write_text("<p>drift</p>")
    answer = artifact_files.response(folder)
    assert (answer.body, answer.content_type) == (b"<p>drift</p>", "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"].endswith("sandbox")
