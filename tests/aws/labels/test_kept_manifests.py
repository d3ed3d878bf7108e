"""Manifests that a drift check keeps: another process does not read them again, and a replaced one does not count."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyarrow as pa
import pytest

from ml.aws import s3_objects
from ml.aws.labels import store
from ml.aws.labels.kept_manifests import KeptManifests
from ml.aws.session import client
from ml.errors import DataError
from tests.harness.aws import moto_server

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A lake without deliveries, and a process that has read no manifest."""
    moto_server.point_at(server, monkeypatch)
    monkeypatch.setattr(store, "_manifests", {})
    return moto_server.make_bucket(f"manifests-{uuid4().hex}")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The keys of manifests that are read from now on."""
    keys: list[str] = []
    read = store._read

    def record(bucket: str, key: str) -> bytes:
        keys.append(key)
        return read(bucket, key)

    monkeypatch.setattr(store, "_read", record)
    yield keys


def deliver(bucket: str, number: int) -> str:
    """Delivers a label of its own and returns the key of the manifest."""
    table = pa.table(
        {"event_id": [f"e{number}"], "label": pa.array([number % 2], pa.int8()), "known_at": [DAY + timedelta(number)]},
        schema=store.SCHEMA,
    )
    return f"labels/{store.deliver(bucket, table).name}/manifest.json"


def in_a_new_process(monkeypatch: pytest.MonkeyPatch, bucket: str) -> KeptManifests:
    """The kept manifests, as a check that has just started restores them."""
    monkeypatch.setattr(store, "_manifests", {})
    return KeptManifests.restored(bucket, "fraud")


def test_another_process_reads_only_new_manifests(
    bucket: str, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deliveries are the same as those that their manifests describe."""
    keys = [deliver(bucket, number) for number in range(3)]
    kept = in_a_new_process(monkeypatch, bucket)
    expected = store.deliveries(bucket)
    assert sorted(reads) == sorted(keys)
    kept.keep(store.listed(bucket))

    reads.clear()
    new = deliver(bucket, 3)
    kept = in_a_new_process(monkeypatch, bucket)
    found = store.deliveries(bucket)
    assert reads == [new]
    assert [each for each in found if each.key != new] == expected
    kept.keep(store.listed(bucket))
    reads.clear()
    in_a_new_process(monkeypatch, bucket)
    assert store.deliveries(bucket) == found
    assert not reads


def test_nothing_is_written_where_nothing_is_new(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second check of the same deliveries leaves the object as it is."""
    deliver(bucket, 1)
    kept = in_a_new_process(monkeypatch, bucket)
    store.deliveries(bucket)
    kept.keep(store.listed(bucket))
    client("s3").delete_object(Bucket=bucket, Key=s3_objects.split(kept.uri)[1])
    kept.keep(store.listed(bucket))
    with pytest.raises(DataError, match="no such object"):
        s3_objects.read(kept.uri)


def test_a_replaced_manifest_is_read(bucket: str, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is what the lake has now: another ETag is another manifest."""
    key = deliver(bucket, 1)
    kept = in_a_new_process(monkeypatch, bucket)
    store.deliveries(bucket)
    kept.keep(store.listed(bucket))
    document = json.loads(s3_objects.read(f"s3://{bucket}/{key}"))
    replaced = json.dumps(document | {"rows": 7}).encode()
    s3_objects.write(f"s3://{bucket}/{key}", replaced, "application/json")
    reads.clear()
    in_a_new_process(monkeypatch, bucket)
    assert [each.rows for each in store.deliveries(bucket)] == [7]
    assert reads == [key]


def test_another_lake_and_a_deleted_delivery_do_not_count(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept manifests are of one lake, and only those count that its listing has."""
    key = deliver(bucket, 1)
    kept = in_a_new_process(monkeypatch, bucket)
    store.deliveries(bucket)
    other = moto_server.make_bucket(f"manifests-{uuid4().hex}")
    KeptManifests(other, "fraud").keep(store.listed(other))
    assert not list(s3_objects.keys(other, ""))
    kept.keep(store.listed(bucket))
    client("s3").delete_object(Bucket=bucket, Key=key)
    kept = in_a_new_process(monkeypatch, bucket)
    assert store.deliveries(bucket) == []
    kept.keep(store.listed(bucket))
    assert json.loads(s3_objects.read(kept.uri))["deliveries"] == []


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"[]",
        b'{"schema": 2, "deliveries": []}',
        b'{"schema": 1, "deliveries": [{"key": "a", "etag": "b", "manifest": {"format": 1}}]}',
    ],
)
def test_damaged_object_is_replaced(
    bucket: str, content: bytes, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops no check: the reason names it, the manifests are read, and the next check finds them kept."""
    key = deliver(bucket, 1)
    s3_objects.write(KeptManifests(bucket, "fraud").uri, content, "application/json")
    kept = in_a_new_process(monkeypatch, bucket)
    assert kept.unusable is not None
    assert "monitoring/fraud/label-deliveries.json: is not what" in kept.unusable
    assert len(store.deliveries(bucket)) == 1
    assert reads == [key]
    kept.keep(store.listed(bucket))
    assert in_a_new_process(monkeypatch, bucket).unusable is None
