"""Which events of labels are known: transactions of the lake, and scored rows of the index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyarrow as pa
import pytest

from ml.aws import s3_objects
from ml.aws.labels import store
from ml.aws.labels.event_lookup import REACH, EventLookup, Found
from ml.aws.session import client
from ml.errors import DataError
from tests.harness.aws import lake_content, moto_server

DAY = timedelta(days=1)
EVENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDPOINT = "production"


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return moto_server.make_bucket(f"events-{uuid4().hex}")


def find(bucket: str, *files: dict[str, datetime]) -> Found:
    """Looks the labels of some files up, given as times at which they are known."""
    with EventLookup(bucket, ENDPOINT) as lookup:
        for known in files:
            rows = [{"event_id": each, "label": 1, "known_at": at, "channel": "analyst"} for each, at in known.items()]
            lookup.add(pa.Table.from_pylist(rows, schema=store.DELIVERED_SCHEMA))
        return lookup.find()


def test_events_are_known_by_transactions_and_scored_rows(bucket: str) -> None:
    """Only ids that neither has are unknown. Labels of all files are looked up together."""
    lake_content.store_transactions(bucket, {"a": EVENT, "b": EVENT})
    lake_content.store_transactions(bucket, {"c": EVENT + 40 * DAY})
    lake_content.store_scored_rows(bucket, ENDPOINT, EVENT.date(), ["d#0", "d#1"])
    lake_content.store_scored_rows(bucket, ENDPOINT, EVENT.date() + DAY, ["e"])
    known = EVENT + 5 * DAY
    found = find(bucket, {"a": known, "d#1": known}, {"e": known, "y": known, "x": known, "c": EVENT + 50 * DAY})
    assert (found.unknown, found.unknown_examples) == (2, ("x", "y"))
    assert (found.early, found.since) == (0, known - REACH)
    assert found.scored_until == datetime(2026, 3, 3, tzinfo=UTC)


def test_label_before_its_event_is_found(bucket: str) -> None:
    """A label that is known at the very time of its event is not early: labels of imports are."""
    lake_content.store_transactions(bucket, {"a": EVENT, "b": EVENT, "c": EVENT})
    found = find(bucket, {"a": EVENT - timedelta(microseconds=1), "b": EVENT, "c": EVENT + DAY})
    assert (found.early, found.early_examples, found.unknown) == (1, ("a",), 0)


def test_older_events_are_not_looked_up(bucket: str) -> None:
    """Imports and days of the index that ended before the reach of the first label are not read."""
    key = lake_content.store_transactions(bucket, {"a": EVENT - REACH - 2 * DAY})
    client("s3").delete_object(Bucket=bucket, Key=key)
    lake_content.store_scored_rows(bucket, ENDPOINT, (EVENT - REACH).date() - DAY, ["a"])
    found = find(bucket, {"a": EVENT})
    assert (found.unknown, found.unknown_examples, found.scored_until) == (1, ("a",), None)


def test_five_examples_are_enough(bucket: str) -> None:
    """The count is of all labels, the examples are of different events."""
    labels = {f"e{number}": EVENT for number in range(9)}
    found = find(bucket, labels, labels)
    assert (found.unknown, found.unknown_examples) == (18, ("e0", "e1", "e2", "e3", "e4"))


def test_no_labels_need_no_lake(bucket: str) -> None:
    """Nothing is read."""
    assert find(bucket) == Found(
        unknown=0, unknown_examples=(), early=0, early_examples=(), since=None, scored_until=None
    )


def test_damaged_file_of_the_lake_is_named(bucket: str) -> None:
    """The error says what to do."""
    key = lake_content.store_transactions(bucket, {"a": EVENT})
    head = client("s3").head_object(Bucket=bucket, Key=key)
    s3_objects.write(f"s3://{bucket}/{key}", b"x" * head["ContentLength"], "application/octet-stream")
    with pytest.raises(
        DataError, match=rf"s3://{bucket}/{key}: is not a file of transactions .*import its source again"
    ):
        find(bucket, {"a": EVENT})
