"""The data lake: complete imports, each stored once."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.aws import lake_tables, s3_objects
from ml.aws.import_manifest import ImportManifest
from ml.aws.lake import Lake
from ml.aws.session import client
from ml.errors import CloudError, DataError
from tests.aws.stored_imports import content_of, keys, store, tables
from tests.harness.aws import moto_server


@pytest.fixture
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake in a bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return Lake(moto_server.make_bucket(f"lake-{uuid4().hex}"))


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


def test_transactions_may_come_before_their_labels(lake: Lake) -> None:
    """An import without labels has no label file and no known fraud."""
    transactions, labels = tables()
    stored = store(lake, (transactions, labels.slice(0, 0)))
    assert [file.key for file in stored.manifest.files] == ["raw/20260301-abababababab/transactions.parquet"]
    assert stored.manifest.frauds == 0
    assert store(lake, (transactions, labels.slice(0, 0))).uploaded == ()
