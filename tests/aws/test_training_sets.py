"""Training sets: the imports of a window with their labels, identified by a digest."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.aws import s3_objects, training_sets
from ml.aws.import_manifest import Source
from ml.aws.labels import store as deliveries
from ml.aws.lake import Lake
from ml.aws.session import client
from ml.errors import DataError
from tests.aws.stored_imports import DAY, store, tables
from tests.harness.aws import moto_server


@pytest.fixture
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake in a bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return Lake(moto_server.make_bucket(f"lake-{uuid4().hex}"))


def test_training_set_is_a_manifest_that_sagemaker_reads(lake: Lake) -> None:
    """A ManifestFile with the bucket as prefix and the keys of data and labels, stored under its digest."""
    stored = store(lake)
    chosen = training_sets.choose(lake, None, None)
    assert chosen.manifest_uri == f"s3://{lake.bucket}/training-sets/{chosen.sha256}/dataset.manifest"
    assert json.loads(s3_objects.read(chosen.manifest_uri)) == [
        {"prefix": f"s3://{lake.bucket}/"},
        "labels/20260301-abababababab/labels.parquet",
        "raw/20260301-abababababab/transactions.parquet",
        f"training-sets/{chosen.sha256}/files.json",
    ]
    assert (chosen.rows, chosen.frauds, chosen.imports) == (4, 1, (stored.manifest.name,))


def test_digest_of_a_training_set_is_that_of_files_json(lake: Lake) -> None:
    """files.json has the window and every file with its sha256."""
    stored = store(lake)
    chosen = training_sets.choose(lake, DAY, None)
    text = s3_objects.read(f"s3://{lake.bucket}/training-sets/{chosen.sha256}/files.json")
    assert hashlib.sha256(text).hexdigest() == chosen.sha256
    files, window = json.loads(text)
    assert dict(files) == {file.key: file.sha256 for file in stored.manifest.files}
    assert all(
        hashlib.sha256(s3_objects.read(f"s3://{lake.bucket}/{key}")).hexdigest() == sha256 for key, sha256 in files
    )
    assert window == [DAY.isoformat().replace("+00:00", "Z"), None]


def test_window_takes_the_imports_that_overlap_it(lake: Lake) -> None:
    """The start is included, the end is not; an open side is unlimited; counts are those of the chosen imports."""
    for month, content in ((1, "01" * 32), (2, "02" * 32), (3, "03" * 32)):
        store(lake, tables(4, start=datetime(2026, month, 1, tzinfo=UTC)), content)

    def taken(start: datetime | None, end: datetime | None) -> list[str]:
        return [name[4:6] for name in training_sets.choose(lake, start, end).imports]

    february = datetime(2026, 2, 1, tzinfo=UTC)
    last = february + timedelta(minutes=3)
    assert taken(None, None) == ["01", "02", "03"]
    assert taken(february, None) == ["02", "03"]
    assert taken(None, february) == ["01"]
    assert taken(last, last + timedelta(seconds=1)) == ["02"]
    assert taken(last + timedelta(microseconds=1), None) == ["03"]
    assert training_sets.choose(lake, february, None).rows == 8
    with pytest.raises(DataError, match=r"no import has events from 2026-03-02T00:00:00Z to the end \(there are 3"):
        training_sets.choose(lake, datetime(2026, 3, 2, tzinfo=UTC), None)


def test_digest_of_a_training_set_is_of_files_and_window(lake: Lake) -> None:
    """The same imports and window give the same digest in any bucket; others give another."""
    store(lake)
    digest = training_sets.choose(lake, DAY, None).sha256
    assert digest == training_sets.choose(lake, DAY, None).sha256
    assert digest != training_sets.choose(lake, None, None).sha256
    other = Lake(moto_server.make_bucket(f"lake-{uuid4().hex}"))
    store(other)
    assert digest == training_sets.choose(other, DAY, None).sha256
    store(other, tables(5), "ef" * 32)
    assert digest != training_sets.choose(other, DAY, None).sha256


def test_empty_lake_is_an_error(lake: Lake) -> None:
    """The error has the next step."""
    with pytest.raises(DataError, match="no import is complete; import data with `fraudops data import`"):
        training_sets.choose(lake, None, None)


def test_imports_with_another_unit_of_time_are_not_mixed(lake: Lake) -> None:
    """The same column in other units would be another hour of day: the import is named, with both ways out."""
    transactions, labels = tables()
    for content, unit in (("ab" * 32, "epoch_seconds"), ("ef" * 32, "epoch_milliseconds"), ("0a" * 32, None)):
        source = Source(name="a.csv", bytes=10, sha256="cd" * 32, time_unit=unit)
        lake.store(transactions, labels, source=source, content_sha256=content, duplicates=0, quarantined=0)
    assert training_sets.choose(lake, None, None).rows == 3 * transactions.num_rows
    with pytest.raises(DataError) as caught:
        training_sets.choose(lake, None, None, time_unit="epoch_seconds")
    message = str(caught.value)
    assert "its time column is in epoch_milliseconds, and data.yaml says epoch_seconds" in message
    assert "`fraudops data remove 20260301-efefefefefef`" in message
    lake.remove("20260301-efefefefefef")
    assert len(training_sets.choose(lake, None, None, time_unit="epoch_seconds").imports) == 2


def test_imports_of_different_columns_are_not_mixed(lake: Lake) -> None:
    """A training set has one layout; the import that differs is named, with the columns and both ways out."""
    store(lake)
    store(lake, tables(names=("Time", "V1", "V2", "Amount")), "ef" * 32)
    with pytest.raises(DataError) as caught:
        training_sets.choose(lake, None, None)
    message = str(caught.value)
    assert "has other columns than raw/20260301-abababababab/manifest.json (with V2)" in message
    for name in ("abababababab", "efefefefefef"):
        assert f"`fraudops data remove 20260301-{name}`" in message


def known(*rows: tuple[str, int, datetime]) -> pa.Table:
    """A table of labels."""
    columns = dict(zip(deliveries.SCHEMA.names, zip(*rows, strict=True), strict=True))
    return pa.table({name: pa.array(values) for name, values in columns.items()}).cast(deliveries.SCHEMA)


def listed(lake: Lake, chosen: training_sets.TrainingSet) -> list[str]:
    """The keys of data and labels that the training set's manifest names."""
    prefix, *names = json.loads(s3_objects.read(chosen.manifest_uri))
    assert prefix == {"prefix": f"s3://{lake.bucket}/"}
    return [name for name in names if not name.startswith("training-sets/")]


def test_training_set_has_late_labels(lake: Lake) -> None:
    """Deliveries known from the window's start on are listed, digested and counted; older ones are not."""
    transactions, labels = tables()
    store(lake, (transactions, labels.slice(0, 0)))
    before = training_sets.choose(lake, DAY, None)
    old = deliveries.deliver(lake.bucket, known(("id-0", 0, DAY - timedelta(days=1))))
    assert training_sets.choose(lake, DAY, None).sha256 == before.sha256
    late = deliveries.deliver(lake.bucket, known(("id-0", 1, DAY + timedelta(days=30))))
    later = deliveries.deliver(lake.bucket, known(("id-0", 0, DAY + timedelta(days=40))))
    after = training_sets.choose(lake, DAY, DAY + timedelta(days=1))
    assert after.deliveries == tuple(sorted((late.name, later.name)))
    assert after.frauds == 1
    assert listed(lake, after) == [
        *sorted(f"labels/{item.name}/labels.parquet" for item in (late, later)),
        "raw/20260301-abababababab/transactions.parquet",
    ]
    assert old.name in training_sets.choose(lake, None, None).deliveries


def test_training_set_has_labels_of_other_writers(lake: Lake) -> None:
    """Any Parquet file under labels/ that is not of an import counts, with its own digest."""
    store(lake)
    before = training_sets.choose(lake, None, None).sha256
    buffer = io.BytesIO()
    pq.write_table(known(("id-0", 1, DAY)), buffer)
    client("s3").put_object(Bucket=lake.bucket, Key="labels/bank/march.parquet", Body=buffer.getvalue())
    chosen = training_sets.choose(lake, None, None)
    assert chosen.sha256 != before
    assert "labels/bank/march.parquet" in listed(lake, chosen)
    # Labels of an incomplete import are ignored.
    client("s3").put_object(Bucket=lake.bucket, Key="labels/20260302-0123456789ab/labels.parquet", Body=b"half")
    assert training_sets.choose(lake, None, None).sha256 == chosen.sha256
