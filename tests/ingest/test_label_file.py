"""Reading label files: every format gives the same rows, and every fault has its line, column, value and rule."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml import config
from ml.aws.labels.store import DELIVERED_SCHEMA
from ml.errors import DataError
from ml.ingest import label_file, quarantine
from ml.ingest.label_file import LabelFile

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
KNOWN = datetime(2026, 3, 1, 6, tzinfo=UTC)
HEADER = "event_id,label,known_at"
GOOD = f"{HEADER}\na,0,2026-03-01T06:00:00Z\nb,1,2026-03-01T07:00:00+01:00\n"


def read(data: bytes | str, name: str = "labels.csv", **options: Any) -> LabelFile:
    """Reads a file of this name and content."""
    content = data.encode() if isinstance(data, str) else data
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        given = {"columns": config.LABEL_COLUMNS, "channel": None, "now": NOW, **options}
        return label_file.read(str(path), given.pop("columns"), **given)


def parquet(**columns: Any) -> bytes:
    """A Parquet file of these columns."""
    stream = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), stream)
    content: bytes = stream.getvalue().to_pybytes()
    return content


def rows(content: LabelFile) -> list[tuple[Any, ...]]:
    """The labels by id."""
    return sorted(tuple(row.values()) for row in content.labels.to_pylist())


def faults(file: LabelFile) -> list[tuple[int, str | None, str, str]]:
    """Line, column, kind and value of each fault, by line and in the order of columns."""
    raw = file.content.raw
    found = [
        (raw.line(row), fault.column, fault.kind, raw.cell(row, fault.column))
        for fault in file.content.faults
        for row in fault.rows.tolist()
    ]
    return sorted(found, key=lambda item: item[0])


EXPECTED = [("a", 0, KNOWN, "chargeback"), ("b", 1, KNOWN, "chargeback")]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", GOOD.encode()),
        ("a.csv", b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()),
        ("a.csv", b'\n"known_at" , label,event_id\n2026-03-01T06:00:00Z,0,a\n\n"2026-03-01 06:00:00", 1 ,b'),
        ("a.csv", GOOD.replace(",", ";").encode()),
        ("a.csv.gz", gzip.compress(GOOD.encode(), mtime=0)),
        ("a.csv.zst", pa.compress(GOOD.encode(), "zstd", asbytes=True)),
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
    assert (rows(content), content.content.faults, content.rows, content.repeated) == (EXPECTED, (), 2, 0)


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


THEIRS = config.LabelColumns.model_validate(
    {
        "event_id": "Buchung",
        "label": "Betrug",
        "known_at": {"column": "gemeldet am", "unit": "epoch_seconds", "zone": "UTC"},
        "channel": {
            "column": "Quelle",
            "values": {"Abteilung 7": "analyst", "Bank": "chargeback"},
            "default": "analyst",
        },
    }
)


def test_columns_unit_and_channels_are_those_of_the_mapping() -> None:
    """A file without the column of channels has the default one; the columns of a label in the lake stay the same."""
    at = int(KNOWN.timestamp())
    text = f"gemeldet am,Quelle,Buchung,Betrug\n{at},Bank,a,0\n{at}, Abteilung 7,b,1\n"
    expected = [("a", 0, KNOWN, "chargeback"), ("b", 1, KNOWN, "analyst")]
    assert rows(read(text, columns=THEIRS)) == expected
    table = {"Buchung": ["a", "b"], "Betrug": [0, 1], "gemeldet am": [at, at]}
    assert rows(read(parquet(**table, Quelle=["Bank", "Abteilung 7"]), "a.parquet", columns=THEIRS)) == expected
    assert {row[3] for row in rows(read(parquet(**table), "a.parquet", columns=THEIRS))} == {"analyst"}
    assert {row[3] for row in rows(read(parquet(**table), "a.pq", columns=THEIRS, channel="chargeback"))} == {
        "chargeback"
    }


def test_faults_have_the_names_of_the_file_and_the_probable_unit() -> None:
    """Milliseconds read as seconds are far in the future; a folder may give a column, as Hive's do."""
    text = "Buchung,Betrug,gemeldet am\na,0,1772344800000\nb,0,soon\nc,0,1772344800\nd,0,17\n"
    file = read(text, columns=THEIRS, partition={"Quelle": "Bank"})
    assert faults(file) == [
        (2, "gemeldet am", "known_at in the future", "1772344800000"),
        (3, "gemeldet am", "known_at not a time", "soon"),
        (5, "gemeldet am", "known_at before 2000", "17"),
    ]
    rules = {fault.rows[0]: fault.rule for fault in file.content.faults}
    assert rules[0].endswith("it is known; is the unit of labels.known_at in data.yaml epoch_milliseconds?")
    assert (rules[1], rules[3]) == ("must be a number of epoch_seconds", "must be in 2000 or later")
    assert rows(file) == [("c", 0, KNOWN, "chargeback")]
    file = read("Buchung,Betrug,gemeldet am\na,0,1772344800\n", columns=THEIRS, partition={"Quelle": "Post"})
    (fault,) = file.content.faults
    assert fault.rule == "must be Abteilung 7 or Bank (labels.channel.values of data.yaml)"
    with pytest.raises(
        DataError, match=r"missing 'gemeldet am'; the columns must be Buchung, Betrug, gemeldet am, and"
    ):
        read("Buchung,Betrug\na,0\n", columns=THEIRS)
    with pytest.raises(DataError, match=r"column 'gemeldet am' is TIMESTAMP .* is the unit in data\.yaml iso"):
        read(parquet(**{"Buchung": ["a"], "Betrug": [1], "gemeldet am": [KNOWN]}), "a.parquet", columns=THEIRS)


Form = Literal["NFC", "NFD"]


@pytest.mark.parametrize(("file", "mapping"), [("NFC", "NFC"), ("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_umlaut_of_a_name_is_one_character_or_two(file: Form, mapping: Form) -> None:
    """As in files of transactions; faults have the name in the file, and both forms in one file are one name twice."""
    columns = config.LabelColumns.model_validate(
        {
            "event_id": "Buchung",
            "label": "Betrug",
            "known_at": {"column": normalize(mapping, "geändert"), "unit": "iso", "zone": "UTC"},
            "channel": {
                "column": normalize(mapping, "Prüfer"),
                "values": {"Bank": "chargeback", "Team": "analyst"},
                "default": "analyst",
            },
        }
    )
    header = normalize(file, "geändert;Prüfer;Betrug;Buchung;Lösch")
    found = read(f"{header}\n2026-03-01T06:00:00Z;Bank;0;a;x\nsoon;Bank;0;b;x\n", columns=columns)
    assert rows(found) == [("a", 0, KNOWN, "chargeback")]
    assert faults(found) == [(3, header.split(";")[0], "known_at not a time", "soon")]
    assert found.ignored == (header.split(";")[-1],)
    with pytest.raises(DataError, match="named more than once"):
        read("geändert;ge\u0061\u0308ndert;Betrug;Buchung\n1;2;3;4\n", columns=columns)


def test_rows_of_a_wrong_unit_are_one_fault_for_each_probable_unit() -> None:
    """The hint is computed for all rows at once; a small number is not taken for seconds since a start."""
    times = [1772344800000, 17, 1772344800000000, 0, 1772344800001, 1e14]
    found = read("\n".join(["Buchung,Betrug,gemeldet am", *(f"e{at},0,{at}" for at in times)]), columns=THEIRS)
    parts = [(fault.rows.tolist(), fault.rule.partition("; ")[2]) for fault in found.content.faults]
    units = "is the unit of labels.known_at in data.yaml"
    assert parts == [
        ([1, 3], ""),
        ([0, 4], f"{units} epoch_milliseconds?"),
        (
            [2],
            f"{units} microseconds since 1970, which must be divided by 1000 for epoch_milliseconds?",
        ),
        ([5], ""),
    ]


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
    assert next(iter(quarantine.counts(content.content).items())) == ("known_at not a time", 2)


def test_faults_of_parquet_are_located_by_row() -> None:
    """A missing value is a fault of its column; the raw row is written as CSV."""
    content = read(
        parquet(event_id=["a", None, "c"], label=[None, 1, 2], known_at=[KNOWN, None, KNOWN]), "labels.parquet"
    )
    assert content.content.raw.unit == "row"
    assert faults(content) == [
        (1, "label", "label outside {0,1}", ""),
        (2, "event_id", "missing event_id", ""),
        (2, "known_at", "known_at not a time", ""),
        (3, "label", "label outside {0,1}", "2"),
    ]
    assert content.content.raw.text(0) == b"a,,2026-03-01 06:00:00+00:00"


def test_bytes_that_are_not_utf8_are_a_fault_of_their_line() -> None:
    """Other lines are read."""
    content = read(GOOD.encode() + b"caf\xe9,0,2026-03-01\n")
    assert faults(content) == [(4, None, "not UTF-8", "caf\\xe9,0,2026-03-01")]
    (fault,) = content.content.faults
    assert fault.rule == "must be UTF-8 (byte 0xe9 at position 4 is not)"
    assert rows(content) == EXPECTED


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", r"a\.csv: is empty \(0 bytes\)"),
        ("a.csv", b"\n\n", r"a\.csv: is empty \(2 bytes\)"),
        ("a.csv", HEADER.encode(), r"a\.csv: line 1 is a header, but there are no rows"),
        ("a.csv", b"event_id,label\na,1\n", r"a\.csv: line 1: missing 'known_at'; the columns must be event_id, label"),
        ("a.csv", b"event_id,label,label,known_at\n", "'label' named more than once"),
        ("a.csv", GOOD.encode("utf-16"), r"line 1 is not UTF-8 \(it looks like UTF-16 or binary\)"),
        ("a.csv", b"caf\xe9," + GOOD.encode(), r"line 1 is not UTF-8 \(byte 0xe9 at position 4\)"),
        ("a.csv", b"PK\x03\x04", "is a zip archive; unpack it"),
        ("a.csv.gz", GOOD.encode(), "is not gzip"),
        ("a.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:-9], "is a truncated gzip"),
        ("a.parquet", GOOD.encode(), r"is not Parquet \(its first bytes are b'even'\)"),
        ("a.parquet", parquet(event_id=["a"], label=[1], known_at=[KNOWN])[:-20], "is not a readable Parquet file"),
        ("a.parquet", parquet(event_id=["a"], label=[1]), r"a\.parquet: missing 'known_at'"),
        ("a.parquet", parquet(event_id=[1.5], label=[1], known_at=[KNOWN]), "column 'event_id' is DOUBLE; it must be"),
        ("a.parquet", parquet(event_id=["a"], label=[KNOWN], known_at=[KNOWN]), "column 'label' is TIMESTAMP"),
        (
            "a.parquet",
            parquet(event_id=["a"], label=[1], known_at=[7]),
            r"column 'known_at' is BIGINT; it must be a timestamp or .* is the unit in data\.yaml epoch_seconds",
        ),
    ],
)
def test_unusable_file_is_refused(name: str, data: bytes, message: str) -> None:
    """The error names the file, what is wrong, and what to do."""
    with pytest.raises(DataError, match=message):
        read(data, name)


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
    assert content.content.faults == ()
    assert [row[2] for row in rows(content)] == [moment for moment, _ in moments]
