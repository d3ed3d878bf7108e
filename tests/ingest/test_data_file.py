"""Data files are detected by their bytes; one that cannot be read is refused by name."""

from __future__ import annotations

import gzip
import math
import re
from pathlib import Path

import pytest

from ml.errors import DataError
from ml.ingest import data_file
from tests.ingest.data_files import COLUMNS, GOOD, HEADER, read


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"", "a.csv", "is empty (0 bytes)"),
        (b"\n \n", "a.csv", "is empty (3 bytes)"),
        (f"{HEADER}\n".encode(), "a.csv", "line 1 is a header, but there are no rows"),
        (f"\n{HEADER}\n\n".encode(), "a.csv", "line 2 is a header, but there are no rows"),
        (f"{HEADER}\n{GOOD}".replace(",", ";").encode(), "a.csv", "line 1 is delimited by semicolons"),
        (f"{HEADER}\n{GOOD}".replace(",", "\t").encode(), "a.csv", "line 1 is delimited by tabs"),
        (GOOD.encode(), "a.csv", "line 1 has numbers, not a header"),
        (f"Time,V1,Amount,Class\n{GOOD}".encode(), "a.csv", "line 1: missing 'V2'"),
        (f"{HEADER},V3\n{GOOD}".encode(), "a.csv", "line 1: not expected 'V3'"),
        (f"Time,V2,V1,Amount,Class\n{GOOD}".encode(), "a.csv", "line 1: misordered"),
        (f"{HEADER}\n{GOOD}".encode("utf-16"), "a.csv", "line 1 is not UTF-8 (it looks like UTF-16 or binary)"),
        (f"Zeit\xe9,{HEADER}\n".encode("latin-1"), "a.csv", "line 1 is not UTF-8 (byte 0xe9 at position 5)"),
        (b"PK\x03\x04rest", "a.csv", "is a zip archive; unpack it"),
        (f"{HEADER}\n{GOOD}".encode(), "a.parquet", "is not Parquet (its first bytes are b'Time')"),
        (b"PAR1 and then nothing", "a.parquet", "is not a readable Parquet file"),
        (f"{HEADER}\n{GOOD}".encode(), "a.csv.gz", "is not gzip (its first bytes are b'Time')"),
        (gzip.compress(f"{HEADER}\n{GOOD}".encode() * 50, mtime=0)[:-20], "a.csv.gz", "is a truncated gzip"),
        (gzip.compress(f"{HEADER}\n{GOOD}".encode(), mtime=0)[:-8] + b"\0" * 8, "a.csv.gz", "is a damaged gzip"),
        (gzip.compress(b"", mtime=0), "a.csv.gz", "is empty"),
    ],
)
def test_read_rejects_invalid_file(tmp_path: Path, data: bytes, name: str, message: str) -> None:
    """The message starts with the file and says what is wrong."""
    with pytest.raises(DataError) as caught:
        read(tmp_path, data, name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_names_missing_file(tmp_path: Path) -> None:
    """A missing file and a folder are named as such."""
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        data_file.read(str(tmp_path / "none.csv"), COLUMNS)
    with pytest.raises(DataError, match="cannot be read"):
        data_file.read(str(tmp_path), COLUMNS)


@pytest.mark.parametrize(("lost", "least", "most"), [(4, 301, 301), (8, 301, 301), (2000, 100, 290)])
def test_truncated_gzip_names_the_last_complete_line(tmp_path: Path, lost: int, least: int, most: int) -> None:
    """Without its digest (the last 8 bytes) that is the last line."""
    text = f"{HEADER}\n" + "".join(f"{row},{math.sin(row)!r},{math.cos(row)!r},1,0\n" for row in range(300))
    with pytest.raises(DataError, match="is a truncated gzip") as caught:
        read(tmp_path, gzip.compress(text.encode())[:-lost], "a.csv.gz")
    (line,) = re.findall(r"\(after line (\d+)\)", str(caught.value))
    assert least <= int(line) <= most


def test_gzip_truncated_in_its_first_line_is_named(tmp_path: Path) -> None:
    """There is no complete line to name."""
    with pytest.raises(DataError, match=r"truncated gzip.*in the first line"):
        read(tmp_path, gzip.compress(HEADER.encode())[:12], "a.csv.gz")


def test_read_accepts_padded_gzip_of_many_members(tmp_path: Path) -> None:
    """Members may be as short as a line, and the end may be padded with zeros."""
    lines = [f"{HEADER}\n", *(f"{row},1,2,3,0\n" for row in range(500))]
    packed = b"".join(gzip.compress(line.encode()) for line in lines) + b"\0" * 512
    assert len(read(tmp_path, packed, "a.csv.gz").frame) == 500


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv", "a"])
def test_gzip_is_detected_by_its_bytes(tmp_path: Path, name: str) -> None:
    """A gzipped CSV is read under any name, also one of several members."""
    content = read(tmp_path, gzip.compress(f"{HEADER}\n".encode()) + gzip.compress(GOOD.encode()), name)
    assert len(content.frame) == 2
