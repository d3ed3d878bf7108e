"""`fraudops labels import` stores each file completely or not at all, and reports every row."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml import config
from ml.aws import s3_objects
from ml.aws.import_manifest import Source
from ml.aws.labels import coverage, store
from ml.aws.lake import Lake
from ml.aws.session import client
from ml.commands.labels_import import LabelImport, import_into
from ml.errors import DataError
from ml.ingest import file_listing
from tests.harness.aws import moto_server

EVENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HEADER = "event_id,label,known_at,channel"
GOOD = f"""{HEADER}
a,0,2026-03-20T06:00:00Z,chargeback
b,1,2026-03-03T06:00:00Z,analyst
b,1,2026-03-20T06:00:00Z,chargeback
"""
BAD = f"{GOOD}c,2,2026-03-03,analyst\nd,1,soon\n,3,2027-01-01,phone\n"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 April 2026."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-04-01T06:00:00Z")


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return moto_server.make_bucket(f"labels-{uuid4().hex}")


def run(bucket: str, *paths: Path | str, channel: str | None = None, quarantine: bool = False) -> LabelImport:
    """Imports files."""
    return import_into(
        bucket,
        file_listing.find(map(str, paths)),
        columns=config.LABEL_COLUMNS,
        endpoint="production",
        channel=channel,
        quarantine=quarantine,
    )


def written(path: Path, text: str) -> Path:
    """Writes `text` to `path`."""
    path.write_text(text)
    return path


def stored(bucket: str) -> dict[str, pa.Table]:
    """The labels of each delivery."""
    return {
        each.name: pq.read_table(io.BytesIO(s3_objects.read(f"s3://{bucket}/{each.file.key}")))
        for each in store.deliveries(bucket)
    }


def land(bucket: str, *ids: str) -> None:
    """Stores transactions of one time."""
    table = pa.table(
        {
            "event_id": pa.array(ids),
            "event_time": pa.array([EVENT] * len(ids), pa.timestamp("us", "UTC")),
            "Amount": pa.array([1.0] * len(ids)),
        }
    )
    source = Source(name="x", sha256="0" * 64, bytes=1)
    Lake(bucket).store(
        table, store.SCHEMA.empty_table(), source=source, content_sha256="1" * 64, duplicates=0, quarantined=0
    )


def test_import_reports_its_labels_and_counts_in_the_lake(bucket: str, tmp_path: Path) -> None:
    """Channels, frauds and times; only chargeback labels cover transactions."""
    land(bucket, "a", "b", "c")
    report = run(bucket, written(tmp_path / "a.csv", GOOD))
    (file,) = report.files
    assert (file.new, file.rows, file.imported, file.frauds, file.refused) == (True, 3, 3, 2, None)
    assert file.channels == {"analyst": 1, "chargeback": 2}
    assert (file.first, file.last) == (datetime(2026, 3, 3, 6, tzinfo=UTC), datetime(2026, 3, 20, 6, tzinfo=UTC))
    assert (report.events.unknown, report.events.early, report.error) == (0, 0, None)
    (day,) = coverage.by_day(bucket, EVENT - DAY, EVENT + DAY, as_of=datetime(2026, 4, 1, tzinfo=UTC))
    assert (day.rows, day.labelled, day.frauds) == (3, 2, 1)


def test_equal_labels_are_stored_once(bucket: str, tmp_path: Path) -> None:
    """In another order, format or file, and with a repeated row."""
    first = run(bucket, written(tmp_path / "a.csv", GOOD))
    lines = GOOD.splitlines()
    again = run(bucket, written(tmp_path / "b.csv", "\n".join([lines[0], lines[3], lines[1], lines[2], lines[1]])))
    assert (again.files[0].name, again.files[0].new, again.files[0].repeated) == (first.files[0].name, False, 1)
    assert len(stored(bucket)) == 1


def test_correction_is_a_later_label(bucket: str, tmp_path: Path) -> None:
    """The transaction counts as its latest label says."""
    land(bucket, "a", "b", "c")
    run(bucket, written(tmp_path / "a.csv", GOOD))
    run(bucket, written(tmp_path / "b.csv", "event_id,label,known_at\na,1,2026-03-25\n"))
    (day,) = coverage.by_day(bucket, EVENT - DAY, EVENT + DAY, as_of=datetime(2026, 4, 1, tzinfo=UTC))
    assert (day.labelled, day.frauds) == (2, 2)


def test_faulty_file_is_refused_and_the_others_are_imported(bucket: str, tmp_path: Path) -> None:
    """The error names the first faulty row, how many there are and what to do; nothing of the file is stored."""
    bad, good = written(tmp_path / "a.csv", BAD), written(tmp_path / "b.csv", GOOD)
    report = run(bucket, bad, good, tmp_path / "gone.csv")
    assert [bool(each.refused) for each in report.files] == [True, False, True]
    assert report.files[0].refused == (
        f"{bad}: line 5, column label: '2' must be 0 (legitimate) or 1 (fraud); 3 of 6 rows break the contract of "
        "labels (label outside {0,1} 2, known_at in the future 1, missing event_id 1, unknown channel 1, wrong number "
        "of fields 1); correct them at the source, or import with --quarantine to quarantine them"
    )
    error = report.error
    assert isinstance(error, DataError)
    assert str(error).endswith(f"; also refused: {tmp_path}/gone.csv; imported: 1 of 3 files")
    assert (list(stored(bucket)), report.imported) == ([report.files[1].name], 3)
    assert not list(tmp_path.glob("*.quarantine.csv"))


def test_quarantine_has_the_faulty_rows_with_every_reason(bucket: str, tmp_path: Path) -> None:
    """The others are imported, and the quarantine is not taken for a label file."""
    report = run(bucket, written(tmp_path / "a.csv", BAD), quarantine=True)
    (file,) = report.files
    assert (file.rows, file.imported, file.quarantined, report.error) == (6, 3, 3, None)
    assert file.quarantine_path == f"{tmp_path}/a.csv.quarantine.csv"
    table = list(csv.reader(io.StringIO(Path(file.quarantine_path).read_text())))
    assert table[0] == ["line", "reason", "text"]
    assert [(row[0], row[2]) for row in table[1:]] == [
        ("5", "c,2,2026-03-03,analyst"),
        ("6", "d,1,soon"),
        ("7", ",3,2027-01-01,phone"),
    ]
    assert table[2][1] == "line must have 4 fields (has 3)"
    assert table[3][1].split("; ") == [
        "event_id must not be empty (got '')",
        "label must be 0 (legitimate) or 1 (fraud) (got '3')",
        "known_at must not be in the future: a label is imported once it is known (got '2027-01-01')",
        "channel must be analyst or chargeback (got 'phone')",
    ]
    with pytest.raises(DataError, match="so no row is left to import"):
        raise run(bucket, written(tmp_path / "c.csv", f"{HEADER}\na,2,x,y\n"), quarantine=True).error or AssertionError


def test_quarantine_of_an_object_is_beside_it(bucket: str) -> None:
    """As for a local file."""
    uri = f"s3://{bucket}/in/a.csv"
    s3_objects.write(uri, BAD.encode(), "text/csv")
    (file,) = run(bucket, uri, quarantine=True).files
    assert file.quarantine_path == f"{uri}.quarantine.csv"
    assert s3_objects.read(file.quarantine_path).startswith(b"line,reason,text\n5,")


def test_unknown_events_are_counted_and_not_refused(bucket: str, tmp_path: Path) -> None:
    """A label may be that of a transaction whose captured row is not indexed yet; one before its event is noted."""
    land(bucket, "a")
    text = "event_id,label,known_at\na,1,2026-02-28\nreq-7#0,0,2026-03-02\n"
    report = run(bucket, written(tmp_path / "a.csv", text))
    assert (report.imported, report.error) == (2, None)
    assert (report.events.unknown, report.events.unknown_examples) == (1, ("req-7#0",))
    assert (report.events.early, report.events.early_examples) == (1, ("a",))


def test_notes_name_ignored_columns_and_contradictions(bucket: str, tmp_path: Path) -> None:
    """Both labels of one channel and time: fraud counts, as everywhere."""
    text = "event_id,label,known_at,branch\na,1,2026-03-02,x\na,0,2026-03-02,x\n"
    (file,) = run(bucket, written(tmp_path / "a.csv", text), channel="analyst").files
    assert file.channels == {"analyst": 2}
    assert file.notes == (
        "columns that are none of a label were ignored: branch",
        "events with both labels of one channel and time: 1; there, fraud counts",
    )


def test_interrupted_import_is_completed_by_the_next(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its manifest a delivery does not count; the same command writes what is missing and nothing twice."""
    paths = [written(tmp_path / f"{day}.csv", GOOD.replace("2026-03-20", f"2026-03-2{day}")) for day in range(3)]
    names = [each.name for each in run(bucket, *paths).files]
    client("s3").delete_object(Bucket=bucket, Key=f"labels/{names[1]}/manifest.json")
    report = run(bucket, *paths)
    assert [each.new for each in report.files] == [False, True, False]
    assert sorted(stored(bucket)) == sorted(filter(None, names))
