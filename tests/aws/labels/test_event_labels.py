"""The labels of one event: all that are known by a time, and the one that counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from ml.aws import s3_objects
from ml.aws.import_manifest import Source
from ml.aws.labels import event_labels, store
from ml.aws.labels.event_labels import EventLabel
from ml.aws.lake import Lake
from ml.errors import DataError
from tests.harness.aws import moto_server

DAY = timedelta(days=1)
SCORED = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty bucket."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")


def deliver(label: int, days: int, channel: str, *ids: str) -> None:
    """Delivers a label of each event, known some days after the scoring."""
    values = [
        pa.array(ids),
        pa.array([label] * len(ids), pa.int8()),
        pa.array([SCORED + days * DAY] * len(ids), pa.timestamp("us", "UTC")),
        pa.array([channel] * len(ids)),
    ]
    store.deliver("lake", pa.table(values, schema=store.DELIVERED_SCHEMA))


def read(days: int) -> list[EventLabel]:
    """The labels of event a that are known some days after the scoring."""
    return event_labels.read("lake", "a", start=SCORED, as_of=SCORED + days * DAY)


def test_labels_of_all_files_are_read_in_order() -> None:
    """Those of imports have no channel and are chargebacks; later labels and other events do not count."""
    deliver(0, 2, "analyst", "a", "b")
    deliver(1, 40, "chargeback", "a")
    deliver(1, 3, "chargeback", "b")
    known = pa.table([["a"], pa.array([0], pa.int8()), pa.array([SCORED + 9 * DAY])], schema=store.SCHEMA)
    rows = pa.table(
        {"event_id": ["a"], "event_time": pa.array([SCORED], pa.timestamp("us", "UTC")), "Amount": pa.array([1.0])}
    )
    source = Source(name="x.parquet", sha256="0" * 64, bytes=1)
    Lake("lake").store(rows, known, source=source, content_sha256="1" * 64, duplicates=0, quarantined=0)
    assert [(each.label, each.channel, (each.known_at - SCORED).days) for each in read(30)] == [
        (0, "analyst", 2),
        (0, "chargeback", 9),
    ]
    assert event_labels.decisive(read(30)) == 0
    assert [each.label for each in read(40)] == [0, 0, 1]
    assert read(40)[-1].uri.startswith("s3://lake/labels/late-20260410-")
    assert event_labels.decisive(read(40)) == 1
    assert (read(1), event_labels.decisive(read(1))) == ([], None)


def test_latest_label_of_a_channel_counts_and_fraud_in_either() -> None:
    """An analyst's correction replaces the analyst's own finding only."""
    deliver(1, 2, "analyst", "a")
    deliver(0, 4, "analyst", "a")
    assert event_labels.decisive(read(3)) == 1
    assert event_labels.decisive(read(5)) == 0
    deliver(1, 4, "analyst", "a")
    assert event_labels.decisive(read(5)) == 1


def test_damaged_label_file_is_named() -> None:
    """An object that is no Parquet file below labels/ is a data error, as in a join."""
    s3_objects.write("s3://lake/labels/mine/x.parquet", b"no Parquet", "application/octet-stream")
    with pytest.raises(DataError, match=r"s3://lake/labels/mine/x\.parquet: is not a file of event_id"):
        read(1)
