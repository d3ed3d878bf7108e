"""The data lake: complete imports, each stored once, and training sets identified by their digest."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.aws import lake as lake_module
from ml.aws import lake_tables, s3_objects
from ml.aws.import_manifest import ImportManifest, Source
from ml.aws.labels import store as deliveries
from ml.aws.lake import Lake
from ml.aws.session import client
from ml.errors import CloudError, DataError
from tests.harness.aws import moto_server

DAY = datetime(2026, 3, 1, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")


@pytest.fixture
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake in a bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return Lake(moto_server.make_bucket(f"lake-{uuid4().hex}"))


def tables(rows: int = 4, *, start: datetime = DAY, names: tuple[str, ...] = ("Time", "V1", "Amount")) -> Any:
    """Transactions, one a minute, and their labels; the last one is a fraud."""
    ids = pa.array([f"id-{row}" for row in range(rows)])
    times = pa.array([start + timedelta(minutes=row) for row in range(rows)], TIME)
    values = {name: pa.array([float(row + position) for row in range(rows)]) for position, name in enumerate(names)}
    labels = pa.array([0] * (rows - 1) + [1], pa.int8())
    return (
        pa.table({"event_id": ids, "event_time": times, **values}),
        pa.table({"event_id": ids, "label": labels, "known_at": times}),
    )


def store(lake: Lake, made: Any = None, content: str = "ab" * 32, name: str = "a.csv") -> lake_module.Stored:
    """Stores `made` under the digest `content`."""
    transactions, labels = made or tables()
    source = Source(name=name, bytes=10, sha256="cd" * 32)
    return lake.store(transactions, labels, source=source, content_sha256=content, duplicates=1, quarantined=2)


def keys(lake: Lake) -> list[str]:
    """Every key in the bucket."""
    return sorted(item["Key"] for item in client("s3").list_objects_v2(Bucket=lake.bucket).get("Contents", []))


def content_of(lake: Lake, key: str) -> bytes:
    """The object at `key`."""
    return s3_objects.read(f"s3://{lake.bucket}/{key}")


def test_import_is_data_labels_and_manifest(lake: Lake) -> None:
    """Keys have the first day and the digest; the manifest has counts, time span and the digest of each file."""
    stored = store(lake)
    assert keys(lake) == [
        "labels/20260301-abababababab/labels.parquet",
        "raw/20260301-abababababab/manifest.json",
        "raw/20260301-abababababab/transactions.parquet",
    ]
    document = json.loads(content_of(lake, stored.manifest.key))
    assert stored.manifest_uri == f"s3://{lake.bucket}/raw/20260301-abababababab/manifest.json"
    (source,) = document["sources"]
    assert (document["format"], document["name"]) == (2, "20260301-abababababab")
    assert {key: source[key] for key in ("rows", "frauds", "duplicates", "quarantined")} == {
        "rows": 4,
        "frauds": 1,
        "duplicates": 1,
        "quarantined": 2,
    }
    assert (source["start"], source["end"]) == ("2026-03-01T00:00:00Z", "2026-03-01T00:03:00Z")
    assert (source["name"], source["columns"][:2], source["kept"]) == ("a.csv", ["event_id", "event_time"], [])
    for file in source["files"]:
        data = content_of(lake, file["key"])
        assert (file["sha256"], file["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))


def test_labels_are_stored_apart_from_transactions(lake: Lake) -> None:
    """raw/ has no labels; labels/ has the id, the label and when it was known."""
    transactions, labels = tables()
    store(lake, (transactions, labels))
    raw = pq.read_table(io.BytesIO(content_of(lake, "raw/20260301-abababababab/transactions.parquet")))
    assert raw.equals(transactions)
    assert pq.read_table(io.BytesIO(content_of(lake, "labels/20260301-abababababab/labels.parquet"))).equals(labels)


def test_manifest_is_written_last(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a manifest there is no import; storing it again completes it."""

    def failing(params: dict[str, Any], **_: object) -> None:
        if params["Key"].startswith("labels/"):
            raise CloudError("the connection was lost")

    events = client("s3").meta.events
    events.register("provide-client-params.s3.PutObject", failing)
    try:
        with pytest.raises(CloudError):
            store(lake)
    finally:
        events.unregister("provide-client-params.s3.PutObject", failing)
    assert keys(lake) == ["raw/20260301-abababababab/transactions.parquet"]
    assert lake.imports() == []
    stored = store(lake)
    assert [key.split("/")[0] for key in stored.uploaded] == ["labels", "raw"]
    assert stored.uploaded[-1].endswith("manifest.json")
    assert lake.imports() == [stored.manifest]


def test_same_content_is_stored_once(lake: Lake) -> None:
    """A second import of the same content writes nothing and returns the first manifest."""
    first = store(lake)
    again = store(lake, name="renamed.parquet")
    assert again.uploaded == ()
    assert again.manifest == first.manifest
    assert lake.imports() == [first.manifest]


@pytest.mark.parametrize("damage", ["deleted", "overwritten"])
def test_damaged_import_is_repaired(lake: Lake, damage: str) -> None:
    """A missing or changed file is written again, the others are not."""
    stored = store(lake)
    key = stored.manifest.files[0].key
    if damage == "deleted":
        client("s3").delete_object(Bucket=lake.bucket, Key=key)
    else:
        s3_objects.write(f"s3://{lake.bucket}/{key}", b"something else", "text/plain")
    again = store(lake)
    assert again.uploaded == (key,)
    assert hashlib.sha256(content_of(lake, key)).hexdigest() == stored.manifest.files[0].sha256


def test_same_table_gives_the_same_bytes(lake: Lake, server: str) -> None:
    """Equal content gives equal digests, in another bucket and with other table metadata."""
    transactions, labels = tables()
    one = store(lake, (transactions, labels))
    noted = transactions.replace_schema_metadata({"written": "today"}).combine_chunks()
    other = store(Lake(moto_server.make_bucket(f"lake-{uuid4().hex}")), (noted, labels))
    assert [file.sha256 for file in one.manifest.files] == [file.sha256 for file in other.manifest.files]


def test_large_import_is_split_into_files(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are split by size; all are stored, in order."""
    monkeypatch.setattr(lake_tables, "FILE_BYTES", 8 * 5 * 3)
    transactions, labels = tables(8)
    stored = store(lake, (transactions, labels))
    parts = [file for file in stored.manifest.files if file.key.startswith("raw/")]
    assert [(file.key.rsplit("/", 1)[1], file.rows) for file in parts] == [
        ("transactions-0000.parquet", 3),
        ("transactions-0001.parquet", 3),
        ("transactions-0002.parquet", 2),
    ]
    read = pa.concat_tables(pq.read_table(io.BytesIO(content_of(lake, file.key))) for file in parts)
    assert read.equals(transactions)


@pytest.mark.parametrize(
    "change",
    [
        lambda made: (made[0].drop_columns(["event_time"]), made[1]),
        lambda made: (made[0].set_column(2, "Time", pa.array([0, 1, 2, 3])), made[1]),
        lambda made: (made[0].slice(1), made[1]),
        lambda made: (made[0].slice(0, 0), made[1].slice(0, 0)),
        lambda made: (made[0], made[1].drop_columns(["known_at"])),
    ],
)
def test_tables_of_another_shape_are_refused(lake: Lake, change: Any) -> None:
    """A missing column, another type, a label without a row, and no rows."""
    with pytest.raises(DataError, match="the lake accepts"):
        store(lake, change(tables()))
    assert keys(lake) == []


def test_training_set_is_a_manifest_that_sagemaker_reads(lake: Lake) -> None:
    """A ManifestFile with the bucket as prefix and the keys of data and labels, stored under its digest."""
    stored = store(lake)
    chosen = lake.training_set(None, None)
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
    chosen = lake.training_set(DAY, None)
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
        return [name[4:6] for name in lake.training_set(start, end).imports]

    february = datetime(2026, 2, 1, tzinfo=UTC)
    last = february + timedelta(minutes=3)
    assert taken(None, None) == ["01", "02", "03"]
    assert taken(february, None) == ["02", "03"]
    assert taken(None, february) == ["01"]
    assert taken(last, last + timedelta(seconds=1)) == ["02"]
    assert taken(last + timedelta(microseconds=1), None) == ["03"]
    assert lake.training_set(february, None).rows == 8
    with pytest.raises(DataError, match=r"no import has events from 2026-03-02T00:00:00Z to the end \(there are 3"):
        lake.training_set(datetime(2026, 3, 2, tzinfo=UTC), None)


def test_digest_of_a_training_set_is_of_files_and_window(lake: Lake) -> None:
    """The same imports and window give the same digest in any bucket; others give another."""
    store(lake)
    digest = lake.training_set(DAY, None).sha256
    assert digest == lake.training_set(DAY, None).sha256
    assert digest != lake.training_set(None, None).sha256
    other = Lake(moto_server.make_bucket(f"lake-{uuid4().hex}"))
    store(other)
    assert digest == other.training_set(DAY, None).sha256
    store(other, tables(5), "ef" * 32)
    assert digest != other.training_set(DAY, None).sha256


def test_empty_lake_is_an_error(lake: Lake) -> None:
    """The error has the next step."""
    with pytest.raises(DataError, match="no import is complete; import data with `fraudops data import`"):
        lake.training_set(None, None)


def test_imports_with_another_unit_of_time_are_not_mixed(lake: Lake) -> None:
    """The same column in other units would be another hour of day: the import is named, with both ways out."""
    transactions, labels = tables()
    for content, unit in (("ab" * 32, "epoch_seconds"), ("ef" * 32, "epoch_milliseconds"), ("0a" * 32, None)):
        source = Source(name="a.csv", bytes=10, sha256="cd" * 32, time_unit=unit)
        lake.store(transactions, labels, source=source, content_sha256=content, duplicates=0, quarantined=0)
    assert lake.training_set(None, None).rows == 3 * transactions.num_rows
    with pytest.raises(DataError) as caught:
        lake.training_set(None, None, time_unit="epoch_seconds")
    message = str(caught.value)
    assert "its time column is in epoch_milliseconds, and data.yaml says epoch_seconds" in message
    assert "`fraudops data remove 20260301-efefefefefef`" in message
    lake.remove("20260301-efefefefefef")
    assert len(lake.training_set(None, None, time_unit="epoch_seconds").imports) == 2


def test_imports_of_different_columns_are_not_mixed(lake: Lake) -> None:
    """A training set has one layout; the import that differs is named, with the columns and both ways out."""
    store(lake)
    store(lake, tables(names=("Time", "V1", "V2", "Amount")), "ef" * 32)
    with pytest.raises(DataError) as caught:
        lake.training_set(None, None)
    message = str(caught.value)
    assert "has other columns than raw/20260301-abababababab/manifest.json (with V2)" in message
    for name in ("abababababab", "efefefefefef"):
        assert f"`fraudops data remove 20260301-{name}`" in message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": 1, "rows": 3, "surplus": 2}',
        '{"format": 2}',
        '{"format": 2, "name": "x", "sources": []}',
    ],
)
def test_damaged_manifest_is_named(lake: Lake, text: str) -> None:
    """An invalid manifest is an error; its import is not skipped."""
    s3_objects.write(f"s3://{lake.bucket}/raw/20260301-xyz/manifest.json", text.encode(), "application/json")
    with pytest.raises(DataError, match=r"raw/20260301-xyz/manifest\.json: is not the manifest of an import"):
        lake.imports()


def test_manifest_of_another_format_is_refused(lake: Lake) -> None:
    """The format's number must be the known one."""
    manifest = store(lake).manifest
    later = manifest.to_json().replace('"format": 2', '"format": 3')
    with pytest.raises(DataError, match="has another format than 2"):
        ImportManifest.from_json(later, "here")
    assert ImportManifest.from_json(manifest.to_json(), "here") == manifest


def test_missing_bucket_is_an_error(lake: Lake) -> None:
    """The error has the bucket and AWS's code."""
    nowhere = Lake("lake-that-is-not-there")
    for attempt in (nowhere.imports, lambda: store(nowhere)):
        with pytest.raises(CloudError, match=r"lake-that-is-not-there.*NoSuchBucket"):
            attempt()


def test_objects_are_written_and_read_back(lake: Lake) -> None:
    """A missing object, an invalid URI and a refusal are different errors."""
    uri = f"s3://{lake.bucket}/a/b c.csv"
    s3_objects.write(uri, b"\0\xff", "text/csv")
    assert s3_objects.read(uri) == b"\0\xff"
    with pytest.raises(DataError, match=r"a/none: no such object"):
        s3_objects.read(f"s3://{lake.bucket}/a/none")
    for wrong in ("s3://bucket", "s3:///key", "http://bucket/key"):
        with pytest.raises(DataError, match="must be s3://BUCKET/KEY"):
            s3_objects.read(wrong)


def known(*rows: tuple[str, int, datetime]) -> pa.Table:
    """A table of labels."""
    columns = dict(zip(deliveries.SCHEMA.names, zip(*rows, strict=True), strict=True))
    return pa.table({name: pa.array(values) for name, values in columns.items()}).cast(deliveries.SCHEMA)


def listed(lake: Lake, chosen: lake_module.TrainingSet) -> list[str]:
    """The keys of data and labels that the training set's manifest names."""
    prefix, *names = json.loads(s3_objects.read(chosen.manifest_uri))
    assert prefix == {"prefix": f"s3://{lake.bucket}/"}
    return [name for name in names if not name.startswith("training-sets/")]


def test_transactions_may_come_before_their_labels(lake: Lake) -> None:
    """An import without labels has no label file and no known fraud."""
    transactions, labels = tables()
    stored = store(lake, (transactions, labels.slice(0, 0)))
    assert [file.key for file in stored.manifest.files] == ["raw/20260301-abababababab/transactions.parquet"]
    assert stored.manifest.frauds == 0
    assert store(lake, (transactions, labels.slice(0, 0))).uploaded == ()


def test_training_set_has_late_labels(lake: Lake) -> None:
    """Deliveries known from the window's start on are listed, digested and counted; older ones are not."""
    transactions, labels = tables()
    store(lake, (transactions, labels.slice(0, 0)))
    before = lake.training_set(DAY, None)
    old = deliveries.deliver(lake.bucket, known(("id-0", 0, DAY - timedelta(days=1))))
    assert lake.training_set(DAY, None).sha256 == before.sha256
    late = deliveries.deliver(lake.bucket, known(("id-0", 1, DAY + timedelta(days=30))))
    later = deliveries.deliver(lake.bucket, known(("id-0", 0, DAY + timedelta(days=40))))
    after = lake.training_set(DAY, DAY + timedelta(days=1))
    assert after.deliveries == tuple(sorted((late.name, later.name)))
    assert after.frauds == 1
    assert listed(lake, after) == [
        *sorted(f"labels/{item.name}/labels.parquet" for item in (late, later)),
        "raw/20260301-abababababab/transactions.parquet",
    ]
    assert old.name in lake.training_set(None, None).deliveries


def test_training_set_has_labels_of_other_writers(lake: Lake) -> None:
    """Any Parquet file under labels/ that is not of an import counts, with its own digest."""
    store(lake)
    before = lake.training_set(None, None).sha256
    buffer = io.BytesIO()
    pq.write_table(known(("id-0", 1, DAY)), buffer)
    client("s3").put_object(Bucket=lake.bucket, Key="labels/bank/march.parquet", Body=buffer.getvalue())
    chosen = lake.training_set(None, None)
    assert chosen.sha256 != before
    assert "labels/bank/march.parquet" in listed(lake, chosen)
    # Labels of an incomplete import are ignored.
    client("s3").put_object(Bucket=lake.bucket, Key="labels/20260302-0123456789ab/labels.parquet", Body=b"half")
    assert lake.training_set(None, None).sha256 == chosen.sha256
