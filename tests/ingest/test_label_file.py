"""Reading label files: every format gives the same rows, and every fault has its line, column, value and rule."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.aws.labels.store import DELIVERED_SCHEMA
from ml.errors import DataError
from ml.ingest import label_file
from ml.ingest.label_file import LabelFile

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
KNOWN = datetime(2026, 3, 1, 6, tzinfo=UTC)
HEADER = "event_id,label,known_at"
GOOD = f"{HEADER}\na,0,2026-03-01T06:00:00Z\nb,1,2026-03-01T07:00:00+01:00\n"


def read(data: bytes | str, name: str = "labels.csv", **options: Any) -> LabelFile:
    """Reads a file of this name and content."""
    content = data.encode() if isinstance(data, str) else data
    return label_file.read(name, content, **{"channel": None, "now": NOW, **options})


def parquet(**columns: Any) -> bytes:
    """A Parquet file of these columns."""
    stream = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), stream)
    content: bytes = stream.getvalue().to_pybytes()
    return content


def rows(content: LabelFile) -> list[tuple[Any, ...]]:
    """The labels by id."""
    return sorted(tuple(row.values()) for row in content.labels.to_pylist())


def faults(content: LabelFile) -> list[tuple[int, str | None, str, str]]:
    """Line, column, kind and value of each fault."""
    return [(fault.line, fault.column, fault.kind, fault.value) for fault in content.faults]


EXPECTED = [("a", 0, KNOWN, "chargeback"), ("b", 1, KNOWN, "chargeback")]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", GOOD.encode()),
        ("a.csv", b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()),
        ("a.csv", b'\n"known_at" , label,event_id\n2026-03-01T06:00:00Z,0,a\n\n"2026-03-01 06:00:00", 1 ,b'),
        ("a.csv.gz", gzip.compress(GOOD.encode(), mtime=0)),
        ("a.parquet", parquet(event_id=["a", "b"], label=[0, 1], known_at=[KNOWN, KNOWN])),
        (
            "a.parquet",
            parquet(
                label=[False, True],
                event_id=pa.array(["a", "b"]).dictionary_encode(),
                known_at=["2026-03-01T06:00:00Z", "2026-03-01T06:00:00"],
            ),
        ),
        ("a.parquet", parquet(event_id=["a", "b"], label=[0.0, 1.0], known_at=[KNOWN.replace(tzinfo=None)] * 2)),
    ],
)
def test_formats_give_the_same_labels(name: str, data: bytes) -> None:
    """CSV with any column order and line ends, gzip and Parquet; times without an offset are UTC."""
    content = read(data, name)
    assert content.labels.schema == DELIVERED_SCHEMA
    assert (rows(content), content.faults, content.rows, content.repeated) == (EXPECTED, (), 2, 0)


def test_whole_numbers_are_ids_and_a_date_is_its_first_moment() -> None:
    """As other systems export them."""
    days = pa.array([KNOWN.date()])
    content = read(parquet(event_id=[7], label=[1], known_at=days), "a.parquet")
    assert rows(content) == [("7", 1, datetime(2026, 3, 1, tzinfo=UTC), "chargeback")]
    assert rows(read(f"{HEADER}\n7,1,2026-03-01\n")) == rows(content)


def test_channel_is_that_of_the_column_or_of_the_option() -> None:
    """Chargeback without either."""
    text = f"{HEADER},channel\na,0,2026-03-01T06:00:00Z,analyst\nb,1,2026-03-01T06:00:00Z, chargeback\n"
    assert [row[3] for row in rows(read(text))] == ["analyst", "chargeback"]
    assert {row[3] for row in rows(read(GOOD, channel="analyst"))} == {"analyst"}
    with pytest.raises(DataError, match="has a column 'channel', so --channel has no effect; leave it out"):
        read(text, channel="analyst")


def test_other_columns_are_ignored_and_repeated_rows_are_stored_once() -> None:
    """The report names the columns."""
    content = read('note,event_id,label,known_at\n"x, y",a,0,2026-03-01\n,a,0,2026-03-01\n,a,1,2026-03-01\n')
    assert (content.ignored, content.rows, content.repeated, content.labels.num_rows) == (("note",), 3, 1, 2)


def test_each_fault_has_its_line_column_and_value() -> None:
    """Faults of one row are all reported, in the order of columns."""
    long = "x" * 129
    content = read(
        f"{HEADER},channel\n"
        ",2,yesterday,phone\n"
        "\n"
        f"{long},1,2026-03-01,analyst\n"
        "a\tb,yes,1969-12-31,analyst\n"
        "c,1,2026-03-10T06:00:01Z,chargeback\n"
        "d,1,2026-03-10T06:00:00Z,chargeback\n"
        "e,1,1393632000,\n"
        "f,1\n"
        'g,"1,2026-03-01,analyst\n'
    )
    assert faults(content) == [
        (2, "event_id", "missing event_id", ""),
        (2, "label", "label outside {0,1}", "2"),
        (2, "known_at", "known_at not a time", "yesterday"),
        (2, "channel", "unknown channel", "phone"),
        (4, "event_id", "event_id too long", long),
        (5, "event_id", "event_id not printable", "a\tb"),
        (5, "label", "label outside {0,1}", "yes"),
        (5, "known_at", "known_at before 2000", "1969-12-31"),
        (6, "known_at", "known_at in the future", "2026-03-10T06:00:01Z"),
        (8, "known_at", "known_at not a time", "1393632000"),
        (8, "channel", "unknown channel", ""),
        (9, None, "wrong number of fields", "f,1"),
        (10, None, "unbalanced quotes", 'g,"1,2026-03-01,analyst'),
    ]
    assert (content.rows, content.faulty_rows, rows(content)) == (
        8,
        7,
        [("d", 1, datetime(2026, 3, 10, 6, tzinfo=UTC), "chargeback")],
    )
    assert next(iter(content.problems.items())) == ("known_at not a time", 2)


def test_faults_of_parquet_are_located_by_row() -> None:
    """A missing value is a fault of its column; the raw row is written as CSV."""
    content = read(
        parquet(event_id=["a", None, "c"], label=[None, 1, 2], known_at=[KNOWN, None, KNOWN]), "labels.parquet"
    )
    assert content.unit == "row"
    assert faults(content) == [
        (1, "label", "label outside {0,1}", ""),
        (2, "event_id", "missing event_id", ""),
        (2, "known_at", "known_at not a time", ""),
        (3, "label", "label outside {0,1}", "2"),
    ]
    assert content.faults[0].text == "a,,2026-03-01 06:00:00+00:00"


def test_bytes_that_are_not_utf8_are_a_fault_of_their_line() -> None:
    """Other lines are read."""
    content = read(GOOD.encode() + b"caf\xe9,0,2026-03-01\n")
    (fault,) = content.faults
    assert (fault.line, fault.column, fault.text) == (4, None, "caf\\xe9,0,2026-03-01")
    assert fault.rule == "must be UTF-8 (byte 0xe9 at position 4 is not)"
    assert rows(content) == EXPECTED


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", r"a\.csv: is empty \(0 bytes\)"),
        ("a.csv", b"\n\n", r"a\.csv: is empty \(2 bytes\)"),
        ("a.csv", HEADER.encode(), r"a\.csv: has columns and no rows"),
        ("a.csv", b"event_id,label\na,1\n", r"a\.csv: line 1: missing 'known_at'; the columns must be event_id, label"),
        ("a.csv", b"event_id,label,label,known_at\n", "'label' named more than once"),
        ("a.csv", HEADER.replace(",", ";").encode(), r"line 1 is delimited by semicolons; delimit the file by commas"),
        ("a.csv", GOOD.encode("utf-16"), r"line 1 is not UTF-8 \(it looks like UTF-16 or binary\)"),
        ("a.csv", b"caf\xe9," + GOOD.encode(), r"line 1 is not UTF-8 \(byte 0xe9\)"),
        ("a.csv", b"PK\x03\x04", "is a zip archive; unpack it"),
        ("a.csv.gz", GOOD.encode(), "is not gzip"),
        ("a.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:-9], "is a damaged or truncated gzip"),
        ("a.parquet", GOOD.encode(), r"is not Parquet \(its first bytes are b'even'\)"),
        ("a.parquet", parquet(event_id=["a"], label=[1], known_at=[KNOWN])[:-20], "is not a readable Parquet file"),
        ("a.parquet", parquet(event_id=["a"], label=[1]), r"a\.parquet: missing 'known_at'"),
        ("a.parquet", parquet(event_id=[1.5], label=[1], known_at=[KNOWN]), "column 'event_id' is double; it must be"),
        ("a.parquet", parquet(event_id=["a"], label=[KNOWN], known_at=[KNOWN]), "column 'label' is timestamp"),
        ("a.parquet", parquet(event_id=["a"], label=[1], known_at=[7]), "column 'known_at' is int64; it must be times"),
    ],
)
def test_unusable_file_is_refused(name: str, data: bytes, message: str) -> None:
    """The error names the file, what is wrong, and what to do."""
    with pytest.raises(DataError, match=message):
        read(data, name)


def test_long_files_are_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines keep their numbers across chunks, in both formats."""
    monkeypatch.setattr(label_file, "_CHUNK_ROWS", 3)
    lines = [f"e{number},{'x' if number % 5 == 4 else 0},2026-03-01T06:00:00Z" for number in range(11)]
    content = read("\n".join([HEADER, *lines]))
    assert ([fault.line for fault in content.faults], content.labels.num_rows) == ([6, 11], 9)
    numbers = [2 if number % 5 == 4 else 0 for number in range(11)]
    table = parquet(event_id=[f"e{number}" for number in range(11)], label=numbers, known_at=[KNOWN] * 11)
    content = read(table, "a.parquet")
    assert ([fault.line for fault in content.faults], content.labels.num_rows) == ([5, 10], 9)


TIMES: list[Callable[[datetime], str]] = [
    lambda moment: moment.isoformat(),
    lambda moment: moment.isoformat(" ").replace("+00:00", "Z"),
    lambda moment: moment.replace(tzinfo=None).isoformat(),
]


@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(2000, 1, 1), datetime(2026, 3, 9)).map(lambda moment: moment.replace(tzinfo=UTC)),
            st.sampled_from(TIMES),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_mixture_of_iso_times_is_read_exactly(moments: list[tuple[datetime, Callable[[datetime], str]]]) -> None:
    """One form in all rows and several forms give the same times, to the microsecond."""
    lines = [f"e{number},1,{form(moment)}" for number, (moment, form) in enumerate(moments)]
    content = read("\n".join([HEADER, *lines]))
    assert content.faults == ()
    assert [row[2] for row in rows(content)] == [moment for moment, _ in moments]
