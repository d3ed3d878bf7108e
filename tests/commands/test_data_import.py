"""`fraudops data import` stores a file completely or not at all, and reports every row."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ml.aws import s3_objects
from ml.aws.lake import Lake
from ml.aws.session import client
from ml.cli import app
from ml.commands import data_import
from ml.commands.data_import import ImportReport, import_data
from ml.errors import CloudError, DataError
from ml.ingest import data_file, event_times, file_listing
from ml.ingest.content import Content
from ml.ingest.event_times import Dating
from ml.model.training_settings import Columns, TimeColumn
from ml.simulate import stand_in_data, table_files
from tests.harness.aws import moto_server
from tests.harness.columns import ulb_columns

COLUMNS = ulb_columns(("V1", "V2"))
KAGGLE = ulb_columns(tuple(f"V{i}" for i in range(1, 29)))
UNTIMED = ulb_columns(("score",), label="fraud", time=None, amount="value")
HEADER = "Time,V1,V2,Amount,Class"
GOOD = "0,1.5,-2,3.25,0\n60.5,-1e-3,.5,0,1\n0,1.5,-2,3.25,0\n"
BAD = f"{HEADER}\n{GOOD}1,2,3\n2,x,4,5,0\n3,1,1,-1,0\n"


@pytest.fixture
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake in a bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return Lake(moto_server.make_bucket(f"lake-{uuid4().hex}"))


def run(lake: Lake, path: Path | str, columns: Columns = COLUMNS, **options: Any) -> ImportReport:
    """Imports `path`; by default without a start and without quarantine."""
    return import_data(str(path), lake=lake, columns=columns, **{"start": None, "quarantine": False, **options})


def written(path: Path, text: str) -> Path:
    """Writes `text` to `path`."""
    path.write_text(text)
    return path


def landed(lake: Lake, report: ImportReport, kind: str = "raw") -> pa.Table:
    """The stored rows of an import, under raw/ or labels/."""
    name = {"raw": "transactions", "labels": "labels"}[kind]
    data = s3_objects.read(f"s3://{lake.bucket}/{kind}/{report.name}/{name}.parquet")
    return pq.read_table(io.BytesIO(data))


def count(lake: Lake) -> int:
    """The number of objects in the lake, but for the records of which files were read."""
    listed = client("s3").list_objects_v2(Bucket=lake.bucket).get("Contents", [])
    return sum(not item["Key"].startswith("raw/sources/") for item in listed)


def test_file_in_kaggle_layout_is_imported(lake: Lake, tmp_path: Path) -> None:
    """Ids and times are generated, labels are stored separately, repeated rows are counted and kept."""
    report = run(lake, written(tmp_path / "a.csv", f"{HEADER}\n{GOOD}"))
    assert (report.rows, report.imported, report.quarantined) == (3, 3, 0)
    assert (report.frauds, report.duplicates, report.new) == (1, 1, True)
    assert (report.start, report.end) == (
        datetime(2013, 9, 1, tzinfo=UTC),
        datetime(2013, 9, 1, 0, 1, 0, 500_000, tzinfo=UTC),
    )
    table = landed(lake, report)
    assert table.column_names == ["event_id", "event_time", "Time", "V1", "V2", "Amount"]
    assert table.select(["Time", "V1", "V2", "Amount"]).to_pylist()[1] == {
        "Time": 60.5,
        "V1": -0.001,
        "V2": 0.5,
        "Amount": 0.0,
    }
    assert re.fullmatch(r"20130901-[0-9a-f]{12}", report.name)
    assert table["event_id"].to_pylist() == [f"{report.name[9:]}-{row:09d}" for row in range(3)]
    labels = landed(lake, report, "labels")
    assert labels["label"].to_pylist() == [0, 1, 0]
    assert labels["event_id"].equals(table["event_id"])
    assert labels["known_at"].equals(table["event_time"])
    assert report.notes == (
        "Time is taken to count from 2013-09-01 00:00 UTC, the month of the ULB data; set another day with --start",
    )


def test_start_gives_time_a_date(lake: Lake, tmp_path: Path) -> None:
    """--start sets the date of the events and the import's name, changes the ids and needs no note."""
    path = written(tmp_path / "a.csv", f"{HEADER}\n{GOOD}")
    report = run(lake, path, start=date(2026, 2, 28))
    assert report.name.startswith("20260228-")
    assert report.notes == ()
    assert landed(lake, report)["event_time"].to_pylist()[0] == datetime(2026, 2, 28, tzinfo=UTC)
    assert landed(lake, report)["event_id"][0] != landed(lake, run(lake, path))["event_id"][0]


@pytest.mark.parametrize("year", [1999, 2200])
def test_start_out_of_range_is_refused(lake: Lake, tmp_path: Path, year: int) -> None:
    """A start before 2000 or after tomorrow is refused before anything is stored."""
    with pytest.raises(DataError, match="--start must be a day from 2000-01-01 to tomorrow"):
        run(lake, written(tmp_path / "a.csv", f"{HEADER}\n{GOOD}"), start=date(year, 1, 1))


def test_equal_content_is_one_import(lake: Lake, tmp_path: Path) -> None:
    """CSV, gzip and Parquet of the same rows are one import: the second and third write nothing."""
    text = f"{HEADER}\n{GOOD}"
    first = run(lake, written(tmp_path / "a.csv", text))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    columns = [[0.0, 60.5, 0.0], [1.5, -0.001, 1.5], [-2.0, 0.5, -2.0], [3.25, 0.0, 3.25], [0, 1, 0]]
    pq.write_table(pa.table(dict(zip(HEADER.split(","), columns, strict=True))), tmp_path / "c.parquet")
    before = count(lake)
    for name in ("a.csv", "b.csv.gz", "c.parquet"):
        report = run(lake, tmp_path / name)
        assert (report.name, report.new) == (first.name, False)
    assert count(lake) == before


def test_broken_file_is_refused_completely(lake: Lake, tmp_path: Path) -> None:
    """The message has file, line, content, rule, the counts of all problems and the next step."""
    path = written(tmp_path / "a.csv", BAD)
    with pytest.raises(DataError) as caught:
        run(lake, path)
    assert str(caught.value) == (
        f"{path}: line 5: '1,2,3' must have 5 fields (has 3); 3 of 6 rows break the contract "
        "(negative amount 1, not a number 1, wrong number of fields 1); "
        "correct them at the source, or import with --quarantine to quarantine them"
    )
    assert count(lake) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_first_problem_names_column_and_value(lake: Lake, tmp_path: Path) -> None:
    """The message has line, column and value; a long value is cut."""
    with pytest.raises(DataError, match=r"a\.csv: line 2, column Amount: '-7' must be 0 or more; 1 of 1 rows"):
        run(lake, written(tmp_path / "a.csv", f"{HEADER}\n0,1,2,-7,0\n"))
    with pytest.raises(DataError, match=rf"line 2, column V1: '{'y' * 60}…' must be a number"):
        run(lake, written(tmp_path / "a.csv", f"{HEADER}\n0,{'y' * 1_000},2,7,0\n"))


def test_feature_of_text_is_said_to_belong_in_categories(lake: Lake, tmp_path: Path) -> None:
    """Only if no row has a number: one value that is no number is a fault of its row."""
    hint = "text belongs in categories of data.yaml, not in features: V1"
    with pytest.raises(DataError, match=hint):
        run(lake, written(tmp_path / "a.csv", f"{HEADER}\n0,shop,2,7,0\n1,bar,2,7,0\n"))
    with pytest.raises(DataError) as caught:
        run(lake, written(tmp_path / "a.csv", f"{HEADER}\n0,shop,2,7,0\n1,2,2,7,0\n"))
    assert "categories" not in str(caught.value)


def test_start_that_a_column_of_epochs_seems_to_need_is_a_wrong_unit(lake: Lake, tmp_path: Path) -> None:
    """Several files without --start: values that are times since 1970 name that unit; small ones ask for the start."""
    columns = ulb_columns(("V1",), time=TimeColumn(column="at", unit="seconds_since_start", zone="UTC"))
    for name in ("a", "b"):
        written(tmp_path / f"{name}.csv", "at,V1,Amount,Class\n1772344800,1,2,0\n")
    with pytest.raises(DataError, match=r"a\.csv: column at: 1772344800 is too large .* data.yaml epoch_seconds\?"):
        run(lake, tmp_path, columns)
    for name in ("a", "b"):
        written(tmp_path / f"{name}.csv", "at,V1,Amount,Class\n60,1,2,0\n")
    with pytest.raises(DataError, match=r"a\.csv: at counts from a start that the files do not say; give it with --st"):
        run(lake, tmp_path, columns)
    assert count(lake) == 0


def test_quarantine_sets_bad_rows_aside(lake: Lake, tmp_path: Path) -> None:
    """Bad rows go to a file beside the source with line, reason and text; the others are imported."""
    path = tmp_path / "a.csv"
    path.write_bytes(BAD.encode() + b'4,"caf\xe9",1,1,0\n')
    report = run(lake, path, quarantine=True)
    assert (report.rows, report.imported, report.quarantined) == (7, 3, 4)
    assert report.problems == {"negative amount": 1, "not UTF-8": 1, "not a number": 1, "wrong number of fields": 1}
    assert report.quarantine_path == f"{path}.quarantine.csv"
    data = Path(report.quarantine_path).read_bytes()
    rows = list(csv.reader(io.StringIO(data.decode("utf-8", errors="surrogateescape"))))
    assert rows == [
        ["line", "reason", "text"],
        ["5", "line must have 5 fields (has 3)", "1,2,3"],
        ["6", "V1 must be a number (got 'x')", "2,x,4,5,0"],
        ["7", "Amount must be 0 or more (got '-1')", "3,1,1,-1,0"],
        ["8", "line must be UTF-8 (byte 0xe9 at position 7 is not)", '4,"caf\udce9",1,1,0'],
    ]
    assert landed(lake, report).num_rows == 3
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.csv", "a.csv.quarantine.csv"]


def test_corrected_quarantine_file_is_imported(lake: Lake, tmp_path: Path) -> None:
    """The first import and the corrected quarantine file together have all rows of the source."""
    first = run(lake, written(tmp_path / "a.csv", BAD), quarantine=True)
    with Path(str(first.quarantine_path)).open(newline="") as aside:
        texts = [row["text"] for row in csv.DictReader(aside)]
    corrected = [texts[0] + ",4,1", texts[1].replace("x", "7"), texts[2].replace("-", "")]
    second = run(lake, written(tmp_path / "b.csv", "\n".join([HEADER, *corrected])))
    assert first.imported + second.imported == 6
    assert second.notes[1:] == (
        "the lake also has 3 transactions of the same time from a.csv; if they are the same ones, training counts them "
        f"twice: `fraudops data remove {first.name}`",
    )


def test_quarantine_of_a_good_file_leaves_no_file(lake: Lake, tmp_path: Path) -> None:
    """Without bad rows no quarantine file is written."""
    report = run(lake, written(tmp_path / "a.csv", f"{HEADER}\n{GOOD}"), quarantine=True)
    assert (report.quarantined, report.quarantine_path) == (0, None)
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_file_without_valid_row_is_refused(lake: Lake, tmp_path: Path) -> None:
    """A file of which every row would be quarantined is refused; no quarantine file is written."""
    with pytest.raises(DataError, match=r"2 of 2 rows break the contract .* no row is left to import"):
        run(lake, written(tmp_path / "a.csv", f"{HEADER}\n1\n2\n"), quarantine=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_unwritable_quarantine_file_stops_the_import(lake: Lake, tmp_path: Path) -> None:
    """If the quarantine file cannot be written, nothing is imported."""
    (tmp_path / "a.csv.quarantine.csv").mkdir()
    with pytest.raises(DataError, match=r"a\.csv\.quarantine\.csv: cannot be written"):
        run(lake, written(tmp_path / "a.csv", BAD), quarantine=True)
    assert count(lake) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.csv", "a.csv.quarantine.csv"]


def test_parquet_rows_are_set_aside_by_number(lake: Lake, tmp_path: Path) -> None:
    """The quarantine file has the row's number and its values as CSV."""
    columns = [[0.0, 1.0], [1.5, None], [-2.0, 1.0], [3.25, 2.5], [0, 1]]
    pq.write_table(pa.table(dict(zip(HEADER.split(","), columns, strict=True))), tmp_path / "a.parquet")
    report = run(lake, tmp_path / "a.parquet", quarantine=True)
    assert (report.rows, report.imported, report.quarantined) == (2, 1, 1)
    assert Path(f"{tmp_path}/a.parquet.quarantine.csv").read_text() == (
        "row,reason,text\n2,V1 must be a number (got ''),\"1.0,,1.0,2.5,1\"\n"
    )


def test_s3_file_is_imported_and_quarantined_in_s3(lake: Lake) -> None:
    """An s3:// URI is read like a path, and the quarantine file is stored beside the object."""
    uri = f"s3://{lake.bucket}/incoming/a.csv"
    s3_objects.write(uri, BAD.encode(), "text/csv")
    report = run(lake, uri, quarantine=True)
    assert (report.imported, report.quarantine_path) == (3, f"{uri}.quarantine.csv")
    assert s3_objects.read(f"{uri}.quarantine.csv").startswith(b"line,reason,text\n5,")
    with pytest.raises(DataError, match=r"incoming/none\.csv: no such object"):
        run(lake, f"s3://{lake.bucket}/incoming/none.csv")


def test_ids_and_times_of_the_file_are_kept(lake: Lake, tmp_path: Path) -> None:
    """event_id and event_time are stored unchanged, in the file's order; --start is refused."""
    text = f"event_id,{HEADER},event_time\nb,10,1,2,3,0,2026-03-02T00:00:10+01:00\na,5,1,2,3,1,2026-03-01T00:00:05Z\n"
    path = written(tmp_path / "a.csv", text)
    report = run(lake, path)
    assert report.notes == ()
    table = landed(lake, report)
    assert table["event_id"].to_pylist() == ["b", "a"]
    assert table["event_time"].to_pylist() == [
        datetime(2026, 3, 1, 23, 0, 10, tzinfo=UTC),
        datetime(2026, 3, 1, 0, 0, 5, tzinfo=UTC),
    ]
    assert table["Time"].to_pylist() == [10, 5]
    with pytest.raises(DataError, match="has an event_time column, so --start has no effect"):
        run(lake, path, start=date(2026, 3, 1))


def test_time_is_made_from_event_time(lake: Lake, tmp_path: Path) -> None:
    """The model's time column is computed as seconds since the first midnight."""
    text = "event_time,V1,V2,Amount,Class\n2026-03-02T01:00:00.5Z,1,2,3,0\n2026-03-01T02:00:00Z,1,2,3,1\n"
    report = run(lake, written(tmp_path / "a.csv", text))
    assert landed(lake, report)["Time"].to_pylist() == [90_000.5, 7_200.0]
    assert report.notes == ("Time was computed from event_time: seconds since 2026-03-01 00:00 UTC",)


def test_another_feature_set_without_time_is_imported(lake: Lake, tmp_path: Path) -> None:
    """The columns are those of data.yaml, with or without a time column."""
    text = "event_time,score,value,fraud\n2026-03-01,0.5,10,0\n2026-03-02,0.7,20,1\n"
    report = run(lake, written(tmp_path / "a.csv", text), UNTIMED)
    assert landed(lake, report).column_names == ["event_id", "event_time", "score", "value"]
    assert report.frauds == 1


def test_repeated_ids_are_a_broken_contract(lake: Lake, tmp_path: Path) -> None:
    """The second row with an event_id is refused, because a label could belong to either."""
    text = f"event_id,{HEADER}\na,0,1,2,3,0\na,1,1,2,3,0\n"
    with pytest.raises(DataError, match="line 3, column event_id: 'a' must not repeat one of an earlier row"):
        run(lake, written(tmp_path / "a.csv", text))


def test_missing_lake_is_an_error(lake: Lake, tmp_path: Path) -> None:
    """The error has AWS's code for a missing bucket."""
    with pytest.raises(CloudError, match="NoSuchBucket"):
        run(Lake("lake-that-is-not-there"), written(tmp_path / "a.csv", f"{HEADER}\n{GOOD}"))


def test_stand_in_is_imported_whole(lake: Lake, tmp_path: Path) -> None:
    """All rows of `data synthesise` are imported; CSV, gzip and Parquet give the same import."""
    table = stand_in_data.draw(2_000, frauds=20, seed=1, start=date(2026, 1, 1), months=2)
    names = set()
    for name in ("a.csv", "a.csv.gz", "a.parquet"):
        table_files.write(tmp_path / name, table)
        report = run(lake, tmp_path / name, KAGGLE)
        assert (report.imported, report.frauds) == (2_000, 20)
        names.add(report.name)
    assert len(names) == 1
    table_files.write(tmp_path / "b.csv", stand_in_data.draw(1_000, seed=1))
    assert run(lake, tmp_path / "b.csv", KAGGLE).name.startswith("20130901-")


BANK = ulb_columns(
    ("feat_a",),
    label="is_fraud",
    time=TimeColumn(column="at", unit="epoch_seconds", zone="UTC"),
    amount="txn_amount",
    event_id="tx",
    entity="card_id",
    keep=("day",),
)


def daily(folder: Path, day: int, half: int, rows: int = 3) -> Path:
    """One of two Parquet files of a day in a folder of its own, with columns in an order of their own."""
    first = int(datetime(2026, 3, day, 12 * half, tzinfo=UTC).timestamp())
    path = folder / f"day=2026-03-{day:02d}/part-{half}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {
        "is_fraud": [0] * (rows - 1) + [1],
        "card_id": [f"{row:04d}" for row in range(rows)],
        "tx": [f"{day}-{half}-{row}" for row in range(rows)],
        "txn_amount": [1.25 * row for row in range(rows)],
        "merchant_category": ["food"] * rows,
        "feat_a": [0.5] * rows,
        "at": [first + row for row in range(rows)],
    }
    pq.write_table(pa.table(table), path)
    return path


def test_folder_of_daily_files_is_one_import(lake: Lake, tmp_path: Path) -> None:
    """Two files a day below Hive folders: one manifest that lists them; kept columns are text, others are ignored."""
    for day in (1, 2):
        for half in (0, 1):
            daily(tmp_path, day, half)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "notes.txt").write_text("not data")
    report = run(lake, tmp_path, BANK)
    assert (report.files, report.present, report.rows, report.frauds, report.new) == (4, 0, 12, 4, True)
    (manifest,) = lake.imports()
    assert [source.name for source in manifest.sources] == [
        f"{tmp_path.name}/day=2026-03-0{day}/part-{half}.parquet" for day in (1, 2) for half in (0, 1)
    ]
    assert (manifest.name, manifest.rows, len(manifest.files)) == (report.name, 12, 8)
    stored = pq.read_table(io.BytesIO(s3_objects.read(f"s3://{lake.bucket}/{manifest.sources[2].files[0].key}")))
    assert stored.column_names == ["event_id", "event_time", "card_id", "day", "at", "feat_a", "txn_amount"]
    assert stored.select(["event_id", "card_id", "day"]).to_pylist()[1] == {
        "event_id": "2-0-1",
        "card_id": "0001",
        "day": "2026-03-02",
    }
    assert stored["event_time"].to_pylist()[0] == datetime(2026, 3, 2, tzinfo=UTC)
    again = run(lake, tmp_path, BANK)
    assert (again.new, again.present, again.name, again.rows) == (False, 4, report.name, 12)
    assert len(lake.imports()) == 1


def test_names_of_sources_tell_folders_apart(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two folders with files of one name, given as folders, patterns or files; a repetition imports nothing now."""
    for day in (1, 2, 3, 4):
        daily(tmp_path, day, 0)
    monkeypatch.chdir(tmp_path)
    names = []
    file, other = "day=2026-03-03/part-0.parquet", f"{tmp_path}/day=2026-03-04/part-0.parquet"
    for given in (["day=2026-03-01"], ["day=2026-03-02/*.parquet"], [file], [other]):
        report = import_data(*given, lake=lake, columns=BANK, start=None, quarantine=False)
        names += [source.name for item in lake.imports() if item.name == report.name for source in item.sources]
    assert names == [*(f"day=2026-03-0{day}/part-0.parquet" for day in (1, 2, 3)), "part-0.parquet"]
    both = [f"{tmp_path}/day=2026-03-0{day}/part-0.parquet" for day in (1, 2)]
    assert [found.name for found in file_listing.find(both)] == both
    again = import_data(file, lake=lake, columns=BANK, start=None, quarantine=False)
    monkeypatch.setattr(data_import, "import_files", lambda *_, **__: again)
    done = CliRunner().invoke(app, ["data", "import", file])
    assert "in the lake already, nothing written" in done.output
    assert "3 in the lake already, 0 imported now" in done.output


def test_category_with_too_many_values_is_reported_and_imported(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training would refuse it; it is said at once and in the report, once for all files."""
    columns = dataclasses.replace(BANK, entity=None, categories=("card_id",))
    for day in (1, 2):
        daily(tmp_path, day, 0)
    assert run(lake, tmp_path, columns, max_values=3).notes == ()
    report = run(lake, daily(tmp_path / "other", 3, 0, rows=5), columns, max_values=3)
    (note,) = report.notes
    assert "column card_id: '0003' is different value 4 of this import, and categories.max_values in" in note
    assert f"warning: {note}" in capsys.readouterr().err
    assert report.imported == 5


def test_next_day_imports_new_files_only(lake: Lake, tmp_path: Path) -> None:
    """The same command a day later: files of the lake are not read again, and the new ones are an import."""
    daily(tmp_path, 1, 0)
    first = run(lake, tmp_path, BANK)
    daily(tmp_path, 2, 0)
    daily(tmp_path, 2, 1)
    second = run(lake, tmp_path, BANK)
    assert (second.files, second.present, second.rows, second.new) == (3, 1, 6, True)
    assert [item.name for item in lake.imports()] == [first.name, second.name]
    assert second.notes == ()


def test_interrupted_run_goes_on_where_it_stopped(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of an interrupted run is visible; repeated, it reads only the files that were not stored."""
    for half in (0, 1):
        daily(tmp_path, 1, half)
    third = daily(tmp_path, 2, 0)
    whole, reading = third.read_bytes(), data_file.read
    third.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match=r"day=2026-03-02/part-0\.parquet: is not a readable Parquet file"):
        run(lake, tmp_path, BANK)
    assert lake.imports() == []
    third.write_bytes(whole)
    read: list[str] = []

    def counted(path: str, *arguments: Any, **options: Any) -> Content:
        read.append(path)
        return reading(path, *arguments, **options)

    monkeypatch.setattr(data_file, "read", counted)
    report = run(lake, tmp_path, BANK)
    assert read == [str(third)]
    assert (report.files, report.rows, report.new) == (3, 9, True)
    (manifest,) = lake.imports()
    assert manifest.rows == 9


def test_prefix_and_pattern_in_s3_are_imported(lake: Lake, tmp_path: Path) -> None:
    """A prefix and a pattern mean the same objects as the folder; the partition is that of the key."""
    for half in (0, 1):
        path = daily(tmp_path, 1, half)
        s3_objects.write(f"s3://{lake.bucket}/in/{path.relative_to(tmp_path)}", path.read_bytes(), "binary")
    first = run(lake, f"s3://{lake.bucket}/in", BANK)
    assert (first.files, first.rows) == (2, 6)
    again = run(lake, f"s3://{lake.bucket}/in/day=*/*.parquet", BANK)
    assert (again.present, again.name, again.new) == (2, first.name, False)
    with pytest.raises(DataError, match="matches no object"):
        run(lake, f"s3://{lake.bucket}/in/*.csv", BANK)


@pytest.mark.parametrize(
    ("unit", "value", "message"),
    [
        ("epoch_seconds", 1393632000000, "'1393632000000' reads as year 46132 in {unit}; {ask} epoch_milliseconds?"),
        ("epoch_milliseconds", 1772344800, "reads as year 1970 in {unit}; {ask} epoch_seconds?"),
        ("epoch_seconds", 86_400, "reads as year 1970 in {unit}; {ask} seconds_since_start?"),
        ("seconds_since_start", 1772344800, "reads as year 2069 in {unit}; {ask} epoch_seconds?"),
        ("epoch_seconds", 4_000_000_000, "reads as year 2096 in {unit}; times must be from 2000-01-01 to tomorrow, 2"),
    ],
)
def test_implausible_time_is_refused_with_its_probable_unit(
    lake: Lake, tmp_path: Path, unit: str, value: int, message: str
) -> None:
    """A time before 2000 or after tomorrow names its file, line, column and value; nothing is stored."""
    columns = ulb_columns(("V1",), time=TimeColumn(column="at", unit=unit, zone="UTC"))
    path = written(tmp_path / "a.csv", f"at,V1,Amount,Class\n{value},1,2,0\n")
    expected = re.escape(message.format(unit=unit, ask="is the unit in data.yaml"))
    with pytest.raises(DataError, match=rf"a\.csv: line 2, column at: .*{expected}"):
        run(lake, path, columns)
    assert count(lake) == 0


def test_implausible_times_of_a_file_are_one_fault_for_each_year_and_unit() -> None:
    """In the order of their first rows."""
    columns = ulb_columns(("V1",), time=TimeColumn(column="at", unit="epoch_seconds", zone="UTC"))
    dating = Dating(start=None, day=None, alone=True, now=datetime(2026, 3, 10, tzinfo=UTC))
    times = [4e9, 86_400.0, 1.7e12, 1.7e9, 86_401.0, 1.7e12, -1.0]
    frame = pd.DataFrame({"at": times})
    assert event_times.date_rows("a.csv", frame, columns, dating).column == "at"
    faults = event_times.time_faults(frame, columns, dating, "at")
    assert [(fault.rows.tolist(), fault.rule.split("; ")[0], "?" in fault.rule) for fault in faults] == [
        ([0], "reads as year 2096 in epoch_seconds", False),
        ([1, 4], "reads as year 1970 in epoch_seconds", True),
        ([2, 5], "reads as year 55840 in epoch_seconds", True),
        ([6], "reads as year 1969 in epoch_seconds", False),
    ]
    assert sum(fault.rows.dtype == np.int64 for fault in faults) == 4


def test_event_time_out_of_range_is_refused(lake: Lake, tmp_path: Path) -> None:
    """Also where the time is a date."""
    text = f"event_time,{HEADER}\n1999-12-31,0,1,2,3,0\n"
    with pytest.raises(DataError, match="column event_time: '1999-12-31' reads as year 1999; times must be from 2000"):
        run(lake, written(tmp_path / "a.csv", text))


def test_file_without_any_time_is_dated_by_its_name(lake: Lake, tmp_path: Path) -> None:
    """Rows are spread over the day of the file in its order; without a day, the error says how to give one."""
    rows = "score,value,fraud\n0.5,10,0\n0.7,20,1\n"
    report = run(lake, written(tmp_path / "tx-20260301.csv", rows), UNTIMED)
    assert landed(lake, report)["event_time"].to_pylist() == [
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 12, tzinfo=UTC),
    ]
    assert "dated evenly over the day of their file" in report.notes[0]
    report = run(lake, written(tmp_path / "b.csv", rows), UNTIMED, start=date(2026, 3, 2))
    assert report.start == datetime(2026, 3, 2, tzinfo=UTC)
    with pytest.raises(DataError, match=r"c\.csv: data\.yaml names no time column, .* give the day with --start"):
        run(lake, written(tmp_path / "c.csv", rows), UNTIMED)


def test_files_without_labels_are_imported_on_request(lake: Lake, tmp_path: Path) -> None:
    """Their labels come later; unless that is said, a missing label column is refused."""
    path = written(tmp_path / "a.csv", "Time,V1,V2,Amount\n0,1,2,3\n")
    with pytest.raises(DataError, match="missing 'Class'"):
        run(lake, path)
    report = run(lake, path, labelled=False)
    assert (report.rows, report.frauds) == (1, 0)
    assert [file.key.split("/")[0] for file in lake.imports()[0].files] == ["raw"]


def test_data_without_an_amount_is_imported(lake: Lake, tmp_path: Path) -> None:
    """No amount column is asked for."""
    report = run(lake, written(tmp_path / "a.csv", "Time,V1,Class\n0,1,0\n"), ulb_columns(("V1",), amount=None))
    assert landed(lake, report).column_names == ["event_id", "event_time", "Time", "V1"]
