"""Data files are detected by their bytes; one that cannot be read is refused by name."""

from __future__ import annotations

import gzip
import math
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from ml.errors import DataError
from ml.ingest import data_file
from ml.model.category_levels import text_of
from ml.model.training_settings import TimeColumn
from tests.harness.columns import ulb_columns
from tests.ingest.data_files import COLUMNS, GOOD, HEADER, found, read


def zstd(text: str) -> bytes:
    """`text` as a zstd file."""
    packed: bytes = pa.Codec("zstd").compress(text.encode(), asbytes=True)
    return packed


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"", "a.csv", "is empty (0 bytes)"),
        (b"\n \n", "a.csv", "is empty (3 bytes)"),
        (f"{HEADER}\n".encode(), "a.csv", "line 1 is a header, but there are no rows"),
        (f"\n{HEADER}\n\n".encode(), "a.csv", "line 2 is a header, but there are no rows"),
        (GOOD.encode(), "a.csv", "line 1 has numbers, not a header"),
        (f"Time,V1,Amount,Class\n{GOOD}".encode(), "a.csv", "line 1: missing 'V2'"),
        (
            f"Time,V1,V2,Amount,class\n{GOOD}".encode(),
            "a.csv",
            "line 1: missing 'Class' ('class' is 'Class' in data.yaml)",
        ),
        (f"{HEADER},V1\n{GOOD}".encode(), "a.csv", "line 1: 'V1' named more than once"),
        (f"{HEADER}\n{GOOD}".encode("utf-16"), "a.csv", "line 1 is not UTF-8 (it looks like UTF-16 or binary)"),
        (f"Zeit\xe9,{HEADER}\n".encode("latin-1"), "a.csv", "line 1 is not UTF-8 (byte 0xe9 at position 5)"),
        (b"PK\x03\x04rest", "a.csv", "is a zip archive; unpack it"),
        (f"{HEADER}\n{GOOD}".encode(), "a.parquet", "is not Parquet (its first bytes are b'Time')"),
        (b"PAR1 and then nothing", "a.parquet", "is not a readable Parquet file"),
        (f"{HEADER}\n{GOOD}".encode(), "a.csv.gz", "is not gzip (its first bytes are b'Time')"),
        (gzip.compress(f"{HEADER}\n{GOOD}".encode() * 50, mtime=0)[:-20], "a.csv.gz", "is a truncated gzip"),
        (gzip.compress(f"{HEADER}\n{GOOD}".encode(), mtime=0)[:-8] + b"\0" * 8, "a.csv.gz", "is a damaged gzip"),
        (gzip.compress(b"", mtime=0), "a.csv.gz", "is empty"),
        (f"{HEADER}\n{GOOD}".encode(), "a.csv.zst", "is not zstd (its first bytes are b'Time')"),
        (zstd(f"{HEADER}\n{GOOD}" * 50)[:-20], "a.csv.zst", "is a damaged or truncated zstd file"),
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


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_read(tmp_path: Path, delimiter: str) -> None:
    """The delimiter is the one that gives the columns' names; faults have their line and cell as with commas."""
    plain = read(tmp_path, f"{HEADER}\n{GOOD}2,x,1,1,0\n")
    other = read(tmp_path, f"{HEADER}\n{GOOD}2,x,1,1,0\n".replace(",", delimiter), "b.csv")
    pd.testing.assert_frame_equal(plain.frame, other.frame)
    assert found(plain) == found(other) == [("not a number", "V1", 4, "x")]


def test_order_and_further_columns_do_not_matter(tmp_path: Path) -> None:
    """Columns are read by name; a column that data.yaml does not name is ignored, whatever it holds."""
    plain = read(tmp_path, f"{HEADER}\n{GOOD}")
    other = read(tmp_path, 'note,V2,Class,V1,Time,Amount\nx,-2,0,1.5,0,3.25\n"a, b",.5,1,-1e-3,60,0\n', "b.csv")
    pd.testing.assert_frame_equal(plain.frame, other.frame)
    assert other.faults == ()


def test_zstd_is_read(tmp_path: Path) -> None:
    """As the same text without compression."""
    content = read(tmp_path, zstd(f"{HEADER}\n{GOOD}"), "a.csv.zst")
    assert content.frame.to_numpy().tolist() == read(tmp_path, f"{HEADER}\n{GOOD}").frame.to_numpy().tolist()


def test_kept_columns_and_configured_id_are_text(tmp_path: Path) -> None:
    """The id of data.yaml becomes event_id, entity and kept columns stay text; a fault names the file's column."""
    columns = ulb_columns(("V1",), event_id="tx", entity="card", keep=("day",))
    path = tmp_path / "a.csv"
    path.write_text("card,tx,Time,V1,Amount,Class\n007,a,0,1,2,0\n,a,0,1,2,0\n")
    content = data_file.read(str(path), columns, partition={"day": "2026-03-01"})
    assert list(content.frame.columns) == ["event_id", "Time", "V1", "Amount", "Class", "card", "day"]
    assert content.frame[["event_id", "card", "day"]].to_numpy().tolist() == [
        ["a", "007", "2026-03-01"],
        ["a", "", "2026-03-01"],
    ]
    assert found(content) == [("duplicate event_id", "tx", 3, "a")]


SHOPS = ulb_columns(("V1", "V2"), categories=("shop",))


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([" food ", None, ""]), ["food", "", ""]),
        (pa.array([5411, None, -1], pa.int32()), ["5411", "", "-1"]),
        (pa.array([True, False, None]), ["true", "false", ""]),
        (pa.array(["x" * 129, "x" * 128, "a"]), ["x" * 129, "x" * 128, "a"]),
    ],
    ids=["text", "whole numbers", "booleans", "long"],
)
def test_category_is_text_as_in_a_request(tmp_path: Path, values: pa.Array, texts: list[str]) -> None:
    """Without outer spaces, nothing as the empty text, in Parquet and in CSV; one that is too long is a fault."""
    numbers = {name: [1.0, 2.0, 3.0] for name in ("Time", "V1", "V2", "Amount")}
    table = pa.table({"shop": values, **numbers, "Class": [0, 1, 0]})
    pq.write_table(table, tmp_path / "a.parquet")
    pa_csv.write_csv(table, tmp_path / "a.csv")
    for name in ("a.parquet", "a.csv"):
        content = data_file.read(str(tmp_path / name), SHOPS)
        assert content.frame["shop"].tolist() == texts
        faults = [(fault.kind, fault.column, fault.rows.tolist()) for fault in content.faults]
        assert faults == ([("category too long", "shop", [0])] if len(texts[0]) > 128 else [])
        assert [text_of(value) for value in values.to_pylist()] == [
            text if len(text) <= 128 else None for text in texts
        ]


@pytest.mark.parametrize(
    "values", [pa.array([1.5]), pa.array([1], pa.timestamp("us")), pa.array([["a"]]), pa.array([b"a"])]
)
def test_category_of_another_type_is_refused(tmp_path: Path, values: pa.Array) -> None:
    """A measurement has no single spelling; the message names the column, its type and what to do."""
    numbers = {name: [1.0] for name in ("Time", "V1", "V2", "Amount")}
    pq.write_table(pa.table({"shop": values, **numbers, "Class": [0]}), tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match=r"column 'shop' is .*; a column of categories in data\.yaml must be text, whole"
    ):
        data_file.read(str(tmp_path / "a.parquet"), SHOPS)


@pytest.mark.parametrize(
    ("unit", "zone", "text", "expected"),
    [
        ("epoch_seconds", "UTC", "1772344800.25", 1772344800.25),
        ("epoch_milliseconds", "UTC", "1772344800250", 1772344800250.0),
        ("iso", "UTC", "2026-03-01T06:00:00.25", 1772344800.25),
        ("iso", "Europe/Berlin", "2026-03-01T07:00:00.25", 1772344800.25),
        ("iso", "Europe/Berlin", "2026-03-01T06:00:00.25Z", 1772344800.25),
    ],
)
def test_time_is_a_number_of_its_unit(tmp_path: Path, unit: str, zone: str, text: str, expected: float) -> None:
    """An ISO time becomes seconds since 1970; local time without an offset is that of the zone, in CSV and Parquet."""
    columns = ulb_columns(("V1",), time=TimeColumn(column="at", unit=unit, zone=zone))
    (tmp_path / "a.csv").write_text(f"at,V1,Amount,Class\n{text},1,2,0\n")
    rows: dict[str, object] = {"at": [text], "V1": [1.0], "Amount": [2.0], "Class": [0]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        content = data_file.read(str(tmp_path / name), columns)
        assert (content.faults, content.frame["at"].tolist()) == ((), [expected])
    (tmp_path / "a.csv").write_text("at,V1,Amount,Class\nsoon,1,2,0\n")
    kind = "not a time" if unit == "iso" else "not a number"
    assert found(data_file.read(str(tmp_path / "a.csv"), columns)) == [(kind, "at", 2, "soon")]


@pytest.mark.parametrize(
    ("unit", "values", "message"),
    [
        (
            "iso",
            pa.array([1772344800]),
            "is BIGINT; it must be a timestamp or ISO 8601 text with the unit iso; is the unit",
        ),
        (
            "epoch_seconds",
            pa.array([0], pa.timestamp("us")),
            "is TIMESTAMP; it must be a number with the unit epoch_sec",
        ),
    ],
)
def test_time_of_another_type_is_refused(tmp_path: Path, unit: str, values: pa.Array, message: str) -> None:
    """The message asks whether the unit is another."""
    columns = ulb_columns(("V1",), time=TimeColumn(column="at", unit=unit, zone="UTC"))
    rows = {"at": values, "V1": [1.0], "Amount": [2.0], "Class": [0]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=re.escape(message)):
        data_file.read(str(tmp_path / "a.parquet"), columns)


def test_renamed_columns_have_their_own_names_in_faults_and_messages(tmp_path: Path) -> None:
    """A fault has the name in the file; a missing column and one that is there twice have both names."""
    renamed = {"Größe (cm)": "V1"}
    path = tmp_path / "a.csv"
    path.write_text("Time;Größe (cm);V2;Amount;Class\n0;x;2;3;0\n")
    content = data_file.read(str(path), COLUMNS, renamed=renamed)
    assert list(content.frame.columns) == ["Time", "V1", "V2", "Amount", "Class"]
    assert found(content) == [("not a number", "Größe (cm)", 2, "x")]
    path.write_text("Time;Groesse;V2;Amount;Class\n0;1;2;3;0\n")
    with pytest.raises(DataError, match=r"missing 'V1'.*; data.yaml renames: 'Größe \(cm\)' is V1"):
        data_file.read(str(path), COLUMNS, renamed=renamed)
    path.write_text("Time,Größe (cm),V1,V2,Amount,Class\n0,1,1,2,3,0\n")
    with pytest.raises(DataError, match=r"'V1' named more than once.*; data.yaml renames: 'Größe \(cm\)' is V1"):
        data_file.read(str(path), COLUMNS, renamed=renamed)
    path.write_text("Time,V1,V2,Amount,Class\n0,1,2,3,0\n")
    assert data_file.read(str(path), COLUMNS, renamed=renamed).faults == ()
    many = ulb_columns(("a", "b", "c", "d", "e", "f"))
    with pytest.raises(DataError, match=r"'e' and 1 more; .*; data.yaml renames: 'Größe' is f$"):
        data_file.read(str(path), many, renamed={"Größe": "f"})
