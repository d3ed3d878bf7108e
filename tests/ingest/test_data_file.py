"""Tests of reading data files: every row is kept, and every fault has its line."""

from __future__ import annotations

import gzip
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import DataError
from ml.ingest import data_file, quarantine
from ml.ingest.table import Content
from ml.model.training_settings import Columns

COLUMNS = Columns(label="Class", time="Time", amount="Amount", features=("V1", "V2"))
HEADER = "Time,V1,V2,Amount,Class"
GOOD = "0,1.5,-2,3.25,0\n60,-1e-3,.5,0,1\n"
INPUTS = ["Time", "V1", "V2", "Amount", "Class"]


def read(tmp_path: Path, data: bytes | str, name: str = "a.csv") -> Content:
    """Reads a file `name` with the content `data`."""
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return data_file.read(str(path), COLUMNS)


def found(content: Content) -> list[tuple[str, str | None, int, str]]:
    """(kind, column, line, text of the cell) of all faults, in the order of lines."""
    return sorted(
        (
            (fault.kind, fault.column, content.raw.line(row), content.raw.cell(row, fault.column))
            for fault in content.faults
            for row in fault.rows.tolist()
        ),
        key=lambda item: (item[2], item[1] or ""),
    )


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{GOOD}",
        f"{HEADER}\n{GOOD}".rstrip("\n"),
        f"{HEADER}\n{GOOD}".replace("\n", "\r\n"),
        f"{HEADER}\n{GOOD}".replace("\n", "\r"),
        f"\ufeff{HEADER}\n{GOOD}",
        f"\n  \n{HEADER}\n\n{GOOD}\n \n",
        '"Time","V1","V2","Amount","Class"\n0,1.5,-2,3.25,"0"\n60,-1e-3,.5,0,"1"\n',
        f"{HEADER}\n 0 ,+1.5,-2.,3.25,0\n60,-1E-3,\t.5,0.0,1.0\n",
    ],
)
def test_read_accepts_equivalent_csv(tmp_path: Path, text: str) -> None:
    """Line ends, a byte order mark, quotes (Kaggle's file has them), blanks and empty lines make no difference."""
    content = read(tmp_path, text)
    assert content.faults == ()
    assert content.frame.to_numpy().tolist() == [[0, 1.5, -2, 3.25, 0], [60, -0.001, 0.5, 0, 1]]
    assert list(content.frame.columns) == INPUTS


@pytest.mark.parametrize(
    ("row", "kind", "column", "cell"),
    [
        ("1,abc,3,4,0", "not a number", "V1", "abc"),
        ("1,0x10,3,4,0", "not a number", "V1", "0x10"),
        ("1,1_0,3,4,0", "not a number", "V1", "1_0"),
        ("1,nan(1),3,4,0", "not a number", "V1", "nan(1)"),
        ("1,,3,4,0", "missing value", "V1", ""),
        ("1,NULL,3,4,0", "missing value", "V1", "NULL"),
        ("1,2,NaN,4,0", "not finite", "V2", "NaN"),
        ("1,2,-inf,4,0", "not finite", "V2", "-inf"),
        ("1,2,1e999,4,0", "not finite", "V2", "1e999"),
        ("1,2,1e200,4,0", "value out of range", "V2", "1e200"),
        ("1,2,3,1e13,0", "value out of range", "Amount", "1e13"),
        ("1,2,3,-0.01,0", "negative amount", "Amount", "-0.01"),
        ("-1,2,3,4,0", "negative time", "Time", "-1"),
        ("1,2,3,4,2", "label outside {0,1}", "Class", "2"),
        ("1,2,3,4,", "missing value", "Class", ""),
        ("1,2,3,4", "wrong number of fields", None, "1,2,3,4"),
        ("1,2,3,4,0,", "wrong number of fields", None, "1,2,3,4,0,"),
        ("1;2;3;4;0", "wrong number of fields", None, "1;2;3;4;0"),
        ('1,2,3,4,"0', "unbalanced quotes", None, '1,2,3,4,"0'),
        (f'1,"{"9" * 140_000}",3,4,0', "not CSV", None, f'1,"{"9" * 140_000}",3,4,0'),
    ],
)
def test_fault_has_its_line_and_cell(tmp_path: Path, row: str, kind: str, column: str | None, cell: str) -> None:
    """Empty lines count; the cell has the file's text; other rows are unchanged."""
    content = read(tmp_path, f"{HEADER}\n0,1,2,3,0\n\n{row}\n5,6,7,8,1\n")
    assert found(content) == [(kind, column, 4, cell)]
    assert content.bad.tolist() == [False, True, False]
    assert content.frame[~content.bad].to_numpy().tolist() == [[0, 1, 2, 3, 0], [5, 6, 7, 8, 1]]


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


def test_invalid_utf8_is_a_fault_of_its_row_only(tmp_path: Path) -> None:
    """The fault has the byte and its position; the row's bytes are kept unchanged."""
    content = read(tmp_path, f"{HEADER}\n0,1,2,3,0\n1,2,3,4,0\n".encode() + b"5,caf\xe9,3,4,0\n")
    assert [item[:3] for item in found(content)] == [("not UTF-8", None, 4)]
    assert content.faults[0].rule == "must be UTF-8 (byte 0xe9 at position 6 is not)"
    assert content.raw.text(2) == b"5,caf\xe9,3,4,0"


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


def parquet(tmp_path: Path, **columns: object) -> Content:
    """Reads a Parquet file of two valid rows; `columns` replace theirs."""
    good: dict[str, object] = {
        "Time": [0.0, 60.0],
        "V1": [1.5, -0.001],
        "V2": [-2.0, 0.5],
        "Amount": [3.25, 0.0],
        "Class": [0, 1],
    }
    pq.write_table(pa.table(good | columns), tmp_path / "a.parquet")
    return data_file.read(str(tmp_path / "a.parquet"), COLUMNS)


def test_parquet_gives_the_same_rows_as_csv(tmp_path: Path) -> None:
    """Integers, decimals, text and booleans give the same rows."""
    csv = read(tmp_path, f"{HEADER}\n{GOOD}")
    for variant in (
        {},
        {"Class": pa.array([False, True])},
        {"Class": ["0", "1"], "V1": ["1.5", " -1e-3 "]},
        {"Amount": pa.array(["3.25", "0"]).dictionary_encode()},
        {"Amount": pa.array([3.25, 0]).cast(pa.decimal128(6, 2)), "Time": pa.array([0, 60], pa.uint16())},
    ):
        pd.testing.assert_frame_equal(parquet(tmp_path, **variant).frame, csv.frame)


@pytest.mark.parametrize(
    ("columns", "kind", "column", "cell"),
    [
        ({"V1": [1.0, None]}, "missing value", "V1", ""),
        ({"V1": [1.0, math.nan]}, "not finite", "V1", "nan"),
        ({"V1": ["1", "x"]}, "not a number", "V1", "x"),
        ({"V1": ["1", None]}, "missing value", "V1", ""),
        ({"Amount": [1.0, -1.0]}, "negative amount", "Amount", "-1.0"),
        ({"event_id": ["a", "a"]}, "duplicate event_id", "event_id", "a"),
        ({"event_id": pa.array([7, None])}, "missing event_id", "event_id", ""),
        ({"event_time": pa.array([0, None], pa.timestamp("ms"))}, "not a time", "event_time", ""),
        ({"event_time": ["2026-01-01", "soon"]}, "not a time", "event_time", "soon"),
    ],
)
def test_parquet_fault_has_its_row_number(
    tmp_path: Path, columns: dict[str, object], kind: str, column: str, cell: str
) -> None:
    """Rows of Parquet are counted from 1."""
    content = parquet(tmp_path, **columns)
    assert found(content) == [(kind, column, 2, cell)]
    assert content.raw.unit == "row"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"V1": pa.array([[1.0], [2.0]])}, "column 'V1' is list"),
        ({"event_id": [1.5, 2.5]}, "column 'event_id' is double; it must be text or whole numbers"),
        ({"event_time": [1, 2]}, "column 'event_time' is int64; it must be a timestamp"),
        ({"V3": [1.0, 2.0]}, "not expected 'V3'"),
    ],
)
def test_parquet_with_wrong_types_is_rejected(tmp_path: Path, columns: dict[str, object], message: str) -> None:
    """The column is named with its type."""
    with pytest.raises(DataError) as caught:
        parquet(tmp_path, **columns)
    assert message in str(caught.value)


def test_parquet_without_rows_is_rejected(tmp_path: Path) -> None:
    """Columns alone are not data."""
    pq.write_table(pa.table({name: pa.array([], pa.float64()) for name in INPUTS}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="has columns and no rows"):
        data_file.read(str(tmp_path / "a.parquet"), COLUMNS)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2026-03-01T06:00:00Z", "2026-03-01T08:00:00.25+02:00"], [0, 250_000]),
        (["2026-03-01T06:00:00", "2026-03-01 06:00:00.000001"], [0, 1]),
        (["2026-03-01T06:00:00Z", "2026-03-01T06:00:01"], [0, 1_000_000]),
        (["2026-03-01T06:00:00Z", "2026-03-01"], [0, -6 * 3_600 * 1_000_000]),
    ],
)
def test_event_times_are_utc(tmp_path: Path, texts: list[str], expected: list[int]) -> None:
    """Offsets are honoured, a time without one is UTC, and spellings may be mixed."""
    rows = "".join(f"{text},0,1,2,3,0\n" for text in texts)
    content = read(tmp_path, f"event_time,{HEADER}\n{rows}")
    assert content.faults == ()
    assert str(content.frame["event_time"].dtype) == "datetime64[us, UTC]"
    origin = pd.Timestamp("2026-03-01T06:00:00Z")
    assert ((content.frame["event_time"] - origin) // pd.Timedelta("1us")).tolist() == expected


def test_ids_are_text(tmp_path: Path) -> None:
    """An id of digits keeps its zeros, and a quoted line break in one is two broken lines, not one good row."""
    content = read(tmp_path, f"event_id,{HEADER}\n007,0,1,2,3,0\n7,0,1,2,3,0\n")
    assert content.frame["event_id"].tolist() == ["007", "7"]
    content = read(tmp_path, f'event_id,{HEADER}\n"a\nb",0,1,2,3,0\n7,0,1,2,3,0\n')
    assert content.bad.tolist() == [True, True, False]


CELL = st.one_of(
    st.floats(-1e6, 1e6).map(repr),
    st.floats().map(repr),
    st.integers(-5, 5).map(str),
    st.sampled_from(["", " ", "x", '"', '""', '"1"', '"1,2"', "1;2", "+1", ".5", "5.", "1e5", "NA", "1,2", "\xe9"]),
    st.text(max_size=4).filter(lambda text: not set(text) & {"\n", "\r"}),
)


@settings(deadline=None)
@given(
    rows=st.lists(st.lists(CELL, min_size=1, max_size=6).map(",".join), min_size=1, max_size=8),
    good=st.lists(st.floats(0, 1e6), min_size=5, max_size=5),
)
def test_read_keeps_every_row(tmp_path_factory: pytest.TempPathFactory, rows: list[str], good: list[float]) -> None:
    """Each line is one row, valid or not; invalid rows keep their text, valid ones their numbers."""
    rows = [row for row in rows if row.encode().strip()]
    last = ",".join(repr(value) for value in good[:4]) + ",1"
    folder = tmp_path_factory.getbasetemp()
    content = read(folder, "\n".join([HEADER, *rows, last]) + "\n", "any.csv")
    assert len(content.frame) == len(rows) + 1
    assert not content.bad[-1]
    assert content.frame.iloc[-1].tolist() == [*good[:4], 1.0]
    for position, row in enumerate(rows):
        if content.bad[position]:
            assert content.raw.text(position) == row.encode()
            assert content.raw.line(position) == position + 2
        else:
            values = [float(field.strip(' \t"')) for field in row.split(",")]
            assert content.frame.iloc[position].tolist() == values


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(0, 1e12), min_size=3, max_size=3), min_size=1, max_size=6))
def test_arrow_and_line_reader_agree(tmp_path_factory: pytest.TempPathFactory, numbers: list[list[float]]) -> None:
    """A row has the same bits whether or not another row of its file is invalid."""
    rows = "".join(f"1,{','.join(repr(value) for value in row)},0\n" for row in numbers)
    folder = tmp_path_factory.getbasetemp()
    quick = read(folder, f"{HEADER}\n{rows}", "quick.csv")
    careful = read(folder, f"{HEADER}\n{rows}x,1,1,1,1\n", "careful.csv")
    assert quick.faults == ()
    assert careful.bad.tolist() == [*[False] * len(numbers), True]
    np.testing.assert_array_equal(quick.frame.to_numpy(), careful.frame.to_numpy()[:-1])
