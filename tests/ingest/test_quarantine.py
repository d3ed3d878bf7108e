"""Rows that break the data contract are named, counted and written beside the data file, unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.errors import DataError
from ml.ingest import quarantine
from tests.ingest.data_files import HEADER, found, read


def test_row_can_have_several_faults(tmp_path: Path) -> None:
    """Each invalid cell is reported once; the message has the first of the file."""
    content = read(tmp_path, f"{HEADER}\n0,1,2,3,0\nx,1,nan,-3,7\n")
    assert [(kind, column) for kind, column, _, _ in found(content)] == [
        ("negative amount", "Amount"),
        ("label outside {0,1}", "Class"),
        ("not a number", "Time"),
        ("not finite", "V2"),
    ]
    assert quarantine.first_problem(content) == "line 3, column Time: 'x' must be a number"


def test_counts_begin_with_the_most_frequent_kind(tmp_path: Path) -> None:
    """Rows are counted by kind; kinds with as many rows are sorted by name."""
    content = read(tmp_path, f"{HEADER}\n0,x,2,-3,0\n0,y,2,3,0\n0,1,2,3,0\n0,1,2,3,7\n")
    assert list(quarantine.counts(content).items()) == [
        ("not a number", 2),
        ("label outside {0,1}", 1),
        ("negative amount", 1),
    ]


def test_quarantine_has_the_bytes_of_the_row(tmp_path: Path) -> None:
    """Each row with faults has its line, all reasons and its bytes, those that are not UTF-8 included."""
    content = read(tmp_path, f"{HEADER}\n0,1,2,3,0\nx,1,2,-3,0\n".encode() + b"5,caf\xe9,3,4,0\n")
    target, rows = quarantine.write(content)
    assert (target, rows) == (f"{content.path}.quarantine.csv", 2)
    header, first, second = Path(target).read_bytes().splitlines()
    assert header == b"line,reason,text"
    assert first.startswith(b"3,")
    assert b"Time must be a number (got 'x'); Amount must" in first
    assert first.endswith(b'"x,1,2,-3,0"')
    assert second.startswith(b"4,line must be UTF-8 ")
    assert second.endswith(b'"5,caf\xe9,3,4,0"')


def test_quarantine_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The error names the path and the remedy; no draft is left."""
    content = read(tmp_path, f"{HEADER}\nx,1,2,3,0\n")
    Path(f"{content.path}.quarantine.csv").mkdir()
    with pytest.raises(DataError, match=r"a\.csv\.quarantine\.csv: cannot be written .* writable folder"):
        quarantine.write(content)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.quarantine.csv"]


def test_long_value_is_shortened_in_messages() -> None:
    """60 characters are kept."""
    assert quarantine.clipped("a" * 60) == repr("a" * 60)
    assert quarantine.clipped("a" * 61) == repr("a" * 60 + "…")
